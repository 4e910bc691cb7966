/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* When the probes of I/O and memory are attached and detached, what is told of the time around that, and what they and
 * their readers missed. */
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "test_procs.h"
#include "test_psi.h"
#include "test_res.h"

static const struct stall_row *io_row(struct test *f, uint64_t id)
{
	const struct stall_row *found = NULL;

	for (uint32_t i = 0; i < f->s->n_rows; i++) {
		const struct stall_row *r = &f->s->rows[i];

		if (r->resource != LNX_RES_IO || f->s->whos.who[r->who].cgroup_id != id)
			continue;
		assert_null(found); /* told once */
		found = r;
	}
	return found;
}

/* As plugin psi tells of cgroup <id>: its totals, and the share of a second that they rose by. */
static void tell(struct test *f, uint64_t id, uint64_t some_ms, uint64_t full_ms, double pct)
{
	struct lnx_ev_psi_cgroup e = { .h = { sizeof(e), LNX_EV_PSI_CGROUP, sizeof(e), f->boot, 0,
					      LNX_CPU_NONE },
				       .window_ns = SEC,
				       .cgroup_id = id,
				       .io_some_us = some_ms * 1000,
				       .io_full_us = full_ms * 1000,
				       .io_some_pct = pct };

	assert_int_equal(testhost_deliver(f->t, &e.h), 0);
}

/* What rose since plugin psi told last is of the window in which the probe is attached; from then on the probe is
 * compared with what rises after. */
static void what_was_waited_before_an_attach_is_told_once(void **state)
{
	struct test *f = *state;
	char *dir = make_pressure(f);
	const struct stall_row *r;

	pressure_is(dir, "/t/poduid/a", "io", 1030); /* 515 of them full */
	tick(f);
	tick(f);
	tell(f, 100, 1000, 500, 0);
	rise(f);
	r = io_row(f, 100);
	assert_non_null(r);
	assert_int_equal(r->method, LNX_METHOD_PSI_ONLY);
	assert_int_equal(r->stalled_ns, 30 * MS);
	assert_int_equal(r->full_ns, 15 * MS);
	pressure_is(dir, "/t/poduid/a", "io", 1090);
	tell(f, 100, 1090, 545, 6); /* not news any more */
	waited(f, "blkio", 100, 50);
	tick(f);
	r = io_row(f, 100);
	assert_int_equal(r->method, LNX_METHOD_MODEL);
	assert_int_equal(r->psi_ns, 60 * MS);
	assert_int_equal(r->stalled_ns, 60 * MS);
	drop_pressure(dir);
}

/* And what is told after a detach is what plugin psi tells, not what rose while the probe was attached. */
static void after_a_detach_pressure_begins_anew(void **state)
{
	struct test *f = *state;
	char *dir = make_pressure(f);
	const struct stall_row *r;

	pressure_is(dir, "/t/poduid/a", "io", 1000);
	tick(f);
	rise(f);
	waited(f, "blkio", 100, 50);
	tick(f);
	assert_int_equal(testhost_conf(f->t, "attach_above=10s"), 0);
	assert_int_equal(testhost_reload(f->t), 0);
	f->boot += 60 * SEC;
	f->s->has_psi = 1;
	tick(f);
	f->s->has_psi = 0;
	assert_false(stall_is_attached(f->s, LNX_RES_IO));
	assert_false(stall_is_live(f->s, LNX_RES_IO));
	assert_int_equal(testhost_probe_wanted(f->t, "blkio"), 0);
	tell(f, 100, 9000, 0, 4);
	tick(f);
	r = io_row(f, 100);
	assert_int_equal(r->method, LNX_METHOD_PSI_ONLY);
	assert_int_equal(r->stalled_ns, 40 * MS);
	drop_pressure(dir);
}

