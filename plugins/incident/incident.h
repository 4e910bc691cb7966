/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the files of plugin `incident` share. Loop thread only. */
#ifndef LNX_INCIDENT_H
#define LNX_INCIDENT_H

#include <jansson.h>
#include <linnix/ev_alert.h>
#include <linnix/ev_incident.h>
#include <linnix/ev_stall.h>
#include <linnix/plugin.h>
#include <linnix/svc_http.h>
#include <linnix/svc_incident.h>
#include <linnix/svc_proc.h>
#include <linnix/svc_store.h>
#include <linnix/svc_workload.h>

#include "evidence.h"

#define INC_SEC	     1000000000ULL
#define INC_MAX	     128 /* in memory, open ones and those that may be opened again */
#define INC_VICTIMS  16	 /* named; more are counted */
#define INC_ACTIVE   64	 /* alerts that fire at a time, of one incident */
#define INC_SILENCES 128

struct inc_who {
	uint64_t cgroup_id;
	char workload[128], namespace_[64], pod_name[128];
};

/* An alert that fires. */
struct inc_active {
	uint64_t rule; /* hash of its name */
	uint64_t key;
};

struct inc {
	struct inc *next; /* newest first */
	char id[LNX_ULID_MAX], fingerprint[17];
	char cause[32], resource[16], rule[64], title[256], comm[20];
	struct inc_who culprit; /* workload "": none */
	uint32_t culprit_pid;
	uint64_t culprit_start_ns;
	struct inc_who victims[INC_VICTIMS];
	uint32_t n_named, n_victims;
	struct inc_active active[INC_ACTIVE];
	uint32_t n_active, n_unnamed_active;
	struct inc_active notes[EV_ALERTS]; /* info alerts that are evidence */
	uint32_t n_notes;
	uint32_t n_alerts, severity, flaps;
	uint32_t is_open, is_silenced;
	uint64_t opened_ns, opened_wall_ns; /* opened_ns 0: by an earlier run */
	uint64_t closed_ns, closed_wall_ns;
	uint64_t quiet_ns;   /* since when no alert fires; 0: one does */
	uint64_t updated_ns; /* last incident.update */
	uint32_t owed;	     /* reason of an update that waits, + 1 */
	double value, threshold;
	char *labels;	   /* JSON object; owned */
	char *explanation; /* JSON object; owned, NULL none */
	struct evidence evidence;
};

struct silence {
	char id[LNX_ULID_MAX];
	char match[256], by[64], comment[256];
	uint64_t begin_ns, until_ns; /* Unix time */
};

struct inc_conf {
	uint64_t quiet_ns, reopen_ns, before_ns;
	const char *cgroup_root;
};

struct incidents {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	const struct inc_conf *conf;
	struct inc *newest;
	uint32_t n;
	struct silence silences[INC_SILENCES];
	uint32_t n_silences;
	uint32_t is_loaded; /* what the store had */
	const struct lnx_svc_store *store;
	void *store_self;
	const struct lnx_svc_http *http;
	void *http_self;
	struct lnx_timer *tick;
	char cgroup_root[256], cpu_root[256], memory_root[256];
	struct lnx_metric *m_dropped, *m_open, *m_silenced;
};

/* An alert with its strings. */
struct alert {
	const struct lnx_ev_alert *ev;
	struct lnx_event_meta meta;
	char rule[64], say[512], comm[20], cause[32], resource[16];
	char labels[1025], evidence[1025];
	struct inc_who subject, victim; /* workload "": none */
	uint64_t wall_ns;
};

/* ---- group.c: which incident an alert belongs to */
int inc_on_alert(struct incidents *s, const struct lnx_event *ev);
/* Names of the slot of <cgroup_id>. 0 or -ENOENT, then the workload is "". */
int inc_who(struct incidents *s, uint64_t cgroup_id, struct inc_who *ret);
/* Zero is told before there is any incident, for no rule. */
void inc_count_none(struct incidents *s);
/* Quiet ones are closed, owed updates go out, old ones leave memory. */
void inc_tick(struct incidents *s, uint64_t now_ns);
/* "namespace/workload". */
const char *inc_name(const struct inc_who *w, char *buf, size_t cap);
struct inc *inc_find(struct incidents *s, const char *id);
/* A place in memory for one of an earlier run, in the order of time. 0 (then it is owned there), -ENOBUFS: all are open. */
int inc_keep(struct incidents *s, struct inc *inc);
/* Forget one that is in memory. */
void inc_free(struct incidents *s, struct inc *inc);
/* Free one that is not. */
void inc_done(struct inc *inc);
void inc_close(struct incidents *s, struct inc *inc, uint64_t now_ns);
/* False if it is known. */
int inc_victim_add(struct inc *inc, const struct inc_who *v);

/* ---- capture.c */
/* The state at opening and of conf.before before it. */
void inc_capture(struct incidents *s, struct inc *inc, const struct alert *a);
/* One item for an alert; the second: only while there are few of them, else it is counted. */
void inc_capture_alert(struct incidents *s, struct inc *inc, const struct alert *a);
void inc_capture_more(struct incidents *s, struct inc *inc, const struct alert *a);

/* ---- limits.c */
void inc_limits_mounts(struct incidents *s);
void inc_capture_limits(struct incidents *s, struct inc *inc, const char *role,
			const struct inc_who *who);

/* ---- publish.c */
/* Publish <type> and write the incident to the store. */
void inc_publish(struct incidents *s, struct inc *inc, uint16_t type, uint32_t reason);
/* 0, or what the store says. */
int inc_save(struct incidents *s, const struct inc *inc);
void inc_json(const struct incidents *s, const struct inc *inc, struct lnx_buf *out);
/* Append to the log: what happened, by whom. <doc> is an object whose last brace is still missing; done with it. */
void inc_log(struct incidents *s, const char *subject, const char *what, struct lnx_buf *doc);
extern const struct lnx_svc_incident inc_service;

/* ---- load.c */
/* Open ones, and those that may be opened again, out of the store. 0 or -EAGAIN: it is not there yet, or is full. */
int inc_load(struct incidents *s);

/* ---- silence.c */
int silence_parse(const char *match, char *error, size_t cap);
/* True if one of them is about <inc> now. */
int silence_matches(const struct incidents *s, const struct inc *inc);
void silence_load(struct incidents *s);
int silence_routes(struct incidents *s);
/* Forget those that are over. */
void silence_tick(struct incidents *s, uint64_t wall_ns);

/* ---- routes.c */
int inc_routes(struct incidents *s);
/* "90s", "2h", "1d": ns. 0 or -EINVAL. */
int inc_parse_span(const char *text, uint64_t *ret_ns);
/* The body as an object with no other keys than <keys>; answered with 400 when it is not: NULL. */
json_t *inc_body(const struct lnx_svc_http *http, struct lnx_http_req *req,
		 const char *const *keys);

#endif
