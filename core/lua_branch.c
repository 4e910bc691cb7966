/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A parser of Lua that looks for tests. `and` and `or` bind weaker than all other operators, so an expression is a row of
 * operands between them: each but the last decides where it goes on, and the last one does in a condition. */
#include "lua_branch.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lua_lex.h"

#define BRANCH_DEPTH 150 /* of nested blocks and expressions */

struct branch_mark {
	size_t at; /* in the text */
	int test;  /* opens: its index; -1: closes one */
};

struct branch {
	struct lnx_lex x;
	int token;	   /* that is looked at */
	const char *start; /* of the text */
	const char *ended; /* the token before */
	struct branch_mark *marks;
	struct lnx_branch *list;
	unsigned n_marks, n, depth;
	int rc;
};

static void branch_block(struct branch *b);
static void branch_expr(struct branch *b, bool is_condition);

static void branch_next(struct branch *b)
{
	b->ended = b->x.p;
	b->token = b->rc < 0 ? LNX_LEX_END : lnx_lex_next(&b->x);
}

/* Whatever comes now is the end, so that all callers return. */
static void branch_fail(struct branch *b, int rc)
{
	if (b->rc == 0)
		b->rc = rc;
	b->token = LNX_LEX_END;
}

static bool branch_is(const struct branch *b, const char *word)
{
	return b->token == LNX_LEX_NAME && lnx_lex_is(&b->x, word);
}

static bool branch_take(struct branch *b, const char *word)
{
	if (!branch_is(b, word))
		return false;
	branch_next(b);
	return true;
}

static void branch_expect(struct branch *b, const char *word)
{
	if (!branch_take(b, word))
		branch_fail(b, -EINVAL);
}

static void branch_char(struct branch *b, int c)
{
	if (b->token == c)
		branch_next(b);
	else
		branch_fail(b, -EINVAL);
}

/* The character after the token: operators of two come as two tokens. */
static bool branch_doubles(const struct branch *b, char c)
{
	return b->x.p < b->x.end && *b->x.p == c;
}

static bool branch_is_assigning(const struct branch *b)
{
	return b->token == '=' && !branch_doubles(b, '=');
}

static void branch_test(struct branch *b, const char *from, const char *to, int line)
{
	const char *p = from;

	if (b->n == LNX_BRANCHES_MAX) {
		branch_fail(b, -E2BIG);
		return;
	}
	while (p > b->start && p[-1] != '\n')
		p--;
	b->list[b->n] = (struct lnx_branch){ line, (int)(from - p) + 1, 0 };
	b->marks[b->n_marks++] = (struct branch_mark){ (size_t)(from - b->start), (int)b->n++ };
	b->marks[b->n_marks++] = (struct branch_mark){ (size_t)(to - b->start), -1 };
}

/* --- expressions -------------------------------------------------------------------------------- */

static void branch_list(struct branch *b)
{
	branch_expr(b, false);
	while (b->token == ',') {
		branch_next(b);
		branch_expr(b, false);
	}
}

static void branch_field(struct branch *b)
{
	struct branch before = *b;

	if (b->token == '[') {
		branch_next(b);
		branch_expr(b, false);
		branch_char(b, ']');
		branch_char(b, '=');
	} else if (b->token == LNX_LEX_NAME) {
		branch_next(b);
		if (branch_is_assigning(b))
			branch_next(b);
		else
			*b = before;
	}
	branch_expr(b, false);
}

static void branch_table(struct branch *b)
{
	branch_char(b, '{');
	while (b->token != '}' && b->token != LNX_LEX_END) {
		branch_field(b);
		if (b->token == ',' || b->token == ';')
			branch_next(b);
		else
			break;
	}
	branch_char(b, '}');
}

static void branch_body(struct branch *b)
{
	branch_char(b, '(');
	while (b->token != ')' && b->token != LNX_LEX_END)
		branch_next(b);
	branch_char(b, ')');
	branch_block(b);
	branch_expect(b, "end");
}

/* Arguments of a call, if there are any. */
static bool branch_args(struct branch *b)
{
	if (b->token == '(') {
		branch_next(b);
		if (b->token != ')')
			branch_list(b);
		branch_char(b, ')');
	} else if (b->token == '{') {
		branch_table(b);
	} else if (b->token == LNX_LEX_STRING || b->token == LNX_LEX_LONG) {
		branch_next(b);
	} else {
		return false;
	}
	return true;
}

