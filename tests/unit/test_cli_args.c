/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Words of the command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const struct lnx_cli_opt opts[] = {
	{ "follow", NULL, "", 'f', false },
	{ "limit", "N", "", 'n', false },
	{ NULL, NULL, NULL, 0, false },
};
static const struct lnx_verb verb = { "test", "", "", NULL, opts, NULL, NULL, NULL };

#define PARSE(cli, args, ...) parse(cli, args, (const char *const[]){ __VA_ARGS__, NULL })

static int parse(struct lnx_cli *cli, struct lnx_cli_args *args, const char *const *words)
{
	static char pool[64][64]; /* what is parsed borrows its words */
	static unsigned next;
	char *argv[16];
	int argc = 0;

	for (; words[argc]; argc++) {
		argv[argc] = pool[next++ % 64];
		(void)snprintf(argv[argc], sizeof(pool[0]), "%s", words[argc]);
	}
	return lnx_cli_parse(cli, &verb, argc, argv, args);
}

static void options_are_found_in_every_form(void **state)
{
	static const char *const forms[][3] = { { "--limit", "5", NULL },
						{ "--limit=5", NULL, NULL },
						{ "-n", "5", NULL },
						{ "-n5", NULL, NULL } };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct lnx_cli cli = { 0 };
		struct lnx_cli_args args = { 0 };
		unsigned long long v = 0;

		assert_int_equal(parse(&cli, &args, forms[i]), 0);
		assert_int_equal(lnx_cli_arg_u64(&args, "limit", 1, 1, 10, &v), 0);
		assert_int_equal(v, 5);
		assert_null(lnx_cli_arg(&args, "follow"));
		assert_null(lnx_cli_arg(&args, "nothing"));
	}
}

static void global_options_stand_anywhere(void **state)
{
	struct lnx_cli cli = { 0 };
	struct lnx_cli_args args = { 0 };

	(void)state;
	assert_int_equal(
		PARSE(&cli, &args, "a", "-o", "json", "-f", "--url=http://x", "b", "--", "-f"), 0);
	assert_true(cli.is_json);
	assert_string_equal(cli.url, "http://x");
	assert_non_null(lnx_cli_arg(&args, "follow"));
	assert_int_equal(args.n_words, 3);
	assert_string_equal(args.words[2], "-f");
	assert_int_equal(PARSE(&cli, &args, "--output", "table", "--no-headers", "--help"), 0);
	assert_false(cli.is_json);
	assert_true(cli.is_headless);
	assert_true(cli.is_help);
}

static void wrong_words_are_errors(void **state)
{
	struct lnx_cli cli = { 0 };
	struct lnx_cli_args args = { 0 };

	(void)state;
	assert_int_equal(PARSE(&cli, &args, "--limt", "3"), -EINVAL);
	assert_int_equal(PARSE(&cli, &args, "-x"), -EINVAL);
	assert_int_equal(PARSE(&cli, &args, "--limit"), -EINVAL);
	assert_int_equal(PARSE(&cli, &args, "--follow=yes"), -EINVAL);
	assert_int_equal(PARSE(&cli, &args, "-o", "xml"), -EINVAL);
	assert_int_equal(PARSE(&cli, &args, "--url"), -EINVAL);
}

static void numbers_are_checked(void **state)
{
	static const char *const bad[] = { "",	 "x",  "-1", "11",
					   "0",	 " 5", "5x", "99999999999999999999999",
					   "1.5" };
	struct lnx_cli cli = { 0 };
	unsigned long long v = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct lnx_cli_args args = { 0 };

		assert_int_equal(PARSE(&cli, &args, "--limit", bad[i]), 0);
		assert_int_equal(lnx_cli_arg_u64(&args, "limit", 1, 1, 10, &v), -EINVAL);
		assert_int_equal(v, 77);
	}
}

static void too_many_words_are_refused(void **state)
{
	struct lnx_cli cli = { 0 };
	struct lnx_cli_args args = { 0 };
	char word[] = "w", *argv[LNX_CLI_MAX_WORDS + 1];

	(void)state;
	for (size_t i = 0; i < LNX_CLI_MAX_WORDS + 1; i++)
		argv[i] = word;
	assert_int_equal(lnx_cli_parse(&cli, &verb, LNX_CLI_MAX_WORDS, argv, &args), 0);
	assert_int_equal(lnx_cli_parse(&cli, &verb, LNX_CLI_MAX_WORDS + 1, argv, &args), -EINVAL);
}

static void every_verb_fits_its_tables(void **state)
{
	(void)state;
	for (const struct lnx_verb *v = lnx_verbs(); v->name; v++) {
		unsigned n = 0;

		assert_ptr_equal(lnx_verb_find(v->name), v);
		assert_true(v->summary && *v->summary && v->usage);
		for (const struct lnx_cli_opt *o = v->opts; o && o->name; o++, n++)
			assert_true(o->help && *o->help);
		assert_true(n < LNX_CLI_MAX_OPTS);
	}
	assert_null(lnx_verb_find("blame-me"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_found_in_every_form),
		cmocka_unit_test(global_options_stand_anywhere),
		cmocka_unit_test(wrong_words_are_errors),
		cmocka_unit_test(numbers_are_checked),
		cmocka_unit_test(too_many_words_are_refused),
		cmocka_unit_test(every_verb_fits_its_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
