/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin `slack`: incidents to an incoming webhook of Slack. */
#include "slack.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* The URL is the right to post: it comes from its file each time, and is wiped after use. */
static int put_url(struct slack *s, struct lnx_buf *out, char *why, uint64_t cap)
{
	char secret[LNX_SECRET_MAX];
	int rc = lnx_secret_read(s->conf->webhook_url_file, secret, why, cap);

	if (rc == 0 && lnx_notifier_url_fault(secret)) {
		(void)snprintf(why, cap, "%s holds no https:// URL: it %s",
			       s->conf->webhook_url_file, lnx_notifier_url_fault(secret));
		rc = -EINVAL;
	}
	if (rc == 0)
		lnx_buf_str(out, secret);
	explicit_bzero(secret, sizeof(secret));
	return rc;
}

struct collect {
	struct slack *s;
	const struct lnx_notice *told;
	uint32_t n_told, n;
	struct slack_action list[SLACK_ACTIONS];
};

static int collect_one(void *arg, const struct lnx_action *a)
{
	struct collect *c = arg;
	struct slack_action *x = &c->list[c->n % SLACK_ACTIONS];
	uint32_t i = 0;

	while (i < c->n_told && strcmp(a->incident, c->told[i].incident) != 0)
		i++;
	if (i == c->n_told || (c->n_told > 1 && a->state != LNX_ACTION_PROPOSED))
		return 0; /* a digest has only what waits for somebody */
	if (c->n++ >= SLACK_ACTIONS)
		return 0;				   /* told by its number */
	(void)snprintf(x->id, sizeof(x->id), "%s", a->id); /* one that is cut matches no action */
	(void)snprintf(x->plan, sizeof(x->plan), "%s",
		       *a->plan ? a->plan : a->reason);		 /* for people */
	(void)snprintf(x->text, sizeof(x->text), "%s", a->text); /* likewise */
	x->state = a->state;
	x->has_buttons = c->s->has_buttons;
	return 0;
}

static int slack_render(void *arg, const struct lnx_notice *list, uint32_t n,
			struct lnx_notify_post *p, char *why, uint64_t cap)
{
	struct slack *s = arg;
	const struct lnx_ident *id = s->n.host->ident(s->n.ctx);
	struct collect c = { .s = s, .told = list, .n_told = n };

	p->ca_file = s->conf->ca_file;
	lnx_buf_printf(&p->headers, "User-Agent: linnix/%s\nContent-Type: application/json\n",
		       id->version);
	if (s->enforce)
		(void)s->enforce->each(s->enforce_self, collect_one, &c); /* as many as there are */
	slack_message(id, list, n, c.list, c.n, &p->body);
	return put_url(s, &p->url, why, cap);
}

/* ---- life */

static struct lnx_channel_desc desc_of(struct slack *s)
{
	const struct slack_conf *c = s->conf;

	return (struct lnx_channel_desc){ .size = sizeof(struct lnx_channel_desc),
					  .flags = c->updates ? LNX_CHANNEL_ALL : 0,
					  .min_severity = c->min_severity,
					  .rate = c->rate,
					  .batch = 64,
					  .group_ns = c->group_ns,
					  .timeout_ns = c->timeout_ns,
					  .give_up_ns = c->give_up_ns,
					  .render = slack_render,
					  .arg = s };
}

static int check(struct slack *s)
{
	struct lnx_buf url = { 0 };
	char why[256] = "";
	int rc = put_url(s, &url, why, sizeof(why));

	if (rc < 0)
		s->n.host->log(s->n.ctx, LNX_ERROR, "%s", why);
	lnx_secret_done(&url);
	return rc;
}

static void conf_check(const void *conf, void (*say)(void *arg, const char *key, const char *text),
		       void *arg)
{
	const struct slack_conf *c = conf;

	if (!*c->webhook_url_file)
		say(arg, "webhook_url_file", "is needed");
}

static int init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		void **ret_state)
{
	struct slack *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->n.host = host;
	s->n.ctx = ctx;
	s->conf = conf;
	*ret_state = s;
	if (sodium_init() >= 0)
		return 0;
	free(s);
	return -ENOSYS;
}

