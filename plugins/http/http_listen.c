/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Listening sockets, one libmicrohttpd daemon each, and how those run on the loop. Deadlines of connections, too. */
#include "http.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define HTTP_BACKLOG	 256
#define HTTP_NOTSENT	 32768 /* bytes a connection may hold unsent in the kernel */
#define HTTP_UNIX_SNDBUF 65536
#define HTTP_POOL_SLACK \
	20480 /* memory of a connection beyond the headers; over 32 KiB in all it is mapped, and goes back */
#define HTTP_SPARE_FDS 128 /* for the rest of the agent */

static const char *const http_kind_names[] = { "listen", "socket", "ops_listen" };

__attribute__((format(printf, 2, 0))) static void http_mhd_log(void *arg, const char *fmt,
							       va_list ap)
{
	struct http_listener *l = arg;
	char text[256];
	size_t n;

	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut when too long */
	n = strcspn(text, "\r\n");
	text[n] = 0;
	l->http->host->log(l->http->ctx, LNX_DEBUG, "libmicrohttpd: %s", text);
}

/* Let the daemon work, then ask it when it wants to again: its epoll set is edge-triggered, so what it left undone does
 * not wake the loop. */
static void http_listener_run(struct http_listener *l)
{
	const struct lnx_host *h = l->http->host;
	MHD_UNSIGNED_LONG_LONG ms;

	if (!l->mhd)
		return;
	l->is_woken = false;
	(void)MHD_run(l->mhd); /* fails only for another kind of daemon */
	if (l->is_woken)       /* a stream was resumed while it ran */
		(void)h->timer_set(l->http->ctx, l->timer, 0, 0);
	else if (MHD_get_timeout(l->mhd, &ms) == MHD_YES)
		(void)h->timer_set(l->http->ctx, l->timer, (uint64_t)ms * 1000000u, 0);
	else
		h->timer_stop(l->http->ctx, l->timer);
}

/* libmicrohttpd does not wake itself up for a resumed connection when it runs on the loop of another. */
void http_listener_wake(struct http_listener *l)
{
	if (l->is_woken)
		return;
	l->is_woken = true;
	(void)l->http->host->timer_set(l->http->ctx, l->timer, 0, 0); /* the timer is there */
}

static void http_on_readable(void *arg, int fd, uint32_t bits)
{
	(void)fd;
	(void)bits;
	http_listener_run(arg);
}

static void http_on_timer(void *arg)
{
	http_listener_run(arg);
}

/* Connections that are late are cut; libmicrohttpd then sees the end and cleans up. Its own timeout starts again with
 * each byte, so a slow sender would never meet it. */
void http_sweep(void *arg)
{
	struct http *s = arg;
	uint64_t now = s->host->now_ns(s->ctx);
	struct http_conn *c;

	for (c = s->conns; c; c = c->next) {
		if (!c->deadline_ns || now < c->deadline_ns)
			continue;
		c->deadline_ns = 0;
		s->host->metric_add(s->ctx, s->m_timeouts, 1);
		(void)shutdown(c->fd, SHUT_RDWR); /* gone already: as well */
	}
	http_linger_sweep(s, now);
	if (!s->conns && !s->lingers)
		s->host->timer_stop(s->ctx, s->sweep);
}

