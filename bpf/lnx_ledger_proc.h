/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The shadow wait set, part three: who ran, and which process of it. */
#ifndef LNX_LEDGER_PROC_H
#define LNX_LEDGER_PROC_H

#include "lnx_ledger_wait.h"

#define LNX_PROC_KEEP_NS 2000000000ULL /* readers come every second */

/* First place of a process, in whatever slots it ran. */
LNX_FN __u32 lnx_ledger_proc_hash(__u32 tgid)
{
	_Static_assert(LNX_LEDGER_PROCS == 1 << 9, "bits that are left below");

	return tgid * 0x9e3779b1U >> (32 - 9);
}

LNX_FN struct lnx_ledger_proc *lnx_ledger_proc_place(struct lnx_ledger_cpu *c, __u32 at)
{
	struct lnx_ledger_proc *p = &c->procs[LNX_MASK(at, LNX_LEDGER_PROCS)];

	LNX_NEAR(p);
	return p;
}

/* Find or make the place of a process. Returns index, | 0x10000 if it is new, or -1 if full. */
LNX_SUB int lnx_ledger_proc(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			    __u32 tgid, __u32 handle, __u64 now)
{
	__u32 h = lnx_ledger_proc_hash(tgid), i, at, old = 0;
	__u64 old_ns = ~0ULL;

	if (!c || !tab)
		return -1;
	for (i = 0; i < LNX_LEDGER_PROBES; i++) {
		struct lnx_ledger_proc *p;

		at = (h + i) & (LNX_LEDGER_PROCS - 1);
		p = lnx_ledger_proc_place(c, at);
		if (p->tgid == tgid && p->handle == handle)
			return at;
		if (p->last_ns < old_ns) {
			old_ns = p->last_ns;
			old = at;
		}
	}
	/* What is older than that has been read. */
	if (old_ns && now - old_ns < LNX_PROC_KEEP_NS)
		return -1;
	at = LNX_BOUND(old, LNX_LEDGER_PROCS);
	c->procs[at].tgid = tgid;
	c->procs[at].handle = handle;
	c->procs[at].node_ns = 0;
	c->procs[at].caused_ns = 0;
	return at | 0x10000;
}

/* What the process that ran did goes to a new place. Returns its index, or -1. */
LNX_COLD int lnx_ledger_proc_new(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				 struct task_struct *prev, __u64 now)
{
	int at = lnx_ledger_proc(c, tab, c->cur_tgid, c->cur, now);

	if (at < 0) {
		c->count[LNX_LEDGER_N_PROC_FULL]++;
		return -1;
	}
	if (at & 0x10000)
		lnx_prim_describe(prev, lnx_ledger_proc_place(c, at));
	return at & (LNX_LEDGER_PROCS - 1);
}

LNX_FN void lnx_ledger_flush(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			     struct task_struct *prev, __u64 now)
{
	struct lnx_ledger_proc *p;
	int at;

	if (!c->proc_node_ns)
		return;
	if (c->cur_tgid) {
		at = lnx_ledger_proc_hash(c->cur_tgid);
		p = lnx_ledger_proc_place(c, at);
		if (LNX_RARE(p->tgid != c->cur_tgid || p->handle != c->cur)) {
			at = lnx_ledger_proc_new(c, tab, prev, now);
			p = lnx_ledger_proc_place(c, at);
		}
		if (at >= 0) {
			p->node_ns += c->proc_node_ns;
			p->caused_ns += c->proc_caused_ns;
			p->last_ns = now;
		}
	}
	c->proc_node_ns = 0;
	c->proc_caused_ns = 0;
}

/* What waited for its own slot, which runs, and was kept aside, goes to the sums. */
LNX_FN void lnx_ledger_own(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab, __u32 at)
{
	struct lnx_ledger_sum *s = &c->sum[LNX_BOUND(at, LNX_LEDGER_SLOTS)];

	if (!c->own_ns)
		return;
	if (tab->slot[LNX_BOUND(at, LNX_LEDGER_SLOTS)].handle == c->cur)
		s->self_ns += c->own_ns;
	else
		lnx_ledger_pair(c, tab, c->cur, c->cur, c->own_ns);
	s->wait_ns += c->own_ns;
	s->node_ns += c->own_ns;
	c->own_ns = 0;
}

/* The table's moves, and no_detail with them. Read before a slot is looked up: who changes the slots counts when it has. */
LNX_FN __u64 lnx_ledger_moves(const struct lnx_ledger_table *tab)
{
	return *(const volatile lnx_ledger_two *)&tab->moves;
}

LNX_FN int lnx_ledger_has_moved(const struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab)
{
	return *(const lnx_ledger_two *)&c->cur_moves != lnx_ledger_moves(tab);
}

/* The task that runs, in the slot of <handle>, has <set>. <cur_moves> is of before that was looked up. */
LNX_FN void lnx_ledger_know(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			    __u32 handle, __u64 set)
{
	__u32 slot = lnx_ledger_slot(handle);

	c->cur_set = set;
	c->cur_up = tab->slot[slot].up;
}

/* The slot that runs becomes <handle>. */
LNX_FN void lnx_ledger_run(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			   __u32 handle, __u64 now)
{
	__u32 at = lnx_ledger_index(tab, c->cur);

	if (c->n_wait)
		lnx_ledger_walk(c, tab, now);
	lnx_ledger_own(c, tab, at);
	c->sum[LNX_BOUND(at, LNX_LEDGER_SLOTS)].run_ns += lnx_ledger_span(c, c->since, now);
	c->since = now;
	c->cur = handle;
	lnx_ledger_mark(c, handle);
}

#endif
