/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A request that is answered before all of it has come (refused by us, or by libmicrohttpd for its size): when the connection closes while bytes are under way, the kernel
 * answers them with a reset, and that may destroy the answer before the client has read it. So a duplicate of the
 * descriptor stays open for a moment and swallows what still comes. */
#include "http.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define HTTP_MAX_LINGER	  64 /* at the same time; those that do not fit close at once */
#define HTTP_LINGER_NS	  (2 * HTTP_SEC)
#define HTTP_LINGER_BYTES (1u << 20)

struct http_linger {
	struct http_linger *prev, *next;
	struct http *http;
	struct lnx_fd *watch;
	uint64_t end_ns;
	size_t bytes;
	int fd;
};

static void http_linger_free(struct http_linger *l)
{
	struct http *s = l->http;

	if (l->prev)
		l->prev->next = l->next;
	else
		s->lingers = l->next;
	if (l->next)
		l->next->prev = l->prev;
	s->n_lingers--;
	if (l->watch)
		s->host->fd_del(s->ctx, l->watch);
	(void)close(l->fd); /* nothing was written to it */
	free(l);
}

static void http_linger_on_readable(void *arg, int fd, uint32_t bits)
{
	struct http_linger *l = arg;
	char text[16384];
	ssize_t n;

	(void)bits;
	n = recv(fd, text, sizeof(text), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	l->bytes += n > 0 ? (size_t)n : 0;
	if (n <= 0 || l->bytes > HTTP_LINGER_BYTES)
		http_linger_free(l);
}

void http_linger_add(struct http *s, int conn_fd)
{
	struct http_linger *l;
	char c;
	int fd;

	/* 0: the client has ended, nothing more comes */
	if (s->n_lingers >= HTTP_MAX_LINGER || recv(conn_fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		return;
	l = calloc(1, sizeof(*l));
	fd = l ? fcntl(conn_fd, F_DUPFD_CLOEXEC, 3) : -1;
	if (fd < 0) {
		free(l);
		return; /* it closes at once */
	}
	l->http = s;
	l->fd = fd;
	l->end_ns = s->host->now_ns(s->ctx) + HTTP_LINGER_NS;
	l->next = s->lingers;
	if (l->next)
		l->next->prev = l;
	s->lingers = l;
	s->n_lingers++;
	if (s->host->fd_add(s->ctx, fd, LNX_FD_READ, http_linger_on_readable, l, &l->watch) < 0)
		http_linger_free(l);
}

/* Those whose time is over; UINT64_MAX: all. */
void http_linger_sweep(struct http *s, uint64_t now_ns)
{
	struct http_linger *l, *next;

	for (l = s->lingers; l; l = next) {
		next = l->next;
		if (now_ns >= l->end_ns)
			http_linger_free(l);
	}
}
