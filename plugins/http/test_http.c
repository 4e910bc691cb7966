/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Requests over real sockets: routing, bad input, authentication. */
#include "test_client.h"

#include <sys/stat.h>

/* A request on a connection of its own, kept in <e>; the answer is in last(). */
static struct client *last_client;

static int ask_on(struct env *e, int fd, const char *request)
{
	if (last_client)
		client_free(last_client);
	last_client = client_new(e, fd);
	return client_ask(last_client, request, strlen(request));
}

static int ask(struct env *e, const char *request)
{
	return ask_on(e, client_tcp(e, HTTP_KIND_TCP, 0), request);
}

/* "GET" and "/path" and more header lines. */
static int get(struct env *e, const char *method, const char *path, const char *headers)
{
	char text[4096];

	(void)snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", method,
		       path, headers);
	return ask(e, text);
}

static const char *last(void)
{
	return last_client->data;
}

static void end(struct env *e)
{
	if (last_client)
		client_free(last_client);
	last_client = NULL;
	env_done(e);
}

static void begin(struct env *e)
{
	env_init(e);
	env_start(e);
}

#define HAS(text)   assert_non_null(strstr(last(), text))
#define HASNT(text) assert_null(strstr(last(), text))

static void routes_of_the_core_answer_json(void **state)
{
	struct env e;

	(void)state;
	begin(&e);
	assert_int_equal(get(&e, "GET", "/healthz", ""), 200);
	HAS("Content-Type: application/json");
	HAS("X-Content-Type-Options: nosniff");
	HAS("Cache-Control: no-store");
	HASNT("Access-Control");
	HAS("X-Linnix-Node: test-node");
	HAS("X-Linnix-Cluster: test-cluster");
	HAS("X-Linnix-Boot-Id: 00000000-0000-4000-8000-000000000000");
	HAS("X-Linnix-Schema: 1");
	assert_int_equal(get(&e, "GET", "/status", ""), 200);
	HAS("{\"fake\":true}");
	assert_int_equal(get(&e, "GET", "/plugins", ""), 200);
	assert_int_equal(get(&e, "GET", "/rules", ""), 200);
	assert_int_equal(get(&e, "GET", "/events/schema", ""), 200);
	assert_int_equal(get(&e, "GET", "/readyz", ""), 200);
	e.is_ready = 0;
	assert_int_equal(get(&e, "GET", "/readyz", ""), 503);
	HAS("\"reasons\":[]");
	end(&e);
}

static void unknown_paths_and_methods_are_told(void **state)
{
	static const char *const lost[] = { "/nope", "/healthz/x", "/processes/1/2",
					    "/%2e%2e/etc" };
	struct env e;
	unsigned i;

	(void)state;
	begin(&e);
	for (i = 0; i < sizeof(lost) / sizeof(lost[0]); i++) {
		assert_int_equal(get(&e, "GET", lost[i], ""), 404);
		HAS("{\"error\":{\"code\":\"not_found\",\"message\":\"no such path\"}}");
	}
	assert_int_equal(get(&e, "DELETE", "/status", ""), 405);
	HAS("Allow: GET, HEAD");
	assert_int_equal(get(&e, "POST", "/status", "Content-Length: 0\r\n"), 405);
	assert_int_equal(get(&e, "OPTIONS", "/status", ""), 405);
	assert_int_equal(get(&e, "GET", "/rules/reload", ""), 405);
	HAS("Allow: POST");
	assert_int_equal(get(&e, "HEAD", "/status", ""), 200);
	HASNT("fake");
	assert_int_equal(get(&e, "GET", "//healthz", ""), 400);
	assert_int_equal(get(&e, "GET", "/a%zz", ""), 400);
	assert_int_equal(get(&e, "GET", "/a%00b", ""), 400);
	assert_int_equal(get(&e, "GET", "/a/b/c/d/e/f/g/h/i/j", ""), 400);
	end(&e);
}

static void unknown_and_bad_parameters_are_named(void **state)
{
	static const struct {
		const char *path, *says;
	} cases[] = {
		{ "/status?x=1", "unknown query parameter 'x'" },
		{ "/events?limt=3", "unknown query parameter 'limt'" },
		{ "/events?limit=0", "limit must be a whole number from 1 to 10000" },
		{ "/events?limit=10001", "limit must be" },
		{ "/events?limit=-1", "limit must be" },
		{ "/events?limit=1e3", "limit must be" },
		{ "/events?limit=", "limit must be" },
		{ "/events?since_seq=18446744073709551616", "since_seq must be" },
		{ "/events?type=proc.frk", "unknown event type 'proc.frk'" },
		{ "/events?type=proc.fork,", "" },
		{ "/events?type=", "type: no event type given" },
		{ "/events?limit=1&limit=2", "'limit' was given twice" },
		{ "/events?limit=%zz", "'limit' is not well encoded" },
		{ "/events?a%0Ab=1", "not well encoded" },
		{ "/events?%22%3E=1", "unknown query parameter '\\\">'" },
	};
	struct env e;
	unsigned i;

	(void)state;
	begin(&e);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(get(&e, "GET", cases[i].path, ""), *cases[i].says ? 400 : 200);
		HAS(cases[i].says);
	}
	end(&e);
}

