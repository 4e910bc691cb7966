#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# One agent pays another for work that was measured, from the first key to the moved money, on a chain of this machine.
#
#   scripts/demo_commerce_e2e.sh --local    a local Hardhat node, our contracts, a token worth nothing; two agents of the build
#
# Exit 0: the money moved as it should and a changed receipt was refused. 1: it did not, 2: usage, 77 with a reason: npm or root is
# missing. Everything it starts ends with it.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C.UTF-8 HARDHAT_DISABLE_TELEMETRY_PROMPT=true
for v in "${!LINNIX_@}"; do unset "$v"; done

build=${LNX_BUILD:-build}
case $build in /*) ;; *) build=$PWD/$build ;; esac
MAX=5          # USDC that the payer puts aside
UNIT=0.25      # USDC that the payee asks for a CPU second
FUNDS=100      # USDC that the payer has
AUDIT=4        # events that the payee has to open
WITHIN=30      # s, for each thing that is waited for
[ -z "${LNX_SAN:-}" ] || WITHIN=120 # an instrumented build is slow
pids=()
dir=

say() { printf '\n== %s\n' "$*"; }
die()
{
	printf 'demo: %s\n' "$*" >&2
	for f in "$dir"/*/log "$dir/node.log"; do
		[ -s "$f" ] && tail -8 "$f" | sed "s,^,$(basename "$(dirname "$f")"): ," >&2
	done
	exit 1
}
give_up()
{
	printf 'demo: %s\n' "$*" >&2
	exit 77
}

cleanup()
{
	local rc=$? p
	trap - EXIT INT TERM
	for p in "${pids[@]+"${pids[@]}"}"; do kill "$p" 2>/dev/null || true; done
	for p in "${pids[@]+"${pids[@]}"}"; do wait "$p" 2>/dev/null || true; done
	[ -z "$dir" ] || rm -rf "$dir"
	exit "$rc"
}

exec {nap_fd}<> <(:)
nap() { read -rt "$1" -u "$nap_fd" || true; }

# poll WHAT COMMAND...: until it succeeds.
poll()
{
	local what=$1 end=$((SECONDS + WITHIN))
	shift
	until "$@" 2>/dev/null; do
		[ "$SECONDS" -lt "$end" ] || die "not within $WITHIN s: $what"
		nap 0.1
	done
}

