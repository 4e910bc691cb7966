/* SPDX-License-Identifier: MIT */
/* stall.edge and stall.window (plugin `stall`): who made whom wait, once a second. Of process trees and of the machine as
 * a whole: ev_tree.h.
 *
 * stall_ms figures are PSI "some" time: wall time in which at least one runnable task of the victim waited, CPUs weighted
 * by their non-idle time; the parts of a window sum to its stalled_ms. raw_ms sums CPUs and may exceed the window. */
#ifndef LINNIX_EV_STALL_H
#define LINNIX_EV_STALL_H

#include <linnix/event.h>

/* enum lnx_resource */
#define LNX_RES_CPU    0
#define LNX_RES_MEMORY 1
#define LNX_RES_IO     2
#define LNX_RES_N      3

/* enum lnx_stall_kind: the closed list of parts */
#define LNX_STALL_SELF	    0
#define LNX_STALL_SIBLING   1 /* another container of the same pod */
#define LNX_STALL_NEIGHBOUR 2
#define LNX_STALL_THROTTLED 3 /* the victim's own or an ancestor's quota */
#define LNX_STALL_KERNEL    4
#define LNX_STALL_IRQ	    5
#define LNX_STALL_STEAL	    6
#define LNX_STALL_IDLE	    7 /* wake-up latency */
#define LNX_STALL_OTHER	    8
#define LNX_STALL_KINDS	    9

/* enum lnx_method: how a figure was got */
#define LNX_METHOD_NONE	     0
#define LNX_METHOD_PSI_ONLY  1
#define LNX_METHOD_EXACT     2
#define LNX_METHOD_PAIR	     3
#define LNX_METHOD_MODEL     4
#define LNX_METHOD_HEURISTIC 5

/* A culprit's share of one victim's stall. Only the largest pairs of a window are published. h.pid is the culprit's
 * process that ran most, 0 if unknown. */
struct lnx_ev_stall_edge {
	struct lnx_event h;
	__u64 window_ns;
	__u64 victim_cgroup_id;	 /* 0: the node */
	__u64 culprit_cgroup_id; /* 0 unless kind is self, sibling or neighbour */
	__u64 culprit_start_ns;	 /* of process h.pid */
	__u32 resource;		 /* enum lnx_resource */
	__u32 kind;		 /* enum lnx_stall_kind */
	__u32 method;		 /* enum lnx_method */
	__u32 same_workload;	 /* a replica of the victim's workload */
	double stall_ms;
	double raw_ms;
	double share_ratio;	/* of the victim's stall of this resource and window, 0..1 */
	double coverage_ratio;	/* of ledger and PSI; NaN when PSI is off or under 1 ms */
	double confidence;	/* coverage, else 1 - lost ratio */
	double culprit_cpu_pct; /* in the window, 100 = one CPU */
	struct lnx_str victim, culprit; /* workload names */
	struct lnx_str victim_namespace, culprit_namespace;
	struct lnx_str victim_pod_name, culprit_pod_name;
	struct lnx_str culprit_comm; /* of process h.pid */
	struct lnx_str limit; /* kind throttled: "cpu.max 200000 100000" and its owner's path */
	__u64 pair;	      /* one number for victim, culprit, resource and kind, below 2^53 */
	struct lnx_str victim_container_id, culprit_container_id;
	__u32 entitled; /* the culprit is within its CPU request, or the victim is BestEffort */
	__u32 pad;
	struct lnx_str victim_pod_uid, culprit_pod_uid; /* empty outside of pods */
};

/* One victim's stall of one resource. */
struct lnx_ev_stall_window {
	struct lnx_event h;
	__u64 window_ns;
	__u64 cgroup_id; /* 0: the node */
	__u32 resource;	 /* enum lnx_resource */
	__u32 method;	 /* enum lnx_method */
	double stalled_ms, psi_ms, raw_ms, full_ms;
	double coverage_ratio, confidence;
	double self_ms, sibling_ms, neighbour_ms, throttled_ms, kernel_ms, irq_ms, steal_ms,
		idle_ms, other_ms;
	struct lnx_str workload, namespace_, pod_name, path;
};

#ifdef LNX_EVENT_TABLES
static const char *const lnx_resource_names[] = { "cpu", "memory", "io", NULL };
static const char *const lnx_stall_kind_names[] = { "self",   "sibling", "neighbour", "throttled",
						    "kernel", "irq",	 "steal",     "idle",
						    "other",  NULL };
