/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Signing, and the envelope on disk. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contract.h"
#include "eip712.h"
#include "jcs.h"
#include "keccak.h"
#include "receipt.h"

#define BASE64	 sodium_base64_VARIANT_ORIGINAL
#define SIG_TEXT (2 * SECP_SIGNATURE + 3)

int receipt_sign(const struct receipt *r, const uint8_t ed25519_secret[DSSE_SECRET],
		 const struct secp *s, const uint8_t key[SECP_KEY], struct signed_receipt *ret)
{
	struct eip712_domain domain = { .name = CONTRACT_NAME,
					.version = CONTRACT_VERSION,
					.chain_id = r->chain_id };
	struct signed_receipt out = { .r = *r };
	uint8_t separator[32], digest[32];
	struct lnx_buf payload = { 0 };
	int rc = receipt_write(&payload, r);

	rc = rc ? rc
		: dsse_sign(ed25519_secret, RECEIPT_TYPE, payload.data, payload.size, out.dsse);
	if (!rc) {
		keccak256(payload.data, payload.size, out.hash);
		memcpy(domain.contract, r->settlement, sizeof(domain.contract));
		eip712_separator(&domain, separator);
		eip712_receipt(separator, r->task_id, &r->actual_amount, out.hash, digest);
		rc = secp_sign(s, key, digest, out.eip712);
	}
	if (rc) {
		lnx_buf_done(&payload);
		return rc;
	}
	out.payload = (uint8_t *)payload.data;
	out.n_payload = payload.size;
	*ret = out;
	return 0;
}

void signed_receipt_done(struct signed_receipt *r)
{
	free(r->payload);
	memset(r, 0, sizeof(*r));
}

static void put_base64(struct lnx_buf *out, const uint8_t *bytes, size_t n)
{
	size_t size = sodium_base64_encoded_len(n, BASE64); /* with its NUL */
	char *room = lnx_buf_room(out, size);

	if (!room)
		return;
	(void)sodium_bin2base64(room, size, bytes, n, BASE64); /* fits */
	out->size += size - 1;
}

void signed_receipt_write(struct lnx_buf *out, const struct signed_receipt *r)
{
	char sig[SIG_TEXT];

	hex_format(r->eip712, sizeof(r->eip712), sig);
	lnx_buf_printf(out, "{\"eip712\":{\"signature\":\"%s\"},\n\"payload\":\"", sig);
	put_base64(out, r->payload, r->n_payload);
	lnx_buf_printf(out,
		       "\",\n\"payloadType\":\"%s\",\n\"signatures\":[{\"keyid\":", RECEIPT_TYPE);
	jcs_string(out, r->r.payee_did, strlen(r->r.payee_did));
	lnx_buf_str(out, ",\"sig\":\"");
	put_base64(out, r->dsse, sizeof(r->dsse));
	lnx_buf_str(out, "\"}]}\n");
}

/* Base64 of member <key>, the one way to write it. The bytes, or -EBADMSG. */
static int64_t get_base64(const json_t *from, const char *key, uint8_t *ret, size_t cap)
{
	const json_t *v = json_object_get(from, key);
	size_t n = 0, n_text = json_string_length(v);

	if (!json_is_string(v) ||
	    sodium_base642bin(ret, cap, json_string_value(v), n_text, NULL, &n, NULL, BASE64))
		return -EBADMSG;
	/* trailing bits that mean nothing would be a second way to write the same */
	return sodium_base64_encoded_len(n, BASE64) == n_text + 1 ? (int64_t)n : -EBADMSG;
}

static int refuse(char why[RECEIPT_WHY], const char *text)
{
	(void)snprintf(why, RECEIPT_WHY, "%s", text); /* fits */
	return -EBADMSG;
}

static int read_signatures(const json_t *all, struct signed_receipt *r, const char **ret_keyid,
			   char why[RECEIPT_WHY])
{
	const json_t *list = json_object_get(all, "signatures"), *one = json_array_get(list, 0);
	const json_t *chain = json_object_get(all, "eip712");
	const char *sig = json_string_value(json_object_get(chain, "signature"));

	*ret_keyid = json_string_value(json_object_get(one, "keyid"));
	if (json_array_size(list) != 1 || !*ret_keyid ||
	    get_base64(one, "sig", r->dsse, sizeof(r->dsse)) != DSSE_SIGNATURE)
		return refuse(why, "signatures is not one Ed25519 signature with its keyid");
	if (!sig || hex_parse(sig, r->eip712, sizeof(r->eip712)))
		return refuse(why, "eip712.signature is not 0x and 130 hex digits");
	return 0;
}

static int read_envelope(const json_t *all, uint8_t payload[RECEIPT_PAYLOAD_BYTES],
			 struct signed_receipt *r, char why[RECEIPT_WHY])
{
	const char *type = json_string_value(json_object_get(all, "payloadType")), *keyid;
	int64_t n;
	int rc;

	if (!type || strcmp(type, RECEIPT_TYPE) != 0)
		return refuse(why, "payloadType is not " RECEIPT_TYPE);
	n = get_base64(all, "payload", payload, RECEIPT_PAYLOAD_BYTES);
	if (n < 0)
		return refuse(why, "payload is not base64 of at most 32 KiB");
	r->n_payload = (size_t)n;
	keccak256(payload, r->n_payload, r->hash);
	rc = receipt_read((const char *)payload, r->n_payload, &r->r, why);
	rc = rc ? rc : read_signatures(all, r, &keyid, why);
	if (!rc && strcmp(keyid, r->r.payee_did) != 0)
		return refuse(why, "keyid is not the payee_did");
	return rc;
}

int signed_receipt_read(const char *text, size_t n, struct signed_receipt *ret,
			char why[RECEIPT_WHY])
{
	struct signed_receipt r = { .n_payload = 0 };
	char text_why[JCS_WHY];
	uint8_t *payload;
	json_t *all;
	int rc;

	if (jcs_read(text, n, RECEIPT_FILE_BYTES, &all, text_why))
		return refuse(why, text_why);
	payload = malloc(RECEIPT_PAYLOAD_BYTES);
	rc = payload ? read_envelope(all, payload, &r, why) : -ENOMEM;
	json_decref(all);
	if (rc) {
		free(payload);
		return rc;
	}
	r.payload = payload;
	*ret = r;
	return 0;
}
