/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Each check by itself: what only it finds, and how far it lets things go. */
#include "test_fix.h"

#include <errno.h>

/* Change the good receipt, sign it, and this is among the reasons. */
#define EXPECT(change, reason)      \
	do {                        \
		struct fix f;       \
                                    \
		fix_prepare(&f);    \
		change;             \
		fix_sign(&f);       \
		expect(&f, reason); \
		fix_done(&f);       \
	} while (0)

static void a_payee_is_named_by_its_key(void **state)
{
	(void)state;
	EXPECT(strcpy(f.r.payee_did, "did:web:example.com"),
	       "payee_did is not a did:key of Ed25519");
}

static void gaps_lie_in_order_inside_of_the_sequence(void **state)
{
	(void)state;
	EXPECT((f.r.n_gaps = 2, f.r.dropped = 2, f.r.gaps[1] = f.r.gaps[0]),
	       "gaps: number 1 is out of order");
	EXPECT((f.r.dropped = 2, f.r.gaps[0].first = N_LEAVES + 1, f.r.gaps[0].last = N_LEAVES + 2),
	       "gaps: number 0 is out of order");
	EXPECT(f.r.seq_last = 1ull << 53, "gaps: number 0 is out of order");
	EXPECT(f.r.size = 0, "events: size, sequence and gaps do not add up");
}

static void empty(struct fix *f)
{
	struct merkle none;

	merkle_init(&none, NULL, 0);
	merkle_root(&none, f->r.root);
	f->r.size = f->r.seq_first = f->r.seq_last = f->r.dropped = 0;
	f->r.n_gaps = 0;
	f->r.usage = (struct usage){ .has_stall = true };
	f->r.actual_amount = (struct u256){ .b = { 0 } };
	lnx_buf_reset(&f->events);
}

#define EXPECT_EMPTY(change, reason) EXPECT((empty(&f), change), reason)

static void that_nothing_was_seen_may_be_said(void **state)
{
	struct check c = { .n_bad = 0 };
	struct fix f;

	(void)state;
	fix_prepare(&f);
	empty(&f);
	fix_sign(&f);
	check_receipt(&c, &f.s, curve);
	assert_int_equal(check_code(&c), CHECK_VALID);
	fix_done(&f);
}

static void without_events_nothing_was_used(void **state)
{
	static const char usage[] = "usage: it says what no event bears out: there is none";

	(void)state;
	EXPECT_EMPTY(f.r.root[0] ^= 1,
		     "events: there is none, and the root is not that of an empty tree");
	EXPECT_EMPTY(f.r.usage.cpu_ns = 1, usage);
	EXPECT_EMPTY(f.r.usage.rss_peak_kib = 1, usage);
	EXPECT_EMPTY(f.r.usage.read_bytes = 1, usage);
	EXPECT_EMPTY(f.r.usage.write_bytes = 1, usage);
	EXPECT_EMPTY(f.r.usage.execs = 1, usage);
	EXPECT_EMPTY(f.r.usage.stall_ns = 1, usage);
	EXPECT_EMPTY(f.r.usage.has_net_tx = true, usage);
	EXPECT_EMPTY(f.r.usage.has_exit = true, usage);
}

/* A fixed price is for work, and there is no sign of any. */
static void without_events_nothing_is_paid(void **state)
{
	(void)state;
	EXPECT_EMPTY((f.r.price_model = PRICE_FIXED, f.r.actual_amount = f.r.unit_price),
		     "price: it asks for money, and there is no event that anything ran");
}

static void what_was_lost_is_owned_up_to(void **state)
{
	(void)state;
	EXPECT(f.r.is_degraded = false, "attestation: events were dropped, and degraded is false");
}

static void a_window_goes_forward_by_both_clocks(void **state)
{
	(void)state;
	EXPECT(f.r.end_boot_ns = 999, "window: it ends before it begins");
	EXPECT(f.r.end_ns = f.r.start_ns - 1, "window: it ends before it begins");
	EXPECT(f.r.start_boot_ns = 1010, "events: number 1 lies outside of the window");
	EXPECT(f.r.end_boot_ns = 1010, "events: number 11 lies outside of the window");
}

static void expect_times(uint64_t created_s, uint64_t submitted_s, unsigned n_bad)
{
	struct check c = { .n_bad = 0 };
	struct check_chain chain;
	struct fix f;

	fix_make(&f);
	chain = chain_of(&f);
	chain.created_s = created_s;
	chain.submitted_s = submitted_s;
	check_chain(&c, &f.s, &chain);
	assert_int_equal(c.n_bad, n_bad);
	fix_done(&f);
}

/* The work is from 100 s to 130 s. */
static void clocks_may_differ_by_so_much_and_no_more(void **state)
{
	(void)state;
	expect_times(100 + CHECK_SKEW_S, 140, 0);
	expect_times(100 + CHECK_SKEW_S + 1, 140, 1);
	expect_times(90, 130 - CHECK_SKEW_S, 0);
	expect_times(90, 130 - CHECK_SKEW_S - 1, 1);
}

static void each_sum_is_compared(void **state)
{
	(void)state;
	EXPECT(f.r.usage.cpu_ns++, "usage: cpu_ns is 21000000001, the events sum to 21000000000");
	EXPECT(f.r.usage.rss_peak_kib++, "usage: rss_peak_kib is 221, the events sum to 220");
	EXPECT(f.r.usage.read_bytes++, "usage: io_read_bytes is 148, the events sum to 147");
	EXPECT(f.r.usage.write_bytes++, "usage: io_write_bytes is 1, the events sum to 0");
	EXPECT(f.r.usage.net_tx_bytes++, "usage: net_tx_bytes is 1, the events sum to 0");
	EXPECT(f.r.usage.execs++, "usage: execs is 21, the events sum to 20");
	EXPECT(f.r.usage.stall_ns++, "usage: stall_ns is 1, the events sum to 0");
	EXPECT(f.r.usage.has_net_tx = false, "usage: net_tx_bytes is null, the events sum to 0");
	EXPECT(f.r.usage.has_exit = false, "usage: exit_code is null, and an event says it");
}

