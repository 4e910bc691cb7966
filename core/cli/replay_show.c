/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The result of a replay: rows of one set of alerts or of two, as a table or as JSON. No clock is read here: the same
 * recording and rules print the same bytes. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/replay_show.h"
#include "cli/text.h"

static const char *const show_severities[] = { "info", "warning", "critical", "?" };
static const char *const show_kinds[] = { "node", "process", "cgroup", "workload", "?" };
static const char *const show_changes[] = { "same", "new", "gone", "changed" };

static const char *show_severity(const struct lnx_replay_fire *f)
{
	return show_severities[f->severity < 3 ? f->severity : 3];
}

/* --- rows --------------------------------------------------------------------------------------- */

static bool rows_is_pair(const struct lnx_replay_fire *a, const struct lnx_replay_fire *b)
{
	uint64_t end_a = a->resolved_ns ? a->resolved_ns : UINT64_MAX,
		 end_b = b->resolved_ns ? b->resolved_ns : UINT64_MAX;

	return strcmp(a->rule, b->rule) == 0 && a->kind == b->kind && a->pid == b->pid &&
	       a->start_ns == b->start_ns && a->cgroup_id == b->cgroup_id &&
	       strcmp(a->workload, b->workload) == 0 && a->since_ns <= end_b &&
	       b->since_ns <= end_a;
}

static bool rows_is_same(const struct lnx_replay_fire *a, const struct lnx_replay_fire *b)
{
	return a->severity == b->severity && a->fired_ns == b->fired_ns &&
	       a->resolved_ns == b->resolved_ns;
}

static uint64_t row_ns(const struct lnx_replay_row *r)
{
	return r->now ? r->now->fired_ns : r->before->fired_ns;
}

static int row_by_time(const void *a, const void *b)
{
	const struct lnx_replay_row *x = a, *y = b;
	const struct lnx_replay_fire *f = x->now ? x->now : x->before,
				     *g = y->now ? y->now : y->before;
	int by_name = strcmp(f->rule, g->rule);

	if (row_ns(x) != row_ns(y))
		return row_ns(x) < row_ns(y) ? -1 : 1;
	if (by_name)
		return by_name;
	if (f->pid != g->pid)
		return f->pid < g->pid ? -1 : 1;
	if (f->cgroup_id != g->cgroup_id)
		return f->cgroup_id < g->cgroup_id ? -1 : 1;
	return x->change < y->change ? -1 : x->change > y->change;
}

int lnx_replay_rows(const struct lnx_replay *now, const struct lnx_replay *before,
		    struct lnx_replay_row **ret_rows, size_t *ret_n)
{
	size_t n_before = before ? before->n : 0, i, k, n = 0, first = 0;
	struct lnx_replay_row *rows = calloc(now->n + n_before + 1, sizeof(*rows));
	bool *is_used = calloc(n_before + 1, sizeof(*is_used));

	if (!rows || !is_used) {
		free(rows);
		free(is_used);
		return -ENOMEM;
	}
	for (i = 0; i < now->n; i++, n++) {
		rows[n].now = &now->fires[i];
		rows[n].change = before ? LNX_REPLAY_NEW : LNX_REPLAY_SAME;
		while (first < n_before && is_used[first])
			first++;
		for (k = first; k < n_before; k++)
			if (!is_used[k] && rows_is_pair(&now->fires[i], &before->fires[k]))
				break;
		if (k == n_before)
			continue;
		is_used[k] = true;
		rows[n].before = &before->fires[k];
		rows[n].change = rows_is_same(&now->fires[i], &before->fires[k])
					 ? LNX_REPLAY_SAME
					 : LNX_REPLAY_CHANGED;
	}
	for (k = 0; k < n_before; k++) {
		if (is_used[k])
			continue;
		rows[n].before = &before->fires[k];
		rows[n++].change = LNX_REPLAY_GONE;
	}
	free(is_used);
	if (n)
		qsort(rows, n, sizeof(*rows), row_by_time);
	*ret_rows = rows;
	*ret_n = n;
	return 0;
}

/* --- table -------------------------------------------------------------------------------------- */

/* Time since the beginning of the recording. */
static void show_at(struct lnx_buf *b, const struct lnx_replay *r, uint64_t ns)
{
	uint64_t from = r->report.start_ns, d = ns > from ? ns - from : from - ns;

	lnx_buf_printf(b, "%s%" PRIu64 ".%03us", ns < from ? "-" : "+", d / 1000000000,
		       (unsigned)(d / 1000000 % 1000));
}

