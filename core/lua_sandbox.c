/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The sandbox of rules. Two nets: the memory cap of the allocator and the instruction budget of a count hook. What runs
 * long inside one C function never meets the hook, so the library functions that can are wrapped: they pay for their
 * work from the same budget before they begin. Comparing two huge strings is one instruction and cannot be wrapped; a
 * bound on CPU time, which grows with the budget and is looked at by the hook, ends a loop of those. It is only a net,
 * wide enough that what a slow machine needs for the instructions never meets it. */
#include "lua_sandbox.h"

#include <ctype.h>
#include <errno.h>
#include <lualib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "event.h"

#define LNX_BYTES_PER_STEP 64 /* of work in C that count as one instruction */

struct lnx_lua *lnx_lua_of(lua_State *L)
{
	return *(struct lnx_lua **)lua_getextraspace(L);
}

static uint64_t box_cpu_ns(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts) != 0)
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void *box_alloc(void *ud, void *p, size_t old, size_t size)
{
	struct lnx_lua *l = ud;
	void *q;

	if (!p)
		old = 0; /* then it is the kind of the object */
	if (size == 0) {
		l->used_bytes -= old;
		free(p);
		return NULL;
	}
	if (size > old && size - old > l->max_bytes - l->used_bytes) {
		l->denied++;
		return NULL;
	}
	q = realloc(p, size);
	if (!q)
		return size <= old ? p : NULL;
	l->used_bytes += size - old;
	if (l->used_bytes > l->peak_bytes)
		l->peak_bytes = l->used_bytes;
	return q;
}

static void box_exceed(lua_State *L, struct lnx_lua *l, lua_Debug *ar);

static uint64_t box_cpu_bound_ns(const struct lnx_lua *l)
{
	uint64_t times = l->limit / LNX_LUA_BUDGET;

	if (times > LNX_LUA_CPU_TIMES)
		times = LNX_LUA_CPU_TIMES;
	return (uint64_t)LNX_LUA_CPU_NS * (times ? times : 1);
}

static void box_hook(lua_State *L, lua_Debug *ar)
{
	struct lnx_lua *l = lnx_lua_of(L);

	if (ar->event == LUA_HOOKLINE) {
		l->on_line(L, ar);
		return;
	}
	l->spent += LNX_LUA_STEP;
	if (l->cpu_until_ns == UINT64_MAX)
		l->cpu_until_ns = box_cpu_ns() + box_cpu_bound_ns(l);
	if (l->is_exceeded || l->spent >= l->limit || box_cpu_ns() > l->cpu_until_ns)
		box_exceed(L, l, ar);
}

/* A pcall catches the error, so the next instruction must raise it again. */
static void box_exceed(lua_State *L, struct lnx_lua *l, lua_Debug *ar)
{
	if (!l->is_exceeded)
		l->is_late = l->spent < l->limit;
	l->is_exceeded = true;
	lua_sethook(L, box_hook, LUA_MASKCOUNT, 1);
	if (!ar)
		luaL_where(L, 1);
	else if (lua_getinfo(L, "Sl", ar) && ar->currentline > 0)
		(void)lua_pushfstring(L, "%s:%d: ", ar->short_src, ar->currentline);
	else
		(void)lua_pushliteral(L, "");
	if (l->is_late)
		(void)lua_pushfstring(L, "took longer than its %I ms of CPU time",
				      (LUAI_UACINT)(box_cpu_bound_ns(l) / 1000000));
	else
		(void)lua_pushfstring(L, "used up its budget of %I instructions",
				      (LUAI_UACINT)l->limit);
	lua_concat(L, 2);
	(void)lua_error(L);
}

void lnx_lua_charge(lua_State *L, uint64_t instructions)
{
	struct lnx_lua *l = lnx_lua_of(L);

	if (instructions > l->limit)
		instructions = l->limit;
	l->spent += instructions;
	if (l->is_exceeded || l->spent >= l->limit)
		box_exceed(L, l, NULL);
}

int lnx_lua_unknown(lua_State *L, const char *what, const char *name, const char *near)
{
	lnx_lua_of(L)->is_sure = true;
	if (near)
		return luaL_error(L, "unknown %s '%s' (did you mean '%s'?)", what, name, near);
	return luaL_error(L, "unknown %s '%s'", what, name);
}

const char *lnx_lua_printable(const char *name, char *buf, size_t cap)
{
	size_t n = 0;

	for (; *name && n + 5 < cap; name++) {
		unsigned char c = (unsigned char)*name;

		if (c >= 0x20 && c != 0x7f)
			buf[n++] = (char)c;
		else
			n += (size_t)snprintf(buf + n, cap - n, "\\x%02x", c);
	}
	buf[n] = 0;
	return buf;
}

/* --- library ------------------------------------------------------------------------------------ */

