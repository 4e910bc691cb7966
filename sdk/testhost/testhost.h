/* SPDX-License-Identifier: MIT */
/* A host for the tests of one plugin: every function of linnix/host.h, no daemon, no kernel, no threads.
 *
 * The test drives time, delivers events, provides the services the plugin needs, and looks at what
 * the plugin published, counted, logged and said of its health. Needs only libc. The order:
 * testhost_new, testhost_conf and testhost_provide as needed, testhost_load, the test,
 * testhost_free. Strings and events handed out are borrowed until the next call unless told. */
#ifndef LINNIX_TESTHOST_H
#define LINNIX_TESTHOST_H

#include <linnix/plugin.h>
#include <stddef.h>
#include <stdint.h>

struct testhost;

/* CLOCK_BOOTTIME at the start of a test, and what Unix time that is. */
#define TESTHOST_START_NS 1000000000000ULL
#define TESTHOST_WALL_NS  1700000000000000000ULL

/* ---- life */

/* NULL: no memory. */
struct testhost *testhost_new(void);
/* stop and fini of a loaded plugin, then everything goes. NULL is fine. */
void testhost_free(struct testhost *t);
/* Override an option before load or reload: "listen=127.0.0.1:0"; of another section, for conf_get:
 * "probes.args=full" with testhost_conf_other. -EINVAL without '=', -ENOMEM. Unknown keys and bad
 * values are told by load. */
int testhost_conf(struct testhost *t, const char *key_value);
int testhost_conf_other(struct testhost *t, const char *key_value);
/* Another instance name than the plugin's own. */
int testhost_set_instance(struct testhost *t, const char *name);
/* Checks the plugin's tables, binds its options, then init and start. Returns 0, -EINVAL (tables or
 * options; testhost_error tells), -ENOENT (a needed service is missing), or what the plugin said. */
int testhost_load(struct testhost *t, const struct lnx_plugin *plugin);
/* As load, in two steps: services that need the plugin's own may be provided between. */
int testhost_init(struct testhost *t, const struct lnx_plugin *plugin);
int testhost_start(struct testhost *t);
/* Bind again with the overrides given since, then reload. The old values are freed when it worked. */
int testhost_reload(struct testhost *t);
/* stop and fini now; what the plugin left behind can still be looked at. */
void testhost_unload(struct testhost *t);
const char *testhost_error(struct testhost *t);
/* The vtable, the context and the plugin's state, for tests of inner functions. */
const struct lnx_host *testhost_host(struct testhost *t);
struct lnx_ctx *testhost_ctx(struct testhost *t);
void *testhost_state(struct testhost *t);

/* Let host function <function> ("publish", "timer_add", "metric" ...) return <rc> (functions that return
 * pointers: NULL) the next <times> times, after <skip> calls that work. */
void testhost_fail(struct testhost *t, const char *function, int rc, unsigned skip, unsigned times);

/* ---- time */

uint64_t testhost_now(struct testhost *t);
/* Jump without firing timers; and go on by <ns>, firing what is due in order. advance returns how many
 * fired, or -ELOOP when timers keep re-arming themselves at the same instant. */
void testhost_set_now(struct testhost *t, uint64_t now_ns);
int testhost_advance(struct testhost *t, uint64_t ns);
unsigned testhost_timers(struct testhost *t);		 /* armed */
void testhost_step_wall(struct testhost *t, int64_t ns); /* as NTP does; now_ns goes on */

/* ---- descriptors and jobs */

/* One poll(2) over the plugin's fds, then their callbacks and waiting jobs. Time stands still.
 * Returns callbacks made, or -errno. */
int testhost_poll(struct testhost *t, int timeout_ms);
/* Poll with time following the real clock until <is_done> or <limit_ms>. 0 or -ETIMEDOUT. */
int testhost_run_until(struct testhost *t, int (*is_done)(void *arg), void *arg, int limit_ms);
unsigned testhost_fds(struct testhost *t);
/* Jobs wait for testhost_run_jobs (run, then done; returns how many), or run inside of submit's
 * caller when inline. More than <limit> waiting: -ENOBUFS (default 64). */
