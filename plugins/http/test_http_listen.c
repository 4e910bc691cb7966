/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Where it listens, and when it refuses to: exposure without protection, busy ports, odd files, TLS. */
#include "test_client.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Made for this test, it protects nothing. */
static const char test_key[] = "-----BEGIN PRIVATE KEY-----\n"
			       "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg4sw+iVJUbmwH4lap\n"
			       "T2gUVaXkA2/XRpMBdEjtG0Y9s1GhRANCAAT0/8czqqUVAdw91I/s8moLo9xMf1kI\n"
			       "OYTvqVierfPfrT5h3HxsALZ0n7sLwhrNEk7QBAZQLF+5MLCGwINiUmWn\n"
			       "-----END PRIVATE KEY-----\n";
static const char test_cert[] = "-----BEGIN CERTIFICATE-----\n"
				"MIIBfzCCASWgAwIBAgIUbZFcboqGvXuWvHzX54zf+4Xn08UwCgYIKoZIzj0EAwIw\n"
				"FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMzIwMDMxN1oYDzIxMjYxMDMw\n"
				"MjAwMzE3WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO\n"
				"PQMBBwNCAAT0/8czqqUVAdw91I/s8moLo9xMf1kIOYTvqVierfPfrT5h3HxsALZ0\n"
				"n7sLwhrNEk7QBAZQLF+5MLCGwINiUmWno1MwUTAdBgNVHQ4EFgQU5Pun2rcdXHqt\n"
				"oaBJknpDsD0EK/gwHwYDVR0jBBgwFoAU5Pun2rcdXHqtoaBJknpDsD0EK/gwDwYD\n"
				"VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAvzVIH01V/uXcplxZzIFb\n"
				"CikjfS1iWKUCE/hYfuNgRTsCIH212MdkvN41PJh1oYOcOMLnWkzUAVDjUr6hb/co\n"
				"zTjE\n"
				"-----END CERTIFICATE-----\n";

static const char test_get[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

static int status_over(struct env *e, int fd)
{
	struct client *c = client_new(e, fd);
	int rc = client_ask(c, test_get, sizeof(test_get) - 1);

	client_free(c);
	return rc;
}

static void refuses(struct env *e, int rc, const char *says)
{
	assert_int_equal(testhost_load(e->t, linnix_plugin_v1()), rc);
	if (!testhost_log_has(e->t, says))
		fail_msg("no log line says '%s'", says);
	env_done(e);
}

static void off_loopback_needs_a_token_and_tls_or_the_word(void **state)
{
	static const char *const open[] = { "0.0.0.0:0", "[::]:0", ":0", "*:0" };
	struct env e;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
		env_init(&e);
		env_conf(&e, "listen=%s", open[i]);
		refuses(&e, -EINVAL, "can be reached from other machines: set token_file");
		env_init(&e);
		env_file(&e, "token", "read-token-01234567\n");
		env_conf(&e, "token_file=%s/token", e.dir);
		env_conf(&e, "listen=%s", open[i]);
		refuses(&e, -EINVAL, "tokens would cross the network in clear");
		env_init(&e);
		env_conf(&e, "allow_plaintext=true");
		env_conf(&e, "listen=%s", open[i]);
		refuses(&e, -EINVAL, "set token_file");
	}
	env_init(&e);
	env_file(&e, "token", "read-token-01234567\n");
	env_conf(&e, "token_file=%s/token", e.dir);
	env_conf(&e, "allow_plaintext=true");
	env_conf(&e, "listen=0.0.0.0:0");
	env_start(&e);
	assert_int_equal(status_over(&e, client_tcp(&e, HTTP_KIND_TCP, 0)), 200);
	/* and it cannot lose its token later */
	env_file(&e, "token", "");
	assert_int_not_equal(testhost_reload(e.t), 0);
	env_conf(&e, "token_file=");
	assert_int_equal(testhost_reload(e.t), -EINVAL);
	env_conf(&e, "listen=127.0.0.1:0"); /* only after a restart */
	assert_int_equal(testhost_reload(e.t), -EACCES);
	env_done(&e);
}

