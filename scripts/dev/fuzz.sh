#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Run fuzzers one after the other, FUZZ_SECONDS in all: fuzz.sh PROGRAM...
# Seeds are read from tests/fuzz/corpus/NAME/, and from the files of this tree that a line "SEEDS: file..." of tests/fuzz/NAME.c
# names; words from tests/fuzz/NAME.dict; what is found grows in
# $LNX_BUILD/fuzz/corpus/NAME, and an input that crashes is kept in $LNX_BUILD/fuzz/crash/.

set -u
build=${LNX_BUILD:-build}
total=${FUZZ_SECONDS:-60}
passed=0 failed=0

if [ $# -eq 0 ]; then
	echo "no fuzzers in tests/fuzz"
	echo "0 passed, 0 failed, 0 skipped"
	exit 0
fi
each=$((total / $#))
[ "$each" -gt 0 ] || each=1
mkdir -p "$build/fuzz/crash"
for prog in "$@"; do
	name=$(basename "$prog")
	corpus=$build/fuzz/corpus/$name
	log=$build/fuzz/$name.log
	mkdir -p "$corpus"
	args=(-max_total_time="$each" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
		-artifact_prefix="$build/fuzz/crash/$name-" "$corpus")
	read -ra seeds < <(sed -n 's,^[/ *]*SEEDS: *\([^*]*\).*,\1,p' "tests/fuzz/$name.c")
	if [ ${#seeds[@]} -gt 0 ]; then
		rm -rf "$build/fuzz/seeds/$name"
		mkdir -p "$build/fuzz/seeds/$name"
		cp "${seeds[@]}" "$build/fuzz/seeds/$name/" || exit 1
		args+=("$build/fuzz/seeds/$name")
	fi
	[ ! -d "tests/fuzz/corpus/$name" ] || args+=("tests/fuzz/corpus/$name")
	[ ! -f "tests/fuzz/$name.dict" ] || args+=(-dict="tests/fuzz/$name.dict")
	if "$prog" "${args[@]}" >"$log" 2>&1 </dev/null; then
		passed=$((passed + 1))
		echo "ok    $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs in $each s"
	else
		failed=$((failed + 1))
		echo "FAIL  $name, the end of $log:"
		tail -60 "$log" | sed 's/^/      | /'
	fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
