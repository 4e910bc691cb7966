/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* DSSE over {address, chainId, did, ed25519, nonce, registry} in canonical JSON. */
#include "binding.h"

#include <errno.h>
#include <jansson.h>

#include "jcs.h"
#include "u256.h"

static int write_payload(const struct binding *b, const uint8_t key[DSSE_PUBLIC],
			 struct lnx_buf *out)
{
	char address[ADDRESS_TEXT], registry[ADDRESS_TEXT], public[2 * DSSE_PUBLIC + 3];
	json_t *o;
	int rc;

	address_format(b->address, address);
	address_format(b->registry, registry);
	hex_format(key, DSSE_PUBLIC, public);
	o = json_pack("{s:s,s:I,s:s,s:s,s:I,s:s}", "address", address, "chainId",
		      (json_int_t)b->chain_id, "did", b->did, "ed25519", public, "nonce",
		      (json_int_t)b->nonce, "registry", registry);
	if (!o)
		return -ENOMEM;
	rc = jcs_write(out, o);
	json_decref(o);
	return rc;
}

int binding_sign(const struct binding *b, const uint8_t ed25519_secret[DSSE_SECRET],
		 uint8_t ret[DSSE_SIGNATURE])
{
	struct lnx_buf payload = { 0 };
	uint8_t key[DSSE_PUBLIC];
	int rc = did_parse(b->did, key);

	rc = rc ? rc : write_payload(b, key, &payload);
	rc = rc ? rc : dsse_sign(ed25519_secret, BINDING_TYPE, payload.data, payload.size, ret);
	lnx_buf_done(&payload);
	return rc;
}

int binding_check(const struct binding *b, const uint8_t *proof, size_t n_proof)
{
	struct lnx_buf payload = { 0 };
	uint8_t key[DSSE_PUBLIC];
	int rc;

	if (n_proof != DSSE_SIGNATURE || did_parse(b->did, key))
		return -EBADMSG;
	rc = write_payload(b, key, &payload);
	rc = rc ? rc : dsse_check(key, BINDING_TYPE, payload.data, payload.size, proof);
	lnx_buf_done(&payload);
	return rc ? -EBADMSG : 0;
}
