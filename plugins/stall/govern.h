/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The governor: how much of the ledger the agent can afford. Decides only; time and costs are handed in. */
#ifndef LNX_STALL_GOVERN_H
#define LNX_STALL_GOVERN_H

#include <stdint.h>

/* Levels, each cheaper than the one before. */
#define STALL_LEVEL_FULL  0
#define STALL_LEVEL_SLOTS 1 /* no detail of processes */
#define STALL_LEVEL_PSI	  2 /* the probe is off */
#define STALL_LEVELS	  3

/* What the agent cost in the last window. */
struct stall_cost {
	uint64_t now_ns, window_ns;
	uint64_t used_ns;   /* the whole agent, BPF included */
	uint64_t ledger_ns; /* of them the programs of the ledger */
	uint64_t budget_ns; /* that the window may cost */
	uint64_t credit_ns; /* of the budget, saved before */
	double switches;    /* of all CPUs in the window; NaN unknown */
};

struct stall_govern {
	uint64_t hold_ns;		  /* option: least time that a step down lasts */
	uint32_t level;			  /* STALL_LEVEL_* */
	uint32_t n_steps;		  /* down, ever */
	uint64_t changed_ns, returned_ns; /* 0 never */
	uint64_t wait_ns; /* before a step up: hold_ns, doubled while it does not last */
	uint64_t calm_ns; /* a step up would be affordable since; 0 it would not */
	double per_switch_ns[STALL_LEVELS]; /* of the ledger while at that level, 0 unknown */
};

void stall_govern_init(struct stall_govern *g, uint64_t hold_ns);
/* Take the cost in. Returns the level from now on. */
uint32_t stall_govern_step(struct stall_govern *g, const struct stall_cost *c);

#endif
