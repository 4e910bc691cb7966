/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The shadow wait set, part four: the short way. On most CPUs at most one task waits at a time. It lies in wait[0] with
 * its pid, and nothing else is written of it: no place by slot, no note in waiters[], no set above. Whoever finds more
 * than that to do settles it first, and goes the long way. The short way looks whether all that it adds to is in place
 * before it changes anything, and calls nothing: calls would cost it the registers. */
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
	e->runs = 0;
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

/* Two members of 32 bits in one store. */
typedef __u64 __attribute__((may_alias)) lnx_ledger_two;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LNX_TWO(first, second) ((__u64)(second) << 32 | (__u32)(first))
#else
#define LNX_TWO(first, second) ((__u64)(first) << 32 | (__u32)(second))
#endif

/* <set> is that of <p>; <queue> its cfs_rq, or 0. */
LNX_FN void lnx_ledger_lone_begin(struct lnx_ledger_cpu *c, struct task_struct *p, __u32 handle,
				  __u64 set, __u32 moves, __u64 queue, __u64 now)
{
	struct lnx_ledger_wait *e = &c->wait[0];

	e->since = now;
	e->begin = now;
	e->queue = queue;
	e->thr_base = set;
	*(lnx_ledger_two *)&e->handle = LNX_TWO(handle, 0); /* up */
	*(lnx_ledger_two *)&e->n = LNX_TWO(1, moves);	    /* epoch */
	*(lnx_ledger_two *)&e->thr = 0;			    /* is_up */
	*(lnx_ledger_two *)&e->pid = LNX_TWO(lnx_prim_pid(p), lnx_prim_runs(p));
	c->n_wait = 1;
}

/* A wake-up where nobody waits. Returns 0 if it has to go the long way. */
LNX_FN int lnx_ledger_lone_wake(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab,
				struct task_struct *p, __u64 now)
{
	__u32 handle = c->cur, moves = lnx_ledger_moves(tab);
	__u64 queue = 0, set = lnx_prim_set(p);

	if (c->n_wait || !c->since || lnx_prim_is_held(p, &queue))
		return 0;
	/* Of the same cgroups as the task that runs: the same slot. It keeps them alive unless it was moved since it got the
	 * CPU, and that counts as a move of the table. */
	if (c->cur_set != set || c->cur_moves != moves || handle < LNX_LEDGER_FIRST ||
	    lnx_prim_is_kernel(p))
		handle = lnx_prim_known(tab, p);
	if (LNX_RARE(handle == LNX_LEDGER_OTHER))
		return 0;
	lnx_ledger_seq(c);
	lnx_ledger_lone_begin(c, p, handle, set, moves, queue, now);
	c->tick = now;
	lnx_ledger_seq(c);
	return 1;
}

/* What a switch adds to. */
struct lnx_ledger_lone {
	struct lnx_ledger_pair *pair; /* NULL: nobody waited, or for its own slot */
	struct lnx_ledger_proc *proc; /* NULL: nothing to tell of the process that ran */
	__u64 ns;		      /* the waiter waited */
	__u64 node_ns, caused_ns;     /* of that process, <ns> included */
	__u32 handle;		      /* of the slot that will run */
	__u32 is_other;		      /* than the one that runs */
};

/* The waiter and the slot that runs are two. Returns 0 if it has to go the long way. */
LNX_FN int lnx_ledger_lone_other(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				 struct lnx_ledger_lone *o, __u32 n)
{
	__u32 cur = LNX_BOUND(LNX_LEDGER_SLOT(c->cur) & (LNX_LEDGER_SLOTS - 1), LNX_LEDGER_SLOTS);
	__u32 slot =
		LNX_BOUND(LNX_LEDGER_SLOT(o->handle) & (LNX_LEDGER_SLOTS - 1), LNX_LEDGER_SLOTS);

	if (tab->slot[cur].handle != c->cur)
		return 0;
	if (!n)
		return 1;
	if (tab->slot[slot].handle != o->handle || tab->slot[slot].up)
		return 0;
	o->pair = lnx_ledger_pair_place(c, lnx_ledger_pair_hash(o->handle, c->cur));
	if (o->pair->victim != o->handle || o->pair->culprit != c->cur)
		return 0;
	/* Kernel threads are not a workload that suffers. */
	if (o->handle != LNX_LEDGER_KERNEL)
		o->caused_ns += o->ns;
	return 1;
}

