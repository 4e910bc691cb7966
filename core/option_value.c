/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One option value: from text or a node of the file to the member of a conf struct, and its canonical text. */
#include "option_impl.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "event.h"

#define SHOWN_MAX 64 /* bytes of a wrong value that a message repeats */

struct unit {
	const char *name;
	uint64_t factor;
};

/* The biggest first: the canonical text takes the first that divides. */
static const struct unit durations[] = {
	{ "d", 86400000000000u },
	{ "h", 3600000000000u },
	{ "m", 60000000000u },
	{ "s", 1000000000u },
	{ "ms", 1000000u },
	{ "us", 1000u },
	{ "ns", 1u },
	{ NULL, 0 },
};

static const struct unit sizes[] = {
	{ "TiB", 1ull << 40 },
	{ "GiB", 1ull << 30 },
	{ "MiB", 1ull << 20 },
	{ "KiB", 1ull << 10 },
	{ "B", 1 },
	{ NULL, 0 },
};

/* A wrong value, for a message. */
struct shown {
	char text[SHOWN_MAX + 8];
};

static struct shown value_shown(const struct lnx_option *o, const char *text)
{
	struct shown s;
	size_t n = strnlen(text, SHOWN_MAX + 1);

	if (o->flags & LNX_OPTF_SECRET)
		(void)snprintf(s.text, sizeof(s.text), "the value (a secret)");
	else if (n > SHOWN_MAX)
		(void)snprintf(s.text, sizeof(s.text), "'%.*s...'", SHOWN_MAX, text);
	else
		(void)snprintf(s.text, sizeof(s.text), "'%s'", text);
	return s;
}

/* Digits to a number. Returns what follows them, or NULL: no digit, or too big. */
static const char *digits_parse(const char *p, uint64_t *ret_value)
{
	uint64_t v = 0, digit;

	if (!isdigit((unsigned char)*p))
		return NULL;
	for (; isdigit((unsigned char)*p); p++) {
		digit = (uint64_t)(*p - '0');
		if (v > (UINT64_MAX - digit) / 10)
			return NULL;
		v = v * 10 + digit;
	}
	*ret_value = v;
	return p;
}

/* ".25" of <factor>. Returns what follows; <p> itself when there is no fraction. */
static const char *fraction_parse(const char *p, double *ret_fraction)
{
	double scale = 0.1;

	*ret_fraction = 0;
	if (*p != '.' || !isdigit((unsigned char)p[1]))
		return p;
	for (p++; isdigit((unsigned char)*p); p++, scale /= 10)
		*ret_fraction += (*p - '0') * scale;
	return p;
}

static const struct unit *unit_find(const struct unit *units, const char *p, size_t n)
{
	for (; units->name; units++)
		if (strlen(units->name) == n && strncmp(units->name, p, n) == 0)
			return units;
	return NULL;
}

/* "1h30m", "1.5s", "8MiB". A bare number is good only where <bare> is not 0, and has that factor. */
static int units_parse(const struct unit *units, const char *text, uint64_t bare,
		       uint64_t *ret_value)
{
	const char *p = text, *end;
	const struct unit *u;
	uint64_t whole, total = 0, part;
	double fraction;

	do {
		p = digits_parse(p, &whole);
		if (!p)
			return -EINVAL;
		p = fraction_parse(p, &fraction);
		for (end = p; isalpha((unsigned char)*end); end++)
			;
		u = unit_find(units, p, (size_t)(end - p));
		if (end == p && !*end && total == 0 && fraction == 0 && (bare || whole == 0)) {
			*ret_value = whole;
			return 0;
		}
		if (!u || (whole && u->factor > UINT64_MAX / whole))
			return -EINVAL;
		part = whole * u->factor + (uint64_t)llround(fraction * (double)u->factor);
		if (part < whole * u->factor || total > UINT64_MAX - part)
			return -EINVAL;
		total += part;
		p = end;
	} while (*p);
	*ret_value = total;
	return 0;
}

static void units_format(const struct unit *units, uint64_t v, char *ret_text, size_t cap)
{
	while (units[1].name && (v == 0 || v % units->factor != 0))
		units++;
	if (v == 0 || strcmp(units->name, "B") == 0)
		(void)snprintf(ret_text, cap, "%" PRIu64, v / units->factor);
	else
		(void)snprintf(ret_text, cap, "%" PRIu64 "%s", v / units->factor, units->name);
}

