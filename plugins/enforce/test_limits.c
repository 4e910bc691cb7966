/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* No more than is allowed, and nothing that could not be taken back. */
#include "test_fixture.h"

static void so_many_in_an_hour_and_no_more(void **unused)
{
	struct fix f;

	(void)unused;
	fix_open_with(&f, "max_per_hour", "1");
	ask(&f, LNX_ACTION_THROTTLE, 50, 1);
	approve_and_wait(&f);
	/* what somebody else wrote stays */
	put(&f, "cpu.max", "70000 100000\n");
	assert_int_equal(f.svc->undo(f.self, f.last_id, "ann", f.text, sizeof(f.text)), 0);
	assert_non_null(strstr(f.text, "left as it is"));
	assert_string_equal(read_back(&f, "cpu.max"), "70000 100000");
	ask(&f, LNX_ACTION_WEIGHT, 10, 1);
	assert_int_equal(approve(&f), -EPERM);
	assert_non_null(strstr(f.text, "enforce.max_per_hour"));
	assert_int_equal(state(&f), LNX_ACTION_REFUSED);
	fix_close(&f);
}

/* Approved before any of them is done. */
static void two_that_begin_together_are_two(void **unused)
{
	char first[64];
	struct fix f;

	(void)unused;
	fix_open_with(&f, "max_per_hour", "1");
	ask(&f, LNX_ACTION_THROTTLE, 50, 1);
	(void)snprintf(first, sizeof(first), "%s", f.last_id);
	ask(&f, LNX_ACTION_WEIGHT, 10, 1);
	assert_int_equal(f.svc->approve(f.self, first, "ann", f.text, sizeof(f.text)), 0);
	assert_int_equal(approve(&f), -EPERM);
	assert_non_null(strstr(f.text, "enforce.max_per_hour"));
	assert_int_equal(testhost_run_jobs(f.t), 1);
	assert_int_equal(testhost_run_until(f.t, is_applied, &f, 60000), 0);
	fix_close(&f);
}

/* Looked at when it is asked for, when it is approved, and when it is about to be done. */
static void what_changes_meanwhile_is_seen(void **unused)
{
	struct fix f;

	(void)unused;
	fix_open(&f);
	ask(&f, LNX_ACTION_THROTTLE, 50, 1);
	put(&f, "cgroup.procs", "1\n");
	assert_int_equal(approve(&f), -EPERM);
	assert_non_null(strstr(f.text, "process 1 is never touched"));
	assert_int_equal(state(&f), LNX_ACTION_REFUSED);
	fix_close(&f);
	fix_open(&f);
	ask(&f, LNX_ACTION_THROTTLE, 50, 1);
	put(&f, "cpu.max", "20000 100000\n");
	assert_int_equal(approve(&f), -EPERM);
	assert_non_null(strstr(f.text, "its quota is 20% of a CPU already"));
	fix_close(&f);
	fix_open(&f);
	ask(&f, LNX_ACTION_THROTTLE, 50, 1);
	assert_int_equal(approve(&f), 0);
	put(&f, "cgroup.procs", "1\n");
	assert_int_equal(testhost_run_jobs(f.t), 1);
	assert_int_equal(testhost_run_until(f.t, is_failed, &f, 60000), 0);
	has(&f, "process 1 is never touched");
	is_max(&f, "max 100000");
	fix_close(&f);
}

static void requests_make_sense_and_leases_end(void **unused)
{
	static const struct {
		uint32_t verb;
		double value;
	} bad[] = { { LNX_ACTION_THROTTLE, 0 },	  { LNX_ACTION_THROTTLE, 100001 },
		    { LNX_ACTION_THROTTLE, NAN }, { LNX_ACTION_WEIGHT, 0 },
		    { LNX_ACTION_WEIGHT, 10001 }, { LNX_ACTION_SIGNAL, 0 },
		    { LNX_ACTION_SIGNAL, 32 },	  { 99, 1 } };
	struct fix f;

	(void)unused;
	fix_make(&f);
	conf(&f, "lease", "50s", "");
	conf(&f, "max_lease", "60s", "");
	fix_start(&f);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(try_ask(&f, bad[i].verb, bad[i].value, 1), -EINVAL);
	assert_int_equal(state(&f), UINT32_MAX);
	f.lease_ns = 3600 * SECOND;
	ask(&f, LNX_ACTION_THROTTLE, 50, 1);
	has(&f, "give it back after 60 s");
	fix_close(&f);
}

