/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Readers against a small http/1: what they get, what they are told when they are slow, what they make the agent
 * subscribe to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "stream.h"
#include "testhost.h"
#include <cmocka.h>
#include <errno.h>
#include <linnix/ev_proc.h>
#include <linnix/svc_http.h>
#include <linnix/svc_workload.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEC	     1000000000ull
#define READER_BYTES (1 << 22)
#define MAX_READERS  256

struct lnx_http_stream {
	void (*closed)(void *arg);
	void (*writable)(void *arg);
	void *arg;
	size_t n, room; /* room: bytes that it still takes */
	unsigned n_closed;
	char *text;
};

struct lnx_http_req {
	const char *type, *ns, *last_id;
	struct fake *fake;
	struct lnx_http_stream *stream;
	uint32_t status;
	char message[128], degraded[128];
};

struct fake {
	struct testhost *t;
	const struct lnx_http_route *route;
	void *route_arg;
	struct lnx_http_stream *streams[MAX_READERS];
	unsigned n_streams;
	int stream_rc;
};

static int fake_route(void *self, const struct lnx_http_route *r, void *arg)
{
	struct fake *f = self;

	f->route = r;
	f->route_arg = arg;
	return 0;
}

static const char *fake_param(struct lnx_http_req *req, const char *name)
{
	return !strcmp(name, "type") ? req->type : !strcmp(name, "namespace") ? req->ns : NULL;
}

static const char *fake_header(struct lnx_http_req *req, const char *name)
{
	return strcmp(name, "Last-Event-ID") ? NULL : req->last_id;
}

static int fake_set_header(struct lnx_http_req *req, const char *name, const char *value)
{
	assert_string_equal(name, "X-Linnix-Degraded");
	(void)snprintf(req->degraded, sizeof(req->degraded), "%s", value);
	return 0;
}

static int fake_error(struct lnx_http_req *req, uint32_t status, const char *code, const char *fmt,
		      ...)
{
	va_list ap;

	(void)code;
	va_start(ap, fmt);
	(void)vsnprintf(req->message, sizeof(req->message), fmt, ap);
	va_end(ap);
	req->status = status;
	return -EBADMSG;
}

static int fake_stream(struct lnx_http_req *req, void (*closed)(void *arg),
		       void (*writable)(void *arg), void *arg, struct lnx_http_stream **ret_stream)
{
	struct fake *f = req->fake;
	struct lnx_http_stream *st;

	if (f->stream_rc) {
		req->status = 503;
		return f->stream_rc;
	}
	st = calloc(1, sizeof(*st));
	assert_non_null(st);
	assert_true(f->n_streams < MAX_READERS);
	st->text = malloc(READER_BYTES);
	assert_non_null(st->text);
	st->text[0] = 0;
	st->room = READER_BYTES - 1;
	st->closed = closed;
	st->writable = writable;
	st->arg = arg;
	f->streams[f->n_streams++] = st;
	*ret_stream = req->stream = st;
	req->status = 200;
	return 0;
}

static int fake_write(struct lnx_http_stream *st, const void *bytes, uint32_t n)
{
	assert_int_equal(st->n_closed, 0);
	if (n > st->room)
		return -ENOBUFS;
	memcpy(st->text + st->n, bytes, n);
	st->n += n;
	st->room -= n;
	st->text[st->n] = 0;
	return 0;
}

static void fake_close(struct lnx_http_stream *st)
{
	assert_int_equal(st->n_closed++, 0);
	st->closed(st->arg);
}

static const struct lnx_svc_http fake_http = {
	.size = sizeof(fake_http),
	.route = fake_route,
	.param = fake_param,
	.header = fake_header,
	.set_header = fake_set_header,
	.error = fake_error,
	.stream = fake_stream,
	.stream_write = fake_write,
	.stream_close = fake_close,
};

static int fake_workload(void *self, uint64_t cgroup_id, struct lnx_workload *w)
{
	(void)self;
	if (cgroup_id != 77)
		return -ENOENT;
	w->namespace_ = "prod";
	return 0;
}

