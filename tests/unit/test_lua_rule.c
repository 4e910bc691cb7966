/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Rule tables: what is refused, with which words and on which line; and how files are found.
 * LINK: tests/unit/rules_run.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lua_lex.h"
#include "lua_sandbox.h"
#include "rules_run.h"

static void unknown_fields_name_their_line_and_a_suggestion(void **state)
{
	(void)state;
	run_refuses(
		"-- lastin = 1\nrule 'a' {\n every = '1s',\n when = function(h)\n  local lastin = 2\n"
		"  return lastin end,\n lastin = '5s',\n}",
		":7: unknown field 'lastin' (did you mean 'lasting'?)");
	run_refuses("rule 'a' {\n on = 'proc.fork',\n ['sevrity'] = 'info' }",
		    ":3: unknown field 'sevrity' (did you mean 'severity'?)");
	run_refuses("rule 'a' { on = 'proc.fork',\n\n zzz = 1 }", ":3: unknown field 'zzz'");
	run_refuses("rule 'a' { on = 'proc.fork', 1 }",
		    ":1: rule 'a': every value needs the name of a field");
}

static void all_errors_of_a_file_are_told_by_lines(void **state)
{
	static const char text[] =
		"rule 'a' {\n on = 'proc.fork',\n lastin = '5s',\n by = 'uidd',\n keep = 'soon',\n"
		" severity = 'warn',\n window = 'coutn 1s',\n}\n"
		"rule 'b' { on = 'proc.frok' }\n"
		"test 't' {\n fires = {} }\n"
		"local x = nope\n"
		"rule 'c' { on = 'not seen any more' }";
	static const char *const lines[] = {
		":3: unknown field 'lastin' (did you mean 'lasting'?)\n",
		":4: by: proc.fork has no field 'uidd' (did you mean 'uid'?)\n",
		":5: keep: 'soon' is not a duration (such as 250ms, 5s, 1m; at most one day)\n",
		":6: severity: unknown value 'warn' (one of info, warning, critical)\n",
		":7: window: unknown function 'coutn' (did you mean 'count'?)\n",
		":9: unknown event 'proc.frok' (did you mean 'proc.fork'?)\n",
		":10: a test needs `feed`: a function\n",
		":12: unknown name 'nope'\n",
	};
	struct lnx_buf expected = { 0 };
	struct run t;
	unsigned i;

	(void)state;
	run_open(&t);
	(void)run_file(&t, "a.lua", text, strlen(text));
	run_load(&t);
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		lnx_buf_printf(&expected, "%s/a.lua%s", t.dir, lines[i]);
	assert_string_equal(t.errors.data, expected.data);
	/* one file, however many errors */
	assert_int_equal(lnx_rules_errors(t.rules), 1);
	assert_int_equal(lnx_rules_count(t.rules), 0);
	lnx_buf_done(&expected);
	run_close(&t);
}

static void a_file_with_a_thousand_errors_is_cut_short(void **state)
{
	struct lnx_buf text = { 0 };
	struct run t;
	unsigned i;

	(void)state;
	run_open(&t);
	for (i = 0; i < 1000; i++)
		lnx_buf_printf(&text, "rule 'r%u' { on = 'nope' }\n", i);
	(void)run_file(&t, "a.lua", text.data, text.size);
	run_load(&t);
	assert_non_null(strstr(t.errors.data, "a.lua:16: unknown event 'nope'\n"));
	assert_null(strstr(t.errors.data, "a.lua:17: "));
	assert_non_null(strstr(t.errors.data, "a.lua: 984 more errors\n"));
	assert_int_equal(lnx_rules_errors(t.rules), 1);
	lnx_buf_done(&text);
	run_close(&t);
}

