/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Values of options, and how mistakes are reported.
 * LINK: tests/unit/option_run.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "option_run.h"

/* ---- values */

static void without_a_file_the_defaults_hold(void **state)
{
	struct run r = { 0 };
	int origin = 9;

	(void)state;
	assert_int_equal(run_bind(&r), 0);
	assert_string_equal(r.http.listen, "127.0.0.1:3000");
	assert_string_equal(r.http.token, "");
	assert_non_null(r.http.allowed_hosts);
	assert_null(r.http.allowed_hosts[0]);
	assert_int_equal(r.http.max_clients, 64);
	assert_int_equal(r.http.allow_plaintext, 0);
	assert_int_equal(r.http.timeout_ns, 10000000000u);
	assert_int_equal(r.http.body_bytes, 65536);
	assert_true(r.http.ratio == 0.5);
	assert_string_equal(r.http.tls_cert_file, "");
	assert_string_equal(r.triage.model, "small");
	assert_int_equal(r.sections[0].enabled, 2);
	assert_string_equal(lnx_optset_get(r.set, "http", "listen", &origin), "127.0.0.1:3000");
	assert_int_equal(origin, LNX_FROM_DEFAULT);
	assert_null(lnx_optset_get(r.set, "http", "enabled", NULL));
	run_done(&r);
}

/* For who checks further: an error of one option hides none of another. */
static void what_is_right_can_be_kept_beside_what_is_wrong(void **state)
{
	static const char *const env[] = { "LINNIX_HTTP_MAX_CLIENTS=none", NULL };
	struct run r = { .env = (char *const *)(uintptr_t)env, .keeps_wrong = 1 };

	(void)state;
	assert_int_equal(
		run_yaml(&r,
			 "http: {max_clients: 70, timeout: 1, ratio: 7, listen: here, nosuch: 1}\n"
			 "triage: {enabled: true, name: n}"),
		-EINVAL);
	assert_non_null(strstr(errors_of(&r), "http.ratio"));
	assert_non_null(r.set);
	assert_string_equal(r.http.listen, "here");
	assert_string_equal(r.http.token, "");
	assert_null(r.http.allowed_hosts[0]);
	assert_true(r.http.ratio == 0.5);
	assert_int_equal(r.http.max_clients, 70); /* of the file: the variable is no number */
	assert_string_equal(r.triage.name, "n");
	assert_int_equal(r.sections[1].enabled, 1);
	assert_int_equal(lnx_optset_is_wrong(r.set, "http", "ratio"), 1);
	assert_int_equal(lnx_optset_is_wrong(r.set, "http", "max_clients"), 1);
	assert_int_equal(lnx_optset_is_wrong(r.set, "http", "listen"), 0);
	assert_int_equal(lnx_optset_is_wrong(r.set, "http", "nosuch"), 0);
	run_done(&r);
}

