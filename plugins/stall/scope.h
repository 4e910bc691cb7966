/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Where cgroups stand in the hierarchies of the memory and blkio controllers: which limit a victim of memory met and who
 * is below it, and whose requests those of a v1 cgroup are. */
#ifndef LNX_STALL_SCOPE_H
#define LNX_STALL_SCOPE_H

#include <stdint.h>

#define STALL_SCOPE_VICTIMS 256	 /* of one window; of others the limit is not known */
#define STALL_SCOPE_V1	    4096 /* as many as there are names */

struct stall;

/* Of one victim in this window. */
struct stall_scope_victim {
	uint64_t cgroup_id;
	char *path; /* of the level in the memory hierarchy, "" the machine; owned. NULL: not known */
	uint16_t limit; /* of limits[]; 0: the machine, or not known */
};

struct stall_scope_v1 {
	uint64_t v1_id, v2_id;
};

struct stall_scope {
	struct stall *s; /* borrowed */
	uint32_t n_victims;
	struct stall_scope_victim victims[STALL_SCOPE_VICTIMS];
	struct stall_scope_v1 *v1; /* by v1_id; NULL: not asked for yet */
	uint32_t n_v1;
	uint32_t is_machine_short; /* in this window */
	uint64_t v1_ns;		   /* when v1 was made */
	uint64_t scans;		   /* of /proc/vmstat at the last window */
	uint64_t now_ns;
};

void stall_scope_init(struct stall_scope *sc, struct stall *s);
void stall_scope_done(struct stall_scope *sc);
/* A window begins to be read. <vmstat>: text of /proc/vmstat, NULL reads it. */
void stall_scope_begin(struct stall_scope *sc, const char *vmstat, uint64_t now_ns);
/* As struct stall_mem_scope and struct stall_io want them; <arg>: the scope. */
int stall_scope_contended(void *arg, uint64_t victim);
int stall_scope_is_below(void *arg, uint64_t cgroup_id, int level);
uint64_t stall_scope_translate(void *arg, uint64_t v1_id, uint64_t hint);
/* Of limits[]: what the victim met in this window, 0: nothing is known. */
uint16_t stall_scope_limit(const struct stall_scope *sc, uint64_t victim);

#endif
