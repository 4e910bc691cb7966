/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The model of I/O: what is of one window, of one owner of a place, of one attach; what requests cost, and how soon that
 * is forgotten. */
#include "test_maps.h"

/* What the reader took for time that <culprit> held 7 up in the last window. */
static uint64_t pair_of(const struct stall_io *io, uint64_t culprit)
{
	uint64_t ns = 0;

	for (uint32_t i = 0; i < io->n_pairs; i++)
		if (io->pairs[i].victim == 7 && io->pairs[i].culprit == culprit)
			ns += io->pairs[i].ns;
	return ns;
}

/* What was in flight when the probe went has ended unseen; what is known of the device stays. */
static void a_probe_that_comes_back_begins_anew(void **state)
{
	struct stall_res_window w;
	struct stall_io io;

	(void)state;
	io_open(&io);
	m.dev.m[1][2] = 100 * MS;
	m.dev.lone_n[3] = 5;
	(void)io_look(&io, 0);
	m.dev.n = 2;
	m.dev.is_lone = 1;
	m.dev.w = 700;
	m.dev.rem = 9;
	m.dev.culprit[2].n = 2;
	m.dev.culprit[2].w = 700;
	m.dev.culprit[2].d_ns = 50;
	m.dev.victim[1].n = 2;
	stall_io_reset(&io, &maps);
	assert_int_equal(m.dev.n + m.dev.is_lone, 0);
	assert_int_equal(m.dev.w + m.dev.rem, 0);
	assert_int_equal(m.dev.culprit[2].n + m.dev.culprit[2].w, 0);
	assert_int_equal(m.dev.culprit[2].d_ns, 50);
	assert_int_equal(m.dev.victim[1].n + m.dev.victim[1].id, 0);
	assert_int_equal(m.dev.victim[1].gen, 2);
	assert_int_equal(m.dev.m[1][2], 0);
	assert_int_equal(m.dev.lone_n[3], 5);
	/* Less than there was before is all new. */
	m.gate[0].id = 7;
	m.gate[0].r = (struct lnx_rec_gate){ .born = 2 };
	(void)io_look(&io, 0);
	m.dev.victim[1].id = 7;
	m.dev.m[1][2] = 60 * MS;
	w = io_look(&io, 60);
	assert_int_equal(part_of(&w, 7, 8), 60 * MS);
	stall_io_done(&io);
}

static void what_was_in_flight_is_of_its_time(void **state)
{
	struct stall_io io;

	(void)state;
	io_open(&io);
	(void)io_look(&io, 0);
	/* Nothing of the victim is in flight: what others earn holds nobody up. */
	m.dev.culprit[2].d_ns = 500 * MS;
	m.dev.snap[1][2] = 200 * MS;
	(void)io_look(&io, 10);
	assert_int_equal(pair_of(&io, 8), 0);
	/* The culprit's own figure is up to a later moment than the device's begin. */
	m.dev.victim[1].n = 1;
	m.dev.snap[1][2] = 500 * MS;
	m.dev.tau = 900ULL << LNX_IO_TAU_SHIFT;
	m.dev.culprit[2].tau = 880ULL << LNX_IO_TAU_SHIFT;
	m.dev.culprit[2].w = 1000;
	m.dev.w = 1000;
	m.dev.last_ns = now_ns + SEC; /* up to the look itself */
	(void)io_look(&io, 10);
	assert_int_equal(pair_of(&io, 8), 20 * 1000);
	stall_io_done(&io);
}

/* A step of virtual time that would overflow is cut, as it is in the probe. */
static void a_device_that_stood_still_for_long_is_counted_for_seconds(void **state)
{
	struct stall_io io;

	(void)state;
	now_ns = 5000 * SEC;
	io_open(&io);
	(void)io_look(&io, 0);
	m.dev.victim[1].n = 1;
	m.dev.culprit[2].w = m.dev.w = 1000;
	m.dev.last_ns = now_ns + SEC - 3000 * SEC;
	(void)io_look(&io, 10);
	assert_in_range(pair_of(&io, 8), 8 * SEC - 1000, 8 * SEC);
	stall_io_done(&io);
}

