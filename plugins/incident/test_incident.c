/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Alerts become incidents: keys, timings, victims, evidence, the way through the store. */
#include "test_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

static void one_culprit_with_two_victims_is_one_incident(void **state)
{
	struct fix f = { 0 };

	(void)state;
	fix_open(&f);
	FIRES(&f, "noisy-neighbour", 9, 7);
	FIRES(&f, "noisy-neighbour", 9, 8);
	assert_int_equal(testhost_count(f.t, "incident.open"), 1);
	assert_string_equal(str(last(&f, "incident.open"), last(&f, "incident.open")->title),
			    "media/batch makes prod/shop wait for cpu");
	(void)testhost_advance(f.t, 6 * SECOND);
	assert_int_equal(testhost_count(f.t, "incident.update"), 1);
	assert_int_equal(last(&f, "incident.update")->n_victims, 2);
	assert_int_equal(last(&f, "incident.update")->reason, LNX_INCIDENT_VICTIMS);
	assert_string_equal(str(last(&f, "incident.update"), last(&f, "incident.update")->victims),
			    "[\"prod/shop\",\"prod/web\"]");
	/* one victim relieved is not the end */
	RESOLVES(&f, "noisy-neighbour", 9, 7);
	(void)testhost_advance(f.t, 120 * SECOND);
	assert_int_equal(testhost_count(f.t, "incident.close"), 0);
	RESOLVES(&f, "noisy-neighbour", 9, 8);
	(void)testhost_advance(f.t, 58 * SECOND);
	assert_int_equal(testhost_count(f.t, "incident.close"), 0);
	(void)testhost_advance(f.t, 3 * SECOND);
	assert_int_equal(testhost_count(f.t, "incident.close"), 1);
	assert_true(last(&f, "incident.close")->closed_wall_ns > 0);
	fix_close(&f);
}

static void it_opens_again_within_ten_minutes_and_counts_flaps(void **state)
{
	struct fix f = { 0 };
	char id[32], print[32];

	(void)state;
	fix_open(&f);
	for (int i = 0; i < 3; i++) {
		FIRES(&f, "noisy-neighbour", 9, 7);
		RESOLVES(&f, "noisy-neighbour", 9, 7);
		(void)testhost_advance(f.t, 62 * SECOND);
		assert_int_equal(last(&f, "incident.open")->flaps, i);
		if (!i)
			(void)snprintf(
				id, sizeof(id), "%s",
				str(last(&f, "incident.open"), last(&f, "incident.open")->id));
		assert_string_equal(str(last(&f, "incident.open"), last(&f, "incident.open")->id),
				    id);
		assert_int_equal(last(&f, "incident.open")->reason,
				 i ? LNX_INCIDENT_REOPENED : LNX_INCIDENT_OPENED);
	}
	(void)snprintf(print, sizeof(print), "%s",
		       str(last(&f, "incident.open"), last(&f, "incident.open")->fingerprint));
	(void)testhost_advance(f.t, 700 * SECOND);
	FIRES(&f, "noisy-neighbour", 9, 7);
	assert_string_not_equal(str(last(&f, "incident.open"), last(&f, "incident.open")->id), id);
	assert_string_equal(str(last(&f, "incident.open"), last(&f, "incident.open")->fingerprint),
			    print);
	fix_close(&f);
}

/* The incident opened last. */
static void get(struct fix *f, struct lnx_incident *ret)
{
	char id[32];

	(void)snprintf(id, sizeof(id), "%s",
		       str(last(f, "incident.open"), last(f, "incident.open")->id));
	*ret = (struct lnx_incident){ .size = sizeof(*ret) };
	assert_int_equal(f->svc->get(f->self, id, ret), 0);
}

static void one_opened_again_names_the_process_of_now(void **state)
{
	struct lnx_incident inc;
	struct fix f = { .pid = 41 };

	(void)state;
	fix_open(&f);
	FIRES(&f, "noisy-neighbour", 9, 7);
	RESOLVES(&f, "noisy-neighbour", 9, 7);
	(void)testhost_advance(f.t, 62 * SECOND);
	f.pid = 42;
	alert(&f, "noisy-neighbour", 9, 7, LNX_ALERT_FIRING, LNX_SEV_CRITICAL);
	get(&f, &inc);
	assert_int_equal(inc.flaps, 1);
	assert_int_equal(inc.culprit_pid, 42);
	assert_int_equal(inc.culprit_start_ns, 42 * SECOND);
	assert_int_equal(inc.severity, LNX_SEV_CRITICAL);
	fix_close(&f);
}

