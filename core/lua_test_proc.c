/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Processes of a test by pid, made by proc.fork, proc.exec and proc.usage, ended by proc.exit. Of each pid the last one is known,
 * also after its end. */
#include "lua_test_proc.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <linnix/ev_proc.h>

#define TEST_PROC_PIDS 65536 /* a larger pid is not known */

struct test_proc {
	struct lnx_proc p;
	char filename[LNX_STR_MAX + 1];
};

struct lnx_test_procs {
	struct test_proc *by_pid[TEST_PROC_PIDS];
	uint32_t n_pids; /* above the largest that was seen */
};

struct lnx_test_procs *lnx_test_procs_new(void)
{
	return calloc(1, sizeof(struct lnx_test_procs));
}

static void proc_drop(struct lnx_test_procs *t, uint32_t pid)
{
	if (pid >= TEST_PROC_PIDS)
		return;
	free(t->by_pid[pid]);
	t->by_pid[pid] = NULL;
}

void lnx_test_procs_free(struct lnx_test_procs *t)
{
	uint32_t pid;

	for (pid = 0; t && pid < TEST_PROC_PIDS; pid++)
		free(t->by_pid[pid]);
	free(t);
}

static struct test_proc *proc_at(const struct lnx_test_procs *t, uint32_t pid)
{
	return pid < TEST_PROC_PIDS ? t->by_pid[pid] : NULL;
}

/* Process <pid>, made when it is new, or when the one of that pid has ended. NULL: no memory, or the pid is too large. */
static struct test_proc *proc_make(struct lnx_test_procs *t, uint32_t pid)
{
	struct test_proc *x = proc_at(t, pid);

	if (x && x->p.exit_ns) {
		proc_drop(t, pid);
		x = NULL;
	}
	if (x || !pid || pid >= TEST_PROC_PIDS)
		return x;
	t->n_pids = pid >= t->n_pids ? pid + 1 : t->n_pids;
	x = t->by_pid[pid] = calloc(1, sizeof(*x));
	if (!x)
		return NULL;
	x->p.size = sizeof(x->p);
	x->p.pid = pid;
	x->p.n_threads = 1;
	x->p.filename = x->filename;
	x->p.args = "";
	return x;
}

static void proc_forked(struct lnx_test_procs *t, const struct lnx_ev_proc_fork *f)
{
	struct test_proc *parent = proc_at(t, f->ppid), *x;

	proc_drop(t, f->child_pid); /* a pid that is used again */
	x = proc_make(t, f->child_pid);
	if (parent) {
		parent->p.forks++;
		parent->p.forks_total++;
	}
	if (!x)
		return;
	x->p.start_ns = f->start_ns;
	x->p.parent_start_ns = f->parent_start_ns;
	x->p.cgroup_id = f->cgroup_id;
	x->p.ppid = f->ppid;
	x->p.uid = f->uid;
	x->p.is_kthread = f->is_kthread;
	memcpy(x->p.comm, f->comm, sizeof(x->p.comm));
	if (parent)
		memcpy(x->filename, parent->filename, sizeof(x->filename));
}

static void proc_executed(struct lnx_test_procs *t, const struct lnx_ev_proc_exec *e)
{
	struct test_proc *x = proc_make(t, e->h.pid);
	size_t n = e->filename.len < LNX_STR_MAX ? e->filename.len : LNX_STR_MAX;

	if (!x)
		return;
	x->p.start_ns = e->start_ns ? e->start_ns : x->p.start_ns;
	x->p.cgroup_id = e->cgroup_id ? e->cgroup_id : x->p.cgroup_id;
	x->p.ppid = e->ppid ? e->ppid : x->p.ppid;
	x->p.uid = e->uid;
	memcpy(x->p.comm, e->comm, sizeof(x->p.comm));
	memcpy(x->filename, (const char *)e + e->filename.off, n);
	x->filename[n] = 0;
}

