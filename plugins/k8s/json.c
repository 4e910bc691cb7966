/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* See json.h. */
#include "json.h"

#include <stdint.h>
#include <string.h>

static void json_bad(struct k8s_json *j)
{
	j->is_bad = true;
	j->at = j->end;
}

/* The next byte that is no white space, or 0. */
static char json_peek(struct k8s_json *j)
{
	while (j->at < j->end &&
	       (*j->at == ' ' || *j->at == '\n' || *j->at == '\t' || *j->at == '\r'))
		j->at++;
	return j->at < j->end ? *j->at : 0;
}

static bool json_string(struct k8s_json *j, struct k8s_text *ret)
{
	const char *p = j->at + 1;

	ret->at = p;
	while (p < j->end && *p != '"')
		p += *p == '\\' && p + 1 < j->end ? 2 : 1;
	if (p >= j->end) {
		json_bad(j);
		return false;
	}
	ret->n = (size_t)(p - ret->at);
	j->at = p + 1;
	return true;
}

/* A number, true, false or null: up to what ends it. */
static struct k8s_text json_word(struct k8s_json *j)
{
	struct k8s_text t = { j->at, 0 };

	while (j->at < j->end && !strchr(",]} \n\t\r:\"[{", *j->at))
		j->at++;
	t.n = (size_t)(j->at - t.at);
	if (!t.n)
		json_bad(j);
	return t;
}

void k8s_json_skip(struct k8s_json *j)
{
	struct k8s_text t;
	size_t depth = 0;
	char c;

	do {
		c = json_peek(j);
		if (c == '"') {
			(void)json_string(j, &t); /* a bad one ends the loop */
		} else if (c == '{' || c == '[') {
			depth++;
			j->at++;
		} else if ((c == '}' || c == ']') && depth) {
			depth--;
			j->at++;
		} else if ((c == ',' || c == ':') && depth) {
			j->at++;
		} else if (c) {
			(void)json_word(j); /* likewise */
		} else {
			json_bad(j);
		}
	} while (depth && !j->is_bad);
}

static bool json_enter(struct k8s_json *j, char open)
{
	if (json_peek(j) != open) {
		k8s_json_skip(j);
		return false;
	}
	j->at++;
	return true;
}

bool k8s_json_object(struct k8s_json *j)
{
	return json_enter(j, '{');
}

bool k8s_json_array(struct k8s_json *j)
{
	return json_enter(j, '[');
}

/* Before the next one: true if there is one. */
static bool json_another(struct k8s_json *j, char close)
{
	char c = json_peek(j);

	if (c == ',') {
		j->at++;
		c = json_peek(j);
	}
	if (c == close) {
		j->at++;
		return false;
	}
	if (!c)
		json_bad(j);
	return !j->is_bad;
}

bool k8s_json_member(struct k8s_json *j, struct k8s_text *ret_key)
{
	if (!json_another(j, '}'))
		return false;
	if (json_peek(j) != '"' || !json_string(j, ret_key) || json_peek(j) != ':') {
		json_bad(j);
		return false;
	}
	j->at++;
	return true;
}

bool k8s_json_element(struct k8s_json *j)
{
	return json_another(j, ']');
}

bool k8s_json_text(struct k8s_json *j, struct k8s_text *ret_text)
{
	if (json_peek(j) == '"')
		return json_string(j, ret_text);
	k8s_json_skip(j);
	return false;
}

void k8s_json_copy(struct k8s_json *j, char *ret, size_t cap)
{
	struct k8s_text t = { "", 0 };
	char c = json_peek(j);

	if (c == '"')
		(void)json_string(j, &t); /* a bad one stays empty */
	else if (c == '-' || (c >= '0' && c <= '9'))
		t = json_word(j);
	else
		k8s_json_skip(j);
	k8s_text_copy(&t, ret, cap);
}

