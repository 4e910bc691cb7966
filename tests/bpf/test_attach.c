/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Probes in the real kernel: attached on demand, failing alone, losing nothing in silence. */
/* LINK: tests/bpf/fix_probe.c */
#include "tests/bpf/fix_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <ev.h>
#include <linnix/ledger.h>
#include <linnix/plugin.h>
#include <linnix/rec_proc.h>
#include <linux/capability.h>

#include "../../core/metrics.h"

#define STORM_FORKS 20000

static int do_nothing(void *arg)
{
	(void)arg;
	return 0;
}

static void count_record(void *arg, const void *record)
{
	(void)record;
	++*(unsigned *)arg;
}

/* ---- on demand */

static void a_probe_that_nobody_wants_does_not_run(void **state)
{
	struct lnx_probes_conf conf = { .bpf_dir = fix_bpf_dir() };
	uint64_t runs;
	struct fix f;

	(void)state;
	fix_open(&f, &conf);
	lnx_probes_sync(f.probes);
	assert_int_equal(fix_info(&f, "proc").state, LNX_PROBE_LOADED);
	(void)fix_reap(fix_fork(do_nothing, NULL));
	assert_int_equal(fix_info(&f, "proc").runs, 0);
	fix_listen(&f);
	assert_int_equal(fix_info(&f, "proc").state, LNX_PROBE_ATTACHED);
	(void)fix_run(&f, do_nothing, NULL, NULL, NULL);
	runs = fix_info(&f, "proc").runs;
	assert_true(runs >= 2);
	fix_unlisten(&f);
	assert_int_equal(fix_info(&f, "proc").state, LNX_PROBE_LOADED);
	runs = fix_info(&f, "proc").runs;
	(void)fix_reap(fix_fork(do_nothing, NULL));
	assert_int_equal(fix_info(&f, "proc").runs, runs);
	fix_listen(&f);
	fix_forget(&f);
	assert_non_null(fix_run(&f, do_nothing, NULL, NULL, NULL));
	fix_done(&f);
}

static void a_probe_stays_while_somebody_asks_for_it_by_name(void **state)
{
	struct lnx_probes_conf conf = { .bpf_dir = fix_bpf_dir() };
	struct fix f;

	(void)state;
	fix_open(&f, &conf);
	assert_int_equal(lnx_probes_want(f.probes, "proc", 0), -EINVAL);
	assert_int_equal(lnx_probes_want(f.probes, "proc", 1), 0);
	assert_int_equal(lnx_probes_want(f.probes, "proc", 1), 0);
	assert_int_equal(fix_info(&f, "proc").state, LNX_PROBE_ATTACHED);
	assert_int_equal(lnx_probes_want(f.probes, "proc", 0), 0);
	lnx_probes_sync(f.probes);
	assert_int_equal(fix_info(&f, "proc").state, LNX_PROBE_ATTACHED);
	assert_int_equal(lnx_probes_want(f.probes, "proc", 0), 0);
	assert_int_equal(fix_info(&f, "proc").state, LNX_PROBE_LOADED);
	assert_int_equal(lnx_probes_want(f.probes, "nothing", 1), -ENOENT);
	fix_done(&f);
}

static void maps_are_found_by_name(void **state)
{
	struct lnx_probes_conf conf = { .bpf_dir = fix_bpf_dir() };
	struct fix f;

	(void)state;
	fix_open(&f, &conf);
	assert_true(lnx_probes_map(f.probes, "proc", "stats") >= 0);
	assert_int_equal(lnx_probes_map(f.probes, "proc", "nothing"), -ENOENT);
	assert_int_equal(lnx_probes_map(f.probes, "nothing", "stats"), -ENOENT);
	/* a section with a name of its own */
	assert_true(lnx_probes_map(f.probes, "sched", LNX_LEDGER_TABLE) >= 0);
	fix_done(&f);
}