static void an_alert_older_than_the_close_opens_it_again(void **state)
{
	struct lnx_incident inc;
	struct fix f = { 0 };

	(void)state;
	fix_open(&f);
	FIRES(&f, "noisy-neighbour", 9, 7);
	RESOLVES(&f, "noisy-neighbour", 9, 7);
	(void)testhost_advance(f.t, 62 * SECOND);
	assert_int_equal(testhost_count(f.t, "incident.close"), 1);
	f.ts_ns = testhost_now(f.t) - 5 * SECOND;
	FIRES(&f, "noisy-neighbour", 9, 7);
	assert_int_equal(last(&f, "incident.open")->reason, LNX_INCIDENT_REOPENED);
	get(&f, &inc);
	assert_int_equal(inc.flaps, 1);
	fix_close(&f);
}

static void the_end_of_a_note_ends_no_other_alert(void **state)
{
	const int n = INC_ACTIVE + 2; /* two are only counted */
	struct fix f = { 0 };

	(void)state;
	fix_open(&f);
	for (int i = 0; i < n; i++)
		FIRES(&f, "noisy-neighbour", 9, 10 + (uint64_t)i);
	assert_int_equal(testhost_count(f.t, "incident.open"), 1);
	for (int i = 0; i < 2; i++) {
		alert(&f, "short-lived", 8, 0, LNX_ALERT_FIRING, LNX_SEV_INFO);
		alert(&f, "short-lived", 8, 0, LNX_ALERT_RESOLVED, LNX_SEV_INFO);
	}
	for (int i = 0; i < n; i++) {
		(void)testhost_advance(f.t, 62 * SECOND);
		assert_int_equal(testhost_count(f.t, "incident.close"), 0);
		RESOLVES(&f, "noisy-neighbour", 9, 10 + (uint64_t)i);
	}
	(void)testhost_advance(f.t, 62 * SECOND);
	assert_int_equal(testhost_count(f.t, "incident.close"), 1);
	fix_close(&f);
}

static void notes_open_nothing_and_join_what_is_open(void **state)
{
	struct fix f = { 0 };

	(void)state;
	fix_open(&f);
	alert(&f, "noisy-neighbour", 9, 7, LNX_ALERT_FIRING, LNX_SEV_INFO);
	alert(&f, "circuit-breaker", 0, 0, LNX_ALERT_FIRING, LNX_SEV_INFO);
	assert_int_equal(testhost_count(f.t, "incident.open"), 0);
	FIRES(&f, "noisy-neighbour", 9, 7);
	alert(&f, "circuit-breaker", 0, 0, LNX_ALERT_FIRING, LNX_SEV_INFO);
	assert_int_equal(testhost_count(f.t, "incident.open"), 1);
	/* a critical breaker makes the contention critical, and is no incident of its own */
	alert(&f, "circuit-breaker", 0, 0, LNX_ALERT_FIRING, LNX_SEV_CRITICAL);
	assert_int_equal(testhost_count(f.t, "incident.open"), 1);
	assert_int_equal(last(&f, "incident.update")->severity, LNX_SEV_CRITICAL);
	assert_string_equal(str(last(&f, "incident.update"), last(&f, "incident.update")->title),
			    "media/batch makes prod/shop wait for cpu");
	/* without one it is */
	RESOLVES(&f, "noisy-neighbour", 9, 7);
	RESOLVES(&f, "circuit-breaker", 0, 0);
	(void)testhost_advance(f.t, 61 * SECOND);
	assert_int_equal(testhost_count(f.t, "incident.close"), 1);
	FIRES(&f, "circuit-breaker", 0, 0);
	assert_int_equal(testhost_count(f.t, "incident.open"), 2);
	fix_close(&f);
}

