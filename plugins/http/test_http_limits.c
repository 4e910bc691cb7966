/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Requests that are too large, too many, too slow, or not what they seem. */
#include "test_client.h"

#include <time.h>

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

#define JSON	    "Content-Type: application/json\r\n"
#define HAS(text)   assert_non_null(strstr(last(), text))
#define HASNT(text) assert_null(strstr(last(), text))

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

/* The same for what libmicrohttpd refuses itself: most of it is still unread when it closes. */
static void a_refusal_for_size_survives_the_rest(void **state)
{
	static char text[400000];
	struct client *c;
	struct env e;
	unsigned i;
	int n;

	(void)state;
	begin(&e);
	n = snprintf(text, sizeof(text), "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: ");
	memset(text + n, 'a', sizeof(text) - (size_t)n);
	c = client_new(&e, client_tcp(&e, HTTP_KIND_TCP, 0));
	for (i = 0; i < 4; i++) {
		client_send(c, text + i * 100000, 100000);
		env_turn(&e, 5);
		env_turn(&e, 5);
	}
	for (i = 0; i < 20; i++)
		env_turn(&e, 1);
	client_read(c);
	assert_int_equal(client_status(c->data), 431);
	client_free(c);
	end(&e);
}

/* A client that is still sending its body when the answer comes must get it, not a reset. */
static void an_early_answer_survives_a_late_body(void **state)
{
	static const char head[] = "POST /rules/reload HTTP/1.1\r\nHost: localhost\r\n"
				   "Content-Length: 100000\r\n\r\n";
	static char text[50000];
	struct client *c;
	struct env e;
	unsigned i;

	(void)state;
	begin(&e);
	memset(text, 'x', sizeof(text));
	c = client_new(&e, client_tcp(&e, HTTP_KIND_TCP, 0));
	client_send(c, head, sizeof(head) - 1);
	for (i = 0; i < 20; i++)
		env_turn(&e, 5); /* it has answered and closed */
	for (i = 0; i < 2; i++)
		assert_int_equal(send(c->fd, text, sizeof(text), MSG_NOSIGNAL), sizeof(text));
	for (i = 0; i < 20; i++)
		env_turn(&e, 5);
	client_read(c);
	assert_int_equal(client_status(c->data), 403);
	assert_int_equal(e.http->n_lingers, 1);
	client_free(c);
	for (i = 0; i < 20 && e.http->n_lingers; i++)
		env_turn(&e, 5);
	assert_int_equal(e.http->n_lingers, 0);
	/* who sends nothing and stays is left after two seconds */
	c = client_new(&e, client_tcp(&e, HTTP_KIND_TCP, 0));
	client_send(c, head, sizeof(head) - 1);
	for (i = 0; i < 20; i++)
		env_turn(&e, 5);
	assert_int_equal(e.http->n_lingers, 1);
	assert_true(testhost_advance(e.t, 4 * HTTP_SEC) >= 0);
	assert_int_equal(e.http->n_lingers, 0);
	client_free(c);
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

/* GET /healthz, with such a name and value beside "Host: localhost", and such a query. */
static int get_with(struct env *e, int name_bytes, int value_bytes, int query_bytes)
{
	char *text = malloc(8192), *p = text;
	int rc;

	assert_non_null(text);
	p += sprintf(p, "GET /healthz?");
	p = (char *)memset(p, 'q', (size_t)query_bytes) + query_bytes;
	p += sprintf(p, " HTTP/1.1\r\nHost: localhost\r\n");
	p = (char *)memset(p, 'N', (size_t)name_bytes) + name_bytes;
	p += sprintf(p, ": ");
	p = (char *)memset(p, 'v', (size_t)value_bytes) + value_bytes;
	(void)memcpy(p, "\r\n\r\n", 5);
	rc = ask(e, text);
	free(text);
	return rc;
}

/* Names, values and the URI count, each line with four bytes besides; one more than the limit is too much, and what is told is what
 * is wrong. */
static void the_limit_of_headers_is_exact(void **state)
{
	/* "/healthz?" is the URI, "Host" and "localhost" are there; the other line has its four bytes, too */
	enum { LIMIT = 2048, LEFT = LIMIT - 9 - (4 + 9 + 4) - 4 };
	static const struct {
		int name, value, query;
	} rows[] = { { 1, LEFT - 1, 0 },
		     { LEFT - 1, 1, 0 },
		     { 1, 1, LEFT - 2 },
		     { 600, 700, LEFT - 1300 } };
	struct env e;

	(void)state;
	env_init(&e);
	env_conf(&e, "max_header=2048");
	env_start(&e);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* a query that nobody knows is refused later than a header that is too large */
		int ok = rows[i].query ? 400 : 200;

		assert_int_equal(get_with(&e, rows[i].name, rows[i].value, rows[i].query), ok);
		HASNT("headers_too_large");
		assert_int_equal(get_with(&e, rows[i].name + 1, rows[i].value, rows[i].query), 431);
		HAS("\"code\":\"headers_too_large\"");
		HAS("exceed 2048 bytes");
		assert_int_equal(get_with(&e, rows[i].name, rows[i].value + 1, rows[i].query), 431);
		assert_int_equal(get_with(&e, rows[i].name, rows[i].value, rows[i].query + 1), 431);
	}
	/* and then it goes on */
	assert_int_equal(get(&e, "GET", "/healthz", ""), 200);
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
	assert_true(testhost_near(testhost_metric(e.t, "linnix_http_connections", ""), 1, 0));
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
	env_conf(
		&e,
		"rate_limit=1"); /* two at once: what comes while they are asked is little beside 30 */
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

/* Takes 30 ms of CPU, as a question to the history may. */
static void work(void *arg, struct lnx_http_req *req)
{
	const struct lnx_svc_http *http = arg;
	clock_t until = clock() + CLOCKS_PER_SEC / 1000 * 30;

	while (clock() < until)
		;
	(void)http->respond(req, 200, NULL, "[]", 2);
}

/* Few requests can hold the loop as well as many: what their answers cost counts. */
static void a_client_over_its_work_is_told_to_wait(void **state)
{
	static const struct lnx_http_route route = { sizeof(route), 0, "GET", "/work", NULL, work };
	static const char req[] = "GET /work HTTP/1.1\r\nHost: localhost\r\n\r\n";
	const struct lnx_svc_http *http;
	struct env e;
	void *self;
	int i, n_answered = 0;

	(void)state;
	env_init(&e);
	env_conf(&e, "work_limit=1");
	env_start(&e);
	http = testhost_service(e.t, "http/1", &self);
	assert_int_equal(http->route(self, &route, (void *)(uintptr_t)http), 0);
	/* 20 ms at once, then 10 ms a second */
	for (i = 0; i < 20; i++)
		n_answered += ask(&e, req) == 200;
	assert_in_range(n_answered, 1, 5);
	HAS("too_much_work");
	HAS("Retry-After: ");
	assert_true(testhost_metric(e.t, "linnix_http_refused_total", "why=work") ==
		    20 - n_answered);
	assert_true(
		testhost_near(testhost_metric(e.t, "linnix_http_refused_total", "why=rate"), 0, 0));
	assert_int_equal(get(&e, "GET", "/healthz", ""), 200); /* the agent lives */
	assert_int_equal(get(&e, "GET", "/readyz", ""), 429);
	assert_int_equal(ask_on(&e, client_unix(&e), req), 200); /* another client */
	assert_true(testhost_advance(e.t, 5 * HTTP_SEC) >= 0);
	assert_int_equal(ask(&e, req), 200);
	/* who was refused and closes all its connections is no new client */
	while (ask(&e, req) == 200)
		;
	client_free(last_client);
	last_client = NULL;
	for (i = 0; i < 5; i++)
		env_turn(&e, 5);
	assert_int_equal(ask(&e, req), 429);
	end(&e);
}

static void no_work_limit_is_no_limit(void **state)
{
	static const struct lnx_http_route route = { sizeof(route), 0, "GET", "/work", NULL, work };
	const struct lnx_svc_http *http;
	struct env e;
	void *self;

	(void)state;
	env_init(&e);
	env_conf(&e, "work_limit=0");
	env_start(&e);
	http = testhost_service(e.t, "http/1", &self);
	assert_int_equal(http->route(self, &route, (void *)(uintptr_t)http), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(get(&e, "GET", "/work", ""), 200);
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
	assert_true(testhost_near(testhost_metric(e.t, "linnix_http_timeouts_total", ""), 1, 0));
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

/* What the listeners have together is bounded, and each that is turned away counts, of whichever it is. */
static void connections_over_all_are_refused_and_counted(void **state)
{
	enum { MOST = 64, TCP = 32 };
	int fds[MOST];
	struct env e;

	(void)state;
	env_init(&e);
	env_conf(&e, "max_connections=%d", MOST);
	env_start(&e);
	assert_int_equal(e.http->max_conns, MOST);
	for (int i = 0; i < MOST; i++) {
		fds[i] = i < TCP ? client_tcp(&e, HTTP_KIND_TCP, 0) : client_unix(&e);
		for (int k = 0; k < 2000 && e.http->n_conns <= (unsigned)i; k++)
			env_turn(&e, 1);
		assert_int_equal(e.http->n_conns, i + 1);
	}
	assert_true(testhost_metric(e.t, "linnix_http_refused_total", "why=connections") == 0);
	assert_int_equal(
		ask_on(&e, client_unix(&e), "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"), 0);
	assert_true(testhost_metric(e.t, "linnix_http_refused_total", "why=connections") == 1);
	assert_int_equal(get(&e, "GET", "/healthz", ""), 0);
	assert_true(testhost_metric(e.t, "linnix_http_refused_total", "why=connections") == 2);
	for (int i = 0; i < MOST; i++)
		(void)close(fds[i]);
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
		cmocka_unit_test(bodies_where_none_belongs_are_refused),
		cmocka_unit_test(ambiguous_lengths_are_refused_and_the_connection_ends),
		cmocka_unit_test(a_refusal_for_size_survives_the_rest),
		cmocka_unit_test(an_early_answer_survives_a_late_body),
		cmocka_unit_test(oversized_requests_are_refused),
		cmocka_unit_test(the_limit_of_headers_is_exact),
		cmocka_unit_test(one_connection_serves_many_requests),
		cmocka_unit_test(a_client_over_its_rate_is_told_to_wait),
		cmocka_unit_test(a_client_over_its_work_is_told_to_wait),
		cmocka_unit_test(no_work_limit_is_no_limit),
		cmocka_unit_test(slow_senders_are_cut),
		cmocka_unit_test(an_idle_connection_is_closed),
		cmocka_unit_test(connections_over_all_are_refused_and_counted),
		cmocka_unit_test(the_body_of_a_post_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
