/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin `http`: the agent's API on TCP and a unix socket, and the service http/1 through which other plugins add routes
 * and event streams. This file: options, metrics, life. */
#include "http_req.h"

#include <errno.h>
#include <linnix/plugin.h>
#include <stdlib.h>
#include <string.h>

#define HTTP_OPT(k, ty, m, d, lo, hi, fl, hp)                                    \
	{                                                                        \
		k, ty, offsetof(struct http_conf, m), d, lo, hi, NULL, fl, 0, hp \
	}
#define HTTP_MS 1000000.0

static const struct lnx_svc_http http_service = {
	.size = sizeof(http_service),
	.route = http_route,
	.param = http_param,
	.header = http_header,
	.body = http_body,
	.param_u64 = http_param_u64,
	.set_header = http_set_header,
	.respond = http_respond,
	.error = http_error,
	.stream = http_stream_open,
	.stream_write = http_stream_write,
	.stream_close = http_stream_close,
	.peer = http_peer_tell,
};

static const char *const http_refused_labels[] = { "why", NULL };

static const struct lnx_metric_desc http_m_conns = {
	.name = "linnix_http_connections",
	.help = "Open connections of the API.",
	.kind = LNX_GAUGE,
};
static const struct lnx_metric_desc http_m_streams = {
	.name = "linnix_http_streams",
	.help = "Open event streams of the API.",
	.kind = LNX_GAUGE,
};
static const struct lnx_metric_desc http_m_requests = {
	.name = "linnix_http_requests_total",
	.help = "Requests that were answered.",
	.kind = LNX_COUNTER,
};
static const struct lnx_metric_desc http_m_timeouts = {
	.name = "linnix_http_timeouts_total",
	.help = "Connections cut because a request or its answer took too long.",
	.kind = LNX_COUNTER,
};
static const struct lnx_metric_desc http_m_refused = {
	.name = "linnix_http_refused_total",
	.help = "Requests and connections refused by a limit.",
	.kind = LNX_COUNTER,
	.labels = http_refused_labels,
};

static int http_metric(struct http *s, const struct lnx_metric_desc *desc, const char *why,
		       struct lnx_metric **ret_metric)
{
	const char *values[] = { why, NULL };

	return s->host->metric(s->ctx, desc, why ? values : NULL, ret_metric);
}

static int http_metrics_init(struct http *s)
{
	int rc = http_metric(s, &http_m_conns, NULL, &s->m_conns);

	if (rc == 0)
		rc = http_metric(s, &http_m_streams, NULL, &s->m_streams);
	if (rc == 0)
		rc = http_metric(s, &http_m_requests, NULL, &s->m_requests);
	if (rc == 0)
		rc = http_metric(s, &http_m_timeouts, NULL, &s->m_timeouts);
	if (rc == 0)
		rc = http_metric(s, &http_m_refused, "rate", &s->m_refused_rate);
	if (rc == 0)
		rc = http_metric(s, &http_m_refused, "work", &s->m_refused_work);
	if (rc == 0)
		rc = http_metric(s, &http_m_refused, "connections", &s->m_refused_conns);
	if (rc == 0)
		rc = http_metric(s, &http_m_refused, "memory", &s->m_refused_memory);
	return rc;
}

static void http_fini(void *state)
{
	struct http *s = state;

	if (!s)
		return;
	http_listen_stop(s);
	http_listen_close(s);
	s->host->timer_del(s->ctx, s->sweep);
	http_cgroup_done(s);
	if (s->tls_key)
		explicit_bzero(s->tls_key, strlen(s->tls_key));
	free(s->tls_key);
	free(s->tls_cert);
	free(s->peers);
	explicit_bzero(&s->token, sizeof(s->token));
	explicit_bzero(&s->admin_token, sizeof(s->admin_token));
	free(s);
}

static int http_routes_init(struct http *s)
{
	int rc = http_routes_core(s);

	if (rc == 0)
		rc = http_routes_host(s);
	if (rc == 0)
		rc = http_routes_events(s);
	if (rc == 0)
		rc = http_routes_proc(s);
	return rc;
}

