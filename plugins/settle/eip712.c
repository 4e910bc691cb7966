/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* EIP-712 with flat structs. */
#include "eip712.h"

#include <string.h>

#include "keccak.h"

#define DOMAIN_TYPE \
	"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"

static void put_address(struct u256 *word, const uint8_t address[20])
{
	memset(word->b, 0, 12);
	memcpy(word->b + 12, address, 20);
}

static void put_bytes(struct u256 *word, const uint8_t bytes[32])
{
	memcpy(word->b, bytes, sizeof(word->b));
}

void eip712_struct(const char *type, const struct u256 *words, unsigned n,
		   uint8_t ret[EIP712_BYTES])
{
	uint8_t hash[KECCAK_BYTES];
	struct keccak k;

	keccak256(type, strlen(type), hash);
	keccak_init(&k);
	keccak_add(&k, hash, sizeof(hash));
	keccak_add(&k, words, n * sizeof(*words));
	keccak_end(&k, ret);
}

void eip712_separator(const struct eip712_domain *domain, uint8_t ret[EIP712_BYTES])
{
	struct u256 words[4];

	keccak256(domain->name, strlen(domain->name), words[0].b);
	keccak256(domain->version, strlen(domain->version), words[1].b);
	u256_from_u64(domain->chain_id, &words[2]);
	put_address(&words[3], domain->contract);
	eip712_struct(DOMAIN_TYPE, words, 4, ret);
}

void eip712_digest(const uint8_t separator[EIP712_BYTES], const uint8_t hash[EIP712_BYTES],
		   uint8_t ret[EIP712_BYTES])
{
	struct keccak k;

	keccak_init(&k);
	keccak_add(&k, "\x19\x01", 2);
	keccak_add(&k, separator, EIP712_BYTES);
	keccak_add(&k, hash, EIP712_BYTES);
	keccak_end(&k, ret);
}

void eip712_receipt(const uint8_t separator[EIP712_BYTES], const uint8_t task_id[32],
		    const struct u256 *amount, const uint8_t receipt_hash[32],
		    uint8_t ret[EIP712_BYTES])
{
	uint8_t hash[EIP712_BYTES];
	struct u256 words[3];

	put_bytes(&words[0], task_id);
	words[1] = *amount;
	put_bytes(&words[2], receipt_hash);
	eip712_struct(EIP712_RECEIPT, words, 3, hash);
	eip712_digest(separator, hash, ret);
}

void eip712_register(const uint8_t separator[EIP712_BYTES], const uint8_t did[32],
		     const uint8_t ed25519[32], const uint8_t address[20], uint64_t nonce,
		     uint64_t deadline, uint8_t ret[EIP712_BYTES])
{
	uint8_t hash[EIP712_BYTES];
	struct u256 words[5];

	put_bytes(&words[0], did);
	put_bytes(&words[1], ed25519);
	put_address(&words[2], address);
	u256_from_u64(nonce, &words[3]);
	u256_from_u64(deadline, &words[4]);
	eip712_struct(EIP712_REGISTER, words, 5, hash);
	eip712_digest(separator, hash, ret);
}
