/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Rules that fail, hoard or meet what they did not expect: what becomes of them, and that their neighbours never notice.
 * LINK: tests/unit/rules_run.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "rules_run.h"

static void is_the_only_one_disabled(const struct run *t, const char *rule)
{
	unsigned n;

	assert_non_null(lnx_rules_disabled(t->rules, &n));
	assert_string_equal(lnx_rules_disabled(t->rules, &n), rule);
	assert_int_equal(n, 1);
}

static void a_rule_that_fails_three_times_is_disabled_and_the_others_run(void **state)
{
	struct run t;
	unsigned n = 9;

	(void)state;
	run_text(&t, "rule 'bad' { on = 'proc.fork',\n"
		     " when = function(w, k, ev)\n  return ev.child_pidd > 1 end }\n"
		     "rule 'good' { on = 'proc.fork', by = 'child_pid' }");
	assert_null(lnx_rules_disabled(t.rules, &n));
	assert_int_equal(n, 0);
	run_forks(&t, 5);
	assert_int_equal(t.n_alerts, 5);
	assert_int_equal(t.n_disabled, 1);
	assert_string_equal(t.disabled_error,
			    "unknown field of proc.fork 'child_pidd' (did you mean 'child_pid'?)");
	is_the_only_one_disabled(&t, "bad");
	assert_non_null(strstr(run_json(&t), "\"state\":\"disabled\""));
	assert_non_null(strstr(run_json(&t), "\"error_line\":3"));
	run_close(&t);
}

static void a_success_forgives_failures(void **state)
{
	struct run t;

	(void)state;
	run_text(&t, "rule 'moody' { on = 'proc.fork', when = function(w, k, ev)\n"
		     " if ev.child_pid % 3 ~= 0 then error('no') end return false end }");
	run_forks(&t, 30);
	assert_int_equal(t.n_disabled, 0);
	assert_non_null(strstr(run_json(&t), "\"failures\":20"));
	run_close(&t);
}

static void a_firing_rule_that_is_disabled_is_resolved(void **state)
{
	struct run t;
	unsigned i;

	(void)state;
	run_text(&t, "rule 'b' { every = '1s', when = function(h)\n"
		     " if h.cpu > 50 then error('late') end return true end }");
	for (i = 0; i < 8; i++)
		run_sample(&t, i, i < 3 ? 10 : 60, 0);
	assert_int_equal(t.n_disabled, 1);
	assert_int_equal(t.alerts[t.n_alerts - 1].state, LNX_ALERT_RESOLVED);
	run_close(&t);
}

static void when_returns_true_or_false(void **state)
{
	struct run t;
	unsigned i;

	(void)state;
	run_text(&t, "rule 'nil' { on = 'proc.fork', when = function() end }\n"
		     "rule 'table' { on = 'proc.exec',\n when = function() return {} end }");
	for (i = 0; i < 3; i++) {
		run_fork(&t, i, 1, 100 + i, "x");
		run_exec(&t, i, 1, "x", "/x");
	}
	assert_int_equal(t.n_alerts, 0);
	assert_int_equal(t.n_disabled, 1);
	assert_string_equal(t.disabled_error, "when must return true or false, not a table");
	run_close(&t);
}

static void run_in_2mib(struct run *t, const char *text)
{
	run_open(t);
	t->conf.memory_max = 2 << 20;
	run_start(t, text);
}

static void a_rule_that_hoards_memory_goes_and_not_its_neighbour(void **state)
{
	static const char text[] =
		"local hoard = {}\n"
		"rule 'hog' { on = 'proc.fork', when = function() hoard[#hoard + 1] = ('x'):rep(100000 + #hoard) return false end }\n"
		"rule 'lean' { on = 'proc.fork', by = 'child_pid', when = function() return #(('y'):rep(50000)) == 50000 end }";
	struct run t;

	(void)state;
	run_in_2mib(&t, text);
	run_forks(&t, 60);
	is_the_only_one_disabled(&t, "hog");
	assert_int_equal(t.alerts[t.n_alerts - 1].state, LNX_ALERT_FIRING);
	assert_int_equal(t.alerts[t.n_alerts - 1].pid, 159);
	run_close(&t);
}

