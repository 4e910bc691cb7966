#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: it looks only at its own
#
# Plugins that misbehave: each is refused with a reason or counted, and the agent goes on. TIMEOUT below: the crash test
# starts the agent four times.
# TIMEOUT: 300

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"
no_ledger

# build_plugin NAME: into $tmp/plugins.
build_plugin()
{
	need "${CC:-gcc}"
	mkdir -p "$tmp/plugins"
	# shellcheck disable=SC2086 # CC may hold arguments
	${CC:-gcc} -std=c11 -D_GNU_SOURCE -fPIC -shared -fvisibility=hidden -Wall -Werror -Isdk/include \
		-o "$tmp/plugins/$1.so" "tests/data/plugins/$1.c" || fail "$1 does not build"
	chmod 755 "$tmp/plugins/$1.so"
}

with_plugins()
{
	prepare
	export LINNIX_PLUGINS_DIR=$build/plugins,$tmp/plugins
}

plugin_field() { get /plugins | jq -r --arg i "$1" --arg f "$2" '.[] | select(.instance == $i) | .[$f]'; }

# refused NAME PATTERN: it is refused with such a reason, which also stands in the log, and the agent works.
refused()
{
	build_plugin "$1"
	with_plugins
	start_agent
	is_refused "$1" "$2"
}

doctor_says()
{
	"$linnix" doctor >"$tmp/doctor" 2>/dev/null && fail "doctor finds nothing wrong"
	grep -qE -e "$1" "$tmp/doctor" || fail "no /$1/ in: $(cat "$tmp/doctor")"
}

is_refused()
{
	local state error
	state=$(plugin_field "$1" state)
	error=$(plugin_field "$1" error)
	[ "$state" = refused ] || fail "$1 is '$state': $error"
	grep -qiE -e "$2" <<<"$error" || fail "the reason of $1 is '$error', not /$2/"
	log_has "$1" || fail "the log does not name $1: $(cat "$log")"
	# Tell people: it was put there, and it does not run.
	get /readyz | grep -qF "$1" 2>/dev/null || curl -sS "$url/readyz" | grep -qF "$1" || fail "/readyz does not name $1"
	[ "$(status_of /system)" = 200 ] || fail "/system does not answer"
	stop_agent TERM
	[ "$code" -eq 0 ] || fail "exit code $code"
}

dropped_in_plugin_runs_without_yaml()
{
	build_plugin good
	with_plugins
	start_agent
	[ "$(plugin_field good state)" = running ] || fail "$(get /plugins)"
	log_has 'good is here' || fail "its log line is missing"
}

plugin_can_be_left_out()
{
	build_plugin good
	with_plugins
	echo 'good: { enabled: false }' >"$tmp/linnix.yaml"
	agent_args=(--config "$tmp/linnix.yaml")
	start_agent
	[ "$(plugin_field good state)" != running ] || fail "it runs"
}

not_a_plugin() { refused notplugin 'not a linnix plugin'; }
wrong_abi()
{
	build_plugin wrongabi
	with_plugins
	start_agent
	doctor_says '^FAIL plugin: wrongabi is refused: .*ABI 99'
	is_refused wrongabi 'ABI 99'
}
short_table() { refused tooshort 'bytes'; }
no_table() { refused nulltable 'NULL'; }
error_in_init()
{
	refused initerror 'down|init'
	log_has 'wrong quarter' || fail "its own words are not in the log"
}
unmet_need() { refused needsmissing 'unobtainium'; }

not_even_elf()
{
	mkdir -p "$tmp/plugins"
	head -c 5000 /dev/urandom >"$tmp/plugins/noise.so"
	chmod 755 "$tmp/plugins/noise.so"
	with_plugins
	start_agent
	is_refused noise 'cannot be loaded'
}

empty_file()
{
	mkdir -p "$tmp/plugins"
	: >"$tmp/plugins/nothing.so"
	with_plugins
	start_agent
	is_refused nothing 'cannot be loaded'
}

