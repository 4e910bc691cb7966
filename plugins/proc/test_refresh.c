/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin proc on the test host: figures, repairs, what is published, and life without the probe. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_fixture.h"

/* ---- refreshes */

static void no_refresh_without_demand_but_the_repair(void **arg)
{
	struct test *f = *arg;

	load(f);
	assert_int_equal(testhost_iter_runs(f->t, "proc", "usage"), 1);
	assert_int_equal(testhost_advance(f->t, 9 * SECOND), 9);
	assert_int_equal(testhost_iter_runs(f->t, "proc", "usage"), 1);
	assert_int_equal(testhost_advance(f->t, 21 * SECOND), 21);
	assert_int_equal(testhost_iter_runs(f->t, "proc", "usage"), 4);
	/* demand, for a while */
	f->svc->want_usage(f->self, 5 * SECOND);
	assert_int_equal(testhost_iter_runs(f->t, "proc", "usage"), 4); /* is fresh */
	assert_int_equal(testhost_advance(f->t, 9 * SECOND), 9);
	assert_int_equal(testhost_iter_runs(f->t, "proc", "usage"), 8);
	/* at once when the figures are old; never more than one a second */
	f->svc->want_usage(f->self, SECOND / 2);
	f->svc->want_usage(f->self, SECOND / 2);
	assert_int_equal(testhost_iter_runs(f->t, "proc", "usage"), 9);
	assert_int_equal(testhost_count(f->t, "proc.usage"), 0);
}

static void figures_that_moved_are_published(void **arg)
{
	const struct lnx_ev_proc_usage *u;
	struct lnx_rec_proc *r;
	struct test *f = *arg;

	r = add_record(f, 10, 1, START + 5);
	r->cpu_ns = 3 * SECOND;
	add_record(f, 11, 1, START + 6);
	set_records(f, 0);
	load(f);
	assert_int_equal(testhost_set_wanted(f->t, "proc.usage", 1), 0);
	r->cpu_ns += SECOND / 2;
	r->rss_bytes = 4096;
	r->rss_anon_bytes = 1000;
	r->rss_shmem_bytes = 24;
	r->majflt = 3;
	set_records(f, SECOND);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_int_equal(testhost_count(f->t, "proc.usage"), 1);
	u = (const struct lnx_ev_proc_usage *)testhost_last(f->t, "proc.usage");
	assert_int_equal(u->h.pid, 10);
	assert_int_equal(u->start_ns, START + 5);
	assert_true(u->cpu_pct > 49.9 && u->cpu_pct < 50.1);
	assert_int_equal(u->rss_anon_bytes, 1024);
	assert_int_equal(u->majflt, 3);
	assert_string_equal(u->comm, "p10");
	assert_true(get(f, 10, 0)->cpu_pct > 49.9);
	/* nothing moved: nothing said, and the share is 0 again */
	set_records(f, SECOND);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_int_equal(testhost_count(f->t, "proc.usage"), 1);
	assert_true(get(f, 10, 0)->cpu_pct < 0.001);
	/* a new one is news, its share counts from its start */
	r = add_record(f, 12, 1, testhost_now(f->t) + SECOND / 2);
	r->cpu_ns = SECOND / 4;
	set_records(f, SECOND);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_int_equal(testhost_count(f->t, "proc.usage"), 2);
	assert_true(get(f, 12, 0)->cpu_pct > 49.9 && get(f, 12, 0)->cpu_pct < 50.1);
	assert_int_equal(testhost_metric(f->t, "linnix_process_refreshes_total", "source=probe"),
			 4);
}

static void full_bus_says_it_again_later(void **arg)
{
	struct test *f = *arg;
	struct lnx_rec_proc *r;

	r = add_record(f, 10, 1, START + 5);
	set_records(f, 0);
	load(f);
	assert_int_equal(testhost_set_wanted(f->t, "proc.usage", 1), 0);
	r->cpu_ns = SECOND;
	set_records(f, SECOND);
	testhost_fail(f->t, "publish", -ENOBUFS, 0, 1);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_int_equal(testhost_count(f->t, "proc.usage"), 0);
	set_records(f, SECOND);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_int_equal(testhost_count(f->t, "proc.usage"), 1);
}

