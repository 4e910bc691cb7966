/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Probe proc in the real kernel: forks, execs and exits of children whose fate is known. */
/* LINK: tests/bpf/fix_probe.c */
#include "tests/bpf/fix_probe.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/sched.h>

static int exec_sh(void *arg)
{
	execl("/bin/sh", "sh", "-c", (const char *)arg, (char *)NULL);
	return 127;
}

static int exit_with(void *arg)
{
	return *(int *)arg;
}

static void a_child_that_runs_a_program_is_told_from_start_to_end(void **state)
{
	const struct lnx_ev_proc_fork *fork_ev;
	const struct lnx_ev_proc_exec *exec_ev;
	const struct lnx_ev_proc_exit *exit_ev;
	uint64_t before = fix_now_ns(), after;
	char script[] = "exit 7";
	struct fix f;
	pid_t pid;

	(void)state;
	fix_start(&f, 0);
	exit_ev = fix_run(&f, exec_sh, script, &pid, NULL);
	after = fix_now_ns();
	fork_ev = (const void *)fix_find(&f, LNX_EV_PROC_FORK, (uint32_t)pid, 0);
	exec_ev = (const void *)fix_find(&f, LNX_EV_PROC_EXEC, (uint32_t)pid, 0);
	assert_non_null(fork_ev);
	assert_non_null(exec_ev);
	assert_int_equal(fork_ev->h.pid, getpid());
	assert_int_equal(fork_ev->ppid, getpid());
	assert_int_equal(exec_ev->ppid, getpid());
	assert_int_equal(exit_ev->ppid, getpid());
	assert_int_equal(fork_ev->uid, getuid());
	assert_int_equal(exec_ev->uid, getuid());
	assert_int_equal(exit_ev->uid, getuid());
	assert_int_equal(fork_ev->is_kthread, 0);
	assert_string_equal(fork_ev->comm, "test_proc");
	assert_string_equal(exec_ev->comm, "sh");
	assert_string_equal(exit_ev->comm, "sh");
	assert_string_equal(fix_str(&exec_ev->h, exec_ev->filename), "/bin/sh");
	assert_int_equal(exec_ev->args.len, 0);
	assert_int_equal(exit_ev->exit_code, 7);
	assert_int_equal(exit_ev->signal, 0);
	assert_int_equal(exit_ev->did_exec, 1);
	assert_int_equal(exec_ev->start_ns, fork_ev->start_ns);
	assert_int_equal(exit_ev->start_ns, fork_ev->start_ns);
	assert_true(fork_ev->parent_start_ns < before);
	assert_in_range(fork_ev->start_ns, before, after);
	assert_in_range(fork_ev->h.ts_ns, fork_ev->start_ns, exec_ev->h.ts_ns);
	assert_in_range(exit_ev->h.ts_ns, exec_ev->h.ts_ns, after);
	assert_int_equal(exit_ev->lifetime_ns, exit_ev->h.ts_ns - exit_ev->start_ns);
	assert_true(fork_ev->cgroup_id != 0);
	assert_int_equal(exec_ev->cgroup_id, fork_ev->cgroup_id);
	assert_int_equal(exit_ev->cgroup_id, fork_ev->cgroup_id);
	fix_done(&f);
}

static void exit_codes_are_those_given_to_exit(void **state)
{
	static int codes[] = { 0, 1, 127, 255 };
	struct fix f;
	unsigned i;

	(void)state;
	fix_start(&f, 0);
	for (i = 0; i < 4; i++) {
		const struct lnx_ev_proc_exit *ev = fix_run(&f, exit_with, &codes[i], NULL, NULL);

		assert_int_equal(ev->exit_code, codes[i]);
		assert_int_equal(ev->signal, 0);
		assert_int_equal(ev->core_dumped, 0);
		assert_int_equal(ev->did_exec, 0);
	}
	fix_done(&f);
}

static int die_of(void *arg)
{
	struct rlimit lim = { RLIM_INFINITY, RLIM_INFINITY };

	(void)signal(*(int *)arg, SIG_DFL); /* cmocka has a handler */
	(void)setrlimit(RLIMIT_CORE, &lim); /* the test compares with what the kernel did */
	if (chdir("/tmp") < 0)
		return 1;
	(void)kill(getpid(), *(int *)arg);
	return 1;
}