/* Quantifiers of a Lua pattern. A %b or a back reference walks the text as a quantifier does. */
static unsigned box_quantifiers(const char *p, size_t len)
{
	unsigned n = 0;
	size_t i = 0;

	while (i < len) {
		if (p[i] == '%' && i + 1 < len) {
			if (p[i + 1] == 'b' || (p[i + 1] >= '0' && p[i + 1] <= '9'))
				n++;
			i += 2;
		} else if (p[i] == '[') {
			/* a ']' right after the bracket stands for itself */
			i += i + 1 < len && p[i + 1] == '^' ? 2 : 1;
			if (i < len && p[i] == ']')
				i++;
			while (i < len && p[i] != ']')
				i += p[i] == '%' ? 2 : 1;
			i++;
		} else {
			n += p[i] == '*' || p[i] == '+' || p[i] == '-' || p[i] == '?';
			i++;
		}
	}
	return n;
}

/* find, match, gmatch, gsub: refuse a pattern bomb, pay for the rest in advance. */
static int box_pattern(lua_State *L)
{
	lua_CFunction fn = lua_tocfunction(L, lua_upvalueindex(1));
	size_t len = 0, plen = 0;
	const char *p;
	unsigned q = 0;
	double work;

	if (lua_type(L, 1) == LUA_TSTRING && lua_type(L, 2) == LUA_TSTRING) {
		(void)lua_tolstring(L, 1, &len);
		p = lua_tolstring(L, 2, &plen);
		/* find(s, p, init, true) is plain */
		if (lua_tointeger(L, lua_upvalueindex(2)) != 4 || !lua_toboolean(L, 4))
			q = box_quantifiers(p, plen);
		work = pow((double)len + 1, q);
		if (work > LNX_LUA_PATTERN_WORK)
			return luaL_error(L,
					  "the pattern is too costly: %d quantifiers on %d bytes",
					  (int)q, (int)len);
		/* one more power unless it is tied to the start: each byte may begin a match */
		if (plen && p[0] != '^')
			work *= (double)len + 1;
		lnx_lua_charge(L, (uint64_t)(work / LNX_BYTES_PER_STEP));
	}
	return fn(L);
}

/* Any function that walks its strings or tables in C. */
static int box_charged(lua_State *L)
{
	lua_CFunction fn = lua_tocfunction(L, lua_upvalueindex(1));
	int i, n = lua_gettop(L);
	uint64_t work = 0;

	for (i = 1; i <= n; i++)
		if (lua_type(L, i) == LUA_TSTRING)
			work += lua_rawlen(L, i) / LNX_BYTES_PER_STEP;
		else if (lua_type(L, i) == LUA_TTABLE)
			work += lua_rawlen(L, i) / 4;
	if (work)
		lnx_lua_charge(L, work);
	return fn(L);
}

static int box_rep(lua_State *L)
{
	lua_CFunction fn = lua_tocfunction(L, lua_upvalueindex(1));
	size_t len, sep = 0;
	lua_Integer n;

	(void)luaL_checklstring(L, 1, &len);
	n = luaL_checkinteger(L, 2);
	(void)luaL_optlstring(L, 3, "", &sep);
	if (n > 0 && len + sep == 0) {
		lua_pushliteral(L, "");
		return 1;
	}
	if (n > 0 && (uint64_t)n > lnx_lua_of(L)->max_bytes / (len + sep))
		return luaL_error(L, "string.rep: the result is larger than the memory of rules");
	if (n > 0)
		lnx_lua_charge(L, (uint64_t)n / 8 + (uint64_t)n * (len + sep) / LNX_BYTES_PER_STEP);
	return fn(L);
}

static int box_table_move(lua_State *L)
{
	lua_CFunction fn = lua_tocfunction(L, lua_upvalueindex(1));
	lua_Integer from = luaL_checkinteger(L, 2), to = luaL_checkinteger(L, 3);

	if (to >= from) {
		if ((lua_Unsigned)to - (lua_Unsigned)from >= LNX_LUA_TABLE_OPS)
			return luaL_error(L, "table.move: too many elements");
		lnx_lua_charge(L, (uint64_t)(to - from) / 4);
	}
	return fn(L);
}

/* concat and unpack walk from i to j, whatever the table holds. */
static int box_table_range(lua_State *L)
{
	lua_CFunction fn = lua_tocfunction(L, lua_upvalueindex(1));
	lua_Unsigned len = lua_istable(L, 1) ? lua_rawlen(L, 1) : 0;
	int at = (int)lua_tointeger(L, lua_upvalueindex(2));
	lua_Integer from = luaL_optinteger(L, at, 1),
		    to = luaL_optinteger(L, at + 1, (lua_Integer)len);

	if (to >= from) {
		if ((lua_Unsigned)to - (lua_Unsigned)from >= LNX_LUA_TABLE_OPS)
			return luaL_error(L, "too many elements");
		lnx_lua_charge(L, (uint64_t)(to - from) / 4);
	}
	return fn(L);
}

