/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Allowances: given, counted, taken back. What became of one stands with the operation that gave it, so that a restart changes nothing. */
#include "allow.h"

#include <errno.h>
#include <string.h>

#include "call.h"

#define TRIES 3	       /* as something of it may be taken back between */
#define OVER  "over: " /* begins what is told of one of which nothing is left */

/* ---- what is needed */

static int is_open(const struct task *t)
{
	return t->role == TASK_PAYER && !t->is_escrow && !t->is_dry && t->status == TASK_CREATED;
}

int allow_needed(const struct settle *s, const struct task *t, struct u256 *ret)
{
	*ret = t->max;
	for (const struct task *o = s->tasks; o; o = o->next)
		if (o != t && is_open(o) && u256_add(ret, &o->max, ret))
			return -ERANGE;
	return 0;
}

/* ---- what was given */

static int gives(const struct op *op)
{
	return op->kind == OP_APPROVE && !op->is_dry && !op_is_revoke(op) && !op_is_back(op);
}

/* In the chain, or on its way there. */
static int is_given(const struct op *op)
{
	return gives(op) && op->state >= OP_SIGNED && op->state <= OP_CONFIRMED &&
	       !(op->state == OP_MINED && op->unwanted) &&
	       strncmp(op->error, OVER, strlen(OVER)) != 0;
}

static const struct op *given(const struct settle *s, const struct task *t)
{
	const struct op *op = s->ops;

	while (op && (!is_given(op) || memcmp(op->task, t->id, 32) != 0))
		op = op->next;
	return op;
}

/* Does its create wait, or is it out, with what was given for it? */
static int is_awaited(const struct settle *s, const struct task *t)
{
	const struct op *create;

	if (t->role != TASK_PAYER || t->is_dry || t->status != TASK_NONE)
		return 0;
	create = op_find(s, OP_CREATE, t->id, "");
	return create && create->state <= OP_MINED && given(s, t);
}

/* Needed as things are. 0 or -ERANGE. */
static int kept(const struct settle *s, struct u256 *ret)
{
	u256_from_u64(0, ret);
	for (const struct task *o = s->tasks; o; o = o->next)
		if ((is_open(o) || is_awaited(s, o)) && u256_add(ret, &o->max, ret))
			return -ERANGE;
	return 0;
}

/* It needs no allowance, now or later. One that was paid could be asked for again after a reorganisation. */
static int is_done(const struct settle *s, const struct task *t)
{
	const struct op *create;

	if (t->status != TASK_NONE)
		return !t->is_escrow && t->is_settled_deep;
	create = op_find(s, OP_CREATE, t->id, "");
	return (!strcmp(t->phase, PHASE_FAILED) || !strcmp(t->phase, PHASE_CANCELLING) ||
		!strcmp(t->phase, PHASE_CANCELLED)) &&
	       (!create || create->state > OP_CONFIRMED);
}

int allow_is_left(const struct settle *s, const struct task *t)
{
	return t->role == TASK_PAYER && !t->is_dry && is_done(s, t) && given(s, t);
}

void allow_find(struct settle *s)
{
	uint32_t n = 0;

	for (struct task *t = s->tasks; t; t = t->next) {
		t->is_left = allow_is_left(s, t) != 0;
		n += t->is_left;
	}
	s->host->metric_set(s->ctx, s->m_left, n);
}

const char *allow_name(const struct settle *s, const struct task *t)
{
	return allow_is_left(s, t) ? "left" : given(s, t) ? "given" : "none";
}

/* ---- give */

/* With a task of that name that was cancelled, and is wanted again. */
static int was_taken_back(const struct op *op)
{
	return !strcmp(op->error, CANCELLED_BY_PAYER) || !strcmp(op->error, OP_TAKEN_BACK);
}

/* Exactly <amount> from now on. NULL: no room now, the next turn tries again. */
static struct op *set_to(struct settle *s, const struct task *t, const char *more,
			 const struct u256 *amount)
{
	struct abi_value a[2];

	abi_set_address(&a[0], s->settlement);
	abi_set_word(&a[1], amount->b);
	return op_queue(s, OP_APPROVE, t->id, more, s->token, TOKEN_APPROVE, a, 2);
}

