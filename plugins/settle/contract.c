/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Reverts in words. */
#include "contract.h"

#include <linnix/buf.h>
#include <stdio.h>
#include <string.h>

#include "abi.h"

static const char *const errors[] = {
	"Error(string)",
	"Panic(uint256)",
	/* AgentRegistry */
	"AlreadyRegistered(bytes32)",
	"AddressInUse(address)",
	"NotRegistered(bytes32)",
	"NotAgent(bytes32,address)",
	"AgentIsRevoked(bytes32)",
	"BadSignature()",
	"Expired(uint256)",
	"ZeroValue()",
	"NotReporter(address)",
	/* TaskSettlement */
	"TaskExists(bytes32)",
	"WrongStatus(bytes32,uint8)",
	"PayeeNotRegistered(bytes32)",
	"PayeeMismatch(address,address)",
	"AmountTooHigh(uint256,uint256)",
	"BadDeadline()",
	"DeadlinePassed(uint256)",
	"DeadlineNotReached(uint256)",
	"NotPayer(address)",
	"NotPayee(address)",
	"NotArbiter(address)",
	"FeeOnTransferToken()",
	"PayerIsPayee()",
	"NoArbiter(bytes32)",
	"SlashNotAllowed(bytes32)",
	"NotAToken(address)",
	"OutOfGas()",
	/* StakeBond */
	"NotSlasher(address)",
	"NotBondOwner(address)",
	"Locked(uint256)",
	"InsufficientBond(uint256,uint256)",
	"SlasherAlreadySet(address)",
	"UnbondTooShort(uint256,uint256)",
	/* OpenZeppelin */
	"SafeERC20FailedOperation(address)",
	"ERC20InsufficientBalance(address,uint256,uint256)",
	"ERC20InsufficientAllowance(address,uint256,uint256)",
	"ReentrancyGuardReentrantCall()",
	"OwnableUnauthorizedAccount(address)",
};

/* One value: small numbers in decimal, else hex; strings with what is not printable as '?'. */
static void put_value(struct lnx_buf *out, const struct abi_value *v)
{
	char hex[U256_HEX];
	uint64_t small;

	if (v->bytes) {
		for (size_t i = 0; i < v->n; i++)
			lnx_buf_char(out,
				     (char)(v->bytes[i] >= 0x20 && v->bytes[i] < 0x7f ? v->bytes[i]
										      : '?'));
	} else if (u256_to_u64(&v->word, &small) == 0) {
		lnx_buf_u64(out, small);
	} else {
		u256_format_hex(&v->word, hex);
		lnx_buf_str(out, hex);
	}
}

static int say_known(struct lnx_buf *out, const char *signature, const uint8_t *data, size_t n)
{
	struct abi_value values[ABI_MAX];
	uint8_t selector[ABI_SELECTOR];
	size_t name = strcspn(signature, "(");
	unsigned n_values = 0;

	if (abi_selector(signature, selector) || memcmp(selector, data, ABI_SELECTOR) != 0)
		return 0;
	if (abi_decode(signature, data + ABI_SELECTOR, n - ABI_SELECTOR, values, ABI_MAX))
		return 0;
	if (signature[name + 1] != ')')
		for (const char *p = signature + name; p; p = strchr(p + 1, ','))
			n_values++;
	lnx_buf_add(out, signature, name + 1);
	for (unsigned i = 0; i < n_values; i++) {
		if (i)
			lnx_buf_str(out, ", ");
		put_value(out, &values[i]);
	}
	lnx_buf_char(out, ')');
	return 1;
}

void contract_error(const uint8_t *data, size_t n, char *ret, size_t cap)
{
	struct lnx_buf text = { .max = 1u << 16 };
	char hex[2 * ABI_SELECTOR + 3];
	int is_known = 0;

	for (size_t i = 0; n >= ABI_SELECTOR && !is_known && i < sizeof(errors) / sizeof(errors[0]);
	     i++)
		is_known = say_known(&text, errors[i], data, n);
	if (is_known && !lnx_buf_error(&text)) {
		(void)snprintf(ret, cap, "%s", text.data); /* cut is fine: for people */
	} else if (n >= ABI_SELECTOR) {
		hex_format(data, ABI_SELECTOR, hex);
		(void)snprintf(ret, cap, "unknown error %s", hex); /* likewise */
	} else {
		(void)snprintf(ret, cap, "reverted without a reason"); /* likewise */
	}
	lnx_buf_done(&text);
}
