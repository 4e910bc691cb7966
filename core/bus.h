/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The event bus: delivery in stages, bounded queues, hops, the ring of what crossed it, and every loss counted.
 * Loop thread only. */
#ifndef LNX_BUS_H
#define LNX_BUS_H

#include "event.h"
#include <stdbool.h>

struct lnx_bus;
struct lnx_sub_handle;

struct lnx_bus_conf {
	struct lnx_registry *registry; /* borrowed */
	size_t ring_bytes;	       /* of the ring; 0: 8 MiB */
	size_t pool_bytes;	       /* of kept events; 0: 16 MiB */
	unsigned max_hops;	       /* 0: 8 */
	unsigned max_pending;	       /* published from handlers and not yet run; 0: 8192 */
};

/* enum lnx_drop: label `where` of linnix_events_dropped_total */
#define LNX_DROP_KERNEL	 0
#define LNX_DROP_POOL	 1
#define LNX_DROP_QUEUE	 2
#define LNX_DROP_HOPS	 3
#define LNX_DROP_INVALID 4
#define LNX_DROP_N	 5
extern const char *const lnx_drop_names[LNX_DROP_N];

/* NULL: -ENOMEM. */
struct lnx_bus *lnx_bus_new(const struct lnx_bus_conf *conf);
void lnx_bus_free(struct lnx_bus *b);

/* Deliver events of <type> (LNX_EV_ANY: all) to <fn>, within a stage in order of subscription. queue 0: in place.
 * <name> is for counters, borrowed. What <fn> returns is its own business: whoever subscribes counts failures.
 * Returns 0, -ENOENT (no such type), -ENOMEM. */
int lnx_bus_subscribe(struct lnx_bus *b, const char *name, uint16_t type, unsigned stage,
		      unsigned queue, int (*fn)(void *arg, const struct lnx_event *ev), void *arg,
		      struct lnx_sub_handle **ret_sub);
/* Safe inside a handler. NULL is fine. */
void lnx_bus_unsubscribe(struct lnx_bus *b, struct lnx_sub_handle *sub);
/* Subscriptions that want <type>. */
unsigned lnx_bus_wanted(const struct lnx_bus *b, uint16_t type);
/* The same, of those at <stage> only. */
unsigned lnx_bus_wanted_at(const struct lnx_bus *b, uint16_t type, unsigned stage);
/* Called (from the loop, never inside a handler) after the set of wanted types changed. */
void lnx_bus_on_wanted(struct lnx_bus *b, void (*fn)(void *arg), void *arg);

/* Deliver an event that lies in memory of a producer (borrowed, read-only): the sources' way in. Not from a handler.
 * Checks it. Returns 0 or -EINVAL (counted as `invalid`). */
int lnx_bus_deliver(struct lnx_bus *b, const struct lnx_event *ev, size_t bytes);
/* Copy <ev> and deliver it after the current event, or at once outside of a handler. A ts_ns of 0 becomes now.
 * Returns 0, -EINVAL, -E2BIG, -ELOOP (hops, counted), -ENOBUFS (pending full, counted as `queue`). */
int lnx_bus_publish(struct lnx_bus *b, const struct lnx_event *ev);
/* Drain queued subscriptions, at most <budget> events; returns whether more wait. */
bool lnx_bus_drain(struct lnx_bus *b, unsigned budget);
/* Called when queues became non-empty: the app arms its idle watcher. */
void lnx_bus_on_queued(struct lnx_bus *b, void (*fn)(void *arg), void *arg);

/* As the host vtable's. NULL from ref: pool full, counted. */
const struct lnx_event *lnx_bus_ref(struct lnx_bus *b, const struct lnx_event *ev);
void lnx_bus_unref(struct lnx_bus *b, const struct lnx_event *ev);
int lnx_bus_meta(const struct lnx_bus *b, const struct lnx_event *ev,
		 struct lnx_event_meta *ret_meta);
int lnx_bus_ring_each(struct lnx_bus *b, uint64_t since_seq,
		      int (*each)(void *arg, const struct lnx_event *ev,
				  const struct lnx_event_meta *meta),
		      void *arg, uint64_t *ret_oldest);

/* As lnx_ring_forget(); nothing while the ring is read. */
size_t lnx_bus_forget(struct lnx_bus *b, uint64_t before_ns);

/* Time is handed in: the app sets it each turn of the loop, tests drive it. Handlers see the event's own time when it is
 * later. */
void lnx_bus_set_now(struct lnx_bus *b, uint64_t now_ns);
uint64_t lnx_bus_now(const struct lnx_bus *b);

/* Losses elsewhere, told to the bus so that one counter tells them all. */
void lnx_bus_add_dropped(struct lnx_bus *b, unsigned where, uint64_t n);

/* The counters of losses (LNX_DROP_N of them) as they were at <at_ns>, to the second, as far back as is remembered. */
void lnx_bus_dropped_at(const struct lnx_bus *b, uint64_t at_ns, uint64_t *ret_dropped);

struct lnx_bus_stats {
	uint64_t seq; /* last sequence given out */
	uint64_t dropped[LNX_DROP_N];
	uint64_t oldest_seq; /* still in the ring */
	size_t ring_used_bytes, pool_used_bytes;
};
void lnx_bus_stats(const struct lnx_bus *b, struct lnx_bus_stats *ret_stats);
/* Events of <type> that crossed the bus. */
uint64_t lnx_bus_events(const struct lnx_bus *b, uint16_t type);
struct lnx_registry *lnx_bus_registry(const struct lnx_bus *b);

#endif
