/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Event types of a recording, and what they are here: the same, converted field by field by name, or unknown. */
#ifndef LNX_REC_TYPES_H
#define LNX_REC_TYPES_H

#include "rec.h"

/* Bytes of a recording are not aligned. */
uint16_t lnx_rec_get16(const char *p);
void lnx_rec_put16(char *p, uint16_t v);

/* Append the description of <desc>. */
void lnx_rec_types_put(struct lnx_buf *out, const struct lnx_event_desc *desc);

#define LNX_REC_ENUM 32 /* values of one enum that can be told apart */

/* enum lnx_rec_plan */
#define LNX_REC_NONE	0 /* not described */
#define LNX_REC_UNKNOWN 1
#define LNX_REC_SAME	2 /* the layout is ours as far as it goes: used in place */
#define LNX_REC_CONVERT 3

/* One field that both know. */
struct lnx_rec_copy {
	const struct lnx_field *to;
	uint16_t offset, size;
	uint8_t type;		     /* as recorded */
	uint8_t n_names;	     /* of an enum */
	uint8_t names[LNX_REC_ENUM]; /* its recorded values as ours; 255: not known here */
};

struct lnx_rec_type {
	char name[56];
	uint32_t plan;
#define LNX_REC_ENUM 32 /* values of one enum that can be told apart */

	/* enum lnx_rec_plan */
	uint16_t number; /* as recorded */
	uint16_t ours;	 /* the type number here */
	uint16_t fixed;	 /* of a current producer here */
	struct lnx_rec_copy *copies;
	unsigned n_copies;
};

struct lnx_rec_mem;

struct lnx_rec_types {
	const struct lnx_registry *registry;
	struct lnx_registry *
		adopt; /* the same: types that it does not know are added; NULL: they stay unknown */
	struct lnx_rec_mem *mem; /* their descriptions */
	size_t mem_bytes;
	struct lnx_rec_type list[LNX_REC_TYPES];
	unsigned n;
	uint16_t index
		[2 * LNX_REC_TYPES]; /* place in <list> + 1: built-in numbers, then run-time ones */
};

/* Read a block of descriptions. 0, -EINVAL (what came before the mistake is kept), -ENOMEM. */
int lnx_rec_types_read(struct lnx_rec_types *t, const char *raw, size_t n);
void lnx_rec_types_done(struct lnx_rec_types *t);
/* The type of a recorded number, or NULL. */
const struct lnx_rec_type *lnx_rec_types_find(const struct lnx_rec_types *t, uint16_t number);
/* Build in <space> (LNX_EVENT_MAX bytes) what <ev> of <type> is here; <ev> has <bytes> readable. Returns 0 or -EINVAL. */
int lnx_rec_convert(const struct lnx_rec_type *type, const struct lnx_event *ev, size_t bytes,
		    struct lnx_event *space);

#endif
