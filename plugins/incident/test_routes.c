/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Statistics over more incidents than are counted at once: the answer says what it is of. And one incident, with what came of
 * the actions about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "testhost_http.h"
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "incident.h"

struct env {
	struct testhost *t;
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

static void open_env(struct env *e)
{
	e->t = testhost_new();
	assert_non_null(e->t);
	assert_int_equal(testhost_provide(e->t, "store/1", &store, e), 0);
	assert_int_equal(testhost_http(e->t), 0);
	assert_int_equal(testhost_load(e->t, linnix_plugin_v1()), 0);
}

/* The statistics over so many; "truncated" has to be <is_cut>. */
static void ask(struct env *e, uint64_t n_incidents, uint64_t n_feedback, int is_cut,
		const char *want)
{
	const struct testhost_answer *a;

	e->n_incidents = n_incidents;
	e->n_feedback = n_feedback;
	a = testhost_ask(e->t, "GET /incidents/stats", NULL);
	assert_non_null(a);
	assert_int_equal(a->status, 200);
	assert_non_null(strstr(a->body, want));
	assert_non_null(strstr(a->body, is_cut ? "\"truncated\":true" : "\"truncated\":false"));
	assert_int_equal(
		strstr(a->headers, "X-Linnix-Degraded: only the newest 10000 are counted") != NULL,
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
		const struct testhost_request one = { .params = (const char *const[]){ "id=" ONE,
										       NULL } };
		const struct testhost_answer *a;

		e.actions = cases[i].actions;
		a = testhost_ask(e.t, "GET /incidents/{id}", &one);
		assert_non_null(a);
		assert_int_equal(a->status, 200);
		if (!strstr(a->body, cases[i].answer))
			fail_msg("%s", a->body);
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
