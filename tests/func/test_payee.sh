#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: it looks only at its own
#
# Who is paid: the payer's agent takes the address that the key of a DID signed for, out of the registry, and nobody else's.
# The contracts are deployed as they are by default.
# shellcheck disable=SC2119
# shellcheck source=tests/func/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/func/lib_chain.sh
. tests/func/lib_chain.sh
# shellcheck source=tests/func/lib_settle.sh
. tests/func/lib_settle.sh

# The node's accounts 3 to 6: the owner of a DID, two squatters, and where the owner moves to.
owner=0x90F79bf6EB2c4f870365E785982E1f101E93b906
squatter=0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65
second=0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc
moved=0x976EA74026E726554dB657fA54763abd0C3a0aa9

# refused NAME TEXT [ARGUMENT...]: no task of that name is created, and the reason is told.
refused()
{
	local name=$1 text=$2
	shift 2
	! cli payer task create --name "$name" --amount 1 "$@" >"$tmp/out" 2>&1 || fail "$name was created: $(cat "$tmp/out")"
	grep -qF "$text" "$tmp/out" || fail "$name: no '$text' in: $(cat "$tmp/out")"
	[ "$(nonce_of payer)" = "$nonce" ] || fail "$name: something was sent"
}

# created NAME ADDRESS [ARGUMENT...]: a task is opened on the chain, and pays that address.
created()
{
	local name=$1 address=$2 id
	shift 2
	cli payer task create --name "$name" --amount 1 --wait $((40 * patience))s --json "$@" >"$tmp/out" 2>"$tmp/err" || fail "$name: $(cat "$tmp/out" "$tmp/err")"
	id=$(jq -r .task_id "$tmp/out")
	[ "$(jq -r .payee "$tmp/out")" = "$address" ] || fail "$name pays $(jq -r .payee "$tmp/out")"
	# getTaskExt(bytes32): the payee is its first word
	rpc "$settle_rpc" eth_call "[{\"to\":\"$settlement\",\"data\":\"$(selector 'getTaskExt(bytes32)')${id#0x}\"},\"latest\"]" |
		grep -qi "0x$(word "${address,,}")" || fail "$name: the contract pays another address"
	nonce=$(nonce_of payer)
}

# register SEED INDEX [SIGNER]: by that account of the node; sets $did.
register()
{
	settle_proof register "$1" "$2" ${3:+"$3"}
	as_account "$(jq -r .address "$tmp/proof")" "$registry" "$(jq -r .data "$tmp/proof")"
	did=$(jq -r .did "$tmp/proof")
}

begin()
{
	need_root
	settle_chain
	registry=$(jq -r .registry_contract "$deployed")
	settle_agent payer 'auto_register: false'
	fund payer 100000000
	nonce=$(nonce_of payer)
}

only_who_holds_the_key_of_a_did_is_paid()
{
	begin
	settle_proof register 7 3
	did=$(jq -r .did "$tmp/proof")
	refused nobody "the payee's DID is not registered" --payee "$did"
	register 7 4 none
	refused bare "has no proof by the key of its DID" --payee "$did"
	register 7 5 8
	refused wrong "is not by the key of its DID" --payee "$did"
	refused named "is not by the key of its DID" --payee "$did" --payee-address "$second"
	refused dry '"would_work": false' --payee "$did" --dry-run
	register 7 3
	# two squatters were there before
	created first "$owner" --payee "$did"
	created named "$owner" --payee "$did" --payee-address "$owner"
	# without escrow the contract takes no address, but the first record of the DID
	refused bare_mode "first record of the DID, which is of another address: use mode escrow" --payee "$did" --mode allowance --wait 30s
	refused dry_mode "use mode escrow" --payee "$did" --mode allowance --dry-run
	refused other "has no proof by the key of its DID" --payee "$did" --payee-address "$squatter"
	refused absent "is not registered under that address" --payee "$did" --payee-address "$moved"
	settle_proof rotate 7 3 6 1
	as_account "$owner" "$registry" "$(jq -r .data "$tmp/proof")"
	created rotated "$moved" --payee "$did"
	refused old "revoked or moved to another address" --payee "$did" --payee-address "$owner"
	as_account "$moved" "$registry" "$(selector 'revoke(bytes32)')$(jq -r '.did_hash[2:]' "$tmp/proof")"
	refused revoked "revoked or moved to another address" --payee "$did"
	# the name of a refused task is free
	register 9 7
	created revoked 0x14dC79964da2C08b23698B3D3cc7Ca32193d9955 --payee "$did"
	created first_mode 0x14dC79964da2C08b23698B3D3cc7Ca32193d9955 --payee "$did" --mode allowance
	refused web "only a did:key proves its address: name the payee's address, too" --payee did:web:example.org
	refused cut "no did:key of an Ed25519 key" --payee "${did%?}"
	refused web2 "is not registered under that address" --payee did:web:example.org --payee-address "$owner"
	what_is_asked_for_wrongly_is_told
}

