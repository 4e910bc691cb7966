/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* See items.h. Depth 1 is inside the outermost object; an item of a list opens at depth 3 (object, array, item). */
#include "items.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX  512
#define KEEP_BYTES 65536u /* of the buffer between objects */

typedef int each_fn(void *arg, uint32_t piece, const char *data, size_t n);

void k8s_items_begin(struct k8s_items *s, bool is_list)
{
	char *data = s->data;
	size_t cap = s->cap;

	memset(s, 0, sizeof(*s));
	s->data = data;
	s->cap = cap;
	s->is_list = is_list;
}

void k8s_items_done(struct k8s_items *s)
{
	free(s->data);
	memset(s, 0, sizeof(*s));
}

void k8s_items_trim(struct k8s_items *s)
{
	if (s->from || s->cap <= KEEP_BYTES)
		return;
	free(s->data);
	s->data = NULL;
	s->cap = 0;
}

/* Hold <n> more bytes of the object. */
static int items_hold(struct k8s_items *s, const char *bytes, size_t n)
{
	size_t cap = s->cap ? s->cap : 16384;
	char *data;

	if (s->is_large || s->n + n > K8S_ITEM_MAX) {
		s->is_large = true;
		return 0;
	}
	while (cap < s->n + n)
		cap *= 2;
	if (cap != s->cap) {
		data = realloc(s->data, cap);
		if (!data)
			return -ENOMEM;
		s->data = data;
		s->cap = cap;
	}
	memcpy(s->data + s->n, bytes, n);
	s->n += n;
	return 0;
}

static bool items_begins(const struct k8s_items *s, char c)
{
	if (!s->is_list)
		return s->depth == 1 && c == '{';
	if (s->depth == 3 && c == '{' && s->is_items)
		return true;
	return s->depth == 2 && c == '{' && !strcmp(s->key, "metadata");
}

static int items_open(struct k8s_items *s, char c)
{
	if (++s->depth > DEPTH_MAX || (s->depth == 1 && (c != '{' || s->is_over)))
		return -EPROTO;
	if (s->is_list && s->depth == 2)
		s->is_items = c == '[' && !strcmp(s->key, "items");
	if (!s->from && items_begins(s, c)) {
		s->from = s->depth;
		s->n = 0;
		s->is_large = false;
	}
	return 0;
}

static int items_close(struct k8s_items *s, each_fn *each, void *arg)
{
	int rc = 0;

	if (!s->depth)
		return -EPROTO;
	if (s->from == s->depth) {
		s->from = 0;
		if (s->is_large)
			rc = each(arg, K8S_PIECE_LARGE, NULL, 0);
		else
			rc = each(arg,
				  s->is_list && s->depth == 2 ? K8S_PIECE_META : K8S_PIECE_ITEM,
				  s->data, s->n);
	}
	s->depth--;
	if (!s->depth && s->is_list)
		s->is_over = true;
	return rc;
}

/* A byte inside of a string; the key of a list's own member is remembered. */
static void items_in_string(struct k8s_items *s, char c)
{
	if (s->is_escape) {
		s->is_escape = false;
	} else if (c == '\\') {
		s->is_escape = true;
	} else if (c == '"') {
		s->is_string = false;
		return;
	}
	if (s->is_key && s->n_key < sizeof(s->key) - 1) {
		s->key[s->n_key++] = c;
		s->key[s->n_key] = 0;
	} else if (s->is_key) {
		s->key[0] = 0; /* too long to be one of ours */
	}
}

static void items_string(struct k8s_items *s)
{
	s->is_string = true;
	if (s->is_list && s->depth == 1 && s->is_key) {
		s->n_key = 0;
		s->key[0] = 0;
	}
}

int k8s_items_feed(struct k8s_items *s, const char *bytes, size_t n, each_fn *each, void *arg)
{
	size_t i, held = 0; /* bytes before <held> are in the buffer, or belong to nothing */
	int rc = 0;

	for (i = 0; i < n && rc >= 0; i++) {
		char c = bytes[i];
		bool was_held = s->from != 0;

		if (s->is_string) {
			items_in_string(s, c);
		} else if (c == '"') {
			if (!s->depth)
				return -EPROTO;
			items_string(s);
		} else if (c == '{' || c == '[') {
			rc = items_open(s, c);
			if (!was_held && s->from)
				held = i;
			s->is_key = s->is_list && s->depth == 1;
		} else if (c == '}' || c == ']') {
			if (s->from == s->depth && s->from)
				rc = items_hold(s, bytes + held, i + 1 - held);
			if (rc >= 0)
				rc = items_close(s, each, arg);
			s->is_key = false;
		} else if (c == ',' && s->depth == 1) {
			s->is_key = s->is_list;
		} else if (c == ':' && s->depth == 1) {
			s->is_key = false;
		} else if (!s->depth && c != ' ' && c != '\n' && c != '\r' && c != '\t') {
			return -EPROTO;
		}
	}
	if (rc >= 0 && s->from)
		rc = items_hold(s, bytes + held, n - held);
	return rc < 0 ? rc : 0;
}