# writable_for MODE OF PATTERN: either bit is enough to refuse it.
writable_for()
{
	build_plugin good
	chmod "$1" "$tmp/plugins$2"
	with_plugins
	start_agent
	is_refused good "$3"
}
world_writable_file() { writable_for 757 /good.so '^writable by group or others \(mode 0757\)'; }
group_writable_file() { writable_for 775 /good.so '^writable by group or others \(mode 0775\)'; }
# Who may write it could put another file in the place of one that was checked.
world_writable_folder() { writable_for 757 '' 'its folder is writable by group or others'; }

file_of_someone_else()
{
	need_root
	build_plugin good
	chown nobody "$tmp/plugins/good.so"
	with_plugins
	start_agent
	is_refused good 'owned by'
}

renamed_file()
{
	build_plugin good
	mv "$tmp/plugins/good.so" "$tmp/plugins/other.so"
	with_plugins
	start_agent
	is_refused other 'calls itself'
}

folder_of_plugins_is_missing()
{
	with_plugins
	start_agent
	stop_agent TERM
	[ "$code" -eq 0 ] || fail "exit code $code"
}

has_failed() { [ "$(plugin_field failing state)" = failing ]; }
failing_plugin_is_shown()
{
	need_root
	build_plugin failing
	with_plugins
	start_agent
	local i
	for ((i = 0; i < 150; i++)); do (:); done
	poll 10 has_failed || fail "$(get /plugins)"
	[ "$(plugin_field failing failures)" -ge 100 ] || fail "$(get /plugins)"
	[ "$(status_of /readyz)" = 503 ] || fail "/readyz is not 503"
	curl -sS "$url/readyz" | jq -e '.reasons | map(contains("failing")) | any' >/dev/null || fail "$(curl -sS "$url/readyz")"
	doctor_says '^FAIL plugin: failing is failing: its event handler failed 100 times in a row, last: Input/output error'
}

crashing_plugin_is_quarantined_after_three_crashes()
{
	build_plugin crasher
	with_plugins
	local i
	for i in 1 2 3; do
		spawn_agent
		poll 15 is_gone "$agent" || fail "start $i: the plugin did not crash the agent: $(cat "$log")"
		wait "$agent"
		code=$?
		[ "$code" -ge 128 ] || fail "start $i: exit code $code"
	done
	start_agent
	[ "$(plugin_field crasher state)" = quarantined ] || fail "$(get /plugins)"
	[ "$(status_of /readyz)" = 503 ] || fail "/readyz is not 503"
	curl -sS "$url/readyz" | grep -q crasher || fail "/readyz does not name it"
	doctor_says '^FAIL plugin: crasher is quarantined: '
	log_has 'crasher.*quarantine|quarantine.*crasher' || fail "the log does not say it"
	# It has seen several samples by now, with the plugin it would be gone.
	poll 5 sampled_twice || fail "no samples"
	is_alive "$agent" || fail "the agent is gone"
}
sampled_twice() { [ "$(metric 'linnix_events_total{type="host.sample"}')" -ge 2 ]; }

verb_of_a_plugin_needs_no_agent()
{
	build_plugin good
	local out code=0
	mkdir -p "$tmp/lib"
	mv "$tmp/plugins" "$tmp/lib/plugins"
	out=$("$linnix" --lib-dir "$tmp/lib" good one two) || code=$?
	[ "$code" -eq 7 ] || fail "exit code $code"
	[ "$out" = 'good says: one two' ] || fail "$out"
	"$linnix" --lib-dir "$tmp/lib" help | grep -q 'say the words again (good)' || fail "help does not list it"
	chmod 777 "$tmp/lib/plugins/good.so"
	code=0
	"$linnix" --lib-dir "$tmp/lib" good one 2>"$tmp/err" || code=$?
	[ "$code" -eq 2 ] || fail "a world-writable plugin ran: $code"
	grep -q writable "$tmp/err" || fail "$(cat "$tmp/err")"
}

