/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Rules on a bus: when they fire, for whom, with what evidence, and what happens to those that fail.
 * LINK: tests/unit/rules_run.c */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rules_run.h"

static const char breaker[] =
	"rule 'breaker' { every = '1s', lasting = '3s', keep = '2s', severity = 'critical',\n"
	"  blame = 'cpu', runbook = 'https://x/y', labels = { b = '2', a = '\"1' },\n"
	"  threshold = 40, say = 'pressure {psi.cpu.some} at {cpu}, {severity}',\n"
	"  when = function(h) return h.psi.cpu.some > 40 and h.cpu > 90 end }";

static void a_condition_must_last(void **state)
{
	struct run t;
	unsigned s;

	(void)state;
	run_text(&t, breaker);
	for (s = 0; s < 10; s++)
		run_sample(&t, s, 97, s == 2 ? 10 : 45.5);
	assert_int_equal(t.n_alerts, 1);
	assert_int_equal(t.alerts[0].ts_ns, RUN_T0 + 6 * RUN_S);
	assert_int_equal(t.alerts[0].since_ns, RUN_T0 + 3 * RUN_S);
	run_close(&t);
}

static void an_alert_says_what_it_saw(void **state)
{
	const struct run_alert *a;
	struct run t;
	unsigned s;

	(void)state;
	run_text(&t, breaker);
	for (s = 0; s < 5; s++)
		run_sample(&t, s, 97, 45.5);
	assert_int_equal(t.n_alerts, 1);
	a = &t.alerts[0];
	assert_string_equal(a->rule, "breaker");
	assert_string_equal(a->say, "pressure 45.5 at 97, critical");
	assert_string_equal(a->evidence,
			    "[{\"name\":\"psi.cpu.some\",\"value\":45.5,\"unit\":\"pct\"},"
			    "{\"name\":\"cpu_pct\",\"value\":97,\"unit\":\"pct\"}]");
	assert_string_equal(
		a->labels,
		"{\"blame\":\"cpu\",\"runbook\":\"https://x/y\",\"a\":\"\\\"1\",\"b\":\"2\"}");
	assert_int_equal(a->severity, LNX_SEV_CRITICAL);
	assert_int_equal(a->state, LNX_ALERT_FIRING);
	assert_int_equal(a->kind, LNX_SUBJECT_NODE);
	assert_true(a->value == 45.5 && a->threshold == 40);
	/* the fourth sample is the fourth event on the bus */
	assert_int_equal(a->cause_seq, 4);
	run_close(&t);
}

static void it_is_resolved_once_and_a_short_relief_does_not_count(void **state)
{
	struct run t;
	unsigned s;

	(void)state;
	run_text(&t, breaker);
	for (s = 0; s < 20; s++)
		run_sample(&t, s, 97, s == 6 || s > 8 ? 3 : 60);
	assert_int_equal(t.n_alerts, 2);
	assert_int_equal(t.alerts[1].state, LNX_ALERT_RESOLVED);
	assert_int_equal(t.alerts[1].ts_ns, RUN_T0 + 11 * RUN_S);
	run_close(&t);
}

static void a_longer_every_sees_the_mean(void **state)
{
	struct run t;
	unsigned s;

	(void)state;
	run_text(
		&t,
		"rule 'mean' { every = '10s', when = function(h) return h.cpu > 54 and h.n_cpus == 4 end }");
	for (s = 0; s < 10; s++)
		run_sample(&t, s, s < 5 ? 10 : 100, 0);
	assert_int_equal(t.n_alerts, 1);
	assert_true(fabs(t.alerts[0].value - 55) < 1e-9);
	assert_int_equal(t.alerts[0].ts_ns, RUN_T0 + 9 * RUN_S);
	run_close(&t);
}