void testhost_jobs_inline(struct testhost *t, int is_inline);
void testhost_jobs_limit(struct testhost *t, unsigned limit);
int testhost_run_jobs(struct testhost *t);

/* ---- events in */

/* Deliver to on_event if the plugin subscribes, as a copy that is freed after the handler, so that
 * ASan finds who kept it. A ts_ns of 0 becomes now; a later one moves now. Returns what the handler
 * returned, -ENOENT when not subscribed, -EINVAL when malformed. Kept in the ring either way. */
int testhost_deliver(struct testhost *t, const struct lnx_event *ev);
/* Append <s> to the tail of an event in a buffer of <cap> bytes and point <str> (inside the event) at
 * it. Call when h.size is the fixed size. 0 or -ENOSPC. */
int testhost_str(struct lnx_event *ev, size_t cap, struct lnx_str *str, const char *s);
/* A type that this header does not know. Returns its number or -errno. */
int testhost_register(struct testhost *t, const struct lnx_event_desc *desc);
/* What wanted() says, on top of the plugin's own subscriptions. */
int testhost_set_wanted(struct testhost *t, const char *event, int n);
/* Bytes the ring keeps (default 8 MiB). */
void testhost_ring_limit(struct testhost *t, size_t bytes);

/* ---- events out: what the plugin published, in order, kept until cleared */

size_t testhost_published(struct testhost *t);
const struct lnx_event *testhost_event(struct testhost *t, size_t i); /* NULL past the end */
int testhost_event_meta(struct testhost *t, size_t i, struct lnx_event_meta *ret_meta);
size_t testhost_count(struct testhost *t, const char *event);		      /* of one type */
const struct lnx_event *testhost_last(struct testhost *t, const char *event); /* NULL: none */
void testhost_clear(struct testhost *t);
/* Events kept by event_ref and not given back. */
size_t testhost_refs(struct testhost *t);

/* ---- services */

/* What service() gives to the plugin. Borrowed. A later one of the same name replaces it. */
int testhost_provide(struct testhost *t, const char *name, const void *vtable, void *self);
/* What the plugin provided. NULL: nothing. */
const void *testhost_service(struct testhost *t, const char *name, void **ret_self);

/* What tag() says of a cgroup. Borrowed strings. 0 or -ENOMEM. */
int testhost_tag(struct testhost *t, uint64_t cgroup_id, const char *namespace_,
		 const char *pod_name, const char *container_id);

/* ---- what it says */

/* Value of a series, labels as "resource=cpu,kind=some" in any order ("" for none); of a histogram the
 * sum. NaN when there is no such series. */
double testhost_metric(struct testhost *t, const char *name, const char *labels);
/* A figure is <want>, or differs by <within> at most; what is no number is never near. Prints both when they differ. */
int testhost_near(double got, double want, double within);
double testhost_metric_count(struct testhost *t, const char *name, const char *labels);
size_t testhost_metric_series(struct testhost *t, const char *name);
/* LNX_HEALTH_*, or -ENOENT when never told; why: "" then. */
int testhost_health(struct testhost *t, const char *what);
const char *testhost_health_why(struct testhost *t, const char *what);
/* Log lines: "<level>: text". TESTHOST_VERBOSE in the environment prints them, too. */
size_t testhost_logs(struct testhost *t);
const char *testhost_log(struct testhost *t, size_t i);
int testhost_log_has(struct testhost *t, const char *text);

/* ---- probes */

/* A BPF map made of memory. Returns the fd that probe_map gives, never a real one, or -errno. A per-CPU
 * map has the values of all CPUs in a row as its value. */
int testhost_map(struct testhost *t, const char *probe, const char *map, uint32_t key_size,
		 uint32_t value_size);
/* What probe_map says for every map of <probe> instead: -ENODEV. 0 takes it back. */
int testhost_probe_error(struct testhost *t, const char *probe, int rc);
/* What an iterator writes: <n> records (copied), or a negative errno for <n>. */
int testhost_iter(struct testhost *t, const char *probe, const char *program, const void *records,
		  int n, uint32_t record_size);
unsigned testhost_iter_runs(struct testhost *t, const char *probe, const char *program);
int testhost_probe_wanted(struct testhost *t, const char *probe);

#endif
