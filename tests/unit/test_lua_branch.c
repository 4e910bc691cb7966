/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Which tests of a Lua text are marked, and that what is marked is still the same program. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lua_branch.h"

/* Each mark of <text> as "<" and ">" in its place. */
static void expect(const char *text, const char *marked)
{
	struct lnx_buf out = { 0 };
	struct lnx_branch *list = NULL;
	char seen[1024];
	char stack[64];
	unsigned n = 0, depth = 0;
	size_t at = 0;
	const char *p;

	assert_int_equal(lnx_branch_mark(text, strlen(text), &out, &list, &n), 0);
	lnx_buf_char(&out, 0);
	/* parentheses of the text are balanced: a stack tells which are marks */
	for (p = out.data; *p && at + 1 < sizeof(seen); p++) {
		if (strncmp(p, LNX_BRANCH_CALL "(", sizeof(LNX_BRANCH_CALL)) == 0) {
			p = strchr(p, ',');
			stack[depth++] = '<';
			seen[at++] = '<';
			continue;
		}
		if (*p == '(')
			stack[depth++] = '(';
		seen[at++] = *p == ')' && stack[--depth] == '<' ? '>' : *p;
	}
	seen[at] = 0;
	assert_int_equal(depth, 0);
	assert_string_equal(seen, marked);
	free(list);
	lnx_buf_done(&out);
}

static void operands_and_conditions_are_marked(void **state)
{
	(void)state;
	expect("return a and b or c", "return <a> and <b> or c");
	expect("return a == 1 and not b or f(c, d)", "return <a == 1> and <not b> or f(c, d)");
	expect("if x then y() end", "if <x> then y() end");
	expect("if x and y then elseif z then else end",
	       "if <x> and <y> then elseif <z> then else end");
	expect("while a.b[c or d]:e{} do break end", "while <a.b[<c> or d]:e{}> do break end");
	expect("repeat until (a or b) < 3", "repeat until <(<a> or b) < 3>");
	expect("local x <const>, y = a or 1, -b^2", "local x <const>, y = <a> or 1, -b^2");
	expect("t = { a or b; [c and d] = e, f = g or h, i }",
	       "t = { <a> or b; [<c> and d] = e, f = <g> or h, i }");
	expect("f(function(...) return ... or a end)", "f(function(...) return <...> or a end)");
	expect("for i = a or 1, b do g() end", "for i = <a> or 1, b do g() end");
	expect("for k, v in pairs(t or {}) do end", "for k, v in pairs(<t> or {}) do end");
	expect("goto l ::l:: x.y, z = a and 'and' or [[or]]",
	       "goto l ::l:: x.y, z = <a> and 'and' or [[or]]");
	expect("function a.b:c(d, ...) return d .. e == 1 and -- or\n f end",
	       "function a.b:c(d, ...) return <d .. e == 1> and -- or\n f end");
	expect("return a ~= 0x1p-4 and b >= 1e-9 and c // 2 ..\".\" ~= d or 5",
	       "return <a ~= 0x1p-4> and <b >= 1e-9> and <c // 2 ..\".\" ~= d> or 5");
}

static void what_is_always_true_is_no_test(void **state)
{
	(void)state;
	expect("while true do end", "while true do end");
	expect("return a and 'x' or { 1 } or function() end",
	       "return <a> and 'x' or { 1 } or function() end");
	expect("return nil or a", "return nil or a");
	expect("return a .. b or c + 1 and #d or -e and f",
	       "return a .. b or c + 1 and #d or -e and f");
	expect("", "");
}

static void places_are_told(void **state)
{
	static const char text[] = "--[[ a\n]] x = 1\nif y and\n  z then end";
	struct lnx_branch *list = NULL;
	struct lnx_buf out = { 0 };
	unsigned n = 0;

	(void)state;
	assert_int_equal(lnx_branch_mark(text, strlen(text), &out, &list, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(list[0].line, 3);
	assert_int_equal(list[0].column, 4);
	assert_int_equal(list[1].line, 4);
	assert_int_equal(list[1].column, 3);
	free(list);
	lnx_buf_done(&out);
}

static void what_is_no_lua_is_left_alone(void **state)
{
	static const char *const texts[] = { "if x", "end",	    "return (a", "x = ",
					     "f(",   "t = { a and", "::a",	 "local 1" };
	struct lnx_branch *list = NULL;
	struct lnx_buf out = { 0 };
	char deep[4096];
	unsigned i, n = 0;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(lnx_branch_mark(texts[i], strlen(texts[i]), &out, &list, &n),
				 -EINVAL);
	memset(deep, '(', sizeof(deep));
	assert_int_equal(lnx_branch_mark(deep, sizeof(deep), &out, &list, &n), -EINVAL);
	out.max = 8;
	assert_int_equal(lnx_branch_mark("return a and b", 14, &out, &list, &n), -ENOSPC);
	assert_null(list);
	lnx_buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operands_and_conditions_are_marked),
		cmocka_unit_test(what_is_always_true_is_no_test),
		cmocka_unit_test(places_are_told),
		cmocka_unit_test(what_is_no_lua_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
