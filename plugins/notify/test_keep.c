/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What outlives a restart. */
#include "test_fixture.h"

static void a_restart_goes_on(void **state)
{
	struct env e = { 0 };
	struct lnx_channel_desc d = desc_of(&e);

	(void)state;
	agent_start(&e, &d);
	opens(&e, 1);
	opens(&e, 2);
	answer(&e, 0, 200, NULL); /* 1 */
	(void)testhost_advance(e.t, SECOND);
	assert_string_equal(e.body, "open 02"); /* on its way: nobody knows */
	agent_end(&e);
	agent_start(&e, &d);
	assert_int_equal(e.n_posts, 1);
	assert_string_equal(e.body, "open 02");
	answer(&e, 0, 200, NULL);
	/* 1 and 2 were told, so their ends are */
	closes(&e, 1);
	assert_string_equal(e.body, "close 01");
	answer(&e, 0, 200, NULL);
	agent_end(&e);
	agent_start(&e, &d);
	assert_int_equal(e.n_posts, 0);
	closes(&e, 2);
	answer(&e, 0, 200, NULL);
	assert_int_equal(e.n_records, 0);
	end(&e);
}

/* The store has the incident of the last moment, but not that it is to be told. */
static void what_was_not_queued_in_time_is_found(void **state)
{
	struct env e = { 0 };
	struct lnx_channel_desc d = desc_of(&e);
	struct lnx_store_record r = { .size = sizeof(r), .kind = LNX_STORE_INCIDENT };

	(void)state;
	agent_start(&e, &d);
	opens(&e, 1);
	answer(&e, 0, 200, NULL);
	agent_end(&e);
	r.parent = "f";
	r.doc = "{\"silenced\":false}";
	r.doc_bytes = strlen(r.doc);
	r.severity = LNX_SEV_WARNING;
	r.id = "01HZZZZZZZZZZZZZZZZZZZZZ07"; /* open */
	(void)store_put(&e, &r);
	r.id = "01HZZZZZZZZZZZZZZZZZZZZZ01"; /* told as open, and over */
	r.state = 1;
	(void)store_put(&e, &r);
	r.id = "01HZZZZZZZZZZZZZZZZZZZZZ08"; /* over, and its end was told */
	(void)store_put(&e, &r);
	r.id = "01HZZZZZZZZZZZZZZZZZZZZZ09"; /* silenced */
	r.state = 0;
	r.doc = "{\"silenced\":true}";
	r.doc_bytes = strlen(r.doc);
	(void)store_put(&e, &r);
	agent_start(&e, &d);
	assert_string_equal(e.body, "close 01,open 07");
	answer(&e, 0, 200, NULL);
	end(&e);
}

/* Refused, or too old: a start that finds it open in the store does not begin anew. */
static void what_was_given_up_stays_so(void **state)
{
	struct env e = { 0 };
	struct lnx_channel_desc d = desc_of(&e);
	struct lnx_store_record r = { .size = sizeof(r), .kind = LNX_STORE_INCIDENT };

	(void)state;
	r.parent = "f";
	r.doc = "{\"silenced\":false}";
	r.doc_bytes = strlen(r.doc);
	r.severity = LNX_SEV_WARNING;
	agent_start(&e, &d);
	r.id = "01HZZZZZZZZZZZZZZZZZZZZZ01";
	(void)store_put(&e, &r);
	r.id = "01HZZZZZZZZZZZZZZZZZZZZZ02";
	(void)store_put(&e, &r);
	opens(&e, 1);
	answer(&e, 0, 400, NULL);
	d.give_up_ns = 60 * SECOND;
	assert_int_equal(e.svc->set(e.self, e.ch, &d), 0);
	opens(&e, 2);
	answer(&e, 0, 429, "Retry-After: 90");
	(void)testhost_advance(e.t, 100 * SECOND);
	assert_true(dropped(&e, "refused") == 1 && dropped(&e, "expired") == 1);
	agent_end(&e);
	agent_start(&e, &d);
	(void)testhost_advance(e.t, SECOND);
	assert_int_equal(e.n_posts, 0);
	/* it got worse: that is another message */
	event(&e, LNX_EV_INCIDENT_UPDATE, LNX_INCIDENT_SEVERITY, LNX_SEV_CRITICAL, 1);
	assert_string_equal(e.body, "open 01");
	answer(&e, 0, 400, NULL);
	/* of what nobody heard no end is told: while we look, or before the start */
	closes(&e, 1);
	agent_end(&e);
	r.state = 1;
	(void)store_put(&e, &r);
	r.id = "01HZZZZZZZZZZZZZZZZZZZZZ01";
	(void)store_put(&e, &r);
	agent_start(&e, &d);
	(void)testhost_advance(e.t, SECOND);
	assert_int_equal(e.n_posts, 0);
	for (uint32_t i = 0; i < e.n_records; i++)
		assert_int_equal(e.records[i].kind, LNX_STORE_INCIDENT);
	end(&e);
}

