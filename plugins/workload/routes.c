/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* GET /workloads: containers, units and other leaf cgroups with what is known of them now. */
#include <errno.h>
#include <inttypes.h>
#include <linnix/buf.h>
#include <linnix/svc_http.h>
#include <linnix/svc_stall.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "usage.h"
#include "workload.h"

#define WINDOW_NS 10000000000ull /* of the stall figures */
#define READ_MAX  512 /* rows whose files one answer reads: some ten files each, on the loop */

struct row {
	struct workload_entry *e;
	struct lnx_stall_share cpu;
	struct usage_files files;
	double key;
};

/* Which rows are wanted; NULL: any. */
struct filter {
	const char *namespace_, *victim_namespace, *text;
	bool is_by_pod, is_ascending;
	int key;	   /* of the sort */
	uint32_t resource; /* whose stalls */
};

static const char *const sort_keys[] = {
	"stalled_ms",  "caused_ms",	 "psi_contribution",  "cpu_pct",
	"anon_bytes",  "throttled_ms",	 "working_set_bytes", "cpu_limit_ratio",
	"psi_cpu_pct", "psi_memory_pct", "psi_io_pct",	      "throttled_total_ms",
	NULL
};
/* Places in it. */
enum {
	KEY_CPU = 3,
	KEY_ANON,
	KEY_THROTTLED,
	KEY_WORKING_SET,
	KEY_CPU_LIMIT,
	KEY_THROTTLED_TOTAL = 11
};

/* A key that is of files, and what is known without them: tells whose are worth reading. Others stand for themselves. */
static unsigned key_without_files(unsigned key)
{
	if (key == KEY_WORKING_SET)
		return KEY_ANON; /* of its processes */
	if (key == KEY_CPU_LIMIT)
		return KEY_CPU;
	if (key == KEY_THROTTLED_TOTAL)
		return KEY_THROTTLED; /* in the last seconds */
	return key;
}

static bool is_of_files(unsigned key)
{
	return key == KEY_ANON || key_without_files(key) != key;
}

static double row_key(const struct row *r, unsigned key)
{
	const double keys[] = { r->cpu.stalled_ms,
				r->cpu.caused_ms,
				r->cpu.psi_contribution,
				r->e->cpu_pct,
				(double)r->files.anon_bytes,
				r->cpu.throttled_ms,
				r->files.working_set_bytes,
				r->files.cpu_limit_cores > 0
					? r->e->cpu_pct / 100 / r->files.cpu_limit_cores
					: NAN,
				r->e->psi_cpu_some,
				r->e->psi_memory_some,
				r->e->psi_io_some,
				r->files.throttled_total_ms };

	return keys[key];
}

/* Unknown figures last, whichever way the rest is sorted. */
static int by_key_desc(const void *a, const void *b)
{
	double x = ((const struct row *)a)->key, y = ((const struct row *)b)->key;

	if (isnan(x) || isnan(y))
		return isnan(x) - isnan(y);
	return x > y ? -1 : x < y;
}

static int by_key_asc(const void *a, const void *b)
{
	double x = ((const struct row *)a)->key, y = ((const struct row *)b)->key;

	return isnan(x) || isnan(y) ? isnan(x) - isnan(y) : by_key_desc(b, a);
}

/* "key" or "key:asc"; -1: unknown. */
static int sort_key(const char *text, bool *ret_asc)
{
	size_t n = strcspn(text, ":");
	int i;

	*ret_asc = !strcmp(text + n, ":asc");
	if (text[n] && !*ret_asc && strcmp(text + n, ":desc") != 0)
		return -1;
	for (i = 0; sort_keys[i]; i++)
		if (strlen(sort_keys[i]) == n && !memcmp(sort_keys[i], text, n))
			return i;
	return -1;
}

/* ---- figures */

static void count_process(struct workload_entry *e, const struct lnx_proc *p)
{
	e->cpu_pct += p->has_usage && isfinite(p->cpu_pct) ? p->cpu_pct : 0;
	e->anon_bytes += p->rss_anon_bytes;
	e->run_delay_ns += p->run_delay_ns;
	e->n_processes++;
}

static int add_process(void *arg, const struct lnx_proc *p)
{
	struct workload *w = arg;
	struct workload_entry *e = workload_table_get(&w->table, p->cgroup_id);

	if (!e)
		return 0;
	e = workload_table_slot(&w->table, e);
	count_process(e, p);
	/* and its pod, for lists of pods: the nearest above a container */
	while (e->ids.form == WORKLOAD_CONTAINER && e->ids.pod_uid[0] && e->parent_id) {
		e = workload_table_get(&w->table, e->parent_id);
		if (!e)
			break;
		if (e->ids.form == WORKLOAD_POD) {
			count_process(e, p);
			break;
		}
	}
	return 0;
}

