/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Turns the state of the sched probe into windows: increments of every pair, what is in flight added,
 * summed per victim, weighted over CPUs as PSI does. */
#include "ledger.h"
#include "window.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define TRIES_MAX 64 /* looks at one CPU until it is at rest */

struct flight {
	uint32_t victim, culprit;
	uint32_t kind, pad;
	int64_t ns;
};

#define FLIGHTS (2 * (LNX_LEDGER_WAITS + (LNX_LEDGER_UPS + 1) * LNX_LEDGER_MAIL) + 7)

/* What the last look saw of one CPU. */
struct seen {
	uint32_t n_flights;
	uint32_t flight_tgid;
	uint32_t flight_handle;
	uint64_t flight_node_ns, flight_caused_ns;
	struct flight flights[FLIGHTS];
	uint64_t count[LNX_LEDGER_COUNTS];
	uint64_t runs[LNX_LEDGER_PROGS];
	struct lnx_ledger_prog prog[LNX_LEDGER_PROGS];
	struct lnx_ledger_sum sum[LNX_LEDGER_SLOTS];
	struct lnx_ledger_proc procs[LNX_LEDGER_PROCS];
	struct lnx_ledger_pair pairs[LNX_LEDGER_PAIRS];
};

struct stall_ledger {
	const char *cpus;
	struct lnx_ledger_table *tab;
	uint32_t n_cpus, n_recs, cap_recs, cap_out, cap_procs, n_procs;
	uint64_t last_ns, dropped;
	int is_short; /* no memory during this look */
	struct record *recs;
	struct stall_victim *victims;
	struct stall_part *parts;
	struct stall_proc *procs;
	struct lnx_ledger_cpu *copy;
	struct seen *seen;
	struct stall_shares shares;
};

struct stall_ledger *stall_ledger_new(const void *cpus, uint32_t n_cpus,
				      struct lnx_ledger_table *tab)
{
	struct stall_ledger *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->cpus = cpus;
	l->tab = tab;
	l->n_cpus = n_cpus;
	l->copy = calloc(1, sizeof(*l->copy));
	l->seen = calloc(n_cpus, sizeof(*l->seen));
	if (!l->copy || !l->seen) {
		stall_ledger_free(l);
		return NULL;
	}
	return l;
}

void stall_ledger_free(struct stall_ledger *l)
{
	if (!l)
		return;
	free(l->recs);
	free(l->victims);
	free(l->parts);
	free(l->procs);
	free(l->copy);
	free(l->seen);
	free(l);
}

static void add(struct stall_ledger *l, uint32_t cpu, uint32_t kind, uint32_t victim,
		uint32_t culprit, int64_t ns)
{
	struct record *r;

	if (!ns)
		return;
	if (l->n_recs == l->cap_recs) {
		uint32_t cap = l->cap_recs ? 2 * l->cap_recs : 1024;

		if (cap > STALL_RECORDS_MAX) {
			l->dropped++;
			return;
		}
		r = realloc(l->recs, cap * sizeof(*r));
		if (!r) {
			l->is_short = 1;
			return;
		}
		l->recs = r;
		l->cap_recs = cap;
	}
	l->recs[l->n_recs++] = (struct record){ victim, culprit, cpu, kind, ns };
}

/* Copy what is used of <from>, under its sequence. Returns 0, or 1 if it never was at rest. */
static int copy_cpu(struct lnx_ledger_cpu *to, const struct lnx_ledger_cpu *from)
{
	for (int t = 0; t < TRIES_MAX; t++) {
		uint32_t seq = __atomic_load_n(&from->seq, __ATOMIC_ACQUIRE);

		memcpy(to, from, offsetof(struct lnx_ledger_cpu, sum));
		to->slot_used[0] |= (1ULL << LNX_LEDGER_FIRST) - 1; /* the pseudo slots always */
		for (uint32_t w = 0; w < LNX_LEDGER_SLOTS / 64; w++) {
			for (uint64_t m = to->slot_used[w]; m; m &= m - 1) {
				uint32_t s = w * 64 + (uint32_t)__builtin_ctzll(m);

				to->sum[s] = from->sum[s];
			}
		}
		for (uint32_t w = 0; w < LNX_LEDGER_PAIRS / 64; w++)
			for (uint64_t m = to->pair_used[w]; m; m &= m - 1) {
				uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(m);

				to->pairs[i] = from->pairs[i];
			}
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!(seq & 1) && __atomic_load_n(&from->seq, __ATOMIC_RELAXED) == seq)
			return 0;
	}
	return 1;
}

