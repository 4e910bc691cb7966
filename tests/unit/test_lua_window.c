/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Windows, filters and globs: figures against known ones. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linnix/ev_proc.h>

#include "lua_engine.h"
#include "lua_filter.h"
#include "lua_window.h"

#define S 1000000000ULL

struct win {
	struct lnx_window w;
	void *state, *total;
};

static struct win win_new(uint32_t fn, uint64_t over_ns, bool has_field, bool is_tumbling)
{
	struct win x = { .w = { .fn = fn,
				.over_ns = over_ns,
				.has_field = has_field,
				.is_tumbling = is_tumbling } };

	lnx_window_layout(&x.w);
	x.state = calloc(1, x.w.bytes);
	x.total = calloc(1, x.w.bytes);
	assert_non_null(x.state);
	assert_non_null(x.total);
	lnx_window_clear(&x.w, x.state);
	lnx_window_clear(&x.w, x.total);
	return x;
}

static void win_free(struct win *x)
{
	free(x->state);
	free(x->total);
}

static double win_read(struct win *x, uint64_t now)
{
	return lnx_window_read(&x->w, x->state, x->total, now);
}

static void a_count_forgets_what_is_older_than_its_window(void **state)
{
	struct win x = win_new(LNX_WIN_COUNT, 1 * S, false, false);
	unsigned i;

	(void)state;
	for (i = 0; i < 100; i++)
		lnx_window_add(&x.w, x.state, 1000 * S + i * S / 100, 0, 0);
	assert_true(win_read(&x, 1000 * S + 99 * S / 100) == 100);
	/* half a second later about half is left: the edge is one bucket wide */
	assert_in_range((unsigned)win_read(&x, 1001 * S + S / 2), 47, 53);
	assert_true(win_read(&x, 1003 * S) == 0);
	win_free(&x);
}

static void time_may_step_back(void **state)
{
	struct win x = win_new(LNX_WIN_COUNT, 1 * S, false, false);

	(void)state;
	lnx_window_add(&x.w, x.state, 1000 * S, 0, 0);
	lnx_window_add(&x.w, x.state, 900 * S, 0, 0);
	assert_true(win_read(&x, 1000 * S) == 2);
	win_free(&x);
}

static void rate_and_sum_of_a_field_and_of_events(void **state)
{
	struct win sum = win_new(LNX_WIN_SUM, 10 * S, true, false),
		   rate = win_new(LNX_WIN_RATE, 10 * S, true, false),
		   events = win_new(LNX_WIN_RATE, 10 * S, false, false);
	unsigned i;

	(void)state;
	for (i = 0; i < 50; i++) {
		lnx_window_add(&sum.w, sum.state, 100 * S + i, 4, 0);
		lnx_window_add(&rate.w, rate.state, 100 * S + i, 4, 0);
		lnx_window_add(&events.w, events.state, 100 * S + i, 4, 0);
	}
	lnx_window_add(&sum.w, sum.state, 100 * S, NAN, 0);
	assert_true(win_read(&sum, 100 * S) == 200);
	assert_true(win_read(&rate, 100 * S) == 20);
	assert_true(win_read(&events, 100 * S) == 5);
	win_free(&sum);
	win_free(&rate);
	win_free(&events);
}

static void the_largest_value_leaves_with_its_bucket(void **state)
{
	struct win x = win_new(LNX_WIN_MAX, 1 * S, true, false);

	(void)state;
	assert_true(isnan(win_read(&x, 10 * S)));
	lnx_window_add(&x.w, x.state, 10 * S, -5, 0);
	assert_true(win_read(&x, 10 * S) == -5);
	lnx_window_add(&x.w, x.state, 10 * S, 7, 0);
	lnx_window_add(&x.w, x.state, 10 * S + S / 2, 3, 0);
	assert_true(win_read(&x, 10 * S + S / 2) == 7);
	assert_true(win_read(&x, 11 * S + S / 4) == 3);
	win_free(&x);
}

static void a_share_is_of_all_keys(void **state)
{
	struct win x = win_new(LNX_WIN_SHARE, 1 * S, true, false);

	(void)state;
	assert_true(win_read(&x, 9 * S) == 0);
	lnx_window_add(&x.w, x.state, 10 * S, 30, 0);
	lnx_window_add(&x.w, x.total, 10 * S, 120, 0);
	assert_true(win_read(&x, 10 * S) == 25);
	assert_true(isnan(lnx_window_read(&x.w, x.state, NULL, 10 * S)));
	assert_string_equal(lnx_window_unit(&x.w), "pct");
	win_free(&x);
}

static void p99_is_within_ten_percent(void **state)
{
	struct win x = win_new(LNX_WIN_P99, 10 * S, true, false);
	unsigned i;
	double p;

	(void)state;
	assert_true(isnan(win_read(&x, 10 * S)));
	for (i = 1; i <= 10000; i++)
		lnx_window_add(&x.w, x.state, 10 * S, i * 1000.0, 0);
	p = win_read(&x, 10 * S);
	assert_true(p > 9.9e6 * 0.9 && p < 9.9e6 * 1.12);
	lnx_window_add(&x.w, x.state, 10 * S, 1e300, 0);
	lnx_window_add(&x.w, x.state, 10 * S, -1, 0);
	assert_true(isnan(win_read(&x, 30 * S)));
	win_free(&x);
}

