/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a task that came to nothing leaves of its allowance is taken back: all of it, only that, and over a restart. */
#include "test_out.h"

#include "allow.h"
#include "prepare.h"

#include <unistd.h>

/* A task of ours for 3 of the token, without escrow where it says so. */
static struct task *add_named(uint8_t id, int is_escrow, uint32_t status, const char *in_phase)
{
	struct task *t = calloc(1, sizeof(*t)), **last = &f.s.tasks;

	assert_non_null(t);
	t->role = TASK_PAYER;
	t->id[0] = id;
	t->is_escrow = is_escrow != 0;
	t->status = status;
	t->max.b[31] = 3;
	(void)snprintf(t->phase, sizeof(t->phase), "%s", in_phase); /* fits */
	while (*last)
		last = &(*last)->next;
	*last = t;
	f.s.n_tasks++;
	return t;
}

static void drop_tasks(void)
{
	for (struct task *t; (t = f.s.tasks);) {
		f.s.tasks = t->next;
		task_free(t);
	}
	f.s.n_tasks = 0;
}

static int begin(void **state)
{
	static const struct lnx_metric_desc
		left = { .name = "linnix_chain_allowances_left",
			 .help = "left",
			 .kind = LNX_GAUGE },
		back = { .name = "linnix_chain_allowances_taken_back_total",
			 .help = "back",
			 .kind = LNX_COUNTER };

	return setup_key(state) || host.metric(f.s.ctx, &left, NULL, &f.s.m_left) ||
	       host.metric(f.s.ctx, &back, NULL, &f.s.m_back);
}

static int end(void **state)
{
	drop_tasks();
	return teardown_key(state);
}

/* What was given for it, in the chain with that nonce. */
static struct op *give(struct task *t, uint64_t amount, uint64_t nonce)
{
	char why[OP_TEXT];
	struct op *op;
	struct u256 v;

	u256_from_u64(amount, &v);
	f.s.nonce_latest = nonce;
	assert_int_equal(allow_give(&f.s, t, &v, why), -EAGAIN);
	op = op_find(&f.s, OP_APPROVE, t->id, "0");
	assert_non_null(op);
	assert_int_equal(op_sign(&f.s, op, 100000, 1000, 2000), 0);
	op->state = OP_CONFIRMED;
	op->block = 90;
	return op;
}

static struct op *create(struct task *t, uint32_t state)
{
	struct op *op;

	task_queue_create(&f.s, t);
	op = op_find(&f.s, OP_CREATE, t->id, "");
	assert_non_null(op);
	op_set(&f.s, op, state, "%s", state > OP_CONFIRMED ? "no" : "");
	return op;
}

static struct op *back_of(const struct task *t)
{
	return op_find(&f.s, OP_APPROVE, t->id, ALLOW_BACK);
}

static uint64_t amount(const struct op *op)
{
	return op->data[op->n_data - 1];
}

/* It is mined, deep enough. */
static void confirm(struct op *op, uint64_t nonce)
{
	f.s.nonce_latest = nonce;
	assert_int_equal(op_sign(&f.s, op, 100000, 1000, 2000), 0);
	op_set(&f.s, op, OP_CONFIRMED, "%s", "");
	op->block = 95;
}

static void a_create_that_failed_leaves_no_allowance(void **state)
{
	struct task *t = add_named(1, 1, TASK_NONE, PHASE_ACCEPTED);
	struct op *op = give(t, 3, 5), *back;

	(void)state;
	(void)create(t, OP_QUEUED);
	task_due(&f.s);
	assert_string_equal(allow_name(&f.s, t), "given");
	assert_null(back_of(t)); /* it may be needed yet */
	(void)create(t, OP_ABANDONED);
	task_due(&f.s);
	assert_string_equal(t->phase, PHASE_FAILED);
	assert_string_equal(allow_name(&f.s, t), "left");
	back = back_of(t);
	assert_non_null(back);
	assert_true(op_is_revoke(back) && op_protects(back));
	task_due(&f.s);
	assert_false(task_is_final(t));
	assert_int_equal((int)testhost_metric(f.t, "linnix_chain_allowances_left", ""), 1);
	confirm(back, 6);
	task_due(&f.s);
	assert_string_equal(op->error, "over: it was taken back");
	assert_int_equal((int)testhost_metric(f.t, "linnix_chain_allowances_taken_back_total", ""),
			 1);
	task_due(&f.s);
	assert_true(task_is_final(t));
	assert_string_equal(allow_name(&f.s, t), "none");
	assert_int_equal((int)testhost_metric(f.t, "linnix_chain_allowances_left", ""), 0);
}

