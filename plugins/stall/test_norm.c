/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the CPU ledger saw, against the kernel's pressure of the same cgroup: never above it, how far they agree, and what
 * one window may owe the next. */
#include "test_fixture.h"
#include "test_psi.h"

/* The ledger of two containers of different pods over files of pressure, <a_ms> and <c_ms> since ever. */
struct norm {
	struct test *f;
	char *dir;
	uint32_t a, c;
	uint64_t a_ms, c_ms;
};

static void norm_open(struct norm *n, struct test *f)
{
	*n = (struct norm){ .f = f, .dir = make_pressure(f), .a_ms = 1000, .c_ms = 5000 };
	pressure_is(n->dir, "/t/poduid/a", "cpu", n->a_ms);
	pressure_is(n->dir, "/t/podc/c", "cpu", n->c_ms);
	n->a = slot_for(f, 100);
	n->c = slot_for(f, 102);
	begin(f);
}

/* A window in which <a> waits for <c> and itself, and its pressure rises. */
static const struct stall_row *window(struct norm *n, uint64_t for_c_ms, uint64_t self_ms,
				      uint64_t psi_ms)
{
	n->a_ms += psi_ms;
	pressure_is(n->dir, "/t/poduid/a", "cpu", n->a_ms);
	charge(n->f, 1, n->a, n->c, for_c_ms * MS);
	if (self_ms)
		charge(n->f, 1, n->a, n->a, self_ms * MS);
	tick(n->f);
	return row_of(n->f, 100);
}

static uint64_t part_of(struct norm *n, const struct stall_row *r, uint32_t kind)
{
	for (uint32_t i = r->first; i < r->first + r->n; i++)
		if (n->f->s->cells[i].kind == kind)
			return n->f->s->cells[i].stall_ns;
	return 0;
}

static void less_than_pressure_stands(void **state)
{
	const struct stall_row *r;
	struct norm n;

	norm_open(&n, *state);
	r = window(&n, 300, 100, 450);
	assert_non_null(r);
	assert_int_equal(r->psi_ns, 450 * MS);
	assert_int_equal(r->full_ns, 225 * MS);
	assert_int_equal(r->stalled_ns, 400 * MS);
	assert_true(testhost_near(stall_coverage(r, 0), 400 / 450., 1e-9));
	drop_pressure(n.dir);
}

static void more_than_pressure_is_brought_down_to_it(void **state)
{
	const struct stall_row *r;
	struct norm n;

	norm_open(&n, *state);
	r = window(&n, 300, 200, 400);
	assert_non_null(r);
	assert_int_equal(r->stalled_ns, 400 * MS);
	assert_int_equal(r->raw_ns, 500 * MS);
	assert_int_equal(part_of(&n, r, LNX_STALL_NEIGHBOUR), 240 * MS);
	assert_int_equal(part_of(&n, r, LNX_STALL_SELF), 160 * MS);
	/* That it saw too much is no agreement either. */
	assert_true(testhost_near(stall_coverage(r, 0), 400 / 500., 1e-9));
	drop_pressure(n.dir);
}

/* The two are not read in one instant: up to 20 ms of pressure may be told in the next window. */
static void a_little_pressure_is_left_to_the_next_window(void **state)
{
	struct norm n;

	norm_open(&n, *state);
	assert_int_equal(window(&n, 400, 0, 415)->stalled_ns, 400 * MS);
	assert_int_equal(window(&n, 410, 0, 400)->stalled_ns, 410 * MS);
	/* 5 ms are left; then of 100 ms no more than 20. */
	assert_int_equal(window(&n, 410, 0, 400)->stalled_ns, 405 * MS);
	assert_int_equal(window(&n, 300, 0, 400)->stalled_ns, 300 * MS);
	assert_int_equal(window(&n, 450, 0, 400)->stalled_ns, 420 * MS);
	assert_int_equal(window(&n, 450, 0, 400)->stalled_ns, 400 * MS);
	drop_pressure(n.dir);
}

static void a_window_is_not_longer_than_itself(void **state)
{
	const struct stall_row *r;
	struct norm n;

	norm_open(&n, *state);
	r = window(&n, 1500, 0, 1500);
	assert_int_equal(r->stalled_ns, SEC);
	assert_int_equal(r->raw_ns, 1500 * MS);
	drop_pressure(n.dir);
}

