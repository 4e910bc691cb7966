# shellcheck shell=bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# For tests against a real chain: sourced after lib.sh. chain_tool NAME gives a tool of npm or skips with the reason;
# start_anvil makes a node on a free port of loopback, deploy_contracts puts the contracts there.
# shellcheck disable=SC2154

chain_tool()
{
	local rc path
	path=$(scripts/dev/chain_tools.sh "$@" 2>"$tmp/chain_tools.err")
	rc=$?
	if [ "$rc" -eq 77 ]; then
		skip "$(tail -1 "$tmp/chain_tools.err")"
	elif [ "$rc" -ne 0 ]; then
		fail "chain_tools.sh $*: $(cat "$tmp/chain_tools.err")"
	fi
	printf '%s\n' "$path"
}

# A function whose skip or fail is to end the test must not run in a subshell: need_chain_tool VARIABLE NAME.
need_chain_tool()
{
	local found
	found=$(chain_tool "$2") || exit $?
	printf -v "$1" '%s' "$found"
}

# rpc URL METHOD PARAMS: the result; fails when there is none.
rpc()
{
	curl -fsS -m $((5 * patience)) -H 'Content-Type: application/json' -d "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"$2\",\"params\":${3:-[]}}" "$1" |
		jq -e '.result'
}

# start_anvil [ARGUMENT...]: sets $rpc_url and $anvil_pid.
start_anvil()
{
	local bin port
	need_chain_tool bin anvil
	port=$(free_port)
	rpc_url=http://127.0.0.1:$port
	"$bin" --host 127.0.0.1 --port "$port" --quiet "$@" >"$tmp/anvil.log" 2>&1 &
	anvil_pid=$!
	poll 20 node_answers || fail "anvil does not answer: $(tail -5 "$tmp/anvil.log")"
}

node_answers()
{
	is_alive "$anvil_pid" || fail "anvil ended: $(tail -5 "$tmp/anvil.log")"
	rpc "$rpc_url" eth_chainId >/dev/null
}

# deploy_contracts [NAME=VALUE...]: sets $deployed, the file of addresses; the variables are those of chain/scripts/deploy.js.
deploy_contracts()
{
	deployed=$tmp/deployed.json
	env "$@" scripts/dev/chain_tools.sh deploy "$rpc_url" "$deployed" >"$tmp/deploy.log" 2>&1 ||
		fail "the contracts cannot be deployed: $(cat "$tmp/deploy.log")"
}
