/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The state that a replay needs at its beginning, told by services and written as events: each process as its fork, the
 * program it runs, what it used and its end; each cgroup as its workload. In the order in which it came about, so that
 * parents are known before their children. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linnix/ev_proc.h>
#include <linnix/ev_workload.h>
#include <linnix/svc_proc.h>
#include <linnix/svc_workload.h>

#include "app.h"
#include "rec.h"

#define STATE_MAX 262144 /* entries; what is beyond is left out and shows as lost state */

/* enum state_kind, in the order of a life */
#define STATE_FORK     0
#define STATE_EXEC     1
#define STATE_USAGE    2
#define STATE_EXIT     3
#define STATE_WORKLOAD 4

struct state_item {
	uint64_t ts_ns;
	uint32_t kind, place;	  /* place: as the service gave it */
	const struct lnx_proc *p; /* borrowed: one turn of the loop makes and writes it all */
	struct lnx_workload w;
};

struct lnx_rec_state {
	struct state_item *items;
	size_t n, cap;
	uint64_t at_ns, left_out;
	const struct lnx_svc_proc *proc;
	void *proc_self;
	int rc;
};

/* An event with its tail, aligned. */
union state_space {
	struct lnx_event h;
	struct lnx_ev_proc_fork fork;
	struct lnx_ev_proc_exec exec;
	struct lnx_ev_proc_exit exit;
	struct lnx_ev_proc_usage usage;
	struct lnx_ev_workload_update workload;
	char bytes[LNX_EVENT_MAX];
};

static struct state_item *state_add(struct lnx_rec_state *s, uint32_t kind, uint64_t ts_ns)
{
	struct state_item *p;

	if (s->n == STATE_MAX) {
		s->left_out++;
		return NULL;
	}
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 1024;

		p = realloc(s->items, cap * sizeof(*p));
		if (!p) {
			s->rc = -ENOMEM;
			return NULL;
		}
		s->items = p;
		s->cap = cap;
	}
	p = &s->items[s->n];
	memset(p, 0, sizeof(*p));
	p->kind = kind;
	p->ts_ns = ts_ns;
	p->place = (uint32_t)s->n++;
	return p;
}

static void state_add_proc(struct lnx_rec_state *s, uint32_t kind, uint64_t ts_ns,
			   const struct lnx_proc *p)
{
	struct state_item *item = ts_ns <= s->at_ns ? state_add(s, kind, ts_ns) : NULL;

	if (item)
		item->p = p;
}

static int state_on_proc(void *arg, const struct lnx_proc *p)
{
	struct lnx_rec_state *s = arg;

	if (p->start_ns > s->at_ns)
		return 0; /* its fork is among the events */
	state_add_proc(s, STATE_FORK, p->start_ns, p);
	if (p->filename[0])
		state_add_proc(s, STATE_EXEC, p->start_ns, p);
	if (p->has_usage && p->usage_ns >= p->start_ns)
		state_add_proc(s, STATE_USAGE, p->usage_ns, p);
	if (p->exit_ns)
		state_add_proc(s, STATE_EXIT, p->exit_ns, p);
	return s->rc;
}

static int state_on_workload(void *arg, const struct lnx_workload *w)
{
	struct lnx_rec_state *s = arg;
	struct state_item *item = state_add(s, STATE_WORKLOAD, s->at_ns);

	if (item)
		item->w = *w;
	return s->rc;
}

static int state_by_time(const void *a, const void *b)
{
	const struct state_item *x = a, *y = b;

	if (x->ts_ns != y->ts_ns)
		return x->ts_ns < y->ts_ns ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->place < y->place ? -1 : x->place > y->place;
}

int lnx_rec_state_new(const struct lnx_app *app, uint64_t at_ns, struct lnx_rec_state **ret_state)
{
	struct lnx_rec_state *s = calloc(1, sizeof(*s));
	const struct lnx_svc_workload *workload;
	const void *vtable;
	void *self;

	if (!s)
		return -ENOMEM;
	s->at_ns = at_ns;
	if (lnx_services_find(app->services, "proc/1", &vtable, &s->proc_self) == 0) {
		s->proc = vtable;
		(void)s->proc->each(s->proc_self, 1, state_on_proc, s); /* failures are in s->rc */
	}
	if (lnx_services_find(app->services, "workload/1", &vtable, &self) == 0) {
		workload = vtable;
		(void)workload->each(self, 1, state_on_workload, s); /* likewise */
	}
	if (s->rc < 0) {
		lnx_rec_state_free(s);
		return -ENOMEM;
	}
	if (s->n)
		qsort(s->items, s->n, sizeof(*s->items), state_by_time);
	*ret_state = s;
	return 0;
}

uint64_t lnx_rec_state_count(const struct lnx_rec_state *s)
{
	return s->n + s->left_out;
}

void lnx_rec_state_free(struct lnx_rec_state *s)
{
	if (!s)
		return;
	free(s->items);
	free(s);
}

/* --- events ------------------------------------------------------------------------------------- */

static void state_begin(union state_space *u, uint16_t type, size_t fixed, uint64_t ts_ns)
{
	memset(u, 0, fixed);
	u->h.size = (__u32)fixed;
	u->h.fixed = (__u16)fixed;
	u->h.type = type;
	u->h.ts_ns = ts_ns;
	u->h.cpu = LNX_CPU_NONE;
}

static struct lnx_str state_str(union state_space *u, const char *text)
{
	struct lnx_str out = { 0 };
	size_t n = text ? strlen(text) : 0;

