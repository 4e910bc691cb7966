/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin psi on the test host and a fake /proc: parsers, samples, health. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <linnix/ev_psi.h>
#include <linnix/plugin.h>

#include "psi.h"
#include "test_tree.h"
#include "testhost.h"

#define SECOND 1000000000ULL

static int near(double a, double b)
{
	return fabs(a - b) < 0.01;
}

/* ---- parsers */

static void pressure_file_is_parsed(void **arg)
{
	struct psi_file f;

	(void)arg;
	assert_int_equal(psi_parse_pressure("some avg10=1.50 avg60=2.25 avg300=0.00 total=123456\n"
					    "full avg10=0.10 avg60=0.20 avg300=0.30 total=99\n",
					    &f),
			 0);
	assert_int_equal(f.total_us[PSI_SOME], 123456);
	assert_int_equal(f.total_us[PSI_FULL], 99);
	assert_true(near(f.avg10[PSI_SOME], 1.5));
	assert_true(near(f.avg60[PSI_FULL], 0.2));
	/* old kernels: cpu has one line only; no newline at the end */
	assert_int_equal(psi_parse_pressure("some avg10=0.00 avg60=0.00 avg300=0.00 total=7", &f),
			 0);
	assert_int_equal(f.has[PSI_SOME], 1);
	assert_int_equal(f.has[PSI_FULL], 0);
	assert_true(isnan(f.avg10[PSI_FULL]));
}

static void broken_pressure_files_are_refused(void **arg)
{
	static const char *const bad[] = {
		"",
		"\n\n",
		"some",
		"some total=",
		"some total=-5\n",
		"some total=12x\n",
		"some avg10=0.00\nirq total=5\n",
		"some total=99999999999999999999999\n",
		"xsome total=5\n",
		"\x01\xff\xfe total=5",
	};
	struct psi_file f = { .total_us = { 42, 42 } };
	size_t i;

	(void)arg;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(psi_parse_pressure(bad[i], &f), -EINVAL);
	assert_int_equal(f.total_us[0], 42); /* untouched */
	/* a broken line does not spoil the other; broken averages do not spoil the total */
	assert_int_equal(psi_parse_pressure("some avg10=x avg60=nan avg300=1e999 total=5\n"
					    "full total=x\n",
					    &f),
			 0);
	assert_int_equal(f.total_us[PSI_SOME], 5);
	assert_true(isnan(f.avg10[PSI_SOME]) && isnan(f.avg60[PSI_SOME]));
	assert_true(isnan(f.avg300[PSI_SOME]));
	assert_int_equal(f.has[PSI_FULL], 0);
	/* the widest number there is */
	assert_int_equal(psi_parse_pressure("some total=18446744073709551615\n", &f), 0);
	assert_true(f.total_us[PSI_SOME] == UINT64_MAX);
	assert_int_equal(psi_parse_pressure("some total=18446744073709551616\n", &f), -EINVAL);
}

static void stat_file_is_parsed(void **arg)
{
	struct psi_stat s;

	(void)arg;
	assert_int_equal(psi_parse_stat("cpu  10 20 30 400 50 6 7 8 9 1\n"
					"cpu0 1 2 3 4\ncpu12 1 2 3 4\nintr 5 6 7\nctxt 1000\n"
					"btime 5\nprocesses 77\nprocs_running 3\nprocs_blocked 0\n",
					&s),
			 0);
	assert_int_equal(s.busy, 10 + 20 + 30 + 6 + 7 + 8); /* guest 9 and 1 are in user and nice */
	assert_int_equal(s.idle, 400);
	assert_int_equal(s.iowait, 50);
	assert_int_equal(s.steal, 8);
	assert_int_equal(s.n_cpus, 2);
	assert_int_equal(s.forks, 77);
	assert_int_equal(s.switches, 1000);
	assert_int_equal(s.n_running, 3);
	/* cut short */
	assert_int_equal(psi_parse_stat("cpu  10 20 30", &s), -EINVAL);
	assert_int_equal(psi_parse_stat("cpu  10 20 30 4", &s), 0);
	assert_int_equal(s.has_forks, 0);
	assert_int_equal(psi_parse_stat("processes 5\n", &s), 0);
	assert_int_equal(s.has_cpu, 0);
	assert_int_equal(psi_parse_stat("", &s), -EINVAL);
	assert_int_equal(psi_parse_stat("cpu  a b c d\nctxt x\n", &s), -EINVAL);
}