static int box_sort(lua_State *L)
{
	lua_CFunction fn = lua_tocfunction(L, lua_upvalueindex(1));
	double n = lua_istable(L, 1) ? (double)lua_rawlen(L, 1) : 0;

	lnx_lua_charge(L, (uint64_t)(n * log2(n + 2)));
	return fn(L);
}

struct box_wrap {
	const char *name;
	lua_CFunction wrap; /* NULL: as it is */
	int arg;	    /* upvalue 2 of the wrapper: an argument's number */
};

static const struct box_wrap box_base[] = { { "assert", NULL, 0 },   { "error", NULL, 0 },
					    { "ipairs", NULL, 0 },   { "next", NULL, 0 },
					    { "pairs", NULL, 0 },    { "pcall", NULL, 0 },
					    { "rawequal", NULL, 0 }, { "rawlen", NULL, 0 },
					    { "select", NULL, 0 },   { "tonumber", box_charged, 0 },
					    { "tostring", NULL, 0 }, { "type", NULL, 0 },
					    { NULL, NULL, 0 } };
static const struct box_wrap box_string[] = { { "byte", box_charged, 0 },
					      { "char", NULL, 0 },
					      { "find", box_pattern, 4 },
					      { "format", box_charged, 0 },
					      { "gmatch", box_pattern, 0 },
					      { "gsub", box_pattern, 0 },
					      { "len", NULL, 0 },
					      { "lower", box_charged, 0 },
					      { "match", box_pattern, 0 },
					      { "rep", box_rep, 0 },
					      { "reverse", box_charged, 0 },
					      { "sub", box_charged, 0 },
					      { "upper", box_charged, 0 },
					      { NULL, NULL, 0 } };
static const struct box_wrap box_table[] = {
	{ "concat", box_table_range, 3 }, { "insert", box_charged, 0 },
	{ "move", box_table_move, 0 },	  { "pack", NULL, 0 },
	{ "remove", box_charged, 0 },	  { "sort", box_sort, 0 },
	{ "unpack", box_table_range, 2 }, { NULL, NULL, 0 }
};
static const struct box_wrap box_utf8[] = { { "char", NULL, 0 },
					    { "charpattern", NULL, 0 },
					    { "codepoint", box_charged, 0 },
					    { "codes", box_charged, 0 },
					    { "len", box_charged, 0 },
					    { "offset", box_charged, 0 },
					    { NULL, NULL, 0 } };

/* Copy what <list> names from the table at <from> to the one at <to>. */
static void box_copy(lua_State *L, const struct box_wrap *list, int from, int to)
{
	from = lua_absindex(L, from);
	to = lua_absindex(L, to);
	for (; list->name; list++) {
		lua_getfield(L, from, list->name);
		if (list->wrap) {
			lua_pushinteger(L, list->arg);
			lua_pushcclosure(L, list->wrap, 2);
		}
		lua_setfield(L, to, list->name);
	}
}

static void box_lib(lua_State *L, const char *name, const struct box_wrap *list, int env)
{
	(void)lua_getfield(L, LUA_REGISTRYINDEX, name);
	lua_newtable(L);
	box_copy(L, list, -2, -1);
	lua_setfield(L, env, name);
	lua_pop(L, 1);
}

void lnx_lua_env(lua_State *L)
{
	int env;

	lua_newtable(L);
	env = lua_gettop(L);
	(void)lua_getfield(L, LUA_REGISTRYINDEX, "lnx.base");
	box_copy(L, box_base, -1, env);
	lua_pop(L, 1);
	box_lib(L, "string", box_string, env);
	box_lib(L, "table", box_table, env);
	box_lib(L, "utf8", box_utf8, env);
	/* math holds nothing dangerous but its random numbers, which would make a replay differ */
	(void)lua_getfield(L, LUA_REGISTRYINDEX, "math");
	lua_newtable(L);
	lua_pushnil(L);
	while (lua_next(L, -3)) {
		const char *k = lua_tostring(L, -2);

		if (strcmp(k, "random") == 0 || strcmp(k, "randomseed") == 0) {
			lua_pop(L, 1);
			continue;
		}
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_rawset(L, -4);
	}
	lua_setfield(L, env, "math");
	lua_settop(L, env);
}

