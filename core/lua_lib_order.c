/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Functions of the library that put things in order. Lua's own next, pairs and sort give an order that hangs on the random seed
 * of its hash, or on the clock; the same recording must give the same result each time. */
#include "lua_lib.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* enum order_kind, in their order */
#define ORDER_NUMBER 0
#define ORDER_TEXT   1
#define ORDER_BOOL   2
#define ORDER_NONE   3 /* has none */

/* A key of a table; its text lives in the table. */
struct order_key {
	unsigned kind; /* enum order_kind */
	bool is_whole;
	lua_Integer whole; /* a number; a boolean as 0 or 1 */
	lua_Number number;
	const char *text;
	size_t bytes;
	lua_Integer at; /* place in the list of keys */
};

/* Keys of a table in their order, while somebody walks it. */
struct order_walk {
	size_t n, at;
	struct order_key keys[];
};

static struct order_key order_key(lua_State *L, int at)
{
	struct order_key k = { .kind = ORDER_NONE };

	switch (lua_type(L, at)) {
	case LUA_TNUMBER:
		k.kind = ORDER_NUMBER;
		k.is_whole = lua_isinteger(L, at);
		k.whole = k.is_whole ? lua_tointeger(L, at) : 0;
		k.number = lua_tonumber(L, at);
		break;
	case LUA_TSTRING:
		k.kind = ORDER_TEXT;
		k.text = lua_tolstring(L, at, &k.bytes);
		break;
	case LUA_TBOOLEAN:
		k.kind = ORDER_BOOL;
		k.is_whole = true;
		k.whole = lua_toboolean(L, at);
		break;
	}
	return k;
}

static int order_compare(const void *x, const void *y)
{
	const struct order_key *a = x, *b = y;
	int rc = 0;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->kind == ORDER_TEXT) {
		rc = memcmp(a->text, b->text, a->bytes < b->bytes ? a->bytes : b->bytes);
		return rc ? rc : (a->bytes > b->bytes) - (a->bytes < b->bytes);
	}
	if (a->is_whole && b->is_whole)
		return (a->whole > b->whole) - (a->whole < b->whole);
	/* a key that is no whole number is small enough that the other one is exact, or infinite */
	return (a->number > b->number) - (a->number < b->number);
}

static int order_none(lua_State *L, int at)
{
	return luaL_error(
		L, "two keys of the table are no numbers or texts, but %s: they have no order",
		luaL_typename(L, at));
}

/* The smallest key that is larger than the given one, by a look at each. */
int lnx_lib_next(lua_State *L)
{
	struct order_key from, best = { .kind = ORDER_NONE }, k;
	bool is_first, has_best = false;
	unsigned n = 0;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 2);
	is_first = lua_isnil(L, 2);
	from = order_key(L, 2);
	lua_pushnil(L); /* 3: the best key */
	lua_pushnil(L);
	while (lua_next(L, 1)) {
		lua_pop(L, 1);
		n++;
		k = order_key(L, -1);
		if (!is_first && order_compare(&k, &from) <= 0)
			continue;
		if (has_best && k.kind == ORDER_NONE && best.kind == ORDER_NONE)
			return order_none(L, -1);
		if (has_best && order_compare(&k, &best) >= 0)
			continue;
		has_best = true;
		best = k;
		lua_pushvalue(L, -1);
		lua_replace(L, 3);
	}
	lnx_lua_charge(L, n);
	if (!has_best)
		return 1; /* the nil at 3 */
	lua_pushvalue(L, 3);
	(void)lua_rawget(L, 1);
	return 2;
}

/* Upvalues: the table, the list of its keys, and their order. What was taken out meanwhile is left out. */
static int order_step(lua_State *L)
{
	struct order_walk *o = lua_touserdata(L, lua_upvalueindex(3));

	while (o->at < o->n) {
		(void)lua_rawgeti(L, lua_upvalueindex(2), o->keys[o->at++].at);
		lua_pushvalue(L, -1);
		if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
			return 2;
		lua_pop(L, 2);
	}
	lua_pushnil(L);
	return 1;
}

