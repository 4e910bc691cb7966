/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* An account of its own: records the kernel's sched events as text and replays them, task by task, with no
 * cleverness. Timestamps have microseconds. */
#include "tests/bpf/lab.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIDS   (1 << 22)
#define CPUS   64
#define GROUPS (LAB_GROUPS + 1) /* the last: everybody else */

struct replay {
	char mount[32];
	char dir[64];
	signed char *group; /* by pid, -1 not ours */
	short *waits_on;    /* by pid: CPU + 1 */
	double pending[CPUS][GROUPS];
	long pid_on[CPUS];
	int waiting[CPUS][GROUPS];
	double last[CPUS];
	double *ms;
	uint32_t n_groups;
};

static int put(const struct replay *r, const char *file, const char *text)
{
	char path[160];
	int fd, rc = 0;

	snprintf(path, sizeof(path), "%s/%s", r->dir, file);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static void unmount(struct replay *r)
{
	(void)rmdir(r->dir);
	(void)umount2(r->mount, MNT_DETACH);
	(void)rmdir(r->mount);
	free(r);
}

struct replay *replay_start(void)
{
	static const char *const events[] = { "sched_switch", "sched_wakeup", "sched_wakeup_new",
					      "sched_migrate_task" };
	struct replay *r = calloc(1, sizeof(*r));
	char path[64];
	int bad = 0;

	if (!r)
		return NULL;
	strcpy(r->mount, "/tmp/lnxlab-XXXXXX");
	if (!mkdtemp(r->mount) || mount("tracefs", r->mount, "tracefs", 0, NULL)) {
		(void)rmdir(r->mount);
		free(r);
		return NULL;
	}
	snprintf(r->dir, sizeof(r->dir), "%s/instances/lnxlab%d", r->mount, (int)getpid());
	if (mkdir(r->dir, 0700) && errno != EEXIST) {
		unmount(r);
		return NULL;
	}
	bad |= put(r, "trace_clock", "mono");
	bad |= put(r, "buffer_size_kb", "32768");
	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "events/sched/%s/enable", events[i]);
		bad |= put(r, path, "1");
	}
	bad |= put(r, "tracing_on", "1");
	if (bad) {
		unmount(r);
		return NULL;
	}
	return r;
}

static long field(const char *line, const char *name)
{
	const char *p = strstr(line, name);

	return p ? strtol(p + strlen(name), NULL, 10) : -1;
}

static int group_of(const struct replay *r, long pid)
{
	return pid > 0 && pid < PIDS && r->group[pid] >= 0 ? r->group[pid] : (int)r->n_groups;
}

/* Everybody who waited on <cpu> until <t> waited for whom it ran: the next switch says who that was. */
static void charge(struct replay *r, int cpu, double t)
{
	for (uint32_t v = 0; v < r->n_groups; v++)
		if (r->waiting[cpu][v] > 0)
			r->pending[cpu][v] += (t - r->last[cpu]) * 1e3;
	r->last[cpu] = t;
}

/* <pid> gives up the CPU: what waited since the last switch waited for it. */
static void ran(struct replay *r, int cpu, long pid)
{
	uint32_t n = r->n_groups, g = (uint32_t)group_of(r, pid);

	/* It counts as waiting: its switch-in was not recorded, and it did not wait while it ran. */
	if (pid > 0 && pid < PIDS && r->waits_on[pid] == cpu + 1 && g < n &&
	    r->waiting[cpu][g] == 1)
		r->pending[cpu][g] = 0;
	for (uint32_t v = 0; v < n; v++) {
		r->ms[v * (n + 1) + g] += r->pending[cpu][v];
		r->pending[cpu][v] = 0;
	}
}

static void wait_on(struct replay *r, long pid, int cpu, double t)
{
	int from;

	if (pid <= 0 || pid >= PIDS || cpu >= CPUS)
		return;
	from = r->waits_on[pid] - 1;
	if (from == cpu)
		return;
	if (from >= 0) {
		charge(r, from, t);
		r->waiting[from][group_of(r, pid)]--;
	}
	if (cpu >= 0) {
		charge(r, cpu, t);
		r->waiting[cpu][group_of(r, pid)]++;
	}
	r->waits_on[pid] = (short)(cpu + 1);
}

static void one_line(struct replay *r, const char *line)
{
	const char *at = strstr(line, " ["), *ev;
	double t;
	int cpu;
	long pid;

	if (line[0] == '#' || !at)
		return;
	cpu = (int)strtol(at + 2, NULL, 10);
	ev = strchr(at, ':');
	if (!ev || cpu < 0 || cpu >= CPUS)
		return;
	for (at = ev; at[-1] != ' '; at--)
		;
	t = strtod(at, NULL);
	if (!strncmp(ev, ": sched_switch:", 15)) {
		const char *state = strstr(ev, "prev_state=");
		const char *next = strstr(ev, "==> next_comm=");

		if (!state || !next)
			return;
		charge(r, cpu, t);
		pid = field(ev, "prev_pid=");
		ran(r, cpu, pid);
		/* It ran; if it counts as waiting, its switch-in was not recorded. */
		wait_on(r, pid, state[11] == 'R' ? cpu : -1, t);
		pid = field(next, "next_pid=");
		wait_on(r, pid, -1, t);
		r->pid_on[cpu] = pid;
	} else if (!strncmp(ev, ": sched_wakeup", 14)) {
		pid = field(ev, " pid=");
		for (int c = 0; c < CPUS; c++)
			if (r->pid_on[c] == pid)
				return; /* about to sleep and called back: it runs on */
		wait_on(r, pid, (int)field(ev, "target_cpu="), t);
	} else if (!strncmp(ev, ": sched_migrate_task:", 21)) {
		pid = field(ev, " pid=");
		if (pid > 0 && pid < PIDS && r->waits_on[pid])
			wait_on(r, pid, (int)field(ev, "dest_cpu="), t);
	}
}

int replay_stop(struct replay *r, const pid_t *pids, const int *groups, uint32_t n,
		uint32_t n_groups, double *ms)
{
	char path[96], line[1024];
	int rc = 0;
	FILE *f;

	(void)put(r, "tracing_on", "0");
	r->group = malloc(PIDS);
	r->waits_on = calloc(PIDS, sizeof(*r->waits_on));
	snprintf(path, sizeof(path), "%s/trace", r->dir);
	f = fopen(path, "r");
	if (!r->group || !r->waits_on || !f) {
		rc = -ENOMEM;
		goto out;
	}
	memset(r->group, -1, PIDS);
	for (uint32_t i = 0; i < n; i++)
		r->group[pids[i]] = (signed char)groups[i];
	r->n_groups = n_groups;
	r->ms = ms;
	memset(ms, 0, sizeof(*ms) * n_groups * (n_groups + 1));
	while (fgets(line, sizeof(line), f)) {
		if (strstr(line, "LOST"))
			rc = -EOVERFLOW;
		one_line(r, line);
	}
out:
	if (f)
		fclose(f);
	free(r->group);
	free(r->waits_on);
	unmount(r);
	return rc;
}
