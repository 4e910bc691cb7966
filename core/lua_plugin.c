/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The life of a Lua plugin: its file is run once for what it declares, and once for each instance in a state of its own. What
 * its functions publish leaves after they have returned, so that no handler runs inside of them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "lua_plugin_impl.h"

const char *const lnx_lua_plugin_fns[LUA_FN_N] = { "init", "start", "on_event", "reload", "stop" };

void *lnx_lua_plugin_alloc(struct lnx_lua_plugin *s, size_t bytes)
{
	struct lua_mem *m = calloc(1, sizeof(*m) + bytes);

	if (!m)
		return NULL;
	m->next = s->mem;
	s->mem = m;
	return m->bytes;
}

struct lua_inst *lnx_lua_plugin_of(lua_State *L)
{
	return (struct lua_inst *)lnx_bind_rules(L); /* its first member */
}

/* --- running ------------------------------------------------------------------------------------ */

static const struct lnx_svc_proc *plugin_proc(void *arg, void **ret_self)
{
	struct lua_inst *in = arg;
	const void *vtable;

	if (!in->host || in->host->service(in->ctx, "proc/1", &vtable, ret_self) < 0)
		return NULL;
	return vtable;
}

/* Once in a call: environment, then the script. */
static int plugin_run(lua_State *L)
{
	struct lua_inst *in = lua_touserdata(L, 1);
	int env;

	lnx_lua_env(L);
	env = lua_gettop(L);
	lua_pushcfunction(L, lnx_lua_plugin_begin);
	lua_setfield(L, env, "plugin");
	lnx_lua_plugin_api(L, env);
	lnx_lua_bind_env(L, env);
	lua_pushnil(L);
	lua_setfield(L, env, "host"); /* facts are for rules: a plugin subscribes to host.sample */
	lnx_lua_load(L, 0, in->script->text.data, in->script->text.size, env);
	lua_call(L, 0, 0);
	if (!in->is_declared)
		(void)luaL_error(L, "it declares no plugin: plugin \"name\" { … }");
	return 0;
}

static void inst_free(struct lua_inst *in)
{
	if (!in)
		return;
	lnx_lua_free(in->engine.lua);
	lnx_buf_done(&in->late);
	free(in);
}

/* A state that has run the script. host NULL: the script is only read. */
static int inst_new(struct lnx_lua_plugin *s, const struct lnx_host *host, struct lnx_ctx *ctx,
		    struct lua_inst **ret_inst, struct lnx_err *err)
{
	struct lua_inst *in = calloc(1, sizeof(*in));
	unsigned i;
	int rc;

	if (!in)
		return -ENOMEM;
	in->script = s;
	in->host = host;
	in->ctx = ctx;
	in->late.max = LNX_LUA_PLUGIN_LATE;
	in->ref_conf = LUA_NOREF;
	for (i = 0; i < LUA_FN_N; i++)
		in->fns[i] = LUA_NOREF;
	in->engine.conf.registry = (struct lnx_registry *)(uintptr_t)s->registry; /* only read */
	in->engine.conf.proc = plugin_proc;
	in->engine.conf.tags = ctx ? ctx->app->tags : NULL;
	in->engine.conf.arg = in;
	in->engine.only_file = -1;
	lnx_lua_bind_facts(&in->engine);
	rc = lnx_lua_new(0, 0, &in->engine.lua);
	if (rc == 0) {
		in->engine.lua->owner = &in->engine;
		rc = lnx_lua_call(in->engine.lua, lnx_lua_bind_open, &in->engine, 0, err);
	}
	if (rc == 0)
		rc = lnx_lua_call(in->engine.lua, plugin_run, in, 0, err);
	if (rc < 0) {
		inst_free(in);
		return rc;
	}
	*ret_inst = in;
	return 0;
}

