/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Watches of pods: what they tell, how they end, and that silence is noticed. */
#include "test_env.h"

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
	begin_asked(&e);
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
	begin_listed(&e);
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

static void a_bookmark_moves_the_version_on(void **state)
{
	struct env e;

	(void)state;
	begin_listed(&e);
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
	begin_listed(&e);
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
	begin_listed(&e);
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
	begin_listed(&e);
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
	assert_true(testhost_near(testhost_metric(e.t, "linnix_k8s_lists_total", ""), 1, 0));
	end(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_watch_is_followed),
		cmocka_unit_test(deleted_pods_are_forgotten_while_a_watch_runs),
		cmocka_unit_test(a_bookmark_moves_the_version_on),
		cmocka_unit_test(an_expired_version_leads_to_a_list),
		cmocka_unit_test(where_bookmarks_come_silence_is_noticed_soon),
		cmocka_unit_test(without_bookmarks_silence_is_no_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
