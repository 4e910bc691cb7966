/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What is out and does not end holds up nothing that protects money, and no clock stops it. */
#include "test_out.h"

#define DAY_NS (86400 * SETTLE_SEC)

/* ---- clocks */

static void a_clock_that_is_set_back_delays_nothing(void **state)
{
	struct op *op = add_op(0, OP_QUEUED), *out;

	(void)state;
	op->kind = OP_REGISTER;
	op->n_attempts = 0;
	op_later(&f.s, op, "not now");
	step_ns = -(int64_t)DAY_NS;
	plan_begin(&f.s, looked_at);
	assert_null(f.s.plan);
	on(SETTLE_SEC);
	plan_begin(&f.s, looked_at);
	assert_ptr_equal(f.s.plan, op);
	rpc_reset(&f.s.batch);
	f.s.rpc.asks[0].e = NULL;
	op->state = OP_ABANDONED;
	/* nor are bytes sent later, or their price raised later */
	out = add_out(1);
	step_ns -= (int64_t)DAY_NS;
	on(11 * SETTLE_SEC);
	send_begin(&f.s, looked_at);
	assert_int_equal(f.s.batch.n, 1);
	rpc_reset(&f.s.batch);
	f.s.rpc.asks[0].e = NULL;
	on(30 * SETTLE_SEC);
	plan_begin(&f.s, looked_at);
	assert_int_equal(out->n_attempts, 2);
	assert_int_equal(out->attempts[1].nonce, 1);
}

static void a_clock_that_was_set_back_before_a_restart_delays_little(void **state)
{
	struct op *op = add_op(0, OP_QUEUED), *out = add_out(1);

	(void)state;
	op_later(&f.s, op, "not now");
	step_ns = -(int64_t)DAY_NS;
	op_restore(&f.s, op);
	assert_true(op->next_try_ns <= testhost_now(f.t) + 64 * SETTLE_SEC);
	op_restore(&f.s, out);
	assert_true(out->attempts[0].first_sent_ns <= testhost_now(f.t));
	assert_true(testhost_now(f.t) - out->attempts[0].first_sent_ns <= f.conf.bump_ns);
	step_ns = (int64_t)DAY_NS;
	op_restore(&f.s, op);
	assert_int_equal(op->next_try_ns, testhost_now(f.t));
	op_restore(&f.s, out);
	assert_int_equal(testhost_now(f.t) - out->attempts[0].first_sent_ns, f.conf.bump_ns);
}

/* ---- what is hidden holds up nothing */

static void a_dispute_waits_for_nothing_that_is_out(void **state)
{
	struct op *create = add_out(0), *settle = add_op(1, OP_QUEUED),
		  *dispute = add_op(2, OP_QUEUED);

	(void)state;
	create->kind = OP_CREATE;
	settle->n_attempts = dispute->n_attempts = 0;
	dispute->kind = OP_DISPUTE;
	plan_begin(&f.s, looked_at);
	assert_ptr_equal(f.s.plan, dispute);
	f.s.rpc.asks[0].e = NULL;
	rpc_reset(&f.s.batch);
	/* under the nonce behind */
	f.s.nonce_latest = 0;
	assert_int_equal(op_next_nonce(&f.s), 1);
	f.s.nonce_latest = 1; /* the one that is out is in the chain, whatever is told of it */
	assert_int_equal(op_next_nonce(&f.s), 1);
}

#define GWEI 1000000000ull

/* Signed and sent with nonce <i>, at that fee. */
static struct op *add_dear(unsigned i, uint32_t kind, uint64_t fee)
{
	struct op *op = add_out(i);

	op->kind = kind;
	op->attempts[0].fee_wei = fee;
	f.s.nonce_latest = 0;
	return op;
}

/* A nonce that no node has holds up all behind it: what takes its place is signed once at the highest fee, and sent again. */
static void a_cancel_is_signed_whatever_the_fees(void **state)
{
	struct op *op = add_dear(0, OP_CREATE, 99 * GWEI);

	(void)state;
	f.s.base_fee = 500 * GWEI;
	u256_from_u64(1ull << 62, &f.s.balance);
	op_unwant(&f.s, op, OP_TAKEN_BACK);
	plan_begin(&f.s, looked_at);
	assert_int_equal(op->n_attempts, 2);
	assert_true(op->attempts[1].is_cancel);
	assert_true(op->attempts[1].fee_wei == 100 * GWEI);
	assert_true(op->attempts[1].tip_wei <= 100 * GWEI);
	assert_int_equal(op->attempts[1].gas, 100000); /* as not everywhere 21,000 suffice */
	for (unsigned i = 0; i < 3; i++) {
		send_begin(&f.s, looked_at);
		assert_int_equal(f.s.batch.n, 1);
		rpc_reset(&f.s.batch);
		f.s.rpc.asks[0].e = NULL;
		op->state = OP_SENT;
		on(40 * SETTLE_SEC);
		plan_begin(&f.s, looked_at);
		assert_int_equal(op->n_attempts, 2);
	}
}