static int http_init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		     void **ret_state)
{
	struct http *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->host = host;
	s->ctx = ctx;
	s->conf = conf;
	http_listen_init(s);
	s->peers = calloc(HTTP_MAX_PEERS + 1, sizeof(*s->peers));
	rc = s->peers ? http_metrics_init(s) : -ENOMEM;
	if (rc == 0)
		rc = http_token_load(s, "token_file", s->conf->token_file, &s->token);
	if (rc == 0)
		rc = http_token_load(s, "admin_token_file", s->conf->admin_token_file,
				     &s->admin_token);
	if (rc == 0)
		rc = http_tls_load(s);
	if (rc == 0)
		rc = host->timer_add(ctx, HTTP_SEC, HTTP_SEC, http_sweep, s, &s->sweep);
	if (rc == 0)
		rc = http_listen_find(s);
	if (rc == 0)
		rc = http_routes_init(s);
	if (rc == 0)
		rc = host->provide(ctx, "http/1", &http_service, s);
	if (rc < 0) {
		http_fini(s);
		return rc;
	}
	*ret_state = s;
	return 0;
}

static int http_start(void *state)
{
	struct http *s = state;
	int rc = s->host->service(s->ctx, "core/1", (const void **)&s->core, &s->core_self);

	if (rc < 0)
		return rc;
	return http_listen_start(s);
}

/* Both events are copied whole: they are no larger than what this build knows, or cut to it. */
static int http_on_event(void *state, const struct lnx_event *ev)
{
	struct http *s = state;

	if (ev->type == LNX_EV_HOST_SAMPLE && ev->fixed >= sizeof(s->host_sample))
		memcpy(&s->host_sample, ev, sizeof(s->host_sample));
	else if (ev->type == LNX_EV_PSI_SAMPLE && ev->fixed >= sizeof(s->psi_sample))
		memcpy(&s->psi_sample, ev, sizeof(s->psi_sample));
	return 0;
}

/* Tokens and limits change at once; sockets and certificates need a restart. */
static int http_reload(void *state, const void *conf)
{
	struct http *s = state;
	const struct http_conf *old = s->conf, *c = conf;
	struct http_token token, admin;
	int rc;

	s->conf = c;
	rc = http_token_load(s, "token_file", c->token_file, &token);
	if (rc == 0)
		rc = http_token_load(s, "admin_token_file", c->admin_token_file, &admin);
	if (rc == 0 && s->is_exposed && !token.bytes) {
		s->host->log(s->ctx, LNX_ERROR,
			     "token_file cannot go while other machines can reach the API");
		rc = -EACCES;
	}
	if (rc < 0) {
		s->conf = old;
		return rc;
	}
	s->token = token;
	s->admin_token = admin;
	return 0;
}

static void http_stop(void *state)
{
	http_listen_stop(state);
}

