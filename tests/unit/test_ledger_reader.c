/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a reader makes of the ledger where slots and places change hands, and of what is on its way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ledger_reader.h"

static void a_recycled_slot_inherits_nothing(void **state)
{
	struct stall_ledger *l;
	uint32_t old, heir;

	(void)state;
	begin(1, 3, 3, 0, 0);
	with_moves = 0;
	for (int i = 0; i < 3; i++)
		tasks[i].k.handle = handles[i];
	do_wake(&tasks[0]);
	place(&tasks[0], 0);
	l = open_reader();
	old = handles[0];
	assert_int_equal(stall_slot_is_quiet(cpus_memory, CPUS, old), 0);
	assert_int_equal(stall_slot_release(&table, old), 0);
	assert_int_equal(stall_slot_release(&table, old), -EINVAL);
	heir = table.slot[LNX_LEDGER_SLOT(old)].handle;
	assert_int_not_equal(heir, old);
	now_ns += 5000 * STEP_NS;
	look_and_add(l, 0);
	assert_int_equal(win.n_victims, 2); /* the node and the former owner */
	assert_int_equal(win.victims[1].handle, old);
	assert_int_equal(win.victims[1].raw_ns, 5000 * STEP_NS);
	stall_ledger_free(l);
}

static void a_place_that_another_pair_took_begins_at_nothing(void **state)
{
	struct lnx_ledger_cpu *c = cpu_of(0);
	struct stall_ledger *l;

	(void)state;
	begin(1, 1, 3, 0, 0);
	l = open_reader();
	c->pair_used[0] = 1;
	c->pairs[0] = (struct lnx_ledger_pair){ handles[0], handles[1], 500 * STEP_NS, 1, 0 };
	now_ns += 1000 * STEP_NS;
	look_and_add(l, 0);
	assert_int_equal(got[0][1], 500 * STEP_NS);
	c->pairs[0] = (struct lnx_ledger_pair){ handles[2], handles[1], 300 * STEP_NS, 1, 0 };
	now_ns += 1000 * STEP_NS;
	look_and_add(l, 0);
	assert_int_equal(got[2][1], 300 * STEP_NS);
	stall_ledger_free(l);
}

static void all_mail_on_its_way_is_told(void **state)
{
	struct lnx_ledger_cpu *c = cpu_of(0);
	struct stall_ledger *l;

	(void)state;
	begin(1, 1, LNX_LEDGER_MAIL, 0, 0);
	l = open_reader();
	for (int i = 0; i < LNX_LEDGER_MAIL; i++)
		c->mail[i].word = (uint64_t)handles[i] << 32 | now_ns >> LNX_LEDGER_MAIL_SHIFT;
	now_ns += 1000 * STEP_NS;
	look_and_add(l, 1);
	for (int i = 0; i < LNX_LEDGER_MAIL; i++)
		assert_int_equal(got[i][HANDLES + LNX_LEDGER_IDLE], 1000 * STEP_NS);
	stall_ledger_free(l);
}

/* The probe learns at a switch that detail is wanted again: what was before the event before that is told of nobody. */
static void detail_that_comes_back_is_told_from_a_switch_on(void **state)
{
	struct stall_ledger *l;

	(void)state;
	begin(1, 3, 1, 0, 0);
	table.no_detail = 1;
	for (int i = 0; i < 3; i++)
		tasks[i].k.tgid = 1 + (uint32_t)i;
	put_to_wait(0, 0);
	do_switch(0, 0, 0, 0);
	put_to_wait(1, 0);
	l = open_reader();
	table.no_detail = 0;
	advance(1000 * STEP_NS);
	look_and_add(l, 1);
	put_to_wait(2, 0);
	advance(10 * STEP_NS);
	do_switch(0, 1, 1, 0);
	advance(100 * STEP_NS);
	look_and_add(l, 1);
	assert_int_equal(got_proc[1], 10 * STEP_NS);
	assert_int_equal(got_proc[2], 100 * STEP_NS);
	stall_ledger_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_recycled_slot_inherits_nothing),
		cmocka_unit_test(a_place_that_another_pair_took_begins_at_nothing),
		cmocka_unit_test(all_mail_on_its_way_is_told),
		cmocka_unit_test(detail_that_comes_back_is_told_from_a_switch_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