static void every_type_is_read_from_the_file(void **state)
{
	struct run r = { 0 };
	int origin = 9;

	(void)state;
	assert_good(&r, "http:\n"
			"  enabled: yes\n"
			"  listen: '[::1]:3000'\n"
			"  token: \"s3cret\"\n"
			"  allowed_hosts: [a, 'b,c']\n"
			"  max_clients: 65535\n"
			"  allow_plaintext: ON\n"
			"  mode: false\n" /* what generators make of off */
			"  timeout: 1.5s\n"
			"  body: 8MiB\n"
			"  big: 18446744073709551615\n"
			"  ratio: 2.5e-1\n"
			"  tls_cert_file: ~/cert.pem\n"
			"triage: {llm: {endpoint: 'http://x', allow_remote: true}}\n"
			"webhook.ops: {enabled: off}\n"
			"slack: {anything: goes, when: [not, loaded]}\n");
	assert_string_equal(r.http.listen, "[::1]:3000");
	assert_string_equal(r.http.token, "s3cret");
	assert_string_equal(r.http.allowed_hosts[0], "a");
	assert_string_equal(r.http.allowed_hosts[1], "b,c");
	assert_null(r.http.allowed_hosts[2]);
	assert_int_equal(r.http.max_clients, 65535);
	assert_int_equal(r.http.allow_plaintext, 1);
	assert_int_equal(r.http.mode, 2);
	assert_int_equal(r.http.timeout_ns, 1500000000u);
	assert_int_equal(r.http.body_bytes, 8u << 20);
	assert_true(r.http.big == UINT64_MAX);
	assert_true(r.http.ratio == 0.25);
	assert_string_equal(r.http.tls_cert_file, "~/cert.pem");
	assert_string_equal(r.triage.endpoint, "http://x");
	assert_int_equal(r.triage.allow_remote, 1);
	assert_int_equal(r.sections[0].enabled, 1);
	assert_int_equal(r.sections[1].enabled, 2);
	assert_int_equal(r.sections[2].enabled, 0);
	assert_string_equal(lnx_optset_get(r.set, "http", "token", &origin), "***");
	assert_int_equal(origin, LNX_FROM_FILE);
	assert_string_equal(lnx_optset_get(r.set, "http", "enabled", NULL), "true");
	assert_string_equal(lnx_optset_get(r.set, "http", "timeout", NULL), "1500ms");
	assert_string_equal(lnx_optset_get(r.set, "http", "mode", NULL), "off");
	assert_null(lnx_optset_get(r.set, "http", "nope", NULL));
	assert_null(lnx_optset_get(r.set, "nope", "listen", NULL));
	run_done(&r);
}

static void empty_sections_and_values_mean_the_default(void **state)
{
	struct run r = { 0 };

	(void)state;
	assert_good(&r, "http:\ntriage: {llm: , name: null}\nwebhook.ops: ~\nslack:\n");
	assert_int_equal(r.http.max_clients, 64);
	assert_string_equal(r.triage.name, "");
	run_done(&r);
	assert_good(&r, "http:\n  max_clients:\n  listen: ''\n  allowed_hosts: []\n");
	assert_int_equal(r.http.max_clients, 64);
	assert_string_equal(r.http.listen, "");
	assert_null(r.http.allowed_hosts[0]);
	run_done(&r);
	assert_good(&r, "triage:\n  llm.model: flat\n");
	assert_string_equal(r.triage.model, "flat");
	run_done(&r);
}

static void durations_and_sizes_have_units(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
		const char *canonical;
	} durations[] = {
		{ "100ms", 100000000u, "100ms" },	{ "1h", 3600000000000u, "1h" },
		{ "1m30s", 90000000000u, "90s" },	{ "250000us", 250000000u, "250ms" },
		{ "100000000ns", 100000000u, "100ms" }, { "0.5m", 30000000000u, "30s" },
	};
	static const struct {
		const char *text;
		uint64_t bytes;
		const char *canonical;
	} sizes[] = {
		{ "1024", 1024, "1KiB" },	  { "1025", 1025, "1025" },
		{ "1GiB", 1u << 30, "1GiB" },	  { "1.5KiB", 1536, "1536" },
		{ "2048B", 2048, "2KiB" },	  { "'4096'", 4096, "4KiB" },
		{ "0.5MiB", 1u << 19, "512KiB" },
	};
	struct run r = { 0 };
	char yaml[128];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
		(void)snprintf(yaml, sizeof(yaml), "http: {timeout: %s}", durations[i].text);
		assert_good(&r, yaml);
		assert_int_equal(r.http.timeout_ns, durations[i].ns);
		assert_string_equal(lnx_optset_get(r.set, "http", "timeout", NULL),
				    durations[i].canonical);
		run_done(&r);
	}
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		(void)snprintf(yaml, sizeof(yaml), "http: {body: %s}", sizes[i].text);
		assert_good(&r, yaml);
		assert_int_equal(r.http.body_bytes, sizes[i].bytes);
		assert_string_equal(lnx_optset_get(r.set, "http", "body", NULL),
				    sizes[i].canonical);
		run_done(&r);
	}
}

