/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Bring-up in order, one step a line of the table; shutdown in reverse. */
#include "app.h"

#include <errno.h>
#include <ev.h>
#include <linnix/svc_proc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app_rules.h"

#define LNX_EXIT_DONE 1 /* a step did all that was asked for: stop with exit_code */

extern char **environ;

static int lnx_step_paths(struct lnx_app *app)
{
	int rc = lnx_app_paths(app);

	if (rc < 0)
		lnx_log(LNX_ERROR, "--lib-dir %s: %s", app->args.lib_dir ? app->args.lib_dir : "",
			strerror(-rc));
	lnx_app_touch_time(app);
	return rc;
}

static int lnx_step_base(struct lnx_app *app)
{
	app->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	app->registry = lnx_registry_new();
	app->metrics = lnx_metrics_new();
	app->services = lnx_services_new();
	return app->loop && app->registry && app->metrics && app->services ? 0 : -ENOMEM;
}

static void lnx_base_down(struct lnx_app *app)
{
	lnx_services_free(app->services);
	lnx_metrics_free(app->metrics);
	lnx_registry_free(app->registry);
	if (app->loop)
		ev_loop_destroy(app->loop);
}

static void lnx_print_lines(const char *prefix, const struct lnx_buf *b)
{
	const char *p = b->size ? b->data : "";

	for (; *p; p += strcspn(p, "\n") + (p[strcspn(p, "\n")] != 0))
		(void)fprintf(stderr, "%s%.*s\n", prefix, (int)strcspn(p, "\n"), p);
}

static int lnx_step_config(struct lnx_app *app)
{
	struct lnx_buf errors = { 0 }, warnings = { 0 }, dump = { 0 };
	int rc = lnx_app_config_load(app, &app->config, &errors, &warnings);

	app->first_config = app->config;

	lnx_print_lines("", &errors);
	if (rc < 0) {
		app->exit_code = 2;
		rc = LNX_EXIT_DONE;
	} else if (app->args.check_config) {
		lnx_print_lines("warning: ", &warnings);
		(void)printf("%s: ok\n", app->config_path);
		rc = LNX_EXIT_DONE;
	} else if (app->args.dump_config) {
		lnx_optset_dump(app->config->set, &dump);
		(void)fputs(dump.size ? dump.data : "", stdout);
		rc = LNX_EXIT_DONE;
	} else {
		lnx_log_init((int)app->config->core.log_level, (int)app->config->core.log_format);
		lnx_print_lines("warning: ", &warnings);
	}
	lnx_buf_done(&errors);
	lnx_buf_done(&warnings);
	lnx_buf_done(&dump);
	return rc;
}

static void lnx_config_down(struct lnx_app *app)
{
	lnx_plugins_free(app); /* left when the bus was never reached */
	if (app->config != app->first_config)
		lnx_app_config_free(app->config);
	lnx_app_config_free(app->first_config);
}

static int lnx_step_ident(struct lnx_app *app)
{
	const char *name = app->config->core.node_name;

	if (!*name) {
		if (gethostname(app->node, sizeof(app->node) - 1) < 0)
			(void)snprintf(app->node, sizeof(app->node), "unknown");
	} else {
		(void)snprintf(app->node, sizeof(app->node), "%s",
			       name); /* DNS names are shorter */
	}
	app->ident.size = sizeof(app->ident);
	app->ident.schema = 1;
	app->ident.node = app->node;
	(void)snprintf(app->cluster, sizeof(app->cluster), "%s",
		       app->config->core.cluster_name); /* cut is fine */
	app->ident.cluster = app->cluster;
	app->ident.boot_id = app->boot_id;
	app->ident.version = LNX_VERSION_TEXT;
	app->ident.agent_pid = (uint32_t)getpid();
	lnx_log_set_ident(&app->ident);
	return 0;
}

static int lnx_step_bus(struct lnx_app *app)
{
	const struct lnx_core_conf *c = &app->config->core;
	struct lnx_bus_conf conf = {
		.registry = app->registry,
		.ring_bytes = c->bus_ring_size,
		.pool_bytes = c->bus_pool_size,
		.max_pending = c->bus_max_pending,
	};

	int rc;

	app->bus = lnx_bus_new(&conf);
	app->tags = lnx_tags_new();
	if (!app->bus || !app->tags)
		return -ENOMEM;
	rc = lnx_tags_follow(app->tags, app->bus);
	if (rc < 0)
		return rc;
	lnx_bus_set_now(app->bus, app->start_ns);
	app->reload_ok = true;
	app->reload_wall_ns = app->wall_offset_ns + app->start_ns;
	return lnx_workers_new(app->loop, &app->workers);
}

static void lnx_bus_down(struct lnx_app *app)
{
	lnx_plugins_free(app);
	lnx_workers_free(app->workers);
	lnx_bus_free(app->bus);
	lnx_tags_free(app->tags);
}

static int lnx_step_probes(struct lnx_app *app)
{
	struct lnx_probes_conf conf = {
		.bpf_dir = app->bpf_dir,
		.ring_bytes = app->config->core.probes_ring_size,
		.args_mode = app->config->core.probes_args,
		.disabled = app->config->core.probes_disabled,
	};

	return lnx_probes_new(&conf, app->bus, &app->probes);
}

static void lnx_probes_down(struct lnx_app *app)
{
	if (!app->probes)
		return;
	lnx_probes_stop(app->probes);
	lnx_probes_free(app->probes);
	app->probes = NULL;
}

static void lnx_privs_say(void *arg, const char *name, const char *lost, bool is_extra)
{
	(void)arg;
	lnx_log(is_extra ? LNX_INFO : LNX_WARN,
		"without %s %s; give it to the agent if that matters", name, lost);
}