/* In the second window its requests were hardly slower than alone, in the first they were twice. */
static void own_time_is_of_the_window(void **state)
{
	struct stall_res_window w;
	struct stall_io io;

	(void)state;
	io_open(&io);
	(void)io_look(&io, 0);
	m.dev.m[1][1] = 10 * MS;
	m.dev.m[1][2] = 90 * MS;
	m.dev.victim[1].own_ns = 50 * MS;
	m.dev.victim[1].life_ns = 100 * MS;
	w = io_look(&io, 100);
	assert_in_range(part_of(&w, 7, 7), 50 * MS - 1, 50 * MS + 1);
	m.dev.m[1][1] += 10 * MS;
	m.dev.m[1][2] += 90 * MS;
	m.dev.victim[1].own_ns += 90 * MS;
	m.dev.victim[1].life_ns += 100 * MS;
	w = io_look(&io, 100);
	assert_in_range(part_of(&w, 7, 7), 90 * MS - 1, 90 * MS + 1);
	assert_in_range(part_of(&w, 7, 8), 10 * MS - 1, 10 * MS + 1);
	stall_io_done(&io);
}

/* <n> lone requests of 4 KiB, each of <us>. */
static void lone(uint64_t n, uint64_t us)
{
	m.dev.lone_n[2] += n;
	m.dev.lone_kib[2] += 4 * n;
	m.dev.lone_ns[2] += n * us * 1000;
}

/* A disk that is slower than the guess, and one that became faster, is known as such before long; and small changes are not told. */
static void what_a_request_cost_is_forgotten(void **state)
{
	static const uint64_t us[] = { 400, 100 };
	struct stall_io io;
	uint64_t cost;

	(void)state;
	io_open(&io);
	for (int i = 0; i < 2; i++) {
		for (int k = 0; k < 200; k++) {
			lone(100, us[i]);
			(void)io_look(&io, 0);
		}
		cost = m.cost.fixed_ns + 4 * m.cost.kib_ns;
		assert_in_range(cost, us[i] * 850, us[i] * 1150);
	}
	m.cost.fixed_ns = 1; /* somebody looks whether it is written */
	lone(100, 101);
	(void)io_look(&io, 0);
	assert_int_equal(m.cost.fixed_ns, 1);
	stall_io_done(&io);
}

/* Beyond a thousand one size of requests weighs no more: others are heard as well. */
static void a_size_that_is_frequent_does_not_silence_the_others(void **state)
{
	double n[LNX_IO_CLASSES] = { 0 }, ns[LNX_IO_CLASSES] = { 0 }, kib[LNX_IO_CLASSES] = { 0 };
	struct lnx_rec_io_cost cost[2];

	(void)state;
	for (int round = 0; round < 2; round++) {
		const double many = round ? 1e6 : 1000;
		const double at[] = { 4, 64, 1024 }, us[] = { 90, 300, 1100 };

		for (int i = 0; i < 3; i++) {
			const double k = i ? 1000 : many;

			n[2 + 4 * i] = k;
			kib[2 + 4 * i] = k * at[i];
			ns[2 + 4 * i] = k * us[i] * 1000;
		}
		stall_io_fit(n, ns, kib, &cost[round]);
	}
	assert_int_equal(cost[0].fixed_ns, cost[1].fixed_ns);
	assert_int_equal(cost[0].kib_ns, cost[1].kib_ns);
}

/* ---- memory */

static int nowhere(void *arg, uint64_t victim)
{
	(void)arg;
	(void)victim;
	return -1;
}

/* Who allocated nothing for a minute is given back, and begins at nothing when it comes again. */
static void who_allocates_no_more_is_given_back(void **state)
{
	const struct stall_mem_scope scope = { NULL, nowhere, NULL };
	struct stall_res_window w;
	struct stall_mem mem;

	(void)state;
	assert_int_equal(stall_mem_init(&mem, 2), 0);
	m.alloc[0].id = 7;
	m.alloc[1].id = 8;
	for (int i = 0; i < 62; i++) {
		m.alloc[0].pages[1]++;
		now_ns += SEC;
		stall_mem_read(&mem, &maps, &scope, now_ns, &w);
		assert_int_equal(m.alloc[1].id, i < 60 ? 8 : 0);
	}
	assert_int_equal(m.alloc[0].id, 7);
	assert_int_equal(stall_mem_pages(&mem, 7), 1);
	assert_int_equal(mem.n_alloc, 1);
	m.alloc[1].id = 8;
	m.alloc[1].pages[0] = 5;
	now_ns += SEC;
	stall_mem_read(&mem, &maps, &scope, now_ns, &w);
	assert_int_equal(stall_mem_pages(&mem, 8), 5);
	stall_mem_done(&mem);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_probe_that_comes_back_begins_anew),
		TEST(what_was_in_flight_is_of_its_time),
		TEST(a_device_that_stood_still_for_long_is_counted_for_seconds),
		TEST(own_time_is_of_the_window),
		TEST(what_a_request_cost_is_forgotten),
		TEST(a_size_that_is_frequent_does_not_silence_the_others),
		TEST(who_allocates_no_more_is_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
