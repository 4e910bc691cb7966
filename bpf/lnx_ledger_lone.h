/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The shadow wait set, part four: the short way. On most CPUs at most one task waits at a time. It lies in wait[0] with
 * its pid, and nothing else is written of it: no place by slot, no note in waiters[], no set above. Whoever finds more
 * than that to do settles it first, and goes the long way. */
#ifndef LNX_LEDGER_LONE_H
#define LNX_LEDGER_LONE_H

#include "lnx_ledger_proc.h"

/* The lone waiter becomes an entry like others. Call before anything else looks at wait[]. */
LNX_SUB int lnx_ledger_settle(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab)
{
	struct lnx_ledger_join j = { 0 };
	struct lnx_ledger_waiter *w;
	struct lnx_ledger_wait *e;
	__u32 slot, up;

	if (!c || !tab)
		return 0;
	e = &c->wait[0];
	slot = LNX_BOUND(LNX_LEDGER_SLOT(e->handle) & (LNX_LEDGER_SLOTS - 1), LNX_LEDGER_SLOTS);
	if (!++c->epoch)
		c->epoch = 1;
	e->epoch = c->epoch;
	c->sum[slot].pos = 1;
	lnx_ledger_mark(c, slot);
	/* Whatever is noted there is a leftover: nobody else waits. */
	w = lnx_ledger_place(c, e->pid);
	w->pid = e->pid;
	w->runs = e->runs;
	w->handle = e->handle;
	w->epoch = e->epoch;
	e->pid = 0;
	e->thr_base = 0;
	up = tab->slot[slot].up;
	if (up) {
		j.since = e->since;
		j.queue = e->queue;
		j.handle = e->handle;
		lnx_ledger_enter_up(c, tab, &j, up, e->since);
	}
	return 0;
}

LNX_FN void lnx_ledger_unlone(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab)
{
	if (c->n_wait && c->wait[0].pid)
		lnx_ledger_settle(c, tab);
}

/* <queue>: its cfs_rq, or 0. */
LNX_FN void lnx_ledger_lone_begin(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				  struct task_struct *p, __u32 handle, __u64 queue, __u64 now)
{
	struct lnx_ledger_wait *e = &c->wait[0];

	e->since = now;
	e->begin = now;
	e->queue = queue;
	e->thr_base = lnx_prim_set(p);
	e->handle = handle;
	e->up = 0;
	e->n = 1;
	e->epoch = tab->moves;
	e->thr = 0;
	e->is_up = 0;
	e->pid = lnx_prim_pid(p);
	e->runs = lnx_prim_runs(p);
	c->n_wait = 1;
}

/* The sets above the lone waiter waited as long as it did. */
LNX_SUB int lnx_ledger_lone_up(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			       __u32 up, __u64 ns)
{
	__u32 i, slot;

	if (!c || !tab)
		return 0;
	for (i = 0; up && i < LNX_LEDGER_UPS; i++) {
		slot = LNX_BOUND(LNX_LEDGER_SLOT(up) & (LNX_LEDGER_SLOTS - 1), LNX_LEDGER_SLOTS);
		lnx_ledger_mark(c, slot);
		lnx_ledger_pair(c, tab, up, c->cur, ns);
		c->sum[LNX_BOUND(lnx_ledger_index(tab, up), LNX_LEDGER_SLOTS)].wait_ns += ns;
		up = tab->slot[slot].up;
	}
	return 0;
}

/* It waited for another slot than its own. */
LNX_SUB int lnx_ledger_lone_pair(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				 __u64 ns)
{
	__u32 handle, at, cur;

	if (!c || !tab)
		return 0;
	handle = c->wait[0].handle;
	at = lnx_ledger_index(tab, handle);
	cur = lnx_ledger_index(tab, c->cur);
	lnx_ledger_mark(c, LNX_LEDGER_SLOT(handle) & (LNX_LEDGER_SLOTS - 1));
	lnx_ledger_pair(c, tab, handle, c->cur, ns);
	c->sum[LNX_BOUND(at, LNX_LEDGER_SLOTS)].wait_ns += ns;
	c->sum[LNX_BOUND(cur, LNX_LEDGER_SLOTS)].node_ns += ns;
	/* Kernel threads are not a workload that suffers. */
	if (LNX_LEDGER_SLOT(handle) != cur && handle != LNX_LEDGER_KERNEL)
		c->proc_caused_ns += ns;
	return 0;
}

