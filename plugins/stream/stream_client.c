/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Readers: what they asked for, their first words, and what they make the agent subscribe to. */
#include "stream.h"

#include <errno.h>
#include <linnix/buf.h>
#include <stdlib.h>
#include <string.h>

/* ---- subscriptions: a type is wanted from its first reader to its last */

static int stream_want_all(struct stream *s)
{
	int rc = 0;

	if (s->n_all == 0)
		rc = s->host->subscribe(s->ctx, "*", LNX_STAGE_EXPORT, 0);
	if (rc == 0)
		s->n_all++;
	return rc;
}

static int stream_want(struct stream *s, uint16_t type)
{
	const struct lnx_event_desc *desc = s->host->event_desc(s->ctx, type);
	struct stream_want *w;
	unsigned i;
	int rc;

	for (i = 0; i < s->n_wants; i++) {
		if (s->wants[i].type == type) {
			s->wants[i].refs++;
			return 0;
		}
	}
	if (!desc || strlen(desc->name) >= sizeof(w->name))
		return -ENOENT;
	if (s->n_wants == STREAM_ALL_TYPES)
		return -ENOSPC;
	rc = s->host->subscribe(s->ctx, desc->name, LNX_STAGE_EXPORT, 0);
	if (rc < 0)
		return rc;
	w = &s->wants[s->n_wants++];
	memcpy(w->name, desc->name, strlen(desc->name) + 1);
	w->type = type;
	w->refs = 1;
	return 0;
}

static void stream_unwant(struct stream *s, uint16_t type)
{
	unsigned i;

	for (i = 0; i < s->n_wants && s->wants[i].type != type; i++)
		;
	if (i == s->n_wants || --s->wants[i].refs)
		return;
	(void)s->host->unsubscribe(s->ctx, s->wants[i].name); /* it was subscribed */
	s->wants[i] = s->wants[--s->n_wants];
}

static void stream_unwant_client(struct stream *s, const struct stream_client *c, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		stream_unwant(s, c->types[i]);
	if (!c->n_types && --s->n_all == 0)
		(void)s->host->unsubscribe(s->ctx, "*"); /* it was subscribed */
}

static int stream_want_client(struct stream *s, const struct stream_client *c)
{
	unsigned i;
	int rc = 0;

	if (!c->n_types)
		return stream_want_all(s);
	for (i = 0; i < c->n_types; i++) {
		rc = stream_want(s, c->types[i]);
		if (rc < 0) {
			stream_unwant_client(s, c, i);
			return rc;
		}
	}
	return 0;
}

/* ---- life of a reader */

static void stream_link(struct stream *s, struct stream_client *c)
{
	c->next = s->clients;
	if (c->next)
		c->next->prev = c;
	s->clients = c;
	s->n_ns += c->ns[0] != 0;
	if (s->n_clients++ == 0)
		(void)s->host->timer_set(s->ctx, s->beat, s->conf->heartbeat, s->conf->heartbeat);
	s->host->metric_set(s->ctx, s->m_clients, s->n_clients);
}

/* Also called by the http plugin when the reader is gone; after it the stream may not be used. */
static void stream_client_gone(void *arg)
{
	struct stream_client *c = arg;
	struct stream *s = c->stream;

	if (c->prev)
		c->prev->next = c->next;
	else
		s->clients = c->next;
	if (c->next)
		c->next->prev = c->prev;
	s->n_ns -= c->ns[0] != 0;
	stream_unwant_client(s, c, c->n_types);
	free(c);
	s->host->metric_set(s->ctx, s->m_clients, --s->n_clients);
	if (s->n_clients)
		return;
	s->host->timer_stop(s->ctx, s->beat);
	s->host->timer_stop(s->ctx, s->pump);
	s->is_armed = false;
	stream_frames_close(&s->frames);
	free(s->text);
	s->text = NULL;
}

static void stream_client_writable(void *arg)
{
	struct stream_client *c = arg;

	c->is_blocked = false;
	stream_pump_client(c);
}

void stream_client_close(struct stream_client *c)
{
	c->stream->http->stream_close(c->http);
}

/* The first reader pays for the block, the last one frees it. */
static int stream_open_frames(struct stream *s)
{
	int rc = 0;

	if (s->frames.data)
		return 0;
	s->text = malloc(STREAM_TEXT_BYTES);
	if (s->text)
		rc = stream_frames_open(&s->frames, s->conf->buffer);
	s->min_pos = 0;
	return s->text ? rc : -ENOMEM;
}

static int stream_hello(struct stream_client *c)
{
	const struct stream *s = c->stream;
	const struct lnx_ident *id = s->host->ident(s->ctx);
	struct lnx_buf out = { 0 };
	int rc;

	lnx_buf_printf(&out, "id: %llu\nevent: hello\ndata: ",
		       (unsigned long long)(c->is_live ? s->seq : c->seq));
	lnx_buf_char(&out, '{');
	lnx_json_kv_str(&out, "node", id->node);
	lnx_json_kv_str(&out, "cluster", id->cluster);
	lnx_json_kv_str(&out, "boot_id", id->boot_id);
	lnx_json_kv_u64(&out, "schema", id->schema);
	lnx_json_kv_str(&out, "version", id->version);
	lnx_json_kv_str(&out, "run", s->run);
	lnx_json_kv_bool(&out, "restarted", c->is_restarted);
	lnx_json_kv_u64(&out, "seq", s->seq);
	lnx_buf_str(&out, "}\n\n");
	rc = lnx_buf_error(&out);
	if (rc == 0)
		rc = s->http->stream_write(c->http, out.data, (uint32_t)out.size);
	lnx_buf_done(&out);
	return rc;
}

