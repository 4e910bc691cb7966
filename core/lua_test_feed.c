/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The feed of a test: its function makes events, which are kept until it is over. */
#include "lua_test_run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <linnix/ev_proc.h>

#define TEST_EVENTS_MAX	 500000
#define TEST_SECONDS_MAX 1000000

static struct test_run *test_of(lua_State *L)
{
	const struct lnx_rules *r = lnx_lua_of(L)->owner;

	if (!r->emit_arg)
		(void)luaL_error(L, "the feed of a test is over");
	return r->emit_arg;
}

static uint64_t test_time(lua_State *L)
{
	double s = luaL_checknumber(L, 1);

	if (!(s >= 0 && s <= TEST_SECONDS_MAX))
		(void)luaL_error(L, "the time of an event is 0 to %d seconds", TEST_SECONDS_MAX);
	return TEST_ZERO_NS + (uint64_t)llround(s * 1e9);
}

static void test_add(lua_State *L, struct test_run *t, uint64_t ts_ns, const void *ev, size_t n)
{
	static const char zero[8];
	struct test_event *e;
	unsigned cap;
	void *p;

	if (t->n_events == TEST_EVENTS_MAX)
		(void)luaL_error(L, "a test feeds at most %d events", TEST_EVENTS_MAX);
	if (t->n_events == t->cap_events) {
		cap = t->cap_events ? 2 * t->cap_events : 256;
		p = realloc(t->events, cap * sizeof(*t->events));
		if (!p) {
			(void)luaL_error(L, "not enough memory");
			return;
		}
		t->events = p;
		t->cap_events = cap;
	}
	e = &t->events[t->n_events];
	*e = (struct test_event){ ts_ns, ev ? t->bytes.size : SIZE_MAX, t->n_events };
	if (ev) {
		lnx_buf_add(&t->bytes, ev, n);
		lnx_buf_add(&t->bytes, zero, (8 - n % 8) % 8);
		if (lnx_buf_error(&t->bytes))
			(void)luaL_error(L, "the events of a test are larger than %d MiB",
					 (int)(TEST_BYTES_MAX >> 20));
	}
	t->n_events++;
}

/* What a feed leaves out of a process event. */
static void test_defaults(struct test_run *t, struct lnx_event *ev)
{
	struct lnx_ev_proc_fork *f = (struct lnx_ev_proc_fork *)ev;

	if (ev->type != LNX_EV_PROC_FORK)
		return;
	f->ppid = f->ppid ? f->ppid : f->h.pid ? f->h.pid : 100;
	f->h.pid = f->h.pid ? f->h.pid : f->ppid;
	f->child_pid = f->child_pid ? f->child_pid : t->next_pid++;
	f->start_ns = f->start_ns ? f->start_ns : f->h.ts_ns;
	if (t->next_pid >= TEST_PIDS)
		t->next_pid = 1000;
	if (!f->comm[0])
		memcpy(f->comm, "test", 5);
}

static int test_feed_as(lua_State *L, const struct lnx_event_desc *desc, int at)
{
	struct test_run *t = test_of(L);
	uint64_t ts_ns = test_time(L);
	union {
		struct lnx_event h;
		char bytes[LNX_EVENT_MAX];
	} u;
	size_t n;

	if (lua_isnoneornil(L, at)) {
		lua_settop(L, at - 1);
		lua_newtable(L);
	}
	luaL_checktype(L, at, LUA_TTABLE);
	n = lnx_build_event(L, t->r, desc, at, ts_ns, &u, sizeof(u));
	test_defaults(t, &u.h);
	test_add(L, t, ts_ns, &u, n);
	return 0;
}

static int test_feed_event(lua_State *L)
{
	const char *name = luaL_checkstring(L, 2);
	const struct lnx_registry *reg = test_of(L)->r->conf.registry;
	const struct lnx_event_desc *desc = lnx_registry_find(reg, name);
	char shown[64];

	if (!desc)
		return lnx_lua_unknown(L, "event", lnx_lua_printable(name, shown, sizeof(shown)),
				       lnx_registry_suggest(reg, name));
	return test_feed_as(L, desc, 3);
}

/* t.fork, t.exec, t.exit, t.sample: upvalue 1 is the name of the event. */
static int test_feed_named(lua_State *L)
{
	const char *name = lua_tostring(L, lua_upvalueindex(1));
	const struct lnx_event_desc *desc = lnx_registry_find(test_of(L)->r->conf.registry, name);

	return desc ? test_feed_as(L, desc, 2) : luaL_error(L, "unknown event '%s'", name);
}

static int test_idle(lua_State *L)
{
	test_add(L, test_of(L), test_time(L), NULL, 0);
	return 0;
}

static int test_unknown(lua_State *L)
{
	static const char *const names[] = {
		"fork", "exec", "exit", "sample", "event", "idle", NULL
	};
	const char *name = luaL_checkstring(L, 2);
	char shown[64];

	return lnx_lua_unknown(L, "feed", lnx_lua_printable(name, shown, sizeof(shown)),
			       lnx_suggest(name, names));
}

int lnx_test_feed(lua_State *L)
{
	static const char *const named[][2] = { { "fork", "proc.fork" },
						{ "exec", "proc.exec" },
						{ "exit", "proc.exit" },
						{ "sample", "host.sample" } };
	const struct test_run *t = lua_touserdata(L, 1);
	unsigned i;

	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, t->test->feed);
	lua_newtable(L);
	for (i = 0; i < 4; i++) {
		lua_pushstring(L, named[i][1]);
		lua_pushcclosure(L, test_feed_named, 1);
		lua_setfield(L, -2, named[i][0]);
	}
	lua_pushcfunction(L, test_feed_event);
	lua_setfield(L, -2, "event");
	lua_pushcfunction(L, test_idle);
	lua_setfield(L, -2, "idle");
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, test_unknown);
	lua_setfield(L, -2, "__index");
	(void)lua_setmetatable(L, -2);
	lua_call(L, 1, 0);
	return 0;
}