/* Open the libraries where no rule can reach them: in the registry, not in a global table. */
static int box_open(lua_State *L)
{
	static const luaL_Reg libs[] = { { "string", luaopen_string },
					 { "table", luaopen_table },
					 { "math", luaopen_math },
					 { "utf8", luaopen_utf8 },
					 { NULL, NULL } };
	const luaL_Reg *lib;

	lua_pushcfunction(L, luaopen_base);
	lua_call(L, 0, 1);
	lua_setfield(L, LUA_REGISTRYINDEX, "lnx.base");
	for (lib = libs; lib->name; lib++) {
		lua_pushcfunction(L, lib->func);
		lua_call(L, 0, 1);
		lua_setfield(L, LUA_REGISTRYINDEX, lib->name);
	}
	/* s:rep(9) goes through the metatable of strings: the safe functions there, too */
	lua_pushliteral(L, "");
	(void)lua_getmetatable(L, -1);
	lua_newtable(L);
	(void)lua_getfield(L, LUA_REGISTRYINDEX, "string");
	box_copy(L, box_string, -1, -2);
	lua_pop(L, 1);
	lua_setfield(L, -2, "__index");
	return 0;
}

/* --- state -------------------------------------------------------------------------------------- */

int lnx_lua_new(size_t memory_max, uint64_t budget, struct lnx_lua **ret_lua)
{
	struct lnx_lua *l = calloc(1, sizeof(*l));
	int rc;

	if (!l)
		return -ENOMEM;
	l->max_bytes = memory_max ? memory_max : LNX_LUA_MEMORY_BYTES;
	l->budget = budget ? budget : LNX_LUA_BUDGET;
	l->L = lua_newstate(box_alloc, l);
	if (!l->L) {
		free(l);
		return -ENOMEM;
	}
	*(struct lnx_lua **)lua_getextraspace(l->L) = l;
	rc = lnx_lua_call(l, box_open, NULL, 0, NULL);
	if (rc != 0) {
		lnx_lua_free(l);
		return -ENOMEM;
	}
	*ret_lua = l;
	return 0;
}

void lnx_lua_free(struct lnx_lua *l)
{
	if (!l)
		return;
	lua_close(l->L);
	free(l);
}

void lnx_lua_split(const char *msg, struct lnx_err *err)
{
	unsigned chunk = 0;
	int line = 0, n = 0;

	if (sscanf(msg, "#%u:%d: %n", &chunk, &line, &n) == 2 && n > 0)
		msg += n;
	(void)lnx_err_set(err, 0, "%s", msg);
	if (err) {
		err->line = line;
		err->column = (int)chunk;
	}
}

int lnx_lua_pcall(struct lnx_lua *l, int n_args, int n_results, uint64_t budget,
		  struct lnx_err *err)
{
	lua_State *L = l->L;
	int rc;

	l->spent = 0;
	l->limit = budget ? budget : l->budget;
	l->cpu_until_ns = UINT64_MAX;
	if (l->is_exceeded || !lua_gethook(L)) {
		/* it counts on from the call before: at most one step too early */
		lua_sethook(L, box_hook, LUA_MASKCOUNT | (l->on_line ? LUA_MASKLINE : 0),
			    LNX_LUA_STEP);
		l->is_exceeded = false;
	}
	l->is_sure = false;
	rc = lua_pcall(L, n_args, n_results, 0);
	if (rc == LUA_OK && !l->is_exceeded)
		return 0;
	if (rc == LUA_OK) {
		(void)lnx_err_set(err, 0, "used up its budget");
		lua_pop(L, n_results);
		return -ETIME;
	}
	if (rc == LUA_ERRMEM)
		(void)lnx_err_set(err, 0, "not enough memory: all rules together may use %zu KiB",
				  l->max_bytes / 1024);
	else if (lua_type(L, -1) == LUA_TSTRING)
		lnx_lua_split(lua_tostring(L, -1), err);
	else
		(void)lnx_err_set(err, 0, "the error is not a text but a %s", luaL_typename(L, -1));
	lua_pop(L, 1);
	if (l->is_exceeded)
		return -ETIME;
	return rc == LUA_ERRMEM ? -ENOMEM : -EINVAL;
}

int lnx_lua_call(struct lnx_lua *l, lua_CFunction fn, void *arg, uint64_t budget,
		 struct lnx_err *err)
{
	lua_pushcfunction(l->L, fn);
	lua_pushlightuserdata(l->L, arg);
	return lnx_lua_pcall(l, 1, 0, budget, err);
}

void lnx_lua_load(lua_State *L, unsigned chunk, const char *text, size_t bytes, int env)
{
	char name[24];

	env = lua_absindex(L, env);
	(void)snprintf(name, sizeof(name), "=#%u", chunk);
	if (bytes && text[0] == LUA_SIGNATURE[0])
		(void)luaL_error(L, "is compiled Lua: only text is loaded");
	if (luaL_loadbufferx(L, text, bytes, name, "t") != LUA_OK)
		(void)lua_error(L);
	lua_pushvalue(L, env);
	if (!lua_setupvalue(L, -2, 1))
		lua_pop(L, 1);
}
