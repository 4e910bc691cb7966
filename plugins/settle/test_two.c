/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Two endpoints of which one lies or is ill: what it may not bring about. */
#include "test_look.h"

#include "collect.h"

#define NOW "\"0x6553f100\"" /* TESTHOST_WALL_NS */
#define TX  "0x0707070707070707070707070707070707070707070707070707070707070707"

/* What an endpoint tells of head and task. */
struct told {
	unsigned head, status, amount, arbiter;
};

static const char *look_text(const struct told *told, char ret[1500])
{
	(void)snprintf(ret, 1500, "0x" ZEROS ZEROS ZEROS ZEROS "%064x%064x" ZEROS THREE "%064x",
		       0x96, told->status, told->amount); /* fits; the window ends with block 150 */
	return ret;
}

static void answer_look(const struct told *told)
{
	char head[120], task[1500], quoted[1600], dispute[300];
	const char *const texts[] = { head,    "\"0x9\"", "\"0x1\"",
				      FEES,    quoted,	  "\"0x" ZEROS ONE TWO "\"",
				      dispute, NULL };

	(void)snprintf(head, sizeof(head),
		       "{\"number\":\"0x%x\",\"timestamp\":" NOW ",\"baseFeePerGas\":\"0x7\"}",
		       told->head);
	(void)snprintf(quoted, sizeof(quoted), "\"%s\"", look_text(told, task));
	(void)snprintf(dispute, sizeof(dispute), "\"0x%064x" ZEROS ZEROS "\"", told->arbiter);
	answer(texts);
}

static void look_two(struct told a, struct told b)
{
	f.s.differs = NULL;
	look_begin(&f.s, looked_at);
	answer_look(&a);
	answer_look(&b);
}

static void unjudged_task(void)
{
	second_endpoint();
	add_task();
	f.conf.auto_dispute = 1;
	(void)snprintf(f.task.phase, sizeof(f.task.phase), "%s", PHASE_SUBMITTED); /* fits */
	memset(f.task.submit_tx, 0, 32);
}

static struct op *disputed(void)
{
	return op_find(&f.s, OP_DISPUTE, f.task.id, "");
}

/* ---- the payer */

static void a_receipt_that_could_not_be_judged_is_disputed_by_the_later_head(void **state)
{
	(void)state;
	unjudged_task();
	for (unsigned i = 0; i < 30; i++)
		look_two((struct told){ 10, 2, 1, 5 }, (struct told){ 80, 2, 1, 5 });
	assert_null(disputed()); /* the window is open for long */
	for (unsigned i = 0; i < 3; i++)
		look_two((struct told){ 10, 2, 1, 5 }, (struct told){ 149, 2, 1, 5 });
	assert_non_null(disputed());
	assert_int_equal(disputed()->state, OP_QUEUED);
	assert_string_equal(f.task.phase, PHASE_SUBMITTED);
	assert_true(strstr(f.task.reason, TASK_UNJUDGED) != NULL);
	/* judged in the end: no objection any more */
	(void)snprintf(f.task.phase, sizeof(f.task.phase), "%s", PHASE_VERIFIED); /* fits */
	task_due(&f.s);
	assert_int_equal(disputed()->state, OP_ABANDONED);
	/* and when another receipt takes its place, it is objected to again */
	(void)snprintf(f.task.phase, sizeof(f.task.phase), "%s", PHASE_REJECTED); /* fits */
	task_due(&f.s);
	assert_int_equal(disputed()->state, OP_QUEUED);
}

static void a_receipt_without_an_arbiter_that_could_not_be_judged_is_told(void **state)
{
	(void)state;
	unjudged_task();
	for (unsigned i = 0; i < 12; i++)
		look_two((struct told){ 150, 2, 1, 0 }, (struct told){ 150, 2, 1, 0 });
	assert_null(disputed());
	assert_int_equal(testhost_health(f.t, "chain-receipt"), LNX_HEALTH_DEGRADED);
	(void)snprintf(f.task.phase, sizeof(f.task.phase), "%s", PHASE_VERIFIED); /* fits */
	f.task.reason[0] = 0;
	task_due(&f.s);
	assert_int_equal(testhost_health(f.t, "chain-receipt"), LNX_HEALTH_OK);
}

