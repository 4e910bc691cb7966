/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Checks before a signature. Money leaves by approve and create: the payee's record, the allowance and the balance are looked at
 * first, at two endpoints where there are two. */
#include "prepare.h"

#include <errno.h>
#include <string.h>

#include "allow.h"
#include "astray.h"
#include "call.h"
#include "register.h"
#include "task.h"

/* enum: places in the batch; the estimate is the last */
#define ASK_TASK      0 /* of all with a task */
#define ASK_IS_AS     1 /* create: our registry */
#define ASK_GET	      2 /* create: any registry */
#define ASK_EXT	      1 /* settle, by the payer */
#define ASK_LEFT      1 /* an allowance that is set back */
#define ASK_ALLOWANCE 3
#define ASK_BALANCE   4

#define DRAFT_GAS 1000000u /* its digits count, not what it says */

/* Does it pay for a receipt that has to be the one which was judged? */
static int pays(const struct task *t, const struct op *op)
{
	return t && op->kind == OP_SETTLE && t->role == TASK_PAYER;
}

int prepare_pays(const struct settle *s, const struct op *op)
{
	return (op->kind == OP_APPROVE && !op_is_revoke(op)) || op->kind == OP_CREATE ||
	       pays(task_find(s, op->task), op);
}

unsigned prepare_ask(struct settle *s, struct op *op)
{
	const struct task *t = task_find(s, op->task);
	struct rpc_batch *b = &s->batch;
	struct abi_value a[2];
	unsigned n_alike;

	if (t) {
		abi_set_word(&a[0], op->task);
		(void)call_add(b, s->settlement, SETTLEMENT_GET_TASK, a, 1); /* errors stick */
	}
	if (t && op->kind == OP_CREATE) {
		abi_set_word(&a[0], t->payee_did32);
		abi_set_address(&a[1], t->payee);
		(void)call_add(b, s->registry, REGISTRY_IS_REGISTERED_AS, a, 2);
		(void)call_add(b, s->registry, REGISTRY_GET_ADDRESS, a, 1);
		abi_set_address(&a[0], s->address);
		abi_set_address(&a[1], s->settlement);
		(void)call_add(b, s->token, TOKEN_ALLOWANCE, a, 2);
		(void)call_add(b, s->token, TOKEN_BALANCE, a, 1);
	}
	if (pays(t, op))
		(void)call_add(b, s->settlement, SETTLEMENT_GET_EXT, a, 1); /* a[0] is the task */
	if (t && op_is_back(op)) {
		abi_set_address(&a[0], s->address);
		abi_set_address(&a[1], s->settlement);
		(void)call_add(b, s->token, TOKEN_ALLOWANCE, a, 2);
	}
	n_alike = b->n;
	op_ask_data_fee(s, op, DRAFT_GAS, s->tip, 2 * s->base_fee + s->tip);
	(void)call_add_from(b, "eth_estimateGas", s->address, op->to, op->data, op->n_data,
			    "latest");
	return n_alike;
}

/* ---- create */

static int is_for(const struct rpc_call *c, const uint8_t address[20])
{
	struct abi_value v;

	return !call_words(c, "(address)", &v, 1) && !memcmp(v.word.b + 12, address, 20);
}

/* The payee's record, whose proof was checked, is still in force. Without escrow the contract takes no address: it pays the first
 * record of the DID, whoever made that. */
static int judge_payee(struct settle *s, struct task *t, char why[OP_TEXT])
{
	const struct rpc_call *as = &s->batch.calls[ASK_IS_AS], *get = &s->batch.calls[ASK_GET];
	struct abi_value v;

	if (!s->is_compat && call_words(as, "(bool)", &v, 1)) {
		(void)snprintf(why, OP_TEXT, "the registry does not tell the payee's record");
		return -EAGAIN;
	}
	(void)snprintf(why, OP_TEXT, "the payee's address is not registered for its DID");
	if (!s->is_compat && u256_is_zero(&v.word))
		return -EPERM;
	if ((!s->is_compat && t->is_escrow) || is_for(get, t->payee))
		return 0;
	if (get->is_error && !call_reverted(get)) {
		(void)snprintf(why, OP_TEXT, "the registry does not tell the DID's first record");
		return -EAGAIN;
	}
	if (!s->is_compat)
		(void)snprintf(
			why, OP_TEXT,
			"without escrow the contract pays the first record of the DID, which is of another address: use mode escrow");
	return -EPERM;
}

