/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the chain says: its head, our nonce, the fate of every transaction that is out, the tasks that are open. */
#include <errno.h>
#include <string.h>

#include "call.h"
#include "op.h"
#include "task.h"

#define LAG_BLOCKS 8  /* behind what another endpoint told, */
#define LAG_S	   60 /* and its head so old: it is skipped */

#define MISSING_TURNS 4
#define HEAD_MAX      (1ull << 48) /* a block number in the contract has 48 bits */
#define WEI_MAX	      (1ull << 60) /* far over every cap; sums of it fit */

/* enum: places in the batch */
#define ASK_BLOCK   0
#define ASK_NONCE   1
#define ASK_BALANCE 2
#define ASK_FEES    3
#define ASK_MORE    4

/* ---- the head */

/* An old head, and younger blocks that another has. A head alone shows nothing: whoever tells of blocks that are not there must not
 * make the honest look late. Our clock may be ahead, and blocks may pause: the other's time counts, if it is not to come. */
static int is_late(const struct settle *s, uint64_t number, uint64_t time_s, uint64_t best,
		   uint64_t best_s)
{
	uint64_t now_s = (uint64_t)settle_now_ms(s) / 1000,
		 young_s = best_s < now_s ? best_s : now_s;

	return number + LAG_BLOCKS < best && time_s < young_s && young_s - time_s > LAG_S;
}

/* Is one more than twice the other? Honest ones are a block or two apart. */
static int is_far(uint64_t a, uint64_t b)
{
	return a / 2 > b || b / 2 > a;
}

static uint64_t tip_of(const struct settle *s, const struct rpc_call *fees)
{
	const json_t *rewards = json_object_get(fees->result, "reward"), *row;
	uint64_t tip = s->conf->min_tip_gwei * 1000000000u, tips[8];
	size_t i, n = 0;

	json_array_foreach(rewards, i, row)
	{
		struct u256 v;
		const char *text = json_string_value(json_array_get(row, 0));

		if (n < 8 && text && !u256_parse_hex(text, &v) && !u256_to_u64(&v, &tips[n]))
			n++;
	}
	for (i = 1; i < n; i++) /* a few: sorted by insertion */
		for (size_t k = i; k && tips[k] < tips[k - 1]; k--) {
			uint64_t t = tips[k];

			tips[k] = tips[k - 1];
			tips[k - 1] = t;
		}
	if (n && tips[n / 2] > tip)
		tip = tips[n / 2] < WEI_MAX ? tips[n / 2] : WEI_MAX;
	return tip;
}

/* What only the price and the fee depend on: a tip is spent, so the lower counts, and the fee rises when that is too little; the
 * balance only tells whether to try, so the higher. The base fee is that of the endpoint in use, and the two change places when
 * they differ for long. */
static void look_second_fees(struct settle *s, const struct rpc_call *block)
{
	const struct rpc_call *balance = settle_second(s, ASK_BALANCE),
			      *fees = settle_second(s, ASK_FEES);
	uint64_t base, tip;
	struct u256 v;

	if (!rpc_u64_at(block->result, "baseFeePerGas", &base) && is_far(base, s->base_fee))
		s->differs = "the base fee";
	if (balance && json_is_string(balance->result) &&
	    !u256_parse_hex(json_string_value(balance->result), &v) &&
	    u256_cmp(&v, &s->balance) != 0) {
		s->differs = "the balance";
		if (u256_cmp(&v, &s->balance) > 0)
			s->balance = v;
	}
	if (!fees || !json_is_object(fees->result))
		return;
	tip = tip_of(s, fees);
	if (is_far(tip, s->tip))
		s->differs = "the tip";
	if (tip < s->tip)
		s->tip = tip;
}