static void windows_belong_to_keys(void **state)
{
	struct run t;
	unsigned i;

	(void)state;
	run_text(
		&t,
		"rule 'many' { on = 'proc.fork', by = 'comm', window = 'count 1s', keep = '1s',\n"
		" say = '{key}: {count}', when = function(w, key) return key == 'b' and w.count > 3 end }");
	for (i = 0; i < 8; i++)
		run_fork(&t, 1 + i * 0.01, 1, 100 + i, i & 1 ? "a" : "b");
	assert_int_equal(t.n_alerts, 1);
	assert_string_equal(t.alerts[0].say, "b: 4");
	assert_true(t.alerts[0].value == 4);
	assert_int_equal(t.alerts[0].cause_seq, 7);
	/* without an event, time ends it */
	assert_true(lnx_rules_next_ns(t.rules) < RUN_T0 + 3 * RUN_S);
	run_tick(&t, 10);
	assert_int_equal(t.n_alerts, 2);
	assert_int_equal(t.alerts[1].state, LNX_ALERT_RESOLVED);
	assert_in_range(t.alerts[1].ts_ns, RUN_T0 + 2 * RUN_S, RUN_T0 + 13 * RUN_S / 4);
	assert_true(lnx_rules_next_ns(t.rules) == UINT64_MAX);
	run_close(&t);
}

static void a_key_of_several_parts_is_each_of_their_combinations(void **state)
{
	struct run t;
	unsigned i;

	(void)state;
	run_text(&t,
		 "rule 'many' { on = 'proc.fork', by = { 'comm', 'ppid', 'uid' }, keep = '1s',\n"
		 " window = 'count 1s', say = '{key}: {count}',\n"
		 " when = function(w, key) return key == 'b/7/1000' and w.count > 1 end }");
	for (i = 0; i < 8; i++)
		run_fork(&t, 1 + i * 0.01, i & 1 ? 7 : 8, 100 + i, i & 2 ? "a" : "b");
	assert_int_equal(t.n_alerts, 1);
	assert_string_equal(t.alerts[0].say, "b/7/1000: 2");
	assert_int_equal(t.alerts[0].cause_seq, 6);
	/* the first part that names somebody is the subject */
	assert_int_equal(t.alerts[0].kind, LNX_SUBJECT_PROCESS);
	assert_int_equal(t.alerts[0].pid, 7);
	assert_non_null(strstr(run_json(&t), "\"by\":\"comm,ppid,uid\""));
	assert_non_null(strstr(run_json(&t), "\"keys\":4"));
	run_close(&t);
}

static void a_key_that_is_no_whole_number_is_told_as_one(void **state)
{
	struct run t;

	(void)state;
	run_text(&t, "rule 'one' { on = 'host.sample', by = 'load1', keep = '1s', say = '{key}',\n"
		     " when = function(w, key) return key == -1.5 end }\n"
		     "rule 'two' { on = 'host.sample', by = { 'load1', 'load5' }, keep = '1s',\n"
		     " say = '{key}', when = function(w, key) return key == '0.25/0' end }");
	run_sample_load(&t, 1, -1.5);
	run_sample_load(&t, 2, 0.25);
	assert_string_equal(t.alerts[0].say, "-1.5");
	assert_non_null(strstr(run_json(&t), "\"key\":\"-1.5\""));
	assert_string_equal(t.alerts[t.n_alerts - 1].say, "0.25/0");
	/* of two zeros one key */
	run_sample_load(&t, 3, 0.0);
	run_sample_load(&t, 4, -0.0);
	assert_non_null(strstr(run_json(&t), "\"keys\":3"));
	run_close(&t);
}

static void a_tick_may_be_late_without_changing_anything(void **state)
{
	uint64_t resolved[2];
	unsigned round, i;
	struct run t;

	(void)state;
	for (round = 0; round < 2; round++) {
		run_text(&t, "rule 'n' { on = 'proc.fork', window = 'count 1s', keep = '1s',\n"
			     " when = function(w) return w.count > 3 end }");
		for (i = 0; i < 8; i++)
			run_fork(&t, 1 + i * 0.01, 1, 100 + i, "a");
		for (i = 0; !round && i < 100; i++)
			run_tick(&t, 1.1 + i * 0.03);
		run_tick(&t, 60);
		assert_int_equal(t.n_alerts, 2);
		resolved[round] = t.alerts[1].ts_ns;
		run_close(&t);
	}
	assert_int_equal(resolved[0], resolved[1]);
}

