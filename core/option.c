/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Binds the sections of a configuration to option tables. Every source of every option is checked, also one that a
 * stronger source hides, and all mistakes are reported at once. Conf structs are written last, when nothing can fail. */
#include "option_impl.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BIND_MAX_OPTIONS 16384

/* Every section takes "enabled", unless its table has an idea of its own about it. */
static const struct lnx_option enabled_option = { .key = "enabled", .type = LNX_OPT_BOOL };

void lnx_bind_error(struct lnx_binder *b, const struct lnx_node *at, const char *fmt, ...)
{
	struct lnx_bind_error *e;
	char text[512], *p;
	va_list ap;

	if (b->n_errors++ >= LNX_BIND_MAX_ERRORS)
		return;
	e = &b->errors[b->n_errors - 1];
	va_start(ap, fmt);
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = 0;
	va_end(ap);
	for (p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?'; /* keys and values are not ours: none may forge a line */
	e->line = at ? at->line : 0;
	e->column = at ? at->column : 0;
	e->number = b->n_errors;
	e->text_at = b->texts.size;
	lnx_buf_add(&b->texts, text, strlen(text) + 1);
}

/* Report the error of one value; -ENOMEM is noted for the end. */
static void bind_value_error(struct lnx_binder *b, const struct lnx_slot *s, int origin, int rc,
			     const struct lnx_err *err)
{
	const char *section = s->section->name, *key = s->option->key;

	if (rc == -ENOMEM)
		b->is_out_of_memory = true;
	else if (origin == LNX_FROM_FILE)
		lnx_bind_error(b, s->node, "%s.%s: %s", section, key, err->msg);
	else if (origin == LNX_FROM_ENV)
		lnx_bind_error(b, NULL, "%s: %s", s->env_name, err->msg);
	else if (origin == LNX_FROM_FLAG)
		lnx_bind_error(b, NULL, "flag %s.%s: %s", section, key, err->msg);
	else
		lnx_bind_error(b, NULL, "%s.%s: the built-in default is wrong: %s", section, key,
			       err->msg);
}

struct lnx_slot *lnx_bind_find(struct lnx_binder *b, const struct lnx_section *section,
			       const char *key)
{
	unsigned i;

	for (i = 0; i < b->n_slots; i++)
		if (b->slots[i].section == section && strcmp(b->slots[i].option->key, key) == 0)
			return &b->slots[i];
	return NULL;
}

/* ---- tables */

/* Mistakes in a table are a plugin's, so they are reported and not asserted. */
static bool table_check(struct lnx_binder *b, const struct lnx_section *s,
			const struct lnx_option *o)
{
	size_t size = lnx_optval_size(o->type), n = strlen(o->key);
	const struct lnx_option *other;
	const char *wrong = NULL;

	if (size == 0)
		wrong = "unknown type";
	else if (o->offset > s->conf_size || size > s->conf_size - o->offset || !s->conf)
		wrong = "lies outside of the conf struct";
	else if (n == 0 || n >= LNX_OPT_KEY_MAX)
		wrong = "bad name";
	else if (o->type == LNX_OPT_ENUM && (!o->names || !o->names[0]))
		wrong = "an enum without names";
	for (other = s->options; !wrong && other->key; other++)
		if (strncmp(other->key, o->key, n) == 0 &&
		    (other->key[n] == '.' || (!other->key[n] && other < o)))
			wrong = "there twice, or both a key and a map";
	if (wrong)
		lnx_bind_error(b, NULL, "%s.%s: the option table is wrong: %s", s->name, o->key,
			       wrong);
	b->has_bad_table |= wrong != NULL;
	return !wrong;
}

char *lnx_bind_env_name(struct lnx_binder *b, const char *section, const char *key)
{
	char name[LNX_ENV_NAME_MAX], *p, *copy;
	int n = snprintf(name, sizeof(name), "LINNIX_%s%s%s", section, key ? "_" : "",
			 key ? key : "");

	if (n < 0 || (size_t)n >= sizeof(name))
		n = 0; /* a name this long cannot be set from the environment */
	name[n] = 0;
	for (p = name; *p; p++)
		*p = isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_';
	copy = lnx_optset_strndup(b->set, name, strlen(name));
	if (!copy)
		b->is_out_of_memory = true;
	return copy;
}

static void slot_add(struct lnx_binder *b, struct lnx_section *section, const struct lnx_option *o)
{
	struct lnx_slot *s = &b->slots[b->n_slots];

	s->section = section;
	s->option = o;
	s->env_name = lnx_bind_env_name(b, section->name, o->key);
	if (s->env_name)
		b->n_slots++;
}

static int slots_build(struct lnx_binder *b)
{
	const struct lnx_option *o;
	size_t most = 0;
	unsigned i;

	for (i = 0; i < b->args->n_sections; i++)
		for (most++, o = b->args->sections[i].options; o && o->key; o++)
			most++;
	if (most > BIND_MAX_OPTIONS) {
		lnx_bind_error(b, NULL, "more than %d options", BIND_MAX_OPTIONS);
		return 0;
	}
	b->slots = calloc(most ? most : 1, sizeof(*b->slots));
	b->set->entries = lnx_optset_alloc(b->set, (most ? most : 1) * sizeof(*b->set->entries));
	if (!b->slots || !b->set->entries)
		return -ENOMEM;
	for (i = 0; i < b->args->n_sections; i++) {
		struct lnx_section *s = &b->args->sections[i];
		bool has_enabled = false;

		for (o = s->options; o && o->key; o++)
			has_enabled |= strcmp(o->key, enabled_option.key) == 0;
		if (!has_enabled)
			slot_add(b, s, &enabled_option);
		for (o = s->options; o && o->key; o++)
			if (table_check(b, s, o))
				slot_add(b, s, o);
	}
	return 0;
}

/* ---- values */

/* Parse what <origin> says about <s>. Returns 1 when it said something valid, 0 when nothing, or an error. */
static int slot_parse(struct lnx_binder *b, const struct lnx_slot *s, int origin,
		      struct lnx_optval *ret_val, struct lnx_err *err)
{
	const struct lnx_option *o = s->option;
	const char *text = origin == LNX_FROM_ENV ? s->env : s->flag;
	int r;

	if (origin == LNX_FROM_FILE) {
		if (!s->node || lnx_conf_is_null(s->node))
			return 0;
		r = lnx_optval_node(b->set, o, s->node, ret_val, err);
		return r < 0 ? r : 1;
	}
	if (origin == LNX_FROM_DEFAULT)
		text = o->flags & LNX_OPTF_REQUIRED && o->def && !*o->def ? NULL : o->def;
	if (!text)
		return 0;
	r = lnx_optval_text(b->set, o, text, ret_val, err);
	return r < 0 ? r : 1;
}

/* Take the strongest source; check them all. */
static bool slot_resolve(struct lnx_binder *b, struct lnx_slot *s, struct lnx_optent *e)
{
	static const int usual[] = { LNX_FROM_DEFAULT, LNX_FROM_FILE, LNX_FROM_ENV, LNX_FROM_FLAG };
	/* a key in a file that only root can read must not be replaced by whoever sets the environment */
	static const int file_wins[] = { LNX_FROM_DEFAULT, LNX_FROM_ENV, LNX_FROM_FILE,
					 LNX_FROM_FLAG };
	bool is_chain_key = strcmp(s->section->name, "chain") == 0 &&
			    strcmp(s->option->key, "private_key") == 0;
	const int *order = is_chain_key ? file_wins : usual;
	struct lnx_err err = { .line = 0 };
	bool is_given = false;
	int i, r;

	for (i = 0; i < 4; i++) {
		r = slot_parse(b, s, order[i], &e->val, &err);
		if (r < 0)
			bind_value_error(b, s, order[i], r, &err);
		e->is_wrong |= r < 0;
		if (r != 0)
			e->origin = order[i];
		is_given |= r != 0;
	}
	return is_given;
}

static int section_entries(struct lnx_binder *b, struct lnx_slot *s, const char *name)
{
	struct lnx_optent *e = &b->set->entries[b->set->n_entries];
	bool is_given;

	e->section = name;
	e->key = lnx_optset_strndup(b->set, s->option->key, strlen(s->option->key));
	if (!e->key)
		return -ENOMEM;
	e->type = s->option->type;
	e->flags = s->option->flags;
	is_given = slot_resolve(b, s, e);
	s->entry = e;
	if (s->option != &enabled_option || is_given)
		b->set->n_entries++;
	else
		s->entry = NULL;
	return 0;
}

/* 0, 1, or 2 when not said. */
static uint32_t section_enabled(struct lnx_binder *b, const struct lnx_section *section)
{
	struct lnx_slot *s = lnx_bind_find(b, section, enabled_option.key);
	const char *text = s && s->entry ? s->entry->val.text : NULL;

	if (!text || s->entry->origin == LNX_FROM_DEFAULT)
		return 2;
	if (strcmp(text, "true") == 0 || strcmp(text, "yes") == 0 || strcmp(text, "on") == 0)
		return 1;
	return strcmp(text, "false") == 0 || strcmp(text, "no") == 0 || strcmp(text, "off") == 0
		       ? 0
		       : 2;
}

static void required_check(struct lnx_binder *b)
{
	const struct lnx_slot *s;
	unsigned i;

	for (i = 0; i < b->n_slots; i++) {
		s = &b->slots[i];
		if (!(s->option->flags & LNX_OPTF_REQUIRED) || !s->entry ||
		    (s->entry->val.text && *s->entry->val.text) ||
		    section_enabled(b, s->section) == 0)
			continue;
		if (s->entry->origin != LNX_FROM_DEFAULT && !s->entry->val.text)
			continue; /* given, but wrong: that was said */
		s->entry->is_wrong = true;
		lnx_bind_error(b, lnx_conf_get(b->args->root, s->section->name),
			       "%s.%s: is required (or set %s)", s->section->name, s->option->key,
			       s->env_name);
	}
}

static int values_resolve(struct lnx_binder *b)
{
	const struct lnx_section *section = NULL;
	const char *name = NULL;
	unsigned i;
	int r;

	for (i = 0; i < b->n_slots; i++) {
		if (b->slots[i].section != section) {
			section = b->slots[i].section;
			name = lnx_optset_strndup(b->set, section->name, strlen(section->name));
		}
		r = name ? section_entries(b, &b->slots[i], name) : -ENOMEM;
		if (r < 0)
			return r;
	}
	required_check(b);
	return 0;
}

/* ---- the whole */

/* By place in the file; what is not of the file comes last. */
static int error_compare(const void *left, const void *right)
{
	const struct lnx_bind_error *a = left, *b = right;

	if (!a->line != !b->line)
		return !a->line - !b->line;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->column != b->column)
		return a->column < b->column ? -1 : 1;
	return a->number < b->number ? -1 : 1;
}

