/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The answer of GET /blame: whose figures are told under which name, in which order, and what is said of them. */
#include "test_procs.h"
#include "test_psi.h"
#include "test_res.h"

/* Of the last window, unless <q> says otherwise. */
static char *ask(struct test *f, struct stall_query q)
{
	struct lnx_buf out = { 0 };

	q.to_ns = q.to_ns ? q.to_ns : f->boot;
	q.from_ns = q.from_ns ? q.from_ns : f->boot - SEC;
	q.limit = q.limit ? q.limit : 100;
	assert_int_equal(stall_blame_json(f->s, &q, &out), 0);
	assert_int_equal(lnx_buf_error(&out), 0);
	return out.data;
}

static void has(const char *json, const char *text)
{
	if (!strstr(json, text))
		fail_msg("no %s in %s", text, json);
}

static void has_not(const char *json, const char *text)
{
	if (strstr(json, text))
		fail_msg("%s in %s", text, json);
}

static unsigned times(const char *json, const char *text)
{
	unsigned n = 0;

	for (; (json = strstr(json, text)); json++)
		n++;
	return n;
}

#define TEXTS(...)                \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}

/* Also that each victim's parts are what it lost. */
static void answers(struct test *f, struct stall_query q, const char *const *wanted)
{
	char *json = ask(f, q);

	check_json_sums(json);
	for (; *wanted; wanted++)
		has(json, *wanted);
	free(json);
}

static void every_part_is_told_with_its_culprit_and_its_processes(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), b = slot_for(f, 101), c = slot_for(f, 102),
		 d = slot_for(f, 103);

	begin(f);
	charge(f, 0, a, c, 300 * MS);
	charge(f, 0, a, d, 100 * MS);
	charge(f, 0, a, b, 50 * MS);
	charge(f, 0, a, a, 40 * MS);
	charge(f, 0, a, LNX_LEDGER_KERNEL, 10 * MS);
	held(f, c, 10, 1, 300, 300);
	held(f, a, 20, 2, 40, 40);
	held(f, LNX_LEDGER_KERNEL, 5, 3, 10, 10);
	tick(f);
	answers(f, (struct stall_query){ .victim = "/t/poduid/a" },
		TEXTS("\"victims\":[{\"victim\":{\"workload\":\"prod/shop\",\"namespace\":\"prod\","
		      "\"pod_name\":\"pod\",\"container_name\":\"a\",\"container_id\":\"\","
		      "\"cgroup\":\"/t/poduid/a\",\"cgroup_id\":100},\"resource\":\"cpu\","
		      "\"method\":\"exact\",\"coverage_ratio\":null,\"confidence\":1,"
		      "\"stalled_ms\":500,\"psi_ms\":null,\"raw_ms\":500,\"full_ms\":null,"
		      "\"parts\":[{\"kind\":\"neighbour\",\"culprit\":{\"workload\":\"prod/twins\","
		      "\"namespace\":\"prod\",\"pod_name\":\"c\",\"container_name\":\"c\","
		      "\"container_id\":\"\",\"cgroup\":\"/t/podc/c\",\"cgroup_id\":102},"
		      "\"same_workload\":false,\"stall_ms\":300,\"share_ratio\":0.6,"
		      "\"processes\":[{\"pid\":10,\"comm\":\"old\",\"stall_ms\":300}]},"
		      "{\"kind\":\"neighbour\",\"culprit\":{\"workload\":\"prod/twins\","
		      "\"namespace\":\"prod\",\"pod_name\":\"d\",\"container_name\":\"d\","
		      "\"container_id\":\"d0d0\",\"cgroup\":\"/t/podd/d\",\"cgroup_id\":103},"
		      "\"same_workload\":false,\"stall_ms\":100,\"share_ratio\":0.2},"
		      "{\"kind\":\"sibling\",\"culprit\":{",
		      "\"cgroup_id\":101},\"stall_ms\":50,\"share_ratio\":0.1},"
		      "{\"kind\":\"self\",\"stall_ms\":40,\"share_ratio\":0.08},"
		      "{\"kind\":\"kernel\",\"stall_ms\":10,\"share_ratio\":0.02,"
		      "\"processes\":[{\"pid\":5,\"comm\":\"old\",\"stall_ms\":10}]}]"));
	/* By process a kernel thread is a culprit with a name; what a process of its own held stays its own. */
	answers(f, (struct stall_query){ .victim = "/t/poduid/a", .by = STALL_BY_PROCESS },
		TEXTS("\"cgroup_id\":102,\"pid\":10,\"comm\":\"old\"},"
		      "\"same_workload\":false,\"stall_ms\":300",
		      "{\"kind\":\"kernel\",\"culprit\":{\"workload\":\"_kernel\","
		      "\"pid\":5,\"comm\":\"old\"},\"stall_ms\":10,",
		      "{\"kind\":\"self\",\"stall_ms\":40,"));
}