/* Garbage of one rule is collected in the calls of another: what a call took tells nothing of who holds it. */
static void who_makes_garbage_is_no_hoarder(void **state)
{
	static const char text[] =
		"local keep = {}\n"
		"rule 'innocent' { on = 'proc.fork', by = 'ppid', severity = 'info',\n"
		" when = function() local t = {} for i = 1, 500 do t[i] = i end return #t < 0 end }\n"
		"rule 'hoarder' { on = 'proc.exit', by = 'pid', severity = 'info', when = function(w, key, ev)\n"
		" for i = 1, 16 do keep[#keep + 1] = { 'a' .. ev.pid .. 'x' .. i .. ('z'):rep(500) } end return false end }";
	struct run t;
	unsigned i;

	(void)state;
	run_in_2mib(&t, text);
	for (i = 1; i < 12000; i++)
		if (i % 40)
			run_fork(&t, i, 7, 100 + i, "x");
		else
			run_exit(&t, i, 100 + i, 1, 0, 5);
	is_the_only_one_disabled(&t, "hoarder");
	run_close(&t);
}

/* Linked, shared and nested deeply: each object is found once, by whatever way. */
static void what_a_rule_holds_is_found_in_any_shape(void **state)
{
	static const char text[] =
		"local list, s = nil, ('y'):rep(300000)\n"
		"rule 'small' { on = 'proc.fork', severity = 'info', when = function() return #s == 0 end }\n"
		"rule 'list' { on = 'proc.fork', severity = 'info', when = function()\n"
		" for i = 1, 200 do local up = list list = { key = {}, next = function() return up end } end return false end }";
	struct run t;

	(void)state;
	run_in_2mib(&t, text);
	run_forks(&t, 100);
	is_the_only_one_disabled(&t, "list");
	run_close(&t);
}

static void each_function_has_failures_of_its_own(void **state)
{
	struct run t;

	(void)state;
	/* the success of `when` is none of `severity` */
	run_text(
		&t,
		"rule 'sev' { on = 'proc.fork', by = 'child_pid', when = function() return true end,\n"
		" severity = function() error('boom') end }");
	run_forks(&t, 3);
	assert_int_equal(t.n_disabled, 1);
	assert_string_equal(t.disabled_error, "boom");
	assert_int_equal(t.disabled_failures, 3);
	run_close(&t);
	/* and three in all are not three in a row, of `where` and of `say` without a `when` */
	run_text(
		&t,
		"rule 'whr' { on = 'proc.fork', by = 'ppid', severity = 'info', where = function(ev)\n"
		" if ev.child_pid % 3 == 0 then error('once in a while') end return true end }\n"
		"rule 'say' { on = 'proc.fork', by = 'child_pid', severity = 'info', say = function(w, key, ev)\n"
		" if ev.child_pid % 3 == 0 then error('once in a while') end return 'well' end }");
	run_forks(&t, 30);
	assert_int_equal(t.n_disabled, 0);
	assert_non_null(strstr(run_json(&t), "\"failures\":10"));
	run_close(&t);
}

static void keys_are_bounded_and_the_least_used_gives_way(void **state)
{
	struct run t;
	unsigned i;

	(void)state;
	run_text(
		&t,
		"rule 'k' { on = 'proc.fork', by = 'child_pid', window = 'count 1m', severity = 'info',\n"
		" when = function(w, key) return key == 1 and w.count > 0 end }");
	run_fork(&t, 1, 1, 1, "x");
	assert_int_equal(t.n_alerts, 1);
	for (i = 0; i < 5000; i++)
		run_fork(&t, 2, 1, 100 + i, "x");
	assert_non_null(
		strstr(run_json(&t), "\"keys\":4096,\"keys_max\":4096,\"keys_evicted\":905"));
	/* what fires is not forgotten in silence */
	assert_int_equal(t.n_alerts, 2);
	assert_int_equal(t.alerts[1].state, LNX_ALERT_RESOLVED);
	run_close(&t);
}

static void a_key_that_is_used_stays(void **state)
{
	struct run t;
	unsigned i;

	(void)state;
	run_text(
		&t,
		"rule 'k' { on = 'proc.fork', by = 'child_pid', window = 'count 1h', severity = 'info',\n"
		" when = function(w, key) return key == 1 and w.count == 3 end }");
	for (i = 0; i < 9000; i++)
		run_fork(&t, 1 + i / 1000, 1, i % 3000 ? 100 + i : 1, "x");
	assert_int_equal(t.n_alerts, 1);
	run_close(&t);
}

