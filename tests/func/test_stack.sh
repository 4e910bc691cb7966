#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: nothing is measured
#
# What compiled programs look like. Kernels before private stacks, that of Debian 12 among them, refuse a program whose calls
# together take more than 512 bytes.

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

# Where stores may be reordered the counter of the ledger's readers has to order them: only the form that fetches does.
the_counter_orders_stores_on_other_cpus()
{
	local arch
	need clang
	need llvm-objdump
	arch=$(gcc -print-multiarch)
	clang -O2 -g -target bpf -mcpu=v3 -D__TARGET_ARCH_arm64 -Isdk/include -Ibpf -idirafter "/usr/include/$arch" \
		-c bpf/sched.bpf.c -o "$tmp/arm64.bpf.o" || fail "it does not compile for arm64"
	llvm-objdump -d "$tmp/arm64.bpf.o" | grep 'lock \*' >"$tmp/adds" || fail "no atomic add was found"
	# code, registers, offset, and 1 for one that fetches
	awk '$2 == "c3" && $6 != "01" { print; bad = 1 } END { exit bad }' "$tmp/adds" || fail "one orders nothing"
}

run every_program_fits_into_512_bytes_of_stack the_counter_orders_stores_on_other_cpus
