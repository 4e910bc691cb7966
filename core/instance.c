/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Instances: scanning the plugin folders, named instances, order by needs, and life from init to fini. */
#include "instance.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app.h"
#include "crash.h"
#include "lua_plugin.h"

#define LNX_MAX_FILES 256 /* in one plugin folder */

#define LNX_PLUGIN_HAS(p, m) ((p)->size >= offsetof(struct lnx_plugin, m) + sizeof((p)->m))

static const char *lnx_plugin_section(const struct lnx_plugin *p)
{
	return LNX_PLUGIN_HAS(p, section) && p->section ? p->section : p->name;
}

static uint32_t lnx_plugin_flags(const struct lnx_plugin *p)
{
	return LNX_PLUGIN_HAS(p, flags) ? p->flags : 0;
}

const char *lnx_ctx_section(const struct lnx_ctx *c)
{
	/* a named instance "webhook.ops" has its own section; the plain one may be renamed by the plugin */
	return strchr(c->name, '.') || !c->plugin ? c->name : lnx_plugin_section(c->plugin);
}

static struct lnx_ctx *lnx_ctx_new(struct lnx_app *app, const char *name, const char *path)
{
	struct lnx_plugins *ps = app->plugins;
	struct lnx_ctx *c;

	if (ps->n == LNX_MAX_INSTANCES) {
		lnx_log(LNX_ERROR, "plugins: more than %d instances, %s is left out",
			LNX_MAX_INSTANCES, name);
		return NULL;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->app = app;
	(void)snprintf(c->name, sizeof(c->name), "%s", name); /* names are checked or only shown */
	(void)snprintf(c->path, sizeof(c->path), "%s", path);
	c->crash_index = lnx_crash_index(ps->crash, name);
	ps->list[ps->n++] = c;
	return c;
}

static void lnx_ctx_refuse(struct lnx_ctx *c, uint32_t status, const char *why)
{
	c->status = status;
	(void)snprintf(c->error, sizeof(c->error), "%s", why); /* cut is fine: for people */
	/* a stray file in the folder is no lost function */
	lnx_ctx_health(c, "plugin",
		       c->plugin || status == LNX_INST_QUARANTINED ? LNX_HEALTH_LOST
								   : LNX_HEALTH_DEGRADED,
		       c->error);
	lnx_log(LNX_ERROR, "plugin %s: %s", c->path[0] ? c->path : c->name, c->error);
}

/* The table of the file of <c>: of a shared object or of a script. */
static int lnx_ctx_open(struct lnx_ctx *c, const char *base, struct lnx_err *err)
{
	const struct lnx_plugin *p = NULL;
	int rc;

	if (strcmp(lnx_plugin_suffix(base), ".so") == 0) {
		rc = lnx_plugin_open(c->path, &c->dl, &c->plugin, err);
		c->owns_dl = rc == 0;
		return rc;
	}
	rc = lnx_lua_plugin_open(c->path, c->app->registry, &c->lua, &p, err);
	if (rc == 0)
		rc = lnx_plugin_check_table(p, base, ".lua", err);
	if (rc == 0)
		c->plugin = p;
	return rc;
}

static void lnx_plugins_add_file(struct lnx_app *app, const char *dir, const char *base)
{
	struct lnx_plugins *ps = app->plugins;
	struct lnx_err err = { { 0 }, 0, 0 };
	char path[1024], name[64], why[200];
	struct lnx_ctx *c;
	unsigned i;

	if (snprintf(path, sizeof(path), "%s/%s", dir, base) >= (int)sizeof(path)) {
		lnx_log(LNX_ERROR, "plugin %s/%s: path too long", dir, base);
		return;
	}
	(void)snprintf(name, sizeof(name), "%.*s",
		       (int)(strlen(base) - strlen(lnx_plugin_suffix(base))),
		       base); /* cut is refused by the handshake */
	for (i = 0; i < ps->n; i++) {
		if (strcmp(ps->list[i]->name, name) != 0)
			continue;
		lnx_log(LNX_WARN, "plugin %s: ignored, %s comes first", path, ps->list[i]->path);
		return;
	}
	c = lnx_ctx_new(app, name, path);
	if (!c)
		return;
	if (lnx_crash_count(ps->crash, name) >= LNX_CRASH_QUARANTINE) {
		(void)snprintf(
			why, sizeof(why),
			"quarantined: it crashed the agent %d times in 10 minutes; fix or remove it, then remove %s",
			LNX_CRASH_QUARANTINE, "the file of plugins.state_file, or wait 10 minutes");
		lnx_ctx_refuse(c, LNX_INST_QUARANTINED, why);
		return;
	}
	lnx_crash_run(ps->crash, c->crash_index);
	if (lnx_ctx_open(c, base, &err) < 0)
		lnx_ctx_refuse(c, LNX_INST_REFUSED, err.msg[0] ? err.msg : "not enough memory");
	lnx_crash_run(ps->crash, -1);
}

static int lnx_is_plugin(const struct dirent *d)
{
	return lnx_plugin_suffix(d->d_name) != NULL;
}

int lnx_plugins_scan(struct lnx_app *app, const char *const *dirs)
{
	struct dirent **list;
	int i, n;

	for (; *dirs; dirs++) {
		n = scandir(*dirs, &list, lnx_is_plugin, alphasort);
		if (n < 0) {
			lnx_log(LNX_WARN, "plugins.dir %s: %s", *dirs, strerror(errno));
			continue;
		}
		for (i = 0; i < n; i++) {
			if (i < LNX_MAX_FILES)
				lnx_plugins_add_file(app, *dirs, list[i]->d_name);
			free(list[i]);
		}
		free(list);
	}
	return 0;
}

static struct lnx_ctx *lnx_plugins_find(const struct lnx_app *app, const char *name, size_t n)
{
	unsigned i;

