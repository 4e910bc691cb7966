/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Clicks: who may, and what they lead to. */
#include "test_fixture.h"

/* The example of Slack's documentation. */
static const char example[] =
	"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&"
	"user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2F"
	"commands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121."
	"803a0bc887a14d10d2c447fce8b6703c";
static const char example_hex[] =
	"a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

static void the_example_of_slack(void **state)
{
	unsigned char mac[SLACK_MAC_BYTES];
	char hex[80];

	(void)state;
	slack_mac(SECRET, "1531420618", example, strlen(example), mac);
	for (int i = 0; i < SLACK_MAC_BYTES; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", mac[i]);
	assert_string_equal(hex, example_hex);
}

static void a_click_is_decided_once(void **state)
{
	struct env e;

	(void)state;
	begin(&e, "http.listen=0.0.0.0:3000");
	click(&e, NOW,
	      payload(&e, "approve", NULL,
		      ", \"response_url\":\"https://hooks.slack.com/actions/x\""));
	assert_int_equal(e.status, 200);
	assert_int_equal(strncmp(e.decided, "approve ", 8), 0);
	assert_non_null(strstr(e.decided, "/" ULID));
	assert_string_equal(e.who, "slack U024BE7LH (annuid0x)"); /* no forged audit */
	assert_non_null(strstr(e.answer, "\"text\":\"it is done\""));
	assert_string_equal(e.url, "https://hooks.slack.com/actions/x");
	assert_string_equal(e.posted, e.answer);
	e.decided[0] = 0;
	click(&e, NOW,
	      payload(&e, "approve", NULL,
		      ", \"response_url\":\"https://hooks.slack.com/actions/x\""));
	assert_int_equal(e.status, 403);
	assert_string_equal(e.code, "replay");
	assert_string_equal(e.decided, "");
	e.decide_rc = -EALREADY;
	click(&e, NOW, payload(&e, "reject", NULL, ""));
	assert_int_equal(strncmp(e.decided, "reject ", 7), 0);
	assert_non_null(strstr(e.answer, "it is refused"));
	assert_true(testhost_metric(e.t, "linnix_slack_callbacks_total", "result=replay") == 1);
	end(&e);
}

/* A process can be named so. */
static void names_in_an_answer_make_no_link(void **state)
{
	struct env e;

	(void)state;
	begin(&e, "http.listen=0.0.0.0:3000");
	e.decide_more = ": kill <http://a.io|k> & http://b.io";
	click(&e, NOW, payload(&e, "approve", NULL, ""));
	assert_int_equal(e.status, 200);
	assert_null(strchr(e.answer, '<'));
	assert_non_null(strstr(
		e.answer,
		"false,\"text\":\"it is done: kill &lt;http://a.io|k&gt; &amp; http://b.io\",\"blocks\":[{"));
	assert_non_null(strstr(
		e.answer,
		"{\"type\":\"plain_text\",\"emoji\":false,\"text\":\"it is done: kill &lt;"));
	end(&e);
}

static void one_that_is_good_for_long_is_remembered_for_long(void **state)
{
	struct env e;

	(void)state;
	begin(&e, "http.listen=0.0.0.0:3000");
	click(&e, "1700000300", payload(&e, "approve", NULL, "")); /* a clock that is ahead */
	assert_int_equal(e.status, 200);
	(void)testhost_advance(e.t, 599 * SECOND);
	click(&e, "1700000300", payload(&e, "approve", NULL, ""));
	assert_string_equal(e.code, "replay");
	(void)testhost_advance(e.t, 2 * SECOND);
	click(&e, "1700000300", payload(&e, "approve", NULL, ""));
	assert_string_equal(e.code, "stale");
	end(&e);
}

static void more_than_are_remembered_are_refused(void **state)
{
	char more[32];
	struct env e;

	(void)state;
	begin(&e, "http.listen=0.0.0.0:3000");
	for (int i = 0; i <= SLACK_REPLAYS; i++) {
		(void)snprintf(more, sizeof(more), ",\"n\":%d", i);
		click(&e, NOW, payload(&e, "approve", NULL, more));
		assert_int_equal(e.status, i < SLACK_REPLAYS ? 200 : 429);
	}
	assert_string_equal(e.code, "too_many");
	click(&e, NOW, payload(&e, "approve", NULL, ",\"n\":0"));
	assert_string_equal(e.code, "replay");
	(void)testhost_advance(e.t, 601 * SECOND);
	click(&e, "1700000601", payload(&e, "approve", NULL, more));
	assert_int_equal(e.status, 200);
	end(&e);
}

static void without_enforce_it_says_so(void **state)
{
	struct env e;

	(void)state;
	begin(&e, "http.listen=0.0.0.0:3000");
	e.s->enforce = NULL;
	click(&e, NOW, payload(&e, "approve", NULL, ""));
	assert_int_equal(e.status, 200);
	assert_non_null(strstr(e.answer, "plugin enforce is not enabled"));
	assert_true(testhost_metric(e.t, "linnix_slack_callbacks_total", "result=no_enforce") == 1);
	end(&e);
}

static void what_is_not_slack_is_refused(void **state)
{
	static const char *const stamps[] = { "1699999699", "1700000301", "0", "99999999999" };
	struct env e;
	const char *body;
	char bad[80];

	(void)state;
	begin(&e, "http.listen=0.0.0.0:3000");
	body = payload(&e, "approve", NULL, "");
	for (size_t i = 0; i < sizeof(stamps) / sizeof(stamps[0]); i++) {
		click(&e, stamps[i], body);
		assert_string_equal(e.code, "stale");
	}
	click(&e, "1700000000x", body);
	assert_string_equal(e.code, "no_signature");
	e.signature = NULL;
	e.timestamp = NOW;
	post(&e);
	assert_string_equal(e.code, "no_signature");
	e.signature = "v1=00";
	post(&e);
	assert_string_equal(e.code, "no_signature");
	memset(bad, '0', sizeof(bad));
	memcpy(bad, "v0=", 3);
	bad[67] = 0;
	e.signature = bad;
	post(&e);
	assert_string_equal(e.code, "wrong_signature");
	bad[66] = 'g';
	post(&e);
	assert_string_equal(e.code, "wrong_signature");
	bad[66] = 0;
	post(&e);
	assert_string_equal(e.code, "wrong_signature");
	assert_int_equal(e.status, 403);
	e.tail = "00";
	click(&e, NOW, body);
	assert_string_equal(e.code, "wrong_signature");
	assert_string_equal(e.decided, "");
	end(&e);
}

static void another_node_is_told_where(void **state)
{
	struct env e;

	(void)state;
	begin(&e, "http.listen=0.0.0.0:3000");
	click(&e, NOW, payload(&e, "approve", "other-7.example", ""));
	assert_int_equal(e.status, 200);
	assert_non_null(strstr(e.answer, "wrong node"));
	assert_non_null(strstr(
		e.answer, "on other-7.example run: linnix actions approve other-7.example/" ULID));
	click(&e, NOW, payload(&e, "approve", "testhost2", ""));
	assert_non_null(strstr(e.answer, "wrong node"));
	click(&e, NOW, payload(&e, "reject", "a; rm -rf", ""));
	assert_non_null(strstr(e.answer, "this is no action"));
	assert_string_equal(e.decided, "");
	end(&e);
}

static void bodies_of_any_kind(void **state)
{
	static const char *const bodies[] = {
		"",
		"payload",
		"payload=",
		"payload=%",
		"payload=%zz",
		"payload=nonsense",
		"payload=%5B%5D",
		"payload=%7B%7D",
		"pay=%7B%7D",
		"&&&",
		"payload=%7B%22type%22%3A1%7D",
		"payload=%7B%22type%22%3A%22x%22%2C%22actions%22%3A%5B%7B%22action_id%22%3A%22linnix.approve.0%22%2C"
		"%22value%22%3A%22testhost%2F" ULID "%22%7D%5D%7D",
		"payload=%7B%22type%22%3A%22block_actions%22%2C%22actions%22%3A%5B%5D%7D",
	};
	struct env e;

	(void)state;
	begin(&e, "http.listen=0.0.0.0:3000");
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		click(&e, NOW, bodies[i]);
		assert_int_equal(e.status, 400);
	}
	assert_string_equal(e.decided, "");
	/* the key was taken away */
	put_file(e.key, "");
	click(&e, NOW, payload(&e, "approve", NULL, ""));
	assert_string_equal(e.code, "no_secret");
	assert_int_equal(e.status, 403);
	end(&e);
}

