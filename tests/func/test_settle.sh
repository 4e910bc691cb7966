#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: it looks only at its own
#
# Settlement on a real node: two agents, payer and payee, a task that is created, run, measured, proven and paid; and what may go
# wrong on the way. Whatever happens, the payee is paid once or not at all, and what was not paid is the payer's again.
# TIMEOUT: 400
# shellcheck source=tests/func/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/func/lib_chain.sh
. tests/func/lib_chain.sh
# shellcheck source=tests/func/lib_settle.sh
. tests/func/lib_settle.sh

# A name that somebody else chose would be another task; so is the same name with other terms refused.
the_same_again_is_the_same_task()
{
	cli payer task create --name t1 --payee "$(did_of payee)" --payee-address "$(address_of payee)" --amount 5 --json >"$tmp/again" ||
		fail "again: $(cat "$tmp/again")"
	[ "$(jq -r .task_id "$tmp/again")" = "$1" ] || fail "another task: $(cat "$tmp/again")"
	! cli payer task create --name t1 --payee "$(did_of payee)" --payee-address "$(address_of payee)" --amount 6 >"$tmp/again" 2>&1 ||
		fail "other terms were taken"
	grep -q 'other terms' "$tmp/again" || fail "$(cat "$tmp/again")"
}

the_receipt_tells_of_what_ran()
{
	api payee "/tasks/$1/receipt" | jq -r .payload | base64 -d >"$tmp/payload"
	jq -e '.predicate.usage | (.execs | tonumber) >= 4 and .exit_code == 0 and (.cpu_ns | tonumber) > 0' "$tmp/payload" >/dev/null ||
		fail "$(cat "$tmp/payload")"
	# nobody measured these: not 0, but not known
	jq -e '.predicate.usage | .net_tx_bytes == null and .stall_ns == null' "$tmp/payload" >/dev/null || fail "$(cat "$tmp/payload")"
	jq -e '.predicate.attestation.degraded == false' "$tmp/payload" >/dev/null || fail "degraded: $(cat "$tmp/payload")"
	# of what runs: the programs' own files, as anybody can hash them
	[ "$(jq -r .predicate.host.bpf_sha256 "$tmp/payload")" = "$(api payee /status | jq -r '.probes[] | select(.state == "attached") | .name + ".bpf.o"' |
		sort | (cd "$build/bpf" && xargs sha256sum) | sha256sum | cut -d' ' -f1)" ] || fail "another bpf_sha256: $(cat "$tmp/payload")"
	! grep -qE '/bin|hello|true"' "$tmp/payload" || fail "the host is in the payload: $(cat "$tmp/payload")"
}

# verify CODE [ARGUMENT...]: of the receipt and the events of a task, as JSON in $tmp/verdict.
verify()
{
	local want=$1 rc=0
	shift
	"$linnix" receipt verify "$tmp/receipt" --events "$tmp/events" --rpc "$settle_rpc" --json "$@" >"$tmp/verdict" || rc=$?
	[ "$rc" -eq "$want" ] || fail "receipt verify $*: exit $rc, not $want: $(cat "$tmp/verdict")"
}

the_chain_agrees_with_the_receipt()
{
	api payee "/tasks/$1/receipt" >"$tmp/receipt"
	cp "$tmp/payee/events/"*"${1#0x}"* "$tmp/events" || fail "no events: $(ls "$tmp/payee/events")"
	verify 0
	[ "$(jq -r '.verdict + " \(.not_checked | length)"' "$tmp/verdict")" = "valid 0" ] || fail "$(cat "$tmp/verdict")"
	verify 0 --settlement "$settlement"
	the_events_tell_program_and_arguments
	verify 1 --registry "$token"
	jq -e '.reasons | index("registry: payee_did is not registered")' "$tmp/verdict" >/dev/null || fail "$(cat "$tmp/verdict")"
	sed -i 3d "$tmp/events"
	verify 1
}

program_is_hashed() { api "$1" "/tasks/$2" | jq -e '.measured.programs_hashed == 1' >/dev/null; }

