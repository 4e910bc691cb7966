/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Rendered events in one bounded block, shared by all readers. A position only grows; the oldest frames make room. */
#ifndef STREAM_FRAMES_H
#define STREAM_FRAMES_H

#include <stddef.h>
#include <stdint.h>

struct stream_frame {
	uint64_t seq;
	uint32_t bytes;	     /* of the record, this head included; a multiple of 8 */
	uint32_t text_bytes; /* the text to send follows the head, then the namespace */
	uint16_t type;	     /* 0: only fills the end of the block */
	uint16_t ns_bytes;
	uint32_t pad;
};

struct stream_frames {
	char *data; /* owned; NULL until opened */
	size_t cap;
	uint64_t head, tail; /* positions: the next frame, the oldest one */
};

/* 0 or -ENOMEM. <cap> is rounded down to 8. */
int stream_frames_open(struct stream_frames *f, size_t cap);
void stream_frames_close(struct stream_frames *f);
/* Add a frame; <evict> is called for each old one that goes, before it does. -E2BIG: more than a quarter of the block. */
int stream_frames_add(struct stream_frames *f, uint64_t seq, uint16_t type, const char *text,
		      size_t text_bytes, const char *ns,
		      void (*evict)(void *arg, uint64_t pos, const struct stream_frame *fr),
		      void *arg);
/* The frame at or after <pos>, which is at least tail; NULL at the head. *ret_next: position after it. */
const struct stream_frame *stream_frames_at(const struct stream_frames *f, uint64_t pos,
					    uint64_t *ret_next);

static inline const char *stream_frame_text(const struct stream_frame *fr)
{
	return (const char *)(fr + 1);
}

static inline const char *stream_frame_ns(const struct stream_frame *fr)
{
	return (const char *)(fr + 1) + fr->text_bytes;
}

#endif
