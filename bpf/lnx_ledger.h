/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The shadow wait set, part one: charging time and keeping the set of waiting slots of one CPU.
 *
 * Plain C, compiled for BPF and, with a model below it, for the property test. The includer defines
 * before: LNX_FN (inlined), LNX_SUB (a function of its own: one verification for all callers), LNX_COLD (the same,
 * verified with its caller, for arguments that only such a one may have), LNX_RARE(x) (x, seldom true),
 * LNX_BOUND(i, n) (i < n, a power of two, in a way the verifier keeps), LNX_MASK(i, n) (the same of i modulo n), LNX_NEAR(p)
 * (keep address p) and lnx_prim_queue(). All functions run under the lock of the run queue that <c> stands for. Longer than
 * a header should be: it is code. */
#ifndef LNX_LEDGER_H
#define LNX_LEDGER_H

#include <linnix/ledger.h>

/* A waiting task that has no place in waiters[]. */
struct lnx_ledger_task {
	__u64 born_ns; /* of the task: a pid is reused */
	__u32 handle;  /* slot it waits in, 0 it does not wait or is in waiters[] */
	__u32 cpu;     /* where it waits */
	__u32 epoch;   /* of the entry it joined, 0 any: it came by mail */
	__u32 runs;    /* times it had been run when it began to wait */
};

/* A task about to wait. */
struct lnx_ledger_join {
	__u64 since;
	__u64 queue;	/* its cfs_rq, 0 unknown */
	__u64 thr_base; /* as in lnx_ledger_wait */
	__u32 handle;
	__u32 thr;
};

/* A queue as the kernel sees it now. */
struct lnx_ledger_queue {
	__u64 total_ns;	 /* throttled so far, this moment included */
	__u32 throttled; /* 1 now */
	__u32 exact;	 /* total_ns is known */
};

/* Two members of 32 bits in one access. */
typedef __u64 __attribute__((may_alias)) lnx_ledger_two;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LNX_TWO(first, second) ((__u64)(second) << 32 | (__u32)(first))
#else
#define LNX_TWO(first, second) ((__u64)(first) << 32 | (__u32)(second))
#endif

static int lnx_prim_queue(__u64 queue, struct lnx_ledger_queue *ret_q);

LNX_FN void lnx_ledger_seq(struct lnx_ledger_cpu *c)
{
#if defined(__TARGET_ARCH_x86) || !defined(__bpf__)
	/* The compiler keeps other stores on their side of this one, the machine does by itself. */
	__asm__ volatile("" : : : "memory");
	*(volatile __u32 *)&c->seq += 1;
	__asm__ volatile("" : : : "memory");
#else
	__u32 was = __sync_fetch_and_add(&c->seq, 1);

	/* Where the result is not used the compiler takes an instruction that orders nothing. */
	__asm__ volatile("" : : "r"(was));
#endif
}

LNX_FN __u32 lnx_ledger_slot(__u32 handle)
{
	return LNX_MASK(handle, LNX_LEDGER_SLOTS);
}

LNX_FN int lnx_ledger_is_held(const struct lnx_ledger_table *tab, __u32 handle)
{
	return tab->slot[lnx_ledger_slot(handle)].handle == handle;
}

/* Place of <handle> in arrays by slot: its own while it holds the slot, else OTHER's. */
LNX_FN __u32 lnx_ledger_index(const struct lnx_ledger_table *tab, __u32 handle)
{
	__u32 slot = lnx_ledger_slot(handle);

	return tab->slot[slot].handle == handle ? slot : LNX_LEDGER_OTHER;
}

LNX_FN void lnx_ledger_mark(struct lnx_ledger_cpu *c, __u32 handle)
{
	__u32 slot = lnx_ledger_slot(handle);

	c->slot_used[slot / 64] |= 1ULL << (slot % 64);
}

LNX_FN __u64 lnx_ledger_span(struct lnx_ledger_cpu *c, __u64 from, __u64 to)
{
	if (!LNX_RARE(to < from))
		return to - from;
	c->count[LNX_LEDGER_N_BACKWARD]++;
	return 0;
}