static void loopback_in_all_its_forms_needs_nothing(void **state)
{
	static const char *const local[] = { "127.0.0.1:0", "127.8.9.1:0", "[::1]:0", "localhost:0",
					     "[::ffff:127.0.0.1]:0" };
	struct env e;
	unsigned i;
	int rc;

	(void)state;
	for (i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
		env_init(&e);
		env_conf(&e, "listen=%s", local[i]);
		rc = testhost_load(e.t, linnix_plugin_v1());
		/* a machine may be without IPv6 */
		assert_true(rc == 0 || (local[i][0] == '[' && rc == -EADDRNOTAVAIL) ||
			    rc == -EAFNOSUPPORT);
		env_done(&e);
	}
}

static void addresses_that_are_none_are_told(void **state)
{
	static const char *const bad[] = { "3000",	  "127.0.0.1",	 "127.0.0.1:65536",
					   "127.0.0.1:x", "::1:3000",	 "example.org:80",
					   "[::1:3000",	  "127.0.0.1:-1" };
	struct env e;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		env_init(&e);
		env_conf(&e, "listen=%s", bad[i]);
		refuses(&e, -EINVAL, "is not ADDRESS:PORT");
	}
}

static void a_busy_port_is_told(void **state)
{
	struct env e, other;

	(void)state;
	env_init(&other);
	env_start(&other);
	env_init(&e);
	env_conf(&e, "listen=127.0.0.1:%u", other.http->listeners[HTTP_KIND_TCP].port);
	refuses(&e, -EADDRINUSE, "Address already in use");
	env_done(&other);
}

static void everything_may_be_off(void **state)
{
	struct env e;

	(void)state;
	env_init(&e);
	env_conf(&e, "listen=off");
	env_conf(&e, "socket=off");
	env_start(&e);
	assert_int_equal(testhost_fds(e.t), 0);
	env_done(&e);
}

static void token_files_are_checked(void **state)
{
	static const char *const bad[] = { "", "\n", "two words\n", "a\nb\n", "caf\xc3\xa9" };
	struct env e;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		env_init(&e);
		env_file(&e, "token", bad[i]);
		env_conf(&e, "token_file=%s/token", e.dir);
		refuses(&e, -EINVAL, "it must hold one line");
	}
	env_init(&e);
	env_conf(&e, "admin_token_file=%s/missing", e.dir);
	refuses(&e, -ENOENT, "admin_token_file");
	env_init(&e);
	env_conf(&e, "token_file=%s", e.dir);
	refuses(&e, -EINVAL, "token_file");
	env_init(&e);
	env_file(&e, "token", "short\n");
	env_conf(&e, "token_file=%s/token", e.dir);
	env_start(&e);
	assert_true(testhost_log_has(e.t, "can be guessed"));
	env_done(&e);
}

static void a_new_token_counts_after_a_reload(void **state)
{
	static const char ask[] = "GET /status HTTP/1.1\r\nHost: localhost\r\n"
				  "Authorization: Bearer second-token-012345\r\n\r\n";
	struct client *c;
	struct env e;

	(void)state;
	env_init(&e);
	env_file(&e, "token", "first-token-0123456\n");
	env_conf(&e, "token_file=%s/token", e.dir);
	env_start(&e);
	c = client_new(&e, client_tcp(&e, HTTP_KIND_TCP, 0));
	assert_int_equal(client_ask(c, ask, sizeof(ask) - 1), 401);
	env_file(&e, "token", "second-token-012345\n");
	assert_int_equal(testhost_reload(e.t), 0);
	assert_int_equal(client_ask(c, ask, sizeof(ask) - 1), 200);
	env_file(&e, "token", "");
	assert_int_not_equal(testhost_reload(e.t), 0);
	assert_int_equal(client_ask(c, ask, sizeof(ask) - 1), 200);
	client_free(c);
	env_done(&e);
}

