/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The client against a server that answers what a test tells it to, byte by byte, over real sockets. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <linnix/svc_http_client.h>

#include "testhost.h"

#define SECOND 1000000000ull

/* One connection at a time: reads a request, sends <answer>, then closes or (is_hanging) waits for the other side. */
struct server {
	int fd, port;
	pthread_t thread;
	const char *answer;
	size_t answer_bytes;
	int is_hanging;
	char request[8192];
};

static void *serve(void *arg)
{
	struct server *s = arg;
	size_t n = 0;
	ssize_t got;
	char c;
	int fd = accept(s->fd, NULL, NULL);

	if (fd < 0)
		return NULL;
	while (n < sizeof(s->request) - 1 &&
	       (got = read(fd, s->request + n, sizeof(s->request) - 1 - n)) > 0) {
		n += (size_t)got;
		s->request[n] = 0;
		if (strstr(s->request, "\r\n\r\n") &&
		    (strncmp(s->request, "POST", 4) != 0 || strstr(s->request, "end-of-body")))
			break;
	}
	if (s->answer_bytes && write(fd, s->answer, s->answer_bytes) < 0)
		n = 0; /* the client had enough */
	while (s->is_hanging && read(fd, &c, 1) > 0)
		;
	(void)close(fd);
	return NULL;
}

static void server_start(struct server *s, const char *answer, int is_hanging)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);

	memset(s, 0, sizeof(*s));
	s->answer = answer;
	s->answer_bytes = strlen(answer);
	s->is_hanging = is_hanging;
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(s->fd, 4), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &n), 0);
	s->port = ntohs(a.sin_port);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
	(void)shutdown(s->fd, SHUT_RDWR); /* wakes accept() */
	(void)pthread_join(s->thread, NULL);
	(void)close(s->fd);
}

struct env {
	struct testhost *t;
	const struct lnx_svc_http_client *svc;
	void *self;
	struct lnx_http_call *call;
	char url[256], body[65536], why[512], headers[512];
	size_t n;
	uint32_t status, head_status;
	int is_done, rc, refuse;
};

static int on_head(void *arg, uint32_t status)
{
	struct env *e = arg;

	assert_int_equal(e->n, 0);
	e->head_status = status;
	return 0;
}

static int on_header(void *arg, const char *line, uint64_t n)
{
	struct env *e = arg;

	assert_int_equal(e->head_status, 0);
	assert_true(n + 2 < sizeof(e->headers) - strlen(e->headers));
	(void)strncat(e->headers, line, n);
	(void)strcat(e->headers, "|");
	return e->refuse;
}

static int on_body(void *arg, const void *bytes, uint64_t n)
{
	struct env *e = arg;

	assert_true(e->n + n < sizeof(e->body));
	memcpy(e->body + e->n, bytes, n);
	e->n += n;
	return e->refuse;
}

static void on_done(void *arg, int rc, uint32_t status, const char *why)
{
	struct env *e = arg;

	e->is_done++;
	e->rc = rc;
	e->status = status;
	(void)snprintf(e->why, sizeof(e->why), "%s", why);
	e->call = NULL;
}

static int is_done(void *arg)
{
	return ((struct env *)arg)->is_done;
}

static struct lnx_http_ask ask_of(struct env *e, const char *path, int port)
{
	struct lnx_http_ask a = { .size = sizeof(a),
				  .url = e->url,
				  .on_head = on_head,
				  .on_body = on_body,
				  .on_done = on_done,
				  .arg = e };

	(void)snprintf(e->url, sizeof(e->url), "http://127.0.0.1:%d%s", port, path);
	e->n = 0;
	e->is_done = 0;
	return a;
}

static void begin(struct env *e)
{
	memset(e, 0, sizeof(*e));
	e->t = testhost_new();
	assert_int_equal(testhost_load(e->t, linnix_plugin_v1()), 0);
	e->svc = testhost_service(e->t, "http_client/1", &e->self);
	assert_non_null(e->svc);
}

/* Run <a> to its end. */
static void run(struct env *e, const struct lnx_http_ask *a)
{
	assert_int_equal(e->svc->start(e->self, a, &e->call), 0);
	assert_int_equal(testhost_run_until(e->t, is_done, e, 60000), 0);
	assert_int_equal(e->is_done, 1);
	assert_true(testhost_metric(e->t, "linnix_http_client_active", "") == 0);
}

