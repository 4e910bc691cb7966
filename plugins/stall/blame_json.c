/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The answer of GET /blame. stalled_ms is made of the parts that are printed, so that they sum. */
#include "blame.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PROCESSES_MAX 10 /* named under one part */

/* Parts of one victim, and the processes behind them. */
struct answer {
	struct stall *s;
	const struct stall_query *q;
	const struct stall_sum *sum;
	struct lnx_buf *out;
	double lost_ratio;
	double scale;	      /* of the victim that is written */
	uint32_t has_split;   /* likewise: processes by their share of all victims */
	uint32_t has_named;   /* processes of I/O or memory */
	uint32_t has_unnamed; /* a culprit of I/O or memory without any */
};

struct share {
	const struct stall_task *task;
	double ns;
};

static int by_ns(const void *a, const void *b)
{
	const struct share *x = a, *y = b;

	return x->ns > y->ns ? -1 : x->ns < y->ns;
}

static int by_stall(const void *a, const void *b)
{
	const struct stall_cell *x = *(const struct stall_cell *const *)a,
				*y = *(const struct stall_cell *const *)b;

	return x->stall_ns > y->stall_ns ? -1 : x->stall_ns < y->stall_ns;
}

static void put_who(struct answer *a, uint32_t who)
{
	const struct stall_who *w = &a->s->whos.who[who < STALL_WHO_MAX ? who : STALL_WHO_OTHER];
	struct lnx_buf *out = a->out;

	lnx_workload_json(out, w->namespace_, w->workload);
	if (who < STALL_WHO_FIRST)
		return;
	lnx_json_kv_str(out, "namespace", w->namespace_);
	if (a->q->by == STALL_BY_WORKLOAD && (a->sum->levels->of[who] != who || !*w->path))
		return;
	lnx_json_kv_str(out, "pod_name", w->pod_name);
	if (a->q->by == STALL_BY_POD && *w->pod_uid) {
		if (w->level)
			lnx_json_kv_str(out, "cgroup", w->path);
		return;
	}
	lnx_json_kv_str(out, "container_name", w->container_name);
	lnx_json_kv_str(out, "container_id", w->container_id);
	lnx_json_kv_str(out, "cgroup", w->path);
	lnx_json_kv_u64(out, "cgroup_id", w->cgroup_id);
}

/* Raw time that <who> held others, as the pairs say: the processes may know less. */
static double held_ns(const struct answer *a, uint32_t who, int is_node)
{
	double ns = 0;

	for (uint32_t i = 0; i < a->sum->n_cells; i++) {
		const struct stall_sum_cell *c = &a->sum->cells[i];
		uint32_t victim = a->sum->rows[c->row].r.who;

		if (c->c.culprit == who && victim != who && (victim == STALL_WHO_NODE) == is_node &&
		    a->sum->rows[c->row].r.resource == LNX_RES_CPU)
			ns += (double)c->c.raw_ns;
	}
	return ns;
}

/* What goes for the share of a process: time on the CPU that others wait for, pages, or device time asked for. */
static double did_ns(const struct stall_row *r, const struct stall_task *t)
{
	if (r->resource == LNX_RES_MEMORY || r->resource == LNX_RES_IO)
		return (double)t->amount[r->resource == LNX_RES_IO];
	return (double)(r->who == STALL_WHO_NODE ? t->node_ns : t->caused_ns);
}

/* Shares of the processes of part <c>, the largest first. Returns how many; free *ret_shares. */
static uint32_t shares_of(struct answer *a, const struct stall_row *r, const struct stall_cell *c,
			  struct share **ret_shares)
{
	int is_node = r->who == STALL_WHO_NODE;
	double total = 0, held;
	struct share *sh;
	uint32_t n = 0;

