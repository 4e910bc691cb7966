/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Reading JSON in place, value by value: no tree, no allocation, no recursion. Bytes may be anything. */
#ifndef LNX_K8S_JSON_H
#define LNX_K8S_JSON_H

#include <stdbool.h>
#include <stddef.h>

struct k8s_json {
	const char *at, *end;
	bool is_bad; /* not JSON: every further read gives nothing */
};

/* Bytes of a string between its quotes, escapes as they are. */
struct k8s_text {
	const char *at;
	size_t n;
};

/* Enter the object or array that comes. False: it is something else, which was skipped. */
bool k8s_json_object(struct k8s_json *j);
bool k8s_json_array(struct k8s_json *j);
/* The next member of the object that was entered; its value comes next. False: it is over. */
bool k8s_json_member(struct k8s_json *j, struct k8s_text *ret_key);
/* There is another element. False: the array is over. */
bool k8s_json_element(struct k8s_json *j);
/* A string; false: it is something else, which was skipped. */
bool k8s_json_text(struct k8s_json *j, struct k8s_text *ret_text);
/* A string or a number as it is written, into <ret>, cut to fit; "" for anything else. */
void k8s_json_copy(struct k8s_json *j, char *ret, size_t cap);
bool k8s_json_true(struct k8s_json *j);
void k8s_json_skip(struct k8s_json *j);

bool k8s_text_is(const struct k8s_text *t, const char *word);
/* Decode <t> into <ret>, NUL terminated, cut between characters. U+0000 becomes '?'. */
void k8s_text_copy(const struct k8s_text *t, char *ret, size_t cap);

#endif