static void figures_that_fall_do_no_harm(void **arg)
{
	struct lnx_rec_proc *r;
	struct test *f = *arg;

	r = add_record(f, 10, 1, START + 5);
	r->cpu_ns = 3 * SECOND;
	set_records(f, 0);
	load(f);
	f->svc->want_usage(f->self, 10 * SECOND);
	r->cpu_ns = SECOND;
	set_records(f, SECOND);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_true(get(f, 10, 0)->cpu_pct == 0);
	r->cpu_ns = UINT64_MAX;
	set_records(f, 0); /* and no time went by */
	f->rec[1].ts_ns = get(f, 10, 0)->usage_ns;
	assert_int_equal(testhost_iter(f->t, "proc", "usage", f->rec, f->n, sizeof(*r)), 0);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_true(get(f, 10, 0)->cpu_pct == 0);
}

static void ghosts_go_after_two_refreshes(void **arg)
{
	struct test *f = *arg;
	uint64_t a = TESTHOST_START_NS;

	add_record(f, 10, 1, START + 5);
	set_records(f, 0);
	load(f);
	f->n = 1; /* 10 ends, and nobody says so */
	set_records(f, 10 * SECOND);
	assert_int_equal(testhost_advance(f->t, 10 * SECOND), 10);
	assert_non_null(get(f, 10, 0));			     /* its exit may be on the way */
	assert_int_equal(testhost_advance(f->t, SECOND), 1); /* looks again soon */
	assert_null(get(f, 10, 0));
	assert_int_not_equal(get(f, 10, START + 5)->exit_ns, 0);
	assert_true(testhost_metric(f->t, "linnix_process_ghosts_total", "") == 0);
	assert_int_equal(testhost_advance(f->t, 3 * SECOND), 3); /* and no event has come */
	assert_true(testhost_metric(f->t, "linnix_process_ghosts_total", "") == 1);
	assert_true(testhost_metric(f->t, "linnix_processes", "state=exited") == 1);
	/* one that was forked since the last refresh is no ghost */
	assert_int_equal(testhost_advance(f->t, 9 * SECOND), 9);
	assert_int_equal(fork_at(f, 1, START, 50, a + 23 * SECOND), 0);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_non_null(get(f, 50, 0));
	/* and one that comes back was none */
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_null(get(f, 50, 0));
	add_record(f, 50, 1, a + 23 * SECOND);
	set_records(f, 10 * SECOND);
	assert_int_equal(testhost_advance(f->t, 10 * SECOND), 10);
	assert_int_equal(get(f, 50, 0)->exit_ns, 0);
	assert_true(testhost_metric(f->t, "linnix_process_ghosts_total", "") == 1);
}

/* The refresh is ahead of the events: it sees the heir of a pid, or two of them do not see who ended. */
static void exits_that_come_late_make_no_ghosts(void **arg)
{
	struct test *f = *arg;
	uint64_t a = TESTHOST_START_NS;

	add_record(f, 10, 1, START + 5);
	add_record(f, 11, 1, START + 6);
	set_records(f, 0);
	load(f);
	f->n = 1;
	add_record(f, 10, 1, a + SECOND);
	set_records(f, 10 * SECOND);
	assert_int_equal(testhost_advance(f->t, 11 * SECOND), 11);
	assert_int_equal(get(f, 10, 0)->start_ns, a + SECOND);
	assert_null(get(f, 11, 0));
	assert_int_equal(exit_at(f, 10, START + 5, 0, 0), 0);
	assert_int_equal(exit_at(f, 11, START + 6, 0, 0), 0);
	assert_int_equal(testhost_advance(f->t, 70 * SECOND), 70);
	assert_true(testhost_metric(f->t, "linnix_process_ghosts_total", "") == 0);
	assert_int_equal(get(f, 10, 0)->exit_ns, 0);
}

