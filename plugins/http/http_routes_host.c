/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* GET /system: the last host.sample and psi.sample. What is not known is null, and X-Linnix-Degraded says so. */
#include "http_req.h"

#include <math.h>

#define HTTP_STALE_SAMPLES 3 /* windows after which a figure is no longer "now" */

static void http_json_u64_or_null(struct lnx_buf *out, const char *key, uint64_t v, bool is_known)
{
	lnx_json_key(out, key);
	if (is_known)
		lnx_buf_u64(out, v);
	else
		lnx_buf_str(out, "null");
}

static double http_or_nan(double v, bool is_known)
{
	return is_known ? v : NAN;
}

static void http_system_line(struct lnx_buf *out, const char *key, const struct lnx_psi_line *l,
			     bool is_known)
{
	lnx_json_key(out, key);
	if (!l) {
		lnx_buf_str(out, "null");
		return;
	}
	is_known = is_known && !isnan(l->pct);
	lnx_buf_char(out, '{');
	lnx_json_kv_f64(out, "pct", http_or_nan(l->pct, is_known));
	lnx_json_kv_f64(out, "avg10", http_or_nan(l->avg10, is_known));
	lnx_json_kv_f64(out, "avg60", http_or_nan(l->avg60, is_known));
	lnx_json_kv_f64(out, "avg300", http_or_nan(l->avg300, is_known));
	http_json_u64_or_null(out, "total_us", l->total_us, is_known);
	lnx_buf_char(out, '}');
}

/* Pressure of the whole machine; cpu "full" is always 0 there and not offered. */
static void http_system_psi(struct lnx_buf *out, const struct lnx_ev_psi_sample *p)
{
	bool is_known = p->h.type != 0;

	lnx_json_key(out, "psi");
	lnx_buf_str(out, "{\"cpu\":{");
	http_system_line(out, "some", &p->cpu_some, is_known);
	http_system_line(out, "full", NULL, false);
	lnx_buf_str(out, "},\"memory\":{");
	http_system_line(out, "some", &p->memory_some, is_known);
	http_system_line(out, "full", &p->memory_full, is_known);
	lnx_buf_str(out, "},\"io\":{");
	http_system_line(out, "some", &p->io_some, is_known);
	http_system_line(out, "full", &p->io_full, is_known);
	lnx_buf_str(out, "}}");
}

static void http_system_memory(struct lnx_buf *out, const struct lnx_ev_host_sample *h)
{
	bool is_known = h->h.type != 0;

	lnx_json_key(out, "memory");
	lnx_buf_char(out, '{');
	http_json_u64_or_null(out, "total_bytes", h->mem_total_bytes, is_known);
	http_json_u64_or_null(out, "available_bytes", h->mem_available_bytes, is_known);
	http_json_u64_or_null(out, "used_bytes", h->mem_total_bytes - h->mem_available_bytes,
			      is_known);
	lnx_json_kv_f64(out, "used_pct", http_or_nan(h->mem_pct, is_known));
	http_json_u64_or_null(out, "swap_total_bytes", h->swap_total_bytes, is_known);
	http_json_u64_or_null(out, "swap_free_bytes", h->swap_free_bytes, is_known);
	lnx_buf_char(out, '}');
}

static void http_system_host(struct http *s, struct lnx_buf *out,
			     const struct lnx_ev_host_sample *h)
{
	bool is_known = h->h.type != 0;

	lnx_json_key(out, "ts");
	if (is_known)
		lnx_json_ts(out, s->host->wall_ns(s->ctx, h->h.ts_ns));
	else
		lnx_buf_str(out, "null");
	http_json_u64_or_null(out, "window_ms", h->window_ns / 1000000u, is_known);
	http_json_u64_or_null(out, "cpus", h->n_cpus, is_known);
	lnx_json_kv_f64(out, "cpu_pct", http_or_nan(h->cpu_pct, is_known));
	lnx_json_kv_f64(out, "steal_pct", http_or_nan(h->steal_pct, is_known));
	lnx_json_kv_f64(out, "iowait_pct", http_or_nan(h->iowait_pct, is_known));
	lnx_json_kv_f64(out, "mem_pct", http_or_nan(h->mem_pct, is_known));
	http_system_memory(out, h);
	lnx_json_key(out, "load");
	lnx_buf_char(out, '{');
	lnx_json_kv_f64(out, "load1", http_or_nan(h->load1, is_known));
	lnx_json_kv_f64(out, "load5", http_or_nan(h->load5, is_known));
	lnx_json_kv_f64(out, "load15", http_or_nan(h->load15, is_known));
	lnx_buf_char(out, '}');
	lnx_json_kv_f64(out, "forks_per_s", http_or_nan(h->forks_per_s, is_known));
	lnx_json_kv_f64(out, "switches_per_s", http_or_nan(h->switches_per_s, is_known));
	http_json_u64_or_null(out, "running", h->n_running, is_known);
}

static bool http_is_stale(struct http *s, const struct lnx_event *h, uint64_t window_ns)
{
	uint64_t now = s->host->now_ns(s->ctx);

	return now > h->ts_ns && now - h->ts_ns > HTTP_STALE_SAMPLES * (window_ns + HTTP_SEC);
}

static void http_system_degraded(struct http *s, struct lnx_http_req *req)
{
	if (!s->host_sample.h.type)
		http_degraded(req, "host figures", "no host.sample yet (plugin psi)");
	else if (http_is_stale(s, &s->host_sample.h, s->host_sample.window_ns))
		http_degraded(req, "host figures", "the last host.sample is old");
	if (!s->psi_sample.h.type)
		http_degraded(req, "psi", "no psi.sample yet (plugin psi, or a kernel with psi=0)");
	else if (http_is_stale(s, &s->psi_sample.h, s->psi_sample.window_ns))
		http_degraded(req, "psi", "the last psi.sample is old");
}

static void http_get_system(void *arg, struct lnx_http_req *req)
{
	struct http *s = arg;
	const struct lnx_ident *id = s->host->ident(s->ctx);
	struct lnx_buf out = { 0 };

	http_system_degraded(s, req);
	lnx_buf_char(&out, '{');
	lnx_json_kv_str(&out, "node", id->node);
	lnx_json_kv_str(&out, "cluster", id->cluster);
	lnx_json_kv_str(&out, "boot_id", id->boot_id);
	lnx_json_kv_u64(&out, "schema", id->schema);
	http_system_host(s, &out, &s->host_sample);
	http_system_psi(&out, &s->psi_sample);
	lnx_buf_str(&out, "}\n");
	(void)http_respond_buf(req, 200, NULL, &out);
}

static const struct lnx_http_route http_system_route = {
	sizeof(struct lnx_http_route), 0, "GET", "/system", NULL, http_get_system
};

int http_routes_host(struct http *s)
{
	return http_route(s, &http_system_route, s);
}
