/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One rule set after another: what goes on, what begins anew, what is over, and what is not taken.
 * LINK: tests/unit/rules_run.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lua_engine.h"
#include "rules_run.h"

static void put(struct run *t, const char *name, const char *text)
{
	(void)run_file(t, name, text, strlen(text));
}

/* Build the set of the folder aside and let it follow. */
static void swap(struct run *t, bool is_asked)
{
	const char *const dirs[] = { t->dir, NULL };
	struct lnx_rules *next = NULL;

	t->conf.dirs = dirs;
	t->conf.generation = 2;
	assert_int_equal(lnx_rules_new(&t->conf, &t->errors, &next), 0);
	t->conf.dirs = NULL;
	assert_int_equal(lnx_rules_errors(next), 0);
	assert_int_equal(lnx_rules_vet(next, &t->errors), 0);
	assert_int_equal(lnx_rules_start(next), 0);
	lnx_rules_succeed(next, t->rules, is_asked);
	lnx_rules_free(t->rules);
	t->rules = next;
}

static const char many[] =
	"rule 'many' { on = 'proc.fork', by = 'ppid', window = 'count 10s', keep = '1s', say = '{count}',\n"
	" when = function(w) return w.count > 3 end }";
static const char lasts[] =
	"rule 'lasts' { every = '1s', lasting = '5s', keep = '2s', when = function(h) return h.cpu > 90 end }";

static void unchanged_rules_keep_windows_timers_and_states(void **state)
{
	struct run t;
	unsigned i;

	(void)state;
	run_open(&t);
	put(&t, "b.lua", many);
	put(&t, "c.lua", lasts);
	run_load(&t);
	for (i = 0; i < 3; i++)
		run_sample(&t, i, 99, 0);
	for (i = 0; i < 3; i++)
		run_fork(&t, 2, 7, 100 + i, "x");
	for (i = 0; i < 4; i++)
		run_fork(&t, 2, 8, 200 + i, "x");
	assert_int_equal(t.n_alerts, 1);
	/* another file comes, and its name moves theirs */
	put(&t, "a.lua", "rule 'new' { on = 'proc.exec', severity = 'info' }");
	swap(&t, false);
	assert_int_equal(t.n_alerts, 1);
	/* the fourth of key 7 counts on; what fired for 8 does not fire again */
	run_fork(&t, 3, 7, 104, "x");
	run_fork(&t, 3, 8, 205, "x");
	assert_int_equal(t.n_alerts, 2);
	assert_string_equal(t.alerts[1].say, "4");
	assert_int_equal(t.alerts[1].pid, 7);
	/* the clock of the other goes on, too: true since 0 */
	run_sample(&t, 3, 99, 0);
	run_sample(&t, 4, 99, 0);
	assert_int_equal(t.n_alerts, 2);
	run_sample(&t, 5, 99, 0);
	assert_int_equal(t.n_alerts, 3);
	assert_int_equal(t.alerts[2].since_ns, RUN_T0);
	run_exec(&t, 5, 1, "x", "/x");
	assert_string_equal(t.alerts[3].rule, "new");
	/* and time ends what the one before began */
	run_tick(&t, 60);
	assert_int_equal(t.n_alerts, 7);
	assert_int_equal(t.alerts[4].state, LNX_ALERT_RESOLVED);
	assert_non_null(strstr(run_json(&t), "\"generation\":2,"));
	assert_non_null(strstr(run_json(&t), "\"fired\":2,\"pending\":0,\"firing\":0"));
	run_close(&t);
}

static void a_series_goes_on(void **state)
{
	struct run t;
	unsigned i;

	(void)state;
	run_open(&t);
	put(&t, "a.lua",
	    "rule 's' { every = '1s', series = { c = 'cpu 1m' }, when = function(_, w)\n"
	    " return w.c.count == 10 and w.c.slope > 0.99 and w.c.slope < 1.01 end }");
	run_load(&t);
	for (i = 0; i < 10; i++) {
		if (i == 5)
			swap(&t, true);
		run_sample(&t, i, i, 0);
	}
	assert_int_equal(t.n_alerts, 1);
	run_close(&t);
}

