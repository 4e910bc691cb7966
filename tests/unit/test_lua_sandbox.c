/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a hostile or careless rule file can try, and the error that it gets.
 * LINK: tests/unit/rules_run.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lua_sandbox.h"
#include "rules_run.h"

#define BUDGET ": used up its budget of 1000000 instructions"
#define MEMORY ": not enough memory: all rules together may use 32768 KiB"

static void endless_loops_end(void **state)
{
	(void)state;
	run_refuses("\nwhile true do end", ":2" BUDGET);
	run_refuses("while true do pcall(function() while true do end end) end", ":1" BUDGET);
	run_refuses("while true do pcall(error) end", ":1" BUDGET);
	run_refuses("local function f() return pcall(f) end while true do f() end", ":1" BUDGET);
	run_refuses("for w in (('a '):rep(100000)):gmatch('%a') do end while true do end",
		    ":1" BUDGET);
}

static void work_inside_c_functions_is_paid_for(void **state)
{
	char late[64];

	(void)state;
	(void)snprintf(late, sizeof(late), ":1: took longer than its %llu ms of CPU time",
		       LNX_LUA_CPU_NS / 1000000ULL);
	run_refuses("local t = {} for i = 1, 300000 do table.insert(t, 1, i) end", ":1" BUDGET);
	run_refuses("local t = {} for i = 1, 60000 do t[i] = i end while true do table.sort(t) end",
		    ":1" BUDGET);
	run_refuses("table.move({}, 1, math.maxinteger - 2, 2)",
		    ":1: table.move: too many elements");
	run_refuses("return table.concat({}, '', 1, 1e9)", ":1: too many elements");
	run_refuses("return table.unpack({}, 1, 1e7)", ":1: too many elements");
	run_refuses("local s = ('x'):rep(1000):rep(8000) while true do local u = s:upper() end",
		    ":1" BUDGET);
	run_refuses(
		"local s = ('x'):rep(1000) local a, b = s:rep(8000), s:rep(8000) while true do local c = a == b end",
		late);
}

/* Nine times eight million bytes are more than a call may have; no net but the budget ends it so soon. */
static void each_function_that_walks_a_text_pays_for_it(void **state)
{
	static const char *const calls[] = {
		"s:upper()",	     "s:lower()",	"s:reverse()",
		"s:sub(2)",	     "s:byte(1)",	"string.format('%s', s)",
		"tonumber(s)",	     "utf8.len(s)",	"utf8.codepoint(s, 1)",
		"utf8.offset(s, 5)", "utf8.codes(s)",	"s:find('y', 1, true)",
		"s:find('y')",	     "s:match('y')",	"s:gmatch('y')",
		"s:gsub('y', '')",   "string.upper(s)", "string.match(s, 'y')",
	};
	char text[256];
	struct run t;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		(void)snprintf(
			text, sizeof(text),
			"local s = ('x'):rep(1000):rep(8000) for i = 1, 9 do local _ = %s end",
			calls[i]);
		run_refuses(text, ":1" BUDGET);
		(void)snprintf(
			text, sizeof(text),
			"local s = ('x'):rep(1000):rep(8000) local _ = %s\nrule 'a' { on = 'proc.fork' }",
			calls[i]);
		run_text(&t, text);
		run_close(&t);
	}
	run_refuses("local t = {} for i = 1, 60000 do t[i] = i end\n"
		    "for i = 1, 60 do table.remove(t, 1) end",
		    ":2" BUDGET);
	run_refuses("local t = {} for i = 1, 60000 do t[i] = i end\n"
		    "for i = 1, 60 do table.insert(t, 1, i) end",
		    ":2" BUDGET);
}

