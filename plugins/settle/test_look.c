/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a look at the chain changes, and what it must not: the node here answers as it is told. */
#include "test_look.h"

/* ---- transactions */

/* One look at the only operation, whose receipt is <receipt>. */
static void look_once(const char *receipt)
{
	const char *const first[] = { HEAD, "\"0x9\"", "\"0x1\"", FEES, receipt, NULL };
	const char *const second[] = { "\"0x9\"", NULL };

	look_begin(&f.s, looked_at);
	answer(first);
	answer(second);
}

static void an_error_is_no_reorganisation(void **state)
{
	struct op *op = add_op(0, OP_CONFIRMED);

	(void)state;
	look_once("!");
	look_once("\"nonsense\"");
	look_once("{\"status\":\"0x1\"}");
	assert_int_equal(op->state, OP_CONFIRMED);
	look_once("null");
	assert_int_equal(op->state, OP_SENT);
	assert_int_equal(f.turns, 4);
}

static void only_a_clear_answer_gives_a_nonce_back(void **state)
{
	struct op *op = add_op(0, OP_SENT);

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		look_once("!");
	assert_int_equal(op->state, OP_SENT);
	assert_int_equal(op->nonce, 0);
	for (unsigned i = 0; i < 10 && op->state == OP_SENT; i++)
		look_once("null");
	assert_int_equal(op->state, OP_QUEUED);
	assert_true(op->nonce == OP_NO_NONCE);
}

/* A reorganisation could take another's transaction back and mine ours, which was given up: nobody asks before that cannot be. */
static void a_nonce_that_another_used_is_ours_until_no_reorganisation_changes_that(void **state)
{
	static const char *const told[] = { HEAD, "\"0x9\"", "\"0x1\"", FEES, "null", NULL };
	static const struct {
		unsigned confirmations, depth;
		const char *block;
	} cases[] = { { 1, 32, "\"0x44\"" }, { 50, 32, "\"0x32\"" }, { 1, 200, "\"0x0\"" } };

	(void)state;
	(void)add_op(0, OP_SENT);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f.s.confirmations = cases[i].confirmations;
		f.conf.reorg_depth = cases[i].depth;
		look_begin(&f.s, looked_at);
		answer(told);
		assert_string_equal(f.s.batch.calls[0].method, "eth_getTransactionCount");
		if (!strstr(f.s.batch.calls[0].params, cases[i].block))
			fail_msg("%u: %s", i, f.s.batch.calls[0].params);
		answer((const char *const[]){ "\"0x0\"", NULL });
	}
}

static void the_open_one_is_asked_about_however_many_are_confirmed(void **state)
{
	struct op *open;
	unsigned asked = 0;

	(void)state;
	for (unsigned i = 0; i < 39; i++)
		(void)add_op(i, OP_CONFIRMED);
	open = add_op(39, OP_SENT);
	look_begin(&f.s, looked_at);
	assert_true(open->is_asked);
	assert_true(f.ops[38].is_asked); /* the newest of the others */
	for (unsigned i = 0; i < 40; i++)
		asked += f.ops[i].is_asked;
	assert_int_equal(asked, SETTLE_LOOK_TXS);
	assert_int_equal(f.s.batch.error, 0);
}

/* What has many attempts keeps nobody from being asked about. */
static void every_open_one_is_asked_about_in_turn(void **state)
{
	uint64_t asked = 0;

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct op *op = add_op(i, OP_SENT);

		op->n_attempts = i < 7 ? OP_ATTEMPTS : 1;
		for (unsigned k = 0; k < op->n_attempts; k++)
			op->attempts[k].nonce = i;
	}
	f.ops[6].kind = OP_DISPUTE;
	for (unsigned turn = 0; turn < 7; turn++) {
		op_choose(&f.s);
		for (unsigned i = 0; i < 8; i++)
			asked |= (uint64_t)f.ops[i].is_asked << i;
		assert_true(turn || f.ops[6].is_asked);
	}
	assert_int_equal(asked, 0xff);
}

