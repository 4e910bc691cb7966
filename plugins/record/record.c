/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin `record`: GET /recording, pieces of a recording. The core makes them; this file asks for the right one, and keeps
 * all types of events wanted while somebody records. */
#include <errno.h>
#include <linnix/plugin.h>
#include <linnix/svc_core.h>
#include <linnix/svc_http.h>
#include <stdlib.h>

#define RECORD_TYPE	"application/octet-stream"
#define RECORD_SEC	1000000000ULL
#define RECORD_LEASE_NS (10 * RECORD_SEC) /* events stay wanted after the last piece */
#define RECORD_LAST_MAX 86400ULL	  /* seconds: far more than a ring holds */

struct record {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	const struct lnx_svc_core *core;
	void *core_self;
	const struct lnx_svc_http *http;
	struct lnx_timer *lease;
	int is_subscribed;
	struct lnx_metric *m_pieces, *m_missed;
};

static const struct lnx_metric_desc record_m_pieces = {
	.name = "linnix_recording_pieces_total",
	.help = "Pieces of recordings given out.",
	.kind = LNX_COUNTER,
};
static const struct lnx_metric_desc record_m_missed = {
	.name = "linnix_recording_missed_total",
	.help = "Events that recorders missed because they came too late.",
	.kind = LNX_COUNTER,
};

static void record_lease_over(void *arg)
{
	struct record *s = arg;

	if (s->is_subscribed)
		(void)s->host->unsubscribe(s->ctx, "*"); /* ours: it is there */
	s->is_subscribed = 0;
}

/* All types are wanted for a while. What fails costs events of probes that nobody else wants, and is said. */
static void record_lease(struct record *s)
{
	int rc = 0;

	if (!s->is_subscribed) {
		rc = s->host->subscribe(s->ctx, "*", LNX_STAGE_EXPORT, 0);
		s->is_subscribed = rc == 0;
	}
	if (rc == 0)
		rc = s->host->timer_set(s->ctx, s->lease, RECORD_LEASE_NS, 0);
	if (rc < 0)
		s->host->log(s->ctx, LNX_WARN,
			     "a recording has only events that others want, too: error %d", -rc);
}

static void record_get(void *arg, struct lnx_http_req *req)
{
	struct record *s = arg;
	struct lnx_recording piece = { .size = sizeof(piece) };
	uint64_t last_s = 0, now = s->host->now_ns(s->ctx);
	struct lnx_buf out = { 0 };
	int rc, is_next = s->http->param(req, "since_seq") != NULL;

	if (s->http->param_u64(req, "since_seq", 0, 0, UINT64_MAX, &piece.since_seq) < 0 ||
	    s->http->param_u64(req, "last_s", 0, 1, RECORD_LAST_MAX, &last_s) < 0)
		return;
	if (is_next && last_s) {
		(void)s->http->error(req, 400, "bad_parameter",
				     "last_s: not together with since_seq");
		return;
	}
	piece.is_begin = !is_next;
	if (last_s)
		piece.since_ns = now > last_s * RECORD_SEC ? now - last_s * RECORD_SEC : 1;
	if (!last_s && (!is_next || s->is_subscribed))
		record_lease(s);
	rc = s->core->recording(s->core_self, &piece, &out);
	if (rc == -ERANGE)
		(void)s->http->error(
			req, 410, "gone",
			"since_seq: %llu was not given out by this agent: it was restarted",
			(unsigned long long)piece.since_seq);
	else if (rc < 0)
		(void)s->http->error(req, 503, "overloaded", "no memory for a recording");
	else
		(void)s->http->respond(req, 200, RECORD_TYPE, out.data, out.size);
	if (rc == 0) {
		s->host->metric_add(s->ctx, s->m_pieces, 1);
		s->host->metric_add(s->ctx, s->m_missed, (double)piece.missed);
	}
	lnx_buf_done(&out);
}

static const char *const record_query[] = { "since_seq", "last_s", NULL };
static const struct lnx_http_route record_route = {
	sizeof(struct lnx_http_route), 0, "GET", "/recording", record_query, record_get
};

static int record_init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		       void **ret_state)
{
	struct record *s = calloc(1, sizeof(*s));
	int rc;

	(void)conf;
	if (!s)
		return -ENOMEM;
	s->host = host;
	s->ctx = ctx;
	rc = host->metric(ctx, &record_m_pieces, NULL, &s->m_pieces);
	if (rc == 0)
		rc = host->metric(ctx, &record_m_missed, NULL, &s->m_missed);
	if (rc == 0)
		rc = host->timer_add(ctx, RECORD_LEASE_NS, 0, record_lease_over, s, &s->lease);
	if (rc < 0) {
		free(s);
		return rc;
	}
	host->timer_stop(ctx, s->lease);
	*ret_state = s;
	return 0;
}

static int record_start(void *state)
{
	struct record *s = state;
	void *http_self = NULL;
	int rc = s->host->service(s->ctx, "core/1", (const void **)&s->core, &s->core_self);

	if (rc == 0 &&
	    s->core->size < offsetof(struct lnx_svc_core, recording) + sizeof(s->core->recording))
		rc = -ENOSYS; /* an older agent */
	if (rc == 0)
		rc = s->host->service(s->ctx, "http/1", (const void **)&s->http, &http_self);
	return rc < 0 ? rc : s->http->route(http_self, &record_route, s);
}

static int record_on_event(void *state, const struct lnx_event *ev)
{
	(void)state; /* that it is wanted is all: the ring keeps it */
	(void)ev;
	return 0;
}

static void record_fini(void *state)
{
	struct record *s = state;

	if (!s)
		return;
	s->host->timer_del(s->ctx, s->lease);
	free(s);
}

static const char *const record_needs[] = { "core/1", "http/1", NULL };

static const struct lnx_plugin record_plugin = {
	.size = sizeof(record_plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "record",
	.version = LNX_VERSION,
	.summary = "Pieces of a recording of what crossed the bus",
	.needs = record_needs,
	.init = record_init,
	.start = record_start,
	.on_event = record_on_event,
	.fini = record_fini,
};

LNX_EXPORT const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &record_plugin;
}
