/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* No more than is allowed, and nothing that could not be taken back. */
#include "test_fixture.h"

static void so_many_in_an_hour_and_no_more(void **unused)
{
	struct fix f;

	(void)unused;
	fix_make(&f);
	conf(&f, "dry_run", "false", "");
	conf(&f, "max_per_hour", "1", "");
	fix_start(&f);
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
	fix_make(&f);
	conf(&f, "dry_run", "false", "");
	conf(&f, "max_per_hour", "1", "");
	fix_start(&f);
	ask(&f, LNX_ACTION_THROTTLE, 50, 1);
	(void)snprintf(first, sizeof(first), "%s", f.last_id);
	ask(&f, LNX_ACTION_WEIGHT, 10, 1);
	assert_int_equal(f.svc->approve(f.self, first, "ann", f.text, sizeof(f.text)), 0);
	assert_int_equal(approve(&f), -EPERM);
	assert_non_null(strstr(f.text, "enforce.max_per_hour"));
	assert_int_equal(testhost_run_jobs(f.t), 1);
	assert_int_equal(testhost_run_until(f.t, is_applied, &f, 10000), 0);
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
	f.late = sleeper();
	assert_int_equal(testhost_run_jobs(f.t), 1);
	assert_int_equal(testhost_run_until(f.t, is_applied, &f, 10000), 0);
	assert_int_equal(testhost_run_until(f.t, is_stopped, &f, 10000), 0);
	assert_int_equal(proc_state(f.late), 'S');
	(void)kill(f.late, SIGKILL);
	(void)waitpid(f.late, NULL, 0);
	f.late = 0;
	/* somebody else's stop is not ours to end */
	assert_int_equal(f.svc->undo(f.self, f.last_id, "ann", f.text, sizeof(f.text)), 0);
	assert_int_equal(kill(f.child, SIGSTOP), 0);
	assert_int_equal(testhost_run_until(f.t, is_stopped, &f, 10000), 0);
	refused(&f, LNX_ACTION_SIGNAL, SIGSTOP, "is stopped already");
	fix_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(so_many_in_an_hour_and_no_more),
		cmocka_unit_test(two_that_begin_together_are_two),
		cmocka_unit_test(a_process_younger_than_the_plan_is_not_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
