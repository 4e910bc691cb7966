/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What is not wanted any more is taken back, and is looked at until no reorganisation can change what came of it. */
#include "test_out.h"

#include "tx1559.h"

#include <unistd.h>

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
	look_two_attempts(1, BAD_BLOCK);
	assert_int_equal(op->state, OP_MINED);
	f.conf.reorg_depth = 4;
	look_two_attempts(1, BAD_BLOCK);
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
	look_two_attempts(0, BAD_BLOCK);
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
	f.conf.reorg_depth = 1;
	look_two_attempts(1, BAD_BLOCK);
	assert_int_equal(op->state, OP_MINED);
}

/* A reorganisation mines the call in the place of what took its place. */
static void what_was_taken_back_is_looked_at_until_it_is_deep(void **state)
{
	struct op *op = add_out(0);

	(void)state;
	f.s.is_compat = 1;
	op_unwant(&f.s, op, OP_TAKEN_BACK);
	plan_begin(&f.s, looked_at);
	look_two_attempts(1, BAD_BLOCK);
	assert_int_equal(op->state, OP_MINED);
	/* a restart knows which of the two it is */
	op->unwanted = NULL;
	op_restore(&f.s, op);
	assert_non_null(op->unwanted);
	/* gone from the chain: it is sent again, and what comes counts */
	look_two_attempts(-1, NULL);
	assert_int_equal(op->state, OP_SENT);
	assert_non_null(op->unwanted);
	send_begin(&f.s, looked_at);
	assert_int_equal(f.s.batch.n, 1);
	rpc_reset(&f.s.batch);
	f.s.rpc.asks[0].e = NULL;
	look_two_attempts(0, BAD_BLOCK);
	assert_int_equal(op->state, OP_CONFIRMED);
	assert_null(op->unwanted);
}

/* One look at the only operation, which was mined with that status. */
static void look_status(int status)
{
	char receipt[600], hex[67];
	const char *const first[] = { HEAD, "\"0x9\"", "\"0x1\"", FEES, receipt, NULL };
	const char *const none[] = { HEAD, "\"0x9\"", "\"0x1\"", FEES, "null", NULL };
	const char *const deep[] = { "\"0x0\"", BAD_BLOCK, status ? NULL : "!", NULL };
	const char *const nonce[] = { "\"0x0\"", NULL };

	hex_format(f.s.ops->attempts[0].hash, 32, hex);
	(void)snprintf(
		receipt, sizeof(receipt),
		"{\"status\":\"0x%x\",\"blockNumber\":\"0x60\",\"blockHash\":\"" BAD_WORD
		"\",\"transactionHash\":\"%s\",\"gasUsed\":\"0x5208\",\"effectiveGasPrice\":\"0x2\",\"logs\":[]}",
		status > 0, hex); /* fits */
	f.s.n_tasks = 0;	  /* the node is not asked about it */
	look_begin(&f.s, looked_at);
	answer(status < 0 ? none : first);
	answer(status < 0 ? nonce : deep);
}

