/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The registry of event types: numbers, names, field tables, and the checks and values that come from them. */
#include "event.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LNX_EVENT_TABLES
#include <linnix/builtin.h>
#include <linnix/svc_k8s.h>

#define LNX_BUILTIN_MAX 64 /* built-in type numbers stay below */
#define LNX_MAX_STRINGS 16 /* string fields of one type */

struct lnx_type {
	const struct lnx_event_desc *desc;
	const struct lnx_field *strings[LNX_MAX_STRINGS];
	unsigned n_strings;
};

struct lnx_registry {
	struct lnx_type types[LNX_MAX_TYPES];
	unsigned n_types;
	uint16_t builtin[LNX_BUILTIN_MAX]; /* type number to index + 1 */
	uint16_t runtime[LNX_MAX_TYPES];   /* type number - LNX_EV_PLUGIN_0 to index + 1 */
	unsigned n_runtime;
	struct lnx_event_desc
		owned[LNX_MAX_TYPES]; /* descriptions with the number that was given out */
};

static uint16_t *lnx_registry_slot(struct lnx_registry *r, uint16_t type)
{
	if (type < LNX_BUILTIN_MAX)
		return &r->builtin[type];
	if (type >= LNX_EV_PLUGIN_0 && type - LNX_EV_PLUGIN_0 < LNX_MAX_TYPES)
		return &r->runtime[type - LNX_EV_PLUGIN_0];
	return NULL;
}

int lnx_registry_index(const struct lnx_registry *r, uint16_t type)
{
	unsigned i = 0;

	if (type < LNX_BUILTIN_MAX)
		i = r->builtin[type];
	else if (type >= LNX_EV_PLUGIN_0 && type - LNX_EV_PLUGIN_0 < LNX_MAX_TYPES)
		i = r->runtime[type - LNX_EV_PLUGIN_0];
	return i ? (int)i - 1 : -ENOENT;
}

static bool lnx_name_is_valid(const char *s)
{
	size_t n = s ? strlen(s) : 0;

	if (!n || n > 48)
		return false;
	return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789._") == n;
}

/* Fields lie inside the fixed part and have the size of their type. */
static bool lnx_field_is_valid(const struct lnx_field *f, size_t fixed)
{
	static const uint8_t sizes[] = {
		[LNX_U8] = 1,  [LNX_U16] = 2,  [LNX_U32] = 4,  [LNX_U64] = 8,  [LNX_I32] = 4,
		[LNX_I64] = 8, [LNX_F64] = 8,  [LNX_STR] = 4,  [LNX_JSON] = 4, [LNX_ENUM] = 4,
		[LNX_ID] = 8,  [LNX_BOOL] = 0, [LNX_CHARS] = 0
	};

	if (!lnx_name_is_valid(f->name) || f->type == 0 || f->type >= sizeof(sizes))
		return false;
	if ((size_t)f->offset + f->size > fixed || f->size == 0)
		return false;
	if (f->type == LNX_BOOL)
		return f->size == 1 || f->size == 4;
	if (f->type == LNX_ENUM && !f->names)
		return false;
	return f->type == LNX_CHARS || f->size == sizes[f->type];
}

int lnx_registry_add(struct lnx_registry *r, const struct lnx_event_desc *desc)
{
	struct lnx_type *t = &r->types[r->n_types];
	uint16_t type, *slot;
	unsigned i;

	if (desc->size < sizeof(*desc) || !lnx_name_is_valid(desc->name) ||
	    desc->fixed < sizeof(struct lnx_event) || desc->fixed > LNX_EVENT_MAX)
		return -EINVAL;
	if (lnx_registry_find(r, desc->name))
		return -EEXIST;
	if (r->n_types == LNX_MAX_TYPES)
		return -ENOSPC;
	type = desc->type ? desc->type : (uint16_t)(LNX_EV_PLUGIN_0 + r->n_runtime);
	slot = lnx_registry_slot(r, type);
	if (!slot)
		return -EINVAL;
	if (*slot)
		return -EEXIST;
	memset(t, 0, sizeof(*t));
	for (i = 0; i < desc->n_fields; i++) {
		const struct lnx_field *f = &desc->fields[i];

		if (!lnx_field_is_valid(f, desc->fixed))
			return -EINVAL;
		if (f->type != LNX_STR && f->type != LNX_JSON)
			continue;
		if (t->n_strings == LNX_MAX_STRINGS)
			return -EINVAL;
		t->strings[t->n_strings++] = f;
	}
	if (!desc->type)
		r->n_runtime++;
	r->owned[r->n_types] = *desc;
	r->owned[r->n_types].type = type;
	t->desc = &r->owned[r->n_types];
	*slot = (uint16_t)++r->n_types;
	return type;
}

