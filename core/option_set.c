/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A bound configuration: its memory, look-ups, the dump and the difference of two. */
#include "option_impl.h"

#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define DUMP_COMMENT_COLUMN 40
#define SECRET_TEXT	    "***"

struct lnx_optmem {
	struct lnx_optmem *next;
	max_align_t data[];
};

/* Where a dump is: the entries of one section, and how deep in nested keys. */
struct dump {
	struct lnx_buf *out;
	const struct lnx_optent *first, *end;
	unsigned indent;
	size_t line_from;
};

void *lnx_optset_alloc(struct lnx_optset *s, size_t bytes)
{
	struct lnx_optmem *m;

	if (bytes > SIZE_MAX - sizeof(*m))
		return NULL;
	m = calloc(1, sizeof(*m) + bytes);
	if (!m)
		return NULL;
	m->next = s->mem;
	s->mem = m;
	return m->data;
}

char *lnx_optset_strndup(struct lnx_optset *s, const char *text, size_t bytes)
{
	char *copy = lnx_optset_alloc(s, bytes + 1);

	if (copy && bytes)
		memcpy(copy, text, bytes);
	return copy;
}

void lnx_optset_free(struct lnx_optset *s)
{
	struct lnx_optmem *m, *next;

	if (!s)
		return;
	for (m = s->mem; m; m = next) {
		next = m->next;
		explicit_bzero(m, malloc_usable_size(m)); /* secrets are among it */
		free(m);
	}
	free(s);
}

void lnx_optset_wipe(struct lnx_optset *s)
{
	struct lnx_optent *e;
	struct lnx_optmem *m;

	for (e = s->entries; e < s->entries + s->n_entries; e++) {
		if (!(e->flags & LNX_OPTF_ONCE) || !e->val.text || !*e->val.text)
			continue;
		for (m = s->mem; m; m = m->next)
			if ((const char *)m->data == e->val.text)
				explicit_bzero(m->data, strlen(e->val.text));
		e->is_wiped = true;
	}
}

static const struct lnx_optent *set_find(const struct lnx_optset *s, const char *section,
					 const char *key)
{
	unsigned i;

	for (i = 0; i < s->n_entries; i++)
		if (strcmp(s->entries[i].section, section) == 0 &&
		    strcmp(s->entries[i].key, key) == 0)
			return &s->entries[i];
	return NULL;
}

/* Is there something to hide? An empty secret is shown as empty: that it is missing is worth knowing. */
static bool entry_is_hidden(const struct lnx_optent *e)
{
	return e->is_wiped || ((e->flags & LNX_OPTF_SECRET) && e->val.text && *e->val.text);
}

const char *lnx_optset_get(const struct lnx_optset *s, const char *section, const char *key,
			   int *ret_origin)
{
	const struct lnx_optent *e = set_find(s, section, key);

	if (!e)
		return NULL;
	if (ret_origin)
		*ret_origin = e->origin;
	if (entry_is_hidden(e))
		return SECRET_TEXT;
	return e->val.text ? e->val.text : "";
}

int lnx_optset_is_wrong(const struct lnx_optset *s, const char *section, const char *key)
{
	const struct lnx_optent *e = set_find(s, section, key);

	return e && e->is_wrong;
}

/* What libyaml would not read back as it is: controls, line and paragraph separators, byte order marks, non-characters. */
static bool dump_must_escape(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
	       c == 0xfffe || c == 0xffff;
}

static void dump_quoted(struct lnx_buf *out, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t n = strlen(text), i, j, k;
	uint32_t c;

	lnx_buf_char(out, '"');
	for (i = 0; i < n; i += k ? k : 1) {
		k = lnx_utf8_len(p + i, n - i);
		c = k < 2 ? p[i] : p[i] & (0xffu >> (k + 1));
		for (j = 1; j < k; j++)
			c = c << 6 | (p[i + j] & 0x3f);
		if (k == 0)
			lnx_buf_str(out, "\\uFFFD"); /* YAML has no way to say a raw byte */
		else if (c == '"' || c == '\\')
			lnx_buf_printf(out, "\\%c", (int)c);
		else if (dump_must_escape(c))
			lnx_buf_printf(out, "\\u%04X", (unsigned)c);
		else
			lnx_buf_add(out, p + i, k);
	}
	lnx_buf_char(out, '"');
}

/* An instance's name is the user's, so it may need quotes. */
static void dump_name(struct lnx_buf *out, const char *name)
{
	size_t plain = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.");

	if (name[plain])
		dump_quoted(out, name);
	else
		lnx_buf_str(out, name);
}