/* As the agent does it: what is in the file is all that the next one knows. */
static void restart(const char *path)
{
	struct db_cursor cursor = { .block = 0 };
	char error[DB_ERROR] = "";
	struct db_loaded l;
	sqlite3 *db = NULL;

	assert_int_equal(db_open(path, 0, &db, &l, error), 0);
	for (struct task *t; (t = l.tasks);) {
		l.tasks = t->next;
		task_free(t);
	}
	for (struct op *op; (op = l.ops);) {
		l.ops = op->next;
		op_free(op);
	}
	for (struct task *t = f.s.tasks; t; t = t->next)
		assert_int_equal(db_write(db, NULL, 0, t, 1, &cursor, error), 0);
	for (struct op *op = f.s.ops; op; op = op->next)
		assert_int_equal(db_write(db, op, 1, NULL, 0, &cursor, error), 0);
	db_close(&db);
	drop_tasks();
	for (struct op *op; (op = f.s.ops);) {
		f.s.ops = op->next;
		op_free(op);
	}
	assert_int_equal(db_open(path, 0, &db, &l, error), 0);
	db_close(&db);
	f.s.tasks = l.tasks;
	f.s.ops = l.ops;
	for (struct op *op = f.s.ops; op; op = op->next)
		op_restore(&f.s, op);
	f.s.head = 0; /* the chain was not seen yet */
	task_restarted(&f.s);
	op_sweep(&f.s);
	f.s.head = 200;
}

static void a_restart_between_changes_nothing(void **state)
{
	char path[] = "/tmp/lnx-allow-XXXXXX";
	struct task *t = add_named(1, 1, TASK_NONE, PHASE_ACCEPTED);
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	(void)give(t, 3, 5);
	(void)create(t, OP_ABANDONED);
	task_due(&f.s);
	op_set(&f.s, back_of(t), OP_ABANDONED, "%s", "never written"); /* killed before */
	restart(path);
	t = f.s.tasks;
	assert_non_null(t);
	assert_false(task_is_final(t));
	task_due(&f.s);
	assert_non_null(back_of(t));
	assert_int_equal(back_of(t)->state, OP_QUEUED);
	restart(path);
	t = f.s.tasks;
	task_due(&f.s);
	confirm(back_of(t), 6);
	restart(path);
	t = f.s.tasks;
	assert_false(task_is_final(t));
	task_due(&f.s);
	task_due(&f.s);
	assert_true(task_is_final(t));
	restart(path); /* and it is not looked for again */
	assert_true(task_is_final(f.s.tasks));
	task_due(&f.s);
	assert_string_equal(allow_name(&f.s, f.s.tasks), "none");
	(void)close(fd);
	(void)unlink(path);
}

static void one_that_is_cancelled_is_over_when_nothing_is_left(void **state)
{
	struct task *t = add_named(1, 1, TASK_NONE, PHASE_ACCEPTED);
	char why[TASK_ERROR] = "";

	(void)state;
	(void)give(t, 3, 5);
	(void)create(t, OP_QUEUED);
	assert_int_equal(task_wish(&f.s, t, "cancel", "", 0, why), 0);
	assert_string_equal(t->phase, PHASE_CANCELLING);
	task_due(&f.s);
	assert_non_null(back_of(t));
	assert_int_equal(back_of(t)->state, OP_QUEUED); /* not unwanted, as all else of it */
	confirm(back_of(t), 6);
	task_due(&f.s);
	task_due(&f.s);
	assert_string_equal(t->phase, PHASE_CANCELLED);
	assert_true(task_is_final(t));
}

/* It was not mined: nothing is taken back with a call of its own. */
static void an_approve_that_is_out_is_replaced(void **state)
{
	struct task *t = add_named(1, 1, TASK_NONE, PHASE_ACCEPTED);
	struct op *op = give(t, 3, 5);

	(void)state;
	op->state = OP_SENT;
	(void)create(t, OP_ABANDONED);
	task_due(&f.s);
	assert_non_null(op->unwanted);
	assert_null(back_of(t));
	assert_string_equal(allow_name(&f.s, t), "left");
	op->state = OP_MINED; /* what took its place */
	task_due(&f.s);
	assert_null(back_of(t));
	op->unwanted = NULL; /* it landed nevertheless */
	task_due(&f.s);
	assert_non_null(back_of(t));
}

/* What others need stays: of open tasks without escrow, and of one that waits for its create. */
static void others_keep_theirs(void **state)
{
	struct task *t = add_named(1, 1, TASK_NONE, PHASE_ACCEPTED), *waits;

	(void)state;
	(void)add_named(2, 0, TASK_CREATED, PHASE_OPEN);
	waits = add_named(3, 1, TASK_NONE, PHASE_ACCEPTED);
	(void)give(t, 9, 5);
	(void)give(waits, 6, 6);
	(void)create(waits, OP_QUEUED);
	(void)create(t, OP_ABANDONED);
	task_due(&f.s);
	assert_non_null(back_of(t));
	assert_int_equal(amount(back_of(t)), 6);
	assert_false(op_is_revoke(back_of(t)));
	/* one of them is over before it is signed */
	op_set(&f.s, op_find(&f.s, OP_CREATE, waits->id, ""), OP_ABANDONED, "%s", "no");
	task_due(&f.s);
	assert_int_equal(amount(back_of(t)), 6);
	op_set(&f.s, back_of(t), OP_ABANDONED, "%s", "other tasks need another allowance now");
	task_due(&f.s);
	assert_int_equal(back_of(t)->state, OP_QUEUED);
	assert_int_equal(amount(back_of(t)), 3);
	assert_null(back_of(waits)); /* one for both */
}