static void nothing_is_opened_before_the_first_request(void **state)
{
	struct env e;
	char line[1024];
	FILE *f;

	(void)state;
	begin(&e);
	assert_int_equal(testhost_fds(e.t), 0);
	assert_int_equal(testhost_timers(e.t), 0);
	f = fopen("/proc/self/maps", "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		assert_null(strstr(line, "libcurl"));
	(void)fclose(f);
	testhost_free(e.t);
}

static void an_answer_comes_in_pieces_and_whole(void **state)
{
	static const char *const headers[] = { "Authorization: Bearer abc",
					       "Accept: application/json", NULL };
	struct server s;
	struct env e;
	struct lnx_http_ask a;

	(void)state;
	begin(&e);
	server_start(
		&s,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
		0);
	a = ask_of(&e, "/x?y=z", s.port);
	a.headers = headers;
	run(&e, &a);
	assert_int_equal(e.rc, 0);
	assert_int_equal(e.status, 200);
	assert_int_equal(e.head_status, 200);
	assert_int_equal(e.n, 11);
	assert_memory_equal(e.body, "hello world", 11);
	server_stop(&s);
	assert_non_null(strstr(s.request, "GET /x?y=z HTTP/1.1\r\n"));
	assert_non_null(strstr(s.request, "Authorization: Bearer abc\r\n"));
	assert_true(testhost_metric(e.t, "linnix_http_client_requests_total", "") == 1);
	testhost_free(e.t);
	assert_int_equal(e.is_done, 1);
}

static void headers_of_the_answer_are_told(void **state)
{
	static const char answer[] =
		"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 30\r\nX-Empty:\r\n"
		"Content-Length: 0\r\n\r\n";
	struct lnx_http_ask a;
	struct server s;
	struct env e;

	(void)state;
	begin(&e);
	server_start(&s, answer, 0);
	a = ask_of(&e, "/", s.port);
	a.on_header = on_header;
	run(&e, &a);
	server_stop(&s);
	assert_int_equal(e.status, 429);
	assert_string_equal(e.headers, "Retry-After: 30|X-Empty:|Content-Length: 0|");
	/* who is of an earlier SDK has no such member */
	server_start(&s, answer, 0);
	a = ask_of(&e, "/", s.port);
	a.size = offsetof(struct lnx_http_ask, on_header);
	a.on_header = on_header;
	e.headers[0] = 0;
	e.head_status = 0;
	run(&e, &a);
	server_stop(&s);
	assert_string_equal(e.headers, "");
	/* one that is not wanted ends it */
	server_start(&s, answer, 0);
	a = ask_of(&e, "/", s.port);
	a.on_header = on_header;
	e.head_status = 0;
	e.refuse = -EBADMSG;
	run(&e, &a);
	server_stop(&s);
	assert_int_equal(e.rc, -EBADMSG);
	testhost_free(e.t);
}

static void a_body_is_posted(void **state)
{
	static const char *const headers[] = { "Content-Type: application/json", NULL };
	struct server s;
	struct env e;
	struct lnx_http_ask a;
	char body[] = "{\"a\":1} end-of-body";

	(void)state;
	begin(&e);
	server_start(&s, "HTTP/1.1 204 No Content\r\n\r\n", 0);
	a = ask_of(&e, "/hook", s.port);
	a.method = "POST";
	a.headers = headers;
	a.body = body;
	a.body_bytes = strlen(body);
	assert_int_equal(e.svc->start(e.self, &a, &e.call), 0);
	memset(body, 'x', sizeof(body) - 1); /* it was copied */
	assert_int_equal(testhost_run_until(e.t, is_done, &e, 60000), 0);
	assert_int_equal(e.rc, 0);
	assert_int_equal(e.status, 204);
	assert_int_equal(e.head_status, 204);
	server_stop(&s);
	assert_non_null(strstr(s.request, "POST /hook HTTP/1.1\r\n"));
	assert_non_null(strstr(s.request, "\r\n\r\n{\"a\":1} end-of-body"));
	testhost_free(e.t);
}

static void what_goes_wrong_has_its_own_error(void **state)
{
	static const struct {
		const char *answer;
		int is_hanging, rc;
		const char *why;
	} rows[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", 0, -EPROTO, "" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", 0, -EPROTO, "" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 0, -EPROTO, "" },
		{ "SSH-2.0-x\r\n", 0, -EPROTO, "" },
		{ "", 0, -EPROTO, "" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", 1, -ETIMEDOUT, "no byte came" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n", 1, -ETIMEDOUT,
		  "no byte came" },
		{ "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
		  0, 0, "" },
		{ "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", 0, 0, "" },
	};
	struct server s;
	struct env e;
	size_t i;

	(void)state;
	begin(&e);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lnx_http_ask a;

		server_start(&s, rows[i].answer, rows[i].is_hanging);
		a = ask_of(&e, "/", s.port);
		a.idle_timeout_ns = rows[i].is_hanging ? SECOND / 5 : 0;
		run(&e, &a);
		server_stop(&s);
		if (e.rc != rows[i].rc || !strstr(e.why, rows[i].why))
			fail_msg("row %zu: %d %s", i, e.rc, e.why);
		if (rows[i].rc == 0)
			assert_int_equal(e.status / 100, i == 7 ? 3 : 4);
	}
	testhost_free(e.t);
}