static void memory_has_a_cap(void **state)
{
	(void)state;
	run_refuses("local s = ('x'):rep(1e9)",
		    ":1: string.rep: the result is larger than the memory of rules");
	run_refuses("local s = 'x' while true do s = s .. s end", MEMORY);
	run_refuses("local function f() return 1 + f() end f()", MEMORY);
	run_refuses("local t, s = {}, ('x'):rep(1000) for i = 1, 1e9 do t[i] = s .. i end", MEMORY);
}

static void tables_of_a_million_keys_do_not_fit(void **state)
{
	(void)state;
	run_refuses("local t = {} for i = 1, 1e6 do t['k' .. i] = i end", ":1" BUDGET);
	run_refuses("local t = {} for i = 1, 1e6 do t[i] = {} end", ":1" BUDGET);
}

static void metatables_and_coroutines_are_out_of_reach(void **state)
{
	(void)state;
	run_refuses("getmetatable('').__index = {}", ":1: unknown name 'getmetatable'");
	run_refuses("setmetatable({}, { __gc = function() while true do end end })",
		    ":1: unknown name 'setmetatable'");
	run_refuses("local c = coroutine.wrap(function() while true do end end)",
		    ":1: unknown name 'coroutine'");
	run_refuses("host.psi = 1", ":1: events, windows and facts cannot be written");
	run_refuses("local x = ('').dump('')", ":1: attempt to call a nil value (field 'dump')");
}

static void repeating_nothing_is_nothing(void **state)
{
	struct run t;

	(void)state;
	run_text(
		&t,
		"assert((''):rep(1e15) == '') assert(('ab'):rep(2, '-') == 'ab-ab') assert(('x'):rep(-1) == '')");
	run_close(&t);
}

static void pattern_bombs_are_refused(void **state)
{
	(void)state;
	run_refuses("string.find(('a'):rep(30), ('a?'):rep(30) .. ('a'):rep(30))",
		    ":1: the pattern is too costly: 30 quantifiers on 30 bytes");
	run_refuses("string.match(('a'):rep(200), '.-.-.-b')",
		    ":1: the pattern is too costly: 3 quantifiers on 200 bytes");
	run_refuses("for w in (('a'):rep(3000)):gmatch('a*a*b') do end",
		    ":1: the pattern is too costly: 2 quantifiers on 3000 bytes");
	run_refuses("string.gsub(('a'):rep(3000), '%b()(a*)%1', '')",
		    ":1: the pattern is too costly: 3 quantifiers on 3000 bytes");
	run_refuses("while true do string.find(('a'):rep(900), 'a*b') end", ":1" BUDGET);
}

#define LONG(n, plen) "the pattern is too costly: " plen " bytes on " n " bytes"

static void long_patterns_and_replacements_are_refused(void **state)
{
	(void)state;
	run_refuses("local _ = ('a'):rep(20000):find(('a'):rep(10000) .. 'b.')",
		    ":1: " LONG("20000", "10002"));
	run_refuses("local _ = ('a'):rep(20000):find(('a'):rep(10000) .. 'b', 1, true)",
		    ":1: " LONG("20000", "10001"));
	/* plain: the first byte ties nothing */
	run_refuses("local _ = ('^'):rep(20000):find(('^'):rep(10000) .. 'b', 1, true)",
		    ":1: " LONG("20000", "10001"));
	run_refuses("local _ = ('a'):rep(20000):gmatch('^' .. ('a'):rep(10000))",
		    ":1: " LONG("20000", "10001"));
	run_refuses("local _ = ('x'):rep(20000):gsub('x', ('%0'):rep(300))",
		    ":1: " LONG("20000", "1"));
	run_refuses(
		"local s, r = ('x'):rep(2000), ('%0'):rep(300)\nwhile true do s:gsub('x', r) end",
		":2" BUDGET);
	run_refuses("local s = ('x'):rep(2000) while true do s:gsub('x', string.upper) end",
		    ":1" BUDGET);
	run_refuses("local s = ('x'):rep(1000):rep(8000) for i = 1, 9 do s:find(1) end",
		    ":1" BUDGET);
}