/* The lone waiter waited for the slot that runs. */
LNX_FN void lnx_ledger_lone_end(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				__u64 ns)
{
	__u32 handle = c->wait[0].handle, slot, up;

	slot = LNX_BOUND(LNX_LEDGER_SLOT(handle) & (LNX_LEDGER_SLOTS - 1), LNX_LEDGER_SLOTS);
	up = tab->slot[slot].up;
	c->proc_node_ns += ns;
	if (handle == c->cur && tab->slot[slot].handle == handle) {
		struct lnx_ledger_sum *s = &c->sum[slot];

		s->node_ns += ns;
		s->self_ns += ns;
		s->wait_ns += ns;
	} else {
		lnx_ledger_lone_pair(c, tab, ns);
	}
	if (LNX_RARE(up))
		lnx_ledger_lone_up(c, tab, up, ns);
}

/* A wake-up where nobody waits. Returns 0 if it has to go the long way. */
LNX_FN int lnx_ledger_lone_wake(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab,
				struct task_struct *p, __u64 now)
{
	__u64 queue = 0;
	__u32 handle;

	if (c->n_wait || !c->since || lnx_prim_is_held(p, &queue))
		return 0;
	handle = lnx_prim_handle(tab, p);
	if (LNX_RARE(handle == LNX_LEDGER_OTHER))
		return 0;
	lnx_ledger_seq(c);
	lnx_ledger_lone_begin(c, tab, p, handle, queue, now);
	c->tick = now;
	lnx_ledger_seq(c);
	return 1;
}

/* A switch to the lone waiter, or while nobody waits. Returns 0 if it has to go the long way. <now> is not before
 * the last change here. */
LNX_FN int lnx_ledger_lone_switch(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab,
				  struct task_struct *prev, struct task_struct *next, __u64 now)
{
	__u32 n = c->n_wait, pid = lnx_prim_pid(next), tgid = lnx_prim_tgid(next), handle,
	      stays = 0, moves = tab->moves;
	struct lnx_ledger_wait *e = &c->wait[0];
	__u64 queue = 0;

	if (n && (n > 1 || !pid || e->pid != pid))
		return 0;
	if (c->cur_tgid && lnx_prim_runnable(prev)) {
		stays = c->cur;
		if (c->cur_set != lnx_prim_set(prev) || c->cur_moves != moves)
			stays = lnx_prim_handle(tab, prev);
		if (LNX_RARE(stays == LNX_LEDGER_OTHER) || lnx_prim_is_held(prev, &queue))
			return 0;
	}
	if (n && e->thr_base == lnx_prim_set(next) && e->epoch == moves)
		handle = e->handle;
	else
		handle = lnx_prim_handle(tab, next);
	lnx_ledger_seq(c);
	c->task = (__u64)next;
	c->cur_set = lnx_prim_set(next);
	c->cur_moves = moves;
	if (n)
		lnx_ledger_lone_end(c, tab, now - c->tick);
	else if (tgid)
		c->count[LNX_LEDGER_N_UNTRACKED]++;
	c->n_wait = 0;
	c->tick = now;
	if (tab->no_detail) {
		c->proc_node_ns = 0;
		c->proc_caused_ns = 0;
	}
	if (handle != c->cur || tgid != c->cur_tgid)
		lnx_ledger_flush(c, tab, prev, now);
	if (handle != c->cur)
		lnx_ledger_run(c, tab, handle, now);
	c->cur_tgid = tgid;
	if (stays)
		lnx_ledger_lone_begin(c, tab, prev, stays, queue, now);
	lnx_ledger_seq(c);
	return 1;
}

#endif
