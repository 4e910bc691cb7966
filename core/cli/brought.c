/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What plugins bring: verbs of the shared objects next to this program, and option tables, also of scripts; under the agent's
 * rules for owner and mode. */
#include "cli/brought.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/paths.h"
#include "instance.h"
#include "lua_plugin.h"

#define BROUGHT_MAX_PLUGINS 128 /* files looked at */

static int brought_ends(const char *name, const char *suffix)
{
	size_t n = strlen(name), k = strlen(suffix);

	return name[0] != '.' && n > k && strcmp(name + n - k, suffix) == 0;
}

static int brought_is_object(const struct dirent *e)
{
	return brought_ends(e->d_name, ".so");
}

static int brought_is_plugin(const struct dirent *e)
{
	return brought_ends(e->d_name, ".so") || brought_ends(e->d_name, ".lua");
}

static int brought_script(const char *path, const char *base,
			  int (*each)(void *arg, const struct lnx_plugin *p), void *arg)
{
	struct lnx_registry *registry = lnx_registry_new();
	struct lnx_lua_plugin *script = NULL;
	const struct lnx_plugin *p = NULL;
	struct lnx_err err = { { 0 }, 0, 0 };
	int rc = registry ? lnx_lua_plugin_open(path, registry, &script, &p, &err) : -ENOMEM;

	if (rc == 0)
		rc = lnx_plugin_check_table(p, base, ".lua", &err);
	if (rc < 0)
		lnx_cli_say("%s: %s", path, err.msg[0] ? err.msg : strerror(-rc));
	else
		rc = each(arg, p);
	lnx_lua_plugin_close(script);
	lnx_registry_free(registry);
	return rc < 0 ? 0 : rc;
}

static int brought_object(const char *path, int (*each)(void *arg, const struct lnx_plugin *p),
			  void *arg)
{
	const struct lnx_plugin *p;
	struct lnx_err err = { { 0 }, 0, 0 };
	void *dl;
	int rc;

	if (lnx_plugin_open(path, &dl, &p, &err) < 0) {
		lnx_cli_say("%s: %s", path, err.msg);
		return 0;
	}
	rc = each(arg, p);
	(void)dlclose(dl); /* nothing of it is used after this */
	return rc;
}

/* Every file of <dir> that <is_wanted>. -errno: the folder cannot be read. */
static int brought_dir(const char *dir, int (*is_wanted)(const struct dirent *e),
		       int (*each)(void *arg, const struct lnx_plugin *p), void *arg)
{
	char path[LNX_PATH_BYTES];
	struct dirent **list = NULL;
	int n, rc = 0;

	n = scandir(dir, &list, is_wanted, alphasort);
	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		const char *base = list[i]->d_name;

		if (rc == 0 && i < BROUGHT_MAX_PLUGINS &&
		    (size_t)snprintf(path, sizeof(path), "%s/%s", dir, base) < sizeof(path))
			rc = brought_ends(base, ".lua") ? brought_script(path, base, each, arg)
							: brought_object(path, each, arg);
		free(list[i]);
	}
	free(list);
	return rc;
}

/* The shared objects next to this program: scripts bring no verbs. */
static int brought_verbs(const struct lnx_cli *cli,
			 int (*each)(void *arg, const struct lnx_plugin *p), void *arg)
{
	char dir[LNX_PATH_BYTES];
	int rc;

	if (lnx_path_lib(cli, "plugins", dir) < 0)
		return 0;
	rc = brought_dir(dir, brought_is_object, each, arg);
	return rc < 0 ? 0 : rc;
}

int lnx_brought_scan(const struct lnx_cli *cli, const char *more_dir,
		     int (*each)(void *arg, const struct lnx_plugin *p), void *arg)
{
	char dir[LNX_PATH_BYTES];
	int rc = 0;

	if (lnx_path_lib(cli, "plugins", dir) == 0)
		rc = brought_dir(dir, brought_is_plugin, each, arg);
	if (rc > 0 || !more_dir)
		return rc < 0 ? 0 : rc;
	return brought_dir(more_dir, brought_is_plugin, each, arg);
}

struct brought_call {
	int argc;
	char **argv;
	int code;
};

static int brought_call_one(void *arg, const struct lnx_plugin *p)
{
	struct brought_call *call = arg;

	for (const struct lnx_command *c = p->commands; c && c->name; c++)
		if (strcmp(c->name, call->argv[0]) == 0) {
			call->code = c->run(call->argc, call->argv);
			return 1;
		}
	return 0;
}

int lnx_brought_run(const struct lnx_cli *cli, int argc, char **argv)
{
	struct brought_call call = { .argc = argc, .argv = argv };

	return brought_verbs(cli, brought_call_one, &call) ? call.code : -ENOENT;
}

struct brought_each {
	void (*each)(void *arg, const char *plugin, const char *name, const char *usage,
		     const char *help);
	void *arg;
};

static int brought_each_one(void *arg, const struct lnx_plugin *p)
{
	const struct brought_each *e = arg;

	for (const struct lnx_command *c = p->commands; c && c->name; c++)
		e->each(e->arg, p->name, c->name, c->usage ? c->usage : "", c->help ? c->help : "");
	return 0;
}

void lnx_brought_each(const struct lnx_cli *cli,
		      void (*each)(void *arg, const char *plugin, const char *name,
				   const char *usage, const char *help),
		      void *arg)
{
	struct brought_each e = { .each = each, .arg = arg };

	(void)brought_verbs(cli, brought_each_one, &e); /* never stops */
}
