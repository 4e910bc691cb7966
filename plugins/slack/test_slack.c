/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Messages keep to Slack's limits, whatever names and texts hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "slack.h"

static const struct lnx_ident ident = {
	.size = sizeof(ident), .schema = 1, .node = "n1", .cluster = "c", .version = "9"
};

static char big[20000];

static struct lnx_notice notice_of(const char *text)
{
	return (struct lnx_notice){ .size = sizeof(struct lnx_notice),
				    .severity = 2,
				    .is_open = 1,
				    .n_victims = 3,
				    .opened_wall_ns = 1700000000000000000u,
				    .incident = "01HZZZZZZZZZZZZZZZZZZZZZ01",
				    .url = "http://a/incidents/01HZZZZZZZZZZZZZZZZZZZZZ01",
				    .title = text,
				    .summary = text,
				    .text = text,
				    .cause = "contention",
				    .resource = "cpu",
				    .rule = text,
				    .runbook = "https://r",
				    .culprit = text,
				    .culprit_namespace = text,
				    .culprit_comm = text,
				    .victim = text,
				    .victim_namespace = text,
				    .victim_pod_name = text,
				    .kept = "" };
}

/* Longest string of the JSON in <s>; and how often <word> is in it. */
static size_t longest(const char *s)
{
	size_t n = 0, best = 0;

	for (; *s; s++) {
		n = *s == '"' ? 0 : n + 1;
		if (*s == '\\')
			s++;
		if (n > best)
			best = n;
	}
	return best;
}

static unsigned count(const char *s, const char *word)
{
	unsigned n = 0;

	for (; (s = strstr(s, word)); s += strlen(word))
		n++;
	return n;
}

static void names_make_no_markup(void **state)
{
	struct lnx_notice x = notice_of("<!channel> & <http://evil|x> \"q\" \x1b[31m \xff");
	struct lnx_buf out = { 0 };

	(void)state;
	slack_message(&ident, &x, 1, NULL, 0, &out);
	assert_int_equal(lnx_buf_error(&out), 0);
	assert_null(strstr(out.data, "<!channel"));
	assert_null(strstr(out.data, "<http://evil"));
	/* and Slack looks for no links of its own in them */
	assert_int_equal(count(out.data, "\"type\":\"mrkdwn\",\"verbatim\":true,"),
			 count(out.data, "\"mrkdwn\""));
	assert_true(count(out.data, "\"mrkdwn\"") >= 6);
	assert_non_null(strstr(
		out.data, "&lt;!channel&gt; &amp; &lt;http://evil|x&gt; \\\"q\\\" \\u001b[31m ?"));
	assert_non_null(strstr(
		out.data,
		"<http://a/incidents/01HZZZZZZZZZZZZZZZZZZZZZ01|01HZZZZZZZZZZZZZZZZZZZZZ01>"));
	lnx_buf_done(&out);
}

static void long_texts_are_cut_at_a_character(void **state)
{
	static const char *const fills[] = { "x", "&", "\xe2\x82\xac", "\xf0\x9f\x98\x80" };
	struct slack_action actions[SLACK_ACTIONS] = { { .id = "" } };
	struct lnx_buf out = { 0 };
	struct lnx_notice x, list[64];

	(void)state;
	for (unsigned i = 0; i < SLACK_ACTIONS; i++) {
		memset(actions[i].plan, '<', sizeof(actions[i].plan) - 1);
		memset(actions[i].text, '&', sizeof(actions[i].text) - 1);
		actions[i].state = LNX_ACTION_PROPOSED;
		actions[i].has_buttons = 1;
	}
	for (size_t f = 0; f < 4; f++) {
		size_t k = strlen(fills[f]), i;

		for (i = 0; i + k < sizeof(big); i += k)
			memcpy(big + i, fills[f], k);
		big[i] = 0;
		x = notice_of(big);
		slack_message(&ident, &x, 1, actions, SLACK_ACTIONS, &out);
		assert_int_equal(lnx_buf_error(&out), 0);
		assert_true(longest(out.data) <= SLACK_TEXT_BYTES);
		assert_null(strstr(out.data, "\xef\xbf\xbd")); /* nothing was cut in two */
		lnx_buf_reset(&out);
		for (i = 0; i < 64; i++)
			list[i] = x;
		slack_message(&ident, list, 64, actions, SLACK_ACTIONS, &out);
		assert_int_equal(lnx_buf_error(&out), 0);
		assert_true(longest(out.data) <=
			    SLACK_TEXT_BYTES + 64); /* line ends are two bytes here */
		assert_int_equal(count(out.data, "\"type\":\"actions\""), SLACK_ACTIONS);
		assert_true(1 + count(out.data, "\"type\":\"section\"") + SLACK_ACTIONS <=
			    SLACK_BLOCKS);
		assert_int_equal(count(out.data, "|01HZ"), 64);
		lnx_buf_reset(&out);
	}
	lnx_buf_done(&out);
}

static void an_end_is_told_as_one(void **state)
{
	struct lnx_notice x = notice_of("batch");
	struct lnx_buf out = { 0 };

	(void)state;
	x.is_open = 0;
	x.closed_wall_ns = 1700000060000000000u;
	slack_message(&ident, &x, 1, NULL, 0, &out);
	assert_int_equal(strncmp(out.data, "{\"text\":\"[over] batch\"", 22), 0);
	assert_non_null(strstr(out.data, ":white_check_mark: batch"));
	assert_non_null(strstr(out.data, "closed <!date^1700000060^"));
	assert_non_null(strstr(out.data, "and 2 more"));
	lnx_buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_make_no_markup),
		cmocka_unit_test(long_texts_are_cut_at_a_character),
		cmocka_unit_test(an_end_is_told_as_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
