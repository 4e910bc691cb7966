/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The plugin on the test host, with a client of HTTP whose answers the test gives: what is asked when, and what is known then. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <linnix/buf.h>
#include <linnix/svc_http_client.h>
#include <linnix/svc_k8s.h>

#include "items.h"
#include "pod.h"
#include "testhost.h"

#define SECOND	   1000000000ull
#define STATIC_UID "464dc128715474143259620572d276e2"
#define BU_UID	   "c066a0f7-0a01-4065-9e7a-a9306ef153f3"
#define GU_UID	   "bce40b45-71cf-4f40-9a62-34744b632552"
#define BU_INIT	   "d64284d1b75c4ff259c63359d9c5f34a4c31a6018e389a611871e71c4199785e"
#define BU_A	   "39f9534389615d7f7976d186f77546e7cacf4cbdf89c6461c394002afaa89559"

#define BOOKMARK                                                                                           \
	"{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":\"9001\"}," \
	"\"spec\":{\"containers\":null},\"status\":{}}}\n"

struct lnx_http_call {
	int unused;
};

struct env {
	struct testhost *t;
	const struct lnx_svc_k8s *svc;
	void *self;
	struct lnx_http_call call;
	struct lnx_http_ask ask; /* of the running call */
	int is_running, is_cancelled, start_rc;
	unsigned n_asked;
	char url[2048], auth[512], token_file[64], ca[256];
};

static int fake_start(void *self, const struct lnx_http_ask *ask, struct lnx_http_call **ret_call)
{
	struct env *e = self;
	const char *const *h;

	assert_false(e->is_running);
	if (e->start_rc < 0)
		return e->start_rc;
	e->n_asked++;
	e->ask = *ask;
	e->is_running = 1;
	(void)snprintf(e->url, sizeof(e->url), "%s", ask->url);
	(void)snprintf(e->ca, sizeof(e->ca), "%s", ask->ca_file ? ask->ca_file : "");
	e->auth[0] = 0;
	for (h = ask->headers; *h; h++)
		if (!strncmp(*h, "Authorization: ", 15))
			(void)snprintf(e->auth, sizeof(e->auth), "%s", *h + 15);
	*ret_call = &e->call;
	return 0;
}

static void fake_cancel(void *self, struct lnx_http_call *call)
{
	struct env *e = self;

	assert_ptr_equal(call, &e->call);
	e->is_running = 0;
	e->is_cancelled = 1;
}

static const struct lnx_svc_http_client fake_http = { sizeof(fake_http), 0, fake_start,
						      fake_cancel };

static void set_token(struct env *e, const char *token)
{
	FILE *f = fopen(e->token_file, "we");

	assert_non_null(f);
	assert_true(fputs(token, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void conf(struct env *e, const char *key, const char *value)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "%s=%s", key, value);
	assert_int_equal(testhost_conf(e->t, text), 0);
}

static void begin(struct env *e, const char *node)
{
	char text[128];

	memset(e, 0, sizeof(*e));
	e->t = testhost_new();
	(void)snprintf(e->token_file, sizeof(e->token_file), "/tmp/lnx-token-%d", (int)getpid());
	set_token(e, "abc\n");
	conf(e, "api_url", "https://10.0.0.1:6443/");
	conf(e, "token_file", e->token_file);
	(void)snprintf(text, sizeof(text), "node.name=%s", node);
	assert_int_equal(testhost_conf_other(e->t, text), 0);
	assert_int_equal(testhost_provide(e->t, "http_client/1", &fake_http, e), 0);
}

static void load(struct env *e)
{
	if (testhost_load(e->t, linnix_plugin_v1()) != 0)
		fail_msg("%s", testhost_error(e->t));
	e->svc = testhost_service(e->t, "k8s/1", &e->self);
	assert_non_null(e->svc);
}

static void end(struct env *e)
{
	testhost_free(e->t);
	(void)unlink(e->token_file);
}

/* Let time pass until something is asked. Returns the milliseconds. */
static unsigned wait_ask(struct env *e)
{
	unsigned ms;

	for (ms = 0; ms < 200000 && !e->is_running; ms += 10)
		(void)testhost_advance(e->t, ms ? SECOND / 100 : 0);
	assert_true(e->is_running);
	return ms;
}

static int give(struct env *e, const char *bytes, size_t n, size_t step)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < n && rc == 0; i += step)
		rc = e->ask.on_body(e->ask.arg, bytes + i, n - i < step ? n - i : step);
	return rc;
}

