/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The governor under driven time, and what plugin stall does with its decisions. */
#include "govern.h"

#include "test_fixture.h"

/* A machine: costs of the agent at each level, by its load. */
struct machine {
	struct stall_govern g;
	uint64_t now_ns, credit_ns, budget_ns, user_ns;
	double switches, per_switch[STALL_LEVELS];
	uint32_t changes;
};

static void machine_init(struct machine *m)
{
	*m = (struct machine){ .now_ns = 1000 * SEC,
			       .budget_ns = 20 * MS,
			       .credit_ns = 40 * MS,
			       .user_ns = 2 * MS,
			       .per_switch = { 800, 500, 0 } };
	stall_govern_init(&m->g, 10 * SEC);
}

/* One second. */
static void second(struct machine *m, double switches)
{
	uint64_t ledger_ns = (uint64_t)(switches * m->per_switch[m->g.level]),
		 used_ns = m->user_ns + ledger_ns, have_ns = m->credit_ns + m->budget_ns;
	struct stall_cost c = { .window_ns = SEC,
				.used_ns = used_ns,
				.ledger_ns = ledger_ns,
				.budget_ns = m->budget_ns,
				.switches = switches };
	uint32_t was = m->g.level;

	m->now_ns += SEC;
	m->credit_ns = have_ns > used_ns ? have_ns - used_ns : 0;
	if (m->credit_ns > 40 * MS)
		m->credit_ns = 40 * MS;
	c.credit_ns = m->credit_ns;
	c.now_ns = m->now_ns;
	m->changes += stall_govern_step(&m->g, &c) != was;
	assert_in_range(m->g.level > was ? m->g.level - was : was - m->g.level, 0, 1);
}

static void seconds(struct machine *m, unsigned n, double switches)
{
	while (n--)
		second(m, switches);
}

static void a_load_within_the_budget_changes_nothing(void **state)
{
	struct machine m;

	(void)state;
	machine_init(&m);
	seconds(&m, 3600, 20000); /* 18 of 20 ms */
	assert_int_equal(m.changes, 0);
}

static void a_burst_is_paid_from_what_was_saved(void **state)
{
	struct machine m;

	(void)state;
	machine_init(&m);
	seconds(&m, 1, 60000); /* 50 ms */
	seconds(&m, 10, 1000);
	seconds(&m, 1, 60000);
	assert_int_equal(m.changes, 0);
}

static void detail_of_processes_goes_first_and_that_may_do(void **state)
{
	struct machine m;

	(void)state;
	machine_init(&m);
	seconds(&m, 60, 30000); /* 26 ms with detail, 17 without */
	assert_int_equal(m.g.level, STALL_LEVEL_SLOTS);
	assert_int_equal(m.changes, 1);
	seconds(&m, 3600, 30000);
	assert_int_equal(m.changes, 1); /* it is known what detail would cost */
}

static void then_the_ledger_and_both_come_back_when_the_load_is_gone(void **state)
{
	struct machine m;
	unsigned n = 0;

	(void)state;
	machine_init(&m);
	seconds(&m, 3, 1000000);
	assert_int_equal(m.g.level, STALL_LEVEL_SLOTS);
	seconds(&m, 3, 1000000);
	assert_int_equal(m.g.level, STALL_LEVEL_PSI);
	seconds(&m, 3600, 1000000);
	assert_int_equal(m.changes, 2);
	while (m.g.level != STALL_LEVEL_FULL && n++ < 60)
		second(&m, 1000);
	assert_in_range(n, 20, 30); /* a hold for each step */
	assert_int_equal(m.changes, 4);
	assert_int_equal(m.g.n_steps, 2);
}

static void a_load_that_comes_and_goes_makes_it_wait_longer(void **state)
{
	struct machine m;
	uint32_t before;

	(void)state;
	machine_init(&m);
	for (unsigned i = 0; i < 600; i++) { /* three hours, a burst every 18 s */
		seconds(&m, 6, 1000000);
		seconds(&m, 12, 1000);
	}
	assert_true(m.g.wait_ns == 600 * SEC);
	before = m.changes;
	for (unsigned i = 0; i < 200; i++) {
		seconds(&m, 6, 1000000);
		seconds(&m, 12, 1000);
	}
	assert_in_range(m.changes - before, 0, 12); /* an hour */
	/* It forgets when a step up has lasted. */
	seconds(&m, 4000, 1000);
	assert_int_equal(m.g.level, STALL_LEVEL_FULL);
	seconds(&m, 8, 1000000);
	assert_true(m.g.wait_ns == 10 * SEC);
}