	if (n > LNX_STR_MAX)
		n = LNX_STR_MAX;
	if (!n || n > sizeof(u->bytes) - u->h.size)
		return out;
	memcpy(u->bytes + u->h.size, text, n);
	out.off = (__u16)u->h.size;
	out.len = (__u16)n;
	u->h.size += (__u32)n;
	return out;
}

static void state_fork(const struct lnx_rec_state *s, const struct state_item *item,
		       union state_space *u)
{
	const struct lnx_proc *p = item->p, *parent = s->proc->parent(s->proc_self, p);
	struct lnx_ev_proc_fork *e = &u->fork;

	state_begin(u, LNX_EV_PROC_FORK, sizeof(*e), item->ts_ns);
	e->h.pid = parent ? parent->pid : p->ppid;
	e->parent_start_ns = parent ? parent->start_ns : p->parent_start_ns;
	e->parent_cgroup_id = parent ? parent->cgroup_id : p->cgroup_id;
	e->start_ns = p->start_ns;
	e->cgroup_id = p->cgroup_id;
	e->child_pid = p->pid;
	e->ppid = p->ppid;
	e->uid = p->uid;
	e->is_kthread = p->is_kthread;
	memcpy(e->comm, p->comm, sizeof(e->comm));
}

static void state_exec(const struct state_item *item, union state_space *u)
{
	const struct lnx_proc *p = item->p;
	struct lnx_ev_proc_exec *e = &u->exec;

	state_begin(u, LNX_EV_PROC_EXEC, sizeof(*e), item->ts_ns);
	e->h.pid = p->pid;
	e->start_ns = p->start_ns;
	e->cgroup_id = p->cgroup_id;
	e->ppid = p->ppid;
	e->uid = p->uid;
	memcpy(e->comm, p->comm, sizeof(e->comm));
	e->filename = state_str(u, p->filename);
	e->args = state_str(u, p->args);
}

static void state_usage(const struct state_item *item, union state_space *u)
{
	const struct lnx_proc *p = item->p;
	struct lnx_ev_proc_usage *e = &u->usage;

	state_begin(u, LNX_EV_PROC_USAGE, sizeof(*e), item->ts_ns);
	e->h.pid = p->pid;
	e->start_ns = p->start_ns;
	e->cgroup_id = p->cgroup_id;
	e->cpu_ns = p->cpu_ns;
	e->rss_bytes = p->rss_bytes;
	e->rss_anon_bytes = p->rss_anon_bytes;
	e->read_bytes = p->read_bytes;
	e->write_bytes = p->write_bytes;
	e->minflt = p->minflt;
	e->majflt = p->majflt;
	e->run_delay_ns = p->run_delay_ns;
	e->ppid = p->ppid;
	e->uid = p->uid;
	e->n_threads = p->n_threads;
	e->state = p->state;
	memcpy(e->comm, p->comm, sizeof(e->comm));
	e->cpu_pct = p->cpu_pct;
}

static void state_exit(const struct state_item *item, union state_space *u)
{
	const struct lnx_proc *p = item->p;
	struct lnx_ev_proc_exit *e = &u->exit;

	state_begin(u, LNX_EV_PROC_EXIT, sizeof(*e), item->ts_ns);
	e->h.pid = p->pid;
	e->start_ns = p->start_ns;
	e->cgroup_id = p->cgroup_id;
	e->lifetime_ns = p->exit_ns - p->start_ns;
	e->cpu_ns = p->cpu_ns;
	e->ppid = p->ppid;
	e->uid = p->uid;
	e->exit_code = p->exit_code;
	e->signal = p->signal;
	e->did_exec = p->filename[0] != 0;
	memcpy(e->comm, p->comm, sizeof(e->comm));
}

static void state_workload(const struct state_item *item, union state_space *u)
{
	const struct lnx_workload *w = &item->w;
	struct lnx_ev_workload_update *e = &u->workload;

	state_begin(u, LNX_EV_WORKLOAD_UPDATE, sizeof(*e), item->ts_ns);
	e->cgroup_id = w->cgroup_id;
	e->path = state_str(u, w->path);
	e->workload = state_str(u, w->workload);
	e->namespace_ = state_str(u, w->namespace_);
	e->pod_name = state_str(u, w->pod_name);
	e->pod_uid = state_str(u, w->pod_uid);
	e->container_name = state_str(u, w->container_name);
	e->container_id = state_str(u, w->container_id);
	e->runtime = state_str(u, w->runtime);
	e->qos = state_str(u, w->qos);
	e->owner_channel = state_str(u, w->owner_channel);
	e->slo_tier = state_str(u, w->slo_tier);
	e->is_ignored = w->is_ignored;
	e->cpu_request_millicores = w->cpu_request_millicores;
	e->cpu_limit_millicores = w->cpu_limit_millicores;
	e->memory_request_bytes = w->memory_request_bytes;
	e->memory_limit_bytes = w->memory_limit_bytes;
}

void lnx_rec_state_write(const struct lnx_rec_state *s, struct lnx_rec_writer *w)
{
	union state_space u;
	size_t i;

	for (i = 0; i < s->n; i++) {
		const struct state_item *item = &s->items[i];

		switch (item->kind) {
		case STATE_FORK:
			state_fork(s, item, &u);
			break;
		case STATE_EXEC:
			state_exec(item, &u);
			break;
		case STATE_USAGE:
			state_usage(item, &u);
			break;
		case STATE_EXIT:
			state_exit(item, &u);
			break;
		default:
			state_workload(item, &u);
		}
		lnx_rec_write_state(w, &u.h);
	}
}
