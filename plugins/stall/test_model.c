/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The readers of probes "blkio" and "mem", over maps made of memory: what of two looks is a window, and who shares it. */
#include "test_maps.h"

/* ---- gates */

static void look(struct stall_gates *g)
{
	now_ns += SEC;
	stall_gates_read(g, &maps, now_ns);
}

static void a_window_has_closed_and_open_waits(void **state)
{
	struct lnx_rec_gate *r = &m.gate[0].r;
	struct stall_gates g;

	(void)state;
	assert_int_equal(stall_gates_init(&g), 0);
	m.gate[0].id = 7;
	*r = (struct lnx_rec_gate){ .stall_ns = 500 * MS, .born = 1 };
	look(&g);
	assert_int_equal(raw_of(&g.w, 7), 0); /* of a past that was not looked at */
	r->stall_ns += 300 * MS;
	r->n = 1;
	r->since = now_ns + SEC - 50 * MS;
	m.counts.n[LNX_RES_N_HEALED] = 3;
	look(&g);
	assert_int_equal(raw_of(&g.w, 7), 350 * MS);
	assert_int_equal(g.w.count[LNX_RES_N_HEALED], 3);
	r->n = 0;
	r->stall_ns += 70 * MS; /* the open one took 70 ms in all */
	look(&g);
	assert_int_equal(raw_of(&g.w, 7), 20 * MS);
	assert_int_equal(g.w.count[LNX_RES_N_HEALED], 0);
	/* The entry went and came back, within the window: all of it is new. */
	*r = (struct lnx_rec_gate){ .stall_ns = 40 * MS, .born = now_ns + 1 };
	look(&g);
	assert_int_equal(raw_of(&g.w, 7), 40 * MS);
	/* It came back before our last look, which did not meet it. */
	*r = (struct lnx_rec_gate){ .stall_ns = 900 * MS, .born = now_ns - SEC / 2 };
	look(&g);
	assert_int_equal(raw_of(&g.w, 7), 0);
	stall_gates_done(&g);
}

/* Cgroups come and go; each is found again, and has its own figure. */
static void gates_that_go_leave_the_others_where_they_are(void **state)
{
	static uint64_t want[GATES];
	uint32_t seed = 1;
	struct stall_gates g;

	(void)state;
	assert_int_equal(stall_gates_init(&g), 0);
	for (int i = 0; i < GATES; i++)
		m.gate[i].r.born = 1;
	for (int round = 0; round < 40; round++) {
		memset(want, 0, sizeof(want));
		for (int i = 0; i < GATES; i++) {
			seed = seed * 1664525 + 1013904223;
			if (!m.gate[i].id) {
				m.gate[i].id = 1000 + (uint64_t)round * GATES + (uint64_t)i;
				m.gate[i].r.born = now_ns + 1;
				m.gate[i].r.stall_ns = 0;
			} else if (seed >> 29 == 0) {
				m.gate[i].id = 0;
				continue;
			}
			want[i] = 1 + (seed >> 16);
			m.gate[i].r.stall_ns += want[i];
		}
		look(&g);
		for (int i = 0; i < GATES; i++)
			if (round && m.gate[i].id)
				assert_int_equal(raw_of(&g.w, m.gate[i].id), want[i]);
		assert_int_equal(g.w.dropped, 0);
	}
	stall_gates_done(&g);
}

static void a_gate_that_is_not_used_is_given_back_after_a_minute(void **state)
{
	struct stall_gates g;

	(void)state;
	assert_int_equal(stall_gates_init(&g), 0);
	m.gate[0].id = 7;
	m.gate[0].r = (struct lnx_rec_gate){ .stall_ns = 5, .born = 1 };
	m.gate[1].id = 8;
	m.gate[1].r = (struct lnx_rec_gate){ .n = 1, .since = now_ns, .born = 1 };
	for (int i = 0; i < 59; i++)
		look(&g);
	assert_int_equal(m.gate[0].id, 7);
	for (int i = 0; i < 3; i++)
		look(&g);
	assert_int_equal(m.gate[0].id, 0);
	assert_int_equal(m.gate[1].id, 8); /* somebody waits there */
	stall_gates_done(&g);
}

