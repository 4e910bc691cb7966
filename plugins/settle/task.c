/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Tasks in memory: made, wished for, followed on the chain. */
#include "task.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "abi.h"
#include "allow.h"
#include "astray.h"
#include "call.h"
#include "collect.h"
#include "keccak.h"
#include "op.h"
#include "payee.h"

#define DRY_KEEP_MS   600000  /* for whoever asked for a dry run */
#define OFFER_KEEP_MS 3600000 /* one that came to nothing, and we did nothing for it */
#define ANSWERS	      3	      /* about a task in each turn */

struct task *task_find(const struct settle *s, const uint8_t id[32])
{
	struct task *t = s->tasks;

	while (t && memcmp(t->id, id, 32) != 0)
		t = t->next;
	return t;
}

struct task *task_by_text(const struct settle *s, const char *text)
{
	struct task *found = NULL;
	size_t n = strlen(text);
	uint8_t id[32];
	char hex[67];

	if (hex_parse(text, id, 32) == 0)
		return task_find(s, id);
	for (struct task *t = s->tasks; t; t = t->next)
		if (*t->name && !strcmp(t->name, text))
			return t;
	if (n < 6 || n > 64 || text[strspn(text, "0123456789abcdef")])
		return NULL;
	for (struct task *t = s->tasks; t; t = t->next) {
		hex_format(t->id, 32, hex);
		if (strcmp(hex + 66 - n, text) != 0)
			continue;
		if (found)
			return NULL;
		found = t;
	}
	return found;
}

void task_make_id(const struct settle *s, const char *name, uint8_t ret[32])
{
	uint8_t words[4][32] = { { 0 } };
	struct u256 chain;

	u256_from_u64(s->conf->chain_id, &chain);
	memcpy(words[0], chain.b, 32);
	memcpy(words[1] + 12, s->settlement, 20);
	memcpy(words[2] + 12, s->address, 20);
	keccak256(name, strlen(name), words[3]);
	keccak256(words, sizeof(words), ret);
}

struct task *task_new(struct settle *s, const uint8_t id[32], uint32_t role)
{
	struct task *t, **end = &s->tasks;

	if (s->n_tasks >= SETTLE_TASKS)
		return NULL;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	memcpy(t->id, id, 32);
	t->role = role;
	t->created_ms = settle_stamp_ms(s);
	t->changed_ms = t->created_ms;
	t->is_dirty = 1;
	while (*end)
		end = &(*end)->next;
	*end = t;
	s->n_tasks++;
	settle_wake(s);
	return t;
}

static int is_over(const struct task *t)
{
	return t->status == TASK_SETTLED || t->status == TASK_RESOLVED ||
	       t->status == TASK_CANCELLED || t->status == TASK_EXPIRED;
}

/* An offer that came to nothing, and for which we have sent nothing: refused, expired, left by everybody when its deadline passed, or
 * not in the chain at all. */
static int is_nothing(const struct settle *s, const struct task *t)
{
	if (t->role != TASK_PAYEE || t->has_receipt || !task_is_offer(t))
		return 0;
	for (const struct op *op = s->ops; op; op = op->next)
		if (!memcmp(op->task, t->id, 32))
			return 0;
	if (t->status == TASK_CREATED)
		return t->asked_turn && s->head > t->deadline + s->conf->reorg_depth;
	return t->status == TASK_CANCELLED || t->status == TASK_EXPIRED ||
	       (t->status == TASK_NONE && t->asked_turn);
}

/* What is so old that no limit counts it. Whoever asked for a dry run has seen it, whatever the clock says. */
static int is_old(const struct settle *s, const struct task *t)
{
	if (t->is_dry)
		return settle_stamp_ms(s) - t->changed_ms >= DRY_KEEP_MS;
	return settle_sure_ms(s) - t->changed_ms >=
	       (is_nothing(s, t) ? OFFER_KEEP_MS : SETTLE_KEEP_MS);
}

/* It is over, or nobody will do anything more with it. */
static int is_to_go(const struct settle *s, const struct task *t)
{
	return (task_is_final(t) || is_nothing(s, t)) && is_old(s, t);
}

/* The file first; what it has no more is forgotten in memory by the next turn. */
static void forget(struct settle *s, struct task *t)
{
	t->is_forgotten = 1;
	t->is_dirty = 1;
	s->host->metric_add(s->ctx, s->m_forgotten, 1);
	settle_wake(s);
}

