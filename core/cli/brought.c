/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Verbs that plugins bring: the shared objects next to this program, under the agent's rules for their owner and mode. */
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

#define BROUGHT_MAX_PLUGINS 128 /* files looked at */

static int brought_is_plugin(const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return n > 3 && strcmp(e->d_name + n - 3, ".so") == 0;
}

int lnx_brought_scan(const struct lnx_cli *cli, int (*each)(void *arg, const struct lnx_plugin *p),
		     void *arg)
{
	char dir[LNX_PATH_BYTES], path[LNX_PATH_BYTES];
	struct dirent **list = NULL;
	const struct lnx_plugin *p;
	struct lnx_err err;
	void *dl;
	int n, rc = 0;

	if (lnx_path_lib(cli, "plugins", dir) < 0)
		return 0;
	n = scandir(dir, &list, brought_is_plugin, alphasort);
	for (int i = 0; i < n; i++) {
		err = (struct lnx_err){ 0 };
		if (rc == 0 && i < BROUGHT_MAX_PLUGINS &&
		    (size_t)snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name) <
			    sizeof(path)) {
			if (lnx_plugin_open(path, &dl, &p, &err) < 0) {
				lnx_cli_say("%s: %s", path, err.msg);
			} else {
				rc = each(arg, p);
				(void)dlclose(dl); /* nothing of it is used after this */
			}
		}
		free(list[i]);
	}
	free(list);
	return rc;
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

	return lnx_brought_scan(cli, brought_call_one, &call) ? call.code : -ENOENT;
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

	(void)lnx_brought_scan(cli, brought_each_one, &e); /* never stops */
}
