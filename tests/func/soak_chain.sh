#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# The tests of the contracts with a hundred times as many fuzz runs and invariant calls as the suite makes.
# TIMEOUT: 3600

export CHAIN_FUZZ_RUNS=20000 CHAIN_INVARIANT_RUNS=256 CHAIN_INVARIANT_DEPTH=500
exec bash "$(dirname "$0")/test_chain.sh"