/* ---- without privileges: in a child, which tells by its exit code where it failed */

/* Become nobody with CAP_BPF and CAP_PERFMON, or with nothing. */
static int drop_to(int keep_bpf)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = { { 0 } };

	if (keep_bpf) {
		caps[1].permitted = 1u << (CAP_BPF - 32) | 1u << (CAP_PERFMON - 32);
		caps[1].effective = caps[1].permitted;
	}
	if (prctl(PR_SET_KEEPCAPS, keep_bpf, 0, 0, 0) < 0 || setgroups(0, NULL) < 0 ||
	    setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
		return -errno;
	return syscall(SYS_capset, &head, caps) < 0 ? -errno : 0;
}

static int use_without_privileges(void *arg)
{
	struct lnx_probes_conf conf = { .bpf_dir = fix_bpf_dir() };
	unsigned n = 0;
	struct fix f;
	int rc;

	(void)arg;
	fix_open(&f, &conf);
	if (fix_info(&f, "proc").state != LNX_PROBE_LOADED)
		return 10;
	if (drop_to(0) < 0)
		return 11;
	fix_listen(&f);
	if (fix_info(&f, "proc").state != LNX_PROBE_ATTACHED)
		return 12;
	if (!fix_run(&f, do_nothing, NULL, NULL, NULL))
		return 13;
	rc = lnx_probes_iter(f.probes, "proc", "usage", sizeof(struct lnx_rec_proc), count_record,
			     &n);
	if (rc <= 0 || n != (unsigned)rc)
		return 14;
	if (fix_info(&f, "proc").runs == 0)
		return 15;
	fix_done(&f);
	return 0;
}