static void dump_value(struct lnx_buf *out, const struct lnx_optent *e)
{
	const char *text = e->val.text;
	unsigned i;

	if (!text)
		return; /* an empty value is read as not given */
	if (entry_is_hidden(e)) {
		dump_quoted(out, SECRET_TEXT);
	} else if (e->type == LNX_OPT_LIST) {
		lnx_buf_char(out, '[');
		for (i = 0; e->val.items[i]; i++) {
			if (i)
				lnx_buf_str(out, ", ");
			dump_quoted(out, e->val.items[i]);
		}
		lnx_buf_char(out, ']');
	} else if (e->type == LNX_OPT_STR || e->type == LNX_OPT_PATH) {
		dump_quoted(out, text);
	} else if (e->type == LNX_OPT_ENUM && text[strspn(text, "abcdefghijklmnopqrstuvwxyz_-")]) {
		dump_quoted(out, text);
	} else {
		lnx_buf_str(out, text);
	}
}

static void dump_line_start(struct dump *d)
{
	d->line_from = d->out->size;
	lnx_buf_printf(d->out, "%*s", (int)d->indent * 2, "");
}

static void dump_line(struct dump *d, const char *key, const struct lnx_optent *e)
{
	static const char *const origins[] = { "default", "file", "env", "flag" };
	size_t used;

	dump_line_start(d);
	lnx_buf_printf(d->out, "%s: ", key);
	dump_value(d->out, e);
	used = d->out->size - d->line_from;
	lnx_buf_printf(d->out, "%*s# %s\n",
		       used < DUMP_COMMENT_COLUMN ? (int)(DUMP_COMMENT_COLUMN - used) : 1, "",
		       origins[e->origin]);
}

/* Does the key of <e> start with the first <n> bytes of <key>? */
static bool key_has_prefix(const struct lnx_optent *e, const char *key, size_t n)
{
	return strncmp(e->key, key, n) == 0;
}

/* All keys that start with the first <n> bytes of <prefix>: plain ones as lines, dotted ones as maps in the place of
 * their first key. */
static void dump_keys(struct dump *d, const char *prefix, size_t n)
{
	const struct lnx_optent *e, *before;
	const char *rest, *dot;
	size_t group;

	for (e = d->first; e < d->end; e++) {
		if (!key_has_prefix(e, prefix, n))
			continue;
		rest = e->key + n;
		dot = strchr(rest, '.');
		if (!dot) {
			dump_line(d, rest, e);
			continue;
		}
		group = (size_t)(dot + 1 - e->key);
		for (before = d->first; before < e && !key_has_prefix(before, e->key, group);
		     before++)
			;
		if (before < e)
			continue;
		dump_line_start(d);
		lnx_buf_printf(d->out, "%.*s:\n", (int)(dot - rest), rest);
		d->indent++;
		dump_keys(d, e->key, group); /* as deep as a key has dots */
		d->indent--;
	}
}

void lnx_optset_dump(const struct lnx_optset *s, struct lnx_buf *out)
{
	const struct lnx_optent *all_end = s->entries + s->n_entries;
	struct dump d = { .out = out, .indent = 1 };

	for (d.first = s->entries; d.first < all_end; d.first = d.end) {
		for (d.end = d.first + 1; d.end < all_end; d.end++)
			if (strcmp(d.end->section, d.first->section) != 0)
				break;
		dump_name(out, d.first->section);
		lnx_buf_str(out, ":\n");
		dump_keys(&d, "", 0);
	}
}

static bool entry_differs(const struct lnx_optent *a, const struct lnx_optent *b)
{
	unsigned i;

	if (a->type != b->type ||
	    strcmp(a->val.text ? a->val.text : "", b->val.text ? b->val.text : "") != 0)
		return true;
	if (a->type != LNX_OPT_LIST || !a->val.items || !b->val.items)
		return false;
	/* the joined text cannot tell ["a,b"] from [a, b] */
	for (i = 0; a->val.items[i] && b->val.items[i]; i++)
		if (strcmp(a->val.items[i], b->val.items[i]) != 0)
			return true;
	return a->val.items[i] || b->val.items[i];
}

static void diff_missing(const struct lnx_optset *a, const struct lnx_optset *b, bool also_common,
			 struct lnx_buf *out)
{
	const struct lnx_optent *e, *other;

	for (e = a->entries; e < a->entries + a->n_entries; e++) {
		if (e->flags & (LNX_OPTF_RELOAD | LNX_OPTF_ONCE))
			continue; /* of a wiped one nobody knows whether it differs */
		other = set_find(b, e->section, e->key);
		if (!other || (also_common && entry_differs(e, other)))
			lnx_buf_printf(out, "%s.%s\n", e->section, e->key);
	}
}

void lnx_optset_diff(const struct lnx_optset *a, const struct lnx_optset *b, struct lnx_buf *out)
{
	diff_missing(a, b, true, out);
	diff_missing(b, a, false, out);
}
