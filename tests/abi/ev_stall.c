/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/ev_stall.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/ev_stall.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_ev_stall_edge, 184);
AT(lnx_ev_stall_edge, h, 0);
AT(lnx_ev_stall_edge, window_ns, 24);
AT(lnx_ev_stall_edge, victim_cgroup_id, 32);
AT(lnx_ev_stall_edge, culprit_cgroup_id, 40);
AT(lnx_ev_stall_edge, culprit_start_ns, 48);
AT(lnx_ev_stall_edge, resource, 56);
AT(lnx_ev_stall_edge, kind, 60);
AT(lnx_ev_stall_edge, method, 64);
AT(lnx_ev_stall_edge, same_workload, 68);
AT(lnx_ev_stall_edge, stall_ms, 72);
AT(lnx_ev_stall_edge, raw_ms, 80);
AT(lnx_ev_stall_edge, share_ratio, 88);
AT(lnx_ev_stall_edge, coverage_ratio, 96);
AT(lnx_ev_stall_edge, confidence, 104);
AT(lnx_ev_stall_edge, culprit_cpu_pct, 112);
AT(lnx_ev_stall_edge, victim, 120);
AT(lnx_ev_stall_edge, culprit, 124);
AT(lnx_ev_stall_edge, victim_namespace, 128);
AT(lnx_ev_stall_edge, culprit_namespace, 132);
AT(lnx_ev_stall_edge, victim_pod_name, 136);
AT(lnx_ev_stall_edge, culprit_pod_name, 140);
AT(lnx_ev_stall_edge, culprit_comm, 144);
AT(lnx_ev_stall_edge, limit, 148);
AT(lnx_ev_stall_edge, pair, 152);
AT(lnx_ev_stall_edge, victim_container_id, 160);
AT(lnx_ev_stall_edge, culprit_container_id, 164);
AT(lnx_ev_stall_edge, entitled, 168);
AT(lnx_ev_stall_edge, pad, 172);
AT(lnx_ev_stall_edge, victim_pod_uid, 176);
AT(lnx_ev_stall_edge, culprit_pod_uid, 180);

SIZE(lnx_ev_stall_window, 184);
AT(lnx_ev_stall_window, h, 0);
AT(lnx_ev_stall_window, window_ns, 24);
AT(lnx_ev_stall_window, cgroup_id, 32);
AT(lnx_ev_stall_window, resource, 40);
AT(lnx_ev_stall_window, method, 44);
AT(lnx_ev_stall_window, stalled_ms, 48);
AT(lnx_ev_stall_window, psi_ms, 56);
AT(lnx_ev_stall_window, raw_ms, 64);
AT(lnx_ev_stall_window, full_ms, 72);
AT(lnx_ev_stall_window, coverage_ratio, 80);
AT(lnx_ev_stall_window, confidence, 88);
AT(lnx_ev_stall_window, self_ms, 96);
AT(lnx_ev_stall_window, sibling_ms, 104);
AT(lnx_ev_stall_window, neighbour_ms, 112);
AT(lnx_ev_stall_window, throttled_ms, 120);
AT(lnx_ev_stall_window, kernel_ms, 128);
AT(lnx_ev_stall_window, irq_ms, 136);
AT(lnx_ev_stall_window, steal_ms, 144);
AT(lnx_ev_stall_window, idle_ms, 152);
AT(lnx_ev_stall_window, other_ms, 160);
AT(lnx_ev_stall_window, workload, 168);
AT(lnx_ev_stall_window, namespace_, 172);
AT(lnx_ev_stall_window, pod_name, 176);
AT(lnx_ev_stall_window, path, 180);
