/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Blocks of a recording: CRC32C by tables, zstd at its fastest level. The only file of core that knows zstd. */
#include "rec.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define REC_LEVEL 1
#define REC_POLY  0x82f63b78u /* CRC32C, reflected */

struct lnx_rec_codec {
	uint32_t table[8][256];
	ZSTD_CCtx *pack; /* made at first use */
	ZSTD_DCtx *unpack;
	char *room; /* of ZSTD_compressBound(LNX_REC_BLOCK_BYTES), made with <pack> */
};

struct lnx_rec_codec *lnx_rec_codec_new(void)
{
	struct lnx_rec_codec *c = calloc(1, sizeof(*c));
	uint32_t i, k, v;

	if (!c)
		return NULL;
	for (i = 0; i < 256; i++) {
		v = i;
		for (k = 0; k < 8; k++)
			v = v & 1 ? v >> 1 ^ REC_POLY : v >> 1;
		c->table[0][i] = v;
	}
	for (i = 0; i < 256; i++)
		for (k = 1; k < 8; k++)
			c->table[k][i] =
				c->table[k - 1][i] >> 8 ^ c->table[0][c->table[k - 1][i] & 0xff];
	return c;
}

void lnx_rec_codec_free(struct lnx_rec_codec *c)
{
	if (!c)
		return;
	(void)ZSTD_freeCCtx(c->pack); /* NULL is fine for both, and they cannot fail */
	(void)ZSTD_freeDCtx(c->unpack);
	free(c->room);
	free(c);
}

uint32_t lnx_rec_crc(const struct lnx_rec_codec *c, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	uint32_t crc = ~0u;

	for (; n >= 8; n -= 8, p += 8) {
		uint32_t lo = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
				     (uint32_t)p[3] << 24);

		crc = c->table[7][lo & 0xff] ^ c->table[6][lo >> 8 & 0xff] ^
		      c->table[5][lo >> 16 & 0xff] ^ c->table[4][lo >> 24] ^ c->table[3][p[4]] ^
		      c->table[2][p[5]] ^ c->table[1][p[6]] ^ c->table[0][p[7]];
	}
	for (; n; n--, p++)
		crc = crc >> 8 ^ c->table[0][(crc ^ *p) & 0xff];
	return ~crc;
}

/* Bytes in c->room, or 0: better as they are. */
static size_t rec_compress(struct lnx_rec_codec *c, const void *raw, size_t n)
{
	size_t cap = ZSTD_compressBound(LNX_REC_BLOCK_BYTES), got;

	if (!c->pack)
		c->pack = ZSTD_createCCtx();
	if (!c->room)
		c->room = malloc(cap);
	if (!c->pack || !c->room)
		return 0;
	got = ZSTD_compressCCtx(c->pack, c->room, cap, raw, n, REC_LEVEL);
	return ZSTD_isError(got) || got >= n ? 0 : got;
}

void lnx_rec_pack(struct lnx_rec_codec *c, struct lnx_buf *out, struct lnx_rec_block *b,
		  const void *raw, size_t n)
{
	size_t got = rec_compress(c, raw, n);
	const void *stored = got ? c->room : raw;

	b->magic = LNX_REC_BLOCK_MAGIC;
	b->flags = got ? LNX_REC_ZSTD : 0;
	b->raw_bytes = (uint32_t)n;
	b->stored_bytes = (uint32_t)(got ? got : n);
	b->pad = 0;
	b->crc = lnx_rec_crc(c, stored, b->stored_bytes);
	b->head_crc = lnx_rec_crc(c, b, offsetof(struct lnx_rec_block, head_crc));
	lnx_buf_add(out, b, sizeof(*b));
	lnx_buf_add(out, stored, b->stored_bytes);
}

int lnx_rec_unpack(struct lnx_rec_codec *c, const struct lnx_rec_block *b, const void *stored,
		   void *ret_raw)
{
	size_t got;

	if (b->raw_bytes > LNX_REC_BLOCK_BYTES)
		return -EINVAL;
	if (!(b->flags & LNX_REC_ZSTD)) {
		if (b->stored_bytes != b->raw_bytes)
			return -EINVAL;
		memcpy(ret_raw, stored, b->stored_bytes);
		return 0;
	}
	if (!c->unpack)
		c->unpack = ZSTD_createDCtx();
	if (!c->unpack)
		return -ENOMEM;
	got = ZSTD_decompressDCtx(c->unpack, ret_raw, LNX_REC_BLOCK_BYTES, stored, b->stored_bytes);
	return ZSTD_isError(got) || got != b->raw_bytes ? -EINVAL : 0;
}
