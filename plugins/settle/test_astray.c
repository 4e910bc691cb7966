/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A task that the contract has otherwise than it was asked for: an alarm, and nothing is paid for it by itself. */
#include "test_out.h"

#include "astray.h"
#include "prepare.h"

#define SIXTEEN "0000000000000000000000000000000000000000000000000000000000000010"

static void look_payee(const char *payee, const char *status)
{
	char task[700], ext[300];
	const char *const first[] = { HEAD, "\"0x9\"", "\"0x1\"", FEES, task, ext, "!", NULL };

	(void)snprintf(task, sizeof(task),
		       "\"0x" ZEROS ZEROS ZEROS ZEROS ZEROS "%s" ZEROS THREE ZEROS "\"", status);
	(void)snprintf(ext, sizeof(ext), "\"0x%s" ZEROS ZEROS "\"", payee);
	look_begin(&f.s, looked_at);
	answer(first);
}

static void a_task_that_pays_another_raises_an_alarm(void **state)
{
	struct abi_value a[2];
	char why[OP_TEXT] = "";
	struct op *back, *approve;

	(void)state;
	add_task();
	memset(f.s.address, 0, 20);
	f.task.status = TASK_CREATED;
	f.task.is_escrow = 0;
	f.task.payee[19] = 3;
	look_payee(THREE, ONE);
	assert_string_equal(f.task.phase, PHASE_OPEN);
	assert_int_equal(testhost_health(f.t, "chain-payee"), LNX_HEALTH_OK);
	look_payee(SIXTEEN, ONE);
	assert_string_equal(f.task.phase, PHASE_FAILED);
	assert_non_null(strstr(f.task.reason, "the contract pays 0x"));
	assert_non_null(strstr(f.task.reason, "the allowance is being taken back"));
	assert_int_equal(f.task.payee[19], 3); /* as asked for: its receipt is judged by that */
	assert_int_equal(testhost_health(f.t, "chain-payee"), LNX_HEALTH_DEGRADED);
	back = op_find(&f.s, OP_APPROVE, f.task.id, "back");
	assert_non_null(back);
	assert_true(op_is_revoke(back));
	assert_false(prepare_pays(&f.s, back));
	/* whatever came of it (the token was paused), it is tried again */
	back->state = OP_FAILED;
	look_payee(SIXTEEN, ONE);
	assert_int_equal(back->state, OP_QUEUED);
	/* and nobody is allowed anything as long as it is open */
	abi_set_address(&a[0], f.s.settlement);
	abi_set_u64(&a[1], 5);
	approve = op_queue(&f.s, OP_APPROVE, f.task.id, "0", f.s.token, TOKEN_APPROVE, a, 2);
	assert_int_equal(prepare_judge(&f.s, approve, why), -EAGAIN);
	assert_int_equal(prepare_judge(&f.s, back, why), 0);
	/* a reorganisation put it right */
	look_payee(THREE, ONE);
	assert_string_equal(f.task.phase, PHASE_OPEN);
	assert_int_equal(prepare_judge(&f.s, approve, why), 0);
	assert_int_equal(testhost_health(f.t, "chain-payee"), LNX_HEALTH_OK);
	/* it was paid before anybody looked */
	look_payee(SIXTEEN, THREE);
	assert_string_equal(f.task.phase, "settled");
	assert_non_null(strstr(f.task.reason, "the contract pays 0x"));
	assert_int_equal(testhost_health(f.t, "chain-payee"), LNX_HEALTH_DEGRADED);
}

/* The contract's word on a task of ours, for the open one of add_task. */
struct terms {
	unsigned did, token, max, is_escrow, arbiter, status, deadline;
};

static void answer_terms(const struct terms *o)
{
	char task[700], ext[300], dispute[300];
	const char *const first[] = { HEAD, "\"0x9\"", "\"0x1\"", FEES, task, ext, dispute, NULL };

	(void)snprintf(task, sizeof(task),
		       "\"0x" ZEROS "%064x" ZEROS "%064x" ZEROS "%064x%064x%064x" ZEROS "\"",
		       o->did, o->deadline, o->status, o->token, o->max);		 /* fits */
	(void)snprintf(ext, sizeof(ext), "\"0x" THREE "%064x" ZEROS "\"", o->is_escrow); /* fits */
	(void)snprintf(dispute, sizeof(dispute), "\"0x%064x" ZEROS ZEROS "\"",
		       o->arbiter); /* fits */
	answer(first);
}

static void look_terms(struct terms o)
{
	look_begin(&f.s, looked_at);
	answer_terms(&o);
}

