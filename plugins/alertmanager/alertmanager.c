/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin `alertmanager`: incidents as alerts of the v2 API, again and again while they are open. */
#include "alertmanager.h"

#include <errno.h>
#include <linnix/notifier.h>
#include <linnix/plugin.h>
#include <linnix/svc_http_client.h>
#include <stdlib.h>
#include <string.h>

struct am_conf {
	const char *url, *token_file, *ca_file;
	uint32_t allow_plaintext, min_severity;
	uint64_t resend_ns, timeout_ns, give_up_ns;
};

struct am {
	struct lnx_notifier n;
	const struct am_conf *conf;
};

static int am_render(void *arg, const struct lnx_notice *list, uint32_t n,
		     struct lnx_notify_post *p, char *why, uint64_t cap)
{
	struct am *a = arg;
	const struct lnx_ident *id = a->n.host->ident(a->n.ctx);
	uint64_t now = a->n.host->wall_ns(a->n.ctx, a->n.host->now_ns(a->n.ctx));
	size_t url_bytes = strlen(a->conf->url);

	while (url_bytes && a->conf->url[url_bytes - 1] == '/')
		url_bytes--;
	lnx_buf_add(&p->url, a->conf->url, url_bytes);
	lnx_buf_str(&p->url, "/api/v2/alerts");
	p->flags = a->conf->allow_plaintext ? LNX_HTTPC_PLAINTEXT : 0;
	p->ca_file = a->conf->ca_file;
	lnx_buf_printf(&p->headers, "User-Agent: linnix/%s\nContent-Type: application/json\n",
		       id->version);
	lnx_buf_char(&p->body, '[');
	for (uint32_t i = 0; i < n; i++)
		am_alert(id, &list[i], now, &p->body);
	lnx_buf_char(&p->body, ']');
	return lnx_notifier_token(a->conf->token_file, &p->headers, why, cap);
}

/* ---- life */

static struct lnx_channel_desc desc_of(struct am *a)
{
	const struct am_conf *c = a->conf;

	return (struct lnx_channel_desc){ .size = sizeof(struct lnx_channel_desc),
					  .min_severity = c->min_severity,
					  .batch = 64,
					  .timeout_ns = c->timeout_ns,
					  .give_up_ns = c->give_up_ns,
					  .resend_ns = c->resend_ns,
					  .render = am_render,
					  .arg = a };
}

static void conf_check(const void *conf, void (*say)(void *arg, const char *key, const char *text),
		       void *arg)
{
	const struct am_conf *c = conf;

	if (!*c->url)
		say(arg, "url", "is needed");
	else
		lnx_notifier_check_url(c->url, say, arg);
}

static int check(struct am *a)
{
	struct lnx_buf token = { 0 };
	char why[256] = "";
	int rc = lnx_notifier_token(a->conf->token_file, &token, why, sizeof(why));

	if (rc < 0)
		a->n.host->log(a->n.ctx, LNX_ERROR, "%s", why);
	lnx_secret_done(&token);
	return rc;
}

static int init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		void **ret_state)
{
	struct am *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->n.host = host;
	a->n.ctx = ctx;
	a->conf = conf;
	*ret_state = a;
	return 0;
}

static int start(void *state)
{
	struct am *a = state;
	struct lnx_channel_desc d = desc_of(a);
	int rc = check(a);

	return rc < 0 ? rc : lnx_notifier_open(&a->n, &d);
}

static int reload(void *state, const void *conf)
{
	struct am *a = state;
	const struct am_conf *before = a->conf;
	struct lnx_channel_desc d;
	int rc;

	a->conf = conf;
	d = desc_of(a);
	rc = check(a);
	if (rc == 0)
		rc = lnx_notifier_set(&a->n, &d);
	if (rc < 0)
		a->conf = before;
	return rc;
}

static void stop(void *state)
{
	struct am *a = state;

	lnx_notifier_close(&a->n);
}

static const char *const severities[] = { "info", "warning", "critical", NULL };

#define OFF(m) offsetof(struct am_conf, m)
static const struct lnx_option options[] = {
	{ "url", LNX_OPT_STR, OFF(url), "", 0, 0, NULL, LNX_OPTF_RELOAD, 0,
	  "Alertmanager; /api/v2/alerts is added." },
	{ "token_file", LNX_OPT_PATH, OFF(token_file), "", 0, 0, NULL, LNX_OPTF_RELOAD, 0,
	  "File with a token, sent as Authorization: Bearer." },
	{ "ca_file", LNX_OPT_PATH, OFF(ca_file), "", 0, 0, NULL, LNX_OPTF_RELOAD, 0,
	  "Authorities to trust, in PEM; empty: the system's." },
	{ "allow_plaintext", LNX_OPT_BOOL, OFF(allow_plaintext), "false", 0, 0, NULL,
	  LNX_OPTF_RELOAD, 0, "Send over http:// to another machine, in clear." },
	{ "min_severity", LNX_OPT_ENUM, OFF(min_severity), "warning", 0, 0, severities,
	  LNX_OPTF_RELOAD, 0, "Least severe incidents that are told." },
	{ "resend", LNX_OPT_DURATION, OFF(resend_ns), "1m", 1e9, 3600e9, NULL, LNX_OPTF_RELOAD, 0,
	  "Open ones are told again after this time; well below Alertmanager's resolve_timeout (5m)." },
	{ "timeout", LNX_OPT_DURATION, OFF(timeout_ns), "10s", 100e6, 300e9, NULL, LNX_OPTF_RELOAD,
	  0, "Time for one try." },
	{ "give_up", LNX_OPT_DURATION, OFF(give_up_ns), "1d", 60e9, 2592000e9, NULL,
	  LNX_OPTF_RELOAD, 0, "What could not be told for so long is dropped and counted." },
	{ .key = NULL },
};

static const char *const needs[] = { "notify/1", NULL };

static const struct lnx_plugin am_plugin = {
	.size = sizeof(am_plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "alertmanager",
	.version = "1.0",
	.summary = "incidents as alerts of Alertmanager",
	.options = options,
	.conf_size = sizeof(struct am_conf),
	.needs = needs,
	.init = init,
	.start = start,
	.reload = reload,
	.stop = stop,
	.fini = free,
	.flags = LNX_PLUGINF_OFF,
	.check = conf_check,
};

LNX_EXPORT const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &am_plugin;
}
