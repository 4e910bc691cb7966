/* SPDX-License-Identifier: MIT */
/* action.request (rules, people) and action.done (enforcement). */
#ifndef LINNIX_EV_ACTION_H
#define LINNIX_EV_ACTION_H

#include <linnix/event.h>

/* enum lnx_action_verb */
#define LNX_ACTION_THROTTLE 0 /* a CPU quota */
#define LNX_ACTION_WEIGHT   1
#define LNX_ACTION_FREEZE   2
#define LNX_ACTION_SIGNAL   3

/* Somebody asks for an action. Enforcement decides; without it nothing happens. h.pid is the process meant, or 0. */
struct lnx_ev_action_request {
	struct lnx_event h;
	__u32 verb;		 /* enum lnx_action_verb */
	__u32 signal;		 /* of LNX_ACTION_SIGNAL */
	double value;		 /* throttle: percent of one CPU; weight: 1..10000; else NaN */
	__u64 start_ns;		 /* of process h.pid */
	__u64 cgroup_id;	 /* 0: of the process */
	__u64 lease_ns;		 /* 0: as enforcement is configured */
	struct lnx_str incident; /* id, or empty */
	struct lnx_str rule, workload, namespace_, comm;
	struct lnx_str reason; /* for people */
	__u32 pad, pad2;
	__u64 victim_cgroup_id; /* whose stall the action is to end; 0: not known */
	__u64 alert_key;	/* key of the alert that asks, as `alert` has it; 0: of none */
};

/* enum lnx_action_state */
#define LNX_ACTION_PROPOSED 0 /* waits for an approval */
#define LNX_ACTION_REFUSED  1 /* by enforcement itself: protected, over a limit, gone */
#define LNX_ACTION_REJECTED 2 /* by a person */
#define LNX_ACTION_EXPIRED  3
#define LNX_ACTION_APPLIED  4
#define LNX_ACTION_UNDONE   5
#define LNX_ACTION_FAILED   6
#define LNX_ACTION_DRY_RUN  7 /* it says what it would have done */
#define LNX_ACTION_MEASURED 8 /* the outcome is known */

/* enum lnx_action_outcome */
#define LNX_OUTCOME_NONE      0
#define LNX_OUTCOME_HELPED    1
#define LNX_OUTCOME_NO_CHANGE 2
#define LNX_OUTCOME_WORSE     3

/* An action came to a new state. */
struct lnx_ev_action_done {
	struct lnx_event h;
	__u32 verb, state, outcome;
	__u32 pad;
	double before_ms_per_s, after_ms_per_s; /* stall of the victim; NaN: not measured */
	__u64 cgroup_id;
	struct lnx_str id; /* "<node>/<ulid>" */
	struct lnx_str incident, rule, workload, comm;
	struct lnx_str by;   /* who approved or rejected */
	struct lnx_str text; /* for people: what was done, or why not */
	__u32 pad2;
};

#ifdef LNX_EVENT_TABLES
static const char *const lnx_action_verb_names[] = { "throttle", "weight", "freeze", "signal",
						     NULL };
static const char *const lnx_action_state_names[] = { "proposed", "refused", "rejected", "expired",
						      "applied",  "undone",  "failed",	 "dry-run",
						      "measured", NULL };
static const char *const lnx_action_outcome_names[] = { "none", "helped", "no-change", "worse",
							NULL };

#define LNX_FIELD_REQ(nm, ty, m, un, dc) LNX_FIELD(lnx_ev_action_request, nm, ty, m, un, dc, NULL)
static const struct lnx_field lnx_fields_action_request[] = {
	LNX_FIELD_E(lnx_ev_action_request, "verb", verb, "throttle, weight, freeze or signal", NULL,
		    lnx_action_verb_names),
	LNX_FIELD_REQ("value", LNX_F64, value, "", "percent of one CPU, or a weight"),
	LNX_FIELD_REQ("signal", LNX_U32, signal, "", "to send"),
	LNX_FIELD_REQ("incident", LNX_STR, incident, "", "id of the incident, or empty"),
	LNX_FIELD_REQ("rule", LNX_STR, rule, "", "that asks"),
	LNX_FIELD_REQ("workload", LNX_STR, workload, "", "it is about"),
	LNX_FIELD_REQ("workload_namespace", LNX_STR, namespace_, "", "its namespace"),
	LNX_FIELD_REQ("comm", LNX_STR, comm, "", "name of the process"),
	LNX_FIELD_REQ("cgroup_id", LNX_ID, cgroup_id, "", "its cgroup, or 0"),
	LNX_FIELD_REQ("start_ns", LNX_U64, start_ns, "ns", "start of the process"),
	LNX_FIELD_REQ("lease_ns", LNX_U64, lease_ns, "ns", "how long; 0: as configured"),
	LNX_FIELD_REQ("reason_text", LNX_STR, reason, "", "for people"),
	LNX_FIELD_REQ("victim_cgroup_id", LNX_ID, victim_cgroup_id, "",
		      "cgroup whose stall it is to end, or 0"),
	LNX_FIELD_REQ("alert_key", LNX_ID, alert_key, "", "key of the alert that asks, or 0"),
};

#define LNX_FIELD_DONE(nm, ty, m, un, dc) LNX_FIELD(lnx_ev_action_done, nm, ty, m, un, dc, NULL)
static const struct lnx_field lnx_fields_action_done[] = {
	LNX_FIELD_DONE("id", LNX_STR, id, "", "node and ULID"),
	LNX_FIELD_E(lnx_ev_action_done, "verb", verb, "throttle, weight, freeze or signal", NULL,
		    lnx_action_verb_names),
	LNX_FIELD_E(lnx_ev_action_done, "state", state, "what became of it", NULL,
		    lnx_action_state_names),
	LNX_FIELD_E(lnx_ev_action_done, "outcome", outcome, "helped, no-change, worse or none",
		    NULL, lnx_action_outcome_names),
	LNX_FIELD_DONE("before_ms_per_s", LNX_F64, before_ms_per_s, "",
		       "stall of the victim before, ms in a second"),
	LNX_FIELD_DONE("after_ms_per_s", LNX_F64, after_ms_per_s, "", "and after"),
	LNX_FIELD_DONE("incident", LNX_STR, incident, "", "id of the incident, or empty"),
	LNX_FIELD_DONE("rule", LNX_STR, rule, "", "that asked"),
	LNX_FIELD_DONE("workload", LNX_STR, workload, "", "it is about"),
	LNX_FIELD_DONE("comm", LNX_STR, comm, "", "name of the process"),
	LNX_FIELD_DONE("cgroup_id", LNX_ID, cgroup_id, "", "cgroup it was done to, or 0"),
	LNX_FIELD_DONE("by", LNX_STR, by, "", "who approved or rejected"),
	LNX_FIELD_DONE("text", LNX_STR, text, "", "what was done, or why not"),
};
#endif
#endif
