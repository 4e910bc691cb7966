/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What an alert tells of the event that it is about.
 * LINK: tests/unit/rules_run.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "rules_run.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alerts_of_one_culprit_tell_their_victims_and_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
