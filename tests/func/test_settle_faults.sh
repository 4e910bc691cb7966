#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: it looks only at its own
#
# Settlement while things break: the agent is killed between any two steps, the chain is reorganised, answers are lost, endpoints lie.
# A payment is made once, or not at all and that is said.
# TIMEOUT: 400
# Without arguments the contracts are deployed as they are by default.
# shellcheck disable=SC2119
# shellcheck source=tests/func/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/func/lib_chain.sh
. tests/func/lib_chain.sh
# shellcheck source=tests/func/lib_settle.sh
. tests/func/lib_settle.sh

# A payee that nobody runs: its address is registered for its DID by its own account.
other_did=
other=0x90F79bf6EB2c4f870365E785982E1f101E93b906

register_other()
{
	settle_proof register 7 3
	other_did=$(jq -r .did "$tmp/proof")
	as_account "$other" "$registry" "$(jq -r .data "$tmp/proof")"
}

# create NAME AMOUNT [ARGUMENT...]: by the payer for that payee
create()
{
	local name=$1 amount=$2
	shift 2
	cli payer task create --name "$name" --payee "$other_did" --payee-address "$other" --amount "$amount" "$@"
}

begin()
{
	settle_chain
	registry=$(jq -r .registry_contract "$deployed")
	settle_proxy payer
	settle_agent payer 'bump_after: 1s' 'resend_after: 500ms'
	fund payer 100000000
	register_other
}

