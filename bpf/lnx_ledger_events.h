/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The shadow wait set, part two: what each scheduler event does to it.
 *
 * Besides what lnx_ledger.h asks for, the includer defines struct task_struct and the lnx_prim_*
 * functions declared here. */
#ifndef LNX_LEDGER_EVENTS_H
#define LNX_LEDGER_EVENTS_H

#include "lnx_ledger.h"

#define LNX_MAIL_BUSY	 1ULL
#define LNX_PROC_KEEP_NS 2000000000ULL /* readers come every second */

/* Task storage, NULL if there is none. */
static struct lnx_ledger_task *lnx_prim_task(struct task_struct *p);
/* Handle of the slot <p> belongs to; IDLE for the idle task. */
static __u32 lnx_prim_handle(struct lnx_ledger_table *tab, struct task_struct *p);
static __u32 lnx_prim_tgid(struct task_struct *p); /* 0 for the idle task */
static __u32 lnx_prim_runs(struct task_struct *p);
/* Still runnable at the switch that takes the CPU from it. */
static int lnx_prim_runnable(struct task_struct *p);
/* When it got the CPU, 0 unknown. */
static __u64 lnx_prim_arrival(struct task_struct *p, __u64 now);
/* Fill queue, thr and thr_base; <tab> learns the owner of the quota. */
static void lnx_prim_join(struct lnx_ledger_table *tab, struct task_struct *p,
			  struct lnx_ledger_join *j);
static int lnx_prim_is_throttled(struct task_struct *p);
/* Fill comm and start_ns. */
static void lnx_prim_describe(struct task_struct *p, struct lnx_ledger_proc *d);

/* lnx_ledger_enter_one() where speed matters less than the length of the program. */
LNX_SUB int lnx_ledger_join_one(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				const struct lnx_ledger_join *j, __u32 is_up, __u64 now)
{
	return c && tab && j ? (int)lnx_ledger_enter_one(c, tab, j, is_up, now) : 0;
}

/* <j>'s slot waits, and is not yet known to the set above it: it joins, and that set the one above. */
LNX_SUB int lnx_ledger_enter_up(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				const struct lnx_ledger_join *j, __u32 up, __u64 now)
{
	struct lnx_ledger_join k;
	__u32 below, at, i;

	if (!c || !tab || !j)
		return 0;
	k = *j;
	below = LNX_LEDGER_SLOT(k.handle) & (LNX_LEDGER_SLOTS - 1);
	for (i = 0; up && i < LNX_LEDGER_UPS; i++) {
		k.handle = up;
		if (!lnx_ledger_join_one(c, tab, &k, 1, now))
			break;
		at = c->pos[LNX_BOUND(below, LNX_LEDGER_SLOTS)];
		if (at)
			c->wait[LNX_BOUND(at - 1, LNX_LEDGER_WAITS)].up = up;
		below = LNX_LEDGER_SLOT(up) & (LNX_LEDGER_SLOTS - 1);
		at = c->pos[LNX_BOUND(below, LNX_LEDGER_SLOTS)];
		if (!at || c->wait[LNX_BOUND(at - 1, LNX_LEDGER_WAITS)].up)
			break;
		up = tab->slot[LNX_BOUND(below, LNX_LEDGER_SLOTS)].up;
	}
	return 0;
}

/* A task begins to wait. Returns the handle and epoch it has to remember. */
LNX_FN __u64 lnx_ledger_enter(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			      struct lnx_ledger_join *j, __u64 now)
{
	__u32 slot, epoch, at;

	if (j->handle == LNX_LEDGER_OTHER)
		c->count[LNX_LEDGER_N_SLOT_FULL]++;
	epoch = lnx_ledger_enter_one(c, tab, j, 0, now);
	if (!epoch) {
		j->handle = LNX_LEDGER_OTHER;
		epoch = lnx_ledger_enter_one(c, tab, j, 0, now);
	}
	slot = LNX_BOUND(LNX_LEDGER_SLOT(j->handle) & (LNX_LEDGER_SLOTS - 1), LNX_LEDGER_SLOTS);
	at = c->pos[slot];
	if (tab->slot[slot].up && at && !c->wait[LNX_BOUND(at - 1, LNX_LEDGER_WAITS)].up)
		lnx_ledger_enter_up(c, tab, j, tab->slot[slot].up, now);
	return (__u64)j->handle << 32 | epoch;
}

