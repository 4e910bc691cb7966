/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A small scanner of Lua text: names, brackets and blocks; comments and strings are stepped over. */
#include "lua_lex.h"

#include <ctype.h>
#include <string.h>

/* Level of the long bracket at the scanner, or -1. */
static int lex_long(const struct lnx_lex *x)
{
	const char *p = x->p + 1;
	int level = 0;

	while (p < x->end && *p == '=') {
		level++;
		p++;
	}
	return p < x->end && *p == '[' ? level : -1;
}

static void lex_skip_long(struct lnx_lex *x, int level)
{
	const char *q;
	int n;

	x->p += level + 2;
	for (; x->p < x->end; x->p++) {
		if (*x->p == '\n')
			x->line++;
		if (*x->p != ']')
			continue;
		for (q = x->p + 1, n = 0; q < x->end && *q == '='; q++)
			n++;
		if (n == level && q < x->end && *q == ']') {
			x->p = q + 1;
			return;
		}
	}
}

static void lex_skip_space(struct lnx_lex *x)
{
	while (x->p < x->end) {
		if (isspace((unsigned char)*x->p)) {
			x->line += *x->p++ == '\n';
		} else if (x->end - x->p > 1 && x->p[0] == '-' && x->p[1] == '-') {
			x->p += 2;
			if (x->p < x->end && *x->p == '[' && lex_long(x) >= 0)
				lex_skip_long(x, lex_long(x));
			else
				while (x->p < x->end && *x->p != '\n')
					x->p++;
		} else {
			return;
		}
	}
}

static bool lex_is_digit(const struct lnx_lex *x, const char *p)
{
	return p < x->end && *p >= '0' && *p <= '9';
}

/* With its exponent: e of a decimal one, p of a hexadecimal one. */
static void lex_skip_number(struct lnx_lex *x)
{
	bool is_hex = x->end - x->p > 1 && x->p[0] == '0' && (x->p[1] | 0x20) == 'x';
	char last = 0;

	while (x->p < x->end &&
	       (isalnum((unsigned char)*x->p) || *x->p == '.' ||
		((*x->p == '+' || *x->p == '-') && (last | 0x20) == (is_hex ? 'p' : 'e'))))
		last = *x->p++;
}

int lnx_lex_next(struct lnx_lex *x)
{
	lex_skip_space(x);
	if (x->p >= x->end)
		return LNX_LEX_END;
	x->at = x->word = x->p;
	x->word_line = x->line;
	if (isalpha((unsigned char)*x->p) || *x->p == '_') {
		while (x->p < x->end && (isalnum((unsigned char)*x->p) || *x->p == '_'))
			x->p++;
		x->word_len = (size_t)(x->p - x->word);
		return LNX_LEX_NAME;
	}
	if (lex_is_digit(x, x->p) || (*x->p == '.' && lex_is_digit(x, x->p + 1))) {
		lex_skip_number(x);
		return LNX_LEX_NUMBER;
	}
	if (*x->p == '[' && lex_long(x) >= 0) {
		lex_skip_long(x, lex_long(x));
		return LNX_LEX_LONG;
	}
	if (*x->p == '"' || *x->p == '\'') {
		char quote = *x->p++;

		x->word = x->p;
		while (x->p < x->end && *x->p != quote && *x->p != '\n')
			x->p += *x->p == '\\' && x->end - x->p > 1 ? 2 : 1;
		x->word_len = (size_t)(x->p - x->word);
		if (x->p < x->end)
			x->p++;
		return LNX_LEX_STRING;
	}
	return (unsigned char)*x->p++;
}

bool lnx_lex_is(const struct lnx_lex *x, const char *word)
{
	return x->word_len == strlen(word) && memcmp(x->word, word, x->word_len) == 0;
}

static int lex_depth(const struct lnx_lex *x, int token)
{
	if (token == '{' || token == '(' || token == '[')
		return 1;
	if (token == '}' || token == ')' || token == ']')
		return -1;
	if (token != LNX_LEX_NAME)
		return 0;
	if (lnx_lex_is(x, "function") || lnx_lex_is(x, "if") || lnx_lex_is(x, "do") ||
	    lnx_lex_is(x, "repeat"))
		return 1;
	return lnx_lex_is(x, "end") || lnx_lex_is(x, "until") ? -1 : 0;
}

int lnx_lua_field_line(const char *text, size_t bytes, int from, const char *field)
{
	struct lnx_lex x = { .p = text, .end = text + bytes, .line = 1 };
	int token, depth = 0, found = 0, at_depth = 0;

	while ((token = lnx_lex_next(&x)) != LNX_LEX_END) {
		if (depth == 0 && (token != '{' || x.word_line < from))
			continue;
		if (token == '=' && found && (x.p >= x.end || *x.p != '='))
			return found;
		found = 0;
		/* the bracket of ["name"] is one level deeper */
		at_depth = token == LNX_LEX_STRING ? 2 : 1;
		if ((token == LNX_LEX_NAME || token == LNX_LEX_STRING) && depth == at_depth &&
		    lnx_lex_is(&x, field)) {
			found = x.word_line;
			if (token == LNX_LEX_NAME)
				continue;
			if (lnx_lex_next(&x) != ']')
				found = 0;
			depth--;
			continue;
		}
		depth += lex_depth(&x, token);
		if (depth <= 0)
			return from;
	}
	return from;
}