	*ret_shares = NULL;
	if (c->culprit == STALL_WHO_NONE || c->culprit == STALL_WHO_OTHER ||
	    c->kind == LNX_STALL_SELF || c->kind == LNX_STALL_THROTTLED)
		return 0;
	sh = calloc(a->sum->n_tasks + 1, sizeof(*sh));
	if (!sh)
		return 0;
	for (uint32_t i = 0; i < a->sum->n_tasks; i++) {
		const struct stall_task *t = &a->sum->tasks[i];

		if (t->who != c->culprit)
			continue;
		sh[n].task = t;
		sh[n].ns = did_ns(r, t);
		total += sh[n].ns;
		n += sh[n].ns > 0 && t->pid;
	}
	held = r->resource == LNX_RES_CPU ? held_ns(a, c->culprit, is_node) : 0;
	if (held > total)
		total = held;
	for (uint32_t i = 0; i < n; i++)
		sh[i].ns *= total > 0 ? (double)c->stall_ns * a->scale / total : 0;
	qsort(sh, n, sizeof(*sh), by_ns);
	if (r->resource == LNX_RES_CPU)
		a->has_split |= n > 1;
	else if (n)
		a->has_named = 1;
	else
		a->has_unnamed = 1;
	*ret_shares = sh;
	return n;
}

static void put_process(struct lnx_buf *out, const struct share *sh)
{
	lnx_json_kv_u64(out, "pid", sh->task->pid);
	lnx_json_key(out, "comm");
	lnx_json_bytes(out, sh->task->comm, strnlen(sh->task->comm, sizeof(sh->task->comm)));
}

static void put_figures(struct answer *a, double ns, double total_ns)
{
	lnx_json_kv_f64(a->out, "stall_ms", ns / 1e6);
	lnx_json_kv_f64(a->out, "share_ratio", total_ns > 0 ? ns / total_ns : 0);
}

static void put_part_head(struct answer *a, const struct stall_row *r, const struct stall_cell *c,
			  const struct share *process)
{
	static const char *const kinds[] = { "self", "sibling", "neighbour", "throttled", "kernel",
					     "irq",  "steal",	"idle",	     "other" };
	const struct stall_whos *w = &a->s->whos;
	struct lnx_buf *out = a->out;

	lnx_json_next(out);
	lnx_buf_char(out, '{');
	lnx_json_kv_str(out, "kind", kinds[c->kind % LNX_STALL_KINDS]);
	if (c->kind == LNX_STALL_NEIGHBOUR || c->kind == LNX_STALL_SIBLING ||
	    (process && c->kind == LNX_STALL_KERNEL)) {
		lnx_json_key(out, "culprit");
		lnx_buf_char(out, '{');
		put_who(a, c->culprit);
		if (process)
			put_process(out, process);
		lnx_buf_char(out, '}');
	}
	if (c->kind == LNX_STALL_NEIGHBOUR && r->who >= STALL_WHO_FIRST &&
	    c->culprit >= STALL_WHO_FIRST && c->culprit < STALL_WHO_MAX)
		lnx_json_kv_bool(out, "same_workload",
				 stall_who_is_same_workload(&w->who[r->who], &w->who[c->culprit]));
	/* Of memory: the limit that was met, and what the heuristic goes by. */
	if (c->kind == LNX_STALL_THROTTLED || c->limit) {
		lnx_json_kv_str(out, "limit", c->limit ? w->limits[c->limit].text : "");
		lnx_json_kv_str(out, "owner", c->limit ? w->limits[c->limit].owner : "");
	}
	if (c->amount)
		lnx_json_kv_u64(out, "allocated_pages", c->amount);
}

