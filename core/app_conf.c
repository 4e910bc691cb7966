/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The configuration of the whole agent: read, bound to every instance at once, and replaced on reload. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "app_rules.h"
#include "crash.h"

extern char **environ;

#define LNX_CORE_SECTIONS 8

static void lnx_core_sections(struct lnx_core_conf *core, struct lnx_section *s)
{
	const struct {
		const char *name;
		const struct lnx_option *options;
	} table[LNX_CORE_SECTIONS] = {
		{ "node", lnx_core_options_node },     { "cluster", lnx_core_options_cluster },
		{ "log", lnx_core_options_log },       { "plugins", lnx_core_options_plugins },
		{ "probes", lnx_core_options_probes }, { "rules", lnx_core_options_rules },
		{ "bus", lnx_core_options_bus },       { "budget", lnx_core_options_budget },
	};
	unsigned i;

	for (i = 0; i < LNX_CORE_SECTIONS; i++) {
		s[i].name = table[i].name;
		s[i].options = table[i].options;
		s[i].conf = core;
		s[i].conf_size = sizeof(*core);
	}
}

/* A missing file is fine at the default path only. */
static int lnx_config_read(struct lnx_app *app, struct lnx_node **ret_root, struct lnx_buf *errors)
{
	struct lnx_err err = { { 0 }, 0, 0 };
	size_t n = strlen(app->config_path);
	int rc = lnx_conf_load(app->config_path, ret_root, &err);

	if (rc == 0 || (rc == -ENOENT && !app->args.config))
		return 0;
	lnx_buf_str(errors, app->config_path);
	if (err.line)
		lnx_buf_printf(errors, ":%d:%d", err.line, err.column);
	lnx_buf_printf(errors, ": %s", err.msg[0] ? err.msg : strerror(-rc));
	if (n > 5 && !strcmp(app->config_path + n - 5, ".toml"))
		lnx_buf_str(errors,
			    " (this looks like TOML; linnix reads YAML, see etc/linnix.yaml)");
	lnx_buf_char(errors, '\n');
	return rc;
}

/* Names of all sections of the file, so that the first, core-only pass finds none of them unknown. */
static const char **lnx_root_names(const struct lnx_node *root)
{
	const struct lnx_node *c;
	const char **names;
	unsigned n = 0;

	for (c = root ? root->child : NULL; c; c = c->next)
		n++;
	names = calloc(n + 1u, sizeof(*names));
	if (!names)
		return NULL;
	n = 0;
	for (c = root ? root->child : NULL; c; c = c->next)
		names[n++] = c->key ? c->key : "";
	return names;
}

/* Find and open the plugins that the configuration names; once, before the full bind. */
static int lnx_config_find_plugins(struct lnx_app *app, const struct lnx_node *root,
				   struct lnx_bind_args *args)
{
	const char *const fallback[] = { app->default_plugins, NULL };
	struct lnx_section sections[LNX_CORE_SECTIONS];
	struct lnx_buf errors = { 0 }, warnings = { 0 };
	const char **known = lnx_root_names(root);
	struct lnx_optset *set = NULL;
	struct lnx_core_conf core;
	struct lnx_err err = { { 0 }, 0, 0 };
	const char *const *dirs = fallback;
	const char *state_file = "/run/linnix/plugins.state";
	int rc = -ENOMEM;

	memset(sections, 0, sizeof(sections));
	memset(&core, 0, sizeof(core));
	lnx_core_sections(&core, sections);
	args->sections = sections;
	args->n_sections = LNX_CORE_SECTIONS;
	args->known = known;
	app->plugins = calloc(1, sizeof(*app->plugins));
	if (!known || !app->plugins)
		goto out;
	(void)lnx_option_bind(args, &errors, &warnings, &set); /* reported by the full bind */
	if (set) {
		state_file = core.plugins_state_file;
		if (core.plugins_dir[0])
			dirs = core.plugins_dir;
	}
	if (app->args.check_config || app->args.dump_config || app->args.explain)
		state_file = "";
	rc = lnx_crash_open(state_file, app->wall_offset_ns + app->start_ns, &app->plugins->crash,
			    &err);
	if (rc < 0)
		goto out;
	if (rc > 0 && *state_file) {
		memcpy(app->crash_note, err.msg, sizeof(app->crash_note));
		lnx_log(LNX_WARN,
			"plugins.state_file %s: a plugin that crashes the agent cannot be quarantined",
			err.msg);
	}
	rc = lnx_plugins_scan(app, dirs);
out:
	lnx_optset_free(set);
	lnx_buf_done(&errors);
	lnx_buf_done(&warnings);
	free(known);
	args->known = NULL;
	args->sections = NULL; /* ours, on this stack */
	args->n_sections = 0;
	return rc;
}