static void errors_print(struct lnx_binder *b, struct lnx_buf *out)
{
	unsigned n = b->n_errors < LNX_BIND_MAX_ERRORS ? b->n_errors : LNX_BIND_MAX_ERRORS, i;
	const char *file = b->args->file ? b->args->file : "configuration";

	qsort(b->errors, n, sizeof(b->errors[0]), error_compare);
	for (i = 0; i < n; i++) {
		if (b->errors[i].line)
			lnx_buf_printf(out, "%s:%d:%d: ", file, b->errors[i].line,
				       b->errors[i].column);
		lnx_buf_printf(out, "%s\n", b->texts.data + b->errors[i].text_at);
	}
	if (b->n_errors > n)
		lnx_buf_printf(out, "%s: %u more errors\n", file, b->n_errors - n);
}

static void conf_write(struct lnx_binder *b)
{
	struct lnx_section *s;
	unsigned i;

	for (i = 0; i < b->args->n_sections; i++) {
		s = &b->args->sections[i];
		if (s->conf)
			memset(s->conf, 0, s->conf_size);
		s->enabled = section_enabled(b, s);
	}
	for (i = 0; i < b->n_slots; i++)
		if (b->slots[i].option != &enabled_option)
			lnx_optval_store(b->slots[i].option, &b->slots[i].entry->val,
					 b->slots[i].section->conf);
}

