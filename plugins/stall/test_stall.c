/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin stall on the test host, over a ledger made of memory: kinds, levels, sums, slots, events, metrics, answers. */
#include "test_fixture.h"

static uint64_t cell_ns(struct test *f, const struct stall_row *r, uint32_t kind,
			uint64_t culprit_id)
{
	uint64_t ns = 0;

	for (uint32_t i = r->first; i < r->first + r->n; i++) {
		const struct stall_cell *c = &f->s->cells[i];

		if (c->kind == kind &&
		    (!culprit_id || (c->culprit < STALL_WHO_MAX &&
				     f->s->whos.who[c->culprit].cgroup_id == culprit_id)))
			ns += c->stall_ns;
	}
	return ns;
}

static void kinds_are_told_apart_and_sum(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), b = slot_for(f, 101), c = slot_for(f, 102);
	const struct stall_row *r;
	char *json;

	begin(f);
	charge(f, 1, a, a, 10000000);
	charge(f, 1, a, b, 20000000);
	charge(f, 1, a, c, 30000000);
	charge(f, 1, a, LNX_LEDGER_KERNEL, 4000000);
	charge(f, 1, a, LNX_LEDGER_IDLE, 5000000);
	charge(f, 1, a, LNX_LEDGER_OTHER, 6000000);
	charge(f, 1, a, LNX_LEDGER_THROTTLED + 2, 70000000);
	charge(f, 1, a, LNX_LEDGER_STEAL, 8000000);
	charge(f, 1, LNX_LEDGER_KERNEL, c, 9000000); /* kernel threads are nobody's victim */
	tick(f);
	for (uint32_t i = 0; i < f->s->n_rows; i++)
		assert_int_not_equal(f->s->rows[i].who, STALL_WHO_KERNEL);
	assert_int_equal(stall_method(f->s, LNX_RES_CPU), LNX_METHOD_EXACT);
	r = row_of(f, 100);
	assert_non_null(r);
	assert_int_equal(r->stalled_ns, 153000000);
	assert_int_equal(cell_ns(f, r, LNX_STALL_STEAL, 0), 8000000);
	assert_int_equal(cell_ns(f, r, LNX_STALL_SELF, 0), 10000000);
	assert_int_equal(cell_ns(f, r, LNX_STALL_SIBLING, 101), 20000000);
	assert_int_equal(cell_ns(f, r, LNX_STALL_NEIGHBOUR, 102), 30000000);
	assert_int_equal(cell_ns(f, r, LNX_STALL_KERNEL, 0), 4000000);
	assert_int_equal(cell_ns(f, r, LNX_STALL_IDLE, 0), 5000000);
	assert_int_equal(cell_ns(f, r, LNX_STALL_OTHER, 0), 6000000);
	assert_int_equal(cell_ns(f, r, LNX_STALL_THROTTLED, 0), 70000000);
	assert_int_equal(r->flags & STALL_F_UNEQUAL, 0);
	for (uint32_t by = 0; by <= STALL_BY_PROCESS; by++) {
		json = blame(f, by, NULL);
		check_json_sums(json);
		assert_non_null(strstr(json, "steal-is-a-model"));
		free(json);
	}
}

static void parts_that_do_not_sum_are_noted_and_counted(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102);
	char *json;

	begin(f);
	charge(f, 0, a, c, 50000000);
	f->cpus[0].sum[LNX_LEDGER_SLOT(a)].wait_ns += 9000000;
	tick(f);
	assert_true(row_of(f, 100)->flags & STALL_F_UNEQUAL);
	assert_true(testhost_near(testhost_metric(f->t, "linnix_stall_unequal_total", ""), 1, 0));
	json = blame(f, STALL_BY_CONTAINER, "prod/shop");
	assert_non_null(strstr(json, "parts-and-wait-differ"));
	free(json);
}

