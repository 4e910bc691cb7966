/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Receipts, their payloads, opened events and lines of events files from a stranger; the first byte chooses. What is read must come
 * out as it went in. Seeded with the formats as they were released.
 * LINK: plugins/settle/receipt.c plugins/settle/receipt_read.c plugins/settle/receipt_file.c plugins/settle/check_events.c plugins/settle/check.c plugins/settle/leaf.c plugins/settle/merkle.c plugins/settle/jcs.c plugins/settle/dsse.c plugins/settle/did.c plugins/settle/stamp.c plugins/settle/secp.c plugins/settle/eip712.c plugins/settle/keccak.c plugins/settle/u256.c -lsodium -ldl */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../plugins/settle/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void same(const struct lnx_buf *out, const char *text, size_t n)
{
	if (lnx_buf_error(out) || out->size != n || memcmp(out->data, text, n) != 0)
		abort();
}

static void as_file(const char *text, size_t n)
{
	struct signed_receipt r, again;
	struct lnx_buf out = { 0 };
	char why[RECEIPT_WHY];

	if (signed_receipt_read(text, n, &r, why))
		return;
	signed_receipt_write(&out, &r);
	if (lnx_buf_error(&out) || signed_receipt_read(out.data, out.size, &again, why) ||
	    memcmp(again.hash, r.hash, sizeof(r.hash)) != 0)
		abort();
	signed_receipt_done(&r);
	signed_receipt_done(&again);
	lnx_buf_done(&out);
}

static void as_payload(const char *text, size_t n)
{
	struct lnx_buf out = { 0 };
	char why[RECEIPT_WHY];
	struct receipt r;

	if (receipt_read(text, n, &r, why))
		return;
	if (receipt_write(&out, &r))
		abort();
	same(&out, text, n);
	lnx_buf_done(&out);
}

static void as_opened(const char *text, size_t n)
{
	struct opened_leaf leaf;
	struct lnx_buf out = { 0 };
	char why[RECEIPT_WHY];

	if (opened_leaf_read(text, n, &leaf, why))
		return;
	opened_leaf_write(&out, &leaf);
	if (lnx_buf_error(&out))
		abort();
	lnx_buf_done(&out);
}

static void as_events(const char *text, size_t n)
{
	static struct signed_receipt r;
	struct check c = { .n_bad = 0 };
	struct opened_leaf leaf = { .path = { .index = n % 5 } };
	FILE *f;

	if (!n)
		return;
	f = fmemopen((char *)(uintptr_t)text, n, "r"); /* only read */
	if (!f)
		return;
	check_events(&c, &r, f);
	rewind(f);
	(void)opened_leaves_find(f, &leaf, 1); /* any answer is right */
	(void)fclose(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *text = (const char *)data + 1;

	if (!n)
		return 0;
	n--;
	switch (data[0] & 3) {
	case 0:
		as_file(text, n);
		break;
	case 1:
		as_payload(text, n);
		break;
	case 2:
		as_opened(text, n);
		break;
	default:
		as_events(text, n);
	}
	return 0;
}