static void successive_windows_are_counted(void **state)
{
	static const char text[] =
		"rule 'w' { on = 'proc.fork', by = 'tree', window = 'count 1s', lasting = '2 windows',\n"
		" when = function(w) return w.count > 10 end }";
	struct run t;
	unsigned i;

	(void)state;
	/* a burst of 60 within a second */
	run_text(&t, text);
	for (i = 0; i < 60; i++)
		run_fork(&t, 5 + i * 0.015, 7, 1000 + i, "sh");
	run_tick(&t, 60);
	assert_int_equal(t.n_alerts, 0);
	/* 20 a second: the 11th of the second window, 1.5 s after the start */
	for (i = 0; i < 60; i++)
		run_fork(&t, 100 + i * 0.05, 7, 2000 + i, "sh");
	assert_int_equal(t.n_alerts, 1);
	assert_int_equal(t.alerts[0].ts_ns, RUN_T0 + 101 * RUN_S + RUN_S / 2);
	assert_int_equal(t.alerts[0].since_ns, RUN_T0 + 100 * RUN_S);
	/* nobody knows the process: its parent stands for the tree */
	assert_int_equal(t.alerts[0].pid, 7);
	assert_int_equal(t.alerts[0].kind, LNX_SUBJECT_PROCESS);
	run_close(&t);
}

struct fake_table {
	struct lnx_svc_proc svc;
	struct lnx_proc root, child;
};

static const struct lnx_proc *fake_get(void *self, uint32_t pid, uint64_t start_ns)
{
	struct fake_table *f = self;

	(void)start_ns;
	return pid >= 1000 ? &f->child : pid == 500 ? &f->root : NULL;
}

static const struct lnx_proc *fake_root(void *self, const struct lnx_proc *p)
{
	(void)p;
	return &((struct fake_table *)self)->root;
}

static const struct lnx_svc_proc *fake_find(void *arg, void **ret_self)
{
	*ret_self = arg;
	return &((struct fake_table *)arg)->svc;
}

static void a_tree_is_its_topmost_process(void **state)
{
	static const char text[] =
		"rule 'tree' { on = 'proc.fork', by = 'tree', window = 'count 1s',\n"
		" when = function(w, key) return w.count > 4 and proc(key).comm == 'bash' end }";
	struct fake_table f = {
		.root = { .pid = 500, .start_ns = 77, .cgroup_id = 9, .comm = "bash" }
	};
	struct run t;
	unsigned i;

	(void)state;
	f.svc.get = fake_get;
	f.svc.tree_root = fake_root;
	run_open(&t);
	t.conf.proc = fake_find;
	t.conf.arg = &f;
	run_start(&t, text);
	for (i = 0; i < 6; i++)
		run_fork(&t, 1, 100 + i, 1000 + i, "sh");
	assert_int_equal(t.n_alerts, 1);
	assert_int_equal(t.alerts[0].pid, 500);
	assert_int_equal(t.alerts[0].cgroup_id, 9);
	assert_string_equal(t.alerts[0].comm, "bash");
	run_close(&t);
}

/* The file of a reload is read beside the loop, whose tables these are. */
static void no_file_looks_at_processes_while_it_is_read(void **state)
{
	(void)state;
	run_refuses("\nlocal me = proc(1)",
		    ":2: proc: can be asked in a rule's functions, not while its file is read");
	run_refuses("local c = cgroup(42)",
		    ":1: cgroup: can be asked in a rule's functions, not while its file is read");
}

static void filters_decide_without_lua(void **state)
{
	struct run t;

	(void)state;
	run_text(
		&t,
		"rule 'nc' { on = 'proc.exec', by = 'pid', where = { comm = { 'nc', 'n?at' }, filename = '/tmp/*' } }\n"
		"rule 'short' { on = 'proc.exit', by = 'pid',\n"
		"  where = { lifetime_ns = { lt = '1s' }, exit_code = { ne = 0 } } }\n"
		"rule 'fn' { on = 'proc.exec', by = 'pid', where = function(ev) return glob('*/x', ev.filename) end }");
	run_exec(&t, 1, 10, "nc", "/tmp/nc");
	run_exec(&t, 1, 11, "ncat", "/tmp/n");
	run_exec(&t, 1, 12, "nc", "/usr/bin/nc");
	run_exec(&t, 1, 13, "vi", "/tmp/nc");
	run_exec(&t, 1, 14, "vi", "/opt/x");
	run_exit(&t, 1, 20, 1, 1, 5000);
	run_exit(&t, 1, 21, 1, 0, 5000);
	run_exit(&t, 1, 22, 1, 1, 2 * RUN_S);
	assert_int_equal(t.n_alerts, 4);
	assert_int_equal(t.alerts[0].pid, 10);
	assert_int_equal(t.alerts[1].pid, 11);
	assert_int_equal(t.alerts[2].pid, 14);
	assert_string_equal(t.alerts[2].rule, "fn");
	assert_int_equal(t.alerts[3].pid, 20);
	run_close(&t);
}