/* Two heads: of those the earlier counts, so that nothing is taken for late that is not. */
static void look_second_head(struct settle *s)
{
	const struct rpc_call *block = settle_second(s, ASK_BLOCK),
			      *nonce = settle_second(s, ASK_NONCE);
	uint64_t number, time_s, n;

	if (!block || rpc_u64_at(block->result, "number", &number) || number >= HEAD_MAX ||
	    rpc_u64_at(block->result, "timestamp", &time_s))
		return;
	if (is_late(s, number, time_s, s->head, s->head_time)) {
		rpc_failed(&s->rpc, (unsigned)s->twin, 0, "it is behind other endpoints");
		rpc_reset(&s->second);
		return;
	}
	if (number + LAG_BLOCKS < s->head || s->head + LAG_BLOCKS < number)
		s->differs = "the newest block";
	s->rpc.endpoints[s->twin].head = number;
	s->rpc.endpoints[s->twin].head_time = time_s;
	if (number > s->head_max)
		s->head_max = number;
	if (number < s->head)
		s->head = number;
	if (!rpc_u64(nonce, &n) && n != s->nonce_latest) {
		s->differs = "the nonce";
		if (n < s->nonce_latest)
			s->nonce_latest = n;
		else
			s->nonce_told = n;
	}
	look_second_fees(s, block);
}

/* Up to which block nothing changes any more: of two that tell it the earlier; where one does not tell it, none. */
static uint64_t deep_block(struct settle *s)
{
	const struct rpc_call *c = &s->batch.calls[ASK_MORE], *other = settle_second(s, ASK_MORE);
	uint64_t block = 0, second = 0;
	char text[SETTLE_WHY] = "";

	if (!s->deep_tag)
		return s->head >= s->confirmations ? s->head - s->confirmations + 1 : 0;
	if (rpc_u64_at(c->result, "number", &block) ||
	    (other && rpc_u64_at(other->result, "number", &second))) {
		block = 0;
		(void)snprintf(text, sizeof(text),
			       "a node does not tell the block that is %s: nothing counts as done",
			       s->deep_tag); /* fits */
	}
	s->host->health(s->ctx, "chain-confirmations", *text ? LNX_HEALTH_DEGRADED : LNX_HEALTH_OK,
			text);
	if (other && second < block)
		block = second;
	return block < s->head ? block : s->head;
}

static int look_head(struct settle *s)
{
	const struct rpc_call *c = s->batch.calls;
	struct rpc_endpoint *e = &s->rpc.endpoints[s->at];
	const json_t *block = c[ASK_BLOCK].result;
	uint64_t number, best = 0, best_s = 0;

	if (rpc_u64_at(block, "number", &number) || number >= HEAD_MAX ||
	    rpc_u64_at(block, "timestamp", &s->head_time) ||
	    rpc_u64(&c[ASK_NONCE], &s->nonce_latest) || !json_is_string(c[ASK_BALANCE].result) ||
	    u256_parse_hex(json_string_value(c[ASK_BALANCE].result), &s->balance))
		return -EPROTO;
	if (rpc_u64_at(block, "baseFeePerGas", &s->base_fee))
		s->base_fee = 0;
	if (s->base_fee > WEI_MAX)
		s->base_fee = WEI_MAX;
	for (unsigned i = 0; i < s->rpc.n; i++)
		if (s->rpc.endpoints[i].head > best) {
			best = s->rpc.endpoints[i].head;
			best_s = s->rpc.endpoints[i].head_time;
		}
	e->head = number;
	e->head_time = s->head_time;
	if (is_late(s, number, s->head_time, best, best_s) && rpc_pick(&s->rpc, s->at) >= 0)
		return -ESTALE;
	s->head = number;
	s->head_max = number;
	s->nonce_told = s->nonce_latest;
	s->tip = tip_of(s, &c[ASK_FEES]);
	look_second_head(s);
	s->deep_block = deep_block(s);
	s->host->metric_set(s->ctx, s->m_block, (double)s->deep_block);
	return 0;
}

/* ---- transactions */

