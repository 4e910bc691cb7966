/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* An incident as channels get it: out of its document, whether it is in memory or an older one of the store. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "notify.h"

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static uint32_t number_of(const json_t *o, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(o, key));

	return v > 0 && v <= UINT32_MAX ? (uint32_t)v : 0;
}

/* Unix time of "2024-01-02T03:04:05.678901234Z", 0 when it is none. */
static uint64_t time_of(const json_t *o, const char *key)
{
	const char *text = text_of(o, key), *end;
	struct tm tm = { 0 };
	uint64_t frac = 0;
	time_t s;

	end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	s = end ? timegm(&tm) : -1;
	if (s < 0)
		return 0;
	if (*end == '.' && strlen(end) == 11)
		frac = strtoull(end + 1, NULL, 10);
	return (uint64_t)s * NOTIFY_SEC + frac;
}

static void fill_people(struct lnx_notice *x, const json_t *root)
{
	const json_t *culprit = json_object_get(root, "culprit"),
		     *victim = json_array_get(json_object_get(root, "victims"), 0);

	x->culprit = text_of(culprit, "workload");
	x->culprit_namespace = text_of(culprit, "namespace");
	x->culprit_pod_name = text_of(culprit, "pod_name");
	x->culprit_comm = text_of(culprit, "comm");
	x->culprit_pid = number_of(culprit, "pid");
	x->victim = text_of(victim, "workload");
	x->victim_namespace = text_of(victim, "namespace");
	x->victim_pod_name = text_of(victim, "pod_name");
	x->n_victims = number_of(root, "n_victims");
}

static void fill(struct lnx_notice *x, const json_t *root)
{
	const char *severity = text_of(root, "severity");

	x->severity = !strcmp(severity, "critical") ? 2 : !strcmp(severity, "warning");
	x->is_open = !strcmp(text_of(root, "state"), "open");
	x->n_alerts = number_of(root, "alerts");
	x->flaps = number_of(root, "flaps");
	x->opened_wall_ns = time_of(root, "opened");
	x->closed_wall_ns = time_of(root, "closed");
	x->title = text_of(root, "title");
	x->summary = text_of(root, "summary");
	x->text = text_of(json_object_get(root, "explanation"), "text");
	x->cause = text_of(root, "cause");
	x->resource = text_of(root, "resource");
	x->rule = text_of(root, "rule");
	x->fingerprint = text_of(root, "fingerprint");
	x->runbook = text_of(json_object_get(root, "labels"), "runbook");
	fill_people(x, root);
}

int message_add(struct lnx_channel *ch, struct message *m, struct item *it)
{
	struct lnx_notice *x = &m->list[m->n];
	struct lnx_buf *doc = &m->docs[m->n];
	struct notify *n = ch->n;
	int rc = n->incident->json(n->incident_self, it->id, doc);
	json_t *root = rc < 0 ? NULL : json_loadb(doc->data, doc->size, 0, NULL);

	if (!root) {
		lnx_buf_done(doc);
		return rc < 0 ? rc : -ENOMEM;
	}
	/* made since it was queued; who was told of it still hears of its end */
	if (json_is_true(json_object_get(root, "silenced")) &&
	    !(it->is_told && it->what == LNX_NOTICE_CLOSE)) {
		json_decref(root);
		lnx_buf_done(doc);
		return -ECANCELED;
	}
	m->roots[m->n] = root;
	(void)snprintf(m->urls[m->n], sizeof(m->urls[0]), "%s/incidents/%s", n->base,
		       it->id); /* fits */
	(void)snprintf(m->delivery[m->n], sizeof(m->delivery[0]), "%s-%u", it->id,
		       it->rev); /* fits */
	it->sent_rev = it->rev;
	it->sent_what = it->what;
	lnx_buf_reset(&it->keep);
	*x = (struct lnx_notice){ .size = sizeof(*x),
				  .what = it->what,
				  .is_told = it->is_told,
				  .incident = it->id,
				  .delivery = m->delivery[m->n],
				  .url = m->urls[m->n],
				  .doc = doc->data,
				  .doc_bytes = doc->size,
				  .queued_wall_ns = it->queued_wall_ns,
				  .kept = it->kept ? it->kept : "",
				  .keep = &it->keep };
	fill(x, root);
	m->items[m->n++] = it;
	return 0;
}

void message_free(struct message *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < m->n; i++) {
		json_decref(m->roots[i]);
		lnx_buf_done(&m->docs[i]);
	}
	free(m);
}
