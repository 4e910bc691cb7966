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
static __u32 lnx_prim_pid(struct task_struct *p);  /* of the thread */
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
		at = c->sum[LNX_BOUND(below, LNX_LEDGER_SLOTS)].pos;
		if (at)
			c->wait[LNX_BOUND(at - 1, LNX_LEDGER_WAITS)].up = up;
		below = LNX_LEDGER_SLOT(up) & (LNX_LEDGER_SLOTS - 1);
		at = c->sum[LNX_BOUND(below, LNX_LEDGER_SLOTS)].pos;
		if (!at || c->wait[LNX_BOUND(at - 1, LNX_LEDGER_WAITS)].up)
			break;
		up = tab->slot[LNX_BOUND(below, LNX_LEDGER_SLOTS)].up;
	}
	return 0;
}

/* One more task waits. Returns the epoch to remember; j->handle is where. */
LNX_FN __u32 lnx_ledger_enter(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			      struct lnx_ledger_join *j, __u64 now)
{
	__u32 slot, epoch, at;

	if (LNX_RARE(j->handle == LNX_LEDGER_OTHER))
		c->count[LNX_LEDGER_N_SLOT_FULL]++;
	epoch = lnx_ledger_enter_one(c, tab, j, 0, now);
	if (LNX_RARE(!epoch)) {
		j->handle = LNX_LEDGER_OTHER;
		epoch = lnx_ledger_join_one(c, tab, j, 0, now);
	}
	slot = LNX_BOUND(LNX_LEDGER_SLOT(j->handle) & (LNX_LEDGER_SLOTS - 1), LNX_LEDGER_SLOTS);
	at = c->sum[slot].pos;
	if (LNX_RARE(tab->slot[slot].up) && at && !c->wait[LNX_BOUND(at - 1, LNX_LEDGER_WAITS)].up)
		lnx_ledger_enter_up(c, tab, j, tab->slot[slot].up, now);
	return epoch;
}

LNX_SUB int lnx_ledger_leave_up(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				__u32 up, __u64 now)
{
	__u32 i;

	if (!c || !tab)
		return 0;
	for (i = 0; up && i < LNX_LEDGER_UPS; i++)
		up = lnx_ledger_leave_one(c, tab, up, 0, now);
	return 0;
}

/* A task no longer waits. */
LNX_FN void lnx_ledger_leave(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			     __u32 handle, __u32 epoch, __u64 now)
{
	__u32 up = lnx_ledger_leave_one(c, tab, handle, epoch, now);

	if (LNX_RARE(up))
		lnx_ledger_leave_up(c, tab, up, now);
}

/* The same where it is seldom done. */
LNX_SUB int lnx_ledger_leave_seldom(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				    __u32 handle, __u32 epoch, __u64 now)
{
	if (c && tab)
		lnx_ledger_leave(c, tab, handle, epoch, now);
	return 0;
}

/* Where it is noted that a task waits on a CPU: its place in waiters[], or its storage. */
#define LNX_NOTE_NONE  0
#define LNX_NOTE_PLACE 1
#define LNX_NOTE_STORE 2

LNX_FN struct lnx_ledger_waiter *lnx_ledger_place(struct lnx_ledger_cpu *c, __u32 pid)
{
	return &c->waiters[LNX_BOUND(pid & (LNX_LEDGER_WAITERS - 1), LNX_LEDGER_WAITERS)];
}

/* Does <p> wait on <c>? Returns LNX_NOTE_*. */
LNX_FN __u32 lnx_ledger_find(struct lnx_ledger_cpu *c, __u32 cpu, struct task_struct *p)
{
	struct lnx_ledger_task *t;
	__u32 pid = lnx_prim_pid(p);

	if (lnx_ledger_place(c, pid)->pid == pid)
		return LNX_NOTE_PLACE;
	if (!LNX_RARE(c->n_spill))
		return LNX_NOTE_NONE;
	t = lnx_prim_task(p);
	/* One that is older than its last run but one is a leftover. */
	return t && t->handle && t->cpu == cpu && lnx_prim_runs(p) - t->runs <= 1 ? LNX_NOTE_STORE
										  : LNX_NOTE_NONE;
}