static uint64_t span(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

static void fly(struct seen *s, uint32_t kind, uint32_t victim, uint32_t culprit, uint64_t ns)
{
	if (s->n_flights < FLIGHTS)
		s->flights[s->n_flights++] =
			(struct flight){ victim, culprit, kind, 0, (int64_t)ns };
}

static uint32_t up_of(const struct lnx_ledger_table *tab, uint32_t handle)
{
	return tab->slot[LNX_LEDGER_SLOT(handle) % LNX_LEDGER_SLOTS].up;
}

static void fly_wait(struct seen *s, uint32_t victim, uint32_t culprit, uint64_t ns)
{
	for (uint32_t k = 0; k < s->n_flights; k++)
		if (s->flights[k].kind != REC_RUN && s->flights[k].victim == victim)
			return; /* waits here already */
	fly(s, REC_PART, victim, culprit, ns);
	fly(s, REC_CHECK, victim, 0, ns);
}

/* Waits on their way to this CPU. Returns the age of the oldest. */
static uint64_t take_mail(struct seen *s, const struct lnx_ledger_cpu *c,
			  const struct lnx_ledger_table *tab, uint64_t now)
{
	uint64_t oldest = 0;

	for (uint32_t i = 0; i < LNX_LEDGER_MAIL; i++) {
		const struct lnx_ledger_mail *m = &c->mail[i];
		uint32_t handle = (uint32_t)(m->word >> 32);
		uint32_t age = (uint32_t)((now >> LNX_LEDGER_MAIL_SHIFT) - m->word);
		uint64_t ns = (uint64_t)age << LNX_LEDGER_MAIL_SHIFT;
		uint32_t up = handle;

		if (m->word <= 1 || age >> 31)
			continue;
		for (uint32_t k = 0; up && k <= LNX_LEDGER_UPS; k++) {
			fly_wait(s, up, c->cur, ns);
			up = up_of(tab, up);
		}
		if (ns > oldest)
			oldest = ns;
	}
	return oldest;
}

/* Charged, but not yet in the sums. */
static void take_own(struct seen *s, const struct lnx_ledger_cpu *c)
{
	fly(s, REC_PART, c->cur, c->cur, c->own_ns);
	fly(s, REC_CHECK, c->cur, 0, c->own_ns);
	fly(s, REC_PART, LNX_LEDGER_NODE, c->cur, c->own_ns);
}

/* The one task that waits as an entry like others. */
static void give_entry(struct lnx_ledger_cpu *c)
{
	c->n_wait = 1;
	c->wait[0] = (struct lnx_ledger_wait){
		.since = c->tick, .begin = c->tick, .handle = c->lone_handle, .n = 1
	};
}

/* What the CPU has not charged yet: it goes to whoever it would go to now. */
static void take_flights(struct seen *s, const struct lnx_ledger_cpu *c,
			 const struct lnx_ledger_table *tab, uint64_t now)
{
	uint32_t others = c->n_wait - c->n_up - c->n_thr;
	uint64_t ns = span(c->tick, now), posted;

	s->n_flights = 0;
	s->flight_node_ns = 0;
	s->flight_caused_ns = 0;
	if (!c->since) {
		take_own(s, c);
		return;
	}
	fly(s, REC_RUN, c->cur, 0, span(c->since, now));
	for (uint32_t i = 0; i < c->n_wait && i < LNX_LEDGER_WAITS; i++) {
		const struct lnx_ledger_wait *e = &c->wait[i];

		fly(s, REC_PART, e->handle, e->thr ? e->thr : c->cur, span(e->since, now));
		fly(s, REC_CHECK, e->handle, 0, span(e->begin, now));
		for (uint32_t up = stall_is_lone(c) ? up_of(tab, e->handle) : 0, k = 0;
		     up && k < LNX_LEDGER_UPS; k++, up = up_of(tab, up))
			fly_wait(s, up, c->cur, span(e->since, now));
		if (!e->thr && !e->is_up && (e->handle == c->cur || e->handle == LNX_LEDGER_KERNEL))
			others--;
	}
	posted = take_mail(s, c, tab, now);
	if (!c->n_wait) {
		ns = posted;
		others = 0; /* a lower bound: a sum may not shrink */
	} else if (c->n_wait == c->n_up + c->n_thr) {
		fly(s, REC_PART, LNX_LEDGER_NODE, c->thr, ns);
		ns = 0;
	}
	fly(s, REC_PART, LNX_LEDGER_NODE, c->cur, ns);
	take_own(s, c); /* last: it is no wait that mail could join */
	/* As the probe sees it, which learns of a change at a switch. */
	s->flight_tgid = c->cur_no_detail ? 0 : c->cur_tgid;
	s->flight_handle = c->cur;
	s->flight_node_ns = c->proc_node_ns + ns;
	s->flight_caused_ns = c->proc_caused_ns + ns * (others < LNX_LEDGER_WAITS ? others : 0);
}

/* The slot ran, and so did the sets above it, and the node unless it was idle. */
static void add_run(struct stall_ledger *l, uint32_t cpu, uint32_t handle, int64_t ns)
{
	if (handle != LNX_LEDGER_IDLE)
		add(l, cpu, REC_RUN, LNX_LEDGER_NODE, 0, ns);
	for (uint32_t k = 0; k <= LNX_LEDGER_UPS && (handle || !k); k++) {
		add(l, cpu, REC_RUN, handle, 0, ns);
		handle = up_of(l->tab, handle);
	}
}

static void add_flights(struct stall_ledger *l, const struct seen *s, uint32_t cpu, int sign)
{
	for (uint32_t i = 0; i < s->n_flights; i++) {
		const struct flight *f = &s->flights[i];

		if (f->kind == REC_RUN)
			add_run(l, cpu, f->victim, sign * f->ns);
		else
			add(l, cpu, f->kind, f->victim, f->culprit, sign * f->ns);
	}
}

/* Increments of what is kept by slot. */
static void add_slots(struct stall_ledger *l, struct seen *s, const struct lnx_ledger_cpu *c,
		      uint32_t cpu)
{
	for (uint32_t w = 0; w < LNX_LEDGER_SLOTS / 64; w++) {
		for (uint64_t m = c->slot_used[w]; m; m &= m - 1) {
			uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(m);
			uint32_t h = i < LNX_LEDGER_FIRST ? i : l->tab->slot[i].handle;
			const struct lnx_ledger_sum *to = &c->sum[i];
			struct lnx_ledger_sum *from = &s->sum[i];

			add_run(l, cpu, h, (int64_t)(to->run_ns - from->run_ns));
			add(l, cpu, REC_CHECK, h, 0, (int64_t)(to->wait_ns - from->wait_ns));
			add(l, cpu, REC_PART, h, LNX_LEDGER_OTHER,
			    (int64_t)(to->other_ns - from->other_ns));
			add(l, cpu, REC_PART, h, h, (int64_t)(to->self_ns - from->self_ns));
			add(l, cpu, REC_PART, LNX_LEDGER_NODE, h,
			    (int64_t)(to->node_ns - from->node_ns));
			*from = *to;
		}
	}
}

static void add_pairs(struct stall_ledger *l, struct seen *s, const struct lnx_ledger_cpu *c,
		      uint32_t cpu)
{
	for (uint32_t w = 0; w < LNX_LEDGER_PAIRS / 64; w++) {
		for (uint64_t m = c->pair_used[w]; m; m &= m - 1) {
			uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(m);
			const struct lnx_ledger_pair *p = &c->pairs[i];
			struct lnx_ledger_pair *q = &s->pairs[i];

			if (p->victim != q->victim || p->culprit != q->culprit)
				q->ns = 0;
			add(l, cpu, REC_PART, p->victim, p->culprit, (int64_t)(p->ns - q->ns));
			*q = *p;
		}
	}
}

static struct stall_proc *proc_row(struct stall_ledger *l)
{
	if (l->n_procs == l->cap_procs) {
		uint32_t cap = l->cap_procs ? 2 * l->cap_procs : 256;
		struct stall_proc *p = realloc(l->procs, cap * sizeof(*p));

		if (!p) {
			l->is_short = 1;
			return NULL;
		}
		l->procs = p;
		l->cap_procs = cap;
	}
	memset(&l->procs[l->n_procs], 0, sizeof(l->procs[0]));
	return &l->procs[l->n_procs++];
}

/* Detail of processes: read beside the sequence; a row that changes meanwhile is right next time. */
static void add_procs(struct stall_ledger *l, struct seen *s, const struct lnx_ledger_cpu *live)
{
	for (uint32_t i = 0; i < LNX_LEDGER_PROCS; i++) {
		struct lnx_ledger_proc p, *q = &s->procs[i];
		struct stall_proc *row;

		if (!live->procs[i].tgid || live->procs[i].last_ns == q->last_ns)
			continue;
		p = live->procs[i];
		if (p.tgid != q->tgid || p.handle != q->handle || p.node_ns < q->node_ns)
			memset(q, 0, sizeof(*q));
		row = proc_row(l);
		if (!row)
			return;
		row->tgid = p.tgid;
		row->handle = p.handle;
		row->node_ns = p.node_ns - q->node_ns;
		row->caused_ns = span(q->caused_ns, p.caused_ns);
		row->start_ns = p.start_ns;
		memcpy(row->comm, p.comm, sizeof(row->comm));
		row->comm[sizeof(row->comm) - 1] = 0;
		*q = p;
	}
}

static void add_proc_flight(struct stall_ledger *l, const struct seen *s, int sign)
{
	struct stall_proc *row;

	if (!s->flight_node_ns || !s->flight_tgid)
		return;
	row = proc_row(l);
	if (!row)
		return;
	row->tgid = s->flight_tgid;
	row->handle = s->flight_handle;
	row->node_ns = (uint64_t)(sign * (int64_t)s->flight_node_ns);
	row->caused_ns = (uint64_t)(sign * (int64_t)s->flight_caused_ns);
}

static void look(struct stall_ledger *l, uint32_t cpu, uint64_t now, struct stall_window *w)
{
	const struct lnx_ledger_cpu *live = (const void *)(l->cpus + cpu * STALL_CPU_STRIDE);
	struct lnx_ledger_cpu *c = l->copy;
	struct seen *s = &l->seen[cpu];

	w->torn += (uint32_t)copy_cpu(c, live);
	if (stall_is_lone(c))
		give_entry(c);
	add_flights(l, s, cpu, -1);
	add_proc_flight(l, s, -1);
	take_flights(s, c, l->tab, now);
	add_flights(l, s, cpu, 1);
	add_proc_flight(l, s, 1);
	add_slots(l, s, c, cpu);
	add_pairs(l, s, c, cpu);
	add_procs(l, s, live);
	for (uint32_t i = 0; i < LNX_LEDGER_COUNTS; i++) {
		w->count[i] += c->count[i] - s->count[i];
		s->count[i] = c->count[i];
	}
	for (uint32_t i = 0; i < LNX_LEDGER_PROGS; i++) {
		w->runs[i] += c->runs[i] - s->runs[i];
		s->runs[i] = c->runs[i];
		w->prog[i].timed += c->prog[i].timed - s->prog[i].timed;
		w->prog[i].timed_ns += c->prog[i].timed_ns - s->prog[i].timed_ns;
		s->prog[i] = c->prog[i];
	}
}

static int is_proc_before(const void *a, const void *b)
{
	const struct stall_proc *x = a, *y = b;

	if (x->tgid != y->tgid)
		return x->tgid < y->tgid ? -1 : 1;
	return x->handle < y->handle ? -1 : x->handle > y->handle;
}

static void fold_procs(struct stall_ledger *l)
{
	uint32_t n = 0;

	if (!l->n_procs)
		return;
	qsort(l->procs, l->n_procs, sizeof(*l->procs), is_proc_before);
	for (uint32_t i = 1; i < l->n_procs; i++) {
		struct stall_proc *p = &l->procs[n], *q = &l->procs[i];

		if (is_proc_before(p, q)) {
			l->procs[++n] = *q;
			continue;
		}
		p->node_ns += q->node_ns;
		p->caused_ns += q->caused_ns;
		if (q->start_ns) {
			p->start_ns = q->start_ns;
			memcpy(p->comm, q->comm, sizeof(p->comm));
		}
	}
	l->n_procs = n + 1;
	for (uint32_t i = 0; i < l->n_procs; i++) {
		if ((int64_t)l->procs[i].node_ns < 0)
			l->procs[i].node_ns = 0;
		if ((int64_t)l->procs[i].caused_ns < 0)
			l->procs[i].caused_ns = 0;
	}
}

static int room(struct stall_ledger *l)
{
	struct stall_victim *v;
	struct stall_part *p;

	if (l->cap_out >= l->n_recs)
		return 0;
	v = realloc(l->victims, l->cap_recs * sizeof(*v));
	if (v)
		l->victims = v;
	p = realloc(l->parts, STALL_PARTS_OF * (size_t)l->cap_recs * sizeof(*p));
	if (p)
		l->parts = p;
	if (!v || !p)
		return -ENOMEM;
	l->cap_out = l->cap_recs;
	return 0;
}

void stall_ledger_shares(struct stall_ledger *l, const double *steal, const double *irq)
{
	l->shares.steal = steal;
	l->shares.irq = irq;
}

int stall_ledger_read(struct stall_ledger *l, uint64_t now_ns, struct stall_window *ret_w)
{
	struct stall_window *w = ret_w;
	uint64_t from = l->last_ns;
	uint32_t i, j, n;

	memset(w, 0, sizeof(*w));
	l->n_recs = 0;
	l->n_procs = 0;
	l->dropped = 0;
	l->is_short = 0;
	for (i = 0; i < l->n_cpus; i++)
		look(l, i, now_ns, w);
	l->last_ns = now_ns;
	w->from_ns = from ? from : now_ns;
	w->to_ns = now_ns;
	l->n_recs = stall_records_merge(l->recs, l->n_recs);
	if (l->is_short || room(l))
		return -ENOMEM;
	w->dropped = l->dropped;
	if (!from)
		return 0;
	for (i = 0; i < l->n_recs; i = j) {
		for (j = i; j < l->n_recs && l->recs[j].victim == l->recs[i].victim; j++)
			if (l->recs[j].kind == REC_RUN)
				w->run_ns[LNX_LEDGER_SLOT(l->recs[j].victim) % LNX_LEDGER_SLOTS] +=
					(uint64_t)l->recs[j].ns;
		n = stall_records_fold(l->tab, &l->shares, l->recs + i, j - i, now_ns - from,
				       &l->victims[w->n_victims], l->parts + w->n_parts);
		if (!n)
			continue;
		l->victims[w->n_victims].first = w->n_parts;
		l->victims[w->n_victims++].n = n;
		w->n_parts += n;
	}
	fold_procs(l);
	w->victims = l->victims;
	w->parts = l->parts;
	w->procs = l->procs;
	w->n_procs = l->n_procs;
	return 0;
}
