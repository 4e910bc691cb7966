/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Offers, which anybody can make: they leave room for what we have at stake, and those that come to nothing are forgotten. */
#include "test_look.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collect.h"

static struct task *add_offer(unsigned i)
{
	uint8_t id[32] = { 1, (uint8_t)(i >> 8), (uint8_t)i };
	struct task *t = task_new(&f.s, id, TASK_PAYEE);

	assert_non_null(t);
	t->status = TASK_CREATED;
	t->is_escrow = 1;
	(void)snprintf(t->phase, sizeof(t->phase), "%s", PHASE_OFFERED); /* fits */
	return t;
}

static void drop_offers(void)
{
	while (f.task.next) {
		struct task *t = f.task.next;

		f.task.next = t->next;
		task_free(t);
	}
	f.s.n_tasks = 1;
}

/* Whoever wants us to miss the window of a dispute. */
static void however_many_offers_there_are_the_payers_task_is_looked_at(void **state)
{
	unsigned asked[41] = { 0 };

	(void)state;
	add_task();
	for (unsigned i = 0; i < 40; i++)
		(void)add_offer(i);
	for (unsigned turn = 0; turn < 20; turn++) {
		const struct task *t = f.s.tasks;

		rpc_reset(&f.s.batch);
		(void)rpc_add(&f.s.batch, "eth_blockNumber", "[]");
		task_look(&f.s);
		for (unsigned i = 0; t; t = t->next)
			asked[i++] += t->asked_at != 0;
	}
	assert_int_equal(asked[0], 20); /* in each turn */
	for (unsigned i = 1; i < 41; i++)
		assert_in_range(asked[i], 2, 3); /* and all of them in theirs */
	drop_offers();
}

static void those_at_stake_take_turns_beside_offers(void **state)
{
	struct task *t;
	unsigned n;

	(void)state;
	add_task();
	for (unsigned i = 0; i < 8; i++)
		(void)snprintf(add_offer(i)->phase, sizeof(t->phase), "%s",
			       i < 7 ? PHASE_RUNNING : PHASE_OFFERED); /* fits */
	for (unsigned turn = 0; turn < 2; turn++) {
		rpc_reset(&f.s.batch);
		(void)rpc_add(&f.s.batch, "eth_blockNumber", "[]");
		task_look(&f.s);
		for (n = 0, t = f.s.tasks; t; t = t->next)
			n += t->asked_at != 0;
		assert_int_equal(n, SETTLE_LOOK_TASKS);
	}
	for (t = f.s.tasks; t; t = t->next)
		assert_true(t->asked_turn);
	drop_offers();
}

/* One of the contract's logs: a task for us. */
static void see_offer(unsigned i)
{
	char log[900], topic[67], contract[43];
	const char *const told[] = { log, NULL };
	uint8_t hash[32];

	(void)abi_topic(SETTLEMENT_CREATED, hash);
	hex_format(hash, 32, topic);
	hex_format(f.s.settlement, 20, contract);
	(void)snprintf(log, sizeof(log),
		       "[{\"address\":\"%s\",\"topics\":[\"%s\",\"0x02%062x\",\"0x" ZEROS
		       "\",\"0x" ZEROS "\"],\"data\":\"0x" ZEROS ZEROS ZEROS ZEROS ZEROS
		       "\",\"transactionHash\":\"0x" ONE "\"}]",
		       contract, topic, i); /* fits */
	f.s.log_head = 0;
	watch_begin(&f.s, looked_at);
	answer(told);
}

/* A turn ends, and what changed is written. */
static void sweep(void)
{
	task_sweep(&f.s);
	for (struct task *t = f.s.tasks; t; t = t->next)
		t->is_dirty = 0;
	task_sweep(&f.s);
}

static void offers_leave_room_for_our_own(void **state)
{
	struct task *t;

	(void)state;
	add_task();
	f.conf.log_range = 2000;
	f.s.head = f.s.head_max = 100;
	for (unsigned i = 0; i < SETTLE_OFFERS - 1; i++)
		(void)add_offer(i);
	see_offer(1);
	assert_int_equal(f.s.n_tasks, SETTLE_OFFERS + 1);
	see_offer(2);
	assert_int_equal(f.s.n_tasks, SETTLE_OFFERS + 1);
	assert_int_equal((int)testhost_metric(f.t, "linnix_chain_offers_missed_total", ""), 1);
	assert_int_equal(testhost_health(f.t, "chain-tasks"), LNX_HEALTH_DEGRADED);
	(void)add_offer(SETTLE_OFFERS); /* by its id, or of ours */
	/* those that came to nothing make room soon */
	f.s.head_time = (uint64_t)settle_now_ms(&f.s) / 1000;
	for (t = f.task.next; t; t = t->next) {
		t->status = TASK_EXPIRED;
		t->changed_ms = settle_now_ms(&f.s) - 3599999;
	}
	f.task.next->changed_ms--;
	sweep();
	assert_int_equal(f.s.n_tasks, SETTLE_OFFERS + 2);
	sweep();
	assert_int_equal(f.s.n_tasks, SETTLE_OFFERS + 1);
	assert_int_equal((int)testhost_metric(f.t, "linnix_chain_offers_forgotten_total", ""), 1);
	see_offer(2);
	assert_int_equal(testhost_health(f.t, "chain-tasks"), LNX_HEALTH_DEGRADED);
	for (t = f.task.next; t; t = t->next)
		t->changed_ms--;
	sweep();
	sweep();
	see_offer(2);
	assert_int_equal(f.s.n_tasks, 2);
	assert_int_equal(testhost_health(f.t, "chain-tasks"), LNX_HEALTH_OK);
	drop_offers();
}

