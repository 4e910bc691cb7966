/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a script declares: plugin "name" { … }, as the tables that a plugin in C would have. Every mistake is an error with its
 * line and, where a word was meant, a suggestion. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lua_parse.h"
#include "lua_plugin_impl.h"
#include "option_impl.h"

static const char *const read_words[] = { "version",  "summary", "options", "on",
					  "events",   "metrics", "init",    "start",
					  "on_event", "reload",	 "stop",    NULL };

static const struct read_type {
	const char *name;
	uint32_t type;
} read_options[] = { { "bool", LNX_OPT_BOOL },
		     { "u32", LNX_OPT_U32 },
		     { "u64", LNX_OPT_U64 },
		     { "number", LNX_OPT_F64 },
		     { "text", LNX_OPT_STR },
		     { "list", LNX_OPT_LIST },
		     { "duration", LNX_OPT_DURATION },
		     { "size", LNX_OPT_SIZE },
		     { NULL, 0 } },
  read_fields[] = { { "u32", LNX_U32 },	  { "u64", LNX_U64 },
		    { "i64", LNX_I64 },	  { "number", LNX_F64 },
		    { "bool", LNX_BOOL }, { "text", LNX_STR },
		    { NULL, 0 } },
  read_metrics[] = { { "counter", LNX_COUNTER }, { "gauge", LNX_GAUGE }, { NULL, 0 } },
  read_stages[] = { { "state", LNX_STAGE_STATE },
		    { "detect", LNX_STAGE_DETECT },
		    { "judge", LNX_STAGE_JUDGE },
		    { "export", LNX_STAGE_EXPORT },
		    { NULL, 0 } };

/* --- help --------------------------------------------------------------------------------------- */

static void *read_alloc(lua_State *L, struct lnx_lua_plugin *s, size_t bytes)
{
	void *p = lnx_lua_plugin_alloc(s, bytes);

	if (!p)
		(void)luaL_error(L, "not enough memory");
	return p;
}

/* A copy of the text at <at> that lives as long as the script. */
static const char *read_copy(lua_State *L, struct lnx_lua_plugin *s, int at)
{
	size_t n = 0;
	const char *text = lua_tolstring(L, at, &n);
	char *p = read_alloc(L, s, n + 1);

	if (strlen(text) != n)
		(void)luaL_error(L, "a text holds a zero byte");
	memcpy(p, text, n + 1);
	return p;
}

/* Text <key> of the table at <at>, or <def>. */
static const char *read_text(lua_State *L, struct lnx_lua_plugin *s, int at, const char *what,
			     const char *key, const char *def)
{
	const char *text = def;

	if (lua_getfield(L, at, key) != LUA_TNIL) {
		if (lua_type(L, -1) != LUA_TSTRING)
			(void)luaL_error(L, "%s: %s must be a text", what, key);
		text = read_copy(L, s, lua_gettop(L));
	}
	lua_pop(L, 1);
	return text;
}

/* Value of the word on top of the stack among <types>. Pops it. */
static uint32_t read_word(lua_State *L, const struct read_type *types, const char *what)
{
	const char *names[16] = { NULL }, *word = lua_tostring(L, -1);
	char shown[64];
	unsigned i;
	uint32_t found;

	if (lua_type(L, -1) != LUA_TSTRING)
		(void)luaL_error(L, "%s must be a text", what);
	for (i = 0; types[i].name && strcmp(types[i].name, word) != 0; i++)
		names[i] = types[i].name;
	if (!types[i].name)
		(void)lnx_lua_unknown(L, what, lnx_lua_printable(word, shown, sizeof(shown)),
				      lnx_suggest(word, names));
	found = types[i].type;
	lua_pop(L, 1);
	return found;
}

/* Refuse keys of the table at <at> that are none of <words> (numbers are left to the reader). */
static void read_known(lua_State *L, int at, const char *what, const char *const *words)
{
	char shown[64];
	unsigned i;

	lua_pushnil(L);
	while (lua_next(L, at)) {
		lua_pop(L, 1);
		if (lua_type(L, -1) != LUA_TSTRING)
			continue;
		for (i = 0; words[i] && strcmp(words[i], lua_tostring(L, -1)) != 0; i++)
			;
		if (!words[i])
			(void)lnx_lua_unknown(
				L, what,
				lnx_lua_printable(lua_tostring(L, -1), shown, sizeof(shown)),
				lnx_suggest(lua_tostring(L, -1), words));
	}
}

static int read_by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Field <word> of the table at 1: call <each> for its entries in the order of their names, with the entry's table on top. A
 * table in Lua has no order, and what comes of it must be the same each time. */