/* Who ran longest while anybody waited is not who held others up longest. */
static void processes_of_the_node_are_by_what_the_node_lost(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102);
	char *json;

	begin(f);
	charge(f, 0, a, c, 300 * MS);
	held(f, c, 10, 1, 200, 100);
	held(f, c, 11, 2, 100, 200);
	tick(f);
	answers(f, (struct stall_query){ .victim = "/t/poduid/a" },
		TEXTS("\"processes\":[{\"pid\":11,\"comm\":\"old\",\"stall_ms\":200},"
		      "{\"pid\":10,\"comm\":\"old\",\"stall_ms\":100}]",
		      "processes-by-their-share-of-all-victims"));
	answers(f, (struct stall_query){ .victim = "_node" },
		TEXTS("{\"victim\":{\"workload\":\"_node\"}",
		      "\"processes\":[{\"pid\":10,\"comm\":\"old\",\"stall_ms\":200},"
		      "{\"pid\":11,\"comm\":\"old\",\"stall_ms\":100}]"));
	/* Half of what c did has a process; the other half is told of nobody. One alone is not split. */
	charge(f, 0, a, c, 300 * MS);
	charge(f, 0, c, c, 200 * MS); /* its own wait is no other's */
	held(f, c, 10, 1, 150, 150);
	tick(f);
	json = ask(f, (struct stall_query){ .victim = "/t/poduid/a", .by = STALL_BY_PROCESS });
	check_json_sums(json);
	has(json, "\"pid\":10,\"comm\":\"old\"},\"same_workload\":false,\"stall_ms\":150,"
		  "\"share_ratio\":0.5}");
	has(json, "\"cgroup_id\":102},\"same_workload\":false,\"stall_ms\":150,"
		  "\"share_ratio\":0.5}");
	has_not(json, "processes-by-their-share-of-all-victims");
	free(json);
}

static void a_part_names_its_ten_largest_processes(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102), d = slot_for(f, 103);
	char *json;

	begin(f);
	charge(f, 0, a, c, 120 * MS);
	charge(f, 0, d, LNX_LEDGER_KERNEL, 5 * MS);
	for (uint32_t pid = 11; pid <= 22; pid++)
		held(f, c, pid, pid, 10, pid == 11 || pid == 12 ? 5 : 11);
	tick(f);
	json = ask(f, (struct stall_query){ .victim = "/t/poduid/a" });
	assert_int_equal(times(json, "\"pid\":"), 10);
	assert_int_equal(times(json, "\"stall_ms\":11}"), 10);
	free(json);
	json = ask(f, (struct stall_query){ .victim = "/t/poduid/a", .by = STALL_BY_PROCESS });
	check_json_sums(json);
	assert_int_equal(times(json, "\"pid\":"), 12);
	assert_int_equal(times(json, "\"kind\":"), 12); /* nothing is left of nobody */
	free(json);
	/* Only those that several processes held up have that note. */
	json = ask(f, (struct stall_query){ .resource = LNX_RES_CPU });
	assert_int_equal(times(json, "\"victim\":{"), 3);
	assert_int_equal(times(json, "processes-by-their-share-of-all-victims"), 2);
	free(json);
}

