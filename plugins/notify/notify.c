/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin `notify`: service notify/1, the queue of all notifiers. Loaded when one of them is on. */
#include "notify.h"

#include <errno.h>
#include <linnix/notifier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define LOAD_EVERY_NS (NOTIFY_SEC / 4)

uint64_t notify_wall(const struct notify *n)
{
	return n->host->wall_ns(n->ctx, n->host->now_ns(n->ctx));
}

/* ---- the service */

static int serve_open(void *self, const char *name, const struct lnx_channel_desc *d,
		      struct lnx_channel **ret_ch)
{
	struct notify *n = self;
	int rc = channel_check(n, name, d);

	for (uint32_t i = 0; !rc && i < n->n; i++)
		if (!strcmp(n->channels[i]->name, name))
			rc = -EEXIST;
	if (!rc && n->n == NOTIFY_CHANNELS) {
		n->host->log(n->ctx, LNX_ERROR, "%s: there are %d channels already", name,
			     NOTIFY_CHANNELS);
		rc = -ENOSPC;
	}
	if (!rc)
		rc = channel_new(n, name, d, &n->channels[n->n]);
	if (rc)
		return rc;
	*ret_ch = n->channels[n->n++];
	return n->host->timer_set(n->ctx, n->load_timer, 0, LOAD_EVERY_NS);
}

static int serve_set(void *self, struct lnx_channel *ch, const struct lnx_channel_desc *d)
{
	int rc = channel_check(self, ch->name, d);

	if (rc)
		return rc;
	ch->d = *d;
	channel_arm(ch);
	return 0;
}

static void serve_close(void *self, struct lnx_channel *ch)
{
	struct notify *n = self;
	uint32_t i = 0;

	if (!ch)
		return;
	while (n->channels[i] != ch)
		i++;
	n->channels[i] = n->channels[--n->n];
	channel_free(ch);
}

static int serve_tell(void *self, struct lnx_channel *ch, const char *incident)
{
	struct item *it = item_find(ch, incident);

	(void)self;
	if (!it)
		return -ENOENT;
	if (!it->waits || it->is_sent)
		item_queue(ch, it, LNX_NOTICE_UPDATE);
	channel_arm(ch);
	return 0;
}

static void serve_done(void *self, struct lnx_channel *ch, int rc, const char *why)
{
	(void)self;
	channel_done(ch, rc, why);
}

static const struct lnx_svc_notify service = {
	.size = sizeof(service),
	.open = serve_open,
	.set = serve_set,
	.close = serve_close,
	.tell = serve_tell,
	.done = serve_done,
};

/* ---- life */

/* What earlier runs left to tell: the store opens its file after us. */
static void load(void *arg)
{
	struct notify *n = arg;
	int is_missing = 0;

	for (uint32_t i = 0; i < n->n; i++) {
		struct lnx_channel *ch = n->channels[i];

		if (!ch->is_loaded)
			ch->is_loaded = keep_load(ch) != -EAGAIN;
		is_missing |= !ch->is_loaded;
		channel_arm(ch);
	}
	if (is_missing)
		return;
	keep_sweep(n);
	n->host->timer_stop(n->ctx, n->load_timer);
}

/* Links, as configured or as the API listens; an address of all is the node by its name. */
static void find_base(struct notify *n)
{
	const char *listen = n->host->conf_get(n->ctx, "http.listen"),
		   *cert = n->host->conf_get(n->ctx, "http.tls_cert_file"),
		   *node = n->host->ident(n->ctx)->node, *port;
	int is_all;

	if (*n->conf->link_url) {
		(void)snprintf(n->base, sizeof(n->base), "%s",
			       n->conf->link_url); /* the option is checked */
		return;
	}
	port = listen ? strrchr(listen, ':') : NULL;
	is_all = port && (!strncmp(listen, "0.0.0.0:", 8) || !strncmp(listen, "[::]:", 5) ||
			  port == listen);
	(void)snprintf(n->base, sizeof(n->base), "http%s://%.*s%s", cert && *cert ? "s" : "",
		       port && !is_all ? (int)(port - listen) : 200,
		       port && !is_all ? listen : node, port ? port : ""); /* cut is fine */
}