static void read_each(lua_State *L, struct lua_inst *in, const char *word, unsigned max,
		      void (*each)(lua_State *L, struct lua_inst *in, const char *name))
{
	const char **names = read_alloc(L, in->script, (max + 1) * sizeof(*names));
	unsigned n = 0, i;

	if (lua_getfield(L, 1, word) == LUA_TNIL) {
		lua_pop(L, 1);
		return;
	}
	if (!lua_istable(L, -1))
		(void)luaL_error(L, "%s must be a table", word);
	lua_pushnil(L);
	while (lua_next(L, -2)) {
		lua_pop(L, 1);
		if (lua_type(L, -1) != LUA_TSTRING)
			(void)luaL_error(L, "%s: each entry has a name: name = { … }", word);
		if (n == max)
			(void)luaL_error(L, "%s: more than %d", word, (int)max);
		names[n++] = read_copy(L, in->script, lua_gettop(L));
	}
	qsort(names, n, sizeof(*names), read_by_name);
	for (i = 0; i < n; i++) {
		if (lua_getfield(L, -1, names[i]) != LUA_TTABLE)
			(void)luaL_error(L, "%s: %s must be a table", word, names[i]);
		each(L, in, names[i]);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
}

/* --- options ------------------------------------------------------------------------------------ */

/* A bound of an option in its own unit: a number, or "5s", "1MiB". */
static double read_bound(lua_State *L, const struct lnx_option *o, int at, const char *key)
{
	struct lnx_option plain = { .key = o->key, .type = o->type };
	struct lnx_optset *set;
	struct lnx_optval v = { 0 };
	double d = 0;
	int rc = -EINVAL;

	switch (lua_getfield(L, at, key)) {
	case LUA_TNIL:
		rc = 0;
		break;
	case LUA_TNUMBER:
		d = lua_tonumber(L, -1) * (o->type == LNX_OPT_DURATION ? 1e9 : 1);
		rc = 0;
		break;
	case LUA_TSTRING:
		set = calloc(1, sizeof(*set));
		rc = set ? lnx_optval_text(set, &plain, lua_tostring(L, -1), &v, NULL) : -ENOMEM;
		lnx_optset_free(set);
		d = o->type == LNX_OPT_F64 ? v.f64 : (double)v.num;
		break;
	}
	if (rc < 0)
		(void)luaL_error(L, "option %s: %s is no value of its type", o->key, key);
	lua_pop(L, 1);
	return d;
}

/* The default as text, checked: a wrong one would be a mistake of every configuration. */
static const char *read_default(lua_State *L, struct lua_inst *in, const struct lnx_option *o,
				int at)
{
	struct lnx_err err = { { 0 }, 0, 0 };
	struct lnx_optval v = { 0 };
	struct lnx_optset *set;
	const char *text;
	int rc;

	switch (lua_getfield(L, at, "default")) {
	case LUA_TBOOLEAN:
		text = lua_toboolean(L, -1) ? "true" : "false";
		break;
	case LUA_TNUMBER:
	case LUA_TSTRING:
		text = read_copy(L, in->script, lua_gettop(L));
		break;
	case LUA_TNIL:
		text = o->type == LNX_OPT_STR || o->type == LNX_OPT_LIST ? "" : NULL;
		break;
	default:
		text = NULL;
	}
	lua_pop(L, 1);
	if (!text) {
		(void)luaL_error(L, "option %s: give a default: a text, a number, true or false",
				 o->key);
		return NULL;
	}
	set = calloc(1, sizeof(*set));
	rc = set ? lnx_optval_text(set, o, text, &v, &err) : -ENOMEM;
	lnx_optset_free(set);
	if (rc < 0)
		(void)luaL_error(L, "option %s: default: %s", o->key,
				 err.msg[0] ? err.msg : strerror(-rc));
	return text;
}

static void read_option(lua_State *L, struct lua_inst *in, const char *name)
{
	static const char *const words[] = { "default", "min",	  "max", "help",
					     "reload",	"secret", NULL };
	struct lnx_lua_plugin *s = in->script;
	struct lnx_option *o = &s->options[s->n_options];
	int at = lua_gettop(L);

	read_known(L, at, "field of an option", words);
	if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name) ||
	    strcmp(name, "enabled") == 0)
		(void)luaL_error(L, "option %s: a name is a-z, 0-9 and _, and not 'enabled'", name);
	o->key = name;
	o->offset = s->n_options * (uint32_t)sizeof(uint64_t);
	(void)lua_rawgeti(L, at, 1);
	o->type = read_word(L, read_options, "type of an option");
	o->min = read_bound(L, o, at, "min");
	o->max = read_bound(L, o, at, "max");
	o->help = read_text(L, s, at, name, "help", "");
	(void)lua_getfield(L, at, "reload");
	(void)lua_getfield(L, at, "secret");
	o->flags = (lua_toboolean(L, -2) ? LNX_OPTF_RELOAD : 0) |
		   (lua_toboolean(L, -1) ? LNX_OPTF_SECRET : 0);
	lua_pop(L, 2);
	o->def = read_default(L, in, o, at);
	s->n_options++;
}

