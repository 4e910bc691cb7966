#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: it looks only at its own
#
# Rules edited under a running agent: taken within a second when they are sound, told and left when they are not.
# TIMEOUT: 180
# shellcheck source=tests/func/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
no_ledger

one_rule() { printf 'rule "%s" { on = "proc.exec", where = { comm = "%s" }, severity = "info" }\n' "$1" "${2:-none}"; }

# put FILE: what comes in, whole or not at all: a pause between the opening and the writing would be an empty file.
put() { cat >"$tmp/put" && mv "$tmp/put" "$1"; }

agent_with_rules()
{
	rules=$tmp/rules
	[ -d "$rules" ] || {
		mkdir "$rules"
		one_rule first >"$rules/first.lua"
	}
	prepare
	export LINNIX_RULES_DIR=$rules
	start_agent
}

generation() { get /rules | jq .generation; }
has_rule() { get /rules | jq -e --arg n "$1" 'any(.rules[]; .name == $n)' >/dev/null; }
lacks_rule() { get /rules | jq -e --arg n "$1" 'all(.rules[]; .name != $n)' >/dev/null; }
is_sound() { get /rules | jq -e '.errors == []' >/dev/null; }
has_error() { get /rules | jq -e --arg f "$1" --argjson l "$2" --arg m "$3" 'any(.errors[]; (.file | endswith($f)) and .line == $l and (.message | contains($m)))' >/dev/null; }

