/* SPDX-License-Identifier: MIT */
/* incident.open, incident.update, incident.close (plugin `incident`). */
#ifndef LINNIX_EV_INCIDENT_H
#define LINNIX_EV_INCIDENT_H

#include <linnix/event.h>

#define LNX_ULID_MAX 27 /* bytes of an id with its NUL */

/* enum lnx_incident_reason: why the event was published */
#define LNX_INCIDENT_OPENED	 0
#define LNX_INCIDENT_REOPENED	 1 /* incident.open again: the same key within 10 min */
#define LNX_INCIDENT_SEVERITY	 2 /* it rose */
#define LNX_INCIDENT_VICTIMS	 3 /* there are more of them */
#define LNX_INCIDENT_EVIDENCE	 4
#define LNX_INCIDENT_EXPLANATION 5
#define LNX_INCIDENT_OUTCOME	 6 /* an action was measured */
#define LNX_INCIDENT_QUIET	 7 /* closed: no alert of it fired for a while */
#define LNX_INCIDENT_SILENCE	 8 /* a silence began, or ended, to match it: is_silenced */

/* One incident, as it is now. The same struct for all three types. h.pid is the culprit's process, 0 if none. The whole
 * with its evidence: service incident/1. */
struct lnx_ev_incident {
	struct lnx_event h;
	__u32 severity; /* enum lnx_severity: the highest that it had */
	__u32 reason;	/* enum lnx_incident_reason */
	__u32 n_victims, n_alerts;
	__u32 flaps;	   /* times it was opened again */
	__u32 is_silenced; /* a silence matches: kept and shown, nobody is told */
	__u64 opened_ns;   /* CLOCK_BOOTTIME; of an earlier boot: 0 */
	__u64 opened_wall_ns, closed_wall_ns; /* Unix time; 0: open */
	__u64 culprit_cgroup_id;	      /* 0: none */
	__u64 culprit_start_ns;		      /* of process h.pid */
	__u64 victim_cgroup_id;		      /* of the one that lost most; 0: none or the node */
	double value, threshold;	      /* of the alert that opened it */
	struct lnx_str id;		      /* ULID */
	struct lnx_str fingerprint;	      /* of its key: the same over restarts */
	struct lnx_str rule;		      /* that opened it */
	struct lnx_str cause; /* class: contention, memory, churn, saturation, or the rule's name */
	struct lnx_str resource; /* cpu, memory, io or empty */
	struct lnx_str culprit, culprit_namespace, culprit_pod_name, culprit_comm;
	struct lnx_str victim, victim_namespace, victim_pod_name;
	struct lnx_str title;	    /* one line for people */
	struct lnx_str explanation; /* its first sentence; empty while there is none */
	struct lnx_str labels;	    /* JSON object of the rule's labels */
	struct lnx_str victims;	    /* JSON array of names, the first 10 */
};

#ifdef LNX_EVENT_TABLES
#include <linnix/ev_alert.h>

static const char *const lnx_incident_reason_names[] = { "opened",  "reopened", "severity",
							 "victims", "evidence", "explanation",
							 "outcome", "quiet",	"silence",
							 NULL };
#define LNX_FIELD_INC(nm, ty, m, un, dc) LNX_FIELD(lnx_ev_incident, nm, ty, m, un, dc, NULL)
static const struct lnx_field lnx_fields_incident[] = {
	LNX_FIELD_INC("id", LNX_STR, id, "", "id of the incident, a ULID"),
	LNX_FIELD_INC("title", LNX_STR, title, "", "one line for people"),
	LNX_FIELD_E(lnx_ev_incident, "severity", severity, "the highest that it had", NULL,
		    lnx_severity_names),
	LNX_FIELD_E(lnx_ev_incident, "reason", reason, "why the event was published", NULL,
		    lnx_incident_reason_names),
	LNX_FIELD_INC("cause", LNX_STR, cause, "",
		      "class of the cause: contention, memory, churn, saturation or a rule"),
	LNX_FIELD_INC("resource", LNX_STR, resource, "", "cpu, memory, io or empty"),
	LNX_FIELD_INC("rule", LNX_STR, rule, "", "rule that opened it"),
	LNX_FIELD_INC("fingerprint", LNX_STR, fingerprint, "",
		      "of its key: the same over restarts"),
	LNX_FIELD_INC("culprit", LNX_STR, culprit, "", "workload that caused it, or empty"),
	LNX_FIELD_INC("culprit_namespace", LNX_STR, culprit_namespace, "", "its namespace"),
	LNX_FIELD_INC("culprit_pod_name", LNX_STR, culprit_pod_name, "", "its pod"),
	LNX_FIELD_INC("culprit_comm", LNX_STR, culprit_comm, "", "its process"),
	LNX_FIELD_INC("culprit_cgroup_id", LNX_ID, culprit_cgroup_id, "", "its cgroup, or 0"),
	LNX_FIELD_INC("culprit_start_ns", LNX_U64, culprit_start_ns, "ns", "start of that process"),
	LNX_FIELD_INC("victim", LNX_STR, victim, "", "workload that lost most, or empty"),
	LNX_FIELD_INC("victim_namespace", LNX_STR, victim_namespace, "", "its namespace"),
	LNX_FIELD_INC("victim_pod_name", LNX_STR, victim_pod_name, "", "its pod"),
	LNX_FIELD_INC("victim_cgroup_id", LNX_ID, victim_cgroup_id, "", "its cgroup, or 0"),
	LNX_FIELD_INC("victims", LNX_JSON, victims, "", "array of names, the first 10"),
	LNX_FIELD_INC("n_victims", LNX_U32, n_victims, "", "workloads that suffered"),
	LNX_FIELD_INC("n_alerts", LNX_U32, n_alerts, "", "alerts that belong to it"),
	LNX_FIELD_INC("flaps", LNX_U32, flaps, "", "times it was opened again"),
	LNX_FIELD_INC("is_silenced", LNX_BOOL, is_silenced, "", "a silence matches it"),
	LNX_FIELD_INC("value", LNX_F64, value, "", "of the alert that opened it"),
	LNX_FIELD_INC("threshold", LNX_F64, threshold, "", "what it was compared with"),
	LNX_FIELD_INC("explanation", LNX_STR, explanation, "", "first sentence, or empty"),
	LNX_FIELD_INC("labels", LNX_JSON, labels, "", "object of the rule's own labels"),
	LNX_FIELD_INC("opened_ns", LNX_U64, opened_ns, "ns", "CLOCK_BOOTTIME, or 0"),
	LNX_FIELD_INC("opened_wall_ns", LNX_U64, opened_wall_ns, "ns", "Unix time"),
	LNX_FIELD_INC("closed_wall_ns", LNX_U64, closed_wall_ns, "ns", "Unix time; 0: open"),
};
#endif
#endif