static void memory_and_load_are_parsed(void **arg)
{
	struct psi_mem m;
	double load[3];

	(void)arg;
	assert_int_equal(psi_parse_mem("MemTotal:  1000 kB\nMemFree: 5 kB\nMemAvailable:  250 kB\n"
				       "SwapTotal: 10 kB\nSwapFree: 4 kB\n",
				       &m),
			 0);
	assert_int_equal(m.total_bytes, 1024000);
	assert_int_equal(m.available_bytes, 256000);
	assert_int_equal(m.swap_free_bytes, 4096);
	assert_int_equal(psi_parse_mem("MemTotal: 1000 kB\n", &m), 0);
	assert_int_equal(m.has_available, 0);
	assert_int_equal(psi_parse_mem("MemTotal: 0 kB\n", &m), -EINVAL);
	assert_int_equal(psi_parse_mem("MemTotal: 18446744073709551615 kB\n", &m), -EINVAL);
	assert_int_equal(psi_parse_mem("", &m), -EINVAL);
	assert_int_equal(psi_parse_load("0.50 1.25 2.00 3/500 1234\n", load), 0);
	assert_true(near(load[1], 1.25));
	assert_int_equal(psi_parse_load("0.50 1.25", load), -EINVAL);
	assert_int_equal(psi_parse_load("a b c", load), -EINVAL);
	assert_int_equal(psi_parse_load("nan 1 2", load), -EINVAL);
	assert_int_equal(psi_parse_load("-1 1 2", load), -EINVAL);
}

static void cgroup_root_is_found_in_the_mounts(void **arg)
{
	static const char hybrid[] =
		"22 1 0:20 / /proc rw - proc proc rw\n"
		"30 25 0:26 / /sys/fs/cgroup ro shared:9 - tmpfs tmpfs ro\n"
		"31 30 0:27 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw\n"
		"32 30 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
	char path[64];

	(void)arg;
	assert_int_equal(psi_parse_mounts(hybrid, path, sizeof(path)), 0);
	assert_string_equal(path, "/sys/fs/cgroup/unified");
	assert_int_equal(psi_parse_mounts("31 30 0:27 / /a\\040b rw - cgroup2 none rw\n", path,
					  sizeof(path)),
			 0);
	assert_string_equal(path, "/a b");
	assert_int_equal(
		psi_parse_mounts("1 2 0:1 / /proc rw - proc proc rw\n", path, sizeof(path)),
		-ENOENT);
	assert_int_equal(psi_parse_mounts("", path, sizeof(path)), -ENOENT);
	assert_int_equal(psi_parse_mounts("x - cgroup2 \n", path, sizeof(path)), -ENOENT);
	assert_int_equal(psi_parse_mounts(hybrid, path, 5), -ENAMETOOLONG);
}

static void share_is_clamped_and_resets_are_unknown(void **arg)
{
	(void)arg;
	assert_true(near(psi_pct(1000, 251000, SECOND), 25));
	assert_true(near(psi_pct(0, 5000000, SECOND), 100));
	assert_true(isnan(psi_pct(5, 4, SECOND)));
	assert_true(isnan(psi_pct(0, 5, 0)));
	assert_true(near(psi_pct(0, UINT64_MAX, 1), 100));
}

/* ---- samples */

static const struct lnx_ev_psi_sample *psi_of(struct fake_tree *f)
{
	return (const struct lnx_ev_psi_sample *)testhost_last(f->t, "psi.sample");
}

static const struct lnx_ev_host_sample *host_of(struct fake_tree *f)
{
	return (const struct lnx_ev_host_sample *)testhost_last(f->t, "host.sample");
}