static bool http_peer_is_trusted(struct http_listener *l, int fd, uint32_t *ret_uid)
{
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t n = sizeof(cred);

	*ret_uid = UINT32_MAX;
	if (l->kind != HTTP_KIND_UNIX || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
		return false;
	*ret_uid = cred.uid;
	return cred.uid == 0 || cred.uid == geteuid();
}

static void http_conn_open(struct http_listener *l, struct MHD_Connection *mhd, void **ret_conn)
{
	const union MHD_ConnectionInfo *fd =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	const union MHD_ConnectionInfo *addr =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct http_conn *c = calloc(1, sizeof(*c));
	int bytes = HTTP_UNIX_SNDBUF;
	struct http *s = l->http;
	uint32_t uid;

	*ret_conn = c;
	if (!c)
		return; /* its requests are refused */
	c->listener = l;
	c->mhd = mhd;
	c->is_midway = true;
	c->fd = fd->connect_fd;
	c->is_trusted = http_peer_is_trusted(l, c->fd, &uid);
	c->uid = uid;
	c->peer = http_peer_of(s, addr ? addr->client_addr : NULL, uid);
	c->peer->n_conns++;
	c->deadline_ns = s->host->now_ns(s->ctx) + s->conf->request_timeout;
	if (l->kind == HTTP_KIND_UNIX)
		(void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	c->next = s->conns;
	if (c->next)
		c->next->prev = c;
	s->conns = c;
	if (s->n_conns++ == 0) /* cannot fail: the timer is there */
		(void)s->host->timer_set(s->ctx, s->sweep, HTTP_SEC, HTTP_SEC);
	s->host->metric_set(s->ctx, s->m_conns, s->n_conns);
}

static void http_conn_close(struct http_conn *c)
{
	struct http *s = c->listener->http;

	if (c->is_midway && !s->is_stopping)
		http_linger_add(s, c->fd);
	if (c->prev)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->peer->n_conns--;
	s->n_conns--;
	s->host->metric_set(s->ctx, s->m_conns, s->n_conns);
	free(c);
}

static void http_on_connection(void *arg, struct MHD_Connection *mhd, void **io_conn,
			       enum MHD_ConnectionNotificationCode code)
{
	switch (code) {
	case MHD_CONNECTION_NOTIFY_STARTED:
		http_conn_open(arg, mhd, io_conn);
		break;
	case MHD_CONNECTION_NOTIFY_CLOSED:
		if (*io_conn)
			http_conn_close(*io_conn);
		*io_conn = NULL;
		break;
	}
}

static enum MHD_Result http_on_accept(void *arg, const struct sockaddr *addr, socklen_t bytes)
{
	struct http_listener *l = arg;
	struct http *s = l->http;

	(void)bytes;
	if (l->kind == HTTP_KIND_UNIX /* the kernel knows who it is only after the accept */
		    ? s->n_conns < s->max_conns
		    : http_peer_admit(s, http_peer_of(s, addr, UINT32_MAX), addr) == 0)
		return MHD_YES;
	s->host->metric_add(s->ctx, s->m_refused_conns, 1);
	return MHD_NO;
}

static int http_daemon_start(struct http_listener *l)
{
	struct http *s = l->http;
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
			 (l->is_tls ? MHD_USE_TLS : 0);
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, s->tls_key },
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, s->tls_cert },
		{ MHD_OPTION_END, 0, NULL },
	};

	l->mhd = MHD_start_daemon(
		flags, 0, http_on_accept, l, http_request_step, l, MHD_OPTION_EXTERNAL_LOGGER,
		http_mhd_log, l, MHD_OPTION_LISTEN_SOCKET, l->fd, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)s->max_conns, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)(s->conf->max_header + HTTP_POOL_SLACK), MHD_OPTION_NOTIFY_CONNECTION,
		http_on_connection, l, MHD_OPTION_URI_LOG_CALLBACK, http_request_new, l,
		MHD_OPTION_NOTIFY_COMPLETED, http_request_done, l, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_ARRAY, l->is_tls ? tls : &tls[2], MHD_OPTION_END);
	if (!l->mhd) {
		s->host->log(s->ctx, LNX_ERROR, "%s: libmicrohttpd does not start%s",
			     http_kind_names[l->kind],
			     l->is_tls ? ": are tls_cert_file and tls_key_file a PEM pair?" : "");
		return -EINVAL;
	}
	return 0;
}