/* What the call that is over has published. The bus counts what it refuses. */
static void plugin_flush(struct lua_inst *in)
{
	/* outside of a handler an event may come back at once, and that call flushes what it published itself */
	struct lnx_buf out = in->late;
	size_t at;

	in->late = (struct lnx_buf){ .max = out.max };
	for (at = 0; at < out.size;) {
		const struct lnx_event *ev = (const struct lnx_event *)(out.data + at);

		at += (ev->size + 7) & ~(size_t)7;
		(void)in->host->publish(in->ctx, ev);
	}
	if (in->late.data) {
		lnx_buf_done(&out);
		return;
	}
	lnx_buf_reset(&out);
	in->late = out;
}

/* Each of its calls holds up the agent for as long as its budget lasts. What it has said and its stop() stay. */
static void plugin_silence(struct lua_inst *in)
{
	static const char why[] =
		"too many of its calls used up their budget: it gets no events and no timers until "
		"the agent is restarted";
	unsigned i;

	lnx_ctx_unsubscribe(in->ctx);
	for (i = 0; i < LNX_LUA_PLUGIN_TIMERS; i++)
		if (in->timers[i].timer) /* not deleted: one of them may be running */
			in->host->timer_stop(in->ctx, in->timers[i].timer);
	in->ctx->status = LNX_INST_FAILING;
	(void)snprintf(in->ctx->error, sizeof(in->ctx->error), "%s", why); /* fits */
	in->host->health(in->ctx, "budget", LNX_HEALTH_LOST, why);
}

int lnx_lua_plugin_call(struct lua_inst *in, int fn, bool with_event, bool with_conf)
{
	lua_State *L = in->engine.lua->L;
	struct lnx_err err = { { 0 }, 0, 0 };
	int rc;

	if (fn == LUA_NOREF)
		return 0;
	if (in->is_running || !lua_checkstack(L, 8))
		return -EBUSY;
	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, fn);
	if (with_event)
		(void)lua_rawgeti(L, LUA_REGISTRYINDEX, in->engine.ref_ev);
	if (with_conf)
		(void)lua_rawgeti(L, LUA_REGISTRYINDEX, in->ref_conf);
	in->is_running = true;
	rc = lnx_lua_pcall(in->engine.lua, with_event + with_conf, 0, 0, &err);
	in->is_running = false;
	if (rc < 0)
		in->host->log(in->ctx, LNX_WARN, "%s:%d: %s", in->script->path, err.line, err.msg);
	if (rc == -ETIME) {
		in->over += LNX_LUA_PLUGIN_OVER;
		if (in->over >= LNX_LUA_PLUGIN_OVER_MAX)
			plugin_silence(in);
	} else if (in->over) {
		in->over--;
	}
	plugin_flush(in);
	return rc;
}

/* --- the functions of the table ----------------------------------------------------------------- */

static void plugin_push_option(lua_State *L, const struct lnx_option *o, const char *at)
{
	const char *const *items;
	const char *text;
	uint64_t u64;
	uint32_t u32;
	double f64;
	int i;

	switch (o->type) {
	case LNX_OPT_BOOL:
		memcpy(&u32, at, sizeof(u32));
		lua_pushboolean(L, u32 != 0);
		return;
	case LNX_OPT_U32:
		memcpy(&u32, at, sizeof(u32));
		lua_pushinteger(L, u32);
		return;
	case LNX_OPT_F64:
		memcpy(&f64, at, sizeof(f64));
		lua_pushnumber(L, f64);
		return;
	case LNX_OPT_STR:
		memcpy(&text, at, sizeof(text));
		lua_pushstring(L, text);
		return;
	case LNX_OPT_LIST:
		memcpy(&items, at, sizeof(items));
		lua_newtable(L);
		for (i = 0; items[i]; i++) {
			lua_pushstring(L, items[i]);
			lua_rawseti(L, -2, i + 1);
		}
		return;
	}
	memcpy(&u64, at, sizeof(u64));
	if (o->type == LNX_OPT_DURATION)
		lnx_bind_number(L, (double)u64 / 1e9);
	else
		lua_pushinteger(L, (lua_Integer)u64);
}

