/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Events that were opened: in the tree and no others in their place, all that a block chose, and what figures say that are not known. */
#include "test_vectors.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

#include "challenge.h"

#define N_LEAVES 21

static const uint8_t task_secret[LEAF_SECRET] = { 3 };

struct fix {
	struct signed_receipt s;
	struct lnx_buf events;
};

/* As an agent makes them today: net_tx_bytes is not known, and is not there. */
static void fix_make(struct fix *f)
{
	uint8_t salt[LEAF_SALT], hash[32];
	struct lnx_buf json = { 0 };
	struct merkle m;

	memset(f, 0, sizeof(*f));
	merkle_init(&m, NULL, 0);
	for (uint64_t seq = 1; seq <= N_LEAVES; seq++) {
		struct leaf l = { .type = "proc.exec", .comm = "work", .seq = seq, .cpu_ns = seq };

		leaf_set_args(&l, LEAF_ARGS_FULL, "work hard", 9, false);
		lnx_buf_reset(&json);
		leaf_write(&json, &l);
		leaf_salt(task_secret, m.n, salt);
		leaf_hash(salt, json.data, json.size, hash);
		merkle_add(&m, hash);
		leaf_put_line(&f->events, salt, json.data, json.size);
		usage_add(&f->s.r.usage, &l);
	}
	merkle_root(&m, f->s.r.root);
	f->s.r.size = m.n;
	f->s.r.seq_first = 1;
	f->s.r.seq_last = m.n;
	lnx_buf_done(&json);
}

static void fix_done(struct fix *f)
{
	lnx_buf_done(&f->events);
}

static int find(struct fix *f, struct opened_leaf *leaves, unsigned n)
{
	FILE *events = fmemopen(f->events.data, f->events.size, "r");
	int rc;

	assert_non_null(events);
	rc = opened_leaves_find(events, leaves, n);
	(void)fclose(events);
	return rc;
}

static void an_event_can_be_opened_and_no_other_in_its_place(void **state)
{
	struct opened_leaf leaf, back;
	struct lnx_buf text = { 0 };
	char why[RECEIPT_WHY];
	struct check c;
	struct fix f;

	(void)state;
	fix_make(&f);
	for (uint64_t i = 0; i < N_LEAVES; i++) {
		leaf = (struct opened_leaf){ .path = { .index = i } };
		assert_int_equal(find(&f, &leaf, 1), 0);
		lnx_buf_reset(&text);
		opened_leaf_write(&text, &leaf);
		assert_int_equal(opened_leaf_read(text.data, text.size, &back, why), 0);
		c = (struct check){ .n_bad = 0 };
		check_leaf(&c, &f.s, &back);
		assert_int_equal(check_code(&c), CHECK_VALID);
		back.path.index = (i + 1) % N_LEAVES;
		check_leaf(&c, &f.s, &back);
		assert_int_equal(c.n_bad, 1);
		back.path.index = i;
		back.salt[0] ^= 1;
		check_leaf(&c, &f.s, &back);
		assert_int_equal(c.n_bad, 2);
		back.salt[0] ^= 1;
		back.json[back.n_json - 3] = '9';
		check_leaf(&c, &f.s, &back);
		assert_int_equal(c.n_bad, 3);
		for (size_t n = 0; n + 2 < text.size; n += 11)
			assert_int_equal(opened_leaf_read(text.data, n, &back, why), -EBADMSG);
	}
	lnx_buf_done(&text);
	fix_done(&f);
}

/* One event, number 3, in each place. */
static void same_everywhere(struct fix *f)
{
	struct leaf l = { .type = "proc.exec", .comm = "work", .seq = 3, .cpu_ns = 3 };
	uint8_t salt[LEAF_SALT] = { 1 }, hash[32];
	struct lnx_buf json = { 0 };
	struct merkle m;

	leaf_write(&json, &l);
	leaf_hash(salt, json.data, json.size, hash);
	lnx_buf_reset(&f->events);
	merkle_init(&m, NULL, 0);
	for (unsigned i = 0; i < N_LEAVES; i++) {
		merkle_add(&m, hash);
		leaf_put_line(&f->events, salt, json.data, json.size);
	}
	merkle_root(&m, f->s.r.root);
	lnx_buf_done(&json);
}

