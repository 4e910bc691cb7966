/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Records of all CPUs become victims and parts, CPUs weighted as PSI weighs them. */
#include "window.h"

#include <stdlib.h>
#include <string.h>

static int by_victim(const void *a, const void *b)
{
	const struct record *x = a, *y = b;

	if (x->victim != y->victim)
		return x->victim < y->victim ? -1 : 1;
	if (x->cpu != y->cpu)
		return x->cpu < y->cpu ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->culprit < y->culprit ? -1 : x->culprit > y->culprit;
}

uint32_t stall_records_merge(struct record *r, uint32_t n)
{
	uint32_t last = 0;

	if (!n)
		return 0;
	qsort(r, n, sizeof(*r), by_victim);
	for (uint32_t i = 1; i < n; i++) {
		if (!by_victim(&r[last], &r[i]))
			r[last].ns += r[i].ns;
		else
			r[++last] = r[i];
	}
	return last + 1;
}

/* A part can be below zero when time in flight was given to a throttle and turned out to be somebody's:
 * take it from the largest parts of the same victim and CPU, so that the sum stays. */
static void settle(struct record *r, uint32_t n)
{
	int64_t debt = 0;

	for (uint32_t i = 0; i < n; i++)
		if (r[i].ns < 0) {
			debt -= r[i].ns;
			r[i].ns = 0;
		}
	for (uint32_t round = 0; debt && round < n; round++) {
		struct record *most = r;
		int64_t cut;

		for (uint32_t i = 1; i < n; i++)
			if (r[i].ns > most->ns)
				most = &r[i];
		cut = most->ns < debt ? most->ns : debt;
		most->ns -= cut;
		debt -= cut;
	}
}

static int is_own(const struct lnx_ledger_table *tab, uint32_t victim, uint32_t culprit)
{
	if (victim == culprit)
		return 1;
	if (victim == LNX_LEDGER_NODE)
		return culprit != LNX_LEDGER_IDLE &&
		       (culprit < LNX_LEDGER_THROTTLED || culprit >= LNX_LEDGER_FIRST);
	for (uint32_t k = 0; k < LNX_LEDGER_UPS && culprit >= LNX_LEDGER_FIRST; k++) {
		culprit = tab->slot[LNX_LEDGER_SLOT(culprit) % LNX_LEDGER_SLOTS].up;
		if (culprit == victim)
			return victim >= LNX_LEDGER_FIRST;
	}
	return 0;
}

static int by_culprit(const void *a, const void *b)
{
	const struct stall_part *x = a, *y = b;

	return x->culprit < y->culprit ? -1 : x->culprit > y->culprit;
}

/* Time on one CPU in which the victim ran or waited. */
static double nonidle(const struct lnx_ledger_table *tab, const struct record *r, uint32_t n,
		      uint64_t window)
{
	double ns = 0;

	for (uint32_t i = 0; i < n; i++)
		if (r[i].kind == REC_RUN ||
		    (r[i].kind == REC_PART && !is_own(tab, r[i].victim, r[i].culprit)))
			ns += (double)r[i].ns;
	return ns > (double)window ? (double)window : ns;
}

/* One part; a share of what a running task held goes to the hypervisor and to interrupts. Returns the parts made. */
static uint32_t split(const struct stall_shares *shares, const struct record *r, double weight,
		      struct stall_part *p)
{
	const uint32_t whom[] = { LNX_LEDGER_STEAL, LNX_LEDGER_IRQ };
	double share[] = { shares->steal ? shares->steal[r->cpu] : 0,
			   shares->irq ? shares->irq[r->cpu] : 0 };
	uint64_t raw = (uint64_t)r->ns, stall = (uint64_t)((double)r->ns * weight);
	uint32_t n = 1;

	for (uint32_t i = 0; i < 2; i++) {
		struct stall_part *q = &p[n];

		if (share[i] <= 0 || r->culprit == LNX_LEDGER_IDLE ||
		    (r->culprit >= LNX_LEDGER_THROTTLED && r->culprit < LNX_LEDGER_FIRST))
			continue;
		q->raw_ns = (uint64_t)((double)r->ns * share[i]);
		q->stall_ns = (uint64_t)((double)r->ns * weight * share[i]);
		if (q->raw_ns > raw || q->stall_ns > stall)
			continue;
		q->victim = r->victim;
		q->culprit = whom[i];
		raw -= q->raw_ns;
		stall -= q->stall_ns;
		n++;
	}
	p->victim = r->victim;
	p->culprit = r->culprit;
	p->raw_ns = raw;
	p->stall_ns = stall;
	return n;
}

uint32_t stall_records_fold(const struct lnx_ledger_table *tab, const struct stall_shares *shares,
			    struct record *r, uint32_t n, uint64_t window, struct stall_victim *v,
			    struct stall_part *p)
{
	double total = 0;
	uint32_t n_parts = 0, i, j, k;

	for (i = 0; i < n; i = j) {
		for (j = i; j < n && r[j].cpu == r[i].cpu; j++)
			;
		for (k = i; k < j && r[k].kind != REC_PART; k++)
			;
		settle(r + k, j - k);
		total += nonidle(tab, r + i, j - i, window);
	}
	memset(v, 0, sizeof(*v));
	v->handle = r[0].victim;
	v->nonidle_ns = (uint64_t)total;
	for (i = 0; i < n; i = j) {
		double own;

		for (j = i; j < n && r[j].cpu == r[i].cpu; j++)
			;
		own = nonidle(tab, r + i, j - i, window);
		for (k = i; k < j; k++) {
			if (r[k].kind == REC_CHECK)
				v->check_ns += (uint64_t)r[k].ns;
			if (r[k].kind != REC_PART || !r[k].ns)
				continue;
			n_parts += split(shares, &r[k], total > 0 ? own / total : 0, p + n_parts);
		}
	}
	qsort(p, n_parts, sizeof(*p), by_culprit);
	for (i = 0, j = 0; i < n_parts; i++) {
		v->raw_ns += p[i].raw_ns;
		v->stall_ns += p[i].stall_ns;
		if (j && p[j - 1].culprit == p[i].culprit) {
			p[j - 1].raw_ns += p[i].raw_ns;
			p[j - 1].stall_ns += p[i].stall_ns;
		} else {
			p[j++] = p[i];
		}
	}
	return j;
}
