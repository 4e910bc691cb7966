/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin `triage`: each incident gets an explanation, written from its evidence alone. No network; a model only if one is
 * configured (llm.h). */
#include <errno.h>
#include <linnix/ev_incident.h>
#include <linnix/plugin.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "llm.h"

struct triage {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	const struct lnx_svc_incident *incident;
	void *incident_self;
	struct lnx_metric *m_explained, *m_failed;
	const struct triage_conf *conf;
	struct llm llm;
};

static int is_about(const struct fact *x, const char *subject)
{
	size_t n = strlen(subject);

	if (strncmp(x->subject, subject, n) != 0)
		return 0;
	return !x->subject[n] || (x->subject[n] == ' ' && strcmp(x->topic, "blame") != 0);
}

const struct fact *fact_find(const struct facts *f, const char *topic, const char *subject,
			     const char *name)
{
	for (uint32_t i = 0; i < f->n; i++)
		if (!strcmp(f->list[i].name, name) && !strcmp(f->list[i].topic, topic) &&
		    (!subject || is_about(&f->list[i], subject)))
			return &f->list[i];
	return NULL;
}

double fact_value(const struct facts *f, const char *topic, const char *subject, const char *name)
{
	const struct fact *x = fact_find(f, topic, subject, name);

	return x && !x->is_text ? x->value : NAN;
}

const char *fact_text(const struct facts *f, const char *topic, const char *subject,
		      const char *name)
{
	const struct fact *x = fact_find(f, topic, subject, name);

	return x && x->is_text ? x->text : "";
}

static void copy(char *to, size_t cap, const char *from)
{
	size_t n = strnlen(from, cap - 1);

	memcpy(to, from, n);
	to[n] = 0;
}

int facts_add(struct facts *f, const struct lnx_fact *from)
{
	struct fact *to;

	if (f->n == TRIAGE_FACTS)
		return 1;
	to = &f->list[f->n++];
	to->evidence = from->evidence;
	to->is_text = from->text != NULL;
	to->value = from->value;
	copy(to->topic, sizeof(to->topic), from->topic);
	copy(to->name, sizeof(to->name), from->name);
	copy(to->unit, sizeof(to->unit), from->unit);
	copy(to->subject, sizeof(to->subject), from->subject);
	copy(to->text, sizeof(to->text), from->text ? from->text : "");
	return 0;
}

static int add_fact(void *arg, const struct lnx_fact *from)
{
	return facts_add(arg, from);
}

static int explain(struct triage *t, const char *id)
{
	struct lnx_incident inc = { .size = sizeof(inc) };
	struct facts f = { calloc(TRIAGE_FACTS, sizeof(struct fact)), 0 };
	struct lnx_buf out = { 0 };
	int rc = f.list ? t->incident->facts(t->incident_self, id, add_fact, &f) : -ENOMEM;

	if (rc >= 0)
		rc = t->incident->get(t->incident_self, id, &inc);
	if (!rc)
		rc = triage_explain(&inc, &f, &out);
	if (!rc)
		rc = t->incident->explain(t->incident_self, id, out.data);
	if (!rc)
		llm_want(&t->llm, id);
	t->host->metric_add(t->ctx, rc ? t->m_failed : t->m_explained, 1);
	lnx_buf_done(&out);
	free(f.list);
	return rc == -ENOENT ? 0 : rc; /* it is gone: nobody asks for it */
}

/* Worth a new question to a model. */
static int is_weighty(uint32_t reason)
{
	return reason != LNX_INCIDENT_VICTIMS && reason != LNX_INCIDENT_EVIDENCE;
}

/* A model's words rest on evidence, which only grows: a little more does not undo them. */
static int is_by_model(struct triage *t, const char *id)
{
	struct lnx_incident inc = { .size = sizeof(inc) };

	return t->llm.http && t->incident->get(t->incident_self, id, &inc) == 0 &&
	       strstr(inc.explanation, "\"source\":\"llm\"") != NULL;
}

static int on_event(void *state, const struct lnx_event *ev)
{
	const struct lnx_ev_incident *e = (const struct lnx_ev_incident *)ev;
	struct triage *t = state;
	char id[LNX_ULID_MAX];

	if (!LNX_EV_HAS(ev, struct lnx_ev_incident, id))
		return -EINVAL;
	if (e->reason == LNX_INCIDENT_EXPLANATION || e->id.len != LNX_ULID_MAX - 1)
		return 0; /* our own */
	memcpy(id, (const char *)ev + e->id.off, LNX_ULID_MAX - 1);
	id[LNX_ULID_MAX - 1] = 0;
	return is_weighty(e->reason) || !is_by_model(t, id) ? explain(t, id) : 0;
}