# The answer is of the rules that run: the loop does not stand still until the new ones are built and tested.
plugin_asks_for_a_reload_and_nothing_waits()
{
	build_plugin reloader
	with_plugins
	mkdir "$tmp/rules"
	echo 'rule "a" { on = "proc.exec", severity = "info" }' >"$tmp/rules/a.lua"
	export LINNIX_RULES_DIR=$tmp/rules
	start_agent
	poll 20 log_has 'asked: 0' || fail "$(cat "$log")"
	log_has 'asked: 0 \{"generation":1,' || fail "$(grep asked "$log")"
	poll 20 log_has 'rules: generation 2, 1 loaded' || fail "$(cat "$log")"
}

# As those of a shared object: the reference, the checks with what was meant, the environment, what is in force.
options_of_a_script_are_those_of_a_plugin()
{
	local out code=0
	mkdir "$tmp/plugins"
	install -m 644 sdk/template/lua/crash_bursts.lua "$tmp/plugins/"
	with_plugins
	"$linnix" plugins --options --dir "$tmp/plugins" >"$tmp/out" || fail "$(cat "$tmp/out")"
	grep -qE '^crash_bursts.limit +whole number +5 +Crashes' "$tmp/out" || fail "$(cat "$tmp/out")"
	grep -qE '^crash_bursts.window +duration +10s ' "$tmp/out" || fail "$(cat "$tmp/out")"
	grep -q '^http.listen ' "$tmp/out" || fail "where are the others?"
	mkdir -p "$tmp/lib"
	cp -r "$tmp/plugins" "$tmp/lib/plugins"
	"$linnix" --lib-dir "$tmp/lib" plugins --options crash_bursts -o json | jq -e 'map(.key) == ["limit", "window"] and .[0].reload' >/dev/null ||
		fail "a script next to the shipped ones is not shown"
	out=$("$linnix" plugins --options --dir "$tmp/nowhere" 2>&1 >/dev/null) && fail "a folder that is not there"
	grep -q 'nowhere: No such file' <<<"$out" || fail "$out"
	printf 'crash_bursts:\n  limt: 3\n  window: 5h\n' >"$tmp/bad.yaml"
	out=$("$linnixd" --config "$tmp/bad.yaml" --check-config 2>&1) || code=$?
	[ "$code" -eq 2 ] || fail "exit code $code: $out"
	grep -qF "bad.yaml:2:3: crash_bursts: unknown key 'limt' (did you mean 'limit'?)" <<<"$out" || fail "$out"
	grep -qF 'bad.yaml:3:3: crash_bursts.window: 5h is not in 1s..1h' <<<"$out" || fail "$out"
	echo 'crash_burst: { limit: 3 }' >"$tmp/bad.yaml"
	out=$("$linnixd" --config "$tmp/bad.yaml" --check-config 2>&1) && fail "an unknown section: $out"
	grep -qF "bad.yaml:1:1: unknown section 'crash_burst' (did you mean 'crash_bursts'?)" <<<"$out" || fail "$out"
	echo 'crash_bursts: { limit: 3 }' >"$tmp/good.yaml"
	LINNIX_CRASH_BURSTS_WINDOW=2m "$linnixd" --config "$tmp/good.yaml" --dump-config >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	grep -qE '^  limit: 3 +# file' "$tmp/out" || fail "$(grep -A3 crash_bursts "$tmp/out")"
	grep -qE '^  window: (2m|120s) +# env' "$tmp/out" || fail "$(grep -A3 crash_bursts "$tmp/out")"
	"$linnixd" --config "$tmp/good.yaml" --explain 2>/dev/null | grep -q 'read by plugin crash_bursts' || fail "--explain does not name it"
}

run dropped_in_plugin_runs_without_yaml plugin_can_be_left_out not_a_plugin wrong_abi short_table no_table error_in_init \
	unmet_need not_even_elf empty_file world_writable_file group_writable_file world_writable_folder file_of_someone_else renamed_file folder_of_plugins_is_missing \
	failing_plugin_is_shown crashing_plugin_is_quarantined_after_three_crashes verb_of_a_plugin_needs_no_agent \
	plugin_asks_for_a_reload_and_nothing_waits options_of_a_script_are_those_of_a_plugin