/* It is not good, and silence pays it all the same. */
static void a_receipt_that_nobody_objects_to_is_told(void **state)
{
	(void)state;
	unjudged_task();
	(void)snprintf(f.task.phase, sizeof(f.task.phase), "%s", PHASE_REJECTED); /* fits */
	f.s.head = 100;
	f.task.dispute_deadline = 150;
	task_due(&f.s); /* it has no arbiter */
	assert_null(disputed());
	assert_int_equal(testhost_health(f.t, "chain-receipt"), LNX_HEALTH_DEGRADED);
	f.task.arbiter[0] = 1;
	f.conf.auto_dispute = 0;
	task_due(&f.s);
	assert_int_equal(testhost_health(f.t, "chain-receipt"), LNX_HEALTH_DEGRADED);
	f.conf.auto_dispute = 1;
	task_due(&f.s);
	assert_int_equal(disputed()->state, OP_QUEUED);
	assert_int_equal(testhost_health(f.t, "chain-receipt"), LNX_HEALTH_OK);
	/* the objection reverted: once more, as long as there is time for it */
	disputed()->state = OP_FAILED;
	task_due(&f.s);
	assert_int_equal(disputed()->state, OP_QUEUED);
	disputed()->state = OP_FAILED;
	f.s.head = 150;
	task_due(&f.s);
	assert_int_equal(disputed()->state, OP_FAILED);
	assert_int_equal(testhost_health(f.t, "chain-receipt"), LNX_HEALTH_DEGRADED);
	f.task.status = TASK_SETTLED;
	task_due(&f.s);
	assert_int_equal(testhost_health(f.t, "chain-receipt"), LNX_HEALTH_OK);
}

/* What sends money home, or to us, is not given up for one revert. */
static void what_is_due_and_reverted_is_tried_again_when_that_is_deep(void **state)
{
	struct op *op;

	(void)state;
	add_task();
	f.task.status = TASK_CREATED;
	f.task.deadline = 90;
	f.s.head = 100;
	task_due(&f.s);
	op = op_find(&f.s, OP_EXPIRE, f.task.id, "");
	assert_non_null(op);
	op->state = OP_FAILED;
	op->n_attempts = 1;
	op->id = 1;
	op->block = 101;
	task_due(&f.s);
	assert_int_equal(op->state, OP_FAILED);
	f.s.head = 101 + f.conf.reorg_depth;
	task_due(&f.s);
	assert_ptr_not_equal(op_find(&f.s, OP_EXPIRE, f.task.id, ""), op);
	assert_int_equal(op_find(&f.s, OP_EXPIRE, f.task.id, "")->state, OP_QUEUED);
}

static void of_two_receipts_none_is_judged_and_silence_pays_none(void **state)
{
	(void)state;
	unjudged_task();
	f.task.status = TASK_CREATED;
	memset(f.task.submit_tx, 7, 32);
	look_two((struct told){ 100, 2, 1, 5 }, (struct told){ 100, 2, 3, 5 });
	assert_int_equal(f.task.status, TASK_SUBMITTED);
	assert_non_null(f.s.differs);
	proof_begin(&f.s, looked_at);
	assert_int_equal(f.turns, 2); /* nothing was asked */
	for (unsigned i = 0; i < 12; i++)
		look_two((struct told){ 149, 2, 1, 5 }, (struct told){ 149, 2, 3, 5 });
	assert_non_null(disputed());
	/* one that was judged stays so */
	(void)snprintf(f.task.phase, sizeof(f.task.phase), "%s", PHASE_VERIFIED); /* fits */
	look_two((struct told){ 149, 2, 3, 5 }, (struct told){ 149, 2, 1, 5 });
	assert_string_equal(f.task.phase, PHASE_VERIFIED);
}

