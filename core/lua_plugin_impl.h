/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Shared by lua_plugin.c (life), lua_plugin_read.c (what a script declares) and lua_plugin_api.c (what it may call). */
#ifndef LNX_LUA_PLUGIN_IMPL_H
#define LNX_LUA_PLUGIN_IMPL_H

#include "lua_bind.h"
#include "lua_plugin.h"

/* enum lua_fn: functions of a script */
#define LUA_FN_INIT	0
#define LUA_FN_START	1
#define LUA_FN_ON_EVENT 2
#define LUA_FN_RELOAD	3
#define LUA_FN_STOP	4
#define LUA_FN_N	5
extern const char *const lnx_lua_plugin_fns[LUA_FN_N];

struct lua_mem {
	struct lua_mem *next;
	max_align_t bytes[];
};

/* A script: what it declared. Strings and tables live in <mem>. */
struct lnx_lua_plugin {
	struct lnx_plugin table; /* first: how an instance finds its script */
	struct lua_mem *mem;
	char *path;
	struct lnx_buf text;
	const struct lnx_registry *registry; /* borrowed */
	struct lnx_option options[LNX_LUA_PLUGIN_OPTIONS + 1];
	struct lnx_sub subs[LNX_LUA_PLUGIN_SUBS];
	struct lnx_event_desc events[LNX_LUA_PLUGIN_EVENTS];
	struct lnx_metric_desc metrics[LNX_LUA_PLUGIN_METRICS];
	unsigned n_options, n_subs, n_events, n_metrics;
};

struct lua_timer {
	struct lua_inst *inst;
	struct lnx_timer *timer;
	int fn; /* reference */
	bool is_used, is_once;
};

/* One run of a script: a state of its own. */
struct lua_inst {
	struct lnx_rules
		engine; /* first: what `ev` and events from tables look at; it has no rules */
	struct lnx_lua_plugin *script;
	const struct lnx_host *host; /* NULL: only reading what is declared */
	struct lnx_ctx *ctx;
	const void *conf;
	int fns[LUA_FN_N]; /* references, or LUA_NOREF */
	int ref_conf;	   /* table of options, or LUA_NOREF */
	bool is_begun;	   /* the script gave its table, right or wrong */
	bool is_declared, is_running;
	unsigned over; /* of calls that used up their budget: see LNX_LUA_PLUGIN_OVER */
	struct lua_timer timers[LNX_LUA_PLUGIN_TIMERS];
	struct lnx_buf late; /* events, each padded to 8 bytes, published after the call */
};

/* lua_plugin.c */
void *lnx_lua_plugin_alloc(struct lnx_lua_plugin *s, size_t bytes);
/* Call function reference <fn>; with_event: `ev` is its argument, with_conf: the options are. 0 or -errno, logged. */
int lnx_lua_plugin_call(struct lua_inst *in, int fn, bool with_event, bool with_conf);
struct lua_inst *lnx_lua_plugin_of(lua_State *L);

/* lua_plugin_read.c: plugin "name" { … } */
int lnx_lua_plugin_begin(lua_State *L);

/* lua_plugin_api.c: put `agent` into the environment at <env>; raises */
void lnx_lua_plugin_api(lua_State *L, int env);
void lnx_lua_plugin_timers_done(struct lua_inst *in);

#endif
