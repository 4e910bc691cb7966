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

bool lnx_filter_match(const struct lnx_rules *r, const struct lnx_filter *f, unsigned n,
		      const struct lnx_event *ev)
{
	unsigned i = 0, group;

	while (i < n) {
		struct lnx_value v = lnx_lua_bind_value(r, ev, f[i].field);
		bool is_true = false;

		for (group = f[i].group; i < n && f[i].group == group; i++)
			is_true = is_true || filter_holds(&f[i], &v);
		if (!is_true)
			return false;
	}
	return true;
}
