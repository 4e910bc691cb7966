/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The table of processes: live and lately exited ones, found by (pid, start). Entries never move. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "table.h"

#define PROC_BUCKETS 8192 /* a power of two; chains of 4 when the table is full */
#define PROC_SLAB    128  /* entries allocated together */

struct proc_slab {
	struct proc_slab *next;
	struct proc_entry entry[PROC_SLAB];
};

static struct proc_entry **bucket_of(const struct proc_table *t, uint32_t pid)
{
	return &t->bucket[(pid * 2654435761u) >> 19]; /* 32 - log2(PROC_BUCKETS) */
}

static void list_add(struct proc_list *l, struct proc_entry *e)
{
	e->prev = l->last;
	e->next = NULL;
	if (l->last)
		l->last->next = e;
	else
		l->first = e;
	l->last = e;
	l->n++;
}

static void list_del(struct proc_list *l, struct proc_entry *e)
{
	if (e->prev)
		e->prev->next = e->next;
	else
		l->first = e->next;
	if (e->next)
		e->next->prev = e->prev;
	else
		l->last = e->prev;
	l->n--;
}

int proc_table_init(struct proc_table *t, uint32_t max_live)
{
	long hz = sysconf(_SC_CLK_TCK);

	memset(t, 0, sizeof(*t));
	t->bucket = calloc(PROC_BUCKETS, sizeof(struct proc_entry *));
	if (!t->bucket)
		return -ENOMEM;
	t->max_live = max_live;
	t->strings.max_bytes = PROC_STRINGS_BYTES;
	t->tick_ns = 1000000000u / (uint64_t)(hz > 0 ? hz : 100);
	return 0;
}

static struct proc_entry *entry_new(struct proc_table *t)
{
	struct proc_slab *s;
	struct proc_entry *e;
	int i;

	if (!t->unused) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return NULL;
		s->next = t->slabs;
		t->slabs = s;
		for (i = 0; i < PROC_SLAB; i++) {
			s->entry[i].hash_next = t->unused;
			t->unused = &s->entry[i];
		}
	}
	e = t->unused;
	t->unused = e->hash_next;
	memset(e, 0, sizeof(*e));
	e->p.size = sizeof(e->p);
	e->p.filename = e->p.args = "";
	return e;
}

static void entry_free(struct proc_table *t, struct proc_entry *e)
{
	struct proc_entry **at = bucket_of(t, e->p.pid);

	while (*at != e)
		at = &(*at)->hash_next;
	*at = e->hash_next;
	proc_string_unref(&t->strings, e->filename);
	proc_string_unref(&t->strings, e->args);
	e->hash_next = t->unused;
	t->unused = e;
}

void proc_table_done(struct proc_table *t)
{
	struct proc_slab *s;

	while (t->live.first) {
		struct proc_entry *e = t->live.first;

		list_del(&t->live, e);
		entry_free(t, e);
	}
	while (t->exited.first) {
		struct proc_entry *e = t->exited.first;

		list_del(&t->exited, e);
		entry_free(t, e);
	}
	while ((s = t->slabs)) {
		t->slabs = s->next;
		free(s);
	}
	free(t->bucket);
	memset(t, 0, sizeof(*t));
}

/* The same start: exactly, or within the tick that /proc rounds to. */
static int same_start(const struct proc_table *t, const struct proc_entry *e, uint64_t start_ns)
{
	if (e->p.start_ns == start_ns)
		return 1;
	if (e->is_coarse)
		return start_ns > e->p.start_ns && start_ns - e->p.start_ns < t->tick_ns;
	return start_ns % t->tick_ns == 0 && start_ns < e->p.start_ns &&
	       e->p.start_ns - start_ns < t->tick_ns;
}

struct proc_entry *proc_table_live(const struct proc_table *t, uint32_t pid)
{
	struct proc_entry *e;

	for (e = *bucket_of(t, pid); e; e = e->hash_next)
		if (e->p.pid == pid && !e->p.exit_ns)
			return e;
	return NULL;
}

struct proc_entry *proc_table_find(const struct proc_table *t, uint32_t pid, uint64_t start_ns)
{
	struct proc_entry *e;

	for (e = *bucket_of(t, pid); e; e = e->hash_next)
		if (e->p.pid == pid && same_start(t, e, start_ns))
			return e;
	return NULL;
}

struct proc_entry *proc_table_take(struct proc_table *t, uint32_t pid, uint64_t start_ns,
				   uint64_t now_ns, int *ret_is_new)
{
	struct proc_entry *e = proc_table_live(t, pid), **b;

	if (e && same_start(t, e, start_ns)) {
		if (e->is_coarse && start_ns % t->tick_ns) {
			e->p.start_ns = start_ns; /* now exactly */
			e->is_coarse = 0;
		}
		*ret_is_new = 0;
		return e;
	}
	if (e && start_ns < e->p.start_ns)
		return NULL;
	if (e) {
		proc_table_end_unseen(t, e, now_ns); /* its pid is in use again, so it is gone */
	}
	e = proc_table_find(t, pid, start_ns);
	if (e && e->exit_known)
		return NULL; /* it ended: what speaks of it now is late */
	if (e) {
		list_del(&t->exited, e); /* thought to be gone, but it is not */
		proc_table_is_sure(t, e);
		e->p.exit_ns = 0;
		list_add(&t->live, e);
		*ret_is_new = 0;
		return e;
	}
	e = t->live.n < t->max_live ? entry_new(t) : NULL;
	if (!e) {
		t->refused++;
		return NULL;
	}
	e->p.pid = pid;
	e->p.start_ns = start_ns;
	b = bucket_of(t, pid);
	e->hash_next = *b;
	*b = e;
	list_add(&t->live, e);
	*ret_is_new = 1;
	return e;
}

