/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What of the section `chain` is refused before anything starts, and under which key. */
#include "test_look.h"

#include "options.h"
#include "receipt.h"

#define HEX(digit) "0x000000000000000000000000000000000000000" digit

static const char *const urls[] = { "http://127.0.0.1:1", "http://127.0.0.1:2", NULL };
static const struct settle_conf good = { .settlement_contract = HEX("1"),
					 .registry_contract = HEX("2"),
					 .token_address = HEX("3"),
					 .bond_contract = "",
					 .rpc_url = urls,
					 .confirmations = "1",
					 .price_unit = "0",
					 .token_decimals = 6,
					 .public_url = "" };
static char said[SETTLE_WHY];

static void say(void *arg, const char *key, const char *text)
{
	(void)arg;
	(void)snprintf(said, sizeof(said), "%s: %s", key, text); /* fits */
}

static void expect(const struct settle_conf *c, const char *want)
{
	said[0] = 0;
	options_conf_check(c, say, NULL);
	assert_string_equal(said, want);
}

static void confirmations_are_a_number_or_a_tag(void **state)
{
	static const char *const words[] = { "1", "12", "1000", "safe", "finalized" };
	static const char *const bad[] = { "",	 "0",	   "1001", "-1",	  "+1",
					   "1 ", "latest", "Safe", "99999999999", "0x2" };
	struct settle_conf c = good;
	char want[SETTLE_WHY];

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		c.confirmations = words[i];
		expect(&c, "");
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		c.confirmations = bad[i];
		(void)snprintf(
			want, sizeof(want),
			"confirmations: '%s': a number from 1 to 1000, or safe, or finalized",
			bad[i]); /* fits */
		expect(&c, want);
	}
}

static void what_has_to_be_there_is(void **state)
{
	struct settle_conf c = good;

	(void)state;
	expect(&c, "");
	c.settlement_contract = "";
	expect(&c, "enabled: chain.settlement_contract must be set when chain.enabled=true");
	c = good;
	c.registry_contract = "";
	expect(&c, "enabled: chain.registry_contract must be set when chain.enabled=true");
	c = good;
	c.token_address = "";
	expect(&c, "enabled: chain.token_address must be set when chain.enabled=true");
	c = good;
	c.rpc_url = &urls[2];
	expect(&c, "enabled: chain.rpc_url must be set when chain.enabled=true");
}

static void a_contract_is_no_other(void **state)
{
	struct settle_conf c = good;

	(void)state;
	c.registry_contract = HEX("1");
	expect(&c, "registry_contract: it is that of chain.settlement_contract, too");
	c = good;
	c.token_address = HEX("2");
	expect(&c, "token_address: it is that of chain.registry_contract, too");
	c = good;
	c.bond_contract = HEX("4");
	expect(&c, "");
	c.bond_contract = HEX("3");
	expect(&c, "bond_contract: it is that of chain.token_address, too");
}

/* One endpoint that is named twice would check itself. */
static void an_endpoint_is_named_once(void **state)
{
	static const char *const twice[] = { "http://127.0.0.1:1", "http://127.0.0.1:2",
					     "http://127.0.0.1:1", NULL };
	struct settle_conf c = good;

	(void)state;
	c.rpc_url = twice;
	expect(&c, "rpc_url: 1 and 3 are the same: the second is to check the first");
}

static void work_by_the_second_has_a_price(void **state)
{
	struct settle_conf c = good;

	(void)state;
	c.price_model = PRICE_CPU;
	expect(&c, "price.model: cpu, and chain.price.unit is 0: nothing would be paid");
	c.price_unit = "0.000001";
	expect(&c, "");
	c.price_unit = "0.0000001";
	expect(&c,
	       "price.unit: not an amount of the token: digits, and at most 6 behind the point");
}

static void the_card_has_an_address(void **state)
{
	static const char *const bad[] = { "agent.example.org", "ftp://x", "https://a b",
					   "https://a\"" };
	struct settle_conf c = good;

	(void)state;
	c.public_url = "https://agent.example.org/a2a";
	expect(&c, "");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		c.public_url = bad[i];
		expect(&c, "public_url: not an http:// or https:// URL");
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(confirmations_are_a_number_or_a_tag),
		cmocka_unit_test(what_has_to_be_there_is),
		cmocka_unit_test(a_contract_is_no_other),
		cmocka_unit_test(an_endpoint_is_named_once),
		cmocka_unit_test(work_by_the_second_has_a_price),
		cmocka_unit_test(the_card_has_an_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
