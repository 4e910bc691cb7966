/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One batch of changes in one transaction. Runs on a worker: touches the job and the writer only. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "chain.h"
#include "store.h"

/* enum: statements of a batch, made when first used */
#define ST_PUT	0
#define ST_DEL	1
#define ST_CELL 2
#define ST_WHO	3
#define ST_N	4

static const char *const statements[ST_N] = {
	"INSERT OR REPLACE INTO record(kind,id,parent,ts_ns,end_ns,state,severity,doc)"
	" VALUES(?1,?2,?3,?4,?5,?6,?7,?8)",
	"DELETE FROM record WHERE kind=?1 AND id=?2",
	/* a bucket that two runs of the agent share is added up */
	"INSERT INTO blame VALUES(10,?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)"
	" ON CONFLICT DO UPDATE SET stall_us=stall_us+excluded.stall_us,"
	" raw_us=raw_us+excluded.raw_us, psi_us=psi_us+excluded.psi_us,"
	" full_us=full_us+excluded.full_us, confidence=min(confidence,excluded.confidence)",
	"INSERT INTO who VALUES(?1,?2,?3,?4,?5,?6,?7)"
	" ON CONFLICT DO UPDATE SET seen_ns=excluded.seen_ns,"
	" path=CASE WHEN excluded.path<>'' THEN excluded.path ELSE path END",
};

struct writer {
	sqlite3 *db;
	sqlite3_stmt *st[ST_N];
	struct chain_head head;
	uint32_t has_head;
};

static sqlite3_stmt *statement(struct writer *w, unsigned i)
{
	if (!w->st[i] && sqlite3_prepare_v2(w->db, statements[i], -1, &w->st[i], NULL) != SQLITE_OK)
		return NULL;
	return w->st[i];
}

static int step(struct writer *w, sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	(void)sqlite3_reset(st); /* the step told */
	(void)w;
	return rc == SQLITE_DONE ? 0 : db_errno(rc);
}

static void bind_text(sqlite3_stmt *st, int i, const char *s)
{
	(void)sqlite3_bind_text(st, i, s, -1,
				SQLITE_STATIC); /* unbound is NULL, which is refused */
}

static int write_record(struct writer *w, const struct store_op *op)
{
	sqlite3_stmt *st = statement(w, op->what == STORE_PUT ? ST_PUT : ST_DEL);

	if (!st)
		return db_errno(sqlite3_errcode(w->db));
	(void)sqlite3_bind_int64(st, 1, op->kind);
	bind_text(st, 2, op->id);
	if (op->what == STORE_PUT) {
		bind_text(st, 3, op->parent);
		(void)sqlite3_bind_int64(st, 4, (sqlite3_int64)op->ts_ns);
		(void)sqlite3_bind_int64(st, 5, (sqlite3_int64)op->end_ns);
		(void)sqlite3_bind_int64(st, 6, op->state);
		(void)sqlite3_bind_int64(st, 7, op->severity);
		bind_text(st, 8, op->doc);
	}
	return step(w, st);
}

static void bind_us(sqlite3_stmt *st, int i, double us)
{
	if (isfinite(us))
		(void)sqlite3_bind_int64(st, i, llround(us));
	else
		(void)sqlite3_bind_null(st, i);
}

static int write_cell(struct writer *w, uint64_t start_ns, const struct store_cell *c)
{
	sqlite3_stmt *st = statement(w, ST_CELL);

	if (!st)
		return db_errno(sqlite3_errcode(w->db));
	(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)(start_ns / STORE_SEC));
	(void)sqlite3_bind_int64(st, 2, (sqlite3_int64)c->victim);
	(void)sqlite3_bind_int64(st, 3, c->resource);
	(void)sqlite3_bind_int64(st, 4, c->kind);
	(void)sqlite3_bind_int64(st, 5, (sqlite3_int64)c->culprit);
	bind_us(st, 6, c->stall_us);
	bind_us(st, 7, c->raw_us);
	bind_us(st, 8, c->psi_us);
	bind_us(st, 9, c->full_us);
	(void)sqlite3_bind_int64(st, 10, c->confidence);
	(void)sqlite3_bind_int64(st, 11, c->method);
	return step(w, st);
}

static int write_bucket(struct writer *w, const struct store_bucket *b)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && i < b->n_whos; i++) {
		sqlite3_stmt *st = statement(w, ST_WHO);
		const char *text = b->whos[i].text;

		if (!st)
			return db_errno(sqlite3_errcode(w->db));
		(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)b->whos[i].number);
		(void)sqlite3_bind_int64(st, 2, (sqlite3_int64)b->whos[i].cgroup_id);
		for (int k = 3; k <= 6; k++, text += strlen(text) + 1)
			bind_text(st, k, text);
		(void)sqlite3_bind_int64(st, 7, (sqlite3_int64)b->start_ns);
		rc = step(w, st);
	}
	for (uint32_t i = 0; !rc && i < b->n_cells; i++)
		rc = write_cell(w, b->start_ns, &b->cells[i]);
	return rc;
}

static int write_log(struct writer *w, const struct store_op *op)
{
	int rc = w->has_head ? 0 : chain_head(w->db, &w->head);

	if (rc)
		return rc;
	w->has_head = 1;
	return chain_append(w->db, &w->head, op->ts_ns, op->id, op->parent, op->doc);
}

static int write_op(struct writer *w, const struct store_op *op)
{
	if (op->what == STORE_LOG)
		return write_log(w, op);
	if (op->what == STORE_BUCKET)
		return write_bucket(w, op->bucket);
	return write_record(w, op);
}

static int write_batch(struct store_job *j, sqlite3 *db)
{
	struct writer w = { .db = db };
	int rc = db_exec(db, "BEGIN IMMEDIATE");

	for (const struct store_op *op = j->list.first; !rc && op; op = op->next) {
		rc = write_op(&w, op);
		/* one that can never be written must not hold up the rest */
		if (rc == -EINVAL) {
			j->n_bad++;
			(void)snprintf(j->error, sizeof(j->error), "left out: %s", /* cut is fine */
				       sqlite3_errmsg(db));
			rc = 0;
		}
	}
	for (unsigned i = 0; i < ST_N; i++)
		(void)sqlite3_finalize(w.st[i]); /* the step told */
	if (!rc)
		rc = db_exec(db, "COMMIT");
	if (rc) {
		(void)snprintf(j->error, sizeof(j->error), "%s", sqlite3_errmsg(db)); /* likewise */
		(void)db_exec(db, "ROLLBACK"); /* SQLite may have done it already */
	}
	return rc;
}

static int job_open(struct store_job *j)
{
	int rc;

	if (j->s->writer)
		return 0;
	rc = db_open(j->s->path, &j->s->writer, &j->opened, j->error);
	j->has_opened = !rc;
	return rc;
}

int store_job_run(void *arg)
{
	struct store_job *j = arg;
	int rc = job_open(j);

	if (!rc && j->list.n) {
		rc = write_batch(j, j->s->writer);
		j->has_written = !rc;
	}
	if (!rc && j->does_retention)
		rc = store_retention(j, j->s->writer);
	/* looked at anew, and set aside if it is so, by the next job */
	if (rc && rc != -EBUSY && rc != -ENOMEM && rc != -ENOSPC && j->s->writer)
		db_close(&j->s->writer);
	return rc;
}
