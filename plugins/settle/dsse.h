/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* DSSE: an Ed25519 signature over exact bytes and their type, so that nothing has to be written again to check it. */
#ifndef LNX_SETTLE_DSSE_H
#define LNX_SETTLE_DSSE_H

#include <linnix/buf.h>

#define DSSE_SIGNATURE 64
#define DSSE_PUBLIC    32
#define DSSE_SECRET    64 /* as libsodium keeps it: seed ‖ public key */

/* Append what is signed. */
void dsse_pae(struct lnx_buf *out, const char *type, const void *payload, size_t n);
/* 0, -ENOMEM, -ENOSPC. */
int dsse_sign(const uint8_t secret[DSSE_SECRET], const char *type, const void *payload, size_t n,
	      uint8_t ret[DSSE_SIGNATURE]);
/* 0, -EBADMSG (not signed by that key), -ENOMEM, -ENOSPC. */
int dsse_check(const uint8_t public_key[DSSE_PUBLIC], const char *type, const void *payload,
	       size_t n, const uint8_t signature[DSSE_SIGNATURE]);

#endif
