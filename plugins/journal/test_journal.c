/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Entries on a socket as journald's, lines on a pipe as standard output. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "testhost.h"
#include <cmocka.h>
#include <linnix/svc_notify.h>

struct env {
	struct testhost *t;
	struct lnx_channel_desc d;
	int done_rc, n_done;
};

static int nt_open(void *self, const char *name, const struct lnx_channel_desc *d,
		   struct lnx_channel **ret_ch)
{
	struct env *e = self;

	assert_string_equal(name, "journal");
	e->d = *d;
	*ret_ch = (struct lnx_channel *)(void *)e;
	return 0;
}

static int nt_set(void *self, struct lnx_channel *ch, const struct lnx_channel_desc *d)
{
	(void)ch;
	((struct env *)self)->d = *d;
	return 0;
}

static void nt_close(void *self, struct lnx_channel *ch)
{
	(void)self;
	(void)ch;
}

static void nt_done(void *self, struct lnx_channel *ch, int rc, const char *why)
{
	struct env *e = self;

	(void)ch;
	(void)why;
	e->done_rc = rc;
	e->n_done++;
}

static const struct lnx_svc_notify notify = {
	.size = sizeof(notify), .open = nt_open, .set = nt_set, .close = nt_close, .done = nt_done
};

static struct lnx_notice notice_of(const char *title)
{
	return (struct lnx_notice){ .size = sizeof(struct lnx_notice),
				    .severity = 2,
				    .is_open = 1,
				    .opened_wall_ns = 1700000000000000000u,
				    .incident = "01HZ",
				    .delivery = "01HZ-1",
				    .url = "http://a",
				    .title = title,
				    .summary = "",
				    .text = "",
				    .cause = "contention",
				    .resource = "cpu",
				    .rule = "r",
				    .fingerprint = "f",
				    .runbook = "",
				    .culprit = "batch",
				    .culprit_namespace = "",
				    .culprit_comm = "",
				    .culprit_pod_name = "",
				    .victim = "",
				    .victim_namespace = "",
				    .victim_pod_name = "" };
}

static void begin(struct env *e, const char *a, const char *b)
{
	memset(e, 0, sizeof(*e));
	e->t = testhost_new();
	assert_int_equal(testhost_provide(e->t, "notify/1", &notify, e), 0);
	assert_int_equal(testhost_conf(e->t, a), 0);
	assert_int_equal(testhost_conf(e->t, b), 0);
	assert_int_equal(testhost_load(e->t, linnix_plugin_v1()), 0);
}

static int listen_at(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void entries_in_the_native_protocol(void **state)
{
	char dir[] = "/tmp/lnx-journal-XXXXXX", path[80], option[120], got[4096];
	struct lnx_notice list[2] = { notice_of("it burns"), notice_of("two\nPRIORITY=0") };
	static const char bytes[] =
		"MESSAGE\n\x1d\0\0\0\0\0\0\0incident open: two\nPRIORITY=0\nPRIORITY=2\n";
	struct env e;
	ssize_t n;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/socket", dir);
	(void)snprintf(option, sizeof(option), "socket=%s", path);
	begin(&e, "target=journald", option);
	assert_int_equal(e.d.write(e.d.arg, list, 1), -ENOENT); /* nobody listens yet */
	fd = listen_at(path);
	assert_int_equal(e.d.write(e.d.arg, list, 2), 0);
	n = recv(fd, got, sizeof(got) - 1, 0);
	assert_true(n > 0);
	got[n] = 0;
	assert_int_equal(
		strncmp(got,
			"MESSAGE=incident open: it burns\nPRIORITY=2\nSYSLOG_IDENTIFIER=linnix\nLINNIX_INCIDENT=01HZ\n",
			89),
		0);
	assert_non_null(strstr(got, "\nLINNIX_CULPRIT=batch\n"));
	assert_null(strstr(got, "LINNIX_VICTIM="));
	n = recv(fd, got, sizeof(got), 0);
	assert_true(n > (ssize_t)sizeof(bytes));
	/* what is in a name makes no field */
	assert_memory_equal(got, bytes, sizeof(bytes) - 1);
	/* journald was restarted */
	(void)close(fd);
	assert_int_equal(e.d.write(e.d.arg, list, 1), -ECONNREFUSED);
	assert_int_equal(unlink(path), 0);
	fd = listen_at(path);
	assert_int_equal(e.d.write(e.d.arg, list, 1), 0);
	/* one that takes nothing: later */
	for (n = 0; n == 0;)
		n = e.d.write(e.d.arg, list, 2);
	assert_int_equal(n, -EAGAIN);
	(void)close(fd);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	testhost_free(e.t);
}

static void lines_on_standard_output(void **state)
{
	struct lnx_notice x = notice_of("it \"burns\"\n");
	int pipes[2], saved = dup(STDOUT_FILENO);
	char got[70000];
	struct env e;
	ssize_t n;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	begin(&e, "target=stdout", "updates=all");
	assert_int_equal(e.d.flags, LNX_CHANNEL_ALL);
	(void)fflush(stdout);
	assert_int_equal(dup2(pipes[1], STDOUT_FILENO), STDOUT_FILENO);
	assert_int_equal(e.d.write(e.d.arg, &x, 1), -EINPROGRESS);
	(void)testhost_run_jobs(e.t);
	assert_int_equal(dup2(saved, STDOUT_FILENO), STDOUT_FILENO);
	n = read(pipes[0], got, sizeof(got));
	assert_true(n > 0);
	got[n] = 0;
	assert_int_equal(e.n_done, 1);
	assert_int_equal(e.done_rc, 0);
	assert_int_equal(got[n - 1], '\n');
	assert_ptr_equal(strchr(got, '\n'), got + n - 1);
	assert_non_null(strstr(got, "\"type\":\"incident.open\",\"delivery\":\"01HZ-1\""));
	/* a reader that takes nothing holds up a worker for 2 s, and what it had of a line is ended */
	assert_true(fcntl(pipes[1], F_SETPIPE_SZ, 4096) == 4096);
	memset(got, 'x', 4000);
	assert_int_equal(write(pipes[1], got, 4000), 4000);
	assert_int_equal(dup2(pipes[1], STDOUT_FILENO), STDOUT_FILENO);
	assert_int_equal(e.d.write(e.d.arg, &x, 1), -EINPROGRESS);
	(void)testhost_run_jobs(e.t);
	assert_int_equal(dup2(saved, STDOUT_FILENO), STDOUT_FILENO);
	assert_int_equal(e.done_rc, -ETIMEDOUT);
	(void)close(saved);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
	testhost_free(e.t);
}

static void a_path_that_is_none_is_refused(void **state)
{
	struct testhost *t = testhost_new();
	struct env e = { 0 };

	(void)state;
	assert_int_equal(testhost_provide(t, "notify/1", &notify, &e), 0);
	assert_int_equal(testhost_conf(t, "socket=journal"), 0);
	assert_int_equal(testhost_load(t, linnix_plugin_v1()), -EINVAL);
	assert_true(testhost_log_has(t, "socket: 'journal' must be a path"));
	testhost_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_in_the_native_protocol),
		cmocka_unit_test(lines_on_standard_output),
		cmocka_unit_test(a_path_that_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