static void of_the_tables_of_a_filter_one_must_match(void **state)
{
	static const struct {
		const char *rule;
		uint32_t pid;
	} expected[] = { { "any", 11 },	 { "asks", 11 }, { "both", 11 }, { "any", 12 },
			 { "asks", 12 }, { "any", 13 },	 { "any", 14 },	 { "window", 0 } };
	struct run t;
	unsigned i;

	(void)state;
	run_text(
		&t,
		"rule 'any' { on = 'proc.exit', by = 'pid', where = {\n"
		"  { exit_code = { ne = { 0, 143 } }, lifetime_ns = { lt = '1s' } }, { ppid = { 7, 8 } } } }\n"
		"rule 'asks' { on = 'proc.exit', by = 'pid', where = { { exit_code = 2 }, { exit_code = 3 },\n"
		"  function(ev) return ev.pid ~= 14 end } }\n"
		"rule 'both' { on = 'proc.exit', by = 'pid', where = { lifetime_ns = 5000, { exit_code = 4 }, { exit_code = 3 } } }\n"
		"rule 'window' { on = 'proc.exit', window = { n = { 'count 1m', where = { { ppid = 8 }, { ppid = 9 } } } },\n"
		"  when = function(w) return w.n == 2 end }");
	run_exit(&t, 1, 10, 1, 0, 5000);
	run_exit(&t, 1, 11, 1, 3, 5000);
	run_exit(&t, 1, 12, 8, 2, 2 * RUN_S);
	run_exit(&t, 1, 10, 1, 143, 5000);
	run_exit(&t, 1, 10, 1, 1, 2 * RUN_S);
	run_exit(&t, 1, 13, 7, 0, 2 * RUN_S);
	run_exit(&t, 1, 14, 9, 2, 5000);
	for (i = 0; i < t.n_alerts && i < sizeof(expected) / sizeof(expected[0]); i++) {
		assert_string_equal(t.alerts[i].rule, expected[i].rule);
		assert_int_equal(t.alerts[i].pid, expected[i].pid);
	}
	assert_int_equal(t.n_alerts, sizeof(expected) / sizeof(expected[0]));
	run_close(&t);
}

static void a_cooldown_holds_the_next_alert_back(void **state)
{
	struct run t;
	unsigned i;

	(void)state;
	run_text(&t,
		 "rule 'c' { on = 'proc.fork', cooldown = '30s', keep = '1s', severity = 'info' }");
	for (i = 0; i < 50; i += 5)
		run_fork(&t, i, 1, 100 + i, "x");
	/* at 0 and, 30 s later, at 30; each is over before the next event */
	assert_int_equal(t.n_alerts, 4);
	assert_int_equal(t.alerts[2].ts_ns, RUN_T0 + 30 * RUN_S);
	assert_int_equal(t.alerts[2].state, LNX_ALERT_FIRING);
	run_close(&t);
}

static void a_rise_of_severity_is_published_and_a_fall_is_not(void **state)
{
	struct run t;
	unsigned i;

	(void)state;
	run_text(
		&t,
		"rule 's' { on = 'proc.fork', window = 'count 10s', when = function(w) return w.count > 2 end,\n"
		" severity = function(w) return w.count > 20 and 'critical' or w.count > 10 and 'warning' or 'info' end }");
	run_forks(&t, 40);
	for (i = 0; i < 40; i++)
		run_fork(&t, 40 + i * 0.5, 1, 100 + i, "x");
	assert_int_equal(t.n_alerts, 2);
	assert_int_equal(t.alerts[0].severity, LNX_SEV_INFO);
	assert_int_equal(t.alerts[1].severity, LNX_SEV_WARNING);
	assert_int_equal(t.alerts[1].state, LNX_ALERT_FIRING);
	run_close(&t);
}

