/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Delivery: an event goes through its subscribers in stage order, in place or into their bounded queues; what handlers
 * publish waits in one list and runs after the current event, never inside it. */
#include "bus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pool.h"
#include "ring.h"

#define LNX_RING_BYTES	(8u << 20)
#define LNX_POOL_BYTES	(16u << 20)
#define LNX_MAX_HOPS	8
#define LNX_MAX_PENDING 8192
#define LNX_MAX_QUEUE	(1u << 20)
#define LNX_BUS_LOSSES	64 /* seconds with a loss that are remembered */

const char *const lnx_drop_names[LNX_DROP_N] = { "kernel", "pool", "queue", "hops", "invalid" };

struct lnx_sub_handle {
	struct lnx_sub_handle *next; /* all, in order of subscription */
	const char *name;
	uint16_t type;
	unsigned stage;
	int (*fn)(void *arg, const struct lnx_event *ev);
	void *arg;
	bool is_dead;
	/* queue: a ring of <cap> kept events */
	struct lnx_kept **queue;
	unsigned cap, head, n;
};

/* Live subscribers of one type, by stage. */
struct lnx_route {
	struct lnx_sub_handle **subs;
	unsigned n, cap;
	uint64_t events;
};

struct lnx_current {
	const struct lnx_event *ev;
	const struct lnx_event_meta *meta;
	struct lnx_kept *kept; /* the shared copy, once somebody asked */
};

/* The counters as they were before the first loss of a second. */
struct lnx_bus_loss {
	uint64_t second;
	uint64_t dropped[LNX_DROP_N];
};

struct lnx_bus {
	struct lnx_registry *registry;
	struct lnx_ring ring;
	struct lnx_pool pool;
	struct lnx_sub_handle *subs;
	struct lnx_route routes[LNX_MAX_TYPES];
	unsigned n_subs, n_built, max_hops, max_pending; /* n_built: types that have a route */
	bool is_stale;					 /* routes must be rebuilt */
	bool is_walking;				 /* the ring is being read: publish waits */
	struct lnx_current cur;
	struct lnx_kept *pending, **pending_end;
	unsigned n_pending, n_queued;
	struct lnx_sub_handle *drain_from; /* round robin */
	uint64_t now_ns, seq;
	uint64_t dropped[LNX_DROP_N];
	struct lnx_bus_loss losses[LNX_BUS_LOSSES]; /* a ring */
	unsigned n_losses;
	void (*wanted_fn)(void *arg);
	void *wanted_arg;
	void (*queued_fn)(void *arg);
	void *queued_arg;
};

static void lnx_bus_drop(struct lnx_bus *b, unsigned where, uint64_t n)
{
	uint64_t second = b->now_ns / 1000000000u;
	struct lnx_bus_loss *last = &b->losses[(b->n_losses - 1) % LNX_BUS_LOSSES];

	if (!b->n_losses || last->second < second) {
		last = &b->losses[b->n_losses++ % LNX_BUS_LOSSES];
		last->second = second;
		memcpy(last->dropped, b->dropped, sizeof(b->dropped));
	}
	b->dropped[where] += n;
}

struct lnx_bus *lnx_bus_new(const struct lnx_bus_conf *conf)
{
	struct lnx_bus *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	if (lnx_ring_init(&b->ring, conf->ring_bytes ? conf->ring_bytes : LNX_RING_BYTES) < 0) {
		free(b);
		return NULL;
	}
	lnx_pool_init(&b->pool, conf->pool_bytes ? conf->pool_bytes : LNX_POOL_BYTES);
	b->registry = conf->registry;
	b->max_hops = conf->max_hops ? conf->max_hops : LNX_MAX_HOPS;
	b->max_pending = conf->max_pending ? conf->max_pending : LNX_MAX_PENDING;
	b->pending_end = &b->pending;
	return b;
}