bool k8s_json_true(struct k8s_json *j)
{
	struct k8s_text t;

	if (json_peek(j) != 't') {
		k8s_json_skip(j);
		return false;
	}
	t = json_word(j);
	return t.n == 4 && !memcmp(t.at, "true", 4);
}

/* ---- text */

static int hex4(const char *p, const char *end, uint32_t *ret)
{
	uint32_t v = 0;
	int i;

	if (end - p < 4)
		return -1;
	for (i = 0; i < 4; i++) {
		char c = p[i];

		v <<= 4;
		if (c >= '0' && c <= '9')
			v |= (uint32_t)(c - '0');
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			v |= (uint32_t)((c | 32) - 'a' + 10);
		else
			return -1;
	}
	*ret = v;
	return 0;
}

/* The character after "\u" at *io_p, which moves on. A lone half of a pair is U+FFFD. */
static uint32_t text_unicode(const char **io_p, const char *end)
{
	uint32_t v, low;

	if (hex4(*io_p, end, &v) < 0)
		return 0xfffd;
	*io_p += 4;
	if (v >= 0xd800 && v < 0xdc00) {
		if (end - *io_p < 6 || (*io_p)[0] != '\\' || (*io_p)[1] != 'u' ||
		    hex4(*io_p + 2, end, &low) < 0 || low < 0xdc00 || low > 0xdfff)
			return 0xfffd;
		*io_p += 6;
		return 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00);
	}
	return v >= 0xdc00 && v < 0xe000 ? 0xfffd : v;
}

static size_t utf8_put(uint32_t v, char out[4])
{
	if (v < 0x80) {
		out[0] = (char)(v ? v : '?');
		return 1;
	}
	if (v < 0x800) {
		out[0] = (char)(0xc0 | v >> 6);
		out[1] = (char)(0x80 | (v & 63));
		return 2;
	}
	if (v < 0x10000) {
		out[0] = (char)(0xe0 | v >> 12);
		out[1] = (char)(0x80 | (v >> 6 & 63));
		out[2] = (char)(0x80 | (v & 63));
		return 3;
	}
	out[0] = (char)(0xf0 | v >> 18);
	out[1] = (char)(0x80 | (v >> 12 & 63));
	out[2] = (char)(0x80 | (v >> 6 & 63));
	out[3] = (char)(0x80 | (v & 63));
	return 4;
}

/* One character of a string, decoded; *io_p moves on. Returns its bytes. */
static size_t text_char(const char **io_p, const char *end, char out[4])
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	const char *p = *io_p, *known;

	if (*p != '\\' || p + 1 >= end) {
		out[0] = *p ? *p : '?';
		*io_p = p + 1;
		return 1;
	}
	*io_p = p + 2;
	if (p[1] == 'u')
		return utf8_put(text_unicode(io_p, end), out);
	known = p[1] ? strchr(from, p[1]) : NULL;
	out[0] = known ? to[known - from] : p[1] ? p[1] : '?';
	return 1;
}

void k8s_text_copy(const struct k8s_text *t, char *ret, size_t cap)
{
	const char *p = t->at, *end = t->at + t->n;
	size_t n = 0, k;
	char c[4];

	while (p < end) {
		k = text_char(&p, end, c);
		if (n + k >= cap) {
			/* not in the middle of a character that was written as it is */
			while (n && k == 1 && ((unsigned char)c[0] & 0xc0) == 0x80 &&
			       ((unsigned char)ret[n - 1] & 0x80)) {
				n--;
				if (((unsigned char)ret[n] & 0xc0) == 0xc0)
					break;
			}
			break;
		}
		memcpy(ret + n, c, k);
		n += k;
	}
	ret[n] = 0;
}

bool k8s_text_is(const struct k8s_text *t, const char *word)
{
	char text[128];

	if (!memchr(t->at, '\\', t->n))
		return t->n == strlen(word) && !memcmp(t->at, word, t->n);
	k8s_text_copy(t, text, sizeof(text));
	return !strcmp(text, word);
}
