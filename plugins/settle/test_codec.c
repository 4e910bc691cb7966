/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Keccak, numbers, RLP and ABI: equal to ethers, and nothing malformed is taken. */
#include "test_vectors.h"

#include <errno.h>

#include "abi.h"
#include "contract.h"
#include "keccak.h"
#include "rlp.h"

static void keccak_is_that_of_ethereum(void **state)
{
	json_t *all = vectors(), *list = json_object_get(all, "keccak"), *v;
	uint8_t in[512], got[KECCAK_BYTES], want[KECCAK_BYTES];
	struct keccak k;
	size_t n;

	(void)state;
	assert_true(json_array_size(list) > 2 * KECCAK_RATE);
	json_array_foreach(list, n, v)
	{
		assert_int_equal(hex_parse(json_string_value(v), want, sizeof(want)), 0);
		fill(in, n);
		keccak256(in, n, got);
		assert_memory_equal(got, want, sizeof(want));
		keccak_init(&k);
		for (size_t i = 0; i < n; i++)
			keccak_add(&k, in + i, 1);
		keccak_end(&k, got);
		assert_memory_equal(got, want, sizeof(want));
	}
	json_decref(all);
}

static void amounts_are_exact_in_both_directions(void **state)
{
	json_t *all = vectors(), *list = json_object_get(all, "units"), *v;
	char text[U256_UNITS];
	struct u256 got, want;
	size_t i;

	(void)state;
	json_array_foreach(list, i, v)
	{
		unsigned decimals = (unsigned)json_integer_value(json_object_get(v, "decimals"));

		number_of(v, "value", &want);
		assert_int_equal(u256_parse_units(text_of(v, "text"), decimals, &got), 0);
		assert_int_equal(u256_cmp(&got, &want), 0);
		u256_format_units(&want, decimals, text);
		assert_string_equal(text, text_of(v, "text"));
		u256_format(&want, text);
		assert_string_equal(text, text_of(v, "value"));
		u256_format_hex(&want, text);
		assert_string_equal(text, text_of(v, "hex"));
		assert_int_equal(u256_parse_hex(text, &got), 0);
		assert_int_equal(u256_cmp(&got, &want), 0);
	}
	assert_int_equal(i, json_array_size(list));
	assert_true(i > 5);
	json_decref(all);
}

static void what_is_no_amount_is_refused(void **state)
{
	static const char *const bad[] = { "",	  " 1",	  "1 ",	      "+1",	   "-1",  "01",
					   "1.",  ".5",	  "1e6",      "0x10",	   "1,5", "1.2.3",
					   "1..", "00.1", "\xd9\xa1", "1.0000001", "nan", "1_000" };
	struct u256 v, was = { .b = { 7 } };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		v = was;
		assert_int_equal(u256_parse_units(bad[i], 6, &v), -EINVAL);
		assert_int_equal(u256_cmp(&v, &was), 0);
		assert_int_equal(u256_parse(bad[i], &v), -EINVAL);
	}
	assert_int_equal(u256_parse("1.5", &v), -EINVAL);
	assert_int_equal(u256_parse_hex("0x", &v), -EINVAL);
	assert_int_equal(u256_parse_hex("12", &v), -EINVAL);
	assert_int_equal(u256_parse_hex("0xg", &v), -EINVAL);
	/* 2^256 */
	assert_int_equal(
		u256_parse(
			"115792089237316195423570985008687907853269984665640564039457584007913129639936",
			&v),
		-ERANGE);
	assert_int_equal(u256_parse_units("1", 77, &v), 0);
	assert_int_equal(u256_parse_units("12", 77, &v), -ERANGE);
	assert_int_equal(u256_parse_units("1", 78, &v), -EINVAL);
}

