/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Counters of stalls by workload and by pair, within a budget of series. A value never moves: before a pair is admitted
 * its time goes to _other, and stays there. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stall.h"

#define PAIRS_KEPT  2048	       /* candidates watched at a time */
#define ADMIT_NS    STALL_SEC	       /* of stall */
#define ADMIT_IN_NS (600 * STALL_SEC)  /* in that time */
#define END_NS	    (3600 * STALL_SEC) /* without stall a series ends */
#define SERIES_MAX  100000

static const char *const victim_labels[] = { "victim_namespace", "victim_workload", "resource",
					     "kind", NULL };
static const char *const pair_labels[] = { "resource",
					   "victim_namespace",
					   "victim_workload",
					   "culprit_kind",
					   "culprit_namespace",
					   "culprit_workload",
					   NULL };
static const char *const resource_labels[] = { "resource", NULL };
static const char *const resources[] = { "cpu", "memory", "io" };
static const char *const kinds[] = { "self", "sibling", "neighbour", "throttled", "kernel",
				     "irq",  "steal",	"idle",	     "other" };

static const struct lnx_metric_desc stall_desc = {
	.name = "linnix_workload_stall_seconds_total",
	.help = "Wall time in which tasks of a workload waited for a resource, as PSI counts it.",
	.kind = LNX_COUNTER,
	.labels = victim_labels,
	.max_series = SERIES_MAX,
};
static const struct lnx_metric_desc pair_desc = {
	.name = "linnix_blame_stall_seconds_total",
	.help = "The part of a workload's stall that another held, or that has another kind of cause.",
	.kind = LNX_COUNTER,
	.labels = pair_labels,
	.max_series = SERIES_MAX,
};
static const struct lnx_metric_desc coverage_desc = {
	.name = "linnix_blame_coverage_ratio",
	.help = "Agreement of the ledger with the kernel's PSI, over all victims of the last window.",
	.kind = LNX_GAUGE,
	.labels = resource_labels,
};
static const struct lnx_metric_desc evicted_desc = {
	.name = "linnix_blame_series_evicted_total",
	.help = "Series of workloads and pairs that ended after an idle hour.",
	.kind = LNX_COUNTER,
};
static const struct lnx_metric_desc windows_desc = {
	.name = "linnix_stall_windows_evicted_total",
	.help = "Windows of stalls dropped before their time, for want of memory.",
	.kind = LNX_COUNTER,
};
static const struct lnx_metric_desc limits_desc = {
	.name = "linnix_stall_limits_refused_total",
	.help = "Quotas and limits of memory that found no place to be remembered, and are shown as unknown.",
	.kind = LNX_COUNTER,
};
static const struct lnx_metric_desc unequal_desc = {
	.name = "linnix_stall_unequal_total",
	.help = "Stalls of a window whose parts and whose wait, summed apart, were not the same.",
	.kind = LNX_COUNTER,
};
static const struct lnx_metric_desc count_desc = {
	.name = "linnix_ledger_repairs_total",
	.help = "What the CPU ledger missed, repaired or could not keep, by reason.",
	.kind = LNX_COUNTER,
	.labels = (const char *const[]){ "reason", NULL },
};

/* One series, or one that may become one. */
struct series {
	char *key; /* label values in a row, each with its NUL; owned. NULL: free */
	uint32_t n_key, is_pair;
	struct lnx_metric *metric; /* NULL: not admitted */
	double pending;		   /* seconds since <since_ns>, all of them in _other */
	uint64_t since_ns, last_ns;
};

struct stall_metrics {
	struct series *series;		   /* PAIRS_KEPT */
	uint32_t n_admitted[2], budget[2]; /* workloads, pairs */
	struct lnx_metric *coverage[LNX_RES_N], *evicted, *windows, *unequal, *limits,
		*count[LNX_LEDGER_COUNTS];
};