/* ---- mistakes */

static void wrong_values_are_named_with_the_reason(void **state)
{
	static const struct {
		const char *value, *error;
	} cases[] = {
		{ "max_clients: 70000", "max_clients: 70000 is not in 1..65535" },
		{ "max_clients: 0", "max_clients: 0 is not in 1..65535" },
		{ "max_clients: -3", "max_clients: -3 is not in 1..65535" },
		{ "max_clients: 99999999999999999999",
		  "max_clients: 99999999999999999999 is not in 1..65535" },
		{ "max_clients: many", "max_clients: 'many' is not a whole number" },
		{ "max_clients: 1.5", "max_clients: '1.5' is not a whole number" },
		{ "max_clients: 0x10", "max_clients: '0x10' is not a whole number" },
		{ "max_clients: '64'",
		  "max_clients: '64' is text: write the number without quotes" },
		{ "max_clients: [1]", "max_clients: a single value is expected here, not a list" },
		{ "max_clients: {a: 1}",
		  "max_clients: a single value is expected here, not a map" },
		{ "big: -1", "big: '-1' is not in 0..18446744073709551615" },
		{ "big: 18446744073709551616",
		  "big: '18446744073709551616' is not in 0..18446744073709551615" },
		{ "ratio: 2", "ratio: 2 is not in 0..1" },
		{ "ratio: nan", "ratio: 'nan' is not a number" },
		{ "ratio: 1e999", "ratio: '1e999' is not a number" },
		{ "ratio: 0x1p-1", "ratio: '0x1p-1' is not a number" },
		{ "ratio: ''", "ratio: '' is text: write the number without quotes" },
		{ "allow_plaintext: maybe", "allow_plaintext: 'maybe' is not true or false" },
		{ "enabled: perhaps", "enabled: 'perhaps' is not true or false" },
		{ "mode: autom",
		  "mode: 'autom' is not one of auto, on, off (did you mean 'auto'?)" },
		{ "mode: zzzzz", "mode: 'zzzzz' is not one of auto, on, off" },
		{ "timeout: 10",
		  "timeout: '10' is not a duration such as 250ms, 10s, 5m, 1h or 1d" },
		{ "timeout: 1h30",
		  "timeout: '1h30' is not a duration such as 250ms, 10s, 5m, 1h or 1d" },
		{ "timeout: -1s",
		  "timeout: '-1s' is not a duration such as 250ms, 10s, 5m, 1h or 1d" },
		{ "timeout: 10S",
		  "timeout: '10S' is not a duration such as 250ms, 10s, 5m, 1h or 1d" },
		{ "timeout: 999999999d",
		  "timeout: '999999999d' is not a duration such as 250ms, 10s, 5m, 1h or 1d" },
		{ "timeout: 2h", "timeout: 2h is not in 100ms..1h" },
		{ "timeout: 0", "timeout: 0 is not in 100ms..1h" },
		{ "body: 64K", "body: '64K' is not a size such as 65536, 64KiB, 8MiB or 1GiB" },
		{ "body: 2GiB", "body: 2GiB is not in 1KiB..1GiB" },
		{ "allowed_hosts: {a: b}", "allowed_hosts: a list is expected here, not a map" },
		{ "allowed_hosts: [a, [b]]", "allowed_hosts: item 2 of the list is not a text" },
		{ "allowed_hosts: [a, ~]", "allowed_hosts: item 2 of the list is empty" },
		{ "allowed_hosts: 'a,,b'", "allowed_hosts: item 2 of the list is empty" },
		{ "listen: [a]", "listen: a single value is expected here, not a list" },
		{ "token: {s3cret: x}", "token: a single value is expected here, not a map" },
	};
	char yaml[256], error[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(yaml, sizeof(yaml), "http:\n  %s\n", cases[i].value);
		(void)snprintf(error, sizeof(error), "l.yaml:2:3: http.%s\n", cases[i].error);
		assert_errors(yaml, error);
	}
}