static void only_known_hosts_are_served(void **state)
{
	static const struct {
		const char *host;
		int status;
	} cases[] = {
		{ "localhost", 200 },
		{ "LocalHost:3000", 200 },
		{ "127.0.0.1", 200 },
		{ "10.1.2.3:80", 200 },
		{ "[::1]:3000", 200 },
		{ "agent.example", 200 },
		{ "Agent.Example:1", 200 },
		{ "evil.example", 403 },
		{ "localhost.evil.example", 403 },
		{ "127.0.0.1.evil", 403 },
		{ "", 403 },
		{ "[::1", 403 },
		{ "a b", 403 },
		{ "localhost:3000:1", 403 },
		{ "localhost:http", 403 },
	};
	char text[256];
	struct env e;
	unsigned i;

	(void)state;
	env_init(&e);
	env_conf(&e, "allowed_hosts=agent.example");
	env_start(&e);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(text, sizeof(text), "GET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n",
			       cases[i].host);
		if (ask(&e, text) != cases[i].status)
			fail_msg("Host '%s': not %d but %s", cases[i].host, cases[i].status,
				 last());
	}
	HAS("host_not_allowed");
	assert_int_equal(ask(&e, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n"),
			 400);
	assert_int_equal(ask(&e, "GET /healthz HTTP/1.1\r\n\r\n"), 400);
	/* no browser speaks it */
	last_client->data[0] = 0;
	assert_int_equal(ask(&e, "GET /healthz HTTP/1.0\r\n\r\n"), 200);
	assert_int_equal(ask_on(&e, client_unix(&e), "GET /healthz HTTP/1.1\r\nHost: any\r\n\r\n"),
			 200);
	end(&e);
}

