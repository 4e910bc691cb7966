/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* From the core's ring to the readers. Each event is rendered once, into the shared frames; a reader is a position in
 * them. One that resumes reads the core's ring for itself until it has caught up. Who is too slow for the frames is told
 * how many it missed. */
#include "stream.h"

#include <errno.h>
#include <linnix/buf.h>
#include <linnix/fields.h>
#include <stdio.h>
#include <string.h>

void stream_arm(struct stream *s)
{
	if (s->is_armed)
		return;
	s->is_armed = s->host->timer_set(s->ctx, s->pump, 0, 0) == 0;
}

int stream_render(struct stream *s, const struct lnx_event *ev, const struct lnx_event_meta *meta)
{
	const struct lnx_event_desc *desc = s->host->event_desc(s->ctx, ev->type);
	int n, json;

	n = snprintf(s->text, STREAM_TEXT_BYTES,
		     "id: %llu\nevent: %s\ndata: ", (unsigned long long)meta->seq,
		     desc ? desc->name : "unknown");
	if (n < 0 || n + 3 >= STREAM_TEXT_BYTES)
		return -ENOSPC;
	json = s->host->event_json(s->ctx, ev, meta, s->text + n,
				   (uint32_t)(STREAM_TEXT_BYTES - n - 2));
	if (json < 0)
		return -ENOSPC;
	memcpy(s->text + n + json, "\n\n", 3);
	return n + json + 2;
}

static bool stream_is_wanted(const struct stream *s, uint16_t type)
{
	unsigned i;

	for (i = 0; i < s->n_wants; i++) {
		if (s->wants[i].type == type)
			return true;
	}
	return s->n_all != 0;
}

/* "own/victim": no namespace has a slash. */
static void stream_namespace(struct stream *s, const struct lnx_event *ev,
			     char ret_ns[STREAM_NS_BYTES])
{
	char own[LNX_NS_BYTES], victim[LNX_NS_BYTES];

	lnx_event_namespaces(s->host, s->ctx, ev, own, victim);
	(void)snprintf(ret_ns, STREAM_NS_BYTES, "%s/%s", own, victim); /* fits */
}

static bool stream_match(const struct stream_client *c, uint16_t type, const char *ns,
			 size_t ns_bytes)
{
	char own[STREAM_NS_BYTES];
	const char *victim;
	unsigned i;

	for (i = 0; i < c->n_types && c->types[i] != type; i++)
		;
	if (c->n_types && i == c->n_types)
		return false;
	if (!c->ns[0] && !c->victim_ns[0])
		return true;
	(void)snprintf(own, sizeof(own), "%.*s", (int)ns_bytes, ns); /* fits */
	own[strcspn(own, "/")] = 0;
	victim = own + strlen(own) + (strlen(own) < ns_bytes);
	return lnx_namespaces_match(own, victim, c->ns, c->victim_ns);
}

static void stream_miss(struct stream_client *c, uint64_t n)
{
	c->missed += n;
	c->stream->host->metric_add(c->stream->ctx, c->stream->m_lagged, (double)n);
}

/* The frame at <pos> makes room: who has not read it has missed it. */
static void stream_evict(void *arg, uint64_t pos, const struct stream_frame *fr)
{
	struct stream *s = arg;
	struct stream_client *c;

	if (pos < s->min_pos)
		return;
	for (c = s->clients; c; c = c->next) {
		if (!c->is_live || c->pos > pos)
			continue;
		c->pos = pos + fr->bytes;
		if (stream_match(c, fr->type, stream_frame_ns(fr), fr->ns_bytes))
			stream_miss(c, 1);
	}
}

static void stream_miss_all(struct stream *s, uint64_t n)
{
	struct stream_client *c;

	for (c = s->clients; c; c = c->next) {
		if (c->is_live)
			stream_miss(c, n);
	}
}

static int stream_add(void *arg, const struct lnx_event *ev, const struct lnx_event_meta *meta)
{
	char ns[STREAM_NS_BYTES] = "";
	struct stream *s = arg;
	int n;

	/* the core's ring lapped us: what it was is not known, so everybody is told */
	if (meta->seq > s->seq + 1)
		stream_miss_all(s, meta->seq - s->seq - 1);
	s->seq = meta->seq;
	if (!s->n_clients || !stream_is_wanted(s, ev->type))
		return 0;
	if (s->n_ns)
		stream_namespace(s, ev, ns);
	n = stream_render(s, ev, meta);
	if (n < 0 || stream_frames_add(&s->frames, meta->seq, ev->type, s->text, (size_t)n, ns,
				       stream_evict, s) < 0)
		stream_miss_all(s, 1);
	s->host->metric_add(s->ctx, s->m_events, 1);
	return ++s->n_rendered >= STREAM_RENDER_TURN;
}

