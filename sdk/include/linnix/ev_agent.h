/* SPDX-License-Identifier: MIT */
/* agent.cost (core): what the agent used in the last second, its BPF programs included, and what budget.* allows. Who can
 * do with less reads it and sheds what can be spared. */
#ifndef LINNIX_EV_AGENT_H
#define LINNIX_EV_AGENT_H

#include <linnix/event.h>

struct lnx_ev_agent_cost {
	struct lnx_event h; /* h.pid: the agent */
	__u64 window_ns;
	__u64 user_ns;	 /* CPU time of the process, system calls included */
	__u64 bpf_ns;	 /* of all probes, estimated: they time one run in 1,024 */
	__u64 budget_ns; /* of CPU time that this window may cost */
	__u64 credit_ns; /* of the budget, not used before, for a burst; at most budget.burst of it */
	__u64 rss_bytes;
	__u64 budget_rss_bytes;
};

#ifdef LNX_EVENT_TABLES
static const struct lnx_field lnx_fields_agent_cost[] = {
	LNX_FIELD(lnx_ev_agent_cost, "user_ns", LNX_U64, user_ns, "ns",
		  "CPU time of the agent's process, system calls included", NULL),
	LNX_FIELD(lnx_ev_agent_cost, "bpf_ns", LNX_U64, bpf_ns, "ns",
		  "CPU time of its probes, estimated from one run in 1,024", NULL),
	LNX_FIELD(lnx_ev_agent_cost, "budget_ns", LNX_U64, budget_ns, "ns",
		  "CPU time that the window may cost", NULL),
	LNX_FIELD(lnx_ev_agent_cost, "credit_ns", LNX_U64, credit_ns, "ns",
		  "CPU time not used before, for a burst; 0: the budget is used up", NULL),
	LNX_FIELD(lnx_ev_agent_cost, "rss_bytes", LNX_U64, rss_bytes, "bytes", "resident memory",
		  NULL),
	LNX_FIELD(lnx_ev_agent_cost, "budget_rss_bytes", LNX_U64, budget_rss_bytes, "bytes",
		  "resident memory that it may have", NULL),
	LNX_FIELD(lnx_ev_agent_cost, "window_ns", LNX_U64, window_ns, "ns", "length of the window",
		  NULL),
};
#endif
#endif
