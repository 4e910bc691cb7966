/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Insides of plugin proc: the instance, its refreshes, and the reader of /proc. */
#ifndef PLUGINS_PROC_H
#define PLUGINS_PROC_H

#include <linnix/host.h>
#include <linnix/rec_proc.h>
#include <stdint.h>

#include "table.h"

#define PROC_GAPS_MAX	  64 /* processes read from /proc in one refresh that works otherwise */
#define PROC_TICK_NS	  1000000000ULL /* at most one refresh in this time */
#define PROC_STATE_ZOMBIE 5		/* index into lnx_proc_state_names */

/* ---- /proc, when there is no probe */

struct proc_scan {
	char proc_root[256], cgroup_root[256];
	uint64_t ts_ns; /* stamped on every record */
	uint64_t tick_ns;
	uint32_t max_records;
	struct lnx_rec_proc *records; /* owned */
	uint32_t n, cap;
	uint32_t skipped;      /* beyond max_records */
	char cgroup_path[512]; /* of the last cgroup, and its id */
	uint64_t cgroup_id;
};

/* Fill <s> with every process. Any thread. Returns 0, -ENOMEM, or why proc_root cannot be read. */
int proc_scan_run(struct proc_scan *s);
/* Every pid in proc_root, until <each> returns non-zero. 0 or -errno. */
int proc_scan_pids(const char *proc_root, int (*each)(void *arg, uint32_t pid), void *arg);
/* One process. -ESRCH: it is gone; -EINVAL: what is there makes no sense. */
int proc_scan_one(struct proc_scan *s, uint32_t pid, struct lnx_rec_proc *ret_rec);
void proc_scan_free(struct proc_scan *scan); /* NULL is fine */

/* ---- the instance */

struct proc_conf {
	uint64_t repair_ns;
	const char *proc_root, *cgroup_root;
	uint32_t max_processes;
	uint32_t pad;
};

struct proc_state {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	const struct proc_conf *conf;
	struct proc_table table;
	struct lnx_timer *timer;
	struct proc_scan *scan; /* running on a worker, or NULL */
	uint64_t last_pass_ns, want_until_ns, gaps_ns;
	uint32_t pass, n_missing, n_zombies, n_untracked, n_hidden;
	uint32_t is_started, uses_scan, is_stopped;
	struct lnx_metric *m_live, *m_exited, *m_zombie, *m_untracked, *m_refused, *m_ghosts;
	struct lnx_metric *m_strings, *m_by_probe, *m_by_scan, *m_hidden;
};

/* Bring everything up to date. Publishes only when asked: who calls the service must not be re-entered.
 * Without the probe the figures come later, from a worker. 0 or -errno. */
int proc_refresh(struct proc_state *s, int is_publishing);

#endif
