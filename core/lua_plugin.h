/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A Lua script as a plugin: the same table, life, options, subscriptions and metrics as one in C, in the sandbox of rules.
 * Loop thread only. */
#ifndef LNX_LUA_PLUGIN_H
#define LNX_LUA_PLUGIN_H

#include "log.h"
#include <linnix/plugin.h>

struct lnx_registry;
struct lnx_lua_plugin;

#define LNX_LUA_PLUGIN_OPTIONS 64
#define LNX_LUA_PLUGIN_SUBS    64
#define LNX_LUA_PLUGIN_EVENTS  16 /* types of its own */
#define LNX_LUA_PLUGIN_FIELDS  64 /* of one of them */
#define LNX_LUA_PLUGIN_METRICS 64
#define LNX_LUA_PLUGIN_TIMERS  32	  /* armed at a time, of one instance */
#define LNX_LUA_PLUGIN_LATE    (1u << 20) /* bytes of events that one call may publish */
#define LNX_LUA_PLUGIN_OVER    16 /* good calls that make up for one that used up its budget */
#define LNX_LUA_PLUGIN_OVER_MAX \
	(3 * LNX_LUA_PLUGIN_OVER) /* three in a row, or one in every few: it is called no more */

/* Read the script at <path>, run it once in a sandbox, and take what it declares. Returns 0, -ENOMEM, or another error with
 * its text: "line 7: unknown field …". Its table lives as long as the result; every instance runs the script anew. */
int lnx_lua_plugin_open(const char *path, const struct lnx_registry *registry,
			struct lnx_lua_plugin **ret_script, const struct lnx_plugin **ret_plugin,
			struct lnx_err *err);
/* Add the types of events that the script declares to <r>, which borrows them; one that is there stays. */
void lnx_lua_plugin_types(const struct lnx_lua_plugin *s, struct lnx_registry *r);
/* The same for each sound script of folder <dir>, at most <max>; they are left in <ret_scripts>. Returns how many. */
unsigned lnx_lua_plugin_dir_types(const char *dir, struct lnx_registry *r,
				  struct lnx_lua_plugin **ret_scripts, unsigned max);
/* After the fini of all instances. NULL is fine. */
void lnx_lua_plugin_close(struct lnx_lua_plugin *s);

#endif
