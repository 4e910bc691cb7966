/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* eth_call and its answers. */
#include "call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "contract.h"

#define WORDS ABI_MAX

struct rpc_call *call_add_from(struct rpc_batch *b, const char *method, const uint8_t from[20],
			       const uint8_t to[20], const void *data, size_t n_data,
			       const char *block)
{
	char *hex = malloc(2 * n_data + 3), sender[43], target[43];
	struct rpc_call *c = NULL;

	if (!hex) {
		b->error = -ENOMEM;
		return NULL;
	}
	hex_format(data, n_data, hex);
	hex_format(to, 20, target);
	if (from) {
		hex_format(from, 20, sender);
		c = rpc_add(b, method, "[{\"from\":\"%s\",\"to\":\"%s\",\"data\":\"%s\"},\"%s\"]",
			    sender, target, hex, block);
	} else {
		c = rpc_add(b, method, "[{\"to\":\"%s\",\"data\":\"%s\"},\"%s\"]", target, hex,
			    block);
	}
	free(hex);
	return c;
}

struct rpc_call *call_add(struct rpc_batch *b, const uint8_t to[20], const char *signature,
			  const struct abi_value *args, unsigned n)
{
	struct lnx_buf data = { .max = 1u << 20 };
	struct rpc_call *c = NULL;

	if (abi_call(&data, signature, args, n) < 0 || lnx_buf_error(&data))
		b->error = -ENOMEM;
	else
		c = call_add_from(b, "eth_call", NULL, to, data.data, data.size, "latest");
	lnx_buf_done(&data);
	return c;
}

int call_words(const struct rpc_call *c, const char *types, struct abi_value *ret, unsigned n)
{
	uint8_t data[32 * WORDS];
	long bytes = rpc_bytes(c);

	if (bytes < 0 || bytes > (long)sizeof(data) ||
	    hex_parse(json_string_value(c->result), data, (size_t)bytes) ||
	    abi_decode(types, data, (size_t)bytes, ret, n))
		return -EPROTO;
	return 0;
}

int call_reverted(const struct rpc_call *c)
{
	return c && c->is_error && (c->data || c->code == 3 || strcasestr(c->text, "revert"));
}

void call_why(const struct rpc_call *c, char *ret, size_t cap)
{
	uint8_t data[4096];
	int64_t n = c->data ? hex_parse_any(c->data, data, sizeof(data)) : -1;

	if (n >= 4)
		contract_error(data, (size_t)n, ret, cap);
	else
		(void)snprintf(ret, cap, "%s", c->text); /* cut is fine: for people */
}
