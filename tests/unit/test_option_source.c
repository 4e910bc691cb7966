/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Where values of options come from: flag, environment, file, default.
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

static void flag_beats_environment_beats_file_beats_default(void **state)
{
	static char *const env[] = { "LINNIX_HTTP_LISTEN=env",
				     "LINNIX_HTTP_MAX_CLIENTS=7",
				     "LINNIX_HTTP_ALLOWED_HOSTS=a, b",
				     "LINNIX_TRIAGE_LLM_MODEL=e",
				     "LINNIX_WEBHOOK_OPS_ENABLED=1",
				     "PATH=/bin",
				     "odd",
				     NULL };
	static const char *const flags[] = { "http.listen=first", "http.listen=flag=x",
					     "webhook.ops.enabled=no", NULL };
	struct run r = { .env = env, .flags = flags };
	int origin;

	(void)state;
	assert_good(&r, "http: {listen: file, max_clients: 6, body: 2KiB}");
	assert_string_equal(r.http.listen, "flag=x");
	assert_int_equal(r.http.max_clients, 7);
	assert_int_equal(r.http.body_bytes, 2048);
	assert_string_equal(r.http.allowed_hosts[0], "a");
	assert_string_equal(r.http.allowed_hosts[1], "b");
	assert_string_equal(r.triage.model, "e");
	assert_int_equal(r.sections[2].enabled, 0);
	lnx_optset_get(r.set, "http", "listen", &origin);
	assert_int_equal(origin, LNX_FROM_FLAG);
	lnx_optset_get(r.set, "http", "max_clients", &origin);
	assert_int_equal(origin, LNX_FROM_ENV);
	lnx_optset_get(r.set, "http", "body", &origin);
	assert_int_equal(origin, LNX_FROM_FILE);
	assert_string_equal(warnings_of(&r), "");
	run_done(&r);
}

static void a_hidden_value_is_checked_too(void **state)
{
	static char *const env[] = { "LINNIX_HTTP_MAX_CLIENTS=7", NULL };
	struct run r = { .env = env };

	(void)state;
	assert_int_equal(run_yaml(&r, "http: {max_clients: x}"), -EINVAL);
	assert_string_equal(errors_of(&r),
			    "l.yaml:1:8: http.max_clients: 'x' is not a whole number\n");
	run_done(&r);
}

static void unknown_variables_only_warn(void **state)
{
	static char *const env[] = {
		"LINNIX_HTTP_LISTN=x",	    "LINNIX_URL=u",
		"LINNIX_API_TOKEN=t",	    "LINNIX_CHAIN_PRIVATE_KEY=k",
		"LINNIX_AGENT_PORT=tcp://", "LINNIX_PORT_3000_TCP_ADDR=1.2.3.4",
		"LINNIX_SERVICE_HOST=h",    "LINNIX_SLACK_WEBHOOK_URL_FILE=f",
		"LINNIX_ZZZZZZZZZZZZ=1",    NULL
	};
	struct run r = { .env = env };

	(void)state;
	assert_int_equal(run_bind(&r), 0);
	assert_string_equal(
		warnings_of(&r),
		"LINNIX_HTTP_LISTN: unknown variable (did you mean LINNIX_HTTP_LISTEN?)\n"
		"LINNIX_ZZZZZZZZZZZZ: unknown variable\n");
	run_done(&r);
}

static void chain_key_of_the_file_wins_over_the_environment(void **state)
{
	static const struct lnx_option chain[] = {
		{ "private_key", LNX_OPT_STR, 0, "", .flags = LNX_OPTF_SECRET }, { 0 }
	};
	static char *const env[] = { "LINNIX_CHAIN_PRIVATE_KEY=env", NULL };
	const char *conf = NULL;
	struct lnx_section s = { "chain", chain, &conf, sizeof(conf), 0 };
	struct lnx_bind_args args = { .env = env, .sections = &s, .n_sections = 1 };
	struct run r = { 0 };
	struct lnx_err err;
	int origin;

	(void)state;
	assert_int_equal(lnx_option_bind(&args, &r.errors, &r.warnings, &r.set), 0);
	assert_string_equal(conf, "env");
	run_done(&r);
	assert_int_equal(lnx_conf_parse("chain: {private_key: file}", 26, &r.root, &err), 0);
	args.root = r.root;
	assert_int_equal(lnx_option_bind(&args, &r.errors, &r.warnings, &r.set), 0);
	assert_string_equal(conf, "file");
	assert_string_equal(lnx_optset_get(r.set, "chain", "private_key", &origin), "***");
	assert_int_equal(origin, LNX_FROM_FILE);
	run_done(&r);
}

static void node_name_may_come_from_the_downward_api(void **state)
{
	static const struct lnx_option node[] = { { "name", LNX_OPT_STR, 0, "", .help = "" },
						  { 0 } };
	const char *conf = NULL;
	struct lnx_section s = { "node", node, &conf, sizeof(conf), 0 };
	struct lnx_bind_args args = { .sections = &s, .n_sections = 1 };
	struct run r = { 0 };

	(void)state;
	args.env = (char *const[]){ "NODE_NAME=k8s-1", NULL };
	assert_int_equal(lnx_option_bind(&args, &r.errors, &r.warnings, &r.set), 0);
	assert_string_equal(conf, "k8s-1");
	run_done(&r);
	args.env = (char *const[]){ "LINNIX_NODE_NAME=own", "NODE_NAME=k8s-1", NULL };
	assert_int_equal(lnx_option_bind(&args, &r.errors, &r.warnings, &r.set), 0);
	assert_string_equal(conf, "own");
	run_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flag_beats_environment_beats_file_beats_default),
		cmocka_unit_test(a_hidden_value_is_checked_too),
		cmocka_unit_test(unknown_variables_only_warn),
		cmocka_unit_test(chain_key_of_the_file_wins_over_the_environment),
		cmocka_unit_test(node_name_may_come_from_the_downward_api),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
