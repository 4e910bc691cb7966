# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# For tests of settlement: sourced after lib_chain.sh. settle_chain makes a node with the contracts, settle_agent NAME an agent of
# its own key; cli, api, task_of, phase_of and balance ask them.

# The accounts that every local node has: their keys are known to all, and worth nothing.
declare -A settle_keys=(
	[payer]=59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d
	[payee]=5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a
)
declare -A settle_addresses=(
	[payer]=0x70997970C51812dc3A010C7d01b50e0d17dc79C8
	[payee]=0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC
)
declare -A settle_pids=()

# settle_chain [NAME=VALUE...]: a node with contracts; the variables are those of deploy.js.
settle_chain()
{
	need jq
	start_anvil
	deploy_contracts "$@"
	settle_rpc=$rpc_url
	settlement=$(jq -r .settlement_contract "$deployed")
	token=$(jq -r .token_address "$deployed")
}

# settle_conf NAME [LINE...]: its configuration, with lines of the section chain.
settle_conf()
{
	local name=$1 dir=$tmp/$1 port
	shift
	mkdir -p "$dir"
	chmod 700 "$dir"
	[ -e "$dir/port" ] || free_port >"$dir/port"
	port=$(cat "$dir/port")
	printf '%s\n' "${settle_keys[${key_of:-$name}]}" >"$dir/key"
	chmod 600 "$dir/key"
	cat >"$dir/conf.yaml" <<-END
		http: {listen: "127.0.0.1:$port", socket: "$dir/sock"}
		store: {path: "off"}
		stall: {enabled: false}
		plugins: {state_file: $dir/plugins.state}
		chain:
		  enabled: true
		  rpc_url: [${settle_urls:-$settle_rpc}]
		  chain_id: 31337
		  settlement_contract: "$settlement"
		  registry_contract: "$(jq -r .registry_contract "$deployed")"
		  token_address: "$token"
		  identity_path: $dir/identity.json
		  state_path: $dir/settle.db
		  lock_dir: $tmp/lock
		  events_dir: $dir/events
		  poll_interval: 100ms
		  ${settle_key_line-private_key_file: $dir/key}
	END
	for line in "$@"; do
		printf '  %s\n' "$line" >>"$dir/conf.yaml"
	done
}

# settle_spawn NAME: start it, wait for nothing.
settle_spawn()
{
	"$linnixd" --config "$tmp/$1/conf.yaml" >>"$tmp/$1/log" 2>&1 &
	settle_pids[$1]=$!
}

# settle_agent NAME [LINE...]: an agent that is ready to sign.
settle_agent()
{
	settle_conf "$@"
	settle_spawn "$1"
	poll 30 settle_is_ready "$1" || fail "$1 is not ready: $(grep settle "$tmp/$1/log" | tail -5) $(tail -3 "$tmp/$1/log")"
}

settle_is_ready()
{
	is_alive "${settle_pids[$1]}" || fail "$1 ended: $(tail -5 "$tmp/$1/log")"
	grep -q 'settle: using' "$tmp/$1/log" && registered "$1" && answers_tasks "$1"
}

# Its registration is through, or is not wanted.
registered() { grep -q 'auto_register: false' "$tmp/$1/conf.yaml" || grep -qE 'register:.*: confirmed' "$tmp/$1/log"; }

settle_kill()
{
	kill -KILL "${settle_pids[$1]}"
	wait "${settle_pids[$1]}" 2>/dev/null
	return 0
}

api() { curl -fsS -m $((10 * patience)) --unix-socket "$tmp/$1/sock" "http://localhost$2"; }
answers_tasks() { api "$1" /tasks >/dev/null; }
cli()
{
	local name=$1
	shift
	"$linnix" --url "unix:$tmp/$name/sock" "$@"
}
did_of() { jq -r .did "$tmp/$1/identity.json"; }
address_of() { echo "${settle_addresses[$1]}"; }
task_of() { api "$1" "/tasks/$2" 2>&1; }
phase_of() { api "$1" "/tasks/$2" | jq -r .phase; }
phase_is() { [ "$(phase_of "$1" "$2")" = "$3" ]; }
chain_status_is() { [ "$(api "$1" "/tasks/$2" | jq -r .chain_status)" = "$3" ]; }

# new_task NAME AMOUNT [ARGUMENT...]: by the payer, for the payee, open on the chain; prints its id.
new_task()
{
	local name=$1 amount=$2
	shift 2
	cli payer task create --name "$name" --payee "$(did_of payee)" --amount "$amount" --wait $((40 * patience))s \
		--json "$@" >"$tmp/new" 2>&1 || {
		echo "create $name: $(cat "$tmp/new") $(tail -3 "$tmp/payer/log")" >&2
		return 1
	}
	jq -r .task_id "$tmp/new"
}

