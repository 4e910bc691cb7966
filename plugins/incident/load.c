/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Incidents out of the store, after a start: open ones are taken up again, those closed lately may be opened again. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "incident.h"

#define LOAD_MAX 64 /* looked at in one question */

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static void get_text(const json_t *o, const char *key, char *ret, size_t cap)
{
	(void)snprintf(ret, cap, "%s", text_of(o, key)); /* it was written from such a place */
}

static uint64_t get_u64(const json_t *o, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(o, key));

	return v > 0 ? (uint64_t)v : 0;
}

static void get_who(const json_t *o, struct inc_who *ret)
{
	get_text(o, "workload", ret->workload, sizeof(ret->workload));
	get_text(o, "namespace", ret->namespace_, sizeof(ret->namespace_));
	get_text(o, "pod_name", ret->pod_name, sizeof(ret->pod_name));
	ret->cgroup_id = get_u64(o, "cgroup_id");
}

/* Unix time of "2024-01-02T03:04:05.678901234Z", 0 when it is none. */
static uint64_t time_of(const json_t *o)
{
	const char *end;
	struct tm tm = { 0 };
	time_t s;

	end = strptime(text_of(o, "ts"), "%Y-%m-%dT%H:%M:%S", &tm);
	s = end ? timegm(&tm) : -1;
	if (s < 0)
		return 0;
	return (uint64_t)s * INC_SEC +
	       (*end == '.' && strlen(end) == 11 ? strtoull(end + 1, NULL, 10) : 0);
}

/* An item as it was shown, so that what explains the incident goes on with all of it. */
static void get_item(const json_t *item, struct evidence *e)
{
	const json_t *fact;
	size_t i;

	if (!evidence_item(e, time_of(item), text_of(item, "topic"), text_of(item, "subject")))
		return;
	json_array_foreach(json_object_get(item, "facts"), i, fact)
	{
		if (json_is_number(json_object_get(fact, "value")))
			evidence_number(e, text_of(fact, "name"),
					json_number_value(json_object_get(fact, "value")),
					text_of(fact, "unit"));
		else
			evidence_text(e, text_of(fact, "name"), text_of(fact, "text"));
	}
	evidence_say(e, text_of(item, "text"), text_of(item, "query"));
}

static void get_evidence(const json_t *root, struct inc *inc)
{
	const json_t *explanation = json_object_get(root, "explanation"), *item;
	size_t i;

	json_array_foreach(json_object_get(root, "evidence"), i, item)
	{
		get_item(item, &inc->evidence);
	}
	if (json_is_object(explanation))
		inc->explanation = json_dumps(explanation, JSON_COMPACT);
	inc->labels = json_dumps(json_object_get(root, "labels"), JSON_COMPACT);
}

static void get_inc(const json_t *root, struct inc *inc)
{
	const json_t *culprit = json_object_get(root, "culprit"), *v;
	size_t i;

	get_text(root, "cause", inc->cause, sizeof(inc->cause));
	get_text(root, "resource", inc->resource, sizeof(inc->resource));
	get_text(root, "rule", inc->rule, sizeof(inc->rule));
	get_text(root, "title", inc->title, sizeof(inc->title));
	get_text(culprit, "comm", inc->comm, sizeof(inc->comm));
	get_who(culprit, &inc->culprit);
	inc->culprit_pid = (uint32_t)get_u64(culprit, "pid");
	inc->culprit_start_ns = get_u64(culprit, "start_ns");
	json_array_foreach(json_object_get(root, "victims"), i, v)
	{
		if (inc->n_named < INC_VICTIMS)
			get_who(v, &inc->victims[inc->n_named++]);
	}
	inc->n_victims = (uint32_t)get_u64(root, "n_victims");
	inc->n_alerts = (uint32_t)get_u64(root, "alerts");
	inc->flaps = (uint32_t)get_u64(root, "flaps");
	inc->is_silenced = json_is_true(json_object_get(root, "silenced"));
	inc->value = json_is_number(json_object_get(root, "value"))
			     ? json_number_value(json_object_get(root, "value"))
			     : NAN;
	inc->threshold = json_is_number(json_object_get(root, "threshold"))
				 ? json_number_value(json_object_get(root, "threshold"))
				 : NAN;
	get_evidence(root, inc);
}

/* CLOCK_BOOTTIME of a Unix time, at least 1. */
static uint64_t boot_of(struct incidents *s, uint64_t wall_ns)
{
	uint64_t wall0 = s->host->wall_ns(s->ctx, 0);

	return wall_ns > wall0 ? wall_ns - wall0 : 1;
}

struct loading {
	struct incidents *s;
	struct inc *left; /* open ones for which there is no place, by next */
	uint32_t n_left;
};

static struct inc *read_one(struct incidents *s, const struct lnx_store_record *r)
{
	uint64_t now = s->host->now_ns(s->ctx);
	json_t *root = json_loadb(r->doc, r->doc_bytes, 0, NULL);
	struct inc *inc = json_is_object(root) ? calloc(1, sizeof(*inc)) : NULL;

	if (inc) {
		memcpy(inc->id, r->id, sizeof(inc->id));
		memcpy(inc->fingerprint, r->parent, sizeof(inc->fingerprint));
		inc->is_open = !r->state;
		inc->severity = r->severity % 3;
		inc->opened_wall_ns = r->ts_ns;
		inc->closed_wall_ns = r->end_ns;
		inc->closed_ns = r->state ? boot_of(s, r->end_ns) : 0;
		/* nothing of it fires any more that we know of: it has the usual time to do so again */
		inc->quiet_ns = now;
		get_inc(root, inc);
	}
	json_decref(root);
	return inc;
}

