/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Counters of blame within a budget of series: admitted, refused, ended; nothing is counted twice or taken back. */
#include "test_fixture.h"

#define PAIRS	  "linnix_blame_stall_seconds_total"
#define WORKLOADS "linnix_workload_stall_seconds_total"

/* Seconds that workload <culprit> held <victim>. */
static double pair(struct test *f, const char *victim, const char *culprit)
{
	char labels[256];
	int other = !strcmp(victim, "_other");

	(void)snprintf(labels, sizeof(labels),
		       "resource=cpu,victim_namespace=%s,victim_workload=%s,culprit_kind=neighbour,"
		       "culprit_namespace=%s,culprit_workload=%s",
		       other ? "" : "prod", victim, other ? "" : "prod", culprit);
	return testhost_metric(f->t, PAIRS, labels);
}

static double workload(struct test *f, const char *victim)
{
	char labels[256];

	(void)snprintf(labels, sizeof(labels),
		       "victim_namespace=%s,victim_workload=%s,resource=cpu,kind=some",
		       *victim == '_' ? "" : "prod", victim);
	return testhost_metric(f->t, WORKLOADS, labels);
}

static int is_there(double v)
{
	return v > 0; /* one that is not there is no number */
}

static void waits(struct test *f, uint32_t victim, uint32_t culprit, unsigned windows)
{
	while (windows--) {
		charge(f, 1, victim, culprit, 400000000);
		tick(f);
	}
}

static void pass(struct test *f, uint64_t seconds)
{
	f->mono += seconds * SEC;
	f->boot += seconds * SEC;
}

static void budget_is_kept_and_what_is_over_it_is_other(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), b = slot_for(f, 101), c = slot_for(f, 102),
		 e = slot_for(f, 104);

	begin(f);
	waits(f, a, c, 5);
	waits(f, c, b, 5);
	waits(f, e, c, 5);
	/* Of four two are for workloads and two for pairs, those that came first; 1.2 s of each were before. */
	assert_true(testhost_near(pair(f, "shop", "twins"), 0.8, 1e-6));
	assert_true(testhost_near(pair(f, "twins", "side"), 0.8, 1e-6));
	assert_false(is_there(pair(f, "wide", "twins")));
	assert_true(testhost_near(pair(f, "_other", "_other"), 1.2 + 1.2 + 2, 1e-6));
	assert_true(testhost_near(workload(f, "shop"), 0.8, 1e-6));
	assert_true(testhost_near(workload(f, "twins"), 0.8, 1e-6));
	assert_false(is_there(workload(f, "wide")));
	assert_true(testhost_near(workload(f, "_other"), 1.2 + 1.2 + 2, 1e-6));
	/* The machine is no workload. */
	assert_false(is_there(workload(f, "_node")));
	assert_int_equal(testhost_metric_series(f->t, WORKLOADS), 3);
	assert_int_equal(testhost_metric_series(f->t, PAIRS), 3);
}

static void a_series_ends_after_an_idle_hour_and_makes_room(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), b = slot_for(f, 101), c = slot_for(f, 102),
		 e = slot_for(f, 104);

	begin(f);
	waits(f, a, c, 4);
	waits(f, c, b, 4);
	pass(f, 3000);
	waits(f, e, c, 1);
	assert_true(is_there(pair(f, "shop", "twins"))); /* not an hour yet */
	pass(f, 700);
	waits(f, e, c, 4);
	assert_false(is_there(pair(f, "shop", "twins")));
	assert_true(is_there(pair(f, "wide", "twins")));
	assert_true(testhost_near(testhost_metric(f->t, "linnix_blame_series_evicted_total", ""), 4,
				  0));
	assert_true(testhost_metric_series(f->t, PAIRS) <= 3);
}

/* A second of stall in ten minutes, not in a day. */
static void what_stalls_now_and_then_gets_no_series(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102);

	begin(f);
	for (int i = 0; i < 4; i++) {
		waits(f, a, c, 2);
		pass(f, 660);
	}
	assert_false(is_there(pair(f, "shop", "twins")));
	assert_true(testhost_near(pair(f, "_other", "_other"), 3.2, 1e-6));
	waits(f, a, c, 4);
	assert_true(testhost_near(pair(f, "shop", "twins"), 0.4, 1e-6));
}

#define BUDGET_TEST(f) \
	cmocka_unit_test_prestate_setup_teardown(f, setup, teardown, (char[]){ "budget.series=4" })

int main(void)
{
	const struct CMUnitTest tests[] = {
		BUDGET_TEST(budget_is_kept_and_what_is_over_it_is_other),
		BUDGET_TEST(a_series_ends_after_an_idle_hour_and_makes_room),
		TEST(what_stalls_now_and_then_gets_no_series),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
