/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The shadow wait set, part four: the short way. On most CPUs at most one task waits at a time. It lies in wait[0] with
 * its pid, and nothing else is written of it: no place by slot, no note in waiters[], no set above. Whoever finds more
 * than that to do settles it first, and goes the long way. The short way charges what was waited, if all that it adds to
 * is in place, and then changes who runs, if it can; it calls nothing: calls would cost it the registers. */
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
	slot = lnx_ledger_slot(e->handle);
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

/* <set> is that of <p>. */
LNX_FN void lnx_ledger_lone_begin(struct lnx_ledger_cpu *c, struct task_struct *p, __u32 handle,
				  __u64 set, __u32 moves, __u64 now)
{
	struct lnx_ledger_wait *e = &c->wait[0];

	e->since = now;
	e->begin = now;
	e->queue = lnx_prim_queue_of(p);
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
	__u64 set = lnx_prim_set(p);

	if (c->n_wait || !c->since || lnx_prim_is_throttled(p))
		return 0;
	/* Of the same cgroups as the task that runs: the same slot. It keeps them alive unless it was moved since it got the
	 * CPU, and that counts as a move of the table; but for what on_attach() of sched.bpf.c does not see. */
	if (c->cur_set != set || c->cur_moves != moves || handle < LNX_LEDGER_FIRST ||
	    lnx_prim_is_kernel(p))
		handle = lnx_prim_known(tab, p);
	if (LNX_RARE(handle == LNX_LEDGER_OTHER))
		return 0;
	lnx_ledger_seq(c);
	lnx_ledger_lone_begin(c, p, handle, set, moves, now);
	c->tick = now;
	lnx_ledger_seq(c);
	return 1;
}

/* Of the slot that runs, which holds its place. */
LNX_FN struct lnx_ledger_sum *lnx_ledger_lone_sum(struct lnx_ledger_cpu *c)
{
	__u32 cur = lnx_ledger_slot(c->cur);
	struct lnx_ledger_sum *s = &c->sum[cur];

	LNX_NEAR(s);
	return s;
}

/* The lone waiter waited <ns> for another slot, which runs. Returns 0, before any change, if that has to go the long
 * way. */
LNX_FN int lnx_ledger_lone_pair(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				__u32 handle, __u64 ns)
{
	__u32 slot = lnx_ledger_slot(handle);
	struct lnx_ledger_pair *pair =
		lnx_ledger_pair_place(c, lnx_ledger_pair_hash(handle, c->cur));

	if (tab->slot[slot].handle != handle || tab->slot[slot].up || pair->victim != handle ||
	    pair->culprit != c->cur)
		return 0;
	lnx_ledger_seq(c);
	pair->ns += ns;
	pair->count++;
	c->sum[slot].wait_ns += ns;
	lnx_ledger_lone_sum(c)->node_ns += ns;
	/* Kernel threads are not a workload that suffers. */
	if (handle != LNX_LEDGER_KERNEL && !tab->no_detail)
		c->proc_caused_ns += ns;
	return 1;
}

/* The lone waiter waited <ns>. Returns 0, before any change, if that has to go the long way; else the state is being
 * changed. */
LNX_FN int lnx_ledger_lone_charge(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				  __u32 handle, __u64 ns)
{
	if (handle != c->cur) {
		if (!lnx_ledger_lone_pair(c, tab, handle, ns))
			return 0;
	} else {
		if (c->cur_up)
			return 0;
		lnx_ledger_seq(c);
		c->own_ns += ns;
	}
	if (!tab->no_detail)
		c->proc_node_ns += ns;
	return 1;
}

/* Another process runs. Returns 0, before any change, if there is no place to note what the one before it did. */
LNX_FN int lnx_ledger_lone_flush(struct lnx_ledger_cpu *c, __u64 now)
{
	struct lnx_ledger_proc *p;

	if (c->proc_node_ns && c->cur_tgid) {
		p = lnx_ledger_proc_place(c, lnx_ledger_proc_hash(c->cur_tgid, c->cur));
		if (p->tgid != c->cur_tgid || p->handle != c->cur)
			return 0;
		p->node_ns += c->proc_node_ns;
		p->caused_ns += c->proc_caused_ns;
		p->last_ns = now;
	}
	c->proc_node_ns = 0;
	c->proc_caused_ns = 0;
	return 1;
}

/* Another slot runs. */
LNX_FN void lnx_ledger_lone_run(struct lnx_ledger_cpu *c, __u32 handle, __u64 now)
{
	struct lnx_ledger_sum *s = lnx_ledger_lone_sum(c);

	s->run_ns += now - c->since;
	s->self_ns += c->own_ns;
	s->wait_ns += c->own_ns;
	s->node_ns += c->own_ns;
	c->own_ns = 0;
	c->since = now;
	c->cur = handle;
	c->cur_up = 0;
	lnx_ledger_mark(c, LNX_LEDGER_SLOT(handle) & (LNX_LEDGER_SLOTS - 1));
}

/* Another process runs, or another slot. Returns 0, before any change, if it has to go the long way. */
LNX_FN int lnx_ledger_lone_change(struct lnx_ledger_cpu *c, __u32 handle, __u32 tgid, __u64 now)
{
	if (handle == c->cur)
		return tgid == c->cur_tgid || lnx_ledger_lone_flush(c, now);
	if (!lnx_ledger_lone_flush(c, now))
		return 0;
	lnx_ledger_lone_run(c, handle, now);
	return 1;
}

/* A switch to the lone waiter, or to nobody while nobody waits. Returns 0 if it has to go the long way, with what was
 * waited up to <now> charged or with nothing changed. <now> is not before the last change here. */
LNX_FN int lnx_ledger_lone_switch(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab,
				  struct task_struct *prev, struct task_struct *next, __u64 now)
{
	__u32 handle = LNX_LEDGER_IDLE, n = c->n_wait, pid = lnx_prim_pid(next), stays = 0;
	__u64 set = lnx_prim_set(next);
	struct lnx_ledger_wait *e = &c->wait[0];

	if (n != !!pid || c->cur_moves != lnx_ledger_moves(tab))
		return 0;
	if (n) {
		if (e->pid != pid || e->thr_base != set || e->epoch != c->cur_moves)
			return 0;
		handle = e->handle;
	}
	if (handle != c->cur && !lnx_ledger_is_held(tab, c->cur))
		return 0;
	if (c->cur_tgid && lnx_prim_runnable(prev)) {
		stays = c->cur;
		if (c->cur_set != lnx_prim_set(prev) || stays == LNX_LEDGER_OTHER ||
		    lnx_prim_is_throttled(prev))
			return 0;
	}
	if (!n)
		lnx_ledger_seq(c);
	else if (!lnx_ledger_lone_charge(c, tab, handle, now - c->tick))
		return 0;
	c->tick = now;
	if (!lnx_ledger_lone_change(c, handle, lnx_prim_tgid(next), now)) {
		e->since = now;
		e->begin = now;
		lnx_ledger_seq(c);
		return 0;
	}
	c->n_wait = 0;
	if (stays)
		lnx_ledger_lone_begin(c, prev, stays, c->cur_set, c->cur_moves, now);
	c->task = (__u64)next;
	c->cur_set = set;
	c->cur_tgid = lnx_prim_tgid(next);
	lnx_ledger_seq(c);
	return 1;
}

#endif