static void finish(struct env *e, int rc, uint32_t status, const char *why)
{
	e->is_running = 0;
	e->ask.on_done(e->ask.arg, rc, status, why);
}

/* Answer with <status> and <text>, whole. */
static void answer(struct env *e, uint32_t status, const char *text)
{
	int rc;

	(void)e->ask.on_head(e->ask.arg, status);
	rc = give(e, text, strlen(text), 100);
	finish(e, rc, status, rc < 0 ? "refused" : "");
}

static char *slurp(const char *name)
{
	char path[128], *data = calloc(1, 65536);
	FILE *f;

	(void)snprintf(path, sizeof(path), "tests/data/k8s/%s", name);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_non_null(data);
	assert_true(fread(data, 1, 65535, f) > 0);
	(void)fclose(f);
	return data;
}

static void answer_file(struct env *e, const char *name)
{
	char *data = slurp(name);

	answer(e, 200, data);
	free(data);
}

static const char *why(struct env *e)
{
	return testhost_health_why(e->t, "pods");
}

/* "namespace/pod/container/workload" */
static const char *who(struct env *e, const char *uid, const char *cid)
{
	static char text[512];
	struct lnx_k8s_who w = { .size = sizeof(w) };

	if (e->svc->find(e->self, uid, cid, &w) < 0)
		return "nobody";
	(void)snprintf(text, sizeof(text), "%s/%s/%s/%s%s", w.namespace_, w.pod_name,
		       w.container_name, w.workload, w.is_deleted ? " deleted" : "");
	return text;
}

/* The watch that is asked for next: its version is too old. Waits until a list is asked for. */
static void expire_watch(struct env *e)
{
	(void)wait_ask(e);
	assert_non_null(strstr(e->url, "watch=1"));
	answer(e, 200, "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410}}\n");
	(void)wait_ask(e);
	assert_null(strstr(e->url, "watch=1"));
}

static void without_a_cluster_nothing_is_done(void **state)
{
	struct env e;

	(void)state;
	begin(&e, "vm");
	conf(&e, "api_url", "");
	conf(&e, "token_file", "/nonexistent/token");
	load(&e);
	assert_int_equal(e.svc->state(e.self), LNX_K8S_OFF);
	assert_int_equal(testhost_timers(e.t), 0);
	assert_int_equal(testhost_health(e.t, "pods"), -ENOENT);
	assert_string_equal(who(&e, BU_UID, ""), "nobody");
	(void)testhost_advance(e.t, 100 * SECOND);
	assert_int_equal(e.n_asked, 0);
	end(&e);
}

static void a_missing_node_name_is_named(void **state)
{
	struct env e;

	(void)state;
	begin(&e, "");
	load(&e);
	assert_int_equal(testhost_health(e.t, "pods"), LNX_HEALTH_LOST);
	assert_non_null(strstr(why(&e), "NODE_NAME"));
	(void)testhost_advance(e.t, 100 * SECOND);
	assert_int_equal(e.n_asked, 0);
	end(&e);
	begin(&e, "vm");
	conf(&e, "enabled", "true");
	conf(&e, "api_url", "");
	load(&e);
	assert_non_null(strstr(why(&e), "KUBERNETES_SERVICE_HOST"));
	end(&e);
	begin(&e, "vm");
	conf(&e, "enabled", "false");
	load(&e);
	assert_int_equal(e.svc->state(e.self), LNX_K8S_OFF);
	end(&e);
}

