/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A small scanner of Lua text, and what it finds: the line of a field in a table constructor, as Lua keeps lines for code and not
 * for fields. */
#ifndef LNX_LUA_LEX_H
#define LNX_LUA_LEX_H

#include <stdbool.h>
#include <stddef.h>

/* Kinds of tokens beside single characters: an operator of two comes as two. */
#define LNX_LEX_END    0
#define LNX_LEX_NAME   1
#define LNX_LEX_STRING 2 /* in quotes */
#define LNX_LEX_LONG   3 /* a string in long brackets */
#define LNX_LEX_NUMBER 4

struct lnx_lex {
	const char *p, *end;
	const char *at;	  /* first byte of the token */
	const char *word; /* of a name or a short string */
	size_t word_len;
	int line, word_line;
};

/* The next token; comments are stepped over. */
int lnx_lex_next(struct lnx_lex *x);
/* Is the last one, a name, <word>? */
bool lnx_lex_is(const struct lnx_lex *x, const char *word);

/* Line of `<field> =` (or `["<field>"] =`) directly inside the first table that opens at or after line <from>; or <from>
 * when it is not found. */
int lnx_lua_field_line(const char *text, size_t bytes, int from, const char *field);

#endif
