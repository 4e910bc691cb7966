/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Series: figures against known ones, and rules that use them.
 * LINK: tests/unit/rules_run.c */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lua_series.h"
#include "rules_run.h"

struct ser {
	struct lnx_series s;
	void *state;
};

static struct ser ser_new(uint64_t over_ns)
{
	struct ser x = { .s = { .over_ns = over_ns, .unit = "bytes" } };

	lnx_series_layout(&x.s);
	x.state = calloc(1, x.s.bytes);
	assert_non_null(x.state);
	lnx_series_clear(&x.s, x.state);
	return x;
}

static double part(struct ser *x, unsigned p, double s)
{
	return lnx_series_read(&x->s, x->state, p, RUN_T0 + (uint64_t)(s * 1e9));
}

static void add(struct ser *x, double s, double v)
{
	lnx_series_add(&x->s, x->state, RUN_T0 + (uint64_t)(s * 1e9), v);
}

static bool near(double a, double b, double rel)
{
	return fabs(a - b) <= rel * fabs(b);
}

static void nothing_has_no_figures(void **state)
{
	struct ser x = ser_new(60 * RUN_S);

	(void)state;
	assert_true(isnan(part(&x, LNX_SERIES_LAST, 1)));
	assert_true(isnan(part(&x, LNX_SERIES_SLOPE, 1)));
	assert_true(part(&x, LNX_SERIES_COUNT, 1) == 0);
	assert_true(isnan(lnx_series_eta(&x.s, x.state, 7, RUN_T0)));
	add(&x, 1, NAN);
	assert_true(part(&x, LNX_SERIES_COUNT, 1) == 0);
	/* one point: a value, no direction */
	add(&x, 1, 5);
	assert_true(part(&x, LNX_SERIES_LAST, 1) == 5);
	assert_true(part(&x, LNX_SERIES_GROWTH, 1) == 0);
	assert_true(part(&x, LNX_SERIES_SPAN, 1) == 0);
	assert_true(isnan(part(&x, LNX_SERIES_SLOPE, 1)));
	assert_true(isnan(part(&x, LNX_SERIES_R2, 1)));
	free(x.state);
}

static void a_line_is_found_exactly(void **state)
{
	struct ser x = ser_new(60 * RUN_S);
	unsigned i;

	(void)state;
	/* large values with a small slope: the sums must not lose it */
	for (i = 0; i < 50; i++)
		add(&x, i, 8e12 + 3.0 * i);
	assert_true(near(part(&x, LNX_SERIES_SLOPE, 49), 3, 1e-6));
	assert_true(near(part(&x, LNX_SERIES_R2, 49), 1, 1e-6));
	assert_true(part(&x, LNX_SERIES_GROWTH, 49) == 147);
	assert_true(part(&x, LNX_SERIES_SPAN, 49) == 49);
	assert_true(part(&x, LNX_SERIES_COUNT, 49) == 50);
	assert_true(part(&x, LNX_SERIES_MIN, 49) == 8e12);
	assert_true(part(&x, LNX_SERIES_MAX, 49) == 8e12 + 147);
	assert_true(near(part(&x, LNX_SERIES_MEAN, 49), 8e12 + 73.5, 1e-12));
	free(x.state);
}

/* The same by the textbook, over all points at once. */
static void joined_buckets_give_what_one_sum_gives(void **state)
{
	double t, v = 0, st = 0, sv = 0, stt = 0, stv = 0, svv = 0, n = 200, slope, r2;
	double min = INFINITY, max = -INFINITY;
	const double first = 100;
	struct ser x = ser_new(400 * RUN_S);
	unsigned i;

	(void)state;
	for (i = 0; i < 200; i++) {
		t = i * 1.5;
		v = 100 + 0.25 * t + ((i * 37 + 20) % 41) - 20;
		add(&x, t, v);
		st += t;
		sv += v;
		stt += t * t;
		stv += t * v;
		svv += v * v;
		min = v < min ? v : min;
		max = v > max ? v : max;
	}
	slope = (n * stv - st * sv) / (n * stt - st * st);
	r2 = slope * (n * stv - st * sv) / (n * svv - sv * sv);
	assert_true(near(part(&x, LNX_SERIES_SLOPE, 298.5), slope, 1e-9));
	assert_true(near(part(&x, LNX_SERIES_R2, 298.5), r2, 1e-9));
	assert_true(r2 > 0.5 && r2 < 0.99);
	assert_true(part(&x, LNX_SERIES_MIN, 298.5) == min);
	assert_true(part(&x, LNX_SERIES_MAX, 298.5) == max);
	assert_true(near(part(&x, LNX_SERIES_MEAN, 298.5), sv / n, 1e-9));
	assert_true(part(&x, LNX_SERIES_LAST, 298.5) == v);
	assert_true(near(part(&x, LNX_SERIES_GROWTH, 298.5), v - first, 1e-9));
	assert_true(near(part(&x, LNX_SERIES_GROWTH_PCT, 298.5), 100 * (v - first) / first, 1e-9));
	/* neither end is an extreme, nor are they in one bucket */
	assert_true(min < first && min < v && max > first && max > v);
	free(x.state);
}