static void signals_and_core_dumps_are_told_as_wait_does(void **state)
{
	static int signals[] = { SIGKILL, SIGTERM, SIGSEGV };
	struct fix f;
	unsigned i;

	(void)state;
	fix_start(&f, 0);
	for (i = 0; i < 3; i++) {
		const struct lnx_ev_proc_exit *ev;
		char core[64];
		pid_t pid;
		int status;

		ev = fix_run(&f, die_of, &signals[i], &pid, &status);
		assert_int_equal(ev->signal, signals[i]);
		assert_int_equal(ev->exit_code, 0);
		assert_int_equal(!!ev->core_dumped, !!WCOREDUMP(status));
		(void)unlink("/tmp/core");
		(void)snprintf(core, sizeof(core), "/tmp/core.%d", (int)pid);
		(void)unlink(core);
	}
	fix_done(&f);
}

static void *burn_thread(void *arg)
{
	fix_burn(*(unsigned *)arg);
	return NULL;
}

static int run_threads(void *arg)
{
	static unsigned ms = 40;
	pthread_t t[4];
	unsigned i;

	(void)arg;
	for (i = 0; i < 4; i++)
		if (pthread_create(&t[i], NULL, burn_thread, &ms))
			return 1;
	for (i = 0; i < 4; i++)
		(void)pthread_join(t[i], NULL);
	return 0;
}

static void threads_make_no_forks_and_one_exit_with_the_sum_of_their_cpu(void **state)
{
	const struct lnx_ev_proc_exit *ev;
	uint64_t cpu_ns, most_ns;
	struct rusage ru;
	struct fix f;
	pid_t pid;

	(void)state;
	fix_start(&f, 0);
	/* what a hypervisor took in the last tick may be in it, too: then once more */
	for (unsigned i = 0; i < 3; i++) {
		pid = fix_fork(run_threads, NULL);
		assert_int_equal(wait4(pid, NULL, 0, &ru), pid);
		ev = (const void *)fix_await(&f, LNX_EV_PROC_EXIT, (uint32_t)pid);
		assert_non_null(ev);
		cpu_ns = ev->cpu_ns;
		most_ns = (uint64_t)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000000u +
			  (uint64_t)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) * 1000u;
		/* the kernel gives back the memory after the event: not in it, and much with a sanitizer */
		most_ns += most_ns / 100;
		assert_true(cpu_ns >= 160000000u);
		assert_int_equal(fix_count(&f, LNX_EV_PROC_EXIT, (uint32_t)pid), 1);
		for (unsigned k = 0; k < f.n_kept; k++)
			if (f.kept[k]->type == LNX_EV_PROC_FORK)
				assert_int_not_equal(f.kept[k]->pid, pid);
		if (cpu_ns <= most_ns)
			break;
		print_message("# %lu ns told, at most %lu ns used\n", cpu_ns, most_ns);
	}
	assert_true(cpu_ns <= most_ns);
	fix_done(&f);
}

static void *outlive_thread(void *arg)
{
	(void)pthread_join(*(pthread_t *)arg, NULL);
	syscall(SYS_exit, 3);
	return NULL;
}

static int leader_first(void *arg)
{
	static pthread_t self;
	pthread_t t;

	(void)arg;
	self = pthread_self();
	if (pthread_create(&t, NULL, outlive_thread, &self))
		return 1;
	pthread_exit(NULL);
}

static void the_end_of_a_leader_that_leaves_threads_is_not_the_end(void **state)
{
	struct fix f;
	pid_t pid;
	int status;

	(void)state;
	fix_start(&f, 0);
	for (unsigned i = 0; i < 50; i++) {
		const struct lnx_ev_proc_exit *ev = fix_run(&f, leader_first, NULL, &pid, &status);

		assert_int_equal(ev->exit_code, WEXITSTATUS(status));
		assert_int_equal(fix_count(&f, LNX_EV_PROC_EXIT, (uint32_t)pid), 1);
	}
	fix_done(&f);
}

static void *wait_thread(void *arg)
{
	(void)arg;
	(void)pause();
	return NULL;
}

static int exit_group(void *arg)
{
	pthread_t t;

	(void)arg;
	for (unsigned i = 0; i < 16; i++)
		if (pthread_create(&t, NULL, wait_thread, NULL))
			return 1;
	_exit(9);
}

static void threads_that_end_together_make_one_exit(void **state)
{
	struct fix f;
	pid_t pid;

	(void)state;
	fix_start(&f, 0);
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(fix_run(&f, exit_group, NULL, &pid, NULL)->exit_code, 9);
		(void)lnx_probes_drain(f.probes);
		assert_int_equal(fix_count(&f, LNX_EV_PROC_EXIT, (uint32_t)pid), 1);
	}
	fix_done(&f);
}

static void *exec_thread(void *arg)
{
	exec_sh(arg);
	return NULL;
}

