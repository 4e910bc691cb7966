/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test{} blocks: what they print, and that they leave nothing behind.
 * LINK: tests/unit/rules_run.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rules_run.h"

#define RULE                                                                            \
	"rule 'r' { on = 'proc.fork', by = 'tree', window = 'count 1s', keep = '2s',\n" \
	" when = function(w) return w.count > 2 end,\n"                                 \
	" severity = function(w) return w.count > 3 and 'critical' or 'info' end }\n"

struct outcome {
	struct run t;
	struct lnx_buf tap;
	unsigned n;
	int failed;
};

static void play_for(struct outcome *o, const char *text, uint64_t test_work)
{
	const char *dirs[] = { NULL, NULL };

	memset(o, 0, sizeof(*o));
	run_open(&o->t);
	o->t.conf.test_work = test_work;
	dirs[0] = o->t.dir;
	(void)run_file(&o->t, "a.lua", text, strlen(text));
	o->t.conf.dirs = dirs;
	assert_int_equal(lnx_rules_new(&o->t.conf, &o->t.errors, &o->t.rules), 0);
	assert_string_equal(o->t.errors.data ? o->t.errors.data : "", "");
	o->failed = lnx_rules_test(o->t.rules, &o->tap, &o->n);
}

static void play(struct outcome *o, const char *text)
{
	play_for(o, text, 0);
}

static void finish(struct outcome *o)
{
	lnx_buf_done(&o->tap);
	run_close(&o->t);
}

static void expect_failure(const char *test, const char *words)
{
	char text[2048];
	struct outcome o;

	(void)snprintf(text, sizeof(text), "%s%s", RULE, test);
	play(&o, text);
	assert_int_equal(o.failed, 1);
	assert_int_equal(strncmp(o.tap.data, "not ok 1 - ", 11), 0);
	if (!strstr(o.tap.data, words))
		print_error("'%s' is not in:\n%s", words, o.tap.data);
	assert_non_null(strstr(o.tap.data, words));
	finish(&o);
}

static void what_fires_as_told_passes(void **state)
{
	struct outcome o;

	(void)state;
	/* events may be fed in any order, and a child counts for the tree of its parent */
	play(&o, RULE
	     "test 'good' { feed = function(t)\n"
	     " for i = 9, 0, -1 do t.fork(i / 10, { ppid = 100 + i, child_pid = 101 + i }) end t.idle(20) end,\n"
	     " fires = { { rule = 'r', at = 0, severity = 'critical', resolved = 3 } } }\n"
	     "test 'none' { feed = function(t) t.fork(1) t.exec(1, { comm = 'x', filename = '/x' })\n"
	     " t.event(2, 'alert', { subject = { kind = 'process', pid = 3 }, severity = 'info', value = 1.5 }) end, fires = {} }\n"
	     "test 'empty' { feed = function() end, fires = {} }");
	assert_int_equal(o.failed, 0);
	assert_int_equal(o.n, 3);
	assert_int_equal(strncmp(o.tap.data, "ok 1 - ", 7), 0);
	assert_non_null(strstr(o.tap.data, "a.lua: none\n"));
	assert_non_null(strstr(o.tap.data, "\n1..3\n"));
	finish(&o);
}

static void tests_see_cgroups_actions_and_shadows(void **state)
{
	struct outcome o;

	(void)state;
	play(&o,
	     "rule 'a' { on = 'proc.fork', act = { freeze = true }, when = function(w, k, ev)\n"
	     " local c = cgroup(ev.cgroup_id) return c and c.workload == 'shop' and proc(1) == nil end }\n"
	     "rule 'a' { on = 'proc.fork', mode = 'shadow', severity = 'info' }\n"
	     "test 'one' { feed = function(t) t.event(0, 'workload.update', { cgroup_id = 5, workload = 'shop' })\n"
	     " t.fork(1, { cgroup_id = 5 }) end,\n"
	     " fires = { { at = 1, act = 'freeze', severity = 'warning' }, { at = 1, severity = 'info' } } }\n"
	     "test 'two: names are forgotten' { feed = function(t) t.fork(1, { cgroup_id = 5 }) end,\n"
	     " fires = { { at = 1, severity = 'info' } } }\n"
	     "test 'three' { feed = function(t) t.fork(1, {}) end, fires = { { act = 'throttle' } } }");
	assert_int_equal(o.failed, 1);
	assert_int_equal(o.n, 3);
	assert_non_null(strstr(o.tap.data, "# a: asked for nothing, expected throttle\n"));
	finish(&o);
}

