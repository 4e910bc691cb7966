/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Records of a DID in the registry, out of its logs. Anybody may register any DID; the key that the DID is signs which address is
 * its own, and nothing else counts. */
#ifndef LNX_SETTLE_RECORD_H
#define LNX_SETTLE_RECORD_H

#include <jansson.h>
#include <stdint.h>

#include "rpc.h"

#define RECORD_LOGS	 256 /* of one DID that are looked at */
#define RECORD_ROTATIONS 8   /* of one record: each proof carries its number */
#define RECORD_KEPT	 4   /* proven ones, the newest */

struct records {
	const char *did; /* did:key */
	const uint8_t
		*only; /* of that address; NULL: of anybody. Both are borrowed for each read */
	uint64_t chain_id;
	uint8_t registry[20];
	/* found, the newest first */
	uint8_t addresses[RECORD_KEPT][20];
	unsigned n;
	unsigned n_unproven, n_wrong; /* without a proof; with one that is not by the DID's key */
};

/* A look for a payee that is under way. */
struct settle;
struct payee_look {
	uint8_t task[32];
	struct records records;
	void (*then)(struct settle *s);
	/* of a node that does not give all logs at once: window by window */
	uint32_t is_in_windows, n_windows; /* of one request */
	unsigned n_logs[2];		   /* that two endpoints told of it */
	uint64_t next, asked_to, span;	   /* blocks */
};

/* Append the question for the logs of that DID in the blocks <from> to <to> (0: all there are); <address>: of its records only, NULL:
 * of everybody's. */
void records_ask(struct rpc_batch *b, const uint8_t registry[20], const uint8_t did32[32],
		 const uint8_t *address, uint64_t from, uint64_t to);
/* Read one answer, from the oldest to the newest; what was not asked for is passed over. *io_n: logs of that DID so far. 0; -E2BIG: more
 * than RECORD_LOGS; -EPROTO: no logs; -EINVAL: no did:key. */
int records_read(struct records *r, const struct rpc_call *c, unsigned *io_n);

#endif