static void put_part(struct answer *a, const struct stall_row *r, const struct stall_cell *c,
		     double total_ns)
{
	double ns = (double)c->stall_ns * a->scale, rest = ns;
	struct share *sh;
	uint32_t n = shares_of(a, r, c, &sh), i;

	if (a->q->by == STALL_BY_PROCESS)
		for (i = 0; i < n; i++) {
			double own = sh[i].ns < rest ? sh[i].ns : rest;

			put_part_head(a, r, c, &sh[i]);
			put_figures(a, own, total_ns);
			lnx_buf_char(a->out, '}');
			rest -= own;
		}
	if (a->q->by != STALL_BY_PROCESS || !n || rest > ns * 1e-9) {
		put_part_head(a, r, c, NULL);
		put_figures(a, rest, total_ns);
		if (n && a->q->by != STALL_BY_PROCESS) {
			lnx_json_key(a->out, "processes");
			lnx_buf_char(a->out, '[');
			for (i = 0; i < n && i < PROCESSES_MAX; i++) {
				lnx_json_next(a->out);
				lnx_buf_char(a->out, '{');
				put_process(a->out, &sh[i]);
				lnx_json_kv_f64(a->out, "stall_ms", sh[i].ns / 1e6);
				lnx_buf_char(a->out, '}');
			}
			lnx_buf_char(a->out, ']');
		}
		lnx_buf_char(a->out, '}');
	}
	free(sh);
}

static const char *why_psi_only(const struct stall *s, uint32_t resource)
{
	const char *why = stall_why(s, resource);

	if (*why)
		return why;
	return resource == LNX_RES_CPU ? "the ledger was off in part of the window"
				       : "pressure was below stall.attach_above";
}

static void put_notes(struct answer *a, const struct stall_row *r)
{
	static const struct {
		uint32_t flag;
		const char *note;
	} notes[] = { { STALL_F_NO_PSI, "psi-unreadable" },
		      { STALL_F_PSI_PART, "psi-in-part-of-the-window" },
		      { STALL_F_NO_FILE, "no-pressure-file-of-this-union" },
		      { STALL_F_PSI_WIDER, "psi-counts-other-cgroups" },
		      { STALL_F_UNEQUAL, "parts-and-wait-differ" },
		      { STALL_F_STEAL, "steal-is-a-model" },
		      { STALL_F_IRQ, "irq-is-a-model" },
		      { STALL_F_SUM, "sum-of-cgroups" },
		      { STALL_F_POD, "pressure-of-the-pod-split-as-its-containers" },
		      { STALL_F_NO_LIMIT, "quota-owner-unknown" },
		      { STALL_F_FOLDED, "small-parts-in-other" },
		      { STALL_F_OVERFLOW, "ledger-overflow-in-other" },
		      { STALL_F_ATTACHED, "probe-attached-in-part-of-the-window" },
		      { STALL_F_TORN, "ledger-read-late" },
		      { STALL_F_HISTORY, "from-history-of-the-largest-pairs" },
		      { STALL_F_NO_DETAIL, "over-budget-no-process-detail" },
		      { STALL_F_SHED, "over-budget-psi-only" },
		      { STALL_F_CUT, "history-larger-than-one-answer" } };
	uint32_t flags = r->flags |
			 (r->resource == LNX_RES_CPU ? a->sum->flags : a->sum->flags & STALL_F_CUT);

	lnx_json_key(a->out, "notes");
	lnx_buf_char(a->out, '[');
	for (uint32_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++)
		if (flags & notes[i].flag &&
		    (notes[i].flag != STALL_F_PSI_PART || r->psi_ns != STALL_UNKNOWN)) {
			lnx_json_next(a->out);
			lnx_json_str(a->out, notes[i].note);
		}
	if (r->method == LNX_METHOD_EXACT && !a->s->stat.has_irq) {
		lnx_json_next(a->out);
		lnx_json_str(a->out, "irq-unaccounted");
	}
	if (a->has_split) {
		lnx_json_next(a->out);
		lnx_json_str(a->out, "processes-by-their-share-of-all-victims");
	}
	if (a->has_named) {
		lnx_json_next(a->out);
		lnx_json_str(a->out, r->resource == LNX_RES_IO
					     ? "processes-by-device-time-asked-for"
					     : "processes-by-allocated-pages");
	}
	if (a->has_unnamed) {
		lnx_json_next(a->out);
		lnx_json_str(a->out, "processes-not-known");
	}
	if (r->method == LNX_METHOD_PSI_ONLY) {
		lnx_json_next(a->out);
		lnx_json_str(a->out, why_psi_only(a->s, r->resource));
	}
	lnx_buf_char(a->out, ']');
}

