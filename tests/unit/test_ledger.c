/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The shadow wait set, as it is compiled for the kernel, against a model that keeps every task in a list and
 * looks at all of them at every step. Seeded: LNX_SEED repeats a run, LNX_SEQUENCES sets its length. */
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ledger_reader.h"

static void expect_truth(uint64_t s)
{
	for (int v = 0; v < n_handles; v++)
		for (int c = 0; c < KEYS; c++)
			if (got[v][c] != truth[v][c])
				fail_msg("sequence %llu: victim %d culprit %d: %llu, in truth %llu",
					 (unsigned long long)s, v, c, (unsigned long long)got[v][c],
					 (unsigned long long)truth[v][c]);
}

static unsigned sequences(unsigned n)
{
	const char *e = getenv("LNX_SEQUENCES");

	return e ? (unsigned)strtoul(e, NULL, 10) : n;
}

static uint64_t first_seed(void)
{
	const char *e = getenv("LNX_SEED");

	return e ? strtoull(e, NULL, 10) : 1;
}

static __u32 no_detail;

static void run_exact(uint64_t s, int throttle, int n_ups, int dups)
{
	struct stall_ledger *l;

	begin(s, 2 + (int)roll(30), n_ups ? 12 : 1 + (int)(s % 12), 0, dups);
	table.no_detail = no_detail;
	with_throttle = throttle;
	/* A task that moves into a throttled queue runs on there: that time goes to the quota, by choice. And where one
	 * was that moved meanwhile, only its note knows. */
	with_moves = !throttle && !stores_max;
	if (n_ups)
		make_ups(n_ups);
	l = open_reader();
	for (unsigned i = 0; i < 120; i++) {
		step();
		if (!throttle && !roll(30))
			look_and_add(l, 1);
	}
	/* A reader cannot see that a throttle ended; the next charge can. */
	for (int c = 0; throttle && c < CPUS; c++)
		(void)lnx_ledger_walk(cpu_of(c), &table, now_ns);
	look_and_add(l, 1);
	expect_truth(s);
	if (!throttle) {
		for (int c = 0; c < KEYS; c++)
			assert_int_equal(got[HANDLES + LNX_LEDGER_NODE][c], truth_node[c]);
		for (int t = 1; t <= n_tasks; t++) {
			assert_int_equal(got_proc[t], no_detail ? 0 : truth_proc[t]);
			/* Mail that is not yet taken in counts as one sufferer. */
			if (!cpu_of(0)->mail_new && !cpu_of(1)->mail_new && !cpu_of(2)->mail_new)
				assert_int_equal(got_caused[t], no_detail ? 0 : truth_caused[t]);
		}
	}
	stall_ledger_free(l);
}

static void parts_are_those_of_the_model(void **state)
{
	(void)state;
	for (uint64_t s = first_seed(), end = s + sequences(3000); s < end; s++)
		run_exact(s, 0, 0, 0);
}

static void without_detail_the_parts_are_the_same(void **state)
{
	(void)state;
	no_detail = 1;
	for (uint64_t s = first_seed(), end = s + sequences(1000); s < end; s++)
		run_exact(s, 0, 0, 0);
	no_detail = 0;
}

static void duplicate_wakes_change_nothing(void **state)
{
	(void)state;
	for (uint64_t s = first_seed(), end = s + sequences(2000); s < end; s++)
		run_exact(s, 0, 0, 30);
}

static void throttled_time_is_nobody_elses(void **state)
{
	(void)state;
	for (uint64_t s = first_seed(), end = s + sequences(3000); s < end; s++)
		run_exact(s, 1, 0, 0);
}

static void sets_above_are_unions(void **state)
{
	(void)state;
	for (uint64_t s = first_seed(), end = s + sequences(2000); s < end; s++)
		run_exact(s, 0, 3, 0);
}

/* What is not charged yet, too: of the victim, and of the machine where nobody else waits. */
static void throttled_time_in_flight_is_nobody_elses(void **state)
{
	struct stall_ledger *l;

	(void)state;
	begin(1, 2, 2, 0, 0);
	tasks[0].k.handle = handles[0];
	place(&tasks[0], 0);
	queues[0][0].is_throttled = 1;
	queues[0][0].since = now_ns;
	tasks[0].is_waiting = 1;
	tell_wake(&tasks[0]);
	l = open_reader();
	now_ns += 5000 * STEP_NS;
	look_and_add(l, 1);
	assert_int_equal(got[0][HANDLES + LNX_LEDGER_THROTTLED + 1], 5000 * STEP_NS);
	assert_int_equal(got[HANDLES + LNX_LEDGER_NODE][HANDLES + LNX_LEDGER_THROTTLED + 1],
			 5000 * STEP_NS);
	stall_ledger_free(l);
}

