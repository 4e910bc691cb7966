/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Who holds the memory of all rules. What a call took says nothing: garbage is made by one rule and collected in the call of
 * another. So, when memory is short, what the functions of each rule reach is counted, by a walk as that of a collection. */
#include <stdlib.h>

#include "lua_engine.h"

#define HOG_SEEN     4096	/* places of the set to begin with */
#define HOG_SEEN_MAX (1u << 20) /* objects beyond three quarters of it are not counted */

/* Bytes of Lua's own objects on a 64-bit machine, near enough to tell a hog. */
#define HOG_TABLE    56
#define HOG_SLOT     16 /* of the array part */
#define HOG_NODE     40 /* of the hash part */
#define HOG_STRING   25
#define HOG_FUNCTION 40
#define HOG_UPVALUE  48
#define HOG_USERDATA 40

struct hog {
	struct lnx_rules *rules;
	const void **seen; /* open addressing; NULL: free */
	size_t cap, n;
	uint64_t bytes; /* of the rule that is walked, but for what was seen before */
	lua_Integer todo;
	struct lnx_rule *best;
	uint64_t best_bytes;
};

static size_t hog_place(const struct hog *h, const void *p)
{
	size_t i = (size_t)(((uintptr_t)p >> 3) * 0x9e3779b97f4a7c15ULL >> 20) & (h->cap - 1);

	while (h->seen[i] && h->seen[i] != p)
		i = (i + 1) & (h->cap - 1);
	return i;
}

static void hog_grow(struct hog *h)
{
	struct hog more = *h;
	size_t i;

	more.cap = h->cap ? 2 * h->cap : HOG_SEEN;
	more.seen = more.cap <= HOG_SEEN_MAX ? calloc(more.cap, sizeof(*more.seen)) : NULL;
	if (!more.seen)
		return;
	for (i = 0; i < h->cap; i++)
		if (h->seen[i])
			more.seen[hog_place(&more, h->seen[i])] = h->seen[i];
	free(h->seen);
	*h = more;
}

/* False: it was seen before, or there is no room to remember it. */
static bool hog_see(struct hog *h, const void *p)
{
	size_t i;

	if (4 * (h->n + 1) > 3 * h->cap)
		hog_grow(h);
	if (4 * (h->n + 1) > 3 * h->cap)
		return false;
	i = hog_place(h, p);
	if (h->seen[i])
		return false;
	h->seen[i] = p;
	h->n++;
	return true;
}

/* Count the value on top of the stack and take it off; what it leads to is for later. The list of that is at 2. */
static void hog_value(lua_State *L, struct hog *h)
{
	int type = lua_type(L, -1);

	if ((type == LUA_TSTRING || type == LUA_TTABLE || type == LUA_TFUNCTION ||
	     type == LUA_TUSERDATA) &&
	    hog_see(h, lua_topointer(L, -1))) {
		if (type == LUA_TSTRING) {
			h->bytes += HOG_STRING + lua_rawlen(L, -1);
		} else if (type == LUA_TUSERDATA) {
			h->bytes += HOG_USERDATA + lua_rawlen(L, -1);
		} else {
			lua_rawseti(L, 2, ++h->todo);
			return;
		}
	}
	lua_pop(L, 1);
}

/* The table or function on top of the stack. */
static void hog_object(lua_State *L, struct hog *h)
{
	int at = lua_gettop(L), i;

	if (lua_isfunction(L, at)) {
		h->bytes += HOG_FUNCTION;
		for (i = 1; lua_getupvalue(L, at, i); i++) {
			h->bytes += HOG_UPVALUE;
			hog_value(L, h);
		}
		return;
	}
	h->bytes += HOG_TABLE;
	for (lua_pushnil(L); lua_next(L, at);) {
		h->bytes += lua_isinteger(L, -2) ? HOG_SLOT : HOG_NODE;
		hog_value(L, h);
		lua_pushvalue(L, -1);
		hog_value(L, h);
	}
}

static int hog_walk(lua_State *L)
{
	struct hog *h = lua_touserdata(L, 1);
	unsigned i, k;

	lua_newtable(L);
	for (i = 0; i < h->rules->n_rules; i++) {
		struct lnx_rule *rule = h->rules->rules[i];
		const int refs[] = { rule->when, rule->where, rule->severity, rule->say };

		h->bytes = 0;
		for (k = 0; k < sizeof(refs) / sizeof(refs[0]); k++) {
			(void)lua_rawgeti(L, LUA_REGISTRYINDEX, refs[k]);
			hog_value(L, h);
		}
		while (h->todo) {
			(void)lua_rawgeti(L, 2, h->todo);
			lua_pushnil(L);
			lua_rawseti(L, 2, h->todo--);
			hog_object(L, h);
			lua_settop(L, 2);
		}
		if (!rule->is_disabled && h->bytes > h->best_bytes) {
			h->best = rule;
			h->best_bytes = h->bytes;
		}
	}
	return 0;
}

struct lnx_rule *lnx_hog_find(struct lnx_rules *r)
{
	struct hog h = { .rules = r };
	size_t max_bytes = r->lua->max_bytes;
	int rc;

	/* the list of what is still to be walked is short-lived, and must not fail for what it looks for */
	r->lua->max_bytes = SIZE_MAX;
	rc = lnx_lua_call(r->lua, hog_walk, &h, 0, NULL);
	r->lua->max_bytes = max_bytes;
	free(h.seen);
	return rc == 0 && h.best_bytes >= max_bytes / 16 ? h.best : NULL;
}
