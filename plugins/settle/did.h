/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* did:key of an Ed25519 key: the name says which key it is, nobody has to be asked. */
#ifndef LNX_SETTLE_DID_H
#define LNX_SETTLE_DID_H

#include <stdint.h>

#define DID_TEXT 64 /* "did:key:z", 47 digits and a NUL fit */

/* 32 bytes: its id on the chain, keccak256 of the text. */
void did_hash(const char *did, uint8_t ret[32]);
void did_format(const uint8_t ed25519[32], char ret[DID_TEXT]);
/* 0 or -EINVAL: no did:key of Ed25519, or not written the one way that did_format writes it. */
int did_parse(const char *did, uint8_t ret_ed25519[32]);

#endif
