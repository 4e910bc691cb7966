/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A receiver, a store and incidents made of memory, in driven time. */
#ifndef LNX_NOTIFY_TEST_FIXTURE_H
#define LNX_NOTIFY_TEST_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "testhost.h"
#include <cmocka.h>
#include <linnix/ev_alert.h>

#include "notify.h"

#define SECOND	1000000000ULL
#define RECORDS 600

struct record {
	char id[LNX_STORE_ID_MAX], parent[LNX_STORE_ID_MAX], doc[2048];
	uint32_t kind, state, severity;
	uint64_t ts_ns;
};

/* What the fakes hold; <store> outlives an agent. */
struct env {
	struct testhost *t;
	const struct lnx_svc_notify *svc;
	void *self;
	struct lnx_channel *ch;
	struct record *records;
	uint32_t n_records, puts;
	int store_rc;
	/* the request that runs */
	struct lnx_http_ask ask;
	int is_running, start_rc;
	char body[8192];
	unsigned n_posts;
	/* the incidents: all of one state */
	const char *state;
	int json_rc, render_rc, keep_what, is_silenced;
	uint64_t closed_wall_ns; /* of what events tell */
};

/* ---- store/1 */

static struct record *record_find(struct env *e, uint32_t kind, const char *id)
{
	for (uint32_t i = 0; i < e->n_records; i++)
		if (e->records[i].kind == kind && !strcmp(e->records[i].id, id))
			return &e->records[i];
	return NULL;
}

static int store_put(void *self, const struct lnx_store_record *r)
{
	struct env *e = self;
	struct record *x = record_find(e, r->kind, r->id);

	if (!x)
		x = &e->records[e->n_records++];
	assert_true(e->n_records <= RECORDS && r->doc_bytes < sizeof(x->doc));
	assert_true(r->size == sizeof(*r) && strlen(r->id) < LNX_STORE_ID_MAX);
	*x = (struct record){
		.kind = r->kind, .state = r->state, .severity = r->severity, .ts_ns = r->ts_ns
	};
	(void)snprintf(x->id, sizeof(x->id), "%s", r->id);
	(void)snprintf(x->parent, sizeof(x->parent), "%s", r->parent);
	memcpy(x->doc, r->doc, r->doc_bytes);
	e->puts++;
	return 0;
}

static int store_del(void *self, uint32_t kind, const char *id)
{
	struct env *e = self;
	struct record *x = record_find(e, kind, id);

	if (x)
		*x = e->records[--e->n_records];
	return 0;
}

static int store_each(void *self, const struct lnx_store_query *q,
		      int (*each)(void *arg, const struct lnx_store_record *r), void *arg)
{
	struct env *e = self;
	int n = 0;

	if (e->store_rc)
		return e->store_rc;
	for (uint32_t i = 0; i < e->n_records; i++) {
		const struct record *x = &e->records[i];
		struct lnx_store_record r = { .size = sizeof(r),
					      .kind = x->kind,
					      .id = x->id,
					      .parent = x->parent,
					      .doc = x->doc,
					      .doc_bytes = strlen(x->doc),
					      .ts_ns = x->ts_ns,
					      .state = x->state,
					      .severity = x->severity };

		if (x->kind != q->kind || (q->parent && strcmp(q->parent, x->parent) != 0) ||
		    (q->id && strcmp(q->id, x->id) != 0) ||
		    (q->states && !(q->states & 1u << x->state)) || x->severity < q->min_severity ||
		    (q->to_ns && x->ts_ns > q->to_ns))
			continue;
		n++;
		if (each(arg, &r))
			break;
	}
	return n;
}

static const struct lnx_svc_store store = {
	.size = sizeof(store), .put = store_put, .del = store_del, .each = store_each
};

/* ---- incident/1 and http_client/1 */

static int inc_json(void *self, const char *id, struct lnx_buf *out)
{
	const struct env *e = self;

	if (e->json_rc)
		return e->json_rc;
	lnx_buf_printf(
		out,
		"{\"id\":\"%s\",\"state\":\"%s\",\"severity\":\"critical\",\"title\":\"it burns\","
		"\"opened\":\"2023-11-14T22:13:20.500000000Z\",\"closed\":null,\"alerts\":3,"
		"\"culprit\":{\"workload\":\"batch\",\"namespace\":\"media\",\"pod_name\":\"batch-1\",\"pid\":7,\"comm\":\"ff\"},"
		"\"victims\":[{\"workload\":\"api\",\"namespace\":\"prod\",\"pod_name\":\"api-1\"}],\"n_victims\":2,"
		"\"labels\":{\"runbook\":\"https://r.example\"},\"summary\":\"short\",\"explanation\":{\"text\":\"long\"},"
		"\"silenced\":%s}",
		id, e->state, e->is_silenced ? "true" : "false");
	return 0;
}

static const struct lnx_svc_incident incident = { .size = sizeof(incident), .json = inc_json };

static int http_start(void *self, const struct lnx_http_ask *ask, struct lnx_http_call **ret_call)
{
	static char nobody;
	struct env *e = self;

	if (e->start_rc)
		return e->start_rc;
	assert_false(e->is_running);
	assert_string_equal(ask->method, "POST");
	assert_string_equal(ask->headers[0], "A: b");
	assert_null(ask->headers[1]);
	assert_true(ask->body_bytes < sizeof(e->body));
	memcpy(e->body, ask->body, ask->body_bytes);
	e->body[ask->body_bytes] = 0;
	e->ask = *ask;
	e->is_running = 1;
	e->n_posts++;
	*ret_call = (struct lnx_http_call *)(void *)&nobody;
	return 0;
}