static void a_list_and_then_a_watch_from_its_version(void **state)
{
	struct env e;

	(void)state;
	begin(&e, "vm a");
	load(&e);
	assert_int_equal(testhost_health(e.t, "pods"), LNX_HEALTH_LOST);
	assert_int_equal(e.svc->state(e.self), LNX_K8S_UNSYNCED);
	(void)wait_ask(&e);
	assert_string_equal(
		e.url,
		"https://10.0.0.1:6443/api/v1/pods?fieldSelector=spec.nodeName%3Dvm%20a&resourceVersion=0");
	assert_string_equal(e.auth, "Bearer abc");
	answer_file(&e, "podlist_1.20.json");
	assert_int_equal(e.svc->state(e.self), LNX_K8S_SYNCED);
	assert_int_equal(testhost_health(e.t, "pods"), LNX_HEALTH_OK);
	assert_true(testhost_metric(e.t, "linnix_k8s_pods", "") == 4);
	assert_int_equal(testhost_count(e.t, "k8s.pod"), 4);
	/* by the uid of the path first: a pause container and one not yet told of have no name of their own */
	assert_string_equal(who(&e, BU_UID, BU_A), "shop/bu/a/bu");
	assert_string_equal(who(&e, BU_UID, BU_INIT), "shop/bu/init/bu");
	assert_string_equal(who(&e, BU_UID, "5ba5"), "shop/bu//bu");
	assert_string_equal(who(&e, "", BU_A), "shop/bu/a/bu");
	assert_string_equal(who(&e, "", "5ba5"), "nobody");
	assert_string_equal(who(&e, "00000000-unknown", BU_A), "shop/bu/a/bu");
	assert_string_equal(who(&e, STATIC_UID, ""), "kube-system/static1-vm//static1");
	(void)wait_ask(&e);
	assert_non_null(strstr(e.url, "?watch=1&allowWatchBookmarks=true&"));
	assert_non_null(strstr(e.url, "&resourceVersion=304&timeoutSeconds="));
	end(&e);
	assert_true(e.is_cancelled);
}

static void a_pod_sums_what_its_containers_ask_for(void **state)
{
	struct lnx_k8s_who w = { .size = sizeof(w) };
	struct env e;

	(void)state;
	begin(&e, "vm");
	load(&e);
	(void)wait_ask(&e);
	answer_file(&e, "podlist_1.20.json");
	assert_int_equal(e.svc->find(e.self, BU_UID, "", &w), 0);
	assert_int_equal(w.cpu_request_millicores, 50);
	assert_int_equal(w.memory_request_bytes, 16u << 20);
	assert_int_equal(w.cpu_limit_millicores, 0); /* container b has none */
	assert_int_equal(e.svc->find(e.self, GU_UID, "", &w), 0);
	assert_int_equal(w.cpu_limit_millicores, 100);
	assert_int_equal(w.memory_limit_bytes, 32u << 20);
	assert_string_equal(w.qos, "guaranteed");
	/* nothing is known of the pause container's */
	assert_int_equal(e.svc->find(e.self, GU_UID, "5ba5", &w), 0);
	assert_int_equal(w.cpu_limit_millicores, 0);
	end(&e);
}

/* The line of <lines> that tells of pod gu, with another word for what happened. */
static char *gu_line(const char *lines, const char *word)
{
	const char *gu = strstr(lines, "\"metadata\":{\"name\":\"gu\"");
	char *line = NULL;

	assert_non_null(gu);
	assert_true(asprintf(&line, "{\"type\":\"%s\",\"object\":{%.*s\n", word,
			     (int)strcspn(gu, "\n"), gu) > 0);
	return line;
}