/* What was lost lowers the agreement, and where there is hardly any pressure none is told. */
static void coverage_counts_losses_and_needs_pressure(void **state)
{
	static const uint32_t lost[] = { LNX_LEDGER_N_LOST,	 LNX_LEDGER_N_STALE_WAKE,
					 LNX_LEDGER_N_UNTRACKED, LNX_LEDGER_N_STALE_LEAVE,
					 LNX_LEDGER_N_HEALED,	 LNX_LEDGER_N_MAIL_FULL };
	struct test *f = *state;
	const struct stall_row *r;
	uint64_t n_lost, n_events;
	struct norm n;

	norm_open(&n, f);
	for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++)
		f->cpus[i % CPUS].count[lost[i]] += 10 << i;
	f->cpus[0].count[LNX_LEDGER_N_EVICTED] += 500; /* nothing is lost by that */
	r = window(&n, 360, 0, 400);
	n_events = stall_events(f->s->look, &n_lost);
	assert_int_equal(n_lost, 630);
	assert_int_equal(n_events, 2000);
	assert_true(testhost_near(stall_coverage(r, stall_lost_ratio(n_lost, n_events)),
				  0.9 * 0.685, 1e-9));
	assert_true(
		testhost_near(testhost_metric(f->t, "linnix_blame_coverage_ratio", "resource=cpu"),
			      0.9 * 0.685, 1e-9));
	r = window(&n, 10, 0, 0);
	assert_int_equal(r->psi_ns, 0);
	assert_true(isnan(stall_coverage(r, 0)));
	drop_pressure(n.dir);
}

/* The file of the one who waits less is not read each time: what it waited meanwhile is compared with the next reading. */
static void what_was_not_read_is_compared_later(void **state)
{
	struct test *f = *state;
	const struct stall_row *r;
	struct norm n;

	norm_open(&n, f);
	assert_int_equal(testhost_conf(f->t, "psi_reads=2"), 0); /* the machine's, and one more */
	assert_int_equal(testhost_reload(f->t), 0);
	charge(f, 1, n.c, n.a, 500 * MS);
	pressure_is(n.dir, "/t/podc/c", "cpu", n.c_ms += 500);
	r = window(&n, 100, 0, 90);
	assert_int_equal(r->psi_ns, STALL_UNKNOWN);
	assert_int_equal(r->stalled_ns, 100 * MS);
	assert_int_equal(row_of(f, 102)->psi_ns, 500 * MS);
	/* 100 of the 290 ms are spent. */
	r = window(&n, 250, 0, 200);
	assert_int_equal(r->psi_ns, 290 * MS);
	assert_int_equal(r->stalled_ns, 190 * MS);
	assert_true(testhost_near(stall_coverage(r, 0), 290 / 350., 1e-9));
	r = window(&n, 250, 0, 250);
	assert_int_equal(r->stalled_ns, 250 * MS);
	assert_true(testhost_near(stall_coverage(r, 0), 1, 1e-9));
	drop_pressure(n.dir);
}

/* The metric is of slots: a pod's own row tells of the same waits again. */
static void coverage_of_all_leaves_out_what_is_above_others(void **state)
{
	struct test *f = *state;
	uint32_t b, pod;
	struct norm n;

	norm_open(&n, f);
	pressure_is(n.dir, "/t/poduid/b", "cpu", 100);
	pressure_is(n.dir, "/t/poduid", "cpu", 100);
	b = slot_for(f, 101);
	begin(f);
	pod = f->tab->slot[LNX_LEDGER_SLOT(n.a)].up;
	assert_true(pod && f->tab->slot[LNX_LEDGER_SLOT(b)].up == pod);
	pressure_is(n.dir, "/t/poduid", "cpu", 500);
	charge(f, 1, pod, n.c, 100 * MS);
	assert_int_equal(window(&n, 200, 0, 200)->psi_ns, 200 * MS);
	assert_true(testhost_near(
		testhost_metric(f->t, "linnix_blame_coverage_ratio", "resource=cpu"), 1, 1e-9));
	drop_pressure(n.dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(less_than_pressure_stands),
		TEST(more_than_pressure_is_brought_down_to_it),
		TEST(a_little_pressure_is_left_to_the_next_window),
		TEST(a_window_is_not_longer_than_itself),
		TEST(coverage_counts_losses_and_needs_pressure),
		TEST(what_was_not_read_is_compared_later),
		TEST(coverage_of_all_leaves_out_what_is_above_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
