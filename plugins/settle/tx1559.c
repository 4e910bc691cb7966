/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* 0x02 ‖ rlp([chain, nonce, tip, max fee, gas, to, value, data, access list, parity, r, s]). */
#include "tx1559.h"

#include <errno.h>
#include <string.h>

#include "keccak.h"
#include "rlp.h"

#define TYPE	0x02
#define N_ITEMS 12
#define V_BASE	27

/* What is signed, as items without their list. */
static void put_fields(const struct tx1559 *tx, struct lnx_buf *out)
{
	rlp_u64(out, tx->chain_id);
	rlp_u64(out, tx->nonce);
	rlp_u256(out, &tx->tip);
	rlp_u256(out, &tx->max_fee);
	rlp_u64(out, tx->gas);
	rlp_bytes(out, tx->to, sizeof(tx->to));
	rlp_u256(out, &tx->value);
	rlp_bytes(out, tx->data, tx->n_data);
	rlp_list(out, "", 0);
}

static void put_typed(struct lnx_buf *out, const struct lnx_buf *items)
{
	lnx_buf_char(out, TYPE);
	rlp_list(out, items->data, items->size);
}

static int digest_of(const struct lnx_buf *items, uint8_t ret[32])
{
	struct lnx_buf bytes = { 0 };
	int rc;

	put_typed(&bytes, items);
	rc = lnx_buf_error(&bytes);
	if (!rc)
		keccak256(bytes.data, bytes.size, ret);
	lnx_buf_done(&bytes);
	return rc;
}

void tx1559_draft(const struct tx1559 *tx, struct lnx_buf *out)
{
	struct lnx_buf items = { 0 };

	put_fields(tx, &items);
	put_typed(out, &items);
	if (lnx_buf_error(&items))
		out->error = lnx_buf_error(&items);
	lnx_buf_done(&items);
}

int tx1559_sign(const struct tx1559 *tx, const struct secp *s, const uint8_t key[SECP_KEY],
		struct lnx_buf *ret_raw, uint8_t ret_hash[32])
{
	struct lnx_buf items = { 0 }, raw = { 0 };
	uint8_t digest[32], sig[SECP_SIGNATURE];
	struct u256 word;
	int rc;

	put_fields(tx, &items);
	rc = lnx_buf_error(&items);
	rc = rc ? rc : digest_of(&items, digest);
	rc = rc ? rc : secp_sign(s, key, digest, sig);
	if (!rc) {
		rlp_u64(&items, sig[SECP_SIGNATURE - 1] - (uint64_t)V_BASE);
		memcpy(word.b, sig, 32);
		rlp_u256(&items, &word);
		memcpy(word.b, sig + 32, 32);
		rlp_u256(&items, &word);
		put_typed(&raw, &items);
		rc = lnx_buf_error(&items) ? lnx_buf_error(&items) : lnx_buf_error(&raw);
	}
	if (!rc) {
		keccak256(raw.data, raw.size, ret_hash);
		lnx_buf_done(ret_raw);
		*ret_raw = raw;
		raw = (struct lnx_buf){ 0 };
	}
	lnx_buf_done(&items);
	lnx_buf_done(&raw);
	return rc;
}

static int number64(const struct rlp_item *item, uint64_t *ret)
{
	struct u256 v;

	return rlp_number(item, &v) || u256_to_u64(&v, ret) ? -EBADMSG : 0;
}

static int split(const uint8_t *raw, size_t n, struct rlp_item items[N_ITEMS])
{
	struct rlp_item list;

	if (!n || *raw++ != TYPE)
		return -EBADMSG;
	n--;
	if (rlp_next(&raw, &n, &list) || !list.is_list || n)
		return -EBADMSG;
	for (unsigned i = 0; i < N_ITEMS; i++)
		if (rlp_next(&list.data, &list.n, &items[i]))
			return -EBADMSG;
	return list.n ? -EBADMSG : 0;
}

static int read_fields(const struct rlp_item items[N_ITEMS], struct tx1559 *tx)
{
	if (number64(&items[0], &tx->chain_id) || number64(&items[1], &tx->nonce) ||
	    rlp_number(&items[2], &tx->tip) || rlp_number(&items[3], &tx->max_fee) ||
	    number64(&items[4], &tx->gas) || rlp_number(&items[6], &tx->value))
		return -EBADMSG;
	if (items[5].is_list || items[5].n != sizeof(tx->to) || items[7].is_list ||
	    !items[8].is_list || items[8].n)
		return -EBADMSG;
	memcpy(tx->to, items[5].data, sizeof(tx->to));
	tx->data = items[7].data;
	tx->n_data = items[7].n;
	return 0;
}

int tx1559_read(const struct secp *s, const uint8_t *raw, size_t n, struct tx1559 *ret,
		uint8_t ret_signer[SECP_ADDRESS])
{
	uint8_t digest[32], sig[SECP_SIGNATURE], signer[SECP_ADDRESS];
	struct rlp_item items[N_ITEMS];
	struct tx1559 tx = { 0 };
	struct lnx_buf signed_part = { 0 };
	const char *why;
	struct u256 word;
	uint64_t parity;
	int rc;

	if (split(raw, n, items) || read_fields(items, &tx) || number64(&items[9], &parity) ||
	    parity > 1 || rlp_number(&items[10], &word))
		return -EBADMSG;
	memcpy(sig, word.b, 32);
	if (rlp_number(&items[11], &word))
		return -EBADMSG;
	memcpy(sig + 32, word.b, 32);
	sig[SECP_SIGNATURE - 1] = (uint8_t)(V_BASE + parity);
	put_fields(&tx, &signed_part);
	rc = lnx_buf_error(&signed_part);
	rc = rc ? rc : digest_of(&signed_part, digest);
	rc = rc ? rc : secp_recover(s, digest, sig, sizeof(sig), signer, &why);
	lnx_buf_done(&signed_part);
	if (rc)
		return rc;
	*ret = tx;
	memcpy(ret_signer, signer, sizeof(signer));
	return 0;
}

int tx1559_is_to(const uint8_t *raw, size_t n, const uint8_t to[SECP_ADDRESS])
{
	struct rlp_item items[N_ITEMS];
	struct tx1559 tx;

	return !split(raw, n, items) && !read_fields(items, &tx) &&
	       !memcmp(tx.to, to, sizeof(tx.to));
}
