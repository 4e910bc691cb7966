/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A receipt is signed, kept, read and believed; each change to it, its events or what the chain says is found and named. */
#include "test_fix.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>

#include "contract.h"
#include "keccak.h"

static void a_good_receipt_is_valid(void **state)
{
	uint8_t hash[32];
	struct fix f;

	(void)state;
	fix_make(&f);
	assert_int_equal(check_code(look(&f)), CHECK_VALID);
	keccak256(f.s.payload, f.s.n_payload, hash);
	assert_memory_equal(hash, f.s.hash, 32);
	/* nothing of the host: what is public is public for ever */
	assert_null(memmem(f.s.payload, f.s.n_payload, "work", 4));
	fix_done(&f);
}

static void a_file_comes_back_as_it_was(void **state)
{
	struct lnx_buf file = { 0 }, again = { 0 };
	struct signed_receipt back;
	char why[RECEIPT_WHY];
	struct fix f;

	(void)state;
	fix_make(&f);
	signed_receipt_write(&file, &f.s);
	assert_int_equal(signed_receipt_read(file.data, file.size, &back, why), 0);
	assert_memory_equal(back.payload, f.s.payload, f.s.n_payload);
	assert_memory_equal(&back.r, &f.r, sizeof(f.r));
	signed_receipt_write(&again, &back);
	assert_string_equal(again.data, file.data);
	signed_receipt_done(&back);
	lnx_buf_done(&file);
	lnx_buf_done(&again);
	fix_done(&f);
}

/* Holds a text against a file of tests/data/chain, or writes that file when LNX_WRITE_GOLDEN is set. */
static void golden(const char *name, const struct lnx_buf *want)
{
	char file[128], have[16384];
	FILE *f;
	size_t n;

	(void)snprintf(file, sizeof(file), "tests/data/chain/%s", name); /* fits */
	f = fopen(file, getenv("LNX_WRITE_GOLDEN") ? "we" : "re");
	assert_non_null(f);
	if (getenv("LNX_WRITE_GOLDEN")) {
		assert_int_equal(fwrite(want->data, 1, want->size, f), want->size);
	} else {
		n = fread(have, 1, sizeof(have), f);
		assert_int_equal(n, want->size);
		assert_memory_equal(have, want->data, n);
	}
	assert_int_equal(fclose(f), 0);
}

/* Both formats are promises: old files stay valid. */
static void the_formats_are_those_which_were_released(void **state)
{
	struct lnx_buf file = { 0 };
	struct fix f;

	(void)state;
	fix_make(&f);
	signed_receipt_write(&file, &f.s);
	golden("receipt.json", &file);
	golden("receipt.events", &f.events);
	lnx_buf_done(&file);
	fix_done(&f);
}

static void each_flipped_byte_of_the_file_is_found(void **state)
{
	struct lnx_buf file = { 0 };
	struct signed_receipt back;
	char why[RECEIPT_WHY];
	struct fix f;

	(void)state;
	fix_make(&f);
	signed_receipt_write(&file, &f.s);
	for (size_t i = 0; i < file.size; i++) {
		struct check c = { .n_bad = 0 };

		file.data[i] ^= 1;
		if (signed_receipt_read(file.data, file.size, &back, why) == 0) {
			check_receipt(&c, &back, curve);
			if (check_code(&c) != CHECK_INVALID)
				fail_msg("byte %zu", i);
			signed_receipt_done(&back);
		} else {
			assert_true(*why);
		}
		file.data[i] ^= 1;
	}
	for (size_t n = 0; n + 2 < file.size; n += 7)
		assert_int_equal(signed_receipt_read(file.data, n, &back, why), -EBADMSG);
	lnx_buf_done(&file);
	fix_done(&f);
}

