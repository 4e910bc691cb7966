/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What follows from where a task stands: the phase that people see, and the operations that nobody has to ask for. */
#include <errno.h>
#include <string.h>

#include "allow.h"
#include "astray.h"
#include "collect.h"
#include "keccak.h"
#include "op.h"
#include "task.h"

#define UNJUDGED_LOOKS 8  /* in which an honest pair lets a receipt be judged */
#define NEAR_END       60 /* blocks before the end of a window, or half of what was left of it */
#define UNDISPUTED     TASK_UNJUDGED ", and it is not disputed"

const char *task_status_name(uint32_t status)
{
	static const char *const names[] = { "none",	 "created",  "submitted", "settled",
					     "disputed", "resolved", "cancelled", "expired" };

	return status < sizeof(names) / sizeof(names[0]) ? names[status] : "unknown";
}

static int is_zero(const uint8_t address[20])
{
	static const uint8_t none[20];

	return !memcmp(address, none, 20);
}

/* Queue it once; what came of it is told as the reason. One that was given up, as another had done it already, is due again when
 * a reorganisation took that back; one that reverted, for whatever reason, when no reorganisation can let it work. */
static void due(struct settle *s, struct task *t, uint32_t kind)
{
	const struct op *op = op_find(s, kind, t->id, "");

	if (s->is_compat)
		return; /* there is no such function */
	if (!op || (op->state == OP_ABANDONED && !s->conf->dry_run) ||
	    (op->state == OP_FAILED && !op_is_live(s, op)))
		(void)op_queue_task(s, kind, t); /* no room now: the next turn tries again */
}

/* An operation that ended without effect ends what was wanted of the task. */
static void told(struct settle *s, struct task *t, uint32_t kind)
{
	const struct op *op = op_find(s, kind, t->id, "");

	if (op && (op->state == OP_FAILED || op->state == OP_ABANDONED) &&
	    strcmp(t->phase, PHASE_FAILED) != 0 && strcmp(t->phase, PHASE_CANCELLED) != 0)
		task_set(s, t, PHASE_FAILED, "%s: %s", op_kinds[kind].name, op->error);
}

/* ---- the payer's objection */

static int is_unjudged(const struct op *op)
{
	uint8_t hash[32];

	keccak256(TASK_UNJUDGED, strlen(TASK_UNJUDGED), hash);
	return op->n_data >= 32 && !memcmp(op->data + op->n_data - 32, hash, 32);
}

/* What could not be judged was judged in the end, or is not there. */
static void take_back(struct settle *s, const struct task *t)
{
	struct op *op = op_find(s, OP_DISPUTE, t->id, "");
	int is_verified = t->status == TASK_SUBMITTED && !strcmp(t->phase, PHASE_VERIFIED);

	if (!op || !is_unjudged(op))
		return;
	if (is_verified || (op->state == OP_QUEUED && t->status != TASK_SUBMITTED))
		op_unwant(s, op, OP_TAKEN_BACK);
	else if (t->status == TASK_SUBMITTED)
		op_want(op);
}

/* A settle that is out pays for whatever receipt is there when it is mined. */
static void stop_paying(struct settle *s, const struct task *t)
{
	struct op *op = op_find(s, OP_SETTLE, t->id, "");

	if (op && op_is_out(op))
		op_unwant(s, op,
			  "the receipt that was judged is not the one on the chain any more");
}

static void go_on_paying(const struct settle *s, const struct task *t)
{
	struct op *op = op_find(s, OP_SETTLE, t->id, "");

	if (op)
		op_want(op);
}

static void dispute(struct settle *s, struct task *t, const char *reason)
{
	const struct op *op = op_find(s, OP_DISPUTE, t->id, "");
	char why[TASK_ERROR];

	if (!op || op->state == OP_FAILED ||
	    (op->state == OP_ABANDONED && !strcmp(op->error, OP_TAKEN_BACK)) ||
	    (op->state == OP_MINED && op->unwanted))
		(void)task_wish(s, t, "dispute", reason, 0, why); /* again next turn */
}

static int may_dispute(const struct settle *s, const struct task *t)
{
	return s->conf->auto_dispute && !is_zero(t->arbiter) && s->head < t->dispute_deadline;
}

/* Does its window end soon, by the later of two heads, and nobody could judge its receipt in several looks? Silence would pay it. */
static int is_silence_near(const struct settle *s, const struct task *t)
{
	uint64_t margin = NEAR_END, end = t->dispute_deadline;

	if (end > t->unjudged_block && (end - t->unjudged_block) / 2 < margin)
		margin = (end - t->unjudged_block) / 2;
	return t->n_unjudged >= UNJUDGED_LOOKS && s->head_max + margin >= end;
}

/* It is paid by silence, and somebody has to look at it. */
static void alarm_of(struct settle *s, const struct task *t, const char *why)
{
	char hex[67], text[SETTLE_WHY];

	hex_format(t->id, 32, hex);
	(void)snprintf(text, sizeof(text),
		       "task %.18s: %s, and it is not disputed: look at it, it is paid for", hex,
		       why); /* fits */
	s->host->health(s->ctx, "chain-receipt", LNX_HEALTH_DEGRADED, text);
}

