/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Which windows are told, and what is said of one in which something had no place. */
#include "test_fixture.h"

static int says(struct test *f, const char *note)
{
	char *json = blame_of(f, LNX_RES_CPU, STALL_BY_CONTAINER, f->boot - SEC, "prod/shop");
	int is_said = strstr(json, note) != NULL;

	free(json);
	return is_said;
}

/* Every bounded structure whose overflow makes a stall nobody's; what is repaired is none of them. */
static void a_full_structure_is_said_of_its_window(void **state)
{
	static const struct {
		uint32_t count;
		int is_said;
	} rows[] = { { LNX_LEDGER_N_WAIT_FULL, 1 },  { LNX_LEDGER_N_PAIR_FULL, 1 },
		     { LNX_LEDGER_N_SLOT_FULL, 1 },  { LNX_LEDGER_N_SLOT_BUSY, 1 },
		     { LNX_LEDGER_N_LOST, 0 },	     { LNX_LEDGER_N_HEALED, 0 },
		     { LNX_LEDGER_N_EVICTED, 0 },    { LNX_LEDGER_N_RECLAIMED, 0 },
		     { LNX_LEDGER_N_NO_STORAGE, 0 }, { LNX_LEDGER_N_MIGRATED, 0 } };
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102);

	begin(f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		f->cpus[1].count[rows[i].count]++;
		charge(f, 0, a, c, 50 * MS);
		tick(f);
		if (says(f, "ledger-overflow-in-other") != rows[i].is_said)
			fail_msg("%s", stall_count_name(rows[i].count));
		charge(f, 0, a, c, 50 * MS);
		tick(f);
		assert_false(says(f, "ledger-overflow-in-other"));
	}
}

/* Of the window in which the ledger began to count it saw a part only. */
static void a_ledger_that_just_began_has_no_window(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102);

	charge(f, 0, a, c, 50 * MS);
	tick(f);
	assert_true(f->s->probe.is_live);
	assert_null(row_of(f, 100));
	charge(f, 0, a, c, 20 * MS);
	tick(f);
	assert_int_equal(row_of(f, 100)->stalled_ns, 20 * MS);
	stall_probe_pause(f->s, "off");
	tick(f);
	assert_int_equal(stall_probe_resume(f->s), 0);
	charge(f, 0, a, c, 70 * MS);
	tick(f);
	assert_null(row_of(f, 100));
	charge(f, 0, a, c, 30 * MS);
	tick(f);
	assert_int_equal(row_of(f, 100)->stalled_ns, 30 * MS);
}

/* What began before the agent has no beginning: it is no window. */
static void without_a_beginning_no_window_is_kept(void **state)
{
	struct test *f = *state;

	f->s->boot_ns = 0;
	tick(f);
	assert_int_equal(f->s->store.fine.n, 0);
	tick(f);
	assert_int_equal(f->s->store.fine.n, 1);
	assert_int_equal(stall_store_oldest(&f->s->store), f->boot - SEC);
}

/* Events are counted in the window in which they were lost, and only there. */
static void losses_are_of_their_window(void **state)
{
	struct test *f = *state;
	const struct stall_win *w;

	begin(f);
	f->cpus[0].count[LNX_LEDGER_N_MAIL_FULL] += 3;
	tick(f);
	w = f->s->store.fine.win[f->s->store.fine.n - 1];
	assert_int_equal(w->lost, 3);
	assert_int_equal(w->events, 2000);
	assert_int_equal(w->from_ns, f->boot - SEC);
	assert_int_equal(w->to_ns, f->boot);
	tick(f);
	w = f->s->store.fine.win[f->s->store.fine.n - 1];
	assert_int_equal(w->lost, 0);
	assert_int_equal(w->events, 2000);
}

/* A cgroup that nothing else asks for is noticed to be gone within five seconds. */
static void names_are_asked_for_again(void **state)
{
	struct test *f = *state;
	uint32_t who;

	(void)slot_for(f, 106);
	for (int i = 0; i < 72; i++)
		tick(f);
	who = stall_who_find(&f->s->whos, 106);
	assert_false(f->s->whos.who[who].is_gone);
	f->gone_id = 106;
	for (int i = 0; i < 10 && !f->s->whos.who[who].is_gone; i++)
		tick(f);
	assert_true(f->s->whos.who[who].is_gone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_full_structure_is_said_of_its_window),
		TEST(a_ledger_that_just_began_has_no_window),
		TEST(without_a_beginning_no_window_is_kept),
		TEST(losses_are_of_their_window),
		TEST(names_are_asked_for_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
