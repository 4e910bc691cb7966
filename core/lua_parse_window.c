/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Windows and series of a rule table, tied to the event types that feed them. */
#include <stdio.h>
#include <string.h>

#include "lua_parse.h"

#define PARSE_NAMES 32 /* more than a rule may have of either */

/* What a text or table of a window or a series says. */
struct parse_feed {
	const char *what; /* "window" or "series" */
	const char *fn;	  /* for people */
	const char *of;	  /* field, or NULL */
	const char *on;	  /* event, or NULL: all triggers */
	bool is_number;	  /* the field must be one */
};

/* Names of the table at <at>, by letters: the order in the table is another one in each run. They live in the table. */
static unsigned parse_names(lua_State *L, const struct lnx_parse *p, const char *what, int at,
			    const char *names[PARSE_NAMES])
{
	const char *name;
	unsigned n = 0, i;

	for (lua_pushnil(L); lua_next(L, at); lua_pop(L, 1)) {
		if (lua_type(L, -2) != LUA_TSTRING)
			lnx_parse_fail(L, p, what, "%s: each needs a name: { %s }", what,
				       *what == 'w' ? "forks = \"count 1s\""
						    : "memory = \"rss_bytes 15m\"");
		name = lua_tostring(L, -2);
		if (n == PARSE_NAMES)
			lnx_parse_fail(L, p, what, "more than %d %s", LNX_RULE_WINDOWS, what);
		for (i = n++; i && strcmp(names[i - 1], name) > 0; i--)
			names[i] = names[i - 1];
		names[i] = name;
	}
	return n;
}

/* "count 1s", "sum rss_bytes 10s", "1s". Returns the number of words. */
static unsigned parse_words(const char *s, char words[3][LNX_WIN_NAME])
{
	unsigned n = 0;
	size_t len;

	while (*(s += strspn(s, " \t"))) {
		len = strcspn(s, " \t");
		if (n == 3 || len >= LNX_WIN_NAME)
			return 4;
		memcpy(words[n], s, len);
		words[n++][len] = 0;
		s += len;
	}
	return n;
}

static void parse_set_name(lua_State *L, const struct lnx_parse *p, const char *what,
			   const char *name, char to[LNX_WIN_NAME])
{
	const struct lnx_rule *rule = p->rule;
	char shown[40];
	unsigned i;

	if (strlen(name) >= LNX_WIN_NAME || !*name)
		lnx_parse_fail(L, p, what, "%s: '%s' is not a name of 1 to %d letters", what,
			       lnx_lua_printable(name, shown, sizeof(shown)), LNX_WIN_NAME - 1);
	for (i = 0; i < rule->n_windows; i++)
		if (strcmp(rule->windows[i].name, name) == 0)
			lnx_parse_fail(L, p, what, "%s: there is a window '%s' already", what,
				       name);
	(void)snprintf(to, LNX_WIN_NAME, "%s", name);
}

/* Tie slot <i> of every event type to what feeds it. Returns the field of the last one. */
static const struct lnx_field *parse_tie(lua_State *L, const struct lnx_parse *p, unsigned i,
					 const struct parse_feed *f)
{
	struct lnx_rule *rule = p->rule;
	struct lnx_rule_on *only = f->on ? lnx_parse_on(L, p, f->what, f->on) : NULL;
	const struct lnx_field *of = NULL;
	unsigned k;

	for (k = 0; k < rule->n_ons; k++) {
		struct lnx_rule_on *o = &rule->ons[k];

		if (only ? o != only : !o->is_trigger)
			continue;
		o->feeds[i].is_wanted = true;
		if (!f->of)
			continue;
		of = lnx_parse_field(L, p, f->what, o->desc, f->of);
		o->feeds[i].of = of;
		if (f->is_number && lnx_parse_is_text(of))
			lnx_parse_fail(L, p, f->what, "%s: field '%s' is text", f->fn, f->of);
	}
	return of;
}

/* --- windows ------------------------------------------------------------------------------------ */

