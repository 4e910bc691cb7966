/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Loads that stop by themselves, and what they took. Every figure is of this program and its children.
 *
 *   spawn N CHUNKS PATH   fork, exec, exit, wait, N times in each chunk: "wall_us cpu_us" of one in the median chunk
 *   execs MS WORKERS PATH the same by WORKERS for MS ms: "count wall_ms"
 *   pipe N                N round trips over two pipes on one CPU: "wall_ns cpu_ns" of one
 *   spin CPU              burn CPU until killed
 *   sleepers N            N children that sleep: "ready", until the end of standard input */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SLEEPERS_MAX 20000
#define WORKERS_MAX  64
#define CHUNKS_MAX   64

static double now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static double tv_ns(struct timeval tv)
{
	return (double)tv.tv_sec * 1e9 + (double)tv.tv_usec * 1e3;
}

/* CPU time of this process and of its children that were waited for. */
static double cpu_ns(void)
{
	struct rusage self, children;

	(void)getrusage(RUSAGE_SELF, &self);
	(void)getrusage(RUSAGE_CHILDREN, &children);
	return tv_ns(self.ru_utime) + tv_ns(self.ru_stime) + tv_ns(children.ru_utime) +
	       tv_ns(children.ru_stime);
}

static int pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) < 0 ? -errno : 0;
}

static int live_once(char *path)
{
	char *const argv[] = { path, NULL }, *const env[] = { NULL };
	int status = -1;
	pid_t pid;

	if (posix_spawn(&pid, path, NULL, NULL, argv, env) != 0)
		return -1;
	if (waitpid(pid, &status, 0) != pid || status != 0)
		return -1;
	return 0;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* A process that is new is moved between CPUs with its children until the scheduler knows it: the first chunk, which is not
 * told. Chunks in which somebody else woke up on this machine cost up to three times the others; hence the median. */
static int do_spawn(unsigned long n, unsigned long chunks, char *path)
{
	double wall[CHUNKS_MAX], cpu[CHUNKS_MAX];
	unsigned long i, k;

	if (!n || !chunks || chunks > CHUNKS_MAX)
		return 1;
	for (k = 0; k <= chunks; k++) {
		double wall0 = now_ns(), cpu0 = cpu_ns();
		unsigned long at = k ? k - 1 : 0;

		for (i = 0; i < n; i++)
			if (live_once(path) < 0)
				return 1;
		wall[at] = (now_ns() - wall0) / (double)n / 1e3;
		cpu[at] = (cpu_ns() - cpu0) / (double)n / 1e3;
	}
	qsort(wall, chunks, sizeof(wall[0]), by_value);
	qsort(cpu, chunks, sizeof(cpu[0]), by_value);
	return printf("%.3f %.3f\n", wall[chunks / 2], cpu[chunks / 2]) < 0;
}

static int do_execs(unsigned long ms, unsigned long workers, char *path)
{
	double start = now_ns(), end = start + (double)ms * 1e6;
	uint64_t count, sum = 0;
	int fds[2];
	unsigned long i;

	if (workers > WORKERS_MAX || pipe(fds) < 0)
		return 1;
	for (i = 0; i < workers; i++) {
		if (fork() != 0)
			continue;
		for (count = 0; now_ns() < end; count++)
			if (live_once(path) < 0)
				_exit(1);
		_exit(write(fds[1], &count, sizeof(count)) != sizeof(count));
	}
	(void)close(fds[1]);
	for (i = 0; i < workers; i++) {
		if (read(fds[0], &count, sizeof(count)) != sizeof(count))
			return 1;
		sum += count;
	}
	while (wait(NULL) > 0)
		;
	return printf("%llu %.3f\n", (unsigned long long)sum, (now_ns() - start) / 1e6) < 0;
}

static void echo(int from, int to)
{
	char c;

	while (read(from, &c, 1) == 1 && write(to, &c, 1) == 1)
		;
	_exit(0);
}

static int do_pipe(unsigned long n)
{
	int there[2], back[2];
	double wall, cpu;
	unsigned long i;
	char c = 0;
	pid_t pid;

	if (pipe(there) < 0 || pipe(back) < 0 || pin(0) < 0)
		return 1;
	cpu = cpu_ns();
	wall = now_ns();
	pid = fork();
	if (pid == 0) {
		(void)close(there[1]);
		echo(there[0], back[1]);
	}
	for (i = 0; i < n; i++)
		if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
			return 1;
	(void)close(there[1]);
	(void)waitpid(pid, NULL, 0);
	return printf("%.1f %.1f\n", (now_ns() - wall) / (double)n, (cpu_ns() - cpu) / (double)n) <
	       0;
}

static int do_spin(int cpu)
{
	if (pin(cpu) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return 1;
	(void)alarm(600); /* whatever happens */
	for (;;)
		__asm__ volatile("");
}

static int do_sleepers(unsigned long n)
{
	static pid_t pids[SLEEPERS_MAX];
	unsigned long i, made;
	int failed = 0;
	char c;

	if (n > SLEEPERS_MAX)
		return 1;
	for (made = 0; made < n; made++) {
		pid_t pid = fork();

		if (pid < 0) {
			failed = 1;
			break;
		}
		if (pid == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				(void)pause();
		}
		pids[made] = pid;
	}
	if (!failed && puts("ready") >= 0 && fflush(stdout) == 0)
		while (read(STDIN_FILENO, &c, 1) > 0)
			;
	for (i = 0; i < made; i++)
		(void)kill(pids[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	return failed;
}

static unsigned long number(const char *text)
{
	return strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (strcmp(verb, "spawn") == 0 && argc == 5)
		return do_spawn(number(argv[2]), number(argv[3]), argv[4]);
	if (strcmp(verb, "execs") == 0 && argc == 5)
		return do_execs(number(argv[2]), number(argv[3]), argv[4]);
	if (strcmp(verb, "pipe") == 0 && argc == 3)
		return do_pipe(number(argv[2]));
	if (strcmp(verb, "spin") == 0 && argc == 3)
		return do_spin((int)number(argv[2]));
	if (strcmp(verb, "sleepers") == 0 && argc == 3)
		return do_sleepers(number(argv[2]));
	(void)fprintf(stderr, "usage: bench_load spawn|execs|pipe|spin|sleepers ...\n");
	return 2;
}
