/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Two cgroups, two busy processes, one CPU; and all of it gone afterwards, whatever happens. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cgroup.h"
#include "cli/cli.h"
#include "cli/scene.h"

#define SCENE_REMOVE_TRIES 100 /* of 10 ms: the kernel may still be at the last process */

static const char *const scene_names[] = { "victim", "bully" };

static int scene_fail(struct lnx_scene *s, int rc, const char *what, const char *path)
{
	if (rc == -EACCES || rc == -EPERM || rc == -EROFS)
		(void)snprintf(
			s->error, sizeof(s->error),
			"%s %s: %s: this needs the right to make cgroups: run it as root on the host "
			"(in a container: with the host's cgroup tree mounted writable)",
			what, path, strerror(-rc)); /* cut when too long */
	else
		(void)snprintf(s->error, sizeof(s->error), "%s %s: %s", what, path,
			       strerror(-rc)); /* likewise */
	return rc;
}

int lnx_scene_open(struct lnx_scene *s)
{
	char root[256];
	struct stat st;
	sigset_t set;
	int rc;

	memset(s, 0, sizeof(*s));
	s->shot[0] = s->shot[1] = -1;
	(void)sigemptyset(&set); /* cannot fail */
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	rc = lnx_cgroup_root(root, sizeof(root));
	if (rc)
		return scene_fail(s, rc, "no cgroup v2 hierarchy is mounted",
				  "in /proc/self/mountinfo");
	for (int i = 0; i < LNX_SCENE_N; i++) {
		char dir[sizeof(s->dir[0])];

		(void)snprintf(dir, sizeof(dir), "%s/linnix-selftest-%d-%s", root, (int)getpid(),
			       scene_names[i]); /* fits */
		if (mkdir(dir, 0755) < 0)
			return scene_fail(s, -errno, "cannot make cgroup", dir);
		memcpy(s->dir[i], dir, sizeof(dir));
		if (stat(dir, &st) < 0)
			return scene_fail(s, -errno, "cannot look at", dir);
		s->id[i] = st.st_ino;
	}
	return 0;
}

/* The child: wait for the shot, spin, end. */
static void scene_spin(struct lnx_scene *s, unsigned run_ms)
{
	uint64_t end;
	char c;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing stays when we are killed */
	(void)close(s->shot[1]);
	if (read(s->shot[0], &c, 1) < 0)
		_exit(1);
	end = lnx_cli_now_ns() + run_ms * 1000000ULL;
	while (lnx_cli_now_ns() < end)
		;
	_exit(0);
}

/* The last CPU that we may use: the first takes most interrupts. */
static int scene_pin(cpu_set_t *ret_set)
{
	cpu_set_t all;
	int cpu = -1;

	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return -errno;
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all))
			cpu = i;
	CPU_ZERO(ret_set);
	CPU_SET(cpu < 0 ? 0 : (size_t)cpu, ret_set);
	return 0;
}

static int scene_start(struct lnx_scene *s, unsigned run_ms)
{
	cpu_set_t set;
	int rc = scene_pin(&set);

	if (rc || pipe2(s->shot, O_CLOEXEC) < 0)
		return scene_fail(s, rc ? rc : -errno, "cannot start processes", "");
	for (int i = 0; i < LNX_SCENE_N; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return scene_fail(s, -errno, "cannot start processes", "");
		if (!pid)
			scene_spin(s, run_ms);
		s->pid[i] = pid;
		rc = lnx_cgroup_join(s->dir[i], pid);
		if (rc)
			return scene_fail(s, rc, "cannot move a process into", s->dir[i]);
		if (sched_setaffinity(pid, sizeof(set), &set) < 0)
			return scene_fail(s, -errno, "cannot pin a process", "");
	}
	(void)close(s->shot[1]); /* the shot */
	s->shot[1] = -1;
	return 0;
}

int lnx_scene_wait(struct lnx_scene *s, unsigned ms)
{
	uint64_t end = lnx_cli_now_ns() + ms * 1000000ULL, now;
	struct pollfd p = { .fd = s->signal_fd, .events = POLLIN };

	while ((now = lnx_cli_now_ns()) < end)
		if (poll(&p, 1, (int)((end - now) / 1000000u) + 1) > 0)
			return -EINTR;
	return 0;
}

int lnx_scene_run(struct lnx_scene *s, unsigned run_ms)
{
	int rc = scene_start(s, run_ms), status;
	struct rusage ru;

	if (!rc)
		rc = lnx_scene_wait(s, run_ms);
	for (int i = 0; !rc && i < LNX_SCENE_N; i++) {
		if (wait4(s->pid[i], &status, 0, &ru) < 0)
			return scene_fail(s, -errno, "cannot wait for a process", "");
		s->pid[i] = 0;
		s->cpu_ms[i] = (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1e3 +
			       (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e3;
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			return scene_fail(s, -ECHILD, "a process did not end by itself", "");
	}
	return rc;
}

double lnx_scene_psi_ms(const struct lnx_scene *s)
{
	char path[600], text[256] = "";
	const char *total;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/cpu.pressure", s->dir[LNX_SCENE_VICTIM]); /* fits */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NAN;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd); /* read only */
	text[n > 0 ? n : 0] = 0;
	total = strstr(text, "total=");
	return total ? strtod(total + 6, NULL) / 1e3 : NAN;
}

void lnx_scene_close(struct lnx_scene *s)
{
	for (int i = 0; i < LNX_SCENE_N; i++) {
		if (s->pid[i] > 0) {
			(void)kill(s->pid[i], SIGKILL); /* ours, not waited for */
			(void)waitpid(s->pid[i], NULL, 0);
		}
		for (int t = 0; s->dir[i][0] && rmdir(s->dir[i]) < 0 && errno == EBUSY &&
				t < SCENE_REMOVE_TRIES;
		     t++)
			(void)poll(NULL, 0, 10); /* a pause */
		s->pid[i] = 0;
		s->dir[i][0] = 0;
	}
	for (int i = 0; i < 2; i++)
		if (s->shot[i] >= 0)
			(void)close(s->shot[i]); /* nothing was written */
	if (s->signal_fd >= 0)
		(void)close(s->signal_fd); /* read only */
	s->shot[0] = s->shot[1] = s->signal_fd = -1;
}
