/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* workload.usage on a folder tree that stands for a hierarchy. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <linnix/ev_proc.h>
#include <linnix/ev_workload.h>
#include <linnix/svc_proc.h>

#include "testhost.h"

#define SECOND 1000000000ull
#define ROUND  (30 * SECOND)
#define MIB    1048576.0

struct scene {
	struct testhost *host;
	char top[64], root[80];
};

static void put_file(const struct scene *s, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", s->top, name);
	f = fopen(path, "we");
	assert_non_null(f);
	(void)fputs(text, f);
	(void)fclose(f);
}

static void make_dir(const struct scene *s, const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", s->top, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static uint64_t inode(const struct scene *s, const char *name)
{
	char path[256];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", s->top, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	(void)snprintf(s->top, sizeof(s->top), "/tmp/lnx-watch-XXXXXX");
	assert_non_null(mkdtemp(s->top));
	(void)snprintf(s->root, sizeof(s->root), "%s/unified", s->top);
	make_dir(s, "unified");
	make_dir(s, "unified/a.slice");
	make_dir(s, "unified/a.slice/x.service");
	s->host = testhost_new();
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;
	char command[128];

	testhost_free(s->host);
	(void)snprintf(command, sizeof(command), "rm -rf %s", s->top);
	assert_int_equal(system(command), 0);
	free(s);
	return 0;
}

static void load(struct scene *s)
{
	char conf[128];

	(void)snprintf(conf, sizeof(conf), "cgroup_root=%s", s->root);
	assert_int_equal(testhost_conf(s->host, conf), 0);
	if (testhost_load(s->host, linnix_plugin_v1()) != 0)
		fail_msg("%s", testhost_error(s->host));
	assert_int_equal(testhost_set_wanted(s->host, "workload.usage", 1), 0);
}

static const struct lnx_ev_workload_usage *last(const struct scene *s)
{
	const struct lnx_ev_workload_usage *e =
		(const void *)testhost_last(s->host, "workload.usage");

	assert_non_null(e);
	return e;
}

/* A process of <cgroup_id> ended by <signal>. */
static void ends(struct scene *s, uint64_t cgroup_id, uint32_t signal)
{
	struct lnx_ev_proc_exit x = { .h = { sizeof(x), LNX_EV_PROC_EXIT, sizeof(x), 0, 41, 0 },
				      .cgroup_id = cgroup_id,
				      .signal = signal };

	assert_int_equal(testhost_deliver(s->host, &x.h), 0);
}

static void put_v2(const struct scene *s)
{
	put_file(s, "unified/a.slice/x.service/memory.stat",
		 "anon 104857600\nshmem 0\ninactive_file 1048576\nactive_file 1048576\n");
	put_file(s, "unified/a.slice/x.service/memory.current", "107479040\n"); /* 102.5 MiB */
	put_file(s, "unified/a.slice/x.service/memory.max", "max\n");
	put_file(s, "unified/a.slice/x.service/memory.events",
		 "low 0\nhigh 0\nmax 9\noom 1\noom_kill 2\noom_group_kill 0\n");
	put_file(s, "unified/a.slice/x.service/cpu.stat",
		 "nr_periods 10\nnr_throttled 4\nthrottled_usec 5000\n");
	put_file(s, "unified/a.slice/x.service/cpu.max", "50000 100000\n");
}

static void the_nearest_limit_is_an_ancestors(void **state)
{
	struct scene *s = *state;
	const struct lnx_ev_workload_usage *e;

	put_v2(s);
	load(s);
	(void)testhost_advance(s->host, SECOND);
	assert_int_equal(testhost_count(s->host, "workload.usage"), 1); /* no mere folder */
	e = last(s);
	assert_int_equal(e->cgroup_id, inode(s, "unified/a.slice/x.service"));
	assert_int_equal(e->source, LNX_USAGE_V2);
	assert_int_equal(e->window_ns, 0);
	assert_int_equal(e->age_ns, SECOND);
	assert_int_equal(e->h.cpu, LNX_CPU_NONE);
	assert_int_equal(e->anon_bytes, 104857600);
	assert_true(testhost_near(e->working_set_bytes, 107479040 - MIB, 0));
	assert_int_equal(e->memory_limit_bytes, 0);
	assert_true(isnan(e->memory_room_bytes));
	assert_int_equal(e->limit_cgroup_id, 0);
	assert_int_equal(e->oom_kills, 0); /* before we came */
	assert_int_equal(e->oom_kills_total, 2);
	assert_true(isnan(e->throttled_ms));
	assert_true(testhost_near(e->throttled_total_ms, 5, 1e-9));
	assert_true(testhost_near(e->cpu_limit_cores, 0.5, 1e-9));
	put_file(s, "unified/a.slice/x.service/memory.max", "209715200\n"); /* 200 MiB */
	put_file(s, "unified/a.slice/memory.max", "125829120\n");	    /* 120 MiB */
	put_file(s, "unified/a.slice/memory.stat", "anon 1\nactive_file 0\n");
	put_file(s, "unified/a.slice/memory.current", "115343360\n"); /* 110 MiB */
	put_file(s, "unified/a.slice/x.service/cpu.stat",
		 "nr_periods 20\nnr_throttled 5\nthrottled_usec 7500\n");
	(void)testhost_advance(s->host, ROUND);
	assert_int_equal(testhost_count(s->host, "workload.usage"), 2);
	e = last(s);
	assert_int_equal(e->window_ns, ROUND);
	assert_int_equal(e->age_ns, SECOND + ROUND);
	assert_int_equal(e->memory_limit_bytes, 209715200);
	assert_true(testhost_near(e->memory_room_bytes, 10 * MIB, 0));
	assert_int_equal(e->limit_cgroup_id, inode(s, "unified/a.slice"));
	assert_true(testhost_near(e->throttled_ms, 2.5, 1e-9));
	assert_int_equal(e->path.len, strlen("/a.slice/x.service"));
	assert_memory_equal((const char *)e + e->path.off, "/a.slice/x.service", e->path.len);
	put_file(s, "unified/a.slice/memory.max", "1073741824\n");
	(void)testhost_advance(s->host, ROUND);
	e = last(s);
	assert_true(testhost_near(e->throttled_ms, 0, 1e-9));
	/* 200 MiB less 102.5 less 2 of files */
	assert_true(testhost_near(e->memory_room_bytes, 99.5 * MIB, 0));
	assert_int_equal(e->limit_cgroup_id, e->cgroup_id);
}

static void a_kill_is_told_at_once_and_once(void **state)
{
	struct scene *s = *state;
	uint64_t id = inode(s, "unified/a.slice/x.service");

	put_v2(s);
	load(s);
	(void)testhost_advance(s->host, SECOND);
	testhost_clear(s->host);
	(void)testhost_advance(s->host, 2 * SECOND);
	ends(s, id, 15);
	assert_int_equal(testhost_count(s->host, "workload.usage"), 0); /* told to go */
	put_file(s, "unified/a.slice/x.service/memory.events", "oom_kill 3\n");
	ends(s, id, 9);
	ends(s, id, 9);
	ends(s, 4711, 9); /* nobody knows it */
	assert_int_equal(testhost_count(s->host, "workload.usage"), 1);
	assert_int_equal(last(s)->oom_kills, 1);
	assert_int_equal(last(s)->oom_kills_total, 3);
	(void)testhost_advance(s->host, ROUND);
	assert_int_equal(last(s)->oom_kills, 0);
}

static void what_kills_before_the_first_look_counts_in_a_new_cgroup(void **state)
{
	struct scene *s = *state;
	union {
		struct lnx_ev_cgroup ev;
		char bytes[512];
	} u = { 0 };

	load(s);
	(void)testhost_advance(s->host, SECOND);
	make_dir(s, "unified/y.service");
	put_file(s, "unified/y.service/memory.events", "oom_kill 1\n");
	u.ev.h.type = LNX_EV_CGROUP_NEW;
	u.ev.h.size = u.ev.h.fixed = sizeof(u.ev);
	u.ev.cgroup_id = inode(s, "unified/y.service");
	assert_int_equal(testhost_str(&u.ev.h, sizeof(u), &u.ev.path, "/y.service"), 0);
	(void)testhost_advance(s->host, SECOND / 2);
	assert_int_equal(testhost_deliver(s->host, &u.ev.h), 0);
	ends(s, u.ev.cgroup_id, 9);
	assert_int_equal(last(s)->oom_kills, 1);
}

static void v1_controllers_beside_it_are_read(void **state)
{
	struct scene *s = *state;
	const struct lnx_ev_workload_usage *e;

	make_dir(s, "memory");
	make_dir(s, "memory/a.slice");
	make_dir(s, "memory/a.slice/x.service");
	put_file(s, "memory/a.slice/x.service/memory.stat",
		 "total_rss 3000\ntotal_swap 96\ntotal_inactive_file 400\ntotal_active_file 600\n");
	put_file(s, "memory/a.slice/x.service/memory.usage_in_bytes", "5000\n");
	put_file(s, "memory/a.slice/x.service/memory.limit_in_bytes", "10000\n");
	put_file(s, "memory/a.slice/x.service/memory.oom_control",
		 "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n");
	load(s);
	(void)testhost_advance(s->host, SECOND);
	e = last(s);
	assert_int_equal(e->source, LNX_USAGE_V1);
	assert_int_equal(e->anon_bytes, 3096);
	assert_true(testhost_near(e->memory_room_bytes, 6000, 0));
	assert_int_equal(e->oom_kills_total, 5);
}

static int each_process(void *self, uint32_t include_exited,
			int (*each)(void *arg, const struct lnx_proc *p), void *arg)
{
	const struct lnx_proc p = {
		.pid = 7, .cgroup_id = *(uint64_t *)self, .rss_anon_bytes = 4096, .has_usage = 1
	};

	(void)include_exited;
	(void)each(arg, &p);
	return 1;
}

static void want_usage(void *self, uint64_t for_ns)
{
	(void)self;
	assert_true(for_ns < SECOND); /* nobody has to be asked again and again */
}

static void without_a_controller_its_processes_are_added_up(void **state)
{
	static const struct lnx_svc_proc proc = { .size = sizeof(proc),
						  .each = each_process,
						  .want_usage = want_usage };
	struct scene *s = *state;
	uint64_t id = inode(s, "unified/a.slice/x.service");

	assert_int_equal(testhost_provide(s->host, "proc/1", &proc, &id), 0);
	load(s);
	(void)testhost_advance(s->host, SECOND);
	assert_int_equal(last(s)->source, LNX_USAGE_PROCESSES);
	assert_int_equal(last(s)->anon_bytes, 4096);
	assert_true(isnan(last(s)->working_set_bytes));
	(void)testhost_advance(s->host, ROUND);
	assert_int_equal(last(s)->anon_bytes, 4096); /* not added to what it was */
}

static void looks_of_a_second_are_bounded_and_lateness_is_counted(void **state)
{
	struct scene *s = *state;
	char name[64];

	for (int i = 0; i < 119; i++) {
		(void)snprintf(name, sizeof(name), "unified/n%d.service", i);
		make_dir(s, name);
	}
	load(s);
	(void)testhost_advance(s->host, SECOND);
	assert_int_equal(testhost_count(s->host, "workload.usage"), 50);
	assert_true(testhost_near(testhost_metric(s->host, "linnix_workload_usage_late_total", ""),
				  1, 0));
	(void)testhost_advance(s->host, 2 * SECOND);
	assert_int_equal(testhost_count(s->host, "workload.usage"), 120); /* each once */
	assert_true(testhost_near(testhost_metric(s->host, "linnix_workload_usage_late_total", ""),
				  2, 0));
	assert_true(testhost_near(testhost_metric(s->host, "linnix_workload_usage_looks_total", ""),
				  120, 0));
	(void)testhost_advance(s->host, ROUND - 4 * SECOND);
	assert_int_equal(testhost_count(s->host, "workload.usage"), 120);
}

static void nobody_wants_it_and_nothing_is_read(void **state)
{
	struct scene *s = *state;

	put_v2(s);
	load(s);
	(void)testhost_set_wanted(s->host, "workload.usage", 0);
	(void)testhost_advance(s->host, 3 * ROUND);
	assert_int_equal(testhost_count(s->host, "workload.usage"), 0);
	(void)testhost_set_wanted(s->host, "workload.usage", 1);
	(void)testhost_advance(s->host, SECOND);
	assert_int_equal(testhost_count(s->host, "workload.usage"), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_nearest_limit_is_an_ancestors),
		TEST(a_kill_is_told_at_once_and_once),
		TEST(what_kills_before_the_first_look_counts_in_a_new_cgroup),
		TEST(v1_controllers_beside_it_are_read),
		TEST(without_a_controller_its_processes_are_added_up),
		TEST(looks_of_a_second_are_bounded_and_lateness_is_counted),
		TEST(nobody_wants_it_and_nothing_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