void stream_catch_up(struct stream *s, bool is_all)
{
	do {
		s->n_rendered = 0;
		(void)s->host->ring_each(s->ctx, s->seq, stream_add, s, NULL);
	} while (is_all && s->n_rendered >= STREAM_RENDER_TURN);
	if (s->n_rendered >= STREAM_RENDER_TURN)
		stream_arm(s);
}

static int stream_send(struct stream_client *c, const char *text, size_t n)
{
	int rc = c->stream->http->stream_write(c->http, text, (uint32_t)n);

	if (rc == -ENOBUFS && !c->is_blocked) {
		c->is_blocked = true;
		c->moved_ns = c->stream->host->now_ns(c->stream->ctx);
	}
	return rc;
}

/* Tell of the gap before anything that comes after it. */
static int stream_tell_missed(struct stream_client *c)
{
	char text[80];
	int n, rc;

	if (!c->missed)
		return 0;
	n = snprintf(text, sizeof(text), "event: lagged\ndata: {\"missed\":%llu}\n\n",
		     (unsigned long long)c->missed);
	rc = stream_send(c, text, (size_t)n);
	if (rc == 0)
		c->missed = 0;
	return rc;
}

struct stream_resume {
	struct stream_client *c;
	unsigned n;
	bool is_full, is_cut; /* cut: it had its share of this turn */
};

static int stream_resume_one(void *arg, const struct lnx_event *ev,
			     const struct lnx_event_meta *meta)
{
	struct stream_resume *r = arg;
	struct stream_client *c = r->c;
	struct stream *s = c->stream;
	char ns[STREAM_NS_BYTES] = "";
	int n;

	if (meta->seq > s->seq) /* those are in the frames */
		return 1;
	if (meta->seq > c->seq + 1)
		stream_miss(c, meta->seq - c->seq - 1);
	c->seq = meta->seq - 1;
	if (c->ns[0] || c->victim_ns[0])
		stream_namespace(s, ev, ns);
	if (stream_match(c, ev->type, ns, strlen(ns))) {
		n = stream_render(s, ev, meta);
		if (n < 0) {
			stream_miss(c, 1);
		} else if (stream_tell_missed(c) < 0 || stream_send(c, s->text, (size_t)n) < 0) {
			r->is_full = true;
			return 1;
		}
		r->n++;
	}
	c->seq = meta->seq;
	r->is_cut = r->n >= STREAM_RENDER_TURN;
	return r->is_cut;
}

/* What happened since Last-Event-ID, straight from the core's ring; then it is like the others. */
static void stream_resume(struct stream_client *c)
{
	struct stream_resume r = { .c = c };
	struct stream *s = c->stream;

	(void)s->host->ring_each(s->ctx, c->seq, stream_resume_one, &r, NULL);
	if (r.is_cut)
		stream_arm(s);
	if (r.is_full || r.is_cut)
		return;
	c->is_live = true;
	c->pos = s->frames.head;
}

void stream_pump_client(struct stream_client *c)
{
	struct stream *s = c->stream;
	const struct stream_frame *fr;
	uint64_t next;

	if (!c->is_live) {
		stream_resume(c);
		if (!c->is_live)
			return;
	}
	if (stream_tell_missed(c) < 0)
		return;
	while ((fr = stream_frames_at(&s->frames, c->pos, &next))) {
		if (stream_match(c, fr->type, stream_frame_ns(fr), fr->ns_bytes) &&
		    stream_send(c, stream_frame_text(fr), fr->text_bytes) < 0)
			return;
		c->pos = next;
	}
	c->pos = next;
}

void stream_pump(void *arg)
{
	struct stream *s = arg;
	struct stream_client *c;
	uint64_t min_pos;

	s->is_armed = false;
	stream_catch_up(s, false);
	min_pos = s->frames.head;
	for (c = s->clients; c; c = c->next) {
		if (!c->is_blocked)
			stream_pump_client(c);
		if (c->is_live && c->pos < min_pos)
			min_pos = c->pos;
	}
	s->min_pos = min_pos;
}
