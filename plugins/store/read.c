/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Questions, on the loop: what waits in memory, then the file, through a reader that is closed again when nobody asks. The
 * work of one question is bounded, so that no question holds the loop. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"

#define READ_STEP   10000 /* instructions of SQLite between two looks at the budget */
#define READ_BUDGET 2000  /* steps of one question: about half a second */

#define RANGE_1M_NS (3600 * STORE_SEC) /* longer questions read minutes, and hours */
#define RANGE_1H_NS (12 * RANGE_1M_NS)

static int on_progress(void *arg)
{
	struct store *s = arg;

	return s->reader_budget ? s->reader_budget--, 0 : 1;
}

sqlite3 *store_reader(struct store *s)
{
	char error[DB_ERROR];

	s->reader_used_ns = s->host->now_ns(s->ctx);
	s->reader_budget = READ_BUDGET;
	if (s->reader || !s->is_open || s->is_broken)
		return s->is_broken ? NULL : s->reader;
	if (db_open_reader(s->path, &s->reader, error)) {
		s->host->log(s->ctx, LNX_WARN, "cannot read: %s", error);
		return NULL;
	}
	sqlite3_progress_handler(s->reader, READ_STEP, on_progress, s);
	return s->reader;
}

/* ---- records */

struct found {
	const struct store_op **ops; /* of memory, in the order asked for */
	uint32_t n, at;
	const struct lnx_store_query *q;
	uint64_t skip, left;
	int (*each)(void *arg, const struct lnx_store_record *r);
	void *arg;
	int n_visited, is_stopped;
};

static int matches(const struct store_op *op, const struct lnx_store_query *q)
{
	return op->what == STORE_PUT && op->kind == q->kind && (!q->id || !strcmp(q->id, op->id)) &&
	       (!q->parent || !strcmp(q->parent, op->parent)) && op->ts_ns >= q->from_ns &&
	       (!q->to_ns || op->ts_ns <= q->to_ns) &&
	       (!q->states || (op->state < 32 && q->states & 1u << op->state)) &&
	       op->severity >= q->min_severity;
}

static int by_ts(const void *a, const void *b)
{
	const struct store_op *x = *(const struct store_op *const *)a,
			      *y = *(const struct store_op *const *)b;

	return x->ts_ns != y->ts_ns ? (x->ts_ns < y->ts_ns ? -1 : 1) : strcmp(x->id, y->id);
}

/* The newest change of each matching record in memory, sorted. 0 or -ENOMEM. */
static int find_in_memory(const struct store *s, struct found *f)
{
	uint32_t cap = s->waiting.n + (s->job ? s->job->list.n : 0);
	const struct store_list *lists[2] = { s->job ? &s->job->list : NULL, &s->waiting };

	if (!cap)
		return 0;
	f->ops = calloc(cap, sizeof(struct store_op *));
	if (!f->ops)
		return -ENOMEM;
	for (unsigned i = 0; i < 2; i++)
		for (const struct store_op *op = lists[i] ? lists[i]->first : NULL; op;
		     op = op->next)
			if (matches(op, f->q) && store_queue_find(s, op->kind, op->id) == op)
				f->ops[f->n++] = op;
	if (f->n)
		qsort(f->ops, f->n, sizeof(struct store_op *), by_ts);
	for (uint32_t i = 0; !f->q->is_ascending && i < f->n / 2; i++) {
		const struct store_op *t = f->ops[i];

		f->ops[i] = f->ops[f->n - 1 - i];
		f->ops[f->n - 1 - i] = t;
	}
	return 0;
}

static void visit(struct found *f, const struct lnx_store_record *r)
{
	if (f->skip) {
		f->skip--;
		return;
	}
	if (!f->left || f->is_stopped)
		return;
	f->left--;
	f->n_visited++;
	f->is_stopped = f->each(f->arg, r) != 0;
}

/* Visit those of memory that stand before (ts, id). */
static void visit_memory(struct found *f, uint64_t ts_ns, const char *id)
{
	for (; f->at < f->n; f->at++) {
		const struct store_op *op = f->ops[f->at];
		struct lnx_store_record r = { sizeof(r), op->kind,	  op->id,    op->parent,
					      op->doc,	 strlen(op->doc), op->ts_ns, op->end_ns,
					      op->state, op->severity };
		int order = op->ts_ns != ts_ns ? (op->ts_ns < ts_ns ? -1 : 1)
					       : (id ? strcmp(op->id, id) : 0);

		if (id && (f->q->is_ascending ? order >= 0 : order <= 0))
			return;
		visit(f, &r);
	}
}

