/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* main() of a fuzzer in the suite, where nothing is fuzzed: nothing at all, then each seed once. So every fuzzer is built with the
 * rest, and what one found stays found. Run at the top of the tree; the name of the program is that of its fuzzer. */
#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED_MAX (1u << 20) /* bytes; libFuzzer reads no larger ones either */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned n_cases;

/* False: the file cannot be read. */
static bool seeds_run(const char *path)
{
	static uint8_t bytes[SEED_MAX];
	FILE *f = fopen(path, "rbe");
	uint8_t *exact;
	size_t n;

	if (!f) {
		perror(path);
		return false;
	}
	n = fread(bytes, 1, sizeof(bytes), f);
	(void)fclose(f); /* only read */
	/* of just that size, so that a sanitizer sees who reads behind it */
	exact = malloc(n ? n : 1);
	if (!exact)
		return false;
	memcpy(exact, bytes, n);
	(void)LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	printf("ok %u - %s\n", ++n_cases, path);
	return true;
}

static bool seeds_dir(const char *name)
{
	char dir[256], path[512];
	struct dirent **files = NULL;
	int i, n;
	bool is_fine = true;

	(void)snprintf(dir, sizeof(dir), "tests/fuzz/corpus/%s", name);
	n = scandir(dir, &files, NULL, alphasort);
	for (i = 0; i < n; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, files[i]->d_name);
		if (files[i]->d_name[0] != '.')
			is_fine = seeds_run(path) && is_fine;
		free(files[i]);
	}
	free(files);
	return is_fine;
}

/* Files that a line "SEEDS: file..." of the fuzzer names. */
static bool seeds_named(const char *name)
{
	char path[256], line[512], *at, *word;
	bool is_fine = true;
	FILE *f;

	(void)snprintf(path, sizeof(path), "tests/fuzz/%s.c", name);
	f = fopen(path, "re");
	if (!f) {
		perror(path);
		return false;
	}
	while (fgets(line, sizeof(line), f)) {
		if (strlen(line) < 2)
			continue;
		line[strcspn(line + 2, "*\n") + 2] =
			0; /* the end of the comment, not its beginning */
		at = strstr(line, "SEEDS: ");
		for (word = at ? strtok(at + 7, " ") : NULL; word; word = strtok(NULL, " "))
			is_fine = seeds_run(word) && is_fine;
	}
	(void)fclose(f); /* only read */
	return is_fine;
}

int main(int argc, char **argv)
{
	const char *slash = argc ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argv[0];
	bool is_fine;

	(void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	printf("ok %u - nothing\n", ++n_cases);
	is_fine = seeds_dir(name);
	is_fine = seeds_named(name) && is_fine;
	printf("1..%u\n", n_cases + !is_fine);
	return !is_fine;
}
