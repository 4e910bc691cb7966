/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Service stall/1: what processes, workloads and pods lost and caused, of which window, and how it was measured. */
#include "test_procs.h"

static const struct lnx_svc_stall *svc = &stall_service;

static struct lnx_stall_share workload(struct test *f, uint64_t id, uint64_t window_ns)
{
	struct lnx_stall_share share;

	assert_int_equal(svc->workload(f->s, LNX_RES_CPU, id, window_ns, &share), 0);
	return share;
}

static struct lnx_stall_share process(struct test *f, uint32_t pid, uint64_t start_ns,
				      uint64_t window_ns)
{
	struct lnx_stall_share share;

	assert_int_equal(svc->process(f->s, LNX_RES_CPU, pid, start_ns, window_ns, &share), 0);
	return share;
}

/* Some of what ran is in no table of processes; and c holds itself and a replica of its own up, too. */
static void a_process_has_its_part_of_what_its_cgroup_held(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102), d = slot_for(f, 103);
	struct lnx_stall_share s;

	begin(f);
	charge(f, 0, a, c, 300 * MS);
	charge(f, 0, d, c, 100 * MS);
	charge(f, 0, c, c, 100 * MS);
	charge(f, 0, c, a, 50 * MS);
	held(f, c, 10, 1, 300, 200);
	held(f, c, 11, 2, 100, 100);
	held(f, a, 20, 3, 50, 50);
	tick(f);
	s = process(f, 10, 1, 0);
	assert_int_equal(s.window_ns, 10 * SEC);
	assert_true(testhost_near(s.psi_contribution_ms, 300, 1e-6));
	assert_true(testhost_near(s.psi_contribution, 300 / 550., 1e-9));
	assert_true(testhost_near(s.caused_ms, 300 * 200 / 400., 1e-6));
	assert_true(isnan(s.stalled_ms) && isnan(s.throttled_ms));
	s = process(f, 11, 0, 0); /* whenever it began */
	assert_true(testhost_near(s.psi_contribution_ms, 100, 1e-6));
	assert_true(testhost_near(s.caused_ms, 300 * 100 / 400., 1e-6));
	assert_true(testhost_near(process(f, 20, 3, 0).caused_ms, 50, 1e-6));
	/* Another process of that number. */
	assert_int_equal(svc->process(f->s, LNX_RES_CPU, 10, 99, 0, &s), -ENOENT);
	assert_true(testhost_near(s.psi_contribution_ms, 0, 0));
	/* The table of processes says more than was measured: that is what they share. */
	charge(f, 0, a, c, 300 * MS);
	held(f, c, 10, 1, 450, 450);
	held(f, c, 11, 2, 150, 150);
	tick(f);
	s = process(f, 10, 1, SEC);
	assert_int_equal(s.window_ns, SEC);
	assert_true(testhost_near(s.psi_contribution_ms, 225, 1e-6));
	assert_true(testhost_near(s.psi_contribution, 0.75, 1e-9));
	assert_true(testhost_near(s.caused_ms, 225, 1e-6));
}

/* One that went from one cgroup to another did what it did in both. */
static void a_process_that_moved_is_the_sum_of_both_cgroups(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102), g = slot_for(f, 106);

	begin(f);
	charge(f, 0, a, c, 100 * MS);
	charge(f, 0, a, g, 60 * MS);
	held(f, c, 10, 1, 100, 100);
	held(f, g, 10, 1, 60, 60);
	tick(f);
	assert_true(testhost_near(process(f, 10, 1, 0).psi_contribution, 1, 1e-9));
	assert_true(testhost_near(process(f, 10, 1, 0).caused_ms, 160, 1e-6));
}

