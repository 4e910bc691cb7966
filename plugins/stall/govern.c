/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One step down when the budget is used up and the ledger has a part in it; one step up when what that level cost per switch,
 * at the present rate of switches, leaves a margin. A step up that does not last makes the next one wait longer. */
#include "govern.h"

#include <math.h>
#include <string.h>

#define SETTLE_NS   3000000000ULL   /* after a step its effect is awaited */
#define WAIT_MAX_NS 600000000000ULL /* between a step down and up */
#define LASTED	    4		    /* times wait_ns without a step down: it lasted */
#define LEDGER_FROM 0.2 /* of the cost: with less, doing without the ledger would not help */
#define MARGIN	    0.7 /* of the budget that a step up may cost */
#define WEIGHT	    0.3 /* of the last window in a mean */

void stall_govern_init(struct stall_govern *g, uint64_t hold_ns)
{
	memset(g, 0, sizeof(*g));
	g->hold_ns = g->wait_ns = hold_ns;
}

static void learn(struct stall_govern *g, const struct stall_cost *c)
{
	double *mean = &g->per_switch_ns[g->level], now;

	/* The window of a change is of both levels. */
	if (g->level == STALL_LEVEL_PSI || !(c->switches >= 1) || !c->ledger_ns ||
	    g->changed_ns + c->window_ns >= c->now_ns)
		return;
	now = (double)c->ledger_ns / c->switches;
	*mean = *mean > 0 ? (1 - WEIGHT) * *mean + WEIGHT * now : now;
}

static int is_over(const struct stall_cost *c)
{
	return !c->credit_ns && c->used_ns > c->budget_ns &&
	       (double)c->ledger_ns >= LEDGER_FROM * (double)c->used_ns;
}

/* Would the level above keep the budget? What it cost is known per switch; without that, only trying tells. */
static int is_affordable(const struct stall_govern *g, const struct stall_cost *c)
{
	double without = (double)c->used_ns - (double)c->ledger_ns,
	       per_switch = g->per_switch_ns[g->level - 1];
	double cost = without > 0 ? without : 0;

	if (per_switch > 0 && c->switches >= 0)
		cost += per_switch * c->switches;
	else
		cost += (double)c->ledger_ns;
	return cost < MARGIN * (double)c->budget_ns;
}

static void go(struct stall_govern *g, uint32_t level, uint64_t now_ns)
{
	g->level = level;
	g->changed_ns = now_ns;
	g->calm_ns = 0;
}

static void step_down(struct stall_govern *g, uint64_t now_ns)
{
	/* Down after a step up: how long did that one last? */
	if (g->returned_ns && g->returned_ns == g->changed_ns) {
		if (now_ns - g->returned_ns < LASTED * g->wait_ns)
			g->wait_ns = 2 * g->wait_ns < WAIT_MAX_NS ? 2 * g->wait_ns : WAIT_MAX_NS;
		else
			g->wait_ns = g->hold_ns;
	}
	g->n_steps++;
	go(g, g->level + 1, now_ns);
}

uint32_t stall_govern_step(struct stall_govern *g, const struct stall_cost *c)
{
	uint64_t since_ns = c->now_ns - g->changed_ns;

	learn(g, c);
	if (is_over(c)) {
		g->calm_ns = 0;
		if (g->level < STALL_LEVEL_PSI && (!g->changed_ns || since_ns >= SETTLE_NS))
			step_down(g, c->now_ns);
		return g->level;
	}
	if (g->level == STALL_LEVEL_FULL)
		return g->level;
	if (!is_affordable(g, c)) {
		g->calm_ns = 0;
		return g->level;
	}
	if (!g->calm_ns)
		g->calm_ns = c->now_ns;
	if (c->now_ns - g->calm_ns >= g->hold_ns && since_ns >= g->wait_ns) {
		go(g, g->level - 1, c->now_ns);
		g->returned_ns = c->now_ns;
	}
	return g->level;
}
