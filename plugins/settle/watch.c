/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Logs of the settlement contract: tasks offered to us, and in which transaction a receipt came. Blocks that a reorganisation
 * could change are read again; what is found twice changes nothing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi.h"
#include "op.h"
#include "task.h"

#define LOG_DATA 512 /* bytes of one of our events */

/* Offers cost nothing but gas: they leave room for our own. */
static int is_full(const struct settle *s)
{
	unsigned n = 0;

	for (const struct task *t = s->tasks; t; t = t->next)
		n += task_is_offer(t);
	return n >= SETTLE_OFFERS;
}

static void on_created(struct settle *s, const struct abi_value *v)
{
	struct task *t;

	if (memcmp(v[2].word.b, s->did32, 32) != 0 ||
	    memcmp(v[3].word.b + 12, s->address, 20) != 0 || task_find(s, v[0].word.b))
		return;
	t = is_full(s) ? NULL : task_new(s, v[0].word.b, TASK_PAYEE);
	if (!t) {
		s->host->health(s->ctx, "chain-tasks", LNX_HEALTH_DEGRADED,
				"too many tasks: one that was offered is not seen");
		s->host->metric_add(s->ctx, s->m_missed, 1);
		s->n_missed++;
		return;
	}
	(void)snprintf(t->payee_did, sizeof(t->payee_did), "%s", s->did); /* fits */
	memcpy(t->payee_did32, s->did32, 32);
}

/* The first is looked at; another, which a reorganisation or a liar may have brought, when that has not the receipt. */
static void on_submitted(struct settle *s, const struct abi_value *v, const uint8_t tx[32])
{
	static const uint8_t none[32];
	struct task *t = task_find(s, v[0].word.b);

	if (!t || !memcmp(t->submit_tx, tx, 32))
		return;
	if (memcmp(t->submit_tx, none, 32) != 0) {
		memcpy(t->other_tx, tx, 32);
		return;
	}
	memcpy(t->submit_tx, tx, 32);
	t->is_dirty = 1;
}

static void take_log(struct settle *s, const json_t *log)
{
	const json_t *list = json_object_get(log, "topics"), *topic;
	uint8_t topics[ABI_TOPICS][ABI_TOPIC], data[LOG_DATA], address[20], tx[32];
	struct abi_value v[ABI_MAX];
	unsigned n = 0;
	int64_t bytes;
	size_t i;

	json_array_foreach(list, i, topic)
	{
		const char *text = json_string_value(topic);

		if (i >= ABI_TOPICS || !text || hex_parse(text, topics[i], 32))
			return;
		n++;
	}
	bytes = hex_parse_any(rpc_text_at(log, "data"), data, sizeof(data));
	if (bytes < 0 || hex_parse(rpc_text_at(log, "address"), address, 20) ||
	    memcmp(address, s->settlement, 20) != 0 ||
	    hex_parse(rpc_text_at(log, "transactionHash"), tx, 32) ||
	    json_is_true(json_object_get(log, "removed")))
		return;
	if (!abi_event(SETTLEMENT_CREATED, topics[0], n, data, (size_t)bytes, v, ABI_MAX))
		on_created(s, v);
	else if (!abi_event(SETTLEMENT_SUBMITTED, topics[0], n, data, (size_t)bytes, v, ABI_MAX))
		on_submitted(s, v, tx);
}

/* What one of them hides, the other tells: logs only say where to look. Did the endpoint in use, or any when that will do, give them? */
static int take_logs(struct settle *s, unsigned at, int any)
{
	const struct rpc_call *c = &s->batch.calls[at], *other = settle_second(s, at);
	const json_t *log;
	size_t i;

	if (other)
		json_array_foreach(other->result, i, log) take_log(s, log);
	json_array_foreach(c->result, i, log) take_log(s, log);
	return json_is_array(c->result) || (any && other && json_is_array(other->result));
}

/* Before it nothing of the task can be. */
static uint64_t first_block(const struct settle *s, const struct task *t)
{
	const struct op *op = op_find(s, OP_CREATE, t->id, "");
	uint64_t block = op && op->block		    ? op->block
			 : t->deadline > t->deadline_blocks ? t->deadline - t->deadline_blocks
							    : 0;

	return block > s->conf->reorg_depth ? block - s->conf->reorg_depth : 0;
}

/* Read up to the head once, it is read again in pieces, one whenever there is a new block: who hid the receipt may be gone. */
static void task_logs_read(struct settle *s, struct task *t)
{
	t->log_from = s->log_task_to + 1;
	if (t->log_from <= s->head_max) {
		if (!t->log_rounds)
			settle_wake(s);
		return;
	}
	t->log_from = 0;
	t->log_rounds++;
}

