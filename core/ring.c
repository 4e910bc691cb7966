/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Records of {bytes, meta, event} one after the other in one block; a record never wraps, a zero size marks the end. */
#include "ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct lnx_ring_rec {
	uint64_t bytes; /* of this record with its event, a multiple of 8; 0: go on at the start */
	struct lnx_event_meta meta;
	/* then the event */
};

int lnx_ring_init(struct lnx_ring *r, size_t bytes)
{
	size_t least = 4 * (sizeof(struct lnx_ring_rec) + LNX_EVENT_MAX);
	void *p;

	memset(r, 0, sizeof(*r));
	r->cap = (bytes < least ? least : bytes) & ~(size_t)7;
	p = mmap(NULL, r->cap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		 -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	r->data = p;
	return 0;
}

void lnx_ring_done(struct lnx_ring *r)
{
	if (r->data)
		(void)munmap(r->data, r->cap); /* our own mapping */
	memset(r, 0, sizeof(*r));
}

static struct lnx_ring_rec *lnx_ring_rec_at(const struct lnx_ring *r, size_t at)
{
	return (struct lnx_ring_rec *)(void *)(r->data + at);
}

/* Position of the record at or after <at>. */
static size_t lnx_ring_norm(const struct lnx_ring *r, size_t at)
{
	if (at + sizeof(struct lnx_ring_rec) > r->cap || lnx_ring_rec_at(r, at)->bytes == 0)
		return 0;
	return at;
}

static void lnx_ring_drop_oldest(struct lnx_ring *r)
{
	size_t at = lnx_ring_norm(r, r->tail), bytes = lnx_ring_rec_at(r, at)->bytes;

	r->used_bytes -= bytes;
	r->tail = at + bytes;
	if (--r->n == 0)
		r->head = r->tail = 0;
}

/* Make [at, at + need) free of old records. */
static void lnx_ring_make_room(struct lnx_ring *r, size_t at, size_t need)
{
	while (r->n) {
		size_t t = lnx_ring_norm(r, r->tail);

		/* Now, while the mark of the end is there: what comes may be written over it. */
		r->tail = t;
		if (t < at || t >= at + need)
			break;
		lnx_ring_drop_oldest(r);
	}
}

void lnx_ring_add(struct lnx_ring *r, const struct lnx_event *ev, const struct lnx_event_meta *meta)
{
	size_t need = (sizeof(struct lnx_ring_rec) + ev->size + 7) & ~(size_t)7;
	struct lnx_ring_rec *rec;

	if (r->n && r->head + need > r->cap) {
		/* what lies between head and the end is older than what lies at the start */
		lnx_ring_make_room(r, r->head, r->cap - r->head);
		if (r->n && r->head + sizeof(*rec) <= r->cap)
			lnx_ring_rec_at(r, r->head)->bytes = 0;
		r->head = 0;
	}
	lnx_ring_make_room(r, r->head, need);
	rec = lnx_ring_rec_at(r, r->head);
	rec->bytes = need;
	rec->meta = *meta;
	memcpy(rec + 1, ev, ev->size);
	if (!r->n)
		r->tail = r->head;
	r->head += need;
	r->used_bytes += need;
	r->newest_seq = meta->seq;
	r->n++;
}

/* Whole pages of [from, to) go back. */
static void lnx_ring_give_back(struct lnx_ring *r, size_t from, size_t to)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	from = (from + page - 1) & ~(page - 1);
	to &= ~(page - 1);
	/* a failure leaves the pages where they are */
	if (from < to)
		(void)madvise(r->data + from, to - from, MADV_DONTNEED);
}

size_t lnx_ring_forget(struct lnx_ring *r, uint64_t before_ns)
{
	size_t n = r->n;

	while (r->n > 1) {
		const struct lnx_ring_rec *rec;

		r->tail = lnx_ring_norm(r, r->tail);
		rec = lnx_ring_rec_at(r, r->tail);
		if (((const struct lnx_event *)(const void *)(rec + 1))->ts_ns >= before_ns)
			break;
		lnx_ring_drop_oldest(r);
	}
	if (n == r->n)
		return 0;
	if (r->tail > r->head) {
		lnx_ring_give_back(r, r->head, r->tail);
	} else {
		lnx_ring_give_back(r, 0, r->tail);
		lnx_ring_give_back(r, r->head, r->cap);
	}
	return n - r->n;
}

uint64_t lnx_ring_oldest(const struct lnx_ring *r)
{
	return r->n ? lnx_ring_rec_at(r, lnx_ring_norm(r, r->tail))->meta.seq : 0;
}

/* The mark to start from for what comes after <since_seq>; NULL: the oldest record. A mark that is not older than the
 * oldest record still points to its own. */
static struct lnx_ring_mark *lnx_ring_nearest(struct lnx_ring *r, uint64_t since_seq)
{
	uint64_t oldest = lnx_ring_oldest(r);
	struct lnx_ring_mark *best = NULL;
	unsigned i;

	for (i = 0; i < LNX_RING_MARKS; i++) {
		struct lnx_ring_mark *m = &r->marks[i];

		if (m->seq && m->seq >= oldest && m->seq - 1 <= since_seq &&
		    (!best || m->seq > best->seq))
			best = m;
	}
	return best;
}

int lnx_ring_each(struct lnx_ring *r, uint64_t since_seq,
		  int (*each)(void *arg, const struct lnx_event *ev,
			      const struct lnx_event_meta *meta),
		  void *arg)
{
	struct lnx_ring_mark *m, end = { 0 };
	const struct lnx_ring_rec *rec;
	int visited = 0, rc = 0;
	size_t at;

	if (!r->n || r->newest_seq <= since_seq)
		return 0;
	m = lnx_ring_nearest(r, since_seq);
	at = m ? m->at : r->tail;
	if (!m)
		m = &r->marks[r->next_mark++ % LNX_RING_MARKS];
	do {
		at = lnx_ring_norm(r, at);
		rec = lnx_ring_rec_at(r, at);
		end.seq = rec->meta.seq;
		end.at = at;
		at += rec->bytes;
		if (rec->meta.seq > since_seq) {
			visited++;
			rc = each(arg, (const struct lnx_event *)(const void *)(rec + 1),
				  &rec->meta);
		}
	} while (rc == 0 && end.seq != r->newest_seq);
	*m = end;
	return visited;
}
