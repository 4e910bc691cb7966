/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What is out and does not end: it is taken back, holds up nothing that protects money, and no clock stops it. */
#include "test_look.h"

#include "astray.h"
#include "options.h"
#include "prepare.h"
#include "tx1559.h"

#include <unistd.h>

#define DAY_NS	 (86400 * SETTLE_SEC)
#define ADDRESS	 "0x000000000000000000000000000000000000beef"
#define SIXTEEN	 "0000000000000000000000000000000000000000000000000000000000000010"
#define BAD_WORD "0x0000000000000000000000000000000000000000000000000000000000000bad"

/* ---- a host whose clock can be stepped */

static struct lnx_host host;
static int64_t step_ns;

static uint64_t stepped(struct lnx_ctx *ctx, uint64_t boot_ns)
{
	return testhost_host(f.t)->wall_ns(ctx, boot_ns) + (uint64_t)step_ns;
}

static int setup_key(void **state)
{
	static uint8_t key[SECP_KEY];
	char why[200];

	key[31] = 7;
	if (setup(state) || secp_open(&f.s.secp, why, sizeof(why)))
		return -1;
	f.s.key = key;
	assert_int_equal(secp_address(f.s.secp, key, f.s.address), 0);
	host = *f.s.host;
	host.wall_ns = stepped;
	step_ns = 0;
	f.s.host = &host;
	f.s.rpc.host = &host;
	f.s.is_stopping = 1;
	f.conf.chain_id = 1;
	f.conf.max_fee_gwei = 100;
	f.conf.max_tx_cost_gwei = 1000000000;
	f.conf.bump_ns = 30 * SETTLE_SEC;
	f.conf.resend_ns = 10 * SETTLE_SEC;
	f.conf.reorg_depth = 32;
	f.s.head = f.s.head_max = f.s.deep_block = 100;
	return 0;
}

static int teardown_key(void **state)
{
	for (struct op *op = f.s.ops; op; op = op->next)
		for (uint32_t i = 0; op->n_data == 0 && i < op->n_attempts; i++) {
			free(op->attempts[i].raw); /* signed for one of f.ops */
			op->attempts[i].raw = NULL;
		}
	secp_close(f.s.secp);
	return teardown(state);
}

/* Signed, sent, and not seen since. */
static struct op *add_out(unsigned i)
{
	struct op *op = add_op(i, OP_QUEUED);

	op->n_attempts = 0;
	f.s.nonce_latest = i;
	f.s.nonce_floor = 0;
	assert_int_equal(op_sign(&f.s, op, 100000, 1000, 2000), 0);
	op->state = OP_SENT;
	op->attempts[0].first_sent_ms = settle_now_ms(&f.s);
	op->attempts[0].first_sent_ns = op->attempts[0].last_sent_ns = testhost_now(f.t);
	return op;
}

static void on(uint64_t ns)
{
	testhost_set_now(f.t, testhost_now(f.t) + ns);
}

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

/* ---- taken back */

/* What the node tells of the two attempts of the only operation. */
static void look_two_attempts(int which, const char *block_hash)
{
	char receipts[2][600], hex[67];
	const char *const first[] = { HEAD,	   "\"0x9\"",	"\"0x1\"", FEES,
				      receipts[0], receipts[1], NULL };
	const char *const deep[] = { "\"0x0\"", which < 0 ? NULL : block_hash, NULL };

	for (int i = 0; i < 2; i++) {
		hex_format(f.s.ops->attempts[i].hash, 32, hex);
		(void)snprintf(
			receipts[i], sizeof(receipts[i]),
			i == which
				? "{\"status\":\"0x1\",\"blockNumber\":\"0x60\",\"blockHash\":\"" BAD_WORD
				  "\",\"transactionHash\":\"%s\",\"gasUsed\":\"0x5208\",\"effectiveGasPrice\":\"0x2\",\"logs\":[]}"
				: "null",
			hex); /* fits */
	}
	look_begin(&f.s, looked_at);
	answer(first);
	answer(deep);
}

