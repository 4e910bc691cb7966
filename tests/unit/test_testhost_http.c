/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Requests to a plugin on the test host: what it answers, and what is refused before it is asked.
 * LINK: sdk/testhost/testhost.c sdk/testhost/conf.c sdk/testhost/events.c sdk/testhost/http.c sdk/testhost/json.c
 * LINK: sdk/testhost/loop.c sdk/testhost/probes.c sdk/testhost/says.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <linnix/plugin.h>

#include "sdk/testhost/testhost_http.h"

#define TEXTS(...)                \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}

static const struct lnx_svc_http *http;

/* "show": tells all it is asked with. "twice" and "never": what a handler must not do. */
static void handle(void *arg, struct lnx_http_req *req)
{
	const char *name = http->param(req, "name"), *accept = http->header(req, "Accept");
	char text[256], peer[64];
	uint32_t bytes;
	uint64_t n;

	(void)arg;
	if (http->param_u64(req, "n", 7, 1, 10, &n) < 0 || !strcmp(name, "never"))
		return;
	http->peer(req, peer, sizeof(peer));
	(void)snprintf(text, sizeof(text), "%s %d %s %s %s", name, (int)n, accept ? accept : "-",
		       http->body(req, &bytes), peer);
	assert_int_equal(http->set_header(req, "X-One", "1"), 0);
	assert_int_equal(http->set_header(req, "X-Two", "2"), 0);
	if (!strcmp(name, "wrong"))
		(void)http->error(req, 404, "not_found", "no %s of %d", name, (int)n);
	else
		assert_int_equal(http->respond(req, 200, NULL, text, strlen(text)), 0);
	if (!strcmp(name, "twice"))
		(void)http->respond(req, 200, NULL, text, strlen(text));
}

static int init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		void **ret_state)
{
	static const char *const query[] = { "n", NULL };
	static const struct lnx_http_route route = { .size = sizeof(route),
						     .method = "POST",
						     .path = "/x/{name}",
						     .query = query,
						     .handle = handle };
	const void *vtable;
	void *self;
	int rc = host->service(ctx, "http/1", &vtable, &self);

	(void)conf;
	if (rc < 0)
		return rc;
	http = vtable;
	*ret_state = self;
	return http->route(self, &route, self);
}

static const char *const needs[] = { "http/1", NULL };
static const struct lnx_plugin plugin = { .size = sizeof(plugin),
					  .abi_major = LNX_ABI_MAJOR,
					  .abi_minor = LNX_ABI_MINOR,
					  .name = "asked",
					  .version = "1",
					  .summary = "Answers.",
					  .needs = needs,
					  .init = init };

static int setup(void **state)
{
	*state = testhost_new();
	assert_non_null(*state);
	assert_int_equal(testhost_http(*state), 0);
	return 0;
}

static int teardown(void **state)
{
	testhost_free(*state);
	return 0;
}

static const struct testhost_answer *ask(struct testhost *t, const char *const *params)
{
	const struct testhost_request q = { .params = params };

	return testhost_ask(t, "POST /x/{name}", &q);
}

static void a_route_is_asked_and_answers(void **state)
{
	const struct testhost_request q = { .params = TEXTS("name=show", "n=10"),
					    .headers = TEXTS("Accept=text/plain"),
					    .body = "{}" };
	const struct testhost_answer *a;

	assert_int_equal(testhost_load(*state, &plugin), 0);
	assert_string_equal(testhost_route(*state, "POST /x/{name}")->query[0], "n");
	assert_null(testhost_route(*state, "GET /x/{name}"));
	assert_null(testhost_ask(*state, "POST /x", NULL));
	a = testhost_ask(*state, "POST /x/{name}", &q);
	assert_non_null(a);
	assert_int_equal(a->status, 200);
	assert_string_equal(a->body, "show 10 text/plain {} uid 0 (unix socket)");
	assert_string_equal(a->type, "application/json");
	assert_string_equal(a->code, "");
	assert_string_equal(a->headers, "X-One: 1\nX-Two: 2\n");
	a = ask(*state, TEXTS("name=show"));
	assert_string_equal(a->body, "show 7 -  uid 0 (unix socket)");
	a = ask(*state, TEXTS("name=wrong"));
	assert_int_equal(a->status, 404);
	assert_string_equal(a->code, "not_found");
	assert_string_equal(a->body, "no wrong of 7");
}

static void bad_parameters_are_refused(void **state)
{
	static const char *const bad[] = {
		"n=0", "n=11", "n=", "n=-1", "n=1x", "n=99999999999999999999", "m=1", "x=1", "nam=1"
	};

	assert_int_equal(testhost_load(*state, &plugin), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct testhost_answer *a = ask(*state, TEXTS("name=show", bad[i]));

		assert_non_null(a);
		assert_int_equal(a->status, 400);
		assert_string_equal(a->code, "bad_request");
	}
	assert_non_null(strstr(ask(*state, TEXTS("name=show", "m=1"))->body, "m=1"));
}

static void one_answer_and_no_more(void **state)
{
	assert_int_equal(testhost_load(*state, &plugin), 0);
	assert_null(ask(*state, TEXTS("name=never")));
	assert_null(ask(*state, TEXTS("name=twice")));
	assert_non_null(ask(*state, TEXTS("name=show")));
}

static void a_route_may_be_taken(void **state)
{
	testhost_fail(*state, "route", -EEXIST, 0, 1);
	assert_int_equal(testhost_load(*state, &plugin), -EEXIST);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_route_is_asked_and_answers),
		TEST(bad_parameters_are_refused),
		TEST(one_answer_and_no_more),
		TEST(a_route_may_be_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