static int lnx_step_privs(struct lnx_app *app)
{
	int rc = app->args.explain ? 0 : lnx_privs_drop(lnx_plugins_caps(app));

	if (!app->args.explain)
		lnx_privs_missing(lnx_privs_say, NULL);
	if (rc < 0)
		lnx_log(LNX_WARN, "capabilities could not be dropped: %s", strerror(-rc));
	return 0;
}

/* Without its API nobody could see what the agent says of itself: better to end with the reason. */
static int lnx_vital_failed(struct lnx_app *app)
{
	if (app->vital_rc >= 0 || app->args.explain)
		return 0;
	app->exit_code = app->vital_rc == -EINVAL ? 2 : 1;
	lnx_log(LNX_ERROR,
		"the agent ends: nobody could ask it without its API, and the reason stands above");
	return LNX_EXIT_DONE;
}

static int lnx_step_plugins(struct lnx_app *app)
{
	unsigned i;
	int rc = lnx_app_status_start(app);

	if (rc < 0)
		return rc;
	for (i = 0; i < app->plugins->n; i++)
		app->plugins->list[i]->conf = lnx_app_config_of(app->config, app->plugins->list[i]);
	lnx_plugins_order(app);
	lnx_plugins_init(app);
	return lnx_vital_failed(app);
}

static int lnx_step_rules(struct lnx_app *app)
{
	if (lnx_registry_add_known(app->registry) < 0)
		lnx_log(LNX_WARN, "rules: no room for types of events that no plugin makes");
	return lnx_app_rules_first(app) == -ENOMEM ? -ENOMEM : 0;
}

static void lnx_rules_down(struct lnx_app *app)
{
	lnx_app_rules_done(app);
}

static int lnx_step_explain(struct lnx_app *app)
{
	static const char *const states[] = { "off", "loaded", "attached", "failed" };
	struct lnx_buf out = { 0 };
	struct lnx_probe_info info;
	unsigned i;

	if (!app->args.explain)
		return 0;
	if (app->rules)
		(void)lnx_rules_start(
			app->rules); /* its failures are in the log; here only who reads what counts */
	lnx_app_explain(app, &out);
	lnx_probes_sync(app->probes);
	for (i = 0; i < lnx_probes_count(app->probes); i++) {
		if (lnx_probes_info(app->probes, i, &info) < 0)
			continue;
		lnx_buf_printf(&out, "probe %s: %s, makes %s%s%s\n", info.name, states[info.state],
			       info.events, *info.why ? "; " : "", info.why);
	}
	(void)fputs(out.size ? out.data : "", stdout);
	lnx_buf_done(&out);
	return LNX_EXIT_DONE;
}

static int lnx_step_loop(struct lnx_app *app)
{
	int rc = lnx_app_loop_start(app);

	if (rc < 0)
		return rc;
	lnx_app_touch_time(app);
	rc = lnx_probes_start(app->probes, app->loop);
	if (rc < 0)
		lnx_log(LNX_ERROR, "the ring buffer cannot be read: %s", strerror(-rc));
	if (app->rules && lnx_rules_start(app->rules) < 0)
		lnx_log(LNX_ERROR, "rules: not started");
	lnx_app_rules_watch(app);
	lnx_plugins_start(app);
	lnx_optset_wipe(app->config->set); /* whoever wanted it has it */
	return lnx_vital_failed(app);
}

static void lnx_loop_down(struct lnx_app *app)
{
	unsigned budget = 64; /* bounded: a plugin that answers itself may not hold us */

	if (app->probes)
		(void)lnx_probes_drain(app->probes); /* what is there is there */
	while (lnx_bus_drain(app->bus, 1024) && budget--)
		;
	lnx_app_rules_unwatch(app);
	lnx_plugins_stop(app);
	lnx_app_loop_stop(app);
}

/* In order; `down` runs in reverse for the steps that were reached. */
static const struct {
	const char *name;
	int (*up)(struct lnx_app *app);
	void (*down)(struct lnx_app *app);
} lnx_steps[] = {
	{ "paths", lnx_step_paths, NULL },
	{ "base", lnx_step_base, lnx_base_down },
	{ "configuration", lnx_step_config, lnx_config_down },
	{ "identity", lnx_step_ident, NULL },
	{ "bus", lnx_step_bus, lnx_bus_down },
	{ "probes", lnx_step_probes, lnx_probes_down },
	{ "privileges", lnx_step_privs, NULL },
	{ "plugins", lnx_step_plugins, NULL },
	{ "rules", lnx_step_rules, lnx_rules_down },
	{ "explain", lnx_step_explain, NULL },
	{ "loop", lnx_step_loop, lnx_loop_down },
};

int lnx_app_run(const struct lnx_args *args)
{
	struct lnx_app *app = calloc(1, sizeof(*app));
	unsigned n;
	int rc = 0, code;

	if (!app)
		return 1;
	app->args = *args;
	for (n = 0; n < sizeof(lnx_steps) / sizeof(lnx_steps[0]) && rc == 0; n++)
		rc = lnx_steps[n].up(app);
	if (rc < 0) {
		lnx_log(LNX_ERROR, "start failed at %s: %s", lnx_steps[n - 1].name, strerror(-rc));
		app->exit_code = 1;
	} else if (rc == 0) {
		lnx_log(LNX_INFO, "linnixd %s runs on %s", LNX_VERSION_TEXT, app->node);
		lnx_notify("READY=1");
		(void)ev_run(app->loop, 0); /* until a signal breaks it */
		lnx_notify("STOPPING=1");
		app->is_stopping = true;
	}
	while (n-- > 0)
		if (lnx_steps[n].down)
			lnx_steps[n].down(app);
	code = app->exit_code;
	lnx_log_set_ident(NULL);
	free(app);
	return code;
}