static void add_text(struct lnx_buf *sql, const char *text, int is_wanted)
{
	if (is_wanted)
		lnx_buf_str(sql, text);
}

/* Visit the record of row <row>, whose document may be long: those that are left out are never read. */
static int visit_row(struct found *f, sqlite3_stmt *one, sqlite3_int64 row)
{
	int rc = sqlite3_bind_int64(one, 1, row);

	if (rc == SQLITE_OK && (rc = sqlite3_step(one)) == SQLITE_ROW) {
		struct lnx_store_record r = {
			.size = sizeof(r),
			.kind = f->q->kind,
			.id = (const char *)sqlite3_column_text(one, 0),
			.parent = (const char *)sqlite3_column_text(one, 1),
			.ts_ns = (uint64_t)sqlite3_column_int64(one, 2),
			.end_ns = (uint64_t)sqlite3_column_int64(one, 3),
			.state = (uint32_t)sqlite3_column_int64(one, 4),
			.severity = (uint32_t)sqlite3_column_int64(one, 5),
			.doc = (const char *)sqlite3_column_text(one, 6),
		};

		r.doc_bytes = (uint64_t)sqlite3_column_bytes(one, 6);
		if (r.id && r.parent && r.doc)
			visit(f, &r);
		else
			rc = SQLITE_NOMEM;
	}
	(void)sqlite3_reset(one); /* the step told */
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* The row that <st> stands at, and those of memory before it. SQLITE_OK to go on. */
static int visit_found(struct store *s, struct found *f, sqlite3_stmt *st, sqlite3_stmt *one)
{
	const char *id = (const char *)sqlite3_column_text(st, 1);

	if (!id || store_queue_find(s, f->q->kind, id)) /* memory has a newer one */
		return SQLITE_OK;
	visit_memory(f, (uint64_t)sqlite3_column_int64(st, 2), id);
	if (!f->skip)
		return visit_row(f, one, sqlite3_column_int64(st, 0));
	f->skip--;
	return SQLITE_OK;
}

/* 0 or -EIO. Rows that memory knows better are left out. */
static int visit_file(struct store *s, struct found *f)
{
	const struct lnx_store_query *q = f->q;
	struct lnx_buf sql = { 0 };
	sqlite3_stmt *st = NULL, *one = NULL;
	int rc = SQLITE_NOMEM;

	lnx_buf_str(&sql, "SELECT rowid, id, ts_ns FROM record WHERE kind=?1");
	add_text(&sql, " AND id=?2", q->id != NULL);
	add_text(&sql, " AND parent=?3", q->parent != NULL);
	add_text(&sql, " AND ts_ns>=?4", q->from_ns != 0);
	add_text(&sql, " AND ts_ns<=?5", q->to_ns != 0);
	add_text(&sql, " AND (1<<state)&?6", q->states != 0);
	add_text(&sql, " AND severity>=?7", q->min_severity != 0);
	/* one state has an index of its own */
	add_text(&sql, " AND state=0", q->states == 1);
	lnx_buf_str(&sql,
		    q->is_ascending ? " ORDER BY ts_ns, id" : " ORDER BY ts_ns DESC, id DESC");
	if (!lnx_buf_error(&sql))
		rc = sqlite3_prepare_v2(s->reader, sql.data, -1, &st, NULL);
	lnx_buf_done(&sql);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(
			s->reader,
			"SELECT id, parent, ts_ns, end_ns, state, severity, doc FROM record"
			" WHERE rowid=?1",
			-1, &one, NULL);
	if (rc == SQLITE_OK) {
		(void)sqlite3_bind_int64(st, 1, q->kind); /* what is not in the text is ignored */
		(void)sqlite3_bind_text(st, 2, q->id, -1, SQLITE_STATIC);
		(void)sqlite3_bind_text(st, 3, q->parent, -1, SQLITE_STATIC);
		(void)sqlite3_bind_int64(st, 4, (sqlite3_int64)q->from_ns);
		(void)sqlite3_bind_int64(st, 5, (sqlite3_int64)q->to_ns);
		(void)sqlite3_bind_int64(st, 6, q->states);
		(void)sqlite3_bind_int64(st, 7, q->min_severity);
		while (rc == SQLITE_OK && f->left && !f->is_stopped &&
		       (rc = sqlite3_step(st)) == SQLITE_ROW)
			rc = visit_found(s, f, st, one);
	}
	(void)sqlite3_finalize(one); /* the step told */
	(void)sqlite3_finalize(st);  /* likewise */
	return rc == SQLITE_DONE || rc == SQLITE_OK ? 0 : -EIO;
}

int store_each(void *self, const struct lnx_store_query *q,
	       int (*each)(void *arg, const struct lnx_store_record *r), void *arg)
{
	struct store *s = self;
	struct found f = { .q = q, .each = each, .arg = arg };
	int rc;

	if (q->size < sizeof(*q) || !q->kind || q->kind >= LNX_STORE_KINDS ||
	    q->from_ns > INT64_MAX || q->to_ns > INT64_MAX)
		return -EINVAL;
	f.skip = q->offset;
	f.left = q->limit ? q->limit : STORE_LIMIT;
	if (f.left > STORE_LIMIT_MAX)
		f.left = STORE_LIMIT_MAX;
	rc = find_in_memory(s, &f);
	if (!rc && store_reader(s))
		rc = visit_file(s, &f);
	else if (!rc && s->has_file)
		rc = s->is_open || s->is_broken ? -EIO : -EAGAIN;
	visit_memory(&f, 0, NULL);
	free(f.ops);
	return rc && !(rc == -EIO && f.is_stopped) ? rc : f.n_visited;
}

/* ---- blame */

struct region {
	int64_t span, from_s, to_s;
};

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
	return v < low ? low : v > high ? high : v;
}