/* One that another program made under that name, or that the contract made up. */
static void other_terms_raise_an_alarm_and_pay_nothing(void **state)
{
	static const struct {
		struct terms of;
		const char *what;
	} cases[] = {
		/* the head is 100: what was made now with one of 7, and as deep as a reorganisation */
		{ { 0, 0, 3, 1, 5, TASK_CREATED, 140 }, "deadline" },
		{ { 1, 0, 3, 1, 5, TASK_CREATED, 0 }, "DID of its payee" },
		{ { 0, 1, 3, 1, 5, TASK_CREATED, 0 }, "token" },
		{ { 0, 0, 4, 1, 5, TASK_CREATED, 0 }, "amount" },
		{ { 0, 0, 2, 1, 5, TASK_CREATED, 0 }, "amount" },
		{ { 0, 0, 3, 0, 5, TASK_CREATED, 0 }, "mode" },
		{ { 0, 0, 3, 1, 6, TASK_CREATED, 0 }, "arbiter" },
	};
	static const struct terms asked = { 0, 0, 3, 1, 5, TASK_CREATED, 139 };
	const uint8_t none[32] = { 0 };
	char want[TASK_ERROR];

	(void)state;
	add_task();
	memset(f.s.address, 0, 20);
	f.task.payee[19] = 3;
	f.task.arbiter[19] = 5;
	f.task.has_arbiter = 1;
	f.task.deadline_blocks = 7;
	f.task.status = TASK_CREATED;
	f.conf.auto_settle = 1;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		look_terms(asked);
		assert_string_equal(f.task.phase, PHASE_OPEN);
		assert_int_equal(testhost_health(f.t, "chain-payee"), LNX_HEALTH_OK);
		look_terms(cases[i].of);
		assert_string_equal(f.task.phase, PHASE_FAILED);
		(void)snprintf(
			want, sizeof(want),
			"the contract has a task of that name with another %s than it was made with",
			cases[i].what); /* fits */
		assert_memory_equal(f.task.reason, want, strlen(want));
		assert_int_equal(testhost_health(f.t, "chain-payee"), LNX_HEALTH_DEGRADED);
		/* as asked for: its receipt is judged by that */
		assert_int_equal(f.task.max.b[31], 3);
		assert_memory_equal(f.task.token, none, 20);
		assert_memory_equal(f.task.payee_did32, none, 32);
		assert_int_equal(f.task.arbiter[19], 5);
		assert_true(f.task.is_escrow);
		/* what nothing is held of is drawn: that is taken back */
		assert_true((op_find(&f.s, OP_APPROVE, f.task.id, "back") != NULL) == (i >= 5));
	}
	/* good by itself, a receipt of it is not paid without somebody who looks */
	(void)snprintf(f.task.phase, sizeof(f.task.phase), "%s", PHASE_VERIFIED); /* fits */
	look_terms((struct terms){ 0, 0, 4, 1, 5, TASK_SUBMITTED, 0 });
	assert_null(op_find(&f.s, OP_SETTLE, f.task.id, ""));
	look_terms((struct terms){ 0, 0, 3, 1, 5, TASK_SUBMITTED, 0 });
	assert_non_null(op_find(&f.s, OP_SETTLE, f.task.id, ""));
}

/* It is on the chain before the payee's record was looked up: another program made it, or the state file was lost. */
static void one_that_is_there_already_is_compared_when_its_payee_is_known(void **state)
{
	static const struct terms asked = { 0, 0, 3, 1, 0, TASK_CREATED, 0 };

	(void)state;
	add_task();
	memset(f.s.address, 0, 20);
	f.task.status = TASK_NONE;
	(void)snprintf(f.task.phase, sizeof(f.task.phase), "%s", PHASE_CHECKING); /* fits */
	look_terms(asked);
	assert_int_equal(f.task.status, TASK_CREATED);
	assert_string_equal(f.task.phase, PHASE_CHECKING);
	assert_int_equal(testhost_health(f.t, "chain-payee"), LNX_HEALTH_OK);
	/* known, and not looked at since */
	(void)snprintf(f.task.phase, sizeof(f.task.phase), "%s", PHASE_ACCEPTED); /* fits */
	f.task.payee[19] = 3;
	task_due(&f.s);
	assert_string_equal(f.task.phase, PHASE_ACCEPTED);
	look_terms(asked);
	assert_string_equal(f.task.phase, PHASE_OPEN);
	/* no record proved anybody */
	(void)snprintf(f.task.phase, sizeof(f.task.phase), "%s", PHASE_FAILED); /* fits */
	f.task.payee[19] = 0;
	look_terms(asked);
	assert_string_equal(f.task.phase, PHASE_FAILED);
	assert_non_null(strstr(f.task.reason, "which no record proves to be its payee"));
}

/* More is at stake than was asked for: that counts. */
static void what_the_contract_may_take_counts_for_the_limits(void **state)
{
	char why[TASK_ERROR] = "";
	struct u256 one;

	(void)state;
	add_task();
	memset(f.s.address, 0, 20);
	f.task.payee[19] = 3;
	f.task.status = TASK_CREATED;
	f.conf.daily_cents = 10;
	f.conf.token_decimals = 2;
	u256_from_u64(1, &one);
	assert_int_equal(limit_check(&f.s, f.task.id, &one, why), 0);
	look_terms((struct terms){ 0, 0, 10, 1, 0, TASK_CREATED, 0 });
	assert_int_equal(limit_check(&f.s, f.task.id, &one, why), -EDQUOT);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_task_that_pays_another_raises_an_alarm),
		TEST(other_terms_raise_an_alarm_and_pay_nothing),
		TEST(one_that_is_there_already_is_compared_when_its_payee_is_known),
		TEST(what_the_contract_may_take_counts_for_the_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
