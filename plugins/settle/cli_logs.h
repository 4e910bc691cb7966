/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Logs for the command line, in questions that nodes take: most refuse a range of more than some thousand blocks. */
#ifndef LNX_SETTLE_CLI_LOGS_H
#define LNX_SETTLE_CLI_LOGS_H

#include "rpc.h"

#define LOGS_QUESTIONS 2000 /* of one scan: 4 million blocks, 2000 each */

struct logs_scan {
	/* Ask the batch and wait. 0 or -errno, said. */
	int (*ask)(void *arg, struct rpc_batch *b);
	void *arg;
	struct rpc_batch *batch; /* borrowed; emptied */
	uint64_t first, last;	 /* blocks */
	unsigned enough;	 /* logs; 0: all of the range */
	unsigned questions;	 /* so far, of all scans with it */
	uint64_t span; /* blocks a question, as the node was found to take them; 0: not known yet */
};

/* The logs that eth_getLogs with <params> (its JSON array) gives in those blocks instead of its own, from the oldest on, looked for from
 * the newest on. 0 with *ret, owned; -EDOM: the node takes no range at all; -E2BIG: too many questions; -EINVAL: no such array; what
 * ask said. */
int logs_scan(struct logs_scan *l, const char *params, json_t **ret);

#endif
