/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Coverage of tests: lines of the rules' functions that ran, outcomes of the tests in them, and what the functions returned. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua_branch.h"
#include "lua_engine.h"
#include "lua_parse.h"

#define COVER_LINES_MAX (LNX_LUA_FILE_BYTES) /* a line has a byte */
#define COVER_SHOWN	20		     /* lines and outcomes that were missed, of one rule */
#define COVER_TEXT_MAX	(4 * LNX_LUA_FILE_BYTES)

struct cover {
	struct lnx_rules *r;
	struct lnx_buf *tap;
	unsigned lines, ran, outcomes, taken; /* of all rules */
	unsigned from[4], to[4]; /* lines of the functions of the rule that is looked at */
	unsigned n_functions;
	unsigned rules, both;
	unsigned numbers[4096]; /* lines of the rule that is looked at */
};

static void cover_on_line(lua_State *L, lua_Debug *ar)
{
	struct lnx_rules *r = lnx_lua_of(L)->owner;
	unsigned byte = ar->currentline > 0 ? (unsigned)ar->currentline / 8 : 0, n;
	struct lnx_rule_file *f;
	unsigned long chunk;
	void *p;

	if (!lua_getinfo(L, "S", ar) || strncmp(ar->source, "=#", 2) != 0)
		return;
	chunk = strtoul(ar->source + 2, NULL, 10);
	if (chunk >= r->n_files || byte >= COVER_LINES_MAX / 8)
		return;
	f = &r->files[chunk];
	if (byte >= f->n_ran) {
		n = 2 * byte + 64;
		p = realloc(f->ran, n);
		if (!p)
			return; /* such a line is told as one that did not run */
		f->ran = p;
		memset(f->ran + f->n_ran, 0, n - f->n_ran);
		f->n_ran = n;
	}
	f->ran[byte] |= (uint8_t)(1u << (ar->currentline % 8));
}

/* LNX_BRANCH_CALL(n, value): gives the value. Upvalue 1 is the file. */
static int cover_outcome(lua_State *L)
{
	const struct lnx_rules *r = lnx_lua_of(L)->owner;
	lua_Integer file = lua_tointeger(L, lua_upvalueindex(1)), n = luaL_checkinteger(L, 1);

	lua_settop(L, 2);
	if (n >= 0 && n < r->files[file].n_branches)
		r->files[file].branches[n].seen |=
			lua_toboolean(L, 2) ? LNX_BRANCH_TRUE : LNX_BRANCH_FALSE;
	return 1;
}

void lnx_cover_load(lua_State *L, struct lnx_parse *p)
{
	struct lnx_rule_file *f = &p->rules->files[p->file];

	p->marked.max = COVER_TEXT_MAX;
	if (lnx_branch_mark(p->text, p->bytes, &p->marked, &f->branches, &f->n_branches) < 0)
		return;
	lua_pushliteral(L, LNX_BRANCH_CALL);
	lua_pushinteger(L, p->file);
	lua_pushcclosure(L, cover_outcome, 1);
	lua_rawset(L, p->env);
	lnx_lua_load(L, p->file, p->marked.data ? p->marked.data : "", p->marked.size, p->env);
	lua_replace(L, -2);
}

void lnx_cover_begin(struct lnx_rules *r)
{
	unsigned i, k, w;

	for (i = 0; i < r->n_files; i++)
		for (k = 0; k < r->files[i].n_branches; k++)
			r->files[i].branches[k].seen = 0;
	for (i = 0; i < r->n_rules; i++) {
		struct lnx_rule *rule = r->rules[i];

		rule->seen = 0;
		for (k = 0; k < rule->n_ons; k++)
			for (w = 0; w < rule->ons[k].n_where; w++)
				rule->ons[k].where[w].seen = 0;
	}
	r->lua->on_line = cover_on_line;
	lua_sethook(r->lua->L, NULL, 0, 0);
}

static const char *const cover_outcomes[] = { "true", "false" };

static bool cover_has_run(const struct lnx_rule_file *f, unsigned line)
{
	return line / 8 < f->n_ran && f->ran[line / 8] >> (line % 8) & 1;
}

/* Lines of the function at <ref> into numbers; *n counts on. */
static int cover_function(lua_State *L, struct cover *c, int ref, unsigned *n)
{
	const unsigned max = sizeof(c->numbers) / sizeof(c->numbers[0]);
	unsigned *lines = c->numbers;
	lua_Debug ar;
	int first, last;

	if (lua_rawgeti(L, LUA_REGISTRYINDEX, ref) != LUA_TFUNCTION || lua_iscfunction(L, -1)) {
		lua_pop(L, 1);
		return 0;
	}
	if (!lua_getinfo(L, ">SL", &ar))
		return 0;
	first = ar.linedefined;
	last = ar.lastlinedefined;
	c->from[c->n_functions] = (unsigned)first;
	c->to[c->n_functions++] = (unsigned)last;
	for (lua_pushnil(L); lua_istable(L, -2) && lua_next(L, -2); lua_pop(L, 1)) {
		lua_Integer line = lua_tointeger(L, -2);

		/* its `end` only runs when nothing was returned before */
		if (*n < max && (line != last || first == last))
			lines[(*n)++] = (unsigned)line;
	}
	lua_pop(L, 1);
	return 0;
}

static int cover_compare(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return x < y ? -1 : x > y;
}

