/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* From the shared ring buffer to the bus, on the loop. Loop thread only. */
#ifndef LNX_SOURCE_H
#define LNX_SOURCE_H

#include <stddef.h>

struct ev_loop;
struct lnx_bus;
struct lnx_source;

/* Read the ring buffer <map_fd> of <bytes> bytes, and keep the map <wake_fd> (linnix/rec_stats.h) told; both borrowed. <tick> (may be NULL) runs about once a second while active.
 * Returns 0 or -errno. */
int lnx_source_new(int map_fd, size_t bytes, int wake_fd, struct lnx_bus *bus,
		   void (*tick)(void *arg), void *arg, struct lnx_source **ret_source);
/* NULL is fine. */
void lnx_source_free(struct lnx_source *s);
void lnx_source_start(struct lnx_source *s, struct ev_loop *loop);
void lnx_source_stop(struct lnx_source *s);
/* Whether some probe is attached: without one no timer runs. */
void lnx_source_set_active(struct lnx_source *s, int is_active);
/* Whether somebody waits for events: then they are fetched within 8 ms while they flow, else within
 * 64 ms, which disturbs the machine less. Off at first. */
void lnx_source_set_prompt(struct lnx_source *s, int is_prompt);
/* Deliver all that is queued now. Returns events. */
int lnx_source_drain(struct lnx_source *s);

#endif
