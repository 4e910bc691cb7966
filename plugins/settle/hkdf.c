/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* libsodium has HMAC with keys of any length; HKDF is two uses of it. */
#include "hkdf.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#define BLOCK crypto_auth_hmacsha256_BYTES

int hkdf_sha256(const void *secret, size_t n_secret, const void *salt, size_t n_salt,
		const void *info, size_t n_info, uint8_t *ret, size_t n)
{
	crypto_auth_hmacsha256_state h;
	uint8_t prk[BLOCK], block[BLOCK], count = 0;

	if (n > HKDF_MAX)
		return -EINVAL;
	/* none of these can fail */
	(void)crypto_auth_hmacsha256_init(&h, salt, n_salt);
	(void)crypto_auth_hmacsha256_update(&h, secret, n_secret);
	(void)crypto_auth_hmacsha256_final(&h, prk);
	while (n) {
		size_t part = n < BLOCK ? n : BLOCK;

		(void)crypto_auth_hmacsha256_init(&h, prk, sizeof(prk));
		if (count)
			(void)crypto_auth_hmacsha256_update(&h, block, sizeof(block));
		count++;
		(void)crypto_auth_hmacsha256_update(&h, info, n_info);
		(void)crypto_auth_hmacsha256_update(&h, &count, 1);
		(void)crypto_auth_hmacsha256_final(&h, block);
		memcpy(ret, block, part);
		ret += part;
		n -= part;
	}
	sodium_memzero(prk, sizeof(prk));
	sodium_memzero(block, sizeof(block));
	sodium_memzero(&h, sizeof(h));
	return 0;
}
