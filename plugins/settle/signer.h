/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The key that signs transactions and receipts, from where it was configured. */
#ifndef LNX_SETTLE_SIGNER_H
#define LNX_SETTLE_SIGNER_H

#include "identity.h"

#define SIGNER_ENV "LINNIX_CHAIN_PRIVATE_KEY"

struct signer {
	uint8_t *key; /* of sodium_malloc, SECP_KEY bytes */
	uint8_t address[SECP_ADDRESS];
	const char *
		source; /* "chain.private_key", "chain.private_key_file", the variable's name, "identity" */
};

/* In this order: <text> (chain.private_key), <file> (chain.private_key_file), the variable, <id>; "" or NULL: not given. The variable
 * is overwritten and unset whether it is used or not. 0, -EINVAL (no key), -EPERM (a file that others may read; an identity that
 * may hold no money), -errno; <why> never holds a secret. */
int signer_open(const char *text, const char *file, const struct identity *id, const struct secp *s,
		struct signer *ret, char why[IDENTITY_WHY]);
void signer_done(struct signer *s);

#endif