static void reading_needs_the_token_where_one_is_set(void **state)
{
	static const char *const wrong[] = {
		"",
		"Authorization: Bearer\r\n",
		"Authorization: Bearer wrong-token-0123456\r\n",
		"Authorization: Bearer read-token-01234567x\r\n",
		"Authorization: Bearer read-token-0123456\r\n",
		"Authorization: Basic read-token-01234567\r\n",
		"Authorization: Bearer read-token-01234567 x\r\n",
	};
	struct env e;
	unsigned i;

	(void)state;
	env_init(&e);
	env_file(&e, "token", "read-token-01234567\n");
	env_file(&e, "admin", "admin-token-0123456\n");
	env_conf(&e, "token_file=%s/token", e.dir);
	env_conf(&e, "admin_token_file=%s/admin", e.dir);
	env_start(&e);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(get(&e, "GET", "/status", wrong[i]), 401);
		HAS("WWW-Authenticate: Bearer");
	}
	assert_int_equal(get(&e, "GET", "/nope", ""), 401);
	assert_int_equal(get(&e, "GET", "/healthz", ""), 200);
	assert_int_equal(get(&e, "GET", "/status", "Authorization: Bearer read-token-01234567\r\n"),
			 200);
	assert_int_equal(
		get(&e, "GET", "/status", "authorization: bearer  admin-token-0123456\r\n"), 200);
	assert_int_equal(
		ask_on(&e, client_unix(&e), "GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		200);
	/* the other token may not change anything */
	assert_int_equal(get(&e, "POST", "/rules/reload",
			     "Content-Type: application/json\r\nContent-Length: 0\r\n"
			     "Authorization: Bearer read-token-01234567\r\n"),
			 403);
	end(&e);
}

#define ADMIN "Authorization: Bearer admin-token-0123456\r\nContent-Length: 0\r\n"
#define JSON  "Content-Type: application/json\r\n"

static void changing_needs_the_admin_token_json_and_the_same_origin(void **state)
{
	struct env e;

	(void)state;
	env_init(&e);
	env_file(&e, "admin", "admin-token-0123456");
	env_conf(&e, "admin_token_file=%s/admin", e.dir);
	env_start(&e);
	assert_int_equal(get(&e, "POST", "/rules/reload", ADMIN JSON), 200);
	HAS("\"generation\":2");
	assert_int_equal(get(&e, "POST", "/rules/reload", JSON "Content-Length: 0\r\n"), 403);
	assert_int_equal(get(&e, "POST", "/rules/reload", ADMIN), 403);
	HASNT("X-Linnix-Node");
	assert_int_equal(get(&e, "POST", "/rules/reload", ADMIN "Content-Type: text/plain\r\n"),
			 403);
	assert_int_equal(
		get(&e, "POST", "/rules/reload", ADMIN "Content-Type: application/jsonx\r\n"), 403);
	assert_int_equal(get(&e, "POST", "/rules/reload",
			     ADMIN "Content-Type: Application/JSON; charset=utf-8\r\n"),
			 200);
	assert_int_equal(
		get(&e, "POST", "/rules/reload", ADMIN JSON "Origin: http://localhost\r\n"), 200);
	assert_int_equal(get(&e, "POST", "/rules/reload", ADMIN JSON "Origin: http://evil\r\n"),
			 403);
	assert_int_equal(
		get(&e, "POST", "/rules/reload", ADMIN JSON "Origin: https://localhost\r\n"), 403);
	assert_int_equal(get(&e, "POST", "/rules/reload", ADMIN JSON "Origin: null\r\n"), 403);
	assert_int_equal(get(&e, "POST", "/rules/reload?x=1", ADMIN JSON), 400);
	e.reload_rc = -EINVAL;
	assert_int_equal(get(&e, "POST", "/rules/reload", ADMIN JSON), 422);
	e.reload_rc = -EBUSY;
	assert_int_equal(get(&e, "POST", "/rules/reload", ADMIN JSON), 503);
	HAS("Retry-After: 1");
	end(&e);
}

static void without_an_admin_token_only_the_unix_socket_changes_anything(void **state)
{
	static const char post[] = "POST /rules/reload HTTP/1.1\r\nHost: localhost\r\n" JSON
				   "Content-Length: 0\r\n\r\n";
	struct stat st;
	struct env e;

	(void)state;
	begin(&e);
	assert_int_equal(ask(&e, post), 403);
	HAS("no http.admin_token_file is configured");
	assert_int_equal(get(&e, "POST", "/rules/reload", ADMIN JSON), 403);
	assert_int_equal(ask_on(&e, client_unix(&e), post), 200);
	assert_int_equal(stat(e.socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	end(&e);
}

static int is_reload_asked(void *arg)
{
	return ((struct env *)arg)->reloaded != NULL;
}

/* A client that waits for the new rules, on the unix socket. */
static struct client *wait_for_rules(struct env *e)
{
	static const char post[] = "POST /rules/reload HTTP/1.1\r\nHost: localhost\r\n" JSON
				   "Content-Length: 0\r\n\r\n";
	struct client *c = client_new(e, client_unix(e));

	e->is_reload_slow = 1;
	e->reloaded = NULL;
	client_send(c, post, sizeof(post) - 1);
	assert_int_equal(testhost_run_until(e->t, is_reload_asked, e, TEST_LIMIT_MS), 0);
	return c;
}

static void others_are_served_while_rules_are_tested(void **state)
{
	struct client *c;
	struct env e;

	(void)state;
	begin(&e);
	c = wait_for_rules(&e);
	assert_int_equal(get(&e, "GET", "/rules", ""), 200);
	assert_int_equal(client_is_done(c), 0);
	e.reloaded(e.reloaded_arg, 0);
	assert_int_equal(testhost_run_until(e.t, client_is_done, c, TEST_LIMIT_MS), 0);
	assert_int_equal(client_status(c->data), 200);
	assert_non_null(strstr(c->data, "\"generation\":2"));
	/* the connection is as good as before */
	assert_int_equal(client_ask(c, "GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n", 41), 200);
	client_free(c);
	c = wait_for_rules(&e);
	e.reloaded(e.reloaded_arg, -ENOBUFS);
	assert_int_equal(testhost_run_until(e.t, client_is_done, c, TEST_LIMIT_MS), 0);
	assert_int_equal(client_status(c->data), 503);
	client_free(c);
	end(&e);
}

static void who_waits_for_rules_may_leave_and_the_agent_may_stop(void **state)
{
	struct client *c;
	struct env e;
	unsigned i;

	(void)state;
	begin(&e);
	client_free(wait_for_rules(&e));
	for (i = 0; i < 5; i++)
		env_turn(&e, 1);
	e.reloaded(e.reloaded_arg, 0);
	assert_int_equal(get(&e, "GET", "/rules", ""), 200);
	c = wait_for_rules(&e);
	testhost_unload(e.t);
	client_read(c);
	assert_int_equal(client_status(c->data), 503);
	e.reloaded(e.reloaded_arg, -ECANCELED); /* to nobody */
	client_free(c);
	end(&e);
}

/* The peer's uid counts, not the file's mode: nobody may read over the socket, but not change. */
static void another_user_on_the_unix_socket_only_reads(void **state)
{
	static const char post[] = "POST /rules/reload HTTP/1.1\r\nHost: localhost\r\n" JSON
				   "Content-Length: 0\r\n\r\n";
	struct env e;
	int fd;

	(void)state;
	if (geteuid() != 0)
		skip();
	begin(&e);
	assert_int_equal(chmod(e.dir, 0755), 0);
	assert_int_equal(chmod(e.socket, 0666), 0);
	assert_int_equal(seteuid(65534), 0);
	fd = client_unix(&e);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(ask_on(&e, fd, post), 403);
	assert_int_equal(
		client_ask(last_client, "GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n", 41),
		200);
	end(&e);
}

static void tell_peer(void *arg, struct lnx_http_req *req)
{
	const struct lnx_svc_http *http = arg;
	char peer[64];

	http->peer(req, peer, sizeof(peer));
	(void)http->respond(req, 200, "text/plain", peer, strlen(peer));
}

/* For an audit: who asked, and by what right. */
static void a_handler_is_told_who_asks(void **state)
{
	static const char post[] =
		"POST /who HTTP/1.1\r\nHost: localhost\r\n" JSON "Content-Length: 0\r\n\r\n";
	static const struct lnx_http_route posting = {
		.size = sizeof(posting), .method = "POST", .path = "/who", .handle = tell_peer
	};
	static const struct lnx_http_route reading = {
		.size = sizeof(reading), .method = "GET", .path = "/who", .handle = tell_peer
	};
	const struct lnx_svc_http *http;
	char uid[32];
	struct env e;
	void *self;

	(void)state;
	env_init(&e);
	env_file(&e, "admin", "admin-token-0123456\n");
	env_conf(&e, "admin_token_file=%s/admin", e.dir);
	env_start(&e);
	http = testhost_service(e.t, "http/1", &self);
	assert_int_equal(http->route(self, &posting, (void *)(uintptr_t)http), 0);
	assert_int_equal(http->route(self, &reading, (void *)(uintptr_t)http), 0);
	assert_int_equal(get(&e, "POST", "/who", ADMIN JSON), 200);
	HAS("admin token (127.0.0.1)");
	assert_int_equal(get(&e, "GET", "/who", ""), 200);
	HAS("nobody (127.0.0.1)");
	assert_int_equal(ask_on(&e, client_unix(&e), post), 200);
	(void)snprintf(uid, sizeof(uid), "uid %u (unix socket)", (unsigned)geteuid()); /* fits */
	HAS(uid);
	end(&e);
}

static void the_ops_listener_serves_three_paths_only(void **state)
{
	struct env e;

	(void)state;
	env_init(&e);
	env_file(&e, "token", "read-token-01234567\n");
	env_conf(&e, "token_file=%s/token", e.dir);
	env_conf(&e, "ops_listen=127.0.0.1:0");
	env_start(&e);
	assert_int_equal(ask_on(&e, client_tcp(&e, HTTP_KIND_OPS, 0),
				"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"),
			 200);
	assert_int_equal(ask_on(&e, client_tcp(&e, HTTP_KIND_OPS, 0),
				"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"),
			 200);
	assert_int_equal(ask_on(&e, client_tcp(&e, HTTP_KIND_OPS, 0),
				"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n"),
			 404);
	assert_int_equal(ask_on(&e, client_tcp(&e, HTTP_KIND_OPS, 0),
				"POST /rules/reload HTTP/1.1\r\nHost: localhost\r\n" JSON
				"Content-Length: 0\r\n\r\n"),
			 404);
	end(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_of_the_core_answer_json),
		cmocka_unit_test(unknown_paths_and_methods_are_told),
		cmocka_unit_test(unknown_and_bad_parameters_are_named),
		cmocka_unit_test(only_known_hosts_are_served),
		cmocka_unit_test(reading_needs_the_token_where_one_is_set),
		cmocka_unit_test(changing_needs_the_admin_token_json_and_the_same_origin),
		cmocka_unit_test(without_an_admin_token_only_the_unix_socket_changes_anything),
		cmocka_unit_test(others_are_served_while_rules_are_tested),
		cmocka_unit_test(who_waits_for_rules_may_leave_and_the_agent_may_stop),
		cmocka_unit_test(another_user_on_the_unix_socket_only_reads),
		cmocka_unit_test(a_handler_is_told_who_asks),
		cmocka_unit_test(the_ops_listener_serves_three_paths_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
