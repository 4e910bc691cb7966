#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# The two nets under the plugin ABI, as TAP: abi.sh [--accept]
#   1. tests/abi/*.c: static asserts on every offset and size, with gcc and clang.
#   2. abidiff of all SDK types against sdk/abi/linnix.abi; sdk/abi/suppr.ini lets members be added at
#      the end of a struct. --accept writes the present state as the new baseline of both.

set -u
build=${LNX_BUILD:-build}
dir=$build/abi
baseline=sdk/abi/linnix.abi
n=0 bad=0

pass() { n=$((n + 1)); echo "ok $n - $1"; }
fail() { n=$((n + 1)); bad=1; echo "not ok $n - $1"; }
skip()
{
	if [ "${CI:-}" = true ]; then
		fail "$1: $2"
	else
		n=$((n + 1))
		echo "ok $n - $1 # SKIP $2"
	fi
}

# One shared object that has every struct of the SDK headers in the signature of a function.
current()
{
	local h
	mkdir -p "$dir"
	{
		for h in sdk/include/linnix/*.h; do
			echo "#include <linnix/$(basename "$h")>"
		done
		sed -n 's/^struct \(lnx_[a-z0-9_]*\) {.*/void sdk_\1(struct \1 *p) { (void)p; }/p' sdk/include/linnix/*.h
		echo 'const struct lnx_plugin *linnix_plugin_v1(void) { return 0; }'
	} >"$dir/sdk.c"
	gcc -std=c11 -D_GNU_SOURCE -g -O0 -w -fPIC -shared -Isdk/include -o "$dir/libsdk.so" "$dir/sdk.c"
}

if [ "${1:-}" = --accept ]; then
	current || exit 1
	mkdir -p sdk/abi
	abidw --no-corpus-path --no-comp-dir-path --no-show-locs --no-architecture \
		--type-id-style hash --headers-dir sdk/include/linnix --out-file "$baseline" "$dir/libsdk.so" &&
		echo "wrote $baseline" &&
		mkdir -p tests/abi && scripts/dev/abi_asserts.py "$baseline" sdk/include/linnix tests/abi
	exit
fi

for c in tests/abi/*.c; do
	[ -e "$c" ] || { skip "static asserts" "no tests/abi/*.c"; break; }
	for cc in gcc "${CLANG:-clang}"; do
		if out=$("$cc" -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -Isdk/include -fsyntax-only "$c" 2>&1); then
			pass "$c with $cc"
		else
			fail "$c with $cc"
			printf '%s\n' "$out" | head -40 | sed 's/^/# /'
		fi
	done
done

if [ ! -e "$baseline" ]; then
	skip "abidiff" "no baseline in sdk/abi: make abi-accept"
elif ! command -v abidiff >/dev/null; then
	skip "abidiff" "abidiff is not installed (abigail-tools)"
elif [ "$(uname -m)" != x86_64 ]; then
	n=$((n + 1))
	echo "ok $n - abidiff # SKIP the baseline is for x86_64"
elif ! current; then
	fail "abidiff: the SDK headers do not compile together"
else
	out=$(abidiff --no-added-syms --no-show-locs --no-architecture --suppressions sdk/abi/suppr.ini \
		"$baseline" "$dir/libsdk.so" 2>&1)
	rc=$?
	# Bit 4 is a change, bit 8 an incompatible one, 1 and 2 are errors of the tool.
	if [ "$rc" -eq 0 ]; then
		pass "abidiff against $baseline"
	else
		fail "abidiff against $baseline (status $rc): an append is allowed, anything else is a new type"
		printf '%s\n' "$out" | head -80 | sed 's/^/# /'
	fi
fi
echo "1..$n"
exit "$bad"