/* Else whoever makes an app could have the agent call any address. */
static void answers_go_to_slack_alone(void **state)
{
	static const struct {
		const char *url;
		int is_sent;
	} rows[] = {
		{ "https://hooks.slack.com/actions/1", 1 },
		{ "https://slack.example:8443/a", 1 },
		{ "https://hooks.slack.com.evil.example/", 0 },
		{ "http://hooks.slack.com/", 0 },
		{ "https://slack.example/a", 0 },
		{ "https://slack.example:8443", 0 },
		{ "http://127.0.0.1:3000/x", 0 },
		{ "https://slack.example:84430/", 0 },
	};
	struct env e;
	char more[128];

	(void)state;
	begin(&e, "http.listen=0.0.0.0:3000");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		e.url[0] = 0;
		(void)snprintf(more, sizeof(more), ",\"response_url\":\"%s\"", rows[i].url);
		click(&e, NOW, payload(&e, "approve", NULL, more));
		assert_int_equal(e.status, 200);
		if ((e.url[0] != 0) != rows[i].is_sent)
			fail_msg("%s", rows[i].url);
		for (unsigned k = 0; k < SLACK_ANSWERS; k++)
			e.s->answers[k].call = NULL;
	}
	for (int i = 0; i <= SLACK_ANSWERS; i++) {
		e.url[0] = 0;
		(void)snprintf(more, sizeof(more),
			       ",\"response_url\":\"https://hooks.slack.com/%d\"", i);
		click(&e, NOW, payload(&e, "reject", NULL, more));
		assert_int_equal(e.url[0] != 0, i < SLACK_ANSWERS);
	}
	assert_true(testhost_metric(e.t, "linnix_slack_callbacks_total", "result=answer_dropped") ==
		    1);
	end(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_of_slack),
		cmocka_unit_test(a_click_is_decided_once),
		cmocka_unit_test(names_in_an_answer_make_no_link),
		cmocka_unit_test(one_that_is_good_for_long_is_remembered_for_long),
		cmocka_unit_test(more_than_are_remembered_are_refused),
		cmocka_unit_test(without_enforce_it_says_so),
		cmocka_unit_test(what_is_not_slack_is_refused),
		cmocka_unit_test(another_node_is_told_where),
		cmocka_unit_test(bodies_of_any_kind),
		cmocka_unit_test(answers_go_to_slack_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
