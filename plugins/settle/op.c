/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The outbox in memory: one operation a key, one nonce at a time. */
#include "op.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "allow.h"
#include "call.h"
#include "task.h"
#include "tx1559.h"

#define TRY_FIRST_MS 500
#define TRY_MAX	     7 /* doublings: 64 s */

#define TAKING_BACK "taken back: "
#define SET_ASIDE   ":was:" /* behind it the number in the file */

#define ONE(status) (1u << (status))

const struct op_kind op_kinds[] = {
	[OP_REGISTER] = { "register", REGISTRY_REGISTERED, 0, 0 },
	[OP_APPROVE] = { "approve", TOKEN_APPROVAL, 0, 0 },
	[OP_CREATE] = { "create", SETTLEMENT_CREATED, ONE(TASK_NONE), ~ONE(TASK_NONE) },
	[OP_SUBMIT] = { "submit", SETTLEMENT_SUBMITTED, ONE(TASK_CREATED),
			~(ONE(TASK_NONE) | ONE(TASK_CREATED)) },
	[OP_SETTLE] = { "settle", SETTLEMENT_SETTLED, ONE(TASK_SUBMITTED),
			ONE(TASK_SETTLED) | ONE(TASK_RESOLVED) | ONE(TASK_CANCELLED) |
				ONE(TASK_EXPIRED) },
	[OP_DISPUTE] = { "dispute", SETTLEMENT_DISPUTED, ONE(TASK_SUBMITTED),
			 ONE(TASK_DISPUTED) | ONE(TASK_SETTLED) | ONE(TASK_RESOLVED) },
	[OP_CLAIM] = { "claim", SETTLEMENT_RESOLVED, ONE(TASK_DISPUTED), ONE(TASK_RESOLVED) },
	[OP_CANCEL] = { "cancel", SETTLEMENT_CANCELLED, ONE(TASK_CREATED),
			~(ONE(TASK_NONE) | ONE(TASK_CREATED)) },
	[OP_EXPIRE] = { "expire", SETTLEMENT_EXPIRED, ONE(TASK_CREATED),
			~(ONE(TASK_NONE) | ONE(TASK_CREATED)) },
	[OP_WITHDRAW] = { "withdraw", SETTLEMENT_WITHDRAWN, 0, 0 },
};

static void make_key(const struct settle *s, uint32_t kind, const uint8_t task[32],
		     const char *more, char ret[OP_KEY])
{
	char contract[43], id[67];

	hex_format(s->settlement, 20, contract);
	hex_format(task, 32, id);
	(void)snprintf(ret, OP_KEY, "%s:%llu:%s:%s%s%s", op_kinds[kind].name,
		       (unsigned long long)s->conf->chain_id, contract, id, *more ? ":" : "",
		       more); /* fits */
}

struct op *op_by_key(const struct settle *s, const char *key)
{
	struct op *op = s->ops;

	while (op && (op->is_dry || strcmp(op->key, key) != 0))
		op = op->next;
	return op;
}

struct op *op_find(const struct settle *s, uint32_t kind, const uint8_t task[32], const char *more)
{
	char key[OP_KEY];

	make_key(s, kind, task, more, key);
	return op_by_key(s, key);
}

static void dirty(struct settle *s, struct op *op)
{
	op->is_dirty = 1;
	settle_wake(s);
}

/* May it be wanted again? What protects money does not wait until no reorganisation can undo that it was taken back, and an allowance
 * may have to be set back more than once. */
static int is_ended(const struct op *op)
{
	return op->state == OP_FAILED || op->state == OP_ABANDONED ||
	       (op->state == OP_CONFIRMED && op_is_back(op)) ||
	       (op->state == OP_MINED && op->unwanted && op_protects(op));
}

/* What was signed for it stays with it, under a key of its own: a reorganisation can bring it back. */
static void set_aside(struct settle *s, struct op *op)
{
	size_t n = strlen(op->key);

	(void)snprintf(op->key + n, sizeof(op->key) - n, SET_ASIDE "%lld",
		       (long long)op->id); /* fits */
	dirty(s, op);
}

static int is_set_aside(const struct op *op)
{
	return strstr(op->key, SET_ASIDE) != NULL;
}

/* One that ended without effect, and for which nothing was signed, begins anew, with the same call or another. */
static struct op *again(struct settle *s, struct op *op, uint8_t *data, uint32_t n)
{
	free(op->data); /* no job reads it now */
	op->data = data;
	op->n_data = n;
	op->nonce = OP_NO_NONCE;
	op->unwanted = NULL;
	op_hurry(op);
	op_set(s, op, OP_QUEUED, "%s", "");
	return op;
}