static const struct lnx_metric_desc m_explained = {
	.name = "linnix_triage_explanations_total",
	.help = "Explanations written.",
	.kind = LNX_COUNTER,
};
static const struct lnx_metric_desc m_failed = {
	.name = "linnix_triage_failures_total",
	.help = "Explanations that could not be written.",
	.kind = LNX_COUNTER,
};

static int init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		void **ret_state)
{
	struct triage *t;
	int rc = llm_check_key(host, ctx, conf);

	if (rc)
		return rc;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->host = host;
	t->ctx = ctx;
	t->conf = conf;
	rc = host->metric(ctx, &m_explained, NULL, &t->m_explained);
	if (!rc)
		rc = host->metric(ctx, &m_failed, NULL, &t->m_failed);
	if (rc) {
		free(t);
		return rc;
	}
	*ret_state = t;
	return 0;
}

static int start(void *state)
{
	struct triage *t = state;
	const void *vtable;
	int rc = t->host->service(t->ctx, "incident/1", &vtable, &t->incident_self);

	t->incident = vtable;
	return rc < 0 ? rc : llm_start(&t->llm, t->host, t->ctx, t->conf);
}

static int reload(void *state, const void *conf)
{
	struct triage *t = state;
	int rc = llm_check_key(t->host, t->ctx, conf);

	if (rc)
		return rc;
	t->conf = conf;
	t->llm.conf = conf;
	return 0;
}

static void fini(void *state)
{
	struct triage *t = state;

	llm_done(&t->llm);
	free(t);
}

#define OFF(m) offsetof(struct triage_conf, m)
static const struct lnx_option options[] = {
	{ "llm.endpoint", LNX_OPT_STR, OFF(endpoint), "", 0, 0, NULL, 0, 0,
	  "An OpenAI-compatible API, http://127.0.0.1:11434/v1, that may word explanations; empty: none." },
	{ "llm.model", LNX_OPT_STR, OFF(model), "", 0, 0, NULL, LNX_OPTF_RELOAD, 0,
	  "Name of the model there." },
	{ "llm.api_key_file", LNX_OPT_PATH, OFF(api_key_file), "", 0, 0, NULL, LNX_OPTF_RELOAD, 0,
	  "File with the key of that API." },
	{ "llm.ca_file", LNX_OPT_PATH, OFF(ca_file), "", 0, 0, NULL, LNX_OPTF_RELOAD, 0,
	  "Authorities to trust, in PEM; empty: the system's." },
	{ "llm.allow_remote", LNX_OPT_BOOL, OFF(allow_remote), "false", 0, 0, NULL, LNX_OPTF_RELOAD,
	  0,
	  "The endpoint may be another machine, by https://: names and figures of incidents go there." },
	{ "llm.budget", LNX_OPT_U32, OFF(budget), "20", 0, 10000, NULL, LNX_OPTF_RELOAD, 0,
	  "Questions an hour." },
	{ "llm.timeout", LNX_OPT_DURATION, OFF(timeout_ns), "30s", 100e6, 600e9, NULL,
	  LNX_OPTF_RELOAD, 0, "Time for one answer." },
	{ .key = NULL },
};

static const struct lnx_sub subs[] = {
	{ "incident.open", LNX_STAGE_JUDGE, 0 },
	{ "incident.update", LNX_STAGE_JUDGE, 0 },
	{ "incident.close", LNX_STAGE_JUDGE, 0 },
};
static const char *const needs[] = { "incident/1", "http_client/1?", NULL };

static const struct lnx_plugin triage_plugin = {
	.size = sizeof(triage_plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "triage",
	.version = "1.0",
	.summary = "explains each incident from its evidence",
	.options = options,
	.conf_size = sizeof(struct triage_conf),
	.n_subs = sizeof(subs) / sizeof(subs[0]),
	.subs = subs,
	.needs = needs,
	.init = init,
	.start = start,
	.on_event = on_event,
	.reload = reload,
	.fini = fini,
	.check = llm_conf_check,
};

LNX_EXPORT const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &triage_plugin;
}
