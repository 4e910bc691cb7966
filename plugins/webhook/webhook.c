/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin `webhook`: incidents as JSON or CloudEvents 1.0 to a URL, signed. */
#include <errno.h>
#include <linnix/notifier.h>
#include <linnix/plugin.h>
#include <linnix/svc_http_client.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "webhook.h"

struct webhook_conf {
	const char *url, *url_file, *secret_file, *token_file, *ca_file;
	uint32_t format, allow_plaintext, min_severity, rate, updates, evidence;
	uint64_t group_ns, timeout_ns, give_up_ns;
};

struct webhook {
	struct lnx_notifier n;
	const struct webhook_conf *conf;
};

static int put_url(struct webhook *w, struct lnx_buf *out, char *why, uint64_t cap)
{
	char secret[LNX_SECRET_MAX];
	int rc = 0;

	if (!*w->conf->url_file) {
		lnx_buf_str(out, w->conf->url);
		return 0;
	}
	rc = lnx_secret_read(w->conf->url_file, secret, why, cap);
	if (rc == 0 && lnx_notifier_url_fault(secret)) {
		(void)snprintf(why, cap, "%s holds no URL: it %s", w->conf->url_file,
			       lnx_notifier_url_fault(secret));
		rc = -EINVAL;
	}
	if (rc == 0)
		lnx_buf_str(out, secret);
	explicit_bzero(secret, sizeof(secret));
	return rc;
}

void webhook_sign(const char *secret, uint64_t unix_s, const char *body, size_t n, char ret[65])
{
	crypto_auth_hmacsha256_state st;
	unsigned char mac[crypto_auth_hmacsha256_BYTES];
	char t[32];
	int k = snprintf(t, sizeof(t), "%llu.", (unsigned long long)unix_s);

	(void)crypto_auth_hmacsha256_init(&st, (const unsigned char *)secret,
					  strlen(secret)); /* these three return 0 always */
	(void)crypto_auth_hmacsha256_update(&st, (const unsigned char *)t, (unsigned long long)k);
	(void)crypto_auth_hmacsha256_update(&st, (const unsigned char *)body, n);
	(void)crypto_auth_hmacsha256_final(&st, mac);
	(void)sodium_bin2hex(ret, 65, mac, sizeof(mac)); /* fits */
	sodium_memzero(&st, sizeof(st));
}

static int put_signature(struct webhook *w, struct lnx_notify_post *p, char *why, uint64_t cap)
{
	uint64_t now = w->n.host->wall_ns(w->n.ctx, w->n.host->now_ns(w->n.ctx)) / 1000000000u;
	char secret[LNX_SECRET_MAX], mac[65];
	int rc;

	if (!*w->conf->secret_file)
		return 0;
	rc = lnx_secret_read(w->conf->secret_file, secret, why, cap);
	if (rc == 0) {
		webhook_sign(secret, now, p->body.data, p->body.size, mac);
		lnx_buf_printf(&p->headers, "Linnix-Signature: t=%llu,v1=%s\n",
			       (unsigned long long)now, mac);
	}
	explicit_bzero(secret, sizeof(secret));
	return rc;
}

static int webhook_render(void *arg, const struct lnx_notice *list, uint32_t n,
			  struct lnx_notify_post *p, char *why, uint64_t cap)
{
	struct webhook *w = arg;
	const struct lnx_ident *id = w->n.host->ident(w->n.ctx);
	int rc = put_url(w, &p->url, why, cap);

	if (rc < 0)
		return rc;
	p->flags = w->conf->allow_plaintext ? LNX_HTTPC_PLAINTEXT : 0;
	p->ca_file = w->conf->ca_file;
	lnx_buf_printf(&p->headers, "User-Agent: linnix/%s\n", id->version);
	lnx_buf_printf(&p->headers, "Linnix-Delivery: %s\n", list[0].delivery);
	/* a digest is to be read at once: what it tells of can be asked for */
	if (w->conf->format == WEBHOOK_LINNIX)
		webhook_linnix(id, list, n, w->conf->evidence && n == 1, &p->body);
	else
		webhook_cloudevents(id, list, n, w->conf->evidence && n == 1, &p->body);
	lnx_buf_printf(&p->headers, "Content-Type: %s\n",
		       w->conf->format == WEBHOOK_LINNIX ? "application/json"
		       : n == 1				 ? "application/cloudevents+json"
							 : "application/cloudevents-batch+json");
	if (lnx_buf_error(&p->body))
		return lnx_buf_error(&p->body);
	rc = lnx_notifier_token(w->conf->token_file, &p->headers, why, cap);
	return rc < 0 ? rc : put_signature(w, p, why, cap);
}

/* ---- life */

static struct lnx_channel_desc desc_of(struct webhook *w)
{
	const struct webhook_conf *c = w->conf;

	return (struct lnx_channel_desc){ .size = sizeof(struct lnx_channel_desc),
					  .flags = c->updates ? LNX_CHANNEL_ALL : 0,
					  .min_severity = c->min_severity,
					  .rate = c->rate,
					  .batch = 64,
					  .group_ns = c->group_ns,
					  .timeout_ns = c->timeout_ns,
					  .give_up_ns = c->give_up_ns,
					  .render = webhook_render,
					  .arg = w };
}

static void conf_check(const void *conf, void (*say)(void *arg, const char *key, const char *text),
		       void *arg)
{
	const struct webhook_conf *c = conf;

	if (!*c->url == !*c->url_file)
		say(arg, "url", "either url or url_file is needed");
	else if (*c->url)
		lnx_notifier_check_url(c->url, say, arg);
}