/* What is in the tree need not be an event, and what is named as a leaf need not be one. */
static void what_is_opened_is_an_event_and_lies_as_deep_as_the_tree_is(void **state)
{
	static const char json[] = "{\"a\":1}";
	struct opened_leaf leaf = { .n_json = sizeof(json) - 1 };
	struct check c = { .n_bad = 0 };
	struct signed_receipt r = { .r = { .size = 1 } };
	struct merkle m;

	(void)state;
	memcpy(leaf.json, json, sizeof(json));
	leaf_hash(leaf.salt, json, sizeof(json) - 1, r.r.root);
	merkle_init(&m, NULL, 0);
	merkle_add(&m, r.r.root);
	check_leaf(&c, &r, &leaf);
	assert_int_equal(c.n_bad, 1);
	assert_non_null(strstr(c.bad[0], "event: seq"));
	assert_int_equal(merkle_check(&leaf.path, 1, r.r.root, r.r.root), 0);
	assert_int_equal(merkle_check(&leaf.path, 3, r.r.root, r.r.root), -EBADMSG);
}

/* The payload with <from> replaced by <to>. */
static void expect_refused(const char *from, const char *to, const char *want)
{
	char text[8192], why[RECEIPT_WHY] = "";
	struct receipt r;
	const char *at;
	struct fix f;
	int n;

	fix_make(&f);
	at = memmem(f.s.payload, f.s.n_payload, from, strlen(from));
	assert_non_null(at);
	n = snprintf(text, sizeof(text), "%.*s%s%.*s", (int)(at - (char *)f.s.payload),
		     (char *)f.s.payload, to,
		     (int)((char *)f.s.payload + f.s.n_payload - at - strlen(from)),
		     at + strlen(from));
	assert_true(n > 0 && n < (int)sizeof(text));
	assert_int_equal(receipt_read(text, (size_t)n, &r, why), -EBADMSG);
	assert_string_equal(why, want);
	fix_done(&f);
}

static void a_payload_says_what_it_is_and_nothing_else(void **state)
{
	(void)state;
	expect_refused("Statement/v1", "Statement/v2",
		       "_type is not https://in-toto.io/Statement/v1");
	expect_refused("receipt/v1", "receipt/v2", "predicateType is not " RECEIPT_PREDICATE);
	expect_refused("sha256-rfc9162", "sha256-rfc6962", "alg is not sha256-rfc9162");
	expect_refused(
		",\"predicate\":", ",\"a\":1,\"predicate\":", "the payload has not four members");
	expect_refused("{\"model\":", "{\"a\":1,\"model\":", "price is not an object of 3 members");
	expect_refused("\"size\":21", "\"size\":021", "payload: line 1: invalid token near '0'");
	expect_refused("\"size\":21", "\"size\": 21", "payload: not in canonical form (RFC 8785)");
	expect_refused("\"size\":21", "\"size\":21,\"size\":21",
		       "payload: line 1: duplicate object key near '\"size\"'");
	expect_refused("\"token\":\"0x04", "\"token\":\"0x0400", "token is not an address");
}

/* Of two signatures only one could be looked at. */
static void an_envelope_has_one_signature(void **state)
{
	struct lnx_buf file = { 0 };
	struct signed_receipt back;
	char text[16384], why[RECEIPT_WHY];
	const char *at;
	struct fix f;

	(void)state;
	fix_make(&f);
	signed_receipt_write(&file, &f.s);
	at = strstr(file.data, "[{\"keyid\"");
	assert_non_null(at);
	(void)snprintf(text, sizeof(text), "%.*s,%s", (int)(strlen(file.data) - 3), file.data,
		       at + 1); /* fits */
	assert_int_equal(signed_receipt_read(text, strlen(text), &back, why), -EBADMSG);
	assert_string_equal(why, "signatures is not one Ed25519 signature with its keyid");
	lnx_buf_done(&file);
	fix_done(&f);
}

/* An address is written in one way: with its checksum. */
static void an_address_in_small_letters_is_refused(void **state)
{
	char text[ADDRESS_TEXT], small[ADDRESS_TEXT];
	struct fix f;

	(void)state;
	fix_make(&f);
	address_format(f.r.payee, text);
	for (size_t i = 0; i < sizeof(text); i++)
		small[i] = (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] + 32 : text[i]);
	assert_string_not_equal(text, small);
	expect_refused(text, small, "payee is not written with its checksum");
	fix_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_payee_is_named_by_its_key),
		cmocka_unit_test(gaps_lie_in_order_inside_of_the_sequence),
		cmocka_unit_test(that_nothing_was_seen_may_be_said),
		cmocka_unit_test(without_events_nothing_was_used),
		cmocka_unit_test(without_events_nothing_is_paid),
		cmocka_unit_test(what_was_lost_is_owned_up_to),
		cmocka_unit_test(a_window_goes_forward_by_both_clocks),
		cmocka_unit_test(clocks_may_differ_by_so_much_and_no_more),
		cmocka_unit_test(each_sum_is_compared),
		cmocka_unit_test(a_payload_says_what_it_is_and_nothing_else),
		cmocka_unit_test(an_envelope_has_one_signature),
		cmocka_unit_test(an_address_in_small_letters_is_refused),
		cmocka_unit_test(what_is_opened_is_an_event_and_lies_as_deep_as_the_tree_is),
	};

	if (fix_open())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