static void an_attach_reads_no_more_files_than_allowed(void **state)
{
	struct test *f = *state;
	char *dir = make_pressure(f);
	uint32_t n = 0;

	pressure_is(dir, "/t/poduid/a", "io", 1000);
	pressure_is(dir, "/t/poduid/b", "io", 1000);
	pressure_is(dir, "/t/podc/c", "io", 1000);
	tick(f);
	assert_int_equal(testhost_conf(f->t, "psi_reads=2"), 0);
	for (uint32_t i = 0; i < f->s->whos.n; i++)
		f->s->whos.who[i].psi[LNX_RES_IO].is_known = 1; /* of before */
	rise(f);
	for (uint32_t i = STALL_WHO_FIRST; i < f->s->whos.n; i++)
		n += f->s->whos.who[i].psi[LNX_RES_IO].is_known;
	assert_int_equal(n, 1); /* the second of two: the first has no file */
	drop_pressure(dir);
}

/* ---- when */

/* Total pressure of I/O of this machine is <ms> above the last look; the look that follows is the test's. */
static int rises_by(struct test *f, uint64_t ms)
{
	uint64_t some = 0, full;

	if (stall_psi_node(LNX_RES_IO, &some, &full) || some < ms * 1000) {
		print_message("SKIP: hardly any pressure of I/O to be seen here\n");
		skip();
	}
	f->s->res->io.node_us = some - ms * 1000;
	f->s->res->io.has_node = 1;
	f->s->has_psi = 1;
	tick(f);
	f->s->has_psi = 0;
	return stall_is_attached(f->s, LNX_RES_IO);
}

static void a_probe_comes_with_as_much_stall_as_is_asked_for(void **state)
{
	struct test *f = *state;

	assert_int_equal(testhost_conf(f->t, "attach_above=200ms"), 0);
	assert_int_equal(testhost_reload(f->t), 0);
	assert_false(rises_by(f, 100));
	assert_true(rises_by(f, 400));
	assert_int_equal(testhost_probe_wanted(f->t, "blkio"), 1);
}

/* Of the first look nobody knows how much of it is new. */
static void the_first_look_is_no_rise(void **state)
{
	struct test *f = *state;

	assert_int_equal(testhost_conf(f->t, "attach_above=0"), 0);
	assert_int_equal(testhost_reload(f->t), 0);
	f->s->res->io.has_node = f->s->res->mem.has_node = 0;
	f->s->has_psi = 1;
	tick(f);
	f->s->has_psi = 0;
	assert_false(stall_is_attached(f->s, LNX_RES_IO));
	assert_false(stall_is_attached(f->s, LNX_RES_MEMORY));
}

static void over_its_budget_the_agent_attaches_none(void **state)
{
	struct test *f = *state;

	rise(f);
	tick(f);
	f->s->shed.govern.level = STALL_LEVEL_PSI;
	(void)snprintf(f->s->shed.why, sizeof(f->s->shed.why), "over budget");
	for (int i = 0; i < 2; i++) {
		f->s->res->io.node_us = 0; /* pressure rises */
		f->s->has_psi = 1;
		tick(f);
		f->s->has_psi = 0;
		assert_false(stall_is_attached(f->s, LNX_RES_IO));
		assert_false(stall_is_attached(f->s, LNX_RES_MEMORY));
	}
	assert_int_equal(testhost_probe_wanted(f->t, "blkio"), 0);
	assert_int_equal(testhost_probe_wanted(f->t, "mem"), 0);
	assert_false(stall_can_measure(f->s, LNX_RES_IO));
	assert_string_equal(stall_why(f->s, LNX_RES_IO), "over budget");
	assert_string_equal(stall_why(f->s, LNX_RES_MEMORY), "over budget");
	f->s->shed.govern.level = STALL_LEVEL_SLOTS;
	assert_true(stall_can_measure(f->s, LNX_RES_IO));
	assert_string_equal(stall_why(f->s, LNX_RES_IO), "");
	f->s->res->io.node_us = 0;
	f->s->has_psi = 1;
	tick(f);
	f->s->has_psi = 0;
	assert_true(stall_is_attached(f->s, LNX_RES_IO));
}