int stall_metrics_new(struct stall *s)
{
	const char *text = s->host->conf_get(s->ctx, "budget.series"), *cpu[] = { "cpu", NULL };
	uint32_t budget = text ? (uint32_t)strtoul(text, NULL, 10) : 300;
	struct stall_metrics *m = calloc(1, sizeof(*m));
	int rc = 0;

	s->metrics = m;
	if (!m)
		return -ENOMEM;
	m->series = calloc(PAIRS_KEPT, sizeof(*m->series));
	m->budget[1] = budget / 2;
	m->budget[0] = budget - m->budget[1];
	if (!m->series)
		rc = -ENOMEM;
	rc = rc ? rc : s->host->metric(s->ctx, &coverage_desc, cpu, &m->coverage[LNX_RES_CPU]);
	rc = rc ? rc : s->host->metric(s->ctx, &evicted_desc, NULL, &m->evicted);
	rc = rc ? rc : s->host->metric(s->ctx, &windows_desc, NULL, &m->windows);
	rc = rc ? rc : s->host->metric(s->ctx, &unequal_desc, NULL, &m->unequal);
	rc = rc ? rc : s->host->metric(s->ctx, &limits_desc, NULL, &m->limits);
	for (uint32_t i = 0; !rc && stall_count_name(i); i++) {
		const char *reason[] = { stall_count_name(i), NULL };

		if (i != LNX_LEDGER_N_MIGRATED && i != LNX_LEDGER_N_WALKS)
			rc = s->host->metric(s->ctx, &count_desc, reason, &m->count[i]);
	}
	return rc;
}

void stall_metrics_free(struct stall *s)
{
	for (uint32_t i = 0; s->metrics && s->metrics->series && i < PAIRS_KEPT; i++)
		free(s->metrics->series[i].key);
	if (s->metrics)
		free(s->metrics->series);
	free(s->metrics);
	s->metrics = NULL;
}

static void series_end(struct stall *s, struct series *e)
{
	if (e->metric) {
		s->host->metric_del(s->ctx, e->metric);
		s->metrics->n_admitted[e->is_pair]--;
		s->host->metric_add(s->ctx, s->metrics->evicted, 1);
	}
	free(e->key);
	memset(e, 0, sizeof(*e));
}

/* Label values as one text. */
static uint32_t join(char *buf, uint32_t cap, const char *const *values)
{
	uint32_t n = 0;

	for (; *values; values++) {
		uint32_t len = (uint32_t)strlen(*values) + 1;

		if (n + len > cap)
			return 0;
		memcpy(buf + n, *values, len);
		n += len;
	}
	return n;
}

static struct series *series_of(struct stall *s, const char *const *values, uint32_t is_pair,
				uint64_t now_ns)
{
	struct series *free_one = NULL, *e;
	char key[2048];
	uint32_t n = join(key, sizeof(key), values);

	for (uint32_t i = 0; n && i < PAIRS_KEPT; i++) {
		e = &s->metrics->series[i];
		if (e->key && e->n_key == n && e->is_pair == is_pair && !memcmp(e->key, key, n))
			return e;
		/* A candidate that was quiet for its time gives way. */
		if (e->key && e->last_ns + (e->metric ? END_NS : ADMIT_IN_NS) < now_ns)
			series_end(s, e);
		if (!e->key && !free_one)
			free_one = e;
	}
	if (!n || !free_one)
		return NULL;
	free_one->key = malloc(n);
	if (!free_one->key)
		return NULL;
	memcpy(free_one->key, key, n);
	free_one->n_key = n;
	free_one->is_pair = is_pair;
	free_one->since_ns = now_ns;
	return free_one;
}

/* Add <seconds> to the series of <values>, or to <other> while it is not admitted. */
static void count(struct stall *s, const struct lnx_metric_desc *desc, const char *const *values,
		  const char *const *other, double seconds, uint64_t now_ns)
{
	uint32_t is_pair = desc == &pair_desc;
	struct series *e = series_of(s, values, is_pair, now_ns);
	struct lnx_metric *m = e ? e->metric : NULL;

	if (e) {
		e->last_ns = now_ns;
		if (e->since_ns + ADMIT_IN_NS < now_ns && !m) {
			e->since_ns = now_ns;
			e->pending = 0;
		}
		e->pending += seconds;
	}
	if (!m && s->host->metric(s->ctx, desc, other, &m) < 0)
		return; /* the host counts it */
	s->host->metric_add(s->ctx, m, seconds);
	if (e && !e->metric && e->pending * 1e9 >= (double)ADMIT_NS &&
	    s->metrics->n_admitted[is_pair] < s->metrics->budget[is_pair] &&
	    s->host->metric(s->ctx, desc, values, &e->metric) == 0)
		s->metrics->n_admitted[is_pair]++;
}

