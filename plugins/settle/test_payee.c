/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a look for a payee may not take over from another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <testhost.h>

#include "task.h"

/* A dry run whose logs are half read, and its name again for another payee. */
static void a_name_for_another_payee_takes_over_no_records(void **state)
{
	struct settle_conf conf = { .token_decimals = 6 };
	struct settle s = { .conf = &conf, .payee = { .is_in_windows = 1, .records = { .n = 1 } } };
	struct task_ask ask = {
		.name = "n", .payee_did = "did:web:one", .payee = { 1 }, .is_dry = 1
	};
	char why[TASK_ERROR] = "";
	struct task *first = NULL, *second = NULL;
	struct testhost *t = testhost_new();

	(void)state;
	assert_non_null(t);
	s.host = testhost_host(t);
	s.ctx = testhost_ctx(t);
	assert_int_equal(task_accept(&s, &ask, &first, why), 0);
	assert_true(s.payee.is_in_windows); /* of another task */
	memcpy(s.payee.task, first->id, 32);
	ask.payee_did = "did:web:two";
	ask.is_dry = 0;
	assert_int_equal(task_accept(&s, &ask, &second, why), 0);
	assert_ptr_equal(first, second);
	assert_false(s.payee.is_in_windows);
	assert_null(task_find(&s, s.payee.task)); /* nor what is under way */
	task_free(first);
	testhost_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_for_another_payee_takes_over_no_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
