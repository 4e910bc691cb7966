/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What an alert tells of the event that it is about.
 * LINK: tests/unit/rules_run.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <linnix/ev_tree.h>
#include <linnix/ev_workload.h>

#include "lua_engine.h"
#include "rules_run.h"
#include "tags.h"

static void run_edge(struct run *t, double s, uint64_t victim_id, const char *victim)
{
	union {
		struct lnx_event h;
		struct lnx_ev_stall_edge e;
		char bytes[512];
	} u = { .e.h = { .type = LNX_EV_STALL_EDGE, .ts_ns = RUN_T0 + (uint64_t)(s * 1e9) } };

	u.h.size = u.h.fixed = sizeof(u.e);
	u.e.victim_cgroup_id = victim_id;
	u.e.pair = victim_id;
	u.e.culprit_cgroup_id = 9;
	u.e.victim = (struct lnx_str){ (__u16)u.h.size, (__u16)strlen(victim) };
	memcpy(u.bytes + u.h.size, victim, strlen(victim));
	u.h.size += (__u32)strlen(victim);
	u.e.victim_namespace = (struct lnx_str){ (__u16)u.h.size, 4 };
	memcpy(u.bytes + u.h.size, "prod", 4);
	u.h.size += 4;
	lnx_bus_set_now(t->bus, u.h.ts_ns);
	assert_int_equal(lnx_bus_publish(t->bus, &u.h), 0);
}

static void alerts_of_one_culprit_tell_their_victims_and_keys(void **state)
{
	const struct run_alert *a;
	struct run t;

	(void)state;
	run_text(&t, "rule 'n' { on = 'stall.edge', by = 'pair', window = { n = 'count 2s' },\n"
		     "when = function(w) return w.n >= 2 end, keep = '1s', severity = 'warning' }");
	for (unsigned s = 0; s < 2; s++) {
		run_edge(&t, s, 7, "shop");
		run_edge(&t, s, 8, "web");
	}
	run_tick(&t, 30);
	assert_int_equal(t.n_alerts, 4);
	a = t.alerts;
	assert_string_equal(a[0].victim, "shop");
	assert_string_equal(a[0].victim_namespace, "prod");
	assert_int_equal(a[0].victim_cgroup_id, 7);
	assert_string_equal(a[1].victim, "web");
	assert_int_equal(a[0].cgroup_id, a[1].cgroup_id);
	assert_int_not_equal(a[0].key, a[1].key);
	for (unsigned i = 2; i < 4; i++) {
		unsigned first = a[i].victim_cgroup_id == 7 ? 0 : 1;

		assert_int_equal(a[i].state, LNX_ALERT_RESOLVED);
		assert_int_equal(a[i].key, a[first].key);
		assert_true(a[i].key && a[i].key < 1ULL << 53);
	}
	run_close(&t);
}

#define LONG_NAME "/opt/company/product/releases/2026-11/bin/worker-image-a"

static void a_key_reaches_the_rule_whole(void **state)
{
	struct run t;

	(void)state;
	run_text(
		&t,
		"rule 'k' { on = 'proc.exec', by = 'filename', say = '{key}',\n"
		" severity = function(w, key, ev) return key == ev.filename and 'info' or 'critical' end }\n"
		"rule 'two' { on = 'proc.exec', by = { 'filename', 'pid' }, say = '{key}',\n"
		" severity = function(w, key, ev) return key == ev.filename .. '/9' and 'info' or 'critical' end }");
	run_exec(&t, 1, 9, "worker", LONG_NAME);
	run_exec(&t, 2, 9, "worker", "/bin/sh");
	assert_int_equal(t.n_alerts, 4);
	assert_int_equal(t.alerts[0].severity, LNX_SEV_INFO);
	assert_string_equal(t.alerts[0].say, LONG_NAME);
	assert_int_equal(t.alerts[1].severity, LNX_SEV_INFO);
	assert_string_equal(t.alerts[1].say, LONG_NAME "/9");
	assert_int_equal(t.alerts[2].severity, LNX_SEV_INFO);
	assert_string_equal(t.alerts[2].say, "/bin/sh");
	assert_int_equal(t.alerts[3].severity, LNX_SEV_INFO);
	run_close(&t);
}

