/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/ev_workload.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/ev_workload.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_ev_cgroup, 56);
AT(lnx_ev_cgroup, h, 0);
AT(lnx_ev_cgroup, cgroup_id, 24);
AT(lnx_ev_cgroup, parent_id, 32);
AT(lnx_ev_cgroup, level, 40);
AT(lnx_ev_cgroup, is_rename, 44);
AT(lnx_ev_cgroup, path, 48);
AT(lnx_ev_cgroup, pad, 52);

SIZE(lnx_ev_workload_update, 112);
AT(lnx_ev_workload_update, h, 0);
AT(lnx_ev_workload_update, cgroup_id, 24);
AT(lnx_ev_workload_update, path, 32);
AT(lnx_ev_workload_update, workload, 36);
AT(lnx_ev_workload_update, namespace_, 40);
AT(lnx_ev_workload_update, pod_name, 44);
AT(lnx_ev_workload_update, pod_uid, 48);
AT(lnx_ev_workload_update, container_name, 52);
AT(lnx_ev_workload_update, container_id, 56);
AT(lnx_ev_workload_update, runtime, 60);
AT(lnx_ev_workload_update, qos, 64);
AT(lnx_ev_workload_update, owner_channel, 68);
AT(lnx_ev_workload_update, slo_tier, 72);
AT(lnx_ev_workload_update, is_ignored, 76);
AT(lnx_ev_workload_update, cpu_request_millicores, 80);
AT(lnx_ev_workload_update, cpu_limit_millicores, 84);
AT(lnx_ev_workload_update, pad, 88);
AT(lnx_ev_workload_update, memory_request_bytes, 96);
AT(lnx_ev_workload_update, memory_limit_bytes, 104);

SIZE(lnx_ev_cgroup_pids, 64);
AT(lnx_ev_cgroup_pids, h, 0);
AT(lnx_ev_cgroup_pids, cgroup_id, 24);
AT(lnx_ev_cgroup_pids, pids, 32);
AT(lnx_ev_cgroup_pids, pids_max, 40);
AT(lnx_ev_cgroup_pids, pids_ratio, 48);
AT(lnx_ev_cgroup_pids, forks, 56);
AT(lnx_ev_cgroup_pids, path, 60);

SIZE(lnx_ev_workload_usage, 136);
AT(lnx_ev_workload_usage, h, 0);
AT(lnx_ev_workload_usage, cgroup_id, 24);
AT(lnx_ev_workload_usage, window_ns, 32);
AT(lnx_ev_workload_usage, age_ns, 40);
AT(lnx_ev_workload_usage, anon_bytes, 48);
AT(lnx_ev_workload_usage, working_set_bytes, 56);
AT(lnx_ev_workload_usage, memory_limit_bytes, 64);
AT(lnx_ev_workload_usage, memory_room_bytes, 72);
AT(lnx_ev_workload_usage, limit_cgroup_id, 80);
AT(lnx_ev_workload_usage, oom_kills, 88);
AT(lnx_ev_workload_usage, oom_kills_total, 96);
AT(lnx_ev_workload_usage, throttled_ms, 104);
AT(lnx_ev_workload_usage, throttled_total_ms, 112);
AT(lnx_ev_workload_usage, cpu_limit_cores, 120);
AT(lnx_ev_workload_usage, source, 128);
AT(lnx_ev_workload_usage, path, 132);
