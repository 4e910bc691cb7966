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
#include <linnix/svc_http.h>

#include "testhost.h"

#define CGROUPS 700 /* and the root */

struct lnx_http_req {
	const char *sort;
	uint64_t limit, offset;
	uint32_t status;
	char degraded[512];
	char *body;
};

struct scene {
	struct testhost *host;
	char root[64];
	const struct lnx_http_route *route;
	void *route_arg;
};

static int fake_route(void *self, const struct lnx_http_route *r, void *arg)
{
	struct scene *s = self;

	s->route = r;
	s->route_arg = arg;
	return 0;
}

static const char *fake_param(struct lnx_http_req *req, const char *name)
{
	return strcmp(name, "sort") ? NULL : req->sort;
}

static int fake_param_u64(struct lnx_http_req *req, const char *name, uint64_t def, uint64_t min,
			  uint64_t max, uint64_t *ret_v)
{
	uint64_t v = !strcmp(name, "limit") ? req->limit : req->offset;

	*ret_v = v ? v : def;
	assert_in_range(*ret_v, min, max);
	return 0;
}

static int fake_set_header(struct lnx_http_req *req, const char *name, const char *value)
{
	assert_string_equal(name, "X-Linnix-Degraded");
	(void)snprintf(req->degraded, sizeof(req->degraded), "%s", value);
	return 0;
}

static int fake_respond(struct lnx_http_req *req, uint32_t status, const char *type,
			const char *body, uint64_t n)
{
	(void)type;
	req->status = status;
	req->body = calloc(1, n + 1);
	assert_non_null(req->body);
	memcpy(req->body, body, n);
	return 0;
}

static const struct lnx_svc_http fake_http = {
	.size = sizeof(fake_http),
	.route = fake_route,
	.param = fake_param,
	.param_u64 = fake_param_u64,
	.set_header = fake_set_header,
	.respond = fake_respond,
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
	assert_int_equal(testhost_provide(s->host, "http/1", &fake_http, s), 0);
	if (testhost_load(s->host, linnix_plugin_v1()) != 0)
		fail_msg("%s", testhost_error(s->host));
	assert_string_equal(s->route->path, "/workloads");
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

/* Returns the reads that the answer took. */
static uint64_t ask(struct scene *s, struct lnx_http_req *req)
{
	uint64_t before = reads();

	s->route->handle(s->route_arg, req);
	assert_int_equal(req->status, 200);
	return reads() - before;
}

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
	struct lnx_http_req req = { .sort = "psi_io_pct", .limit = 1 };
	char path[96];
	struct scene s;
	struct stat st;

	(void)state;
	scene_open(&s, 100);
	(void)snprintf(path, sizeof(path), "%s/u42.service", s.root);
	assert_int_equal(stat(path, &st), 0);
	psi.cgroup_id = st.st_ino;
	psi.io_some_pct = 12;
	assert_int_equal(testhost_deliver(s.host, &psi.h), 0);
	assert_in_range(ask(&s, &req), 1, 40);
	assert_int_equal(rows_in(req.body), 1);
	assert_non_null(strstr(req.body, "\"cgroup\":\"/u42.service\""));
	assert_non_null(strstr(req.body, "\"anon_bytes\":44040192"));
	assert_null(strstr(req.degraded, "not read"));
	free(req.body);
	scene_close(&s);
}

static void figures_of_files_sort_too(void **state)
{
	struct lnx_http_req req = { .sort = "anon_bytes", .limit = 2, .offset = 1 };
	struct scene s;

	(void)state;
	scene_open(&s, 30);
	(void)ask(&s, &req);
	assert_int_equal(rows_in(req.body), 2);
	assert_true(strstr(req.body, "/u29.service\"") < strstr(req.body, "/u28.service\""));
	free(req.body);
	req = (struct lnx_http_req){ .sort = "working_set_bytes", .limit = 1 };
	(void)ask(&s, &req);
	assert_non_null(strstr(req.body, "/u1.service\""));
	free(req.body);
	scene_close(&s);
}

static void what_one_answer_reads_is_bounded_and_told(void **state)
{
	static const char *const sorts[] = { "cpu_pct", "anon_bytes" };
	struct scene s;
	unsigned i;

	(void)state;
	scene_open(&s, CGROUPS);
	for (i = 0; i < 2; i++) {
		struct lnx_http_req req = { .sort = sorts[i], .limit = 10000 };

		assert_in_range(ask(&s, &req), 512, 512 * 12);
		assert_int_equal(rows_in(req.body), CGROUPS + 1);
		assert_non_null(strstr(req.degraded, "no stall ledger"));
		assert_non_null(strstr(req.degraded, "the files of 189 workloads were not read"));
		free(req.body);
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