static const char *const lnx_method_names[] = { "none",	 "psi-only",  "exact", "pair",
						"model", "heuristic", NULL };

static const struct lnx_field lnx_fields_stall_edge[] = {
	LNX_FIELD_E(lnx_ev_stall_edge, "resource", resource, "cpu, memory or io", NULL,
		    lnx_resource_names),
	LNX_FIELD_E(lnx_ev_stall_edge, "kind", kind, "what held what the victim waited for", NULL,
		    lnx_stall_kind_names),
	LNX_FIELD_E(lnx_ev_stall_edge, "method", method, "how it was measured", NULL,
		    lnx_method_names),
	LNX_FIELD(lnx_ev_stall_edge, "victim", LNX_STR, victim, "", "workload that waited", NULL),
	LNX_FIELD(lnx_ev_stall_edge, "victim_namespace", LNX_STR, victim_namespace, "",
		  "its namespace", NULL),
	LNX_FIELD(lnx_ev_stall_edge, "victim_pod_name", LNX_STR, victim_pod_name, "", "its pod",
		  NULL),
	LNX_FIELD(lnx_ev_stall_edge, "victim_cgroup_id", LNX_ID, victim_cgroup_id, "",
		  "its cgroup, 0 for the node", NULL),
	LNX_FIELD(lnx_ev_stall_edge, "culprit", LNX_STR, culprit, "", "workload that ran meanwhile",
		  NULL),
	LNX_FIELD(lnx_ev_stall_edge, "culprit_namespace", LNX_STR, culprit_namespace, "",
		  "its namespace", NULL),
	LNX_FIELD(lnx_ev_stall_edge, "culprit_pod_name", LNX_STR, culprit_pod_name, "", "its pod",
		  NULL),
	LNX_FIELD(lnx_ev_stall_edge, "culprit_cgroup_id", LNX_ID, culprit_cgroup_id, "",
		  "its cgroup, or 0", NULL),
	LNX_FIELD(lnx_ev_stall_edge, "culprit_comm", LNX_STR, culprit_comm, "",
		  "its process that ran most meanwhile", "process.command"),
	LNX_FIELD(lnx_ev_stall_edge, "culprit_start_ns", LNX_U64, culprit_start_ns, "ns",
		  "start of that process", NULL),
	LNX_FIELD(lnx_ev_stall_edge, "culprit_cpu_pct", LNX_F64, culprit_cpu_pct, "pct",
		  "CPU of the culprit, 100 = one CPU", NULL),
	LNX_FIELD(lnx_ev_stall_edge, "stall_ms", LNX_F64, stall_ms, "ms",
		  "stall that the culprit caused the victim", NULL),
	LNX_FIELD(lnx_ev_stall_edge, "raw_ms", LNX_F64, raw_ms, "ms", "the same, summed over CPUs",
		  NULL),
	LNX_FIELD(lnx_ev_stall_edge, "share_ratio", LNX_F64, share_ratio, "",
		  "part of the victim's stall, 0..1", NULL),
	LNX_FIELD(lnx_ev_stall_edge, "coverage_ratio", LNX_F64, coverage_ratio, "",
		  "agreement with PSI, 0..1", NULL),
	LNX_FIELD(lnx_ev_stall_edge, "confidence", LNX_F64, confidence, "",
		  "coverage, else 1 minus the lost ratio", NULL),
	LNX_FIELD(lnx_ev_stall_edge, "same_workload", LNX_BOOL, same_workload, "",
		  "the culprit is a replica of the victim", NULL),
	LNX_FIELD(lnx_ev_stall_edge, "limit", LNX_STR, limit, "",
		  "quota that throttled, and its owner", NULL),
	LNX_FIELD(lnx_ev_stall_edge, "window_ns", LNX_U64, window_ns, "ns", "length of the window",
		  NULL),
	LNX_FIELD(lnx_ev_stall_edge, "pair", LNX_ID, pair, "",
		  "one number for victim, culprit, resource and kind", NULL),
	LNX_FIELD(lnx_ev_stall_edge, "victim_container_id", LNX_STR, victim_container_id, "",
		  "container of the victim, or empty", "container.id"),
	LNX_FIELD(lnx_ev_stall_edge, "culprit_container_id", LNX_STR, culprit_container_id, "",
		  "container of the culprit, or empty", NULL),
	LNX_FIELD(lnx_ev_stall_edge, "entitled", LNX_BOOL, entitled, "",
		  "the culprit stays within its CPU request, or the victim is BestEffort", NULL),
	LNX_FIELD(lnx_ev_stall_edge, "victim_pod_uid", LNX_STR, victim_pod_uid, "",
		  "pod of the victim, or empty", "k8s.pod.uid"),
	LNX_FIELD(lnx_ev_stall_edge, "culprit_pod_uid", LNX_STR, culprit_pod_uid, "",
		  "pod of the culprit, or empty", NULL),
};