static void exited_drop(struct proc_table *t)
{
	struct proc_entry *e = t->exited.first;

	if (e->unsure) {
		proc_table_is_sure(t, e);
		t->ghosts++;
	}
	list_del(&t->exited, e);
	entry_free(t, e);
}

void proc_table_end(struct proc_table *t, struct proc_entry *e, uint64_t exit_ns)
{
	if (e->p.exit_ns)
		return;
	list_del(&t->live, e);
	e->p.exit_ns = exit_ns ? exit_ns : 1;
	e->p.cpu_pct = 0;
	e->p.rss_bytes = e->p.rss_anon_bytes = 0;
	e->p.n_threads = 0;
	list_add(&t->exited, e);
	if (t->exited.n > PROC_EXITED_MAX)
		exited_drop(t);
}

void proc_table_end_unseen(struct proc_table *t, struct proc_entry *e, uint64_t exit_ns)
{
	e->unsure = 1;
	t->n_unsure++;
	proc_table_end(t, e, exit_ns);
}

void proc_table_is_sure(struct proc_table *t, struct proc_entry *e)
{
	t->n_unsure -= e->unsure != 0;
	e->unsure = 0;
}

void proc_table_judge(struct proc_table *t)
{
	struct proc_entry *e;

	for (e = t->exited.last; e && t->n_unsure; e = e->prev)
		if (e->unsure && e->unsure++ == PROC_JUDGED) {
			proc_table_is_sure(t, e);
			t->ghosts++;
		}
}

void proc_table_expire(struct proc_table *t, uint64_t now_ns)
{
	while (t->exited.first && t->exited.first->p.exit_ns + PROC_EXITED_NS <= now_ns)
		exited_drop(t);
}

void proc_entry_set_string(struct proc_table *t, struct proc_entry *e, const char *filename,
			   size_t filename_bytes, const char *args, size_t args_bytes)
{
	struct proc_string *f = proc_string_get(&t->strings, filename, filename_bytes);
	struct proc_string *a = proc_string_get(&t->strings, args, args_bytes);

	proc_string_unref(&t->strings, e->filename);
	proc_string_unref(&t->strings, e->args);
	e->filename = f;
	e->args = a;
	e->p.filename = f ? f->text : "";
	e->p.args = a ? a->text : "";
}

void proc_entry_inherit(struct proc_table *t, struct proc_entry *child,
			const struct proc_entry *parent)
{
	if (child->filename || child->args)
		return;
	(void)t; /* references only: no room is needed */
	child->filename = proc_string_ref(parent->filename);
	child->args = proc_string_ref(parent->args);
	child->p.filename = child->filename ? child->filename->text : "";
	child->p.args = child->args ? child->args->text : "";
}

void proc_entry_roll(struct proc_entry *e, uint64_t now_ns)
{
	uint64_t second = now_ns / 1000000000u, i;

	if (second <= e->fork_second || !e->p.forks) {
		if (second > e->fork_second)
			e->fork_second = second;
		return;
	}
	for (i = e->fork_second + 1; i <= second && i <= e->fork_second + PROC_FORK_BUCKETS; i++) {
		e->p.forks -= e->forks[i % PROC_FORK_BUCKETS];
		e->forks[i % PROC_FORK_BUCKETS] = 0;
	}
	e->fork_second = second;
}

void proc_entry_forked(struct proc_entry *e, uint64_t now_ns)
{
	proc_entry_roll(e, now_ns);
	e->forks[e->fork_second % PROC_FORK_BUCKETS]++;
	e->p.forks++;
	e->p.forks_total++;
}

const struct proc_entry *proc_entry_parent(const struct proc_table *t, const struct proc_entry *e)
{
	const struct proc_entry *parent = NULL;

	if (e->maker_pid && e->maker_start_ns)
		parent = proc_table_find(t, e->maker_pid, e->maker_start_ns);
	if (!parent && e->p.ppid && e->p.parent_start_ns)
		parent = proc_table_find(t, e->p.ppid, e->p.parent_start_ns);
	if (!parent && e->p.ppid && !e->p.parent_start_ns) {
		parent = proc_table_live(t, e->p.ppid);
		if (parent && parent->p.start_ns > e->p.start_ns)
			parent = NULL; /* a later process with the pid of the parent */
	}
	return parent == e ? NULL : parent;
}

const struct proc_entry *proc_entry_root(const struct proc_table *t, const struct proc_entry *e)
{
	const struct proc_entry *up;
	int depth;

	for (depth = 0; depth < PROC_DEPTH_MAX; depth++) {
		up = proc_entry_parent(t, e);
		if (!up || up->p.cgroup_id != e->p.cgroup_id)
			break;
		e = up;
	}
	return e;
}
