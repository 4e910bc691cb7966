/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* For tests of the command line: an agent on a unix socket of its own, a thread that sends canned bytes. */
#ifndef TESTS_UNIT_CLI_SERVER_H
#define TESTS_UNIT_CLI_SERVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct server {
	char dir[64], path[100], url[128], token_path[100];
	int fd;
	const char *answers[4]; /* one a connection, NULL at the end */
	char requests[4][2048];
	size_t filler; /* bytes of 'x' after the answer */
	pthread_t thread;
};

static inline void server_answer(struct server *s, int fd, unsigned i)
{
	char block[4096];
	size_t used = 0;
	ssize_t n;

	while (used < sizeof(s->requests[0]) - 1 && !strstr(s->requests[i], "\r\n\r\n")) {
		n = read(fd, s->requests[i] + used, sizeof(s->requests[0]) - 1 - used);
		if (n <= 0)
			return;
		used += (size_t)n;
		s->requests[i][used] = 0;
	}
	if (write(fd, s->answers[i], strlen(s->answers[i])) < 0)
		return;
	memset(block, 'x', sizeof(block));
	for (size_t k = 0; k < s->filler; k += sizeof(block))
		if (send(fd, block, sizeof(block), MSG_NOSIGNAL) < 0)
			return;
}

static inline void *server_run(void *arg)
{
	struct server *s = arg;

	for (unsigned i = 0; i < 4 && s->answers[i]; i++) {
		int fd = accept(s->fd, NULL, NULL);

		if (fd < 0)
			return NULL;
		server_answer(s, fd, i);
		close(fd);
	}
	return NULL;
}

static inline void server_start(struct server *s)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	(void)snprintf(s->dir, sizeof(s->dir), "/tmp/lnx-cli-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	(void)snprintf(s->path, sizeof(s->path), "%s/s", s->dir);
	(void)snprintf(s->url, sizeof(s->url), "unix:%s", s->path);
	(void)snprintf(s->token_path, sizeof(s->token_path), "%s/t", s->dir);
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", s->path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(s->fd >= 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(s->fd, 4), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, server_run, s), 0);
}

static inline void server_stop(struct server *s)
{
	(void)shutdown(s->fd, SHUT_RDWR);
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	close(s->fd);
	(void)unlink(s->path);
	(void)unlink(s->token_path);
	(void)rmdir(s->dir);
}

#endif