static int64_t down(int64_t v, int64_t span)
{
	return v - v % span;
}

/* Begin of the first <whole> seconds that finer buckets, kept from <first> on, tell all of; <from> where a coarser one would
 * begin before the question. */
static int64_t whole_from(int64_t first, int64_t whole, int64_t from)
{
	return down(first, whole) < from ? from : down(first + whole - 1, whole);
}

/* Which buckets answer for which part of from..to: the finest that a question of that length may read, coarser ones for what
 * is no longer kept, finer ones for what is not yet summed. One part gives way to the next where a bucket of both ends, so
 * that nothing is told twice. Returns how many. */
static unsigned regions(sqlite3 *db, uint64_t from_ns, uint64_t to_ns, struct region *ret)
{
	int64_t from = (int64_t)(from_ns / STORE_SEC),
		to = clamp(down((int64_t)(to_ns / STORE_SEC), 10), from, INT64_MAX), m_end, h_end,
		t10, t60, a, b;

	m_end = clamp(db_int(db, "SELECT value FROM meta WHERE name='rolled_60'", 0), from, to);
	m_end = clamp(down(m_end, 60), from, to);
	h_end = clamp(db_int(db, "SELECT value FROM meta WHERE name='rolled_3600'", 0), from, to);
	h_end = clamp(down(h_end, 3600), from, to);
	t10 = db_int(db, "SELECT min(start) FROM blame WHERE span=10", to);
	t10 = clamp(whole_from(t10, 60, from), from, to);
	t60 = db_int(db, "SELECT min(start) FROM blame WHERE span=60", m_end);
	t60 = clamp(whole_from(t60, 3600, from), from, to);
	/* hours up to a, minutes up to b, then tens */
	a = to_ns - from_ns > RANGE_1H_NS ? h_end : clamp(t60, from, h_end);
	b = to_ns - from_ns > RANGE_1M_NS ? m_end : clamp(t10, from, m_end);
	if (b < a)
		b = a;
	ret[0] = (struct region){ 3600, from, a };
	ret[1] = (struct region){ 60, a, b };
	ret[2] = (struct region){ 10, b, to };
	return 3;
}

