/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Keys, signatures, typed data and transactions: the same bytes as ethers, and what is only nearly a signature is refused. */
#include "test_vectors.h"

#include <errno.h>
#include <sodium.h>

#include "contract.h"
#include "eip712.h"
#include "hkdf.h"
#include "keccak.h"
#include "secp.h"
#include "tx1559.h"

static struct secp *curve;

static int open_curve(void **state)
{
	char why[200];

	(void)state;
	return secp_open(&curve, why, sizeof(why));
}

static int close_curve(void **state)
{
	(void)state;
	secp_close(curve);
	return 0;
}

static void addresses_are_those_of_ethers(void **state)
{
	json_t *all = vectors(), *list = json_object_get(all, "keys"), *v;
	uint8_t key[SECP_KEY], address[SECP_ADDRESS], read[SECP_ADDRESS];
	char text[ADDRESS_TEXT];
	size_t i;

	(void)state;
	json_array_foreach(list, i, v)
	{
		bytes_of(v, "key", key, sizeof(key));
		assert_int_equal(secp_address(curve, key, address), 0);
		address_format(address, text);
		assert_string_equal(text, text_of(v, "address"));
		assert_int_equal(address_parse(text, read), 0);
		assert_memory_equal(read, address, sizeof(address));
	}
	assert_true(i > 20);
	json_decref(all);
}

