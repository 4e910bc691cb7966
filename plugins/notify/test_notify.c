/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* When what is told, and how often. */
#include "test_fixture.h"

#include <time.h>

static void opening_and_end_are_told_and_little_else(void **state)
{
	struct env e = { 0 };
	struct lnx_channel_desc d = desc_of(&e);

	(void)state;
	agent_start(&e, &d);
	event(&e, LNX_EV_INCIDENT_OPEN, LNX_INCIDENT_OPENED, LNX_SEV_INFO, 1);
	event(&e, LNX_EV_INCIDENT_OPEN, LNX_INCIDENT_OPENED, LNX_SEV_WARNING | 16, 2);
	closes(&e, 2);
	assert_int_equal(e.n_posts, 0);
	opens(&e, 3);
	assert_string_equal(e.body, "open 03");
	answer(&e, 0, 204, NULL);
	event(&e, LNX_EV_INCIDENT_UPDATE, LNX_INCIDENT_EXPLANATION, LNX_SEV_WARNING, 3);
	event(&e, LNX_EV_INCIDENT_UPDATE, LNX_INCIDENT_VICTIMS, LNX_SEV_WARNING, 3);
	assert_int_equal(e.n_posts, 1);
	event(&e, LNX_EV_INCIDENT_UPDATE, LNX_INCIDENT_SEVERITY, LNX_SEV_CRITICAL, 3);
	assert_string_equal(e.body, "update 03");
	/* it ends while that is on its way */
	closes(&e, 3);
	assert_int_equal(e.n_posts, 2);
	answer(&e, 0, 200, NULL);
	(void)testhost_advance(e.t, SECOND);
	assert_string_equal(e.body, "close 03");
	answer(&e, 0, 200, NULL);
	/* one that was not worth it before */
	event(&e, LNX_EV_INCIDENT_UPDATE, LNX_INCIDENT_SEVERITY, LNX_SEV_CRITICAL, 1);
	assert_string_equal(e.body, "open 01");
	answer(&e, 0, 200, NULL);
	assert_int_equal(e.n_records, 1);
	assert_true(testhost_metric(e.t, "linnix_notify_delivered_total", "channel=hook") == 4);
	end(&e);
}

static void failures_wait_longer_and_as_long_as_asked(void **state)
{
	struct env e = { 0 };
	static const struct {
		const char *text;
		uint64_t least_s, most_s;
	} after[] = { { "Retry-After: soon", 150, 300 },
		      { "Retry-After: -700", 150, 300 },
		      { "Retry-After: 99999999999999999999", 3600, 3600 },
		      { "Retry-After: 7200", 3600, 3600 },
		      { NULL, 998, 1001 },
		      { "Retry-After: Tue, 14 Nov 2033 22:13:20 GMT", 3600, 3600 },
		      { "X-Other: 900", 150, 300 } }; /* that of before is over */
	struct lnx_channel_desc d = desc_of(&e);
	uint64_t from, waited, shortest = UINT64_MAX, longest = 0;

	(void)state;
	agent_start(&e, &d);
	opens(&e, 1);
	for (unsigned i = 0; i < 24; i++) {
		uint64_t most = i < 9 ? SECOND << i : 300 * SECOND;

		if (most > 300 * SECOND)
			most = 300 * SECOND;
		answer(&e, i & 1 ? -ETIMEDOUT : 0, 500, i == 2 ? "Retry-After: 3000" : NULL);
		from = testhost_now(e.t);
		while (!e.is_running)
			(void)testhost_advance(e.t, SECOND / 100);
		waited = testhost_now(e.t) - from;
		if (waited < most / 2 || waited > most + SECOND / 50)
			fail_msg("try %u after %llu ns", i, (unsigned long long)waited);
		assert_string_equal(e.body, "open 01");
		if (i >= 9 && waited < shortest)
			shortest = waited;
		if (i >= 9 && waited > longest)
			longest = waited;
	}
	assert_true(longest - shortest > 3 * SECOND); /* a thousand nodes spread */
	assert_true(e.ask.total_timeout_ns == d.timeout_ns);
	assert_int_equal(testhost_health(e.t, "hook"), LNX_HEALTH_DEGRADED);
	assert_string_equal(testhost_health_why(e.t, "hook"), "broken");
	answer(&e, 0, 429, "retry-after: 700");
	(void)testhost_advance(e.t, 699 * SECOND);
	assert_false(e.is_running);
	(void)testhost_advance(e.t, 2 * SECOND);
	/* Tue, 14 Nov 2023 22:13:20 GMT is the Unix time of the test's begin, boot time 0 */
	answer(&e, 0, 503, "Retry-After: Tue, 14 Nov 2023 22:13:20 GMT"); /* past */
	(void)testhost_advance(e.t, 301 * SECOND);
	for (unsigned i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
		const char *text = after[i].text;
		char line[80];

		if (!text) { /* a date from now on */
			uint64_t wall_ns =
				testhost_host(e.t)->wall_ns(testhost_ctx(e.t), testhost_now(e.t));
			time_t at = (time_t)(wall_ns / SECOND + 1000);
			struct tm tm;

			assert_non_null(gmtime_r(&at, &tm));
			assert_true(strftime(line, sizeof(line),
					     "Retry-After: %a, %d %b %Y %H:%M:%S GMT", &tm) > 0);
			text = line;
		}
		answer(&e, 0, 503, text);
		from = testhost_now(e.t);
		while (!e.is_running)
			(void)testhost_advance(e.t, SECOND / 10);
		waited = (testhost_now(e.t) - from) / SECOND;
		if (waited < after[i].least_s || waited > after[i].most_s)
			fail_msg("%s: %llu s", text, (unsigned long long)waited);
	}
	answer(&e, 0, 200, NULL);
	assert_int_equal(testhost_health(e.t, "hook"), LNX_HEALTH_OK);
	assert_true(testhost_metric(e.t, "linnix_notify_failures_total", "channel=hook") ==
		    26 + sizeof(after) / sizeof(after[0]));
	end(&e);
}