static void proc_used(struct lnx_test_procs *t, const struct lnx_ev_proc_usage *u)
{
	struct test_proc *x = proc_make(t, u->h.pid);

	if (!x)
		return;
	x->p.start_ns = u->start_ns ? u->start_ns : x->p.start_ns;
	x->p.cgroup_id = u->cgroup_id ? u->cgroup_id : x->p.cgroup_id;
	x->p.ppid = u->ppid ? u->ppid : x->p.ppid;
	x->p.uid = u->uid;
	x->p.n_threads = u->n_threads;
	x->p.state = u->state;
	memcpy(x->p.comm, u->comm, sizeof(x->p.comm));
	x->p.has_usage = 1;
	x->p.usage_ns = u->h.ts_ns;
	x->p.cpu_pct = u->cpu_pct;
	x->p.cpu_ns = u->cpu_ns;
	x->p.rss_bytes = u->rss_bytes;
	x->p.rss_anon_bytes = u->rss_anon_bytes;
	x->p.read_bytes = u->read_bytes;
	x->p.write_bytes = u->write_bytes;
	x->p.minflt = u->minflt;
	x->p.majflt = u->majflt;
	x->p.run_delay_ns = u->run_delay_ns;
}

static void proc_ended(struct lnx_test_procs *t, const struct lnx_ev_proc_exit *e)
{
	struct test_proc *x = proc_make(t, e->h.pid);

	if (!x)
		return;
	x->p.start_ns = e->start_ns ? e->start_ns : x->p.start_ns;
	x->p.cgroup_id = e->cgroup_id ? e->cgroup_id : x->p.cgroup_id;
	x->p.ppid = e->ppid ? e->ppid : x->p.ppid;
	x->p.exit_ns = e->h.ts_ns;
	x->p.exit_code = e->exit_code;
	x->p.signal = e->signal;
	memcpy(x->p.comm, e->comm, sizeof(x->p.comm));
}

/* The events of a test are whole: they were built from the tables of this program. */
void lnx_test_procs_event(struct lnx_test_procs *t, const struct lnx_event *ev)
{
	const void *p = ev;

	if (ev->type == LNX_EV_PROC_FORK)
		proc_forked(t, p);
	else if (ev->type == LNX_EV_PROC_EXEC)
		proc_executed(t, p);
	else if (ev->type == LNX_EV_PROC_USAGE)
		proc_used(t, p);
	else if (ev->type == LNX_EV_PROC_EXIT)
		proc_ended(t, p);
}

static const struct lnx_proc *proc_get(void *self, uint32_t pid, uint64_t start_ns)
{
	const struct test_proc *x = proc_at(self, pid);

	if (!x || (start_ns ? start_ns != x->p.start_ns : x->p.exit_ns != 0))
		return NULL;
	return &x->p;
}

static const struct lnx_proc *proc_parent(void *self, const struct lnx_proc *p)
{
	const struct test_proc *x = proc_at(self, p->ppid);

	/* a later process with the pid of the parent is none */
	return x && &x->p != p && x->p.start_ns <= p->start_ns ? &x->p : NULL;
}

static int proc_each(void *self, uint32_t include_exited,
		     int (*each)(void *arg, const struct lnx_proc *p), void *arg)
{
	const struct lnx_test_procs *t = self;
	uint32_t pid;
	int n = 0;

	for (pid = 0; pid < t->n_pids; pid++) {
		const struct test_proc *x = t->by_pid[pid];

		if (!x || (x->p.exit_ns && !include_exited))
			continue;
		n++;
		if (each(arg, &x->p))
			break;
	}
	return n;
}

const struct lnx_svc_proc *lnx_test_procs_service(void)
{
	static const struct lnx_svc_proc service = { .size = offsetof(struct lnx_svc_proc,
								      want_usage),
						     .get = proc_get,
						     .parent = proc_parent,
						     .each = proc_each };

	return &service;
}
