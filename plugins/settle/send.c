/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Signed bytes to the node: only those that are on disk, always the same ones. What the node says is a hint; what became of
 * them is seen by the next look. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "op.h"
#include "task.h"

#define SENDS	     8 /* in one turn */
#define SAID_BY_NODE "the node: "

static int is_due(const struct settle *s, const struct op *op)
{
	const struct attempt *a;

	if (!op_is_out(op))
		return 0;
	a = &op->attempts[op->n_attempts - 1];
	if (op->unwanted && !a->is_cancel)
		return 0;
	return !a->last_sent_ns || s->host->now_ns(s->ctx) - a->last_sent_ns >= s->conf->resend_ns;
}

/* Also when no answer comes: it may have been taken. */
static void stamp(const struct settle *s, struct attempt *a)
{
	a->last_sent_ms = settle_now_ms(s);
	a->last_sent_ns = s->host->now_ns(s->ctx);
	if (!a->first_sent_ns) {
		a->first_sent_ms = a->last_sent_ms;
		a->first_sent_ns = a->last_sent_ns;
	}
}

/* Texts differ between nodes: none of them decides anything about money. */
static int is_known(const char *text)
{
	return strcasestr(text, "already known") || strcasestr(text, "already imported") ||
	       strcasestr(text, "known transaction");
}

static int is_taken(const struct rpc_call *c)
{
	return !c->is_error || is_known(c->text);
}

static void sent_one(struct settle *s, struct op *op, const struct rpc_call *c)
{
	struct attempt *a = &op->attempts[op->n_attempts - 1];
	const char *text = json_string_value(c->result);
	char why[OP_TEXT];
	uint8_t hash[32];

	if (!c->is_error && (!text || hex_parse(text, hash, 32) || memcmp(hash, a->hash, 32) != 0))
		s->host->log(s->ctx, LNX_WARN, "%s: the node names another hash than ours",
			     op->key);
	if (is_taken(c)) {
		if (op->state != OP_SENT)
			op_set(s, op, OP_SENT, "%s", "");
		return;
	}
	/* never alone: what begins as a decision of ours would be one after a restart */
	(void)snprintf(why, sizeof(why), SAID_BY_NODE "%.180s", c->text); /* fits */
	if (strcmp(op->error, why) != 0) {
		memcpy(op->error, why, sizeof(why));
		s->host->log(s->ctx, LNX_WARN, "%s: not taken by the node: %s", op->key, c->text);
		op->is_dirty = 1;
	}
	/* what is not taken for its price is signed anew with a better one, as if it were slow */
	if (strcasestr(c->text, "underpriced") || strcasestr(c->text, "max fee per gas"))
		op->state = OP_SENT;
}

static void sent(struct settle *s)
{
	unsigned i = 0;

	for (struct op *op = s->ops; op && i < s->batch.n; op = op->next) {
		const struct rpc_call *c = &s->batch.calls[i], *other = settle_second(s, i);

		if (!op->is_asked)
			continue;
		i++;
		sent_one(s, op, !is_taken(c) && other && is_taken(other) ? other : c);
	}
	rpc_reset(&s->batch);
	s->after_send(s);
}

static uint64_t sent_ns(const struct op *op)
{
	return op->attempts[op->n_attempts - 1].last_sent_ns;
}

/* Those that were not sent for longest, however many are sent again and again. */
static void choose(struct settle *s)
{
	struct op *oldest = NULL;

	for (struct op *op = s->ops; op; op = op->next)
		op->is_asked = 0;
	if (s->conf->dry_run || s->state != CHAIN_READY)
		return;
	for (unsigned n = 0; n < SENDS && (!n || oldest); n++) {
		oldest = NULL;
		for (struct op *op = s->ops; op; op = op->next)
			if (!op->is_asked && is_due(s, op) &&
			    (!oldest || sent_ns(op) < sent_ns(oldest)))
				oldest = op;
		if (oldest)
			oldest->is_asked = 1;
	}
}

void send_begin(struct settle *s, void (*then)(struct settle *s))
{
	s->after_send = then;
	rpc_reset(&s->batch);
	choose(s);
	for (struct op *op = s->ops; op; op = op->next) {
		struct attempt *a;
		char *hex;

		if (!op->is_asked)
			continue;
		a = &op->attempts[op->n_attempts - 1];
		hex = malloc(2 * (size_t)a->n_raw + 3);
		if (!hex) {
			op->is_asked = 0;
			continue;
		}
		hex_format(a->raw, a->n_raw, hex);
		(void)rpc_add(&s->batch, "eth_sendRawTransaction", "[\"%s\"]", hex);
		free(hex);
		stamp(s, a);
		op->is_dirty = 1;
	}
	settle_ask_twin(s, s->batch.n, sent); /* one that keeps them to itself stops nothing */
}
