#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: it looks only at its own
#
# linnix identity and linnix receipt: files, exit codes, reasons; what a key leaves behind in an agent, and that a default agent loads none.

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"

data=tests/data/chain

# expect CODE COMMAND...: its output is in $out.
expect()
{
	local want=$1 rc=0
	shift
	out=$("$@" 2>&1) || rc=$?
	[ "$rc" -eq "$want" ] || fail "$*: exit $rc, not $want: $out"
}

says() { [[ $out == *"$1"* ]] || fail "no '$1' in: $out"; }

an_identity_is_made_shown_and_rotated()
{
	local file=$tmp/own/id.json old
	(umask 0 && mkdir -m 700 "$tmp/own")
	expect 1 "$linnix" identity show --file "$file"
	says "linnix identity new"
	expect 0 "$linnix" identity new --file "$file" --dry-run --json
	says '"dry_run":true'
	[ ! -e "$file" ] || fail "a dry run wrote"
	(umask 0 && "$linnix" identity new --file "$file" >/dev/null 2>&1) || fail "new"
	[ "$(stat -c %a "$file")" = 600 ] || fail "mode $(stat -c %a "$file")"
	expect 1 "$linnix" identity new --file "$file"
	says "there is one already"
	old=$("$linnix" identity show --file "$file" --json | jq -r .did)
	expect 0 env LINNIX_CHAIN_IDENTITY_PATH="$file" "$linnix" identity rotate --json
	[ "$("$linnix" identity show --file "$file" --json | jq -r .rotated_from)" = "$old" ] || fail "rotated_from"
	[ "$("$linnix" identity show --file "$file.$old" --json | jq -r .did)" = "$old" ] || fail "the old one is gone"
	out=$("$linnix" identity show --file "$file" --json; "$linnix" identity show --file "$file")
	! grep -qF "$(jq -r .seed "$file")" <<<"$out" || fail "the seed is shown"
	chmod 640 "$file"
	expect 1 "$linnix" identity show --file "$file"
	says "chmod 600"
	expect 0 "$linnix" identity --help
	expect 0 "$linnix" receipt verify -h
	says "usage: linnix receipt show"
	expect 2 "$linnix" identity
	expect 2 "$linnix" identity show --bad
	expect 2 "$linnix" identity burn
	says "not burn"
}

a_new_identity_is_whole_or_not_there()
{
	local i pid
	mkdir -m 700 "$tmp/own"
	for i in {1..12}; do
		"$linnix" identity new --file "$tmp/own/$i" >/dev/null 2>&1 &
		pid=$!
		nap "0.0$((i % 6))"
		kill -KILL "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
		if [ -e "$tmp/own/$i" ]; then
			expect 0 "$linnix" identity show --file "$tmp/own/$i"
		else
			expect 0 "$linnix" identity new --file "$tmp/own/$i"
		fi
	done
}

# What the chain was not asked is not known to be right, whatever the file says of itself.
a_receipt_is_verified_alone_and_with_its_events()
{
	expect 3 "$linnix" receipt verify "$data/receipt.json"
	says "unknown 0x"
	says "  checked: the file: both signatures and who signed, price, window, gaps"
	says "  not checked: chain: it was not asked what it has of this task (--rpc URL)"
	says "  note: events: not given (--events): their root and sums were not recomputed"
	expect 3 "$linnix" receipt verify "$data/receipt.json" --events "$data/receipt.events" --json
	jq -e '.verdict == "unknown" and .chain_asked == false and (.checked | length) == 2 and (.not_checked | length) == 1 and .notes == [] and
		(.checked[1] | test("sums of 21"))' <<<"$out" >/dev/null || fail "$out"
	expect 0 "$linnix" receipt show "$data/receipt.json" --json
	[ "$(jq -r .predicate.task.actual_amount <<<"$out")" = 31500 ] || fail "$out"
	expect 3 "$linnix" receipt verify "$data/receipt.json" --rpc "http://127.0.0.1:1" --dry-run
	says "would ask: "
}

events_are_opened_one_by_one_and_many_at_once()
{
	expect 0 "$linnix" receipt open "$data/receipt.json" --events "$data/receipt.events" --event 20
	printf '%s\n' "$out" >"$tmp/opened"
	expect 3 "$linnix" receipt verify "$data/receipt.json" --event "$tmp/opened"
	says "1 events: that they are in the tree"
	expect 1 "$linnix" receipt open "$data/receipt.json" --events "$data/receipt.events" --event 3,21
	expect 3 "$linnix" receipt verify "$data/receipt.json" --events "$data/receipt.events" --event 20,0
	expect 1 "$linnix" receipt verify "$data/receipt.json" --events "$data/receipt.events" --event 21
	says "event: 21: there is no such event in it"
	sed -i 's/cpu_ns\\":\\"1/cpu_ns\\":\\"2/' "$tmp/opened"
	expect 1 "$linnix" receipt verify "$data/receipt.json" --event "$tmp/opened"
	says "is not in the tree of this receipt"
	expect 0 "$linnix" receipt open "$data/receipt.json" --events "$data/receipt.events" --event 5,0,20,5
	printf '%s\n' "$out" >"$tmp/opened"
	[ "$(jq -sc 'map(.index)' "$tmp/opened")" = '["5","0","20","5"]' ] || fail "$out"
	expect 3 "$linnix" receipt verify "$data/receipt.json" --event "$tmp/opened" -k 2
	says "not checked: challenge: a block chooses the events (--rpc URL)"
	sed -i '2s/"salt":"0x./"salt":"0x/' "$tmp/opened"
	expect 1 "$linnix" receipt verify "$data/receipt.json" --event "$tmp/opened"
	says "line 2: not an opened event"
	# an events file that is not the one of the receipt
	sed '4s/"cpu_ns":"1/"cpu_ns":"2/' "$data/receipt.events" >"$tmp/other"
	expect 1 "$linnix" receipt open "$data/receipt.json" --events "$tmp/other" --event 0
	says "is not of this receipt"
}

