/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a look at the chain changes, and what it must not: the node here answers as it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <testhost.h>

#include "op.h"
#include "task.h"

#define FEES  "{\"reward\":[[\"0x1\"]]}"
#define HEAD  "{\"number\":\"0x64\",\"timestamp\":\"0x1\",\"baseFeePerGas\":\"0x7\"}"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define ONE   "0000000000000000000000000000000000000000000000000000000000000001"
#define TWO   "0000000000000000000000000000000000000000000000000000000000000002"
#define THREE "0000000000000000000000000000000000000000000000000000000000000003"

static struct {
	struct settle s;
	struct settle_conf conf;
	struct testhost *t;
	struct lnx_http_ask ask;
	struct op ops[40];
	struct task task;
	unsigned turns;
} f;

static int start(void *self, const struct lnx_http_ask *ask, struct lnx_http_call **ret_call)
{
	(void)self;
	f.ask = *ask;
	*ret_call = NULL;
	return 0;
}

static const struct lnx_svc_http_client http = { .size = sizeof(http), .start = start };

static int setup(void **state)
{
	char why[RPC_TEXT];
	struct settle *s = &f.s;

	(void)state;
	memset(&f, 0, sizeof(f));
	f.t = testhost_new();
	assert_non_null(f.t);
	s->host = testhost_host(f.t);
	s->ctx = testhost_ctx(f.t);
	s->conf = &f.conf;
	f.conf.confirmations = 1;
	f.conf.reorg_depth = 32;
	f.conf.auto_settle = 1;
	s->state = CHAIN_READY;
	s->look_round = 1;
	s->rpc.host = s->host;
	s->rpc.ctx = s->ctx;
	s->rpc.http = &http;
	s->rpc.timeout_ns = SETTLE_SEC;
	assert_int_equal(rpc_endpoint(&s->rpc, "http://127.0.0.1:1", why), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (struct op *op; (op = f.s.ops);) {
		f.s.ops = op->next;
		if (op < f.ops || op >= f.ops + sizeof(f.ops) / sizeof(f.ops[0]))
			op_free(op); /* that a task queued */
	}
	rpc_reset(&f.s.batch);
	rpc_reset(&f.s.second);
	f.s.rpc.asks[0].e = NULL;
	rpc_done(&f.s.rpc);
	testhost_free(f.t);
	return 0;
}

static void looked_at(struct settle *s)
{
	(void)s;
	f.turns++;
}

/* Answer what was asked: texts in its order, up to NULL; "!" is an error. */
static void answer(const char *const *results)
{
	struct lnx_buf out = { 0 };
	struct rpc_ask *a = f.ask.arg;

	lnx_buf_char(&out, '[');
	for (unsigned i = 0; results[i]; i++)
		lnx_buf_printf(&out, "%s{\"jsonrpc\":\"2.0\",\"id\":%llu,%s%s}", i ? "," : "",
			       (unsigned long long)a->first_id + i,
			       *results[i] == '!' ? "\"error\":{\"message\":\"indexing\"}"
						  : "\"result\":",
			       *results[i] == '!' ? "" : results[i]);
	lnx_buf_char(&out, ']');
	assert_int_equal(f.ask.on_body(f.ask.arg, out.data, out.size), 0);
	f.ask.on_done(f.ask.arg, 0, 200, "");
	lnx_buf_done(&out);
}

static struct op *add_op(unsigned i, uint32_t state)
{
	struct op *op = &f.ops[i];

	(void)snprintf(op->key, sizeof(op->key), "op%u", i); /* fits */
	op->kind = OP_SETTLE;
	op->state = state;
	op->nonce = i;
	op->n_attempts = 1;
	op->attempts[0].nonce = i;
	memset(op->attempts[0].hash, (int)i + 1, 32);
	op->block = 90;
	op->data = (uint8_t *)"";
	if (i)
		f.ops[i - 1].next = op;
	f.s.ops = &f.ops[0];
	f.s.n_ops++;
	return op;
}

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

static void add_task(void)
{
	struct task *t = &f.task;

	t->role = TASK_PAYER;
	t->status = TASK_SUBMITTED;
	t->is_escrow = 1;
	(void)snprintf(t->phase, sizeof(t->phase), "%s", PHASE_VERIFIED); /* fits */
	t->actual.b[31] = 1;
	t->receipt_hash[31] = 2;
	t->max.b[31] = 3;
	memset(t->submit_tx, 7, 32);
	f.s.tasks = t;
	f.s.n_tasks = 1;
	f.s.is_stopping = 1; /* nothing is queued by itself */
	f.conf.auto_settle = 0;
}

static void look_task(const char *actual, const char *hash)
{
	char task[700], ext[300];
	const char *const first[] = { HEAD, "\"0x9\"", "\"0x1\"", FEES, task, ext, "!", NULL };

	(void)snprintf(task, sizeof(task),
		       "\"0x" ZEROS ZEROS ZEROS ZEROS ZEROS TWO ZEROS THREE "%s\"", actual);
	(void)snprintf(ext, sizeof(ext), "\"0x" ZEROS ONE "%s\"", hash);
	f.s.look_round++;
	look_begin(&f.s, looked_at);
	answer(first);
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

static void second_endpoint(void)
{
	char why[RPC_TEXT];

	assert_int_equal(rpc_endpoint(&f.s.rpc, "http://127.0.0.1:2", why), 0);
	f.s.rpc.endpoints[0].is_guarded = 1;
	f.s.rpc.endpoints[1].is_guarded = 1;
}

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
	f.s.look_round++;
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
			the_open_one_is_asked_about_however_many_are_confirmed, setup, teardown),
		cmocka_unit_test_setup_teardown(figures_of_a_liar_do_not_wrap, setup, teardown),
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