LNX_FN __u32 lnx_ledger_pair_hash(__u32 victim, __u32 culprit)
{
	return (((__u64)victim << 32 | culprit) * 0x9e3779b97f4a7c15ULL) >> 40;
}

LNX_FN struct lnx_ledger_pair *lnx_ledger_pair_place(struct lnx_ledger_cpu *c, __u32 at)
{
	struct lnx_ledger_pair *p = &c->pairs[LNX_MASK(at, LNX_LEDGER_PAIRS)];

	LNX_NEAR(p);
	return p;
}

/* Add <ns> to the pair. No place within LNX_LEDGER_PROBES: a place whose former owner is gone, else the
 * victim's other_ns. */
LNX_SUB int lnx_ledger_pair(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			    __u32 victim, __u32 culprit, __u64 ns)
{
	__u32 h = lnx_ledger_pair_hash(victim, culprit), i, at;

	if (!c || !tab)
		return 0;
	for (i = 0; i < LNX_LEDGER_PROBES; i++) {
		struct lnx_ledger_pair *p;

		at = (h + i) & (LNX_LEDGER_PAIRS - 1);
		p = lnx_ledger_pair_place(c, at);
		if (p->victim == victim && p->culprit == culprit) {
			p->ns += ns;
			p->count++;
			return 0;
		}
		if (!p->victim)
			goto take;
	}
	for (i = 0; i < LNX_LEDGER_PROBES; i++) {
		__u32 v, u;

		at = LNX_MASK(h + i, LNX_LEDGER_PAIRS);
		v = c->pairs[at].victim;
		u = c->pairs[at].culprit;
		if ((LNX_LEDGER_SLOT(v) >= LNX_LEDGER_FIRST &&
		     lnx_ledger_index(tab, v) == LNX_LEDGER_OTHER) ||
		    (LNX_LEDGER_SLOT(u) >= LNX_LEDGER_FIRST &&
		     lnx_ledger_index(tab, u) == LNX_LEDGER_OTHER)) {
			c->count[LNX_LEDGER_N_RECLAIMED]++;
			goto take;
		}
	}
	c->count[LNX_LEDGER_N_PAIR_FULL]++;
	at = lnx_ledger_index(tab, victim);
	c->sum[LNX_BOUND(at, LNX_LEDGER_SLOTS)].other_ns += ns;
	return 0;
take:
	at = LNX_BOUND(at, LNX_LEDGER_PAIRS);
	c->pairs[at].culprit = culprit;
	c->pairs[at].ns = ns;
	c->pairs[at].count = 1;
	c->pairs[at].victim = victim;
	c->pair_used[at / 64] |= 1ULL << (at % 64);
	return 0;
}

/* Charge the time since the last change to the node as victim and to the process that runs. Call
 * before any change of who runs or waits here. */
LNX_FN void lnx_ledger_tick(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab, __u64 now)
{
	__u64 ns = lnx_ledger_span(c, c->tick, now);
	__u32 others, own, at;

	c->tick = now;
	if (!c->n_wait || !ns)
		return;
	others = c->n_wait - c->n_up - c->n_thr;
	if (!others) {
		c->sum[LNX_BOUND(c->thr & (LNX_LEDGER_FIRST - 1), LNX_LEDGER_SLOTS)].node_ns += ns;
		return;
	}
	at = lnx_ledger_index(tab, c->cur);
	c->sum[LNX_BOUND(at, LNX_LEDGER_SLOTS)].node_ns += ns;
	if (c->cur_no_detail)
		return;
	c->proc_node_ns += ns;
	own = c->sum[LNX_BOUND(at, LNX_LEDGER_SLOTS)].pos;
	if (own && !c->wait[LNX_BOUND(own - 1, LNX_LEDGER_WAITS)].thr)
		others--;
	if (at != LNX_LEDGER_KERNEL && c->sum[LNX_LEDGER_KERNEL].pos)
		others--; /* kernel threads are not a workload that suffers */
	c->proc_caused_ns += ns * others;
}

