/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One root for each bit of the number of leaves is all that has to be remembered. */
#include "merkle.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

void merkle_leaf(const void *a, size_t n_a, const void *b, size_t n_b, uint8_t ret[MERKLE_HASH])
{
	static const uint8_t mark = 0x00;
	crypto_hash_sha256_state h;

	(void)crypto_hash_sha256_init(&h); /* none of these can fail */
	(void)crypto_hash_sha256_update(&h, &mark, 1);
	(void)crypto_hash_sha256_update(&h, a, n_a);
	(void)crypto_hash_sha256_update(&h, b, n_b);
	(void)crypto_hash_sha256_final(&h, ret);
}

static void join(const uint8_t *left, const uint8_t *right, uint8_t ret[MERKLE_HASH])
{
	static const uint8_t mark = 0x01;
	crypto_hash_sha256_state h;

	(void)crypto_hash_sha256_init(&h); /* likewise */
	(void)crypto_hash_sha256_update(&h, &mark, 1);
	(void)crypto_hash_sha256_update(&h, left, MERKLE_HASH);
	(void)crypto_hash_sha256_update(&h, right, MERKLE_HASH);
	(void)crypto_hash_sha256_final(&h, ret);
}

void merkle_init(struct merkle *m, struct merkle_path *const *paths, unsigned n)
{
	m->n = 0;
	m->paths = paths;
	m->n_paths = n;
}

/* Two neighbours become one: if a leaf that is to be proven lies below the left one, the right one belongs to its path, and
 * the other way round. <left> holds the leaves from <begin> on up to <middle>, <right> those up to <end>. */
static void note(const struct merkle *m, uint64_t begin, uint64_t middle, uint64_t end,
		 const uint8_t *left, const uint8_t *right)
{
	for (unsigned i = 0; i < m->n_paths; i++) {
		struct merkle_path *p = m->paths[i];

		if (p->index >= begin && p->index < end)
			memcpy(p->siblings[p->n++], p->index < middle ? right : left, MERKLE_HASH);
	}
}

void merkle_add(struct merkle *m, const uint8_t leaf[MERKLE_HASH])
{
	uint64_t end = m->n + 1, size = 1;
	uint8_t node[MERKLE_HASH];
	unsigned level = 0;

	memcpy(node, leaf, sizeof(node));
	for (; m->n >> level & 1; level++, size *= 2) {
		note(m, end - 2 * size, end - size, end, m->nodes[level], node);
		join(m->nodes[level], node, node);
	}
	memcpy(m->nodes[level], node, sizeof(node));
	m->n = end;
}

void merkle_root(const struct merkle *m, uint8_t ret[MERKLE_HASH])
{
	uint64_t begin = m->n;
	uint8_t node[MERKLE_HASH];
	int is_first = 1;

	if (!m->n)
		(void)crypto_hash_sha256(ret, NULL, 0); /* of nothing, as the standard says */
	for (unsigned level = 0; level < MERKLE_LEVELS; level++) {
		uint64_t size = (uint64_t)1 << level;

		if (!(m->n & size))
			continue;
		if (is_first) {
			memcpy(node, m->nodes[level], sizeof(node));
			is_first = 0;
		} else {
			note(m, begin - size, begin, m->n, m->nodes[level], node);
			join(m->nodes[level], node, node);
		}
		begin -= size;
	}
	if (!is_first)
		memcpy(ret, node, sizeof(node));
}

int merkle_check(const struct merkle_path *path, uint64_t size, const uint8_t leaf[MERKLE_HASH],
		 const uint8_t root[MERKLE_HASH])
{
	uint64_t at = path->index, last = size - 1;
	uint8_t node[MERKLE_HASH];

	if (path->index >= size || path->n > MERKLE_LEVELS)
		return -EBADMSG;
	memcpy(node, leaf, sizeof(node));
	for (unsigned i = 0; i < path->n; i++) {
		if (!last)
			return -EBADMSG;
		if (at & 1 || at == last) {
			join(path->siblings[i], node, node);
			for (; !(at & 1) && at; at >>= 1)
				last >>= 1;
		} else {
			join(node, path->siblings[i], node);
		}
		at >>= 1;
		last >>= 1;
	}
	return !last && !memcmp(node, root, sizeof(node)) ? 0 : -EBADMSG;
}
