/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A cgroup path to pod uid, container id, runtime and QoS class. No allocation; any bytes are fine. */
#ifndef LNX_WORKLOAD_PARSE_H
#define LNX_WORKLOAD_PARSE_H

#include <stddef.h>
#include <stdint.h>

#define WORKLOAD_ID_MAX 80 /* letters of a container id, its end included */

/* enum workload_form */
#define WORKLOAD_HOST	   0 /* neither pod nor container */
#define WORKLOAD_CONTAINER 1
#define WORKLOAD_POD	   2 /* a pod's own folder */
#define WORKLOAD_MONITOR   3 /* conmon: beside a container, not in it */

/* "" where unknown. */
struct workload_ids {
	char pod_uid[40]; /* underscores turned to dashes */
	char container_id[WORKLOAD_ID_MAX];
	const char *runtime; /* "containerd", "cri-o", "docker", "podman", "ecs" or "" */
	const char *qos;     /* "guaranteed", "burstable", "besteffort" or "" */
	uint32_t form;	     /* enum workload_form */
	uint32_t pad;
	size_t end; /* bytes of the path up to and including the segment that names the container (or the pod) */
};

/* <path> as in /proc/PID/cgroup ("N:ctrl:PATH", "0::PATH") or a bare path; a trailing " (deleted)" is ignored. */
void workload_parse(const char *path, struct workload_ids *ret_ids);

#endif
