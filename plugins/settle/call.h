/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Contracts asked over JSON-RPC. */
#ifndef LNX_SETTLE_CALL_H
#define LNX_SETTLE_CALL_H

#include "abi.h"
#include "rpc.h"

/* Append an eth_call of the newest block. NULL as rpc_add. */
struct rpc_call *call_add(struct rpc_batch *b, const uint8_t to[20], const char *signature,
			  const struct abi_value *args, unsigned n);
/* Append <method> of a call that <from> would make: "eth_call" or "eth_estimateGas"; <block>: "latest" or a quantity. */
struct rpc_call *call_add_from(struct rpc_batch *b, const char *method, const uint8_t from[20],
			       const uint8_t to[20], const void *data, size_t n_data,
			       const char *block);
/* The answer of one with static types. 0 or -EPROTO. */
int call_words(const struct rpc_call *c, const char *types, struct abi_value *ret, unsigned n);
/* Why it reverted, in words. */
void call_why(const struct rpc_call *c, char *ret, size_t cap);
/* Did the contract itself say no (and not the node)? */
int call_reverted(const struct rpc_call *c);

#endif