static void what_is_old_leaves(void **state)
{
	struct ser x = ser_new(16 * RUN_S);
	unsigned i;

	(void)state;
	for (i = 0; i < 100; i++)
		add(&x, i, i < 50 ? 1000 - i : 7);
	/* at least 16 s and at most a bucket more */
	assert_in_range((unsigned)part(&x, LNX_SERIES_COUNT, 99), 16, 18);
	assert_true(part(&x, LNX_SERIES_MAX, 99) == 7);
	assert_true(part(&x, LNX_SERIES_SLOPE, 99) == 0);
	/* a flat line explains nothing */
	assert_true(part(&x, LNX_SERIES_R2, 99) == 0);
	assert_true(isnan(part(&x, LNX_SERIES_LAST, 200)));
	/* and it begins anew after a long silence */
	add(&x, 1000, 1);
	add(&x, 1001, 2);
	assert_true(part(&x, LNX_SERIES_COUNT, 1001) == 2);
	assert_true(near(part(&x, LNX_SERIES_SLOPE, 1001), 1, 1e-6));
	free(x.state);
}

static void time_may_step_back(void **state)
{
	struct ser x = ser_new(60 * RUN_S);

	(void)state;
	add(&x, 10, 1);
	add(&x, 20, 2);
	add(&x, 15, 3);
	assert_true(part(&x, LNX_SERIES_COUNT, 20) == 3);
	assert_true(part(&x, LNX_SERIES_LAST, 20) == 3);
	assert_true(part(&x, LNX_SERIES_SPAN, 20) == 10);
	free(x.state);
}

static double eta(struct ser *x, double limit)
{
	return lnx_series_eta(&x->s, x->state, limit, RUN_T0 + 20 * RUN_S);
}

static void the_time_to_a_limit(void **state)
{
	struct ser up = ser_new(60 * RUN_S), down = ser_new(60 * RUN_S), flat = ser_new(60 * RUN_S);
	unsigned i;

	(void)state;
	for (i = 0; i <= 20; i++) {
		add(&up, i, 100 + 5 * i);
		add(&down, i, 300 - 5.0 * i);
		add(&flat, i, 50);
	}
	assert_true(near(eta(&up, 300), 20, 1e-6));
	assert_true(eta(&up, 200) == 0);
	assert_true(eta(&up, 150) == 0);
	assert_true(near(eta(&down, 100), 20, 1e-6));
	assert_true(isinf(eta(&down, 400)));
	assert_true(isinf(eta(&flat, 60)));
	assert_true(eta(&flat, 50) == 0);
	assert_true(isnan(eta(&up, NAN)));
	free(up.state);
	free(down.state);
	free(flat.state);
}

static void units_follow_the_field(void **state)
{
	struct ser x = ser_new(RUN_S);

	(void)state;
	assert_string_equal(lnx_series_unit(&x.s, LNX_SERIES_GROWTH), "bytes");
	assert_string_equal(lnx_series_unit(&x.s, LNX_SERIES_SLOPE), "per_s");
	assert_string_equal(lnx_series_unit(&x.s, LNX_SERIES_GROWTH_PCT), "pct");
	assert_string_equal(lnx_series_unit(&x.s, LNX_SERIES_SPAN), "s");
	assert_string_equal(lnx_series_unit(&x.s, LNX_SERIES_R2), "");
	free(x.state);
}

/* --- in rules ----------------------------------------------------------------------------------- */

