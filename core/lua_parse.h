/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Reading of rule files: what lasts as long as the load of one file. Functions with L raise. */
#ifndef LNX_LUA_PARSE_H
#define LNX_LUA_PARSE_H

#include "lua_engine.h"

#define LNX_PARSE_ERRORS 16 /* of one file that are told */

/* The file that is being loaded; <text> is its source. */
struct lnx_parse {
	struct lnx_rules *rules;
	struct lnx_rule *rule;
	unsigned file;
	const char *text;
	size_t bytes;
	struct lnx_buf marked; /* the text with marked tests, while coverage is measured */
	int line;	       /* of the rule */
	int env;
	bool is_open; /* a rule or test has a name but no table yet */
	struct lnx_err errs[LNX_PARSE_ERRORS];
	unsigned n_errs; /* also those that found no room */
};

/* lua_parse.c: words of a rule table */
/* "250ms", "1.5s", "10m", "1h", "1d". Returns 0 or -EINVAL. */
int lnx_parse_duration(const char *s, size_t len, uint64_t *ret_ns);
/* Raise an error that names the line of <field> of the rule being read. */
void lnx_parse_fail(lua_State *L, const struct lnx_parse *p, const char *field, const char *fmt,
		    ...) __attribute__((format(printf, 4, 5), noreturn));
/* Note that error and go on: the file is refused at its end. */
void lnx_parse_note(struct lnx_parse *p, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The same for the text of an error that was raised. */
void lnx_parse_note_text(struct lnx_parse *p, const char *text);
uint64_t lnx_parse_time(lua_State *L, const struct lnx_parse *p, const char *field, int at);
/* Filters of the table at <at> on <desc>: owned by the caller, also when a later step raises. A function that stands last in it
 * is left to the caller, where one may (<may_ask>). */
void lnx_parse_where(lua_State *L, const struct lnx_parse *p, const char *field, int at,
		     const struct lnx_event_desc *desc, bool may_ask, struct lnx_filter **ret_where,
		     unsigned *ret_n);
/* Field <name> of <desc>; of the machine also by the names that rules use. */
const struct lnx_field *lnx_parse_field(lua_State *L, const struct lnx_parse *p, const char *field,
					const struct lnx_event_desc *desc, const char *name);
bool lnx_parse_is_text(const struct lnx_field *f);
/* The event type <name> among those of the rule; added when new. */
struct lnx_rule_on *lnx_parse_on(lua_State *L, const struct lnx_parse *p, const char *field,
				 const char *name);

/* lua_parse_window.c */
void lnx_parse_windows(lua_State *L, const struct lnx_parse *p, int at, const char *sum);
void lnx_parse_series(lua_State *L, const struct lnx_parse *p, int at);

/* lua_by.c: the step of reading `by` of the table at 1 */
void lnx_rule_by(lua_State *L, const struct lnx_parse *p);

/* lua_rule.c */
/* Lua: rule "name" { ... }, test "name" { ... }. */
int lnx_rule_begin(lua_State *L);
int lnx_test_begin(lua_State *L);
void lnx_rule_free(struct lnx_rules *r, struct lnx_rule *rule);
/* Text of field <name> of the table at 1, left on the stack, or NULL when it is not given. */
const char *lnx_rule_text(lua_State *L, const struct lnx_parse *p, const char *name);
/* Reference of a function, or LUA_NOREF when it is not given. */
int lnx_rule_function(lua_State *L, const struct lnx_parse *p, const char *name);

/* lua_rule_out.c: steps of reading the table at 1 */
void lnx_rule_severity(lua_State *L, const struct lnx_parse *p);
void lnx_rule_say(lua_State *L, const struct lnx_parse *p);
void lnx_rule_labels(lua_State *L, const struct lnx_parse *p);
void lnx_rule_value(lua_State *L, const struct lnx_parse *p);
void lnx_rule_act(lua_State *L, const struct lnx_parse *p);
/* Index of the text on top of the stack among <words>. */
unsigned lnx_rule_word(lua_State *L, const struct lnx_parse *p, const char *field,
		       const char *const *words);

#endif
