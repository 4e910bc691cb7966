/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The ledger's clock against run queue clocks that drift, jump and are measured late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define LNX_SUB static

#include "bpf/lnx_ledger_clock.h"

/* A run queue's clock that runs <ppm> slower than the other one, each look at the two of them up to 2 us apart, and one in
 * <spikes> up to 5 ms. Returns how far off the time told was, at most, after the first second. */
static uint64_t clocks_apart(int64_t ppm, uint32_t spikes)
{
	struct lnx_ledger_cpu *c = calloc(1, sizeof(*c));
	uint64_t mono = 12345678901u, off = 0;
	double slow = 777e9;

	assert_non_null(c);
	c->lone = 1;
	for (uint64_t ran = 0; ran < 4000000000u;) {
		uint64_t step = 100000 + (uint64_t)rand() % 3000000, clock, told;

		ran += step;
		mono += step;
		slow += (double)step * (1 - (double)ppm / 1e6);
		clock = (uint64_t)slow;
		if (clock >= c->clock_next)
			lnx_ledger_clock(
				c, clock,
				mono + (uint64_t)rand() % 2000 +
					(rand() % spikes ? 0 : (uint64_t)rand() % 5000000));
		told = clock + c->clock_offset;
		if (ran > 1000000000 && (told > mono ? told - mono : mono - told) > off)
			off = told > mono ? told - mono : mono - told;
	}
	free(c);
	return off;
}

/* A CPU that is idle but for one wake-up a second, the clocks <ppm> apart. Returns how far off the time told was, at most. */
static uint64_t idle_clocks_apart(int64_t ppm)
{
	struct lnx_ledger_cpu *c = calloc(1, sizeof(*c));
	uint64_t mono = 12345678901u, off = 0;
	double slow = 777e9;

	assert_non_null(c);
	for (uint32_t i = 0; i < 60; i++) {
		uint64_t told, clock;

		mono += 1000000000;
		slow += 1e9 * (1 - (double)ppm / 1e6);
		clock = (uint64_t)slow;
		assert_true(clock >= c->clock_next);
		lnx_ledger_clock(c, clock, mono + (uint64_t)rand() % 2000);
		told = clock + c->clock_offset;
		if ((told > mono ? told - mono : mono - told) > off)
			off = told > mono ? told - mono : mono - told;
	}
	free(c);
	return off;
}

static void time_is_told_by_clocks_that_drift_apart(void **state)
{
	static struct lnx_ledger_cpu c;

	(void)state;
	/* The first one is taken as it is, however near the two are. */
	lnx_ledger_clock(&c, 700000000, 1000000000);
	assert_int_equal(c.clock_offset, 300000000);
	srand(1);
	/* An interrupt between two looks moves it by no more than a drift that is possible. */
	assert_in_range(clocks_apart(0, 20), 0, 12000);
	assert_in_range(clocks_apart(200, 20), 0, 20000);
	/* Rates half a percent, and five percent apart: it lags by a few measurements. */
	assert_in_range(clocks_apart(5000, 20), 0, 500000);
	assert_in_range(clocks_apart(50000, 20), 0, 5000000);
	assert_in_range(clocks_apart(-50000, 20), 0, 500000);
	/* Where nobody can be charged for what was measured across an interrupt, it need not be doubted. */
	for (int64_t ppm = -500; ppm <= 500; ppm += 100)
		assert_in_range(idle_clocks_apart(ppm), 0, 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(time_is_told_by_clocks_that_drift_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
