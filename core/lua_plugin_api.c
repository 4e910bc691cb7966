/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a script may call: the table `agent`. It is there while one of the plugin's functions runs; while the file itself runs,
 * nothing has begun yet. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "lua_parse.h"
#include "lua_plugin_impl.h"

#define API_TEXT_MAX 512 /* of a log line */

static struct lua_inst *api_inst(lua_State *L)
{
	struct lua_inst *in = lnx_lua_plugin_of(L);

	if (!in->host || !in->is_running)
		(void)luaL_error(L, "the agent can be called from init, start, on_event, timers, "
				    "reload and stop, not while the file is read");
	return in;
}

static int api_log(lua_State *L)
{
	static const char *const levels[] = { "error", "warn", "info", "debug", NULL };
	struct lua_inst *in = api_inst(L);
	int level = luaL_checkoption(L, 1, NULL, levels);
	char shown[API_TEXT_MAX];

	in->host->log(in->ctx, level, "%s",
		      lnx_lua_printable(luaL_checkstring(L, 2), shown, sizeof(shown)));
	return 0;
}

static int api_now(lua_State *L)
{
	struct lua_inst *in = api_inst(L);

	lua_pushinteger(L, (lua_Integer)in->host->now_ns(in->ctx));
	return 1;
}

static int api_instance(lua_State *L)
{
	struct lua_inst *in = api_inst(L);

	lua_pushstring(L, in->host->instance(in->ctx));
	return 1;
}

/* --- events ------------------------------------------------------------------------------------- */

static int api_publish(lua_State *L)
{
	static const char zero[8];
	struct lua_inst *in = api_inst(L);
	const char *name = luaL_checkstring(L, 1);
	const struct lnx_event_desc *d = lnx_registry_find(in->script->registry, name);
	union {
		struct lnx_event h;
		char bytes[LNX_EVENT_MAX];
	} u;
	char shown[64];
	size_t n;

	luaL_checktype(L, 2, LUA_TTABLE);
	if (!d)
		return lnx_lua_unknown(L, "event", lnx_lua_printable(name, shown, sizeof(shown)),
				       lnx_registry_suggest(in->script->registry, name));
	n = lnx_build_event(L, &in->engine, d, 2, in->host->now_ns(in->ctx), &u, sizeof(u));
	lnx_buf_add(&in->late, &u, n);
	lnx_buf_add(&in->late, zero, (8 - n % 8) % 8);
	if (lnx_buf_error(&in->late))
		return luaL_error(L, "publish: more than %d bytes of events in one call",
				  LNX_LUA_PLUGIN_LATE);
	lnx_lua_charge(L, 50 + n / 8);
	return 0;
}

static int api_subscribe(lua_State *L)
{
	struct lua_inst *in = api_inst(L);
	const char *name = luaL_checkstring(L, 1);
	int rc;

	if (in->fns[LUA_FN_ON_EVENT] == LUA_NOREF)
		return luaL_error(L, "subscribe: the plugin has no on_event");
	rc = in->host->subscribe(in->ctx, name, LNX_STAGE_DETECT, 0);
	if (rc < 0)
		return luaL_error(L, "subscribe: %s: %s", name, strerror(-rc));
	return 0;
}

static int api_unsubscribe(lua_State *L)
{
	struct lua_inst *in = api_inst(L);

	lua_pushboolean(L, in->host->unsubscribe(in->ctx, luaL_checkstring(L, 1)) == 0);
	return 1;
}

/* --- metrics and health ------------------------------------------------------------------------- */

/* The series of metric <1> with the labels from argument 3 on. */
static struct lnx_metric *api_series(lua_State *L, struct lua_inst *in, uint32_t kind)
{
	const char *name = luaL_checkstring(L, 1), *names[LNX_LUA_PLUGIN_METRICS + 1] = { NULL },
		   *values[9] = { NULL };
	const struct lnx_metric_desc *d = NULL;
	struct lnx_metric *m = NULL;
	char shown[64];
	unsigned i, n;

	for (i = 0; i < in->script->n_metrics; i++) {
		names[i] = in->script->metrics[i].name;
		if (strcmp(names[i], name) == 0)
			d = &in->script->metrics[i];
	}
	if (!d)
		(void)lnx_lua_unknown(L, "metric", lnx_lua_printable(name, shown, sizeof(shown)),
				      lnx_suggest(name, names));
	else if (kind && d->kind != kind)
		(void)luaL_error(L, "add: %s is not a counter", name);
	for (n = 0; d && d->labels && d->labels[n]; n++)
		values[n] = luaL_checkstring(L, (int)n + 3);
	lnx_lua_charge(L, 20);
	/* a series that does not fit is counted by the registry */
	return d && in->host->metric(in->ctx, d, d->labels ? values : NULL, &m) == 0 ? m : NULL;
}

static int api_add(lua_State *L)
{
	struct lua_inst *in = api_inst(L);
	lua_Number v = luaL_optnumber(L, 2, 1);
	struct lnx_metric *m = api_series(L, in, LNX_COUNTER);

	if (!(v >= 0) || isinf(v))
		return luaL_error(L, "add: a counter only grows");
	if (m)
		in->host->metric_add(in->ctx, m, v);
	return 0;
}

static int api_set(lua_State *L)
{
	struct lua_inst *in = api_inst(L);
	lua_Number v = luaL_checknumber(L, 2);
	struct lnx_metric *m = api_series(L, in, 0);

	if (m)
		in->host->metric_set(in->ctx, m, v);
	return 0;
}