static void p99_counts_on_where_many_are_alike(void **state)
{
	struct win x = win_new(LNX_WIN_P99, 10 * S, true, false);
	unsigned i;
	double p;

	(void)state;
	/* 0.5 % are slow, in one bin of one bucket more than 16 bits hold */
	for (i = 1; i <= 280000; i++)
		lnx_window_add(&x.w, x.state, 10 * S, i % 200 ? 1e6 : 1e9, 0);
	p = win_read(&x, 10 * S);
	assert_true(p > 0.9e6 && p < 1.12e6);
	win_free(&x);
}

static uint64_t mix(uint64_t v)
{
	return lnx_key_hash(&v, sizeof(v), 0);
}

static void distinct_counts_values_once(void **state)
{
	struct win x = win_new(LNX_WIN_DISTINCT, 1 * S, true, false);
	unsigned i;

	(void)state;
	for (i = 0; i < 300; i++)
		lnx_window_add(&x.w, x.state, 10 * S, 0, mix(i % 3));
	assert_true(win_read(&x, 10 * S) == 3);
	for (i = 0; i < 1500; i++)
		lnx_window_add(&x.w, x.state, 10 * S, 0, mix(i));
	assert_in_range((unsigned)win_read(&x, 10 * S), 1425, 1575);
	for (i = 0; i < 200000; i++)
		lnx_window_add(&x.w, x.state, 10 * S, 0, mix(i));
	assert_true(win_read(&x, 10 * S) > 5000);
	assert_true(win_read(&x, 13 * S) == 0);
	win_free(&x);
}

static void distinct_has_an_end(void **state)
{
	struct win x = win_new(LNX_WIN_DISTINCT, 8 * S, true, false);
	unsigned i;

	(void)state;
	for (i = 0; i < 60000; i++)
		lnx_window_add(&x.w, x.state, 8 * S, 0, mix(i));
	/* RULES.md names it */
	assert_in_range((unsigned)win_read(&x, 8 * S), 7097, 7098);
	win_free(&x);
}

static void a_tumbling_window_is_emptied_by_its_owner(void **state)
{
	struct win x = win_new(LNX_WIN_COUNT, 1 * S, false, true);

	(void)state;
	lnx_window_add(&x.w, x.state, 10 * S, 0, 0);
	lnx_window_add(&x.w, x.state, 90 * S, 0, 0);
	assert_true(win_read(&x, 99 * S) == 2);
	lnx_window_clear(&x.w, x.state);
	assert_true(win_read(&x, 99 * S) == 0);
	win_free(&x);
}

static bool glob(const char *p, const char *s)
{
	return lnx_glob(p, strlen(p), s, strlen(s));
}

static void globs_match_as_a_shell_does(void **state)
{
	(void)state;
	assert_true(glob("stress*", "stress-ng"));
	assert_true(glob("*", ""));
	assert_true(glob("a?c", "abc"));
	assert_false(glob("a?c", "ac"));
	assert_true(glob("[a-c]x[!0-9]", "bxz"));
	assert_false(glob("[a-c]x[!0-9]", "bx7"));
	assert_true(glob("[]x]", "]"));
	assert_true(glob("*a*b*", "xxaxxbxx"));
	assert_false(glob("*a*b", "xxbxxa"));
	assert_false(glob("abc", "abcd"));
	assert_false(glob("[", "x"));
	assert_false(glob("", "x"));
}

/* 2,000 stars against 2,000 letters: quick, or the test runs out of time. */
static void a_glob_cannot_explode(void **state)
{
	char p[4001], s[2001];
	unsigned i;

	(void)state;
	for (i = 0; i < 2000; i++) {
		p[2 * i] = '*';
		p[2 * i + 1] = 'a';
		s[i] = 'a';
	}
	p[3999] = 'b';
	p[4000] = s[2000] = 0;
	assert_false(glob(p, s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_count_forgets_what_is_older_than_its_window),
		cmocka_unit_test(time_may_step_back),
		cmocka_unit_test(rate_and_sum_of_a_field_and_of_events),
		cmocka_unit_test(the_largest_value_leaves_with_its_bucket),
		cmocka_unit_test(a_share_is_of_all_keys),
		cmocka_unit_test(p99_is_within_ten_percent),
		cmocka_unit_test(p99_counts_on_where_many_are_alike),
		cmocka_unit_test(distinct_counts_values_once),
		cmocka_unit_test(distinct_has_an_end),
		cmocka_unit_test(a_tumbling_window_is_emptied_by_its_owner),
		cmocka_unit_test(globs_match_as_a_shell_does),
		cmocka_unit_test(a_glob_cannot_explode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
