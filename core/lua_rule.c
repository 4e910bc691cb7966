/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* From `rule "name" { ... }` to a struct lnx_rule: every field is checked, an unknown one is an error with its line and a
 * suggestion. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linnix/ev_alert.h>

#include "lua_bind.h"
#include "lua_parse.h"

#define RULE_KEEP_NS	 10000000000ULL /* default of keep */
#define RULE_LOOK_MIN_NS 50000000ULL	/* between looks at a key that is pending or firing */
#define RULE_LOOK_MAX_NS 5000000000ULL

static const char *const rule_fields[] = { "on",       "by",	    "every", "where",	"series",
					   "sum",      "window",    "when",  "lasting", "keep",
					   "cooldown", "severity",  "blame", "say",	"labels",
					   "runbook",  "threshold", "value", "act",	"mode",
					   NULL };

static bool rule_is_in(const char *const *words, const char *w)
{
	for (; *words; words++)
		if (strcmp(*words, w) == 0)
			return true;
	return false;
}

static struct lnx_parse *rule_parse_of(lua_State *L)
{
	const struct lnx_rules *r = lnx_lua_of(L)->owner;

	if (!r->loading)
		(void)luaL_error(L, "rules and tests are defined while their file is loaded");
	return r->loading;
}

static void rule_check_fields(lua_State *L, struct lnx_parse *p)
{
	const char *key, *near;
	char shown[64];

	lua_pushnil(L);
	while (lua_next(L, 1)) {
		if (lua_type(L, -2) != LUA_TSTRING)
			lnx_parse_fail(L, p, NULL,
				       "rule '%s': every value needs the name of a field",
				       p->rule->name);
		key = lua_tostring(L, -2);
		(void)lnx_lua_printable(key, shown, sizeof(shown));
		if (rule_is_in(rule_fields, key))
			;
		else if ((near = lnx_suggest(key, rule_fields)))
			lnx_parse_note(p, key, "unknown field '%s' (did you mean '%s'?)", shown,
				       near);
		else
			lnx_parse_note(p, key, "unknown field '%s'", shown);
		lua_pop(L, 1);
	}
}

/* Text of field <name>, left on the stack, or NULL when it is not given. */
const char *lnx_rule_text(lua_State *L, const struct lnx_parse *p, const char *name)
{
	int type = lua_getfield(L, 1, name);

	if (type == LUA_TNIL)
		return NULL;
	if (type != LUA_TSTRING)
		lnx_parse_fail(L, p, name, "%s: expected a text, not a %s", name,
			       luaL_typename(L, -1));
	return lua_tostring(L, -1);
}

static uint64_t rule_time(lua_State *L, const struct lnx_parse *p, const char *name, uint64_t def)
{
	if (lua_getfield(L, 1, name) != LUA_TNIL)
		def = lnx_parse_time(L, p, name, -1);
	lua_pop(L, 1);
	return def;
}

int lnx_rule_function(lua_State *L, const struct lnx_parse *p, const char *name)
{
	int type = lua_getfield(L, 1, name);

	if (type == LUA_TFUNCTION)
		return luaL_ref(L, LUA_REGISTRYINDEX);
	if (type != LUA_TNIL)
		lnx_parse_fail(L, p, name, "%s: expected a function, not a %s", name,
			       luaL_typename(L, -1));
	lua_pop(L, 1);
	return LUA_NOREF;
}

static void rule_on(lua_State *L, const struct lnx_parse *p)
{
	struct lnx_rule *rule = p->rule;
	int type = lua_getfield(L, 1, "on");
	lua_Integer i, n;

	if (type == LUA_TSTRING) {
		lnx_parse_on(L, p, "on", lua_tostring(L, -1))->is_trigger = true;
	} else if (type == LUA_TTABLE) {
		n = (lua_Integer)lua_rawlen(L, -1);
		if (n == 0)
			lnx_parse_fail(L, p, "on", "on: the list is empty");
		for (i = 1; i <= n; i++) {
			if (lua_rawgeti(L, -1, i) != LUA_TSTRING)
				lnx_parse_fail(L, p, "on", "on: expected names of events");
			lnx_parse_on(L, p, "on", lua_tostring(L, -1))->is_trigger = true;
			lua_pop(L, 1);
		}
	} else if (type != LUA_TNIL) {
		lnx_parse_fail(L, p, "on", "on: expected the name of an event, not a %s",
			       luaL_typename(L, -1));
	}
	lua_pop(L, 1);
	rule->every_ns = rule_time(L, p, "every", 0);
	if (rule->every_ns && rule->n_ons)
		lnx_parse_fail(L, p, "every", "a rule has either `on` or `every`");
	if (rule->every_ns) {
		if (rule->every_ns < 1000000000u)
			lnx_parse_fail(L, p, "every",
				       "every: facts of the machine come once a second");
		lnx_parse_on(L, p, "every", "host.sample")->is_trigger = true;
	}
	if (!rule->n_ons)
		lnx_parse_fail(L, p, NULL, "rule '%s' needs `on` (an event) or `every` (a time)",
			       rule->name);
}