void workload_sum_processes(struct workload *w, uint64_t want_ns)
{
	const struct lnx_svc_proc *proc;
	struct workload_entry *e;
	const void *vtable;
	void *self;

	for (e = w->table.oldest.next; e != &w->table.oldest; e = e->next) {
		e->cpu_pct = 0;
		e->anon_bytes = e->run_delay_ns = 0;
		e->n_processes = 0;
	}
	if (w->host->service(w->ctx, "proc/1", &vtable, &self) < 0)
		return;
	proc = vtable;
	proc->want_usage(self, want_ns);
	(void)proc->each(self, 0, add_process, w); /* their number is not needed */
}

static void row_fill(struct workload *w, struct row *r, uint32_t resource)
{
	const void *vtable;
	void *self;

	memset(&r->cpu, 0, sizeof(r->cpu));
	r->cpu.size = sizeof(r->cpu);
	r->cpu.stalled_ms = r->cpu.caused_ms = r->cpu.psi_contribution = r->cpu.throttled_ms = NAN;
	if (w->host->service(w->ctx, "stall/1", &vtable, &self) == 0)
		(void)((const struct lnx_svc_stall *)vtable)
			->workload(self, resource, r->e->id, WINDOW_NS,
				   &r->cpu); /* unknown stays NaN, none is 0 */
	usage_unknown(&r->files);
	r->files.anon_bytes = r->e->anon_bytes;
}

static void row_read(const struct workload *w, struct row *r)
{
	usage_read(w->root, r->e->path, &r->files);
	if (!r->files.has_memory)
		r->files.anon_bytes = r->e->anon_bytes;
}

static void rows_sort(struct row *rows, uint64_t n, unsigned key, bool is_ascending)
{
	uint64_t i;

	for (i = 0; i < n; i++)
		rows[i].key = row_key(&rows[i], key);
	qsort(rows, n, sizeof(*rows), is_ascending ? by_key_asc : by_key_desc);
}

/* Sort <n> rows and read the files of those from <from> to <to>, as far as READ_MAX allows; a key of files needs those of all,
 * and has those of the likely ones. Returns how many are shown, or stand where they do, without. */
static uint64_t rows_order(const struct workload *w, struct row *rows, uint64_t n,
			   const struct filter *f, uint64_t from, uint64_t to)
{
	unsigned key = (unsigned)f->key;
	uint64_t i, left = READ_MAX, n_missing = 0;

	if (is_of_files(key)) {
		rows_sort(rows, n, key_without_files(key), f->is_ascending);
		for (i = 0; i < n && left; i++, left--)
			row_read(w, &rows[i]);
		n_missing = n - i;
	}
	rows_sort(rows, n, key, f->is_ascending);
	for (i = from; !is_of_files(key) && i < n && i < to; i++) {
		if (left) {
			row_read(w, &rows[i]);
			left--;
		} else {
			n_missing++;
		}
	}
	return n_missing;
}

/* ---- JSON */

static void psi_json(struct lnx_buf *out, const struct workload_entry *e)
{
	lnx_json_key(out, "psi");
	lnx_buf_char(out, '{');
	lnx_json_kv_f64(out, "cpu_some_pct", e->psi_cpu_some);
	lnx_json_kv_f64(out, "memory_some_pct", e->psi_memory_some);
	lnx_json_kv_f64(out, "io_some_pct", e->psi_io_some);
	lnx_buf_char(out, '}');
}

/* What was asked for and what is allowed: of the pod's description, else of the cgroup's own files. Null: nothing. */
static void limits_json(struct lnx_buf *out, const struct row *r, const struct lnx_workload *d)
{
	double limit =
		d->cpu_limit_millicores ? d->cpu_limit_millicores : r->files.cpu_limit_cores * 1000;
	uint64_t bytes =
		d->memory_limit_bytes ? d->memory_limit_bytes : r->files.memory_limit_bytes;

	lnx_json_kv_f64(out, "cpu_request_millicores",
			d->cpu_request_millicores ? d->cpu_request_millicores : NAN);
	lnx_json_kv_f64(out, "cpu_limit_millicores", limit > 0 ? limit : NAN);
	lnx_json_kv_f64(out, "memory_request_bytes",
			d->memory_request_bytes ? (double)d->memory_request_bytes : NAN);
	lnx_json_kv_f64(out, "memory_limit_bytes", bytes ? (double)bytes : NAN);
}