static void cover_results(struct cover *c, const struct lnx_rule *rule)
{
	static const char *const severities[] = { "info", "warning", "critical" };
	const char *between = " ";
	unsigned i;

	if (rule->when != LUA_NOREF) {
		bool is_true = rule->seen & LNX_SEEN_TRUE, is_false = rule->seen & LNX_SEEN_FALSE;

		c->rules++;
		c->both += is_true && is_false;
		lnx_buf_str(c->tap, is_true && is_false ? "when true and false"
				    : is_true		? "when only true"
				    : is_false		? "when only false"
							: "when never called");
	} else {
		lnx_buf_str(c->tap, "no when");
	}
	if (rule->severity == LUA_NOREF)
		return;
	lnx_buf_str(c->tap, ", severity");
	for (i = 0; i < 3; i++)
		if (rule->seen & LNX_SEEN_INFO << i) {
			lnx_buf_printf(c->tap, "%s%s", between, severities[i]);
			between = ", ";
		}
}

static bool cover_is_inside(const struct cover *c, int line)
{
	unsigned i;

	for (i = 0; i < c->n_functions; i++)
		if ((unsigned)line >= c->from[i] && (unsigned)line <= c->to[i])
			return true;
	return false;
}

/* Both outcomes of each table of `where`: the fields themselves, and those of which one must match by their numbers. */
static void cover_where(const struct lnx_rule *rule, unsigned *n, unsigned *taken,
			struct lnx_buf *missed)
{
	unsigned i, k, o;

	for (i = 0; i < rule->n_ons; i++)
		for (k = 0; k < rule->ons[i].n_where; k++) {
			const struct lnx_filter *w = &rule->ons[i].where[k];
			char number[12] = "";

			if (k && w[0].any == w[-1].any)
				continue;
			if (w->any)
				(void)snprintf(number, sizeof(number), " %u", w->any);
			for (o = 0; o < 2; o++, ++*n) {
				if (w->seen >> o & 1)
					++*taken;
				else
					lnx_buf_printf(missed, "%swhere%s %s",
						       missed->size ? ", " : "", number,
						       cover_outcomes[o]);
			}
		}
}

/* Both outcomes of each test in the rule's functions, and of its filters. */
static void cover_branches(struct cover *c, const struct lnx_rule *rule,
			   const struct lnx_rule_file *f)
{
	struct lnx_buf where = { 0 };
	unsigned i, k, n = 0, taken = 0, missed = 0;

	if (!f->branches) {
		lnx_buf_str(c->tap, "; branches not told apart");
		return;
	}
	for (i = 0; i < f->n_branches; i++)
		if (cover_is_inside(c, f->branches[i].line)) {
			n += 2;
			taken += (f->branches[i].seen & 1u) + (f->branches[i].seen >> 1);
		}
	cover_where(rule, &n, &taken, &where);
	c->outcomes += n;
	c->taken += taken;
	lnx_buf_printf(c->tap, "; %u of %u branches", taken, n);
	if (where.size) {
		lnx_buf_printf(c->tap, "; not taken: %s", where.data);
		missed++;
	}
	lnx_buf_done(&where);
	for (i = 0; i < 2 * f->n_branches; i++) {
		const struct lnx_branch *b = &f->branches[i / 2];

		k = i % 2;
		if (!cover_is_inside(c, b->line) || b->seen >> k & 1 || missed++ >= COVER_SHOWN)
			continue;
		lnx_buf_printf(c->tap, "%s%d:%d %s", missed == 1 ? "; not taken: " : ", ", b->line,
			       b->column, cover_outcomes[k]);
	}
	lnx_buf_str(c->tap, missed > COVER_SHOWN ? " ..." : "");
}

static int cover_rule(lua_State *L)
{
	struct cover *c = lua_touserdata(L, 1);
	const struct lnx_rule *rule = c->r->rule;
	const struct lnx_rule_file *f = &c->r->files[rule->file];
	unsigned *lines = c->numbers;
	const int refs[] = { rule->where, rule->when, rule->severity, rule->say };
	unsigned n = 0, i, k, ran = 0, missed = 0;

	c->n_functions = 0;
	for (i = 0; i < 4; i++)
		(void)cover_function(L, c, refs[i], &n);
	qsort(lines, n, sizeof(lines[0]), cover_compare);
	for (i = k = 0; i < n; i++)
		if (i == 0 || lines[i] != lines[i - 1])
			lines[k++] = lines[i];
	for (i = 0; i < k; i++)
		ran += cover_has_run(f, lines[i]);
	c->lines += k;
	c->ran += ran;
	lnx_buf_printf(c->tap, "# coverage: %s: ", rule->name);
	cover_results(c, rule);
	lnx_buf_printf(c->tap, "; %u of %u lines", ran, k);
	for (i = 0; i < k; i++)
		if (!cover_has_run(f, lines[i]) && missed++ < COVER_SHOWN)
			lnx_buf_printf(c->tap, "%s%u", missed == 1 ? "; not run: " : ", ",
				       lines[i]);
	lnx_buf_str(c->tap, missed > COVER_SHOWN ? " ..." : "");
	cover_branches(c, rule, f);
	lnx_buf_char(c->tap, '\n');
	return 0;
}

void lnx_cover_end(struct lnx_rules *r, struct lnx_buf *tap)
{
	struct cover c = { .r = r, .tap = tap };
	unsigned i;

	r->lua->on_line = NULL;
	lua_sethook(r->lua->L, NULL, 0, 0);
	for (i = 0; i < r->n_rules; i++) {
		r->rule = r->rules[i];
		(void)lnx_lua_call(r->lua, cover_rule, &c, 0, NULL); /* only memory can be short */
	}
	r->rule = NULL;
	if (r->n_rules)
		lnx_buf_printf(tap,
			       "# coverage: %u of %u lines; %u of %u branches; %u of %u conditions "
			       "both true and false\n",
			       c.ran, c.lines, c.taken, c.outcomes, c.both, c.rules);
}
