/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The words inside a rule table: durations, windows, filters, event types. Errors name the line of their field. */
#include "lua_parse.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua_bind.h"
#include "lua_lex.h"

struct parse_unit {
	const char *name;
	double factor;
};

static const struct parse_unit parse_times[] = { { "ns", 1 },	  { "us", 1e3 }, { "ms", 1e6 },
						 { "s", 1e9 },	  { "m", 60e9 }, { "h", 3600e9 },
						 { "d", 86400e9 } };
static const struct parse_unit parse_sizes[] = { { "B", 1 },
						 { "KiB", 1024 },
						 { "MiB", 1048576 },
						 { "GiB", 1073741824.0 },
						 { "TiB", 1099511627776.0 } };

/* A plain decimal and one of <units>. */
static int parse_amount(const char *s, size_t len, const struct parse_unit *units, size_t n,
			double *ret_v)
{
	char buf[32], *end;
	double v;
	size_t i;

	if (len == 0 || len >= sizeof(buf) || s[0] < '0' || s[0] > '9' || memchr(s, 'x', len) ||
	    memchr(s, 'X', len))
		return -EINVAL;
	memcpy(buf, s, len);
	buf[len] = 0;
	v = strtod(buf, &end);
	for (i = 0; i < n; i++)
		if (strcmp(end, units[i].name) == 0) {
			*ret_v = v * units[i].factor;
			return 0;
		}
	return -EINVAL;
}

int lnx_parse_duration(const char *s, size_t len, uint64_t *ret_ns)
{
	double ns;

	if (parse_amount(s, len, parse_times, sizeof(parse_times) / sizeof(parse_times[0]), &ns) <
		    0 ||
	    !(ns <= (double)LNX_WIN_MAX_NS))
		return -EINVAL;
	*ret_ns = (uint64_t)llround(ns);
	return 0;
}

void lnx_parse_fail(lua_State *L, const struct lnx_parse *p, const char *field, const char *fmt,
		    ...)
{
	int line = field ? lnx_lua_field_line(p->text, p->bytes, p->line, field) : p->line;
	char msg[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, ap); /* a cut message still tells */
	va_end(ap);
	(void)lua_pushfstring(L, "#%d:%d: %s", (int)p->file, line, msg);
	(void)lua_error(L);
	abort(); /* lua_error does not return */
}

void lnx_parse_note_text(struct lnx_parse *p, const char *text)
{
	if (p->n_errs < LNX_PARSE_ERRORS)
		lnx_lua_split(text, &p->errs[p->n_errs]);
	p->n_errs++;
}

void lnx_parse_note(struct lnx_parse *p, const char *field, const char *fmt, ...)
{
	char msg[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, ap); /* a cut message still tells */
	va_end(ap);
	if (p->n_errs < LNX_PARSE_ERRORS) {
		(void)lnx_err_set(&p->errs[p->n_errs], 0, "%s", msg);
		p->errs[p->n_errs].line =
			field ? lnx_lua_field_line(p->text, p->bytes, p->line, field) : p->line;
	}
	p->n_errs++;
}

uint64_t lnx_parse_time(lua_State *L, const struct lnx_parse *p, const char *field, int at)
{
	char shown[40];
	uint64_t ns = 0;
	const char *s;
	size_t len;
	double v;

	if (lua_type(L, at) == LUA_TNUMBER) {
		v = lua_tonumber(L, at) * 1e9;
		if (!(v >= 0 && v <= (double)LNX_WIN_MAX_NS))
			lnx_parse_fail(L, p, field, "%s: a duration is 0 to one day", field);
		return (uint64_t)llround(v);
	}
	if (lua_type(L, at) != LUA_TSTRING)
		lnx_parse_fail(L, p, field, "%s: expected a duration such as \"5s\", not a %s",
			       field, luaL_typename(L, at));
	s = lua_tolstring(L, at, &len);
	if (lnx_parse_duration(s, len, &ns) < 0)
		lnx_parse_fail(
			L, p, field,
			"%s: '%s' is not a duration (such as 250ms, 5s, 1m; at most one day)",
			field, lnx_lua_printable(s, shown, sizeof(shown)));
	return ns;
}

struct lnx_rule_on *lnx_parse_on(lua_State *L, const struct lnx_parse *p, const char *field,
				 const char *name)
{
	const struct lnx_event_desc *desc = lnx_registry_find(p->rules->conf.registry, name);
	struct lnx_rule *rule = p->rule;
	const char *near;
	char shown[64];
	unsigned i;

	if (!desc) {
		near = lnx_registry_suggest(p->rules->conf.registry, name);
		(void)lnx_lua_printable(name, shown, sizeof(shown));
		if (near)
			lnx_parse_fail(L, p, field, "unknown event '%s' (did you mean '%s'?)",
				       shown, near);
		lnx_parse_fail(L, p, field, "unknown event '%s'", shown);
	}
	for (i = 0; i < rule->n_ons; i++)
		if (rule->ons[i].desc == desc)
			return &rule->ons[i];
	if (rule->n_ons == LNX_RULE_ONS)
		lnx_parse_fail(L, p, field, "more than %d event types", LNX_RULE_ONS);
	rule->ons[i].desc = desc;
	rule->ons[i].type = desc->type;
	rule->ons[i].start = lnx_desc_field(desc, "start_ns");
	rule->ons[i].cgroup = lnx_desc_field(desc, "cgroup_id");
	rule->ons[i].comm = lnx_desc_field(desc, "comm");
	rule->ons[i].ppid = lnx_desc_field(desc, "ppid");
	rule->n_ons++;
	return &rule->ons[i];
}

