/* SPDX-License-Identifier: MIT */
/* cgroup.new and cgroup.gone (probe `cgroup`), workload.update, workload.usage and cgroup.pids (plugin `workload`). */
#ifndef LINNIX_EV_WORKLOAD_H
#define LINNIX_EV_WORKLOAD_H

#include <linnix/event.h>

/* A v2 cgroup was made or renamed (is_rename), or removed. h.pid is who did it; 0 when plugin `workload` found the end. */
struct lnx_ev_cgroup {
	struct lnx_event h;
	__u64 cgroup_id;
	__u64 parent_id;
	__u32 level; /* below the root */
	__u32 is_rename;
	struct lnx_str path; /* below the mount of the hierarchy; for display */
	__u32 pad;
};

/* Who a cgroup is became known, or changed. */
struct lnx_ev_workload_update {
	struct lnx_event h;
	__u64 cgroup_id;
	struct lnx_str path, workload, namespace_, pod_name, pod_uid, container_name, container_id,
		runtime;
	struct lnx_str qos;	      /* "guaranteed", "burstable", "besteffort" or "" */
	struct lnx_str owner_channel; /* annotation linnix.dev/owner-channel: whom to tell */
	struct lnx_str slo_tier;      /* label linnix.dev/slo-tier */
	__u32 is_ignored;	      /* annotation linnix.dev/ignore: no alerts about it */
	/* of the container, or summed over the containers of a pod; 0: none given */
	__u32 cpu_request_millicores, cpu_limit_millicores;
	__u32 pad;
	__u64 memory_request_bytes, memory_limit_bytes;
};

/* A cgroup in which many processes are made, below a limit of their number (pids.max, its own or an ancestor's). Once a second
 * while it goes on. h.pid is the one that forked last. */
struct lnx_ev_cgroup_pids {
	struct lnx_event h;
	__u64 cgroup_id; /* where they are made */
	__u64 pids;	 /* tasks below the limit now, threads included */
	__u64 pids_max;
	double pids_ratio;
	__u32 forks;	     /* in the last second */
	struct lnx_str path; /* of the cgroup that carries the limit, for display */
};

/* enum lnx_usage_source: who counted the memory */
#define LNX_USAGE_V2 0
#define LNX_USAGE_V1 1
#define LNX_USAGE_PROCESSES \
	2 /* no controller: the anonymous and shared memory of its processes, added up */

/* What a container, unit or other leaf cgroup uses, once each workload.usage, and at once when one of its processes was killed. */
struct lnx_ev_workload_usage {
	struct lnx_event h;
	__u64 cgroup_id;
	__u64 window_ns;	  /* since the look before; 0: the first */
	__u64 age_ns;		  /* for so long it is known */
	__u64 anon_bytes;	  /* page cache is not in it */
	double working_set_bytes; /* NaN without a controller */
	__u64 memory_limit_bytes; /* its own; 0: none */
	double memory_room_bytes; /* until the nearest limit, its own or an ancestor's; NaN: none */
	__u64 limit_cgroup_id;	  /* whose limit that is; 0: none */
	__u64 oom_kills;	  /* processes that the kernel killed at a limit, in the window */
	__u64 oom_kills_total;
	double throttled_ms; /* in the window, summed over CPUs; NaN without a CPU controller */
	double throttled_total_ms;
	double cpu_limit_cores; /* its own quota; 0: none */
	__u32 source;		/* enum lnx_usage_source */
	struct lnx_str path;	/* v2 path, for display */
};

#ifdef LNX_EVENT_TABLES
static const char *const lnx_usage_source_names[] = { "v2", "v1", "processes", NULL };

static const struct lnx_field lnx_fields_workload_usage[] = {
	LNX_FIELD(lnx_ev_workload_usage, "cgroup_id", LNX_ID, cgroup_id, "", "id of the v2 cgroup",
		  NULL),
	LNX_FIELD(lnx_ev_workload_usage, "path", LNX_STR, path, "", "its path, for display", NULL),
	LNX_FIELD(lnx_ev_workload_usage, "window_ns", LNX_U64, window_ns, "ns",
		  "since the look before, 0 for the first", NULL),
	LNX_FIELD(lnx_ev_workload_usage, "age_ns", LNX_U64, age_ns, "ns",
		  "for so long the cgroup is known", NULL),
	LNX_FIELD(lnx_ev_workload_usage, "anon_bytes", LNX_U64, anon_bytes, "bytes",
		  "anonymous and shared memory and swap, no page cache", NULL),
	LNX_FIELD(lnx_ev_workload_usage, "working_set_bytes", LNX_F64, working_set_bytes, "bytes",
		  "usage without inactive page cache, null without a memory controller", NULL),
	LNX_FIELD(lnx_ev_workload_usage, "memory_limit_bytes", LNX_U64, memory_limit_bytes, "bytes",
		  "its own limit, 0 for none", NULL),
	LNX_FIELD(lnx_ev_workload_usage, "memory_room_bytes", LNX_F64, memory_room_bytes, "bytes",
		  "left until the nearest limit, its own or an ancestor's; null for none", NULL),
	LNX_FIELD(lnx_ev_workload_usage, "limit_cgroup_id", LNX_ID, limit_cgroup_id, "",
		  "whose limit that is, 0 for none", NULL),
	LNX_FIELD(lnx_ev_workload_usage, "oom_kills", LNX_U64, oom_kills, "",
		  "processes killed at a memory limit in the window", NULL),
	LNX_FIELD(lnx_ev_workload_usage, "oom_kills_total", LNX_U64, oom_kills_total, "",
		  "the same since the cgroup was made", NULL),
	LNX_FIELD(lnx_ev_workload_usage, "throttled_ms", LNX_F64, throttled_ms, "ms",
		  "throttled time of all CPUs in the window, null without a CPU controller", NULL),
	LNX_FIELD(lnx_ev_workload_usage, "throttled_total_ms", LNX_F64, throttled_total_ms, "ms",
		  "the same since the cgroup was made", NULL),
	LNX_FIELD(lnx_ev_workload_usage, "cpu_limit_cores", LNX_F64, cpu_limit_cores, "",
		  "its own CPU quota, 0 for none", NULL),
	LNX_FIELD_E(lnx_ev_workload_usage, "source", source, "who counted the memory", NULL,
		    lnx_usage_source_names),
};

