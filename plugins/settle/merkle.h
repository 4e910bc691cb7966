/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Merkle trees of RFC 9162 (SHA-256): a root over any number of leaves in fixed memory, and proofs that a leaf is in it. */
#ifndef LNX_SETTLE_MERKLE_H
#define LNX_SETTLE_MERKLE_H

#include <stddef.h>
#include <stdint.h>

#define MERKLE_HASH   32
#define MERKLE_LEVELS 64

/* Where the path of one leaf is collected, from the leaf up, while all leaves go by. */
struct merkle_path {
	uint64_t index;
	unsigned n;
	uint8_t siblings[MERKLE_LEVELS][MERKLE_HASH];
};

struct merkle {
	uint64_t n;			  /* leaves so far */
	struct merkle_path *const *paths; /* borrowed; NULL: no proof is wanted */
	unsigned n_paths;
	uint8_t nodes[MERKLE_LEVELS][MERKLE_HASH]; /* roots of the full subtrees, by level */
};

/* SHA-256(0x00 ‖ a ‖ b). */
void merkle_leaf(const void *a, size_t n_a, const void *b, size_t n_b, uint8_t ret[MERKLE_HASH]);

/* <paths>: <n> of them, each with its index set and n 0; or NULL and 0. */
void merkle_init(struct merkle *m, struct merkle_path *const *paths, unsigned n);
void merkle_add(struct merkle *m, const uint8_t leaf[MERKLE_HASH]);
/* The root of what was added. More may follow, unless paths are collected: this completes them. */
void merkle_root(const struct merkle *m, uint8_t ret[MERKLE_HASH]);

/* Is the leaf number <path->index> of a tree of <size> with <root>? 0 or -EBADMSG. */
int merkle_check(const struct merkle_path *path, uint64_t size, const uint8_t leaf[MERKLE_HASH],
		 const uint8_t root[MERKLE_HASH]);

#endif