struct op *op_queue(struct settle *s, uint32_t kind, const uint8_t task[32], const char *more,
		    const uint8_t to[20], const char *signature, const struct abi_value *args,
		    unsigned n_args)
{
	struct lnx_buf data = { .max = 1u << 20 };
	struct op *op, *was, **end = &s->ops;
	char key[OP_KEY];

	make_key(s, kind, task, more, key);
	if (abi_call(&data, signature, args, n_args) < 0 || lnx_buf_error(&data)) {
		lnx_buf_done(&data);
		return NULL;
	}
	op = op_by_key(s, key);
	if (op && (!is_ended(op) || s->job || (op->n_attempts && !op->id))) {
		lnx_buf_done(&data);
		return is_ended(op) ? NULL : op;
	}
	if (op && !op->n_attempts)
		return again(s, op, (uint8_t *)data.data, (uint32_t)data.size);
	was = op;
	op = s->n_ops < SETTLE_OPS ? calloc(1, sizeof(*op)) : NULL;
	if (!op) {
		lnx_buf_done(&data);
		return NULL;
	}
	if (was)
		set_aside(s, was);
	memcpy(op->key, key, sizeof(key));
	op->kind = kind;
	memcpy(op->task, task, 32);
	memcpy(op->to, to, 20);
	op->data = (uint8_t *)data.data;
	op->n_data = (uint32_t)data.size;
	op->nonce = OP_NO_NONCE;
	op->created_ms = settle_now_ms(s);
	while (*end)
		end = &(*end)->next;
	*end = op;
	s->n_ops++;
	dirty(s, op);
	return op;
}

struct op *op_queue_task(struct settle *s, uint32_t kind, const struct task *t)
{
	static const char *const calls[OP_KINDS] = { [OP_SETTLE] = SETTLEMENT_SETTLE,
						     [OP_CLAIM] = SETTLEMENT_CLAIM,
						     [OP_CANCEL] = SETTLEMENT_CANCEL,
						     [OP_EXPIRE] = SETTLEMENT_EXPIRE };
	struct abi_value id;

	abi_set_word(&id, t->id);
	return op_queue(s, kind, t->id, "", s->settlement, calls[kind], &id, 1);
}

void op_note(struct settle *s, const struct op *op)
{
	struct task *t = op->kind == OP_WITHDRAW && !op->is_dry ? task_find(s, op->task) : NULL;

	if (!t || is_set_aside(op))
		return;
	t->withdrawal = op->state >= OP_CONFIRMED ? op->state : 0;
	t->withdrawal_block = op->state == OP_CONFIRMED ? op->block : 0;
}

void op_set(struct settle *s, struct op *op, uint32_t state, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(op->error, sizeof(op->error), fmt, ap); /* cut is fine: for people */
	va_end(ap);
	if (op->state != state)
		s->host->log(s->ctx, state == OP_SIGNED || state == OP_SENT ? LNX_DEBUG : LNX_INFO,
			     "%s: %s%s%s", op->key, op_state_names[state], *op->error ? ": " : "",
			     op->error);
	op->state = state;
	op_note(s, op);
	dirty(s, op);
}

void op_later(struct settle *s, struct op *op, const char *fmt, ...)
{
	char text[OP_TEXT];
	int64_t ms;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut is fine: for people */
	va_end(ap);
	ms = (int64_t)TRY_FIRST_MS << (op->tries < TRY_MAX ? op->tries : TRY_MAX);
	op->tries++;
	op->next_try_ms = settle_now_ms(s) + ms;
	op->next_try_ns = s->host->now_ns(s->ctx) + (uint64_t)ms * SETTLE_MS;
	if (strcmp(text, op->error) != 0) {
		s->host->log(s->ctx, LNX_WARN, "%s waits: %s", op->key, text);
		memcpy(op->error, text, sizeof(text));
		op->is_dirty = 1;
	}
}

void op_unwant(struct settle *s, struct op *op, const char *why)
{
	if (op->state == OP_QUEUED && !op->is_dry) {
		op_set(s, op, OP_ABANDONED, "%s", why);
		op_count(s, op, "abandoned");
	} else if (op_is_out(op) && !op->unwanted) {
		op->unwanted = why;
		(void)snprintf(op->error, sizeof(op->error), TAKING_BACK "%s", why); /* fits */
		s->host->log(s->ctx, LNX_INFO, "%s: %s", op->key, op->error);
		dirty(s, op);
	}
}

void op_want(struct op *op)
{
	if (!op->unwanted || op->attempts[op->n_attempts - 1].is_cancel)
		return;
	op->unwanted = NULL;
	op->error[0] = 0;
	op->is_dirty = 1;
}