/* Random charges over many windows: every row is its parts, nothing exceeds the window. */
static void parts_always_sum(void **state)
{
	struct test *f = *state;
	uint32_t h[4], seed = 1;

	for (uint32_t i = 0; i < 4; i++)
		h[i] = slot_for(f, 100 + i);
	tick(f);
	for (uint32_t w = 0; w < 40; w++) {
		for (uint32_t k = 0; k < 60; k++) {
			static const uint32_t pseudo[] = { LNX_LEDGER_IDLE, LNX_LEDGER_KERNEL,
							   LNX_LEDGER_OTHER,
							   LNX_LEDGER_THROTTLED + 1 };
			uint32_t v, by;

			seed = seed * 1664525 + 1013904223;
			v = h[seed >> 30];
			by = seed >> 20 & 7;
			charge(f, seed >> 29 & 1, v, by < 4 ? h[by] : pseudo[by - 4],
			       seed % 40000000);
		}
		tick(f);
		for (uint32_t i = 0; i < f->s->n_rows; i++) {
			const struct stall_row *r = &f->s->rows[i];
			uint64_t ns = 0;

			for (uint32_t c = r->first; c < r->first + r->n; c++)
				ns += f->s->cells[c].stall_ns;
			assert_int_equal(ns, r->stalled_ns);
			assert_true(r->stalled_ns <= SEC);
			assert_int_equal(r->flags & STALL_F_UNEQUAL, 0);
		}
	}
	for (uint32_t by = 0; by <= STALL_BY_PROCESS; by++) {
		char *json = blame(f, by, NULL);

		check_json_sums(json);
		free(json);
	}
}

static void child_of_a_container_counts_there(void **state)
{
	struct test *f = *state;
	uint32_t child = slot_for(f, 200), c = slot_for(f, 102), now = 0, moves = f->tab->moves;
	uint64_t id = 200;

	f->tab->cache[5] = (struct lnx_ledger_cache){ 200, (uint64_t)200 << 32 | child };
	tick(f);
	assert_int_equal(f->tab->cache[5].tagged, 0); /* the probe looks again */
	assert_true(f->tab->moves > moves);
	assert_int_equal(f->tab->slot[LNX_LEDGER_SLOT(child)].handle, child); /* not yet */
	tick(f);
	charge(f, 0, child, c, 40000000);
	tick(f);
	assert_int_equal(row_of(f, 100)->stalled_ns, 40000000);
	assert_int_equal(
		testhost_host(f->t)->map_lookup(testhost_ctx(f->t), f->slots_fd, &id, &now), 0);
	assert_int_not_equal(now, child);
	assert_int_equal(f->tab->slot[LNX_LEDGER_SLOT(now)].cgroup_id, 100);
	/* Nothing waits in the child's own slot any more: it is given back under the next generation. */
	for (int i = 0; i < 4; i++)
		tick(f);
	assert_int_not_equal(f->tab->slot[LNX_LEDGER_SLOT(child)].handle, child);
	assert_int_equal(f->tab->slot[LNX_LEDGER_SLOT(child)].cgroup_id, 0);
}

static void slot_of_a_removed_cgroup_goes_once_it_is_quiet(void **state)
{
	struct test *f = *state;
	uint32_t c = slot_for(f, 102), a = slot_for(f, 100), now;
	uint64_t id = 102;

	begin(f);
	f->cpus[1].cur = c;
	f->gone_id = 102;
	for (int i = 0; i < 12; i++)
		tick(f);
	assert_int_equal(
		testhost_host(f->t)->map_lookup(testhost_ctx(f->t), f->slots_fd, &id, &now),
		-ENOENT);
	assert_int_equal(f->tab->slot[LNX_LEDGER_SLOT(c)].handle, c); /* it runs */
	charge(f, 0, a, c, 25000000);
	f->cpus[1].cur = 0;
	tick(f);
	/* What it did last is still its own. */
	assert_int_equal(cell_ns(f, row_of(f, 100), LNX_STALL_NEIGHBOUR, 102), 25000000);
	tick(f);
	assert_int_not_equal(f->tab->slot[LNX_LEDGER_SLOT(c)].handle, c);
	charge(f, 0, a, c, 15000000);
	tick(f);
	assert_int_equal(cell_ns(f, row_of(f, 100), LNX_STALL_NEIGHBOUR, 102), 15000000);
}

