/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* GET /events: what the core's ring still holds, oldest first; without since_seq the newest <limit> of it. */
#include "http_req.h"

#include <linnix/fields.h>
#include <stdlib.h>
#include <string.h>

#define HTTP_EVENT_JSON	 32768 /* bytes of one event at most: 4 KiB with every byte escaped fit */
#define HTTP_EVENT_TYPES 32    /* in ?type= */
#define HTTP_EVENT_LIMIT 100   /* default */

struct http_events {
	struct http *http;
	uint16_t types[HTTP_EVENT_TYPES];
	unsigned n_types;			   /* 0: all */
	const char *namespace_, *victim_namespace; /* NULL: any */
	uint64_t *seqs; /* of the newest that fit, a ring of <limit>; NULL: take the first ones */
	uint64_t limit, n, until_seq;
	struct lnx_buf out;
	char json[HTTP_EVENT_JSON];
	unsigned n_too_large;
};

/* Negative: answered. */
static int http_events_types(struct lnx_http_req *req, struct http_events *e)
{
	const char *at = http_param(req, "type"), *word;
	const struct http *s = e->http;
	char name[64];
	size_t n;
	int type;

	while (http_list_next(&at, &word, &n)) {
		type = -1;
		if (n < sizeof(name)) {
			memcpy(name, word, n);
			name[n] = 0;
			type = s->host->event_type(s->ctx, name);
		}
		if (type < 0)
			return http_error(req, 400, "bad_parameter",
					  "type: unknown event type '%.*s'", (int)(n < 64 ? n : 64),
					  word);
		if (e->n_types == HTTP_EVENT_TYPES)
			return http_error(req, 400, "bad_parameter", "type: more than %d types",
					  HTTP_EVENT_TYPES);
		e->types[e->n_types++] = (uint16_t)type;
	}
	if (http_param(req, "type") && !e->n_types)
		return http_error(req, 400, "bad_parameter", "type: no event type given");
	return 0;
}

static bool http_events_in_namespace(struct http_events *e, const struct lnx_event *ev)
{
	char own[LNX_NS_BYTES], victim[LNX_NS_BYTES];

	lnx_event_namespaces(e->http->host, e->http->ctx, ev, own, victim);
	return lnx_namespaces_match(own, victim, e->namespace_, e->victim_namespace);
}

static bool http_events_match(struct http_events *e, const struct lnx_event *ev)
{
	unsigned i;

	for (i = 0; i < e->n_types && e->types[i] != ev->type; i++)
		;
	if (e->n_types && i == e->n_types)
		return false;
	return (!e->namespace_ && !e->victim_namespace) || http_events_in_namespace(e, ev);
}

static int http_events_note(void *arg, const struct lnx_event *ev,
			    const struct lnx_event_meta *meta)
{
	struct http_events *e = arg;

	if (http_events_match(e, ev))
		e->seqs[e->n++ % e->limit] = meta->seq;
	e->until_seq = meta->seq;
	return 0;
}

static int http_events_add(void *arg, const struct lnx_event *ev, const struct lnx_event_meta *meta)
{
	struct http_events *e = arg;
	const struct http *s = e->http;
	int n;

	if (!http_events_match(e, ev))
		return 0;
	n = s->host->event_json(s->ctx, ev, meta, e->json, sizeof(e->json));
	if (n < 0) {
		e->n_too_large++;
		return 0;
	}
	lnx_json_next(&e->out);
	lnx_buf_add(&e->out, e->json, (size_t)n);
	return ++e->n >= e->limit || lnx_buf_error(&e->out);
}

/* The sequence before the first of the newest <limit> events that match. Negative: answered. */
static int http_events_newest(struct lnx_http_req *req, struct http_events *e, uint64_t *ret_since)
{
	struct http *s = e->http;

	e->seqs = calloc(e->limit, sizeof(*e->seqs));
	if (!e->seqs)
		return http_error(req, 503, "overloaded", "no memory for %llu events",
				  (unsigned long long)e->limit);
	(void)s->host->ring_each(s->ctx, 0, http_events_note, e, NULL);
	if (e->n > e->limit)
		*ret_since = e->seqs[e->n % e->limit] - 1;
	else
		*ret_since = e->n ? e->seqs[0] - 1 : e->until_seq;
	free(e->seqs);
	e->seqs = NULL;
	e->n = 0;
	return 0;
}

static int http_events_params(struct lnx_http_req *req, struct http_events *e, uint64_t *ret_since)
{
	struct http *s = e->http;
	const void *svc;
	void *self;
	int rc = http_events_types(req, e);

	if (rc == 0)
		rc = http_param_u64(req, "limit", HTTP_EVENT_LIMIT, 1, HTTP_MAX_LIMIT, &e->limit);
	if (rc == 0)
		rc = http_param_u64(req, "since_seq", 0, 0, UINT64_MAX, ret_since);
	if (rc < 0)
		return rc;
	e->namespace_ = http_param(req, "namespace");
	e->victim_namespace = http_param(req, "victim_namespace");
	if ((e->namespace_ || e->victim_namespace) &&
	    s->host->service(s->ctx, "workload/1", &svc, &self) < 0)
		http_degraded(req, "namespace", "no plugin workload is loaded, none is known");
	return http_param(req, "since_seq") ? 0 : http_events_newest(req, e, ret_since);
}

static void http_get_events(void *arg, struct lnx_http_req *req)
{
	struct http_events *e = calloc(1, sizeof(*e));
	uint64_t since = 0, oldest = 0;
	struct http *s = arg;
	char why[96];

	if (!e) {
		(void)http_error(req, 503, "overloaded", "no memory");
		return;
	}
	e->http = s;
	if (http_events_params(req, e, &since) == 0) {
		lnx_buf_char(&e->out, '[');
		(void)s->host->ring_each(s->ctx, since, http_events_add, e, &oldest);
		lnx_buf_str(&e->out, "]\n");
		if (http_param(req, "since_seq") && oldest > since + 1) {
			(void)snprintf(why, sizeof(why), "%llu are no longer kept", /* fits */
				       (unsigned long long)(oldest - since - 1));
			http_degraded(req, "events", why);
		}
		if (e->n_too_large)
			http_degraded(req, "events", "one or more are too large to show");
		(void)http_respond_buf(req, 200, NULL, &e->out);
	}
	lnx_buf_done(&e->out);
	free(e);
}

static const char *const http_events_query[] = { "type",      "since_seq",	  "limit",
						 "namespace", "victim_namespace", NULL };

static const struct lnx_http_route http_events_route = {
	sizeof(struct lnx_http_route), 0, "GET", "/events", http_events_query, http_get_events
};

int http_routes_events(struct http *s)
{
	return http_route(s, &http_events_route, s);
}
