#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: nothing is measured
# The contracts: unit, fuzz and invariant tests by forge, one case each; line coverage; deployed to a real node. Nothing but npm
# is needed from elsewhere. CHAIN_FUZZ_RUNS, CHAIN_INVARIANT_RUNS and CHAIN_INVARIANT_DEPTH make it longer (soak_chain.sh).
# TIMEOUT: 400
# shellcheck source=tests/func/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/func/lib_chain.sh
. tests/func/lib_chain.sh

COVERAGE_FLOOR=95 # % of lines of each contract

export FOUNDRY_FUZZ_RUNS=${CHAIN_FUZZ_RUNS:-128} FOUNDRY_INVARIANT_RUNS=${CHAIN_INVARIANT_RUNS:-12} FOUNDRY_INVARIANT_DEPTH=${CHAIN_INVARIANT_DEPTH:-64}
unset FOUNDRY_PROFILE

# Every test of every contract is told; a suite that found no test is a failure.
the_contracts_pass_their_tests()
{
	local forge
	need jq
	need_chain_tool forge forge
	(cd chain && "$forge" test --json) >"$tmp/results" 2>"$tmp/err" || true
	jq -e 'length >= 5' "$tmp/results" >/dev/null || fail "forge: $(cat "$tmp/err" "$tmp/results")"
	jq -r '[.[].test_results | to_entries[]] | "\(length) tests"' "$tmp/results"
	jq -r 'to_entries[] | (.key | sub(".*:"; "")) as $suite | .value.test_results | to_entries[] | select(.value.status != "Success")
		| "\($suite).\(.key): \(.value.status) \(.value.reason // "") \(.value.counterexample // "")"' "$tmp/results" >"$tmp/bad"
	[ ! -s "$tmp/bad" ] || fail "$(cat "$tmp/bad")"
	jq -e '[.[].test_results[]] | length >= 100' "$tmp/results" >/dev/null || fail "tests are missing"
	# An invariant over calls which all do nothing would hold, too.
	jq -e '[.[].test_results[].kind.Invariant | select(.) | .calls] | length == 6 and min > 500' "$tmp/results" >/dev/null ||
		fail "the invariants were hardly tried"
	# What was tested is what deploy.js puts on a chain, byte for byte.
	local compiled name
	compiled=$(node chain/scripts/build.js) || fail "build.js"
	for name in AgentRegistry TaskSettlement StakeBond; do
		[ "$(jq -r ".$name.bytecode" "$compiled")" = "$(jq -r .bytecode.object "build/chain/forge-out/$name.sol/$name.json")" ] ||
			fail "forge and build.js compile $name with other settings"
	done
}

each_contract_is_covered()
{
	local forge
	need jq
	need_chain_tool forge forge
	(cd chain && "$forge" coverage --report lcov --report-file "$tmp/lcov" --no-match-coverage '(test|node_modules)/' \
		--no-match-contract InvariantTest) >"$tmp/out" 2>&1 || fail "forge coverage: $(tail -20 "$tmp/out")"
	awk -F: -v floor="$COVERAGE_FLOOR" '
	$1 == "SF" { f = $2 }
	$1 == "LF" { found[f] = $2 }
	$1 == "LH" { hit[f] = $2 }
	END {
		for (f in found) if (found[f]) { n++; p = 100 * hit[f] / found[f]; printf "%s %.1f %%\n", f, p; if (p < floor) low = 1 }
		exit low || n < 3
	}' "$tmp/lcov" >"$tmp/covered" || fail "below $COVERAGE_FLOOR %: $(cat "$tmp/covered")"
	cat "$tmp/covered"
}

deployed_they_know_each_other()
{
	start_anvil
	deploy_contracts CHAIN_DISPUTE_BLOCKS=5
	jq -e '.token_decimals == 6 and .dispute_blocks == 5 and .from_block == 1 and .chain_id == 31337' "$deployed" >/dev/null || fail "$(cat "$deployed")"
	local settlement registry bond
	settlement=$(jq -r .settlement_contract "$deployed")
	registry=$(jq -r .registry_contract "$deployed")
	bond=$(jq -r .bond_contract "$deployed")
	# registry() and bond() of the settlement, slasher() of the bond: an address in the last 20 bytes of a word.
	[ "$(address_at "$settlement" 0x7b103999)" = "${registry,,}" ] || fail "registry"
	[ "$(address_at "$settlement" 0x64c9ec6f)" = "${bond,,}" ] || fail "bond"
	[ "$(address_at "$bond" 0xb1344271)" = "${settlement,,}" ] || fail "slasher"
}

address_at()
{
	rpc "$rpc_url" eth_call "[{\"to\":\"$1\",\"data\":\"$2\"},\"latest\"]" | jq -r '"0x" + .[26:]'
}

no_other_chain_gets_a_mock()
{
	start_anvil --chain-id 84532
	! scripts/dev/chain_tools.sh deploy "$rpc_url" "$tmp/d" >"$tmp/out" 2>&1 || fail "deployed"
	grep -q 'CHAIN_DEPLOYER_KEY is not set' "$tmp/out" || fail "$(cat "$tmp/out")"
}

# At once, and without what may be a secret of the URL.
without_a_node_deploying_says_so()
{
	chain_tool node_modules >/dev/null
	! scripts/dev/chain_tools.sh deploy http://me:word@127.0.0.1:1/key "$tmp/d" >"$tmp/out" 2>&1 || fail "deployed"
	grep -q 'no node answers at http://127.0.0.1:1 .*npx hardhat node' "$tmp/out" || fail "$(cat "$tmp/out")"
	! grep -qE 'key|word' "$tmp/out" || fail "$(cat "$tmp/out")"
	! scripts/dev/chain_tools.sh deploy nowhere "$tmp/d" >"$tmp/out" 2>&1 || fail "deployed"
	grep -q 'CHAIN_RPC_URL: not an http' "$tmp/out" || fail "$(cat "$tmp/out")"
}

the_lock_file_names_versions_and_no_host()
{
	need jq
	jq -e '[.packages[] | select(.resolved)] | length == 0' chain/package-lock.json >/dev/null || fail "a host is in it"
	jq -e '[.packages | to_entries[] | select(.key != "") | select((.value.integrity | not) or (.value.version | not))] | length == 0' \
		chain/package-lock.json >/dev/null || fail "a package without a hash"
	jq -e '[.dependencies, .devDependencies | .[]] | all(test("^[0-9]+[.][0-9]+[.][0-9]+$"))' chain/package.json >/dev/null ||
		fail "a version is a range"
	diff <(jq -S '[.dependencies, .devDependencies]' chain/package.json) \
		<(jq -S '.packages[""] | [.dependencies, .devDependencies]' chain/package-lock.json) || fail "they differ"
}

the_agent_knows_the_contracts_by_their_names()
{
	chain_tool node_modules >/dev/null
	node chain/scripts/names.js || fail "plugins/settle and chain/contracts differ"
}

# What the unit tests of plugins/settle compare with is what ethers makes today.
vectors_are_those_of_ethers()
{
	chain_tool node_modules >/dev/null
	node tests/data/chain/make.mjs "$tmp/vectors.json" || fail "make.mjs"
	cmp "$tmp/vectors.json" tests/data/chain/vectors.json || fail "run: node tests/data/chain/make.mjs"
}

run the_contracts_pass_their_tests each_contract_is_covered deployed_they_know_each_other no_other_chain_gets_a_mock \
	without_a_node_deploying_says_so 	the_agent_knows_the_contracts_by_their_names vectors_are_those_of_ethers the_lock_file_names_versions_and_no_host
