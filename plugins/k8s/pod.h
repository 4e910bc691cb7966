/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What we keep of a pod, and how it is read from the API's JSON. */
#ifndef LNX_K8S_POD_H
#define LNX_K8S_POD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define K8S_UID_BYTES	   40
#define K8S_NAME_BYTES	   254 /* DNS names have 253 letters at most */
#define K8S_NS_BYTES	   64
#define K8S_CONTAINER_NAME 64
#define K8S_CONTAINER_ID   80
#define K8S_CONTAINERS_MAX 64 /* of one pod; more are counted */

/* enum k8s_container_kind */
#define K8S_REGULAR   0
#define K8S_INIT      1
#define K8S_EPHEMERAL 2

struct k8s_container {
	char name[K8S_CONTAINER_NAME];
	char id[K8S_CONTAINER_ID];	/* without "containerd://"; "" before the kubelet tells */
	char last_id[K8S_CONTAINER_ID]; /* of the run before a restart */
	uint32_t kind;			/* enum k8s_container_kind */
	uint32_t is_sidecar;		/* an init container that stays */
	uint32_t cpu_request_millicores, cpu_limit_millicores;
	uint64_t memory_request_bytes, memory_limit_bytes;
};

struct k8s_pod {
	uint64_t deleted_ns; /* 0: exists */
	uint64_t round;	     /* of the last list that named it */
	char uid[K8S_UID_BYTES];
	char config_hash
		[K8S_UID_BYTES]; /* of a static pod: what cgroup paths carry instead of the uid */
	char name[K8S_NAME_BYTES];
	char namespace_[K8S_NS_BYTES];
	char workload[K8S_NAME_BYTES];
	char qos[16];
	char owner_channel[128];
	char slo_tier[64];
	char version[32]; /* resourceVersion */
	uint32_t is_ignored;
	uint32_t n_containers, n_refused; /* refused: over K8S_CONTAINERS_MAX */
	uint32_t pad;
	struct k8s_container containers[K8S_CONTAINERS_MAX];
};

/* Bytes of a pod with <n> containers. */
static inline size_t k8s_pod_bytes(uint32_t n)
{
	return offsetof(struct k8s_pod, containers) + n * sizeof(struct k8s_container);
}

/* enum k8s_change: "type" of a line of a watch */
#define K8S_NONE     0
#define K8S_ADDED    1
#define K8S_MODIFIED 2
#define K8S_DELETED  3
#define K8S_BOOKMARK 4
#define K8S_ERROR    5

struct k8s_line {
	uint32_t change; /* enum k8s_change */
	uint32_t code;	 /* of K8S_ERROR */
	char message[128];
};

/* Read a pod object. 0, or -EBADMSG: not JSON, or a pod without uid or name. */
int k8s_pod_read(const char *json, size_t n, struct k8s_pod *ret_pod);
/* Read a line of a watch; the pod is only filled for ADDED, MODIFIED and DELETED, its version for BOOKMARK, too. */
int k8s_line_read(const char *json, size_t n, struct k8s_line *ret_line, struct k8s_pod *ret_pod);
/* "resourceVersion" of a list's metadata; "" if it has none. */
void k8s_meta_read(const char *json, size_t n, char *ret_version, size_t cap);
/* Message of a Status object, as error answers carry it; "" if it is none. */
void k8s_status_read(const char *json, size_t n, char *ret_message, size_t cap);
/* A quantity ("100m", "1.5", "32Mi", "1e3") times <scale>, rounded up; 0 for what is none or negative. */
uint64_t k8s_quantity(const char *text, uint64_t scale);

#endif
