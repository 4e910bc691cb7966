/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/ev_alert.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/ev_alert.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_ev_alert, 128);
AT(lnx_ev_alert, h, 0);
AT(lnx_ev_alert, severity, 24);
AT(lnx_ev_alert, state, 28);
AT(lnx_ev_alert, subject_kind, 32);
AT(lnx_ev_alert, subject_pid, 36);
AT(lnx_ev_alert, subject_start_ns, 40);
AT(lnx_ev_alert, subject_cgroup_id, 48);
AT(lnx_ev_alert, since_ns, 56);
AT(lnx_ev_alert, value, 64);
AT(lnx_ev_alert, threshold, 72);
AT(lnx_ev_alert, rule, 80);
AT(lnx_ev_alert, subject_workload, 84);
AT(lnx_ev_alert, subject_comm, 88);
AT(lnx_ev_alert, say, 92);
AT(lnx_ev_alert, evidence, 96);
AT(lnx_ev_alert, labels, 100);
AT(lnx_ev_alert, key, 104);
AT(lnx_ev_alert, victim_cgroup_id, 112);
AT(lnx_ev_alert, victim, 120);
AT(lnx_ev_alert, victim_namespace, 124);

SIZE(lnx_ev_rule_disabled, 48);
AT(lnx_ev_rule_disabled, h, 0);
AT(lnx_ev_rule_disabled, failures, 24);
AT(lnx_ev_rule_disabled, line, 28);
AT(lnx_ev_rule_disabled, rule, 32);
AT(lnx_ev_rule_disabled, file, 36);
AT(lnx_ev_rule_disabled, error, 40);
AT(lnx_ev_rule_disabled, pad, 44);