static void unknown_names_come_with_a_suggestion(void **state)
{
	(void)state;
	assert_errors("http: {max_client: 1}",
		      "l.yaml:1:8: http: unknown key 'max_client' (did you mean 'max_clients'?)\n");
	assert_errors("http: {quux: 1}", "l.yaml:1:8: http: unknown key 'quux'\n");
	assert_errors("htttp: {}", "l.yaml:1:1: unknown section 'htttp' (did you mean 'http'?)\n");
	assert_errors("slak: {}", "l.yaml:1:1: unknown section 'slak' (did you mean 'slack'?)\n");
	assert_errors("webhook.op: {}",
		      "l.yaml:1:1: unknown section 'webhook.op' (did you mean 'webhook.ops'?)\n");
	assert_errors(
		"triage: {llm: {endpont: x}}",
		"l.yaml:1:16: triage: unknown key 'llm.endpont' (did you mean 'llm.endpoint'?)\n");
	assert_errors("triage: {lm: {endpoint: x}}", "l.yaml:1:10: triage: unknown key 'lm'\n");
	assert_errors("triage: {name: {deep: x}}",
		      "l.yaml:1:10: triage.name: a single value is expected here, not a map\n");
}

static void wrong_kinds_of_nodes_are_refused(void **state)
{
	(void)state;
	assert_errors("http: 3",
		      "l.yaml:1:1: http: is a section: keys are expected, not a single value\n");
	assert_errors("slack: [a]",
		      "l.yaml:1:1: slack: is a section: keys are expected, not a list\n");
	assert_errors(
		"triage: {llm: on}",
		"l.yaml:1:10: triage: 'llm' holds keys: a map is expected, not a single value\n");
	assert_errors("triage: {llm: [a]}",
		      "l.yaml:1:10: triage: 'llm' holds keys: a map is expected, not a list\n");
	assert_errors("triage: {llm.model: a, llm: {model: b}}",
		      "l.yaml:1:30: triage: 'llm.model' was already given in line 1\n");
}

static void all_mistakes_are_reported_by_line_and_foreign_ones_last(void **state)
{
	static char *const env[] = { "LINNIX_HTTP_MODE=loud", "LINNIX_HTTP_BODY=1", NULL };
	static const char *const flags[] = { "http.ratio=7", "http.nope=1", "http.mode", NULL };
	struct run r = { .env = env, .flags = flags };

	(void)state;
	assert_int_equal(
		run_yaml(&r, "triage:\n  nme: x\nhttp:\n  ratio: x\n  max_clients: 0\nfoo: {}\n"),
		-EINVAL);
	assert_string_equal(errors_of(&r),
			    "l.yaml:2:3: triage: unknown key 'nme' (did you mean 'name'?)\n"
			    "l.yaml:4:3: http.ratio: 'x' is not a number\n"
			    "l.yaml:5:3: http.max_clients: 0 is not in 1..65535\n"
			    "l.yaml:6:1: unknown section 'foo'\n"
			    "flag http.nope: no such option\n"
			    "flag http.mode: '=' and a value are expected\n"
			    "LINNIX_HTTP_MODE: 'loud' is not one of auto, on, off\n"
			    "LINNIX_HTTP_BODY: 1 is not in 1KiB..1GiB\n"
			    "flag http.ratio: 7 is not in 0..1\n");
	run_done(&r);
}

static void too_many_mistakes_are_counted(void **state)
{
	struct lnx_buf b = { 0 };
	struct run r = { 0 };
	unsigned i, lines = 0;

	(void)state;
	lnx_buf_str(&b, "http:\n");
	for (i = 0; i < 300; i++)
		lnx_buf_printf(&b, "  wrong%u: 1\n", i);
	assert_int_equal(run_yaml(&r, b.data), -EINVAL);
	for (i = 0; i < r.errors.size; i++)
		lines += r.errors.data[i] == '\n';
	assert_int_equal(lines, 257);
	assert_non_null(strstr(r.errors.data, "l.yaml: 44 more errors\n"));
	lnx_buf_done(&b);
	run_done(&r);
}