static void nothing_is_shed_for_a_cost_that_is_not_the_ledgers(void **state)
{
	struct machine m;

	(void)state;
	machine_init(&m);
	m.user_ns = 90 * MS;
	seconds(&m, 600, 10000);
	assert_int_equal(m.changes, 0);
}

static void without_a_rate_of_switches_only_trying_tells(void **state)
{
	struct machine m;

	(void)state;
	machine_init(&m);
	seconds(&m, 8, 1000000);
	assert_int_equal(m.g.level, STALL_LEVEL_PSI);
	for (unsigned i = 0; i < 15; i++) {
		struct stall_cost c = { .now_ns = m.now_ns += SEC,
					.window_ns = SEC,
					.used_ns = m.user_ns,
					.budget_ns = m.budget_ns,
					.switches = NAN };

		(void)stall_govern_step(&m.g, &c);
	}
	assert_int_equal(m.g.level, STALL_LEVEL_SLOTS);
}

/* Random loads for hours: one step at a time, never up while over budget, and not more often than the waits allow. */
static void it_never_flaps(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 50; seed++) {
		uint32_t r = seed * 2654435761U, ups = 0;
		struct machine m;

		machine_init(&m);
		for (unsigned i = 0; i < 3 * 3600; i++) {
			uint32_t was = m.g.level;
			uint64_t since = m.now_ns - m.g.changed_ns;

			r = r * 1664525 + 1013904223;
			second(&m, r >> 28 < 8 ? r >> 20 : (double)(r >> 11));
			if (m.g.level < was) {
				ups++;
				assert_true(since + SEC >= m.g.hold_ns);
			}
		}
		assert_in_range(ups, 0, 400);
	}
}

/* ---- in the plugin */

static void cost(struct test *f, uint64_t user_ms, uint64_t bpf_ms, uint64_t credit_ms)
{
	struct lnx_ev_agent_cost e = {
		.h = { sizeof(e), LNX_EV_AGENT_COST, sizeof(e), f->boot, 1, LNX_CPU_NONE },
		.window_ns = SEC,
		.user_ns = user_ms * MS,
		.bpf_ns = bpf_ms * MS,
		.budget_ns = 20 * MS,
		.credit_ns = credit_ms * MS,
	};

	assert_int_equal(testhost_deliver(f->t, &e.h), 0);
}

/* The programs of the ledger ran <n> times, 1 us each. */
static void runs(struct test *f, uint64_t n)
{
	struct lnx_ledger_prog *p = &f->cpus[0].prog[LNX_LEDGER_PROG_SWITCH];

	f->cpus[0].runs[LNX_LEDGER_PROG_SWITCH] += n;
	p->timed += n / 1000;
	p->timed_ns += n;
}

static void over(struct test *f)
{
	for (unsigned i = 0; i < 4; i++) {
		runs(f, 100000);
		tick(f);
		cost(f, 5, 100, 0);
	}
}

static void answers_say_what_the_budget_took_away(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102);
	struct stall_query q = { .resource = LNX_RES_CPU, .to_ns = UINT64_MAX, .limit = 100 };
	const struct lnx_svc_stall *svc;
	struct lnx_stall_share share;
	struct lnx_buf out = { 0 };
	void *self;

	svc = testhost_service(f->t, "stall/1", &self);
	tick(f);
	tick(f);
	assert_string_equal(svc->degraded(self, LNX_RES_CPU, 1), "");
	runs(f, 100000);
	cost(f, 5, 100, 0);
	assert_int_equal(f->tab->no_detail, 1);
	assert_int_equal(testhost_health(f->t, "budget"), LNX_HEALTH_DEGRADED);
	assert_true(testhost_near(testhost_metric(f->t, "linnix_stall_shed_level", ""), 1, 0));
	charge(f, 0, a, c, 50 * MS);
	tick(f);
	assert_string_equal(svc->degraded(self, LNX_RES_CPU, 0), "");
	assert_non_null(strstr(svc->degraded(self, LNX_RES_CPU, 1), "no process is named"));
	assert_int_equal(svc->process(self, LNX_RES_CPU, 1, 1, 0, &share), 0);
	assert_true(isnan(share.psi_contribution));
	assert_int_equal(svc->workload(self, LNX_RES_CPU, 102, 0, &share), 0);
	assert_true(testhost_near(share.caused_ms, 50, 1e-6));
	assert_int_equal(stall_blame_json(f->s, &q, &out), 0);
	assert_non_null(strstr(out.data, "over-budget-no-process-detail"));
	assert_null(strstr(out.data, "over-budget-psi-only"));
	lnx_buf_done(&out);
}

