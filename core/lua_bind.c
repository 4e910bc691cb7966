/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Events and facts of the machine as rules see them, and the names of their environment. Names come from the field tables alone: a new field needs no
 * code here. What a condition reads is remembered as the evidence of its alert. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <linnix/fields.h>

#include "lua_bind.h"
#include "tags.h"

/* The head of every event, for where, by and ev.x. */
static const struct lnx_field bind_head[] = {
	{ "pid", LNX_U32, offsetof(struct lnx_event, pid), 4, 0, "", "tgid, 0 if none", NULL,
	  NULL },
	{ "cpu", LNX_U32, offsetof(struct lnx_event, cpu), 4, 0, "", "where it happened", NULL,
	  NULL },
	{ "ts_ns", LNX_U64, offsetof(struct lnx_event, ts_ns), 8, 0, "ns", "CLOCK_BOOTTIME", NULL,
	  NULL },
};

#define BIND_HEAD_N (sizeof(bind_head) / sizeof(bind_head[0]))

/* Short names of facts beside those of host.sample; psi_cpu_some is psi.cpu.some by rule. */
static const struct bind_alias {
	const char *name, *field;
} bind_aliases[] = { { "cpu", "cpu_pct" }, { "mem", "mem_pct" }, { "load", "load1" } };

#define BIND_ALIAS_N (sizeof(bind_aliases) / sizeof(bind_aliases[0]))

struct lnx_rules *lnx_bind_rules(lua_State *L)
{
	return lnx_lua_of(L)->owner;
}

/* Of the event's cgroup, as far as the events told before. <offset> is into struct lnx_tag. */
#define BIND_TAG(nm, m)                                                                          \
	{                                                                                        \
		nm, LNX_TAG_FIELD, offsetof(struct lnx_tag, m), sizeof(const char *), 0, "", "", \
			NULL, NULL                                                               \
	}

static const struct lnx_field bind_tags[] = { BIND_TAG("namespace", namespace_),
					      BIND_TAG("pod_name", pod_name),
					      BIND_TAG("container_id", container_id) };

#define BIND_TAG_N (sizeof(bind_tags) / sizeof(bind_tags[0]))

static bool bind_has_cgroup(const struct lnx_event_desc *desc)
{
	return lnx_desc_field(desc, "cgroup_id") || lnx_desc_field(desc, "subject.cgroup_id");
}

const struct lnx_field *lnx_lua_bind_field(const struct lnx_event_desc *desc, const char *name)
{
	const struct lnx_field *f = lnx_desc_field(desc, name);
	unsigned i;

	for (i = 0; !f && i < BIND_HEAD_N; i++)
		if (strcmp(bind_head[i].name, name) == 0)
			f = &bind_head[i];
	for (i = 0; !f && i < BIND_TAG_N; i++)
		if (strcmp(bind_tags[i].name, name) == 0 && bind_has_cgroup(desc))
			f = &bind_tags[i];
	return f;
}

static struct lnx_value bind_tag(const struct lnx_rules *r, const struct lnx_event *ev,
				 const struct lnx_field *f)
{
	struct lnx_value v = { .kind = LNX_VAL_STR };
	struct lnx_tag tag = { .size = sizeof(tag) };

	(void)lnx_tags_get(r->conf.tags,
			   lnx_event_cgroup_id(lnx_registry_get(r->conf.registry, ev->type), ev),
			   &tag); /* unknown: "" */
	memcpy(&v.str, (const char *)&tag + f->offset, sizeof(v.str));
	v.size = (uint32_t)strlen(v.str);
	return v;
}

struct lnx_value lnx_lua_bind_value(const struct lnx_rules *r, const struct lnx_event *ev,
				    const struct lnx_field *f)
{
	return f->type == LNX_TAG_FIELD ? bind_tag(r, ev, f) : lnx_event_value(ev, f);
}

const char *lnx_lua_bind_suggest(const struct lnx_event_desc *desc, const char *name)
{
	const char *head[BIND_HEAD_N + 1] = { NULL }, *near = lnx_desc_suggest(desc, name);
	unsigned i;

	for (i = 0; i < BIND_HEAD_N; i++)
		head[i] = bind_head[i].name;
	return near ? near : lnx_suggest(name, head);
}