static void a_task_that_we_made_is_not_hidden(void **state)
{
	struct op *op;

	(void)state;
	unjudged_task();
	f.task.status = TASK_NONE;
	look_two((struct told){ 100, 0, 0, 5 }, (struct told){ 100, 2, 1, 5 });
	assert_int_equal(f.task.status, TASK_NONE);
	task_queue_create(&f.s, &f.task);
	op = op_find(&f.s, OP_CREATE, f.task.id, "");
	assert_non_null(op);
	op->state = OP_CONFIRMED;
	op->block = 90;
	look_two((struct told){ 100, 0, 0, 5 }, (struct told){ 100, 2, 1, 5 });
	assert_int_equal(f.task.status, TASK_SUBMITTED);
}

/* ---- the payee */

static void one_lie_does_not_end_an_offer(void **state)
{
	static const unsigned lies[] = { 2, 4 };
	struct collector running = { .s = &f.s };

	(void)state;
	second_endpoint();
	add_task();
	f.task.role = TASK_PAYEE;
	for (unsigned i = 0; i < 2; i++) {
		f.task.status = TASK_CREATED;
		(void)snprintf(f.task.phase, sizeof(f.task.phase), "%s", PHASE_OFFERED); /* fits */
		look_two((struct told){ 100, 1, 0, 5 }, (struct told){ 100, lies[i], 0, 5 });
		assert_int_equal(f.task.status, lies[i]);
		assert_string_not_equal(f.task.phase, PHASE_OFFERED);
		look_two((struct told){ 100, 1, 0, 5 }, (struct told){ 100, 1, 0, 5 });
		assert_string_equal(f.task.phase, PHASE_OFFERED);
	}
	/* nor work that runs */
	f.s.collectors = &running;
	look_two((struct told){ 100, 1, 0, 5 }, (struct told){ 100, 2, 0, 5 });
	look_two((struct told){ 100, 1, 0, 5 }, (struct told){ 100, 1, 0, 5 });
	assert_string_equal(f.task.phase, PHASE_RUNNING);
	f.s.collectors = NULL;
}

static void two_tasks(const char *allowance)
{
	char task[1500], quoted[1600], amount[80];
	const struct told created = { 100, 1, 0, 5 };
	const char *ext = "\"0x" ZEROS ZEROS ZEROS "\"";
	const char *const texts[] = { HEAD, "\"0x9\"", "\"0x1\"", FEES,	  quoted,
				      ext,  "!",       amount,	  amount, quoted,
				      ext,  "!",       amount,	  amount, NULL };

	(void)snprintf(quoted, sizeof(quoted), "\"%s\"", look_text(&created, task));
	(void)snprintf(amount, sizeof(amount), "\"0x%s\"", allowance);
	look_begin(&f.s, looked_at);
	answer(texts);
}

static void one_allowance_does_not_cover_two_tasks(void **state)
{
	static struct task other;

	(void)state;
	add_task();
	f.task.role = TASK_PAYEE;
	f.task.status = TASK_CREATED;
	f.task.is_escrow = 0;
	other = f.task;
	other.id[0] = 1;
	f.task.next = &other;
	(void)snprintf(f.task.phase, sizeof(f.task.phase), "%s", PHASE_OFFERED); /* fits */
	(void)snprintf(other.phase, sizeof(other.phase), "%s", PHASE_OFFERED);	 /* fits */
	two_tasks(THREE);
	assert_true(f.task.is_covered && other.is_covered); /* whichever begins */
	(void)snprintf(other.phase, sizeof(other.phase), "%s", PHASE_RUNNING); /* fits */
	two_tasks(THREE);
	assert_false(f.task.is_covered);
	assert_true(other.is_covered);
	two_tasks("0000000000000000000000000000000000000000000000000000000000000006");
	assert_true(f.task.is_covered);
}

/* ---- logs */