static int lnx_config_sections(struct lnx_app *app, struct lnx_config *c)
{
	struct lnx_plugins *ps = app->plugins;
	unsigned i, k;

	c->sections = calloc(LNX_CORE_SECTIONS + ps->n, sizeof(*c->sections));
	if (!c->sections)
		return -ENOMEM;
	lnx_core_sections(&c->core, c->sections);
	c->n_sections = LNX_CORE_SECTIONS;
	for (i = 0; i < ps->n; i++) {
		struct lnx_ctx *x = ps->list[i];
		struct lnx_section *s = &c->sections[c->n_sections];

		for (k = 0; k < c->n_sections; k++)
			if (!strcmp(c->sections[k].name, lnx_ctx_section(x)))
				break;
		if (k < c->n_sections)
			continue;
		s->name = lnx_ctx_section(x);
		if (x->plugin && x->plugin->options) {
			s->conf = calloc(1, x->plugin->conf_size);
			if (!s->conf)
				return -ENOMEM;
			s->options = x->plugin->options;
			s->conf_size = x->plugin->conf_size;
		}
		c->n_sections++;
	}
	return 0;
}

void lnx_app_config_free(struct lnx_config *c)
{
	unsigned i;

	if (!c)
		return;
	lnx_optset_free(c->set);
	for (i = 0; c->sections && i < c->n_sections; i++)
		if (c->sections[i].conf != &c->core)
			free(c->sections[i].conf);
	free(c->sections);
	free(c);
}

/* ---- what no option table can say */

struct conf_check {
	struct lnx_app *app;
	const struct lnx_config *config;
	const struct lnx_node *root;
	const char *section;
	struct lnx_buf *errors;
	unsigned n;
};

static const struct lnx_node *conf_place(const struct conf_check *k, const char *key)
{
	const struct lnx_node *at = lnx_conf_get(k->root, k->section);
	char part[128];
	size_t n;

	for (; at && *key; key += n + (key[n] == '.')) {
		n = strcspn(key, ".");
		(void)snprintf(part, sizeof(part), "%.*s", (int)n, key); /* a cut key is nowhere */
		at = lnx_conf_get(at, part);
	}
	return at;
}

static void conf_say(void *arg, const char *key, const char *text)
{
	struct conf_check *k = arg;
	const struct lnx_node *at = conf_place(k, key);
	int origin = LNX_FROM_DEFAULT;
	size_t from;

	if (lnx_optset_is_wrong(k->config->set, k->section, key))
		return; /* that was said, and what is looked at here is not what was meant */
	k->n++;
	(void)lnx_optset_get(k->config->set, k->section, key, &origin);
	if (origin == LNX_FROM_DEFAULT) /* what is missing is missing in its section */
		at = lnx_conf_get(k->root, k->section);
	if (at && origin <= LNX_FROM_FILE)
		lnx_buf_printf(k->errors, "%s:%d:%d: ", k->app->config_path, at->line, at->column);
	else if (origin == LNX_FROM_ENV)
		lnx_buf_str(k->errors, "environment: ");
	else if (origin == LNX_FROM_FLAG)
		lnx_buf_str(k->errors, "flag: ");
	from = k->errors->size;
	lnx_buf_printf(k->errors, "%s.%s: %s", k->section, key, text);
	for (; from < k->errors->size; from++)
		if ((unsigned char)k->errors->data[from] < 0x20 || k->errors->data[from] == 0x7f)
			k->errors->data[from] =
				'?'; /* a value quoted there is not ours: none may forge a line */
	lnx_buf_char(k->errors, '\n');
}

/* A misspelt one would go on running. */
static void conf_check_probes(struct conf_check *k)
{
	const char *const *d = k->config->core.probes_disabled;
	const char *names[32] = { NULL }, *hint;
	char text[160];
	unsigned i;

	for (i = 0; i + 1 < sizeof(names) / sizeof(names[0]) && lnx_probe_name(i); i++)
		names[i] = lnx_probe_name(i);
	for (k->section = "probes"; *d; d++) {
		for (i = 0; names[i] && strcmp(names[i], *d) != 0; i++)
			;
		if (names[i])
			continue;
		hint = lnx_suggest(*d, names);
		(void)snprintf(text, sizeof(text), "there is no probe '%.64s'%s%s%s", *d,
			       hint ? " (did you mean '" : "", hint ? hint : "",
			       hint ? "'?)" : ""); /* fits */
		conf_say(k, "disabled", text);
	}
}

static int lnx_config_check(struct lnx_app *app, const struct lnx_config *c,
			    const struct lnx_node *root, struct lnx_buf *errors)
{
	struct conf_check k = { app, c, root, NULL, errors, 0 };
	unsigned i;

	conf_check_probes(&k);
	for (i = 0; i < app->plugins->n; i++) {
		const struct lnx_ctx *x = app->plugins->list[i];

		k.section = lnx_ctx_section(x);
		lnx_ctx_check(x, c, lnx_app_config_of(c, x), conf_say, &k);
	}
	return k.n ? -EINVAL : 0;
}

