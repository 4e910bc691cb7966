/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Blocks for kept events: reference counted, bounded in bytes. Loop thread only. */
#ifndef LNX_POOL_H
#define LNX_POOL_H

#include <linnix/event.h>
#include <linnix/host.h>
#include <stddef.h>

struct lnx_pool {
	size_t max_bytes, used_bytes;
	struct lnx_kept *free_list[4]; /* by size class */
	size_t free_bytes;	       /* in the lists, part of no event */
};

/* A kept event: this head, then the event's bytes. */
struct lnx_kept {
	uint64_t magic;
	uint32_t refs;
	uint32_t n_class;
	struct lnx_kept *next; /* in a list: free, or pending on the bus */
	struct lnx_event_meta meta;
	struct lnx_event ev;
};

void lnx_pool_init(struct lnx_pool *p, size_t max_bytes);
void lnx_pool_done(struct lnx_pool *p);
/* A copy of <ev> with one reference, or NULL when the pool is full. */
struct lnx_kept *lnx_pool_copy(struct lnx_pool *p, const struct lnx_event *ev,
			       const struct lnx_event_meta *meta);
void lnx_pool_unref(struct lnx_pool *p, struct lnx_kept *k);
/* The block of an event that came from lnx_pool_copy, or NULL if it is none. */
struct lnx_kept *lnx_pool_of(const struct lnx_event *ev);

#endif