/* The end of a wait was not told, and its cgroup goes: the probe is told one such after the other. */
static void waits_of_removed_cgroups_are_told_to_the_probe_in_turn(void **state)
{
	struct test *f = *state;
	uint32_t c = slot_for(f, 102), first = slot_for(f, 102), told[2];

	f->cpus[1].wait[0].handle = c;
	f->cpus[1].wait[1].handle = first;
	f->cpus[1].n_wait = 2;
	for (int i = 0; i < 5; i++)
		tick(f);
	assert_int_equal(f->tab->gone, 0);
	f->gone_id = 102;
	for (int i = 0; i < 12; i++)
		tick(f);
	told[0] = f->tab->gone;
	tick(f);
	told[1] = f->tab->gone;
	assert_true((told[0] == c && told[1] == first) || (told[0] == first && told[1] == c));
	f->cpus[1].n_wait = 0;
	tick(f);
	assert_int_equal(f->tab->gone, 0);
	assert_int_not_equal(f->tab->slot[LNX_LEDGER_SLOT(c)].handle, c);
	assert_int_not_equal(f->tab->slot[LNX_LEDGER_SLOT(first)].handle, first);
}

/* Two CPUs took a slot each for one cgroup: both count, and the one that no cgroup points to is given back. */
static void of_two_slots_for_a_cgroup_one_stays(void **state)
{
	struct test *f = *state;
	uint32_t lost = slot_for(f, 100), kept = slot_for(f, 100), c = slot_for(f, 102);
	char *json;

	tick(f);
	charge(f, 1, lost, c, 10000000);
	charge(f, 1, kept, c, 20000000);
	tick(f);
	json = blame(f, STALL_BY_CONTAINER, "/t/poduid/a");
	check_json_sums(json);
	assert_non_null(strstr(json, "\"stalled_ms\":30,"));
	free(json);
	for (int i = 0; i < 4; i++)
		tick(f);
	assert_int_not_equal(f->tab->slot[LNX_LEDGER_SLOT(lost)].handle, lost);
	assert_int_equal(f->tab->slot[LNX_LEDGER_SLOT(kept)].handle, kept);
}

static void idle_slots_are_given_back_when_slots_are_short(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102);

	for (uint64_t id = 2000; id < 3950; id++)
		(void)slot_for(f, id);
	for (int i = 0; i < 70; i++) {
		charge(f, 1, a, c, 1000000);
		charge(f, 1, c, a, 1000000);
		tick(f);
		if (i == 55)
			assert_true(f->s->probe.n_used > 1900);
	}
	assert_true(f->s->probe.n_used < 1900);
	assert_int_equal(f->tab->slot[LNX_LEDGER_SLOT(a)].handle, a);
	assert_int_equal(f->tab->slot[LNX_LEDGER_SLOT(c)].handle, c);
}

/* Thousands of pairs: what is too small to matter is other, and every victim has lost what it lost. */
static void small_parts_of_a_crowd_go_to_other(void **state)
{
	enum { CROWD = 70 };
	struct test *f = *state;
	const struct stall_window *w = f->s->look;
	uint32_t h[CROWD], n = 0, n_folded = 0;

	for (uint32_t i = 0; i < CROWD; i++)
		h[i] = slot_for(f, 2000 + i);
	begin(f);
	for (uint32_t v = 0; v < CROWD; v++)
		for (uint32_t c = 0; c < CROWD; c++)
			if (v != c)
				charge(f, v & 1, h[v], h[c], c ? 20000 : 2000000);
	tick(f);
	for (uint32_t i = 0; i < w->n_victims; i++) {
		const struct stall_row *r = &f->s->rows[n];
		uint64_t ns = 0;

		if (w->victims[i].handle < LNX_LEDGER_FIRST &&
		    w->victims[i].handle != LNX_LEDGER_NODE)
			continue;
		n++;
		for (uint32_t c = r->first; c < r->first + r->n; c++)
			ns += f->s->cells[c].stall_ns;
		assert_int_equal(ns, w->victims[i].stall_ns);
		assert_int_equal(r->stalled_ns, ns);
		assert_int_equal(r->raw_ns, w->victims[i].raw_ns);
		n_folded += (r->flags & STALL_F_FOLDED) != 0;
	}
	assert_true(n > CROWD);
	assert_true(n_folded >= CROWD - 1);
	assert_true(f->s->n_cells < 4 * CROWD);
}

static void what_a_window_lacks_is_said(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102);
	char *json;

	begin(f);
	charge(f, 0, a, c, 50000000);
	tick(f);
	json = blame(f, STALL_BY_CONTAINER, "prod/shop");
	assert_null(strstr(json, "ledger-overflow-in-other"));
	assert_null(strstr(json, "ledger-read-late"));
	free(json);
	charge(f, 0, a, c, 50000000);
	f->cpus[0].count[LNX_LEDGER_N_PAIR_FULL]++;
	tick(f);
	json = blame(f, STALL_BY_CONTAINER, "prod/shop");
	assert_non_null(strstr(json, "ledger-overflow-in-other"));
	free(json);
	charge(f, 0, a, c, 50000000);
	f->cpus[1].seq = 1; /* never at rest */
	tick(f);
	json = blame(f, STALL_BY_CONTAINER, "prod/shop");
	assert_non_null(strstr(json, "ledger-read-late"));
	free(json);
}

