/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Wait sets of pods and workloads: made, told, given back. */
#include "test_fixture.h"
#include "test_psi.h"

/* Handle of the set that stands above <handle>, 0 none. */
static uint32_t up_of(struct test *f, uint32_t handle)
{
	return f->tab->slot[LNX_LEDGER_SLOT(handle)].up;
}

/* "stalled_ms" of the only victim of an answer. */
static double stalled_ms(const char *json)
{
	const char *v = strstr(json, "\"stalled_ms\":");

	assert_non_null(v);
	assert_null(strstr(v + 1, "\"stalled_ms\":"));
	return strtod(v + 13, NULL);
}

static void pods_and_workloads_are_unions_not_sums(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), b = slot_for(f, 101), c = slot_for(f, 102),
		 d = slot_for(f, 103), pod, twins;
	char *json;

	begin(f);
	pod = up_of(f, a);
	twins = up_of(f, c);
	assert_true(pod && pod != twins);
	assert_int_equal(up_of(f, b), pod);
	assert_int_equal(up_of(f, d), twins);
	assert_int_equal(up_of(f, pod),
			 0); /* its containers have different workloads, and each one only */
	/* a and b wait at the same time for c, then a for b, of one pod; c waits for d, of one workload. */
	charge(f, 1, a, c, 30000000);
	charge(f, 1, b, c, 40000000);
	charge(f, 1, pod, c, 45000000);
	charge(f, 1, a, b, 20000000);
	charge(f, 1, pod, b, 20000000);
	charge(f, 1, c, d, 50000000);
	charge(f, 1, twins, d, 50000000);
	tick(f);
	json = blame(f, STALL_BY_POD, "prod/pod");
	check_json_sums(json);
	assert_true(testhost_near(stalled_ms(json), 65, 1e-6));
	assert_null(strstr(json, "sibling"));
	assert_null(strstr(json, "sum-of-cgroups"));
	assert_non_null(strstr(json, "\"self\",\"stall_ms\":20"));
	assert_non_null(strstr(json, "\"cgroup\":\"/t/poduid\""));
	free(json);
	json = blame(f, STALL_BY_CONTAINER, "/t/poduid/a");
	assert_true(testhost_near(stalled_ms(json), 50, 1e-6));
	assert_non_null(strstr(json, "\"sibling\""));
	free(json);
	json = blame(f, STALL_BY_POD, "prod/c"); /* one container: its own pod */
	assert_true(testhost_near(stalled_ms(json), 50, 1e-6));
	assert_non_null(strstr(json, "\"same_workload\":true"));
	free(json);
	json = blame(f, STALL_BY_WORKLOAD, "prod/twins");
	assert_true(testhost_near(stalled_ms(json), 50, 1e-6));
	assert_non_null(strstr(json, "\"self\""));
	assert_null(strstr(json, "\"neighbour\""));
	assert_null(strstr(json, "sum-of-cgroups"));
	free(json);
	json = blame(f, STALL_BY_CONTAINER, NULL);
	assert_null(strstr(json, "65"));
	free(json);
}

static void workload_of_pods_has_a_set_above_theirs(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 104), b = slot_for(f, 105), c = slot_for(f, 106), pod, all;
	char *json;

	begin(f);
	pod = up_of(f, a);
	all = up_of(f, c);
	assert_true(pod && all);
	assert_int_equal(up_of(f, b), pod);
	assert_int_equal(up_of(f, pod), all);
	for (int i = 0; i < 12; i++) { /* into the coarse windows, too */
		charge(f, 1, a, b, 10000000);
		charge(f, 1, pod, b, 10000000);
		charge(f, 1, c, a, 5000000);
		charge(f, 1, all, a, 5000000);
		charge(f, 1, all, b, 8000000);
		tick(f);
	}
	json = blame(f, STALL_BY_WORKLOAD, "prod/wide");
	assert_true(testhost_near(stalled_ms(json), 12 * 13, 1e-6));
	assert_null(strstr(json, "neighbour"));
	free(json);
	json = blame(f, STALL_BY_POD, "prod/e");
	assert_true(testhost_near(stalled_ms(json), 12 * 10, 1e-6));
	free(json);
	/* All gone: so are the sets, their slots given back. */
	f->gone_id = 104;
	for (int i = 0; i < 20; i++)
		tick(f);
	assert_int_equal(up_of(f, b), pod);
	f->gone_from = 104;
	for (int i = 0; i < 20; i++)
		tick(f);
	assert_int_not_equal(f->tab->slot[LNX_LEDGER_SLOT(pod)].handle, pod);
	assert_int_not_equal(f->tab->slot[LNX_LEDGER_SLOT(all)].handle, all);
}

