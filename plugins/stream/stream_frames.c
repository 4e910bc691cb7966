/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The shared block of frames. A frame never wraps: what is left at the end of the block is filled. */
#include "stream_frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_ALIGN  8u
#define STREAM_NS_MAX 255u /* bytes; Kubernetes allows 63 */

int stream_frames_open(struct stream_frames *f, size_t cap)
{
	f->cap = cap & ~(size_t)(STREAM_ALIGN - 1);
	f->head = f->tail = 0;
	f->data = malloc(f->cap);
	return f->data ? 0 : -ENOMEM;
}

void stream_frames_close(struct stream_frames *f)
{
	free(f->data);
	memset(f, 0, sizeof(*f));
}

static struct stream_frame *stream_frames_ptr(const struct stream_frames *f, uint64_t pos)
{
	return (struct stream_frame *)(void *)(f->data + pos % f->cap);
}

/* Bytes to the end of the block; a head may not fit in them, then they are skipped unwritten. */
static uint64_t stream_frames_left(const struct stream_frames *f, uint64_t pos)
{
	return f->cap - pos % f->cap;
}

const struct stream_frame *stream_frames_at(const struct stream_frames *f, uint64_t pos,
					    uint64_t *ret_next)
{
	const struct stream_frame *fr;

	while (pos < f->head) {
		if (stream_frames_left(f, pos) < sizeof(*fr)) {
			pos += stream_frames_left(f, pos);
			continue;
		}
		fr = stream_frames_ptr(f, pos);
		pos += fr->bytes;
		if (fr->type) {
			*ret_next = pos;
			return fr;
		}
	}
	*ret_next = f->head;
	return NULL;
}

/* Old frames go until [head, head + need) overlaps none. */
static void stream_frames_room(struct stream_frames *f, uint64_t need,
			       void (*evict)(void *arg, uint64_t pos,
					     const struct stream_frame *fr),
			       void *arg)
{
	const struct stream_frame *fr;
	uint64_t next;

	while (f->head + need - f->tail > f->cap) {
		fr = stream_frames_at(f, f->tail, &next);
		if (fr)
			evict(arg, next - fr->bytes, fr);
		f->tail = next;
		if (!fr)
			break;
	}
}

int stream_frames_add(struct stream_frames *f, uint64_t seq, uint16_t type, const char *text,
		      size_t text_bytes, const char *ns,
		      void (*evict)(void *arg, uint64_t pos, const struct stream_frame *fr),
		      void *arg)
{
	size_t ns_bytes = strnlen(ns, STREAM_NS_MAX);
	size_t need = (sizeof(struct stream_frame) + text_bytes + ns_bytes + STREAM_ALIGN - 1) &
		      ~(size_t)(STREAM_ALIGN - 1);
	uint64_t left = stream_frames_left(f, f->head);
	struct stream_frame *fr;

	if (need > f->cap / 4)
		return -E2BIG;
	if (left < need) {
		stream_frames_room(f, left, evict, arg);
		if (left >= sizeof(*fr)) {
			fr = stream_frames_ptr(f, f->head);
			memset(fr, 0, sizeof(*fr));
			fr->bytes = (uint32_t)left;
		}
		f->head += left;
	}
	stream_frames_room(f, need, evict, arg);
	fr = stream_frames_ptr(f, f->head);
	memset(fr, 0, sizeof(*fr));
	fr->seq = seq;
	fr->bytes = (uint32_t)need;
	fr->text_bytes = (uint32_t)text_bytes;
	fr->type = type;
	fr->ns_bytes = (uint16_t)ns_bytes;
	memcpy(fr + 1, text, text_bytes);
	memcpy((char *)(fr + 1) + text_bytes, ns, ns_bytes);
	f->head += need;
	return 0;
}
