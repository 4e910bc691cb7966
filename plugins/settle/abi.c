/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The contract ABI, from signatures. */
#include "abi.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "keccak.h"

#define WORD		32
#define SIGNATURE_MAX	256 /* bytes */
#define INDEXED		" indexed"
#define ADDRESS_BYTES	20
#define DYNAMIC_LARGEST (16u << 20) /* bytes of one value */

enum kind { KIND_UINT, KIND_FIXED, KIND_BOOL, KIND_DYNAMIC };

struct type {
	enum kind kind;
	unsigned n_bytes; /* of UINT (at the end of the word) and FIXED (at its begin) */
	bool is_indexed;
};

struct signature {
	struct type types[ABI_MAX];
	unsigned n;
	char canonical[SIGNATURE_MAX];
};

/* The number at <text> up to <end>, in 1..max. 0 if it is not one. */
static unsigned small_number(const char *text, const char *end, unsigned max)
{
	unsigned v = 0;

	if (text == end || *text == '0')
		return 0;
	for (; text < end; text++) {
		if (!isdigit((unsigned char)*text))
			return 0;
		v = 10 * v + (unsigned)(*text - '0');
		if (v > max)
			return 0;
	}
	return v;
}

static int parse_type(const char *from, const char *end, struct type *ret)
{
	size_t n = (size_t)(end - from);
	unsigned v;

	if (n == 5 && !memcmp(from, "bytes", 5)) {
		ret->kind = KIND_DYNAMIC;
	} else if (n == 6 && !memcmp(from, "string", 6)) {
		ret->kind = KIND_DYNAMIC;
	} else if (n == 4 && !memcmp(from, "bool", 4)) {
		ret->kind = KIND_BOOL;
	} else if (n == 7 && !memcmp(from, "address", 7)) {
		ret->kind = KIND_UINT;
		ret->n_bytes = ADDRESS_BYTES;
	} else if (n > 4 && !memcmp(from, "uint", 4)) {
		v = small_number(from + 4, end, 256);
		ret->kind = KIND_UINT;
		ret->n_bytes = v / 8;
		return v && v % 8 == 0 ? 0 : -EINVAL;
	} else if (n > 5 && !memcmp(from, "bytes", 5)) {
		v = small_number(from + 5, end, WORD);
		ret->kind = KIND_FIXED;
		ret->n_bytes = v;
		return v ? 0 : -EINVAL;
	} else {
		return -EINVAL;
	}
	return 0;
}

/* One parameter at <p>; appends its canonical text. Returns its end or NULL. */
static const char *parse_one(const char *p, struct signature *s, size_t *io_at)
{
	const char *end = p + strcspn(p, ",) ");
	struct type *t = &s->types[s->n];

	if (s->n == ABI_MAX || parse_type(p, end, t))
		return NULL;
	s->n++;
	memcpy(s->canonical + *io_at, p, (size_t)(end - p)); /* not longer than the signature */
	*io_at += (size_t)(end - p);
	if (!strncmp(end, INDEXED, strlen(INDEXED))) {
		t->is_indexed = true;
		end += strlen(INDEXED);
	}
	return *end == ',' || *end == ')' ? end : NULL;
}

static int parse(const char *text, struct signature *s)
{
	const char *p = strchr(text, '(');
	size_t at;

	memset(s, 0, sizeof(*s));
	if (!p || strlen(text) >= sizeof(s->canonical))
		return -EINVAL;
	at = (size_t)(++p - text);
	memcpy(s->canonical, text, at);
	while (*p != ')') {
		p = parse_one(p, s, &at);
		if (!p)
			return -EINVAL;
		s->canonical[at++] = *p;
		if (*p == ',' && *++p == ')')
			return -EINVAL;
	}
	if (!s->n)
		s->canonical[at] = ')';
	return p[1] ? -EINVAL : 0;
}

int abi_topic(const char *signature, uint8_t ret[ABI_TOPIC])
{
	struct signature s;
	int rc = parse(signature, &s);

	if (!rc)
		keccak256(s.canonical, strlen(s.canonical), ret);
	return rc;
}

int abi_selector(const char *signature, uint8_t ret[ABI_SELECTOR])
{
	uint8_t hash[ABI_TOPIC];
	int rc = abi_topic(signature, hash);

	if (!rc)
		memcpy(ret, hash, ABI_SELECTOR);
	return rc;
}

static bool is_zero(const uint8_t *p, size_t n)
{
	while (n--)
		if (*p++)
			return false;
	return true;
}

/* Can the type hold this word? */
static bool fits(const struct type *t, const struct u256 *word)
{
	switch (t->kind) {
	case KIND_UINT:
		return is_zero(word->b, WORD - t->n_bytes);
	case KIND_FIXED:
		return is_zero(word->b + t->n_bytes, WORD - t->n_bytes);
	case KIND_BOOL:
		return is_zero(word->b, WORD - 1) && word->b[WORD - 1] <= 1;
	case KIND_DYNAMIC:
		return true;
	}
	return false;
}

