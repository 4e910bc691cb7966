#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Recordings of a real agent: what crosses the bus is in the file, and a file is whole blocks whenever it ends.
#
# TIMEOUT: 120
# shellcheck source=tests/func/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

has_state() { test "$(stat -c %s "$1")" -gt 1000; }

# What the magic of a block stands for: every part of the file begins with one.
blocks_in() { grep -aboc LXB1 "$1" >/dev/null && grep -ao LXB1 "$1" | wc -l; }

a_recording_of_now_and_of_before()
{
	local rec
	start_agent
	"$linnix" record --for 2s -o "$tmp/now.lxr" 2>"$tmp/said" &
	rec=$!
	poll 10 has_state "$tmp/now.lxr" || fail "nothing is written"
	[ "$(stat -c %a "$tmp/now.lxr")" = 600 ] || fail "others may read it"
	wait "$rec" || fail "record ended with $?: $(cat "$tmp/said")"
	grep -qE 'now.lxr: [1-9][0-9]* events' "$tmp/said" || fail "$(cat "$tmp/said")"
	[ "$(head -c 4 "$tmp/now.lxr" | tail -c 3)" = LXR ] || fail "no magic"
	"$linnix" record --last 30s -o - 2>"$tmp/said" >"$tmp/last.lxr" || fail "$(cat "$tmp/said")"
	[ "$(blocks_in "$tmp/last.lxr")" -ge 6 ] || fail "too few blocks"
	[ "$(metric 'linnix_recording_missed_total')" = 0 ] || fail "events missed"
}

ctrl_c_and_a_dead_agent_end_it_properly()
{
	local rec
	start_agent
	"$linnix" record --for 60s -o "$tmp/a.lxr" 2>"$tmp/said" &
	rec=$!
	poll 10 has_state "$tmp/a.lxr" || fail "nothing is written"
	kill -INT "$rec"
	wait "$rec" || fail "interrupted, it ended with $?: $(cat "$tmp/said")"
	"$linnix" record --for 60s -o "$tmp/b.lxr" 2>"$tmp/said" &
	rec=$!
	poll 10 has_state "$tmp/b.lxr" || fail "nothing is written"
	stop_agent TERM
	wait "$rec"
	[ $? -eq 3 ] || fail "without an agent: $(cat "$tmp/said")"
	grep -q 'b.lxr: [0-9]* events' "$tmp/said" || fail "it does not say what it has: $(cat "$tmp/said")"
}

mistakes_are_told()
{
	local args want
	start_agent
	while IFS='|' read -r args want; do
		# shellcheck disable=SC2086
		"$linnix" record $args >"$tmp/out" 2>&1
		[ $? -eq 2 ] || fail "$args: not a usage error: $(cat "$tmp/out")"
		grep -qF -e "$want" "$tmp/out" || fail "$args: $(cat "$tmp/out")"
	done <<-END
		-o $tmp/x|either --for or --last
		--for 1s --last 1s -o $tmp/x|either --for or --last
		--for 1s|give -o FILE
		--for soon -o $tmp/x|is not a duration
		--for 1s -o $tmp/x y|unexpected word
	END
	"$linnix" record --for 1s -o "$tmp/no/dir" 2>"$tmp/out" && fail "a file in no folder"
	grep -q 'No such file' "$tmp/out" || fail "$(cat "$tmp/out")"
	[ "$(status_of '/recording?since_seq=999999999999')" = 410 ] || fail "an unknown sequence is not refused"
	[ "$(status_of '/recording?since_seq=1&last_s=5')" = 400 ] || fail "a contradiction is not refused"
	[ "$(status_of '/recording?last_s=0')" = 400 ] || fail "no time at all is not refused"
	[ "$(status_of '/recording?for=5')" = 400 ] || fail "an unknown parameter is not refused"
	[ ! -e "$tmp/x" ] || fail "a file was left behind"
}

run a_recording_of_now_and_of_before ctrl_c_and_a_dead_agent_end_it_properly mistakes_are_told
