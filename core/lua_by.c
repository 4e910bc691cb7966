/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* `by`: what the key of an event is made of. One field, `tree` or `container`, or a list of them. */
#include <stdio.h>
#include <string.h>

#include "lua_bind.h"
#include "lua_parse.h"

/* ---- reading */

static void by_part(lua_State *L, const struct lnx_parse *p, const char *by)
{
	struct lnx_rule *rule = p->rule;
	unsigned i, n = rule->n_bys;
	size_t used = strlen(rule->by_text);
	const char *near;
	char shown[64];

	if (n == LNX_RULE_BYS)
		lnx_parse_fail(L, p, "by", "by: more than %d parts", LNX_RULE_BYS);
	rule->by[n] = strcmp(by, "tree") == 0	     ? LNX_BY_TREE
		      : strcmp(by, "container") == 0 ? LNX_BY_CONTAINER
						     : LNX_BY_FIELD;
	(void)lnx_lua_printable(by, shown, sizeof(shown));
	for (i = 0; i < rule->n_ons; i++) {
		struct lnx_rule_on *on = &rule->ons[i];

		if (rule->by[n] != LNX_BY_FIELD) {
			if (!(on->desc->flags & LNX_EVF_PROCESS))
				lnx_parse_fail(L, p, "by", "by: %s is not about a process",
					       on->desc->name);
			continue;
		}
		on->by[n] = lnx_lua_bind_field(on->desc, by);
		near = on->by[n] ? NULL : lnx_lua_bind_suggest(on->desc, by);
		if (near)
			lnx_parse_fail(L, p, "by", "by: %s has no field '%s' (did you mean '%s'?)",
				       on->desc->name, shown, near);
		if (!on->by[n])
			lnx_parse_fail(L, p, "by", "by: %s has no field '%s'", on->desc->name,
				       shown);
	}
	(void)snprintf(rule->by_text + used, sizeof(rule->by_text) - used, "%s%s", n ? "," : "",
		       shown);
	rule->n_bys++;
}

void lnx_rule_by(lua_State *L, const struct lnx_parse *p)
{
	int type = lua_getfield(L, 1, "by");
	lua_Integer i, n;

	if (type == LUA_TNIL)
		return;
	if (p->rule->every_ns)
		lnx_parse_fail(L, p, "by", "by: a rule with `every` is about the machine");
	if (type == LUA_TSTRING) {
		by_part(L, p, lua_tostring(L, -1));
		return;
	}
	n = type == LUA_TTABLE ? (lua_Integer)lua_rawlen(L, -1) : 0;
	if (n == 0)
		lnx_parse_fail(L, p, "by", "by: expected the name of a field or a list of them");
	for (i = 1; i <= n; i++) {
		if (lua_rawgeti(L, -1, i) != LUA_TSTRING)
			lnx_parse_fail(L, p, "by", "by: expected names of fields");
		by_part(L, p, lua_tostring(L, -1));
		lua_pop(L, 1);
	}
}

/* ---- finding */

/* A part of the key of an event. */
struct part {
	struct lnx_value v;
	uint64_t start_ns; /* of a tree's root; else 0 */
	char text[LNX_STR_MAX];
};

static bool part_is_text(const struct part *part)
{
	return part->v.kind == LNX_VAL_STR || part->v.kind == LNX_VAL_JSON;
}

/* False: the event lacks it. */
static bool part_get(struct lnx_rules *r, const struct lnx_rule *rule, const struct lnx_rule_on *on,
		     const struct lnx_event *ev, unsigned i, struct part *ret_part)
{
	ret_part->start_ns = 0;
	if (rule->by[i] == LNX_BY_FIELD) {
		ret_part->v = lnx_lua_bind_value(r, ev, on->by[i]);
		if (ret_part->v.kind == LNX_VAL_F64)
			ret_part->v.f64 += 0.0; /* of two zeros one key */
		return ret_part->v.kind != LNX_VAL_NONE;
	}
	if (rule->by[i] == LNX_BY_TREE) {
		if (!r->has_tree)
			lnx_tree_subject(r, on, ev, true, &r->tree);
		r->has_tree = true;
		ret_part->v.kind = LNX_VAL_U64;
		ret_part->v.u64 = r->tree.pid;
		ret_part->start_ns = r->tree.start_ns;
		return true;
	}
	ret_part->v.kind = LNX_VAL_STR;
	ret_part->v.str = ret_part->text;
	ret_part->v.size =
		(uint32_t)lnx_tree_container(r, on, ev, ret_part->text, sizeof(ret_part->text));
	return ret_part->v.size != 0;
}