static void put_number(struct lnx_buf *out, uint64_t v)
{
	struct u256 word;

	u256_from_u64(v, &word);
	lnx_buf_add(out, word.b, WORD);
}

static size_t padded(size_t n)
{
	return (n + WORD - 1) / WORD * WORD;
}

int abi_call(struct lnx_buf *out, const char *signature, const struct abi_value *args, unsigned n)
{
	static const uint8_t zeros[WORD];
	uint8_t hash[ABI_TOPIC];
	struct signature s;
	size_t tail;
	int rc = parse(signature, &s);

	if (rc || s.n != n)
		return -EINVAL;
	for (unsigned i = 0; i < n; i++)
		if (s.types[i].kind == KIND_DYNAMIC ? args[i].n > DYNAMIC_LARGEST
						    : !fits(&s.types[i], &args[i].word))
			return -EINVAL;
	keccak256(s.canonical, strlen(s.canonical), hash);
	lnx_buf_add(out, hash, ABI_SELECTOR);
	tail = (size_t)n * WORD;
	for (unsigned i = 0; i < n; i++) {
		if (s.types[i].kind != KIND_DYNAMIC) {
			lnx_buf_add(out, args[i].word.b, WORD);
			continue;
		}
		put_number(out, tail);
		tail += WORD + padded(args[i].n);
	}
	for (unsigned i = 0; i < n; i++) {
		if (s.types[i].kind != KIND_DYNAMIC)
			continue;
		put_number(out, args[i].n);
		lnx_buf_add(out, args[i].bytes, args[i].n);
		lnx_buf_add(out, zeros, padded(args[i].n) - args[i].n);
	}
	return lnx_buf_error(out);
}

/* What the offset in <v> leads to. */
static int read_dynamic(const uint8_t *data, size_t n, struct abi_value *v)
{
	struct u256 word;
	uint64_t at, size;

	if (u256_to_u64(&v->word, &at) || n < WORD || at > n - WORD)
		return -EBADMSG;
	memcpy(word.b, data + at, WORD);
	at += WORD;
	if (u256_to_u64(&word, &size) || size > n - at || padded(size) > n - at)
		return -EBADMSG;
	v->bytes = data + at;
	v->n = size;
	return 0;
}

/* Values of the types which are not indexed. */
static int read_data(const struct signature *s, const uint8_t *data, size_t n,
		     struct abi_value *ret)
{
	bool is_static = true;
	size_t at = 0;

	for (unsigned i = 0; i < s->n; i++) {
		const struct type *t = &s->types[i];

		if (t->is_indexed)
			continue;
		if (n - at < WORD)
			return -EBADMSG;
		ret[i] = (struct abi_value){ .n = 0 };
		memcpy(ret[i].word.b, data + at, WORD);
		at += WORD;
		if (!fits(t, &ret[i].word))
			return -EBADMSG;
		if (t->kind == KIND_DYNAMIC) {
			is_static = false;
			if (read_dynamic(data, n, &ret[i]))
				return -EBADMSG;
		}
	}
	return is_static && at != n ? -EBADMSG : 0;
}

int abi_decode(const char *types, const uint8_t *data, size_t n_data, struct abi_value *ret,
	       unsigned n)
{
	struct signature s;

	if (parse(types, &s) || s.n > n)
		return -EINVAL;
	return read_data(&s, data, n_data, ret);
}

int abi_event(const char *signature, const uint8_t *topics, unsigned n_topics, const uint8_t *data,
	      size_t n_data, struct abi_value *ret, unsigned n)
{
	uint8_t topic[ABI_TOPIC];
	struct signature s;
	unsigned at = 1;

	if (parse(signature, &s) || s.n > n)
		return -EINVAL;
	keccak256(s.canonical, strlen(s.canonical), topic);
	if (!n_topics || memcmp(topics, topic, sizeof(topic)) != 0)
		return -ENOENT;
	for (unsigned i = 0; i < s.n; i++) {
		if (!s.types[i].is_indexed)
			continue;
		if (at == n_topics)
			return -EBADMSG;
		/* of an indexed string only its hash is there */
		ret[i] = (struct abi_value){ .n = 0 };
		memcpy(ret[i].word.b, topics + (size_t)WORD * at++, WORD);
		if (!fits(&s.types[i], &ret[i].word))
			return -EBADMSG;
	}
	return at != n_topics ? -EBADMSG : read_data(&s, data, n_data, ret);
}

void abi_set_u64(struct abi_value *v, uint64_t n)
{
	*v = (struct abi_value){ .n = 0 };
	u256_from_u64(n, &v->word);
}

void abi_set_word(struct abi_value *v, const uint8_t bytes[32])
{
	*v = (struct abi_value){ .n = 0 };
	memcpy(v->word.b, bytes, WORD);
}

void abi_set_address(struct abi_value *v, const uint8_t address[20])
{
	*v = (struct abi_value){ .n = 0 };
	memcpy(v->word.b + WORD - ADDRESS_BYTES, address, ADDRESS_BYTES);
}

void abi_set_bytes(struct abi_value *v, const void *bytes, size_t n)
{
	*v = (struct abi_value){ .bytes = bytes, .n = n };
}