static void sums_never_wrap(void **state)
{
	struct u256 max, one, v;
	uint64_t rest, n;

	(void)state;
	memset(&max, 0xff, sizeof(max));
	u256_from_u64(1, &one);
	v = one;
	assert_int_equal(u256_add(&max, &one, &v), -ERANGE);
	assert_int_equal(u256_sub(&one, &max, &v), -ERANGE);
	assert_int_equal(u256_mul_u64(&max, 2, &v), -ERANGE);
	assert_int_equal(u256_div_u64(&max, 0, &v, &rest), -ERANGE);
	assert_int_equal(u256_cmp(&v, &one), 0);
	assert_int_equal(u256_to_u64(&max, &n), -ERANGE);
	assert_int_equal(u256_fits_u128(&max), 0);
	assert_int_equal(u256_sub(&max, &max, &v), 0);
	assert_true(u256_is_zero(&v));
	u256_from_u64(UINT64_MAX, &v);
	assert_int_equal(u256_mul_u64(&v, UINT64_MAX, &v), 0);
	assert_true(u256_fits_u128(&v));
	assert_int_equal(u256_add(&v, &one, &v), 0);
	assert_int_equal(u256_div_u64(&v, UINT64_MAX, &v, &rest), 0);
	assert_int_equal(rest, 1);
	assert_int_equal(u256_to_u64(&v, &n), 0);
	assert_true(n == UINT64_MAX);
}

static void rlp_is_that_of_ethers(void **state)
{
	json_t *all = vectors(), *list = json_object_get(all, "rlp"), *v;
	static uint8_t in[70000];
	uint8_t got[32], want[32];
	size_t i;

	(void)state;
	json_array_foreach(list, i, v)
	{
		size_t n = (size_t)json_integer_value(json_object_get(v, "n"));
		struct lnx_buf item = { 0 }, two = { 0 }, wrapped = { 0 };
		const uint8_t *p;
		struct rlp_item read, inner;

		fill(in, n);
		rlp_bytes(&item, in, n);
		keccak256(item.data, item.size, got);
		bytes_of(v, "item", want, sizeof(want));
		assert_memory_equal(got, want, sizeof(want));
		lnx_buf_add(&two, item.data, item.size);
		lnx_buf_add(&two, item.data, item.size);
		rlp_list(&wrapped, two.data, two.size);
		keccak256(wrapped.data, wrapped.size, got);
		bytes_of(v, "list", want, sizeof(want));
		assert_memory_equal(got, want, sizeof(want));
		p = (const uint8_t *)wrapped.data;
		assert_int_equal(rlp_next(&p, &wrapped.size, &read), 0);
		assert_true(read.is_list && wrapped.size == 0);
		assert_int_equal(rlp_next(&read.data, &read.n, &inner), 0);
		assert_true(!inner.is_list && inner.n == n);
		assert_memory_equal(inner.data, in, n);
		lnx_buf_done(&item);
		lnx_buf_done(&two);
		lnx_buf_done(&wrapped);
	}
	assert_true(i == json_array_size(list) && i > 10);
	json_decref(all);
}

static void rlp_that_is_not_the_shortest_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		int rc;
	} bad[] = {
		{ "0x8101", -EBADMSG },
		{ "0xb801", -EBADMSG },
		{ "0xb90001", -EBADMSG },
		{ "0xb8", -ENODATA },
		{ "0x82ff", -ENODATA },
		{ "0x", -ENODATA },
		{ "0xc101c1", 0 },
		{ "0xf800", -EBADMSG },
		{ "0xf90000", -EBADMSG },
		{ "0xffffffffffffffffff", -ENODATA },
		{ "0xbfffffffffffffffff", -ENODATA },
		{ "0xc2", -ENODATA },
	};
	struct rlp_item item;
	struct u256 v;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t bytes[32];
		const uint8_t *p = bytes;
		size_t n = (size_t)hex_parse_any(bad[i].bytes, bytes, sizeof(bytes));

		assert_int_equal(rlp_next(&p, &n, &item), bad[i].rc);
	}
	item = (struct rlp_item){ .data = (const uint8_t *)"\0\1", .n = 2 };
	assert_int_equal(rlp_number(&item, &v), -EBADMSG);
	item.is_list = true;
	item.n = 0;
	assert_int_equal(rlp_number(&item, &v), -EBADMSG);
}