/* Pressure that plugin psi told: longer than a window, and of a time in which the ledger was not on. */
static void a_long_sample_is_told_over_several_windows(void **state)
{
	struct test *f = *state;
	struct lnx_ev_psi_cgroup e = { .h = { sizeof(e), LNX_EV_PSI_CGROUP, sizeof(e), f->boot, 0,
					      LNX_CPU_NONE },
				       .window_ns = 2 * SEC,
				       .cgroup_id = 102,
				       .cpu_some_pct = 80,
				       .cpu_full_pct = 70 };
	static const uint64_t want[] = { SEC, 600000000, 0 };

	stall_probe_pause(f->s, "off");
	assert_int_equal(testhost_deliver(f->t, &e.h), 0);
	for (int i = 0; i < 3; i++) {
		const struct stall_row *r;

		tick(f);
		r = row_of(f, 102);
		assert_int_equal(r ? r->stalled_ns : 0, want[i]);
		assert_true(!r || (r->method == LNX_METHOD_PSI_ONLY && r->full_ns <= r->psi_ns));
	}
	/* The ledger is back, and what was told before is not told again when it goes. */
	who_of(f, 102)->sample_ns[LNX_RES_CPU][0] = 400000000;
	assert_int_equal(stall_probe_resume(f->s), 0);
	tick(f);
	assert_null(row_of(f, 102));
	tick(f);
	stall_probe_pause(f->s, "off");
	tick(f);
	assert_null(row_of(f, 102));
}

static void steal_is_a_modelled_part_and_the_sum_stays(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102);
	double share[CPUS] = { 0, 0.25 };
	struct stall_window *w = f->s->look;
	uint64_t steal = 0, all = 0;

	begin(f);
	charge(f, 1, a, c, 80000000);
	charge(f, 1, a, LNX_LEDGER_IDLE, 8000000);
	charge(f, 1, a, LNX_LEDGER_THROTTLED + 1, 40000000);
	stall_ledger_shares(f->s->probe.ledger, share, NULL);
	assert_int_equal(stall_ledger_read(f->s->probe.ledger, f->mono + SEC, w), 0);
	for (uint32_t i = 0; i < w->n_parts; i++) {
		all += w->parts[i].victim == a ? w->parts[i].raw_ns : 0;
		steal += w->parts[i].victim == a && w->parts[i].culprit == LNX_LEDGER_STEAL
				 ? w->parts[i].raw_ns
				 : 0;
	}
	assert_int_equal(
		steal,
		20000000); /* of what ran; an idle CPU is not stolen, and no quota waits for it */
	assert_int_equal(all, 128000000);
}

/* Let c hold d for 50 ms; is the edge of that entitled? */
static uint32_t edge_entitled(struct test *f)
{
	uint32_t c = slot_for(f, 102), d = slot_for(f, 103), entitled = 2;

	begin(f);
	testhost_clear(f->t);
	charge(f, 0, d, c, 50000000);
	f->cpus[0].sum[LNX_LEDGER_SLOT(c)].run_ns += 300000000; /* 35 % of a CPU with the 50 ms */
	tick(f);
	for (size_t i = 0; i < testhost_published(f->t); i++) {
		const struct lnx_ev_stall_edge *e = (const void *)testhost_event(f->t, i);

		if (e->h.type != LNX_EV_STALL_EDGE || !e->victim_cgroup_id)
			continue;
		assert_int_equal(e->victim_container_id.len, 4);
		assert_memory_equal((const char *)e + e->victim_container_id.off, "d0d0", 4);
		assert_int_equal(e->culprit_container_id.len, 0);
		assert_int_equal(e->victim_pod_uid.len, 1);
		assert_memory_equal((const char *)e + e->victim_pod_uid.off, "d", 1);
		assert_int_equal(e->culprit_pod_uid.len, 1);
		assert_memory_equal((const char *)e + e->culprit_pod_uid.off, "c", 1);
		entitled = e->entitled;
	}
	return entitled;
}

