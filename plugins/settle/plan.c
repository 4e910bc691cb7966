/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One decision a turn: which operation is signed next, or which waits too long and gets a better price. While one is out, only what
 * protects money uses another nonce. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "allow.h"
#include "call.h"
#include "op.h"
#include "prepare.h"
#include "task.h"

#define GWEI	 1000000000ull
#define GAS_MAX	 15000000ull
#define FEE_MAX	 (1ull << 62)
#define NEAR_END 60 /* blocks before a deadline in which fees rise twice as fast */
#define SPARE	 4  /* attempts that are kept for taking it back */
#define OUT_MAX	 8u /* that are out at a time */

/* 1.125 times and one more: every node takes that for a replacement. */
static uint64_t raised(uint64_t v)
{
	return v + v / 8 + 1;
}

static uint64_t cap_wei(const struct settle *s)
{
	return s->conf->max_fee_gwei * GWEI;
}

/* The most that it may cost: gas, and what the chain takes for its data, a quarter more by the time that it is in a block. 0 or
 * -ERANGE. */
static int cost_of(const struct op *op, uint64_t gas, uint64_t fee, struct u256 *ret)
{
	struct u256 more;
	uint64_t rest;

	u256_from_u64(gas, ret);
	return u256_div_u64(&op->data_fee, 4, &more, &rest) || u256_mul_u64(ret, fee, ret) ||
			       u256_add(ret, &op->data_fee, ret) || u256_add(ret, &more, ret)
		       ? -ERANGE
		       : 0;
}

/* Is that within what one transaction may cost? */
static int is_affordable(const struct settle *s, const struct op *op, uint64_t gas, uint64_t fee)
{
	struct u256 cost, most;

	u256_from_u64(s->conf->max_tx_cost_gwei, &most);
	return !cost_of(op, gas, fee, &cost) && !u256_mul_u64(&most, GWEI, &most) &&
	       u256_cmp(&cost, &most) <= 0;
}

/* ---- a better price */

/* What takes the place of a call gets its gas, where that may be spent: a transaction that moves nothing does not cost 21,000 on every
 * chain and for every account. */
static uint64_t cancel_gas(const struct settle *s, const struct op *op, uint64_t gas, uint64_t fee)
{
	struct u256 cost;

	return is_affordable(s, op, gas, fee) && !cost_of(op, gas, fee, &cost) &&
			       u256_cmp(&cost, &s->balance) <= 0
		       ? gas
		       : OP_CANCEL_GAS;
}

/* Sign what takes the place of a call, whatever the fees: where they may not rise, for the nodes that do not have the call (any more),
 * as a nonce that is missing holds up all behind it. 1: signed. */
static int cancel(struct settle *s, struct op *op, uint64_t tip, uint64_t fee)
{
	const struct attempt *a = &op->attempts[op->n_attempts - 1];
	uint64_t gas = a->gas;

	if (fee > cap_wei(s))
		fee = cap_wei(s);
	if (!is_affordable(s, op, OP_CANCEL_GAS, fee) && fee > a->fee_wei)
		fee = a->fee_wei;
	if (tip > fee)
		tip = fee;
	gas = cancel_gas(s, op, gas, fee);
	if (op->n_attempts >= OP_ATTEMPTS || !is_affordable(s, op, gas, fee) ||
	    (a->is_cancel && fee <= a->fee_wei)) /* the same bytes are sent again */
		return 0;
	return op_sign(s, op, gas, tip, fee) == 0;
}

/* 1: signed, at the same nonce; what is not wanted any more is replaced by nothing. */
static int bump(struct settle *s, struct op *op)
{
	const struct attempt *a = &op->attempts[op->n_attempts - 1];
	uint64_t tip = raised(a->tip_wei), fee = raised(a->fee_wei), gas = a->gas;
	int is_signed;

	if (s->tip > tip)
		tip = s->tip;
	if (2 * s->base_fee + tip > fee)
		fee = 2 * s->base_fee + tip;
	if (op->unwanted)
		is_signed = cancel(s, op, tip, fee);
	else
		is_signed = op->n_attempts < OP_ATTEMPTS - SPARE && fee <= cap_wei(s) &&
			    is_affordable(s, op, gas, fee) && op_sign(s, op, gas, tip, fee) == 0;
	if (!is_signed) {
		s->host->health(
			s->ctx, "chain-fees", LNX_HEALTH_DEGRADED,
			"a transaction is not mined, and its fee may not rise: see chain.max_fee_gwei and chain.max_tx_cost_gwei");
		return 0;
	}
	s->host->log(s->ctx, LNX_INFO, "%s: %s, nonce %llu again with %llu gwei", op->key,
		     op->unwanted ? "taken back" : "not mined", (unsigned long long)op->nonce,
		     (unsigned long long)(op->attempts[op->n_attempts - 1].fee_wei / GWEI));
	return 1;
}