static void http_cancel(void *self, struct lnx_http_call *call)
{
	if (call)
		((struct env *)self)->is_running = 0;
}

static const struct lnx_svc_http_client http = { .size = sizeof(http),
						 .start = http_start,
						 .cancel = http_cancel };

/* The answer to the request that runs. */
__attribute__((unused)) static void answer(struct env *e, int rc, uint32_t status,
					   const char *header)
{
	assert_true(e->is_running);
	e->is_running = 0;
	if (header)
		assert_int_equal(e->ask.on_header(e->ask.arg, header, strlen(header)), 0);
	e->ask.on_done(e->ask.arg, rc, status, rc ? "broken" : "");
}

/* ---- a channel */

static int render(void *arg, const struct lnx_notice *list, uint32_t n, struct lnx_notify_post *out,
		  char *why, uint64_t cap)
{
	static const char *const words[] = { "open", "update", "close" };
	struct env *e = arg;

	if (e->render_rc) {
		(void)snprintf(why, cap, "no secret");
		return e->render_rc;
	}
	lnx_buf_str(&out->url, "http://127.0.0.1/");
	lnx_buf_str(&out->headers, "A: b\n");
	for (uint32_t i = 0; i < n; i++) {
		const struct lnx_notice *x = &list[i];

		lnx_buf_printf(&out->body, "%s%s %s", i ? "," : "", words[x->what],
			       x->incident + 24);
		assert_int_equal(strncmp(x->delivery, x->incident, 26), 0);
		assert_int_equal(x->severity, LNX_SEV_CRITICAL);
		assert_string_equal(x->culprit_pod_name, "batch-1");
		assert_string_equal(x->victim_namespace, "prod");
		assert_string_equal(x->runbook, "https://r.example");
		assert_string_equal(x->text, "long");
		assert_true(x->opened_wall_ns == 1700000000500000000ULL && !x->closed_wall_ns);
		if (e->keep_what) {
			lnx_buf_str(x->keep, "labels");
			lnx_buf_printf(&out->body, "(%s)", x->kept);
		}
	}
	return 0;
}

static struct lnx_channel_desc desc_of(struct env *e)
{
	return (struct lnx_channel_desc){ .size = sizeof(struct lnx_channel_desc),
					  .min_severity = LNX_SEV_WARNING,
					  .batch = 4,
					  .timeout_ns = SECOND,
					  .give_up_ns = 86400 * SECOND,
					  .render = render,
					  .arg = e };
}

/* An agent with a channel "hook"; what the store holds stays. */
static void agent_start_at(struct env *e, const struct lnx_channel_desc *d, uint64_t now_ns)
{
	struct record *records = e->records;
	uint32_t n = e->n_records;

	memset(e, 0, sizeof(*e));
	e->records = records ? records : calloc(RECORDS, sizeof(*records));
	assert_non_null(e->records);
	e->n_records = n;
	e->state = "open";
	e->t = testhost_new();
	testhost_set_now(e->t, now_ns);
	assert_int_equal(testhost_conf_other(e->t, "http.listen=0.0.0.0:3000"), 0);
	assert_int_equal(testhost_provide(e->t, "incident/1", &incident, e), 0);
	assert_int_equal(testhost_provide(e->t, "http_client/1", &http, e), 0);
	assert_int_equal(testhost_provide(e->t, "store/1", &store, e), 0);
	assert_int_equal(testhost_load(e->t, linnix_plugin_v1()), 0);
	e->svc = testhost_service(e->t, "notify/1", &e->self);
	if (d)
		assert_int_equal(e->svc->open(e->self, "hook", d, &e->ch), 0);
	(void)testhost_advance(e->t, SECOND / 100);
}

static void agent_start(struct env *e, const struct lnx_channel_desc *d)
{
	agent_start_at(e, d, TESTHOST_START_NS);
}

static void agent_end(struct env *e)
{
	testhost_free(e->t);
	e->t = NULL;
}

static void end(struct env *e)
{
	agent_end(e);
	free(e->records);
}

static void event(struct env *e, uint16_t type, uint32_t reason, uint32_t severity, int number)
{
	union {
		struct lnx_event h;
		struct lnx_ev_incident i;
		char bytes[512];
	} u = { .h = { .size = sizeof(u.i), .type = type, .fixed = sizeof(u.i) } };
	char id[32];

	u.i.reason = reason;
	u.i.severity = severity & 0xf;
	u.i.is_silenced = severity >> 4;
	u.i.closed_wall_ns = e->closed_wall_ns;
	(void)snprintf(id, sizeof(id), "01HZZZZZZZZZZZZZZZZZZZZZ%02d", number % 100);
	assert_int_equal(testhost_str(&u.h, sizeof(u), &u.i.id, id), 0);
	assert_int_equal(testhost_deliver(e->t, &u.h), 0);
	(void)testhost_advance(e->t, 1000000);
}

__attribute__((unused)) static void opens(struct env *e, int number)
{
	event(e, LNX_EV_INCIDENT_OPEN, LNX_INCIDENT_OPENED, LNX_SEV_WARNING, number);
}

__attribute__((unused)) static void closes(struct env *e, int number)
{
	event(e, LNX_EV_INCIDENT_CLOSE, LNX_INCIDENT_QUIET, LNX_SEV_WARNING, number);
}

__attribute__((unused)) static double dropped(struct env *e, const char *reason)
{
	char labels[64];

	(void)snprintf(labels, sizeof(labels), "channel=hook,reason=%s", reason);
	return testhost_metric(e->t, "linnix_notify_dropped_total", labels);
}

#endif