static void a_replacement_costs_as_often_as_it_is_made(void **state)
{
	struct run t;

	(void)state;
	run_text(&t, "local s, r = ('x'):rep(20000), ('y'):rep(1000)\n"
		     "for i = 1, 100 do assert(#s:gsub('x', r, 1) == 20999) end\n"
		     "assert(s:gsub('^x', r) == r .. ('x'):rep(19999))\n"
		     "assert(s:gsub('z', 'y', -1) == s)\n"
		     "assert(('a1'):gsub('%d', 2) == 'a2')");
	run_close(&t);
}

/* Three iterators, made where nobody counts it: each call that uses them pays. */
static void the_iterator_of_gmatch_is_paid_for_where_it_runs(void **state)
{
	struct run t;

	(void)state;
	run_text(
		&t,
		"local its = {} for i = 1, 3 do its[i] = ('a'):rep(2000):gmatch('a-b') end\n"
		"rule 'dear' { on = 'proc.fork', when = function()\n"
		"  for i = 1, 3 do assert(its[i]() == nil) end\n"
		"  for i = 1, 300000 do end return true end }\n"
		"rule 'cheap' { on = 'proc.fork', when = function()\n"
		"  local n = 0 for w in ('a b c'):gmatch('%a') do n = n + 1 end return n == 3 end }");
	run_fork(&t, 1, 5, 6, "x");
	assert_int_equal(t.n_alerts, 1);
	assert_string_equal(t.alerts[0].rule, "cheap");
	assert_non_null(strstr(run_json(&t), &(":4" BUDGET)[4]));
	run_close(&t);
}

static void large_pieces_of_memory_are_paid_for(void **state)
{
	(void)state;
	run_refuses(
		"local s, i = ('x'):rep(1000):rep(3000), 0\nwhile true do i = i + 1 local t = s .. i end",
		":2" BUDGET);
	run_refuses("local s, t = ('x'):rep(1000):rep(3000), {} for i = 1, 200 do t[i] = s end\n"
		    "while true do pcall(table.concat, t) end",
		    ":2" BUDGET);
}

/* A text run in a bare state. */
struct chunk {
	const char *text;
};

static int run_chunk(lua_State *L)
{
	const struct chunk *c = lua_touserdata(L, 1);

	lnx_lua_env(L);
	lnx_lua_load(L, 1, c->text, strlen(c->text), -1);
	lua_call(L, 0, 0);
	return 0;
}

static int pay_late(lua_State *L)
{
	lnx_lua_charge(L, LNX_LUA_STEP - 1); /* nobody looks yet */
	lnx_lua_of(L)->cpu_until_ns = 1;
	lnx_lua_charge(L, 1);
	return 0;
}

static void who_pays_is_asked_for_the_time(void **state)
{
	struct lnx_lua *l = NULL;
	struct lnx_err err;

	(void)state;
	assert_int_equal(lnx_lua_new(0, 0, &l), 0);
	assert_int_equal(lnx_lua_call(l, pay_late, NULL, 0, &err), -ETIME);
	assert_non_null(strstr(err.msg, "ms of CPU time"));
	lnx_lua_free(l);
}

static void a_state_can_be_stopped_and_bounded(void **state)
{
	struct chunk loop = { "\n\nwhile true do pcall(error) end" }, short_one = { "local x = 1" };
	struct lnx_lua *l = NULL;
	atomic_bool stop = false;
	struct lnx_err err;

	(void)state;
	assert_int_equal(lnx_lua_new(0, 0, &l), 0);
	l->total_max = 5000000;
	assert_int_equal(lnx_lua_call(l, run_chunk, &loop, 100000000, &err), -ETIME);
	assert_string_equal(err.msg,
			    "used up what all tests together may take: 5000000 instructions");
	assert_int_equal(err.line, 3);
	assert_true(lnx_lua_is_over(l));
	l->total_max = 0;
	l->stop = &stop;
	assert_int_equal(lnx_lua_call(l, run_chunk, &short_one, 0, &err), 0);
	assert_false(lnx_lua_is_over(l));
	stop = true;
	assert_true(lnx_lua_is_over(l));
	assert_int_equal(lnx_lua_call(l, run_chunk, &loop, 0, &err), -ETIME);
	assert_string_equal(err.msg, "was stopped: nobody waits for it any more");
	lnx_lua_free(l);
}