static void samples_are_deltas_of_totals(void **arg)
{
	struct fake_tree *f = *arg;
	const struct lnx_ev_host_sample *h;
	const struct lnx_ev_psi_sample *p;

	fake_pressure(f, "cpu", 1000000, 0);
	fake_pressure(f, "memory", 500, 400);
	fake_load(f);
	assert_int_equal(testhost_published(f->t), 0); /* no window yet */
	fake_pressure(f, "cpu", 1300000, 5000000);
	fake_pressure(f, "memory", 100500, 50400);
	fake_stat(f, 160, 430, 10, 12, 1040, 5500);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	p = psi_of(f);
	h = host_of(f);
	assert_non_null(p);
	assert_int_equal(p->window_ns, SECOND);
	assert_true(near(p->cpu_some.pct, 30));
	assert_int_equal(p->cpu_some.total_us, 1300000);
	assert_true(near(p->cpu_some.avg10, 1.5));
	assert_true(near(p->memory_some.pct, 10));
	assert_true(near(p->memory_full.pct, 5));
	assert_true(near(p->io_full.pct, 0));
	/* 60 busy of which 2 steal, 30 idle, 10 iowait */
	assert_true(near(h->cpu_pct, 60));
	assert_true(near(h->steal_pct, 2));
	assert_true(near(h->iowait_pct, 10));
	assert_true(near(h->mem_pct, 75));
	assert_true(near(h->load5, 1.25));
	assert_true(near(h->forks_per_s, 40));
	assert_true(near(h->switches_per_s, 500));
	assert_int_equal(h->n_cpus, 2);
	assert_true(near(h->psi_cpu_some, 30));
	assert_true(near(testhost_metric(f->t, "linnix_pressure_stall_seconds_total",
					 "resource=cpu,kind=some"),
			 1.3));
	assert_true(isnan(testhost_metric(f->t, "linnix_pressure_stall_seconds_total",
					  "resource=cpu,kind=full")));
	assert_int_equal(testhost_metric_series(f->t, "linnix_pressure_stall_seconds_total"), 5);
	assert_int_equal(testhost_health(f->t, "psi"), -ENOENT);
}

static void counter_that_falls_is_unknown_once(void **arg)
{
	struct fake_tree *f = *arg;

	fake_pressure(f, "cpu", 1000000, 0);
	fake_load(f);
	fake_pressure(f, "cpu", 10, 0);
	fake_stat(f, 1, 1, 0, 1, 1, 1);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_true(isnan(psi_of(f)->cpu_some.pct));
	assert_true(isnan(host_of(f)->forks_per_s));
	assert_true(isnan(host_of(f)->cpu_pct)); /* nothing went forward */
	assert_true(testhost_metric(f->t, "linnix_pressure_stall_seconds_total",
				    "resource=cpu,kind=some") == 1.0);
	fake_pressure(f, "cpu", 100010, 0);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_true(near(psi_of(f)->cpu_some.pct, 10));
	assert_true(near(testhost_metric(f->t, "linnix_pressure_stall_seconds_total",
					 "resource=cpu,kind=some"),
			 1.1));
}

static void files_that_break_while_running_are_unknown(void **arg)
{
	struct fake_tree *f = *arg;

	fake_load(f);
	fake_put(f, "pressure/cpu", "garbage\n");
	fake_put(f, "stat", "");
	fake_put(f, "meminfo", "MemTotal: x kB\n");
	fake_put(f, "loadavg", "?\n");
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_true(isnan(psi_of(f)->cpu_some.pct));
	assert_true(isnan(host_of(f)->cpu_pct));
	assert_true(isnan(host_of(f)->mem_pct));
	assert_true(isnan(host_of(f)->load1));
	assert_int_equal(host_of(f)->mem_total_bytes, 0);
	/* and come back: one window without a figure, then as before */
	fake_pressure(f, "cpu", 500, 0);
	fake_stat(f, 100, 400, 0, 0, 1, 1);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_true(isnan(psi_of(f)->cpu_some.pct));
	fake_pressure(f, "cpu", 10500, 0);
	fake_stat(f, 150, 450, 0, 0, 1, 1);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_true(near(psi_of(f)->cpu_some.pct, 1));
	assert_true(near(host_of(f)->cpu_pct, 50));
}

