/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Rules that ask for an action, rules that only watch, and what they know of cgroups.
 * LINK: tests/unit/rules_run.c */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linnix/ev_action.h>
#include <linnix/ev_workload.h>

#include "rules_run.h"
#include "tags.h"

struct asked {
	unsigned n;
	struct lnx_ev_action_request last;
	char rule[64], workload[64], comm[20], reason[128];
};

static void copy(char *to, size_t cap, const struct lnx_event *ev, struct lnx_str s)
{
	(void)snprintf(to, cap, "%.*s", s.len, (const char *)ev + s.off);
}

static int on_request(void *arg, const struct lnx_event *ev)
{
	const struct lnx_ev_action_request *q = (const struct lnx_ev_action_request *)ev;
	struct asked *a = arg;

	a->n++;
	a->last = *q;
	copy(a->rule, sizeof(a->rule), ev, q->rule);
	copy(a->workload, sizeof(a->workload), ev, q->workload);
	copy(a->comm, sizeof(a->comm), ev, q->comm);
	copy(a->reason, sizeof(a->reason), ev, q->reason);
	return 0;
}

static void open_with(struct run *t, struct asked *a, struct lnx_tags *tags, const char *text)
{
	memset(a, 0, sizeof(*a));
	run_open(t);
	t->conf.tags = tags;
	assert_int_equal(lnx_bus_subscribe(t->bus, "test", LNX_EV_ACTION_REQUEST, 90, 0, on_request,
					   a, NULL),
			 0);
	(void)run_file(t, "a.lua", text, strlen(text));
	run_load(t);
	assert_string_equal(t->errors.data ? t->errors.data : "", "");
}

/* The bus of a test tells its tags who cgroup 42 is: that of all its forks. */
static void tell_who(struct lnx_tags *tags)
{
	static const char words[] = "/a/bshopprodpod-1";
	struct {
		struct lnx_ev_workload_update e;
		char tail[64];
	} u;
	const uint16_t at = sizeof(u.e);

	memset(&u, 0, sizeof(u));
	u.e.h = (struct lnx_event){ .size = (uint32_t)(at + sizeof(words) - 1),
				    .fixed = at,
				    .type = LNX_EV_WORKLOAD_UPDATE,
				    .ts_ns = RUN_T0 };
	u.e.cgroup_id = 42;
	memcpy((char *)&u + at, words, sizeof(words));
	u.e.path = (struct lnx_str){ at, 4 };
	u.e.workload = (struct lnx_str){ (uint16_t)(at + 4), 4 };
	u.e.namespace_ = (struct lnx_str){ (uint16_t)(at + 8), 4 };
	u.e.pod_name = (struct lnx_str){ (uint16_t)(at + 12), 5 };
	lnx_tags_event(tags, &u.e.h);
}

static void a_firing_rule_asks_once(void **state)
{
	struct lnx_tags *tags = lnx_tags_new();
	struct asked a;
	struct run t;
	unsigned i;

	(void)state;
	assert_non_null(tags);
	tell_who(tags);
	open_with(
		&t, &a, tags,
		"rule 'calm' { on = 'proc.fork', by = 'child_pid', act = { throttle = '50%', lease = '10m' },\n"
		" say = '{comm} forks', keep = '1s' }\n"
		"rule 'grow' { on = 'proc.exec', window = 'count 10s', when = function(w) return w.count > 0 end,\n"
		" severity = function(w) return w.count > 2 and 'critical' or 'info' end, act = { signal = 'TERM' } }");
	run_fork(&t, 1, 9, 77, "yes");
	assert_int_equal(a.n, 1);
	assert_int_equal(a.last.verb, LNX_ACTION_THROTTLE);
	assert_true(a.last.value == 50);
	assert_int_equal(a.last.lease_ns, 600 * RUN_S);
	assert_int_equal(a.last.h.pid, 77);
	assert_int_equal(a.last.cgroup_id, 42);
	assert_int_equal(a.last.start_ns, RUN_T0 + RUN_S);
	assert_string_equal(a.rule, "calm");
	assert_string_equal(a.workload, "shop");
	assert_string_equal(a.comm, "yes");
	assert_string_equal(a.reason, "yes forks");
	assert_string_equal(t.alerts[0].workload, "shop");
	/* not when it is over */
	run_tick(&t, 60);
	assert_int_equal(t.n_alerts, 2);
	assert_int_equal(a.n, 1);
	/* nobody to act on, and a rise of severity asks for nothing new */
	for (i = 0; i < 5; i++)
		run_exec(&t, 70 + i, 5, "x", "/x");
	assert_int_equal(a.n, 1);
	assert_non_null(strstr(run_json(&t), "\"acts_requested\":1,\"acts_aimless\":0"));
	assert_non_null(strstr(run_json(&t), "\"acts_requested\":0,\"acts_aimless\":1"));
	run_close(&t);
	lnx_tags_free(tags);
}