# leaves TYPE: those events, without their salts.
leaves() { cut -d' ' -f2- "$tmp/events" | jq -c --arg t "$1" 'select(.type == $t)'; }

# Which file ran the script, and which script it was, as anybody can hash it who knows that.
the_events_tell_program_and_arguments()
{
	local want
	want=$(sha256sum <"$(readlink -f "$(command -v sh)")" | cut -d' ' -f1)
	[ "$(leaves proc.exe | jq -r .exe_sha256)" = "$want" ] || fail "no program $want: $(leaves proc.exe)"
	want=$(printf '%s' "$tmp/work" | sha256sum | cut -d' ' -f1)
	leaves proc.exec | jq -se --arg w "$want" 'any(.args_hash == $w) and all(.args_policy == "script" and (has("net_tx_bytes") | not))' >/dev/null ||
		fail "no arguments $want: $(leaves proc.exec)"
	! grep -qF "$tmp" "$tmp/events" || fail "the arguments are in it: $(cat "$tmp/events")"
}

a_failed_command_is_not_paid_and_its_task_declined()
{
	local id rc
	id=$(new_task t2 2) || exit 1
	poll 20 phase_is payee "$id" offered || fail "$(task_of payee "$id")"
	cli payee task run "$id" --dry-run -- touch "$tmp/ran" >"$tmp/dry" || fail "$(cat "$tmp/dry")"
	jq -e '.would_work and .kind == "run" and .error == ""' "$tmp/dry" >/dev/null || fail "$(cat "$tmp/dry")"
	[ ! -e "$tmp/ran" ] || fail "a dry run ran it"
	phase_is payee "$id" offered || fail "a dry run measures: $(task_of payee "$id")"
	! cli payer task run "$id" --dry-run >"$tmp/dry" || fail "the payer could run it: $(cat "$tmp/dry")"
	jq -e '(.would_work | not) and .error == "this agent is not its payee"' "$tmp/dry" >/dev/null || fail "$(cat "$tmp/dry")"
	cli payee task run "$id" -- sh -c 'exit 7' >"$tmp/run" 2>&1
	rc=$?
	[ "$rc" -eq 7 ] || fail "exit code $rc: $(cat "$tmp/run")"
	phase_is payee "$id" offered || fail "$(task_of payee "$id")"
	before=$(nonce_of payee)
	cli payee task cancel "$id" --dry-run >"$tmp/dry" || fail "$(cat "$tmp/dry")"
	jq -e '.would_work and (.tx | length) == 66 and .gas > 21000' "$tmp/dry" >/dev/null || fail "$(cat "$tmp/dry")"
	[ "$(nonce_of payee)" = "$before" ] || fail "a dry run used a nonce"
	cli payee task cancel "$id" --wait $((30 * patience))s >"$tmp/cancel" || fail "$(cat "$tmp/cancel")"
	poll 20 phase_is payer "$id" cancelled || fail "$(task_of payer "$id")"
	[ "$(balance payer)" = 95000000 ] || fail "the payer has $(balance payer)"
}

what_is_late_goes_home()
{
	local id
	id=$(new_task t3 3 --deadline-blocks 20) || exit 1
	mine 25
	poll 30 phase_is payer "$id" expired || fail "$(task_of payer "$id")"
	[ "$(balance payer)" = 95000000 ] || fail "the payer has $(balance payer)"
	poll 30 chain_status_is payee "$id" expired || fail "$(task_of payee "$id")"
	! cli payee task run "$id" -- true >"$tmp/run" 2>&1 || fail "run after its end"
	grep -q 'expired' "$tmp/run" || fail "$(cat "$tmp/run")"
}