static unsigned questions_of_logs(unsigned turns)
{
	const char *const none[] = { "[]", NULL };
	unsigned n = 0;

	while (turns--) {
		watch_begin(&f.s, looked_at);
		if (!f.s.batch.n)
			continue;
		n++;
		answer(none);
	}
	return n;
}

static void logs_are_not_read_again_without_end_for_one_task(void **state)
{
	struct op *op;

	(void)state;
	unjudged_task();
	f.s.rpc.endpoints[1].rest_ns = UINT64_MAX;
	f.conf.log_range = 2000;
	task_queue_create(&f.s, &f.task);
	op = op_find(&f.s, OP_CREATE, f.task.id, "");
	op->state = OP_CONFIRMED;
	op->block = 1000;
	f.task.status_block = 2500;
	f.s.head = f.s.head_max = f.s.log_head = f.s.log_block = 5000;
	assert_int_equal(questions_of_logs(50), 2); /* from its create to the head */
	assert_int_equal(f.s.log_block, 5000);
	/* one that tells of a lower head does not set back what was read */
	f.s.head = 4000;
	assert_true(questions_of_logs(50) >= 1);
	assert_int_equal(f.s.log_block, 5000);
	/* a new block: one more piece, in case that somebody hid it */
	f.s.head = f.s.head_max = f.s.log_head = 5001;
	assert_int_equal(questions_of_logs(50), 1);
}

/* ---- ill endpoints */

static void look_heads(const char *a, const char *b)
{
	const char *const first[] = { a, "\"0x9\"", "\"0x1\"", FEES, NULL };
	const char *const second[] = { b, "\"0x9\"", "\"0x1\"", FEES, NULL };

	f.s.at = 0;
	look_begin(&f.s, looked_at);
	answer(first);
	answer(second);
}

static void a_clock_that_is_ahead_makes_nobody_late(void **state)
{
	(void)state;
	second_endpoint();
	/* blocks pause since long, by our clock */
	look_heads("{\"number\":\"0x96\",\"timestamp\":\"0x1000\"}",
		   "{\"number\":\"0x64\",\"timestamp\":\"0xff0\"}");
	assert_int_equal(f.s.rpc.endpoints[1].failures, 0);
	assert_int_equal(f.s.head, 100);
	assert_int_equal(f.s.head_max, 150);
	/* one that is */
	look_heads("{\"number\":\"0x96\",\"timestamp\":\"0x1000\"}",
		   "{\"number\":\"0x64\",\"timestamp\":\"0xf00\"}");
	assert_int_equal(f.s.rpc.endpoints[1].failures, 1);
	assert_int_equal(f.s.rpc.endpoints[1].head, 0);
	assert_int_equal(f.s.head, 150);
	/* what one told that failed makes nobody late either */
	f.s.rpc.endpoints[1].head = 5000;
	f.s.rpc.endpoints[1].head_time = 0x2000;
	rpc_failed(&f.s.rpc, 1, 0, "gone");
	assert_int_equal(f.s.rpc.endpoints[1].head, 0);
}

static void failures_are_forgotten_after_a_good_look_only(void **state)
{
	const char *const nonce[] = { "\"0x9\"", NULL };
	const char *const bad[] = { "null", "\"0x9\"", "\"0x1\"", FEES, NULL };
	const char *const good[] = { HEAD, "\"0x9\"", "\"0x1\"", FEES, NULL };
	uint64_t first = 0, now = testhost_now(f.t);

	(void)state;
	f.s.is_stopping = 1;
	for (unsigned i = 0; i < 6; i++) {
		f.s.at = 0;
		(void)rpc_add(&f.s.batch, "eth_blockNumber", "[]");
		settle_ask(&f.s, looked_at); /* the guards are content */
		answer(nonce);
		look_begin(&f.s, looked_at);
		answer(bad);
		assert_int_equal(f.s.at, -1);
		if (!i)
			first = f.s.rpc.endpoints[0].rest_ns - now;
	}
	assert_true(f.s.rpc.endpoints[0].rest_ns - now > 10 * first);
	f.s.at = 0;
	look_begin(&f.s, looked_at);
	answer(good);
	assert_int_equal(f.s.rpc.endpoints[0].failures, 0);
}