static void watched(struct settle *s)
{
	struct task *t = s->log_task_to ? task_find(s, s->log_task) : NULL;
	unsigned n = 0;
	int is_good = 1;

	s->n_missed = 0;
	if (s->log_to) {
		is_good = take_logs(s, n++, 0);
		if (is_good && !s->n_missed && !is_full(s))
			s->host->health(s->ctx, "chain-tasks", LNX_HEALTH_OK, "");
		if (is_good && s->log_to > s->log_block) {
			s->log_block = s->log_to;
			s->log_is_dirty = 1;
		}
		if (is_good && s->log_block < s->head)
			settle_wake(s);
	}
	if (t && take_logs(s, n, 1))
		task_logs_read(s, t);
	else if (t)
		is_good = 0;
	if (!is_good) /* most nodes limit the range: ask for less */
		s->log_span = s->log_span > 1 ? s->log_span / 2 : 1;
	else if (s->log_span < s->conf->log_range)
		s->log_span *= 2;
	rpc_reset(&s->batch);
	s->after_watch(s);
}

static void ask_logs(struct settle *s, uint64_t from, uint64_t to)
{
	uint8_t topics[2][32];
	char address[43], hex[2][67];

	if (abi_topic(SETTLEMENT_CREATED, topics[0]) || abi_topic(SETTLEMENT_SUBMITTED, topics[1]))
		return; /* they are ours: they can be read */
	hex_format(s->settlement, 20, address);
	hex_format(topics[0], 32, hex[0]);
	hex_format(topics[1], 32, hex[1]);
	(void)rpc_add(&s->batch, "eth_getLogs",
		      "[{\"address\":\"%s\",\"fromBlock\":\"0x%llx\",\"toBlock\":\"0x%llx\","
		      "\"topics\":[[\"%s\",\"%s\"]]}]",
		      address, (unsigned long long)from, (unsigned long long)to, hex[0],
		      hex[1]); /* the error sticks */
}

/* The next piece for all tasks. Where it is never goes back for a head that one of two tells alone. */
static void ask_for_all(struct settle *s)
{
	uint64_t from;

	s->log_to = 0;
	if (!s->log_block) /* a new file: as far back as one question reaches */
		s->log_block = s->head > s->conf->log_range ? s->head - s->conf->log_range : 0;
	if (s->log_block > s->head_max && (s->rpc.n < 2 || s->is_compared))
		s->log_block = s->head_max;
	if (s->head == s->log_head)
		return;
	from = s->log_block < s->head ? s->log_block : s->head;
	from = from > s->conf->reorg_depth ? from - s->conf->reorg_depth : 0;
	s->log_to = from + s->log_span + s->conf->reorg_depth;
	if (s->log_to >= s->head) {
		s->log_to = s->head;
		s->log_head = s->head;
	}
	ask_logs(s, from, s->log_to);
}

/* A receipt that is there, and nobody told in which transaction it came: of those the one that was looked for least. */
static void ask_for_one(struct settle *s)
{
	static const uint8_t none[32];
	struct task *found = NULL;

	s->log_task_to = 0;
	for (struct task *t = s->tasks; t; t = t->next)
		if (t->role == TASK_PAYER && !strcmp(t->phase, PHASE_SUBMITTED) &&
		    !memcmp(t->submit_tx, none, 32) &&
		    (!t->log_rounds || t->log_head != s->head_max) &&
		    (!found || t->log_rounds < found->log_rounds))
			found = t;
	if (!found)
		return;
	if (!found->log_from)
		found->log_from = first_block(s, found);
	memcpy(s->log_task, found->id, 32);
	s->log_task_to = found->log_from + s->log_span + s->conf->reorg_depth;
	if (s->log_task_to > s->head_max)
		s->log_task_to = s->head_max;
	found->log_head = s->head_max;
	if (s->log_task_to < found->log_from || !s->log_task_to)
		s->log_task_to = found->log_from = 0; /* a head that went back */
	else
		ask_logs(s, found->log_from, s->log_task_to);
}

void watch_begin(struct settle *s, void (*then)(struct settle *s))
{
	s->after_watch = then;
	if (!s->log_span)
		s->log_span = s->conf->log_range;
	rpc_reset(&s->batch);
	ask_for_all(s);
	ask_for_one(s);
	if (s->batch.n)
		settle_ask_twin(s, s->batch.n, watched);
	else
		then(s);
}
