/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The part of `linnix receipt verify` that asks a node. The node is believed in what the chain says, and in nothing else. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi.h"
#include "call.h"
#include "cli_logs.h"
#include "cli_receipt.h"
#include "contract.h"
#include "did.h"
#include "eip712.h"
#include "fetch.h"
#include "record.h"

#define TIMEOUT_MS 20000L

struct asking {
	const struct receipt_asked *a;
	struct check *c;
	const struct signed_receipt *r;
	struct check_chain chain;
	struct rpc_batch batch, pieces;
	struct logs_scan scan;
	struct challenge *chosen;
	uint64_t deadline, max_deadline; /* blocks; 0: not known */
	uint8_t registry[20], did[32];
	uint64_t created_block, submitted_block; /* 0: not known */
	int is_without_ext;			 /* the settlement contract has no getTaskExt */
};

/* Ask the batch. 0, or -errno and it is noted. */
static int ask_batch(struct asking *k, struct rpc_batch *b, const char *what)
{
	struct fetch_ask f = { .url = k->a->rpc,
			       .max_bytes = RPC_REPLY_BYTES,
			       .timeout_ms = TIMEOUT_MS };
	struct lnx_buf body = { 0 }, reply = { 0 };
	char why[FETCH_WHY] = "", text[RPC_TEXT] = "";
	long status = 0;
	int rc;

	rpc_write(b, 1, &body);
	rc = b->error ? b->error : lnx_buf_error(&body);
	if (!rc && k->a->is_dry) {
		fprintf(stderr, "would ask: %s\n", body.data);
		rc = -ECANCELED;
		(void)snprintf(why, sizeof(why), "--dry-run"); /* fits */
	} else if (!rc) {
		f.body = body.data;
		rc = fetch(&f, &status, &reply, why);
		if (!rc && rpc_read(b, 1, reply.data ? reply.data : "", reply.size, text)) {
			rc = -EPROTO;
			(void)snprintf(why, sizeof(why), "HTTP %ld: %s", status, text); /* fits */
		}
	}
	if (rc)
		check_open(k->c, "chain: %s: %s", what, *why ? why : strerror(-rc));
	lnx_buf_done(&body);
	lnx_buf_done(&reply);
	return rc;
}

static int ask(struct asking *k, const char *what)
{
	return ask_batch(k, &k->batch, what);
}

/* Did the node fail, and not the contract? Then nothing is known, which is not the same as nothing there. */
static int is_untold(const struct rpc_call *call)
{
	return call->is_error && !call_reverted(call);
}

static void read_separator(struct asking *k, const struct rpc_call *call)
{
	struct eip712_domain domain = { CONTRACT_NAME, CONTRACT_VERSION, k->r->r.chain_id, { 0 } };
	uint8_t separator[32], want[32];

	memcpy(domain.contract, k->r->r.settlement, 20);
	eip712_separator(&domain, want);
	if (is_untold(call))
		check_open(k->c, "chain: the contract's domain: %s", call->text);
	else if (rpc_word(call, 0, separator) || memcmp(separator, want, 32) != 0)
		check_bad(
			k->c,
			"chain: the contract has another domain: what is signed counts elsewhere");
}

/* Payee and receipt hash, which contracts with the compatible functions only do not tell. */
static void read_ext(struct asking *k, const struct rpc_call *call)
{
	struct check_chain *chain = &k->chain;
	struct abi_value v[3];

	chain->has_ext = call_words(call, SETTLEMENT_EXT, v, 3) == 0;
	if (chain->has_ext) {
		memcpy(chain->payee, v[0].word.b + 12, 20);
		memcpy(chain->receipt_hash, v[2].word.b, 32);
	} else if (!call_reverted(call)) {
		check_open(k->c, "chain: the task's payee and receipt: %s",
			   call->is_error ? call->text : "not what the contract tells");
	}
	k->is_without_ext = !chain->has_ext && call_reverted(call);
}

