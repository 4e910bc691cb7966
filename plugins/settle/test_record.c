/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Records of a DID, out of what a node calls its logs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "abi.h"
#include "binding.h"
#include "contract.h"
#include "record.h"

static uint8_t key[DSSE_PUBLIC], secret[DSSE_SECRET];
static char did[DID_TEXT];

static int make_key(void **state)
{
	static const uint8_t seed[32] = { 7 };

	(void)state;
	(void)crypto_sign_seed_keypair(key, secret, seed); /* cannot fail */
	did_format(key, did);
	return sodium_init() < 0;
}

static void topic(json_t *list, const char *event, const uint8_t *word)
{
	uint8_t hash[32] = { 0 };
	char hex[67];

	if (event)
		assert_int_equal(abi_topic(event, hash), 0);
	else
		memcpy(hash, word, 32);
	hex_format(hash, 32, hex);
	assert_int_equal(json_array_append_new(list, json_string(hex)), 0);
}

/* A log of the registry 0x01…: the record of 0x<agent>…, with a proof for 0x<signed_for>…, or none (0). */
static json_t *log_of(uint8_t agent, uint8_t signed_for, int is_rotated)
{
	struct binding b = { .did = did,
			     .chain_id = 31337,
			     .nonce = (uint64_t)is_rotated,
			     .registry = { 1 },
			     .address = { signed_for } };
	uint8_t proof[DSSE_SIGNATURE], word[32] = { 0 }, did32[32];
	char address[43], data[2 * 256 + 3] = "0x";
	json_t *topics = json_array(), *log;
	struct abi_value v[2];
	struct lnx_buf body = { 0 };

	assert_int_equal(binding_sign(&b, secret, proof), 0);
	did_hash(did, did32);
	topic(topics, is_rotated ? REGISTRY_ROTATED : REGISTRY_REGISTERED, NULL);
	topic(topics, NULL, did32);
	if (is_rotated)
		topic(topics, NULL, word);
	word[12] = agent;
	topic(topics, NULL, word);
	abi_set_word(&v[0], key);
	abi_set_bytes(&v[1], proof, signed_for ? sizeof(proof) : 0);
	assert_int_equal(abi_call(&body, "x(bytes32,bytes)", v, 2), 0);
	hex_format((uint8_t *)body.data + ABI_SELECTOR, body.size - ABI_SELECTOR, data);
	hex_format(b.registry, 20, address);
	log = json_pack("{s:s,s:o,s:s}", "address", address, "topics", topics, "data", data);
	assert_non_null(log);
	lnx_buf_done(&body);
	return log;
}

static int read_logs_of(struct records *r, json_t *logs, const uint8_t *only)
{
	struct rpc_call c = { .result = logs };
	unsigned n = 0;
	int rc;

	*r = (struct records){ .did = did, .only = only, .chain_id = 31337, .registry = { 1 } };
	rc = records_read(r, &c, &n);
	json_decref(logs);
	return rc;
}

static int read_logs(struct records *r, json_t *logs)
{
	return read_logs_of(r, logs, NULL);
}

static void the_newest_proven_record_comes_first(void **state)
{
	struct records r;

	(void)state;
	assert_int_equal(
		read_logs(&r, json_pack("[o,o,o,o,o]", log_of(9, 0, 0), log_of(2, 2, 0),
					log_of(8, 2, 0), log_of(3, 3, 1), log_of(9, 3, 1))),
		0);
	assert_int_equal(r.n, 2);
	assert_int_equal(r.addresses[0][0], 3);
	assert_int_equal(r.addresses[1][0], 2);
	assert_int_equal(r.n_unproven, 1);
	assert_int_equal(r.n_wrong, 2);
}

static void what_is_no_log_of_it_counts_for_nothing(void **state)
{
	json_t *other = log_of(2, 2, 0), *removed = log_of(2, 2, 0), *cut = log_of(2, 2, 0);
	struct records r;

	(void)state;
	assert_int_equal(json_object_set_new(other, "address", json_string("0x")), 0);
	assert_int_equal(json_object_set_new(removed, "removed", json_true()), 0);
	assert_int_equal(json_object_set_new(cut, "data", json_string("0x1234")), 0);
	assert_int_equal(read_logs(&r, json_pack("[o,o,o,s,n,{},{s:[s]}]", other, removed, cut, "x",
						 "topics", "0x")),
			 0);
	assert_int_equal(r.n + r.n_unproven + r.n_wrong, 0);
	assert_int_equal(read_logs(&r, json_object()), -EPROTO);
	assert_int_equal(read_logs(&r, json_null()), -EPROTO);
}

static void a_flood_is_refused_as_one(void **state)
{
	json_t *logs = json_array(), *one = log_of(9, 0, 0);
	struct records r;

	(void)state;
	for (unsigned i = 0; i <= RECORD_LOGS; i++)
		assert_int_equal(json_array_append(logs, one), 0);
	json_decref(one);
	assert_int_equal(read_logs(&r, logs), -E2BIG);
}

static void a_flood_of_other_logs_hides_nothing(void **state)
{
	json_t *logs = json_array(), *junk = log_of(9, 0, 0);
	struct records r;

	(void)state;
	assert_int_equal(json_object_set_new(junk, "topics", json_pack("[s]", "0x12")), 0);
	for (unsigned i = 0; i <= RECORD_LOGS; i++)
		assert_int_equal(json_array_append(logs, junk), 0);
	assert_int_equal(json_array_append_new(logs, log_of(2, 2, 0)), 0);
	json_decref(junk);
	assert_int_equal(read_logs(&r, logs), 0);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.n_unproven, 0);
}

static void who_was_not_asked_for_is_not_taken(void **state)
{
	const uint8_t only[20] = { 2 };
	struct records r;

	(void)state;
	assert_int_equal(read_logs_of(&r,
				      json_pack("[o,o,o,o]", log_of(2, 2, 0), log_of(3, 3, 0),
						log_of(4, 4, 1), log_of(5, 0, 0)),
				      only),
			 0);
	assert_int_equal(r.n, 1);
	assert_memory_equal(r.addresses[0], only, 20);
	assert_int_equal(r.n_unproven + r.n_wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_newest_proven_record_comes_first),
		cmocka_unit_test(what_is_no_log_of_it_counts_for_nothing),
		cmocka_unit_test(a_flood_is_refused_as_one),
		cmocka_unit_test(a_flood_of_other_logs_hides_nothing),
		cmocka_unit_test(who_was_not_asked_for_is_not_taken),
	};

	return cmocka_run_group_tests(tests, make_key, NULL);
}
