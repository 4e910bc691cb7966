/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What `selftest` says of blame that is right, and of blame that is wrong in every way that would matter. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/cli.h"
#include "cli/judge.h"

#define VICTIM 42
#define BULLY  77

/* The answer of an agent, its parts as JSON. */
struct said {
	unsigned victim;
	double stalled_ms, coverage;
	const char *parts;
};

static const struct lnx_judge_truth truth = {
	.victim_id = VICTIM, .bully_id = BULLY, .psi_ms = 1000, .bully_ms = 990
};
static const struct said right = {
	VICTIM, 1001, 0.99,
	"[{'kind':'neighbour','culprit':{'cgroup_id':77},'stall_ms':985},"
	"{'kind':'neighbour','culprit':{'cgroup_id':5},'stall_ms':10},{'kind':'kernel','stall_ms':6}]"
};

/* The names of the checks that failed, "" for none. */
static const char *failed(const char *tier, const struct lnx_judge_truth *t,
			  const struct said *said)
{
	struct lnx_cli cli = { .is_json = true };
	struct lnx_judge j = { .cli = &cli, .results = json_array() };
	static char names[128];
	char parts[512];
	json_t *victim = NULL, *r;
	size_t i;

	(void)snprintf(j.tier, sizeof(j.tier), "%s", tier);
	if (said) {
		(void)snprintf(parts, sizeof(parts), "%s", said->parts);
		for (char *c = parts; *c; c++)
			*c = *c == '\'' ? '"' : *c;
		r = json_loads(parts, 0, NULL);
		assert_non_null(r);
		victim = json_pack("{s:{s:i}, s:f, s:o}", "victim", "cgroup_id", (int)said->victim,
				   "stalled_ms", said->stalled_ms, "parts", r);
		assert_non_null(victim);
		if (!isnan(said->coverage))
			assert_int_equal(json_object_set_new(victim, "coverage_ratio",
							     json_real(said->coverage)),
					 0);
	}
	lnx_judge_blame(&j, t, victim);
	names[0] = 0;
	json_array_foreach(j.results, i, r)
	{
		if (json_is_true(json_object_get(r, "ok")))
			continue;
		assert_true(strlen(json_string_value(json_object_get(r, "found"))) > 10);
		(void)snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
			       *names ? " " : "", json_string_value(json_object_get(r, "check")));
		j.n_failed--;
	}
	assert_int_equal(j.n_failed, 0); /* each was counted */
	assert_true(json_array_size(j.results) > 0);
	json_decref(victim);
	json_decref(j.results);
	return names;
}

static void right_blame_passes(void **state)
{
	struct lnx_judge_truth t = truth;
	struct said s = right;

	(void)state;
	assert_string_equal(failed("exact", &truth, &right), "");
	/* Without PSI the culprit alone is held against something. */
	t.psi_ms = NAN;
	s.coverage = NAN;
	assert_string_equal(failed("exact", &t, &s), "");
	/* What the hypervisor took is in the kernel's figure of who ran, and in that of no culprit. */
	s = right;
	s.parts =
		"[{'culprit':{'cgroup_id':77},'stall_ms':701},{'kind':'steal','stall_ms':200},{'kind':'irq','stall_ms':100}]";
	assert_string_equal(failed("exact", &truth, &s), "");
}

