/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The events that a block chooses. */
#include "challenge.h"

#include <inttypes.h>
#include <string.h>

#include "keccak.h"

static int is_in(const uint64_t *list, unsigned n, uint64_t v)
{
	for (unsigned i = 0; i < n; i++)
		if (list[i] == v)
			return 1;
	return 0;
}

void challenge_derive(struct challenge *io, const uint8_t task_id[32], uint64_t size, unsigned k)
{
	uint8_t words[96], hash[32];
	struct u256 v;
	uint64_t left;

	memcpy(words, io->block_hash, 32);
	memcpy(words + 32, task_id, 32);
	io->n = 0;
	for (unsigned j = 0; j < k && j < OPENED_MAX; j++) {
		u256_from_u64(j, &v);
		memcpy(words + 64, v.b, 32);
		keccak256(words, sizeof(words), hash);
		memcpy(v.b, hash, 32);
		if (!u256_div_u64(&v, size, &v, &left) && !is_in(io->indexes, io->n, left))
			io->indexes[io->n++] = left;
	}
}

void check_challenge(struct check *c, const struct challenge *asked,
		     const struct opened_leaf *leaves, unsigned n)
{
	for (unsigned i = 0; i < asked->n; i++) {
		unsigned at = 0;

		while (at < n && leaves[at].path.index != asked->indexes[i])
			at++;
		if (at == n)
			check_bad(c, "challenge: event %" PRIu64 " was not opened",
				  asked->indexes[i]);
	}
	check_done(c, "challenge: %u events that block %" PRIu64 " chose", asked->n, asked->block);
}
