/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Who is meant by a request, and whether it may be touched. Everything is looked up again when it is to be done: between
 * the request and the approval the process may have ended and its number be another's. */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "act.h"

#define PF_KTHREAD 0x00200000
#define MAX_DIRS   512 /* cgroups below one that is looked at */

/* Never touched, whatever is configured: command names, and names of a folder on the way to a cgroup. */
static const char *const protected_names[] = { "systemd",
					       "systemd-*",
					       "(sd-*",
					       "init",
					       "kubelet",
					       "containerd",
					       "containerd-*",
					       "dockerd",
					       "crio",
					       "conmon*",
					       "runc*",
					       "crun",
					       "sshd",
					       "sshd-*",
					       "dbus-daemon",
					       "dbus-broker*",
					       "linnixd",
					       "linnix-guardian",
					       NULL };
static const char *const protected_dirs[] = { "init.scope",
					      "kubelet.service",
					      "containerd.service",
					      "docker.service",
					      "crio.service",
					      "ssh.service",
					      "ssh@*.service",
					      "sshd.service",
					      "sshd@*.service",
					      "dbus*.service",
					      "systemd-*.service",
					      "linnix*.service",
					      NULL };

static int any_match(const char *const *globs, const char *name)
{
	for (; *globs; globs++)
		if (fnmatch(*globs, name, 0) == 0)
			return 1;
	return 0;
}

static int is_protected_name(const struct enforce *s, const char *comm)
{
	return any_match(protected_names, comm) || any_match(s->conf->protect, comm);
}

/* A folder on the way, or the whole path. */
static int is_protected_path(const struct enforce *s, const char *path)
{
	char part[256];
	const char *p = path;
	size_t n;

	if (any_match(s->conf->protect, path))
		return 1;
	while (*p) {
		p += strspn(p, "/");
		n = strcspn(p, "/");
		(void)snprintf(part, sizeof(part), "%.*s", (int)n, p); /* names are at most 255 */
		if (n && (any_match(protected_dirs, part) || any_match(s->conf->protect, part)))
			return 1;
		p += n;
	}
	return 0;
}

/* A cgroup's pod and name: 0 or -EPERM. One that is not known might be any. */
static int check_name(struct enforce *s, uint64_t cgroup_id, char *why, size_t cap)
{
	struct lnx_workload w = { .size = sizeof(w) };

	if (s->workload->get(s->workload_self, cgroup_id, &w) < 0) {
		(void)snprintf(why, cap, "cgroup %llu is not known: it might be protected",
			       (unsigned long long)cgroup_id); /* fits */
		return -EPERM;
	}
	if (w.is_ignored) {
		(void)snprintf(why, cap, "the pod is labelled linnix.dev/ignore");
		return -EPERM;
	}
	if (!is_protected_path(s, w.path))
		return 0;
	(void)snprintf(why, cap, "cgroup %.200s is protected", w.path);
	return -EPERM;
}

uint64_t enf_ticks(uint64_t start_ns)
{
	long hz = sysconf(_SC_CLK_TCK);

	return start_ns / (ENF_SEC / (uint64_t)(hz > 0 ? hz : 100));
}

/* ---- processes */

struct self {
	uint32_t pids[ENF_ANCESTORS];
	unsigned n;
};

/* The agent, its guardian, and who started it. */
static void find_self(const struct enforce *s, struct self *self)
{
	struct undo_stat st;
	uint32_t pid = (uint32_t)getpid();

	self->n = 0;
	if (s->guard.pid)
		self->pids[self->n++] = (uint32_t)s->guard.pid;
	while (pid && self->n < ENF_ANCESTORS) {
		self->pids[self->n++] = pid;
		if (undo_stat(pid, &st) < 0)
			return;
		pid = st.ppid;
	}
}

/* 0, -ESRCH: it ended, -EPERM. */
static int check_pid(const struct enforce *s, const struct self *self, uint32_t pid, char *why,
		     size_t cap)
{
	struct undo_stat st;
	unsigned i;

	if (pid == 1) {
		(void)snprintf(why, cap, "process 1 is never touched"); /* fits */
		return -EPERM;
	}
	for (i = 0; i < self->n; i++) {
		if (self->pids[i] != pid)
			continue;
		(void)snprintf(why, cap, "process %u is the agent or what it runs under", pid);
		return -EPERM;
	}
	if (undo_stat(pid, &st) < 0)
		return -ESRCH;
	if (st.flags & PF_KTHREAD || st.ppid == 2 || pid == 2) {
		(void)snprintf(why, cap, "process %u is a kernel thread", pid);
		return -EPERM;
	}
	if (is_protected_name(s, st.comm)) {
		(void)snprintf(why, cap, "process %u (%s) is protected", pid, st.comm);
		return -EPERM;
	}
	return 0;
}

struct tree {
	struct enf_proc *procs;
	uint32_t n, is_full;
	uint32_t grew;
};