void task_sweep(struct settle *s)
{
	struct task **p = &s->tasks, *t;

	while ((t = *p)) {
		if (is_over(t) && is_old(s, t) && !t->is_settled_deep) {
			t->is_settled_deep = 1; /* its operations are forgotten first */
			p = &t->next;
			continue;
		}
		if (t->is_forgotten && !is_nothing(s, t)) { /* the chain has it after all */
			t->is_forgotten = 0;
			t->is_dirty = 1;
		}
		if (s->job || (t->is_dirty && !t->is_dry) || !is_to_go(s, t)) {
			p = &t->next;
			continue;
		}
		if (is_nothing(s, t) && !t->is_forgotten) {
			forget(s, t);
			p = &t->next;
			continue;
		}
		*p = t->next;
		s->n_tasks--;
		task_free(t);
	}
}

void task_set(struct settle *s, struct task *t, const char *phase, const char *fmt, ...)
{
	char hex[67], reason[TASK_ERROR];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(reason, sizeof(reason), fmt, ap); /* cut is fine: for people */
	va_end(ap);
	if (!strcmp(phase, t->phase) && !strcmp(reason, t->reason))
		return;
	hex_format(t->id, 32, hex);
	s->host->log(s->ctx, LNX_INFO, "task %.18s: %s%s%s", hex, phase, *reason ? ": " : "",
		     reason);
	(void)snprintf(t->phase, sizeof(t->phase), "%s", phase); /* fits */
	memcpy(t->reason, reason, sizeof(reason));
	t->changed_ms = settle_stamp_ms(s);
	t->is_dirty = 1;
	settle_wake(s);
}

int task_is_final(const struct task *t)
{
	if (is_over(t))
		return t->is_settled_deep && !t->is_left;
	return t->status == TASK_NONE && !t->is_pending && !t->is_left &&
	       (!strcmp(t->phase, PHASE_FAILED) || !strcmp(t->phase, PHASE_CANCELLED));
}

int task_is_offer(const struct task *t)
{
	return t->role == TASK_PAYEE && strcmp(t->phase, PHASE_RUNNING) != 0 &&
	       strcmp(t->phase, PHASE_PROVEN) != 0 && t->status != TASK_SUBMITTED &&
	       t->status != TASK_DISPUTED;
}

int task_is_over(const struct settle *s, const uint8_t id[32])
{
	const struct task *t = task_find(s, id);

	return t && task_is_final(t);
}

void task_restarted(struct settle *s)
{
	for (struct task *t = s->tasks; t; t = t->next) {
		/* until the chain is seen: no allowance is given meanwhile */
		t->is_astray = t->role == TASK_PAYER && t->status == TASK_CREATED &&
			       !strcmp(t->phase, PHASE_FAILED);
		if (!strcmp(t->phase, PHASE_RUNNING))
			task_set(
				s, t, PHASE_OFFERED,
				"the agent ended while it ran: what was measured is lost, run it again");
	}
	allow_find(s); /* before any of their operations is forgotten */
}

/* ---- accept */

static int same_terms(const struct task *t, const struct task_ask *ask)
{
	static const uint8_t none[20];

	/* what was not named is the contract's to fill in */
	if ((memcmp(ask->payee, none, 20) != 0 && memcmp(ask->payee, t->payee, 20) != 0) ||
	    (ask->has_arbiter && memcmp(ask->arbiter, t->arbiter, 20) != 0))
		return 0;
	return t->is_escrow == ask->is_escrow && !u256_cmp(&t->max, &ask->max) &&
	       t->deadline_blocks == ask->deadline_blocks && !strcmp(t->payee_did, ask->payee_did);
}

/* Nothing of it ever went to the chain: its name is free. */
static int was_refused(const struct settle *s, const struct task *t)
{
	return t->role == TASK_PAYER && t->status == TASK_NONE &&
	       (!strcmp(t->phase, PHASE_CANCELLED) ||
		(!strcmp(t->phase, PHASE_FAILED) && !op_find(s, OP_CREATE, t->id, "")));
}