static void rule_where(lua_State *L, const struct lnx_parse *p)
{
	struct lnx_rule *rule = p->rule;
	int type = lua_getfield(L, 1, "where"), at = lua_gettop(L);
	unsigned i;

	for (i = 0; type != LUA_TFUNCTION && type != LUA_TNIL && i < rule->n_ons; i++)
		if (rule->ons[i].is_trigger) {
			lnx_parse_where(L, p, "where", at, rule->ons[i].desc, true,
					&rule->ons[i].where, &rule->ons[i].n_where);
			lua_settop(L, at);
		}
	if (type == LUA_TTABLE)
		(void)lua_rawgeti(L, at, (lua_Integer)lua_rawlen(L, at));
	if (lua_isfunction(L, -1))
		rule->where = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_settop(L, at - 1);
}

static void rule_windows(lua_State *L, const struct lnx_parse *p)
{
	struct lnx_rule *rule = p->rule;
	const char *sum = lnx_rule_text(L, p, "sum");
	unsigned i;

	if (lua_getfield(L, 1, "window") != LUA_TNIL) {
		if (rule->every_ns)
			lnx_parse_fail(L, p, "window",
				       "window: a rule with `every` has the facts of that time");
		lnx_parse_windows(L, p, -1, sum);
	} else if (sum) {
		lnx_parse_fail(L, p, "sum", "sum: there is no window");
	}
	lua_pop(L, 2);
	if (lua_getfield(L, 1, "series") != LUA_TNIL)
		lnx_parse_series(L, p, -1);
	lua_pop(L, 1);
	rule->has_past = rule->n_windows || rule->n_series;
	for (i = 0; i < rule->n_windows; i++)
		if (!rule->shortest_ns || rule->windows[i].over_ns < rule->shortest_ns)
			rule->shortest_ns = rule->windows[i].over_ns;
	rule->look_ns = rule->shortest_ns / 8;
	for (i = 0; i < rule->n_series; i++)
		if (!rule->look_ns || rule->series[i].over_ns / 16 < rule->look_ns)
			rule->look_ns = rule->series[i].over_ns / 16;
	rule->look_ns = rule->look_ns < RULE_LOOK_MIN_NS   ? RULE_LOOK_MIN_NS
			: rule->look_ns > RULE_LOOK_MAX_NS ? RULE_LOOK_MAX_NS
							   : rule->look_ns;
}

static void rule_lasting(lua_State *L, const struct lnx_parse *p)
{
	struct lnx_rule *rule = p->rule;
	unsigned n;
	int end = 0;

	if (lua_getfield(L, 1, "lasting") == LUA_TSTRING &&
	    sscanf(lua_tostring(L, -1), "%3u windows%n", &n, &end) == 1 && end > 0 &&
	    lua_tostring(L, -1)[end] == 0) {
		if (n < 1 || !rule->n_windows)
			lnx_parse_fail(L, p, "lasting", "lasting: '%s' needs a window",
				       lua_tostring(L, -1));
		rule->lasting_windows = n;
	} else if (!lua_isnil(L, -1)) {
		rule->lasting_ns = lnx_parse_time(L, p, "lasting", -1);
		if (rule->lasting_ns && !rule->every_ns && !rule->has_past)
			lnx_parse_fail(L, p, "lasting",
				       "lasting: an event does not last: use a window");
	}
	lua_pop(L, 1);
}

static void rule_layout(lua_State *L, const struct lnx_parse *p)
{
	struct lnx_rule *rule = p->rule;
	size_t at = (sizeof(struct lnx_key) + 7) & ~(size_t)7;
	unsigned i;

	for (i = 0; i < rule->n_windows; i++) {
		struct lnx_window *w = &rule->windows[i];

		w->is_tumbling = rule->lasting_windows && w->over_ns == rule->shortest_ns;
		lnx_window_layout(w);
		w->offset = at;
		at += w->bytes;
	}
	for (i = 0; i < rule->n_series; i++) {
		lnx_series_layout(&rule->series[i]);
		rule->series[i].offset = at;
		at += rule->series[i].bytes;
	}
	rule->key_bytes = at;
	if (lnx_keys_init(rule) < 0)
		lnx_parse_fail(L, p, NULL, "not enough memory");
}

