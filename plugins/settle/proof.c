/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The payer's look at a receipt: its bytes are the call data of the transaction that brought it. Nobody is paid before. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi.h"
#include "check.h"
#include "keccak.h"
#include "op.h"
#include "task.h"

#define INPUT_BYTES (2u * RECEIPT_PAYLOAD_BYTES)

static int is_to_judge(const struct task *t)
{
	static const uint8_t none[32];

	return t->role == TASK_PAYER && !t->is_dry && t->status == TASK_SUBMITTED &&
	       !strcmp(t->phase, PHASE_SUBMITTED) && !t->is_unsure &&
	       memcmp(t->submit_tx, none, 32) != 0;
}

/* In turn: one that cannot be judged holds up no other. */
static struct task *next_task(const struct settle *s)
{
	struct task *first = NULL;
	int is_behind = 0;

	for (struct task *t = s->tasks; t; t = t->next) {
		if (is_to_judge(t) && is_behind)
			return t;
		if (is_to_judge(t) && !first)
			first = t;
		is_behind |= !memcmp(t->id, s->proving, 32);
	}
	return first;
}

static void check_task(const struct settle *s, struct check *c, const struct task *t,
		       const struct signed_receipt *sr, uint64_t created_s, uint64_t submitted_s)
{
	struct check_chain chain = { .chain_id = s->conf->chain_id,
				     .status = t->status,
				     .max_amount = t->max,
				     .actual_amount = t->actual,
				     .has_ext = true,
				     .created_s = created_s,
				     .submitted_s = submitted_s,
				     .is_registered = true };

	memcpy(chain.settlement, s->settlement, 20);
	memcpy(chain.payee_did, t->payee_did32, 32);
	memcpy(chain.payer, t->payer, 20);
	memcpy(chain.token, t->token, 20);
	memcpy(chain.payee, t->payee, 20);
	memcpy(chain.receipt_hash, t->receipt_hash, 32);
	memcpy(chain.address, t->payee, 20);
	/* a did:key says which key it is; the record of the registry was looked at when the task was made */
	if (did_parse(sr->r.payee_did, chain.ed25519))
		check_open(c, "its DID is no did:key");
	check_chain(c, sr, &chain);
}

/* What the call brought, out of its data; sr->payload has room for <n>. 0 or -EBADMSG. */
static int read_call(const struct task *t, const uint8_t *data, size_t n, struct signed_receipt *sr,
		     char why[RECEIPT_WHY])
{
	uint8_t selector[ABI_SELECTOR];
	struct abi_value v[4];

	(void)snprintf(why, RECEIPT_WHY, "the transaction is no submitReceipt of this task");
	if (abi_selector(SETTLEMENT_SUBMIT, selector) || n < ABI_SELECTOR ||
	    memcmp(data, selector, ABI_SELECTOR) != 0 ||
	    abi_decode(SETTLEMENT_SUBMIT, data + ABI_SELECTOR, n - ABI_SELECTOR, v, 4) ||
	    memcmp(v[0].word.b, t->id, 32) != 0)
		return -EBADMSG;
	if (v[3].n != sizeof(sr->eip712) || u256_cmp(&v[1].word, &t->actual) != 0) {
		(void)snprintf(why, RECEIPT_WHY, "its signature or amount is not that of the task");
		return -EBADMSG;
	}
	memcpy(sr->eip712, v[3].bytes, sizeof(sr->eip712));
	memcpy(sr->payload, v[2].bytes, v[2].n);
	sr->n_payload = v[2].n;
	keccak256(sr->payload, sr->n_payload, sr->hash);
	return receipt_read((const char *)sr->payload, sr->n_payload, &sr->r, why);
}

/* Do the bytes of a call give the hash that the contract keeps? */
static int is_receipt_of(const struct task *t, const struct brought *b)
{
	static const uint8_t none[32];
	struct abi_value v[4];
	uint8_t hash[32];

	if (!b->n ||
	    abi_decode(SETTLEMENT_SUBMIT, b->data + ABI_SELECTOR, b->n - ABI_SELECTOR, v, 4))
		return 0;
	keccak256(v[2].bytes, v[2].n, hash);
	return !memcmp(t->receipt_hash, none, 32) || !memcmp(t->receipt_hash, hash, 32);
}

/* The call data of a transaction, if it is to the contract. One that came through another contract cannot be read from outside: 0
 * bytes. -ENOENT: no such transaction. */
static int read_tx(const struct settle *s, const json_t *tx, struct brought *ret)
{
	const char *input = rpc_text_at(tx, "input");
	uint8_t address[20];
	int64_t n;

	ret->n = 0;
	ret->block = 0;
	if (!*input || hex_parse(rpc_text_at(tx, "to"), address, 20))
		return -ENOENT;
	(void)rpc_u64_at(tx, "blockNumber", &ret->block); /* stays 0 */
	n = hex_parse_any(input, ret->data, INPUT_BYTES);
	if (n > ABI_SELECTOR && !memcmp(address, s->settlement, 20))
		ret->n = (size_t)n;
	return 0;
}

/* ---- when was it? */

/* 0: not told, or not alike. */
static uint64_t time_of(const struct settle *s, unsigned i)
{
	const struct rpc_call *other = settle_second(s, i);
	uint64_t ret[2] = { 0, 0 };
	const json_t *r[2] = { s->batch.calls[i].result, other ? other->result : NULL };

	for (unsigned k = 0; k < 2; k++)
		(void)rpc_u64_at(r[k], "timestamp", &ret[k]); /* stays 0 */
	return other && ret[0] != ret[1] ? 0 : ret[0];
}