/* More tasks wait than can be noted: who that is goes, and that somebody does stays. */
static void what_is_pushed_out_of_the_store_waits_no_longer_than_it_did(void **state)
{
	uint64_t before = n_evicted;

	(void)state;
	for (uint64_t s = first_seed(), end = s + sequences(2000); s < end; s++) {
		stores_max = 1 + (uint32_t)(s % 4);
		run_exact(s, s % 4 == 3, s % 4 == 2 ? 3 : 0, 0);
		for (int c = 0; c < CPUS; c++)
			for (int k = 0; k < LNX_LEDGER_COUNTS; k++)
				if (k == LNX_LEDGER_N_UNTRACKED || k == LNX_LEDGER_N_STALE_LEAVE ||
				    k == LNX_LEDGER_N_HEALED)
					assert_int_equal(cpu_of(c)->count[k], 0);
	}
	stores_max = 0;
	assert_true(n_evicted > before);
}

static uint64_t n_lone, n_long; /* entries of either kind that were seen */

/* Whatever is lost: every closed wait has its parts, and no CPU holds impossible state. */
static void expect_sane(int cpu)
{
	const struct lnx_ledger_cpu *c = cpu_of(cpu);
	uint64_t parts = 0, wait = 0;
	uint32_t n_thr = 0, n_up = 0, n_spill = 0;

	for (uint32_t i = 0; i < LNX_LEDGER_PAIRS; i++)
		parts += c->pairs[i].victim ? c->pairs[i].ns : 0;
	for (uint32_t i = 0; i < LNX_LEDGER_SLOTS; i++) {
		parts += c->sum[i].other_ns + c->sum[i].self_ns;
		wait += c->sum[i].wait_ns;
		assert_true(c->sum[i].pos <= c->n_wait);
	}
	assert_true(c->n_wait <= LNX_LEDGER_WAITS);
	/* The only one that waits, the short way, has no entry. */
	assert_true(c->n_wait ? c->lone == LNX_LEDGER_MANY : c->lone != LNX_LEDGER_MANY);
	n_lone += c->lone && !c->n_wait;
	n_long += c->n_wait;
	for (uint32_t i = 0; i < c->n_wait; i++) {
		const struct lnx_ledger_wait *e = &c->wait[i];

		assert_true(e->n > 0);
		assert_int_equal(c->sum[LNX_LEDGER_SLOT(e->handle)].pos, i + 1);
		wait += e->since > e->begin ? e->since - e->begin : 0;
		n_up += e->is_up;
		n_thr += e->thr && !e->is_up;
		n_spill += e->n_spill;
		assert_true(e->n_spill <= e->n);
	}
	assert_int_equal(c->n_spill, n_spill);
	assert_int_equal(c->n_up, n_up);
	assert_int_equal(c->n_thr, n_thr);
	assert_int_equal(parts, wait);
	assert_int_equal(c->seq & 1, 0);
}

/* Everybody runs once to the end; then the CPUs are idle and nobody waits. */
static void calm_down(void)
{
	loss_pct = 0;
	for (int h = 0; h < n_handles; h++)
		for (int c = 0; c < CPUS; c++) {
			queues[h][c].total +=
				queues[h][c].is_throttled ? now_ns - queues[h][c].since : 0;
			queues[h][c].is_throttled = 0;
		}
	for (int c = 0; c < CPUS; c++) {
		for (int next = find_waiting(c); running[c] >= 0 || next >= 0;
		     next = find_waiting(c)) {
			advance(STEP_NS);
			do_switch(c, next, 0, 0);
		}
	}
	for (int c = 0; c < CPUS; c++) {
		/* Also where the model is idle already, the ledger sees one more switch to idle. */
		advance(STEP_NS);
		for (int i = 0; i < n_tasks; i++)
			if (!tasks[i].is_running && !tasks[i].is_waiting) {
				place(&tasks[i], c);
				tasks[i].is_waiting = 1;
				tasks[i].joined = number_of(tasks[i].k.handle);
				tell_wake(&tasks[i]);
				advance(STEP_NS);
				do_switch(c, i, 0, 0);
				advance(STEP_NS);
				do_switch(c, -1, 0, 0);
				break;
			}
	}
}