static void huge_stat_file_is_read_and_too_huge_one_refused(void **arg)
{
	struct fake_tree *f = *arg;
	struct lnx_buf b = { 0 };
	int i;

	lnx_buf_str(&b, "cpu  100 0 0 400 0 0 0 0\n");
	for (i = 0; i < 4096; i++)
		lnx_buf_printf(&b, "cpu%d 1 2 3 4 5 6 7 8 9 10\n", i);
	lnx_buf_str(&b, "intr");
	for (i = 0; i < 100000; i++)
		lnx_buf_str(&b, " 0");
	lnx_buf_str(&b, "\nctxt 5\nprocesses 9\nprocs_running 1\n");
	assert_int_equal(lnx_buf_error(&b), 0);
	fake_put(f, "stat", b.data);
	fake_load(f);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_int_equal(host_of(f)->n_cpus, 4096);
	for (i = 0; i < 1000000; i++)
		lnx_buf_char(&b, 'x');
	fake_put(f, "stat", b.data);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_int_equal(host_of(f)->n_cpus, 0);
	assert_true(isnan(host_of(f)->cpu_pct));
	lnx_buf_done(&b);
}

/* ---- what is missing */

static void without_psi_the_rest_is_served(void **arg)
{
	struct fake_tree *f = *arg;

	fake_remove(f, "pressure/cpu");
	fake_remove(f, "pressure/memory");
	fake_remove(f, "pressure/io");
	fake_load(f);
	assert_int_equal(testhost_health(f->t, "psi"), LNX_HEALTH_DEGRADED);
	assert_non_null(strstr(testhost_health_why(f->t, "psi"), "psi=1"));
	fake_stat(f, 150, 450, 0, 0, 1, 1);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_true(isnan(psi_of(f)->cpu_some.pct));
	assert_true(isnan(psi_of(f)->io_full.avg60));
	assert_true(isnan(host_of(f)->psi_cpu_some));
	assert_true(near(host_of(f)->cpu_pct, 50));
	assert_int_equal(testhost_metric_series(f->t, "linnix_pressure_stall_seconds_total"), 0);
}

static void without_proc_it_says_so(void **arg)
{
	struct fake_tree *f = *arg;

	fake_remove(f, "stat");
	fake_remove(f, "meminfo");
	fake_load(f);
	assert_int_equal(testhost_health(f->t, "host"), LNX_HEALTH_DEGRADED);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_true(isnan(host_of(f)->cpu_pct));
	assert_true(near(host_of(f)->load1, 0.5));
}

static void without_cgroup2_it_says_so(void **arg)
{
	struct fake_tree *f = *arg;

	f->is_auto_root = 1; /* as the mounts say, and they know none */
	fake_put(f, "self/mountinfo", "22 1 0:20 / /proc rw - proc proc rw\n");
	fake_load(f);
	assert_int_equal(testhost_health(f->t, "cgroups"), LNX_HEALTH_DEGRADED);
	assert_non_null(strstr(testhost_health_why(f->t, "cgroups"), "cgroup v2"));
	assert_int_equal(testhost_advance(f->t, 20 * SECOND), 20);
	assert_int_equal(testhost_count(f->t, "psi.sample"), 20);
	assert_int_equal(testhost_count(f->t, "psi.cgroup"), 0);
}

/* ---- life */

static void interval_changes_on_reload(void **arg)
{
	struct fake_tree *f = *arg;

	fake_load(f);
	assert_int_equal(testhost_conf(f->t, "interval=250ms"), 0);
	assert_int_equal(testhost_reload(f->t), 0);
	assert_true(testhost_advance(f->t, 2 * SECOND) >= 8);
	assert_int_equal(testhost_count(f->t, "host.sample"), 8);
	assert_int_equal(host_of(f)->window_ns, SECOND / 4);
	assert_int_equal(testhost_conf(f->t, "interval=100ms"), 0);
	assert_int_equal(testhost_reload(f->t), -EINVAL);
}