/* Times that <p> had been run when its wait began. */
LNX_FN __u32 lnx_ledger_runs(struct lnx_ledger_cpu *c, struct task_struct *p, __u32 note)
{
	struct lnx_ledger_task *t;

	if (note == LNX_NOTE_PLACE)
		return lnx_ledger_place(c, lnx_prim_pid(p))->runs;
	t = lnx_prim_task(p);
	return t ? t->runs : 0;
}

/* The wait of <p>, which is in its storage, is over. Returns where it waited. */
LNX_COLD __u32 lnx_ledger_end_stored(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				     struct task_struct *p, __u64 now)
{
	struct lnx_ledger_task *t = lnx_prim_task(p);
	__u32 handle;

	if (!t)
		return 0;
	handle = t->handle;
	t->handle = 0;
	c->n_spill--;
	lnx_ledger_leave_seldom(c, tab, handle, t->epoch, now);
	return handle;
}

/* The wait of <p> is over. Returns where it waited. */
LNX_COLD __u32 lnx_ledger_end(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			      struct task_struct *p, __u32 note, __u64 now)
{
	struct lnx_ledger_waiter *w = lnx_ledger_place(c, lnx_prim_pid(p));

	if (note != LNX_NOTE_PLACE)
		return lnx_ledger_end_stored(c, tab, p, now);
	w->pid = 0;
	lnx_ledger_leave_seldom(c, tab, w->handle, w->epoch, now);
	return w->handle;
}

/* Is the entry that <w> joined still there? Else a repair closed it, and the place is free. */
LNX_FN int lnx_ledger_is_kept(const struct lnx_ledger_cpu *c, const struct lnx_ledger_waiter *w)
{
	__u32 slot =
		LNX_BOUND(LNX_LEDGER_SLOT(w->handle) & (LNX_LEDGER_SLOTS - 1), LNX_LEDGER_SLOTS);
	__u32 at = c->sum[slot].pos;

	return at &&
	       c->wait[LNX_BOUND((at - 1) & (LNX_LEDGER_WAITS - 1), LNX_LEDGER_WAITS)].epoch ==
		       w->epoch;
}

/* Note in its storage that <p> waits. Returns 0 if it has none. */
LNX_COLD int lnx_ledger_store(struct lnx_ledger_cpu *c, struct task_struct *p, __u32 cpu,
			      __u32 handle, __u32 epoch)
{
	struct lnx_ledger_task *t = lnx_prim_task(p);

	if (!t) {
		c->count[LNX_LEDGER_N_NO_STORAGE]++;
		return 0;
	}
	t->handle = handle;
	t->epoch = epoch;
	t->cpu = cpu;
	t->runs = lnx_prim_runs(p);
	return 1;
}

