/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Requests, decisions and outcomes. */
#include "test_fixture.h"

static void a_dry_run_says_it_all_and_writes_nothing(void **unused)
{
	struct fix f;

	(void)unused;
	fix_make(&f);
	fix_start(&f);
	ask(&f, LNX_ACTION_THROTTLE, 50, 1);
	assert_int_equal(state(&f), LNX_ACTION_DRY_RUN);
	has(&f, "write '50000 100000' to ");
	has(&f, "/batch/cpu.max (now 'max 100000'); give it back after 300 s");
	ask(&f, LNX_ACTION_WEIGHT, 10, 1);
	has(&f, "write '10' to ");
	ask(&f, LNX_ACTION_FREEZE, NAN, 1);
	has(&f, "write '1' to ");
	ask(&f, LNX_ACTION_SIGNAL, SIGKILL, 1);
	has(&f, "send KILL to 1 process: ");
	has(&f, "; that cannot be taken back");
	assert_int_equal(state(&f), LNX_ACTION_DRY_RUN);
	assert_string_equal(f.last_what, "action-dry-run");
	is_max(&f, "max 100000");
	assert_string_equal(read_back(&f, "cgroup.freeze"), "0");
	assert_int_equal(kill(f.child, 0), 0);
	/* the same again is only counted */
	ask(&f, LNX_ACTION_THROTTLE, 50, 1);
	assert_int_equal(testhost_metric(f.t, "linnix_actions_repeated_total", ""), 1);
	fix_close(&f);
}

static void what_must_not_be_touched_is_refused(void **unused)
{
	char text[64];
	struct fix f;

	(void)unused;
	fix_open_with(&f, "protect", "bat*");
	refused(&f, LNX_ACTION_THROTTLE, 50, "cgroup /batch is protected");
	conf(&f, "protect", "", "");
	conf(&f, "verbs", "throttle,signal", "");
	assert_int_equal(testhost_reload(f.t), 0);
	refused(&f, LNX_ACTION_FREEZE, NAN, "freeze is not among enforce.verbs");
	f.is_ignored = 1;
	refused(&f, LNX_ACTION_THROTTLE, 50, "the pod is labelled linnix.dev/ignore");
	refused(&f, LNX_ACTION_SIGNAL, SIGTERM, "the pod is labelled linnix.dev/ignore");
	f.is_ignored = 0;
	(void)snprintf(text, sizeof(text), "%d\n%d\n", (int)f.child, (int)getpid());
	put(&f, "cgroup.procs", text);
	refused(&f, LNX_ACTION_THROTTLE, 50, "is the agent or what it runs under");
	put(&f, "cgroup.procs", "1\n");
	refused(&f, LNX_ACTION_THROTTLE, 50, "process 1 is never touched");
	put(&f, "cgroup.procs", "");
	put(&f, "cpu.max", "20000 100000\n");
	refused(&f, LNX_ACTION_THROTTLE, 50, "its quota is 20% of a CPU already");
	put(&f, "cpu.max", "nonsense\n");
	refused(&f, LNX_ACTION_THROTTLE, 50, "has no cpu.max that could be set");
	fix_close(&f);
}

static void a_proposal_ends_without_a_decision(void **unused)
{
	struct fix f;

	(void)unused;
	fix_open(&f);
	ask(&f, LNX_ACTION_THROTTLE, 50, 1);
	assert_int_equal(state(&f), LNX_ACTION_PROPOSED);
	has(&f, "\"incident\":\"01HZZZZZZZZZZZZZZZZZZZZZZZ\"");
	has(&f, "\"victim\":\"prod/shop\"");
	/* two alerts ask for it: it ends with the second */
	ask(&f, LNX_ACTION_THROTTLE, 50, 2);
	resolve(&f, 3);
	resolve(&f, 1);
	assert_int_equal(state(&f), LNX_ACTION_PROPOSED);
	resolve(&f, 2);
	assert_int_equal(state(&f), LNX_ACTION_EXPIRED);
	has(&f, "the alert is over");
	ask(&f, LNX_ACTION_THROTTLE, 50, 1);
	assert_int_equal(state(&f), LNX_ACTION_PROPOSED);
	(void)testhost_advance(f.t, 601 * SECOND);
	assert_int_equal(state(&f), LNX_ACTION_EXPIRED);
	has(&f, "nobody approved it in time");
	assert_int_equal(approve(&f), -EALREADY);
	fix_close(&f);
}

static void who_decides_is_needed_and_is_kept(void **unused)
{
	struct fix f;
	struct lnx_action a;

	(void)unused;
	fix_open(&f);
	ask(&f, LNX_ACTION_THROTTLE, 50, 1);
	assert_int_equal(f.svc->approve(f.self, f.last_id, "", f.text, sizeof(f.text)), -EINVAL);
	assert_int_equal(f.svc->approve(f.self, "nonsense", "x", f.text, sizeof(f.text)), -EINVAL);
	assert_int_equal(
		f.svc->approve(f.self, "01HZZZZZZZZZZZZZZZZZZZZZZZ", "x", f.text, sizeof(f.text)),
		-ENOENT);
	assert_int_equal(f.svc->approve(f.self, "elsewhere/01HZZZZZZZZZZZZZZZZZZZZZZZ", "x", f.text,
					sizeof(f.text)),
			 -EXDEV);
	assert_int_equal(f.svc->undo(f.self, f.last_id, "x", f.text, sizeof(f.text)), -EALREADY);
	assert_int_equal(f.svc->reject(f.self, f.last_id, "slack U1 (ann)", f.text, sizeof(f.text)),
			 0);
	assert_int_equal(state(&f), LNX_ACTION_REJECTED);
	has(&f, "\"by\":\"slack U1 (ann)\"");
	assert_string_equal(f.last_what, "action-rejected");
	assert_int_equal(f.svc->get(f.self, f.last_id, &a), 0);
	assert_string_equal(a.by, "slack U1 (ann)");
	assert_int_equal(approve(&f), -EALREADY);
	/* whoever said no is not asked again at once */
	ask(&f, LNX_ACTION_THROTTLE, 50, 1);
	assert_int_equal(state(&f), LNX_ACTION_REJECTED);
	fix_close(&f);
}