static void large_keys_are_fewer(void **state)
{
	struct run_keys k;
	struct run t;
	unsigned i;

	(void)state;
	run_text(
		&t,
		"rule 'k' { on = 'proc.exit', by = 'pid', window = { a = 'p99 lifetime_ns 1m', b = 'p99 cpu_ns 1m' },\n"
		" when = function() return false end }");
	for (i = 0; i < 600; i++)
		run_exit(&t, 1, 100 + i, 1, 0, 5);
	k = run_keys(&t);
	/* 2 MiB, of which one takes 14 KiB */
	assert_in_range(k.max, 130, 160);
	assert_int_equal(k.n, k.max);
	assert_int_equal(k.evicted, 600 - k.max);
	run_close(&t);
}

/* The clock of a rule is that of its events. */
static void a_rule_that_errs_only_at_three_in_the_morning(void **state)
{
	struct run t;
	unsigned h;

	(void)state;
	run_text(
		&t,
		"rule 'night' { every = '1s', keep = '1s', when = function(h)\n"
		"  local hours = h.load1 % 24\n"
		"  if hours == 3 then local x = nil .. 'x' end\n"
		"  return hours > 3 end }\n"
		"rule 'day' { every = '1s', keep = '1s', severity = 'info', when = function(h) return h.load1 > 1 end }");
	for (h = 0; h < 48; h++)
		run_sample_load(&t, h * 3600, h);
	/* twice at 03:00 is not three times in a row: it goes on */
	assert_int_equal(t.n_disabled, 0);
	assert_non_null(strstr(run_json(&t), "\"failures\":2"));
	assert_non_null(strstr(run_json(&t), "attempt to concatenate a nil value"));
	assert_non_null(strstr(run_json(&t), "\"error_line\":3"));
	/* three samples within that hour are */
	for (h = 0; h < 3; h++)
		run_sample_load(&t, 51 * 3600 + h, 51);
	assert_int_equal(t.n_disabled, 1);
	assert_string_equal(t.disabled_error, "attempt to concatenate a nil value");
	run_close(&t);
}

static void events_without_the_field_of_by_are_counted_and_left_out(void **state)
{
	struct run t;
	unsigned i;

	(void)state;
	run_text(&t,
		 "rule 'half' { on = 'proc.fork', by = 'parent_cgroup_id', window = 'count 10s',\n"
		 " when = function(w) return w.count == 5 end }");
	for (i = 0; i < 10; i++)
		run_fork_fixed(&t, 1 + i * 0.1, 100 + i,
			       i & 1 ? sizeof(struct lnx_ev_proc_fork)
				     : offsetof(struct lnx_ev_proc_fork, parent_cgroup_id));
	assert_int_equal(t.n_alerts, 1);
	assert_non_null(strstr(run_json(&t), "\"unkeyed\":5"));
	assert_non_null(strstr(run_json(&t), "\"keys\":1,"));
	run_close(&t);
}

static void endless_calls_are_cut_off_and_disable_their_rule(void **state)
{
	static const char text[] =
		"rule 'loop' { on = 'proc.fork', when = function()\n"
		"  while true do pcall(function() while true do end end) end end }\n"
		"rule 'deep' { on = 'proc.exec', when = function()\n"
		"  local function f() return 1 + f() end return f() > 0 end }";
	struct run t;
	unsigned i;

	(void)state;
	run_open(&t);
	t.conf.budget = 10000;
	run_start(&t, text);
	run_forks(&t, 3);
	assert_string_equal(t.disabled_error, "used up its budget of 10000 instructions");
	for (i = 0; i < 3; i++)
		run_exec(&t, 5 + i, 1, "x", "/x");
	assert_int_equal(t.n_disabled, 2);
	run_close(&t);
}

