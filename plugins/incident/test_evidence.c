/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Items of evidence: how numbers are shown, and what happens when there is no room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "evidence.h"

static void numbers_are_rounded_as_they_are_shown(void **state)
{
	struct lnx_buf out = { 0 };

	(void)state;
	evidence_print(&out, 332.163411);
	lnx_buf_char(&out, ' ');
	evidence_print(&out, 12.3456);
	lnx_buf_char(&out, ' ');
	evidence_print(&out, 0.029123);
	lnx_buf_char(&out, ' ');
	evidence_print(&out, NAN);
	assert_string_equal(out.data, "332 12.3 0.029 ?");
	lnx_buf_done(&out);
}

static void evidence_is_bounded(void **state)
{
	struct evidence e = { 0 };
	struct lnx_buf out = { 0 };

	(void)state;
	for (int i = 0; i < EV_ITEMS + 3; i++) {
		(void)evidence_item(&e, 1, "t", "s");
		for (int k = 0; k < 20; k++)
			evidence_number(&e, "n", k, "");
	}
	assert_int_equal(e.n_items, EV_ITEMS - EV_END_ITEMS);
	assert_int_equal(e.n_facts, EV_FACTS - EV_END_FACTS);
	assert_true(e.refused >= 3);
	evidence_json(&e, &out);
	assert_int_equal(lnx_buf_error(&out), 0);
	lnx_buf_done(&out);
	evidence_done(&e);
}

static void what_follows_a_refused_item_is_refused(void **state)
{
	struct evidence e = { 0 };
	struct lnx_buf out = { 0 };

	(void)state;
	for (int i = 0; i < EV_ITEMS - EV_END_ITEMS; i++)
		assert_int_equal(evidence_item(&e, 1, "t", "s"), i + 1);
	evidence_say(&e, "the last one", "GET /");
	assert_int_equal(evidence_item(&e, 1, "t", "s"), 0);
	evidence_number(&e, "n", 1, "");
	evidence_text(&e, "x", "y");
	evidence_say(&e, "one too many", "GET /");
	assert_int_equal(e.n_facts, 0);
	assert_int_equal(e.refused, 3);
	evidence_json(&e, &out);
	assert_non_null(strstr(out.data, "the last one"));
	lnx_buf_done(&out);
	evidence_done(&e);
}

/* Whatever came before, it has a place, and one for each further outcome but the last. */
static void the_end_always_has_room(void **state)
{
	struct evidence e = { 0 };
	struct lnx_fact f;
	char text[200];

	(void)state;
	for (int i = 0; i < EV_ITEMS; i++) {
		(void)evidence_item(&e, 1, "t", "s");
		for (int k = 0; k < EV_FACTS; k++) {
			(void)snprintf(text, sizeof(text), "%0199d", i * EV_FACTS + k);
			evidence_text(&e, "n", text);
		}
	}
	for (int i = 0; i < EV_END_ITEMS - 1; i++) {
		assert_true(evidence_item(&e, 1, "outcome", "shop") > 0);
		for (int k = 0; k < 7; k++) {
			(void)snprintf(text, sizeof(text), "the text of fact %d of %d", k, i);
			evidence_text(&e, "x", text);
		}
		evidence_say(&e, "helped: shop lost 400 ms a second before and 30 after", "GET /");
		evidence_fact(&e, e.n_facts - 1, &f);
		assert_string_equal(f.text, text);
	}
	assert_int_equal(evidence_item(&e, 1, "outcome", "shop"), 0);
	/* the same item at each end */
	assert_int_equal(evidence_again(&e, 1, "course"), 0);
	assert_int_equal(evidence_item(&e, 1, "course", ""), EV_ITEMS);
	evidence_number(&e, "flaps", 0, "");
	assert_int_equal(evidence_again(&e, 2, "course"), EV_ITEMS);
	evidence_number(&e, "flaps", 1, "");
	assert_int_equal(e.n_items, EV_ITEMS);
	evidence_fact(&e, e.n_facts - 1, &f);
	assert_string_equal(f.topic, "course");
	assert_true(f.value == 1);
	evidence_done(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_rounded_as_they_are_shown),
		cmocka_unit_test(evidence_is_bounded),
		cmocka_unit_test(what_follows_a_refused_item_is_refused),
		cmocka_unit_test(the_end_always_has_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
