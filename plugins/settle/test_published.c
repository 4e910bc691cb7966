/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Keccak, RLP, ABI and EIP-712 against what the standards themselves publish: tests/data/chain/published.json. */
#include "test_vectors.h"

#include "abi.h"
#include "eip712.h"
#include "keccak.h"
#include "rlp.h"
#include "secp.h"

#define MAIL   "Mail(Person from,Person to,string contents)" PERSON
#define PERSON "Person(string name,address wallet)"

static json_t *published(void)
{
	json_error_t error;
	json_t *all =
		json_load_file("tests/data/chain/published.json", JSON_REJECT_DUPLICATES, &error);

	if (!all)
		fail_msg("published.json:%d: %s", error.line, error.text);
	return all;
}

static void keccak_is_the_one_of_before_sha3(void **state)
{
	json_t *all = published(), *v;
	uint8_t got[32], want[32];
	size_t i;

	(void)state;
	json_array_foreach(json_object_get(all, "keccak"), i, v)
	{
		const char *text = text_of(v, "text");

		keccak256(text, strlen(text), got);
		bytes_of(v, "hash", want, 32);
		assert_memory_equal(got, want, 32);
	}
	assert_int_equal(i, 4);
	json_decref(all);
}

static void encode(struct lnx_buf *out, const json_t *value)
{
	struct lnx_buf items = { 0 };
	uint8_t bytes[64];
	const json_t *one;
	int64_t n;
	size_t i;

	if (json_is_string(value)) {
		n = hex_parse_any(json_string_value(value), bytes, sizeof(bytes));
		assert_true(n >= 0);
		rlp_bytes(out, bytes, (size_t)n);
		return;
	}
	json_array_foreach(value, i, one) encode(&items, one);
	rlp_list(out, items.data, items.size);
	lnx_buf_done(&items);
}

static void rlp_is_as_described(void **state)
{
	json_t *all = published(), *v;
	uint8_t want[64];
	size_t i;

	(void)state;
	json_array_foreach(json_object_get(all, "rlp"), i, v)
	{
		int64_t n = hex_parse_any(text_of(v, "rlp"), want, sizeof(want));
		struct lnx_buf got = { 0 };

		encode(&got, json_object_get(v, "value"));
		assert_int_equal(got.size, n);
		assert_memory_equal(got.data, want, (size_t)n);
		lnx_buf_done(&got);
	}
	assert_int_equal(i, 9);
	json_decref(all);
}

static void a_call_is_as_solidity_describes(void **state)
{
	json_t *all = published(), *v = json_object_get(all, "abi"),
	       *values = json_object_get(v, "values");
	uint8_t want[4 + 64];
	struct lnx_buf got = { 0 };
	struct abi_value a[2];

	(void)state;
	for (size_t i = 0; i < 2; i++)
		abi_set_u64(&a[i], (uint64_t)json_integer_value(json_array_get(values, i)));
	assert_int_equal(abi_call(&got, text_of(v, "signature"), a, 2), 0);
	bytes_of(v, "call", want, sizeof(want));
	assert_int_equal(got.size, sizeof(want));
	assert_memory_equal(got.data, want, sizeof(want));
	lnx_buf_done(&got);
	json_decref(all);
}

static void person(const json_t *v, uint8_t ret[32])
{
	struct u256 words[2] = { { { 0 } } };
	const char *name = text_of(v, "name");

	keccak256(name, strlen(name), words[0].b);
	assert_int_equal(address_parse(text_of(v, "wallet"), words[1].b + 12), 0);
	eip712_struct(PERSON, words, 2, ret);
}

static void typed_data_hashes_and_signs_as_its_standard_shows(void **state)
{
	json_t *all = published(), *v = json_object_get(all, "eip712");
	struct eip712_domain d = { text_of(v, "name"), text_of(v, "version"), 1, { 0 } };
	const char *contents = text_of(v, "contents"), *cow = text_of(v, "key_of");
	uint8_t separator[32], hash[32], digest[32], key[32], want[SECP_SIGNATURE],
		got[SECP_SIGNATURE];
	struct u256 words[3];
	struct secp *curve;
	char why[200];

	(void)state;
	assert_int_equal(secp_open(&curve, why, sizeof(why)), 0);
	assert_int_equal(address_parse(text_of(v, "contract"), d.contract), 0);
	eip712_separator(&d, separator);
	bytes_of(v, "separator", want, 32);
	assert_memory_equal(separator, want, 32);
	person(json_object_get(v, "from"), words[0].b);
	person(json_object_get(v, "to"), words[1].b);
	keccak256(contents, strlen(contents), words[2].b);
	eip712_struct(MAIL, words, 3, hash);
	bytes_of(v, "struct", want, 32);
	assert_memory_equal(hash, want, 32);
	eip712_digest(separator, hash, digest);
	bytes_of(v, "digest", want, 32);
	assert_memory_equal(digest, want, 32);
	keccak256(cow, strlen(cow), key);
	assert_int_equal(secp_sign(curve, key, digest, got), 0);
	bytes_of(v, "signature", want, sizeof(want));
	assert_memory_equal(got, want, sizeof(want));
	secp_close(curve);
	json_decref(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keccak_is_the_one_of_before_sha3),
		cmocka_unit_test(rlp_is_as_described),
		cmocka_unit_test(a_call_is_as_solidity_describes),
		cmocka_unit_test(typed_data_hashes_and_signs_as_its_standard_shows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
