/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The description of event types inside of a recording, and what becomes of an event whose description differs from ours:
 * fields are matched by name, what one side does not know is left out. */
#include "rec_types.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define REC_FIELDS	 1024	    /* of one type */
#define REC_ADOPT_FIELDS 64	    /* of one type that is not known here */
#define REC_ADOPT_BYTES	 (1u << 20) /* of the descriptions of all of those */

uint16_t lnx_rec_get16(const char *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

void lnx_rec_put16(char *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* --- writing ------------------------------------------------------------------------------------ */

static void types_u16(struct lnx_buf *out, size_t v)
{
	uint16_t small = v > UINT16_MAX ? UINT16_MAX : (uint16_t)v;

	lnx_buf_add(out, &small, sizeof(small));
}

static void types_text(struct lnx_buf *out, const char *s)
{
	size_t n = s ? strlen(s) : 0;

	if (n > 255)
		n = 255;
	lnx_buf_char(out, (char)n);
	lnx_buf_add(out, s, n);
}

void lnx_rec_types_put(struct lnx_buf *out, const struct lnx_event_desc *desc)
{
	uint32_t i, k, flags = desc->flags;

	types_u16(out, desc->type);
	types_u16(out, desc->fixed);
	lnx_buf_add(out, &flags, sizeof(flags));
	types_u16(out, desc->n_fields);
	types_text(out, desc->name);
	for (i = 0; i < desc->n_fields; i++) {
		const struct lnx_field *f = &desc->fields[i];

		types_u16(out, f->type);
		types_u16(out, f->offset);
		types_u16(out, f->size);
		types_u16(out, f->flags);
		types_text(out, f->name);
		types_text(out, f->unit);
		for (k = 0; f->names && f->names[k] && k < 255; k++)
			;
		lnx_buf_char(out, (char)k);
		for (k = 0; f->names && f->names[k] && k < 255; k++)
			types_text(out, f->names[k]);
	}
}

/* --- reading ------------------------------------------------------------------------------------ */

struct types_cursor {
	const char *p, *end;
	bool is_bad;
};

static const char *types_take(struct types_cursor *c, size_t n)
{
	const char *p = c->p;

	if (c->is_bad || (size_t)(c->end - c->p) < n) {
		c->is_bad = true;
		return NULL;
	}
	c->p += n;
	return p;
}

static uint16_t types_get16(struct types_cursor *c)
{
	const char *p = types_take(c, 2);

	return p ? lnx_rec_get16(p) : 0;
}

/* A text as a C string in <buf>, cut. */
static void types_get_text(struct types_cursor *c, char *buf, size_t cap)
{
	const char *p = types_take(c, 1);
	size_t n = p ? (unsigned char)*p : 0, keep;

	p = types_take(c, n);
	keep = !p ? 0 : n < cap ? n : cap - 1;
	if (keep)
		memcpy(buf, p, keep);
	buf[keep] = 0;
}

/* A field as it was recorded. */
struct types_field {
	char name[64];
	uint16_t type, offset, size;
	bool is_same_enum;
	struct lnx_rec_copy copy; /* offset, size, type and names are filled in */
};

/* The names of an enum: what they are in <f>; NULL: nothing is known of them here. */
static void types_get_names(struct types_cursor *c, const struct lnx_field *f,
			    struct types_field *ret)
{
	const char *p = types_take(c, 1);
	unsigned n = p ? (unsigned char)*p : 0, i, k, n_ours = 0;
	char name[64];

	ret->is_same_enum = true;
	ret->copy.n_names = (uint8_t)(n < LNX_REC_ENUM ? n : LNX_REC_ENUM);
	for (; f && f->type == LNX_ENUM && f->names[n_ours] && n_ours < 255; n_ours++)
		;
	for (i = 0; i < n && !c->is_bad; i++) {
		types_get_text(c, name, sizeof(name));
		for (k = 0; k < n_ours && strcmp(f->names[k], name) != 0; k++)
			;
		if (i < LNX_REC_ENUM)
			ret->copy.names[i] = (uint8_t)(k < n_ours ? k : 255);
		if (k < n_ours && k != i)
			ret->is_same_enum = false;
		if (k == n_ours && i < n_ours)
			ret->is_same_enum = false; /* the value means something else here */
	}
}

static bool types_is_uint(unsigned type)
{
	return type == LNX_U8 || type == LNX_U16 || type == LNX_U32 || type == LNX_U64 ||
	       type == LNX_BOOL || type == LNX_ID;
}

static bool types_can_copy(const struct lnx_field *to, const struct types_field *from)
{
	if (types_is_uint(to->type) && types_is_uint(from->type))
		return from->size == 1 || from->size == 2 || from->size == 4 || from->size == 8;
	if (to->type != from->type)
		return false;
	if (to->type == LNX_ENUM)
		return from->size == 4 && from->copy.n_names;
	return to->type == LNX_CHARS || to->size == from->size;
}

static bool types_is_same(const struct lnx_field *to, const struct types_field *from)
{
	return to->type == from->type && to->size == from->size && to->offset == from->offset &&
	       from->is_same_enum;
}

/* One field of <type>; counts in *ret_n_same those that lie where ours do. */
static int types_read_field(struct types_cursor *c, struct lnx_rec_type *type,
			    const struct lnx_event_desc *desc, uint16_t fixed, unsigned *io_n_same)
{
	struct types_field f = { .is_same_enum = true };
	const struct lnx_field *to;
	char unit[32];

	f.type = types_get16(c);
	f.offset = types_get16(c);
	f.size = types_get16(c);
	(void)types_get16(c); /* flags: nothing here depends on them */
	types_get_text(c, f.name, sizeof(f.name));
	types_get_text(c, unit, sizeof(unit));
	to = desc ? lnx_desc_field(desc, f.name) : NULL;
	types_get_names(c, to, &f);
	if (c->is_bad || !f.size || (uint32_t)f.offset + f.size > fixed ||
	    f.offset < sizeof(struct lnx_event))
		return -EINVAL;
	if (!to)
		return 0;
	*io_n_same += types_is_same(to, &f);
	if (!types_can_copy(to, &f))
		return 0;
	f.copy.to = to;
	f.copy.offset = f.offset;
	f.copy.size = f.size;
	f.copy.type = (uint8_t)f.type;
	type->copies[type->n_copies++] = f.copy;
	return 0;
}

/* Fields of ours that a recorded event of <fixed> bytes would have to hold. */
static unsigned types_n_needed(const struct lnx_event_desc *desc, uint16_t fixed)
{
	unsigned i, n = 0;

	for (i = 0; i < desc->n_fields; i++)
		n += (uint32_t)desc->fields[i].offset + desc->fields[i].size <= fixed;
	return n;
}

/* --- types that are not known here -------------------------------------------------------------- */

struct lnx_rec_mem {
	struct lnx_rec_mem *next;
	max_align_t bytes[];
};

/* Memory that lives as long as <t>, or NULL; it is bounded. */
static void *types_alloc(struct lnx_rec_types *t, size_t n)
{
	struct lnx_rec_mem *m = NULL;

	if (t->mem_bytes + n <= REC_ADOPT_BYTES)
		m = calloc(1, sizeof(*m) + n);
	if (!m)
		return NULL;
	t->mem_bytes += sizeof(*m) + n;
	m->next = t->mem;
	t->mem = m;
	return m->bytes;
}

static const char *types_keep(struct lnx_rec_types *t, const char *text)
{
	char *kept = types_alloc(t, strlen(text) + 1);

	if (kept)
		memcpy(kept, text, strlen(text) + 1);
	return kept;
}

static const char *types_keep_text(struct lnx_rec_types *t, struct types_cursor *c)
{
	char text[256];
	const char *kept;

	types_get_text(c, text, sizeof(text));
	kept = types_keep(t, text);
	c->is_bad |= !kept;
	return kept;
}

static void types_adopt_field(struct lnx_rec_types *t, struct types_cursor *c, struct lnx_field *f)
{
	const char **names, *p;
	unsigned i, n;

	f->type = types_get16(c);
	f->offset = types_get16(c);
	f->size = types_get16(c);
	f->flags = types_get16(c);
	f->name = types_keep_text(t, c);
	f->unit = types_keep_text(t, c);
	f->doc = "";
	p = types_take(c, 1);
	n = p ? (unsigned char)*p : 0;
	names = n ? types_alloc(t, (n + 1) * sizeof(*names)) : NULL;
	if (n && !names)
		c->is_bad = true;
	for (i = 0; i < n && !c->is_bad; i++)
		names[i] = types_keep_text(t, c);
	f->names = names;
}

/* The type whose fields lie at <c>, as an event of run time that only its fields describe; NULL: it stays unknown. */
static const struct lnx_event_desc *types_adopt(struct lnx_rec_types *t, struct types_cursor c,
						const char *name, uint16_t fixed, uint16_t n_fields)
{
	struct lnx_event_desc desc = { .size = sizeof(desc), .fixed = fixed, .doc = "" };
	struct lnx_field *fields;
	unsigned i;

	if (!t->adopt || n_fields > REC_ADOPT_FIELDS)
		return NULL;
	fields = types_alloc(t, (n_fields + 1u) * sizeof(*fields));
	desc.name = types_keep(t, name);
	if (!fields || !desc.name)
		return NULL;
	for (i = 0; i < n_fields && !c.is_bad; i++)
		types_adopt_field(t, &c, &fields[i]);
	desc.fields = fields;
	desc.n_fields = n_fields;
	/* the registry refuses what is not sound */
	if (c.is_bad || lnx_registry_add(t->adopt, &desc) < 0)
		return NULL;
	return lnx_registry_find(t->registry, name);
}

static uint16_t *types_slot(struct lnx_rec_types *t, uint16_t number)
{
	if (number && number < LNX_REC_TYPES)
		return &t->index[number];
	if (number >= LNX_EV_PLUGIN_0 && number - LNX_EV_PLUGIN_0 < LNX_REC_TYPES)
		return &t->index[LNX_REC_TYPES + number - LNX_EV_PLUGIN_0];
	return NULL;
}

static int types_read_one(struct lnx_rec_types *t, struct types_cursor *c)
{
	const struct lnx_event_desc *desc;
	struct lnx_rec_type type = { 0 };
	uint16_t fixed, n_fields, *slot;
	unsigned i, n_same = 0;
	int rc = 0;

	type.number = types_get16(c);
	fixed = types_get16(c);
	(void)types_take(c, 4); /* flags */
	n_fields = types_get16(c);
	types_get_text(c, type.name, sizeof(type.name));
	slot = types_slot(t, type.number);
	if (c->is_bad || !slot || n_fields > REC_FIELDS || fixed < sizeof(struct lnx_event) ||
	    fixed > LNX_EVENT_MAX)
		return -EINVAL;
	desc = lnx_registry_find(t->registry, type.name);
	if (!desc && !*slot)
		desc = types_adopt(t, *c, type.name, fixed, n_fields);
	type.copies = calloc(n_fields + 1u, sizeof(*type.copies));
	if (!type.copies)
		return -ENOMEM;
	for (i = 0; rc == 0 && i < n_fields; i++)
		rc = types_read_field(c, &type, desc, fixed, &n_same);
	if (rc == 0 && !*slot && t->n == LNX_REC_TYPES)
		rc = -EINVAL;
	if (rc < 0 || *slot) { /* what is described twice is so at first */
		free(type.copies);
		return rc;
	}
	type.plan = LNX_REC_UNKNOWN;
	if (desc) {
		type.ours = desc->type;
		type.fixed = desc->fixed;
		type.plan = n_same == types_n_needed(desc, fixed) ? LNX_REC_SAME : LNX_REC_CONVERT;
	}
	t->list[t->n] = type;
	*slot = (uint16_t)++t->n;
	return 0;
}

int lnx_rec_types_read(struct lnx_rec_types *t, const char *raw, size_t n)
{
	struct types_cursor c = { .p = raw, .end = raw + n };
	int rc = 0;

	while (rc == 0 && c.p < c.end)
		rc = types_read_one(t, &c);
	return rc;
}

void lnx_rec_types_done(struct lnx_rec_types *t)
{
	unsigned i;

	struct lnx_rec_mem *m;

	for (i = 0; i < t->n; i++)
		free(t->list[i].copies);
	t->n = 0;
	while ((m = t->mem)) {
		t->mem = m->next;
		free(m);
	}
}

const struct lnx_rec_type *lnx_rec_types_find(const struct lnx_rec_types *t, uint16_t number)
{
	/* the table is not changed: the slot is only read */
	const uint16_t *slot = types_slot((struct lnx_rec_types *)(uintptr_t)t, number);

	return slot && *slot ? &t->list[*slot - 1] : NULL;
}

/* --- converting --------------------------------------------------------------------------------- */

static uint64_t convert_uint(const char *p, unsigned size)
{
	uint64_t v = 0;

	memcpy(&v, p,
	       size < sizeof(v) ? size
				: sizeof(v)); /* low bytes first: checked by the order mark */
	return v;
}

static void convert_store(char *to, unsigned size, uint64_t v)
{
	if (size < sizeof(v) && v >> (8 * size))
		v = (1ULL << (8 * size)) - 1; /* too large for us: the largest */
	memcpy(to, &v, size < sizeof(v) ? size : sizeof(v));
}

/* A string moves into the tail of the new event. */
static int convert_string(const struct lnx_event *ev, size_t bytes, const char *from,
			  struct lnx_event *space, char *to)
{
	struct lnx_str s;

	memcpy(&s, from, sizeof(s));
	if (!s.len)
		return 0;
	if (s.len > LNX_STR_MAX || s.off < ev->fixed || (size_t)s.off + s.len > bytes ||
	    space->size + s.len > LNX_EVENT_MAX)
		return -EINVAL;
	memcpy((char *)space + space->size, (const char *)ev + s.off, s.len);
	s.off = (__u16)space->size;
	space->size += s.len;
	memcpy(to, &s, sizeof(s));
	return 0;
}

static int convert_field(const struct lnx_rec_copy *copy, const struct lnx_event *ev, size_t bytes,
			 struct lnx_event *space)
{
	const char *from = (const char *)ev + copy->offset;
	const struct lnx_field *f = copy->to;
	char *to = (char *)space + f->offset;
	uint64_t v;

	switch (f->type) {
	case LNX_STR:
	case LNX_JSON:
		return convert_string(ev, bytes, from, space, to);
	case LNX_ENUM:
		v = convert_uint(from, 4);
		v = v < copy->n_names && copy->names[v] != 255 ? copy->names[v] : UINT32_MAX;
		convert_store(to, 4, v);
		return 0;
	case LNX_CHARS:
		memcpy(to, from, copy->size < f->size ? copy->size : f->size);
		return 0;
	}
	if (types_is_uint(f->type))
		convert_store(to, f->size, convert_uint(from, copy->size));
	else
		memcpy(to, from, f->size);
	return 0;
}

int lnx_rec_convert(const struct lnx_rec_type *type, const struct lnx_event *ev, size_t bytes,
		    struct lnx_event *space)
{
	const double nan_value = NAN;
	unsigned i, known = sizeof(*ev);
	int rc = 0;

	if (ev->size < sizeof(*ev) || ev->size > bytes || ev->fixed < sizeof(*ev) ||
	    ev->fixed > ev->size)
		return -EINVAL;
	memset(space, 0, LNX_EVENT_MAX);
	*space = *ev;
	space->type = type->ours;
	space->size = type->fixed;
	for (i = 0; rc == 0 && i < type->n_copies; i++) {
		const struct lnx_rec_copy *copy = &type->copies[i];
		unsigned end = (unsigned)copy->to->offset + copy->to->size;

		if ((uint32_t)copy->offset + copy->size > ev->fixed) {
			if (copy->to->type == LNX_F64)
				memcpy((char *)space + copy->to->offset, &nan_value,
				       sizeof(nan_value));
			continue;
		}
		rc = convert_field(copy, ev, ev->size, space);
		known = end > known ? end : known;
	}
	/* what lies behind is not known: readers test <fixed> */
	space->fixed = (__u16)known;
	return rc;
}
