/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Kept events in four size classes with free lists, so that a steady stream does not go through malloc. */
#include "pool.h"

#include <stdlib.h>
#include <string.h>

#define LNX_KEPT_MAGIC	  0x6c6e785f6b657074ull
#define LNX_POOL_FREE_MAX (256u << 10) /* bytes that the free lists may hold */

static const uint32_t lnx_class_bytes[4] = { 256, 512, 1536, LNX_EVENT_MAX };

static size_t lnx_block_bytes(unsigned n_class)
{
	return offsetof(struct lnx_kept, ev) + lnx_class_bytes[n_class];
}

void lnx_pool_init(struct lnx_pool *p, size_t max_bytes)
{
	memset(p, 0, sizeof(*p));
	p->max_bytes = max_bytes;
}

void lnx_pool_done(struct lnx_pool *p)
{
	unsigned i;

	for (i = 0; i < 4; i++) {
		while (p->free_list[i]) {
			struct lnx_kept *k = p->free_list[i];

			p->free_list[i] = k->next;
			free(k);
		}
	}
	p->free_bytes = 0;
}

struct lnx_kept *lnx_pool_copy(struct lnx_pool *p, const struct lnx_event *ev,
			       const struct lnx_event_meta *meta)
{
	unsigned c = 0;
	struct lnx_kept *k;
	size_t bytes;

	while (c < 3 && lnx_class_bytes[c] < ev->size)
		c++;
	bytes = lnx_block_bytes(c);
	if (ev->size > lnx_class_bytes[3] || p->used_bytes + bytes > p->max_bytes)
		return NULL;
	k = p->free_list[c];
	if (k) {
		p->free_list[c] = k->next;
		p->free_bytes -= bytes;
	} else {
		k = malloc(bytes);
		if (!k)
			return NULL;
	}
	k->magic = LNX_KEPT_MAGIC;
	k->refs = 1;
	k->n_class = c;
	k->next = NULL;
	k->meta = *meta;
	memcpy(&k->ev, ev, ev->size);
	p->used_bytes += bytes;
	return k;
}

void lnx_pool_unref(struct lnx_pool *p, struct lnx_kept *k)
{
	size_t bytes;

	if (!k || --k->refs)
		return;
	bytes = lnx_block_bytes(k->n_class);
	p->used_bytes -= bytes;
	k->magic = 0;
#ifndef LNX_POISON /* with it every block goes back at once, so that ASan sees a late reader */
	if (p->free_bytes + bytes <= LNX_POOL_FREE_MAX) {
		k->next = p->free_list[k->n_class];
		p->free_list[k->n_class] = k;
		p->free_bytes += bytes;
		return;
	}
#endif
	free(k);
}

struct lnx_kept *lnx_pool_of(const struct lnx_event *ev)
{
	/* the caller owns a reference, so the head is ours to write */
	struct lnx_kept *k = (struct lnx_kept *)((uintptr_t)ev - offsetof(struct lnx_kept, ev));

	return k->magic == LNX_KEPT_MAGIC ? k : NULL;
}
