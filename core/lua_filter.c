/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Comparisons of event fields with constants, without Lua. */
#include "lua_bind.h"

#include <math.h>
#include <string.h>

/* Does <c> match the set after '[' at <p>? *ret_end: behind the ']'. */
static bool glob_set(const char *p, const char *end, char c, const char **ret_end)
{
	bool is_not = p < end && (*p == '!' || *p == '^'), is_in = false;
	const char *first;

	p += is_not;
	for (first = p; p < end && (*p != ']' || p == first); p++) {
		if (end - p > 2 && p[1] == '-' && p[2] != ']') {
			is_in |= p[0] <= c && c <= p[2];
			p += 2;
		} else {
			is_in |= *p == c;
		}
	}
	*ret_end = p < end ? p + 1 : p;
	return is_in != is_not;
}

bool lnx_glob(const char *pattern, size_t plen, const char *s, size_t len)
{
	const char *p = pattern, *pend = pattern + plen, *end = s + len;
	const char *star = NULL, *resume = NULL, *next;

	while (s < end) {
		if (p < pend && *p == '*') {
			star = ++p;
			resume = s;
			continue;
		}
		if (p < pend && *p == '[' && glob_set(p + 1, pend, *s, &next)) {
			p = next;
			s++;
			continue;
		}
		if (p < pend && *p != '[' && (*p == '?' || *p == *s)) {
			p++;
			s++;
			continue;
		}
		if (!star)
			return false;
		p = star;
		s = ++resume;
	}
	while (p < pend && *p == '*')
		p++;
	return p == pend;
}

double lnx_value_number(const struct lnx_value *v)
{
	switch (v->kind) {
	case LNX_VAL_U64:
	case LNX_VAL_BOOL:
		return (double)v->u64;
	case LNX_VAL_I64:
		return (double)v->i64;
	case LNX_VAL_F64:
		return v->f64;
	}
	return NAN;
}

static bool filter_holds(const struct lnx_filter *f, const struct lnx_value *v)
{
	bool is_same;
	double d;

	if (v->kind == LNX_VAL_NONE)
		return false;
	if (f->is_text) {
		if (v->kind != LNX_VAL_STR && v->kind != LNX_VAL_JSON)
			return false;
		if (f->op == LNX_OP_GLOB)
			return lnx_glob(f->text, f->text_len, v->str, v->size);
		is_same = v->size == f->text_len && memcmp(v->str, f->text, v->size) == 0;
		return is_same == (f->op == LNX_OP_EQ);
	}
	if (f->op <= LNX_OP_NE && f->is_int && v->kind != LNX_VAL_F64)
		return (v->u64 == f->u64) == (f->op == LNX_OP_EQ);
	d = lnx_value_number(v);
	switch (f->op) {
	case LNX_OP_EQ:
		return d == f->f64;
	case LNX_OP_NE:
		return d != f->f64;
	case LNX_OP_LT:
		return d < f->f64;
	case LNX_OP_LE:
		return d <= f->f64;
	case LNX_OP_GT:
		return d > f->f64;
	}
	return d >= f->f64;
}

/* Do all groups of the table that begins at <i> hold? *ret_end: behind it. */
static bool filter_table(const struct lnx_rules *r, struct lnx_filter *f, unsigned n,
			 const struct lnx_event *ev, unsigned i, unsigned *ret_end)
{
	struct lnx_filter *first = &f[i];
	const unsigned any = first->any;
	bool is_true = true, is_held;

	while (is_true && i < n && f[i].any == any) {
		struct lnx_value v = lnx_lua_bind_value(r, ev, f[i].field);
		unsigned group = f[i].group;

		for (is_held = false; i < n && f[i].group == group; i++)
			is_held = is_held || filter_holds(&f[i], &v);
		is_true = is_held;
	}
	while (i < n && f[i].any == any)
		i++;
	*ret_end = i;
	if (r->conf.is_covering)
		first->seen |= is_true ? LNX_SEEN_TRUE : LNX_SEEN_FALSE;
	return is_true;
}

bool lnx_filter_match(const struct lnx_rules *r, struct lnx_filter *f, unsigned n,
		      const struct lnx_event *ev)
{
	unsigned i = 0;

	if (n && f[0].any == 0 && !filter_table(r, f, n, ev, 0, &i))
		return false;
	if (i == n)
		return true;
	while (i < n)
		if (filter_table(r, f, n, ev, i, &i))
			return true;
	return false;
}
