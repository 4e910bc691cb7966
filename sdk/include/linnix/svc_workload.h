/* SPDX-License-Identifier: MIT */
/* Service "workload/1": who a cgroup is. Loop thread only. Strings are borrowed until the next event. */
#ifndef LINNIX_SVC_WORKLOAD_H
#define LINNIX_SVC_WORKLOAD_H

#include <linnix/buf.h>
#include <stdint.h>
#include <stdio.h>

/* enum lnx_workload_kind */
#define LNX_WL_OTHER	 0
#define LNX_WL_CONTAINER 1
#define LNX_WL_UNIT	 2 /* systemd service, scope or slice */
#define LNX_WL_SESSION	 3 /* a user's session */
#define LNX_WL_ROOT	 4

/* Never NULL strings; "" where unknown. */
struct lnx_workload {
	uint32_t size;
	uint32_t kind; /* enum lnx_workload_kind */
	uint64_t cgroup_id;
	uint64_t
		slot_cgroup_id; /* the cgroup that stands for it in the ledger: its container, unit or itself */
	uint64_t parent_cgroup_id;
	uint64_t gone_ns; /* 0: exists */
	const char *path; /* v2 path, "/" for the root */
	const char *workload, *namespace_, *pod_name, *pod_uid, *container_name, *container_id,
		*runtime, *qos;
	/* of Kubernetes, where the pod is known */
	const char *owner_channel, *slo_tier;
	uint32_t is_ignored;
	/* of the container, or summed over the containers of a pod; 0: none given */
	uint32_t cpu_request_millicores, cpu_limit_millicores;
	uint32_t pad;
	uint64_t memory_request_bytes, memory_limit_bytes;
};

struct lnx_svc_workload {
	uint32_t size;
	uint32_t pad;
	/* Returns 0 or -ENOENT (never seen, or forgotten). */
	int (*get)(void *self, uint64_t cgroup_id, struct lnx_workload *ret_w);
	/* Every known cgroup; <each> returning non-zero stops. Returns how many were visited. */
	int (*each)(void *self, uint32_t include_gone,
		    int (*each)(void *arg, const struct lnx_workload *w), void *arg);
};

/* Member "workload" as people see it: "namespace/name". */
static inline void lnx_workload_json(struct lnx_buf *out, const char *namespace_,
				     const char *workload)
{
	char name[512];
	int n = snprintf(name, sizeof(name), "%s/%s", namespace_, workload);

	lnx_json_kv_str(out, "workload",
			*namespace_ && n > 0 && n < (int)sizeof(name) ? name : workload);
}

#endif
