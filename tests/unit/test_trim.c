/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trim.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_ALLOCATOR 1 /* the sanitizer's, which knows nothing of mallopt */
#else
#define OWN_ALLOCATOR 0
#endif

/* KiB after <key> in /proc/self/status. */
static unsigned long status_kib(const char *key)
{
	char line[256];
	unsigned long kib = 0;
	FILE *f = fopen("/proc/self/status", "re");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			kib = strtoul(line + strlen(key), NULL, 10);
	(void)fclose(f);
	return kib;
}

static void a_large_table_is_fresh_memory_even_after_a_larger_one_was_freed(void **state)
{
	struct mallinfo2 before;
	void *volatile p;

	(void)state;
	if (OWN_ALLOCATOR)
		skip();
	lnx_trim_init();
	p = malloc(4 << 20);
	assert_non_null(p);
	free(p);
	before = mallinfo2();
	p = malloc(512 << 10);
	assert_non_null(p);
	assert_true(mallinfo2().hblkhd >= before.hblkhd + (512 << 10));
	free(p);
}

static void a_trim_gives_pages_of_files_back_and_everything_still_runs(void **state)
{
	unsigned long before = status_kib("RssFile:");
	char text[64];

	(void)state;
	lnx_trim();
	assert_true(status_kib("RssFile:") < before);
	(void)snprintf(text, sizeof(text), "%d %.3f %s", 42, 1.5, "after");
	assert_string_equal(text, "42 1.500 after");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_large_table_is_fresh_memory_even_after_a_larger_one_was_freed),
		cmocka_unit_test(a_trim_gives_pages_of_files_back_and_everything_still_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