/* A task no longer waits. */
LNX_SUB int lnx_ledger_leave(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			     __u32 handle, __u32 epoch, __u64 now)
{
	__u32 at, up, waits, i;

	if (!c || !tab)
		return 0;
	for (i = 0; i <= LNX_LEDGER_UPS; i++) {
		at = c->pos[LNX_BOUND(LNX_LEDGER_SLOT(handle) & (LNX_LEDGER_SLOTS - 1),
				      LNX_LEDGER_SLOTS)];
		up = at ? c->wait[LNX_BOUND(at - 1, LNX_LEDGER_WAITS)].up : 0;
		waits = c->n_wait;
		lnx_ledger_leave_one(c, tab, handle, epoch, now);
		if (!up || c->n_wait == waits)
			break;
		handle = up;
		epoch = 0;
	}
	return 0;
}

/* Take in what other CPUs sent here. Every change of this CPU's state drains first, so that mail is never
 * older than the last change. */
LNX_SUB int lnx_ledger_drain(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			     __u64 now)
{
	__u32 i;

	if (!c || !tab)
		return 0;
	__sync_val_compare_and_swap(&c->mail_new, 1, 0);
	for (i = 0; i < LNX_LEDGER_MAIL; i++) {
		struct lnx_ledger_mail *m = &c->mail[i];
		struct lnx_ledger_queue q = { 0 };
		struct lnx_ledger_join j = { 0 };
		__u64 word = m->word, age;

		if (word == LNX_MAIL_BUSY)
			c->mail_new = 1; /* the sender is not ready: look again */
		if (word <= LNX_MAIL_BUSY)
			continue;
		j.queue = m->queue;
		j.handle = word >> 32;
		__sync_val_compare_and_swap(&m->word, word, 0);
		age = (__u32)((now >> LNX_LEDGER_MAIL_SHIFT) - word);
		j.since = now - (age >> 31 ? 0 : age << LNX_LEDGER_MAIL_SHIFT);
		/* What runs now has run since then: every switch drains first. */
		if (j.since < c->since)
			j.since = c->since;
		if (j.since > now)
			j.since = now;
		if (j.since > c->tick)
			lnx_ledger_tick(c, tab, j.since);
		if (j.queue && !lnx_prim_queue(j.queue, &q) && q.throttled) {
			j.thr = LNX_LEDGER_THROTTLED; /* its owner's depth is not known here */
			j.thr_base = q.total_ns;
		}
		lnx_ledger_enter(c, tab, &j, now);
	}
	return 0;
}

LNX_FN int lnx_ledger_send(struct lnx_ledger_cpu *dst, __u32 handle, __u64 queue, __u64 now)
{
	__u64 word = (__u64)handle << 32 | (__u32)(now >> LNX_LEDGER_MAIL_SHIFT);
	__u32 i;

	for (i = 0; i < LNX_LEDGER_MAIL; i++) {
		struct lnx_ledger_mail *m = &dst->mail[i];

		if (m->word || __sync_val_compare_and_swap(&m->word, 0, LNX_MAIL_BUSY))
			continue;
		m->queue = queue;
		__sync_val_compare_and_swap(&m->word, LNX_MAIL_BUSY, word);
		__sync_val_compare_and_swap(&dst->mail_new, 0, 1);
		return 1;
	}
	return 0;
}

/* Find or make the place of a process. Returns index, | 0x10000 if it is new, or -1 if full. */
LNX_SUB int lnx_ledger_proc(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			    __u32 tgid, __u32 handle, __u64 now)
{
	__u32 h = (tgid * 0x9e3779b1U ^ handle * 0x85ebca6bU) >> 8, i, at, old = 0;
	__u64 old_ns = ~0ULL;

	if (!c || !tab)
		return -1;
	for (i = 0; i < LNX_LEDGER_PROBES; i++) {
		struct lnx_ledger_proc *p;

		at = LNX_BOUND((h + i) & (LNX_LEDGER_PROCS - 1), LNX_LEDGER_PROCS);
		p = &c->procs[at];
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

LNX_FN void lnx_ledger_flush(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			     struct task_struct *prev, __u64 now)
{
	struct lnx_ledger_proc *p;
	int at;

	if (!c->proc_node_ns)
		return;
	if (c->cur_tgid) {
		at = lnx_ledger_proc(c, tab, c->cur_tgid, c->cur, now);
		if (at >= 0) {
			p = &c->procs[LNX_BOUND(at & (LNX_LEDGER_PROCS - 1), LNX_LEDGER_PROCS)];
			if (at & 0x10000)
				lnx_prim_describe(prev, p);
			p->node_ns += c->proc_node_ns;
			p->caused_ns += c->proc_caused_ns;
			p->last_ns = now;
		} else {
			c->count[LNX_LEDGER_N_PROC_FULL]++;
		}
	}
	c->proc_node_ns = 0;
	c->proc_caused_ns = 0;
}

/* The slot that runs becomes <handle>. */
LNX_FN void lnx_ledger_run(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			   __u32 handle, __u64 now)
{
	__u32 at = lnx_ledger_index(tab, c->cur);

	if (c->n_wait)
		lnx_ledger_walk(c, tab, now);
	c->run_ns[LNX_BOUND(at, LNX_LEDGER_SLOTS)] += lnx_ledger_span(c, c->since, now);
	c->since = now;
	c->cur = handle;
	lnx_ledger_mark(c, LNX_LEDGER_SLOT(handle) & (LNX_LEDGER_SLOTS - 1));
}

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
		lnx_ledger_charge(c, tab, e, now);
		lnx_ledger_throttle(c, e, e->queue, q.total_ns, thr);
	}
	return 0;
}