/* 1, 0, or -1 when <text> is neither. */
static int bool_parse(const char *text)
{
	static const char *const words[] = { "false", "true", "no", "yes", "off",
					     "on",    "0",    "1",  NULL };
	int i;

	for (i = 0; words[i]; i++)
		if (strcasecmp(text, words[i]) == 0)
			return i & 1;
	return -1;
}

/* Text of a number in the form that the option is written in. */
static void num_format(const struct lnx_option *o, double v, char *ret_text, size_t cap)
{
	if (o->type == LNX_OPT_DURATION && v >= 0 && v < 0x1p64)
		units_format(durations, (uint64_t)v, ret_text, cap);
	else if (o->type == LNX_OPT_SIZE && v >= 0 && v < 0x1p64)
		units_format(sizes, (uint64_t)v, ret_text, cap);
	else
		(void)snprintf(ret_text, cap, "%.15g", v);
}

static int range_check(const struct lnx_option *o, const char *text, double v, struct lnx_err *err)
{
	char min[32], max[32];

	if ((o->min == 0 && o->max == 0) || (v >= o->min && v <= o->max))
		return 0;
	num_format(o, o->min, min, sizeof(min));
	num_format(o, o->max, max, sizeof(max));
	return lnx_err_set(err, -EINVAL, "%.*s is not in %s..%s", SHOWN_MAX,
			   o->flags & LNX_OPTF_SECRET ? "***" : text, min, max);
}

static int whole_parse(const struct lnx_option *o, const char *text, struct lnx_optval *v,
		       struct lnx_err *err)
{
	const char *sign = *text == '-' && isdigit((unsigned char)text[1]) ? text + 1 : text;
	const char *end = digits_parse(sign, &v->num);
	uint64_t top = o->type == LNX_OPT_U32 ? UINT32_MAX : UINT64_MAX;
	size_t n = strspn(sign, "0123456789");

	if (!n || sign[n])
		return lnx_err_set(err, -EINVAL, "%s is not a whole number",
				   value_shown(o, text).text);
	if (end && sign == text && v->num <= top)
		return range_check(o, text, (double)v->num, err);
	if (o->min == 0 && o->max == 0)
		return lnx_err_set(err, -EINVAL, "%s is not in 0..%" PRIu64,
				   value_shown(o, text).text, top);
	/* out of any range: let the check say which one it was */
	return range_check(o, text, sign == text ? HUGE_VAL : -HUGE_VAL, err);
}

static int real_parse(const struct lnx_option *o, const char *text, struct lnx_optval *v,
		      struct lnx_err *err)
{
	char *end;

	v->f64 = strtod(text, &end);
	/* no "nan", "inf", "0x1p3" and no leading blanks */
	if (end == text || *end || text[strspn(text, "0123456789.eE+-")] || !isfinite(v->f64))
		return lnx_err_set(err, -EINVAL, "%s is not a number", value_shown(o, text).text);
	return range_check(o, text, v->f64, err);
}

static int enum_parse(const struct lnx_option *o, const char *text, struct lnx_optval *v,
		      struct lnx_err *err)
{
	/* generators of YAML turn a bare off into false */
	static const char *const same[2][4] = { { "false", "off", "no", NULL },
						{ "true", "on", "yes", NULL } };
	const char *hint = lnx_suggest(text, o->names);
	struct lnx_buf list = { .max = 160 };
	int is_on = bool_parse(text), k, r;
	uint32_t i;

	for (i = 0; o->names && o->names[i]; i++) {
		v->num = i;
		if (strcasecmp(text, o->names[i]) == 0)
			return 0;
	}
	for (i = 0; is_on >= 0 && o->names && o->names[i]; i++)
		for (k = 0; same[is_on][k]; k++)
			if (v->num = i, strcmp(same[is_on][k], o->names[i]) == 0)
				return 0;
	for (i = 0; o->names && o->names[i]; i++)
		lnx_buf_printf(&list, "%s%s", i ? ", " : "", o->names[i]);
	r = lnx_err_set(err, -EINVAL, "%s is not one of %s%s%s%s", value_shown(o, text).text,
			list.data ? list.data : "(nothing)", hint ? " (did you mean '" : "",
			hint ? hint : "", hint ? "'?)" : "");
	lnx_buf_done(&list);
	return r;
}

