/* SPDX-License-Identifier: MIT */
/* Events of the test host: types, checks, delivery, what was published, the ring. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "testhost_priv.h"

#define LNX_EVENT_TABLES
#include <linnix/builtin.h>

#define TH_MAX_HOPS 8

/* ---- types */

static const struct lnx_event_desc *desc_of(const struct testhost *t, uint16_t type)
{
	const struct lnx_event_desc *d;
	size_t i;

	for (i = 0; i < sizeof(lnx_builtin_events) / sizeof(lnx_builtin_events[0]); i++)
		if (lnx_builtin_events[i].type == type)
			return &lnx_builtin_events[i];
	for (i = 0; i < t->descs.n; i++) {
		d = t->descs.item[i];
		if (d->type == type)
			return d;
	}
	return NULL;
}

int th_event_find(struct testhost *t, const char *name)
{
	const struct lnx_event_desc *d;
	size_t i;

	if (strcmp(name, "*") == 0)
		return 0;
	for (i = 0; i < sizeof(lnx_builtin_events) / sizeof(lnx_builtin_events[0]); i++)
		if (strcmp(lnx_builtin_events[i].name, name) == 0)
			return lnx_builtin_events[i].type;
	for (i = 0; i < t->descs.n; i++) {
		d = t->descs.item[i];
		if (strcmp(d->name, name) == 0)
			return d->type;
	}
	return -ENOENT;
}

static int fields_check(const struct lnx_event_desc *d)
{
	const struct lnx_field *f;
	uint32_t i;

	for (i = 0; i < d->n_fields; i++) {
		f = &d->fields[i];
		if (!f->name || !f->doc || f->type < LNX_U8 || f->type > LNX_ID ||
		    f->offset < sizeof(struct lnx_event) || f->offset + f->size > d->fixed ||
		    (f->type == LNX_ENUM && !f->names))
			return -EINVAL;
	}
	return 0;
}

int testhost_register(struct testhost *t, const struct lnx_event_desc *desc)
{
	struct lnx_event_desc *d;

	if (!desc || !desc->name || !desc->name[0] || desc->fixed < sizeof(struct lnx_event) ||
	    (desc->n_fields && !desc->fields) || fields_check(desc))
		return -EINVAL;
	if (th_event_find(t, desc->name) != -ENOENT || (desc->type && desc_of(t, desc->type)))
		return -EEXIST;
	d = malloc(sizeof(*d));
	if (!d)
		return -ENOMEM;
	*d = *desc;
	if (!d->type)
		d->type = (uint16_t)(LNX_EV_PLUGIN_0 + t->descs.n);
	if (th_list_add(&t->descs, d)) {
		free(d);
		return -ENOMEM;
	}
	return d->type;
}

static int host_event_register(struct lnx_ctx *ctx, const struct lnx_event_desc *desc)
{
	int r = th_fault(ctx->t, "event_register");

	return r ? r : testhost_register(ctx->t, desc);
}

static int host_event_type(struct lnx_ctx *ctx, const char *name)
{
	int type = th_event_find(ctx->t, name);

	return type == 0 ? -ENOENT : type;
}

static const struct lnx_event_desc *host_event_desc(struct lnx_ctx *ctx, uint16_t type)
{
	return desc_of(ctx->t, type);
}

/* ---- copies */

static void event_put(void *p)
{
	struct th_event *e = p;

	if (!e || --e->refs)
		return;
	free(e->ev);
	free(e);
}

static struct th_event *event_copy(const struct lnx_event *ev)
{
	struct th_event *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->ev = malloc(ev->size); /* exact: ASan sees a read past the end */
	if (!e->ev) {
		free(e);
		return NULL;
	}
	memcpy(e->ev, ev, ev->size);
	e->refs = 1;
	return e;
}

static int list_hold(struct th_list *l, struct th_event *e)
{
	if (th_list_add(l, e))
		return -ENOMEM;
	e->refs++;
	return 0;
}

