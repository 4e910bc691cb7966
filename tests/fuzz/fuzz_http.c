/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* LINK: plugins/http/http_parse.c */
/* Any bytes as what a client sends: request target, query, Host, Authorization, Origin, numbers, addresses. What is
 * accepted holds no control byte, lies within the input, and is what its form says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../plugins/http/http_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int is_true)
{
	if (!is_true)
		abort();
}

static void check_clean(const char *s, const char *from, size_t size)
{
	check(s >= from && s + strlen(s) <= from + size);
	for (; *s; s++)
		check((unsigned char)*s >= 0x20 && *s != 0x7f);
}

static void fuzz_target(char *text, size_t size)
{
	struct http_param params[HTTP_MAX_PARAMS + HTTP_MAX_SEGS];
	char names[HTTP_MAX_SEGS][32];
	struct http_target t;
	const char *bad = NULL;
	unsigned i, n = 0, n_path = 0;

	if (http_target_parse(text, &t) < 0)
		return;
	check(t.n_segs <= HTTP_MAX_SEGS);
	for (i = 0; i < t.n_segs; i++) {
		check_clean(t.segs[i], text, size);
		check(*t.segs[i] && !strchr(t.segs[i], '/'));
	}
	if (http_path_match("/processes/{pid}", &t, params, names, &n_path))
		check(t.n_segs == 2 && n_path == 1 && params[0].value == t.segs[1]);
	if (http_query_parse(t.query, params, HTTP_MAX_PARAMS, &n, &bad) < 0) {
		check(!bad || (bad >= text && bad <= text + size));
		return;
	}
	check(n <= HTTP_MAX_PARAMS);
	for (i = 0; i < n; i++) {
		check_clean(params[i].name, text, size);
		check_clean(params[i].value, text, size);
		check(*params[i].name != 0);
	}
}

static void fuzz_headers(const char *text, size_t size)
{
	static const char *const allowed[] = { "agent.example", NULL };
	const char *token = NULL, *at = text, *word;
	struct sockaddr_storage addr;
	size_t n = 0, total = 0;
	socklen_t bytes = 0;
	uint64_t v;

	if (http_host_check(text, allowed) == 0)
		check(!strpbrk(text, " \r\n/@\\"));
	if (http_bearer_parse(text, &token, &n) == 0)
		check(n && token >= text && token + n <= text + size && !memchr(token, ' ', n));
	if (http_origin_check(text, "localhost:3000", 0) == 0)
		check(strlen(text) == strlen("http://localhost:3000"));
	(void)http_is_json(text);
	if (http_u64_parse(text, &v) == 0)
		check(strspn(text, "0123456789") == strlen(text));
	if (http_addr_parse(text, &addr, &bytes) == 0) {
		check(bytes && (addr.ss_family == AF_INET || addr.ss_family == AF_INET6));
		(void)http_addr_is_loopback(&addr);
	}
	while (http_list_next(&at, &word, &n))
		total += n + 1;
	check(total <= strlen(text) + 1);
	check(http_token_equal(text, strlen(text), text, strlen(text)) == (*text != 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	fuzz_headers(text, size);
	fuzz_target(text, size);
	free(text);
	return 0;
}
