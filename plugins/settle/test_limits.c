/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a payer may spend: each limit to the last unit, over a restart, and whatever the clock does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <testhost.h>
#include <unistd.h>

#include "task.h"

#define HOUR_MS 3600000ll
#define DAY_MS	(24 * HOUR_MS)
#define UNIT	1000000u /* of a token with 6 decimals */

static struct {
	struct settle s;
	struct settle_conf conf;
	struct testhost *t;
	uint8_t payee[32];
} f;

/* It is <now_ns>, for the host and for the chain. */
static void at(uint64_t now_ns)
{
	testhost_set_now(f.t, now_ns);
	f.s.head_time = (uint64_t)settle_now_ms(&f.s) / 1000;
}

static int setup(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	f.t = testhost_new();
	assert_non_null(f.t);
	f.s.host = testhost_host(f.t);
	f.s.ctx = testhost_ctx(f.t);
	f.s.conf = &f.conf;
	f.conf.token_decimals = 6;
	f.payee[0] = 1;
	/* the host's clock begins soon after its boot: room to go back */
	at(testhost_now(f.t) + 100ull * DAY_MS * SETTLE_MS);
	return 0;
}

static void drop_tasks(void)
{
	for (struct task *t; (t = f.s.tasks);) {
		f.s.tasks = t->next;
		task_free(t);
	}
}

static int teardown(void **state)
{
	(void)state;
	drop_tasks();
	testhost_free(f.t);
	return 0;
}

static struct task *add(uint64_t units, int64_t ago_ms)
{
	struct task *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->role = TASK_PAYER;
	t->status = TASK_CREATED;
	u256_from_u64(units, &t->max);
	memcpy(t->payee_did32, f.payee, 32);
	t->created_ms = settle_now_ms(&f.s) - ago_ms;
	t->changed_ms = t->created_ms;
	t->id[0] = (uint8_t)(f.s.tasks ? f.s.tasks->id[0] + 1 : 1);
	t->next = f.s.tasks;
	f.s.tasks = t;
	return t;
}

static void refused(uint64_t units, const char *limit, const char *left)
{
	char why[TASK_ERROR] = "", want[TASK_ERROR];
	struct u256 v;

	u256_from_u64(units, &v);
	assert_int_equal(limit_check(&f.s, f.payee, &v, why), -EDQUOT);
	(void)snprintf(want, sizeof(want), "amount: over what chain.limits.%s leaves: %s", limit,
		       left);
	assert_string_equal(why, want);
}

static void allowed(uint64_t units)
{
	char why[TASK_ERROR] = "";
	struct u256 v;

	u256_from_u64(units, &v);
	if (limit_check(&f.s, f.payee, &v, why))
		fail_msg("%s", why);
}

static void the_limit_of_a_task_is_exact(void **state)
{
	(void)state;
	f.conf.task_cents = 1001;
	allowed(0);
	allowed(10010000);
	refused(10010001, "task_cents (1001)", "10.01");
	f.conf.token_decimals = 18;
	allowed(10010000000000000000u);
	refused(10010000000000000001u, "task_cents (1001)", "10.01");
}

/* What is older than <span_ms> counts no more, what is one millisecond younger does. */
static void holds_for(const char *shown, int64_t span_ms)
{
	(void)add(4 * UNIT, span_ms + 1);
	allowed(10 * UNIT);
	(void)add(7 * UNIT + 1, span_ms);
	allowed(3 * UNIT - 1);
	refused(3 * UNIT, shown, "2.999999");
}

static void the_limit_of_an_hour_slides(void **state)
{
	(void)state;
	f.conf.hourly_cents = 1000;
	holds_for("hourly_cents (1000)", HOUR_MS);
}

static void the_limit_of_a_day_slides(void **state)
{
	(void)state;
	f.conf.daily_cents = 1000;
	holds_for("daily_cents (1000)", DAY_MS);
}