/* ---- the request */

/* Negative: answered. */
static int stream_read_types(struct stream *s, struct lnx_http_req *req, struct stream_client *c)
{
	const char *p = s->http->param(req, "type");
	char name[64];
	int type;
	size_t n;

	for (; p && *p; p += n + (p[n] == ',')) {
		n = strcspn(p, ",");
		type = -ENOENT;
		if (n < sizeof(name)) {
			memcpy(name, p, n);
			name[n] = 0;
			type = s->host->event_type(s->ctx, name);
		}
		if (type < 0)
			return s->http->error(req, 400, "bad_parameter",
					      "type: unknown event type '%.*s'",
					      (int)(n < 64 ? n : 64), p);
		if (c->n_types == STREAM_MAX_TYPES)
			return s->http->error(req, 400, "bad_parameter", "type: more than %d types",
					      STREAM_MAX_TYPES);
		c->types[c->n_types++] = (uint16_t)type;
	}
	if (s->http->param(req, "type") && !c->n_types)
		return s->http->error(req, 400, "bad_parameter", "type: no event type given");
	return 0;
}

/* Digits only. Negative: not a number. */
static int stream_parse_seq(const char *text, uint64_t *ret_seq)
{
	uint64_t v = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || v > (UINT64_MAX - 9) / 10)
			return -EINVAL;
		v = v * 10 + (uint64_t)(*text - '0');
	}
	*ret_seq = v;
	return 0;
}

/* Negative: answered. */
static int stream_read_namespace(struct stream *s, struct lnx_http_req *req, const char *name,
				 char ret_ns[LNX_NS_BYTES])
{
	const char *ns = s->http->param(req, name);
	const void *svc;
	void *self;

	if (!ns)
		return 0;
	if (!*ns || strlen(ns) >= LNX_NS_BYTES)
		return s->http->error(req, 400, "bad_parameter", "%s must have 1 to 63 characters",
				      name);
	memcpy(ret_ns, ns, strlen(ns) + 1);
	if (s->host->service(s->ctx, "workload/1", &svc, &self) < 0)
		(void)s->http->set_header(req, "X-Linnix-Degraded",
					  "namespace: no plugin workload is loaded, none is known");
	return 0;
}

/* Negative: answered. */
static int stream_read_request(struct stream *s, struct lnx_http_req *req, struct stream_client *c)
{
	const char *last = s->http->header(req, "Last-Event-ID"), *run = s->http->param(req, "run");
	int rc = stream_read_types(s, req, c);

	if (rc == 0)
		rc = stream_read_namespace(s, req, "namespace", c->ns);
	if (rc == 0)
		rc = stream_read_namespace(s, req, "victim_namespace", c->victim_ns);
	if (rc < 0)
		return rc;
	c->is_live = !last || !*last;
	if (!c->is_live && stream_parse_seq(last, &c->seq) < 0)
		return s->http->error(req, 400, "bad_header", "Last-Event-ID must be a number");
	c->is_restarted = !c->is_live && run && strcmp(run, s->run) != 0;
	return 0;
}

static void stream_get(void *arg, struct lnx_http_req *req)
{
	struct stream *s = arg;
	struct stream_client *c = calloc(1, sizeof(*c));

	if (!c) {
		(void)s->http->error(req, 503, "overloaded", "no memory for a stream");
		return;
	}
	c->stream = s;
	if (stream_read_request(s, req, c) < 0) {
		free(c);
		return;
	}
	stream_catch_up(s, true);
	if (stream_open_frames(s) < 0 || stream_want_client(s, c) < 0) {
		(void)s->http->error(req, 503, "overloaded", "no room for another stream");
		goto fail;
	}
	/* a number from an earlier run of the agent: all of this run is new to the reader */
	c->is_restarted |= c->seq > s->seq;
	if (c->is_restarted)
		c->seq = 0;
	c->pos = s->frames.head;
	if (s->http->stream(req, stream_client_gone, stream_client_writable, c, &c->http) < 0) {
		stream_unwant_client(s, c, c->n_types);
		goto fail;
	}
	stream_link(s, c);
	(void)stream_hello(c); /* a fresh stream has room for it */
	stream_arm(s);
	return;
fail:
	free(c);
	if (!s->n_clients) {
		stream_frames_close(&s->frames);
		free(s->text);
		s->text = NULL;
	}
}

static const char *const stream_query[] = { "type", "namespace", "victim_namespace", "run", NULL };

const struct lnx_http_route stream_route = {
	sizeof(struct lnx_http_route), 0, "GET", "/stream", stream_query, stream_get
};