static void keys_come_in_order(void **state)
{
	struct run t;

	(void)state;
	run_text(
		&t,
		"local t, s = { zeta = 1, eta = 2, alpha = 3, beta = 4, Beta = 5, be = 6, gamma = 7, [''] = 8,\n"
		"  [true] = 9, [false] = 10, [10] = 11, [-1] = 12, [2.5] = 13, [2] = 14, [math.mininteger] = 15,\n"
		"  [1e300] = 16, ['delta\\0x'] = 17, ['delta\\0'] = 18 }, {}\n"
		"for k, v in pairs(t) do s[#s + 1] = v end\n"
		"assert(table.concat(s, ' ') == '15 12 14 13 11 16 8 5 3 6 4 18 17 2 7 1 10 9')");
	run_close(&t);
}

static void walking_a_table_allows_what_lua_allows(void **state)
{
	struct run t;

	(void)state;
	run_text(
		&t,
		"local t, n = { a = 1, b = 2, c = 3 }, 0\n"
		"for k, v in pairs(t) do n = n + v t[k] = nil if k == 'a' then t.b = nil end end\n"
		"assert(n == 4 and next(t) == nil)\n"
		"t = { 'x', 'y', z = 3 }\n"
		"assert(next(t) == 1 and next(t, 1) == 2 and next(t, 2) == 'z' and next(t, 'z') == nil)\n"
		"local k, v = next(t, 2) assert(v == 3)\n"
		"for k, v in next, t do n = n + 1 end assert(n == 7)\n"
		"for k in pairs({}) do error('none') end\n"
		"n = 0 for k in pairs({ [t] = 1, a = 2 }) do n = n + 1 end assert(n == 2)");
	run_close(&t);
	run_refuses(
		"for k in pairs({ [{}] = 1, [{}] = 2 }) do end",
		":1: two keys of the table are no numbers or texts, but table: they have no order");
	run_refuses(
		"local k = next({ [{}] = 1, [{}] = 2 })",
		":1: two keys of the table are no numbers or texts, but table: they have no order");
	run_refuses("for k in pairs(nil) do end",
		    ":1: bad argument #1 to 'pairs' (table expected, got nil)");
	run_refuses("local t = {} for i = 1, 40000 do t[i] = i end\nwhile true do pairs(t) end",
		    ":2" BUDGET);
	run_refuses("local t = {} for i = 1, 40000 do t[i] = i end\nwhile true do next(t) end",
		    ":2" BUDGET);
}

static void sorting_is_stable_and_whole(void **state)
{
	struct run t;

	(void)state;
	run_text(
		&t,
		"local t = {} for i = 1, 1000 do t[i] = { (i * 7919) % 13, i } end\n"
		"table.sort(t, function(a, b) return a[1] < b[1] end)\n"
		"for i = 2, #t do\n"
		"  assert(t[i - 1][1] < t[i][1] or t[i - 1][1] == t[i][1] and t[i - 1][2] < t[i][2])\n"
		"end\n"
		"t = { 3, 1, 2 } table.sort(t) assert(table.concat(t) == '123')\n"
		"table.sort(t, function(a, b) return a > b end) assert(table.concat(t) == '321')\n"
		"t = { 'b', 'a', 'c', 'B' } table.sort(t) assert(table.concat(t) == 'Babc')\n"
		"t = { 2, 'x', 1 } assert(not pcall(table.sort, t) and t[1] == 2 and t[2] == 'x' and t[3] == 1)\n"
		"t = {} table.sort(t) assert(#t == 0) t = { 1 } table.sort(t) assert(t[1] == 1)");
	run_close(&t);
	run_refuses(
		"local p, t = ('x'):rep(90000), {} for i = 1, 250 do t[i] = p .. (i * 7919 % 251) end\n"
		"while true do table.sort(t) end",
		":2" BUDGET);
}

