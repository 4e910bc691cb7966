/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* stall.tree and stall.node: which process tree holds the node's stall. */
#include <linnix/ev_tree.h>

#include "test_fixture.h"

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

/* A process of <handle> on CPU 0 held <node_ms> of the node up, and <caused_ms> of others. */
static void held(struct test *f, uint32_t handle, uint32_t pid, uint64_t start_ns, uint64_t node_ms,
		 uint64_t caused_ms)
{
	struct lnx_ledger_proc *p = f->cpus[0].procs;

	while (p->tgid && p->tgid != pid)
		p++;
	p->tgid = pid;
	p->handle = handle;
	p->start_ns = start_ns;
	p->node_ns += node_ms * 1000000;
	p->caused_ns += caused_ms * 1000000;
	p->last_ns = f->mono;
	(void)snprintf(p->comm, sizeof(p->comm), "old"); /* of before its exec */
}

static void want(struct test *f)
{
	f->s->proc = &fake_table;
	assert_int_equal(testhost_set_wanted(f->t, "stall.tree", 1), 0);
	assert_int_equal(testhost_set_wanted(f->t, "stall.node", 1), 0);
	tick(f);
	tick(f);
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
	assert_float_equal(t->node_ms, 400, 1e-6);
	assert_float_equal(t->node_share_ratio, 0.8, 1e-9);
	assert_float_equal(t->caused_ms, 400, 1e-6);
	assert_float_equal(t->caused_ms_per_s, 400, 1e-6);
	assert_true(is_text(&t->h, t->comm, "hog"));
	assert_true(is_text(&t->h, t->workload, "twins"));
	assert_null(tree_of(f, 11));
	t = tree_of(f, 20);
	assert_int_equal(t->rank, 2);
	assert_float_equal(t->caused_ms, 100, 1e-6);
	n = (const void *)testhost_last(f->t, "stall.node");
	assert_int_equal(n->h.pid, 10);
	assert_int_equal(n->method, LNX_METHOD_EXACT);
	assert_int_equal(n->tree_cgroup_id, 102);
	assert_float_equal(n->stalled_ms, 500, 1e-6);
	assert_float_equal(n->tree_share_ratio, 0.8, 1e-9);
	assert_float_equal(n->tree_caused_ms_per_s, 400, 1e-6);
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
	assert_float_equal(tree_of(f, 10)->node_ms, 150, 1e-6);
	assert_float_equal(tree_of(f, 10)->caused_ms, 150, 1e-6);
	/* More than was measured: scaled down. */
	charge(f, 0, a, c, 300000000);
	held(f, c, 10, 1, 450, 450);
	held(f, c, 99, 7, 150, 150);
	tick(f);
	assert_float_equal(tree_of(f, 10)->node_ms, 225, 1e-6);
	assert_float_equal(tree_of(f, 99)->node_ms, 75, 1e-6);
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
	assert_float_equal(tree_of(f, 10)->node_ms, 600, 1e-6);
	assert_float_equal(tree_of(f, 10)->caused_ms, 0, 0);
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
	assert_float_equal(node(f)->cpu_pct, 95, 1e-9);
	assert_float_equal(node(f)->psi_cpu_some, 50, 1e-9);
	tick(f); /* the next one is late */
	assert_float_equal(node(f)->cpu_pct, 95, 1e-9);
	sample(f, 10, NAN, SEC); /* a kernel without PSI */
	tick(f);
	assert_float_equal(node(f)->cpu_pct, 10, 1e-9);
	tick(f);
	tick(f);
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
	assert_float_equal(node(f)->stalled_ms, 300, 1e-6);
	assert_true(isnan(node(f)->tree_share_ratio) && isnan(node(f)->confidence));
}

static void nothing_is_made_when_nobody_reads(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102);

	f->s->proc = &fake_table;
	tick(f);
	tick(f);
	charge(f, 0, a, c, 400000000);
	held(f, c, 10, 1, 400, 400);
	tick(f);
	assert_int_equal(testhost_count(f->t, "stall.tree"), 0);
	assert_int_equal(testhost_count(f->t, "stall.node"), 0);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
