#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: nothing is measured
#
# The shipped rules over recordings of real runs (scripts/dev/record_scenes.sh): what is ordinary stays below `warning`, and
# real culprits reach it. A rule that is edited has to keep both. No agent, no root.
# TIMEOUT: 60
# shellcheck source=tests/func/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

scenes=tests/data/scenes
rules=scripts/rules

# alerts SCENE [RULES]: "rule severity" of each, sorted; fails when the recording is not whole.
alerts()
{
	"$linnix" replay "$scenes/$1.lxr" --rules "${2:-$rules}" -o json >"$tmp/$1.json" 2>"$tmp/said" || fail "$1: $(cat "$tmp/said")"
	jq -e '.recording | .complete and .events > 100 and .state > 10 and .damaged_blocks + .lost_events + .lost_state + .unknown_events + .invalid_events +
		([.lost_while_recording[]] | add) == 0' "$tmp/$1.json" >/dev/null || fail "$1: the recording is not whole: $(jq -c .recording "$tmp/$1.json")"
	jq -r '.fires[] | .rule + " " + .severity + " " + .say' "$tmp/$1.json" | sort
}

what_is_ordinary_stays_below_warning()
{
	local scene found
	for scene in make_j2 apt_install redis_benchmark jvm_start cron_burst; do
		found=$(alerts "$scene") || exit 1
		! grep -E '^[a-z-]+ (warning|critical) ' <<<"$found" || fail "$scene is no reason for an alert"
		"$linnix" replay "$scenes/$scene.lxr" --rules "$rules" --fail-on warning >/dev/null 2>&1 || fail "$scene: --fail-on does not agree"
	done
}

# culprit SCENE RULE [RULES]: it fires at warning or above.
culprit()
{
	local found
	found=$(alerts "$1" "${3:-$rules}") || exit 1
	grep -qE "^$2 (warning|critical) " <<<"$found" || fail "$1: $2 does not fire: $found"
}

real_culprits_reach_warning()
{
	culprit stress_fork fork-storm
	culprit fork_bomb fork-storm
	culprit crash_loop crash-loop
	culprit yes_beside_worker noisy-neighbour
	grep -q 'yes_beside_worker.service (yes, pid [0-9]*) made worker.service wait' "$tmp/yes_beside_worker.json" ||
		fail "the wrong one is blamed: $(jq -c '.fires[].say' "$tmp/yes_beside_worker.json")"
}

# The rule looks back for a quarter of an hour; the recording is of half a minute.
a_leak_reaches_warning_with_shorter_times()
{
	mkdir "$tmp/rules"
	sed -e 's/^local span_s = .*/local span_s = 15/' -e 's/_bytes 15m"/_bytes 15s"/' -e '/^test /,$d' \
		"$rules/memory_leak.lua" >"$tmp/rules/memory_leak.lua"
	culprit memory_leak memory-leak "$tmp/rules"
	[ "$(jq -r '.fires[0].subject.workload' "$tmp/memory_leak.json")" = memory_leak.service ] || fail "it is not the unit that leaks: $(jq -c '.fires[0].subject' "$tmp/memory_leak.json")"
	# and none of the others leaks
	[ "$(jq '.fires | length' "$tmp/memory_leak.json")" = 1 ] || fail "others leak, too: $(jq -c '.fires[].say' "$tmp/memory_leak.json")"
}

the_same_recording_gives_the_same_bytes()
{
	local scene
	for scene in make_j2 fork_bomb; do
		alerts "$scene" >/dev/null
		cp "$tmp/$scene.json" "$tmp/first.json"
		alerts "$scene" >/dev/null
		cmp "$tmp/first.json" "$tmp/$scene.json" || fail "$scene: two runs differ"
	done
}

an_edit_of_a_threshold_shows_what_it_changes()
{
	cp -r "$rules" "$tmp/new"
	sed -i 's/^local per_second = 10/local per_second = 100000/' "$tmp/new/fork_storm.lua"
	"$linnix" replay "$scenes/stress_fork.lxr" --rules "$tmp/new" --diff "$rules" -o json 2>/dev/null |
		jq -e '[.fires[] | select(.rule == "fork-storm")] | length > 0 and all(.change == "gone")' >/dev/null || fail "what is gone is not shown"
	"$linnix" replay "$scenes/stress_fork.lxr" --rules "$rules" --diff "$rules" 2>/dev/null | grep -E ' (new|gone|changed)' && fail "the same rules differ"
	return 0
}

run what_is_ordinary_stays_below_warning real_culprits_reach_warning a_leak_reaches_warning_with_shorter_times \
	the_same_recording_gives_the_same_bytes an_edit_of_a_threshold_shows_what_it_changes
