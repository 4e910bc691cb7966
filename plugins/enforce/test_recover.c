/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What an earlier run left, what cannot be taken back now, what the configuration no longer wants, and a store that takes
 * nothing. */
#include "test_fixture.h"

#define IN_FORCE \
	"{\"id\":\"test-node/" OLD "\",\"state\":\"applied\",\"in_force\":true,\"text\":\"done\"}"

/* A quota that an earlier run wrote, as its journal and its record have it. */
static void in_force(struct fix *f)
{
	char path[128];
	struct stat st;
	FILE *out;

	fix_make(f);
	f->old_doc = IN_FORCE;
	f->old_state = LNX_ACTION_APPLIED;
	put(f, "cpu.max", "50000 100000\n");
	(void)snprintf(path, sizeof(path), "%s/batch", f->root);
	assert_int_equal(stat(path, &st), 0);
	(void)snprintf(path, sizeof(path), "%s/journal", f->root);
	out = fopen(path, "w");
	assert_non_null(out);
	assert_true(fprintf(out,
			    "{\"op\":\"begin\",\"id\":\"" OLD
			    "\",\"ts_ns\":5,\"boot_id\":\"%s\",\"undo\":[{"
			    "\"kind\":1,\"dir\":\"%s/batch\",\"dev\":%llu,\"ino\":%llu,\"file\":"
			    "\"cpu.max\",\"ours\":\"50000 100000\",\"before\":\"max 100000\"}]}\n",
			    testhost_host(f->t)->ident(testhost_ctx(f->t))->boot_id, f->root,
			    (unsigned long long)st.st_dev, (unsigned long long)st.st_ino) > 0);
	assert_int_equal(fclose(out), 0);
}

/* Its file cannot be written as long as it is a folder. */
static void make_folder(const struct fix *f, const char *file, int is_one)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", f->root, file);
	assert_int_equal(remove(path), 0);
	if (is_one)
		assert_int_equal(mkdir(path, 0700), 0);
}

static void a_dry_run_undoes_what_was_in_force_before(void **unused)
{
	struct fix f;

	(void)unused;
	in_force(&f);
	fix_start(&f);
	is_max(&f, "max 100000");
	(void)testhost_advance(f.t, SECOND);
	assert_int_equal(f.old_state, LNX_ACTION_UNDONE);
	has(&f, "\"in_force\":false");
	has(&f, "\"text\":\"undone\"");
	assert_string_equal(f.last_what, "action-undone");
	assert_non_null(strstr(f.last_entry, "\"text\":\"undone\""));
	fix_close(&f);
}

static void what_could_not_be_undone_is_not_told_undone(void **unused)
{
	struct fix f;

	(void)unused;
	in_force(&f);
	make_folder(&f, "batch/cpu.max", 1);
	fix_start(&f);
	(void)testhost_advance(f.t, SECOND);
	assert_int_equal(f.old_state, LNX_ACTION_FAILED);
	has(&f, "\"in_force\":true");
	has(&f, "NOT undone");
	assert_string_equal(f.last_what, "action-failed");
	assert_int_equal(testhost_health(f.t, "undo"), LNX_HEALTH_LOST);
	assert_string_equal(testhost_health_why(f.t, "undo"),
			    "1 action could not be taken back: it is tried again");
	/* in this run, and it is told once */
	(void)testhost_advance(f.t, 30 * SECOND);
	assert_int_equal(f.n_logs, 1);
	make_folder(&f, "batch/cpu.max", 0);
	put(&f, "cpu.max", "50000 100000\n");
	(void)testhost_advance(f.t, 11 * SECOND);
	is_max(&f, "max 100000");
	assert_int_equal(f.old_state, LNX_ACTION_UNDONE);
	assert_int_equal(testhost_health(f.t, "undo"), LNX_HEALTH_OK);
	fix_close(&f);
}

static void without_a_journal_nobody_knows(void **unused)
{
	char path[128];
	struct fix f;

	(void)unused;
	in_force(&f);
	make_folder(&f, "journal", 1);
	fix_start(&f);
	(void)testhost_advance(f.t, SECOND);
	assert_int_equal(f.old_state, LNX_ACTION_FAILED);
	has(&f, "\"in_force\":true");
	has(&f, "NOT undone: the journal ");
	assert_int_equal(testhost_health(f.t, "journal"), LNX_HEALTH_LOST);
	fix_close(&f);
	/* it is gone: a dry run makes none */
	in_force(&f);
	make_folder(&f, "journal", 0);
	fix_start(&f);
	(void)testhost_advance(f.t, SECOND);
	assert_int_equal(f.old_state, LNX_ACTION_FAILED);
	has(&f, "\"in_force\":null");
	has(&f, "it is not known whether it was undone");
	(void)snprintf(path, sizeof(path), "%s/journal", f.root);
	assert_int_equal(access(path, F_OK), -1);
	/* one that does something has one */
	conf(&f, "dry_run", "false", "");
	assert_int_equal(testhost_reload(f.t), 0);
	(void)testhost_advance(f.t, SECOND);
	assert_int_equal(access(path, F_OK), 0);
	fix_close(&f);
}

