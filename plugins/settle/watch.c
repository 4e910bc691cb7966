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

static const char *text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static void on_created(struct settle *s, const struct abi_value *v)
{
	struct task *t;

	if (memcmp(v[2].word.b, s->did32, 32) != 0 ||
	    memcmp(v[3].word.b + 12, s->address, 20) != 0 || task_find(s, v[0].word.b))
		return;
	t = task_new(s, v[0].word.b, TASK_PAYEE);
	if (!t) {
		s->host->health(s->ctx, "chain-tasks", LNX_HEALTH_DEGRADED,
				"too many tasks: one that was offered is not seen");
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
	bytes = hex_parse_any(text_at(log, "data"), data, sizeof(data));
	if (bytes < 0 || hex_parse(text_at(log, "address"), address, 20) ||
	    memcmp(address, s->settlement, 20) != 0 ||
	    hex_parse(text_at(log, "transactionHash"), tx, 32) ||
	    json_is_true(json_object_get(log, "removed")))
		return;
	if (!abi_event(SETTLEMENT_CREATED, topics[0], n, data, (size_t)bytes, v, ABI_MAX))
		on_created(s, v);
	else if (!abi_event(SETTLEMENT_SUBMITTED, topics[0], n, data, (size_t)bytes, v, ABI_MAX))
		on_submitted(s, v, tx);
}

static void watched(struct settle *s)
{
	const struct rpc_call *c = &s->batch.calls[0], *other = settle_second(s, 0);
	const json_t *log;
	size_t i;

	/* what one of them hides, the other tells: logs only say where to look */
	if (other)
		json_array_foreach(other->result, i, log) take_log(s, log);
	if (!json_is_array(c->result)) {
		/* most nodes limit the range: ask for less */
		s->log_span = s->log_span > 1 ? s->log_span / 2 : 1;
		s->host->log(s->ctx, LNX_DEBUG, "eth_getLogs: %s", c->text);
	} else {
		json_array_foreach(c->result, i, log) take_log(s, log);
		if (s->log_to > s->log_block) {
			s->log_block = s->log_to;
			s->log_is_dirty = 1;
		}
		if (s->log_block < s->head)
			settle_wake(s);
		if (s->log_span < s->conf->log_range)
			s->log_span *= 2;
	}
	rpc_reset(&s->batch);
	s->after_watch(s);
}

void watch_begin(struct settle *s, void (*then)(struct settle *s))
{
	static const uint8_t none[32];
	uint8_t topics[2][32];
	char address[43], hex[2][67];
	uint64_t from;

	s->after_watch = then;
	if (!s->log_span)
		s->log_span = s->conf->log_range;
	if (!s->log_block) /* a new file: as far back as one question reaches */
		s->log_block = s->head > s->conf->log_range ? s->head - s->conf->log_range : 0;
	if (s->log_block > s->head)
		s->log_block = s->head;
	/* nobody told yet which transaction brought a receipt that is there */
	for (const struct task *t = s->tasks; t; t = t->next)
		if (t->role == TASK_PAYER && !strcmp(t->phase, PHASE_SUBMITTED) &&
		    !memcmp(t->submit_tx, none, 32) && t->status_block &&
		    t->status_block < s->log_block)
			s->log_block = t->status_block;
	if (s->head == s->log_head || abi_topic(SETTLEMENT_CREATED, topics[0]) ||
	    abi_topic(SETTLEMENT_SUBMITTED, topics[1])) {
		then(s);
		return;
	}
	from = s->log_block > s->conf->reorg_depth ? s->log_block - s->conf->reorg_depth : 0;
	s->log_to = from + s->log_span + s->conf->reorg_depth;
	if (s->log_to >= s->head) {
		s->log_to = s->head;
		s->log_head = s->head;
	}
	hex_format(s->settlement, 20, address);
	hex_format(topics[0], 32, hex[0]);
	hex_format(topics[1], 32, hex[1]);
	rpc_reset(&s->batch);
	(void)rpc_add(&s->batch, "eth_getLogs",
		      "[{\"address\":\"%s\",\"fromBlock\":\"0x%llx\",\"toBlock\":\"0x%llx\","
		      "\"topics\":[[\"%s\",\"%s\"]]}]",
		      address, (unsigned long long)from, (unsigned long long)s->log_to, hex[0],
		      hex[1]); /* the error sticks */
	settle_ask_twin(s, 0, 1, watched);
}