static void usage(struct run *t, double s, uint32_t pid, uint64_t rss)
{
	struct lnx_ev_proc_usage e = { .h = { sizeof(e), LNX_EV_PROC_USAGE, sizeof(e),
					      RUN_T0 + (uint64_t)(s * 1e9), pid, 0 },
				       .rss_anon_bytes = rss,
				       .start_ns = 5,
				       .comm = "leak" };

	assert_int_equal(lnx_bus_deliver(t->bus, &e.h, sizeof(e)), 0);
}

static const char leak[] =
	"rule 'leak' { on = 'proc.usage', by = 'pid', series = { mem = 'rss_anon_bytes 60s' },\n"
	" keep = '5s', value = 'mem.growth', threshold = 500,\n"
	" say = '{comm} grew by {mem.growth} at {mem.slope} a second',\n"
	" when = function(w) return w.mem.span >= 30 and w.mem.r2 > 0.9 and w.mem:eta(2000) < 100 end }";

static void a_rule_follows_a_field_of_each_key(void **state)
{
	struct run t;
	unsigned i;

	(void)state;
	run_text(&t, leak);
	for (i = 0; i < 60; i++) {
		usage(&t, i, 10, 100 + 20 * i);
		usage(&t, i, 11, 100 + 20 * (i % 7));
	}
	assert_int_equal(t.n_alerts, 1);
	assert_int_equal(t.alerts[0].pid, 10);
	assert_int_equal(t.alerts[0].ts_ns, RUN_T0 + 30 * RUN_S);
	assert_string_equal(t.alerts[0].say, "leak grew by 600 at 20 a second");
	assert_true(t.alerts[0].value == 600 && t.alerts[0].threshold == 500);
	assert_string_equal(t.alerts[0].evidence,
			    "[{\"name\":\"mem.span\",\"value\":30,\"unit\":\"s\"},"
			    "{\"name\":\"mem.r2\",\"value\":1,\"unit\":\"\"},"
			    "{\"name\":\"mem.eta\",\"value\":65,\"unit\":\"s\"}]");
	/* the process is gone: its series runs dry, and time ends the alert */
	run_tick(&t, 200);
	assert_int_equal(t.n_alerts, 2);
	assert_int_equal(t.alerts[1].state, LNX_ALERT_RESOLVED);
	assert_in_range(t.alerts[1].ts_ns, RUN_T0 + 95 * RUN_S, RUN_T0 + 135 * RUN_S);
	run_close(&t);
}

static void a_rule_on_the_machine_has_series_of_facts(void **state)
{
	struct run t;
	unsigned i;

	(void)state;
	run_text(
		&t,
		"rule 'm' { every = '10s', series = { p = 'psi.cpu.some 1m', c = { 'cpu 30s' } },\n"
		" say = '{p.max} {c.count}',\n"
		" when = function(h, w) return w.p.min > 3 and w.p.slope > 0.9 and w.c.mean > 96 and h.cpu > 96 end }");
	for (i = 0; i < 20; i++)
		run_sample(&t, i, 97, 4 + i);
	/* every sample is a point, though the rule looks only every ten */
	assert_int_equal(t.n_alerts, 1);
	assert_int_equal(t.alerts[0].ts_ns, RUN_T0 + 9 * RUN_S);
	assert_string_equal(t.alerts[0].say, "13 10");
	run_close(&t);
}

static void a_series_may_take_other_events_and_only_some(void **state)
{
	struct run t;

	(void)state;
	run_text(
		&t,
		"rule 's' { on = 'proc.fork', by = 'ppid', series = { life = { 'lifetime_ns 10s', on = 'proc.exit',\n"
		"  where = { exit_code = { ne = 0 } } } }, when = function(w) return w.life.max == 9 and w.life.count == 1 end }");
	run_exit(&t, 1, 50, 5, 0, 70);
	run_exit(&t, 1, 51, 5, 1, 9);
	run_exit(&t, 1, 52, 6, 1, 80);
	run_fork(&t, 2, 5, 53, "x");
	assert_int_equal(t.n_alerts, 1);
	run_close(&t);
}

static void a_condition_on_a_series_may_have_to_last(void **state)
{
	struct run t;
	unsigned i;

	(void)state;
	run_text(
		&t,
		"rule 'l' { on = 'proc.usage', by = 'pid', series = { m = 'rss_anon_bytes 60s' }, lasting = '5s',\n"
		" when = function(w) return w.m.last > 10 end }");
	for (i = 0; i < 20; i++)
		usage(&t, i, 10, i == 6 ? 5 : 100);
	assert_int_equal(t.n_alerts, 1);
	assert_int_equal(t.alerts[0].ts_ns, RUN_T0 + 5 * RUN_S);
	run_close(&t);
}

