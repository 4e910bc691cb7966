/* SPDX-License-Identifier: MIT */
/* alert and rule.disabled (rule engine). */
#ifndef LINNIX_EV_ALERT_H
#define LINNIX_EV_ALERT_H

#include <linnix/event.h>

/* enum lnx_severity */
#define LNX_SEV_INFO	 0
#define LNX_SEV_WARNING	 1
#define LNX_SEV_CRITICAL 2
/* enum lnx_alert_state */
#define LNX_ALERT_FIRING   0
#define LNX_ALERT_RESOLVED 1
/* enum lnx_subject_kind */
#define LNX_SUBJECT_NODE     0
#define LNX_SUBJECT_PROCESS  1
#define LNX_SUBJECT_CGROUP   2
#define LNX_SUBJECT_WORKLOAD 3

/* A rule fired or stopped firing. Its cause (event meta) is the event that made it fire. h.pid is the subject's. */
struct lnx_ev_alert {
	struct lnx_event h;
	__u32 severity;	    /* enum lnx_severity */
	__u32 state;	    /* enum lnx_alert_state */
	__u32 subject_kind; /* enum lnx_subject_kind */
	__u32 subject_pid;  /* tgid, or 0 */
	__u64 subject_start_ns;
	__u64 subject_cgroup_id;
	__u64 since_ns;	  /* CLOCK_BOOTTIME at which the condition began */
	double value;	  /* measured, in the rule's own unit */
	double threshold; /* it was compared with; NaN if the rule names none */
	struct lnx_str rule;
	struct lnx_str subject_workload;
	struct lnx_str subject_comm;
	struct lnx_str say;	 /* the sentence for people */
	struct lnx_str evidence; /* JSON array of {name, value, unit} */
	struct lnx_str labels;	 /* JSON object */
	__u64 key; /* one number for what the rule groups by, below 2^53: firing and resolved share it */
	__u64 victim_cgroup_id; /* of an alert about a stall; 0: the node, or none */
	struct lnx_str victim, victim_namespace; /* its workload, or empty */
};

/* A rule failed too often and no longer runs. */
struct lnx_ev_rule_disabled {
	struct lnx_event h;
	__u32 failures; /* in a row */
	__u32 line;
	struct lnx_str rule;
	struct lnx_str file;
	struct lnx_str error;
	__u32 pad;
};

#ifdef LNX_EVENT_TABLES
static const char *const lnx_severity_names[] = { "info", "warning", "critical", NULL };
static const char *const lnx_alert_state_names[] = { "firing", "resolved", NULL };
static const char *const lnx_subject_kind_names[] = { "node", "process", "cgroup", "workload",
						      NULL };

static const struct lnx_field lnx_fields_alert[] = {
	LNX_FIELD(lnx_ev_alert, "rule", LNX_STR, rule, "", "name of the rule", NULL),
	LNX_FIELD_E(lnx_ev_alert, "severity", severity, "info, warning or critical", NULL,
		    lnx_severity_names),
	LNX_FIELD_E(lnx_ev_alert, "state", state, "firing or resolved", NULL,
		    lnx_alert_state_names),
	LNX_FIELD_E(lnx_ev_alert, "subject.kind", subject_kind, "what it is about", NULL,
		    lnx_subject_kind_names),
	LNX_FIELD(lnx_ev_alert, "subject.pid", LNX_U32, subject_pid, "", "tgid, or 0",
		  "process.pid"),
	LNX_FIELD(lnx_ev_alert, "subject.start_ns", LNX_U64, subject_start_ns, "ns",
		  "start of that process", NULL),
	LNX_FIELD(lnx_ev_alert, "subject.cgroup_id", LNX_ID, subject_cgroup_id, "",
		  "id of the v2 cgroup, or 0", NULL),
	LNX_FIELD(lnx_ev_alert, "subject.workload", LNX_STR, subject_workload, "",
		  "workload, or empty", NULL),
	LNX_FIELD(lnx_ev_alert, "subject.comm", LNX_STR, subject_comm, "",
		  "name of that process, or empty", "process.command"),
	LNX_FIELD(lnx_ev_alert, "value", LNX_F64, value, "", "measured, in the rule's own unit",
		  NULL),
	LNX_FIELD(lnx_ev_alert, "threshold", LNX_F64, threshold, "", "what it was compared with",
		  NULL),
	LNX_FIELD(lnx_ev_alert, "since_ns", LNX_U64, since_ns, "ns",
		  "when the condition began, CLOCK_BOOTTIME", NULL),
	LNX_FIELD(lnx_ev_alert, "say", LNX_STR, say, "", "the sentence for people", NULL),
	LNX_FIELD(lnx_ev_alert, "evidence", LNX_JSON, evidence, "", "array of {name, value, unit}",
		  NULL),
	LNX_FIELD(lnx_ev_alert, "labels", LNX_JSON, labels, "", "object of the rule's own labels",
		  NULL),
	LNX_FIELD(lnx_ev_alert, "key", LNX_ID, key, "",
		  "one number for what the rule groups by: firing and resolved share it", NULL),
	LNX_FIELD(lnx_ev_alert, "victim", LNX_STR, victim, "",
		  "workload that was stalled, or empty", NULL),
	LNX_FIELD(lnx_ev_alert, "victim_namespace", LNX_STR, victim_namespace, "",
		  "its namespace, or empty", NULL),
	LNX_FIELD(lnx_ev_alert, "victim_cgroup_id", LNX_ID, victim_cgroup_id, "",
		  "its cgroup; 0 for the node, or none", NULL),
};

static const struct lnx_field lnx_fields_rule_disabled[] = {
	LNX_FIELD(lnx_ev_rule_disabled, "rule", LNX_STR, rule, "", "name of the rule", NULL),
	LNX_FIELD(lnx_ev_rule_disabled, "file", LNX_STR, file, "", "file it is in", NULL),
	LNX_FIELD(lnx_ev_rule_disabled, "line", LNX_U32, line, "", "line of the failure", NULL),
	LNX_FIELD(lnx_ev_rule_disabled, "error", LNX_STR, error, "", "what went wrong", NULL),
	LNX_FIELD(lnx_ev_rule_disabled, "failures", LNX_U32, failures, "", "failures in a row",
		  NULL),
};
#endif
#endif