/* Is the event that <op> is for among the logs? */
static int has_event(const struct op *op, const json_t *logs)
{
	uint8_t topic[32], got[32], address[20];
	const json_t *log;
	size_t i;

	if (abi_topic(op_kinds[op->kind].event, topic))
		return 0;
	json_array_foreach(logs, i, log)
	{
		const json_t *topics = json_object_get(log, "topics");
		const char *first = json_string_value(json_array_get(topics, 0)),
			   *second = json_string_value(json_array_get(topics, 1));

		if (!first || hex_parse(first, got, 32) || memcmp(got, topic, 32) != 0 ||
		    hex_parse(rpc_text_at(log, "address"), address, 20) ||
		    memcmp(address, op->to, 20) != 0)
			continue;
		if (!op_kinds[op->kind].from ||
		    (second && !hex_parse(second, got, 32) && !memcmp(got, op->task, 32)))
			return 1;
	}
	return 0;
}

/* A receipt of attempt <n>. Not believed before its block is known to be in the chain. Only null says that there is none: an
 * error or nonsense says nothing. */
static void look_receipt(struct op *op, uint32_t n, const json_t *r)
{
	uint64_t status, gas, price;
	struct u256 cost;

	if (json_is_null(r))
		return;
	op->found.is_unknown = 1;
	if (!json_is_object(r) || rpc_u64_at(r, "status", &status) ||
	    rpc_u64_at(r, "blockNumber", &op->found.block) ||
	    hex_parse(rpc_text_at(r, "blockHash"), op->found.block_hash, 32) ||
	    hex_parse(rpc_text_at(r, "transactionHash"), op->found.hash, 32) ||
	    memcmp(op->found.hash, op->attempts[n].hash, 32) != 0)
		return;
	op->found.is_there = 1;
	op->found.is_unknown = 0;
	op->found.is_good = status == 1;
	op->found.is_cancel = op->attempts[n].is_cancel != 0;
	op->found.has_event = has_event(op, json_object_get(r, "logs"));
	/* of the OP stack: what its data cost */
	if (u256_parse_hex(rpc_text_at(r, "l1Fee"), &op->found.cost))
		memset(&op->found.cost, 0, sizeof(op->found.cost));
	if (!rpc_u64_at(r, "gasUsed", &gas) && !rpc_u64_at(r, "effectiveGasPrice", &price)) {
		u256_from_u64(gas, &cost);
		if (u256_mul_u64(&cost, price, &cost) ||
		    u256_add(&op->found.cost, &cost, &op->found.cost))
			memset(&op->found.cost, 0, sizeof(op->found.cost));
	}
}

/* Do two endpoints tell the same of a transaction? */
static int is_same_fate(const json_t *a, const json_t *b)
{
	if (json_is_null(a) || json_is_null(b))
		return json_is_null(a) && json_is_null(b);
	return *rpc_text_at(a, "blockHash") &&
	       !strcmp(rpc_text_at(a, "blockHash"), rpc_text_at(b, "blockHash")) &&
	       !strcmp(rpc_text_at(a, "status"), rpc_text_at(b, "status"));
}

static void look_fate(struct settle *s, struct op *op, uint32_t n, unsigned i)
{
	const struct rpc_call *other = settle_second(s, i);
	const json_t *r = s->batch.calls[i].result;

	if (!other || is_same_fate(r, other->result)) {
		look_receipt(op, n, r);
		if (other && !has_event(op, json_object_get(other->result, "logs")))
			op->found.has_event = 0;
		return;
	}
	op->found.is_unknown = 1;
	op->is_told |= json_is_object(r) || json_is_object(other->result);
	s->differs = other->method;
}

static double as_double(const struct u256 *v)
{
	double d = 0;

	for (unsigned i = 0; i < sizeof(v->b); i++)
		d = d * 256 + v->b[i];
	return d;
}

