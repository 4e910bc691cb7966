/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Merkle trees, canonical JSON, DSSE, names and times: what their standards publish, and what is refused. */
#include "test_vectors.h"

#include <errno.h>
#include <sodium.h>

#include "binding.h"
#include "did.h"
#include "dsse.h"
#include "hkdf.h"
#include "jcs.h"
#include "leaf.h"
#include "merkle.h"
#include "receipt.h"
#include "stamp.h"

#define LARGEST 70 /* leaves of the trees whose proofs are all tried */

static void roots_are_those_of_certificate_transparency(void **state)
{
	static const struct {
		const char *leaf, *root;
	} known[] = {
		{ "0x", "0x6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" },
		{ "0x00", "0xfac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125" },
		{ "0x10", "0xaeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77" },
		{ "0x2021", "0xd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7" },
		{ "0x3031", "0x4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4" },
		{ "0x40414243",
		  "0x76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef" },
		{ "0x5051525354555657",
		  "0xddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c" },
		{ "0x606162636465666768696a6b6c6d6e6f",
		  "0x5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328" },
	};
	uint8_t leaf[16], hash[32], got[32], want[32];
	struct merkle m;

	(void)state;
	merkle_init(&m, NULL, 0);
	merkle_root(&m, got);
	assert_int_equal(
		hex_parse("0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			  want, 32),
		0);
	assert_memory_equal(got, want, 32);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		int64_t n = hex_parse_any(known[i].leaf, leaf, sizeof(leaf));

		merkle_leaf(leaf, (size_t)n / 2, leaf + n / 2, (size_t)(n - n / 2), hash);
		merkle_add(&m, hash);
		merkle_root(&m, got);
		assert_int_equal(hex_parse(known[i].root, want, 32), 0);
		assert_memory_equal(got, want, 32);
	}
}

static void small_leaf(uint64_t i, uint8_t ret[32])
{
	merkle_leaf(&i, sizeof(i), "", 0, ret);
}

static void prove(uint64_t index, uint64_t size, struct merkle_path *path, uint8_t root[32])
{
	struct merkle m;
	uint8_t leaf[32];

	*path = (struct merkle_path){ .index = index };
	merkle_init(&m, &path, 1);
	for (uint64_t i = 0; i < size; i++) {
		small_leaf(i, leaf);
		merkle_add(&m, leaf);
	}
	merkle_root(&m, root);
}

static void every_leaf_is_proven_and_no_other_is(void **state)
{
	struct merkle_path path, forged;
	uint8_t root[32], leaf[32];

	(void)state;
	for (uint64_t size = 1; size <= LARGEST; size++)
		for (uint64_t i = 0; i < size; i++) {
			prove(i, size, &path, root);
			small_leaf(i, leaf);
			assert_int_equal(merkle_check(&path, size, leaf, root), 0);
			forged = path;
			forged.index ^= 1;
			assert_int_equal(merkle_check(&forged, size, leaf, root), -EBADMSG);
			forged = path;
			forged.siblings[path.n / 2][3] ^= 4;
			if (path.n)
				assert_int_equal(merkle_check(&forged, size, leaf, root), -EBADMSG);
			forged = path;
			forged.n++;
			assert_int_equal(merkle_check(&forged, size, leaf, root), -EBADMSG);
			forged.n = path.n - 1;
			assert_int_equal(merkle_check(&forged, size, leaf, root), -EBADMSG);
			leaf[0] ^= 1;
			assert_int_equal(merkle_check(&path, size, leaf, root), -EBADMSG);
		}
	assert_int_equal(merkle_check(&path, 0, leaf, root), -EBADMSG);
}

static void canonical(const char *json, const char *want)
{
	struct lnx_buf out = { 0 };
	char why[JCS_WHY];
	json_t *v;

	assert_int_equal(jcs_read(json, strlen(json), 4096, &v, why), 0);
	assert_int_equal(jcs_write(&out, v), 0);
	assert_string_equal(out.data, want);
	json_decref(v);
	assert_int_equal(jcs_read_canonical(out.data, out.size, 4096, &v, why), 0);
	json_decref(v);
	if (strcmp(json, want) != 0)
		assert_int_equal(jcs_read_canonical(json, strlen(json), 4096, &v, why), -EBADMSG);
	lnx_buf_done(&out);
}

