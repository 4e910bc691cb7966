#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: nothing is measured
#
# The templates of the SDK, used as a third party would: out of tree, with a copy of sdk/ and nothing else. Built, tested on
# the fake host, loaded by the real agent. And the code in the guide is theirs.
# TIMEOUT: 300

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"
unset MAKEFLAGS MAKELEVEL MFLAGS

copy_sdk()
{
	cp -r sdk "$tmp/sdk"
	cp -r sdk/template/c "$tmp/crashes"
	rm -rf "$tmp/crashes/build" "$tmp/sdk/template"
}

build_template()
{
	copy_sdk
	make -C "$tmp/crashes" LINNIX_SDK="$tmp/sdk" CC="${CC:-gcc}" CFLAGS='-Werror -Wpedantic -Wshadow' "$@" ||
		fail "it does not build"
}

c_template_builds_and_its_tests_pass()
{
	build_template test >"$tmp/log" 2>&1 || fail "$(tail -30 "$tmp/log")"
	# cmocka's summary comes in two forms
	[ "$(grep -cE '^\[ +OK \]|^ok ' "$tmp/log")" -ge 5 ] || fail "its tests did not run: $(cat "$tmp/log")"
}

load_template()
{
	build_template
	mkdir "$tmp/plugins" "$tmp/rules"
	install -m 755 "$tmp/crashes/build/crashes.so" "$tmp/plugins/"
	install -m 644 sdk/template/lua/crashes.lua "$tmp/rules/"
	install -m 644 sdk/template/lua/crash_bursts.lua "$tmp/plugins/"
	prepare
	export LINNIX_PLUGINS_DIR=$build/plugins,$tmp/plugins LINNIX_RULES_DIR=$tmp/rules
	export LINNIX_CRASHES_WINDOW=1s LINNIX_CRASHES_LIMIT=1 LINNIX_CRASH_BURSTS_WINDOW=1s LINNIX_CRASH_BURSTS_LIMIT=1
	start_agent
}

agent_loads_it_without_a_line_of_yaml()
{
	load_template
	get /plugins | jq -e '.[] | select(.instance == "crashes") | .state == "running" and .version == "1.0" and
		.path == "'"$tmp"'/plugins/crashes.so" and .subscriptions == ["proc.exit"]' ||
		fail "$(get /plugins)"
	[ "$(get /metrics | grep -c '^crashes_processes_total ')" -eq 1 ] || fail "its metric is missing"
	get /plugins | jq -e '.[] | select(.instance == "crash_bursts") | .state == "running" and .version == "1.0" and
		.path == "'"$tmp"'/plugins/crash_bursts.lua" and .subscriptions == ["proc.exit"]' || fail "$(get /plugins)"
}

# Three within a second, whatever takes long between two looks.
crash()
(
	for _ in 1 2 3; do bash -c 'kill -SEGV $$' 2>/dev/null & done
	wait
) 2>/dev/null
lua_burst_is_there() { crash; get '/events?type=crash_bursts.burst&limit=1' | jq -e '.[0].crashes > 1 and .[0].comm == "bash"' >/dev/null; }
burst_is_there() { crash; get '/events?type=crashes.burst&limit=1' | jq -e '.[0].signal == 11 and .[0].crashes >= 1' >/dev/null; }
alert_is_there() { crash; get '/events?type=alert&limit=100' | jq -e '[.[] | select(.rule == "crashes" and .severity == "warning")] | length > 0' >/dev/null; }

both_templates_see_real_crashes()
{
	need_root
	load_template
	get /readyz | jq -e '[.reasons[], .degraded[] | select(test("^probe: proc"))] == []' >/dev/null ||
		skip "the probe does not run here: $(get /readyz)"
	poll 15 burst_is_there || fail "no event of the C template: $(get '/events?limit=20')"
	poll 15 lua_burst_is_there || fail "no event of the Lua plugin: $(get /plugins)"
	[ "$(metric 'crash_bursts_crashes_total{signal="11"}')" -ge 2 ] || fail "the metric of the Lua plugin is missing"
	poll 15 alert_is_there || fail "no alert of the Lua template: $(get /rules)"
	[ "$(metric crashes_processes_total)" -ge 4 ] || fail "its metric is $(metric crashes_processes_total)"
}

lua_template_is_sound_and_its_tests_pass()
{
	mkdir "$tmp/rules"
	cp sdk/template/lua/crashes.lua "$tmp/rules/"
	"$linnix" rules check "$tmp/rules/crashes.lua" || fail "it is not sound"
	"$linnix" rules test "$tmp/rules" >"$tmp/log" || fail "$(cat "$tmp/log")"
	[ "$(grep -c '^ok ' "$tmp/log")" -ge 4 ] || fail "its tests did not run: $(cat "$tmp/log")"
}

# Every block of code in the guide stands in the file named in its first line.
code_of_the_guide_is_the_templates()
{
	local line block='' file='' code n=0 inside=0
	while IFS= read -r line; do
		case $line in
		'```c '* | '```lua '* | '```make '*)
			inside=1 block='' file=${line#* }
			continue
			;;
		'```'*)
			if [ "$inside" -eq 1 ]; then
				[ -f "sdk/$file" ] || fail "the guide quotes $file, which is not there"
				code=$(<"sdk/$file")
				[[ $code == *"${block%$'\n'}"* ]] || fail "not in $file: $block"
				n=$((n + 1))
			fi
			inside=0
			continue
			;;
		esac
		[ "$inside" -eq 0 ] || block+=$line$'\n'
	done <sdk/README.md
	[ "$n" -ge 6 ] || fail "only $n blocks of code in the guide"
}

run c_template_builds_and_its_tests_pass agent_loads_it_without_a_line_of_yaml both_templates_see_real_crashes \
	lua_template_is_sound_and_its_tests_pass code_of_the_guide_is_the_templates
