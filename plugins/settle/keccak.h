/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Keccak-256 as Ethereum has it: the padding of the submission, not of SHA-3. */
#ifndef LNX_SETTLE_KECCAK_H
#define LNX_SETTLE_KECCAK_H

#include <stddef.h>
#include <stdint.h>

#define KECCAK_BYTES 32
#define KECCAK_RATE  136

struct keccak {
	uint64_t state[25];
	uint8_t block[KECCAK_RATE];
	size_t n; /* bytes in block */
};

void keccak_init(struct keccak *k);
void keccak_add(struct keccak *k, const void *bytes, size_t n);
void keccak_end(struct keccak *k, uint8_t ret_hash[KECCAK_BYTES]);

/* All at once. */
void keccak256(const void *bytes, size_t n, uint8_t ret_hash[KECCAK_BYTES]);

#endif
