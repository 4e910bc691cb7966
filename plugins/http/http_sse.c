/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Open event streams. The connection of a reader who has taken everything is suspended in libmicrohttpd, and watched
 * here for its end; what is written waits in a small buffer, the rest is the business of who writes. */
#include "http_req.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HTTP_SSE_BLOCK 4096 /* of libmicrohttpd, for answers that are not chunked */
#define HTTP_SSE_CHUNK \
	8192 /* bytes at a time: each connection has a buffer of the largest it ever sent */

static void http_stream_wake(struct lnx_http_stream *st)
{
	if (!st->is_suspended)
		return;
	st->is_suspended = false;
	MHD_resume_connection(st->conn->mhd);
	http_listener_wake(st->conn->listener);
}

/* Takes what libmicrohttpd asks for; asks the writer for more when there is nothing left. */
static ssize_t http_stream_read(void *arg, uint64_t pos, char *buf, size_t max)
{
	struct lnx_http_stream *st = arg;
	uint32_t n;

	(void)pos;
	if (!st->n && !st->is_ended && st->writable) {
		st->is_reading = true;
		st->writable(st->arg);
		st->is_reading = false;
	}
	if (st->n) {
		n = max < HTTP_SSE_CHUNK ? (uint32_t)max : HTTP_SSE_CHUNK;
		n = st->n < n ? st->n : n;
		memcpy(buf, st->data + st->head, n);
		st->head += n;
		st->n -= n;
		if (!st->n) { /* most readers wait most of the time: they hold no memory */
			free(st->data);
			st->data = NULL;
			st->head = 0;
		}
		return n;
	}
	if (st->is_ended)
		return MHD_CONTENT_READER_END_OF_STREAM;
	st->is_suspended = true;
	MHD_suspend_connection(st->conn->mhd);
	return 0;
}

/* Its reader has as long for what is still under way as for any answer: who never read would keep the connection for good. */
static void http_stream_end(struct lnx_http_stream *st)
{
	struct http *s = st->http;

	if (!st->is_ended)
		st->conn->deadline_ns = s->host->now_ns(s->ctx) + s->conf->answer_timeout;
	st->is_ended = true;
	if (!st->is_reading)
		http_stream_wake(st);
}

/* A suspended connection is in no epoll set: its end is seen here. Who half-closes is gone, too. */
static void http_stream_on_readable(void *arg, int fd, uint32_t bits)
{
	struct lnx_http_stream *st = arg;
	struct http *s = st->http;
	ssize_t n;
	char c;

	(void)bits;
	n = recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) { /* a reader has nothing to say: not looked at again */
		(void)s->host->fd_set(s->ctx, st->watch, 0);
		return;
	}
	(void)s->host->fd_set(s->ctx, st->watch, 0);
	http_stream_end(st);
}

static void http_stream_unlink(struct lnx_http_stream *st)
{
	struct http *s = st->http;

	if (st->prev)
		st->prev->next = st->next;
	else
		s->streams = st->next;
	if (st->next)
		st->next->prev = st->prev;
	if (--s->n_streams == 0)
		(void)malloc_trim(
			0); /* what a thousand readers needed goes back; says only if any did */
	s->host->metric_set(s->ctx, s->m_streams, s->n_streams);
}

static void http_stream_tell_closed(struct lnx_http_stream *st)
{
	void (*closed)(void *arg) = st->closed;

	st->closed = NULL;
	st->writable = NULL;
	if (closed)
		closed(st->arg);
}

/* The connection is over: libmicrohttpd will not read again. */
void http_stream_gone(struct lnx_http_stream *st)
{
	struct http *s = st->http;

	st->is_suspended = false;
	st->is_ended = true;
	if (st->watch)
		s->host->fd_del(s->ctx, st->watch);
	http_stream_tell_closed(st);
	http_stream_unlink(st);
	free(st->data);
	free(st);
}

int http_stream_open(struct lnx_http_req *req, void (*closed)(void *arg),
		     void (*writable)(void *arg), void *arg, struct lnx_http_stream **ret_stream)
{
	struct http *s = req->http;
	struct lnx_http_stream *st;

	if (req->answer)
		return -EALREADY;
	if (s->n_streams >= s->conf->max_streams) {
		s->host->metric_add(s->ctx, s->m_refused_conns, 1);
		(void)http_set_header(req, MHD_HTTP_HEADER_RETRY_AFTER, "10");
		(void)http_error(req, 503, "too_many_streams", "%u streams are open already",
				 s->n_streams);
		return -ENOBUFS;
	}
	st = calloc(1, sizeof(*st));
	if (st)
		req->answer = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, HTTP_SSE_BLOCK,
								http_stream_read, st, NULL);
	if (!st || !req->answer) {
		free(st);
		(void)http_error(req, 503, "overloaded", "no memory for a stream");
		return -ENOBUFS;
	}
	st->http = s;
	st->conn = req->conn;
	st->closed = closed;
	st->writable = writable;
	st->arg = arg;
	st->next = s->streams;
	if (st->next)
		st->next->prev = st;
	s->streams = st;
	s->n_streams++;
	s->host->metric_set(s->ctx, s->m_streams, s->n_streams);
	req->stream = st;
	req->status = 200;
	http_answer_headers(req, req->answer, "text/event-stream");
	(void)MHD_add_response_header(req->answer, "X-Accel-Buffering", "no"); /* as above */
	/* Without it, a reader's end is noticed at the next write. */
	(void)s->host->fd_add(s->ctx, st->conn->fd, LNX_FD_READ, http_stream_on_readable, st,
			      &st->watch);
	*ret_stream = st;
	return 0;
}

int http_stream_write(struct lnx_http_stream *st, const void *bytes, uint32_t n)
{
	if (st->is_ended)
		return -EPIPE;
	if (n > HTTP_STREAM_LARGEST)
		return -E2BIG;
	if (!st->data) {
		st->cap = n > HTTP_STREAM_BUFFER ? n : HTTP_STREAM_BUFFER;
		st->data = malloc(st->cap);
		if (!st->data)
			return -ENOMEM;
	}
	if (n > st->cap - st->n)
		return -ENOBUFS;
	if (st->head + st->n + n > st->cap) {
		memmove(st->data, st->data + st->head, st->n);
		st->head = 0;
	}
	memcpy(st->data + st->head + st->n, bytes, n);
	st->n += n;
	if (!st->is_reading)
		http_stream_wake(st);
	return 0;
}

void http_stream_close(struct lnx_http_stream *st)
{
	if (st->is_ended && !st->closed)
		return;
	http_stream_end(st);
	http_stream_tell_closed(st);
}

void http_stream_close_all(struct http *s)
{
	struct lnx_http_stream *st;

	for (st = s->streams; st; st = st->next)
		http_stream_close(st);
}