int lnx_app_config_load(struct lnx_app *app, struct lnx_config **ret_config, struct lnx_buf *errors,
			struct lnx_buf *warnings)
{
	struct lnx_bind_args args = {
		.file = app->config_path, .env = environ, .flags = app->args.flags, .keeps_wrong = 1
	};
	struct lnx_node *root = NULL;
	struct lnx_config *c = NULL;
	int rc = lnx_config_read(app, &root, errors), rc_also;

	args.root = root;
	if (!app->plugins) {
		rc_also = lnx_config_find_plugins(app, root, &args);
		if (rc_also == 0)
			rc_also = lnx_plugins_add_named(app, root);
		if (rc == 0)
			rc = rc_also;
	}
	if (rc < 0)
		goto out;
	c = calloc(1, sizeof(*c));
	rc = c ? lnx_config_sections(app, c) : -ENOMEM;
	if (rc < 0)
		goto out;
	args.sections = c->sections;
	args.n_sections = c->n_sections;
	rc = lnx_option_bind(&args, errors, warnings, &c->set);
	rc_also = c->set ? lnx_config_check(app, c, root, errors) : 0; /* all mistakes at once */
	if (rc == 0)
		rc = rc_also;
	if (rc < 0)
		goto out;
	*ret_config = c;
	c = NULL;
out:
	lnx_app_config_free(c);
	lnx_conf_free(root);
	return rc;
}

const void *lnx_app_config_of(const struct lnx_config *c, const struct lnx_ctx *x)
{
	unsigned i;

	for (i = LNX_CORE_SECTIONS; i < c->n_sections; i++)
		if (!strcmp(c->sections[i].name, lnx_ctx_section(x)))
			return c->sections[i].conf;
	return NULL;
}

static void lnx_reload_log_lines(int level, const char *prefix, struct lnx_buf *lines)
{
	char *line, *save = NULL;

	for (line = lines->size ? strtok_r(lines->data, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save))
		lnx_log(level, "%s: %s", prefix, line);
}

/* Give every running instance its part of <to>; on failure give back those of <from>. */
static int lnx_reload_instances(struct lnx_app *app, const struct lnx_config *to,
				const struct lnx_config *from)
{
	struct lnx_plugins *ps = app->plugins;
	unsigned i;
	int rc = 0;

	for (i = 0; i < ps->n && rc >= 0; i++) {
		struct lnx_ctx *x = ps->list[i];
		int before;

		if (!x->is_started || !x->plugin->reload)
			continue;
		before = lnx_ctx_enter(x);
		rc = x->plugin->reload(x->state, lnx_app_config_of(to, x));
		lnx_ctx_leave(x, before);
		if (rc < 0)
			lnx_log(LNX_ERROR, "reload: %s refused its new configuration: %s", x->name,
				strerror(-rc));
	}
	if (rc >= 0)
		return 0;
	while (i-- > 1) {
		struct lnx_ctx *x = ps->list[i - 1];

		if (x->is_started && x->plugin->reload)
			(void)x->plugin->reload(
				x->state, lnx_app_config_of(from, x)); /* it took this one before */
	}
	return rc;
}

int lnx_app_reload(struct lnx_app *app)
{
	struct lnx_buf errors = { 0 }, warnings = { 0 }, changed = { 0 };
	struct lnx_config *c = NULL, *old = app->config;
	unsigned i;
	int rc;

	lnx_notify("RELOADING=1");
	rc = lnx_app_config_load(app, &c, &errors, &warnings);
	lnx_reload_log_lines(LNX_ERROR, "reload", &errors);
	lnx_reload_log_lines(LNX_WARN, "reload", &warnings);
	if (rc == 0)
		rc = lnx_reload_instances(app, c, old);
	app->reload_ok = rc >= 0;
	if (rc < 0) {
		lnx_log(LNX_ERROR, "reload failed; the configuration of before stays in force");
		lnx_app_config_free(c);
	} else {
		lnx_optset_diff(old->set, c->set, &changed);
		lnx_reload_log_lines(LNX_WARN, "reload: takes effect only after a restart",
				     &changed);
		for (i = 0; i < app->plugins->n; i++)
			app->plugins->list[i]->conf = lnx_app_config_of(c, app->plugins->list[i]);
		lnx_optset_wipe(c->set);
		app->config = c;
		if (old != app->first_config)
			lnx_app_config_free(old);
		lnx_log_set_level((int)c->core.log_level);
		app->reload_wall_ns = app->wall_offset_ns + lnx_bus_now(app->bus);
		lnx_log(LNX_INFO, "configuration reloaded");
	}
	lnx_app_rules_watch(app);
	lnx_app_rules_reload_later(app, true);
	lnx_notify("READY=1");
	lnx_buf_done(&errors);
	lnx_buf_done(&warnings);
	lnx_buf_done(&changed);
	return rc;
}
