/* SPDX-License-Identifier: MIT */
/* stall.tree and stall.node (plugin `stall`): which process tree holds the machine's CPU stall, once a second. Figures in ms
 * are PSI "some" time, as in ev_stall.h. */
#ifndef LINNIX_EV_TREE_H
#define LINNIX_EV_TREE_H

#include <linnix/ev_stall.h>

/* What the processes of one tree held up: a process, the root, with all below it in the same cgroup. h.pid is the root.
 * Only the largest of a window are published. The resource is the CPU. */
struct lnx_ev_stall_tree {
	struct lnx_event h;
	__u64 window_ns;
	__u64 start_ns;	 /* of the root, 0 unknown */
	__u64 cgroup_id; /* container, unit or leaf cgroup it is in */
	__u32 rank;	 /* 1: the largest share of the node's stall */
	__u32 n_processes;
	double node_ms;		 /* its part of the node's stall, its own waits included */
	double node_share_ratio; /* the same, 0..1 */
	double caused_ms;	 /* what other workloads lost to it, summed over them */
	double caused_ms_per_s;	 /* the same a second */
	double confidence;	 /* of the node's figures */
	struct lnx_str comm;	 /* of the root */
	struct lnx_str workload, namespace_, pod_name;
};

/* Once a window, also without a ledger: how saturated the CPUs are, and the tree that holds most of it. h.pid is the
 * tree's root, 0 when no tree is measured. */
struct lnx_ev_stall_node {
	struct lnx_event h;
	__u64 window_ns;
	__u64 tree_start_ns, tree_cgroup_id;
	__u32 method; /* enum lnx_method */
	__u32 pad;
	double cpu_pct,
		psi_cpu_some; /* means of host.sample since the window before; NaN unknown */
	double stalled_ms;
	double confidence; /* coverage, else 1 - lost ratio; NaN without a ledger */
	double tree_ms, tree_share_ratio,
		tree_caused_ms_per_s; /* as in stall.tree; NaN when not measured */
	struct lnx_str tree_comm, tree_workload, tree_namespace, tree_pod_name;
};

#ifdef LNX_EVENT_TABLES
static const struct lnx_field lnx_fields_stall_tree[] = {
	LNX_FIELD(lnx_ev_stall_tree, "rank", LNX_U32, rank, "",
		  "1: the largest share of the node's stall", NULL),
	LNX_FIELD(lnx_ev_stall_tree, "comm", LNX_STR, comm, "", "name of the root process",
		  "process.command"),
	LNX_FIELD(lnx_ev_stall_tree, "start_ns", LNX_U64, start_ns, "ns",
		  "start of the root, CLOCK_BOOTTIME, 0 unknown", NULL),
	LNX_FIELD(lnx_ev_stall_tree, "n_processes", LNX_U32, n_processes, "",
		  "processes of it that held somebody up", NULL),
	LNX_FIELD(lnx_ev_stall_tree, "workload", LNX_STR, workload, "", "workload it belongs to",
		  NULL),
	LNX_FIELD(lnx_ev_stall_tree, "workload_namespace", LNX_STR, namespace_, "", "its namespace",
		  NULL),
	LNX_FIELD(lnx_ev_stall_tree, "workload_pod_name", LNX_STR, pod_name, "", "its pod", NULL),
	LNX_FIELD(lnx_ev_stall_tree, "cgroup_id", LNX_ID, cgroup_id, "", "its cgroup", NULL),
	LNX_FIELD(lnx_ev_stall_tree, "node_ms", LNX_F64, node_ms, "ms",
		  "part of the node's CPU stall, its own waits included", NULL),
	LNX_FIELD(lnx_ev_stall_tree, "node_share_ratio", LNX_F64, node_share_ratio, "",
		  "the same as a share, 0..1", NULL),
	LNX_FIELD(lnx_ev_stall_tree, "caused_ms", LNX_F64, caused_ms, "ms",
		  "what other workloads lost to it, summed over them", NULL),
	LNX_FIELD(lnx_ev_stall_tree, "caused_ms_per_s", LNX_F64, caused_ms_per_s, "ms",
		  "the same a second", NULL),
	LNX_FIELD(lnx_ev_stall_tree, "confidence", LNX_F64, confidence, "",
		  "of the node's figures: coverage, else 1 minus the lost ratio", NULL),
	LNX_FIELD(lnx_ev_stall_tree, "window_ns", LNX_U64, window_ns, "ns", "length of the window",
		  NULL),
};

static const struct lnx_field lnx_fields_stall_node[] = {
	LNX_FIELD(lnx_ev_stall_node, "cpu_pct", LNX_F64, cpu_pct, "pct",
		  "CPU of the machine, as in host.sample", NULL),
	LNX_FIELD(lnx_ev_stall_node, "psi_cpu_some", LNX_F64, psi_cpu_some, "pct",
		  "CPU pressure, as in host.sample", NULL),
	LNX_FIELD_E(lnx_ev_stall_node, "method", method, "how the stall was measured", NULL,
		    lnx_method_names),
	LNX_FIELD(lnx_ev_stall_node, "stalled_ms", LNX_F64, stalled_ms, "ms",
		  "wall time with a waiting task", NULL),
	LNX_FIELD(lnx_ev_stall_node, "confidence", LNX_F64, confidence, "",
		  "coverage, else 1 minus the lost ratio; null without a ledger", NULL),
	LNX_FIELD(lnx_ev_stall_node, "tree_comm", LNX_STR, tree_comm, "",
		  "root of the tree with the largest share", "process.command"),
	LNX_FIELD(lnx_ev_stall_node, "tree_start_ns", LNX_U64, tree_start_ns, "ns",
		  "start of that root", NULL),
	LNX_FIELD(lnx_ev_stall_node, "tree_workload", LNX_STR, tree_workload, "", "its workload",
		  NULL),
	LNX_FIELD(lnx_ev_stall_node, "tree_namespace", LNX_STR, tree_namespace, "", "its namespace",
		  NULL),
	LNX_FIELD(lnx_ev_stall_node, "tree_pod_name", LNX_STR, tree_pod_name, "", "its pod", NULL),
	LNX_FIELD(lnx_ev_stall_node, "tree_cgroup_id", LNX_ID, tree_cgroup_id, "", "its cgroup",
		  NULL),
	LNX_FIELD(lnx_ev_stall_node, "tree_ms", LNX_F64, tree_ms, "ms",
		  "its part of the stall, its own waits included", NULL),
	LNX_FIELD(lnx_ev_stall_node, "tree_share_ratio", LNX_F64, tree_share_ratio, "",
		  "the same as a share, 0..1; null when no tree is measured", NULL),
	LNX_FIELD(lnx_ev_stall_node, "tree_caused_ms_per_s", LNX_F64, tree_caused_ms_per_s, "ms",
		  "what other workloads lost to it in a second", NULL),
	LNX_FIELD(lnx_ev_stall_node, "window_ns", LNX_U64, window_ns, "ns", "length of the window",
		  NULL),
};
#endif
#endif
