/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Section `chain` of the configuration, and what has to be said before anything starts. */
#include "options.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "eip712.h"
#include "receipt.h"

static const char *const modes[] = { "escrow", "allowance", NULL };
static const char *const prices[] = { "fixed", "cpu", NULL };

#define CONFIRMATIONS_MAX 1000

#define OFF(m) offsetof(struct settle_conf, m)
#define STR(key, m, def, help)                                        \
	{                                                             \
		key, LNX_OPT_STR, OFF(m), def, 0, 0, NULL, 0, 0, help \
	}
#define PATH(key, m, def, help)                                        \
	{                                                              \
		key, LNX_OPT_PATH, OFF(m), def, 0, 0, NULL, 0, 0, help \
	}
#define BOOL(key, m, def, help)                                        \
	{                                                              \
		key, LNX_OPT_BOOL, OFF(m), def, 0, 0, NULL, 0, 0, help \
	}
#define NUM(key, m, def, min, max, help)                                  \
	{                                                                 \
		key, LNX_OPT_U64, OFF(m), def, min, max, NULL, 0, 0, help \
	}
#define TIME(key, m, def, min, max, help)                                      \
	{                                                                      \
		key, LNX_OPT_DURATION, OFF(m), def, min, max, NULL, 0, 0, help \
	}

const struct lnx_option settle_options[] = {
	{ "rpc_url", LNX_OPT_LIST, OFF(rpc_url), "", 0, 0, NULL, LNX_OPTF_SECRET, 0,
	  "Nodes of the chain, the first is used while it answers; with two or more, two are asked, and signed bytes go to both." },
	NUM("chain_id", chain_id, "84532", 1, 9007199254740991,
	    "Number of the chain; an endpoint that answers with another one is refused."),
	STR("settlement_contract", settlement_contract, "", "Address of TaskSettlement."),
	STR("registry_contract", registry_contract, "", "Address of AgentRegistry."),
	STR("bond_contract", bond_contract, "", "Address of StakeBond; empty: not used."),
	STR("token_address", token_address, "", "Address of the ERC-20 token that pays."),
	{ "token_decimals", LNX_OPT_U32, OFF(token_decimals), "6", 0, 36, NULL, 0, 0,
	  "Decimals of the token; another answer of the token is refused." },
	{ "private_key", LNX_OPT_STR, OFF(private_key), "", 0, 0, NULL,
	  LNX_OPTF_SECRET | LNX_OPTF_ONCE, 0,
	  "Key that signs, 64 hex digits; empty: private_key_file, else made from the identity. Here the file wins over the environment." },
	PATH("private_key_file", private_key_file, "", "File with that key, mode 0600."),
	PATH("identity_path", identity_path, "/var/lib/linnix/identity.json",
	     "The agent's identity: see linnix identity."),
	STR("confirmations", confirmations, "1",
	    "When a transaction counts as done: blocks, its own included (1 to 1000), or safe or finalized, as the node tells it."),
	BOOL("auto_register", auto_register, "true",
	     "Register this agent's DID under the address that signs when it is not."),
	PATH("state_path", state_path, "/var/lib/linnix/settle.db",
	     "File of operations, tasks and receipts; when it is damaged, nothing is signed."),
	PATH("lock_dir", lock_dir, "/run/linnix",
	     "Folder of the lock that keeps a second agent from signing with the same key."),
	PATH("events_dir", events_dir, "/var/lib/linnix/settle-events",
	     "Folder of the events that receipts were made over; old ones are yours to remove."),
	{ "events_max", LNX_OPT_SIZE, OFF(events_max), "1GiB", 65536, 1099511627776.0, NULL, 0, 0,
	  "Largest file of the events of one task; over it the receipt has all of them, and none can be opened for an audit." },
	PATH("ca_file", ca_file, "",
	     "Authorities to trust for https, in PEM; empty: the system's."),
	STR("public_url", public_url, "",
	    "URL under which others reach this agent, for its agent card."),
	BOOL("allow_insecure_rpc", allow_insecure_rpc, "false",
	     "Allow http:// to nodes on other machines."),
	BOOL("dry_run", dry_run, "false", "Build and simulate every operation, send none."),
	BOOL("auto_settle", auto_settle, "true", "Payer: pay as soon as a receipt is verified."),
	BOOL("auto_dispute", auto_dispute, "true",
	     "Payer: dispute a receipt that is not as it should be."),
	{ "mode", LNX_OPT_ENUM, OFF(mode), "escrow", 0, 0, modes, 0, 0,
	  "How tasks are paid: escrow holds the amount until the receipt; allowance leaves it with the payer, who can take it back." },
	{ "price.model", LNX_OPT_ENUM, OFF(price_model), "fixed", 0, 0, prices, 0, 0,
	  "What is asked for a task: fixed, all of its amount; cpu, price.unit for each CPU second, at most its amount." },
	STR("price.unit", price_unit, "0", "Price of a CPU second in the token: 0.0001."),
	TIME("poll_interval", poll_ns, "2s", 50e6, 600e9,
	     "How often the chain is looked at while something is open; ten times as long when nothing is."),
	TIME("rpc_timeout", rpc_timeout_ns, "15s", 100e6, 120e9, "Time for one answer of a node."),
	TIME("bump_after", bump_ns, "30s", 200e6, 3600e9,
	     "A transaction that was not mined for so long is sent with a higher fee and the same nonce."),
	TIME("resend_after", resend_ns, "10s", 200e6, 3600e9,
	     "The same bytes are sent again after that, as long as they are not mined."),
	NUM("max_fee_gwei", max_fee_gwei, "200", 1, 1000000,
	    "Most that a unit of gas may cost; at it, nothing is sent and an alert is shown."),
	NUM("min_tip_gwei", min_tip_gwei, "0", 0, 1000000, "Least tip for a unit of gas."),
	NUM("max_tx_cost_gwei", max_tx_cost_gwei, "20000000", 1, 9e15,
	    "Most that one transaction may cost in all, in gwei (20000000: 0.02 of the coin)."),
	NUM("reorg_depth", reorg_depth, "32", 1, 10000,
	    "Blocks for which a confirmed transaction is still watched."),
	NUM("deadline_margin", deadline_margin, "2", 0, 10000,
	    "Blocks before a deadline in which nothing is begun any more."),
	NUM("registry_block", registry_block, "0", 0, 9007199254740991,
	    "Block in which the registry was deployed; of a node that does not give all logs at once they are read from there."),
	NUM("log_range", log_range, "2000", 1, 100000, "Blocks of logs in one question."),
	NUM("limits.task_cents", task_cents, "5000", 0, 1e12,
	    "Payer: most for one task, in hundredths of the token; 0: no limit, here and below."),
	NUM("limits.hourly_cents", hourly_cents, "0", 0, 1e12, "Payer: most in an hour."),
	NUM("limits.daily_cents", daily_cents, "50000", 0, 1e12, "Payer: most in a day."),
	NUM("limits.monthly_cents", monthly_cents, "500000", 0, 1e12, "Payer: most in 30 days."),
	NUM("limits.counterparty_cents", counterparty_cents, "0", 0, 1e12,
	    "Payer: most to one payee in 30 days."),
	{ .key = NULL },
};

