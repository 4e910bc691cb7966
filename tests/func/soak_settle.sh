#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# The agent is killed 50 times between the steps of payments: each is made once.
# TIMEOUT: 1200
SETTLE_KILLS=50 exec bash "$(dirname "${BASH_SOURCE[0]}")/test_settle_faults.sh" killed_anywhere_it_pays_once