void lnx_bind_push(lua_State *L, const struct lnx_value *v)
{
	switch (v->kind) {
	case LNX_VAL_U64:
	case LNX_VAL_I64:
		lua_pushinteger(L, (lua_Integer)v->u64);
		return;
	case LNX_VAL_F64:
		lua_pushnumber(L, v->f64);
		return;
	case LNX_VAL_BOOL:
		lua_pushboolean(L, v->u64 != 0);
		return;
	case LNX_VAL_STR:
	case LNX_VAL_JSON:
		(void)lua_pushlstring(L, v->str, v->size);
		return;
	}
	lua_pushnil(L);
}
/* --- ev ----------------------------------------------------------------------------------------- */

/* A part of a dotted name: ev.subject, host.psi. */
struct bind_prefix {
	char path[32]; /* "subject." */
};

static void bind_push_prefix(lua_State *L, const char *path, size_t len, const char *meta)
{
	struct bind_prefix *x = lua_newuserdatauv(L, sizeof(*x), 0);

	(void)snprintf(x->path, sizeof(x->path), "%.*s.", (int)len, path);
	luaL_setmetatable(L, meta);
}

/* Push a new table name -> field (or prefix) of <desc>. */
static void bind_new_fields(lua_State *L, const struct lnx_event_desc *desc)
{
	const char *name, *dot;
	unsigned i;

	lua_newtable(L);
	/* the head first: a field of the type itself goes before it */
	for (i = 0; i < BIND_HEAD_N + desc->n_fields; i++) {
		const struct lnx_field *f =
			i < BIND_HEAD_N ? &bind_head[i] : &desc->fields[i - BIND_HEAD_N];

		name = f->name;
		lua_pushlightuserdata(L, (void *)(uintptr_t)f);
		lua_setfield(L, -2, name);
		dot = strchr(name, '.');
		if (dot) {
			(void)lua_pushlstring(L, name, (size_t)(dot - name));
			bind_push_prefix(L, name, (size_t)(dot - name), "lnx.ev.part");
			lua_rawset(L, -3);
		}
	}
}

/* Push that table, made at first use. */
static void bind_fields(lua_State *L, struct lnx_rules *r, const struct lnx_event_desc *desc)
{
	int *ref = &r->ref_fields[lnx_registry_index(r->conf.registry, desc->type)];

	if (!*ref) {
		bind_new_fields(L, desc);
		*ref = luaL_ref(L, LUA_REGISTRYINDEX);
	}
	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, *ref);
}

static const struct lnx_event_desc *bind_current(lua_State *L, const struct lnx_rules *r)
{
	const struct lnx_event_desc *desc =
		r->ev ? lnx_registry_get(r->conf.registry, r->ev->type) : NULL;

	if (!desc)
		(void)luaL_error(
			L, "there is no event here: `ev` lives only while the rule looks at it");
	return desc;
}

/* Field <name> of the current event; <name> is also on top of the stack. */
static int bind_ev_get(lua_State *L, const char *name)
{
	struct lnx_rules *r = lnx_bind_rules(L);
	const struct lnx_event_desc *desc = bind_current(L, r);
	char shown[64], what[96];
	const struct lnx_field *f;
	struct lnx_value v;

	bind_fields(L, r, desc);
	lua_insert(L, -2);
	switch (lua_rawget(L, -2)) {
	case LUA_TLIGHTUSERDATA:
		f = lua_touserdata(L, -1);
		v = lnx_event_value(r->ev, f);
		lnx_bind_push(L, &v);
		return 1;
	case LUA_TUSERDATA:
		return 1;
	}
	f = lnx_lua_bind_field(desc, name);
	if (f) { /* a name of its cgroup */
		v = lnx_lua_bind_value(r, r->ev, f);
		lnx_bind_push(L, &v);
		return 1;
	}
	if (strcmp(name, "type") == 0) {
		lua_pushstring(L, desc->name);
		return 1;
	}
	(void)snprintf(what, sizeof(what), "field of %s", desc->name);
	return lnx_lua_unknown(L, what, lnx_lua_printable(name, shown, sizeof(shown)),
			       lnx_lua_bind_suggest(desc, name));
}

static int bind_ev_index(lua_State *L)
{
	const char *name = luaL_checkstring(L, 2);

	lua_settop(L, 2);
	return bind_ev_get(L, name);
}

static int bind_ev_part_index(lua_State *L)
{
	const struct bind_prefix *x = luaL_checkudata(L, 1, "lnx.ev.part");
	char name[96];

	(void)snprintf(name, sizeof(name), "%s%s", x->path, luaL_checkstring(L, 2));
	return bind_ev_get(L, lua_pushstring(L, name));
}