int task_accept(struct settle *s, const struct task_ask *ask, struct task **ret,
		char why[TASK_ERROR])
{
	uint8_t id[32], did32[32];
	struct task *t;
	int rc;

	task_make_id(s, ask->name, id);
	keccak256(ask->payee_did, strlen(ask->payee_did), did32);
	t = task_find(s, id);
	if (t && !t->is_dry && !was_refused(s, t)) {
		*ret = t;
		(void)snprintf(why, TASK_ERROR, "there is a task of that name with other terms");
		return same_terms(t, ask) ? 0 : -EEXIST;
	}
	if (s->is_compat && ask->is_escrow) {
		(void)snprintf(
			why, TASK_ERROR,
			"the contract has the compatible functions only, and no escrow: ask for mode allowance");
		return -EINVAL;
	}
	rc = payee_check(s, ask, why);
	if (!rc)
		rc = limit_check(s, did32, &ask->max, why);
	if (rc)
		return rc;
	if (!t)
		t = task_new(s, id, TASK_PAYER);
	if (!t) {
		(void)snprintf(why, TASK_ERROR, "too many tasks");
		return -ENOBUFS;
	}
	(void)snprintf(t->name, sizeof(t->name), "%s", ask->name);		  /* checked */
	(void)snprintf(t->payee_did, sizeof(t->payee_did), "%s", ask->payee_did); /* checked */
	memcpy(t->payee_did32, did32, 32);
	memcpy(t->payee, ask->payee, 20);
	memcpy(t->payer, s->address, 20);
	memcpy(t->token, s->token, 20);
	memcpy(t->arbiter, ask->arbiter, 20);
	t->has_arbiter = ask->has_arbiter;
	t->is_escrow = ask->is_escrow;
	t->is_dry = ask->is_dry;
	t->max = ask->max;
	t->deadline_blocks = ask->deadline_blocks;
	t->payee_tries = 0;
	payee_forget(s, id);
	t->is_compared = 0;
	t->created_ms = settle_stamp_ms(s);
	task_set(s, t, PHASE_CHECKING, "%s", "");
	*ret = t;
	return 0;
}

void task_queue_create(struct settle *s, struct task *t)
{
	struct abi_value a[7];
	unsigned n = 0;
	struct op *op;

	abi_set_word(&a[n++], t->id);
	abi_set_word(&a[n++], t->payee_did32);
	if (t->is_escrow)
		abi_set_address(&a[n++], t->payee);
	abi_set_address(&a[n++], t->token);
	abi_set_word(&a[n++], t->max.b);
	abi_set_u64(&a[n++], t->deadline_blocks);
	if (t->has_arbiter)
		abi_set_address(&a[n++], t->arbiter);
	op = op_queue(s, OP_CREATE, t->id, t->is_dry ? "dry" : "", s->settlement,
		      !t->is_escrow    ? SETTLEMENT_CREATE
		      : t->has_arbiter ? SETTLEMENT_WITH_ARBITER
				       : SETTLEMENT_CREATE_ESCROWED,
		      a, n);
	if (op)
		op->is_dry = t->is_dry;
	else
		task_set(s, t, PHASE_FAILED, "there is no room for its operation");
}

/* ---- the chain */

/* Without escrow the payee looks, before it works, whether the payer could pay. */
static int wants_cover(const struct task *t)
{
	return t->role == TASK_PAYEE && t->status == TASK_CREATED && !t->is_escrow;
}

static void look_cover(struct settle *s, const struct task *t)
{
	struct abi_value a[2];

	if (!wants_cover(t))
		return;
	abi_set_address(&a[0], t->payer);
	abi_set_address(&a[1], s->settlement);
	(void)call_add(&s->batch, s->token, TOKEN_ALLOWANCE, a, 2);
	(void)call_add(&s->batch, s->token, TOKEN_BALANCE, a, 1);
}

static void ask_about(struct settle *s, struct task *t)
{
	struct abi_value id;

	t->asked_turn = s->task_turn;
	t->asked_at = s->batch.n;
	abi_set_word(&id, t->id);
	(void)call_add(&s->batch, s->settlement, SETTLEMENT_GET_TASK, &id, 1);
	(void)call_add(&s->batch, s->settlement, SETTLEMENT_GET_EXT, &id, 1);
	(void)call_add(&s->batch, s->settlement, SETTLEMENT_GET_DISPUTE, &id, 1);
	look_cover(s, t);
	astray_ask(s, t);
}

/* Of offers or of the others, the one that was not asked about for longest. NULL: all were, in this turn. */
static struct task *next_to_ask(const struct settle *s, int is_offer)
{
	struct task *found = NULL;

	for (struct task *t = s->tasks; t; t = t->next)
		if (t->asked_turn != s->task_turn && task_is_offer(t) == is_offer &&
		    !task_is_final(t) && (!found || t->asked_turn < found->asked_turn))
			found = t;
	return found;
}

/* All have their turn; those with money at stake do not wait for however many offers somebody makes. */
void task_look(struct settle *s)
{
	struct task *t;
	unsigned n = 0;

	s->task_turn++;
	for (t = s->tasks; t; t = t->next)
		t->asked_at = 0;
	while (n < SETTLE_LOOK_TASKS - SETTLE_LOOK_OFFER && (t = next_to_ask(s, 0))) {
		ask_about(s, t);
		n++;
	}
	while (n < SETTLE_LOOK_TASKS && ((t = next_to_ask(s, 1)) || (t = next_to_ask(s, 0)))) {
		ask_about(s, t);
		n++;
	}
}

