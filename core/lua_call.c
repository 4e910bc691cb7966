/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Calls of a rule's own functions: protected, in budget, timed now and then; failures counted until the rule is disabled. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <linnix/ev_alert.h>

#include "lua_bind.h"

struct call {
	struct lnx_rules *r;
	struct lnx_rule *rule;
	unsigned kind; /* enum lnx_rule_fn */
	int fn;
	bool is_true;	   /* of when and where */
	uint32_t severity; /* of severity */
	char *text;	   /* of say */
	size_t cap;
};

static const char *const call_names[LNX_FN_N] = { "when", "where", "severity", "say" };

static uint64_t call_clock(void)
{
	struct timespec ts;

	/* only the cost of a rule is told with it: no result depends on it */
	if (clock_gettime(CLOCK_MONOTONIC, &ts) != 0)
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void call_push_key(lua_State *L, const struct lnx_rule *rule, const struct lnx_key *key)
{
	struct lnx_value num;

	if (!key || !rule->n_bys) {
		lua_pushnil(L);
	} else if (key->is_text) {
		(void)lua_pushstring(L, lnx_key_text(key));
	} else {
		num = lnx_key_value(key);
		lnx_bind_push(L, &num);
	}
}

/* A result of the wrong kind: an error of the rule as any other. */
static int call_result(const struct call *c, const char *expected, struct lnx_err *err)
{
	c->r->lua->is_sure = true;
	(void)lnx_err_set(err, 0, "%s must return %s, not a %s", call_names[c->kind], expected,
			  luaL_typename(c->r->lua->L, -1));
	return -EINVAL;
}

/* Function and arguments; the number of arguments. A text key takes memory: only inside of a call then. */
static int call_push(lua_State *L, const struct call *c)
{
	const struct lnx_rules *r = c->r;
	bool is_where = c->kind == LNX_FN_WHERE;

	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, c->fn);
	if (is_where && !c->rule->every_ns) {
		(void)lua_rawgeti(L, LUA_REGISTRYINDEX, r->ref_ev);
		return 1;
	}
	if (c->rule->every_ns) {
		(void)lua_rawgeti(L, LUA_REGISTRYINDEX, r->ref_host);
		(void)lua_rawgeti(L, LUA_REGISTRYINDEX, r->ref_w);
		return 2;
	}
	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, r->ref_w);
	call_push_key(L, c->rule, r->key);
	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, r->ref_ev);
	return 3;
}

static int call_inside(lua_State *L)
{
	const struct call *c = lua_touserdata(L, 1);

	lua_call(L, call_push(L, c), 1);
	return 1;
}

/* Call, and leave one result on the stack. */
static int call_lua(const struct call *c, struct lnx_err *err)
{
	struct lnx_lua *l = c->r->lua;

	if (!c->r->key || !c->r->key->is_text)
		return lnx_lua_pcall(l, call_push(l->L, c), 1, 0, err);
	lua_pushcfunction(l->L, call_inside);
	lua_pushlightuserdata(l->L, (void *)(uintptr_t)c);
	return lnx_lua_pcall(l, 1, 1, 0, err);
}

static int call_bool(struct call *c, struct lnx_err *err)
{
	int type = lua_type(c->r->lua->L, -1);

	if (type != LUA_TBOOLEAN && type != LUA_TNIL)
		return call_result(c, "true or false", err);
	c->is_true = lua_toboolean(c->r->lua->L, -1);
	return 0;
}

static int call_severity(struct call *c, struct lnx_err *err)
{
	static const char *const names[] = { "info", "warning", "critical", NULL };
	lua_State *L = c->r->lua->L;

	for (c->severity = 0; names[c->severity]; c->severity++)
		if (lua_type(L, -1) == LUA_TSTRING &&
		    strcmp(lua_tostring(L, -1), names[c->severity]) == 0)
			return 0;
	return call_result(c, "\"info\", \"warning\" or \"critical\"", err);
}

static int call_say(struct call *c, struct lnx_err *err)
{
	lua_State *L = c->r->lua->L;
	const char *text;
	size_t n;

	if (lua_type(L, -1) != LUA_TSTRING)
		return call_result(c, "a text", err);
	text = lua_tostring(L, -1);
	n = lnx_alert_cut(text, strlen(text), c->cap - 1);
	memcpy(c->text, text, n);
	c->text[n] = 0;
	return 0;
}

void lnx_call_drop(struct lnx_rules *r, struct lnx_rule *rule)
{
	int *refs[] = { &rule->when, &rule->where, &rule->severity, &rule->say };
	unsigned i;

	rule->is_disabled = true;
	/* what only this rule held can go */
	for (i = 0; i < 4; i++) {
		luaL_unref(r->lua->L, LUA_REGISTRYINDEX, *refs[i]);
		*refs[i] = LUA_NOREF;
	}
	(void)lua_gc(r->lua->L, LUA_GCCOLLECT);
}

