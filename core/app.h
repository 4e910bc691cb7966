/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The daemon: everything hangs from struct lnx_app. Loop thread only. */
#ifndef LNX_APP_H
#define LNX_APP_H

#include "bus.h"
#include "instance.h"
#include "lua_host.h"
#include "metrics.h"
#include "option.h"
#include "probe.h"
#include "service.h"
#include "tags.h"
#include "worker.h"
#include <linnix/host.h>
#include <stdbool.h>

struct ev_loop;
struct ev_io;

#define LNX_VERSION_TEXT LNX_VERSION

/* What the command line said. Borrowed strings. */
struct lnx_args {
	const char *config;    /* NULL: the default path */
	const char *lib_dir;   /* NULL: relative to the executable, else the installed one */
	const char *flags[16]; /* "log.level=debug", NULL at the end */
	bool check_config, dump_config, explain;
};

/* Options of the core's own sections. */
struct lnx_core_conf {
	const char *node_name, *cluster_name;
	uint32_t log_level, log_format;
	const char *const *plugins_dir, *const *rules_dir, *const *probes_disabled;
	const char *plugins_state_file;
	uint32_t probes_args;
	uint64_t probes_ring_size, bus_ring_size, bus_ring_keep, bus_pool_size;
	uint32_t bus_max_pending;
	uint64_t rules_memory;
	uint64_t rules_budget;
	double budget_cpu_pct;
	uint64_t budget_burst;
	uint32_t budget_cpu_max_millicores, budget_memory_mb, budget_series;
};

extern const struct lnx_option lnx_core_options_node[], lnx_core_options_cluster[],
	lnx_core_options_log[], lnx_core_options_plugins[], lnx_core_options_probes[],
	lnx_core_options_rules[], lnx_core_options_bus[], lnx_core_options_budget[];

/* A bound configuration: the core's struct, a section per instance, and what owns their strings. */
struct lnx_config {
	struct lnx_core_conf core;
	struct lnx_section *sections;
	unsigned n_sections;
	struct lnx_optset *set;
};

struct lnx_app {
	struct lnx_args args;
	char config_path[4096], lib_dir[4096], bpf_dir[4096], exe_dir[4096];
	char node[256], cluster[256], boot_id[64];
	char default_plugins[4096], default_rules[4096];
	struct lnx_ident ident;
	struct ev_loop *loop;
	struct lnx_registry *registry;
	struct lnx_bus *bus;
	struct lnx_tags *tags;
	struct lnx_metrics *metrics;
	struct lnx_services *services;
	struct lnx_workers *workers;
	struct lnx_plugins *plugins;
	struct lnx_config *config;
	struct lnx_config
		*first_config; /* of the start: plugins without reload() keep pointing into it */
	struct lnx_probes *probes;
	struct lnx_rules *rules;
	struct lnx_loop *turn;		  /* watchers of the loop */
	uint64_t start_ns;		  /* CLOCK_BOOTTIME */
	uint64_t wall_offset_ns;	  /* Unix time minus CLOCK_BOOTTIME */
	struct lnx_cost *cost;		  /* what the agent cost */
	struct lnx_app_rules *rules_load; /* of app_rules.c */
	char crash_note[256];		  /* why no plugin can be quarantined; "" */
	/* per resource, the methods whose metric exists: bits of enum lnx_method */
	uint32_t tiers_told[3];
	bool wanted_changed, is_stopping;
	bool reload_ok;
	uint64_t reload_wall_ns;
	int exit_code;
	int vital_rc; /* of the vital plugin that failed to start, or 0 */
};

/* Bring everything up in order, run until a signal, take it down in reverse. Returns the exit code of the process. */
int lnx_app_run(const struct lnx_args *args);

/* app_conf.c: read and bind. All problems are appended to <errors>. */
int lnx_app_config_load(struct lnx_app *app, struct lnx_config **ret_config, struct lnx_buf *errors,
			struct lnx_buf *warnings);
void lnx_app_config_free(struct lnx_config *c);
/* The bound struct of an instance; NULL if it has no options. */
const void *lnx_app_config_of(const struct lnx_config *c, const struct lnx_ctx *x);
int lnx_app_reload(struct lnx_app *app);
/* app_paths.c */
int lnx_app_paths(struct lnx_app *app);
/* app_loop.c: watchers, signals, time. */
int lnx_app_loop_start(struct lnx_app *app);
void lnx_app_loop_stop(struct lnx_app *app);
void lnx_app_touch_time(struct lnx_app *app);
/* Unix time of a CLOCK_BOOTTIME; <arg> is the app. */
uint64_t lnx_app_wall_ns(void *arg, uint64_t boot_ns);
/* What the JSON of an event needs: names and times. */
void lnx_app_json_env(struct lnx_app *app, struct lnx_json_env *ret_env);
/* app_status.c: service core/1 and the core's metrics. */
int lnx_app_status_start(struct lnx_app *app);
/* Set one of the core's own metrics, from a collector. */
void lnx_put(struct lnx_app *app, const char *name, const char *help, uint32_t kind,
	     const char *const *labels, const char *const *values, double v);
/* Why the agent is not ready ("" if it is), and what is degraded: one line each. */
void lnx_app_explain(struct lnx_app *app, struct lnx_buf *out);
/* app_cost.c: own cost: told each second as agent.cost, and shown. */
int lnx_app_cost_start(struct lnx_app *app);
void lnx_app_cost_stop(struct lnx_app *app);
uint64_t lnx_app_cpu_ns(void);
uint64_t lnx_app_rss_bytes(void);
/* Of the CPU budget, in the last window; NaN before it. */
double lnx_app_cost_ratio(const struct lnx_app *app);
/* Over budget? Text of it into <why>. */
bool lnx_app_cost_is_fat(const struct lnx_app *app, char *why, size_t cap);
bool lnx_app_cost_is_over(const struct lnx_app *app, char *why, size_t cap);
/* Member "self" of GET /status. */
void lnx_app_cost_json(struct lnx_app *app, struct lnx_buf *out);
/* notify.c: systemd's protocols. */
void lnx_notify(const char *state);
uint64_t lnx_notify_watchdog_ns(void);
/* privs.c: keep only what a running agent needs, and what the plugins in <keep> (a bit mask) do. Returns 0 or -errno. */
int lnx_privs_drop(uint64_t keep);
/* Names of the effective capabilities that matter here, comma separated JSON strings. */
void lnx_privs_json(struct lnx_buf *out);
/* Call <each> for every capability that is not there and whose lack nobody else tells, with what is lost without it.
 * <is_extra>: no function of the agent needs it. */
void lnx_privs_missing(void (*each)(void *arg, const char *name, const char *lost, bool is_extra),
		       void *arg);

#endif