static void show_subject(struct lnx_buf *b, const struct lnx_replay_fire *f)
{
	if (f->workload[0])
		lnx_buf_str(b, f->workload);
	else if (f->comm[0])
		lnx_buf_str(b, f->comm);
	else if (f->kind == 2)
		lnx_buf_printf(b, "cgroup %" PRIu64, f->cgroup_id);
	else
		lnx_buf_str(b, show_kinds[f->kind < 4 ? f->kind : 4]);
	if (f->pid)
		lnx_buf_printf(b, " (pid %u)", f->pid);
}

static void show_duration(struct lnx_buf *b, const struct lnx_replay_fire *f)
{
	if (f->resolved_ns)
		lnx_text_duration(b, (double)(f->resolved_ns - f->fired_ns));
	else
		lnx_buf_str(b, "to the end");
}

/* What is different, in words. */
static void show_change(struct lnx_buf *b, const struct lnx_replay *r,
			const struct lnx_replay_row *row)
{
	const struct lnx_replay_fire *f = row->now, *g = row->before;

	lnx_buf_str(b, show_changes[row->change]);
	if (row->change != LNX_REPLAY_CHANGED)
		return;
	lnx_buf_str(b, ", was");
	if (f->severity != g->severity)
		lnx_buf_printf(b, " %s", show_severity(g));
	if (f->fired_ns != g->fired_ns) {
		lnx_buf_str(b, " at ");
		show_at(b, r, g->fired_ns);
	}
	if (f->resolved_ns != g->resolved_ns) {
		lnx_buf_str(b, " for ");
		show_duration(b, g);
	}
}

int lnx_replay_table(const struct lnx_cli *cli, const struct lnx_replay *now,
		     const struct lnx_replay *before, const struct lnx_replay_row *rows, size_t n)
{
	static const struct lnx_column columns[] = {
		{ "AT", 0, true },   { "RULE", 0, false },    { "SEVERITY", 0, false },
		{ "FOR", 1, true },  { "SUBJECT", 0, false }, { "CHANGE", 0, false },
		{ "WHAT", 2, false }
	};
	static const struct lnx_column plain[] = { { "AT", 0, true },	     { "RULE", 0, false },
						   { "SEVERITY", 0, false }, { "FOR", 1, true },
						   { "SUBJECT", 0, false },  { "WHAT", 2, false } };
	struct lnx_buf b = { 0 };
	struct lnx_table t;
	size_t i;
	int rc;

	lnx_table_init(&t, before ? columns : plain, before ? 7 : 6);
	for (i = 0; i < n; i++) {
		const struct lnx_replay_fire *f = rows[i].now ? rows[i].now : rows[i].before;
		void (*const parts[])(struct lnx_buf *,
				      const struct lnx_replay_fire *) = { show_duration,
									  show_subject };
		unsigned k;

		lnx_buf_reset(&b);
		show_at(&b, now, f->fired_ns);
		lnx_table_cell(&t, b.size ? b.data : "");
		lnx_table_cell(&t, f->rule);
		lnx_table_cell(&t, show_severity(f));
		for (k = 0; k < 2; k++) {
			lnx_buf_reset(&b);
			parts[k](&b, f);
			lnx_table_cell(&t, b.size ? b.data : "");
		}
		if (before) {
			lnx_buf_reset(&b);
			show_change(&b, now, &rows[i]);
			lnx_table_cell(&t, b.size ? b.data : "");
		}
		lnx_table_cell(&t, f->say);
	}
	rc = lnx_buf_error(&b) ? -ENOMEM : lnx_table_print(&t, cli);
	lnx_table_done(&t);
	lnx_buf_done(&b);
	return rc;
}

/* --- JSON --------------------------------------------------------------------------------------- */

static void json_ts(struct lnx_buf *b, const struct lnx_replay *r, const char *key, uint64_t ns)
{
	lnx_json_key(b, key);
	if (ns)
		lnx_json_ts(b, r->report.wall_offset_ns + ns);
	else
		lnx_buf_str(b, "null");
}