/* A wait whose end was missed holds the gate open: who does not sleep does not wait. */
static void a_gate_held_open_by_nobody_is_made_anew(void **state)
{
	struct stall_gates g;

	(void)state;
	assert_int_equal(stall_gates_init(&g), 0);
	m.gate[0].id = 7;
	m.gate[0].r = (struct lnx_rec_gate){ .n = 1, .since = now_ns, .born = 1 };
	m.tid = 4711;
	m.waiting = (struct lnx_rec_waiting){ .cgroup_id = 7, .born = 1, .since = now_ns };
	m.is_asleep = 1;
	for (int i = 0; i < 25; i++)
		look(&g);
	assert_int_equal(m.n_deleted, 0);
	m.is_asleep = 0;
	for (int i = 0; i < 11 && m.tid; i++)
		look(&g);
	assert_int_equal(m.tid, 0);
	assert_int_equal(m.gate[0].id, 0);
	assert_int_equal(g.w.repaired, 1);
	stall_gates_done(&g);
}

static void more_parts_than_there_are_places_go_to_other(void **state)
{
	struct stall_res_victim *v;
	struct stall_gates g;
	uint64_t sum = 0;

	(void)state;
	assert_int_equal(stall_gates_init(&g), 0);
	for (uint32_t i = 0; i < 2; i++) {
		m.gate[i].id = 7 + i;
		m.gate[i].r.born = 1;
	}
	look(&g);
	m.gate[0].r.stall_ns = m.gate[1].r.stall_ns = 20000;
	look(&g);
	assert_int_equal(g.w.n_victims, 2);
	v = &g.victims[0];
	for (uint64_t c = 0; c < STALL_RES_PARTS + 10; c++)
		stall_gates_part(&g, v, 100 + c, 1);
	assert_int_equal(g.w.dropped, 10);
	stall_gates_close(&g, v);
	for (uint32_t i = v->first; i < v->first + v->n; i++)
		sum += g.parts[i].ns;
	assert_int_equal(v->n, STALL_RES_PARTS + 1);
	assert_int_equal(sum, v->raw_ns);
	assert_int_equal(sum, 20000);
	assert_int_equal(g.parts[v->n - 1].culprit, STALL_RES_OTHER);
	assert_int_equal(g.parts[v->n - 1].ns, 20000 - STALL_RES_PARTS);
	/* Of the next nobody can be named; but how long it waited stays. */
	v = &g.victims[1];
	stall_gates_part(&g, v, 100, 5000);
	assert_int_equal(g.w.dropped, 11);
	stall_gates_close(&g, v);
	assert_int_equal(v->n, 1);
	assert_int_equal(v->raw_ns, 20000);
	assert_int_equal(g.parts[v->first].culprit, STALL_RES_OTHER);
	assert_int_equal(g.parts[v->first].ns, 20000);
	stall_gates_done(&g);
}

/* ---- I/O */

static void requests_in_flight_share_the_wait(void **state)
{
	struct stall_res_window w;
	struct stall_io io;

	(void)state;
	io_open(&io);
	m.dev.m[1][1] = 900 * MS;
	m.dev.m[1][2] = 900 * MS;
	w = io_look(&io, 100);
	assert_int_equal(w.n_victims, 0); /* the first look has no window */
	m.dev.m[1][1] += 200 * MS;
	m.dev.m[1][2] += 600 * MS;
	w = io_look(&io, 400);
	assert_int_equal(raw_of(&w, 7), 400 * MS);
	assert_int_equal(part_of(&w, 7, 7), 100 * MS);
	assert_int_equal(part_of(&w, 7, 8), 300 * MS);
	/* Less was in flight than the victim waited: of the rest nobody knows. */
	m.dev.m[1][2] += 30 * MS;
	w = io_look(&io, 50);
	assert_int_equal(part_of(&w, 7, 8), 30 * MS);
	assert_int_equal(part_of(&w, 7, STALL_RES_OTHER), 20 * MS);
	stall_io_done(&io);
}

