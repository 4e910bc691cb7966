/* SPDX-License-Identifier: MIT */
/* What the host offers to a plugin. Every function takes the plugin's <ctx> first and is for the loop thread only,
 * except log(), which any thread may call. Functions return 0 (or a count) or a negative errno. */
#ifndef LINNIX_HOST_H
#define LINNIX_HOST_H

#include <linnix/event.h>
#include <stdint.h>

struct lnx_ctx;	  /* one plugin instance; owned by the host */
struct lnx_timer; /* owned by the host, dies with its plugin */
struct lnx_fd;	  /* likewise */

/* enum lnx_log_level */
#define LNX_ERROR 0 /* we lost a function that the user asked for */
#define LNX_WARN  1 /* degraded, going on */
#define LNX_INFO  2 /* a state changed */
#define LNX_DEBUG 3

/* Poll bits for fd_add. */
#define LNX_FD_READ  1
#define LNX_FD_WRITE 2

/* Kinds of a metric (enum lnx_metric_kind). */
#define LNX_COUNTER   1
#define LNX_GAUGE     2
#define LNX_HISTOGRAM 3

/* Beside an event, kept by the host. */
struct lnx_event_meta {
	uint64_t seq;	    /* place on the bus, from 1 */
	uint64_t cause_seq; /* the event whose handler published this one, or 0 */
	uint32_t hops;	    /* length of the chain of causes */
	uint32_t pad;
};

/* Identity that stands on everything which leaves the agent. Strings live as long as the host. */
struct lnx_ident {
	uint32_t size;
	uint32_t schema; /* 1 */
	const char *node, *cluster, *boot_id, *version;
	uint32_t agent_pid;
	uint32_t pad;
};

/* A metric family. <labels>: names in order, NULL at the end, at most 8; may be NULL. Literal strings only. */
struct lnx_metric_desc {
	const char *name;
	const char *help;
	uint32_t kind; /* enum lnx_metric_kind */
	uint32_t n_buckets;
	const char *const *labels;
	const double *buckets; /* upper bounds of a histogram, rising */
	uint32_t
		max_series; /* 0: 300. What does not fit is counted in linnix_metric_series_dropped_total */
	uint32_t pad;
};

struct lnx_metric; /* one series: a family with its label values */

/* Where a degraded function is named: shown in /readyz, /status and doctor until it is taken back. */
#define LNX_HEALTH_OK	    0
#define LNX_HEALTH_DEGRADED 1 /* it works less well: degraded[] */
#define LNX_HEALTH_LOST	    2 /* an enabled function is gone: reasons[], /readyz 503 */

/* Who a cgroup is, as the events so far told. No string is NULL; "" is unknown. Borrowed until the next event. */
struct lnx_tag {
	uint32_t size;
	uint32_t pad;
	uint64_t cgroup_id;
	uint64_t gone_ns; /* when it ended; 0: exists */
	const char *namespace_, *pod_name, *pod_uid, *container_name, *container_id, *workload,
		*runtime, *path;
	uint32_t is_ignored; /* annotation linnix.dev/ignore of its pod: no alerts about it */
	uint32_t pad2;
};

struct lnx_host {
	uint32_t size;
	uint16_t abi_major, abi_minor;

	/* Any thread. Prefixed with the instance; rate limited per format string. */
	void (*log)(struct lnx_ctx *ctx, int level, const char *fmt, ...)
		__attribute__((format(printf, 3, 4)));

	/* ---- time: never read a clock yourself */
	uint64_t (*now_ns)(
		struct lnx_ctx *ctx); /* CLOCK_BOOTTIME, of this turn of the loop or this event */
	uint64_t (*wall_ns)(struct lnx_ctx *ctx, uint64_t boot_ns); /* Unix time of <boot_ns> */

