/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the readers of I/O and memory stalls have in common: the maps they look into, and the window they make. */
#ifndef LNX_STALL_RES_H
#define LNX_STALL_RES_H

#include <stdint.h>

#include <linnix/rec_res.h>

#define STALL_RES_GATES 4096 /* as many as the probes keep */
#define STALL_RES_PARTS \
	16384 /* of one window that are named; what does not fit goes to OTHER, which has places of its own */
#define STALL_RES_OTHER	  0
#define STALL_RES_IDLE_NS 60000000000ULL /* a gate unused for that long is given back */
#define STALL_RES_STUCK_NS \
	10000000000ULL /* a task that waits for longer is looked at: its end may have been missed */

/* enum stall_res_map */
#define STALL_MAP_GATES	  0
#define STALL_MAP_WAITING 1
#define STALL_MAP_COUNTS  2
#define STALL_MAP_ALIAS	  3
#define STALL_MAP_DEVS	  4
#define STALL_MAP_COSTS	  5
#define STALL_MAP_ALLOCS  6
#define STALL_MAP_STATS	  7 /* of every object: not looked into by readers */
#define STALL_MAP_PROCS	  8
#define STALL_MAPS	  9

/* Access to the maps of a probe, by enum stall_res_map. As bpf(2): 0 or a negative errno. */
struct stall_res_maps {
	void *arg;
	int (*lookup)(void *arg, uint32_t map, const void *key, void *ret_value);
	int (*next)(void *arg, uint32_t map, const void *key, void *ret_key);
	int (*update)(void *arg, uint32_t map, const void *key, const void *value);
	int (*del)(void *arg, uint32_t map, const void *key);
	/* True if task <tid> still sleeps. NULL: not asked, nothing is repaired. */
	int (*sleeps)(void *arg, uint32_t tid);
};

struct stall_res_part {
	uint64_t culprit; /* v2 cgroup id, STALL_RES_OTHER */
	uint64_t ns;
};

/* parts[first .. first + n - 1] sum to raw_ns. */
struct stall_res_victim {
	uint64_t cgroup_id;
	uint64_t raw_ns; /* at least one task waited */
	uint32_t first, n;
};

struct stall_res_window {
	uint64_t from_ns, to_ns;
	const struct stall_res_victim *victims; /* borrowed until the next read */
	const struct stall_res_part *parts;
	uint32_t n_victims, n_parts;
	uint64_t dropped;		/* gates and parts that found no place here */
	uint64_t count[LNX_RES_COUNTS]; /* increments */
	uint64_t repaired;		/* gates made anew: the end of a wait had been missed */
};

/* ---- gates.c */

struct stall_gate {
	uint64_t cgroup_id; /* 0 free */
	uint64_t born;
	uint64_t total_ns; /* at the last look */
	uint64_t used_ns;
	uint64_t delta_ns; /* of this window */
	uint32_t seen;	   /* number of the look that met it */
	uint32_t pad;
};

struct stall_gates {
	struct stall_gate *gate; /* STALL_RES_GATES * 2 */
	uint64_t count[LNX_RES_COUNTS];
	uint64_t at_ns; /* the last look, 0 none */
	uint32_t looks;
	uint32_t n;
	uint64_t checked_ns; /* stuck tasks were looked for */
	struct stall_res_victim *victims;
	struct stall_res_part *parts;
	struct stall_res_window w;
	uint32_t n_parts;
};

int stall_gates_init(struct stall_gates *g);
void stall_gates_done(struct stall_gates *g);
/* Look at the gates: g->w is begun, with a victim for each gate that was open in the window, without parts. */
void stall_gates_read(struct stall_gates *g, const struct stall_res_maps *maps, uint64_t now_ns);
/* Add a part to the victim that was begun last; full: counted, and the reader puts the rest into OTHER. */
void stall_gates_part(struct stall_gates *g, struct stall_res_victim *v, uint64_t culprit,
		      uint64_t ns);
/* Put what the parts of <v> lack of raw_ns into OTHER, or cut them down to it. */
void stall_gates_close(struct stall_gates *g, struct stall_res_victim *v);
/* Before an attach: no gate, nobody waits. */
void stall_gates_reset(struct stall_gates *g, const struct stall_res_maps *maps);

#endif
