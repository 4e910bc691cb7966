/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Requests over real sockets: routing, bad input, authentication, limits. */
#include "test_client.h"

#include <sys/stat.h>

/* A request on a connection of its own, kept in <e>; the answer is in last(). */
static struct client *last_client;

static int ask_on(struct env *e, int fd, const char *request)
{
	if (last_client)
		client_free(last_client);
	last_client = client_new(e, fd);
	return client_ask(last_client, request, strlen(request));
}

static int ask(struct env *e, const char *request)
{
	return ask_on(e, client_tcp(e, HTTP_KIND_TCP, 0), request);
}

/* "GET" and "/path" and more header lines. */
static int get(struct env *e, const char *method, const char *path, const char *headers)
{
	char text[4096];

	(void)snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", method,
		       path, headers);
	return ask(e, text);
}

static const char *last(void)
{
	return last_client->data;
}

static void end(struct env *e)
{
	if (last_client)
		client_free(last_client);
	last_client = NULL;
	env_done(e);
}

static void begin(struct env *e)
{
	env_init(e);
	env_start(e);
}

#define HAS(text)   assert_non_null(strstr(last(), text))
#define HASNT(text) assert_null(strstr(last(), text))

static void routes_of_the_core_answer_json(void **state)
{
	struct env e;

	(void)state;
	begin(&e);
	assert_int_equal(get(&e, "GET", "/healthz", ""), 200);
	HAS("Content-Type: application/json");
	HAS("X-Content-Type-Options: nosniff");
	HAS("Cache-Control: no-store");
	HASNT("Access-Control");
	assert_int_equal(get(&e, "GET", "/status", ""), 200);
	HAS("{\"fake\":true}");
	assert_int_equal(get(&e, "GET", "/plugins", ""), 200);
	assert_int_equal(get(&e, "GET", "/rules", ""), 200);
	assert_int_equal(get(&e, "GET", "/events/schema", ""), 200);
	assert_int_equal(get(&e, "GET", "/readyz", ""), 200);
	e.is_ready = 0;
	assert_int_equal(get(&e, "GET", "/readyz", ""), 503);
	HAS("\"reasons\":[]");
	end(&e);
}

static void unknown_paths_and_methods_are_told(void **state)
{
	static const char *const lost[] = { "/nope", "/healthz/x", "/processes/1/2",
					    "/%2e%2e/etc" };
	struct env e;
	unsigned i;

	(void)state;
	begin(&e);
	for (i = 0; i < sizeof(lost) / sizeof(lost[0]); i++) {
		assert_int_equal(get(&e, "GET", lost[i], ""), 404);
		HAS("{\"error\":{\"code\":\"not_found\",\"message\":\"no such path\"}}");
	}
	assert_int_equal(get(&e, "DELETE", "/status", ""), 405);
	HAS("Allow: GET, HEAD");
	assert_int_equal(get(&e, "POST", "/status", "Content-Length: 0\r\n"), 405);
	assert_int_equal(get(&e, "OPTIONS", "/status", ""), 405);
	assert_int_equal(get(&e, "GET", "/rules/reload", ""), 405);
	HAS("Allow: POST");
	assert_int_equal(get(&e, "HEAD", "/status", ""), 200);
	HASNT("fake");
	assert_int_equal(get(&e, "GET", "//healthz", ""), 400);
	assert_int_equal(get(&e, "GET", "/a%zz", ""), 400);
	assert_int_equal(get(&e, "GET", "/a%00b", ""), 400);
	assert_int_equal(get(&e, "GET", "/a/b/c/d/e/f/g/h/i/j", ""), 400);
	end(&e);
}