static void tests_see_the_processes_that_they_told_of(void **state)
{
	struct outcome o;

	(void)state;
	play(&o,
	     "rule 'child' { on = 'proc.exec', by = 'pid', where = function(ev)\n"
	     " local up, me = proc(ev.ppid), proc(ev.pid)\n"
	     " return up and up.comm == 'cron' and up.forks_total == 2 and me.filename == '/bin/x' and me.cgroup_id == 9 end }\n"
	     "rule 'end' { on = 'proc.exit', by = 'pid', where = function(ev)\n"
	     " return proc(ev.pid) == nil and proc(ev.ppid).rss_bytes == 5 end }\n"
	     "test 't' { feed = function(t)\n"
	     "  t.event(1, 'proc.usage', { pid = 50, comm = 'cron', rss_bytes = 5 })\n"
	     "  t.fork(2, { ppid = 50, child_pid = 60, cgroup_id = 9 })\n"
	     "  t.exec(3, { pid = 60, ppid = 50, comm = 'x', filename = '/bin/x' })\n"
	     "  t.fork(4, { ppid = 50, child_pid = 61, cgroup_id = 9 })\n"
	     "  t.exec(5, { pid = 61, ppid = 50, comm = 'x', filename = '/bin/x' })\n"
	     "  t.exit(6, { pid = 61, ppid = 50 })\n"
	     "  t.exec(7, { pid = 62, ppid = 61, comm = 'x', filename = '/bin/x' })\n"
	     "  t.exec(8, { pid = 4000000, ppid = 4000001, comm = 'x', filename = '/bin/x' }) end,\n"
	     " fires = { { rule = 'child', at = 5 }, { rule = 'end', at = 6 } } }\n"
	     "test 'u' { feed = function(t) t.exec(1, { pid = 60, ppid = 50 }) end, fires = {} }");
	if (o.failed)
		print_error("%s", o.tap.data);
	assert_int_equal(o.failed, 0);
	assert_int_equal(o.n, 2);
	finish(&o);
}

static void what_differs_is_named(void **state)
{
#define STORM \
	"test 't' { feed = function(t) for i = 0, 9 do t.fork(5 + i / 10, {}) end t.idle(60) end, fires = "

	(void)state;
	expect_failure(STORM "{} }", "# fired and was not expected: r at 5.200 s, critical\n");
	expect_failure(
		STORM "{ { at = 6 } } }",
		"# fired otherwise than expected: r at 5.200 s, critical\n#   expected:  at 6 s\n");
	expect_failure(STORM "{ { severity = 'info' } } }",
		       "# fired otherwise than expected: r at 5.200 s, critical\n");
	expect_failure(STORM "{ { at = 5, resolved = 30 } } }", "# r: resolved at 8.");
	expect_failure(STORM "{ { at = 5 }, { rule = 'r', at = 9 } } }",
		       "# expected and did not fire: r at 9 s\n");
	expect_failure(STORM "{ { att = 5 } } }",
		       "unknown field of fires 'att' (did you mean 'at'?)");
}

static void mistakes_in_a_feed_name_their_line(void **state)
{
	(void)state;
	expect_failure("test 't' { feed = function(t)\n t.frk(1) end, fires = {} }",
		       "a.lua:5: unknown feed 'frk' (did you mean 'fork'?)");
	expect_failure("test 't' { feed = function(t)\n t.fork(1, { ppidd = 3 }) end, fires = {} }",
		       "a.lua:5: unknown field of proc.fork 'ppidd' (did you mean 'ppid'?)");
	expect_failure(
		"test 't' { feed = function(t) t.sample(1, { psi = { cpu = { sum = 1 } } }) end, fires = {} }",
		"unknown field of host.sample 'psi.cpu.sum'");
	expect_failure("test 't' { feed = function(t) t.event(1, 'proc.frok') end, fires = {} }",
		       "unknown event 'proc.frok' (did you mean 'proc.fork'?)");
	expect_failure("test 't' { feed = function(t) t.fork(-1) end, fires = {} }",
		       "the time of an event is 0 to 1000000 seconds");
	expect_failure("test 't' { feed = function(t) t.fork(1, { comm = {} }) end, fires = {} }",
		       "string expected, got table");
	expect_failure(
		"test 't' { feed = function(t) t.exec(1, { filename = ('x'):rep(1025) }) end, fires = {} }",
		"field 'filename' is longer than 1024 bytes");
	expect_failure(
		"test 't' { feed = function(t) t.event(1, 'alert', { state = 'gone' }) end, fires = {} }",
		"field 'state' has no value 'gone'");
	expect_failure(
		"test 't' { feed = function(t) while true do t.fork(1) end end, fires = {} }",
		"# ");
	expect_failure("test 't' { feed = function(t)\n while true do end end, fires = {} }",
		       "a.lua:5: used up its budget of 50000000");
}

