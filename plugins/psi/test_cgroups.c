/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Pressure of cgroups on the test host and a fake hierarchy: discovery, deltas, the budget, bounds. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <linnix/ev_psi.h>

#include "psi.h"
#include "test_tree.h"
#include "testhost.h"

#define SECOND 1000000000ULL

static int near(double a, double b)
{
	return fabs(a - b) < 0.01;
}

static uint64_t id_of(const struct fake_tree *f, const char *cgroup)
{
	char path[1400];
	struct stat st;

	snprintf(path, sizeof(path), "%s/cg/%s", f->dir, cgroup);
	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static void stall(const struct fake_tree *f, const char *cgroup, const char *res, uint64_t some_us,
		  uint64_t full_us)
{
	char name[1400];

	snprintf(name, sizeof(name), "cg/%s/%s.pressure", cgroup, res);
	fake_pressure_file(f, name, some_us, full_us);
}

static void load(struct fake_tree *f)
{
	assert_int_equal(testhost_set_wanted(f->t, "psi.cgroup", 1), 0);
	fake_load(f);
}

static double metric(struct fake_tree *f, const char *name)
{
	return testhost_metric(f->t, name, "");
}

static const struct lnx_ev_psi_cgroup *as_cgroup(const struct lnx_event *e)
{
	return (const struct lnx_ev_psi_cgroup *)(const void *)e;
}

static const struct lnx_ev_psi_cgroup *last(struct fake_tree *f)
{
	return as_cgroup(testhost_last(f->t, "psi.cgroup"));
}

static const struct lnx_ev_psi_cgroup *last_of(struct fake_tree *f, uint64_t id)
{
	const struct lnx_ev_psi_cgroup *found = NULL;
	const struct lnx_event *e;
	size_t i;

	for (i = 0; (e = testhost_event(f->t, i)); i++)
		if (e->type == LNX_EV_PSI_CGROUP && as_cgroup(e)->cgroup_id == id)
			found = as_cgroup(e);
	assert_non_null(found);
	return found;
}

static void only_what_moved_is_published(void **arg)
{
	struct fake_tree *f = *arg;
	const struct lnx_ev_psi_cgroup *e;

	fake_cgroup(f, "a");
	fake_cgroup(f, "a/b");
	load(f);
	assert_true(metric(f, "linnix_psi_cgroups") == 2);
	assert_int_equal(testhost_count(f->t, "psi.cgroup"), 0); /* the first read is the base */
	stall(f, "a/b", "cpu", 200000, 100000);
	stall(f, "a/b", "io", 50000, 0);
	fake_pressure(f, "cpu", 200000, 0);
	fake_pressure(f, "io", 50000, 0);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_int_equal(testhost_count(f->t, "psi.cgroup"), 2); /* and that a does not stall */
	e = last(f);
	assert_true(e->cgroup_id == id_of(f, "a/b"));
	assert_int_equal(e->window_ns, SECOND);
	assert_true(near(e->cpu_some_pct, 20));
	assert_true(near(e->cpu_full_pct, 10));
	assert_true(near(e->io_some_pct, 5));
	assert_true(near(e->memory_some_pct, 0));
	assert_int_equal(e->cpu_some_us, 200000);
	assert_int_equal(e->path.len, 4);
	assert_memory_equal((const char *)e + e->path.off, "/a/b", 4);
}

/* Who keeps the last figure of each must not keep an old stall for ever. */
static void the_end_of_a_stall_is_told_once(void **arg)
{
	struct fake_tree *f = *arg;

	fake_cgroup(f, "a");
	load(f);
	stall(f, "a", "cpu", 800000, 0);
	fake_pressure(f, "cpu", 800000, 0);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_true(near(last(f)->cpu_some_pct, 80));
	assert_int_equal(testhost_advance(f->t, SECOND), 1); /* the machine stands still, too */
	assert_int_equal(testhost_count(f->t, "psi.cgroup"), 2);
	assert_true(near(last(f)->cpu_some_pct, 0));
	assert_int_equal(last(f)->window_ns, SECOND);
	assert_int_equal(last(f)->cpu_some_us, 800000);
	fake_pressure(f, "cpu", 900000, 0); /* others */
	assert_true(testhost_advance(f->t, 20 * SECOND) >= 20);
	assert_int_equal(testhost_count(f->t, "psi.cgroup"), 2);
}

static void one_that_never_stalls_is_told_once(void **arg)
{
	struct fake_tree *f = *arg;

	fake_cgroup(f, "a");
	load(f);
	assert_int_equal(testhost_count(f->t, "psi.cgroup"), 0);
	assert_true(testhost_advance(f->t, 20 * SECOND) >= 20);
	assert_int_equal(testhost_count(f->t, "psi.cgroup"), 1);
	assert_true(near(last(f)->cpu_some_pct, 0));
	assert_true(near(last(f)->memory_some_pct, 0));
}

static void the_end_that_was_refused_is_told_again(void **arg)
{
	struct fake_tree *f = *arg;

	fake_cgroup(f, "a");
	load(f);
	stall(f, "a", "io", 500000, 0);
	fake_pressure(f, "io", 500000, 0);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_int_equal(testhost_count(f->t, "psi.cgroup"), 1);
	testhost_fail(f->t, "publish", -ENOBUFS, 0, 3); /* with psi.sample and host.sample */
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_int_equal(testhost_count(f->t, "psi.cgroup"), 1);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_int_equal(testhost_count(f->t, "psi.cgroup"), 2);
	assert_true(near(last(f)->io_some_pct, 0));
}

static void nobody_reads_nothing_is_read(void **arg)
{
	struct fake_tree *f = *arg;

	fake_cgroup(f, "a");
	fake_load(f);
	fake_pressure(f, "cpu", 200000, 0);
	assert_true(testhost_advance(f->t, 5 * SECOND) >= 5);
	assert_true(metric(f, "linnix_psi_cgroup_reads_total") == 0);
}

static void still_machine_needs_no_reads(void **arg)
{
	struct fake_tree *f = *arg;
	double reads;

	fake_cgroup(f, "a");
	load(f);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	reads = metric(f, "linnix_psi_cgroup_reads_total");
	assert_true(reads == 3);
	assert_int_equal(testhost_advance(f->t, 8 * SECOND), 8);
	assert_true(metric(f, "linnix_psi_cgroup_reads_total") == reads);
	/* a stall of the machine by memory only: one file */
	fake_pressure(f, "memory", 900000, 0);
	assert_int_equal(testhost_advance(f->t, SECOND / 1), 2); /* and a walk */
	assert_true(metric(f, "linnix_psi_cgroup_reads_total") == reads + 1);
}

static void cgroup_that_resets_is_unknown_once(void **arg)
{
	struct fake_tree *f = *arg;

	fake_cgroup(f, "a");
	stall(f, "a", "cpu", 500000, 0);
	load(f);
	stall(f, "a", "cpu", 100, 0);
	fake_pressure(f, "cpu", 100000, 0);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_true(isnan(last(f)->cpu_some_pct));
	stall(f, "a", "cpu", 100100, 0);
	fake_pressure(f, "cpu", 200000, 0);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_true(near(last(f)->cpu_some_pct, 10));
}

static void broken_and_missing_files_do_no_harm(void **arg)
{
	struct fake_tree *f = *arg;

	fake_cgroup(f, "a");
	fake_remove(f, "cg/a/io.pressure");
	fake_put(f, "cg/a/memory.pressure", "some total=zzz\n");
	load(f);
	stall(f, "a", "cpu", 100000, 0);
	fake_pressure(f, "cpu", 100000, 0);
	fake_pressure(f, "io", 100000, 0);
	fake_pressure(f, "memory", 100000, 0);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_true(near(last(f)->cpu_some_pct, 10));
	assert_true(near(last(f)->io_some_pct, 0));
	assert_true(metric(f, "linnix_psi_cgroups") == 1);
}

static void cgroups_come_and_go(void **arg)
{
	struct fake_tree *f = *arg;

	fake_cgroup(f, "a");
	load(f);
	fake_cgroup(f, "a/new");
	fake_cgroup(f, "z");
	assert_true(testhost_advance(f->t, 10 * SECOND) >= 11);
	assert_true(metric(f, "linnix_psi_cgroups") == 3);
	fake_remove(f, "cg/a/new/cpu.pressure");
	fake_remove(f, "cg/a/new/io.pressure");
	fake_remove(f, "cg/a/new/memory.pressure");
	fake_remove(f, "cg/a/new");
	assert_true(testhost_advance(f->t, 11 * SECOND) >= 11);
	assert_true(metric(f, "linnix_psi_cgroups") == 2);
}

static int tell(struct fake_tree *f, uint16_t type, uint64_t id, uint64_t parent, const char *path,
		uint32_t is_rename)
{
	struct {
		struct lnx_ev_cgroup e;
		char tail[1100];
	} b;

	memset(&b, 0, sizeof(b));
	b.e.h.size = b.e.h.fixed = sizeof(b.e);
	b.e.h.type = type;
	b.e.h.ts_ns = testhost_now(f->t);
	b.e.cgroup_id = id;
	b.e.parent_id = parent;
	b.e.is_rename = is_rename;
	assert_int_equal(testhost_str(&b.e.h, sizeof(b), &b.e.path, path), 0);
	return testhost_deliver(f->t, &b.e.h);
}

static void events_tell_of_new_and_removed_ones(void **arg)
{
	struct fake_tree *f = *arg;
	const struct psi_cgroups *c;
	uint64_t id;

	fake_cgroup(f, "a");
	load(f);
	c = &((struct psi_state *)testhost_state(f->t))->cgroups;
	assert_int_equal(testhost_advance(f->t, SECOND / 2), 0);
	fake_cgroup(f, "b");
	fake_cgroup(f, "a/x");
	assert_int_equal(tell(f, LNX_EV_CGROUP_NEW, id_of(f, "b"), id_of(f, ""), "/b", 0), 0);
	id = id_of(f, "a/x");
	assert_int_equal(tell(f, LNX_EV_CGROUP_NEW, id, id_of(f, "a"), "/a/x", 0), 0);
	assert_string_equal(psi_cgroup_find(c, id)->path, "a/x");
	/* it began with 0, so its first read is news already */
	stall(f, "a/x", "cpu", 50000, 0);
	fake_pressure(f, "cpu", 50000, 0);
	assert_int_equal(testhost_advance(f->t, SECOND / 2), 1);
	assert_int_equal(last_of(f, id)->window_ns, SECOND / 2);
	assert_true(near(last_of(f, id)->cpu_some_pct, 10));
	/* what is not there, has another id, or a parent that nobody knows, is left to the walk */
	assert_int_equal(tell(f, LNX_EV_CGROUP_NEW, 5, id_of(f, ""), "/nope", 0), 0);
	assert_int_equal(tell(f, LNX_EV_CGROUP_NEW, 6, id_of(f, ""), "/a", 0), 0);
	assert_int_equal(tell(f, LNX_EV_CGROUP_NEW, 7, 1234567, "/q/r", 0), 0);
	assert_int_equal(tell(f, LNX_EV_CGROUP_NEW, 8, id_of(f, ""), "", 0), 0);
	assert_int_equal(tell(f, LNX_EV_CGROUP_NEW, 9, id_of(f, ""), "/", 0), 0);
	assert_int_equal(c->n, 3);
	assert_int_equal(tell(f, LNX_EV_CGROUP_GONE, id, 0, "/a/x", 0), 0);
	assert_int_equal(tell(f, LNX_EV_CGROUP_GONE, id, 0, "/a/x", 0), 0);
	assert_int_equal(c->n, 2);
	assert_null(psi_cgroup_find(c, id));
}

static void renamed_ones_are_followed(void **arg)
{
	struct fake_tree *f = *arg;
	const struct psi_cgroups *c;
	char from[160], to[160];
	uint64_t id, below;

	fake_cgroup(f, "a");
	fake_cgroup(f, "a/x");
	load(f);
	c = &((struct psi_state *)testhost_state(f->t))->cgroups;
	id = id_of(f, "a");
	below = id_of(f, "a/x");
	fake_path(f, "cg/a", from, sizeof(from));
	fake_path(f, "cg/z", to, sizeof(to));
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(tell(f, LNX_EV_CGROUP_NEW, id, id_of(f, ""), "/z", 1), 0);
	assert_string_equal(psi_cgroup_find(c, id)->path, "z");
	assert_int_equal(testhost_advance(f->t, 10 * SECOND), 11); /* and the walk the rest */
	assert_string_equal(psi_cgroup_find(c, below)->path, "z/x");
	assert_int_equal(c->n, 2);
}

static void too_many_are_refused_and_counted(void **arg)
{
	struct fake_tree *f = *arg;
	char name[16];
	int i;

	for (i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		fake_cgroup(f, name);
	}
	assert_int_equal(testhost_conf(f->t, "max_cgroups=5"), 0);
	load(f);
	assert_true(metric(f, "linnix_psi_cgroups") == 5);
	assert_true(metric(f, "linnix_psi_cgroups_refused_total") == 7);
}

static void open_files_are_bounded(void **arg)
{
	struct fake_tree *f = *arg;
	const struct psi_state *s;
	char name[16];
	int i;

	for (i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		fake_cgroup(f, name);
	}
	assert_int_equal(testhost_conf(f->t, "max_fds=7"), 0);
	load(f);
	fake_pressure(f, "cpu", 900000, 0);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	s = testhost_state(f->t);
	assert_int_equal(s->cgroups.n_fds, 7);
	assert_int_equal(s->cgroups.reads, 12 * 3 + 12);
	/* the others are opened for each read, and closed */
	fake_pressure(f, "cpu", 1800000, 0);
	assert_int_equal(testhost_advance(f->t, SECOND), 1);
	assert_int_equal(s->cgroups.n_fds, 7);
	assert_int_equal(s->cgroups.reads, 12 * 3 + 24);
}

/* 400 cgroups, 3 files each: 1,200 reads, of which 500 may be made in a second. */
static void reads_have_a_budget_and_all_have_their_turn(void **arg)
{
	struct fake_tree *f = *arg;
	const struct psi_cgroup *g;
	const struct psi_state *s;
	uint64_t reads, total = 0;
	char name[16];
	int i, second, n_unread;

	for (i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		fake_cgroup(f, name);
	}
	load(f);
	s = testhost_state(f->t);
	assert_in_range(s->cgroups.reads, 1, 500);
	for (second = 1; second <= 8; second++) {
		total += 500000; /* the machine stalls all the time */
		fake_pressure(f, "cpu", total, 0);
		fake_pressure(f, "memory", total, 0);
		fake_pressure(f, "io", total, 0);
		reads = s->cgroups.reads;
		assert_true(testhost_advance(f->t, SECOND) >= 1);
		assert_in_range(s->cgroups.reads - reads, 400, 500);
		assert_true(s->cgroups.skipped > 0);
	}
	for (n_unread = 0, g = s->cgroups.first; g; g = g->next)
		n_unread += g->read_ns < TESTHOST_START_NS + 3 * SECOND;
	assert_int_equal(n_unread, 0);
	assert_true(metric(f, "linnix_psi_cgroup_skipped_total") > 0);
}

static void hot_ones_come_first(void **arg)
{
	struct fake_tree *f = *arg;
	uint64_t total = 0;
	char name[16];
	int i, second;

	for (i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		fake_cgroup(f, name);
	}
	load(f);
	for (second = 1; second <= 12; second++) {
		total += 500000;
		fake_pressure(f, "cpu", total, 0);
		fake_pressure(f, "memory", total, 0);
		fake_pressure(f, "io", total, 0);
		stall(f, "c399", "cpu", total, 0);
		stall(f, "c200", "cpu", total, 0);
		if (second == 6)
			testhost_clear(f->t);
		assert_true(testhost_advance(f->t, SECOND) >= 1);
	}
	/* both in each of the 7 seconds since, though only a part of the others has its turn */
	assert_int_equal(testhost_count(f->t, "psi.cgroup"), 14);
}

static void walk_goes_in_slices(void **arg)
{
	struct fake_tree *f = *arg;
	struct psi_cgroups *c;
	char name[16];
	int i, slices = 0;

	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		fake_cgroup(f, name);
	}
	fake_cgroup(f, "c7/deep");
	fake_cgroup(f, "c7/deep/er");
	load(f);
	c = &((struct psi_state *)testhost_state(f->t))->cgroups;
	assert_int_equal(c->n, 202);
	assert_non_null(psi_cgroup_find(c, id_of(f, "c7/deep/er")));
	psi_walk_begin(c);
	while (psi_walk_step(c, 50))
		slices++;
	assert_int_equal(slices, 4);
	assert_int_equal(c->n, 202);
	assert_int_equal(psi_walk_step(c, 50), 0);
}