free_port()
{
	local p
	while p=$((20000 + RANDOM % 12000)); do
		(exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null || break
	done
	echo "$p"
}

# --- the chain --------------------------------------------------------------------------------------------------------

rpc()
{
	curl -fsS -m 5 -H 'Content-Type: application/json' -d "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"$1\",\"params\":$2}" "$rpc_url" |
		jq -er '.result'
}

start_chain()
{
	local hardhat rc=0
	say "packages: versions of chain/package-lock.json"
	hardhat=$(scripts/dev/chain_tools.sh hardhat) || rc=$?
	[ "$rc" -ne 77 ] || give_up "the packages cannot be had here"
	[ "$rc" -eq 0 ] || die "the packages cannot be installed"
	rpc_url=http://127.0.0.1:$(free_port)
	say "a Hardhat node on $rpc_url"
	(cd chain && exec node "$hardhat" node --hostname 127.0.0.1 --port "${rpc_url##*:}") >"$dir/node.log" 2>&1 &
	pids+=($!)
	poll "the node answers" rpc eth_chainId '[]' >/dev/null
	# A day of two-second blocks would be a long demo.
	(cd chain && CHAIN_RPC_URL=$rpc_url CHAIN_DEPLOY_OUT=$dir/deployed.json CHAIN_DISPUTE_BLOCKS=100 \
		node "$hardhat" run --no-compile scripts/deploy.js --network localhost) >"$dir/deploy.log" 2>&1 ||
		die "deploying failed: $(cat "$dir/deploy.log")"
	jq -r '"AgentRegistry \(.registry_contract)\nTaskSettlement \(.settlement_contract)\nStakeBond \(.bond_contract)\nMockUSDC \(.token_address)"' \
		"$dir/deployed.json"
}

contract() { jq -r ".$1" "$dir/deployed.json"; }

# In millionths of a USDC: what is here fits 63 bits.
balance()
{
	local word
	word=$(rpc eth_call "[{\"to\":\"$(contract token_address)\",\"data\":\"0x70a08231000000000000000000000000${1#0x}\"},\"latest\"]")
	printf '%d\n' "0x${word: -16}"
}

usdc() { printf '%d.%06d USDC' $(($1 / 1000000)) $(($1 % 1000000)); }

show_balances()
{
	payer_has=$(balance "$payer_address")
	payee_has=$(balance "$payee_address")
	held=$(balance "$(contract settlement_contract)")
	printf '%-7s payer %s, payee %s, contract %s\n' "$1" "$(usdc "$payer_has")" "$(usdc "$payee_has")" "$(usdc "$held")"
}

# --- the agents -------------------------------------------------------------------------------------------------------

# The unix socket knows who asks: root needs no token there.
linnix() { "$build/bin/linnix" --url "unix:$dir/$1/sock" "${@:2}"; }
get() { curl -fsS -m 10 --unix-socket "$dir/$1/sock" "http://localhost$2"; }

verify() { "$build/bin/linnix" receipt verify "$@" --rpc "$rpc_url" --registry "$(contract registry_contract)" --settlement "$(contract settlement_contract)"; }

configure()
{
	local d=$dir/$1
	mkdir -m 700 "$d"
	cat >"$d/linnix.yaml" <<-YAML
		http:
		  listen: "off"
		  socket: $d/sock
		store:
		  path: $d/linnix.db
		plugins:
		  state_file: $d/plugins.state
		rules:
		  dir: $PWD/scripts/rules
		chain:
		  enabled: true
		  rpc_url: $rpc_url
		  chain_id: 31337
		  settlement_contract: "$(contract settlement_contract)"
		  registry_contract: "$(contract registry_contract)"
		  bond_contract: "$(contract bond_contract)"
		  token_address: "$(contract token_address)"
		  identity_path: $d/identity.json
		  state_path: $d/settle.db
		  events_dir: $d/events
		  lock_dir: $d
		  poll_interval: 200ms
		  price: {model: cpu, unit: "$UNIT"}
	YAML
	chmod 600 "$d/linnix.yaml"
	"$build/bin/linnix" identity new --file "$d/identity.json" --json >"$d/identity" 2>/dev/null || die "no identity for the $1"
}

start_agent()
{
	"$build/bin/linnixd" --config "$dir/$1/linnix.yaml" >"$dir/$1/log" 2>&1 &
	pids+=($!)
}

# didOf(address) of the registry.
is_registered()
{
	local word
	word=$(rpc eth_call "[{\"to\":\"$(contract registry_contract)\",\"data\":\"0x364c707b000000000000000000000000${1#0x}\"},\"latest\"]")
	[ "$word" != "0x$(printf '0%.0s' {1..64})" ]
}

task_is() { linnix "$1" task show "$task" --json | jq -e "$2" >/dev/null; }

# --- the story --------------------------------------------------------------------------------------------------------

two_agents()
{
	say "two agents, each with an identity and a key of its own"
	local who
	for who in payer payee; do
		configure "$who"
		start_agent "$who"
	done
	payer_address=$(jq -r .address "$dir/payer/identity")
	payee_address=$(jq -r .address "$dir/payee/identity")
	payee_did=$(jq -r .did "$dir/payee/identity")
	for who in payer payee; do
		jq -r '"'"$who"'   \(.did)\n        \(.address)"' "$dir/$who/identity"
	done
	node chain/scripts/fund.js "$rpc_url" "$dir/deployed.json" "$payer_address" 1 "$FUNDS"
	node chain/scripts/fund.js "$rpc_url" "$dir/deployed.json" "$payee_address" 1 0
	poll "the payer is registered" is_registered "$payer_address"
	poll "the payee is registered" is_registered "$payee_address"
	echo "both are in the registry"
}

the_task()
{
	say "the payer puts $MAX USDC aside for a task"
	show_balances before
	before_payer=$payer_has before_payee=$payee_has
	task=$(linnix payer task create --name demo --payee "$payee_did" --amount "$MAX" --wait "${WITHIN}s" --json |
		jq -er .task_id) || die "no task"
	poll "the payee sees it" task_is payee '.phase == "offered"'
	show_balances escrow
	[ "$held" -eq $((MAX * 1000000)) ] || die "the contract should hold $MAX USDC"
}

the_work()
{
	say "the payee works, measured by its own probes"
	linnix payee task run "$task" --wait "${WITHIN}s" -- bash -c 'for i in 1 2 3; do head -c 100M /dev/zero | sha256sum; done' || die "the work failed"
	poll "there is a receipt" task_is payee .has_receipt
	get payee "/tasks/$task/receipt" >"$dir/receipt.json"
	get payee "/tasks/$task/events" >"$dir/events"
	"$build/bin/linnix" receipt show "$dir/receipt.json"
}

# A block that came after the receipt chooses events; the payee opens them, the payer needs no others.
the_audit()
{
	local asked
	asked=$("$build/bin/linnix" receipt challenge "$dir/receipt.json" --rpc "$rpc_url" -k "$AUDIT" 2>"$dir/asked") || die "no challenge: $(cat "$dir/asked")"
	"$build/bin/linnix" receipt open "$dir/receipt.json" --events "$dir/events" --event "$asked" >"$dir/opened" || die "the payee cannot open $asked"
	echo "events that a block chose, opened by the payee: $asked"
}

the_payment()
{
	say "the payer's agent verifies the receipt from the chain, then pays"
	poll "the task is settled" task_is payer '.chain_status == "settled"'
	the_audit
	verify "$dir/receipt.json" --events "$dir/events" --event "$dir/opened" -k "$AUDIT" || die "the receipt is not valid"
	show_balances after
	local paid
	paid=$((payee_has - before_payee))
	[ "$paid" -gt 0 ] || die "the payee got nothing"
	[ "$paid" -le $((MAX * 1000000)) ] || die "the payee got more than was agreed"
	[ $((before_payer - payer_has)) -eq "$paid" ] || die "the payer paid another amount than the payee got"
	[ "$held" -eq 0 ] || die "the contract kept something"
	task_is payer ".actual_amount == \"$paid\"" || die "the receipt says another amount"
	echo "$(usdc "$paid") moved from the payer to the payee, $(usdc $((MAX * 1000000 - paid))) came back"
}

# refused NAME RECEIPT EVENTS: exit code 1 of linnix receipt verify, and its reason.
refused()
{
	local rc=0
	echo "$1:"
	verify "$2" --events "$3" >"$dir/refused" 2>&1 || rc=$?
	sed 's/^/  /' "$dir/refused"
	[ "$rc" -eq 1 ] || die "linnix receipt verify should have said 1 and said $rc"
}

the_forgery()
{
	say "receipts that were changed"
	jq '.payload |= (@base64d | sub("\"cpu_ns\":\""; "\"cpu_ns\":\"9") | @base64)' "$dir/receipt.json" >"$dir/dearer.json"
	refused "more CPU time" "$dir/dearer.json" "$dir/events"
	sed 2d "$dir/events" >"$dir/fewer"
	refused "an event less" "$dir/receipt.json" "$dir/fewer"
	echo "the contract, asked again with the call that brought the receipt:"
	node chain/scripts/tamper.js "$rpc_url" "$dir/deployed.json" "$task" || die "the contract takes a changed receipt"
}

if [ "$*" != --local ]; then
	sed -n '4,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
	exit 2
fi
for tool in curl jq node; do
	command -v "$tool" >/dev/null || give_up "needs $tool"
done
[ "$(id -u)" -eq 0 ] || give_up "needs root: the work is measured by BPF probes"
[ -x "$build/bin/linnixd" ] || die "nothing is built: make"
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
dir=$(mktemp -d)
begin=$SECONDS
start_chain
two_agents
the_task
the_work
the_payment
the_forgery
say "done in $((SECONDS - begin)) s: paid what was measured, once; a changed receipt is worth nothing"