static int event_check(const struct testhost *t, const struct lnx_event *ev)
{
	const struct lnx_event_desc *d = desc_of(t, ev->type);
	const struct lnx_field *f;
	struct lnx_str s;
	uint32_t i;

	if (!d || ev->size > LNX_EVENT_MAX || ev->fixed > ev->size ||
	    ev->fixed < sizeof(struct lnx_event))
		return ev->size > LNX_EVENT_MAX ? -E2BIG : -EINVAL;
	for (i = 0; i < d->n_fields; i++) {
		f = &d->fields[i];
		if ((f->type != LNX_STR && f->type != LNX_JSON) || f->offset + f->size > ev->fixed)
			continue;
		memcpy(&s, (const char *)ev + f->offset, sizeof(s));
		if (s.len && (s.len > LNX_STR_MAX || s.off < ev->fixed ||
			      (uint32_t)s.off + s.len > ev->size))
			return -EINVAL;
	}
	return 0;
}

int testhost_str(struct lnx_event *ev, size_t cap, struct lnx_str *str, const char *s)
{
	size_t n = strlen(s);

	if (n > LNX_STR_MAX || ev->size + n > cap)
		return -ENOSPC;
	memcpy((char *)ev + ev->size, s, n);
	str->off = (__u16)ev->size;
	str->len = (__u16)n;
	ev->size += (__u32)n;
	return 0;
}

/* ---- subscriptions */

static struct th_sub *sub_find(struct th_list *l, uint16_t type)
{
	struct th_sub *s;
	size_t i;

	for (i = 0; i < l->n; i++) {
		s = l->item[i];
		if (s->type == type)
			return s;
	}
	return NULL;
}

static int sub_change(struct th_list *l, uint16_t type, int by)
{
	struct th_sub *s = sub_find(l, type);

	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s || th_list_add(l, s)) {
			free(s);
			return -ENOMEM;
		}
		s->type = type;
	}
	s->n += by;
	return 0;
}

static int sub_count(struct th_list *l, uint16_t type)
{
	const struct th_sub *s = sub_find(l, type);

	return s ? s->n : 0;
}

static int host_subscribe(struct lnx_ctx *ctx, const char *event, uint32_t stage, uint32_t queue)
{
	int type = th_event_find(ctx->t, event), r = th_fault(ctx->t, "subscribe");

	(void)queue; /* delivered in place: queues are the bus's business */
	if (r || type < 0)
		return r ? r : type;
	if (stage < LNX_STAGE_STATE || stage > LNX_STAGE_EXPORT)
		return -EINVAL;
	return sub_change(&ctx->t->subs, (uint16_t)type, 1);
}

static int host_unsubscribe(struct lnx_ctx *ctx, const char *event)
{
	int type = th_event_find(ctx->t, event);

	if (type < 0)
		return type;
	if (sub_count(&ctx->t->subs, (uint16_t)type) <= 0)
		return -ENOENT;
	return sub_change(&ctx->t->subs, (uint16_t)type, -1);
}

static int host_wanted(struct lnx_ctx *ctx, const char *event)
{
	struct testhost *t = ctx->t;
	int type = th_event_find(t, event);

	if (type < 0)
		return 0;
	return sub_count(&t->subs, (uint16_t)type) + sub_count(&t->wanted, (uint16_t)type) +
	       (type ? sub_count(&t->subs, 0) : 0);
}

int testhost_set_wanted(struct testhost *t, const char *event, int n)
{
	int type = th_event_find(t, event);

	if (type < 0)
		return type;
	return sub_change(&t->wanted, (uint16_t)type, n - sub_count(&t->wanted, (uint16_t)type));
}

int th_event_subs(struct testhost *t)
{
	const struct lnx_plugin *p = t->plugin;
	uint32_t i;
	int r;

	for (i = 0; i < p->n_subs; i++) {
		r = host_subscribe(&t->ctx, p->subs[i].event, p->subs[i].stage, p->subs[i].queue);
		if (r) {
			snprintf(t->error, sizeof(t->error), "cannot subscribe %s: %s",
				 p->subs[i].event, strerror(-r));
			return r;
		}
	}
	return 0;
}