static bool branch_suffix(struct branch *b)
{
	if (b->token == '[') {
		branch_next(b);
		branch_expr(b, false);
		branch_char(b, ']');
	} else if (b->token == '.' && !branch_doubles(b, '.')) {
		branch_next(b);
		branch_char(b, LNX_LEX_NAME);
	} else if (b->token == ':' && !branch_doubles(b, ':')) {
		branch_next(b);
		branch_char(b, LNX_LEX_NAME);
		if (!branch_args(b))
			branch_fail(b, -EINVAL);
	} else {
		return branch_args(b);
	}
	return true;
}

static void branch_primary(struct branch *b)
{
	if (b->token == '(') {
		branch_next(b);
		branch_expr(b, false);
		branch_char(b, ')');
	} else {
		branch_char(b, LNX_LEX_NAME);
	}
	while (branch_suffix(b))
		;
}

static bool branch_is_keyword(const struct branch *b)
{
	static const char *const words[] = { "do",     "else", "elseif", "end",	  "for",
					     "goto",   "if",   "in",	 "local", "repeat",
					     "return", "then", "until",	 "while", "break" };
	unsigned i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (branch_is(b, words[i]))
			return true;
	return false;
}

/* One operand without its operators. Returns whether its truth is plain: a literal, a table, a function. */
static bool branch_simple(struct branch *b)
{
	if (b->token == LNX_LEX_NUMBER || b->token == LNX_LEX_STRING || b->token == LNX_LEX_LONG) {
		branch_next(b);
		return true;
	}
	if (b->token == '{') {
		branch_table(b);
		return true;
	}
	if (branch_take(b, "nil") || branch_take(b, "true") || branch_take(b, "false"))
		return true;
	if (branch_take(b, "function")) {
		branch_body(b);
		return true;
	}
	if (b->token == '.') { /* ... */
		branch_next(b);
		branch_char(b, '.');
		branch_char(b, '.');
	} else if (branch_is_keyword(b)) {
		branch_fail(b, -EINVAL);
	} else {
		branch_primary(b);
	}
	return false;
}

/* Step over operators, all but `and`, `or` and a lone '='. *is_boolean is set by those that give a boolean. */
static bool branch_operators(struct branch *b, bool is_unary, bool *is_boolean)
{
	bool is_any = false;

	for (;;) {
		if (b->token == '.') {
			if (is_unary || is_any || !branch_doubles(b, '.'))
				return is_any; /* "..." is an operand */
			branch_next(b);
			if (b->token != '.')
				return true; /* of x ..5 the scanner takes .5 */
		} else if (branch_is_assigning(b) && !is_any) {
			return false;
		} else if (!branch_is(b, "not") &&
			   (b->token <= LNX_LEX_NUMBER || !strchr("+-*/%^#&~|<>=", b->token))) {
			return is_any;
		}
		if (b->token == LNX_LEX_NAME || strchr("<>=", b->token))
			*is_boolean = true;
		branch_next(b);
		is_any = true;
	}
}

/* What stands between two of `and` and `or`. Returns as branch_simple; a text and a number are always true. */
static bool branch_operand(struct branch *b)
{
	bool is_boolean = false, is_any = branch_operators(b, true, &is_boolean);
	bool is_plain = branch_simple(b);

	while (b->rc == 0 && branch_operators(b, false, &is_boolean)) {
		(void)branch_simple(b);
		is_any = true;
	}
	return is_any ? !is_boolean : is_plain;
}

static void branch_expr(struct branch *b, bool is_condition)
{
	const char *from;
	bool is_plain, is_more = true;
	int line;

	if (++b->depth > BRANCH_DEPTH)
		branch_fail(b, -EINVAL);
	while (is_more && b->rc == 0) {
		from = b->x.at;
		line = b->x.word_line;
		is_plain = branch_operand(b);
		is_more = branch_is(b, "and") || branch_is(b, "or");
		if (b->rc == 0 && !is_plain && (is_more || is_condition))
			branch_test(b, from, b->ended, line);
		if (is_more)
			branch_next(b);
	}
	b->depth--;
}

/* --- statements --------------------------------------------------------------------------------- */

static void branch_if(struct branch *b)
{
	do {
		branch_expr(b, true);
		branch_expect(b, "then");
		branch_block(b);
	} while (branch_take(b, "elseif"));
	if (branch_take(b, "else"))
		branch_block(b);
	branch_expect(b, "end");
}

static void branch_for(struct branch *b)
{
	while (b->token == LNX_LEX_NAME && !branch_is(b, "in")) {
		branch_next(b);
		if (b->token == ',')
			branch_next(b);
	}
	if (b->token == '=')
		branch_next(b);
	else
		branch_expect(b, "in");
	branch_list(b);
	branch_expect(b, "do");
	branch_block(b);
	branch_expect(b, "end");
}