struct lnx_registry *lnx_registry_new(void)
{
	struct lnx_registry *r = calloc(1, sizeof(*r));
	size_t i;

	if (!r)
		return NULL;
	for (i = 0; i < sizeof(lnx_builtin_events) / sizeof(lnx_builtin_events[0]); i++)
		(void)lnx_registry_add(
			r, &lnx_builtin_events[i]); /* our own tables: tests check each */
	return r;
}

int lnx_registry_add_known(struct lnx_registry *r)
{
	static const struct lnx_event_desc pod = {
		.size = sizeof(pod),
		.fixed = sizeof(struct lnx_ev_k8s_pod),
		.name = "k8s.pod",
		.doc = "what is known of a pod changed",
		.fields = lnx_fields_k8s_pod,
		.n_fields = sizeof(lnx_fields_k8s_pod) / sizeof(lnx_fields_k8s_pod[0]),
	};
	int rc = lnx_registry_add(r, &pod);

	return rc < 0 && rc != -EEXIST ? rc : 0;
}

void lnx_registry_free(struct lnx_registry *r)
{
	free(r);
}

const struct lnx_event_desc *lnx_registry_get(const struct lnx_registry *r, uint16_t type)
{
	int i = lnx_registry_index(r, type);

	return i < 0 ? NULL : r->types[i].desc;
}

const struct lnx_event_desc *lnx_registry_find(const struct lnx_registry *r, const char *name)
{
	unsigned i;

	for (i = 0; i < r->n_types; i++)
		if (!strcmp(r->types[i].desc->name, name))
			return r->types[i].desc;
	return NULL;
}

unsigned lnx_registry_count(const struct lnx_registry *r)
{
	return r->n_types;
}

const struct lnx_event_desc *lnx_registry_at(const struct lnx_registry *r, unsigned index)
{
	return index < r->n_types ? r->types[index].desc : NULL;
}

const char *lnx_registry_suggest(const struct lnx_registry *r, const char *name)
{
	const char *names[LNX_MAX_TYPES + 1];
	unsigned i;

	for (i = 0; i < r->n_types; i++)
		names[i] = r->types[i].desc->name;
	names[i] = NULL;
	return lnx_suggest(name, names);
}

const struct lnx_field *lnx_desc_field(const struct lnx_event_desc *desc, const char *name)
{
	unsigned i;

	for (i = 0; i < desc->n_fields; i++)
		if (!strcmp(desc->fields[i].name, name))
			return &desc->fields[i];
	return NULL;
}

const char *lnx_desc_suggest(const struct lnx_event_desc *desc, const char *name)
{
	const char *names[128];
	unsigned i;

	for (i = 0; i < desc->n_fields && i < 127; i++)
		names[i] = desc->fields[i].name;
	names[i] = NULL;
	return lnx_suggest(name, names);
}

int lnx_event_check(const struct lnx_registry *r, const struct lnx_event *ev, size_t bytes)
{
	const struct lnx_type *t;
	unsigned i;
	int index;

	if (bytes < sizeof(*ev) || ev->size < sizeof(*ev) || ev->size > bytes ||
	    ev->size > LNX_EVENT_MAX)
		return -EINVAL;
	if (ev->fixed < sizeof(*ev) || ev->fixed > ev->size)
		return -EINVAL;
	index = lnx_registry_index(r, ev->type);
	if (index < 0)
		return -EINVAL;
	t = &r->types[index];
	for (i = 0; i < t->n_strings; i++) {
		const struct lnx_field *f = t->strings[i];
		struct lnx_str s;

		if (f->offset + sizeof(s) > ev->fixed)
			continue;
		memcpy(&s, (const char *)ev + f->offset, sizeof(s));
		if (s.len == 0)
			continue;
		if (s.len > LNX_STR_MAX || s.off < ev->fixed || (uint32_t)s.off + s.len > ev->size)
			return -EINVAL;
	}
	return 0;
}
