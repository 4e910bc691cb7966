/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Text that comes from outside: the parameters of /blame, and /proc/stat. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linnix/ev_psi.h>
#include <linnix/plugin.h>

#include "blame.h"
#include "stall.h"
#include "testhost.h"

#define SEC 1000000000ULL

static void words_of_a_question_are_checked(void **state)
{
	uint64_t ns;

	(void)state;
	assert_int_equal(stall_parse_span("250ms", &ns), 0);
	assert_int_equal(ns, 250000000);
	assert_int_equal(stall_parse_span("1.5m", &ns), 0);
	assert_int_equal(ns, 90 * SEC);
	assert_int_equal(stall_parse_span("10", &ns), 0);
	assert_int_equal(ns, 10 * SEC);
	for (const char *const *bad = (const char *const[]){ "", "s", "-1s", "1x", "0s", "8d",
							     "nan", "1e99s", " 1s", NULL };
	     *bad; bad++)
		assert_int_equal(stall_parse_span(*bad, &ns), -EINVAL);
	assert_int_equal(stall_parse_time("1970-01-02T00:00:01.5Z", &ns), 0);
	assert_int_equal(ns, 86401500000000ULL);
	assert_int_equal(stall_parse_time("2025-01-31T12:00:00+02:00", &ns), 0);
	assert_int_equal(ns / SEC, 1738317600);
	assert_int_equal(stall_parse_time("1738317600", &ns), 0);
	assert_int_equal(ns / SEC, 1738317600);
	assert_int_equal(stall_parse_time("2261-12-31T23:59:59Z", &ns), 0);
	assert_int_equal(ns / SEC, 9214646399);
	for (const char *const *bad =
		     (const char *const[]){ "", "now", "2025-01-31", "2025-13-31T00:00:00Z",
					    "2025-01-31T00:00:00", "2025-01-31T25:00:00Z", "12.3.4",
					    "9999-12-31T23:59:59Z", "2262-01-01T00:00:00Z",
					    "99999999999", NULL };
	     *bad; bad++)
		assert_int_equal(stall_parse_time(*bad, &ns), -EINVAL);
}

static void proc_stat_gives_shares_of_busy_time(void **state)
{
	struct stall_stat st = { 0 };

	(void)state;
	assert_int_equal(stall_stat_init(&st, 2), 0);
	st.has_irq = 1;
	stall_stat_read(
		&st,
		"cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 10 0 10 50 0 0 0 5 0 0\ncpu1 1 0 0 9 0 0 0 0\nintr 5\n");
	assert_true(testhost_near(st.steal[0], 0, 0));
	stall_stat_read(
		&st,
		"cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 40 0 30 80 0 10 10 35 0 0\ncpu1 1 0 0 99 0 0 0 0\n");
	assert_true(testhost_near(st.steal[0], 0.3, 1e-9));
	assert_true(testhost_near(st.irq[0], 0.2, 1e-9));
	assert_true(testhost_near(st.steal[1], 0, 0));
	stall_stat_read(&st, "");
	assert_true(testhost_near(st.steal[0], 0, 0));
	stall_stat_done(&st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_of_a_question_are_checked),
		cmocka_unit_test(proc_stat_gives_shares_of_busy_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