static void part_hash(const struct part *part, uint64_t ret_h[2])
{
	const uint64_t id[2] = { part->v.u64, part->start_ns };

	if (part_is_text(part)) {
		ret_h[0] = lnx_key_hash(part->v.str, part->v.size, 1);
		ret_h[1] = lnx_key_hash(part->v.str, part->v.size, 2);
	} else {
		ret_h[0] = lnx_key_hash(id, sizeof(id), 3);
		ret_h[1] = id[0] ^ id[1] << 32;
	}
}

/* The text of a key: its parts with a slash between them. */
static void parts_show(struct lnx_key *key, const struct part *parts, unsigned n)
{
	char text[LNX_RULE_BYS * (LNX_STR_MAX + 1)], number[32];
	size_t size = 0, bytes;
	const char *s;
	unsigned i;

	for (i = 0; i < n; i++) {
		s = number;
		if (part_is_text(&parts[i]))
			s = parts[i].v.str;
		else
			lnx_key_number(&parts[i].v, number, sizeof(number));
		bytes = part_is_text(&parts[i]) ? parts[i].v.size : strlen(number);
		bytes = lnx_alert_cut(s, bytes, LNX_STR_MAX);
		if (i)
			text[size++] = '/';
		memcpy(text + size, s, bytes);
		size += bytes;
	}
	lnx_key_set_text(key, text, size);
}

/* A key of several parts. */
static struct lnx_key *by_several(struct lnx_rules *r, struct lnx_rule *rule,
				  const struct lnx_rule_on *on, const struct lnx_event *ev)
{
	uint64_t h[2] = { 0, 0 }, one[2], both[2];
	struct part parts[LNX_RULE_BYS], *part;
	struct lnx_key *key;
	unsigned i;

	for (i = 0; i < rule->n_bys; i++) {
		part = &parts[i];
		if (!part_get(r, rule, on, ev, i, part))
			return NULL;
		part_hash(part, one);
		both[0] = h[0];
		both[1] = one[0];
		h[0] = lnx_key_hash(both, sizeof(both), 4);
		both[0] = h[1];
		both[1] = one[1];
		h[1] = lnx_key_hash(both, sizeof(both), 5);
	}
	key = lnx_key_get(r, rule, h[0], h[1]);
	if (key && !key->is_text)
		parts_show(key, parts, rule->n_bys);
	return key;
}

static struct lnx_key *by_one(struct lnx_rules *r, struct lnx_rule *rule,
			      const struct lnx_rule_on *on, const struct lnx_event *ev)
{
	struct lnx_key *key;
	struct part part;
	uint64_t h[2];

	part.v.kind = LNX_VAL_U64;
	part.v.u64 = part.start_ns = 0;
	if (rule->n_bys && !part_get(r, rule, on, ev, 0, &part))
		return NULL;
	part_hash(&part, h);
	key = lnx_key_get(r, rule, h[0], h[1]);
	if (!key)
		return NULL;
	if (!part_is_text(&part)) {
		key->num = part.v.u64;
		key->num_kind = (uint8_t)part.v.kind;
	} else if (!key->is_text) {
		parts_show(key, &part, 1);
	}
	return key;
}

struct lnx_key *lnx_by_key(struct lnx_rules *r, struct lnx_rule *rule, const struct lnx_rule_on *on,
			   const struct lnx_event *ev)
{
	struct lnx_key *key =
		rule->n_bys > 1 ? by_several(r, rule, on, ev) : by_one(r, rule, on, ev);

	rule->unkeyed += !key;
	return key;
}
