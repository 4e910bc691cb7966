#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Shipped rules that need facts of others on the real kernel. The circuit breaker: critical when one process tree takes the CPUs
# from others, it names that tree, and asks for an action on it where it is told to; a note when a load holds up only itself. The fork storm below a limit of processes.
# TIMEOUT: 180

# shellcheck disable=SC2016 # $pid is jq's

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/func/lib_cgroups.sh
. "$(dirname "$0")/lib_cgroups.sh"

cpus=$(getconf _NPROCESSORS_ONLN)

# tree N LAUNCHER...: a parent with N children that spin until it ends; $root is the parent. Joins the folders in $join.
tree()
{
	local n=$1
	shift
	# shellcheck disable=SC2016 # for the inner shell
	"$@" bash -c '
		for d in $2; do echo $$ >"$d/cgroup.procs" || exit; done
		trap "kill \$(jobs -p)" EXIT
		trap exit TERM
		for ((i = 0; i < $1; i++)); do (trap - EXIT TERM; while :; do :; done) & done
		wait' tree "$n" "$join" &
	root=$!
}

alerts() { get '/events?type=alert&limit=1000' | jq -c '.[] | select(.rule == "circuit-breaker" and .state == "firing")'; }
alerts_have() { alerts | jq -es --argjson pid "${pid:-0}" "any(.[]; $1)" >/dev/null; }
any_alert() { alerts_have true; }

hog_that_stalls_others_is_critical_and_named()
{
	local hog victim join root hog_root pid id
	mkdir "$tmp/rules"
	cp scripts/rules/*.lua "$tmp/rules"
	sed 's/^  blame     = "cpu",$/&\n  act = { throttle = "30%", lease = "10m" },/' scripts/rules/circuit_breaker.lua >"$tmp/rules/circuit_breaker.lua"
	grep -q throttle "$tmp/rules/circuit_breaker.lua" || fail "the rule has changed"
	prepare
	export LINNIX_RULES_DIR=$tmp/rules LINNIX_ENFORCE_ENABLED=true LINNIX_ENFORCE_DRY_RUN=false LINNIX_ENFORCE_JOURNAL=$tmp/journal
	exact_agent
	group hog
	group victim
	[ -z "$cpu_root" ] || echo 8192 >"$cpu_root/$hog/cpu.shares"
	join="$v2/$victim ${cpu_root:+$cpu_root/$victim}"
	tree "$cpus"
	join="$v2/$hog ${cpu_root:+$cpu_root/$hog}"
	tree $((4 * cpus))
	hog_root=$root
	pid=$hog_root
	# Other work on this machine may be named before it.
	named()
	{
		alerts_have '.severity == "critical" and .subject.pid == $pid and .subject.comm == "bash" and
			(.say | test("bash \\(pid \($pid), [^)]*\\) holds [0-9]+ % of the node.s stall, and others lose"))'
	}
	poll 40 named || fail "the tree $pid is not named: $(alerts); $(get '/events?type=stall.node&limit=3')"
	# What it asks for is about that tree; approved, it is done to its cgroup.
	action() { get /actions | jq -c '[.[] | select(.rule == "circuit-breaker")][0] // {}'; }
	asked() { action | jq -e --argjson pid "$pid" --arg g "$hog" '.state == "proposed" and .target.pid == $pid and .target.workload == $g and .incident != ""' >/dev/null; }
	poll 10 asked || fail "it does not ask: $(action)"
	id=$(action | jq -r .id)
	env -u LINNIX_URL "$linnix" actions approve "$id" >"$tmp/approve" || fail "approve: $(action)"
	poll 10 has_quota "$hog" "$quota_30" || fail "not done: $(action)"
	# It is what the ledger measured, and others say so.
	measured() { get '/events?type=stall.tree&limit=1000' | jq -e --argjson pid "$pid" 'any(.[]; .pid == $pid and .node_share_ratio >= 0.4 and .caused_ms_per_s >= 100 and .n_processes >= 4)' >/dev/null; }
	poll 10 measured || fail "stall.tree: $(get '/events?type=stall.tree&limit=1000' | jq -c --argjson pid "$pid" '.[] | select(.pid == $pid)')"
}

# Under SCHED_IDLE nobody loses to it, also when the machine has other work.
load_of_its_own_is_a_note()
{
	local own join root pid
	need chrt
	exact_agent
	group own
	join=$v2/$own
	tree $((3 * cpus)) chrt --idle 0
	poll 40 any_alert || fail "no alert: $(get '/events?type=stall.node&limit=3')"
	# Two more windows, for it to become critical if it would.
	more() { [ "$(get '/events?type=stall.node&limit=1000' | jq 'length')" -ge $((seen + 2)) ]; }
	seen=$(get '/events?type=stall.node&limit=1000' | jq length)
	poll 10 more || fail "stall.node does not come"
	pid=$root
	! alerts_have '.severity == "critical" and .subject.pid == $pid' || fail "a load of its own is critical: $(alerts)"
	# Unless something else on this machine takes from others meanwhile.
	alerts_have '.severity == "critical" or (.say | contains("saturated by its own load"))' || fail "$(alerts)"
}

# Children that run a program and do not pile up: only the limit of their cgroup makes it a warning.
storm_below_a_limit_of_processes_is_a_warning()
{
	local storm pids_root root
	exact_agent
	group storm
	pids_root=$(awk '$0 ~ / - cgroup / && $NF ~ /(^|,)pids(,|$)/ { print $5; exit }' /proc/self/mountinfo)
	if [ -n "$pids_root" ]; then
		mkdir "$pids_root/$storm" || skip "no right to make cgroups"
		groups+=("$pids_root/$storm")
	else
		pids_root=$v2
	fi
	echo 20 >"$pids_root/$storm/pids.max" || skip "no pids controller"
	# shellcheck disable=SC2016 # for the inner shell
	bash -c '
		for d in "$@"; do echo $$ >"$d/cgroup.procs" || exit; done
		trap "kill \$(jobs -p)" EXIT
		trap exit TERM
		for ((i = 0; i < 17; i++)); do sleep 60 & done
		while :; do /bin/true; read -rt 0.02 -u 9; done 9<> <(:)' storm "$v2/$storm" "$pids_root/$storm" 2>/dev/null &
	root=$!
	told() { get '/events?type=cgroup.pids&limit=1000' | jq -e --arg p "/$storm" 'any(.[]; .pids_max == 20 and .pids >= 17 and .path == $p)' >/dev/null; }
	warned() { get '/events?type=alert&limit=1000' | jq -es --argjson pid "$root" 'any(.[][]; .rule == "fork-storm" and .severity == "warning" and .subject.pid == $pid)' >/dev/null; }
	poll 30 warned || fail "$(get '/events?type=alert&limit=100') $(get '/events?type=cgroup.pids&limit=3')"
	poll 10 told || fail "$(get '/events?type=cgroup.pids&limit=3')"
}

run hog_that_stalls_others_is_critical_and_named load_of_its_own_is_a_note storm_below_a_limit_of_processes_is_a_warning