/* Less was asked for than it was made for, or nothing. */
static void one_without_escrow_leaves_what_it_did_not_cost(void **state)
{
	static const uint32_t ends[] = { TASK_SETTLED, TASK_CANCELLED, TASK_EXPIRED };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct task *t = add_named((uint8_t)(i + 1), 0, ends[i], task_status_name(ends[i]));
		struct op *back;

		(void)give(t, 3, 10 * i);
		task_due(&f.s);
		assert_null(back_of(t)); /* a reorganisation could ask for it again */
		t->is_settled_deep = 1;
		task_due(&f.s);
		back = back_of(t);
		assert_non_null(back);
		confirm(back, 10 * i + 1);
		task_due(&f.s);
		task_due(&f.s);
		assert_true(task_is_final(t));
	}
}

static void an_escrow_that_was_taken_and_a_payers_own_leave_nothing(void **state)
{
	struct task *t = add_named(1, 1, TASK_SETTLED, "settled"), *own;

	(void)state;
	(void)give(t, 3, 5);
	t->is_settled_deep = 1;
	own = add_named(2, 1, TASK_NONE, PHASE_ACCEPTED);
	(void)create(own, OP_FAILED); /* with what the payer allowed by itself */
	task_due(&f.s);
	assert_null(back_of(t));
	assert_null(back_of(own));
	assert_true(task_is_final(t));
}

/* ---- before it is signed */

static struct op *left_of_three(struct task **ret)
{
	struct task *t = add_named(1, 1, TASK_NONE, PHASE_ACCEPTED);

	(void)give(t, 3, 5);
	(void)create(t, OP_ABANDONED);
	task_due(&f.s);
	*ret = t;
	return back_of(t);
}

static void plan_with(const char *allowance, const char *second)
{
	const char *const one[] = { "\"0x\"", allowance, "\"0x5208\"", NULL };
	const char *const two[] = { "\"0x\"", second, "\"0x5208\"", NULL };

	u256_from_u64(1ull << 62, &f.s.balance);
	plan_begin(&f.s, looked_at);
	assert_non_null(f.s.plan);
	answer(one);
	if (second)
		answer(two);
}

static void what_is_not_there_is_not_taken_back(void **state)
{
	struct task *t;
	struct op *back = left_of_three(&t);

	(void)state;
	plan_with("\"0x" ZEROS "\"", NULL);
	assert_int_equal(back->state, OP_ABANDONED);
	assert_string_equal(allow_name(&f.s, t), "none");
	assert_string_equal(op_find(&f.s, OP_APPROVE, t->id, "0")->error,
			    "over: nothing of it was left");
	task_due(&f.s);
	assert_true(task_is_final(t));
	assert_int_equal(back->state, OP_ABANDONED);
}

static void what_is_there_is(void **state)
{
	struct task *t;
	struct op *back = left_of_three(&t);

	(void)state;
	plan_with("\"0x" ONE "\"", NULL);
	assert_int_equal(back->state, OP_SIGNED);
}

/* One that hides it ends nothing. */
static void one_alone_does_not_say_that_nothing_is_left(void **state)
{
	struct task *t;
	struct op *back = left_of_three(&t);

	(void)state;
	second_endpoint();
	plan_with("\"0x" ZEROS "\"", "\"0x" THREE "\"");
	assert_int_equal(back->state, OP_QUEUED);
	assert_string_equal(allow_name(&f.s, t), "left");
	on(SETTLE_SEC);
	plan_with("\"0x" THREE "\"", "\"0x" ZEROS "\"");
	assert_int_equal(back->state, OP_SIGNED);
}

/* A dry run of the whole agent gives nothing, and takes nothing back over and over. */
static void a_dry_agent_takes_nothing_back(void **state)
{
	struct task *t = add_named(1, 1, TASK_NONE, PHASE_ACCEPTED);

	(void)state;
	f.conf.dry_run = 1;
	(void)give(t, 3, 5);
	(void)create(t, OP_ABANDONED);
	task_due(&f.s);
	assert_null(back_of(t));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_create_that_failed_leaves_no_allowance),
		CASE(a_restart_between_changes_nothing),
		CASE(one_that_is_cancelled_is_over_when_nothing_is_left),
		CASE(an_approve_that_is_out_is_replaced),
		CASE(others_keep_theirs),
		CASE(one_without_escrow_leaves_what_it_did_not_cost),
		CASE(an_escrow_that_was_taken_and_a_payers_own_leave_nothing),
		CASE(what_is_not_there_is_not_taken_back),
		CASE(what_is_there_is),
		CASE(one_alone_does_not_say_that_nothing_is_left),
		CASE(a_dry_agent_takes_nothing_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