static void a_guardian_that_others_may_write_is_not_started(void **unused)
{
	char path[128], cmd[512];
	const struct enforce *s;
	struct fix f;

	(void)unused;
	fix_make(&f);
	conf(&f, "dry_run", "false", "");
	(void)snprintf(path, sizeof(path), "%s/guardian", f.root);
	conf(&f, "guardian", path, "");
	(void)snprintf(cmd, sizeof(cmd), "cp /bin/true %s && chmod 0775 %s", path, path);
	assert_int_equal(system(cmd), 0);
	fix_start(&f);
	ask(&f, LNX_ACTION_THROTTLE, 50, 1);
	assert_int_equal(approve(&f), 0);
	assert_int_equal(testhost_run_jobs(f.t), 1);
	assert_int_equal(state(&f), LNX_ACTION_FAILED);
	has(&f, "the guardian that would undo it cannot be started");
	s = testhost_state(f.t);
	assert_int_equal(s->guard.pid, 0);
	is_max(&f, "max 100000");
	assert_int_equal(unlink(path), 0);
	fix_close(&f);
}

static char proc_state(pid_t pid)
{
	struct undo_stat st;

	assert_int_equal(undo_stat((uint32_t)pid, &st), 0);
	return st.state;
}

static int is_stopped(void *arg)
{
	return proc_state(((struct fix *)arg)->child) == 'T';
}

/* The guardian has nothing that would make it go on. */
static void a_process_younger_than_the_plan_is_not_stopped(void **unused)
{
	struct fix f;

	(void)unused;
	fix_open(&f);
	ask(&f, LNX_ACTION_SIGNAL, SIGSTOP, 1);
	assert_int_equal(approve(&f), 0);
	f.late = grandchild(&f);
	assert_int_equal(testhost_run_jobs(f.t), 1);
	assert_int_equal(testhost_run_until(f.t, is_applied, &f, 60000), 0);
	assert_int_equal(testhost_run_until(f.t, is_stopped, &f, 60000), 0);
	assert_int_equal(proc_state(f.late), 'S');
	f.late = 0; /* it ends with the child */
	/* somebody else's stop is not ours to end */
	assert_int_equal(f.svc->undo(f.self, f.last_id, "ann", f.text, sizeof(f.text)), 0);
	assert_int_equal(kill(f.child, SIGSTOP), 0);
	assert_int_equal(testhost_run_until(f.t, is_stopped, &f, 60000), 0);
	refused(&f, LNX_ACTION_SIGNAL, SIGSTOP, "is stopped already");
	fix_close(&f);
}

static int are_stopped(void *arg)
{
	const struct fix *f = arg;

	for (uint32_t i = 0; i < f->n_kin; i++)
		if (proc_state(f->kin[i]) != 'T')
			return 0;
	return 1;
}

static int go_on(void *arg)
{
	const struct fix *f = arg;

	for (uint32_t i = 0; i < f->n_kin; i++)
		if (proc_state(f->kin[i]) == 'T')
			return 0;
	return 1;
}

/* More entries than the socket takes messages while the guardian is being started. */
static void a_whole_tree_is_stopped_and_goes_on(void **unused)
{
	struct fix f;

	(void)unused;
	fix_open(&f);
	while (f.n_kin < ENF_TREE - 1)
		f.kin[f.n_kin++] = grandchild(&f);
	ask(&f, LNX_ACTION_SIGNAL, SIGSTOP, 1);
	has(&f, "send STOP to 128 processes: ");
	approve_and_wait(&f);
	assert_int_equal(testhost_run_until(f.t, are_stopped, &f, 10000), 0);
	/* the agent dies, as far as the guardian can tell */
	assert_int_equal(shutdown(((struct enforce *)testhost_state(f.t))->guard.fd, SHUT_RDWR), 0);
	assert_int_equal(testhost_run_until(f.t, go_on, &f, 10000), 0);
	f.n_kin = 0;
	fix_close(&f);
}

static int has_no_guardian(void *arg)
{
	return ((const struct enforce *)arg)->guard.pid == 0;
}

/* It would undo at the end of a lease what is not ours any more. */
static void a_guardian_that_takes_no_word_is_ended(void **unused)
{
	struct enforce *s;
	struct fix f;

	(void)unused;
	fix_open(&f);
	ask(&f, LNX_ACTION_THROTTLE, 50, 1);
	approve_and_wait(&f);
	s = testhost_state(f.t);
	assert_int_equal(kill(s->guard.pid, SIGSTOP), 0);
	for (int i = 0; i < 1000; i++)
		guard_forget(s, s->newest);
	assert_int_equal(testhost_run_until(f.t, has_no_guardian, s, 10000), 0);
	assert_int_equal(state(&f), LNX_ACTION_UNDONE);
	has(&f, "the guardian has died");
	is_max(&f, "max 100000");
	fix_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(so_many_in_an_hour_and_no_more),
		cmocka_unit_test(two_that_begin_together_are_two),
		cmocka_unit_test(what_changes_meanwhile_is_seen),
		cmocka_unit_test(requests_make_sense_and_leases_end),
		cmocka_unit_test(a_guardian_that_others_may_write_is_not_started),
		cmocka_unit_test(a_process_younger_than_the_plan_is_not_stopped),
		cmocka_unit_test(a_whole_tree_is_stopped_and_goes_on),
		cmocka_unit_test(a_guardian_that_takes_no_word_is_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