/* The event at <index> opened: this is the only reason, or none. */
static void expect_opened(struct fix *f, uint64_t index, const char *reason)
{
	struct opened_leaf leaf = { .path = { .index = index } };
	struct check c = { .n_bad = 0 };

	assert_int_equal(find(f, &leaf, 1), 0);
	check_leaf(&c, &f->s, &leaf);
	assert_int_equal(c.n_bad, reason != NULL);
	if (reason)
		assert_string_equal(c.bad[0], reason);
}

/* It is in the tree, and yet it cannot be an event of this receipt. */
static void an_event_of_another_place_or_time_or_with_too_much_is_named(void **state)
{
	struct receipt *r;
	struct fix f;

	(void)state;
	fix_make(&f);
	r = &f.s.r;
	expect_opened(&f, 20, NULL);
	r->n_gaps = 2;
	r->gaps[0] = (struct receipt_gap){ 5, 5 };
	r->gaps[1] = (struct receipt_gap){ 8, 10 };
	expect_opened(&f, 3, NULL);
	expect_opened(&f, 4, "event: number 4 has the sequence number 5 where 6 must be");
	expect_opened(&f, 5, "event: number 5 has the sequence number 6 where 7 must be");
	expect_opened(&f, 6, "event: number 6 has the sequence number 7 where 11 must be");
	r->n_gaps = 0;
	r->start_boot_ns = r->end_boot_ns = 1; /* theirs is 0 */
	expect_opened(&f, 7, "event: number 7 lies outside of the window");
	r->start_boot_ns = 0;
	r->usage.cpu_ns = 20;
	expect_opened(&f, 19, NULL);
	expect_opened(&f, 20, "event: number 20 has cpu_ns 21, the whole usage 20");
	r->usage.cpu_ns = 231;
	same_everywhere(&f);
	expect_opened(&f, 2, NULL);
	expect_opened(&f, 0, "event: number 0 has the sequence number 3 where 1 must be");
	expect_opened(&f, 17, "event: number 17 has the sequence number 3 where 18 must be");
	fix_done(&f);
}

static void many_are_opened_in_one_pass(void **state)
{
	static struct opened_leaf leaves[OPENED_MAX], one;
	struct check c = { .n_bad = 0 };
	struct fix f;

	(void)state;
	fix_make(&f);
	memset(leaves, 0, sizeof(leaves));
	for (unsigned i = 0; i < OPENED_MAX; i++)
		leaves[i].path.index = (7 * i) % N_LEAVES;
	assert_int_equal(find(&f, leaves, OPENED_MAX), 0);
	for (unsigned i = 0; i < OPENED_MAX; i++) {
		one = (struct opened_leaf){ .path = { .index = leaves[i].path.index } };
		assert_int_equal(find(&f, &one, 1), 0);
		assert_memory_equal(&one, &leaves[i], sizeof(one));
		check_leaf(&c, &f.s, &leaves[i]);
	}
	assert_int_equal(c.n_bad, 0);
	memset(leaves, 0, sizeof(leaves));
	leaves[1].path.index = N_LEAVES;
	assert_int_equal(find(&f, leaves, 2), -ENOENT);
	f.events.data[40] = 0;
	f.events.data[3] = 'x';
	assert_int_equal(find(&f, leaves, 1), -EBADMSG);
	fix_done(&f);
}