/* A boot before the time is known: then the clock makes years of seconds. */
static void a_step_of_the_clock_makes_nothing_old(void **state)
{
	const int64_t years = (int64_t)(50 * 365 * 86400 * SECOND);
	struct env e = { 0 };
	struct lnx_channel_desc d = desc_of(&e);

	(void)state;
	d.give_up_ns = 3600 * SECOND;
	agent_start(&e, &d);
	testhost_step_wall(e.t, -years);
	opens(&e, 1);
	answer(&e, 0, 429, "Retry-After: 90");
	testhost_step_wall(e.t, years);
	(void)testhost_advance(e.t, 100 * SECOND);
	assert_true(dropped(&e, "expired") == 0);
	assert_string_equal(e.body, "open 01");
	answer(&e, 0, 429, "Retry-After: 90");
	/* nor after a restart of the agent alone */
	agent_end(&e);
	agent_start_at(&e, &d, TESTHOST_START_NS + 1800 * SECOND);
	assert_string_equal(e.body, "open 01");
	answer(&e, 0, 429, "Retry-After: 90");
	/* what has waited for long has, whatever the date is */
	testhost_step_wall(e.t, -years);
	testhost_set_now(e.t, TESTHOST_START_NS + 3700 * SECOND);
	(void)testhost_advance(e.t, 100 * SECOND);
	assert_true(dropped(&e, "expired") == 1);
	end(&e);
}

static void the_store_is_waited_for(void **state)
{
	struct env e = { 0 };
	struct lnx_channel_desc d = desc_of(&e);

	(void)state;
	agent_start(&e, NULL);
	e.store_rc = -EAGAIN;
	assert_int_equal(e.svc->open(e.self, "hook", &d, &e.ch), 0);
	opens(&e, 1);
	(void)testhost_advance(e.t, 5 * SECOND);
	assert_int_equal(e.n_posts, 0);
	e.store_rc = -EIO; /* it is broken: on without */
	(void)testhost_advance(e.t, SECOND);
	assert_string_equal(e.body, "open 01");
	end(&e);
}

static void open_ones_are_told_again_without_writing(void **state)
{
	struct env e = { 0 };
	struct lnx_channel_desc d = desc_of(&e);
	uint32_t puts;

	(void)state;
	d.resend_ns = 60 * SECOND;
	agent_start(&e, &d);
	e.keep_what = 1;
	opens(&e, 1);
	assert_string_equal(e.body, "open 01()");
	answer(&e, 0, 200, NULL);
	puts = e.puts;
	for (int i = 0; i < 5; i++) {
		(void)testhost_advance(e.t, 61 * SECOND);
		assert_string_equal(e.body, "update 01(labels)");
		answer(&e, 0, 200, NULL);
	}
	assert_int_equal(e.puts, puts);
	agent_end(&e);
	agent_start(&e, &d);
	assert_string_equal(e.body, "update 01"); /* at once: the last run may be long ago */
	answer(&e, 0, 200, NULL);
	e.keep_what = 1;
	(void)testhost_advance(e.t, 61 * SECOND);
	assert_string_equal(e.body, "update 01(labels)");
	answer(&e, 0, 200, NULL);
	end(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_restart_goes_on),
		cmocka_unit_test(what_was_not_queued_in_time_is_found),
		cmocka_unit_test(what_was_given_up_stays_so),
		cmocka_unit_test(a_step_of_the_clock_makes_nothing_old),
		cmocka_unit_test(the_store_is_waited_for),
		cmocka_unit_test(open_ones_are_told_again_without_writing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