static int start(void *state)
{
	struct slack *s = state;
	struct lnx_channel_desc d = desc_of(s);
	const void *vtable;
	int rc = check(s);

	if (rc < 0)
		return rc;
	if (s->n.host->service(s->n.ctx, "enforce/1", &vtable, &s->enforce_self) == 0)
		s->enforce = vtable;
	rc = slack_callback_start(s);
	return rc < 0 ? rc : lnx_notifier_open(&s->n, &d);
}

/* An action that people may decide on, or should know of. */
static int on_event(void *state, const struct lnx_event *ev)
{
	const struct lnx_ev_action_done *e = (const struct lnx_ev_action_done *)ev;
	struct slack *s = state;
	char id[64];

	if (!LNX_EV_HAS(ev, struct lnx_ev_action_done, text))
		return -EINVAL;
	/* a refusal, a dry run and what expires go with the incident's next message */
	if ((e->state != LNX_ACTION_PROPOSED && e->state != LNX_ACTION_REJECTED &&
	     e->state != LNX_ACTION_APPLIED && e->state != LNX_ACTION_UNDONE &&
	     e->state != LNX_ACTION_FAILED) ||
	    !e->incident.len || e->incident.len >= sizeof(id) || !s->n.channel)
		return 0;
	memcpy(id, (const char *)ev + e->incident.off, e->incident.len);
	id[e->incident.len] = 0;
	(void)s->n.svc->tell(s->n.self, s->n.channel, id); /* -ENOENT: nobody was told of it */
	return 0;
}

static int reload(void *state, const void *conf)
{
	struct slack *s = state;
	const struct slack_conf *before = s->conf;
	struct lnx_channel_desc d;
	int rc;

	s->conf = conf;
	d = desc_of(s);
	rc = check(s);
	if (rc == 0)
		rc = lnx_notifier_set(&s->n, &d);
	if (rc < 0)
		s->conf = before;
	return rc;
}

static void stop(void *state)
{
	struct slack *s = state;

	slack_callback_stop(s);
	lnx_notifier_close(&s->n);
}

static const char *const severities[] = { "info", "warning", "critical", NULL };
static const char *const updates[] = { "important", "all", NULL };

#define OFF(m) offsetof(struct slack_conf, m)
static const struct lnx_option options[] = {
	{ "webhook_url_file", LNX_OPT_PATH, OFF(webhook_url_file), "", 0, 0, NULL, LNX_OPTF_RELOAD,
	  0,
	  "File with the URL of the incoming webhook; nobody but its owner and group may read it." },
	{ "signing_secret_file", LNX_OPT_PATH, OFF(signing_secret_file), "", 0, 0, NULL, 0, 0,
	  "File with the app's signing secret: actions get buttons, where http.listen is beyond loopback." },
	{ "ca_file", LNX_OPT_PATH, OFF(ca_file), "", 0, 0, NULL, LNX_OPTF_RELOAD, 0,
	  "Authorities to trust, in PEM; empty: the system's." },
	{ "min_severity", LNX_OPT_ENUM, OFF(min_severity), "warning", 0, 0, severities,
	  LNX_OPTF_RELOAD, 0, "Least severe incidents that are told." },
	{ "updates", LNX_OPT_ENUM, OFF(updates), "important", 0, 0, updates, LNX_OPTF_RELOAD, 0,
	  "Changes that are told: a higher severity and the outcome of an action, or all." },
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

static const struct lnx_sub subs[] = { { "action.done", LNX_STAGE_EXPORT, 0 } };
static const char *const needs[] = { "notify/1", "enforce/1?", "http/1?", "http_client/1?", NULL };

static const struct lnx_plugin slack_plugin = {
	.size = sizeof(slack_plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "slack",
	.version = "1.0",
	.summary = "incidents to Slack",
	.options = options,
	.conf_size = sizeof(struct slack_conf),
	.n_subs = sizeof(subs) / sizeof(subs[0]),
	.subs = subs,
	.needs = needs,
	.init = init,
	.start = start,
	.on_event = on_event,
	.reload = reload,
	.stop = stop,
	.fini = free,
	.flags = LNX_PLUGINF_OFF,
	.check = conf_check,
};

LNX_EXPORT const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &slack_plugin;
}
