/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The plugin on the test host, with a client of HTTP whose answers the test gives: what is asked when, and what is known then. */
#include <linnix/buf.h>

#include "items.h"
#include "pod.h"
#include "test_env.h"

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
	begin_listed(&e);
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

static void what_a_list_could_not_tell_is_not_gone(void **state)
{
	static const char head[] =
		"{\"metadata\":{\"resourceVersion\":\"400\"},\"items\":[{\"metadata\":7";
	char *large = calloc(1, K8S_ITEM_MAX + 128);
	struct env e;

	(void)state;
	assert_non_null(large);
	begin_listed(&e);
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
	assert_true(testhost_near(testhost_metric(e.t, "linnix_k8s_containers_refused_total", ""),
				  6, 0));
	lnx_buf_done(&json);
	end(&e);
}

static void a_refused_token_is_named_and_read_again(void **state)
{
	struct env e;

	(void)state;
	begin_asked(&e);
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
	begin_asked(&e);
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
		cmocka_unit_test(what_a_list_could_not_tell_is_not_gone),
		cmocka_unit_test(containers_without_room_are_counted),
		cmocka_unit_test(a_refused_token_is_named_and_read_again),
		cmocka_unit_test(a_server_that_fails_is_asked_less_and_less),
		cmocka_unit_test(what_could_not_be_started_is_tried_again),
		cmocka_unit_test(every_failure_of_the_host_unwinds),
	};

	(void)unsetenv("KUBERNETES_SERVICE_HOST");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
