/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* stall.tree and stall.node: which process tree holds the node's stall. */
#include <linnix/ev_tree.h>

#include "test_procs.h"
#include "test_res.h"

/* Processes 11 and 12 are children of 10; 20 stands alone; 99 is unknown. */
static struct lnx_proc known[] = { { .pid = 10, .start_ns = 1, .comm = "hog" },
				   { .pid = 11, .start_ns = 2, .ppid = 10, .comm = "hog-child" },
				   { .pid = 12, .start_ns = 3, .ppid = 10, .comm = "hog-child" },
				   { .pid = 20, .start_ns = 4, .comm = "worker" } };

static const struct lnx_proc *fake_proc(void *self, uint32_t pid, uint64_t start_ns)
{
	(void)self;
	for (uint32_t i = 0; i < 4; i++)
		if (known[i].pid == pid && (!start_ns || known[i].start_ns == start_ns))
			return &known[i];
	return NULL;
}

static const struct lnx_proc *fake_root(void *self, const struct lnx_proc *p)
{
	return p->ppid ? fake_proc(self, p->ppid, 0) : p;
}

static const struct lnx_svc_proc fake_table = { .size = sizeof(fake_table),
						.get = fake_proc,
						.tree_root = fake_root };

static void want(struct test *f)
{
	f->s->proc = &fake_table;
	assert_int_equal(testhost_set_wanted(f->t, "stall.tree", 1), 0);
	assert_int_equal(testhost_set_wanted(f->t, "stall.node", 1), 0);
	begin(f);
}

static int is_text(const struct lnx_event *ev, struct lnx_str s, const char *text)
{
	return s.len == strlen(text) && !memcmp((const char *)ev + s.off, text, s.len);
}

/* The stall.tree of the last window with that root. */
static const struct lnx_ev_stall_tree *tree_of(struct test *f, uint32_t pid)
{
	for (size_t i = testhost_published(f->t); i-- > 0;) {
		const struct lnx_event *ev = testhost_event(f->t, i);

		if (ev->type == LNX_EV_STALL_TREE && ev->pid == pid && ev->ts_ns == f->boot)
			return (const void *)ev;
	}
	return NULL;
}

static void processes_of_a_tree_are_added_up_under_its_root(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102);
	const struct lnx_ev_stall_tree *t;
	const struct lnx_ev_stall_node *n;

	want(f);
	charge(f, 0, a, c, 400000000); /* a waited for c */
	charge(f, 0, c, a, 100000000);
	held(f, c, 11, 2, 250, 250);
	held(f, c, 12, 3, 150, 150);
	held(f, a, 20, 4, 100, 100);
	tick(f);
	t = tree_of(f, 10);
	assert_non_null(t);
	assert_int_equal(t->rank, 1);
	assert_int_equal(t->n_processes, 2);
	assert_int_equal(t->start_ns, 1);
	assert_int_equal(t->cgroup_id, 102);
	assert_true(testhost_near(t->node_ms, 400, 1e-6));
	assert_true(testhost_near(t->node_share_ratio, 0.8, 1e-9));
	assert_true(testhost_near(t->caused_ms, 400, 1e-6));
	assert_true(testhost_near(t->caused_ms_per_s, 400, 1e-6));
	assert_true(is_text(&t->h, t->comm, "hog"));
	assert_true(is_text(&t->h, t->workload, "twins"));
	assert_null(tree_of(f, 11));
	t = tree_of(f, 20);
	assert_int_equal(t->rank, 2);
	assert_true(testhost_near(t->caused_ms, 100, 1e-6));
	n = (const void *)testhost_last(f->t, "stall.node");
	assert_int_equal(n->h.pid, 10);
	assert_int_equal(n->method, LNX_METHOD_EXACT);
	assert_int_equal(n->tree_cgroup_id, 102);
	assert_true(testhost_near(n->stalled_ms, 500, 1e-6));
	assert_true(testhost_near(n->tree_share_ratio, 0.8, 1e-9));
	assert_true(testhost_near(n->tree_caused_ms_per_s, 400, 1e-6));
	assert_true(is_text(&n->h, n->tree_comm, "hog"));
}