static int api_health(lua_State *L)
{
	static const char *const states[] = { "ok", "degraded", "lost", NULL };
	struct lua_inst *in = api_inst(L);
	int state = luaL_checkoption(L, 2, NULL, states);
	char what[40], why[256];

	in->host->health(in->ctx, lnx_lua_printable(luaL_checkstring(L, 1), what, sizeof(what)),
			 (uint32_t)state,
			 lnx_lua_printable(luaL_optstring(L, 3, ""), why, sizeof(why)));
	return 0;
}

/* --- timers ------------------------------------------------------------------------------------- */

static void api_fired(void *arg)
{
	struct lua_timer *t = arg;
	struct lua_inst *in = t->inst;
	int fn = t->fn;

	if (!t->is_once) {
		(void)lnx_lua_plugin_call(in, fn, false, false); /* says what failed */
		return;
	}
	t->fn = LUA_NOREF;
	t->is_used = false; /* its function may arm the next one */
	(void)lnx_lua_plugin_call(in, fn, false, false);
	luaL_unref(in->engine.lua->L, LUA_REGISTRYINDEX, fn);
}

/* Seconds, or "250ms"; at least 10 ms. */
static uint64_t api_time(lua_State *L, int at)
{
	uint64_t ns = 0;
	size_t len = 0;
	const char *text;
	lua_Number n;

	if (lua_type(L, at) == LUA_TSTRING) {
		text = lua_tolstring(L, at, &len);
		if (lnx_parse_duration(text, len, &ns) < 0)
			ns = 0;
	} else {
		n = luaL_checknumber(L, at);
		ns = n > 0 && n < 1e9 ? (uint64_t)(n * 1e9) : 0;
	}
	if (ns < 10000000)
		(void)luaL_error(L, "a time is a number of seconds or a text such as \"10s\", from "
				    "10 ms on");
	return ns;
}

static int api_timer(lua_State *L, bool is_once)
{
	struct lua_inst *in = api_inst(L);
	uint64_t ns = api_time(L, 1);
	struct lua_timer *t = NULL;
	unsigned i;
	int rc;

	luaL_checktype(L, 2, LUA_TFUNCTION);
	for (i = 0; i < LNX_LUA_PLUGIN_TIMERS && !t; i++)
		t = in->timers[i].is_used ? NULL : &in->timers[i];
	if (!t)
		return luaL_error(L, "more than %d timers", LNX_LUA_PLUGIN_TIMERS);
	lua_settop(L, 2);
	t->fn = luaL_ref(L, LUA_REGISTRYINDEX);
	t->inst = in;
	t->is_once = is_once;
	if (t->timer)
		rc = in->host->timer_set(in->ctx, t->timer, ns, is_once ? 0 : ns);
	else
		rc = in->host->timer_add(in->ctx, ns, is_once ? 0 : ns, api_fired, t, &t->timer);
	if (rc < 0) {
		luaL_unref(L, LUA_REGISTRYINDEX, t->fn);
		return luaL_error(L, "no timer: %s", strerror(-rc));
	}
	t->is_used = true;
	lua_pushinteger(L, (lua_Integer)(t - in->timers) + 1);
	return 1;
}

static int api_after(lua_State *L)
{
	return api_timer(L, true);
}

static int api_every(lua_State *L)
{
	return api_timer(L, false);
}

static int api_cancel(lua_State *L)
{
	struct lua_inst *in = api_inst(L);
	lua_Integer i = luaL_checkinteger(L, 1);
	struct lua_timer *t;

	if (i < 1 || i > LNX_LUA_PLUGIN_TIMERS)
		return luaL_error(L, "cancel: not a timer");
	t = &in->timers[i - 1];
	if (t->is_used) {
		in->host->timer_stop(in->ctx, t->timer);
		luaL_unref(L, LUA_REGISTRYINDEX, t->fn);
		t->is_used = false;
	}
	return 0;
}

void lnx_lua_plugin_timers_done(struct lua_inst *in)
{
	unsigned i;

	for (i = 0; i < LNX_LUA_PLUGIN_TIMERS; i++) {
		if (in->timers[i].timer)
			in->host->timer_del(in->ctx, in->timers[i].timer);
		in->timers[i].timer = NULL;
	}
}

static int api_unknown(lua_State *L)
{
	static const char *const names[] = { "log",	  "now",	 "instance", "publish",
					     "subscribe", "unsubscribe", "add",	     "set",
					     "health",	  "after",	 "every",    "cancel",
					     NULL };
	const char *name = luaL_checkstring(L, 2);
	char shown[64];

	return lnx_lua_unknown(L, "function of agent",
			       lnx_lua_printable(name, shown, sizeof(shown)),
			       lnx_suggest(name, names));
}

void lnx_lua_plugin_api(lua_State *L, int env)
{
	static const luaL_Reg functions[] = { { "log", api_log },
					      { "now", api_now },
					      { "instance", api_instance },
					      { "publish", api_publish },
					      { "subscribe", api_subscribe },
					      { "unsubscribe", api_unsubscribe },
					      { "add", api_add },
					      { "set", api_set },
					      { "health", api_health },
					      { "after", api_after },
					      { "every", api_every },
					      { "cancel", api_cancel },
					      { NULL, NULL } };

	env = lua_absindex(L, env);
	luaL_newlib(L, functions);
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, api_unknown);
	lua_setfield(L, -2, "__index");
	(void)lua_setmetatable(L, -2);
	lua_setfield(L, env, "agent");
}
