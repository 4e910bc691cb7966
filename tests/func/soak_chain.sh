#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# The tests of the contracts with a hundred times as many fuzz runs and invariant calls as the suite makes, and Hardhat's own
# compilation.
# TIMEOUT: 3600

cd "$(dirname "$0")/../.." || exit 1
hardhat=$(scripts/dev/chain_tools.sh hardhat)
case $? in
0) ;;
77) exit 77 ;;
*) exit 1 ;;
esac
(cd chain && HARDHAT_DISABLE_TELEMETRY_PROMPT=true node "$hardhat" compile --force) || exit 1
compiled=$(node chain/scripts/build.js) || exit 1
for name in AgentRegistry TaskSettlement StakeBond; do
	if [ "$(jq -r ".$name.bytecode" "$compiled")" != "$(jq -r .bytecode "build/chain/hardhat-artifacts/contracts/$name.sol/$name.json")" ]; then
		echo "Hardhat and build.js compile $name with other settings"
		exit 1
	fi
done
export CHAIN_FUZZ_RUNS=20000 CHAIN_INVARIANT_RUNS=256 CHAIN_INVARIANT_DEPTH=500
exec bash tests/func/test_chain.sh
