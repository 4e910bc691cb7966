/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the files of plugin `enforce` share. Loop thread only. */
#ifndef LNX_ENFORCE_H
#define LNX_ENFORCE_H

#include <jansson.h>
#include <linnix/buf.h>
#include <linnix/ev_action.h>
#include <linnix/ev_alert.h>
#include <linnix/ev_incident.h>
#include <linnix/plugin.h>
#include <linnix/svc_enforce.h>
#include <linnix/svc_http.h>
#include <linnix/svc_incident.h>
#include <linnix/svc_proc.h>
#include <linnix/svc_stall.h>
#include <linnix/svc_store.h>
#include <linnix/svc_workload.h>
#include <sys/types.h>

#include "undo.h"

#define ENF_SEC		 UNDO_SEC
#define ENF_ACTS	 64	     /* in memory, those that wait, are in force, or are over */
#define ENF_TREE	 GUARD_CONTS /* processes that one action may signal */
#define ENF_LOOKED_AT	 8192 /* processes of a cgroup that are checked against the protected ones */
#define ENF_ANCESTORS	 32
#define ENF_KEYS	 16 /* alerts that ask for the same; of more, the last ones are not waited for */
#define ENF_HOURLY	 64 /* applied actions that are remembered: the most of max_per_hour */
#define ENF_SETTLE	 (2 * ENF_SEC) /* the window in which it was done is neither before nor after */
#define ENF_HELPED_RATIO 0.8	       /* of the stall of before, and 10 ms/s less at least */
#define ENF_HELPED_MS	 10
#define ENF_OWED_DOC	 (1u << 31)
#define ENF_QUIET	 (600 * ENF_SEC) /* what was turned down is not asked for again for so long */

struct enf_conf {
	uint32_t dry_run, max_per_hour;
	const char *const *auto_rules;
	const char *const *verbs;
	const char *const *protect;
	uint64_t grace_ns, ask_for_ns, lease_ns, max_lease_ns, measure_ns;
	const char *journal, *guardian, *cgroup_root;
};

/* enum enf_phase: of an action on its way; its state is what the world knows */
#define ENF_IDLE       0
#define ENF_JOURNALING 1
#define ENF_GUARDING   2 /* the guardian is to acknowledge */
#define ENF_IN_FORCE   3
#define ENF_LEFT       4 /* it could not be taken back: that is tried again */

/* A process to be signalled. */
struct enf_proc {
	uint32_t pid;
	uint64_t start_ticks, cgroup_id;
};

struct act {
	struct act *next; /* newest first */
	char id[UNDO_ID], incident[LNX_ULID_MAX];
	char rule[64], workload[128], namespace_[64], comm[20], victim[192];
	char reason[256], plan[768], by[LNX_ENFORCE_WHO_MAX], text[LNX_ENFORCE_TEXT_MAX];
	uint32_t verb, signal, state, outcome, is_auto, phase;
	double value;
	uint32_t pid;
	uint64_t start_ns, cgroup_id, victim_cgroup_id;
	char path[512]; /* of the cgroup, v2 */
	uint64_t asked_ns, asked_wall_ns;
	uint64_t due_ns;	/* proposed: end of the grace period, or it expires */
	uint64_t lease_ns;	/* how long */
	uint64_t applied_ns;	/* 0: never */
	uint64_t until_ns;	/* end of the lease */
	uint64_t over_ns;	/* when it came to an end */
	uint64_t again_ns;	/* its lease ended: when to look whether all is as before; 0: not */
	double before, after;	/* ms/s; NaN: not measured */
	struct undo *undo;	/* owned; NULL: nothing to take back */
	struct enf_proc *procs; /* owned */
	uint32_t n_undo, n_procs;
	uint32_t is_measured, n_keys;
	uint32_t
		owed; /* what the store did not take: entries of the log by state, and ENF_OWED_DOC */
	uint64_t keys[ENF_KEYS]; /* alerts that fire and ask for it */
};

struct guard {
	pid_t pid; /* 0: none runs */
	int fd, pidfd;
	struct lnx_fd *watch, *death;
};

struct enforce {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	const struct enf_conf *conf;
	const struct lnx_svc_proc *proc;
	const struct lnx_svc_workload *workload;
	const struct lnx_svc_store *store;
	const struct lnx_svc_stall *stall;	 /* NULL: outcomes are not measured */
	const struct lnx_svc_incident *incident; /* may be NULL */
	const struct lnx_svc_http *http;	 /* may be NULL */
	void *proc_self, *workload_self, *store_self, *stall_self, *incident_self, *http_self;
	struct act *newest;
	uint32_t n;
	uint64_t hourly[ENF_HOURLY]; /* Unix times of applied actions, a ring */
	uint32_t n_hourly;
	struct lnx_timer *tick;
	char v2_root[256], cpu_root[256], freezer_root[256];
	int journal; /* -1: not open */
	int journal_rc;
	uint32_t n_journaling; /* lines that a worker has */
	json_t *left; /* NULL or an object: lines of an earlier run that could not be undone, by id */
	uint32_t n_left; /* in it */
	json_t *ended; /* NULL or an object: how those of an earlier run came to their end, by id */
	uint32_t n_told_left; /* in health */
	uint64_t retry_ns;    /* when those of an earlier run are tried again */
	uint32_t is_stopping, is_recovered;
	struct guard guard;
	char view_id[128]; /* of what enforce/1 lends */
	struct lnx_metric *m_states[9], *m_repeated, *m_dropped, *m_in_force;
};

#endif