/* Who was moved meanwhile and is noted nowhere is still counted once: where, only its note knew. */
static void who_moves_when_its_note_is_gone_leaves_no_wait_behind(void **state)
{
	uint64_t evicted = 0;

	(void)state;
	for (uint64_t s = first_seed(), end = s + sequences(3000); s < end; s++) {
		stores_max = 1 + (uint32_t)(s % 4);
		begin(s, 2 + (int)roll(30), 1 + (int)(s % 12), 0, 0);
		for (unsigned i = 0; i < 150; i++)
			step();
		calm_down();
		for (int c = 0; c < CPUS; c++) {
			const __u64 *n = cpu_of(c)->count;

			assert_int_equal(n[LNX_LEDGER_N_HEALED] + n[LNX_LEDGER_N_UNTRACKED] +
						 n[LNX_LEDGER_N_STALE_LEAVE] + cpu_of(c)->lone,
					 0);
			evicted += n[LNX_LEDGER_N_EVICTED];
		}
	}
	stores_max = 0;
	assert_true(evicted > 0);
}

static void losses_break_no_sum_and_heal(void **state)
{
	(void)state;
	for (uint64_t s = first_seed(), end = s + sequences(3000); s < end; s++) {
		stores_max = s % 3 ? 0 : 2;
		begin(s, 2 + (int)(s % 40), 1 + (int)(s % 12), 1 + (int)(s % 30), 10);
		with_throttle = s % 2;
		for (unsigned i = 0; i < 150; i++) {
			step();
			if (!roll(20)) {
				int k = (int)roll((uint32_t)n_handles);

				/* The slot goes to somebody else, whoever waits in it. */
				(void)stall_slot_release(&table, handles[k]);
				for (int t = 0; t < n_tasks; t++)
					if (tasks[t].k.handle == handles[k])
						tasks[t].k.handle =
							table.slot[LNX_LEDGER_SLOT(handles[k])]
								.handle;
				handles[k] = table.slot[LNX_LEDGER_SLOT(handles[k])].handle;
			}
			if (!(i % 30))
				expect_sane((int)roll(CPUS));
		}
		calm_down();
		for (int c = 0; c < CPUS; c++) {
			expect_sane(c);
			if (cpu_of(c)->lone)
				fail_msg(
					"sequence %llu: CPU %d still has %u waiting slots, lone %u",
					(unsigned long long)s, c, cpu_of(c)->n_wait,
					cpu_of(c)->lone);
		}
	}
	stores_max = 0;
}

/* Task 0 runs on CPU 0, and that CPU is never idle; task 1, said to wait there, was moved away unseen. */
static void what_is_left_over_heals_where_one_task_runs_alone(void **state)
{
	(void)state;
	for (uint64_t age = 0; age < 2; age++) {
		begin(1, 3, 3, 0, 0);
		for (int i = 0; i < 3; i++)
			put_to_wait(i, i);
		do_switch(0, 0, 0, 0);
		place(&tasks[1], 1);
		/* Where mail came just now it may be that one, on its way. */
		cpu_of(0)->mail_ns = now_ns;
		advance(LNX_MAIL_NS / 2 + age * LNX_MAIL_NS);
		do_switch(0, 2, 1, 0);
		advance(STEP_NS);
		do_switch(0, 0, 0, 0);
		expect_sane(0);
		assert_int_equal(cpu_of(0)->count[LNX_LEDGER_N_HEALED], age);
		assert_int_equal(cpu_of(0)->n_wait, 1 - age);
	}
}

static void what_is_left_over_of_a_cgroup_that_is_gone_is_dropped(void **state)
{
	(void)state;
	begin(1, 12, 7, 0, 0);
	make_ups(2);
	for (int i = 0; i < 4; i++)
		put_to_wait(i, 3 + i);
	table.gone = tasks[0].k.handle;
	do_switch(0, 1, 0, 0);
	advance(STEP_NS);
	do_switch(0, 2, 1, 0);
	expect_sane(0);
	assert_int_equal(cpu_of(0)->count[LNX_LEDGER_N_HEALED], 1);
	assert_int_equal(cpu_of(0)->sum[LNX_LEDGER_SLOT(tasks[0].k.handle)].pos, 0);
	tasks[0].is_waiting = 0;
	for (int v = 0; v < n_handles; v++) {
		int thr = 0, n = waits(v, 0, &thr);

		assert_int_equal(n > 0, cpu_of(0)->sum[LNX_LEDGER_SLOT(handles[v])].pos > 0);
	}
}

