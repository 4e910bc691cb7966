/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The chain's payee and terms against those that were asked for. */
#include "astray.h"

#include <string.h>

#include "allow.h"
#include "call.h"
#include "op.h"

/* enum: places behind the task's first question */
#define AT_EXT	   1
#define AT_DISPUTE 2
#define AT_FIRST   3 /* contracts that have no getTaskExt: the first record of the DID is paid */

#define PAYEE "payee"

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
	return (!t->is_escrow || t->is_drawn || s->is_compat) && t->status == TASK_CREATED;
}

void astray_ask(struct settle *s, const struct task *t)
{
	struct abi_value did;

	if (!is_ours(t) || !s->is_compat)
		return;
	abi_set_word(&did, t->payee_did32);
	(void)call_add(&s->batch, s->registry, REGISTRY_GET_ADDRESS, &did, 1); /* errors stick */
}

/* Whom it pays, where that is another. */
static const char *other_payee(const struct settle *s, const struct task *t,
			       const struct rpc_call *c, uint8_t ret[20])
{
	struct abi_value x[3];

	if (s->is_compat ? call_words(&c[AT_FIRST], "(address)", x, 1)
			 : call_words(&c[AT_EXT], SETTLEMENT_EXT, x, 3))
		return NULL;
	if (!memcmp(x[0].word.b + 12, t->payee, 20) || is_zero(x[0].word.b + 12))
		return NULL;
	memcpy(ret, x[0].word.b + 12, 20);
	return PAYEE;
}

/* Is its deadline later than it could be if it had been made just now, as it was asked for? Of contracts that are not ours nobody knows
 * what they count in. */
static int is_longer(const struct settle *s, const struct task *t, const struct abi_value *deadline)
{
	uint64_t n = UINT64_MAX;

	(void)u256_to_u64(&deadline->word, &n); /* uint48 */
	return !s->is_compat && n > s->head_max + t->deadline_blocks + s->conf->reorg_depth;
}

/* In what does this endpoint tell of our task otherwise than it was made? NULL: in nothing. <c>: its answers about it. */
static const char *look_other(const struct settle *s, struct task *t, const struct rpc_call *c)
{
	struct abi_value v[9], x[3];
	const char *other;
	int has_ext;

	if (call_words(&c[0], SETTLEMENT_TASK, v, 9) || task_status_of(s, v) == TASK_NONE ||
	    memcmp(v[2].word.b + 12, s->address, 20) != 0)
		return NULL;
	has_ext = !call_words(&c[AT_EXT], SETTLEMENT_EXT, x, 3);
	t->is_drawn |= has_ext && u256_is_zero(&x[1].word);
	if (u256_cmp(&v[7].word, &t->told_max) > 0)
		t->told_max = v[7].word;
	other = other_payee(s, t, c, t->pays);
	if (other)
		return other;
	if (memcmp(v[1].word.b, t->payee_did32, 32) != 0)
		return "DID of its payee";
	if (memcmp(v[6].word.b + 12, t->token, 20) != 0)
		return "token";
	if (u256_cmp(&v[7].word, &t->max) != 0)
		return "amount";
	if (is_longer(s, t, &v[3]))
		return "deadline";
	if (has_ext && u256_is_zero(&x[1].word) != !t->is_escrow)
		return "mode";
	if (t->has_arbiter && !call_words(&c[AT_DISPUTE], SETTLEMENT_DISPUTE_OF, x, 3) &&
	    memcmp(x[0].word.b + 12, t->arbiter, 20) != 0)
		return "arbiter";
	return NULL;
}

static void say(const struct task *t, const char *more, char ret[TASK_ERROR])
{
	char pays[ADDRESS_TEXT], asked[ADDRESS_TEXT];

	address_format(t->pays, pays);
	address_format(t->payee, asked);
	if (!strcmp(t->astray, PAYEE) && is_zero(t->payee))
		(void)snprintf(ret, TASK_ERROR,
			       "the contract pays %s, which no record proves to be its payee%s",
			       pays, more); /* fits */
	else if (!strcmp(t->astray, PAYEE))
		(void)snprintf(ret, TASK_ERROR,
			       "the contract pays %s, not %s that it was made for%s", pays, asked,
			       more); /* fits */
	else
		(void)snprintf(
			ret, TASK_ERROR,
			"the contract has a task of that name with another %s than it was made with%s",
			t->astray, more); /* fits */
}

void astray_look(struct settle *s, struct task *t)
{
	const struct rpc_call *second = settle_second(s, t->asked_at);
	uint32_t was = t->is_astray && t->astray;
	char text[TASK_ERROR], hex[67];
	const char *other;

	if (!is_ours(t) || !strcmp(t->phase, PHASE_CHECKING))
		return; /* whom it is to pay is not known yet */
	t->is_compared |= t->status != TASK_NONE;
	t->is_drawn = 0;
	u256_from_u64(0, &t->told_max);
	other = look_other(s, t, &s->batch.calls[t->asked_at]);
	if (second && !other)
		other = look_other(s, t, second);
	t->is_astray = other && is_paid(t);
	t->astray = t->is_astray ? other : NULL;
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

	if (!t->astray)
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
				       t->astray && strcmp(t->astray, PAYEE) != 0
					       ? "task %.18s has other terms than were asked for"
					       : "task %.18s pays another than was asked for",
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
