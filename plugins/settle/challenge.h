/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Which events a payer asks the payee to open: nobody knows it before the receipt is submitted, and everybody can tell afterwards. */
#ifndef LNX_SETTLE_CHALLENGE_H
#define LNX_SETTLE_CHALLENGE_H

#include "check.h"

#define CHALLENGE_DEFAULT 16

struct challenge {
	uint64_t block; /* after the one that has the receipt */
	uint64_t until; /* last block of a dispute */
	uint8_t block_hash[32];
	unsigned n;
	uint64_t indexes[OPENED_MAX]; /* of leaves, from 0 */
};

/* Fill in the indexes: keccak256(block hash ‖ task id ‖ j) mod <size> for each j below <k>, as the EVM would pack three words; one
 * that came before is not asked for again. <size> is not 0, <k> at most OPENED_MAX. */
void challenge_derive(struct challenge *io, const uint8_t task_id[32], uint64_t size, unsigned k);

/* Are all of them among those that were opened? Whether these are of the receipt is for check_leaf. */
void check_challenge(struct check *c, const struct challenge *asked,
		     const struct opened_leaf *leaves, unsigned n);

#endif