static void processes_that_appear_unseen_are_found(void **arg)
{
	struct test *f = *arg;

	load(f);
	add_record(f, 10, 1, START + 5)->parent_start_ns = START;
	add_record(f, 11, 10, START + 6)->parent_start_ns = START + 5;
	set_records(f, 10 * SECOND);
	assert_int_equal(testhost_advance(f->t, 10 * SECOND), 10);
	assert_int_equal(f->svc->parent(f->self, get(f, 11, 0))->pid, 10);
	/* the parent ends, the child is inherited by 1 */
	f->rec[1] = f->rec[2];
	f->rec[1].ppid = 1;
	f->rec[1].parent_start_ns = START;
	f->n = 2;
	assert_int_equal(exit_at(f, 10, START + 5, 0, 0), 0);
	set_records(f, 10 * SECOND);
	assert_int_equal(testhost_advance(f->t, 10 * SECOND), 10);
	assert_int_equal(get(f, 11, 0)->ppid, 1);
	assert_int_equal(f->svc->parent(f->self, get(f, 11, 0))->pid, 10); /* kept 60 s */
	assert_int_equal(testhost_advance(f->t, 60 * SECOND), 60);
	assert_int_equal(f->svc->parent(f->self, get(f, 11, 0))->pid, 1);
}

static void zombies_are_counted_not_listed(void **arg)
{
	struct test *f = *arg;

	add_record(f, 10, 1, START + 5)->state = PROC_STATE_ZOMBIE;
	add_record(f, 11, 1, START + 6)->state = PROC_STATE_ZOMBIE;
	f->rec[2].n_threads = 3; /* its leader ended, the process runs */
	set_records(f, 0);
	load(f);
	assert_null(get(f, 10, 0));
	assert_non_null(get(f, 11, 0));
	assert_true(testhost_metric(f->t, "linnix_processes", "state=zombie") == 1);
}

/* ---- without the probe */

static void put(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *o;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	o = fopen(path, "w");
	assert_non_null(o);
	assert_int_equal(fputs(text, o) < 0, 0);
	assert_int_equal(fclose(o), 0);
}

static void fake_thread(const struct test *f, int tid, const char *schedstat)
{
	char dir[128];

	snprintf(dir, sizeof(dir), "%s/10/task", f->dir);
	(void)mkdir(dir, 0700); /* made by the first one */
	snprintf(dir, sizeof(dir), "%s/10/task/%d", f->dir, tid);
	assert_int_equal(mkdir(dir, 0700), 0);
	put(dir, "schedstat", schedstat);
}

static void fake_proc(struct test *f)
{
	char dir[128], conf[160];

	snprintf(f->dir, sizeof(f->dir), "/tmp/linnix-test-proc-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(dir, sizeof(dir), "%s/10", f->dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	put(dir, "stat",
	    "10 (a) b (c) D 1 10 10 0 -1 4194560 11 22 33 44 50 25 1 1 20 0 3 0 90000 1 2\n");
	put(dir, "status",
	    "Name:\tx\nUid:\t1000\t0\t0\t0\nVmRSS:\t  100 kB\nRssAnon:\t 40 kB\n"
	    "RssShmem:\t 2 kB\n");
	put(dir, "io", "rchar: 1\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 1\n");
	put(dir, "cgroup", "1:cpu:/old\n0::/10\n");
	put(dir, "schedstat", "5 999 1\n"); /* of its first thread */
	fake_thread(f, 10, "50 700 3\n");
	fake_thread(f, 12, "1 40 3\n");
	fake_thread(f, 13, "garbage\n");
	snprintf(dir, sizeof(dir), "%s/11", f->dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	put(dir, "stat", "garbage");
	snprintf(conf, sizeof(conf), "proc_root=%s", f->dir);
	assert_int_equal(testhost_conf(f->t, conf), 0);
	snprintf(conf, sizeof(conf), "cgroup_root=%s", f->dir);
	assert_int_equal(testhost_conf(f->t, conf), 0);
}

static void remove_fake_proc(const struct test *f)
{
	static const char *const names[] = { "10/stat",	     "10/status",
					     "10/io",	     "10/cgroup",
					     "10/schedstat", "10/task/10/schedstat",
					     "10/task/10",   "10/task/12/schedstat",
					     "10/task/12",   "10/task/13/schedstat",
					     "10/task/13",   "10/task",
					     "10",	     "11/stat",
					     "11",	     "" };
	char path[160];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", f->dir, names[i]);
		(void)remove(path); /* some tests removed it already */
	}
}

