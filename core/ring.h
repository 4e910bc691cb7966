/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The bounded ring of what crossed the bus: newest pushes oldest out. Loop thread only. */
#ifndef LNX_RING_H
#define LNX_RING_H

#include <linnix/event.h>
#include <linnix/host.h>
#include <stddef.h>

#define LNX_RING_MARKS \
	8 /* readers that go on where they stopped without a walk over what they had */

struct lnx_ring_mark {
	uint64_t seq; /* 0: none */
	size_t at;
};

struct lnx_ring {
	char *data;
	size_t cap, head, tail; /* byte positions; head: next write, tail: oldest */
	size_t used_bytes;
	size_t n;
	uint64_t newest_seq;
	struct lnx_ring_mark marks[LNX_RING_MARKS]; /* where walks ended */
	unsigned next_mark;
};

/* 0 or -ENOMEM. Pages are touched only as events come. */
int lnx_ring_init(struct lnx_ring *r, size_t bytes);
void lnx_ring_done(struct lnx_ring *r);
void lnx_ring_add(struct lnx_ring *r, const struct lnx_event *ev,
		  const struct lnx_event_meta *meta);
/* As the host vtable's ring_each. <each> must not add to the ring. */
int lnx_ring_each(struct lnx_ring *r, uint64_t since_seq,
		  int (*each)(void *arg, const struct lnx_event *ev,
			      const struct lnx_event_meta *meta),
		  void *arg);
/* Drop what is older than <before_ns>, in time of events, up to the first that is not; the newest stays, so that readers
 * know what they missed. Whole pages that are free then go back to the kernel. Returns how many were dropped. */
size_t lnx_ring_forget(struct lnx_ring *r, uint64_t before_ns);
/* Sequence of the oldest, 0 if empty. */
uint64_t lnx_ring_oldest(const struct lnx_ring *r);

#endif