static int exec_in_thread(void *arg)
{
	pthread_t t;

	if (pthread_create(&t, NULL, exec_thread, arg))
		return 1;
	(void)pthread_join(t, NULL);
	return 1;
}

static void an_exec_by_a_thread_keeps_the_identity_of_the_process(void **state)
{
	const struct lnx_ev_proc_fork *fork_ev;
	const struct lnx_ev_proc_exec *exec_ev;
	const struct lnx_ev_proc_exit *exit_ev;
	char script[] = "exit 5";
	struct fix f;
	pid_t pid;

	(void)state;
	fix_start(&f, 0);
	exit_ev = fix_run(&f, exec_in_thread, script, &pid, NULL);
	fork_ev = (const void *)fix_find(&f, LNX_EV_PROC_FORK, (uint32_t)pid, 0);
	exec_ev = (const void *)fix_find(&f, LNX_EV_PROC_EXEC, (uint32_t)pid, 0);
	assert_non_null(fork_ev);
	assert_non_null(exec_ev);
	assert_int_equal(exec_ev->start_ns, fork_ev->start_ns);
	assert_int_equal(exit_ev->start_ns, fork_ev->start_ns);
	assert_int_equal(exit_ev->exit_code, 5);
	assert_int_equal(exit_ev->did_exec, 1);
	assert_int_equal(fix_count(&f, LNX_EV_PROC_EXIT, (uint32_t)pid), 1);
	fix_done(&f);
}

struct script {
	char path[64];
	const char *arg1, *arg2;
};

static int exec_script(void *arg)
{
	struct script *s = arg;

	execl(s->path, s->path, s->arg1, s->arg2, (char *)NULL);
	return 127;
}

static void make_script(struct script *s)
{
	static const char text[] = "#!/bin/sh\nexit 0\n";
	int fd;

	(void)snprintf(s->path, sizeof(s->path), "/tmp/linnix-script-XXXXXX");
	fd = mkstemp(s->path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	assert_int_equal(fchmod(fd, 0755), 0);
	(void)close(fd);
}

/* The exec of <s> as seen with <args_mode>: its arguments. */
static const char *args_of(struct script *s, uint32_t args_mode, uint32_t *ret_truncated)
{
	const struct lnx_ev_proc_exec *ev;
	static char text[LNX_STR_MAX + 1];
	struct fix f;
	pid_t pid;

	fix_start(&f, args_mode);
	assert_int_equal(fix_run(&f, exec_script, s, &pid, NULL)->exit_code, 0);
	ev = (const void *)fix_find(&f, LNX_EV_PROC_EXEC, (uint32_t)pid, 0);
	assert_non_null(ev);
	assert_string_equal(fix_str(&ev->h, ev->filename), s->path);
	assert_true(ev->h.size <= sizeof(*ev) + ev->filename.len + ev->args.len);
	(void)snprintf(text, sizeof(text), "%s", fix_str(&ev->h, ev->args));
	if (ret_truncated)
		*ret_truncated = ev->args_truncated;
	fix_done(&f);
	return text;
}

static void arguments_are_told_only_as_configured(void **state)
{
	struct script s = { .arg1 = "--password", .arg2 = "secret" };
	char want[128];

	(void)state;
	make_script(&s);
	assert_string_equal(args_of(&s, 0, NULL), "");
	assert_string_equal(args_of(&s, 1, NULL), s.path);
	(void)snprintf(want, sizeof(want), "/bin/sh %s --password secret", s.path);
	assert_string_equal(args_of(&s, 2, NULL), want);
	(void)unlink(s.path);
}

static void long_arguments_are_cut_and_said_so(void **state)
{
	static char big[5000];
	struct script s = { .arg1 = big, .arg2 = NULL };
	uint32_t truncated = 0;
	const char *args;

	(void)state;
	make_script(&s);
	memset(big, 'x', sizeof(big) - 1);
	args = args_of(&s, 2, &truncated);
	assert_int_equal(strlen(args), LNX_STR_MAX);
	assert_int_equal(args[LNX_STR_MAX - 1], 'x');
	assert_int_equal(truncated, 1);
	/* "/bin/sh", the path, the argument and its NUL make exactly as much as fits */
	big[LNX_STR_MAX - strlen("/bin/sh ") - strlen(s.path) - 2] = 0;
	args = args_of(&s, 2, &truncated);
	assert_int_equal(strlen(args), LNX_STR_MAX - 1);
	assert_int_equal(truncated, 0);
	(void)unlink(s.path);
}

static int set_comm(void *arg)
{
	(void)prctl(PR_SET_NAME, arg);
	return 0;
}

static void a_name_crosses_as_it_is_whatever_its_bytes(void **state)
{
	char name[16] = "\n\x1b[31m\"\\\xff\xc3(\t";
	const struct lnx_ev_proc_exit *ev;
	struct fix f;

	(void)state;
	fix_start(&f, 0);
	ev = fix_run(&f, set_comm, name, NULL, NULL);
	assert_memory_equal(ev->comm, name, sizeof(name));
	fix_done(&f);
}

static pid_t fork_as(pid_t pid)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	pid_t tid = pid;

	if (pid) {
		args.set_tid = (uint64_t)(uintptr_t)&tid;
		args.set_tid_size = 1;
	}
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		_exit(0);
	return pid;
}