static const struct lnx_svc_workload fake_workloads = {
	.size = sizeof(fake_workloads),
	.get = fake_workload,
};

static void begin(struct fake *f, const char *conf)
{
	memset(f, 0, sizeof(*f));
	f->t = testhost_new();
	assert_non_null(f->t);
	if (conf)
		assert_int_equal(testhost_conf(f->t, conf), 0);
	assert_int_equal(testhost_provide(f->t, "http/1", &fake_http, f), 0);
	if (testhost_load(f->t, linnix_plugin_v1()) != 0)
		fail_msg("load: %s", testhost_error(f->t));
	assert_string_equal(f->route->path, "/stream");
}

static void end(struct fake *f)
{
	unsigned i;

	testhost_free(f->t);
	for (i = 0; i < f->n_streams; i++) {
		assert_int_equal(f->streams[i]->n_closed, 1);
		free(f->streams[i]->text);
		free(f->streams[i]);
	}
}

static struct lnx_http_req ask(struct fake *f, const char *type, const char *ns,
			       const char *last_id)
{
	struct lnx_http_req req = { .type = type, .ns = ns, .last_id = last_id, .fake = f };

	f->route->handle(f->route_arg, &req);
	return req;
}

static struct lnx_http_stream *reader(struct fake *f, const char *type, const char *last_id)
{
	struct lnx_http_req req = ask(f, type, NULL, last_id);

	assert_int_equal(req.status, 200);
	return req.stream;
}

static void fork_cg(struct fake *f, uint32_t pid, uint64_t cgroup_id)
{
	struct lnx_ev_proc_fork e = { .h = { sizeof(e), LNX_EV_PROC_FORK, sizeof(e), 0, pid, 0 } };

	e.child_pid = pid;
	e.cgroup_id = cgroup_id;
	(void)testhost_deliver(f->t, &e.h); /* kept in the ring also when nobody subscribes */
}

static void exit_of(struct fake *f, uint32_t pid)
{
	struct lnx_ev_proc_exit e = { .h = { sizeof(e), LNX_EV_PROC_EXIT, sizeof(e), 0, pid, 0 } };

	(void)testhost_deliver(f->t, &e.h);
}

static void turn(struct fake *f)
{
	int i;

	for (i = 0; i < 20; i++)
		assert_true(testhost_advance(f->t, 1000) >= 0);
}

static unsigned count(const struct lnx_http_stream *st, const char *text)
{
	const char *p = st->text;
	unsigned n = 0;

	while ((p = strstr(p, text))) {
		p += strlen(text);
		n++;
	}
	return n;
}

/* The ids of the frames, "1 2 3". */
static const char *ids(const struct lnx_http_stream *st)
{
	static char out[512];
	const char *p = st->text;
	size_t n = 0;

	out[0] = 0;
	while ((p = strstr(p, "id: ")) && n < sizeof(out) - 24) {
		p += 4;
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%ld", n ? " " : "",
				      strtol(p, NULL, 10));
	}
	return out;
}

/* Let a blocked reader take <bytes>, or all. */
static void drain(struct lnx_http_stream *st, size_t bytes)
{
	st->n = 0;
	st->text[0] = 0;
	st->room = bytes ? bytes : READER_BYTES - 1;
	st->writable(st->arg);
}

static void hello_comes_first_then_events_in_order(void **state)
{
	struct lnx_http_stream *st;
	struct fake f;

	(void)state;
	begin(&f, NULL);
	fork_cg(&f, 1, 0); /* seq 1: before anybody listened */
	st = reader(&f, NULL, NULL);
	assert_int_equal(strncmp(st->text, "id: 1\nevent: hello\ndata: {\"node\":\"", 34), 0);
	assert_non_null(strstr(st->text, "\"cluster\":\""));
	assert_non_null(strstr(st->text, "\"boot_id\":\""));
	assert_non_null(strstr(st->text, "\"schema\":1,\"version\":\""));
	assert_non_null(strstr(st->text, "\"seq\":1}\n\n"));
	fork_cg(&f, 2, 0);
	exit_of(&f, 2);
	fork_cg(&f, 3, 0);
	turn(&f);
	assert_string_equal(ids(st), "1 2 3 4");
	assert_int_equal(count(st, "event: proc.fork\ndata: {\"seq\":2,"), 1);
	assert_int_equal(count(st, "event: proc.exit\ndata: {\"seq\":3,"), 1);
	assert_int_equal(count(st, "}\n\n"), 4);
	assert_float_equal(testhost_metric(f.t, "linnix_sse_clients", ""), 1, 0);
	fake_close(st);
	assert_float_equal(testhost_metric(f.t, "linnix_sse_clients", ""), 0, 0);
	assert_int_equal(testhost_timers(f.t), 0);
	end(&f);
}