static void trees_never_hold_more_than_their_cgroup_was_measured_to(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102);

	want(f);
	charge(f, 0, a, c, 300000000);
	/* Half of what ran is not in the table of processes: it is not given to the one that is. */
	held(f, c, 10, 1, 150, 150);
	tick(f);
	assert_true(testhost_near(tree_of(f, 10)->node_ms, 150, 1e-6));
	assert_true(testhost_near(tree_of(f, 10)->caused_ms, 150, 1e-6));
	/* More than was measured: scaled down. */
	charge(f, 0, a, c, 300000000);
	held(f, c, 10, 1, 450, 300);
	held(f, c, 99, 7, 150, 100);
	tick(f);
	assert_true(testhost_near(tree_of(f, 10)->node_ms, 225, 1e-6));
	assert_true(testhost_near(tree_of(f, 10)->caused_ms, 300 * 300 / 400., 1e-6));
	assert_true(testhost_near(tree_of(f, 99)->node_ms, 75, 1e-6));
	assert_true(is_text(&tree_of(f, 99)->h, tree_of(f, 99)->comm, "old"));
}

static void waits_for_its_own_kind_are_no_harm_to_others(void **state)
{
	struct test *f = *state;
	uint32_t c = slot_for(f, 102), d = slot_for(f, 103);

	want(f);
	charge(f, 0, c, c, 500000000);
	charge(f, 0, d, c, 100000000); /* a replica of the same workload */
	held(f, c, 10, 1, 600, 100);
	tick(f);
	assert_true(testhost_near(tree_of(f, 10)->node_ms, 600, 1e-6));
	assert_true(testhost_near(tree_of(f, 10)->caused_ms, 0, 0));
}

static void sample(struct test *f, double cpu_pct, double psi_pct, uint64_t window_ns)
{
	struct lnx_ev_host_sample h = { .h = { sizeof(h), LNX_EV_HOST_SAMPLE, sizeof(h), f->boot, 0,
					       LNX_CPU_NONE },
					.window_ns = window_ns,
					.cpu_pct = cpu_pct,
					.psi_cpu_some = psi_pct };

	assert_int_equal(testhost_deliver(f->t, &h.h), 0);
}

static const struct lnx_ev_stall_node *node(struct test *f)
{
	return (const void *)testhost_last(f->t, "stall.node");
}

static void node_tells_the_load_of_its_window_until_samples_stop(void **state)
{
	struct test *f = *state;

	want(f);
	assert_true(isnan(node(f)->cpu_pct) && isnan(node(f)->psi_cpu_some));
	sample(f, 80, 20, SEC / 4);
	sample(f, 100, 60, SEC / 4 * 3);
	tick(f);
	assert_true(testhost_near(node(f)->cpu_pct, 95, 1e-9));
	assert_true(testhost_near(node(f)->psi_cpu_some, 50, 1e-9));
	tick(f); /* the next one is late */
	assert_true(testhost_near(node(f)->cpu_pct, 95, 1e-9));
	sample(f, 10, NAN, SEC); /* a kernel without PSI */
	tick(f);
	assert_true(testhost_near(node(f)->cpu_pct, 10, 1e-9));
	begin(f);
	assert_true(isnan(node(f)->cpu_pct) && isnan(node(f)->psi_cpu_some));
}

static void without_a_ledger_the_node_is_told_and_no_tree(void **state)
{
	struct test *f = *state;

	want(f);
	f->s->probe.is_live = 0;
	f->s->probe.quiet_looks = 3;
	f->s->whos.who[STALL_WHO_NODE].sample_ns[LNX_RES_CPU][0] = 300000000;
	f->mono += SEC;
	f->boot += SEC;
	stall_tick(f->s, f->mono, f->boot);
	assert_int_equal(testhost_count(f->t, "stall.tree"), 0);
	assert_int_equal(node(f)->h.pid, 0);
	assert_int_not_equal(node(f)->method, LNX_METHOD_EXACT);
	assert_true(testhost_near(node(f)->stalled_ms, 300, 1e-6));
	assert_true(isnan(node(f)->tree_share_ratio) && isnan(node(f)->confidence));
}