static void lnx_sub_free(struct lnx_bus *b, struct lnx_sub_handle *s)
{
	for (; s->n; s->n--) {
		lnx_pool_unref(&b->pool, s->queue[s->head]);
		s->head = (s->head + 1) % s->cap;
		b->n_queued--;
	}
	free(s->queue);
	free(s);
}

void lnx_bus_free(struct lnx_bus *b)
{
	unsigned i;

	if (!b)
		return;
	while (b->subs) {
		struct lnx_sub_handle *s = b->subs;

		b->subs = s->next;
		lnx_sub_free(b, s);
	}
	while (b->pending) {
		struct lnx_kept *k = b->pending;

		b->pending = k->next;
		lnx_pool_unref(&b->pool, k);
	}
	for (i = 0; i < LNX_MAX_TYPES; i++)
		free(b->routes[i].subs);
	lnx_pool_done(&b->pool);
	lnx_ring_done(&b->ring);
	free(b);
}

static int lnx_route_reserve(struct lnx_route *r, unsigned n)
{
	void *p;

	if (n <= r->cap)
		return 0;
	p = realloc(r->subs, n * sizeof(*r->subs));
	if (!p)
		return -ENOMEM;
	r->subs = p;
	r->cap = n;
	return 0;
}

/* Dead subscriptions go, then each type gets its flat array. When memory is short the route stays empty, and it is tried
 * again at the next turn. */
static void lnx_bus_rebuild(struct lnx_bus *b)
{
	struct lnx_sub_handle **p = &b->subs, *s;
	unsigned i, n = lnx_registry_count(b->registry);

	b->is_stale = false;
	b->n_built = n;
	while ((s = *p)) {
		if (s->is_dead) {
			*p = s->next;
			b->n_subs--;
			lnx_sub_free(b, s);
			continue;
		}
		p = &s->next;
	}
	b->drain_from = NULL;
	for (i = 0; i < n; i++) {
		uint16_t type = lnx_registry_at(b->registry, i)->type;
		struct lnx_route *r = &b->routes[i];

		r->n = 0;
		if (lnx_route_reserve(r, b->n_subs) < 0) {
			b->is_stale = true;
			continue;
		}
		for (s = b->subs; s; s = s->next) {
			unsigned k = r->n;

			if (s->type != type && s->type != LNX_EV_ANY)
				continue;
			for (; k && r->subs[k - 1]->stage > s->stage; k--)
				r->subs[k] = r->subs[k - 1];
			r->subs[k] = s;
			r->n++;
		}
	}
}

static void lnx_bus_settle(struct lnx_bus *b)
{
	if (!b->is_stale || b->cur.ev || b->is_walking)
		return;
	lnx_bus_rebuild(b);
	if (b->wanted_fn)
		b->wanted_fn(b->wanted_arg);
}

int lnx_bus_subscribe(struct lnx_bus *b, const char *name, uint16_t type, unsigned stage,
		      unsigned queue, int (*fn)(void *arg, const struct lnx_event *ev), void *arg,
		      struct lnx_sub_handle **ret_sub)
{
	struct lnx_sub_handle *s, **p;

	if (type != LNX_EV_ANY && lnx_registry_index(b->registry, type) < 0)
		return -ENOENT;
	if (queue > LNX_MAX_QUEUE)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	if (queue) {
		s->queue = calloc(queue, sizeof(struct lnx_kept *));
		if (!s->queue) {
			free(s);
			return -ENOMEM;
		}
	}
	s->name = name;
	s->type = type;
	s->stage = stage;
	s->cap = queue;
	s->fn = fn;
	s->arg = arg;
	b->n_subs++;
	for (p = &b->subs; *p; p = &(*p)->next)
		;
	*p = s;
	b->is_stale = true;
	lnx_bus_settle(b);
	if (ret_sub)
		*ret_sub = s;
	return 0;
}