void op_hurry(struct op *op)
{
	op->tries = 0;
	op->next_try_ms = 0;
	op->next_try_ns = 0;
}

/* <ms>, but from 0 to <most> whatever the clock was. */
static uint64_t hint_ns(int64_t ms, int64_t most)
{
	return (uint64_t)(ms < 0 ? 0 : ms > most ? most : ms) * SETTLE_MS;
}

void op_restore(const struct settle *s, struct op *op)
{
	uint64_t now = s->host->now_ns(s->ctx), ago;
	int64_t wall = settle_now_ms(s);

	if (op_is_out(op) && !strncmp(op->error, TAKING_BACK, strlen(TAKING_BACK)))
		op->unwanted = OP_TAKEN_BACK;
	op->next_try_ns = now + hint_ns(op->next_try_ms - wall, (int64_t)TRY_FIRST_MS << TRY_MAX);
	for (uint32_t i = 0; i < op->n_attempts; i++) {
		struct attempt *a = &op->attempts[i];

		a->is_cancel = tx1559_is_to(a->raw, a->n_raw, s->address);
		if (a->is_cancel && a->nonce == op->nonce &&
		    (op_is_out(op) || (op->state == OP_MINED && !memcmp(a->hash, op->tx_hash, 32))))
			op->unwanted = OP_TAKEN_BACK;
		if (!a->first_sent_ms)
			continue;
		ago = hint_ns(wall - a->first_sent_ms, (int64_t)(s->conf->bump_ns / SETTLE_MS));
		a->first_sent_ns = now > ago ? now - ago : 1;
	}
}

int op_is_revoke(const struct op *op)
{
	static const uint8_t zero[32];

	return op->kind == OP_APPROVE && op->n_data >= 32 &&
	       !memcmp(op->data + op->n_data - 32, zero, 32);
}

int op_is_back(const struct op *op)
{
	return op->kind == OP_APPROVE && strstr(op->key, ":" ALLOW_BACK) != NULL;
}

int op_is_out(const struct op *op)
{
	return !op->is_dry && (op->state == OP_SIGNED || op->state == OP_SENT) && op->n_attempts;
}

int op_protects(const struct op *op)
{
	return !op->is_dry &&
	       (op->kind == OP_SUBMIT || op->kind == OP_DISPUTE || op->kind == OP_CLAIM ||
		op->kind == OP_CANCEL || op->kind == OP_EXPIRE || op_is_revoke(op));
}

void op_drop_attempts(struct op *op)
{
	for (uint32_t i = 0; i < op->n_attempts; i++) {
		free(op->attempts[i].raw);
		op->attempts[i].raw = NULL;
	}
	op->n_attempts = 0;
	op->nonce = OP_NO_NONCE;
	op->is_dirty = 1;
}

int op_is_live(const struct settle *s, const struct op *op)
{
	if (op->state == OP_CONFIRMED || (op->state == OP_FAILED && op->n_attempts))
		return s->head < op->block + s->conf->reorg_depth;
	return op->state < OP_CONFIRMED;
}

uint64_t op_next_nonce(const struct settle *s)
{
	uint64_t next = s->nonce_latest > s->nonce_floor ? s->nonce_latest : s->nonce_floor;
	const struct op *op = s->ops;

	while (op) {
		if (((op->state >= OP_SIGNED && op->state <= OP_MINED) ||
		     (op->state == OP_FAILED && op_is_live(s, op))) &&
		    op->nonce == next) {
			next++;
			op = s->ops;
		} else {
			op = op->next;
		}
	}
	return next;
}

static void draft(const struct settle *s, const struct op *op, uint64_t gas, uint64_t tip,
		  uint64_t fee, struct tx1559 *ret)
{
	*ret = (struct tx1559){
		.chain_id = s->conf->chain_id, .gas = gas, .data = op->data, .n_data = op->n_data
	};
	int is_cancel = op->unwanted != NULL;

	ret->nonce = op->state == OP_QUEUED ? op_next_nonce(s) : op->nonce;
	u256_from_u64(tip, &ret->tip);
	u256_from_u64(fee, &ret->max_fee);
	memcpy(ret->to, is_cancel ? s->address : op->to, 20);
	if (is_cancel)
		ret->n_data = 0;
}