static void row_json(struct lnx_buf *out, const struct row *r, struct workload *w)
{
	static const char *const kinds[] = { "other", "container", "unit", "session", "root" };
	struct lnx_workload d = { .size = sizeof(d) };

	workload_describe(&w->table, r->e, &d);
	lnx_json_next(out);
	lnx_buf_char(out, '{');
	lnx_workload_json(out, d.namespace_, d.workload);
	lnx_json_kv_str(out, "kind", r->e->ids.form == WORKLOAD_POD ? "pod" : kinds[d.kind]);
	lnx_json_kv_str(out, "namespace", d.namespace_);
	lnx_json_kv_str(out, "pod_name", d.pod_name);
	lnx_json_kv_str(out, "pod_uid", d.pod_uid);
	lnx_json_kv_str(out, "container_name", d.container_name);
	lnx_json_kv_str(out, "container_id", d.container_id);
	lnx_json_kv_str(out, "runtime", d.runtime);
	lnx_json_kv_str(out, "qos", d.qos);
	lnx_json_kv_str(out, "cgroup", d.path);
	lnx_json_kv_u64(out, "cgroup_id", d.cgroup_id);
	if (*d.owner_channel)
		lnx_json_kv_str(out, "owner_channel", d.owner_channel);
	if (*d.slo_tier)
		lnx_json_kv_str(out, "slo_tier", d.slo_tier);
	if (d.is_ignored)
		lnx_json_kv_bool(out, "ignored", 1);
	lnx_json_kv_u64(out, "processes", r->e->n_processes);
	psi_json(out, r->e);
	lnx_json_kv_f64(out, "cpu_pct", r->e->cpu_pct);
	lnx_json_kv_f64(out, "cpu_limit_ratio", row_key(r, KEY_CPU_LIMIT));
	lnx_json_kv_u64(out, "anon_bytes", r->files.anon_bytes);
	lnx_json_kv_f64(out, "working_set_bytes", r->files.working_set_bytes);
	lnx_json_kv_f64(out, "stalled_ms", r->cpu.stalled_ms);
	lnx_json_kv_f64(out, "caused_ms", r->cpu.caused_ms);
	lnx_json_kv_f64(out, "throttled_ms", r->cpu.throttled_ms);
	lnx_json_kv_f64(out, "psi_contribution", r->cpu.psi_contribution);
	lnx_json_kv_f64(out, "run_delay_ms", (double)r->e->run_delay_ns / 1e6);
	lnx_json_kv_f64(out, "throttled_total_ms", r->files.throttled_total_ms);
	lnx_json_kv_f64(out, "cfs_periods", r->files.cfs_periods);
	lnx_json_kv_f64(out, "throttled_periods", r->files.throttled_periods);
	limits_json(out, r, &d);
	lnx_buf_char(out, '}');
}

static bool row_matches(const struct workload *w, struct workload_entry *e, const struct filter *f)
{
	if (e->gone_ns ||
	    (f->is_by_pod ? e->ids.form != WORKLOAD_POD : !workload_is_slot(&w->table, e)))
		return false;
	if (f->victim_namespace && !e->is_culprit)
		return false;
	if (f->namespace_ && strcmp(e->pod ? e->pod->namespace_ : "", f->namespace_) != 0)
		return false;
	return !f->text || strstr(e->path, f->text) || strstr(e->name, f->text);
}

static int mark_culprit(void *arg, uint64_t cgroup_id, double caused_ms)
{
	struct workload *w = arg;
	struct workload_entry *e = workload_table_get(&w->table, cgroup_id);

	(void)caused_ms;
	for (; e; e = e->parent_id ? workload_table_get(&w->table, e->parent_id) : NULL)
		e->is_culprit = true; /* its pod, too */
	return 0;
}

/* Who stalled a victim of that namespace in the window. */
static void mark_culprits(struct workload *w, const char *victim_namespace, uint32_t resource)
{
	const struct lnx_svc_stall *stall;
	struct workload_entry *e;
	const void *vtable;
	void *self;

	for (e = w->table.oldest.next; e != &w->table.oldest; e = e->next)
		e->is_culprit = false;
	if (!victim_namespace || w->host->service(w->ctx, "stall/1", &vtable, &self) < 0)
		return;
	stall = vtable;
	if (stall->size > offsetof(struct lnx_svc_stall, culprit_cgroups))
		(void)stall->culprit_cgroups(self, resource, victim_namespace, WINDOW_NS,
					     mark_culprit, w); /* none: an empty list */
}

/* -EINVAL after having answered. */
static int read_filter(const struct lnx_svc_http *http, struct lnx_http_req *req,
		       struct filter *ret_filter)
{
	static const char *const resources[] = { "cpu", "memory", "io" };
	const char *by = http->param(req, "by"), *sort = http->param(req, "sort"),
		   *resource = http->param(req, "resource");

