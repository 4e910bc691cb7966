/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* GET /workloads on a folder tree that stands for a hierarchy: order, and how many files an answer reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <linnix/ev_psi.h>

#include "testhost_http.h"

#define CGROUPS 700 /* and the root */

struct scene {
	struct testhost *host;
	char root[64];
};

/* cgroup u<i>.service has i MiB of anonymous memory, and 5 MiB more working set the smaller i is. */
static void make_cgroup(const struct scene *s, unsigned i)
{
	char dir[96], path[128];
	FILE *f;

	(void)snprintf(dir, sizeof(dir), "%s/u%u.service", s->root, i);
	assert_int_equal(mkdir(dir, 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/memory.stat", dir);
	f = fopen(path, "we");
	assert_non_null(f);
	(void)fprintf(f, "anon %u\n", i << 20);
	assert_int_equal(fclose(f), 0);
	(void)snprintf(path, sizeof(path), "%s/memory.current", dir);
	f = fopen(path, "we");
	assert_non_null(f);
	(void)fprintf(f, "%u\n", (2000 - i) << 20);
	assert_int_equal(fclose(f), 0);
}

static void scene_open(struct scene *s, unsigned n)
{
	char conf[96];
	unsigned i;

	memset(s, 0, sizeof(*s));
	(void)snprintf(s->root, sizeof(s->root), "/tmp/lnx-routes-XXXXXX");
	assert_non_null(mkdtemp(s->root));
	for (i = 1; i <= n; i++)
		make_cgroup(s, i);
	s->host = testhost_new();
	(void)snprintf(conf, sizeof(conf), "cgroup_root=%s", s->root);
	assert_int_equal(testhost_conf(s->host, conf), 0);
	assert_int_equal(testhost_http(s->host), 0);
	if (testhost_load(s->host, linnix_plugin_v1()) != 0)
		fail_msg("%s", testhost_error(s->host));
}

static void scene_close(struct scene *s)
{
	char command[96];

	testhost_free(s->host);
	(void)snprintf(command, sizeof(command), "rm -rf %s", s->root);
	assert_int_equal(system(command), 0);
}

/* Reads that this process has made. */
static uint64_t reads(void)
{
	unsigned long long n = 0;
	char line[128];
	FILE *f = fopen("/proc/self/io", "re");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		(void)sscanf(line, "syscr: %llu", &n);
	(void)fclose(f);
	assert_true(n > 0);
	return n;
}

/* The rows that <params> ask for; of how many reads. */
static const struct testhost_answer *ask(struct scene *s, const char *const *params,
					 uint64_t *ret_reads)
{
	const struct testhost_request request = { .params = params };
	uint64_t before = reads();
	const struct testhost_answer *a = testhost_ask(s->host, "GET /workloads", &request);

	*ret_reads = reads() - before;
	assert_non_null(a);
	assert_int_equal(a->status, 200);
	return a;
}

#define ASK(s, ret_reads, ...) ask(s, (const char *const[]){ __VA_ARGS__, NULL }, ret_reads)

static unsigned rows_in(const char *body)
{
	unsigned n = 0;

	for (; (body = strstr(body, "\"cgroup_id\":")); body++)
		n++;
	return n;
}

static void only_rows_that_are_shown_are_read(void **state)
{
	struct lnx_ev_psi_cgroup psi = { .h = { sizeof(psi), LNX_EV_PSI_CGROUP, sizeof(psi), 0, 0,
						LNX_CPU_NONE } };
	const struct testhost_answer *a;
	char path[96];
	struct scene s;
	struct stat st;
	uint64_t n;

	(void)state;
	scene_open(&s, 100);
	(void)snprintf(path, sizeof(path), "%s/u42.service", s.root);
	assert_int_equal(stat(path, &st), 0);
	psi.cgroup_id = st.st_ino;
	psi.io_some_pct = 12;
	assert_int_equal(testhost_deliver(s.host, &psi.h), 0);
	a = ASK(&s, &n, "sort=psi_io_pct", "limit=1");
	assert_in_range(n, 1, 40);
	assert_int_equal(rows_in(a->body), 1);
	assert_non_null(strstr(a->body, "\"cgroup\":\"/u42.service\""));
	assert_non_null(strstr(a->body, "\"anon_bytes\":44040192"));
	assert_null(strstr(a->headers, "not read"));
	scene_close(&s);
}

static void figures_of_files_sort_too(void **state)
{
	const struct testhost_answer *a;
	struct scene s;
	uint64_t n;

	(void)state;
	scene_open(&s, 30);
	a = ASK(&s, &n, "sort=anon_bytes", "limit=2", "offset=1");
	assert_int_equal(rows_in(a->body), 2);
	assert_true(strstr(a->body, "/u29.service\"") < strstr(a->body, "/u28.service\""));
	a = ASK(&s, &n, "sort=working_set_bytes", "limit=1");
	assert_non_null(strstr(a->body, "/u1.service\""));
	scene_close(&s);
}

static void what_one_answer_reads_is_bounded_and_told(void **state)
{
	static const char *const sorts[] = { "sort=cpu_pct", "sort=anon_bytes" };
	const struct testhost_answer *a;
	struct scene s;
	uint64_t n;
	unsigned i;

	(void)state;
	scene_open(&s, CGROUPS);
	for (i = 0; i < 2; i++) {
		a = ASK(&s, &n, sorts[i], "limit=10000");
		assert_in_range(n, 512, 512 * 12);
		assert_int_equal(rows_in(a->body), CGROUPS + 1);
		assert_ptr_equal(strstr(a->headers, "X-Linnix-Degraded: "), a->headers);
		assert_non_null(strstr(a->headers, "no stall ledger"));
		assert_non_null(strstr(a->headers, "the files of 189 workloads were not read"));
	}
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_rows_that_are_shown_are_read),
		cmocka_unit_test(figures_of_files_sort_too),
		cmocka_unit_test(what_one_answer_reads_is_bounded_and_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