int task_has_other(const struct task *t, const struct u256 *actual, const uint8_t hash[32])
{
	return u256_cmp(&t->actual, actual) != 0 || memcmp(t->receipt_hash, hash, 32) != 0;
}

/* Of a contract with the compatible functions only, the status numbers are not known. Its figures tell: there is a payer, and an
 * amount as soon as a receipt was taken, which pays at once; without escrow nothing is left to be done after the deadline. */
uint32_t task_status_of(const struct settle *s, const struct abi_value v[9])
{
	uint64_t n = TASK_NONE, deadline = 0;

	if (!s->is_compat) {
		(void)u256_to_u64(&v[5].word, &n); /* a uint8 */
		return (uint32_t)n;
	}
	(void)u256_to_u64(&v[3].word, &deadline); /* uint48 */
	if (u256_is_zero(&v[2].word))
		return TASK_NONE;
	if (!u256_is_zero(&v[8].word))
		return TASK_SETTLED;
	return s->head > deadline + s->conf->reorg_depth ? TASK_EXPIRED : TASK_CREATED;
}

/* A reorganisation put another receipt in the place of the one that was judged. */
static void look_again(struct settle *s, struct task *t)
{
	if (t->role != TASK_PAYER || t->status != TASK_SUBMITTED)
		return;
	memset(t->submit_tx, 0, 32); /* the logs tell of the other transaction */
	memset(t->other_tx, 0, 32);
	/* it is in new blocks */
	t->log_from = s->head > 2 * s->conf->reorg_depth ? s->head - 2 * s->conf->reorg_depth : 0;
	t->status_block = s->head;
	task_set(s, t, PHASE_SUBMITTED, "the receipt on the chain is another one now");
}

/* Does <o> hold a part of what its payer may be asked for without escrow: work that was begun and is not paid? */
static int is_owed(const struct task *o)
{
	return o->role == TASK_PAYEE && !o->is_escrow &&
	       (o->status == TASK_SUBMITTED || o->status == TASK_DISPUTED ||
		(o->status == TASK_CREATED &&
		 (!strcmp(o->phase, PHASE_RUNNING) || !strcmp(o->phase, PHASE_PROVEN))));
}

/* Allowance and balance of its payer suffice for it and for what else it owes us. */
static int covers(const struct settle *s, const struct task *t, const struct rpc_call *c)
{
	struct u256 need = t->max;
	struct abi_value x[2];

	for (const struct task *o = s->tasks; o; o = o->next)
		if (o != t && is_owed(o) && !memcmp(o->payer, t->payer, 20) &&
		    !memcmp(o->token, t->token, 20) && u256_add(&need, &o->max, &need))
			return 0;
	return !call_words(&c[3], "(uint256)", &x[0], 1) &&
	       !call_words(&c[4], "(uint256)", &x[1], 1) && u256_cmp(&x[0].word, &need) >= 0 &&
	       u256_cmp(&x[1].word, &need) >= 0;
}

/* How much a status asks of us while it is not certain; 0: nothing, it is over or there is no task. */
static unsigned urgency(const struct settle *s, const struct rpc_call *c)
{
	struct abi_value v[9];
	uint32_t n;

	if (call_words(c, SETTLEMENT_TASK, v, 9))
		return 0;
	n = task_status_of(s, v);
	return n == TASK_SUBMITTED ? 3 : n == TASK_DISPUTED ? 2 : n == TASK_CREATED ? 1 : 0;
}

static int is_judged(const struct task *t)
{
	return !strcmp(t->phase, PHASE_VERIFIED) || !strcmp(t->phase, PHASE_REJECTED);
}

/* Did we make it? Both endpoints told that its create is in the chain, or, where one of them may hide that, our signature is out
 * and a receipt came, which is not let pass. */
static int is_ours(const struct settle *s, const struct task *t, int has_receipt)
{
	const struct op *op = t->role == TASK_PAYER ? op_find(s, OP_CREATE, t->id, "") : NULL;

	return op && (op->state == OP_CONFIRMED ||
		      (has_receipt && op->state >= OP_SIGNED && op->state <= OP_MINED));
}

/* Whose answers about it hold? While two endpoints differ, neither is believed that it is over, or that there is a task which we did
 * not make; of one that goes on, the answer with more to do for us: who hides a receipt hides nothing. Of two receipts that of the
 * endpoint in use, but none is judged then; one that was judged stays so. NULL: none. */
