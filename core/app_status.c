/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the agent says of itself: service core/1 and the core's own metrics. */
#include <errno.h>
#include <fcntl.h>
#include <linnix/svc_core.h>
#include <linnix/svc_stall.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "app.h"
#include "app_rules.h"
#include "rec.h"

static const char *const lnx_resources[] = { "cpu", "memory", "io" };

/* ---- JSON of events */

uint64_t lnx_app_wall_ns(void *arg, uint64_t boot_ns)
{
	const struct lnx_app *app = arg;

	return app->wall_offset_ns + boot_ns;
}

void lnx_app_json_env(struct lnx_app *app, struct lnx_json_env *ret_env)
{
	ret_env->registry = app->registry;
	ret_env->wall_ns = lnx_app_wall_ns;
	ret_env->tags = app->tags;
	ret_env->arg = app;
	ret_env->ident = &app->ident;
}

/* ---- health */

static void lnx_health_line(struct lnx_buf *out, unsigned *n, const char *who, const char *what,
			    const char *why)
{
	if (out) {
		char text[512];

		(void)snprintf(text, sizeof(text), "%s: %s%s%s", who, what, *why ? ": " : "",
			       why); /* for people */
		lnx_json_next(out);
		lnx_json_str(out, text);
	}
	(*n)++;
}

/* Probes that failed although someone wants their events are lost functions. */
static void lnx_health_probes(struct lnx_app *app, uint32_t state, struct lnx_buf *out, unsigned *n)
{
	struct lnx_probe_info info;
	unsigned i;

	if (state != LNX_HEALTH_LOST || !app->probes)
		return;
	for (i = 0; i < lnx_probes_count(app->probes); i++)
		if (lnx_probes_info(app->probes, i, &info) == 0 && info.state == LNX_PROBE_FAILED)
			lnx_health_line(out, n, "probe", info.name, info.why);
}

static void lnx_health_rules(struct lnx_app *app, uint32_t state, struct lnx_buf *out, unsigned *n)
{
	unsigned disabled = 0, errors;
	char text[160];
	const char *first;

	const char *refused = lnx_app_rules_refused(app);

	if (state == LNX_HEALTH_DEGRADED && *refused)
		lnx_health_line(out, n, "rules", "the last reload failed, the rules of before run",
				refused);
	if (state != LNX_HEALTH_LOST)
		return;
	if (!app->rules) {
		lnx_health_line(out, n, "rules", "not loaded", refused);
		return;
	}
	errors = lnx_rules_errors(app->rules);
	first = lnx_rules_disabled(app->rules, &disabled);
	if (errors) {
		(void)snprintf(text, sizeof(text), "%u rule file%s could not be loaded", errors,
			       errors == 1 ? "" : "s");
		lnx_health_line(out, n, "rules", text, "see GET /rules or the log");
	}
	if (disabled) {
		(void)snprintf(text, sizeof(text), "%u disabled after failures, first %s", disabled,
			       first);
		lnx_health_line(out, n, "rules", text, "");
	}
}

struct health_list {
	struct lnx_buf *out;
	unsigned *n;
};

static void lnx_health_priv(void *arg, const char *name, const char *lost, bool is_extra)
{
	const struct health_list *l = arg;
	char text[64];

	if (is_extra)
		return;
	(void)snprintf(text, sizeof(text), "%s is missing", name); /* short names */
	lnx_health_line(l->out, l->n, "privileges", text, lost);
}