/* It can be paid with less gas only. */
static void a_cancel_gets_what_may_be_spent(void **state)
{
	struct op *op = add_dear(0, OP_CREATE, 10 * GWEI);

	(void)state;
	u256_from_u64(30000 * 12 * GWEI, &f.s.balance);
	op_unwant(&f.s, op, OP_TAKEN_BACK);
	plan_begin(&f.s, looked_at);
	assert_int_equal(op->n_attempts, 2);
	assert_int_equal(op->attempts[1].gas, OP_CANCEL_GAS);
}

/* What may not cost more makes way for a dispute behind it. */
static void what_is_stuck_makes_way_for_a_dispute(void **state)
{
	struct op *create = add_dear(0, OP_CREATE, 100 * GWEI), *dispute;

	(void)state;
	on(40 * SETTLE_SEC);
	plan_begin(&f.s, looked_at);
	assert_null(create->unwanted);
	assert_int_equal(create->n_attempts, 1);
	dispute = add_dear(1, OP_DISPUTE, 2000);
	plan_begin(&f.s, looked_at);
	assert_string_equal(create->unwanted, OP_MADE_WAY);
	assert_int_equal(create->n_attempts, 2);
	assert_true(create->attempts[1].is_cancel);
	assert_null(dispute->unwanted);
}

/* Its end hurries it, and never ends it: one endpoint could tell of an early one. */
static void a_dispute_is_in_haste_near_its_end(void **state)
{
	struct op *op;
	char why[TASK_ERROR];

	(void)state;
	add_task();
	f.task.dispute_deadline = 120;
	assert_int_equal(task_wish(&f.s, &f.task, "dispute", "bad", 0, why), 0);
	op = op_find(&f.s, OP_DISPUTE, f.task.id, "");
	assert_int_equal(op->not_after_block, 120);
	f.conf.deadline_margin = 30;
	plan_begin(&f.s, looked_at);
	assert_ptr_equal(f.s.plan, op);
	f.s.rpc.asks[0].e = NULL;
	rpc_reset(&f.s.batch);
	assert_int_equal(op_sign(&f.s, op, 100000, 1000, 2000), 0);
	op->state = OP_SENT;
	op->attempts[0].first_sent_ns = testhost_now(f.t);
	on(16 * SETTLE_SEC);
	f.s.head = 130;
	plan_begin(&f.s, looked_at);
	assert_int_equal(op->n_attempts, 2);
	assert_false(op->attempts[1].is_cancel);
	assert_null(op->unwanted);
}

/* What a node says is never taken for what we decided. */
static void a_node_that_speaks_as_we_do_decides_nothing(void **state)
{
	static const char body[] =
		"[{\"jsonrpc\":\"2.0\",\"id\":%llu,\"error\":{\"message\":\"taken back: x\"}}]";
	struct op *op = add_out(0);
	struct rpc_ask *a;
	char text[200];

	(void)state;
	op->attempts[0].last_sent_ns = 0;
	send_begin(&f.s, looked_at);
	a = f.ask.arg;
	(void)snprintf(text, sizeof(text), body, (unsigned long long)a->first_id); /* fits */
	assert_int_equal(f.ask.on_body(f.ask.arg, text, strlen(text)), 0);
	f.ask.on_done(f.ask.arg, 0, 200, "");
	assert_string_equal(op->error, "the node: taken back: x");
	op_restore(&f.s, op);
	assert_null(op->unwanted);
}