static void nothing_is_made_when_nobody_reads(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102);

	f->s->proc = &fake_table;
	begin(f);
	charge(f, 0, a, c, 400000000);
	held(f, c, 10, 1, 400, 400);
	tick(f);
	assert_int_equal(testhost_count(f->t, "stall.tree"), 0);
	assert_int_equal(testhost_count(f->t, "stall.node"), 0);
}

/* Its replica lost as much to c as g did; of c's processes one is not known. */
static void what_a_replica_lost_is_part_of_what_was_held(void **state)
{
	struct test *f = *state;
	uint32_t c = slot_for(f, 102), d = slot_for(f, 103), g = slot_for(f, 106);

	want(f);
	charge(f, 0, d, c, 100000000);
	charge(f, 0, g, c, 100000000);
	charge(f, 0, c, c, 50000000); /* its own waits are no others' */
	held(f, c, 10, 1, 100, 100);
	tick(f);
	assert_true(testhost_near(tree_of(f, 10)->node_ms, 100, 1e-6));
	assert_true(testhost_near(tree_of(f, 10)->caused_ms, 50, 1e-6));
	/* The same name in another namespace is another workload. */
	(void)move_to_namespace(f, 103, "dev");
	charge(f, 0, d, c, 100000000);
	held(f, c, 10, 1, 100, 100);
	tick(f);
	assert_true(testhost_near(tree_of(f, 10)->caused_ms, 100, 1e-6));
}

/* What a pod lost is not added to what its containers did. */
static void a_pods_own_wait_set_holds_nobody_up_twice(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), b = slot_for(f, 101), c = slot_for(f, 102), pod;

	want(f);
	pod = f->tab->slot[LNX_LEDGER_SLOT(a)].up;
	assert_true(pod && f->tab->slot[LNX_LEDGER_SLOT(b)].up == pod);
	charge(f, 0, a, c, 100000000);
	charge(f, 0, pod, c, 100000000);
	f->cpus[0].sum[LNX_LEDGER_SLOT(c)].node_ns -= 100000000; /* it ran once */
	held(f, c, 10, 1, 100, 400);				 /* more than was measured */
	tick(f);
	assert_true(testhost_near(tree_of(f, 10)->caused_ms, 100, 1e-6));
	assert_true(testhost_near(tree_of(f, 10)->node_ms, 100, 1e-6));
}

static void one_root_in_two_cgroups_is_two_trees(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102), g = slot_for(f, 106), n = 0;

	want(f);
	charge(f, 0, a, c, 300000000);
	charge(f, 0, a, g, 200000000);
	held(f, c, 11, 2, 300, 300);
	held(f, g, 12, 3, 200, 200);
	tick(f);
	for (size_t i = 0; i < testhost_published(f->t); i++) {
		const struct lnx_ev_stall_tree *t = (const void *)testhost_event(f->t, i);

		if (t->h.type != LNX_EV_STALL_TREE || t->h.ts_ns != f->boot)
			continue;
		n++;
		assert_int_equal(t->h.pid, 10);
		assert_int_equal(t->rank, n);
		assert_int_equal(t->n_processes, 1);
		assert_int_equal(t->cgroup_id, n == 1 ? 102 : 106);
		assert_true(testhost_near(t->node_ms, n == 1 ? 300 : 200, 1e-6));
	}
	assert_int_equal(n, 2);
}

/* Of many the sixteen that hold most, and none of less than a millisecond. */
static void only_the_largest_trees_are_told(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102);

	want(f);
	charge(f, 0, a, c, 500000000);
	for (uint32_t pid = 101; pid <= 120; pid++)
		held(f, c, pid, pid, pid - 95, 1);
	tick(f);
	assert_int_equal(testhost_count(f->t, "stall.tree"), 16);
	assert_int_equal(tree_of(f, 120)->rank, 1);
	assert_int_equal(tree_of(f, 105)->rank, 16);
	assert_null(tree_of(f, 104));
	testhost_clear(f->t);
	charge(f, 0, a, c, 10000000);
	f->cpus[0].procs[0].node_ns += 999999;
	f->cpus[0].procs[1].node_ns += 1000000;
	f->cpus[0].procs[0].last_ns = f->cpus[0].procs[1].last_ns = f->mono;
	tick(f);
	assert_int_equal(testhost_count(f->t, "stall.tree"), 1);
	assert_non_null(tree_of(f, 102));
	assert_int_equal(testhost_count(f->t, "stall.node"), 1);
}