static int scalar_parse(const struct lnx_option *o, const char *text, struct lnx_optval *v,
			struct lnx_err *err)
{
	int b, r;

	switch (o->type) {
	case LNX_OPT_BOOL:
		b = bool_parse(text);
		if (b < 0)
			return lnx_err_set(err, -EINVAL, "%s is not true or false",
					   value_shown(o, text).text);
		v->num = (uint64_t)b;
		return 0;
	case LNX_OPT_U32:
	case LNX_OPT_U64:
		return whole_parse(o, text, v, err);
	case LNX_OPT_F64:
		return real_parse(o, text, v, err);
	case LNX_OPT_DURATION:
		r = units_parse(durations, text, 0, &v->num);
		if (r < 0)
			return lnx_err_set(err, r,
					   "%s is not a duration such as 250ms, 10s, 5m, 1h or 1d",
					   value_shown(o, text).text);
		return range_check(o, text, (double)v->num, err);
	case LNX_OPT_SIZE:
		r = units_parse(sizes, text, 1, &v->num);
		if (r < 0)
			return lnx_err_set(err, r,
					   "%s is not a size such as 65536, 64KiB, 8MiB or 1GiB",
					   value_shown(o, text).text);
		return range_check(o, text, (double)v->num, err);
	case LNX_OPT_ENUM:
		return enum_parse(o, text, v, err);
	default: /* STR and PATH are any text */
		return 0;
	}
}

/* Fill v->text from what was parsed. */
static int canonical_text(struct lnx_optset *s, const struct lnx_option *o, const char *text,
			  struct lnx_optval *v)
{
	char out[64];

	out[0] = 0;
	if (o->type == LNX_OPT_BOOL)
		text = v->num ? "true" : "false";
	else if (o->type == LNX_OPT_ENUM)
		text = o->names[v->num];
	else if (o->type == LNX_OPT_U32 || o->type == LNX_OPT_U64)
		(void)snprintf(out, sizeof(out), "%" PRIu64, v->num);
	else if (o->type == LNX_OPT_DURATION)
		units_format(durations, v->num, out, sizeof(out));
	else if (o->type == LNX_OPT_SIZE)
		units_format(sizes, v->num, out, sizeof(out));
	else if (o->type == LNX_OPT_F64)
		(void)snprintf(out, sizeof(out), "%.15g", v->f64);
	if (o->type == LNX_OPT_F64 && strtod(out, NULL) != v->f64)
		(void)snprintf(out, sizeof(out), "%.17g", v->f64);
	if (out[0])
		text = out;
	v->text = lnx_optset_strndup(s, text, strlen(text));
	return v->text ? 0 : -ENOMEM;
}

/* The items of a list joined by commas, for those who want one text. */
static int list_text(struct lnx_optset *s, struct lnx_optval *v)
{
	struct lnx_buf b = { 0 };
	unsigned i;

	for (i = 0; v->items[i]; i++) {
		if (i)
			lnx_buf_char(&b, ',');
		lnx_buf_str(&b, v->items[i]);
	}
	if (!lnx_buf_error(&b))
		v->text = lnx_optset_strndup(s, b.data ? b.data : "", b.size);
	lnx_buf_done(&b);
	return v->text ? 0 : -ENOMEM;
}

/* "a, b" to its items. */
static int list_split(struct lnx_optset *s, const char *text, struct lnx_optval *v,
		      struct lnx_err *err)
{
	const char **items, *p = text, *end, *next;
	unsigned n = 0, max = 1;

	for (p = text; *p; p++)
		max += *p == ',';
	if (max > LNX_OPT_MAX_ITEMS)
		return lnx_err_set(err, -EINVAL, "more than %d items", LNX_OPT_MAX_ITEMS);
	items = lnx_optset_alloc(s, (max + 1) * sizeof(*items));
	if (!items)
		return -ENOMEM;
	v->items = items;
	if (!text[strspn(text, " \t")])
		return list_text(s, v);
	for (p = text; p; p = next) {
		end = strchrnul(p, ',');
		next = *end ? end + 1 : NULL;
		while (p < end && isblank((unsigned char)*p))
			p++;
		while (end > p && isblank((unsigned char)end[-1]))
			end--;
		if (p == end)
			return lnx_err_set(err, -EINVAL, "item %u of the list is empty", n + 1);
		items[n] = lnx_optset_strndup(s, p, (size_t)(end - p));
		if (!items[n++])
			return -ENOMEM;
	}
	return list_text(s, v);
}

