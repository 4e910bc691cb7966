/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What exactly would be done, with what takes it back; and doing it. A value is written only where nobody changed it since
 * the plan was made, and the plan is what a dry run shows. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "act.h"

#define QUOTA_MIN_US 1000 /* the kernel takes no less */

/* Mount point of the hierarchy of type <type> that has <controller>. */
static void find_mount(const char *type, const char *controller, char *ret, size_t cap)
{
	FILE *f = fopen(UNDO_PROC "/self/mountinfo", "re");
	char line[2048], point[256], fs[64], super[512], word[64];
	const char *dash;

	(void)snprintf(word, sizeof(word), ",%s,", controller); /* a short literal */
	while (f && fgets(line, sizeof(line), f)) {
		char list[sizeof(super) + 2];

		dash = strstr(line, " - ");
		if (!dash || sscanf(line, "%*s %*s %*s %*s %255s", point) != 1 ||
		    sscanf(dash, " - %63s %*s %511s", fs, super) != 2 || strcmp(fs, type) != 0)
			continue;
		(void)snprintf(list, sizeof(list), ",%s,", super); /* fits */
		if (*controller && !strstr(list, word))
			continue;
		(void)snprintf(ret, cap, "%s", point); /* of the same size */
		break;
	}
	if (f)
		(void)fclose(f); /* only read from */
}

void enf_mounts(struct enforce *s)
{
	if (*s->conf->cgroup_root)
		(void)snprintf(s->v2_root, sizeof(s->v2_root), "%s",
			       s->conf->cgroup_root); /* cut: not found */
	else
		find_mount("cgroup2", "", s->v2_root, sizeof(s->v2_root));
	find_mount("cgroup", "cpu", s->cpu_root, sizeof(s->cpu_root));
	find_mount("cgroup", "freezer", s->freezer_root, sizeof(s->freezer_root));
}

