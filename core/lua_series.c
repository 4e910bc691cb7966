/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Series in fixed memory. Each bucket keeps the means, squares and products of its points around their own middle, which
 * stay exact for large values; reading joins the buckets. */
#include "lua_series.h"

#include <math.h>
#include <string.h>

#define SERIES_BUCKETS 16 /* and one more: the bucket that fills */

struct series_bucket {
	double n; /* points; 0: empty, and nothing else counts */
	double first, min, max;
	double first_s; /* seconds after the base */
	double mean_t, mean_v;
	double m2_t, m2_v, c_tv; /* sums of squares and of products around the means */
};

struct series_head {
	uint64_t newest; /* number of the bucket that fills, from time 0; 0: never used */
	uint64_t base_ns;
	double last, last_s;
};

void lnx_series_layout(struct lnx_series *s)
{
	s->bucket_ns = s->over_ns / SERIES_BUCKETS;
	s->n_buckets = SERIES_BUCKETS + 1;
	s->bytes = sizeof(struct series_head) + s->n_buckets * sizeof(struct series_bucket);
}

void lnx_series_clear(const struct lnx_series *s, void *state)
{
	memset(state, 0, s->bytes);
}

/* Empty what has left the series at <now_ns>; returns the index of the bucket that fills. */
static unsigned series_advance(const struct lnx_series *s, struct series_head *h, uint64_t now_ns)
{
	struct series_bucket *b = (struct series_bucket *)(h + 1);
	uint64_t bucket = now_ns / s->bucket_ns + 1;

	if (bucket > h->newest) {
		if (h->newest == 0 || bucket - h->newest >= s->n_buckets) {
			memset(b, 0, s->n_buckets * sizeof(*b));
			h->newest = bucket;
		}
		while (h->newest < bucket)
			b[++h->newest % s->n_buckets].n = 0;
	}
	return (unsigned)(h->newest % s->n_buckets);
}

void lnx_series_add(const struct lnx_series *s, void *state, uint64_t now_ns, double v)
{
	struct series_head *h = state;
	struct series_bucket *b;
	double t, dt, dv;

	if (!isfinite(v))
		return;
	b = (struct series_bucket *)(h + 1) + series_advance(s, h, now_ns);
	if (!h->base_ns)
		h->base_ns = now_ns;
	t = now_ns > h->base_ns ? (double)(now_ns - h->base_ns) / 1e9 : 0;
	if (t < h->last_s)
		t = h->last_s;
	if (b->n == 0)
		*b = (struct series_bucket){ .first = v, .min = v, .max = v, .first_s = t };
	b->n += 1;
	dt = t - b->mean_t;
	dv = v - b->mean_v;
	b->mean_t += dt / b->n;
	b->mean_v += dv / b->n;
	b->m2_t += dt * (t - b->mean_t);
	b->m2_v += dv * (v - b->mean_v);
	b->c_tv += dt * (v - b->mean_v);
	b->min = v < b->min ? v : b->min;
	b->max = v > b->max ? v : b->max;
	h->last = v;
	h->last_s = t;
}

static void series_join(struct series_bucket *to, const struct series_bucket *b)
{
	double n = to->n + b->n, dt = b->mean_t - to->mean_t, dv = b->mean_v - to->mean_v;
	double w = to->n * b->n / n;

	to->m2_t += b->m2_t + dt * dt * w;
	to->m2_v += b->m2_v + dv * dv * w;
	to->c_tv += b->c_tv + dt * dv * w;
	to->mean_t += dt * b->n / n;
	to->mean_v += dv * b->n / n;
	to->min = b->min < to->min ? b->min : to->min;
	to->max = b->max > to->max ? b->max : to->max;
	to->n = n;
}

/* All points of the series at <now_ns> in one bucket; its n is 0 when there is none. */
static struct series_bucket series_all(const struct lnx_series *s, struct series_head *h,
				       uint64_t now_ns)
{
	const struct series_bucket *b = (const struct series_bucket *)(h + 1);
	unsigned i = series_advance(s, h, now_ns), k;
	struct series_bucket all = { .n = 0 };

	/* from the oldest: it holds the first value */
	for (k = 1; k <= s->n_buckets; k++) {
		const struct series_bucket *one = &b[(i + k) % s->n_buckets];

		if (one->n > 0 && all.n > 0)
			series_join(&all, one);
		else if (one->n > 0)
			all = *one;
	}
	return all;
}

double lnx_series_read(const struct lnx_series *s, void *state, unsigned part, uint64_t now_ns)
{
	struct series_head *h = state;
	struct series_bucket all = series_all(s, h, now_ns);

	if (part == LNX_SERIES_COUNT)
		return all.n;
	if (all.n == 0)
		return NAN;
	switch (part) {
	case LNX_SERIES_LAST:
		return h->last;
	case LNX_SERIES_MIN:
		return all.min;
	case LNX_SERIES_MAX:
		return all.max;
	case LNX_SERIES_MEAN:
		return all.mean_v;
	case LNX_SERIES_SLOPE:
		return all.m2_t > 0 ? all.c_tv / all.m2_t : NAN;
	case LNX_SERIES_R2:
		if (!(all.m2_t > 0))
			return NAN;
		return all.m2_v > 0 ? all.c_tv / all.m2_t * (all.c_tv / all.m2_v) : 0;
	case LNX_SERIES_GROWTH:
		return h->last - all.first;
	case LNX_SERIES_GROWTH_PCT:
		return 100 * (h->last - all.first) / fabs(all.first);
	}
	return h->last_s - all.first_s;
}

double lnx_series_eta(const struct lnx_series *s, void *state, double limit, uint64_t now_ns)
{
	double slope = lnx_series_read(s, state, LNX_SERIES_SLOPE, now_ns);
	double last = lnx_series_read(s, state, LNX_SERIES_LAST, now_ns), eta;

	if (isnan(slope) || isnan(limit))
		return NAN;
	if (last == limit || (slope > 0 && last > limit))
		return 0;
	eta = (limit - last) / slope;
	return eta > 0 ? eta : INFINITY;
}

const char *lnx_series_unit(const struct lnx_series *s, unsigned part)
{
	switch (part) {
	case LNX_SERIES_SLOPE:
		return "per_s";
	case LNX_SERIES_GROWTH_PCT:
		return "pct";
	case LNX_SERIES_SPAN:
		return "s";
	case LNX_SERIES_R2:
	case LNX_SERIES_COUNT:
		return "";
	}
	return s->unit;
}

const char *const lnx_series_part_names[] = { "last",  "min",	"max",	  "mean",
					      "slope", "r2",	"growth", "growth_pct",
					      "span",  "count", NULL };
