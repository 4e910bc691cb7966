/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* libsecp256k1 behind five functions. It stays open once it is: closing gains nothing. */
#include "secp.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <secp256k1.h>
#include <secp256k1_recovery.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keccak.h"
#include "u256.h"

#define SECP_OBJECT "libsecp256k1.so.1"
#define V_BASE	    27 /* of the yellow paper */
#define POINT	    65 /* 0x04 ‖ x ‖ y */

struct secp {
	secp256k1_context *ctx;
	void (*destroy)(secp256k1_context *ctx);
	secp256k1_context *(*create)(unsigned flags);
	int (*randomize)(secp256k1_context *ctx, const unsigned char *seed32);
	int (*seckey_verify)(const secp256k1_context *ctx, const unsigned char *key);
	int (*pubkey_create)(const secp256k1_context *ctx, secp256k1_pubkey *ret,
			     const unsigned char *key);
	int (*pubkey_serialize)(const secp256k1_context *ctx, unsigned char *ret, size_t *io_n,
				const secp256k1_pubkey *key, unsigned flags);
	int (*sign)(const secp256k1_context *ctx, secp256k1_ecdsa_recoverable_signature *ret,
		    const unsigned char *digest, const unsigned char *key,
		    secp256k1_nonce_function nonce, const void *data);
	int (*write)(const secp256k1_context *ctx, unsigned char *ret64, int *ret_id,
		     const secp256k1_ecdsa_recoverable_signature *sig);
	int (*read)(const secp256k1_context *ctx, secp256k1_ecdsa_recoverable_signature *ret,
		    const unsigned char *in64, int id);
	int (*recover)(const secp256k1_context *ctx, secp256k1_pubkey *ret,
		       const secp256k1_ecdsa_recoverable_signature *sig,
		       const unsigned char *digest);
	int (*convert)(const secp256k1_context *ctx, secp256k1_ecdsa_signature *ret,
		       const secp256k1_ecdsa_recoverable_signature *sig);
	int (*normalize)(const secp256k1_context *ctx, secp256k1_ecdsa_signature *ret,
			 const secp256k1_ecdsa_signature *sig);
};

#define NAME(member, symbol)                                       \
	{                                                          \
		"secp256k1_" symbol, offsetof(struct secp, member) \
	}

static const struct {
	const char *symbol;
	size_t offset;
} symbols[] = {
	NAME(create, "context_create"),
	NAME(destroy, "context_destroy"),
	NAME(randomize, "context_randomize"),
	NAME(seckey_verify, "ec_seckey_verify"),
	NAME(pubkey_create, "ec_pubkey_create"),
	NAME(pubkey_serialize, "ec_pubkey_serialize"),
	NAME(sign, "ecdsa_sign_recoverable"),
	NAME(write, "ecdsa_recoverable_signature_serialize_compact"),
	NAME(read, "ecdsa_recoverable_signature_parse_compact"),
	NAME(recover, "ecdsa_recover"),
	NAME(convert, "ecdsa_recoverable_signature_convert"),
	NAME(normalize, "ecdsa_signature_normalize"),
};

static int load(struct secp *s, char *why, size_t cap)
{
	void *object = dlopen(SECP_OBJECT, RTLD_NOW | RTLD_LOCAL), *symbol;

	if (!object) {
		(void)snprintf(why, cap, "%s; install libsecp256k1-1", dlerror()); /* for people */
		return -ENOSYS;
	}
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		symbol = dlsym(object, symbols[i].symbol);
		if (!symbol) {
			(void)snprintf(why, cap, "%s has no %s", SECP_OBJECT,
				       symbols[i].symbol); /* likewise */
			return -ENOSYS;
		}
		/* a pointer to data and one to a function have one size here; C has no cast between them */
		memcpy((char *)s + symbols[i].offset, &symbol, sizeof(symbol));
	}
	return 0;
}

int secp_open(struct secp **ret, char *why, size_t cap)
{
	struct secp *s = calloc(1, sizeof(*s));
	uint8_t seed[32];
	int rc;

	if (!s || sodium_init() < 0) {
		free(s);
		(void)snprintf(why, cap, "out of memory"); /* fits */
		return -ENOMEM;
	}
	rc = load(s, why, cap);
	if (!rc) {
		s->ctx = s->create(SECP256K1_CONTEXT_NONE);
		randombytes_buf(seed, sizeof(seed));
		if (!s->ctx || !s->randomize(s->ctx, seed)) {
			(void)snprintf(why, cap, "out of memory"); /* fits */
			rc = -ENOMEM;
		}
		sodium_memzero(seed, sizeof(seed));
	}
	if (rc)
		secp_close(s);
	else
		*ret = s;
	return rc;
}