/* Elements of a JSON array into <out> (may be NULL). Returns how many have <state>. */
static unsigned lnx_health_list(struct lnx_app *app, uint32_t state, struct lnx_buf *out)
{
	unsigned i, k, n = 0;
	struct health_list list = { out, &n };
	char text[160];

	for (i = 0; i < app->plugins->n; i++) {
		const struct lnx_ctx *c = app->plugins->list[i];

		for (k = 0; k < c->n_health; k++)
			if (c->health[k].state == state)
				lnx_health_line(out, &n, c->name, c->health[k].what,
						c->health[k].why);
	}
	lnx_health_probes(app, state, out, &n);
	lnx_health_rules(app, state, out, &n);
	if (state == LNX_HEALTH_DEGRADED)
		lnx_privs_missing(lnx_health_priv, &list);
	if (state == LNX_HEALTH_DEGRADED && app->crash_note[0])
		lnx_health_line(out, &n, "plugins",
				"one that crashes the agent cannot be quarantined",
				app->crash_note);
	if (state == LNX_HEALTH_DEGRADED && lnx_app_cost_is_over(app, text, sizeof(text)))
		lnx_health_line(out, &n, "budget", "CPU", text);
	if (state == LNX_HEALTH_DEGRADED && lnx_app_cost_is_fat(app, text, sizeof(text)))
		lnx_health_line(out, &n, "budget", "memory", text);
	if (state == LNX_HEALTH_DEGRADED && !app->reload_ok)
		lnx_health_line(out, &n, "configuration", "the last reload failed",
				"the one of before is in force");
	return n;
}

static int lnx_core_ready(void *self, struct lnx_buf *out, uint32_t *ret_ready)
{
	struct lnx_app *app = self;
	unsigned lost = lnx_health_list(app, LNX_HEALTH_LOST, NULL);

	lnx_buf_char(out, '{');
	lnx_json_kv_bool(out, "ready", lost == 0);
	lnx_json_key(out, "reasons");
	lnx_buf_char(out, '[');
	(void)lnx_health_list(app, LNX_HEALTH_LOST, out);
	lnx_buf_char(out, ']');
	lnx_json_key(out, "degraded");
	lnx_buf_char(out, '[');
	(void)lnx_health_list(app, LNX_HEALTH_DEGRADED, out);
	lnx_buf_str(out, "]}");
	if (ret_ready)
		*ret_ready = lost == 0;
	return lnx_buf_error(out);
}

/* ---- /status */

/* By enum lnx_method. */
static const char *const lnx_methods[] = {
	"none", "psi-only", "exact", "pair", "model", "heuristic"
};
#define LNX_METHODS (sizeof(lnx_methods) / sizeof(lnx_methods[0]))

static uint32_t lnx_tier(const struct lnx_app *app, unsigned resource)
{
	char path[64];
	const void *vtable;
	uint32_t method;
	void *self;

	if (lnx_services_find(app->services, "stall/1", &vtable, &self) == 0) {
		method = ((const struct lnx_svc_stall *)vtable)->method(self, resource);
		return method < LNX_METHODS ? method : LNX_METHOD_NONE;
	}
	(void)snprintf(path, sizeof(path), "/proc/pressure/%s",
		       lnx_resources[resource]); /* short names of ours */
	return access(path, R_OK) == 0 ? LNX_METHOD_PSI_ONLY : LNX_METHOD_NONE;
}

static void lnx_status_probes(struct lnx_app *app, struct lnx_buf *out)
{
	static const char *const states[] = { "off", "loaded", "attached", "failed" };
	struct lnx_probe_info info;
	unsigned i;

	lnx_json_key(out, "probes");
	lnx_buf_char(out, '[');
	for (i = 0; app->probes && i < lnx_probes_count(app->probes); i++) {
		if (lnx_probes_info(app->probes, i, &info) < 0)
			continue;
		lnx_json_next(out);
		lnx_buf_char(out, '{');
		lnx_json_kv_str(out, "name", info.name);
		lnx_json_kv_str(out, "state", states[info.state]);
		lnx_json_kv_str(out, "why", info.why);
		lnx_json_kv_str(out, "events", info.events);
		lnx_json_kv_u64(out, "runs", info.runs);
		lnx_json_kv_f64(out, "run_ms", (double)info.run_ns / 1e6);
		lnx_json_kv_str(out, "cost_method", info.cost_method);
		lnx_json_kv_u64(out, "lost", info.lost);
		lnx_buf_char(out, '}');
	}
	lnx_buf_char(out, ']');
}

