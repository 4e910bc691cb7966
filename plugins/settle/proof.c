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

static struct task *next_task(const struct settle *s)
{
	static const uint8_t none[32];

	for (struct task *t = s->tasks; t; t = t->next)
		if (t->role == TASK_PAYER && !t->is_dry && t->status == TASK_SUBMITTED &&
		    !strcmp(t->phase, PHASE_SUBMITTED) && memcmp(t->submit_tx, none, 32) != 0)
			return t;
	return NULL;
}

static void check_task(const struct settle *s, struct check *c, const struct task *t,
		       const struct signed_receipt *sr)
{
	struct check_chain chain = { .chain_id = s->conf->chain_id,
				     .status = t->status,
				     .max_amount = t->max,
				     .actual_amount = t->actual,
				     .has_ext = true,
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

static void judge(struct settle *s, struct task *t, const uint8_t *data, size_t n)
{
	uint8_t *payload = malloc(n + 1);
	struct signed_receipt sr = { .payload = payload };
	struct check c = { .n_bad = 0 };
	char why[RECEIPT_WHY];
	struct op *op;

	if (!payload)
		return; /* the next look tries again */
	if (read_call(t, data, n, &sr, why) < 0) {
		check_bad(&c, "%s", why);
	} else {
		check_payload(&c, &sr, s->secp);
		check_task(s, &c, t, &sr);
	}
	if (c.n_bad) {
		op = op_find(s, OP_SETTLE, t->id, "");
		if (op && op->state == OP_QUEUED)
			op_set(s, op, OP_ABANDONED, "the receipt that came instead is not good");
		task_set(s, t, PHASE_REJECTED, "%s", c.bad[0]);
	} else {
		task_set(s, t, PHASE_VERIFIED, "%s", "");
	}
	free(payload);
}

static void fetched(struct settle *s)
{
	const json_t *tx = s->batch.calls[0].result;
	const char *input = json_string_value(json_object_get(tx, "input")),
		   *to = json_string_value(json_object_get(tx, "to"));
	struct task *t = task_find(s, s->proving);
	uint8_t address[20], *data = malloc(INPUT_BYTES);
	int64_t n = -1;

	if (t && data && input && to && !hex_parse(to, address, 20)) {
		n = hex_parse_any(input, data, INPUT_BYTES);
		/* one that came through another contract cannot be read from outside */
		judge(s, t, data, n < 0 || memcmp(address, s->settlement, 20) != 0 ? 0 : (size_t)n);
	} else if (t) {
		/* a reorganisation took the transaction: the logs will tell of another */
		memset(t->submit_tx, 0, 32);
		s->log_head = 0;
		t->is_dirty = 1;
	}
	free(data);
	task_due(s);
	rpc_reset(&s->batch);
	s->after_proof(s);
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
	settle_ask(s, fetched);
}
