/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Loads rule files into an engine. */
#ifndef LNX_LUA_LOAD_H
#define LNX_LUA_LOAD_H

#include <linnix/buf.h>

#define LNX_LOAD_FILES 4096

struct lnx_err;
struct lnx_rules;

/* A line in <errors> and an element of the engine's. */
void lnx_load_error(struct lnx_rules *r, struct lnx_buf *errors, const char *path,
		    const struct lnx_err *err);
/* A bad file is a line in <errors> and otherwise left out. Returns 0 or -ENOMEM. */
int lnx_load_file(struct lnx_rules *r, const char *path, struct lnx_buf *errors);
/* Every *.lua of <dir>, in the order of their names; a <dir> that is a file is loaded itself. */
int lnx_load_dir(struct lnx_rules *r, const char *dir, struct lnx_buf *errors);

#endif