static int bind_readonly(lua_State *L)
{
	return luaL_error(L, "events, windows and facts cannot be written");
}

/* --- w and host --------------------------------------------------------------------------------- */

void lnx_bind_read(struct lnx_rules *r, const char *name, const char *part, const char *unit,
		   double value)
{
	unsigned i;

	if (!r->is_reading)
		return;
	for (i = 0; i < r->n_reads; i++)
		if (r->reads[i].name == name && r->reads[i].part == part)
			return;
	if (i == LNX_RULE_READS)
		return;
	r->reads[i] = (struct lnx_read){ name, part, unit, value };
	r->n_reads++;
}

void lnx_bind_number(lua_State *L, double v)
{
	if (v >= -9e15 && v <= 9e15 && v == floor(v))
		lua_pushinteger(L, (lua_Integer)v);
	else
		lua_pushnumber(L, v);
}
void lnx_lua_bind_facts(struct lnx_rules *r)
{
	const struct lnx_event_desc *desc = lnx_registry_find(r->conf.registry, "host.sample");
	unsigned i;
	char *c;

	r->host_desc = desc;
	r->host = r->host_now;
	for (i = 0; desc && i < desc->n_fields && r->n_facts < LNX_HOST_FACTS; i++) {
		const struct lnx_field *f = &desc->fields[i];
		struct lnx_host_fact *x = &r->facts[r->n_facts];
		size_t len = strlen(f->name);

		r->host_now[r->n_facts++] = NAN;
		x->field = f;
		(void)snprintf(x->path, sizeof(x->path), "%s", f->name);
		x->is_mean = strcmp(f->unit, "pct") == 0 ||
			     (len > 6 && strcmp(f->name + len - 6, "_per_s") == 0);
		if (strncmp(x->path, "psi_", 4) == 0)
			for (c = x->path; *c; c++)
				*c = *c == '_' ? '.' : *c;
	}
}

int lnx_lua_bind_fact(const struct lnx_rules *r, const char *path)
{
	unsigned i;

	for (i = 0; i < BIND_ALIAS_N; i++)
		if (strcmp(bind_aliases[i].name, path) == 0)
			path = bind_aliases[i].field;
	for (i = 0; i < r->n_facts; i++)
		if (strcmp(r->facts[i].path, path) == 0 ||
		    strcmp(r->facts[i].field->name, path) == 0)
			return (int)i;
	return -1;
}

const char *lnx_lua_bind_fact_suggest(const struct lnx_rules *r, const char *path)
{
	const char *names[LNX_HOST_FACTS + BIND_ALIAS_N + 1] = { NULL };
	unsigned i;

	for (i = 0; i < r->n_facts; i++)
		names[i] = r->facts[i].path;
	for (i = 0; i < BIND_ALIAS_N; i++)
		names[r->n_facts + i] = bind_aliases[i].name;
	return lnx_suggest(path, names);
}

const struct lnx_field *lnx_lua_bind_name(const struct lnx_rules *r,
					  const struct lnx_event_desc *desc, const char *name)
{
	/* of the machine the names that rules use: psi.cpu.some; cpu is not the head's */
	int fact = desc == r->host_desc ? lnx_lua_bind_fact(r, name) : -1;

	return fact < 0 ? lnx_lua_bind_field(desc, name) : r->facts[fact].field;
}

const char *lnx_lua_bind_name_suggest(const struct lnx_rules *r, const struct lnx_event_desc *desc,
				      const char *name)
{
	return desc == r->host_desc ? lnx_lua_bind_fact_suggest(r, name)
				    : lnx_lua_bind_suggest(desc, name);
}

/* host.x, host.psi.cpu.some: <path> is the whole name. */
static int bind_host_get(lua_State *L, const char *path)
{
	struct lnx_rules *r = lnx_bind_rules(L);
	int fact = lnx_lua_bind_fact(r, path);
	size_t len = strlen(path);
	char shown[64];
	unsigned i;

	if (fact >= 0) {
		const struct lnx_host_fact *x = &r->facts[fact];

		lnx_bind_read(r, x->path, NULL, x->field->unit, r->host[fact]);
		lnx_bind_number(L, r->host[fact]);
		return 1;
	}
	for (i = 0; i < r->n_facts; i++)
		if (strncmp(r->facts[i].path, path, len) == 0 && r->facts[i].path[len] == '.') {
			bind_push_prefix(L, path, len, "lnx.host.part");
			return 1;
		}
	return lnx_lua_unknown(L, "fact of the machine",
			       lnx_lua_printable(path, shown, sizeof(shown)),
			       lnx_lua_bind_fact_suggest(r, path));
}