/* A shadow may have the name of the rule that it is to be compared with. */
static void rule_mode(lua_State *L, const struct lnx_parse *p)
{
	static const char *const modes[] = { "active", "shadow", NULL };
	struct lnx_rule *rule = p->rule, *other;
	struct lnx_rules *r = p->rules;
	const char *s = lnx_rule_text(L, p, "mode");
	char shown[256];
	unsigned i;

	rule->is_shadow = s && lnx_rule_word(L, p, "mode", modes) == 1;
	lua_pop(L, 1);
	for (i = 0; i < r->n_rules; i++) {
		other = r->rules[i];
		if (other != rule && other->is_shadow == rule->is_shadow &&
		    strcmp(other->name, rule->name) == 0)
			lnx_parse_fail(
				L, p, NULL, "%s '%s' is already defined in %s:%d",
				rule->is_shadow ? "shadow rule" : "rule", rule->name,
				lnx_lua_printable(r->files[other->file].path, shown, sizeof(shown)),
				other->line);
	}
}

static void rule_when(lua_State *L, const struct lnx_parse *p)
{
	struct lnx_rule *rule = p->rule;

	rule->when = lnx_rule_function(L, p, "when");
	if (rule->when == LUA_NOREF && (rule->every_ns || rule->has_past))
		lnx_parse_fail(L, p, NULL,
			       "rule '%s' needs `when`: a function that returns true or false",
			       rule->name);
}

static void rule_times(lua_State *L, const struct lnx_parse *p)
{
	p->rule->keep_ns = rule_time(L, p, "keep", RULE_KEEP_NS);
	p->rule->cooldown_ns = rule_time(L, p, "cooldown", 0);
}

/* A step of reading a table, for a protected call. */
struct rule_step {
	struct lnx_parse *p;
	void (*fn)(lua_State *L, const struct lnx_parse *p);
};

static int rule_step_run(lua_State *L)
{
	const struct rule_step *s = lua_touserdata(L, 2);

	lua_settop(L, 1);
	s->fn(L, s->p);
	return 0;
}

/* Run <fn> on the table at 1. Its error is noted, so that one run tells all of them; whether there was none. */
static bool rule_try(lua_State *L, struct lnx_parse *p,
		     void (*fn)(lua_State *L, const struct lnx_parse *p))
{
	struct rule_step step = { p, fn };
	int rc;

	lua_pushcfunction(L, rule_step_run);
	lua_pushvalue(L, 1);
	lua_pushlightuserdata(L, &step);
	rc = lua_pcall(L, 2, 0, 0);
	if (rc == LUA_OK)
		return true;
	if (rc != LUA_ERRRUN || lnx_lua_of(L)->is_exceeded || lua_type(L, -1) != LUA_TSTRING)
		(void)lua_error(L);
	lnx_parse_note_text(p, lua_tostring(L, -1));
	lua_pop(L, 1);
	return false;
}

/* The table of `rule "name" { ... }`. */
static int rule_table(lua_State *L)
{
	struct lnx_parse *p = rule_parse_of(L);
	bool is_sound;

	if (!p->is_open)
		return luaL_error(L, "one rule cannot be filled twice");
	p->is_open = false;
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	rule_check_fields(L, p);
	(void)rule_try(L, p, rule_mode);
	if (!rule_try(L, p, rule_on))
		return 0; /* nothing else can be judged without the event */
	is_sound = rule_try(L, p, rule_windows);
	(void)rule_try(L, p, lnx_rule_by);
	(void)rule_try(L, p, rule_where);
	(void)rule_try(L, p, rule_times);
	(void)rule_try(L, p, lnx_rule_severity);
	(void)rule_try(L, p, lnx_rule_labels);
	(void)rule_try(L, p, lnx_rule_act);
	if (is_sound) {
		(void)rule_try(L, p, rule_when);
		(void)rule_try(L, p, rule_lasting);
		(void)rule_try(L, p, lnx_rule_say);
		(void)rule_try(L, p, lnx_rule_value);
	}
	if (!p->n_errs)
		rule_layout(L, p);
	return 0;
}

static int rule_caller_line(lua_State *L)
{
	lua_Debug ar;

	if (!lua_getstack(L, 1, &ar) || !lua_getinfo(L, "l", &ar))
		return 0;
	return ar.currentline > 0 ? ar.currentline : 0;
}

static const char *rule_name_arg(lua_State *L, struct lnx_parse *p, const char *what, size_t max)
{
	const char *name = luaL_checkstring(L, 1);

	p->line = rule_caller_line(L);
	if (p->is_open)
		lnx_parse_fail(L, p, NULL, "the %s before this line has no table { ... }", what);
	if (!*name || strlen(name) >= max)
		lnx_parse_fail(L, p, NULL, "the name of a %s has 1 to %d bytes", what,
			       (int)max - 1);
	p->is_open = true;
	return name;
}

