#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# The alerts of etc/prometheus, as Prometheus itself judges them.

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"

alerts_fire_when_they_should()
{
	need promtool
	promtool check rules etc/prometheus/linnix.rules.yml || fail "promtool check rules"
	promtool test rules tests/data/prometheus/linnix.rules.test.yml || fail "promtool test rules"
}

run alerts_fire_when_they_should
