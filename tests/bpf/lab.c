/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The laboratory: cgroups, workers, clean-up. */
#include "tests/bpf/lab.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct lab *the_lab;

uint64_t lab_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * LAB_SEC + (uint64_t)ts.tv_nsec;
}

void lab_until(uint64_t at_ns)
{
	for (uint64_t now = lab_now(); now < at_ns; now = lab_now())
		(void)poll(NULL, 0, (int)((at_ns - now) / LAB_MS) + 1);
}

static const char *root_v2(void)
{
	static const char *const tries[] = { "/sys/fs/cgroup/unified", "/sys/fs/cgroup" };
	char path[128];

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/cgroup.controllers", tries[i]);
		if (!access(path, F_OK))
			return tries[i];
	}
	return NULL;
}

static const char *root_cpu(void)
{
	return access("/sys/fs/cgroup/cpu/cpu.shares", F_OK) ? NULL : "/sys/fs/cgroup/cpu";
}

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static void join_group(const char *name, pid_t pid)
{
	const char *roots[] = { root_v2(), root_cpu() };
	char path[256], text[16];

	snprintf(text, sizeof(text), "%d", (int)pid);
	for (int i = 0; i < 2; i++) {
		if (!roots[i])
			continue;
		snprintf(path, sizeof(path), "%s/%s/cgroup.procs", roots[i], name);
		if (put(path, text))
			fprintf(stderr, "lab: cannot join %s: %s\n", path, strerror(errno));
	}
}

int lab_group(struct lab *l, const char *name)
{
	struct lab_group *g = &l->groups[l->n_groups];
	char path[256];
	struct stat st;

	snprintf(g->name, sizeof(g->name), "lnxlab_%s", name);
	if (root_cpu()) {
		snprintf(path, sizeof(path), "%s/%s", root_cpu(), g->name);
		if (mkdir(path, 0755) && errno != EEXIST) {
			printf("SKIP: cannot make %s: %s\n", path, strerror(errno));
			exit(LAB_SKIP);
		}
	}
	snprintf(path, sizeof(path), "%s/%s", root_v2(), g->name);
	if ((mkdir(path, 0755) && errno != EEXIST) || stat(path, &st)) {
		printf("SKIP: cannot make %s: %s\n", path, strerror(errno));
		exit(LAB_SKIP);
	}
	g->id = st.st_ino;
	g->handle = 0;
	g->psi_ms = 0;
	return (int)l->n_groups++;
}

void lab_group_remove(struct lab *l, int group)
{
	const char *roots[] = { root_v2(), root_cpu() };
	char path[256];

	for (int i = 0; i < 2; i++) {
		if (!roots[i] || !l->groups[group].name[0])
			continue;
		snprintf(path, sizeof(path), "%s/%s", roots[i], l->groups[group].name);
		for (int t = 0; t < 100 && rmdir(path) && errno == EBUSY; t++)
			(void)poll(NULL, 0, 10);
	}
}

static void set(struct lab *l, int group, const char *root, const char *file, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s/%s", root, l->groups[group].name, file);
	if (put(path, value)) {
		printf("SKIP: cannot write %s\n", path);
		exit(LAB_SKIP);
	}
}

void lab_weight(struct lab *l, int group, uint32_t percent)
{
	char text[32];

	snprintf(text, sizeof(text), "%u", root_cpu() ? percent * 1024 / 100 : percent);
	if (root_cpu())
		set(l, group, root_cpu(), "cpu.shares", text);
	else
		set(l, group, root_v2(), "cpu.weight", text);
}

void lab_quota(struct lab *l, int group, uint32_t quota_us, uint32_t period_us)
{
	char quota[32], period[16];

	snprintf(period, sizeof(period), "%u", period_us);
	snprintf(quota, sizeof(quota), root_cpu() ? "%u" : "%u %s", quota_us, period);
	if (!root_cpu()) {
		set(l, group, root_v2(), "cpu.max", quota);
		return;
	}
	set(l, group, root_cpu(), "cpu.cfs_period_us", period);
	set(l, group, root_cpu(), "cpu.cfs_quota_us", quota);
}

uint64_t lab_cpu_id(const struct lab *l, int group)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", root_cpu() ? root_cpu() : root_v2(),
		 l->groups[group].name);
	return stat(path, &st) ? 0 : st.st_ino;
}

static void burn_until(uint64_t at)
{
	while (lab_now() < at)
		for (volatile int i = 0; i < 200; i++)
			;
}

static void *burn_thread(void *arg)
{
	burn_until(*(uint64_t *)arg);
	return NULL;
}

static pthread_t threads[256]; /* of a worker */
static uint32_t n_threads;

static void make_threads(uint32_t n, void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	for (; n_threads < n && n_threads < 256; n_threads++)
		if (pthread_create(&threads[n_threads], &attr, run, arg)) {
			fprintf(stderr, "lab: %u threads of %u can be made\n", n_threads, n);
			break;
		}
	pthread_attr_destroy(&attr);
}

static void join_threads(void)
{
	for (uint32_t i = 0; i < n_threads; i++)
		pthread_join(threads[i], NULL);
}

static const struct lab_work *crowd_work;
static int crowd_shot;

