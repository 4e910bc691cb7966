/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Silences: what one matches, when that is looked at, and who made it. */
#include "test_fixture.h"

static const struct testhost_answer *post(struct fix *f, const char *path, const char *id,
					  const char *body)
{
	char route[64], param[64];
	const char *const params[] = { param, NULL };
	const struct testhost_request request = { .params = id ? params : NULL, .body = body };
	const struct testhost_answer *a;

	(void)snprintf(route, sizeof(route), "POST %s", path);
	(void)snprintf(param, sizeof(param), "id=%s", id ? id : "");
	a = testhost_ask(f->t, route, &request);
	assert_non_null(a);
	return a;
}

static void open_with_api(struct fix *f)
{
	f->has_api = 1;
	fix_open(f);
	(void)testhost_advance(f->t, 2 * SECOND); /* the store is read */
}

static const struct lnx_ev_incident *last_update(struct fix *f, int n)
{
	assert_int_equal(testhost_count(f->t, "incident.update"), n);
	return last(f, "incident.update");
}

static void one_made_and_ended_while_it_is_open_is_told(void **state)
{
	struct fix f = { 0 };
	const struct testhost_answer *a;
	char id[32];
	json_t *root;

	(void)state;
	open_with_api(&f);
	FIRES(&f, "noisy-neighbour", 9, 7);
	assert_false(last(&f, "incident.open")->is_silenced);
	a = post(&f, "/silences", NULL,
		 "{\"match\":\"rule=noisy-*\",\"for\":\"2h\",\"by\":\"ann\"}");
	assert_int_equal(a->status, 201);
	root = json_loads(a->body, 0, NULL);
	(void)snprintf(id, sizeof(id), "%s", json_string_value(json_object_get(root, "id")));
	json_decref(root);
	assert_true(last_update(&f, 1)->is_silenced);
	assert_int_equal(last(&f, "incident.update")->reason, LNX_INCIDENT_SILENCE);
	assert_string_equal(f.shelf.logs[f.shelf.n_logs - 1], "silence");
	assert_non_null(strstr(f.shelf.last_log, "\"by\":\"ann\""));
	assert_non_null(strstr(f.shelf.last_log, "\"peer\":\"uid 0 (unix socket)\""));
	/* the store says so, too: a restart does not tell of it */
	assert_non_null(strstr(f.shelf.recs[0].doc, "\"silenced\":true"));
	/* another that matches nothing changes nothing */
	(void)testhost_advance(f.t, SECOND);
	(void)post(&f, "/silences", NULL, "{\"match\":\"rule=memory-*\",\"for\":\"2h\"}");
	(void)last_update(&f, 1);
	assert_int_equal(post(&f, "/silences/{id}/end", id, "{}")->status, 200);
	assert_false(last_update(&f, 2)->is_silenced);
	assert_string_equal(f.shelf.logs[f.shelf.n_logs - 1], "unsilence");
	assert_non_null(strstr(f.shelf.last_log, "uid 0"));
	assert_int_equal(post(&f, "/silences/{id}/end", id, "{}")->status, 404);
	/* and one ends by itself */
	(void)post(&f, "/silences", NULL, "{\"match\":\"culprit=media/*\",\"for\":\"30s\"}");
	assert_true(last_update(&f, 3)->is_silenced);
	(void)testhost_advance(f.t, 32 * SECOND);
	assert_false(last_update(&f, 4)->is_silenced);
	fix_close(&f);
}

static void what_it_looks_at_is_looked_at_when_it_changes(void **state)
{
	struct fix f = { 0 };

	(void)state;
	open_with_api(&f);
	(void)post(&f, "/silences", NULL, "{\"match\":\"severity=warning\",\"for\":\"2h\"}");
	FIRES(&f, "noisy-neighbour", 9, 7);
	assert_true(last(&f, "incident.open")->is_silenced);
	alert(&f, "circuit-breaker", 0, 0, LNX_ALERT_FIRING, LNX_SEV_CRITICAL);
	assert_int_equal(last_update(&f, 1)->reason, LNX_INCIDENT_SEVERITY);
	assert_false(last(&f, "incident.update")->is_silenced);
	/* a victim that is silenced joins */
	(void)post(&f, "/silences", NULL, "{\"match\":\"victim=*web\",\"for\":\"2h\"}");
	FIRES(&f, "noisy-neighbour", 9, 8);
	(void)testhost_advance(f.t, 6 * SECOND);
	assert_true(last_update(&f, 2)->is_silenced);
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
		cmocka_unit_test(one_made_and_ended_while_it_is_open_is_told),
		cmocka_unit_test(what_it_looks_at_is_looked_at_when_it_changes),
		cmocka_unit_test(matches_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
