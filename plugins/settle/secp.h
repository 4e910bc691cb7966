/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Signatures on secp256k1 and the addresses of their keys. libsecp256k1 is opened with the first context. */
#ifndef LNX_SETTLE_SECP_H
#define LNX_SETTLE_SECP_H

#include <stddef.h>
#include <stdint.h>

#define SECP_KEY       32
#define SECP_SIGNATURE 65 /* r ‖ s ‖ v, v 27 or 28 */
#define SECP_ADDRESS   20
#define ADDRESS_TEXT   43 /* "0x", 40 digits, NUL */

struct secp; /* blinded against side channels; one thread at a time */

/* 0; -ENOSYS: the library is not there; -ENOMEM. <why>: for people. */
int secp_open(struct secp **ret, char *why, size_t cap);
void secp_close(struct secp *s);

/* Is it a key: not 0 and below the order of the group? */
int secp_is_key(const struct secp *s, const uint8_t key[SECP_KEY]);
/* 0 or -EINVAL (no key). */
int secp_address(const struct secp *s, const uint8_t key[SECP_KEY], uint8_t ret[SECP_ADDRESS]);
/* RFC 6979 nonce, low s: the same bytes each time. 0 or -EINVAL (no key). */
int secp_sign(const struct secp *s, const uint8_t key[SECP_KEY], const uint8_t digest[32],
	      uint8_t ret[SECP_SIGNATURE]);
/* Who signed. Only what secp_sign could have written is taken: 65 bytes, v 27 or 28, low s. 0, or -EBADMSG with the reason. */
int secp_recover(const struct secp *s, const uint8_t digest[32], const uint8_t *signature, size_t n,
		 uint8_t ret[SECP_ADDRESS], const char **ret_why);

/* With the checksum of EIP-55. */
void address_format(const uint8_t address[SECP_ADDRESS], char ret[ADDRESS_TEXT]);
/* In one case throughout, or with a right checksum. 0 or -EINVAL. */
int address_parse(const char *text, uint8_t ret[SECP_ADDRESS]);

#endif
