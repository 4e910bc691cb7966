/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/svc_incident.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/svc_incident.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_fact, 56);
AT(lnx_fact, size, 0);
AT(lnx_fact, evidence, 4);
AT(lnx_fact, topic, 8);
AT(lnx_fact, subject, 16);
AT(lnx_fact, name, 24);
AT(lnx_fact, unit, 32);
AT(lnx_fact, text, 40);
AT(lnx_fact, value, 48);

SIZE(lnx_incident, 184);
AT(lnx_incident, size, 0);
AT(lnx_incident, severity, 4);
AT(lnx_incident, is_open, 8);
AT(lnx_incident, n_victims, 12);
AT(lnx_incident, n_alerts, 16);
AT(lnx_incident, n_evidence, 20);
AT(lnx_incident, flaps, 24);
AT(lnx_incident, culprit_pid, 28);
AT(lnx_incident, opened_wall_ns, 32);
AT(lnx_incident, closed_wall_ns, 40);
AT(lnx_incident, culprit_start_ns, 48);
AT(lnx_incident, culprit_cgroup_id, 56);
AT(lnx_incident, id, 64);
AT(lnx_incident, fingerprint, 72);
AT(lnx_incident, cause, 80);
AT(lnx_incident, resource, 88);
AT(lnx_incident, rule, 96);
AT(lnx_incident, title, 104);
AT(lnx_incident, culprit, 112);
AT(lnx_incident, culprit_namespace, 120);
AT(lnx_incident, culprit_comm, 128);
AT(lnx_incident, victim, 136);
AT(lnx_incident, victim_namespace, 144);
AT(lnx_incident, labels, 152);
AT(lnx_incident, explanation, 160);
AT(lnx_incident, is_silenced, 168);
AT(lnx_incident, pad, 172);
AT(lnx_incident, victim_cgroup_id, 176);

SIZE(lnx_svc_incident, 56);
AT(lnx_svc_incident, size, 0);
AT(lnx_svc_incident, pad, 4);
AT(lnx_svc_incident, get, 8);
AT(lnx_svc_incident, json, 16);
AT(lnx_svc_incident, each, 24);
AT(lnx_svc_incident, facts, 32);
AT(lnx_svc_incident, explain, 40);
AT(lnx_svc_incident, add_evidence, 48);
