/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Checks of `linnix doctor`. Each adds findings; the verb prints them. */
#ifndef LNX_CLI_DOCTOR_H
#define LNX_CLI_DOCTOR_H

#include <jansson.h>
#include <linnix/buf.h>
#include <stdbool.h>

struct lnx_cli;

/* enum lnx_finding */
#define LNX_FINDING_OK	 0
#define LNX_FINDING_WARN 1 /* something works less well */
#define LNX_FINDING_FAIL 2

#define LNX_DOCTOR_MAX_FINDINGS 128

struct lnx_finding {
	int level;	  /* enum lnx_finding */
	const char *name; /* of the check; literal */
	char *what, *fix; /* owned; fix "" when there is nothing to fix */
};

struct lnx_doctor {
	const struct lnx_cli *cli;
	const char *proc_root, *sys_root; /* "/proc", "/sys"; others in tests */
	const char *config;		  /* file to check */
	bool is_config_given;
	struct lnx_finding findings[LNX_DOCTOR_MAX_FINDINGS];
	unsigned n_findings, n_left_out;

	/* Found out on the way, for later checks. */
	json_t *status; /* GET /status of the agent, or NULL */
	bool is_agent_up, agent_has_probes;
	bool has_btf, can_load, has_cgroup2;
};

/* Add a finding. <fix>: plain text, "" for none. */
void lnx_doctor_add(struct lnx_doctor *d, int level, const char *name, const char *fix,
		    const char *what_fmt, ...) __attribute__((format(printf, 5, 6)));

/* Read a small file under proc_root or sys_root ("pressure/cpu"). Returns its bytes or -errno; NUL terminated. */
int lnx_doctor_read(const char *root, const char *path, char *ret_text, size_t cap);

void lnx_doctor_host(struct lnx_doctor *d);  /* kernel, BTF, PSI, cgroups */
void lnx_doctor_privs(struct lnx_doctor *d); /* capabilities */
void lnx_doctor_bpf(struct lnx_doctor *d);   /* loads programs and maps */
/* Ask the agent; fills status. Other checks come after it. */
void lnx_doctor_ask(struct lnx_doctor *d);
void lnx_doctor_agent(struct lnx_doctor *d);  /* reachable, ready, probes, plugins, rules, losses */
void lnx_doctor_config(struct lnx_doctor *d); /* linnixd --check-config */
void lnx_doctor_node(struct lnx_doctor *d);   /* NODE_NAME */

#endif
