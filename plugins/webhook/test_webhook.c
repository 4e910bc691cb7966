/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The two bodies, and the signature. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "webhook.h"

static const struct lnx_ident ident = { .size = sizeof(ident),
					.schema = 1,
					.node = "n 1/\"",
					.cluster = "",
					.boot_id = "b",
					.version = "9" };

#define DOC \
	"{\"id\":\"X\",\"title\":\",\\\"evidence\\\":[\",\"evidence\":[{\"id\":\"E1\"}],\"evidence_left_out\":0,\"explanation\":null}"

static struct lnx_notice notice_of(uint32_t what)
{
	return (struct lnx_notice){ .size = sizeof(struct lnx_notice),
				    .what = what,
				    .is_open = what != LNX_NOTICE_CLOSE,
				    .queued_wall_ns = 1700000000000000000u,
				    .closed_wall_ns =
					    what == LNX_NOTICE_CLOSE ? 1700000060000000000u : 0,
				    .incident = "X",
				    .delivery = "X-1",
				    .url = "http://a/incidents/X",
				    .doc = DOC,
				    .doc_bytes = strlen(DOC) };
}

static void a_body_of_linnix(void **state)
{
	struct lnx_notice list[] = { notice_of(LNX_NOTICE_OPEN), notice_of(LNX_NOTICE_UPDATE) };
	struct lnx_buf out = { 0 };

	(void)state;
	webhook_linnix(&ident, list, 1, 1, &out);
	assert_string_equal(
		out.data,
		"{\"schema\":1,\"node\":\"n 1/\\\"\",\"cluster\":\"\",\"boot_id\":\"b\",\"version\":\"9\",\"events\":["
		"{\"type\":\"incident.open\",\"delivery\":\"X-1\",\"url\":\"http://a/incidents/X\",\"incident\":" DOC
		"}]}");
	lnx_buf_reset(&out);
	webhook_linnix(&ident, list, 2, 0, &out);
	assert_null(strstr(out.data, "E1"));
	assert_non_null(
		strstr(out.data, "\"title\":\",\\\"evidence\\\":[\",\"evidence_left_out\":0,"));
	assert_non_null(strstr(out.data, "incident.update"));
	lnx_buf_done(&out);
}

static void a_body_of_cloudevents(void **state)
{
	struct lnx_notice list[] = { notice_of(LNX_NOTICE_CLOSE), notice_of(LNX_NOTICE_OPEN) };
	struct lnx_buf out = { 0 };

	(void)state;
	webhook_cloudevents(&ident, list, 1, 1, &out);
	assert_string_equal(
		out.data,
		"{\"specversion\":\"1.0\",\"id\":\"X-1\",\"source\":\"/linnix/n%201%2F%22\","
		"\"type\":\"dev.linnix.incident.close\",\"subject\":\"X\",\"time\":\"2023-11-14T22:14:20.000000000Z\","
		"\"datacontenttype\":\"application/json\",\"data\":" DOC "}");
	lnx_buf_reset(&out);
	webhook_cloudevents(&ident, list, 2, 0, &out);
	assert_int_equal(strncmp(out.data, "[{\"specversion\"", 15), 0);
	assert_non_null(strstr(out.data, "},{\"specversion\":\"1.0\""));
	assert_non_null(strstr(out.data, "incident.open"));
	assert_int_equal(out.data[out.size - 1], ']');
	lnx_buf_done(&out);
}

/* openssl: printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac key */
static void signed_as_openssl_does(void **state)
{
	char mac[65];

	(void)state;
	webhook_sign("key", 1700000000, "{\"a\":1}", 7, mac);
	assert_string_equal(mac,
			    "a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_of_linnix),
		cmocka_unit_test(a_body_of_cloudevents),
		cmocka_unit_test(signed_as_openssl_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