static void what_was_signed_by_another_is_refused(void **state)
{
	struct fix f;

	(void)state;
	fix_make(&f);
	f.s.dsse[9] ^= 1;
	expect(&f, "DSSE: not signed by the key of payee_did");
	f.s.dsse[9] ^= 1;
	f.s.eip712[64] = 29;
	expect(&f, "EIP-712: v of the signature is not 27 or 28");
	fix_done(&f);
	fix_prepare(&f);
	f.r.payee[0] ^= 1;
	fix_sign(&f);
	assert_int_equal(look(&f)->n_bad, 1);
	assert_non_null(strstr(look(&f)->bad[0], "and not by the payee"));
	fix_done(&f);
	/* signed for one chain or contract, shown as of another */
	fix_make(&f);
	f.s.r.chain_id++;
	assert_non_null(strstr(look(&f)->bad[0], "and not by the payee"));
	f.s.r.chain_id--;
	f.s.r.settlement[0]++;
	assert_non_null(strstr(look(&f)->bad[0], "and not by the payee"));
	fix_done(&f);
}

static void a_price_that_the_usage_does_not_give_is_found(void **state)
{
	struct u256 one;
	struct fix f;

	(void)state;
	u256_from_u64(1, &one);
	fix_prepare(&f);
	assert_int_equal(u256_add(&f.r.actual_amount, &one, &f.r.actual_amount), 0);
	fix_sign(&f);
	expect(&f, "price: the usage costs 31500, actual_amount is 31501");
	fix_done(&f);
	fix_prepare(&f);
	f.r.usage.cpu_ns += SECOND;
	fix_sign(&f);
	expect(&f, "price: the usage costs 33000, actual_amount is 31500");
	expect(&f, "usage: cpu_ns is 22000000000, the events sum to 21000000000");
	fix_done(&f);
	/* the maximum holds, and is not over it */
	fix_prepare(&f);
	u256_from_u64(1000, &f.r.max_amount);
	f.r.actual_amount = f.r.max_amount;
	fix_sign(&f);
	assert_int_equal(check_code(look(&f)), CHECK_VALID);
	assert_int_equal(u256_add(&f.r.actual_amount, &one, &f.r.actual_amount), 0);
	fix_sign(&f);
	expect(&f, "actual_amount is over max_amount");
	fix_done(&f);
	fix_prepare(&f);
	memset(f.r.unit_price.b, 0xff, 32);
	fix_sign(&f);
	expect(&f, "the price of that usage is over 2^256");
	f.r.price_model = PRICE_FIXED;
	u256_from_u64(77, &f.r.unit_price);
	f.r.actual_amount = f.r.unit_price;
	fix_sign(&f);
	assert_int_equal(check_code(look(&f)), CHECK_VALID);
	fix_done(&f);
}

static void changed_events_are_found(void **state)
{
	size_t line;
	struct fix f;
	char *at;

	(void)state;
	fix_make(&f);
	line = (size_t)(strchr(f.events.data, '\n') - f.events.data) + 1;
	/* a salt: only the root tells */
	f.events.data[0] = f.events.data[0] == '0' ? '1' : '0';
	expect(&f, "events: they have another root");
	assert_int_equal(look(&f)->n_bad, 1);
	fix_done(&f);
	fix_make(&f);
	at = strstr(f.events.data, "\"read_bytes\":\"7\"");
	at[14] = '9';
	expect(&f, "usage: io_read_bytes is 147, the events sum to 149");
	expect(&f, "events: they have another root");
	fix_done(&f);
	/* one removed */
	fix_make(&f);
	memmove(f.events.data, f.events.data + line, f.events.size - line);
	f.events.size -= line;
	expect(&f, "events: number 2 where 1 must come");
	expect(&f, "events: there are 20, the receipt has 21");
	fix_done(&f);
	fix_make(&f);
	f.events.data[40] = '[';
	assert_non_null(strstr(look(&f)->bad[0], "events: line 1:"));
	fix_done(&f);
	fix_prepare(&f);
	f.r.usage.exit_code = 0;
	f.r.end_boot_ns = 1010;
	fix_sign(&f);
	expect(&f, "usage: exit_code is 0, the events say 3");
	expect(&f, "events: number 11 lies outside of the window");
	fix_done(&f);
}