static void what_is_out_is_replaced_by_nothing_at_the_same_nonce(void **state)
{
	struct op *op = add_out(0);
	const struct attempt *a = op->attempts;
	uint8_t signer[20], zero[32] = { 0 };
	struct tx1559 tx;

	(void)state;
	op_unwant(&f.s, op, OP_TAKEN_BACK);
	assert_int_equal(op->state, OP_SENT);
	/* the call is not sent any more, whatever comes next */
	on(11 * SETTLE_SEC);
	send_begin(&f.s, looked_at);
	assert_int_equal(f.s.batch.n, 0);
	plan_begin(&f.s, looked_at);
	assert_int_equal(op->n_attempts, 2);
	assert_int_equal(op->state, OP_SIGNED);
	assert_int_equal(tx1559_read(f.s.secp, a[1].raw, a[1].n_raw, &tx, signer), 0);
	assert_int_equal(tx.nonce, a[0].nonce);
	assert_memory_equal(tx.to, f.s.address, 20);
	assert_memory_equal(tx.value.b, zero, 32);
	assert_int_equal(tx.n_data, 0);
	assert_int_equal(tx.gas, 21000);
	assert_true(a[1].fee_wei >= a[0].fee_wei + a[0].fee_wei / 8);
	assert_true(a[1].tip_wei >= a[0].tip_wei + a[0].tip_wei / 8);
	/* a restart knows it by its bytes */
	op->unwanted = NULL;
	op->attempts[1].is_cancel = 0;
	op_restore(&f.s, op);
	assert_true(op->attempts[1].is_cancel && !op->attempts[0].is_cancel);
	assert_non_null(op->unwanted);
	look_two_attempts(1, "{\"hash\":\"" BAD_WORD "\"}");
	assert_int_equal(op->state, OP_ABANDONED);
	assert_string_equal(op->error, OP_TAKEN_BACK);
	assert_int_equal(
		(int)testhost_metric(f.t, "linnix_chain_tx_total", "kind=settle,result=cancelled"),
		1);
}

static void what_landed_nevertheless_is_told_as_it_is(void **state)
{
	struct op *op = add_out(0);

	(void)state;
	f.s.is_compat = 1; /* its event is not known */
	op_unwant(&f.s, op, OP_TAKEN_BACK);
	plan_begin(&f.s, looked_at);
	assert_int_equal(op->n_attempts, 2);
	look_two_attempts(0, "{\"hash\":\"" BAD_WORD "\"}");
	assert_int_equal(op->state, OP_CONFIRMED);
	assert_null(op->unwanted);
}

static void one_that_is_not_deep_is_not_over(void **state)
{
	struct op *op = add_out(0);

	(void)state;
	f.s.confirmations = 10;
	op_unwant(&f.s, op, OP_TAKEN_BACK);
	plan_begin(&f.s, looked_at);
	look_two_attempts(1, "{\"hash\":\"" BAD_WORD "\"}");
	assert_int_equal(op->state, OP_SIGNED);
}

/* Its nonce is used already: by what, is told later. */
static void a_used_nonce_is_not_signed_again(void **state)
{
	struct op *op = add_out(0);

	(void)state;
	op_unwant(&f.s, op, OP_TAKEN_BACK);
	f.s.nonce_latest = 1;
	on(40 * SETTLE_SEC);
	plan_begin(&f.s, looked_at);
	assert_int_equal(op->n_attempts, 1);
}

static void phase(const char *text)
{
	(void)snprintf(f.task.phase, sizeof(f.task.phase), "%s", text); /* fits */
	task_due(&f.s);
}

/* It pays whatever receipt is there when it is mined. */
static void a_settle_that_is_out_does_not_pay_another_receipt(void **state)
{
	struct op *op;

	(void)state;
	add_task();
	op = op_queue_task(&f.s, OP_SETTLE, &f.task);
	assert_int_equal(op_sign(&f.s, op, 100000, 1000, 2000), 0);
	op->state = OP_SENT;
	phase(PHASE_VERIFIED);
	assert_null(op->unwanted);
	phase(PHASE_SUBMITTED);
	assert_non_null(op->unwanted);
	/* judged before anything was signed */
	phase(PHASE_VERIFIED);
	assert_null(op->unwanted);
	/* a restart between the decision and the signature */
	phase(PHASE_SUBMITTED);
	op->unwanted = NULL;
	op_restore(&f.s, op);
	assert_non_null(op->unwanted);
	plan_begin(&f.s, looked_at);
	assert_int_equal(op->n_attempts, 2);
	assert_true(op->attempts[1].is_cancel);
	phase(PHASE_VERIFIED);
	assert_non_null(op->unwanted); /* when that is mined, it is paid by another */
}

