/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Windows and series as rules see them: `w`. */
#include <string.h>

#include "lua_bind.h"

/* Series <i> of whatever rule runs. */
struct bind_series {
	unsigned i;
};

static int bind_w_index(lua_State *L)
{
	struct lnx_rules *r = lnx_bind_rules(L);
	const char *name = luaL_checkstring(L, 2), *names[LNX_RULE_WINDOWS + LNX_RULE_SERIES + 1];
	struct lnx_rule *rule = r->rule;
	struct lnx_key *key = r->key;
	unsigned i, n = 0;
	char shown[64];
	double v;

	if (!rule || !key)
		return luaL_error(L, "there is no window here");
	for (i = 0; i < rule->n_windows; i++) {
		const struct lnx_window *w = &rule->windows[i];

		names[n++] = w->name; /* for the suggestion */
		if (strcmp(w->name, name) != 0)
			continue;
		v = lnx_window_read(w, lnx_key_window(key, w), (char *)rule->totals + w->offset,
				    r->now_ns);
		lnx_bind_read(r, w->name, NULL, lnx_window_unit(w), v);
		lnx_bind_number(L, v);
		return 1;
	}
	for (i = 0; i < rule->n_series; i++) {
		names[n++] = rule->series[i].name;
		if (strcmp(rule->series[i].name, name) == 0) {
			(void)lua_rawgeti(L, LUA_REGISTRYINDEX, r->ref_series[i]);
			return 1;
		}
	}
	names[n] = NULL;
	return lnx_lua_unknown(L, "window", lnx_lua_printable(name, shown, sizeof(shown)),
			       lnx_suggest(name, names));
}

/* The series that argument 1 stands for. */
static const struct lnx_series *bind_series(lua_State *L, const struct lnx_rules *r)
{
	const struct bind_series *x = luaL_checkudata(L, 1, "lnx.series");

	if (!r->rule || !r->key || x->i >= r->rule->n_series)
		(void)luaL_error(L, "there is no series here");
	return &r->rule->series[x->i];
}

static int bind_series_eta(lua_State *L)
{
	struct lnx_rules *r = lnx_bind_rules(L);
	const struct lnx_series *s = bind_series(L, r);
	double limit = luaL_checknumber(L, 2);
	double v = lnx_series_eta(s, lnx_key_series(r->key, s), limit, r->now_ns);

	lnx_bind_read(r, s->name, "eta", "s", v);
	lua_pushnumber(L, v);
	return 1;
}

static int bind_series_index(lua_State *L)
{
	struct lnx_rules *r = lnx_bind_rules(L);
	const struct lnx_series *s = bind_series(L, r);
	const char *name = luaL_checkstring(L, 2), *names[LNX_SERIES_PARTS + 2];
	char shown[64];
	unsigned i;
	double v;

	if (strcmp(name, "eta") == 0) {
		lua_pushcfunction(L, bind_series_eta);
		return 1;
	}
	for (i = 0; i < LNX_SERIES_PARTS; i++) {
		names[i] = lnx_series_part_names[i];
		if (strcmp(names[i], name) != 0)
			continue;
		v = lnx_series_read(s, lnx_key_series(r->key, s), i, r->now_ns);
		lnx_bind_read(r, s->name, names[i], lnx_series_unit(s, i), v);
		lnx_bind_number(L, v);
		return 1;
	}
	names[i++] = "eta";
	names[i] = NULL;
	return lnx_lua_unknown(L, "figure of a series",
			       lnx_lua_printable(name, shown, sizeof(shown)),
			       lnx_suggest(name, names));
}

void lnx_bind_window_open(lua_State *L, struct lnx_rules *r)
{
	struct bind_series *x;
	unsigned i;

	r->ref_w = lnx_bind_object(L, "lnx.w", bind_w_index);
	lnx_bind_meta(L, "lnx.series", bind_series_index);
	for (i = 0; i < LNX_RULE_SERIES; i++) {
		x = lua_newuserdatauv(L, sizeof(*x), 0);
		x->i = i;
		luaL_setmetatable(L, "lnx.series");
		r->ref_series[i] = luaL_ref(L, LUA_REGISTRYINDEX);
	}
}
