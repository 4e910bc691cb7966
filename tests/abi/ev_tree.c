/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/ev_tree.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/ev_tree.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_ev_stall_tree, 112);
AT(lnx_ev_stall_tree, h, 0);
AT(lnx_ev_stall_tree, window_ns, 24);
AT(lnx_ev_stall_tree, start_ns, 32);
AT(lnx_ev_stall_tree, cgroup_id, 40);
AT(lnx_ev_stall_tree, rank, 48);
AT(lnx_ev_stall_tree, n_processes, 52);
AT(lnx_ev_stall_tree, node_ms, 56);
AT(lnx_ev_stall_tree, node_share_ratio, 64);
AT(lnx_ev_stall_tree, caused_ms, 72);
AT(lnx_ev_stall_tree, caused_ms_per_s, 80);
AT(lnx_ev_stall_tree, confidence, 88);
AT(lnx_ev_stall_tree, comm, 96);
AT(lnx_ev_stall_tree, workload, 100);
AT(lnx_ev_stall_tree, namespace_, 104);
AT(lnx_ev_stall_tree, pod_name, 108);

SIZE(lnx_ev_stall_node, 128);
AT(lnx_ev_stall_node, h, 0);
AT(lnx_ev_stall_node, window_ns, 24);
AT(lnx_ev_stall_node, tree_start_ns, 32);
AT(lnx_ev_stall_node, tree_cgroup_id, 40);
AT(lnx_ev_stall_node, method, 48);
AT(lnx_ev_stall_node, pad, 52);
AT(lnx_ev_stall_node, cpu_pct, 56);
AT(lnx_ev_stall_node, psi_cpu_some, 64);
AT(lnx_ev_stall_node, stalled_ms, 72);
AT(lnx_ev_stall_node, confidence, 80);
AT(lnx_ev_stall_node, tree_ms, 88);
AT(lnx_ev_stall_node, tree_share_ratio, 96);
AT(lnx_ev_stall_node, tree_caused_ms_per_s, 104);
AT(lnx_ev_stall_node, tree_comm, 112);
AT(lnx_ev_stall_node, tree_workload, 116);
AT(lnx_ev_stall_node, tree_namespace, 120);
AT(lnx_ev_stall_node, tree_pod_name, 124);