static void the_limit_of_a_month_slides(void **state)
{
	(void)state;
	f.conf.monthly_cents = 1000;
	holds_for("monthly_cents (1000)", 30 * DAY_MS);
}

static void the_limit_of_a_counterparty_is_of_one(void **state)
{
	(void)state;
	f.conf.counterparty_cents = 1000;
	holds_for("counterparty_cents (1000)", 30 * DAY_MS);
	f.payee[0] = 2;
	allowed(10 * UNIT);
	refused(10 * UNIT + 1, "counterparty_cents (1000)", "10");
}

static void what_was_paid_counts_and_what_came_back_does_not(void **state)
{
	static const uint32_t back[] = { TASK_CANCELLED, TASK_EXPIRED };
	struct task *t;

	(void)state;
	f.conf.daily_cents = 1000;
	t = add(9 * UNIT, 0);
	refused(UNIT + 1, "daily_cents (1000)", "1");
	t->status = TASK_SUBMITTED;
	refused(UNIT + 1, "daily_cents (1000)", "1");
	t->status = TASK_DISPUTED;
	refused(UNIT + 1, "daily_cents (1000)", "1");
	t->status = TASK_SETTLED;
	u256_from_u64(4 * UNIT, &t->actual);
	allowed(6 * UNIT);
	refused(6 * UNIT + 1, "daily_cents (1000)", "6");
	for (unsigned i = 0; i < 2; i++) {
		t->status = back[i];
		allowed(10 * UNIT);
	}
	t->status = TASK_CREATED;
	t->role = TASK_PAYEE;
	allowed(10 * UNIT);
}

/* Its create is hidden, or out for long: the window begins when the money leaves. */
static void what_is_not_on_the_chain_yet_counts_however_old(void **state)
{
	struct task *t;

	(void)state;
	f.conf.hourly_cents = 1000;
	t = add(9 * UNIT, 5 * HOUR_MS);
	allowed(10 * UNIT);
	t->status = TASK_NONE;
	refused(UNIT + 1, "hourly_cents (1000)", "1");
	(void)snprintf(t->phase, sizeof(t->phase), "%s", PHASE_FAILED); /* fits */
	allowed(10 * UNIT);
	t->is_pending = 1; /* and may come yet */
	refused(UNIT + 1, "hourly_cents (1000)", "1");
}

/* More reserved than the limit (it was lowered since): nothing is left, and nothing wraps. */
static void over_a_lowered_limit_nothing_is_left(void **state)
{
	(void)state;
	f.conf.daily_cents = 100;
	(void)add(5 * UNIT, 0);
	allowed(0);
	refused(1, "daily_cents (100)", "0");
	memset(f.s.tasks->max.b, 0xff, 32);
	(void)add(5 * UNIT, 0);
	refused(1, "daily_cents (100)", "0");
}

/* As the agent does it: what is in the file is all that the next one knows. */
static void restart(const char *path, sqlite3 **io_db)
{
	char error[DB_ERROR] = "";
	struct db_cursor cursor = { .block = 0 };
	struct db_loaded l;

	if (*io_db) {
		for (struct task *t = f.s.tasks; t; t = t->next)
			assert_int_equal(db_write(*io_db, NULL, 0, t, 1, &cursor, error), 0);
		db_close(io_db);
	}
	drop_tasks();
	assert_int_equal(db_open(path, settle_now_ms(&f.s) - SETTLE_KEEP_MS, io_db, &l, error), 0);
	f.s.tasks = l.tasks;
}

