/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The client against servers that misbehave: a thread on a unix socket of its own sends canned bytes. */
#include <errno.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli_server.h"

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"

static int get_code(struct server *s, const char *path, json_t **ret_json)
{
	struct lnx_cli cli = { .url = s->url };
	int code;

	server_start(s);
	code = lnx_client_json(&cli, path, ret_json);
	server_stop(s);
	return code;
}

static void a_chunked_answer_is_joined(void **state)
{
	struct server s = {
		.answers = { HEAD
			     "X-Linnix-Degraded: psi: off\r\nTransfer-Encoding: chunked\r\n\r\n"
			     "5\r\n{\"a\":\r\n3\r\n12}\r\n0\r\n\r\n" }
	};
	json_t *root;

	(void)state;
	assert_int_equal(get_code(&s, "/status", &root), LNX_EXIT_OK);
	assert_int_equal(json_integer_value(json_object_get(root, "a")), 12);
	assert_non_null(strstr(s.requests[0], "GET /status HTTP/1.1"));
	json_decref(root);
}

static void an_error_of_the_api_is_a_failure(void **state)
{
	struct server s = {
		.answers = { "HTTP/1.1 400 Bad Request\r\nContent-Length: 56\r\n\r\n"
			     "{\"error\":{\"code\":\"bad_request\",\"message\":\"unknown 'x'\"}}" }
	};
	json_t *root;

	(void)state;
	assert_int_equal(get_code(&s, "/processes?x=1", &root), LNX_EXIT_FAILURE);
	assert_null(root);
}

static void what_is_not_json_is_a_failure(void **state)
{
	struct server s = { .answers = { HEAD "\r\n<html>hello</html>" } };
	json_t *root;

	(void)state;
	assert_int_equal(get_code(&s, "/status", &root), LNX_EXIT_FAILURE);
	assert_null(root);
}

static void what_is_not_http_is_a_failure(void **state)
{
	struct server s = { .answers = { "220 mail.example.org ESMTP\r\n" } };
	json_t *root;

	(void)state;
	assert_int_equal(get_code(&s, "/status", &root), LNX_EXIT_FAILURE);
}

static void a_redirect_is_not_followed(void **state)
{
	struct server s = {
		.answers = { "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n" }
	};
	json_t *root;

	(void)state;
	assert_int_equal(get_code(&s, "/status", &root), LNX_EXIT_FAILURE);
}

static void an_answer_without_end_is_cut(void **state)
{
	struct server s = { .answers = { HEAD "\r\n[\"" },
			    .filler = LNX_CLIENT_MAX_BYTES + (1u << 20) };
	struct lnx_cli cli = { .url = s.url };
	struct lnx_client *c = NULL;
	struct lnx_reply reply;

	(void)state;
	server_start(&s);
	assert_int_equal(lnx_client_new(&cli, &c), 0);
	assert_int_equal(lnx_client_get(c, "/processes", &reply), -EFBIG);
	lnx_client_free(c);
	server_stop(&s);
}

static void nobody_there_is_code_3(void **state)
{
	struct lnx_cli cli = { .url = "unix:/nonexistent/linnix.sock" };
	json_t *root;

	(void)state;
	assert_int_equal(lnx_client_json(&cli, "/status", &root), LNX_EXIT_UNREACHABLE);
	assert_null(root);
}

static void a_bad_url_is_usage(void **state)
{
	static const char *const urls[] = { "ftp://x", "localhost:3000", "unix:relative", "",
					    "file:///etc/passwd" };
	json_t *root;

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct lnx_cli cli = { .url = urls[i] };

		assert_int_equal(lnx_client_json(&cli, "/status", &root), LNX_EXIT_USAGE);
	}
}

struct collected {
	char text[256];
	size_t n;
};

static int collect(void *arg, const char *bytes, size_t n)
{
	struct collected *c = arg;

	assert_true(c->n + n < sizeof(c->text));
	memcpy(c->text + c->n, bytes, n);
	c->n += n;
	return strstr(c->text, "stop") != NULL;
}

