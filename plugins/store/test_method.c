/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* How what the file has of the past was measured, where that changed meanwhile. */
#include "test_fixture.h"

/* What "shop" lost of <resource> in a second, and how that was measured. */
static void measured(struct fix *f, uint64_t at_ns, uint32_t resource, uint32_t method)
{
	union {
		struct lnx_event h;
		struct lnx_ev_stall_window w;
		char bytes[1024];
	} u = { .w = { .window_ns = SECOND, .cgroup_id = 7 } };

	u.h.size = u.h.fixed = sizeof(u.w);
	u.h.type = LNX_EV_STALL_WINDOW;
	u.h.ts_ns = at_ns;
	u.w.resource = resource;
	u.w.method = method;
	u.w.stalled_ms = u.w.raw_ms = u.w.psi_ms = u.w.full_ms = u.w.other_ms = 100;
	u.w.confidence = 1;
	assert_int_equal(testhost_str(&u.h, sizeof(u), &u.w.workload, "shop"), 0);
	assert_int_equal(testhost_deliver(f->t, &u.h), 0);
}

static int take_method(void *arg, const struct lnx_store_blame *b)
{
	if (b->kind == LNX_STORE_BLAME_TOTAL)
		((uint32_t *)arg)[b->resource] = b->method;
	return 0;
}

static void jobs(struct fix *f)
{
	while (testhost_run_jobs(f->t))
		;
}

/* A second without the ledger makes a sum of the CPU no more than pressure; the probes of I/O come as pressure rises. */
static void a_sum_is_measured_as_the_least_of_the_cpu_was(void **state)
{
	uint64_t wall = TESTHOST_WALL_NS, boot = TESTHOST_START_NS;
	struct fix f = { 0 };

	(void)state;
	fix_open(&f);
	for (unsigned i = 1; i <= 20;
	     i++) { /* two buckets; it was off in the first second of the second */
		measured(&f, boot + i * SECOND, LNX_RES_CPU,
			 i == 11 ? LNX_METHOD_PSI_ONLY : LNX_METHOD_EXACT);
		measured(&f, boot + i * SECOND, LNX_RES_IO,
			 i == 11 ? LNX_METHOD_MODEL : LNX_METHOD_PSI_ONLY);
	}
	(void)testhost_advance(f.t, 40 * SECOND);
	jobs(&f);
	for (int round = 0; round < 2; round++) {
		uint32_t method[3] = { 0 };
		uint64_t from, to;

		assert_true(f.svc->blame(f.self, wall - 60 * SECOND, wall + 7200 * SECOND,
					 take_method, method, &from, &to) > 0);
		assert_int_equal(method[LNX_RES_CPU], LNX_METHOD_PSI_ONLY);
		assert_int_equal(method[LNX_RES_IO], LNX_METHOD_MODEL);
		if (round)
			break;
		assert_true(f.svc->blame(f.self, wall, wall + 10 * SECOND, take_method, method,
					 &from, &to) > 0);
		assert_int_equal(method[LNX_RES_CPU], LNX_METHOD_EXACT);
		assert_int_equal(method[LNX_RES_IO], LNX_METHOD_PSI_ONLY);
		/* and in minutes and hours */
		(void)testhost_advance(f.t, 62 * SECOND);
		jobs(&f);
		testhost_set_now(f.t, boot + 7300 * SECOND);
		(void)testhost_advance(f.t, 2 * SECOND);
		jobs(&f);
	}
	fix_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sum_is_measured_as_the_least_of_the_cpu_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