static void end_op(struct settle *s, struct op *op, uint32_t state, const char *why)
{
	op_set(s, op, state, "%s", why);
	op_count(s, op, state == OP_CONFIRMED ? "confirmed" : "failed");
	if (state == OP_CONFIRMED && settle_now_ms(s) > op->created_ms)
		s->host->metric_observe(s->ctx, s->m_seconds,
					(double)(settle_now_ms(s) - op->created_ms) / 1000);
	s->host->metric_add(s->ctx, s->m_fees, as_double(&op->spent_wei));
	/* were the block of one that reverted taken back for long, a floor above it would leave a hole for ever */
	if (state == OP_CONFIRMED && op->nonce >= s->nonce_floor)
		s->nonce_floor = op->nonce + 1;
}

/* What waited for the allowance comes before another's approve takes it away. */
static void allowed(struct settle *s, const struct op *approve)
{
	struct op *op =
		approve->kind == OP_APPROVE ? op_find(s, OP_CREATE, approve->task, "") : NULL;

	if (op && op->state == OP_QUEUED)
		op_hurry(op);
}

/* What was sent in its place is in the chain. Over it is when no reorganisation can mine the call instead, which is out, too. */
static void settle_cancelled(struct settle *s, struct op *op, int is_deep)
{
	if (!op->unwanted)
		op->unwanted = OP_TAKEN_BACK;
	if (!is_deep || s->head < op->block + s->conf->reorg_depth) {
		if (op->state != OP_MINED)
			op_set(s, op, OP_MINED, "taken back, but not deep enough in the chain yet");
		return;
	}
	op_set(s, op, OP_ABANDONED, "%s", op->unwanted);
	op_count(s, op, "cancelled");
	s->host->metric_add(s->ctx, s->m_fees, as_double(&op->spent_wei));
}

/* It is in the chain: in which state is it then? <revert>: the call made again at its block, NULL when it worked. */
static void settle_found(struct settle *s, struct op *op, const struct rpc_call *revert)
{
	int is_deep = op->found.block <= s->deep_block;
	char why[OP_TEXT] = "reverted";
	int was_in = op->state == OP_MINED || op->state == OP_CONFIRMED;

	if ((op->state == OP_MINED || op->state == OP_CONFIRMED) &&
	    memcmp(op->block_hash, op->found.block_hash, 32) != 0) {
		s->host->metric_add(s->ctx, s->m_reorgs, 1);
		op_set(s, op, is_deep ? op->state : OP_MINED,
		       "the chain was reorganised: it is in another block now");
	}
	op->block = op->found.block;
	memcpy(op->block_hash, op->found.block_hash, 32);
	memcpy(op->tx_hash, op->found.hash, 32);
	op->spent_wei = op->found.cost;
	if (op->found.is_cancel) {
		settle_cancelled(s, op, is_deep);
		return;
	}
	op->unwanted = NULL; /* too late */
	if (op->found.is_good && (op->found.has_event || s->is_compat)) {
		if (is_deep && op->state != OP_CONFIRMED)
			end_op(s, op, OP_CONFIRMED, "");
		else if (!is_deep && op->state != OP_MINED && op->state != OP_CONFIRMED)
			op_set(s, op, OP_MINED, "%s", "");
		if (!was_in)
			allowed(s, op);
		return;
	}
	if (!is_deep)
		return;
	if (op->found.is_good)
		(void)snprintf(why, sizeof(why), "mined without the event %.60s",
			       op_kinds[op->kind].event);
	else if (revert && revert->is_error)
		call_why(revert, why, sizeof(why));
	if (op->state != OP_FAILED)
		end_op(s, op, OP_FAILED, why);
}

/* A task whose create failed, and may be mined after all. */
static void is_out_again(struct settle *s, const struct op *op)
{
	struct task *t = op->kind == OP_CREATE ? task_find(s, op->task) : NULL;

	if (t && t->status == TASK_NONE && !strcmp(t->phase, PHASE_FAILED))
		task_set(s, t, PHASE_ACCEPTED, "%s", "");
}