int allow_give(struct settle *s, const struct task *t, const struct u256 *need, char why[OP_TEXT])
{
	char more[8];
	struct op *op = NULL;

	for (unsigned i = 0; i < TRIES; i++) {
		(void)snprintf(more, sizeof(more), "%u", i); /* fits */
		op = op_find(s, OP_APPROVE, t->id, more);
		if (op && (op->state == OP_CONFIRMED || op->state == OP_MINED) && !op->unwanted)
			continue; /* and it was taken back since */
		if (op && (op->state == OP_FAILED ||
			   (op->state == OP_ABANDONED && !was_taken_back(op)))) {
			(void)snprintf(why, OP_TEXT, "approve: %.150s", op->error);
			return -EPERM;
		}
		if (!op || op->state == OP_ABANDONED)
			(void)set_to(s, t, more, need);
		(void)snprintf(why, OP_TEXT, "waits for the allowance");
		return -EAGAIN;
	}
	(void)snprintf(why, OP_TEXT, "the allowance was taken back %d times", TRIES);
	return -EPERM;
}

/* ---- take back */

static const uint8_t *amount_of(const struct op *op)
{
	return op->data + op->n_data - 32; /* the last word of the call */
}

/* Was something taken back since <op>? */
static const struct op *back_since(const struct settle *s, const struct op *op)
{
	const struct op *back = s->ops;

	while (back &&
	       (!op_is_back(back) || back->state != OP_CONFIRMED || back->nonce < op->nonce))
		back = back->next;
	return back;
}

/* What was set to more than 0 is held against the chain again: a task that it was counted for may have been paid between. */
static void note(struct settle *s, int is_told)
{
	for (struct op *op = s->ops; op; op = op->next) {
		const struct task *t = is_given(op) ? task_find(s, op->task) : NULL;
		const struct op *back;

		if (op->state != OP_CONFIRMED || !t || !allow_is_left(s, t))
			continue;
		back = back_since(s, op);
		if (!is_told && (!back || !op_is_revoke(back)))
			continue;
		op_set(s, op, OP_CONFIRMED, OVER "%s",
		       back ? "it was taken back" : "nothing of it was left");
		s->host->log(s->ctx, LNX_INFO, "%s: %s", op->key, op->error);
		if (back)
			s->host->metric_add(s->ctx, s->m_back, 1);
	}
}

void allow_over(struct settle *s)
{
	note(s, 1);
}

void allow_set_back(struct settle *s, const struct task *t, const struct u256 *amount)
{
	(void)set_to(s, t, ALLOW_BACK, amount);
}

/* What was not mined does not have to be taken back with a call of its own. Is there something that was? */
static int unwant(struct settle *s, const struct task *t)
{
	int is_there = 0;

	for (struct op *op = s->ops; op; op = op->next) {
		if (!gives(op) || memcmp(op->task, t->id, 32) != 0)
			continue;
		op_unwant(s, op, OP_TAKEN_BACK);
		is_there |= is_given(op) && op->state >= OP_MINED;
	}
	return is_there;
}

static int is_under_way(const struct settle *s)
{
	const struct op *op = s->ops;

	while (op && (!op_is_back(op) || op->state >= OP_CONFIRMED))
		op = op->next;
	return op != NULL;
}

void allow_due(struct settle *s)
{
	const struct task *found = NULL;
	struct u256 need;

	note(s, 0);
	for (const struct task *t = s->tasks; t; t = t->next)
		if (allow_is_left(s, t) && unwant(s, t) && !found)
			found = t;
	if (found && !is_under_way(s) && !s->conf->dry_run && !kept(s, &need))
		allow_set_back(s, found, &need);
}

int allow_judge(const struct settle *s, const struct op *op, const struct task *t,
		const struct rpc_call *c, char why[OP_TEXT])
{
	struct abi_value has;
	struct u256 need;

	if (t->is_astray)
		return 0; /* whatever is there: nobody is to draw it */
	if (call_words(c, "(uint256)", &has, 1) || kept(s, &need)) {
		(void)snprintf(why, OP_TEXT, "the token does not tell the allowance");
		return -EAGAIN;
	}
	if (u256_cmp(&has.word, &need) <= 0) {
		(void)snprintf(why, OP_TEXT, "nothing of it was left");
		return -EALREADY;
	}
	if (memcmp(amount_of(op), need.b, 32) != 0) {
		(void)snprintf(why, OP_TEXT, "other tasks need another allowance now");
		return -EPERM;
	}
	return 0;
}