static void windows_of_other_events_and_of_fields(void **state)
{
	struct run t;
	unsigned i;

	(void)state;
	run_text(
		&t,
		"rule 'mix' { on = 'proc.fork', by = 'ppid', sum = 'uid', window = {\n"
		"  forks = 'count 10s', uids = 'distinct 10s', share = 'share 10s', total = 'sum 10s',\n"
		"  failed = { 'count 10s', on = 'proc.exit', where = { exit_code = { gt = 0 } } },\n"
		"  slow = { 'max lifetime_ns 10s', on = 'proc.exit' } },\n"
		" when = function(w) return w.forks == 3 and w.failed == 2 and w.slow == 9 and w.uids == 1\n"
		"   and w.total == 3000 and w.share == 75 end }");
	run_fork(&t, 1, 6, 99, "x");
	for (i = 0; i < 3; i++) {
		run_exit(&t, 1, 100 + i, 5, i & 1 ? 0 : 3, 7 + i);
		run_fork(&t, 1, 5, 100 + i, "x");
	}
	assert_int_equal(t.n_alerts, 1);
	assert_int_equal(t.alerts[0].pid, 5);
	run_close(&t);
}

static void facts_are_there_for_rules_on_events(void **state)
{
	struct run t;

	(void)state;
	run_text(
		&t,
		"rule 'f' { on = 'proc.fork', when = function() return host.psi.cpu.some > 20 and host.load ~= 7 end }");
	run_fork(&t, 1, 1, 2, "x");
	assert_int_equal(t.n_alerts, 0);
	run_sample(&t, 2, 10, 30);
	run_fork(&t, 3, 1, 2, "x");
	assert_int_equal(t.n_alerts, 1);
	run_close(&t);
}

static void unknown_facts_and_windows_are_errors_with_a_suggestion(void **state)
{
	struct run t;
	unsigned i;

	(void)state;
	run_text(
		&t,
		"rule 'h' { every = '1s', when = function(h) return h.psi.cpu.sone > 1 end }\n"
		"rule 'w' { on = 'proc.fork', window = 'count 1s', when = function(w) return w.cuont > 1 end }\n"
		"rule 'r' { on = 'proc.exec', when = function(w, k, ev) ev.pid = 1 end }");
	for (i = 0; i < 3; i++)
		run_sample(&t, i, 1, 1);
	assert_string_equal(
		t.disabled_error,
		"unknown fact of the machine 'psi.cpu.sone' (did you mean 'psi.cpu.some'?)");
	for (i = 0; i < 3; i++)
		run_fork(&t, i, 1, 2, "x");
	assert_string_equal(t.disabled_error, "unknown window 'cuont' (did you mean 'count'?)");
	for (i = 0; i < 3; i++)
		run_exec(&t, i, 1, "x", "/x");
	assert_string_equal(t.disabled_error, "events, windows and facts cannot be written");
	run_close(&t);
}

static void rules_may_watch_alerts(void **state)
{
	struct run t;

	(void)state;
	run_text(
		&t,
		"rule 'first' { on = 'proc.fork', severity = 'critical' }\n"
		"rule 'second' { on = 'alert', when = function(w, k, ev)\n"
		" return ev.severity == 'critical' and ev.subject.comm == 'boo' and ev.state == 'firing' end, severity = 'info' }");
	run_fork(&t, 1, 1, 2, "boo");
	assert_int_equal(t.n_alerts, 2);
	assert_string_equal(t.alerts[1].rule, "second");
	/* alert of an alert, and both causes are on the bus */
	assert_int_equal(t.alerts[0].cause_seq, 1);
	assert_int_equal(t.alerts[1].cause_seq, 2);
	run_close(&t);
}

static void alerts_of_a_tick_do_not_run_inside_of_it(void **state)
{
	struct run t;

	(void)state;
	run_text(
		&t,
		"rule 'first' { on = 'proc.fork', by = 'child_pid', keep = '1s' }\n"
		"rule 'second' { on = 'alert', by = 'rule', keep = '1s', when = function(w, k, ev) return ev.state == 'resolved' end }");
	run_fork(&t, 1, 1, 2, "x");
	run_fork(&t, 1, 1, 3, "x");
	run_tick(&t, 10);
	assert_int_equal(t.n_alerts, 5);
	/* resolved, what the second rule says to it, resolved */
	assert_int_equal(t.alerts[2].state, LNX_ALERT_RESOLVED);
	assert_string_equal(t.alerts[3].rule, "second");
	assert_int_equal(t.alerts[4].state, LNX_ALERT_RESOLVED);
	run_close(&t);
}

