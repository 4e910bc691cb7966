/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Reader of a BPF ring buffer: positions that only grow, records of an eight byte head and data. */
#include "ringbuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/bpf.h>

#include <linnix/event.h>

#define HEAD_BYTES 8 /* u32 bytes and two flags, u32 for the kernel */

struct lnx_ringbuf {
	uint64_t *consumer;	  /* ours to write */
	const uint64_t *producer; /* the kernel's */
	const char *data;
	size_t bytes; /* of data, a power of two */
	void *map_consumer, *map_producer;
	size_t page_bytes;
	uint64_t skipped;
	char straight[LNX_EVENT_MAX]; /* copy of a record that lies across the end */
};

int lnx_ringbuf_open_mem(uint64_t *consumer, const uint64_t *producer, const void *data,
			 size_t bytes, struct lnx_ringbuf **ret_rb)
{
	struct lnx_ringbuf *rb;

	if (bytes < HEAD_BYTES || bytes & (bytes - 1))
		return -EINVAL;
	rb = calloc(1, sizeof(*rb));
	if (!rb)
		return -ENOMEM;
	rb->consumer = consumer;
	rb->producer = producer;
	rb->data = data;
	rb->bytes = bytes;
	*ret_rb = rb;
	return 0;
}

int lnx_ringbuf_open(int map_fd, size_t bytes, struct lnx_ringbuf **ret_rb)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *consumer, *producer;
	int rc;

	consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
	if (consumer == MAP_FAILED)
		return -errno;
	producer = mmap(NULL, page + bytes, PROT_READ, MAP_SHARED, map_fd, (off_t)page);
	if (producer == MAP_FAILED) {
		rc = -errno;
		(void)munmap(consumer, page);
		return rc;
	}
	rc = lnx_ringbuf_open_mem(consumer, producer, (char *)producer + page, bytes, ret_rb);
	if (rc < 0) {
		(void)munmap(consumer, page);
		(void)munmap(producer, page + bytes);
		return rc;
	}
	(*ret_rb)->map_consumer = consumer;
	(*ret_rb)->map_producer = producer;
	(*ret_rb)->page_bytes = page;
	return 0;
}

void lnx_ringbuf_close(struct lnx_ringbuf *rb)
{
	if (!rb)
		return;
	if (rb->map_consumer) {
		(void)munmap(rb->map_consumer, rb->page_bytes);
		(void)munmap(rb->map_producer, rb->page_bytes + rb->bytes);
	}
	free(rb);
}

/* The <bytes> bytes at <pos>, in one piece. Returns 0, or -E2BIG if they cannot be. */
static int ringbuf_straight(struct lnx_ringbuf *rb, uint64_t pos, size_t bytes,
			    const void **ret_record)
{
	size_t at = pos & (rb->bytes - 1), first = rb->bytes - at;

	if (bytes <= first) {
		*ret_record = rb->data + at;
		return 0;
	}
	if (bytes > sizeof(rb->straight))
		return -E2BIG;
	memcpy(rb->straight, rb->data + at, first);
	memcpy(rb->straight + first, rb->data, bytes - first);
	*ret_record = rb->straight;
	return 0;
}

unsigned lnx_ringbuf_read(struct lnx_ringbuf *rb, unsigned max,
			  void (*each)(void *arg, const void *record, size_t bytes), void *arg)
{
	uint64_t pos = __atomic_load_n(rb->consumer, __ATOMIC_ACQUIRE);
	unsigned n = 0;

	while (n < max && pos < __atomic_load_n(rb->producer, __ATOMIC_ACQUIRE)) {
		const uint32_t *head = (const void *)(rb->data + (pos & (rb->bytes - 1)));
		uint32_t word = __atomic_load_n(head, __ATOMIC_ACQUIRE);
		size_t bytes = word & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
		const void *record;

		if (word & BPF_RINGBUF_BUSY_BIT)
			break;
		if (!(word & BPF_RINGBUF_DISCARD_BIT)) {
			if (ringbuf_straight(rb, pos + HEAD_BYTES, bytes, &record) == 0)
				each(arg, record, bytes);
			else
				rb->skipped++;
			n++;
		}
		pos += (bytes + HEAD_BYTES + 7) & ~(size_t)7;
		/* After each one: the kernel may write where it lay, and a handler that never
		 * returns leaves no event to be seen twice. */
		__atomic_store_n(rb->consumer, pos, __ATOMIC_RELEASE);
	}
	return n;
}

uint64_t lnx_ringbuf_skipped(const struct lnx_ringbuf *rb)
{
	return rb->skipped;
}