/* What is not there has no place: it is missing where the section is enabled. */
static int is_missing(const char *key, const char **ret_key, char why[SETTLE_WHY])
{
	*ret_key = "enabled";
	(void)snprintf(why, SETTLE_WHY, "chain.%s must be set when chain.enabled=true",
		       key); /* fits */
	return -EINVAL;
}

static int read_address(const char *key, const char *text, uint8_t ret[20], const char **ret_key,
			char why[SETTLE_WHY])
{
	if (!*text)
		return is_missing(key, ret_key, why);
	*ret_key = key;
	if (!address_parse(text, ret))
		return 0;
	(void)snprintf(
		why, SETTLE_WHY,
		"not an address: 0x and 40 hex digits, with a right checksum if in both cases"); /* fits */
	return -EINVAL;
}

/* A number, or the node's own word for a block that stays. */
static int read_confirmations(struct settle *s, const char **ret_key, char why[SETTLE_WHY])
{
	static const char *const tags[] = { "safe", "finalized" };
	const char *text = s->conf->confirmations;
	size_t n = strspn(text, "0123456789");
	unsigned long blocks = n && n < 5 && !text[n] ? strtoul(text, NULL, 10) : 0;

	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
		if (!strcmp(text, tags[i])) {
			s->deep_tag = tags[i];
			return 0;
		}
	s->confirmations = (uint32_t)blocks;
	if (blocks >= 1 && blocks <= CONFIRMATIONS_MAX)
		return 0;
	*ret_key = "confirmations";
	(void)snprintf(why, SETTLE_WHY, "'%.40s': a number from 1 to %d, or safe, or finalized",
		       text, CONFIRMATIONS_MAX); /* fits */
	return -EINVAL;
}