static void the_one_behind_the_lost_one_is_next(void **state)
{
	(void)state;
	second_endpoint();
	f.s.is_stopping = 1;
	f.s.at = 0;
	settle_lost(&f.s, "ill");
	f.s.is_stopping = 0;
	settle_turn(&f.s);
	assert_int_equal(f.s.at, 1);
}

static void a_turn_is_not_cut_off_for_the_guards_of_another(void **state)
{
	const char *const nonce[] = { "\"0x9\"", NULL };

	(void)state;
	second_endpoint();
	f.s.is_stopping = 1;
	f.s.rpc.endpoints[1].is_guarded = 0;
	(void)rpc_add(&f.s.batch, "eth_blockNumber", "[]");
	settle_ask_twin(&f.s, 1, looked_at);
	answer(nonce);
	assert_int_equal(f.turns, 1); /* it counts as silent */
	rpc_reset(&f.s.batch);
	/* both are asked when the next one begins */
	f.s.is_stopping = 0;
	settle_turn(&f.s);
	assert_string_equal(f.s.batch.calls[0].method, "eth_chainId");
	assert_false(f.s.rpc.endpoints[0].is_guarded);
}

static void one_that_cannot_ask_the_contracts_refuses_nothing(void **state)
{
	const char *zero = "\"0x" ZEROS "\"", *ext = "\"0x" ZEROS ZEROS ZEROS "\"",
		   *code = "\"0x60\"";
	const char *const first[] = { "\"0x1\"", code, code, code,     zero, zero,
				      zero,	 zero, ext,  "\"0x\"", NULL };
	const char *const second[] = {
		"\"0x1\"", code, code, code, zero, zero, zero, "!", "!", NULL
	};

	(void)state;
	second_endpoint();
	f.s.is_stopping = 1;
	f.conf.chain_id = 1;
	f.s.rpc.endpoints[0].is_guarded = 0;
	guard_begin(&f.s, looked_at);
	answer(first);
	answer(second);
	assert_int_equal(f.s.state, CHAIN_READY);
	assert_int_equal(f.turns, 1);
	assert_false(f.s.rpc.endpoints[1].is_guarded);
}

/* ---- fees */

static void look_fees(const char *base, const char *nonce, const char *balance, const char *tip)
{
	char head[120], fees[80];
	const char *const first[] = { HEAD, "\"0x9\"", "\"0x1\"", "{\"reward\":[[\"0x10\"]]}",
				      NULL };
	const char *const second[] = { head, nonce, balance, fees, NULL };

	(void)snprintf(head, sizeof(head),
		       "{\"number\":\"0x64\",\"timestamp\":\"0x1\",\"baseFeePerGas\":\"%s\"}",
		       base);
	(void)snprintf(fees, sizeof(fees), "{\"reward\":[[\"%s\"]]}", tip);
	f.s.differs = NULL;
	look_begin(&f.s, looked_at);
	answer(first);
	answer(second);
}

static void one_alone_is_not_believed_on_fees(void **state)
{
	(void)state;
	second_endpoint();
	look_fees("0x8", "\"0x9\"", "\"0x1\"", "0x10");
	assert_null(f.s.differs);
	look_fees("0x70", "\"0x9\"", "\"0x1\"", "0x10");
	assert_string_equal(f.s.differs, "the base fee");
	look_fees("0x7", "\"0x7\"", "\"0x1\"", "0x10");
	assert_string_equal(f.s.differs, "the nonce");
	assert_int_equal(f.s.nonce_latest, 7);
	look_fees("0x7", "\"0x9\"", "\"0x5\"", "0x10");
	assert_string_equal(f.s.differs, "the balance");
	assert_int_equal(f.s.balance.b[31], 5);
	look_fees("0x7", "\"0x9\"", "\"0x1\"", "0x2");
	assert_string_equal(f.s.differs, "the tip");
	assert_int_equal(f.s.tip, 2);
}

