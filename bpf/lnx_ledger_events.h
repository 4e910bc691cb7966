/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The shadow wait set, part five: what each scheduler event does to it. */
#ifndef LNX_LEDGER_EVENTS_H
#define LNX_LEDGER_EVENTS_H

#include "lnx_ledger_lone.h"

#define LNX_MAIL_NS 10000000ULL /* mail may be here that long before its task is in the queue */

/* Mark the entries that a throttle just caught; all were charged up to now. */
LNX_SUB int lnx_ledger_caught(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			      __u32 thr, __u64 now)
{
	__u32 i;

	if (!c || !tab)
		return 0;
	for (i = 0; i < LNX_LEDGER_WAITS; i++) {
		struct lnx_ledger_queue q = { 0 };
		struct lnx_ledger_wait *e = &c->wait[i];

		if (i >= c->n_wait)
			break;
		if (e->thr || !e->queue || lnx_prim_queue(e->queue, &q) || !q.throttled)
			continue;
		lnx_ledger_charge(c, tab, i, now);
		lnx_ledger_throttle(c, e, e->queue, q.total_ns, thr);
	}
	return 0;
}

/* Whoever waits in entry <at> - 1 is a leftover. */
LNX_FN void lnx_ledger_left_over(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				 __u32 at, __u64 now)
{
	__u32 i = LNX_MASK(at - 1, LNX_LEDGER_WAITS);

	c->count[LNX_LEDGER_N_HEALED]++;
	c->n_spill -= c->wait[i].n_spill;
	lnx_ledger_close(c, tab, i + 1, now);
}

LNX_SUB int lnx_ledger_heal_one(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				__u32 at, __u64 now)
{
	struct lnx_ledger_queue q = { 0 };
	struct lnx_ledger_wait *e;

	if (!c || !tab)
		return 0;
	e = &c->wait[LNX_MASK(at - 1, LNX_LEDGER_WAITS)];
	/* It may have been throttled without passing by a switch that we saw. */
	if (e->queue && !lnx_prim_queue(e->queue, &q) && q.throttled) {
		lnx_ledger_throttle(c, e, e->queue, q.total_ns, LNX_LEDGER_THROTTLED);
		return 0;
	}
	lnx_ledger_left_over(c, tab, at, now);
	return 0;
}

/* Nobody can wait here: whoever does and is not throttled is a leftover of a lost event. */
LNX_SUB int lnx_ledger_heal(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab, __u64 now)
{
	__u32 i;

	if (!c || !tab)
		return 0;
	for (i = LNX_LEDGER_WAITS; i > 0; i--)
		if (i <= c->n_wait && !c->wait[LNX_MASK(i - 1, LNX_LEDGER_WAITS)].thr)
			lnx_ledger_heal_one(c, tab, i, now);
	return 0;
}

/* Nobody of <handle> can wait any more: who does is a leftover. */
LNX_SUB int lnx_ledger_drop(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			    __u32 handle, __u64 now)
{
	const struct lnx_ledger_wait *e;
	__u32 at, up;

	if (!c || !tab)
		return 0;
	at = c->sum[lnx_ledger_slot(handle)].pos;
	e = &c->wait[LNX_MASK(at - 1, LNX_LEDGER_WAITS)];
	if (!at || e->handle != handle)
		return 0;
	up = e->up;
	lnx_ledger_left_over(c, tab, at, now);
	lnx_ledger_leave_up(c, tab, up, now);
	return 0;
}

/* A switch was missed: <prev> got the CPU without our seeing it. Replay it at the time it did. */
LNX_COLD int lnx_ledger_missed(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab,
			       struct task_struct *prev, __u64 now)
{
	__u32 handle = lnx_prim_handle(tab, prev), note;
	__u64 at = lnx_prim_arrival(prev, now);

	c->count[LNX_LEDGER_N_LOST]++;
	if (at < c->since)
		at = c->since;
	if (at > now)
		at = now;
	lnx_ledger_tick(c, tab, at > c->tick ? at : c->tick);
	lnx_ledger_flush(c, tab, (struct task_struct *)0, at);
	lnx_ledger_run(c, tab, handle, at);
	c->cur_tgid = lnx_prim_tgid(prev);
	note = c->cur_tgid ? lnx_ledger_find(c, prev) : LNX_NOTE_NONE;
	if (!note && c->cur_tgid)
		note = lnx_ledger_find_gone(c, tab, handle);
	if (note)
		lnx_ledger_end(c, tab, prev, note, handle, at);
	return 0;
}

