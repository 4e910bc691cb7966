/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Series of rules: a figure over the last N seconds, per key, as running sums in fixed memory: extremes, the line through
 * the points and how well it fits. A ring of buckets, so the edge is as sharp as one bucket (1/16 of the series). */
#ifndef LNX_LUA_SERIES_H
#define LNX_LUA_SERIES_H

#include "lua_window.h"

/* enum lnx_series_part, in the order of lnx_series_part_names */
#define LNX_SERIES_LAST	      0
#define LNX_SERIES_MIN	      1
#define LNX_SERIES_MAX	      2
#define LNX_SERIES_MEAN	      3
#define LNX_SERIES_SLOPE      4 /* per second, least squares */
#define LNX_SERIES_R2	      5 /* 0..1: how much of what moves the line explains; of a flat series 0 */
#define LNX_SERIES_GROWTH     6 /* last less first */
#define LNX_SERIES_GROWTH_PCT 7 /* of the first */
#define LNX_SERIES_SPAN	      8 /* seconds from the first point to the last */
#define LNX_SERIES_COUNT      9
#define LNX_SERIES_PARTS      10

/* A series of a rule; its state for one key is <bytes> at <offset> of the key's memory. */
struct lnx_series {
	char name[LNX_WIN_NAME];
	const char *unit; /* of its field */
	uint32_t n_buckets;
	uint64_t over_ns, bucket_ns;
	size_t offset, bytes;
};

extern const char *const lnx_series_part_names[]; /* NULL at the end */

/* Fill buckets and bytes from over_ns. */
void lnx_series_layout(struct lnx_series *s);
void lnx_series_clear(const struct lnx_series *s, void *state);
/* A value that is no number is left out. Time may step back a little: then it counts as the newest. */
void lnx_series_add(const struct lnx_series *s, void *state, uint64_t now_ns, double v);
/* NaN where nothing was added, and for slope, r2 with fewer than two points in time. */
double lnx_series_read(const struct lnx_series *s, void *state, unsigned part, uint64_t now_ns);
/* Seconds until the line, from the last value on, meets <limit>: 0 when a rising one is there already, infinite when it
 * leads away, NaN with fewer than two points in time. */
double lnx_series_eta(const struct lnx_series *s, void *state, double limit, uint64_t now_ns);
/* Unit of a part. */
const char *lnx_series_unit(const struct lnx_series *s, unsigned part);

#endif
