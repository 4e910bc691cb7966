/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Numbers of 256 bits, byte by byte: amounts are few, and nothing is faster than it is right. */
#include "u256.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DECIMALS_MAX 77 /* 10^77 < 2^256 */

__extension__ typedef unsigned __int128 u128;

void u256_from_u64(uint64_t v, struct u256 *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (unsigned i = 0; i < 8; i++)
		ret->b[31 - i] = (uint8_t)(v >> (8 * i));
}

/* Are the first <n> bytes zero? */
static int begins_zero(const struct u256 *v, unsigned n)
{
	uint8_t any = 0;

	for (unsigned i = 0; i < n; i++)
		any |= v->b[i];
	return !any;
}

int u256_to_u64(const struct u256 *v, uint64_t *ret)
{
	uint64_t n = 0;

	if (!begins_zero(v, 24))
		return -ERANGE;
	for (unsigned i = 24; i < 32; i++)
		n = n << 8 | v->b[i];
	*ret = n;
	return 0;
}

int u256_is_zero(const struct u256 *v)
{
	return begins_zero(v, 32);
}

int u256_fits_u128(const struct u256 *v)
{
	return begins_zero(v, 16);
}

int u256_cmp(const struct u256 *a, const struct u256 *b)
{
	return memcmp(a->b, b->b, sizeof(a->b));
}

int u256_add(const struct u256 *a, const struct u256 *b, struct u256 *ret)
{
	struct u256 sum;
	unsigned carry = 0;

	for (unsigned i = 32; i-- > 0;) {
		carry += (unsigned)a->b[i] + b->b[i];
		sum.b[i] = (uint8_t)carry;
		carry >>= 8;
	}
	if (carry)
		return -ERANGE;
	*ret = sum;
	return 0;
}

int u256_sub(const struct u256 *a, const struct u256 *b, struct u256 *ret)
{
	struct u256 rest;
	int borrow = 0;

	for (unsigned i = 32; i-- > 0;) {
		int d = a->b[i] - b->b[i] - borrow;

		borrow = d < 0;
		rest.b[i] = (uint8_t)d;
	}
	if (borrow)
		return -ERANGE;
	*ret = rest;
	return 0;
}

int u256_mul_u64(const struct u256 *a, uint64_t b, struct u256 *ret)
{
	u128 carry = 0;
	struct u256 product;

	for (unsigned i = 32; i-- > 0;) {
		carry += (u128)a->b[i] * b;
		product.b[i] = (uint8_t)carry;
		carry >>= 8;
	}
	if (carry)
		return -ERANGE;
	*ret = product;
	return 0;
}

int u256_div_u64(const struct u256 *a, uint64_t b, struct u256 *ret, uint64_t *ret_rest)
{
	u128 rest = 0;
	struct u256 q;

	if (!b)
		return -ERANGE;
	for (unsigned i = 0; i < 32; i++) {
		rest = rest << 8 | a->b[i];
		q.b[i] = (uint8_t)(rest / b);
		rest %= b;
	}
	*ret = q;
	if (ret_rest)
		*ret_rest = (uint64_t)rest;
	return 0;
}

/* io = 10 * io + digit */
static int append_digit(struct u256 *io, unsigned digit)
{
	struct u256 d;
	int rc = u256_mul_u64(io, 10, io);

	u256_from_u64(digit, &d);
	return rc ? rc : u256_add(io, &d, io);
}

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int u256_parse(const char *text, struct u256 *ret)
{
	return u256_parse_units(
		text, 0, ret); /* a point needs a digit behind it, and there is no room for one */
}