static void a_note_asks_for_nothing_until_it_is_a_warning(void **state)
{
	struct asked a;
	struct run t;
	unsigned i;

	(void)state;
	open_with(
		&t, &a, NULL,
		"rule 'storm' { on = 'proc.fork', by = 'ppid', window = 'count 10s', when = function(w) return w.count > 0 end,\n"
		" severity = function(w) return w.count > 4 and 'critical' or w.count > 2 and 'warning' or 'info' end,\n"
		" act = { throttle = '100%' } }");
	for (i = 0; i < 2; i++)
		run_fork(&t, 1 + i * 0.1, 9, 70 + i, "x");
	assert_int_equal(t.n_alerts, 1);
	assert_int_equal(a.n, 0);
	run_fork(&t, 2.5, 9, 77, "x");
	run_tick(&t, 4);
	assert_int_equal(t.n_alerts, 2);
	assert_int_equal(a.n, 1);
	assert_int_equal(a.last.h.pid, 9);
	for (i = 0; i < 4; i++)
		run_fork(&t, 4.5 + i * 0.1, 9, 80 + i, "x");
	run_tick(&t, 7);
	assert_int_equal(t.n_alerts, 3);
	assert_int_equal(a.n, 1);
	run_close(&t);
}

/* Process 9 forks twice a second, from second <from> to second <to>. */
static void fork_on(struct run *t, unsigned from, unsigned to)
{
	unsigned i;

	for (i = 2 * from; i < 2 * to; i++)
		run_fork(t, i * 0.5, 9, 100 + i % 1000, "x");
}

static void what_fires_on_is_asked_for_again_after_its_lease(void **state)
{
	struct asked a;
	struct run t;

	(void)state;
	open_with(
		&t, &a, NULL,
		"rule 'a' { on = 'proc.fork', by = 'ppid', window = 'count 4s', keep = '2s',\n"
		" when = function(w) return w.count > 3 end, act = { throttle = '50%', lease = '20s' } }");
	fork_on(&t, 1, 20);
	assert_int_equal(a.n, 1);
	assert_int_equal(t.n_alerts, 1);
	fork_on(&t, 20, 40);
	assert_int_equal(a.n, 2);
	fork_on(&t, 40, 60);
	assert_int_equal(a.n, 3);
	assert_int_equal(a.last.h.pid, 9);
	assert_int_equal(a.last.alert_key, t.alerts[0].key);
	/* that is no new alert */
	assert_int_equal(t.n_alerts, 1);
	assert_non_null(strstr(run_json(&t), "\"acts_requested\":3,"));
	/* not when the condition has gone, whatever is kept */
	run_tick(&t, 200);
	assert_int_equal(a.n, 3);
	assert_int_equal(t.n_alerts, 2);
	/* and a new firing asks at once */
	fork_on(&t, 210, 215);
	assert_int_equal(t.n_alerts, 3);
	assert_int_equal(a.n, 4);
	run_close(&t);
}

static void without_a_lease_it_asks_every_five_minutes(void **state)
{
	struct asked a;
	struct run t;

	(void)state;
	open_with(
		&t, &a, NULL,
		"rule 'a' { on = 'proc.fork', by = 'ppid', keep = '2s', act = { freeze = true } }");
	fork_on(&t, 1, 300);
	assert_int_equal(a.n, 1);
	fork_on(&t, 300, 304);
	assert_int_equal(a.n, 2);
	assert_int_equal(t.n_alerts, 1);
	run_close(&t);
}

