/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Incidents over a small store in memory and three cgroups, for the tests of plugin `incident`. */
#ifndef LNX_INCIDENT_TEST_FIXTURE_H
#define LNX_INCIDENT_TEST_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "testhost_http.h"
#include <cmocka.h>
#include <errno.h>
#include <linnix/ev_psi.h>
#include <linnix/svc_core.h>
#include <stdlib.h>
#include <string.h>

#include "incident.h"

#define SECOND 1000000000ULL

/* ---- a store in memory */

#define SHELF 256

struct rec {
	char id[64], parent[64], *doc;
	struct lnx_store_record r;
};

struct shelf {
	struct rec recs[SHELF];
	int n, n_logs, each_rc;
	char logs[SHELF][32], last_log[1024];
};

static int shelf_put(void *self, const struct lnx_store_record *r)
{
	struct shelf *s = self;
	int i;

	for (i = 0; i < s->n && (s->recs[i].r.kind != r->kind || strcmp(s->recs[i].id, r->id) != 0);
	     i++)
		;
	assert_true(i < SHELF);
	s->n += i == s->n;
	free(s->recs[i].doc);
	s->recs[i].r = *r;
	(void)snprintf(s->recs[i].id, sizeof(s->recs[i].id), "%s", r->id);
	(void)snprintf(s->recs[i].parent, sizeof(s->recs[i].parent), "%s",
		       r->parent ? r->parent : "");
	s->recs[i].doc = strdup(r->doc);
	assert_int_equal(strlen(r->doc), r->doc_bytes);
	s->recs[i].r.id = s->recs[i].id;
	s->recs[i].r.parent = s->recs[i].parent;
	s->recs[i].r.doc = s->recs[i].doc;
	return 0;
}

static int shelf_each(void *self, const struct lnx_store_query *q,
		      int (*each)(void *arg, const struct lnx_store_record *r), void *arg)
{
	uint64_t skip = q->offset, limit = q->limit ? q->limit : 100;
	struct shelf *s = self;
	int n = 0;

	/* newest first: that which was put last */
	for (int i = s->n - 1; i >= 0 && !s->each_rc && (uint64_t)n < limit; i--)
		if (s->recs[i].r.kind == q->kind && (!q->id || !strcmp(q->id, s->recs[i].id)) &&
		    (!q->parent || !strcmp(q->parent, s->recs[i].parent)) &&
		    (!q->states || q->states >> s->recs[i].r.state & 1)) {
			if (skip && skip--)
				continue;
			n++;
			if (each(arg, &s->recs[i].r))
				break;
		}
	return s->each_rc ? s->each_rc : n;
}

static int shelf_log(void *self, uint64_t ts_ns, const char *subject, const char *what,
		     const char *doc)
{
	struct shelf *s = self;

	assert_true(ts_ns && *subject && doc[0] == '{');
	(void)snprintf(s->logs[s->n_logs++], sizeof(s->logs[0]), "%s", what);
	(void)snprintf(s->last_log, sizeof(s->last_log), "%s", doc);
	return 0;
}

static void shelf_ulid(void *self, uint64_t ts_ns, char ret[27])
{
	(void)self;
	(void)snprintf(ret, 27, "%026llu", (unsigned long long)ts_ns);
}

static const struct lnx_svc_store shelf_service = { .size = sizeof(shelf_service),
						    .put = shelf_put,
						    .each = shelf_each,
						    .log = shelf_log,
						    .ulid = shelf_ulid };

/* ---- cgroups 7, 8 (victims) and 9 (culprit) */

static int who_get(void *self, uint64_t id, struct lnx_workload *ret)
{
	static const char *const names[] = { "shop", "web", "batch" };

	(void)self;
	if (id < 7 || id > 9)
		return -ENOENT;
	*ret = (struct lnx_workload){ .size = sizeof(*ret), .cgroup_id = id, .slot_cgroup_id = id };
	ret->path = "/x";
	ret->workload = names[id - 7];
	ret->namespace_ = id == 9 ? "media" : "prod";
	ret->pod_name = ret->qos = ret->container_id = ret->container_name = ret->pod_uid =
		ret->runtime = "";
	ret->cpu_request_millicores = id == 9 ? 250 : 0;
	ret->memory_request_bytes = id == 9 ? 4096 : 0;
	return 0;
}