static void sources_are_checked(void **state)
{
	(void)state;
	run_refuses("rule 'a' {\n on = 'proc.frok' }",
		    ":2: unknown event 'proc.frok' (did you mean 'proc.fork'?)");
	run_refuses("rule 'a' {\n on = { 'proc.fork', 7 } }", ":2: on: expected names of events");
	run_refuses("rule 'a' { on = {} }", ":1: on: the list is empty");
	run_refuses("rule 'a' { on = true }",
		    ":1: on: expected the name of an event, not a boolean");
	run_refuses("rule 'a' { }", ":1: rule 'a' needs `on` (an event) or `every` (a time)");
	run_refuses("rule 'a' { on = 'proc.fork',\n every = '1s' }",
		    ":2: a rule has either `on` or `every`");
	run_refuses("rule 'a' { every = '10ms', when = function() end }",
		    ":1: every: facts of the machine come once a second");
	run_refuses("rule 'a' { every = '1s' }",
		    ":1: rule 'a' needs `when`: a function that returns true or false");
	run_refuses("rule 'a' { every = '1s', by = 'uid', when = function() end }",
		    ":1: by: a rule with `every` is about the machine");
	run_refuses("rule 'a' { on = 'proc.fork',\n by = 'uidd' }",
		    ":2: by: proc.fork has no field 'uidd' (did you mean 'uid'?)");
	run_refuses("rule 'a' { on = { 'proc.fork', 'proc.exec' }, by = 'child_pid' }",
		    ":1: by: proc.exec has no field 'child_pid'");
	run_refuses("rule 'a' { on = 'host.sample', by = 'tree' }",
		    ":1: by: host.sample is not about a process");
	run_refuses("rule 'a' { on = 'proc.fork',\n by = { 'tree', 'comn' } }",
		    ":2: by: proc.fork has no field 'comn' (did you mean 'comm'?)");
	run_refuses("rule 'a' { on = 'proc.fork', by = { 'uid', 'comm', 'ppid', 'tree' } }",
		    ":1: by: more than 3 parts");
	run_refuses("rule 'a' { on = 'proc.fork', by = {} }",
		    ":1: by: expected the name of a field or a list of them");
	run_refuses("rule 'a' { on = 'proc.fork', by = 7 }",
		    ":1: by: expected the name of a field or a list of them");
	run_refuses("rule 'a' { on = 'proc.fork', by = { 'uid', 7 } }",
		    ":1: by: expected names of fields");
}

static void times_are_checked(void **state)
{
	(void)state;
	run_refuses("rule 'a' { on = 'proc.fork',\n keep = 'soon' }",
		    ":2: keep: 'soon' is not a duration (such as 250ms, 5s, 1m; at most one day)");
	run_refuses("rule 'a' { on = 'proc.fork', keep = -1 }",
		    ":1: keep: a duration is 0 to one day");
	run_refuses("rule 'a' { on = 'proc.fork', keep = {} }",
		    ":1: keep: expected a duration such as \"5s\", not a table");
	run_refuses(
		"rule 'a' { on = 'proc.fork', cooldown = '2d' }",
		":1: cooldown: '2d' is not a duration (such as 250ms, 5s, 1m; at most one day)");
	run_refuses("rule 'a' { on = 'proc.fork', lasting = '5s' }",
		    ":1: lasting: an event does not last: use a window");
	run_refuses("rule 'a' { on = 'proc.fork', lasting = '2 windows' }",
		    ":1: lasting: '2 windows' needs a window");
}