static int http_listener_start(struct http_listener *l)
{
	const struct lnx_host *h = l->http->host;
	const union MHD_DaemonInfo *info;
	int rc;

	if (l->fd < 0)
		return 0;
	rc = http_daemon_start(l);
	if (rc < 0)
		return rc;
	l->fd = -1; /* the daemon closes it */
	info = MHD_get_daemon_info(l->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	rc = info ? h->timer_add(l->http->ctx, HTTP_SEC, 0, http_on_timer, l, &l->timer) : -EINVAL;
	if (rc < 0)
		return rc;
	h->timer_stop(l->http->ctx, l->timer);
	return h->fd_add(l->http->ctx, info->epoll_fd, LNX_FD_READ, http_on_readable, l, &l->watch);
}

/* Every reader holds a descriptor: the usual limit of 1,024 is less than the streams that are allowed. */
static void http_fds_raise(struct http *s)
{
	uint32_t want = s->conf->max_connections + HTTP_SPARE_FDS;
	struct rlimit lim;

	s->max_conns = s->conf->max_connections;
	if (getrlimit(RLIMIT_NOFILE, &lim) < 0 || lim.rlim_cur >= want)
		return;
	lim.rlim_cur = want < lim.rlim_max ? want : lim.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &lim) < 0)
		(void)getrlimit(RLIMIT_NOFILE, &lim); /* worked above */
	if (lim.rlim_cur >= want)
		return;
	s->max_conns = lim.rlim_cur > 2 * HTTP_SPARE_FDS ? (unsigned)lim.rlim_cur - HTTP_SPARE_FDS
							 : HTTP_SPARE_FDS;
	s->host->log(s->ctx, LNX_WARN,
		     "max_connections is %u, the limit of open files allows %u: raise LimitNOFILE",
		     s->conf->max_connections, s->max_conns);
}

static int http_tcp_open(struct http_listener *l, const struct sockaddr_storage *addr,
			 socklen_t bytes, int *ret_fd)
{
	int fd, on = 1, off = 0, lowat = HTTP_NOTSENT, rc;
	struct sockaddr_in6 got = { 0 };
	socklen_t n = sizeof(got);

	fd = socket(addr->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* Without these it works less well: v4 clients on [::], fast restarts, memory of slow readers. */
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (addr->ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
	if (bind(fd, (const struct sockaddr *)addr, bytes) < 0 || listen(fd, HTTP_BACKLOG) < 0 ||
	    getsockname(fd, (struct sockaddr *)&got, &n) < 0) {
		rc = -errno;
		(void)close(fd);
		return rc;
	}
	l->port = ntohs(got.sin6_port); /* sin_port lies at the same place */
	*ret_fd = fd;
	return 0;
}

/* ":9464" on a machine without IPv6 is 0.0.0.0:9464. */
static int http_tcp_open_any(struct http_listener *l, const struct sockaddr_storage *addr,
			     socklen_t bytes, int *ret_fd)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)addr;
	int rc = http_tcp_open(l, addr, bytes, ret_fd);
	struct sockaddr_storage any = { 0 };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&any;

	if (addr->ss_family != AF_INET6 || !IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr) ||
	    (rc != -EAFNOSUPPORT && rc != -EADDRNOTAVAIL))
		return rc;
	v4->sin_family = AF_INET;
	v4->sin_port = v6->sin6_port;
	return http_tcp_open(l, &any, sizeof(*v4), ret_fd);
}

/* The rule for an API that others can reach: a token and TLS, or the word that it is meant so. */
static void http_exposure_check(const struct http_conf *c,
				void (*say)(void *arg, const char *key, const char *text),
				void *arg)
{
	char text[320];

	if (!*c->token_file)
		(void)snprintf(text, sizeof(text),
			       "%s can be reached from other machines: set token_file (and "
			       "tls_cert_file with tls_key_file, or allow_plaintext: true), or "
			       "listen on 127.0.0.1",
			       c->listen); /* cut is fine, here and below */
	else if (!*c->tls_cert_file && !c->allow_plaintext)
		(void)snprintf(text, sizeof(text),
			       "%s can be reached from other machines and tokens would cross the "
			       "network in clear: set tls_cert_file and tls_key_file, or "
			       "allow_plaintext: true",
			       c->listen);
	else
		return;
	say(arg, "listen", text);
}

/* 0 nowhere, 1 with the address, -EINVAL. */
static int http_addr_of(const char *text, struct sockaddr_storage *ret_addr, socklen_t *ret_bytes)
{
	int rc;

	if (!*text || !strcmp(text, "off"))
		return 0;
	rc = http_addr_parse(text, ret_addr, ret_bytes);
	return rc < 0 ? rc : 1;
}

