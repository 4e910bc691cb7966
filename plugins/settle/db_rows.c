/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Rows in and out. One transaction a job; a nonce and the bytes signed with it are never apart. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db_impl.h"

#define TASK_NAMES_ARBITER 2 /* bit of task.is_escrow */
#define OVER		   "('confirmed','failed','abandoned')"

/* A statement whose values are bound in order. The first error sticks. */
struct row {
	sqlite3 *db;
	sqlite3_stmt *st;
	int n, rc;
};

static void row_begin(struct row *r, sqlite3 *db, const char *sql)
{
	memset(r, 0, sizeof(*r));
	r->db = db;
	r->rc = sqlite3_prepare_v2(db, sql, -1, &r->st, NULL);
}

static void put_int(struct row *r, int64_t v)
{
	if (r->rc == SQLITE_OK)
		r->rc = sqlite3_bind_int64(r->st, ++r->n, v);
}

static void put_text(struct row *r, const char *v)
{
	if (r->rc == SQLITE_OK)
		r->rc = sqlite3_bind_text(r->st, ++r->n, v, -1, SQLITE_TRANSIENT);
}

static void put_blob(struct row *r, const void *v, size_t n)
{
	if (r->rc == SQLITE_OK)
		r->rc = n ? sqlite3_bind_blob64(r->st, ++r->n, v, n, SQLITE_TRANSIENT)
			  : sqlite3_bind_zeroblob(r->st, ++r->n, 0);
}

static void put_amount(struct row *r, const struct u256 *v)
{
	char text[U256_DECIMAL];

	u256_format(v, text);
	put_text(r, text);
}

static int row_end(struct row *r, char error[DB_ERROR])
{
	int rc = r->rc;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(r->st);
	if (rc != SQLITE_DONE && rc != SQLITE_ROW && rc != SQLITE_OK)
		(void)snprintf(error, DB_ERROR, "%s", sqlite3_errmsg(r->db)); /* for people */
	(void)sqlite3_finalize(r->st);					      /* the step told */
	return db_errno(rc);
}

/* ---- out */

static int write_attempt(sqlite3 *db, const struct op *op, uint32_t n, char error[DB_ERROR])
{
	const struct attempt *a = &op->attempts[n];
	struct row r;

	row_begin(
		&r, db,
		"INSERT INTO chain_attempt(op_id,n,tx_hash,raw,nonce,tip,max_fee,gas,first_sent_ms,"
		"last_sent_ms) VALUES(?,?,?,?,?,?,?,?,?,?) ON CONFLICT(op_id,n) DO UPDATE SET"
		" tx_hash=excluded.tx_hash,raw=excluded.raw,nonce=excluded.nonce,tip=excluded.tip,"
		"max_fee=excluded.max_fee,gas=excluded.gas,"
		"first_sent_ms=excluded.first_sent_ms,last_sent_ms=excluded.last_sent_ms");
	put_int(&r, op->id);
	put_int(&r, n);
	put_blob(&r, a->hash, sizeof(a->hash));
	put_blob(&r, a->raw, a->n_raw);
	put_int(&r, (int64_t)a->nonce);
	put_int(&r, (int64_t)a->tip_wei);
	put_int(&r, (int64_t)a->fee_wei);
	put_int(&r, (int64_t)a->gas);
	put_int(&r, a->first_sent_ms);
	put_int(&r, a->last_sent_ms);
	return row_end(&r, error);
}

static void put_op_state(struct row *r, const struct op *op)
{
	put_text(r, op_state_names[op->state]);
	put_int(r, (int64_t)op->nonce);
	put_int(r, (int64_t)op->block);
	put_blob(r, op->block_hash, sizeof(op->block_hash));
	put_blob(r, op->tx_hash, sizeof(op->tx_hash));
	put_amount(r, &op->spent_wei);
	put_text(r, op->error);
	put_int(r, op->next_try_ms);
}

/* Attempts that are no more: an old one must not come back with a restart. */
static int drop_attempts(sqlite3 *db, const struct op *op, char error[DB_ERROR])
{
	struct row r;

	row_begin(&r, db, "DELETE FROM chain_attempt WHERE op_id=? AND n>=?");
	put_int(&r, op->id);
	put_int(&r, op->n_attempts);
	return row_end(&r, error);
}

