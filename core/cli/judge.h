/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What `selftest` says of the agent's blame, held against what this machine measured. */
#ifndef LNX_CLI_JUDGE_H
#define LNX_CLI_JUDGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct lnx_cli;

/* True, as the kernel and the scene tell it. */
struct lnx_judge_truth {
	uint64_t victim_id, bully_id; /* cgroups */
	double psi_ms;		      /* the victim's pressure, NAN: none to compare with */
	double bully_ms;	      /* CPU time that the bully used meanwhile */
};

struct lnx_judge {
	const struct lnx_cli *cli;
	json_t *results; /* array of {check, ok, found}; owned by the caller */
	unsigned n_failed;
	char tier[32]; /* as /status tells it for the CPU */
};

/* One result: printed, and kept for JSON. */
void lnx_judge_result(struct lnx_judge *j, bool is_ok, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* A figure of the agent agrees with the kernel's. */
bool lnx_judge_is_near(double got, double want);
/* Judge <victim>, one of the victims that GET /blame told; NULL: it told none. */
void lnx_judge_blame(struct lnx_judge *j, const struct lnx_judge_truth *truth,
		     const json_t *victim);

#endif