/* In a call: the table of options, anew. */
static int plugin_take_conf(lua_State *L)
{
	struct lua_inst *in = lua_touserdata(L, 1);
	unsigned i;

	lua_newtable(L);
	for (i = 0; i < in->script->n_options; i++) {
		const struct lnx_option *o = &in->script->options[i];

		plugin_push_option(L, o, (const char *)in->conf + o->offset);
		lua_setfield(L, -2, o->key);
	}
	luaL_unref(L, LUA_REGISTRYINDEX, in->ref_conf);
	in->ref_conf = luaL_ref(L, LUA_REGISTRYINDEX);
	return 0;
}

static int plugin_conf(struct lua_inst *in, const void *conf)
{
	struct lnx_err err = { { 0 }, 0, 0 };
	const void *before = in->conf;
	int rc;

	in->conf = conf;
	rc = lnx_lua_call(in->engine.lua, plugin_take_conf, in, 0, &err);
	if (rc < 0)
		in->conf = before;
	return rc;
}

static int plugin_register(struct lua_inst *in)
{
	unsigned i;
	int rc = 0;

	for (i = 0; rc >= 0 && i < in->script->n_events; i++) {
		rc = in->host->event_register(in->ctx, &in->script->events[i]);
		if (rc == -EEXIST) /* by another instance of the same script */
			rc = in->host->event_type(in->ctx, in->script->events[i].name);
		if (rc < 0)
			in->host->log(in->ctx, LNX_ERROR, "event %s cannot be registered: %s",
				      in->script->events[i].name, strerror(-rc));
	}
	return rc < 0 ? rc : 0;
}

static int plugin_init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		       void **ret_state)
{
	/* the table is the first member of its script, and was made by us: it is not const */
	struct lnx_lua_plugin *s = (struct lnx_lua_plugin *)(uintptr_t)ctx->plugin;
	struct lnx_err err = { { 0 }, 0, 0 };
	struct lua_inst *in = NULL;
	int rc = inst_new(s, host, ctx, &in, &err);

	if (rc < 0) {
		host->log(ctx, LNX_ERROR, "%s:%d: %s", s->path, err.line, err.msg);
		return rc;
	}
	rc = plugin_conf(in, conf);
	if (rc == 0)
		rc = plugin_register(in);
	if (rc == 0)
		rc = lnx_lua_plugin_call(in, in->fns[LUA_FN_INIT], false, true);
	if (rc < 0) {
		lnx_lua_plugin_timers_done(in);
		inst_free(in);
		return rc;
	}
	*ret_state = in;
	return 0;
}

static int plugin_start(void *state)
{
	struct lua_inst *in = state;

	return lnx_lua_plugin_call(in, in->fns[LUA_FN_START], false, false);
}

static int plugin_on_event(void *state, const struct lnx_event *ev)
{
	struct lua_inst *in = state;
	int rc;

	in->engine.ev = ev;
	rc = lnx_lua_plugin_call(in, in->fns[LUA_FN_ON_EVENT], true, false);
	in->engine.ev = NULL;
	return rc;
}

static int plugin_reload(void *state, const void *conf)
{
	struct lua_inst *in = state;
	int rc = plugin_conf(in, conf);

	return rc < 0 ? rc : lnx_lua_plugin_call(in, in->fns[LUA_FN_RELOAD], false, true);
}

static void plugin_stop(void *state)
{
	struct lua_inst *in = state;

	(void)lnx_lua_plugin_call(in, in->fns[LUA_FN_STOP], false, false); /* says what failed */
}

static void plugin_fini(void *state)
{
	struct lua_inst *in = state;

	if (!in)
		return;
	lnx_lua_plugin_timers_done(in);
	inst_free(in);
}

/* --- the file ----------------------------------------------------------------------------------- */