void lnx_bus_unsubscribe(struct lnx_bus *b, struct lnx_sub_handle *sub)
{
	if (!sub)
		return;
	sub->is_dead = true;
	b->is_stale = true;
	lnx_bus_settle(b);
}

static int sub_wants(const struct lnx_sub_handle *s, uint16_t type)
{
	return !s->is_dead && (s->type == type || s->type == LNX_EV_ANY);
}

unsigned lnx_bus_wanted(const struct lnx_bus *b, uint16_t type)
{
	const struct lnx_sub_handle *s;
	unsigned n = 0;

	for (s = b->subs; s; s = s->next)
		n += sub_wants(s, type);
	return n;
}

unsigned lnx_bus_wanted_at(const struct lnx_bus *b, uint16_t type, unsigned stage)
{
	const struct lnx_sub_handle *s;
	unsigned n = 0;

	for (s = b->subs; s; s = s->next)
		n += sub_wants(s, type) && s->stage == stage;
	return n;
}

void lnx_bus_on_wanted(struct lnx_bus *b, void (*fn)(void *arg), void *arg)
{
	b->wanted_fn = fn;
	b->wanted_arg = arg;
}

void lnx_bus_on_queued(struct lnx_bus *b, void (*fn)(void *arg), void *arg)
{
	b->queued_fn = fn;
	b->queued_arg = arg;
}

static struct lnx_kept *lnx_bus_keep_current(struct lnx_bus *b)
{
	if (b->cur.kept) {
		b->cur.kept->refs++;
		return b->cur.kept;
	}
	b->cur.kept = lnx_pool_copy(&b->pool, b->cur.ev, b->cur.meta);
	if (!b->cur.kept) {
		lnx_bus_drop(b, LNX_DROP_POOL, 1);
		return NULL;
	}
	b->cur.kept->refs++; /* one for the dispatch, one for the keeper */
	return b->cur.kept;
}

static void lnx_bus_enqueue(struct lnx_bus *b, struct lnx_sub_handle *s)
{
	struct lnx_kept *k;

	if (s->n == s->cap) {
		lnx_bus_drop(b, LNX_DROP_QUEUE, 1);
		return;
	}
	k = lnx_bus_keep_current(b);
	if (!k)
		return;
	s->queue[(s->head + s->n++) % s->cap] = k;
	if (b->n_queued++ == 0 && b->queued_fn)
		b->queued_fn(b->queued_arg);
}

/* One event through its subscribers. <kept>: the block that holds it, if it is one. */
static void lnx_bus_dispatch(struct lnx_bus *b, const struct lnx_event *ev,
			     const struct lnx_event_meta *meta, struct lnx_kept *kept)
{
	struct lnx_route *r = &b->routes[lnx_registry_index(b->registry, ev->type)];
	unsigned i;

	b->cur.ev = ev;
	b->cur.meta = meta;
	b->cur.kept = kept;
	if (kept)
		kept->refs++;
	if (ev->ts_ns > b->now_ns)
		b->now_ns = ev->ts_ns;
	for (i = 0; i < r->n; i++) {
		struct lnx_sub_handle *s = r->subs[i];

		if (s->is_dead)
			continue;
		if (s->cap)
			lnx_bus_enqueue(b, s);
		else
			(void)s->fn(s->arg, ev); /* the subscriber counts its own failures */
	}
	lnx_pool_unref(&b->pool, b->cur.kept);
	memset(&b->cur, 0, sizeof(b->cur));
}

/* Number, remember and dispatch. */
static void lnx_bus_accept(struct lnx_bus *b, const struct lnx_event *ev,
			   struct lnx_event_meta *meta, struct lnx_kept *kept)
{
	if (b->n_built != lnx_registry_count(b->registry))
		lnx_bus_rebuild(b);
	meta->seq = ++b->seq;
	b->routes[lnx_registry_index(b->registry, ev->type)].events++;
	lnx_ring_add(&b->ring, ev, meta);
	lnx_bus_dispatch(b, ev, meta, kept);
}

