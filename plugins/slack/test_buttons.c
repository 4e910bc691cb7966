/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Buttons only where they may lead to something, and what is told of actions. */
#include "test_fixture.h"

/* <n> incidents; the last is the one that has an action. */
static void render(struct env *e, uint32_t n, struct lnx_notify_post *p)
{
	struct lnx_notice x = { .size = sizeof(x), .is_open = 1, .incident = "I" }, list[2];
	char why[160];

	x.url = "http://a";
	x.title = x.summary = x.text = x.cause = x.resource = x.rule = x.culprit =
		x.culprit_namespace = x.culprit_comm = x.victim = x.victim_namespace = "t";
	x.runbook = x.kept = "";
	list[0] = list[1] = x;
	list[0].incident = n > 1 ? "0" : "I";
	assert_int_equal(e->d.render(e->d.arg, list, n, p, why, sizeof(why)), 0);
	assert_string_equal(p->url.data, "https://slack.example:8443/services/x");
}

static void buttons_only_where_a_click_can_arrive(void **state)
{
	static const struct {
		const char *listen;
		uint32_t state, n;
		int is_shown, has_buttons;
	} rows[] = {
		{ "http.listen=0.0.0.0:3000", LNX_ACTION_PROPOSED, 1, 1, 1 },
		{ "http.listen=10.0.0.1:3000", LNX_ACTION_PROPOSED, 1, 1, 1 },
		{ "http.listen=0.0.0.0:3000", LNX_ACTION_APPLIED, 1, 1, 0 },
		{ "http.listen=127.0.0.1:3000", LNX_ACTION_PROPOSED, 1, 1, 0 },
		{ "http.listen=[::1]:3000", LNX_ACTION_PROPOSED, 1, 1, 0 },
		{ "http.listen=localhost:3000", LNX_ACTION_PROPOSED, 1, 1, 0 },
		{ "http.listen=off", LNX_ACTION_PROPOSED, 1, 1, 0 },
		/* of a digest only what waits */
		{ "http.listen=0.0.0.0:3000", LNX_ACTION_PROPOSED, 2, 1, 1 },
		{ "http.listen=127.0.0.1:3000", LNX_ACTION_PROPOSED, 2, 1, 0 },
		{ "http.listen=0.0.0.0:3000", LNX_ACTION_APPLIED, 2, 0, 0 },
	};
	struct env e;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lnx_notify_post p = { .size = sizeof(p) };

		begin(&e, rows[i].listen);
		e.state = rows[i].state;
		render(&e, rows[i].n, &p);
		if ((strstr(p.body.data, "cpu.max of &lt;batch&gt; to 50 %") != NULL) !=
			    rows[i].is_shown ||
		    (strstr(p.body.data, "\"value\":\"testhost/" ULID "\"") != NULL) !=
			    rows[i].has_buttons ||
		    (strstr(p.body.data, "linnix.approve.0") != NULL) != rows[i].has_buttons)
			fail_msg("row %zu: %s", i, p.body.data);
		assert_int_equal(testhost_route(e.t, "POST /slack/actions") != NULL,
				 strstr(rows[i].listen, "0.0:") || strstr(rows[i].listen, "10."));
		lnx_buf_done(&p.url);
		lnx_buf_done(&p.headers);
		lnx_buf_done(&p.body);
		end(&e);
	}
}

static void no_more_actions_than_fit(void **state)
{
	struct lnx_notify_post p = { .size = sizeof(p) };
	const char *at;
	struct env e;
	int n = 0;

	(void)state;
	begin(&e, "http.listen=0.0.0.0:3000");
	e.n_actions = 2 * SLACK_ACTIONS;
	render(&e, 1, &p);
	for (at = p.body.data; (at = strstr(at, "linnix.approve.")); at++)
		n++;
	assert_int_equal(n, SLACK_ACTIONS);
	assert_non_null(strstr(p.body.data, "and 6 more: `linnix actions`"));
	lnx_buf_done(&p.url);
	lnx_buf_done(&p.headers);
	lnx_buf_done(&p.body);
	end(&e);
}

static void proposals_and_what_becomes_of_them_are_told(void **state)
{
	static const struct {
		uint32_t state, is_told;
	} rows[] = { { LNX_ACTION_PROPOSED, 1 }, { LNX_ACTION_APPLIED, 1 },
		     { LNX_ACTION_REJECTED, 1 }, { LNX_ACTION_UNDONE, 1 },
		     { LNX_ACTION_FAILED, 1 },	 { LNX_ACTION_REFUSED, 0 },
		     { LNX_ACTION_EXPIRED, 0 },	 { LNX_ACTION_DRY_RUN, 0 } };
	union {
		struct lnx_event h;
		struct lnx_ev_action_done a;
		char bytes[512];
	} u = { .h = { .size = sizeof(u.a), .type = LNX_EV_ACTION_DONE, .fixed = sizeof(u.a) } };
	struct env e;

	(void)state;
	begin(&e, "http.listen=0.0.0.0:3000");
	assert_int_equal(testhost_str(&u.h, sizeof(u), &u.a.incident, "I1"), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		u.a.state = rows[i].state;
		e.told[0] = 0;
		assert_int_equal(testhost_deliver(e.t, &u.h), 0);
		assert_string_equal(e.told, rows[i].is_told ? "I1" : "");
	}
	end(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_more_actions_than_fit),
		cmocka_unit_test(buttons_only_where_a_click_can_arrive),
		cmocka_unit_test(proposals_and_what_becomes_of_them_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
