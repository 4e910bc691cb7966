/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Limits and memory of a cgroup from its files: cgroup2 first, else the v1 controller's folder of the same path. */
#ifndef LNX_WORKLOAD_USAGE_H
#define LNX_WORKLOAD_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct usage_files {
	bool has_memory;	     /* a memory controller counts it */
	uint64_t anon_bytes;	     /* v2 anon + shmem + swap; v1 total_rss + total_swap */
	double working_set_bytes;    /* usage without inactive file pages; NaN when not known */
	double pinned_bytes;	     /* usage without any file pages; NaN when not known */
	bool is_v2;		     /* the memory controller is of v2 */
	double cpu_limit_cores;	     /* its own quota; 0: none */
	uint64_t memory_limit_bytes; /* its own; 0: none */
	/* since it was made; NaN when no CPU controller counts it. Throttled time sums the queues of all CPUs. */
	double throttled_total_ms, cfs_periods, throttled_periods;
};

/* Nothing of it is known. */
void usage_unknown(struct usage_files *ret_files);
/* <root>: of the v2 hierarchy; v1 controllers are looked for beside it. */
void usage_read(const char *root, const char *path, struct usage_files *ret_files);

/* Memory of <path> alone, if it has a limit: bytes left of it, and the limit. 0, or -ENOENT: there is none. */
int usage_room(const char *root, const char *path, double *ret_room_bytes,
	       uint64_t *ret_limit_bytes);
/* Processes that were killed at the memory limit of <path> or (v2) below it, since it was made; 0 when nobody counts. */
uint64_t usage_oom_kills(const char *root, const char *path);

/* The nearest limit of the number of tasks from <path> up, and how many are below it; the path that carries it goes to
 * <ret_owner>. 0, or -ENOENT: there is none. */
int usage_pids(const char *root, const char *path, uint64_t *ret_pids, uint64_t *ret_max,
	       char *ret_owner, size_t cap);

#endif