static void lnx_bus_run_pending(struct lnx_bus *b)
{
	struct lnx_kept *k;

	if (b->cur.ev || b->is_walking)
		return;
	while ((k = b->pending)) {
		b->pending = k->next;
		if (!b->pending)
			b->pending_end = &b->pending;
		b->n_pending--;
		k->next = NULL;
		if (b->is_stale)
			lnx_bus_settle(b);
		lnx_bus_accept(b, &k->ev, &k->meta, k);
		lnx_pool_unref(&b->pool, k);
	}
	lnx_bus_settle(b);
}

int lnx_bus_deliver(struct lnx_bus *b, const struct lnx_event *ev, size_t bytes)
{
	struct lnx_event_meta meta = { 0 };
	struct lnx_kept *kept = NULL;

	if (lnx_event_check(b->registry, ev, bytes) < 0) {
		lnx_bus_drop(b, LNX_DROP_INVALID, 1);
		return -EINVAL;
	}
#ifdef LNX_POISON
	kept = lnx_pool_copy(&b->pool, ev, &meta);
	if (kept)
		ev = &kept->ev;
#endif
	lnx_bus_accept(b, ev, kept ? &kept->meta : &meta, kept);
	lnx_pool_unref(&b->pool, kept);
	lnx_bus_run_pending(b);
	return 0;
}

int lnx_bus_publish(struct lnx_bus *b, const struct lnx_event *ev)
{
	struct lnx_event_meta meta = { 0 };
	struct lnx_kept *k;

	if (ev->size > LNX_EVENT_MAX)
		return -E2BIG;
	if (lnx_event_check(b->registry, ev, ev->size) < 0) {
		lnx_bus_drop(b, LNX_DROP_INVALID, 1);
		return -EINVAL;
	}
	if (b->cur.ev) {
		meta.cause_seq = b->cur.meta->seq;
		meta.hops = b->cur.meta->hops + 1;
		if (meta.hops > b->max_hops) {
			lnx_bus_drop(b, LNX_DROP_HOPS, 1);
			return -ELOOP;
		}
	}
	if (b->n_pending >= b->max_pending) {
		lnx_bus_drop(b, LNX_DROP_QUEUE, 1);
		return -ENOBUFS;
	}
	k = lnx_pool_copy(&b->pool, ev, &meta);
	if (!k) {
		lnx_bus_drop(b, LNX_DROP_POOL, 1);
		return -ENOBUFS;
	}
	if (!k->ev.ts_ns)
		k->ev.ts_ns = b->now_ns;
	*b->pending_end = k;
	b->pending_end = &k->next;
	b->n_pending++;
	lnx_bus_run_pending(b);
	return 0;
}

static void lnx_bus_drain_one(struct lnx_bus *b, struct lnx_sub_handle *s)
{
	struct lnx_kept *k = s->queue[s->head];

	s->head = (s->head + 1) % s->cap;
	s->n--;
	b->n_queued--;
	b->cur.ev = &k->ev;
	b->cur.meta = &k->meta;
	b->cur.kept = k;
	if (!s->is_dead)
		(void)s->fn(s->arg, &k->ev); /* the subscriber counts its own failures */
	memset(&b->cur, 0, sizeof(b->cur));
	lnx_pool_unref(&b->pool, k);
}

bool lnx_bus_drain(struct lnx_bus *b, unsigned budget)
{
	struct lnx_sub_handle *s = b->drain_from;
	unsigned idle = 0;

	if (b->cur.ev || b->is_walking)
		return b->n_queued != 0;
	while (budget && b->n_queued && idle < 2) {
		if (!s) {
			s = b->subs;
			idle++;
			continue;
		}
		if (s->n) {
			lnx_bus_drain_one(b, s);
			budget--;
			idle = 0;
		}
		s = s->next;
		b->drain_from = s;
		if (b->pending || b->is_stale) {
			lnx_bus_run_pending(b);
			s = b->drain_from; /* a rebuild resets it */
		}
	}
	return b->n_queued != 0;
}

