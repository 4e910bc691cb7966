/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* History: nothing is lost or counted twice on the way from windows to sums, and memory stays bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store.h"
#include "who.h"

#define SEC   1000000000ULL
#define ROWS  8
#define CELLS 6

/* A window with its arrays; figures from a small generator, so that a failure can be repeated. */
struct sample {
	struct stall_win w;
	struct stall_row rows[ROWS];
	struct stall_cell cells[ROWS * CELLS];
	struct stall_task task;
};

static uint32_t next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*seed >> 33);
}

static void make(struct sample *m, uint64_t *seed, uint64_t from_ns, uint64_t to_ns)
{
	uint32_t n = 0;

	memset(m, 0, sizeof(*m));
	m->w.from_ns = from_ns;
	m->w.to_ns = to_ns;
	m->w.n_rows = 1 + next(seed) % ROWS;
	for (uint32_t i = 0; i < m->w.n_rows; i++) {
		struct stall_row *r = &m->rows[i];

		r->who = STALL_WHO_FIRST + i;
		r->method = LNX_METHOD_EXACT;
		r->psi_ns = next(seed) % 3 ? next(seed) : STALL_UNKNOWN;
		r->full_ns = STALL_UNKNOWN;
		r->first = n;
		r->n = next(seed) % CELLS;
		for (uint32_t c = 0; c < r->n; c++, n++) {
			struct stall_cell *x = &m->cells[n];

			x->kind = (uint8_t)(next(seed) % LNX_STALL_KINDS);
			x->culprit = x->kind == LNX_STALL_NEIGHBOUR || x->kind == LNX_STALL_SIBLING
					     ? STALL_WHO_FIRST + next(seed) % ROWS
					     : STALL_WHO_NONE;
			x->stall_ns = next(seed) % SEC;
			x->raw_ns = x->stall_ns + next(seed) % 1000;
			r->stalled_ns += x->stall_ns;
			r->raw_ns += x->raw_ns;
		}
	}
	m->task = (struct stall_task){
		.pid = 7, .who = STALL_WHO_FIRST, .node_ns = 5, .caused_ns = 3
	};
	m->w.n_cells = n;
	m->w.n_tasks = 1;
	m->w.rows = m->rows;
	m->w.cells = m->cells;
	m->w.tasks = &m->task;
}

static uint64_t total(const struct stall_win *w)
{
	uint64_t ns = 0;

	for (uint32_t i = 0; i < w->n_rows; i++)
		ns += w->rows[i].stalled_ns;
	return ns;
}

static int add(void *sum, const struct stall_win *w)
{
	return stall_sum_add(sum, w);
}

/* Every row is the sum of its cells; returns the sum of all. */
static uint64_t check_rows(const struct stall_sum *s)
{
	uint64_t all = 0;

	for (uint32_t i = 0; i < s->n_rows; i++) {
		uint64_t stall = 0, raw = 0;

		for (uint32_t c = s->rows[i].head; c; c = s->cells[c - 1].next) {
			stall += s->cells[c - 1].c.stall_ns;
			raw += s->cells[c - 1].c.raw_ns;
		}
		assert_int_equal(stall, s->rows[i].r.stalled_ns);
		assert_int_equal(raw, s->rows[i].r.raw_ns);
		all += stall;
	}
	return all;
}

/* 70 s, beyond several compactions: any span gives what its windows had, at any level. */
static void parts_sum_over_any_span_and_level(void **state)
{
	static struct stall_store st;
	static struct stall_levels levels;
	uint64_t seed = 42, want[70];
	static struct sample m;

	(void)state;
	memset(&st, 0, sizeof(st));
	st.max_bytes = 64u << 20;
	for (uint32_t i = 0; i < 70; i++) {
		make(&m, &seed, (100 + i) * SEC, (101 + i) * SEC);
		want[i] = total(&m.w);
		assert_int_equal(stall_store_add(&st, &m.w), 0);
	}
	levels.by = 2;
	for (uint32_t i = 0; i < STALL_WHO_MAX; i++)
		levels.of[i] = levels.pod[i] =
			(uint16_t)(i >= STALL_WHO_FIRST
					   ? STALL_WHO_FIRST + (i - STALL_WHO_FIRST) % 3
					   : i);
	for (uint32_t round = 0; round < 200; round++) {
		uint32_t a = next(&seed) % 70, b = next(&seed) % 70, from = a < b ? a : b,
			 to = a < b ? b : a;
		struct stall_sum sum = { .levels = round % 2 ? &levels : NULL };
		uint64_t ns = 0;

		for (uint32_t i = from; i <= to; i++)
			ns += want[i];
		assert_int_equal(
			stall_store_each(&st, (100 + from) * SEC, (101 + to) * SEC, add, &sum), 0);
		assert_int_equal(check_rows(&sum), ns);
		assert_int_equal(sum.n_windows, to - from + 1);
		assert_int_equal(sum.from_ns, (100 + from) * SEC);
		assert_int_equal(sum.to_ns, (101 + to) * SEC);
		assert_int_equal(sum.tasks[0].caused_ns, 3 * sum.n_windows);
		stall_sum_done(&sum);
	}
	stall_store_done(&st);
}