# told METHOD PATH BODY TEXT: 400, with that text.
told()
{
	curl -sS -m $((10 * patience)) --unix-socket "$tmp/payer/sock" -X "$1" -H 'Content-Type: application/json' -w '%{http_code}' --data-binary "$3" "http://localhost$2" >"$tmp/out" || fail "$1 $2"
	grep -qE '400$' "$tmp/out" || fail "$1 $2 $3: $(cat "$tmp/out")"
	jq -er .error.message <<<"$(sed 's/400$//' "$tmp/out")" | grep -qF -e "$4" || fail "$1 $2 $3: no '$4' in: $(cat "$tmp/out")"
}

what_is_asked_for_wrongly_is_told()
{
	local id
	told POST /tasks '{' 'line 1, column 1'
	told POST /tasks '[]' 'must be a JSON object'
	told POST /tasks '{"name":"a","name":"b"}' 'duplicate object key'
	told POST /tasks '{"name":"a","amont":"1"}' "unknown member 'amont'"
	told POST /tasks '{"name":"a b"}' 'name must be 1 to 63 of'
	told POST /tasks '{"name":"a","payee":"z6Mk"}' 'payee must be a DID'
	for amount in '' 0 -1 1e3 1.0000001 340282366920938463463374607431768211456; do
		told POST /tasks "{\"name\":\"a\",\"payee\":\"$did\",\"amount\":\"$amount\"}" 'amount must be a text as "1.5": more than 0 of the token, with at most 6 digits'
	done
	told POST /tasks "{\"name\":\"a\",\"payee\":\"$did\",\"amount\":1}" 'amount must be a text'
	told POST /tasks "{\"name\":\"a\",\"payee\":\"$did\",\"amount\":\"1\",\"deadline_blocks\":0}" 'deadline_blocks must be a number from 1'
	told POST /tasks '{"import":"0x12"}' 'import must be a task id'
	told GET '/tasks?phase=opn' '' "phase must be one of those of a task, not 'opn'"
	api payer '/tasks?phase=open&role=payer' | jq -e 'length > 2' >/dev/null || fail "$(api payer /tasks)"
	api payer '/tasks?phase=settled' | jq -e 'length == 0' >/dev/null || fail "$(api payer /tasks)"
	id=$(api payer /tasks | jq -r '.[0].task_id')
	told POST "/tasks/$id" '{"action":"pay"}' 'action must be run, finish, cancel'
	told POST "/tasks/$id" '{"action":"settle","dry_run":"yes"}' 'dry_run must be true or false'
	told POST "/tasks/$id" '{"action":"finish","dry_run":true}' 'dry_run is not for finish'
}

# Many nodes give the logs of a few blocks at a time.
a_node_that_gives_few_logs_is_read_in_windows()
{
	need_root
	settle_chain
	registry=$(jq -r .registry_contract "$deployed")
	register 7 4 none
	mine 300
	register 7 3
	mine 300
	settle_proxy payer
	lies payer "eth_getLogs span 10"
	settle_agent payer 'auto_register: false'
	fund payer 100000000
	created windows "$owner" --payee "$did"
	created named "$owner" --payee "$did" --payee-address "$owner"
	refused other "has no proof by the key of its DID" --payee "$did" --payee-address "$squatter"
}

