/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The registry of event types, and everything that is derived from a field table: checks, values, JSON. */
#ifndef LNX_EVENT_H
#define LNX_EVENT_H

#include <linnix/buf.h>
#include <linnix/event.h>
#include <linnix/host.h>

#define LNX_EV_ANY    0	  /* no type: "*" in a subscription */
#define LNX_MAX_TYPES 256 /* built-in and plugin types together */

struct lnx_registry;

/* Holds the built-in types. NULL: -ENOMEM. */
struct lnx_registry *lnx_registry_new(void);
void lnx_registry_free(struct lnx_registry *r);
/* Returns the type number, -EEXIST, -EINVAL, -ENOSPC. <desc> and its tables are borrowed for the life of <r>. */
int lnx_registry_add(struct lnx_registry *r, const struct lnx_event_desc *desc);
/* Add the types of run time that the SDK describes and that nobody has added: rules may be written for them also where no plugin
 * makes them. Returns 0 or as above. */
int lnx_registry_add_known(struct lnx_registry *r);
const struct lnx_event_desc *lnx_registry_get(const struct lnx_registry *r, uint16_t type);
const struct lnx_event_desc *lnx_registry_find(const struct lnx_registry *r, const char *name);
/* Dense index of <type>, 0..n-1, for tables by type; -ENOENT. */
int lnx_registry_index(const struct lnx_registry *r, uint16_t type);
unsigned lnx_registry_count(const struct lnx_registry *r);
const struct lnx_event_desc *lnx_registry_at(const struct lnx_registry *r, unsigned index);
/* Nearest known name to a wrong one, or NULL. */
const char *lnx_registry_suggest(const struct lnx_registry *r, const char *name);

/* Field <name> of <desc>, or NULL; and the nearest known name to a wrong one, or NULL. */
const struct lnx_field *lnx_desc_field(const struct lnx_event_desc *desc, const char *name);
const char *lnx_desc_suggest(const struct lnx_event_desc *desc, const char *name);

/* Sizes and strings of <ev> are sound, with <bytes> readable at it. 0 or -EINVAL. */
int lnx_event_check(const struct lnx_registry *r, const struct lnx_event *ev, size_t bytes);

/* enum lnx_value_kind */
#define LNX_VAL_NONE 0 /* the producer did not know this field */
#define LNX_VAL_U64  1
#define LNX_VAL_I64  2
#define LNX_VAL_F64  3
#define LNX_VAL_BOOL 4
#define LNX_VAL_STR  5
#define LNX_VAL_JSON 6

struct lnx_value {
	uint32_t kind; /* enum lnx_value_kind */
	uint32_t size; /* bytes of a string */
	union {
		uint64_t u64;
		int64_t i64;
		double f64;
		const char *str; /* not terminated; borrowed from the event or the table */
	};
};

/* Value of <f> in a checked <ev>. */
struct lnx_value lnx_event_value(const struct lnx_event *ev, const struct lnx_field *f);

struct lnx_tags;

/* What lnx_event_json needs beside the event. <tags> may be NULL: then names are empty. */
struct lnx_json_env {
	const struct lnx_registry *registry;
	uint64_t (*wall_ns)(void *arg, uint64_t boot_ns);
	const struct lnx_tags *tags;
	void *arg;
	const struct lnx_ident *ident; /* of LNX_EVF_IDENT types; may be NULL: then without */
};

/* Append one JSON object: seq, ts, type, pid, cpu, cause_seq, fields, tags, identity. <meta> may be NULL. */
void lnx_event_json(struct lnx_buf *out, const struct lnx_json_env *env, const struct lnx_event *ev,
		    const struct lnx_event_meta *meta);

/* Nearest of <words> (NULL at the end) to <word>, at most 1/3 of its letters away (swapped neighbours count as one); or
 * NULL. */
const char *lnx_suggest(const char *word, const char *const *words);

#endif