static void windows_are_checked(void **state)
{
	(void)state;
	run_refuses("rule 'a' { on = 'proc.fork',\n window = 'coutn 1s', when = function() end }",
		    ":2: window: unknown function 'coutn' (did you mean 'count'?)");
	run_refuses(
		"rule 'a' { on = 'proc.fork', window = 'distnict uid 1s', when = function() end }",
		":1: window: unknown function 'distnict' (did you mean 'distinct'?)");
	run_refuses(
		"rule 'a' { on = 'proc.fork', window = 'count', when = function() end }",
		":1: window: 'count' is not \"FUNCTION [FIELD] DURATION\", such as \"count 1s\"");
	run_refuses("rule 'a' { on = 'proc.fork', window = 'sum 1s', when = function() end }",
		    ":1: sum needs a field: \"sum FIELD 10s\", or sum = \"FIELD\"");
	run_refuses("rule 'a' { on = 'proc.exit', window = 'sum comm 1s', when = function() end }",
		    ":1: sum: field 'comm' is text");
	run_refuses(
		"rule 'a' { on = 'proc.exit', window = 'sum cpu_nss 1s', when = function() end }",
		":1: proc.exit has no field 'cpu_nss' (did you mean 'cpu_ns'?)");
	run_refuses("rule 'a' { on = 'proc.fork', window = 'count 1ms', when = function() end }",
		    ":1: window: '1ms' is shorter than 10ms");
	run_refuses("rule 'a' { on = 'proc.fork', window = { 'count 1s' }, when = function() end }",
		    ":1: window: each needs a name: { forks = \"count 1s\" }");
	run_refuses(
		"rule 'a' { on = 'proc.fork', window = { n = { 'count 1s', whre = {} } }, when = function() end }",
		":1: unknown field 'whre' of window 'n' (did you mean 'where'?)");
	run_refuses("rule 'a' { on = 'proc.fork', window = 'count 1s' }",
		    ":1: rule 'a' needs `when`: a function that returns true or false");
	run_refuses("rule 'a' { on = 'proc.fork', sum = 'uid' }", ":1: sum: there is no window");
	run_refuses("rule 'a' { every = '1s', window = 'count 1s', when = function() end }",
		    ":1: window: a rule with `every` has the facts of that time");
}

static void filters_are_checked(void **state)
{
	(void)state;
	run_refuses("rule 'a' { on = 'proc.fork',\n where = { comn = 'x' } }",
		    ":2: proc.fork has no field 'comn' (did you mean 'comm'?)");
	run_refuses("rule 'a' { on = 'proc.fork', where = { uid = 'root' } }",
		    ":1: 'uid' is a number, not 'root'");
	run_refuses("rule 'a' { on = 'proc.fork', where = { comm = 7 } }",
		    ":1: 'comm' is text: it cannot be compared with a number");
	run_refuses("rule 'a' { on = 'proc.fork', where = { comm = { lt = 'x' } } }",
		    ":1: 'comm' is text: it has no order");
	run_refuses("rule 'a' { on = 'proc.fork', where = { uid = { gt = 1, les = 2 } } }",
		    ":1: unknown comparison 'les' (did you mean 'le'?)");
	run_refuses("rule 'a' { on = 'proc.fork', where = { comm = { 'sh', ge = 'x' } } }",
		    ":1: 'comm' has either values or comparisons");
	run_refuses("rule 'a' { on = 'proc.fork', where = { comm = {} } }",
		    ":1: 'comm' is compared with nothing");
	run_refuses("rule 'a' { on = 'proc.fork', where = { uid = { ne = {} } } }",
		    ":1: 'uid': the list of ne is empty");
	run_refuses("rule 'a' { on = 'proc.fork', where = { uid = { ne = { 0, 'root' } } } }",
		    ":1: 'uid' is a number, not 'root'");
	run_refuses("rule 'a' { on = 'proc.fork', where = { uid = { lt = { 1, 2 } } } }",
		    ":1: 'uid' is a number: it cannot be compared with a table");
	run_refuses("rule 'a' { on = 'proc.fork', where = 7 }",
		    ":1: where: expected a table of fields, not a number");
}