static void parse_add_window(lua_State *L, const struct lnx_parse *p, const char *name, unsigned fn,
			     uint64_t over_ns, const char *of, const char *on)
{
	struct parse_feed f = { .what = "window", .fn = lnx_window_fn_names[fn], .of = of };
	struct lnx_rule *rule = p->rule;
	struct lnx_window *w = &rule->windows[rule->n_windows];

	if (rule->n_windows == LNX_RULE_WINDOWS)
		lnx_parse_fail(L, p, "window", "more than %d windows", LNX_RULE_WINDOWS);
	parse_set_name(L, p, "window", name ? name : lnx_window_fn_names[fn], w->name);
	w->fn = fn;
	w->over_ns = over_ns;
	w->has_field = of != NULL;
	if (!of &&
	    (fn == LNX_WIN_SUM || fn == LNX_WIN_MAX || fn == LNX_WIN_P99 || fn == LNX_WIN_DISTINCT))
		lnx_parse_fail(L, p, "window",
			       "%s needs a field: \"%s FIELD 10s\", or sum = \"FIELD\"", f.fn,
			       f.fn);
	f.on = on;
	f.is_number = fn != LNX_WIN_DISTINCT;
	(void)parse_tie(L, p, rule->n_windows++, &f);
}

/* Add the window(s) of text <s>; name NULL: called after the function. */
static void parse_window(lua_State *L, const struct lnx_parse *p, const char *name, const char *s,
			 const char *sum, const char *on)
{
	static const unsigned plain[] = { LNX_WIN_COUNT, LNX_WIN_RATE, LNX_WIN_SUM, LNX_WIN_SHARE,
					  LNX_WIN_MAX };
	char words[3][LNX_WIN_NAME], shown[64];
	unsigned n = parse_words(s, words), fn = 0, i, k;
	uint64_t over = 0;
	const char *near, *of = n == 3 ? words[1] : sum;
	bool has_field;

	if (n < 1 || n > 3 || lnx_parse_duration(words[n - 1], strlen(words[n - 1]), &over) < 0 ||
	    (n == 1 && name))
		lnx_parse_fail(
			L, p, "window",
			"window: '%s' is not \"FUNCTION [FIELD] DURATION\", such as \"count 1s\"",
			lnx_lua_printable(s, shown, sizeof(shown)));
	if (over < LNX_WIN_MIN_NS)
		lnx_parse_fail(L, p, "window", "window: '%s' is shorter than 10ms", words[n - 1]);
	for (; n > 1 && lnx_window_fn_names[fn] && strcmp(lnx_window_fn_names[fn], words[0]) != 0;
	     fn++)
		;
	if (n > 1 && !lnx_window_fn_names[fn]) {
		near = lnx_suggest(words[0], lnx_window_fn_names);
		lnx_parse_fail(L, p, "window", "window: unknown function '%s'%s%s%s", words[0],
			       near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
	}
	for (i = 0; i < (n > 1 ? 1 : sum ? 5 : 2); i++) {
		k = n > 1 ? fn : plain[i];
		/* a bare count stays a count of events */
		has_field = n == 3 || (k != LNX_WIN_COUNT && (n > 1 || k != LNX_WIN_RATE));
		parse_add_window(L, p, name, k, over, has_field ? of : NULL, on);
	}
}

/* { "count 10s", on = "proc.exit", where = { did_exec = false } }: its text and event, on the stack. */
static const char *parse_table(lua_State *L, const struct lnx_parse *p, const char *what,
			       const char *name, const char **ret_on)
{
	static const char *const keys[] = { "on", "where", NULL };
	int at = lua_gettop(L);
	const char *key, *near;

	*ret_on = NULL;
	if (lua_type(L, at) == LUA_TSTRING)
		return lua_tostring(L, at);
	if (!lua_istable(L, at))
		lnx_parse_fail(L, p, what, "%s '%s': expected a text or a table", what, name);
	for (lua_pushnil(L); lua_next(L, at); lua_pop(L, 1)) {
		key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
		if (*key && strcmp(key, "on") != 0 && strcmp(key, "where") != 0) {
			near = lnx_suggest(key, keys);
			lnx_parse_fail(L, p, what, "unknown field '%s' of %s '%s'%s%s%s", key, what,
				       name, near ? " (did you mean '" : "", near ? near : "",
				       near ? "'?)" : "");
		}
	}
	if (lua_getfield(L, at, "on") == LUA_TSTRING)
		*ret_on = lua_tostring(L, -1);
	else if (!lua_isnil(L, -1))
		lnx_parse_fail(L, p, what, "%s '%s': on is the name of one event", what, name);
	if (lua_rawgeti(L, at, 1) != LUA_TSTRING)
		lnx_parse_fail(L, p, what, "%s '%s': the first element is \"%s\"", what, name,
			       *what == 'w' ? "FUNCTION [FIELD] DURATION" : "FIELD DURATION");
	return lua_tostring(L, -1);
}

/* `where` of the table at <at> to what feeds slot <i>. */
static void parse_feed_where(lua_State *L, const struct lnx_parse *p, const char *what, int at,
			     unsigned i)
{
	struct lnx_rule *rule = p->rule;
	unsigned k;

	if (!lua_istable(L, at) || lua_getfield(L, at, "where") == LUA_TNIL)
		return;
	for (k = 0; k < rule->n_ons; k++)
		if (rule->ons[k].feeds[i].is_wanted)
			lnx_parse_where(L, p, what, -1, rule->ons[k].desc, false,
					&rule->ons[k].feeds[i].where,
					&rule->ons[k].feeds[i].n_where);
}

void lnx_parse_windows(lua_State *L, const struct lnx_parse *p, int at, const char *sum)
{
	const char *names[PARSE_NAMES], *text, *on;
	unsigned n, i, first;

	at = lua_absindex(L, at);
	if (lua_type(L, at) == LUA_TSTRING) {
		parse_window(L, p, NULL, lua_tostring(L, at), sum, NULL);
		return;
	}
	if (!lua_istable(L, at))
		lnx_parse_fail(L, p, "window", "window: expected a text or a table, not a %s",
			       luaL_typename(L, at));
	n = parse_names(L, p, "window", at, names);
	for (i = 0; i < n; i++) {
		first = p->rule->n_windows;
		(void)lua_getfield(L, at, names[i]);
		text = parse_table(L, p, "window", names[i], &on);
		parse_window(L, p, names[i], text, sum, on);
		parse_feed_where(L, p, "window", at + 1, first);
		lua_settop(L, at);
	}
}

/* --- series ------------------------------------------------------------------------------------- */

static void parse_one_series(lua_State *L, const struct lnx_parse *p, const char *name,
			     const char *s, const char *on)
{
	struct parse_feed f = { .what = "series", .fn = "series", .on = on, .is_number = true };
	struct lnx_rule *rule = p->rule;
	struct lnx_series *x = &rule->series[rule->n_series];
	char words[3][LNX_WIN_NAME], shown[64];
	const struct lnx_field *of;

	if (rule->n_series == LNX_RULE_SERIES)
		lnx_parse_fail(L, p, "series", "more than %d series", LNX_RULE_SERIES);
	parse_set_name(L, p, "series", name, x->name);
	if (parse_words(s, words) != 2 ||
	    lnx_parse_duration(words[1], strlen(words[1]), &x->over_ns) < 0)
		lnx_parse_fail(
			L, p, "series",
			"series '%s': '%s' is not \"FIELD DURATION\", such as \"rss_bytes 15m\"",
			name, lnx_lua_printable(s, shown, sizeof(shown)));
	if (x->over_ns < LNX_WIN_MIN_NS)
		lnx_parse_fail(L, p, "series", "series '%s': '%s' is shorter than 10ms", name,
			       words[1]);
	f.of = words[0];
	of = parse_tie(L, p, LNX_RULE_WINDOWS + rule->n_series, &f);
	x->unit = of ? of->unit : "";
	rule->n_series++;
}

void lnx_parse_series(lua_State *L, const struct lnx_parse *p, int at)
{
	const char *names[PARSE_NAMES], *text, *on;
	unsigned n, i;

	at = lua_absindex(L, at);
	if (!lua_istable(L, at))
		lnx_parse_fail(
			L, p, "series",
			"series: expected a table such as { memory = \"rss_bytes 15m\" }, not a %s",
			luaL_typename(L, at));
	n = parse_names(L, p, "series", at, names);
	for (i = 0; i < n; i++) {
		(void)lua_getfield(L, at, names[i]);
		text = parse_table(L, p, "series", names[i], &on);
		parse_one_series(L, p, names[i], text, on);
		parse_feed_where(L, p, "series", at + 1, LNX_RULE_WINDOWS + i);
		lua_settop(L, at);
	}
}
