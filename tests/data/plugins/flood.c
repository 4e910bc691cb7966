/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A plugin that does nothing wrong but much: it publishes so many events a second of its own type, for so long. */
#include <stddef.h>
#include <stdlib.h>

#include <linnix/plugin.h>

#define FLOOD_KINDS 20
#define FLOOD_KEYS  64
#define FLOOD_TURN  4000 /* events in one turn of the loop */

struct flood_event {
	struct lnx_event h;
	__u32 kind, key;
	__u64 value;
};

struct flood_conf {
	uint32_t per_second, seconds;
};

struct flood {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	const struct flood_conf *conf;
	struct lnx_timer *timer;
	struct lnx_metric *sent, *refused;
	uint64_t from_ns, n;
	int type;
};

static const struct lnx_option flood_options[] = {
	{ "per_second", LNX_OPT_U32, offsetof(struct flood_conf, per_second), "100000", 1, 1e7,
	  NULL, 0, 0, "Events a second." },
	{ "seconds", LNX_OPT_U32, offsetof(struct flood_conf, seconds), "1", 1, 3600, NULL, 0, 0,
	  "How long." },
	{ .key = NULL },
};

static const struct lnx_field flood_fields[] = {
	LNX_FIELD(flood_event, "kind", LNX_U32, kind, "", "0 to 19", NULL),
	LNX_FIELD(flood_event, "key", LNX_U32, key, "", "0 to 63", NULL),
	LNX_FIELD(flood_event, "value", LNX_U64, value, "", "counts up", NULL),
};

static const struct lnx_event_desc flood_desc = {
	.size = sizeof(flood_desc),
	.fixed = sizeof(struct flood_event),
	.name = "flood.drop",
	.doc = "one of many",
	.fields = flood_fields,
	.n_fields = 3,
};

/* As many as are due by now, however late the timer is. */
static void flood_on_time(void *arg)
{
	struct flood *f = arg;
	uint64_t now = f->host->now_ns(f->ctx), due;
	struct flood_event e = { .h = { sizeof(e), 0, sizeof(e), 0, 0, LNX_CPU_NONE } };
	unsigned i;

	if (!f->from_ns)
		f->from_ns = now;
	e.h.type = (__u16)f->type;
	due = (now - f->from_ns) / 1000 * f->conf->per_second / 1000000;
	if (due > (uint64_t)f->conf->per_second * f->conf->seconds)
		due = (uint64_t)f->conf->per_second * f->conf->seconds;
	for (i = 0; i < FLOOD_TURN && f->n < due; i++, f->n++) {
		e.kind = (__u32)(f->n % FLOOD_KINDS);
		e.key = (__u32)(f->n / FLOOD_KINDS % FLOOD_KEYS);
		e.value = f->n;
		f->host->metric_add(f->ctx,
				    f->host->publish(f->ctx, &e.h) < 0 ? f->refused : f->sent, 1);
	}
	if (f->n == (uint64_t)f->conf->per_second * f->conf->seconds)
		f->host->timer_stop(f->ctx, f->timer);
}

static int flood_init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		      void **ret_state)
{
	static const struct lnx_metric_desc sent = { .name = "flood_sent_total",
						     .help = "Events published.",
						     .kind = LNX_COUNTER };
	static const struct lnx_metric_desc refused = { .name = "flood_refused_total",
							.help = "Events not published.",
							.kind = LNX_COUNTER };
	struct flood *f = calloc(1, sizeof(*f));
	int rc;

	if (!f)
		return -12;
	f->host = host;
	f->ctx = ctx;
	f->conf = conf;
	f->type = host->event_register(ctx, &flood_desc);
	rc = f->type < 0 ? f->type : host->metric(ctx, &sent, NULL, &f->sent);
	if (rc >= 0)
		rc = host->metric(ctx, &refused, NULL, &f->refused);
	if (rc < 0) {
		free(f);
		return rc;
	}
	*ret_state = f;
	return 0;
}

static int flood_start(void *state)
{
	struct flood *f = state;

	return f->host->timer_add(f->ctx, 1000000000, 2000000, flood_on_time, f, &f->timer);
}

static void flood_fini(void *state)
{
	free(state);
}

static const struct lnx_plugin flood = {
	.size = sizeof(flood),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "flood",
	.version = "1.0",
	.summary = "publishes events",
	.options = flood_options,
	.conf_size = sizeof(struct flood_conf),
	.init = flood_init,
	.start = flood_start,
	.fini = flood_fini,
};

const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &flood;
}
