/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the governor decides is done here: process detail off, the probe off, and back; said in health and metrics. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "demand.h"
#include "stall.h"

static const struct lnx_metric_desc level_desc = {
	.name = "linnix_stall_shed_level",
	.help = "What the agent's CPU budget takes away: 0 nothing, 1 detail of processes, 2 the ledger.",
	.kind = LNX_GAUGE,
};

static const struct lnx_metric_desc steps_desc = {
	.name = "linnix_stall_sheds_total",
	.help = "Steps down: times that the agent's CPU budget took something away.",
	.kind = LNX_COUNTER,
};

/* What the programs of the ledger, and of I/O and memory, cost since their load, by the runs that they timed. */
static double ledger_cost_ns(const struct stall *s)
{
	double runs = 0, timed = 0, timed_ns = 0;

	for (uint32_t i = 0; s->probe.cpus && i < s->probe.n_cpus; i++) {
		const struct lnx_ledger_cpu *c =
			(const void *)((const char *)s->probe.cpus + i * STALL_CPU_STRIDE);

		for (uint32_t k = 0; k < LNX_LEDGER_PROGS; k++) {
			runs += (double)c->runs[k];
			timed += (double)c->prog[k].timed;
			timed_ns += (double)c->prog[k].timed_ns;
		}
	}
	return (timed > 0 ? timed_ns / timed * runs : 0) + stall_demand_cost_ns(s);
}

static void tell(struct stall *s)
{
	const struct stall_govern *g = &s->shed.govern;
	struct lnx_metric *m;

	s->host->health(s->ctx, "budget", s->shed.why[0] ? LNX_HEALTH_DEGRADED : LNX_HEALTH_OK,
			s->shed.why);
	if (s->host->metric(s->ctx, &level_desc, NULL, &m) == 0)
		s->host->metric_set(s->ctx, m, g->level);
	if (s->host->metric(s->ctx, &steps_desc, NULL, &m) == 0)
		s->host->metric_set(s->ctx, m, g->n_steps);
	s->host->log(s->ctx, s->shed.why[0] ? LNX_WARN : LNX_INFO, "%s",
		     s->shed.why[0] ? s->shed.why
				    : "within the CPU budget: nothing is left out any more");
}

static void set_why(struct stall *s)
{
	static const char *const lost[STALL_LEVELS] = { "", "no process is named",
							"pressure only, no culprit is measured" };
	const struct stall_govern *g = &s->shed.govern;

	s->shed.why[0] = 0;
	if (g->level)
		(void)snprintf(
			s->shed.why, sizeof(s->shed.why),
			"the agent is over its CPU budget (budget.*): %s, for %.0f s or more",
			lost[g->level], (double)g->wait_ns / 1e9); /* fits */
}

static void apply(struct stall *s, uint32_t was)
{
	uint32_t level = s->shed.govern.level;

	set_why(s);
	s->probe.tab->no_detail = level >= STALL_LEVEL_SLOTS;
	if (level == STALL_LEVEL_PSI)
		stall_probe_pause(s, s->shed.why);
	else if (was == STALL_LEVEL_PSI && stall_probe_resume(s) < 0)
		s->host->health(s->ctx, "ledger", LNX_HEALTH_DEGRADED, s->probe.why);
	tell(s);
}

void stall_shed_cost(struct stall *s, const struct lnx_ev_agent_cost *e)
{
	struct stall_govern *g = &s->shed.govern;
	uint32_t was = g->level;
	double ledger_ns = ledger_cost_ns(s), was_ns = s->shed.ledger_ns;
	struct stall_cost c = {
		.now_ns = e->h.ts_ns,
		.window_ns = e->window_ns,
		.used_ns = e->user_ns + e->bpf_ns,
		.ledger_ns = ledger_ns > was_ns ? (uint64_t)(ledger_ns - was_ns) : 0,
		.budget_ns = e->budget_ns,
		.credit_ns = e->credit_ns,
		.switches = s->load.switches_per_s * (double)e->window_ns / 1e9,
	};

	s->shed.ledger_ns = ledger_ns;
	/* Off by configuration or for want of rights: nothing to shed. */
	if (!s->probe.ledger || (!s->probe.is_wanted && was != STALL_LEVEL_PSI))
		return;
	if (s->load.seen_ns + 10 * STALL_SEC < e->h.ts_ns)
		c.switches = NAN;
	if (stall_govern_step(g, &c) != was)
		apply(s, was);
}

uint32_t stall_shed_flags(const struct stall *s)
{
	uint32_t level = s->shed.govern.level;

	return level == STALL_LEVEL_SLOTS ? STALL_F_NO_DETAIL
	       : level == STALL_LEVEL_PSI ? STALL_F_SHED
					  : 0;
}