const struct lnx_event *lnx_bus_ref(struct lnx_bus *b, const struct lnx_event *ev)
{
	struct lnx_kept *k;

	if (b->cur.ev == ev) {
		k = lnx_bus_keep_current(b);
		return k ? &k->ev : NULL;
	}
	k = lnx_pool_of(ev);
	if (!k)
		return NULL;
	k->refs++;
	return ev;
}

void lnx_bus_unref(struct lnx_bus *b, const struct lnx_event *ev)
{
	if (ev)
		lnx_pool_unref(&b->pool, lnx_pool_of(ev));
}

int lnx_bus_meta(const struct lnx_bus *b, const struct lnx_event *ev,
		 struct lnx_event_meta *ret_meta)
{
	const struct lnx_kept *k;

	if (b->cur.ev == ev) {
		*ret_meta = *b->cur.meta;
		return 0;
	}
	k = lnx_pool_of(ev);
	if (!k)
		return -EINVAL;
	*ret_meta = k->meta;
	return 0;
}

size_t lnx_bus_forget(struct lnx_bus *b, uint64_t before_ns)
{
	return b->is_walking ? 0 : lnx_ring_forget(&b->ring, before_ns);
}

int lnx_bus_ring_each(struct lnx_bus *b, uint64_t since_seq,
		      int (*each)(void *arg, const struct lnx_event *ev,
				  const struct lnx_event_meta *meta),
		      void *arg, uint64_t *ret_oldest)
{
	bool was_walking = b->is_walking;
	int n;

	if (ret_oldest)
		*ret_oldest = lnx_ring_oldest(&b->ring);
	b->is_walking = true;
	n = lnx_ring_each(&b->ring, since_seq, each, arg);
	b->is_walking = was_walking;
	lnx_bus_run_pending(b);
	return n;
}

void lnx_bus_set_now(struct lnx_bus *b, uint64_t now_ns)
{
	b->now_ns = now_ns;
}

uint64_t lnx_bus_now(const struct lnx_bus *b)
{
	return b->now_ns;
}

void lnx_bus_add_dropped(struct lnx_bus *b, unsigned where, uint64_t n)
{
	if (where < LNX_DROP_N && n)
		lnx_bus_drop(b, where, n);
}

void lnx_bus_dropped_at(const struct lnx_bus *b, uint64_t at_ns, uint64_t *ret_dropped)
{
	unsigned n = b->n_losses < LNX_BUS_LOSSES ? b->n_losses : LNX_BUS_LOSSES, i;

	memcpy(ret_dropped, b->dropped, sizeof(b->dropped));
	for (i = 1; i <= n; i++) {
		const struct lnx_bus_loss *l = &b->losses[(b->n_losses - i) % LNX_BUS_LOSSES];

		if (l->second < at_ns / 1000000000u)
			break;
		memcpy(ret_dropped, l->dropped, sizeof(l->dropped));
	}
}

void lnx_bus_stats(const struct lnx_bus *b, struct lnx_bus_stats *ret_stats)
{
	ret_stats->seq = b->seq;
	memcpy(ret_stats->dropped, b->dropped, sizeof(b->dropped));
	ret_stats->oldest_seq = lnx_ring_oldest(&b->ring);
	ret_stats->ring_used_bytes = b->ring.used_bytes;
	ret_stats->pool_used_bytes = b->pool.used_bytes;
}

uint64_t lnx_bus_events(const struct lnx_bus *b, uint16_t type)
{
	int i = lnx_registry_index(b->registry, type);

	return i < 0 ? 0 : b->routes[i].events;
}

struct lnx_registry *lnx_bus_registry(const struct lnx_bus *b)
{
	return b->registry;
}
