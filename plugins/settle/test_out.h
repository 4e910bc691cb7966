/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* For tests of what is signed: a key, a clock that can be stepped, and operations that are out. */
#ifndef LNX_SETTLE_TEST_OUT_H
#define LNX_SETTLE_TEST_OUT_H

#include "test_look.h"

#define BAD_WORD   "0x0000000000000000000000000000000000000000000000000000000000000bad"
#define BAD_BLOCK  "{\"hash\":\"" BAD_WORD "\"}"
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_key, teardown_key)

/* ---- a host whose clock can be stepped */

static struct lnx_host host;
static int64_t step_ns;

static uint64_t stepped(struct lnx_ctx *ctx, uint64_t boot_ns)
{
	return testhost_host(f.t)->wall_ns(ctx, boot_ns) + (uint64_t)step_ns;
}

static inline int setup_key(void **state)
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

static inline int teardown_key(void **state)
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
static inline struct op *add_out(unsigned i)
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

static inline void on(uint64_t ns)
{
	testhost_set_now(f.t, testhost_now(f.t) + ns);
}

#endif
