/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a start finds in the store: more than it has room for, and what opened anew before it could be read. */
#include "test_fixture.h"

static unsigned n_open(const struct fix *f)
{
	unsigned n = 0;

	for (int i = 0; i < f->shelf.n; i++)
		n += f->shelf.recs[i].r.kind == LNX_STORE_INCIDENT && !f->shelf.recs[i].r.state;
	return n;
}

/* <n> of an earlier run, all of them open. */
static void leave(struct fix *f, unsigned n)
{
	static const char doc[] = "{\"cause\":\"contention\",\"culprit\":{\"workload\":\"batch\"}}";
	struct lnx_store_record r = { .size = sizeof(r),
				      .kind = LNX_STORE_INCIDENT,
				      .doc = doc,
				      .doc_bytes = sizeof(doc) - 1 };
	char id[32], print[32];

	for (unsigned i = 0; i < n; i++) {
		(void)snprintf(id, sizeof(id), "01HZZZZZZZZZZZZZZZZZZZ%04u", i);
		(void)snprintf(print, sizeof(print), "%016u", i);
		r.id = id;
		r.parent = print;
		r.ts_ns = TESTHOST_WALL_NS - 1000 * SECOND + i * SECOND;
		assert_int_equal(shelf_put(&f->shelf, &r), 0);
	}
}

static int count(void *arg, const struct lnx_incident *inc)
{
	*(unsigned *)arg += inc->is_open;
	return 0;
}

static void none_of_them_stays_open_for_ever(void **state)
{
	struct lnx_incident inc = { .size = sizeof(inc) };
	struct fix f = { 0 };
	unsigned n = 0;

	(void)state;
	leave(&f, INC_MAX + 72);
	fix_open(&f);
	(void)testhost_advance(f.t, 2 * SECOND);
	(void)f.svc->each(f.self, count, &n);
	assert_int_equal(n, INC_MAX);
	assert_int_equal(n_open(&f), INC_MAX);
	assert_int_equal(testhost_count(f.t, "incident.close"), 72);
	assert_true(testhost_log_has(f.t, "72 incidents that were open are closed"));
	/* the newest are those that go on */
	assert_int_equal(f.svc->get(f.self, "01HZZZZZZZZZZZZZZZZZZZ0072", &inc), 0);
	assert_int_equal(f.svc->get(f.self, "01HZZZZZZZZZZZZZZZZZZZ0071", &inc), -ENOENT);
	(void)testhost_advance(f.t, 62 * SECOND);
	assert_int_equal(n_open(&f), 0);
	fix_close(&f);
}

/* An agent whose store is being opened for a long time sees the alert that its predecessor saw. */
static void start_anew_while_it_fires(struct fix *f, char id[32], uint64_t victim)
{
	FIRES(f, "noisy-neighbour", 9, 7);
	(void)snprintf(id, 32, "%s", str(last(f, "incident.open"), last(f, "incident.open")->id));
	if (!victim) {
		RESOLVES(f, "noisy-neighbour", 9, 7);
		(void)testhost_advance(f->t, 62 * SECOND);
		victim = 7;
	}
	testhost_free(f->t);
	fix_open(f);
	f->shelf.each_rc = -EAGAIN;
	(void)testhost_advance(f->t, 70 * SECOND);
	f->pid = 42;
	FIRES(f, "noisy-neighbour", 9, victim);
	assert_string_not_equal(str(last(f, "incident.open"), last(f, "incident.open")->id), id);
	f->shelf.each_rc = 0;
	(void)testhost_advance(f->t, 2 * SECOND);
}

static void what_opened_before_the_store_is_the_same_incident(void **state)
{
	struct lnx_incident inc = { .size = sizeof(inc) };
	struct fix f = { 0 };
	unsigned n = 0;
	char id[32];

	(void)state;
	fix_open(&f);
	start_anew_while_it_fires(&f, id, 8);
	assert_int_equal(n_open(&f), 1);
	(void)f.svc->each(f.self, count, &n);
	assert_int_equal(n, 1);
	assert_int_equal(f.svc->get(f.self, id, &inc), 0);
	assert_int_equal(inc.n_victims, 2);
	assert_int_equal(inc.culprit_pid, 42);
	assert_int_equal(testhost_count(f.t, "incident.close"), 1); /* of the other one */
	assert_string_equal(f.shelf.logs[f.shelf.n_logs - 2], "merge");
	/* it is the one that ends with the alert */
	(void)testhost_advance(f.t, 120 * SECOND);
	assert_int_equal(n_open(&f), 1);
	RESOLVES(&f, "noisy-neighbour", 9, 8);
	(void)testhost_advance(f.t, 62 * SECOND);
	assert_int_equal(n_open(&f), 0);
	assert_string_equal(str(last(&f, "incident.close"), last(&f, "incident.close")->id), id);
	fix_close(&f);
}

static void one_that_had_closed_is_opened_again(void **state)
{
	struct lnx_incident inc = { .size = sizeof(inc) };
	struct fix f = { 0 };
	char id[32];

	(void)state;
	fix_open(&f);
	start_anew_while_it_fires(&f, id, 0);
	assert_int_equal(n_open(&f), 1);
	assert_int_equal(f.svc->get(f.self, id, &inc), 0);
	assert_int_equal(inc.is_open, 1);
	assert_int_equal(inc.flaps, 1);
	assert_int_equal(last(&f, "incident.open")->reason, LNX_INCIDENT_REOPENED);
	fix_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(none_of_them_stays_open_for_ever),
		cmocka_unit_test(what_opened_before_the_store_is_the_same_incident),
		cmocka_unit_test(one_that_had_closed_is_opened_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
