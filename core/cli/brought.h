/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugins next to this program. */
#ifndef LNX_CLI_BROUGHT_H
#define LNX_CLI_BROUGHT_H

#include <linnix/plugin.h>

struct lnx_cli;

/* Open every plugin in turn, under the agent's rules for owner and mode; what cannot be opened is said. <p> is borrowed
 * until <each> returns; non-zero stops and is returned. */
int lnx_brought_scan(const struct lnx_cli *cli, int (*each)(void *arg, const struct lnx_plugin *p),
		     void *arg);

#endif
