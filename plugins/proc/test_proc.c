/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin proc on the test host: the table, its events, its bounds, its trees. */
#include <errno.h>

#include "test_fixture.h"

/* ---- life of processes */

static void processes_that_run_already_are_known(void **arg)
{
	struct test *f = *arg;
	uint32_t live = 0, exited = 0;
	uint64_t refused = 0;

	add_record(f, 10, 1, START + 5);
	set_records(f, 0);
	load(f);
	assert_string_equal(get(f, 10, 0)->comm, "p10");
	assert_int_equal(get(f, 10, START + 5)->ppid, 1);
	assert_int_equal(get(f, 10, START + 5)->has_usage, 1);
	assert_null(get(f, 10, START + 6));
	f->svc->stats(f->self, &live, &exited, &refused);
	assert_int_equal(live, 2);
	assert_int_equal(exited, 0);
	assert_int_equal(refused, 0);
	assert_int_equal(testhost_count(f->t, "proc.usage"), 0);
	assert_int_equal(testhost_health(f->t, "usage"), -ENOENT);
}

static void fork_exec_and_exit_are_followed(void **arg)
{
	struct test *f = *arg;
	const struct lnx_proc *p;
	uint64_t start = TESTHOST_START_NS;

	load(f);
	assert_int_equal(fork_at(f, 1, START, 20, start), 0);
	p = get(f, 20, 0);
	assert_int_equal(p->ppid, 1);
	assert_int_equal(p->parent_start_ns, START);
	assert_int_equal(p->uid, 1000);
	assert_int_equal(p->cgroup_id, 7);
	assert_string_equal(p->comm, "child");
	assert_string_equal(p->filename, "");
	assert_int_equal(p->has_usage, 0);
	assert_int_equal(exec_at(f, 20, start, "/bin/prog", "prog -x"), 0);
	p = get(f, 20, 0);
	assert_string_equal(p->filename, "/bin/prog");
	assert_string_equal(p->args, "prog -x");
	assert_int_equal(p->uid, 33);
	assert_int_equal(p->cgroup_id, 8);
	/* a fork of it runs the same program until it execs another */
	assert_int_equal(fork_at(f, 20, start, 21, start + 1), 0);
	assert_string_equal(get(f, 21, 0)->filename, "/bin/prog");
	assert_int_equal(exit_at(f, 20, start, 3, 0), 0);
	assert_null(get(f, 20, 0));
	p = get(f, 20, start);
	assert_int_equal(p->exit_code, 3);
	assert_int_equal(p->exit_ns, testhost_now(f->t));
	assert_int_equal(p->cpu_ns, 12345);
	assert_string_equal(p->filename, "/bin/prog");
	/* the chain goes on over the parent that ended */
	assert_int_equal(f->svc->parent(f->self, get(f, 21, 0))->pid, 20);
}

static void pid_reuse_never_mixes_two(void **arg)
{
	struct test *f = *arg;
	uint64_t a = TESTHOST_START_NS, b = a + 5 * SECOND;

	load(f);
	assert_int_equal(fork_at(f, 1, START, 30, a), 0);
	assert_int_equal(exec_at(f, 30, a, "/bin/old", ""), 0);
	assert_int_equal(fork_at(f, 30, a, 31, a + 1), 0);
	/* its exit is lost; the pid comes again */
	assert_int_equal(testhost_advance(f->t, 5 * SECOND), 5);
	assert_int_equal(fork_at(f, 1, START, 30, b), 0);
	assert_int_equal(get(f, 30, 0)->start_ns, b);
	assert_string_equal(get(f, 30, 0)->filename, "");
	assert_string_equal(get(f, 30, a)->filename, "/bin/old");
	assert_int_not_equal(get(f, 30, a)->exit_ns, 0);
	assert_int_equal(f->svc->parent(f->self, get(f, 31, 0))->start_ns, a);
	/* late news of the first one do not touch the second */
	assert_int_equal(exit_at(f, 30, a, 9, 0), 0);
	assert_int_equal(get(f, 30, a)->exit_code, 9);
	assert_int_equal(get(f, 30, 0)->exit_ns, 0);
	assert_int_equal(exec_at(f, 30, a, "/bin/late", ""), 0);
	assert_string_equal(get(f, 30, 0)->filename, "");
	assert_int_equal(get(f, 30, 0)->start_ns, b);
}

static void event_for_an_ended_process_makes_no_new_one(void **arg)
{
	struct test *f = *arg;
	uint64_t a = TESTHOST_START_NS;

	load(f);
	assert_int_equal(fork_at(f, 1, START, 30, a), 0);
	assert_int_equal(exit_at(f, 30, a, 0, 9), 0);
	assert_int_equal(exec_at(f, 30, a, "/bin/late", ""), 0);
	assert_null(get(f, 30, 0));
	assert_int_equal(get(f, 30, a)->signal, 9);
	/* an exit of one never seen is kept, too: its parent may ask */
	assert_int_equal(exit_at(f, 77, a, 1, 0), 0);
	assert_int_equal(get(f, 77, a)->exit_code, 1);
}