static void a_payer_takes_back_what_is_not_on_the_chain(void **state)
{
	char why[TASK_ERROR] = "";
	struct op *op;

	(void)state;
	add_task();
	f.task.status = TASK_NONE;
	(void)snprintf(f.task.phase, sizeof(f.task.phase), "%s", PHASE_ACCEPTED); /* fits */
	task_queue_create(&f.s, &f.task);
	op = op_find(&f.s, OP_CREATE, f.task.id, "");
	assert_int_equal(op_sign(&f.s, op, 100000, 1000, 2000), 0);
	assert_int_equal(task_wish(&f.s, &f.task, "cancel", "", 1, why), -EBUSY);
	assert_int_equal(task_wish(&f.s, &f.task, "cancel", "", 0, why), 0);
	assert_string_equal(f.task.phase, PHASE_CANCELLING);
	assert_non_null(op->unwanted);
	plan_begin(&f.s, looked_at);
	assert_int_equal(op->n_attempts, 2);
	op->state = OP_ABANDONED;
	task_due(&f.s);
	assert_string_equal(f.task.phase, PHASE_CANCELLED);
	assert_true(task_is_final(&f.task));
	/* what nothing was signed for is over at once */
	(void)snprintf(f.task.phase, sizeof(f.task.phase), "%s", PHASE_CHECKING); /* fits */
	assert_int_equal(task_wish(&f.s, &f.task, "cancel", "", 0, why), 0);
	assert_string_equal(f.task.phase, PHASE_CANCELLED);
	phase(PHASE_FAILED);
	assert_int_equal(task_wish(&f.s, &f.task, "cancel", "", 0, why), -EBUSY);
}

