#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: it looks only at its own
#
# Two endpoints, of which one lies: it hides a receipt, says that a task is paid, tells of other contracts and other blocks. What it
# hides is seen, what it makes up is not believed, and nothing is paid on its word.
# TIMEOUT: 400
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

a_liar_hides_no_receipt_and_makes_up_no_payment()
{
	local id before nonce proxy
	need_root
	settle_chain
	settle_proxy payer
	proxy=$settle_urls
	settle_urls="$settle_urls, $settle_rpc"
	settle_agent payer
	settle_proxy payee
	settle_urls="$settle_urls, $settle_rpc"
	settle_agent payee
	fund payer 100000000
	what_hides_only_logs_delays_nothing
	before=$(balance payee)
	id=$(new_task l2 2) || exit 1
	poll 30 phase_is payee "$id" offered || fail "not seen before the lies: $(task_of payee "$id")"
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
	a_receipt_of_two_times_is_not_paid
	in_small_pieces_a_receipt_is_verified "$proxy" "$id"
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

# Nobody knows then whether the work was done within the task.
a_receipt_of_two_times_is_not_paid()
{
	local id before
	before=$(balance payee)
	id=$(new_task l5 1) || exit 1
	poll 30 phase_is payee "$id" offered || fail "$(task_of payee "$id")"
	lies payer 'eth_getBlockByNumber field timestamp 0x1'
	cli payee task run "$id" --wait 1s -- true >"$tmp/run" 2>&1
	poll 30 health payer 'two endpoints do not agree on when a receipt came' || fail "not told: $(task_of payer "$id")"
	phase_is payer "$id" submitted || fail "judged: $(task_of payer "$id")"
	[ "$(balance payee)" = "$before" ] || fail "paid: $(balance payee)"
	lies payer
	poll 30 phase_is payer "$id" settled || fail "$(task_of payer "$id")"
}

# A node that gives logs of a few blocks only, as most do of some thousands.
in_small_pieces_a_receipt_is_verified()
{
	local url=$1 id=$2 span before
	api payee "/tasks/$id/receipt" >"$tmp/receipt" || fail "no receipt"
	for span in 5000 100 3; do
		lies payer "eth_getLogs span $span"
		"$linnix" receipt verify "$tmp/receipt" --rpc "$url" --json >"$tmp/verdict" || fail "span $span: $(cat "$tmp/verdict")"
		jq -e '.verdict == "valid" and (.not_checked | length) == 0' "$tmp/verdict" >/dev/null || fail "span $span: $(cat "$tmp/verdict")"
	done
	before=$(grep -c eth_getLogs "$tmp/payer.rule.log")
	"$linnix" receipt verify "$tmp/receipt" --rpc "$url" --from-block 1000000 --json >"$tmp/verdict" && fail "found before --from-block"
	lies payer "eth_getLogs span 0"
	"$linnix" receipt verify "$tmp/receipt" --rpc "$url" --json >"$tmp/verdict"
	[ "$?" -eq 3 ] || fail "no range is taken: $(cat "$tmp/verdict")"
	jq -e '.not_checked | any(test("takes no range"))' "$tmp/verdict" >/dev/null || fail "$(cat "$tmp/verdict")"
	[ "$before" -gt 20 ] || fail "$before questions"
	what_a_node_does_not_tell_is_not_invalid "$url"
	lies payer
}

# untold URL LIE: the receipt cannot be checked then, which is neither valid nor invalid.
untold()
{
	local rc=0
	lies payer "$2"
	"$linnix" receipt verify "$tmp/receipt" --rpc "$1" --json >"$tmp/verdict" || rc=$?
	[ "$rc" -eq 3 ] || fail "$2: exit $rc: $(cat "$tmp/verdict")"
}

what_a_node_does_not_tell_is_not_invalid()
{
	local call
	for call in 'DOMAIN_SEPARATOR()' 'getTaskExt(bytes32)' 'resolveAs(bytes32,address)' 'registry()'; do
		untold "$1" "eth_call:$(selector "$call") error too many requests"
	done
	# nor is one whose contract has the others of our functions
	untold "$1" "eth_call:$(selector 'getTaskExt(bytes32)') error execution reverted"
	untold "$1" "eth_getLogs:$(selector 'ReceiptSubmitted(bytes32,address,uint256,bytes32,uint256)') result []"
	jq -e '.not_checked | any(test("when the receipt was submitted"))' "$tmp/verdict" >/dev/null || fail "$(cat "$tmp/verdict")"
}

create_state() { operation payer "$1" create ".state == \"$2\""; }

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

# make_hidden NAME AMOUNT LIE...: a task whose create is in the chain, and one of the payer's endpoints says that it is not; $id.
make_hidden()
{
	local name=$1 amount=$2
	shift 2
	allow "${amount}000000"
	lies payer 'eth_getTransactionReceipt result null' 'eth_getLogs result []' "$@"
	cli payer task create --name "$name" --payee "$(did_of payee)" --amount "$amount" --json >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	id=$(jq -r .task_id "$tmp/out")
	poll 30 phase_is payee "$id" offered || fail "$(task_of payee "$id") $(task_of payer "$id")"
	cli payee task run "$id" --wait 1s -- true >"$tmp/run" 2>&1
	poll 20 chain_status_is payee "$id" submitted || fail "$(task_of payee "$id")"
}

# The create counts as out for as long as its receipt is hidden: neither the judgement nor an objection waits for it.
a_hidden_create_delays_no_dispute()
{
	local id before nonce reason
	need_root
	settle_chain CHAIN_DISPUTE_BLOCKS=100
	settle_proxy payer
	settle_urls="$settle_urls, $settle_rpc"
	settle_agent payer
	settle_urls=$settle_rpc settle_agent payee
	fund payer 100000000
	before=$(balance payee)
	make_hidden h1 1 "$(status_is 0)"
	poll 40 phase_is payer "$id" verified || fail "$(task_of payer "$id")"
	operation payer "$id" create '.state == "sent"' || fail "$(task_of payer "$id")"
	[ "$(balance payee)" = "$before" ] || fail "paid on the word of one"
	lies payer
	poll 40 phase_is payer "$id" settled || fail "$(task_of payer "$id")"
	# two receipts are told of: none can be judged, and silence would pay
	nonce=$(nonce_of payer)
	make_hidden h2 2 "eth_call:$(selector 'getTaskExt(bytes32)') word 2 7"
	poll 40 chain_status_is payer "$id" submitted || fail "$(task_of payer "$id")"
	mine 60
	poll 60 chain_status_is payee "$id" disputed || fail "$(task_of payer "$id")"
	operation payer "$id" create '.state == "sent" and .attempts == 1' || fail "$(task_of payer "$id")"
	[ "$(nonce_of payer)" = "$((nonce + 3))" ] || fail "$(($(nonce_of payer) - nonce)) transactions" # allow, create, dispute
	reason=$(rpc "$settle_rpc" eth_call "[{\"to\":\"$settlement\",\"data\":\"$(selector 'getTaskDispute(bytes32)')${id#0x}\"},\"latest\"]" | jq -r '.[-64:]')
	[ "$reason" = "$(keccak 'its receipt could not be judged before the window ends')" ] || fail "another reason: $reason"
	[ "$(($(balance payee) - before))" = 1000000 ] || fail "the payee has $(balance payee)"
	lies payer
	poll 40 create_state "$id" confirmed || fail "$(task_of payer "$id")"
	poll 40 operation payer "$id" dispute '.state == "confirmed"' || fail "$(task_of payer "$id")"
	[ "$(nonce_of payer)" = "$((nonce + 3))" ] || fail "$(($(nonce_of payer) - nonce)) transactions"
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
	settle_proxy payer
	oracle 17000000000000000
	settle_agent payer 'auto_register: false' 'max_tx_cost_gwei: 20000000'
	fund payer 100000000
	nonce=$(nonce_of payer)
	# the cap is 0.02: its data may cost a quarter more by the time that it is in a block, and nothing is sent
	cli payer task create --name d1 --payee "$(did_of payee)" --payee-address "$(address_of payee)" --amount 1 >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	poll 20 waits_for d1 'data 17000000 gwei besides: over .*chain.max_tx_cost_gwei' || fail "$(task_of payer d1)"
	[ "$(nonce_of payer)" = "$nonce" ] || fail "sent over the cap"
	oracle 1000000000000
	poll 30 phase_is payer d1 open || fail "$(task_of payer d1)"
	cli payer task create --name d2 --payee "$(did_of payee)" --payee-address "$(address_of payee)" --amount 1 --dry-run >"$tmp/out" || fail "$(cat "$tmp/out")"
	a_window_outside_of_the_blocks_is_disputed "$(api payer /tasks/d1 | jq -r .task_id)"
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
	at_the_cap_no_fee_rises
}

# The work ended long after the block with its receipt, as far as blocks tell.
a_window_outside_of_the_blocks_is_disputed()
{
	lies payer 'eth_getBlockByNumber field timestamp 0x1'
	poll 20 phase_is payee "$1" offered || fail "$(task_of payee "$1")"
	cli payee task run "$1" --wait 1s -- true >"$tmp/run" 2>&1
	poll 30 phase_is payer "$1" disputed || fail "$(task_of payer "$1")"
	api payer "/tasks/$1" | jq -e '.reason | test("^window: it ends after the receipt was submitted")' >/dev/null || fail "$(task_of payer "$1")"
	lies payer
}

# restarted NAME [LINE...]: with another configuration.
restarted()
{
	settle_kill "$1"
	: >"$tmp/$1/log"
	settle_conf "$@"
	settle_spawn "$1"
	poll 20 answers_tasks "$1" || fail "no API: $(tail -3 "$tmp/$1/log")"
}

create()
{
	cli payer task create --name "$1" --payee "$(did_of payee)" --payee-address "$(address_of payee)" --amount 1 >"$tmp/out" 2>&1 ||
		fail "$(cat "$tmp/out")"
}

# Not mined, it gets a better price up to the cap; then somebody is told.
at_the_cap_no_fee_rises()
{
	local nonce
	nonce=$(nonce_of payer)
	rpc "$settle_rpc" evm_setAutomine '[false]' >/dev/null || true
	restarted payer 'auto_register: false' 'max_fee_gwei: 4' 'bump_after: 200ms'
	create c1
	poll 30 health payer 'its fee may not rise' || fail "$(task_of payer c1)"
	api payer /tasks/c1 | jq -e 'all(.operations[]; (.max_fee_wei // 0) <= 4000000000)' >/dev/null || fail "over the cap: $(task_of payer c1)"
	rpc "$settle_rpc" evm_setAutomine '[true]' >/dev/null || true
	mine 1
	poll 30 phase_is payer c1 open || fail "$(task_of payer c1)"
	[ "$(nonce_of payer)" = "$((nonce + 2))" ] || fail "$(($(nonce_of payer) - nonce)) transactions"
	[ "$(allowance)" = 0 ] || fail "more was allowed than was needed: $(allowance)"
	restarted payer 'auto_register: false' 'dry_run: true'
	! cli payer task create --name c2 --payee "$(did_of payee)" --payee-address "$(address_of payee)" --amount 1 --wait 20s >"$tmp/out" 2>&1 ||
		fail "created in a dry run"
	grep -q 'an allowance of exactly what is needed would be given first' "$tmp/out" || fail "$(cat "$tmp/out")"
	[ "$(nonce_of payer)" = "$((nonce + 2))" ] || fail "a dry run sent something"
}

# One endpoint, and it tells what is not in the configuration.
each_guard_says_no()
{
	need_root
	settle_chain
	settle_proxy payer
	settle_conf payer
	settle_spawn payer
	poll 20 answers_tasks payer || fail "no API"
	guard 'it is chain 5' 'eth_chainId result "0x5"'
	guard 'no contract at chain.settlement_contract' 'eth_getCode result "0x"'
	guard 'another DOMAIN_SEPARATOR' 'eth_call:0x3644e515 word 0 7'
	guard 'other decimals' 'eth_call:0x313ce567 word 0 18'
	# a registry without isRegisteredAs that knows our DID under another address
	guard 'the registry' 'eth_call:0x21f8a721 word 0 7' "eth_call:0x78a4c040 result \"0x\""
}

# guard TEXT LIE...
guard()
{
	local text=$1
	shift
	lies payer "$@"
	restarted payer
	poll 20 health payer "$text" || fail "$text: $(tail -3 "$tmp/payer/log")"
	! cli payer task create --name g --payee did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK --payee-address "$(address_of payee)" \
		--amount 1 >"$tmp/out" 2>&1 || fail "$text, and it signs"
	grep -q 'nothing is signed' "$tmp/out" || fail "$(cat "$tmp/out")"
}

waits_for() { api payer "/tasks/$1" | jq -e --arg w "$2" 'any(.operations[]; .state == "queued" and (.error | test($w)))' >/dev/null; }

[ $# -gt 0 ] || set -- a_hidden_create_delays_no_dispute what_its_data_cost_is_under_the_cap each_guard_says_no a_liar_hides_no_receipt_and_makes_up_no_payment
run "$@"