/* The entry's queue was throttled: charge the throttle as long as it was, the rest to the slot that runs. */
LNX_SUB int lnx_ledger_charge_thr(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				  __u32 at, __u64 now)
{
	struct lnx_ledger_queue q = { 0 };
	struct lnx_ledger_wait *e;
	__u64 ns, thr_ns;
	__u32 code;

	if (!c || !tab)
		return 0;
	e = &c->wait[LNX_MASK(at, LNX_LEDGER_WAITS)];
	ns = now - e->since;
	e->since = now;
	code = e->thr;
	thr_ns = ns;
	if (e->queue && !lnx_prim_queue(e->queue, &q)) {
		/* A gap between two throttles goes to the quota too: rather that than a neighbour blamed
		 * for it. */
		if (q.throttled) {
			e->thr_base = q.total_ns;
		} else {
			if (q.exact && q.total_ns - e->thr_base < ns)
				thr_ns = q.total_ns - e->thr_base;
			e->thr = 0;
			if (!e->is_up)
				c->n_thr--;
		}
	}
	if (thr_ns)
		lnx_ledger_pair(c, tab, e->handle, code, thr_ns);
	if (ns > thr_ns)
		lnx_ledger_pair(c, tab, e->handle, c->cur, ns - thr_ns);
	return 0;
}

/* Charge entry <at>, which is not throttled, up to <now>. */
LNX_FN void lnx_ledger_charge_run(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				  __u32 at, __u64 now)
{
	struct lnx_ledger_wait *e = &c->wait[LNX_BOUND(at, LNX_LEDGER_WAITS)];
	__u32 slot;
	__u64 ns;

	/* It came after the moment that is being repaired: nothing to charge yet. */
	if (now <= e->since)
		return;
	ns = now - e->since;
	e->since = now;
	slot = lnx_ledger_slot(e->handle);
	if (e->handle == c->cur && tab->slot[slot].handle == e->handle)
		c->sum[slot].self_ns += ns;
	else
		lnx_ledger_pair(c, tab, e->handle, c->cur, ns);
}

/* Charge entry <at> up to <now>. */
LNX_FN void lnx_ledger_charge(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
			      __u32 at, __u64 now)
{
	struct lnx_ledger_wait *e = &c->wait[LNX_BOUND(at, LNX_LEDGER_WAITS)];

	if (!LNX_RARE(e->thr))
		lnx_ledger_charge_run(c, tab, at, now);
	else if (now > e->since)
		lnx_ledger_charge_thr(c, tab, at, now);
}

/* Charge every waiting entry. */
LNX_SUB int lnx_ledger_walk(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab, __u64 now)
{
	__u32 i;

	if (!c || !tab)
		return 0;
	c->count[LNX_LEDGER_N_WALKS]++;
	for (i = 0; i < LNX_LEDGER_WAITS; i++) {
		if (i >= c->n_wait)
			break;
		lnx_ledger_charge(c, tab, i, now);
	}
	return 0;
}

LNX_FN void lnx_ledger_throttle(struct lnx_ledger_cpu *c, struct lnx_ledger_wait *e, __u64 queue,
				__u64 base, __u32 thr)
{
	if (!e->thr && !e->is_up)
		c->n_thr++;
	e->thr = thr;
	e->queue = queue;
	e->thr_base = base;
	c->thr = thr;
}

/* A throttled task joins entry <at>, which was not. The deepest of all calls: where the kernel gives all of them 512 bytes of
 * stack together there is no room for a way that it does not go. */
LNX_SUB int lnx_ledger_join_thr(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				const struct lnx_ledger_join *j, __u32 at, __u64 now)
{
	if (!c || !tab || !j)
		return 0;
	at &= LNX_LEDGER_WAITS - 1;
	lnx_ledger_charge_run(c, tab, at, now);
	lnx_ledger_throttle(c, &c->wait[LNX_BOUND(at, LNX_LEDGER_WAITS)], j->queue, j->thr_base,
			    j->thr);
	return 0;
}

/* One more waits in <j>'s slot. A throttled queue wins over one that is not: within one slot nobody is
 * blamed for a quota. Returns the epoch of the entry, 0 if there is no place. */