void secp_close(struct secp *s)
{
	if (s && s->ctx)
		s->destroy(s->ctx);
	free(s);
}

int secp_is_key(const struct secp *s, const uint8_t key[SECP_KEY])
{
	return s->seckey_verify(s->ctx, key);
}

static void address_of(const struct secp *s, const secp256k1_pubkey *key, uint8_t ret[SECP_ADDRESS])
{
	uint8_t point[POINT], hash[KECCAK_BYTES];
	size_t n = sizeof(point);

	(void)s->pubkey_serialize(s->ctx, point, &n, key, SECP256K1_EC_UNCOMPRESSED); /* always 1 */
	keccak256(point + 1, sizeof(point) - 1, hash);
	memcpy(ret, hash + KECCAK_BYTES - SECP_ADDRESS, SECP_ADDRESS);
}

int secp_address(const struct secp *s, const uint8_t key[SECP_KEY], uint8_t ret[SECP_ADDRESS])
{
	secp256k1_pubkey public;

	if (!s->pubkey_create(s->ctx, &public, key))
		return -EINVAL;
	address_of(s, &public, ret);
	return 0;
}

int secp_sign(const struct secp *s, const uint8_t key[SECP_KEY], const uint8_t digest[32],
	      uint8_t ret[SECP_SIGNATURE])
{
	secp256k1_ecdsa_recoverable_signature sig;
	int id;

	if (!s->sign(s->ctx, &sig, digest, key, NULL, NULL))
		return -EINVAL;
	(void)s->write(s->ctx, ret, &id, &sig); /* always 1 */
	ret[SECP_SIGNATURE - 1] = (uint8_t)(V_BASE + id);
	return 0;
}

int secp_recover(const struct secp *s, const uint8_t digest[32], const uint8_t *signature, size_t n,
		 uint8_t ret[SECP_ADDRESS], const char **ret_why)
{
	secp256k1_ecdsa_recoverable_signature sig;
	secp256k1_ecdsa_signature plain;
	secp256k1_pubkey public;
	unsigned id;

	*ret_why = "";
	if (n != SECP_SIGNATURE) {
		*ret_why = "the signature has not 65 bytes";
		return -EBADMSG;
	}
	id = signature[SECP_SIGNATURE - 1] - (unsigned)V_BASE;
	if (id > 1)
		*ret_why = "v of the signature is not 27 or 28";
	else if (!s->read(s->ctx, &sig, signature, (int)id))
		*ret_why = "r or s of the signature is out of range";
	else if (!s->convert(s->ctx, &plain, &sig) || s->normalize(s->ctx, NULL, &plain))
		*ret_why = "s of the signature is high";
	else if (!s->recover(s->ctx, &public, &sig, digest))
		*ret_why = "the signature belongs to no key";
	if (**ret_why)
		return -EBADMSG;
	address_of(s, &public, ret);
	return 0;
}

void address_format(const uint8_t address[SECP_ADDRESS], char ret[ADDRESS_TEXT])
{
	uint8_t hash[KECCAK_BYTES];

	hex_format(address, SECP_ADDRESS, ret);
	keccak256(ret + 2, 2 * SECP_ADDRESS, hash);
	for (unsigned i = 0; i < 2 * SECP_ADDRESS; i++)
		if (hash[i / 2] >> (i % 2 ? 0 : 4) & 8)
			ret[2 + i] = (char)toupper((unsigned char)ret[2 + i]);
}

int address_parse(const char *text, uint8_t ret[SECP_ADDRESS])
{
	char right[ADDRESS_TEXT];
	int has_lower = 0, has_upper = 0;
	uint8_t address[SECP_ADDRESS];

	if (hex_parse(text, address, sizeof(address)))
		return -EINVAL;
	for (const char *p = text + 2; *p; p++) {
		has_lower |= islower((unsigned char)*p);
		has_upper |= isupper((unsigned char)*p);
	}
	address_format(address, right);
	if (has_lower && has_upper && strcmp(text, right) != 0)
		return -EINVAL;
	memcpy(ret, address, sizeof(address));
	return 0;
}
