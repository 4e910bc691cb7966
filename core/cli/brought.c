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

static int brought_is_object(const struct dirent *e)
{
	const char *suffix = lnx_plugin_suffix(e->d_name);

	return suffix && !strcmp(suffix, ".so");
}

static int brought_is_plugin(const struct dirent *e)
{
	return lnx_plugin_suffix(e->d_name) != NULL;
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
		if (rc == 0 && i < BROUGHT_MAX_PLUGINS &&
		    (size_t)snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name) <
			    sizeof(path))
			rc = brought_is_object(list[i])
				     ? brought_object(path, each, arg)
				     : brought_script(path, list[i]->d_name, each, arg);
		free(list[i]);
	}
	free(list);
	return rc;
}

/* Plugins next to this program: none is no mistake. */
static int brought_beside(const struct lnx_cli *cli, int (*is_wanted)(const struct dirent *e),
			  int (*each)(void *arg, const struct lnx_plugin *p), void *arg)
{
	char dir[LNX_PATH_BYTES];
	int rc = lnx_path_lib(cli, "plugins", dir);

	rc = rc < 0 ? rc : brought_dir(dir, is_wanted, each, arg);
	return rc < 0 ? 0 : rc;
}

int lnx_brought_scan(const struct lnx_cli *cli, const char *more_dir,
		     int (*each)(void *arg, const struct lnx_plugin *p), void *arg)
{
	int rc = brought_beside(cli, brought_is_plugin, each, arg);

	return rc || !more_dir ? rc : brought_dir(more_dir, brought_is_plugin, each, arg);
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

	/* scripts bring no verbs */
	return brought_beside(cli, brought_is_object, brought_call_one, &call) ? call.code
									       : -ENOENT;
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

	(void)brought_beside(cli, brought_is_object, brought_each_one, &e); /* never stops */
}