static int is_slow(const struct settle *s, const struct op *op)
{
	const struct attempt *a = &op->attempts[op->n_attempts - 1];
	uint64_t wait_ns = s->conf->bump_ns;

	if (op->not_after_block && s->head + NEAR_END > op->not_after_block)
		wait_ns /= 2;
	return a->first_sent_ns && s->host->now_ns(s->ctx) - a->first_sent_ns > wait_ns;
}

/* Does something that protects money wait for a nonce before its own? */
static int holds_up(const struct settle *s, const struct op *op)
{
	for (const struct op *o = s->ops; o; o = o->next)
		if (op_protects(o) && op_is_out(o) && o->nonce > op->nonce)
			return 1;
	return 0;
}

/* What is out gets a better price, or something else in its place. 1: signed. */
static int renew(struct settle *s, struct op *op)
{
	/* one endpoint alone could tell of an earlier end: a dispute is only in more haste by it */
	if (op->not_after_block && s->head >= op->not_after_block && op->kind != OP_DISPUTE)
		op_unwant(s, op, "too late: its deadline passed before it was mined");
	if (s->nonce_latest > op->nonce)
		return 0; /* it is used: by what, the next looks tell */
	if (op->unwanted && !op->attempts[op->n_attempts - 1].is_cancel)
		return bump(s, op);
	if (op->state != OP_SENT || !is_slow(s, op))
		return 0;
	if (bump(s, op))
		return 1;
	if (op->unwanted || op_protects(op) || !holds_up(s, op))
		return 0;
	op_unwant(s, op, OP_MADE_WAY);
	return bump(s, op);
}

/* ---- a new one */

static void end_dry(struct settle *s, struct op *op, const char *error, uint64_t gas, uint64_t fee)
{
	struct task *t = task_find(s, op->task);
	struct attempt *a = &op->attempts[0];
	struct lnx_buf out = { .max = 1u << 20 };
	char hex[67], to[ADDRESS_TEXT], wei[U256_DECIMAL],
		*data = malloc(2 * (size_t)op->n_data + 3);
	int is_open = !strcmp(error, PREPARE_ALLOWANCE_FIRST);

	lnx_buf_char(&out, '{');
	lnx_json_kv_bool(&out, "would_work", !*error || is_open);
	lnx_json_kv_str(&out, is_open ? "note" : "error", error);
	lnx_json_kv_str(&out, "kind", op_kinds[op->kind].name);
	address_format(op->to, to);
	lnx_json_kv_str(&out, "to", to);
	if (data) {
		hex_format(op->data, op->n_data, data);
		lnx_json_kv_str(&out, "data", data);
	}
	lnx_json_kv_u64(&out, "chain_id", s->conf->chain_id);
	lnx_json_kv_u64(&out, "nonce", op_next_nonce(s));
	if (!*error && op_sign(s, op, gas, s->tip, fee) == 0) {
		lnx_json_kv_u64(&out, "gas", gas);
		lnx_json_kv_u64(&out, "max_fee_wei", fee);
		lnx_json_kv_u64(&out, "tip_wei", s->tip);
		u256_format(&op->data_fee, wei);
		lnx_json_kv_str(&out, "data_fee_wei", wei);
		hex_format(a->hash, 32, hex);
		lnx_json_kv_str(&out, "tx", hex);
		free(a->raw);
		a->raw = NULL;
	}
	lnx_buf_char(&out, '}');
	free(data);
	if (t && !lnx_buf_error(&out)) {
		free(t->simulation);
		t->simulation = out.data;
		out.data = NULL;
	}
	lnx_buf_done(&out);
	op->state = OP_ABANDONED; /* swept at the end of the turn */
	op->is_dirty = 0;
	if (t && t->is_dry)
		task_set(s, t, PHASE_FAILED, "a dry run: nothing was sent");
}