/* The examples of RFC 8785, without their floats. */
static void json_is_canonical(void **state)
{
	(void)state;
	canonical("{\"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\","
		  " \"literals\": [null, true, false], \"n\":[0, -1, 9007199254740991]}",
		  "{\"literals\":[null,true,false],\"n\":[0,-1,9007199254740991],"
		  "\"string\":\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
	canonical(
		"{\"\\u20ac\":1,\"\\r\":2,\"\\ufb33\":3,\"1\":4,\"\\ud83d\\ude00\":5,\"\\u0080\":6,\"\\u00f6\":7}",
		"{\"\\r\":2,\"1\":4,\"\xc2\x80\":6,\"\xc3\xb6\":7,\"\xe2\x82\xac\":1,"
		"\"\xf0\x9f\x98\x80\":5,\"\xef\xac\xb3\":3}");
	canonical("{\"ab\":1,\"a\":{},\"\":[]}", "{\"\":[],\"a\":{},\"ab\":1}");
	canonical("{\"c\":\"\\b\\t\\n\\f\\r\\u0001\\u007f\"}",
		  "{\"c\":\"\\b\\t\\n\\f\\r\\u0001\x7f\"}");
}

static void json_that_can_be_read_two_ways_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{\"a\":1,\"a\":2}",
		"{\"a\":1.0}",
		"{\"a\":1e3}",
		"{\"a\":{\"b\":[0.5]}}",
		"{}x",
		"{}{}",
		"{\"a\":01}",
		"{\"a\":\"\xff\"}",
		"{\"a\":\"\\u0000\"}",
		"{\"a\":NaN}",
		"{'a':1}",
		"{\"a\":1,}",
		"{\"a\":\"\\ud800\"}",
	};
	struct lnx_buf out = { 0 };
	char why[JCS_WHY], nul[] = "{\"a\":1}\0";
	json_t *v;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(jcs_read(bad[i], strlen(bad[i]), 4096, &v, why), -EBADMSG);
	assert_int_equal(jcs_read(nul, sizeof(nul) - 1, 4096, &v, why), -EBADMSG);
	assert_string_equal(why, "a NUL byte in it");
	assert_int_equal(jcs_read(nul, 7, 6, &v, why), -EBADMSG);
	assert_string_equal(why, "7 bytes, 6 are allowed");
	v = json_pack("{s:I}", "a", (json_int_t)JCS_INTEGER_MAX + 1);
	assert_int_equal(jcs_write(&out, v), -EINVAL);
	json_decref(v);
	v = json_pack("{s:f}", "a", 0.5);
	assert_int_equal(jcs_write(&out, v), -EINVAL);
	json_decref(v);
	lnx_buf_done(&out);
}