/* The examples of EIP-55. */
static void checksums_of_addresses_are_checked(void **state)
{
	static const char *const good[] = { "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
					    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
					    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
					    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
					    "0x52908400098527886E0F7030069857D2E4169EE7",
					    "0xde709f2102306220921060314715629080e2fb77",
					    "0x27b1fdb04752bbc536007a920d24acb045561c26" };
	static const char *const bad[] = { "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
					   "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe",
					   "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed0",
					   "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
					   "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeg",
					   "0x",
					   "" };
	uint8_t address[SECP_ADDRESS];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(address_parse(good[i], address), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(address_parse(bad[i], address), -EINVAL);
}

static void keys_out_of_range_are_no_keys(void **state)
{
	uint8_t key[SECP_KEY] = { 0 }, order[SECP_KEY], digest[32] = { 1 }, sig[SECP_SIGNATURE];
	uint8_t address[SECP_ADDRESS];

	(void)state;
	assert_int_equal(
		hex_parse("0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
			  order, sizeof(order)),
		0);
	assert_false(secp_is_key(curve, key));
	assert_false(secp_is_key(curve, order));
	assert_int_equal(secp_address(curve, order, address), -EINVAL);
	assert_int_equal(secp_sign(curve, order, digest, sig), -EINVAL);
	order[31]--;
	assert_true(secp_is_key(curve, order));
}

struct receipt_vector {
	struct eip712_domain domain;
	uint8_t key[32], task[32], hash[32], separator[32], digest[32], sig[SECP_SIGNATURE];
	struct u256 amount;
	char signer[ADDRESS_TEXT];
};

static void receipt_vector(const json_t *v, struct receipt_vector *ret)
{
	uint8_t want[32], *receipt;
	size_t n;

	ret->domain = (struct eip712_domain){
		CONTRACT_NAME, CONTRACT_VERSION, small_of(v, "chain_id"), { 0 }
	};
	bytes_of(v, "contract", ret->domain.contract, 20);
	bytes_of(v, "key", ret->key, 32);
	bytes_of(v, "task_id", ret->task, 32);
	number_of(v, "amount", &ret->amount);
	receipt = blob_of(v, "receipt", &n);
	keccak256(receipt, n, ret->hash);
	free(receipt);
	bytes_of(v, "receipt_hash", want, 32);
	assert_memory_equal(ret->hash, want, 32);
	eip712_separator(&ret->domain, ret->separator);
	eip712_receipt(ret->separator, ret->task, &ret->amount, ret->hash, ret->digest);
	bytes_of(v, "signature", ret->sig, sizeof(ret->sig));
	memcpy(ret->signer, text_of(v, "signer"), ADDRESS_TEXT);
}

static void receipts_are_signed_as_ethers_does(void **state)
{
	json_t *all = vectors(), *list = json_object_get(all, "receipt"), *v;
	uint8_t want[32], sig[SECP_SIGNATURE], address[SECP_ADDRESS];
	char text[ADDRESS_TEXT];
	struct receipt_vector r;
	const char *why;
	size_t i;

	(void)state;
	json_array_foreach(list, i, v)
	{
		receipt_vector(v, &r);
		bytes_of(v, "separator", want, 32);
		assert_memory_equal(r.separator, want, 32);
		bytes_of(v, "digest", want, 32);
		assert_memory_equal(r.digest, want, 32);
		assert_int_equal(secp_sign(curve, r.key, r.digest, sig), 0);
		assert_memory_equal(sig, r.sig, sizeof(sig));
		assert_int_equal(secp_recover(curve, r.digest, sig, sizeof(sig), address, &why), 0);
		address_format(address, text);
		assert_string_equal(text, r.signer);
	}
	assert_true(i > 20);
	json_decref(all);
}

static void expect_other(const struct receipt_vector *r, const uint8_t digest[32])
{
	uint8_t address[SECP_ADDRESS];
	char text[ADDRESS_TEXT] = "";
	const char *why;

	if (secp_recover(curve, digest, r->sig, sizeof(r->sig), address, &why) == 0)
		address_format(address, text);
	assert_string_not_equal(text, r->signer);
}

static void a_signature_counts_for_one_chain_contract_task_and_amount(void **state)
{
	json_t *all = vectors();
	struct receipt_vector r, other;
	struct u256 one;

	(void)state;
	receipt_vector(json_array_get(json_object_get(all, "receipt"), 3), &r);
	u256_from_u64(1, &one);
	other = r;
	other.domain.chain_id++;
	eip712_separator(&other.domain, other.separator);
	eip712_receipt(other.separator, r.task, &r.amount, r.hash, other.digest);
	expect_other(&r, other.digest);
	other = r;
	other.domain.contract[19] ^= 1;
	eip712_separator(&other.domain, other.separator);
	eip712_receipt(other.separator, r.task, &r.amount, r.hash, other.digest);
	expect_other(&r, other.digest);
	other = r;
	other.task[0] ^= 1;
	eip712_receipt(r.separator, other.task, &r.amount, r.hash, other.digest);
	expect_other(&r, other.digest);
	other = r;
	assert_int_equal(u256_add(&r.amount, &one, &other.amount), 0);
	eip712_receipt(r.separator, r.task, &other.amount, r.hash, other.digest);
	expect_other(&r, other.digest);
	json_decref(all);
}

/* n - s, the other s of the same signature */
static void make_high(uint8_t sig[SECP_SIGNATURE])
{
	struct u256 order, s;

	assert_int_equal(
		u256_parse_hex("0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
			       &order),
		0);
	memcpy(s.b, sig + 32, 32);
	assert_int_equal(u256_sub(&order, &s, &s), 0);
	memcpy(sig + 32, s.b, 32);
	sig[64] = (uint8_t)(27 + 28 - sig[64]);
}

static void nearly_signatures_are_refused_with_the_reason(void **state)
{
	json_t *all = vectors();
	uint8_t address[SECP_ADDRESS] = { 7 }, was[SECP_ADDRESS] = { 7 };
	struct receipt_vector r;
	const char *why;

	(void)state;
	receipt_vector(json_array_get(json_object_get(all, "receipt"), 5), &r);
	assert_int_equal(secp_recover(curve, r.digest, r.sig, 64, address, &why), -EBADMSG);
	assert_string_equal(why, "the signature has not 65 bytes");
	for (unsigned v = 0; v < 256; v++) {
		r.sig[64] = (uint8_t)v;
		if (v == 27 || v == 28)
			continue;
		assert_int_equal(secp_recover(curve, r.digest, r.sig, 65, address, &why), -EBADMSG);
		assert_string_equal(why, "v of the signature is not 27 or 28");
	}
	receipt_vector(json_array_get(json_object_get(all, "receipt"), 5), &r);
	make_high(r.sig);
	assert_int_equal(secp_recover(curve, r.digest, r.sig, 65, address, &why), -EBADMSG);
	assert_string_equal(why, "s of the signature is high");
	memset(r.sig, 0xff, 32);
	assert_int_equal(secp_recover(curve, r.digest, r.sig, 65, address, &why), -EBADMSG);
	assert_string_equal(why, "r or s of the signature is out of range");
	memset(r.sig, 0, 64);
	assert_int_equal(secp_recover(curve, r.digest, r.sig, 65, address, &why), -EBADMSG);
	assert_string_equal(why, "the signature belongs to no key");
	assert_memory_equal(address, was, sizeof(was));
	json_decref(all);
}

static void registrations_and_the_deployed_domain_hash_as_elsewhere(void **state)
{
	json_t *all = vectors(), *list = json_object_get(all, "register"), *v;
	uint8_t separator[32], did[32], ed25519[32], address[20], got[32], want[32];
	struct eip712_domain d = { CONTRACT_NAME, CONTRACT_VERSION, 84532, { 0 } };
	size_t i;

	(void)state;
	json_array_foreach(list, i, v)
	{
		bytes_of(v, "separator", separator, 32);
		bytes_of(v, "did", did, 32);
		bytes_of(v, "ed25519", ed25519, 32);
		bytes_of(v, "address", address, 20);
		bytes_of(v, "digest", want, 32);
		eip712_register(separator, did, ed25519, address, small_of(v, "nonce"),
				small_of(v, "deadline"), got);
		assert_memory_equal(got, want, 32);
	}
	assert_true(i == 8);
	assert_int_equal(hex_parse("0x60eE6872920addF41359625B47A07401496bBD5b", d.contract, 20),
			 0);
	assert_int_equal(
		hex_parse("0x033a4bd198f42af9adffda927fd45e8ede86c774739e75eadf20e0caeddf18c1",
			  want, 32),
		0);
	eip712_separator(&d, got);
	assert_memory_equal(got, want, 32);
	json_decref(all);
}

static void tx_of(const json_t *v, struct tx1559 *ret, uint8_t **ret_data)
{
	*ret = (struct tx1559){ .chain_id = small_of(v, "chain_id"),
				.nonce = small_of(v, "nonce"),
				.gas = small_of(v, "gas") };
	number_of(v, "tip", &ret->tip);
	number_of(v, "max_fee", &ret->max_fee);
	number_of(v, "value", &ret->value);
	bytes_of(v, "to", ret->to, 20);
	*ret_data = blob_of(v, "data", &ret->n_data);
	ret->data = *ret_data;
}

static void transactions_are_those_of_ethers(void **state)
{
	json_t *all = vectors(), *list = json_object_get(all, "tx"), *v;
	uint8_t key[32], hash[32], want[32], signer[20], right[20];
	struct lnx_buf raw = { 0 };
	size_t i;

	(void)state;
	json_array_foreach(list, i, v)
	{
		struct tx1559 tx, back;
		uint8_t *data, *bytes;
		size_t n;

		tx_of(v, &tx, &data);
		bytes = blob_of(v, "raw", &n);
		bytes_of(v, "key", key, 32);
		bytes_of(v, "hash", want, 32);
		bytes_of(v, "signer", right, 20);
		assert_int_equal(tx1559_sign(&tx, curve, key, &raw, hash), 0);
		assert_int_equal(raw.size, n);
		assert_memory_equal(raw.data, bytes, n);
		assert_memory_equal(hash, want, 32);
		assert_int_equal(tx1559_read(curve, bytes, n, &back, signer), 0);
		assert_memory_equal(signer, right, 20);
		assert_int_equal(back.nonce, tx.nonce);
		assert_int_equal(back.n_data, tx.n_data);
		assert_int_equal(u256_cmp(&back.max_fee, &tx.max_fee), 0);
		assert_int_equal(tx1559_read(curve, bytes, n - 1, &back, signer), -EBADMSG);
		free(data);
		free(bytes);
	}
	assert_true(i == json_array_size(list) && i > 100);
	lnx_buf_done(&raw);
	json_decref(all);
}

static void a_flipped_bit_of_a_transaction_never_keeps_its_signer(void **state)
{
	json_t *all = vectors();
	const json_t *v = json_array_get(json_object_get(all, "tx"), 3);
	uint8_t signer[20], right[20], *bytes;
	struct tx1559 tx;
	size_t n;

	(void)state;
	bytes = blob_of(v, "raw", &n);
	bytes_of(v, "signer", right, 20);
	for (size_t i = 0; i < 8 * n; i++) {
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
		if (tx1559_read(curve, bytes, n, &tx, signer) == 0)
			assert_memory_not_equal(signer, right, 20);
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	free(bytes);
	json_decref(all);
}

/* Test cases 1 to 3 of RFC 5869, and the keys of an identity. */
static void keys_derive_as_the_standard_says(void **state)
{
	json_t *all = vectors(), *id = json_object_get(all, "identity");
	uint8_t ikm[80], salt[80], info[80], okm[82], want[82];

	(void)state;
	memset(ikm, 0x0b, 22);
	for (unsigned i = 0; i < 80; i++) {
		salt[i] = (uint8_t)i;
		info[i] = (uint8_t)(0xf0 + i);
	}
	assert_int_equal(hkdf_sha256(ikm, 22, salt, 13, info, 10, okm, 42), 0);
	assert_int_equal(
		hex_parse(
			"0x3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
			want, 42),
		0);
	assert_memory_equal(okm, want, 42);
	assert_int_equal(hkdf_sha256(ikm, 22, "", 0, "", 0, okm, 42), 0);
	assert_int_equal(
		hex_parse(
			"0x8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
			want, 42),
		0);
	assert_memory_equal(okm, want, 42);
	for (unsigned i = 0; i < 80; i++) {
		ikm[i] = (uint8_t)i;
		salt[i] = (uint8_t)(0x60 + i);
		info[i] = (uint8_t)(0xb0 + i);
	}
	assert_int_equal(hkdf_sha256(ikm, 80, salt, 80, info, 80, okm, 82), 0);
	assert_int_equal(
		hex_parse(
			"0xb11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
			want, 82),
		0);
	assert_memory_equal(okm, want, 82);
	assert_int_equal(hkdf_sha256(ikm, 80, "", 0, "", 0, okm, HKDF_MAX + 1), -EINVAL);
	bytes_of(id, "seed", ikm, 32);
	assert_int_equal(hkdf_sha256(ikm, 32, "", 0, "linnix-claw-secp256k1", 21, okm, 32), 0);
	bytes_of(id, "secp256k1", want, 32);
	assert_memory_equal(okm, want, 32);
	json_decref(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_those_of_ethers),
		cmocka_unit_test(checksums_of_addresses_are_checked),
		cmocka_unit_test(keys_out_of_range_are_no_keys),
		cmocka_unit_test(receipts_are_signed_as_ethers_does),
		cmocka_unit_test(a_signature_counts_for_one_chain_contract_task_and_amount),
		cmocka_unit_test(nearly_signatures_are_refused_with_the_reason),
		cmocka_unit_test(registrations_and_the_deployed_domain_hash_as_elsewhere),
		cmocka_unit_test(transactions_are_those_of_ethers),
		cmocka_unit_test(a_flipped_bit_of_a_transaction_never_keeps_its_signer),
		cmocka_unit_test(keys_derive_as_the_standard_says),
	};

	return cmocka_run_group_tests(tests, open_curve, close_curve);
}
