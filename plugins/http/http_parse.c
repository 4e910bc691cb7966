/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Parsing of requests: every byte here comes from a client. */
#include "http_parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int http_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int http_percent_decode(char *s, int is_query)
{
	char *to = s;
	int hi, lo;

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '%') {
			hi = http_hex(s[1]);
			lo = hi < 0 ? -1 : http_hex(s[2]);
			if (lo < 0)
				return -EINVAL;
			c = (unsigned char)(hi << 4 | lo);
			s += 2;
		} else if (c == '+' && is_query) {
			c = ' ';
		}
		if (c < 0x20 || c == 0x7f)
			return -EINVAL;
		*to++ = (char)c;
	}
	*to = 0;
	return 0;
}

int http_target_parse(char *uri, struct http_target *ret)
{
	char *p = uri, *q;

	memset(ret, 0, sizeof(*ret));
	if (*p != '/' || strchr(p, '#'))
		return -EINVAL;
	q = strchr(p, '?');
	ret->query = q ? q + 1 : p + strlen(p);
	if (q)
		*q = 0;
	while (*p == '/') {
		char *next = p + 1 + strcspn(p + 1, "/");
		int is_last = *next == 0;

		*p = 0;
		if (is_last && p + 1 == next) /* "/" alone, or a slash at the end */
			break;
		if (ret->n_segs == HTTP_MAX_SEGS)
			return -E2BIG;
		ret->segs[ret->n_segs++] = p + 1;
		p = next;
	}
	for (unsigned i = 0; i < ret->n_segs; i++) {
		/* an empty segment in the middle, or one that hides a slash, is no path of ours */
		if (!*ret->segs[i] || http_percent_decode(ret->segs[i], 0) < 0 ||
		    strchr(ret->segs[i], '/'))
			return -EINVAL;
	}
	return 0;
}

int http_query_parse(char *query, struct http_param *params, unsigned max, unsigned *ret_n,
		     const char **ret_bad)
{
	char *p = query, *next, *value;
	unsigned n = 0, i;

	*ret_bad = NULL;
	for (; p && *p; p = next) {
		next = strchr(p, '&');
		if (next)
			*next++ = 0;
		if (!*p)
			continue;
		value = strchr(p, '=');
		if (value)
			*value++ = 0;
		else
			value = p + strlen(p);
		if (http_percent_decode(p, 1) < 0 || !*p)
			return -EINVAL;
		*ret_bad = p;
		if (http_percent_decode(value, 1) < 0)
			return -EINVAL;
		for (i = 0; i < n; i++) {
			if (!strcmp(params[i].name, p))
				return -EEXIST;
		}
		if (n == max)
			return -E2BIG;
		params[n].name = p;
		params[n++].value = value;
		*ret_bad = NULL;
	}
	*ret_n = n;
	return 0;
}

int http_path_match(const char *pattern, const struct http_target *t, struct http_param *params,
		    char names[][32], unsigned *ret_n)
{
	unsigned i = 0, n = 0;
	const char *p = pattern;

	while (*p == '/' && p[1]) {
		size_t len = strcspn(++p, "/");

		if (i == t->n_segs)
			return 0;
		if (*p == '{' && len > 2 && len < 34 && p[len - 1] == '}') {
			memcpy(names[n], p + 1, len - 2);
			names[n][len - 2] = 0;
			params[n].name = names[n];
			params[n++].value = t->segs[i];
		} else if (strlen(t->segs[i]) != len || memcmp(t->segs[i], p, len) != 0) {
			return 0;
		}
		p += len;
		i++;
	}
	if (i != t->n_segs)
		return 0;
	*ret_n = n;
	return 1;
}

/* "host[:port]" or "[v6][:port]": the bytes of the host part. 0: malformed. */
static size_t http_host_bytes(const char *s)
{
	size_t n, i;

	if (*s == '[') {
		n = strcspn(s, "]");
		if (!s[n])
			return 0;
		n++;
	} else {
		n = strcspn(s, ":");
	}
	if (s[n] == ':') {
		size_t digits = strspn(s + n + 1, "0123456789");

		if (digits > 5 || s[n + 1 + digits])
			return 0;
	} else if (s[n]) {
		return 0;
	}
	for (i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c <= ' ' || c >= 0x7f || strchr("/\\@,;\"<>?#", c))
			return 0;
	}
	return n;
}

