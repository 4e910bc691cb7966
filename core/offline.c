/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The parts of an agent that need no machine. Of the plugins only those run that provide a service which rules ask, and they
 * are initialised but never started: their state comes from the recording. */
#include "offline.h"

#include <errno.h>
#include <linnix/plugin.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "crash.h"
#include "lua_plugin.h"

#define OFFLINE_POOL_BYTES (16u << 20)

/* The service that rules ask, and the event that stands for what its plugin reads from a live kernel. */
#define OFFLINE_SERVICE "proc/1"
#define OFFLINE_EVENT	"proc.usage"

static bool offline_is_kept(const struct lnx_ctx *c)
{
	const char *const *p =
		c->plugin && c->plugin->size >= offsetof(struct lnx_plugin, provides) +
							sizeof(c->plugin->provides)
			? c->plugin->provides
			: NULL;

	for (; p && *p; p++)
		if (strcmp(*p, OFFLINE_SERVICE) == 0)
			return true;
	return false;
}

/* Options of the one plugin, by their defaults: neither a file nor the environment may change what a recording gives. */
static int offline_bind(struct lnx_app *app, struct lnx_ctx *c)
{
	struct lnx_config *conf = app->config;
	struct lnx_section *s = calloc(1, sizeof(*s));
	struct lnx_bind_args args = { .sections = s, .n_sections = 1 };
	struct lnx_buf errors = { 0 }, warnings = { 0 };
	int rc;

	if (!s)
		return -ENOMEM;
	conf->sections = s;
	conf->n_sections = 1;
	s->name = lnx_ctx_section(c);
	s->options = c->plugin->options;
	s->conf_size = c->plugin->conf_size;
	s->conf = calloc(1, s->conf_size ? s->conf_size : 1);
	rc = s->conf ? lnx_option_bind(&args, &errors, &warnings, &conf->set) : -ENOMEM;
	lnx_buf_done(&errors);
	lnx_buf_done(&warnings);
	c->conf = s->conf;
	return rc;
}

static int offline_plugins(struct lnx_app *app, const char *dir)
{
	const char *const dirs[] = { dir, NULL };
	struct lnx_err err = { { 0 }, 0, 0 };
	struct lnx_ctx *kept = NULL;
	unsigned i;
	int rc;

	app->plugins = calloc(1, sizeof(*app->plugins));
	if (!app->plugins)
		return -ENOMEM;
	rc = lnx_crash_open("", 0, &app->plugins->crash, &err);
	if (rc == -ENOMEM)
		return rc;
	rc = dir ? lnx_plugins_scan(app, dirs) : 0;
	for (i = 0; rc == 0 && i < app->plugins->n; i++) {
		struct lnx_ctx *c = app->plugins->list[i];

		/* rules may be written for the events of any of them */
		if (c->lua)
			lnx_lua_plugin_types(c->lua, app->registry);
		if (!kept && offline_is_kept(c))
			kept = c;
		else
			c->status = LNX_INST_OFF;
	}
	if (rc < 0 || !kept) {
		lnx_log(LNX_WARN,
			"no plugin provides %s: a tree ends at the parent, proc() knows nobody",
			OFFLINE_SERVICE);
		return rc;
	}
	rc = offline_bind(app, kept);
	if (rc < 0)
		return rc;
	lnx_plugins_order(app);
	lnx_plugins_init(app);
	if (kept->is_inited)
		rc = lnx_ctx_subscribe(kept, OFFLINE_EVENT, LNX_STAGE_STATE, 0);
	return rc;
}

int lnx_offline_new(const char *plugins_dir, struct lnx_app **ret_app)
{
	struct lnx_bus_conf conf = { .ring_bytes = 1, .pool_bytes = OFFLINE_POOL_BYTES };
	struct lnx_app *app = calloc(1, sizeof(*app));
	int rc = -ENOMEM;

	if (!app)
		return -ENOMEM;
	app->registry = conf.registry = lnx_registry_new();
	app->metrics = lnx_metrics_new();
	app->services = lnx_services_new();
	app->config = calloc(1, sizeof(*app->config));
	app->tags = lnx_tags_new();
	if (app->registry)
		app->bus = lnx_bus_new(&conf);
	if (app->bus && app->metrics && app->services && app->config && app->tags)
		rc = lnx_tags_follow(app->tags, app->bus);
	if (rc == 0)
		rc = offline_plugins(app, plugins_dir);
	if (rc == 0)
		rc = lnx_registry_add_known(app->registry);
	if (rc < 0) {
		lnx_offline_free(app);
		return rc;
	}
	*ret_app = app;
	return 0;
}

void lnx_offline_free(struct lnx_app *app)
{
	if (!app)
		return;
	lnx_plugins_free(app);
	lnx_bus_free(app->bus);
	lnx_tags_free(app->tags);
	lnx_services_free(app->services);
	lnx_metrics_free(app->metrics);
	lnx_registry_free(app->registry);
	if (app->config) {
		lnx_optset_free(app->config->set);
		if (app->config->sections)
			free(app->config->sections->conf);
		free(app->config->sections);
	}
	free(app->config);
	free(app);
}
