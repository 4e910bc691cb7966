/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* I/O and memory on the test host, over maps made of memory: when the probes are attached, whose rows come of them, which
 * limit was met, whose requests those of a v1 cgroup are. */
#include "blame.h"
#include "test_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

#include "demand.h"
#include "test_psi.h"
#include "test_res.h"

static const struct stall_row *res_row(struct test *f, uint32_t who_id, uint32_t resource)
{
	uint32_t who = who_id ? stall_who_find(&f->s->whos, who_id) : STALL_WHO_NODE;

	for (uint32_t i = 0; i < f->s->n_rows; i++)
		if (f->s->rows[i].resource == resource && f->s->rows[i].who == who)
			return &f->s->rows[i];
	return NULL;
}

static const struct stall_cell *cell_of(struct test *f, const struct stall_row *r, uint32_t kind,
					uint64_t culprit)
{
	uint32_t who = culprit ? stall_who_find(&f->s->whos, culprit) : STALL_WHO_NONE;

	for (uint32_t i = r->first; i < r->first + r->n; i++)
		if (f->s->cells[i].kind == kind && f->s->cells[i].culprit == who)
			return &f->s->cells[i];
	return NULL;
}

static uint64_t cells_ns(struct test *f, const struct stall_row *r)
{
	uint64_t ns = 0;

	for (uint32_t i = r->first; i < r->first + r->n; i++)
		ns += f->s->cells[i].stall_ns;
	return ns;
}

static void io_has_a_victim_a_culprit_and_the_machine(void **state)
{
	struct test *f = *state;
	struct lnx_stall_share share = { .size = sizeof(share) };
	const struct stall_row *r;

	rise(f);
	waited(f, "blkio", 100, 400);
	requests(f, 100, 102, 300, 100);
	tick(f);
	r = res_row(f, 100, LNX_RES_IO);
	assert_non_null(r);
	assert_int_equal(r->method, LNX_METHOD_MODEL);
	assert_int_equal(r->stalled_ns, 400 * MS);
	assert_int_equal(cells_ns(f, r), r->stalled_ns);
	assert_int_equal(cell_of(f, r, LNX_STALL_NEIGHBOUR, 102)->stall_ns, 300 * MS);
	assert_int_equal(cell_of(f, r, LNX_STALL_SELF, 100)->stall_ns, 100 * MS);
	r = res_row(f, 0, LNX_RES_IO);
	assert_non_null(r);
	assert_int_equal(r->stalled_ns, 400 * MS);
	assert_int_equal(cell_of(f, r, LNX_STALL_NEIGHBOUR, 102)->stall_ns, 300 * MS);
	assert_int_equal(stall_service.workload(f->s, LNX_RES_IO, 102, 0, &share), 0);
	assert_true(testhost_near(share.caused_ms, 300, 1e-9));
	assert_true(testhost_near(share.psi_contribution, 0.75, 1e-9));
	assert_int_equal(stall_service.workload(f->s, LNX_RES_CPU, 102, 0, &share), 0);
	assert_false(share.caused_ms > 0);
	/* The next window has none of it. */
	tick(f);
	assert_null(res_row(f, 100, LNX_RES_IO));
}

static void cgroup_inside_a_container_counts_there_from_then_on(void **state)
{
	struct test *f = *state;
	uint64_t child = 200, to = 0;
	const struct stall_row *r;

	rise(f);
	waited(f, "blkio", 100, 40);
	waited(f, "blkio", child, 30);
	tick(f);
	r = res_row(f, 100, LNX_RES_IO);
	assert_non_null(r);
	assert_int_equal(r->stalled_ns, 70 * MS);
	assert_true(r->flags & STALL_F_SUM);
	assert_int_equal(testhost_host(f->t)->map_lookup(testhost_ctx(f->t),
							 fd_of(f, "blkio", "alias"), &child, &to),
			 0);
	assert_int_equal(to, 100);
}

