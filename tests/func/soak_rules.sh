#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# 100 rules on 100,000 events a second for 30 s, each wanted by 5: nothing is lost.
# TIMEOUT: 300
# shellcheck source=tests/func/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/func/lib_flood.sh
. tests/func/lib_flood.sh

hundred_rules_lose_nothing_in_half_a_minute()
{
	flood 30
	cp "$tmp/out" "$build/soak_rules.txt"
}

run hundred_rules_lose_nothing_in_half_a_minute