/* A window of two seconds, in which one event of a hundred was lost. */
static void trees_say_of_how_long_and_how_sure_it_is(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102);
	const struct lnx_ev_stall_tree *t;
	const struct lnx_ev_stall_node *n;

	want(f);
	who_of(f, 102)->pod_name = "podc";
	charge(f, 0, a, c, 300000000);
	held(f, c, 11, 2, 300, 200);
	f->cpus[0].count[LNX_LEDGER_N_HEALED] += 20; /* of 2,000 */
	f->mono += SEC;
	f->boot += SEC;
	tick(f);
	t = tree_of(f, 10);
	assert_int_equal(t->window_ns, 2 * SEC);
	assert_true(testhost_near(t->caused_ms, 200, 1e-6));
	assert_true(testhost_near(t->caused_ms_per_s, 100, 1e-6));
	assert_true(testhost_near(t->confidence, 0.99, 1e-9));
	assert_true(is_text(&t->h, t->namespace_, "prod"));
	assert_true(is_text(&t->h, t->pod_name, "podc"));
	n = (const void *)testhost_last(f->t, "stall.node");
	assert_int_equal(n->window_ns, 2 * SEC);
	assert_int_equal(n->tree_start_ns, 1);
	assert_true(testhost_near(n->tree_ms, 300, 1e-6));
	assert_true(testhost_near(n->tree_caused_ms_per_s, 100, 1e-6));
	assert_true(testhost_near(n->confidence, 0.99, 1e-9));
	assert_true(is_text(&n->h, n->tree_namespace, "prod"));
	assert_true(is_text(&n->h, n->tree_pod_name, "podc"));
	assert_true(is_text(&n->h, n->tree_workload, "twins"));
}

/* What the machine lost to disks is not what it lost for want of a CPU. */
static void the_nodes_figure_is_of_the_cpu(void **state)
{
	struct test *f = *state;

	f->s->proc = &fake_table;
	assert_int_equal(testhost_set_wanted(f->t, "stall.node", 1), 0);
	rise(f);
	waited(f, "blkio", 100, 400);
	tick(f);
	assert_true(testhost_near(node(f)->stalled_ms, 0, 0));
	assert_true(isnan(node(f)->confidence));
}

static void who_wants_one_of_them_gets_that_one(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102);

	want(f);
	testhost_clear(f->t);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(testhost_set_wanted(f->t, "stall.tree", i == 0), 0);
		assert_int_equal(testhost_set_wanted(f->t, "stall.node", i == 1), 0);
		charge(f, 0, a, c, 400000000);
		held(f, c, 10, 1, 400, 400);
		tick(f);
		assert_int_equal(testhost_count(f->t, "stall.tree"), 1);
		assert_int_equal(testhost_count(f->t, "stall.node"), i);
	}
	assert_true(testhost_near(node(f)->tree_share_ratio, 1, 1e-9));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(processes_of_a_tree_are_added_up_under_its_root),
		TEST(trees_never_hold_more_than_their_cgroup_was_measured_to),
		TEST(waits_for_its_own_kind_are_no_harm_to_others),
		TEST(node_tells_the_load_of_its_window_until_samples_stop),
		TEST(without_a_ledger_the_node_is_told_and_no_tree),
		TEST(nothing_is_made_when_nobody_reads),
		TEST(what_a_replica_lost_is_part_of_what_was_held),
		TEST(a_pods_own_wait_set_holds_nobody_up_twice),
		TEST(one_root_in_two_cgroups_is_two_trees),
		TEST(only_the_largest_trees_are_told),
		TEST(trees_say_of_how_long_and_how_sure_it_is),
		cmocka_unit_test_setup_teardown(the_nodes_figure_is_of_the_cpu, setup_res,
						teardown),
		TEST(who_wants_one_of_them_gets_that_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
