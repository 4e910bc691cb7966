/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/svc_workload.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/svc_workload.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_workload, 160);
AT(lnx_workload, size, 0);
AT(lnx_workload, kind, 4);
AT(lnx_workload, cgroup_id, 8);
AT(lnx_workload, slot_cgroup_id, 16);
AT(lnx_workload, parent_cgroup_id, 24);
AT(lnx_workload, gone_ns, 32);
AT(lnx_workload, path, 40);
AT(lnx_workload, workload, 48);
AT(lnx_workload, namespace_, 56);
AT(lnx_workload, pod_name, 64);
AT(lnx_workload, pod_uid, 72);
AT(lnx_workload, container_name, 80);
AT(lnx_workload, container_id, 88);
AT(lnx_workload, runtime, 96);
AT(lnx_workload, qos, 104);
AT(lnx_workload, owner_channel, 112);
AT(lnx_workload, slo_tier, 120);
AT(lnx_workload, is_ignored, 128);
AT(lnx_workload, cpu_request_millicores, 132);
AT(lnx_workload, cpu_limit_millicores, 136);
AT(lnx_workload, pad, 140);
AT(lnx_workload, memory_request_bytes, 144);
AT(lnx_workload, memory_limit_bytes, 152);

SIZE(lnx_svc_workload, 24);
AT(lnx_svc_workload, size, 0);
AT(lnx_svc_workload, pad, 4);
AT(lnx_svc_workload, get, 8);
AT(lnx_svc_workload, each, 16);