static void plan_one(struct op *op, const char *a, const char *b)
{
	const char *const first[] = { a, NULL }, *const second[] = { b, NULL };

	f.s.differs = NULL;
	op->next_try_ns = 0;
	plan_begin(&f.s, looked_at);
	answer(first);
	answer(second);
	assert_int_equal(op->state, OP_QUEUED);
}

static void one_alone_is_not_believed_on_gas(void **state)
{
	struct op *op = add_op(0, OP_QUEUED);

	(void)state;
	second_endpoint();
	f.s.is_stopping = 1;
	op->kind = OP_REGISTER;
	f.s.base_fee = 1;
	f.conf.max_fee_gwei = 100;
	f.conf.max_tx_cost_gwei = 1; /* 10^9 wei */
	plan_one(op, "!", "\"0x5208\"");
	assert_non_null(f.s.differs);
	plan_one(op, "\"0xfffffffff\"", "\"0x5208\"");
	assert_non_null(f.s.differs);
	plan_one(op, "\"0x100\"", "\"0x5208\"");
	assert_non_null(f.s.differs);
	plan_one(op, "\"0x5208\"", "\"0x5209\"");
	assert_null(f.s.differs);
}

static void sent_to_one_is_sent(void **state)
{
	const char *const no[] = { "!", NULL }, *const yes[] = { "\"" TX "\"", NULL };
	struct op *op = add_op(0, OP_SIGNED);
	uint8_t raw[1] = { 2 };

	(void)state;
	second_endpoint();
	op->attempts[0].raw = raw;
	op->attempts[0].n_raw = 1;
	f.conf.resend_ns = SETTLE_SEC;
	send_begin(&f.s, looked_at);
	answer(no);
	answer(no);
	assert_int_equal(op->state, OP_SIGNED);
	op->attempts[0].last_sent_ns = 0;
	send_begin(&f.s, looked_at);
	answer(no);
	answer(yes);
	assert_int_equal(op->state, OP_SENT);
	op->attempts[0].raw = NULL;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_receipt_that_could_not_be_judged_is_disputed_by_the_later_head, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			a_receipt_without_an_arbiter_that_could_not_be_judged_is_told, setup,
			teardown),
		cmocka_unit_test_setup_teardown(a_receipt_that_nobody_objects_to_is_told, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			what_is_due_and_reverted_is_tried_again_when_that_is_deep, setup, teardown),
		cmocka_unit_test_setup_teardown(
			of_two_receipts_none_is_judged_and_silence_pays_none, setup, teardown),
		cmocka_unit_test_setup_teardown(a_task_that_we_made_is_not_hidden, setup, teardown),
		cmocka_unit_test_setup_teardown(one_lie_does_not_end_an_offer, setup, teardown),
		cmocka_unit_test_setup_teardown(one_allowance_does_not_cover_two_tasks, setup,
						teardown),
		cmocka_unit_test_setup_teardown(logs_are_not_read_again_without_end_for_one_task,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_clock_that_is_ahead_makes_nobody_late, setup,
						teardown),
		cmocka_unit_test_setup_teardown(failures_are_forgotten_after_a_good_look_only,
						setup, teardown),
		cmocka_unit_test_setup_teardown(the_one_behind_the_lost_one_is_next, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_turn_is_not_cut_off_for_the_guards_of_another,
						setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_cannot_ask_the_contracts_refuses_nothing,
						setup, teardown),
		cmocka_unit_test_setup_teardown(one_alone_is_not_believed_on_fees, setup, teardown),
		cmocka_unit_test_setup_teardown(one_alone_is_not_believed_on_gas, setup, teardown),
		cmocka_unit_test_setup_teardown(sent_to_one_is_sent, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