/* --- subscriptions, events, metrics ------------------------------------------------------------- */

static void read_sub(lua_State *L, struct lnx_lua_plugin *s)
{
	static const char *const words[] = { "stage", "queue", NULL };
	struct lnx_sub *sub = &s->subs[s->n_subs];
	int at = lua_gettop(L), type = lua_type(L, at);
	lua_Number n;

	if (s->n_subs == LNX_LUA_PLUGIN_SUBS)
		(void)luaL_error(L, "on: more than %d events", LNX_LUA_PLUGIN_SUBS);
	sub->stage = LNX_STAGE_DETECT;
	sub->queue = 0;
	if (type == LUA_TTABLE) {
		read_known(L, at, "field of a subscription", words);
		if (lua_getfield(L, at, "stage") != LUA_TNIL)
			sub->stage = read_word(L, read_stages, "stage");
		else
			lua_pop(L, 1);
		(void)lua_getfield(L, at, "queue");
		n = lua_isnil(L, -1) ? 0 : luaL_checknumber(L, -1);
		if (!(n >= 0 && n <= 65536))
			(void)luaL_error(L, "on: queue is a number from 0 to 65536");
		sub->queue = (uint32_t)n;
		lua_pop(L, 1);
		(void)lua_rawgeti(L, at, 1);
	} else {
		lua_pushvalue(L, at);
	}
	if (lua_type(L, -1) != LUA_TSTRING)
		(void)luaL_error(L, "on: the name of an event is a text: \"proc.exit\"");
	sub->event = read_copy(L, s, lua_gettop(L));
	lua_pop(L, 1);
	s->n_subs++;
}

