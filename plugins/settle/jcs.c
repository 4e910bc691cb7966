/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* RFC 8785 without floats: sorted keys, the shortest escapes, nothing between. */
#include "jcs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_MAX  1024 /* of one object */
#define DEPTH_MAX 32

void jcs_string(struct lnx_buf *out, const char *s, size_t n)
{
	static const char hex[] = "0123456789abcdef", named[] = "\b\t\n\f\r\"\\",
			  letter[] = "btnfr\"\\";
	const char *at;
	size_t k;

	lnx_buf_char(out, '"');
	for (size_t i = 0; i < n; i += k ? k : 1) {
		k = lnx_utf8_len((const unsigned char *)s + i, n - i);
		at = s[i] ? strchr(named, s[i]) : NULL;
		if (at) {
			lnx_buf_char(out, '\\');
			lnx_buf_char(out, letter[at - named]);
		} else if ((unsigned char)s[i] < 0x20) {
			lnx_buf_str(out, "\\u00");
			lnx_buf_char(out, hex[s[i] >> 4]);
			lnx_buf_char(out, hex[s[i] & 15]);
		} else if (k) {
			lnx_buf_add(out, s + i, k);
		} else {
			lnx_buf_str(out, "\xef\xbf\xbd");
		}
	}
	lnx_buf_char(out, '"');
}

/* The order of UTF-16 code units: that of UTF-8, but for U+E000 to U+FFFF, which come after what needs surrogates. */
static int compare(const void *a, const void *b)
{
	const unsigned char *x = *(const unsigned char *const *)a;
	const unsigned char *y = *(const unsigned char *const *)b;
	int is_four_x, is_four_y;

	while (*x && *x == *y) {
		x++;
		y++;
	}
	is_four_x = *x >= 0xf0;
	is_four_y = *y >= 0xf0;
	if (is_four_x != is_four_y && (is_four_x ? *y : *x) >= 0xee)
		return is_four_x ? -1 : 1;
	return *x - *y;
}

static int write_value(struct lnx_buf *out, const json_t *v, unsigned depth);

static int write_object(struct lnx_buf *out, const json_t *object, unsigned depth)
{
	size_t n = json_object_size(object), i = 0;
	const char **keys, *key;
	json_t *value;
	int rc = 0;

	if (n > KEYS_MAX)
		return -EINVAL;
	keys = calloc(n + 1, sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	/* only to read: jansson has no constant iterators */
	json_object_foreach((json_t *)(uintptr_t)object, key, value) keys[i++] = key;
	qsort(keys, n, sizeof(*keys), compare);
	lnx_buf_char(out, '{');
	for (i = 0; i < n && !rc; i++) {
		if (i)
			lnx_buf_char(out, ',');
		jcs_string(out, keys[i], strlen(keys[i]));
		lnx_buf_char(out, ':');
		rc = write_value(out, json_object_get(object, keys[i]), depth + 1);
	}
	lnx_buf_char(out, '}');
	free(keys);
	return rc;
}

static int write_array(struct lnx_buf *out, const json_t *array, unsigned depth)
{
	int rc = 0;

	lnx_buf_char(out, '[');
	for (size_t i = 0; i < json_array_size(array) && !rc; i++) {
		if (i)
			lnx_buf_char(out, ',');
		rc = write_value(out, json_array_get(array, i), depth + 1);
	}
	lnx_buf_char(out, ']');
	return rc;
}

static int write_integer(struct lnx_buf *out, json_int_t v)
{
	if (v > JCS_INTEGER_MAX || v < -JCS_INTEGER_MAX)
		return -EINVAL;
	lnx_buf_printf(out, "%lld", (long long)v);
	return 0;
}

static int write_value(struct lnx_buf *out, const json_t *v, unsigned depth)
{
	if (!v || depth > DEPTH_MAX)
		return -EINVAL;
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return write_object(out, v, depth);
	case JSON_ARRAY:
		return write_array(out, v, depth);
	case JSON_STRING:
		jcs_string(out, json_string_value(v), json_string_length(v));
		return 0;
	case JSON_INTEGER:
		return write_integer(out, json_integer_value(v));
	case JSON_REAL:
		return -EINVAL;
	case JSON_TRUE:
		lnx_buf_str(out, "true");
		return 0;
	case JSON_FALSE:
		lnx_buf_str(out, "false");
		return 0;
	case JSON_NULL:
		lnx_buf_str(out, "null");
		return 0;
	}
	return -EINVAL;
}

int jcs_write(struct lnx_buf *out, const json_t *value)
{
	int rc = write_value(out, value, 0);

	return rc ? rc : lnx_buf_error(out);
}

/* Is there a number with a fraction or an exponent anywhere in it? */
static int has_float(const json_t *v, unsigned depth)
{
	const char *key;
	json_t *member;
	size_t i;

	if (depth > DEPTH_MAX || json_is_real(v))
		return 1;
	json_array_foreach(v, i, member) if (has_float(member, depth + 1)) return 1;
	json_object_foreach((json_t *)(uintptr_t)v, key, member) /* only to read */
		if (has_float(member, depth + 1)) return 1;
	return 0;
}

int jcs_read(const char *text, size_t n, size_t max, json_t **ret, char why[JCS_WHY])
{
	json_error_t error;
	json_t *v;

	if (n > max) {
		(void)snprintf(why, JCS_WHY, "%zu bytes, %zu are allowed", n, max); /* fits */
		return -EBADMSG;
	}
	if (memchr(text, 0, n)) {
		(void)snprintf(why, JCS_WHY, "a NUL byte in it"); /* fits */
		return -EBADMSG;
	}
	v = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
	if (!v) {
		(void)snprintf(why, JCS_WHY, "line %d: %.120s", error.line, error.text); /* fits */
		return -EBADMSG;
	}
	if (!json_is_object(v) || has_float(v, 0)) {
		(void)snprintf(why, JCS_WHY, "%s",
			       json_is_object(v) ? "a number that is not whole, or too deep"
						 : "not an object"); /* fits */
		json_decref(v);
		return -EBADMSG;
	}
	*ret = v;
	return 0;
}

int jcs_read_canonical(const char *text, size_t n, size_t max, json_t **ret, char why[JCS_WHY])
{
	struct lnx_buf again = { 0 };
	json_t *v;
	int rc = jcs_read(text, n, max, &v, why);

	if (rc)
		return rc;
	if (jcs_write(&again, v) || again.size != n || memcmp(again.data, text, n) != 0) {
		(void)snprintf(why, JCS_WHY, "not in canonical form (RFC 8785)"); /* fits */
		rc = -EBADMSG;
	}
	lnx_buf_done(&again);
	if (rc)
		json_decref(v);
	else
		*ret = v;
	return rc;
}
