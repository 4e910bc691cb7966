/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One process as JSON. Its name is whatever the process chose: bytes, not text. */
#define LNX_EVENT_TABLES
#include "http_proc.h"

#include <errno.h>
#include <linnix/ev_proc.h>
#include <math.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define HTTP_USAGE_NS (10 * HTTP_SEC) /* how long after a request figures are kept fresh */
#define HTTP_EXITED   "exited"

const char *http_proc_state(const struct lnx_proc *p)
{
	unsigned i;

	if (p->exit_ns)
		return HTTP_EXITED;
	for (i = 0; lnx_proc_state_names[i]; i++) {
		if (i == p->state)
			return lnx_proc_state_names[i];
	}
	return "unknown";
}

int http_proc_state_known(const char *name)
{
	int i;

	for (i = 0; lnx_proc_state_names[i]; i++) {
		if (!strcmp(lnx_proc_state_names[i], name))
			return i;
	}
	return strcmp(name, HTTP_EXITED) ? -1 : i;
}

void http_proc_who(struct http_proc_view *v, const struct lnx_proc *p, struct lnx_workload *ret_w)
{
	static const struct lnx_workload unknown = {
		.size = sizeof(unknown),
		.path = "",
		.workload = "",
		.namespace_ = "",
		.pod_name = "",
		.pod_uid = "",
		.container_name = "",
		.container_id = "",
		.runtime = "",
		.qos = "",
	};

	*ret_w = unknown;
	if (v->workload && p->cgroup_id &&
	    v->workload->get(v->workload_self, p->cgroup_id, ret_w) < 0)
		*ret_w = unknown;
	if (!*ret_w->path)
		ret_w->path = http_cgroup_path(v->http, p->cgroup_id, p->exit_ns ? 0 : p->pid);
}

static void http_proc_identity(struct http_proc_view *v, struct lnx_buf *out,
			       const struct lnx_proc *p)
{
	uint64_t end_ns = p->exit_ns ? p->exit_ns : v->now_ns;
	struct http *s = v->http;

	lnx_json_kv_u64(out, "pid", p->pid);
	lnx_json_kv_u64(out, "ppid", p->ppid);
	lnx_json_kv_u64(out, "uid", p->uid);
	lnx_json_key(out, "comm");
	lnx_json_bytes(out, p->comm, strnlen(p->comm, sizeof(p->comm)));
	lnx_json_kv_str(out, "state", http_proc_state(p));
	lnx_json_kv_bool(out, "kthread", p->is_kthread != 0);
	lnx_json_kv_u64(out, "threads", p->n_threads);
	lnx_json_kv_u64(out, "start_ns", p->start_ns);
	lnx_json_key(out, "start_ts");
	lnx_json_ts(out, s->host->wall_ns(s->ctx, p->start_ns));
	lnx_json_kv_u64(out, "age_ms",
			end_ns > p->start_ns ? (end_ns - p->start_ns) / 1000000u : 0);
	if (p->exit_ns) {
		lnx_json_key(out, "exit_ts");
		lnx_json_ts(out, s->host->wall_ns(s->ctx, p->exit_ns));
		lnx_json_kv_u64(out, "exit_code", p->exit_code);
		lnx_json_kv_u64(out, "signal", p->signal);
	}
}

static void http_proc_where(struct http_proc_view *v, struct lnx_buf *out, const struct lnx_proc *p)
{
	struct lnx_workload w;

	http_proc_who(v, p, &w);
	lnx_json_kv_str(out, "cgroup", w.path);
	lnx_json_kv_u64(out, "cgroup_id", p->cgroup_id);
	lnx_json_kv_str(out, "container_id", w.container_id);
	lnx_json_kv_str(out, "pod_name", w.pod_name);
	lnx_json_kv_str(out, "namespace", w.namespace_);
	lnx_json_kv_str(out, "container_name", w.container_name);
	lnx_workload_json(out, w.namespace_, w.workload);
}

static void http_proc_figure(struct lnx_buf *out, const char *key, double value, bool is_known)
{
	lnx_json_kv_f64(out, key, is_known ? value : NAN);
}

void http_proc_share(const struct http_proc_view *v, const struct lnx_proc *p,
		     struct lnx_stall_share *ret_share)
{
	int rc = -ENODEV;