int http_host_check(const char *host, const char *const *allowed)
{
	size_t n = http_host_bytes(host);
	char text[INET6_ADDRSTRLEN + 1];
	unsigned char addr[16];

	if (!n)
		return -EINVAL;
	if (n == strlen("localhost") && !strncasecmp(host, "localhost", n))
		return 0;
	if (host[0] == '[') {
		if (n - 2 > INET6_ADDRSTRLEN)
			return -EINVAL;
		memcpy(text, host + 1, n - 2);
		text[n - 2] = 0;
		return inet_pton(AF_INET6, text, addr) == 1 ? 0 : -EINVAL;
	}
	if (n <= INET_ADDRSTRLEN) {
		memcpy(text, host, n);
		text[n] = 0;
		if (inet_pton(AF_INET, text, addr) == 1)
			return 0;
	}
	for (; allowed && *allowed; allowed++) {
		if (strlen(*allowed) == n && !strncasecmp(*allowed, host, n))
			return 0;
	}
	return -EACCES;
}

int http_origin_check(const char *origin, const char *host, int is_tls)
{
	const char *scheme = is_tls ? "https://" : "http://";
	size_t n = strlen(scheme);

	if (!host || !*host || strncasecmp(origin, scheme, n) != 0)
		return -EACCES;
	return strcasecmp(origin + n, host) ? -EACCES : 0;
}

int http_bearer_parse(const char *header, const char **ret_token, size_t *ret_bytes)
{
	size_t n;

	if (strncasecmp(header, "Bearer ", 7) != 0)
		return -EINVAL;
	header += 7 + strspn(header + 7, " ");
	n = strcspn(header, " \t");
	if (!n || header[n + strspn(header + n, " \t")])
		return -EINVAL;
	*ret_token = header;
	*ret_bytes = n;
	return 0;
}

int http_token_equal(const char *given, size_t n_given, const char *want, size_t n_want)
{
	volatile unsigned char diff = n_given != n_want;
	size_t i;

	if (!n_want)
		return 0;
	for (i = 0; i < n_given; i++)
		diff |= (unsigned char)(given[i] ^ want[i % n_want]);
	return diff == 0;
}

int http_is_json(const char *content_type)
{
	static const char json[] = "application/json";
	size_t n = sizeof(json) - 1;

	if (!content_type || strncasecmp(content_type, json, n) != 0)
		return 0;
	content_type += n + strspn(content_type + n, " \t");
	return *content_type == 0 || *content_type == ';';
}

int http_u64_parse(const char *s, uint64_t *ret_v)
{
	uint64_t v = 0;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		unsigned d = (unsigned)(*s - '0');

		if (*s < '0' || *s > '9')
			return -EINVAL;
		if (v > (UINT64_MAX - d) / 10)
			return -ERANGE;
		v = v * 10 + d;
	}
	*ret_v = v;
	return 0;
}

int http_addr_parse(const char *text, struct sockaddr_storage *ret_addr, socklen_t *ret_bytes)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_addr;
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret_addr;
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN + 1];
	uint64_t port;
	size_t n;

	if (!colon || http_u64_parse(colon + 1, &port) < 0 || port > 65535)
		return -EINVAL;
	n = (size_t)(colon - text);
	if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	} else if (memchr(text, ':', n)) {
		return -EINVAL; /* v6 without brackets: the port cannot be told */
	}
	if (n >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, n);
	host[n] = 0;
	memset(ret_addr, 0, sizeof(*ret_addr));
	if (!n || !strcmp(host, "*")) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		*ret_bytes = sizeof(*v6);
		return 0;
	}
	if (inet_pton(AF_INET, strcmp(host, "localhost") ? host : "127.0.0.1", &v4->sin_addr) ==
	    1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		*ret_bytes = sizeof(*v4);
		return 0;
	}
	if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
		return -EINVAL;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)port);
	*ret_bytes = sizeof(*v6);
	return 0;
}

int http_addr_is_loopback(const struct sockaddr_storage *addr)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)addr;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)addr;

	if (addr->ss_family == AF_INET)
		return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
	if (addr->ss_family != AF_INET6)
		return addr->ss_family == AF_UNIX;
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		return v6->sin6_addr.s6_addr[12] == 127;
	return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

int http_list_next(const char **io_at, const char **ret_word, size_t *ret_bytes)
{
	const char *p = *io_at;

	if (!p || !*p)
		return 0;
	*ret_word = p;
	*ret_bytes = strcspn(p, ",");
	p += *ret_bytes;
	*io_at = *p == ',' ? p + 1 : p;
	return 1;
}
