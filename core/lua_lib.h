/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Shared by lua_sandbox.c (state and budget), lua_lib.c (the library of rules) and lua_lib_order.c (its functions that put
 * things in order). All are called by Lua, inside of a call. */
#ifndef LNX_LUA_LIB_H
#define LNX_LUA_LIB_H

#include "lua_sandbox.h"

/* lua_lib.c: open Lua's library where no rule can reach it: in the registry, not in a global table */
int lnx_lib_open(lua_State *L);

/* lua_lib_order.c: as Lua's, but keys come in order: numbers, texts by bytes, booleans. Two keys that are tables or functions
 * have no order, and are an error. */
int lnx_lib_next(lua_State *L);
int lnx_lib_pairs(lua_State *L);
/* As Lua's, but what is equal stays as it stood, and the table stays as it was when a comparison fails. */
int lnx_lib_sort(lua_State *L);

#endif