LNX_COLD int lnx_ledger_start(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab,
			      struct task_struct *prev, __u64 now)
{
	lnx_ledger_own(c, tab, lnx_ledger_index(tab, c->cur));
	c->since = now;
	c->tick = now;
	c->cur = lnx_prim_handle(tab, prev);
	c->cur_tgid = lnx_prim_tgid(prev);
	c->task = (__u64)prev;
	lnx_ledger_mark(c, c->cur);
	return 0;
}

/* The part of a switch that changes the ledger. <j>.handle is 0 if <prev> does not stay runnable; <note> is that of
 * <next>'s wait. */
LNX_FN void lnx_ledger_change(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab,
			      struct task_struct *prev, struct lnx_ledger_join *j,
			      struct task_struct *next, __u32 note, __u32 handle, __u32 tgid,
			      __u64 now)
{
	lnx_ledger_tick(c, tab, now);
	if (handle != c->cur || tgid != c->cur_tgid)
		lnx_ledger_flush(c, tab, prev, now);
	if (handle != c->cur)
		lnx_ledger_run(c, tab, handle, now);
	c->cur_tgid = tgid;
	if (j->handle)
		lnx_ledger_begin(c, tab, prev, j, now);
	if (note == LNX_NOTE_PLACE) {
		struct lnx_ledger_waiter *w = lnx_ledger_place(c, lnx_prim_pid(next));

		w->pid = 0;
		lnx_ledger_leave(c, tab, w->handle, w->epoch, now);
	} else if (LNX_RARE(note)) {
		lnx_ledger_end_spilled(c, tab, next, note, handle, now);
	}
	if (c->n_wait > c->n_up + c->n_thr) {
		if (j->thr)
			lnx_ledger_caught(c, tab, j->thr, now);
		else if (!j->handle && lnx_prim_is_throttled(prev))
			lnx_ledger_caught(c, tab, LNX_LEDGER_THROTTLED, now);
		if (!tgid || LNX_RARE(now - c->mail_ns > LNX_MAIL_NS && lnx_prim_is_alone(next)))
			lnx_ledger_heal(c, tab, now);
		else if (LNX_RARE(tab->gone))
			lnx_ledger_drop(c, tab, tab->gone, now);
	}
	if (!c->n_wait)
		c->n_spill = 0;
}

/* One thread of a process takes over from another: who waits does not change. Returns 0 if it does. */
LNX_FN int lnx_ledger_take_over(struct lnx_ledger_cpu *c, struct task_struct *prev, __u32 next_pid,
				__u32 handle)
{
	__u32 pid = lnx_prim_pid(prev), epoch;
	struct lnx_ledger_waiter *from = lnx_ledger_place(c, next_pid),
				 *to = lnx_ledger_place(c, pid);

	if (from->handle != handle || (to->pid && to != from))
		return 0;
	epoch = from->epoch;
	from->pid = 0;
	to->pid = pid;
	to->runs = lnx_prim_runs(prev);
	to->handle = handle;
	to->epoch = epoch;
	return 1;
}

/* A switch, the long way. */
LNX_COLD int lnx_ledger_long_switch(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab,
				    struct task_struct *prev, struct task_struct *next, __u64 now)
{
	__u32 handle, tgid = lnx_prim_tgid(next), note = 0;
	struct lnx_ledger_join j = { 0 };

