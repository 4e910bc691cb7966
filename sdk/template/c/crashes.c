/* SPDX-License-Identifier: MIT */
/* Plugin crashes: counts processes that a signal killed, and says so when many do within a window.
 *
 * A template: small, but with one of each that plugins have. Options, a subscription, an event type of
 * its own, a metric, a timer, a reload. Copy it, rename it, change it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linnix/ev_proc.h>
#include <linnix/plugin.h>

/* ---- the event it publishes: a struct, and a table from which JSON, rules and the reference come */

struct crashes_burst {
	struct lnx_event h;
	__u64 window_ns;
	__u32 crashes; /* in the window */
	__u32 signal;  /* of the last one */
	char comm[16]; /* of the last one */
};

static const struct lnx_field crashes_fields[] = {
	LNX_FIELD(crashes_burst, "crashes", LNX_U32, crashes, "", "crashes in the window", NULL),
	LNX_FIELD(crashes_burst, "window_ns", LNX_U64, window_ns, "ns", "the window", NULL),
	LNX_FIELD(crashes_burst, "signal", LNX_U32, signal, "", "signal of the last one", NULL),
	LNX_FIELD(crashes_burst, "comm", LNX_CHARS, comm, "", "name of the last one", NULL),
};

static const struct lnx_event_desc crashes_desc = {
	.size = sizeof(crashes_desc),
	.fixed = sizeof(struct crashes_burst),
	.name = "crashes.burst",
	.doc = "many processes were killed by signals",
	.fields = crashes_fields,
	.n_fields = sizeof(crashes_fields) / sizeof(crashes_fields[0]),
};

/* ---- its options: the section `crashes:` of the configuration */

struct crashes_conf {
	uint64_t window_ns;
	uint32_t limit;
	uint32_t pad;
};

static const struct lnx_option crashes_options[] = {
	{ "limit", LNX_OPT_U32, offsetof(struct crashes_conf, limit), "5", 1, 1000000, NULL,
	  LNX_OPTF_RELOAD, 0, "Crashes in a window that are a burst." },
	{ "window", LNX_OPT_DURATION, offsetof(struct crashes_conf, window_ns), "10s", 1e9, 3600e9,
	  NULL, 0, 0, "Time in which they are counted." },
	{ .key = NULL },
};

/* ---- one instance: everything hangs from here, nothing is static */

struct crashes {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	const struct crashes_conf *conf; /* borrowed until a reload */
	struct lnx_timer *timer;
	struct lnx_metric *total;
	struct crashes_burst burst; /* the event, filled as crashes come */
};

static const struct lnx_metric_desc crashes_metric = {
	.name = "crashes_processes_total",
	.help = "Processes killed by a signal.",
	.kind = LNX_COUNTER,
};

static void crashes_window_end(void *arg)
{
	struct crashes *c = arg;
	int r;

	if (c->burst.crashes >= c->conf->limit) {
		r = c->host->publish(c->ctx, &c->burst.h);
		if (r)
			c->host->log(c->ctx, LNX_WARN, "a burst was not published: %s",
				     strerror(-r));
	}
	c->burst.crashes = 0;
}

static int crashes_on_event(void *state, const struct lnx_event *ev)
{
	const struct lnx_ev_proc_exit *e = (const struct lnx_ev_proc_exit *)ev;
	struct crashes *c = state;

	/* an older producer may not have known the members we read */
	if (!LNX_EV_HAS(ev, struct lnx_ev_proc_exit, comm))
		return -EINVAL;
	if (!e->signal)
		return 0;
	c->host->metric_add(c->ctx, c->total, 1);
	c->burst.crashes++;
	c->burst.h.pid = ev->pid;
	c->burst.signal = e->signal;
	memcpy(c->burst.comm, e->comm, sizeof(c->burst.comm));
	return 0;
}

static void crashes_fini(void *state)
{
	free(state); /* timers and metrics die with the plugin */
}

static int crashes_init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
			void **ret_state)
{
	struct crashes *c = calloc(1, sizeof(*c));
	int type, r;

	if (!c)
		return -ENOMEM;
	c->host = host;
	c->ctx = ctx;
	c->conf = conf;
	r = host->metric(ctx, &crashes_metric, NULL, &c->total);
	type = r ? r : host->event_register(ctx, &crashes_desc);
	if (type < 0) {
		crashes_fini(c);
		return type;
	}
	c->burst.h.type = (__u16)type;
	c->burst.h.size = c->burst.h.fixed = sizeof(c->burst);
	c->burst.h.cpu = LNX_CPU_NONE;
	c->burst.window_ns = c->conf->window_ns;
	*ret_state = c;
	return 0;
}

static int crashes_start(void *state)
{
	struct crashes *c = state;

	return c->host->timer_add(c->ctx, c->conf->window_ns, c->conf->window_ns,
				  crashes_window_end, c, &c->timer);
}

static int crashes_reload(void *state, const void *conf)
{
	((struct crashes *)state)->conf = conf;
	return 0;
}

/* ---- what the host reads */

static const struct lnx_sub crashes_subs[] = {
	{ "proc.exit", LNX_STAGE_DETECT, 0 },
};

static const struct lnx_plugin crashes_plugin = {
	.size = sizeof(crashes_plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "crashes",
	.version = "1.0",
	.summary = "counts processes that a signal killed",
	.options = crashes_options,
	.conf_size = sizeof(struct crashes_conf),
	.n_subs = sizeof(crashes_subs) / sizeof(crashes_subs[0]),
	.subs = crashes_subs,
	.init = crashes_init,
	.start = crashes_start,
	.on_event = crashes_on_event,
	.reload = crashes_reload,
	.fini = crashes_fini,
};

LNX_EXPORT const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &crashes_plugin;
}
