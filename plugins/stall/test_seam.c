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

static double number_at(const char *json, const char *key)
{
	const char *v = strstr(json, key);

	assert_non_null(v);
	return strtod(v + strlen(key), NULL);
}

/* stalled_ms of the only victim, in an answer that is not of the future. */
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
	double ms;

	assert_int_equal(stall_blame_json(f->s, &q, &out), 0);
	check_json_sums(out.data);
	assert_true(number_at(out.data, "\"window_ms\":") <= 120e3);
	ms = number_at(out.data, "\"stalled_ms\":");
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
	assert_true(testhost_near(ask(f), memory + 500, 0.001));
}

static void a_longer_bucket_that_reaches_into_memory_replaces_it(void **state)
{
	struct test *f = *state;
	struct file file = { .span_ns = 60 * SEC };

	fill(f, &file);
	file.start_ns -= 20 * SEC;
	assert_true(testhost_near(ask(f), 500, 0.001));
	/* A bucket that has only begun is told up to now. */
	file.start_ns = testhost_host(f->t)->wall_ns(testhost_ctx(f->t), f->boot) - 118 * SEC;
	file.span_ns = 3600 * SEC;
	assert_true(testhost_near(ask(f), 500, 0.001));
}

/* What a store says of many: <n> victims in <regions> spans that follow each other, half of each stall its own and half by a
 * culprit of its own. */
struct many {
	uint32_t n, regions;
	uint64_t unknown; /* psi of the last region */
	uint32_t is_psi;  /* the last region but one was psi-only */
};

static int many_blame(void *self, uint64_t from_ns, uint64_t to_ns,
		      int (*each)(void *arg, const struct lnx_store_blame *b), void *arg,
		      uint64_t *ret_from_ns, uint64_t *ret_to_ns)
{
	const struct many *m = self;
	int n = 0;

	*ret_from_ns = from_ns;
	*ret_to_ns = to_ns;
	for (uint32_t g = 0; g < m->regions; g++)
		for (uint64_t v = 1; v <= m->n; v++) {
			struct lnx_store_blame b = { .size = sizeof(b), .victim = v };
			const struct {
				uint32_t kind;
				uint64_t culprit, us;
			} parts[] = { { LNX_STALL_SELF, 0, 50000 },
				      { LNX_STALL_NEIGHBOUR, 0, 50000 },
				      { LNX_STALL_NEIGHBOUR, 1000000 + v, 50000 },
				      { LNX_STORE_BLAME_TOTAL, 0, 100000 } };

			for (unsigned i = 0; i < 4; i++, n++) {
				b.kind = parts[i].kind;
				b.culprit = parts[i].culprit;
				b.stall_us = b.raw_us = b.psi_us = parts[i].us;
				b.method = m->is_psi && g + 2 == m->regions ? LNX_METHOD_PSI_ONLY
									    : LNX_METHOD_EXACT;
				b.confidence_permille = g ? 900 : 1000;
				if (m->unknown && g + 1 == m->regions)
					b.psi_us = UINT64_MAX;
				if (each(arg, &b))
					return n;
			}
		}
	return n;
}

static int many_who(void *self, uint64_t number, struct lnx_store_who *ret)
{
	static char name[32];

	(void)self;
	(void)snprintf(name, sizeof(name), "w%llu", (unsigned long long)number); /* fits */
	ret->number = number;
	ret->cgroup_id = 5000 + number;
	ret->workload = name;
	ret->namespace_ = "prod";
	ret->pod_name = name;
	ret->path = name;
	return 0;
}

static const struct lnx_svc_store many_store = { .size = sizeof(many_store),
						 .blame = many_blame,
						 .who = many_who };

