/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Where an answer of /blame goes from the history file to memory: nothing is counted twice. */
#include "test_fixture.h"

#include <linnix/svc_store.h>

/* A file with one bucket of <span_ns> that begins 60 s before memory, or, when it is longer, reaches into it. */
struct file {
	uint64_t span_ns, start_ns, asked_to_ns;
};

static int file_blame(void *self, uint64_t from_ns, uint64_t to_ns,
		      int (*each)(void *arg, const struct lnx_store_blame *b), void *arg,
		      uint64_t *ret_from_ns, uint64_t *ret_to_ns)
{
	struct file *file = self;
	struct lnx_store_blame b = { .size = sizeof(b),
				     .victim = 1,
				     .kind = LNX_STORE_BLAME_TOTAL,
				     .method = LNX_METHOD_EXACT,
				     .stall_us = 500000,
				     .raw_us = 500000,
				     .psi_us = 500000,
				     .full_us = 0,
				     .confidence_permille = 1000 };
	struct lnx_store_blame part = { .size = sizeof(part),
					.victim = 1,
					.kind = LNX_STALL_SELF,
					.stall_us = 500000,
					.raw_us = 500000 };

	file->asked_to_ns = to_ns;
	*ret_from_ns = *ret_to_ns = 0;
	if (file->start_ns < from_ns || file->start_ns >= to_ns)
		return 0;
	*ret_from_ns = file->start_ns;
	*ret_to_ns = file->start_ns + file->span_ns;
	return each(arg, &b) || each(arg, &part) ? 1 : 2;
}

static int file_who(void *self, uint64_t number, struct lnx_store_who *ret)
{
	(void)self;
	ret->number = number;
	ret->cgroup_id = 100;
	ret->workload = "shop";
	ret->namespace_ = "prod";
	ret->pod_name = "pod";
	ret->path = "/t/poduid/a";
	return 0;
}

static const struct lnx_svc_store fake_store = { .size = sizeof(fake_store),
						 .blame = file_blame,
						 .who = file_who };

/* stalled_ms of the only victim. */
static double ask(struct test *f)
{
	uint64_t wall = testhost_host(f->t)->wall_ns(testhost_ctx(f->t), f->boot);
	struct stall_query q = { .resource = LNX_RES_CPU,
				 .victim = "prod/shop",
				 .to_ns = f->boot,
				 .to_wall_ns = wall,
				 .from_ns = f->boot - 120 * SEC,
				 .from_wall_ns = wall - 120 * SEC,
				 .limit = 100 };
	struct lnx_buf out = { 0 };
	const char *v;
	double ms;

	assert_int_equal(stall_blame_json(f->s, &q, &out), 0);
	check_json_sums(out.data);
	v = strstr(out.data, "\"stalled_ms\":");
	assert_non_null(v);
	ms = strtod(v + 13, NULL);
	free(out.data);
	return ms;
}

/* Three windows in memory, of 100 ms each; its oldest begins in the middle of a bucket. */
static void fill(struct test *f, struct file *file)
{
	const struct lnx_host *h = testhost_host(f->t);
	uint32_t a = slot_for(f, 100);
	uint64_t wall;

	assert_int_equal(testhost_provide(f->t, "store/1", &fake_store, file), 0);
	while ((h->wall_ns(testhost_ctx(f->t), f->boot) / SEC) % 10 != 4) {
		f->boot += SEC;
		f->s->boot_ns = f->boot;
	}
	for (unsigned i = 0; i < 3; i++) {
		charge(f, 0, a, a, 100000000);
		tick(f);
	}
	wall = h->wall_ns(testhost_ctx(f->t), stall_store_oldest(&f->s->store));
	file->start_ns = wall / SEC / 10 * 10 * SEC;
}

static void a_bucket_in_which_memory_begins_is_left_to_memory(void **state)
{
	struct test *f = *state;
	struct file file = { .span_ns = 10 * SEC };
	double memory;

	fill(f, &file);
	memory = ask(f);
	assert_true(memory > 0 && memory <= 300.001);
	assert_int_equal(file.asked_to_ns, file.start_ns);
	file.start_ns -= 60 * SEC; /* one that ended long before */
	assert_float_equal(ask(f), memory + 500, 0.001);
}

static void a_longer_bucket_that_reaches_into_memory_replaces_it(void **state)
{
	struct test *f = *state;
	struct file file = { .span_ns = 60 * SEC };

	fill(f, &file);
	file.start_ns -= 20 * SEC;
	assert_float_equal(ask(f), 500, 0.001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_bucket_in_which_memory_begins_is_left_to_memory),
		TEST(a_longer_bucket_that_reaches_into_memory_replaces_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