static void without_a_free_slot_a_pod_is_a_sum_and_says_so(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), b = slot_for(f, 101), c = slot_for(f, 102);
	char *json;

	while (stall_slot_take(f->tab, 0))
		;
	begin(f);
	assert_int_equal(up_of(f, a), 0);
	assert_true(f->s->sets_refused > 0);
	charge(f, 1, a, c, 30000000);
	charge(f, 1, b, c, 40000000);
	charge(f, 1, a, b, 20000000);
	tick(f);
	json = blame(f, STALL_BY_POD, "prod/pod");
	check_json_sums(json);
	assert_true(testhost_near(stalled_ms(json), 90, 1e-6));
	assert_non_null(strstr(json, "\"self\",\"stall_ms\":20"));
	assert_null(strstr(json, "\"sibling\""));
	assert_non_null(strstr(json, "sum-of-cgroups"));
	free(json);
}

/* CPUs weigh by the time in which any of the pod ran or waited there: what it waited while one of its own ran counts once. */
static void a_pod_that_holds_itself_up_is_busy_once(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), b = slot_for(f, 101), c = slot_for(f, 102), pod;
	char *json;

	begin(f);
	pod = up_of(f, a);
	charge(f, 0, a, b, 200000000);
	charge(f, 0, pod, b, 200000000);
	f->cpus[0].sum[LNX_LEDGER_SLOT(b)].run_ns -= 200000000; /* it ran once */
	charge(f, 1, a, c, 100000000);
	charge(f, 1, pod, c, 100000000);
	tick(f);
	json = blame(f, STALL_BY_POD, "prod/pod");
	assert_true(testhost_near(stalled_ms(json), 200 * 2 / 3. + 100 / 3., 1e-3));
	free(json);
}

/* In the pod's own row it is the quota of whichever container met one; of one that nobody can find that is said. */
static void quota_of_a_container_is_named_in_its_pods_row(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102), pod;
	char *dir = make_pressure(f), *json, path[256];
	struct stat st;
	FILE *out;

	(void)snprintf(path, sizeof(path), "%s/t/poduid/a/cpu.max", dir);
	out = fopen(path, "we");
	assert_non_null(out);
	assert_true(fputs("5000 20000\n", out) >= 0);
	assert_int_equal(fclose(out), 0);
	(void)snprintf(path, sizeof(path), "%s/t/poduid/a", dir);
	assert_int_equal(stat(path, &st), 0);
	free(f->s->whos.cpu_root);
	f->s->whos.cpu_root = strdup(dir);
	f->s->whos.is_v1 = 0;
	(void)slot_for(f, 101);
	begin(f);
	pod = up_of(f, a);
	f->tab->slot[LNX_LEDGER_SLOT(a)].owner = st.st_ino;
	charge(f, 1, a, LNX_LEDGER_THROTTLED + 3, 30000000);
	charge(f, 1, pod, LNX_LEDGER_THROTTLED + 3, 30000000);
	charge(f, 1, c, LNX_LEDGER_THROTTLED + 2, 20000000);
	tick(f);
	for (uint32_t by = STALL_BY_CONTAINER; by <= STALL_BY_POD; by++) {
		json = blame(f, by, by == STALL_BY_POD ? "prod/pod" : "/t/poduid/a");
		assert_non_null(strstr(json, "\"limit\":\"cpu.max 5000 20000\""));
		assert_non_null(strstr(json, "\"owner\":\"/t/poduid/a\""));
		assert_null(strstr(json, "quota-owner-unknown"));
		assert_null(strstr(json, "\"neighbour\""));
		free(json);
	}
	json = blame(f, STALL_BY_CONTAINER, "/t/podc/c");
	assert_non_null(strstr(json, "\"limit\":\"\",\"owner\":\"\""));
	assert_non_null(strstr(json, "quota-owner-unknown"));
	free(json);
	drop_pressure(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pods_and_workloads_are_unions_not_sums),
		TEST(workload_of_pods_has_a_set_above_theirs),
		TEST(without_a_free_slot_a_pod_is_a_sum_and_says_so),
		TEST(a_pod_that_holds_itself_up_is_busy_once),
		TEST(quota_of_a_container_is_named_in_its_pods_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