static void more_than_a_window_is_cut_to_it(void **state)
{
	struct test *f = *state;
	const struct stall_row *r;

	rise(f);
	waited(f, "blkio", 100, 1500);
	requests(f, 100, 102, 1500, 0);
	tick(f);
	r = res_row(f, 100, LNX_RES_IO);
	assert_non_null(r);
	assert_true(r->stalled_ns <= SEC && r->stalled_ns > SEC - 10);
	assert_int_equal(r->raw_ns, 1500 * MS);
	assert_int_equal(cells_ns(f, r), r->stalled_ns);
}

/* What was seen is brought to pressure; of more than twice as much nobody knows. */
static void io_is_brought_up_to_pressure_at_most_twofold(void **state)
{
	struct test *f = *state;
	const struct stall_row *r;
	char *dir;

	rise(f);
	dir = make_pressure(f);
	pressure_is(dir, "/t/poduid/a", "io", 1000);
	waited(f, "blkio", 100, 100);
	requests(f, 100, 102, 100, 0);
	tick(f);
	pressure_is(dir, "/t/poduid/a", "io", 1150);
	waited(f, "blkio", 100, 100);
	requests(f, 100, 102, 200, 0);
	tick(f);
	r = res_row(f, 100, LNX_RES_IO);
	assert_non_null(r);
	assert_int_equal(r->stalled_ns, 150 * MS);
	assert_int_equal(cell_of(f, r, LNX_STALL_NEIGHBOUR, 102)->stall_ns, 150 * MS);
	assert_true(testhost_near(stall_coverage(r, 0), 100 / 150., 1e-9));
	pressure_is(dir, "/t/poduid/a", "io", 1650);
	waited(f, "blkio", 100, 100);
	requests(f, 100, 102, 300, 0);
	tick(f);
	r = res_row(f, 100, LNX_RES_IO);
	assert_int_equal(r->stalled_ns, 500 * MS);
	assert_int_equal(r->raw_ns, 100 * MS);
	assert_int_equal(cell_of(f, r, LNX_STALL_NEIGHBOUR, 102)->stall_ns, 200 * MS);
	assert_int_equal(cell_of(f, r, LNX_STALL_OTHER, 0)->stall_ns, 300 * MS);
	drop_pressure(dir);
}

/* The file of c is not read while a waits for longer: what c waited meanwhile is spent when it is. */
static void io_that_was_not_compared_is_spent_once(void **state)
{
	static const uint64_t a_ms[] = { 0, 400, 0, 0 }, c_ms[] = { 50, 100, 200, 200 };
	struct test *f = *state;
	uint64_t total_ms = 5000;
	char *dir;

	rise(f);
	dir = make_pressure(f);
	pressure_is(dir, "/t/poduid/a", "io", 1000);
	assert_int_equal(testhost_conf(f->t, "psi_reads=1"), 0);
	assert_int_equal(testhost_reload(f->t), 0);
	for (int i = 0; i < 4; i++) {
		total_ms += c_ms[i];
		pressure_is(dir, "/t/podc/c", "io", total_ms);
		if (a_ms[i])
			waited(f, "blkio", 100, a_ms[i]);
		waited(f, "blkio", 102, c_ms[i]);
		tick(f);
		assert_int_equal(res_row(f, 102, LNX_RES_IO)->stalled_ns, c_ms[i] * MS);
		assert_int_equal(res_row(f, 102, LNX_RES_IO)->psi_ns == STALL_UNKNOWN, i < 2);
	}
	assert_int_equal(res_row(f, 102, LNX_RES_IO)->psi_ns, 200 * MS);
	drop_pressure(dir);
}

static void more_cgroups_than_there_are_places_are_said(void **state)
{
	struct test *f = *state;

	rise(f);
	waited(f, "blkio", 100, 40);
	tick(f);
	assert_int_equal(res_row(f, 100, LNX_RES_IO)->flags & STALL_F_OVERFLOW, 0);
	for (uint64_t id = 10000; id < 10000 + STALL_RES_GATES; id++)
		waited(f, "blkio", id, 1);
	waited(f, "blkio", 100, 40);
	tick(f);
	assert_true(res_row(f, 100, LNX_RES_IO)->flags & STALL_F_OVERFLOW);
}