static void a_bad_one_does_not_take_others_with_it(void **state)
{
	struct env e = { 0 };
	struct lnx_channel_desc d = desc_of(&e);

	(void)state;
	d.group_ns = SECOND / 2; /* nor is waited for one by one */
	agent_start(&e, &d);
	for (int i = 1; i <= 4; i++)
		opens(&e, i);
	assert_string_equal(e.body, "open 01");
	answer(&e, 0, 200, NULL);
	(void)testhost_advance(e.t, SECOND);
	assert_string_equal(e.body, "open 02,open 03,open 04");
	answer(&e, 0, 400, NULL);
	(void)testhost_advance(e.t, 1000000);
	assert_string_equal(e.body, "open 02");
	answer(&e, 0, 200, NULL);
	(void)testhost_advance(e.t, 1000000);
	assert_string_equal(e.body, "open 03");
	answer(&e, 0, 413, NULL);
	(void)testhost_advance(e.t, 1000000);
	assert_string_equal(e.body, "open 04");
	answer(&e, 0, 200, NULL);
	assert_true(dropped(&e, "refused") == 1);
	assert_true(testhost_metric(e.t, "linnix_notify_waiting", "channel=hook") == 0);
	end(&e);
}

static void groups_and_rates(void **state)
{
	struct env e = { 0 };
	struct lnx_channel_desc d = desc_of(&e);

	(void)state;
	d.group_ns = 5 * SECOND;
	d.rate = 3;
	d.batch = 64;
	agent_start(&e, &d);
	opens(&e, 1);
	answer(&e, 0, 200, NULL);
	opens(&e, 2);
	opens(&e, 3);
	(void)testhost_advance(e.t, 4 * SECOND);
	assert_int_equal(e.n_posts, 1);
	(void)testhost_advance(e.t, 2 * SECOND);
	assert_string_equal(e.body, "open 02,open 03");
	answer(&e, 0, 200, NULL);
	opens(&e, 4);
	(void)testhost_advance(e.t, 10 * SECOND);
	answer(&e, 0, 200, NULL);
	/* three in this hour: now they wait for the next */
	for (int i = 5; i < 25; i++)
		opens(&e, i);
	closes(&e, 5);
	closes(&e, 1);
	(void)testhost_advance(e.t, 3500 * SECOND);
	assert_int_equal(e.n_posts, 3);
	(void)testhost_advance(e.t, 100 * SECOND);
	assert_int_equal(e.n_posts, 4);
	assert_int_equal(strncmp(e.body, "close 01,close 05,open 06,", 26), 0);
	assert_non_null(strstr(e.body, "open 24"));
	answer(&e, 0, 200, NULL);
	/* that was the first of its hour */
	for (int i = 30; i < 34; i++) {
		opens(&e, i);
		(void)testhost_advance(e.t, 10 * SECOND);
		if (e.is_running)
			answer(&e, 0, 200, NULL);
	}
	assert_int_equal(e.n_posts, 6);
	end(&e);
}

