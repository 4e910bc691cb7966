#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: nothing is measured
#
# Kernels before private stacks, that of Debian 12 among them, refuse a program whose calls together take more than 512 bytes.

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"

every_program_fits_into_512_bytes_of_stack()
{
	need llvm-objdump
	need python3
	python3 tests/func/bpf_stack.py "$build"/bpf/*.bpf.o >"$tmp/stacks" || fail "the objects cannot be read"
	head -5 "$tmp/stacks"
	grep -q '^[0-9]* on_switch: lnx_ledger_long_switch' "$tmp/stacks" || fail "no calls were found"
	awk '$1 > 512 { print; bad = 1 } END { exit bad }' "$tmp/stacks" || fail "too deep"
}

run every_program_fits_into_512_bytes_of_stack
