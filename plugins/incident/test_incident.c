/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Alerts become incidents: keys, timings, victims, evidence, the way through the store. The store is a small one in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "testhost.h"
#include <cmocka.h>
#include <errno.h>
#include <linnix/ev_psi.h>
#include <linnix/svc_core.h>
#include <stdlib.h>
#include <string.h>

#include "incident.h"

#define SECOND 1000000000ULL

/* ---- a store in memory */

struct rec {
	char id[64], parent[64], *doc;
	struct lnx_store_record r;
};

struct shelf {
	struct rec recs[64];
	int n, n_logs, each_rc;
	char logs[32][32];
};

static int shelf_put(void *self, const struct lnx_store_record *r)
{
	struct shelf *s = self;
	int i;

	for (i = 0; i < s->n && (s->recs[i].r.kind != r->kind || strcmp(s->recs[i].id, r->id) != 0);
	     i++)
		;
	assert_true(i < 64);
	s->n += i == s->n;
	free(s->recs[i].doc);
	s->recs[i].r = *r;
	(void)snprintf(s->recs[i].id, sizeof(s->recs[i].id), "%s", r->id);
	(void)snprintf(s->recs[i].parent, sizeof(s->recs[i].parent), "%s",
		       r->parent ? r->parent : "");
	s->recs[i].doc = strdup(r->doc);
	assert_int_equal(strlen(r->doc), r->doc_bytes);
	s->recs[i].r.id = s->recs[i].id;
	s->recs[i].r.parent = s->recs[i].parent;
	s->recs[i].r.doc = s->recs[i].doc;
	return 0;
}

static int shelf_each(void *self, const struct lnx_store_query *q,
		      int (*each)(void *arg, const struct lnx_store_record *r), void *arg)
{
	struct shelf *s = self;
	int n = 0;

	for (int i = 0; i < s->n && !s->each_rc; i++)
		if (s->recs[i].r.kind == q->kind && (!q->id || !strcmp(q->id, s->recs[i].id))) {
			n++;
			if (each(arg, &s->recs[i].r))
				break;
		}
	return s->each_rc ? s->each_rc : n;
}

static int shelf_log(void *self, uint64_t ts_ns, const char *subject, const char *what,
		     const char *doc)
{
	struct shelf *s = self;

	assert_true(ts_ns && *subject && doc[0] == '{');
	(void)snprintf(s->logs[s->n_logs++], sizeof(s->logs[0]), "%s", what);
	return 0;
}

static void shelf_ulid(void *self, uint64_t ts_ns, char ret[27])
{
	(void)self;
	(void)snprintf(ret, 27, "%026llu", (unsigned long long)ts_ns);
}

static const struct lnx_svc_store shelf_service = { .size = sizeof(shelf_service),
						    .put = shelf_put,
						    .each = shelf_each,
						    .log = shelf_log,
						    .ulid = shelf_ulid };

/* ---- cgroups 7, 8 (victims) and 9 (culprit) */

static int who_get(void *self, uint64_t id, struct lnx_workload *ret)
{
	static const char *const names[] = { "shop", "web", "batch" };

	(void)self;
	if (id < 7 || id > 9)
		return -ENOENT;
	*ret = (struct lnx_workload){ .size = sizeof(*ret), .cgroup_id = id, .slot_cgroup_id = id };
	ret->path = "/x";
	ret->workload = names[id - 7];
	ret->namespace_ = id == 9 ? "media" : "prod";
	ret->pod_name = ret->qos = ret->container_id = ret->container_name = ret->pod_uid =
		ret->runtime = "";
	ret->cpu_request_millicores = id == 9 ? 250 : 0;
	ret->memory_request_bytes = id == 9 ? 4096 : 0;
	return 0;
}

static int core_status(void *self, struct lnx_buf *out)
{
	(void)self;
	lnx_buf_str(out, "{\"dropped\":{\"kernel\":5,\"queue\":7},\"last_seq\":9}");
	return lnx_buf_error(out);
}

static const struct lnx_svc_core core_service = { .size = sizeof(core_service),
						  .status_json = core_status };

static const struct lnx_svc_workload who_service = { .size = sizeof(who_service), .get = who_get };

struct fix {
	struct testhost *t;
	struct shelf shelf;
	const struct lnx_svc_incident *svc;
	void *self;
	uint32_t pid;	/* of the culprit in alerts to come */
	uint64_t ts_ns; /* when they happened; 0: now */
};

static void fix_open(struct fix *f)
{
	f->t = testhost_new();
	assert_non_null(f->t);
	assert_int_equal(testhost_provide(f->t, "store/1", &shelf_service, &f->shelf), 0);
	assert_int_equal(testhost_provide(f->t, "workload/1", &who_service, NULL), 0);
	assert_int_equal(testhost_provide(f->t, "core/1", &core_service, NULL), 0);
	assert_int_equal(testhost_load(f->t, linnix_plugin_v1()), 0);
	f->svc = testhost_service(f->t, "incident/1", &f->self);
	assert_non_null(f->svc);
}

static void fix_close(struct fix *f)
{
	testhost_free(f->t);
	for (int i = 0; i < f->shelf.n; i++)
		free(f->shelf.recs[i].doc);
}

union alert_event {
	struct lnx_event h;
	struct lnx_ev_alert a;
	char bytes[2048];
};