word() { printf '%064s' "${1#0x}" | tr ' ' 0; }
hex_to_dec() { printf '%d\n' "$1"; }

# balance NAME: of the token; amounts of tests fit the shell's numbers.
balance()
{
	hex_to_dec "$(rpc "$settle_rpc" eth_call "[{\"to\":\"$token\",\"data\":\"0x70a08231$(word "${settle_addresses[$1]}")\"},\"latest\"]" | jq -r . |
		sed 's/^0x0*\([0-9a-f]\)/0x\1/')"
}
nonce_of() { hex_to_dec "$(rpc "$settle_rpc" eth_getTransactionCount "[\"${settle_addresses[$1]}\",\"latest\"]" | jq -r .)"; }

# as_account NAME TO DATA: a transaction by an account of the node itself.
as_account() { rpc "$settle_rpc" eth_sendTransaction "[{\"from\":\"$1\",\"to\":\"$2\",\"data\":\"$3\",\"gas\":\"0x7a120\"}]" >/dev/null; }

# What the payer lets the contract take, and allow AMOUNT: so much, by itself and not by its agent.
allowance()
{
	hex_to_dec "$(rpc "$settle_rpc" eth_call \
		"[{\"to\":\"$token\",\"data\":\"0xdd62ed3e$(word "${settle_addresses[payer],,}")$(word "${settlement,,}")\"},\"latest\"]" |
		jq -r . | sed 's/^0x0*\([0-9a-f]\)/0x\1/')"
}
allow()
{
	as_account "${settle_addresses[payer]}" "$token" "0x095ea7b3$(word "${settlement,,}")$(printf '%064x' "$1")"
	[ "$(allowance)" = "$1" ] || fail "the allowance is $(allowance)"
}

# operation NAME TASK KIND FILTER: is there one of that kind of which that is true?
operation() { api "$1" "/tasks/$2" | jq -e --arg k "$3" "any(.operations[]; .kind == \$k and ($4))" >/dev/null; }

# health NAME TEXT: what the agent says of its health.
health() { curl -sS -m $((10 * patience)) --unix-socket "$tmp/$1/sock" http://localhost/readyz 2>&1 | grep -qF -e "$2"; }

# fund NAME AMOUNT: tokens out of nothing.
fund()
{
	local minter=0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266
	as_account "$minter" "$token" "0x40c10f19$(word "${settle_addresses[$1]}")$(printf '%064x' "$2")"
	[ "$(balance "$1")" -ge "$2" ] || fail "no tokens for $1"
}

# settle_proxy NAME: between an agent and the node; sets $settle_urls for agents that are made from here on. rule NAME LINE: what it
# does next, see settle_proxy.py.
settle_proxy()
{
	local p
	need python3
	p=$(free_port)
	python3 tests/func/settle_proxy.py "$p" "$settle_rpc" "$tmp/$1.rule" >"$tmp/$1.proxy" 2>&1 &
	settle_urls=http://127.0.0.1:$p
	poll 20 proxy_answers "$settle_urls" || fail "the proxy does not answer: $(cat "$tmp/$1.proxy")"
}

proxy_answers() { rpc "$1" eth_chainId >/dev/null; }
# Whole or not at all: the proxy reads it at any time.
rule()
{
	printf '%s\n' "$2" >"$tmp/$1.rule.new" && mv "$tmp/$1.rule.new" "$tmp/$1.rule"
}
# lies NAME [LINE...]: what it says from here on that is not so.
lies()
{
	local name=$1
	shift
	[ $# -eq 0 ] || printf '%s\n' "$@" >"$tmp/$name.rule.lies.new"
	[ $# -gt 0 ] || : >"$tmp/$name.rule.lies.new"
	mv "$tmp/$name.rule.lies.new" "$tmp/$name.rule.lies"
}
rule_is_used() { [ ! -e "$tmp/$1.rule" ]; }

mine() { rpc "$settle_rpc" anvil_mine "[\"$(printf '0x%x' "$1")\"]" >/dev/null || true; }

# settle_proof WORD ARGUMENT...: a record of a DID, see settle_proof.mjs, as JSON in $tmp/proof.
settle_proof()
{
	local word=$1 seed=$2 index=$3
	shift 3
	node tests/func/settle_proof.mjs "$word" "$seed" "$index" 31337 "$(jq -r .registry_contract "$deployed")" "$@" >"$tmp/proof" ||
		fail "no proof"
}

# keccak TEXT: its hash in hex; selector SIGNATURE: the first bytes of a call.
keccak() { node -e 'const { createRequire } = require("node:module"); const { ethers } = createRequire(process.cwd() + "/chain/package.json")("ethers");
	console.log(ethers.id(process.argv[1]).slice(2));' "$1"; }
selector() { keccak "$1" | sed 's/^\(........\).*/0x\1/'; }
