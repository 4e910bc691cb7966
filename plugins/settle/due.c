/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What follows from where a task stands: the phase that people see, and the operations that nobody has to ask for. */
#include <errno.h>
#include <string.h>

#include "collect.h"
#include "op.h"
#include "task.h"

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
 * a reorganisation took that back. */
static void due(struct settle *s, struct task *t, uint32_t kind)
{
	const struct op *op = op_find(s, kind, t->id, "");

	if (s->is_compat)
		return; /* there is no such function */
	if (!op || (op->state == OP_ABANDONED && !s->conf->dry_run))
		(void)op_queue_task(s, kind, t); /* no room now: the next turn tries again */
}

/* An operation that ended without effect ends what was wanted of the task. */
static void told(struct settle *s, struct task *t, uint32_t kind)
{
	const struct op *op = op_find(s, kind, t->id, "");

	if (op && (op->state == OP_FAILED || op->state == OP_ABANDONED))
		task_set(s, t, PHASE_FAILED, "%s: %s", op_kinds[kind].name, op->error);
}

static void due_payer(struct settle *s, struct task *t)
{
	if (t->status == TASK_NONE) {
		told(s, t, OP_CREATE);
	} else if (t->status == TASK_CREATED) {
		task_set(s, t, PHASE_OPEN, "%s", "");
		if (s->head > t->deadline)
			due(s, t, OP_EXPIRE);
	} else if (t->status == TASK_SUBMITTED) {
		int is_judged =
			!strcmp(t->phase, PHASE_VERIFIED) || !strcmp(t->phase, PHASE_REJECTED);

		if (!is_judged)
			task_set(s, t, PHASE_SUBMITTED, "%s", "");
		if (!strcmp(t->phase, PHASE_VERIFIED) && s->conf->auto_settle &&
		    s->head + 1 >= t->status_block + s->conf->confirmations)
			due(s, t, OP_SETTLE);
		if (!strcmp(t->phase, PHASE_REJECTED) && s->conf->auto_dispute &&
		    !is_zero(t->arbiter) && s->head < t->dispute_deadline &&
		    !op_find(s, OP_DISPUTE, t->id, "")) {
			char why[TASK_ERROR];

			(void)task_wish(s, t, "dispute", t->reason, 0, why); /* again next turn */
		}
	}
}

static void due_payee(struct settle *s, struct task *t)
{
	if (t->status == TASK_CREATED) {
		if (!*t->phase)
			task_set(s, t, PHASE_OFFERED, "%s", "");
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

void task_due(struct settle *s)
{
	for (struct task *t = s->tasks; t; t = t->next) {
		if (t->is_dry || task_is_final(t))
			continue;
		if (t->status >= TASK_SETTLED)
			task_set(s, t, task_status_name(t->status), "%s",
				 t->status == TASK_DISPUTED ? t->reason : "");
		if (t->role == TASK_PAYER)
			due_payer(s, t);
		else
			due_payee(s, t);
	}
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
	lnx_json_key(out, "created");
	lnx_json_ts(out, (uint64_t)t->created_ms * SETTLE_MS);
	lnx_json_key(out, "changed");
	lnx_json_ts(out, (uint64_t)t->changed_ms * SETTLE_MS);
	lnx_json_key(out, "operations");
	lnx_buf_char(out, '[');
	for (const struct op *op = s->ops; op; op = op->next)
		if (!memcmp(op->task, t->id, 32)) {
			lnx_json_next(out);
			op_json(s, op, out);
		}
	lnx_buf_char(out, ']');
	if (t->simulation) {
		lnx_json_key(out, "simulation");
		lnx_buf_str(out, t->simulation);
	}
	collect_json(s, t, out);
	lnx_buf_char(out, '}');
}