/* ---- memory */

static void memory_is_blamed_below_the_limit_that_was_met(void **state)
{
	struct test *f = *state;
	const struct stall_row *r;
	const struct stall_cell *c;
	struct tree t;

	rise(f);
	make_tree(f, &t, "99857600\n");
	waited(f, "mem", 100, 400);
	allocated(f, 100, 100);
	allocated(f, 101, 300);
	allocated(f, 102, 90000);
	tick(f);
	r = res_row(f, 100, LNX_RES_MEMORY);
	assert_non_null(r);
	assert_int_equal(r->method, LNX_METHOD_HEURISTIC);
	assert_int_equal(cells_ns(f, r), r->stalled_ns);
	c = cell_of(f, r, LNX_STALL_SIBLING, 101);
	assert_non_null(c);
	assert_int_equal(c->stall_ns, 300 * MS);
	assert_int_equal(c->amount, 300);
	assert_string_equal(f->s->whos.limits[c->limit].text, "memory.limit_in_bytes 104857600");
	assert_string_equal(f->s->whos.limits[c->limit].owner, "/t/poduid");
	assert_null(cell_of(f, r, LNX_STALL_NEIGHBOUR, 102));
	drop_tree(&t);
}

static void memory_of_no_known_level_has_no_culprit(void **state)
{
	struct test *f = *state;
	const struct stall_row *r;
	struct tree t;

	rise(f);
	make_tree(f, &t, "1000\n");
	f->s->res->scope.scans = UINT64_MAX; /* the real machine's reclaim has no place here */
	waited(f, "mem", 100, 400);
	allocated(f, 101, 300);
	tick(f);
	r = res_row(f, 100, LNX_RES_MEMORY);
	assert_non_null(r);
	assert_int_equal(r->n, 1);
	assert_int_equal(cell_of(f, r, LNX_STALL_OTHER, 0)->stall_ns, 400 * MS);
	drop_tree(&t);
}

static void reclaim_for_the_machine_makes_everybody_a_suspect(void **state)
{
	struct test *f = *state;
	struct stall_scope *sc = &f->s->res->scope;
	struct tree t;
	int level;

	make_tree(f, &t, "max\n");
	stall_scope_begin(sc, "pgscan_kswapd 10\nallocstall_normal 1\npgscan_direct 5\n", f->boot);
	assert_true(stall_scope_contended(sc, 100) < 0);
	/* Reclaim below a limit is counted as direct, too: it says nothing of the machine. */
	stall_scope_begin(sc, "pgscan_kswapd 10\nallocstall_normal 1\npgscan_direct 99\n", f->boot);
	assert_true(stall_scope_contended(sc, 100) < 0);
	stall_scope_begin(sc, "pgscan_kswapd 10\nallocstall_normal 2\npgscan_direct 99", f->boot);
	level = stall_scope_contended(sc, 100);
	assert_true(level >= 0);
	assert_true(stall_scope_is_below(sc, 102, level));
	assert_int_equal(stall_scope_limit(sc, 100), 0);
	drop_tree(&t);
}

static void requests_of_a_v1_cgroup_are_those_of_the_same_path(void **state)
{
	struct test *f = *state;
	struct stall_scope *sc = &f->s->res->scope;
	struct tree t;
	struct stat st;
	char path[128];

	tick(f); /* names come in */
	make_tree(f, &t, "0\n");
	(void)snprintf(path, sizeof(path), "%s/t/podc/c", t.dir);
	assert_int_equal(stat(path, &st), 0);
	stall_scope_begin(sc, "", f->boot);
	assert_int_equal(stall_scope_translate(sc, st.st_ino, 7), 102);
	assert_int_equal(stall_scope_translate(sc, st.st_ino + 100000, 7), 7);
	drop_tree(&t);
}

