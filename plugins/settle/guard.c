/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Is this the chain, are these the contracts, is that our record? Asked of every endpoint before it is used, and again after it
 * failed. One no, and nothing is signed. */
#include <errno.h>
#include <string.h>

#include "call.h"
#include "op.h"
#include "register.h"
#include "task.h"

#define AGAIN_S 30

/* enum: places in the batch */
#define ASK_CHAIN      0
#define ASK_SETTLEMENT 1
#define ASK_REGISTRY   2
#define ASK_TOKEN      3
#define ASK_SEPARATOR  4
#define ASK_DECIMALS   5
#define ASK_FIXED      6 /* up to here nothing ever changes */
#define ASK_ADDRESS    6
#define ASK_IS_AS      7
#define ASK_EXT	       8
#define ASK_ORACLE     9
#define ASK_BOND       10

static void code_add(struct rpc_batch *b, const uint8_t address[20])
{
	char hex[43];

	hex_format(address, 20, hex);
	(void)rpc_add(b, "eth_getCode", "[\"%s\",\"latest\"]", hex); /* the error sticks */
}

/* A guard said no: this endpoint may not be used until it is asked again. */
static void refuse(struct settle *s, const char *why)
{
	char text[RPC_TEXT];

	(void)snprintf(text, sizeof(text), "%.60s: %.90s", s->rpc.endpoints[s->at].shown, why);
	rpc_failed(&s->rpc, (unsigned)s->at, AGAIN_S, why);
	s->last = s->at;
	s->at = -1;
	settle_set_state(s, CHAIN_REFUSED, "%s", text);
	settle_rest(s);
}

static int has_code(const struct rpc_call *c)
{
	return rpc_bytes(c) > 0;
}

/* The node could not ask the contract: that does not mean that the contract has no such function. */
static int is_unclear(const struct rpc_call *c)
{
	return c->is_error && !call_reverted(c);
}

/* Can the contracts do what ours can, or only what every such contract can? */
static int knows_ours(const struct rpc_call *c)
{
	struct abi_value v[3];

	return !call_words(&c[ASK_IS_AS], "(bool)", v, 1) &&
	       !call_words(&c[ASK_EXT], SETTLEMENT_EXT, v, 3);
}

/* Does the registry know this DID under our address? 1 yes, 0 not at all, -EPROTO not readable, -EEXIST under another. */
static int registered(const struct rpc_call *c, const uint8_t address[20])
{
	const struct rpc_call *get = &c[ASK_ADDRESS];
	static const uint8_t none[20];
	struct abi_value v;

	if (is_unclear(&c[ASK_IS_AS]) || is_unclear(&c[ASK_EXT]))
		return -EPROTO;
	if (call_words(&c[ASK_IS_AS], "(bool)", &v, 1) == 0)
		return !u256_is_zero(&v.word);
	if (get->is_error || call_words(get, "(address)", &v, 1))
		return -EPROTO;
	if (!memcmp(v.word.b + 12, none, 20))
		return 0;
	return memcmp(v.word.b + 12, address, 20) ? -EEXIST : 1;
}

/* What does not change, held against the configuration. NULL, or why not. */
static const char *judge_fixed(const struct settle *s, const struct rpc_call *c,
			       char text[RPC_TEXT])
{
	struct abi_value v;
	uint64_t id = 0, decimals = 0;

	if (rpc_u64(&c[ASK_CHAIN], &id) || id != s->conf->chain_id) {
		(void)snprintf(text, RPC_TEXT, "it is chain %llu, chain.chain_id is %llu",
			       (unsigned long long)id, (unsigned long long)s->conf->chain_id);
		return text;
	}
	if (!has_code(&c[ASK_SETTLEMENT]))
		return "there is no contract at chain.settlement_contract";
	if (!has_code(&c[ASK_REGISTRY]))
		return "there is no contract at chain.registry_contract";
	if (!has_code(&c[ASK_TOKEN]))
		return "there is no contract at chain.token_address";
	if (call_words(&c[ASK_SEPARATOR], "(bytes32)", &v, 1) ||
	    memcmp(v.word.b, s->separator, 32) != 0)
		return "the settlement contract has another DOMAIN_SEPARATOR";
	if (call_words(&c[ASK_DECIMALS], "(uint8)", &v, 1) || u256_to_u64(&v.word, &decimals) ||
	    decimals != s->conf->token_decimals)
		return "the token has other decimals than chain.token_decimals";
	return NULL;
}

