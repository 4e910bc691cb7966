/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Statistics over more incidents than are counted at once: the answer says what it is of. And one incident, with what came of
 * the actions about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "testhost.h"
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "incident.h"

struct lnx_http_req {
	uint32_t status;
	char answer[2048], degraded[128];
};

struct env {
	struct testhost *t;
	const struct lnx_http_route *stats, *one;
	void *arg;
	uint64_t n_incidents, n_feedback;
	const char *const *actions; /* about ONE, newest first; NULL: it is not there */
};

#define ONE "01HZZZZZZZZZZZZZZZZZZZZZZZ"

/* An incident, or the actions about it. */
static int each_of_one(const struct env *e, const struct lnx_store_query *q,
		       int (*each)(void *arg, const struct lnx_store_record *r), void *arg)
{
	static const char *const incident[] = { "{\"id\":\"" ONE "\"}", NULL };
	const char *const *doc = q->kind == LNX_STORE_INCIDENT ? incident : e->actions;
	struct lnx_store_record r = { .size = sizeof(r), .kind = q->kind, .id = ONE, .parent = "" };
	int n = 0;

	if (q->kind == LNX_STORE_FEEDBACK)
		return 0;
	for (; e->actions && *doc; doc++) {
		n++;
		r.doc = *doc;
		r.doc_bytes = strlen(r.doc);
		if (each(arg, &r))
			break;
	}
	return n;
}

static int store_each(void *self, const struct lnx_store_query *q,
		      int (*each)(void *arg, const struct lnx_store_record *r), void *arg)
{
	const struct env *e = self;
	uint64_t n = q->kind == LNX_STORE_INCIDENT   ? e->n_incidents
		     : q->kind == LNX_STORE_FEEDBACK ? e->n_feedback
						     : 0;
	struct lnx_store_record r = { .size = sizeof(r),
				      .kind = q->kind,
				      .id = "",
				      .parent = "",
				      .doc = "{\"cause\":\"contention\"}",
				      .state = 1,
				      .ts_ns = 1,
				      .end_ns = 3000000001u };
	int visited = 0;

	if (q->id || q->parent)
		return each_of_one(e, q, each, arg);
	if (q->states == 1) /* what the plugin itself looks for at its start */
		return 0;
	assert_true(q->limit >= 1 && q->limit <= 10000);
	r.doc_bytes = strlen(r.doc);
	for (uint64_t i = q->offset; i < n && i < q->offset + q->limit; i++) {
		visited++;
		if (each(arg, &r))
			break;
	}
	return visited;
}

static int store_put(void *self, const struct lnx_store_record *r)
{
	(void)self;
	(void)r;
	return 0;
}

static int store_log(void *self, uint64_t ts_ns, const char *subject, const char *what,
		     const char *doc)
{
	(void)self;
	(void)ts_ns;
	(void)subject;
	(void)what;
	(void)doc;
	return 0;
}

static void store_ulid(void *self, uint64_t ts_ns, char ret[27])
{
	(void)self;
	(void)snprintf(ret, 27, "%026llu", (unsigned long long)ts_ns);
}

static const struct lnx_svc_store store = { .size = sizeof(store),
					    .put = store_put,
					    .each = store_each,
					    .log = store_log,
					    .ulid = store_ulid };

static int api_route(void *self, const struct lnx_http_route *r, void *arg)
{
	struct env *e = self;

	if (!strcmp(r->path, "/incidents/stats")) {
		e->stats = r;
		e->arg = arg;
	}
	if (!strcmp(r->path, "/incidents/{id}"))
		e->one = r;
	return 0;
}

static const char *api_param(struct lnx_http_req *req, const char *name)
{
	(void)req;
	return strcmp(name, "id") != 0 ? NULL : ONE;
}

static int api_param_u64(struct lnx_http_req *req, const char *name, uint64_t def, uint64_t min,
			 uint64_t max, uint64_t *ret_v)
{
	(void)req;
	assert_true(*name && def >= min && def <= max);
	*ret_v = def;
	return 0;
}

static int api_set_header(struct lnx_http_req *req, const char *name, const char *value)
{
	assert_string_equal(name, "X-Linnix-Degraded");
	(void)snprintf(req->degraded, sizeof(req->degraded), "%s", value);
	return 0;
}

static int api_respond(struct lnx_http_req *req, uint32_t status, const char *content_type,
		       const char *body, uint64_t body_bytes)
{
	assert_null(content_type);
	req->status = status;
	(void)snprintf(req->answer, sizeof(req->answer), "%.*s", (int)body_bytes, body);
	return 0;
}

static const struct lnx_svc_http api = { .size = sizeof(api),
					 .route = api_route,
					 .param = api_param,
					 .param_u64 = api_param_u64,
					 .set_header = api_set_header,
					 .respond = api_respond };

static void open_env(struct env *e)
{
	e->t = testhost_new();
	assert_non_null(e->t);
	assert_int_equal(testhost_provide(e->t, "store/1", &store, e), 0);
	assert_int_equal(testhost_provide(e->t, "http/1", &api, e), 0);
	assert_int_equal(testhost_load(e->t, linnix_plugin_v1()), 0);
	assert_true(e->one && e->stats);
}

/* The statistics over so many; "truncated" has to be <is_cut>. */
static void ask(struct env *e, uint64_t n_incidents, uint64_t n_feedback, int is_cut,
		const char *want)
{
	struct lnx_http_req req = { 0 };

	e->n_incidents = n_incidents;
	e->n_feedback = n_feedback;
	e->stats->handle(e->arg, &req);
	assert_int_equal(req.status, 200);
	assert_non_null(strstr(req.answer, want));
	assert_non_null(strstr(req.answer, is_cut ? "\"truncated\":true" : "\"truncated\":false"));
	assert_int_equal(strncmp(req.degraded, "only the newest 10000 are counted", 33) == 0,
			 is_cut);
}

static void more_than_are_counted_are_said_to_be_there(void **state)
{
	struct env e = { 0 };

	(void)state;
	open_env(&e);
	ask(&e, 0, 0, 0, "{\"incidents\":0,");
	ask(&e, 3, 2, 0, "{\"incidents\":3,");
	ask(&e, 10000, 10000, 0, "{\"incidents\":10000,");
	ask(&e, 10001, 0, 1, "{\"incidents\":10000,");
	ask(&e, 5, 10001, 1, "{\"incidents\":5,");
	testhost_free(e.t);
}

static void the_outcome_is_that_of_the_newest_that_was_measured(void **state)
{
	static const char *const none[] = { "{\"outcome\":\"none\"}", NULL };
	static const char *const some[] = { "{\"outcome\":\"none\"}", "{\"outcome\":\"worse\"}",
					    "{\"outcome\":\"helped\"}", NULL };
	static const struct {
		const char *const *actions;
		const char *answer;
	} cases[] = {
		{ none, "\"actions\":[{\"outcome\":\"none\"}],\"outcome\":null,\"feedback\":[]}" },
		{ some, "{\"outcome\":\"helped\"}],\"outcome\":\"worse\",\"feedback\":[]}" },
	};
	struct env e = { 0 };

	(void)state;
	open_env(&e);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lnx_http_req req = { 0 };

		e.actions = cases[i].actions;
		e.one->handle(e.arg, &req);
		assert_int_equal(req.status, 200);
		if (!strstr(req.answer, cases[i].answer))
			fail_msg("%s", req.answer);
	}
	testhost_free(e.t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_outcome_is_that_of_the_newest_that_was_measured),
		cmocka_unit_test(more_than_are_counted_are_said_to_be_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