/* "proc.exit", or a list of such names and of { "proc.exit", stage = …, queue = … }. */
static void read_subs(lua_State *L, struct lua_inst *in)
{
	int i, type = lua_getfield(L, 1, "on"), n;

	if (type == LUA_TSTRING)
		read_sub(L, in->script);
	else if (type != LUA_TNIL && type != LUA_TTABLE)
		(void)luaL_error(L, "on: the name of an event, or a list of them");
	n = type == LUA_TTABLE ? (int)lua_rawlen(L, -1) : 0;
	for (i = 1; i <= n; i++) {
		(void)lua_rawgeti(L, -1, i);
		read_sub(L, in->script);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	if (in->script->n_subs && in->fns[LUA_FN_ON_EVENT] == LUA_NOREF)
		(void)luaL_error(L, "it subscribes to events but has no on_event");
	if (!in->script->n_subs && in->fns[LUA_FN_ON_EVENT] != LUA_NOREF)
		(void)luaL_error(L,
				 "it has on_event but subscribes to nothing: on = \"proc.exit\"");
}

/* One field { "name", "type", doc = "…", unit = "…" } of the table on top. Each takes eight bytes. */
static void read_field(lua_State *L, struct lnx_lua_plugin *s, const char *event,
		       struct lnx_field *f, unsigned place)
{
	static const char *const words[] = { "doc", "unit", NULL };
	static const uint16_t sizes[] = { [LNX_U32] = 4, [LNX_U64] = 8,	 [LNX_I64] = 8,
					  [LNX_F64] = 8, [LNX_BOOL] = 4, [LNX_STR] = 4 };
	int at = lua_gettop(L);

	if (!lua_istable(L, at))
		(void)luaL_error(L, "event %s: a field is { \"name\", \"type\" }", event);
	read_known(L, at, "field of a field", words);
	if (lua_rawgeti(L, at, 1) != LUA_TSTRING)
		(void)luaL_error(L, "event %s: a field is { \"name\", \"type\" }", event);
	f->name = read_copy(L, s, lua_gettop(L));
	lua_pop(L, 1);
	(void)lua_rawgeti(L, at, 2);
	f->type = (__u16)read_word(L, read_fields, "type of a field");
	f->size = sizes[f->type];
	f->offset = (__u16)(sizeof(struct lnx_event) + place * sizeof(uint64_t));
	f->unit = read_text(L, s, at, event, "unit", "");
	f->doc = read_text(L, s, at, event, "doc", "");
}

static void read_event(lua_State *L, struct lua_inst *in, const char *name)
{
	static const char *const words[] = { "doc", NULL };
	struct lnx_lua_plugin *s = in->script;
	struct lnx_event_desc *d = &s->events[s->n_events];
	int at = lua_gettop(L);
	unsigned n = (unsigned)lua_rawlen(L, at), i;
	struct lnx_field *fields;

	read_known(L, at, "field of an event", words);
	if (n > LNX_LUA_PLUGIN_FIELDS)
		(void)luaL_error(L, "event %s: more than %d fields", name, LNX_LUA_PLUGIN_FIELDS);
	if (strncmp(name, s->table.name, strlen(s->table.name)) != 0 ||
	    name[strlen(s->table.name)] != '.')
		(void)luaL_error(L, "event %s: its name begins with the plugin's: %s.…", name,
				 s->table.name);
	fields = read_alloc(L, s, (n + 1) * sizeof(*fields));
	for (i = 0; i < n; i++) {
		(void)lua_rawgeti(L, at, (lua_Integer)i + 1);
		read_field(L, s, name, &fields[i], i);
		lua_pop(L, 1);
	}
	d->size = sizeof(*d);
	d->fixed = (__u16)(sizeof(struct lnx_event) + n * sizeof(uint64_t));
	d->name = name;
	d->doc = read_text(L, s, at, name, "doc", "");
	d->fields = fields;
	d->n_fields = n;
	s->n_events++;
}

static void read_metric(lua_State *L, struct lua_inst *in, const char *name)
{
	static const char *const words[] = { "help", "labels", NULL };
	struct lnx_lua_plugin *s = in->script;
	struct lnx_metric_desc *m = &s->metrics[s->n_metrics];
	int at = lua_gettop(L), n = 0, i;
	const char **labels;

	read_known(L, at, "field of a metric", words);
	m->name = name;
	(void)lua_rawgeti(L, at, 1);
	m->kind = read_word(L, read_metrics, "kind of a metric");
	m->help = read_text(L, s, at, name, "help", "");
	if (lua_getfield(L, at, "labels") == LUA_TTABLE)
		n = (int)lua_rawlen(L, -1);
	if (n > 8)
		(void)luaL_error(L, "metric %s: more than 8 labels", name);
	labels = read_alloc(L, s, 9 * sizeof(*labels));
	for (i = 0; i < n; i++) {
		if (lua_rawgeti(L, -1, i + 1) != LUA_TSTRING)
			(void)luaL_error(L, "metric %s: a label is a text", name);
		labels[i] = read_copy(L, s, lua_gettop(L));
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	m->labels = n ? labels : NULL;
	s->n_metrics++;
}

/* --- the table ---------------------------------------------------------------------------------- */

static void read_functions(lua_State *L, struct lua_inst *in)
{
	unsigned i;

	for (i = 0; i < LUA_FN_N; i++) {
		switch (lua_getfield(L, 1, lnx_lua_plugin_fns[i])) {
		case LUA_TNIL:
			lua_pop(L, 1);
			break;
		case LUA_TFUNCTION:
			in->fns[i] = luaL_ref(L, LUA_REGISTRYINDEX);
			break;
		default:
			(void)luaL_error(L, "%s must be a function", lnx_lua_plugin_fns[i]);
		}
	}
}

/* Upvalue 1: the name. */
static int read_table(lua_State *L)
{
	struct lua_inst *in = lnx_lua_plugin_of(L);
	struct lnx_lua_plugin *s = in->script;

	luaL_checktype(L, 1, LUA_TTABLE);
	if (in->is_begun) /* also when a pcall caught its mistake: what was read of it is not taken back */
		return luaL_error(L, "one file declares one plugin");
	in->is_begun = true;
	lua_settop(L, 1);
	luaL_checkstack(L, 32, "a plugin");
	read_known(L, 1, "field of a plugin", read_words);
	read_functions(L, in);
	if (!in->host) {
		s->table.name = read_copy(L, s, lua_upvalueindex(1));
		s->table.version = read_text(L, s, 1, "plugin", "version", "");
		s->table.summary = read_text(L, s, 1, "plugin", "summary", "");
		read_each(L, in, "options", LNX_LUA_PLUGIN_OPTIONS, read_option);
		read_each(L, in, "events", LNX_LUA_PLUGIN_EVENTS, read_event);
		read_each(L, in, "metrics", LNX_LUA_PLUGIN_METRICS, read_metric);
		read_subs(L, in);
	}
	in->is_declared = true;
	return 0;
}

int lnx_lua_plugin_begin(lua_State *L)
{
	struct lua_inst *in = lnx_lua_plugin_of(L);

	luaL_checktype(L, 1, LUA_TSTRING);
	if (in->is_begun)
		return luaL_error(L, "one file declares one plugin");
	lua_settop(L, 1);
	lua_pushcclosure(L, read_table, 1);
	return 1;
}
