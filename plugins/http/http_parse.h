/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Parsing of what a client sends, and of the listen address. Pure: no state, no allocation, no host. */
#ifndef HTTP_PARSE_H
#define HTTP_PARSE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define HTTP_MAX_SEGS	8  /* segments of a path */
#define HTTP_MAX_PARAMS 32 /* of one request, path parameters included */

struct http_param {
	const char *name, *value;
};

/* A request target cut in place: decoded segments of the path, and the raw query ("" without one). */
struct http_target {
	char *segs[HTTP_MAX_SEGS];
	unsigned n_segs;
	char *query;
};

/* Decode %XX (and '+' to a space if <is_query>) in place. -EINVAL: bad escape, NUL or control byte. */
int http_percent_decode(char *s, int is_query);
/* Cut <uri>, which must outlive <ret>. -EINVAL: not of the form /a/b?c; -E2BIG: too many segments. */
int http_target_parse(char *uri, struct http_target *ret);
/* Cut <query> in place. -EINVAL: bad escape or empty name; -E2BIG: too many; -EEXIST: one was given twice. On failure
 * *ret_bad is the name at fault, or NULL. */
int http_query_parse(char *query, struct http_param *params, unsigned max, unsigned *ret_n,
		     const char **ret_bad);
/* True if segments <t> fit <pattern> ("/processes/{pid}"). Appends to <params> (room for HTTP_MAX_SEGS more). Names point
 * to the pattern: <ret_names> has room for 32 bytes each. */
int http_path_match(const char *pattern, const struct http_target *t, struct http_param *params,
		    char names[][32], unsigned *ret_n);

/* Host header: "localhost", an IP literal, or a name in <allowed> (NULL at the end), with or without a port. Returns 0,
 * -EINVAL (malformed) or -EACCES (not allowed). */
int http_host_check(const char *host, const char *const *allowed);
/* Origin header against the request's own scheme and Host. Returns 0 or -EACCES. */
int http_origin_check(const char *origin, const char *host, int is_tls);
/* The token of "Bearer TOKEN". -EINVAL: another scheme, or malformed. */
int http_bearer_parse(const char *header, const char **ret_token, size_t *ret_bytes);
/* Compare in a time that depends on <n_given> alone. */
int http_token_equal(const char *given, size_t n_given, const char *want, size_t n_want);
/* True for application/json, with or without parameters. */
int http_is_json(const char *content_type);
/* Decimal digits only. -EINVAL, -ERANGE. */
int http_u64_parse(const char *s, uint64_t *ret_v);
/* "127.0.0.1:3000", "[::1]:3000", "localhost:3000", ":9464" (every address), "*:9464". -EINVAL. */
int http_addr_parse(const char *text, struct sockaddr_storage *ret_addr, socklen_t *ret_bytes);
int http_addr_is_loopback(const struct sockaddr_storage *addr);
/* A comma separated list contains <word>; the words of <list> one by one through *io_at. Returns 0 at the end. */
int http_list_next(const char **io_at, const char **ret_word, size_t *ret_bytes);

#endif