static void a_rise_while_firing_is_one_alert(void **state)
{
	struct fix f = { 0 };

	(void)state;
	fix_open(&f);
	FIRES(&f, "fork-storm", 9, 0);
	alert(&f, "fork-storm", 9, 0, LNX_ALERT_FIRING, LNX_SEV_CRITICAL);
	assert_int_equal(last(&f, "incident.update")->n_alerts, 1);
	assert_int_equal(last(&f, "incident.update")->reason, LNX_INCIDENT_SEVERITY);
	RESOLVES(&f, "fork-storm", 9, 0);
	(void)testhost_advance(f.t, 61 * SECOND);
	assert_int_equal(testhost_count(f.t, "incident.close"), 1);
	fix_close(&f);
}

static json_t *doc_of(struct fix *f)
{
	json_t *root;

	for (int i = 0; i < f->shelf.n; i++)
		if (f->shelf.recs[i].r.kind == LNX_STORE_INCIDENT) {
			root = json_loads(f->shelf.recs[i].doc, 0, NULL);
			assert_non_null(root);
			return root;
		}
	fail();
	return NULL;
}

static void evidence_covers_the_minute_before(void **state)
{
	struct lnx_ev_psi_sample p = { .h = { sizeof(p), LNX_EV_PSI_SAMPLE, sizeof(p), 0, 0, 0 } };
	struct fix f = { 0 };
	const json_t *e, *fact;
	json_t *root;
	size_t i, k;
	int seen = 0;

	(void)state;
	fix_open(&f);
	for (i = 0; i < 100; i++) {
		(void)testhost_advance(f.t, SECOND);
		p.cpu_some.pct = i < 90 ? 10 : 50;
		(void)testhost_deliver(f.t, &p.h);
	}
	FIRES(&f, "noisy-neighbour", 9, 7);
	root = doc_of(&f);
	json_array_foreach(json_object_get(root, "evidence"), i, e)
	{
		char id[32];

		(void)snprintf(id, sizeof(id), "E%zu", i + 1);
		assert_string_equal(json_string_value(json_object_get(e, "id")), id);
		assert_int_equal(
			strncmp(json_string_value(json_object_get(e, "query")), "GET /", 5), 0);
		json_array_foreach(json_object_get(e, "facts"), k, fact)
		{
			const char *name = json_string_value(json_object_get(fact, "name"));
			double v = json_number_value(json_object_get(fact, "value"));

			seen += !strcmp(name, "cpu_some_max_pct") && v == 50;
			seen += !strcmp(name, "cpu_some_mean_pct") && v == 16.6;
			seen += !strcmp(name, "samples") && v == 61;
			seen += !strcmp(name, "covers_s") && v == 60;
			seen += !strcmp(name, "forks_10s") && v == 404;
			seen += !strcmp(name, "value") && v == 332;
			seen += !strcmp(name, "cpu_request_cores") && v == 0.25;
			seen += !strcmp(name, "memory_request_bytes") && v == 4096;
			seen += !strcmp(name, "events_lost_since_start") && v == 12;
		}
	}
	assert_int_equal(seen, 9);
	json_decref(root);
	fix_close(&f);
}

/* The limits of culprit and victim: what v1 files say, where v2 has no memory controller. */
static void put_v1(const char *root, const char *name, const char *text)
{
	char path[128];
	FILE *out;

	(void)snprintf(path, sizeof(path), "%s/x/%s", root, name);
	out = fopen(path, "w");
	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

static void memory_limits_of_v1_are_evidence(void **state)
{
	static const struct {
		const char *limit, *say;
	} cases[] = { { "536870912\n", ", a memory limit of 536870912 bytes" },
		      { "9223372036854771712\n", ", no memory limit" } };
	char root[] = "/tmp/lnx-incident-XXXXXX", path[128];

	(void)state;
	assert_non_null(mkdtemp(root));
	(void)snprintf(path, sizeof(path), "%s/x", root);
	assert_int_equal(mkdir(path, 0700), 0);
	put_v1(root, "memory.usage_in_bytes", "4096\n");
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fix f = { 0 };
		struct incidents *s;
		char *text;
		json_t *doc;

		put_v1(root, "memory.limit_in_bytes", cases[i].limit);
		fix_open(&f);
		s = testhost_state(f.t);
		(void)snprintf(s->memory_root, sizeof(s->memory_root), "%s", root);
		(void)snprintf(s->cgroup_root, sizeof(s->cgroup_root), "/nowhere");
		FIRES(&f, "noisy-neighbour", 9, 7);
		doc = doc_of(&f);
		text = json_dumps(doc, JSON_COMPACT);
		assert_non_null(text);
		if (!strstr(text, cases[i].say) ||
		    !strstr(text, "{\"name\":\"memory_used_bytes\",\"value\":4096"))
			fail_msg("%s", text);
		free(text);
		json_decref(doc);
		fix_close(&f);
	}
	(void)snprintf(path, sizeof(path), "%s/x/memory.limit_in_bytes", root);
	assert_int_equal(remove(path), 0);
	(void)snprintf(path, sizeof(path), "%s/x/memory.usage_in_bytes", root);
	assert_int_equal(remove(path), 0);
	(void)snprintf(path, sizeof(path), "%s/x", root);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(root), 0);
}