static void a_sum_is_of_the_window_that_is_asked_for(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102);

	begin(f);
	charge(f, 0, a, c, 100 * MS);
	tick(f);
	charge(f, 0, a, c, 30 * MS);
	tick(f);
	assert_true(testhost_near(workload(f, 100, SEC).stalled_ms, 30, 1e-6));
	assert_true(testhost_near(workload(f, 100, 2 * SEC).stalled_ms, 130, 1e-6));
	assert_true(testhost_near(workload(f, 102, SEC).caused_ms, 30, 1e-6));
	assert_true(testhost_near(workload(f, 102, 0).caused_ms, 130, 1e-6));
	charge(f, 0, a, c, 7 * MS);
	tick(f);
	assert_true(testhost_near(workload(f, 102, 0).caused_ms, 137, 1e-6));
	assert_true(testhost_near(workload(f, 102, SEC).caused_ms, 7, 1e-6));
	for (int i = 0; i < 8; i++)
		tick(f);
	assert_true(testhost_near(workload(f, 102, 0).caused_ms, 37, 1e-6)); /* of the last ten */
}

static void what_a_quota_held_is_told_apart(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102);
	struct lnx_stall_share s;
	struct stall_who *who;

	begin(f);
	who = who_of(f, 100);
	who->limit_ns = f->boot; /* two quotas above it are known */
	who->limit[1] = stall_limit_put(&f->s->whos, "/t", "cpu.max 1 2", f->boot, SEC);
	who->limit[2] = stall_limit_put(&f->s->whos, "/t/poduid", "cpu.max 3 4", f->boot, SEC);
	charge(f, 0, a, LNX_LEDGER_THROTTLED + 2, 70 * MS);
	charge(f, 0, a, LNX_LEDGER_THROTTLED + 1, 20 * MS);
	charge(f, 0, a, a, 10 * MS);
	charge(f, 0, c, a, 100 * MS);
	tick(f);
	s = workload(f, 100, 0);
	assert_true(testhost_near(s.stalled_ms, 100, 1e-6));
	assert_true(testhost_near(s.throttled_ms, 90, 1e-6));
	assert_true(testhost_near(s.caused_ms, 100, 1e-6));
	assert_true(testhost_near(s.psi_contribution_ms, 110, 1e-6)); /* its own waits included */
	assert_true(testhost_near(s.psi_contribution, 0.55, 1e-9));
	s = workload(f, 102, 0);
	assert_true(testhost_near(s.stalled_ms, 100, 1e-6));
	assert_true(testhost_near(s.throttled_ms, 0, 0));
	assert_true(testhost_near(s.caused_ms, 0, 0));
	/* Nobody has waited there. */
	assert_int_equal(svc->workload(f->s, LNX_RES_CPU, 4711, 0, &s), -ENOENT);
	assert_true(testhost_near(s.caused_ms, 0, 0));
	assert_true(testhost_near(s.stalled_ms, 0, 0));
}

/* CPUs weigh by how busy they are: what one held of all is all. */
static void a_share_is_of_what_the_node_lost_not_of_a_sum_over_cpus(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102);

	begin(f);
	charge(f, 0, a, c, 100 * MS);
	charge(f, 1, a, c, 300 * MS);
	held(f, c, 10, 1, 400, 400);
	tick(f);
	assert_true(row_of(f, 0)->stalled_ns < row_of(f, 0)->raw_ns);
	assert_true(testhost_near(workload(f, 102, 0).psi_contribution, 1, 1e-6));
	assert_true(testhost_near(process(f, 10, 1, 0).psi_contribution, 1, 1e-6));
}

static void a_pod_caused_what_its_containers_did(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), b = slot_for(f, 101), c = slot_for(f, 102), pod;
	struct lnx_stall_share s;

	begin(f);
	pod = f->tab->slot[LNX_LEDGER_SLOT(a)].up;
	assert_true(pod != 0);
	charge(f, 0, a, c, 40 * MS);
	charge(f, 0, b, c, 30 * MS);
	charge(f, 0, pod, c, 45 * MS);
	charge(f, 0, c, a, 10 * MS);
	charge(f, 0, c, b, 20 * MS);
	tick(f);
	s = workload(f, 99, 0);
	assert_true(testhost_near(s.stalled_ms, 45, 1e-6));
	assert_true(testhost_near(s.caused_ms, 30, 1e-6));
	assert_true(testhost_near(s.psi_contribution_ms, 30, 1e-6));
	assert_true(testhost_near(workload(f, 100, 0).caused_ms, 10, 1e-6));
	assert_true(testhost_near(workload(f, 100, 0).stalled_ms, 40, 1e-6));
}

