#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: nothing is measured
#
# The tree builds with the other compiler, too, without a warning: a directory of its own, kept. It is not run: -O1 will do.
# TIMEOUT: 600

set -u
if [ -n "${LNX_SAN:-}" ]; then
	echo "once is enough: not in an instrumented build"
	exit 77
fi
other=clang
[[ ${CC:-gcc} != *clang* ]] || other=gcc
if ! command -v "$other" >/dev/null; then
	echo "$other is not installed"
	exit 77
fi
unset MAKEFLAGS MAKELEVEL MFLAGS
bad=1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
if CI=true make -k -j"$(nproc)" CC="$other" BUILD="build-$other" OPT=-O1 test-programs >"$out" 2>&1; then
	echo "ok 1 - builds with $other"
	bad=0
else
	echo "not ok 1 - builds with $other"
	grep -E 'error|Error|undefined' "$out" | head -40 | sed 's/^/# /'
fi
echo 1..1
exit "$bad"