static void what_cannot_be_told_is_counted(void **state)
{
	struct env e = { 0 };
	struct lnx_channel_desc d = desc_of(&e);

	(void)state;
	d.give_up_ns = 3600 * SECOND;
	agent_start(&e, &d);
	e.json_rc = -ENOENT;
	opens(&e, 1);
	assert_true(dropped(&e, "gone") == 1);
	e.json_rc = -EIO; /* not now */
	opens(&e, 2);
	e.json_rc = 0;
	e.render_rc = -EPERM;
	(void)testhost_advance(e.t, 60 * SECOND);
	assert_int_equal(e.n_posts, 0);
	assert_true(testhost_log_has(e.t, "hook: the incident cannot be read"));
	assert_string_equal(testhost_health_why(e.t, "hook"), "no secret");
	e.render_rc = 0;
	e.start_rc = -ENOSYS;
	(void)testhost_advance(e.t, 600 * SECOND);
	assert_non_null(strstr(testhost_health_why(e.t, "hook"), "no request can be made"));
	(void)testhost_advance(e.t, 3600 * SECOND);
	assert_true(dropped(&e, "expired") == 1);
	e.start_rc = 0;
	closes(&e, 2); /* nobody heard of it */
	assert_int_equal(e.n_records, 0);
	(void)testhost_advance(e.t, 600 * SECOND);
	/* one told of before keeps its end */
	opens(&e, 3);
	answer(&e, 0, 200, NULL);
	e.start_rc = -ENOSYS;
	event(&e, LNX_EV_INCIDENT_UPDATE, LNX_INCIDENT_SEVERITY, LNX_SEV_CRITICAL, 3);
	(void)testhost_advance(e.t, 4000 * SECOND);
	assert_true(dropped(&e, "expired") == 2);
	e.start_rc = 0;
	closes(&e, 3);
	assert_string_equal(e.body, "close 03");
	end(&e);
}

/* The outcome of an action comes when what it was for is over: told once, and not kept for an end that was told. */
static void what_follows_the_end_leaves_nothing_behind(void **state)
{
	struct env e = { 0 };
	struct lnx_channel_desc d = desc_of(&e);

	(void)state;
	d.resend_ns = 60 * SECOND;
	agent_start(&e, &d);
	opens(&e, 1);
	answer(&e, 0, 200, NULL);
	closes(&e, 1);
	/* while the end is on its way, and asked for anew by its channel, too */
	e.closed_wall_ns = 1700000000000000000u;
	event(&e, LNX_EV_INCIDENT_UPDATE, LNX_INCIDENT_OUTCOME, LNX_SEV_WARNING, 1);
	assert_int_equal(e.svc->tell(e.self, e.ch, "01HZZZZZZZZZZZZZZZZZZZZZ01"), 0);
	answer(&e, 0, 200, NULL);
	(void)testhost_advance(e.t, SECOND);
	assert_string_equal(e.body, "close 01");
	answer(&e, 0, 200, NULL);
	assert_int_equal(e.n_records, 0);
	/* and after it */
	event(&e, LNX_EV_INCIDENT_UPDATE, LNX_INCIDENT_OUTCOME, LNX_SEV_WARNING, 1);
	assert_string_equal(e.body, "close 01");
	answer(&e, 0, 200, NULL);
	assert_int_equal(e.n_records, 0);
	(void)testhost_advance(e.t, 600 * SECOND);
	assert_int_equal(e.n_posts, 4);
	end(&e);
}

static void nobody_hears_of_what_is_silenced_meanwhile(void **state)
{
	struct env e = { 0 };
	struct lnx_channel_desc d = desc_of(&e);

	(void)state;
	agent_start(&e, &d);
	opens(&e, 1);
	answer(&e, 0, 200, NULL);
	event(&e, LNX_EV_INCIDENT_UPDATE, LNX_INCIDENT_SEVERITY, LNX_SEV_CRITICAL | 16, 1);
	assert_int_equal(e.n_posts, 1);
	event(&e, LNX_EV_INCIDENT_UPDATE, LNX_INCIDENT_SEVERITY, LNX_SEV_CRITICAL, 1);
	assert_string_equal(e.body, "update 01");
	answer(&e, 0, 200, NULL);
	end(&e);
}

