/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Pre-authentication encoding and Ed25519 of libsodium. */
#include "dsse.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

void dsse_pae(struct lnx_buf *out, const char *type, const void *payload, size_t n)
{
	lnx_buf_printf(out, "DSSEv1 %zu %s %zu ", strlen(type), type, n);
	lnx_buf_add(out, payload, n);
}

int dsse_sign(const uint8_t secret[DSSE_SECRET], const char *type, const void *payload, size_t n,
	      uint8_t ret[DSSE_SIGNATURE])
{
	struct lnx_buf pae = { 0 };
	int rc;

	dsse_pae(&pae, type, payload, n);
	rc = lnx_buf_error(&pae);
	if (!rc)
		(void)crypto_sign_detached(ret, NULL, (const uint8_t *)pae.data, pae.size,
					   secret); /* cannot fail */
	lnx_buf_done(&pae);
	return rc;
}

int dsse_check(const uint8_t public_key[DSSE_PUBLIC], const char *type, const void *payload,
	       size_t n, const uint8_t signature[DSSE_SIGNATURE])
{
	struct lnx_buf pae = { 0 };
	int rc;

	dsse_pae(&pae, type, payload, n);
	rc = lnx_buf_error(&pae);
	if (!rc &&
	    crypto_sign_verify_detached(signature, (const uint8_t *)pae.data, pae.size, public_key))
		rc = -EBADMSG;
	lnx_buf_done(&pae);
	return rc;
}
