/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* I/O and memory of a pod with several containers: how long is what the kernel says of the pod's own cgroup, never a sum;
 * without a probe as well. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_fixture.h"
#include "test_res.h"

/* A hierarchy with pod /t/poduid of containers a and b, and pressure files to be filled. */
static char *make_pressure(struct test *f)
{
	static const char *const folders[] = { "t", "t/poduid", "t/poduid/a", "t/poduid/b" };
	char *dir = strdup("/tmp/lnx-pods-XXXXXX"), path[256];

	assert_non_null(dir);
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, folders[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	if (f->s->whos.root_fd >= 0)
		assert_int_equal(close(f->s->whos.root_fd), 0);
	f->s->whos.root_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->s->whos.root_fd >= 0);
	return dir;
}

static void drop_pressure(char *dir)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
	free(dir);
}

/* Since ever, "" of the pod itself. */
static void pressure_is(const char *dir, const char *container, const char *resource, uint64_t ms)
{
	char path[256], text[256];

	(void)snprintf(path, sizeof(path), "%s/t/poduid/%s/%s.pressure", dir, container, resource);
	(void)snprintf(text, sizeof(text),
		       "some avg10=0.00 avg60=0.00 avg300=0.00 total=%llu\n"
		       "full avg10=0.00 avg60=0.00 avg300=0.00 total=%llu\n",
		       (unsigned long long)ms * 1000, (unsigned long long)ms * 500);
	write_text(path, text);
}

static void all_pressure_is(const char *dir, const char *resource, uint64_t pod, uint64_t a,
			    uint64_t b)
{
	pressure_is(dir, "", resource, pod);
	pressure_is(dir, "a", resource, a);
	pressure_is(dir, "b", resource, b);
}

static double figure(const char *json, const char *name)
{
	char key[64];
	const char *at;

	(void)snprintf(key, sizeof(key), "\"%s\":", name);
	at = strstr(json, key);
	assert_non_null(at);
	return strtod(at + strlen(key), NULL);
}

/* Two containers of a pod wait for 400 and 300 ms of a second, the pod for 450 and then for <pod_ms>. */
static char *two_windows(struct test *f, char *dir, uint64_t pod_ms)
{
	all_pressure_is(dir, "io", 1000, 500, 700);
	waited(f, "blkio", 100, 400);
	waited(f, "blkio", 101, 300);
	requests(f, 100, 102, 300, 100);
	tick(f);
	all_pressure_is(dir, "io", 1000 + pod_ms, 900, 1000);
	waited(f, "blkio", 100, 400);
	waited(f, "blkio", 101, 300);
	requests(f, 100, 102, 600, 200);
	tick(f);
	return blame_of(f, LNX_RES_IO, STALL_BY_POD, f->boot - SEC, "prod/pod");
}

static void stall_of_a_pod_is_its_own_pressure(void **state)
{
	struct test *f = *state;
	struct lnx_stall_share share = { .size = sizeof(share) };
	char *dir, *json;

	rise(f);
	dir = make_pressure(f);
	json = two_windows(f, dir, 450);
	check_json_sums(json);
	assert_float_equal(figure(json, "stalled_ms"), 450, 1e-3);
	assert_float_equal(figure(json, "psi_ms"), 450, 1e-6);
	assert_float_equal(figure(json, "full_ms"), 225, 1e-6);
	assert_float_equal(figure(json, "raw_ms"), 700, 1e-6);
	/* a union of 400 and of 300 ms may well be 450 */
	assert_float_equal(figure(json, "coverage_ratio"), 1, 1e-9);
	assert_null(strstr(json, "sum-of-cgroups"));
	assert_null(strstr(json, "\"sibling\""));
	assert_non_null(strstr(json, "pressure-of-the-pod-split-as-its-containers"));
	assert_non_null(strstr(json, "\"cgroup\":\"/t/poduid\""));
	/* of 700 ms that were seen 300 were held by c, 100 by a itself; of those of b nothing is known */
	assert_float_equal(figure(strstr(json, "\"neighbour\""), "stall_ms"), 300 * 450 / 700.,
			   1e-3);
	assert_float_equal(figure(strstr(json, "\"self\""), "stall_ms"), 100 * 450 / 700., 1e-3);
	free(json);
	/* Containers and the machine are what they were. */
	json = blame_of(f, LNX_RES_IO, STALL_BY_CONTAINER, f->boot - SEC, "/t/poduid/a");
	assert_float_equal(figure(json, "stalled_ms"), 400, 1e-3);
	free(json);
	json = blame_of(f, LNX_RES_IO, STALL_BY_CONTAINER, f->boot - SEC, "_node");
	assert_float_equal(figure(json, "stalled_ms"), 700, 1e-3);
	free(json);
	/* Who asks for the pod's own cgroup is told the same. */
	assert_int_equal(stall_service.workload(f->s, LNX_RES_IO, 99, SEC, &share), 0);
	assert_float_equal(share.stalled_ms, 450, 1e-3);
	assert_int_equal(stall_service.workload(f->s, LNX_RES_IO, 100, SEC, &share), 0);
	assert_float_equal(share.stalled_ms, 400, 1e-3);
	/* The window in which its pressure was read for the first time has nothing to compare. */
	json = blame_of(f, LNX_RES_IO, STALL_BY_POD, f->boot - 2 * SEC, "prod/pod");
	assert_non_null(strstr(json, "sum-of-cgroups"));
	free(json);
	drop_pressure(dir);
}

