/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The chain's payee against the one that was asked for. */
#include "astray.h"

#include <string.h>

#include "allow.h"
#include "call.h"
#include "op.h"

/* enum: places behind the task's first question */
#define AT_EXT	 1
#define AT_FIRST 3 /* contracts that have no getTaskExt: the first record of the DID is paid */

static int is_ours(const struct task *t)
{
	return t->role == TASK_PAYER && !t->is_dry;
}

static int is_zero(const uint8_t address[20])
{
	static const uint8_t none[20];

	return !memcmp(address, none, 20);
}

/* Somebody is paid, or was. */
static int is_paid(const struct task *t)
{
	return t->status != TASK_NONE && t->status != TASK_CANCELLED && t->status != TASK_EXPIRED;
}

/* Nothing is held: what the payer allowed is drawn. */
static int is_drawn(const struct settle *s, const struct task *t)
{
	return (!t->is_escrow || s->is_compat) && t->status == TASK_CREATED;
}

void astray_ask(struct settle *s, const struct task *t)
{
	struct abi_value did;

	if (!is_ours(t) || !s->is_compat)
		return;
	abi_set_word(&did, t->payee_did32);
	(void)call_add(&s->batch, s->registry, REGISTRY_GET_ADDRESS, &did, 1); /* errors stick */
}

/* Does this endpoint tell that our task pays another? <c>: its answers about it. */
static int pays_other(const struct settle *s, const struct task *t, const struct rpc_call *c,
		      uint8_t ret[20])
{
	struct abi_value v[9], x[3];

	if (call_words(&c[0], SETTLEMENT_TASK, v, 9) || task_status_of(s, v) == TASK_NONE ||
	    memcmp(v[2].word.b + 12, s->address, 20) != 0)
		return 0;
	if (s->is_compat ? call_words(&c[AT_FIRST], "(address)", x, 1)
			 : call_words(&c[AT_EXT], SETTLEMENT_EXT, x, 3))
		return 0;
	if (!memcmp(x[0].word.b + 12, t->payee, 20) || is_zero(x[0].word.b + 12))
		return 0;
	memcpy(ret, x[0].word.b + 12, 20);
	return 1;
}

static void say(const struct task *t, const char *more, char ret[TASK_ERROR])
{
	char pays[ADDRESS_TEXT], asked[ADDRESS_TEXT];

	address_format(t->pays, pays);
	address_format(t->payee, asked);
	(void)snprintf(ret, TASK_ERROR, "the contract pays %s, not %s that it was made for%s", pays,
		       asked, more); /* fits */
}

void astray_look(struct settle *s, struct task *t)
{
	const struct rpc_call *second = settle_second(s, t->asked_at);
	uint32_t was = t->is_astray;
	char text[TASK_ERROR], hex[67];

	if (!is_ours(t))
		return;
	t->is_astray = (pays_other(s, t, &s->batch.calls[t->asked_at], t->pays) ||
			(second && pays_other(s, t, second, t->pays))) &&
		       is_paid(t);
	if (!t->is_astray || was)
		return;
	hex_format(t->id, 32, hex);
	say(t, "", text);
	s->host->log(s->ctx, LNX_ERROR, "task %.18s: %s", hex, text);
	s->host->metric_add(s->ctx, s->m_astray, 1);
}

static void take_back(struct settle *s, const struct task *t)
{
	const struct op *op = op_find(s, OP_APPROVE, t->id, ALLOW_BACK);
	struct u256 zero;

	if (op && (op->state <= OP_CONFIRMED || s->conf->dry_run))
		return;
	u256_from_u64(0, &zero);
	allow_set_back(s, t, &zero);
}

void astray_due(struct settle *s, struct task *t)
{
	const struct op *op;
	char text[TASK_ERROR];

	if (is_zero(t->pays))
		return; /* the agent began anew, and it was not looked at yet */
	if (is_drawn(s, t))
		take_back(s, t);
	op = op_find(s, OP_APPROVE, t->id, ALLOW_BACK);
	say(t,
	    !op				? ""
	    : op->state == OP_CONFIRMED ? ": the allowance was taken back"
	    : op->state > OP_CONFIRMED	? ": the allowance could not be taken back"
					: ": the allowance is being taken back",
	    text);
	task_set(s, t, t->status == TASK_CREATED ? PHASE_FAILED : task_status_name(t->status), "%s",
		 text);
}

void astray_tell(struct settle *s)
{
	char text[SETTLE_WHY], hex[67];

	for (const struct task *t = s->tasks; t; t = t->next)
		if (t->is_astray && !task_is_final(t)) {
			hex_format(t->id, 32, hex);
			(void)snprintf(text, sizeof(text),
				       "task %.18s pays another than was asked for",
				       hex); /* fits */
			s->host->health(s->ctx, "chain-payee", LNX_HEALTH_DEGRADED, text);
			return;
		}
	s->host->health(s->ctx, "chain-payee", LNX_HEALTH_OK, "");
}

const struct task *astray_open(const struct settle *s)
{
	for (const struct task *t = s->tasks; t; t = t->next)
		if (t->is_astray && is_drawn(s, t))
			return t;
	return NULL;
}
