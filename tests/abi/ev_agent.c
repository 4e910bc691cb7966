/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/ev_agent.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/ev_agent.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_ev_agent_cost, 80);
AT(lnx_ev_agent_cost, h, 0);
AT(lnx_ev_agent_cost, window_ns, 24);
AT(lnx_ev_agent_cost, user_ns, 32);
AT(lnx_ev_agent_cost, bpf_ns, 40);
AT(lnx_ev_agent_cost, budget_ns, 48);
AT(lnx_ev_agent_cost, credit_ns, 56);
AT(lnx_ev_agent_cost, rss_bytes, 64);
AT(lnx_ev_agent_cost, budget_rss_bytes, 72);
