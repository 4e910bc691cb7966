/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The shadow wait set, part two: who begins to wait and who ends, where that is noted, and the mail between CPUs.
 *
 * Besides what lnx_ledger.h asks for, the includer defines struct task_struct and the lnx_prim_*
 * functions declared here. */
#ifndef LNX_LEDGER_WAIT_H
#define LNX_LEDGER_WAIT_H

#include "lnx_ledger.h"

#define LNX_MAIL_BUSY 1ULL
#define LNX_MOVED_NS  10000000ULL /* a migration soon after a move gives the wait a new beginning */

/* The store of a task that waits, NULL if there is none; made, NULL if it cannot be; given up. */
static struct lnx_ledger_task *lnx_prim_task(struct task_struct *p);
static struct lnx_ledger_task *lnx_prim_task_make(struct task_struct *p);
static void lnx_prim_task_drop(struct task_struct *p);
/* Handle of the slot <p> belongs to; IDLE for the idle task. */
static __u32 lnx_prim_handle(struct lnx_ledger_table *tab, struct task_struct *p);
/* The same if it takes no search, else OTHER. */
static __u32 lnx_prim_known(struct lnx_ledger_table *tab, struct task_struct *p);
static __u32 lnx_prim_tgid(struct task_struct *p); /* 0 for the idle task */
static __u32 lnx_prim_pid(struct task_struct *p);  /* of the thread */
static __u32 lnx_prim_cpu(struct task_struct *p);  /* whose queue it is in */
static __u32 lnx_prim_runs(struct task_struct *p);
/* Still runnable at the switch that takes the CPU from it. */
static int lnx_prim_runnable(struct task_struct *p);
/* In a queue, and asleep: it does not wait. */
static int lnx_prim_is_delayed(struct task_struct *p);
/* It runs, and no other is in the queue of its CPU; throttled ones may be. */
static int lnx_prim_is_alone(struct task_struct *p);
/* When it got the CPU, 0 unknown. */
static __u64 lnx_prim_arrival(struct task_struct *p, __u64 now);
/* Fill queue, thr and thr_base; <tab> learns the owner of the quota. */
static void lnx_prim_join(struct lnx_ledger_table *tab, struct task_struct *p,
			  struct lnx_ledger_join *j);
static int lnx_prim_is_throttled(struct task_struct *p);
/* Its cfs_rq, or 0 if no quota can bind it. Returns 0 if that is throttled. */
static int lnx_prim_free_queue(struct task_struct *p, __u64 *ret_queue);
/* Identity of its set of cgroups; not to be dereferenced. */
static __u64 lnx_prim_set(struct task_struct *p);
static int lnx_prim_is_kernel(struct task_struct *p); /* the idle task too */
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
	slot = lnx_ledger_slot(j->handle);
	at = c->sum[slot].pos;
	if (LNX_RARE(tab->slot[slot].up) && at && !c->wait[LNX_BOUND(at - 1, LNX_LEDGER_WAITS)].up)
		lnx_ledger_enter_up(c, tab, j, tab->slot[slot].up, now);
	return epoch;
}

