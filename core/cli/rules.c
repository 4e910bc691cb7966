/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Verb `rules`: check files and run their tests. Neither needs the agent or root. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/paths.h"
#include "event.h"
#include "lua_host.h"

static int rules_usage(void)
{
	fputs("usage: linnix rules check FILE...\n"
	      "       linnix rules test [DIR|FILE]...\n"
	      "       linnix rules list\n",
	      stderr);
	return LNX_EXIT_USAGE;
}

/* Load <paths> (a NULL-terminated list) as files or as directories. */
static int rules_load(const char *const *files, const char *const *dirs, struct lnx_buf *errors,
		      struct lnx_registry **ret_registry, struct lnx_rules **ret_rules)
{
	struct lnx_rules_conf conf = { .files = files, .dirs = dirs };
	int rc;

	conf.registry = lnx_registry_new();
	if (!conf.registry)
		return -ENOMEM;
	rc = lnx_rules_new(&conf, errors, ret_rules);
	if (rc < 0) {
		lnx_registry_free(conf.registry);
		return rc;
	}
	*ret_registry = conf.registry;
	return 0;
}

static int rules_run(const char *const *files, const char *const *dirs, bool is_test)
{
	struct lnx_buf errors = { 0 }, tap = { 0 };
	struct lnx_registry *registry = NULL;
	struct lnx_rules *rules = NULL;
	unsigned tests = 0;
	int rc, failed = 0;

	rc = rules_load(files, dirs, &errors, &registry, &rules);
	if (rc < 0) {
		fprintf(stderr, "linnix: rules: %s\n", strerror(-rc));
		return LNX_EXIT_FAILURE;
	}
	if (is_test) {
		failed = lnx_rules_test(rules, &tap, &tests);
		if (tap.size)
			fputs(tap.data, stdout);
	} else if (lnx_rules_errors(rules) == 0 && lnx_rules_rehearse(rules, &errors) == 0 &&
		   !lnx_rules_errors(rules)) {
		printf("%u %s\n", lnx_rules_count(rules),
		       lnx_rules_count(rules) == 1 ? "rule is sound" : "rules are sound");
	}
	if (errors.size)
		fputs(errors.data, stderr);
	rc = lnx_rules_errors(rules) ? LNX_EXIT_USAGE : failed ? LNX_EXIT_FAILURE : LNX_EXIT_OK;
	lnx_rules_free(rules);
	lnx_registry_free(registry);
	lnx_buf_done(&errors);
	lnx_buf_done(&tap);
	return rc;
}

int lnx_cli_rules(int argc, char **argv)
{
	const char *dirs[2] = { NULL, NULL };
	char dir[LNX_PATH_BYTES];
	bool is_test;
	int i;

	if (argc < 2)
		return rules_usage();
	is_test = strcmp(argv[1], "test") == 0;
	if (!is_test && strcmp(argv[1], "check") != 0) {
		fprintf(stderr, "linnix: rules: unknown verb\n");
		return rules_usage();
	}
	for (i = 2; i < argc; i++)
		if (argv[i][0] == '-') {
			fprintf(stderr, "linnix: rules %s: unknown option\n", argv[1]);
			return rules_usage();
		}
	if (!is_test && argc < 3)
		return rules_usage();
	if (!is_test)
		return rules_run((const char *const *)argv + 2, NULL, false);
	if (argc > 2)
		return rules_run(NULL, (const char *const *)argv + 2, true);
	dirs[0] = lnx_path_rules(dir);
	return rules_run(NULL, dirs, true);
}