/* What its own requests would have taken alone is its own, whatever else was in flight. */
static void what_a_victim_needs_alone_is_its_own(void **state)
{
	struct stall_res_window w;
	struct stall_io io;

	(void)state;
	io_open(&io);
	(void)io_look(&io, 0);
	m.dev.m[1][1] += 100 * MS;
	m.dev.m[1][2] += 300 * MS;
	m.dev.victim[1].own_ns = 240 * MS;
	m.dev.victim[1].life_ns = 400 * MS;
	w = io_look(&io, 400);
	assert_int_equal(part_of(&w, 7, 7), 240 * MS);
	assert_in_range(part_of(&w, 7, 8), 160 * MS - 2, 160 * MS);
	stall_io_done(&io);
}

static void requests_still_in_flight_count(void **state)
{
	struct stall_res_window w;
	struct stall_io io;

	(void)state;
	io_open(&io);
	(void)io_look(&io, 0);
	m.dev.victim[1].n = 1;
	m.dev.culprit[2].d_ns = 500 * MS;
	m.dev.snap[1][2] = 200 * MS;
	w = io_look(&io, 300);
	assert_int_equal(part_of(&w, 7, 8), 300 * MS);
	/* And of what is in flight now, until now: a weight of one third of all. */
	m.dev.culprit[2].w = 1000;
	m.dev.w = 3000;
	m.dev.last_ns = now_ns + SEC - 30 * MS;
	w = io_look(&io, 10);
	assert_in_range(part_of(&w, 7, 8), 10 * MS - 2, 10 * MS);
	stall_io_done(&io);
}

/* A place that got another owner begins at nothing. */
static void a_new_owner_of_a_place_inherits_nothing(void **state)
{
	struct stall_res_window w;
	struct stall_io io;

	(void)state;
	io_open(&io);
	m.dev.m[1][1] = 800 * MS;
	m.dev.m[1][2] = 800 * MS;
	(void)io_look(&io, 0);
	m.dev.culprit[2] = (struct lnx_rec_io_culprit){ .id = 9, .gen = 2 };
	m.dev.m[1][2] = 100 * MS;
	w = io_look(&io, 100);
	assert_int_equal(part_of(&w, 7, 9), 100 * MS);
	m.gate[1].id = 6;
	m.gate[1].r = (struct lnx_rec_gate){ .stall_ns = 50 * MS, .born = now_ns + 1 };
	m.dev.victim[1] = (struct lnx_rec_io_victim){ .id = 6, .gen = 2 };
	m.dev.m[1][1] = 0;
	m.dev.m[1][2] = 50 * MS;
	w = io_look(&io, 0);
	assert_int_equal(part_of(&w, 6, 9), 50 * MS);
	stall_io_done(&io);
}

static void a_culprit_of_v1_is_known_by_its_v2_cgroup(void **state)
{
	struct stall_res_window w;
	struct stall_io io;

	(void)state;
	io_open(&io);
	m.dev.culprit[2].id = LNX_IO_V1 | 55;
	m.dev.culprit[3] = (struct lnx_rec_io_culprit){ .id = LNX_IO_V1 | 56, .hint = 5, .gen = 1 };
	(void)io_look(&io, 0);
	m.dev.m[1][2] = 60 * MS;
	m.dev.m[1][3] = 40 * MS;
	w = io_look(&io, 100);
	assert_int_equal(part_of(&w, 7, 8), 60 * MS);
	assert_int_equal(part_of(&w, 7, 5), 40 * MS);
	stall_io_done(&io);
}

