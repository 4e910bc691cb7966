/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* For the tests of this plugin: the plugin in a fake host, real sockets on loopback, and raw requests byte by byte. */
#ifndef HTTP_TEST_CLIENT_H
#define HTTP_TEST_CLIENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "http.h"
#include "testhost.h"
#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linnix/svc_http.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TEST_LIMIT_MS 60000

struct env {
	struct testhost *t;
	struct http *http;
	char dir[40], socket[80];
	uint32_t is_ready;
	int reload_rc;
	uint32_t is_reload_slow; /* then the test calls reloaded(reloaded_arg, rc) */
	void (*reloaded)(void *arg, int rc);
	void *reloaded_arg;
};

static int fake_json(void *self, struct lnx_buf *out)
{
	(void)self;
	lnx_buf_str(out, "{\"fake\":true}");
	return 0;
}

static int fake_rules(void *self, struct lnx_buf *out)
{
	(void)self;
	lnx_buf_str(out, "{\"generation\":2}");
	return 0;
}

static int fake_list(void *self, struct lnx_buf *out)
{
	(void)self;
	lnx_buf_str(out, "[]");
	return 0;
}

static int fake_ready(void *self, struct lnx_buf *out, uint32_t *ret_ready)
{
	const struct env *e = self;

	lnx_buf_str(out, "{\"ready\":true,\"reasons\":[],\"degraded\":[]}");
	*ret_ready = e->is_ready;
	return 0;
}

static int fake_reload(void *self, void (*done)(void *arg, int rc), void *arg)
{
	struct env *e = self;

	if (e->reload_rc == -EBUSY)
		return -EBUSY;
	if (!e->is_reload_slow) {
		done(arg, e->reload_rc);
		return 0;
	}
	e->reloaded = done;
	e->reloaded_arg = arg;
	return 0;
}

static const struct lnx_svc_core fake_core = {
	.size = sizeof(fake_core),
	.status_json = fake_json,
	.plugins_json = fake_list,
	.rules_json = fake_rules,
	.ready_json = fake_ready,
	.events_schema_json = fake_list,
	.rules_reload_later = fake_reload,
};

/* A plugin with its TCP listener on a port of the kernel's choice and its unix socket in a directory of its own. */
static inline void env_init(struct env *e)
{
	char text[192];

	memset(e, 0, sizeof(*e));
	e->is_ready = 1;
	(void)snprintf(e->dir, sizeof(e->dir), "/tmp/linnix-http-XXXXXX");
	assert_non_null(mkdtemp(e->dir));
	(void)snprintf(e->socket, sizeof(e->socket), "%s/run/s.sock", e->dir);
	e->t = testhost_new();
	assert_non_null(e->t);
	(void)snprintf(text, sizeof(text), "socket=%s", e->socket);
	assert_int_equal(testhost_conf(e->t, text), 0);
	assert_int_equal(testhost_conf(e->t, "listen=127.0.0.1:0"), 0);
	/* How much CPU a machine needs for an answer says nothing, but where that is tested. */
	assert_int_equal(testhost_conf(e->t, "work_limit=0"), 0);
	assert_int_equal(testhost_provide(e->t, "core/1", &fake_core, e), 0);
}

__attribute__((format(printf, 2, 3))) static inline void env_conf(struct env *e, const char *fmt,
								  ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	assert_int_equal(testhost_conf(e->t, text), 0);
}

static inline void env_start(struct env *e)
{
	if (testhost_load(e->t, linnix_plugin_v1()) != 0)
		fail_msg("load: %s", testhost_error(e->t));
	e->http = testhost_state(e->t);
}

static inline void env_file(struct env *e, const char *name, const char *text)
{
	char path[192];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", e->dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(close(fd), 0);
}

static inline void env_remove(const struct env *e, const char *name)
{
	char path[192];

	(void)snprintf(path, sizeof(path), "%s/%s", e->dir, name);
	(void)remove(path); /* may not be there */
}

static inline void env_done(struct env *e)
{
	static const char *const names[] = { "run/s.sock", "run", "token", "admin",
					     "cert",	   "key", "" };
	unsigned i;

	testhost_free(e->t);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		env_remove(e, names[i]);
}

/* ---- raw clients */

struct client {
	struct env *env;
	int fd;
	bool is_eof, is_head;
	size_t n, want; /* want: bytes to wait for; 0: a whole answer */
	char data[1 << 20];
};

static inline int client_socket(int family, int rcvbuf)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (rcvbuf)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf)), 0);
	return fd;
}

static inline int client_tcp(const struct env *e, uint32_t kind, int rcvbuf)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = client_socket(AF_INET, rcvbuf);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons(e->http->listeners[kind].port);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static inline int client_unix(const struct env *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = client_socket(AF_UNIX, 0);

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", e->socket);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static inline struct client *client_new(struct env *e, int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->env = e;
	c->fd = fd;
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return c;
}

static inline void client_free(struct client *c)
{
	(void)close(c->fd);
	free(c);
}

static inline void client_read(struct client *c)
{
	ssize_t n;

	while (c->n + 1 < sizeof(c->data)) {
		n = recv(c->fd, c->data + c->n, sizeof(c->data) - 1 - c->n, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			c->is_eof = true;
		if (n <= 0)
			break;
		c->n += (size_t)n;
		c->data[c->n] = 0;
	}
}

static inline int client_is_done(void *arg)
{
	struct client *c = arg;
	const char *body, *length;

	client_read(c);
	if (c->is_eof)
		return 1;
	if (c->want)
		return c->n >= c->want;
	body = strstr(c->data, "\r\n\r\n");
	if (!body || c->is_head)
		return body != NULL;
	length = strcasestr(c->data, "content-length:");
	return length && c->n >= (size_t)(body + 4 - c->data) + strtoul(length + 15, NULL, 10);
}

static inline void client_send(struct client *c, const char *bytes, size_t n)
{
	ssize_t k;

	while (n) {
		k = send(c->fd, bytes, n, MSG_NOSIGNAL);
		if (k < 0 && errno == EAGAIN) {
			(void)testhost_poll(c->env->t, 1);
			continue;
		}
		if (k < 0)
			return; /* refused already: the answer tells */
		bytes += k;
		n -= (size_t)k;
	}
}

static inline int client_status(const char *answer)
{
	return strncmp(answer, "HTTP/1.", 7) ? -1 : (int)strtol(answer + 9, NULL, 10);
}

/* One turn of the loop. */
static inline void env_turn(struct env *e, int wait_ms)
{
	assert_true(testhost_poll(e->t, wait_ms) >= 0);
	assert_true(testhost_advance(e->t, 1000) >= 0);
}

/* One whole exchange. Returns the status; 0: closed without an answer. */
static inline int client_ask(struct client *c, const char *bytes, size_t n)
{
	c->n = 0;
	c->data[0] = 0;
	c->want = 0;
	c->is_head = !strncmp(bytes, "HEAD", 4);
	client_send(c, bytes, n);
	assert_int_equal(testhost_run_until(c->env->t, client_is_done, c, TEST_LIMIT_MS), 0);
	return c->n ? client_status(c->data) : 0;
}

#endif
