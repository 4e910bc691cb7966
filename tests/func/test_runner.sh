#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: nothing is measured
#
# The test runner counts what it should: a suite is worth as much as what reads its results.

set -u
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0 bad=0
unset CI LNX_SAN

# expect NAME LAST_LINE STATUS [TEXT]: run what is on standard input as a test of its own.
expect()
{
	local out rc
	cat >"$dir/t.sh"
	out=$(LNX_TEST_TIMEOUT=${limit:-60} scripts/dev/run_tests.sh "unit=$dir/t.sh")
	rc=$?
	n=$((n + 1))
	if [ "$(tail -1 <<<"$out")" = "$2" ] && [ "$rc" -eq "$3" ] && [[ $out == *"${4:-}"* ]]; then
		echo "ok $n - $1"
	else
		bad=1
		echo "not ok $n - $1"
		printf '%s\n' "want: $2, status $3, text: ${4:-}" "got: status $rc" "$out" | sed 's/^/# /'
	fi
}

expect "an exit status of 0 is one test passed" "1 passed, 0 failed, 0 skipped" 0 <<<'exit 0'
expect "another exit status is one test failed, and its output is shown" \
	"0 passed, 1 failed, 0 skipped" 1 "no such luck" <<<'echo no such luck; exit 3'
expect "77 is a skip with its reason" "0 passed, 0 failed, 1 skipped" 0 "SKIP  unit/t.sh: needs root" <<<'echo needs root; exit 77'
expect "TAP cases are counted one by one" "2 passed, 1 failed, 1 skipped" 1 <<'T'
echo 1..4; echo ok 1 - a; echo ok 2 - b; echo "not ok 3 - c"; echo "ok 4 - d # SKIP no"
exit 1
T
expect "a skip as cmocka writes it" "1 passed, 0 failed, 1 skipped" 0 <<<'echo 1..2; echo ok 1 - a; echo "not ok 2 # SKIP b"'
expect "a plan that is cut short is a failure for each missing case" "1 passed, 2 failed, 0 skipped" 1 \
	"ended after 1 of 3 cases" <<<'echo 1..3; echo ok 1 - a; kill -SEGV $$'
expect "cases that pass do not hide a bad exit status" "1 passed, 1 failed, 0 skipped" 1 \
	"exit status 23" <<<'echo 1..1; echo ok 1 - a; exit 23'
expect "a plain closing line is counted, and why something was skipped is told" "7 passed, 0 failed, 2 skipped" 0 \
	"SKIP  unit/t.sh: too fast" <<<'echo "  SKIP   too fast"; echo 7 passed, 0 failed, 2 skipped'
limit=1 expect "a program which hangs is killed and has failed" "0 passed, 1 failed, 0 skipped" 1 "killed after 4 s" <<<'sleep 600'
expect "a script may ask for another limit" "0 passed, 1 failed, 0 skipped" 1 "killed after 4 s" <<'T'
# TIMEOUT: 1
sleep 600
T
export LNX_SAN=asan
expect "of an instrumented build everything may take twice as long" "0 passed, 1 failed, 0 skipped" 1 "killed after 8 s" <<'T'
# TIMEOUT: 1
sleep 600
T
unset LNX_SAN
expect "a program that is not there has failed" "0 passed, 1 failed, 0 skipped" 1 <<<'exec /no/such/program'
expect "nothing is read from the terminal" "1 passed, 0 failed, 0 skipped" 0 <<<'! read -r x'

# Two that wait for each other: only side by side they end.
for i in 1 2; do
	cat >"$dir/pair$i.sh" <<T
# BESIDE: a test of the runner
touch "$dir/came$i"; exec 3<> <(:)
while [ ! -e "$dir/came$((3 - i))" ]; do read -rt 0.02 -u 3 || :; done
T
done
echo "[ -e $dir/came1 ] && [ -e $dir/came2 ]" >"$dir/last.sh"
out=$(LNX_TEST_TIMEOUT=60 scripts/dev/run_tests.sh "func=$dir/last.sh" "func=$dir/pair1.sh" "func=$dir/pair2.sh")
n=$((n + 1))
if [ "$(tail -1 <<<"$out")" = "3 passed, 0 failed, 0 skipped" ]; then
	echo "ok $n - tests that may share the machine run side by side, before the others"
else
	bad=1
	echo "not ok $n - tests that may share the machine run side by side, before the others"
	printf '%s\n' "$out" | sed 's/^/# /'
fi

echo "1..$n"
exit "$bad"