/* It is not in the chain (any more). */
static void settle_missing(struct settle *s, struct op *op)
{
	if (op->state >= OP_MINED && op->state <= OP_FAILED) {
		s->host->metric_add(s->ctx, s->m_reorgs, 1);
		is_out_again(s, op);
		op_set(s, op, OP_SENT, "its block is no longer in the chain: sent again");
		op->attempts[op->n_attempts - 1].last_sent_ns = 0;
		return;
	}
	/* Another transaction took the nonce, deep enough to stay: what was signed can never be mined. Seen more than once, as
	 * one answer may come from a node behind. */
	op->n_missing = s->nonce_deep > op->nonce ? op->n_missing + 1 : 0;
	if (op->n_missing >= MISSING_TURNS) {
		op->n_missing = 0;
		s->host->log(s->ctx, LNX_WARN,
			     "nonce %llu was used by somebody else: is this key in use elsewhere?",
			     (unsigned long long)op->nonce);
		s->host->health(s->ctx, "chain-key", LNX_HEALTH_DEGRADED,
				"another program uses this agent's key");
		op_drop_attempts(op);
		op_set(s, op, op->unwanted ? OP_ABANDONED : OP_QUEUED, "%s",
		       op->unwanted ? op->unwanted
				    : "its nonce was used by another transaction of this key");
	}
}

/* ---- are the blocks in the chain? */

static void look_end(struct settle *s)
{
	rpc_good(&s->rpc, (unsigned)s->at);
	if (s->second.n && s->twin >= 0)
		rpc_good(&s->rpc, (unsigned)s->twin);
	rpc_reset(&s->batch);
	s->after_look(s);
}

static void looked_blocks(struct settle *s)
{
	unsigned i = 1;
	uint64_t n = 0;

	if (rpc_u64(&s->batch.calls[0], &s->nonce_deep))
		s->nonce_deep = 0;
	if (settle_second(s, 0) && (rpc_u64(settle_second(s, 0), &n) || n < s->nonce_deep))
		s->nonce_deep = n;
	for (struct op *op = s->ops; op; op = op->next) {
		uint8_t hash[32], other_hash[32];
		const struct rpc_call *revert = NULL, *block, *other;

		if (!op->is_asked)
			continue;
		if (!op->found.is_there) {
			if (!op->found.is_unknown)
				settle_missing(s, op);
			continue;
		}
		other = settle_second(s, i);
		block = &s->batch.calls[i++];
		if (!op->found.is_good)
			revert = &s->batch.calls[i++];
		if (hex_parse(rpc_text_at(block->result, "hash"), hash, 32))
			continue; /* not told */
		if (other && (hex_parse(rpc_text_at(other->result, "hash"), other_hash, 32) ||
			      memcmp(hash, other_hash, 32) != 0)) {
			s->differs = other->method;
			op->is_told = 1;
			continue;
		}
		if (memcmp(hash, op->found.block_hash, 32) == 0)
			settle_found(s, op, revert);
		else
			settle_missing(s, op);
	}
	look_end(s);
}

/* What no reorganisation reaches: were another's transaction taken back, ours, which was given up, could be mined after all. */
static uint64_t sure_block(const struct settle *s)
{
	uint64_t deep = s->deep_block ? s->deep_block - 1 : 0,
		 sure = s->head > s->conf->reorg_depth ? s->head - s->conf->reorg_depth : 0;

	return deep < sure ? deep : sure;
}