/* Room for one more element in an array of <n>. */
static void rule_grow(lua_State *L, const struct lnx_parse *p, void **array, unsigned n,
		      size_t size)
{
	void *bigger;

	if (n & (n - 1))
		return; /* capacity is a power of two, and <n> is none: there is room */
	bigger = realloc(*array, (n ? 2 * (size_t)n : 1) * size);
	if (!bigger)
		lnx_parse_fail(L, p, NULL, "not enough memory");
	*array = bigger;
}

int lnx_rule_begin(lua_State *L)
{
	struct lnx_parse *p = rule_parse_of(L);
	struct lnx_rules *r = p->rules;
	const char *name = rule_name_arg(L, p, "rule", LNX_RULE_NAME);
	char shown[2 * LNX_RULE_NAME];
	unsigned i;

	for (i = 0; name[i]; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			lnx_parse_fail(L, p, NULL, "the name '%s' has control characters",
				       lnx_lua_printable(name, shown, sizeof(shown)));
	if (r->n_rules == LNX_RULES_MAX)
		lnx_parse_fail(L, p, NULL, "more than %d rules", LNX_RULES_MAX);
	rule_grow(L, p, (void **)&r->rules, r->n_rules, sizeof(*r->rules));
	p->rule = calloc(1, sizeof(*p->rule));
	if (!p->rule)
		lnx_parse_fail(L, p, NULL, "not enough memory");
	r->rules[r->n_rules++] = p->rule;
	(void)snprintf(p->rule->name, sizeof(p->rule->name), "%s", name);
	p->rule->file = p->file;
	p->rule->line = p->line;
	p->rule->when = p->rule->where = p->rule->severity = p->rule->say = LUA_NOREF;
	r->files[p->file].n_rules++;
	lua_pushcfunction(L, rule_table);
	return 1;
}

static void rule_test_fields(lua_State *L, const struct lnx_parse *p)
{
	static const char *const fields[] = { "feed", "fires", NULL };
	struct lnx_rule_test *t = &p->rules->tests[p->rules->n_tests];
	const char *key, *near;

	lua_pushnil(L);
	while (lua_next(L, 1)) {
		key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
		near = lnx_suggest(key, fields);
		if (!rule_is_in(fields, key))
			lnx_parse_fail(L, p, key, "unknown field '%s' of a test%s%s%s", key,
				       near ? " (did you mean '" : "", near ? near : "",
				       near ? "'?)" : "");
		lua_pop(L, 1);
	}
	t->feed = lnx_rule_function(L, p, "feed");
	if (t->feed == LUA_NOREF)
		lnx_parse_fail(L, p, NULL, "a test needs `feed`: a function");
	if (lua_getfield(L, 1, "fires") != LUA_TTABLE)
		lnx_parse_fail(L, p, "fires", "a test needs `fires`: a list, {} for none");
	t->fires = luaL_ref(L, LUA_REGISTRYINDEX);
	p->rules->n_tests++;
	p->rules->files[p->file].n_tests++;
}

/* The table of `test "name" { feed = ..., fires = ... }`. */
static int rule_test_table(lua_State *L)
{
	struct lnx_parse *p = rule_parse_of(L);

	if (!p->is_open)
		return luaL_error(L, "one test cannot be filled twice");
	p->is_open = false;
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	(void)rule_try(L, p, rule_test_fields);
	return 0;
}

int lnx_test_begin(lua_State *L)
{
	struct lnx_parse *p = rule_parse_of(L);
	struct lnx_rule_test *t;
	const char *name = rule_name_arg(L, p, "test", sizeof(t->name));

	if (p->rules->n_tests == LNX_RULE_TESTS)
		lnx_parse_fail(L, p, NULL, "more than %d tests", LNX_RULE_TESTS);
	rule_grow(L, p, (void **)&p->rules->tests, p->rules->n_tests, sizeof(*t));
	t = &p->rules->tests[p->rules->n_tests];
	(void)lnx_lua_printable(name, t->name, sizeof(t->name));
	t->file = p->file;
	t->line = p->line;
	lua_pushcfunction(L, rule_test_table);
	return 1;
}

static void rule_free_where(struct lnx_filter *f, unsigned n)
{
	unsigned i;

	for (i = 0; f && i < n; i++)
		free(f[i].text);
	free(f);
}

void lnx_rule_free(struct lnx_rules *r, struct lnx_rule *rule)
{
	unsigned i, k;

	if (!rule)
		return;
	lnx_keys_done(r, rule);
	for (i = 0; i < rule->n_ons; i++) {
		rule_free_where(rule->ons[i].where, rule->ons[i].n_where);
		for (k = 0; k < LNX_RULE_WINDOWS + LNX_RULE_SERIES; k++)
			rule_free_where(rule->ons[i].feeds[k].where, rule->ons[i].feeds[k].n_where);
	}
	free(rule->say_text);
	free(rule->labels_json);
	free(rule->host_sum);
	free(rule->host_weight);
	free(rule);
}