static int core_status(void *self, struct lnx_buf *out)
{
	(void)self;
	lnx_buf_str(out, "{\"dropped\":{\"kernel\":5,\"queue\":7},\"last_seq\":9}");
	return lnx_buf_error(out);
}

static const struct lnx_svc_core core_service = { .size = sizeof(core_service),
						  .status_json = core_status };

static const struct lnx_svc_workload who_service = { .size = sizeof(who_service), .get = who_get };

struct fix {
	struct testhost *t;
	struct shelf shelf;
	const struct lnx_svc_incident *svc;
	void *self;
	uint32_t pid;	/* of the culprit in alerts to come */
	uint64_t ts_ns; /* when they happened; 0: now */
	int has_api;
};

static void fix_open(struct fix *f)
{
	f->t = testhost_new();
	assert_non_null(f->t);
	assert_int_equal(testhost_provide(f->t, "store/1", &shelf_service, &f->shelf), 0);
	assert_int_equal(testhost_provide(f->t, "workload/1", &who_service, NULL), 0);
	assert_int_equal(testhost_provide(f->t, "core/1", &core_service, NULL), 0);
	if (f->has_api)
		assert_int_equal(testhost_http(f->t), 0);
	assert_int_equal(testhost_load(f->t, linnix_plugin_v1()), 0);
	f->svc = testhost_service(f->t, "incident/1", &f->self);
	assert_non_null(f->svc);
}

static void fix_close(struct fix *f)
{
	testhost_free(f->t);
	for (int i = 0; i < f->shelf.n; i++)
		free(f->shelf.recs[i].doc);
}

union alert_event {
	struct lnx_event h;
	struct lnx_ev_alert a;
	char bytes[2048];
};

static void alert(struct fix *f, const char *rule, uint64_t culprit, uint64_t victim,
		  uint32_t state, uint32_t severity)
{
	union alert_event u = { .a = { .severity = severity, .state = state } };

	u.h.size = u.h.fixed = sizeof(u.a);
	u.h.type = LNX_EV_ALERT;
	u.a.subject_kind = culprit ? LNX_SUBJECT_CGROUP : LNX_SUBJECT_NODE;
	u.h.ts_ns = f->ts_ns;
	u.a.subject_cgroup_id = culprit;
	u.a.subject_pid = f->pid;
	u.a.subject_start_ns = f->pid * SECOND;
	u.a.key = culprit * 100 + victim;
	u.a.victim_cgroup_id = victim;
	u.a.value = 332.163411;
	u.a.threshold = 100;
	assert_int_equal(testhost_str(&u.h, sizeof(u), &u.a.rule, rule), 0);
	assert_int_equal(testhost_str(&u.h, sizeof(u), &u.a.say, "it happens"), 0);
	assert_int_equal(testhost_str(&u.h, sizeof(u), &u.a.labels, "{\"blame\":\"cpu\"}"), 0);
	assert_int_equal(testhost_str(&u.h, sizeof(u), &u.a.evidence,
				      "[{\"name\":\"forks_10s\",\"value\":404,\"unit\":\"\"}]"),
			 0);
	if (victim)
		assert_int_equal(
			testhost_str(&u.h, sizeof(u), &u.a.victim, victim == 7 ? "shop" : "web"),
			0);
	assert_int_equal(testhost_deliver(f->t, &u.h), 0);
}

#define FIRES(f, rule, c, v)	alert(f, rule, c, v, LNX_ALERT_FIRING, LNX_SEV_WARNING)
#define RESOLVES(f, rule, c, v) alert(f, rule, c, v, LNX_ALERT_RESOLVED, LNX_SEV_WARNING)

static const struct lnx_ev_incident *last(struct fix *f, const char *type)
{
	const struct lnx_event *ev = testhost_last(f->t, type);

	assert_non_null(ev);
	return (const struct lnx_ev_incident *)ev;
}

__attribute__((unused)) static const char *str(const struct lnx_ev_incident *e, struct lnx_str s)
{
	static char text[4][1024];
	static int at;
	char *to = text[at++ & 3];

	(void)snprintf(to, sizeof(text[0]), "%.*s", s.len, (const char *)e + s.off);
	return to;
}

#endif