static void short_events_are_refused(void **arg)
{
	struct lnx_ev_proc_exit e;
	struct test *f = *arg;
	uint16_t type;

	load(f);
	for (type = LNX_EV_PROC_FORK; type <= LNX_EV_PROC_EXIT; type++) {
		memset(&e, 0, sizeof(e));
		e.h.size = e.h.fixed = sizeof(struct lnx_event) + 8;
		e.h.type = type;
		e.h.pid = 5;
		assert_int_equal(testhost_deliver(f->t, &e.h), -EINVAL);
	}
	assert_null(get(f, 5, 0));
}

/* ---- bounds */

static void exited_are_kept_60_s(void **arg)
{
	struct test *f = *arg;
	uint64_t a = TESTHOST_START_NS;

	load(f);
	assert_int_equal(fork_at(f, 1, START, 30, a), 0);
	assert_int_equal(exit_at(f, 30, a, 0, 0), 0);
	assert_true(testhost_advance(f->t, 59 * SECOND) > 0);
	assert_non_null(get(f, 30, a));
	assert_true(testhost_advance(f->t, 2 * SECOND) > 0);
	assert_null(get(f, 30, a));
}

static void at_most_4096_exited_are_kept(void **arg)
{
	struct test *f = *arg;
	uint32_t live = 0, exited = 0, i;
	uint64_t refused = 0, a = TESTHOST_START_NS;

	load(f);
	for (i = 0; i < 5000; i++) {
		assert_int_equal(fork_at(f, 1, START, 100 + i, a + i), 0);
		assert_int_equal(exit_at(f, 100 + i, a + i, 0, 0), 0);
	}
	f->svc->stats(f->self, &live, &exited, &refused);
	assert_int_equal(live, 1);
	assert_int_equal(exited, 4096);
	assert_null(get(f, 100, a));
	assert_non_null(get(f, 5099, a + 4999));
}

static void full_table_refuses_and_counts(void **arg)
{
	struct test *f = *arg;
	uint32_t live = 0, exited = 0, i;
	uint64_t refused = 0, a = TESTHOST_START_NS;

	assert_int_equal(testhost_conf(f->t, "max_processes=16"), 0);
	load(f);
	for (i = 0; i < 20; i++)
		assert_int_equal(fork_at(f, 1, START, 100 + i, a + i), 0);
	f->svc->stats(f->self, &live, &exited, &refused);
	assert_int_equal(live, 16);
	assert_int_equal(refused, 5);
	assert_null(get(f, 119, 0));
	assert_int_equal(get(f, 1, 0)->forks, 20); /* counted all the same */
	/* room again */
	assert_int_equal(exit_at(f, 100, a, 0, 0), 0);
	assert_int_equal(fork_at(f, 1, START, 200, a + 100), 0);
	assert_non_null(get(f, 200, 0));
}

static void refused_by_refreshes_are_counted_once(void **arg)
{
	struct test *f = *arg;
	uint32_t i;

	assert_int_equal(testhost_conf(f->t, "max_processes=16"), 0);
	for (i = 0; i < 30; i++)
		add_record(f, 100 + i, 1, START + 1 + i);
	set_records(f, 0);
	load(f);
	f->svc->want_usage(f->self, 10 * SECOND);
	assert_int_equal(testhost_advance(f->t, 5 * SECOND), 5);
	assert_true(testhost_metric(f->t, "linnix_processes_refused_total", "") == 15);
	assert_true(testhost_metric(f->t, "linnix_processes_untracked", "") == 15);
	assert_true(testhost_metric(f->t, "linnix_processes", "state=live") == 16);
}

static void strings_are_bounded_and_counted(void **arg)
{
	struct test *f = *arg;
	char args[LNX_STR_MAX + 1];
	uint32_t i, empty = 0;
	uint64_t a = TESTHOST_START_NS;

	load(f);
	memset(args, 'x', LNX_STR_MAX);
	args[LNX_STR_MAX] = 0;
	for (i = 0; i < 5000; i++) {
		snprintf(args, 10, "%08u", i);
		args[8] = 'x';
		assert_int_equal(exec_at(f, 100 + i, a + i, "/same", args), 0);
		assert_string_equal(get(f, 100 + i, 0)->filename, "/same");
		empty += get(f, 100 + i, 0)->args[0] == 0;
	}
	assert_in_range(empty, 900, 910); /* 4 MiB hold 4,095 of them and one "/same" */
	assert_true(testhost_advance(f->t, SECOND) == 1);
	assert_true(testhost_metric(f->t, "linnix_process_strings_refused_total", "") == empty);
	/* what goes makes room */
	for (i = 0; i < 10; i++)
		assert_int_equal(exec_at(f, 100 + i, a + i, "/same", ""), 0);
	assert_int_equal(exec_at(f, 9999, a, "/same", "fits"), 0);
	assert_string_equal(get(f, 9999, 0)->args, "fits");
}