static void figures_of_a_liar_do_not_wrap(void **state)
{
	static const char *const dear[] = {
		"{\"number\":\"0x64\",\"timestamp\":\"0x1\",\"baseFeePerGas\":\"0x8000000000000000\"}",
		"\"0x9\"", "\"0x1\"", "{\"reward\":[[\"0xffffffffffffffff\"]]}", NULL
	};
	static const char *const far[] = {
		"{\"number\":\"0xffffffffffffffff\",\"timestamp\":\"0x1\"}", "\"0x9\"", "\"0x1\"",
		FEES, NULL
	};

	(void)state;
	look_begin(&f.s, looked_at);
	answer(dear);
	assert_true(f.s.base_fee >= 1ull << 60 && f.s.tip >= 1ull << 60);
	assert_true(2 * f.s.base_fee + f.s.tip > f.s.base_fee); /* over every cap, not 0 */
	assert_int_equal(f.turns, 1);
	f.s.is_stopping = 1;
	look_begin(&f.s, looked_at);
	answer(far);
	assert_int_equal(f.turns, 1);
	assert_int_equal(f.s.head, 100);
}

/* ---- tasks */

static void look_task(const char *actual, const char *hash)
{
	char task[700], ext[300];
	const char *const first[] = { HEAD, "\"0x9\"", "\"0x1\"", FEES, task, ext, "!", NULL };

	(void)snprintf(task, sizeof(task),
		       "\"0x" ZEROS ZEROS ZEROS ZEROS ZEROS TWO ZEROS THREE "%s\"", actual);
	(void)snprintf(ext, sizeof(ext), "\"0x" ZEROS ONE "%s\"", hash);
	look_begin(&f.s, looked_at);
	answer(first);
}

static void limits_count_a_task_from_when_it_is_on_the_chain(void **state)
{
	(void)state;
	add_task();
	look_task(ONE, TWO);
	assert_int_equal(f.task.created_ms, 0); /* it was there before */
	f.task.status = TASK_NONE;
	look_task(ONE, TWO);
	assert_int_equal(f.task.created_ms, settle_stamp_ms(&f.s));
}

static void a_receipt_that_took_the_place_of_another_is_judged_again(void **state)
{
	static const uint8_t none[32];

	(void)state;
	add_task();
	look_task(ONE, TWO);
	assert_string_equal(f.task.phase, PHASE_VERIFIED);
	look_task(THREE, THREE);
	assert_string_equal(f.task.phase, PHASE_SUBMITTED);
	assert_memory_equal(f.task.submit_tx, none, 32);
	assert_int_equal(f.task.receipt_hash[31], 3);
	assert_int_equal(f.task.actual.b[31], 3);
}

/* ---- two endpoints */

/* The task is of <status> at one and at the other. */
static void look_task_at_two(const char *one, const char *other)
{
	char task[2][700];
	const char *ext = "\"0x" ZEROS ONE TWO "\"";
	const char *const status[] = { one, other };

	for (unsigned i = 0; i < 2; i++)
		(void)snprintf(task[i], sizeof(task[i]),
			       "\"0x" ZEROS ZEROS ZEROS ZEROS ZEROS "%s" ZEROS THREE ONE "\"",
			       status[i]);
	f.s.differs = NULL;
	look_begin(&f.s, looked_at);
	for (unsigned i = 0; i < 2; i++) {
		const char *const told[] = { HEAD,    "\"0x9\"", "\"0x1\"", FEES,
					     task[i], ext,	 "!",	    NULL };

		answer(told);
	}
}

static void what_one_hides_the_other_tells(void **state)
{
	(void)state;
	second_endpoint();
	add_task();
	f.task.status = TASK_CREATED;
	look_task_at_two(ONE, TWO);
	assert_int_equal(f.task.status, TASK_SUBMITTED);
	assert_non_null(f.s.differs);
	f.task.status = TASK_CREATED;
	look_task_at_two(TWO, ONE);
	assert_int_equal(f.task.status, TASK_SUBMITTED);
	look_task_at_two(TWO, TWO);
	assert_null(f.s.differs);
}

static void one_alone_neither_begins_nor_ends_a_task(void **state)
{
	(void)state;
	second_endpoint();
	add_task();
	look_task_at_two(THREE, TWO);
	assert_int_equal(f.task.status, TASK_SUBMITTED);
	look_task_at_two(TWO, THREE);
	assert_int_equal(f.task.status, TASK_SUBMITTED);
	look_task_at_two(THREE, THREE);
	assert_int_equal(f.task.status, TASK_SETTLED);
	f.task.status = TASK_NONE;
	look_task_at_two(ONE, ZEROS);
	assert_int_equal(f.task.status, TASK_NONE);
	look_task_at_two(ONE, ONE);
	assert_int_equal(f.task.status, TASK_CREATED);
}