/* Is the block known in which we created it? */
static int is_create_seen(const struct settle *s, const struct task *t)
{
	const struct op *op = op_find(s, OP_CREATE, t->id, "");

	return op && op->state == OP_CONFIRMED;
}

/* That block; where the create is hidden, the one that its deadline was counted from. */
static uint64_t created_block(const struct settle *s, const struct task *t)
{
	if (is_create_seen(s, t))
		return op_find(s, OP_CREATE, t->id, "")->block;
	return t->deadline > t->deadline_blocks ? t->deadline - t->deadline_blocks : 0;
}

/* Does its window begin before that? */
static int is_early(const struct signed_receipt *sr, uint64_t created_s)
{
	return sr->r.start_ns / SETTLE_SEC + CHECK_SKEW_S < created_s;
}

/* Without its times nobody knows whether the work was done within the task: it stays as it is, and silence does not pay it. Nor does
 * an end of the task that may be made up say that the work was done before it began. */
static void judge(struct settle *s, struct task *t, const struct brought *b, uint64_t created_s,
		  uint64_t submitted_s)
{
	uint8_t *payload = malloc(b->n + 1);
	struct signed_receipt sr = { .payload = payload };
	struct check c = { .n_bad = 0 };
	char why[RECEIPT_WHY];
	struct op *op;

	if (!payload)
		return; /* the next look tries again */
	if (read_call(t, b->data, b->n, &sr, why) < 0) {
		check_bad(&c, "%s", why);
	} else {
		check_payload(&c, &sr, s->secp);
		check_task(s, &c, t, &sr, is_create_seen(s, t) ? created_s : 0, submitted_s);
	}
	if (c.n_bad) {
		op = op_find(s, OP_SETTLE, t->id, "");
		if (op)
			op_unwant(s, op, "the receipt that came instead is not good");
		task_set(s, t, PHASE_REJECTED, "%s", c.bad[0]);
	} else if (!submitted_s || !created_s || is_early(&sr, created_s)) {
		s->differs = "when a receipt came";
	} else {
		task_set(s, t, PHASE_VERIFIED, "%s", "");
	}
	free(payload);
}

static void end(struct settle *s)
{
	free(s->brought.data);
	s->brought.data = NULL;
	task_due(s);
	rpc_reset(&s->batch);
	s->after_proof(s);
}

static void timed(struct settle *s)
{
	struct task *t = task_find(s, s->proving);

	if (t)
		judge(s, t, &s->brought, created_block(s, t) ? time_of(s, 1) : 0,
		      s->brought.block ? time_of(s, 0) : 0);
	end(s);
}

static void ask_times(struct settle *s, const struct task *t)
{
	rpc_reset(&s->batch);
	(void)rpc_add(&s->batch, "eth_getBlockByNumber", "[\"0x%llx\",false]",
		      (unsigned long long)s->brought.block); /* errors stick */
	(void)rpc_add(&s->batch, "eth_getBlockByNumber", "[\"0x%llx\",false]",
		      (unsigned long long)created_block(s, t));
	settle_ask_twin(s, 2, timed);
}

/* ---- which bytes? */

/* The transaction is not there, or not what was told of it: on to the other that was, or the logs are read anew. */
static void next_tx(struct task *t)
{
	static const uint8_t none[32];

	memcpy(t->submit_tx, t->other_tx, 32);
	memset(t->other_tx, 0, 32);
	if (!memcmp(t->submit_tx, none, 32))
		t->log_from = 0;
	t->is_dirty = 1;
}

/* 0: no such transaction, 1: its bytes are not the receipt, 2: they are. */
static int try_tx(const struct settle *s, const struct task *t, const json_t *tx,
		  struct brought *ret)
{
	return read_tx(s, tx, ret) < 0 ? 0 : is_receipt_of(t, ret) ? 2 : 1;
}

/* Its bytes, from whichever endpoint has them. Bytes that are not the receipt's count only where all tell of the transaction, and no
 * other is known. 0 or -ENOENT. */
static int choose(struct settle *s, const struct task *t)
{
	static const uint8_t none[32];
	const struct rpc_call *other = settle_second(s, 0);
	struct brought *b = &s->brought;
	int second = other ? try_tx(s, t, other->result, b) : 0;
	uint64_t block = b->block;
	int first = try_tx(s, t, s->batch.calls[0].result, b);

	if (first && second && block != b->block)
		block = 0; /* not known */
	else if (!second)
		block = b->block;
	if (first < 2 && second == 2)
		(void)try_tx(s, t, other->result, b);
	b->block = block;
	if (first == 2 || second == 2)
		return 0;
	return first && (second || !other) && !memcmp(t->other_tx, none, 32) ? 0 : -ENOENT;
}

static void fetched(struct settle *s)
{
	struct task *t = task_find(s, s->proving);

	free(s->brought.data); /* of a look that was cut off */
	s->brought.data = t ? malloc(INPUT_BYTES) : NULL;
	if (!s->brought.data) {
		end(s);
		return;
	}
	s->brought.block = 0;
	if (choose(s, t) == 0) {
		ask_times(s, t);
		return;
	}
	next_tx(t);
	end(s);
}

void proof_begin(struct settle *s, void (*then)(struct settle *s))
{
	const struct task *t = next_task(s);
	char hex[67];

	s->after_proof = then;
	if (!t) {
		then(s);
		return;
	}
	memcpy(s->proving, t->id, 32);
	hex_format(t->submit_tx, 32, hex);
	rpc_reset(&s->batch);
	(void)rpc_add(&s->batch, "eth_getTransactionByHash", "[\"%s\"]",
		      hex); /* the error sticks */
	settle_ask_twin(s, 1, fetched);
}