/* Of status <status> at the second endpoint; the first tells of no task. */
static void look_hidden(const char *status)
{
	char task[700];
	const char *ext = "\"0x" ZEROS ONE TWO "\"",
		   *none = "\"0x" ZEROS ZEROS ZEROS ZEROS ZEROS ZEROS ZEROS ZEROS ZEROS "\"";
	const char *const first[] = {
		HEAD, "\"0x9\"", "\"0x1\"", FEES, "null", none, ext, "!", NULL
	};
	const char *const second[] = { HEAD,
				       "\"0x9\"",
				       "\"0x1\"",
				       FEES,
				       "{\"blockHash\":\"" BAD_WORD "\",\"status\":\"0x1\"}",
				       task,
				       ext,
				       "!",
				       NULL };
	const char *const deep[] = { "\"0x0\"", NULL };

	(void)snprintf(task, sizeof(task),
		       "\"0x" ZEROS ZEROS ZEROS ZEROS ZEROS "%s" ZEROS THREE ONE "\"", status);
	look_begin(&f.s, looked_at);
	answer(first);
	answer(second);
	answer(deep);
	answer(deep);
}

static void a_receipt_is_seen_though_the_create_is_hidden(void **state)
{
	struct op *op;

	(void)state;
	second_endpoint();
	add_task();
	memset(f.s.address, 0, 20); /* the payer in the answers */
	f.task.status = TASK_NONE;
	(void)snprintf(f.task.phase, sizeof(f.task.phase), "%s", PHASE_ACCEPTED); /* fits */
	task_queue_create(&f.s, &f.task);
	op = op_find(&f.s, OP_CREATE, f.task.id, "");
	assert_int_equal(op_sign(&f.s, op, 100000, 1000, 2000), 0);
	op->state = OP_SENT;
	look_hidden(ONE);
	assert_int_equal(f.task.status, TASK_NONE); /* nothing to be late for */
	look_hidden(TWO);
	assert_int_equal(f.task.status, TASK_SUBMITTED);
	assert_int_equal(op->state, OP_SENT);
}

/* ---- many that are out */

/* Eight that were mined, by the word of the second endpoint alone. */
static void look_eight(const char *first)
{
	const char *const one[] = { HEAD,  "\"0x0\"", "\"0x1\"", FEES,	first, first, first,
				    first, first,     first,	 first, first, NULL };
	const char *mined = "{\"blockHash\":\"" BAD_WORD "\",\"status\":\"0x1\"}";
	const char *const two[] = { HEAD,  "\"0x0\"", "\"0x1\"", FEES,	mined, mined, mined,
				    mined, mined,     mined,	 mined, mined, NULL };
	const char *const deep[] = { "\"0x0\"", NULL };

	f.s.n_tasks = 0;
	look_begin(&f.s, looked_at);
	answer(one);
	answer(two);
	answer(deep);
	answer(deep);
}

static struct op *eight_and_one(void)
{
	struct op *ninth;

	for (unsigned i = 0; i < 8; i++)
		add_out(i)->kind = OP_DISPUTE;
	ninth = add_op(8, OP_QUEUED);
	ninth->n_attempts = 0;
	ninth->kind = OP_DISPUTE;
	f.s.nonce_latest = 0;
	return ninth;
}

static void plan_nothing(void)
{
	plan_begin(&f.s, looked_at);
	assert_null(f.s.plan);
}

static void planned(const struct op *op)
{
	plan_begin(&f.s, looked_at);
	assert_ptr_equal(f.s.plan, op);
	f.s.rpc.asks[0].e = NULL;
	rpc_reset(&f.s.batch);
}

static void eight_that_are_hidden_hold_up_no_ninth(void **state)
{
	struct op *ninth = eight_and_one();

	(void)state;
	second_endpoint();
	plan_nothing(); /* nobody tells that one of them was mined: it could not be mined before them */
	assert_int_equal(testhost_health(f.t, "chain-outbox"), LNX_HEALTH_DEGRADED);
	look_eight("null");
	assert_int_equal(f.ops[0].state, OP_SENT);
	planned(ninth);
	assert_int_equal(testhost_health(f.t, "chain-outbox"), LNX_HEALTH_OK);
	look_eight("!"); /* nor does one that answers with an error hide them any better */
	planned(ninth);
	/* or their nonces are used, whatever of */
	for (unsigned i = 0; i < 8; i++)
		f.ops[i].is_told = 0;
	plan_nothing();
	f.s.nonce_told = 3;
	planned(ninth);
}

static void of_those_that_protect_each_has_its_turn(void **state)
{
	struct op *out = add_out(0), *settle = add_op(1, OP_QUEUED), *a = add_op(2, OP_QUEUED),
		  *b = add_op(3, OP_QUEUED);

	(void)state;
	settle->n_attempts = a->n_attempts = b->n_attempts = 0;
	a->kind = b->kind = OP_DISPUTE;
	planned(a);
	planned(b); /* though the first is tried again at once */
	planned(a);
	out->state = OP_CONFIRMED;
	/* and they and others take turns */
	planned(b);
	planned(settle);
	planned(a);
	planned(settle);
}