static void alert(struct fix *f, const char *rule, uint64_t culprit, uint64_t victim,
		  uint32_t state, uint32_t severity)
{
	union alert_event u = { .a = { .severity = severity, .state = state } };

	u.h.size = u.h.fixed = sizeof(u.a);
	u.h.type = LNX_EV_ALERT;
	u.a.subject_kind = culprit ? LNX_SUBJECT_CGROUP : LNX_SUBJECT_NODE;
	u.h.ts_ns = f->ts_ns;
	u.a.subject_cgroup_id = culprit;
	u.a.subject_pid = f->pid;
	u.a.subject_start_ns = f->pid * SECOND;
	u.a.key = culprit * 100 + victim;
	u.a.victim_cgroup_id = victim;
	u.a.value = 332.163411;
	u.a.threshold = 100;
	assert_int_equal(testhost_str(&u.h, sizeof(u), &u.a.rule, rule), 0);
	assert_int_equal(testhost_str(&u.h, sizeof(u), &u.a.say, "it happens"), 0);
	assert_int_equal(testhost_str(&u.h, sizeof(u), &u.a.labels, "{\"blame\":\"cpu\"}"), 0);
	assert_int_equal(testhost_str(&u.h, sizeof(u), &u.a.evidence,
				      "[{\"name\":\"forks_10s\",\"value\":404,\"unit\":\"\"}]"),
			 0);
	if (victim)
		assert_int_equal(
			testhost_str(&u.h, sizeof(u), &u.a.victim, victim == 7 ? "shop" : "web"),
			0);
	assert_int_equal(testhost_deliver(f->t, &u.h), 0);
}

#define FIRES(f, rule, c, v)	alert(f, rule, c, v, LNX_ALERT_FIRING, LNX_SEV_WARNING)
#define RESOLVES(f, rule, c, v) alert(f, rule, c, v, LNX_ALERT_RESOLVED, LNX_SEV_WARNING)

static const struct lnx_ev_incident *last(struct fix *f, const char *type)
{
	const struct lnx_event *ev = testhost_last(f->t, type);

	assert_non_null(ev);
	return (const struct lnx_ev_incident *)ev;
}

static const char *str(const struct lnx_ev_incident *e, struct lnx_str s)
{
	static char text[4][1024];
	static int at;
	char *to = text[at++ & 3];

	(void)snprintf(to, sizeof(text[0]), "%.*s", s.len, (const char *)e + s.off);
	return to;
}

/* ---- tests */

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

static void an_open_incident_outlives_the_agent(void **state)
{
	struct fix f = { 0 };
	char id[32];

	(void)state;
	fix_open(&f);
	FIRES(&f, "noisy-neighbour", 9, 7);
	(void)snprintf(id, sizeof(id), "%s",
		       str(last(&f, "incident.open"), last(&f, "incident.open")->id));
	testhost_free(f.t);
	fix_open(&f);
	f.shelf.each_rc = -EAGAIN; /* the file is still being opened */
	(void)testhost_advance(f.t, 2 * SECOND);
	f.shelf.each_rc = 0;
	(void)testhost_advance(f.t, 2 * SECOND);
	FIRES(&f, "noisy-neighbour", 9, 8);
	assert_int_equal(testhost_count(f.t, "incident.open"), 0);
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

static void the_close_leaves_full_evidence_as_it_is(void **state)
{
	struct lnx_fact fact = { .size = sizeof(fact), .topic = "t", .subject = "s", .name = "n" };
	struct fix f = { 0 };
	const json_t *list, *e;
	json_t *root;
	char id[32];

	(void)state;
	fix_open(&f);
	FIRES(&f, "noisy-neighbour", 9, 7);
	(void)snprintf(id, sizeof(id), "%s",
		       str(last(&f, "incident.open"), last(&f, "incident.open")->id));
	fact.unit = "";
	while (f.svc->add_evidence(f.self, id, &fact, 1, "the last one", "GET /") > 0)
		;
	RESOLVES(&f, "noisy-neighbour", 9, 7);
	(void)testhost_advance(f.t, 62 * SECOND);
	assert_int_equal(testhost_count(f.t, "incident.close"), 1);
	root = doc_of(&f);
	list = json_object_get(root, "evidence");
	assert_int_equal(json_array_size(list), EV_ITEMS);
	e = json_array_get(list, EV_ITEMS - 1);
	assert_string_equal(json_string_value(json_object_get(e, "text")), "the last one");
	assert_int_equal(json_array_size(json_object_get(e, "facts")), 1);
	/* the item of the loop and that of the close */
	assert_int_equal(json_integer_value(json_object_get(root, "evidence_left_out")), 2);
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

static void matches_are_checked(void **state)
{
	static const char *const bad[] = { "", "rule", "rule=", "=x", "who=x", "a=b,rule=x" };
	char error[256];

	(void)state;
	assert_int_equal(silence_parse("rule=noisy-*,culprit=media/*", error, sizeof(error)), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(silence_parse(bad[i], error, sizeof(error)), -EINVAL);
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
		cmocka_unit_test(an_open_incident_outlives_the_agent),
		cmocka_unit_test(the_close_leaves_full_evidence_as_it_is),
		cmocka_unit_test(explanations_are_checked_and_kept),
		cmocka_unit_test(matches_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