/* No reader, no overhead: the subscription lasts from the first to the last one who wants the type. */
static void types_are_subscribed_while_somebody_reads_them(void **state)
{
	const struct lnx_host *h;
	struct lnx_http_stream *a, *b, *c;
	struct fake f;

	(void)state;
	begin(&f, NULL);
	h = testhost_host(f.t);
#define WANTED(ev) h->wanted(testhost_ctx(f.t), ev)
	assert_int_equal(WANTED("proc.fork"), 0);
	a = reader(&f, "proc.fork", NULL);
	b = reader(&f, "proc.fork,proc.exit", NULL);
	assert_int_equal(WANTED("proc.fork"), 1);
	assert_int_equal(WANTED("proc.exit"), 1);
	assert_int_equal(WANTED("proc.exec"), 0);
	fake_close(a);
	assert_int_equal(WANTED("proc.fork"), 1);
	fake_close(b);
	assert_int_equal(WANTED("proc.fork"), 0);
	assert_int_equal(WANTED("proc.exit"), 0);
	c = reader(&f, NULL, NULL);
	assert_true(WANTED("proc.exec") > 0);
	fake_close(c);
	assert_int_equal(WANTED("proc.exec"), 0);
	end(&f);
}

static void readers_get_the_types_they_asked_for(void **state)
{
	struct lnx_http_stream *a, *b, *all;
	struct fake f;

	(void)state;
	begin(&f, NULL);
	a = reader(&f, "proc.fork", NULL);
	b = reader(&f, "proc.exit,proc.exec", NULL);
	all = reader(&f, NULL, NULL);
	fork_cg(&f, 1, 0);
	exit_of(&f, 1);
	turn(&f);
	assert_string_equal(ids(a), "0 1");
	assert_string_equal(ids(b), "0 2");
	assert_string_equal(ids(all), "0 1 2");
	/* rendered once, not once a reader */
	assert_float_equal(testhost_metric(f.t, "linnix_sse_events_total", ""), 2, 0);
	fake_close(a);
	fake_close(b);
	fake_close(all);
	end(&f);
}

static void bad_requests_are_named(void **state)
{
	char many[1024] = "";
	struct lnx_http_req r;
	struct fake f;
	unsigned i;

	(void)state;
	begin(&f, NULL);
	r = ask(&f, "proc.fork,proc.frk", NULL, NULL);
	assert_int_equal(r.status, 400);
	assert_non_null(strstr(r.message, "'proc.frk'"));
	r = ask(&f, "", NULL, NULL);
	assert_int_equal(r.status, 400);
	r = ask(&f, NULL, "", NULL);
	assert_int_equal(r.status, 400);
	r = ask(&f, NULL, NULL, "12x");
	assert_int_equal(r.status, 400);
	assert_non_null(strstr(r.message, "Last-Event-ID"));
	for (i = 0; i < 40; i++)
		(void)strncat(many, "proc.fork,", sizeof(many) - strlen(many) - 1);
	r = ask(&f, many, NULL, NULL);
	assert_int_equal(r.status, 400);
	assert_int_equal(testhost_host(f.t)->wanted(testhost_ctx(f.t), "proc.fork"), 0);
	assert_float_equal(testhost_metric(f.t, "linnix_sse_clients", ""), 0, 0);
	f.stream_rc = -ENOBUFS;
	r = ask(&f, NULL, NULL, NULL);
	assert_int_equal(r.status, 503);
	assert_int_equal(testhost_host(f.t)->wanted(testhost_ctx(f.t), "proc.fork"), 0);
	end(&f);
}

