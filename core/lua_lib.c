/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The library of rules: Lua's own, less what reaches the host, and what it gives is the same in each run: no addresses, no
 * order that hangs on a hash. Functions that can run long inside of C are wrapped: they pay for their work before they begin. */
#include "lua_lib.h"

#include <lualib.h>
#include <math.h>
#include <string.h>

/* What one byte of a replacement costs beside one that is only looked at: it is copied by itself. */
#define LIB_REPLACE_BYTES 8

/* enum lib_pattern: upvalue 2 of lib_pattern */
#define LIB_MATCH  0
#define LIB_FIND   1
#define LIB_GMATCH 2
#define LIB_GSUB   3

/* Quantifiers of a Lua pattern. A %b or a back reference walks the text as a quantifier does. */
static unsigned lib_quantifiers(const char *p, size_t len)
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

/* What gsub does beside matching, in bytes: its replacement is written once for each of at most <n> matches. */
static double lib_replace_work(lua_State *L, double n)
{
	double max = lua_isnumber(L, 4) ? lua_tonumber(L, 4) : n;
	size_t bytes = 0;

	n = max < n ? max : n;
	if (!(n > 0))
		return 0;
	if (!lua_isstring(L, 3)) /* a table or a function: at least one instruction each */
		return n * LNX_LUA_BYTES_PER_STEP;
	(void)lua_tolstring(L, 3, &bytes);
	return n * (double)bytes * LIB_REPLACE_BYTES;
}

/* Bytes that the pattern looks at in <len> bytes: at each of them one may begin, each quantifier may try each length, and
 * each of those the whole pattern. Raises when one match alone is too much. */
static double lib_pattern_work(lua_State *L, lua_Integer kind, double len)
{
	bool is_plain = kind == LIB_FIND && lua_toboolean(L, 4);
	size_t plen;
	const char *p = lua_tolstring(L, 2, &plen);
	unsigned q = is_plain ? 0 : lib_quantifiers(p, plen);
	double work = pow(len + 1, q), starts = len + 1;

	if (work > LNX_LUA_PATTERN_WORK)
		return luaL_error(L, "the pattern is too costly: %d quantifiers on %d bytes",
				  (int)q, (int)len);
	if (!is_plain && kind != LIB_GMATCH && plen && p[0] == '^')
		starts = 1;
	work *= starts * ((double)plen + 1);
	return kind == LIB_GSUB ? work + lib_replace_work(L, starts) : work;
}

/* The iterator of gmatch. Upvalues: that of Lua, the call that paid for it, and what it cost. Each call that uses it pays. */
static int lib_gmatch_next(lua_State *L)
{
	const struct lnx_lua *l = lnx_lua_of(L);

	if ((uint64_t)lua_tointeger(L, lua_upvalueindex(2)) != l->serial) {
		lnx_lua_charge(L, (uint64_t)lua_tointeger(L, lua_upvalueindex(3)));
		lua_pushinteger(L, (lua_Integer)l->serial);
		lua_replace(L, lua_upvalueindex(2));
	}
	lua_settop(L, 0);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_call(L, 0, LUA_MULTRET);
	return lua_gettop(L);
}

/* find, match, gmatch, gsub: refuse a pattern bomb, pay for the rest in advance. */
static int lib_pattern(lua_State *L)
{
	lua_CFunction fn = lua_tocfunction(L, lua_upvalueindex(1));
	lua_Integer kind = lua_tointeger(L, lua_upvalueindex(2));
	const struct lnx_lua *l = lnx_lua_of(L);
	double work = 0;
	size_t len;
	int n;

	if (lua_isstring(L, 1) && lua_isstring(L, 2)) {
		(void)lua_tolstring(L, 1, &len);
		work = lib_pattern_work(L, kind, (double)len) / LNX_LUA_BYTES_PER_STEP;
		/* also where a call may have more: in C nobody looks at the clock */
		if (work > (double)l->budget)
			return luaL_error(L, "the pattern is too costly: %d bytes on %d bytes",
					  (int)lua_rawlen(L, 2), (int)len);
		lnx_lua_charge(L, (uint64_t)work);
	}
	n = fn(L);
	if (kind != LIB_GMATCH)
		return n;
	lua_pushinteger(L, (lua_Integer)l->serial);
	lua_pushinteger(L, (lua_Integer)work);
	lua_pushcclosure(L, lib_gmatch_next, 3);
	return 1;
}

/* Without its address, which is another one in each run. */
static void lib_push_kind(lua_State *L, int at)
{
	lua_pushstring(L, luaL_typename(L, at));
}

static bool lib_has_text(int type)
{
	return type == LUA_TSTRING || type == LUA_TNUMBER || type == LUA_TBOOLEAN ||
	       type == LUA_TNIL;
}

static int lib_tostring(lua_State *L)
{
	luaL_checkany(L, 1);
	if (lib_has_text(lua_type(L, 1)))
		return lua_tocfunction(L, lua_upvalueindex(1))(L);
	lib_push_kind(L, 1);
	return 1;
}

