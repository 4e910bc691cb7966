/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a contract is called with, answers, reverts with and logs, driven by its signature: "settle(bytes32)". Types: uintN,
 * bytesN, address, bool, bytes, string; no arrays, no tuples. */
#ifndef LNX_SETTLE_ABI_H
#define LNX_SETTLE_ABI_H

#include <linnix/buf.h>

#include "u256.h"

#define ABI_MAX	     12 /* parameters of one signature */
#define ABI_SELECTOR 4
#define ABI_TOPIC    32
#define ABI_TOPICS   4

struct abi_value {
	struct u256 word;     /* numbers and addresses at its end, bytesN at its begin */
	const uint8_t *bytes; /* of bytes and string; borrowed from what is read */
	size_t n;
};

/* The first four bytes of a call, the first topic of an event. Names of parameters and "indexed" do not belong to it, and may
 * not be in <signature> of a call; of an event "indexed" is left out by itself. */
int abi_selector(const char *signature, uint8_t ret[ABI_SELECTOR]);
int abi_topic(const char *signature, uint8_t ret[ABI_TOPIC]);

/* Append selector and arguments. -EINVAL: bad signature, another number of arguments, or a value that its type cannot
 * hold. */
int abi_call(struct lnx_buf *out, const char *signature, const struct abi_value *args, unsigned n);

/* Read an answer, or what stands behind a selector: "(bytes32,bool)". 0; -EBADMSG: cut off, out of bounds, or a value that
 * its type cannot hold; with static types only, also bytes left over; -EINVAL: bad signature or more than <n> values. */
int abi_decode(const char *types, const uint8_t *data, size_t n_data, struct abi_value *ret,
	       unsigned n);

/* Read a log of the event "Paid(bytes32 indexed,uint256)"; <topics> stand one behind the other, values come in the order of the signature. -ENOENT: another event.
 * Others as abi_decode. */
int abi_event(const char *signature, const uint8_t *topics, unsigned n_topics, const uint8_t *data,
	      size_t n_data, struct abi_value *ret, unsigned n);

void abi_set_u64(struct abi_value *v, uint64_t n);
void abi_set_word(struct abi_value *v, const uint8_t bytes[32]);
void abi_set_address(struct abi_value *v, const uint8_t address[20]);
void abi_set_bytes(struct abi_value *v, const void *bytes, size_t n);

#endif
