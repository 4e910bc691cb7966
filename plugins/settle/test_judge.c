/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The payer's look at a receipt: its bytes, and the times of its blocks. */
#include "test_fix.h"
#include "test_look.h"

#include "keccak.h"

#define BEGUN_S 100 /* the receipt's window */

static struct fix x;

/* A task of ours that has this receipt. */
static void add_submitted(void)
{
	add_task();
	f.conf.chain_id = x.r.chain_id;
	f.s.secp = curve;
	f.s.head = f.s.head_max = 100;
	memcpy(f.s.settlement, x.r.settlement, 20);
	memcpy(f.task.id, x.r.task_id, 32);
	memcpy(f.task.payer, x.r.payer, 20);
	memcpy(f.task.payee, x.r.payee, 20);
	memcpy(f.task.token, x.r.token, 20);
	did_hash(x.r.payee_did, f.task.payee_did32);
	f.task.max = x.r.max_amount;
	f.task.actual = x.r.actual_amount;
	memcpy(f.task.receipt_hash, x.s.hash, 32);
	f.task.deadline_blocks = 100;
	f.task.deadline = 150;
	(void)snprintf(f.task.phase, sizeof(f.task.phase), "%s", PHASE_SUBMITTED); /* fits */
}

static int begin(void **state)
{
	fix_make(&x);
	if (setup(state))
		return -1;
	add_submitted();
	return 0;
}

static int end(void **state)
{
	fix_done(&x);
	return teardown(state);
}

/* The transaction that brought it, as a node tells of it. */
static char *tx_text(void)
{
	struct lnx_buf call = { .max = 1u << 20 }, out = { .max = 1u << 21 };
	struct abi_value a[4];
	char to[43], *hex;

	abi_set_word(&a[0], x.r.task_id);
	abi_set_word(&a[1], x.r.actual_amount.b);
	abi_set_bytes(&a[2], x.s.payload, x.s.n_payload);
	abi_set_bytes(&a[3], x.s.eip712, sizeof(x.s.eip712));
	assert_int_equal(abi_call(&call, SETTLEMENT_SUBMIT, a, 4), 0);
	hex = malloc(2 * call.size + 3);
	assert_non_null(hex);
	hex_format((const uint8_t *)call.data, call.size, hex);
	hex_format(f.s.settlement, 20, to);
	lnx_buf_printf(&out, "{\"to\":\"%s\",\"blockNumber\":\"0x3c\",\"input\":\"", to);
	lnx_buf_str(&out, hex);
	lnx_buf_str(&out, "\"}");
	free(hex);
	lnx_buf_done(&call);
	return out.data;
}

/* It is judged: the block of its create is of <created_s> (0: the node does not tell). Its phase then. */
static const char *judge(unsigned created_s)
{
	char *tx = tx_text(), created[80] = "null";
	const char *const brought[] = { tx, NULL }, *const times[] = { "{\"timestamp\":\"0x8c\"}",
								       created, NULL };

	if (created_s)
		(void)snprintf(created, sizeof(created), "{\"timestamp\":\"0x%x\"}",
			       created_s);					   /* fits */
	(void)snprintf(f.task.phase, sizeof(f.task.phase), "%s", PHASE_SUBMITTED); /* fits */
	f.task.reason[0] = 0;
	memset(f.task.submit_tx, 7, 32);
	proof_begin(&f.s, looked_at);
	answer(brought);
	assert_string_equal(f.s.batch.calls[1].params, "[\"0x32\",false]");
	answer(times);
	free(tx);
	return f.task.phase;
}

static struct op *create(uint32_t state)
{
	struct op *op;

	task_queue_create(&f.s, &f.task);
	op = op_find(&f.s, OP_CREATE, f.task.id, "");
	assert_non_null(op);
	op->state = state;
	op->block = state == OP_CONFIRMED ? 0x32 : 0;
	return op;
}

static void its_window_begins_with_the_task(void **state)
{
	(void)state;
	(void)create(OP_CONFIRMED);
	assert_string_equal(judge(BEGUN_S), PHASE_VERIFIED);
	assert_string_equal(judge(BEGUN_S + CHECK_SKEW_S), PHASE_VERIFIED);
	assert_string_equal(judge(BEGUN_S + CHECK_SKEW_S + 1), PHASE_REJECTED);
	assert_string_equal(f.task.reason, "window: it begins before the task was created");
	assert_string_equal(judge(0), PHASE_SUBMITTED);
}

/* An endpoint hides our create: the deadline tells from when it is. As that may be made up, nothing is rejected for it. */
static void nor_does_it_begin_before_one_whose_create_is_hidden(void **state)
{
	(void)state;
	(void)create(OP_SENT);
	assert_string_equal(judge(BEGUN_S), PHASE_VERIFIED);
	assert_string_equal(judge(BEGUN_S + CHECK_SKEW_S + 1), PHASE_SUBMITTED);
	assert_non_null(f.s.differs);
	assert_string_equal(judge(0), PHASE_SUBMITTED);
	f.task.actual.b[0] = 1; /* what is wrong by itself is */
	assert_string_equal(judge(BEGUN_S + CHECK_SKEW_S + 1), PHASE_REJECTED);
}

static int open_curve(void **state)
{
	(void)state;
	return fix_open();
}

static int close_curve(void **state)
{
	(void)state;
	secp_close(curve);
	return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(its_window_begins_with_the_task),
		CASE(nor_does_it_begin_before_one_whose_create_is_hidden),
	};

	return cmocka_run_group_tests(tests, open_curve, close_curve);
}