static int is_dynamic(const char *type)
{
	return !strcmp(type, "bytes") || !strcmp(type, "string");
}

/* One value as the generator wrote it. */
static void value_of(const char *type, const char *text, struct abi_value *ret, uint8_t **io_blob)
{
	uint8_t word[32] = { 0 };
	int64_t n;

	if (is_dynamic(type)) {
		*io_blob = malloc(strlen(text));
		n = hex_parse_any(text, *io_blob, strlen(text));
		assert_true(n >= 0);
		abi_set_bytes(ret, *io_blob, (size_t)n);
	} else if (!strcmp(type, "bool")) {
		abi_set_u64(ret, !strcmp(text, "true"));
	} else if (!strcmp(type, "address")) {
		assert_int_equal(hex_parse(text, word, 20), 0);
		abi_set_address(ret, word);
	} else if (!strncmp(type, "bytes", 5)) {
		assert_true(hex_parse_any(text, word, sizeof(word)) > 0);
		abi_set_word(ret, word);
	} else {
		*ret = (struct abi_value){ .n = 0 };
		assert_int_equal(u256_parse(text, &ret->word), 0);
	}
}

static void assert_value(const char *type, const struct abi_value *got,
			 const struct abi_value *want)
{
	if (is_dynamic(type)) {
		assert_int_equal(got->n, want->n);
		assert_memory_equal(got->bytes, want->bytes, want->n);
	} else {
		assert_memory_equal(got->word.b, want->word.b, 32);
	}
}

struct values {
	struct abi_value v[ABI_MAX];
	uint8_t *blob[ABI_MAX];
	const char *type[ABI_MAX];
	unsigned n;
};

static void values_of(const json_t *vector, struct values *ret)
{
	const json_t *types = json_object_get(vector, "types");

	memset(ret, 0, sizeof(*ret));
	ret->n = (unsigned)json_array_size(types);
	for (unsigned i = 0; i < ret->n; i++) {
		ret->type[i] = json_string_value(json_array_get(types, i));
		value_of(ret->type[i],
			 json_string_value(json_array_get(json_object_get(vector, "values"), i)),
			 &ret->v[i], &ret->blob[i]);
	}
}

static void values_done(struct values *v)
{
	for (unsigned i = 0; i < v->n; i++)
		free(v->blob[i]);
}

static void calls_are_those_of_ethers(void **state)
{
	json_t *all = vectors(), *list = json_object_get(all, "abi"), *v;
	struct abi_value got[ABI_MAX];
	size_t i;

	(void)state;
	json_array_foreach(list, i, v)
	{
		struct lnx_buf call = { 0 };
		struct values want;
		size_t n;
		uint8_t *bytes = blob_of(v, "call", &n);

		values_of(v, &want);
		assert_int_equal(abi_call(&call, text_of(v, "signature"), want.v, want.n), 0);
		assert_int_equal(call.size, n);
		assert_memory_equal(call.data, bytes, n);
		assert_int_equal(abi_decode(text_of(v, "signature"), bytes + ABI_SELECTOR,
					    n - ABI_SELECTOR, got, ABI_MAX),
				 0);
		for (unsigned k = 0; k < want.n; k++)
			assert_value(want.type[k], &got[k], &want.v[k]);
		/* a word cut off is always found */
		if (want.n)
			assert_int_equal(abi_decode(text_of(v, "signature"), bytes + ABI_SELECTOR,
						    n - ABI_SELECTOR - 32, got, ABI_MAX),
					 -EBADMSG);
		values_done(&want);
		lnx_buf_done(&call);
		free(bytes);
	}
	assert_true(i == json_array_size(list) && i > 50);
	json_decref(all);
}