/* The cgroup of the same name in <root> that has <file>: its folder in u->dir. 0 or -ENOENT. */
static int has_file(struct undo *u, const char *root, const char *path, const char *file)
{
	struct stat st;
	int fd, rc;

	if (!*root || snprintf(u->dir, sizeof(u->dir), "%s%s", root, path) >= (int)sizeof(u->dir))
		return -ENOENT;
	fd = open(u->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -ENOENT;
	rc = fstat(fd, &st) < 0 ? -ENOENT : 0;
	u->dev = st.st_dev;
	u->ino = st.st_ino;
	if (!rc && faccessat(fd, file, F_OK, 0) < 0)
		rc = -ENOENT;
	if (!rc)
		rc = undo_read(fd, file, u->before, sizeof(u->before));
	(void)close(fd);				      /* only looked at */
	(void)snprintf(u->file, sizeof(u->file), "%s", file); /* a short literal */
	return rc;
}

/* In v1 the hierarchies are made one by one: is the first process of the cgroup under that name there, too? */
static int is_same_in_v1(const struct enforce *s, const struct act *a, const char *controller)
{
	char file[1024], line[1200], word[64], *path;
	unsigned long pid = 0;
	int found = 0, n = (int)strlen(a->path);
	FILE *f;

	(void)snprintf(file, sizeof(file), "%s%s/cgroup.procs", s->v2_root,
		       a->path); /* 255 + 511 */
	f = fopen(file, "re");
	if (!f || fscanf(f, "%lu", &pid) != 1)
		found = 1; /* nobody there to be somewhere else */
	if (f)
		(void)fclose(f); /* only read from */
	(void)snprintf(file, sizeof(file), UNDO_PROC "/%lu/cgroup", pid);
	(void)snprintf(word, sizeof(word), ",%s,", controller);
	f = found ? NULL : fopen(file, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		path = strchr(line, ':') ? strchr(strchr(line, ':') + 1, ':') : NULL;
		if (!path)
			continue;
		*path++ = ',';
		*strchr(line, ':') = ',';
		/* "4,cpu,cpuacct,/path": the controllers stand between commas */
		found = strstr(line, word) && strstr(line, word) < path &&
			strncmp(path, a->path, (size_t)n) == 0 && (!path[n] || path[n] == '/');
	}
	if (f)
		(void)fclose(f); /* likewise */
	return found;
}

static int no_controller(const struct act *a, const char *what, char *why, size_t cap)
{
	(void)snprintf(why, cap, "cgroup %.200s has no %s that could be set", a->path, what);
	return -EPERM;
}

/* A quota of a->value percent of one CPU. */
static int plan_throttle(struct enforce *s, struct act *a, struct undo *u, char *why, size_t cap)
{
	unsigned long long period = 0;
	long long old = -1;
	char text[64];
	double quota;
	int dir, is_v2 = has_file(u, s->v2_root, a->path, "cpu.max") == 0;

	if (is_v2) {
		if (sscanf(u->before, "max %llu", &period) != 1 &&
		    sscanf(u->before, "%lld %llu", &old, &period) != 2)
			return no_controller(a, "cpu.max", why, cap);
	} else {
		if (has_file(u, s->cpu_root, a->path, "cpu.cfs_quota_us") ||
		    !is_same_in_v1(s, a, "cpu"))
			return no_controller(a, "CPU quota", why, cap);
		old = strtoll(u->before, NULL, 10);
		dir = undo_dir(u);
		if (dir >= 0 && undo_read(dir, "cpu.cfs_period_us", text, sizeof(text)) == 0)
			period = strtoull(text, NULL, 10);
		if (dir >= 0)
			(void)close(dir); /* only looked at */
	}
	if (!period)
		return no_controller(a, "CPU quota", why, cap);
	quota = fmax(floor(a->value / 100 * (double)period), QUOTA_MIN_US);
	if (old > 0 && (double)old <= quota) {
		(void)snprintf(why, cap, "its quota is %.0f%% of a CPU already",
			       (double)old * 100 / (double)period);
		return -EPERM;
	}
	if (is_v2)
		(void)snprintf(u->ours, sizeof(u->ours), "%.0f %llu", quota, period); /* fits */
	else
		(void)snprintf(u->ours, sizeof(u->ours), "%.0f", quota); /* likewise */
	return 0;
}

static int plan_weight(struct enforce *s, struct act *a, struct undo *u, char *why, size_t cap)
{
	double want = a->value, old;

	if (has_file(u, s->v2_root, a->path, "cpu.weight")) {
		if (has_file(u, s->cpu_root, a->path, "cpu.shares") || !is_same_in_v1(s, a, "cpu"))
			return no_controller(a, "CPU weight", why, cap);
		/* as systemd converts: the usual weight of 100 is 1024 shares */
		want = fmin(fmax(floor(want * 1024 / 100), 2), 262144);
	}
	old = strtod(u->before, NULL);
	if (old <= want) {
		(void)snprintf(why, cap, "its %s is %.0f already, no more than %.0f", u->file, old,
			       want);
		return -EPERM;
	}
	(void)snprintf(u->ours, sizeof(u->ours), "%.0f", want); /* fits */
	return 0;
}

static int plan_freeze(struct enforce *s, struct act *a, struct undo *u, char *why, size_t cap)
{
	if (has_file(u, s->v2_root, a->path, "cgroup.freeze") == 0) {
		(void)snprintf(u->ours, sizeof(u->ours), "1");
		if (strcmp(u->before, "0") == 0)
			return 0;
	} else if (has_file(u, s->freezer_root, a->path, "freezer.state") == 0 &&
		   is_same_in_v1(s, a, "freezer")) {
		(void)snprintf(u->ours, sizeof(u->ours), "FROZEN");
		if (strcmp(u->before, "THAWED") == 0)
			return 0;
	} else {
		return no_controller(a, "freezer", why, cap);
	}
	(void)snprintf(why, cap, "it is frozen already");
	return -EPERM;
}

/* Only a stopped process can be taken back: those that are stopped already stay so. */
static int plan_signal(struct act *a, char *why, size_t cap)
{
	struct lnx_buf b = { .max = sizeof(a->plan) };
	struct undo_stat st;
	uint32_t i;

	if (a->signal == SIGSTOP) {
		a->undo = calloc(a->n_procs, sizeof(*a->undo));
		if (!a->undo) {
			(void)snprintf(why, cap, "out of memory");
			return -EPERM;
		}
	}
	lnx_buf_printf(&b, "send %s to %u process%s:", enf_signal(a->signal), a->n_procs,
		       a->n_procs == 1 ? "" : "es");
	for (i = 0; i < a->n_procs; i++) {
		if (undo_stat(a->procs[i].pid, &st) < 0)
			continue;
		if (b.size < 500)
			lnx_buf_printf(&b, "%s %u (%s)", i ? "," : "", a->procs[i].pid, st.comm);
		else if (i + 1 == a->n_procs)
			lnx_buf_str(&b, " …");
		if (!a->undo || st.state == 'T')
			continue;
		a->undo[a->n_undo].kind = UNDO_CONT;
		a->undo[a->n_undo].pid = a->procs[i].pid;
		a->undo[a->n_undo++].start_ticks = a->procs[i].start_ticks;
	}
	if (a->undo)
		lnx_buf_printf(&b, "; send CONT after %.0f s", (double)a->lease_ns / 1e9);
	else
		lnx_buf_str(&b, "; that cannot be taken back");
	(void)snprintf(a->plan, sizeof(a->plan), "%s", b.data ? b.data : ""); /* bounded above */
	lnx_buf_done(&b);
	if (!a->undo || a->n_undo)
		return 0;
	(void)snprintf(why, cap, "process %u is stopped already", a->pid);
	return -EPERM;
}

int enf_plan(struct enforce *s, struct act *a, char *why, size_t cap)
{
	struct undo *u;
	int rc;

	free(a->undo);
	a->undo = NULL;
	a->n_undo = 0;
	if (a->verb == LNX_ACTION_SIGNAL)
		return plan_signal(a, why, cap);
	u = a->undo = calloc(1, sizeof(*a->undo));
	if (!u) {
		(void)snprintf(why, cap, "out of memory");
		return -EPERM;
	}
	u->kind = UNDO_FILE;
	rc = a->verb == LNX_ACTION_THROTTLE ? plan_throttle(s, a, u, why, cap)
	     : a->verb == LNX_ACTION_WEIGHT ? plan_weight(s, a, u, why, cap)
					    : plan_freeze(s, a, u, why, cap);
	if (rc)
		return rc;
	a->n_undo = 1;
	(void)snprintf(a->plan, sizeof(a->plan),
		       "write '%s' to %s/%s (now '%s'); give it back after %.0f s", u->ours, u->dir,
		       u->file, u->before, (double)a->lease_ns / 1e9); /* cut: for people */
	return 0;
}

/* ---- doing it */

static int apply_file(const struct undo *u, char *why, size_t cap)
{
	char now[sizeof(u->ours)] = "";
	int dir = undo_dir(u), rc;

	if (dir < 0) {
		(void)snprintf(why, cap, "the cgroup no longer exists");
		return dir;
	}
	rc = undo_read(dir, u->file, now, sizeof(now));
	if (rc == 0 && strcmp(now, u->before) != 0) {
		(void)snprintf(why, cap, "%s was changed by somebody else: '%s'", u->file, now);
		rc = -ESTALE;
	} else if (rc == 0) {
		rc = undo_write(dir, u->file, u->ours);
		if (rc == 0)
			rc = undo_read(dir, u->file, now, sizeof(now));
		if (rc == 0 && !undo_is_ours(u, now))
			rc = -EIO;
		if (rc)
			(void)snprintf(why, cap, "%s cannot be set to '%s': %s%s", u->file, u->ours,
				       strerror(-rc),
				       rc == -EACCES || rc == -EPERM || rc == -EROFS
					       ? " (the agent needs the right to write it, see "
						 "SAFETY.md)"
					       : "");
	}
	(void)close(dir); /* the write told how it went */
	return rc;
}

/* Is there what makes it go on? The child that a process made since the plan has nothing that would. */
static int is_held(const struct act *a, const struct enf_proc *p)
{
	for (uint32_t i = 0; i < a->n_undo; i++)
		if (a->undo[i].pid == p->pid && a->undo[i].start_ticks == p->start_ticks)
			return 1;
	return !a->undo;
}

/* All of the tree, parents first. One that has ended meanwhile is as good. */
static int apply_signal(const struct act *a, char *why, size_t cap)
{
	uint32_t i, n = 0;
	int rc = -ESRCH, fd;

	for (i = 0; i < a->n_procs; i++) {
		if (!is_held(a, &a->procs[i]))
			continue;
		fd = undo_pidfd(a->procs[i].pid, a->procs[i].start_ticks);
		if (fd < 0) {
			rc = n ? rc : fd;
			continue;
		}
		rc = undo_kill(fd, (int)a->signal);
		(void)close(fd); /* it is no longer needed */
		if (rc == -ESRCH)
			continue;
		if (rc < 0) {
			(void)snprintf(why, cap, "process %u cannot be sent %s: %s%s",
				       a->procs[i].pid, enf_signal(a->signal), strerror(-rc),
				       rc == -EPERM ? " (the agent needs CAP_KILL)" : "");
			return rc;
		}
		n++;
	}
	if (n)
		return 0;
	(void)snprintf(why, cap, "the process has ended, or its number is another's by now");
	return rc < 0 ? rc : -ESRCH;
}

int enf_apply(struct act *a, char *why, size_t cap)
{
	return a->verb == LNX_ACTION_SIGNAL ? apply_signal(a, why, cap)
					    : apply_file(&a->undo[0], why, cap);
}

void enf_undo_results(const uint32_t results[UNDO_RESULTS], char *said, size_t cap)
{
	static const char *const words[] = { "undone",
					     "left as it is: somebody else has changed it since",
					     "gone: its cgroup or process has ended",
					     "NOT undone; it is tried again" };

	/* the worst is what is said */
	for (unsigned i = UNDO_RESULTS; i-- > 0;)
		if (results[i] && said) {
			(void)snprintf(said, cap, "%s", words[i]); /* cut: for people */
			return;
		}
	if (said && cap)
		*said = 0;
}

int enf_undo_now(struct act *a, char *said, size_t cap)
{
	uint32_t results[UNDO_RESULTS] = { 0 };
	uint32_t i;
	int rc;

	for (i = a->n_undo; i-- > 0;)
		results[undo_run(&a->undo[i], &rc)]++;
	enf_undo_results(results, said, cap);
	return results[UNDO_FAILED] > 0;
}

void enf_act_free(struct act *a)
{
	free(a->undo);
	free(a->procs);
	free(a);
}