/* After 20 minutes the old part comes from coarse windows; nothing is there twice. */
static void coarse_windows_take_over_without_overlap(void **state)
{
	static struct stall_store st;
	static struct sample m;
	uint64_t seed = 7, all = 0;
	struct stall_sum sum = { 0 };

	(void)state;
	memset(&st, 0, sizeof(st));
	st.max_bytes = 64u << 20;
	for (uint32_t i = 0; i < 1200; i++) {
		make(&m, &seed, (100 + i) * SEC, (101 + i) * SEC);
		all += total(&m.w);
		assert_int_equal(stall_store_add(&st, &m.w), 0);
	}
	assert_int_equal(st.fine.n, STALL_FINE_MAX);
	assert_int_equal(stall_store_each(&st, 0, 2000 * SEC, add, &sum), 0);
	assert_int_equal(check_rows(&sum), all);
	assert_int_equal(sum.from_ns, 100 * SEC);
	assert_int_equal(sum.to_ns, 1300 * SEC);
	assert_int_equal(stall_store_oldest(&st), 100 * SEC);
	assert_int_equal(st.evicted, 0);
	stall_sum_done(&sum);
	stall_store_done(&st);
	assert_int_equal(st.bytes, 0);
}

static void too_much_memory_drops_the_oldest_and_counts(void **state)
{
	static struct stall_store st;
	static struct sample m;
	uint64_t seed = 9;

	(void)state;
	memset(&st, 0, sizeof(st));
	st.max_bytes = 20000;
	for (uint32_t i = 0; i < 100; i++) {
		make(&m, &seed, (100 + i) * SEC, (101 + i) * SEC);
		assert_int_equal(stall_store_add(&st, &m.w), 0);
		assert_true(st.bytes <= st.max_bytes);
	}
	assert_true(st.evicted > 0);
	assert_true(stall_store_oldest(&st) > 100 * SEC);
	stall_store_done(&st);
}

/* One window of pressure alone makes the sum no better than that. */
static void method_is_the_weakest_of_the_windows(void **state)
{
	struct stall_row row = { .who = STALL_WHO_FIRST,
				 .method = LNX_METHOD_EXACT,
				 .psi_ns = 5,
				 .full_ns = STALL_UNKNOWN };
	struct stall_win w = { .from_ns = 1, .to_ns = 2, .n_rows = 1, .rows = &row };
	struct stall_sum sum = { 0 };

	(void)state;
	assert_int_equal(stall_sum_add(&sum, &w), 0);
	assert_int_equal(sum.rows[0].r.method, LNX_METHOD_EXACT);
	row.method = LNX_METHOD_PSI_ONLY;
	assert_int_equal(stall_sum_add(&sum, &w), 0);
	row.method = LNX_METHOD_EXACT;
	row.psi_ns = STALL_UNKNOWN;
	assert_int_equal(stall_sum_add(&sum, &w), 0);
	assert_int_equal(sum.rows[0].r.method, LNX_METHOD_PSI_ONLY);
	assert_int_equal(sum.rows[0].r.psi_ns, 10);
	assert_false(sum.rows[0].r.flags & STALL_F_PSI_PART); /* too little to be read */
	row.stalled_ns = 2000000;
	assert_int_equal(stall_sum_add(&sum, &w), 0);
	assert_true(sum.rows[0].r.flags & STALL_F_PSI_PART);
	stall_sum_done(&sum);
}

/* The probes of I/O and memory come as pressure rises: the answer has their method, and says that it is not of all of it. */
static void a_probe_that_came_late_is_said(void **state)
{
	struct stall_row row = { .who = STALL_WHO_FIRST,
				 .resource = LNX_RES_IO,
				 .method = LNX_METHOD_PSI_ONLY,
				 .psi_ns = 5,
				 .full_ns = STALL_UNKNOWN };
	struct stall_win w = { .from_ns = 1, .to_ns = 2, .n_rows = 1, .rows = &row };
	struct stall_sum sum = { 0 };

	(void)state;
	assert_int_equal(stall_sum_add(&sum, &w), 0);
	row.method = LNX_METHOD_MODEL;
	assert_int_equal(stall_sum_add(&sum, &w), 0);
	assert_int_equal(sum.rows[0].r.method, LNX_METHOD_MODEL);
	assert_true(sum.rows[0].r.flags & STALL_F_ATTACHED);
	row.method = LNX_METHOD_PSI_ONLY;
	assert_int_equal(stall_sum_add(&sum, &w), 0);
	assert_int_equal(sum.rows[0].r.method, LNX_METHOD_MODEL);
	stall_sum_done(&sum);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_sum_over_any_span_and_level),
		cmocka_unit_test(coarse_windows_take_over_without_overlap),
		cmocka_unit_test(too_much_memory_drops_the_oldest_and_counts),
		cmocka_unit_test(method_is_the_weakest_of_the_windows),
		cmocka_unit_test(a_probe_that_came_late_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