static void put_victim_figures(struct answer *a, const struct stall_row *r)
{
	static const char *const resources[] = { "cpu", "memory", "io" };
	static const char *const methods[] = { "none", "psi-only", "exact",
					       "pair", "model",	   "heuristic" };
	int is_known = r->psi_ns != STALL_UNKNOWN && !(r->flags & STALL_F_PSI_PART);
	double lost = r->resource == LNX_RES_CPU ? a->lost_ratio : 0; /* of the ledger */
	double coverage = stall_coverage(r, lost);
	struct lnx_buf *out = a->out;

	lnx_json_kv_str(out, "resource", resources[r->resource % LNX_RES_N]);
	lnx_json_kv_str(out, "method", methods[r->method % 6]);
	lnx_json_kv_f64(out, "coverage_ratio", coverage);
	lnx_json_kv_f64(out, "confidence", isnan(coverage) ? 1 - lost : coverage);
	lnx_json_kv_f64(out, "stalled_ms", (double)r->stalled_ns * a->scale / 1e6);
	lnx_json_kv_f64(out, "psi_ms", is_known ? (double)r->psi_ns / 1e6 : NAN);
	lnx_json_kv_f64(out, "raw_ms", (double)r->raw_ns / 1e6);
	lnx_json_kv_f64(out, "full_ms",
			r->full_ns == STALL_UNKNOWN ? NAN : (double)r->full_ns / 1e6);
}

static int put_victim(struct answer *a, const struct stall_sum_row *row)
{
	const struct stall_row *r = &row->r;
	const struct stall_cell **cells;
	uint32_t n = 0;

	cells = calloc(a->sum->n_cells + 1, sizeof(*cells));
	if (!cells)
		return -ENOMEM;
	for (uint32_t c = row->head; c; c = a->sum->cells[c - 1].next)
		if (a->sum->cells[c - 1].c.stall_ns)
			cells[n++] = &a->sum->cells[c - 1].c;
	qsort(cells, n, sizeof(const struct stall_cell *), by_stall);
	a->has_split = a->has_named = a->has_unnamed = 0;
	/* Windows were held to pressure one by one, with a little credit between them: the sum is held, too. */
	a->scale = r->psi_ns != STALL_UNKNOWN && !(r->flags & STALL_F_PSI_PART) && r->cover_ns &&
				   r->stalled_ns > r->psi_ns &&
				   r->stalled_ns <= r->psi_ns + 100000000u
			   ? (double)r->psi_ns / (double)r->stalled_ns
			   : 1;
	lnx_json_next(a->out);
	lnx_buf_str(a->out, "{\"victim\":{");
	put_who(a, r->who);
	lnx_buf_char(a->out, '}');
	put_victim_figures(a, r);
	lnx_json_key(a->out, "parts");
	lnx_buf_char(a->out, '[');
	for (uint32_t i = 0; i < n; i++)
		put_part(a, r, cells[i], (double)r->stalled_ns * a->scale);
	lnx_buf_char(a->out, ']');
	put_notes(a, r);
	lnx_buf_char(a->out, '}');
	free(cells);
	return 0;
}

/* ---- which victims */

/* True if <index> or one that it stands for is meant by <name>. */
static int is_meant(const struct answer *a, uint32_t index, const char *name)
{
	const struct stall_whos *w = &a->s->whos;

	if (index >= STALL_WHO_MAX)
		return 0;
	for (uint32_t i = 0; i < w->n; i++)
		if (a->sum->levels->of[i] == index &&
		    (w->who[i].cgroup_id || i < STALL_WHO_FIRST) &&
		    stall_who_is(&w->who[i], i, name))
			return 1;
	return 0;
}