/* Its operation is forgotten with it, but not by the file: the name is free all the same. */
static void a_name_that_came_to_nothing_is_free_in_the_file(void **state)
{
	char path[] = "/tmp/lnx-stuck-XXXXXX", error[DB_ERROR] = "";
	struct op *op = add_out(0), again = { .kind = OP_CREATE, .nonce = OP_NO_NONCE };
	struct db_cursor cursor = { .block = 0 };
	struct db_loaded l;
	sqlite3 *db = NULL;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(db_open(path, 0, &db, &l, error), 0);
	op->state = OP_ABANDONED;
	assert_int_equal(db_write(db, op, 1, NULL, 0, &cursor, error), 0);
	memcpy(again.key, op->key, sizeof(again.key));
	assert_int_equal(db_write(db, &again, 1, NULL, 0, &cursor, error), 0);
	/* one that is not over is there for good */
	again.id = 0;
	assert_int_equal(db_write(db, &again, 1, NULL, 0, &cursor, error), -EEXIST);
	db_close(&db);
	(void)close(fd);
	(void)unlink(path);
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
	f.s.look_round++;
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

/* ---- astray */

static void look_payee(const char *payee, const char *status)
{
	char task[700], ext[300];
	const char *const first[] = { HEAD, "\"0x9\"", "\"0x1\"", FEES, task, ext, "!", NULL };

	(void)snprintf(task, sizeof(task),
		       "\"0x" ZEROS ZEROS ZEROS ZEROS ZEROS "%s" ZEROS THREE ZEROS "\"", status);
	(void)snprintf(ext, sizeof(ext), "\"0x%s" ZEROS ZEROS "\"", payee);
	f.s.look_round++;
	look_begin(&f.s, looked_at);
	answer(first);
}

static void a_task_that_pays_another_raises_an_alarm(void **state)
{
	struct abi_value a[2];
	char why[OP_TEXT] = "";
	struct op *back, *approve;

	(void)state;
	add_task();
	memset(f.s.address, 0, 20);
	f.task.status = TASK_CREATED;
	f.task.is_escrow = 0;
	f.task.payee[19] = 3;
	look_payee(THREE, ONE);
	assert_string_equal(f.task.phase, PHASE_OPEN);
	assert_int_equal(testhost_health(f.t, "chain-payee"), LNX_HEALTH_OK);
	look_payee(SIXTEEN, ONE);
	assert_string_equal(f.task.phase, PHASE_FAILED);
	assert_non_null(strstr(f.task.reason, "the contract pays 0x"));
	assert_non_null(strstr(f.task.reason, "the allowance is being taken back"));
	assert_int_equal(f.task.payee[19], 3); /* as asked for: its receipt is judged by that */
	assert_int_equal(testhost_health(f.t, "chain-payee"), LNX_HEALTH_DEGRADED);
	back = op_find(&f.s, OP_APPROVE, f.task.id, "back");
	assert_non_null(back);
	assert_true(op_is_revoke(back));
	assert_false(prepare_pays(&f.s, back));
	/* and nobody is allowed anything as long as it is open */
	abi_set_address(&a[0], f.s.settlement);
	abi_set_u64(&a[1], 5);
	approve = op_queue(&f.s, OP_APPROVE, f.task.id, "0", f.s.token, TOKEN_APPROVE, a, 2);
	assert_int_equal(prepare_judge(&f.s, approve, why), -EAGAIN);
	assert_int_equal(prepare_judge(&f.s, back, why), 0);
	/* a reorganisation put it right */
	look_payee(THREE, ONE);
	assert_string_equal(f.task.phase, PHASE_OPEN);
	assert_int_equal(prepare_judge(&f.s, approve, why), 0);
	assert_int_equal(testhost_health(f.t, "chain-payee"), LNX_HEALTH_OK);
	/* it was paid before anybody looked */
	look_payee(SIXTEEN, THREE);
	assert_string_equal(f.task.phase, "settled");
	assert_non_null(strstr(f.task.reason, "the contract pays 0x"));
	assert_int_equal(testhost_health(f.t, "chain-payee"), LNX_HEALTH_DEGRADED);
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

static char said[SETTLE_WHY];

static void say(void *arg, const char *key, const char *text)
{
	(void)arg;
	(void)snprintf(said, sizeof(said), "%s: %s", key, text); /* fits */
}

static void confirmations_are_a_number_or_a_tag(void **state)
{
	static const char *const good[] = { "1", "12", "1000", "safe", "finalized" };
	static const char *const bad[] = { "",	 "0",	   "1001", "-1",	  "+1",
					   "1 ", "latest", "Safe", "99999999999", "0x2" };
	static const char *const urls[] = { "http://127.0.0.1:1", NULL };
	struct settle_conf c = { .settlement_contract = ADDRESS,
				 .registry_contract = ADDRESS,
				 .token_address = ADDRESS,
				 .bond_contract = "",
				 .rpc_url = urls,
				 .price_unit = "0" };
	char want[SETTLE_WHY];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		said[0] = 0;
		c.confirmations = good[i];
		options_conf_check(&c, say, NULL);
		assert_string_equal(said, "");
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		c.confirmations = bad[i];
		options_conf_check(&c, say, NULL);
		(void)snprintf(
			want, sizeof(want),
			"confirmations: '%s': a number from 1 to 1000, or safe, or finalized",
			bad[i]);
		assert_string_equal(said, want);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_key, teardown_key)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_clock_that_is_set_back_delays_nothing),
		TEST(a_clock_that_was_set_back_before_a_restart_delays_little),
		TEST(what_is_out_is_replaced_by_nothing_at_the_same_nonce),
		TEST(what_landed_nevertheless_is_told_as_it_is),
		TEST(one_that_is_not_deep_is_not_over),
		TEST(a_used_nonce_is_not_signed_again),
		TEST(a_settle_that_is_out_does_not_pay_another_receipt),
		TEST(a_payer_takes_back_what_is_not_on_the_chain),
		TEST(a_name_that_came_to_nothing_is_free_in_the_file),
		TEST(a_dispute_waits_for_nothing_that_is_out),
		TEST(a_receipt_is_seen_though_the_create_is_hidden),
		TEST(a_task_that_pays_another_raises_an_alarm),
		TEST(what_is_final_is_asked_of_both_nodes),
		TEST(confirmations_are_a_number_or_a_tag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
