#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# 100 rules on 100,000 events a second, for two seconds. The long version is soak_rules.sh.
# shellcheck source=tests/func/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/func/lib_flood.sh
. tests/func/lib_flood.sh

hundred_rules_lose_nothing() { flood 2; }

run hundred_rules_lose_nothing