LNX_FN __u32 lnx_ledger_enter_one(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				  const struct lnx_ledger_join *j, __u32 is_up, __u64 now)
{
	__u32 slot = lnx_ledger_slot(j->handle);
	__u32 at = c->sum[slot].pos;
	struct lnx_ledger_wait *e;

	if (at) {
		e = &c->wait[LNX_BOUND(at - 1, LNX_LEDGER_WAITS)];
		if (e->handle == j->handle) {
			e->n++;
			if (LNX_RARE(j->since < e->begin && e->since == e->begin)) {
				e->since = j->since; /* mail in the wrong order */
				e->begin = j->since;
			}
			if (LNX_RARE(j->thr && !e->thr))
				lnx_ledger_join_thr(c, tab, j, at - 1, now);
			else if (!e->thr)
				e->queue = j->queue;
			return e->epoch;
		}
		/* A former owner still waits here: it keeps the place, nothing moves to the heir. */
		c->count[LNX_LEDGER_N_SLOT_BUSY]++;
		return 0;
	}
	at = c->n_wait + 1;
	if (LNX_RARE(at >= LNX_LEDGER_WAITS) &&
	    !(at == LNX_LEDGER_WAITS && j->handle == LNX_LEDGER_OTHER)) {
		c->count[LNX_LEDGER_N_WAIT_FULL]++;
		return 0;
	}
	c->n_wait = at;
	c->lone = LNX_LEDGER_MANY;
	c->n_up += is_up;
	c->sum[slot].pos = at;
	e = &c->wait[LNX_BOUND(at - 1, LNX_LEDGER_WAITS)];
	lnx_ledger_mark(c, j->handle);
	if (!++c->epoch)
		c->epoch = 1;
	e->since = j->since;
	e->begin = j->since;
	e->queue = j->queue;
	e->thr_base = 0;
	e->handle = j->handle;
	e->up = 0;
	e->n = 1;
	e->epoch = c->epoch;
	e->thr = 0;
	e->is_up = is_up;
	e->n_spill = 0;
	if (LNX_RARE(j->thr))
		lnx_ledger_throttle(c, e, j->queue, j->thr_base, j->thr);
	return e->epoch;
}

/* Take entry <at> - 1 out of the set; <now> ends its wait. */
LNX_FN void lnx_ledger_close(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab, __u32 at,
			     __u64 now)
{
	struct lnx_ledger_wait *e = &c->wait[LNX_BOUND(at - 1, LNX_LEDGER_WAITS)];
	__u32 slot = LNX_LEDGER_SLOT(e->handle), last;

	lnx_ledger_charge(c, tab, at - 1, now);
	c->sum[LNX_BOUND(lnx_ledger_index(tab, e->handle), LNX_LEDGER_SLOTS)].wait_ns +=
		lnx_ledger_span(c, e->begin, now);
	if (e->is_up)
		c->n_up--;
	else if (e->thr)
		c->n_thr--;
	c->sum[LNX_MASK(slot, LNX_LEDGER_SLOTS)].pos = 0;
	last = c->n_wait - 1;
	c->n_wait = last;
	if (!last)
		c->lone = 0;
	if (last != at - 1) {
		*e = c->wait[LNX_BOUND(last, LNX_LEDGER_WAITS)];
		slot = LNX_LEDGER_SLOT(e->handle) & (LNX_LEDGER_SLOTS - 1);
		c->sum[LNX_BOUND(slot, LNX_LEDGER_SLOTS)].pos = at;
	}
}

/* One waits less in <handle>. <epoch> 0 matches any entry of the handle. Returns the set above that waits less by this. */
LNX_FN __u32 lnx_ledger_leave_one(struct lnx_ledger_cpu *c, const struct lnx_ledger_table *tab,
				  __u32 handle, __u32 epoch, __u64 now)
{
	__u32 slot = lnx_ledger_slot(handle);
	__u32 at = c->sum[slot].pos, up;
	struct lnx_ledger_wait *e;

	e = &c->wait[LNX_MASK(at - 1, LNX_LEDGER_WAITS)];
	if (LNX_RARE(!at || e->handle != handle || (epoch && e->epoch != epoch))) {
		c->count[LNX_LEDGER_N_STALE_LEAVE]++;
		return 0;
	}
	if (e->n > 1) {
		e->n--;
		return 0;
	}
	up = e->up;
	lnx_ledger_close(c, tab, at, now);
	return up;
}

#endif
