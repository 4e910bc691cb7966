/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* GET /workloads: containers, units and other leaf cgroups with what is known of them now. */
#include <errno.h>
#include <linnix/buf.h>
#include <linnix/svc_http.h>
#include <linnix/svc_stall.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "usage.h"
#include "workload.h"

#define WINDOW_NS 10000000000ull /* of the stall figures */

struct row {
	struct workload_entry *e;
	struct lnx_stall_share cpu;
	struct usage_files files;
	double key;
};

static const char *const sort_keys[] = { "stalled_ms",	      "caused_ms",	 "psi_contribution",
					 "cpu_pct",	      "anon_bytes",	 "throttled_ms",
					 "working_set_bytes", "cpu_limit_ratio", "psi_cpu_pct",
					 "psi_memory_pct",    "psi_io_pct",	 NULL };

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
				r->e->psi_io_some };

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

static int add_process(void *arg, const struct lnx_proc *p)
{
	struct workload *w = arg;
	struct workload_entry *e = workload_table_get(&w->table, p->cgroup_id);

	if (!e)
		return 0;
	e = workload_table_slot(&w->table, e);
	e->cpu_pct += p->has_usage && isfinite(p->cpu_pct) ? p->cpu_pct : 0;
	e->anon_bytes += p->rss_anon_bytes;
	e->run_delay_ns += p->run_delay_ns;
	e->n_processes++;
	return 0;
}

static void sum_processes(struct workload *w)
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
	proc->want_usage(self, WINDOW_NS);
	(void)proc->each(self, 0, add_process, w); /* their number is not needed */
}

static void row_fill(struct workload *w, struct row *r)
{
	const void *vtable;
	void *self;

	memset(&r->cpu, 0, sizeof(r->cpu));
	r->cpu.size = sizeof(r->cpu);
	r->cpu.stalled_ms = r->cpu.caused_ms = r->cpu.psi_contribution = r->cpu.throttled_ms = NAN;
	if (w->host->service(w->ctx, "stall/1", &vtable, &self) == 0)
		(void)((const struct lnx_svc_stall *)vtable)
			->workload(self, LNX_RES_CPU, r->e->id, WINDOW_NS,
				   &r->cpu); /* unknown stays NaN, none is 0 */
	usage_read(w->root, r->e->path, &r->files);
	if (!r->files.has_memory)
		r->files.anon_bytes = r->e->anon_bytes;
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

static void row_json(struct lnx_buf *out, const struct row *r, struct workload *w)
{
	static const char *const kinds[] = { "other", "container", "unit", "session", "root" };
	struct lnx_workload d = { .size = sizeof(d) };

	workload_describe(&w->table, r->e, &d);
	lnx_json_next(out);
	lnx_buf_char(out, '{');
	lnx_json_kv_str(out, "workload", d.workload);
	lnx_json_kv_str(out, "kind", kinds[d.kind]);
	lnx_json_kv_str(out, "namespace", d.namespace_);
	lnx_json_kv_str(out, "pod_name", d.pod_name);
	lnx_json_kv_str(out, "pod_uid", d.pod_uid);
	lnx_json_kv_str(out, "container_name", d.container_name);
	lnx_json_kv_str(out, "container_id", d.container_id);
	lnx_json_kv_str(out, "runtime", d.runtime);
	lnx_json_kv_str(out, "qos", d.qos);
	lnx_json_kv_str(out, "cgroup", d.path);
	lnx_json_kv_u64(out, "cgroup_id", d.cgroup_id);
	lnx_json_kv_u64(out, "processes", r->e->n_processes);
	psi_json(out, r->e);
	lnx_json_kv_f64(out, "cpu_pct", r->e->cpu_pct);
	lnx_json_kv_f64(out, "cpu_limit_ratio", row_key(r, 7));
	lnx_json_kv_u64(out, "anon_bytes", r->files.anon_bytes);
	lnx_json_kv_f64(out, "working_set_bytes", r->files.working_set_bytes);
	lnx_json_kv_f64(out, "stalled_ms", r->cpu.stalled_ms);
	lnx_json_kv_f64(out, "caused_ms", r->cpu.caused_ms);
	lnx_json_kv_f64(out, "throttled_ms", r->cpu.throttled_ms);
	lnx_json_kv_f64(out, "psi_contribution", r->cpu.psi_contribution);
	lnx_json_kv_f64(out, "run_delay_ms", (double)r->e->run_delay_ns / 1e6);
	lnx_buf_char(out, '}');
}

static bool row_matches(const struct workload_entry *e, const char *ns, const char *text)
{
	if (ns && *ns)
		return false; /* namespaces come with Kubernetes names */
	return !text || strstr(e->path, text) || strstr(e->name, text);
}

/* Why stall figures are not there; "" if they are. */
static const char *stall_why(struct workload *w)
{
	const struct lnx_svc_stall *stall;
	const void *vtable;
	void *self;

	if (w->host->service(w->ctx, "stall/1", &vtable, &self) < 0)
		return "no stall ledger: stall figures are null";
	stall = vtable;
	return stall->size > offsetof(struct lnx_svc_stall, degraded)
		       ? stall->degraded(self, LNX_RES_CPU, 0)
		       : "";
}

static void workload_list(void *arg, struct lnx_http_req *req)
{
	struct workload *w = arg;
	const struct lnx_svc_http *http;
	const char *sort, *ns, *text, *why;
	struct lnx_buf out = { 0 };
	uint64_t limit, offset, i, n = 0;
	struct workload_entry *e;
	struct row *rows;
	const void *vtable;
	bool asc = false;
	void *self;
	int key;

	if (w->host->service(w->ctx, "http/1", &vtable, &self) < 0)
		return;
	http = vtable;
	sort = http->param(req, "sort");
	ns = http->param(req, "namespace");
	text = http->param(req, "cgroup");
	key = sort_key(sort ? sort : "stalled_ms", &asc);
	if (http->param_u64(req, "limit", 100, 1, 10000, &limit) < 0 ||
	    http->param_u64(req, "offset", 0, 0, UINT32_MAX, &offset) < 0)
		return; /* answered */
	if (key < 0) {
		(void)http->error(req, 400, "bad_request",
				  "sort: '%s' is not a figure of a workload", sort);
		return;
	}
	rows = calloc(w->table.n + 1u, sizeof(*rows));
	if (!rows) {
		(void)http->error(req, 503, "no_memory", "out of memory");
		return;
	}
	sum_processes(w);
	for (e = w->table.oldest.next; e != &w->table.oldest; e = e->next) {
		if (e->gone_ns || !workload_is_slot(&w->table, e) || !row_matches(e, ns, text))
			continue;
		rows[n].e = e;
		row_fill(w, &rows[n]);
		rows[n].key = row_key(&rows[n], (unsigned)key);
		n++;
	}
	qsort(rows, n, sizeof(*rows), asc ? by_key_asc : by_key_desc);
	lnx_buf_char(&out, '[');
	for (i = offset; i < n && i - offset < limit; i++)
		row_json(&out, &rows[i], w);
	lnx_buf_char(&out, ']');
	free(rows);
	why = stall_why(w);
	if (*why)
		(void)http->set_header(req, "X-Linnix-Degraded", why);
	if (lnx_buf_error(&out))
		(void)http->error(req, 503, "no_memory", "out of memory");
	else
		(void)http->respond(req, 200, NULL, out.data, out.size);
	lnx_buf_done(&out);
}

static const char *const workload_query[] = {
	"sort", "limit", "offset", "namespace", "cgroup", NULL
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