static int list_collect(struct lnx_optset *s, const struct lnx_node *list, struct lnx_optval *v,
			struct lnx_err *err)
{
	const struct lnx_node *c;
	const char **items;
	unsigned n = 0;

	for (c = list->child; c; c = c->next) {
		n++;
		if (c->kind != LNX_NODE_SCALAR || lnx_conf_is_null(c))
			return lnx_err_set(err, -EINVAL, "item %u of the list is %s", n,
					   c->kind == LNX_NODE_SCALAR ? "empty" : "not a text");
	}
	if (n > LNX_OPT_MAX_ITEMS)
		return lnx_err_set(err, -EINVAL, "more than %d items", LNX_OPT_MAX_ITEMS);
	items = lnx_optset_alloc(s, (n + 1) * sizeof(*items));
	if (!items)
		return -ENOMEM;
	v->items = items;
	for (n = 0, c = list->child; c; c = c->next, n++) {
		items[n] = lnx_optset_strndup(s, c->value, strlen(c->value));
		if (!items[n])
			return -ENOMEM;
	}
	return list_text(s, v);
}

int lnx_optval_text(struct lnx_optset *s, const struct lnx_option *o, const char *text,
		    struct lnx_optval *ret_val, struct lnx_err *err)
{
	struct lnx_optval v = { 0 };
	int r;

	if (o->type == LNX_OPT_LIST) {
		r = list_split(s, text, &v, err);
	} else {
		r = scalar_parse(o, text, &v, err);
		if (r == 0)
			r = canonical_text(s, o, text, &v);
	}
	if (r == 0)
		*ret_val = v;
	return r;
}

int lnx_optval_node(struct lnx_optset *s, const struct lnx_option *o, const struct lnx_node *node,
		    struct lnx_optval *ret_val, struct lnx_err *err)
{
	bool is_num = o->type == LNX_OPT_U32 || o->type == LNX_OPT_U64 || o->type == LNX_OPT_F64;
	struct lnx_optval v = { 0 };
	int r;

	if (node->kind == LNX_NODE_SCALAR) {
		if (is_num && node->is_quoted)
			return lnx_err_set(err, -EINVAL,
					   "%s is text: write the number without quotes",
					   value_shown(o, node->value).text);
		return lnx_optval_text(s, o, node->value, ret_val, err);
	}
	if (node->kind == LNX_NODE_MAP || o->type != LNX_OPT_LIST)
		return lnx_err_set(err, -EINVAL, "a %s is expected here, not a %s",
				   o->type == LNX_OPT_LIST ? "list" : "single value",
				   node->kind == LNX_NODE_MAP ? "map" : "list");
	r = list_collect(s, node, &v, err);
	if (r == 0)
		*ret_val = v;
	return r;
}

size_t lnx_optval_size(uint32_t type)
{
	switch (type) {
	case LNX_OPT_BOOL:
	case LNX_OPT_U32:
	case LNX_OPT_ENUM:
		return sizeof(uint32_t);
	case LNX_OPT_U64:
	case LNX_OPT_DURATION:
	case LNX_OPT_SIZE:
		return sizeof(uint64_t);
	case LNX_OPT_F64:
		return sizeof(double);
	case LNX_OPT_STR:
	case LNX_OPT_PATH:
	case LNX_OPT_LIST:
		return sizeof(void *);
	default:
		return 0;
	}
}

void lnx_optval_store(const struct lnx_option *o, const struct lnx_optval *v, void *conf)
{
	static const char *const no_items[] = { NULL };
	const char *const *items = v->items ? v->items : no_items;
	const char *text = v->text ? v->text : "";
	uint32_t u32 = (uint32_t)v->num;
	char *at = (char *)conf + o->offset;

	switch (o->type) {
	case LNX_OPT_BOOL:
	case LNX_OPT_U32:
	case LNX_OPT_ENUM:
		memcpy(at, &u32, sizeof(u32));
		break;
	case LNX_OPT_F64:
		memcpy(at, &v->f64, sizeof(v->f64));
		break;
	case LNX_OPT_LIST:
		memcpy(at, &items, sizeof(items));
		break;
	case LNX_OPT_STR:
	case LNX_OPT_PATH:
		memcpy(at, &text, sizeof(text));
		break;
	default:
		memcpy(at, &v->num, sizeof(v->num));
		break;
	}
}
