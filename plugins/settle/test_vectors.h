/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* tests/data/chain/vectors.json, for the tests of this folder. */
#ifndef LNX_SETTLE_TEST_VECTORS_H
#define LNX_SETTLE_TEST_VECTORS_H

/* cmocka's header needs these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "u256.h"

static inline json_t *vectors(void)
{
	json_error_t error;
	json_t *all =
		json_load_file("tests/data/chain/vectors.json", JSON_REJECT_DUPLICATES, &error);

	if (!all)
		fail_msg("vectors.json:%d: %s", error.line, error.text);
	return all;
}

static inline const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (!text)
		fail_msg("a vector has no %s", key);
	return text;
}

static inline void bytes_of(const json_t *object, const char *key, uint8_t *ret, size_t n)
{
	assert_int_equal(hex_parse(text_of(object, key), ret, n), 0);
}

/* Bytes of any number; to be freed. */
static inline uint8_t *blob_of(const json_t *object, const char *key, size_t *ret_n)
{
	const char *text = text_of(object, key);
	uint8_t *bytes = malloc(strlen(text));
	int64_t n = hex_parse_any(text, bytes, strlen(text));

	assert_true(n >= 0);
	*ret_n = (size_t)n;
	return bytes;
}

static inline void number_of(const json_t *object, const char *key, struct u256 *ret)
{
	assert_int_equal(u256_parse(text_of(object, key), ret), 0);
}

static inline uint64_t small_of(const json_t *object, const char *key)
{
	struct u256 v;
	uint64_t n = 0;

	number_of(object, key, &v);
	assert_int_equal(u256_to_u64(&v, &n), 0);
	return n;
}

static inline void fill(uint8_t *ret, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ret[i] = (uint8_t)(i * 7 + n);
}

#endif
