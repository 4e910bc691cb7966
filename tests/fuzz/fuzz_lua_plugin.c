/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Any bytes as a plugin in Lua: what it declares, and a whole life with events, timers and a reload. Whatever it does, it ends
 * in time and in memory, and what was refused has a reason.
 * SEEDS: sdk/template/lua/crash_bursts.lua */
#include <ctype.h>
#include <ev.h>
#include <fcntl.h>
#include <linnix/ev_proc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app.h"
#include "lua_plugin.h"
#include "offline.h"

#define FUZZ_EVENTS 6

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char fuzz_dir[64];

static void fuzz_end(void)
{
	(void)rmdir(fuzz_dir); /* empty: each run takes its file away */
}

static void fuzz_begin(void)
{
	(void)snprintf(fuzz_dir, sizeof(fuzz_dir), "/tmp/lnx-fuzz-XXXXXX");
	if (!mkdtemp(fuzz_dir))
		abort();
	(void)atexit(fuzz_end);
	lnx_log_set_level(-1);
}

static void fuzz_write(const char *path, const uint8_t *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size || close(fd) < 0)
		abort();
}

/* The name that it gives itself, if it is one. */
static bool fuzz_name(const char *path, char *ret_name, size_t cap)
{
	struct lnx_registry *registry = lnx_registry_new();
	struct lnx_lua_plugin *script = NULL;
	const struct lnx_plugin *p = NULL;
	struct lnx_err err = { { 0 }, 0, 0 };
	bool is_name = false;
	const char *c;

	if (!registry)
		abort();
	if (lnx_lua_plugin_open(path, registry, &script, &p, &err) < 0) {
		if (!err.msg[0])
			abort();
	} else {
		for (c = p->name; isalnum((unsigned char)*c) || *c == '_'; c++)
			;
		is_name = c > p->name && !*c && (size_t)(c - p->name) < cap;
		if (is_name)
			(void)snprintf(ret_name, cap, "%s", p->name);
	}
	lnx_lua_plugin_close(script);
	lnx_registry_free(registry);
	return is_name;
}

static void fuzz_events(struct lnx_app *app)
{
	struct lnx_ev_proc_exit x = { .h = { sizeof(x), LNX_EV_PROC_EXIT, sizeof(x), 0, 7, 0 },
				      .signal = 11,
				      .comm = "fuzz" };
	unsigned i;

	for (i = 0; i < FUZZ_EVENTS; i++) {
		x.h.ts_ns = 1000000000000u + i * 300000000u;
		x.h.pid = 100 + i;
		(void)lnx_bus_deliver(app->bus, &x.h, sizeof(x));
		(void)ev_run(app->loop, EVRUN_NOWAIT);
	}
}

/* Its options, owned. */
struct fuzz_conf {
	struct lnx_optset *set;
	void *conf;
};

/* The one instance, with its defaults, from init to stop. */
static void fuzz_life(struct lnx_app *app, struct fuzz_conf *conf)
{
	const char *const dirs[] = { fuzz_dir, NULL }, *const flags[] = { NULL };
	struct lnx_buf errors = { 0 }, warnings = { 0 };
	struct lnx_section section = { .name = "p" };
	struct lnx_bind_args args = { .flags = flags, .sections = &section, .n_sections = 1 };
	struct lnx_ctx *c;

	if (lnx_plugins_scan(app, dirs) < 0 || app->plugins->n != 1)
		abort();
	c = app->plugins->list[0];
	if (c->plugin) {
		section.options = c->plugin->options;
		section.conf_size = c->plugin->conf_size;
		section.conf = conf->conf = calloc(1, c->plugin->conf_size + 8);
		if (!conf->conf)
			abort();
		if (lnx_option_bind(&args, &errors, &warnings, &conf->set) == 0) {
			c->conf = conf->conf;
			lnx_plugins_order(app);
			lnx_plugins_init(app);
			lnx_plugins_start(app);
			fuzz_events(app);
			if (c->is_started && c->plugin->reload)
				(void)c->plugin->reload(c->state, conf->conf);
			lnx_plugins_stop(app);
		}
	}
	lnx_buf_done(&errors);
	lnx_buf_done(&warnings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[128], named[160], name[48];
	struct fuzz_conf conf = { NULL, NULL };
	struct lnx_app *app = NULL;
	struct ev_loop *loop;

	if (!fuzz_dir[0])
		fuzz_begin();
	(void)snprintf(path, sizeof(path), "%s/input", fuzz_dir);
	fuzz_write(path, data, size);
	if (!fuzz_name(path, name, sizeof(name))) {
		(void)unlink(path);
		return 0;
	}
	(void)snprintf(named, sizeof(named), "%s/%s.lua", fuzz_dir, name);
	if (rename(path, named) < 0 || lnx_offline_new(NULL, &app) < 0)
		abort();
	loop = app->loop = ev_loop_new(EVFLAG_AUTO);
	fuzz_life(app, &conf);
	lnx_offline_free(app);
	ev_loop_destroy(loop);
	lnx_optset_free(conf.set);
	free(conf.conf);
	(void)unlink(named);
	return 0;
}