	/* ---- events */
	/* Copies <ev>. Runs after the current event. A ts_ns of 0 is stamped with now. The cause is the event whose
	 * handler runs. -EINVAL: malformed; -E2BIG; -ELOOP: chain of causes too long; -ENOBUFS: queue full. */
	int (*publish)(struct lnx_ctx *ctx, const struct lnx_event *ev);
	/* Type number of <name>, or -ENOENT. */
	int (*event_type)(struct lnx_ctx *ctx, const char *name);
	/* Register a type of the plugin's own. Returns its number, -EEXIST, -EINVAL, -ENOSPC. */
	int (*event_register)(struct lnx_ctx *ctx, const struct lnx_event_desc *desc);
	/* Description of <type>, or NULL. Lives as long as the host. */
	const struct lnx_event_desc *(*event_desc)(struct lnx_ctx *ctx, uint16_t type);
	/* Keep <ev> after the handler returns: a shared copy, to be given back with event_unref. NULL: pool full, counted. */
	const struct lnx_event *(*event_ref)(struct lnx_ctx *ctx, const struct lnx_event *ev);
	void (*event_unref)(struct lnx_ctx *ctx, const struct lnx_event *ev);
	/* Of the event being handled or one kept by event_ref. */
	int (*event_meta)(struct lnx_ctx *ctx, const struct lnx_event *ev,
			  struct lnx_event_meta *ret_meta);
	/* One JSON object with seq, ts, type, pid, cpu, cause_seq and the fields, no newline. Returns its bytes (always < cap
	 * and NUL terminated) or -ENOSPC. <meta> may be NULL. */
	int (*event_json)(struct lnx_ctx *ctx, const struct lnx_event *ev,
			  const struct lnx_event_meta *meta, char *buf, uint32_t cap);
	/* Events kept in the ring, oldest first, from <since_seq> + 1. Stops when <each> returns non-zero. Returns how many
	 * were visited. *ret_oldest (may be NULL): the oldest sequence still kept, 0 if none. <ev> is borrowed. */
	int (*ring_each)(struct lnx_ctx *ctx, uint64_t since_seq,
			 int (*each)(void *arg, const struct lnx_event *ev,
				     const struct lnx_event_meta *meta),
			 void *arg, uint64_t *ret_oldest);
	/* Subscribe at run time, delivered to on_event. Only a subscribed type makes probes attach. */
	int (*subscribe)(struct lnx_ctx *ctx, const char *event, uint32_t stage, uint32_t queue);
	int (*unsubscribe)(struct lnx_ctx *ctx, const char *event);

	/* ---- loop */
	/* First after <first_ns>, then each <period_ns> (0: once). */
	int (*timer_add)(struct lnx_ctx *ctx, uint64_t first_ns, uint64_t period_ns,
			 void (*cb)(void *arg), void *arg, struct lnx_timer **ret_timer);
	int (*timer_set)(struct lnx_ctx *ctx, struct lnx_timer *t, uint64_t first_ns,
			 uint64_t period_ns);
	void (*timer_stop)(struct lnx_ctx *ctx, struct lnx_timer *t); /* may be set again */
	void (*timer_del)(struct lnx_ctx *ctx, struct lnx_timer *t);  /* NULL is fine */
	/* <fd> stays the plugin's. */
	int (*fd_add)(struct lnx_ctx *ctx, int fd, uint32_t bits,
		      void (*cb)(void *arg, int fd, uint32_t bits), void *arg,
		      struct lnx_fd **ret_fd);
	int (*fd_set)(struct lnx_ctx *ctx, struct lnx_fd *f, uint32_t bits); /* bits 0 pauses */
	void (*fd_del)(struct lnx_ctx *ctx, struct lnx_fd *f);
	/* Run <run> on a worker thread (it may touch nothing of the host but log), then <done> on the loop, also when <run>
	 * failed; rc is what <run> returned, or -ECANCELED at shutdown. -ENOBUFS: queue full, nothing taken. */
	int (*submit)(struct lnx_ctx *ctx, int (*run)(void *arg), void (*done)(void *arg, int rc),
		      void *arg);

