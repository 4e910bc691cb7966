/* SPDX-License-Identifier: MIT */
/* Service "store/1": what outlives the agent (plugin `store`, SQLite). Loop thread only.
 *
 * Records are keyed by (kind, id) and hold one JSON object each. A record that was put can be read at once, from memory,
 * and is on disk within a second; while the disk cannot be written the newest ones stay in memory, and a metric says so.
 * Times are Unix time in ns. Strings given are copied; strings lent are borrowed until the callback returns, and are never
 * NULL there. */
#ifndef LINNIX_SVC_STORE_H
#define LINNIX_SVC_STORE_H

#include <stdint.h>

/* enum lnx_store_kind */
#define LNX_STORE_INCIDENT 1 /* id: ULID; parent: fingerprint; state: 0 open, 1 closed */
#define LNX_STORE_ACTION   2 /* id: ULID; parent: incident; state: enum lnx_action_state */
#define LNX_STORE_FEEDBACK 3 /* id: ULID; parent: incident */
#define LNX_STORE_SILENCE  4 /* id: ULID; end_ns: until */
#define LNX_STORE_DELIVERY 5 /* what a notifier has still to send; parent: its instance */
#define LNX_STORE_KINDS	   6

#define LNX_STORE_DOC_MAX (256u << 10) /* bytes of one document */
#define LNX_STORE_ID_MAX  64	       /* bytes of an id or parent, NUL included */

struct lnx_store_record {
	uint32_t size;
	uint32_t kind; /* enum lnx_store_kind */
	const char *id;
	const char *parent; /* what it belongs to; may be "" */
	const char *doc;    /* a JSON object */
	uint64_t doc_bytes;
	uint64_t ts_ns;	   /* begin: order of lists, age of retention */
	uint64_t end_ns;   /* 0: not over */
	uint32_t state;	   /* by kind */
	uint32_t severity; /* enum lnx_severity of an incident, else 0 */
};

/* Which records; zeroes and NULL mean any. */
struct lnx_store_query {
	uint32_t size;
	uint32_t kind;		 /* needed */
	const char *id;		 /* exactly this */
	const char *parent;	 /* of this parent */
	uint64_t from_ns, to_ns; /* ts_ns within; to_ns 0: no end */
	uint32_t states;	 /* bit mask of states; 0: any */
	uint32_t min_severity;
	uint64_t offset, limit; /* limit 0: 100; at most 10,000 */
	uint32_t is_ascending;	/* 0: newest first */
	uint32_t pad;
};

/* Stall in a span of time, in us of "some" time, from rolled up buckets. */
struct lnx_store_blame {
	uint32_t size;
	uint32_t resource;	  /* enum lnx_resource */
	uint64_t victim, culprit; /* numbers of who(); culprit 0: none named */
	uint32_t kind;	 /* enum lnx_stall_kind; LNX_STORE_BLAME_TOTAL: the victim's whole stall */
	uint32_t method; /* enum lnx_method, of a total */
	uint64_t stall_us, raw_us;
	uint64_t psi_us, full_us;     /* of a total; UINT64_MAX: not known for all of it */
	uint64_t confidence_permille; /* of a total: the least of its windows */
};
#define LNX_STORE_BLAME_TOTAL 255

struct lnx_store_who {
	uint32_t size;
	uint32_t pad;
	uint64_t number, cgroup_id;
	const char *workload, *namespace_, *pod_name, *path;
};

struct lnx_svc_store {
	uint32_t size;
	uint32_t pad;
	/* Keep or replace. 0, -EINVAL (no id, too long, no JSON object), -ENOBUFS (memory for what waits is full; counted). */
	int (*put)(void *self, const struct lnx_store_record *r);
	int (*del)(void *self, uint32_t kind, const char *id);
	/* Records of <q>, <each> returning non-zero stops. Returns how many were visited, -EINVAL, or -EIO (the file cannot
	 * be read, or not in time) or -EAGAIN (it is still being opened): what is in memory was visited. */
	int (*each)(void *self, const struct lnx_store_query *q,
		    int (*each)(void *arg, const struct lnx_store_record *r), void *arg);
	/* Append a transition to the hash-chained log: never changed, removed by retention only behind a signed checkpoint.
	 * <what>: "open", "close", "approve"; <doc>: a JSON object, who did it and why. 0, -EINVAL, -ENOBUFS. */
	int (*log)(void *self, uint64_t ts_ns, const char *subject, const char *what,
		   const char *doc);
	/* Blame summed over from..to (Unix ns), victims with their totals and parts in no order. *ret_from, *ret_to (may be
	 * NULL): what the buckets that were used cover, 0 when there are none. Returns rows visited or -EIO. */
	int (*blame)(void *self, uint64_t from_ns, uint64_t to_ns,
		     int (*each)(void *arg, const struct lnx_store_blame *b), void *arg,
		     uint64_t *ret_from_ns, uint64_t *ret_to_ns);
	/* Who a number of blame() is. 0, -ENOENT. */
	int (*who)(void *self, uint64_t number, struct lnx_store_who *ret_who);
	/* A new ULID for the time <ts_ns>: rising within a process. */
	void (*ulid)(void *self, uint64_t ts_ns, char ret_id[27]);
};

#endif