static int count_alert_facts(void *arg, const struct lnx_fact *x)
{
	*(int *)arg += !strcmp(x->topic, "alert") && !strcmp(x->name, "rule") &&
		       !strcmp(x->text, "noisy-neighbour") && x->evidence == 1;
	return 0;
}

static void an_open_incident_outlives_the_agent(void **state)
{
	struct fix f = { 0 };
	json_t *before, *root, *item;
	size_t n_before, i;
	char id[32];
	int n;

	(void)state;
	fix_open(&f);
	FIRES(&f, "noisy-neighbour", 9, 7);
	(void)snprintf(id, sizeof(id), "%s",
		       str(last(&f, "incident.open"), last(&f, "incident.open")->id));
	before = doc_of(&f);
	n_before = json_array_size(json_object_get(before, "evidence"));
	testhost_free(f.t);
	fix_open(&f);
	f.shelf.each_rc = -EAGAIN; /* the file is still being opened */
	(void)testhost_advance(f.t, 2 * SECOND);
	f.shelf.each_rc = 0;
	(void)testhost_advance(f.t, 2 * SECOND);
	/* with its evidence, as facts */
	n = 0;
	assert_true(f.svc->facts(f.self, id, count_alert_facts, &n) > 0);
	assert_int_equal(n, 1);
	FIRES(&f, "noisy-neighbour", 9, 8);
	assert_int_equal(testhost_count(f.t, "incident.open"), 0);
	(void)testhost_advance(f.t, 6 * SECOND); /* what is not urgent is written then */
	root = doc_of(&f);
	assert_int_equal(json_array_size(json_object_get(root, "evidence")), n_before + 1);
	json_array_foreach(json_object_get(before, "evidence"), i, item)
		assert_true(json_equal(item, json_array_get(json_object_get(root, "evidence"), i)));
	json_decref(before);
	json_decref(root);
	RESOLVES(&f, "noisy-neighbour", 9, 8);
	(void)testhost_advance(f.t, 62 * SECOND);
	assert_string_equal(str(last(&f, "incident.close"), last(&f, "incident.close")->id), id);
	assert_int_equal(last(&f, "incident.close")->n_victims, 2);
	testhost_free(f.t);
	/* closed, and the same cause comes back after a restart */
	fix_open(&f);
	(void)testhost_advance(f.t, 2 * SECOND);
	testhost_free(f.t);
	f.t = NULL;
	fix_close(&f);
}

static uint32_t n_items(const json_t *root, const char *topic)
{
	const json_t *e;
	uint32_t n = 0;
	size_t i;

	json_array_foreach(json_object_get(root, "evidence"), i, e) n +=
		!strcmp(json_string_value(json_object_get(e, "topic")), topic);
	return n;
}

