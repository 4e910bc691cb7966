/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Answers of nodes of a chain, as strangers may write them.
 * LINK: plugins/settle/rpc_reply.c plugins/settle/record.c plugins/settle/abi.c plugins/settle/binding.c plugins/settle/did.c plugins/settle/dsse.c plugins/settle/jcs.c plugins/settle/secp.c plugins/settle/keccak.c plugins/settle/u256.c -lsodium -ljansson -ldl */
#include <stddef.h>
#include <stdint.h>

#include "../../plugins/settle/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct records r = { .did = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
			     .chain_id = 31337 };
	struct rpc_batch b = { .n = 0 };
	char why[RPC_TEXT];
	uint8_t word[32];
	unsigned n_logs = 0;
	uint64_t v;

	(void)rpc_add(&b, "eth_chainId", "[]"); /* no memory: fewer calls */
	(void)rpc_add(&b, "eth_call", "[]");
	if (rpc_read(&b, 1, (const char *)data, size, why) == 0)
		for (unsigned i = 0; i < b.n; i++) {
			(void)rpc_u64(&b.calls[i], &v); /* only that it comes back counts */
			(void)rpc_word(&b.calls[i], 0, word);
			(void)rpc_word(&b.calls[i], 7, word);
			(void)rpc_bytes(&b.calls[i]);
			(void)records_read(&r, &b.calls[i], &n_logs);
		}
	rpc_reset(&b);
	return 0;
}