static void a_restart_and_a_clock_that_goes_back_reset_nothing(void **state)
{
	char path[] = "/tmp/lnx-limits-XXXXXX";
	sqlite3 *db = NULL;
	uint64_t now = testhost_now(f.t);
	struct task *t;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	f.conf.hourly_cents = 1000;
	f.conf.monthly_cents = 3000;
	restart(path, &db);
	(void)add(8 * UNIT, 0);
	t = add(20 * UNIT, 29 * DAY_MS);
	t->status = TASK_SETTLED;
	t->actual = t->max;
	restart(path, &db);
	refused(2 * UNIT + 1, "hourly_cents (1000)", "2");
	allowed(2 * UNIT);
	testhost_set_now(f.t, now - 50ull * DAY_MS * SETTLE_MS);
	refused(1, "hourly_cents (1000)", "0");
	restart(path, &db);
	refused(1, "hourly_cents (1000)", "0");
	at(now + 2 * HOUR_MS * SETTLE_MS);
	restart(path, &db);
	refused(2 * UNIT + 1, "monthly_cents (3000)", "2");
	db_close(&db);
	(void)close(fd);
	(void)unlink(path);
}

/* Sums hold while the clock is weeks ahead of the chain, and after it was set. */
static void a_clock_that_is_ahead_forgets_nothing(void **state)
{
	char path[] = "/tmp/lnx-limits-XXXXXX";
	uint64_t now = testhost_now(f.t);
	sqlite3 *db = NULL;
	struct task *t;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	f.conf.monthly_cents = 1000;
	restart(path, &db);
	t = add(8 * UNIT, 0);
	t->status = TASK_SETTLED;
	t->is_settled_deep = 1;
	t->actual = t->max;
	testhost_set_now(f.t, now + 40ull * DAY_MS * SETTLE_MS);
	task_sweep(&f.s);
	refused(2 * UNIT + 1, "monthly_cents (1000)", "2");
	restart(path, &db);
	refused(2 * UNIT + 1, "monthly_cents (1000)", "2");
	f.s.head_time = 0; /* the chain was not seen yet */
	refused(2 * UNIT + 1, "monthly_cents (1000)", "2");
	at(now);
	refused(2 * UNIT + 1, "monthly_cents (1000)", "2");
	at(now + 40ull * DAY_MS * SETTLE_MS);
	allowed(10 * UNIT);
	f.s.n_tasks = 1;
	task_sweep(&f.s);
	task_sweep(&f.s);
	assert_null(f.s.tasks);
	db_close(&db);
	(void)close(fd);
	(void)unlink(path);
}

/* A machine without a clock of its own begins at 1970, and is set later. */
static void a_task_of_a_boot_at_1970_is_of_today(void **state)
{
	struct task_ask ask = { .name = "n", .payee_did = "did:web:one", .payee = { 1 } };
	uint64_t now = testhost_now(f.t);
	char why[TASK_ERROR] = "";
	struct task *t;

	(void)state;
	f.conf.monthly_cents = 1000;
	u256_from_u64(8 * UNIT, &ask.max);
	testhost_set_now(f.t, now - 90ull * DAY_MS * SETTLE_MS);
	assert_int_equal(task_accept(&f.s, &ask, &t, why), 0);
	refused(2 * UNIT + 1, "monthly_cents (1000)", "2");
	at(now + DAY_MS * SETTLE_MS);
	refused(2 * UNIT + 1, "monthly_cents (1000)", "2");
	at(now + 31ull * DAY_MS * SETTLE_MS);
	refused(2 * UNIT + 1, "monthly_cents (1000)", "2"); /* it waits still */
	t->status = TASK_CREATED;
	allowed(10 * UNIT);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_limit_of_a_task_is_exact, setup, teardown),
		cmocka_unit_test_setup_teardown(the_limit_of_an_hour_slides, setup, teardown),
		cmocka_unit_test_setup_teardown(the_limit_of_a_day_slides, setup, teardown),
		cmocka_unit_test_setup_teardown(the_limit_of_a_month_slides, setup, teardown),
		cmocka_unit_test_setup_teardown(the_limit_of_a_counterparty_is_of_one, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_was_paid_counts_and_what_came_back_does_not,
						setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_on_the_chain_yet_counts_however_old,
						setup, teardown),
		cmocka_unit_test_setup_teardown(over_a_lowered_limit_nothing_is_left, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_restart_and_a_clock_that_goes_back_reset_nothing,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_clock_that_is_ahead_forgets_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_task_of_a_boot_at_1970_is_of_today, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
