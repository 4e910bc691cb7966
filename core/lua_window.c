/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Sliding and tumbling windows in fixed memory. The state is a bucket number and a ring of buckets: counts, sums,
 * maxima, a log histogram or a bitmap, by the kind of window. */
#include "lua_window.h"

#include <math.h>
#include <string.h>

#define WIN_BUCKETS	 32  /* and one more: the bucket that fills */
#define WIN_WIDE_BUCKETS 8   /* of the kinds whose bucket is large */
#define WIN_BINS	 192 /* of p99: four to each power of two, 1 to 2^48 */
#define WIN_BITMAP_WORDS 16  /* of distinct: 1,024 bits */

struct win_head {
	uint64_t newest; /* number of the bucket that fills, from time 0; 0: never used */
};

static size_t win_bucket_bytes(const struct lnx_window *w)
{
	switch (w->fn) {
	case LNX_WIN_COUNT:
		return sizeof(uint64_t);
	case LNX_WIN_P99:
		return WIN_BINS * sizeof(uint32_t);
	case LNX_WIN_DISTINCT:
		return WIN_BITMAP_WORDS * sizeof(uint64_t);
	}
	return sizeof(double);
}

void lnx_window_layout(struct lnx_window *w)
{
	bool is_wide = w->fn == LNX_WIN_P99 || w->fn == LNX_WIN_DISTINCT;
	unsigned n = is_wide ? WIN_WIDE_BUCKETS : WIN_BUCKETS;

	w->bucket_ns = w->is_tumbling ? UINT64_MAX : w->over_ns / n;
	w->n_buckets = w->is_tumbling ? 1 : n + 1;
	w->bytes = sizeof(struct win_head) + w->n_buckets * win_bucket_bytes(w);
	w->bytes = (w->bytes + 7) & ~(size_t)7;
}

void lnx_window_clear(const struct lnx_window *w, void *state)
{
	struct win_head *h = state;
	double *v = (double *)(h + 1);
	unsigned i;

	h->newest = 0;
	memset(v, 0, w->bytes - sizeof(*h));
	if (w->fn == LNX_WIN_MAX)
		for (i = 0; i < w->n_buckets; i++)
			v[i] = -INFINITY;
}

static void win_empty(const struct lnx_window *w, void *buckets, unsigned i)
{
	size_t n = win_bucket_bytes(w);

	if (w->fn == LNX_WIN_MAX)
		((double *)buckets)[i] = -INFINITY;
	else
		memset((char *)buckets + i * n, 0, n);
}

/* Empty what has left the window at <now_ns>; returns the index of the bucket that fills. */
static unsigned win_advance(const struct lnx_window *w, struct win_head *h, uint64_t now_ns)
{
	uint64_t bucket = w->is_tumbling ? 1 : now_ns / w->bucket_ns + 1;

	if (bucket > h->newest) {
		if (h->newest == 0 || bucket - h->newest >= w->n_buckets) {
			lnx_window_clear(w, h);
			h->newest = bucket;
		}
		while (h->newest < bucket)
			win_empty(w, h + 1, (unsigned)(++h->newest % w->n_buckets));
	}
	return (unsigned)(h->newest % w->n_buckets);
}

static unsigned win_bin(double v)
{
	int e;
	double m;

	if (!(v > 1))
		return 0;
	m = frexp(v, &e); /* 0.5 <= m < 1 */
	e = (e - 1) * 4 + (int)((m - 0.5) * 8);
	return e < 0 ? 0 : e >= WIN_BINS ? WIN_BINS - 1 : (unsigned)e;
}