static void without_the_probe_proc_is_read(void **arg)
{
	const struct lnx_proc *p;
	struct test *f = *arg;
	struct stat st;
	char path[128];

	fake_proc(f);
	assert_int_equal(testhost_iter(f->t, "proc", "usage", NULL, -ENODEV, 8), 0);
	load(f);
	assert_int_equal(testhost_health(f->t, "usage"), LNX_HEALTH_DEGRADED);
	assert_non_null(strstr(testhost_health_why(f->t, "usage"), "CAP_BPF"));
	assert_true(testhost_log_has(f->t, "No such device"));
	p = get(f, 10, 0);
	assert_non_null(p);
	assert_string_equal(p->comm, "a) b (c");
	assert_int_equal(p->ppid, 1);
	assert_int_equal(p->uid, 1000);
	assert_int_equal(p->state, 2);
	assert_int_equal(p->n_threads, 3);
	assert_int_equal(p->start_ns, 900 * SECOND);
	assert_int_equal(p->cpu_ns, 750000000);
	assert_int_equal(p->minflt, 11);
	assert_int_equal(p->majflt, 33);
	assert_int_equal(p->rss_bytes, 102400);
	assert_int_equal(p->rss_anon_bytes, 43008);
	assert_int_equal(p->read_bytes, 4096);
	assert_int_equal(p->write_bytes, 8192);
	assert_int_equal(p->run_delay_ns, 700 + 40); /* of its threads; one file is broken */
	snprintf(path, sizeof(path), "%s/10", f->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(p->cgroup_id, st.st_ino);
	/* garbage is nobody; an exact start of the same tick is the same process */
	assert_null(get(f, 11, 0));
	assert_int_equal(exec_at(f, 10, 900 * SECOND + 4999999, "/bin/x", ""), 0);
	assert_int_equal(get(f, 10, 0)->start_ns, 900 * SECOND + 4999999);
	assert_string_equal(get(f, 10, 0)->filename, "/bin/x");
	/* later reads are jobs */
	assert_int_equal(testhost_advance(f->t, 10 * SECOND), 10);
	assert_int_equal(testhost_run_jobs(f->t), 1);
	assert_true(testhost_metric(f->t, "linnix_process_refreshes_total", "source=procfs") == 2);
	assert_int_equal(get(f, 10, 0)->start_ns, 900 * SECOND + 4999999);
	/* the probe comes back */
	set_records(f, 10 * SECOND);
	assert_int_equal(testhost_advance(f->t, 10 * SECOND), 10);
	assert_int_equal(testhost_health(f->t, "usage"), LNX_HEALTH_OK);
	remove_fake_proc(f);
}

static void processes_that_the_iterator_hides_are_read(void **arg)
{
	const struct lnx_proc *p;
	struct test *f = *arg;

	fake_proc(f);
	load(f);
	p = get(f, 10, 0);
	assert_non_null(p);
	assert_string_equal(p->comm, "a) b (c");
	assert_int_equal(testhost_health(f->t, "usage"), -ENOENT);
	assert_true(testhost_metric(f->t, "linnix_processes_from_procfs", "") == 1);
	/* it stays, refresh after refresh, and is no ghost */
	f->svc->want_usage(f->self, 6 * SECOND);
	assert_int_equal(testhost_advance(f->t, 5 * SECOND), 5);
	assert_int_equal(get(f, 10, 0)->usage_ns, testhost_now(f->t));
	assert_true(testhost_metric(f->t, "linnix_process_ghosts_total", "") == 0);
	/* the iterator shows it after all, with its exact start: the same one */
	add_record(f, 10, 1, 900 * SECOND + 1234567);
	set_records(f, 10 * SECOND);
	assert_int_equal(testhost_advance(f->t, 10 * SECOND), 10);
	assert_int_equal(get(f, 10, 0)->start_ns, 900 * SECOND + 1234567);
	assert_true(testhost_metric(f->t, "linnix_processes_from_procfs", "") == 0);
	/* once its files are gone and the iterator is silent, it is */
	remove_fake_proc(f);
	f->n = 1;
	set_records(f, 10 * SECOND);
	assert_int_equal(testhost_advance(f->t, 12 * SECOND), 12);
	assert_null(get(f, 10, 0));
}

static void without_both_the_function_is_lost(void **arg)
{
	struct test *f = *arg;

	assert_int_equal(testhost_conf(f->t, "proc_root=/nonexistent"), 0);
	assert_int_equal(testhost_iter(f->t, "proc", "usage", NULL, -EPERM, 8), 0);
	load(f);
	assert_int_equal(testhost_health(f->t, "usage"), LNX_HEALTH_LOST);
	assert_true(testhost_log_has(f->t, "cannot read /nonexistent"));
	/* events still work */
	assert_int_equal(fork_at(f, 1, START, 30, TESTHOST_START_NS), 0);
	assert_non_null(get(f, 30, 0));
}

static void broken_stat_files_are_nobody(void **arg)
{
	static const char *const bad[] = {
		"",   "1",	  "1 (x", "1 (x)", "1 (x) ", "1 (x) S 1 2 3", "1 (x) S a b c",
		")(", "1 )x( S 1"
	};
	struct proc_scan s = { .tick_ns = 10000000 };
	struct lnx_rec_proc r;
	struct test *f = *arg;
	char dir[128];
	size_t i;

	fake_proc(f);
	snprintf(s.proc_root, sizeof(s.proc_root), "%s", f->dir);
	snprintf(dir, sizeof(dir), "%s/11", f->dir);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put(dir, "stat", bad[i]);
		assert_int_equal(proc_scan_one(&s, 11, &r), -EINVAL);
	}
	assert_int_equal(proc_scan_one(&s, 12, &r), -ESRCH);
	put(dir, "stat", "11 (x) ? 1 0 0 0 0 99999999999999999999999 0 0 0 0 0 0 0 0 0 0 0 0 5\n");
	assert_int_equal(proc_scan_one(&s, 11, &r), -ESRCH); /* no status: it ended meanwhile */
	remove_fake_proc(f);
}