static void a_watch_is_followed(void **state)
{
	char *lines = slurp("watch_1.20.jsonl"), *gone = gu_line(lines, "GONE");
	struct env e;

	(void)state;
	begin(&e, "vm");
	load(&e);
	(void)wait_ask(&e);
	answer(&e, 200, "{\"metadata\":{\"resourceVersion\":\"269\"},\"items\":[]}");
	(void)wait_ask(&e);
	assert_int_equal(e.ask.on_head(e.ask.arg, 200), 0);
	assert_int_equal(give(&e, lines, strlen(lines), 61), 0);
	assert_string_equal(who(&e, BU_UID, BU_A), "shop/bu/a/bu");
	assert_int_equal(testhost_count(e.t, "k8s.pod"),
			 4); /* what did not change for us is not told */
	/* a deleted pod is remembered for a while */
	assert_int_equal(give(&e, gone, strlen(gone), 1000), -EBADMSG); /* an unknown word */
	finish(&e, -EBADMSG, 200, "bad");
	free(gone);
	(void)wait_ask(&e);
	assert_non_null(
		strstr(e.url, "resourceVersion=0")); /* nothing after such a line is believed */
	answer_file(&e, "podlist_1.36.json");
	assert_string_equal(who(&e, GU_UID, ""), "shop/gu//gu deleted");
	assert_true(testhost_metric(e.t, "linnix_k8s_pods", "") == 1);
	(void)wait_ask(&e);
	(void)testhost_advance(e.t, 400 * SECOND);
	finish(&e, -EPROTO, 200, "cut");
	(void)wait_ask(&e);
	finish(&e, -EPROTO, 200, "cut");
	(void)wait_ask(&e);
	answer_file(&e, "podlist_1.36.json");
	assert_string_equal(who(&e, GU_UID, ""), "nobody");
	free(lines);
	end(&e);
}

static void deleted_pods_are_forgotten_while_a_watch_runs(void **state)
{
	char *lines = slurp("watch_1.20.jsonl"), *deleted = gu_line(lines, "DELETED");
	struct env e;

	(void)state;
	begin(&e, "vm");
	load(&e);
	(void)wait_ask(&e);
	answer_file(&e, "podlist_1.20.json");
	(void)wait_ask(&e);
	assert_int_equal(e.ask.on_head(e.ask.arg, 200), 0);
	assert_int_equal(give(&e, deleted, strlen(deleted), 1000), 0);
	assert_string_equal(who(&e, GU_UID, ""), "shop/gu//gu deleted");
	(void)testhost_advance(e.t, 400 * SECOND);
	assert_int_equal(give(&e, BOOKMARK, strlen(BOOKMARK), 1000), 0);
	assert_true(e.is_running);
	assert_string_equal(who(&e, GU_UID, ""), "nobody");
	free(deleted);
	free(lines);
	end(&e);
}

static void what_a_list_could_not_tell_is_not_gone(void **state)
{
	static const char head[] =
		"{\"metadata\":{\"resourceVersion\":\"400\"},\"items\":[{\"metadata\":7";
	char *large = calloc(1, K8S_ITEM_MAX + 128);
	struct env e;

	(void)state;
	assert_non_null(large);
	begin(&e, "vm");
	load(&e);
	(void)wait_ask(&e);
	answer_file(&e, "podlist_1.20.json");
	(void)snprintf(large, 128, "%s}]}", head);
	expire_watch(&e);
	answer(&e, 200, large);
	assert_string_equal(who(&e, BU_UID, ""), "shop/bu//bu");
	memset(large + sizeof(head) - 1, ' ', K8S_ITEM_MAX);
	memcpy(large + sizeof(head) - 1 + K8S_ITEM_MAX, "}]}", 4);
	expire_watch(&e);
	answer(&e, 200, large);
	assert_string_equal(who(&e, BU_UID, ""), "shop/bu//bu");
	assert_true(testhost_metric(e.t, "linnix_k8s_pods", "") == 4);
	/* a whole one is believed again */
	expire_watch(&e);
	answer(&e, 200, "{\"metadata\":{\"resourceVersion\":\"401\"},\"items\":[]}");
	assert_string_equal(who(&e, BU_UID, ""), "shop/bu//bu deleted");
	free(large);
	end(&e);
}

