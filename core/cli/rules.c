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
#include "cli/text.h"
#include "event.h"
#include "lua_host.h"
#include "lua_plugin.h"

static int rules_usage(void)
{
	fputs("usage: linnix rules check FILE...\n"
	      "       linnix rules test [-o tap|table] [DIR|FILE]...\n"
	      "       linnix rules list\n",
	      stderr);
	return LNX_EXIT_USAGE;
}

#define RULES_SCRIPTS 256 /* plugins whose events rules may name */

/* A set of rules without an agent, and the types of events that an agent with the same plugins has. */
struct rules_set {
	struct lnx_registry *registry;
	struct lnx_lua_plugin *scripts[RULES_SCRIPTS];
	unsigned n_scripts;
	struct lnx_rules *rules;
};

static void rules_done(struct rules_set *s)
{
	lnx_rules_free(s->rules);
	while (s->n_scripts)
		lnx_lua_plugin_close(s->scripts[--s->n_scripts]);
	lnx_registry_free(s->registry);
}

/* Load <paths> (a NULL-terminated list) as files or as directories. */
static int rules_load(const char *const *files, const char *const *dirs, bool is_covering,
		      struct lnx_buf *errors, struct rules_set *ret_set)
{
	struct lnx_rules_conf conf = { .files = files, .dirs = dirs, .is_covering = is_covering };
	struct lnx_cli cli = { .is_json = false };
	struct rules_set *s = ret_set;
	char plugins[LNX_PATH_BYTES];
	int rc;

	memset(s, 0, sizeof(*s));
	conf.registry = s->registry = lnx_registry_new();
	if (!s->registry)
		return -ENOMEM;
	rc = lnx_registry_add_known(s->registry);
	if (rc == 0 && lnx_path_lib(&cli, "plugins", plugins) == 0)
		s->n_scripts =
			lnx_lua_plugin_dir_types(plugins, s->registry, s->scripts, RULES_SCRIPTS);
	if (rc == 0)
		rc = lnx_rules_new(&conf, errors, &s->rules);
	if (rc < 0)
		rules_done(s);
	return rc;
}

#define RULES_COVERAGE "# coverage: "

/* Parts: the rule, what was returned, "A of B lines", "not run: …", "C of D branches", "not taken: …"; of all rules no name. */
static void rules_row_coverage(char *const part[6], unsigned n, struct lnx_table *t)
{
	const char *lines = "", *branches = "", *missed[2] = { "", "" };
	unsigned i;

	for (i = 0; i < n; i++) {
		if (strstr(part[i], " lines"))
			lines = part[i];
		else if (strstr(part[i], " branches"))
			branches = part[i];
		else if (strncmp(part[i], "not run: ", 9) == 0)
			missed[0] = part[i];
		else if (strncmp(part[i], "not taken: ", 11) == 0)
			missed[1] = part[i];
	}
	lnx_table_cell(t, lines == part[0] ? "all" : part[0]);
	lnx_table_cell(t, lines == part[0] ? part[n - 1] : part[1]);
	lnx_table_cell_fmt(t, "%.*s", (int)(strlen(lines) - (*lines ? 6 : 0)), lines);
	lnx_table_cell_fmt(t, "%.*s", (int)strcspn(branches, "b"), branches);
	lnx_table_cell_fmt(t, "%s%s%s", missed[0], *missed[0] && *missed[1] ? "; " : "", missed[1]);
}

/* A line of the TAP document into one of the tables; its other lines belong to the test before. */
static void rules_row(const char *line, size_t len, struct lnx_table *tests,
		      struct lnx_table *coverage)
{
	char text[1024], *part[6] = { text, "", "", "", "", "" }, *p;
	bool is_ok = strncmp(line, "ok ", 3) == 0;
	unsigned n = 1;

	if (len >= sizeof(text))
		len = sizeof(text) - 1;
	memcpy(text, line, len);
	text[len] = 0;
	if (is_ok || strncmp(line, "not ok ", 7) == 0) {
		p = strstr(text, " - ");
		p = p ? p + 3 : text;
		part[1] = strstr(p, ": ");
		if (part[1]) {
			*part[1] = 0;
			part[1] += 2;
		}
		lnx_table_cell(tests, is_ok ? "ok" : "FAILS");
		lnx_table_cell(tests, p);
		lnx_table_cell(tests, part[1] ? part[1] : "");
	} else if (strncmp(text, RULES_COVERAGE, strlen(RULES_COVERAGE)) == 0) {
		part[0] = text + strlen(RULES_COVERAGE);
		for (p = strpbrk(part[0], ":;"); p && n < 6; p = strchr(part[n++], ';')) {
			*p = 0;
			part[n] = p[1] == ' ' ? p + 2 : p + 1;
		}
		rules_row_coverage(part, n, coverage);
	} else if (text[0] == '#') {
		lnx_table_cell(tests, "");
		lnx_table_cell(tests, "");
		lnx_table_cell(tests, text + 1);
	}
}