	/* ---- services: "name/major" */
	int (*provide)(struct lnx_ctx *ctx, const char *name, const void *vtable, void *self);
	/* -ENOENT if nobody provides it. */
	int (*service)(struct lnx_ctx *ctx, const char *name, const void **ret_vtable,
		       void **ret_self);

	/* ---- metrics */
	/* A series of <desc> with <values> for its labels (NULL without labels). Same values, same series. Copies. */
	int (*metric)(struct lnx_ctx *ctx, const struct lnx_metric_desc *desc,
		      const char *const *values, struct lnx_metric **ret_metric);
	void (*metric_add)(struct lnx_ctx *ctx, struct lnx_metric *m,
			   double v); /* counter: v >= 0 */
	void (*metric_set)(struct lnx_ctx *ctx, struct lnx_metric *m,
			   double v); /* gauge; counter: an absolute, never falling */
	void (*metric_observe)(struct lnx_ctx *ctx, struct lnx_metric *m, double v);
	void (*metric_del)(struct lnx_ctx *ctx, struct lnx_metric *m);

	/* ---- probes: so that no plugin links libbpf */
	/* Borrowed fd of <map> of a loaded probe. -ENOENT: no such probe or map; -ENODEV: the probe is not loaded. */
	int (*probe_map)(struct lnx_ctx *ctx, const char *probe, const char *map);
	/* Keep a probe attached although no event of it is subscribed (on != 0), or let go. */
	int (*probe_want)(struct lnx_ctx *ctx, const char *probe, int on);
	/* Run an iterator program: <each> gets what it wrote, record by record of <record_size> bytes. Returns the records,
	 * or -errno. */
	int (*probe_iter)(struct lnx_ctx *ctx, const char *probe, const char *program,
			  uint32_t record_size, void (*each)(void *arg, const void *record),
			  void *arg);
	/* As bpf(2) on a map fd of probe_map: key and value sizes are the map's. */
	int (*map_lookup)(struct lnx_ctx *ctx, int map_fd, const void *key, void *ret_value);
	int (*map_update)(struct lnx_ctx *ctx, int map_fd, const void *key, const void *value,
			  uint64_t flags);
	int (*map_delete)(struct lnx_ctx *ctx, int map_fd, const void *key);
	int (*map_next)(struct lnx_ctx *ctx, int map_fd, const void *key,
			void *ret_key); /* key NULL: the first */

	/* ---- health and identity */
	/* State of a named function of this plugin ("psi"); <why> says what and how to fix it. Copied. */
	void (*health)(struct lnx_ctx *ctx, const char *what, uint32_t state, const char *why);
	const struct lnx_ident *(*ident)(struct lnx_ctx *ctx);
	/* Instance name: "http", "webhook.ops". */
	const char *(*instance)(struct lnx_ctx *ctx);
	/* Value of a key of another section, as text ("probes.args"); NULL if unknown or secret. Borrowed until a reload. */
	const char *(*conf_get)(struct lnx_ctx *ctx, const char *key);
	/* How many handlers want <event> now: do no work for an event that nobody reads. */
	int (*wanted)(struct lnx_ctx *ctx, const char *event);

	/* ---- names */
	/* Who <cgroup_id> is; it is remembered for 5 min after its end. 0, or -ENOENT with "" in every string. */
	int (*tag)(struct lnx_ctx *ctx, uint64_t cgroup_id, struct lnx_tag *ret_tag);

	/* ---- probes, continued */
	/* Borrowed fd, read only, of the object file whose programs run as probe <i>; its name is borrowed, too. -ENOENT: no more
	 * probes; -ENODEV: it is not attached; -ESTALE: the file was written to since it was loaded. */
	int (*probe_object)(struct lnx_ctx *ctx, uint32_t i, const char **ret_name);
};

#endif
