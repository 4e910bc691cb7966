/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Of a rule table what its alerts carry: severity, sentence, labels, figures. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linnix/ev_action.h>
#include <linnix/ev_alert.h>

#include "lua_parse.h"

#define OUT_SAY_MAX    512
#define OUT_LABELS_MAX 768 /* bytes of JSON: an alert's string holds 1,024 */

static const char *const out_severities[] = { "info", "warning", "critical", NULL };
static const char *const out_blames[] = { "cpu", "memory", "io", NULL };

unsigned lnx_rule_word(lua_State *L, const struct lnx_parse *p, const char *field,
		       const char *const *words)
{
	const char *s = lua_tostring(L, -1), *near = lnx_suggest(s, words);
	char shown[64], all[64] = "";
	size_t n = 0;
	unsigned i;

	for (i = 0; words[i]; i++) {
		if (strcmp(words[i], s) == 0)
			return i;
		n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%s", i ? ", " : "", words[i]);
	}
	(void)lnx_lua_printable(s, shown, sizeof(shown));
	if (near)
		lnx_parse_fail(L, p, field, "%s: unknown value '%s' (did you mean '%s'?)", field,
			       shown, near);
	lnx_parse_fail(L, p, field, "%s: unknown value '%s' (one of %s)", field, shown, all);
	return 0;
}

void lnx_rule_severity(lua_State *L, const struct lnx_parse *p)
{
	int type = lua_getfield(L, 1, "severity");

	p->rule->severity_is = LNX_SEV_WARNING;
	if (type == LUA_TFUNCTION) {
		p->rule->severity = luaL_ref(L, LUA_REGISTRYINDEX);
		return;
	}
	if (type == LUA_TSTRING)
		p->rule->severity_is = lnx_rule_word(L, p, "severity", out_severities);
	else if (type != LUA_TNIL)
		lnx_parse_fail(L, p, "severity",
			       "severity: expected a text or a function, not a %s",
			       luaL_typename(L, -1));
	lua_pop(L, 1);
}

static char *out_copy(lua_State *L, const struct lnx_parse *p, const char *s)
{
	char *copy = strdup(s);

	if (!copy)
		lnx_parse_fail(L, p, NULL, "not enough memory");
	return copy;
}

void lnx_rule_say(lua_State *L, const struct lnx_parse *p)
{
	const char *s, *end;
	char shown[64];

	if (lua_getfield(L, 1, "say") == LUA_TFUNCTION) {
		p->rule->say = luaL_ref(L, LUA_REGISTRYINDEX);
		return;
	}
	lua_pop(L, 1);
	s = lnx_rule_text(L, p, "say");
	if (s && strlen(s) > OUT_SAY_MAX)
		lnx_parse_fail(L, p, "say", "say: longer than %d bytes", OUT_SAY_MAX);
	if (s)
		p->rule->say_text = out_copy(L, p, s);
	for (s = s ? strchr(s, '{') : NULL; s; s = strchr(end, '{')) {
		end = strchr(++s, '}');
		(void)snprintf(shown, sizeof(shown), "%.*s", end ? (int)(end - s) : 20, s);
		if (!end)
			lnx_parse_fail(L, p, "say", "say: '{%s' has no '}'", shown);
		if (lnx_alert_name(p->rules, p->rule, s, (size_t)(end - s)) < 0)
			lnx_parse_fail(L, p, "say", "say: unknown name '{%s}'", shown);
	}
	lua_pop(L, 1);
}

/* labels, runbook and blame travel in one JSON object; keys in order, so that two runs give the same bytes. */
void lnx_rule_labels(lua_State *L, const struct lnx_parse *p)
{
	struct lnx_buf b = { .max = OUT_LABELS_MAX + 1 };
	const char *blame, *runbook, *keys[16], *values[16], *k;
	unsigned n = 0, i;
	int rc;

	blame = lnx_rule_text(L, p, "blame");
	if (blame)
		(void)lnx_rule_word(L, p, "blame", out_blames);
	runbook = lnx_rule_text(L, p, "runbook");
	if (lua_getfield(L, 1, "labels") != LUA_TNIL && !lua_istable(L, -1))
		lnx_parse_fail(L, p, "labels", "labels: expected a table, not a %s",
			       luaL_typename(L, -1));
	for (lua_pushnil(L); lua_istable(L, -2) && lua_next(L, -2); lua_pop(L, 1)) {
		if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING || n == 16)
			lnx_parse_fail(L, p, "labels", "labels: at most 16 names with texts");
		k = lua_tostring(L, -2);
		for (i = n++; i && strcmp(keys[i - 1], k) > 0; i--) {
			keys[i] = keys[i - 1];
			values[i] = values[i - 1];
		}
		keys[i] = k;
		values[i] = lua_tostring(L, -1);
	}
	lnx_buf_char(&b, '{');
	if (blame)
		lnx_json_kv_str(&b, "blame", blame);
	if (runbook)
		lnx_json_kv_str(&b, "runbook", runbook);
	for (i = 0; i < n; i++)
		lnx_json_kv_str(&b, keys[i], values[i]);
	lnx_buf_char(&b, '}');
	rc = lnx_buf_error(&b);
	if (rc == 0 && (blame || runbook || n))
		p->rule->labels_json = b.data;
	else
		lnx_buf_done(&b);
	if (rc != 0)
		lnx_parse_fail(L, p, "labels", "labels: more than %d bytes", OUT_LABELS_MAX);
	lua_settop(L, 1);
}

