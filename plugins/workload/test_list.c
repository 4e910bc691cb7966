/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* GET /workloads: whose figures are told, in which order, and which are left out. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <linnix/svc_stall.h>

#include "testhost_http.h"
#include "workload.h"

#define POD    "/kubepods/pod11111111-2222-3333-4444-555555555555"
#define CID    "39f9534389615d7f7976d186f77546e7cacf4cbdf89c6461c394002afaa89559"
#define SECOND 1000000000ull

struct scene {
	struct testhost *t;
	struct workload *w;
	char root[64];
};

/* Of cgroup 10 * n: n ms lost of the CPU, and twice as much of I/O; 40 is not known. */
static int fake_workload(void *self, uint32_t resource, uint64_t id, uint64_t window_ns,
			 struct lnx_stall_share *s)
{
	double n = (double)id / 10;

	(void)self;
	assert_int_equal(window_ns, 10 * SECOND);
	if (id == 40)
		return -ENOENT;
	s->stalled_ms = resource == LNX_RES_IO ? 2 * n : n;
	s->caused_ms = 100 - n;
	s->psi_contribution = n / 100;
	s->throttled_ms = 0;
	return 0;
}

static int fake_culprits(void *self, uint32_t resource, const char *namespace_, uint64_t window_ns,
			 int (*each)(void *arg, uint64_t id, double ms), void *arg)
{
	(void)self;
	(void)window_ns;
	assert_string_equal(namespace_, "prod");
	return each(arg, resource == LNX_RES_IO ? 20 : 60, 5);
}

static const char *fake_degraded(void *self, uint32_t resource, uint32_t of_process)
{
	(void)self;
	assert_int_equal(of_process, 0);
	return resource == LNX_RES_IO ? "io is off" : "";
}

static const struct lnx_svc_stall fake_stall = { .size = sizeof(fake_stall),
						 .workload = fake_workload,
						 .degraded = fake_degraded,
						 .culprit_cgroups = fake_culprits };

/* Two in /a.service, one of them below it; one in the container. */
static int each_process(void *self, uint32_t include_exited,
			int (*each)(void *arg, const struct lnx_proc *p), void *arg)
{
	static const struct lnx_proc p[] = {
		{ .pid = 1,
		  .cgroup_id = 20,
		  .cpu_pct = 30,
		  .has_usage = 1,
		  .rss_anon_bytes = 1000,
		  .run_delay_ns = 4000000 },
		{ .pid = 2, .cgroup_id = 21, .cpu_pct = 12, .has_usage = 1, .rss_anon_bytes = 500 },
		{ .pid = 3, .cgroup_id = 21, .cpu_pct = NAN, .has_usage = 1 },
		{ .pid = 4, .cgroup_id = 60, .cpu_pct = 7, .has_usage = 1, .rss_anon_bytes = 70 },
		{ .pid = 5, .cgroup_id = 4711, .cpu_pct = 99, .has_usage = 1 }
	};

	(void)self;
	assert_int_equal(include_exited, 0);
	for (unsigned i = 0; i < 5; i++)
		(void)each(arg, &p[i]);
	return 5;
}

static void want_usage(void *self, uint64_t for_ns)
{
	(void)self;
	assert_int_equal(for_ns, 10 * SECOND); /* who asks now will ask again */
}

static const struct lnx_svc_proc fake_proc = { .size = sizeof(fake_proc),
					       .each = each_process,
					       .want_usage = want_usage };

static void put(struct scene *s, uint64_t id, uint64_t up, const char *path)
{
	bool changed;

	assert_non_null(
		workload_table_put(&s->w->table, id, up, path, strlen(path), SECOND, &changed));
}

/* /a.service with a cgroup below it, /b.service, /jobs/c (whose folder is no workload), a pod with one container. */
static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct workload_pod *pod;
	char conf[128];

	assert_non_null(s);
	(void)snprintf(s->root, sizeof(s->root), "/tmp/lnx-routes-XXXXXX");
	assert_non_null(mkdtemp(s->root));
	s->t = testhost_new();
	(void)snprintf(conf, sizeof(conf), "cgroup_root=%s", s->root);
	assert_int_equal(testhost_conf(s->t, conf), 0);
	assert_int_equal(testhost_http(s->t), 0);
	assert_int_equal(testhost_provide(s->t, "stall/1", &fake_stall, s), 0);
	assert_int_equal(testhost_provide(s->t, "proc/1", &fake_proc, s), 0);
	assert_int_equal(testhost_load(s->t, linnix_plugin_v1()), 0);
	s->w = testhost_state(s->t);
	workload_table_gone(&s->w->table, s->w->table.oldest.next, SECOND); /* the real folder */
	put(s, 20, 0, "/a.service");
	put(s, 21, 20, "/a.service/x");
	put(s, 30, 0, "/b.service");
	put(s, 35, 0, "/jobs");
	put(s, 40, 35, "/jobs/c");
	put(s, 50, 0, POD);
	put(s, 60, 50, POD "/" CID);
	pod = calloc(1, sizeof(*pod));
	assert_non_null(pod);
	pod->namespace_ = "prod";
	pod->pod_name = pod->workload = "shop";
	pod->container_name = pod->qos = pod->owner_channel = pod->slo_tier = "";
	workload_table_get(&s->w->table, 60)->pod = pod;
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	testhost_free(s->t);
	(void)rmdir(s->root);
	free(s);
	return 0;
}