static int judge_create(struct settle *s, struct op *op, struct task *t, char why[OP_TEXT])
{
	const struct rpc_call *c = s->batch.calls;
	struct abi_value allowance, balance;
	struct u256 need;
	int rc = judge_payee(s, t, why);

	if (rc)
		return rc;
	if (call_words(&c[ASK_ALLOWANCE], "(uint256)", &allowance, 1) ||
	    call_words(&c[ASK_BALANCE], "(uint256)", &balance, 1) || allow_needed(s, t, &need)) {
		(void)snprintf(why, OP_TEXT, "the token does not tell balance and allowance");
		return -EAGAIN;
	}
	if (u256_cmp(&balance.word, &t->max) < 0) {
		(void)snprintf(why, OP_TEXT,
			       "the agent's address holds less than the task may cost");
		return -EAGAIN;
	}
	if (u256_cmp(&allowance.word, &need) >= 0)
		return 0;
	if (op->is_dry || s->conf->dry_run) {
		(void)snprintf(why, OP_TEXT, "%s", PREPARE_ALLOWANCE_FIRST);
		return -ENODATA;
	}
	return allow_give(s, t, &need, why);
}

/* <v>: the task, as getTask has it. */
static int judge_settle(const struct settle *s, const struct task *t, const struct abi_value *v,
			char why[OP_TEXT])
{
	struct abi_value x[3];

	if (!strcmp(t->phase, PHASE_SUBMITTED)) {
		(void)snprintf(why, OP_TEXT, "its receipt is not judged yet");
		return -EAGAIN;
	}
	if (s->is_compat)
		return 0;
	if (call_words(&s->batch.calls[ASK_EXT], SETTLEMENT_EXT, x, 3) ||
	    task_has_other(t, &v[8].word, x[2].word.b)) {
		(void)snprintf(why, OP_TEXT,
			       "the contract has another receipt than the one that was judged");
		return -EAGAIN;
	}
	return 0;
}

int prepare_judge(struct settle *s, struct op *op, char why[OP_TEXT])
{
	struct task *t = task_find(s, op->task);
	struct abi_value v[9];
	uint64_t n = 0;

	if (op->kind == OP_APPROVE && !op_is_revoke(op) && astray_open(s)) {
		(void)snprintf(why, OP_TEXT,
			       "no allowance is given while a task is open that pays another");
		return -EAGAIN;
	}
	if (t && op_is_back(op))
		return allow_judge(s, op, t, &s->batch.calls[ASK_LEFT], why);
	if (!t || !op_kinds[op->kind].from)
		return 0;
	if (call_words(&s->batch.calls[ASK_TASK], SETTLEMENT_TASK, v, 9)) {
		(void)snprintf(why, OP_TEXT, "the contract does not tell its task");
		return -EAGAIN;
	}
	n = task_status_of(s, v);
	if (n < 32 && op_kinds[op->kind].to & (1u << n)) {
		(void)snprintf(why, OP_TEXT, "the task is %s already",
			       task_status_name((uint32_t)n));
		return -EALREADY;
	}
	if (!(n < 32 && op_kinds[op->kind].from & (1u << n))) {
		(void)snprintf(why, OP_TEXT, "the task is %s", task_status_name((uint32_t)n));
		return -EAGAIN;
	}
	if (pays(t, op))
		return judge_settle(s, t, v, why);
	return op->kind == OP_CREATE ? judge_create(s, op, t, why) : 0;
}

int prepare_reverted(struct settle *s, struct op *op, const char *why)
{
	struct abi_value a[2];
	struct u256 zero;

	/* what time or another operation can change */
	if (op_is_revoke(op) || op_is_back(op))
		return -EAGAIN;
	if (op->kind == OP_APPROVE) {
		u256_from_u64(0, &zero);
		abi_set_address(&a[0], s->settlement);
		abi_set_word(&a[1], zero.b);
		/* USDT and its like: to 0 before it may change */
		if (op_find(s, OP_APPROVE, op->task, "zero") ||
		    !op_queue(s, OP_APPROVE, op->task, "zero", s->token, TOKEN_APPROVE, a, 2))
			return -EPERM;
		return -EAGAIN;
	}
	if (op->kind == OP_REGISTER)
		return register_reverted(s, why);
	if (!strncmp(why, "BadSignature", 12) || !strncmp(why, "AmountTooHigh", 13) ||
	    !strncmp(why, "TaskExists", 10) || !strncmp(why, "PayeeMismatch", 13) ||
	    !strncmp(why, "BadDeadline", 11) || !strncmp(why, "DeadlinePassed", 14) ||
	    !strncmp(why, "PayerIsPayee", 12) || !strncmp(why, "NoArbiter", 9))
		return -EPERM;
	return -EAGAIN;
}