int u256_parse_units(const char *text, unsigned decimals, struct u256 *ret)
{
	struct u256 v = { { 0 } };
	const char *p = text;
	unsigned n_behind = 0;
	int rc = 0;

	if (decimals > DECIMALS_MAX || !is_digit(*p) || (*p == '0' && is_digit(p[1])))
		return -EINVAL;
	for (; is_digit(*p) && !rc; p++)
		rc = append_digit(&v, (unsigned)(*p - '0'));
	if (*p == '.' && !rc) {
		for (p++; is_digit(*p) && !rc && n_behind < decimals; p++, n_behind++)
			rc = append_digit(&v, (unsigned)(*p - '0'));
		if (!n_behind)
			return -EINVAL;
	}
	if (!rc && *p)
		return -EINVAL;
	for (; n_behind < decimals && !rc; n_behind++)
		rc = append_digit(&v, 0);
	if (!rc)
		*ret = v;
	return rc;
}

void u256_format(const struct u256 *v, char ret[U256_DECIMAL])
{
	char digits[U256_DECIMAL];
	struct u256 left = *v;
	unsigned at = sizeof(digits);
	uint64_t digit;

	digits[--at] = 0;
	do {
		(void)u256_div_u64(&left, 10, &left, &digit); /* not by zero */
		digits[--at] = (char)('0' + digit);
	} while (!u256_is_zero(&left));
	memcpy(ret, digits + at, sizeof(digits) - at);
}

void u256_format_units(const struct u256 *v, unsigned decimals, char ret[U256_UNITS])
{
	char digits[U256_DECIMAL + DECIMALS_MAX];
	size_t n, zeros;

	if (decimals > DECIMALS_MAX)
		decimals = DECIMALS_MAX;
	u256_format(v, digits);
	n = strlen(digits);
	zeros = n > decimals ? 0 : decimals + 1 - n;
	memmove(digits + zeros, digits, n + 1);
	memset(digits, '0', zeros);
	n += zeros - decimals;
	(void)snprintf(ret, U256_UNITS, "%.*s.%s", (int)n, digits, digits + n); /* fits */
	for (n = strlen(ret); ret[n - 1] == '0'; n--)
		ret[n - 1] = 0;
	if (ret[n - 1] == '.')
		ret[n - 1] = 0;
}

static int hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int u256_parse_hex(const char *text, struct u256 *ret)
{
	struct u256 v = { { 0 } };
	size_t n;

	if (text[0] != '0' || text[1] != 'x')
		return -EINVAL;
	text += 2;
	n = strlen(text);
	if (!n || n > 64)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		int d = hex_digit(text[n - 1 - i]);

		if (d < 0)
			return -EINVAL;
		v.b[31 - i / 2] |= (uint8_t)(i % 2 ? d << 4 : d);
	}
	*ret = v;
	return 0;
}

void u256_format_hex(const struct u256 *v, char ret[U256_HEX])
{
	char all[U256_HEX];
	size_t from = 2;

	hex_format(v->b, sizeof(v->b), all);
	while (all[from] == '0' && all[from + 1])
		from++;
	ret[0] = '0';
	ret[1] = 'x';
	memcpy(ret + 2, all + from, sizeof(all) - from);
}

void hex_format(const uint8_t *bytes, size_t n, char *ret)
{
	static const char digit[] = "0123456789abcdef";

	*ret++ = '0';
	*ret++ = 'x';
	for (size_t i = 0; i < n; i++) {
		*ret++ = digit[bytes[i] >> 4];
		*ret++ = digit[bytes[i] & 15];
	}
	*ret = 0;
}

int hex_parse(const char *text, uint8_t *ret, size_t n)
{
	int hi, lo;

	if (strlen(text) != 2 * n + 2 || text[0] != '0' || text[1] != 'x')
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		hi = hex_digit(text[2 * i + 2]);
		lo = hex_digit(text[2 * i + 3]);
		if (hi < 0 || lo < 0)
			return -EINVAL;
		ret[i] = (uint8_t)(hi << 4 | lo);
	}
	return 0;
}

int64_t hex_parse_any(const char *text, uint8_t *ret, size_t cap)
{
	size_t n = strlen(text);
	int rc;

	if (n < 2 || n % 2)
		return -EINVAL;
	n = n / 2 - 1;
	if (n > cap)
		return -ENOSPC;
	rc = hex_parse(text, ret, n);
	return rc ? rc : (int64_t)n;
}