/* Task 0 of slot 0 runs on CPU 0, and task 1 of the same waits for it the short way. */
static void let_one_wait_alone(void)
{
	begin(1, 4, 2, 0, 0);
	for (int i = 0; i < 2; i++) {
		put_to_wait(i, 0);
		if (!i)
			do_switch(0, 0, 0, 0);
		advance(STEP_NS);
	}
	assert_int_equal(cpu_of(0)->lone, tasks[1].k.pid);
}

static void who_was_moved_while_it_waited_alone_runs_as_another(void **state)
{
	(void)state;
	one_set = 4711;
	let_one_wait_alone();
	tasks[1].k.handle = handles[1];
	table.moves++;
	do_switch(0, 1, 0, 0);
	one_set = 0;
	assert_int_equal(cpu_of(0)->cur, handles[1]);
	expect_sane(0);
}

static void a_switch_missed_while_one_waits_alone_is_counted(void **state)
{
	(void)state;
	let_one_wait_alone();
	lnx_ledger_on_switch(cpu_of(0), &table, &tasks[2].k, &tasks[1].k, now_ns);
	assert_int_equal(cpu_of(0)->count[LNX_LEDGER_N_LOST], 1);
	expect_sane(0);
}

static void who_waited_alone_keeps_beginning_and_queue(void **state)
{
	uint64_t began;

	(void)state;
	let_one_wait_alone();
	began = now_ns - STEP_NS;
	put_to_wait(2, 1);
	assert_int_equal(cpu_of(0)->wait[0].handle, handles[0]);
	assert_int_equal(cpu_of(0)->wait[0].begin, began);
	assert_int_equal(cpu_of(0)->wait[0].queue, tasks[1].k.queue);
	expect_sane(0);
}

static void both_ways_were_gone(void **state)
{
	(void)state;
	assert_true(n_lone > 0);
	assert_true(n_long > 0);
}

static void bounded_structures_overflow_into_other(void **state)
{
	uint64_t waits_full = 0, pairs_full = 0, other = 0;
	struct stall_ledger *l;

	(void)state;
	begin(first_seed(), TASKS, HANDLES, 0, 0);
	l = open_reader();
	for (unsigned i = 0; i < 60000; i++) {
		struct model_task *t = &tasks[roll((uint32_t)n_tasks)];

		now_ns += (1 + roll(1000)) * STEP_NS;
		if (!t->is_running && !t->is_waiting && roll(3))
			do_wake(t);
		else
			random_switch();
		if (!(i % 1000))
			look_and_add(l, 1);
	}
	look_and_add(l, 1);
	for (int c = 0; c < CPUS; c++) {
		expect_sane(c);
		waits_full += cpu_of(c)->count[LNX_LEDGER_N_WAIT_FULL];
		pairs_full += cpu_of(c)->count[LNX_LEDGER_N_PAIR_FULL];
	}
	for (int c = 0; c < KEYS; c++)
		other += got[HANDLES + LNX_LEDGER_OTHER][c];
	assert_true(waits_full > 0);
	assert_true(pairs_full > 0);
	assert_true(other > 0);
	stall_ledger_free(l);
}

static void a_process_is_told_what_it_did_to_a_full_set(void **state)
{
	struct lnx_ledger_proc *p = NULL;

	(void)state;
	begin(1, LNX_LEDGER_WAITS + 8, LNX_LEDGER_WAITS + 8, 0, 0);
	for (int i = 0; i < n_tasks; i++) {
		tasks[i].k.tgid = 1 + (uint32_t)i;
		put_to_wait(i, i);
		if (!i)
			do_switch(0, 0, 0, 0);
	}
	assert_int_equal(cpu_of(0)->n_wait, LNX_LEDGER_WAITS);
	advance(1000 * STEP_NS);
	do_switch(0, 1, 0, 0);
	for (int i = 0; i < LNX_LEDGER_PROCS; i++)
		if (cpu_of(0)->procs[i].tgid == 1)
			p = &cpu_of(0)->procs[i];
	assert_non_null(p);
	assert_int_equal(p->node_ns, 1000 * STEP_NS);
	assert_int_equal(p->caused_ns, 1000 * STEP_NS * LNX_LEDGER_WAITS);
}

