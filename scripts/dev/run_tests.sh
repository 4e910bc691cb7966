#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Run test programs and count test cases: run_tests.sh [SUITE=PROGRAM]...
#
# A program may speak TAP (cmocka is told to), end with a line "N passed, N failed[, N skipped]" (why is in
# lines "  SKIP   reason"), or only exit: 0 passed, 77 skipped (its last line is the reason), anything else failed. One which
# hangs, dies or stops before the end of its TAP plan has failed. A shell test may ask for more time
# with a comment line "# TIMEOUT: seconds". One with a line "# BESIDE: why" holds while others of its
# kind run: those go first, a few at a time; then every other one has the machine for itself. The last
# line of the output is always "N passed, N failed, N skipped"; the exit status is 1 when anything failed.

set -u
export LC_ALL=C CMOCKA_MESSAGE_OUTPUT=TAP
export LNX_BUILD=${LNX_BUILD:-build}
san=${LNX_SAN:-}
limit=${LNX_TEST_TIMEOUT:-120}
# A limit is for what hangs: it is told for a quiet machine, and one that others share is slower. An instrumented program is slow, too.
times=$((${LNX_SLOW:-1} * 4))
[ -z "$san" ] || times=$((times * 2))
# intercept_tls_get_addr=0: the runtime of gcc 12 and clang 14 takes some blocks of thread-local memory for those of an old libc, and
# its search for leaks then crashes now and then.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1:intercept_tls_get_addr=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}

# Half of a test is waiting.
beside=$(($(nproc) + 1))
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

# Print "passed failed skipped" for the output in $1 and exit status $2, then a line for each case
# which failed or was skipped.
count()
{
	awk -v rc="$2" '
	function skip_reason(s) { sub(/^.*# *[Ss][Kk][Ii][Pp][A-Za-z]* */, "", s); return s }
	/^1\.\.[0-9]+/ { plan += substr($1, 4); tap = 1; if (/# *[Ss][Kk][Ii][Pp]/ && substr($1, 4) == 0) { s++; note[++n] = "skip " skip_reason($0) } next }
	/^ok( |$)/ { tap = 1; cases++; if (/# *[Ss][Kk][Ii][Pp]/) { s++; note[++n] = "skip " skip_reason($0) } else p++; next }
	/^not ok [0-9]+ # SKIP/ { tap = 1; cases++; s++; note[++n] = "skip " skip_reason($0); next }
	/^not ok( |$)/ { tap = 1; cases++; f++; t = $0; sub(/^not ok [0-9]* *-? */, "", t); note[++n] = "fail " t; next }
	/^[0-9]+ passed, [0-9]+ failed/ { plain = 1; pp = $1; pf = $3; ps = / skipped/ ? $5 : 0 }
	/^  SKIP   / { why[++ks] = substr($0, 10) }
	NF { last = $0 }
	END {
		how = rc > 128 ? "killed by signal " rc - 128 : "exit status " rc
		if (plain && !tap) { p = pp; f = pf; s = ps; for (i = 1; i <= ks; i++) note[++n] = "skip " why[i]; if (rc != 0 && f == 0) { f++; note[++n] = "fail " how } }
		else if (tap) {
			if (plan > cases) { f += plan - cases; note[++n] = "fail ended after " cases + 0 " of " plan " cases, " how }
			else if (rc != 0 && rc != 77 && f == 0) { f++; note[++n] = "fail " how " after the last case" }
		}
		else if (rc == 77) { s = 1; note[++n] = "skip " (last == "" ? "no reason given" : last) }
		else if (rc == 0) p = 1
		else { f = 1; note[++n] = "fail " how }
		print p + 0, f + 0, s + 0
		for (i = 1; i <= n; i++) print note[i]
	}' "$1"
}

# Run program $2 of suite $1. Its counts go to $dir/counts, its failures to $dir/failures.
run_one()
{
	local suite=$1 prog=$2 out=$dir/$BASHPID.out name rc t=$limit p f s start=$SECONDS cmd=()
	name=$suite/$(basename "$prog")
	if [[ $prog == *.sh ]]; then
		cmd=(bash "$prog")
		t=$(head -15 "$prog" | sed -n 's/^# TIMEOUT: *\([0-9]*\).*/\1/p')
		t=${t:-$limit}
	else
		cmd=("$prog")
	fi
	t=$((t * times))
	# ThreadSanitizer does not know the widest address randomisation of recent kernels.
	[ "$san" != tsan ] || cmd=(setarch -R "${cmd[@]}")
	if [ "$suite" = bpf ] && [ "$(id -u)" -ne 0 ]; then
		echo "needs root" >"$out"
		rc=77
	else
		# The outer redirection hides only what this shell says about a program that crashed.
		{ timeout -k 5 "$t" "${cmd[@]}" >"$out" 2>&1 </dev/null; } 2>/dev/null
		rc=$?
	fi
	{
		read -r p f s
		mapfile -t notes
	} < <(count "$out" "$rc")
	if [ "$rc" -eq 124 ] || [ "$rc" -eq 137 ]; then
		[ "$f" -gt 0 ] || f=1
		notes=("${notes[@]/#fail [ek]*/}")
		notes+=("fail killed after ${t} s")
	fi
	echo "$p $f $s" >>"$dir/counts"
	if [ "$f" -gt 0 ]; then
		printf 'FAIL  %s (%d passed, %d failed, %d skipped, %d s)\n' "$name" "$p" "$f" "$s" $((SECONDS - start))
		sed 's/^/      | /' "$out"
	else
		printf 'ok    %s (%d%s, %d s)\n' "$name" "$p" "$([ "$s" -eq 0 ] || echo ", $s skipped")" $((SECONDS - start))
	fi
	local n
	for n in "${notes[@]+"${notes[@]}"}"; do
		case $n in
		skip*) printf 'SKIP  %s: %s\n' "$name" "${n#skip }" ;;
		fail*) echo "  $name: ${n#fail }" >>"$dir/failures" ;;
		esac
	done
}

# The report of one that ran beside others, whole.
report_one()
{
	run_one "$@" >"$dir/$BASHPID.report"
	flock "$dir/lock" cat "$dir/$BASHPID.report"
}

# Unit tests drive time and know nothing of the machine.
may_share()
{
	case $1 in
	unit=* | plugin=*) ;;
	*.sh) head -15 "${1#*=}" | grep -q '^# BESIDE: ' ;;
	*) false ;;
	esac
}

alone=()
: >"$dir/counts"
for arg in "$@"; do
	if ! may_share "$arg"; then
		alone+=("$arg")
		continue
	fi
	[ "$(jobs -rp | wc -l)" -lt "$beside" ] || wait -n
	report_one "${arg%%=*}" "${arg#*=}" &
done
wait
for arg in "${alone[@]+"${alone[@]}"}"; do
	run_one "${arg%%=*}" "${arg#*=}"
done
missing=$(($# - $(wc -l <"$dir/counts")))
if [ "$missing" -ne 0 ]; then
	echo "0 $missing 0" >>"$dir/counts"
	echo "  $missing programs gave no result" >>"$dir/failures"
fi
if [ -e "$dir/failures" ]; then
	printf '\nfailed:\n'
	cat "$dir/failures"
fi
awk '{ p += $1; f += $2; s += $3 } END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 }' "$dir/counts"