static void names_are_those_of_the_level_that_is_asked_for(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), b = slot_for(f, 101), c = slot_for(f, 102),
		 d = slot_for(f, 103), g = slot_for(f, 106), pod, twins;

	begin(f);
	pod = f->tab->slot[LNX_LEDGER_SLOT(a)].up;
	twins = f->tab->slot[LNX_LEDGER_SLOT(c)].up;
	assert_true(pod && twins && b && d);
	charge(f, 0, a, g, 50 * MS);
	charge(f, 0, pod, g, 50 * MS);
	charge(f, 0, c, g, 30 * MS);
	charge(f, 0, twins, g, 30 * MS);
	charge(f, 0, g, a, 20 * MS);
	tick(f);
	answers(f, (struct stall_query){ .by = STALL_BY_POD, .victim = "prod/pod" },
		TEXTS("\"pod_name\":\"pod\",\"cgroup\":\"/t/poduid\"},\"resource\""));
	answers(f, (struct stall_query){ .by = STALL_BY_POD, .victim = "prod/c" },
		TEXTS("{\"victim\":{\"workload\":\"prod/twins\",\"namespace\":\"prod\","
		      "\"pod_name\":\"c\"}"));
	answers(f, (struct stall_query){ .by = STALL_BY_WORKLOAD, .victim = "prod/twins" },
		TEXTS("{\"victim\":{\"workload\":\"prod/twins\","
		      "\"namespace\":\"prod\"},"));
	/* A culprit is named by its level, too. */
	answers(f, (struct stall_query){ .by = STALL_BY_POD, .victim = "prod/g" },
		TEXTS("\"pod_name\":\"pod\",\"cgroup\":\"/t/poduid\"},"
		      "\"same_workload\":false,\"stall_ms\":20"));
}

/* Which victims an answer has, by the ids of their cgroups: "100 103" in the order of the answer. */
static void are_told(struct test *f, struct stall_query q, const char *ids)
{
	char *json = ask(f, q), got[256] = "", key[64];
	const char *at = json;

	while ((at = strstr(at, "{\"victim\":{"))) {
		const char *id = strstr(at, "\"cgroup_id\":"), *end = strchr(at, '}');

		(void)snprintf(key, sizeof(key), "%s%lu", *got ? " " : "",
			       id && id < end ? strtoul(id + 12, NULL, 10) : 0);
		strncat(got, key, sizeof(got) - strlen(got) - 1);
		at++;
	}
	free(json);
	assert_string_equal(got, ids);
}

static void questions_choose_victims(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102), d = slot_for(f, 103),
		 g = slot_for(f, 106);

	begin(f);
	(void)move_to_namespace(f, 106, "dev");
	move_to_namespace(f, 103, "prod")->container_id = "d0d0d0d0d0d0d0d0";
	charge(f, 0, a, c, 200 * MS);
	charge(f, 0, d, c, 100 * MS);
	charge(f, 0, c, c, 90 * MS);
	charge(f, 0, g, a, 50 * MS);
	charge(f, 0, g, LNX_LEDGER_KERNEL, 10 * MS);
	tick(f);
	are_told(f, (struct stall_query){ .resource = LNX_RES_N }, "0 100 103 102 106");
	are_told(f, (struct stall_query){ .limit = 2 }, "0 100");
	are_told(f, (struct stall_query){ .limit = 2, .offset = 3 }, "102 106");
	are_told(f, (struct stall_query){ .offset = 9 }, "");
	are_told(f, (struct stall_query){ .resource = LNX_RES_IO }, "");
	are_told(f, (struct stall_query){ .victim = "100" }, "100");
	are_told(f, (struct stall_query){ .victim = "/t/podc/c" }, "102");
	are_told(f, (struct stall_query){ .victim = "twins" }, "103 102");
	are_told(f, (struct stall_query){ .victim = "prod/twins" }, "103 102");
	are_told(f, (struct stall_query){ .victim = "dev/twins" }, "");
	are_told(f, (struct stall_query){ .victim = "prod/pod" }, "100");
	are_told(f, (struct stall_query){ .victim = "d0d0d0d0d0d0" }, "103");
	are_told(f, (struct stall_query){ .victim = "d0d0d0d0d0d" }, ""); /* too short */
	are_told(f, (struct stall_query){ .victim = "nobody" }, "");
	are_told(f, (struct stall_query){ .namespace_ = "dev" }, "106");
	/* Whom c held up: not itself. */
	are_told(f, (struct stall_query){ .culprit = "/t/podc/c" }, "0 100 103");
	are_told(f, (struct stall_query){ .culprit = "shop" }, "0 106");
	are_told(f, (struct stall_query){ .culprit = "_kernel", .namespace_ = "dev" }, "106");
	are_told(f, (struct stall_query){ .culprit = "/t/podd/d" }, "");
	answers(f, (struct stall_query){ .limit = 2 }, TEXTS("\"victims_total\":5}"));
}

