/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Silences: what one matches, when that is looked at, and who made it. The API is a small one that keeps handlers. */
#include "test_fixture.h"

struct lnx_http_req {
	const char *id, *body;
	uint32_t status;
	char answer[1024];
};

struct api {
	const struct lnx_http_route *routes[16];
	void *arg;
	int n;
};

static int api_route(void *self, const struct lnx_http_route *r, void *arg)
{
	struct api *a = self;

	assert_true(a->n < 16);
	a->routes[a->n++] = r;
	a->arg = arg;
	return 0;
}

static const char *api_param(struct lnx_http_req *req, const char *name)
{
	return strcmp(name, "id") ? NULL : req->id;
}

static const char *api_body(struct lnx_http_req *req, uint32_t *ret_bytes)
{
	*ret_bytes = (uint32_t)strlen(req->body);
	return req->body;
}

static int api_respond(struct lnx_http_req *req, uint32_t status, const char *content_type,
		       const char *body, uint64_t body_bytes)
{
	assert_null(content_type);
	req->status = status;
	(void)snprintf(req->answer, sizeof(req->answer), "%.*s", (int)body_bytes, body);
	return 0;
}

static int api_error(struct lnx_http_req *req, uint32_t status, const char *code, const char *fmt,
		     ...)
{
	assert_true(*code && *fmt);
	req->status = status;
	return 0;
}

static void api_peer(struct lnx_http_req *req, char *buf, uint32_t cap)
{
	(void)req;
	(void)snprintf(buf, cap, "uid 0 (unix socket)");
}

static const struct lnx_svc_http api_service = { .size = sizeof(api_service),
						 .route = api_route,
						 .param = api_param,
						 .body = api_body,
						 .respond = api_respond,
						 .error = api_error,
						 .peer = api_peer };

static struct lnx_http_req post(struct api *a, const char *path, const char *id, const char *body)
{
	struct lnx_http_req req = { .id = id, .body = body };

	for (int i = 0; i < a->n; i++)
		if (!strcmp(a->routes[i]->method, "POST") && !strcmp(a->routes[i]->path, path))
			a->routes[i]->handle(a->arg, &req);
	assert_true(req.status);
	return req;
}

static void open_with_api(struct fix *f, struct api *a)
{
	f->api = a;
	f->api_service = &api_service;
	fix_open(f);
	(void)testhost_advance(f->t, 2 * SECOND); /* the store is read */
}

static const struct lnx_ev_incident *last_update(struct fix *f, int n)
{
	assert_int_equal(testhost_count(f->t, "incident.update"), n);
	return last(f, "incident.update");
}

static void one_made_and_ended_while_it_is_open_is_told(void **state)
{
	struct fix f = { 0 };
	struct api a = { 0 };
	struct lnx_http_req req;
	char id[32];
	json_t *root;

	(void)state;
	open_with_api(&f, &a);
	FIRES(&f, "noisy-neighbour", 9, 7);
	assert_false(last(&f, "incident.open")->is_silenced);
	req = post(&a, "/silences", NULL,
		   "{\"match\":\"rule=noisy-*\",\"for\":\"2h\",\"by\":\"ann\"}");
	assert_int_equal(req.status, 201);
	root = json_loads(req.answer, 0, NULL);
	(void)snprintf(id, sizeof(id), "%s", json_string_value(json_object_get(root, "id")));
	json_decref(root);
	assert_true(last_update(&f, 1)->is_silenced);
	assert_int_equal(last(&f, "incident.update")->reason, LNX_INCIDENT_SILENCE);
	assert_string_equal(f.shelf.logs[f.shelf.n_logs - 1], "silence");
	assert_non_null(strstr(f.shelf.last_log, "\"by\":\"ann\""));
	assert_non_null(strstr(f.shelf.last_log, "\"peer\":\"uid 0 (unix socket)\""));
	/* the store says so, too: a restart does not tell of it */
	assert_non_null(strstr(f.shelf.recs[0].doc, "\"silenced\":true"));
	/* another that matches nothing changes nothing */
	(void)testhost_advance(f.t, SECOND);
	(void)post(&a, "/silences", NULL, "{\"match\":\"rule=memory-*\",\"for\":\"2h\"}");
	(void)last_update(&f, 1);
	assert_int_equal(post(&a, "/silences/{id}/end", id, "{}").status, 200);
	assert_false(last_update(&f, 2)->is_silenced);
	assert_string_equal(f.shelf.logs[f.shelf.n_logs - 1], "unsilence");
	assert_non_null(strstr(f.shelf.last_log, "uid 0"));
	assert_int_equal(post(&a, "/silences/{id}/end", id, "{}").status, 404);
	/* and one ends by itself */
	(void)post(&a, "/silences", NULL, "{\"match\":\"culprit=media/*\",\"for\":\"30s\"}");
	assert_true(last_update(&f, 3)->is_silenced);
	(void)testhost_advance(f.t, 32 * SECOND);
	assert_false(last_update(&f, 4)->is_silenced);
	fix_close(&f);
}

static void what_it_looks_at_is_looked_at_when_it_changes(void **state)
{
	struct fix f = { 0 };
	struct api a = { 0 };

	(void)state;
	open_with_api(&f, &a);
	(void)post(&a, "/silences", NULL, "{\"match\":\"severity=warning\",\"for\":\"2h\"}");
	FIRES(&f, "noisy-neighbour", 9, 7);
	assert_true(last(&f, "incident.open")->is_silenced);
	alert(&f, "circuit-breaker", 0, 0, LNX_ALERT_FIRING, LNX_SEV_CRITICAL);
	assert_int_equal(last_update(&f, 1)->reason, LNX_INCIDENT_SEVERITY);
	assert_false(last(&f, "incident.update")->is_silenced);
	/* a victim that is silenced joins */
	(void)post(&a, "/silences", NULL, "{\"match\":\"victim=*web\",\"for\":\"2h\"}");
	FIRES(&f, "noisy-neighbour", 9, 8);
	(void)testhost_advance(f.t, 6 * SECOND);
	assert_true(last_update(&f, 2)->is_silenced);
	fix_close(&f);
}

static void matches_are_checked(void **state)
{
	static const char *const bad[] = { "", "rule", "rule=", "=x", "who=x", "a=b,rule=x" };
	char error[256];

	(void)state;
	assert_int_equal(silence_parse("rule=noisy-*,culprit=media/*", error, sizeof(error)), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(silence_parse(bad[i], error, sizeof(error)), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_made_and_ended_while_it_is_open_is_told),
		cmocka_unit_test(what_it_looks_at_is_looked_at_when_it_changes),
		cmocka_unit_test(matches_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