static void a_loaded_probe_needs_no_privileges(void **state)
{
	int status;

	(void)state;
	status = fix_reap(fix_fork(use_without_privileges, NULL));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int load_as_nobody(void *arg)
{
	struct lnx_probes_conf conf = { .bpf_dir = arg };
	unsigned n = 0;
	struct fix f;

	if (drop_to(1) < 0)
		return 11;
	fix_open(&f, &conf);
	fix_listen(&f);
	if (fix_info(&f, "proc").state != LNX_PROBE_ATTACHED) {
		print_message("# %s\n", fix_info(&f, "proc").why);
		return 12;
	}
	if (!fix_run(&f, do_nothing, NULL, NULL, NULL))
		return 13;
	if (lnx_probes_iter(f.probes, "proc", "usage", sizeof(struct lnx_rec_proc), count_record,
			    &n) <= 0)
		return 14;
	fix_done(&f);
	return 0;
}

static int load_without_privileges(void *arg)
{
	struct lnx_probes_conf conf = { .bpf_dir = arg };
	struct lnx_probe_info info;
	struct fix f;

	if (drop_to(0) < 0)
		return 11;
	fix_open(&f, &conf);
	info = fix_info(&f, "proc");
	if (info.state != LNX_PROBE_FAILED)
		return 12;
	if (!strstr(info.why, "CAP_BPF and CAP_PERFMON"))
		return 13;
	fix_listen(&f);
	if (fix_info(&f, "proc").state != LNX_PROBE_FAILED || lnx_probes_drain(f.probes) != 0)
		return 14;
	if (lnx_probes_map(f.probes, "proc", "stats") != -ENODEV ||
	    lnx_probes_want(f.probes, "proc", 1) != -ENODEV ||
	    lnx_probes_iter(f.probes, "proc", "usage", 8, count_record, NULL) != -ENODEV)
		return 15;
	fix_done(&f);
	return 0;
}

static void without_privileges_the_reason_names_what_is_missing(void **state)
{
	struct fix_dir d;
	int status;

	(void)state;
	fix_dir_open(&d);
	fix_copy(d.built, d.object);
	status = fix_reap(fix_fork(load_without_privileges, d.path));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	fix_dir_done(&d);
}

static void nobody_with_two_capabilities_is_enough(void **state)
{
	struct fix_dir d;
	int status;

	(void)state;
	fix_dir_open(&d);
	fix_copy(d.built, d.object);
	status = fix_reap(fix_fork(load_as_nobody, d.path));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	fix_dir_done(&d);
}

static void a_disabled_probe_is_off(void **state)
{
	static const char *const disabled[] = { "proc", NULL };
	struct lnx_probes_conf conf = { .bpf_dir = fix_bpf_dir(), .disabled = disabled };
	struct fix f;

	(void)state;
	fix_open(&f, &conf);
	fix_listen(&f);
	assert_int_equal(fix_info(&f, "proc").state, LNX_PROBE_OFF);
	assert_string_equal(fix_info(&f, "proc").why, "");
	assert_int_equal(lnx_probes_want(f.probes, "proc", 1), -ENODEV);
	fix_done(&f);
}

/* ---- storms and losses */

/* A process as any other, and quick to make. */
static __attribute__((noinline)) int fork_one(void)
{
	pid_t pid = vfork();

	if (pid == 0)
		_exit(0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

static int storm(void *arg)
{
	unsigned n = *(unsigned *)arg;

	while (n > 0 && fork_one() == 0)
		n--;
	return n > 0;
}

struct turn {
	struct fix *f;
	pid_t pid; /* of the storm */
	int is_over;
	unsigned ticks;
};

static void on_turn(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct turn *t = w->data;
	int status;

	(void)revents;
	t->ticks++;
	if (!t->is_over && waitpid(t->pid, &status, WNOHANG) == t->pid) {
		assert_int_equal(status, 0);
		t->is_over = 1;
		t->ticks = 0;
	}
	if (t->is_over && t->ticks > 10)
		ev_break(loop, EVBREAK_ALL);
}

static uint32_t storm_pid;

static int keep_storm(const struct lnx_event *ev)
{
	const struct lnx_ev_proc_exit *e = (const void *)ev;

	if (ev->type == LNX_EV_PROC_EXIT)
		return e->ppid == storm_pid;
	return ev->pid == storm_pid;
}

/* A storm on the loop; what is not lost is there. How much was lost in the kernel. */
static uint64_t storm_on_a_loop(void)
{
	unsigned forks = STORM_FORKS, i, n_fork = 0, n_exit = 0;
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct lnx_bus_stats stats;
	struct turn turn = { 0 };
	uint64_t last_ns = 0, lost;
	struct fix f;
	ev_timer timer;

	fix_start(&f, 0);
	f.keep = keep_storm;
	turn.f = &f;
	ev_timer_init(&timer, on_turn, 0.01, 0.01);
	timer.data = &turn;
	ev_timer_start(loop, &timer);
	assert_int_equal(lnx_probes_start(f.probes, loop), 0);
	turn.pid = fix_fork(storm, &forks);
	storm_pid = (uint32_t)turn.pid;
	ev_run(loop, 0);
	lnx_probes_stop(f.probes);
	for (i = 0; i < f.n_kept; i++) {
		n_fork += f.kept[i]->type == LNX_EV_PROC_FORK;
		n_exit += f.kept[i]->type == LNX_EV_PROC_EXIT;
		last_ns = f.kept[i]->ts_ns;
	}
	assert_int_equal(f.n_lost, 0);
	lost = fix_info(&f, "proc").lost;
	assert_in_range(n_fork + n_exit, 2 * STORM_FORKS - lost, 2 * STORM_FORKS);
	if (!lost) {
		assert_int_equal(n_fork, STORM_FORKS);
		assert_int_equal(n_exit, STORM_FORKS);
	}
	assert_true(last_ns > 0);
	lnx_bus_stats(f.bus, &stats);
	assert_in_range(stats.dropped[LNX_DROP_KERNEL], 0, lost);
	assert_int_equal(stats.dropped[LNX_DROP_INVALID], 0);
	assert_true(fix_info(&f, "proc").run_ns > 0);
	fix_done(&f);
	ev_loop_destroy(loop);
	return lost;
}

/* Who gets no CPU for as long as the buffer holds cannot keep up: then it is measured again. */
static void a_storm_on_the_loop_loses_nothing(void **state)
{
	uint64_t lost = 1;

	(void)state;
	for (unsigned i = 0; i < 3 && lost; i++) {
		lost = storm_on_a_loop();
		print_message("# %lu events lost\n", lost);
	}
	assert_int_equal(lost, 0);
}

/* Sum of the series of linnix_probe_lost_total, and the value of another. */
static double metric_sum(const char *text, const char *name)
{
	const char *at = text;
	double sum = 0;

	while ((at = strstr(at, name))) {
		const char *space = strchr(at, ' ');

		if (at > text && at[-1] == '\n' && at[strlen(name)] == '{' && space)
			sum += strtod(space, NULL);
		at += strlen(name);
	}
	return sum;
}

static void what_does_not_fit_is_counted_everywhere(void **state)
{
	struct lnx_probes_conf conf = { .bpf_dir = fix_bpf_dir(), .ring_bytes = 4096 };
	struct lnx_metrics *m = lnx_metrics_new();
	unsigned forks = 300, got;
	struct lnx_bus_stats stats;
	struct lnx_buf text = { 0 };
	uint64_t lost;
	struct fix f;
	pid_t pid;

	(void)state;
	fix_open(&f, &conf);
	f.keep = keep_storm;
	fix_listen(&f);
	pid = fix_fork(storm, &forks);
	storm_pid = (uint32_t)pid;
	assert_int_equal(fix_reap(pid), 0);
	fix_unlisten(&f);
	fix_listen(&f); /* to keep what is queued */
	(void)lnx_probes_drain(f.probes);
	got = f.n_kept;
	lost = fix_info(&f, "proc").lost;
	assert_true(got > 0 && got < 2 * forks);
	assert_true(lost >= 2 * forks - got); /* others fork, too */
	lnx_probes_collect(f.probes, m);
	lnx_probes_collect(f.probes, m);
	lnx_bus_stats(f.bus, &stats);
	lost = fix_info(&f, "proc").lost;
	assert_in_range(stats.dropped[LNX_DROP_KERNEL], 2 * forks - got, lost);
	lnx_metrics_text(m, 0, &text);
	assert_in_range(metric_sum(text.data, "linnix_probe_lost_total"), 2 * forks - got, lost);
	assert_true(metric_sum(text.data, "linnix_probe_runs_total") >= 2 * forks);
	assert_non_null(strstr(text.data, "\nlinnix_probe_missed_runs_total{probe=\"proc\"} "));
	lnx_buf_done(&text);
	fix_done(&f);
	lnx_metrics_free(m);
}

static int reader_on_event(void *arg, const struct lnx_event *ev)
{
	(void)arg;
	(void)ev;
	return 0;
}

/* Probes on <loop>; somebody reads along, or not. */
static void start_on_loop(struct fix *f, struct ev_loop *loop, int is_read)
{
	fix_start(f, 0);
	if (is_read) {
		assert_int_equal(lnx_bus_subscribe(f->bus, "reader", LNX_EV_PROC_EXIT,
						   LNX_STAGE_EXPORT, 0, reader_on_event, NULL,
						   NULL),
				 0);
		lnx_probes_sync(f->probes);
	}
	assert_int_equal(lnx_probes_start(f->probes, loop), 0);
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

struct delay {
	uint64_t median_ns, late_ns; /* of ten, nine are sooner */
};

/* Time from an exit to its subscriber, over every phase of the timer. */
static struct delay exit_delay(int is_read)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	uint64_t took[50];
	struct fix f;
	unsigned i;

	start_on_loop(&f, loop, is_read);
	for (i = 0; i < 50; i++) {
		uint64_t until = fix_now_ns() + FIX_WAIT_MS * 1000000ull;
		const struct lnx_event *ev = NULL;
		pid_t pid;

		fix_forget(&f);
		pid = fix_fork(do_nothing, NULL);
		while (!ev && fix_now_ns() < until) {
			ev_run(loop, EVRUN_ONCE);
			ev = fix_find(&f, LNX_EV_PROC_EXIT, (uint32_t)pid, 0);
		}
		assert_non_null(ev);
		took[i] = fix_now_ns() - ev->ts_ns;
		(void)fix_reap(pid);
		(void)poll(NULL, 0, (int)(i % 7));
	}
	qsort(took, 50, sizeof(took[0]), by_size);
	print_message("# exit to subscriber: median %lu us, worst %lu us\n", took[25] / 1000,
		      took[49] / 1000);
	lnx_probes_stop(f.probes);
	fix_done(&f);
	ev_loop_destroy(loop);
	return (struct delay){ took[25], took[45] };
}

/* Sooner than the timer of last resort; and what others took the CPU from is measured again. */
static int arrives_within_ns(int is_read, uint64_t ns)
{
	for (unsigned i = 0; i < 3; i++) {
		struct delay d = exit_delay(is_read);

		if (d.median_ns < ns && d.late_ns < 900000000)
			return 1;
	}
	return 0;
}

/* One quiet event is announced by a wake, the next by the timer: neither waits for company. */
static void a_lone_event_arrives_soon(void **state)
{
	(void)state;
	assert_true(arrives_within_ns(1, 20000000));
	assert_true(arrives_within_ns(0, 100000000));
}

static void on_time(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)w;
	(void)revents;
	ev_break(loop, EVBREAK_ALL);
}

/* Each turn of the loop disturbs whoever runs: without a reader there are few, however many events. */
static void a_storm_that_nobody_reads_wakes_rarely(void **state)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	unsigned forks = 10000, turns;
	ev_timer timer;
	struct fix f;
	uint64_t ns;
	pid_t pid;

	(void)state;
	start_on_loop(&f, loop, 0);
	ns = fix_now_ns();
	turns = ev_iteration(loop);
	pid = fix_fork(storm, &forks);
	ev_timer_init(&timer, on_time, 0, 0.5);
	ev_timer_again(loop, &timer);
	while (fix_count(&f, LNX_EV_PROC_EXIT, (uint32_t)pid) == 0)
		ev_run(loop, 0);
	ns = fix_now_ns() - ns;
	turns = ev_iteration(loop) - turns;
	(void)fix_reap(pid);
	print_message("# %u turns in %lu ms\n", turns, ns / 1000000);
	assert_true(fix_count(&f, LNX_EV_PROC_EXIT, 0) >= forks);
	/* looks every 64 ms, full batches, this test's timer, and what a turn leaves to the next */
	assert_in_range(turns, 1, 10 + ns / 1000000 / 16 + f.n_kept / 512);
	lnx_probes_stop(f.probes);
	fix_done(&f);
	ev_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_probe_that_nobody_wants_does_not_run),
		cmocka_unit_test(a_probe_stays_while_somebody_asks_for_it_by_name),
		cmocka_unit_test(maps_are_found_by_name),
		cmocka_unit_test(a_loaded_probe_needs_no_privileges),
		cmocka_unit_test(without_privileges_the_reason_names_what_is_missing),
		cmocka_unit_test(nobody_with_two_capabilities_is_enough),
		cmocka_unit_test(a_disabled_probe_is_off),
		cmocka_unit_test(a_storm_on_the_loop_loses_nothing),
		cmocka_unit_test(what_does_not_fit_is_counted_everywhere),
		cmocka_unit_test(a_lone_event_arrives_soon),
		cmocka_unit_test(a_storm_that_nobody_reads_wakes_rarely),
	};

	fix_require();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