static int rules_tables(const struct lnx_buf *tap)
{
	static const struct lnx_column test_columns[] = { { "RESULT", 0, false },
							  { "FILE", 0, false },
							  { "TEST", 0, false } };
	static const struct lnx_column columns[] = { { "RULE", 0, false },
						     { "SEEN", 0, false },
						     { "LINES", 0, true },
						     { "BRANCHES", 0, true },
						     { "MISSED", 0, false } };
	struct lnx_cli cli = { .is_json = false };
	struct lnx_table tests, coverage;
	const char *at = tap->data, *end = at + tap->size, *next;
	int rc;

	lnx_table_init(&tests, test_columns, 3);
	lnx_table_init(&coverage, columns, 5);
	for (; at < end; at = next + 1) {
		next = memchr(at, '\n', (size_t)(end - at));
		if (!next)
			break;
		rules_row(at, (size_t)(next - at), &tests, &coverage);
	}
	rc = lnx_table_print(&tests, &cli);
	putchar('\n');
	if (rc >= 0)
		rc = lnx_table_print(&coverage, &cli);
	lnx_table_done(&tests);
	lnx_table_done(&coverage);
	return rc;
}

enum rules_do { RULES_CHECK, RULES_TEST, RULES_TEST_TABLE };

static int rules_run(const char *const *files, const char *const *dirs, enum rules_do what)
{
	const bool is_test = what != RULES_CHECK;
	struct lnx_buf errors = { 0 }, tap = { 0 };
	struct rules_set set;
	unsigned tests = 0;
	int rc, failed = 0;

	rc = rules_load(files, dirs, is_test, &errors, &set);
	if (rc < 0) {
		fprintf(stderr, "linnix: rules: %s\n", strerror(-rc));
		return LNX_EXIT_FAILURE;
	}
	if (is_test) {
		failed = lnx_rules_test(set.rules, &tap, &tests);
		if (tap.size && what == RULES_TEST)
			fputs(tap.data, stdout);
		else if (tap.size && rules_tables(&tap) < 0)
			failed = 1;
	} else if (lnx_rules_errors(set.rules) == 0 &&
		   lnx_rules_rehearse(set.rules, &errors) == 0 && !lnx_rules_errors(set.rules)) {
		printf("%u %s\n", lnx_rules_count(set.rules),
		       lnx_rules_count(set.rules) == 1 ? "rule is sound" : "rules are sound");
	}
	if (errors.size)
		fputs(errors.data, stderr);
	rc = lnx_rules_errors(set.rules) ? LNX_EXIT_USAGE : failed ? LNX_EXIT_FAILURE : LNX_EXIT_OK;
	rules_done(&set);
	lnx_buf_done(&errors);
	lnx_buf_done(&tap);
	return rc;
}

int lnx_cli_rules(int argc, char **argv)
{
	const char *dirs[2] = { NULL, NULL };
	char dir[LNX_PATH_BYTES];
	enum rules_do what = RULES_TEST;
	bool is_test;
	int i;

	if (argc < 2)
		return rules_usage();
	is_test = strcmp(argv[1], "test") == 0;
	if (!is_test && strcmp(argv[1], "check") != 0) {
		fprintf(stderr, "linnix: rules: unknown verb\n");
		return rules_usage();
	}
	if (is_test && argc > 3 && strcmp(argv[2], "-o") == 0 &&
	    (strcmp(argv[3], "table") == 0 || strcmp(argv[3], "tap") == 0)) {
		what = strcmp(argv[3], "table") == 0 ? RULES_TEST_TABLE : RULES_TEST;
		argc -= 2;
		argv += 2;
		argv[1] = argv[-1];
	}
	for (i = 2; i < argc; i++)
		if (argv[i][0] == '-') {
			fprintf(stderr, "linnix: rules %s: unknown option\n", argv[1]);
			return rules_usage();
		}
	if (!is_test && argc < 3)
		return rules_usage();
	if (!is_test)
		return rules_run((const char *const *)argv + 2, NULL, RULES_CHECK);
	if (argc > 2)
		return rules_run(NULL, (const char *const *)argv + 2, what);
	dirs[0] = lnx_path_rules(dir);
	return rules_run(NULL, dirs, what);
}