static const struct lnx_field lnx_fields_stall_window[] = {
	LNX_FIELD_E(lnx_ev_stall_window, "resource", resource, "cpu, memory or io", NULL,
		    lnx_resource_names),
	LNX_FIELD_E(lnx_ev_stall_window, "method", method, "how it was measured", NULL,
		    lnx_method_names),
	LNX_FIELD(lnx_ev_stall_window, "workload", LNX_STR, workload, "", "workload that waited",
		  NULL),
	LNX_FIELD(lnx_ev_stall_window, "workload_namespace", LNX_STR, namespace_, "",
		  "its namespace", NULL),
	LNX_FIELD(lnx_ev_stall_window, "workload_pod_name", LNX_STR, pod_name, "", "its pod", NULL),
	LNX_FIELD(lnx_ev_stall_window, "path", LNX_STR, path, "", "its cgroup path, for display",
		  NULL),
	LNX_FIELD(lnx_ev_stall_window, "cgroup_id", LNX_ID, cgroup_id, "",
		  "its cgroup, 0 for the node", NULL),
	LNX_FIELD(lnx_ev_stall_window, "stalled_ms", LNX_F64, stalled_ms, "ms",
		  "wall time with a waiting task, as PSI counts it", NULL),
	LNX_FIELD(lnx_ev_stall_window, "psi_ms", LNX_F64, psi_ms, "ms", "the kernel's own figure",
		  NULL),
	LNX_FIELD(lnx_ev_stall_window, "raw_ms", LNX_F64, raw_ms, "ms",
		  "summed over CPUs, before normalising", NULL),
	LNX_FIELD(lnx_ev_stall_window, "full_ms", LNX_F64, full_ms, "ms",
		  "no task of it ran while one waited", NULL),
	LNX_FIELD(lnx_ev_stall_window, "coverage_ratio", LNX_F64, coverage_ratio, "",
		  "agreement with PSI, 0..1", NULL),
	LNX_FIELD(lnx_ev_stall_window, "confidence", LNX_F64, confidence, "",
		  "coverage, else 1 minus the lost ratio", NULL),
	LNX_FIELD(lnx_ev_stall_window, "self_ms", LNX_F64, self_ms, "ms", "waited for itself",
		  NULL),
	LNX_FIELD(lnx_ev_stall_window, "sibling_ms", LNX_F64, sibling_ms, "ms",
		  "waited for its own pod", NULL),
	LNX_FIELD(lnx_ev_stall_window, "neighbour_ms", LNX_F64, neighbour_ms, "ms",
		  "waited for others", NULL),
	LNX_FIELD(lnx_ev_stall_window, "throttled_ms", LNX_F64, throttled_ms, "ms",
		  "waited for a quota", NULL),
	LNX_FIELD(lnx_ev_stall_window, "kernel_ms", LNX_F64, kernel_ms, "ms",
		  "waited for kernel threads", NULL),
	LNX_FIELD(lnx_ev_stall_window, "irq_ms", LNX_F64, irq_ms, "ms",
		  "waited for interrupts, a model", NULL),
	LNX_FIELD(lnx_ev_stall_window, "steal_ms", LNX_F64, steal_ms, "ms",
		  "waited for the hypervisor, a model", NULL),
	LNX_FIELD(lnx_ev_stall_window, "idle_ms", LNX_F64, idle_ms, "ms",
		  "wake-up latency of an idle CPU", NULL),
	LNX_FIELD(lnx_ev_stall_window, "other_ms", LNX_F64, other_ms, "ms",
		  "overflow of a bounded structure", NULL),
	LNX_FIELD(lnx_ev_stall_window, "window_ns", LNX_U64, window_ns, "ns",
		  "length of the window", NULL),
};
#endif
#endif