static int read_task(struct asking *k)
{
	const struct rpc_call *call = k->batch.calls;
	struct check_chain *chain = &k->chain;
	struct abi_value v[9];
	uint64_t status;

	if (rpc_u64(&call[0], &chain->chain_id) || call_words(&call[1], SETTLEMENT_TASK, v, 9) ||
	    u256_to_u64(&v[5].word, &status)) {
		check_open(k->c, "chain: the node does not know the contract's tasks");
		return -EPROTO;
	}
	read_separator(k, &call[3]);
	chain->status = (uint32_t)status;
	(void)u256_to_u64(&v[3].word, &k->deadline);	  /* uint48 */
	(void)u256_to_u64(&v[4].word, &k->chosen->until); /* likewise */
	memcpy(chain->payee_did, v[1].word.b, 32);
	memcpy(chain->payer, v[2].word.b + 12, 20);
	memcpy(chain->token, v[6].word.b + 12, 20);
	chain->max_amount = v[7].word;
	chain->actual_amount = v[8].word;
	memcpy(chain->settlement, k->r->r.settlement, 20);
	read_ext(k, &call[2]);
	if (call_words(&call[5], "(uint256)", v, 1) || u256_to_u64(&v[0].word, &k->max_deadline))
		k->max_deadline = 0;
	if (k->a->has_registry) {
		memcpy(k->registry, k->a->registry, 20);
	} else if (call_words(&call[4], "(address)", v, 1) == 0) {
		memcpy(k->registry, v[0].word.b + 12, 20);
	} else {
		check_open(k->c, "registry: the contract does not name it: give --registry");
		chain->is_untold = true;
	}
	return 0;
}

static int ask_task(struct asking *k)
{
	const uint8_t *contract = k->r->r.settlement;
	struct abi_value id;

	abi_set_word(&id, k->r->r.task_id);
	/* errors of adding stick, and ask tells them */
	(void)rpc_add(&k->batch, "eth_chainId", "[]");
	(void)call_add(&k->batch, contract, SETTLEMENT_GET_TASK, &id, 1);
	(void)call_add(&k->batch, contract, SETTLEMENT_GET_EXT, &id, 1);
	(void)call_add(&k->batch, contract, SETTLEMENT_SEPARATOR, NULL, 0);
	(void)call_add(&k->batch, contract, SETTLEMENT_REGISTRY, NULL, 0);
	(void)call_add(&k->batch, contract, "maxDeadlineBlocks()", NULL, 0);
	return ask(k, "the task") ? -EPROTO : read_task(k);
}

static void add_logs(struct asking *k, const uint8_t contract[20], const char *event,
		     const uint8_t first[32])
{
	char address[43], topic[67], key[67];
	uint8_t hash[ABI_TOPIC];

	(void)abi_topic(event, hash); /* a constant of ours */
	hex_format(contract, 20, address);
	hex_format(hash, 32, topic);
	hex_format(first, 32, key);
	(void)rpc_add(
		&k->batch, "eth_getLogs",
		"[{\"address\":\"%s\",\"fromBlock\":\"earliest\",\"toBlock\":\"latest\",\"topics\":[\"%s\",\"%s\"]}]",
		address, topic, key);
}

static int is_word(const json_t *text, const uint8_t *want, size_t n)
{
	uint8_t word[32];

	return json_is_string(text) && !hex_parse(json_string_value(text), word, n) &&
	       !memcmp(word, want, n);
}

/* The block of the only log of that event of the task; whatever a node answers to a filter. 0: there is none. */
static uint64_t block_of(const struct asking *k, const struct rpc_call *call, const char *event)
{
	const json_t *log, *topics;
	uint8_t hash[ABI_TOPIC];
	uint64_t n;
	size_t i;

	(void)abi_topic(event, hash); /* a constant of ours */
	json_array_foreach(call->result, i, log)
	{
		topics = json_object_get(log, "topics");
		if (is_word(json_object_get(log, "address"), k->r->r.settlement, 20) &&
		    is_word(json_array_get(topics, 0), hash, 32) &&
		    is_word(json_array_get(topics, 1), k->r->r.task_id, 32) &&
		    !rpc_u64_at(log, "blockNumber", &n))
			return n;
	}
	return 0;
}

