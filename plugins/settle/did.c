/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* "did:key:z" and base58 (Bitcoin's alphabet) of 0xed01 ‖ key. */
#include "did.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "keccak.h"

#define PREFIX "did:key:z"
#define BYTES  34 /* multicodec and key */
#define DIGITS 48 /* of base58, at most */

static const char alphabet[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

void did_hash(const char *did, uint8_t ret[32])
{
	keccak256(did, strlen(did), ret);
}

void did_format(const uint8_t ed25519[32], char ret[DID_TEXT])
{
	uint8_t bytes[BYTES] = { 0xed, 0x01 };
	char digits[DIGITS];
	size_t n = 0;

	memcpy(bytes + 2, ed25519, 32);
	/* the first byte is not 0, so there are no leading ones to think of */
	while (n < sizeof(digits)) {
		unsigned rest = 0, any = 0;

		for (unsigned i = 0; i < BYTES; i++) {
			any |= bytes[i];
			rest = rest << 8 | bytes[i];
			bytes[i] = (uint8_t)(rest / 58);
			rest %= 58;
		}
		if (!any)
			break;
		digits[n++] = alphabet[rest];
	}
	memcpy(ret, PREFIX, sizeof(PREFIX));
	for (size_t i = 0; i < n; i++)
		ret[sizeof(PREFIX) - 1 + i] = digits[n - 1 - i];
	ret[sizeof(PREFIX) - 1 + n] = 0;
}

int did_parse(const char *did, uint8_t ret_ed25519[32])
{
	size_t n = strlen(did), skip = sizeof(PREFIX) - 1;
	uint8_t bytes[BYTES] = { 0 };
	char again[DID_TEXT];

	if (n <= skip || n > skip + DIGITS || memcmp(did, PREFIX, skip) != 0)
		return -EINVAL;
	for (const char *p = did + skip; *p; p++) {
		const char *at = strchr(alphabet, *p);
		unsigned carry;

		if (!at)
			return -EINVAL;
		carry = (unsigned)(at - alphabet);
		for (unsigned i = BYTES; i-- > 0; carry >>= 8) {
			carry += bytes[i] * 58u;
			bytes[i] = (uint8_t)carry;
		}
		if (carry)
			return -EINVAL;
	}
	if (bytes[0] != 0xed || bytes[1] != 0x01)
		return -EINVAL;
	did_format(bytes + 2, again);
	if (strcmp(did, again) != 0)
		return -EINVAL;
	memcpy(ret_ed25519, bytes + 2, 32);
	return 0;
}
