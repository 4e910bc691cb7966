/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Finds the line of a field in a table constructor: Lua keeps lines for code, not for fields. */
#ifndef LNX_LUA_LEX_H
#define LNX_LUA_LEX_H

#include <stddef.h>

/* Line of `<field> =` (or `["<field>"] =`) directly inside the first table that opens at or after line <from>; or <from>
 * when it is not found. */
int lnx_lua_field_line(const char *text, size_t bytes, int from, const char *field);

#endif