static void a_trusted_rule_waits_for_the_grace_period(void **unused)
{
	struct fix f;

	(void)unused;
	fix_open_with(&f, "auto", "ca*");
	ask(&f, LNX_ACTION_THROTTLE, 50, 1);
	(void)testhost_advance(f.t, 14 * SECOND);
	assert_int_equal(testhost_run_jobs(f.t), 0);
	assert_int_equal(state(&f), LNX_ACTION_PROPOSED);
	(void)testhost_advance(f.t, 2 * SECOND);
	assert_int_equal(testhost_run_jobs(f.t), 1);
	assert_int_equal(testhost_run_until(f.t, is_applied, &f, 60000), 0);
	has(&f, "\"by\":\"auto (rule calm)\"");
	assert_string_equal(read_back(&f, "cpu.max"), "50000 100000");
	testhost_unload(f.t);
	is_max(&f, "max 100000");
	fix_close(&f);
}

static void it_is_measured(void **unused)
{
	static const struct {
		double before, after;
		uint32_t outcome, state;
	} cases[] = { { 400, 30, LNX_OUTCOME_HELPED, LNX_ACTION_MEASURED },
		      { 400, 390, LNX_OUTCOME_NO_CHANGE, LNX_ACTION_MEASURED },
		      { 5, 1, LNX_OUTCOME_NO_CHANGE, LNX_ACTION_MEASURED },
		      { 5, 20, LNX_OUTCOME_NO_CHANGE, LNX_ACTION_MEASURED },
		      { 100, 130, LNX_OUTCOME_WORSE, LNX_ACTION_UNDONE },
		      { 0, 600, LNX_OUTCOME_WORSE, LNX_ACTION_UNDONE } };
	const struct lnx_ev_action_done *e;
	struct fix f;

	(void)unused;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fix_open(&f);
		f.stalled_ms = cases[i].before;
		ask(&f, LNX_ACTION_THROTTLE, 50, 1);
		approve_and_wait(&f);
		f.stalled_ms = cases[i].after;
		(void)testhost_advance(f.t, 13 * SECOND);
		e = (const void *)testhost_last(f.t, "action.done");
		assert_int_equal(e->state, cases[i].state);
		assert_int_equal(e->outcome, cases[i].outcome);
		assert_true(fabs(e->before_ms_per_s - cases[i].before) < 0.01);
		assert_true(fabs(e->after_ms_per_s - cases[i].after) < 0.01);
		assert_int_equal(f.n_evidence, 1);
		is_max(&f, cases[i].state == LNX_ACTION_UNDONE ? "max 100000" : "50000 100000");
		fix_close(&f);
	}
}

static void who_has_ended_was_not_helped(void **unused)
{
	static const char *const why[] = { "none: the victim has ended: prod/shop lost 400.0 ms",
					   "none: the culprit has ended by itself: prod/shop lost",
					   "helped: prod/shop lost 400.0 ms" };
	const struct lnx_ev_action_done *e;
	struct fix f;

	(void)unused;
	for (int i = 0; i < 3; i++) {
		fix_open(&f);
		f.stalled_ms = 400;
		ask(&f, LNX_ACTION_THROTTLE, 50, 1);
		approve_and_wait(&f);
		f.stalled_ms = 0;
		f.victim_is_gone = i == 0;
		put(&f, "cgroup.events",
		    i == 1 ? "populated 0\nfrozen 0\n" : "populated 1\nfrozen 0\n");
		(void)testhost_advance(f.t, 13 * SECOND);
		e = (const void *)testhost_last(f.t, "action.done");
		assert_int_equal(e->outcome, i < 2 ? LNX_OUTCOME_NONE : LNX_OUTCOME_HELPED);
		has(&f, why[i]);
		assert_int_equal(f.n_evidence, 1);
		fix_close(&f);
	}
	/* a signal is meant to end it */
	fix_open(&f);
	f.stalled_ms = 400;
	ask(&f, LNX_ACTION_SIGNAL, SIGKILL, 1);
	approve_and_wait(&f);
	f.stalled_ms = 0;
	put(&f, "cgroup.events", "populated 0\n");
	(void)testhost_advance(f.t, 13 * SECOND);
	has(&f, why[2]);
	fix_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dry_run_says_it_all_and_writes_nothing),
		cmocka_unit_test(what_must_not_be_touched_is_refused),
		cmocka_unit_test(a_proposal_ends_without_a_decision),
		cmocka_unit_test(who_decides_is_needed_and_is_kept),
		cmocka_unit_test(a_trusted_rule_waits_for_the_grace_period),
		cmocka_unit_test(it_is_measured),
		cmocka_unit_test(who_has_ended_was_not_helped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
