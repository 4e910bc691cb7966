/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Reader of a BPF ring buffer. Loop thread only.
 *
 * libbpf's own maps the data twice, which costs twice its size in resident memory, and (in the
 * versions we support) cannot stop after a number of records. */
#ifndef LNX_RINGBUF_H
#define LNX_RINGBUF_H

#include <stddef.h>
#include <stdint.h>

struct lnx_ringbuf;

/* Map the ring buffer <map_fd> of <bytes> bytes of data. <map_fd> is borrowed; poll it for reading.
 * Returns 0, -ENOMEM or the error of mmap(2). */
int lnx_ringbuf_open(int map_fd, size_t bytes, struct lnx_ringbuf **ret_rb);
/* The same over plain memory, <consumer> and <producer> being the positions: for tests. */
int lnx_ringbuf_open_mem(uint64_t *consumer, const uint64_t *producer, const void *data,
			 size_t bytes, struct lnx_ringbuf **ret_rb);
/* NULL is fine. */
void lnx_ringbuf_close(struct lnx_ringbuf *rb);
/* Give up to <max> records to <each>, in order. A record is borrowed until <each> returns.
 * Returns how many were given; fewer than <max> means that no more were there. */
unsigned lnx_ringbuf_read(struct lnx_ringbuf *rb, unsigned max,
			  void (*each)(void *arg, const void *record, size_t bytes), void *arg);
/* Records that were longer than an event may be and lay across the end: skipped. */
uint64_t lnx_ringbuf_skipped(const struct lnx_ringbuf *rb);

#endif
