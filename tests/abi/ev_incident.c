/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/ev_incident.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/ev_incident.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_ev_incident, 176);
AT(lnx_ev_incident, h, 0);
AT(lnx_ev_incident, severity, 24);
AT(lnx_ev_incident, reason, 28);
AT(lnx_ev_incident, n_victims, 32);
AT(lnx_ev_incident, n_alerts, 36);
AT(lnx_ev_incident, flaps, 40);
AT(lnx_ev_incident, is_silenced, 44);
AT(lnx_ev_incident, opened_ns, 48);
AT(lnx_ev_incident, opened_wall_ns, 56);
AT(lnx_ev_incident, closed_wall_ns, 64);
AT(lnx_ev_incident, culprit_cgroup_id, 72);
AT(lnx_ev_incident, culprit_start_ns, 80);
AT(lnx_ev_incident, victim_cgroup_id, 88);
AT(lnx_ev_incident, value, 96);
AT(lnx_ev_incident, threshold, 104);
AT(lnx_ev_incident, id, 112);
AT(lnx_ev_incident, fingerprint, 116);
AT(lnx_ev_incident, rule, 120);
AT(lnx_ev_incident, cause, 124);
AT(lnx_ev_incident, resource, 128);
AT(lnx_ev_incident, culprit, 132);
AT(lnx_ev_incident, culprit_namespace, 136);
AT(lnx_ev_incident, culprit_pod_name, 140);
AT(lnx_ev_incident, culprit_comm, 144);
AT(lnx_ev_incident, victim, 148);
AT(lnx_ev_incident, victim_namespace, 152);
AT(lnx_ev_incident, victim_pod_name, 156);
AT(lnx_ev_incident, title, 160);
AT(lnx_ev_incident, explanation, 164);
AT(lnx_ev_incident, labels, 168);
AT(lnx_ev_incident, victims, 172);