static void every_verb_is_asked_for(void **state)
{
	struct asked a;
	struct run t;

	(void)state;
	open_with(&t, &a, NULL, "rule 'a' { on = 'proc.fork', act = { freeze = true } }");
	run_fork(&t, 1, 9, 77, "x");
	assert_int_equal(a.last.verb, LNX_ACTION_FREEZE);
	assert_true(isnan(a.last.value));
	assert_int_equal(a.last.lease_ns, 0);
	run_close(&t);
	open_with(&t, &a, NULL, "rule 'a' { on = 'proc.fork', act = { signal = 'USR1' } }");
	run_fork(&t, 1, 9, 77, "x");
	assert_int_equal(a.last.verb, LNX_ACTION_SIGNAL);
	assert_int_equal(a.last.signal, 10);
	run_close(&t);
	open_with(&t, &a, NULL, "rule 'a' { on = 'proc.fork', act = { weight = 10 } }");
	run_fork(&t, 1, 9, 77, "x");
	assert_int_equal(a.last.verb, LNX_ACTION_WEIGHT);
	assert_true(a.last.value == 10);
	run_close(&t);
}

static void what_is_asked_for_is_checked(void **state)
{
#define R "rule 'a' { on = 'proc.fork',\n act = "
	static const char signals[] =
		":2: act: signal is TERM, KILL, INT, QUIT, HUP, STOP, CONT, USR1 or USR2, not '9'";

	(void)state;
	run_refuses(R "'kill' }",
		    ":2: act: expected a table such as { throttle = \"50%\" }, not a string");
	run_refuses(R "{} }", ":2: act: exactly one of throttle, weight, freeze and signal");
	run_refuses(R "{ freeze = true, weight = 5 } }",
		    ":2: act: exactly one of throttle, weight, freeze and signal");
	run_refuses(R "{ throtle = '50%' } }",
		    ":2: act: unknown word 'throtle' (did you mean 'throttle'?)");
	run_refuses(R "{ throttle = '50' } }",
		    ":2: act: throttle is a share of one CPU such as \"50%\", not '50'");
	run_refuses(R "{ throttle = '0%' } }",
		    ":2: act: throttle is a share of one CPU such as \"50%\", not '0%'");
	run_refuses(R "{ throttle = 'nan%' } }",
		    ":2: act: throttle is a share of one CPU such as \"50%\", not 'nan%'");
	run_refuses(R "{ weight = 10001 } }", ":2: act: weight is a whole number, 1 to 10000");
	run_refuses(R "{ weight = 1.5 } }", ":2: act: weight is a whole number, 1 to 10000");
	run_refuses(R "{ freeze = false } }", ":2: act: freeze can only be true");
	run_refuses(R "{ signal = '9' } }", signals);
	run_refuses(R "{ signal = 'TERM', lease = 'long' } }",
		    ":2: act: 'long' is not a duration (such as 250ms, 5s, 1m; at most one day)");
	run_refuses(
		"rule 'a' { every = '1s', when = function() end, act = { freeze = true } }",
		":1: act: a rule with `every` is about the machine, so there is nobody to act on: "
		"use `on`, such as on = \"stall.tree\"");
}

/* --- shadow ------------------------------------------------------------------------------------- */

static const char pair[] =
	"rule 'storm' { on = 'proc.fork', by = 'ppid', window = 'count 1s', keep = '1s', when = function(w) return w.count > 5 end }\n"
	"rule 'storm' { mode = 'shadow', on = 'proc.fork', by = 'ppid', window = 'count 1s', keep = '1s',\n"
	"  act = { freeze = true }, when = function(w) return w.count > 2 end }";

static void a_shadow_says_nothing_and_is_compared(void **state)
{
	const char *json, *shadow;
	struct asked a;
	struct run t;
	unsigned i;

	(void)state;
	open_with(&t, &a, NULL, pair);
	for (i = 0; i < 4; i++)
		run_fork(&t, 1 + i * 0.01, 7, 100 + i, "x");
	for (i = 0; i < 10; i++)
		run_fork(&t, 20 + i * 0.01, 8, 200 + i, "x");
	assert_int_equal(t.n_alerts, 1);
	assert_int_equal(a.n, 0);
	json = run_json(&t);
	shadow = strstr(json, "\"mode\":\"shadow\"");
	assert_non_null(shadow);
	assert_non_null(strstr(shadow, "\"fired\":2,\"pending\":0,\"firing\":1,\"recent\":["));
	assert_non_null(
		strstr(shadow, "\"state\":\"firing\",\"severity\":\"warning\",\"key\":\"7\""));
	/* beside it: the active one fired once, for the other key */
	assert_non_null(strstr(shadow, "\"beside\":{\"file\":"));
	assert_non_null(
		strstr(strstr(shadow, "\"beside\":"),
		       "\"line\":1,\"state\":\"firing\",\"fired\":1,\"firing\":1,\"recent\":["));
	assert_null(strstr(strstr(shadow, "\"beside\":"), "\"key\":\"7\""));
	assert_non_null(strstr(strstr(shadow, "\"beside\":"), "\"key\":\"8\""));
	run_close(&t);
}