static void a_store_that_is_full_is_asked_again(void **unused)
{
	struct fix f;

	(void)unused;
	in_force(&f);
	f.log_rc = -ENOBUFS;
	fix_start(&f);
	(void)testhost_advance(f.t, SECOND);
	assert_int_equal(f.old_state, LNX_ACTION_APPLIED);
	f.log_rc = 0;
	f.put_rc = -ENOBUFS;
	(void)testhost_advance(f.t, SECOND);
	assert_int_equal(f.old_state, LNX_ACTION_APPLIED);
	f.put_rc = 0;
	(void)testhost_advance(f.t, SECOND);
	assert_int_equal(f.old_state, LNX_ACTION_UNDONE);
	fix_close(&f);
}

static void nothing_is_done_that_the_log_does_not_take(void **unused)
{
	struct fix f;

	(void)unused;
	fix_open(&f);
	ask(&f, LNX_ACTION_THROTTLE, 50, 1);
	f.log_rc = -ENOBUFS;
	assert_int_equal(approve(&f), -EPERM);
	assert_non_null(strstr(f.text, "the log of decisions takes no entry now"));
	assert_int_equal(state(&f), LNX_ACTION_REFUSED);
	assert_string_equal(f.last_what, "action-proposed");
	/* what became of it is told later */
	f.log_rc = 0;
	(void)testhost_advance(f.t, SECOND);
	assert_string_equal(f.last_what, "action-refused");
	assert_int_equal(f.n_logs, 2);
	fix_close(&f);
}

static void what_cannot_be_taken_back_is_tried_again_in_this_run(void **unused)
{
	struct fix f;

	(void)unused;
	fix_open(&f);
	ask(&f, LNX_ACTION_THROTTLE, 50, 1);
	approve_and_wait(&f);
	make_folder(&f, "batch/cpu.max", 1);
	assert_int_equal(f.svc->undo(f.self, f.last_id, "ann", f.text, sizeof(f.text)), -EIO);
	assert_int_equal(state(&f), LNX_ACTION_FAILED);
	has(&f, "\"in_force\":true");
	(void)testhost_advance(f.t, 25 * SECOND);
	assert_int_equal(testhost_health(f.t, "undo"), LNX_HEALTH_LOST);
	assert_true(testhost_metric(f.t, "linnix_actions_in_force", "") == 1);
	assert_true(testhost_metric(f.t, "linnix_actions_total", "state=failed") == 1);
	make_folder(&f, "batch/cpu.max", 0);
	put(&f, "cpu.max", "50000 100000\n");
	(void)testhost_advance(f.t, 11 * SECOND);
	is_max(&f, "max 100000");
	assert_int_equal(state(&f), LNX_ACTION_UNDONE);
	has(&f, "\"in_force\":false");
	assert_int_equal(testhost_health(f.t, "undo"), LNX_HEALTH_OK);
	fix_close(&f);
}

static void a_reload_ends_what_waits(void **unused)
{
	struct fix f;

	(void)unused;
	fix_open_with(&f, "auto", "ca*");
	/* nobody trusts the rule any more: it waits as others do */
	ask(&f, LNX_ACTION_THROTTLE, 50, 1);
	conf(&f, "auto", "", "");
	assert_int_equal(testhost_reload(f.t), 0);
	(void)testhost_advance(f.t, 30 * SECOND);
	assert_int_equal(testhost_run_jobs(f.t), 0);
	assert_int_equal(state(&f), LNX_ACTION_PROPOSED);
	has(&f, "enforce.auto no longer names its rule");
	has(&f, "\"auto\":false");
	/* nothing is to be done: neither at an approval nor later */
	ask(&f, LNX_ACTION_WEIGHT, 10, 1);
	conf(&f, "dry_run", "true", "");
	assert_int_equal(testhost_reload(f.t), 0);
	assert_int_equal(approve(&f), -EPERM);
	assert_non_null(strstr(f.text, "enforce.dry_run"));
	assert_int_equal(state(&f), LNX_ACTION_DRY_RUN);
	(void)testhost_advance(f.t, SECOND);
	has(&f, "\"verb\":\"throttle\"");
	assert_int_equal(state(&f), LNX_ACTION_DRY_RUN);
	is_max(&f, "max 100000");
	fix_close(&f);
	/* nor when it was approved a moment before */
	fix_open(&f);
	ask(&f, LNX_ACTION_THROTTLE, 50, 1);
	assert_int_equal(approve(&f), 0);
	conf(&f, "dry_run", "true", "");
	assert_int_equal(testhost_reload(f.t), 0);
	assert_int_equal(testhost_run_jobs(f.t), 1);
	assert_int_equal(testhost_run_until(f.t, is_failed, &f, 10000), 0);
	is_max(&f, "max 100000");
	fix_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dry_run_undoes_what_was_in_force_before),
		cmocka_unit_test(what_could_not_be_undone_is_not_told_undone),
		cmocka_unit_test(without_a_journal_nobody_knows),
		cmocka_unit_test(a_store_that_is_full_is_asked_again),
		cmocka_unit_test(nothing_is_done_that_the_log_does_not_take),
		cmocka_unit_test(what_cannot_be_taken_back_is_tried_again_in_this_run),
		cmocka_unit_test(a_reload_ends_what_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