/* Who holds the memory is disabled by the call of another; its keys wait for a timer, or fire. */
static void a_rule_disabled_for_its_memory_says_no_more(void **state)
{
	static const char text[] =
		"local held = {}\n"
		"rule 'hog' { on = 'proc.fork', by = 'ppid', window = 'count 1m', lasting = '5s', severity = 'info',\n"
		" when = function() for i = 1, 40 do held[i] = held[i] or ('x'):rep(40000 + i) end return true end }\n"
		"rule 'steady' { every = '1s', when = function(h) return #(('y'):rep(h.cpu > 50 and 900000 or 9)) > 0 end }";
	struct run t;

	(void)state;
	run_in_2mib(&t, text);
	run_sample(&t, 0, 10, 0);
	assert_int_equal(t.n_alerts, 1);
	run_fork(&t, 1, 7, 100, "x");
	run_fork(&t, 5.9, 7, 101, "x");
	assert_int_equal(t.n_alerts, 1);
	run_sample(&t, 5.95, 60, 0);
	is_the_only_one_disabled(&t, "hog");
	run_tick(&t, 30);
	assert_int_equal(t.n_alerts, 1);
	run_close(&t);
}

static void what_a_rule_disabled_by_another_fired_is_over(void **state)
{
	static const char text[] =
		"local held = {}\n"
		"rule 'hog' { every = '1s', when = function() for i = 1, 40 do held[i] = held[i] or ('x'):rep(40000 + i) end return true end }\n"
		"rule 'lean' { on = 'proc.fork', when = function() return #(('y'):rep(900000)) == 0 end }";
	struct run t;

	(void)state;
	run_in_2mib(&t, text);
	run_sample(&t, 0, 10, 0);
	assert_int_equal(t.n_alerts, 1);
	run_fork(&t, 0.5, 7, 100, "x");
	is_the_only_one_disabled(&t, "hog");
	run_sample(&t, 1, 10, 0);
	assert_int_equal(t.n_alerts, 2);
	assert_int_equal(t.alerts[1].state, LNX_ALERT_RESOLVED);
	run_close(&t);
}

/* A recording may hold events that end before a field that the engine itself looks at. */
static void fields_that_an_event_lacks_are_not_read(void **state)
{
	struct run t;
	unsigned i;

	(void)state;
	run_text(&t, "rule 'fork' { on = 'proc.fork' }");
	run_head_only(&t, 1, LNX_EV_PROC_FORK);
	assert_int_equal(t.n_alerts, 1);
	assert_int_equal(t.alerts[0].pid, 0);
	run_close(&t);
	/* nor do they match, whatever they are compared with */
	run_text(&t, "rule 'fork' { on = 'proc.fork', where = { parent_cgroup_id = { ne = 5 } } }");
	run_head_only(&t, 1, LNX_EV_PROC_FORK);
	assert_int_equal(t.n_alerts, 0);
	run_fork(&t, 1, 1, 2, "x");
	assert_int_equal(t.n_alerts, 1);
	run_close(&t);
	/* a sample of unknown length is of one second */
	run_text(&t, "rule 'sample' { every = '5s', when = function() return true end }");
	for (i = 0; i < 5; i++) {
		assert_int_equal(t.n_alerts, 0);
		run_head_only(&t, i, LNX_EV_HOST_SAMPLE);
	}
	assert_int_equal(t.n_alerts, 1);
	run_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_that_fails_three_times_is_disabled_and_the_others_run),
		cmocka_unit_test(a_success_forgives_failures),
		cmocka_unit_test(who_makes_garbage_is_no_hoarder),
		cmocka_unit_test(what_a_rule_holds_is_found_in_any_shape),
		cmocka_unit_test(each_function_has_failures_of_its_own),
		cmocka_unit_test(a_firing_rule_that_is_disabled_is_resolved),
		cmocka_unit_test(when_returns_true_or_false),
		cmocka_unit_test(a_rule_that_hoards_memory_goes_and_not_its_neighbour),
		cmocka_unit_test(keys_are_bounded_and_the_least_used_gives_way),
		cmocka_unit_test(a_key_that_is_used_stays),
		cmocka_unit_test(large_keys_are_fewer),
		cmocka_unit_test(a_rule_that_errs_only_at_three_in_the_morning),
		cmocka_unit_test(events_without_the_field_of_by_are_counted_and_left_out),
		cmocka_unit_test(endless_calls_are_cut_off_and_disable_their_rule),
		cmocka_unit_test(a_rule_disabled_for_its_memory_says_no_more),
		cmocka_unit_test(what_a_rule_disabled_by_another_fired_is_over),
		cmocka_unit_test(fields_that_an_event_lacks_are_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