static void a_bookmark_moves_the_version_on(void **state)
{
	struct env e;

	(void)state;
	begin(&e, "vm");
	load(&e);
	(void)wait_ask(&e);
	answer_file(&e, "podlist_1.20.json");
	(void)wait_ask(&e);
	answer(&e, 200, BOOKMARK);
	assert_int_equal(e.svc->state(e.self), LNX_K8S_SYNCED);
	assert_in_range(wait_ask(&e), 500, 1600); /* its time was over: no hurry, no list */
	assert_non_null(strstr(e.url, "resourceVersion=9001&"));
	end(&e);
}

static void an_expired_version_leads_to_a_list(void **state)
{
	char *gone = slurp("watch_410.txt");
	struct env e;

	(void)state;
	*strstr(gone, "HTTP") = 0;
	begin(&e, "vm");
	load(&e);
	(void)wait_ask(&e);
	answer_file(&e, "podlist_1.20.json");
	(void)wait_ask(&e);
	answer(&e, 200, gone); /* as a line */
	assert_int_equal(e.svc->state(e.self), LNX_K8S_SYNCED);
	(void)wait_ask(&e);
	assert_non_null(strstr(e.url, "&resourceVersion=0"));
	answer(&e, 410,
	       "{\"kind\":\"Status\",\"code\":410,\"message\":\"Expired\"}"); /* as a status */
	(void)wait_ask(&e);
	assert_null(strstr(e.url, "resourceVersion")); /* the newest state */
	assert_null(strstr(e.url, "watch"));
	answer_file(&e, "podlist_1.20.json");
	assert_string_equal(who(&e, BU_UID, BU_A), "shop/bu/a/bu");
	free(gone);
	end(&e);
}

static unsigned watch_seconds(struct env *e)
{
	const char *at = strstr(e->url, "timeoutSeconds=");

	assert_non_null(at);
	return (unsigned)strtoul(at + 15, NULL, 10);
}

/* Nobody says that a connection is dead; what is known of pods must not be old for minutes in silence. */
static void where_bookmarks_come_silence_is_noticed_soon(void **state)
{
	struct env e;

	(void)state;
	begin(&e, "vm");
	load(&e);
	(void)wait_ask(&e);
	answer_file(&e, "podlist_1.20.json");
	(void)wait_ask(&e); /* the first watch is short */
	assert_in_range(watch_seconds(&e), 75, 150);
	assert_int_equal(e.ask.idle_timeout_ns, (watch_seconds(&e) + 90) * SECOND);
	(void)testhost_advance(e.t, 75 * SECOND);
	answer(&e, 200, BOOKMARK);
	(void)wait_ask(&e);
	assert_in_range(watch_seconds(&e), 240, 480);
	assert_int_equal(e.ask.idle_timeout_ns, 150 * SECOND);
	(void)testhost_advance(e.t, 150 * SECOND);
	finish(&e, -ETIMEDOUT, 200, "nothing came for 150 s");
	assert_int_equal(e.svc->state(e.self), LNX_K8S_STALE);
	assert_non_null(strstr(why(&e), "nothing came for 150 s"));
	/* it goes on from the last version */
	assert_true(wait_ask(&e) <= 1500);
	assert_non_null(strstr(e.url, "resourceVersion=9001"));
	assert_int_equal(e.ask.on_head(e.ask.arg, 200), 0);
	assert_int_equal(e.svc->state(e.self), LNX_K8S_SYNCED);
	end(&e);
}