static void wrong_blame_fails(void **state)
{
	static const struct {
		struct said said;
		const char *failed;
	} rows[] = {
		/* somebody else did it */
		{ { VICTIM, 1000, 1, "[{'culprit':{'cgroup_id':5},'stall_ms':1000}]" }, "culprit" },
		/* nobody did */
		{ { VICTIM, 1000, 1, "[{'kind':'other','stall_ms':1000}]" }, "culprit" },
		{ { VICTIM, 1000, 1, "[{'kind':'throttled','owner':'/','stall_ms':1000}]" },
		  "culprit" },
		{ { VICTIM, 1000, 1, "[{'kind':'self','stall_ms':1000}]" }, "culprit" },
		/* the bully did, and did not as much */
		{ { VICTIM, 1000, 1,
		    "[{'culprit':{'cgroup_id':77},'stall_ms':500},{'culprit':{'cgroup_id':5},'stall_ms':500}]" },
		  "culprit" },
		/* it was the hypervisor, and that is no excuse for most of it, nor for more */
		{ { VICTIM, 1000, 1,
		    "[{'culprit':{'cgroup_id':77},'stall_ms':400},{'kind':'steal','stall_ms':600}]" },
		  "culprit" },
		{ { VICTIM, 1000, 1, "[{'kind':'steal','stall_ms':1000}]" }, "culprit" },
		{ { VICTIM, 1300, 1,
		    "[{'culprit':{'cgroup_id':77},'stall_ms':1200},{'kind':'steal','stall_ms':100}]" },
		  "stall culprit" },
		{ { VICTIM, 1000, 1,
		    "[{'culprit':{'cgroup_id':77},'stall_ms':700},{'kind':'idle','stall_ms':300}]" },
		  "culprit" },
		/* victim and culprit are swapped */
		{ { BULLY, 1000, 1, "[{'culprit':{'cgroup_id':42},'stall_ms':1000}]" }, "victim" },
		{ { 0, 1000, 1, "[{'culprit':{'cgroup_id':77},'stall_ms':1000}]" }, "victim" },
		/* a wrong unit, half of it, twice as much */
		{ { VICTIM, 1, 1, "[{'culprit':{'cgroup_id':77},'stall_ms':1}]" },
		  "stall culprit" },
		{ { VICTIM, 500, 1, "[{'culprit':{'cgroup_id':77},'stall_ms':500}]" },
		  "stall culprit" },
		{ { VICTIM, 2000, 1, "[{'culprit':{'cgroup_id':77},'stall_ms':2000}]" },
		  "stall culprit" },
		/* parts that do not sum, or only as one takes away what another has */
		{ { VICTIM, 1000, 1, "[{'culprit':{'cgroup_id':77},'stall_ms':999}]" }, "parts" },
		{ { VICTIM, 1000, 1, "[]" }, "parts culprit" },
		{ { VICTIM, 1000, 1,
		    "[{'culprit':{'cgroup_id':77},'stall_ms':1000},{'culprit':{'cgroup_id':5},'stall_ms':500},"
		    "{'kind':'other','stall_ms':-500}]" },
		  "parts" },
		/* it does not agree with pressure, or does not know */
		{ { VICTIM, 1000, 0.89, "[{'culprit':{'cgroup_id':77},'stall_ms':1000}]" },
		  "coverage" },
		{ { VICTIM, 1000, NAN, "[{'culprit':{'cgroup_id':77},'stall_ms':1000}]" },
		  "coverage" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(failed("exact", &truth, &rows[i].said), rows[i].failed) != 0)
			fail_msg("row %zu: %s", i, failed("exact", &truth, &rows[i].said));
	assert_string_equal(failed("exact", &truth, NULL), "victim");
	assert_string_equal(failed("psi-only", &truth, NULL), "victim");
}

/* Five percent of a long stall, 20 ms of a short one. */
static void what_is_near_is_near(void **state)
{
	(void)state;
	assert_true(lnx_judge_is_near(1050, 1000));
	assert_true(lnx_judge_is_near(950, 1000));
	assert_false(lnx_judge_is_near(1051, 1000));
	assert_false(lnx_judge_is_near(949, 1000));
	assert_true(lnx_judge_is_near(120, 100));
	assert_false(lnx_judge_is_near(121, 100));
	assert_false(lnx_judge_is_near(NAN, 100));
	assert_false(lnx_judge_is_near(100, NAN));
}

static void a_tier_without_culprits_may_name_none(void **state)
{
	const struct said nobody = { VICTIM, 1000, NAN, "[{'kind':'other','stall_ms':1000}]" };
	const struct said bully = { VICTIM, 1000, NAN,
				    "[{'culprit':{'cgroup_id':77},'stall_ms':1000}]" };
	const struct said other = {
		VICTIM, 1000, NAN,
		"[{'kind':'other','stall_ms':999},{'culprit':{'cgroup_id':5},'stall_ms':1}]"
	};
	const struct said half = { VICTIM, 500, NAN, "[{'kind':'other','stall_ms':500}]" };
	struct lnx_judge_truth t = truth;
	struct said none = { VICTIM, 0, NAN, "[]" };

	(void)state;
	assert_string_equal(failed("psi-only", &truth, &nobody), "");
	assert_string_equal(failed("psi-only", &truth, &bully), "culprit");
	assert_string_equal(failed("psi-only", &truth, &other), "culprit");
	assert_string_equal(failed("psi-only", &truth, &half), "stall");
	/* With a ledger and no PSI it has to have lost something. */
	t.psi_ms = NAN;
	assert_string_equal(failed("exact", &t, &none), "stall culprit");
	assert_string_equal(failed("none", &t, &none), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_blame_passes),
		cmocka_unit_test(wrong_blame_fails),
		cmocka_unit_test(what_is_near_is_near),
		cmocka_unit_test(a_tier_without_culprits_may_name_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
