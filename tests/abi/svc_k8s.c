/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The binary contract of <linnix/svc_k8s.h>: each size and offset as plugins have seen it.
 *
 * Once released, an offset here never changes. Who adds a member at the end of a struct adds a line,
 * and the size grows; anything else is a new type. For machines whose long has 64 bits. */
#include <stddef.h>

#include <linnix/svc_k8s.h>

#define SIZE(st, n)  _Static_assert(sizeof(struct st) == (n), #st " changed its size")
#define AT(st, m, n) _Static_assert(offsetof(struct st, m) == (n), #st "." #m " moved")

SIZE(lnx_k8s_who, 104);
AT(lnx_k8s_who, size, 0);
AT(lnx_k8s_who, is_deleted, 4);
AT(lnx_k8s_who, namespace_, 8);
AT(lnx_k8s_who, pod_name, 16);
AT(lnx_k8s_who, pod_uid, 24);
AT(lnx_k8s_who, container_name, 32);
AT(lnx_k8s_who, workload, 40);
AT(lnx_k8s_who, qos, 48);
AT(lnx_k8s_who, owner_channel, 56);
AT(lnx_k8s_who, slo_tier, 64);
AT(lnx_k8s_who, is_ignored, 72);
AT(lnx_k8s_who, cpu_request_millicores, 76);
AT(lnx_k8s_who, cpu_limit_millicores, 80);
AT(lnx_k8s_who, pad, 84);
AT(lnx_k8s_who, memory_request_bytes, 88);
AT(lnx_k8s_who, memory_limit_bytes, 96);

SIZE(lnx_svc_k8s, 32);
AT(lnx_svc_k8s, size, 0);
AT(lnx_svc_k8s, pad, 4);
AT(lnx_svc_k8s, find, 8);
AT(lnx_svc_k8s, containers, 16);
AT(lnx_svc_k8s, state, 24);

SIZE(lnx_ev_k8s_pod, 48);
AT(lnx_ev_k8s_pod, h, 0);
AT(lnx_ev_k8s_pod, change, 24);
AT(lnx_ev_k8s_pod, pod_uid, 28);
AT(lnx_ev_k8s_pod, namespace_, 32);
AT(lnx_ev_k8s_pod, pod_name, 36);
AT(lnx_ev_k8s_pod, workload, 40);
AT(lnx_ev_k8s_pod, pad, 44);