static void look_tx_at_two(const char *one, const char *other)
{
	const char *const a[] = { HEAD, "\"0x9\"", "\"0x1\"", FEES, one, NULL };
	const char *const b[] = { HEAD, "\"0x9\"", "\"0x1\"", FEES, other, NULL };
	const char *const depth[] = { "\"0x9\"", NULL };

	f.s.differs = NULL;
	look_begin(&f.s, looked_at);
	answer(a);
	answer(b);
	answer(depth);
	answer(depth);
}

static void one_alone_takes_no_transaction_back(void **state)
{
	struct op *op = add_op(0, OP_CONFIRMED);

	(void)state;
	second_endpoint();
	look_tx_at_two("null", "{\"blockHash\":\"0x1\",\"status\":\"0x1\"}");
	assert_int_equal(op->state, OP_CONFIRMED);
	assert_non_null(f.s.differs);
	look_tx_at_two("{\"blockHash\":\"0x1\",\"status\":\"0x1\"}",
		       "{\"blockHash\":\"0x2\",\"status\":\"0x1\"}");
	assert_int_equal(op->state, OP_CONFIRMED);
	assert_non_null(f.s.differs);
	look_tx_at_two("null", "null");
	assert_int_equal(op->state, OP_SENT);
}

/* Blocks that are not there make nobody late, and no deadline pass. */
static void a_head_that_is_made_up_counts_for_nothing(void **state)
{
	char head[2][100];

	(void)state;
	second_endpoint();
	for (unsigned i = 0; i < 2; i++)
		(void)snprintf(head[i], sizeof(head[i]),
			       "{\"number\":\"0x%x\",\"timestamp\":\"0x%llx\"}",
			       i ? 0x100000 : 0x64, (unsigned long long)settle_now_ms(&f.s) / 1000);
	for (unsigned i = 0; i < 2; i++) {
		const char *const a[] = { head[i], "\"0x9\"", "\"0x1\"", FEES, NULL };
		const char *const b[] = { head[!i], "\"0x7\"", "\"0x1\"", FEES, NULL };

		look_begin(&f.s, looked_at);
		answer(a);
		answer(b);
		assert_int_equal(f.s.head, 0x64);
		assert_int_equal(f.s.nonce_latest, 7);
		assert_int_equal(f.turns, i + 1);
	}
}

static void the_same_name_for_another_payee_is_refused(void **state)
{
	struct task_ask ask = { .name = "job", .payee_did = "did:key:z6Mk", .deadline_blocks = 10 };
	char why[TASK_ERROR] = "";
	struct task *t;

	(void)state;
	ask.is_escrow = 1;
	ask.max.b[31] = 3;
	ask.payee[0] = 1;
	add_task();
	task_make_id(&f.s, ask.name, f.task.id);
	(void)snprintf(f.task.payee_did, sizeof(f.task.payee_did), "%s", ask.payee_did); /* fits */
	f.task.deadline_blocks = 10;
	f.task.payee[0] = 1;
	assert_int_equal(task_accept(&f.s, &ask, &t, why), 0);
	assert_ptr_equal(t, &f.task);
	ask.payee[0] = 2;
	assert_int_equal(task_accept(&f.s, &ask, &t, why), -EEXIST);
	ask.payee[0] = 1;
	ask.has_arbiter = 1;
	ask.arbiter[0] = 5;
	assert_int_equal(task_accept(&f.s, &ask, &t, why), -EEXIST);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_error_is_no_reorganisation, setup, teardown),
		cmocka_unit_test_setup_teardown(only_a_clear_answer_gives_a_nonce_back, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			a_nonce_that_another_used_is_ours_until_no_reorganisation_changes_that,
			setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_open_one_is_asked_about_however_many_are_confirmed, setup, teardown),
		cmocka_unit_test_setup_teardown(every_open_one_is_asked_about_in_turn, setup,
						teardown),
		cmocka_unit_test_setup_teardown(figures_of_a_liar_do_not_wrap, setup, teardown),
		cmocka_unit_test_setup_teardown(limits_count_a_task_from_when_it_is_on_the_chain,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_receipt_that_took_the_place_of_another_is_judged_again, setup, teardown),
		cmocka_unit_test_setup_teardown(what_one_hides_the_other_tells, setup, teardown),
		cmocka_unit_test_setup_teardown(one_alone_neither_begins_nor_ends_a_task, setup,
						teardown),
		cmocka_unit_test_setup_teardown(one_alone_takes_no_transaction_back, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_head_that_is_made_up_counts_for_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_same_name_for_another_payee_is_refused, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
