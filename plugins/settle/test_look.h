/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* For tests of a turn: the state of the plugin, and nodes that answer as they are told. */
#ifndef LNX_SETTLE_TEST_LOOK_H
#define LNX_SETTLE_TEST_LOOK_H

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

static inline int start(void *self, const struct lnx_http_ask *ask, struct lnx_http_call **ret_call)
{
	(void)self;
	f.ask = *ask;
	*ret_call = NULL;
	return 0;
}

static const struct lnx_svc_http_client http = { .size = sizeof(http), .start = start };

static inline int setup(void **state)
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
	f.conf = (struct settle_conf){ .reorg_depth = 32, .auto_settle = 1 };
	s->state = CHAIN_READY;
	s->confirmations = 1;
	s->rpc.host = s->host;
	s->rpc.ctx = s->ctx;
	s->rpc.http = &http;
	s->rpc.timeout_ns = SETTLE_SEC;
	assert_int_equal(rpc_endpoint(&s->rpc, "http://127.0.0.1:1", why), 0);
	return 0;
}

static inline int teardown(void **state)
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

static inline void looked_at(struct settle *s)
{
	(void)s;
	f.turns++;
}

/* Texts in the order of what was asked, up to NULL; "!" is an error. */
static inline void answer(const char *const *results)
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

static inline struct op *add_op(unsigned i, uint32_t state)
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

static inline void add_task(void)
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

static inline void second_endpoint(void)
{
	char why[RPC_TEXT];

	assert_int_equal(rpc_endpoint(&f.s.rpc, "http://127.0.0.1:2", why), 0);
	f.s.rpc.endpoints[0].is_guarded = 1;
	f.s.rpc.endpoints[1].is_guarded = 1;
}

#endif
