/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Windows of rules: what happened in the last N seconds, per key, in fixed memory. A sliding window is a ring of
 * buckets, so its edge is as sharp as one bucket (1/32 of it; 1/8 for p99 and distinct). */
#ifndef LNX_LUA_WINDOW_H
#define LNX_LUA_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* enum lnx_window_fn, in the order of lnx_window_fn_names */
#define LNX_WIN_COUNT 0 /* events */
#define LNX_WIN_RATE  1 /* events a second; of a field: its sum a second */
#define LNX_WIN_SUM   2
#define LNX_WIN_SHARE 3 /* 0..100: of all keys' sum, or count without a field */
#define LNX_WIN_MAX   4 /* NaN when nothing happened */
#define LNX_WIN_P99   5 /* within 10 %; NaN when nothing happened */
#define LNX_WIN_DISTINCT \
	6 /* values of a field: exact for few, within 5 % to 2,000, at most 7,097 */
#define LNX_WIN_N 7

#define LNX_WIN_MIN_NS 10000000ULL	 /* 10 ms */
#define LNX_WIN_MAX_NS 86400000000000ULL /* one day */
#define LNX_WIN_NAME   32

/* A window of a rule; its state for one key is <bytes> at <offset> of the key's memory, zeroed to begin. */
struct lnx_window {
	char name[LNX_WIN_NAME];
	uint32_t fn; /* enum lnx_window_fn */
	uint32_t n_buckets;
	uint64_t over_ns, bucket_ns;
	bool is_tumbling; /* one bucket, emptied by lnx_window_clear */
	bool has_field;
	size_t offset, bytes;
};

extern const char *const lnx_window_fn_names[]; /* NULL at the end */

/* Fill buckets and bytes from fn, over_ns, has_field and is_tumbling. */
void lnx_window_layout(struct lnx_window *w);
/* <v>: the field's value; <hash>: of it, for distinct. Time may step back a little: then it counts as the newest. */
void lnx_window_add(const struct lnx_window *w, void *state, uint64_t now_ns, double v,
		    uint64_t hash);
/* <total>: state of the same window over all keys, for share; else NULL. */
double lnx_window_read(const struct lnx_window *w, void *state, void *total, uint64_t now_ns);
void lnx_window_clear(const struct lnx_window *w, void *state);
/* Unit of what lnx_window_read gives, "pct", "per s" or "". */
const char *lnx_window_unit(const struct lnx_window *w);

#endif