static void long_interval_has_a_first_sample_soon(void **arg)
{
	struct fake_tree *f = *arg;

	assert_int_equal(testhost_conf(f->t, "interval=60s"), 0);
	fake_load(f);
	assert_true(testhost_advance(f->t, 2 * SECOND) >= 1);
	assert_int_equal(testhost_count(f->t, "host.sample"), 1);
	assert_true(testhost_advance(f->t, 58 * SECOND) >= 0);
	assert_int_equal(testhost_count(f->t, "host.sample"), 1);
	assert_true(testhost_advance(f->t, 1 * SECOND) >= 1);
	assert_int_equal(testhost_count(f->t, "host.sample"), 2);
}

static void failing_host_is_told_and_leaks_nothing(void **arg)
{
	static const char *const functions[] = { "metric", "timer_add" };
	struct fake_tree *f = *arg;
	size_t i;

	for (i = 0; i < 2; i++) {
		testhost_fail(f->t, functions[i], -ENOSPC, 0, 1);
		fake_conf(f);
		assert_int_equal(testhost_load(f->t, linnix_plugin_v1()), -ENOSPC);
		testhost_free(f->t);
		f->t = testhost_new();
		assert_non_null(f->t);
	}
	fake_load(f);
	testhost_fail(f->t, "publish", -ENOBUFS, 0, 1);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_int_equal(testhost_published(f->t), 0);
	assert_true(testhost_log_has(f->t, "not taken by the bus"));
}

static void fake_files_are_never_written(void **arg)
{
	struct fake_tree *f = *arg;
	char text[256];

	fake_pressure(f, "cpu", 77, 0);
	fake_load(f);
	fake_get(f, "pressure/cpu", text, sizeof(text));
	assert_non_null(strstr(text, "total=77"));
	assert_true(testhost_log_has(f->t, "0 of 3 pressure triggers"));
	assert_int_equal(testhost_fds(f->t), 0);
}

/* On the real /proc: the loop must not spin, which watching a pressure fd for EPOLLIN would make it do. */
static void triggers_do_not_spin(void **arg)
{
	struct testhost *t = testhost_new();
	int i, calls = 0, r;

	(void)arg;
	assert_non_null(t);
	assert_int_equal(testhost_load(t, linnix_plugin_v1()), 0);
	if (!testhost_fds(t)) {
		print_message("no pressure triggers here\n");
		testhost_free(t);
		skip();
	}
	for (i = 0; i < 50; i++) {
		r = testhost_poll(t, 20);
		assert_true(r >= 0);
		calls += r;
	}
	/* at most one per resource and window, and some windows more on a slow machine; one that spins is called each time */
	assert_in_range(calls, 0, 25);
	testhost_free(t);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pressure_file_is_parsed),
		cmocka_unit_test(broken_pressure_files_are_refused),
		cmocka_unit_test(stat_file_is_parsed),
		cmocka_unit_test(memory_and_load_are_parsed),
		cmocka_unit_test(cgroup_root_is_found_in_the_mounts),
		cmocka_unit_test(share_is_clamped_and_resets_are_unknown),
		TEST(samples_are_deltas_of_totals),
		TEST(counter_that_falls_is_unknown_once),
		TEST(files_that_break_while_running_are_unknown),
		TEST(huge_stat_file_is_read_and_too_huge_one_refused),
		TEST(without_psi_the_rest_is_served),
		TEST(without_proc_it_says_so),
		TEST(without_cgroup2_it_says_so),
		TEST(interval_changes_on_reload),
		TEST(long_interval_has_a_first_sample_soon),
		TEST(failing_host_is_told_and_leaks_nothing),
		TEST(fake_files_are_never_written),
		cmocka_unit_test(triggers_do_not_spin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