/* Cgroups may be others by now. */
static void an_attach_forgets_who_stood_for_whom(void **state)
{
	struct test *f = *state;
	uint64_t from = 200, to = 100;

	put(f, "blkio", "alias", &from, &to);
	rise(f);
	assert_int_not_equal(testhost_host(f->t)->map_lookup(
				     testhost_ctx(f->t), fd_of(f, "blkio", "alias"), &from, &to),
			     0);
}

/* While a probe is attached, and nobody waits, there is nobody to tell of. */
static void who_waited_for_nothing_is_no_victim(void **state)
{
	struct test *f = *state;
	char *json;

	rise(f);
	tick(f);
	json = blame_of(f, LNX_RES_IO, STALL_BY_CONTAINER, f->boot - SEC, NULL);
	assert_non_null(strstr(json, "\"victims\":[],\"victims_total\":0}"));
	free(json);
}

/* ---- what was missed */

static double missed(struct test *f, const char *probe, const char *reason)
{
	char labels[64];

	(void)snprintf(labels, sizeof(labels), "probe=%s,reason=%s", probe, reason);
	return testhost_metric(f->t, "linnix_stall_probe_repairs_total", labels);
}

static void what_a_probe_could_not_keep_is_counted_by_reason(void **state)
{
	static const char *const reasons[] = { "gate_full",   "wait_full",   "healed",
					       "late",	      "device_full", "request_full",
					       "rq_unknown",  "rq_replaced", "culprit_full",
					       "victim_full", "alloc_full",  "rq_lost",
					       "proc_full" };
	struct lnx_rec_counts c = { { 0 } };
	struct test *f = *state;
	uint32_t zero = 0;

	for (uint32_t i = 0; i < LNX_RES_COUNTS; i++)
		c.n[i] = 1000; /* of before */
	put(f, "blkio", "counts", &zero, &c);
	rise(f);
	tick(f);
	for (uint32_t i = 0; i < 13; i++)
		assert_true(isnan(missed(f, "blkio", reasons[i])));
	for (int round = 1; round <= 2; round++) {
		for (uint32_t i = 0; i < LNX_RES_COUNTS; i++)
			c.n[i] += i + 1;
		put(f, "blkio", "counts", &zero, &c);
		tick(f);
		for (uint32_t i = 0; i < 13; i++)
			assert_true(
				testhost_near(missed(f, "blkio", reasons[i]), round * (i + 1), 0));
	}
	assert_int_equal(testhost_metric_series(f->t, "linnix_stall_probe_repairs_total"), 13);
	c = (struct lnx_rec_counts){ .n = { [LNX_RES_N_ALLOC_FULL] = 5 } };
	put(f, "mem", "counts", &zero, &c);
	tick(f);
	assert_true(testhost_near(missed(f, "mem", "alloc_full"), 5, 0));
	assert_true(testhost_near(missed(f, "blkio", "alloc_full"), 22, 0));
}

static void what_the_reader_could_not_keep_is_counted(void **state)
{
	struct test *f = *state;

	rise(f);
	tick(f);
	for (uint64_t id = 10000; id < 10000 + STALL_RES_GATES + 7; id++)
		waited(f, "blkio", id, 1);
	tick(f);
	assert_true(testhost_near(missed(f, "blkio", "reader_full"), 7, 0));
	assert_true(isnan(missed(f, "mem", "reader_full")));
	for (uint64_t id = 10000; id < 10000 + STALL_RES_GATES + 5; id++)
		allocated(f, id, 1);
	tick(f);
	assert_true(testhost_near(missed(f, "mem", "reader_full"), 5, 0));
}