static void replicas_of_one_workload_are_told(void **state)
{
	struct test *f = *state;
	uint32_t c = slot_for(f, 102), d = slot_for(f, 103), x = slot_for(f, 2000),
		 y = slot_for(f, 2001);
	char *json;

	begin(f);
	charge(f, 0, c, d, 50 * MS);
	charge(f, 0, x, y, 20 * MS); /* without a name: strangers */
	tick(f);
	answers(f, (struct stall_query){ .victim = "102" },
		TEXTS("\"cgroup_id\":103},\"same_workload\":true,\"stall_ms\":50,"));
	answers(f, (struct stall_query){ .victim = "2000" },
		TEXTS("\"cgroup_id\":2001},\"same_workload\":false,\"stall_ms\":20,"));
	/* The machine is of no workload. */
	json = ask(f, (struct stall_query){ .victim = "_node" });
	has_not(json, "same_workload");
	free(json);
}

/* Three windows, of which one event of a hundred was lost in the last. */
static void an_answer_tells_its_window_and_what_was_lost(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102);
	char *json;

	begin(f);
	for (int i = 0; i < 2; i++) {
		charge(f, 0, a, c, 100 * MS);
		tick(f);
	}
	f->cpus[1].count[LNX_LEDGER_N_LOST] += 20; /* of 2,000 */
	charge(f, 0, a, c, 50 * MS);
	tick(f);
	answers(f, (struct stall_query){ .victim = "100" },
		TEXTS("\"window_ms\":1000,\"lost_events\":20,\"events\":2000,",
		      "\"confidence\":0.99,\"stalled_ms\":50,"));
	answers(f, (struct stall_query){ .victim = "100", .from_ns = f->boot - 3 * SEC },
		TEXTS("\"window_ms\":3000,\"lost_events\":20,\"events\":6000,",
		      "\"stalled_ms\":250,"));
	/* Nothing has been measured then. */
	json = ask(f, (struct stall_query){ .from_ns = f->boot + SEC, .to_ns = f->boot + SEC });
	has(json, "\"window_ms\":0,\"lost_events\":0,\"events\":0,\"victims\":[],");
	free(json);
}