/* Buckets whose begin lies in it. 0 or -EIO. */
static int blame_region(struct store *s, const struct region *g,
			int (*each)(void *arg, const struct lnx_store_blame *b), void *arg,
			int *io_n, int64_t *io_first, int64_t *io_last)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(
		s->reader,
		"SELECT victim, resource, kind, culprit, sum(stall_us), sum(raw_us),"
		" CASE WHEN count(psi_us)=count(*) THEN sum(psi_us) ELSE -1 END,"
		" CASE WHEN count(full_us)=count(*) THEN sum(full_us) ELSE -1 END,"
		" min(confidence), " STORE_METHOD ", min(start), max(start) FROM blame"
		" WHERE span=?1 AND start>=?2 AND start<?3 GROUP BY victim, resource, kind, culprit",
		-1, &st, NULL);

	if (rc == SQLITE_OK) {
		(void)sqlite3_bind_int64(st, 1, g->span); /* unbound finds nothing */
		(void)sqlite3_bind_int64(st, 2, g->from_s);
		(void)sqlite3_bind_int64(st, 3, g->to_s);
		while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
			struct lnx_store_blame b = {
				.size = sizeof(b),
				.victim = (uint64_t)sqlite3_column_int64(st, 0),
				.resource = (uint32_t)sqlite3_column_int64(st, 1),
				.kind = (uint32_t)sqlite3_column_int64(st, 2),
				.culprit = (uint64_t)sqlite3_column_int64(st, 3),
				.stall_us = (uint64_t)sqlite3_column_int64(st, 4),
				.raw_us = (uint64_t)sqlite3_column_int64(st, 5),
				.psi_us = (uint64_t)sqlite3_column_int64(st, 6),
				.full_us = (uint64_t)sqlite3_column_int64(st, 7),
				.confidence_permille = (uint64_t)sqlite3_column_int64(st, 8),
				.method = (uint32_t)sqlite3_column_int64(st, 9),
			};
			int64_t first = sqlite3_column_int64(st, 10),
				last = sqlite3_column_int64(st, 11) + g->span;

			*io_first = *io_first && *io_first < first ? *io_first : first;
			*io_last = *io_last > last ? *io_last : last;
			++*io_n;
			if (each(arg, &b)) {
				rc = SQLITE_DONE;
				break;
			}
		}
	}
	(void)sqlite3_finalize(st); /* the step told */
	return rc == SQLITE_DONE ? 0 : -EIO;
}

int store_blame(void *self, uint64_t from_ns, uint64_t to_ns,
		int (*each)(void *arg, const struct lnx_store_blame *b), void *arg,
		uint64_t *ret_from_ns, uint64_t *ret_to_ns)
{
	struct store *s = self;
	struct region g[3];
	int64_t first = 0, last = 0;
	int n = 0, rc = 0;
	unsigned n_regions;

	if (from_ns > to_ns || to_ns > INT64_MAX)
		return -EINVAL;
	if (!store_reader(s))
		return -EIO;
	n_regions = regions(s->reader, from_ns, to_ns, g);
	for (unsigned i = 0; !rc && i < n_regions; i++)
		if (g[i].from_s < g[i].to_s)
			rc = blame_region(s, &g[i], each, arg, &n, &first, &last);
	if (ret_from_ns)
		*ret_from_ns = (uint64_t)first * STORE_SEC;
	if (ret_to_ns)
		*ret_to_ns = (uint64_t)last * STORE_SEC;
	return rc ? rc : n;
}

int store_who(void *self, uint64_t number, struct lnx_store_who *ret)
{
	struct store *s = self;
	sqlite3_stmt *st = NULL;
	int rc = -ENOENT;

	if (!store_reader(s))
		return -ENOENT;
	if (sqlite3_prepare_v2(s->reader,
			       "SELECT cgroup_id, workload, namespace, pod_name, path FROM who"
			       " WHERE number=?1",
			       -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_bind_int64(st, 1, (sqlite3_int64)number) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW) {
		const char **names[4] = { &ret->workload, &ret->namespace_, &ret->pod_name,
					  &ret->path };
		size_t at = 0;

		rc = 0;
		ret->size = sizeof(*ret);
		ret->number = number;
		ret->cgroup_id = (uint64_t)sqlite3_column_int64(st, 0);
		for (int i = 0; i < 4; i++) {
			const char *text = (const char *)sqlite3_column_text(st, i + 1);
			size_t n = text ? strnlen(text, sizeof(s->names) / 4 - 1) : 0;

			*names[i] = s->names + at;
			memcpy(s->names + at, text ? text : "", n);
			s->names[at + n] = 0;
			at += n + 1;
		}
	}
	(void)sqlite3_finalize(st); /* the step told */
	return rc;
}
