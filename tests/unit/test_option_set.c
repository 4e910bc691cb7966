/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What was bound: its dump, the difference of two; the names of sections; and binding when memory runs out.
 * LINK: tests/unit/option_run.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fail_alloc.h"
#include "option_run.h"

/* ---- dump and difference */

static void dump_shows_values_and_where_they_come_from(void **state)
{
	static char *const env[] = { "LINNIX_HTTP_TIMEOUT=2s", NULL };
	static const char *const flags[] = { "http.mode=off", NULL };
	struct run r = { .env = env, .flags = flags };
	struct lnx_buf out = { 0 };

	(void)state;
	assert_good(&r,
		    "http: {token: s3cret, allowed_hosts: [a, b]}\nwebhook.ops: {enabled: no}\n");
	lnx_optset_dump(r.set, &out);
	assert_string_equal(out.data, "http:\n"
				      "  listen: \"127.0.0.1:3000\"              # default\n"
				      "  token: \"***\"                          # file\n"
				      "  allowed_hosts: [\"a\", \"b\"]             # file\n"
				      "  max_clients: 64                       # default\n"
				      "  allow_plaintext: false                # default\n"
				      "  mode: off                             # flag\n"
				      "  timeout: 2s                           # env\n"
				      "  body: 64KiB                           # default\n"
				      "  big: 0                                # default\n"
				      "  ratio: 0.5                            # default\n"
				      "  tls_cert_file: \"\"                     # default\n"
				      "triage:\n"
				      "  llm:\n"
				      "    endpoint: \"\"                        # default\n"
				      "    model: \"small\"                      # default\n"
				      "    allow_remote: false                 # default\n"
				      "  name: \"\"                              # default\n"
				      "webhook.ops:\n"
				      "  enabled: false                        # file\n");
	lnx_buf_done(&out);
	run_done(&r);
}

static void dump_reads_back_as_the_same_configuration(void **state)
{
	static const char yaml[] =
		"http:\n"
		"  listen: \"a\\\"b\\\\c\\n\\t\\x1b é € \\u2028 \\u0085 \\uFEFF # no comment: x \\U0001F600\"\n"
		"  allowed_hosts: ['', ' a ', 'b,c', \"d\\ne\", '[', '*x', '&y', '!z', '%']\n"
		"  ratio: 0.1\n"
		"  big: 9007199254740993\n"
		"  timeout: 1.000000001s\n"
		"  body: 1025\n"
		"  mode: on\n"
		"triage: {name: 'null', llm: {model: '~'}}\n";
	struct run a = { 0 }, b = { 0 };
	struct lnx_buf out = { 0 }, again = { 0 }, diff = { 0 };
	int i;

	(void)state;
	assert_good(&a, yaml);
	lnx_optset_dump(a.set, &out);
	assert_good(&b, out.data);
	lnx_optset_diff(a.set, b.set, &diff);
	assert_null(diff.data);
	assert_string_equal(a.http.listen, b.http.listen);
	for (i = 0; a.http.allowed_hosts[i]; i++)
		assert_string_equal(a.http.allowed_hosts[i], b.http.allowed_hosts[i]);
	assert_int_equal(i, 9);
	assert_true(a.http.ratio == b.http.ratio && b.http.ratio == 0.1);
	assert_true(b.http.big == 9007199254740993u);
	assert_true(b.http.timeout_ns == 1000000001u);
	lnx_optset_dump(b.set, &again);
	assert_int_equal(strncmp(out.data, "http:\n", 6), 0);
	assert_non_null(strstr(again.data, "ratio: 0.1 "));
	lnx_buf_done(&out);
	lnx_buf_done(&again);
	run_done(&a);
	run_done(&b);
}

static void difference_names_what_needs_a_restart(void **state)
{
	struct run a = { 0 }, b = { 0 };
	struct lnx_buf out = { 0 };

	(void)state;
	assert_good(
		&a,
		"http: {listen: a, max_clients: 5, token: x, allowed_hosts: ['a,b'], timeout: 60s}");
	assert_good(
		&b,
		"http: {listen: b, max_clients: 6, token: y, allowed_hosts: [a, b], timeout: 1m}\n"
		"webhook.ops: {enabled: true}\n");
	lnx_optset_diff(a.set, b.set, &out);
	assert_string_equal(out.data,
			    "http.listen\nhttp.token\nhttp.allowed_hosts\nwebhook.ops.enabled\n");
	lnx_buf_reset(&out);
	lnx_optset_diff(b.set, a.set, &out);
	assert_string_equal(out.data,
			    "http.listen\nhttp.token\nhttp.allowed_hosts\nwebhook.ops.enabled\n");
	lnx_buf_reset(&out);
	lnx_optset_diff(a.set, a.set, &out);
	assert_int_equal(out.size, 0);
	lnx_buf_done(&out);
	run_done(&a);
	run_done(&b);
}

/* ---- memory */