/* What the call before the last told. 0 or -EPROTO. */
static int read_data_fee(struct settle *s, struct op *op)
{
	struct abi_value v;

	if (!s->has_oracle)
		return 0;
	if (settle_second(s, s->batch.n - 2) &&
	    !settle_is_same(&s->batch.calls[s->batch.n - 2], settle_second(s, s->batch.n - 2)))
		s->differs = "what is taken for data";
	if (call_words(&s->batch.calls[s->batch.n - 2], "(uint256)", &v, 1))
		return -EPROTO;
	op->data_fee = v.word;
	return 0;
}

/* The gas that it gets: of two estimates the higher, as what is left over is not paid; that of the endpoint in use when the higher is
 * more than it may cost. 0 or -EPROTO. */
static int read_gas(struct settle *s, const struct op *op, uint64_t fee, uint64_t *ret)
{
	const struct rpc_call *second = settle_second(s, s->batch.n - 1);
	uint64_t gas, other;

	if (second && !rpc_u64(second, &other) && !rpc_u64(&s->batch.calls[s->batch.n - 1], &gas) &&
	    (gas / 2 > other || other / 2 > gas))
		s->differs = second->method;
	if (rpc_u64(&s->batch.calls[s->batch.n - 1], &gas) || gas > GAS_MAX) {
		if (second && !second->is_error)
			s->differs = second->method;
		return -EPROTO;
	}
	if (second && !rpc_u64(second, &other) && other > gas && other <= GAS_MAX &&
	    is_affordable(s, op, other + other / 5, fee))
		gas = other;
	*ret = gas + gas / 5;
	return 0;
}

/* The node would take it: at which price? */
static void sign(struct settle *s, struct op *op)
{
	uint64_t gas, fee = 2 * s->base_fee + s->tip;
	char text[U256_UNITS];
	struct u256 cost;

	if (read_data_fee(s, op) < 0) {
		op_later(s, op, "the chain does not tell what it takes for data");
		return;
	}
	if (read_gas(s, op, fee, &gas) < 0) {
		op_later(s, op, "the node's estimate of its gas cannot be used");
		return;
	}
	if (fee > cap_wei(s) || !is_affordable(s, op, gas, fee) || fee > FEE_MAX) {
		u256_format_units(&op->data_fee, 9, text);
		op_later(
			s, op,
			"gas costs %llu gwei now, its data %s gwei besides: over chain.max_fee_gwei or chain.max_tx_cost_gwei",
			(unsigned long long)(fee / GWEI), text);
		return;
	}
	if (cost_of(op, gas, fee, &cost) || u256_cmp(&cost, &s->balance) > 0) {
		op_later(s, op,
			 "the agent's address has too little of the chain's own coin for the fee");
		return;
	}
	if (op->is_dry) {
		end_dry(s, op, "", gas, fee);
		return;
	}
	if (s->conf->dry_run) {
		op_set(s, op, OP_ABANDONED, "chain.dry_run: nothing is sent");
		return;
	}
	if (op_sign(s, op, gas, s->tip, fee) < 0)
		op_later(s, op, "it cannot be signed");
}

/* The answers are there: it is signed, waits, or is given up. */
static void decide(struct settle *s, struct op *op)
{
	const struct rpc_call *estimate = &s->batch.calls[s->batch.n - 1];
	const struct rpc_call *second = settle_second(s, s->batch.n - 1);
	char why[OP_TEXT] = "";
	int rc = prepare_judge(s, op, why);

	if (rc == 0 && estimate->is_error) {
		call_why(estimate, why, sizeof(why));
		rc = call_reverted(estimate) ? prepare_reverted(s, op, why) : -EAGAIN;
		/* one endpoint alone ends nothing, and is not in use for ever */
		if (second && !call_reverted(second)) {
			if (rc == -EPERM || !second->is_error)
				s->differs = second->method;
			rc = rc == -EPERM ? -EAGAIN : rc;
		}
	}
	if ((rc || prepare_pays(s, op)) && settle_compare(s, s->n_alike)) {
		(void)snprintf(why, sizeof(why), "two endpoints do not agree on %s", s->differs);
		rc = -EAGAIN;
	}
	if (rc == 0)
		sign(s, op);
	else if (op->is_dry)
		end_dry(s, op, why, 0, 0);
	else if (rc == -EAGAIN)
		op_later(s, op, "%s", why);
	else {
		op_set(s, op, OP_ABANDONED, "%s", why);
		op_count(s, op, "abandoned");
		if (op_is_back(op) && rc == -EALREADY)
			allow_over(s);
	}
}

