/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The pods of this node, deleted ones kept for a while. Bounded. A node has some hundred at most: searched in order. */
#ifndef LNX_K8S_PODS_H
#define LNX_K8S_PODS_H

#include "pod.h"

#define K8S_GONE_MAX 256 /* deleted pods that are remembered */

struct k8s_pods {
	struct k8s_pod **list; /* owned, <max> + K8S_GONE_MAX places */
	uint32_t n, n_gone, max;
	uint64_t round;		     /* of the list that is being read, or was last */
	uint64_t refused;	     /* pods for which there was no room */
	uint64_t containers_refused; /* over K8S_CONTAINERS_MAX, each time their pod was read */
};

/* 0 or -ENOMEM. */
int k8s_pods_init(struct k8s_pods *t, uint32_t max);
void k8s_pods_done(struct k8s_pods *t);
/* Put <p> in, or over what was known of it. *ret_change: LNX_K8S_POD_NEW, _CHANGED, or -1 if nothing that we keep changed.
 * Returns the stored pod; NULL: full, or no memory. */
struct k8s_pod *k8s_pods_put(struct k8s_pods *t, const struct k8s_pod *p, int *ret_change);
/* It no longer exists. */
void k8s_pods_gone(struct k8s_pods *t, struct k8s_pod *p, uint64_t now_ns);
/* Forget those gone for longer than <keep_ns>. */
void k8s_pods_expire(struct k8s_pods *t, uint64_t now_ns, uint64_t keep_ns);
/* By the API's uid. */
struct k8s_pod *k8s_pods_get(const struct k8s_pods *t, const char *uid);
/* By the uid of a cgroup path: the API's, or of a static pod the hash of its configuration. */
struct k8s_pod *k8s_pods_find(const struct k8s_pods *t, const char *uid);
/* By a container's id; *ret_container is that one. */
struct k8s_pod *k8s_pods_container(const struct k8s_pods *t, const char *id,
				   const struct k8s_container **ret_container);
/* Container <id> of <p>, or NULL. */
const struct k8s_container *k8s_pod_container(const struct k8s_pod *p, const char *id);
/* What the cgroup path of <p> carries. */
const char *k8s_pod_path_uid(const struct k8s_pod *p);

#endif
