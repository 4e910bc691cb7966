/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Whose memory a victim waited for: the limit that was met on the way up, or the machine. Over a tree of files. */
#include "scope.h"

#include "test_fixture.h"
#include "test_res.h"

#define QUIET "nr_free_pages 1\npgscan_kswapd 5\nallocstall_normal 7\n"

static struct stall_scope *scope_of(struct test *f)
{
	return &f->s->res->scope;
}

/* In pod "uid", <used> of 100 MiB by files of v2. */
static void make_v2(struct test *f, struct tree *t, const char *file, const char *used)
{
	char path[256];

	make_tree(f, t, "1\n");
	f->s->whos.is_mem_v1 = 0;
	(void)snprintf(path, sizeof(path), "%s/t/poduid", t->dir);
	write_file(path, "memory.current", used);
	write_file(path, "memory.max", "max\n");
	write_file(path, file, "104857600\n");
	stall_scope_begin(scope_of(f), QUIET, f->mono);
}

static void files_of_v2_are_read(void **state)
{
	static const char *const files[] = { "memory.max", "memory.high" };
	struct test *f = *state;
	char text[64];
	struct tree t;

	for (int i = 0; i < 2; i++) {
		uint16_t limit;
		int level;

		make_v2(f, &t, files[i], "99857600\n");
		level = stall_scope_contended(scope_of(f), 100);
		assert_true(level >= 0);
		limit = stall_scope_limit(scope_of(f), 100);
		(void)snprintf(text, sizeof(text), "%s 104857600", files[i]);
		assert_string_equal(f->s->whos.limits[limit].text, text);
		assert_string_equal(f->s->whos.limits[limit].owner, "/t/poduid");
		assert_true(stall_scope_is_below(scope_of(f), 101, level));
		assert_false(stall_scope_is_below(scope_of(f), 102, level));
		drop_tree(&t);
	}
}

/* From nine tenths on. */
static void a_limit_counts_where_it_is_nearly_used_up(void **state)
{
	struct test *f = *state;
	struct tree t;

	make_v2(f, &t, "memory.max", "94371300\n");
	assert_true(stall_scope_contended(scope_of(f), 100) >= 0);
	drop_tree(&t);
	make_v2(f, &t, "memory.max", "94371200\n");
	assert_int_equal(stall_scope_contended(scope_of(f), 100), -ENOENT);
	drop_tree(&t);
}

static void a_window_knows_nothing_of_the_one_before(void **state)
{
	struct test *f = *state;
	struct tree t;

	make_v2(f, &t, "memory.max", "99857600\n");
	for (int i = 0; i < 2 * STALL_SCOPE_VICTIMS; i++) {
		stall_scope_begin(scope_of(f), QUIET, f->mono);
		assert_int_equal(stall_scope_limit(scope_of(f), 100), 0);
		assert_int_equal(stall_scope_contended(scope_of(f), 100), 0);
		assert_int_not_equal(stall_scope_limit(scope_of(f), 100), 0);
	}
	drop_tree(&t);
}

/* Whoever looked for pages, in any zone, did so for want of memory of the machine. */
static void the_machine_is_short_when_any_of_its_counters_rose(void **state)
{
	static const char *const rose[] = {
		"nr_free_pages 1\npgscan_kswapd 6\nallocstall_normal 7\n",
		"nr_free_pages 1\npgscan_kswapd 6\nallocstall_normal 8\n",
		"nr_free_pages 1\npgscan_kswapd 6\nallocstall_normal 8\nallocstall_dma 1\n",
	};
	struct test *f = *state;

	stall_scope_begin(scope_of(f), QUIET, f->mono);
	for (size_t i = 0; i < sizeof(rose) / sizeof(rose[0]); i++) {
		int level;

		stall_scope_begin(scope_of(f), rose[i], f->mono);
		level = stall_scope_contended(scope_of(f), 100);
		assert_true(level >= 0);
		assert_int_equal(stall_scope_limit(scope_of(f), 100), 0);
		assert_true(stall_scope_is_below(scope_of(f), 102, level));
	}
	stall_scope_begin(scope_of(f), rose[2], f->mono);
	assert_int_equal(stall_scope_contended(scope_of(f), 100), -ENOENT);
}

#define RES_TEST(f) cmocka_unit_test_setup_teardown(f, setup_res, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RES_TEST(files_of_v2_are_read),
		RES_TEST(a_limit_counts_where_it_is_nearly_used_up),
		RES_TEST(a_window_knows_nothing_of_the_one_before),
		RES_TEST(the_machine_is_short_when_any_of_its_counters_rose),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