static void ask_blocks(struct settle *s)
{
	unsigned n = 0;
	char at[24], hex[43];

	rpc_reset(&s->batch);
	hex_format(s->address, 20, hex);
	(void)rpc_add(&s->batch, "eth_getTransactionCount", "[\"%s\",\"0x%llx\"]", hex,
		      (unsigned long long)sure_block(s));
	for (struct op *op = s->ops; op; op = op->next) {
		if (!op->is_asked)
			continue;
		n++;
		if (!op->found.is_there)
			continue;
		(void)snprintf(at, sizeof(at), "0x%llx", (unsigned long long)op->found.block);
		(void)rpc_add(&s->batch, "eth_getBlockByNumber", "[\"%s\",false]", at);
		if (!op->found.is_good)
			(void)call_add_from(&s->batch, "eth_call", s->address, op->to, op->data,
					    op->n_data, at);
	}
	if (n) {
		settle_ask_twin(s, s->batch.n, looked_blocks);
		return;
	}
	look_end(s);
}

/* Of what is out: its price may have to rise. */
static struct op *first_out(const struct settle *s)
{
	struct op *op = s->ops;

	while (op && !op_is_out(op))
		op = op->next;
	return op;
}

static void ask_data_fee(struct settle *s)
{
	struct op *op = first_out(s);
	const struct attempt *a = op ? &op->attempts[op->n_attempts - 1] : NULL;

	s->ask_data_fee = a && s->has_oracle ? s->batch.n : 0;
	if (s->ask_data_fee)
		op_ask_data_fee(s, op, a->gas, a->tip_wei, a->fee_wei);
}

static void looked_data_fee(struct settle *s)
{
	struct op *op = first_out(s);
	struct abi_value v;

	if (op && s->ask_data_fee &&
	    !call_words(&s->batch.calls[s->ask_data_fee], "(uint256)", &v, 1))
		op->data_fee = v.word;
}

static void looked(struct settle *s)
{
	unsigned i = ASK_MORE + (s->deep_tag != NULL);
	int rc = look_head(s);

	if (rc < 0) {
		const char *why = rc == -ESTALE ? "it is behind other endpoints"
						: "no block, nonce or balance";

		rpc_failed(&s->rpc, (unsigned)s->at, 0, why);
		settle_lost(s, why);
		return;
	}
	for (struct op *op = s->ops; op; op = op->next) {
		if (!op->is_asked)
			continue;
		memset(&op->found, 0, sizeof(op->found));
		op->is_told = 0;
		for (uint32_t n = 0; n < op->n_attempts; n++)
			if (op->attempts[n].nonce == op->nonce) {
				if (!op->found.is_there)
					look_fate(s, op, n, i);
				i++;
			}
	}
	task_looked(s);
	looked_data_fee(s);
	ask_blocks(s);
}

static void ask_txs(struct settle *s)
{
	char hex[67];

	op_choose(s);
	for (struct op *op = s->ops; op; op = op->next)
		for (uint32_t k = 0; op->is_asked && k < op->n_attempts; k++)
			if (op->attempts[k].nonce == op->nonce) {
				hex_format(op->attempts[k].hash, 32, hex);
				(void)rpc_add(&s->batch, "eth_getTransactionReceipt", "[\"%s\"]",
					      hex);
			}
}

void look_begin(struct settle *s, void (*then)(struct settle *s))
{
	char hex[43];

	s->after_look = then;
	rpc_reset(&s->batch);
	hex_format(s->address, 20, hex);
	(void)rpc_add(&s->batch, "eth_getBlockByNumber", "[\"latest\",false]"); /* errors stick */
	(void)rpc_add(&s->batch, "eth_getTransactionCount", "[\"%s\",\"latest\"]", hex);
	(void)rpc_add(&s->batch, "eth_getBalance", "[\"%s\",\"latest\"]", hex);
	(void)rpc_add(&s->batch, "eth_feeHistory", "[\"0x4\",\"latest\",[50]]");
	if (s->deep_tag)
		(void)rpc_add(&s->batch, "eth_getBlockByNumber", "[\"%s\",false]", s->deep_tag);
	ask_txs(s);
	task_look(s);
	ask_data_fee(s);
	settle_ask_twin(s, s->batch.n, looked);
}