/* Of lone requests: fixed and per KiB; without any the guess, and a few do not outweigh it. */
static void cost_of_a_request_is_learned(void **state)
{
	double n[LNX_IO_CLASSES] = { 0 }, ns[LNX_IO_CLASSES] = { 0 }, kib[LNX_IO_CLASSES] = { 0 };
	struct lnx_rec_io_cost cost;

	(void)state;
	stall_io_fit(n, ns, kib, &cost);
	assert_in_range(cost.fixed_ns, LNX_IO_FIXED_NS - 10, LNX_IO_FIXED_NS + 10);
	assert_in_range(cost.kib_ns, LNX_IO_KIB_NS - 1, LNX_IO_KIB_NS);
	for (int i = 2; i < 11; i += 4) {
		n[i] = 1000;
		kib[i] = 1000. * (1 << i);
		ns[i] = 1000. * (50000 + 500. * (1 << i));
	}
	stall_io_fit(n, ns, kib, &cost);
	assert_in_range(cost.fixed_ns, 49000, 52000);
	assert_in_range(cost.kib_ns, 480, 520);
}

/* ---- memory */

struct scope {
	uint64_t below[2];
	int level;
};

static int contended(void *arg, uint64_t victim)
{
	const struct scope *s = arg;

	(void)victim;
	return s->level;
}

static int is_below(void *arg, uint64_t id, int level)
{
	const struct scope *s = arg;

	return level == s->level && (id == s->below[0] || id == s->below[1]);
}

static void pages_below_the_limit_share_the_wait(void **state)
{
	struct scope s = { { 7, 8 }, 0 };
	struct stall_mem_scope scope = { &s, contended, is_below };
	struct stall_res_window w;
	struct stall_mem mem;

	(void)state;
	assert_int_equal(stall_mem_init(&mem, 2), 0);
	m.gate[0].id = 7;
	m.gate[0].r.born = 1;
	for (uint64_t i = 0; i < 3; i++) {
		m.alloc[i].id = 7 + i;
		m.alloc[i].pages[0] = 1000000;
	}
	stall_mem_read(&mem, &maps, &scope, now_ns += SEC, &w);
	m.gate[0].r.stall_ns = 400 * MS;
	m.alloc[0].pages[1] += 100;
	m.alloc[1].pages[0] += 200;
	m.alloc[1].pages[1] += 100;  /* of all CPUs */
	m.alloc[2].pages[0] += 5000; /* not below that limit */
	stall_mem_read(&mem, &maps, &scope, now_ns += SEC, &w);
	assert_int_equal(part_of(&w, 7, 7), 100 * MS);
	assert_int_equal(part_of(&w, 7, 8), 300 * MS);
	assert_int_equal(part_of(&w, 7, 9), 0);
	assert_int_equal(stall_mem_pages(&mem, 8), 300);
	/* Where nobody knows which limit was met, nobody is to blame. */
	s.level = -1;
	m.gate[0].r.stall_ns += 50 * MS;
	m.alloc[1].pages[0] += 200;
	stall_mem_read(&mem, &maps, &scope, now_ns += SEC, &w);
	assert_int_equal(part_of(&w, 7, STALL_RES_OTHER), 50 * MS);
	stall_mem_done(&mem);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_window_has_closed_and_open_waits),
		TEST(gates_that_go_leave_the_others_where_they_are),
		TEST(a_gate_that_is_not_used_is_given_back_after_a_minute),
		TEST(a_gate_held_open_by_nobody_is_made_anew),
		TEST(more_parts_than_there_are_places_go_to_other),
		TEST(requests_in_flight_share_the_wait),
		TEST(what_a_victim_needs_alone_is_its_own),
		TEST(requests_still_in_flight_count),
		TEST(a_new_owner_of_a_place_inherits_nothing),
		TEST(a_culprit_of_v1_is_known_by_its_v2_cgroup),
		TEST(cost_of_a_request_is_learned),
		TEST(pages_below_the_limit_share_the_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