what_cannot_be_asked_for_is_told()
{
	local many
	many=$(seq -s, 65)
	expect 2 "$linnix" receipt open "$data/receipt.json" --events "$data/receipt.events" --event "$many"
	expect 2 "$linnix" receipt open "$data/receipt.json" --events "$data/receipt.events" --event 1,,2
	expect 2 "$linnix" receipt open "$data/receipt.json" --events "$data/receipt.events" --event 18446744073709551616
	expect 2 "$linnix" receipt open "$data/receipt.json" --event 1
	expect 2 "$linnix" receipt verify "$data/receipt.json" -k 3
	says "needs --event OPENED"
	expect 2 "$linnix" receipt challenge "$data/receipt.json" --rpc http://127.0.0.1:1 -k 65
	expect 2 "$linnix" receipt challenge "$data/receipt.json"
	says "challenge needs --rpc"
	expect 3 "$linnix" receipt challenge "$data/receipt.json" --rpc http://127.0.0.1:1
	[[ $out == *"not checked: chain:"* ]] || fail "$out"
	jq '.payload |= (@base64d | sub("\"1000\""; "\"1001\"") | @base64)' "$data/receipt.json" >"$tmp/changed.json"
	expect 1 "$linnix" receipt challenge "$tmp/changed.json" --rpc http://127.0.0.1:1
}

what_is_wrong_is_named()
{
	sed '5d' "$data/receipt.events" >"$tmp/removed"
	expect 1 "$linnix" receipt verify "$data/receipt.json" --events "$tmp/removed" --json
	jq -e '.reasons | index("events: number 6 where 5 must come")' <<<"$out" >/dev/null || fail "$out"
	sed '3s/"cpu_ns":"1/"cpu_ns":"7/' "$data/receipt.events" >"$tmp/changed"
	expect 1 "$linnix" receipt verify "$data/receipt.json" --events "$tmp/changed"
	says "usage: cpu_ns is 21000000000, the events sum to 27000000000"
	sed -E 's/("signature":"0x[0-9a-f]{128})1[bc]/\11d/' "$data/receipt.json" >"$tmp/v"
	expect 1 "$linnix" receipt verify "$tmp/v"
	says "v of the signature is not 27 or 28"
	expect 1 "$linnix" receipt verify "$data/receipt.json" --settlement 0x0000000000000000000000000000000000000009
	says "for another contract than --settlement"
	head -c 700 "$data/receipt.json" >"$tmp/cut"
	printf '{"payload":"","payload":""}' >"$tmp/twice"
	printf '{"a":"\0"}' >"$tmp/nul"
	head -c 200000 /dev/zero >"$tmp/huge"
	expect 1 "$linnix" receipt verify "$tmp/cut"
	expect 1 "$linnix" receipt verify "$tmp/twice"
	says "duplicate"
	expect 1 "$linnix" receipt verify "$tmp/nul"
	expect 2 "$linnix" receipt verify "$tmp/huge"
	expect 2 "$linnix" receipt verify "$tmp/none"
	expect 2 "$linnix" receipt verify
	expect 2 "$linnix" receipt verify "$data/receipt.json" --rpc
	expect 2 "$linnix" receipt verify "$data/receipt.json" --registry 0x12
	expect 2 "$linnix" receipt verify "$data/receipt.json" --events "$tmp"
	expect 3 "$linnix" receipt verify "$data/receipt.json" --rpc http://user:word@127.0.0.1:1/key
	[[ $out != *word* && $out != *key* ]] || fail "the URL's secrets are shown: $out"
}

# holds FILE...: is the key there, as hex, as base64 or as it is?
holds()
{
	local file rc=1
	for file in "$@"; do
		grep -qiaF -e "$key" -e "$b64" "$file" && rc=0
		LC_ALL=C grep -qaP "$raw" "$file" && rc=0
	done
	return "$rc"
}