/* The example of the DSSE protocol. */
static void the_encoding_before_signing_is_that_of_dsse(void **state)
{
	uint8_t seed[32] = { 5 }, public[32], secret[64], sig[64];
	struct lnx_buf out = { 0 };

	(void)state;
	dsse_pae(&out, "http://example.com/HelloWorld", "hello world", 11);
	assert_string_equal(out.data, "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
	lnx_buf_done(&out);
	assert_int_equal(crypto_sign_seed_keypair(public, secret, seed), 0);
	assert_int_equal(dsse_sign(secret, "a", "bc", 2, sig), 0);
	assert_int_equal(dsse_check(public, "a", "bc", 2, sig), 0);
	assert_int_equal(dsse_check(public, "ab", "c", 1, sig), -EBADMSG);
	assert_int_equal(dsse_check(public, "a", "bd", 2, sig), -EBADMSG);
	sig[40] ^= 1;
	assert_int_equal(dsse_check(public, "a", "bc", 2, sig), -EBADMSG);
}

static void names_tell_their_key(void **state)
{
	static const char *const bad[] = {
		"",
		"did:key:z",
		"did:key:z6MkrpbmsE1fFbGgXdS5T5mTixLMyRNsz6JfPDMRreusxMB",
		"did:key:z6MkrpbmsE1fFbGgXdS5T5mTixLMyRNsz6JfPDMRreusxMBG1",
		"did:key:z16MkrpbmsE1fFbGgXdS5T5mTixLMyRNsz6JfPDMRreusxMBG",
		"did:key:z6MkrpbmsE1fFbGgXdS5T5mTixLMyRNsz6JfPDMRreusxMB0",
		"did:web:example.com",
		/* of secp256k1, and one that does not fit into 34 bytes */
		"did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme",
		"did:key:zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
	};
	json_t *all = vectors(), *id = json_object_get(all, "identity");
	uint8_t key[32], want[32];
	char did[DID_TEXT];

	(void)state;
	bytes_of(id, "ed25519", want, 32);
	did_format(want, did);
	assert_string_equal(did, text_of(id, "did"));
	assert_int_equal(did_parse(did, key), 0);
	assert_memory_equal(key, want, 32);
	bytes_of(id, "did32", want, 32);
	did_hash(did, key);
	assert_memory_equal(key, want, 32);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(did_parse(bad[i], key), -EINVAL);
	for (unsigned i = 0; i < 256; i++) {
		memset(want, (int)i, 32);
		did_format(want, did);
		assert_int_equal(did_parse(did, key), 0);
		assert_memory_equal(key, want, 32);
	}
	json_decref(all);
}

static void a_binding_counts_for_one_address_chain_and_nonce(void **state)
{
	uint8_t seed[32] = { 9 }, public[32], secret[64], proof[64];
	struct binding b = { .chain_id = 31337, .nonce = 2, .registry = { 1 }, .address = { 2 } };
	struct binding other;
	char did[DID_TEXT];

	(void)state;
	assert_int_equal(crypto_sign_seed_keypair(public, secret, seed), 0);
	did_format(public, did);
	b.did = did;
	assert_int_equal(binding_sign(&b, secret, proof), 0);
	assert_int_equal(binding_check(&b, proof, sizeof(proof)), 0);
	assert_int_equal(binding_check(&b, proof, sizeof(proof) - 1), -EBADMSG);
	other = b;
	other.nonce++;
	assert_int_equal(binding_check(&other, proof, sizeof(proof)), -EBADMSG);
	other = b;
	other.chain_id++;
	assert_int_equal(binding_check(&other, proof, sizeof(proof)), -EBADMSG);
	other = b;
	other.address[19]++;
	assert_int_equal(binding_check(&other, proof, sizeof(proof)), -EBADMSG);
	other = b;
	other.registry[19]++;
	assert_int_equal(binding_check(&other, proof, sizeof(proof)), -EBADMSG);
	other = b;
	other.did = "did:key:z6MkrpbmsE1fFbGgXdS5T5mTixLMyRNsz6JfPDMRreusxMBG";
	assert_int_equal(binding_check(&other, proof, sizeof(proof)), -EBADMSG);
	other.did = "did:web:example.com";
	assert_int_equal(binding_sign(&other, secret, proof), -EINVAL);
}

static void times_are_written_one_way(void **state)
{
	static const char *const bad[] = { "",
					   "2026-01-02T03:04:05Z",
					   "2026-01-02T03:04:05.000000000+00:00",
					   "2026-01-02t03:04:05.000000000Z",
					   "2026-13-02T03:04:05.000000000Z",
					   "2026-02-30T03:04:05.000000000Z",
					   "2026-01-02T25:04:05.000000000Z",
					   "2026-01-02T03:04:60.000000000Z",
					   "9999-01-02T03:04:05.000000000Z",
					   "1969-01-02T03:04:05.000000000Z",
					   "2026-01-02T03:04:05.0000000000",
					   "2026-01-02 03:04:05.000000000Z" };
	static const uint64_t good[] = {
		0, 1, 999999999, 1767322800123456789, 16999999999999999999u, 951782400000000000
	};
	char text[STAMP_TEXT];
	uint64_t ns;

	(void)state;
	stamp_format(1767323045123456789, text);
	assert_string_equal(text, "2026-01-02T03:04:05.123456789Z");
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		stamp_format(good[i], text);
		assert_int_equal(stamp_parse(text, &ns), 0);
		assert_true(ns == good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(stamp_parse(bad[i], &ns), -EINVAL);
}

static void a_leaf_comes_back_as_it_was(void **state)
{
	struct leaf l = { .type = "proc.exit",
			  .comm = "na\x1b\"me\xff",
			  .seq = UINT64_MAX,
			  .ts_boot_ns = 5,
			  .start_ns = 4,
			  .cgroup_id = 7,
			  .pid = UINT32_MAX,
			  .ppid = 1,
			  .exit_code = -3,
			  .is_main = 1,
			  .cpu_ns = 10,
			  .read_bytes = 11,
			  .write_bytes = 12,
			  .net_tx_bytes = 13,
			  .has_net_tx = true,
			  .has_exe = true,
			  .exe_sha256 = { 0xfe, 1 },
			  .stall_ns = 14,
			  .rss_peak_kib = 15 };
	uint8_t secret[LEAF_SECRET] = { 1 }, salt[LEAF_SALT], other[LEAF_SALT], read[LEAF_SALT];
	struct lnx_buf json = { 0 }, line = { 0 };
	struct leaf back = { .seq = 0 };
	char why[LEAF_WHY];
	const char *at;
	size_t n;

	(void)state;
	leaf_set_args(&l, LEAF_ARGS_FULL, "make all", 8, true);
	leaf_write(&json, &l);
	assert_int_equal(leaf_read(json.data, json.size, &back, why), 0);
	memset(l.comm, 0, sizeof(l.comm)); /* is shown, not read */
	assert_memory_equal(&back, &l, sizeof(l));
	leaf_salt(secret, 1, salt);
	leaf_salt(secret, 256, other);
	assert_memory_not_equal(salt, other, LEAF_SALT);
	leaf_put_line(&line, salt, json.data, json.size);
	assert_int_equal(leaf_split_line(line.data, line.size - 1, read, &at, &n), 0);
	assert_memory_equal(read, salt, LEAF_SALT);
	assert_int_equal(n, json.size);
	assert_int_equal(leaf_split_line(line.data, 34, read, &at, &n), -EBADMSG);
	line.data[3] = 'x';
	assert_int_equal(leaf_split_line(line.data, line.size - 1, read, &at, &n), -EBADMSG);
	/* each member must be there */
	for (size_t i = 1; i + 1 < json.size; i++) {
		char was = json.data[i];

		if (was != '"' || json.data[i - 1] != ',')
			continue;
		json.data[i + 1] = 'x';
		assert_int_equal(leaf_read(json.data, json.size, &back, why), -EBADMSG);
		json.data[i + 1] = was;
	}
	lnx_buf_done(&json);
	lnx_buf_done(&line);
}

/* <json> of a leaf with <from> replaced by <to> is refused with <want>. */
static void expect_refused(const struct lnx_buf *json, const char *from, const char *to,
			   const char *want)
{
	const char *at = strstr(json->data, from);
	char why[LEAF_WHY], text[LEAF_LINE];
	struct leaf l;

	assert_non_null(at);
	(void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - json->data), json->data, to,
		       at + strlen(from)); /* fits */
	assert_int_equal(leaf_read(text, strlen(text), &l, why), -EBADMSG);
	assert_string_equal(why, want);
}

static void a_name_of_a_process_is_a_text_and_is_there(void **state)
{
	struct leaf l = { .type = "proc.exec", .comm = "work", .seq = 1 };
	struct lnx_buf json = { 0 };

	(void)state;
	leaf_write(&json, &l);
	expect_refused(&json, "\"comm\":\"work\"", "\"comm\":7",
		       "type or comm is missing or not what it should be");
	expect_refused(&json, "\"comm\":\"work\"", "\"comn\":\"work\"",
		       "type or comm is missing or not what it should be");
	lnx_buf_done(&json);
}

static void arguments_are_hashed_as_far_as_they_were_seen(void **state)
{
	static const char abc[] =
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	struct leaf l = { .type = "proc.exec" }, back;
	struct lnx_buf json = { 0 };
	char why[LEAF_WHY];

	(void)state;
	leaf_set_args(&l, LEAF_ARGS_OFF, "abc", 3, true);
	leaf_write(&json, &l);
	assert_null(strstr(json.data, "args_hash"));
	assert_null(strstr(json.data, "args_cut"));
	assert_null(strstr(json.data, "net_tx_bytes"));
	assert_null(strstr(json.data, "exe_sha256"));
	assert_non_null(strstr(json.data, "\"args_policy\":\"off\""));
	assert_int_equal(leaf_read(json.data, json.size, &back, why), 0);
	expect_refused(&json, "\"off\"", "\"full\"",
		       "args_policy is missing or not what it should be");
	expect_refused(&json, "\"off\"", "\"some\"",
		       "args_policy is missing or not what it should be");
	expect_refused(&json, "{", "{\"a\":1,", "a member that is not known");
	expect_refused(&json, "\"v\":1", "\"v\":2", "v is missing or not what it should be");
	expect_refused(&json, "\"v\":1", "\"v\": 1", "not in canonical form (RFC 8785)");
	lnx_buf_reset(&json);
	leaf_set_args(&l, LEAF_ARGS_SCRIPT, "abc", 3, false);
	leaf_write(&json, &l);
	assert_non_null(strstr(json.data, abc));
	assert_int_equal(leaf_read(json.data, json.size, &back, why), 0);
	assert_int_equal(back.args_policy, LEAF_ARGS_SCRIPT);
	assert_memory_equal(back.args_hash, l.args_hash, 32);
	expect_refused(&json, ",\"args_policy\":\"script\"", "",
		       "args_policy is missing or not what it should be");
	expect_refused(&json, "\"script\"", "\"off\"",
		       "args_policy is missing or not what it should be");
	expect_refused(&json, "ba7816", "BA7816", "args_hash is missing or not what it should be");
	expect_refused(&json, "ba7816", "ba78", "args_hash is missing or not what it should be");
	expect_refused(&json, "{", "{\"args_cut\":false,",
		       "args_cut is missing or not what it should be");
	lnx_buf_done(&json);
}

static void usage_is_the_sum_and_never_wraps(void **state)
{
	struct leaf l = { .type = "proc.exec", .cpu_ns = UINT64_MAX - 1, .rss_peak_kib = 9 };
	struct usage u = { .exit_code = 0 };

	(void)state;
	usage_add(&u, &l);
	l.rss_peak_kib = 3;
	l.exit_code = 7;
	usage_add(&u, &l);
	assert_true(u.cpu_ns == UINT64_MAX);
	assert_int_equal(u.execs, 2);
	assert_int_equal(u.rss_peak_kib, 9);
	assert_int_equal(u.exit_code, 0);
	l = (struct leaf){ .type = "proc.exit", .exit_code = 3 };
	usage_add(&u, &l);
	assert_int_equal(u.exit_code, 0);
	assert_false(u.has_exit);
	assert_false(u.has_net_tx);
	l.is_main = 1;
	l.has_net_tx = true;
	usage_add(&u, &l);
	assert_int_equal(u.exit_code, 3);
	assert_true(u.has_exit);
	assert_true(u.has_net_tx);
}

static void more_gaps_than_there_is_room_for_leave_no_number(void **state)
{
	struct receipt_gap gaps[RECEIPT_GAPS];
	unsigned n = 0;

	(void)state;
	for (uint64_t i = 0; i < RECEIPT_GAPS; i++)
		assert_int_equal(receipt_gap_add(gaps, &n, 10 * i + 1), 0);
	assert_int_equal(receipt_gap_add(gaps, &n, gaps[n - 1].last + 1), 0);
	assert_int_equal(receipt_gap_add(gaps, &n, 100000), -ENOSPC);
	assert_int_equal(n, RECEIPT_GAPS);
	assert_int_equal(gaps[n - 1].last, gaps[n - 1].first + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_gaps_than_there_is_room_for_leave_no_number),
		cmocka_unit_test(roots_are_those_of_certificate_transparency),
		cmocka_unit_test(every_leaf_is_proven_and_no_other_is),
		cmocka_unit_test(json_is_canonical),
		cmocka_unit_test(json_that_can_be_read_two_ways_is_refused),
		cmocka_unit_test(the_encoding_before_signing_is_that_of_dsse),
		cmocka_unit_test(names_tell_their_key),
		cmocka_unit_test(a_binding_counts_for_one_address_chain_and_nonce),
		cmocka_unit_test(times_are_written_one_way),
		cmocka_unit_test(a_leaf_comes_back_as_it_was),
		cmocka_unit_test(a_name_of_a_process_is_a_text_and_is_there),
		cmocka_unit_test(arguments_are_hashed_as_far_as_they_were_seen),
		cmocka_unit_test(usage_is_the_sum_and_never_wraps),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