void lnx_rule_value(lua_State *L, const struct lnx_parse *p)
{
	struct lnx_rule *rule = p->rule;
	const char *s = lnx_rule_text(L, p, "value");
	char shown[64];

	rule->value = s ? lnx_alert_figure(p->rules, rule, s, strlen(s)) : -1;
	if (s && rule->value < 0)
		lnx_parse_fail(L, p, "value",
			       "value: '%s' is neither a window nor of a series nor a fact",
			       lnx_lua_printable(s, shown, sizeof(shown)));
	lua_pop(L, 1);
	rule->threshold = NAN;
	if (lua_getfield(L, 1, "threshold") == LUA_TNUMBER)
		rule->threshold = lua_tonumber(L, -1);
	else if (!lua_isnil(L, -1))
		lnx_parse_fail(L, p, "threshold", "threshold: expected a number, not a %s",
			       luaL_typename(L, -1));
	lua_pop(L, 1);
}

static const struct out_signal {
	const char *name;
	int number;
} out_signals[] = { { "TERM", SIGTERM }, { "KILL", SIGKILL }, { "INT", SIGINT },
		    { "QUIT", SIGQUIT }, { "HUP", SIGHUP },   { "STOP", SIGSTOP },
		    { "CONT", SIGCONT }, { "USR1", SIGUSR1 }, { "USR2", SIGUSR2 } };

/* The verb on top of the stack into <a>. */
static void out_act_verb(lua_State *L, const struct lnx_parse *p, struct lnx_rule_act *a)
{
	const char *s = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
	char *end = NULL, shown[40];
	unsigned i;

	(void)lnx_lua_printable(s, shown, sizeof(shown));
	switch (a->verb) {
	case LNX_ACTION_THROTTLE:
		a->value = strtod(s, &end);
		if (end == s || strcmp(end, "%") != 0 || !(a->value >= 1 && a->value <= 100000))
			lnx_parse_fail(
				L, p, "act",
				"act: throttle is a share of one CPU such as \"50%%\", not '%s'",
				shown);
		return;
	case LNX_ACTION_WEIGHT:
		a->value = lua_isinteger(L, -1) ? lua_tonumber(L, -1) : 0;
		if (!(a->value >= 1 && a->value <= 10000))
			lnx_parse_fail(L, p, "act", "act: weight is a whole number, 1 to 10000");
		return;
	case LNX_ACTION_FREEZE:
		if (lua_type(L, -1) != LUA_TBOOLEAN || !lua_toboolean(L, -1))
			lnx_parse_fail(L, p, "act", "act: freeze can only be true");
		return;
	}
	for (i = 0; i < sizeof(out_signals) / sizeof(out_signals[0]); i++)
		if (strcmp(out_signals[i].name, s) == 0)
			a->signal = (uint32_t)out_signals[i].number;
	if (!a->signal)
		lnx_parse_fail(L, p, "act",
			       "act: signal is TERM, KILL, INT, QUIT, HUP, STOP, CONT, USR1 or "
			       "USR2, not '%s'",
			       shown);
}

/* act = { throttle = "50%", lease = "10m" } */
void lnx_rule_act(lua_State *L, const struct lnx_parse *p)
{
	static const char *const keys[] = {
		"throttle", "weight", "freeze", "signal", "lease", NULL
	}; /* by verbs */
	struct lnx_rule_act *a = &p->rule->act;
	const char *key, *near;
	char shown[64];
	unsigned i, n = 0;

	if (lua_getfield(L, 1, "act") == LUA_TNIL)
		return;
	if (!lua_istable(L, -1))
		lnx_parse_fail(L, p, "act",
			       "act: expected a table such as { throttle = \"50%%\" }, not a %s",
			       luaL_typename(L, -1));
	if (p->rule->every_ns)
		lnx_parse_fail(
			L, p, "act",
			"act: a rule with `every` is about the machine, so there is nobody to act on: use `on`, such as on = \"stall.tree\"");
	a->value = NAN;
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
		key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
		for (i = 0; keys[i] && strcmp(keys[i], key) != 0; i++)
			;
		if (!keys[i]) {
			near = lnx_suggest(key, keys);
			lnx_parse_fail(L, p, "act", "act: unknown word '%s'%s%s%s",
				       lnx_lua_printable(key, shown, sizeof(shown)),
				       near ? " (did you mean '" : "", near ? near : "",
				       near ? "'?)" : "");
		} else if (i <= LNX_ACTION_SIGNAL) {
			a->verb = i;
			n++;
		} else {
			a->lease_ns = lnx_parse_time(L, p, "act", -1);
		}
	}
	if (n != 1)
		lnx_parse_fail(L, p, "act",
			       "act: exactly one of throttle, weight, freeze and signal");
	(void)lua_getfield(L, -1, keys[a->verb]);
	out_act_verb(L, p, a);
	a->is_set = true;
}