static void changed_rules_begin_anew_and_what_fired_is_over(void **state)
{
	struct run t;
	unsigned i;

	(void)state;
	run_open(&t);
	put(&t, "a.lua", many);
	put(&t, "gone.lua",
	    "rule 'gone' { on = 'proc.exec', keep = '1h' }\n"
	    "rule 'hears' { on = 'alert', by = 'rule', where = { rule = { ne = 'hears' } } }");
	run_load(&t);
	for (i = 0; i < 4; i++)
		run_fork(&t, 1, 7, 100 + i, "x");
	run_exec(&t, 1, 1, "x", "/x");
	/* two alerts, and two that hear them */
	assert_int_equal(t.n_alerts, 4);
	put(&t, "a.lua",
	    "rule 'many' { on = 'proc.fork', by = 'ppid', window = 'count 10s', keep = '1s', severity = 'info',\n"
	    " when = function(w) return w.count > 3 end }");
	put(&t, "gone.lua",
	    "rule 'hears' { on = 'alert', by = 'rule', where = { rule = 'nothing' } }");
	swap(&t, false);
	/* all four are over, and nobody of the set before hears it */
	assert_int_equal(t.n_alerts, 8);
	for (i = 4; i < 8; i++)
		assert_int_equal(t.alerts[i].state, LNX_ALERT_RESOLVED);
	assert_string_equal(t.alerts[4].rule, "many");
	assert_int_equal(t.alerts[4].key, t.alerts[0].key);
	for (i = 0; i < 3; i++)
		run_fork(&t, 2, 7, 200 + i, "x");
	assert_int_equal(t.n_alerts, 8);
	run_fork(&t, 2, 7, 203, "x");
	assert_int_equal(t.n_alerts, 9);
	assert_int_equal(t.alerts[8].severity, LNX_SEV_INFO);
	run_close(&t);
}

static void a_disabled_rule_stays_so_until_somebody_asks(void **state)
{
	struct run t;
	unsigned i, n;

	(void)state;
	run_text(&t,
		 "rule 'bad' { on = 'proc.fork', when = function(w, k, ev) return ev.nope end }");
	for (i = 0; i < 3; i++)
		run_fork(&t, i, 1, 2, "x");
	assert_string_equal(lnx_rules_disabled(t.rules, &n), "bad");
	swap(&t, false);
	assert_string_equal(lnx_rules_disabled(t.rules, &n), "bad");
	assert_non_null(strstr(run_json(&t), "unknown field of proc.fork 'nope'"));
	run_fork(&t, 4, 1, 2, "x");
	assert_int_equal(t.n_disabled, 1);
	swap(&t, true);
	assert_null(lnx_rules_disabled(t.rules, &n));
	for (i = 5; i < 8; i++)
		run_fork(&t, i, 1, 2, "x");
	assert_int_equal(t.n_disabled, 2);
	run_close(&t);
}

static void a_shadow_is_not_taken_for_its_active_twin(void **state)
{
	struct run t;

	(void)state;
	run_text(&t, "rule 'a' { on = 'proc.fork', by = 'ppid' }\n"
		     "rule 'a' { on = 'proc.fork', by = 'child_pid', mode = 'shadow' }");
	run_fork(&t, 1, 7, 100, "x");
	swap(&t, false);
	run_fork(&t, 2, 7, 101, "x");
	assert_int_equal(t.n_alerts, 1);
	assert_non_null(strstr(run_json(&t), "\"fired\":1,\"pending\":0,\"firing\":1,"));
	assert_non_null(strstr(run_json(&t), "\"fired\":2,\"pending\":0,\"firing\":2,"));
	run_close(&t);
}