static int bound_socket(const struct env *e, bool is_listening)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char dir[64];
	int fd = client_socket(AF_UNIX, 0);

	(void)snprintf(dir, sizeof(dir), "%s/run", e->dir);
	(void)mkdir(dir, 0700);
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", e->socket);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	if (is_listening)
		assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void a_stale_socket_file_is_replaced_and_ours_removed(void **state)
{
	struct env e;
	struct stat st;

	(void)state;
	env_init(&e);
	assert_int_equal(close(bound_socket(&e, true)), 0);
	env_start(&e);
	assert_int_equal(testhost_health(e.t, "unix socket"), LNX_HEALTH_OK);
	assert_int_equal(status_over(&e, client_unix(&e)), 200);
	testhost_unload(e.t);
	assert_int_equal(stat(e.socket, &st), -1);
	env_done(&e);
}

static void a_served_socket_is_left_alone(void **state)
{
	struct env e;
	struct stat st;
	int fd;

	(void)state;
	env_init(&e);
	fd = bound_socket(&e, true);
	env_start(&e);
	assert_int_equal(testhost_health(e.t, "unix socket"), LNX_HEALTH_DEGRADED);
	assert_false(testhost_log_has(
		e.t, "cannot listen on")); /* the host logs what of health changes */
	assert_non_null(
		strstr(testhost_health_why(e.t, "unix socket"), "another process serves it"));
	assert_int_equal(status_over(&e, client_tcp(&e, HTTP_KIND_TCP, 0)), 200);
	testhost_unload(e.t);
	assert_int_equal(stat(e.socket, &st), 0);
	(void)close(fd);
	env_done(&e);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
	struct env e;
	struct stat st;
	char dir[64];

	(void)state;
	env_init(&e);
	(void)snprintf(dir, sizeof(dir), "%s/run", e.dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	env_file(&e, "run/s.sock", "precious");
	env_start(&e);
	assert_non_null(strstr(testhost_health_why(e.t, "unix socket"), "not a socket"));
	assert_int_equal(stat(e.socket, &st), 0);
	assert_int_equal(st.st_size, 8);
	env_done(&e);
}

static void a_socket_that_cannot_be_made_is_degraded(void **state)
{
	struct env e;

	(void)state;
	env_init(&e);
	env_conf(&e, "socket=%s/a/b/c.sock", e.dir);
	env_start(&e);
	assert_int_equal(testhost_health(e.t, "unix socket"), LNX_HEALTH_DEGRADED);
	assert_int_equal(status_over(&e, client_tcp(&e, HTTP_KIND_TCP, 0)), 200);
	env_done(&e);
	env_init(&e);
	env_conf(&e, "socket=/tmp/%0120d", 0);
	env_start(&e);
	assert_non_null(strstr(testhost_health_why(e.t, "unix socket"), "name too long"));
	env_done(&e);
}

static void few_descriptors_mean_fewer_connections(void **state)
{
	struct rlimit was, low = { 200, 200 };
	struct env e;
	pid_t pid;
	int st = 0;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	pid = fork(); /* a lowered hard limit does not come back */
	assert_true(pid >= 0);
	if (!pid) {
		(void)setrlimit(RLIMIT_NOFILE, &low);
		env_init(&e);
		st = testhost_load(e.t, linnix_plugin_v1()) == 0 &&
		     testhost_log_has(e.t, "raise LimitNOFILE");
		env_done(&e);
		_exit(st ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_int_equal(st, 0);
}

/* ---- TLS, spoken by curl */

struct child {
	pid_t pid;
	int status;
};

static int child_is_gone(void *arg)
{
	struct child *c = arg;

	return waitpid(c->pid, &c->status, WNOHANG) == c->pid;
}

static int curl(struct env *e, const char *scheme, const char *header)
{
	char url[128];
	struct child c = { .status = 0 };

	(void)snprintf(url, sizeof(url), "%s://127.0.0.1:%u/status", scheme,
		       e->http->listeners[HTTP_KIND_TCP].port);
	c.pid = fork();
	assert_true(c.pid >= 0);
	if (!c.pid) {
		(void)execlp("curl", "curl", "-skf", "--max-time", "10", "-o", "/dev/null", "-H",
			     header, url, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(testhost_run_until(e->t, child_is_gone, &c, TEST_LIMIT_MS), 0);
	return WIFEXITED(c.status) ? WEXITSTATUS(c.status) : -1;
}

static void tls_lets_it_listen_off_loopback(void **state)
{
	struct env e;
	int rc;

	(void)state;
	env_init(&e);
	env_file(&e, "token", "read-token-01234567\n");
	env_file(&e, "cert", test_cert);
	env_file(&e, "key", test_key);
	env_conf(&e, "token_file=%s/token", e.dir);
	env_conf(&e, "tls_cert_file=%s/cert", e.dir);
	env_conf(&e, "tls_key_file=%s/key", e.dir);
	env_conf(&e, "listen=0.0.0.0:0");
	env_start(&e);
	rc = curl(&e, "https", "Authorization: Bearer read-token-01234567");
	if (rc == 127) {
		env_done(&e);
		skip(); /* no curl here */
	}
	assert_int_equal(rc, 0);
	assert_int_equal(curl(&e, "https", "X-A: b"), 22);   /* 401 */
	assert_int_not_equal(curl(&e, "http", "X-A: b"), 0); /* not TLS */
	/* the unix socket stays plain */
	assert_int_equal(status_over(&e, client_unix(&e)), 200);
	env_done(&e);
}

static void tls_files_that_are_wrong_are_told(void **state)
{
	struct env e;

	(void)state;
	env_init(&e);
	env_conf(&e, "tls_cert_file=%s/cert", e.dir);
	refuses(&e, -EINVAL, "TLS needs both");
	env_init(&e);
	env_file(&e, "cert", test_cert);
	env_conf(&e, "tls_cert_file=%s/cert", e.dir);
	env_conf(&e, "tls_key_file=%s/key", e.dir);
	refuses(&e, -ENOENT, "tls_key_file");
	env_init(&e);
	env_file(&e, "cert", "nothing of the kind");
	env_file(&e, "key", test_key);
	env_conf(&e, "tls_cert_file=%s/cert", e.dir);
	env_conf(&e, "tls_key_file=%s/key", e.dir);
	refuses(&e, -EINVAL, "a PEM file is needed");
	env_init(&e);
	env_file(&e, "cert", test_key);
	env_file(&e, "key", test_key);
	env_conf(&e, "tls_cert_file=%s/cert", e.dir);
	env_conf(&e, "tls_key_file=%s/key", e.dir);
	refuses(&e, -EINVAL, "are tls_cert_file and tls_key_file a PEM pair?");
}

/* ---- what the host may refuse */

static void every_failure_of_the_host_unwinds(void **state)
{
	static const struct {
		const char *function;
		unsigned skips;
	} cases[] = {
		{ "metric", 0 },    { "metric", 3 },	{ "metric", 6 },
		{ "timer_add", 0 }, { "timer_add", 1 }, { "timer_add", 2 },
		{ "fd_add", 0 },    { "fd_add", 1 },	{ "provide", 0 },
	};
	struct env e;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		env_init(&e);
		testhost_fail(e.t, cases[i].function, -ENOSPC, cases[i].skips, 1);
		assert_int_equal(testhost_load(e.t, linnix_plugin_v1()), -ENOSPC);
		env_done(&e);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(off_loopback_needs_a_token_and_tls_or_the_word),
		cmocka_unit_test(loopback_in_all_its_forms_needs_nothing),
		cmocka_unit_test(addresses_that_are_none_are_told),
		cmocka_unit_test(a_busy_port_is_told),
		cmocka_unit_test(everything_may_be_off),
		cmocka_unit_test(token_files_are_checked),
		cmocka_unit_test(a_new_token_counts_after_a_reload),
		cmocka_unit_test(a_stale_socket_file_is_replaced_and_ours_removed),
		cmocka_unit_test(a_served_socket_is_left_alone),
		cmocka_unit_test(a_file_that_is_no_socket_is_left_alone),
		cmocka_unit_test(a_socket_that_cannot_be_made_is_degraded),
		cmocka_unit_test(few_descriptors_mean_fewer_connections),
		cmocka_unit_test(tls_lets_it_listen_off_loopback),
		cmocka_unit_test(tls_files_that_are_wrong_are_told),
		cmocka_unit_test(every_failure_of_the_host_unwinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
