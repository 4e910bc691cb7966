/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The pure part: request targets, queries, headers, addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "http_parse.h"
#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static void targets_are_cut_and_decoded(void **state)
{
	char uri[] = "/processes/12%34%2b/?a=1&b", root[] = "/", deep[] = "/1/2/3/4/5/6/7/8";
	struct http_target t;

	(void)state;
	assert_int_equal(http_target_parse(uri, &t), 0);
	assert_int_equal(t.n_segs, 2);
	assert_string_equal(t.segs[0], "processes");
	assert_string_equal(t.segs[1], "124+");
	assert_string_equal(t.query, "a=1&b");
	assert_int_equal(http_target_parse(root, &t), 0);
	assert_int_equal(t.n_segs, 0);
	assert_string_equal(t.query, "");
	assert_int_equal(http_target_parse(deep, &t), 0);
	assert_int_equal(t.n_segs, HTTP_MAX_SEGS);
}

static void odd_targets_are_refused(void **state)
{
	static const struct {
		const char *uri;
		int rc;
	} cases[] = {
		{ "", -EINVAL },	   { "a", -EINVAL },	 { "*", -EINVAL },
		{ "http://h/a", -EINVAL }, { "//a", -EINVAL },	 { "/a//b", -EINVAL },
		{ "/a%2fb", -EINVAL },	   { "/a%", -EINVAL },	 { "/a%4", -EINVAL },
		{ "/a%g0", -EINVAL },	   { "/a%00", -EINVAL }, { "/a%0d%0a", -EINVAL },
		{ "/a#b", -EINVAL },	   { "/a%7f", -EINVAL }, { "/1/2/3/4/5/6/7/8/9", -E2BIG },
	};
	struct http_target t;
	char uri[64];
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(uri, sizeof(uri), "%s", cases[i].uri);
		if (http_target_parse(uri, &t) != cases[i].rc)
			fail_msg("'%s'", cases[i].uri);
	}
}

static void queries_are_cut_and_decoded(void **state)
{
	char q[] = "a=1&&b=x+y%26&c&d=", twice[] = "a=1&b=2&a=3", many[] = "a&b&c", bad[] = "=1",
	     bad2[] = "ab=%f";
	struct http_param p[4];
	const char *name;
	unsigned n = 9;

	(void)state;
	assert_int_equal(http_query_parse(q, p, 4, &n, &name), 0);
	assert_int_equal(n, 4);
	assert_string_equal(p[1].name, "b");
	assert_string_equal(p[1].value, "x y&");
	assert_string_equal(p[2].value, "");
	assert_string_equal(p[3].name, "d");
	assert_int_equal(http_query_parse(twice, p, 4, &n, &name), -EEXIST);
	assert_string_equal(name, "a");
	assert_int_equal(http_query_parse(many, p, 2, &n, &name), -E2BIG);
	assert_int_equal(http_query_parse(bad, p, 4, &n, &name), -EINVAL);
	assert_null(name);
	assert_int_equal(http_query_parse(bad2, p, 4, &n, &name), -EINVAL);
	assert_string_equal(name, "ab");
	assert_int_equal(n, 4); /* not touched by failures */
}

static void paths_fit_patterns_whole(void **state)
{
	struct http_param p[HTTP_MAX_SEGS];
	char names[HTTP_MAX_SEGS][32], uri[] = "/incidents/01X/feedback", root[] = "/";
	struct http_target t;
	unsigned n = 0;

	(void)state;
	assert_int_equal(http_target_parse(uri, &t), 0);
	assert_true(http_path_match("/incidents/{id}/{verb}", &t, p, names, &n));
	assert_int_equal(n, 2);
	assert_string_equal(p[0].name, "id");
	assert_string_equal(p[0].value, "01X");
	assert_string_equal(p[1].value, "feedback");
	assert_false(http_path_match("/incidents/{id}", &t, p, names, &n));
	assert_false(http_path_match("/incidents/{id}/feedback/x", &t, p, names, &n));
	assert_false(http_path_match("/incident/{id}/feedback", &t, p, names, &n));
	assert_false(http_path_match("/", &t, p, names, &n));
	assert_int_equal(http_target_parse(root, &t), 0);
	assert_true(http_path_match("/", &t, p, names, &n));
	assert_int_equal(n, 0);
}

static void tokens_are_compared_whole(void **state)
{
	(void)state;
	assert_true(http_token_equal("abc", 3, "abc", 3));
	assert_false(http_token_equal("abd", 3, "abc", 3));
	assert_false(http_token_equal("abcabc", 6, "abc", 3));
	assert_false(http_token_equal("ab", 2, "abc", 3));
	assert_false(http_token_equal("", 0, "abc", 3));
	assert_false(http_token_equal("", 0, "", 0));
	assert_false(http_token_equal("x", 1, "", 0));
}