/* The CPU goes idle: whoever waits and is not throttled is a leftover of a lost event. */
LNX_SUB int lnx_ledger_heal_idle(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				 __u64 now)
{
	__u32 i;

	if (!c || !tab)
		return 0;
	for (i = LNX_LEDGER_WAITS; i > 0; i--) {
		struct lnx_ledger_wait *e = &c->wait[LNX_BOUND(i - 1, LNX_LEDGER_WAITS)];
		struct lnx_ledger_queue q = { 0 };

		if (i > c->n_wait || e->thr)
			continue;
		/* It may have been throttled without passing by a switch that we saw. */
		if (e->queue && !lnx_prim_queue(e->queue, &q) && q.throttled) {
			lnx_ledger_throttle(c, e, e->queue, q.total_ns, LNX_LEDGER_THROTTLED);
			continue;
		}
		c->count[LNX_LEDGER_N_HEALED]++;
		lnx_ledger_close(c, tab, i, now);
	}
	return 0;
}

/* A switch was missed: <prev> got the CPU without our seeing it. Replay it at the time it did. */
LNX_FN void lnx_ledger_missed(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab, __u32 cpu,
			      struct task_struct *prev, __u64 now)
{
	__u64 at = lnx_prim_arrival(prev, now);
	struct lnx_ledger_task *t;

	c->count[LNX_LEDGER_N_LOST]++;
	if (at < c->since)
		at = c->since;
	if (at > now)
		at = now;
	lnx_ledger_tick(c, tab, at > c->tick ? at : c->tick);
	lnx_ledger_flush(c, tab, (struct task_struct *)0, at);
	lnx_ledger_run(c, tab, lnx_prim_handle(tab, prev), at);
	c->cur_tgid = lnx_prim_tgid(prev);
	if (!c->cur_tgid)
		return;
	t = lnx_prim_task(prev);
	if (t && t->handle) {
		if (t->cpu == cpu)
			lnx_ledger_leave(c, tab, t->handle, t->epoch, at);
		t->handle = 0;
	}
}

LNX_FN void lnx_ledger_start(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab,
			     struct task_struct *prev, __u64 now)
{
	c->since = now;
	c->tick = now;
	c->cur = lnx_prim_handle(tab, prev);
	c->cur_tgid = lnx_prim_tgid(prev);
	c->task = (__u64)prev;
	lnx_ledger_mark(c, LNX_LEDGER_SLOT(c->cur) & (LNX_LEDGER_SLOTS - 1));
}

/* The part of a switch that changes the ledger. <j>.handle is 0 if <prev> does not stay runnable. */
LNX_FN void lnx_ledger_change(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab,
			      struct task_struct *prev, struct lnx_ledger_task *tp,
			      struct lnx_ledger_join *j, struct lnx_ledger_task *tn, __u32 cpu,
			      __u32 handle, __u32 tgid, __u64 now)
{
	__u64 got;

	lnx_ledger_tick(c, tab, now);
	if (handle != c->cur || tgid != c->cur_tgid)
		lnx_ledger_flush(c, tab, prev, now);
	if (handle != c->cur)
		lnx_ledger_run(c, tab, handle, now);
	c->cur_tgid = tgid;
	if (tp) {
		got = lnx_ledger_enter(c, tab, j, now);
		tp->handle = got >> 32;
		tp->epoch = got;
		tp->cpu = cpu;
		tp->runs = lnx_prim_runs(prev);
	}
	if (tn && tn->handle) {
		if (tn->cpu == cpu)
			lnx_ledger_leave(c, tab, tn->handle, tn->epoch, now);
		else
			c->count[LNX_LEDGER_N_STALE_LEAVE]++;
		tn->handle = 0;
	}
	if (c->n_wait > c->n_up + c->n_thr) {
		if (tp && j->thr)
			lnx_ledger_caught(c, tab, j->thr, now);
		else if (!tp && lnx_prim_is_throttled(prev))
			lnx_ledger_caught(c, tab, LNX_LEDGER_THROTTLED, now);
		if (!tgid)
			lnx_ledger_heal_idle(c, tab, now);
	}
}