static void metrics_of_a_rule_go_on_growing(void **state)
{
	struct lnx_buf text = { 0 };
	struct run t;
	unsigned i;

	(void)state;
	run_text(&t, "rule 'm' { on = 'proc.fork', when = function() return true end }");
	for (i = 0; i < 5; i++)
		run_fork(&t, i, 7, 100, "x");
	lnx_rules_collect(t.rules);
	put(&t, "a.lua", "rule 'm' { on = 'proc.fork', when = function() return false end }");
	swap(&t, false);
	lnx_rules_collect(t.rules);
	for (i = 0; i < 2; i++)
		run_fork(&t, 6 + i, 7, 100, "x");
	lnx_rules_collect(t.rules);
	lnx_metrics_text(t.metrics, 0, &text);
	assert_non_null(strstr(text.data, "linnix_rule_calls_total{rule=\"m\"} 7"));
	/* one generation is told, not two */
	assert_non_null(strstr(text.data, "linnix_rules_generation_info{hash=\""));
	assert_null(strstr(strstr(text.data, "linnix_rules_generation_info{hash=\"") + 1,
			   "linnix_rules_generation_info{"));
	lnx_buf_done(&text);
	run_close(&t);
}

static void alerts_counted_stay_over_a_swap(void **state)
{
	static const char line[] = "linnix_alerts_total{rule=\"k\",severity=\"warning\"} ";
	struct lnx_buf text = { 0 };
	struct run t;
	const char *at;

	(void)state;
	run_text(&t, "rule 'k' { on = 'proc.fork', by = 'child_pid' }");
	run_fork(&t, 1, 7, 100, "x");
	put(&t, "b.lua", "rule 'new' { on = 'proc.exec' }");
	swap(&t, false);
	lnx_metrics_text(t.metrics, 0, &text);
	at = strstr(text.data, line);
	assert_non_null(at);
	assert_memory_equal(at + strlen(line), "1\n", 2);
	run_fork(&t, 2, 7, 101, "x");
	lnx_buf_reset(&text);
	lnx_metrics_text(t.metrics, 0, &text);
	at = strstr(text.data, line);
	assert_non_null(at);
	assert_memory_equal(at + strlen(line), "2\n", 2);
	lnx_buf_done(&text);
	run_close(&t);
}

static int full_bus(struct lnx_rules *r, const struct lnx_event *ev)
{
	(void)r;
	(void)ev;
	return -ENOBUFS;
}

static void assert_tells(struct run *t, const char *json, const char *metric)
{
	struct lnx_buf text = { 0 };

	assert_non_null(strstr(run_json(t), json));
	lnx_rules_collect(t->rules);
	lnx_metrics_text(t->metrics, 0, &text);
	if (!strstr(text.data, metric))
		fail_msg("%s is not in %s", metric, text.data);
	lnx_buf_done(&text);
}

static void losses_are_told_and_stay_over_a_swap(void **state)
{
	struct run t;
	unsigned i;

	(void)state;
	run_text(&t,
		 "rule 'k' { on = 'proc.fork', by = 'child_pid' }\n"
		 "rule 'fat' { on = 'proc.exec', when = function()\n"
		 " local s = ('x'):rep(1e6) for i = 1, 6 do s = s .. s end return #s > 0 end }");
	assert_tells(&t, "\"alerts_lost\":0", "linnix_rules_alerts_lost_total 0\n");
	assert_tells(&t, "\"lua_denied\":0", "linnix_rules_lua_denied_total 0\n");
	t.rules->emit = full_bus;
	run_fork(&t, 1, 7, 100, "x");
	run_fork(&t, 2, 7, 101, "x");
	run_exec(&t, 3, 7, "x", "/x");
	assert_tells(&t, "\"alerts_lost\":2", "linnix_rules_alerts_lost_total 2\n");
	assert_tells(&t, "\"lua_denied\":2", "linnix_rules_lua_denied_total 2\n");
	for (i = 0; i < 2; i++) {
		put(&t, "b.lua",
		    i ? "rule 'newer' { on = 'proc.exit' }" : "rule 'new' { on = 'proc.exit' }");
		swap(&t, false);
		assert_tells(&t, "\"alerts_lost\":2", "linnix_rules_alerts_lost_total 2\n");
		assert_tells(&t, "\"lua_denied\":2", "linnix_rules_lua_denied_total 2\n");
	}
	run_close(&t);
}

