/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What verb `replay` shows: alerts of a recording, and how two sets of them differ. */
#ifndef LNX_CLI_REPLAY_SHOW_H
#define LNX_CLI_REPLAY_SHOW_H

#include "replay.h"
#include <linnix/buf.h>

struct lnx_cli;

/* enum lnx_replay_change */
#define LNX_REPLAY_SAME	   0
#define LNX_REPLAY_NEW	   1 /* fires only with the new rules */
#define LNX_REPLAY_GONE	   2 /* fires only with the old rules */
#define LNX_REPLAY_CHANGED 3 /* at another time, for another while or with another severity */

/* An alert of the new rules, of the old ones, or of both. */
struct lnx_replay_row {
	const struct lnx_replay_fire *now, *before; /* not both NULL */
	uint32_t change;			    /* enum lnx_replay_change */
};

/* Pair the alerts of the same rule about the same subject, as they overlap in time; rows in order of time. <before> NULL: one
 * row for each alert. Returns 0 or -ENOMEM. Frees nothing: *ret_rows is the caller's. */
int lnx_replay_rows(const struct lnx_replay *now, const struct lnx_replay *before,
		    struct lnx_replay_row **ret_rows, size_t *ret_n);
/* Print to stdout. Returns 0 or -ENOMEM. */
int lnx_replay_table(const struct lnx_cli *cli, const struct lnx_replay *now,
		     const struct lnx_replay *before, const struct lnx_replay_row *rows, size_t n);
int lnx_replay_json(const struct lnx_replay *now, const struct lnx_replay *before,
		    const struct lnx_replay_row *rows, size_t n);

#endif