# A core made by force has it not, and the process makes none by itself.
no_core_has_it()
{
	need gcore
	[ "$(awk '/^Max core/ { print $5 $6 }' "/proc/$agent/limits")" = 00 ] || fail "a core may be written"
	gcore -o "$tmp/forced" "$agent" >"$tmp/gcore.log" 2>&1 || fail "gcore: $(tail -3 "$tmp/gcore.log")"
	grep -qaF linnix "$tmp/forced.$agent" || fail "the core is empty"
	! holds "$tmp/forced.$agent" || fail "the key is in the core"
	rm "$tmp/forced.$agent"
	# the limit raised from outside, where root may do that: still none, a process that is not dumpable has none
	prlimit --pid "$agent" --core=unlimited 2>/dev/null || true
	kill -ABRT "$agent"
	wait "$agent" 2>/dev/null
	! ls "$tmp"/core* 2>/dev/null || fail "it left a core"
}

# agent_with_key: starts one; its key is nowhere to be read afterwards but in memory that is locked and in no core.
agent_with_key()
{
	start_agent
	unset LINNIX_CHAIN_PRIVATE_KEY
	! tr '\0' '\n' <"/proc/$agent/environ" | grep -qiF "$key" || fail "it is in /proc/PID/environ"
	out=$(python3 tests/func/settle_memory.py "$agent" "$key") || fail "in memory: $out"
	{ get /status; get /plugins; get /readyz; get /metrics; get /events; get /.well-known/agent-card.json; } >"$tmp/api" || fail "the API"
	! holds "$tmp/api" || fail "it is in the API"
}

a_key_leaves_no_trace()
{
	local key raw b64 file
	[ -z "${LNX_SAN:-}" ] || skip "an instrumented program locks no memory, and keeps what was freed and its environment"
	need_root
	need python3
	need prlimit
	raw=$(head -c 32 /dev/urandom | od -An -v -tx1 -w32 | sed 's/ /\\x/g')
	key=${raw//\\x/}
	b64=$(printf '%b' "$raw" | base64 | cut -c1-42)
	chmod 700 "$tmp"
	prepare
	linnixd=$(realpath "$linnixd")
	launcher=(env -C "$tmp") # where it would leave a core
	export LINNIX_CHAIN_ENABLED=true LINNIX_CHAIN_PRIVATE_KEY=$key LINNIX_CHAIN_RPC_URL=http://127.0.0.1:1 LINNIX_CHAIN_IDENTITY_PATH=$tmp/id.json \
		LINNIX_CHAIN_STATE_PATH=$tmp/settle.db LINNIX_CHAIN_LOCK_DIR=$tmp/lock LINNIX_CHAIN_EVENTS_DIR=$tmp/events \
		LINNIX_CHAIN_SETTLEMENT_CONTRACT=0x60eE6872920addF41359625B47A07401496bBD5b LINNIX_CHAIN_REGISTRY_CONTRACT=0x9a6FeBA6d7B97ef91099051eB61F372d1EcD83a3 \
		LINNIX_CHAIN_TOKEN_ADDRESS=0x036CbD53842c5426634e7929541eC2318f3dCF7e
	agent_args=(--config "$PWD/etc/linnix.yaml")
	agent_with_key
	stop_agent TERM
	# and from the file of the configuration, which is read again meanwhile
	printf 'chain:\n  private_key: "0x%s"\n' "$key" | (umask 077 && cat >"$tmp/key.yaml")
	agent_args=(--config "$tmp/key.yaml")
	expect 0 "$linnixd" "${agent_args[@]}" --dump-config
	says 'private_key: "***"'
	agent_with_key
	kill -HUP "$agent"
	poll 20 grep -q 'configuration reloaded' "$log" || fail "no reload: $(tail -3 "$log")"
	out=$(python3 tests/func/settle_memory.py "$agent" "$key") || fail "in memory after a reload: $out"
	! grep -q 'restart: chain.private_key' "$log" || fail "the same key is told as another: $(tail -3 "$log")"
	sed -i 's/[0-9a-f]"$/g"/' "$tmp/key.yaml"
	kill -HUP "$agent"
	poll 20 grep -q 'takes effect only after a restart: chain.private_key' "$log" || fail "another key is not told: $(tail -3 "$log")"
	no_core_has_it
	rm "$tmp/key.yaml"
	while read -r file; do
		! holds "$file" || fail "it is in $file"
	done < <(find "$tmp" -type f)
}

a_default_agent_loads_no_key_and_no_curve()
{
	start_agent
	[ "$(get /plugins | jq -r '.[] | select(.instance == "settle") | .state')" = off ] || fail "settle is not off"
	! grep -q secp256k1 "/proc/$agent/maps" || fail "libsecp256k1 is loaded"
	[ ! -e "$tmp/settle.db" ] || fail "it opened a state file"
}

run an_identity_is_made_shown_and_rotated a_new_identity_is_whole_or_not_there a_receipt_is_verified_alone_and_with_its_events \
	events_are_opened_one_by_one_and_many_at_once what_cannot_be_asked_for_is_told what_is_wrong_is_named a_key_leaves_no_trace a_default_agent_loads_no_key_and_no_curve