	for (i = 0; i < app->plugins->n; i++)
		if (strlen(app->plugins->list[i]->name) == n &&
		    !memcmp(app->plugins->list[i]->name, name, n))
			return app->plugins->list[i];
	return NULL;
}

int lnx_plugins_add_named(struct lnx_app *app, const struct lnx_node *root)
{
	const struct lnx_node *s;
	struct lnx_ctx *base, *c;
	const char *dot;

	if (!root || root->kind != LNX_NODE_MAP)
		return 0;
	for (s = root->child; s; s = s->next) {
		dot = s->key ? strchr(s->key, '.') : NULL;
		if (!dot || !lnx_section_is_name(s->key) ||
		    lnx_plugins_find(app, s->key, strlen(s->key)))
			continue;
		base = lnx_plugins_find(app, s->key, (size_t)(dot - s->key));
		if (!base || !base->plugin)
			continue;
		c = lnx_ctx_new(app, s->key, base->path);
		if (!c)
			return -ENOMEM;
		c->dl = base->dl;
		c->plugin = base->plugin;
	}
	return 0;
}

/* ---- order */

static bool lnx_ctx_is_on(const struct lnx_ctx *c)
{
	return c->plugin && (c->status == LNX_INST_NEW || c->status == LNX_INST_RUNNING);
}

static bool lnx_ctx_provides(const struct lnx_ctx *c, const char *service)
{
	const char *const *p = LNX_PLUGIN_HAS(c->plugin, provides) ? c->plugin->provides : NULL;

	for (; p && *p; p++)
		if (!strcmp(*p, service))
			return true;
	return false;
}

/* Instance that provides <service>, -1: the host, -2: nobody. */
static int lnx_provider_of(const struct lnx_app *app, const char *service)
{
	const void *vtable;
	void *self;
	unsigned i;

	if (lnx_services_find(app->services, service, &vtable, &self) == 0)
		return -1;
	for (i = 0; i < app->plugins->n; i++)
		if (lnx_ctx_is_on(app->plugins->list[i]) &&
		    lnx_ctx_provides(app->plugins->list[i], service))
			return (int)i;
	return -2;
}

/* 0: all needs met by instances marked placed; 1: must wait; 2: refused just now. */
static int lnx_ctx_needs(struct lnx_app *app, struct lnx_ctx *c, const bool *placed)
{
	const char *const *need = c->plugin->needs;
	char name[64], why[160];
	int result = 0;

	for (; need && *need; need++) {
		size_t n = strlen(*need);
		bool is_optional = n && (*need)[n - 1] == '?';
		int who;

		(void)snprintf(name, sizeof(name), "%.*s", (int)(n - is_optional),
			       *need); /* a cut name matches nobody */
		who = lnx_provider_of(app, name);
		if (who == -2 && !is_optional) {
			(void)snprintf(why, sizeof(why),
				       "needs the service %s, which no loaded plugin provides",
				       name);
			lnx_ctx_refuse(c, LNX_INST_REFUSED, why);
			return 2;
		}
		if (who >= 0 && !placed[who] && app->plugins->list[who] != c)
			result = 1;
	}
	return result;
}

/* What the section of <c> says of enabled: 0, 1, or 2 when it says nothing. */
static uint32_t lnx_plugins_section_says(const struct lnx_config *config, const struct lnx_ctx *c)
{
	uint32_t enabled = 2;
	unsigned k;

	for (k = 0; k < config->n_sections; k++)
		if (!strcmp(config->sections[k].name, lnx_ctx_section(c)))
			enabled = config->sections[k].enabled;
	return enabled;
}

/* Plugins flagged off need a yes. */
static bool lnx_plugins_is_enabled(const struct lnx_config *config, const struct lnx_ctx *c)
{
	uint32_t enabled = lnx_plugins_section_says(config, c), flags = lnx_plugin_flags(c->plugin);

	return enabled != 0 && (enabled != 2 || !(flags & LNX_PLUGINF_OFF)) &&
	       !(flags & LNX_PLUGINF_NEVER);
}

void lnx_ctx_check(const struct lnx_ctx *c, const struct lnx_config *config, const void *conf,
		   void (*say)(void *arg, const char *key, const char *text), void *arg)
{
	bool is_read;

	if (!conf || !lnx_ctx_is_on(c))
		return;
	/* one that loads when it is needed is read, too, unless it is told not to */
	is_read = lnx_plugins_is_enabled(config, c) ||
		  ((lnx_plugin_flags(c->plugin) & LNX_PLUGINF_NEEDED) &&
		   lnx_plugins_section_says(config, c) != 0);
	if (is_read && LNX_PLUGIN_HAS(c->plugin, check) && c->plugin->check)
		c->plugin->check(conf, say, arg);
}

static void lnx_plugins_apply_enabled(struct lnx_app *app)
{
	unsigned i;

	for (i = 0; i < app->plugins->n; i++) {
		struct lnx_ctx *c = app->plugins->list[i];

		if (lnx_ctx_is_on(c) && !lnx_plugins_is_enabled(app->config, c))
			c->status = LNX_INST_OFF;
	}
}

uint64_t lnx_plugins_caps(const struct lnx_app *app)
{
	uint64_t caps = 0;
	unsigned i;

	for (i = 0; i < app->plugins->n; i++) {
		const struct lnx_ctx *c = app->plugins->list[i];

		if (lnx_ctx_is_on(c) && LNX_PLUGIN_HAS(c->plugin, keep_caps) &&
		    lnx_plugins_is_enabled(app->config, c))
			caps |= c->plugin->keep_caps;
	}
	return caps;
}

/* One more that was only off because nobody needed it. */
static bool lnx_plugins_wake_one(struct lnx_app *app, const struct lnx_ctx *needs)
{
	const char *const *need = needs->plugin->needs;
	unsigned i;

	for (; need && *need; need++) {
		for (i = 0; lnx_provider_of(app, *need) == -2 && i < app->plugins->n; i++) {
			struct lnx_ctx *c = app->plugins->list[i];

			if (c->status == LNX_INST_OFF && c->plugin &&
			    lnx_plugins_section_says(app->config, c) != 0 &&
			    (lnx_plugin_flags(c->plugin) & LNX_PLUGINF_NEEDED) &&
			    lnx_ctx_provides(c, *need)) {
				c->status = LNX_INST_NEW;
				return true;
			}
		}
	}
	return false;
}

static void lnx_plugins_wake(struct lnx_app *app)
{
	unsigned i;

	for (i = 0; i < app->plugins->n; i++) /* from the start after each: it may need others */
		if (lnx_ctx_is_on(app->plugins->list[i]) &&
		    lnx_plugins_wake_one(app, app->plugins->list[i]))
			i = UINT_MAX;
}

void lnx_plugins_order(struct lnx_app *app)
{
	struct lnx_ctx *sorted[LNX_MAX_INSTANCES];
	bool placed[LNX_MAX_INSTANCES] = { false };
	struct lnx_plugins *ps = app->plugins;
	unsigned i, n = 0;
	bool moved = true;

	lnx_plugins_apply_enabled(app);
	lnx_plugins_wake(app);
	while (moved) {
		moved = false;
		for (i = 0; i < ps->n; i++) {
			struct lnx_ctx *c = ps->list[i];
			int wait;

			if (placed[i])
				continue;
			wait = lnx_ctx_is_on(c) ? lnx_ctx_needs(app, c, placed) : 0;
			if (wait == 1)
				continue;
			moved = true; /* also after a refusal: others may have needed it */
			if (wait == 2)
				continue;
			placed[i] = true;
			sorted[n++] = c;
		}
	}
	for (i = 0; i < ps->n; i++) {
		if (placed[i])
			continue;
		lnx_ctx_refuse(ps->list[i], LNX_INST_REFUSED,
			       "its needs form a circle with another plugin's");
		sorted[n++] = ps->list[i];
	}
	memcpy(ps->list, sorted, n * sizeof(sorted[0]));
}

/* ---- life */

/* After a provider failed, who needs it cannot start. */
static bool lnx_ctx_needs_met(struct lnx_app *app, struct lnx_ctx *c)
{
	const char *const *need = c->plugin->needs;
	const void *vtable;
	char why[160];
	void *self;

	for (; need && *need; need++) {
		if (**need && (*need)[strlen(*need) - 1] == '?')
			continue;
		if (lnx_services_find(app->services, *need, &vtable, &self) == 0)
			continue;
		(void)snprintf(why, sizeof(why), "needs the service %s, whose plugin did not start",
			       *need);
		lnx_ctx_refuse(c, LNX_INST_REFUSED, why);
		return false;
	}
	return true;
}

static void lnx_ctx_fail(struct lnx_ctx *c, const char *step, int rc)
{
	char why[200];

	if (lnx_plugin_flags(c->plugin) & LNX_PLUGINF_VITAL)
		c->app->vital_rc = rc;
	(void)snprintf(why, sizeof(why), "%s failed: %s (its own message stands above in the log)",
		       step, strerror(-rc));
	lnx_ctx_release(c);
	lnx_ctx_refuse(c, LNX_INST_REFUSED, why);
}

static int lnx_ctx_subscribe_table(struct lnx_ctx *c)
{
	unsigned i;

	for (i = 0; i < c->plugin->n_subs; i++) {
		const struct lnx_sub *s = &c->plugin->subs[i];
		int rc = lnx_ctx_subscribe(c, s->event, s->stage, s->queue);

		if (rc == -ENOENT) {
			lnx_log(LNX_WARN,
				"plugin %s: no event type '%s' in this agent; it goes without",
				c->name, s->event);
			continue;
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

void lnx_plugins_init(struct lnx_app *app)
{
	unsigned i;

	for (i = 0; i < app->plugins->n; i++) {
		struct lnx_ctx *c = app->plugins->list[i];
		int before, rc = 0;

		if (!lnx_ctx_is_on(c) || !lnx_ctx_needs_met(app, c))
			continue;
		before = lnx_ctx_enter(c);
		if (c->plugin->init)
			rc = c->plugin->init(&lnx_host_vtable, c, c->conf, &c->state);
		lnx_ctx_leave(c, before);
		if (rc >= 0) {
			c->is_inited = true;
			rc = lnx_ctx_subscribe_table(c);
		}
		if (rc < 0)
			lnx_ctx_fail(c, "init", rc);
	}
}

void lnx_plugins_start(struct lnx_app *app)
{
	unsigned i;

	for (i = 0; i < app->plugins->n; i++) {
		struct lnx_ctx *c = app->plugins->list[i];
		int before, rc = 0;

		if (!lnx_ctx_is_on(c) || !c->is_inited)
			continue;
		if (!lnx_ctx_needs_met(app, c)) {
			lnx_ctx_release(c);
			continue;
		}
		before = lnx_ctx_enter(c);
		if (c->plugin->start)
			rc = c->plugin->start(c->state);
		lnx_ctx_leave(c, before);
		if (rc < 0) {
			lnx_ctx_fail(c, "start", rc);
			continue;
		}
		c->is_started = true;
		c->status = LNX_INST_RUNNING;
		lnx_log(LNX_DEBUG, "plugin %s %s runs", c->name, c->plugin->version);
	}
}

void lnx_plugins_stop(struct lnx_app *app)
{
	unsigned i;

	for (i = app->plugins ? app->plugins->n : 0; i-- > 0;) {
		struct lnx_ctx *c = app->plugins->list[i];
		int before;

		if (!c->is_started || !c->plugin->stop)
			continue;
		before = lnx_ctx_enter(c);
		c->plugin->stop(c->state);
		lnx_ctx_leave(c, before);
		c->is_started = false;
	}
}

void lnx_plugins_free(struct lnx_app *app)
{
	struct lnx_plugins *ps = app->plugins;
	unsigned i;

	if (!ps)
		return;
	for (i = ps->n; i-- > 0;) {
		struct lnx_ctx *c = ps->list[i];

		if (app->workers)
			lnx_workers_flush(app->workers, c);
		if (c->is_inited && c->plugin->fini) {
			int before = lnx_ctx_enter(c);

			c->plugin->fini(c->state);
			lnx_ctx_leave(c, before);
		}
		c->is_inited = false;
		lnx_ctx_release(c);
	}
	for (i = 0; i < ps->n; i++) {
#ifndef LNX_POISON /* leak reports need the symbols */
		if (ps->list[i]->owns_dl && ps->list[i]->dl)
			(void)dlclose(ps->list[i]->dl); /* nothing left to do about it */
#endif
		lnx_lua_plugin_close(ps->list[i]->lua);
		free(ps->list[i]);
	}
	lnx_crash_close(ps->crash);
	free(ps);
	app->plugins = NULL;
}

static void lnx_ctx_json(const struct lnx_ctx *c, struct lnx_buf *out)
{
	static const char *const states[] = { "new",	 "running",	"failing",
					      "refused", "quarantined", "off" };
	unsigned i;

	lnx_json_next(out);
	lnx_buf_char(out, '{');
	lnx_json_kv_str(out, "instance", c->name);
	lnx_json_kv_str(out, "plugin", c->plugin ? c->plugin->name : c->name);
	lnx_json_kv_str(out, "version", c->plugin && c->plugin->version ? c->plugin->version : "");
	lnx_json_kv_str(out, "summary", c->plugin && c->plugin->summary ? c->plugin->summary : "");
	lnx_json_kv_str(out, "path", c->path);
	lnx_json_kv_str(out, "state", states[c->status]);
	lnx_json_kv_str(out, "error", c->error);
	lnx_json_kv_u64(out, "events", c->events);
	lnx_json_kv_u64(out, "failures", c->failures);
	lnx_json_key(out, "subscriptions");
	lnx_buf_char(out, '[');
	for (i = 0; i < c->n_subs; i++) {
		const struct lnx_event_desc *d =
			lnx_registry_get(c->app->registry, c->subs[i].type);

		lnx_json_next(out);
		lnx_json_str(out, d ? d->name : "*");
	}
	lnx_buf_str(out, "]}");
}

void lnx_plugins_json(struct lnx_app *app, struct lnx_buf *out)
{
	unsigned i;

	lnx_buf_char(out, '[');
	for (i = 0; i < app->plugins->n; i++)
		lnx_ctx_json(app->plugins->list[i], out);
	lnx_buf_char(out, ']');
}