static void it_goes_to_pressure_only_and_comes_back(void **state)
{
	struct test *f = *state;
	struct stall_query q = { .resource = LNX_RES_CPU, .to_ns = UINT64_MAX, .limit = 100 };
	struct lnx_buf out = { 0 };

	tick(f);
	tick(f);
	assert_int_equal(testhost_probe_wanted(f->t, "sched"), 1);
	over(f);
	assert_int_equal(testhost_probe_wanted(f->t, "sched"), 0);
	assert_int_equal(stall_method(f->s, LNX_RES_CPU) == LNX_METHOD_EXACT, 0);
	assert_non_null(strstr(f->s->probe.why, "over its CPU budget"));
	f->s->whos.who[STALL_WHO_NODE].sample_ns[LNX_RES_CPU][0] = 70 * MS;
	/* what the programs left */
	f->cpus[0].n_wait = 3;
	f->cpus[0].lone = 4711;
	f->cpus[0].cur_moves = f->tab->moves;
	tick(f);
	assert_int_equal(stall_blame_json(f->s, &q, &out), 0);
	assert_non_null(strstr(out.data, "over-budget-psi-only"));
	lnx_buf_done(&out);
	for (unsigned i = 0; i < 12; i++) {
		f->boot += SEC;
		cost(f, 1, 0, 10);
	}
	assert_int_equal(testhost_probe_wanted(f->t, "sched"), 1);
	assert_int_equal(f->cpus[0].n_wait, 0);
	assert_int_equal(f->cpus[0].lone, 0);
	assert_int_equal(f->cpus[0].cur_moves, 0);
	assert_int_equal(f->tab->no_detail, 1);
	tick(f);
	tick(f);
	assert_int_equal(stall_method(f->s, LNX_RES_CPU), LNX_METHOD_EXACT);
	for (unsigned i = 0; i < 12; i++) {
		f->boot += SEC;
		cost(f, 1, 0, 10);
	}
	assert_int_equal(f->tab->no_detail, 0);
	assert_int_equal(testhost_health(f->t, "budget"), LNX_HEALTH_OK);
	assert_true(testhost_near(testhost_metric(f->t, "linnix_stall_shed_level", ""), 0, 0));
	assert_true(testhost_near(testhost_metric(f->t, "linnix_stall_sheds_total", ""), 2, 0));
}

static void a_ledger_that_is_off_anyway_is_left_alone(void **state)
{
	struct test *f = *state;

	stall_probe_pause(f->s, "off");
	over(f);
	assert_int_equal(f->s->shed.govern.level, STALL_LEVEL_FULL);
	assert_string_equal(f->s->probe.why, "off");
}

static void who_waited_before_a_pause_is_forgotten(void **state)
{
	const struct lnx_host *h;
	char note[24] = "";
	struct test *f = *state;
	uint32_t pid;

	h = testhost_host(f->t);
	for (pid = 7; pid < 10; pid++)
		assert_int_equal(h->map_update(testhost_ctx(f->t), f->tasks_fd, &pid, note, 0), 0);
	stall_probe_pause(f->s, "off");
	assert_int_equal(stall_probe_resume(f->s), 0);
	assert_int_not_equal(h->map_next(testhost_ctx(f->t), f->tasks_fd, NULL, &pid), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_load_within_the_budget_changes_nothing),
		cmocka_unit_test(a_burst_is_paid_from_what_was_saved),
		cmocka_unit_test(detail_of_processes_goes_first_and_that_may_do),
		cmocka_unit_test(then_the_ledger_and_both_come_back_when_the_load_is_gone),
		cmocka_unit_test(a_load_that_comes_and_goes_makes_it_wait_longer),
		cmocka_unit_test(nothing_is_shed_for_a_cost_that_is_not_the_ledgers),
		cmocka_unit_test(without_a_rate_of_switches_only_trying_tells),
		cmocka_unit_test(it_never_flaps),
		TEST(answers_say_what_the_budget_took_away),
		TEST(it_goes_to_pressure_only_and_comes_back),
		TEST(a_ledger_that_is_off_anyway_is_left_alone),
		TEST(who_waited_before_a_pause_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
