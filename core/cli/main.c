/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* linnix: find the verb, read its words, run it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "event.h"
#include "std.h"

#define MAIN_MAX_VERBS 64

static int main_unknown(const char *word)
{
	const char *known[MAIN_MAX_VERBS + 1] = { NULL }, *near;
	unsigned n = 0;

	for (const struct lnx_verb *v = lnx_verbs(); v->name && n < MAIN_MAX_VERBS; v++)
		known[n++] = v->name;
	near = lnx_suggest(word, known);
	if (near)
		return lnx_cli_usage(NULL, "unknown verb '%s' (did you mean '%s'?)", word, near);
	return lnx_cli_usage(NULL, "unknown verb '%s'", word);
}

/* A subcommand that reads its own words, and is not asked for help. */
static bool main_is_raw(const struct lnx_verb *verb, int argc, char **argv)
{
	bool is_raw = false;

	for (unsigned i = 0; verb->raw && argc > 1 && verb->raw_words[i]; i++)
		is_raw |= strcmp(argv[1], verb->raw_words[i]) == 0;
	for (int i = 2; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			is_raw = false;
	return is_raw;
}

/* argv[0] is the verb. */
static int main_verb(struct lnx_cli *cli, int argc, char **argv)
{
	const struct lnx_verb *verb = lnx_verb_find(argv[0]);
	struct lnx_cli_args args;
	int rc;

	if (!verb) {
		rc = lnx_brought_run(cli, argc, argv);
		return rc == -ENOENT ? main_unknown(argv[0]) : rc;
	}
	if (main_is_raw(verb, argc, argv))
		return verb->raw(argc, argv);
	if (lnx_cli_parse(cli, verb, argc - 1, argv + 1, &args) < 0)
		return LNX_EXIT_USAGE;
	if (cli->is_help) {
		lnx_help_verb(verb);
		return LNX_EXIT_OK;
	}
	if (lnx_cli_setup(cli) < 0)
		return LNX_EXIT_FAILURE;
	return verb->run(cli, &args);
}

static int main_run(struct lnx_cli *cli, int argc, char **argv)
{
	int rc;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--version") == 0 || strcmp(argv[i], "-V") == 0) {
			puts("linnix " LNX_VERSION);
			return LNX_EXIT_OK;
		}
		rc = lnx_cli_global(cli, argc, argv, &i);
		if (rc < 0)
			return LNX_EXIT_USAGE;
		if (rc > 0)
			continue;
		if (argv[i][0] == '-')
			return lnx_cli_usage(NULL, "unknown option '%s'", argv[i]);
		return main_verb(cli, argc - i, argv + i);
	}
	if (cli->is_help) {
		lnx_help_all(cli);
		return LNX_EXIT_OK;
	}
	return lnx_cli_usage(NULL, "a verb is missing");
}

int main(int argc, char **argv)
{
	struct lnx_cli cli = { 0 };
	int code;

	if (lnx_std_open() < 0)
		return LNX_EXIT_FAILURE;
	code = main_run(&cli, argc, argv);
	lnx_cli_done(&cli);
	/* A full disk or a closed pipe is a failure, not a short answer. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		lnx_cli_say("cannot write: %s", strerror(errno));
		return LNX_EXIT_FAILURE;
	}
	return code;
}
