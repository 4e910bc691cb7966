/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* I/O and memory of a pod with several containers: how long is what the kernel says of the pod's own cgroup, never a sum;
 * without a probe as well. */
#include "test_fixture.h"
#include "test_psi.h"
#include "test_res.h"

static void all_pressure_is(const char *dir, const char *resource, uint64_t pod, uint64_t a,
			    uint64_t b)
{
	pressure_is(dir, "/t/poduid", resource, pod);
	pressure_is(dir, "/t/poduid/a", resource, a);
	pressure_is(dir, "/t/poduid/b", resource, b);
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
	assert_true(testhost_near(figure(json, "stalled_ms"), 450, 1e-3));
	assert_true(testhost_near(figure(json, "psi_ms"), 450, 1e-6));
	assert_true(testhost_near(figure(json, "full_ms"), 225, 1e-6));
	assert_true(testhost_near(figure(json, "raw_ms"), 700, 1e-6));
	/* a union of 400 and of 300 ms may well be 450 */
	assert_true(testhost_near(figure(json, "coverage_ratio"), 1, 1e-9));
	assert_null(strstr(json, "sum-of-cgroups"));
	assert_null(strstr(json, "\"sibling\""));
	assert_non_null(strstr(json, "pressure-of-the-pod-split-as-its-containers"));
	assert_non_null(strstr(json, "\"cgroup\":\"/t/poduid\""));
	/* of 700 ms that were seen 300 were held by c, 100 by a itself; of those of b nothing is known */
	assert_true(testhost_near(figure(strstr(json, "\"neighbour\""), "stall_ms"),
				  300 * 450 / 700., 1e-3));
	assert_true(testhost_near(figure(strstr(json, "\"self\""), "stall_ms"), 100 * 450 / 700.,
				  1e-3));
	free(json);
	/* Containers and the machine are what they were. */
	json = blame_of(f, LNX_RES_IO, STALL_BY_CONTAINER, f->boot - SEC, "/t/poduid/a");
	assert_true(testhost_near(figure(json, "stalled_ms"), 400, 1e-3));
	free(json);
	json = blame_of(f, LNX_RES_IO, STALL_BY_CONTAINER, f->boot - SEC, "_node");
	assert_true(testhost_near(figure(json, "stalled_ms"), 700, 1e-3));
	free(json);
	/* Who asks for the pod's own cgroup is told the same. */
	assert_int_equal(stall_service.workload(f->s, LNX_RES_IO, 99, SEC, &share), 0);
	assert_true(testhost_near(share.stalled_ms, 450, 1e-3));
	assert_int_equal(stall_service.workload(f->s, LNX_RES_IO, 100, SEC, &share), 0);
	assert_true(testhost_near(share.stalled_ms, 400, 1e-3));
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
	assert_true(testhost_near(figure(json, "stalled_ms"), 800, 1e-3));
	assert_true(testhost_near(figure(json, "coverage_ratio"), 700 / 800., 1e-6));
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
	assert_true(testhost_near(figure(json, "stalled_ms"), 200, 1e-3));
	assert_true(testhost_near(figure(json, "coverage_ratio"), 200 / 400., 1e-6));
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
	assert_true(testhost_near(figure(json, "stalled_ms"), 700, 1e-3));
	assert_non_null(strstr(json, "sum-of-cgroups"));
	free(json);
}

static uint32_t io_rows_of(struct test *f, uint64_t id, uint32_t *ret_flags)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->s->n_rows; i++)
		if (f->s->rows[i].resource == LNX_RES_IO &&
		    f->s->whos.who[f->s->rows[i].who].cgroup_id == id) {
			*ret_flags = f->s->rows[i].flags;
			n++;
		}
	return n;
}

/* As plugin psi tells of the pod's own cgroup, of a and b. */
static void tell_io_pressure(struct test *f)
{
	struct lnx_ev_psi_cgroup e = { .h = { sizeof(e), LNX_EV_PSI_CGROUP, sizeof(e), f->boot, 0,
					      LNX_CPU_NONE },
				       .window_ns = SEC };
	static const double pct[] = { 45, 40, 30 };

	for (uint64_t i = 0; i < 3; i++) {
		e.cgroup_id = 99 + i;
		e.io_some_pct = pct[i];
		assert_int_equal(testhost_deliver(f->t, &e.h), 0);
	}
}

/* Its file counts what its containers wait: it is no victim beside them, not even before the next walk of all cgroups. */
static void cgroup_of_a_pod_is_no_victim_beside_its_containers(void **state)
{
	struct test *f = *state;
	uint32_t flags = 0;

	tell_io_pressure(f);
	tick(f);
	assert_int_equal(io_rows_of(f, 100, &flags), 1);
	assert_int_equal(io_rows_of(f, 101, &flags), 1);
	assert_int_equal(io_rows_of(f, 99, &flags), 0);
}

static void pressure_of_a_new_pod_is_not_its_own_cgroups(void **state)
{
	struct test *f = *state;
	uint32_t flags = 0;
	char *dir;

	rise(f);
	dir = make_pressure(f);
	all_pressure_is(dir, "io", 1000, 500, 700);
	waited(f, "blkio", 99, 10);
	tick(f);
	/* It comes between two walks. */
	who_of(f, 99)->n_children = 0;
	f->s->whos.is_new = 1;
	all_pressure_is(dir, "io", 1800, 900, 1000);
	waited(f, "blkio", 99, 20);
	tick(f);
	assert_int_equal(io_rows_of(f, 99, &flags), 1);
	assert_true(flags & STALL_F_PSI_WIDER);
	drop_pressure(dir);
}

/* Nobody is blamed; but how long a pod waited is known without a probe, too. */
static void without_a_probe_a_pod_has_its_pressure(void **state)
{
	struct test *f = *state;
	char *json;

	tick(f); /* who is who */
	tell_io_pressure(f);
	tick(f);
	json = blame_of(f, LNX_RES_IO, STALL_BY_POD, f->boot - SEC, "prod/pod");
	check_json_sums(json);
	assert_true(testhost_near(figure(json, "stalled_ms"), 450, 1e-3));
	assert_null(strstr(json, "sum-of-cgroups"));
	assert_non_null(strstr(json, "\"psi-only\""));
	free(json);
	json = blame_of(f, LNX_RES_IO, STALL_BY_CONTAINER, f->boot - SEC, "/t/poduid/b");
	assert_true(testhost_near(figure(json, "stalled_ms"), 300, 1e-3));
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
		TEST(cgroup_of_a_pod_is_no_victim_beside_its_containers),
		RES_TEST(pressure_of_a_new_pod_is_not_its_own_cgroups),
		TEST(without_a_probe_a_pod_has_its_pressure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
