/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The shadow wait set, part four: the short way. On most CPUs at most one task waits at a time. It lies in lone*, waits since
 * the last change here, and nothing else is written of it: no entry, no note in waiters[], no set above. Whoever finds more
 * than that to do settles it first, and goes the long way. The short way charges what was waited, if all that it adds to
 * is in place, and then changes who runs. It calls for nothing but a process that is not in its first place: calls would cost
 * it the registers. */
#ifndef LNX_LEDGER_LONE_H
#define LNX_LEDGER_LONE_H

#include "lnx_ledger_proc.h"

/* The lone waiter becomes an entry like others. */
LNX_SUB int lnx_ledger_settle(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab)
{
	struct lnx_ledger_join j = { 0 };
	struct lnx_ledger_waiter *w;

	if (!c || !tab)
		return 0;
	j.since = c->tick;
	j.queue = c->lone_queue;
	j.handle = c->lone_handle;
	/* Whatever is noted there is a leftover: nobody else waits. */
	w = lnx_ledger_place(c, c->lone);
	w->pid = c->lone;
	w->runs = c->lone_runs;
	w->epoch = lnx_ledger_enter(c, tab, &j, j.since);
	w->handle = j.handle;
	return 0;
}

/* Call before anything looks at wait[]. */
LNX_FN void lnx_ledger_unlone(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab)
{
	if (c->lone && c->lone != LNX_LEDGER_MANY)
		lnx_ledger_settle(c, tab);
}

/* Is <pid> the one that waits here (0: does nobody wait), and no mail has come? */
LNX_FN int lnx_ledger_is_lone(const struct lnx_ledger_cpu *c, __u32 pid)
{
	return *(const volatile lnx_ledger_two *)&c->lone == LNX_TWO(pid, 0); /* mail_new */
}

/* <set> is that of <p>, <queue> too. */
LNX_FN void lnx_ledger_lone_begin(struct lnx_ledger_cpu *c, struct task_struct *p, __u32 handle,
				  __u64 set, __u64 queue)
{
	c->lone_set = set;
	c->lone_queue = queue;
	*(lnx_ledger_two *)&c->lone_handle = LNX_TWO(handle, lnx_prim_runs(p));
	c->lone = lnx_prim_pid(p);
}

/* A wake-up where nobody waits. Returns 0 if it has to go the long way. */
LNX_FN int lnx_ledger_lone_wake(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab,
				struct task_struct *p, __u64 now)
{
	__u32 handle = c->cur;
	__u64 set = lnx_prim_set(p), queue;

	if (!lnx_ledger_is_lone(c, 0) || lnx_ledger_has_moved(c, tab) ||
	    !lnx_prim_free_queue(p, &queue))
		return 0;
	/* Of the same cgroups as the task that runs: the same slot. It keeps them alive unless it was moved since it got the
	 * CPU, and that counts as a move of the table; but for what on_attach() of sched.bpf.c does not see. */
	if (c->cur_set != set || handle < LNX_LEDGER_FIRST || lnx_prim_is_kernel(p))
		handle = lnx_prim_known(tab, p);
	if (LNX_RARE(handle == LNX_LEDGER_OTHER))
		return 0;
	lnx_ledger_seq(c);
	lnx_ledger_lone_begin(c, p, handle, set, queue);
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
	if (handle != LNX_LEDGER_KERNEL && !c->cur_no_detail)
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
	if (!c->cur_no_detail)
		c->proc_node_ns += ns;
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
	lnx_ledger_mark(c, handle);
}

/* A switch to the lone waiter, or to nobody while nobody waits. Returns 0, before any change, if it has to go
 * the long way. <now> is not before the last change here. */
LNX_FN int lnx_ledger_lone_switch(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab,
				  struct task_struct *prev, struct task_struct *next, __u64 now)
{
	__u32 handle = LNX_LEDGER_IDLE, pid = lnx_prim_pid(next), tgid;
	__u64 set = lnx_prim_set(next), queue = 0;
	__u32 stays = 0;

	if (!lnx_ledger_is_lone(c, pid) || c->task != (__u64)prev || lnx_ledger_has_moved(c, tab))
		return 0;
	if (pid) {
		if (c->lone_set != set)
			return 0;
		handle = c->lone_handle;
	}
	if (handle != c->cur && !lnx_ledger_is_held(tab, c->cur))
		return 0;
	if (lnx_prim_runnable(prev) && c->cur_tgid) {
		stays = c->cur;
		if (c->cur_set != lnx_prim_set(prev) || stays == LNX_LEDGER_OTHER ||
		    !lnx_prim_free_queue(prev, &queue))
			return 0;
	}
	if (!pid)
		lnx_ledger_seq(c);
	else if (!lnx_ledger_lone_charge(c, tab, handle, now - c->tick))
		return 0;
	c->tick = now;
	if (stays)
		lnx_ledger_lone_begin(c, prev, stays, c->cur_set, queue);
	else
		c->lone = 0;
	c->task = (__u64)next;
	c->cur_set = set;
	tgid = lnx_prim_tgid(next);
	if (tgid != c->cur_tgid || handle != c->cur) {
		lnx_ledger_flush(c, tab, prev, now);
		if (handle != c->cur)
			lnx_ledger_lone_run(c, handle, now);
		c->cur_tgid = tgid;
	}
	lnx_ledger_seq(c);
	return 1;
}

#endif