a_dry_create_sends_nothing()
{
	local before
	before=$(nonce_of payer)
	cli payer task create --name dry --payee "$(did_of payee)" --payee-address "$(address_of payee)" --amount 1 --dry-run >"$tmp/dry" ||
		fail "$(cat "$tmp/dry")"
	jq -e '.would_work and .kind == "create" and (.data | startswith("0x")) and (.note | test("allowance"))' "$tmp/dry" >/dev/null ||
		fail "$(cat "$tmp/dry")"
	[ "$(nonce_of payer)" = "$before" ] || fail "a nonce was used"
}

limits_hold()
{
	local a
	a=$(address_of payee)
	! cli payer task create --name over --payee "$(did_of payee)" --payee-address "$a" --amount 10.000001 >"$tmp/out" 2>&1 ||
		fail "over the limit of a task"
	grep -q 'limits.task_cents' "$tmp/out" || fail "$(cat "$tmp/out")"
	# 5 were paid, what was cancelled and what expired counts no more: 5 are left of the day's 10
	! cli payer task create --name over --payee "$(did_of payee)" --payee-address "$a" --amount 5.000001 >"$tmp/out" 2>&1 ||
		fail "over the limit of a day"
	grep -q 'limits.daily_cents' "$tmp/out" || fail "$(cat "$tmp/out")"
	new_task exact 5 >/dev/null || exit 1
}

# run_until_gone: the task of limits_hold, in the background; sets $runs.
run_until_gone()
{
	"$linnix" --url "unix:$tmp/payee/sock" task run "$id" -- sh -c "trap 'exit 5' TERM; until [ -e '$tmp/gone' ]; do sleep 0.05; done" >"$tmp/run" 2>&1 &
	runs=$!
	poll 20 phase_is payee "$id" running || fail "$(task_of payee "$id")"
}

ended_unsaid() { api payee "/tasks/$1" | jq -e --arg r "$2" '.phase == "offered" and .reason == $r' >/dev/null; }

# What was measured is lost, and said to be; nothing else is, and nothing stays behind.
who_is_killed_while_a_task_runs()
{
	local id runs rc=0 before pid
	before=$(balance payee)
	id=$(api payer /tasks/exact | jq -r .task_id)
	poll 20 phase_is payee "$id" offered || fail "$(task_of payee "$id")"
	run_until_gone
	pid=$(api payee "/tasks/$id" | jq .measured.pid)
	kill "$runs"
	wait "$runs" || rc=$?
	[ "$rc" -eq 5 ] || fail "exit code $rc, not that of the command: $(cat "$tmp/run")"
	[ -z "$(find /sys/fs/cgroup -maxdepth 3 -name "linnix-task-$pid")" ] || fail "its cgroup stayed"
	poll 20 ended_unsaid "$id" 'its command ended with 5: there is no receipt for that' || fail "$(task_of payee "$id")"
	run_until_gone
	settle_kill payee
	: >"$tmp/gone"
	rc=0
	wait "$runs" || rc=$?
	[ "$rc" -eq 3 ] || fail "exit code $rc: $(cat "$tmp/run")"
	grep -q 'ended with 0, and the agent does not know' "$tmp/run" || fail "$(cat "$tmp/run")"
	settle_spawn payee
	poll 20 answers_tasks payee || fail "no API: $(tail -3 "$tmp/payee/log")"
	poll 20 ended_unsaid "$id" 'the agent ended while it ran: what was measured is lost, run it again' || fail "$(task_of payee "$id")"
	# who does not want to wait for the chain ends nothing but that
	rpc "$settle_rpc" evm_setAutomine '[false]' >/dev/null || true
	rc=0
	env --default-signal=INT "$linnix" --url "unix:$tmp/payee/sock" task run "$id" -- true >"$tmp/run" 2>&1 &
	runs=$!
	poll 20 phase_is payee "$id" proven || fail "$(task_of payee "$id")"
	kill -INT "$runs"
	wait "$runs" || rc=$?
	[ "$rc" -eq 130 ] || fail "exit code $rc: $(cat "$tmp/run")"
	rpc "$settle_rpc" evm_setAutomine '[true]' >/dev/null || true
	mine 1
	poll 30 phase_is payer "$id" settled || fail "$(task_of payer "$id")"
	[ "$(($(balance payee) - before))" = 5000000 ] || fail "the payee has $(balance payee), before $before"
}