/* A slow machine takes long over few instructions; what a test may take grows with its budget. */
static void a_feed_may_take_longer_than_a_call_of_a_rule(void **state)
{
	struct outcome o;

	(void)state;
	play(&o, RULE
	     "test 't' { feed = function(t) local s = ('x'):rep(1000) local a, b = s:rep(8000), s:rep(8000)\n"
	     "for i = 1, 2000 do local _ = a == b end end, fires = {} }");
	assert_int_equal(o.failed, 0);
	finish(&o);
}

static void a_rule_that_fails_in_a_test_fails_the_test(void **state)
{
	struct outcome o;

	(void)state;
	play(&o, "rule 'r' { on = 'proc.fork',\n when = function(w, k, ev) return ev.nope end }\n"
		 "test 't' { feed = function(t) t.fork(1) end, fires = {} }");
	assert_int_equal(o.failed, 1);
	assert_non_null(strstr(o.tap.data, "a.lua:2: unknown field of proc.fork 'nope'"));
	finish(&o);
}

static void a_call_that_failed_once_fails_the_test(void **state)
{
	struct outcome o;

	(void)state;
	play(&o,
	     "rule 'r' { on = 'proc.fork', by = 'child_pid', severity = 'info', when = function(w, k, ev)\n"
	     " if ev.child_pid == 7 then error('seven') end return false end }\n"
	     "test 'once' { feed = function(t) for p = 5, 9 do t.fork(1, { child_pid = p }) end end, fires = {} }\n"
	     "test 'never' { feed = function(t) t.fork(1, { child_pid = 5 }) end, fires = {} }");
	assert_int_equal(o.failed, 1);
	assert_non_null(strstr(o.tap.data, "a.lua:2: seven\n"));
	finish(&o);
}

static void tests_leave_no_trace_in_what_then_runs(void **state)
{
	struct outcome o;
	unsigned i;

	(void)state;
	play(&o, RULE
	     "local keep\ntest 't' { feed = function(t) keep = t for i = 0, 9 do t.fork(i / 10, {}) end end, fires = { {} } }\n"
	     "rule 'late' { on = 'proc.exec', when = function() keep.fork(1) end }");
	assert_int_equal(o.failed, 0);
	assert_int_equal(o.t.n_alerts, 0);
	assert_int_equal(lnx_rules_start(o.t.rules), 0);
	assert_int_equal(lnx_rules_test(o.t.rules, &o.tap, &o.n), -EBUSY);
	run_fork(&o.t, 0, 1, 2, "x");
	assert_int_equal(o.t.n_alerts, 0);
	for (i = 0; i < 3; i++)
		run_fork(&o.t, 0.1, 1, 3 + i, "x");
	assert_int_equal(o.t.n_alerts, 1);
	for (i = 0; i < 3; i++)
		run_exec(&o.t, 1, 1, "x", "/x");
	assert_string_equal(o.t.disabled_error, "the feed of a test is over");
	finish(&o);
}

#define WORK " what all tests together may take: 1000000 instructions"