	ret_filter->namespace_ = http->param(req, "namespace");
	ret_filter->victim_namespace = http->param(req, "victim_namespace");
	ret_filter->text = http->param(req, "cgroup");
	ret_filter->is_by_pod = by && !strcmp(by, "pod");
	ret_filter->key = sort_key(sort ? sort : "stalled_ms", &ret_filter->is_ascending);
	if (ret_filter->key < 0) {
		(void)http->error(req, 400, "bad_parameter",
				  "sort must be stalled_ms, caused_ms, psi_contribution, cpu_pct, "
				  "anon_bytes, throttled_ms, working_set_bytes, cpu_limit_ratio, "
				  "psi_cpu_pct, psi_memory_pct, psi_io_pct or throttled_total_ms, "
				  "with :asc or :desc if wanted");
		return -EINVAL;
	}
	ret_filter->resource = LNX_RES_CPU;
	while (resource && ret_filter->resource < LNX_RES_N &&
	       strcmp(resource, resources[ret_filter->resource]) != 0)
		ret_filter->resource++;
	if (ret_filter->resource == LNX_RES_N) {
		(void)http->error(req, 400, "bad_parameter", "resource must be cpu, memory or io");
		return -EINVAL;
	}
	if (!by || ret_filter->is_by_pod || !strcmp(by, "container"))
		return 0;
	(void)http->error(req, 400, "bad_parameter", "by must be container or pod");
	return -EINVAL;
}

/* Why stall figures are not there; "" if they are. */
static const char *stall_why(struct workload *w, uint32_t resource)
{
	const struct lnx_svc_stall *stall;
	const void *vtable;
	void *self;

	if (w->host->service(w->ctx, "stall/1", &vtable, &self) < 0)
		return "no stall ledger: stall figures are null";
	stall = vtable;
	return stall->size > offsetof(struct lnx_svc_stall, degraded)
		       ? stall->degraded(self, resource, 0)
		       : "";
}

/* <n_missing> rows are without the figures of their files. */
static void tell_degraded(struct workload *w, const struct lnx_svc_http *http,
			  struct lnx_http_req *req, uint32_t resource, uint64_t n_missing)
{
	const char *why = stall_why(w, resource);
	char text[512];

	if (!*why && !n_missing)
		return;
	if (n_missing)
		(void)snprintf(
			text, sizeof(text),
			"%.300s%sthe files of %" PRIu64
			" workloads were not read (at most %d in an answer): their memory, limits and throttling "
			"are not known",
			why, *why ? "; " : "", n_missing, READ_MAX); /* for people */
	(void)http->set_header(req, "X-Linnix-Degraded", n_missing ? text : why);
}

static void workload_list(void *arg, struct lnx_http_req *req)
{
	struct workload *w = arg;
	const struct lnx_svc_http *http;
	struct filter filter;
	struct lnx_buf out = { 0 };
	uint64_t limit, offset, i, n = 0, n_missing;
	struct workload_entry *e;
	struct row *rows;
	const void *vtable;
	void *self;

	if (w->host->service(w->ctx, "http/1", &vtable, &self) < 0)
		return;
	http = vtable;
	if (read_filter(http, req, &filter) < 0 ||
	    http->param_u64(req, "limit", 100, 1, 10000, &limit) < 0 ||
	    http->param_u64(req, "offset", 0, 0, UINT32_MAX, &offset) < 0)
		return; /* answered */
	rows = calloc(w->table.n + 1u, sizeof(*rows));
	if (!rows) {
		(void)http->error(req, 503, "no_memory", "out of memory");
		return;
	}
	workload_sum_processes(w, WINDOW_NS);
	mark_culprits(w, filter.victim_namespace, filter.resource);
	for (e = w->table.oldest.next; e != &w->table.oldest; e = e->next) {
		if (!row_matches(w, e, &filter))
			continue;
		rows[n].e = e;
		row_fill(w, &rows[n], filter.resource);
		n++;
	}
	n_missing = rows_order(w, rows, n, &filter, offset, offset + limit);
	lnx_buf_char(&out, '[');
	for (i = offset; i < n && i - offset < limit; i++)
		row_json(&out, &rows[i], w);
	lnx_buf_char(&out, ']');
	free(rows);
	tell_degraded(w, http, req, filter.resource, n_missing);
	if (lnx_buf_error(&out))
		(void)http->error(req, 503, "no_memory", "out of memory");
	else
		(void)http->respond(req, 200, NULL, out.data, out.size);
	lnx_buf_done(&out);
}

static const char *const workload_query[] = {
	"sort", "limit", "offset", "namespace", "victim_namespace", "cgroup", "by", "resource", NULL
};

static const struct lnx_http_route workload_route = {
	.size = sizeof(workload_route),
	.method = "GET",
	.path = "/workloads",
	.query = workload_query,
	.handle = workload_list,
};

int workload_routes(struct workload *w)
{
	const void *vtable;
	void *self;

	if (w->host->service(w->ctx, "http/1", &vtable, &self) < 0)
		return 0;
	return ((const struct lnx_svc_http *)vtable)->route(self, &workload_route, w);
}