/* A silence that is made while messages wait. */
static void what_waits_is_looked_at_again_before_it_goes(void **state)
{
	struct env e = { 0 };
	struct lnx_channel_desc d = desc_of(&e);

	(void)state;
	d.group_ns = 5 * SECOND;
	agent_start(&e, &d);
	opens(&e, 1);
	answer(&e, 0, 200, NULL);
	opens(&e, 2);
	event(&e, LNX_EV_INCIDENT_UPDATE, LNX_INCIDENT_SEVERITY, LNX_SEV_CRITICAL, 1);
	e.is_silenced = 1;
	(void)testhost_advance(e.t, 60 * SECOND);
	assert_int_equal(e.n_posts, 1);
	assert_true(dropped(&e, "silenced") == 2);
	assert_true(testhost_metric(e.t, "linnix_notify_waiting", "channel=hook") == 0);
	/* who heard of 1 hears of its end; nobody heard of 2 */
	closes(&e, 1);
	assert_string_equal(e.body, "close 01");
	answer(&e, 0, 200, NULL);
	closes(&e, 2);
	(void)testhost_advance(e.t, 60 * SECOND);
	assert_int_equal(e.n_posts, 2);
	assert_int_equal(e.n_records, 0);
	/* a silence that ends before its incident */
	opens(&e, 3);
	(void)testhost_advance(e.t, SECOND);
	assert_int_equal(e.n_posts, 2);
	e.is_silenced = 0;
	event(&e, LNX_EV_INCIDENT_UPDATE, LNX_INCIDENT_SILENCE, LNX_SEV_WARNING, 3);
	assert_string_equal(e.body, "open 03");
	answer(&e, 0, 200, NULL);
	end(&e);
}

static void one_that_is_told_again_and_again_rests_while_silenced(void **state)
{
	struct env e = { 0 };
	struct lnx_channel_desc d = desc_of(&e);
	uint32_t puts;

	(void)state;
	d.resend_ns = 60 * SECOND;
	agent_start(&e, &d);
	opens(&e, 1);
	answer(&e, 0, 200, NULL);
	puts = e.puts;
	e.is_silenced = 1;
	(void)testhost_advance(e.t, 600 * SECOND);
	assert_int_equal(e.n_posts, 1);
	assert_int_equal(e.puts, puts);
	assert_true(dropped(&e, "silenced") == 0);
	e.is_silenced = 0;
	(void)testhost_advance(e.t, 61 * SECOND);
	assert_string_equal(e.body, "update 01");
	/* one that is refused is due again later, and not at once */
	answer(&e, 0, 400, NULL);
	(void)testhost_advance(e.t, 30 * SECOND);
	assert_int_equal(e.n_posts, 2);
	(void)testhost_advance(e.t, 31 * SECOND);
	assert_int_equal(e.n_posts, 3);
	answer(&e, 0, 200, NULL);
	end(&e);
}

/* One of a group is bad: all of them together are one message of the rate. */
static void one_by_one_is_one_message_of_the_rate(void **state)
{
	struct env e = { 0 };
	struct lnx_channel_desc d = desc_of(&e);

	(void)state;
	d.rate = 3;
	agent_start(&e, &d);
	for (int i = 1; i <= 4; i++)
		opens(&e, i);
	answer(&e, 0, 200, NULL);
	(void)testhost_advance(e.t, SECOND);
	assert_string_equal(e.body, "open 02,open 03,open 04");
	answer(&e, 0, 400, NULL);
	for (int i = 2; i <= 4; i++) {
		(void)testhost_advance(e.t, 1000000);
		assert_int_equal(e.n_posts, 1 + i);
		answer(&e, 0, i == 3 ? 400 : 200, NULL);
	}
	opens(&e, 5); /* the third */
	assert_string_equal(e.body, "open 05");
	answer(&e, 0, 200, NULL);
	opens(&e, 6);
	(void)testhost_advance(e.t, SECOND);
	assert_int_equal(e.n_posts, 6);
	end(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opening_and_end_are_told_and_little_else),
		cmocka_unit_test(failures_wait_longer_and_as_long_as_asked),
		cmocka_unit_test(a_bad_one_does_not_take_others_with_it),
		cmocka_unit_test(groups_and_rates),
		cmocka_unit_test(what_cannot_be_told_is_counted),
		cmocka_unit_test(what_follows_the_end_leaves_nothing_behind),
		cmocka_unit_test(nobody_hears_of_what_is_silenced_meanwhile),
		cmocka_unit_test(what_waits_is_looked_at_again_before_it_goes),
		cmocka_unit_test(one_that_is_told_again_and_again_rests_while_silenced),
		cmocka_unit_test(one_by_one_is_one_message_of_the_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