/* A hog of more victims than there are items, and a note that comes again and again. */
static void what_came_of_it_has_room_whatever_came_before(void **state)
{
	const uint64_t n_victims = EV_ITEMS + 6;
	struct lnx_fact fact = { .size = sizeof(fact), .topic = "t", .subject = "s", .name = "n" };
	struct fix f = { 0 };
	json_t *root;
	char id[32];

	(void)state;
	fix_open(&f);
	for (int flap = 0; flap < 6; flap++) {
		for (uint64_t i = 0; i < n_victims; i++)
			FIRES(&f, "noisy-neighbour", 9, 10 + i);
		for (int i = 0; i < 3; i++) {
			alert(&f, "short-lived", 9, 0, LNX_ALERT_FIRING, LNX_SEV_INFO);
			alert(&f, "short-lived", 9, 0, LNX_ALERT_RESOLVED, LNX_SEV_INFO);
		}
		if (!flap) {
			(void)snprintf(
				id, sizeof(id), "%s",
				str(last(&f, "incident.open"), last(&f, "incident.open")->id));
			fact.unit = "";
			while (f.svc->add_evidence(f.self, id, &fact, 1, "one", "GET /") > 0)
				;
			fact.topic = "outcome";
			assert_true(f.svc->add_evidence(f.self, id, &fact, 1, "helped", "GET /") >
				    0);
		}
		for (uint64_t i = 0; i < n_victims; i++)
			RESOLVES(&f, "noisy-neighbour", 9, 10 + i);
		(void)testhost_advance(f.t, 62 * SECOND);
		assert_int_equal(testhost_count(f.t, "incident.close"), flap + 1);
	}
	root = doc_of(&f);
	assert_int_equal(n_items(root, "alert"), EV_ALERTS);
	assert_int_equal(n_items(root, "outcome"), 1);
	assert_int_equal(n_items(root, "course"), 1);
	assert_true(json_integer_value(json_object_get(root, "evidence_left_out")) > 0);
	json_decref(root);
	fix_close(&f);
}

static void a_note_is_evidence_once(void **state)
{
	struct fix f = { 0 };
	json_t *root;

	(void)state;
	fix_open(&f);
	FIRES(&f, "noisy-neighbour", 9, 7);
	for (int i = 0; i < 3; i++) {
		alert(&f, "short-lived", 9, 0, LNX_ALERT_FIRING, LNX_SEV_INFO);
		alert(&f, "short-lived", 9, 0, LNX_ALERT_RESOLVED, LNX_SEV_INFO);
	}
	(void)testhost_advance(f.t, 6 * SECOND);
	root = doc_of(&f);
	assert_int_equal(n_items(root, "alert"), 2);
	json_decref(root);
	fix_close(&f);
}

static void explanations_are_checked_and_kept(void **state)
{
	struct lnx_incident inc = { .size = sizeof(inc) };
	struct fix f = { 0 };
	char id[32];

	(void)state;
	fix_open(&f);
	FIRES(&f, "noisy-neighbour", 9, 7);
	(void)snprintf(id, sizeof(id), "%s",
		       str(last(&f, "incident.open"), last(&f, "incident.open")->id));
	assert_int_equal(f.svc->explain(f.self, "nobody", "{}"), -ENOENT);
	assert_int_equal(f.svc->explain(f.self, id, "{\"summary\":1}"), -EINVAL);
	assert_int_equal(f.svc->explain(f.self, id, "nonsense"), -EINVAL);
	assert_int_equal(f.svc->explain(f.self, id, "{\"summary\":\"so\",\"text\":\"so it is\"}"),
			 0);
	assert_int_equal(last(&f, "incident.update")->reason, LNX_INCIDENT_EXPLANATION);
	assert_string_equal(
		str(last(&f, "incident.update"), last(&f, "incident.update")->explanation), "so");
	assert_int_equal(f.svc->get(f.self, id, &inc), 0);
	assert_string_equal(inc.culprit, "batch");
	assert_non_null(strstr(inc.explanation, "so it is"));
	fix_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_culprit_with_two_victims_is_one_incident),
		cmocka_unit_test(it_opens_again_within_ten_minutes_and_counts_flaps),
		cmocka_unit_test(one_opened_again_names_the_process_of_now),
		cmocka_unit_test(an_alert_older_than_the_close_opens_it_again),
		cmocka_unit_test(the_end_of_a_note_ends_no_other_alert),
		cmocka_unit_test(notes_open_nothing_and_join_what_is_open),
		cmocka_unit_test(a_rise_while_firing_is_one_alert),
		cmocka_unit_test(evidence_covers_the_minute_before),
		cmocka_unit_test(memory_limits_of_v1_are_evidence),
		cmocka_unit_test(an_open_incident_outlives_the_agent),
		cmocka_unit_test(what_came_of_it_has_room_whatever_came_before),
		cmocka_unit_test(a_note_is_evidence_once),
		cmocka_unit_test(explanations_are_checked_and_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