static void call_disable(struct lnx_rules *r, struct lnx_rule *rule)
{
	char shown[256];

	if (rule->is_disabled)
		return;
	lnx_call_drop(r, rule);
	if (!r->emit_arg && !r->rehearsal) /* they tell it themselves */
		lnx_log(LNX_ERROR, "rules: '%s' is disabled: %s:%d: %s", rule->name,
			lnx_lua_printable(r->files[rule->file].path, shown, sizeof(shown)),
			rule->error_line, rule->error);
	lnx_alert_disabled(r, rule);
}

/* The memory of all rules is nearly gone also after a collection: who holds most of it must go, not who asked last. */
static void call_find_hog(struct lnx_rules *r)
{
	struct lnx_rule *hog;

	(void)lua_gc(r->lua->L, LUA_GCCOLLECT);
	if (r->lua->used_bytes < r->lua->max_bytes / 4 * 3)
		return;
	hog = lnx_hog_find(r);
	if (!hog)
		return;
	(void)snprintf(hog->error, sizeof(hog->error), "holds most of the memory of all rules");
	hog->error_line = hog->line;
	call_disable(r, hog);
}

static void call_failed(const struct call *c, const struct lnx_err *err, int rc)
{
	struct lnx_rules *r = c->r;
	struct lnx_rule *rule = c->rule;

	(void)snprintf(rule->error, sizeof(rule->error), "%s", err->msg);
	rule->error_line = err->line ? err->line : rule->line;
	rule->failed++;
	rule->failures[c->kind]++;
	if (r->rehearsal && (r->lua->is_sure || rc == -ETIME))
		lnx_rehearse_note(r, rule);
	if (rule->failures[c->kind] >= LNX_RULE_FAILURES)
		call_disable(r, rule);
	if (rc == -ENOMEM)
		call_find_hog(r);
}

/* Call and take the result with <take>. */
static int call_run(struct call *c, int (*take)(struct call *c, struct lnx_err *err))
{
	struct lnx_rules *r = c->r;
	struct lnx_rule *rule = c->rule;
	bool is_timed = rule->calls++ % LNX_TIMED_ONE_IN == 0;
	uint64_t from = is_timed ? call_clock() : 0;
	struct lnx_err err;
	int rc;

	err.line =
		0; /* the rest is written with a failure; clearing it costs as much as a small rule */
	rc = call_lua(c, &err);
	if (rc == 0) {
		rc = take(c, &err);
		lua_pop(r->lua->L, 1);
	}
	if (is_timed) {
		from = call_clock() - from;
		lnx_cost_add(rule, from);
		if (rule->m_eval)
			lnx_metric_observe(rule->m_eval, (double)from / 1e9);
	}
	if (rc != 0) {
		call_failed(c, &err, rc);
		return rc;
	}
	rule->failures[c->kind] = 0;
	return 0;
}

int lnx_call_when(struct lnx_rules *r, struct lnx_rule *rule, bool *ret_is_true)
{
	struct call c = { .r = r, .rule = rule, .kind = LNX_FN_WHEN, .fn = rule->when };
	int rc;

	rule->evals++;
	if (rule->when == LUA_NOREF) {
		*ret_is_true = true;
		return 0;
	}
	r->n_reads = 0;
	r->is_reading = true;
	rc = call_run(&c, call_bool);
	r->is_reading = false;
	if (rc == 0) {
		*ret_is_true = c.is_true;
		rule->seen |= c.is_true ? LNX_SEEN_TRUE : LNX_SEEN_FALSE;
	}
	return rc;
}

int lnx_call_where(struct lnx_rules *r, struct lnx_rule *rule, bool *ret_is_true)
{
	struct call c = { .r = r, .rule = rule, .kind = LNX_FN_WHERE, .fn = rule->where };
	int rc = call_run(&c, call_bool);

	if (rc == 0)
		*ret_is_true = c.is_true;
	return rc;
}

int lnx_call_severity(struct lnx_rules *r, struct lnx_rule *rule, uint32_t *ret_severity)
{
	struct call c = { .r = r, .rule = rule, .kind = LNX_FN_SEVERITY, .fn = rule->severity };
	int rc = 0;

	if (rule->severity == LUA_NOREF)
		c.severity = rule->severity_is;
	else
		rc = call_run(&c, call_severity);
	if (rc == 0) {
		*ret_severity = c.severity;
		rule->seen |= LNX_SEEN_INFO << c.severity;
	}
	return rc;
}

int lnx_call_say(struct lnx_rules *r, struct lnx_rule *rule, char *buf, size_t cap)
{
	struct call c = {
		.r = r, .rule = rule, .kind = LNX_FN_SAY, .fn = rule->say, .text = buf, .cap = cap
	};

	return call_run(&c, call_say);
}