/* ---- in and out */

void testhost_ring_limit(struct testhost *t, size_t bytes)
{
	t->ring_limit = bytes;
}

static int deliver(struct testhost *t, struct th_event *e)
{
	const struct th_event *outer = t->current;
	struct th_event *lent;
	int r = 0;

	if (e->ev->ts_ns > t->now_ns)
		t->now_ns = e->ev->ts_ns;
	if (list_hold(&t->ring, e))
		return -ENOMEM;
	t->ring_bytes += e->ev->size;
	while (t->ring_bytes > t->ring_limit && t->ring.n) {
		t->ring_bytes -= ((struct th_event *)t->ring.item[0])->ev->size;
		event_put(t->ring.item[0]);
		th_list_del(&t->ring, 0);
	}
	if (!t->is_inited || !t->plugin->on_event ||
	    (!sub_count(&t->subs, e->ev->type) && !sub_count(&t->subs, 0)))
		return -ENOENT;
	lent = event_copy(e->ev); /* gone after the handler, unless referenced */
	if (!lent)
		return -ENOMEM;
	lent->meta = e->meta;
	t->current = lent;
	t->depth++;
	r = t->plugin->on_event(t->state, lent->ev);
	t->depth--;
	t->current = outer;
	event_put(lent);
	return r;
}

void th_event_drain(struct testhost *t)
{
	struct th_event *e;

	if (t->depth)
		return;
	while (t->pending.n) {
		e = t->pending.item[0];
		th_list_del(&t->pending, 0);
		(void)deliver(t, e); /* the plugin's own event: nobody to tell */
		event_put(e);
	}
}

int testhost_deliver(struct testhost *t, const struct lnx_event *ev)
{
	struct th_event *e;
	int r = event_check(t, ev);

	if (r)
		return r;
	e = event_copy(ev);
	if (!e)
		return -ENOMEM;
	if (!e->ev->ts_ns)
		e->ev->ts_ns = t->now_ns;
	e->meta.seq = ++t->seq;
	r = deliver(t, e);
	event_put(e);
	th_event_drain(t);
	return r;
}

static int host_publish(struct lnx_ctx *ctx, const struct lnx_event *ev)
{
	struct testhost *t = ctx->t;
	struct th_event *e;
	int r = th_fault(t, "publish");

	if (!r)
		r = event_check(t, ev);
	if (r)
		return r;
	if (t->current && t->current->meta.hops >= TH_MAX_HOPS)
		return -ELOOP;
	e = event_copy(ev);
	if (!e)
		return -ENOMEM;
	if (!e->ev->ts_ns)
		e->ev->ts_ns = t->now_ns;
	e->meta.seq = ++t->seq;
	if (t->current) {
		e->meta.cause_seq = t->current->meta.seq;
		e->meta.hops = t->current->meta.hops + 1;
	}
	if (th_list_add(&t->published, e)) {
		event_put(e);
		return -ENOMEM;
	}
	if (list_hold(&t->pending, e))
		return -ENOMEM;
	th_event_drain(t);
	return 0;
}

size_t testhost_published(struct testhost *t)
{
	return t->published.n;
}

const struct lnx_event *testhost_event(struct testhost *t, size_t i)
{
	return i < t->published.n ? ((struct th_event *)t->published.item[i])->ev : NULL;
}

int testhost_event_meta(struct testhost *t, size_t i, struct lnx_event_meta *ret_meta)
{
	if (i >= t->published.n)
		return -ENOENT;
	*ret_meta = ((struct th_event *)t->published.item[i])->meta;
	return 0;
}

size_t testhost_count(struct testhost *t, const char *event)
{
	int type = th_event_find(t, event);
	size_t i, n = 0;

	for (i = 0; i < t->published.n; i++)
		n += ((struct th_event *)t->published.item[i])->ev->type == type;
	return n;
}