/* A task begins to wait, and it is noted. */
LNX_FN void lnx_ledger_begin(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			     __u32 cpu, struct task_struct *p, struct lnx_ledger_join *j, __u64 now)
{
	__u32 pid = lnx_prim_pid(p), epoch;
	struct lnx_ledger_waiter *w = lnx_ledger_place(c, pid);
	__u32 is_taken = w->pid && w->pid != pid && lnx_ledger_is_kept(c, w);

	/* Without a note nobody could end the wait. */
	if (LNX_RARE(is_taken) && !lnx_ledger_store(c, p, cpu, 0, 0))
		return;
	epoch = lnx_ledger_enter(c, tab, j, now);
	if (LNX_RARE(is_taken)) {
		c->n_spill += lnx_ledger_store(c, p, cpu, j->handle, epoch);
		return;
	}
	w->pid = pid;
	w->runs = lnx_prim_runs(p);
	w->handle = j->handle;
	w->epoch = epoch;
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
		c->n_spill++;
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

LNX_FN __u32 lnx_ledger_proc_hash(__u32 tgid, __u32 handle)
{
	return (tgid * 0x9e3779b1U ^ handle * 0x85ebca6bU) >> 8;
}

/* Find or make the place of a process. Returns index, | 0x10000 if it is new, or -1 if full. */
LNX_SUB int lnx_ledger_proc(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			    __u32 tgid, __u32 handle, __u64 now)
{
	__u32 h = lnx_ledger_proc_hash(tgid, handle), i, at, old = 0;
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
		lnx_prim_describe(
			prev, &c->procs[LNX_BOUND(at & (LNX_LEDGER_PROCS - 1), LNX_LEDGER_PROCS)]);
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
		at = lnx_ledger_proc_hash(c->cur_tgid, c->cur) & (LNX_LEDGER_PROCS - 1);
		p = &c->procs[LNX_BOUND(at, LNX_LEDGER_PROCS)];
		if (LNX_RARE(p->tgid != c->cur_tgid || p->handle != c->cur)) {
			at = lnx_ledger_proc_new(c, tab, prev, now);
			p = &c->procs[LNX_BOUND(at & (LNX_LEDGER_PROCS - 1), LNX_LEDGER_PROCS)];
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

/* The slot that runs becomes <handle>. */
LNX_FN void lnx_ledger_run(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			   __u32 handle, __u64 now)
{
	__u32 at = lnx_ledger_index(tab, c->cur);

	if (c->n_wait)
		lnx_ledger_walk(c, tab, now);
	c->sum[LNX_BOUND(at, LNX_LEDGER_SLOTS)].run_ns += lnx_ledger_span(c, c->since, now);
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
		lnx_ledger_charge(c, tab, i, now);
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
LNX_COLD int lnx_ledger_missed(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab, __u32 cpu,
			       struct task_struct *prev, __u64 now)
{
	__u64 at = lnx_prim_arrival(prev, now);
	__u32 note;

	c->count[LNX_LEDGER_N_LOST]++;
	if (at < c->since)
		at = c->since;
	if (at > now)
		at = now;
	lnx_ledger_tick(c, tab, at > c->tick ? at : c->tick);
	lnx_ledger_flush(c, tab, (struct task_struct *)0, at);
	lnx_ledger_run(c, tab, lnx_prim_handle(tab, prev), at);
	c->cur_tgid = lnx_prim_tgid(prev);
	note = c->cur_tgid ? lnx_ledger_find(c, cpu, prev) : LNX_NOTE_NONE;
	if (note)
		lnx_ledger_end(c, tab, prev, note, at);
	return 0;
}

LNX_COLD int lnx_ledger_start(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab,
			      struct task_struct *prev, __u64 now)
{
	c->since = now;
	c->tick = now;
	c->cur = lnx_prim_handle(tab, prev);
	c->cur_tgid = lnx_prim_tgid(prev);
	c->task = (__u64)prev;
	lnx_ledger_mark(c, LNX_LEDGER_SLOT(c->cur) & (LNX_LEDGER_SLOTS - 1));
	return 0;
}

/* The part of a switch that changes the ledger. <j>.handle is 0 if <prev> does not stay runnable; <note> is that of
 * <next>'s wait. */
LNX_FN void lnx_ledger_change(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab,
			      struct task_struct *prev, struct lnx_ledger_join *j,
			      struct task_struct *next, __u32 note, __u32 cpu, __u32 handle,
			      __u32 tgid, __u64 now)
{
	lnx_ledger_tick(c, tab, now);
	if (handle != c->cur || tgid != c->cur_tgid)
		lnx_ledger_flush(c, tab, prev, now);
	if (handle != c->cur)
		lnx_ledger_run(c, tab, handle, now);
	c->cur_tgid = tgid;
	if (j->handle)
		lnx_ledger_begin(c, tab, cpu, prev, j, now);
	if (note == LNX_NOTE_PLACE) {
		struct lnx_ledger_waiter *w = lnx_ledger_place(c, lnx_prim_pid(next));

		w->pid = 0;
		lnx_ledger_leave(c, tab, w->handle, w->epoch, now);
	} else if (LNX_RARE(note)) {
		lnx_ledger_end_stored(c, tab, next, now);
	}
	if (c->n_wait > c->n_up + c->n_thr) {
		if (j->thr)
			lnx_ledger_caught(c, tab, j->thr, now);
		else if (!j->handle && lnx_prim_is_throttled(prev))
			lnx_ledger_caught(c, tab, LNX_LEDGER_THROTTLED, now);
		if (!tgid)
			lnx_ledger_heal_idle(c, tab, now);
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

LNX_FN void lnx_ledger_on_switch(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab, __u32 cpu,
				 struct task_struct *prev, struct task_struct *next, __u64 now)
{
	__u32 handle = lnx_prim_handle(tab, next), tgid = lnx_prim_tgid(next), note = 0;
	struct lnx_ledger_join j = { 0 };

	if (LNX_RARE(!c->since))
		lnx_ledger_start(c, tab, prev, now);
	if (LNX_RARE(c->mail_new || c->task != (__u64)prev)) {
		lnx_ledger_seq(c);
		if (c->mail_new)
			lnx_ledger_drain(c, tab, now);
		if (c->task != (__u64)prev)
			lnx_ledger_missed(c, tab, cpu, prev, now);
		lnx_ledger_seq(c);
	}
	c->task = (__u64)next;
	if (tgid) {
		note = lnx_ledger_find(c, cpu, next);
		if (!note)
			c->count[LNX_LEDGER_N_UNTRACKED]++;
	}
	if (c->cur_tgid && lnx_prim_runnable(prev)) {
		j.handle = lnx_prim_handle(tab, prev);
		j.since = now;
		lnx_prim_join(tab, prev, &j);
	}
	/* Without detail the processes of a cgroup are one. */
	if (tab->no_detail && tgid && c->cur_tgid) {
		c->cur_tgid = tgid;
		c->proc_node_ns = 0;
		c->proc_caused_ns = 0;
	}
	if (handle == c->cur && tgid == c->cur_tgid) {
		if (!j.handle && !note)
			return;
		if (note == LNX_NOTE_PLACE && !j.thr &&
		    lnx_ledger_take_over(c, prev, lnx_prim_pid(next), j.handle))
			return;
	}
	lnx_ledger_seq(c);
	lnx_ledger_change(c, tab, prev, &j, next, note, cpu, handle, tgid, now);
	lnx_ledger_seq(c);
}

LNX_FN void lnx_ledger_on_wake(struct lnx_ledger_cpu *c, struct lnx_ledger_table *tab, __u32 cpu,
			       struct task_struct *p, __u64 now)
{
	struct lnx_ledger_join j = { 0 };
	__u32 note;

	if (LNX_RARE(!c->since))
		return; /* no switch seen yet: nobody to blame */
	if (LNX_RARE(c->mail_new)) {
		lnx_ledger_seq(c);
		lnx_ledger_drain(c, tab, now);
		lnx_ledger_seq(c);
	}
	note = lnx_ledger_find(c, cpu, p);
	if (LNX_RARE(note) && lnx_ledger_runs(c, p, note) == lnx_prim_runs(p)) {
		c->count[LNX_LEDGER_N_DUP_WAKE]++;
		return;
	}
	j.handle = lnx_prim_handle(tab, p);
	j.since = now;
	lnx_prim_join(tab, p, &j);
	lnx_ledger_seq(c);
	lnx_ledger_tick(c, tab, now);
	if (LNX_RARE(note)) {
		c->count[LNX_LEDGER_N_STALE_WAKE]++;
		lnx_ledger_end(c, tab, p, note, now);
	}
	lnx_ledger_begin(c, tab, cpu, p, &j, now);
	lnx_ledger_seq(c);
}

/* A queued task leaves <c> for CPU <to>, whose state is <dst> and where <queue> will be its cfs_rq. */
LNX_FN void lnx_ledger_on_migrate(struct lnx_ledger_cpu *c, struct lnx_ledger_cpu *dst,
				  struct lnx_ledger_table *tab, __u32 cpu, __u32 to,
				  struct task_struct *p, __u64 queue, __u64 now)
{
	__u32 handle, note;

	if (c->mail_new) {
		lnx_ledger_seq(c);
		lnx_ledger_drain(c, tab, now);
		lnx_ledger_seq(c);
	}
	note = lnx_ledger_find(c, cpu, p);
	if (!note)
		return;
	c->count[LNX_LEDGER_N_MIGRATED]++;
	lnx_ledger_seq(c);
	lnx_ledger_tick(c, tab, now);
	handle = lnx_ledger_end(c, tab, p, note, now);
	lnx_ledger_seq(c);
	if (!lnx_ledger_store(c, p, to, handle, 0))
		return;
	if (!lnx_ledger_send(dst, handle, queue, now)) {
		c->count[LNX_LEDGER_N_MAIL_FULL]++;
		lnx_ledger_store(c, p, to, 0, 0);
	}
}

#endif
