/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin `incident`: alerts become incidents, deduplicated, kept and shown with their evidence. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "incident.h"

static void tick(void *arg)
{
	struct incidents *s = arg;
	uint64_t now = s->host->now_ns(s->ctx);

	if (!s->is_loaded)
		s->is_loaded = inc_load(s) != -EAGAIN;
	inc_tick(s, now);
	silence_tick(s, s->host->wall_ns(s->ctx, now));
}

static const struct lnx_metric_desc m_dropped = {
	.name = "linnix_incidents_dropped_total",
	.help = "Incidents not opened because too many are open.",
	.kind = LNX_COUNTER,
};
static const struct lnx_metric_desc m_silenced = {
	.name = "linnix_incidents_silenced_total",
	.help = "Incidents opened under a silence.",
	.kind = LNX_COUNTER,
};
static const struct lnx_metric_desc m_open = {
	.name = "linnix_incidents_open",
	.help = "Incidents that are open.",
	.kind = LNX_GAUGE,
};

static int init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		void **ret_state)
{
	struct incidents *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->host = host;
	s->ctx = ctx;
	s->conf = conf;
	rc = host->metric(ctx, &m_dropped, NULL, &s->m_dropped);
	if (!rc)
		rc = host->metric(ctx, &m_silenced, NULL, &s->m_silenced);
	if (!rc)
		rc = host->metric(ctx, &m_open, NULL, &s->m_open);
	if (!rc)
		rc = host->provide(ctx, "incident/1", &inc_service, s);
	if (rc) {
		free(s);
		return rc;
	}
	*ret_state = s;
	return 0;
}

static int start(void *state)
{
	struct incidents *s = state;
	const void *vtable;
	int rc;

	if (s->host->service(s->ctx, "store/1", &vtable, &s->store_self) == 0)
		s->store = vtable;
	inc_limits_mounts(s);
	inc_count_none(s);
	rc = inc_routes(s);
	if (!rc)
		rc = s->host->timer_add(s->ctx, INC_SEC, INC_SEC, tick, s, &s->tick);
	return rc;
}

static int on_event(void *state, const struct lnx_event *ev)
{
	return ev->type == LNX_EV_ALERT ? inc_on_alert(state, ev) : -EINVAL;
}

static int reload(void *state, const void *conf)
{
	struct incidents *s = state;

	s->conf = conf;
	return 0;
}

/* As they are now: an open one is taken up again by the next start. */
static void stop(void *state)
{
	struct incidents *s = state;

	for (const struct inc *inc = s->newest; inc; inc = inc->next)
		if (inc->is_open)
			(void)inc_save(s, inc); /* the store counts what it refuses */
}

static void fini(void *state)
{
	struct incidents *s = state;
	struct inc *inc, *next;

	for (inc = s->newest; inc; inc = next) {
		next = inc->next;
		inc_done(inc);
	}
	free(s);
}

#define OFF(m) offsetof(struct inc_conf, m)
static const struct lnx_option options[] = {
	{ "quiet", LNX_OPT_DURATION, OFF(quiet_ns), "60s", 1e9, 86400e9, NULL, LNX_OPTF_RELOAD, 0,
	  "An incident closes when none of its alerts has fired for so long." },
	{ "reopen", LNX_OPT_DURATION, OFF(reopen_ns), "10m", 0, 86400e9, NULL, LNX_OPTF_RELOAD, 0,
	  "The same cause within this time after the close opens it again, and a flap is counted." },
	{ "before", LNX_OPT_DURATION, OFF(before_ns), "60s", 1e9, 3600e9, NULL, LNX_OPTF_RELOAD, 0,
	  "How far back the evidence reaches, as far as the ring of events does." },
	{ "cgroup_root", LNX_OPT_PATH, OFF(cgroup_root), "", 0, 0, NULL, 0, 0,
	  "Where cgroup2 is mounted; empty: found in the mount table." },
	{ .key = NULL },
};

static const struct lnx_sub subs[] = { { "alert", LNX_STAGE_JUDGE, 0 } };
static const char *const needs[] = { "http/1?", "proc/1?", "store/1?", "workload/1?", NULL };
static const char *const provides[] = { "incident/1", NULL };

static const struct lnx_plugin incident_plugin = {
	.size = sizeof(incident_plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "incident",
	.version = "1.0",
	.summary = "alerts become incidents with evidence",
	.options = options,
	.conf_size = sizeof(struct inc_conf),
	.n_subs = sizeof(subs) / sizeof(subs[0]),
	.subs = subs,
	.needs = needs,
	.provides = provides,
	.init = init,
	.start = start,
	.on_event = on_event,
	.reload = reload,
	.stop = stop,
	.fini = fini,
};

LNX_EXPORT const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &incident_plugin;
}