static void prepared(struct settle *s)
{
	struct op *op = s->plan;

	if (op->state == OP_QUEUED) /* nobody gave it up meanwhile */
		decide(s, op);
	s->plan = NULL;
	settle_wake(s);
	rpc_reset(&s->batch);
	s->after_plan(s);
}

static int is_too_late(struct settle *s, struct op *op)
{
	/* the earlier of two heads: one endpoint alone ends nothing, and the estimate tells whether it still goes */
	if (!op->not_after_block || op->kind == OP_DISPUTE ||
	    s->head + s->conf->deadline_margin <= op->not_after_block)
		return 0;
	op_set(s, op, OP_ABANDONED, "too late: block %llu is near its deadline %llu",
	       (unsigned long long)s->head, (unsigned long long)op->not_after_block);
	op_count(s, op, "abandoned");
	return 1;
}

/* Does it hold one of the places? What is in the chain by the word of one endpoint does not: whoever hides that holds up nothing, and
 * who makes it up gets more transactions out of us, no more than the outbox has. */
static int has_place(const struct settle *s, const struct op *op)
{
	return op_is_out(op) && !op->is_told && op->nonce >= s->nonce_told;
}

/* Those that wait for a place, as too many are out. */
static void tell_waiting(struct settle *s, unsigned n)
{
	char text[SETTLE_WHY];

	(void)snprintf(
		text, sizeof(text),
		"%u transactions are out and not mined: %u operations that protect money wait for them",
		OUT_MAX, n); /* fits */
	s->host->health(s->ctx, "chain-outbox", n ? LNX_HEALTH_DEGRADED : LNX_HEALTH_OK,
			n ? text : "");
	s->host->metric_set(s->ctx, s->m_waiting, n);
}

/* Which is to be looked at now: the first; while something is out, and in every second turn, of those that protect money the one that
 * was not looked at for longest. <n_out>, <n_places>: that are out, and of them those that hold a place. */
static struct op *next_op(struct settle *s, unsigned n_out, unsigned n_places)
{
	uint64_t now = s->host->now_ns(s->ctx);
	int is_fair = n_out || s->plan_turn % 2;
	unsigned n_waiting = 0;
	struct op *found = NULL;

	for (struct op *op = s->ops; op; op = op->next) {
		int protects = op_protects(op);

		if (op->state != OP_QUEUED || op->next_try_ns > now || (n_out && !protects) ||
		    is_too_late(s, op))
			continue;
		n_waiting += n_places >= OUT_MAX;
		if (!found || (is_fair && protects &&
			       (!op_protects(found) || op->planned_turn < found->planned_turn)))
			found = op;
	}
	tell_waiting(s, n_waiting);
	return n_waiting ? NULL : found;
}

/* 1: one of those that are out was signed anew. */
static int renew_one(struct settle *s)
{
	for (struct op *op = s->ops; op; op = op->next)
		if (op_is_out(op) && renew(s, op))
			return 1;
	return 0;
}

void plan_begin(struct settle *s, void (*then)(struct settle *s))
{
	unsigned n_out = 0, n_places = 0;
	struct op *next;

	s->after_plan = then;
	s->plan = NULL;
	if (s->state != CHAIN_READY) {
		then(s);
		return;
	}
	for (const struct op *op = s->ops; op; op = op->next) {
		n_out += op_is_out(op) != 0;
		n_places += has_place(s, op) != 0;
	}
	if (!n_out)
		s->host->health(s->ctx, "chain-fees", LNX_HEALTH_OK, "");
	next = next_op(s, n_out, n_places);
	/* however many there are to renew, in every second turn there is time for one that waits */
	s->has_renewed = !(next && s->has_renewed) && renew_one(s);
	if (s->has_renewed || !next || next->state != OP_QUEUED) {
		then(s);
		return;
	}
	next->planned_turn = ++s->plan_turn;
	s->plan = next;
	rpc_reset(&s->batch);
	s->n_alike = prepare_ask(s, s->plan);
	settle_ask_twin(s, s->batch.n, prepared);
}
