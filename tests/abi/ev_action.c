/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/ev_action.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/ev_action.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_ev_action_request, 112);
AT(lnx_ev_action_request, h, 0);
AT(lnx_ev_action_request, verb, 24);
AT(lnx_ev_action_request, signal, 28);
AT(lnx_ev_action_request, value, 32);
AT(lnx_ev_action_request, start_ns, 40);
AT(lnx_ev_action_request, cgroup_id, 48);
AT(lnx_ev_action_request, lease_ns, 56);
AT(lnx_ev_action_request, incident, 64);
AT(lnx_ev_action_request, rule, 68);
AT(lnx_ev_action_request, workload, 72);
AT(lnx_ev_action_request, namespace_, 76);
AT(lnx_ev_action_request, comm, 80);
AT(lnx_ev_action_request, reason, 84);
AT(lnx_ev_action_request, pad, 88);
AT(lnx_ev_action_request, pad2, 92);
AT(lnx_ev_action_request, victim_cgroup_id, 96);
AT(lnx_ev_action_request, alert_key, 104);

SIZE(lnx_ev_action_done, 96);
AT(lnx_ev_action_done, h, 0);
AT(lnx_ev_action_done, verb, 24);
AT(lnx_ev_action_done, state, 28);
AT(lnx_ev_action_done, outcome, 32);
AT(lnx_ev_action_done, pad, 36);
AT(lnx_ev_action_done, before_ms_per_s, 40);
AT(lnx_ev_action_done, after_ms_per_s, 48);
AT(lnx_ev_action_done, cgroup_id, 56);
AT(lnx_ev_action_done, id, 64);
AT(lnx_ev_action_done, incident, 68);
AT(lnx_ev_action_done, rule, 72);
AT(lnx_ev_action_done, workload, 76);
AT(lnx_ev_action_done, comm, 80);
AT(lnx_ev_action_done, by, 84);
AT(lnx_ev_action_done, text, 88);
AT(lnx_ev_action_done, pad2, 92);