an_edit_is_taken_within_a_second_and_a_broken_one_is_told()
{
	cp -r scripts/rules "$tmp/rules"
	agent_with_rules
	hash=$(get /rules | jq -r .hash)
	[ "$(metric "linnix_rules_generation_info{hash=\"$hash\"}")" = 1 ] || fail "no metric of the hash"
	begin=$(now_ms)
	sed -i 's/^local per_second = .*/local per_second = 11/; s/ten a second is not more than ten/x/; s/storm(t, 10,/storm(t, 11,/' "$rules/fork_storm.lua"
	is_taken() { [ "$(generation)" -ge 2 ]; }
	poll 10 is_taken || fail "not taken: $(get /rules | jq -c .errors)"
	echo "taken after $(($(now_ms) - begin)) ms"
	[ "$(get /rules | jq -r .hash)" != "$hash" ] || fail "the hash did not change"
	hash=$(get /rules | jq -r .hash)
	printf 'rule "broken" {\n  on = "proc.exec",\n  lastin = "5s",\n}\n' | put "$rules/zz.lua"
	poll 5 has_error /zz.lua 3 "unknown field 'lastin' (did you mean 'lasting'?)" || fail "$(get /rules | jq -c .errors)"
	get /rules | jq -e --arg h "$hash" '.generation == 2 and .hash == $h and .refused_hash != $h' >/dev/null || fail "the old set does not run on"
	[ "$(metric linnix_rules_last_reload_successful)" = 0 ] || fail "the metric does not tell"
	get /readyz | jq -e '.degraded | any(contains("lastin"))' >/dev/null || fail "/readyz does not tell: $(get /readyz)"
	# its own test fails: as broken
	printf 'rule "ok" { on = "proc.exec" }\ntest "no" { feed = function(t) t.exec(1) end, fires = {} }\n' | put "$rules/zz.lua"
	poll 5 has_error /zz.lua 2 "test 'no' fails" || fail "$(get /rules | jq -c .errors)"
	rm "$rules/zz.lua"
	poll 5 is_sound || fail "$(get /rules | jq -c .errors)"
	[ "$(generation)" = 2 ] || fail "the same bytes are another generation"
	[ "$(metric linnix_rules_last_reload_successful)" = 1 ] || fail "the metric does not tell"
}

editors_that_rename_and_links_that_swap_are_followed()
{
	# As Kubernetes mounts a ConfigMap.
	mkdir -p "$tmp/rules/..1" "$tmp/rules/..2"
	one_rule first >"$tmp/rules/..1/a.lua"
	one_rule second >"$tmp/rules/..2/a.lua"
	ln -s ..1 "$tmp/rules/..data"
	ln -s ..data/a.lua "$tmp/rules/a.lua"
	agent_with_rules
	has_rule first || fail "not loaded through the links"
	ln -s ..2 "$rules/..tmp"
	mv -T "$rules/..tmp" "$rules/..data"
	rm -r "$rules/..1"
	poll 5 has_rule second || fail "a swapped link is not followed"
	lacks_rule first || fail "the old one is still there"
	one_rule third >"$tmp/third"
	mv "$tmp/third" "$rules/a.lua"
	poll 5 has_rule third || fail "a renamed file is not followed"
	# What is not a rule does not matter.
	n=$(generation)
	echo x >"$rules/.a.lua.swp"
	echo x >"$rules/4913"
	one_rule fourth | put "$rules/b.lua"
	poll 5 has_rule fourth || fail "a new file is not followed"
	[ "$(generation)" -eq $((n + 1)) ] || fail "$(($(generation) - n)) generations"
}

folder_that_vanishes_changes_nothing_until_it_is_back()
{
	mkdir -p "$tmp/real"
	one_rule first >"$tmp/real/a.lua"
	ln -s real "$tmp/rules"
	agent_with_rules
	mv "$tmp/real" "$tmp/away"
	rm "$tmp/rules"
	poll 5 has_error /rules 0 "No such file" || fail "$(get /rules | jq -c .errors)"
	has_rule first || fail "the rules went with their folder"
	mkdir "$tmp/rules"
	one_rule second >"$tmp/rules/a.lua"
	poll 5 has_rule second || fail "the folder that came back is not read"
	is_sound || fail "$(get /rules | jq -c .errors)"
	# And it is watched.
	one_rule third >"$tmp/rules/b.lua"
	poll 5 has_rule third || fail "the folder that came back is not watched"
}

swapped_a_hundred_times_in_a_second_it_ends_with_the_last()
{
	agent_with_rules
	n=$(generation)
	begin=$(now_ms)
	for i in {1..100}; do
		one_rule "swap$i" >"$tmp/next"
		mv "$tmp/next" "$rules/first.lua"
	done
	took=$(($(now_ms) - begin))
	poll 10 has_rule swap100 || fail "$(get /rules | jq -c '.rules[].name')"
	is_sound || fail "$(get /rules | jq -c .errors)"
	n=$(($(generation) - n))
	# One for each pause of 80 ms, of which a busy machine makes many, or 400 ms of swaps, and the last.
	if [ "$n" -lt 1 ] || [ "$n" -gt $((2 + took / 80)) ]; then fail "$n generations in $took ms"; fi
}

a_thousand_files_are_taken_at_once()
{
	agent_with_rules
	mkdir "$tmp/many"
	for i in {1..1000}; do printf 'rule "r%d" { on = "proc.exec", where = { comm = "x" } }\n' "$i" >"$tmp/many/r$i.lua"; done
	mv "$tmp"/many/*.lua "$rules/"
	has_all() { get /rules | jq -e '.rules | length == 1001' >/dev/null; }
	poll 20 has_all || fail "$(get /rules | jq '.rules | length') rules: $(get /rules | jq -c .errors)"
	answers || fail "the agent does not answer"
	rm "$rules"/r*.lua
	poll 20 lacks_rule r1 || fail "they are still there"
}

asking_reloads_too()
{
	need_root
	agent_with_rules
	post() { curl -sS -m $((60 * patience)) -o "$tmp/body" -w '%{http_code}' --unix-socket "$socket" -X POST -H 'Content-Type: application/json' http://localhost/rules/reload; }
	# Asked over TCP without a token: refused.
	[ "$(curl -sS -o /dev/null -w '%{http_code}' -X POST -H 'Content-Type: application/json' "$url/rules/reload")" = 403 ] || fail "anybody may reload"
	[ "$(post)" = 200 ] || fail "$(cat "$tmp/body")"
	[ "$(jq .generation "$tmp/body")" = 2 ] || fail "$(cat "$tmp/body")"
	echo 'rule (' | put "$rules/b.lua"
	[ "$(post)" = 422 ] || fail "$(cat "$tmp/body")"
	jq -e '.generation == 2 and .errors[0].line == 2' "$tmp/body" >/dev/null || fail "$(cat "$tmp/body")"
	one_rule second | put "$rules/b.lua"
	poll 5 has_rule second || fail "not taken"
	# Tests of a second and more hold up only who asked, not the agent: others are served.
	{
		echo 'rule "slow" { on = "proc.fork", by = "ppid", window = "count 1s", when = function(w) return w.count > 1e9 end }'
		for n in 1 2 3; do echo "test '$n' { feed = function(t) for s = 1, 400000 do t.fork(s, { ppid = s % 3000 }) end end, fires = {} }"; done
	} | put "$rules/slow.lua"
	# The clock is the reload itself, whatever the machine: were the loop to wait for one of the three tests, three answers would come.
	served=0
	post >"$tmp/code" &
	asked=$!
	while is_alive "$asked"; do
		answers || fail "nobody else is served"
		served=$((served + 1))
	done
	[ "$served" -gt 8 ] || fail "only $served answers while the rules were tested"
	[ "$(cat "$tmp/code")" = 200 ] || fail "$(cat "$tmp/body")"
	has_rule slow || fail "answered before the rules ran"
	rm "$rules/slow.lua"
	poll 5 lacks_rule slow || fail "not taken"
	n=$(generation)
	kill -HUP "$agent"
	taken() { [ "$(generation)" -gt "$n" ]; }
	poll 5 taken || fail "SIGHUP does not reload"
	stop_agent TERM
	[ "$code" = 0 ] || fail "exit status $code"
}

tests_without_end_hold_up_neither_an_edit_nor_the_end()
{
	agent_with_rules
	{
		echo 'rule "slow" { on = "proc.exec", where = { comm = "x" } }'
		for n in {1..100}; do echo "test '$n' { feed = function(t) for i = 1, 1e7 do local _ = i + i end end, fires = {} }"; done
	} >"$tmp/slow.lua"
	# One of them, not all.
	is_bounded() { get /rules | jq -e '[.errors[].message] | length == 1 and (.[0] | contains("used up what all tests together may take"))' >/dev/null; }
	cp "$tmp/slow.lua" "$tmp/next"
	mv "$tmp/next" "$rules/slow.lua"
	poll 60 is_bounded || fail "$(get /rules | jq -c .errors)"
	rm "$rules/slow.lua"
	poll 20 is_sound || fail "$(get /rules | jq -c .errors)"
	# What is taken back while its tests run is not waited for; nor at the end.
	ticks() { awk '{ s += $14 } END { print s }' "/proc/$agent"/task/*/stat; }
	works() { [ "$(ticks)" -gt $((before + 10)) ]; }
	before=$(ticks)
	mv "$tmp/slow.lua" "$rules/slow.lua"
	poll 20 works || fail "the tests do not begin"
	one_rule second >"$rules/slow.lua"
	poll 20 has_rule second || fail "$(get /rules | jq -c .errors)"
	is_sound || fail "$(get /rules | jq -c .errors)"
	before=$(ticks)
	for n in {1..100}; do echo "test '$n' { feed = function(t) while true do end end, fires = {} }"; done >"$tmp/next"
	mv "$tmp/next" "$rules/slow.lua"
	poll 20 works || fail "the tests do not begin"
	stop_agent TERM
	[ "$code" = 0 ] || fail "exit status $code"
}