static const struct rpc_call *held(struct settle *s, struct task *t)
{
	const struct rpc_call *a = &s->batch.calls[t->asked_at], *b = settle_second(s, t->asked_at);
	unsigned of_a, of_b, n = 0;

	t->is_unsure = 0;
	while (b && n < ANSWERS && settle_is_same(&a[n], &b[n]))
		n++;
	if (!b || n == ANSWERS)
		return a;
	s->differs = "a task's state";
	of_a = urgency(s, a);
	of_b = urgency(s, b);
	if (t->status == TASK_NONE && !is_ours(s, t, of_a > 1 || of_b > 1))
		return NULL;
	if (of_a != of_b)
		return of_a > of_b ? a : b;
	if (!of_a || is_judged(t))
		return NULL;
	t->is_unsure = 1;
	return a;
}

/* What was agreed, as the payee is told of it. */
static void look_terms(const struct settle *s, struct task *t, const struct rpc_call *c)
{
	struct abi_value v[9], x[3];

	if (call_words(&c[0], SETTLEMENT_TASK, v, 9))
		return;
	memcpy(t->payee_did32, v[1].word.b, 32);
	memcpy(t->token, v[6].word.b + 12, 20);
	t->max = v[7].word;
	if (!call_words(&c[1], SETTLEMENT_EXT, x, 3)) {
		memcpy(t->payee, x[0].word.b + 12, 20);
		t->is_escrow = x[1].word.b[31];
	}
	if (s->is_compat)
		memcpy(t->payee, s->address, 20); /* the registry has one address of our DID */
}

/* What the chain says of it, in three answers. */
static void look_one(struct settle *s, struct task *t, const struct rpc_call *c)
{
	struct abi_value v[9], x[3];
	uint32_t status;

	if (wants_cover(t))
		t->is_covered = covers(s, t, &s->batch.calls[t->asked_at]) &&
				(!settle_second(s, t->asked_at) ||
				 covers(s, t, settle_second(s, t->asked_at)));
	if (!c)
		return;
	if (call_words(&c[0], SETTLEMENT_TASK, v, 9))
		return;
	status = task_status_of(s, v);
	if (status == TASK_NONE) {
		if (t->status != TASK_NONE) { /* taken back by a reorganisation */
			t->status = TASK_NONE;
			t->is_dirty = 1;
		}
		return;
	}
	if (t->role == TASK_PAYER && memcmp(v[2].word.b + 12, s->address, 20) != 0) {
		task_set(s, t, PHASE_FAILED, "somebody else took its id");
		return;
	}
	if (t->role == TASK_PAYEE) /* the payer's are what it asked for */
		look_terms(s, t, c);
	memcpy(t->payer, v[2].word.b + 12, 20);
	(void)u256_to_u64(&v[3].word, &t->deadline);	     /* uint48 */
	(void)u256_to_u64(&v[4].word, &t->dispute_deadline); /* uint48 */
	if (!call_words(&c[1], SETTLEMENT_EXT, x, 3)) {
		if (status == TASK_SUBMITTED && task_has_other(t, &v[8].word, x[2].word.b))
			look_again(s, t);
		memcpy(t->receipt_hash, x[2].word.b, 32);
	}
	t->actual = v[8].word;
	if (!call_words(&c[2], SETTLEMENT_DISPUTE_OF, x, 3)) {
		if (!t->has_arbiter) /* the contract's */
			memcpy(t->arbiter, x[0].word.b + 12, 20);
		(void)u256_to_u64(&x[1].word, &t->arbiter_deadline); /* uint48 */
	}
	if (t->role == TASK_PAYER && t->status == TASK_NONE && t->created_ms < settle_stamp_ms(s))
		t->created_ms = settle_stamp_ms(s); /* limits count from when the money left */
	if (status != t->status) {
		t->status = status;
		t->status_block = s->head;
		t->changed_ms = settle_stamp_ms(s);
		t->is_dirty = 1;
	}
	if (status >= TASK_SETTLED && status != TASK_DISPUTED &&
	    s->head >= t->status_block + s->conf->reorg_depth && t->status_block <= s->deep_block)
		t->is_settled_deep = 1;
}

/* How long is a receipt there that nobody could judge? */
static void count_unjudged(const struct settle *s, struct task *t)
{
	if (t->role != TASK_PAYER || t->status != TASK_SUBMITTED || is_judged(t))
		t->n_unjudged = 0;
	else if (t->n_unjudged++ == 0)
		t->unjudged_block = s->head_max;
}

void task_looked(struct settle *s)
{
	for (struct task *t = s->tasks; t; t = t->next)
		if (t->asked_at) {
			look_one(s, t, held(s, t));
			astray_look(s, t);
			count_unjudged(s, t);
		}
	task_due(s);
}