static void messages_cannot_be_forged_and_hide_secrets(void **state)
{
	static const struct lnx_option secret[] = {
		{ "pin", LNX_OPT_U32, 0, "1", 1, 9999, .flags = LNX_OPTF_SECRET }, { 0 }
	};
	static char *const env[] = { "LINNIX_S_PIN=123456", "LINNIX_\033X=1", NULL };
	uint32_t pin = 0;
	struct lnx_section s = { "s", secret, &pin, sizeof(pin), 0 };
	struct lnx_bind_args args = { .env = env, .sections = &s, .n_sections = 1 };
	struct run r = { 0 };

	(void)state;
	assert_errors("http: {\"a\\nb\\x1b\": 1, ratio: \"x\\ny\"}",
		      "l.yaml:1:8: http: unknown key 'a?b?'\n"
		      "l.yaml:1:23: http.ratio: 'x?y' is text: write the number without quotes\n");
	assert_int_equal(lnx_option_bind(&args, &r.errors, &r.warnings, &r.set), -EINVAL);
	assert_string_equal(errors_of(&r), "LINNIX_S_PIN: *** is not in 1..9999\n");
	assert_string_equal(warnings_of(&r), "LINNIX_?X: unknown variable\n");
	run_done(&r);
	args.env = (char *const[]){ "LINNIX_S_PIN=12a", NULL };
	assert_int_equal(lnx_option_bind(&args, &r.errors, &r.warnings, &r.set), -EINVAL);
	assert_string_equal(errors_of(&r),
			    "LINNIX_S_PIN: the value (a secret) is not a whole number\n");
	run_done(&r);
}

static void wrong_tables_are_reported_not_trusted(void **state)
{
	static const struct lnx_option bad[] = {
		{ "ok", LNX_OPT_U32, 0, "1", .help = "" },
		{ "outside", LNX_OPT_U64, 4, "1", .help = "" },
		{ "far", LNX_OPT_U32, 4000000000u, "1", .help = "" },
		{ "typeless", 99, 0, "", .help = "" },
		{ "nameless", LNX_OPT_ENUM, 0, "", .help = "" },
		{ "ok", LNX_OPT_U32, 0, "1", .help = "" },
		{ "map", LNX_OPT_U32, 0, "1", .help = "" },
		{ "map.key", LNX_OPT_U32, 0, "1", .help = "" },
		{ "default", LNX_OPT_U32, 0, "many", .help = "" },
		{ "", LNX_OPT_U32, 0, "1", .help = "" },
		{ 0 },
	};
	uint64_t conf = 0;
	struct lnx_section s = { "p", bad, &conf, sizeof(conf), 0 };
	struct lnx_bind_args args = { .sections = &s, .n_sections = 1 };
	struct run r = { 0 };

	(void)state;
	assert_int_equal(lnx_option_bind(&args, &r.errors, &r.warnings, &r.set), -EINVAL);
	assert_string_equal(
		errors_of(&r),
		"p.outside: the option table is wrong: lies outside of the conf struct\n"
		"p.far: the option table is wrong: lies outside of the conf struct\n"
		"p.typeless: the option table is wrong: unknown type\n"
		"p.nameless: the option table is wrong: an enum without names\n"
		"p.ok: the option table is wrong: there twice, or both a key and a map\n"
		"p.map: the option table is wrong: there twice, or both a key and a map\n"
		"p.: the option table is wrong: bad name\n"
		"p.default: the built-in default is wrong: 'many' is not a whole number\n");
	run_done(&r);
	s.conf = NULL;
	assert_int_equal(lnx_option_bind(&args, &r.errors, &r.warnings, &r.set), -EINVAL);
	assert_non_null(strstr(errors_of(&r), "p.ok: the option table is wrong: lies outside"));
	run_done(&r);
}