killed_anywhere_it_pays_once()
{
	local n=0 place kills=${SETTLE_KILLS:-10} before id
	local -a places=("eth_estimateGas before" "eth_sendRawTransaction before" "eth_sendRawTransaction after" "eth_getTransactionReceipt before"
		"eth_getTransactionReceipt after" "eth_getBlockByNumber after" "eth_estimateGas after" "eth_getLogs after" "eth_getBalance before"
		"eth_feeHistory after")
	need jq
	begin
	before=$(nonce_of payer)
	while [ "$n" -lt "$kills" ]; do
		place=${places[n % ${#places[@]}]}
		rule payer "$place kill ${settle_pids[payer]}"
		# the agent may be gone before it has answered
		create "k$((n / 4))" 1 >"$tmp/create" 2>&1 || true
		if within $((5 * slow)) rule_is_used payer; then
			wait "${settle_pids[payer]}" 2>/dev/null
		else
			rm -f "$tmp/payer.rule"
			settle_kill payer
		fi
		n=$((n + 1))
		settle_spawn payer
		poll 20 answers_tasks payer || fail "it does not start again: $(tail -5 "$tmp/payer/log")"
	done
	for ((id = 0; id <= (kills - 1) / 4; id++)); do
		create "k$id" 1 --wait $((60 * patience))s >"$tmp/create" 2>&1 || fail "k$id: $(cat "$tmp/create") $(tail -5 "$tmp/payer/log")"
	done
	[ "$(balance payer)" = $((100000000 - id * 1000000)) ] || fail "$id tasks, and the payer has $(balance payer)"
	# for each task one approve and one create: nothing was sent under a second nonce
	[ "$(($(nonce_of payer) - before))" -eq $((2 * id)) ] || fail "$(($(nonce_of payer) - before)) transactions for $id tasks"
}

a_lost_answer_sends_nothing_twice()
{
	local before
	begin
	before=$(nonce_of payer)
	rule payer "eth_sendRawTransaction after drop"
	create lost 2 --wait $((60 * patience))s >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	rule_is_used payer || fail "nothing was dropped"
	[ "$(($(nonce_of payer) - before))" -eq 2 ] || fail "$(($(nonce_of payer) - before)) transactions"
	[ "$(balance payer)" = 98000000 ] || fail "the payer has $(balance payer)"
	reorganised_it_is_sent_again
	slow_it_gets_a_better_price_at_the_same_nonce
	an_allowance_for_nothing_is_taken_back
	a_token_that_changes_no_allowance_gets_0_first
	cancelled_while_it_is_out_it_does_not_land
	a_reorganisation_mines_what_was_taken_back
	what_is_no_answer_is_an_error
	finality_is_what_the_node_says
}

reorganised_it_is_sent_again()
{
	local before block
	mine 3
	before=$(nonce_of payer)
	create reorg 3 --wait $((60 * patience))s >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	block=$(head_of)
	# its two blocks are gone, and the node keeps nothing of them
	rpc "$settle_rpc" evm_setAutomine '[false]' >/dev/null || true
	rpc "$settle_rpc" anvil_reorg '[2,[]]' >/dev/null || true
	rpc "$settle_rpc" anvil_dropAllTransactions >/dev/null || true
	poll 20 has_reorgs payer || fail "the reorganisation was not seen: $(head_of) after $block"
	[ "$(balance payer)" = 98000000 ] || fail "the reorganisation took nothing back: $(balance payer)"
	poll 20 is_sent payer reorg || fail "$(task_of payer reorg)"
	rpc "$settle_rpc" evm_setAutomine '[true]' >/dev/null || true
	mine 2
	poll 30 phase_is payer reorg open || fail "$(task_of payer reorg)"
	poll 30 is_confirmed payer reorg || fail "$(task_of payer reorg)"
	[ "$(balance payer)" = 95000000 ] || fail "the payer has $(balance payer)"
	[ "$(($(nonce_of payer) - before))" -eq 2 ] || fail "$(($(nonce_of payer) - before)) transactions"
}

slow_it_gets_a_better_price_at_the_same_nonce()
{
	local before first
	rpc "$settle_rpc" evm_setAutomine '[false]' >/dev/null || true
	before=$(nonce_of payer)
	create slow 4 >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	poll 30 has_attempts payer slow 2 || fail "no better price: $(task_of payer slow)"
	[ "$(nonce_of payer)" = "$before" ] || fail "something was mined"
	first=$(api payer /tasks/slow | jq -r '.operations[] | select(.kind == "approve").nonce')
	[ "$first" = "$before" ] || fail "nonce $first, not $before"
	rpc "$settle_rpc" evm_setAutomine '[true]' >/dev/null || true
	mine 1
	poll 40 phase_is payer slow open || fail "$(task_of payer slow)"
	[ "$(($(nonce_of payer) - before))" -eq 2 ] || fail "$(($(nonce_of payer) - before)) transactions"
	[ "$(balance payer)" = 91000000 ] || fail "the payer has $(balance payer)"
}

# What was given for a create that never came is taken back, whoever dies meanwhile.
an_allowance_for_nothing_is_taken_back()
{
	local has nonce selector=createTaskEscrowed'(bytes32,bytes32,address,address,uint256,uint256)'
	has=$(balance payer)
	lies payer "eth_estimateGas:$(selector "$selector") error busy"
	create never 7 >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	poll 30 operation payer never approve '.state == "confirmed"' || fail "$(task_of payer never)"
	[ "$(allowance)" = 7000000 ] || fail "the allowance is $(allowance)"
	lies payer "eth_estimateGas:0x095ea7b3 error busy"
	cli payer task cancel never >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	poll 20 operation payer never approve '.amount == "0" and (.error | test("busy"))' || fail "$(task_of payer never)"
	settle_kill payer
	settle_spawn payer
	poll 20 answers_tasks payer || fail "no API"
	api payer /tasks/never | jq -e '.phase == "cancelling" and .allowance == "left" and (.final | not)' >/dev/null || fail "$(task_of payer never)"
	[ "$(allowance)" = 7000000 ] || fail "the allowance is $(allowance)"
	# and once more when it was sent, before the agent knows
	nonce=$(nonce_of payer)
	rule payer "eth_sendRawTransaction after kill ${settle_pids[payer]}"
	lies payer
	poll 30 rule_is_used payer || fail "nothing was sent: $(task_of payer never)"
	wait "${settle_pids[payer]}" 2>/dev/null
	settle_spawn payer
	poll 30 phase_is payer never cancelled || fail "$(task_of payer never)"
	[ "$(nonce_of payer)" = "$((nonce + 1))" ] || fail "$(($(nonce_of payer) - nonce)) transactions"
	[ "$(balance payer) $(allowance)" = "$has 0" ] || fail "the payer has $(balance payer), allowed $(allowance)"
	[ "$(get_metric payer linnix_chain_allowances_taken_back_total)" = 1 ] || fail "it was not counted"
}

# USDT and its like: an allowance that is there goes to 0 before it may be another one.
a_token_that_changes_no_allowance_gets_0_first()
{
	local has nonce
	has=$(balance payer)
	as_account "${settle_addresses[payer]}" "$token" "$(selector 'setStubborn(bool)')$(printf '%064x' 1)"
	allow 1000000
	nonce=$(nonce_of payer)
	create stubborn 2 --wait $((60 * patience))s >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out") $(tail -5 "$tmp/payer/log")"
	[ "$(($(nonce_of payer) - nonce))" -eq 3 ] || fail "$(($(nonce_of payer) - nonce)) transactions, not 0, its own and the task"
	[ "$(balance payer) $(allowance)" = "$((has - 2000000)) 0" ] || fail "the payer has $(balance payer), allowed $(allowance)"
	as_account "${settle_addresses[payer]}" "$token" "$(selector 'setStubborn(bool)')$(printf '%064x' 0)"
}

# Nothing of it is mined but its nonce, which holds up nobody; the name is free again.
cancelled_while_it_is_out_it_does_not_land()
{
	local before has
	allow 5000000 # so that it is the create that is out
	before=$(nonce_of payer)
	has=$(balance payer)
	rpc "$settle_rpc" evm_setAutomine '[false]' >/dev/null || true
	create gone 5 >"$tmp/out" 2>&1 || true # whether it is on disk yet or not: it has to come
	poll 30 operation payer gone create '.state == "sent"' || fail "$(task_of payer gone)"
	cli payer task cancel gone >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	poll 30 operation payer gone create '.state == "sent" and .is_cancelled' || fail "$(task_of payer gone)"
	settle_kill payer
	settle_spawn payer
	poll 20 answers_tasks payer || fail "no API"
	operation payer gone create .is_cancelled || fail "forgotten: $(task_of payer gone)"
	[ "$(nonce_of payer)" = "$before" ] || fail "something was mined"
	rpc "$settle_rpc" evm_setAutomine '[true]' >/dev/null || true
	mine 1
	poll 40 operation payer gone create '.state == "mined" and .is_cancelled' || fail "$(task_of payer gone)"
	phase_is payer gone cancelling || fail "over before it is deep: $(task_of payer gone)"
	mine 40
	poll 40 phase_is payer gone cancelled || fail "$(task_of payer gone)"
	[ "$(nonce_of payer)" = "$((before + 1))" ] || fail "$(($(nonce_of payer) - before)) transactions"
	[ "$(balance payer) $(allowance)" = "$has 5000000" ] || fail "it landed: $(balance payer), allowed $(allowance)"
	create gone 5 --wait $((60 * patience))s >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out") $(tail -20 "$tmp/payer/log")"
	[ "$(balance payer)" = "$((has - 5000000))" ] || fail "the payer has $(balance payer)"
	[ "$(nonce_of payer)" = "$((before + 2))" ] || fail "$(($(nonce_of payer) - before)) transactions"
}

# What took the place of the call is in a block; a reorganisation mines the call itself. The task is there, and somebody looks at it.
a_reorganisation_mines_what_was_taken_back()
{
	local raw
	allow 6000000
	rpc "$settle_rpc" evm_setAutomine '[false]' >/dev/null || true
	create undead 6 >"$tmp/out" 2>&1 || true
	poll 30 operation payer undead create '.state == "sent"' || fail "$(task_of payer undead)"
	raw=$(raw_of undead)
	[ "${#raw}" -gt 200 ] || fail "no signed bytes: $raw"
	cli payer task cancel undead >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	poll 30 operation payer undead create '.state == "sent" and .is_cancelled' || fail "$(task_of payer undead)"
	mine 1
	poll 40 operation payer undead create '.state == "mined" and .is_cancelled' || fail "$(task_of payer undead)"
	rpc "$settle_rpc" anvil_reorg "[1,[[\"0x$raw\",0]]]" >"$tmp/out" || true
	rpc "$settle_rpc" evm_setAutomine '[true]' >/dev/null || true
	poll 40 phase_is payer undead open || fail "$(task_of payer undead)"
	poll 30 operation payer undead create '.state == "confirmed" and (.is_cancelled | not)' || fail "$(task_of payer undead)"
}

# The first bytes that were signed for a task's create, in hex: the file is read beside the agent.
raw_of()
{
	local id
	id=$(api payer "/tasks/$1" | jq -r .task_id)
	python3 - "$tmp/payer/settle.db" "${id#0x}" <<-'END'
		import sqlite3, sys
		db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, timeout=10)
		row = db.execute("SELECT hex(a.raw) FROM chain_attempt a JOIN chain_op o ON o.id = a.op_id"
				 " WHERE o.kind = 2 AND o.task_id = ? ORDER BY a.n LIMIT 1", (bytes.fromhex(sys.argv[2]),)).fetchone()
		print(row[0].lower() if row else "")
	END
}

# The node has that as final which is two epochs of 32 blocks behind its newest.
finality_is_what_the_node_says()
{
	settle_kill payer
	settle_conf payer 'confirmations: finalized'
	settle_spawn payer
	poll 20 answers_tasks payer || fail "no API: $(tail -3 "$tmp/payer/log")"
	mine 70
	create final 1 --wait $((60 * patience))s >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	mine 40
	poll 30 operation payer final create '.state == "mined"' || fail "$(task_of payer final)"
	! operation payer final create '.state == "confirmed"' || fail "final too early: $(task_of payer final)"
	mine 40
	poll 30 is_confirmed payer final || fail "$(task_of payer final)"
}

has_looked() { [ "$(get_metric payer linnix_chain_last_confirmed_block)" -gt "$1" ]; }

# Two keys, a NUL, cut off, huge, not for us: no crash, nothing believed, and on it goes. A good look between: five that fail in a
# row give the endpoint a rest of half a minute.
what_is_no_answer_is_an_error()
{
	local n=0 f block
	printf '[{"jsonrpc":"2.0","id":1,"id":2,"result":"0x1"}]' >"$tmp/bad0"
	printf '[{"jsonrpc":"2.0","id":1,"result":"0x1\\u0000"}]' >"$tmp/bad1"
	printf '[{"jsonrpc":"2.0","id":1,"resu' >"$tmp/bad2"
	head -c 5000000 /dev/zero | tr '\0' '[' >"$tmp/bad3"
	printf '[]' >"$tmp/bad4"
	printf '\0\0\0' >"$tmp/bad5"
	: >"$tmp/bad6"
	for f in "$tmp"/bad*; do
		rule payer "eth_getBalance before reply $f"
		poll 40 rule_is_used payer || fail "$f was not asked for"
		n=$((n + 1))
		block=$(get_metric payer linnix_chain_last_confirmed_block)
		mine 1
		poll 40 has_looked "$block" || fail "no look after $f"
	done
	rule payer "eth_getBalance before status 429"
	poll 60 rule_is_used payer || fail "no further question"
	is_alive "${settle_pids[payer]}" || fail "the agent ended: $(tail -5 "$tmp/payer/log")"
	create after 1 --wait $((90 * patience))s >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	[ "$(get_metric payer linnix_chain_rpc_errors_total)" -ge "$n" ] || fail "$n bad answers, not counted"
}

head_of() { hex_to_dec "$(rpc "$settle_rpc" eth_blockNumber | jq -r .)"; }
log_of() { grep -qE -e "$2" "$tmp/$1/log"; }
is_confirmed() { api "$1" "/tasks/$2" | jq -e 'all(.operations[]; .state == "confirmed")' >/dev/null; }
has_reorgs() { [ "$(get_metric "$1" linnix_chain_reorgs_total)" -ge 1 ]; }
is_sent() { api "$1" "/tasks/$2" | jq -e 'all(.operations[]; .state == "sent" or .state == "confirmed")' >/dev/null; }
has_attempts() { api "$1" "/tasks/$2" | jq -e --argjson n "$3" 'any(.operations[]; .attempts >= $n)' >/dev/null; }
get_metric() { api "$1" /metrics | awk -v m="$2" '{ n = $1; sub(/\{.*/, "", n); if (n == m) s += $2 } END { printf "%d\n", s }'; }

another_chain_after_a_failover_is_refused()
{
	local first
	settle_chain
	registry=$(jq -r .registry_contract "$deployed")
	settle_proxy payer
	first=$settle_urls
	settle_proxy second
	settle_urls="$first, $settle_urls"
	settle_agent payer
	fund payer 100000000
	rule second "eth_chainId* after chain 5"
	rule payer "any* before drop" # were it only some, it would be used again, and left again
	poll 20 is_state payer refused || fail "not refused: $(tail -5 "$tmp/payer/log")"
	! create refused 1 >"$tmp/out" 2>&1 || fail "accepted while refused"
	grep -q 'nothing is signed' "$tmp/out" || fail "$(cat "$tmp/out")"
	api payer /readyz >/dev/null 2>&1 && fail "ready while refused"
	curl -sS --unix-socket "$tmp/payer/sock" http://localhost/readyz | grep -q 'it is chain 5' || fail "/readyz does not say it"
	[ "$(balance payer)" = 100000000 ] || fail "the payer has $(balance payer)"
	# and healed when the first is back
	rm "$tmp/payer.rule"
	poll 60 is_state payer ready || fail "not ready again: $(tail -5 "$tmp/payer/log")"
	two_agents_with_one_key
}

is_state() { [ "$(grep -oE 'settle: (ready|refused|connecting|failed)' "$tmp/$1/log" | tail -1)" = "settle: $2" ]; }

two_agents_with_one_key()
{
	key_of=payer settle_conf payee
	settle_spawn payee
	poll 20 log_of payee 'another agent signs with the key' || fail "$(tail -5 "$tmp/payee/log")"
	poll 10 answers_tasks payee || fail "no API: $(tail -5 "$tmp/payee/log")"
	! cli payee task create --name x --payee "$other_did" --payee-address "$other" --amount 1 >"$tmp/out" 2>&1 || fail "the second signs"
	grep -q 'another agent signs' "$tmp/out" || fail "$(cat "$tmp/out")"
}

damage_and_missing_settings_stop_signing()
{
	local key
	settle_chain
	settle_conf payer
	for key in settlement_contract registry_contract token_address; do
		grep -v "$key" "$tmp/payer/conf.yaml" >"$tmp/payer/without.yaml"
		! timeout $((20 * patience)) "$linnixd" --config "$tmp/payer/without.yaml" >"$tmp/out" 2>&1 || fail "starts without $key"
		grep -qF "chain.$key must be set when chain.enabled=true" "$tmp/out" || fail "$(cat "$tmp/out")"
		! "$linnixd" --config "$tmp/payer/without.yaml" --check-config >"$tmp/out" 2>&1 || fail "good without $key"
		grep -qE "without\.yaml:[0-9]+:[0-9]+: .*chain.$key must be set" "$tmp/out" || fail "$(cat "$tmp/out")"
	done
	settle_conf payer 'confirmations: latest'
	! "$linnixd" --config "$tmp/payer/conf.yaml" --check-config >"$tmp/out" 2>&1 || fail "good with confirmations: latest"
	grep -qE "conf\.yaml:[0-9]+:[0-9]+: .*'latest': a number from 1 to 1000, or safe, or finalized" "$tmp/out" || fail "$(cat "$tmp/out")"
	settle_conf payer 'confirmations: safe'
	"$linnixd" --config "$tmp/payer/conf.yaml" --check-config >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	head -c 8192 /dev/urandom >"$tmp/payer/settle.db"
	chmod 600 "$tmp/payer/settle.db"
	cp "$tmp/payer/settle.db" "$tmp/before"
	settle_spawn payer
	poll 20 log_of payer 'failed: the state file cannot be used' || fail "$(tail -5 "$tmp/payer/log")"
	poll 10 answers_tasks payer || fail "no API"
	! create x 1 >"$tmp/out" 2>&1 || fail "signs on a damaged file"
	cmp "$tmp/before" "$tmp/payer/settle.db" || fail "the file was changed"
	settle_kill payer
	rm "$tmp/payer/settle.db"
	only_a_node_of_the_right_authority_is_believed
}

# Over TLS: what is told by whom chain.ca_file does not vouch for is not even asked for.
only_a_node_of_the_right_authority_is_believed()
{
	local name port
	need openssl python3
	for name in node other; do
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$name" -addext subjectAltName=IP:127.0.0.1 \
			-keyout "$tmp/$name.pem" -out "$tmp/$name.crt" 2>"$tmp/certs.log" || fail "$(cat "$tmp/certs.log")"
		cat "$tmp/$name.crt" >>"$tmp/$name.pem"
	done
	port=$(free_port)
	python3 tests/func/settle_proxy.py "$port" "$settle_rpc" "$tmp/tls.rule" "$tmp/node.pem" >"$tmp/tls.proxy" 2>&1 &
	settle_urls=https://127.0.0.1:$port
	settle_conf payer "ca_file: $tmp/other.crt"
	settle_spawn payer
	poll 20 log_of payer 'connecting: .*(certificate|issuer)' || fail "$(tail -5 "$tmp/payer/log")"
	! grep -q 'settle: using' "$tmp/payer/log" || fail "it believes anybody: $(tail -5 "$tmp/payer/log")"
	[ ! -e "$tmp/tls.rule.log" ] || fail "it asked: $(cat "$tmp/tls.rule.log")"
	settle_kill payer
	settle_conf payer "ca_file: $tmp/node.crt"
	settle_spawn payer
	poll 20 log_of payer "settle: using https://127.0.0.1:$port" || fail "$(tail -5 "$tmp/payer/log")"
}

# What an agent without chain.enabled does not do.
disabled_it_loads_no_key_and_asks_nobody()
{
	need strace
	need_root
	mkdir -p "$tmp/payer"
	cat >"$tmp/conf.yaml" <<-END
		http: {listen: "127.0.0.1:$(free_port)", socket: "$tmp/payer/sock"}
		store: {path: "off"}
		stall: {enabled: false}
		plugins: {state_file: $tmp/plugins.state}
		chain: {enabled: false, identity_path: $tmp/payer/identity.json, private_key_file: $tmp/payer/key, state_path: $tmp/payer/settle.db}
	END
	printf '%s\n' "${settle_keys[payer]}" >"$tmp/payer/key"
	# -D: our child is the agent, not strace, which would leave it running
	strace -D -f -e trace=openat,connect,socket -o "$tmp/trace" "$linnixd" --config "$tmp/conf.yaml" >"$tmp/payer/log" 2>&1 &
	settle_pids[payer]=$!
	poll 40 healthy || fail "$(tail -5 "$tmp/payer/log")"
	! grep -E 'payer/key|identity\.json|settle\.db|secp256k1|libcurl' "$tmp/trace" || fail "it opened what it does not need"
	! grep -E 'connect\(.*AF_INET' "$tmp/trace" || fail "it asked somebody"
	[ ! -e "$tmp/payer/identity.json" ] || fail "it made an identity"
}

healthy() { api payer /healthz >/dev/null; }

[ $# -gt 0 ] || set -- killed_anywhere_it_pays_once a_lost_answer_sends_nothing_twice another_chain_after_a_failover_is_refused \
	damage_and_missing_settings_stop_signing disabled_it_loads_no_key_and_asks_nobody
run "$@"
