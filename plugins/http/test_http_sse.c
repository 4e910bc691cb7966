/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Open streams through the service http/1, as another plugin would use it; and readers who do not read. */
#include "http_req.h"
#include "test_client.h"

#include <malloc.h>
#include <sys/stat.h>

#define READERS 200
#define ROUNDS	60

struct feed {
	const struct lnx_svc_http *http;
	struct lnx_http_stream *stream;
	unsigned n_open, n_closed, n_writable, n_written;
	int rc;
	const char *refill; /* written from writable() */
};

static void feed_closed(void *arg)
{
	struct feed *f = arg;

	f->n_closed++;
	f->stream = NULL;
}

static void feed_writable(void *arg)
{
	struct feed *f = arg;

	f->n_writable++;
	if (f->refill && f->n_written < 2000 &&
	    f->http->stream_write(f->stream, f->refill, (uint32_t)strlen(f->refill)) == 0)
		f->n_written++;
}

static void feed_handle(void *arg, struct lnx_http_req *req)
{
	struct feed *f = arg;

	f->n_open++;
	f->rc = f->http->stream(req, feed_closed, feed_writable, f, &f->stream);
}

static const struct lnx_http_route feed_route = { sizeof(feed_route), 0, "GET", "/feed", NULL,
						  feed_handle };