# Without escrow the contract pays the first record of the DID as it is when the task gets into its block.
a_record_that_moves_in_the_same_block_raises_an_alarm()
{
	local id
	begin
	register 7 3
	allow 2000000
	settle_proof rotate 7 3 6 1
	rpc "$settle_rpc" evm_setAutomine '[false]' >/dev/null || true
	cli payer task create --name astray --payee "$did" --amount 2 --mode allowance --deadline-blocks 30 --json >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	id=$(jq -r .task_id "$tmp/out")
	poll 30 operation payer "$id" create '.state == "sent"' || fail "$(task_of payer "$id")"
	rpc "$settle_rpc" eth_sendTransaction "[{\"from\":\"$owner\",\"to\":\"$registry\",\"data\":\"$(jq -r .data "$tmp/proof")\",
		\"gas\":\"0x7a120\",\"maxFeePerGas\":\"0x2e90edd000\",\"maxPriorityFeePerGas\":\"0x2540be400\"}]" >/dev/null || fail "not rotated"
	rpc "$settle_rpc" evm_setAutomine '[true]' >/dev/null || true
	mine 1
	poll 30 phase_is payer "$id" failed || fail "$(task_of payer "$id")"
	poll 30 reason_is "$id" "the contract pays $moved, not $owner that it was made for: the allowance was taken back" || fail "$(task_of payer "$id")"
	health payer 'pays another than was asked for' || fail "/readyz does not say it"
	api payer /metrics | grep -q '^linnix_chain_astray_total.* 1$' || fail "$(api payer /metrics | grep astray)"
	[ "$(allowance)" = 0 ] || fail "$(allowance) can be taken"
	# and none is given again as long as it can be drawn
	register 9 7
	cli payer task create --name next --payee "$did" --amount 1 >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	poll 20 operation payer next approve '.state == "queued" and (.error | test("while a task is open that pays another"))' || fail "$(task_of payer next)"
	mine 35
	poll 30 phase_is payer "$id" expired || fail "$(task_of payer "$id")"
	poll 60 phase_is payer next open || fail "$(task_of payer next)"
	! health payer 'pays another than was asked for' || fail "it is over, and /readyz says it still"
	a_task_of_that_name_with_other_terms_raises_an_alarm "$(jq -r '.did_hash[2:]' "$tmp/proof")" 0x14dC79964da2C08b23698B3D3cc7Ca32193d9955
}

# Another program made it with the same key; or the state file was lost, and the name is used anew.
a_task_of_that_name_with_other_terms_raises_an_alarm()
{
	local id
	id=$(rpc "$settle_rpc" eth_call "[{\"to\":\"$settlement\",\"data\":\"$(selector 'computeTaskId(address,bytes32)')$(word "${settle_addresses[payer],,}")$(keccak taken)\"},\"latest\"]" | jq -r .)
	allow 3000000
	as_account "${settle_addresses[payer]}" "$settlement" "$(selector 'createTaskEscrowed(bytes32,bytes32,address,address,uint256,uint256)')${id#0x}$1$(word "${2,,}")$(word "${token,,}")$(printf '%064x%064x' 3000000 100)"
	! cli payer task create --name taken --payee "$did" --amount 1 --wait 30s >"$tmp/out" 2>&1 || fail "taken for ours: $(cat "$tmp/out")"
	poll 20 reason_is "$id" 'the contract has a task of that name with another amount than it was made with' || fail "$(task_of payer "$id")"
	health payer 'has other terms than were asked for' || fail "/readyz does not say it"
	[ "$(api payer "/tasks/$id" | jq -r '.max_amount + " " + .chain_status')" = "1000000 created" ] || fail "$(task_of payer "$id")"
}

reason_is() { [ "$(api payer "/tasks/$1" | jq -r .reason)" = "$2" ]; }

run a_record_that_moves_in_the_same_block_raises_an_alarm a_node_that_gives_few_logs_is_read_in_windows only_who_holds_the_key_of_a_did_is_paid