static void events_are_those_of_ethers(void **state)
{
	json_t *all = vectors(), *list = json_object_get(all, "events"), *v, *t;
	uint8_t topics[ABI_TOPICS * ABI_TOPIC];
	struct abi_value got[ABI_MAX];
	size_t i, k;

	(void)state;
	json_array_foreach(list, i, v)
	{
		const char *signature = text_of(v, "signature");
		unsigned n_topics = 0;
		struct values want;
		size_t n;
		uint8_t *data = blob_of(v, "data", &n);

		values_of(v, &want);
		json_array_foreach(json_object_get(v, "topics"), k, t) assert_int_equal(
			hex_parse(json_string_value(t), topics + 32 * n_topics++, 32), 0);
		assert_int_equal(abi_event(signature, topics, n_topics, data, n, got, ABI_MAX), 0);
		for (unsigned a = 0; a < want.n; a++)
			assert_value(want.type[a], &got[a], &want.v[a]);
		assert_int_equal(abi_event(signature, topics, n_topics - 1, data, n, got, ABI_MAX),
				 -EBADMSG);
		assert_int_equal(abi_event(signature, topics, n_topics, data, n - 32, got, ABI_MAX),
				 -EBADMSG);
		topics[5] ^= 1;
		assert_int_equal(abi_event(signature, topics, n_topics, data, n, got, ABI_MAX),
				 -ENOENT);
		values_done(&want);
		free(data);
	}
	assert_true(i == json_array_size(list) && i >= 10);
	json_decref(all);
}

static void values_that_a_type_cannot_hold_are_refused(void **state)
{
	struct abi_value v[3];
	uint8_t word[96] = { 0 };
	struct lnx_buf out = { 0 };

	(void)state;
	word[31] = 2;
	assert_int_equal(abi_decode("(bool)", word, 32, v, 3), -EBADMSG);
	assert_int_equal(abi_decode("(uint8)", word, 32, v, 3), 0);
	word[30] = 1;
	assert_int_equal(abi_decode("(uint8)", word, 32, v, 3), -EBADMSG);
	word[11] = 1;
	assert_int_equal(abi_decode("(address)", word, 32, v, 3), -EBADMSG);
	assert_int_equal(abi_decode("(bytes4)", word, 32, v, 3), -EBADMSG);
	/* offsets and lengths that lead out, also by wrapping around */
	memset(word, 0, sizeof(word));
	memset(word + 24, 0xff, 8);
	assert_int_equal(abi_decode("(bytes)", word, 96, v, 3), -EBADMSG);
	memset(word, 0, 32);
	word[31] = 32;
	memset(word + 56, 0xff, 8);
	assert_int_equal(abi_decode("(bytes)", word, 96, v, 3), -EBADMSG);
	word[31] = 65;
	assert_int_equal(abi_decode("(bytes)", word, 96, v, 3), -EBADMSG);
	abi_set_u64(&v[0], 256);
	assert_int_equal(abi_call(&out, "f(uint8)", v, 1), -EINVAL);
	assert_int_equal(abi_call(&out, "f(uint16)", v, 2), -EINVAL);
	assert_int_equal(abi_call(&out, "f(uint16)", v, 1), 0);
	lnx_buf_done(&out);
}

static void bad_signatures_are_refused(void **state)
{
	static const char *const bad[] = { "",		"f",	      "f(",
					   "f(uint)",	"f(uint7)",   "f(uint264)",
					   "f(bytes0)", "f(bytes33)", "f(,)",
					   "f(bool,)",	"f(bool)x",   "f(bool ,bool)",
					   "f(int8)",	"f(bool[])",  "f(bool  indexed)" };
	uint8_t topic[ABI_TOPIC];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(abi_topic(bad[i], topic), -EINVAL);
	assert_int_equal(
		abi_topic("f(bool,bool,bool,bool,bool,bool,bool,bool,bool,bool,bool,bool,bool)",
			  topic),
		-EINVAL);
}