static int add_child(void *arg, const struct lnx_proc *p)
{
	struct tree *t = arg;
	uint32_t i;

	if (p->exit_ns || p->is_kthread)
		return 0;
	for (i = 0; i < t->n; i++)
		if (t->procs[i].pid == p->pid)
			return 0;
	/* of the one that is meant, and not of an earlier one of its number, whose orphans the table has not looked at since */
	for (i = 0; i < t->n; i++)
		if (t->procs[i].pid == p->ppid &&
		    (!p->parent_start_ns ||
		     t->procs[i].start_ticks == enf_ticks(p->parent_start_ns)))
			break;
	if (i == t->n)
		return 0;
	if (t->n == ENF_TREE) {
		t->is_full = 1;
		return 1;
	}
	t->procs[t->n++] = (struct enf_proc){ p->pid, enf_ticks(p->start_ns), p->cgroup_id };
	t->grew = 1;
	return 0;
}

/* The process and all that descend from it, parents first. */
static int find_tree(struct enforce *s, struct act *a, char *why, size_t cap)
{
	const struct lnx_proc *root = s->proc->get(s->proc_self, a->pid, a->start_ns);
	struct tree t = { .procs = NULL };

	if (!root) {
		(void)snprintf(why, cap, "process %u is not known", a->pid);
		return -EPERM;
	}
	t.procs = calloc(ENF_TREE, sizeof(*t.procs));
	if (!t.procs) {
		(void)snprintf(why, cap, "out of memory");
		return -EPERM;
	}
	t.procs[t.n++] = (struct enf_proc){ a->pid, enf_ticks(a->start_ns), root->cgroup_id };
	do {
		t.grew = 0;
		(void)s->proc->each(s->proc_self, 0, add_child, &t);
	} while (t.grew && !t.is_full);
	free(a->procs);
	a->procs = t.procs;
	a->n_procs = t.n;
	if (!t.is_full)
		return 0;
	(void)snprintf(why, cap, "the tree of process %u has more than %d processes", a->pid,
		       ENF_TREE);
	return -EPERM;
}

static int check_process(const struct act *a, char *why, size_t cap)
{
	struct undo_stat st;

	if (!a->pid || !a->start_ns) {
		(void)snprintf(why, cap, "the request names no process");
		return -EPERM;
	}
	if (undo_stat(a->pid, &st) < 0) {
		(void)snprintf(why, cap, "process %u has ended", a->pid);
		return -EPERM;
	}
	if (st.start_ticks == enf_ticks(a->start_ns))
		return 0;
	(void)snprintf(why, cap,
		       "process %u is another one by now (%s): the one that was meant has ended",
		       a->pid, st.comm);
	return -EPERM;
}

/* Does it, as /proc says now, descend from the first <n>? One of the table that does not is no longer of the tree. */
static int is_of_tree(const struct act *a, uint32_t n, const struct enf_proc *p)
{
	struct undo_stat st;
	uint32_t i;

	if (undo_stat(p->pid, &st) < 0 || st.start_ticks != p->start_ticks)
		return 0;
	for (i = 0; i < n && a->procs[i].pid != st.ppid; i++)
		;
	/* looked at last: if it is the one that is meant now, it was when it was the parent */
	return i < n && undo_stat(st.ppid, &st) == 0 && st.start_ticks == a->procs[i].start_ticks;
}

static int check_signal(struct enforce *s, struct act *a, char *why, size_t cap)
{
	struct self self;
	uint32_t i, n = 0;
	int rc = check_process(a, why, cap);

	if (!rc)
		rc = find_tree(s, a, why, cap);
	find_self(s, &self);
	for (i = 0; !rc && i < a->n_procs; i++) {
		struct enf_proc p = a->procs[i];

		if (i && !is_of_tree(a, n, &p))
			continue;
		rc = check_pid(s, &self, p.pid, why, cap);
		if (!rc)
			rc = check_name(s, p.cgroup_id, why, cap);
		if (rc == -ESRCH)
			rc = 0;
		else
			a->procs[n++] = p;
	}
	if (rc)
		return rc;
	a->n_procs = n;
	if (n)
		return 0;
	(void)snprintf(why, cap, "process %u has ended", a->pid);
	return -EPERM;
}

/* ---- cgroups */

struct walk {
	const struct enforce *s;
	struct self self;
	uint32_t n_pids, n_dirs;
	char *why;
	size_t cap;
};

static int not_seen(struct walk *w, const char *dir)
{
	(void)snprintf(w->why, w->cap, "who is in %.200s cannot be seen: %s", dir, strerror(errno));
	return -EPERM;
}

static int walk_pids(struct walk *w, const char *dir, unsigned depth)
{
	char file[1024];
	unsigned long pid;
	FILE *f;
	int rc = 0;

	errno = ENAMETOOLONG;
	if (snprintf(file, sizeof(file), "%s/cgroup.procs", dir) >= (int)sizeof(file))
		return not_seen(w, dir);
	f = fopen(file, "re");
	if (!f)
		return errno == ENOENT ? 0 : not_seen(w, dir);
	errno = 0;
	while (!rc && fscanf(f, "%lu", &pid) == 1) {
		if (++w->n_pids > ENF_LOOKED_AT) {
			(void)snprintf(w->why, w->cap, "more than %d processes are in it",
				       ENF_LOOKED_AT);
			rc = -EPERM;
			break;
		}
		/* 0: of a pid namespace that we do not see into */
		rc = pid ? check_pid(w->s, &w->self, (uint32_t)pid, w->why, w->cap) : 0;
		if (rc == -ESRCH)
			rc = 0;
		errno = 0;
	}
	/* those of a threaded one are listed by the cgroup above it */
	if (!rc && ferror(f) && errno != ENODEV && !(errno == EOPNOTSUPP && depth))
		rc = not_seen(w, dir);
	(void)fclose(f); /* only read from */
	return rc;
}

