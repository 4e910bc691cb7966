/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The routes it adds, and the format it answers in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "testhost_http.h"
#include <cmocka.h>
#include <errno.h>
#include <linnix/svc_core.h>
#include <string.h>

struct fake {
	struct testhost *t;
	int route_rc, text_rc;
};

static int fake_text(void *self, uint32_t openmetrics, struct lnx_buf *out)
{
	struct fake *f = self;

	lnx_buf_str(out, openmetrics ? "open\n# EOF\n" : "text\n");
	return f->text_rc;
}

static const struct lnx_svc_core fake_core = {
	.size = sizeof(fake_core),
	.metrics_text = fake_text,
};

static int load(struct fake *f)
{
	f->t = testhost_new();
	assert_non_null(f->t);
	assert_int_equal(testhost_provide(f->t, "core/1", &fake_core, f), 0);
	assert_int_equal(testhost_http(f->t), 0);
	testhost_fail(f->t, "route", f->route_rc, 0, f->route_rc != 0);
	return testhost_load(f->t, linnix_plugin_v1());
}

static const struct testhost_answer *ask(struct fake *f, const char *route, const char *accept)
{
	const char *const headers[] = { accept, NULL };
	const struct testhost_request request = { .headers = headers };
	const struct testhost_answer *a = testhost_ask(f->t, route, &request);

	assert_non_null(a);
	assert_true(testhost_route(f->t, route)->flags & LNX_HTTP_OPS);
	return a;
}

static void both_paths_answer_and_are_counted(void **state)
{
	static const char *const routes[] = { "GET /metrics", "GET /metrics/prometheus" };
	const struct testhost_answer *a;
	struct fake f = { 0 };

	(void)state;
	assert_int_equal(load(&f), 0);
	for (unsigned i = 0; i < 2; i++) {
		a = ask(&f, routes[i], i ? "Accept=*/*" : NULL);
		assert_int_equal(a->status, 200);
		assert_string_equal(a->type, "text/plain; version=0.0.4; charset=utf-8");
		assert_string_equal(a->body, "text\n");
	}
	assert_true(testhost_near(testhost_metric(f.t, "linnix_scrapes_total", ""), 2, 0));
	testhost_free(f.t);
}

static void openmetrics_only_when_asked(void **state)
{
	static const struct {
		const char *accept;
		int is_open;
	} cases[] = {
		{ "Accept=application/openmetrics-text; version=1.0.0,text/plain;q=0.5", 1 },
		{ "Accept=text/plain;q=0.5, Application/OpenMetrics-Text;q=0.9", 1 },
		{ "Accept=application/openmetrics-text;q=0, text/plain", 0 },
		{ "Accept=text/html", 0 },
		{ "Accept=", 0 },
		{ "Accept=,,, ,", 0 },
	};
	struct fake f = { 0 };
	unsigned i;

	(void)state;
	assert_int_equal(load(&f), 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct testhost_answer *a = ask(&f, "GET /metrics", cases[i].accept);

		assert_string_equal(a->body, cases[i].is_open ? "open\n# EOF\n" : "text\n");
		assert_int_equal(strstr(a->type, "openmetrics-text; version=1.0.0") != NULL,
				 cases[i].is_open);
	}
	testhost_free(f.t);
}

static void failing_registry_is_a_503(void **state)
{
	struct fake f = { .text_rc = -ENOMEM };

	(void)state;
	assert_int_equal(load(&f), 0);
	assert_int_equal(ask(&f, "GET /metrics", NULL)->status, 503);
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