void op_ask_data_fee(struct settle *s, struct op *op, uint64_t gas, uint64_t tip, uint64_t fee)
{
	static const uint8_t oracle[20] = DATA_FEE_ORACLE;
	struct lnx_buf bytes = { .max = 1u << 20 };
	struct abi_value arg;
	struct tx1559 tx;

	if (!s->has_oracle)
		return;
	draft(s, op, gas, tip, fee, &tx);
	tx1559_draft(&tx, &bytes);
	if (lnx_buf_error(&bytes))
		s->batch.error = lnx_buf_error(&bytes);
	abi_set_bytes(&arg, (const uint8_t *)bytes.data, bytes.size);
	if (!lnx_buf_error(&bytes))
		(void)call_add(&s->batch, oracle, "getL1Fee(bytes)", &arg, 1); /* errors stick */
	lnx_buf_done(&bytes);
}

int op_sign(struct settle *s, struct op *op, uint64_t gas, uint64_t tip, uint64_t fee)
{
	struct attempt *a = &op->attempts[op->n_attempts];
	struct lnx_buf raw = { .max = 1u << 20 };
	struct tx1559 tx;
	int rc;

	if (op->n_attempts == OP_ATTEMPTS)
		return -ENOSPC;
	draft(s, op, gas, tip, fee, &tx);
	memset(a, 0, sizeof(*a));
	rc = tx1559_sign(&tx, s->secp, s->key, &raw, a->hash);
	if (rc < 0) {
		lnx_buf_done(&raw);
		return rc;
	}
	a->raw = (uint8_t *)raw.data;
	a->n_raw = (uint32_t)raw.size;
	a->nonce = tx.nonce;
	a->tip_wei = tip;
	a->fee_wei = fee;
	a->gas = gas;
	a->is_cancel = op->unwanted != NULL;
	if (op->is_dry) /* looked at, then thrown away */
		return 0;
	op->n_attempts++;
	op->nonce = tx.nonce;
	op_set(s, op, OP_SIGNED, "%s", "");
	return 0;
}

void op_sweep(struct settle *s)
{
	struct op **p = &s->ops, *op;
	uint32_t open = 0;

	while ((op = *p)) {
		open += op->state < OP_CONFIRMED && !op->is_dry;
		/* what belongs to a task stays as long as the task: a second wish must find it */
		if (s->job || op->is_dirty || op_is_live(s, op) ||
		    (!op->is_dry && !is_set_aside(op) && !task_is_over(s, op->task))) {
			p = &op->next;
			continue;
		}
		*p = op->next;
		s->n_ops--;
		op_free(op);
	}
	s->host->metric_set(s->ctx, s->m_depth, open);
}

void op_count(struct settle *s, const struct op *op, const char *result)
{
	static const char *const labels[] = { "kind", "result", NULL };
	static const struct lnx_metric_desc desc = {
		.name = "linnix_chain_tx_total",
		.help = "Operations on the chain by their end.",
		.kind = LNX_COUNTER,
		.labels = labels,
		.max_series = 64
	};
	const char *values[] = { op_kinds[op->kind].name, result, NULL };
	struct lnx_metric *m;

	if (s->host->metric(s->ctx, &desc, values, &m) == 0)
		s->host->metric_add(s->ctx, m, 1);
}

void op_json(const struct op *op, struct lnx_buf *out)
{
	const struct attempt *a = op->n_attempts ? &op->attempts[op->n_attempts - 1] : NULL;
	char hex[67], wei[U256_DECIMAL];

	lnx_buf_char(out, '{');
	lnx_json_kv_str(out, "kind", op_kinds[op->kind].name);
	lnx_json_kv_str(out, "state", op_state_names[op->state]);
	lnx_json_kv_str(out, "error", op->error);
	if (op->kind == OP_APPROVE && op->n_data >= 32) {
		struct u256 amount;

		memcpy(amount.b, op->data + op->n_data - 32, 32);
		u256_format(&amount, wei);
		lnx_json_kv_str(out, "amount", wei);
	}
	lnx_json_kv_bool(out, "is_cancelled",
			 op->state >= OP_MINED && op->state <= OP_FAILED ? op->unwanted != NULL
									 : a && a->is_cancel);
	if (a) {
		lnx_json_kv_u64(out, "nonce", op->nonce);
		lnx_json_kv_u64(out, "attempts", op->n_attempts);
		hex_format(op->state >= OP_MINED ? op->tx_hash : a->hash, 32, hex);
		lnx_json_kv_str(out, "tx", hex);
		lnx_json_kv_u64(out, "max_fee_wei", a->fee_wei);
	}
	if (op->state == OP_MINED || op->state == OP_CONFIRMED) {
		lnx_json_kv_u64(out, "block", op->block);
		u256_format(&op->spent_wei, wei);
		lnx_json_kv_str(out, "fee_wei", wei);
	}
	lnx_buf_char(out, '}');
}
