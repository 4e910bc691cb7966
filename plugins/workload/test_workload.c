/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Paths, and the plugin on a folder tree that stands for a hierarchy. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <linnix/ev_proc.h>
#include <linnix/ev_psi.h>
#include <linnix/ev_workload.h>
#include <linnix/svc_workload.h>

#include "parse.h"
#include "table.h"
#include "testhost.h"
#include "usage.h"

#define SECOND 1000000000ull

static const char *dash(const char *s)
{
	return *s ? s : "-";
}

static void every_row_of_the_corpus_is_answered(void **state)
{
	const char *other = getenv("LINNIX_TEST_CGROUP_PATHS");
	FILE *f = fopen(other ? other : "tests/data/cgroup_paths.tsv", "re");
	char line[8192], *col[5], *save;
	struct workload_ids ids;
	unsigned rows = 0, i;

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (*line == '#')
			continue;
		line[strcspn(line, "\n")] = 0;
		save = line;
		for (i = 0; i < 5; i++)
			col[i] = strsep(&save, "\t");
		assert_non_null(col[4]);
		workload_parse(col[0], &ids);
		rows++;
		if (strcmp(dash(ids.pod_uid), col[1]) != 0 ||
		    strcmp(dash(ids.container_id), col[2]) != 0 ||
		    strcmp(dash(ids.runtime), col[3]) != 0 || strcmp(dash(ids.qos), col[4]) != 0)
			fail_msg("%s: %s %s %s %s", col[0], dash(ids.pod_uid),
				 dash(ids.container_id), dash(ids.runtime), dash(ids.qos));
	}
	(void)fclose(f);
	assert_true(rows >= 90);
}

/* ---- the plugin */

struct scene {
	struct testhost *host;
	char root[64];
	const struct lnx_svc_workload *service;
	void *self;
};

