/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Keys of a rule: a bounded table in order of use, and one heap of timers for all of them. */
#ifndef LNX_LUA_KEY_H
#define LNX_LUA_KEY_H

#include "lua_rule.h"

#define LNX_KEY_IDLE	0 /* enum lnx_key_state */
#define LNX_KEY_PENDING 1 /* true, not for long enough */
#define LNX_KEY_FIRING	2

struct lnx_subject {
	uint32_t kind, pid; /* kind: enum lnx_subject_kind */
	uint64_t start_ns, cgroup_id;
	char comm[17];
};

/* One key of one rule. Windows lie behind it. */
struct lnx_key {
	struct lnx_key *hash_next, *newer, *older;
	struct lnx_rule *rule;
	const struct lnx_rule_on *on; /* of the last event it was looked at for */
	uint64_t h1, h2;	      /* of its value */
	uint64_t num;		      /* bits of a key that is one number */
	char text[40];		      /* of one that is text or has several parts, cut */
	char *full;		      /* the whole of it; NULL: it is all in <text> */
	bool is_text, is_hit, has_fired;
	bool is_told;	  /* that it fires was published */
	uint8_t num_kind; /* enum lnx_value_kind */
	uint8_t state;	  /* enum lnx_key_state */
	uint8_t severity; /* last published */
	unsigned streak;  /* windows in a row that were true */
	unsigned timer;	  /* place in the heap + 1; 0: none */
	uint64_t due_ns, anchor_ns, since_ns, eval_ns, false_ns, fired_ns;
	struct lnx_subject subject;
	struct lnx_event *last; /* owned copy of the last event that was true; NULL: none */
	uint32_t last_cap;
	uint32_t asked_s; /* when it asked for an action, whole seconds; 0: not while it fires */
};

uint64_t lnx_key_hash(const void *bytes, size_t n, uint64_t seed);
/* Allocate the table of keys. Returns 0 or -ENOMEM. */
int lnx_keys_init(struct lnx_rule *rule);
void lnx_keys_done(struct lnx_rules *r, struct lnx_rule *rule);
/* Find the key or make it; the least used gives way. NULL: -ENOMEM. */
struct lnx_key *lnx_key_get(struct lnx_rules *r, struct lnx_rule *rule, uint64_t h1, uint64_t h2);
void *lnx_key_window(const struct lnx_key *key, const struct lnx_window *w);
void *lnx_key_series(const struct lnx_key *key, const struct lnx_series *s);
/* It is the text that people and `when` see, unless it has one. Short of memory it is cut. */
void lnx_key_set_text(struct lnx_key *key, const char *text, size_t bytes);
const char *lnx_key_text(const struct lnx_key *key);
/* Remember the event for evaluations that time makes. */
void lnx_key_keep(struct lnx_key *key, const struct lnx_event *ev);
/* What its one number is; and a number as people read it. */
struct lnx_value lnx_key_value(const struct lnx_key *key);
void lnx_key_number(const struct lnx_value *num, char *buf, size_t cap);
/* due_ns UINT64_MAX: none. */
void lnx_timer_set(struct lnx_rules *r, struct lnx_key *key, uint64_t due_ns);

#endif