static const char health_get[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
static const char feed_get[] = "GET /feed HTTP/1.1\r\nHost: localhost\r\n\r\n";

static void begin(struct env *e, struct feed *f)
{
	void *self;

	env_start(e);
	memset(f, 0, sizeof(*f));
	f->http = testhost_service(e->t, "http/1", &self);
	assert_non_null(f->http);
	assert_int_equal(f->http->route(self, &feed_route, f), 0);
	assert_int_equal(f->http->route(self, &feed_route, f), -EEXIST);
}

struct wait {
	struct client *c;
	const char *text;
};

static int has_text(void *arg)
{
	struct wait *w = arg;

	client_read(w->c);
	return strstr(w->c->data, w->text) != NULL;
}

static int wait_for(struct client *c, const char *text)
{
	struct wait w = { c, text };

	return testhost_run_until(c->env->t, has_text, &w, TEST_LIMIT_MS);
}

static int is_closed(void *arg)
{
	const struct feed *f = arg;

	return f->n_closed > 0;
}

static void what_is_written_arrives_at_once(void **state)
{
	struct client *c;
	struct feed f;
	struct env e;

	(void)state;
	env_init(&e);
	begin(&e, &f);
	c = client_new(&e, client_tcp(&e, HTTP_KIND_TCP, 0));
	client_send(c, feed_get, sizeof(feed_get) - 1);
	assert_int_equal(wait_for(c, "text/event-stream"), 0);
	assert_int_equal(f.rc, 0);
	assert_int_equal(f.http->stream_write(f.stream, "data: one\n\n", 11), 0);
	assert_int_equal(wait_for(c, "data: one\n\n"), 0);
	assert_int_equal(f.http->stream_write(f.stream, "data: two\n\n", 11), 0);
	assert_int_equal(f.http->stream_write(f.stream, "data: six\n\n", 11), 0);
	assert_int_equal(wait_for(c, "data: two\n\n"), 0);
	assert_int_equal(wait_for(c, "data: six\n\n"), 0);
	/* no deadline is on it */
	assert_true(testhost_advance(e.t, 3600 * HTTP_SEC) >= 0);
	assert_int_equal(f.http->stream_write(f.stream, "data: late\n\n", 12), 0);
	assert_int_equal(wait_for(c, "data: late\n\n"), 0);
	assert_true(testhost_near(testhost_metric(e.t, "linnix_http_streams", ""), 1, 0));
	client_free(c);
	assert_int_equal(testhost_run_until(e.t, is_closed, &f, TEST_LIMIT_MS), 0);
	assert_true(testhost_near(testhost_metric(e.t, "linnix_http_streams", ""), 0, 0));
	env_done(&e);
}

static void the_writer_may_end_it(void **state)
{
	struct client *c;
	struct feed f;
	struct env e;

	(void)state;
	env_init(&e);
	begin(&e, &f);
	c = client_new(&e, client_tcp(&e, HTTP_KIND_TCP, 0));
	client_send(c, feed_get, sizeof(feed_get) - 1);
	assert_int_equal(wait_for(c, "text/event-stream"), 0);
	assert_int_equal(f.http->stream_write(f.stream, "data: last\n\n", 12), 0);
	f.http->stream_close(f.stream);
	assert_int_equal(f.n_closed, 1);
	assert_int_equal(wait_for(c, "\r\n0\r\n\r\n"), 0);
	assert_non_null(strstr(c->data, "data: last\n\n"));
	assert_int_equal(f.n_closed, 1);
	client_free(c);
	env_done(&e);
}

/* An event larger than the usual buffer passes alone; what cannot pass is refused for good. */
static void large_writes_pass_when_nothing_waits(void **state)
{
	size_t n = 100000;
	char *text = malloc(300000);
	struct client *c;
	struct feed f;
	struct env e;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', 300000);
	memcpy(text + n - 4, "END\n", 4);
	env_init(&e);
	begin(&e, &f);
	c = client_new(&e, client_tcp(&e, HTTP_KIND_TCP, 0));
	client_send(c, feed_get, sizeof(feed_get) - 1);
	assert_int_equal(wait_for(c, "text/event-stream"), 0);
	assert_int_equal(f.http->stream_write(f.stream, text, 300000), -E2BIG);
	assert_int_equal(f.http->stream_write(f.stream, text, (uint32_t)n), 0);
	assert_int_equal(f.http->stream_write(f.stream, "a", 1), -ENOBUFS);
	assert_int_equal(wait_for(c, "END\n"), 0);
	assert_int_equal(f.http->stream_write(f.stream, "data: after\n\n", 13), 0);
	assert_int_equal(wait_for(c, "data: after\n\n"), 0);
	client_free(c);
	free(text);
	env_done(&e);
}

static void a_full_buffer_is_told_and_a_free_one_too(void **state)
{
	char line[1024];
	struct client *c;
	struct feed f;
	struct env e;
	unsigned i, n_writable;
	int rc = 0;

	(void)state;
	memset(line, 'x', sizeof(line));
	env_init(&e);
	begin(&e, &f);
	c = client_new(&e, client_tcp(&e, HTTP_KIND_TCP, 4096));
	client_send(c, feed_get, sizeof(feed_get) - 1);
	while (!f.n_open)
		env_turn(&e, 5);
	for (i = 0; i < 20000 && rc == 0; i++) {
		rc = f.http->stream_write(f.stream, line, sizeof(line));
		if (rc == -ENOBUFS && i < 2000) {
			/* what the kernel takes is not what is bounded here */
			n_writable = f.n_writable;
			env_turn(&e, 1);
			env_turn(&e, 1);
			rc = f.n_writable > n_writable ? 0 : rc;
		}
	}
	assert_int_equal(rc, -ENOBUFS);
	n_writable = f.n_writable;
	for (i = 0; i < 2000 && f.n_writable == n_writable; i++) {
		c->n = 0;
		client_read(c);
		env_turn(&e, 1);
	}
	assert_true(f.n_writable > n_writable);
	assert_int_equal(f.http->stream_write(f.stream, line, sizeof(line)), 0);
	client_free(c);
	env_done(&e);
}

static void the_writer_is_asked_when_there_is_room(void **state)
{
	struct client *c;
	struct feed f;
	struct env e;
	unsigned i;

	(void)state;
	env_init(&e);
	begin(&e, &f);
	f.refill = "data: 0123456789012345678901234567890123456789\n\n";
	c = client_new(&e, client_tcp(&e, HTTP_KIND_TCP, 0));
	client_send(c, feed_get, sizeof(feed_get) - 1);
	for (i = 0; i < 5000 && f.n_written < 2000; i++) {
		env_turn(&e, 1);
		client_read(c);
	}
	assert_int_equal(f.n_written, 2000);
	client_free(c);
	env_done(&e);
}

static void more_streams_than_allowed_are_refused(void **state)
{
	struct client *a, *b;
	struct feed f;
	struct env e;

	(void)state;
	env_init(&e);
	env_conf(&e, "max_streams=1");
	begin(&e, &f);
	a = client_new(&e, client_tcp(&e, HTTP_KIND_TCP, 0));
	client_send(a, feed_get, sizeof(feed_get) - 1);
	assert_int_equal(wait_for(a, "text/event-stream"), 0);
	b = client_new(&e, client_tcp(&e, HTTP_KIND_TCP, 0));
	assert_int_equal(client_ask(b, feed_get, sizeof(feed_get) - 1), 503);
	assert_int_equal(f.rc, -ENOBUFS);
	assert_non_null(strstr(b->data, "too_many_streams"));
	client_free(a);
	client_free(b);
	env_done(&e);
}

static void head_of_a_stream_is_its_headers(void **state)
{
	struct client *c;
	struct feed f;
	struct env e;

	(void)state;
	env_init(&e);
	begin(&e, &f);
	c = client_new(&e, client_tcp(&e, HTTP_KIND_TCP, 0));
	assert_int_equal(client_ask(c, "HEAD /feed HTTP/1.1\r\nHost: localhost\r\n\r\n", 41), 200);
	assert_int_equal(testhost_run_until(e.t, is_closed, &f, TEST_LIMIT_MS), 0);
	client_free(c);
	env_done(&e);
}

static int is_one_less(void *arg)
{
	const struct env *e = arg;

	return e->http->n_streams == 2;
}

static size_t n_fds; /* that are watched without readers */

static int is_none_left(void *arg)
{
	const struct env *e = arg;

	return e->http->n_streams == 0 && testhost_fds(e->t) == n_fds;
}

/* So many are known, each to its neighbours. */
static void are_linked(const struct env *e, unsigned n)
{
	const struct lnx_http_stream *st, *prev = NULL;

	for (st = e->http->streams; st; prev = st, st = st->next, n--)
		assert_ptr_equal(st->prev, prev);
	assert_int_equal(n, 0);
}

static struct lnx_http_stream *open_feed(struct env *e, struct feed *f, struct client **ret_client)
{
	struct client *c = client_new(e, client_tcp(e, HTTP_KIND_TCP, 4096));

	f->stream = NULL;
	client_send(c, feed_get, sizeof(feed_get) - 1);
	assert_int_equal(wait_for(c, "text/event-stream"), 0);
	assert_non_null(f->stream);
	*ret_client = c;
	return f->stream;
}

/* Of a line and its place in a list that may be half empty. */
static size_t log_bytes(struct testhost *t)
{
	size_t i, sum = 0;

	for (i = 0; i < testhost_logs(t); i++)
		sum += strlen(testhost_log(t, i)) + 16 + 2 * sizeof(char *);
	return sum;
}

/* Something that nobody takes any more: more than the kernel does. */
static void leave_unread(struct env *e, struct feed *f, struct lnx_http_stream *st)
{
	static char text[100000];

	memset(text, 'x', sizeof(text));
	for (unsigned i = 0; i < 50 && !st->data; i++) {
		assert_int_equal(f->http->stream_write(st, text, sizeof(text)), 0);
		env_turn(e, 0);
		env_turn(e, 0);
	}
	assert_non_null(st->data);
}

/* Whichever it is: its place is free, nothing of it is left, and the others go on. */
static void the_end_of_one_reader_is_not_that_of_the_others(void **state)
{
	struct lnx_http_stream *st[3];
	struct client *c[3], *more;
	size_t before = 0, grown;
	struct feed f;
	struct env e;
	unsigned i;

	(void)state;
	env_init(&e);
	env_conf(&e, "max_streams=3");
	begin(&e, &f);
	n_fds = testhost_fds(e.t);
	for (i = 0; i < 3; i++)
		st[i] = open_feed(&e, &f, &c[i]);
	for (i = 0; i < ROUNDS; i++) {
		const struct lnx_http_stream *which = e.http->streams;
		unsigned gone, k;

		if (i == 5) /* lists have grown by then */
			before = mallinfo2().uordblks;
		for (k = 0; k < i % 3; k++) /* the newest, the middle, the oldest */
			which = which->next;
		for (gone = 0; gone < 2 && st[gone] != which; gone++)
			;
		more = client_new(&e, client_tcp(&e, HTTP_KIND_TCP, 0));
		assert_int_equal(client_ask(more, feed_get, sizeof(feed_get) - 1), 503);
		client_free(more);
		leave_unread(&e, &f, st[gone]);
		client_free(c[gone]);
		f.n_closed = 0;
		assert_int_equal(testhost_run_until(e.t, is_one_less, &e, TEST_LIMIT_MS), 0);
		assert_int_equal(f.n_closed, 1);
		are_linked(&e, 2);
		assert_true(testhost_near(testhost_metric(e.t, "linnix_http_streams", ""), 2, 0));
		for (k = 0; k < 3; k++) {
			if (k == gone)
				continue;
			c[k]->n = 0;
			c[k]->data[0] = 0;
			assert_int_equal(f.http->stream_write(st[k], "data: on\n\n", 10), 0);
			assert_int_equal(wait_for(c[k], "data: on\n\n"), 0);
		}
		st[gone] = open_feed(&e, &f, &c[gone]);
		assert_int_equal(e.http->n_streams, 3);
	}
	/* nothing of those that ended but what the fake host keeps of the log */
	grown = mallinfo2().uordblks - before;
	assert_true(grown < log_bytes(e.t) + ROUNDS * sizeof(struct lnx_http_stream) / 2);
	for (i = 0; i < 3; i++)
		client_free(c[i]);
	assert_int_equal(testhost_run_until(e.t, is_none_left, &e, TEST_LIMIT_MS), 0);
	env_done(&e);
}

/* They cost a small buffer each, and nobody else waits. */
static void readers_who_never_read_hurt_nobody(void **state)
{
	static struct feed feeds[READERS];
	struct client *idle[READERS], *c;
	struct mallinfo2 before, after;
	char line[512];
	struct feed f;
	struct env e;
	unsigned i, k, n_full = 0;

	(void)state;
	memset(line, 'x', sizeof(line));
	env_init(&e);
	begin(&e, &f);
	for (i = 0; i < READERS; i++) {
		f.n_open = 0;
		idle[i] = client_new(&e, client_tcp(&e, HTTP_KIND_TCP, 4096));
		client_send(idle[i], feed_get, sizeof(feed_get) - 1);
		while (!f.n_open)
			env_turn(&e, 5);
		assert_int_equal(f.rc, 0);
		feeds[i].stream = f.stream;
	}
	before = mallinfo2();
	for (k = 0; k < 400; k++) {
		for (i = 0; i < READERS; i++)
			n_full += f.http->stream_write(feeds[i].stream, line, sizeof(line)) ==
				  -ENOBUFS;
		env_turn(&e, 0);
	}
	after = mallinfo2();
	assert_true(n_full > READERS);
	assert_true(after.uordblks < before.uordblks + (size_t)READERS * 2 * HTTP_STREAM_BUFFER);
	c = client_new(&e, client_tcp(&e, HTTP_KIND_TCP, 0));
	for (i = 0; i < 20; i++)
		assert_int_equal(client_ask(c, health_get, sizeof(health_get) - 1), 200);
	client_free(c);
	for (i = 0; i < READERS; i++)
		client_free(idle[i]);
	env_done(&e);
}

/* Write until neither the reader's kernel nor this end has room. */
static void fill(struct env *e, struct feed *f)
{
	char line[4096];
	int rc;

	memset(line, 'x', sizeof(line));
	do {
		do
			rc = f->http->stream_write(f->stream, line, sizeof(line));
		while (rc == 0);
		assert_int_equal(rc, -ENOBUFS);
		f->n_writable = 0;
		for (unsigned i = 0; i < 20 && !f->n_writable; i++)
			env_turn(e, 1);
	} while (f->n_writable);
}

/* The writer is done with it, but the connection could never be: its reader has to take what comes before the end. */
static void an_ended_stream_is_cut_when_nobody_takes_its_end(void **state)
{
	struct client *c;
	struct feed f;
	struct env e;

	(void)state;
	for (unsigned does_half_close = 0; does_half_close < 2; does_half_close++) {
		env_init(&e);
		env_conf(&e, "max_streams=1");
		env_conf(&e, "answer_timeout=5s");
		begin(&e, &f);
		c = client_new(&e, client_tcp(&e, HTTP_KIND_TCP, 4096));
		client_send(c, feed_get, sizeof(feed_get) - 1);
		while (!f.n_open)
			env_turn(&e, 5);
		fill(&e, &f);
		assert_true(testhost_advance(e.t, 3600 * HTTP_SEC) >=
			    0); /* it is open: no deadline */
		assert_int_equal(e.http->n_streams, 1);
		if (does_half_close)
			assert_int_equal(shutdown(c->fd, SHUT_WR), 0);
		f.http->stream_close(f.stream);
		assert_true(testhost_advance(e.t, 3 * HTTP_SEC) >= 0);
		for (unsigned i = 0; i < 20; i++)
			env_turn(&e, 1);
		assert_int_equal(e.http->n_streams, 1);
		assert_true(testhost_advance(e.t, 4 * HTTP_SEC) >= 0);
		for (unsigned i = 0; i < 2000 && e.http->n_conns; i++)
			env_turn(&e, 1);
		assert_int_equal(e.http->n_conns, 0);
		assert_int_equal(e.http->n_streams, 0);
		assert_true(testhost_near(testhost_metric(e.t, "linnix_http_timeouts_total", ""), 1,
					  0));
		client_free(c);
		c = client_new(&e, client_tcp(&e, HTTP_KIND_TCP, 0));
		client_send(c, feed_get, sizeof(feed_get) - 1);
		assert_int_equal(wait_for(c, "text/event-stream"), 0);
		client_free(c);
		env_done(&e);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_arrives_at_once),
		cmocka_unit_test(the_writer_may_end_it),
		cmocka_unit_test(large_writes_pass_when_nothing_waits),
		cmocka_unit_test(a_full_buffer_is_told_and_a_free_one_too),
		cmocka_unit_test(the_writer_is_asked_when_there_is_room),
		cmocka_unit_test(more_streams_than_allowed_are_refused),
		cmocka_unit_test(head_of_a_stream_is_its_headers),
		cmocka_unit_test(the_end_of_one_reader_is_not_that_of_the_others),
		cmocka_unit_test(readers_who_never_read_hurt_nobody),
		cmocka_unit_test(an_ended_stream_is_cut_when_nobody_takes_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