static void tables_of_a_filter_are_checked(void **state)
{
	struct lnx_buf text = { 0 };
	unsigned i;

	(void)state;
	run_refuses("rule 'a' { on = 'proc.fork',\n where = { { uid = 1 }, { comn = 'x' } } }",
		    ":2: proc.fork has no field 'comn' (did you mean 'comm'?)");
	run_refuses("rule 'a' { on = 'proc.fork', where = { { uid = 1 }, {} } }",
		    ":1: where: the table at 2 is empty");
	run_refuses("rule 'a' { on = 'proc.fork', where = { { uid = 1, { uid = 2 } } } }",
		    ":1: where: names of fields are needed");
	run_refuses("rule 'a' { on = 'proc.fork', where = { [7] = { uid = 1 } } }",
		    ":1: where: names of fields are needed");
	run_refuses("rule 'a' { on = 'proc.fork', where = { 'comm' } }",
		    ":1: where: expected tables of fields, and perhaps a function behind them, "
		    "not a string at 1");
	run_refuses(
		"rule 'a' { on = 'proc.fork', where = { function() return true end, { uid = 1 } } }",
		":1: where: expected tables of fields, and perhaps a function behind them, "
		"not a function at 1");
	run_refuses(
		"rule 'a' { on = 'proc.fork', when = function() end, window = { n = { 'count 1s',\n"
		"  where = { { uid = 1 }, function() return true end } } } }",
		":1: window: expected tables of fields, not a function at 2");
	lnx_buf_str(&text, "rule 'a' { on = 'proc.fork', where = { ");
	for (i = 0; i < 17; i++)
		lnx_buf_str(&text, "{ uid = 1, comm = 'x' }, ");
	lnx_buf_str(&text, "} }");
	run_refuses(text.data, ":1: more than 32 values in where");
	lnx_buf_done(&text);
}

static void words_are_checked(void **state)
{
	(void)state;
	run_refuses("rule 'a' { on = 'proc.fork',\n severity = 'warn' }",
		    ":2: severity: unknown value 'warn' (one of info, warning, critical)");
	run_refuses("rule 'a' { on = 'proc.fork', severity = 7 }",
		    ":1: severity: expected a text or a function, not a number");
	run_refuses("rule 'a' { on = 'proc.fork', blame = 'cpus' }",
		    ":1: blame: unknown value 'cpus' (did you mean 'cpu'?)");
	run_refuses("rule 'a' { on = 'proc.fork', say = 'hi {foo}' }",
		    ":1: say: unknown name '{foo}'");
	run_refuses("rule 'a' { on = 'proc.fork', say = 'hi {' }", ":1: say: '{' has no '}'");
	run_refuses("rule 'a' { on = 'proc.fork', value = 'foo' }",
		    ":1: value: 'foo' is neither a window nor of a series nor a fact");
	run_refuses("rule 'a' { on = 'proc.fork', threshold = 'x' }",
		    ":1: threshold: expected a number, not a string");
	run_refuses("rule 'a' { on = 'proc.fork', labels = { 1 } }",
		    ":1: labels: at most 16 names with texts");
	run_refuses("rule 'a' { on = 'proc.fork', labels = { a = ('x'):rep(900) } }",
		    ":1: labels: more than 768 bytes");
	run_refuses("rule 'a' { on = 'proc.fork', when = 7 }",
		    ":1: when: expected a function, not a number");
}

static void names_are_checked(void **state)
{
	(void)state;
	run_refuses("rule 'a\\nb' { on = 'proc.fork' }",
		    ":1: the name 'a\\x0ab' has control characters");
	run_refuses("rule '' { on = 'proc.fork' }", ":1: the name of a rule has 1 to 63 bytes");
	run_refuses("rule 'a'", ":1: the name has no table { ... } after it");
	run_refuses("rule 'a'\nrule 'b' { on = 'proc.fork' }",
		    ":2: the rule before this line has no table { ... }");
	run_refuses("test 'x' { fires = {} }", ":1: a test needs `feed`: a function");
	run_refuses("test 'x' { feed = function() end }",
		    ":1: a test needs `fires`: a list, {} for none");
	run_refuses("test 'x' {\n feeed = 1 }",
		    ":2: unknown field 'feeed' of a test (did you mean 'feed'?)");
	run_refuses("lcoal = 7", ":1: 'lcoal' is not declared: write local lcoal");
}

