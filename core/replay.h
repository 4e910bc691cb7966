/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Rules over a recording, in virtual time: what fires, and when. The same bytes and rules give the same result. */
#ifndef LNX_REPLAY_H
#define LNX_REPLAY_H

#include "rec.h"

#define LNX_REPLAY_FIRES 100000 /* alerts that are kept; more are counted */
#define LNX_REPLAY_RULES 256	/* rules whose recorded alerts are counted apart */

struct lnx_replay_conf {
	const void *data; /* of the recording, borrowed */
	size_t size;
	const char *plugins_dir;  /* may be NULL */
	const char *const *dirs;  /* of rules; NULL at the end */
	const char *const *files; /* instead of dirs; may be NULL */
};

/* One alert, from its beginning to its end. */
struct lnx_replay_fire {
	char rule[64], comm[32];
	char *workload, *say; /* owned; never NULL */
	uint32_t severity;    /* enum lnx_severity: the highest */
	uint32_t kind, pid;   /* of the subject: enum lnx_subject_kind */
	uint64_t start_ns, cgroup_id;
	uint64_t since_ns; /* the condition began */
	uint64_t fired_ns;
	uint64_t resolved_ns; /* 0: fires at the end */
	uint64_t seq;	      /* event of the recording that made it fire; 0: time did */
	double value, threshold;
	uint64_t key;	    /* what the rule groups by, as a number */
	uint32_t next_open; /* place + 1 of another of the same bucket that fires; 0: none */
};

struct lnx_replay {
	struct lnx_rec_report report;
	struct lnx_replay_fire *fires; /* in the order in which they fired */
	size_t n, cap;
	uint64_t left_out, disabled; /* alerts beyond the limit; rules that failed too often */
	char disabled_why[512];	     /* the first of them */
	uint64_t failed;	     /* calls of rules that failed */
	char failed_why[512];
	unsigned n_rules;
	struct {
		char rule[64];
		uint64_t n;
	} recorded[LNX_REPLAY_RULES]; /* alerts that began to fire on the live machine */
	unsigned n_recorded;
};

/* <errors> gets a line for each mistake of the rules. Returns 0; -EINVAL: the rules are bad (lines in <errors>) or the
 * recording is (err->msg); -ENOMEM. */
int lnx_replay_run(const struct lnx_replay_conf *conf, struct lnx_buf *errors,
		   struct lnx_replay *ret_replay, struct lnx_err *err);
void lnx_replay_done(struct lnx_replay *r);

#endif
