#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: it looks only at its own
#
# Names that attack: newlines, quotes, ANSI escapes, invalid UTF-8. From the kernel to every form of output.

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"
no_ledger

# evil NAME: a process of that name, which forks a child of the same name; sets $evil. It ends with its standard input.
evil()
{
	# shellcheck disable=SC2086 # CC may hold arguments
	${CC:-gcc} -O1 -Wall -Werror -o "$tmp/evil" tests/data/evil_name.c || fail "it does not build"
	"$tmp/evil" "$1" <>"$tmp/hold" &
	evil=$!
}

# A name changed by a write to comm is seen when the figures are next read.
is_shown() { "$linnix" ps --limit 10000 2>/dev/null | grep "^ *$1 " | grep -qF -e "$2"; }
has_readers() { [ "$(metric linnix_sse_clients)" -ge "$1" ]; }
is_listed() { [ "$(status_of "/processes/$1")" = 200 ]; }


# Nothing but printable characters and the end of each line.
is_plain() { ! LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' "$1"; }

attack()
{
	local name=$1 shown=$2
	need_root
	mkfifo "$tmp/hold"
	start_agent
	curl -sN "$url/stream?type=proc.fork" >"$tmp/stream" &
	poll 5 test -s "$tmp/stream" || fail "no stream"
	"$linnix" events -f --type proc.fork >"$tmp/lines" 2>"$tmp/lines.err" &
	poll 5 has_readers 2 || fail "events -f does not connect"
	evil "$name"
	poll 10 is_listed "$evil" || fail "it is not listed"
	poll 10 grep -q "\"ppid\":$evil" "$tmp/stream" || fail "its fork is not in the stream"
	poll 10 is_shown "$evil" "$shown" || fail "not shown as $shown: $("$linnix" ps --limit 10000 | grep "^ *$evil ")"
	get "/processes/$evil" >"$tmp/one" || fail "no answer"
	jq -e .comm "$tmp/one" >/dev/null || fail "not JSON: $(cat "$tmp/one")"
	get '/processes?limit=10000' | jq -e --argjson pid "$evil" 'map(select(.pid == $pid)) | length == 1' >/dev/null ||
		fail "not in the list"
	is_plain "$tmp/one" || fail "control characters in JSON"
	get /metrics >"$tmp/metrics" || fail "no metrics"
	is_plain "$tmp/metrics" || fail "control characters in metrics"
	# Each frame of the stream is a whole line of JSON.
	sed -n 's/^data: //p' "$tmp/stream" >"$tmp/data"
	jq -es 'length > 0' "$tmp/data" >/dev/null || fail "a frame is not JSON"
	! grep -qvE '^(id: |event: |data: |: |:|$)' "$tmp/stream" || fail "a forged line: $(grep -vE '^(id|event|data)?: ' "$tmp/stream")"
	"$linnix" ps "$evil" >"$tmp/ps1" || fail "ps PID"
	"$linnix" ps --limit 10000 >"$tmp/ps" || fail "ps"
	"$linnix" ps --limit 10000 --json >"$tmp/psj" || fail "ps --json"
	jq -e . "$tmp/psj" >/dev/null || fail "ps --json is not JSON"
	local f
	for f in ps1 ps psj data; do
		is_plain "$tmp/$f" || fail "control characters in $f: $(cat -v "$tmp/$f" | head -3)"
	done
	[ "$(grep -c "^ *$evil " "$tmp/ps")" -eq 1 ] || fail "not one line of its own"
	poll 5 grep -q "ppid=$evil" "$tmp/lines" || fail "not in events -f"
	is_plain "$tmp/lines" || fail "control characters in events -f"
	! log_has $'\033' || fail "escapes in the log"
}

newline() { attack $'a\nFAIL b: c' 'a\nFAIL b: c'; }
# shellcheck disable=SC2016 # nothing is to be expanded
quotes() { attack "q\"'"'`$(x)' "q\"'"'`$(x)'; }
ansi() { attack $'\033[31mred\033[0m' '\x1b[31mred\x1b[0m'; }
carriage_return() { attack $'good\rbad\b\a' 'good\x0dbad\x08\x07'; }
# The agent shows what is not UTF-8 as U+FFFD: JSON has no other way.
invalid_utf8() { attack $'x\377\376\200y' $'x\357\277\275\357\277\275\357\277\275y'; }
cut_utf8() { attack $'abcdefghijklmn\303\251' $'abcdefghijklmn\357\277\275'; }
c1_control() { attack $'x\302\2332Jy' 'x\x9b2Jy'; }
# shellcheck disable=SC1003 # no quote is escaped here
backslashes() { attack 'a\nb\' 'a\\nb\\'; }
sse_injection() { attack $'x\n\ndata: {}\n\n' 'x\n\ndata: {}\n\n'; }
metrics_injection() { attack $'a"} 1\nb 2' 'a"} 1\nb 2'; }

run newline quotes ansi carriage_return invalid_utf8 cut_utf8 c1_control backslashes sse_injection metrics_injection