static void recent_alerts_are_few(void **state)
{
	const char *p;
	struct run t;
	unsigned i, n = 0;

	(void)state;
	run_text(&t,
		 "rule 'r' { on = 'proc.fork', by = 'child_pid', keep = '1h', mode = 'shadow' }");
	for (i = 0; i < 100; i++)
		run_fork(&t, i, 7, 100 + i, "x");
	for (p = run_json(&t); (p = strstr(p, "\"boot_ns\":")); p++)
		n++;
	assert_int_equal(n, 8);
	assert_non_null(strstr(run_json(&t), "\"key\":\"199\""));
	assert_null(strstr(run_json(&t), "\"key\":\"191\""));
	assert_non_null(strstr(run_json(&t), "\"beside\":null"));
	run_close(&t);
}

static void names_are_one_of_each_kind(void **state)
{
	(void)state;
	run_refuses("rule 'a' { on = 'proc.fork', mode = 'shadows' }",
		    ":1: mode: unknown value 'shadows' (did you mean 'shadow'?)");
	run_refuses("rule 'a' { on = 'proc.fork', mode = 'x' }",
		    ":1: mode: unknown value 'x' (one of active, shadow)");
}

/* --- the version, and names of cgroups ---------------------------------------------------------- */

static void a_file_may_state_its_version(void **state)
{
	struct run t;

	(void)state;
	run_text(&t, "linnix = 1\nrule 'a' { on = 'proc.fork' }");
	run_close(&t);
	run_refuses("\nlinnix = 2", ":2: the file is written for version 2, this is version 1");
	run_refuses("linnix = 1.5", ":1: the file is written for version 1.5, this is version 1");
	run_refuses("linnix = nil", ":1: the file is written for version nil, this is version 1");
}

static void a_rule_knows_the_names_of_a_cgroup(void **state)
{
	struct lnx_tags *tags = lnx_tags_new();
	struct asked a;
	struct run t;
	unsigned i;

	(void)state;
	assert_non_null(tags);
	tell_who(tags);
	open_with(
		&t, &a, tags,
		"rule 'c' { on = 'proc.fork', when = function(w, k, ev)\n"
		"  local c = cgroup(ev.cgroup_id)\n"
		"  return c.workload == 'shop' and c.namespace == 'prod' and c.pod_name == 'pod-1' and c.path == '/a/b'\n"
		"    and c.container_id == '' and c.cgroup_id == 42 and cgroup(7) == nil end }\n"
		"rule 'wrong' { on = 'proc.exec', when = function() return cgroup(42).pod == 'x' end }");
	run_fork(&t, 1, 9, 77, "x");
	assert_int_equal(t.n_alerts, 1);
	for (i = 0; i < 3; i++)
		run_exec(&t, 2 + i, 1, "x", "/x");
	assert_string_equal(t.disabled_error, "unknown field of a cgroup 'pod'");
	run_close(&t);
	lnx_tags_free(tags);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_firing_rule_asks_once),
		cmocka_unit_test(what_fires_on_is_asked_for_again_after_its_lease),
		cmocka_unit_test(without_a_lease_it_asks_every_five_minutes),
		cmocka_unit_test(a_note_asks_for_nothing_until_it_is_a_warning),
		cmocka_unit_test(every_verb_is_asked_for),
		cmocka_unit_test(what_is_asked_for_is_checked),
		cmocka_unit_test(a_shadow_says_nothing_and_is_compared),
		cmocka_unit_test(recent_alerts_are_few),
		cmocka_unit_test(names_are_one_of_each_kind),
		cmocka_unit_test(a_file_may_state_its_version),
		cmocka_unit_test(a_rule_knows_the_names_of_a_cgroup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