static void a_rule_cannot_be_made_while_rules_run(void **state)
{
	struct run t;

	(void)state;
	run_text(
		&t,
		"local make = rule\nrule 'a' { on = 'proc.fork', when = function() make 'b' {} end }");
	run_fork(&t, 1, 1, 2, "x");
	assert_non_null(
		strstr(run_json(&t), "rules and tests are defined while their file is loaded"));
	assert_int_equal(lnx_rules_count(t.rules), 1);
	run_close(&t);
}

static void a_bad_file_is_left_out_and_the_others_run(void **state)
{
	static const char good[] = "rule 'good' { on = 'proc.fork' }",
			  bad[] = "rule 'early' { on = 'proc.fork' }\nrule (";
	struct run t;

	(void)state;
	run_open(&t);
	(void)run_file(&t, "b.lua", good, strlen(good));
	(void)run_file(&t, "a.lua", bad, strlen(bad));
	(void)run_file(&t, "c.txt", bad, strlen(bad));
	(void)run_file(&t, ".d.lua", bad, strlen(bad));
	run_load(&t);
	assert_int_equal(lnx_rules_count(t.rules), 1);
	assert_int_equal(lnx_rules_errors(t.rules), 1);
	assert_non_null(strstr(t.errors.data, "/a.lua:2: "));
	assert_non_null(strstr(run_json(&t), "\"line\":2,"));
	assert_non_null(strstr(run_json(&t), "\"name\":\"good\""));
	assert_null(strstr(run_json(&t), "\"name\":\"early\""));
	run_close(&t);
}

static void two_rules_of_one_name_are_refused(void **state)
{
	static const char text[] = "rule 'twin' { on = 'proc.fork' }";
	struct run t;

	(void)state;
	run_open(&t);
	(void)run_file(&t, "a.lua", text, strlen(text));
	(void)run_file(&t, "b.lua", text, strlen(text));
	run_load(&t);
	assert_int_equal(lnx_rules_count(t.rules), 1);
	assert_non_null(strstr(t.errors.data, "/b.lua:1: rule 'twin' is already defined in "));
	run_close(&t);
}

static void files_that_cannot_be_trusted_or_read_are_refused(void **state)
{
	static const char text[] = "rule 'a' { on = 'proc.fork' }";
	char *big = calloc(1, 10 << 20);
	struct run t;

	(void)state;
	run_open(&t);
	assert_int_equal(chmod(run_file(&t, "open.lua", text, strlen(text)), 0666), 0);
	(void)run_file(&t, "big.lua", big, LNX_LUA_FILE_BYTES + 1);
	(void)run_file(&t, "huge.lua", big, 10 << 20);
	(void)snprintf(t.disabled_error, sizeof(t.disabled_error), "%s/fifo.lua", t.dir);
	assert_int_equal(mkfifo(t.disabled_error, 0644), 0);
	(void)run_file(&t, "x\ny.lua", "x", 1);
	run_load(&t);
	assert_non_null(strstr(t.errors.data, "/open.lua: is writable by everybody: chmod o-w\n"));
	assert_non_null(strstr(t.errors.data, "/big.lua: is larger than 1048576 bytes\n"));
	assert_non_null(strstr(t.errors.data, "/huge.lua: is larger than 1048576 bytes\n"));
	assert_non_null(strstr(t.errors.data, "/fifo.lua: is not a regular file\n"));
	assert_non_null(strstr(t.errors.data, "/x\\x0ay.lua:1: "));
	assert_int_equal(lnx_rules_errors(t.rules), 5);
	free(big);
	run_close(&t);
}