/* A window that had 10 ms more than its pressure: the answer is the pressure, and its parts sum to that. */
static void more_than_pressure_is_not_told(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102);
	char *dir = make_pressure(f);
	uint64_t total_ms = 1000;

	pressure_is(dir, "/t/poduid/a", "cpu", total_ms);
	begin(f);
	for (uint64_t i = 0; i < 2; i++) {
		total_ms += i ? 400 : 415;
		pressure_is(dir, "/t/poduid/a", "cpu", total_ms);
		charge(f, 0, a, c, (i ? 410 : 400) * MS);
		tick(f);
	}
	answers(f, (struct stall_query){ .victim = "100" },
		TEXTS("\"stalled_ms\":400,\"psi_ms\":400,\"raw_ms\":410,\"full_ms\":200,",
		      "\"stall_ms\":400,\"share_ratio\":1"));
	answers(f, (struct stall_query){ .victim = "100", .from_ns = f->boot - 2 * SEC },
		TEXTS("\"stalled_ms\":810,\"psi_ms\":815,"));
	/* Where pressure is not known of all of it there is no figure, and that is said. */
	who_of(f, 100)->psi[LNX_RES_CPU].is_known = 0;
	charge(f, 0, a, c, 30 * MS);
	tick(f);
	answers(f, (struct stall_query){ .victim = "100", .from_ns = f->boot - 2 * SEC },
		TEXTS("\"coverage_ratio\":", "\"stalled_ms\":440,\"psi_ms\":null,",
		      "\"psi-in-part-of-the-window\""));
	drop_pressure(dir);
}

static void notes_say_what_a_figure_is_not(void **state)
{
	struct test *f = *state;
	uint32_t a = slot_for(f, 100), c = slot_for(f, 102);

	begin(f);
	charge(f, 0, a, c, 50 * MS);
	f->s->stat.has_irq = 0;
	tick(f);
	answers(f, (struct stall_query){ .victim = "100" },
		TEXTS("\"notes\":[\"psi-unreadable\",\"irq-unaccounted\"]"));
	f->s->stat.has_irq = 1;
	answers(f, (struct stall_query){ .victim = "100" },
		TEXTS("\"notes\":[\"psi-unreadable\"]"));
	/* Without a ledger nobody is blamed, and why is said; and once it is back, that it was away. */
	f->s->stat.has_irq = 0;
	stall_probe_pause(f->s, "off for a test");
	who_of(f, 100)->sample_ns[LNX_RES_CPU][0] = 20 * MS;
	tick(f);
	answers(f, (struct stall_query){ .victim = "100" },
		TEXTS("\"method\":\"psi-only\",\"coverage_ratio\":null,",
		      "\"stalled_ms\":20,\"psi_ms\":20,",
		      "\"parts\":[{\"kind\":\"other\",\"stall_ms\":20,\"share_ratio\":1}],"
		      "\"notes\":[\"off for a test\"]"));
	assert_int_equal(stall_probe_resume(f->s), 0);
	for (int i = 0; i < 3; i++)
		tick(f);
	answers(f, (struct stall_query){ .victim = "100", .from_ns = f->boot - 5 * SEC },
		TEXTS("\"method\":\"psi-only\"", "\"the ledger was off in part of the window\""));
}

static void io_says_that_its_probe_was_not_attached(void **state)
{
	struct test *f = *state;

	begin(f);
	who_of(f, 100)->sample_ns[LNX_RES_IO][0] = 3 * MS;
	f->cpus[0].count[LNX_LEDGER_N_LOST] +=
		20; /* the CPU ledger's troubles are not those of I/O */
	f->cpus[1].seq = 1;
	tick(f);
	answers(f, (struct stall_query){ .victim = "100", .resource = LNX_RES_IO },
		TEXTS("\"resource\":\"io\",\"method\":\"psi-only\",\"coverage_ratio\":null,\"confidence\":1,",
		      "\"notes\":[\"pressure was below stall.attach_above\"]"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_part_is_told_with_its_culprit_and_its_processes),
		TEST(processes_of_the_node_are_by_what_the_node_lost),
		TEST(a_part_names_its_ten_largest_processes),
		TEST(names_are_those_of_the_level_that_is_asked_for),
		TEST(questions_choose_victims),
		TEST(replicas_of_one_workload_are_told),
		TEST(an_answer_tells_its_window_and_what_was_lost),
		TEST(more_than_pressure_is_not_told),
		TEST(notes_say_what_a_figure_is_not),
		cmocka_unit_test_setup_teardown(io_says_that_its_probe_was_not_attached, setup_res,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
