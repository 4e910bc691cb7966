#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: it looks only at its own
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
	mistakes_are_told
	damage_and_mistakes_are_told
}

ctrl_c_and_a_dead_agent_end_it_properly()
{
	local rec
	start_agent
	"$linnix" record --for $((60 * patience))s -o "$tmp/a.lxr" 2>"$tmp/said" &
	rec=$!
	poll 10 has_state "$tmp/a.lxr" || fail "nothing is written"
	kill -INT "$rec"
	wait "$rec" || fail "interrupted, it ended with $?: $(cat "$tmp/said")"
	"$linnix" record --for $((60 * patience))s -o "$tmp/b.lxr" 2>"$tmp/said" &
	rec=$!
	poll 10 has_state "$tmp/b.lxr" || fail "nothing is written"
	stop_agent KILL # one that stops in peace may still say so
	wait "$rec"
	case $? in 1 | 3) ;; *) fail "without an agent: $(cat "$tmp/said")" ;; esac
	"$linnix" replay "$tmp/b.lxr" -o json 2>/dev/null | jq -e .recording.complete >/dev/null || fail "it has no end"
	grep -q 'b.lxr: [0-9]* events' "$tmp/said" || fail "it does not say what it has: $(cat "$tmp/said")"
}

# Both with the agent of the test above.
mistakes_are_told()
{
	local args want
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

rule_file() # LIMIT FILE
{
	cat >"$2" <<-END
		rule "burst" {
		  on = "proc.fork", where = { comm = "burst*" }, by = "tree", window = "count 10s",
		  when = function(w) return w.count > $1 end,
		  say = "{count} of {comm}",
		}
	END
}

# What fired while it was recorded fires in the replay, at the same event; and an edit shows what it changes.
what_fired_fires_again()
{
	local rec
	need_root
	mkdir "$tmp/rules" "$tmp/old"
	rule_file 20 "$tmp/rules/burst.lua"
	rule_file 5000 "$tmp/old/burst.lua"
	cp "$(command -v bash)" "$tmp/burst"
	export LINNIX_RULES_DIR=$tmp/rules
	start_agent
	poll 20 probe_is_attached || fail "the probe is not attached"
	"$linnix" record --for $((60 * patience))s -o "$tmp/a.lxr" 2>"$tmp/said" &
	rec=$!
	poll 10 has_state "$tmp/a.lxr" || fail "nothing is written"
	"$tmp/burst" -c 'for i in {1..60}; do (:); done; exec sleep 0.3'
	poll 10 has_alert || fail "the live rule does not fire"
	poll 10 is_written || fail "the alert is not in the recording"
	kill -INT "$rec"
	wait "$rec" || fail "record ended with $?: $(cat "$tmp/said")"
	"$linnix" replay "$tmp/a.lxr" --rules "$tmp/rules" -o json >"$tmp/one.json" 2>"$tmp/said" || fail "$(cat "$tmp/said")"
	"$linnix" replay "$tmp/a.lxr" --rules "$tmp/rules/burst.lua" -o json >"$tmp/two.json" 2>/dev/null
	cmp "$tmp/one.json" "$tmp/two.json" || fail "two runs differ"
	jq -e '.recording.alerts.burst == 1 and .recording.complete and (.fires | length) == 1' "$tmp/one.json" >/dev/null ||
		fail "live and replay differ: $(cat "$tmp/one.json")"
	get '/events?type=alert&limit=10000' | jq -e --slurpfile r "$tmp/one.json" '
		map(select(.rule == "burst" and .state == "firing")) as [$a] | $r[0].fires[0] as $f |
		$a.say == $f.say and $a.subject == $f.subject and $a.value == $f.value and $a.cause_seq == $f.cause_seq' >/dev/null ||
		fail "the alert is another one: $(cat "$tmp/one.json")"
	"$linnix" replay "$tmp/a.lxr" --rules "$tmp/rules" --diff "$tmp/old" 2>/dev/null | grep -qE 'burst +warning .* new ' || fail "--diff shows nothing new"
	"$linnix" replay "$tmp/a.lxr" --rules "$tmp/old" --diff "$tmp/rules" -o json 2>/dev/null | jq -e '.fires[0].change == "gone"' >/dev/null || fail "--diff shows nothing gone"
	"$linnix" replay "$tmp/a.lxr" --rules "$tmp/rules" --fail-on warning >"$tmp/out" 2>&1
	[ $? -eq 4 ] || fail "--fail-on does not find it"
	"$linnix" replay "$tmp/a.lxr" --rules "$tmp/old" --fail-on info >"$tmp/out" 2>&1 || fail "--fail-on finds what is not there"
}

probe_is_attached() { get /status | jq -e '.probes | map(select(.name == "proc" and .state == "attached")) | length == 1' >/dev/null; }
has_alert() { get '/events?type=alert&limit=10000' | jq -e 'any(.rule == "burst")' >/dev/null; }
is_written() { "$linnix" replay "$tmp/a.lxr" --rules "$tmp/rules" -o json 2>/dev/null | jq -e '.recording.alerts.burst == 1' >/dev/null; }

damage_and_mistakes_are_told()
{
	local rc
	"$linnix" record --last 10s -o "$tmp/a.lxr" 2>/dev/null || fail "no recording"
	head -c $(($(stat -c %s "$tmp/a.lxr") - 100)) "$tmp/a.lxr" >"$tmp/cut.lxr"
	"$linnix" replay "$tmp/cut.lxr" >/dev/null 2>"$tmp/said" || fail "a cut recording is not replayed"
	grep -q 'cut.lxr: it has no end' "$tmp/said" || fail "$(cat "$tmp/said")"
	printf 'x' | cat - "$tmp/a.lxr" >"$tmp/odd.lxr"
	printf 'rule "a" {\n  on = "proc.fork",\n  lastin = "5s",\n}\n' >"$tmp/bad.lua"
	while IFS='|' read -r rc args want; do
		# shellcheck disable=SC2086
		"$linnix" replay $args >"$tmp/out" 2>&1
		[ $? -eq "$rc" ] || fail "$args: not $rc: $(cat "$tmp/out")"
		grep -qF -e "$want" "$tmp/out" || fail "$args: $(cat "$tmp/out")"
	done <<-END
		1|$tmp/odd.lxr|not a recording
		1|$tmp/none.lxr|No such file
		1|$tmp|Is a directory
		2|$tmp/a.lxr --rules $tmp/bad.lua|bad.lua:3: unknown field 'lastin' (did you mean 'lasting'?)
		2|$tmp/a.lxr --rules $tmp/none|cannot read $tmp/none
		2|$tmp/a.lxr --fail-on loud|--fail-on is info, warning or critical
		2||which recording?
		2|$tmp/a.lxr $tmp/a.lxr|one recording at a time
	END
}

# What is larger than a recording may be cannot be replayed.
a_full_recording_is_no_larger_than_one_that_is_read()
{
	local full=$((1 << 30)) p bytes
	need python3
	start_agent
	poll 10 has_events || fail "no event: $(tail -3 "$log")"
	get /recording?last_s=60 >"$tmp/piece" || fail "no piece"
	p=$(free_port)
	python3 tests/func/record_api.py "$p" "$tmp/piece" 2>"$tmp/api.log" &
	poll 10 curl -sS -o /dev/null "http://127.0.0.1:$p/" || fail "the double: $(cat "$tmp/api.log")"
	bytes=$("$linnix" --url "http://127.0.0.1:$p" record --for 300s -o - 2>"$tmp/said" | wc -c)
	grep -q 'at most 1024 MiB' "$tmp/said" || fail "$(cat "$tmp/said")"
	[ "$bytes" -le "$full" ] || fail "$bytes bytes"
	[ "$bytes" -gt $((full - (61 << 20))) ] || fail "it ended after $bytes bytes"
}
has_events() { get '/events?limit=1' | jq -e 'length > 0' >/dev/null; }

run what_fired_fires_again a_recording_of_now_and_of_before ctrl_c_and_a_dead_agent_end_it_properly a_full_recording_is_no_larger_than_one_that_is_read
