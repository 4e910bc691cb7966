/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Reads probe "mem". How long a cgroup was held up is close to PSI; who is to blame is a heuristic: the pages that each
 * cgroup below the contended limit allocated in the window. */
#ifndef LNX_STALL_MEM_H
#define LNX_STALL_MEM_H

#include "res.h"

#define STALL_MEM_CPUS 1024

/* Where memory was short. */
struct stall_mem_scope {
	void *arg;
	/* Handle of the level that held <victim> up: a limit above it, or the machine. <0: not known. */
	int (*contended)(void *arg, uint64_t victim);
	int (*is_below)(void *arg, uint64_t cgroup_id, int level);
};

struct stall_mem_alloc {
	uint64_t cgroup_id; /* 0 free: kernel threads are not kept */
	uint64_t pages;	    /* at the last look */
	uint64_t delta;
	uint64_t used_ns;
	uint32_t seen, pad;
};

struct stall_mem {
	struct stall_gates gates;
	struct stall_mem_alloc *alloc; /* STALL_RES_GATES */
	uint32_t n_alloc, n_cpus;
	uint64_t *values; /* n_cpus */
};

int stall_mem_init(struct stall_mem *m, uint32_t n_cpus); /* possible CPUs; 0 or -ENOMEM */
void stall_mem_done(struct stall_mem *m);
/* Before the probe is attached. */
void stall_mem_reset(struct stall_mem *m, const struct stall_res_maps *maps);
/* The window since the last look. */
void stall_mem_read(struct stall_mem *m, const struct stall_res_maps *maps,
		    const struct stall_mem_scope *scope, uint64_t now_ns,
		    struct stall_res_window *ret_w);

/* Pages that a cgroup allocated in the last window. */
uint64_t stall_mem_pages(const struct stall_mem *m, uint64_t cgroup_id);

#endif