static void deep_paths_are_refused_not_cut(void **arg)
{
	struct fake_tree *f = *arg;
	char path[1300] = "";
	size_t n = 0;
	int i;

	for (i = 0; i < 12; i++) { /* 12 * 101 bytes */
		memset(path + n, 'a' + i, 100);
		path[n + 100] = 0;
		fake_cgroup(f, path);
		path[n + 100] = '/';
		n += 101;
	}
	load(f);
	assert_true(metric(f, "linnix_psi_cgroups") == 9);
	assert_true(metric(f, "linnix_psi_cgroups_refused_total") == 1);
}

static void root_that_cannot_be_opened_is_told(void **arg)
{
	struct fake_tree *f = *arg;

	fake_remove(f, "cg");
	load(f);
	assert_int_equal(testhost_health(f->t, "cgroups"), LNX_HEALTH_DEGRADED);
	assert_int_equal(testhost_advance(f->t, 2 * SECOND), 2);
	fake_mkdir(f, "cg");
}

static void root_from_the_mounts_is_used(void **arg)
{
	struct fake_tree *f = *arg;
	char text[256];

	fake_cgroup(f, "a");
	f->is_auto_root = 1;
	snprintf(text, sizeof(text), "31 30 0:27 / %s/cg rw shared:10 - cgroup2 cgroup2 rw\n",
		 f->dir);
	fake_put(f, "self/mountinfo", text);
	load(f);
	assert_int_equal(testhost_health(f->t, "cgroups"), -ENOENT);
	assert_true(metric(f, "linnix_psi_cgroups") == 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_what_moved_is_published),
		TEST(the_end_of_a_stall_is_told_once),
		TEST(one_that_never_stalls_is_told_once),
		TEST(the_end_that_was_refused_is_told_again),
		TEST(nobody_reads_nothing_is_read),
		TEST(still_machine_needs_no_reads),
		TEST(cgroup_that_resets_is_unknown_once),
		TEST(broken_and_missing_files_do_no_harm),
		TEST(cgroups_come_and_go),
		TEST(events_tell_of_new_and_removed_ones),
		TEST(renamed_ones_are_followed),
		TEST(too_many_are_refused_and_counted),
		TEST(open_files_are_bounded),
		TEST(reads_have_a_budget_and_all_have_their_turn),
		TEST(hot_ones_come_first),
		TEST(walk_goes_in_slices),
		TEST(deep_paths_are_refused_not_cut),
		TEST(root_that_cannot_be_opened_is_told),
		TEST(root_from_the_mounts_is_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
