/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin `stream`: GET /stream, events to any number of readers as server-sent events. This file: options, life, and the
 * heartbeat.
 *
 * The handler of events only wakes the pump, which takes them from the core's ring in order: types of several
 * subscriptions cannot overtake each other, nothing is copied per event, and a burst waits in the ring instead of in a
 * queue that may overflow. */
#include "stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define STREAM_OPT(k, ty, m, d, lo, hi, fl, hp)                                    \
	{                                                                          \
		k, ty, offsetof(struct stream_conf, m), d, lo, hi, NULL, fl, 0, hp \
	}

static const struct lnx_metric_desc stream_m_clients = {
	.name = "linnix_sse_clients",
	.help = "Readers of GET /stream.",
	.kind = LNX_GAUGE,
};
static const struct lnx_metric_desc stream_m_lagged = {
	.name = "linnix_sse_lagged_total",
	.help = "Events that slow readers missed, summed over readers.",
	.kind = LNX_COUNTER,
};
static const struct lnx_metric_desc stream_m_events = {
	.name = "linnix_sse_events_total",
	.help = "Events rendered for readers, each once.",
	.kind = LNX_COUNTER,
};

/* A comment keeps proxies from closing a quiet stream, and finds out who is gone. */
static void stream_beat(void *arg)
{
	static const char comment[] = ": heartbeat\n\n";
	struct stream *s = arg;
	uint64_t now = s->host->now_ns(s->ctx);
	struct stream_client *c, *next;

	for (c = s->clients; c; c = next) {
		next = c->next;
		if (!c->is_blocked)
			(void)s->http->stream_write(c->http, comment, sizeof(comment) - 1);
		else if (s->conf->stall_timeout && now > c->moved_ns + s->conf->stall_timeout)
			stream_client_close(c);
	}
}

static void stream_fini(void *state)
{
	struct stream *s = state;

	if (!s)
		return;
	while (s->clients)
		stream_client_close(s->clients);
	s->host->timer_del(s->ctx, s->pump);
	s->host->timer_del(s->ctx, s->beat);
	stream_frames_close(&s->frames);
	free(s->text);
	free(s);
}

static int stream_init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		       void **ret_state)
{
	struct stream *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->host = host;
	s->ctx = ctx;
	s->conf = conf;
	(void)snprintf(s->run, sizeof(s->run), "%016" PRIx64,
		       host->wall_ns(ctx, host->now_ns(ctx))); /* fits */
	rc = host->metric(ctx, &stream_m_clients, NULL, &s->m_clients);
	if (rc == 0)
		rc = host->metric(ctx, &stream_m_lagged, NULL, &s->m_lagged);
	if (rc == 0)
		rc = host->metric(ctx, &stream_m_events, NULL, &s->m_events);
	if (rc == 0)
		rc = host->timer_add(ctx, STREAM_SEC, 0, stream_pump, s, &s->pump);
	if (rc == 0)
		rc = host->timer_add(ctx, STREAM_SEC, 0, stream_beat, s, &s->beat);
	if (rc < 0) {
		stream_fini(s);
		return rc;
	}
	host->timer_stop(ctx, s->pump);
	host->timer_stop(ctx, s->beat);
	*ret_state = s;
	return 0;
}

static int stream_start(void *state)
{
	struct stream *s = state;
	int rc = s->host->service(s->ctx, "http/1", (const void **)&s->http, &s->http_self);

	return rc < 0 ? rc : s->http->route(s->http_self, &stream_route, s);
}

static int stream_on_event(void *state, const struct lnx_event *ev)
{
	(void)ev;
	stream_arm(state);
	return 0;
}

static int stream_reload(void *state, const void *conf)
{
	struct stream *s = state;

	s->conf = conf;
	return 0;
}

static void stream_stop(void *state)
{
	struct stream *s = state;

	while (s->clients)
		stream_client_close(s->clients);
}

static const struct lnx_option stream_options[] = {
	STREAM_OPT("buffer", LNX_OPT_SIZE, buffer, "1MiB", 131072, 268435456, LNX_OPTF_RELOAD,
		   "Rendered events kept for readers that are behind, one block for all of them"),
	STREAM_OPT("heartbeat", LNX_OPT_DURATION, heartbeat, "15s", 1e8, 3.6e12, LNX_OPTF_RELOAD,
		   "Time between comments that keep a quiet stream open"),
	STREAM_OPT("stall_timeout", LNX_OPT_DURATION, stall_timeout, "10m", 0, 8.64e13,
		   LNX_OPTF_RELOAD,
		   "A reader that takes nothing for so long is disconnected; 0: never"),
	{ .key = NULL },
};

static const char *const stream_needs[] = { "http/1", NULL };

static const struct lnx_plugin stream_plugin = {
	.size = sizeof(stream_plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "stream",
	.version = LNX_VERSION,
	.summary = "Events to any number of readers, as server-sent events",
	.options = stream_options,
	.conf_size = sizeof(struct stream_conf),
	.needs = stream_needs,
	.init = stream_init,
	.start = stream_start,
	.on_event = stream_on_event,
	.reload = stream_reload,
	.stop = stream_stop,
	.fini = stream_fini,
};

const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &stream_plugin;
}
