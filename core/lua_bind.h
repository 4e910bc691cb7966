/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What rules see, and its names. Functions with L only run inside of lnx_lua_call; they raise. */
#ifndef LNX_LUA_BIND_H
#define LNX_LUA_BIND_H

#include "lua_engine.h"

/* Make the objects of a new state: a call of lnx_lua_call with the engine. */
int lnx_lua_bind_open(lua_State *L);
/* Fill the environment at <env>: units, host, glob, proc; unknown names are errors. */
void lnx_lua_bind_env(lua_State *L, int env);
#define LNX_TAG_FIELD 64 /* type of a field that is no member: a name of the event's cgroup */

/* A field of <desc>, of the head of every event, or (types with a cgroup) namespace, pod_name, container_id; or NULL. */
const struct lnx_field *lnx_lua_bind_field(const struct lnx_event_desc *desc, const char *name);
const char *lnx_lua_bind_suggest(const struct lnx_event_desc *desc, const char *name);
/* Value of a field that lnx_lua_bind_field gave. Text is borrowed until the next event. */
struct lnx_value lnx_lua_bind_value(const struct lnx_rules *r, const struct lnx_event *ev,
				    const struct lnx_field *f);
/* Place of a fact of the machine ("psi.cpu.some"), or -1. */
int lnx_lua_bind_fact(const struct lnx_rules *r, const char *path);
const char *lnx_lua_bind_fact_suggest(const struct lnx_rules *r, const char *path);
void lnx_lua_bind_facts(struct lnx_rules *r);
/* A field of <desc> by the name that rules use: of the machine also psi.cpu.some, cpu, mem, load. */
const struct lnx_field *lnx_lua_bind_name(const struct lnx_rules *r,
					  const struct lnx_event_desc *desc, const char *name);
const char *lnx_lua_bind_name_suggest(const struct lnx_rules *r, const struct lnx_event_desc *desc,
				      const char *name);
struct lnx_rules *lnx_bind_rules(lua_State *L);
void lnx_bind_push(lua_State *L, const struct lnx_value *v);
/* Whole numbers as integers. */
void lnx_bind_number(lua_State *L, double v);
/* Remember what a condition read. Names are compared by address. */
void lnx_bind_read(struct lnx_rules *r, const char *name, const char *part, const char *unit,
		   double value);
void lnx_bind_meta(lua_State *L, const char *name, lua_CFunction index);
/* A reference to an object without content and its new metatable. */
int lnx_bind_object(lua_State *L, const char *meta, lua_CFunction index);

/* lua_bind_window.c, lua_bind_proc.c: their part of lnx_lua_bind_open and lnx_lua_bind_env */
void lnx_bind_window_open(lua_State *L, struct lnx_rules *r);
void lnx_bind_proc_open(lua_State *L);
void lnx_bind_proc_env(lua_State *L, int env);

#endif