static void what_its_containers_cannot_explain_lowers_coverage(void **state)
{
	struct test *f = *state;
	char *dir, *json;

	rise(f);
	dir = make_pressure(f);
	json = two_windows(f, dir, 800);
	check_json_sums(json);
	assert_float_equal(figure(json, "stalled_ms"), 800, 1e-3);
	assert_float_equal(figure(json, "coverage_ratio"), 700 / 800., 1e-6);
	free(json);
	drop_pressure(dir);
}

static void pod_that_waited_less_than_a_container_says_so(void **state)
{
	struct test *f = *state;
	char *dir, *json;

	rise(f);
	dir = make_pressure(f);
	json = two_windows(f, dir, 200);
	check_json_sums(json);
	assert_float_equal(figure(json, "stalled_ms"), 200, 1e-3);
	assert_float_equal(figure(json, "coverage_ratio"), 200 / 400., 1e-6);
	free(json);
	drop_pressure(dir);
}

static void without_a_file_of_its_own_a_pod_is_a_sum_and_says_so(void **state)
{
	struct test *f = *state;
	char *json;

	rise(f);
	waited(f, "blkio", 100, 400);
	waited(f, "blkio", 101, 300);
	tick(f);
	waited(f, "blkio", 100, 400);
	waited(f, "blkio", 101, 300);
	tick(f);
	json = blame_of(f, LNX_RES_IO, STALL_BY_POD, f->boot - SEC, "prod/pod");
	assert_float_equal(figure(json, "stalled_ms"), 700, 1e-3);
	assert_non_null(strstr(json, "sum-of-cgroups"));
	free(json);
}

/* Nobody is blamed; but how long a pod waited is known without a probe, too. */
static void without_a_probe_a_pod_has_its_pressure(void **state)
{
	struct test *f = *state;
	struct lnx_ev_psi_cgroup e = { .h = { sizeof(e), LNX_EV_PSI_CGROUP, sizeof(e), f->boot, 0,
					      LNX_CPU_NONE },
				       .window_ns = SEC };
	static const double pct[] = { 45, 40, 30 }; /* of the pod, a and b */
	char *json;

	tick(f); /* who is who */
	for (uint64_t i = 0; i < 3; i++) {
		e.cgroup_id = 99 + i;
		e.io_some_pct = pct[i];
		assert_int_equal(testhost_deliver(f->t, &e.h), 0);
	}
	tick(f);
	json = blame_of(f, LNX_RES_IO, STALL_BY_POD, f->boot - SEC, "prod/pod");
	check_json_sums(json);
	assert_float_equal(figure(json, "stalled_ms"), 450, 1e-3);
	assert_null(strstr(json, "sum-of-cgroups"));
	assert_non_null(strstr(json, "\"psi-only\""));
	free(json);
	json = blame_of(f, LNX_RES_IO, STALL_BY_CONTAINER, f->boot - SEC, "/t/poduid/b");
	assert_float_equal(figure(json, "stalled_ms"), 300, 1e-3);
	free(json);
}

#define RES_TEST(f) cmocka_unit_test_setup_teardown(f, setup_res, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RES_TEST(stall_of_a_pod_is_its_own_pressure),
		RES_TEST(what_its_containers_cannot_explain_lowers_coverage),
		RES_TEST(pod_that_waited_less_than_a_container_says_so),
		RES_TEST(without_a_file_of_its_own_a_pod_is_a_sum_and_says_so),
		TEST(without_a_probe_a_pod_has_its_pressure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