static void lnx_status_loss(struct lnx_app *app, struct lnx_buf *out)
{
	struct lnx_bus_stats st;
	uint64_t suppressed, failed;
	unsigned i;

	lnx_bus_stats(app->bus, &st);
	lnx_json_key(out, "dropped");
	lnx_buf_char(out, '{');
	for (i = 0; i < LNX_DROP_N; i++)
		lnx_json_kv_u64(out, lnx_drop_names[i], st.dropped[i]);
	lnx_buf_char(out, '}');
	lnx_json_kv_u64(out, "last_seq", st.seq);
	lnx_json_kv_u64(out, "oldest_seq", st.oldest_seq);
	lnx_json_kv_u64(out, "ring_used_bytes", st.ring_used_bytes);
	lnx_json_kv_u64(out, "pool_used_bytes", st.pool_used_bytes);
	lnx_log_lost(&suppressed, &failed);
	lnx_json_kv_u64(out, "log_lines_suppressed", suppressed);
	lnx_json_kv_u64(out, "log_lines_failed", failed);
	lnx_json_kv_u64(out, "jobs_refused", lnx_workers_refused(app->workers));
}

/* What works without, only less well than it could: nothing to warn of. */
static void lnx_status_without(void *arg, const char *name, const char *lost, bool is_extra)
{
	struct lnx_buf *out = arg;

	if (!is_extra)
		return;
	lnx_json_next(out);
	lnx_buf_char(out, '{');
	lnx_json_kv_str(out, "capability", name);
	lnx_json_kv_str(out, "lost", lost);
	lnx_buf_char(out, '}');
}

static int lnx_core_status(void *self, struct lnx_buf *out)
{
	struct lnx_app *app = self;
	struct utsname un;
	unsigned i;

	lnx_buf_char(out, '{');
	lnx_json_kv_str(out, "version", app->ident.version);
	lnx_json_kv_str(out, "node", app->ident.node);
	lnx_json_kv_str(out, "cluster", app->ident.cluster);
	lnx_json_kv_str(out, "boot_id", app->ident.boot_id);
	lnx_json_kv_u64(out, "schema", app->ident.schema);
	lnx_json_key(out, "ts");
	lnx_json_ts(out, app->wall_offset_ns + lnx_bus_now(app->bus));
	lnx_json_kv_u64(out, "pid", app->ident.agent_pid);
	lnx_json_kv_u64(out, "uptime_ms", (lnx_bus_now(app->bus) - app->start_ns) / 1000000);
	lnx_json_kv_str(out, "kernel", uname(&un) == 0 ? un.release : "");
	lnx_json_kv_bool(out, "btf", access("/sys/kernel/btf/vmlinux", R_OK) == 0);
	lnx_json_key(out, "capabilities");
	lnx_privs_json(out);
	lnx_json_key(out, "without");
	lnx_buf_char(out, '[');
	lnx_privs_missing(lnx_status_without, out);
	lnx_buf_char(out, ']');
	lnx_json_key(out, "tiers");
	lnx_buf_char(out, '{');
	for (i = 0; i < 3; i++)
		lnx_json_kv_str(out, lnx_resources[i], lnx_methods[lnx_tier(app, i)]);
	lnx_buf_char(out, '}');
	lnx_status_probes(app, out);
	lnx_json_key(out, "plugins");
	lnx_plugins_json(app, out);
	lnx_status_loss(app, out);
	lnx_app_cost_json(app, out);
	lnx_json_kv_str(out, "config", app->config_path);
	lnx_buf_char(out, '}');
	return lnx_buf_error(out);
}

static int lnx_core_plugins(void *self, struct lnx_buf *out)
{
	lnx_plugins_json(self, out);
	return lnx_buf_error(out);
}

static int lnx_core_rules(void *self, struct lnx_buf *out)
{
	struct lnx_app *app = self;

	if (app->rules)
		lnx_rules_json(app->rules, out);
	else
		lnx_buf_str(out, "{\"generation\":0,\"hash\":\"\",\"errors\":[],\"rules\":[]}");
	return lnx_buf_error(out);
}

static int lnx_core_rules_reload(void *self, struct lnx_buf *out)
{
	struct lnx_app *app = self;

	if (!app->rules_load)
		return -EAGAIN;
	lnx_app_rules_reload_later(app, true);
	return lnx_core_rules(self, out);
}

static int lnx_core_rules_reload_later(void *self, void (*done)(void *arg, int rc), void *arg)
{
	return lnx_app_rules_reload_for(self, done, arg);
}