LNX_FN void lnx_ledger_on_switch(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab, __u32 cpu,
				 struct task_struct *prev, struct task_struct *next, __u64 now)
{
	__u32 handle = lnx_prim_handle(tab, next), tgid = lnx_prim_tgid(next);
	struct lnx_ledger_task *tp = 0, *tn = 0;
	struct lnx_ledger_join j = { 0 };

	if (!c->since)
		lnx_ledger_start(c, tab, prev, now);
	if (c->mail_new || c->task != (__u64)prev) {
		lnx_ledger_seq(c);
		if (c->mail_new)
			lnx_ledger_drain(c, tab, now);
		if (c->task != (__u64)prev)
			lnx_ledger_missed(c, tab, cpu, prev, now);
		lnx_ledger_seq(c);
	}
	c->task = (__u64)next;
	if (tgid) {
		tn = lnx_prim_task(next);
		if (!tn)
			c->count[LNX_LEDGER_N_NO_STORAGE]++;
		else if (!tn->handle)
			c->count[LNX_LEDGER_N_UNTRACKED]++;
	}
	if (c->cur_tgid && lnx_prim_runnable(prev)) {
		tp = lnx_prim_task(prev);
		if (!tp) {
			c->count[LNX_LEDGER_N_NO_STORAGE]++;
		} else {
			j.handle = lnx_prim_handle(tab, prev);
			j.since = now;
			lnx_prim_join(tab, prev, &j);
		}
	}
	/* Without detail the processes of a cgroup are one. */
	if (tab->no_detail && tgid && c->cur_tgid) {
		c->cur_tgid = tgid;
		c->proc_node_ns = 0;
		c->proc_caused_ns = 0;
	}
	if (handle == c->cur && tgid == c->cur_tgid) {
		if (!tp && !(tn && tn->handle))
			return;
		/* One thread of a process takes over from another: who waits does not change. */
		if (tp && tn && !j.thr && j.handle == tn->handle && tn->cpu == cpu) {
			tp->handle = tn->handle;
			tp->epoch = tn->epoch;
			tp->cpu = cpu;
			tp->runs = lnx_prim_runs(prev);
			tn->handle = 0;
			return;
		}
	}
	lnx_ledger_seq(c);
	lnx_ledger_change(c, tab, prev, tp, &j, tn, cpu, handle, tgid, now);
	lnx_ledger_seq(c);
}

LNX_FN void lnx_ledger_on_wake(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab, __u32 cpu,
			       struct task_struct *p, __u64 now)
{
	struct lnx_ledger_task *t = lnx_prim_task(p);
	struct lnx_ledger_join j = { 0 };
	__u64 got;

	if (!t) {
		c->count[LNX_LEDGER_N_NO_STORAGE]++;
		return;
	}
	if (t->handle && t->runs == lnx_prim_runs(p)) {
		c->count[LNX_LEDGER_N_DUP_WAKE]++;
		return;
	}
	if (!c->since)
		return; /* no switch seen yet: nobody to blame */
	j.handle = lnx_prim_handle(tab, p);
	j.since = now;
	lnx_prim_join(tab, p, &j);
	lnx_ledger_seq(c);
	if (c->mail_new)
		lnx_ledger_drain(c, tab, now);
	lnx_ledger_tick(c, tab, now);
	if (t->handle) {
		c->count[LNX_LEDGER_N_STALE_WAKE]++;
		if (t->cpu == cpu)
			lnx_ledger_leave(c, tab, t->handle, t->epoch, now);
	}
	got = lnx_ledger_enter(c, tab, &j, now);
	lnx_ledger_seq(c);
	t->handle = got >> 32;
	t->epoch = got;
	t->cpu = cpu;
	t->runs = lnx_prim_runs(p);
}

/* A queued task leaves <c> for CPU <to>, whose state is <dst> and where <queue> will be its cfs_rq. */
LNX_FN void lnx_ledger_on_migrate(struct lnx_ledger_cpu *c, struct lnx_ledger_cpu *dst,
				  struct lnx_ledger_table *tab, __u32 cpu, __u32 to,
				  struct task_struct *p, __u64 queue, __u64 now)
{
	struct lnx_ledger_task *t = lnx_prim_task(p);

	if (!t || !t->handle)
		return;
	c->count[LNX_LEDGER_N_MIGRATED]++;
	lnx_ledger_seq(c);
	if (c->mail_new)
		lnx_ledger_drain(c, tab, now);
	lnx_ledger_tick(c, tab, now);
	if (t->cpu == cpu)
		lnx_ledger_leave(c, tab, t->handle, t->epoch, now);
	else
		c->count[LNX_LEDGER_N_STALE_LEAVE]++;
	lnx_ledger_seq(c);
	t->cpu = to;
	t->epoch = 0;
	if (!lnx_ledger_send(dst, t->handle, queue, now)) {
		c->count[LNX_LEDGER_N_MAIL_FULL]++;
		t->handle = 0;
	}
}

#endif
