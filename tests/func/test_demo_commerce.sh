#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: it looks only at its own
#
# scripts/demo_commerce_e2e.sh --local: money moves for measured work, and nothing is left behind.
# TIMEOUT: 300
# shellcheck source=tests/func/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

demo()
{
	local rc=0
	TMPDIR=$tmp LNX_BUILD=$build scripts/demo_commerce_e2e.sh --local >"$tmp/demo.out" 2>&1 || rc=$?
	[ "$rc" -ne 77 ] || skip "$(tail -1 "$tmp/demo.out")"
	[ "$rc" -eq 0 ] || fail "exit status $rc: $(cat "$tmp/demo.out")"
}

# millionths NAME LINE: "payer 97.625662 USDC" of a line of balances.
millionths() { sed -n "s/^$2 .*$1 \([0-9]*\)\.\([0-9]\{6\}\) USDC.*/\1\2/p" "$tmp/demo.out" | sed 's/^0*\(.\)/\1/'; }

# From what it printed, not from what it says about it.
the_demo_moves_money_for_measured_work()
{
	need_root
	need jq
	demo
	local paid
	paid=$(millionths payee after)
	[ "$(millionths payer before)" -eq 100000000 ] || fail "the payer did not have 100"
	[ "$(millionths payer escrow)" -eq 95000000 ] || fail "the payer put another amount aside"
	[ "$(millionths contract escrow)" -eq 5000000 ] || fail "the contract held another amount"
	[ "$paid" -gt 0 ] || fail "nothing was paid"
	[ "$paid" -le 5000000 ] || fail "paid: $paid"
	[ "$(millionths payer after)" -eq $((100000000 - paid)) ] || fail "the payer has $(millionths payer after)"
	[ "$(millionths contract after)" -eq 0 ] || fail "the contract kept some"
	[ "$(grep -c '^valid 0x' "$tmp/demo.out")" -eq 1 ] || fail "the receipt was not verified: $(cat "$tmp/demo.out")"
	[ "$(grep -c '^  invalid 0x' "$tmp/demo.out")" -eq 2 ] || fail "a changed receipt is valid: $(cat "$tmp/demo.out")"
	[ "$(grep -c ': BadSignature$' "$tmp/demo.out")" -eq 2 ] || fail "a changed receipt was not refused: $(cat "$tmp/demo.out")"
	! compgen -G "$tmp/tmp.*" >/dev/null || fail "it left files"
	# Others may run agents here: only what runs on files of this run counts.
	echo "$tmp/tmp." >"$tmp/pattern"
	! grep -lzF -f "$tmp/pattern" /proc/[0-9]*/cmdline 2>/dev/null || fail "it left processes"
}

it_wants_to_be_asked()
{
	local rc=0
	scripts/demo_commerce_e2e.sh >"$tmp/out" 2>&1 || rc=$?
	[ "$rc" -eq 2 ] || fail "exit status $rc"
	grep -q -e '--local' "$tmp/out" || fail "no usage: $(cat "$tmp/out")"
}

run the_demo_moves_money_for_measured_work it_wants_to_be_asked
