/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Makes each test of a Lua text tell its outcome: an operand that `and` or `or` looks at, the condition of if, while and until. */
#ifndef LNX_LUA_BRANCH_H
#define LNX_LUA_BRANCH_H

#include <linnix/buf.h>
#include <stdint.h>

#define LNX_BRANCHES_MAX 8192 /* of one file */

#define LNX_BRANCH_TRUE	 1
#define LNX_BRANCH_FALSE 2

struct lnx_branch {
	int line, column; /* where the test begins */
	uint8_t seen;	  /* LNX_BRANCH_* */
};

/* Append <text> to <out> with every test T as LNX_BRANCH_CALL(n, T), n the index into *ret_list, and no line moved. Returns 0,
 * -EINVAL (not the Lua that it knows: nothing is to be done with <out>), -E2BIG or -ENOMEM. */
int lnx_branch_mark(const char *text, size_t bytes, struct lnx_buf *out,
		    struct lnx_branch **ret_list, unsigned *ret_n);

#define LNX_BRANCH_CALL "_outcome"

#endif
