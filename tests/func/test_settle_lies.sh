#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: it looks only at its own
#
# Two endpoints, of which one lies: it hides a receipt, says that a task is paid, tells of other contracts and other blocks. What it
# hides is seen, what it makes up is not believed, and nothing is paid on its word.
# TIMEOUT: 300
# Without arguments the contracts are deployed as they are by default.
# shellcheck disable=SC2119
# shellcheck source=tests/func/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/func/lib_chain.sh
. tests/func/lib_chain.sh
# shellcheck source=tests/func/lib_settle.sh
. tests/func/lib_settle.sh

get_task=0x15a29035
status_is() { printf 'eth_call:%s word 5 %d' "$get_task" "$1"; }

# health NAME TEXT: what the agent says of its health.
health() { curl -sS -m 10 --unix-socket "$tmp/$1/sock" http://localhost/status 2>&1 | grep -qF -e "$2"; }

a_liar_hides_no_receipt_and_makes_up_no_payment()
{
	local id before nonce
	need_root
	settle_chain
	settle_proxy payer
	settle_urls="$settle_urls, $settle_rpc"
	settle_agent payer
	settle_proxy payee
	settle_urls="$settle_urls, $settle_rpc"
	settle_agent payee
	fund payer 100000000
	what_hides_only_logs_delays_nothing
	before=$(balance payee)
	id=$(new_task l2 2) || exit 1
	# the payer's liar: there is no receipt; the payee's: you are paid
	lies payer 'eth_getLogs result []' "$(status_is 1)"
	lies payee "$(status_is 3)"
	nonce=$(nonce_of payer)
	cli payee task run "$id" --wait 1s -- true >"$tmp/run" 2>&1
	poll 30 phase_is payer "$id" verified || fail "hidden: $(task_of payer "$id")"
	poll 20 health payer 'two endpoints do not agree' || fail "not told: $(tail -3 "$tmp/payer/log")"
	poll 20 health payee 'two endpoints do not agree' || fail "not told: $(tail -3 "$tmp/payee/log")"
	[ "$(balance payee)" = "$before" ] || fail "paid on the word of one"
	[ "$(nonce_of payer)" = "$nonce" ] || fail "something was sent on the word of one"
	! grep -qE 'task .*: settled' <(grep -F "${id:0:18}" "$tmp/payee/log") || fail "believed: $(task_of payee "$id")"
	chain_status_is payee "$id" submitted || fail "believed: $(task_of payee "$id")"
	lies payer
	lies payee
	poll 30 phase_is payer "$id" settled || fail "$(task_of payer "$id")"
	poll 30 phase_is payee "$id" settled || fail "$(task_of payee "$id")"
	[ "$(($(balance payee) - before))" = 2000000 ] || fail "the payee has $(balance payee), before $before"
	[ "$(nonce_of payer)" = "$((nonce + 1))" ] || fail "$(($(nonce_of payer) - nonce)) transactions"
	other_blocks_confirm_nothing
	other_code_stops_signing
}

what_hides_only_logs_delays_nothing()
{
	local id before
	before=$(balance payee)
	lies payer 'eth_getLogs result []'
	lies payee 'eth_getLogs result []'
	id=$(new_task l1 1) || exit 1
	cli payee task run "$id" -- true >"$tmp/run" 2>&1 || fail "run: $(cat "$tmp/run") $(tail -3 "$tmp/payee/log")"
	poll 30 phase_is payer "$id" settled || fail "hidden: $(task_of payer "$id")"
	[ "$(($(balance payee) - before))" = 1000000 ] || fail "the payee has $(balance payee), before $before"
}

create_state() { api payer "/tasks/$1" | jq -e --arg s "$2" 'any(.operations[]; .kind == "create" and .state == $s)' >/dev/null; }

other_blocks_confirm_nothing()
{
	local nonce
	nonce=$(nonce_of payer)
	lies payer "eth_getBlockByNumber field hash 0x$(printf '%064x' 7)"
	cli payer task create --name l3 --payee "$(did_of payee)" --payee-address "$(address_of payee)" --amount 3 >"$tmp/out" 2>&1 ||
		fail "$(cat "$tmp/out")"
	poll 20 has_sent "$((nonce + 1))" || fail "$(task_of payer l3)"
	poll 20 health payer 'two endpoints do not agree on eth_getBlockByNumber' || fail "not told: $(tail -3 "$tmp/payer/log")"
	! api payer /tasks/l3 | jq -e 'any(.operations[]; .state == "confirmed")' >/dev/null || fail "confirmed: $(task_of payer l3)"
	lies payer
	poll 30 create_state l3 confirmed || fail "$(task_of payer l3)"
	[ "$(nonce_of payer)" = "$((nonce + 2))" ] || fail "$(($(nonce_of payer) - nonce)) transactions"
}

has_sent() { [ "$(nonce_of payer)" -ge "$1" ]; }

other_code_stops_signing()
{
	local nonce
	nonce=$(nonce_of payer)
	lies payer 'eth_getCode result "0x6001"'
	settle_kill payer
	settle_spawn payer
	poll 20 health payer 'two endpoints do not agree on eth_getCode' || fail "$(tail -5 "$tmp/payer/log")"
	! cli payer task create --name l4 --payee "$(did_of payee)" --payee-address "$(address_of payee)" --amount 3 >"$tmp/out" 2>&1 ||
		fail "accepted while refused"
	[ "$(nonce_of payer)" = "$nonce" ] || fail "signed"
}

# oracle WEI: the chain takes that for the data of any transaction from here on.
oracle()
{
	rpc "$settle_rpc" anvil_setCode "[\"0x420000000000000000000000000000000000000F\",\"0x7f$(printf '%064x' "$1")60005260206000f3\"]" >/dev/null || true
}

what_its_data_cost_is_under_the_cap()
{
	local nonce
	need_root
	settle_chain
	settle_agent payee
	oracle 20000000000000000
	settle_agent payer 'auto_register: false' 'max_tx_cost_gwei: 20000000'
	fund payer 100000000
	nonce=$(nonce_of payer)
	# the cap is 0.02: gas adds to it, and nothing is sent
	cli payer task create --name d1 --payee "$(did_of payee)" --payee-address "$(address_of payee)" --amount 1 >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	poll 20 waits_for d1 'data 20000000 gwei besides: over .*chain.max_tx_cost_gwei' || fail "$(task_of payer d1)"
	[ "$(nonce_of payer)" = "$nonce" ] || fail "sent over the cap"
	oracle 1000000000000
	poll 30 phase_is payer d1 open || fail "$(task_of payer d1)"
	cli payer task create --name d2 --payee "$(did_of payee)" --payee-address "$(address_of payee)" --amount 1 --dry-run >"$tmp/out" || fail "$(cat "$tmp/out")"
	settle_kill payer
	# the coin of the address is less than data and gas together
	settle_conf payer 'auto_register: false' 'max_tx_cost_gwei: 9000000000000000'
	rpc "$settle_rpc" anvil_setBalance "[\"${settle_addresses[payer]}\",\"0xde0b6b3a7640000\"]" >/dev/null || true
	oracle 1000000000000000000
	settle_spawn payer
	poll 20 answers_tasks payer || fail "no API"
	cli payer task create --name d3 --payee "$(did_of payee)" --payee-address "$(address_of payee)" --amount 1 >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	poll 20 waits_for d3 'too little of the chain' || fail "$(task_of payer d3)"
	oracle 1
	poll 30 phase_is payer d3 open || fail "$(task_of payer d3)"
}

answers_tasks() { api "$1" /tasks >/dev/null; }
waits_for() { api payer "/tasks/$1" | jq -e --arg w "$2" 'any(.operations[]; .state == "queued" and (.error | test($w)))' >/dev/null; }

[ $# -gt 0 ] || set -- what_its_data_cost_is_under_the_cap a_liar_hides_no_receipt_and_makes_up_no_payment
run "$@"