static void unknown_and_bad_parameters_are_named(void **state)
{
	static const struct {
		const char *path, *says;
	} cases[] = {
		{ "/status?x=1", "unknown query parameter 'x'" },
		{ "/events?limt=3", "unknown query parameter 'limt'" },
		{ "/events?limit=0", "limit must be a whole number from 1 to 10000" },
		{ "/events?limit=10001", "limit must be" },
		{ "/events?limit=-1", "limit must be" },
		{ "/events?limit=1e3", "limit must be" },
		{ "/events?limit=", "limit must be" },
		{ "/events?since_seq=18446744073709551616", "since_seq must be" },
		{ "/events?type=proc.frk", "unknown event type 'proc.frk'" },
		{ "/events?type=proc.fork,", "" },
		{ "/events?type=", "type: no event type given" },
		{ "/events?limit=1&limit=2", "'limit' was given twice" },
		{ "/events?limit=%zz", "'limit' is not well encoded" },
		{ "/events?a%0Ab=1", "not well encoded" },
		{ "/events?%22%3E=1", "unknown query parameter '\\\">'" },
	};
	struct env e;
	unsigned i;

	(void)state;
	begin(&e);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(get(&e, "GET", cases[i].path, ""), *cases[i].says ? 400 : 200);
		HAS(cases[i].says);
	}
	end(&e);
}

static void bodies_where_none_belongs_are_refused(void **state)
{
	struct env e;

	(void)state;
	begin(&e);
	assert_int_equal(get(&e, "GET", "/healthz", "Content-Length: 3\r\n\r\nabc"), 400);
	HAS("unexpected_body");
	assert_true(testhost_run_until(e.t, client_is_done, last_client, TEST_LIMIT_MS) == 0);
	assert_int_equal(get(&e, "GET", "/healthz",
			     "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
			 400);
	HAS("unexpected_body");
	assert_int_equal(get(&e, "GET", "/healthz", "Content-Length: 0\r\n"), 200);
	end(&e);
}

/* What follows such a request must never be read as a second one. */
static void ambiguous_lengths_are_refused_and_the_connection_ends(void **state)
{
	static const char *const headers[] = {
		"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
		"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
		"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
		"Content-Length: 4\r\nContent-Length: 5\r\n",
		"Transfer-Encoding: gzip, chunked\r\n",
	};
	char text[1024];
	struct env e;
	unsigned i;
	int rc;

	(void)state;
	begin(&e);
	for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		(void)snprintf(text, sizeof(text),
			       "POST /rules/reload HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
			       "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
			       headers[i]);
		rc = ask(&e, text);
		assert_true(rc == 400);
		last_client->want = sizeof(last_client->data); /* until the end */
		assert_int_equal(
			testhost_run_until(e.t, client_is_done, last_client, TEST_LIMIT_MS), 0);
		assert_true(last_client->is_eof);
		HASNT("HTTP/1.1 200");
	}
	end(&e);
}

