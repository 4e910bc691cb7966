/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The cgroups that plugin psi reads. */
#ifndef PLUGINS_PSI_CGROUPS_H
#define PLUGINS_PSI_CGROUPS_H

#include <linnix/ev_workload.h>
#include <linnix/host.h>

#include "parse.h"

#define PSI_READS_PER_S 500	      /* of files of cgroups */
#define PSI_PATH_MAX	1000	      /* bytes of the path of a cgroup */
#define PSI_COLD_AFTER	3	      /* reads without a change */
#define PSI_COLD_NS	5000000000ULL /* a cold one is read at least so often, if the budget allows */

struct psi_cgroup {
	struct psi_cgroup *prev, *next; /* in the order they were found: parents first */
	struct psi_cgroup *hash_next;
	uint64_t id, read_ns; /* read_ns 0: never */
	uint64_t total_us[PSI_N][2];
	uint64_t system_us[PSI_N]; /* the machine's total when this one was read */
	int fd[PSI_N];		   /* kept open, or -1 */
	uint32_t pass;		   /* last walk that saw it */
	uint32_t unmoved;	   /* reads in a row without a change */
	uint32_t is_due;	   /* no window without a stall was told since the last one with */
	uint32_t path_bytes;
	char path[]; /* without a slash in front */
};

struct psi_cgroups {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	int root_fd; /* -1: no v2 hierarchy */
	uint64_t root_id;
	uint32_t max, max_fds;
	uint32_t n, n_fds, pass, is_walking;
	struct psi_cgroup *first, *last;
	struct psi_cgroup *walk_at;	     /* next folder to look into */
	struct psi_cgroup *hot_at, *cold_at; /* next to read */
	struct psi_cgroup **bucket;
	double tokens; /* reads that may be made now */
	uint64_t tokens_ns, cold_ns;
	uint64_t refused, skipped, reads; /* counters */
	struct lnx_buf buf;
};

/* -ENOMEM, or why the root cannot be opened (then only done() may be called). */
int psi_cgroups_init(struct psi_cgroups *c, const char *root, uint32_t max, uint32_t max_fds);
void psi_cgroups_done(struct psi_cgroups *c);
/* Begin a walk over all folders; step looks into <n> of them and returns whether more are left. */
void psi_walk_begin(struct psi_cgroups *c);
int psi_walk_step(struct psi_cgroups *c, uint32_t n);
void psi_cgroup_made(struct psi_cgroups *c, const struct lnx_ev_cgroup *ev);
void psi_cgroup_gone(struct psi_cgroups *c, uint64_t id);
const struct psi_cgroup *psi_cgroup_find(const struct psi_cgroups *c, uint64_t id);
/* Read what is due within the budget, the hot ones first, and publish what moved. <system_us>: totals of
 * the machine now; where one stands still no cgroup's can have moved. */
void psi_cgroups_read(struct psi_cgroups *c, uint64_t now_ns, const uint64_t system_us[PSI_N],
		      int is_busy);

#endif