	if (v->stall)
		rc = v->stall->process(v->stall_self, LNX_RES_CPU, p->pid, p->start_ns, 0,
				       ret_share);
	if (rc < 0 && rc != -ENOENT) /* -ENOENT: it held nobody up */
		ret_share->psi_contribution = ret_share->psi_contribution_ms =
			ret_share->caused_ms = NAN;
}

static void http_proc_usage(struct http_proc_view *v, struct lnx_buf *out, const struct lnx_proc *p)
{
	struct lnx_stall_share share = { 0 };
	bool is_known = p->has_usage != 0;
	double mem_pct = v->mem_total_bytes
				 ? 100.0 * (double)p->rss_bytes / (double)v->mem_total_bytes
				 : NAN;

	if (!is_known && !p->exit_ns)
		v->has_missing_usage = true;
	http_proc_figure(out, "cpu_pct", p->cpu_pct, is_known);
	http_proc_figure(out, "rss_bytes", (double)p->rss_bytes, is_known);
	http_proc_figure(out, "mem_pct", mem_pct, is_known);
	http_proc_figure(out, "read_bytes", (double)p->read_bytes, is_known);
	http_proc_figure(out, "write_bytes", (double)p->write_bytes, is_known);
	lnx_json_kv_u64(out, "forks", p->forks);
	http_proc_share(v, p, &share);
	lnx_json_kv_f64(out, "psi_contribution", share.psi_contribution);
	lnx_json_kv_f64(out, "psi_contribution_ms", share.psi_contribution_ms);
	lnx_json_kv_f64(out, "caused_ms", share.caused_ms);
	http_proc_figure(out, "run_delay_ms", (double)p->run_delay_ns / 1e6, is_known);
}

void http_proc_row(struct http_proc_view *v, struct lnx_buf *out, const struct lnx_proc *p)
{
	http_proc_identity(v, out, p);
	http_proc_where(v, out, p);
	http_proc_usage(v, out, p);
}

int http_proc_view_init(struct http *s, struct lnx_http_req *req, struct http_proc_view *ret_v)
{
	struct http_proc_view v = { .http = s, .now_ns = s->host->now_ns(s->ctx) };
	long pages, page_bytes;

	if (s->host->service(s->ctx, "proc/1", (const void **)&v.proc, &v.proc_self) < 0) {
		(void)http_error(req, 503, "no_process_table",
				 "the plugin proc is not loaded: GET /plugins tells why");
		return -ENOENT;
	}
	if (s->host->service(s->ctx, "workload/1", (const void **)&v.workload, &v.workload_self) <
	    0)
		v.workload = NULL;
	v.stall_why = "no stall ledger";
	if (s->host->service(s->ctx, "stall/1", (const void **)&v.stall, &v.stall_self) < 0)
		v.stall = NULL;
	else if (v.stall->size > offsetof(struct lnx_svc_stall, degraded))
		v.stall_why = v.stall->degraded(v.stall_self, LNX_RES_CPU, 1);
	if (v.stall &&
	    (*v.stall_why || v.stall->method(v.stall_self, LNX_RES_CPU) < LNX_METHOD_EXACT))
		v.stall = NULL;
	v.mem_total_bytes = s->host_sample.h.type ? s->host_sample.mem_total_bytes : 0;
	pages = sysconf(_SC_PHYS_PAGES);
	page_bytes = sysconf(_SC_PAGESIZE);
	if (!v.mem_total_bytes && pages > 0 && page_bytes > 0)
		v.mem_total_bytes = (uint64_t)pages * (uint64_t)page_bytes;
	v.proc->want_usage(v.proc_self, HTTP_USAGE_NS);
	*ret_v = v;
	return 0;
}

void http_proc_degraded(const struct http_proc_view *v, struct lnx_http_req *req)
{
	if (!v->stall)
		http_degraded(req, "psi_contribution, psi_contribution_ms, caused_ms",
			      v->stall_why);
	if (!v->workload)
		http_degraded(req, "container_id, pod_name, namespace, container_name, workload",
			      "no plugin workload");
	if (v->has_missing_usage)
		http_degraded(req, "cpu_pct, rss_bytes, read_bytes, write_bytes, run_delay_ms",
			      "not yet measured for some processes");
}