static const char *judge(struct settle *s, char text[RPC_TEXT])
{
	const struct rpc_call *c = s->batch.calls;
	const char *why = judge_fixed(s, c, text);
	int rc;

	if (why)
		return why;
	if (s->has_bond && !has_code(&c[ASK_BOND]))
		return "there is no contract at chain.bond_contract";
	rc = registered(c, s->address);
	if (rc == -EEXIST)
		return "the registry has another address for this agent's DID";
	if (rc < 0)
		return "the registry does not answer as it should";
	s->is_registered = rc == 1;
	s->is_compat = !knows_ours(c);
	s->has_oracle = has_code(&c[ASK_ORACLE]);
	return NULL;
}

/* The other endpoint: one of another chain is left out; one that has other contracts at the same addresses may be the one that is
 * right. 0, or -EPERM: nothing more in this turn. */
static int judge_second(struct settle *s)
{
	struct rpc_endpoint *e = s->twin >= 0 ? &s->rpc.endpoints[s->twin] : NULL;
	char text[RPC_TEXT], shown[SETTLE_WHY];
	const char *why;

	if (!e || !s->second.n)
		return 0;
	why = judge_fixed(s, s->second.calls, text);
	if (why) {
		(void)snprintf(shown, sizeof(shown), "%.60s is not asked: %.150s", e->shown, why);
		s->host->health(s->ctx, "chain-second", LNX_HEALTH_DEGRADED, shown);
		rpc_failed(&s->rpc, (unsigned)s->twin, AGAIN_S, why);
		rpc_reset(&s->second);
		return 0;
	}
	if (is_unclear(&s->second.calls[ASK_IS_AS]) || is_unclear(&s->second.calls[ASK_EXT])) {
		/* it does not say what the contracts can do: as if it were silent */
		s->host->health(s->ctx, "chain-second", LNX_HEALTH_DEGRADED,
				"only one endpoint answers: its word stands alone");
		rpc_failed(&s->rpc, (unsigned)s->twin, 0, "it could not ask the contracts");
		rpc_reset(&s->second);
		return 0;
	}
	why = settle_compare(s, ASK_FIXED);
	if (!why && knows_ours(s->batch.calls) != knows_ours(s->second.calls))
		why = s->differs = "what the contracts can do";
	if (why) {
		settle_set_state(s, CHAIN_REFUSED, "two endpoints do not agree on %s", why);
		settle_rest(s);
		return -EPERM;
	}
	e->is_guarded = 1;
	return 0;
}

static void judged(struct settle *s)
{
	struct rpc_endpoint *e = &s->rpc.endpoints[s->at];
	void (*then)(struct settle * s) = s->after_guard;
	char text[RPC_TEXT];
	const char *why = judge(s, text);

	if (why) {
		refuse(s, why);
		return;
	}
	if (judge_second(s) < 0)
		return;
	e->is_guarded = 1;
	if (s->state == CHAIN_REFUSED)
		s->state = CHAIN_CONNECTING;
	settle_set_state(s, CHAIN_READY, "%s",
			 s->is_compat ? "the contracts have the compatible functions only" : "");
	s->host->log(s->ctx, LNX_INFO, "using %s", e->shown);
	if (!s->is_registered && s->conf->auto_register)
		register_queue(s);
	s->host->health(
		s->ctx, "chain-identity",
		s->is_registered || s->conf->auto_register ? LNX_HEALTH_OK : LNX_HEALTH_DEGRADED,
		s->is_registered || s->conf->auto_register
			? ""
			: "this agent is not registered and cannot be paid: chain.auto_register is off");
	rpc_reset(&s->batch);
	then(s);
}

void guard_begin(struct settle *s, void (*then)(struct settle *s))
{
	struct rpc_batch *b = &s->batch;
	static const uint8_t zero[32], oracle[20] = DATA_FEE_ORACLE;
	struct abi_value did[2];

	s->after_guard = then;
	rpc_reset(b);
	abi_set_word(&did[0], s->did32);
	abi_set_address(&did[1], s->address);
	(void)rpc_add(b, "eth_chainId", "[]"); /* the error sticks, here and below */
	code_add(b, s->settlement);
	code_add(b, s->registry);
	code_add(b, s->token);
	(void)call_add(b, s->settlement, SETTLEMENT_SEPARATOR, NULL, 0);
	(void)call_add(b, s->token, TOKEN_DECIMALS, NULL, 0);
	(void)call_add(b, s->registry, REGISTRY_GET_ADDRESS, did, 1);
	(void)call_add(b, s->registry, REGISTRY_IS_REGISTERED_AS, did, 2);
	abi_set_word(&did[0], zero);
	(void)call_add(b, s->settlement, SETTLEMENT_GET_EXT, did, 1);
	code_add(b, oracle);
	if (s->has_bond)
		code_add(b, s->bond);
	settle_ask_twin(s, ASK_EXT + 1, judged);
}