# Agents that signed: both keys and the identities' seeds are in locked memory, and nowhere else.
keys_stay_where_they_are()
{
	local name out
	[ -z "${LNX_SAN:-}" ] || return 0 # test_receipt.sh says why, and is skipped
	need python3
	for name in payer payee; do
		out=$(python3 tests/func/settle_memory.py "${settle_pids[$name]}" "${settle_keys[$name]}" \
			"$(jq -r .seed "$tmp/$name/identity.json" | base64 -d | od -An -v -tx1 | tr -d ' \n')") || fail "$name: $out"
	done
}

the_card_says_who_it_is_and_how_it_is_paid()
{
	local key
	api payee /.well-known/agent-card.json >"$tmp/card" || fail "no card"
	key=$(jq -r .ed25519_pubkey "$tmp/payee/identity.json")
	jq -e --arg did "$(did_of payee)" --arg key "ed25519:$key" --arg address "$(address_of payee)" --arg token "$token" \
		--arg settlement "$settlement" --arg registry "$(jq -r .registry_contract "$deployed")" \
		'.protocolVersion == "0.3.0" and .name == "linnix" and (.skills | length) == 1 and ."x-linnix-claw" == {did: $did, publicKey: $key,
		ethereumAddress: $address, settlement: {chains: [{chainId: 31337, settlementContract: $settlement, registryContract: $registry}],
		acceptedTokens: [$token], receiptAuth: "eip712"}}' "$tmp/card" >/dev/null || fail "$(cat "$tmp/card")"
}

from_create_to_paid()
{
	local id before runs
	printf '#!/bin/sh\necho hello; for i in 1 2 3; do /bin/true; done; until [ -e %s ]; do sleep 0.05; done\n' "$tmp/seen" >"$tmp/work"
	chmod +x "$tmp/work"
	need_root
	settle_chain
	settle_agent payer 'limits: {task_cents: 1000, daily_cents: 1000}'
	LINNIX_PROBES_ARGS=script settle_agent payee
	fund payer 100000000
	before=$(balance payee)
	id=$(new_task t1 5) || exit 1
	[ "$(balance payer)" = 95000000 ] || fail "the escrow was not taken: $(balance payer)"
	cli payee task run "$id" -- "$tmp/work" >"$tmp/run" &
	runs=$!
	poll 20 program_is_hashed payee "$id" || fail "its program was not read: $(task_of payee "$id")"
	: >"$tmp/seen"
	wait "$runs" || fail "run: $(cat "$tmp/run") $(tail -5 "$tmp/payee/log")"
	grep -qx hello "$tmp/run" || fail "the command did not run: $(cat "$tmp/run")"
	poll 30 phase_is payer "$id" settled || fail "not settled: $(task_of payer "$id")"
	[ "$(($(balance payee) - before))" = 5000000 ] || fail "the payee has $(balance payee), before $before"
	[ "$(balance payer)" = 95000000 ] || fail "the payer has $(balance payer)"
	the_receipt_tells_of_what_ran "$id"
	the_chain_agrees_with_the_receipt "$id"
	keys_stay_where_they_are
	the_card_says_who_it_is_and_how_it_is_paid
	the_same_again_is_the_same_task "$id"
	a_failed_command_is_not_paid_and_its_task_declined
	what_is_late_goes_home
	a_dry_create_sends_nothing
	limits_hold
	who_is_killed_while_a_task_runs
}

# chosen: what the chain chose, counted by ethers from what the node says of the block.
chosen()
{
	local block
	block=$(rpc "$settle_rpc" eth_getBlockByNumber "[\"$(printf '0x%x' "$(jq .block "$tmp/asked")")\",false]" | jq -r .hash)
	node -e 'const { createRequire } = require("node:module"); const { ethers } = createRequire(process.cwd() + "/chain/package.json")("ethers");
		const [block, task, size] = process.argv.slice(1);
		console.log([...new Set(Array.from({ length: 8 }, (_, j) =>
			String(BigInt(ethers.solidityPackedKeccak256(["bytes32", "bytes32", "uint256"], [block, task, j])) % BigInt(size))))].join(","));' \
		"$block" "$1" "$(jq .size "$tmp/asked")"
}