static int bind_host_index(lua_State *L)
{
	return bind_host_get(L, luaL_checkstring(L, 2));
}

static int bind_host_part_index(lua_State *L)
{
	const struct bind_prefix *x = luaL_checkudata(L, 1, "lnx.host.part");
	char path[96];

	(void)snprintf(path, sizeof(path), "%s%s", x->path, luaL_checkstring(L, 2));
	return bind_host_get(L, path);
}

/* --- environment -------------------------------------------------------------------------------- */

/* A global that is not there. Upvalue 1: the environment. */
static int bind_global_unknown(lua_State *L)
{
	const char *name = luaL_checkstring(L, 2), *names[64] = { NULL };
	char shown[64];
	unsigned n = 0;

	lua_pushnil(L);
	while (n < 63 && lua_next(L, 1)) {
		if (lua_type(L, -2) == LUA_TSTRING)
			names[n++] = lua_tostring(L, -2);
		lua_pop(L, 1);
	}
	return lnx_lua_unknown(L, "name", lnx_lua_printable(name, shown, sizeof(shown)),
			       lnx_suggest(name, names));
}

static int bind_global_new(lua_State *L)
{
	const char *name = luaL_checkstring(L, 2), *version;
	char shown[64];

	if (strcmp(name, "linnix") == 0) {
		/* `linnix = 1`: the version of the language that the file is written in */
		if (lua_isinteger(L, 3) && lua_tointeger(L, 3) == LNX_RULES_VERSION)
			return 0;
		version = lua_isstring(L, 3) ? lua_tostring(L, 3) : luaL_typename(L, 3);
		return luaL_error(L, "the file is written for version %s, this is version %d",
				  lnx_lua_printable(version, shown, sizeof(shown)),
				  LNX_RULES_VERSION);
	}
	return luaL_error(L, "'%s' is not declared: write local %s",
			  lnx_lua_printable(name, shown, sizeof(shown)), shown);
}

/* --- objects ------------------------------------------------------------------------------------ */

void lnx_bind_meta(lua_State *L, const char *name, lua_CFunction index)
{
	luaL_newmetatable(L, name);
	lua_pushcfunction(L, index);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, bind_readonly);
	lua_setfield(L, -2, "__newindex");
	lua_pop(L, 1);
}

int lnx_bind_object(lua_State *L, const char *meta, lua_CFunction index)
{
	lnx_bind_meta(L, meta, index);
	(void)lua_newuserdatauv(L, 0, 0);
	luaL_setmetatable(L, meta);
	return luaL_ref(L, LUA_REGISTRYINDEX);
}

int lnx_lua_bind_open(lua_State *L)
{
	struct lnx_rules *r = lua_touserdata(L, 1);

	r->ref_ev = lnx_bind_object(L, "lnx.ev", bind_ev_index);
	lnx_bind_window_open(L, r);
	r->ref_host = lnx_bind_object(L, "lnx.host", bind_host_index);
	lnx_bind_meta(L, "lnx.ev.part", bind_ev_part_index);
	lnx_bind_meta(L, "lnx.host.part", bind_host_part_index);
	lnx_bind_proc_open(L);
	return 0;
}

void lnx_lua_bind_env(lua_State *L, int env)
{
	static const struct bind_unit {
		const char *name;
		lua_Integer value;
	} units[] = { { "KiB", 1024 },	{ "MiB", 1048576 }, { "GiB", 1073741824 }, { "second", 1 },
		      { "minute", 60 }, { "hour", 3600 },   { "percent", 1 } };
	struct lnx_rules *r = lnx_bind_rules(L);
	unsigned i;

	env = lua_absindex(L, env);
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		lua_pushinteger(L, units[i].value);
		lua_setfield(L, env, units[i].name);
	}
	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, r->ref_host);
	lua_setfield(L, env, "host");
	lnx_bind_proc_env(L, env);
	lua_createtable(L, 0, 2);
	lua_pushcfunction(L, bind_global_unknown);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, bind_global_new);
	lua_setfield(L, -2, "__newindex");
	(void)lua_setmetatable(L, env);
}