/* What the logs of the payee's registration prove. */
static void read_records(const struct asking *k, const struct rpc_call *call, unsigned n,
			 struct records *ret)
{
	unsigned n_logs = 0;

	*ret = (struct records){ .did = k->r->r.payee_did,
				 .only = k->r->r.payee,
				 .chain_id = k->chain.chain_id };
	memcpy(ret->registry, k->registry, 20);
	for (unsigned i = 0; i < n; i++)
		(void)records_read(ret, &call[i], &n_logs); /* no logs are no proof */
}

/* ---- where a node refuses to look through all blocks at once */

#define LOGS \
	2 /* the first of them in the batch of ask_payee: created, submitted, registered, rotated */

static int ask_piece(void *arg, struct rpc_batch *b)
{
	return ask_batch(arg, b, "logs");
}

/* Between which blocks, and how many there can be. */
static void bound(struct asking *k, unsigned i, uint64_t head)
{
	struct logs_scan *l = &k->scan;
	int is_of_task = i < LOGS + 2;

	l->first = k->a->from_block;
	l->last = head;
	l->enough = 1; /* a task has one of each, an address is registered once for a DID */
	if (is_of_task && k->deadline && k->deadline < head)
		l->last = k->deadline;
	if (is_of_task && k->max_deadline && k->deadline > k->max_deadline &&
	    k->deadline - k->max_deadline > l->first)
		l->first = k->deadline - k->max_deadline;
	l->span = l->span > l->last - l->first + 1 ? 0 : l->span;
}

static int ask_in_pieces(struct asking *k)
{
	struct rpc_call *call = k->batch.calls;
	struct records registered;
	uint64_t head;
	int rc = 0;

	rpc_reset(&k->pieces);
	(void)rpc_add(&k->pieces, "eth_blockNumber", "[]"); /* the error sticks */
	if (ask_batch(k, &k->pieces, "the newest block") || rpc_u64(&k->pieces.calls[0], &head))
		return -EPROTO;
	k->scan = (struct logs_scan){ .ask = ask_piece, .arg = k, .batch = &k->pieces };
	for (unsigned i = LOGS; !rc && i < k->batch.n; i++) {
		json_t *logs = NULL;

		if (json_is_array(call[i].result))
			continue;
		if (i == LOGS + 3) { /* whoever registered without a proof may have added one */
			read_records(k, &call[i - 1], 1, &registered);
			if (registered.n)
				break;
		}
		bound(k, i, head);
		rc = logs_scan(&k->scan, call[i].params, &logs);
		json_decref(call[i].result);
		call[i].result = logs;
	}
	if (rc == -EDOM || rc == -E2BIG)
		check_open(k->c, "chain: logs: %s",
			   rc == -EDOM
				   ? "the node takes no range of blocks"
				   : "too many blocks to look through: give --from-block BLOCK");
	return rc;
}

/* Somebody else's record of the same DID says nothing: it is asked for by DID and address, where the registry can tell. */
static void read_payee(struct asking *k)
{
	const struct rpc_call *call = k->batch.calls;
	struct records records;
	struct abi_value v[7];
	/* the first record is asked about only where there is no other */
	unsigned at = call_reverted(&call[0]) ? 1 : 0;

	if (k->is_without_ext && at)
		check_note(
			k->c,
			"chain: the contract has the compatible functions only, and tells neither payee nor receipt");
	else if (k->is_without_ext)
		check_open(k->c, "chain: the contract does not tell the task's payee and receipt");
	if (is_untold(&call[at])) {
		check_open(k->c, "registry: %s", call[at].text);
		k->chain.is_untold = true;
	} else if (call_words(&call[at], REGISTRY_RESOLVED, v, 7) == 0) {
		memcpy(k->chain.ed25519, v[0].word.b, 32);
		memcpy(k->chain.address, v[1].word.b + 12, 20);
		k->chain.is_registered = !u256_is_zero(&v[1].word);
		k->chain.is_revoked = !u256_is_zero(&v[6].word);
	}
	k->created_block = block_of(k, &call[2], SETTLEMENT_CREATED);
	k->submitted_block = block_of(k, &call[3], SETTLEMENT_SUBMITTED);
	read_records(k, &call[4], k->batch.n - 4, &records);
	k->chain.is_proof_good = records.n > 0;
	k->chain.has_proof = records.n > 0 || records.n_wrong > 0;
}