static void ask_all(struct test *f, const struct many *m, const char *victim, struct lnx_buf *out)
{
	uint64_t wall = testhost_host(f->t)->wall_ns(testhost_ctx(f->t), f->boot);
	struct stall_query q = { .resource = LNX_RES_CPU,
				 .victim = victim,
				 .to_ns = f->boot,
				 .to_wall_ns = wall,
				 .from_ns = f->boot - 120 * SEC,
				 .from_wall_ns = wall - 120 * SEC,
				 .limit = 10000 };

	assert_int_equal(testhost_provide(f->t, "store/1", &many_store, (void *)(uintptr_t)m), 0);
	assert_int_equal(stall_blame_json(f->s, &q, out), 0);
	check_json_sums(out->data);
}

static void hours_minutes_and_tens_of_one_victim_are_added_once(void **state)
{
	struct test *f = *state;
	struct many m = { .n = 1 };

	for (m.regions = 1; m.regions <= 3; m.regions++) {
		struct lnx_buf out = { 0 };

		ask_all(f, &m, "prod/w1", &out);
		assert_true(testhost_near(number_at(out.data, "\"stalled_ms\":"), 100 * m.regions,
					  0.001));
		assert_true(
			testhost_near(number_at(out.data, "\"raw_ms\":"), 100 * m.regions, 0.001));
		assert_true(
			testhost_near(number_at(out.data, "\"psi_ms\":"), 100 * m.regions, 0.001));
		lnx_buf_done(&out);
	}
	m.regions = 3;
	m.unknown = 1;
	{
		struct lnx_buf out = { 0 };

		ask_all(f, &m, "prod/w1", &out);
		assert_non_null(strstr(out.data, "\"psi_ms\":null"));
		assert_non_null(strstr(out.data, "\"method\":\"exact\""));
		lnx_buf_done(&out);
		/* Where the ledger was off in one of them the whole is no more than pressure. */
		m.is_psi = 1;
		ask_all(f, &m, "prod/w1", &out);
		assert_non_null(strstr(out.data, "\"method\":\"psi-only\""));
		lnx_buf_done(&out);
	}
}

static void a_long_answer_says_that_it_is_cut(void **state)
{
	struct test *f = *state;
	struct many m = { .n = 500, .regions = 1 };
	struct lnx_buf out = { 0 };

	ask_all(f, &m, NULL, &out);
	assert_null(strstr(out.data, "history-larger-than-one-answer"));
	lnx_buf_done(&out);
	m.regions = 3; /* 6,000 entries, of which 4,096 are taken */
	ask_all(f, &m, NULL, &out);
	assert_non_null(strstr(out.data, "history-larger-than-one-answer"));
	lnx_buf_done(&out);
}

static void names_of_history_leave_half_of_the_table(void **state)
{
	struct test *f = *state;
	struct many m = { .n = 1024, .regions = 1 };
	struct lnx_buf out = { 0 };
	uint32_t a;

	/* 2,048 names are too many, as somebody runs */
	a = slot_for(f, 100);
	charge(f, 0, a, a, 1000000);
	tick(f);
	ask_all(f, &m, NULL, &out);
	assert_int_equal(f->s->whos.n, STALL_WHO_FIRST + STALL_WHO_MAX / 2);
	assert_non_null(strstr(out.data, "\"prod/w1001000\""));
	assert_non_null(strstr(out.data, "\"prod/w1000\""));
	assert_null(strstr(out.data, "\"prod/w1001024\""));
	assert_non_null(strstr(out.data, "history-larger-than-one-answer"));
	/* and the names are there for the next answer */
	ask_all(f, &m, "prod/w1", &out);
	assert_int_equal(f->s->whos.n, STALL_WHO_FIRST + STALL_WHO_MAX / 2);
	lnx_buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_bucket_in_which_memory_begins_is_left_to_memory),
		TEST(a_longer_bucket_that_reaches_into_memory_replaces_it),
		TEST(hours_minutes_and_tens_of_one_victim_are_added_once),
		TEST(a_long_answer_says_that_it_is_cut),
		TEST(names_of_history_leave_half_of_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
