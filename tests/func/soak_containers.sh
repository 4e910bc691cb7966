#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# A hundred short containers in a row of each runtime, by the tests of test_containers.sh.
# TIMEOUT: 900

LNX_CONTAINERS=100 exec "$(dirname "$0")/test_containers.sh"
