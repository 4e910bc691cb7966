/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What GET /recording asks of the core, and for how long it keeps events wanted. The core is replaced by a small one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "testhost_http.h"
#include <cmocka.h>
#include <errno.h>
#include <linnix/svc_core.h>
#include <stdlib.h>
#include <string.h>

struct fake {
	struct testhost *t;
	struct lnx_recording asked;
	int rc;
};

static int fake_recording(void *self, struct lnx_recording *io, struct lnx_buf *out)
{
	struct fake *f = self;

	f->asked = *io;
	io->missed = 7;
	lnx_buf_str(out, "bytes");
	return f->rc;
}

static const struct lnx_svc_core fake_core = {
	.size = sizeof(fake_core),
	.recording = fake_recording,
};
static const struct lnx_svc_core old_core = {
	.size = offsetof(struct lnx_svc_core, recording),
};

static int setup(void **state)
{
	struct fake *f = calloc(1, sizeof(*f));

	f->t = testhost_new();
	assert_int_equal(testhost_provide(f->t, "core/1", &fake_core, f), 0);
	assert_int_equal(testhost_http(f->t), 0);
	assert_int_equal(testhost_load(f->t, linnix_plugin_v1()), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fake *f = *state;

	testhost_free(f->t);
	free(f);
	return 0;
}

/* <last_s> NULL: not asked; <since_seq>, too. */
static const struct testhost_answer *ask(struct fake *f, const char *since_seq, const char *last_s)
{
	char seq[64], last[64];
	const char *params[3] = { NULL };
	const struct testhost_request request = { .params = params };
	const struct testhost_answer *a;
	unsigned n = 0;

	(void)snprintf(seq, sizeof(seq), "since_seq=%s", since_seq ? since_seq : "");
	(void)snprintf(last, sizeof(last), "last_s=%s", last_s ? last_s : "");
	if (since_seq)
		params[n++] = seq;
	if (last_s)
		params[n++] = last;
	a = testhost_ask(f->t, "GET /recording", &request);
	assert_non_null(a);
	if (a->status == 200)
		assert_string_equal(a->type, "application/octet-stream");
	return a;
}

static int is_wanted(struct fake *f)
{
	static const struct lnx_event ev = { sizeof(ev), LNX_EV_HOST_SAMPLE, sizeof(ev), 0, 0, 0 };

	return testhost_deliver(f->t, &ev) == 0;
}

static void events_are_wanted_while_somebody_records(void **state)
{
	struct fake *f = *state;
	int i;

	assert_false(is_wanted(f));
	assert_int_equal(ask(f, NULL, NULL)->status, 200);
	assert_true(f->asked.is_begin);
	assert_int_equal(f->asked.since_ns, 0);
	for (i = 0; i < 5; i++) {
		(void)testhost_advance(f->t, 9000000000ULL);
		assert_true(is_wanted(f));
		assert_string_equal(ask(f, "17", NULL)->body, "bytes");
		assert_false(f->asked.is_begin);
		assert_int_equal(f->asked.since_seq, 17);
	}
	(void)testhost_advance(f->t, 11000000000ULL);
	assert_false(is_wanted(f));
	/* who asks later for more does not begin anew */
	(void)ask(f, "17", NULL);
	assert_false(is_wanted(f));
	assert_true(
		testhost_near(testhost_metric(f->t, "linnix_recording_pieces_total", ""), 7, 0));
	assert_true(
		testhost_near(testhost_metric(f->t, "linnix_recording_missed_total", ""), 49, 0));
}

static void the_last_seconds_need_no_subscription(void **state)
{
	struct fake *f = *state;

	assert_int_equal(ask(f, NULL, "60")->status, 200);
	assert_int_equal(f->asked.since_ns, TESTHOST_START_NS - 60000000000ULL);
	assert_false(is_wanted(f));
	/* longer than the machine runs */
	assert_int_equal(ask(f, NULL, "86400")->status, 200);
	assert_int_equal(f->asked.since_ns, 1);
}

static void what_cannot_be_is_refused(void **state)
{
	struct fake *f = *state;

	assert_int_equal(ask(f, "1", "60")->status, 400);
	f->rc = -ERANGE;
	assert_int_equal(ask(f, "99", NULL)->status, 410);
	f->rc = -ENOMEM;
	assert_int_equal(ask(f, "1", NULL)->status, 503);
	assert_true(
		testhost_near(testhost_metric(f->t, "linnix_recording_pieces_total", ""), 0, 0));
}

static void an_agent_that_cannot_record_stops_the_start(void **state)
{
	struct testhost *t = testhost_new();

	(void)state;
	assert_int_equal(testhost_provide(t, "core/1", &old_core, NULL), 0);
	assert_int_equal(testhost_http(t), 0);
	assert_int_equal(testhost_load(t, linnix_plugin_v1()), -ENOSYS);
	testhost_free(t);
}

static void a_subscription_that_fails_is_said(void **state)
{
	struct fake *f = *state;

	testhost_fail(f->t, "subscribe", -ENOMEM, 0, 1);
	assert_int_equal(ask(f, NULL, NULL)->status, 200);
	assert_true(testhost_log_has(f->t, "only events that others want"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(events_are_wanted_while_somebody_records, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_last_seconds_need_no_subscription, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_is_refused, setup, teardown),
		cmocka_unit_test(an_agent_that_cannot_record_stops_the_start),
		cmocka_unit_test_setup_teardown(a_subscription_that_fails_is_said, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
