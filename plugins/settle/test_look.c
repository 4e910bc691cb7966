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

/* ---- offers, which anybody can make */

static struct task *add_offer(unsigned i)
{
	uint8_t id[32] = { 1, (uint8_t)(i >> 8), (uint8_t)i };
	struct task *t = task_new(&f.s, id, TASK_PAYEE);

	assert_non_null(t);
	t->status = TASK_CREATED;
	t->is_escrow = 1;
	(void)snprintf(t->phase, sizeof(t->phase), "%s", PHASE_OFFERED); /* fits */
	return t;
}

static void drop_offers(void)
{
	while (f.task.next) {
		struct task *t = f.task.next;

		f.task.next = t->next;
		task_free(t);
	}
	f.s.n_tasks = 1;
}

/* Whoever wants us to miss the window of a dispute. */
static void however_many_offers_there_are_the_payers_task_is_looked_at(void **state)
{
	unsigned asked[41] = { 0 };

	(void)state;
	add_task();
	for (unsigned i = 0; i < 40; i++)
		(void)add_offer(i);
	for (unsigned turn = 0; turn < 20; turn++) {
		const struct task *t = f.s.tasks;

		rpc_reset(&f.s.batch);
		(void)rpc_add(&f.s.batch, "eth_blockNumber", "[]");
		task_look(&f.s);
		for (unsigned i = 0; t; t = t->next)
			asked[i++] += t->asked_at != 0;
	}
	assert_int_equal(asked[0], 20); /* in each turn */
	for (unsigned i = 1; i < 41; i++)
		assert_in_range(asked[i], 2, 3); /* and all of them in theirs */
	drop_offers();
}

static void those_at_stake_take_turns_beside_offers(void **state)
{
	struct task *t;
	unsigned n;

	(void)state;
	add_task();
	for (unsigned i = 0; i < 8; i++)
		(void)snprintf(add_offer(i)->phase, sizeof(t->phase), "%s",
			       i < 7 ? PHASE_RUNNING : PHASE_OFFERED); /* fits */
	for (unsigned turn = 0; turn < 2; turn++) {
		rpc_reset(&f.s.batch);
		(void)rpc_add(&f.s.batch, "eth_blockNumber", "[]");
		task_look(&f.s);
		for (n = 0, t = f.s.tasks; t; t = t->next)
			n += t->asked_at != 0;
		assert_int_equal(n, SETTLE_LOOK_TASKS);
	}
	for (t = f.s.tasks; t; t = t->next)
		assert_true(t->asked_turn);
	drop_offers();
}

/* One of the contract's logs: a task for us. */
static void see_offer(unsigned i)
{
	char log[900], topic[67], contract[43];
	const char *const told[] = { log, NULL };
	uint8_t hash[32];

	(void)abi_topic(SETTLEMENT_CREATED, hash);
	hex_format(hash, 32, topic);
	hex_format(f.s.settlement, 20, contract);
	(void)snprintf(log, sizeof(log),
		       "[{\"address\":\"%s\",\"topics\":[\"%s\",\"0x02%062x\",\"0x" ZEROS
		       "\",\"0x" ZEROS "\"],\"data\":\"0x" ZEROS ZEROS ZEROS ZEROS ZEROS
		       "\",\"transactionHash\":\"0x" ONE "\"}]",
		       contract, topic, i); /* fits */
	f.s.log_head = 0;
	watch_begin(&f.s, looked_at);
	answer(told);
}

static void offers_leave_room_for_our_own(void **state)
{
	static const struct lnx_metric_desc missed = { .name = "linnix_chain_offers_missed_total",
						       .help = "missed",
						       .kind = LNX_COUNTER };
	struct task *t;

	(void)state;
	add_task();
	assert_int_equal(f.s.host->metric(f.s.ctx, &missed, NULL, &f.s.m_missed), 0);
	f.conf.log_range = 2000;
	f.s.head = f.s.head_max = 100;
	for (unsigned i = 0; i < SETTLE_OFFERS - 1; i++)
		(void)add_offer(i);
	see_offer(1);
	assert_int_equal(f.s.n_tasks, SETTLE_OFFERS + 1);
	see_offer(2);
	assert_int_equal(f.s.n_tasks, SETTLE_OFFERS + 1);
	assert_int_equal((int)testhost_metric(f.t, "linnix_chain_offers_missed_total", ""), 1);
	assert_int_equal(testhost_health(f.t, "chain-tasks"), LNX_HEALTH_DEGRADED);
	(void)add_offer(SETTLE_OFFERS); /* by its id, or of ours */
	/* those that came to nothing make room soon */
	f.s.head_time = (uint64_t)settle_now_ms(&f.s) / 1000;
	for (t = f.task.next; t; t = t->next) {
		t->status = TASK_EXPIRED;
		t->is_dirty = 0;
		t->changed_ms = settle_now_ms(&f.s) - 3599999;
	}
	f.task.next->changed_ms--;
	task_sweep(&f.s);
	task_sweep(&f.s);
	assert_int_equal(f.s.n_tasks, SETTLE_OFFERS + 1);
	drop_offers();
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
		cmocka_unit_test_setup_teardown(
			however_many_offers_there_are_the_payers_task_is_looked_at, setup,
			teardown),
		cmocka_unit_test_setup_teardown(those_at_stake_take_turns_beside_offers, setup,
						teardown),
		cmocka_unit_test_setup_teardown(offers_leave_room_for_our_own, setup, teardown),
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