static void who_stays_within_its_request_is_entitled(void **state)
{
	static const struct {
		uint32_t request_millicores;
		const char *qos;
		uint32_t is_entitled;
	} rows[] = { { 0, "burstable", 0 },   { 500, "burstable", 1 }, { 351, "", 1 },
		     { 200, "burstable", 0 }, { 0, "besteffort", 1 },  { 0, "", 0 } };
	struct test *f = *state;

	assert_int_equal(testhost_set_wanted(f->t, "stall.edge", 1), 0);
	assert_int_equal(edge_entitled(f), 0);
	for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stall_who *c = who_of(f, 102), *d = who_of(f, 103);

		c->asked_ns = d->asked_ns = UINT64_MAX / 2; /* names stay as they are set here */
		c->cpu_request_millicores = rows[i].request_millicores;
		d->qos = rows[i].qos;
		if (edge_entitled(f) != rows[i].is_entitled)
			fail_msg("row %u", i);
	}
}

static void edges_are_published_only_when_wanted(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102), d = slot_for(f, 103);
	const struct lnx_ev_stall_edge *e;

	begin(f);
	charge(f, 0, a, c, 50000000);
	tick(f);
	assert_int_equal(testhost_count(f->t, "stall.edge"), 0);
	assert_int_equal(testhost_set_wanted(f->t, "stall.edge", 1), 0);
	assert_int_equal(testhost_set_wanted(f->t, "stall.window", 1), 0);
	charge(f, 0, d, c, 50000000);
	f->cpus[0].count[LNX_LEDGER_N_HEALED] += 20; /* of 2,000 events */
	tick(f);
	e = (const void *)testhost_last(f->t, "stall.edge");
	assert_non_null(e);
	assert_int_equal(testhost_count(f->t, "stall.edge"), 2); /* d, and the node */
	for (size_t i = 0; i < testhost_published(f->t); i++) {
		const struct lnx_event *ev = testhost_event(f->t, i);

		e = (const void *)ev;
		if (ev->type != LNX_EV_STALL_EDGE || !e->victim_cgroup_id)
			continue;
		assert_int_equal(e->victim_cgroup_id, 103);
		assert_int_equal(e->culprit_cgroup_id, 102);
		assert_int_equal(e->same_workload, 1);
		assert_true(testhost_near(e->stall_ms, 50, 1e-6));
		assert_true(testhost_near(e->share_ratio, 1, 1e-9));
		assert_true(isnan(e->coverage_ratio));
		assert_true(testhost_near(e->confidence, 0.99, 1e-9));
		assert_true(e->pair < 1ULL << 53);
	}
	assert_int_equal(testhost_count(f->t, "stall.window"), 2);
}

static void series_is_admitted_after_a_second_of_stall(void **state)
{
	static const char own[] =
		"resource=cpu,victim_namespace=prod,victim_workload=shop,"
		"culprit_kind=neighbour,culprit_namespace=prod,culprit_workload=twins";
	static const char other[] =
		"resource=cpu,victim_namespace=,victim_workload=_other,"
		"culprit_kind=neighbour,culprit_namespace=,culprit_workload=_other";
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102);

	begin(f);
	for (int i = 0; i < 3; i++) {
		charge(f, 0, a, c, 400000000);
		tick(f);
	}
	/* 1.2 s before it was admitted stay where they were counted. */
	assert_true(testhost_near(testhost_metric(f->t, "linnix_blame_stall_seconds_total", other),
				  1.2, 1e-6));
	charge(f, 0, a, c, 400000000);
	tick(f);
	assert_true(testhost_near(testhost_metric(f->t, "linnix_blame_stall_seconds_total", own),
				  0.4, 1e-6));
	assert_true(testhost_near(testhost_metric(f->t, "linnix_blame_stall_seconds_total", other),
				  1.2, 1e-6));
}