static void a_block_chooses_as_ethers_counts(void **state)
{
	json_t *all = vectors(), *list = json_object_get(all, "challenge"), *v, *want;
	struct challenge ch;
	uint8_t task[32];
	size_t i, j;

	(void)state;
	assert_true(json_array_size(list) >= 8);
	json_array_foreach(list, i, v)
	{
		struct u256 n;
		uint64_t size, index;

		bytes_of(v, "block_hash", ch.block_hash, 32);
		bytes_of(v, "task_id", task, 32);
		assert_int_equal(u256_parse(text_of(v, "size"), &n), 0);
		assert_int_equal(u256_to_u64(&n, &size), 0);
		challenge_derive(&ch, task, size, OPENED_MAX);
		assert_int_equal(ch.n, json_array_size(json_object_get(v, "indexes")));
		json_array_foreach(json_object_get(v, "indexes"), j, want)
		{
			assert_int_equal(u256_parse(json_string_value(want), &n), 0);
			assert_int_equal(u256_to_u64(&n, &index), 0);
			assert_true(ch.indexes[j] == index);
		}
		/* fewer are the first of them */
		index = ch.indexes[0];
		challenge_derive(&ch, task, size, 1);
		assert_int_equal(ch.n, 1);
		assert_true(ch.indexes[0] == index);
	}
	json_decref(all);
}

static void what_was_not_opened_is_named(void **state)
{
	struct challenge ch = { .n = 3, .indexes = { 5, 0, 17 }, .block = 9 };
	static struct opened_leaf leaves[4];
	struct check c = { .n_bad = 0 };

	(void)state;
	memset(leaves, 0, sizeof(leaves));
	leaves[0].path.index = 17;
	leaves[1].path.index = 2;
	leaves[2].path.index = 5;
	check_challenge(&c, &ch, leaves, 4);
	assert_int_equal(c.n_bad, 0);
	assert_string_equal(c.done[0], "challenge: 3 events that block 9 chose");
	check_challenge(&c, &ch, leaves, 2);
	assert_int_equal(c.n_bad, 2);
	assert_string_equal(c.bad[0], "challenge: event 5 was not opened");
	assert_string_equal(c.bad[1], "challenge: event 0 was not opened");
}

static void expect_events(struct fix *f, const char *reason)
{
	FILE *events = fmemopen(f->events.data, f->events.size, "r");
	struct check c = { .n_bad = 0 };

	assert_non_null(events);
	check_events(&c, &f->s, events);
	(void)fclose(events);
	assert_int_equal(c.n_bad, reason != NULL);
	if (reason)
		assert_string_equal(c.bad[0], reason);
}

/* What nobody measured is null, in the receipt and in its events; a number for it is a claim that nothing bears out. */
static void a_figure_that_is_not_known_is_null(void **state)
{
	struct usage *u;
	struct lnx_buf out = { 0 };
	char why[RECEIPT_WHY];
	struct receipt back;
	struct fix f;

	(void)state;
	fix_make(&f);
	u = &f.s.r.usage;
	f.s.r.end_boot_ns = 1;
	expect_events(&f, NULL);
	f.s.r.chain_id = 1;
	assert_int_equal(receipt_write(&out, &f.s.r), 0);
	assert_non_null(strstr(out.data, "\"net_tx_bytes\":null"));
	assert_non_null(strstr(out.data, "\"stall_ns\":null"));
	assert_non_null(strstr(out.data, "\"exit_code\":null"));
	assert_int_equal(receipt_read(out.data, out.size, &back, why), 0);
	assert_memory_equal(&back.usage, u, sizeof(*u));
	*strstr(out.data, "\"stall_ns\":null") = '?';
	assert_int_equal(receipt_read(out.data, out.size, &back, why), -EBADMSG);
	lnx_buf_done(&out);
	u->has_net_tx = true;
	expect_events(&f, "usage: net_tx_bytes is 0, and the events do not tell it");
	u->has_net_tx = false;
	u->has_exit = true;
	expect_events(&f, "usage: exit_code is told, and no event says it");
	u->has_exit = false;
	u->has_stall = true; /* no window with a stall: 0 is known */
	expect_events(&f, NULL);
	u->stall_ns = 1;
	expect_events(&f, "usage: stall_ns is 1, the events sum to 0");
	fix_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_can_be_opened_and_no_other_in_its_place),
		cmocka_unit_test(an_event_of_another_place_or_time_or_with_too_much_is_named),
		cmocka_unit_test(many_are_opened_in_one_pass),
		cmocka_unit_test(a_block_chooses_as_ethers_counts),
		cmocka_unit_test(what_was_not_opened_is_named),
		cmocka_unit_test(a_figure_that_is_not_known_is_null),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