/* In memory, in the file and as events: of what nobody worked for to an end, or everybody left, nothing stays. */
static void what_came_to_nothing_is_kept_nowhere(void **state)
{
	static const struct {
		uint32_t status, deadline, head;
		const char *phase;
		int was_asked, goes;
	} cases[] = {
		{ TASK_CANCELLED, 90, 100, "cancelled", 1, 1 },
		{ TASK_EXPIRED, 90, 100, "expired", 1, 1 },
		/* nobody called it expired, and no reorganisation makes it young */
		{ TASK_CREATED, 67, 100, PHASE_OFFERED, 1, 1 },
		{ TASK_CREATED, 68, 100, PHASE_OFFERED, 1, 0 },
		{ TASK_CREATED, 67, 100, PHASE_RUNNING, 1, 0 },
		{ TASK_CREATED, 67, 100, PHASE_PROVEN, 1, 0 },
		{ TASK_CREATED, 67, 100, PHASE_OFFERED, 0, 0 },
		/* named by an id that the chain does not know */
		{ TASK_NONE, 0, 100, "", 1, 1 },
		{ TASK_NONE, 0, 100, "", 0, 0 },
		{ TASK_SUBMITTED, 67, 100, PHASE_SUBMITTED, 1, 0 },
		{ TASK_SETTLED, 67, 100, "settled", 1, 0 },
	};

	(void)state;
	add_task();
	f.s.head_time = (uint64_t)settle_now_ms(&f.s) / 1000;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct task *t = add_offer(i);

		t->status = cases[i].status;
		t->deadline = cases[i].deadline;
		t->asked_turn = cases[i].was_asked != 0;
		t->is_settled_deep = t->status > TASK_CREATED;
		f.s.head = cases[i].head;
		(void)snprintf(t->phase, sizeof(t->phase), "%s", cases[i].phase); /* fits */
		for (int again = 0; again < 2; again++) {
			t->changed_ms = settle_now_ms(&f.s) - 3599999 - again;
			sweep();
			if (f.s.n_tasks != 2u - (cases[i].goes && again))
				fail_msg("%u: %u tasks", i, f.s.n_tasks);
		}
		drop_offers();
	}
}

static void write_events(const char *dir, const struct task *t, char path[600])
{
	char id[67];
	int fd;

	hex_format(t->id, 32, id);
	(void)snprintf(path, 600, "%s/%s.events", dir, id); /* fits */
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
}

static unsigned count(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st = NULL;
	unsigned n;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = (unsigned)sqlite3_column_int(st, 0);
	(void)sqlite3_finalize(st); /* the step told */
	return n;
}

static void its_row_and_its_events_go_first(void **state)
{
	char dir[] = "/tmp/lnx-offers-XXXXXX", file[64], path[2][600], error[DB_ERROR] = "";
	struct op *op = add_op(0, OP_CONFIRMED);
	struct db_loaded l;
	struct task *t;

	(void)state;
	add_task();
	assert_non_null(mkdtemp(dir));
	(void)snprintf(file, sizeof(file), "%s/db", dir); /* fits */
	assert_int_equal(db_open(file, 0, &f.s.db, &l, error), 0);
	f.conf.events_dir = dir;
	f.s.state_path = file;
	f.s.head = 100;
	f.s.head_time = (uint64_t)settle_now_ms(&f.s) / 1000;
	for (unsigned i = 0; i < 2; i++) {
		t = add_offer(i);
		write_events(dir, t, path[i]);
		t->status = TASK_EXPIRED;
		t->is_settled_deep = 1;
	}
	memcpy(op->task, t->id, 32); /* we sent something for the second */
	op->is_dirty = 1;
	settle_flush_now(&f.s);
	assert_int_equal(count(f.s.db, "SELECT COUNT(*) FROM task"), 2);
	for (t = f.task.next; t; t = t->next)
		t->changed_ms = settle_now_ms(&f.s) - 3600001;
	task_sweep(&f.s);
	assert_int_equal(f.s.n_tasks, 3); /* the file first */
	settle_flush_now(&f.s);
	assert_int_equal(count(f.s.db, "SELECT COUNT(*) FROM task"), 1);
	assert_int_equal(access(path[0], F_OK), -1);
	assert_int_equal(access(path[1], F_OK), 0);
	task_sweep(&f.s);
	assert_int_equal(f.s.n_tasks, 2);
	/* what the chain has after all comes back */
	t = add_offer(0);
	t->is_forgotten = 1;
	task_sweep(&f.s);
	assert_false(t->is_forgotten);
	settle_flush_now(&f.s);
	assert_int_equal(count(f.s.db, "SELECT COUNT(*) FROM task"), 2);
	drop_offers();
	db_close(&f.s.db);
	f.s.state_path = NULL;
	(void)unlink(path[1]);
	(void)unlink(file);
	(void)rmdir(dir);
}

static int begin(void **state)
{
	static const struct lnx_metric_desc missed = { .name = "linnix_chain_offers_missed_total",
						       .help = "missed",
						       .kind = LNX_COUNTER },
					    gone = { .name = "linnix_chain_offers_forgotten_total",
						     .help = "forgotten",
						     .kind = LNX_COUNTER };

	return setup(state) || f.s.host->metric(f.s.ctx, &missed, NULL, &f.s.m_missed) ||
	       f.s.host->metric(f.s.ctx, &gone, NULL, &f.s.m_forgotten);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(however_many_offers_there_are_the_payers_task_is_looked_at),
		TEST(those_at_stake_take_turns_beside_offers),
		TEST(offers_leave_room_for_our_own),
		TEST(what_came_to_nothing_is_kept_nowhere),
		TEST(its_row_and_its_events_go_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