static void without_memory_nothing_is_bound_and_nothing_leaks(void **state)
{
	static char *const env[] = { "LINNIX_HTTP_ALLOWED_HOSTS=a,b", "LINNIX_NOPE=1", NULL };
	struct run r = { .env = env };
	struct lnx_err err;
	const char *yaml = "http: {listen: x, allowed_hosts: [c, d]}\n";
	long n;
	int rc;

	(void)state;
	assert_int_equal(lnx_conf_parse(yaml, strlen(yaml), &r.root, &err), 0);
	for (n = 1; n < 10000; n++) {
		allocations = 0;
		fail_at = n;
		rc = run_bind(&r);
		fail_at = 0;
		if (rc == 0)
			break;
		assert_int_equal(rc, -ENOMEM);
		assert_null(r.set);
		assert_null(r.http.listen);
		lnx_buf_done(&r.errors);
		lnx_buf_done(&r.warnings);
	}
	assert_in_range(n, 30, 9999); /* each allocation has failed once */
	run_done(&r);
}

static void without_memory_mistakes_end_in_an_error_all_the_same(void **state)
{
	struct run r = { 0 };
	struct lnx_err err;
	const char *yaml = "http: {lisen: x, ratio: 9, mode: z, allowed_hosts: 'a,,b'}\nhtp: {}\n";
	long n;

	(void)state;
	assert_int_equal(lnx_conf_parse(yaml, strlen(yaml), &r.root, &err), 0);
	for (n = 1; n < 10000; n++) {
		allocations = 0;
		fail_at = n;
		run_bind(&r);
		fail_at = 0;
		assert_true(r.rc == -ENOMEM || r.rc == -EINVAL);
		assert_null(r.set);
		lnx_buf_done(&r.errors);
		lnx_buf_done(&r.warnings);
		if (allocations < n)
			break;
	}
	assert_in_range(n, 20, 9999);
	run_done(&r);
}

/* ---- what is read once */

static void what_is_read_once_is_wiped(void **state)
{
	static const struct lnx_option options[] = {
		{ "key", LNX_OPT_STR, 0, "", .flags = LNX_OPTF_SECRET | LNX_OPTF_ONCE }, { 0 }
	};
	char variable[] = "LINNIX_VAULT_KEY=hush-hush", nothing[9] = "";
	char *env[] = { variable, NULL };
	const char *conf = NULL;
	struct lnx_section section = {
		.name = "vault", .options = options, .conf = &conf, .conf_size = sizeof(conf)
	};
	struct lnx_bind_args args = { .env = env, .sections = &section, .n_sections = 1 };
	struct lnx_buf errors = { 0 }, warnings = { 0 }, dump = { 0 };
	struct lnx_optset *set = NULL;

	(void)state;
	assert_int_equal(lnx_option_bind(&args, &errors, &warnings, &set), 0);
	assert_string_equal(conf, "hush-hush");
	/* the variable is in no child and in no /proc/PID/environ from now on */
	assert_string_equal(variable, "LINNIX_VAULT_KEY=");
	assert_memory_equal(variable + sizeof("LINNIX_VAULT_KEY=") - 1, nothing, sizeof(nothing));
	lnx_optset_wipe(set);
	assert_memory_equal(conf, nothing, sizeof(nothing));
	assert_string_equal(lnx_optset_get(set, "vault", "key", NULL), "***");
	lnx_optset_dump(set, &dump);
	assert_non_null(strstr(dump.data, "key: \"***\""));
	lnx_optset_free(set);
	lnx_buf_done(&dump);
	lnx_buf_done(&errors);
	lnx_buf_done(&warnings);
}

static void instances_have_plain_names(void **state)
{
	(void)state;
	assert_errors(
		"webhook.: {}\nwebhook.a b: {}\nwebhook.a.b: {}\n",
		"l.yaml:1:1: section 'webhook.': an instance is named with letters, digits, '-' "
		"and '_', the section has at most 63 characters\n"
		"l.yaml:2:1: section 'webhook.a b': an instance is named with letters, digits, "
		"'-' and '_', the section has at most 63 characters\n"
		"l.yaml:3:1: section 'webhook.a.b': an instance is named with letters, digits, "
		"'-' and '_', the section has at most 63 characters\n");
	assert_int_equal(lnx_section_is_name("http"), 1);
	assert_int_equal(lnx_section_is_name("webhook.Ops-2_x"), 1);
	assert_int_equal(lnx_section_is_name(
				 "webhook.9012345678901234567890123456789012345678901234567890123"),
			 1);
	assert_int_equal(
		lnx_section_is_name(
			"webhook.90123456789012345678901234567890123456789012345678901234"),
		0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dump_shows_values_and_where_they_come_from),
		cmocka_unit_test(dump_reads_back_as_the_same_configuration),
		cmocka_unit_test(difference_names_what_needs_a_restart),
		cmocka_unit_test(what_is_read_once_is_wiped),
		cmocka_unit_test(instances_have_plain_names),
		cmocka_unit_test(without_memory_nothing_is_bound_and_nothing_leaks),
		cmocka_unit_test(without_memory_mistakes_end_in_an_error_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
