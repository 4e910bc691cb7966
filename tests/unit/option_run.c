/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Sections with options of every type, for the tests of option.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "option_run.h"

#define AT(type, member) (uint32_t) offsetof(struct type, member)

static const char *const modes[] = { "auto", "on", "off", NULL };

static const struct lnx_option http_options[] = {
	{ "listen", LNX_OPT_STR, AT(http_conf, listen), "127.0.0.1:3000", .help = "Address." },
	{ "token", LNX_OPT_STR, AT(http_conf, token), "", .flags = LNX_OPTF_SECRET },
	{ "allowed_hosts", LNX_OPT_LIST, AT(http_conf, allowed_hosts), "", .help = "" },
	{ "max_clients", LNX_OPT_U32, AT(http_conf, max_clients), "64", 1, 65535,
	  .flags = LNX_OPTF_RELOAD },
	{ "allow_plaintext", LNX_OPT_BOOL, AT(http_conf, allow_plaintext), "false", .help = "" },
	{ "mode", LNX_OPT_ENUM, AT(http_conf, mode), "auto", .names = modes },
	{ "timeout", LNX_OPT_DURATION, AT(http_conf, timeout_ns), "10s", 1e8, 3.6e12, .help = "" },
	{ "body", LNX_OPT_SIZE, AT(http_conf, body_bytes), "64KiB", 1024, 1 << 30, .help = "" },
	{ "big", LNX_OPT_U64, AT(http_conf, big), "0", .help = "" },
	{ "ratio", LNX_OPT_F64, AT(http_conf, ratio), "0.5", 0, 1, .help = "" },
	{ "tls_cert_file", LNX_OPT_PATH, AT(http_conf, tls_cert_file), "", .help = "" },
	{ 0 },
};

static const struct lnx_option triage_options[] = {
	{ "llm.endpoint", LNX_OPT_STR, AT(triage_conf, endpoint), "", .help = "" },
	{ "name", LNX_OPT_STR, AT(triage_conf, name), "", .help = "" },
	{ "llm.model", LNX_OPT_STR, AT(triage_conf, model), "small", .help = "" },
	{ "llm.allow_remote", LNX_OPT_BOOL, AT(triage_conf, allow_remote), "no", .help = "" },
	{ 0 },
};

static const char *const known[] = { "slack", "alertmanager", NULL };

int run_bind(struct run *r)
{
	struct lnx_bind_args args = { .file = "l.yaml",
				      .root = r->root,
				      .env = r->env,
				      .flags = r->flags,
				      .sections = r->sections,
				      .n_sections = 3,
				      .known = known,
				      .keeps_wrong = r->keeps_wrong };

	r->sections[0] = (struct lnx_section){ "http", http_options, &r->http, sizeof(r->http), 9 };
	r->sections[1] =
		(struct lnx_section){ "triage", triage_options, &r->triage, sizeof(r->triage), 9 };
	r->sections[2] = (struct lnx_section){ "webhook.ops", NULL, NULL, 0, 9 };
	r->rc = lnx_option_bind(&args, &r->errors, &r->warnings, &r->set);
	return r->rc;
}

int run_yaml(struct run *r, const char *yaml)
{
	struct lnx_err err;

	assert_int_equal(lnx_conf_parse(yaml, strlen(yaml), &r->root, &err), 0);
	return run_bind(r);
}

void run_done(struct run *r)
{
	lnx_optset_free(r->set);
	lnx_conf_free(r->root);
	lnx_buf_done(&r->errors);
	lnx_buf_done(&r->warnings);
	memset(r, 0, sizeof(*r));
}

const char *errors_of(struct run *r)
{
	return r->errors.data ? r->errors.data : "";
}

const char *warnings_of(struct run *r)
{
	return r->warnings.data ? r->warnings.data : "";
}

void assert_errors(const char *yaml, const char *errors)
{
	struct run r = { 0 };

	assert_int_equal(run_yaml(&r, yaml), -EINVAL);
	assert_string_equal(errors_of(&r), errors);
	assert_null(r.set);
	assert_null(r.http.listen);
	assert_int_equal(r.sections[0].enabled, 9);
	run_done(&r);
}

void assert_good(struct run *r, const char *yaml)
{
	int rc = run_yaml(r, yaml);

	assert_string_equal(errors_of(r), "");
	assert_int_equal(rc, 0);
}