# audit CODE: of what was opened, by the payer.
audit()
{
	local rc=0
	"$linnix" receipt verify "$tmp/receipt" --event "$tmp/opened" -k 8 --rpc "$settle_rpc" --json >"$tmp/verdict" || rc=$?
	[ "$rc" -eq "$1" ] || fail "audit: exit $rc, not $1: $(cat "$tmp/verdict")"
}

# The payee must open what a block chose that nobody knew before; one event that it cannot open is a reason for a dispute, in $reason.
the_payee_opens_what_the_chain_chose()
{
	local rc=0 asked last
	api payee "/tasks/$1/receipt" >"$tmp/receipt"
	cp "$tmp/payee/events/"*"${1#0x}"* "$tmp/events" || fail "no events"
	"$linnix" receipt challenge "$tmp/receipt" --rpc "$settle_rpc" -k 8 >"$tmp/asked" 2>&1 || rc=$?
	[ "$rc" -eq 3 ] || fail "chosen too soon: exit $rc: $(cat "$tmp/asked")"
	grep -q 'which chooses, is not there yet' "$tmp/asked" || fail "$(cat "$tmp/asked")"
	mine 1
	"$linnix" receipt challenge "$tmp/receipt" --rpc "$settle_rpc" -k 8 --json >"$tmp/asked" || fail "challenge: $(cat "$tmp/asked")"
	asked=$(jq -r '.indexes | join(",")' "$tmp/asked")
	[ "$asked" = "$(chosen "$1")" ] || fail "other events than $(chosen "$1"): $(cat "$tmp/asked")"
	[ "$("$linnix" receipt challenge "$tmp/receipt" --rpc "$settle_rpc" -k 8 2>/dev/null)" = "$asked" ] || fail "not the same as text"
	"$linnix" receipt open "$tmp/receipt" --events "$tmp/events" --event "$asked" >"$tmp/opened" || fail "cannot open $asked"
	audit 0
	jq -e '.verdict == "valid" and (.checked | any(test("^challenge: [0-9]+ events that block [0-9]+ chose$")))' "$tmp/verdict" >/dev/null ||
		fail "$(cat "$tmp/verdict")"
	# another event in the place of the last one
	last=${asked##*,}
	"$linnix" receipt open "$tmp/receipt" --events "$tmp/events" --event $(((last + 1) % $(jq .size "$tmp/asked"))) >"$tmp/wrong" || fail "open"
	{ sed '$d' "$tmp/opened"; jq -c --arg i "$last" '.index = $i' "$tmp/wrong"; } >"$tmp/forged"
	mv "$tmp/forged" "$tmp/opened"
	audit 1
	jq -e --arg i "$last" '.reasons | index("event: number \($i) is not in the tree of this receipt")' "$tmp/verdict" >/dev/null || fail "$(cat "$tmp/verdict")"
	# a payee that lost the line of one: it can open none of its file, and sends what it had
	sed -i "$((last + 1))d" "$tmp/events"
	! "$linnix" receipt open "$tmp/receipt" --events "$tmp/events" --event "$asked" >"$tmp/wrong" 2>&1 || fail "opened from a file that lost one"
	sed -i '$d' "$tmp/opened"
	audit 1
	reason=$(jq -r '.reasons | join("; ")' "$tmp/verdict")
	[ "$reason" = "challenge: event $last was not opened" ] || fail "$(cat "$tmp/verdict")"
}

silence_of_payer_and_arbiter_pays_by_the_receipt()
{
	local id before reason
	need_root
	settle_chain CHAIN_DISPUTE_BLOCKS=30 CHAIN_ARBITER_BLOCKS=8
	settle_agent payer 'auto_settle: false'
	settle_agent payee
	fund payer 100000000
	before=$(balance payee)
	id=$(new_task t4 4) || exit 1
	cli payee task run "$id" -- true >"$tmp/run" 2>&1 || fail "run: $(cat "$tmp/run")"
	poll 20 phase_is payer "$id" verified || fail "$(task_of payer "$id")"
	[ "$(balance payee)" = "$before" ] || fail "paid before the window was over"
	mine 32
	poll 30 phase_is payee "$id" settled || fail "$(task_of payee "$id")"
	[ "$(($(balance payee) - before))" = 4000000 ] || fail "the payee has $(balance payee)"
	id=$(new_task t5 3) || exit 1
	cli payee task run "$id" -- sh -c 'for i in 1 2 3 4 5 6 7 8; do /bin/true; done' >"$tmp/run" 2>&1 || fail "run: $(cat "$tmp/run")"
	poll 20 phase_is payer "$id" verified || fail "$(task_of payer "$id")"
	the_payee_opens_what_the_chain_chose "$id"
	cli payer task dispute "$id" --reason "$reason" --wait $((30 * patience))s >"$tmp/dispute" 2>&1 || fail "$(cat "$tmp/dispute")"
	[ "$(($(balance payee) - before))" = 4000000 ] || fail "paid in spite of the dispute"
	mine 10
	poll 30 phase_is payee "$id" resolved || fail "$(task_of payee "$id")"
	[ "$(($(balance payee) - before))" = 7000000 ] || fail "the payee has $(balance payee)"
}

# Without escrow the payer can take its money back; nobody may believe that it was paid then.
without_escrow_nothing_is_sure()
{
	local id before runs
	id=$(new_task a1 2 --mode allowance) || exit 1
	[ "$(balance payer)" = 93000000 ] || fail "something was taken: $(balance payer)"
	poll 20 is_covered payee "$id" || fail "$(task_of payee "$id")"
	before=$(balance payee)
	cli payee task run "$id" -- true >"$tmp/run" 2>&1 || fail "run: $(cat "$tmp/run")"
	poll 20 phase_is payer "$id" settled || fail "$(task_of payer "$id")"
	[ "$(($(balance payee) - before))" = 2000000 ] || fail "the payee has $(balance payee)"
	id=$(new_task a2 2 --mode allowance --deadline-blocks 40) || exit 1
	poll 20 is_covered payee "$id" || fail "$(task_of payee "$id")"
	# the work begins, and the allowance goes
	cli payee task run "$id" --wait 8s -- sh -c "until [ -e '$tmp/revoked' ]; do sleep 0.05; done" >"$tmp/run" 2>&1 &
	runs=$!
	poll 20 phase_is payee "$id" running || fail "$(task_of payee "$id")"
	as_account "${settle_addresses[payer]}" "$token" "0x095ea7b3$(word "${settlement,,}")$(printf '%064x' 0)"
	: >"$tmp/revoked"
	poll 30 waits_for payee "$id" InsufficientAllowance || fail "$(task_of payee "$id")"
	[ "$(balance payer)" = 91000000 ] || fail "the payer has $(balance payer)"
	wait "$runs" && fail "run says that it went well: $(cat "$tmp/run")"
	mine 50
	is_over() { phase_is payee "$1" failed || phase_is payee "$1" expired; }
	poll 40 is_over "$id" || fail "$(task_of payee "$id")"
	[ "$(balance payer)" = 91000000 ] || fail "the payer has $(balance payer)"
}

is_covered() { api "$1" "/tasks/$2" | jq -e .covered >/dev/null; }
waits_for() { api "$1" "/tasks/$2" | jq -e --arg w "$3" 'any(.operations[]; .state == "queued" and (.error | test($w)))' >/dev/null; }

# A payee that the token does not pay: the escrow waits for it.
a_blacklisted_payee_fetches_it_later()
{
	local id before waits
	before=$(balance payee)
	id=$(new_task b1 1) || exit 1
	as_account "${settle_addresses[payer]}" "$token" "$1$(word "${settle_addresses[payee],,}")$(printf '%064x' 1)"
	cli payee task run "$id" -- true >"$tmp/run" 2>&1 || fail "run: $(cat "$tmp/run")"
	poll 20 phase_is payee "$id" settled || fail "$(task_of payee "$id")"
	[ "$(balance payee)" = "$before" ] || fail "paid in spite of the blacklist"
	as_account "${settle_addresses[payer]}" "$token" "$1$(word "${settle_addresses[payee],,}")$(printf '%064x' 0)"
	rpc "$settle_rpc" evm_setAutomine '[false]' >/dev/null || true
	"$linnix" --url "unix:$tmp/payee/sock" task withdraw "$id" --wait $((40 * patience))s >"$tmp/out" 2>&1 &
	waits=$!
	poll 20 operation payee "$id" withdraw true || fail "$(task_of payee "$id")"
	is_alive "$waits" || fail "it did not wait: $(cat "$tmp/out")"
	# it looks again when its operation is over, and forgotten
	kill -STOP "$waits"
	rpc "$settle_rpc" evm_setAutomine '[true]' >/dev/null || true
	mine 1
	poll 20 operation payee "$id" withdraw '.state == "confirmed"' || fail "$(task_of payee "$id")"
	[ "$(($(balance payee) - before))" = 1000000 ] || fail "the payee has $(balance payee)"
	# what does nothing does not say that it did
	! cli payee task withdraw "$id" --wait 20s >"$tmp/again" 2>&1 || fail "withdrawn twice: $(cat "$tmp/again")"
	[ "$(($(balance payee) - before))" = 1000000 ] || fail "the payee has $(balance payee)"
	mine 40
	poll 20 has_forgotten_its_operations payee "$id" || fail "$(task_of payee "$id")"
	kill -CONT "$waits"
	wait "$waits" || fail "$(cat "$tmp/out")"
	grep -q 'withdrawal *confirmed' "$tmp/out" || fail "it does not tell of it: $(cat "$tmp/out")"
}

has_forgotten_its_operations() { api "$1" "/tasks/$2" | jq -e '.final and .operations == []' >/dev/null; }

# Neither what the agent writes nor what it says nor what it gives to children has the key in it.
the_key_is_nowhere()
{
	need python3
	local k=${settle_keys[payee]} b64 f pid=${settle_pids[payee]}
	b64=$(python3 -c 'import base64, sys; print(base64.b64encode(bytes.fromhex(sys.argv[1])).decode()[:40])' "$k")
	for f in / /tasks /status /readyz /plugins /metrics /.well-known/agent-card.json; do
		api payee "$f" >>"$tmp/payee/said" 2>/dev/null
	done
	"$linnixd" --config "$tmp/payee/conf.yaml" --dump-config >"$tmp/payee/dumped" 2>&1
	tr '\0' '\n' <"/proc/$pid/environ" >"$tmp/payee/environ"
	grep -q 'Max core file size *0 ' "/proc/$pid/limits" || fail "it may leave a core"
	rm -f "$tmp/payee/key"
	! grep -rliE -e "$k" "$tmp/payee" || fail "the key is there in hex"
	! grep -rlF -e "$b64" "$tmp/payee" || fail "the key is there in base64"
	[ -s "$tmp/payee/said" ] || fail "the API said nothing"
}

money_that_is_taken_back()
{
	need_root
	settle_chain
	settle_agent payer
	settle_key_line='' LINNIX_CHAIN_PRIVATE_KEY=${settle_keys[payee]} settle_agent payee
	fund payer 93000000
	without_escrow_nothing_is_sure
	a_blacklisted_payee_fetches_it_later 0xd01dd6d2
	the_key_is_nowhere
}

[ $# -gt 0 ] || set -- from_create_to_paid silence_of_payer_and_arbiter_pays_by_the_receipt money_that_is_taken_back
run "$@"
