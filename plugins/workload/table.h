/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Known cgroups by id: who each is, bounded, the removed ones kept for a while. */
#ifndef LNX_WORKLOAD_TABLE_H
#define LNX_WORKLOAD_TABLE_H

#include <linnix/svc_workload.h>
#include <stdbool.h>

#include "parse.h"

#define WORKLOAD_GONE_MAX 4096 /* removed cgroups that are remembered */
#define WORKLOAD_KEYS	  1024 /* chains of those that Kubernetes may name */

/* What Kubernetes says of a cgroup. One allocation, the strings behind it. */
struct workload_pod {
	const char *namespace_, *pod_name, *container_name, *workload, *qos, *owner_channel,
		*slo_tier;
	uint32_t is_ignored;
	uint32_t cpu_request_millicores, cpu_limit_millicores;
	uint32_t pad;
	uint64_t memory_request_bytes, memory_limit_bytes;
	char text[];
};

/* One cgroup. Strings are owned. */
struct workload_entry {
	struct workload_entry *next_hash;
	struct workload_entry *next_key;    /* of the same chain */
	struct workload_pod *pod;	    /* NULL: not known */
	struct workload_entry *prev, *next; /* by last change: oldest first */
	uint64_t id, parent_id;
	uint64_t seen_ns; /* of the event or walk that told of it */
	uint64_t gone_ns; /* 0: exists */
	char *path;
	char *name; /* workload */
	uint32_t kind;
	uint32_t n_children; /* that exist */
	struct workload_ids ids;
	/* of the last psi.cgroup; NaN before */
	double psi_cpu_some, psi_memory_some, psi_io_some;
	bool is_counted; /* among its parent's children */
	bool is_culprit; /* for the answer that is made */
	/* of workload.usage */
	bool is_due;	   /* look at it as soon as may be */
	uint64_t first_ns; /* since when it is known */
	uint64_t look_ns;  /* of the last look; 0: none */
	uint64_t oom_kills;
	double throttled_total_ms;
	uint64_t room_ns;  /* when its room was looked at */
	double room_bytes; /* below its own limit; NaN: none */
	/* sums over its processes and those below, made anew for each answer */
	double cpu_pct;
	uint64_t anon_bytes, run_delay_ns;
	uint32_t n_processes;
};

struct workload_table {
	struct workload_entry **buckets;
	struct workload_entry *keys[WORKLOAD_KEYS]; /* by pod uid, else by container id */
	uint32_t n_buckets, n, n_gone, max;
	uint32_t n_orphans;	      /* that exist, and whose parent is not known */
	struct workload_entry oldest; /* head of the list */
	uint64_t refused;
	uint64_t forgotten; /* removed ones over WORKLOAD_GONE_MAX */
};

/* 0 or -ENOMEM. */
int workload_table_init(struct workload_table *t, uint32_t max);
void workload_table_done(struct workload_table *t);
struct workload_entry *workload_table_get(const struct workload_table *t, uint64_t id);
/* Put <id> in, or give it a new path. *ret_changed: it is new or its path changed. NULL: full (counted) or no memory. */
struct workload_entry *workload_table_put(struct workload_table *t, uint64_t id, uint64_t parent_id,
					  const char *path, size_t n_path, uint64_t now_ns,
					  bool *ret_changed);
/* Those of a pod (by the uid in their paths), or of a container whose path names no pod: the first, and the one after <e>. */
struct workload_entry *workload_table_by_key(const struct workload_table *t, const char *key);
struct workload_entry *workload_table_next_by_key(const struct workload_entry *e, const char *key);
/* <e> was removed; it stays, last in the list, until there are too many of its kind: see trim. */
void workload_table_gone(struct workload_table *t, struct workload_entry *e, uint64_t now_ns);
/* Forget the oldest of those gone while they are more than WORKLOAD_GONE_MAX. */
void workload_table_trim(struct workload_table *t);
/* Forget those gone for longer than <keep_ns>. */
void workload_table_expire(struct workload_table *t, uint64_t now_ns, uint64_t keep_ns);
/* The cgroup that stands for <e> in the ledger: its container, its unit, or itself. */
struct workload_entry *workload_table_slot(const struct workload_table *t,
					   struct workload_entry *e);
/* For lists: not a mere folder of others. */
bool workload_is_slot(const struct workload_table *t, struct workload_entry *e);
void workload_describe(const struct workload_table *t, struct workload_entry *e,
		       struct lnx_workload *ret_w);

#endif