/* What makes a wait or its culprit unknown is said with the figures; what was repaired, or names no process, is not. */
static void a_full_map_of_a_probe_is_said_of_its_window(void **state)
{
	struct lnx_rec_counts c = { { 0 } };
	struct test *f = *state;
	uint32_t zero = 0;

	rise(f);
	tick(f);
	for (uint32_t i = 0; i < 13; i++) {
		uint32_t is_full = i != LNX_RES_N_HEALED && i != LNX_RES_N_LATE &&
				   i != LNX_RES_N_RQ_UNKNOWN && i != LNX_RES_N_RQ_REPLACED &&
				   i != LNX_RES_N_RQ_LOST && i != LNX_RES_N_PROC_FULL;

		c.n[i]++;
		put(f, "blkio", "counts", &zero, &c);
		waited(f, "blkio", 100, 40);
		tick(f);
		for (uint64_t id = 0; id <= 100; id += 100)
			if (((io_row(f, id)->flags & STALL_F_OVERFLOW) != 0) != is_full)
				fail_msg("count %u of %u", i, (unsigned)id);
	}
}

/* <tid> has waited in cgroup <id>, as the probe saw it, for longer than the reader believes. */
static void waits_since_long(struct test *f, uint32_t tid, uint64_t id)
{
	const struct lnx_rec_gate g = { .n = 1, .since = f->mono, .born = 1 };
	const struct lnx_rec_waiting w = { .cgroup_id = id, .born = 1, .since = f->mono };

	put(f, "blkio", "gates", &id, &g);
	put(f, "blkio", "waiting", &tid, &w);
}

static int is_there(struct test *f, uint64_t id)
{
	struct lnx_rec_gate g;

	return testhost_host(f->t)->map_lookup(testhost_ctx(f->t), fd_of(f, "blkio", "gates"), &id,
					       &g) == 0;
}

/* A process that sleeps, with a name that looks like one that runs. */
static uint32_t sleeper(void)
{
	char path[64], text[256];
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)prctl(PR_SET_NAME, "a) R (b");
		for (;;)
			(void)pause();
	}
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (int tries = 0;; tries++) {
		FILE *in = fopen(path, "re");

		assert_non_null(in);
		assert_non_null(fgets(text, sizeof(text), in));
		(void)fclose(in);
		if (strstr(text, "(a) R (b) S"))
			return (uint32_t)pid;
		assert_true(tries < 1000000);
		(void)sched_yield();
	}
}

/* The probe missed the end of a wait: who runs, or is no more, does not wait. */
static void a_wait_without_an_end_is_repaired_and_counted(void **state)
{
	struct test *f = *state;
	uint32_t asleep = sleeper();

	rise(f);
	tick(f);
	waits_since_long(f, asleep, 100);
	waits_since_long(f, (uint32_t)getpid(), 102); /* it runs */
	waits_since_long(f, 0x7ffffff0, 103);	      /* it is no more */
	f->mono += 11 * SEC;
	tick(f);
	assert_true(is_there(f, 100));
	assert_false(is_there(f, 102));
	assert_false(is_there(f, 103));
	assert_true(testhost_near(missed(f, "blkio", "stuck"), 2, 0));
	assert_int_equal(kill((pid_t)asleep, SIGKILL), 0);
	assert_int_equal(waitpid((pid_t)asleep, NULL, 0), (pid_t)asleep);
}

#define RES_TEST(f) cmocka_unit_test_setup_teardown(f, setup_res, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RES_TEST(what_was_waited_before_an_attach_is_told_once),
		RES_TEST(after_a_detach_pressure_begins_anew),
		RES_TEST(an_attach_reads_no_more_files_than_allowed),
		RES_TEST(a_probe_comes_with_as_much_stall_as_is_asked_for),
		RES_TEST(the_first_look_is_no_rise),
		RES_TEST(over_its_budget_the_agent_attaches_none),
		RES_TEST(an_attach_forgets_who_stood_for_whom),
		RES_TEST(who_waited_for_nothing_is_no_victim),
		RES_TEST(what_a_probe_could_not_keep_is_counted_by_reason),
		RES_TEST(what_the_reader_could_not_keep_is_counted),
		RES_TEST(a_full_map_of_a_probe_is_said_of_its_window),
		RES_TEST(a_wait_without_an_end_is_repaired_and_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