/* ---- the probes */

static void probes_go_when_pressure_does_not_rise_any_more(void **state)
{
	struct test *f = *state;

	rise(f);
	assert_int_equal(testhost_probe_wanted(f->t, "blkio"), 1);
	assert_int_equal(testhost_conf(f->t, "attach_above=10s"), 0);
	assert_int_equal(testhost_reload(f->t), 0);
	f->s->has_psi = 1;
	for (int i = 0; i < 58; i++)
		tick(f);
	assert_true(stall_is_live(f->s, LNX_RES_IO));
	for (int i = 0; i < 4; i++)
		tick(f);
	assert_false(stall_is_attached(f->s, LNX_RES_IO));
	assert_int_equal(testhost_probe_wanted(f->t, "blkio"), 0);
	assert_int_equal(testhost_probe_wanted(f->t, "mem"), 0);
	assert_int_equal(stall_method(f->s, LNX_RES_IO), LNX_METHOD_MODEL);
}

static void probe_that_cannot_be_attached_is_told_once(void **state)
{
	struct test *f = *state;

	if (!has_pressure()) {
		print_message("SKIP: no pressure of I/O and memory to be seen here\n");
		skip();
	}
	f->s->res->io.has_node = 1;
	f->s->has_psi = 1;
	testhost_fail(f->t, "probe_want", -EPERM, 0, 1);
	tick(f);
	assert_false(stall_can_measure(f->s, LNX_RES_IO));
	assert_int_equal(testhost_health(f->t, "blkio"), LNX_HEALTH_DEGRADED);
	assert_non_null(strstr(stall_why(f->s, LNX_RES_IO), "cannot be attached"));
	assert_int_equal(stall_method(f->s, LNX_RES_IO), LNX_METHOD_PSI_ONLY);
}

/* The one stall.window of a cgroup, 0 the node, and resource since the last clear. */
static const struct lnx_ev_stall_window *told(struct test *f, uint64_t id, uint32_t resource)
{
	const struct lnx_ev_stall_window *found = NULL;

	for (size_t i = 0; i < testhost_published(f->t); i++) {
		const struct lnx_ev_stall_window *e = (const void *)testhost_event(f->t, i);

		if (e->h.type != LNX_EV_STALL_WINDOW || e->cgroup_id != id ||
		    e->resource != resource)
			continue;
		assert_null(found);
		found = e;
	}
	return found;
}

static void windows_of_io_and_memory_are_told(void **state)
{
	struct test *f = *state;
	const struct lnx_ev_stall_window *e;
	struct tree t;

	rise(f);
	make_tree(f, &t, "99857600\n");
	assert_int_equal(testhost_set_wanted(f->t, "stall.window", 1), 0);
	waited(f, "blkio", 100, 400);
	requests(f, 100, 102, 300, 100);
	waited(f, "mem", 100, 200);
	allocated(f, 101, 300);
	testhost_clear(f->t);
	tick(f);
	e = told(f, 100, LNX_RES_IO);
	assert_non_null(e);
	assert_int_equal(e->method, LNX_METHOD_MODEL);
	assert_true(testhost_near(e->stalled_ms, 400, 1e-3));
	assert_true(testhost_near(e->neighbour_ms, 300, 1e-3));
	assert_true(testhost_near(e->self_ms, 100, 1e-3));
	e = told(f, 100, LNX_RES_MEMORY);
	assert_non_null(e);
	assert_int_equal(e->method, LNX_METHOD_HEURISTIC);
	assert_true(testhost_near(e->stalled_ms, 200, 1e-3));
	assert_true(testhost_near(e->sibling_ms, 200, 1e-3));
	assert_true(testhost_near(e->neighbour_ms + e->self_ms + e->other_ms, 0, 1e-3));
	assert_non_null(told(f, 0, LNX_RES_IO));
	assert_non_null(told(f, 0, LNX_RES_MEMORY));
	drop_tree(&t);
}