static int plugin_read_file(struct lnx_lua_plugin *s, struct lnx_err *err)
{
	int fd = open(s->path, O_RDONLY | O_CLOEXEC), rc = 0;
	ssize_t n = 1;
	char *room;

	if (fd < 0)
		return lnx_err_set(err, -errno, "%s", strerror(errno));
	s->text.max = LNX_LUA_FILE_BYTES + 4097;
	while (rc == 0 && n > 0 && s->text.size <= LNX_LUA_FILE_BYTES) {
		room = lnx_buf_room(&s->text, 4096);
		n = room ? read(fd, room, 4096) : -1;
		if (n < 0)
			rc = lnx_err_set(err, room ? -errno : -ENOMEM, "%s",
					 strerror(room ? errno : ENOMEM));
		else
			s->text.size += (size_t)n;
	}
	(void)close(fd); /* read only */
	if (rc == 0 && s->text.size > LNX_LUA_FILE_BYTES)
		rc = lnx_err_set(err, -E2BIG, "is larger than %u bytes", LNX_LUA_FILE_BYTES);
	return rc;
}

static void plugin_table(struct lnx_lua_plugin *s, const struct lua_inst *in)
{
	struct lnx_plugin *p = &s->table;

	p->size = sizeof(*p);
	p->abi_major = LNX_ABI_MAJOR;
	p->abi_minor = LNX_ABI_MINOR;
	p->options = s->n_options ? s->options : NULL;
	p->conf_size = s->n_options * (uint32_t)sizeof(uint64_t);
	p->subs = s->subs;
	p->n_subs = s->n_subs;
	p->init = plugin_init;
	p->start = plugin_start;
	p->on_event = in->fns[LUA_FN_ON_EVENT] == LUA_NOREF ? NULL : plugin_on_event;
	p->reload = plugin_reload;
	p->stop = plugin_stop;
	p->fini = plugin_fini;
}

int lnx_lua_plugin_open(const char *path, const struct lnx_registry *registry,
			struct lnx_lua_plugin **ret_script, const struct lnx_plugin **ret_plugin,
			struct lnx_err *err)
{
	struct lnx_lua_plugin *s;
	struct lua_inst *in = NULL;
	struct lnx_err why = { { 0 }, 0, 0 };
	int rc = lnx_plugin_check_file(path, err);

	if (rc < 0)
		return rc;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->registry = registry;
	s->path = strdup(path);
	rc = s->path ? plugin_read_file(s, err) : -ENOMEM;
	if (rc == 0) {
		rc = inst_new(s, NULL, NULL, &in, &why);
		if (rc < 0 && why.line)
			(void)lnx_err_set(err, rc, "line %d: %s", why.line, why.msg);
		else if (rc < 0)
			(void)lnx_err_set(err, rc, "%s", why.msg);
	}
	if (rc < 0 || !in) {
		lnx_lua_plugin_close(s);
		return rc;
	}
	plugin_table(s, in);
	inst_free(in);
	*ret_script = s;
	*ret_plugin = &s->table;
	return 0;
}

void lnx_lua_plugin_close(struct lnx_lua_plugin *s)
{
	struct lua_mem *m;

	if (!s)
		return;
	while ((m = s->mem)) {
		s->mem = m->next;
		free(m);
	}
	lnx_buf_done(&s->text);
	free(s->path);
	free(s);
}

void lnx_lua_plugin_types(const struct lnx_lua_plugin *s, struct lnx_registry *r)
{
	unsigned i;

	for (i = 0; i < s->n_events; i++)
		(void)lnx_registry_add(
			r, &s->events[i]); /* a rule that names one says what is missing */
}

static int plugin_is_script(const struct dirent *d)
{
	const char *suffix = lnx_plugin_suffix(d->d_name);

	return suffix && strcmp(suffix, ".lua") == 0;
}

unsigned lnx_lua_plugin_dir_types(const char *dir, struct lnx_registry *r,
				  struct lnx_lua_plugin **ret_scripts, unsigned max)
{
	const struct lnx_plugin *table;
	struct dirent **names = NULL;
	char path[PATH_MAX];
	struct lnx_err err;
	unsigned n = 0;
	int i, found = scandir(dir, &names, plugin_is_script, alphasort);

	for (i = 0; i < found; i++) {
		if (n < max &&
		    (size_t)snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name) <
			    sizeof(path) &&
		    lnx_lua_plugin_open(path, r, &ret_scripts[n], &table, &err) == 0)
			lnx_lua_plugin_types(ret_scripts[n++], r);
		free(names[i]);
	}
	free(names);
	return n;
}
