/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Metric families: names, kinds, limits, and both text formats. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "../../core/metrics.h"

static const char *const labels[] = { "who", NULL };
static const struct lnx_metric_desc counter = {
	.name = "x_total", .help = "a\nb", .kind = LNX_COUNTER, .labels = labels
};

static void counters_only_grow_and_series_are_found_again(void **state)
{
	struct lnx_metrics *m = lnx_metrics_new();
	const char *a[] = { "a", NULL }, *b[] = { "b\"\\\n", NULL };
	struct lnx_metric *s, *again, *other;
	struct lnx_buf out = { 0 };

	(void)state;
	assert_int_equal(lnx_metrics_series(m, &counter, a, NULL, &s), 0);
	assert_int_equal(lnx_metrics_series(m, &counter, a, NULL, &again), 0);
	assert_ptr_equal(s, again);
	assert_int_equal(lnx_metrics_series(m, &counter, b, NULL, &other), 0);
	lnx_metric_add(s, 2);
	lnx_metric_add(s, -5);
	lnx_metric_set(s, 1);
	assert_true(lnx_metric_value(s) > 1.9 && lnx_metric_value(s) < 2.1);
	lnx_metric_set(s, 3);
	lnx_metrics_text(m, 0, &out);
	assert_non_null(strstr(
		out.data, "# HELP x_total a\\nb\n# TYPE x_total counter\nx_total{who=\"a\"} 3\n"));
	assert_non_null(strstr(out.data, "x_total{who=\"b\\\"\\\\\\n\"} 0\n"));
	assert_null(strstr(out.data, "# EOF"));
	lnx_buf_reset(&out);
	lnx_metrics_text(m, 1, &out);
	assert_non_null(strstr(out.data, "# TYPE x counter\nx_total{who=\"a\"} 3\n"));
	assert_string_equal(out.data + out.size - 6, "# EOF\n");
	lnx_buf_done(&out);
	lnx_metrics_free(m);
}

static void limit_of_series_is_counted(void **state)
{
	struct lnx_metric_desc d = counter;
	struct lnx_metrics *m = lnx_metrics_new();
	const char *v[] = { "a", NULL };
	struct lnx_buf out = { 0 };
	struct lnx_metric *s;

	(void)state;
	d.max_series = 1;
	assert_int_equal(lnx_metrics_series(m, &d, v, NULL, &s), 0);
	v[0] = "b";
	assert_int_equal(lnx_metrics_series(m, &d, v, NULL, &s), -ENOSPC);
	lnx_metrics_text(m, 0, &out);
	assert_non_null(strstr(out.data, "linnix_metric_series_dropped_total 1\n"));
	lnx_buf_done(&out);
	lnx_metrics_free(m);
}

static void bad_names_and_changed_families_are_refused(void **state)
{
	static const char *const bare[] = { "namespace", NULL };
	struct lnx_metrics *m = lnx_metrics_new();
	struct lnx_metric_desc d = counter;
	struct lnx_metric *s;

	(void)state;
	d.name = "9x";
	assert_int_equal(lnx_metrics_series(m, &d, NULL, NULL, &s), -EINVAL);
	d.name = "y_total";
	d.labels = bare; /* a scrape would rename it */
	assert_int_equal(lnx_metrics_series(m, &d, NULL, NULL, &s), -EINVAL);
	assert_int_equal(lnx_metrics_series(m, &counter, NULL, NULL, &s), 0);
	d = counter;
	d.kind = LNX_GAUGE;
	assert_int_equal(lnx_metrics_series(m, &d, NULL, NULL, &s), -EINVAL);
	d = counter;
	d.labels = NULL;
	assert_int_equal(lnx_metrics_series(m, &d, NULL, NULL, &s), -EINVAL);
	lnx_metrics_free(m);
}

static void histogram_buckets_are_cumulative(void **state)
{
	static const double bounds[] = { 0.1, 1 };
	static const struct lnx_metric_desc d = {
		.name = "h", .help = "h", .kind = LNX_HISTOGRAM, .buckets = bounds, .n_buckets = 2
	};
	struct lnx_metrics *m = lnx_metrics_new();
	struct lnx_buf out = { 0 };
	struct lnx_metric *s;

	(void)state;
	assert_int_equal(lnx_metrics_series(m, &d, NULL, NULL, &s), 0);
	lnx_metric_observe(s, 0.05);
	lnx_metric_observe(s, 0.5);
	lnx_metric_observe(s, 5);
	lnx_metrics_text(m, 0, &out);
	assert_non_null(strstr(
		out.data, "h_bucket{le=\"0.1\"} 1\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 3\n"
			  "h_sum 5.55\nh_count 3\n"));
	lnx_buf_done(&out);
	lnx_metrics_free(m);
}

static void owners_series_go_with_their_owner(void **state)
{
	struct lnx_metrics *m = lnx_metrics_new();
	const char *a[] = { "a", NULL }, *b[] = { "b", NULL };
	struct lnx_buf out = { 0 };
	struct lnx_metric *s, *t;
	int one, two;

	(void)state;
	assert_int_equal(lnx_metrics_series(m, &counter, a, &one, &s), 0);
	assert_int_equal(lnx_metrics_series(m, &counter, b, &two, &t), 0);
	lnx_metrics_del_owner(m, &one);
	lnx_metrics_text(m, 0, &out);
	assert_null(strstr(out.data, "who=\"a\""));
	assert_non_null(strstr(out.data, "who=\"b\""));
	lnx_metrics_del(t, &two);
	lnx_metrics_del(NULL, &two);
	lnx_buf_reset(&out);
	lnx_metrics_text(m, 0, &out);
	assert_null(strstr(out.data, "x_total"));
	lnx_buf_done(&out);
	lnx_metrics_free(m);
}

static void shared_series_lives_until_its_last_owner_lets_go(void **state)
{
	struct lnx_metrics *m = lnx_metrics_new();
	const char *a[] = { "a", NULL };
	struct lnx_metric *s, *t;
	struct lnx_buf out = { 0 };
	int one, two;

	(void)state;
	assert_int_equal(lnx_metrics_series(m, &counter, a, &one, &s), 0);
	assert_int_equal(lnx_metrics_series(m, &counter, a, &two, &t), 0);
	assert_ptr_equal(s, t);
	lnx_metrics_del_owner(m, &one);
	lnx_metric_add(t, 4); /* ASan finds it if it was freed */
	lnx_metrics_text(m, 0, &out);
	assert_non_null(strstr(out.data, "x_total{who=\"a\"} 4\n"));
	lnx_metrics_del(t, &two);
	lnx_buf_reset(&out);
	lnx_metrics_text(m, 0, &out);
	assert_null(strstr(out.data, "x_total"));
	lnx_buf_done(&out);
	lnx_metrics_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_only_grow_and_series_are_found_again),
		cmocka_unit_test(limit_of_series_is_counted),
		cmocka_unit_test(bad_names_and_changed_families_are_refused),
		cmocka_unit_test(histogram_buckets_are_cumulative),
		cmocka_unit_test(owners_series_go_with_their_owner),
		cmocka_unit_test(shared_series_lives_until_its_last_owner_lets_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