static void bearer_and_json_headers(void **state)
{
	const char *token = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(http_bearer_parse("bEARER  abc ", &token, &n), 0);
	assert_int_equal(n, 3);
	assert_memory_equal(token, "abc", 3);
	assert_int_equal(http_bearer_parse("Bearer", &token, &n), -EINVAL);
	assert_int_equal(http_bearer_parse("Bearer ", &token, &n), -EINVAL);
	assert_int_equal(http_bearer_parse("Bearer a b", &token, &n), -EINVAL);
	assert_int_equal(http_bearer_parse("Basic abc", &token, &n), -EINVAL);
	assert_true(http_is_json("application/json"));
	assert_true(http_is_json("application/JSON ; charset=utf-8"));
	assert_false(http_is_json("application/jsonp"));
	assert_false(http_is_json("text/json"));
	assert_false(http_is_json(NULL));
}

static void numbers_are_digits_that_fit(void **state)
{
	uint64_t v = 7;

	(void)state;
	assert_int_equal(http_u64_parse("18446744073709551615", &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(http_u64_parse("18446744073709551616", &v), -ERANGE);
	assert_int_equal(http_u64_parse("", &v), -EINVAL);
	assert_int_equal(http_u64_parse("+1", &v), -EINVAL);
	assert_int_equal(http_u64_parse(" 1", &v), -EINVAL);
	assert_int_equal(http_u64_parse("0x1", &v), -EINVAL);
	assert_true(v == UINT64_MAX);
}

static void origins_must_be_the_host_itself(void **state)
{
	(void)state;
	assert_int_equal(http_origin_check("http://a:1", "A:1", 0), 0);
	assert_int_equal(http_origin_check("https://a", "a", 1), 0);
	assert_int_equal(http_origin_check("http://a", "a", 1), -EACCES);
	assert_int_equal(http_origin_check("http://a.b", "a", 0), -EACCES);
	assert_int_equal(http_origin_check("null", "a", 0), -EACCES);
	assert_int_equal(http_origin_check("http://", "", 0), -EACCES);
	assert_int_equal(http_origin_check("http://a", NULL, 0), -EACCES);
}

static void addresses_are_literal(void **state)
{
	struct sockaddr_storage a;
	socklen_t n;

	(void)state;
	assert_int_equal(http_addr_parse("127.0.0.1:3000", &a, &n), 0);
	assert_int_equal(a.ss_family, AF_INET);
	assert_int_equal(ntohs(((struct sockaddr_in *)&a)->sin_port), 3000);
	assert_true(http_addr_is_loopback(&a));
	assert_int_equal(http_addr_parse("localhost:1", &a, &n), 0);
	assert_true(http_addr_is_loopback(&a));
	assert_int_equal(http_addr_parse("[::1]:1", &a, &n), 0);
	assert_true(http_addr_is_loopback(&a));
	assert_int_equal(http_addr_parse("[::ffff:127.0.0.1]:1", &a, &n), 0);
	assert_true(http_addr_is_loopback(&a));
	assert_int_equal(http_addr_parse("[::ffff:10.0.0.1]:1", &a, &n), 0);
	assert_false(http_addr_is_loopback(&a));
	assert_int_equal(http_addr_parse(":9464", &a, &n), 0);
	assert_int_equal(a.ss_family, AF_INET6);
	assert_false(http_addr_is_loopback(&a));
	assert_int_equal(http_addr_parse("10.0.0.1:1", &a, &n), 0);
	assert_false(http_addr_is_loopback(&a));
	assert_int_equal(http_addr_parse("0.0.0.0:1", &a, &n), 0);
	assert_false(http_addr_is_loopback(&a));
	assert_int_equal(http_addr_parse("1.2.3:1", &a, &n), -EINVAL);
	assert_int_equal(http_addr_parse("name:1", &a, &n), -EINVAL);
	assert_int_equal(http_addr_parse("127.0.0.1:", &a, &n), -EINVAL);
	assert_int_equal(http_addr_parse("[127.0.0.1]:99999", &a, &n), -EINVAL);
}

static void lists_are_walked_word_by_word(void **state)
{
	const char *at = "a,,bc", *word;
	size_t n;

	(void)state;
	assert_true(http_list_next(&at, &word, &n));
	assert_int_equal(n, 1);
	assert_true(http_list_next(&at, &word, &n));
	assert_int_equal(n, 0);
	assert_true(http_list_next(&at, &word, &n));
	assert_int_equal(n, 2);
	assert_false(http_list_next(&at, &word, &n));
	at = NULL;
	assert_false(http_list_next(&at, &word, &n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(targets_are_cut_and_decoded),
		cmocka_unit_test(odd_targets_are_refused),
		cmocka_unit_test(queries_are_cut_and_decoded),
		cmocka_unit_test(paths_fit_patterns_whole),
		cmocka_unit_test(tokens_are_compared_whole),
		cmocka_unit_test(bearer_and_json_headers),
		cmocka_unit_test(numbers_are_digits_that_fit),
		cmocka_unit_test(origins_must_be_the_host_itself),
		cmocka_unit_test(addresses_are_literal),
		cmocka_unit_test(lists_are_walked_word_by_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