static void gaps_and_windows_must_add_up(void **state)
{
	struct fix f;

	(void)state;
	fix_prepare(&f);
	f.r.dropped = 0;
	fix_sign(&f);
	expect(&f, "gaps: more events are missing than were dropped");
	f.r.dropped = 1;
	f.r.seq_last++;
	fix_sign(&f);
	expect(&f, "events: size, sequence and gaps do not add up");
	f.r.seq_last--;
	f.r.gaps[0] = (struct receipt_gap){ 9, 8 };
	fix_sign(&f);
	expect(&f, "gaps: number 0 is out of order");
	f.r.gaps[0] = (struct receipt_gap){ 0, UINT64_MAX };
	fix_sign(&f);
	expect(&f, "gaps: number 0 is out of order");
	fix_done(&f);
	fix_prepare(&f);
	f.r.end_ns = f.r.start_ns - 1;
	f.r.not_after_ns = 1;
	fix_sign(&f);
	expect(&f, "window: it ends before it begins");
	expect(&f, "window: not_after is before issued_at");
	f.r.end_ns = f.r.issued_ns + 1000 * SECOND;
	fix_sign(&f);
	expect(&f, "window: issued before the end of the work");
	fix_done(&f);
}

static void a_payer_finds_what_verify_finds(void **state)
{
	struct check c = { .n_bad = 0 };
	struct fix f;

	(void)state;
	fix_make(&f);
	check_payload(&c, &f.s, curve);
	assert_int_equal(c.n_bad, 0);
	f.r.dropped = 0;
	fix_sign(&f);
	check_payload(&c, &f.s, curve);
	assert_string_equal(c.bad[0], "gaps: more events are missing than were dropped");
	fix_done(&f);
}

static void expect_chain(const struct fix *f, const struct check_chain *chain, const char *reason)
{
	struct check c = { .n_bad = 0 };

	check_chain(&c, &f->s, chain);
	assert_int_equal(c.n_bad, 1);
	assert_string_equal(c.bad[0], reason);
}

static void what_the_chain_has_otherwise_is_found(void **state)
{
	struct check none = { .n_bad = 0 };
	struct check_chain c;
	struct fix f;

	(void)state;
	fix_make(&f);
	c = chain_of(&f);
	check_chain(&none, &f.s, &c);
	assert_int_equal(check_code(&none), CHECK_VALID);
#define EXPECT(change, reason)                \
	do {                                  \
		c = chain_of(&f);             \
		change;                       \
		expect_chain(&f, &c, reason); \
	} while (0)
	EXPECT(c.chain_id = 1, "chain: this is chain 1, the receipt is for 31337");
	EXPECT(c.settlement[3]++, "chain: the receipt is for another contract");
	EXPECT(c.status = TASK_NONE, "chain: the contract knows no such task");
	EXPECT(c.payer[3]++, "chain: the task has another payer");
	EXPECT(c.token[3]++, "chain: the task is paid in another token");
	EXPECT(c.max_amount.b[31]++, "chain: the task has another maximum");
	EXPECT(c.actual_amount.b[31]++, "chain: another amount was submitted");
	EXPECT(c.receipt_hash[3]++, "chain: another receipt was submitted");
	EXPECT(c.payee[3]++, "chain: the task pays another address");
	EXPECT(c.payee_did[3]++, "chain: the task is for another DID");
	EXPECT(c.is_registered = false, "registry: payee_did is not registered");
	EXPECT(c.is_revoked = true, "registry: payee_did is revoked");
	EXPECT(c.address[3]++, "registry: payee_did has another address");
	EXPECT(c.ed25519[3]++, "registry: payee_did has another Ed25519 key");
	EXPECT(c.is_proof_good = false,
	       "registry: the proof that binds address and Ed25519 key is wrong");
	EXPECT(c.created_s = 300, "window: it begins before the task was created");
	EXPECT(c.submitted_s = 5, "window: it ends after the receipt was submitted");
	EXPECT(c.submitted_s = 9000, "not_after: it was submitted too late");
#undef EXPECT
	c = chain_of(&f);
	c.has_proof = false;
	c.created_s = 0;
	c.submitted_s = 0;
	check_chain(&none, &f.s, &c);
	assert_int_equal(none.n_open, 3);
	assert_int_equal(check_code(&none), CHECK_UNKNOWN);
	/* before it is submitted there is nothing to compare with */
	none = (struct check){ .n_bad = 0 };
	c = chain_of(&f);
	c.status = TASK_CREATED;
	memset(c.receipt_hash, 0, 32);
	memset(c.actual_amount.b, 0, 32);
	c.submitted_s = 0;
	check_chain(&none, &f.s, &c);
	assert_int_equal(check_code(&none), CHECK_VALID);
	fix_done(&f);
}