/* string.format: %s as tostring has it. */
static int lib_format(lua_State *L)
{
	size_t len, i;
	const char *f = luaL_checklstring(L, 1, &len);
	uint64_t work = len / LNX_LUA_BYTES_PER_STEP;
	int at = 1, n = lua_gettop(L);

	for (i = 0; i + 1 < len; i++) {
		if (f[i] != '%' || f[++i] == '%')
			continue;
		i += strspn(f + i, "-+ #0123456789.");
		if (++at > n || i >= len)
			break; /* the function itself says what is wrong */
		if (f[i] == 'p')
			return luaL_error(L, "string.format: %%p is another one in each run");
		work += 4;
		if (lua_type(L, at) == LUA_TSTRING)
			work += lua_rawlen(L, at) / LNX_LUA_BYTES_PER_STEP;
		if (f[i] != 's' || lib_has_text(lua_type(L, at)))
			continue;
		lib_push_kind(L, at);
		lua_replace(L, at);
	}
	lnx_lua_charge(L, work);
	return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* Any function that walks its strings or tables in C. */
static int lib_charged(lua_State *L)
{
	lua_CFunction fn = lua_tocfunction(L, lua_upvalueindex(1));
	int i, n = lua_gettop(L);
	uint64_t work = 0;

	for (i = 1; i <= n; i++)
		if (lua_type(L, i) == LUA_TSTRING)
			work += lua_rawlen(L, i) / LNX_LUA_BYTES_PER_STEP;
		else if (lua_type(L, i) == LUA_TTABLE)
			work += lua_rawlen(L, i) / 4;
	if (work)
		lnx_lua_charge(L, work);
	return fn(L);
}

static int lib_rep(lua_State *L)
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
		lnx_lua_charge(L, (uint64_t)n / 8); /* the bytes when their memory is taken */
	return fn(L);
}

static int lib_table_move(lua_State *L)
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
static int lib_table_range(lua_State *L)
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

struct lib_wrap {
	const char *name;
	lua_CFunction wrap; /* NULL: as it is */
	int arg; /* upvalue 2 of the wrapper: an argument's number, or enum lib_pattern */
};

static const struct lib_wrap lib_base[] = { { "assert", NULL, 0 },
					    { "error", NULL, 0 },
					    { "ipairs", NULL, 0 },
					    { "next", lnx_lib_next, 0 },
					    { "pairs", lnx_lib_pairs, 0 },
					    { "pcall", NULL, 0 },
					    { "rawequal", NULL, 0 },
					    { "rawlen", NULL, 0 },
					    { "select", NULL, 0 },
					    { "tonumber", lib_charged, 0 },
					    { "tostring", lib_tostring, 0 },
					    { "type", NULL, 0 },
					    { NULL, NULL, 0 } };
static const struct lib_wrap lib_string[] = { { "byte", lib_charged, 0 },
					      { "char", NULL, 0 },
					      { "find", lib_pattern, LIB_FIND },
					      { "format", lib_format, 0 },
					      { "gmatch", lib_pattern, LIB_GMATCH },
					      { "gsub", lib_pattern, LIB_GSUB },
					      { "len", NULL, 0 },
					      { "lower", lib_charged, 0 },
					      { "match", lib_pattern, LIB_MATCH },
					      { "rep", lib_rep, 0 },
					      { "reverse", lib_charged, 0 },
					      { "sub", lib_charged, 0 },
					      { "upper", lib_charged, 0 },
					      { NULL, NULL, 0 } };
static const struct lib_wrap lib_table[] = {
	{ "concat", lib_table_range, 3 }, { "insert", lib_charged, 0 },
	{ "move", lib_table_move, 0 },	  { "pack", NULL, 0 },
	{ "remove", lib_charged, 0 },	  { "sort", lnx_lib_sort, 0 },
	{ "unpack", lib_table_range, 2 }, { NULL, NULL, 0 }
};
static const struct lib_wrap lib_utf8[] = { { "char", NULL, 0 },
					    { "charpattern", NULL, 0 },
					    { "codepoint", lib_charged, 0 },
					    { "codes", lib_charged, 0 },
					    { "len", lib_charged, 0 },
					    { "offset", lib_charged, 0 },
					    { NULL, NULL, 0 } };

/* Copy what <list> names from the table at <from> to the one at <to>. */
static void lib_copy(lua_State *L, const struct lib_wrap *list, int from, int to)
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

static void lib_add(lua_State *L, const char *name, const struct lib_wrap *list, int env)
{
	(void)lua_getfield(L, LUA_REGISTRYINDEX, name);
	lua_newtable(L);
	lib_copy(L, list, -2, -1);
	lua_setfield(L, env, name);
	lua_pop(L, 1);
}

void lnx_lua_env(lua_State *L)
{
	int env;

	lua_newtable(L);
	env = lua_gettop(L);
	(void)lua_getfield(L, LUA_REGISTRYINDEX, "lnx.base");
	lib_copy(L, lib_base, -1, env);
	lua_pop(L, 1);
	lib_add(L, "string", lib_string, env);
	lib_add(L, "table", lib_table, env);
	lib_add(L, "utf8", lib_utf8, env);
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
int lnx_lib_open(lua_State *L)
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
	lib_copy(L, lib_string, -1, -2);
	lua_pop(L, 1);
	lua_setfield(L, -2, "__index");
	return 0;
}