static int load_one(void *arg, const struct lnx_store_record *r)
{
	struct loading *l = arg;
	struct incidents *s = l->s;
	uint64_t wall = s->host->wall_ns(s->ctx, s->host->now_ns(s->ctx));
	struct inc *inc;

	if (inc_find(s, r->id) || strlen(r->id) != LNX_ULID_MAX - 1 || strlen(r->parent) != 16 ||
	    (r->state && (r->end_ns + s->conf->reopen_ns < wall || s->n >= INC_MAX)))
		return 0;
	inc = read_one(s, r);
	if (!inc || inc_keep(s, inc) == 0)
		return 0;
	inc->next = l->left;
	l->left = inc;
	l->n_left++;
	return 0;
}

/* What has no place in memory would stay open for ever. 0, or -errno: it is open in the store. */
static int close_left(struct loading *l)
{
	struct incidents *s = l->s;
	struct inc *inc;
	int rc = 0;

	while ((inc = l->left)) {
		l->left = inc->next;
		if (rc == 0) {
			inc_close(s, inc, s->host->now_ns(s->ctx));
			rc = inc_save(s, inc); /* again, to learn how it went */
		}
		inc_done(inc);
	}
	return rc;
}

/* Those that are open, however old and many. */
static int load_open(struct incidents *s)
{
	struct lnx_store_query q = {
		.size = sizeof(q), .kind = LNX_STORE_INCIDENT, .states = 1, .limit = LOAD_MAX
	};
	uint32_t n_closed = 0;
	int rc, n;

	do {
		struct loading l = { .s = s };

		n = s->store->each(s->store_self, &q, load_one, &l);
		rc = close_left(&l);
		if (n < 0 || rc < 0)
			return n < 0 ? n : -EAGAIN;
		n_closed += l.n_left;
		q.offset += (uint32_t)n - l.n_left; /* those are no longer among them */
	} while (n == LOAD_MAX);
	if (n_closed)
		s->host->log(s->ctx, LNX_WARN,
			     "%u incidents that were open are closed: no more than %d are kept",
			     n_closed, INC_MAX);
	return 0;
}

/* ---- what opened anew before the store was there */

static void put_note(struct incidents *s, struct inc *inc, const struct inc *twin)
{
	struct evidence *e = &inc->evidence;
	char text[128], query[64];

	if (!evidence_item(e, s->host->wall_ns(s->ctx, s->host->now_ns(s->ctx)), "merge", ""))
		return;
	evidence_text(e, "incident", twin->id);
	(void)snprintf(text, sizeof(text), "Before its history could be read it was opened as %s.",
		       twin->id);					     /* fits */
	(void)snprintf(query, sizeof(query), "GET /incidents/%s", twin->id); /* likewise */
	evidence_say(e, text, query);
}

/* <twin> is the same: <inc> goes on with what fires, and <twin> ends. */
static void merge(struct incidents *s, struct inc *inc, struct inc *twin)
{
	struct lnx_buf doc = { 0 };
	int was_open = (int)inc->is_open;

	inc->culprit = twin->culprit;
	memcpy(inc->comm, twin->comm, sizeof(inc->comm));
	inc->culprit_pid = twin->culprit_pid;
	inc->culprit_start_ns = twin->culprit_start_ns;
	inc->value = twin->value;
	inc->threshold = twin->threshold;
	if (twin->severity > inc->severity)
		inc->severity = twin->severity;
	for (uint32_t i = 0; i < twin->n_named; i++)
		(void)inc_victim_add(inc, &twin->victims[i]); /* the first, or known */
	memcpy(inc->active, twin->active, sizeof(inc->active));
	inc->n_active = twin->n_active;
	inc->n_unnamed_active = twin->n_unnamed_active;
	inc->n_alerts += twin->n_alerts;
	inc->quiet_ns = twin->quiet_ns;
	inc->flaps += !was_open;
	inc->is_open = 1;
	inc->closed_ns = inc->closed_wall_ns = 0;
	put_note(s, inc, twin);
	inc->is_silenced = (uint32_t)silence_matches(s, inc);
	lnx_buf_char(&doc, '{');
	lnx_json_kv_str(&doc, "into", inc->id);
	inc_log(s, twin->id, "merge", &doc);
	inc_close(s, twin, s->host->now_ns(s->ctx));
	inc_free(s, twin); /* it is not to be opened again */
	inc_publish(s, inc, was_open ? LNX_EV_INCIDENT_UPDATE : LNX_EV_INCIDENT_OPEN,
		    was_open ? LNX_INCIDENT_VICTIMS : LNX_INCIDENT_REOPENED);
}

static void merge_twins(struct incidents *s)
{
	struct inc *inc, *twin;

	for (inc = s->newest; inc; inc = inc->next) {
		if (inc->opened_ns)
			continue; /* of this run */
		for (twin = s->newest; twin; twin = twin->next)
			if (twin->is_open && twin->opened_ns &&
			    !strcmp(twin->fingerprint, inc->fingerprint))
				break;
		if (twin)
			merge(s, inc, twin);
	}
}

int inc_load(struct incidents *s)
{
	struct lnx_store_query q = { .size = sizeof(q),
				     .kind = LNX_STORE_INCIDENT,
				     .limit = LOAD_MAX };
	struct loading l = { .s = s };
	int rc;

	if (!s->store)
		return 0;
	rc = s->store->each(s->store_self, &q, load_one, &l);
	if (close_left(&l) < 0)
		return -EAGAIN;
	if (rc >= 0)
		rc = load_open(s);
	if (rc == -EAGAIN)
		return rc;
	silence_load(s);
	merge_twins(s);
	return 0;
}