	*(lnx_ledger_two *)&c->cur_moves = lnx_ledger_moves(tab); /* before the look-up */
	handle = lnx_prim_handle(tab, next);
	lnx_ledger_seq(c);
	if (LNX_RARE(!c->since))
		lnx_ledger_start(c, tab, prev, now);
	lnx_ledger_unlone(c, tab);
	if (c->mail_new)
		lnx_ledger_drain(c, tab, now);
	if (LNX_RARE(c->task != (__u64)prev))
		lnx_ledger_missed(c, tab, prev, now);
	lnx_ledger_seq(c);
	c->task = (__u64)next;
	lnx_ledger_know(c, tab, handle, lnx_prim_set(next));
	if (tgid) {
		note = lnx_ledger_find(c, next);
		if (LNX_RARE(!note))
			note = lnx_ledger_find_gone(c, tab, handle);
		if (LNX_RARE(!note))
			c->count[LNX_LEDGER_N_UNTRACKED]++;
	}
	if (c->cur_tgid && lnx_prim_runnable(prev)) {
		j.handle = lnx_prim_handle(tab, prev);
		j.since = now;
		lnx_prim_join(tab, prev, &j);
	}
	/* Without detail the processes of a cgroup are one. */
	if (c->cur_no_detail && tgid && c->cur_tgid) {
		c->cur_tgid = tgid;
		c->proc_node_ns = 0;
		c->proc_caused_ns = 0;
	}
	if (handle == c->cur && tgid == c->cur_tgid) {
		if (!j.handle && !note)
			return 0;
		if (note == LNX_NOTE_PLACE && !j.thr &&
		    lnx_ledger_take_over(c, prev, lnx_prim_pid(next), j.handle))
			return 0;
	}
	lnx_ledger_seq(c);
	lnx_ledger_change(c, tab, prev, &j, next, note, handle, tgid, now);
	lnx_ledger_seq(c);
	return 0;
}

LNX_FN void lnx_ledger_on_switch(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab,
				 struct task_struct *prev, struct task_struct *next, __u64 now)
{
	if (!lnx_ledger_lone_switch(c, tab, prev, next, now))
		lnx_ledger_long_switch(c, tab, prev, next, now);
}

/* A wake-up, the long way. */
LNX_COLD int lnx_ledger_long_wake(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab,
				  struct task_struct *p, __u64 now)
{
	struct lnx_ledger_join j = { 0 };
	__u32 note;

	if (!c->since)
		return 0; /* no switch seen yet: nobody to blame */
	lnx_ledger_seq(c);
	lnx_ledger_unlone(c, tab);
	if (c->mail_new)
		lnx_ledger_drain(c, tab, now);
	lnx_ledger_seq(c);
	note = lnx_ledger_find(c, p);
	if (LNX_RARE(note) && lnx_ledger_runs(c, p, note) == lnx_prim_runs(p)) {
		c->count[LNX_LEDGER_N_DUP_WAKE]++;
		return 0;
	}
	j.handle = lnx_prim_handle(tab, p);
	j.since = now;
	lnx_prim_join(tab, p, &j);
	lnx_ledger_seq(c);
	lnx_ledger_tick(c, tab, now);
	if (LNX_RARE(note)) {
		c->count[LNX_LEDGER_N_STALE_WAKE]++;
		lnx_ledger_end(c, tab, p, note, j.handle, now);
	}
	lnx_ledger_begin(c, tab, p, &j, now);
	lnx_ledger_seq(c);
	return 0;
}

LNX_FN void lnx_ledger_on_wake(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab,
			       struct task_struct *p, __u64 now)
{
	if (!lnx_ledger_lone_wake(c, tab, p, now))
		lnx_ledger_long_wake(c, tab, p, now);
}

/* A queued task leaves <c> for CPU <to>, whose state is <dst> and where <queue> will be its cfs_rq. */
LNX_FN void lnx_ledger_on_migrate(struct lnx_ledger_cpu *c, struct lnx_ledger_cpu *dst,
				  struct lnx_ledger_table *tab, __u32 to, struct task_struct *p,
				  __u64 queue, __u64 now)
{
	__u32 handle = 0, note;

	lnx_ledger_seq(c);
	lnx_ledger_unlone(c, tab);
	if (c->mail_new)
		lnx_ledger_drain(c, tab, now);
	lnx_ledger_seq(c);
	note = lnx_ledger_find(c, p);
	if (LNX_RARE(note != LNX_NOTE_PLACE && c->n_spill))
		handle = lnx_prim_handle(tab, p);
	if (LNX_RARE(!note && handle) && !lnx_prim_is_delayed(p))
		note = lnx_ledger_find_gone(c, tab, handle);
	if (!note)
		return;
	c->count[LNX_LEDGER_N_MIGRATED]++;
	lnx_ledger_seq(c);
	lnx_ledger_tick(c, tab, now);
	handle = lnx_ledger_end(c, tab, p, note, handle, now);
	lnx_ledger_seq(c);
	if (LNX_RARE(!handle))
		return; /* its slot is another now */
	lnx_ledger_store(c, p, to, handle, 0);
	if (!lnx_ledger_send(dst, handle, queue, now)) {
		c->count[LNX_LEDGER_N_MAIL_FULL]++;
		lnx_prim_task_drop(p);
	}
}

#endif
