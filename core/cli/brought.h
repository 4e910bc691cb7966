/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugins next to this program. */
#ifndef LNX_CLI_BROUGHT_H
#define LNX_CLI_BROUGHT_H

#include <linnix/plugin.h>

struct lnx_cli;

/* Open every plugin next to this program, shared objects and scripts, then those of <more_dir> (NULL: none), under the agent's
 * rules for owner and mode; what cannot be opened is said. <p> is borrowed until <each> returns; more than 0 stops and is
 * returned. -errno: <more_dir> cannot be read. */
int lnx_brought_scan(const struct lnx_cli *cli, const char *more_dir,
		     int (*each)(void *arg, const struct lnx_plugin *p), void *arg);

#endif