firing_state_outlives_the_edit_of_a_neighbour()
{
	need_root
	printf 'rule "watch" { on = "proc.exec", where = { comm = "lnx-here" }, window = "count 1h", keep = "1h", when = function(w) return w.count > 0 end }\n' >"$tmp/watch.lua"
	mkdir "$tmp/rules"
	mv "$tmp/watch.lua" "$tmp/rules/"
	agent_with_rules
	get /readyz | jq -e '[.reasons[], .degraded[] | select(test("^probe: proc"))] == []' >/dev/null || skip "the probe does not run here: $(get /readyz)"
	cp "$(type -P true)" "$tmp/lnx-here"
	fires() { "$tmp/lnx-here"; get /rules | jq -e '.rules[] | select(.name == "watch") | .firing == 1' >/dev/null; }
	poll 10 fires || fail "it does not fire: $(get /rules)"
	before=$(get /rules | jq '.rules[] | select(.name == "watch") | .events')
	one_rule other >"$rules/other.lua"
	poll 5 has_rule other || fail "not taken"
	get /rules | jq -e --argjson n "$before" '.rules[] | select(.name == "watch") | .firing == 1 and .fired == 1 and .events >= $n' >/dev/null ||
		fail "it began anew: $(get /rules)"
	# The rule itself goes: what fired is over.
	rm "$rules/watch.lua"
	over() { get '/events?type=alert&limit=100' | jq -e 'any(.[]; .rule == "watch" and .state == "resolved")' >/dev/null; }
	poll 5 over || fail "never resolved"
}

