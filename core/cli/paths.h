/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Where things are, relative to this program: in a build tree and when installed. */
#ifndef LNX_CLI_PATHS_H
#define LNX_CLI_PATHS_H

struct lnx_cli;

#define LNX_PATH_BYTES 1024

/* Folder <what> ("plugins", "bpf"): --lib-dir, or beside bin/ in a build tree, or lib/linnix. -ENOENT. */
int lnx_path_lib(const struct lnx_cli *cli, const char *what, char ret_path[LNX_PATH_BYTES]);
/* The shipped rules: in a build tree beside bin/, else where an installation has them. Returns ret_path or a literal. */
const char *lnx_path_rules(char ret_path[LNX_PATH_BYTES]);
/* Program <name> in the folder of this one. -ENOENT. */
int lnx_path_program(const char *name, char ret_path[LNX_PATH_BYTES]);

#endif
