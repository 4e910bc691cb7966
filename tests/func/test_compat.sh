#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: it looks only at its own
#
# Contracts that are not ours, with the compatible functions only: from the probe to the payment, and what is not to be had there.
# The node is started as it is by default.
# shellcheck disable=SC2119
# shellcheck source=tests/func/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/func/lib_chain.sh
. tests/func/lib_chain.sh
# shellcheck source=tests/func/lib_settle.sh
. tests/func/lib_settle.sh

compatible_chain()
{
	need_root
	need jq
	start_anvil
	chain_tool node_modules >/dev/null || exit $?
	deployed=$tmp/deployed.json
	node tests/func/settle_compat.js "$rpc_url" "$deployed" >"$tmp/deploy.log" 2>&1 || fail "deploy: $(cat "$tmp/deploy.log")"
	settle_rpc=$rpc_url
	settlement=$(jq -r .settlement_contract "$deployed")
	token=$(jq -r .token_address "$deployed")
}

# not_there NAME COMMAND...: refused with a reason, and nothing is sent.
not_there()
{
	local text=$1
	shift
	! "$@" >"$tmp/out" 2>&1 || fail "$*: $(cat "$tmp/out")"
	grep -qF "$text" "$tmp/out" || fail "$*: no '$text' in: $(cat "$tmp/out")"
	[ "$(nonce_of payer)" = "$nonce" ] || fail "$*: something was sent"
}

the_compatible_functions_pay()
{
	local id nonce before word
	compatible_chain
	settle_agent payer 'mode: allowance'
	settle_agent payee
	grep -q 'the contracts have the compatible functions only' "$tmp/payer/log" || fail "not probed: $(grep settle "$tmp/payer/log" | tail -3)"
	fund payer 100000000
	before=$(balance payee)
	nonce=$(nonce_of payer)
	not_there "no escrow" cli payer task create --name e --payee "$(did_of payee)" --payee-address "$(address_of payee)" --amount 5 --mode escrow
	not_there "this registry has no proofs" cli payer task create --name n --payee "$(did_of payee)" --amount 5
	not_there "not registered under that address" cli payer task create --name o --payee "$(did_of payee)" --payee-address "$(address_of payer)" --amount 5
	cli payer task create --name c1 --payee "$(did_of payee)" --payee-address "$(address_of payee)" --amount 5 --wait $((40 * patience))s --json >"$tmp/new" 2>&1 ||
		fail "create: $(cat "$tmp/new") $(tail -3 "$tmp/payer/log")"
	id=$(jq -r .task_id "$tmp/new")
	[ "$(balance payer)" = 100000000 ] || fail "something was taken: $(balance payer)"
	nonce=$(nonce_of payer)
	for word in dispute expire settle withdraw claim; do
		not_there "the compatible functions only" cli payer task "$word" "$id"
	done
	cli payee task run "$id" -- sh -c 'for i in 1 2 3; do /bin/true; done' >"$tmp/run" 2>&1 || fail "run: $(cat "$tmp/run") $(tail -5 "$tmp/payee/log")"
	poll 30 phase_is payer "$id" settled || fail "not settled: $(task_of payer "$id")"
	poll 30 phase_is payee "$id" settled || fail "not settled: $(task_of payee "$id")"
	[ "$(($(balance payee) - before))" = 5000000 ] || fail "the payee has $(balance payee)"
	[ "$(balance payer)" = 95000000 ] || fail "the payer has $(balance payer)"
	[ "$(nonce_of payer)" = "$nonce" ] || fail "the payer sent something more"
}

run the_compatible_functions_pay
