/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a node of the chain may answer, and what stands on the chain: JSON-RPC, ABI, events, reverts, RLP, transactions; the first byte
 * chooses. What RLP takes is written again as the same bytes.
 * LINK: plugins/settle/rpc_reply.c plugins/settle/record.c plugins/settle/binding.c plugins/settle/did.c plugins/settle/dsse.c plugins/settle/jcs.c plugins/settle/call.c plugins/settle/abi.c plugins/settle/contract.c plugins/settle/rlp.c plugins/settle/tx1559.c plugins/settle/secp.c plugins/settle/keccak.c plugins/settle/u256.c -lsodium -ljansson -ldl */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../plugins/settle/abi.h"
#include "../../plugins/settle/call.h"
#include "../../plugins/settle/contract.h"
#include "../../plugins/settle/record.h"
#include "../../plugins/settle/rlp.h"
#include "../../plugins/settle/tx1559.h"

#define DEPTH 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void as_reply(const char *text, size_t n)
{
	static struct rpc_batch batch;
	struct records r = { .did = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
			     .chain_id = 31337 };
	struct abi_value v[9];
	char why[RPC_TEXT], words[200];
	uint8_t word[32];
	unsigned n_logs = 0;
	uint64_t number;

	(void)rpc_add(&batch, "eth_chainId", "[]"); /* fits */
	(void)rpc_add(&batch, "eth_call", "[]");
	if (rpc_read(&batch, 1, text, n, why) == 0)
		for (unsigned i = 0; i < batch.n; i++) {
			(void)rpc_u64(&batch.calls[i], &number); /* any answer is right */
			(void)rpc_u64_at(batch.calls[i].result, "number", &number);
			(void)rpc_word(&batch.calls[i], 0, word);
			(void)rpc_word(&batch.calls[i], 7, word);
			(void)rpc_bytes(&batch.calls[i]);
			(void)records_read(&r, &batch.calls[i], &n_logs);
			(void)call_words(&batch.calls[i], SETTLEMENT_TASK, v, 9);
			call_why(&batch.calls[i], words, sizeof(words));
		}
	rpc_reset(&batch);
}

/* Every dynamic value lies inside of the data. */
static void inside(const struct abi_value *v, unsigned n, const uint8_t *data, size_t n_data)
{
	for (unsigned i = 0; i < n; i++)
		if (v[i].bytes && (v[i].bytes < data || v[i].n > n_data ||
				   (size_t)(v[i].bytes - data) > n_data - v[i].n))
			abort();
}

static void as_abi(const uint8_t *data, size_t n)
{
	struct abi_value v[ABI_MAX];
	char text[200];

	memset(v, 0, sizeof(v));
	if (abi_decode(SETTLEMENT_SUBMIT, data, n, v, ABI_MAX) == 0)
		inside(v, 4, data, n);
	memset(v, 0, sizeof(v));
	if (abi_decode("(string,bool,uint8,bytes4,bytes)", data, n, v, ABI_MAX) == 0)
		inside(v, 5, data, n);
	memset(v, 0, sizeof(v));
	if (n >= 96 && abi_event(REGISTRY_REGISTERED, data, 3, data + 96, n - 96, v, ABI_MAX) == 0)
		inside(v, 4, data + 96, n - 96);
	contract_error(data, n, text, sizeof(text));
	if (strlen(text) >= sizeof(text))
		abort();
}

static void as_rlp(const uint8_t *data, size_t n, unsigned depth)
{
	struct lnx_buf out = { 0 };
	const uint8_t *from;
	struct rlp_item item;

	while (depth < DEPTH && (from = data, rlp_next(&data, &n, &item) == 0)) {
		lnx_buf_reset(&out);
		if (item.is_list)
			rlp_list(&out, item.data, item.n);
		else
			rlp_bytes(&out, item.data, item.n);
		if (!lnx_buf_error(&out) &&
		    (out.size != (size_t)(data - from) || memcmp(out.data, from, out.size) != 0))
			abort();
		if (item.is_list)
			as_rlp(item.data, item.n, depth + 1);
	}
	lnx_buf_done(&out);
}

static void as_tx(const uint8_t *data, size_t n)
{
	static struct secp *curve;
	uint8_t signer[SECP_ADDRESS];
	struct tx1559 tx;
	char why[200];

	if (!curve && secp_open(&curve, why, sizeof(why)))
		abort();
	(void)tx1559_read(curve, data, n, &tx, signer); /* any answer is right */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (!n)
		return 0;
	switch (data[0] & 3) {
	case 0:
		as_reply((const char *)data + 1, n - 1);
		break;
	case 1:
		as_abi(data + 1, n - 1);
		break;
	case 2:
		as_rlp(data + 1, n - 1, 0);
		break;
	default:
		as_tx(data + 1, n - 1);
	}
	return 0;
}
