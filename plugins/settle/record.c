/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* AgentRegistered and AgentRotated, and whose proofs are in them. An address can hold one record of a DID, once: an old proof
 * gives nobody a new one, so which number of a rotation is signed need only be one of them. */
#include "record.h"

#include <errno.h>
#include <string.h>

#include "abi.h"
#include "binding.h"
#include "contract.h"

#define LOG_DATA 1024 /* bytes: a key and a proof are 224 */

static void add_logs(struct rpc_batch *b, const uint8_t registry[20], uint64_t from, uint64_t to,
		     const char *topics)
{
	char contract[43], first[24] = "earliest", last[24] = "latest";

	hex_format(registry, 20, contract);
	if (to) {
		(void)snprintf(first, sizeof(first), "0x%llx", (unsigned long long)from); /* fits */
		(void)snprintf(last, sizeof(last), "0x%llx", (unsigned long long)to);
	}
	(void)rpc_add(
		b, "eth_getLogs",
		"[{\"address\":\"%s\",\"fromBlock\":\"%s\",\"toBlock\":\"%s\",\"topics\":[%s]}]",
		contract, first, last, topics); /* the error sticks */
}

void records_ask(struct rpc_batch *b, const uint8_t registry[20], const uint8_t did32[32],
		 const uint8_t *address, uint64_t from, uint64_t to)
{
	char topics[400], made[67], rotated[67], did[67], who[67];
	uint8_t hash[ABI_TOPIC], word[32] = { 0 };

	(void)abi_topic(REGISTRY_REGISTERED, hash); /* constants of ours */
	hex_format(hash, 32, made);
	(void)abi_topic(REGISTRY_ROTATED, hash);
	hex_format(hash, 32, rotated);
	hex_format(did32, 32, did);
	if (!address) {
		(void)snprintf(topics, sizeof(topics), "[\"%s\",\"%s\"],\"%s\"", made, rotated,
			       did); /* fits */
		add_logs(b, registry, from, to, topics);
		return;
	}
	memcpy(word + 12, address, 20);
	hex_format(word, 32, who);
	(void)snprintf(topics, sizeof(topics), "\"%s\",\"%s\",\"%s\"", made, did, who); /* fits */
	add_logs(b, registry, from, to, topics);
	(void)snprintf(topics, sizeof(topics), "\"%s\",\"%s\",null,\"%s\"", rotated, did,
		       who); /* fits */
	add_logs(b, registry, from, to, topics);
}

static void keep(struct records *r, const uint8_t address[20])
{
	unsigned at = 0;

	while (at < r->n && memcmp(r->addresses[at], address, 20) != 0)
		at++;
	if (at == r->n && r->n < RECORD_KEPT)
		r->n++;
	if (at == RECORD_KEPT)
		at--;
	memmove(r->addresses[1], r->addresses[0], 20 * (size_t)at);
	memcpy(r->addresses[0], address, 20);
}

/* Is <proof> one for <address>, of a record that was rotated <first> to <last> times? */
static int is_proven(const struct records *r, const uint8_t address[20],
		     const struct abi_value *proof, uint64_t first, uint64_t last)
{
	struct binding b = { .did = r->did, .chain_id = r->chain_id };

	memcpy(b.registry, r->registry, 20);
	memcpy(b.address, address, 20);
	for (b.nonce = first; b.nonce <= last; b.nonce++)
		if (!binding_check(&b, proof->bytes, proof->n))
			return 1;
	return 0;
}

/* The topics of a log of our registry. Their number, 0 not one. */
static unsigned read_topics(const struct records *r, const json_t *log,
			    uint8_t topics[ABI_TOPICS][ABI_TOPIC])
{
	const json_t *list = json_object_get(log, "topics");
	uint8_t address[20], did[32];
	size_t n = json_array_size(list);

	if (hex_parse(rpc_text_at(log, "address"), address, 20) ||
	    memcmp(address, r->registry, 20) != 0 || n < 2 || n > ABI_TOPICS ||
	    json_is_true(json_object_get(log, "removed")))
		return 0;
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (!text || hex_parse(text, topics[i], 32))
			return 0;
	}
	did_hash(r->did, did);
	return memcmp(topics[1], did, 32) ? 0 : (unsigned)n;
}

/* 1: it counts as one of them. */
static unsigned read_log(struct records *r, const json_t *log, const uint8_t key[32])
{
	uint8_t topics[ABI_TOPICS][ABI_TOPIC], data[LOG_DATA];
	const struct abi_value *agent, *public, *proof;
	unsigned n = read_topics(r, log, topics), is_rotated;
	struct abi_value v[5];
	int64_t bytes;

	bytes = n ? hex_parse_any(rpc_text_at(log, "data"), data, sizeof(data)) : -1;
	if (bytes < 0)
		return 0;
	is_rotated = abi_event(REGISTRY_REGISTERED, topics[0], n, data, (size_t)bytes, v, 5) != 0;
	if (is_rotated && abi_event(REGISTRY_ROTATED, topics[0], n, data, (size_t)bytes, v, 5))
		return 0;
	agent = &v[is_rotated ? 2 : 1];
	public = &v[is_rotated ? 3 : 2];
	proof = &v[is_rotated ? 4 : 3];
	if (r->only && memcmp(agent->word.b + 12, r->only, 20) != 0)
		return 0; /* whatever a node answers to a filter */
	if (!proof->n)
		r->n_unproven++;
	else if (memcmp(public->word.b, key, 32) == 0 &&
		 is_proven(r, agent->word.b + 12, proof, is_rotated,
			   is_rotated ? RECORD_ROTATIONS : 0))
		keep(r, agent->word.b + 12);
	else
		r->n_wrong++;
	return 1;
}

int records_read(struct records *r, const struct rpc_call *c, unsigned *io_n)
{
	uint8_t key[32];
	const json_t *log;
	size_t i;

	if (did_parse(r->did, key))
		return -EINVAL;
	if (!json_is_array(c->result))
		return -EPROTO;
	json_array_foreach(c->result, i, log)
	{
		if (*io_n > RECORD_LOGS)
			break;
		*io_n += read_log(r, log, key);
	}
	return *io_n > RECORD_LOGS ? -E2BIG : 0;
}