/* The contracts, which are not each other. */
static int read_contracts(struct settle *s, const char **ret_key, char why[SETTLE_WHY])
{
	const struct settle_conf *c = s->conf;
	const struct {
		const char *key, *text;
		uint8_t *ret;
	} all[] = {
		{ "settlement_contract", c->settlement_contract, s->settlement },
		{ "registry_contract", c->registry_contract, s->registry },
		{ "token_address", c->token_address, s->token },
		{ "bond_contract", c->bond_contract, s->bond },
	};
	int rc = 0;

	s->has_bond = *c->bond_contract != 0;
	for (size_t i = 0; !rc && i < 3 + s->has_bond; i++) {
		rc = read_address(all[i].key, all[i].text, all[i].ret, ret_key, why);
		for (size_t k = 0; !rc && k < i; k++)
			if (!memcmp(all[k].ret, all[i].ret, 20)) {
				*ret_key = all[i].key;
				(void)snprintf(why, SETTLE_WHY, "it is that of chain.%s, too",
					       all[k].key); /* fits */
				rc = -EINVAL;
			}
	}
	return rc;
}

/* What is asked for a CPU second. */
static int read_price(struct settle *s, const char **ret_key, char why[SETTLE_WHY])
{
	const struct settle_conf *c = s->conf;

	*ret_key = "price.unit";
	if (u256_parse_units(c->price_unit, c->token_decimals, &s->price_unit)) {
		(void)snprintf(
			why, SETTLE_WHY,
			"not an amount of the token: digits, and at most %u behind the point",
			c->token_decimals); /* fits */
		return -EINVAL;
	}
	if (c->price_model == PRICE_CPU && u256_is_zero(&s->price_unit)) {
		*ret_key = "price.model";
		(void)snprintf(why, SETTLE_WHY,
			       "cpu, and chain.price.unit is 0: nothing would be paid"); /* fits */
		return -EINVAL;
	}
	return 0;
}

/* Two that are one would confirm whatever it says. */
static int read_urls(struct settle *s, const char **ret_key, char why[SETTLE_WHY])
{
	const struct settle_conf *c = s->conf;
	char text[RPC_TEXT];
	int rc = 0;

	if (!c->rpc_url[0])
		return is_missing("rpc_url", ret_key, why);
	*ret_key = "rpc_url";
	for (unsigned i = 0; !rc && c->rpc_url[i]; i++) {
		rc = rpc_endpoint(&s->rpc, c->rpc_url[i], text);
		for (unsigned k = 0; !rc && k < i; k++)
			if (!strcmp(c->rpc_url[k], c->rpc_url[i])) {
				(void)snprintf(
					text, sizeof(text),
					"%u and %u are the same: the second is to check the first",
					k + 1, i + 1); /* fits */
				rc = -EINVAL;
			}
		if (rc)
			(void)snprintf(why, SETTLE_WHY, "%s", text); /* fits */
	}
	return rc;
}

/* Where others reach us, for the agent card. */
static int read_public_url(const struct settle *s, const char **ret_key, char why[SETTLE_WHY])
{
	const char *url = s->conf->public_url;

	if (!*url || ((!strncmp(url, "https://", 8) || !strncmp(url, "http://", 7)) &&
		      !url[strcspn(url, " \"\t")]))
		return 0;
	*ret_key = "public_url";
	(void)snprintf(why, SETTLE_WHY, "not an http:// or https:// URL"); /* fits */
	return -EINVAL;
}

int options_check(struct settle *s, const char **ret_key, char why[SETTLE_WHY])
{
	const struct settle_conf *c = s->conf;
	struct eip712_domain domain = { .name = CONTRACT_NAME,
					.version = CONTRACT_VERSION,
					.chain_id = c->chain_id };
	int rc = read_contracts(s, ret_key, why);

	if (!rc)
		rc = read_confirmations(s, ret_key, why);
	if (!rc)
		rc = read_price(s, ret_key, why);
	if (!rc)
		rc = read_public_url(s, ret_key, why);
	memcpy(domain.contract, s->settlement, 20);
	eip712_separator(&domain, s->separator);
	s->rpc.allow_insecure = c->allow_insecure_rpc;
	s->rpc.timeout_ns = c->rpc_timeout_ns;
	s->rpc.ca_file = c->ca_file;
	return rc ? rc : read_urls(s, ret_key, why);
}

void options_conf_check(const void *conf, void (*say)(void *arg, const char *key, const char *text),
			void *arg)
{
	struct settle *s = calloc(1, sizeof(*s));
	char why[SETTLE_WHY] = "";
	const char *key = NULL;

	if (!s)
		return; /* init says so */
	s->conf = conf;
	if (options_check(s, &key, why) && *why)
		say(arg, key, why);
	rpc_done(&s->rpc);
	free(s);
}
