/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Verbs of the command line that this plugin brings. */
#ifndef LNX_SETTLE_COMMANDS_H
#define LNX_SETTLE_COMMANDS_H

#include <linnix/plugin.h>

extern const struct lnx_command settle_commands[];

/* One verb each; argv[0] is its name. They return an exit code. */
int identity_command(int argc, char **argv);
int receipt_command(int argc, char **argv);
/* Is --help or -h among the words? */
int command_wants_help(int argc, char **argv);

#endif
