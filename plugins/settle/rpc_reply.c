/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* JSON-RPC 2.0: requests as text, answers as trees. Strict where money hangs on it: no key twice, every id once. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "rpc.h"
#include "u256.h"

#define DATA_BYTES 65536u /* of what a revert returned */

struct rpc_call *rpc_add(struct rpc_batch *b, const char *method, const char *fmt, ...)
{
	struct rpc_call *c;
	va_list ap;
	int n;

	if (b->n == RPC_CALLS)
		b->error = -ENOSPC;
	if (b->error)
		return NULL;
	c = &b->calls[b->n];
	memset(c, 0, sizeof(*c));
	c->method = method;
	va_start(ap, fmt);
	n = vasprintf(&c->params, fmt, ap);
	va_end(ap);
	if (n < 0) {
		c->params = NULL;
		b->error = -ENOMEM;
		return NULL;
	}
	b->n++;
	return c;
}

/* What an answer gave, before another one. */
static void call_forget(struct rpc_call *c)
{
	json_decref(c->result);
	free(c->data);
	c->result = NULL;
	c->data = NULL;
	c->is_error = 0;
	c->code = 0;
	c->text[0] = 0;
}

void rpc_reset(struct rpc_batch *b)
{
	for (unsigned i = 0; i < b->n; i++) {
		call_forget(&b->calls[i]);
		free(b->calls[i].params);
	}
	b->n = 0;
	b->error = 0;
}

void rpc_write(const struct rpc_batch *b, uint64_t first_id, struct lnx_buf *out)
{
	if (b->n != 1)
		lnx_buf_char(out, '[');
	for (unsigned i = 0; i < b->n; i++) {
		if (i)
			lnx_buf_char(out, ',');
		lnx_buf_printf(out,
			       "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":\"%s\",\"params\":",
			       (unsigned long long)first_id + i, b->calls[i].method);
		lnx_buf_str(out, b->calls[i].params);
		lnx_buf_char(out, '}');
	}
	if (b->n != 1)
		lnx_buf_char(out, ']');
}

/* <from>, <n> bytes that a stranger chose, as one printable line. */
static void printable(const char *from, size_t n, char ret[RPC_TEXT])
{
	size_t i = 0;

	for (; i < n && i < RPC_TEXT - 1; i++)
		ret[i] = from[i] >= ' ' && from[i] < 0x7f ? from[i] : ' ';
	ret[i] = 0;
}

/* anvil has the bytes of a revert at error.data, Hardhat at error.data.data. */
static void take_data(struct rpc_call *c, const json_t *error)
{
	const json_t *data = json_object_get(error, "data");
	size_t n;

	if (json_is_object(data))
		data = json_object_get(data, "data");
	n = json_string_length(data);
	if (json_is_string(data) && n >= 2 && n <= DATA_BYTES &&
	    !memchr(json_string_value(data), 0, n))
		c->data = strdup(json_string_value(data));
}

/* One object of the answer. 0 or -EPROTO. */
static int take(struct rpc_batch *b, uint64_t first_id, const json_t *one, char why[RPC_TEXT])
{
	const json_t *id = json_object_get(one, "id"), *error = json_object_get(one, "error"),
		     *version = json_object_get(one, "jsonrpc"), *text;
	json_t *result = json_object_get(one, "result");
	json_int_t v = json_integer_value(id);
	struct rpc_call *c;

	if (!json_is_string(version) || strcmp(json_string_value(version), "2.0") != 0) {
		(void)snprintf(why, RPC_TEXT, "an answer that is not JSON-RPC 2.0");
		return -EPROTO;
	}
	if (!json_is_integer(id) || v < 0 || (uint64_t)v < first_id ||
	    (uint64_t)v - first_id >= b->n) {
		(void)snprintf(why, RPC_TEXT, "an answer to a question that was not asked");
		return -EPROTO;
	}
	c = &b->calls[(uint64_t)v - first_id];
	if (c->result || c->is_error) {
		(void)snprintf(why, RPC_TEXT, "two answers to %s", c->method);
		return -EPROTO;
	}
	if (json_is_object(error)) {
		text = json_object_get(error, "message");
		c->is_error = 1;
		c->code = (long)json_integer_value(json_object_get(error, "code"));
		printable(json_is_string(text) ? json_string_value(text) : "no message",
			  json_is_string(text) ? json_string_length(text) : 10, c->text);
		take_data(c, error);
		return 0;
	}
	if (!result || (error && !json_is_null(error))) {
		(void)snprintf(why, RPC_TEXT, "neither a result nor an error of %s", c->method);
		return -EPROTO;
	}
	c->result = json_incref(result);
	return 0;
}

int rpc_read(struct rpc_batch *b, uint64_t first_id, const char *bytes, size_t n,
	     char why[RPC_TEXT])
{
	json_error_t error;
	const json_t *one;
	json_t *root;
	int rc = 0;
	size_t i;

	for (i = 0; i < b->n; i++)
		call_forget(&b->calls[i]);
	/* JSON_ALLOW_NUL: anvil puts \u0000 into the message of a revert */
	root = json_loadb(bytes, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	if (json_is_object(root)) {
		rc = take(b, first_id, root, why);
	} else if (json_is_array(root)) {
		json_array_foreach(root, i, one)
		{
			if (!rc)
				rc = take(b, first_id, one, why);
		}
	} else {
		printable(error.text, strnlen(error.text, sizeof(error.text)), why);
		rc = -EPROTO;
	}
	for (i = 0; !rc && i < b->n; i++) {
		if (b->calls[i].result || b->calls[i].is_error)
			continue;
		(void)snprintf(why, RPC_TEXT, "no answer to %s", b->calls[i].method);
		rc = -EPROTO;
	}
	json_decref(root);
	return rc;
}

/* A result that is a text without NUL, or NULL. */
static const char *text_of(const struct rpc_call *c)
{
	const char *text = c ? json_string_value(c->result) : NULL;

	return text && strlen(text) == json_string_length(c->result) ? text : NULL;
}

int rpc_u64(const struct rpc_call *c, uint64_t *ret)
{
	const char *text = text_of(c);
	struct u256 v;

	return text && !u256_parse_hex(text, &v) && !u256_to_u64(&v, ret) ? 0 : -EPROTO;
}

const char *rpc_text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

int rpc_u64_at(const json_t *object, const char *key, uint64_t *ret)
{
	struct u256 v;

	return u256_parse_hex(rpc_text_at(object, key), &v) || u256_to_u64(&v, ret) ? -EPROTO : 0;
}

int rpc_word(const struct rpc_call *c, unsigned i, uint8_t ret[32])
{
	const char *text = text_of(c);
	char word[67] = "0x";

	if (!text || strncmp(text, "0x", 2) != 0 || strlen(text) < 2 + 64 * ((size_t)i + 1))
		return -EPROTO;
	memcpy(word + 2, text + 2 + 64 * (size_t)i, 64);
	word[66] = 0;
	return hex_parse(word, ret, 32) ? -EPROTO : 0;
}

long rpc_bytes(const struct rpc_call *c)
{
	const char *text = text_of(c);
	size_t n = text ? strlen(text) : 0;

	return n >= 2 && n % 2 == 0 && text[0] == '0' && text[1] == 'x' ? (long)(n - 2) / 2 : -1;
}