static int bind_all(struct lnx_binder *b)
{
	int r = slots_build(b);

	if (r < 0)
		return r;
	if (!b->slots)
		return -EINVAL;
	lnx_bind_file(b);
	lnx_bind_env(b);
	lnx_bind_flags(b);
	r = values_resolve(b);
	if (r < 0 || b->is_out_of_memory || lnx_buf_error(&b->texts) || lnx_buf_error(b->warnings))
		return -ENOMEM;
	return b->n_errors ? -EINVAL : 0;
}

int lnx_option_bind(const struct lnx_bind_args *args, struct lnx_buf *errors,
		    struct lnx_buf *warnings, struct lnx_optset **ret_set)
{
	struct lnx_binder *b = calloc(1, sizeof(*b));
	struct lnx_optset *set = calloc(1, sizeof(*set));
	bool is_kept = false;
	int r = -ENOMEM;

	if (b && set) {
		b->args = args;
		b->set = set;
		b->warnings = warnings;
		r = bind_all(b);
		if (r == -EINVAL)
			errors_print(b, errors);
		is_kept = r == 0 ||
			  (r == -EINVAL && args->keeps_wrong && b->slots && !b->has_bad_table);
		if (is_kept)
			conf_write(b);
		if (r == 0)
			lnx_bind_env_wipe(b);
		free(b->slots);
		lnx_buf_done(&b->texts);
	}
	free(b);
	if (r == -ENOMEM)
		lnx_buf_str(errors, "out of memory\n");
	if (is_kept)
		*ret_set = set;
	else
		lnx_optset_free(set);
	return r;
}