/* All that are out are slow, in every turn: there is time for what waits between. */
static void better_prices_hold_up_no_dispute(void **state)
{
	struct op *dispute;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		(void)add_out(i);
	dispute = add_op(4, OP_QUEUED);
	dispute->n_attempts = 0;
	dispute->kind = OP_DISPUTE;
	f.s.nonce_latest = 0;
	on(40 * SETTLE_SEC);
	plan_nothing();
	assert_int_equal(f.ops[0].n_attempts, 2);
	planned(dispute);
	plan_nothing();
	assert_int_equal(f.ops[1].n_attempts, 2);
}

static void what_was_not_sent_for_longest_is_sent_first(void **state)
{
	unsigned sent[20] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		(void)add_out(i);
	f.ops[19].attempts[0].last_sent_ns = 0;
	for (unsigned turn = 0; turn < 3; turn++) {
		on(11 * SETTLE_SEC); /* all of them are due, in every turn */
		send_begin(&f.s, looked_at);
		assert_int_equal(f.s.batch.n, 8);
		for (unsigned i = 0; i < 20; i++)
			sent[i] += f.ops[i].is_asked;
		assert_true(sent[19]);
		rpc_reset(&f.s.batch);
		f.s.rpc.asks[0].e = NULL;
	}
	for (unsigned i = 0; i < 20; i++)
		assert_true(sent[i]);
}

/* ---- when is it done? */

static void look_tag(const char *one, const char *other)
{
	char head[2][40];
	const char *const *told[2];
	const char *const a[] = { HEAD, "\"0x9\"", "\"0x1\"", FEES, head[0], NULL };
	const char *const b[] = { HEAD, "\"0x9\"", "\"0x1\"", FEES, head[1], NULL };

	told[0] = a;
	told[1] = b;
	(void)snprintf(head[0], sizeof(head[0]), "%s%s%s", *one == '!' ? "" : "{\"number\":\"", one,
		       *one == '!' ? "" : "\"}");
	(void)snprintf(head[1], sizeof(head[1]), "%s%s%s", *other == '!' ? "" : "{\"number\":\"",
		       other, *other == '!' ? "" : "\"}");
	look_begin(&f.s, looked_at);
	for (unsigned i = 0; i < 2; i++)
		answer(told[i]);
}

static void what_is_final_is_asked_of_both_nodes(void **state)
{
	(void)state;
	second_endpoint();
	f.s.confirmations = 0;
	f.s.deep_tag = "finalized";
	look_tag("0x40", "0x40");
	assert_int_equal(f.s.deep_block, 0x40);
	look_tag("0x50", "0x30");
	assert_int_equal(f.s.deep_block, 0x30);
	look_tag("0x30", "0x50");
	assert_int_equal(f.s.deep_block, 0x30);
	look_tag("0x500", "0x500");
	assert_int_equal(f.s.deep_block, 100); /* not over the newest */
	assert_int_equal(testhost_health(f.t, "chain-confirmations"), LNX_HEALTH_OK);
	look_tag("0x40", "!");
	assert_int_equal(f.s.deep_block, 0);
	assert_int_equal(testhost_health(f.t, "chain-confirmations"), LNX_HEALTH_DEGRADED);
	look_tag("!", "0x40");
	assert_int_equal(f.s.deep_block, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_clock_that_is_set_back_delays_nothing),
		TEST(a_clock_that_was_set_back_before_a_restart_delays_little),
		TEST(a_dispute_waits_for_nothing_that_is_out),
		TEST(a_cancel_is_signed_whatever_the_fees),
		TEST(a_cancel_gets_what_may_be_spent),
		TEST(what_is_stuck_makes_way_for_a_dispute),
		TEST(a_dispute_is_in_haste_near_its_end),
		TEST(a_node_that_speaks_as_we_do_decides_nothing),
		TEST(a_receipt_is_seen_though_the_create_is_hidden),
		TEST(eight_that_are_hidden_hold_up_no_ninth),
		TEST(of_those_that_protect_each_has_its_turn),
		TEST(better_prices_hold_up_no_dispute),
		TEST(what_was_not_sent_for_longest_is_sent_first),
		TEST(what_is_final_is_asked_of_both_nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
