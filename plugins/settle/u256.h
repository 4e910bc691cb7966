/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* 256-bit unsigned numbers as the chain writes them, amounts of tokens, and hex. Nothing here rounds or wraps. */
#ifndef LNX_SETTLE_U256_H
#define LNX_SETTLE_U256_H

#include <stddef.h>
#include <stdint.h>

#define U256_DECIMAL 79	 /* bytes of the longest decimal text with its NUL */
#define U256_UNITS   160 /* bytes of the longest u256_format_units */
#define U256_HEX     67	 /* bytes of the longest quantity with its NUL */

struct u256 {
	uint8_t b[32]; /* big endian */
};

void u256_from_u64(uint64_t v, struct u256 *ret);
int u256_to_u64(const struct u256 *v, uint64_t *ret); /* 0 or -ERANGE */
int u256_is_zero(const struct u256 *v);
int u256_fits_u128(const struct u256 *v);
int u256_cmp(const struct u256 *a, const struct u256 *b); /* as memcmp */

/* Checked: 0, or -ERANGE (over 2^256 - 1, below 0, by zero) and nothing is written. <ret> may be an operand. */
int u256_add(const struct u256 *a, const struct u256 *b, struct u256 *ret);
int u256_sub(const struct u256 *a, const struct u256 *b, struct u256 *ret);
int u256_mul_u64(const struct u256 *a, uint64_t b, struct u256 *ret);
int u256_div_u64(const struct u256 *a, uint64_t b, struct u256 *ret, uint64_t *ret_rest);

/* Decimal digits without sign, space or leading zero. 0, -EINVAL, -ERANGE. */
int u256_parse(const char *text, struct u256 *ret);
void u256_format(const struct u256 *v, char ret[U256_DECIMAL]);
/* "1.5" of a token with <decimals> (at most 77): more digits behind the point than it has are -EINVAL. 0, -EINVAL, -ERANGE. */
int u256_parse_units(const char *text, unsigned decimals, struct u256 *ret);
/* "1.5": no zeros at the end, no point without digits. */
void u256_format_units(const struct u256 *v, unsigned decimals, char ret[U256_UNITS]);
/* A quantity of JSON-RPC: "0x" and 1 to 64 digits; leading zeros are taken. 0 or -EINVAL. */
int u256_parse_hex(const char *text, struct u256 *ret);
void u256_format_hex(const struct u256 *v, char ret[U256_HEX]);

/* "0x" and two lower-case digits for each byte; <ret> has room for 2 * n + 3. */
void hex_format(const uint8_t *bytes, size_t n, char *ret);
/* Exactly <n> bytes behind "0x". 0 or -EINVAL. Not for secrets: its time depends on the digits. */
int hex_parse(const char *text, uint8_t *ret, size_t n);
/* Any number of bytes behind "0x", at most <cap>. The number, -EINVAL or -ENOSPC. */
int64_t hex_parse_any(const char *text, uint8_t *ret, size_t cap);

#endif