static void *crowd_thread(void *arg)
{
	uint64_t end;
	char c;

	(void)arg;
	(void)!read(crowd_shot, &c, 1);
	end = lab_now() + crowd_work->run_ns;
	while (lab_now() < end) {
		burn_until(lab_now() + crowd_work->on_us * 1000ULL);
		sched_yield();
	}
	return NULL;
}

static void make_crowd(const struct lab_work *w, int shot)
{
	cpu_set_t two;

	CPU_ZERO(&two);
	CPU_SET(0, &two);
	CPU_SET(1, &two);
	(void)sched_setaffinity(0, sizeof(two), &two);
	crowd_work = w;
	crowd_shot = shot;
	make_threads(w->off_us, crowd_thread, NULL);
}

static void work(const struct lab_work *w, uint64_t end)
{
	struct timespec off = { w->off_us / 1000000, (long)(w->off_us % 1000000) * 1000 };

	if (w->kind == LAB_SPIN)
		burn_until(end);
	if (w->kind == LAB_THREADS)
		make_threads(w->on_us, burn_thread, &end);
	if (w->kind == LAB_THREADS || w->kind == LAB_CROWD)
		join_threads();
	while (w->kind == LAB_WAKE && lab_now() < end) {
		(void)ppoll(NULL, 0, &off, NULL);
		burn_until(lab_now() + w->on_us * 1000ULL);
	}
	while (w->kind == LAB_FORK && lab_now() < end) {
		pid_t pid = fork();

		if (!pid) {
			burn_until(lab_now() + w->on_us * 1000ULL);
			_exit(0);
		}
		if (pid > 0)
			(void)waitpid(pid, NULL, 0);
	}
}

pid_t lab_spawn(struct lab *l, int group, const struct lab_work *w)
{
	int ready[2];
	pid_t pid;
	char c = 0;

	if (l->n_pids == LAB_WORKERS || pipe(ready))
		exit(1);
	pid = fork();
	if (pid < 0)
		exit(1);
	if (!pid) {
		cpu_set_t set;
		uint64_t start;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		the_lab = NULL;
		signal(SIGTERM, SIG_DFL);
		CPU_ZERO(&set);
		CPU_SET(w->cpu < 0 ? 0 : (size_t)w->cpu, &set);
		if (w->cpu >= 0)
			(void)sched_setaffinity(0, sizeof(set), &set);
		join_group(l->groups[group].name, getpid());
		close(l->shot[1]);
		if (w->kind == LAB_CROWD)
			make_crowd(w, l->shot[0]);
		if (write(ready[1], &c, 1) != 1)
			_exit(1);
		(void)!read(l->shot[0], &c, 1); /* the shot is the end of file */
		start = lab_now();
		lab_until(start + w->delay_ns);
		work(w, start + w->delay_ns + w->run_ns);
		_exit(0);
	}
	(void)!read(ready[0], &c, 1);
	close(ready[0]);
	close(ready[1]);
	l->pids[l->n_pids] = pid;
	l->pid_group[l->n_pids++] = group;
	return pid;
}

void lab_move(struct lab *l, pid_t pid, int group)
{
	join_group(l->groups[group].name, pid);
}

void lab_go(struct lab *l)
{
	for (uint32_t i = 0; i < l->n_groups; i++)
		l->groups[i].psi_ms += lab_psi_ms(l, (int)i);
	close(l->shot[1]);
	l->shot[1] = -1;
}

void lab_join(struct lab *l)
{
	for (uint32_t i = 0; i < l->n_pids; i++)
		(void)waitpid(l->pids[i], NULL, 0);
}

void lab_clean(struct lab *l)
{
	for (uint32_t i = 0; i < l->n_pids; i++) {
		kill(l->pids[i], SIGKILL);
		(void)waitpid(l->pids[i], NULL, 0);
	}
	l->n_pids = 0;
	for (uint32_t i = l->n_groups; i > 0; i--)
		lab_group_remove(l, (int)i - 1);
	l->n_groups = 0;
	if (l->shot[0] >= 0)
		close(l->shot[0]);
	if (l->shot[1] >= 0)
		close(l->shot[1]);
	if (pipe2(l->shot, O_CLOEXEC))
		exit(1);
}

static void at_end(void)
{
	if (the_lab)
		lab_clean(the_lab);
}

static void on_signal(int sig)
{
	(void)sig;
	exit(1); /* not safe in general; the laboratory only waits and reads files */
}

static void lab_begin(struct lab *l)
{
	memset(l, 0, sizeof(*l));
	if (!root_v2()) {
		printf("SKIP: no cgroup v2\n");
		exit(LAB_SKIP);
	}
	if (access("/proc/pressure/cpu", R_OK)) {
		printf("SKIP: no PSI\n");
		exit(LAB_SKIP);
	}
	if (pipe2(l->shot, O_CLOEXEC))
		exit(1);
	the_lab = l;
	atexit(at_end);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	setvbuf(stdout, NULL, _IOLBF, 0);
}

double lab_psi_ms(struct lab *l, int group)
{
	char path[256], text[512], *p;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s/cpu.pressure", root_v2(), l->groups[group].name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	p = strstr(text, "total=");
	return p ? strtod(p + 6, NULL) / 1000 - l->groups[group].psi_ms : 0;
}

/* The part that needs libbpf is in lab_probe.c. */
void lab_probe_open(struct lab *l, const char *object);

void lab_open(struct lab *l, const char *object)
{
	lab_begin(l);
	lab_probe_open(l, object);
}