static void conf_check(const void *conf, void (*say)(void *arg, const char *key, const char *text),
		       void *arg)
{
	const char *url = ((const struct notify_conf *)conf)->link_url;
	size_t n = strlen(url);
	char why[256];

	if (!n || (n < 200 && url[n - 1] != '/' && !lnx_notifier_url_fault(url)))
		return;
	(void)snprintf(
		why, sizeof(why),
		"'%.100s' must be http:// or https://, shorter than 200 bytes, without a / at its end",
		url); /* fits */
	say(arg, "link_url", why);
}

static int init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		void **ret_state)
{
	struct notify *n = calloc(1, sizeof(*n));
	int rc;

	if (!n)
		return -ENOMEM;
	n->host = host;
	n->ctx = ctx;
	n->conf = conf;
	if (getrandom(&n->random, sizeof(n->random), GRND_NONBLOCK) != sizeof(n->random))
		n->random = host->now_ns(ctx); /* it only spreads tries */
	rc = host->provide(ctx, "notify/1", &service, n);
	if (rc) {
		free(n);
		return rc;
	}
	*ret_state = n;
	return 0;
}

static int start(void *state)
{
	struct notify *n = state;
	const void *vtable;
	int rc = n->host->service(n->ctx, "incident/1", &vtable, &n->incident_self);

	if (rc)
		return rc;
	n->incident = vtable;
	if (n->host->service(n->ctx, "store/1", &vtable, &n->store_self) == 0)
		n->store = vtable;
	if (n->host->service(n->ctx, "http_client/1", &vtable, &n->http_self) == 0)
		n->http = vtable;
	find_base(n);
	return n->host->timer_add(n->ctx, 0, LOAD_EVERY_NS, load, n, &n->load_timer);
}

static int on_event(void *state, const struct lnx_event *ev)
{
	const struct lnx_ev_incident *e = (const struct lnx_ev_incident *)ev;
	struct notify *n = state;
	char id[LNX_ULID_MAX];

	if (!LNX_EV_HAS(ev, struct lnx_ev_incident, id) || e->id.len != LNX_ULID_MAX - 1)
		return -EINVAL;
	memcpy(id, (const char *)ev + e->id.off, LNX_ULID_MAX - 1);
	id[LNX_ULID_MAX - 1] = 0;
	for (uint32_t i = 0; i < n->n; i++) {
		item_on_event(n->channels[i], e, id);
		channel_arm(n->channels[i]);
	}
	return 0;
}

static int reload(void *state, const void *conf)
{
	struct notify *n = state;

	n->conf = conf;
	find_base(n);
	return 0;
}

static void fini(void *state)
{
	struct notify *n = state;

	while (n->n)
		serve_close(n, n->channels[0]);
	free(n);
}

#define OFF(m) offsetof(struct notify_conf, m)
static const struct lnx_option options[] = {
	{ "link_url", LNX_OPT_STR, OFF(link_url), "", 0, 0, NULL, LNX_OPTF_RELOAD, 0,
	  "Where people reach this agent's API, for the links in messages; empty: http.listen." },
	{ .key = NULL },
};

static const struct lnx_sub subs[] = {
	{ "incident.open", LNX_STAGE_EXPORT, 0 },
	{ "incident.update", LNX_STAGE_EXPORT, 0 },
	{ "incident.close", LNX_STAGE_EXPORT, 0 },
};
static const char *const needs[] = { "incident/1", "http_client/1?", "store/1?", NULL };
static const char *const provides[] = { "notify/1", NULL };

static const struct lnx_plugin notify_plugin = {
	.size = sizeof(notify_plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "notify",
	.version = "1.0",
	.summary = "the queue of slack, webhook, alertmanager and journal",
	.options = options,
	.conf_size = sizeof(struct notify_conf),
	.n_subs = sizeof(subs) / sizeof(subs[0]),
	.subs = subs,
	.needs = needs,
	.init = init,
	.start = start,
	.on_event = on_event,
	.reload = reload,
	.fini = fini,
	.flags = LNX_PLUGINF_OFF | LNX_PLUGINF_NEEDED,
	.provides = provides,
	.check = conf_check,
};

LNX_EXPORT const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &notify_plugin;
}
