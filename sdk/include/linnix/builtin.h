/* SPDX-License-Identifier: MIT */
/* The built-in event types in one table, for hosts and readers of recordings. Plugins do not need it. Define
 * LNX_EVENT_TABLES before the first header of linnix/. */
#ifndef LINNIX_BUILTIN_H
#define LINNIX_BUILTIN_H

#include <linnix/ev_action.h>
#include <linnix/ev_agent.h>
#include <linnix/ev_alert.h>
#include <linnix/ev_incident.h>
#include <linnix/ev_proc.h>
#include <linnix/ev_psi.h>
#include <linnix/ev_stall.h>
#include <linnix/ev_tree.h>
#include <linnix/ev_workload.h>

#ifdef LNX_EVENT_TABLES
#define LNX_BUILTIN(ty, nm, st, flds, fl, dc)                                       \
	{                                                                           \
		sizeof(struct lnx_event_desc), ty, sizeof(struct st), nm, dc, flds, \
			sizeof(flds) / sizeof(flds[0]), fl                          \
	}

static const struct lnx_event_desc lnx_builtin_events[] = {
	LNX_BUILTIN(LNX_EV_PROC_FORK, "proc.fork", lnx_ev_proc_fork, lnx_fields_proc_fork,
		    LNX_EVF_PROCESS | LNX_EVF_KERNEL, "a new process; threads make none"),
	LNX_BUILTIN(LNX_EV_PROC_EXEC, "proc.exec", lnx_ev_proc_exec, lnx_fields_proc_exec,
		    LNX_EVF_PROCESS | LNX_EVF_KERNEL, "a process runs a new program"),
	LNX_BUILTIN(LNX_EV_PROC_EXIT, "proc.exit", lnx_ev_proc_exit, lnx_fields_proc_exit,
		    LNX_EVF_PROCESS | LNX_EVF_KERNEL, "a process ended"),
	LNX_BUILTIN(LNX_EV_PROC_USAGE, "proc.usage", lnx_ev_proc_usage, lnx_fields_proc_usage,
		    LNX_EVF_PROCESS, "what a process used so far"),
	LNX_BUILTIN(LNX_EV_HOST_SAMPLE, "host.sample", lnx_ev_host_sample, lnx_fields_host_sample,
		    0, "the machine in the last second"),
	LNX_BUILTIN(LNX_EV_PSI_SAMPLE, "psi.sample", lnx_ev_psi_sample, lnx_fields_psi_sample, 0,
		    "pressure of the whole machine"),
	LNX_BUILTIN(LNX_EV_PSI_CGROUP, "psi.cgroup", lnx_ev_psi_cgroup, lnx_fields_psi_cgroup,
		    LNX_EVF_TAGS, "pressure of one cgroup"),
	LNX_BUILTIN(LNX_EV_STALL_EDGE, "stall.edge", lnx_ev_stall_edge, lnx_fields_stall_edge, 0,
		    "a culprit's share of a victim's stall"),
	LNX_BUILTIN(LNX_EV_STALL_WINDOW, "stall.window", lnx_ev_stall_window,
		    lnx_fields_stall_window, LNX_EVF_TAGS,
		    "a victim's stall of one resource and its parts"),
	LNX_BUILTIN(LNX_EV_STALL_TREE, "stall.tree", lnx_ev_stall_tree, lnx_fields_stall_tree,
		    LNX_EVF_PROCESS, "what one process tree held up in a window"),
	LNX_BUILTIN(
		LNX_EV_STALL_NODE, "stall.node", lnx_ev_stall_node, lnx_fields_stall_node, 0,
		"how saturated the machine's CPUs are, and the process tree that holds most of it"),
	LNX_BUILTIN(LNX_EV_CGROUP_NEW, "cgroup.new", lnx_ev_cgroup, lnx_fields_cgroup,
		    LNX_EVF_KERNEL, "a cgroup was made or renamed"),
	LNX_BUILTIN(LNX_EV_CGROUP_GONE, "cgroup.gone", lnx_ev_cgroup, lnx_fields_cgroup,
		    LNX_EVF_KERNEL, "a cgroup was removed"),
	LNX_BUILTIN(LNX_EV_CGROUP_PIDS, "cgroup.pids", lnx_ev_cgroup_pids, lnx_fields_cgroup_pids,
		    LNX_EVF_PROCESS, "how full the limit of processes is where many are made"),
	LNX_BUILTIN(LNX_EV_WORKLOAD_UPDATE, "workload.update", lnx_ev_workload_update,
		    lnx_fields_workload_update, 0, "who a cgroup is became known"),
	LNX_BUILTIN(LNX_EV_WORKLOAD_USAGE, "workload.usage", lnx_ev_workload_usage,
		    lnx_fields_workload_usage, LNX_EVF_TAGS,
		    "what a workload uses, and what its limits leave it"),
	LNX_BUILTIN(LNX_EV_ALERT, "alert", lnx_ev_alert, lnx_fields_alert,
		    LNX_EVF_IDENT | LNX_EVF_TAGS, "a rule fired or stopped firing"),
	LNX_BUILTIN(LNX_EV_AGENT_COST, "agent.cost", lnx_ev_agent_cost, lnx_fields_agent_cost, 0,
		    "what the agent itself cost, and what it may"),
	LNX_BUILTIN(LNX_EV_RULE_DISABLED, "rule.disabled", lnx_ev_rule_disabled,
		    lnx_fields_rule_disabled, LNX_EVF_IDENT,
		    "a rule failed too often and no longer runs"),
	LNX_BUILTIN(LNX_EV_INCIDENT_OPEN, "incident.open", lnx_ev_incident, lnx_fields_incident,
		    LNX_EVF_IDENT, "an incident began, or began again"),
	LNX_BUILTIN(LNX_EV_INCIDENT_UPDATE, "incident.update", lnx_ev_incident, lnx_fields_incident,
		    LNX_EVF_IDENT, "more became known of an incident"),
	LNX_BUILTIN(LNX_EV_INCIDENT_CLOSE, "incident.close", lnx_ev_incident, lnx_fields_incident,
		    LNX_EVF_IDENT, "an incident is over"),
	LNX_BUILTIN(LNX_EV_ACTION_REQUEST, "action.request", lnx_ev_action_request,
		    lnx_fields_action_request, LNX_EVF_IDENT,
		    "a rule or a person asks for an action"),
	LNX_BUILTIN(LNX_EV_ACTION_DONE, "action.done", lnx_ev_action_done, lnx_fields_action_done,
		    LNX_EVF_IDENT, "an action came to a new state"),
};
#endif
#endif
