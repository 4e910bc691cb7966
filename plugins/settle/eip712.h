/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Typed data: what is signed for a contract, bound to one chain and one contract. */
#ifndef LNX_SETTLE_EIP712_H
#define LNX_SETTLE_EIP712_H

#include "u256.h"

#define EIP712_BYTES 32

#define EIP712_RECEIPT "Receipt(bytes32 taskId,uint256 actualAmount,bytes32 receiptHash)"
#define EIP712_REGISTER \
	"Register(bytes32 did,bytes32 ed25519Pubkey,address secp256k1Address,uint256 nonce,uint256 deadline)"
#define EIP712_PERMIT \
	"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"

struct eip712_domain {
	const char *name, *version;
	uint64_t chain_id;
	uint8_t contract[20];
};

void eip712_separator(const struct eip712_domain *domain, uint8_t ret[EIP712_BYTES]);
/* keccak256(keccak256(type) ‖ words): members of 32 bytes each, dynamic ones as their hash, in the order of <type>. */
void eip712_struct(const char *type, const struct u256 *words, unsigned n,
		   uint8_t ret[EIP712_BYTES]);
/* What is signed: keccak256(0x1901 ‖ separator ‖ struct). */
void eip712_digest(const uint8_t separator[EIP712_BYTES], const uint8_t hash[EIP712_BYTES],
		   uint8_t ret[EIP712_BYTES]);

/* The digest that submitReceipt checks. */
void eip712_receipt(const uint8_t separator[EIP712_BYTES], const uint8_t task_id[32],
		    const struct u256 *amount, const uint8_t receipt_hash[32],
		    uint8_t ret[EIP712_BYTES]);
/* The digest that registerFor checks. */
void eip712_register(const uint8_t separator[EIP712_BYTES], const uint8_t did[32],
		     const uint8_t ed25519[32], const uint8_t address[20], uint64_t nonce,
		     uint64_t deadline, uint8_t ret[EIP712_BYTES]);

#endif