/* One row of the sum, and its cells. */
static void count_row(struct stall *s, const struct stall_sum *sum, const struct stall_sum_row *row)
{
	const struct stall_row *r = &row->r;
	const struct stall_who *victim = &s->whos.who[r->who], *culprit;
	const char *resource = resources[r->resource % LNX_RES_N];
	const char *some[] = { victim->namespace_, victim->workload, resource, "some", NULL };
	const char *some_other[] = { "", "_other", resource, "some", NULL };
	const char *full[] = { victim->namespace_, victim->workload, resource, "full", NULL };
	const char *full_other[] = { "", "_other", resource, "full", NULL };

	if (r->stalled_ns)
		count(s, &stall_desc, some, some_other, (double)r->stalled_ns / 1e9, sum->to_ns);
	if (r->full_ns != STALL_UNKNOWN && r->full_ns)
		count(s, &stall_desc, full, full_other, (double)r->full_ns / 1e9, sum->to_ns);
	for (uint32_t i = row->head; i; i = sum->cells[i - 1].next) {
		const struct stall_cell *c = &sum->cells[i - 1].c;
		const char *kind = kinds[c->kind % LNX_STALL_KINDS];

		culprit = c->culprit < STALL_WHO_MAX && c->kind != LNX_STALL_SELF
				  ? &s->whos.who[c->culprit]
				  : NULL;
		const char *values[] = { resource,
					 victim->namespace_,
					 victim->workload,
					 kind,
					 culprit ? culprit->namespace_ : "",
					 culprit ? culprit->workload : "",
					 NULL };
		const char *other[] = { resource, "", "_other", kind, "", "_other", NULL };

		if (c->stall_ns)
			count(s, &pair_desc, values, other, (double)c->stall_ns / 1e9, sum->to_ns);
	}
}

/* Series are of workloads, each a wait set of its own. */
static void count_workloads(struct stall *s, const struct stall_win *w)
{
	struct stall_sum sum = { .levels = &s->levels };

	stall_level_make(&s->whos, STALL_BY_WORKLOAD, &s->levels);
	/* No memory: this window is missing from the counters, as it is from the history. */
	if (!stall_sum_add(&sum, w))
		for (uint32_t i = 0; i < sum.n_rows; i++)
			if (sum.rows[i].r.who != STALL_WHO_NODE) /* it is no workload */
				count_row(s, &sum, &sum.rows[i]);
	stall_sum_done(&sum);
}

/* A resource has a series from its first window that can be compared. */
static void set_coverage(struct stall *s, const struct stall_win *w, uint32_t resource)
{
	double lost = resource == LNX_RES_CPU ? stall_lost_ratio(w->lost, w->events) : 0, coverage;
	struct stall_row all = { .method = LNX_METHOD_EXACT, .psi_ns = 0 };
	const char *name[] = { resources[resource], NULL };
	struct lnx_metric **m = &s->metrics->coverage[resource];

	for (uint32_t i = 0; i < w->n_rows; i++) {
		const struct stall_row *r = &w->rows[i];

		if (r->resource == resource && r->method != LNX_METHOD_PSI_ONLY &&
		    !s->whos.who[r->who].level && r->psi_ns != STALL_UNKNOWN) {
			all.psi_ns += r->psi_ns;
			all.cover_ns += r->cover_ns;
		}
	}
	coverage = stall_coverage(&all, lost);
	if (!isnan(coverage) && (*m || !s->host->metric(s->ctx, &coverage_desc, name, m)))
		s->host->metric_set(s->ctx, *m, coverage);
}

void stall_metrics_add(struct stall *s, const struct stall_win *w)
{
	struct stall_metrics *m = s->metrics;
	count_workloads(s, w);
	for (uint32_t res = 0; res < LNX_RES_N; res++)
		set_coverage(s, w, res);
	s->host->metric_set(s->ctx, m->windows, (double)s->store.evicted);
	s->host->metric_set(s->ctx, m->unequal, (double)s->unequal);
	s->host->metric_set(s->ctx, m->limits, (double)s->whos.limits_refused);
	for (uint32_t i = 0; s->probe.ledger && i < LNX_LEDGER_COUNTS; i++)
		if (m->count[i] && s->look->count[i])
			s->host->metric_add(s->ctx, m->count[i], (double)s->look->count[i]);
}
