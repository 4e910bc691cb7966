/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One question to GET /blame, and its answer as JSON. */
#ifndef LNX_STALL_BLAME_H
#define LNX_STALL_BLAME_H

#include "stall.h"

struct stall_query {
	const char *victim, *culprit; /* NULL: any */
	const char *namespace_;	      /* of the victim; NULL: any */
	uint32_t resource;	      /* LNX_RES_N: all */
	uint32_t by;		      /* STALL_BY_* */
	uint64_t from_ns, to_ns;
	uint64_t from_wall_ns, to_wall_ns; /* the same, also before this boot */
	uint64_t limit, offset;
};

/* "250ms", "10s", "5m", "1h", "1d", or seconds. 0 or -EINVAL. */
int stall_parse_span(const char *text, uint64_t *ret_ns);
/* RFC 3339 in UTC or with an offset, or Unix seconds: to Unix time in ns. 0 or -EINVAL. */
int stall_parse_time(const char *text, uint64_t *ret_wall_ns);
/* True if <name> means <who>: workload, namespace/workload, pod, container id, cgroup path or id. */
int stall_who_is(const struct stall_who *who, uint32_t index, const char *name);
/* The answer to <q>. 0, -ENOMEM, -E2BIG. */
int stall_blame_json(struct stall *s, const struct stall_query *q, struct lnx_buf *out);

/* Add what store/1 has of before the oldest window in memory. If there is any, *ret_from_wall_ns is set to its begin, and
 * *io_memory_from_ns (boot time) is not before its end. 0, -ENOMEM, -E2BIG. */
int stall_history(struct stall *s, const struct stall_query *q, struct stall_sum *sum,
		  uint64_t *ret_from_wall_ns, uint64_t *io_memory_from_ns);

#endif
