/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What is asked for again after its lease. Time is driven, so the guardian, whose clock is the real one, is taken for silent. */
#include "test_fixture.h"

/* Throttled for its lease, which helped. */
static void leased(struct fix *f, double after)
{
	f->stalled_ms = 400;
	ask(f, LNX_ACTION_THROTTLE, 50, 1);
	approve_and_wait(f);
	f->stalled_ms = after;
	(void)testhost_advance(f->t, 12 * SECOND);
	assert_int_equal(state(f), LNX_ACTION_UNDONE);
	has(f, "lease is over");
}

static void open_short(struct fix *f, const char *max_per_hour)
{
	fix_make(f);
	conf(f, "dry_run", "false", "");
	conf(f, "lease", "6s", "");
	conf(f, "measure", "3s", "");
	conf(f, "max_per_hour", max_per_hour, "");
	fix_start(f);
}

static void what_is_as_before_is_asked_for_again(void **unused)
{
	char first[64];
	struct fix f;

	(void)unused;
	open_short(&f, "6");
	leased(&f, 30);
	(void)snprintf(first, sizeof(first), "%s", f.last_id);
	f.stalled_ms = 390;
	(void)testhost_advance(f.t, 3 * SECOND);
	assert_int_equal(state(&f), LNX_ACTION_UNDONE);
	(void)testhost_advance(f.t, 4 * SECOND);
	assert_int_equal(state(&f), LNX_ACTION_PROPOSED);
	assert_string_not_equal(f.last_id, first);
	has(&f, "asked again: 390.0 ms a second are lost since the lease of ");
	has(&f, first);
	has(&f, "\"incident\":\"01HZZZZZZZZZZZZZZZZZZZZZZZ\"");
	has(&f, "\"victim\":\"prod/shop\"");
	is_max(&f, "max 100000"); /* it waits for an approval as the first did */
	resolve(&f, 1);
	assert_int_equal(state(&f), LNX_ACTION_EXPIRED);
	fix_close(&f);
}

static void nothing_else_is(void **unused)
{
	struct fix f;

	(void)unused;
	/* the alert ended meanwhile; all is well; it had not helped */
	for (int i = 0; i < 3; i++) {
		open_short(&f, "6");
		leased(&f, i == 2 ? 395 : 30);
		f.stalled_ms = i == 1 ? 300 : 390;
		if (i == 0)
			resolve(&f, 1);
		(void)testhost_advance(f.t, 60 * SECOND);
		assert_int_equal(state(&f), LNX_ACTION_UNDONE);
		fix_close(&f);
	}
}

static void the_hour_is_waited_for(void **unused)
{
	struct fix f;

	(void)unused;
	open_short(&f, "1");
	leased(&f, 30);
	f.stalled_ms = 390;
	(void)testhost_advance(f.t, 3000 * SECOND);
	assert_int_equal(state(&f), LNX_ACTION_UNDONE);
	(void)testhost_advance(f.t, 700 * SECOND);
	has(&f, "asked again");
	fix_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_as_before_is_asked_for_again),
		cmocka_unit_test(nothing_else_is),
		cmocka_unit_test(the_hour_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
