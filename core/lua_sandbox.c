/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The sandbox of rules. Two nets: the memory cap of the allocator and the instruction budget of a count hook. What runs
 * long inside one C function never meets the hook, so the library functions that can (lua_lib.c) pay for their work from
 * the same budget before they begin, and large pieces of memory are paid for when they are taken. Comparing two huge
 * strings is one instruction and cannot be wrapped; a bound on CPU time, which grows with the budget and is looked at by
 * the hook and with each payment, ends a loop of those. It is only a net, wide enough that what a slow machine needs for
 * the instructions never meets it. */
#include "lua_sandbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "event.h"
#include "lua_lib.h"

#define BOX_LARGE_BYTES 65536 /* of a piece of memory that is paid for */

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

static void box_hook(lua_State *L, lua_Debug *ar);

/* To look at the budget before the next instruction: safe wherever memory is taken. */
static void box_hook_soon(struct lnx_lua *l)
{
	l->is_soon = true;
	lua_sethook(l->L, box_hook, lua_gethookmask(l->L) | LUA_MASKCOUNT, 1);
}

/* A string or table so large that making it is work. It cannot be refused here but for its size. */
static void box_pay_memory(struct lnx_lua *l, size_t bytes)
{
	l->spent += bytes / LNX_LUA_BYTES_PER_STEP;
	if (l->is_running && !l->is_exceeded && l->spent >= l->limit)
		box_hook_soon(l);
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
	if (size > old && size - old >= BOX_LARGE_BYTES)
		box_pay_memory(l, size - old);
	return q;
}

static uint64_t box_cpu_bound_ns(const struct lnx_lua *l)
{
	uint64_t times = l->limit / LNX_LUA_BUDGET;

	if (times > LNX_LUA_CPU_TIMES)
		times = LNX_LUA_CPU_TIMES;
	return (uint64_t)LNX_LUA_CPU_NS * (times ? times : 1);
}

/* Push why the call must end. */
static void box_push_why(lua_State *L, const struct lnx_lua *l)
{
	switch (l->why) {
	case LNX_LUA_OVER_BUDGET:
		(void)lua_pushfstring(L, "used up its budget of %I instructions",
				      (LUAI_UACINT)l->limit);
		return;
	case LNX_LUA_OVER_TIME:
		(void)lua_pushfstring(L, "took longer than its %I ms of CPU time",
				      (LUAI_UACINT)(box_cpu_bound_ns(l) / 1000000));
		return;
	case LNX_LUA_OVER_TOTAL:
		(void)lua_pushfstring(L,
				      "used up what all tests together may take: %I instructions",
				      (LUAI_UACINT)l->total_max);
		return;
	}
	(void)lua_pushliteral(L, "was stopped: nobody waits for it any more");
}

/* A pcall catches the error, so the next instruction must raise it again. */
static void box_exceed(lua_State *L, struct lnx_lua *l, lua_Debug *ar)
{
	l->is_exceeded = true;
	lua_sethook(L, box_hook, LUA_MASKCOUNT, 1);
	if (!ar)
		luaL_where(L, 1);
	else if (lua_getinfo(L, "Sl", ar) && ar->currentline > 0)
		(void)lua_pushfstring(L, "%s:%d: ", ar->short_src, ar->currentline);
	else
		(void)lua_pushliteral(L, "");
	box_push_why(L, l);
	lua_concat(L, 2);
	(void)lua_error(L);
}

bool lnx_lua_is_over(const struct lnx_lua *l)
{
	return (l->total_max && l->total >= l->total_max) ||
	       (l->stop && atomic_load_explicit(l->stop, memory_order_relaxed));
}

/* Must the call end? The clock is not free: once in LNX_LUA_STEP instructions. */
static void box_look(lua_State *L, struct lnx_lua *l, lua_Debug *ar)
{
	uint64_t now = l->is_exceeded ? 0 : box_cpu_ns();

	if (l->cpu_until_ns == UINT64_MAX)
		l->cpu_until_ns = now + box_cpu_bound_ns(l);
	if (l->is_exceeded)
		;
	else if (l->spent >= l->limit)
		l->why = LNX_LUA_OVER_BUDGET;
	else if (now > l->cpu_until_ns)
		l->why = LNX_LUA_OVER_TIME;
	else if (l->total_max && l->total + l->spent >= l->total_max)
		l->why = LNX_LUA_OVER_TOTAL;
	else if (lnx_lua_is_over(l))
		l->why = LNX_LUA_STOPPED;
	else
		return;
	box_exceed(L, l, ar);
}

static void box_hook(lua_State *L, lua_Debug *ar)
{
	struct lnx_lua *l = lnx_lua_of(L);

	if (ar->event == LUA_HOOKLINE) {
		l->on_line(L, ar);
		return;
	}
	l->spent += LNX_LUA_STEP;
	box_look(L, l, ar);
}

void lnx_lua_charge(lua_State *L, uint64_t instructions)
{
	struct lnx_lua *l = lnx_lua_of(L);

	if (instructions > l->limit)
		instructions = l->limit;
	l->spent += instructions;
	l->unseen += instructions;
	if (l->is_exceeded || l->spent >= l->limit || l->unseen >= LNX_LUA_STEP) {
		l->unseen = 0;
		box_look(L, l, NULL);
	}
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
	rc = lnx_lua_call(l, lnx_lib_open, NULL, 0, NULL);
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
	l->unseen = 0;
	l->cpu_until_ns = UINT64_MAX;
	l->serial++;
	if (l->is_exceeded || l->is_soon || !lua_gethook(L)) {
		/* it counts on from the call before: at most one step too early */
		lua_sethook(L, box_hook, LUA_MASKCOUNT | (l->on_line ? LUA_MASKLINE : 0),
			    LNX_LUA_STEP);
		l->is_exceeded = l->is_soon = false;
	}
	l->is_sure = false;
	l->is_running = true;
	rc = lua_pcall(L, n_args, n_results, 0);
	l->is_running = false;
	l->total += l->spent;
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
