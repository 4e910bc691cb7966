/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Where things are: relative to the executable in a build tree, under PREFIX/lib and /etc when installed. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app.h"

static bool lnx_is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* <base>/<rest> made absolute, if it is a folder. */
static bool lnx_dir_at(const char *base, const char *rest, char *ret_path, size_t cap)
{
	char joined[8192], real[PATH_MAX];

	if (snprintf(joined, sizeof(joined), "%s/%s", base, rest) >= (int)sizeof(joined) ||
	    !lnx_is_dir(joined))
		return false;
	if (!realpath(joined, real) || strlen(real) >= cap)
		return false;
	memcpy(ret_path, real, strlen(real) + 1);
	return true;
}

static int lnx_read_line(const char *path, char *ret_line, size_t cap)
{
	FILE *f = fopen(path, "re");

	if (!f)
		return -errno;
	if (!fgets(ret_line, (int)cap, f))
		ret_line[0] = 0;
	ret_line[strcspn(ret_line, "\n")] = 0;
	(void)fclose(f); /* read only */
	return 0;
}

int lnx_app_paths(struct lnx_app *app)
{
	ssize_t n = readlink("/proc/self/exe", app->exe_dir, sizeof(app->exe_dir) - 1);
	char *slash;

	if (n <= 0)
		return n < 0 ? -errno : -ENOENT;
	app->exe_dir[n] = 0;
	slash = strrchr(app->exe_dir, '/');
	if (slash)
		*slash = 0;
	(void)snprintf(app->config_path, sizeof(app->config_path), "%s",
		       app->args.config ? app->args.config : "/etc/linnix/linnix.yaml");
	if (app->args.lib_dir) {
		if (!lnx_dir_at(app->args.lib_dir, ".", app->lib_dir, sizeof(app->lib_dir)))
			return -ENOENT;
	} else if (lnx_dir_at(app->exe_dir, "../plugins", app->lib_dir, sizeof(app->lib_dir))) {
		*strrchr(app->lib_dir, '/') = 0;
	} else if (!lnx_dir_at(app->exe_dir, "../lib/linnix", app->lib_dir, sizeof(app->lib_dir))) {
		(void)snprintf(app->lib_dir, sizeof(app->lib_dir), "/usr/lib/linnix");
	}
	if (snprintf(app->bpf_dir, sizeof(app->bpf_dir), "%s/bpf", app->lib_dir) >=
		    (int)sizeof(app->bpf_dir) ||
	    snprintf(app->default_plugins, sizeof(app->default_plugins), "%s/plugins",
		     app->lib_dir) >= (int)sizeof(app->default_plugins))
		return -ENAMETOOLONG;
	if (!lnx_dir_at(app->exe_dir, "../../scripts/rules", app->default_rules,
			sizeof(app->default_rules)))
		(void)snprintf(app->default_rules, sizeof(app->default_rules),
			       "/etc/linnix/rules.d");
	if (lnx_read_line("/proc/sys/kernel/random/boot_id", app->boot_id, sizeof(app->boot_id)) <
	    0)
		(void)snprintf(app->boot_id, sizeof(app->boot_id), "unknown");
	return 0;
}
