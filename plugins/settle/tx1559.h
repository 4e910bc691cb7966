/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Transactions of type 2 (EIP-1559), without an access list. */
#ifndef LNX_SETTLE_TX1559_H
#define LNX_SETTLE_TX1559_H

#include <linnix/buf.h>

#include "secp.h"
#include "u256.h"

struct tx1559 {
	uint64_t chain_id, nonce, gas;
	struct u256 tip, max_fee, value;
	uint8_t to[SECP_ADDRESS]; /* contracts are not made by the agent */
	const void *data;	  /* borrowed */
	size_t n_data;
};

/* Write the signed bytes and their hash, which is the transaction's. 0, -EINVAL (no key), -ENOMEM, -ENOSPC. */
int tx1559_sign(const struct tx1559 *tx, const struct secp *s, const uint8_t key[SECP_KEY],
		struct lnx_buf *ret_raw, uint8_t ret_hash[32]);

/* The bytes before they are signed: worth nothing to anybody. The error sticks in <out>. */
void tx1559_draft(const struct tx1559 *tx, struct lnx_buf *out);

/* Read signed bytes back; data are borrowed from <raw>. 0, -EBADMSG: not such a transaction, or its signature is not as
 * tx1559_sign writes it. */
int tx1559_read(const struct secp *s, const uint8_t *raw, size_t n, struct tx1559 *ret,
		uint8_t ret_signer[SECP_ADDRESS]);

/* Do these signed bytes send to <to>? */
int tx1559_is_to(const uint8_t *raw, size_t n, const uint8_t to[SECP_ADDRESS]);

#endif