static const struct lnx_field lnx_fields_cgroup_pids[] = {
	LNX_FIELD(lnx_ev_cgroup_pids, "cgroup_id", LNX_ID, cgroup_id, "",
		  "cgroup in which processes are made", NULL),
	LNX_FIELD(lnx_ev_cgroup_pids, "pids", LNX_U64, pids, "",
		  "tasks below the limit, threads included", NULL),
	LNX_FIELD(lnx_ev_cgroup_pids, "pids_max", LNX_U64, pids_max, "", "the limit", NULL),
	LNX_FIELD(lnx_ev_cgroup_pids, "pids_ratio", LNX_F64, pids_ratio, "", "how full it is, 0..1",
		  NULL),
	LNX_FIELD(lnx_ev_cgroup_pids, "forks", LNX_U32, forks, "",
		  "processes made in the last second", NULL),
	LNX_FIELD(lnx_ev_cgroup_pids, "path", LNX_STR, path, "",
		  "cgroup that carries the limit, for display", NULL),
};

static const struct lnx_field lnx_fields_cgroup[] = {
	LNX_FIELD(lnx_ev_cgroup, "cgroup_id", LNX_ID, cgroup_id, "", "id of the v2 cgroup", NULL),
	LNX_FIELD(lnx_ev_cgroup, "parent_id", LNX_ID, parent_id, "", "id of its parent", NULL),
	LNX_FIELD(lnx_ev_cgroup, "path", LNX_STR, path, "", "its path, for display", NULL),
	LNX_FIELD(lnx_ev_cgroup, "level", LNX_U32, level, "", "depth below the root", NULL),
	LNX_FIELD(lnx_ev_cgroup, "is_rename", LNX_BOOL, is_rename, "",
		  "it existed under another name", NULL),
};

static const struct lnx_field lnx_fields_workload_update[] = {
	LNX_FIELD(lnx_ev_workload_update, "cgroup_id", LNX_ID, cgroup_id, "", "id of the v2 cgroup",
		  NULL),
	LNX_FIELD(lnx_ev_workload_update, "path", LNX_STR, path, "", "its path, for display", NULL),
	LNX_FIELD(lnx_ev_workload_update, "workload", LNX_STR, workload, "", "name of the workload",
		  NULL),
	LNX_FIELD(lnx_ev_workload_update, "workload_namespace", LNX_STR, namespace_, "",
		  "its namespace", "k8s.namespace.name"),
	LNX_FIELD(lnx_ev_workload_update, "workload_pod_name", LNX_STR, pod_name, "", "its pod",
		  "k8s.pod.name"),
	LNX_FIELD(lnx_ev_workload_update, "pod_uid", LNX_STR, pod_uid, "", "uid of its pod",
		  "k8s.pod.uid"),
	LNX_FIELD(lnx_ev_workload_update, "container_name", LNX_STR, container_name, "",
		  "name of its container", "k8s.container.name"),
	LNX_FIELD(lnx_ev_workload_update, "workload_container_id", LNX_STR, container_id, "",
		  "id of its container", "container.id"),
	LNX_FIELD(lnx_ev_workload_update, "runtime", LNX_STR, runtime, "",
		  "container runtime, or empty", "container.runtime"),
	LNX_FIELD(lnx_ev_workload_update, "qos", LNX_STR, qos, "",
		  "guaranteed, burstable, besteffort or empty", NULL),
	LNX_FIELD(lnx_ev_workload_update, "owner_channel", LNX_STR, owner_channel, "",
		  "annotation linnix.dev/owner-channel of its pod", NULL),
	LNX_FIELD(lnx_ev_workload_update, "slo_tier", LNX_STR, slo_tier, "",
		  "label linnix.dev/slo-tier of its pod", NULL),
	LNX_FIELD(lnx_ev_workload_update, "ignored", LNX_BOOL, is_ignored, "",
		  "annotation linnix.dev/ignore of its pod", NULL),
	LNX_FIELD(lnx_ev_workload_update, "cpu_request_millicores", LNX_U32, cpu_request_millicores,
		  "", "CPU that it asked for, 0 for none", NULL),
	LNX_FIELD(lnx_ev_workload_update, "cpu_limit_millicores", LNX_U32, cpu_limit_millicores, "",
		  "CPU limit, 0 for none", NULL),
	LNX_FIELD(lnx_ev_workload_update, "memory_request_bytes", LNX_U64, memory_request_bytes,
		  "bytes", "memory that it asked for, 0 for none", NULL),
	LNX_FIELD(lnx_ev_workload_update, "memory_limit_bytes", LNX_U64, memory_limit_bytes,
		  "bytes", "memory limit, 0 for none", NULL),
};
#endif
#endif
