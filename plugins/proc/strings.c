/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* File names and arguments of processes: equal strings are kept once, all together within a bound. */
#include <stdlib.h>
#include <string.h>

#include "table.h"

static uint32_t string_hash(const char *text, size_t bytes)
{
	uint32_t h = 2166136261u; /* FNV-1a */
	size_t i;

	for (i = 0; i < bytes; i++)
		h = (h ^ (unsigned char)text[i]) * 16777619u;
	return h;
}

struct proc_string *proc_string_get(struct proc_strings *s, const char *text, size_t bytes)
{
	uint32_t h = string_hash(text, bytes);
	struct proc_string **b = &s->bucket[h % 1024], *str;

	if (!bytes)
		return NULL;
	for (str = *b; str; str = str->next)
		if (str->hash == h && str->bytes == bytes && memcmp(str->text, text, bytes) == 0)
			return proc_string_ref(str);
	if (s->bytes + bytes > s->max_bytes) {
		s->refused++;
		return NULL;
	}
	str = malloc(sizeof(*str) + bytes + 1);
	if (!str) {
		s->refused++;
		return NULL;
	}
	str->refs = 1;
	str->hash = h;
	str->bytes = (uint32_t)bytes;
	memcpy(str->text, text, bytes);
	str->text[bytes] = 0;
	str->next = *b;
	*b = str;
	s->bytes += bytes;
	return str;
}

struct proc_string *proc_string_ref(struct proc_string *string)
{
	if (string)
		string->refs++;
	return string;
}

void proc_string_unref(struct proc_strings *s, struct proc_string *string)
{
	struct proc_string **at;

	if (!string || --string->refs)
		return;
	for (at = &s->bucket[string->hash % 1024]; *at != string; at = &(*at)->next)
		continue;
	*at = string->next;
	s->bytes -= string->bytes;
	free(string);
}