/* The programs of <probe> ran <n> times, 2 us each. */
static void ran(struct test *f, const char *probe, uint64_t n)
{
	struct lnx_rec_stats *v = calloc(stall_possible_cpus(), sizeof(*v));
	uint32_t zero = 0;

	assert_non_null(v);
	v[0] = (struct lnx_rec_stats){ .runs = n, .timed_runs = n / 1000, .timed_ns = 2 * n };
	put(f, probe, "stats", &zero, v);
	free(v);
}

/* A step down for what the programs of I/O cost alone: they go with the ledger. */
static void their_cost_counts_in_the_budget(void **state)
{
	struct test *f = *state;
	struct lnx_ev_agent_cost e = {
		.h = { sizeof(e), LNX_EV_AGENT_COST, sizeof(e), f->boot, 1, LNX_CPU_NONE },
		.window_ns = SEC,
		.user_ns = 5 * MS,
		.bpf_ns = 40 * MS,
		.budget_ns = 20 * MS,
	};

	assert_true(testhost_near(stall_demand_cost_ns(f->s), 0, 0));
	ran(f, "blkio", 10000);
	ran(f, "mem", 10000);
	assert_true(testhost_near(stall_demand_cost_ns(f->s), 40 * MS, 1));
	assert_int_equal(testhost_deliver(f->t, &e.h), 0);
	assert_int_equal(f->s->shed.govern.level, STALL_LEVEL_SLOTS);
	/* The same cost, and nothing of it theirs since: not the ledger's fault. */
	e.h.ts_ns += 10 * SEC;
	assert_int_equal(testhost_deliver(f->t, &e.h), 0);
	assert_int_equal(f->s->shed.govern.level, STALL_LEVEL_SLOTS);
}

static void without_its_probe_a_resource_is_psi_only(void **state)
{
	struct test *f = *state;

	f->s->has_psi = 1;
	assert_int_equal(stall_method(f->s, LNX_RES_IO), LNX_METHOD_PSI_ONLY);
	assert_int_equal(stall_method(f->s, LNX_RES_MEMORY), LNX_METHOD_PSI_ONLY);
	assert_non_null(strstr(stall_why(f->s, LNX_RES_IO), "probe blkio lacks a map"));
	assert_int_equal(testhost_health(f->t, "mem"), LNX_HEALTH_DEGRADED);
	stall_demand_close(f->s);
	assert_int_equal(testhost_probe_error(f->t, "blkio", -ENODEV), 0);
	assert_int_equal(stall_demand_open(f->s), 0);
	assert_string_equal(stall_why(f->s, LNX_RES_IO),
			    "probe blkio is not loaded: GET /status tells why");
}

#define RES_TEST(f) cmocka_unit_test_setup_teardown(f, setup_res, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RES_TEST(io_has_a_victim_a_culprit_and_the_machine),
		RES_TEST(cgroup_inside_a_container_counts_there_from_then_on),
		RES_TEST(more_than_a_window_is_cut_to_it),
		RES_TEST(io_is_brought_up_to_pressure_at_most_twofold),
		RES_TEST(io_that_was_not_compared_is_spent_once),
		RES_TEST(more_cgroups_than_there_are_places_are_said),
		RES_TEST(memory_is_blamed_below_the_limit_that_was_met),
		RES_TEST(memory_of_no_known_level_has_no_culprit),
		RES_TEST(reclaim_for_the_machine_makes_everybody_a_suspect),
		RES_TEST(requests_of_a_v1_cgroup_are_those_of_the_same_path),
		RES_TEST(probes_go_when_pressure_does_not_rise_any_more),
		RES_TEST(probe_that_cannot_be_attached_is_told_once),
		RES_TEST(windows_of_io_and_memory_are_told),
		RES_TEST(their_cost_counts_in_the_budget),
		TEST(without_its_probe_a_resource_is_psi_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