/* One of that key which is over, and was forgotten in memory since: its bytes can never be mined, or no reorganisation takes them
 * out of the chain. */
static int drop_over(sqlite3 *db, const char *key, char error[DB_ERROR])
{
	struct row r;
	int rc;

	row_begin(&r, db,
		  "DELETE FROM chain_attempt WHERE op_id IN"
		  " (SELECT id FROM chain_op WHERE op_key=? AND state IN " OVER ")");
	put_text(&r, key);
	rc = row_end(&r, error);
	if (rc)
		return rc;
	row_begin(&r, db, "DELETE FROM chain_op WHERE op_key=? AND state IN " OVER);
	put_text(&r, key);
	return row_end(&r, error);
}

static int write_op(sqlite3 *db, struct op *op, char error[DB_ERROR])
{
	struct row r;
	int rc;

	if (op->id) {
		row_begin(
			&r, db,
			"UPDATE chain_op SET state=?,nonce=?,block=?,block_hash=?,tx_hash=?,spent_wei=?,"
			"last_error=?,next_try_ms=?,data=?,not_after_block=?,op_key=? WHERE id=?");
		put_op_state(&r, op);
		put_blob(&r, op->data, op->n_data);
		put_int(&r, (int64_t)op->not_after_block);
		put_text(&r, op->key);
		put_int(&r, op->id);
		rc = row_end(&r, error);
		if (!rc)
			rc = drop_attempts(db, op, error);
	} else {
		rc = drop_over(db, op->key, error);
		if (rc)
			return rc;
		row_begin(
			&r, db,
			"INSERT INTO chain_op(state,nonce,block,block_hash,tx_hash,spent_wei,last_error,"
			"next_try_ms,op_key,kind,task_id,to_addr,data,not_after_block,created_ms)"
			" VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
		put_op_state(&r, op);
		put_text(&r, op->key);
		put_int(&r, op->kind);
		put_blob(&r, op->task, sizeof(op->task));
		put_blob(&r, op->to, sizeof(op->to));
		put_blob(&r, op->data, op->n_data);
		put_int(&r, (int64_t)op->not_after_block);
		put_int(&r, op->created_ms);
		rc = row_end(&r, error);
		if (!rc)
			op->id = sqlite3_last_insert_rowid(db);
	}
	for (uint32_t i = 0; !rc && i < op->n_attempts; i++)
		rc = write_attempt(db, op, i, error);
	return rc;
}

/* What we sent for it stays, and it with that. */
static int drop_task(sqlite3 *db, const struct task *t, char error[DB_ERROR])
{
	struct row r;

	row_begin(&r, db,
		  "DELETE FROM task WHERE task_id=?1 AND NOT EXISTS"
		  " (SELECT 1 FROM chain_op WHERE task_id=?1) AND NOT EXISTS"
		  " (SELECT 1 FROM receipt WHERE task_id=?1)");
	put_blob(&r, t->id, 32);
	return row_end(&r, error);
}

static int write_task(sqlite3 *db, const struct task *t, char error[DB_ERROR])
{
	struct row r;
	int rc;

	if (t->is_forgotten)
		return drop_task(db, t, error);
	row_begin(
		&r, db,
		"INSERT OR REPLACE INTO task(task_id,role,is_escrow,status,is_known,name,phase,payee_did,"
		"payee_did32,payee,payer,token,arbiter,max_amount,actual_amount,deadline_blocks,deadline,"
		"dispute_deadline,receipt_hash,submit_tx,reason,created_ms,changed_ms)"
		" VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
	put_blob(&r, t->id, 32);
	put_int(&r, t->role);
	put_int(&r, (t->is_escrow != 0) | (t->has_arbiter ? TASK_NAMES_ARBITER : 0));
	put_int(&r, t->status);
	put_int(&r, t->status != 0); /* is_known: nobody reads it */
	put_text(&r, t->name);
	put_text(&r, t->phase);
	put_text(&r, t->payee_did);
	put_blob(&r, t->payee_did32, 32);
	put_blob(&r, t->payee, 20);
	put_blob(&r, t->payer, 20);
	put_blob(&r, t->token, 20);
	put_blob(&r, t->arbiter, 20);
	put_amount(&r, &t->max);
	put_amount(&r, &t->actual);
	put_int(&r, (int64_t)t->deadline_blocks);
	put_int(&r, (int64_t)t->deadline);
	put_int(&r, (int64_t)t->dispute_deadline);
	put_blob(&r, t->receipt_hash, 32);
	put_blob(&r, t->submit_tx, 32);
	put_text(&r, t->reason);
	put_int(&r, t->created_ms);
	put_int(&r, t->changed_ms);
	rc = row_end(&r, error);
	if (rc || !t->receipt_is_dirty || !t->receipt)
		return rc;
	row_begin(&r, db, "INSERT OR REPLACE INTO receipt(task_id,doc) VALUES(?,?)");
	put_blob(&r, t->id, 32);
	put_text(&r, t->receipt);
	return row_end(&r, error);
}

static int run(sqlite3 *db, const char *sql, char error[DB_ERROR])
{
	struct row r;

	row_begin(&r, db, sql);
	return row_end(&r, error);
}

int db_write(sqlite3 *db, struct op *ops, uint32_t n_ops, struct task *tasks, uint32_t n_tasks,
	     const struct db_cursor *cursor, char error[DB_ERROR])
{
	int rc = run(db, "BEGIN IMMEDIATE", error);
	struct row r;

	if (rc)
		return rc;
	for (uint32_t i = 0; !rc && i < n_tasks; i++)
		rc = write_task(db, &tasks[i], error);
	for (uint32_t i = 0; !rc && i < n_ops; i++)
		rc = write_op(db, &ops[i], error);
	if (!rc && cursor->is_set) {
		row_begin(&r, db, "INSERT OR REPLACE INTO chain_cursor(id,last_block) VALUES(1,?)");
		put_int(&r, (int64_t)cursor->block);
		rc = row_end(&r, error);
	}
	if (!rc)
		rc = run(db, "COMMIT", error);
	if (rc) {
		char ignored[DB_ERROR];

		(void)run(db, "ROLLBACK", ignored); /* the first error is told */
	}
	return rc;
}

/* ---- in */

static void get_text(sqlite3_stmt *st, int i, char *ret, size_t cap)
{
	const char *text = (const char *)sqlite3_column_text(st, i);

	(void)snprintf(ret, cap, "%s", text ? text : ""); /* it was cut when it was written */
}

static int get_blob(sqlite3_stmt *st, int i, void *ret, size_t n)
{
	const void *blob = sqlite3_column_blob(st, i);

	if (sqlite3_column_bytes(st, i) != (int)n || !blob)
		return -EUCLEAN;
	memcpy(ret, blob, n);
	return 0;
}

static int get_alloc(sqlite3_stmt *st, int i, uint8_t **ret, uint32_t *ret_n)
{
	int n = sqlite3_column_bytes(st, i);

	*ret = malloc((size_t)n + 1);
	if (!*ret)
		return -ENOMEM;
	if (n)
		memcpy(*ret, sqlite3_column_blob(st, i), (size_t)n);
	*ret_n = (uint32_t)n;
	return 0;
}

static int get_amount(sqlite3_stmt *st, int i, struct u256 *ret)
{
	const char *text = (const char *)sqlite3_column_text(st, i);

	return text && u256_parse(text, ret) == 0 ? 0 : -EUCLEAN;
}

static int load_attempts(sqlite3 *db, struct op *op)
{
	struct row r;
	int rc;

	row_begin(
		&r, db,
		"SELECT tx_hash,raw,nonce,tip,max_fee,gas,first_sent_ms,last_sent_ms FROM chain_attempt"
		" WHERE op_id=? ORDER BY n LIMIT 16");
	put_int(&r, op->id);
	rc = r.rc;
	while (rc == SQLITE_OK && (rc = sqlite3_step(r.st)) == SQLITE_ROW) {
		struct attempt *a = &op->attempts[op->n_attempts];

		rc = get_blob(r.st, 0, a->hash, 32) ? SQLITE_CORRUPT : SQLITE_OK;
		if (rc == SQLITE_OK && get_alloc(r.st, 1, &a->raw, &a->n_raw))
			rc = SQLITE_NOMEM;
		a->nonce = (uint64_t)sqlite3_column_int64(r.st, 2);
		a->tip_wei = (uint64_t)sqlite3_column_int64(r.st, 3);
		a->fee_wei = (uint64_t)sqlite3_column_int64(r.st, 4);
		a->gas = (uint64_t)sqlite3_column_int64(r.st, 5);
		a->first_sent_ms = sqlite3_column_int64(r.st, 6);
		a->last_sent_ms = sqlite3_column_int64(r.st, 7);
		if (rc == SQLITE_OK)
			op->n_attempts++;
	}
	(void)sqlite3_finalize(r.st); /* the step told */
	return db_errno(rc);
}

static int load_op(sqlite3 *db, sqlite3_stmt *st, struct op **ret)
{
	struct op *op = calloc(1, sizeof(*op));
	char state[16];
	int rc;

	if (!op)
		return -ENOMEM;
	op->id = sqlite3_column_int64(st, 0);
	get_text(st, 1, op->key, sizeof(op->key));
	op->kind = (uint32_t)sqlite3_column_int64(st, 2);
	rc = get_blob(st, 3, op->task, 32) || get_blob(st, 4, op->to, 20) ? -EUCLEAN : 0;
	if (!rc)
		rc = get_alloc(st, 5, &op->data, &op->n_data);
	op->not_after_block = (uint64_t)sqlite3_column_int64(st, 6);
	get_text(st, 7, state, sizeof(state));
	for (op->state = 0;
	     op_state_names[op->state] && strcmp(state, op_state_names[op->state]) != 0;)
		op->state++;
	op->nonce = (uint64_t)sqlite3_column_int64(st, 8);
	op->block = (uint64_t)sqlite3_column_int64(st, 9);
	if (!rc)
		rc = get_blob(st, 10, op->block_hash, 32) || get_blob(st, 11, op->tx_hash, 32) ||
				     get_amount(st, 12, &op->spent_wei) ||
				     !op_state_names[op->state]
			     ? -EUCLEAN
			     : 0;
	get_text(st, 13, op->error, sizeof(op->error));
	op->next_try_ms = sqlite3_column_int64(st, 14);
	op->created_ms = sqlite3_column_int64(st, 15);
	if (!rc)
		rc = load_attempts(db, op);
	if (rc)
		op_free(op);
	else
		*ret = op;
	return rc;
}

static int load_task(sqlite3_stmt *st, struct task **ret)
{
	struct task *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->role = (uint32_t)sqlite3_column_int64(st, 1);
	t->is_escrow = (uint32_t)sqlite3_column_int64(st, 2) & 1;
	t->has_arbiter = (sqlite3_column_int64(st, 2) & TASK_NAMES_ARBITER) != 0;
	t->status = (uint32_t)sqlite3_column_int64(st, 3);
	get_text(st, 5, t->name, sizeof(t->name));
	get_text(st, 6, t->phase, sizeof(t->phase));
	get_text(st, 7, t->payee_did, sizeof(t->payee_did));
	t->deadline_blocks = (uint64_t)sqlite3_column_int64(st, 15);
	t->deadline = (uint64_t)sqlite3_column_int64(st, 16);
	t->dispute_deadline = (uint64_t)sqlite3_column_int64(st, 17);
	get_text(st, 20, t->reason, sizeof(t->reason));
	t->created_ms = sqlite3_column_int64(st, 21);
	t->changed_ms = sqlite3_column_int64(st, 22);
	t->has_receipt = sqlite3_column_int(st, 23) != 0;
	t->is_durable = 1;
	if (get_blob(st, 0, t->id, 32) || get_blob(st, 8, t->payee_did32, 32) ||
	    get_blob(st, 9, t->payee, 20) || get_blob(st, 10, t->payer, 20) ||
	    get_blob(st, 11, t->token, 20) || get_blob(st, 12, t->arbiter, 20) ||
	    get_amount(st, 13, &t->max) || get_amount(st, 14, &t->actual) ||
	    get_blob(st, 18, t->receipt_hash, 32) || get_blob(st, 19, t->submit_tx, 32)) {
		task_free(t);
		return -EUCLEAN;
	}
	*ret = t;
	return 0;
}

/* Not by the clock alone: one that is ahead makes all of them old. Those that are too many are forgotten when the chain was seen; of
 * what others offered, and came to nothing, there may be any number: the newest will do. Operations: every one of a task that is
 * loaded, and those of no task. */
#define RECENT                                                               \
	"((t.created_ms >= ?1 AND NOT (t.role = 2 AND t.status IN (6,7) AND" \
	" t.task_id NOT IN (SELECT task_id FROM receipt)))"                  \
	" OR t.status NOT IN (3,5,6,7) OR"                                   \
	" t.task_id IN (SELECT task_id FROM task ORDER BY created_ms DESC LIMIT 1000))"

static int load_ops(sqlite3 *db, int64_t since_ms, struct op **end)
{
	struct row r;
	int rc, bad = 0;

	row_begin(
		&r, db,
		"SELECT o.id,o.op_key,o.kind,o.task_id,o.to_addr,o.data,o.not_after_block,o.state,o.nonce,"
		"o.block,o.block_hash,o.tx_hash,o.spent_wei,o.last_error,o.next_try_ms,o.created_ms"
		" FROM chain_op o LEFT JOIN task t ON t.task_id = o.task_id"
		" WHERE t.task_id IS NULL OR o.state IN ('queued','signed','sent','mined') OR " RECENT
		" ORDER BY o.id");
	put_int(&r, since_ms);
	rc = r.rc;
	while (!bad && rc == SQLITE_OK && sqlite3_step(r.st) == SQLITE_ROW) {
		bad = load_op(db, r.st, end);
		if (!bad)
			end = &(*end)->next;
	}
	rc = rc == SQLITE_OK ? sqlite3_finalize(r.st) : rc;
	return bad ? bad : db_errno(rc);
}

static int load_tasks(sqlite3 *db, int64_t since_ms, struct task **end)
{
	struct row r;
	int rc, bad = 0;

	row_begin(
		&r, db,
		"SELECT t.task_id,role,is_escrow,status,is_known,name,phase,payee_did,payee_did32,payee,"
		"payer,token,arbiter,max_amount,actual_amount,deadline_blocks,deadline,dispute_deadline,"
		"receipt_hash,submit_tx,reason,created_ms,changed_ms,r.task_id IS NOT NULL"
		" FROM task t LEFT JOIN receipt r ON r.task_id = t.task_id WHERE " RECENT
		" ORDER BY created_ms");
	put_int(&r, since_ms);
	rc = r.rc;
	while (!bad && rc == SQLITE_OK && sqlite3_step(r.st) == SQLITE_ROW) {
		bad = load_task(r.st, end);
		if (!bad)
			end = &(*end)->next;
	}
	rc = rc == SQLITE_OK ? sqlite3_finalize(r.st) : rc;
	return bad ? bad : db_errno(rc);
}

int db_load(sqlite3 *db, int64_t since_ms, struct db_loaded *ret, char error[DB_ERROR])
{
	int rc = load_tasks(db, since_ms, &ret->tasks);
	struct row r;

	if (!rc)
		rc = load_ops(db, since_ms, &ret->ops);
	if (!rc) {
		row_begin(&r, db, "SELECT last_block FROM chain_cursor");
		if (r.rc == SQLITE_OK && sqlite3_step(r.st) == SQLITE_ROW)
			ret->cursor_block = (uint64_t)sqlite3_column_int64(r.st, 0);
		rc = db_errno(sqlite3_finalize(r.st));
	}
	if (rc)
		(void)snprintf(error, DB_ERROR, "cannot be read: %.100s", sqlite3_errmsg(db));
	return rc;
}

int db_receipt(sqlite3 *db, const uint8_t task[32], char **ret_json)
{
	struct row r;
	const char *text;
	int rc;

	*ret_json = NULL;
	row_begin(&r, db, "SELECT doc FROM receipt WHERE task_id=?");
	put_blob(&r, task, 32);
	rc = r.rc == SQLITE_OK ? sqlite3_step(r.st) : r.rc;
	if (rc == SQLITE_ROW) {
		text = (const char *)sqlite3_column_text(r.st, 0);
		*ret_json = text ? strdup(text) : NULL;
		rc = *ret_json ? SQLITE_DONE : SQLITE_NOMEM;
	}
	(void)sqlite3_finalize(r.st); /* the step told */
	return db_errno(rc);
}