static void a_stream_tells_its_last_id_again(void **state)
{
	struct server s = { .answers = { HEAD "\r\ndata: 1\n\n", HEAD "\r\ndata: stop\n\n",
					 "HTTP/1.1 503 Full\r\n\r\nno" } };
	struct lnx_cli cli = { .url = s.url, .token = NULL };
	struct lnx_client *c = NULL;
	struct collected got = { 0 };
	struct lnx_reply reply;

	(void)state;
	server_start(&s);
	assert_int_equal(lnx_client_new(&cli, &c), 0);
	assert_int_equal(lnx_client_stream(c, "/stream", NULL, collect, &got, &reply), -EPIPE);
	assert_int_equal(lnx_client_stream(c, "/stream", "41", collect, &got, &reply), 0);
	assert_int_equal(lnx_client_stream(c, "/stream", "42", collect, &got, &reply), -EACCES);
	assert_int_equal(reply.status, 503);
	assert_string_equal(reply.body.data, "no");
	lnx_buf_done(&reply.body);
	lnx_client_free(c);
	server_stop(&s);
	assert_null(strstr(s.requests[0], "Last-Event-ID"));
	assert_non_null(strstr(s.requests[1], "Last-Event-ID: 41\r\n"));
	assert_string_equal(got.text, "data: 1\n\ndata: stop\n\n");
}

static void a_token_is_sent_and_a_bad_one_refused(void **state)
{
	struct server s = { .answers = { HEAD "\r\n{}" } };
	struct lnx_cli cli = { .url = s.url, .token_file = s.token_path };
	json_t *root;
	FILE *f;

	(void)state;
	server_start(&s);
	f = fopen(s.token_path, "we");
	assert_non_null(f);
	fputs("secret-1\n", f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(lnx_cli_setup(&cli), 0);
	assert_int_equal(lnx_client_json(&cli, "/status", &root), LNX_EXIT_OK);
	json_decref(root);
	lnx_cli_done(&cli);
	f = fopen(s.token_path, "we");
	assert_non_null(f);
	fputs("one\r\nX-Evil: 1\n", f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(lnx_cli_setup(&cli), -EINVAL);
	assert_null(cli.token);
	server_stop(&s);
	assert_non_null(strstr(s.requests[0], "Authorization: Bearer secret-1\r\n"));
}

static void a_query_is_encoded(void **state)
{
	struct lnx_buf path = { 0 };

	(void)state;
	lnx_buf_str(&path, "/processes");
	lnx_client_query(&path, "comm", "a b&c=d#\n");
	lnx_client_query(&path, "sort", "age:asc");
	assert_string_equal(path.data, "/processes?comm=a%20b%26c%3Dd%23%0A&sort=age:asc");
	lnx_buf_done(&path);
}

/* incidents --offset 5 --fail-on warning: exit code for an empty page and <open> as the answer to what is open. */
static int incidents_code(struct server *s, const char *open)
{
	const struct lnx_verb *verb = lnx_verb_find("incidents");
	char *argv[] = { "--offset", "5", "--fail-on", "warning", NULL };
	struct lnx_cli cli = { .url = s->url };
	struct lnx_cli_args args;
	int code;

	s->answers[0] = HEAD "\r\n[]";
	s->answers[1] = open;
	assert_int_equal(lnx_cli_parse(&cli, verb, 4, argv, &args), 0);
	server_start(s);
	code = lnx_cli_incidents(&cli, &args);
	server_stop(s);
	return code;
}

static void fail_on_asks_for_what_is_open_not_for_the_page(void **state)
{
	struct server s[4] = { 0 };

	(void)state;
	assert_int_equal(
		incidents_code(&s[0], HEAD "\r\n[{\"state\":\"open\",\"severity\":\"critical\"}]"),
		LNX_EXIT_FOUND);
	assert_non_null(strstr(s[0].requests[0], "GET /incidents?offset=5 "));
	assert_non_null(
		strstr(s[0].requests[1], "GET /incidents?state=open&severity=warning&limit=1 "));
	assert_int_equal(incidents_code(&s[1], HEAD "\r\n[]"), LNX_EXIT_OK);
	/* an agent without a store gives all that it has */
	assert_int_equal(incidents_code(&s[2],
					HEAD "\r\n[{\"state\":\"open\",\"severity\":\"info\"},"
					     "{\"state\":\"closed\",\"severity\":\"critical\"}]"),
			 LNX_EXIT_OK);
	assert_int_equal(incidents_code(&s[3], "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"),
			 LNX_EXIT_FAILURE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chunked_answer_is_joined),
		cmocka_unit_test(an_error_of_the_api_is_a_failure),
		cmocka_unit_test(what_is_not_json_is_a_failure),
		cmocka_unit_test(what_is_not_http_is_a_failure),
		cmocka_unit_test(a_redirect_is_not_followed),
		cmocka_unit_test(an_answer_without_end_is_cut),
		cmocka_unit_test(nobody_there_is_code_3),
		cmocka_unit_test(a_bad_url_is_usage),
		cmocka_unit_test(a_stream_tells_its_last_id_again),
		cmocka_unit_test(a_token_is_sent_and_a_bad_one_refused),
		cmocka_unit_test(a_query_is_encoded),
		cmocka_unit_test(fail_on_asks_for_what_is_open_not_for_the_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