/* It reverted, and a reorganisation lets it work: its escrow is taken, and somebody has to look at the receipt. */
static void what_reverted_is_looked_at_until_it_is_deep(void **state)
{
	struct op *op = add_out(0);

	(void)state;
	f.s.is_compat = 1;
	look_status(0);
	assert_int_equal(op->state, OP_FAILED);
	assert_true(op_is_live(&f.s, op));
	f.s.nonce_latest = f.s.nonce_floor = 0;
	assert_int_equal(op_next_nonce(&f.s), 1); /* its own is not for another */
	look_status(-1);
	assert_int_equal(op->state, OP_SENT);
	look_status(0);
	assert_int_equal(op->state, OP_FAILED);
	look_status(1);
	assert_int_equal(op->state, OP_CONFIRMED);
	op->state = OP_FAILED;
	f.conf.reorg_depth = 4;
	assert_false(op_is_live(&f.s, op));
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
	op->state = OP_MINED; /* what took its place, and no deeper */
	task_due(&f.s);
	assert_string_equal(f.task.phase, PHASE_CANCELLING);
	/* it was mined before, and reverted */
	op->state = OP_FAILED;
	op->block = 90;
	task_due(&f.s);
	assert_string_equal(f.task.phase, PHASE_CANCELLING);
	f.s.head = 200;
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

/* Its create reverted, and may come yet: it is not over, and its name not free. */
static void a_task_whose_create_reverted_is_not_over_before_that_is_deep(void **state)
{
	struct op *op;

	(void)state;
	add_task();
	f.task.status = TASK_NONE;
	task_queue_create(&f.s, &f.task);
	op = op_find(&f.s, OP_CREATE, f.task.id, "");
	assert_int_equal(op_sign(&f.s, op, 100000, 1000, 2000), 0);
	op->state = OP_FAILED;
	op->block = 90;
	op->is_dirty = 0;
	phase(PHASE_ACCEPTED);
	assert_string_equal(f.task.phase, PHASE_FAILED);
	assert_false(task_is_final(&f.task));
	op_sweep(&f.s);
	assert_non_null(f.s.ops);
	f.s.head = 90 + 32;
	task_due(&f.s);
	assert_true(task_is_final(&f.task));
	op_sweep(&f.s);
	assert_null(f.s.ops);
}

/* Taken back and wanted again, even at once: with all its attempts, and what was signed before is looked at besides. */
static void a_dispute_that_is_wanted_again_begins_with_no_attempt(void **state)
{
	char key[OP_KEY], why[TASK_ERROR];
	struct op *op, *next;

	(void)state;
	add_task();
	assert_int_equal(task_wish(&f.s, &f.task, "dispute", TASK_UNJUDGED, 0, why), 0);
	op = op_find(&f.s, OP_DISPUTE, f.task.id, "");
	memcpy(key, op->key, sizeof(key));
	for (unsigned i = 0; i < OP_ATTEMPTS - 4; i++)
		assert_int_equal(op_sign(&f.s, op, 100000, 1000 + i, 2000), 0);
	op->state = OP_SENT;
	op->id = 5;
	op_unwant(&f.s, op, OP_TAKEN_BACK);
	plan_begin(&f.s, looked_at);
	assert_true(op->attempts[op->n_attempts - 1].is_cancel);
	/* what took its place is in the chain, but not deep */
	op->state = OP_MINED;
	op->block = 99;
	f.s.nonce_latest = op->nonce + 1;
	assert_int_equal(task_wish(&f.s, &f.task, "dispute", TASK_UNJUDGED, 0, why), 0);
	next = op_find(&f.s, OP_DISPUTE, f.task.id, "");
	assert_ptr_not_equal(next, op);
	assert_string_equal(next->key, key);
	assert_int_equal(next->state, OP_QUEUED);
	assert_int_equal(next->n_attempts, 0);
	assert_string_not_equal(op->key, key);
	assert_true(op->is_dirty && op_is_live(&f.s, op));
	assert_int_equal(op_next_nonce(&f.s), op->nonce + 1);
	/* and it is forgotten when nothing can bring it back */
	op->state = OP_ABANDONED;
	op->is_dirty = 0;
	op_sweep(&f.s);
	assert_ptr_equal(f.s.ops, next);
}

/* The task is over for long: nothing keeps the operation, and whoever waits for it is told all the same. */
static void how_a_withdrawal_ended_stays_with_its_task(void **state)
{
	struct lnx_buf out = { 0 };
	char why[TASK_ERROR];
	struct op *op;

	(void)state;
	add_task();
	f.task.status = TASK_SETTLED;
	f.task.is_settled_deep = 1;
	assert_int_equal(task_wish(&f.s, &f.task, "withdraw", "", 0, why), 0);
	op = op_find(&f.s, OP_WITHDRAW, f.task.id, "");
	assert_int_equal(f.task.withdrawal, 0);
	op->block = 99;
	op_set(&f.s, op, OP_CONFIRMED, "%s", "");
	op->is_dirty = 0;
	op_sweep(&f.s);
	assert_non_null(f.s.ops); /* a reorganisation could take it back */
	f.s.head = 99 + f.conf.reorg_depth;
	op_sweep(&f.s);
	assert_null(f.s.ops);
	task_json(&f.s, &f.task, &out);
	assert_non_null(strstr(out.data, "\"withdrawal\":\"confirmed\",\"withdrawal_block\":99"));
	lnx_buf_done(&out);
	/* another has not ended yet; a dry run of one changes nothing */
	assert_int_equal(task_wish(&f.s, &f.task, "withdraw", "", 1, why), 0);
	assert_int_equal(f.task.withdrawal, OP_CONFIRMED);
	f.s.ops->state = OP_ABANDONED;
	op_sweep(&f.s);
	assert_int_equal(task_wish(&f.s, &f.task, "withdraw", "", 0, why), 0);
	assert_int_equal(f.task.withdrawal, 0);
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
	/* an allowance or a withdrawal that was made long ago may be made again */
	op->id = again.id = 0;
	op->state = OP_CONFIRMED;
	(void)snprintf(op->key, sizeof(op->key), "withdraw");	  /* fits */
	(void)snprintf(again.key, sizeof(again.key), "withdraw"); /* fits */
	assert_int_equal(db_write(db, op, 1, NULL, 0, &cursor, error), 0);
	assert_int_equal(db_write(db, &again, 1, NULL, 0, &cursor, error), 0);
	db_close(&db);
	(void)close(fd);
	(void)unlink(path);
}

/* What was signed before comes back with no restart, and an operation that was set aside has its own row. */
static void the_file_has_the_attempts_of_now(void **state)
{
	char path[] = "/tmp/lnx-stuck-XXXXXX", error[DB_ERROR] = "";
	struct op *op = add_out(0), next = { .kind = OP_SETTLE, .nonce = OP_NO_NONCE };
	struct db_cursor cursor = { .block = 0 };
	struct db_loaded l = { .ops = NULL };
	uint8_t hash[32];
	sqlite3 *db = NULL;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(db_open(path, 0, &db, &l, error), 0);
	assert_int_equal(op_sign(&f.s, op, 100000, 2000, 3000), 0);
	assert_int_equal(db_write(db, op, 1, NULL, 0, &cursor, error), 0);
	op_drop_attempts(op);
	op->state = OP_QUEUED;
	f.s.nonce_latest = 7;
	assert_int_equal(op_sign(&f.s, op, 100000, 1000, 2000), 0);
	memcpy(hash, op->attempts[0].hash, 32);
	assert_int_equal(db_write(db, op, 1, NULL, 0, &cursor, error), 0);
	memcpy(next.key, op->key, sizeof(next.key));
	(void)snprintf(op->key, sizeof(op->key), "%.100s:was:%d", next.key, (int)op->id); /* fits */
	assert_int_equal(db_write(db, op, 1, NULL, 0, &cursor, error), 0);
	assert_int_equal(db_write(db, &next, 1, NULL, 0, &cursor, error), 0);
	db_close(&db);
	assert_int_equal(db_open(path, 0, &db, &l, error), 0);
	assert_string_equal(l.ops->key, op->key);
	assert_int_equal(l.ops->n_attempts, 1);
	assert_memory_equal(l.ops->attempts[0].hash, hash, 32);
	assert_string_equal(l.ops->next->key, next.key);
	assert_int_equal(l.ops->next->n_attempts, 0);
	op_free(l.ops->next);
	op_free(l.ops);
	db_close(&db);
	(void)close(fd);
	(void)unlink(path);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(what_is_out_is_replaced_by_nothing_at_the_same_nonce),
		TEST(what_landed_nevertheless_is_told_as_it_is),
		TEST(one_that_is_not_deep_is_not_over),
		TEST(what_was_taken_back_is_looked_at_until_it_is_deep),
		TEST(what_reverted_is_looked_at_until_it_is_deep),
		TEST(a_task_whose_create_reverted_is_not_over_before_that_is_deep),
		TEST(a_dispute_that_is_wanted_again_begins_with_no_attempt),
		TEST(the_file_has_the_attempts_of_now),
		TEST(a_used_nonce_is_not_signed_again),
		TEST(a_settle_that_is_out_does_not_pay_another_receipt),
		TEST(a_payer_takes_back_what_is_not_on_the_chain),
		TEST(how_a_withdrawal_ended_stays_with_its_task),
		TEST(a_name_that_came_to_nothing_is_free_in_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