/* Two cgroups without a name are not of one workload. */
static void without_names_everybody_is_a_stranger(void **state)
{
	struct test *f = *state;
	uint32_t x = slot_for(f, 2000), y = slot_for(f, 2001);

	begin(f);
	charge(f, 0, x, y, 80 * MS);
	held(f, y, 10, 1, 80, 80);
	tick(f);
	assert_true(testhost_near(workload(f, 2001, 0).caused_ms, 80, 1e-6));
	assert_true(testhost_near(process(f, 10, 1, 0).caused_ms, 80, 1e-6));
}

/* ---- lists of culprits */

struct list {
	uint32_t n, max;
	uint64_t who[8];
	double ms[8];
};

static int note(struct list *l, uint64_t who, double ms)
{
	assert_true(l->n < 8);
	l->who[l->n] = who;
	l->ms[l->n++] = ms;
	return l->n == l->max;
}

static int note_process(void *arg, uint32_t pid, uint64_t start_ns, double ms)
{
	assert_int_equal(start_ns, pid + 1);
	return note(arg, pid, ms);
}

static int note_cgroup(void *arg, uint64_t id, double ms)
{
	return note(arg, id, ms);
}

static double of(const struct list *l, uint64_t who)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->who[i] == who)
			return l->ms[i];
	return 0;
}

/* c holds a of "prod" and g of "dev" up, and a itself holds g up. */
static void hold_two_namespaces(struct test *f)
{
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102), g = slot_for(f, 106);

	begin(f);
	(void)move_to_namespace(f, 106, "dev");
	charge(f, 0, a, c, 60 * MS);
	charge(f, 0, g, c, 140 * MS);
	charge(f, 0, c, c, 90 * MS);
	charge(f, 0, g, a, 30 * MS);
	held(f, c, 10, 11, 200, 100);
	held(f, c, 12, 13, 50, 50);
	held(f, a, 20, 21, 30, 30);
	tick(f);
}

static void processes_that_held_a_namespace_up_are_listed(void **state)
{
	struct test *f = *state;
	struct list l = { 0 };

	hold_two_namespaces(f);
	/* 150 of c's 200 ms have a process. */
	assert_int_equal(svc->culprits(f->s, LNX_RES_CPU, "dev", 0, note_process, &l), 3);
	assert_true(testhost_near(of(&l, 10), 140 * 100 / 200., 1e-6));
	assert_true(testhost_near(of(&l, 12), 140 * 50 / 200., 1e-6));
	assert_true(testhost_near(of(&l, 20), 30, 1e-6));
	l = (struct list){ 0 };
	assert_int_equal(svc->culprits(f->s, LNX_RES_CPU, "prod", 0, note_process, &l), 2);
	assert_true(testhost_near(of(&l, 10), 60 * 100 / 200., 1e-6));
	assert_true(testhost_near(of(&l, 20), 0, 0));
	l = (struct list){ 0 };
	assert_int_equal(svc->culprits(f->s, LNX_RES_CPU, NULL, 0, note_process, &l), 3);
	assert_true(testhost_near(of(&l, 10), 200 * 100 / 200., 1e-6));
	l = (struct list){ .max = 1 };
	assert_int_equal(svc->culprits(f->s, LNX_RES_CPU, NULL, 0, note_process, &l), 1);
	assert_int_equal(svc->culprits(f->s, LNX_RES_CPU, "nowhere", 0, note_process, &l), 0);
	assert_int_equal(svc->culprits(f->s, LNX_RES_IO, NULL, 0, note_process, &l), -ENODEV);
}

