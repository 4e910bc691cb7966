/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Binds sections of the configuration to option tables: flag > environment > file > default. */
#ifndef LNX_OPTION_H
#define LNX_OPTION_H

#include "conf.h"
#include <linnix/plugin.h>

/* enum lnx_origin */
#define LNX_FROM_DEFAULT 0
#define LNX_FROM_FILE	 1
#define LNX_FROM_ENV	 2
#define LNX_FROM_FLAG	 3

/* A section to bind: of the core ("log", "budget"), or of a plugin instance ("http", "webhook.ops"). */
struct lnx_section {
	const char *name;
	const struct lnx_option *options; /* key NULL at the end; may be NULL */
	void *conf; /* options' struct; filled by bind; strings and lists in it are owned by the set */
	size_t conf_size;
	uint32_t enabled; /* <section>.enabled: 0, 1, or 2 when not given */
};

struct lnx_optset; /* a bound configuration: owns every string and list */

#define LNX_SECTION_MAX 64 /* bytes of the name of a section, NUL included */
/* The instance in a section's name, "ops" of "webhook.ops", has one to 63 letters, digits, '-' and '_'; 1 also when none is named. */
int lnx_section_is_name(const char *section);

/* Errors of a bind: all of them, "file:line:col: http: unknown key 'max_client' (did you mean 'max_clients'?)\n" each. */
struct lnx_bind_args {
	const char *file;	     /* for messages; NULL: built-in defaults */
	const struct lnx_node *root; /* may be NULL */
	char *const *env;	     /* environ; LINNIX_HTTP_LISTEN is http.listen; may be NULL */
	const char *const *flags;    /* "log.level=debug", NULL at the end; may be NULL */
	struct lnx_section *sections;
	unsigned n_sections;
	/* names of sections that are valid but not loaded now, NULL at the end; may be NULL */
	const char *const *known;
	uint32_t
		keeps_wrong; /* 1: also with errors the rest is bound, for who checks it further; see lnx_optset_is_wrong */
};

/* Bind everything, report everything. Returns 0, -EINVAL with all lines in <errors>, or -ENOMEM. <warnings> gets unknown
 * LINNIX_* variables. On failure *ret_set, the conf structs and <enabled> are untouched; on success a conf struct is
 * cleared first. NODE_NAME is node.name when LINNIX_NODE_NAME is not set; chain.private_key of the file beats the
 * environment. A value that a stronger source hides is checked, too. Variables of options that are read once are wiped. With
 * <keeps_wrong>, -EINVAL fills the conf structs and *ret_set (NULL if there is none) as well, what is wrong with a weaker value. */
int lnx_option_bind(const struct lnx_bind_args *args, struct lnx_buf *errors,
		    struct lnx_buf *warnings, struct lnx_optset **ret_set);
void lnx_optset_free(struct lnx_optset *s);
/* Effective value in canonical form ("90s", "true", items with commas; "***" when secret and set), or NULL when there is
 * no such option; and where it came from. */
const char *lnx_optset_get(const struct lnx_optset *s, const char *section, const char *key,
			   int *ret_origin);
/* An error of this option was reported; the value is not what was meant. */
int lnx_optset_is_wrong(const struct lnx_optset *s, const char *section, const char *key);
/* All values as YAML, with a comment on each that tells the origin; reads back as the same but for secrets. */
void lnx_optset_dump(const struct lnx_optset *s, struct lnx_buf *out);
/* Overwrite the values of options that are read once (LNX_OPTF_ONCE), in the set and in what the conf structs point to. */
void lnx_optset_wipe(struct lnx_optset *s);
/* Keys without LNX_OPTF_RELOAD that differ between two sets or are in one only: one "http.listen\n" each. */
void lnx_optset_diff(const struct lnx_optset *a, const struct lnx_optset *b, struct lnx_buf *out);

#endif
