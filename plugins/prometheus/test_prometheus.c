/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The routes it adds, and the format it answers in. The http plugin is replaced by a small one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "testhost.h"
#include <cmocka.h>
#include <errno.h>
#include <linnix/svc_core.h>
#include <linnix/svc_http.h>
#include <string.h>

struct lnx_http_req {
	const char *accept;
	uint32_t status;
	char type[128], body[256];
};

struct fake {
	struct testhost *t;
	const struct lnx_http_route *routes[8];
	void *args[8];
	unsigned n;
	int route_rc, text_rc;
};

static int fake_route(void *self, const struct lnx_http_route *r, void *arg)
{
	struct fake *f = self;

	if (f->route_rc)
		return f->route_rc;
	f->routes[f->n] = r;
	f->args[f->n++] = arg;
	return 0;
}

static const char *fake_header(struct lnx_http_req *req, const char *name)
{
	return strcmp(name, "Accept") ? NULL : req->accept;
}

static int fake_respond(struct lnx_http_req *req, uint32_t status, const char *type,
			const char *body, uint64_t n)
{
	req->status = status;
	(void)snprintf(req->type, sizeof(req->type), "%s", type);
	(void)snprintf(req->body, sizeof(req->body), "%.*s", (int)n, body);
	return 0;
}

static int fake_error(struct lnx_http_req *req, uint32_t status, const char *code, const char *fmt,
		      ...)
{
	(void)code;
	(void)fmt;
	req->status = status;
	return -EBADMSG;
}

static int fake_text(void *self, uint32_t openmetrics, struct lnx_buf *out)
{
	struct fake *f = self;

	lnx_buf_str(out, openmetrics ? "open\n# EOF\n" : "text\n");
	return f->text_rc;
}

static const struct lnx_svc_http fake_http = {
	.size = sizeof(fake_http),
	.route = fake_route,
	.header = fake_header,
	.respond = fake_respond,
	.error = fake_error,
};
static const struct lnx_svc_core fake_core = {
	.size = sizeof(fake_core),
	.metrics_text = fake_text,
};

static int load(struct fake *f)
{
	f->t = testhost_new();
	assert_non_null(f->t);
	assert_int_equal(testhost_provide(f->t, "core/1", &fake_core, f), 0);
	assert_int_equal(testhost_provide(f->t, "http/1", &fake_http, f), 0);
	return testhost_load(f->t, linnix_plugin_v1());
}

static struct lnx_http_req ask(struct fake *f, const char *path, const char *accept)
{
	struct lnx_http_req req = { .accept = accept };
	unsigned i;

	for (i = 0; i < f->n && strcmp(f->routes[i]->path, path) != 0; i++)
		;
	assert_true(i < f->n);
	assert_true(f->routes[i]->flags & LNX_HTTP_OPS);
	f->routes[i]->handle(f->args[i], &req);
	return req;
}

static void both_paths_answer_and_are_counted(void **state)
{
	struct fake f = { .n = 0 };
	struct lnx_http_req a, b;

	(void)state;
	assert_int_equal(load(&f), 0);
	a = ask(&f, "/metrics", NULL);
	b = ask(&f, "/metrics/prometheus", "*/*");
	assert_int_equal(a.status, 200);
	assert_string_equal(a.type, "text/plain; version=0.0.4; charset=utf-8");
	assert_string_equal(a.body, "text\n");
	assert_string_equal(a.body, b.body);
	assert_true(testhost_near(testhost_metric(f.t, "linnix_scrapes_total", ""), 2, 0));
	testhost_free(f.t);
}

static void openmetrics_only_when_asked(void **state)
{
	static const struct {
		const char *accept;
		int is_open;
	} cases[] = {
		{ "application/openmetrics-text; version=1.0.0,text/plain;q=0.5", 1 },
		{ "text/plain;q=0.5, Application/OpenMetrics-Text;q=0.9", 1 },
		{ "application/openmetrics-text;q=0, text/plain", 0 },
		{ "text/html", 0 },
		{ "", 0 },
		{ ",,, ,", 0 },
	};
	struct fake f = { .n = 0 };
	unsigned i;

	(void)state;
	assert_int_equal(load(&f), 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lnx_http_req r = ask(&f, "/metrics", cases[i].accept);

		assert_string_equal(r.body, cases[i].is_open ? "open\n# EOF\n" : "text\n");
		assert_int_equal(strstr(r.type, "openmetrics-text; version=1.0.0") != NULL,
				 cases[i].is_open);
	}
	testhost_free(f.t);
}

static void failing_registry_is_a_503(void **state)
{
	struct fake f = { .text_rc = -ENOMEM };
	struct lnx_http_req r;

	(void)state;
	assert_int_equal(load(&f), 0);
	r = ask(&f, "/metrics", NULL);
	assert_int_equal(r.status, 503);
	testhost_free(f.t);
}

static void a_route_that_is_taken_stops_the_start(void **state)
{
	struct fake f = { .route_rc = -EEXIST };

	(void)state;
	assert_int_equal(load(&f), -EEXIST);
	testhost_free(f.t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_paths_answer_and_are_counted),
		cmocka_unit_test(openmetrics_only_when_asked),
		cmocka_unit_test(failing_registry_is_a_503),
		cmocka_unit_test(a_route_that_is_taken_stops_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