static void oversized_requests_are_refused(void **state)
{
	size_t n = 70000;
	char *text = malloc(n + 1024);
	struct env e;
	int at, rc;

	(void)state;
	assert_non_null(text);
	begin(&e);
	/* over max_header, but not over what the connection holds; then over both; then a long path */
	for (n = 20000; n <= 70000; n += 50000) {
		at = snprintf(text, 1024, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: ");
		memset(text + at, 'a', n);
		memcpy(text + at + n, "\r\n\r\n", 5);
		assert_int_equal(ask(&e, text), 431);
	}
	memcpy(text, "GET /", 5);
	memset(text + 5, 'a', 60000);
	memcpy(text + 60005, " HTTP/1.1\r\nHost: localhost\r\n\r\n", 31);
	rc = ask(&e, text);
	assert_true(rc == 414 || rc == 431);
	assert_int_equal(get(&e, "GET", "/healthz", ""), 200);
	free(text);
	end(&e);
}

static void only_known_hosts_are_served(void **state)
{
	static const struct {
		const char *host;
		int status;
	} cases[] = {
		{ "localhost", 200 },
		{ "LocalHost:3000", 200 },
		{ "127.0.0.1", 200 },
		{ "10.1.2.3:80", 200 },
		{ "[::1]:3000", 200 },
		{ "agent.example", 200 },
		{ "Agent.Example:1", 200 },
		{ "evil.example", 403 },
		{ "localhost.evil.example", 403 },
		{ "127.0.0.1.evil", 403 },
		{ "", 403 },
		{ "[::1", 403 },
		{ "a b", 403 },
		{ "localhost:3000:1", 403 },
		{ "localhost:http", 403 },
	};
	char text[256];
	struct env e;
	unsigned i;

	(void)state;
	env_init(&e);
	env_conf(&e, "allowed_hosts=agent.example");
	env_start(&e);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(text, sizeof(text), "GET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n",
			       cases[i].host);
		if (ask(&e, text) != cases[i].status)
			fail_msg("Host '%s': not %d but %s", cases[i].host, cases[i].status,
				 last());
	}
	HAS("host_not_allowed");
	assert_int_equal(ask(&e, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n"),
			 400);
	assert_int_equal(ask(&e, "GET /healthz HTTP/1.1\r\n\r\n"), 400);
	/* no browser speaks it */
	last_client->data[0] = 0;
	assert_int_equal(ask(&e, "GET /healthz HTTP/1.0\r\n\r\n"), 200);
	assert_int_equal(ask_on(&e, client_unix(&e), "GET /healthz HTTP/1.1\r\nHost: any\r\n\r\n"),
			 200);
	end(&e);
}

static void reading_needs_the_token_where_one_is_set(void **state)
{
	static const char *const wrong[] = {
		"",
		"Authorization: Bearer\r\n",
		"Authorization: Bearer wrong-token-0123456\r\n",
		"Authorization: Bearer read-token-01234567x\r\n",
		"Authorization: Bearer read-token-0123456\r\n",
		"Authorization: Basic read-token-01234567\r\n",
		"Authorization: Bearer read-token-01234567 x\r\n",
	};
	struct env e;
	unsigned i;

	(void)state;
	env_init(&e);
	env_file(&e, "token", "read-token-01234567\n");
	env_file(&e, "admin", "admin-token-0123456\n");
	env_conf(&e, "token_file=%s/token", e.dir);
	env_conf(&e, "admin_token_file=%s/admin", e.dir);
	env_start(&e);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(get(&e, "GET", "/status", wrong[i]), 401);
		HAS("WWW-Authenticate: Bearer");
	}
	assert_int_equal(get(&e, "GET", "/nope", ""), 401);
	assert_int_equal(get(&e, "GET", "/healthz", ""), 200);
	assert_int_equal(get(&e, "GET", "/status", "Authorization: Bearer read-token-01234567\r\n"),
			 200);
	assert_int_equal(
		get(&e, "GET", "/status", "authorization: bearer  admin-token-0123456\r\n"), 200);
	assert_int_equal(
		ask_on(&e, client_unix(&e), "GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		200);
	/* the other token may not change anything */
	assert_int_equal(get(&e, "POST", "/rules/reload",
			     "Content-Type: application/json\r\nContent-Length: 0\r\n"
			     "Authorization: Bearer read-token-01234567\r\n"),
			 403);
	end(&e);
}

#define ADMIN "Authorization: Bearer admin-token-0123456\r\nContent-Length: 0\r\n"
#define JSON  "Content-Type: application/json\r\n"

static void changing_needs_the_admin_token_json_and_the_same_origin(void **state)
{
	struct env e;

	(void)state;
	env_init(&e);
	env_file(&e, "admin", "admin-token-0123456");
	env_conf(&e, "admin_token_file=%s/admin", e.dir);
	env_start(&e);
	assert_int_equal(get(&e, "POST", "/rules/reload", ADMIN JSON), 200);
	HAS("\"generation\":2");
	assert_int_equal(get(&e, "POST", "/rules/reload", JSON "Content-Length: 0\r\n"), 403);
	assert_int_equal(get(&e, "POST", "/rules/reload", ADMIN), 403);
	assert_int_equal(get(&e, "POST", "/rules/reload", ADMIN "Content-Type: text/plain\r\n"),
			 403);
	assert_int_equal(
		get(&e, "POST", "/rules/reload", ADMIN "Content-Type: application/jsonx\r\n"), 403);
	assert_int_equal(get(&e, "POST", "/rules/reload",
			     ADMIN "Content-Type: Application/JSON; charset=utf-8\r\n"),
			 200);
	assert_int_equal(
		get(&e, "POST", "/rules/reload", ADMIN JSON "Origin: http://localhost\r\n"), 200);
	assert_int_equal(get(&e, "POST", "/rules/reload", ADMIN JSON "Origin: http://evil\r\n"),
			 403);
	assert_int_equal(
		get(&e, "POST", "/rules/reload", ADMIN JSON "Origin: https://localhost\r\n"), 403);
	assert_int_equal(get(&e, "POST", "/rules/reload", ADMIN JSON "Origin: null\r\n"), 403);
	assert_int_equal(get(&e, "POST", "/rules/reload?x=1", ADMIN JSON), 400);
	e.reload_rc = -EINVAL;
	assert_int_equal(get(&e, "POST", "/rules/reload", ADMIN JSON), 422);
	end(&e);
}

static void without_an_admin_token_only_the_unix_socket_changes_anything(void **state)
{
	static const char post[] = "POST /rules/reload HTTP/1.1\r\nHost: localhost\r\n" JSON
				   "Content-Length: 0\r\n\r\n";
	struct stat st;
	struct env e;

	(void)state;
	begin(&e);
	assert_int_equal(ask(&e, post), 403);
	HAS("no http.admin_token_file is configured");
	assert_int_equal(get(&e, "POST", "/rules/reload", ADMIN JSON), 403);
	assert_int_equal(ask_on(&e, client_unix(&e), post), 200);
	assert_int_equal(stat(e.socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	end(&e);
}

/* The peer's uid counts, not the file's mode: nobody may read over the socket, but not change. */
static void another_user_on_the_unix_socket_only_reads(void **state)
{
	static const char post[] = "POST /rules/reload HTTP/1.1\r\nHost: localhost\r\n" JSON
				   "Content-Length: 0\r\n\r\n";
	struct env e;
	int fd;

	(void)state;
	if (geteuid() != 0)
		skip();
	begin(&e);
	assert_int_equal(chmod(e.dir, 0755), 0);
	assert_int_equal(chmod(e.socket, 0666), 0);
	assert_int_equal(seteuid(65534), 0);
	fd = client_unix(&e);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(ask_on(&e, fd, post), 403);
	assert_int_equal(
		client_ask(last_client, "GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n", 41),
		200);
	end(&e);
}

static void the_ops_listener_serves_three_paths_only(void **state)
{
	struct env e;

	(void)state;
	env_init(&e);
	env_file(&e, "token", "read-token-01234567\n");
	env_conf(&e, "token_file=%s/token", e.dir);
	env_conf(&e, "ops_listen=127.0.0.1:0");
	env_start(&e);
	assert_int_equal(ask_on(&e, client_tcp(&e, HTTP_KIND_OPS, 0),
				"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"),
			 200);
	assert_int_equal(ask_on(&e, client_tcp(&e, HTTP_KIND_OPS, 0),
				"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"),
			 200);
	assert_int_equal(ask_on(&e, client_tcp(&e, HTTP_KIND_OPS, 0),
				"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n"),
			 404);
	assert_int_equal(ask_on(&e, client_tcp(&e, HTTP_KIND_OPS, 0),
				"POST /rules/reload HTTP/1.1\r\nHost: localhost\r\n" JSON
				"Content-Length: 0\r\n\r\n"),
			 404);
	end(&e);
}

static void one_connection_serves_many_requests(void **state)
{
	static const char two[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
	struct env e;
	int i;

	(void)state;
	begin(&e);
	assert_int_equal(ask(&e, two), 200);
	for (i = 0; i < 20; i++)
		assert_int_equal(client_ask(last_client, two, sizeof(two) - 1), 200);
	assert_float_equal(testhost_metric(e.t, "linnix_http_connections", ""), 1, 0);
	assert_true(testhost_metric(e.t, "linnix_http_requests_total", "") >= 20);
	end(&e);
}

static void a_client_over_its_rate_is_told_to_wait(void **state)
{
	static const char req[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
	struct env e;
	int i, n_refused = 0;

	(void)state;
	env_init(&e);
	env_conf(&e, "rate_limit=5");
	env_start(&e);
	assert_int_equal(ask(&e, req), 200);
	for (i = 0; i < 30; i++)
		n_refused += client_ask(last_client, req, sizeof(req) - 1) == 429;
	assert_true(n_refused >= 15);
	HAS("Retry-After: 1");
	assert_true(testhost_metric(e.t, "linnix_http_refused_total", "why=rate") >= 15);
	assert_true(testhost_advance(e.t, 2 * HTTP_SEC) >= 0);
	assert_int_equal(client_ask(last_client, req, sizeof(req) - 1), 200);
	end(&e);
}

/* A byte now and then keeps libmicrohttpd's own timeout away for ever. */
static void slow_senders_are_cut(void **state)
{
	struct client *c;
	struct env e;
	int i;

	(void)state;
	env_init(&e);
	env_conf(&e, "request_timeout=5s");
	env_start(&e);
	c = client_new(&e, client_tcp(&e, HTTP_KIND_TCP, 0));
	client_send(c, "GET /healthz HT", 15);
	c->want = 1;
	for (i = 0; i < 20 && !c->is_eof; i++) {
		client_send(c, "a", 1);
		(void)testhost_poll(e.t, 5);
		assert_true(testhost_advance(e.t, HTTP_SEC) >= 0);
		(void)testhost_poll(e.t, 5);
		client_read(c);
	}
	assert_true(c->is_eof);
	assert_in_range(i, 4, 8);
	assert_float_equal(testhost_metric(e.t, "linnix_http_timeouts_total", ""), 1, 0);
	client_free(c);
	end(&e);
}

static void an_idle_connection_is_closed(void **state)
{
	struct env e;
	int i;

	(void)state;
	env_init(&e);
	env_conf(&e, "idle_timeout=3s");
	env_start(&e);
	assert_int_equal(get(&e, "GET", "/healthz", ""), 200);
	for (i = 0; i < 10 && !last_client->is_eof; i++) {
		assert_true(testhost_advance(e.t, HTTP_SEC) >= 0);
		(void)testhost_poll(e.t, 5);
		client_read(last_client);
	}
	assert_true(last_client->is_eof);
	assert_in_range(i, 3, 6);
	end(&e);
}

static void the_body_of_a_post_is_bounded(void **state)
{
	char text[4096];
	struct env e;
	int n, i;

	(void)state;
	env_init(&e);
	env_conf(&e, "max_body=1KiB");
	env_start(&e);
	n = snprintf(text, sizeof(text),
		     "POST /rules/reload HTTP/1.1\r\nHost: localhost\r\n" JSON
		     "Content-Length: 1025\r\n\r\n");
	assert_int_equal(ask_on(&e, client_unix(&e), text), 413);
	n = snprintf(text, sizeof(text),
		     "POST /rules/reload HTTP/1.1\r\nHost: localhost\r\n" JSON
		     "Transfer-Encoding: chunked\r\n\r\n");
	for (i = 0; i < 12; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "64\r\n%0100d\r\n", 0);
	(void)snprintf(text + n, sizeof(text) - (size_t)n, "0\r\n\r\n");
	assert_int_equal(ask_on(&e, client_unix(&e), text), 413);
	n = snprintf(text, sizeof(text),
		     "POST /rules/reload HTTP/1.1\r\nHost: localhost\r\n" JSON
		     "Content-Length: 2\r\n\r\n{}");
	assert_int_equal(ask_on(&e, client_unix(&e), text), 200);
	(void)n;
	end(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_of_the_core_answer_json),
		cmocka_unit_test(unknown_paths_and_methods_are_told),
		cmocka_unit_test(unknown_and_bad_parameters_are_named),
		cmocka_unit_test(bodies_where_none_belongs_are_refused),
		cmocka_unit_test(ambiguous_lengths_are_refused_and_the_connection_ends),
		cmocka_unit_test(oversized_requests_are_refused),
		cmocka_unit_test(only_known_hosts_are_served),
		cmocka_unit_test(reading_needs_the_token_where_one_is_set),
		cmocka_unit_test(changing_needs_the_admin_token_json_and_the_same_origin),
		cmocka_unit_test(without_an_admin_token_only_the_unix_socket_changes_anything),
		cmocka_unit_test(another_user_on_the_unix_socket_only_reads),
		cmocka_unit_test(the_ops_listener_serves_three_paths_only),
		cmocka_unit_test(one_connection_serves_many_requests),
		cmocka_unit_test(a_client_over_its_rate_is_told_to_wait),
		cmocka_unit_test(slow_senders_are_cut),
		cmocka_unit_test(an_idle_connection_is_closed),
		cmocka_unit_test(the_body_of_a_post_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