/* Look at what is to be added to. Returns 0 if it has to go the long way. */
LNX_FN int lnx_ledger_lone_look(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				struct lnx_ledger_lone *o, __u32 n, __u32 tgid)
{
	o->is_other = o->handle != c->cur;
	o->node_ns = c->proc_node_ns + o->ns;
	o->caused_ns = c->proc_caused_ns;
	if (o->is_other ? !lnx_ledger_lone_other(c, tab, o, n) : n && c->cur_up)
		return 0;
	if (tab->no_detail) {
		o->node_ns = 0;
		o->caused_ns = 0;
	}
	if (!o->is_other && tgid == c->cur_tgid)
		return 1;
	if (o->node_ns && c->cur_tgid) {
		o->proc = lnx_ledger_proc_place(c, lnx_ledger_proc_hash(c->cur_tgid, c->cur));
		if (o->proc->tgid != c->cur_tgid || o->proc->handle != c->cur)
			return 0;
	}
	return 1;
}

/* Another slot runs. */
LNX_FN void lnx_ledger_lone_run(struct lnx_ledger_cpu *c, const struct lnx_ledger_lone *o,
				__u64 now)
{
	struct lnx_ledger_sum *s = &c->sum[LNX_BOUND(
		LNX_LEDGER_SLOT(c->cur) & (LNX_LEDGER_SLOTS - 1), LNX_LEDGER_SLOTS)];
	__u32 slot =
		LNX_BOUND(LNX_LEDGER_SLOT(o->handle) & (LNX_LEDGER_SLOTS - 1), LNX_LEDGER_SLOTS);

	s->run_ns += now - c->since;
	s->self_ns += c->own_ns;
	s->wait_ns += c->own_ns;
	s->node_ns += c->own_ns + o->ns;
	if (o->pair) {
		o->pair->ns += o->ns;
		o->pair->count++;
		c->sum[slot].wait_ns += o->ns;
	}
	c->own_ns = 0;
	c->since = now;
	c->cur = o->handle;
	c->cur_up = 0;
	lnx_ledger_mark(c, slot);
}

/* A switch to the lone waiter, or to nobody while nobody waits. Returns 0 if it has to go the long way. <now> is not
 * before the last change here. */
LNX_FN int lnx_ledger_lone_switch(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab,
				  struct task_struct *prev, struct task_struct *next, __u64 now)
{
	__u32 n = c->n_wait, pid = lnx_prim_pid(next), tgid = lnx_prim_tgid(next), stays = 0,
	      moves = lnx_ledger_moves(tab);
	__u64 queue = 0, set = lnx_prim_set(next), prev_set = 0;
	struct lnx_ledger_wait *e = &c->wait[0];
	struct lnx_ledger_lone o = { 0 }; /* handle: IDLE */

	if (n != !!pid || c->cur_moves != moves)
		return 0;
	if (n) {
		if (e->pid != pid || e->thr_base != set || e->epoch != moves)
			return 0;
		o.handle = e->handle;
		o.ns = now - c->tick;
	}
	if (c->cur_tgid && lnx_prim_runnable(prev)) {
		stays = c->cur;
		prev_set = lnx_prim_set(prev);
		if (c->cur_set != prev_set || stays == LNX_LEDGER_OTHER ||
		    lnx_prim_is_held(prev, &queue))
			return 0;
	}
	if (!lnx_ledger_lone_look(c, tab, &o, n, tgid))
		return 0;
	lnx_ledger_seq(c);
	if (o.proc) {
		o.proc->node_ns += o.node_ns;
		o.proc->caused_ns += o.caused_ns;
		o.proc->last_ns = now;
	}
	if (o.is_other || tgid != c->cur_tgid) {
		o.node_ns = 0;
		o.caused_ns = 0;
	}
	c->proc_node_ns = o.node_ns;
	c->proc_caused_ns = o.caused_ns;
	if (o.is_other)
		lnx_ledger_lone_run(c, &o, now);
	else
		c->own_ns += o.ns;
	c->task = (__u64)next;
	c->cur_set = set;
	c->cur_tgid = tgid;
	c->tick = now;
	c->n_wait = 0;
	if (stays)
		lnx_ledger_lone_begin(c, prev, stays, prev_set, moves, queue, now);
	lnx_ledger_seq(c);
	return 1;
}

#endif
