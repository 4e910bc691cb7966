/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Alerts: labels without figures, an end, and a change of labels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <linnix/notifier.h>

#include "alertmanager.h"

static const struct lnx_ident ident = {
	.size = sizeof(ident), .schema = 1, .node = "n1", .cluster = ""
};

#define LABELS                                                                                                                  \
	"{\"alertname\":\"noisy-neighbour\",\"severity\":\"warning\",\"node\":\"n1\",\"namespace\":\"prod\",\"pod\":\"api-1\"," \
	"\"workload\":\"api\",\"culprit_namespace\":\"media\",\"culprit_workload\":\"batch\"}"

static struct lnx_notice notice_of(struct lnx_buf *keep)
{
	return (struct lnx_notice){ .size = sizeof(struct lnx_notice),
				    .severity = 1,
				    .is_open = 1,
				    .n_victims = 777,
				    .opened_wall_ns = 1700000000000000000u,
				    .incident = "X",
				    .url = "http://a/incidents/X",
				    .title = "it \"burns\"",
				    .summary = "short",
				    .text = "long",
				    .cause = "contention",
				    .resource = "cpu",
				    .rule = "noisy-neighbour",
				    .runbook = "",
				    .culprit = "batch",
				    .culprit_namespace = "media",
				    .victim = "api",
				    .victim_namespace = "prod",
				    .victim_pod_name = "api-1",
				    .kept = "",
				    .keep = keep };
}

static void one_that_fires_has_no_end(void **state)
{
	struct lnx_buf out = { 0 }, keep = { 0 };
	struct lnx_notice x = notice_of(&keep);

	(void)state;
	am_alert(&ident, &x, 1700000009000000000u, &out);
	assert_string_equal(
		out.data,
		"{\"labels\":" LABELS
		",\"annotations\":{\"summary\":\"it \\\"burns\\\"\",\"description\":\"long\"},"
		"\"startsAt\":\"2023-11-14T22:13:20.000000000Z\",\"generatorURL\":\"http://a/incidents/X\"}");
	assert_string_equal(keep.data, LABELS);
	assert_null(strstr(out.data, "777"));
	lnx_buf_done(&out);
	lnx_buf_done(&keep);
}

static void one_that_is_over_has_its_end(void **state)
{
	struct lnx_buf out = { 0 }, keep = { 0 };
	struct lnx_notice x = notice_of(&keep);

	(void)state;
	x.is_open = 0;
	x.closed_wall_ns = 1700000060000000000u;
	x.kept = LABELS;
	x.runbook = "https://r";
	am_alert(&ident, &x, 1700000099000000000u, &out);
	assert_non_null(strstr(out.data, "\"endsAt\":\"2023-11-14T22:14:20.000000000Z\""));
	assert_non_null(strstr(out.data, "\"runbook_url\":\"https://r\""));
	assert_null(strstr(out.data, "},{\"labels\""));
	lnx_buf_done(&out);
	lnx_buf_done(&keep);
}

/* Else it would stand at Alertmanager as a second alert until its resolve_timeout. */
static void other_labels_end_the_alert_of_before(void **state)
{
	struct lnx_buf out = { 0 }, keep = { 0 };
	struct lnx_notice x = notice_of(&keep);

	(void)state;
	x.kept = LABELS;
	x.severity = 2;
	lnx_buf_char(&out, '[');
	am_alert(&ident, &x, 1700000009000000000u, &out);
	assert_int_equal(strncmp(out.data, "[{\"labels\":" LABELS ",", 11 + strlen(LABELS)), 0);
	assert_non_null(strstr(
		out.data,
		"\"endsAt\":\"2023-11-14T22:13:29.000000000Z\",\"generatorURL\":\"http://a/incidents/X\"},{\"labels\":"));
	assert_non_null(strstr(out.data, "\"severity\":\"critical\""));
	assert_non_null(strstr(keep.data, "critical"));
	lnx_buf_done(&out);
	lnx_buf_done(&keep);
}

static void a_url_that_cannot_be_asked_is_refused(void **state)
{
	static const char *const good[] = { "https://am", "http://127.0.0.1:9093",
					    "https://[::1]:443/x", "https://[::1]",
					    "https://u:p@am:1/a?b=%20#c" };
	static const struct {
		const char *url, *why;
	} bad[] = {
		{ "am:9093", "must be http:// or https://" },
		{ "https://am/ x", "has a character that must be written as %XX" },
		{ "https://am/\nx", "has a character that must be written as %XX" },
		{ "https://am/\xc3\xa9", "has a character that must be written as %XX" },
		{ "https://", "has no host" },
		{ "https:///x", "has no host" },
		{ "https://:9093", "has no host" },
		{ "https://u@/x", "has no host" },
		{ "https://[::1", "has no host" },
		{ "https://[::1]x", "has no host" },
		{ "https://am:90x3/", "has a port that is no number" },
		{ "https://am:900000/", "has a port that is no number" },
		{ "https://[::1]:x", "has a port that is no number" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_null(lnx_notifier_url_fault(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *why = lnx_notifier_url_fault(bad[i].url);

		if (!why || strcmp(why, bad[i].why) != 0)
			fail_msg("%s: %s", bad[i].url, why ? why : "is taken");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_fires_has_no_end),
		cmocka_unit_test(one_that_is_over_has_its_end),
		cmocka_unit_test(a_url_that_cannot_be_asked_is_refused),
		cmocka_unit_test(other_labels_end_the_alert_of_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