/* ---- trees and forks */

static void tree_root_is_the_topmost_in_the_cgroup(void **arg)
{
	struct test *f = *arg;
	const struct lnx_proc *p;
	uint64_t a = TESTHOST_START_NS;
	uint32_t i;

	f->rec[0].cgroup_id = 1;
	set_records(f, 0);
	load(f);
	for (i = 0; i < 500; i++)
		assert_int_equal(fork_at(f, i ? 99 + i : 1, i ? a + i - 1 : START, 100 + i, a + i),
				 0);
	p = get(f, 599, 0);
	assert_int_equal(f->svc->tree_root(f->self, p)->pid, 100);
	assert_ptr_equal(f->svc->tree_root(f->self, get(f, 1, 0)), get(f, 1, 0));
	assert_null(f->svc->parent(f->self, get(f, 1, 0)));
	/* a link of the chain ends: the tree holds */
	assert_int_equal(exit_at(f, 300, a + 200, 0, 0), 0);
	assert_int_equal(f->svc->parent(f->self, get(f, 301, 0))->pid, 300);
}

static void tree_stays_whole_when_its_root_is_moved_to_another_cgroup(void **arg)
{
	struct test *f = *arg;
	uint64_t a = TESTHOST_START_NS;

	set_records(f, 0);
	load(f);
	assert_int_equal(fork_in(f, 1, START, 50, a, 1, 1), 0);
	/* moved to cgroup 9 after its start, then it forks */
	assert_int_equal(fork_in(f, 50, a, 51, a + 1, 9, 9), 0);
	assert_int_equal(f->svc->tree_root(f->self, get(f, 51, 0))->pid, 50);
	assert_int_equal(get(f, 50, 0)->cgroup_id, 9);
}

static void forks_of_the_last_10_s(void **arg)
{
	struct test *f = *arg;
	uint64_t a = TESTHOST_START_NS;
	uint32_t i;

	load(f);
	for (i = 0; i < 30; i++)
		assert_int_equal(fork_at(f, 1, START, 100 + i, a + i), 0);
	assert_int_equal(get(f, 1, 0)->forks, 30);
	assert_true(testhost_advance(f->t, 5 * SECOND) > 0);
	assert_int_equal(fork_at(f, 1, START, 200, testhost_now(f->t)), 0);
	assert_int_equal(get(f, 1, 0)->forks, 31);
	assert_true(testhost_advance(f->t, 4 * SECOND) > 0);
	assert_int_equal(get(f, 1, 0)->forks, 31);
	assert_true(testhost_advance(f->t, 1 * SECOND) > 0);
	assert_int_equal(get(f, 1, 0)->forks, 1);
	assert_true(testhost_advance(f->t, 100 * SECOND) > 0);
	assert_int_equal(get(f, 1, 0)->forks, 0);
	assert_int_equal(get(f, 1, 0)->forks_total, 31);
}

static int visit(void *arg, const struct lnx_proc *p)
{
	int *left = arg;

	assert_int_equal(p->size, sizeof(*p));
	return --*left == 0;
}

static void each_visits_and_stops(void **arg)
{
	struct test *f = *arg;
	uint64_t a = TESTHOST_START_NS;
	int left = 0;

	load(f);
	assert_int_equal(fork_at(f, 1, START, 30, a), 0);
	assert_int_equal(fork_at(f, 1, START, 31, a), 0);
	assert_int_equal(exit_at(f, 31, a, 0, 0), 0);
	assert_int_equal(f->svc->each(f->self, 0, visit, &left), 2);
	assert_int_equal(f->svc->each(f->self, 1, visit, &left), 3);
	left = 1;
	assert_int_equal(f->svc->each(f->self, 1, visit, &left), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(processes_that_run_already_are_known),
		TEST(fork_exec_and_exit_are_followed),
		TEST(pid_reuse_never_mixes_two),
		TEST(event_for_an_ended_process_makes_no_new_one),
		TEST(short_events_are_refused),
		TEST(exited_are_kept_60_s),
		TEST(at_most_4096_exited_are_kept),
		TEST(full_table_refuses_and_counts),
		TEST(refused_by_refreshes_are_counted_once),
		TEST(strings_are_bounded_and_counted),
		TEST(tree_root_is_the_topmost_in_the_cgroup),
		TEST(tree_stays_whole_when_its_root_is_moved_to_another_cgroup),
		TEST(forks_of_the_last_10_s),
		TEST(each_visits_and_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