static void json_fire(struct lnx_buf *b, const struct lnx_replay *r,
		      const struct lnx_replay_fire *f)
{
	lnx_json_kv_str(b, "rule", f->rule);
	lnx_json_kv_str(b, "severity", show_severity(f));
	json_ts(b, r, "fired_ts", f->fired_ns);
	json_ts(b, r, "resolved_ts", f->resolved_ns);
	json_ts(b, r, "since_ts", f->since_ns);
	lnx_json_kv_f64(b, "at_s", ((double)f->fired_ns - (double)r->report.start_ns) / 1e9);
	lnx_json_kv_u64(b, "cause_seq", f->seq);
	lnx_json_key(b, "subject");
	lnx_buf_char(b, '{');
	lnx_json_kv_str(b, "kind", show_kinds[f->kind < 4 ? f->kind : 4]);
	lnx_json_kv_u64(b, "pid", f->pid);
	lnx_json_kv_u64(b, "start_ns", f->start_ns);
	lnx_json_kv_u64(b, "cgroup_id", f->cgroup_id);
	lnx_json_kv_str(b, "workload", f->workload);
	lnx_json_kv_str(b, "comm", f->comm);
	lnx_buf_char(b, '}');
	lnx_json_kv_f64(b, "value", f->value);
	lnx_json_kv_f64(b, "threshold", f->threshold);
	lnx_json_kv_str(b, "say", f->say);
}

static void json_recording(struct lnx_buf *b, const struct lnx_replay *r)
{
	const struct lnx_rec_report *p = &r->report;
	unsigned i;

	lnx_json_key(b, "recording");
	lnx_buf_char(b, '{');
	lnx_json_kv_str(b, "node", p->node);
	lnx_json_kv_str(b, "cluster", p->cluster);
	lnx_json_kv_str(b, "boot_id", p->boot_id);
	lnx_json_kv_str(b, "version", p->version);
	lnx_json_kv_u64(b, "schema", p->schema);
	json_ts(b, r, "start_ts", p->start_ns);
	json_ts(b, r, "end_ts", p->last_ns);
	lnx_json_kv_u64(b, "events", p->events);
	lnx_json_kv_u64(b, "state", p->state);
	lnx_json_kv_bool(b, "complete", p->has_end);
	lnx_json_kv_u64(b, "damaged_blocks", p->bad_blocks);
	lnx_json_kv_u64(b, "damaged_bytes", p->bad_bytes);
	lnx_json_kv_u64(b, "lost_events", p->lost_events);
	lnx_json_kv_u64(b, "lost_state", p->lost_state);
	lnx_json_kv_u64(b, "unknown_events", p->unknown_events);
	lnx_json_kv_u64(b, "converted_events", p->converted);
	lnx_json_kv_u64(b, "invalid_events", p->invalid);
	lnx_json_key(b, "lost_while_recording");
	lnx_buf_char(b, '{');
	for (i = 0; i < p->n_loss; i++)
		lnx_json_kv_u64(b, p->loss[i].where, p->loss[i].n);
	lnx_buf_str(b, "}");
	lnx_json_key(b, "alerts");
	lnx_buf_char(b, '{');
	for (i = 0; i < r->n_recorded; i++)
		lnx_json_kv_u64(b, r->recorded[i].rule, r->recorded[i].n);
	lnx_buf_str(b, "}}");
}

int lnx_replay_json(const struct lnx_replay *now, const struct lnx_replay *before,
		    const struct lnx_replay_row *rows, size_t n)
{
	struct lnx_buf b = { .max = 1u << 30 };
	size_t i;
	int rc;

	lnx_buf_char(&b, '{');
	json_recording(&b, now);
	lnx_json_kv_u64(&b, "rules", now->n_rules);
	lnx_json_kv_u64(&b, "rules_disabled", now->disabled);
	lnx_json_kv_u64(&b, "calls_failed", now->failed);
	lnx_json_kv_u64(&b, "alerts_left_out", now->left_out);
	lnx_json_key(&b, "fires");
	lnx_buf_char(&b, '[');
	for (i = 0; i < n; i++) {
		const struct lnx_replay_fire *f = rows[i].now ? rows[i].now : rows[i].before;

		lnx_json_next(&b);
		lnx_buf_char(&b, '{');
		if (before)
			lnx_json_kv_str(&b, "change", show_changes[rows[i].change]);
		json_fire(&b, now, f);
		if (rows[i].change == LNX_REPLAY_CHANGED) {
			lnx_json_key(&b, "before");
			lnx_buf_char(&b, '{');
			json_fire(&b, now, rows[i].before);
			lnx_buf_char(&b, '}');
		}
		lnx_buf_char(&b, '}');
	}
	lnx_buf_str(&b, "]}\n");
	rc = lnx_buf_error(&b) ? -ENOMEM : 0;
	if (rc == 0)
		(void)fwrite(b.data, 1, b.size, stdout); /* main looks at stdout at the end */
	lnx_buf_done(&b);
	return rc;
}