void lnx_window_add(const struct lnx_window *w, void *state, uint64_t now_ns, double v,
		    uint64_t hash)
{
	struct win_head *h = state;
	unsigned i = win_advance(w, h, now_ns);
	double *d = (double *)(h + 1) + i;
	uint32_t *bins;

	switch (w->fn) {
	case LNX_WIN_COUNT:
		((uint64_t *)(h + 1))[i]++;
		break;
	case LNX_WIN_RATE:
	case LNX_WIN_SHARE:
	case LNX_WIN_SUM:
		if (!w->has_field)
			*d += 1;
		else if (isfinite(v))
			*d += v;
		break;
	case LNX_WIN_MAX:
		if (v > *d)
			*d = v;
		break;
	case LNX_WIN_P99:
		bins = (uint32_t *)(h + 1) + i * WIN_BINS;
		if (isfinite(v) && bins[win_bin(v)] < UINT32_MAX)
			bins[win_bin(v)]++;
		break;
	case LNX_WIN_DISTINCT:
		((uint64_t *)(h + 1))[i * WIN_BITMAP_WORDS + (hash >> 6) % WIN_BITMAP_WORDS] |=
			1ULL << (hash & 63);
		break;
	}
}

static double win_p99(const struct lnx_window *w, const uint32_t *bins)
{
	uint64_t count[WIN_BINS] = { 0 }, total = 0, seen = 0;
	unsigned i, b;

	for (b = 0; b < w->n_buckets; b++)
		for (i = 0; i < WIN_BINS; i++)
			count[i] += bins[b * WIN_BINS + i];
	for (i = 0; i < WIN_BINS; i++)
		total += count[i];
	if (!total)
		return NAN;
	for (i = 0; i < WIN_BINS; i++) {
		seen += count[i];
		if (seen * 100 >= total * 99)
			break;
	}
	/* the middle of the bin: 2^e * (1 + (k + 1/2) / 4) */
	return ldexp(1 + (i % 4 + 0.5) / 4, (int)(i / 4));
}

static double win_distinct(const struct lnx_window *w, const uint64_t *map)
{
	const double bits = WIN_BITMAP_WORDS * 64;
	unsigned i, b, set = 0;
	uint64_t word;

	for (i = 0; i < WIN_BITMAP_WORDS; i++) {
		word = 0;
		for (b = 0; b < w->n_buckets; b++)
			word |= map[b * WIN_BITMAP_WORDS + i];
		set += (unsigned)__builtin_popcountll(word);
	}
	/* linear counting: hashes that met are put back by their odds; a full map tells only "many" */
	if (set >= (unsigned)bits)
		set = (unsigned)bits - 1;
	return round(bits * log(bits / (bits - set)));
}

double lnx_window_read(const struct lnx_window *w, void *state, void *total, uint64_t now_ns)
{
	struct win_head *h = state;
	double *d = (double *)(h + 1), sum = 0, max = -INFINITY, all;
	uint64_t *c = (uint64_t *)(h + 1), count = 0;
	unsigned i;

	(void)win_advance(w, h, now_ns);
	switch (w->fn) {
	case LNX_WIN_COUNT:
		for (i = 0; i < w->n_buckets; i++)
			count += c[i];
		return (double)count;
	case LNX_WIN_MAX:
		for (i = 0; i < w->n_buckets; i++)
			max = d[i] > max ? d[i] : max;
		return isfinite(max) ? max : NAN;
	case LNX_WIN_P99:
		return win_p99(w, (uint32_t *)(h + 1));
	case LNX_WIN_DISTINCT:
		return win_distinct(w, c);
	}
	for (i = 0; i < w->n_buckets; i++)
		sum += d[i];
	if (w->fn == LNX_WIN_RATE)
		return sum * 1e9 / (double)w->over_ns;
	if (w->fn != LNX_WIN_SHARE)
		return sum;
	h = total;
	if (!h)
		return NAN;
	(void)win_advance(w, h, now_ns);
	for (i = 0, all = 0; i < w->n_buckets; i++)
		all += ((double *)(h + 1))[i];
	return all > 0 ? 100 * sum / all : 0;
}

const char *lnx_window_unit(const struct lnx_window *w)
{
	return w->fn == LNX_WIN_RATE ? "per_s" : w->fn == LNX_WIN_SHARE ? "pct" : "";
}

const char *const lnx_window_fn_names[] = { "count", "rate", "sum",	 "share",
					    "max",   "p99",  "distinct", NULL };