/* Nobody objects to a receipt that is not good: it has no arbiter, or chain.auto_dispute is off, or the objection came to nothing. */
static int is_let_pass(const struct settle *s, const struct task *t)
{
	const struct op *op = op_find(s, OP_DISPUTE, t->id, "");

	return t->role == TASK_PAYER && t->status == TASK_SUBMITTED &&
	       !strcmp(t->phase, PHASE_REJECTED) &&
	       (!op || op->state > OP_CONFIRMED || op->unwanted);
}

static void due_unjudged(struct settle *s, struct task *t)
{
	if (strcmp(t->phase, PHASE_SUBMITTED) != 0)
		task_set(s, t, PHASE_SUBMITTED, "%s", "");
	if (!is_silence_near(s, t))
		return;
	if (may_dispute(s, t))
		dispute(s, t, TASK_UNJUDGED);
	if (op_find(s, OP_DISPUTE, t->id, "")) {
		task_set(s, t, PHASE_SUBMITTED, TASK_UNJUDGED ": disputed");
		return;
	}
	alarm_of(s, t, TASK_UNJUDGED);
	task_set(s, t, PHASE_SUBMITTED, UNDISPUTED);
}

static void due_submitted(struct settle *s, struct task *t)
{
	if (!strcmp(t->phase, PHASE_VERIFIED)) {
		go_on_paying(s, t);
		if (s->conf->auto_settle && t->status_block <= s->deep_block && !t->is_astray)
			due(s, t, OP_SETTLE);
	} else if (!strcmp(t->phase, PHASE_REJECTED)) {
		if (may_dispute(s, t))
			dispute(s, t, t->reason);
	} else {
		stop_paying(s, t);
		due_unjudged(s, t);
	}
}

/* Kept from the chain, when nothing of it can be mined any more. Did it land nevertheless, it goes on as any other. */
static void due_cancelling(struct settle *s, struct task *t)
{
	const struct op *create = op_find(s, OP_CREATE, t->id, "");
	int is_open = 0;

	for (struct op *op = s->ops; op; op = op->next)
		if (!memcmp(op->task, t->id, 32) && !op_is_back(op)) {
			op_unwant(s, op, CANCELLED_BY_PAYER);
			is_open |= op->state != OP_CONFIRMED && op_is_live(s, op);
		}
	if (!is_open && (!create || create->state > OP_CONFIRMED) && !allow_is_left(s, t))
		task_set(s, t, PHASE_CANCELLED, CANCELLED_BY_PAYER);
}

static void due_payer(struct settle *s, struct task *t)
{
	take_back(s, t);
	if (t->status == TASK_NONE && !strcmp(t->phase, PHASE_CANCELLING)) {
		due_cancelling(s, t);
	} else if (t->status == TASK_NONE) {
		told(s, t, OP_CREATE);
	} else if (t->status == TASK_CREATED) {
		if (t->is_astray)
			astray_due(s, t);
		else if (t->is_compared && strcmp(t->phase, PHASE_CHECKING) != 0)
			task_set(s, t, PHASE_OPEN, "%s", "");
		if (s->head > t->deadline)
			due(s, t, OP_EXPIRE);
	} else if (t->status == TASK_SUBMITTED) {
		due_submitted(s, t);
	}
}

/* ---- the payee */

/* Where the work on a task stands that the chain has as created, whatever was told of it meanwhile. */
static const char *work_phase(const struct settle *s, const struct task *t)
{
	const struct op *op = op_find(s, OP_SUBMIT, t->id, "");

	for (const struct collector *c = s->collectors; c; c = c->next)
		if (!memcmp(c->task, t->id, 32))
			return PHASE_RUNNING;
	return op && op->state < OP_FAILED ? PHASE_PROVEN : PHASE_OFFERED;
}

static void due_payee(struct settle *s, struct task *t)
{
	if (t->status == TASK_CREATED) {
		if (strcmp(t->phase, PHASE_OFFERED) != 0 && strcmp(t->phase, PHASE_RUNNING) != 0 &&
		    strcmp(t->phase, PHASE_PROVEN) != 0 && strcmp(t->phase, PHASE_FAILED) != 0)
			task_set(s, t, work_phase(s, t), "%s", "");
		if (!strcmp(t->phase, PHASE_PROVEN))
			told(s, t, OP_SUBMIT);
	} else if (t->status == TASK_SUBMITTED) {
		task_set(s, t, PHASE_SUBMITTED, "%s", "");
		if (s->head > t->dispute_deadline)
			due(s, t, OP_SETTLE);
	} else if (t->status == TASK_DISPUTED && t->arbiter_deadline &&
		   s->head > t->arbiter_deadline) {
		due(s, t, OP_CLAIM);
	}
}

/* Of which tasks may a create that is not there come yet? */
static void find_pending(struct settle *s)
{
	struct task *t;

	for (t = s->tasks; t; t = t->next)
		t->is_pending = 0;
	for (const struct op *op = s->ops; op; op = op->next) {
		t = op->kind == OP_CREATE && !op->is_dry && op_is_live(s, op)
			    ? task_find(s, op->task)
			    : NULL;
		if (t && t->role == TASK_PAYER)
			t->is_pending = 1;
	}
}