int lnx_lib_pairs(lua_State *L)
{
	struct order_walk *o;
	size_t n = 0, none = 0;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1))
		n++;
	lnx_lua_charge(L, n + (uint64_t)((double)n * log2((double)n + 1)));
	lua_createtable(L, (int)n, 0); /* memory ends before int does */
	o = lua_newuserdatauv(L, sizeof(*o) + n * sizeof(o->keys[0]), 0);
	o->n = o->at = 0;
	for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
		o->keys[o->n] = order_key(L, -2);
		none += o->keys[o->n].kind == ORDER_NONE;
		if (none > 1)
			return order_none(L, -2);
		lua_pushvalue(L, -2);
		lua_rawseti(L, 2, (lua_Integer)++o->n);
		o->keys[o->n - 1].at = (lua_Integer)o->n;
	}
	qsort(o->keys, o->n, sizeof(o->keys[0]), order_compare);
	lua_pushcclosure(L, order_step, 3);
	return 1;
}

/* --- sort --------------------------------------------------------------------------------------- */

/* Is the value at <a> before the one at <b>? The function of order, or nil, is at 2. */
static bool sort_before(lua_State *L, int a, int b)
{
	bool is_before;

	if (lua_isnil(L, 2))
		return lua_compare(L, a, b, LUA_OPLT);
	lua_pushvalue(L, 2);
	lua_pushvalue(L, a);
	lua_pushvalue(L, b);
	lua_call(L, 2, 1);
	is_before = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return is_before;
}

/* The sorted runs [from, mid) and [mid, to) of the list at <src> become one in the list at <dst>. */
static void sort_merge(lua_State *L, int src, int dst, const lua_Integer bounds[3])
{
	lua_Integer a = bounds[0], b = bounds[1], at = a;
	int x = lua_gettop(L) + 1, y = x + 1;

	(void)lua_rawgeti(L, src, a);
	if (b < bounds[2])
		(void)lua_rawgeti(L, src, b);
	while (b < bounds[2] && a < bounds[1]) {
		/* of two that are equal the first stays the first */
		bool is_second = sort_before(L, y, x);

		lua_pushvalue(L, is_second ? y : x);
		lua_rawseti(L, dst, at++);
		(void)lua_rawgeti(L, src, is_second ? ++b : ++a);
		lua_replace(L, is_second ? y : x);
	}
	lua_settop(L, x - 1);
	while (a < bounds[1] || b < bounds[2]) {
		(void)lua_rawgeti(L, src, a < bounds[1] ? a++ : b++);
		lua_rawseti(L, dst, at++);
	}
}

int lnx_lib_sort(lua_State *L)
{
	lua_Integer n, i, width, bounds[3];
	uint64_t bytes = 0;
	int src = 3, dst = 4;

	luaL_checktype(L, 1, LUA_TTABLE);
	if (!lua_isnoneornil(L, 2))
		luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	n = (lua_Integer)lua_rawlen(L, 1);
	luaL_argcheck(L, n < INT_MAX, 1, "it is too large");
	lnx_lua_charge(L, (uint64_t)n);
	lua_createtable(L, (int)n, 0); /* the table has them already: memory ends before int does */
	lua_createtable(L, (int)n, 0);
	for (i = 1; i <= n; i++) {
		if (lua_rawgeti(L, 1, i) == LUA_TSTRING)
			bytes += lua_rawlen(L, -1);
		lua_rawseti(L, src, i);
	}
	for (width = 1; width < n; width *= 2) {
		lnx_lua_charge(L, (uint64_t)n + bytes / LNX_LUA_BYTES_PER_STEP);
		for (i = 1; i <= n; i += 2 * width) {
			bounds[0] = i;
			bounds[1] = i + width <= n ? i + width : n + 1;
			bounds[2] = i + 2 * width <= n ? i + 2 * width : n + 1;
			sort_merge(L, src, dst, bounds);
		}
		src = 7 - src;
		dst = 7 - dst;
	}
	for (i = 1; i <= n; i++) {
		(void)lua_rawgeti(L, src, i);
		lua_rawseti(L, 1, i);
	}
	return 0;
}
