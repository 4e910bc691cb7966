/* SPDX-License-Identifier: MIT */
/* Service "k8s/1": the pods of this node (plugin `k8s`). Loop thread only. Strings are borrowed until the next event or turn
 * of the loop. A change is told by the event "k8s.pod" (see below). */
#ifndef LINNIX_SVC_K8S_H
#define LINNIX_SVC_K8S_H

#include <linnix/event.h>
#include <stdint.h>

/* enum lnx_k8s_state */
#define LNX_K8S_OFF	 0 /* no cluster */
#define LNX_K8S_UNSYNCED 1 /* no list of pods has come yet */
#define LNX_K8S_SYNCED	 2
#define LNX_K8S_STALE	 3 /* the API does not answer: what is known may be old */

/* A container, or a pod as a whole. No string is NULL. */
struct lnx_k8s_who {
	uint32_t size;
	uint32_t is_deleted; /* the pod no longer exists */
	const char *namespace_, *pod_name;
	const char *pod_uid; /* as the API has it: of a static pod not the one of its cgroup path */
	const char
		*container_name; /* "" for the pod, its pause container, and one not yet told of */
	const char *workload;
	const char *qos; /* "guaranteed", "burstable", "besteffort" or "" */
	const char *owner_channel, *slo_tier;
	uint32_t is_ignored;
	/* of the container; of a pod what its containers sum up to. 0: none given, or a container without one */
	uint32_t cpu_request_millicores, cpu_limit_millicores;
	uint32_t pad;
	uint64_t memory_request_bytes, memory_limit_bytes;
};

struct lnx_svc_k8s {
	uint32_t size;
	uint32_t pad;
	/* By the uid of a cgroup path first, then by container id; either may be "". -ENOENT: neither is known. */
	int (*find)(void *self, const char *pod_uid, const char *container_id,
		    struct lnx_k8s_who *ret_who);
	/* Ids of the containers of the pod <pod_uid> (of a cgroup path, or the API's). Returns how many. */
	int (*containers)(void *self, const char *pod_uid,
			  int (*each)(void *arg, const char *container_id), void *arg);
	uint32_t (*state)(void *self); /* enum lnx_k8s_state */
};

/* Event "k8s.pod", a type of run time: what is known of a pod changed. */
struct lnx_ev_k8s_pod {
	struct lnx_event h;
	__u32 change;		/* enum lnx_k8s_change */
	struct lnx_str pod_uid; /* as cgroup paths have it */
	struct lnx_str namespace_, pod_name, workload;
	__u32 pad;
};

/* enum lnx_k8s_change */
#define LNX_K8S_POD_NEW	    0
#define LNX_K8S_POD_CHANGED 1
#define LNX_K8S_POD_DELETED 2

#ifdef LNX_EVENT_TABLES
static const char *const lnx_k8s_change_names[] = { "new", "changed", "deleted", NULL };

static const struct lnx_field lnx_fields_k8s_pod[] = {
	LNX_FIELD_E(lnx_ev_k8s_pod, "change", change, "new, changed or deleted", NULL,
		    lnx_k8s_change_names),
	LNX_FIELD(lnx_ev_k8s_pod, "pod_uid", LNX_STR, pod_uid, "",
		  "uid as cgroup paths have it: of a static pod its configuration's hash",
		  "k8s.pod.uid"),
	LNX_FIELD(lnx_ev_k8s_pod, "pod_name", LNX_STR, pod_name, "", "its name", "k8s.pod.name"),
	LNX_FIELD(lnx_ev_k8s_pod, "namespace", LNX_STR, namespace_, "", "its namespace",
		  "k8s.namespace.name"),
	LNX_FIELD(lnx_ev_k8s_pod, "workload", LNX_STR, workload, "", "what it belongs to", NULL),
};
#endif
#endif
