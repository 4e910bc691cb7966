/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* An incident as event, as JSON, and in the store; service incident/1. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "incident.h"

static const char *const severities[] = { "info", "warning", "critical", NULL };

union event {
	struct lnx_event h;
	struct lnx_ev_incident inc;
	char bytes[LNX_EVENT_MAX];
};

static void put(union event *e, struct lnx_str *str, const char *text, size_t max)
{
	size_t n = strlen(text);

	if (n > max)
		n = max;
	if (n > sizeof(e->bytes) - e->h.size)
		n = sizeof(e->bytes) - e->h.size;
	/* at a whole character */
	while (n && n < strlen(text) && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	str->off = (uint16_t)e->h.size;
	str->len = (uint16_t)n;
	memcpy(e->bytes + e->h.size, text, n);
	e->h.size += (uint32_t)n;
}

/* First sentence of the explanation, "" without. Free it. */
static char *summary_of(const struct inc *inc)
{
	json_t *root = inc->explanation ? json_loads(inc->explanation, 0, NULL) : NULL;
	const char *text = json_string_value(json_object_get(root, "summary"));
	char *copy = strdup(text ? text : "");

	json_decref(root);
	return copy;
}

static void victims_json(const struct inc *inc, uint32_t max, struct lnx_buf *out)
{
	char name[200];

	lnx_buf_char(out, '[');
	for (uint32_t i = 0; i < inc->n_named && i < max && out->size < 900; i++) {
		lnx_json_next(out);
		lnx_json_str(out, inc_name(&inc->victims[i], name, sizeof(name)));
	}
	lnx_buf_char(out, ']');
}

static void put_strings(union event *e, const struct inc *inc)
{
	const struct inc_who *v = &inc->victims[0];
	struct lnx_buf victims = { 0 };
	char *summary = summary_of(inc);

	put(e, &e->inc.id, inc->id, 32);
	put(e, &e->inc.fingerprint, inc->fingerprint, 32);
	put(e, &e->inc.rule, inc->rule, 64);
	put(e, &e->inc.cause, inc->cause, 32);
	put(e, &e->inc.resource, inc->resource, 16);
	put(e, &e->inc.culprit, inc->culprit.workload, 127);
	put(e, &e->inc.culprit_namespace, inc->culprit.namespace_, 63);
	put(e, &e->inc.culprit_pod_name, inc->culprit.pod_name, 127);
	put(e, &e->inc.culprit_comm, inc->comm, 16);
	put(e, &e->inc.victim, v->workload, 127);
	put(e, &e->inc.victim_namespace, v->namespace_, 63);
	put(e, &e->inc.victim_pod_name, v->pod_name, 127);
	put(e, &e->inc.title, inc->title, 255);
	put(e, &e->inc.explanation, summary ? summary : "", 400);
	victims_json(inc, 10, &victims);
	put(e, &e->inc.victims, lnx_buf_error(&victims) ? "[]" : victims.data, LNX_STR_MAX);
	/* JSON cannot be cut: the rest of the event, or nothing */
	if (inc->labels && strlen(inc->labels) <= sizeof(e->bytes) - e->h.size &&
	    strlen(inc->labels) <= LNX_STR_MAX)
		put(e, &e->inc.labels, inc->labels, LNX_STR_MAX);
	else
		put(e, &e->inc.labels, "{}", 2);
	lnx_buf_done(&victims);
	free(summary);
}

void inc_publish(struct incidents *s, struct inc *inc, uint16_t type, uint32_t reason)
{
	union event e;

	memset(&e.inc, 0, sizeof(e.inc));
	e.h.size = e.h.fixed = sizeof(e.inc);
	e.h.type = type;
	e.h.pid = inc->culprit_pid;
	e.h.cpu = LNX_CPU_NONE;
	e.inc.severity = inc->severity;
	e.inc.reason = reason;
	e.inc.n_victims = inc->n_victims;
	e.inc.n_alerts = inc->n_alerts;
	e.inc.flaps = inc->flaps;
	e.inc.is_silenced = inc->is_silenced;
	e.inc.opened_ns = inc->opened_ns;
	e.inc.opened_wall_ns = inc->opened_wall_ns;
	e.inc.closed_wall_ns = inc->closed_wall_ns;
	e.inc.culprit_cgroup_id = inc->culprit.cgroup_id;
	e.inc.culprit_start_ns = inc->culprit_start_ns;
	e.inc.victim_cgroup_id = inc->victims[0].cgroup_id;
	e.inc.value = inc->value;
	e.inc.threshold = inc->threshold;
	put_strings(&e, inc);
	if (s->host->publish(s->ctx, &e.h) < 0)
		s->host->log(s->ctx, LNX_WARN, "an event of incident %s was lost", inc->id);
	(void)inc_save(s, inc); /* the store counts what it refuses */
}

/* ---- JSON */

static void who_json(struct lnx_buf *out, const struct inc_who *w)
{
	lnx_buf_char(out, '{');
	lnx_json_kv_str(out, "workload", w->workload);
	lnx_json_kv_str(out, "namespace", w->namespace_);
	lnx_json_kv_str(out, "pod_name", w->pod_name);
	lnx_json_kv_u64(out, "cgroup_id", w->cgroup_id);
	lnx_buf_char(out, '}');
}

static void people_json(const struct inc *inc, struct lnx_buf *out)
{
	lnx_json_key(out, "culprit");
	if (*inc->culprit.workload) {
		who_json(out, &inc->culprit);
		out->size--; /* one object with the process */
		if (inc->culprit_pid)
			lnx_json_kv_u64(out, "pid", inc->culprit_pid);
		lnx_json_kv_str(out, "comm", inc->comm);
		lnx_json_kv_u64(out, "start_ns", inc->culprit_start_ns);
		lnx_buf_char(out, '}');
	} else {
		lnx_buf_str(out, "null");
	}
	lnx_json_key(out, "victims");
	lnx_buf_char(out, '[');
	for (uint32_t i = 0; i < inc->n_named; i++) {
		lnx_json_next(out);
		who_json(out, &inc->victims[i]);
	}
	lnx_buf_char(out, ']');
	lnx_json_kv_u64(out, "n_victims", inc->n_victims);
}

/* Everything up to "evidence" is what lists show: see routes.c. */
void inc_json(const struct incidents *s, const struct inc *inc, struct lnx_buf *out)
{
	const struct lnx_ident *id = s->host->ident(s->ctx);
	char *summary = summary_of(inc);

	lnx_buf_char(out, '{');
	lnx_json_kv_str(out, "id", inc->id);
	lnx_json_kv_str(out, "state", inc->is_open ? "open" : "closed");
	lnx_json_kv_str(out, "severity", severities[inc->severity % 3]);
	lnx_json_kv_str(out, "title", inc->title);
	lnx_json_kv_str(out, "cause", inc->cause);
	lnx_json_kv_str(out, "resource", inc->resource);
	lnx_json_kv_str(out, "rule", inc->rule);
	lnx_json_kv_str(out, "fingerprint", inc->fingerprint);
	lnx_json_key(out, "opened");
	lnx_json_ts(out, inc->opened_wall_ns);
	lnx_json_key(out, "closed");
	if (inc->is_open)
		lnx_buf_str(out, "null");
	else
		lnx_json_ts(out, inc->closed_wall_ns);
	people_json(inc, out);
	lnx_json_kv_u64(out, "alerts", inc->n_alerts);
	lnx_json_kv_u64(out, "flaps", inc->flaps);
	lnx_json_kv_bool(out, "silenced", (int)inc->is_silenced);
	lnx_json_kv_f64(out, "value", inc->value);
	lnx_json_kv_f64(out, "threshold", inc->threshold);
	lnx_json_key(out, "labels");
	lnx_buf_str(out, inc->labels && *inc->labels ? inc->labels : "{}");
	lnx_json_kv_str(out, "summary", summary ? summary : "");
	lnx_json_kv_str(out, "node", id->node);
	lnx_json_kv_str(out, "cluster", id->cluster);
	lnx_json_kv_str(out, "boot_id", id->boot_id);
	lnx_json_kv_u64(out, "schema", id->schema);
	lnx_json_key(out, "evidence");
	evidence_json(&inc->evidence, out);
	lnx_json_kv_u64(out, "evidence_left_out", inc->evidence.refused);
	lnx_json_key(out, "explanation");
	lnx_buf_str(out, inc->explanation ? inc->explanation : "null");
	lnx_buf_char(out, '}');
	free(summary);
}

int inc_save(struct incidents *s, const struct inc *inc)
{
	struct lnx_store_record r = { .size = sizeof(r), .kind = LNX_STORE_INCIDENT };
	struct lnx_buf doc = { 0 };
	int rc;

	if (!s->store)
		return 0;
	inc_json(s, inc, &doc);
	rc = lnx_buf_error(&doc);
	if (!rc) {
		r.id = inc->id;
		r.parent = inc->fingerprint;
		r.doc = doc.data;
		r.doc_bytes = doc.size;
		r.ts_ns = inc->opened_wall_ns;
		r.end_ns = inc->closed_wall_ns;
		r.state = !inc->is_open;
		r.severity = inc->severity;
		rc = s->store->put(s->store_self, &r);
	}
	lnx_buf_done(&doc);
	return rc;
}

void inc_log(struct incidents *s, const char *subject, const char *what, struct lnx_buf *doc)
{
	uint64_t now = s->host->now_ns(s->ctx);

	lnx_buf_char(doc, '}');
	if (s->store && !lnx_buf_error(doc))
		(void)s->store->log(s->store_self, s->host->wall_ns(s->ctx, now), subject, what,
				    doc->data); /* likewise */
	lnx_buf_done(doc);
}

/* ---- incident/1 */

static void fill(const struct inc *inc, struct lnx_incident *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->size = sizeof(*ret);
	ret->severity = inc->severity;
	ret->is_open = inc->is_open;
	ret->n_victims = inc->n_victims;
	ret->n_alerts = inc->n_alerts;
	ret->n_evidence = inc->evidence.n_items;
	ret->flaps = inc->flaps;
	ret->culprit_pid = inc->culprit_pid;
	ret->opened_wall_ns = inc->opened_wall_ns;
	ret->closed_wall_ns = inc->closed_wall_ns;
	ret->culprit_start_ns = inc->culprit_start_ns;
	ret->culprit_cgroup_id = inc->culprit.cgroup_id;
	ret->id = inc->id;
	ret->fingerprint = inc->fingerprint;
	ret->cause = inc->cause;
	ret->resource = inc->resource;
	ret->rule = inc->rule;
	ret->title = inc->title;
	ret->culprit = inc->culprit.workload;
	ret->culprit_namespace = inc->culprit.namespace_;
	ret->culprit_comm = inc->comm;
	ret->victim = inc->victims[0].workload;
	ret->victim_namespace = inc->victims[0].namespace_;
	ret->labels = inc->labels ? inc->labels : "{}";
	ret->explanation = inc->explanation ? inc->explanation : "";
	ret->is_silenced = inc->is_silenced;
	ret->victim_cgroup_id = inc->victims[0].cgroup_id;
}

static int serve_get(void *self, const char *id, struct lnx_incident *ret)
{
	const struct inc *inc = inc_find(self, id);

	if (!inc)
		return -ENOENT;
	fill(inc, ret);
	return 0;
}

static int put_doc(void *arg, const struct lnx_store_record *r)
{
	lnx_buf_add(arg, r->doc, r->doc_bytes);
	return 1;
}

static int serve_json(void *self, const char *id, struct lnx_buf *out)
{
	struct incidents *s = self;
	const struct inc *inc = inc_find(s, id);
	struct lnx_store_query q = { .size = sizeof(q), .kind = LNX_STORE_INCIDENT, .id = id };
	int rc;

	if (inc) {
		inc_json(s, inc, out);
		return lnx_buf_error(out);
	}
	if (!s->store)
		return -ENOENT;
	rc = s->store->each(s->store_self, &q, put_doc, out);
	if (rc < 0)
		return rc == -ENOMEM ? rc : -EIO;
	return rc ? lnx_buf_error(out) : -ENOENT;
}

static int serve_each(void *self, int (*each)(void *arg, const struct lnx_incident *inc), void *arg)
{
	struct incidents *s = self;
	struct lnx_incident view;
	int n = 0;

	for (const struct inc *inc = s->newest; inc; inc = inc->next) {
		fill(inc, &view);
		n++;
		if (each(arg, &view))
			break;
	}
	return n;
}

static int serve_facts(void *self, const char *id, int (*each)(void *arg, const struct lnx_fact *f),
		       void *arg)
{
	const struct inc *inc = inc_find(self, id);
	struct lnx_fact f;
	uint32_t i;

	if (!inc)
		return -ENOENT;
	for (i = 0; i < inc->evidence.n_facts; i++) {
		evidence_fact(&inc->evidence, i, &f);
		if (each(arg, &f))
			break;
	}
	return (int)i;
}

static int serve_explain(void *self, const char *id, const char *doc)
{
	struct inc *inc = inc_find(self, id);
	json_t *root;
	char *copy;
	int is_good;

	if (!inc)
		return -ENOENT;
	root = json_loads(doc, 0, NULL);
	is_good = json_is_string(json_object_get(root, "summary")) &&
		  json_is_string(json_object_get(root, "text"));
	copy = is_good ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	if (!is_good)
		return -EINVAL;
	if (!copy)
		return -ENOMEM;
	free(inc->explanation);
	inc->explanation = copy;
	inc_publish(self, inc, LNX_EV_INCIDENT_UPDATE, LNX_INCIDENT_EXPLANATION);
	return 0;
}

static int serve_add(void *self, const char *id, const struct lnx_fact *facts, uint32_t n,
		     const char *text, const char *query)
{
	struct incidents *s = self;
	struct inc *inc = inc_find(s, id);
	uint32_t number;

	if (!inc)
		return -ENOENT;
	if (!n)
		return -EINVAL;
	number = evidence_item(&inc->evidence, s->host->wall_ns(s->ctx, s->host->now_ns(s->ctx)),
			       facts[0].topic, facts[0].subject);
	if (!number)
		return -ENOSPC;
	for (uint32_t i = 0; i < n; i++) {
		if (facts[i].text)
			evidence_text(&inc->evidence, facts[i].name, facts[i].text);
		else
			evidence_number(&inc->evidence, facts[i].name, facts[i].value,
					facts[i].unit);
	}
	evidence_say(&inc->evidence, text, query);
	inc_publish(s, inc, LNX_EV_INCIDENT_UPDATE,
		    strcmp(facts[0].topic, "outcome") != 0 ? LNX_INCIDENT_EVIDENCE
							   : LNX_INCIDENT_OUTCOME);
	return (int)number;
}

const struct lnx_svc_incident inc_service = {
	.size = sizeof(inc_service),
	.get = serve_get,
	.json = serve_json,
	.each = serve_each,
	.facts = serve_facts,
	.explain = serve_explain,
	.add_evidence = serve_add,
};