static void sizes_are_bounded(void **state)
{
	char *big = malloc(200000);
	size_t n;
	struct lnx_http_ask a;
	struct server s;
	struct env e;

	(void)state;
	begin(&e);
	assert_non_null(big);
	n = (size_t)snprintf(big, 200000, "HTTP/1.1 200 OK\r\n");
	while (n < 199000)
		n += (size_t)snprintf(big + n, 200000 - n, "X-%zu: %090d\r\n", n, 7);
	server_start(&s, big, 1);
	a = ask_of(&e, "/", s.port);
	run(&e, &a);
	server_stop(&s);
	assert_int_equal(e.rc, -EFBIG);
	assert_non_null(strstr(e.why, "headers"));
	memset(big, 'h', 199999);
	big[199999] = 0;
	memcpy(big, "HTTP/1.1 200 OK\r\n\r\n", 19);
	server_start(&s, big, 1);
	a = ask_of(&e, "/", s.port);
	a.max_body_bytes = 20000;
	run(&e, &a);
	server_stop(&s);
	assert_int_equal(e.rc, -EFBIG);
	assert_non_null(strstr(e.why, "20000"));
	/* a callback that has enough */
	server_start(&s, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 1);
	a = ask_of(&e, "/", s.port);
	e.refuse = -EBADMSG;
	run(&e, &a);
	server_stop(&s);
	assert_int_equal(e.rc, -EBADMSG);
	free(big);
	testhost_free(e.t);
}

static void addresses_are_held_to_what_was_asked(void **state)
{
	static const char *const far[] = {
		"192.0.2.7",	      "[2001:db8::7]", "[::ffff:192.0.2.7]",
		"[::ffff:1.0.0.127]", "[::]",	       "0.0.0.0"
	};
	struct lnx_http_ask a;
	struct env e;

	(void)state;
	begin(&e);
	a = ask_of(&e, "/", 1);
	run(&e, &a);
	assert_int_equal(e.rc, -ECONNREFUSED);
	/* of a net that is never routed: refused before a packet leaves */
	(void)snprintf(e.url, sizeof(e.url), "http://192.0.2.7/");
	e.is_done = 0;
	run(&e, &a);
	assert_int_equal(e.rc, -EACCES);
	assert_non_null(strstr(e.why, "http://"));
	a.flags = LNX_HTTPC_LOOPBACK;
	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		(void)snprintf(e.url, sizeof(e.url), "https://%s/", far[i]);
		e.is_done = 0;
		run(&e, &a);
		assert_int_equal(e.rc, -EACCES);
		assert_non_null(strstr(e.why, "this machine"));
	}
	testhost_free(e.t);
}

/* A connection has one address, looked at by those that opened it. */
static void a_kept_connection_goes_around_no_check(void **state)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab";
	struct server s, again;
	struct lnx_http_ask a;
	struct env e;

	(void)state;
	begin(&e);
	server_start(&s, answer, 1);
	a = ask_of(&e, "/", s.port);
	a.flags = LNX_HTTPC_PLAINTEXT;
	run(&e, &a);
	assert_int_equal(e.rc, 0);
	again = s; /* accepts the next one; the first does not answer again */
	assert_int_equal(pthread_create(&again.thread, NULL, serve, &again), 0);
	a = ask_of(&e, "/", s.port);
	a.idle_timeout_ns = 5 * SECOND;
	run(&e, &a);
	assert_int_equal(e.rc, 0);
	assert_int_equal(e.n, 2);
	testhost_free(e.t); /* closes both */
	(void)pthread_join(again.thread, NULL);
	server_stop(&s);
}

