# shellcheck shell=bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Sourced after lib.sh: an agent with 100 rules, and a plugin that floods them.
# shellcheck disable=SC2154

# flood SECONDS: 100 rules, 100,000 events a second, each wanted by 5. Nothing may be lost, and each rule tells its cost.
flood()
{
	local seconds=$1 i
	mkdir "$tmp/plugins" "$tmp/rules"
	need "${CC:-gcc}"
	# shellcheck disable=SC2086 # CC may hold arguments
	${CC:-gcc} -std=c11 -D_GNU_SOURCE -O2 -fPIC -shared -fvisibility=hidden -Wall -Werror -Isdk/include \
		-o "$tmp/plugins/flood.so" tests/data/plugins/flood.c || fail "flood does not build"
	chmod 755 "$tmp/plugins/flood.so"
	for i in {0..99}; do
		printf 'rule "f%d" { on = "flood.drop", where = { kind = %d }, by = "key", window = "count 1s", when = function(w, k, ev) return w.count > 1e9 or ev.value < 0 end }\n' \
			"$i" $((i % 20)) >"$tmp/rules/f$i.lua"
	done
	prepare
	export LINNIX_PLUGINS_DIR=$build/plugins,$tmp/plugins LINNIX_RULES_DIR=$tmp/rules
	export LINNIX_FLOOD_SECONDS=$seconds LINNIX_FLOOD_PER_SECOND=100000
	start_agent
	get /rules | jq -e '.errors == [] and (.rules | length) == 100' >/dev/null || fail "$(get /rules | jq -c .errors)"
	begin=$(now_ms)
	all_sent() { [ "$(metric flood_sent_total)" -ge $((seconds * 100000)) ]; }
	poll $((seconds * 4 + 20)) all_sent || fail "only $(metric flood_sent_total) events after $(($(now_ms) - begin)) ms"
	[ "$(metric flood_refused_total)" = 0 ] || fail "$(metric flood_refused_total) events were refused"
	get /metrics | awk '/^linnix_events_dropped_total/ && $2 != 0 { print; bad = 1 } END { exit bad }' || fail "events were lost"
	get /rules | jq -e --argjson n $((seconds * 5000)) 'all(.rules[]; .events == $n and .calls == $n and .ns_total > 0 and .ns_p99 > 0 and .keys == 64)' >/dev/null ||
		fail "not every rule saw its events: $(get /rules | jq -c '[.rules[] | {name, events, calls, ns_total, ns_p99, keys}][0:5]')"
	get /rules | jq -r '"of 100 rules a call costs \([.rules[].ns_per_call] | add / 100) ns, p99 \([.rules[].ns_p99] | max) ns"'
	[ "$(metric 'linnix_rule_calls_total{rule="f7"}')" = $((seconds * 5000)) ] || fail "the metric of a rule tells another number"
	echo "CPU of the agent: $(metric process_cpu_seconds_total) s for $seconds s"
}
