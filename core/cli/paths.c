/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Paths relative to the executable. */
#include "cli/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

/* The folder this program is in, without a slash at the end. */
static int path_own(char ret_path[LNX_PATH_BYTES])
{
	ssize_t n = readlink("/proc/self/exe", ret_path, LNX_PATH_BYTES - 1);
	char *slash;

	if (n < 0)
		return -errno;
	ret_path[n] = 0;
	slash = strrchr(ret_path, '/');
	if (!slash)
		return -ENOENT;
	*slash = 0;
	return 0;
}

/* <n> is what snprintf returned for it. */
static int path_exists(char ret_path[LNX_PATH_BYTES], int n)
{
	char real[PATH_MAX];

	if (n < 0 || n >= LNX_PATH_BYTES)
		return -ENAMETOOLONG;
	if (!realpath(ret_path, real))
		return -errno;
	if (strlen(real) >= LNX_PATH_BYTES)
		return -ENAMETOOLONG;
	memcpy(ret_path, real, strlen(real) + 1);
	return 0;
}

int lnx_path_lib(const struct lnx_cli *cli, const char *what, char ret_path[LNX_PATH_BYTES])
{
	char own[LNX_PATH_BYTES];
	int rc;

	if (cli->lib_dir)
		return path_exists(ret_path,
				   snprintf(ret_path, LNX_PATH_BYTES, "%s/%s", cli->lib_dir, what));
	rc = path_own(own);
	if (rc < 0)
		return rc;
	rc = path_exists(ret_path, snprintf(ret_path, LNX_PATH_BYTES, "%s/../%s", own, what));
	if (rc < 0)
		rc = path_exists(ret_path, snprintf(ret_path, LNX_PATH_BYTES, "%s/../lib/linnix/%s",
						    own, what));
	return rc;
}

int lnx_path_program(const char *name, char ret_path[LNX_PATH_BYTES])
{
	char own[LNX_PATH_BYTES];
	int rc = path_own(own);

	if (rc < 0)
		return rc;
	return path_exists(ret_path, snprintf(ret_path, LNX_PATH_BYTES, "%s/%s", own, name));
}

const char *lnx_path_rules(char ret_path[LNX_PATH_BYTES])
{
	char own[LNX_PATH_BYTES];

	if (path_own(own) == 0 &&
	    path_exists(ret_path,
			snprintf(ret_path, LNX_PATH_BYTES, "%s/../../scripts/rules", own)) == 0)
		return ret_path;
	return "/etc/linnix/rules.d";
}
