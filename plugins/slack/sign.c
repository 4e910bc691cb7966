/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Slack's signatures, version 0: HMAC-SHA256 over "v0:TIMESTAMP:BODY". One that is right is taken once. */
#include <ctype.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "slack.h"

void slack_mac(const char *secret, const char *timestamp, const char *body, size_t n,
	       unsigned char ret_mac[SLACK_MAC_BYTES])
{
	crypto_auth_hmacsha256_state st;

	(void)crypto_auth_hmacsha256_init(&st, (const unsigned char *)secret,
					  strlen(secret)); /* these return 0 always */
	(void)crypto_auth_hmacsha256_update(&st, (const unsigned char *)"v0:", 3);
	(void)crypto_auth_hmacsha256_update(&st, (const unsigned char *)timestamp,
					    strlen(timestamp));
	(void)crypto_auth_hmacsha256_update(&st, (const unsigned char *)":", 1);
	(void)crypto_auth_hmacsha256_update(&st, (const unsigned char *)body, n);
	(void)crypto_auth_hmacsha256_final(&st, ret_mac);
	sodium_memzero(&st, sizeof(st));
}

/* 0, -EEXIST: it was taken before; -ENOBUFS. */
static int take(struct slack *s, const unsigned char *mac, uint64_t now_s)
{
	unsigned free_at = SLACK_REPLAYS;

	for (unsigned i = 0; i < SLACK_REPLAYS; i++) {
		/* a timestamp may lie ahead by the window, so one is good for twice of it */
		int is_live = s->seen[i].at_s && now_s <= s->seen[i].at_s + 2 * SLACK_WINDOW_S;

		if (is_live && sodium_memcmp(s->seen[i].mac, mac, SLACK_MAC_BYTES) == 0)
			return -EEXIST;
		if (!is_live)
			free_at = i;
	}
	if (free_at == SLACK_REPLAYS)
		return -ENOBUFS;
	memcpy(s->seen[free_at].mac, mac, SLACK_MAC_BYTES);
	s->seen[free_at].at_s = now_s;
	return 0;
}

static int refuse(const char **ret_why, const char *why, int rc)
{
	*ret_why = why;
	return rc;
}

int slack_verify(struct slack *s, const char *secret, const char *timestamp, const char *signature,
		 const char *body, size_t n, const char **ret_why)
{
	uint64_t now_s = s->n.host->wall_ns(s->n.ctx, s->n.host->now_ns(s->n.ctx)) / 1000000000u,
		 at;
	unsigned char mac[SLACK_MAC_BYTES], given[SLACK_MAC_BYTES];
	size_t given_bytes = 0;
	int rc;

	if (!timestamp || !signature || strncmp(signature, "v0=", 3) != 0 || !*timestamp ||
	    strlen(timestamp) > 12 || timestamp[strspn(timestamp, "0123456789")])
		return refuse(ret_why, "no_signature", -EACCES);
	at = strtoull(timestamp, NULL, 10);
	if (at + SLACK_WINDOW_S < now_s || at > now_s + SLACK_WINDOW_S)
		return refuse(ret_why, "stale", -EACCES);
	if (strlen(signature) != 3 + 2 * SLACK_MAC_BYTES ||
	    sodium_hex2bin(given, sizeof(given), signature + 3, 2 * SLACK_MAC_BYTES, NULL,
			   &given_bytes, NULL) != 0 ||
	    given_bytes != SLACK_MAC_BYTES)
		return refuse(ret_why, "wrong_signature", -EACCES);
	slack_mac(secret, timestamp, body, n, mac);
	if (sodium_memcmp(mac, given, SLACK_MAC_BYTES) != 0)
		return refuse(ret_why, "wrong_signature", -EACCES);
	rc = take(s, mac, now_s);
	if (rc)
		return rc == -EEXIST ? refuse(ret_why, "replay", -EACCES)
				     : refuse(ret_why, "too_many", rc);
	return 0;
}

static int hex(char c)
{
	return isdigit((unsigned char)c)    ? c - '0'
	       : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
					    : -1;
}

/* Bytes of <s> up to & or the end. */
static int decode(const char *s, size_t n, struct lnx_buf *out)
{
	for (size_t i = 0; i < n && s[i] != '&'; i++) {
		if (s[i] == '%') {
			int high = i + 2 < n ? hex(s[i + 1]) : -1,
			    low = i + 2 < n ? hex(s[i + 2]) : -1;

			if (high < 0 || low < 0)
				return -EINVAL;
			lnx_buf_char(out, (char)(high << 4 | low));
			i += 2;
		} else {
			lnx_buf_char(out, (char)(s[i] == '+' ? ' ' : s[i]));
		}
	}
	return lnx_buf_error(out);
}

int slack_form(const char *body, size_t n, const char *key, struct lnx_buf *out)
{
	size_t k = strlen(key);
	const char *end = body + n, *next;

	for (const char *at = body; at < end; at = next + 1) {
		next = memchr(at, '&', (size_t)(end - at));
		if (!next)
			next = end;
		if ((size_t)(next - at) > k && !memcmp(at, key, k) && at[k] == '=')
			return decode(at + k + 1, (size_t)(next - at) - k - 1, out);
	}
	return -ENOENT;
}