/* Each way to be long: in a function of a rule, in a feed, by events alone, by time alone. */
static void tests_of_a_set_have_a_bound_in_all(void **state)
{
	static const char *const texts[][2] = {
		{ "rule 'r' { on = 'proc.fork', by = 'ppid',\n"
		  " when = function() for i = 1, 200000 do end return false end }\n"
		  "test 't' { feed = function(t) for i = 1, 1000 do t.fork(i, { ppid = 5 }) end end, fires = {} }",
		  "a.lua:2: used up" },
		{ "test 't' { feed = function(t)\n for i = 1, 400000 do local _ = i .. 'x' end end, fires = {} }\n",
		  "a.lua:2: used up" },
		{ "rule 'r' { on = 'proc.fork', by = 'ppid', where = { ppid = 9 } }\n"
		  "test 't' { feed = function(t) for i = 1, 40000 do t.idle(i) end end, fires = {} }",
		  "a.lua:2: used up" },
		{ "rule 'r' { on = 'proc.fork', by = 'ppid', window = 'count 1s', lasting = '1d', when = function() return true end }\n"
		  "test 't' { feed = function(t) t.fork(1, { ppid = 5 }) t.idle(1000000) end, fires = {} }",
		  "a.lua:2: used up" },
	};
	struct outcome o;
	char line[256];
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		(void)snprintf(line, sizeof(line), "%s" WORK, texts[i][1]);
		play_for(&o, texts[i][0], 1000000);
		if (o.failed != 1 || !strstr(o.tap.data, line))
			print_error("%u: %s", i, o.tap.data);
		assert_int_equal(o.failed, 1);
		assert_non_null(strstr(o.tap.data, line));
		finish(&o);
	}
	/* what follows is not run, and says so */
	play_for(&o,
		 "test 'long' { feed = function(t) while true do end end, fires = {} }\n"
		 "test 'short' { feed = function(t) end, fires = {} }",
		 1000000);
	assert_int_equal(o.failed, 2);
	assert_non_null(strstr(o.tap.data, "a.lua:2: is not run: those before it used up" WORK));
	finish(&o);
	/* and does not count for what then runs */
	play_for(&o, RULE "test 't' { feed = function(t) t.fork(1) end, fires = {} }", 10000);
	assert_int_equal(o.failed, 0);
	finish(&o);
}

static void a_set_that_nobody_wants_any_more_is_left(void **state)
{
	const char *dirs[] = { NULL, NULL };
	struct lnx_buf errors = { 0 };
	atomic_bool stop = false;
	struct run t;

	(void)state;
	run_open(&t);
	dirs[0] = t.dir;
	(void)run_file(&t, "a.lua", RULE, strlen(RULE));
	t.conf.dirs = dirs;
	t.conf.stop = &stop;
	assert_int_equal(lnx_rules_new(&t.conf, &errors, &t.rules), 0);
	assert_int_equal(lnx_rules_vet(t.rules, &errors), 0);
	stop = true;
	assert_int_equal(lnx_rules_vet(t.rules, &errors), -ECANCELED);
	lnx_rules_free(t.rules);
	assert_int_equal(lnx_rules_new(&t.conf, &errors, &t.rules), 0);
	assert_int_equal(lnx_rules_count(t.rules), 0); /* no file is even read */
	lnx_rules_free(t.rules);
	/* once it runs, what stopped the building of others is none of its business */
	stop = false;
	assert_int_equal(lnx_rules_new(&t.conf, &errors, &t.rules), 0);
	assert_int_equal(lnx_rules_start(t.rules), 0);
	stop = true;
	run_fork(&t, 0, 1, 2, "x");
	run_fork(&t, 0.1, 1, 3, "x");
	run_fork(&t, 0.2, 1, 4, "x");
	assert_int_equal(t.n_alerts, 1);
	assert_int_equal(errors.size, 0);
	lnx_buf_done(&errors);
	run_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fires_as_told_passes),
		cmocka_unit_test(tests_see_cgroups_actions_and_shadows),
		cmocka_unit_test(tests_see_the_processes_that_they_told_of),
		cmocka_unit_test(what_differs_is_named),
		cmocka_unit_test(mistakes_in_a_feed_name_their_line),
		cmocka_unit_test(a_feed_may_take_longer_than_a_call_of_a_rule),
		cmocka_unit_test(a_rule_that_fails_in_a_test_fails_the_test),
		cmocka_unit_test(a_call_that_failed_once_fails_the_test),
		cmocka_unit_test(tests_leave_no_trace_in_what_then_runs),
		cmocka_unit_test(tests_of_a_set_have_a_bound_in_all),
		cmocka_unit_test(a_set_that_nobody_wants_any_more_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