#define TEXTS(...)                \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}
#define ASK(s, ...) ask(s, TEXTS(__VA_ARGS__))

static const struct testhost_answer *ask(struct scene *s, const char *const *query)
{
	const struct testhost_answer *a =
		testhost_ask(s->t, "GET /workloads", &(struct testhost_request){ .params = query });

	assert_non_null(a);
	return a;
}

/* The ids of the answer: "60 30 20". */
static void are(struct scene *s, const char *ids, const char *const *query)
{
	const struct testhost_answer *a = ask(s, query);
	char got[128] = "", one[32];
	const char *at;

	assert_int_equal(a->status, 200);
	for (at = a->body; (at = strstr(at, "\"cgroup_id\":")); at++) {
		(void)snprintf(one, sizeof(one), "%s%lu", *got ? " " : "",
			       strtoul(at + 12, NULL, 10));
		(void)strncat(got, one, sizeof(got) - strlen(got) - 1);
	}
	assert_string_equal(got, ids);
}

/* NULL asks for nothing. */
#define ARE(s, ids, ...) are(s, ids, TEXTS(__VA_ARGS__))

static void workloads_are_sorted_and_chosen(void **state)
{
	struct scene *s = *state;

	/* Who lost most comes first, unless asked otherwise; of whom nothing is known comes last. */
	ARE(s, "60 30 20 40", NULL);
	ARE(s, "20 30 60 40", "sort=stalled_ms:asc");
	ARE(s, "60 30 20 40", "sort=psi_contribution");
	ARE(s, "20 30 60 40", "sort=caused_ms");
	ARE(s, "20 60", "sort=cpu_pct", "limit=2");
	ARE(s, "30 20", "limit=2", "offset=1");
	ARE(s, "", "offset=9");
	ARE(s, "20", "cgroup=/a.serv");
	ARE(s, "60", "namespace=prod");
	ARE(s, "50", "by=pod");
	ARE(s, "60 30 20 40", "by=container");
	/* Whom the stall ledger names, and the pod of that. */
	ARE(s, "60", "victim_namespace=prod");
	ARE(s, "50", "victim_namespace=prod", "by=pod");
	ARE(s, "20", "victim_namespace=prod", "resource=io");
	/* What has gone is not told. */
	workload_table_gone(&s->w->table, workload_table_get(&s->w->table, 30), 2 * SECOND);
	ARE(s, "60 20 40", NULL);
}

static void figures_are_of_the_whole_workload(void **state)
{
	const struct testhost_answer *a;
	struct scene *s = *state;

	a = ASK(s, "cgroup=/a.serv");
	assert_non_null(strstr(a->body, "\"workload\":\"a.service\",\"kind\":\"unit\""));
	assert_non_null(strstr(a->body, "\"processes\":3,"));
	assert_non_null(strstr(a->body, "\"cpu_pct\":42,\"cpu_limit_ratio\":null,"
					"\"anon_bytes\":1500,\"working_set_bytes\":null,"
					"\"stalled_ms\":2,\"caused_ms\":98,\"throttled_ms\":0,"
					"\"psi_contribution\":0.02,\"run_delay_ms\":4,"));
	assert_string_equal(a->headers, "");
	/* Asked again they are not added to what they were. */
	a = ASK(s, "cgroup=/a.serv", "resource=io");
	assert_non_null(strstr(a->body, "\"cpu_pct\":42,"));
	assert_non_null(strstr(a->body, "\"stalled_ms\":4,"));
	assert_string_equal(a->headers, "X-Linnix-Degraded: io is off\n");
	/* What a container uses its pod uses; what nobody knows is null, not 0. */
	a = ASK(s, "by=pod");
	assert_non_null(strstr(a->body, "\"kind\":\"pod\""));
	assert_non_null(strstr(a->body, "\"processes\":1,"));
	assert_non_null(strstr(a->body, "\"cpu_pct\":7,"));
	a = ASK(s, "cgroup=/jobs/c");
	assert_non_null(strstr(a->body, "\"stalled_ms\":null,\"caused_ms\":null,"));
	assert_non_null(strstr(a->body, "\"workload\":\"jobs/c\""));
}

static void bad_questions_are_refused(void **state)
{
	static const char *const bad[][2] = { { "sort=name", "sort must be stalled_ms, " },
					      { "sort=cpu_pct:up", "sort" },
					      { "by=planet", "by" },
					      { "resource=disk", "resource" },
					      { "limit=0", "" },
					      { "limit=10001", "" } };
	const struct testhost_answer *a;
	struct scene *s = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		a = ASK(s, bad[i][0]);
		assert_int_equal(a->status, 400);
		assert_non_null(strstr(a->body, bad[i][1]));
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(workloads_are_sorted_and_chosen),
		TEST(figures_are_of_the_whole_workload),
		TEST(bad_questions_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