rule_that_fails_three_times_is_told_everywhere_until_it_is_mended()
{
	mkdir "$tmp/rules"
	printf 'rule "bad" { on = "host.sample",\n  when = function(w, k, ev) return ev.nope end }\n' >"$tmp/rules/bad.lua"
	agent_with_rules
	is_disabled() { get /rules | jq -e 'any(.rules[]; .name == "bad" and .state == "disabled" and .error_line == 2 and .failures == 3)' >/dev/null; }
	poll 15 is_disabled || fail "$(get /rules)"
	[ "$(status_of /readyz)" = 503 ] || fail "/readyz answers $(status_of /readyz)"
	curl -sS "$url/readyz" | jq -e '.reasons | any(contains("1 disabled after failures, first bad"))' >/dev/null || fail "$(curl -sS "$url/readyz")"
	get '/events?type=rule.disabled&limit=10' | jq -e '.[0].rule == "bad" and .[0].line == 2 and .[0].failures == 3' >/dev/null ||
		fail "$(get '/events?type=rule.disabled')"
	sed -i 's/ev.nope/false/' "$tmp/rules/bad.lua"
	is_mended() { get /rules | jq -e 'any(.rules[]; .name == "bad" and .state == "idle")' >/dev/null; }
	poll 5 is_mended || fail "$(get /rules)"
	curl -sS "$url/readyz" | jq -e '.reasons | all(contains("disabled") | not)' >/dev/null || fail "$(curl -sS "$url/readyz")"
}

# A unit that is started again keeps its cgroup: its runs are told apart, and probes beside its main process are none.
runs_in_one_cgroup_are_a_crash_loop()
{
	local v2 n
	need_root
	v2=$(awk '$0 ~ / - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
	[ -n "$v2" ] || skip "no cgroup v2"
	unit=$v2/lnx-loop-$$.service # not local: the trap still needs it
	mkdir "$unit" || skip "no right to make cgroups"
	drop_unit() { poll 5 rmdir "$unit"; }
	trap 'finish; drop_unit' EXIT
	cp -r scripts/rules "$tmp/rules"
	agent_with_rules
	get /readyz | jq -e '[.reasons[], .degraded[] | select(test("^probe: proc"))] == []' >/dev/null || skip "the probe does not run here: $(get /readyz)"
	is_known() { get '/events?type=workload.update&limit=10000' | jq -e --arg u "${unit##*/}" 'any(.path // "" | endswith($u))' >/dev/null; }
	poll 20 is_known || fail "nobody knows the unit"
	# shellcheck disable=SC2016
	inside() { exec bash -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$unit" "$@"; }
	inside sleep 100 &
	main=$!
	runs_there() { [ "$(cat "/proc/$main/comm")" = sleep ]; }
	poll 10 runs_there || fail "the main process does not start"
	for n in 1 2 3 4; do (inside sh -c "exit $n") && fail "it did not fail"; done
	kill -TERM "$main"
	has_ended() { get '/events?type=proc.exit&limit=10000' | jq -e --argjson p "$main" 'any(.[]; .pid == $p)' >/dev/null; }
	poll 10 has_ended || fail "its end is not told"
	loops() { get /rules | jq -c --arg u "/${unit##*/}" '[.rules[] | select(.name == "crash-loop") | .recent[] | select(.key == $u)]'; }
	[ "$(loops)" = '[]' ] || fail "probes are a loop: $(loops)"
	for n in 1 2 3; do (inside sh -c 'exit 3') && fail "it did not fail"; done
	is_loop() { loops | jq -e '.[0] | .state == "firing" and .severity == "warning" and .value == 3 and .comm == "sh"' >/dev/null; }
	poll 10 is_loop || fail "no loop: $(loops) $(get /rules | jq -c '.rules[] | select(.name == "crash-loop")')"
}

run an_edit_is_taken_within_a_second_and_a_broken_one_is_told editors_that_rename_and_links_that_swap_are_followed \
	folder_that_vanishes_changes_nothing_until_it_is_back swapped_a_hundred_times_in_a_second_it_ends_with_the_last \
	a_thousand_files_are_taken_at_once asking_reloads_too tests_without_end_hold_up_neither_an_edit_nor_the_end \
	rule_that_fails_three_times_is_told_everywhere_until_it_is_mended firing_state_outlives_the_edit_of_a_neighbour \
	runs_in_one_cgroup_are_a_crash_loop
