/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin `triage`: each incident gets an explanation, written from its evidence alone. No network, no model. */
#include <errno.h>
#include <linnix/ev_incident.h>
#include <linnix/plugin.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "triage.h"

struct triage {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	const struct lnx_svc_incident *incident;
	void *incident_self;
	struct lnx_metric *m_explained, *m_failed;
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

static int add_fact(void *arg, const struct lnx_fact *from)
{
	struct facts *f = arg;
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
	t->host->metric_add(t->ctx, rc ? t->m_failed : t->m_explained, 1);
	lnx_buf_done(&out);
	free(f.list);
	return rc == -ENOENT ? 0 : rc; /* it is gone: nobody asks for it */
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
	return explain(t, id);
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
	struct triage *t = calloc(1, sizeof(*t));
	int rc;

	(void)conf;
	if (!t)
		return -ENOMEM;
	t->host = host;
	t->ctx = ctx;
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
	return rc;
}

static const struct lnx_sub subs[] = {
	{ "incident.open", LNX_STAGE_JUDGE, 0 },
	{ "incident.update", LNX_STAGE_JUDGE, 0 },
	{ "incident.close", LNX_STAGE_JUDGE, 0 },
};
static const char *const needs[] = { "incident/1", NULL };

static const struct lnx_plugin triage_plugin = {
	.size = sizeof(triage_plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "triage",
	.version = "1.0",
	.summary = "explains each incident from its evidence",
	.n_subs = sizeof(subs) / sizeof(subs[0]),
	.subs = subs,
	.needs = needs,
	.init = init,
	.start = start,
	.on_event = on_event,
	.fini = free,
};

LNX_EXPORT const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &triage_plugin;
}