const struct lnx_field *lnx_parse_field(lua_State *L, const struct lnx_parse *p, const char *field,
					const struct lnx_event_desc *desc, const char *name)
{
	const struct lnx_field *f = lnx_lua_bind_name(p->rules, desc, name);
	const char *near;
	char shown[64];

	if (f)
		return f;
	(void)lnx_lua_printable(name, shown, sizeof(shown));
	near = lnx_lua_bind_name_suggest(p->rules, desc, name);
	if (near)
		lnx_parse_fail(L, p, field, "%s has no field '%s' (did you mean '%s'?)", desc->name,
			       shown, near);
	lnx_parse_fail(L, p, field, "%s has no field '%s'", desc->name, shown);
	return NULL;
}

bool lnx_parse_is_text(const struct lnx_field *f)
{
	return f->type == LNX_CHARS || f->type == LNX_STR || f->type == LNX_JSON ||
	       f->type == LNX_ENUM || f->type == LNX_TAG_FIELD;
}

/* One value of a filter, at the top of the stack. "10s" and "8MiB" are numbers where the field has that unit. */
static void parse_value(lua_State *L, const struct lnx_parse *p, const char *field,
			struct lnx_filter *f)
{
	const char *name = f->field->name, *s;
	bool is_text = lnx_parse_is_text(f->field);
	char shown[64];
	size_t len;
	int type = lua_type(L, -1);

	if (type == LUA_TSTRING && is_text) {
		s = lua_tolstring(L, -1, &len);
		f->text = malloc(len + 1);
		if (!f->text)
			lnx_parse_fail(L, p, field, "not enough memory");
		memcpy(f->text, s, len);
		f->text[len] = 0;
		f->text_len = (uint32_t)len;
		f->is_text = true;
		if (f->op == LNX_OP_EQ && strpbrk(s, "*?["))
			f->op = LNX_OP_GLOB;
		if (f->op != LNX_OP_EQ && f->op != LNX_OP_NE && f->op != LNX_OP_GLOB)
			lnx_parse_fail(L, p, field, "'%s' is text: it has no order", name);
	} else if (type == LUA_TSTRING) {
		const struct parse_unit *units = parse_sizes;
		size_t n = sizeof(parse_sizes) / sizeof(parse_sizes[0]);

		s = lua_tolstring(L, -1, &len);
		if (strcmp(f->field->unit, "ns") == 0) {
			units = parse_times;
			n = sizeof(parse_times) / sizeof(parse_times[0]);
		}
		if ((units == parse_sizes && strcmp(f->field->unit, "bytes") != 0) ||
		    parse_amount(s, len, units, n, &f->f64) < 0)
			lnx_parse_fail(L, p, field, "'%s' is a number, not '%s'", name,
				       lnx_lua_printable(s, shown, sizeof(shown)));
	} else if (type == LUA_TNUMBER && !is_text) {
		f->is_int = lua_isinteger(L, -1);
		f->u64 = (uint64_t)lua_tointeger(L, -1);
		f->f64 = lua_tonumber(L, -1);
	} else if (type == LUA_TBOOLEAN && !is_text) {
		f->is_int = true;
		f->u64 = (uint64_t)lua_toboolean(L, -1);
		f->f64 = (double)f->u64;
	} else {
		lnx_parse_fail(L, p, field, "'%s' is %s: it cannot be compared with a %s", name,
			       is_text ? "text" : "a number", luaL_typename(L, -1));
	}
}

/* The `where` that is being read. */
struct parse_where {
	const struct lnx_parse *p;
	const char *field; /* that has it */
	const struct lnx_event_desc *desc;
	struct lnx_filter *list;
	unsigned *n, group, any;
};

static void parse_filter(lua_State *L, struct parse_where *w, const struct lnx_field *of,
			 uint16_t op)
{
	struct lnx_filter *f = &w->list[*w->n];

	if (*w->n == LNX_RULE_FILTERS)
		lnx_parse_fail(L, w->p, w->field, "more than %d values in where", LNX_RULE_FILTERS);
	f->field = of;
	f->op = op;
	f->group = (uint16_t)w->group;
	f->any = (uint16_t)w->any;
	(*w->n)++;
	parse_value(L, w->p, w->field, f);
}

static const char *const parse_ops[] = { "eq", "ne", "lt", "le", "gt", "ge", "glob", NULL };

