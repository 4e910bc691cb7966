/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin `prometheus`: GET /metrics and /metrics/prometheus, on the ops listener too. The figures are the core's
 * registry; this file only chooses the format and answers. */
#include <errno.h>
#include <linnix/plugin.h>
#include <linnix/svc_core.h>
#include <linnix/svc_http.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PROMETHEUS_TEXT "text/plain; version=0.0.4; charset=utf-8"
#define PROMETHEUS_OPEN "application/openmetrics-text; version=1.0.0; charset=utf-8"

struct prometheus {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	const struct lnx_svc_core *core;
	void *core_self;
	const struct lnx_svc_http *http;
	struct lnx_metric *m_scrapes;
};

static const struct lnx_metric_desc prometheus_m_scrapes = {
	.name = "linnix_scrapes_total",
	.help = "Answers to GET /metrics.",
	.kind = LNX_COUNTER,
};

/* True if one of the media ranges of <accept> is OpenMetrics and not refused by q=0. */
static int prometheus_wants_open(const char *accept)
{
	static const char name[] = "application/openmetrics-text";
	const char *p = accept;
	char range[256];
	size_t n;

	while (p && *p) {
		p += strspn(p, " \t,");
		n = strcspn(p, ",");
		if (n < sizeof(range) && !strncasecmp(p, name, sizeof(name) - 1)) {
			const char *q;

			memcpy(range, p, n);
			range[n] = 0;
			q = strcasestr(range, "q=");
			if (!q || strtod(q + 2, NULL) > 0)
				return 1;
		}
		p += n;
	}
	return 0;
}

static void prometheus_get(void *arg, struct lnx_http_req *req)
{
	struct prometheus *p = arg;
	uint32_t is_open = (uint32_t)prometheus_wants_open(p->http->header(req, "Accept"));
	struct lnx_buf out = { 0 };
	int rc;

	p->host->metric_add(p->ctx, p->m_scrapes, 1);
	rc = p->core->metrics_text(p->core_self, is_open, &out);
	if (rc == 0)
		rc = lnx_buf_error(&out);
	if (rc < 0)
		(void)p->http->error(req, 503, "overloaded", "no memory for the metrics");
	else
		(void)p->http->respond(req, 200, is_open ? PROMETHEUS_OPEN : PROMETHEUS_TEXT,
				       out.data ? out.data : "", out.size);
	lnx_buf_done(&out);
}

static const struct lnx_http_route prometheus_routes[] = {
	{ sizeof(struct lnx_http_route), LNX_HTTP_OPS, "GET", "/metrics", NULL, prometheus_get },
	{ sizeof(struct lnx_http_route), LNX_HTTP_OPS, "GET", "/metrics/prometheus", NULL,
	  prometheus_get },
};

static int prometheus_init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
			   void **ret_state)
{
	struct prometheus *p = calloc(1, sizeof(*p));
	int rc;

	(void)conf;
	if (!p)
		return -ENOMEM;
	p->host = host;
	p->ctx = ctx;
	rc = host->metric(ctx, &prometheus_m_scrapes, NULL, &p->m_scrapes);
	if (rc < 0) {
		free(p);
		return rc;
	}
	*ret_state = p;
	return 0;
}

static int prometheus_start(void *state)
{
	struct prometheus *p = state;
	void *http_self;
	unsigned i;
	int rc;

	rc = p->host->service(p->ctx, "core/1", (const void **)&p->core, &p->core_self);
	if (rc == 0)
		rc = p->host->service(p->ctx, "http/1", (const void **)&p->http, &http_self);
	for (i = 0; rc == 0 && i < sizeof(prometheus_routes) / sizeof(prometheus_routes[0]); i++)
		rc = p->http->route(http_self, &prometheus_routes[i], p);
	return rc;
}

static void prometheus_fini(void *state)
{
	free(state);
}

static const char *const prometheus_needs[] = { "core/1", "http/1", NULL };

static const struct lnx_plugin prometheus_plugin = {
	.size = sizeof(prometheus_plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "prometheus",
	.version = LNX_VERSION,
	.summary = "GET /metrics in the formats of Prometheus and OpenMetrics",
	.needs = prometheus_needs,
	.init = prometheus_init,
	.start = prometheus_start,
	.fini = prometheus_fini,
};

const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &prometheus_plugin;
}