static void files_of_strangers_are_refused(void **state)
{
	static const char text[] = "rule 'a' { on = 'proc.fork' }";
	struct run t;

	(void)state;
	if (geteuid() != 0)
		skip();
	run_open(&t);
	assert_int_equal(chown(run_file(&t, "a.lua", text, strlen(text)), 54321, 54321), 0);
	run_load(&t);
	assert_non_null(
		strstr(t.errors.data,
		       "/a.lua: belongs to uid 54321, which is neither root nor the agent's\n"));
	run_close(&t);
}

static void a_missing_directory_is_an_error_and_not_the_end(void **state)
{
	const char *const dirs[] = { "/nonexistent/rules.d", NULL };
	struct run t;

	(void)state;
	run_open(&t);
	t.conf.dirs = dirs;
	assert_int_equal(lnx_rules_new(&t.conf, &t.errors, &t.rules), 0);
	assert_string_equal(t.errors.data, "/nonexistent/rules.d: No such file or directory\n");
	run_close(&t);
}

static void a_thousand_files_are_loaded(void **state)
{
	char name[32], text[64];
	struct run t;
	unsigned i;

	(void)state;
	run_open(&t);
	for (i = 0; i < 1025; i++) {
		(void)snprintf(name, sizeof(name), "r%04u.lua", i);
		(void)snprintf(text, sizeof(text), "rule 'r%u' { on = 'proc.fork' }", i);
		(void)run_file(&t, name, text, strlen(text));
	}
	run_load(&t);
	assert_int_equal(lnx_rules_count(t.rules), 1024);
	assert_non_null(strstr(t.errors.data, "/r1024.lua:1: more than 1024 rules\n"));
	run_close(&t);
}

static void the_line_of_a_field_is_found_in_any_text(void **state)
{
	static const char text[] =
		"x = { --[[ y = 1\n]] a = [==[ ] y = ]==],\n b = { y = 2 },\n"
		" c = function() if y == 3 then y = 4 end repeat y = 5 until y end,\n"
		" d = 'y = 6\\' y = 7', [\"z\"] = 8,\n y = 9,\n}";

	(void)state;
	assert_int_equal(lnx_lua_field_line(text, strlen(text), 1, "y"), 6);
	assert_int_equal(lnx_lua_field_line(text, strlen(text), 1, "z"), 5);
	assert_int_equal(lnx_lua_field_line(text, strlen(text), 1, "a"), 2);
	assert_int_equal(lnx_lua_field_line(text, strlen(text), 1, "none"), 1);
	assert_int_equal(lnx_lua_field_line("{ \"", 3, 1, "y"), 1);
	assert_int_equal(lnx_lua_field_line("{ [==[", 6, 1, "y"), 1);
	assert_int_equal(lnx_lua_field_line("{ --[", 5, 1, "y"), 1);
	assert_int_equal(lnx_lua_field_line("", 0, 1, "y"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_fields_name_their_line_and_a_suggestion),
		cmocka_unit_test(all_errors_of_a_file_are_told_by_lines),
		cmocka_unit_test(a_file_with_a_thousand_errors_is_cut_short),
		cmocka_unit_test(sources_are_checked),
		cmocka_unit_test(times_are_checked),
		cmocka_unit_test(windows_are_checked),
		cmocka_unit_test(filters_are_checked),
		cmocka_unit_test(tables_of_a_filter_are_checked),
		cmocka_unit_test(words_are_checked),
		cmocka_unit_test(names_are_checked),
		cmocka_unit_test(a_rule_cannot_be_made_while_rules_run),
		cmocka_unit_test(a_bad_file_is_left_out_and_the_others_run),
		cmocka_unit_test(two_rules_of_one_name_are_refused),
		cmocka_unit_test(files_that_cannot_be_trusted_or_read_are_refused),
		cmocka_unit_test(files_of_strangers_are_refused),
		cmocka_unit_test(a_missing_directory_is_an_error_and_not_the_end),
		cmocka_unit_test(a_thousand_files_are_loaded),
		cmocka_unit_test(the_line_of_a_field_is_found_in_any_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