/* No loop: its counter would take the calls that end here over 512 bytes of stack. */
LNX_SUB int lnx_ledger_leave_up(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				__u32 up, __u64 now)
{
	_Static_assert(LNX_LEDGER_UPS == 2, "as many as below");

	if (!c || !tab)
		return 0;
	if (up)
		up = lnx_ledger_leave_one(c, tab, up, 0, now);
	if (up)
		(void)lnx_ledger_leave_one(c, tab, up, 0, now); /* nothing is above it */
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

/* Where it is noted that a task waits on a CPU: its place in waiters[], or its store. Others may need that: then only the
 * entry knows that one more waits. */
#define LNX_NOTE_NONE  0
#define LNX_NOTE_PLACE 1
#define LNX_NOTE_STORE 2
#define LNX_NOTE_GONE  3

LNX_FN struct lnx_ledger_waiter *lnx_ledger_place(struct lnx_ledger_cpu *c, __u32 pid)
{
	return &c->waiters[LNX_MASK(pid, LNX_LEDGER_WAITERS)];
}

/* Does <p> wait on <c>? Returns LNX_NOTE_*. */
LNX_FN __u32 lnx_ledger_find(struct lnx_ledger_cpu *c, struct task_struct *p)
{
	struct lnx_ledger_task *t;
	__u32 pid = lnx_prim_pid(p);

	if (lnx_ledger_place(c, pid)->pid == pid)
		return LNX_NOTE_PLACE;
	if (!LNX_RARE(c->n_spill))
		return LNX_NOTE_NONE;
	t = lnx_prim_task(p);
	/* One that is older than its last run but one is a leftover. */
	return t && t->handle && t->cpu == lnx_prim_cpu(p) && lnx_prim_runs(p) - t->runs <= 1
		       ? LNX_NOTE_STORE
		       : LNX_NOTE_NONE;
}

/* The entry of <handle> if any of those that wait there is noted in its store, or was. <epoch> 0 matches any entry of the
 * handle. */
LNX_FN struct lnx_ledger_wait *lnx_ledger_spilled(struct lnx_ledger_cpu *c, __u32 handle,
						  __u32 epoch)
{
	__u32 slot = lnx_ledger_slot(handle);
	__u32 at = c->sum[slot].pos;
	struct lnx_ledger_wait *e = &c->wait[LNX_MASK(at - 1, LNX_LEDGER_WAITS)];

	return at && e->handle == handle && (!epoch || e->epoch == epoch) && e->n_spill ? e : NULL;
}

/* A task of <handle> has no note on <c>. The slot that counts it, if its note was pushed out: its own, or OTHER; or, if tasks
 * were moved since, that of the cgroup in which one such has waited for longest. One whose beginning was missed
 * ends the wait of another early, until that one's own end: no wait is left over. A limit: mail between CPUs carries no old
 * beginning, so that of a task which another CPU took over more than LNX_MOVED_NS after its move is later than what is looked for
 * here; if its note is pushed out there again, its wait stays behind until that CPU is idle. Returns 0 if there is none. */
LNX_SUB int lnx_ledger_gone(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			    __u32 handle)
{
	__u32 found = 0, i;
	__u64 begin;

	if (!c || !tab)
		return 0;
	begin = *(const volatile __u64 *)&tab->moved_ns + LNX_MOVED_NS;
	if (lnx_ledger_spilled(c, handle, 0))
		return (int)handle;
	if (lnx_ledger_spilled(c, LNX_LEDGER_OTHER, 0))
		return LNX_LEDGER_OTHER;
	for (i = 0; i < LNX_LEDGER_WAITS && handle > LNX_LEDGER_KERNEL; i++) {
		const struct lnx_ledger_wait *e = &c->wait[i];

		if (i >= c->n_wait)
			break;
		if (!e->n_spill || e->handle <= LNX_LEDGER_KERNEL || e->begin > begin)
			continue;
		begin = e->begin;
		found = e->handle;
	}
	return (int)found;
}

/* Does <c> count a task of <handle> that has no note? Returns LNX_NOTE_*. */
LNX_FN __u32 lnx_ledger_find_gone(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				  __u32 handle)
{
	return c->n_spill && lnx_ledger_gone(c, tab, handle) ? LNX_NOTE_GONE : LNX_NOTE_NONE;
}

/* Who just joined the entry of <handle> has no place in waiters[]. */
LNX_FN void lnx_ledger_spill(struct lnx_ledger_cpu *c, __u32 handle)
{
	__u32 slot = lnx_ledger_slot(handle);
	__u32 at = c->sum[slot].pos;

	if (!at)
		return;
	c->wait[LNX_MASK(at - 1, LNX_LEDGER_WAITS)].n_spill++;
	c->n_spill++;
}

/* Of those in <handle> that have no place in waiters[] one waits no longer: which one makes no difference. Without epoch it
 * may be counted elsewhere. Returns where it was, 0 nowhere. */
LNX_SUB int lnx_ledger_leave_spilled(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				     __u32 handle, __u32 epoch, __u64 now)
{
	struct lnx_ledger_wait *e;

	if (!c || !tab)
		return 0;
	if (!epoch)
		handle = lnx_ledger_gone(c, tab, handle);
	e = lnx_ledger_spilled(c, handle, epoch);
	if (!e)
		return 0;
	e->n_spill--;
	c->n_spill--;
	lnx_ledger_leave(c, tab, handle, epoch, now);
	return (int)handle;
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

/* The wait of <p>, of <handle>, which has no place in waiters[], is over. Returns where it waited, 0 unknown. */
LNX_FN __u32 lnx_ledger_end_spilled(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				    struct task_struct *p, __u32 note, __u32 handle, __u64 now)
{
	struct lnx_ledger_task *t = note == LNX_NOTE_STORE ? lnx_prim_task(p) : NULL;
	__u32 noted = t ? t->handle : 0, epoch = t ? t->epoch : 0, was;

	if (noted) {
		lnx_prim_task_drop(p);
		if (lnx_ledger_leave_spilled(c, tab, noted, epoch, now))
			return noted;
	}
	/* Not noted any more, or another was taken for it. */
	was = lnx_ledger_leave_spilled(c, tab, handle, 0, now);
	c->count[LNX_LEDGER_N_EVICTED] += was != 0;
	c->count[LNX_LEDGER_N_STALE_LEAVE] += noted && !was;
	return noted ? noted : was;
}

/* The wait of <p>, now of <handle>, is over. Returns where it waited, 0 unknown. */
LNX_COLD __u32 lnx_ledger_end(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			      struct task_struct *p, __u32 note, __u32 handle, __u64 now)
{
	struct lnx_ledger_waiter *w = lnx_ledger_place(c, lnx_prim_pid(p));

	if (note != LNX_NOTE_PLACE)
		return lnx_ledger_end_spilled(c, tab, p, note, handle, now);
	w->pid = 0;
	lnx_ledger_leave_seldom(c, tab, w->handle, w->epoch, now);
	return w->handle;
}

/* Is the entry that <w> joined still there? Else a repair closed it, and the place is free. */
LNX_FN int lnx_ledger_is_kept(const struct lnx_ledger_cpu *c, const struct lnx_ledger_waiter *w)
{
	__u32 slot = lnx_ledger_slot(w->handle);
	__u32 at = c->sum[slot].pos;

	return at && c->wait[LNX_MASK(at - 1, LNX_LEDGER_WAITS)].epoch == w->epoch;
}

/* Note in its store that <p> waits, as long as nobody else needs that. */
LNX_COLD int lnx_ledger_store(struct lnx_ledger_cpu *c, struct task_struct *p, __u32 cpu,
			      __u32 handle, __u32 epoch)
{
	struct lnx_ledger_task *t = lnx_prim_task_make(p);

	if (!t) {
		c->count[LNX_LEDGER_N_NO_STORAGE]++;
		return 0;
	}
	t->handle = handle;
	t->epoch = epoch;
	t->cpu = cpu;
	t->runs = lnx_prim_runs(p);
	return 0;
}

/* A task begins to wait, and it is noted. */
LNX_FN void lnx_ledger_begin(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			     struct task_struct *p, struct lnx_ledger_join *j, __u64 now)
{
	__u32 cpu = lnx_prim_cpu(p), pid = lnx_prim_pid(p), epoch;
	struct lnx_ledger_waiter *w = lnx_ledger_place(c, pid);
	__u32 is_taken = w->pid && w->pid != pid && lnx_ledger_is_kept(c, w);

	epoch = lnx_ledger_enter(c, tab, j, now);
	if (LNX_RARE(is_taken)) {
		lnx_ledger_spill(c, j->handle);
		lnx_ledger_store(c, p, cpu, j->handle, epoch);
		return;
	}
	w->pid = pid;
	w->runs = lnx_prim_runs(p);
	w->handle = j->handle;
	w->epoch = epoch;
}

/* Take in one piece of what other CPUs sent here. */
LNX_SUB int lnx_ledger_take_mail(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				 __u32 at, __u64 now)
{
	struct lnx_ledger_queue q = { 0 };
	struct lnx_ledger_join j = { 0 };
	struct lnx_ledger_mail *m;
	__u64 word, age;

	if (!c || !tab)
		return 0;
	at = LNX_MASK(at, LNX_LEDGER_MAIL);
	m = &c->mail[at];
	word = m->word;
	if (word == LNX_MAIL_BUSY)
		c->mail_new = 1; /* the sender is not ready: look again */
	if (word <= LNX_MAIL_BUSY)
		return 0;
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
	lnx_ledger_spill(c, j.handle);
	c->mail_ns = now;
	return 0;
}

/* Take it all in. Every change of this CPU's state drains first, so that mail is never older than the last
 * change. */
LNX_FN void lnx_ledger_drain(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			     __u64 now)
{
	__u32 i;

	__sync_val_compare_and_swap(&c->mail_new, 1, 0);
	for (i = 0; i < LNX_LEDGER_MAIL; i++)
		if (c->mail[i].word)
			lnx_ledger_take_mail(c, tab, i, now);
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

#endif