/* What is compared by <op> is at the top of the stack: a value, or of `ne` a list, none of which may be it. */
static void parse_comparison(lua_State *L, struct parse_where *w, const struct lnx_field *of,
			     unsigned op)
{
	lua_Integer k, len;

	if (op != LNX_OP_NE || !lua_istable(L, -1)) {
		parse_filter(L, w, of, (uint16_t)op);
		w->group++;
		return;
	}
	len = (lua_Integer)lua_rawlen(L, -1);
	if (!len)
		lnx_parse_fail(L, w->p, w->field, "'%s': the list of ne is empty", of->name);
	for (k = 1; k <= len; k++, w->group++) {
		(void)lua_rawgeti(L, -1, k);
		parse_filter(L, w, of, LNX_OP_NE);
		lua_pop(L, 1);
	}
}

/* The value of one field is a table: alternatives { "a", "b" }, or comparisons { ge = 1, lt = 9 }. */
static void parse_group(lua_State *L, struct parse_where *w, const struct lnx_field *of)
{
	const char *op, *near;
	unsigned i, before = *w->n;
	lua_Integer k, len = (lua_Integer)lua_rawlen(L, -1);

	for (k = 1; k <= len; k++) {
		(void)lua_rawgeti(L, -1, k);
		parse_filter(L, w, of, LNX_OP_EQ);
		lua_pop(L, 1);
	}
	w->group += len > 0;
	lua_pushnil(L);
	while (lua_next(L, -2)) {
		if (lua_type(L, -2) == LUA_TSTRING) {
			op = lua_tostring(L, -2);
			if (len)
				lnx_parse_fail(L, w->p, w->field,
					       "'%s' has either values or comparisons", of->name);
			for (i = 0; parse_ops[i] && strcmp(parse_ops[i], op) != 0; i++)
				;
			near = parse_ops[i] ? NULL : lnx_suggest(op, parse_ops);
			if (!parse_ops[i])
				lnx_parse_fail(L, w->p, w->field, "unknown comparison '%s'%s%s%s",
					       op, near ? " (did you mean '" : "", near ? near : "",
					       near ? "'?)" : "");
			parse_comparison(L, w, of, i);
		}
		lua_pop(L, 1);
	}
	if (*w->n == before)
		lnx_parse_fail(L, w->p, w->field, "'%s' is compared with nothing", of->name);
}

/* The fields of the table at <at>. Tables and a function may stand behind them in the one that is `where` itself. */
static void parse_fields(lua_State *L, struct parse_where *w, int at)
{
	const struct lnx_field *of;

	lua_pushnil(L);
	while (lua_next(L, at)) {
		if (lua_type(L, -2) == LUA_TSTRING) {
			of = lnx_parse_field(L, w->p, w->field, w->desc, lua_tostring(L, -2));
			if (lua_istable(L, -1)) {
				parse_group(L, w, of);
			} else {
				parse_filter(L, w, of, LNX_OP_EQ);
				w->group++;
			}
		} else if (w->any || !lua_isinteger(L, -2) || lua_tointeger(L, -2) < 1 ||
			   lua_tointeger(L, -2) > (lua_Integer)lua_rawlen(L, at)) {
			lnx_parse_fail(L, w->p, w->field, "%s: names of fields are needed",
				       w->field);
		}
		lua_pop(L, 1);
	}
}

void lnx_parse_where(lua_State *L, const struct lnx_parse *p, const char *field, int at,
		     const struct lnx_event_desc *desc, bool may_ask, struct lnx_filter **ret_where,
		     unsigned *ret_n)
{
	struct parse_where w = { .p = p, .field = field, .desc = desc, .n = ret_n };
	lua_Integer k, len;
	unsigned before;
	int type;

	at = lua_absindex(L, at);
	if (!lua_istable(L, at))
		lnx_parse_fail(L, p, field, "%s: expected a table of fields, not a %s", field,
			       luaL_typename(L, at));
	/* handed over before anything can raise */
	*ret_where = w.list = calloc(LNX_RULE_FILTERS, sizeof(*w.list));
	if (!w.list)
		lnx_parse_fail(L, p, field, "not enough memory");
	parse_fields(L, &w, at);
	len = (lua_Integer)lua_rawlen(L, at);
	for (k = 1; k <= len; k++) {
		type = lua_rawgeti(L, at, k);
		if (type == LUA_TFUNCTION && may_ask && k == len)
			return;
		if (type != LUA_TTABLE)
			lnx_parse_fail(L, p, field,
				       "%s: expected tables of fields%s, not a %s at %d", field,
				       may_ask ? ", and perhaps a function behind them" : "",
				       lua_typename(L, type), (int)k);
		w.any++;
		before = *ret_n;
		parse_fields(L, &w, lua_gettop(L));
		if (*ret_n == before)
			lnx_parse_fail(L, p, field, "%s: the table at %d is empty", field, (int)k);
		lua_pop(L, 1);
	}
}