static void without_bookmarks_silence_is_no_fault(void **state)
{
	struct env e;
	unsigned i;

	(void)state;
	begin(&e, "vm");
	load(&e);
	(void)wait_ask(&e);
	answer_file(&e, "podlist_1.20.json");
	for (i = 0; i < 4; i++) {
		(void)wait_ask(&e);
		assert_non_null(strstr(e.url, "watch=1"));
		if (i)
			assert_in_range(watch_seconds(&e), 240, 480);
		assert_int_equal(e.ask.idle_timeout_ns, (watch_seconds(&e) + 90) * SECOND);
		assert_int_equal(e.ask.on_head(e.ask.arg, 200), 0);
		(void)testhost_advance(e.t, watch_seconds(&e) * SECOND);
		finish(&e, 0, 200, "");
		assert_int_equal(e.svc->state(e.self), LNX_K8S_SYNCED);
	}
	assert_float_equal(testhost_metric(e.t, "linnix_k8s_lists_total", ""), 1, 0);
	end(&e);
}

static void containers_without_room_are_counted(void **state)
{
	struct lnx_buf json = { 0 };
	struct env e;
	unsigned i;

	(void)state;
	begin(&e, "vm");
	load(&e);
	lnx_buf_str(&json,
		    "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"5\"},\"items\":["
		    "{\"metadata\":{\"name\":\"p\",\"namespace\":\"n\",\"uid\":\"u\"},"
		    "\"status\":{\"containerStatuses\":[");
	for (i = 0; i < K8S_CONTAINERS_MAX + 6; i++)
		lnx_buf_printf(&json, "%s{\"name\":\"c%u\",\"containerID\":\"x://%u\"}",
			       i ? "," : "", i, 1000 + i);
	lnx_buf_str(&json, "]}}]}");
	lnx_buf_char(&json, 0);
	assert_int_equal(lnx_buf_error(&json), 0);
	(void)wait_ask(&e);
	answer(&e, 200, json.data);
	assert_string_equal(who(&e, "", "1063"), "n/p/c63/p");
	assert_string_equal(who(&e, "", "1064"), "nobody");
	assert_float_equal(testhost_metric(e.t, "linnix_k8s_containers_refused_total", ""), 6, 0);
	lnx_buf_done(&json);
	end(&e);
}

static void a_refused_token_is_named_and_read_again(void **state)
{
	struct env e;

	(void)state;
	begin(&e, "vm");
	load(&e);
	(void)wait_ask(&e);
	answer(&e, 401, "Unauthorized");
	assert_int_equal(testhost_health(e.t, "pods"), LNX_HEALTH_LOST);
	assert_non_null(strstr(why(&e), "refuses the token (401)"));
	set_token(&e, "def");
	(void)wait_ask(&e);
	assert_string_equal(e.auth, "Bearer def");
	answer_file(&e, "podlist_1.20.json");
	assert_int_equal(testhost_health(e.t, "pods"), LNX_HEALTH_OK);
	/* later names are not lost, only old */
	(void)wait_ask(&e);
	answer(&e, 401, "Unauthorized");
	assert_int_equal(testhost_health(e.t, "pods"), LNX_HEALTH_DEGRADED);
	assert_int_equal(e.svc->state(e.self), LNX_K8S_STALE);
	assert_string_equal(who(&e, BU_UID, BU_A), "shop/bu/a/bu");
	end(&e);
	begin(&e, "vm");
	set_token(&e, "  \n");
	load(&e);
	(void)testhost_advance(e.t, SECOND / 100);
	assert_int_equal(e.n_asked, 0);
	assert_non_null(strstr(why(&e), "empty or no token"));
	set_token(&e, "a\r\nHost: evil\r\n");
	(void)testhost_advance(e.t, 10 * SECOND);
	assert_int_equal(e.n_asked, 0);
	end(&e);
	begin(&e, "vm");
	load(&e);
	(void)wait_ask(&e);
	answer(&e, 403,
	       "{\"kind\":\"Status\",\"message\":\"pods is forbidden: User x cannot list\"}");
	assert_non_null(strstr(why(&e), "(403)"));
	assert_non_null(strstr(why(&e), "User x cannot list"));
	end(&e);
}