static void facts_of_the_machine_go_on(void **state)
{
	struct run t;
	unsigned i;

	(void)state;
	run_text(
		&t,
		"rule 'busy' { on = 'proc.fork', by = 'child_pid', when = function() return host.cpu > 50 end }\n"
		"rule 'mean' { every = '5s', when = function(h) return h.cpu == 90 end }");
	for (i = 1; i <= 3; i++)
		run_sample(&t, i, 90, 0);
	put(&t, "b.lua", "rule 'new' { on = 'proc.exec' }");
	swap(&t, false);
	run_fork(&t, 3.5, 7, 100, "x");
	assert_int_equal(t.n_alerts, 1);
	assert_string_equal(t.alerts[0].rule, "busy");
	run_sample(&t, 4, 90, 0);
	assert_int_equal(t.n_alerts, 1);
	run_sample(&t, 5, 90, 0);
	assert_int_equal(t.n_alerts, 2);
	assert_string_equal(t.alerts[1].rule, "mean");
	run_close(&t);
}

/* What waits to fire remembers which of its events it saw last. */
static void a_key_keeps_the_event_that_it_saw(void **state)
{
	struct run t;

	(void)state;
	run_text(
		&t,
		"rule 'two' { on = { 'proc.fork', 'proc.exit' }, by = 'pid', window = 'count 1m',\n"
		" lasting = '2s', when = function(w) return w.count > 0 end }");
	run_exit(&t, 1, 50, 1, 0, 5);
	put(&t, "b.lua", "rule 'new' { on = 'proc.exec' }");
	swap(&t, false);
	assert_int_equal(t.n_alerts, 0);
	run_tick(&t, 10);
	assert_int_equal(t.n_alerts, 1);
	assert_int_equal(t.alerts[0].pid, 50);
	assert_string_equal(t.alerts[0].comm, "gone");
	run_close(&t);
}

static void a_set_whose_tests_fail_is_not_taken(void **state)
{
	struct lnx_buf errors = { 0 };
	struct lnx_rules *next = NULL;
	struct run t;
	const char *dirs[] = { NULL, NULL };

	(void)state;
	run_text(&t, many);
	put(&t, "b.lua",
	    "rule 'b' { on = 'proc.exec' }\n"
	    "test 'good' { feed = function(t) t.exec(1, { pid = 7 }) end, fires = { { at = 1 } } }\n"
	    "test 'wrong' { feed = function(t) t.exec(1, { pid = 7 }) end, fires = {} }");
	dirs[0] = t.dir;
	t.conf.dirs = dirs;
	assert_int_equal(lnx_rules_new(&t.conf, &errors, &next), 0);
	t.conf.dirs = NULL;
	assert_int_equal(lnx_rules_errors(next), 0);
	assert_int_equal(lnx_rules_vet(next, &errors), -EINVAL);
	assert_int_equal(lnx_rules_errors(next), 1);
	assert_non_null(
		strstr(errors.data,
		       "/b.lua:3: test 'wrong' fails: fired and was not expected: b at 1.000 s"));
	/* the set that runs tells it, and forgets it when another is taken */
	lnx_rules_refused(t.rules, next);
	assert_non_null(strstr(run_json(&t), "\"line\":3,\"message\":\"test 'wrong' fails"));
	assert_non_null(strstr(run_json(&t), "\"refused_hash\":\""));
	lnx_rules_refused(t.rules, NULL);
	assert_non_null(strstr(run_json(&t), "\"errors\":[],"));
	lnx_rules_free(next);
	lnx_buf_done(&errors);
	run_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unchanged_rules_keep_windows_timers_and_states),
		cmocka_unit_test(a_series_goes_on),
		cmocka_unit_test(changed_rules_begin_anew_and_what_fired_is_over),
		cmocka_unit_test(a_disabled_rule_stays_so_until_somebody_asks),
		cmocka_unit_test(a_shadow_is_not_taken_for_its_active_twin),
		cmocka_unit_test(metrics_of_a_rule_go_on_growing),
		cmocka_unit_test(alerts_counted_stay_over_a_swap),
		cmocka_unit_test(losses_are_told_and_stay_over_a_swap),
		cmocka_unit_test(facts_of_the_machine_go_on),
		cmocka_unit_test(a_key_keeps_the_event_that_it_saw),
		cmocka_unit_test(a_set_whose_tests_fail_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