static void a_namespace_is_that_of_the_cgroup(void **state)
{
	struct lnx_http_req r;
	struct fake f;

	(void)state;
	begin(&f, NULL);
	r = ask(&f, "proc.fork", "prod", NULL);
	assert_non_null(strstr(r.degraded, "no plugin workload"));
	assert_int_equal(testhost_provide(f.t, "workload/1", &fake_workloads, NULL), 0);
	fork_cg(&f, 1, 77);
	fork_cg(&f, 2, 78);
	fork_cg(&f, 3, 0);
	fork_cg(&f, 4, 77);
	turn(&f);
	assert_string_equal(ids(r.stream), "0 1 4");
	fake_close(r.stream);
	r = ask(&f, "proc.fork", "prod", "0");
	turn(&f);
	assert_string_equal(ids(r.stream), "0 1 4");
	assert_string_equal(r.degraded, "");
	fake_close(r.stream);
	end(&f);
}

static void last_event_id_resumes_from_the_ring(void **state)
{
	struct lnx_http_stream *a, *b;
	struct fake f;
	unsigned i;

	(void)state;
	begin(&f, NULL);
	for (i = 1; i <= 5; i++)
		fork_cg(&f, i, 0);
	exit_of(&f, 5);
	a = reader(&f, "proc.fork", "3");
	fork_cg(&f, 7, 0);
	turn(&f);
	assert_string_equal(ids(a), "3 4 5 7");
	fork_cg(&f, 8, 0);
	turn(&f);
	assert_string_equal(ids(a), "3 4 5 7 8");
	/* from an earlier run of the agent: all of this one is new */
	b = reader(&f, NULL, "1000000");
	turn(&f);
	assert_string_equal(ids(b), "0 1 2 3 4 5 6 7 8");
	assert_int_equal(count(a, "lagged") + count(b, "lagged"), 0);
	fake_close(a);
	fake_close(b);
	end(&f);
}

static void resuming_behind_the_ring_tells_the_gap(void **state)
{
	struct lnx_http_stream *a;
	unsigned i, n;
	struct fake f;

	(void)state;
	begin(&f, NULL);
	testhost_ring_limit(f.t, 4096);
	for (i = 1; i <= 1000; i++)
		fork_cg(&f, i, 0);
	a = reader(&f, NULL, "10");
	turn(&f);
	assert_int_equal(count(a, "event: lagged\n"), 1);
	n = count(a, "event: proc.fork");
	assert_true(n > 5 && n < 500);
	assert_int_equal(strtoul(strstr(a->text, "\"missed\":") + 9, NULL, 10), 1000 - 10 - n);
	/* the gap is told before what follows it */
	assert_true(strstr(a->text, "lagged") < strstr(a->text, "proc.fork"));
	fake_close(a);
	end(&f);
}

/* A resuming reader who takes little at a time still gets each event once. */
static void resuming_slowly_loses_nothing(void **state)
{
	struct lnx_http_stream *a;
	unsigned i, n = 0;
	struct fake f;

	(void)state;
	begin(&f, NULL);
	for (i = 1; i <= 2000; i++)
		fork_cg(&f, i, 0);
	a = reader(&f, NULL, "0");
	drain(a, 3000);
	for (i = 0; i < 3000 && n < 2000; i++) {
		turn(&f);
		n += count(a, "event: proc.fork");
		drain(a, 3000);
	}
	n += count(a, "event: proc.fork");
	assert_int_equal(n, 2000);
	assert_float_equal(testhost_metric(f.t, "linnix_sse_lagged_total", ""), 0, 0);
	fork_cg(&f, 5000, 0);
	drain(a, 0);
	turn(&f);
	assert_non_null(strstr(a->text, "\"child_pid\":5000"));
	fake_close(a);
	end(&f);
}

