/* SPDX-License-Identifier: MIT */
/* Insides of the test host, shared by its files only. */
#ifndef LINNIX_TESTHOST_PRIV_H
#define LINNIX_TESTHOST_PRIV_H

#include "testhost.h"
#include <pthread.h>

#define TH_NAME	     64	     /* bytes of a name with its NUL */
#define TH_FAKE_FD   1000000 /* fake map fds start here: no real fd is as high */
#define TH_MAX_LOGS  10000
#define TH_MAX_FIRED 100000 /* timers in one instant */

/* A growing array of pointers. */
struct th_list {
	void **item;
	size_t n, cap;
};

struct lnx_timer {
	uint64_t due_ns, period_ns, order;
	void (*cb)(void *arg);
	void *arg;
	int is_armed, is_deleted;
};

struct lnx_fd {
	int fd;
	uint32_t bits;
	void (*cb)(void *arg, int fd, uint32_t bits);
	void *arg;
	int is_deleted;
};

struct th_job {
	int (*run)(void *arg);
	void (*done)(void *arg, int rc);
	void *arg;
};

struct th_service {
	char name[TH_NAME];
	const void *vtable;
	void *self;
	int is_own; /* of the plugin */
};

struct th_kv {
	char *key, *value;
};

struct th_fault {
	char function[TH_NAME];
	int rc;
	unsigned skip, times;
};

/* An event kept: published, in the ring, or referenced. */
struct th_event {
	struct lnx_event_meta meta;
	unsigned refs;
	struct lnx_event *ev;
};

struct th_sub {
	uint16_t type; /* 0: all */
	int n;
};

struct lnx_metric {
	const struct lnx_metric_desc *desc;
	char name[128];
	char *labels[8], *values[8];
	unsigned n_labels, n_buckets;
	uint32_t kind;
	double value, count;
	unsigned refs;
};

struct th_health {
	char what[TH_NAME];
	uint32_t state;
	char *why;
};

struct th_map {
	char probe[TH_NAME], map[TH_NAME];
	uint32_t key_size, value_size;
	struct th_list entries; /* key, then value */
};

struct th_iter {
	char probe[TH_NAME], program[TH_NAME];
	unsigned char *records;
	int n;
	uint32_t record_size;
	unsigned runs;
};

struct th_probe {
	char name[TH_NAME];
	int error, wanted;
};

/* Bound options and everything they point to. */
struct th_conf {
	void *data;
	struct th_list owned;
};

struct lnx_ctx {
	struct testhost *t;
};

struct testhost {
	struct lnx_ctx ctx;
	struct lnx_host host;
	struct lnx_ident ident;
	const struct lnx_plugin *plugin;
	void *state;
	int is_inited, is_started;
	char instance[TH_NAME];
	char error[512];
	struct th_list faults;

	uint64_t now_ns, order;
	int64_t wall_step_ns;
	struct th_list timers, fds, jobs;
	int jobs_inline;
	unsigned jobs_limit;

	struct th_conf *conf;
	struct th_list overrides, others;

	struct th_list descs, own_names; /* of registered types */
	struct th_list subs, wanted;
	struct th_list pending; /* published inside a handler, not yet delivered */
	struct th_list ring, published, kept;
	size_t ring_bytes, ring_limit;
	uint64_t seq;
	const struct th_event *current;
	unsigned depth;

	struct th_list routes;
	struct lnx_http_req *request; /* the last one */

	struct th_list services, tags, metrics, healths, logs, maps, iters, probes;
	pthread_mutex_t log_lock;
};

int th_list_add(struct th_list *l, void *item);
void th_list_del(struct th_list *l, size_t i);
void th_list_done(struct th_list *l, void (*free_item)(void *));
/* snprintf into a name field; cut names are errors of the test. */
int th_name(char *to, const char *from);
/* The rc that a fault injected for <function> asks for, or 0. */
int th_fault(struct testhost *t, const char *function);

/* conf */
int th_conf_bind(struct testhost *t, struct th_conf **ret_conf);
void th_conf_free(struct th_conf *c);
void th_kv_free(void *kv);

/* loop */
void th_loop_host(struct lnx_host *h);
void th_loop_cancel(struct testhost *t); /* waiting jobs end with -ECANCELED */
void th_loop_done(struct testhost *t);

/* events */
void th_event_host(struct lnx_host *h);
void th_event_done(struct testhost *t);
int th_event_subs(struct testhost *t);
int th_event_find(struct testhost *t, const char *name);
void th_event_drain(struct testhost *t);
int th_event_json(struct lnx_ctx *ctx, const struct lnx_event *ev,
		  const struct lnx_event_meta *meta, char *buf, uint32_t cap);

/* what it says, probes */
void th_data_host(struct lnx_host *h);
void th_data_done(struct testhost *t);
void th_probe_host(struct lnx_host *h);
void th_probe_done(struct testhost *t);
void th_http_done(struct testhost *t);

#endif