static int lnx_core_schema(void *self, struct lnx_buf *out)
{
	static const char *const types[] = { "",       "u8",   "u16",  "u32",  "u64",
					     "i32",    "i64",  "f64",  "bool", "string",
					     "string", "json", "enum", "u64" };
	const struct lnx_app *app = self;
	unsigned i, k;

	lnx_buf_char(out, '[');
	for (i = 0; i < lnx_registry_count(app->registry); i++) {
		const struct lnx_event_desc *d = lnx_registry_at(app->registry, i);

		lnx_json_next(out);
		lnx_buf_char(out, '{');
		lnx_json_kv_str(out, "name", d->name);
		lnx_json_kv_str(out, "doc", d->doc);
		lnx_json_key(out, "fields");
		lnx_buf_char(out, '[');
		for (k = 0; k < d->n_fields; k++) {
			const struct lnx_field *f = &d->fields[k];

			lnx_json_next(out);
			lnx_buf_char(out, '{');
			lnx_json_kv_str(out, "name", f->name);
			lnx_json_kv_str(out, "type", types[f->type]);
			lnx_json_kv_str(out, "unit", f->unit);
			lnx_json_kv_str(out, "doc", f->doc);
			lnx_json_kv_str(out, "otel", f->otel ? f->otel : "");
			lnx_buf_char(out, '}');
		}
		lnx_buf_str(out, "]}");
	}
	lnx_buf_char(out, ']');
	return lnx_buf_error(out);
}

/* ---- metrics */

void lnx_put(struct lnx_app *app, const char *name, const char *help, uint32_t kind,
	     const char *const *labels, const char *const *values, double v)
{
	struct lnx_metric_desc d = { .name = name, .help = help, .kind = kind, .labels = labels };
	struct lnx_metric *m;

	if (lnx_metrics_series(app->metrics, &d, values, app, &m) == 0)
		lnx_metric_set(m, v);
}

static void lnx_collect_bus(struct lnx_app *app)
{
	static const char *const type_label[] = { "type", NULL }, *const where_label[] = { "where",
											   NULL };
	struct lnx_bus_stats st;
	unsigned i;

	for (i = 0; i < lnx_registry_count(app->registry); i++) {
		const struct lnx_event_desc *d = lnx_registry_at(app->registry, i);
		const char *values[] = { d->name, NULL };

		lnx_put(app, "linnix_events_total", "Events that crossed the bus.", LNX_COUNTER,
			type_label, values, (double)lnx_bus_events(app->bus, d->type));
	}
	lnx_bus_stats(app->bus, &st);
	for (i = 0; i < LNX_DROP_N; i++) {
		const char *values[] = { lnx_drop_names[i], NULL };

		lnx_put(app, "linnix_events_dropped_total",
			"Events lost, by the place where they were.", LNX_COUNTER, where_label,
			values, (double)st.dropped[i]);
	}
}

static void lnx_collect_tags(struct lnx_app *app)
{
	struct lnx_tags_stats tags;

	lnx_tags_stats(app->tags, &tags);
	lnx_put(app, "linnix_tags", "Cgroups whose names are known, ended ones included.",
		LNX_GAUGE, NULL, NULL, tags.n);
	lnx_put(app, "linnix_tags_refused_total", "Cgroups without names for want of room.",
		LNX_COUNTER, NULL, NULL, (double)tags.refused);
	lnx_put(app, "linnix_tags_forgotten_total",
		"Names of ended cgroups that gave way before 5 minutes were over.", LNX_COUNTER,
		NULL, NULL, (double)tags.forgotten);
}

/* A method that was in force and is no more is 0. */
static void lnx_collect_tiers(struct lnx_app *app)
{
	static const char *const labels[] = { "resource", "method", NULL };

	for (unsigned i = 0; i < LNX_RES_N; i++) {
		uint32_t now = lnx_tier(app, i);

		app->tiers_told[i] |= 1u << now;
		for (uint32_t k = 0; k < LNX_METHODS; k++) {
			const char *values[] = { lnx_resources[i], lnx_methods[k], NULL };

			if (app->tiers_told[i] & 1u << k)
				lnx_put(app, "linnix_tier",
					"1 for the method by which stalls of a resource are measured, 0 for earlier ones.",
					LNX_GAUGE, labels, values, k == now);
		}
	}
}

