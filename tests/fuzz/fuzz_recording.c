/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Any bytes as a recording: read to the end, every event that comes out is sound, and what is missing is told. The sums of
 * blocks are made right first, so that what lies behind them is reached, too. */
#include <linnix/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rec.h"

#define FUZZ_MAX (1u << 18)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Where a block begins, make its sums and its place right: all but one in four. */
static void fuzz_mend(const struct lnx_rec_codec *c, uint8_t *p, size_t n)
{
	struct lnx_rec_block b;
	size_t at;

	for (at = LNX_REC_HEAD_BYTES; at + sizeof(b) <= n;) {
		memcpy(&b, p + at, sizeof(b));
		if (b.magic != LNX_REC_BLOCK_MAGIC) {
			at++;
			continue;
		}
		b.stored_bytes %= (uint32_t)(n - at - sizeof(b)) + 1;
		if (!(b.flags & LNX_REC_ZSTD))
			b.raw_bytes = b.stored_bytes;
		if (b.crc % 4)
			b.crc = lnx_rec_crc(c, p + at + sizeof(b), b.stored_bytes);
		b.head_crc = lnx_rec_crc(c, &b, offsetof(struct lnx_rec_block, head_crc));
		memcpy(p + at, &b, sizeof(b));
		at += sizeof(b) + b.stored_bytes;
	}
}

static void fuzz_read(const void *data, size_t n, struct lnx_registry *registry, bool is_adopting)
{
	struct lnx_rec_reader *r = NULL;
	struct lnx_err err = { 0 };
	struct lnx_buf said = { 0 };
	struct lnx_rec_event e;
	uint64_t seen = 0;

	if ((is_adopting ? lnx_rec_open_adopting(data, n, registry, &r, &err)
			 : lnx_rec_open(data, n, registry, &r, &err)) < 0) {
		if (!err.msg[0])
			abort();
		return;
	}
	while (lnx_rec_next(r, &e)) {
		if (lnx_event_check(registry, e.ev, e.ev->size) < 0)
			abort();
		seen++;
	}
	if (seen != lnx_rec_report(r)->events + lnx_rec_report(r)->state)
		abort();
	lnx_rec_complain(lnx_rec_report(r), &said);
	if (!lnx_rec_report(r)->has_end && !said.size)
		abort();
	lnx_buf_done(&said);
	lnx_rec_close(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lnx_rec_codec *codec;
	static struct lnx_registry *known;
	struct lnx_registry *adopting;
	uint8_t *copy;

	if (size > FUZZ_MAX)
		return 0;
	if (!codec)
		codec = lnx_rec_codec_new();
	if (!known)
		known = lnx_registry_new();
	adopting = lnx_registry_new();
	if (!known || !adopting)
		abort();
	fuzz_read(data, size, known, false);
	copy = malloc(size ? size : 1);
	if (!codec || !copy)
		abort();
	if (size)
		memcpy(copy, data, size);
	fuzz_mend(codec, copy, size);
	fuzz_read(copy, size, known, false);
	fuzz_read(copy, size, adopting, true);
	lnx_registry_free(adopting);
	free(copy);
	return 0;
}