static void wrong_names_are_told_when_they_are_read(void **state)
{
	struct run t;
	unsigned i;

	(void)state;
	run_text(
		&t,
		"local kept\n"
		"rule 'a' { on = 'proc.fork', series = { u = 'uid 1s' }, when = function(w) kept = w.u return w.u.solpe > 1 end }\n"
		"rule 'b' { on = 'proc.exec', when = function() return kept.last > 1 end }\n"
		"rule 'c' { on = 'proc.exit', series = { n = 'uid 1s' }, when = function(w) return w.m.last > 1 end }");
	for (i = 0; i < 3; i++)
		run_fork(&t, i, 1, 2, "x");
	assert_string_equal(t.disabled_error,
			    "unknown figure of a series 'solpe' (did you mean 'slope'?)");
	for (i = 0; i < 3; i++)
		run_exec(&t, i, 1, "x", "/x");
	assert_string_equal(t.disabled_error, "there is no series here");
	for (i = 0; i < 3; i++)
		run_exit(&t, i, 1, 1, 0, 1);
	assert_string_equal(t.disabled_error, "unknown window 'm'");
	run_close(&t);
}

static void series_are_checked(void **state)
{
#define R "rule 'a' { on = 'proc.usage', when = function() end,\n "

	(void)state;
	run_refuses(
		R "series = 'rss_bytes 1m' }",
		":2: series: expected a table such as { memory = \"rss_bytes 15m\" }, not a string");
	run_refuses(R "series = { 'rss_bytes 1m' } }",
		    ":2: series: each needs a name: { memory = \"rss_bytes 15m\" }");
	run_refuses(
		R "series = { m = 'mean rss_bytes 1m' } }",
		":2: series 'm': 'mean rss_bytes 1m' is not \"FIELD DURATION\", such as \"rss_bytes 15m\"");
	run_refuses(R "series = { m = 'rss_byte 1m' } }",
		    ":2: proc.usage has no field 'rss_byte' (did you mean 'rss_bytes'?)");
	run_refuses(R "series = { m = 'comm 1m' } }", ":2: series: field 'comm' is text");
	run_refuses(R "series = { m = 'rss_bytes 1ms' } }",
		    ":2: series 'm': '1ms' is shorter than 10ms");
	run_refuses(R "series = { m = 7 } }", ":2: series 'm': expected a text or a table");
	run_refuses(R "series = { m = { 'rss_bytes 1m', onn = 'x' } } }",
		    ":2: unknown field 'onn' of series 'm' (did you mean 'on'?)");
	run_refuses(
		R
		"series = { a = 'uid 1m', b = 'uid 1m', c = 'uid 1m', d = 'uid 1m', e = 'uid 1m' } }",
		":2: more than 4 series");
	run_refuses(R "window = { m = 'count 1s' }, series = { m = 'uid 1m' } }",
		    ":2: series: there is a window 'm' already");
	run_refuses("rule 'a' { on = 'proc.usage', series = { m = 'uid 1m' } }",
		    ":1: rule 'a' needs `when`: a function that returns true or false");
	run_refuses("rule 'a' { every = '1s', when = function() end, series = { m = 'cpuu 1m' } }",
		    ":1: host.sample has no field 'cpuu' (did you mean 'cpu'?)");
	run_refuses(R "series = { m = 'uid 1m' }, say = '{m.solpe}' }",
		    ":2: say: unknown name '{m.solpe}'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_has_no_figures),
		cmocka_unit_test(a_line_is_found_exactly),
		cmocka_unit_test(joined_buckets_give_what_one_sum_gives),
		cmocka_unit_test(what_is_old_leaves),
		cmocka_unit_test(time_may_step_back),
		cmocka_unit_test(the_time_to_a_limit),
		cmocka_unit_test(units_follow_the_field),
		cmocka_unit_test(a_rule_follows_a_field_of_each_key),
		cmocka_unit_test(a_rule_on_the_machine_has_series_of_facts),
		cmocka_unit_test(a_series_may_take_other_events_and_only_some),
		cmocka_unit_test(a_condition_on_a_series_may_have_to_last),
		cmocka_unit_test(wrong_names_are_told_when_they_are_read),
		cmocka_unit_test(series_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
