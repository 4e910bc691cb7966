#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Fifty times killed with -9 while the store writes.
# TIMEOUT: 1200

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/func/lib_kills.sh
. tests/func/lib_kills.sh

killed_fifty_times_while_writing()
{
	local file
	need jq
	prepare
	for file in 1 2 3 4 5; do
		export LINNIX_STORE_PATH=$tmp/linnix$file.db
		killed_while_writing 10
		stop_agent TERM
	done
}

run killed_fifty_times_while_writing
