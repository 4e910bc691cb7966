/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Keccak-f[1600] with rate 1088 and the 0x01 padding. */
#include "keccak.h"

#include <string.h>

#define ROUNDS 24
#define LANES  (KECCAK_RATE / 8)

static const uint64_t round_constant[ROUNDS] = {
	0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
	0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
	0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
	0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
	0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
	0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008
};

/* rho and pi as one walk: the lane that comes next and by how much it turns */
static const uint8_t walk_lane[ROUNDS] = { 10, 7,  11, 17, 18, 3, 5,  16, 8,  21, 24, 4,
					   15, 23, 19, 13, 12, 2, 20, 14, 22, 9,  6,  1 };
static const uint8_t walk_turn[ROUNDS] = { 1,  3,  6,  10, 15, 21, 28, 36, 45, 55, 2,  14,
					   27, 41, 56, 8,  25, 43, 62, 18, 39, 61, 20, 44 };

static uint64_t turn(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

static void permute(uint64_t s[25])
{
	uint64_t c[5], d, t;

	for (unsigned r = 0; r < ROUNDS; r++) {
		for (unsigned x = 0; x < 5; x++)
			c[x] = s[x] ^ s[x + 5] ^ s[x + 10] ^ s[x + 15] ^ s[x + 20];
		for (unsigned x = 0; x < 5; x++) {
			d = c[(x + 4) % 5] ^ turn(c[(x + 1) % 5], 1);
			for (unsigned y = 0; y < 25; y += 5)
				s[y + x] ^= d;
		}
		t = s[1];
		for (unsigned i = 0; i < ROUNDS; i++) {
			d = s[walk_lane[i]];
			s[walk_lane[i]] = turn(t, walk_turn[i]);
			t = d;
		}
		for (unsigned y = 0; y < 25; y += 5) {
			memcpy(c, s + y, sizeof(c));
			for (unsigned x = 0; x < 5; x++)
				s[y + x] = c[x] ^ (~c[(x + 1) % 5] & c[(x + 2) % 5]);
		}
		s[0] ^= round_constant[r];
	}
}

static void absorb(struct keccak *k)
{
	for (unsigned i = 0; i < LANES; i++) {
		uint64_t v = 0;

		for (unsigned b = 0; b < 8; b++)
			v |= (uint64_t)k->block[8 * i + b] << (8 * b);
		k->state[i] ^= v;
	}
	permute(k->state);
	k->n = 0;
}

void keccak_init(struct keccak *k)
{
	memset(k, 0, sizeof(*k));
}

void keccak_add(struct keccak *k, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	while (n) {
		size_t part = sizeof(k->block) - k->n < n ? sizeof(k->block) - k->n : n;

		memcpy(k->block + k->n, p, part);
		k->n += part;
		p += part;
		n -= part;
		if (k->n == sizeof(k->block))
			absorb(k);
	}
}

void keccak_end(struct keccak *k, uint8_t ret_hash[KECCAK_BYTES])
{
	memset(k->block + k->n, 0, sizeof(k->block) - k->n);
	k->block[k->n] = 0x01;
	k->block[KECCAK_RATE - 1] |= 0x80;
	absorb(k);
	for (unsigned i = 0; i < KECCAK_BYTES; i++)
		ret_hash[i] = (uint8_t)(k->state[i / 8] >> (8 * (i % 8)));
}

void keccak256(const void *bytes, size_t n, uint8_t ret_hash[KECCAK_BYTES])
{
	struct keccak k;

	keccak_init(&k);
	keccak_add(&k, bytes, n);
	keccak_end(&k, ret_hash);
}