static void addresses_are_not_told(void **state)
{
	struct run t;

	(void)state;
	run_text(
		&t,
		"assert(tostring({}) == 'table' and tostring(next) == 'function' and tostring(host) == 'userdata')\n"
		"assert(tostring(1) == '1' and tostring(nil) == 'nil' and tostring(true) == 'true')\n"
		"assert(tostring('x') == 'x' and tostring(1.5) == '1.5')\n"
		"assert(('%s %5.1f%% %s|%-6s|'):format({}, 1.25, next, host) == 'table   1.2% function|userdata|')\n"
		"assert(('%d %q %s'):format(3, 'a', nil) == '3 \"a\" nil')\n"
		"assert(not pcall(string.format, '%d', {}) and not pcall(string.format, '%s'))\n"
		"assert(not pcall(tostring))");
	run_close(&t);
	run_refuses("local s = ('%p'):format({})",
		    ":1: string.format: %p is another one in each run");
	run_refuses("linnix = {}", ":1: the file is written for version table, this is version 1");
}

static void ordinary_patterns_work(void **state)
{
	struct run t;

	(void)state;
	run_text(&t,
		 "assert(('/usr/bin/cc1'):match('([^/]+)$') == 'cc1')\n"
		 "assert(('a.b'):gsub('%.', '-') == 'a-b')\n"
		 "assert(('a*b'):find('*', 1, true) == 2)\n"
		 "assert(('[]x'):match('[]%[]+') == '[]')\n"
		 "local n = 0 for _ in ('a b c'):gmatch('%a+') do n = n + 1 end assert(n == 3)");
	run_close(&t);
}

static void nothing_of_the_host_is_there(void **state)
{
	static const char *const names[][2] = {
		{ "io", "" },
		{ "os", "" },
		{ "debug", "" },
		{ "load", "" },
		{ "loadstring", " (did you mean 'tostring'?)" },
		{ "dofile", "" },
		{ "loadfile", "" },
		{ "require", "" },
		{ "collectgarbage", "" },
		{ "coroutine", "" },
		{ "package", "" },
		{ "print", "" },
		{ "setmetatable", "" },
		{ "getmetatable", "" },
		{ "rawset", " (did you mean 'rawlen'?)" },
		{ "rawget", " (did you mean 'rawlen'?)" },
		{ "xpcall", " (did you mean 'pcall'?)" },
		{ "warn", "" },
		{ "_G", "" },
	};
	char text[64], error[96];
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(text, sizeof(text), "local x = %s", names[i][0]);
		(void)snprintf(error, sizeof(error), ":1: unknown name '%s'%s", names[i][0],
			       names[i][1]);
		run_refuses(text, error);
	}
	run_refuses("local x = ('').dump(function() end)",
		    ":1: attempt to call a nil value (field 'dump')");
	run_refuses("local x = math.random()", ":1: attempt to call a nil value (field 'random')");
	run_refuses("local x = lod", ":1: unknown name 'lod'");
}

static void only_text_is_loaded(void **state)
{
	static const char chunk[] = "\033LuaT\0\031\223";

	(void)state;
	run_refuses_bytes(chunk, sizeof(chunk), ": is compiled Lua: only text is loaded");
}

static void a_file_cannot_spoil_the_library_of_another(void **state)
{
	struct run t;

	(void)state;
	run_open(&t);
	(void)run_file(&t, "a.lua", "string.rep = nil pairs = nil", 28);
	(void)run_file(&t, "b.lua", "assert(string.rep and pairs and ('x'):rep(2) == 'xx')", 53);
	run_load(&t);
	assert_string_equal(t.errors.data ? t.errors.data : "", "");
	run_close(&t);
}