/* What can be known to be wrong before the first message: the files. */
static int check(struct webhook *w)
{
	struct lnx_notify_post p = { .size = sizeof(p) };
	char why[256] = "";
	int rc = put_url(w, &p.url, why, sizeof(why));

	if (rc == 0)
		rc = lnx_notifier_token(w->conf->token_file, &p.headers, why, sizeof(why));
	lnx_buf_str(&p.body, "{}");
	if (rc == 0)
		rc = put_signature(w, &p, why, sizeof(why));
	if (rc < 0)
		w->n.host->log(w->n.ctx, LNX_ERROR, "%s", why);
	lnx_secret_done(&p.url);
	lnx_secret_done(&p.headers);
	lnx_buf_done(&p.body);
	return rc;
}

static int init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		void **ret_state)
{
	struct webhook *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->n.host = host;
	w->n.ctx = ctx;
	w->conf = conf;
	*ret_state = w;
	if (sodium_init() >= 0)
		return 0;
	free(w);
	return -ENOSYS;
}

static int start(void *state)
{
	struct webhook *w = state;
	struct lnx_channel_desc d = desc_of(w);
	int rc = check(w);

	return rc < 0 ? rc : lnx_notifier_open(&w->n, &d);
}

static int reload(void *state, const void *conf)
{
	struct webhook *w = state;
	const struct webhook_conf *before = w->conf;
	struct lnx_channel_desc d;
	int rc;

	w->conf = conf;
	d = desc_of(w);
	rc = check(w);
	if (rc == 0)
		rc = lnx_notifier_set(&w->n, &d);
	if (rc < 0)
		w->conf = before;
	return rc;
}

static void stop(void *state)
{
	struct webhook *w = state;

	lnx_notifier_close(&w->n);
}

static const char *const formats[] = { "linnix", "cloudevents", NULL };
static const char *const severities[] = { "info", "warning", "critical", NULL };
static const char *const updates[] = { "important", "all", NULL };

#define OFF(m) offsetof(struct webhook_conf, m)
static const struct lnx_option options[] = {
	{ "url", LNX_OPT_STR, OFF(url), "", 0, 0, NULL, LNX_OPTF_RELOAD, 0,
	  "Where messages go, by POST." },
	{ "url_file", LNX_OPT_PATH, OFF(url_file), "", 0, 0, NULL, LNX_OPTF_RELOAD, 0,
	  "File with the URL instead, when it holds a secret." },
	{ "format", LNX_OPT_ENUM, OFF(format), "linnix", 0, 0, formats, LNX_OPTF_RELOAD, 0,
	  "JSON of linnix, or CloudEvents 1.0." },
	{ "secret_file", LNX_OPT_PATH, OFF(secret_file), "", 0, 0, NULL, LNX_OPTF_RELOAD, 0,
	  "File with the key that messages are signed with (HMAC-SHA256, header Linnix-Signature)." },
	{ "token_file", LNX_OPT_PATH, OFF(token_file), "", 0, 0, NULL, LNX_OPTF_RELOAD, 0,
	  "File with a token, sent as Authorization: Bearer." },
	{ "ca_file", LNX_OPT_PATH, OFF(ca_file), "", 0, 0, NULL, LNX_OPTF_RELOAD, 0,
	  "Authorities to trust, in PEM; empty: the system's." },
	{ "allow_plaintext", LNX_OPT_BOOL, OFF(allow_plaintext), "false", 0, 0, NULL,
	  LNX_OPTF_RELOAD, 0, "Send over http:// to another machine, in clear." },
	{ "min_severity", LNX_OPT_ENUM, OFF(min_severity), "warning", 0, 0, severities,
	  LNX_OPTF_RELOAD, 0, "Least severe incidents that are told." },
	{ "updates", LNX_OPT_ENUM, OFF(updates), "important", 0, 0, updates, LNX_OPTF_RELOAD, 0,
	  "Changes that are told: a higher severity and the outcome of an action, or all." },
	{ "evidence", LNX_OPT_BOOL, OFF(evidence), "true", 0, 0, NULL, LNX_OPTF_RELOAD, 0,
	  "Send the evidence, too." },
	{ "rate", LNX_OPT_U32, OFF(rate), "10", 0, 100000, NULL, LNX_OPTF_RELOAD, 0,
	  "Messages an hour; what is more comes as one, later. 0: no limit." },
	{ "group", LNX_OPT_DURATION, OFF(group_ns), "5s", 0, 3600e9, NULL, LNX_OPTF_RELOAD, 0,
	  "After a message, incidents of so long are told together." },
	{ "timeout", LNX_OPT_DURATION, OFF(timeout_ns), "10s", 100e6, 300e9, NULL, LNX_OPTF_RELOAD,
	  0, "Time for one try." },
	{ "give_up", LNX_OPT_DURATION, OFF(give_up_ns), "1d", 60e9, 2592000e9, NULL,
	  LNX_OPTF_RELOAD, 0, "What could not be told for so long is dropped and counted." },
	{ .key = NULL },
};

static const char *const needs[] = { "notify/1", NULL };

static const struct lnx_plugin webhook_plugin = {
	.size = sizeof(webhook_plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "webhook",
	.version = "1.0",
	.summary = "incidents as JSON or CloudEvents to a URL",
	.options = options,
	.conf_size = sizeof(struct webhook_conf),
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
	return &webhook_plugin;
}