static void lnx_collect(void *arg)
{
	static const char *const info_labels[] = { "version", "node", "cluster", "boot_id", NULL };
	struct lnx_app *app = arg;
	const char *info[] = { app->ident.version, app->ident.node, app->ident.cluster,
			       app->ident.boot_id, NULL };

	lnx_put(app, "linnix_build_info", "Always 1; the labels tell version and identity.",
		LNX_GAUGE, info_labels, info, 1);
	lnx_put(app, "linnix_ready", "1 if no enabled function is lost.", LNX_GAUGE, NULL, NULL,
		lnx_health_list(app, LNX_HEALTH_LOST, NULL) == 0);
	lnx_collect_tiers(app);
	lnx_collect_bus(app);
	if (app->probes)
		lnx_probes_collect(app->probes, app->metrics);
	lnx_collect_tags(app);
	lnx_app_rules_collect(app);
	lnx_put(app, "linnix_config_last_reload_successful", "1 if the last reload took effect.",
		LNX_GAUGE, NULL, NULL, app->reload_ok);
	lnx_put(app, "linnix_config_last_reload_success_timestamp_seconds",
		"Unix time of the last good configuration.", LNX_GAUGE, NULL, NULL,
		(double)app->reload_wall_ns / 1e9);
	lnx_put(app, "process_cpu_seconds_total",
		"CPU time of the agent, without its BPF programs.", LNX_COUNTER, NULL, NULL,
		(double)lnx_app_cpu_ns() / 1e9);
	lnx_put(app, "process_resident_memory_bytes", "Resident memory of the agent.", LNX_GAUGE,
		NULL, NULL, (double)lnx_app_rss_bytes());
	lnx_put(app, "linnix_budget_used_ratio",
		"What the agent used of its CPU budget in the last window, BPF included; above 1 it is over.",
		LNX_GAUGE, NULL, NULL, lnx_app_cost_ratio(app));
	lnx_put(app, "process_start_time_seconds", "Unix time at which the agent started.",
		LNX_GAUGE, NULL, NULL, (double)(app->wall_offset_ns + app->start_ns) / 1e9);
}

static int lnx_core_metrics(void *self, uint32_t openmetrics, struct lnx_buf *out)
{
	struct lnx_app *app = self;

	lnx_metrics_text(app->metrics, (int)openmetrics, out);
	return lnx_buf_error(out);
}

static const struct lnx_svc_core lnx_core_service = {
	.size = sizeof(struct lnx_svc_core),
	.status_json = lnx_core_status,
	.plugins_json = lnx_core_plugins,
	.rules_json = lnx_core_rules,
	.ready_json = lnx_core_ready,
	.metrics_text = lnx_core_metrics,
	.events_schema_json = lnx_core_schema,
	.rules_reload = lnx_core_rules_reload,
	.recording = lnx_app_recording,
	.rules_reload_later = lnx_core_rules_reload_later,
};

int lnx_app_status_start(struct lnx_app *app)
{
	int rc = lnx_services_provide(app->services, "core/1", &lnx_core_service, app, app);

	return rc < 0 ? rc : lnx_metrics_on_collect(app->metrics, lnx_collect, app);
}

void lnx_app_explain(struct lnx_app *app, struct lnx_buf *out)
{
	unsigned i, k, j;

	for (i = 0; i < lnx_registry_count(app->registry); i++) {
		const struct lnx_event_desc *d = lnx_registry_at(app->registry, i);

		lnx_buf_printf(out, "%s\n", d->name);
		for (k = 0; k < app->plugins->n; k++) {
			const struct lnx_ctx *c = app->plugins->list[k];

			for (j = 0; j < c->n_subs; j++)
				if (c->subs[j].type == d->type || c->subs[j].type == LNX_EV_ANY)
					lnx_buf_printf(out, "  read by plugin %s\n", c->name);
		}
		if (lnx_bus_wanted(app->bus, d->type) == 0)
			lnx_buf_str(out, "  read by nobody\n");
	}
}
