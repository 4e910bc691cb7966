/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Recursive length prefix: what a transaction is written in. */
#ifndef LNX_SETTLE_RLP_H
#define LNX_SETTLE_RLP_H

#include <linnix/buf.h>
#include <stdbool.h>

#include "u256.h"

/* Append one item. Errors stick in <out>. */
void rlp_bytes(struct lnx_buf *out, const void *bytes, size_t n);
void rlp_u64(struct lnx_buf *out, uint64_t v); /* no leading zeros; 0 is the empty string */
void rlp_u256(struct lnx_buf *out, const struct u256 *v);
/* A list of items that were written to a buffer of their own. */
void rlp_list(struct lnx_buf *out, const void *items, size_t n);

struct rlp_item {
	const uint8_t *data; /* borrowed from what is read */
	size_t n;
	bool is_list; /* data are its items */
};

/* Take the first item of *io_bytes. Only the shortest form is taken. 0, -EBADMSG (not RLP) or -ENODATA (cut off, or
 * nothing there). */
int rlp_next(const uint8_t **io_bytes, size_t *io_n, struct rlp_item *ret_item);
/* An item as a number: no list, no leading zeros, at most 32 bytes. 0 or -EBADMSG. */
int rlp_number(const struct rlp_item *item, struct u256 *ret);

#endif