void task_due(struct settle *s)
{
	int is_alarm = 0;

	find_pending(s);
	allow_find(s);
	for (struct task *t = s->tasks; t; t = t->next) {
		if (t->is_dry || task_is_final(t))
			continue;
		if (t->status >= TASK_SETTLED && t->status != TASK_DISPUTED && t->is_astray)
			astray_due(s, t);
		else if (t->status >= TASK_SETTLED)
			task_set(s, t, task_status_name(t->status), "%s",
				 t->status == TASK_DISPUTED ? t->reason : "");
		if (t->role == TASK_PAYER)
			due_payer(s, t);
		else
			due_payee(s, t);
		is_alarm |= !strcmp(t->reason, UNDISPUTED) || is_let_pass(s, t);
		if (is_let_pass(s, t))
			alarm_of(s, t, "its receipt is not good");
	}
	astray_tell(s);
	allow_due(s);
	if (!is_alarm)
		s->host->health(s->ctx, "chain-receipt", LNX_HEALTH_OK, "");
}

/* ---- as JSON */

static void put_hex(struct lnx_buf *out, const char *key, const uint8_t *bytes, size_t n)
{
	char hex[67];

	hex_format(bytes, n, hex);
	lnx_json_kv_str(out, key, hex);
}

static void put_address(struct lnx_buf *out, const char *key, const uint8_t address[20])
{
	char text[ADDRESS_TEXT];

	address_format(address, text);
	lnx_json_kv_str(out, key, is_zero(address) ? "" : text);
}

static void put_amount(struct lnx_buf *out, const char *key, const struct u256 *v)
{
	char text[U256_DECIMAL];

	u256_format(v, text);
	lnx_json_kv_str(out, key, text);
}

static void put_parties(const struct task *t, struct lnx_buf *out)
{
	lnx_json_kv_str(out, "payee_did", t->payee_did);
	put_hex(out, "payee_did_hash", t->payee_did32, 32);
	put_address(out, "payee", t->payee);
	put_address(out, "payer", t->payer);
	put_address(out, "token", t->token);
	put_address(out, "arbiter", t->arbiter);
}

void task_json(struct settle *s, const struct task *t, struct lnx_buf *out)
{
	lnx_buf_char(out, '{');
	put_hex(out, "task_id", t->id, 32);
	lnx_json_kv_str(out, "name", t->name);
	lnx_json_kv_str(out, "role", t->role == TASK_PAYER ? "payer" : "payee");
	lnx_json_kv_str(out, "mode", t->is_escrow ? "escrow" : "allowance");
	lnx_json_kv_str(out, "phase", t->phase);
	lnx_json_kv_str(out, "reason", t->reason);
	lnx_json_kv_str(out, "chain_status", task_status_name(t->status));
	lnx_json_kv_bool(out, "durable", t->is_durable && !t->is_dirty);
	lnx_json_kv_bool(out, "final", task_is_final(t));
	lnx_json_kv_bool(out, "dry_run", t->is_dry != 0);
	if (t->role == TASK_PAYER)
		lnx_json_kv_str(out, "allowance", allow_name(s, t));
	if (t->role == TASK_PAYEE && !t->is_escrow)
		lnx_json_kv_bool(out, "covered", t->is_covered != 0);
	put_parties(t, out);
	put_amount(out, "max_amount", &t->max);
	put_amount(out, "actual_amount", &t->actual);
	lnx_json_kv_u64(out, "deadline_blocks", t->deadline_blocks);
	lnx_json_kv_u64(out, "deadline_block", t->deadline);
	lnx_json_kv_u64(out, "dispute_deadline_block", t->dispute_deadline);
	lnx_json_kv_u64(out, "arbiter_deadline_block", t->arbiter_deadline);
	lnx_json_kv_u64(out, "head_block", s->head);
	put_hex(out, "receipt_hash", t->receipt_hash, 32);
	lnx_json_kv_bool(out, "has_receipt", t->has_receipt != 0);
	lnx_json_kv_str(out, "withdrawal", t->withdrawal ? op_state_names[t->withdrawal] : "");
	lnx_json_kv_u64(out, "withdrawal_block", t->withdrawal_block);
	lnx_json_key(out, "created");
	lnx_json_ts(out, (uint64_t)t->created_ms * SETTLE_MS);
	lnx_json_key(out, "changed");
	lnx_json_ts(out, (uint64_t)t->changed_ms * SETTLE_MS);
	lnx_json_key(out, "operations");
	lnx_buf_char(out, '[');
	for (const struct op *op = s->ops; op; op = op->next)
		if (!memcmp(op->task, t->id, 32)) {
			lnx_json_next(out);
			op_json(op, out);
		}
	lnx_buf_char(out, ']');
	if (t->simulation) {
		lnx_json_key(out, "simulation");
		lnx_buf_str(out, t->simulation);
	}
	collect_json(s, t, out);
	lnx_buf_char(out, '}');
}