static void cgroups_that_held_a_namespace_up_are_listed(void **state)
{
	struct test *f = *state;
	struct list l = { 0 };

	hold_two_namespaces(f);
	assert_int_equal(svc->culprit_cgroups(f->s, LNX_RES_CPU, "dev", 0, note_cgroup, &l), 2);
	assert_true(testhost_near(of(&l, 102), 140, 1e-6));
	assert_true(testhost_near(of(&l, 100), 30, 1e-6));
	l = (struct list){ 0 };
	assert_int_equal(svc->culprit_cgroups(f->s, LNX_RES_CPU, "prod", 0, note_cgroup, &l), 1);
	assert_true(testhost_near(of(&l, 102), 60, 1e-6));
	l = (struct list){ 0 };
	assert_int_equal(svc->culprit_cgroups(f->s, LNX_RES_CPU, NULL, 0, note_cgroup, &l), 2);
	assert_true(testhost_near(of(&l, 102), 200, 1e-6));
	l = (struct list){ .max = 1 };
	assert_int_equal(svc->culprit_cgroups(f->s, LNX_RES_CPU, NULL, 0, note_cgroup, &l), 1);
	assert_int_equal(svc->culprit_cgroups(f->s, LNX_RES_MEMORY, NULL, 0, note_cgroup, &l),
			 -ENODEV);
}

/* ---- how, and what is missing */

static void method_is_by_what_can_be_seen(void **state)
{
	struct test *f = *state;
	struct lnx_stall_share s;

	/* No window yet: nothing is known, which is not 0. */
	assert_int_equal(svc->workload(f->s, LNX_RES_CPU, 100, 0, &s), 0);
	assert_true(isnan(s.stalled_ms) && isnan(s.caused_ms));
	begin(f);
	assert_int_equal(svc->method(f->s, LNX_RES_CPU), LNX_METHOD_EXACT); /* without PSI, too */
	assert_int_equal(svc->method(f->s, LNX_RES_IO), LNX_METHOD_NONE);
	assert_int_equal(svc->method(f->s, LNX_RES_N), LNX_METHOD_NONE);
	assert_string_equal(svc->degraded(f->s, LNX_RES_CPU, 0), "");
	assert_string_equal(svc->degraded(f->s, LNX_RES_CPU, 1), "");
	assert_non_null(strstr(svc->degraded(f->s, LNX_RES_IO, 0), "probe blkio lacks a map"));
	assert_non_null(strstr(svc->degraded(f->s, LNX_RES_IO, 1), "for the CPU only"));
	stall_probe_pause(f->s, "off");
	assert_int_equal(svc->method(f->s, LNX_RES_CPU), LNX_METHOD_NONE);
	f->s->has_psi = 1;
	assert_int_equal(svc->method(f->s, LNX_RES_CPU), LNX_METHOD_PSI_ONLY);
	assert_string_equal(svc->degraded(f->s, LNX_RES_CPU, 0), "off");
	assert_string_equal(svc->degraded(f->s, LNX_RES_CPU, 1), "off");
}

/* How long is known of pressure; by whom is not. */
static void without_a_ledger_only_what_was_lost_is_told(void **state)
{
	struct test *f = *state;
	struct lnx_stall_share s;

	(void)slot_for(f, 100);
	begin(f);
	stall_probe_pause(f->s, "off");
	who_of(f, 100)->sample_ns[LNX_RES_CPU][0] = 250 * MS;
	tick(f);
	s = workload(f, 100, 0);
	assert_true(testhost_near(s.stalled_ms, 250, 1e-6));
	assert_true(isnan(s.caused_ms) && isnan(s.psi_contribution) && isnan(s.throttled_ms));
	assert_int_equal(svc->workload(f->s, LNX_RES_CPU, 4711, 0, &s), -ENOENT);
	assert_true(isnan(s.stalled_ms));
	assert_int_equal(svc->process(f->s, LNX_RES_CPU, 10, 1, 0, &s), 0);
	assert_true(isnan(s.psi_contribution) && isnan(s.caused_ms));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_process_has_its_part_of_what_its_cgroup_held),
		TEST(a_process_that_moved_is_the_sum_of_both_cgroups),
		TEST(a_sum_is_of_the_window_that_is_asked_for),
		TEST(what_a_quota_held_is_told_apart),
		TEST(a_share_is_of_what_the_node_lost_not_of_a_sum_over_cpus),
		TEST(a_pod_caused_what_its_containers_did),
		TEST(without_names_everybody_is_a_stranger),
		TEST(processes_that_held_a_namespace_up_are_listed),
		TEST(cgroups_that_held_a_namespace_up_are_listed),
		TEST(method_is_by_what_can_be_seen),
		TEST(without_a_ledger_only_what_was_lost_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
