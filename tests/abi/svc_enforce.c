/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/svc_enforce.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/svc_enforce.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_action, 152);
AT(lnx_action, size, 0);
AT(lnx_action, verb, 4);
AT(lnx_action, state, 8);
AT(lnx_action, outcome, 12);
AT(lnx_action, is_auto, 16);
AT(lnx_action, pid, 20);
AT(lnx_action, start_ns, 24);
AT(lnx_action, cgroup_id, 32);
AT(lnx_action, ts_ns, 40);
AT(lnx_action, until_ns, 48);
AT(lnx_action, before_ms_per_s, 56);
AT(lnx_action, after_ms_per_s, 64);
AT(lnx_action, id, 72);
AT(lnx_action, incident, 80);
AT(lnx_action, rule, 88);
AT(lnx_action, workload, 96);
AT(lnx_action, namespace_, 104);
AT(lnx_action, comm, 112);
AT(lnx_action, reason, 120);
AT(lnx_action, plan, 128);
AT(lnx_action, by, 136);
AT(lnx_action, text, 144);

SIZE(lnx_svc_enforce, 48);
AT(lnx_svc_enforce, size, 0);
AT(lnx_svc_enforce, pad, 4);
AT(lnx_svc_enforce, approve, 8);
AT(lnx_svc_enforce, reject, 16);
AT(lnx_svc_enforce, undo, 24);
AT(lnx_svc_enforce, get, 32);
AT(lnx_svc_enforce, each, 40);
