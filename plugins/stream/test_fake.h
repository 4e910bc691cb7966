/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* For the tests of this plugin: a small http/1 in place of the real one, and events in a fake host. */
#ifndef STREAM_TEST_FAKE_H
#define STREAM_TEST_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "stream.h"
#include "testhost.h"
#include <cmocka.h>
#include <errno.h>
#include <linnix/ev_proc.h>
#include <linnix/svc_http.h>
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
	const char *type, *ns, *last_id, *run;
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

static inline int fake_route(void *self, const struct lnx_http_route *r, void *arg)
{
	struct fake *f = self;

	f->route = r;
	f->route_arg = arg;
	return 0;
}

static inline const char *fake_param(struct lnx_http_req *req, const char *name)
{
	return !strcmp(name, "type")	    ? req->type
	       : !strcmp(name, "namespace") ? req->ns
	       : !strcmp(name, "run")	    ? req->run
					    : NULL;
}

static inline const char *fake_header(struct lnx_http_req *req, const char *name)
{
	return strcmp(name, "Last-Event-ID") ? NULL : req->last_id;
}

static inline int fake_set_header(struct lnx_http_req *req, const char *name, const char *value)
{
	assert_string_equal(name, "X-Linnix-Degraded");
	(void)snprintf(req->degraded, sizeof(req->degraded), "%s", value);
	return 0;
}

__attribute__((format(printf, 4, 5))) static inline int fake_error(struct lnx_http_req *req,
								   uint32_t status,
								   const char *code,
								   const char *fmt, ...)
{
	va_list ap;

	(void)code;
	va_start(ap, fmt);
	(void)vsnprintf(req->message, sizeof(req->message), fmt, ap);
	va_end(ap);
	req->status = status;
	return -EBADMSG;
}

static inline int fake_stream(struct lnx_http_req *req, void (*closed)(void *arg),
			      void (*writable)(void *arg), void *arg,
			      struct lnx_http_stream **ret_stream)
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

static inline int fake_write(struct lnx_http_stream *st, const void *bytes, uint32_t n)
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

static inline void fake_close(struct lnx_http_stream *st)
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

static inline void begin(struct fake *f, const char *conf)
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

static inline void end(struct fake *f)
{
	unsigned i;

	testhost_free(f->t);
	for (i = 0; i < f->n_streams; i++) {
		assert_int_equal(f->streams[i]->n_closed, 1);
		free(f->streams[i]->text);
		free(f->streams[i]);
	}
}

static inline struct lnx_http_req ask(struct fake *f, const char *type, const char *ns,
				      const char *last_id)
{
	struct lnx_http_req req = { .type = type, .ns = ns, .last_id = last_id, .fake = f };

	f->route->handle(f->route_arg, &req);
	return req;
}

static inline struct lnx_http_stream *reader(struct fake *f, const char *type, const char *last_id)
{
	struct lnx_http_req req = ask(f, type, NULL, last_id);

	assert_int_equal(req.status, 200);
	return req.stream;
}

/* One that comes back, with the run that it knows. */
static inline struct lnx_http_stream *reader_of(struct fake *f, const char *last_id,
						const char *run)
{
	struct lnx_http_req req = { .last_id = last_id, .run = run, .fake = f };

	f->route->handle(f->route_arg, &req);
	assert_int_equal(req.status, 200);
	return req.stream;
}

static inline void fork_cg(struct fake *f, uint32_t pid, uint64_t cgroup_id)
{
	struct lnx_ev_proc_fork e = { .h = { sizeof(e), LNX_EV_PROC_FORK, sizeof(e), 0, pid, 0 } };

	e.child_pid = pid;
	e.cgroup_id = cgroup_id;
	(void)testhost_deliver(f->t, &e.h); /* kept in the ring also when nobody subscribes */
}

static inline void exit_of(struct fake *f, uint32_t pid)
{
	struct lnx_ev_proc_exit e = { .h = { sizeof(e), LNX_EV_PROC_EXIT, sizeof(e), 0, pid, 0 } };

	(void)testhost_deliver(f->t, &e.h);
}

static inline void turn(struct fake *f)
{
	int i;

	for (i = 0; i < 20; i++)
		assert_true(testhost_advance(f->t, 1000) >= 0);
}

static inline unsigned count(const struct lnx_http_stream *st, const char *text)
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
static inline const char *ids(const struct lnx_http_stream *st)
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
static inline void drain(struct lnx_http_stream *st, size_t bytes)
{
	st->n = 0;
	st->text[0] = 0;
	st->room = bytes ? bytes : READER_BYTES - 1;
	st->writable(st->arg);
}

#endif
