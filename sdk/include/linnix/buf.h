/* SPDX-License-Identifier: MIT */
/* Growable bytes and a JSON writer, shared by core and plugins. Header only.
 *
 * Errors stick: after a failed grow every call is a no-op and lnx_buf_error() is -ENOMEM (or -ENOSPC past the limit),
 * so callers check once, at the end. */
#ifndef LINNIX_BUF_H
#define LINNIX_BUF_H

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lnx_buf {
	char *data; /* NUL terminated when size > 0; owned */
	size_t size, cap;
	size_t max; /* 0: 64 MiB */
	int error;
};

#define LNX_BUF_MAX_DEFAULT (64u << 20)

static inline void lnx_buf_done(struct lnx_buf *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

static inline void lnx_buf_reset(struct lnx_buf *b)
{
	b->size = 0;
	b->error = 0;
	if (b->data)
		b->data[0] = 0;
}

static inline int lnx_buf_error(const struct lnx_buf *b)
{
	return b->error;
}

/* Room for <n> more bytes and a NUL. Returns where to write, or NULL. */
static inline char *lnx_buf_room(struct lnx_buf *b, size_t n)
{
	size_t max = b->max ? b->max : LNX_BUF_MAX_DEFAULT, want, cap;
	char *p;

	if (b->error)
		return NULL;
	if (n >= max || b->size > max - n - 1) {
		b->error = -ENOSPC;
		return NULL;
	}
	want = b->size + n + 1;
	if (want > b->cap) {
		cap = b->cap ? b->cap : 256;
		while (cap < want)
			cap *= 2;
		p = (char *)realloc(b->data, cap);
		if (!p) {
			b->error = -ENOMEM;
			return NULL;
		}
		b->data = p;
		b->cap = cap;
	}
	return b->data + b->size;
}

static inline void lnx_buf_add(struct lnx_buf *b, const void *bytes, size_t n)
{
	char *p = lnx_buf_room(b, n);

	if (!p)
		return;
	if (n)
		memcpy(p, bytes, n);
	b->size += n;
	b->data[b->size] = 0;
}

static inline void lnx_buf_str(struct lnx_buf *b, const char *s)
{
	lnx_buf_add(b, s, strlen(s));
}

static inline void lnx_buf_char(struct lnx_buf *b, char c)
{
	lnx_buf_add(b, &c, 1);
}

__attribute__((format(printf, 2, 3))) static inline void lnx_buf_printf(struct lnx_buf *b,
									const char *fmt, ...)
{
	va_list ap;
	char *p = lnx_buf_room(b, 64);
	size_t space;
	int n;

	if (!p)
		return;
	space = b->cap - b->size;
	va_start(ap, fmt);
	n = vsnprintf(p, space, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n >= space) {
		p = lnx_buf_room(b, (size_t)n);
		if (!p) {
			b->data[b->size] = 0;
			return;
		}
		va_start(ap, fmt);
		(void)vsnprintf(p, (size_t)n + 1, fmt, ap); /* measured above */
		va_end(ap);
	}
	b->size += (size_t)n;
}

static inline void lnx_buf_u64(struct lnx_buf *b, uint64_t v)
{
	char t[20];
	size_t i = sizeof(t);

	do
		t[--i] = (char)('0' + v % 10);
	while ((v /= 10) != 0);
	lnx_buf_add(b, t + i, sizeof(t) - i);
}

/* Bytes of the valid UTF-8 sequence at <s>, at most <n>; 0 if it is not one (overlong and surrogates are not). */
static inline size_t lnx_utf8_len(const unsigned char *s, size_t n)
{
	size_t k, i;
	uint32_t c;

	if (s[0] < 0x80)
		return 1;
	k = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;
	if (!k || k > n || s[0] > 0xf4)
		return 0;
	c = s[0] & (0xffu >> (k + 1));
	for (i = 1; i < k; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if ((k == 3 && (c < 0x800 || (c >= 0xd800 && c <= 0xdfff))) ||
	    (k == 4 && (c < 0x10000 || c > 0x10ffff)))
		return 0;
	return k;
}

/* A JSON string of <n> raw bytes: control characters escaped, invalid UTF-8 becomes U+FFFD. */
static inline void lnx_json_bytes(struct lnx_buf *b, const char *s, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = (const unsigned char *)s;
	size_t i = 0, from = 0, k;
	char u[6] = { '\\', 'u', '0', '0', 0, 0 };

	lnx_buf_char(b, '"');
	while (i < n) {
		if (p[i] >= 0x20 && p[i] < 0x7f && p[i] != '"' && p[i] != '\\') {
			i++;
			continue;
		}
		k = lnx_utf8_len(p + i, n - i);
		/* C1 controls move terminals as ESC does */
		if (k > 1 && !(k == 2 && p[i] == 0xc2 && p[i + 1] < 0xa0)) {
			i += k;
			continue;
		}
		lnx_buf_add(b, s + from, i - from);
		if (k == 0) {
			lnx_buf_add(b, "\xef\xbf\xbd", 3);
			k = 1;
		} else if (p[i] == '"' || p[i] == '\\') {
			u[1] = (char)p[i];
			lnx_buf_add(b, u, 2);
			u[1] = 'u';
		} else if (p[i] == '\n') {
			lnx_buf_add(b, "\\n", 2);
		} else if (p[i] == '\t') {
			lnx_buf_add(b, "\\t", 2);
		} else {
			unsigned c = k == 2 ? p[i + 1] : p[i];

			u[4] = hex[c >> 4];
			u[5] = hex[c & 15];
			lnx_buf_add(b, u, 6);
		}
		i += k;
		from = i;
	}
	lnx_buf_add(b, s + from, n - from);
	lnx_buf_char(b, '"');
}

static inline void lnx_json_str(struct lnx_buf *b, const char *s)
{
	lnx_json_bytes(b, s, strlen(s));
}

/* A number with 9 significant digits (whole ones in full); null when not finite. */
static inline void lnx_json_f64(struct lnx_buf *b, double v)
{
	if (!isfinite(v))
		lnx_buf_add(b, "null", 4);
	else if (v >= 0 && v < 1e15 && v == (double)(uint64_t)v)
		lnx_buf_u64(b, (uint64_t)v);
	else
		lnx_buf_printf(b, "%.9g", v);
}

/* "key": with a comma before it unless it is the first of its object. */
static inline void lnx_json_key(struct lnx_buf *b, const char *key)
{
	if (b->size && b->data[b->size - 1] != '{')
		lnx_buf_char(b, ',');
	lnx_json_str(b, key);
	lnx_buf_char(b, ':');
}

/* A comma unless the array just opened: call before each element. */
static inline void lnx_json_next(struct lnx_buf *b)
{
	if (b->size && b->data[b->size - 1] != '[')
		lnx_buf_char(b, ',');
}

static inline void lnx_json_kv_str(struct lnx_buf *b, const char *key, const char *v)
{
	lnx_json_key(b, key);
	lnx_json_str(b, v);
}

static inline void lnx_json_kv_u64(struct lnx_buf *b, const char *key, uint64_t v)
{
	lnx_json_key(b, key);
	lnx_buf_u64(b, v);
}

static inline void lnx_json_kv_f64(struct lnx_buf *b, const char *key, double v)
{
	lnx_json_key(b, key);
	lnx_json_f64(b, v);
}

static inline void lnx_json_kv_bool(struct lnx_buf *b, const char *key, int v)
{
	lnx_json_key(b, key);
	lnx_buf_str(b, v ? "true" : "false");
}

/* The last <n> decimal digits of <v> at <p>. */
static inline void lnx_buf_digits(char *p, unsigned n, uint64_t v)
{
	while (n--) {
		p[n] = (char)('0' + v % 10);
		v /= 10;
	}
}

/* RFC 3339 in UTC with nanoseconds, in quotes, of a Unix time. */
static inline void lnx_json_ts(struct lnx_buf *b, uint64_t wall_ns)
{
	uint64_t s = wall_ns / 1000000000u, days = s / 86400, sod = s % 86400;
	/* Gregorian date from days since 1970-01-01: H. Hinnant, "chrono-compatible low-level date algorithms" */
	uint64_t z = days + 719468, era = z / 146097, doe = z - era * 146097;
	uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	uint64_t d = doy - (153 * mp + 2) / 5 + 1, m = mp < 10 ? mp + 3 : mp - 9;
	uint64_t y = yoe + era * 400 + (m <= 2);

	char t[32] = "\"0000-00-00T00:00:00.000000000Z\"";

	lnx_buf_digits(t + 1, 4, y);
	lnx_buf_digits(t + 6, 2, m);
	lnx_buf_digits(t + 9, 2, d);
	lnx_buf_digits(t + 12, 2, sod / 3600);
	lnx_buf_digits(t + 15, 2, sod / 60 % 60);
	lnx_buf_digits(t + 18, 2, sod % 60);
	lnx_buf_digits(t + 21, 9, wall_ns % 1000000000u);
	lnx_buf_add(b, t, sizeof(t));
}

#endif