static void selectors_are_those_which_were_deployed(void **state)
{
	static const struct {
		const char *signature, *selector;
	} known[] = {
		{ REGISTRY_REGISTER, "0x15d7bf44" },	{ REGISTRY_IS_REGISTERED, "0x27258b22" },
		{ REGISTRY_GET_ADDRESS, "0x21f8a721" }, { REGISTRY_RESOLVE, "0x5c23bdf5" },
		{ SETTLEMENT_CREATE, "0xa014157e" },	{ SETTLEMENT_SUBMIT, "0xfb0640a4" },
		{ SETTLEMENT_GET_TASK, "0x15a29035" },	{ SETTLEMENT_SEPARATOR, "0x3644e515" },
		{ TOKEN_APPROVE, "0x095ea7b3" },	{ TOKEN_ALLOWANCE, "0xdd62ed3e" },
		{ TOKEN_BALANCE, "0x70a08231" },	{ SETTLEMENT_CREATED, "0x651d1350" },
		{ SETTLEMENT_SUBMITTED, "0xcd0c841b" }, { SETTLEMENT_SETTLED, "0x21b7e559" },
	};
	uint8_t got[ABI_SELECTOR], want[ABI_SELECTOR];

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		assert_int_equal(hex_parse(known[i].selector, want, sizeof(want)), 0);
		assert_int_equal(abi_selector(known[i].signature, got), 0);
		assert_memory_equal(got, want, sizeof(want));
	}
}

static void reverts_are_told_in_words(void **state)
{
	struct lnx_buf out = { 0 };
	struct abi_value v[2];
	uint8_t id[32] = { 0xab };
	char text[200];

	(void)state;
	abi_set_word(&v[0], id);
	abi_set_u64(&v[1], TASK_SETTLED);
	assert_int_equal(abi_call(&out, "WrongStatus(bytes32,uint8)", v, 2), 0);
	contract_error((const uint8_t *)out.data, out.size, text, sizeof(text));
	assert_string_equal(
		text,
		"WrongStatus(0xab00000000000000000000000000000000000000000000000000000000000000, 3)");
	contract_error((const uint8_t *)out.data, out.size - 1, text, sizeof(text));
	assert_non_null(strstr(text, "unknown error 0x"));
	lnx_buf_reset(&out);
	abi_set_bytes(&v[0], "no\x1b[2Jfunds", 10);
	assert_int_equal(abi_call(&out, "Error(string)", v, 1), 0);
	contract_error((const uint8_t *)out.data, out.size, text, sizeof(text));
	assert_string_equal(text, "Error(no?[2Jfund)");
	contract_error(NULL, 0, text, sizeof(text));
	assert_string_equal(text, "reverted without a reason");
	lnx_buf_reset(&out);
	assert_int_equal(abi_call(&out, "BadSignature()", v, 0), 0);
	contract_error((const uint8_t *)out.data, out.size, text, sizeof(text));
	assert_string_equal(text, "BadSignature()");
	lnx_buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keccak_is_that_of_ethereum),
		cmocka_unit_test(amounts_are_exact_in_both_directions),
		cmocka_unit_test(what_is_no_amount_is_refused),
		cmocka_unit_test(sums_never_wrap),
		cmocka_unit_test(rlp_is_that_of_ethers),
		cmocka_unit_test(rlp_that_is_not_the_shortest_is_refused),
		cmocka_unit_test(calls_are_those_of_ethers),
		cmocka_unit_test(events_are_those_of_ethers),
		cmocka_unit_test(values_that_a_type_cannot_hold_are_refused),
		cmocka_unit_test(bad_signatures_are_refused),
		cmocka_unit_test(selectors_are_those_which_were_deployed),
		cmocka_unit_test(reverts_are_told_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
