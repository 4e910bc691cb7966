/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* RLP, strict in both directions. */
#include "rlp.h"

#include <errno.h>
#include <string.h>

#define SHORT_MAX 55 /* bytes that need no length of their own */

static void prefix(struct lnx_buf *out, uint8_t base, size_t n)
{
	uint8_t head[9];
	unsigned n_size = 0;

	if (n <= SHORT_MAX) {
		lnx_buf_char(out, (char)(base + n));
		return;
	}
	for (size_t left = n; left; left >>= 8)
		head[8 - n_size++] = (uint8_t)left;
	head[8 - n_size] = (uint8_t)(base + SHORT_MAX + n_size);
	lnx_buf_add(out, head + 8 - n_size, n_size + 1);
}

void rlp_bytes(struct lnx_buf *out, const void *bytes, size_t n)
{
	if (n != 1 || *(const uint8_t *)bytes >= 0x80)
		prefix(out, 0x80, n);
	lnx_buf_add(out, bytes, n);
}

void rlp_u256(struct lnx_buf *out, const struct u256 *v)
{
	size_t zeros = 0;

	while (zeros < sizeof(v->b) && !v->b[zeros])
		zeros++;
	rlp_bytes(out, v->b + zeros, sizeof(v->b) - zeros);
}

void rlp_u64(struct lnx_buf *out, uint64_t v)
{
	struct u256 n;

	u256_from_u64(v, &n);
	rlp_u256(out, &n);
}

void rlp_list(struct lnx_buf *out, const void *items, size_t n)
{
	prefix(out, 0xc0, n);
	lnx_buf_add(out, items, n);
}

/* The length behind a long prefix: <n_size> bytes, no leading zero, over SHORT_MAX. */
static int long_size(const uint8_t *p, size_t n, unsigned n_size, size_t *ret)
{
	size_t v = 0;

	if (n_size > n)
		return -ENODATA;
	if (!p[0] || n_size > sizeof(v))
		return -EBADMSG;
	for (unsigned i = 0; i < n_size; i++)
		v = v << 8 | p[i];
	if (v <= SHORT_MAX)
		return -EBADMSG;
	*ret = v;
	return 0;
}

int rlp_next(const uint8_t **io_bytes, size_t *io_n, struct rlp_item *ret_item)
{
	const uint8_t *p = *io_bytes;
	size_t n = *io_n, size;
	bool is_list;
	uint8_t first;
	int rc;

	if (!n)
		return -ENODATA;
	first = *p;
	is_list = first >= 0xc0;
	if (first < 0x80) {
		size = 1;
	} else {
		p++;
		n--;
		first -= is_list ? 0xc0 : 0x80;
		size = first;
		if (first > SHORT_MAX) {
			rc = long_size(p, n, first - SHORT_MAX, &size);
			if (rc)
				return rc;
			p += first - SHORT_MAX;
			n -= first - SHORT_MAX;
		}
		if (size > n)
			return -ENODATA;
		if (!is_list && size == 1 && *p < 0x80)
			return -EBADMSG;
	}
	*ret_item = (struct rlp_item){ .data = p, .n = size, .is_list = is_list };
	*io_bytes = p + size;
	*io_n = n - size;
	return 0;
}

int rlp_number(const struct rlp_item *item, struct u256 *ret)
{
	struct u256 v = { { 0 } };

	if (item->is_list || item->n > sizeof(v.b) || (item->n && !item->data[0]))
		return -EBADMSG;
	if (item->n)
		memcpy(v.b + sizeof(v.b) - item->n, item->data, item->n);
	*ret = v;
	return 0;
}