static void a_pid_used_again_is_another_process(void **state)
{
	const struct lnx_ev_proc_fork *a, *b;
	struct fix f;
	pid_t pid, again = -1;

	(void)state;
	fix_start(&f, 0);
	pid = fork_as(0);
	assert_true(pid > 0);
	(void)fix_reap(pid);
	for (int i = 0; i < 100 && again < 0; i++)
		again = fork_as(pid); /* EEXIST until the kernel has let it go */
	assert_int_equal(again, pid);
	(void)fix_reap(pid);
	(void)fix_await(&f, LNX_EV_PROC_EXIT, (uint32_t)pid);
	(void)lnx_probes_drain(f.probes);
	a = (const void *)fix_find(&f, LNX_EV_PROC_FORK, (uint32_t)pid, 0);
	b = (const void *)fix_find(&f, LNX_EV_PROC_FORK, (uint32_t)pid, 1);
	assert_non_null(a);
	assert_non_null(b);
	assert_true(b->start_ns > a->start_ns);
	assert_int_equal(
		((const struct lnx_ev_proc_exit *)fix_find(&f, LNX_EV_PROC_EXIT, (uint32_t)pid, 1))
			->start_ns,
		b->start_ns);
	fix_done(&f);
}

static int burn_briefly(void *arg)
{
	fix_burn(*(unsigned *)arg);
	return 0;
}

/* Of 20 short lives, those whose CPU time is near to what the kernel says. */
static unsigned near_lives(struct fix *f)
{
	static unsigned ms = 1;
	unsigned near = 0;

	for (unsigned i = 0; i < 20; i++) {
		const struct lnx_ev_proc_exit *ev;
		struct rusage ru;
		uint64_t cpu_ns;
		pid_t pid = fix_fork(burn_briefly, &ms);

		assert_int_equal(wait4(pid, NULL, 0, &ru), pid);
		ev = (const void *)fix_await(f, LNX_EV_PROC_EXIT, (uint32_t)pid);
		assert_non_null(ev);
		cpu_ns = (uint64_t)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) * 1000u;
		/* the end of the end is not in it; what the hypervisor took in the last tick is */
		near += ev->cpu_ns >= 900000 && ev->cpu_ns <= cpu_ns + 50000;
		if (ev->cpu_ns > cpu_ns + 10000000)
			return 0;
		assert_int_equal(ev->peak_rss_bytes / 1024, ru.ru_maxrss);
	}
	print_message("# %u of 20 near\n", near);
	return near;
}

static void a_short_life_tells_its_cpu_time_and_its_memory(void **state)
{
	unsigned near = 0;
	struct fix f;

	(void)state;
	fix_start(&f, 0);
	/* a hypervisor that takes much is measured again */
	for (unsigned i = 0; i < 3 && near < 15; i++)
		near = near_lives(&f);
	assert_in_range(near, 15, 20);
	fix_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_that_runs_a_program_is_told_from_start_to_end),
		cmocka_unit_test(exit_codes_are_those_given_to_exit),
		cmocka_unit_test(signals_and_core_dumps_are_told_as_wait_does),
		cmocka_unit_test(threads_make_no_forks_and_one_exit_with_the_sum_of_their_cpu),
		cmocka_unit_test(the_end_of_a_leader_that_leaves_threads_is_not_the_end),
		cmocka_unit_test(threads_that_end_together_make_one_exit),
		cmocka_unit_test(an_exec_by_a_thread_keeps_the_identity_of_the_process),
		cmocka_unit_test(arguments_are_told_only_as_configured),
		cmocka_unit_test(long_arguments_are_cut_and_said_so),
		cmocka_unit_test(a_name_crosses_as_it_is_whatever_its_bytes),
		cmocka_unit_test(a_pid_used_again_is_another_process),
		cmocka_unit_test(a_short_life_tells_its_cpu_time_and_its_memory),
	};

	fix_require();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