static void count_a_move(void)
{
	table.moves++;
}

/* Task 0, told to wait on CPU 0 the short way, is switched to the long way: the slots were changed meanwhile. */
static void switch_the_long_way(void (*meanwhile)(void))
{
	put_to_wait(0, number_of(tasks[0].k.handle));
	table.moves++;
	advance(STEP_NS);
	at_look = meanwhile;
	do_switch(0, 0, 0, 0);
	at_look = NULL;
}

static void a_move_during_a_look_up_is_not_missed(void **state)
{
	(void)state;
	begin(1, 2, 2, 0, 0);
	switch_the_long_way(count_a_move);
	assert_int_equal(cpu_of(0)->cur, tasks[0].k.handle);
	assert_true((int32_t)(table.moves - cpu_of(0)->cur_moves) > 0);
}

/* The task that runs is moved, its set of cgroups goes, and that of another comes to the same address. */
static void cgroups_at_the_address_of_others_are_told_apart_after_a_move(void **state)
{
	(void)state;
	begin(1, 2, 2, 0, 0);
	tasks[0].k.handle = handles[0];
	tasks[1].k.handle = handles[1];
	one_set = 4711;
	switch_the_long_way(NULL);
	assert_int_equal(cpu_of(0)->cur, handles[0]);
	table.moves++; /* as the probe does when a task is attached */
	tell_wake(&tasks[1]);
	one_set = 0;
	assert_int_equal(cpu_of(0)->n_wait, 1);
	assert_int_equal(cpu_of(0)->wait[0].handle, handles[1]);
}

static uint32_t n_flushed, n_torn;

static void look_for_a_flush(void)
{
	if (cpu_of(0)->own_ns)
		return;
	n_flushed++;
	n_torn += !(cpu_of(0)->seq & 1);
}

static void what_was_kept_aside_before_a_pause_is_added_under_the_counter(void **state)
{
	(void)state;
	begin(1, 2, 2, 0, 0);
	cpu_of(0)->cur = handles[0];
	cpu_of(0)->own_ns = 4711;
	stall_cpus_reset(cpus_memory, CPUS);
	n_flushed = n_torn = 0;
	switch_the_long_way(look_for_a_flush);
	assert_int_equal(cpu_of(0)->sum[LNX_LEDGER_SLOT(handles[0])].self_ns, 4711);
	assert_true(n_flushed > 0);
	assert_int_equal(n_torn, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_are_those_of_the_model),
		cmocka_unit_test(without_detail_the_parts_are_the_same),
		cmocka_unit_test(duplicate_wakes_change_nothing),
		cmocka_unit_test(throttled_time_is_nobody_elses),
		cmocka_unit_test(throttled_time_in_flight_is_nobody_elses),
		cmocka_unit_test(sets_above_are_unions),
		cmocka_unit_test(what_is_pushed_out_of_the_store_waits_no_longer_than_it_did),
		cmocka_unit_test(who_moves_when_its_note_is_gone_leaves_no_wait_behind),
		cmocka_unit_test(losses_break_no_sum_and_heal),
		cmocka_unit_test(what_is_left_over_heals_where_one_task_runs_alone),
		cmocka_unit_test(what_is_left_over_of_a_cgroup_that_is_gone_is_dropped),
		cmocka_unit_test(who_was_moved_while_it_waited_alone_runs_as_another),
		cmocka_unit_test(a_switch_missed_while_one_waits_alone_is_counted),
		cmocka_unit_test(who_waited_alone_keeps_beginning_and_queue),
		cmocka_unit_test(both_ways_were_gone),
		cmocka_unit_test(bounded_structures_overflow_into_other),
		cmocka_unit_test(a_process_is_told_what_it_did_to_a_full_set),
		cmocka_unit_test(a_move_during_a_look_up_is_not_missed),
		cmocka_unit_test(cgroups_at_the_address_of_others_are_told_apart_after_a_move),
		cmocka_unit_test(what_was_kept_aside_before_a_pause_is_added_under_the_counter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
