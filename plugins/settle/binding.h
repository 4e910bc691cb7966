/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The proof that stands in the registry: the Ed25519 key of a DID says which address is its own. A contract cannot check it, so
 * a payer's agent must, before it creates a task. */
#ifndef LNX_SETTLE_BINDING_H
#define LNX_SETTLE_BINDING_H

#include "did.h"
#include "dsse.h"
#include "secp.h"

#define BINDING_TYPE "application/vnd.linnix.binding+json"

struct binding {
	const char *did; /* did:key */
	uint64_t chain_id,
		nonce; /* records of that DID in the registry before this one: 0 for the first */
	uint8_t registry[20], address[20];
};

/* 0, -EINVAL (a number over 2^53), -ENOMEM. */
int binding_sign(const struct binding *b, const uint8_t ed25519_secret[DSSE_SECRET],
		 uint8_t ret[DSSE_SIGNATURE]);
/* Is <proof> by the key which the DID is? 0 or -EBADMSG. */
int binding_check(const struct binding *b, const uint8_t *proof, size_t n_proof);

#endif