static void make_dir(const struct scene *s, const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", s->root, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static uint64_t inode(const struct scene *s, const char *name)
{
	char path[256];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", s->root, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static void scene_open(struct scene *s)
{
	char conf[128];

	(void)snprintf(s->root, sizeof(s->root), "/tmp/lnx-workload-XXXXXX");
	assert_non_null(mkdtemp(s->root));
	make_dir(s, "system.slice");
	make_dir(s, "system.slice/ssh.service");
	s->host = testhost_new();
	(void)snprintf(conf, sizeof(conf), "cgroup_root=%s", s->root);
	assert_int_equal(testhost_conf(s->host, conf), 0);
	if (testhost_load(s->host, linnix_plugin_v1()) != 0)
		fail_msg("%s", testhost_error(s->host));
	s->service = testhost_service(s->host, "workload/1", &s->self);
	assert_non_null(s->service);
}

static void scene_close(struct scene *s)
{
	static const char *const dirs[] = { "new.service", "system.slice/ssh.service",
					    "system.slice", "" };
	char path[256];
	unsigned i;

	testhost_free(s->host);
	for (i = 0; i < 4; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", s->root, dirs[i]);
		(void)rmdir(path); /* some scenes have no such folder */
	}
}

static void first_walk_knows_what_exists(void **state)
{
	struct lnx_workload w = { .size = sizeof(w) };
	struct scene s;

	(void)state;
	scene_open(&s);
	assert_int_equal(s.service->get(s.self, inode(&s, "system.slice/ssh.service"), &w), 0);
	assert_string_equal(w.workload, "ssh.service");
	assert_string_equal(w.path, "/system.slice/ssh.service");
	assert_int_equal(w.kind, LNX_WL_UNIT);
	assert_int_equal(w.parent_cgroup_id, inode(&s, "system.slice"));
	assert_true(s.service->get(s.self, 1ull << 60, &w) < 0);
	scene_close(&s);
}

static void cgroup_event(struct scene *s, uint16_t type, uint64_t id, const char *path)
{
	union {
		struct lnx_ev_cgroup ev;
		char bytes[512];
	} u;

	memset(&u, 0, sizeof(u));
	u.ev.h.type = type;
	u.ev.h.size = u.ev.h.fixed = sizeof(u.ev);
	u.ev.cgroup_id = id;
	assert_int_equal(testhost_str(&u.ev.h, sizeof(u), &u.ev.path, path), 0);
	assert_int_equal(testhost_deliver(s->host, &u.ev.h), 0);
}

static void events_add_and_remove_and_are_told(void **state)
{
	struct lnx_workload w = { .size = sizeof(w) };
	struct scene s;

	(void)state;
	scene_open(&s);
	(void)testhost_set_wanted(s.host, "workload.update", 1);
	cgroup_event(&s, LNX_EV_CGROUP_NEW, 777,
		     "/kubepods/burstable/pod11111111-2222-3333-4444-555555555555");
	assert_int_equal(s.service->get(s.self, 777, &w), 0);
	assert_string_equal(w.pod_uid, "11111111-2222-3333-4444-555555555555");
	assert_string_equal(w.qos, "burstable");
	assert_int_equal(testhost_count(s.host, "workload.update"), 1);
	cgroup_event(&s, LNX_EV_CGROUP_GONE, 777, "");
	assert_int_equal(s.service->get(s.self, 777, &w), 0);
	assert_true(w.gone_ns != 0); /* remembered */
	(void)testhost_advance(s.host, 60 * SECOND);
	(void)testhost_run_jobs(s.host);
	assert_int_equal(s.service->get(s.self, 777, &w), 0);
	(void)testhost_advance(s.host, 300 * SECOND);
	(void)testhost_run_jobs(s.host);
	assert_true(s.service->get(s.self, 777, &w) < 0);
	scene_close(&s);
}

static void repair_finds_what_no_event_told(void **state)
{
	struct lnx_workload w = { .size = sizeof(w) };
	const struct lnx_ev_cgroup *gone;
	struct scene s;
	uint64_t id;

	(void)state;
	scene_open(&s);
	make_dir(&s, "new.service");
	id = inode(&s, "new.service");
	cgroup_event(&s, LNX_EV_CGROUP_NEW, 888, "/ghost"); /* its end was lost */
	(void)testhost_advance(s.host, 60 * SECOND);
	(void)testhost_run_jobs(s.host);
	assert_int_equal(s.service->get(s.self, id, &w), 0);
	assert_string_equal(w.workload, "new.service");
	assert_int_equal(s.service->get(s.self, 888, &w), 0);
	assert_true(w.gone_ns != 0);
	/* and tells it to those who know cgroups by events alone */
	assert_int_equal(testhost_count(s.host, "cgroup.gone"), 1);
	gone = (const void *)testhost_last(s.host, "cgroup.gone");
	assert_int_equal(gone->cgroup_id, 888);
	assert_int_equal(gone->path.len, strlen("/ghost"));
	(void)testhost_advance(s.host, 60 * SECOND);
	(void)testhost_run_jobs(s.host);
	assert_int_equal(testhost_count(s.host, "cgroup.gone"), 1); /* once */
	scene_close(&s);
}

static void make_deep(const struct scene *s, unsigned depth)
{
	char path[512];
	size_t n = (size_t)snprintf(path, sizeof(path), "%s", s->root);

	for (; depth--; n += 2) {
		(void)snprintf(path + n, sizeof(path) - n, "/d");
		assert_int_equal(mkdir(path, 0755), 0);
	}
}

static void remove_deep(const struct scene *s, unsigned depth)
{
	char path[512];
	unsigned i;

	for (; depth; depth--) {
		size_t n = (size_t)snprintf(path, sizeof(path), "%s", s->root);

		for (i = 0; i < depth; i++, n += 2)
			(void)snprintf(path + n, sizeof(path) - n, "/d");
		assert_int_equal(rmdir(path), 0);
	}
}

static void a_walk_that_cannot_see_all_still_finds_ends(void **state)
{
	struct lnx_workload w = { .size = sizeof(w) };
	struct scene s;
	uint64_t id;

	(void)state;
	scene_open(&s);
	make_deep(&s, 40); /* deeper than a walk goes */
	id = inode(&s, "system.slice/ssh.service");
	cgroup_event(&s, LNX_EV_CGROUP_NEW, 888, "/ghost");
	cgroup_event(&s, LNX_EV_CGROUP_NEW, 889, "/system.slice"); /* another has its path now */
	(void)testhost_advance(s.host, 60 * SECOND);
	(void)testhost_run_jobs(s.host);
	assert_true(testhost_metric(s.host, "linnix_cgroups_skipped_total", "") >= 1);
	assert_int_equal(s.service->get(s.self, 888, &w), 0);
	assert_true(w.gone_ns != 0);
	assert_int_equal(s.service->get(s.self, 889, &w), 0);
	assert_true(w.gone_ns != 0);
	assert_int_equal(s.service->get(s.self, id, &w), 0);
	assert_int_equal(w.gone_ns, 0);
	remove_deep(&s, 40);
	scene_close(&s);
}

/* Those that are forgotten to make room may stand next to the one that ends. */
static void ends_found_by_a_walk_are_bounded_too(void **state)
{
	struct lnx_workload w = { .size = sizeof(w) };
	struct scene s;
	uint64_t id;

	(void)state;
	scene_open(&s);
	cgroup_event(&s, LNX_EV_CGROUP_NEW, 888, "/ghost");
	for (id = 1000; id < 1000 + WORKLOAD_GONE_MAX; id++) {
		cgroup_event(&s, LNX_EV_CGROUP_NEW, id, "/short");
		cgroup_event(&s, LNX_EV_CGROUP_GONE, id, "");
	}
	cgroup_event(&s, LNX_EV_CGROUP_NEW, 889, "/ghost/2");
	(void)testhost_advance(s.host, 60 * SECOND);
	(void)testhost_run_jobs(s.host);
	assert_int_equal(testhost_count(s.host, "cgroup.gone"), 2);
	assert_int_equal(s.service->get(s.self, 889, &w), 0);
	assert_true(w.gone_ns != 0);
	assert_true(s.service->get(s.self, 1000, &w) < 0);
	assert_true(s.service->get(s.self, 1001, &w) < 0);
	assert_int_equal(s.service->get(s.self, 1002, &w), 0);
	scene_close(&s);
}

static void names_that_nobody_kept_are_told_again(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s);
	(void)testhost_set_wanted(s.host, "workload.update", 1);
	assert_int_equal(testhost_tag(s.host, inode(&s, ""), "", "", ""), 0);
	assert_int_equal(testhost_tag(s.host, inode(&s, "system.slice"), "", "", ""), 0);
	(void)testhost_advance(s.host, 60 * SECOND);
	assert_int_equal(testhost_count(s.host, "workload.update"), 1);
	assert_int_equal(((const struct lnx_ev_workload_update *)(const void *)testhost_last(
				  s.host, "workload.update"))
				 ->cgroup_id,
			 inode(&s, "system.slice/ssh.service"));
	(void)testhost_run_jobs(s.host);
	assert_int_equal(testhost_tag(s.host, inode(&s, "system.slice/ssh.service"), "", "", ""),
			 0);
	(void)testhost_advance(s.host, 60 * SECOND);
	assert_int_equal(testhost_count(s.host, "workload.update"), 1);
	(void)testhost_run_jobs(s.host);
	scene_close(&s);
}

static void a_missing_hierarchy_is_said(void **state)
{
	struct testhost *t = testhost_new();

	(void)state;
	(void)testhost_conf(t, "mountinfo=/dev/null");
	assert_int_equal(testhost_load(t, linnix_plugin_v1()), 0);
	assert_int_equal(testhost_health(t, "cgroup2"), LNX_HEALTH_DEGRADED);
	testhost_free(t);
	t = testhost_new();
	(void)testhost_conf(t, "cgroup_root=/nowhere/at/all");
	assert_int_equal(testhost_load(t, linnix_plugin_v1()), 0);
	assert_int_equal(testhost_health(t, "walk"), LNX_HEALTH_DEGRADED);
	testhost_free(t);
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	(void)fputs(text, f);
	(void)fclose(f);
}

static void limits_and_memory_come_from_the_files_of_v2(void **state)
{
	static const char *const names[] = { "memory.stat", "memory.current", "memory.swap.current",
					     "cpu.max",	    "cpu.stat",	      "memory.max" };
	char root[] = "/tmp/lnx-usage-XXXXXX", path[256];
	struct usage_files f;
	unsigned i;

	(void)state;
	assert_non_null(mkdtemp(root));
	usage_read(root, "", &f);
	assert_false(f.has_memory);
	write_file(root, names[0], "anon 1000\nfile 500\nshmem 24\ninactive_file 300\n");
	write_file(root, names[1], "2000\n");
	write_file(root, names[2], "76\n");
	write_file(root, names[3], "150000 100000\n");
	usage_read(root, "", &f);
	assert_true(f.has_memory);
	assert_int_equal(f.anon_bytes, 1100);
	assert_int_equal((int)f.working_set_bytes, 1700);
	assert_int_equal((int)(f.cpu_limit_cores * 10), 15);
	assert_true(isnan(f.throttled_total_ms));
	assert_int_equal(f.memory_limit_bytes, 0);
	write_file(root, names[3], "max 100000\n");
	write_file(root, names[4], "usage_usec 5\n"); /* no controller */
	write_file(root, names[5], "max\n");
	usage_read(root, "", &f);
	assert_int_equal((int)f.cpu_limit_cores, 0);
	assert_int_equal(f.memory_limit_bytes, 0);
	assert_true(isnan(f.throttled_total_ms));
	write_file(root, names[4],
		   "usage_usec 5\nnr_periods 40\nnr_throttled 7\nthrottled_usec 123500\n");
	write_file(root, names[5], "33554432\n");
	usage_read(root, "", &f);
	assert_int_equal(f.memory_limit_bytes, 33554432);
	assert_true(testhost_near(f.throttled_total_ms, 123.5, 1e-9));
	assert_true(testhost_near(f.cfs_periods, 40, 0));
	assert_true(testhost_near(f.throttled_periods, 7, 0));
	for (i = 0; i < 6; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", root, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(root);
}

static void throttling_comes_from_the_v1_controller_beside_it(void **state)
{
	char top[] = "/tmp/lnx-usage-XXXXXX", root[64], cpu[64], memory[64], path[128];
	struct usage_files f;

	(void)state;
	assert_non_null(mkdtemp(top));
	(void)snprintf(root, sizeof(root), "%s/unified", top);
	(void)snprintf(cpu, sizeof(cpu), "%s/cpu", top);
	(void)snprintf(memory, sizeof(memory), "%s/memory", top);
	assert_int_equal(mkdir(root, 0755) | mkdir(cpu, 0755) | mkdir(memory, 0755), 0);
	write_file(cpu, "cpu.stat", "nr_periods 10\nnr_throttled 4\nthrottled_time 2500000\n");
	write_file(memory, "memory.limit_in_bytes", "9223372036854771712\n");
	usage_read(root, "", &f);
	assert_true(testhost_near(f.throttled_total_ms, 2.5, 1e-9));
	assert_true(testhost_near(f.throttled_periods, 4, 0));
	assert_int_equal(f.memory_limit_bytes, 0);
	write_file(memory, "memory.limit_in_bytes", "1048576\n");
	usage_read(root, "", &f);
	assert_int_equal(f.memory_limit_bytes, 1048576);
	(void)snprintf(path, sizeof(path), "rm -rf %s", top);
	assert_int_equal(system(path), 0);
}

static void forks_in(struct scene *s, uint64_t cgroup_id, unsigned n)
{
	struct lnx_ev_proc_fork f = { .h = { sizeof(f), LNX_EV_PROC_FORK, sizeof(f), 0, 41, 0 },
				      .cgroup_id = cgroup_id };

	while (n--)
		assert_int_equal(testhost_deliver(s->host, &f.h), 0);
}

static int is_counting(struct scene *s, uint64_t cgroup_id)
{
	struct lnx_ev_proc_fork f = { .h = { sizeof(f), LNX_EV_PROC_FORK, sizeof(f), 0, 2, 0 },
				      .cgroup_id = cgroup_id,
				      .is_kthread = 1 };

	return testhost_deliver(s->host, &f.h) == 0;
}

static void limit_of_processes_is_looked_at_where_many_are_made(void **state)
{
	const struct lnx_ev_cgroup_pids *e;
	char slice[128], path[160];
	struct scene s;
	uint64_t id;

	(void)state;
	scene_open(&s);
	id = inode(&s, "system.slice/ssh.service");
	(void)snprintf(slice, sizeof(slice), "%s/system.slice", s.root);
	(void)testhost_advance(s.host, SECOND);
	assert_int_equal(is_counting(&s, id), 0);
	(void)testhost_set_wanted(s.host, "cgroup.pids", 1);
	(void)testhost_advance(s.host, SECOND);
	assert_int_equal(is_counting(&s, id), 1);
	forks_in(&s, id, 20);
	(void)testhost_advance(s.host, SECOND);
	assert_int_equal(testhost_count(s.host, "cgroup.pids"), 0); /* there is no limit */
	write_file(slice, "pids.max", "50\n");
	write_file(slice, "pids.current", "45\n");
	forks_in(&s, id, 9);
	assert_int_equal(is_counting(&s, id), 1); /* a kernel thread is not one of them */
	(void)testhost_advance(s.host, SECOND);
	assert_int_equal(testhost_count(s.host, "cgroup.pids"), 0); /* too few */
	forks_in(&s, id, 10);
	forks_in(&s, 4711, 30); /* nobody knows it */
	(void)testhost_advance(s.host, SECOND);
	assert_int_equal(testhost_count(s.host, "cgroup.pids"), 1);
	e = (const void *)testhost_last(s.host, "cgroup.pids");
	assert_int_equal(e->h.pid, 41);
	assert_int_equal(e->h.cpu, LNX_CPU_NONE);
	assert_int_equal(e->cgroup_id, id);
	assert_int_equal(e->pids, 45);
	assert_int_equal(e->pids_max, 50);
	assert_int_equal(e->forks, 10);
	assert_true(testhost_near(e->pids_ratio, 0.9, 1e-9));
	assert_int_equal(e->path.len, strlen("/system.slice"));
	assert_memory_equal((const char *)e + e->path.off, "/system.slice", e->path.len);
	write_file(slice, "pids.max", "max\n");
	forks_in(&s, id, 100);
	(void)testhost_advance(s.host, SECOND);
	assert_int_equal(testhost_count(s.host, "cgroup.pids"), 1);
	for (uint64_t i = 0; i < 70; i++)
		forks_in(&s, 5000 + i, 1);
	assert_true(testhost_near(testhost_metric(s.host, "linnix_cgroup_pids_missed_total", ""), 6,
				  0));
	(void)testhost_set_wanted(s.host, "cgroup.pids", 0);
	(void)testhost_advance(s.host, SECOND);
	assert_int_equal(is_counting(&s, id), 0);
	(void)snprintf(path, sizeof(path), "%s/pids.max", slice);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/pids.current", slice);
	(void)unlink(path);
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_of_the_corpus_is_answered),
		cmocka_unit_test(first_walk_knows_what_exists),
		cmocka_unit_test(events_add_and_remove_and_are_told),
		cmocka_unit_test(repair_finds_what_no_event_told),
		cmocka_unit_test(a_walk_that_cannot_see_all_still_finds_ends),
		cmocka_unit_test(ends_found_by_a_walk_are_bounded_too),
		cmocka_unit_test(names_that_nobody_kept_are_told_again),
		cmocka_unit_test(limit_of_processes_is_looked_at_where_many_are_made),
		cmocka_unit_test(a_missing_hierarchy_is_said),
		cmocka_unit_test(limits_and_memory_come_from_the_files_of_v2),
		cmocka_unit_test(throttling_comes_from_the_v1_controller_beside_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
