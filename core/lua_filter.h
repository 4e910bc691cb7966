/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* `where` on constants: comparisons of event fields that run in C. */
#ifndef LNX_LUA_FILTER_H
#define LNX_LUA_FILTER_H

#include "event.h"
#include <stdbool.h>

/* enum lnx_filter_op */
#define LNX_OP_EQ   0
#define LNX_OP_NE   1
#define LNX_OP_LT   2
#define LNX_OP_LE   3
#define LNX_OP_GT   4
#define LNX_OP_GE   5
#define LNX_OP_GLOB 6

/* One comparison. Those of one <group> are values of which one is enough, in a row; all groups must hold. Groups with an <any>
 * above 0 make up tables, in a row behind the others: of those tables one must hold. */
struct lnx_filter {
	const struct lnx_field *field;
	uint16_t op, group, any;
	uint8_t seen; /* outcomes of its table, of the first of it, while coverage is measured: LNX_SEEN_* of `when` */
	bool is_text, is_int;
	uint32_t text_len;
	uint64_t u64;
	double f64;
	char *text; /* owned */
};

struct lnx_rules;

bool lnx_filter_match(const struct lnx_rules *r, struct lnx_filter *f, unsigned n,
		      const struct lnx_event *ev);
/* Shell pattern with * ? and [set]. Time is bounded by the product of both sizes. */
bool lnx_glob(const char *pattern, size_t plen, const char *s, size_t len);
/* Number of a value (bool: 0 or 1; text and none: NaN). */
double lnx_value_number(const struct lnx_value *v);

#endif