static void a_slow_reader_is_told_exactly_how_much_it_missed(void **state)
{
	struct lnx_http_stream *slow, *fast;
	unsigned i, got, missed;
	struct fake f;
	char *p;

	(void)state;
	begin(&f, "buffer=128KiB");
	slow = reader(&f, "proc.fork", NULL);
	fast = reader(&f, NULL, NULL);
	slow->room = 1000;
	for (i = 1; i <= 3000; i++) {
		fork_cg(&f, i, 0);
		exit_of(&f, i);
		if (i % 50 == 0)
			turn(&f);
	}
	turn(&f);
	assert_int_equal(count(fast, "event: proc."), 6000);
	assert_int_equal(count(fast, "lagged"), 0);
	got = count(slow, "event: proc.fork");
	assert_true(got >= 1 && got < 10);
	drain(slow, 0);
	assert_int_equal(strncmp(slow->text, "event: lagged\ndata: {\"missed\":", 30), 0);
	missed = (unsigned)strtoul(slow->text + 30, &p, 10);
	got += count(slow, "event: proc.fork");
	assert_int_equal(got + missed, 3000);
	assert_int_equal(count(slow, "proc.exit"), 0);
	assert_float_equal(testhost_metric(f.t, "linnix_sse_lagged_total", ""), missed, 0);
	fork_cg(&f, 9999, 0);
	turn(&f);
	assert_non_null(strstr(slow->text, "\"child_pid\":9999"));
	assert_int_equal(count(slow, "lagged"), 1);
	fake_close(slow);
	fake_close(fast);
	end(&f);
}

/* What the core's ring lost between two turns is told, too. */
static void a_gap_of_the_core_is_told(void **state)
{
	struct lnx_http_stream *st;
	unsigned i, n;
	struct fake f;

	(void)state;
	begin(&f, NULL);
	st = reader(&f, NULL, NULL);
	testhost_ring_limit(f.t, 4096);
	for (i = 1; i <= 1000; i++)
		fork_cg(&f, i, 0);
	turn(&f);
	n = count(st, "event: proc.fork");
	assert_int_equal(count(st, "event: lagged\n"), 1);
	assert_int_equal(strtoul(strstr(st->text, "\"missed\":") + 9, NULL, 10), 1000 - n);
	fake_close(st);
	end(&f);
}

static void a_quiet_stream_has_a_heartbeat(void **state)
{
	struct lnx_http_stream *st;
	struct fake f;

	(void)state;
	begin(&f, NULL);
	st = reader(&f, "alert", NULL);
	assert_true(testhost_advance(f.t, 14 * SEC) >= 0);
	assert_int_equal(count(st, ": heartbeat\n\n"), 0);
	assert_true(testhost_advance(f.t, 1 * SEC + 1) >= 0);
	assert_int_equal(count(st, ": heartbeat\n\n"), 1);
	assert_true(testhost_advance(f.t, 30 * SEC) >= 0);
	assert_int_equal(count(st, ": heartbeat\n\n"), 3);
	fake_close(st);
	end(&f);
}

static void a_reader_that_takes_nothing_is_let_go(void **state)
{
	struct lnx_http_stream *st;
	struct fake f;
	unsigned i;

	(void)state;
	begin(&f, "stall_timeout=1m");
	st = reader(&f, NULL, NULL);
	st->room = 0;
	fork_cg(&f, 1, 0);
	turn(&f);
	for (i = 0; i < 4; i++)
		assert_true(testhost_advance(f.t, 15 * SEC) >= 0);
	assert_int_equal(st->n_closed, 0);
	assert_true(testhost_advance(f.t, 30 * SEC) >= 0);
	assert_int_equal(st->n_closed, 1);
	assert_float_equal(testhost_metric(f.t, "linnix_sse_clients", ""), 0, 0);
	end(&f);
}