static void a_server_that_fails_is_asked_less_and_less(void **state)
{
	unsigned i, ms, last = 0;
	struct env e;

	(void)state;
	begin(&e, "vm");
	load(&e);
	for (i = 0; i < 10; i++) {
		ms = wait_ask(&e);
		assert_true(ms <= 91000);
		if (i == 1)
			assert_in_range(ms, 500, 1600);
		last = ms;
		if (i % 3 == 0)
			finish(&e, -ECONNREFUSED, 0, "Connection refused");
		else if (i % 3 == 1)
			answer(&e, 500, "internal");
		else
			answer(&e, 200, "[1,2]");
	}
	assert_true(last >= 30000);
	assert_int_equal(testhost_health(e.t, "pods"), LNX_HEALTH_LOST);
	(void)wait_ask(&e);
	answer_file(&e, "podlist_1.20.json");
	assert_int_equal(testhost_health(e.t, "pods"), LNX_HEALTH_OK);
	/* a watch that is cut: once more from there, then a list */
	(void)wait_ask(&e);
	assert_non_null(strstr(e.url, "watch=1"));
	(void)e.ask.on_head(e.ask.arg, 200);
	(void)testhost_advance(e.t, 100 * SECOND);
	finish(&e, -EPROTO, 200, "transfer closed with outstanding read data remaining");
	assert_int_equal(testhost_health(e.t, "pods"), LNX_HEALTH_DEGRADED);
	assert_in_range(wait_ask(&e), 500, 1600);
	assert_non_null(strstr(e.url, "watch=1"));
	(void)e.ask.on_head(e.ask.arg, 200);
	assert_int_equal(testhost_health(e.t, "pods"), LNX_HEALTH_OK);
	finish(&e, -EPROTO, 200, "cut");
	(void)wait_ask(&e);
	assert_null(strstr(e.url, "watch=1"));
	end(&e);
}

static void what_could_not_be_started_is_tried_again(void **state)
{
	struct env e;

	(void)state;
	begin(&e, "vm");
	e.start_rc = -ENOSYS;
	load(&e);
	(void)testhost_advance(e.t, SECOND / 100);
	assert_int_equal(testhost_health(e.t, "pods"), LNX_HEALTH_LOST);
	assert_non_null(strstr(why(&e), "cannot be asked"));
	e.start_rc = 0;
	(void)wait_ask(&e);
	end(&e);
}

static void every_failure_of_the_host_unwinds(void **state)
{
	static const char *const functions[] = { "metric", "event_register", "provide",
						 "timer_add" };
	struct env e;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		begin(&e, "vm");
		testhost_fail(e.t, functions[i], -ENOMEM, 0, 1);
		assert_int_equal(testhost_load(e.t, linnix_plugin_v1()), -ENOMEM);
		end(&e);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_cluster_nothing_is_done),
		cmocka_unit_test(a_missing_node_name_is_named),
		cmocka_unit_test(a_list_and_then_a_watch_from_its_version),
		cmocka_unit_test(a_pod_sums_what_its_containers_ask_for),
		cmocka_unit_test(a_watch_is_followed),
		cmocka_unit_test(deleted_pods_are_forgotten_while_a_watch_runs),
		cmocka_unit_test(what_a_list_could_not_tell_is_not_gone),
		cmocka_unit_test(a_bookmark_moves_the_version_on),
		cmocka_unit_test(an_expired_version_leads_to_a_list),
		cmocka_unit_test(where_bookmarks_come_silence_is_noticed_soon),
		cmocka_unit_test(without_bookmarks_silence_is_no_fault),
		cmocka_unit_test(containers_without_room_are_counted),
		cmocka_unit_test(a_refused_token_is_named_and_read_again),
		cmocka_unit_test(a_server_that_fails_is_asked_less_and_less),
		cmocka_unit_test(what_could_not_be_started_is_tried_again),
		cmocka_unit_test(every_failure_of_the_host_unwinds),
	};

	(void)unsetenv("KUBERNETES_SERVICE_HOST");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