/* What lies outside of the keys counts as their memory does. */
static void long_keys_are_fewer_keys(void **state)
{
	struct run_keys k;
	char name[201];
	struct run t;
	unsigned i;

	(void)state;
	run_text(
		&t,
		"rule 'k' { on = 'proc.exec', by = 'filename', window = 'count 1s', when = function() return false end }");
	memset(name, 'x', sizeof(name));
	for (i = 0; i < 9000; i++) {
		(void)snprintf(name, sizeof(name), "/%-198u.", i);
		run_exec(&t, 1, 9, "worker", name);
	}
	k = run_keys(&t);
	assert_true(k.n < k.max && k.n > 1000 && k.n + k.evicted == 9000);
	assert_true(k.memory_bytes > k.n * 300 && k.memory_bytes < 2300000);
	run_close(&t);
}

static void a_text_is_cut_at_a_whole_character(void **state)
{
	struct run t;
	size_t n;

	(void)state;
	assert_int_equal(lnx_alert_cut("a\xc3\xa9", 3, 9), 3);
	assert_int_equal(lnx_alert_cut("a\xc3\xa9", 3, 3), 3);
	assert_int_equal(lnx_alert_cut("a\xc3\xa9", 3, 2), 1);
	assert_int_equal(lnx_alert_cut("\xf0\x9f\x98\x80x", 5, 4), 4);
	assert_int_equal(lnx_alert_cut("\xf0\x9f\x98\x80x", 5, 3), 0);
	assert_int_equal(lnx_alert_cut("\x80\x80\x80", 3, 2), 0);
	run_text(
		&t,
		"rule 'a' { on = 'proc.fork', say = function() return 'x' .. ('\xc3\xa9'):rep(600) end }\n"
		"rule 'b' { on = 'proc.fork', say = function() return ('\xc3\xa9'):rep(600) end }");
	run_fork(&t, 1, 5, 6, "x");
	assert_int_equal(t.n_alerts, 2);
	n = strlen(t.alerts[0].say);
	assert_int_equal(n, LNX_STR_MAX - 1);
	assert_string_equal(t.alerts[0].say + n - 2, "\xc3\xa9");
	n = strlen(t.alerts[1].say);
	assert_int_equal(n, LNX_STR_MAX);
	assert_string_equal(t.alerts[1].say + n - 2, "\xc3\xa9");
	run_close(&t);
}

/* Kubernetes tells whether somebody wants to hear of <cgroup_id>. */
static void run_ignore(struct run *t, double s, uint64_t cgroup_id, uint32_t is_ignored)
{
	struct lnx_ev_workload_update u = { .h = { sizeof(u), LNX_EV_WORKLOAD_UPDATE, sizeof(u),
						   RUN_T0 + (uint64_t)(s * 1e9), 0, 0 },
					    .cgroup_id = cgroup_id,
					    .is_ignored = is_ignored };

	lnx_bus_set_now(t->bus, u.h.ts_ns);
	assert_int_equal(lnx_bus_publish(t->bus, &u.h), 0);
}

static void run_rule(struct run *t, const char *text)
{
	run_open(t);
	t->conf.tags = lnx_tags_new();
	assert_non_null(t->conf.tags);
	assert_int_equal(lnx_tags_follow((void *)(uintptr_t)t->conf.tags, t->bus), 0);
	(void)run_file(t, "a.lua", text, strlen(text));
	run_load(t);
}

static void run_end(struct run *t)
{
	struct lnx_tags *tags = (void *)(uintptr_t)t->conf.tags;

	run_close(t);
	lnx_tags_free(tags);
}

static const char pairs[] =
	"rule 'n' { on = 'stall.edge', by = 'pair', window = { n = 'count 2s' }, act = { weight = 5 },\n"
	"when = function(w) return w.n >= 2 end, keep = '1s' }";

