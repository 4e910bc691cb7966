/* SPDX-License-Identifier: MIT */
/* Plugin crashes on the fake host: no agent, no kernel, no root, no waiting. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <linnix/ev_proc.h>
#include <testhost.h>

#define SECOND 1000000000ULL

static int setup(void **ret)
{
	*ret = testhost_new();
	return *ret ? 0 : -ENOMEM;
}

static int teardown(void **ret)
{
	testhost_free(*ret);
	return 0;
}

static int end_of_process(struct testhost *t, uint32_t signal)
{
	struct lnx_ev_proc_exit e = { .h = { .type = LNX_EV_PROC_EXIT, .pid = 42 } };

	e.h.size = e.h.fixed = sizeof(e);
	e.signal = signal;
	memcpy(e.comm, "victim", 7);
	return testhost_deliver(t, &e.h);
}

static void burst_is_published_once_per_window(void **state)
{
	struct testhost *t = *state;
	char json[512];
	int i;

	assert_int_equal(testhost_conf(t, "limit=3"), 0);
	assert_int_equal(testhost_load(t, linnix_plugin_v1()), 0);
	for (i = 0; i < 4; i++)
		assert_int_equal(end_of_process(t, 11), 0);
	assert_int_equal(testhost_published(t), 0);
	assert_int_equal(testhost_advance(t, 10 * SECOND), 1);
	assert_int_equal(testhost_count(t, "crashes.burst"), 1);
	assert_true(testhost_host(t)->event_json(testhost_ctx(t), testhost_event(t, 0), NULL, json,
						 sizeof(json)) > 0);
	assert_non_null(strstr(json, "\"crashes\":4,\"window_ns\":10000000000,\"signal\":11,"
				     "\"comm\":\"victim\""));
	assert_int_equal(testhost_advance(t, 10 * SECOND), 1);
	assert_int_equal(testhost_published(t), 1);
}

static void plain_ends_and_few_crashes_are_silent(void **state)
{
	struct testhost *t = *state;
	int i;

	assert_int_equal(testhost_load(t, linnix_plugin_v1()), 0);
	for (i = 0; i < 100; i++)
		assert_int_equal(end_of_process(t, i < 4 ? 6 : 0), 0);
	assert_int_equal(testhost_advance(t, 30 * SECOND), 3);
	assert_int_equal(testhost_published(t), 0);
	assert_true(testhost_metric(t, "crashes_processes_total", "") == 4);
}

static void limit_changes_on_reload(void **state)
{
	struct testhost *t = *state;

	assert_int_equal(testhost_load(t, linnix_plugin_v1()), 0);
	assert_int_equal(testhost_conf(t, "limit=1"), 0);
	assert_int_equal(testhost_reload(t), 0);
	assert_int_equal(end_of_process(t, 9), 0);
	assert_int_equal(testhost_advance(t, 10 * SECOND), 1);
	assert_int_equal(testhost_published(t), 1);
	assert_int_equal(testhost_conf(t, "limit=0"), 0);
	assert_int_equal(testhost_reload(t), -EINVAL);
}

static void short_event_is_refused(void **state)
{
	struct lnx_event e = { .size = sizeof(e), .type = LNX_EV_PROC_EXIT, .fixed = sizeof(e) };
	struct testhost *t = *state;

	assert_int_equal(testhost_load(t, linnix_plugin_v1()), 0);
	assert_int_equal(testhost_deliver(t, &e), -EINVAL);
}

static void failures_of_the_host_are_handled(void **state)
{
	struct testhost *t = *state;

	testhost_fail(t, "metric", -ENOSPC, 0, 1);
	assert_int_equal(testhost_load(t, linnix_plugin_v1()), -ENOSPC);
	assert_int_equal(testhost_conf(t, "limit=1"), 0);
	assert_int_equal(testhost_load(t, linnix_plugin_v1()), 0);
	testhost_fail(t, "publish", -ENOBUFS, 0, 1);
	assert_int_equal(end_of_process(t, 9), 0);
	assert_int_equal(testhost_advance(t, 10 * SECOND), 1);
	assert_true(testhost_log_has(t, "a burst was not published"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(burst_is_published_once_per_window),
		TEST(plain_ends_and_few_crashes_are_silent),
		TEST(limit_changes_on_reload),
		TEST(short_event_is_refused),
		TEST(failures_of_the_host_are_handled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