static void shares_of_the_node_sum_to_one_at_most(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102), d = slot_for(f, 103);
	struct lnx_stall_share s;
	double sum = 0;
	void *self;
	const struct lnx_svc_stall *svc = testhost_service(f->t, "stall/1", &self);

	begin(f);
	charge(f, 0, a, c, 300000000);
	charge(f, 1, c, d, 100000000);
	tick(f);
	for (uint64_t id = 100; id < 104; id++) {
		int rc = svc->workload(self, LNX_RES_CPU, id, 0, &s);

		assert_true(rc == 0 || rc == -ENOENT);
		sum += s.psi_contribution;
	}
	assert_true(sum > 0.99 && sum <= 1 + 1e-9);
	assert_int_equal(svc->workload(self, LNX_RES_CPU, 102, 0, &s), 0);
	assert_true(testhost_near(s.caused_ms, 300, 1e-6));
	assert_int_equal(svc->workload(self, LNX_RES_CPU, 103, 0, &s), 0);
	assert_true(testhost_near(s.caused_ms, 0, 0)); /* c is its own workload */
	assert_int_equal(svc->process(self, LNX_RES_CPU, 4711, 1, 0, &s), -ENOENT);
	assert_true(testhost_near(s.caused_ms, 0, 0));
	assert_int_equal(svc->process(self, LNX_RES_IO, 4711, 1, 0, &s), 0);
	assert_true(isnan(s.caused_ms));
}

static void silent_probe_makes_psi_only(void **state)
{
	struct test *f = *state;

	begin(f);
	assert_int_equal(stall_method(f->s, LNX_RES_CPU), LNX_METHOD_EXACT);
	for (int i = 0; i < 4; i++) {
		f->mono += SEC;
		f->boot += SEC;
		stall_tick(f->s, f->mono, f->boot);
	}
	assert_int_not_equal(stall_method(f->s, LNX_RES_CPU), LNX_METHOD_EXACT);
	assert_int_equal(testhost_health(f->t, "ledger"), LNX_HEALTH_DEGRADED);
	assert_non_null(strstr(testhost_health_why(f->t, "ledger"), "sched"));
}

static void an_answer_says_where_it_begins_later_than_asked(void **state)
{
	struct test *f = *state;
	uint64_t wall0 = testhost_host(f->t)->wall_ns(testhost_ctx(f->t), 0);
	struct stall_query q = { .resource = LNX_RES_N, .to_ns = UINT64_MAX, .limit = 10 };
	struct lnx_buf out = { 0 };

	begin(f);
	tick(f);
	q.to_wall_ns = wall0 + f->boot;
	q.from_wall_ns = q.to_wall_ns - 2 * SEC;
	assert_int_equal(stall_blame_json(f->s, &q, &out), 0);
	assert_null(strstr(out.data, "asked_from"));
	lnx_buf_done(&out);
	q.from_wall_ns = q.to_wall_ns - 5 * SEC; /* two seconds are missing */
	assert_int_equal(stall_blame_json(f->s, &q, &out), 0);
	assert_null(strstr(out.data, "asked_from"));
	lnx_buf_done(&out);
	q.from_wall_ns = q.to_wall_ns - 3600 * SEC;
	assert_int_equal(stall_blame_json(f->s, &q, &out), 0);
	assert_non_null(strstr(out.data, "\"asked_from\":"));
	lnx_buf_done(&out);
}

static void every_counter_has_a_name(void **state)
{
	(void)state;
	for (uint32_t i = 0; i <= LNX_LEDGER_N_EVICTED; i++)
		assert_non_null(stall_count_name(i));
	assert_null(stall_count_name(LNX_LEDGER_COUNTS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(kinds_are_told_apart_and_sum),
		TEST(parts_that_do_not_sum_are_noted_and_counted),
		TEST(parts_always_sum),
		TEST(child_of_a_container_counts_there),
		TEST(slot_of_a_removed_cgroup_goes_once_it_is_quiet),
		cmocka_unit_test(every_counter_has_a_name),
		TEST(waits_of_removed_cgroups_are_told_to_the_probe_in_turn),
		TEST(of_two_slots_for_a_cgroup_one_stays),
		TEST(idle_slots_are_given_back_when_slots_are_short),
		TEST(small_parts_of_a_crowd_go_to_other),
		TEST(what_a_window_lacks_is_said),
		TEST(a_long_sample_is_told_over_several_windows),
		TEST(steal_is_a_modelled_part_and_the_sum_stays),
		TEST(who_stays_within_its_request_is_entitled),
		TEST(edges_are_published_only_when_wanted),
		TEST(series_is_admitted_after_a_second_of_stall),
		TEST(shares_of_the_node_sum_to_one_at_most),
		TEST(silent_probe_makes_psi_only),
		TEST(an_answer_says_where_it_begins_later_than_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