const struct lnx_event *testhost_last(struct testhost *t, const char *event)
{
	int type = th_event_find(t, event);
	const struct th_event *e;
	size_t i = t->published.n;

	while (i-- > 0) {
		e = t->published.item[i];
		if (e->ev->type == type)
			return e->ev;
	}
	return NULL;
}

void testhost_clear(struct testhost *t)
{
	th_list_done(&t->published, event_put);
}

/* ---- kept events and the ring */

static struct th_event *kept_find(struct testhost *t, const struct lnx_event *ev)
{
	struct th_event *e;
	size_t i;

	for (i = 0; i < t->kept.n; i++) {
		e = t->kept.item[i];
		if (e->ev == ev)
			return e;
	}
	return NULL;
}

static const struct lnx_event *host_event_ref(struct lnx_ctx *ctx, const struct lnx_event *ev)
{
	struct testhost *t = ctx->t;
	struct th_event *e = kept_find(t, ev);

	if (th_fault(t, "event_ref"))
		return NULL;
	if (!e) {
		e = event_copy(ev);
		if (!e)
			return NULL;
		if (t->current && t->current->ev == ev)
			e->meta = t->current->meta;
		e->refs = 0;
	}
	if (list_hold(&t->kept, e)) {
		if (!e->refs) {
			e->refs = 1;
			event_put(e);
		}
		return NULL;
	}
	return e->ev;
}

static void host_event_unref(struct lnx_ctx *ctx, const struct lnx_event *ev)
{
	struct testhost *t = ctx->t;
	size_t i;

	for (i = 0; i < t->kept.n; i++) {
		struct th_event *e = t->kept.item[i];

		if (e->ev != ev)
			continue;
		th_list_del(&t->kept, i);
		event_put(e);
		return;
	}
	fprintf(stderr, "testhost: event_unref of an event that is not kept\n");
	abort();
}

size_t testhost_refs(struct testhost *t)
{
	return t->kept.n;
}

static int host_event_meta(struct lnx_ctx *ctx, const struct lnx_event *ev,
			   struct lnx_event_meta *ret_meta)
{
	const struct th_event *e = kept_find(ctx->t, ev);

	if (!e && ctx->t->current && ctx->t->current->ev == ev)
		e = ctx->t->current;
	if (!e)
		return -ENOENT;
	*ret_meta = e->meta;
	return 0;
}

static int host_ring_each(struct lnx_ctx *ctx, uint64_t since_seq,
			  int (*each)(void *arg, const struct lnx_event *ev,
				      const struct lnx_event_meta *meta),
			  void *arg, uint64_t *ret_oldest)
{
	const struct th_list *l = &ctx->t->ring;
	const struct th_event *e;
	int n = 0;
	size_t i;

	if (ret_oldest)
		*ret_oldest = l->n ? ((struct th_event *)l->item[0])->meta.seq : 0;
	for (i = 0; i < l->n; i++) {
		e = l->item[i];
		if (e->meta.seq <= since_seq)
			continue;
		n++;
		if (each(arg, e->ev, &e->meta))
			break;
	}
	return n;
}

void th_event_host(struct lnx_host *h)
{
	h->publish = host_publish;
	h->event_type = host_event_type;
	h->event_register = host_event_register;
	h->event_desc = host_event_desc;
	h->event_ref = host_event_ref;
	h->event_unref = host_event_unref;
	h->event_meta = host_event_meta;
	h->event_json = th_event_json;
	h->ring_each = host_ring_each;
	h->subscribe = host_subscribe;
	h->unsubscribe = host_unsubscribe;
	h->wanted = host_wanted;
}

void th_event_done(struct testhost *t)
{
	th_list_done(&t->published, event_put);
	th_list_done(&t->pending, event_put);
	th_list_done(&t->ring, event_put);
	th_list_done(&t->kept, event_put);
	th_list_done(&t->subs, free);
	th_list_done(&t->wanted, free);
	th_list_done(&t->descs, free);
}