/* Every process of the cgroup at <dir> and below. */
static int walk_dir(struct walk *w, const char *dir, unsigned depth)
{
	char sub[1024];
	struct dirent *d;
	struct stat st;
	DIR *at;
	int rc = walk_pids(w, dir, depth);

	at = rc ? NULL : opendir(dir);
	while (at && !rc && (d = readdir(at))) {
		if (d->d_name[0] == '.' ||
		    snprintf(sub, sizeof(sub), "%s/%s", dir, d->d_name) >= (int)sizeof(sub) ||
		    lstat(sub, &st) < 0 || !S_ISDIR(st.st_mode))
			continue;
		if (++w->n_dirs > MAX_DIRS || depth > 16) {
			(void)snprintf(w->why, w->cap, "more than %d cgroups are below it",
				       MAX_DIRS);
			rc = -EPERM;
		} else {
			rc = walk_dir(w, sub, depth + 1);
		}
	}
	if (at)
		(void)closedir(at); /* likewise */
	return rc;
}

static int check_dir(const struct enforce *s, const char *root, const char *path, char *why,
		     size_t cap)
{
	struct walk w = { .s = s, .why = why, .cap = cap };
	char dir[1024];

	if (!*root || snprintf(dir, sizeof(dir), "%s%s", root, path) >= (int)sizeof(dir))
		return 0;
	find_self(s, &w.self);
	return walk_dir(&w, dir, 0);
}

static int check_cgroup(struct enforce *s, struct act *a, char *why, size_t cap)
{
	char dir[1024];
	struct stat st;
	int rc;

	if (snprintf(dir, sizeof(dir), "%s%s", s->v2_root, a->path) >= (int)sizeof(dir) ||
	    stat(dir, &st) < 0 || st.st_ino != a->cgroup_id) {
		(void)snprintf(why, cap, "the cgroup no longer exists");
		return -EPERM;
	}
	if (strcmp(a->path, "/") == 0) {
		(void)snprintf(why, cap, "the root of the cgroups is never touched");
		return -EPERM;
	}
	rc = check_dir(s, s->v2_root, a->path, why, cap);
	if (!rc) /* the same name in another hierarchy may hold others */
		rc = check_dir(s, a->verb == LNX_ACTION_FREEZE ? s->freezer_root : s->cpu_root,
			       a->path, why, cap);
	return rc;
}

int enf_check(struct enforce *s, struct act *a, char *why, size_t cap)
{
	const char *const *v = s->conf->verbs;

	while (*v && strcmp(*v, enf_verbs[a->verb]) != 0)
		v++;
	if (!*v) {
		(void)snprintf(why, cap, "%s is not among enforce.verbs", enf_verbs[a->verb]);
		return -EPERM;
	}
	if (*a->path && check_name(s, a->cgroup_id, why, cap))
		return -EPERM;
	return a->verb == LNX_ACTION_SIGNAL ? check_signal(s, a, why, cap)
					    : check_cgroup(s, a, why, cap);
}

int enf_target(struct enforce *s, struct act *a, char *why, size_t cap)
{
	struct lnx_workload w = { .size = sizeof(w) };
	const struct lnx_proc *p;

	if (!a->cgroup_id && a->pid) {
		p = s->proc->get(s->proc_self, a->pid, a->start_ns);
		if (p && !p->exit_ns)
			a->cgroup_id = p->cgroup_id;
	}
	if (a->verb == LNX_ACTION_SIGNAL && !a->pid) {
		(void)snprintf(why, cap, "the request names no process to signal");
		return -EPERM;
	}
	if (a->cgroup_id && s->workload->get(s->workload_self, a->cgroup_id, &w) == 0 &&
	    w.slot_cgroup_id && w.slot_cgroup_id != a->cgroup_id &&
	    s->workload->get(s->workload_self, w.slot_cgroup_id, &w) == 0)
		a->cgroup_id = w.cgroup_id; /* the container or unit as a whole */
	if (w.path && strlen(w.path) < sizeof(a->path)) {
		(void)snprintf(a->path, sizeof(a->path), "%s", w.path); /* fits */
		(void)snprintf(a->workload, sizeof(a->workload), "%s",
			       w.workload); /* cut: for people */
		(void)snprintf(a->namespace_, sizeof(a->namespace_), "%s", w.namespace_);
	} else if (a->verb != LNX_ACTION_SIGNAL) {
		(void)snprintf(why, cap, "the cgroup that is meant is not known");
		return -EPERM;
	}
	return 0;
}