void http_conf_check(const void *conf, void (*say)(void *arg, const char *key, const char *text),
		     void *arg)
{
	const struct http_conf *c = conf;
	const char *const texts[] = { c->listen, c->ops_listen };
	static const char *const keys[] = { "listen", "ops_listen" };
	struct sockaddr_storage addr;
	socklen_t bytes;
	char text[320];

	for (unsigned i = 0; i < 2; i++) {
		int rc = http_addr_of(texts[i], &addr, &bytes);

		if (rc < 0) {
			(void)snprintf(text, sizeof(text),
				       "'%s' is not ADDRESS:PORT with a literal address, such as "
				       "127.0.0.1:3000, [::1]:3000 or :9464",
				       texts[i]);
			say(arg, keys[i], text);
		} else if (rc && i == 0 && !http_addr_is_loopback(&addr)) {
			http_exposure_check(c, say, arg);
		}
	}
	if (!*c->tls_cert_file != !*c->tls_key_file)
		say(arg, *c->tls_cert_file ? "tls_cert_file" : "tls_key_file",
		    "TLS needs both tls_cert_file and tls_key_file");
}

/* What the configuration wants was checked; where is it? */
static int http_tcp_find(struct http *s, uint32_t kind, const char *text)
{
	struct http_listener *l = &s->listeners[kind];
	int rc = http_addr_of(text, &l->addr, &l->addr_bytes);

	if (rc > 0 && kind == HTTP_KIND_TCP && !http_addr_is_loopback(&l->addr))
		s->is_exposed = true;
	return rc < 0 ? rc : 0;
}

static int http_tcp_listen(struct http *s, uint32_t kind, const char *text)
{
	struct http_listener *l = &s->listeners[kind];
	int rc;

	if (!l->addr_bytes)
		return 0;
	rc = http_tcp_open_any(l, &l->addr, l->addr_bytes, &l->fd);
	if (rc < 0) {
		s->host->log(s->ctx, LNX_ERROR, "%s: cannot listen on %s: %s",
			     http_kind_names[kind], text, strerror(-rc));
		return rc;
	}
	l->is_tls = kind == HTTP_KIND_TCP && s->tls_cert;
	s->host->log(s->ctx, LNX_INFO, "%s: %s%s, port %u", http_kind_names[kind], text,
		     l->is_tls ? " with TLS" : "", l->port);
	return 0;
}

void http_listen_init(struct http *s)
{
	unsigned i;

	for (i = 0; i < HTTP_KINDS; i++) {
		s->listeners[i].http = s;
		s->listeners[i].kind = i;
		s->listeners[i].fd = -1;
	}
}

int http_listen_find(struct http *s)
{
	int rc = http_tcp_find(s, HTTP_KIND_TCP, s->conf->listen);

	return rc ? rc : http_tcp_find(s, HTTP_KIND_OPS, s->conf->ops_listen);
}

int http_listen_start(struct http *s)
{
	unsigned i;
	int rc;

	http_fds_raise(s);
	rc = http_tcp_listen(s, HTTP_KIND_TCP, s->conf->listen);
	if (rc == 0)
		rc = http_tcp_listen(s, HTTP_KIND_OPS, s->conf->ops_listen);
	if (rc == 0)
		http_unix_listen(s, &s->listeners[HTTP_KIND_UNIX]);
	for (i = 0; rc == 0 && i < HTTP_KINDS; i++)
		rc = http_listener_start(&s->listeners[i]);
	return rc;
}

void http_listen_stop(struct http *s)
{
	unsigned i;

	/* Answers that are ready still leave; then nobody is served. */
	s->is_stopping = true;
	http_stream_close_all(s);
	http_wait_end_all(s);
	for (i = 0; i < HTTP_KINDS; i++)
		http_listener_run(&s->listeners[i]);
	http_linger_sweep(s, UINT64_MAX);
	for (i = 0; i < HTTP_KINDS; i++) {
		struct http_listener *l = &s->listeners[i];

		if (l->watch)
			s->host->fd_del(s->ctx, l->watch);
		l->watch = NULL;
		if (l->mhd)
			MHD_stop_daemon(l->mhd);
		l->mhd = NULL;
		s->host->timer_del(s->ctx, l->timer);
		l->timer = NULL;
	}
}

void http_listen_close(struct http *s)
{
	unsigned i;

	for (i = 0; i < HTTP_KINDS; i++) {
		struct http_listener *l = &s->listeners[i];

		if (l->fd >= 0)
			(void)close(l->fd); /* nothing was written to it */
		l->fd = -1;
	}
	http_unix_forget(s, &s->listeners[HTTP_KIND_UNIX]);
}