static void requests_that_are_none_are_refused(void **state)
{
	static const char *const bad_header[] = { "A: b\r\nHost: evil", NULL };
	static const char *const no_header[] = { "nothing", NULL };
	static const char *const urls[] = {
		"ftp://127.0.0.1/",	"file:///etc/passwd",	    "127.0.0.1", "",
		"http://127.0.0.1/a b", "http://127.0.0.1/\r\nX: y"
	};
	struct lnx_http_ask a;
	struct env e;
	size_t i;

	(void)state;
	begin(&e);
	a = ask_of(&e, "/", 1);
	for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		a.url = urls[i];
		assert_int_equal(e.svc->start(e.self, &a, &e.call), -EINVAL);
	}
	a = ask_of(&e, "/", 1);
	a.headers = bad_header;
	assert_int_equal(e.svc->start(e.self, &a, &e.call), -EINVAL);
	a.headers = no_header;
	assert_int_equal(e.svc->start(e.self, &a, &e.call), -EINVAL);
	a.headers = NULL;
	a.method = "GET /x HTTP/1.1\r\n";
	assert_int_equal(e.svc->start(e.self, &a, &e.call), -EINVAL);
	assert_int_equal(e.is_done, 0);
	testhost_free(e.t);
}

static void calls_are_bounded_and_can_be_cancelled(void **state)
{
	struct lnx_http_call *calls[33] = { NULL };
	struct lnx_http_ask a;
	struct server s;
	struct env e;
	unsigned i;

	(void)state;
	begin(&e);
	server_start(&s, "", 1);
	a = ask_of(&e, "/", s.port);
	a.idle_timeout_ns = 60 * SECOND;
	for (i = 0; i < 32; i++)
		assert_int_equal(e.svc->start(e.self, &a, &calls[i]), 0);
	assert_int_equal(e.svc->start(e.self, &a, &calls[32]), -ENOBUFS);
	(void)testhost_poll(e.t, 10);
	(void)testhost_advance(e.t, SECOND / 100);
	for (i = 0; i < 31; i++)
		e.svc->cancel(e.self, calls[i]);
	e.svc->cancel(e.self, NULL);
	assert_true(testhost_metric(e.t, "linnix_http_client_active", "") == 1);
	testhost_free(e.t); /* with one that runs */
	assert_int_equal(e.is_done, 0);
	server_stop(&s);
}

static void a_failing_host_is_told_and_nothing_leaks(void **state)
{
	static const char *const functions[] = { "metric", "timer_add", "provide" };
	struct testhost *t;
	struct env e;
	struct lnx_http_ask a;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		t = testhost_new();
		testhost_fail(t, functions[i], -ENOMEM, 0, 1);
		assert_int_equal(testhost_load(t, linnix_plugin_v1()), -ENOMEM);
		testhost_free(t);
	}
	begin(&e);
	a = ask_of(&e, "/", 1);
	a.idle_timeout_ns = SECOND;
	testhost_fail(e.t, "timer_add", -ENOMEM, 0, 1);
	assert_int_equal(e.svc->start(e.self, &a, &e.call), -ENOMEM);
	testhost_free(e.t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_opened_before_the_first_request),
		cmocka_unit_test(an_answer_comes_in_pieces_and_whole),
		cmocka_unit_test(headers_of_the_answer_are_told),
		cmocka_unit_test(a_body_is_posted),
		cmocka_unit_test(what_goes_wrong_has_its_own_error),
		cmocka_unit_test(sizes_are_bounded),
		cmocka_unit_test(addresses_are_held_to_what_was_asked),
		cmocka_unit_test(a_kept_connection_goes_around_no_check),
		cmocka_unit_test(requests_that_are_none_are_refused),
		cmocka_unit_test(calls_are_bounded_and_can_be_cancelled),
		cmocka_unit_test(a_failing_host_is_told_and_nothing_leaks),
	};

	/* nobody else's proxy is asked */
	(void)setenv("http_proxy", "http://192.0.2.1:9/", 1);
	(void)setenv("all_proxy", "http://192.0.2.1:9/", 1);

	return cmocka_run_group_tests(tests, NULL, NULL);
}