static void branch_local(struct branch *b)
{
	if (branch_take(b, "function")) {
		branch_char(b, LNX_LEX_NAME);
		branch_body(b);
		return;
	}
	for (;;) {
		branch_char(b, LNX_LEX_NAME);
		if (b->token == '<') { /* <const> */
			branch_next(b);
			branch_char(b, LNX_LEX_NAME);
			branch_char(b, '>');
		}
		if (b->token != ',')
			break;
		branch_next(b);
	}
	if (b->token == '=') {
		branch_next(b);
		branch_list(b);
	}
}

static bool branch_is_end(const struct branch *b)
{
	return b->token == LNX_LEX_END || branch_is(b, "end") || branch_is(b, "else") ||
	       branch_is(b, "elseif") || branch_is(b, "until");
}

static void branch_other(struct branch *b)
{
	branch_primary(b);
	while (b->token == ',') {
		branch_next(b);
		branch_primary(b);
	}
	if (b->token == '=') {
		branch_next(b);
		branch_list(b);
	}
}

static void branch_statement(struct branch *b)
{
	if (b->token == ';') {
		branch_next(b);
	} else if (b->token == ':') { /* ::label:: */
		branch_next(b);
		branch_char(b, ':');
		branch_char(b, LNX_LEX_NAME);
		branch_char(b, ':');
		branch_char(b, ':');
	} else if (branch_take(b, "if")) {
		branch_if(b);
	} else if (branch_take(b, "while")) {
		branch_expr(b, true);
		branch_expect(b, "do");
		branch_block(b);
		branch_expect(b, "end");
	} else if (branch_take(b, "do")) {
		branch_block(b);
		branch_expect(b, "end");
	} else if (branch_take(b, "for")) {
		branch_for(b);
	} else if (branch_take(b, "repeat")) {
		branch_block(b);
		branch_expect(b, "until");
		branch_expr(b, true);
	} else if (branch_take(b, "function")) {
		while (b->token != '(' && b->token != LNX_LEX_END)
			branch_next(b);
		branch_body(b);
	} else if (branch_take(b, "local")) {
		branch_local(b);
	} else if (branch_take(b, "return")) {
		if (!branch_is_end(b) && b->token != ';')
			branch_list(b);
	} else if (branch_take(b, "goto")) {
		branch_char(b, LNX_LEX_NAME);
	} else if (!branch_take(b, "break")) {
		branch_other(b);
	}
}

static void branch_block(struct branch *b)
{
	if (++b->depth > BRANCH_DEPTH)
		branch_fail(b, -EINVAL);
	while (b->rc == 0 && !branch_is_end(b))
		branch_statement(b);
	b->depth--;
}

/* --- marking ------------------------------------------------------------------------------------ */

static int branch_compare(const void *a, const void *b)
{
	const struct branch_mark *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at; /* no two tests begin or end at one place */
}

static void branch_write(const struct branch *b, size_t bytes, struct lnx_buf *out)
{
	size_t at = 0;
	unsigned i;

	for (i = 0; i < b->n_marks; i++) {
		lnx_buf_add(out, b->start + at, b->marks[i].at - at);
		at = b->marks[i].at;
		if (b->marks[i].test >= 0)
			lnx_buf_printf(out, LNX_BRANCH_CALL "(%d,", b->marks[i].test);
		else
			lnx_buf_char(out, ')');
	}
	lnx_buf_add(out, b->start + at, bytes - at);
}

int lnx_branch_mark(const char *text, size_t bytes, struct lnx_buf *out,
		    struct lnx_branch **ret_list, unsigned *ret_n)
{
	struct branch b = { .x = { .p = text, .end = text + bytes, .line = 1 }, .start = text };

	b.marks = calloc(2 * LNX_BRANCHES_MAX, sizeof(*b.marks));
	b.list = calloc(LNX_BRANCHES_MAX, sizeof(*b.list));
	if (!b.marks || !b.list)
		branch_fail(&b, -ENOMEM);
	branch_next(&b);
	branch_block(&b);
	if (b.token != LNX_LEX_END || b.x.p < b.x.end)
		branch_fail(&b, -EINVAL);
	if (b.rc == 0) {
		qsort(b.marks, b.n_marks, sizeof(*b.marks), branch_compare);
		branch_write(&b, bytes, out);
		b.rc = lnx_buf_error(out);
	}
	free(b.marks);
	if (b.rc < 0) {
		free(b.list);
		return b.rc;
	}
	*ret_list = b.list;
	*ret_n = b.n;
	return 0;
}
