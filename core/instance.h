/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin instances: found, checked, opened, ordered, run. Loop thread only. */
#ifndef LNX_INSTANCE_H
#define LNX_INSTANCE_H

#include "bus.h"
#include "conf.h"
#include "log.h"
#include "option.h"
#include <linnix/plugin.h>
#include <stdbool.h>

struct lnx_app;
struct lnx_config;
struct lnx_crash;

#define LNX_MAX_INSTANCES     64
#define LNX_MAX_INSTANCE_SUBS 64
#define LNX_MAX_HEALTH	      16
#define LNX_FAILING_AFTER     100 /* handler failures in a row */

/* enum lnx_instance_status */
#define LNX_INST_NEW	 0
#define LNX_INST_RUNNING 1
#define LNX_INST_FAILING \
	2 /* 100 handler failures in a row, or a script that used up its budget too often */
#define LNX_INST_REFUSED \
	3 /* not a plugin, wrong ABI, bad owner, init failed … <error> says which */
#define LNX_INST_QUARANTINED 4 /* crashed the agent three times in ten minutes */
#define LNX_INST_OFF	     5

struct lnx_health {
	char what[40];
	uint32_t state; /* LNX_HEALTH_* */
	char why[256];
};

/* One subscription of an instance. */
struct lnx_inst_sub {
	struct lnx_sub_handle *handle;
	uint16_t type;
};

/* What a plugin knows as its ctx. Owned by lnx_plugins. */
struct lnx_ctx {
	struct lnx_app *app;
	char name[LNX_SECTION_MAX]; /* of the instance: "http", "webhook.ops" */
	char path[1024];	    /* of the shared object */
	void *dl;		    /* shared by the instances of one file; closed with the first */
	bool owns_dl;
	struct lnx_lua_plugin *lua;	 /* of a script, owned by its first instance */
	const struct lnx_plugin *plugin; /* NULL when refused before it was known */
	void *state;
	const void *conf;
	uint32_t status; /* enum lnx_instance_status */
	bool is_inited, is_started;
	char error[256];
	struct lnx_inst_sub subs[LNX_MAX_INSTANCE_SUBS];
	unsigned n_subs;
	struct lnx_timer *timers;
	struct lnx_fd *fds;
	struct lnx_health health[LNX_MAX_HEALTH];
	unsigned n_health;
	uint64_t events, failures;
	unsigned failures_in_row;
	int crash_index; /* in the crash table */
};

struct lnx_plugins {
	struct lnx_ctx *list[LNX_MAX_INSTANCES]; /* in order of start once ordered */
	unsigned n;
	struct lnx_crash *crash;
};

/* Owner and mode of <path> and of its folder: root, the agent's uid or the owner of the agent's binary; not writable by group or others.
 * 0, -EPERM with the reason, -errno. Any thread. */
int lnx_plugin_check_file(const char *path, struct lnx_err *err);
/* ".so" or ".lua" if file <base> is one of a plugin, NULL if not: a literal. */
const char *lnx_plugin_suffix(const char *base);
/* The name that <p> gives itself is that of its file <base> without <suffix>, and its table makes sense. 0 or -errno. */
int lnx_plugin_check_table(const struct lnx_plugin *p, const char *base, const char *suffix,
			   struct lnx_err *err);
/* Open <path> and fetch its table. Sizes and versions are checked. 0, -EPERM, -ENOEXEC (not a plugin), -EPROTO (ABI), … */
int lnx_plugin_open(const char *path, void **ret_dl, const struct lnx_plugin **ret_plugin,
		    struct lnx_err *err);

/* Every *.so and *.lua of <dirs> becomes an instance of its own name (or a refused one with its reason). 0 or -ENOMEM. */
int lnx_plugins_scan(struct lnx_app *app, const char *const *dirs);
/* Sections "name.x" of the file make further instances. */
int lnx_plugins_add_named(struct lnx_app *app, const struct lnx_node *root);
/* Section of the configuration that belongs to <c>. */
const char *lnx_ctx_section(const struct lnx_ctx *c);
/* Let <c>, if it runs with <config>, say what is wrong in <conf>. */
void lnx_ctx_check(const struct lnx_ctx *c, const struct lnx_config *config, const void *conf,
		   void (*say)(void *arg, const char *key, const char *text), void *arg);
/* Capabilities that enabled instances ask to be kept: a bit mask. */
uint64_t lnx_plugins_caps(const struct lnx_app *app);
/* Drop what is off by flag or configuration; order by needs; refuse cycles and unmet needs. */
void lnx_plugins_order(struct lnx_app *app);
void lnx_plugins_init(struct lnx_app *app);
void lnx_plugins_start(struct lnx_app *app);
/* In reverse order. */
void lnx_plugins_stop(struct lnx_app *app);
void lnx_plugins_free(struct lnx_app *app);
void lnx_plugins_json(struct lnx_app *app, struct lnx_buf *out);

/* host.c */
extern const struct lnx_host lnx_host_vtable;
int lnx_ctx_subscribe(struct lnx_ctx *c, const char *event, uint32_t stage, uint32_t queue);
/* Give back timers, fds, subscriptions, services and metrics of <c>. */
void lnx_ctx_release(struct lnx_ctx *c);
/* End its subscriptions; also from one of its handlers. */
void lnx_ctx_unsubscribe(struct lnx_ctx *c);
/* Enter and leave plugin code: the crash table knows who runs. */
int lnx_ctx_enter(struct lnx_ctx *c);
void lnx_ctx_leave(struct lnx_ctx *c, int before);
void lnx_ctx_health(struct lnx_ctx *c, const char *what, uint32_t state, const char *why);

#endif
