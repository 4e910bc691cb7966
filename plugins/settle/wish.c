/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a user wants of a task, beyond what follows from where it stands. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keccak.h"
#include "op.h"
#include "payee.h"
#include "task.h"

static const struct {
	const char *action;
	uint32_t kind, roles, status;
} wishes[] = {
	{ "cancel", OP_CANCEL, TASK_PAYEE, TASK_CREATED },
	{ "expire", OP_EXPIRE, TASK_PAYER | TASK_PAYEE, TASK_CREATED },
	{ "settle", OP_SETTLE, TASK_PAYER | TASK_PAYEE, TASK_SUBMITTED },
	{ "dispute", OP_DISPUTE, TASK_PAYER, TASK_SUBMITTED },
	{ "claim", OP_CLAIM, TASK_PAYER | TASK_PAYEE, TASK_DISPUTED },
	{ "withdraw", OP_WITHDRAW, TASK_PAYER | TASK_PAYEE, 0 },
};

static struct op *queue_wish(struct settle *s, struct task *t, uint32_t kind, const char *reason)
{
	struct abi_value a[2];
	struct op *op;

	if (kind == OP_DISPUTE) {
		uint8_t hash[32];

		keccak256(reason, strlen(reason), hash);
		abi_set_word(&a[0], t->id);
		abi_set_word(&a[1], hash);
		op = op_queue(s, OP_DISPUTE, t->id, "", s->settlement, SETTLEMENT_DISPUTE, a, 2);
		if (op && op->state == OP_QUEUED)
			op->not_after_block = t->dispute_deadline;
		return op;
	}
	if (kind == OP_WITHDRAW) {
		abi_set_address(&a[0], t->token);
		return op_queue(s, OP_WITHDRAW, t->id, "", s->settlement, SETTLEMENT_WITHDRAW, a,
				1);
	}
	return op_queue_task(s, kind, t);
}

/* The payer's, as long as it is not on the chain: what may be mined yet is taken back. */
static int cancel_create(struct settle *s, struct task *t, int is_dry, char why[TASK_ERROR])
{
	if (is_dry) {
		(void)snprintf(why, TASK_ERROR,
			       "it is not on the chain yet: there is nothing to try");
		return -EBUSY;
	}
	if (!strcmp(t->phase, PHASE_CHECKING)) {
		payee_forget(s, t->id);
		task_set(s, t, PHASE_CANCELLED, CANCELLED_BY_PAYER);
	} else if (!strcmp(t->phase, PHASE_ACCEPTED)) {
		task_set(s, t, PHASE_CANCELLING, "%s", "");
		task_due(s);
	} else if (strcmp(t->phase, PHASE_CANCELLING) != 0 &&
		   strcmp(t->phase, PHASE_CANCELLED) != 0) {
		(void)snprintf(why, TASK_ERROR, "it is %s: there is nothing to cancel", t->phase);
		return -EBUSY;
	}
	settle_wake(s);
	return 0;
}

int task_wish(struct settle *s, struct task *t, const char *action, const char *reason, int is_dry,
	      char why[TASK_ERROR])
{
	struct op *op;
	unsigned i;

	for (i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++)
		if (!strcmp(wishes[i].action, action))
			break;
	if (i == sizeof(wishes) / sizeof(wishes[0])) {
		(void)snprintf(
			why, TASK_ERROR,
			"action must be run, finish, cancel, expire, settle, dispute, claim or withdraw");
		return -EINVAL;
	}
	if (wishes[i].kind == OP_CANCEL && t->role == TASK_PAYER && t->status == TASK_NONE)
		return cancel_create(s, t, is_dry, why);
	if (s->is_compat) {
		(void)snprintf(why, TASK_ERROR,
			       "the contract has the compatible functions only: it knows no %s",
			       action);
		return -EINVAL;
	}
	if (!(wishes[i].roles & t->role)) {
		(void)snprintf(why, TASK_ERROR, "only the %s may %s a task",
			       wishes[i].roles == TASK_PAYER ? "payer" : "payee", action);
		return -EPERM;
	}
	if (wishes[i].status && wishes[i].status != t->status) {
		(void)snprintf(why, TASK_ERROR, "it is %s on the chain: only one that is %s can be",
			       t->status == TASK_NONE ? "not" : task_status_name(t->status),
			       task_status_name(wishes[i].status));
		return -EBUSY;
	}
	op = op_find(s, wishes[i].kind, t->id, "");
	if (is_dry && op) {
		(void)snprintf(why, TASK_ERROR, "that is under way: %s", op_state_names[op->state]);
		return -EBUSY;
	}
	if (op && wishes[i].kind == OP_WITHDRAW && op->state == OP_CONFIRMED) {
		(void)snprintf(why, TASK_ERROR, "it was withdrawn in block %llu",
			       (unsigned long long)op->block);
		return -EBUSY;
	}
	op = queue_wish(s, t, wishes[i].kind, reason);
	if (!op) {
		(void)snprintf(why, TASK_ERROR, "there is no room for its operation");
		return -ENOBUFS;
	}
	if (is_dry) {
		op->is_dry = 1;
		free(t->simulation);
		t->simulation = NULL;
	}
	op_note(s, op); /* a new one has not ended */
	settle_wake(s);
	return 0;
}