static int ask_payee(struct asking *k)
{
	struct abi_value a[2];

	did_hash(k->r->r.payee_did, k->did);
	abi_set_word(&a[0], k->did);
	abi_set_address(&a[1], k->r->r.payee);
	rpc_reset(&k->batch);
	(void)call_add(&k->batch, k->registry, REGISTRY_RESOLVE_AS, a, 2); /* errors stick */
	(void)call_add(&k->batch, k->registry, REGISTRY_RESOLVE, a, 1);
	add_logs(k, k->r->r.settlement, SETTLEMENT_CREATED, k->r->r.task_id);
	add_logs(k, k->r->r.settlement, SETTLEMENT_SUBMITTED, k->r->r.task_id);
	records_ask(&k->batch, k->registry, k->did, k->r->r.payee, 0, 0);
	if (ask(k, "the payee") || ask_in_pieces(k))
		return -EPROTO;
	read_payee(k);
	return 0;
}

static uint64_t time_of(const struct rpc_call *call)
{
	uint64_t n;

	return rpc_u64_at(call->result, "timestamp", &n) ? 0 : n;
}

/* The block after the receipt's chooses which events are to be opened: its hash was not known when the receipt was made. */
static void choose(struct asking *k, const struct rpc_call *call)
{
	const char *hash = json_string_value(json_object_get(call->result, "hash"));
	struct challenge *ch = k->chosen;

	ch->block = k->submitted_block + 1;
	if (!k->submitted_block)
		check_open(k->c, "challenge: which block has the receipt is not known");
	else if (!k->r->r.size)
		check_open(k->c, "challenge: the receipt has no events to choose from");
	else if (!hash || hex_parse(hash, ch->block_hash, 32))
		check_open(k->c, "challenge: block %llu, which chooses, is not there yet",
			   (unsigned long long)ch->block);
	else
		challenge_derive(ch, k->r->r.task_id, k->r->r.size, k->a->k);
}

static void ask_times(struct asking *k)
{
	rpc_reset(&k->batch);
	(void)rpc_add(&k->batch, "eth_getBlockByNumber", "[\"0x%llx\",false]",
		      (unsigned long long)k->created_block); /* block 0: not used */
	(void)rpc_add(&k->batch, "eth_getBlockByNumber", "[\"0x%llx\",false]",
		      (unsigned long long)k->submitted_block);
	(void)rpc_add(&k->batch, "eth_getBlockByNumber", "[\"0x%llx\",false]",
		      (unsigned long long)k->submitted_block + 1);
	if (ask(k, "the times of blocks"))
		return;
	if (k->a->k)
		choose(k, &k->batch.calls[2]);
	k->chain.created_s = k->created_block ? time_of(&k->batch.calls[0]) : 0;
	k->chain.submitted_s = k->submitted_block ? time_of(&k->batch.calls[1]) : 0;
}

void receipt_ask_chain(const struct receipt_asked *a, struct check *c,
		       const struct signed_receipt *r, struct challenge *ret)
{
	struct asking *k = calloc(1, sizeof(*k));

	if (!k) {
		check_open(c, "chain: out of memory");
		return;
	}
	k->a = a;
	k->c = c;
	k->r = r;
	k->chosen = ret;
	if (!ask_task(k) && !ask_payee(k)) {
		ask_times(k);
		check_chain(c, r, &k->chain);
	}
	rpc_reset(&k->batch);
	rpc_reset(&k->pieces);
	free(k);
}