/* ---- failures */

static void failing_host_is_told_and_leaks_nothing(void **arg)
{
	static const char *const functions[] = { "metric", "provide", "timer_add" };
	struct testhost *t;
	size_t i;

	(void)arg;
	for (i = 0; i < 3; i++) {
		t = testhost_new();
		assert_non_null(t);
		testhost_fail(t, functions[i], -ENOSPC, 0, 1);
		assert_int_equal(testhost_load(t, linnix_plugin_v1()), -ENOSPC);
		testhost_free(t);
	}
}

static void reload_changes_the_repair(void **arg)
{
	struct test *f = *arg;

	load(f);
	assert_int_equal(testhost_conf(f->t, "repair=3s"), 0);
	assert_int_equal(testhost_reload(f->t), 0);
	assert_int_equal(testhost_advance(f->t, 9 * SECOND), 9);
	assert_int_equal(testhost_iter_runs(f->t, "proc", "usage"), 4);
	assert_int_equal(testhost_conf(f->t, "repair=10ms"), 0);
	assert_int_equal(testhost_reload(f->t), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_refresh_without_demand_but_the_repair),
		TEST(figures_that_moved_are_published),
		TEST(full_bus_says_it_again_later),
		TEST(figures_that_fall_do_no_harm),
		TEST(ghosts_go_after_two_refreshes),
		TEST(exits_that_come_late_make_no_ghosts),
		TEST(processes_that_appear_unseen_are_found),
		TEST(zombies_are_counted_not_listed),
		TEST(without_the_probe_proc_is_read),
		TEST(processes_that_the_iterator_hides_are_read),
		TEST(without_both_the_function_is_lost),
		TEST(broken_stat_files_are_nobody),
		TEST(failing_host_is_told_and_leaks_nothing),
		TEST(reload_changes_the_repair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
