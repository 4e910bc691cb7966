/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Shared by option.c (bind), option_source.c (file, environment, flags), option_value.c (one value) and option_set.c
 * (what was bound). Nobody else includes this. */
#ifndef LNX_OPTION_IMPL_H
#define LNX_OPTION_IMPL_H

#include <stdbool.h>

#include "option.h"

#define LNX_BIND_MAX_ERRORS 256 /* shown; the rest is counted */
#define LNX_ENV_NAME_MAX    192
#define LNX_OPT_KEY_MAX	    160
#define LNX_OPT_MAX_ITEMS   1024 /* of one list */

/* A parsed value. All zero: not set. */
struct lnx_optval {
	const char *text; /* canonical form; of a list its items with commas; NULL: not set */
	const char *const *items; /* of a list, NULL at the end */
	uint64_t num;		  /* BOOL, U32, U64, DURATION, SIZE, ENUM */
	double f64;
};

struct lnx_optent {
	const char *section, *key; /* owned by the set */
	uint32_t type, flags;
	int origin;    /* enum lnx_origin */
	bool is_wiped; /* there was one, and its plugin has taken it */
	bool is_wrong; /* an error was reported of one of its sources */
	struct lnx_optval val;
};

struct lnx_optset {
	struct lnx_optent *entries; /* by section, in the order of the tables */
	unsigned n_entries;
	struct lnx_optmem *mem; /* what lnx_optset_alloc() gave */
};

/* One option of one section, and where it was found. */
struct lnx_slot {
	struct lnx_section *section;
	const struct lnx_option *option;
	const struct lnx_node *node;
	const char *env_name, *env, *flag;
	struct lnx_optent *entry;
};

struct lnx_bind_error {
	int line, column; /* 0: not of the file */
	unsigned number;
	size_t text_at;
};

struct lnx_binder {
	const struct lnx_bind_args *args;
	struct lnx_optset *set;
	struct lnx_slot *slots;
	unsigned n_slots;
	struct lnx_buf *warnings;
	struct lnx_buf texts; /* of the errors, a NUL after each */
	struct lnx_bind_error errors[LNX_BIND_MAX_ERRORS];
	unsigned n_errors; /* also those that are not kept */
	bool is_out_of_memory, has_bad_table;
};

/* Note an error at a place of the file, or of no file (NULL). */
void lnx_bind_error(struct lnx_binder *b, const struct lnx_node *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
struct lnx_slot *lnx_bind_find(struct lnx_binder *b, const struct lnx_section *section,
			       const char *key);
/* LINNIX_<SECTION>_<KEY>, owned by the set; "" when too long, NULL when out of memory (noted). */
char *lnx_bind_env_name(struct lnx_binder *b, const char *section, const char *key);
/* Note in the slots what each source gives. */
void lnx_bind_file(struct lnx_binder *b);
void lnx_bind_env(struct lnx_binder *b);
void lnx_bind_flags(struct lnx_binder *b);

/* Overwrite every variable of an option that is read once. */
void lnx_bind_env_wipe(const struct lnx_binder *b);

/* Zeroed memory that lives as long as the set. NULL: out of memory. */
void *lnx_optset_alloc(struct lnx_optset *s, size_t bytes);
char *lnx_optset_strndup(struct lnx_optset *s, const char *text, size_t bytes);

/* Parse a default, a variable or a flag; or a node of the file. Memory is the set's.
 * Returns 0, -EINVAL with a text that does not name the option, -ENOMEM. */
int lnx_optval_text(struct lnx_optset *s, const struct lnx_option *o, const char *text,
		    struct lnx_optval *ret_val, struct lnx_err *err);
int lnx_optval_node(struct lnx_optset *s, const struct lnx_option *o, const struct lnx_node *node,
		    struct lnx_optval *ret_val, struct lnx_err *err);
/* Bytes that a value of <type> takes in the conf struct; 0: no such type. */
size_t lnx_optval_size(uint32_t type);
/* Write <v> to its place in <conf>. */
void lnx_optval_store(const struct lnx_option *o, const struct lnx_optval *v, void *conf);

#endif