static void errors_that_are_not_text_are_told(void **state)
{
	(void)state;
	run_refuses("error({})", ": the error is not a text but a table");
	/* and cannot forge a line */
	run_refuses("error('one\\ntwo')", ":1: one?two");
}

static int allocate(lua_State *L)
{
	lua_newuserdatauv(L, 600 * 1024, 0);
	return 0;
}

static void the_cap_is_that_of_the_state(void **state)
{
	struct lnx_lua *l = NULL;
	struct lnx_err err;

	(void)state;
	assert_int_equal(lnx_lua_new(1024, 0, &l), -ENOMEM);
	assert_int_equal(lnx_lua_new(512 * 1024, 0, &l), 0);
	assert_int_equal(lnx_lua_call(l, allocate, NULL, 0, &err), -ENOMEM);
	assert_true(l->denied > 0);
	assert_true(l->used_bytes < l->max_bytes);
	lnx_lua_free(l);
	lnx_lua_free(NULL);
}

static void the_names_of_a_file_are_these(void **state)
{
	struct run t;

	(void)state;
	run_text(
		&t,
		"local function is(t, expected)\n"
		"  local names = {}\n"
		"  for name in pairs(t) do names[#names + 1] = name end\n"
		"  table.sort(names)\n"
		"  names = table.concat(names, ' ')\n"
		"  if names ~= expected then error(names) end\n"
		"end\n"
		"is(_ENV, 'GiB KiB MiB assert cgroup error glob host hour ipairs is_main math minute next pairs pcall '\n"
		"  .. 'percent proc rawequal rawlen rule second select string table test tonumber tostring type utf8')\n"
		"is(string, 'byte char find format gmatch gsub len lower match rep reverse sub upper')\n"
		"is(table, 'concat insert move pack remove sort unpack')\n"
		"is(utf8, 'char charpattern codepoint codes len offset')\n"
		"assert(not math.random and not math.randomseed and not ('').dump)\n"
		"rule 'a' { on = 'proc.fork' }");
	run_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(endless_loops_end),
		cmocka_unit_test(work_inside_c_functions_is_paid_for),
		cmocka_unit_test(each_function_that_walks_a_text_pays_for_it),
		cmocka_unit_test(the_names_of_a_file_are_these),
		cmocka_unit_test(memory_has_a_cap),
		cmocka_unit_test(tables_of_a_million_keys_do_not_fit),
		cmocka_unit_test(metatables_and_coroutines_are_out_of_reach),
		cmocka_unit_test(repeating_nothing_is_nothing),
		cmocka_unit_test(pattern_bombs_are_refused),
		cmocka_unit_test(long_patterns_and_replacements_are_refused),
		cmocka_unit_test(a_replacement_costs_as_often_as_it_is_made),
		cmocka_unit_test(the_iterator_of_gmatch_is_paid_for_where_it_runs),
		cmocka_unit_test(large_pieces_of_memory_are_paid_for),
		cmocka_unit_test(who_pays_is_asked_for_the_time),
		cmocka_unit_test(a_state_can_be_stopped_and_bounded),
		cmocka_unit_test(keys_come_in_order),
		cmocka_unit_test(walking_a_table_allows_what_lua_allows),
		cmocka_unit_test(sorting_is_stable_and_whole),
		cmocka_unit_test(addresses_are_not_told),
		cmocka_unit_test(ordinary_patterns_work),
		cmocka_unit_test(nothing_of_the_host_is_there),
		cmocka_unit_test(only_text_is_loaded),
		cmocka_unit_test(a_file_cannot_spoil_the_library_of_another),
		cmocka_unit_test(errors_that_are_not_text_are_told),
		cmocka_unit_test(the_cap_is_that_of_the_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