static void metrics_tell_alerts_and_costs(void **state)
{
	struct lnx_buf text = { 0 };
	struct run t;

	(void)state;
	run_text(
		&t,
		"rule 'm' { on = 'proc.fork', severity = 'warning', when = function() return true end }");
	run_fork(&t, 1, 1, 2, "x");
	lnx_rules_collect(t.rules);
	lnx_metrics_text(t.metrics, 0, &text);
	assert_non_null(strstr(text.data, "linnix_rule_calls_total{rule=\"m\"} 1"));
	assert_non_null(strstr(text.data, "linnix_rule_keys{rule=\"m\"} 1"));
	assert_non_null(
		strstr(text.data, "linnix_alerts_total{rule=\"m\",severity=\"warning\"} 1"));
	assert_non_null(strstr(text.data, "linnix_rule_eval_seconds_count 1\n"));
	assert_non_null(strstr(text.data, "linnix_rule_p99_seconds{rule=\"m\"} "));
	assert_non_null(strstr(text.data, "linnix_rules_generation_info{hash=\""));
	lnx_rules_free(t.rules);
	t.rules = NULL;
	lnx_buf_reset(&text);
	lnx_metrics_text(t.metrics, 0, &text);
	assert_null(strstr(text.data ? text.data : "", "rule=\"m\""));
	lnx_buf_done(&text);
	run_close(&t);
}

static unsigned times_in(const char *text, const char *what)
{
	unsigned n = 0;

	while ((text = strstr(text, what))) {
		text += strlen(what);
		n++;
	}
	return n;
}

/* Thousands of machines are to fit one Prometheus. */
static void a_rule_costs_few_series(void **state)
{
	struct lnx_buf text = { 0 };
	struct run t;

	(void)state;
	run_text(&t, "rule 'one' { on = 'proc.fork' }\nrule 'two' { on = 'proc.fork' }");
	lnx_rules_collect(t.rules);
	lnx_metrics_text(t.metrics, 0, &text);
	assert_int_equal(times_in(text.data, "rule=\"one\""), 6);
	/* of both: 9 buckets, +Inf, sum and count */
	assert_int_equal(times_in(text.data, "\nlinnix_rule_eval_seconds"), 12);
	lnx_buf_done(&text);
	run_close(&t);
}

static void starting_needs_a_bus_and_happens_once(void **state)
{
	struct lnx_buf errors = { 0 };
	struct lnx_rules *r = NULL;
	struct lnx_rules_conf conf = { 0 };
	struct run t;

	(void)state;
	run_text(&t, "rule 'a' { on = 'proc.fork' }");
	assert_int_equal(lnx_rules_start(t.rules), -EALREADY);
	conf.registry = t.registry;
	assert_int_equal(lnx_rules_new(&conf, &errors, &r), 0);
	assert_int_equal(lnx_rules_start(r), -EINVAL);
	lnx_rules_free(r);
	lnx_rules_free(NULL);
	conf.memory_max = 4096;
	assert_int_equal(lnx_rules_new(&conf, &errors, &r), -ENOMEM);
	run_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_condition_must_last),
		cmocka_unit_test(an_alert_says_what_it_saw),
		cmocka_unit_test(it_is_resolved_once_and_a_short_relief_does_not_count),
		cmocka_unit_test(a_longer_every_sees_the_mean),
		cmocka_unit_test(windows_belong_to_keys),
		cmocka_unit_test(a_key_of_several_parts_is_each_of_their_combinations),
		cmocka_unit_test(a_key_that_is_no_whole_number_is_told_as_one),
		cmocka_unit_test(a_tick_may_be_late_without_changing_anything),
		cmocka_unit_test(successive_windows_are_counted),
		cmocka_unit_test(a_tree_is_its_topmost_process),
		cmocka_unit_test(no_file_looks_at_processes_while_it_is_read),
		cmocka_unit_test(filters_decide_without_lua),
		cmocka_unit_test(of_the_tables_of_a_filter_one_must_match),
		cmocka_unit_test(a_cooldown_holds_the_next_alert_back),
		cmocka_unit_test(a_rise_of_severity_is_published_and_a_fall_is_not),
		cmocka_unit_test(windows_of_other_events_and_of_fields),
		cmocka_unit_test(facts_are_there_for_rules_on_events),
		cmocka_unit_test(unknown_facts_and_windows_are_errors_with_a_suggestion),
		cmocka_unit_test(rules_may_watch_alerts),
		cmocka_unit_test(alerts_of_a_tick_do_not_run_inside_of_it),
		cmocka_unit_test(metrics_tell_alerts_and_costs),
		cmocka_unit_test(a_rule_costs_few_series),
		cmocka_unit_test(starting_needs_a_bus_and_happens_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