static void required_options_must_be_given(void **state)
{
	static const struct lnx_option need[] = {
		{ "url", LNX_OPT_STR, 0, "", .flags = LNX_OPTF_REQUIRED },
		{ "port", LNX_OPT_U32, 8, NULL, 1, 9, .flags = LNX_OPTF_REQUIRED },
		{ 0 },
	};
	struct {
		const char *url;
		uint32_t port, pad;
	} conf = { 0 };
	struct lnx_section s = { "hook", need, &conf, sizeof(conf), 0 };
	struct lnx_bind_args args = { .file = "f", .sections = &s, .n_sections = 1 };
	struct run r = { 0 };
	struct lnx_err err;

	(void)state;
	assert_int_equal(lnx_option_bind(&args, &r.errors, &r.warnings, &r.set), -EINVAL);
	assert_string_equal(errors_of(&r), "hook.url: is required (or set LINNIX_HOOK_URL)\n"
					   "hook.port: is required (or set LINNIX_HOOK_PORT)\n");
	run_done(&r);
	assert_int_equal(lnx_conf_parse("\nhook: {url: '', port: 77}", 26, &r.root, &err), 0);
	args.root = r.root;
	assert_int_equal(lnx_option_bind(&args, &r.errors, &r.warnings, &r.set), -EINVAL);
	assert_string_equal(errors_of(&r), "f:2:1: hook.url: is required (or set LINNIX_HOOK_URL)\n"
					   "f:2:17: hook.port: 77 is not in 1..9\n");
	run_done(&r);
	assert_int_equal(lnx_conf_parse("hook: {enabled: false}", 22, &r.root, &err), 0);
	args.root = r.root;
	assert_int_equal(lnx_option_bind(&args, &r.errors, &r.warnings, &r.set), 0);
	assert_int_equal(s.enabled, 0);
	assert_string_equal(conf.url, "");
	run_done(&r);
}

static void a_table_may_have_its_own_enabled(void **state)
{
	static const char *const words[] = { "auto", "true", "false", NULL };
	static const struct lnx_option k8s[] = {
		{ "enabled", LNX_OPT_ENUM, 0, "auto", .names = words }, { 0 }
	};
	static const struct {
		const char *yaml;
		uint32_t conf, enabled;
	} cases[] = { { "k8s: {}", 0, 2 },
		      { "k8s: {enabled: auto}", 0, 2 },
		      { "k8s: {enabled: yes}", 1, 1 },
		      { "k8s: {enabled: off}", 2, 0 } };
	uint32_t conf = 9;
	struct lnx_section s = { "k8s", k8s, &conf, sizeof(conf), 0 };
	struct run r = { 0 };
	struct lnx_err err;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lnx_bind_args args = { .sections = &s, .n_sections = 1 };

		assert_int_equal(
			lnx_conf_parse(cases[i].yaml, strlen(cases[i].yaml), &r.root, &err), 0);
		args.root = r.root;
		assert_int_equal(lnx_option_bind(&args, &r.errors, &r.warnings, &r.set), 0);
		assert_int_equal(conf, cases[i].conf);
		assert_int_equal(s.enabled, cases[i].enabled);
		run_done(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_file_the_defaults_hold),
		cmocka_unit_test(every_type_is_read_from_the_file),
		cmocka_unit_test(what_is_right_can_be_kept_beside_what_is_wrong),
		cmocka_unit_test(empty_sections_and_values_mean_the_default),
		cmocka_unit_test(durations_and_sizes_have_units),
		cmocka_unit_test(wrong_values_are_named_with_the_reason),
		cmocka_unit_test(unknown_names_come_with_a_suggestion),
		cmocka_unit_test(wrong_kinds_of_nodes_are_refused),
		cmocka_unit_test(all_mistakes_are_reported_by_line_and_foreign_ones_last),
		cmocka_unit_test(too_many_mistakes_are_counted),
		cmocka_unit_test(messages_cannot_be_forged_and_hide_secrets),
		cmocka_unit_test(wrong_tables_are_reported_not_trusted),
		cmocka_unit_test(required_options_must_be_given),
		cmocka_unit_test(a_table_may_have_its_own_enabled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
