#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Shipped rules about one workload and its limits, on the real kernel: a process that leaks below a memory limit until the kernel
# kills it; a group that waits for CPUs, and one that only waits for its own quota. The rules look back for minutes: here for seconds.
# TIMEOUT: 120

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/func/lib_cgroups.sh
. "$(dirname "$0")/lib_cgroups.sh"

alerts() { get '/events?type=alert&limit=1000' | jq -c --arg r "$1" --arg s "$2" '.[] | select(.rule == $r and (.severity | test($s)) and .state == "firing")'; }
fires() { alerts "$1" "$2" | jq -es --arg p "$3" 'any(.[]; .say | contains($p))' >/dev/null; }

# spin N GROUP: N loops in it on one CPU.
spin()
{
	local n=$1 i
	for ((i = 0; i < n; i++)); do
		(enter "$2" && exec taskset -c 0 bash -c 'while :; do :; done') &
	done
}

a_leak_is_foretold_and_the_kill_is_its_witness()
{
	local leak at
	need python3
	controllers=(memory)
	find_roots
	trap 'finish; remove_groups' EXIT
	mkdir "$tmp/rules"
	sed -e 's/^local span_s = .*/local span_s = 3/' -e 's/_bytes 15m"/_bytes 5s"/' -e '/^test /,$d' scripts/rules/memory_leak.lua >"$tmp/rules/memory_leak.lua"
	LINNIX_RULES_DIR=$tmp/rules LINNIX_WORKLOAD_USAGE=1s start_agent
	group leak
	at=$v2/$leak/memory.max
	[ ${#v1_roots[@]} -eq 0 ] || at=${v1_roots[0]}/$leak/memory.limit_in_bytes
	echo 384M >"$at" || skip "no memory controller"
	(enter "$leak" && exec python3 -c 'import time
kept = []
while True:
  kept.append(bytearray(4 << 20)); time.sleep(0.06)') &
	poll 30 fires memory-leak 'warning|critical' "$leak grew by" || fail "no alert: $(alerts memory-leak .) $(get '/events?type=workload.usage&limit=20')"
	alerts memory-leak . | jq -es --arg p "the room below the limit of /$leak lasts for" 'any(.[]; (.say | contains($p)) and .subject.cgroup_id > 0)' >/dev/null ||
		fail "the limit is not named: $(alerts memory-leak .)"
	# 384 MiB last for 6 s.
	poll 30 fires memory-leak-oom critical 'by its line it had 0 minutes left' || fail "the kill is not told: $(alerts memory-leak-oom .) $(get '/events?type=workload.usage&limit=1000' | jq -c --arg p "/$leak" '.[] | select(.path == $p) | {ts, anon_bytes, memory_room_bytes, oom_kills}')"
	get '/events?type=workload.usage&limit=1000' | jq -e --arg p "/$leak" '[.[] | select(.path == $p)] | (map(.oom_kills) | add == 1) and
		any(.[]; .memory_limit_bytes == 402653184 and .memory_room_bytes < 402653184 and .anon_bytes > 67108864 and .source != "processes")' >/dev/null ||
		fail "$(get '/events?type=workload.usage&limit=5')"
	looked() { [ "$(sum_metric linnix_workload_usage_looks_total)" -gt 5 ]; }
	poll 10 looked || fail "looks are not counted"
}

# Only who waits for a CPU is told, not who waits for its quota.
a_group_that_waits_is_told_and_a_quota_is_not()
{
	local waits quota
	mkdir "$tmp/rules"
	sed -e 's/_ms 1m"/_ms 3s"/' -e 's/"4m"/"2s"/' -e 's/^local pct_ms = 600/local pct_ms = 30/' -e '/^test /,$d' \
		scripts/rules/psi_saturation.lua >"$tmp/rules/psi_saturation.lua"
	export LINNIX_RULES_DIR=$tmp/rules
	exact_agent
	group waits
	group quota
	if [ -n "$cpu_root" ]; then echo 10000 >"$cpu_root/$quota/cpu.cfs_quota_us"; else echo "10000 100000" >"$v2/$quota/cpu.max"; fi
	spin 1 "$quota"
	throttled() { get '/events?type=stall.window&limit=1000' | jq -e --arg p "/$quota" '[.[] | select(.path == $p and .resource == "cpu" and .throttled_ms > 600)] | length >= 6' >/dev/null; }
	poll 30 throttled || fail "the quota does not throttle: $(get '/events?type=stall.window&limit=20')"
	spin 3 "$waits"
	poll 30 fires psi-saturation-cgroup-cpu warning "$waits waited for a CPU for" || fail "no alert: $(get '/events?type=stall.window&limit=20')"
	! fires psi-saturation-cgroup-cpu . "$quota waited" || fail "a quota is no saturation: $(alerts psi-saturation-cgroup-cpu .)"
}

run a_leak_is_foretold_and_the_kill_is_its_witness a_group_that_waits_is_told_and_a_quota_is_not
