/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The evidence of memory: the pages of a culprit are told once, however many of a row it held up. */
#include "test_res.h"

/* "allocated_pages" of the only part that has any. */
static unsigned long pages(const char *json)
{
	const char *at = strstr(json, "\"allocated_pages\":");

	if (!at || strstr(at + 1, "\"allocated_pages\":"))
		fail_msg("not one part with pages: %s", json);
	return strtoul(at + 18, NULL, 10);
}

static char *memory_of(struct test *f, uint32_t by, uint64_t seconds, const char *victim)
{
	return blame_of(f, LNX_RES_MEMORY, by, f->boot - seconds * SEC, victim);
}

/* A cgroup of its own inside a container waited, too. */
static void two_gates_of_a_container_met_one_culprit(void **state)
{
	struct test *f = *state;
	struct tree t;
	char *json;

	rise(f);
	make_tree(f, &t, "99857600\n");
	waited(f, "mem", 100, 200);
	waited(f, "mem", 200, 100);
	allocated(f, 101, 300);
	tick(f);
	json = memory_of(f, STALL_BY_CONTAINER, 1, "/t/poduid/a");
	check_json_sums(json);
	assert_int_equal(pages(json), 300);
	assert_non_null(strstr(json, "\"limit\":\"memory.limit_in_bytes 104857600\","
				     "\"owner\":\"/t/poduid\",\"allocated_pages\":300,"
				     "\"stall_ms\":300,"));
	free(json);
	drop_tree(&t);
}

/* Two pods of a workload waited below a limit above both, first one and then both. */
static void pods_of_a_workload_met_one_culprit(void **state)
{
	struct test *f = *state;
	char path[128], *json;
	struct tree t;

	rise(f);
	make_tree(f, &t, "0\n");
	(void)snprintf(path, sizeof(path), "%s/t", t.dir);
	write_file(path, "memory.usage_in_bytes", "99857600\n");
	write_file(path, "memory.limit_in_bytes", "104857600\n");
	waited(f, "mem", 102, 200);
	waited(f, "mem", 103, 100);
	allocated(f, 106, 300);
	tick(f);
	json = memory_of(f, STALL_BY_WORKLOAD, 1, "prod/twins");
	check_json_sums(json);
	assert_int_equal(pages(json), 300);
	free(json);
	/* Another window adds what was allocated in it, also where only one of them waited. */
	waited(f, "mem", 103, 150);
	allocated(f, 106, 350);
	tick(f);
	json = memory_of(f, STALL_BY_WORKLOAD, 2, "prod/twins");
	check_json_sums(json);
	assert_int_equal(pages(json), 350);
	free(json);
	json = memory_of(f, STALL_BY_CONTAINER, 2, "/t/podc/c");
	assert_int_equal(pages(json), 300);
	free(json);
	/* Two containers of the culprit allocated apart: both count. */
	waited(f, "mem", 103, 400);
	allocated(f, 104, 40);
	allocated(f, 106, 360);
	tick(f);
	json = memory_of(f, STALL_BY_WORKLOAD, 1, "prod/twins");
	assert_int_equal(pages(json), 50);
	free(json);
	drop_tree(&t);
}

/* Of ten windows in one, rows tell what was allocated while each of them waited: the most of them is nearest. */
static void of_different_sums_the_larger_counts(void **state)
{
	struct test *f = *state;
	uint64_t most[] = { 250, 300 };
	struct stall_sum sum = { .levels = &f->s->levels };
	uint32_t c, d, g;

	tick(f);
	c = stall_who_find(&f->s->whos, 102);
	d = stall_who_find(&f->s->whos, 103);
	g = stall_who_find(&f->s->whos, 106);
	stall_level_make(&f->s->whos, STALL_BY_WORKLOAD, &f->s->levels);
	for (uint32_t i = 0; i < 2; i++) {
		const struct stall_cell cells[] = { { .culprit = g,
						      .kind = LNX_STALL_NEIGHBOUR,
						      .stall_ns = 9,
						      .amount = i ? 50 : 100 },
						    { .culprit = g,
						      .kind = LNX_STALL_NEIGHBOUR,
						      .stall_ns = 9,
						      .amount = i ? 50 : 250 } };
		const struct stall_row rows[] = {
			{ .who = c, .resource = LNX_RES_MEMORY, .first = 0, .n = 1 },
			{ .who = d, .resource = LNX_RES_MEMORY, .first = 1, .n = 1 }
		};
		const struct stall_win w = {
			.n_rows = 2, .n_cells = 2, .rows = rows, .cells = cells
		};

		assert_int_equal(stall_sum_add(&sum, &w), 0);
		assert_int_equal(sum.n_cells, 1);
		assert_int_equal(sum.cells[0].c.amount, most[i]);
	}
	stall_sum_done(&sum);
}

#define RES_TEST(f) cmocka_unit_test_setup_teardown(f, setup_res, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RES_TEST(two_gates_of_a_container_met_one_culprit),
		RES_TEST(pods_of_a_workload_met_one_culprit),
		TEST(of_different_sums_the_larger_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
