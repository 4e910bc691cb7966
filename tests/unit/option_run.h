/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Sections with options of every type, for the tests of option.c. */
#ifndef LNX_OPTION_RUN_H
#define LNX_OPTION_RUN_H

#include "option.h"

struct http_conf {
	const char *listen, *token;
	const char *const *allowed_hosts;
	uint32_t max_clients, allow_plaintext, mode, pad;
	uint64_t timeout_ns, body_bytes, big;
	double ratio;
	const char *tls_cert_file;
};

struct triage_conf {
	const char *endpoint, *model, *name;
	uint32_t allow_remote;
};

/* One bind of http, triage and webhook.ops, with what came out of it. */
struct run {
	struct http_conf http;
	struct triage_conf triage;
	struct lnx_section sections[3];
	struct lnx_buf errors, warnings;
	struct lnx_optset *set;
	struct lnx_node *root;
	const char *const *flags;
	char *const *env;
	uint32_t keeps_wrong;
	int rc;
};

int run_bind(struct run *r);
int run_yaml(struct run *r, const char *yaml);
void run_done(struct run *r);
/* "" when there is none. */
const char *errors_of(struct run *r);
const char *warnings_of(struct run *r);
/* <yaml> must give exactly <errors>. */
void assert_errors(const char *yaml, const char *errors);
void assert_good(struct run *r, const char *yaml);

#endif