/* 200 who never read cost the shared block and nothing else; the one who reads gets all. */
static void readers_who_never_read_do_not_hurt_the_others(void **state)
{
	struct lnx_http_stream *good;
	struct stream *s;
	struct fake f;
	unsigned i;

	(void)state;
	begin(&f, "buffer=128KiB");
	for (i = 0; i < 200; i++)
		reader(&f, NULL, NULL)->room = 0;
	good = reader(&f, NULL, NULL);
	s = testhost_state(f.t);
	for (i = 1; i <= 5000; i++) {
		fork_cg(&f, i, 0);
		if (i % 100 == 0)
			turn(&f);
	}
	turn(&f);
	assert_int_equal(count(good, "event: proc.fork"), 5000);
	assert_int_equal(count(good, "lagged"), 0);
	assert_int_equal(s->frames.cap, 131072);
	assert_true(s->frames.head - s->frames.tail <= s->frames.cap);
	assert_true(testhost_metric(f.t, "linnix_sse_lagged_total", "") > 200 * 4000);
	while (f.n_streams && testhost_metric(f.t, "linnix_sse_clients", "") > 0) {
		for (i = 0; i < f.n_streams; i++)
			if (!f.streams[i]->n_closed)
				fake_close(f.streams[i]);
	}
	assert_null(s->frames.data);
	end(&f);
}

static void a_burst_is_shared_out_over_turns(void **state)
{
	struct lnx_http_stream *st;
	struct fake f;
	unsigned i;

	(void)state;
	begin(&f, NULL);
	st = reader(&f, NULL, NULL);
	turn(&f);
	for (i = 1; i <= 2 * STREAM_RENDER_TURN; i++)
		fork_cg(&f, i, 0);
	assert_int_equal(testhost_advance(f.t, 0) >= 0, 1);
	turn(&f);
	assert_int_equal(count(st, "event: proc.fork"), 2 * STREAM_RENDER_TURN);
	fake_close(st);
	end(&f);
}

static void stopping_ends_all_streams(void **state)
{
	struct lnx_http_stream *a, *b;
	struct fake f;

	(void)state;
	begin(&f, NULL);
	a = reader(&f, NULL, NULL);
	b = reader(&f, "alert", NULL);
	testhost_unload(f.t);
	assert_int_equal(a->n_closed + b->n_closed, 2);
	end(&f);
}

static void every_failure_of_the_host_unwinds(void **state)
{
	static const struct {
		const char *function;
		unsigned skips;
	} cases[] = { { "metric", 0 }, { "metric", 2 }, { "timer_add", 0 }, { "timer_add", 1 } };
	struct lnx_http_req r;
	struct fake f;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(&f, 0, sizeof(f));
		f.t = testhost_new();
		assert_int_equal(testhost_provide(f.t, "http/1", &fake_http, &f), 0);
		testhost_fail(f.t, cases[i].function, -ENOSPC, cases[i].skips, 1);
		assert_int_equal(testhost_load(f.t, linnix_plugin_v1()), -ENOSPC);
		testhost_free(f.t);
	}
	begin(&f, NULL);
	testhost_fail(f.t, "subscribe", -ENOSPC, 1, 1);
	r = ask(&f, "proc.fork,proc.exit", NULL, NULL);
	assert_int_equal(r.status, 503);
	assert_int_equal(testhost_host(f.t)->wanted(testhost_ctx(f.t), "proc.fork"), 0);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hello_comes_first_then_events_in_order),
		cmocka_unit_test(types_are_subscribed_while_somebody_reads_them),
		cmocka_unit_test(readers_get_the_types_they_asked_for),
		cmocka_unit_test(bad_requests_are_named),
		cmocka_unit_test(a_namespace_is_that_of_the_cgroup),
		cmocka_unit_test(last_event_id_resumes_from_the_ring),
		cmocka_unit_test(resuming_behind_the_ring_tells_the_gap),
		cmocka_unit_test(resuming_slowly_loses_nothing),
		cmocka_unit_test(a_slow_reader_is_told_exactly_how_much_it_missed),
		cmocka_unit_test(a_gap_of_the_core_is_told),
		cmocka_unit_test(a_quiet_stream_has_a_heartbeat),
		cmocka_unit_test(a_reader_that_takes_nothing_is_let_go),
		cmocka_unit_test(readers_who_never_read_do_not_hurt_the_others),
		cmocka_unit_test(a_burst_is_shared_out_over_turns),
		cmocka_unit_test(stopping_ends_all_streams),
		cmocka_unit_test(every_failure_of_the_host_unwinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