static void nobody_is_told_of_who_is_to_be_left_alone(void **state)
{
	struct run t;

	(void)state;
	run_rule(&t, pairs);
	run_ignore(&t, 0, 9, 1); /* the culprit */
	for (unsigned s = 0; s < 3; s++)
		run_edge(&t, s, 7, "shop");
	run_tick(&t, 30);
	assert_int_equal(t.n_alerts, 0);
	assert_non_null(strstr(run_json(&t), "\"ignored\":1"));
	assert_non_null(strstr(run_json(&t), "\"acts_requested\":0"));
	run_ignore(&t, 31, 9, 0);
	run_ignore(&t, 31, 7, 1); /* the victim */
	for (unsigned s = 32; s < 35; s++) {
		run_edge(&t, s, 7, "shop");
		run_edge(&t, s, 8, "web");
	}
	run_tick(&t, 60);
	assert_int_equal(t.n_alerts, 2);
	assert_string_equal(t.alerts[0].victim, "web");
	assert_int_equal(t.alerts[1].state, LNX_ALERT_RESOLVED);
	assert_int_equal(t.alerts[1].key, t.alerts[0].key);
	run_end(&t);
}

static void what_was_told_to_fire_is_told_to_be_over(void **state)
{
	struct run t;

	(void)state;
	run_rule(&t, pairs);
	for (unsigned s = 0; s < 3; s++)
		run_edge(&t, s, 7, "shop");
	assert_int_equal(t.n_alerts, 1);
	run_ignore(&t, 3, 9, 1);
	run_tick(&t, 30);
	assert_int_equal(t.n_alerts, 2);
	assert_int_equal(t.alerts[1].state, LNX_ALERT_RESOLVED);
	run_end(&t);
}

static void the_machine_is_never_left_alone_but_nothing_is_done_to_the_ignored(void **state)
{
	struct lnx_ev_stall_node e = { .h = { sizeof(e), LNX_EV_STALL_NODE, sizeof(e), 0, 41, 0 },
				       .tree_cgroup_id = 9 };
	struct run t;

	(void)state;
	run_rule(&t, "rule 'b' { on = 'stall.node', window = 'count 5s', act = { weight = 5 },\n"
		     "when = function(w) return w.count > 1 end }");
	run_ignore(&t, 0, 9, 1);
	for (unsigned s = 1; s < 4; s++) {
		e.h.ts_ns = RUN_T0 + s * RUN_S;
		lnx_bus_set_now(t.bus, e.h.ts_ns);
		assert_int_equal(lnx_bus_publish(t.bus, &e.h), 0);
	}
	assert_int_equal(t.n_alerts, 1);
	assert_int_equal(t.alerts[0].kind, LNX_SUBJECT_NODE);
	assert_int_equal(t.alerts[0].cgroup_id, 9);
	assert_non_null(strstr(run_json(&t), "\"acts_requested\":0"));
	run_end(&t);
}

static void numbers_are_told_as_people_read_them(void **state)
{
	struct run t;

	(void)state;
	run_text(
		&t,
		"rule 'r' { on = 'proc.fork', window = { a = 'rate 4s', b = 'rate 400ms', c = 'count 1s', d = { 'max cpu_ns 1s', on = 'proc.exit' } },\n"
		" when = function() return true end, say = '{a} {b} {c} {d}' }");
	run_fork(&t, 1, 1, 2, "x");
	assert_int_equal(t.n_alerts, 1);
	assert_string_equal(t.alerts[0].say, "0.250 2.5 1 ?");
	run_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_reaches_the_rule_whole),
		cmocka_unit_test(long_keys_are_fewer_keys),
		cmocka_unit_test(a_text_is_cut_at_a_whole_character),
		cmocka_unit_test(numbers_are_told_as_people_read_them),
		cmocka_unit_test(alerts_of_one_culprit_tell_their_victims_and_keys),
		cmocka_unit_test(nobody_is_told_of_who_is_to_be_left_alone),
		cmocka_unit_test(what_was_told_to_fire_is_told_to_be_over),
		cmocka_unit_test(
			the_machine_is_never_left_alone_but_nothing_is_done_to_the_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