static int is_wanted(const struct answer *a, const struct stall_sum_row *row)
{
	const struct stall_query *q = a->q;

	if (q->resource != LNX_RES_N && row->r.resource != q->resource)
		return 0;
	if (!row->r.stalled_ns && (row->r.psi_ns == STALL_UNKNOWN || !row->r.psi_ns))
		return 0;
	if (q->victim && !is_meant(a, row->r.who, q->victim))
		return 0;
	if (q->namespace_ && strcmp(a->s->whos.who[row->r.who].namespace_, q->namespace_) != 0)
		return 0;
	if (!q->culprit)
		return 1;
	for (uint32_t c = row->head; c; c = a->sum->cells[c - 1].next) {
		const struct stall_cell *cell = &a->sum->cells[c - 1].c;

		if (cell->stall_ns && cell->kind != LNX_STALL_SELF &&
		    is_meant(a, cell->culprit, q->culprit))
			return 1;
	}
	return 0;
}

static int by_victim(const void *a, const void *b)
{
	const struct stall_row *x = &(*(const struct stall_sum_row *const *)a)->r,
			       *y = &(*(const struct stall_sum_row *const *)b)->r;

	if (x->stalled_ns != y->stalled_ns)
		return x->stalled_ns > y->stalled_ns ? -1 : 1;
	return x->who < y->who ? -1 : x->who > y->who;
}

static int put_victims(struct answer *a)
{
	const struct stall_sum_row **rows = calloc(a->sum->n_rows + 1, sizeof(*rows));
	uint64_t n = 0;
	int rc = 0;

	if (!rows)
		return -ENOMEM;
	for (uint32_t i = 0; i < a->sum->n_rows; i++)
		if (is_wanted(a, &a->sum->rows[i]))
			rows[n++] = &a->sum->rows[i];
	qsort(rows, n, sizeof(const struct stall_sum_row *), by_victim);
	lnx_json_key(a->out, "victims");
	lnx_buf_char(a->out, '[');
	for (uint64_t i = a->q->offset; !rc && i < n && i - a->q->offset < a->q->limit; i++)
		rc = put_victim(a, rows[i]);
	lnx_buf_char(a->out, ']');
	lnx_json_kv_u64(a->out, "victims_total", n);
	free(rows);
	return rc;
}

static int add(void *sum, const struct stall_win *w)
{
	return stall_sum_add(sum, w);
}

int stall_blame_json(struct stall *s, const struct stall_query *q, struct lnx_buf *out)
{
	struct stall_sum sum = { .levels = &s->levels };
	struct answer a = { .s = s, .q = q, .sum = &sum, .out = out, .scale = 1 };
	uint64_t from, to, wall = 0, memory_from_ns = q->from_ns;
	int rc;

	stall_level_make(&s->whos, q->by, &s->levels);
	rc = stall_history(s, q, &sum, &wall, &memory_from_ns);
	if (wall) /* there may be names that were not there */
		stall_level_make(&s->whos, q->by, &s->levels);
	if (!rc)
		rc = stall_store_each(&s->store, memory_from_ns, q->to_ns, add, &sum);
	a.lost_ratio = stall_lost_ratio(sum.lost, sum.events);
	from = s->host->wall_ns(s->ctx, sum.n_windows ? sum.from_ns : q->to_ns);
	to = s->host->wall_ns(s->ctx, sum.n_windows ? sum.to_ns : q->to_ns);
	if (wall && wall < from)
		from = wall;
	if (wall && to > q->to_wall_ns) /* its last bucket has not ended */
		to = q->to_wall_ns;
	if (to < from)
		to = from;
	lnx_buf_char(out, '{');
	lnx_json_key(out, "from");
	lnx_json_ts(out, from);
	/* Windows and buckets answer whole or not at all: what of the question none of them covers is said. */
	if (from > q->from_wall_ns + 2 * STALL_SEC) {
		lnx_json_key(out, "asked_from");
		lnx_json_ts(out, q->from_wall_ns);
	}
	lnx_json_key(out, "to");
	lnx_json_ts(out, to);
	lnx_json_kv_f64(out, "window_ms", (double)(to - from) / 1e6);
	lnx_json_kv_u64(out, "lost_events", sum.lost);
	lnx_json_kv_u64(out, "events", sum.events);
	if (!rc)
		rc = put_victims(&a);
	lnx_buf_str(out, "}\n");
	stall_sum_done(&sum);
	return rc;
}