static const struct lnx_option http_options[] = {
	HTTP_OPT("listen", LNX_OPT_STR, listen, "127.0.0.1:3000", 0, 0, 0,
		 "ADDRESS:PORT of the API, or off; off loopback it needs token_file and TLS"),
	HTTP_OPT("socket", LNX_OPT_PATH, socket, "/run/linnix/linnix.sock", 0, 0, 0,
		 "Path of the unix socket (mode 0660), or off"),
	HTTP_OPT("socket_group", LNX_OPT_STR, socket_group, "linnix", 0, 0, 0,
		 "Group that may use the unix socket, if it exists"),
	HTTP_OPT("ops_listen", LNX_OPT_STR, ops_listen, "off", 0, 0, 0,
		 "ADDRESS:PORT that serves only /healthz, /readyz and /metrics, without a token"),
	HTTP_OPT("token_file", LNX_OPT_PATH, token_file, "", 0, 0, LNX_OPTF_RELOAD,
		 "File with the token that reading needs; empty: no token"),
	HTTP_OPT("admin_token_file", LNX_OPT_PATH, admin_token_file, "", 0, 0, LNX_OPTF_RELOAD,
		 "File with the token that every POST needs; it also reads"),
	HTTP_OPT("tls_cert_file", LNX_OPT_PATH, tls_cert_file, "", 0, 0, 0,
		 "Certificate chain in PEM for listen"),
	HTTP_OPT("tls_key_file", LNX_OPT_PATH, tls_key_file, "", 0, 0, 0,
		 "Private key in PEM of that certificate"),
	HTTP_OPT("allow_plaintext", LNX_OPT_BOOL, allow_plaintext, "false", 0, 0, 0,
		 "Listen off loopback without TLS: tokens and data cross the network in clear"),
	HTTP_OPT("allowed_hosts", LNX_OPT_LIST, allowed_hosts, "", 0, 0, LNX_OPTF_RELOAD,
		 "Names that a Host header may have besides localhost and IP addresses"),
	HTTP_OPT("max_connections", LNX_OPT_U32, max_connections, "1280", 64, 65536, 0,
		 "Connections open at the same time"),
	HTTP_OPT("max_connections_per_client", LNX_OPT_U32, max_connections_per_client, "64", 1,
		 65536, LNX_OPTF_RELOAD, "Connections of one address of another machine"),
	HTTP_OPT("max_streams", LNX_OPT_U32, max_streams, "1100", 1, 65536, LNX_OPTF_RELOAD,
		 "Event streams open at the same time"),
	HTTP_OPT("max_header", LNX_OPT_SIZE, max_header, "16KiB", 2048, 1048576, 0,
		 "Bytes of a request line with its headers"),
	HTTP_OPT("max_body", LNX_OPT_SIZE, max_body, "64KiB", 1024, 16777216, LNX_OPTF_RELOAD,
		 "Bytes of the body of a POST"),
	HTTP_OPT("max_pending", LNX_OPT_SIZE, max_pending, "32MiB", 1048576, 4294967296.0,
		 LNX_OPTF_RELOAD,
		 "Bytes of answers that wait for slow readers, half of it for one"),
	HTTP_OPT("rate_limit", LNX_OPT_U32, rate_limit, "2000", 0, 1000000, LNX_OPTF_RELOAD,
		 "Requests a second of one client, twice as many in a burst; 0: no limit"),
	HTTP_OPT(
		"work_limit", LNX_OPT_U32, work_limit, "25", 0, 100, LNX_OPTF_RELOAD,
		"Percent of a CPU that the answers to one client may take, two seconds' worth at once; 0: no limit"),
	HTTP_OPT("request_timeout", LNX_OPT_DURATION, request_timeout, "10s", 100 * HTTP_MS,
		 600000 * HTTP_MS, LNX_OPTF_RELOAD, "Time in which a request must have arrived"),
	HTTP_OPT("idle_timeout", LNX_OPT_DURATION, idle_timeout, "60s", 100 * HTTP_MS,
		 3600000 * HTTP_MS, LNX_OPTF_RELOAD,
		 "Time a connection may wait for the next request"),
	HTTP_OPT("answer_timeout", LNX_OPT_DURATION, answer_timeout, "60s", 100 * HTTP_MS,
		 3600000 * HTTP_MS, LNX_OPTF_RELOAD, "Time in which a client must take its answer"),
	{ .key = NULL },
};

static const struct lnx_sub http_subs[] = {
	/* in place: each is one copy of a few hundred bytes a second */
	{ "host.sample", LNX_STAGE_EXPORT, 0 },
	{ "psi.sample", LNX_STAGE_EXPORT, 0 },
};

static const char *const http_needs[] = { "core/1", NULL };
static const char *const http_provides[] = { "http/1", NULL };

static const struct lnx_plugin http_plugin = {
	.size = sizeof(http_plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "http",
	.version = LNX_VERSION,
	.summary = "HTTP API on TCP and a unix socket",
	.flags = LNX_PLUGINF_VITAL,
	.options = http_options,
	.conf_size = sizeof(struct http_conf),
	.n_subs = sizeof(http_subs) / sizeof(http_subs[0]),
	.subs = http_subs,
	.needs = http_needs,
	.init = http_init,
	.start = http_start,
	.on_event = http_on_event,
	.reload = http_reload,
	.stop = http_stop,
	.fini = http_fini,
	.provides = http_provides,
	.check = http_conf_check,
};

const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &http_plugin;
}