static void a_payload_with_anything_else_in_it_is_refused(void **state)
{
	static const struct {
		const char *from, *to, *why;
	} changes[] = {
		{ "\"floor\"", "\"round\"", "rounding is not floor" },
		{ "\"cpu_ns\",\"rounding", "\"cpu_nz\",\"rounding",
		  "model is none of the known ones" },
		{ "\"size\":21", "\"size\":-1", "size is not a whole number in its range" },
		{ "\"observed\"", "\"observer\"", "mode is none of the known ones" },
		{ "\"degraded\":true", "\"degraded\":1234", "degraded is not true or false" },
		{ "task:0x02", "task:0x03", "subject and task_id differ" },
		{ "[\"8\",\"8\"]", "[\"8\",\"x\"]", "a gap is not two numbers" },
		{ "\"execs\":\"20\"", "\"execs\":\"-2\"",
		  "execs is not a decimal number below 2^64" },
	};
	char why[RECEIPT_WHY], *copy, *at;
	struct receipt r;
	struct fix f;

	(void)state;
	fix_make(&f);
	copy = calloc(1, f.s.n_payload + 1);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		memcpy(copy, f.s.payload, f.s.n_payload);
		at = strstr(copy, changes[i].from);
		assert_non_null(at);
		memcpy(at, changes[i].to, strlen(changes[i].to));
		assert_int_equal(receipt_read(copy, f.s.n_payload, &r, why), -EBADMSG);
		assert_string_equal(why, changes[i].why);
	}
	free(copy);
	fix_done(&f);
}

static void what_cannot_be_written_is_an_error(void **state)
{
	struct fix f;

	(void)state;
	fix_prepare(&f);
	f.r.size = 1ull << 53;
	assert_int_equal(receipt_sign(&f.r, ed_secret, curve, key, &f.s), -EINVAL);
	f.r.size = 1;
	f.r.price_model = 2;
	assert_int_equal(receipt_sign(&f.r, ed_secret, curve, key, &f.s), -EINVAL);
	f.r.price_model = PRICE_CPU;
	memcpy(f.r.kernel, "\xff", 2);
	assert_int_equal(receipt_sign(&f.r, ed_secret, curve, key, &f.s), -EINVAL);
	memcpy(f.r.kernel, "6", 2);
	f.r.n_gaps = RECEIPT_GAPS + 1;
	assert_int_equal(receipt_sign(&f.r, ed_secret, curve, key, &f.s), -EINVAL);
	fix_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_receipt_is_valid),
		cmocka_unit_test(a_file_comes_back_as_it_was),
		cmocka_unit_test(the_formats_are_those_which_were_released),
		cmocka_unit_test(each_flipped_byte_of_the_file_is_found),
		cmocka_unit_test(what_was_signed_by_another_is_refused),
		cmocka_unit_test(a_price_that_the_usage_does_not_give_is_found),
		cmocka_unit_test(changed_events_are_found),
		cmocka_unit_test(gaps_and_windows_must_add_up),
		cmocka_unit_test(a_payer_finds_what_verify_finds),
		cmocka_unit_test(what_the_chain_has_otherwise_is_found),
		cmocka_unit_test(a_payload_with_anything_else_in_it_is_refused),
		cmocka_unit_test(what_cannot_be_written_is_an_error),
	};

	if (fix_open())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
