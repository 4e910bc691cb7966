#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Blame of the real agent for real contention of a disk and of a limit of memory, against what the kernel says of the
# victim: io.pressure and memory.pressure. Who is to blame is a model there, and a heuristic here: the figures say so.
# TIMEOUT: 240

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/func/lib_cgroups.sh
. "$(dirname "$0")/lib_cgroups.sh"

controllers=(memory blkio)
workers=()
disk=

end_of_test()
{
	local w
	for w in "${workers[@]+"${workers[@]}"}"; do kill "$w" 2>/dev/null; done
	wait "${workers[@]+"${workers[@]}"}" 2>/dev/null
	finish
	remove_groups
	[ -z "$disk" ] || rm -rf "$disk"
}

# resource_agent RESOURCE TIER
resource_agent()
{
	find_roots
	trap end_of_test EXIT
	disk=$(mktemp -d /var/tmp/lnx-func-XXXXXX) || fail "no folder"
	export LINNIX_STALL_ATTACH_FOR=2s
	start_agent
	has_tier() { [ "$(get /status | jq -r ".tiers.$1")" = "$2" ]; }
	poll 20 has_tier "$1" "$2" || skip "this kernel has no such tier: $(get /status | jq -c '.tiers, .probes')"
}

probe_is() { [ "$(get /status | jq -r --arg p "$1" '.probes[] | select(.name == $p) | .state')" = "$2" ]; }

# file NAME MiB: of random bytes, on the disk and not in memory.
file()
{
	dd if=/dev/urandom of="$disk/$1" bs=1M count="$2" conv=fsync status=none || skip "cannot write in $disk"
	dd if="$disk/$1" iflag=nocache count=0 status=none # out of the page cache
}

# work GROUP COMMAND...: over and over, there.
work()
{
	local g=$1
	shift
	(
		trap 'kill $(jobs -p) 2>/dev/null; exit 0' TERM
		enter "$g" || exit 1
		while "$@" >/dev/null 2>&1; do :; done
	) &
	workers+=($!)
}

psi_us() { awk '/^some/ { sub("total=", "", $5); print $5 }' "$v2/$1/$2.pressure"; }

# ask GROUP RESOURCE SINCE: what the agent says of it, into $tmp/blame.
ask()
{
	get "/blame?since=$3&resource=$2&victim=$(stat -c %i "$v2/$1")" >"$tmp/blame" || fail "/blame"
	[ "$(jq '.victims | length' "$tmp/blame")" -eq 1 ]
}

field() { jq -r ".victims[0].$1" "$tmp/blame"; }
is() { awk "BEGIN { exit !($1) }"; }
near() { is "$1 - $2 <= $3 && $2 - $1 <= $3"; }

# Four windows that were measured whole, of at least 20 ms each.
measured()
{
	ask "$1" "$2" 4s && [ "$(field method)" = "$3" ] && is "$(field stalled_ms) > 80" &&
		jq -e '.victims[0].notes | index("probe-attached-in-part-of-the-window") | not' "$tmp/blame" >/dev/null
}

# Of the whole at least so much was seen, and the bully is the first culprit: COVERAGE and ID.
as_it_was()
{
	is "$(field coverage_ratio) >= $1 && $(field coverage_ratio) <= 1" &&
		jq -e --argjson b "$2" '.victims[0].parts | map(select(.kind == "neighbour")) | .[0].culprit.cgroup_id == $b and .[0].share_ratio > 0.3' "$tmp/blame" >/dev/null
}

# agrees RESOURCE METHOD VICTIM BULLY COVERAGE: the bully is the first culprit, the parts sum, the whole is pressure, and
# of it at least so much was seen. What other users of the machine disturbed is measured again, in other windows.
agrees()
{
	local id try
	id=$(stat -c %i "$v2/$4")
	for try in 1 2 3; do
		poll 25 measured "$3" "$1" "$2" || fail "nothing is measured: $(cat "$tmp/blame")"
		as_it_was "$5" "$id" && break
		echo "try $try: $(cat "$tmp/blame")"
		from=$(metric 'linnix_events_total{type="host.sample"}')
		later() { [ "$(metric 'linnix_events_total{type="host.sample"}')" -ge $((from + 5)) ]; }
		poll 10 later || fail "no samples"
	done
	near "$(jq '[.victims[0].parts[].stall_ms] | add' "$tmp/blame")" "$(field stalled_ms)" 0.001 || fail "the parts do not sum: $(cat "$tmp/blame")"
	near "$(field stalled_ms)" "$(field psi_ms)" 1 || fail "it is not pressure: $(cat "$tmp/blame")"
	as_it_was "$5" "$id" || fail "coverage is not at least $5, or the bully not the first culprit: $(cat "$tmp/blame")"
	jq -e --argjson b "$id" 'first(.victims[0].parts[] | select(.culprit.cgroup_id == $b)) | .stall_ms as $all |
		(.processes | length) >= 1 and ([.processes[].stall_ms] | add) <= $all + 0.001 and .processes[0].pid > 1' "$tmp/blame" >/dev/null || fail "no process of the bully is named: $(cat "$tmp/blame")"
	jq -e '.victims[0].notes | any(startswith("processes-by-"))' "$tmp/blame" >/dev/null || fail "it is not said by what: $(field notes)"
	node_too()
	{
		get "/blame?since=4s&resource=$1&victim=_node" | jq -e --argjson b "$id" \
			'.victims[0] | (([.parts[].stall_ms] | add) - .stalled_ms | fabs < 0.001) and .stalled_ms <= .psi_ms + 1 and any(.parts[]; .culprit.cgroup_id == $b)' >/dev/null
	}
	poll 10 node_too "$1" || fail "the machine: $(get "/blame?since=4s&resource=$1&victim=_node")"
	without() { get "/blame?since=4s" | jq -e --arg r "$1" 'any(.victims[]; .resource == $r)' >/dev/null; }
	poll 10 without "$1" || fail "/blame without resource leaves it out"
	edge() { get "/events?type=stall.edge&limit=10000" | jq -e --argjson b "$id" --arg r "$1" --arg m "$2" 'any(.[]; .resource == $r and .method == $m and .culprit_cgroup_id == $b and .culprit_comm == "")' >/dev/null; }
	poll 10 edge "$1" "$2" || fail "no stall.edge"
	caused() { get "/workloads?limit=10000&resource=$1" | jq -e --argjson b "$id" 'any(.[]; .cgroup_id == $b and .caused_ms > 50 and .psi_contribution > 0)' >/dev/null; }
	poll 10 caused "$1" || fail "/workloads: $(get "/workloads?limit=10000&resource=$1" | jq -c --argjson b "$id" '.[] | select(.cgroup_id == $b)')"
	[ "$(status_of "/workloads?resource=disk")" = 400 ] || fail "resource=disk is not refused"
	"$linnix" blame --since 4s --resource "$1" --victim "/$3" >"$tmp/table" || fail "linnix blame"
	grep -q "${4##*/}" "$tmp/table" || fail "linnix blame: $(cat "$tmp/table")"
	get /metrics >"$tmp/metrics"
	grep -q "^linnix_blame_stall_seconds_total{.*resource=\"$1\"" "$tmp/metrics" || fail "no metric of blame"
	grep -q "^linnix_blame_coverage_ratio{resource=\"$1\"}" "$tmp/metrics" || fail "no metric of coverage"
}

disk_readers_are_blamed_by_a_model()
{
	local victim bully before top pod
	resource_agent io model
	group top
	pod=$top/kubepods/burstable/pod11111111-2222-3333-4444-$(printf '%012d' $$)
	victim=$pod/$(printf '%064d' 1)
	below "$top/kubepods" "$top/kubepods/burstable" "$pod" "$victim" "$pod/$(printf '%064d' 2)"
	group bully
	file small 64
	file large 256
	before=$(psi_us "$victim" io)
	work "$victim" dd if="$disk/small" of=/dev/null bs=4k iflag=direct
	work "$bully" dd if="$disk/large" of=/dev/null bs=1M iflag=direct
	work "$bully" dd if="$disk/large" of=/dev/null bs=1M iflag=direct
	agrees io model "$victim" "$bully" 0.5
	probe_is blkio attached || fail "the probe is not attached"
	# Since the begin, what was before the probe included: its share is other.
	whole()
	{
		ask "$victim" io 60s || return 1
		near "$(field stalled_ms)" "$((($(psi_us "$victim" io) - before) / 1000))" 1500
	}
	poll 5 whole || fail "the minute is not io.pressure: $(cat "$tmp/blame")"
	# A second container of the pod reads, too: now the pod is neither of them, nor their sum, but its own io.pressure.
	work "$pod/$(printf '%064d' 2)" dd if="$disk/small" of=/dev/null bs=4k iflag=direct
	poll 15 pod_told "$pod" || fail "the pod: $(cat "$tmp/blame" "$tmp/containers")"
	near "$(jq '[.victims[0].parts[].stall_ms] | add' "$tmp/blame")" "$(field stalled_ms)" 0.001 || fail "the pod's parts do not sum: $(cat "$tmp/blame")"
	near "$(field stalled_ms)" "$(field psi_ms)" 1 || fail "it is not the pod's pressure: $(cat "$tmp/blame")"
	by_pod() { get '/workloads?by=pod&resource=io' | jq -e --arg g "/$pod" 'any(.[]; .cgroup == $g and .stalled_ms > 500)' >/dev/null; }
	poll 10 by_pod || fail "/workloads: $(get '/workloads?by=pod&resource=io')"
	kill "${workers[@]}"
}

# Three windows of the pod as one, less than its containers added up.
pod_told()
{
	get "/blame?since=3s&resource=io&by=pod&victim=/$1" >"$tmp/blame" && get "/blame?since=3s&resource=io&limit=1000" |
			jq --arg p "/$1/" '.victims |= map(select(.victim.cgroup | startswith($p)?))' >"$tmp/containers" &&
		[ "$(jq '.victims | length' "$tmp/blame")" -eq 1 ] && [ "$(field victim.cgroup)" = "/$1" ] &&
		jq -e '.victims[0].notes | index("pressure-of-the-pod-split-as-its-containers") and (index("sum-of-cgroups") | not)' "$tmp/blame" >/dev/null &&
		is "$(field stalled_ms) > 1000" && is "$(jq '[.victims[] | .stalled_ms] | add' "$tmp/containers") > 1.2 * $(field stalled_ms)"
}

limit_of_memory_is_blamed_by_a_heuristic()
{
	local parent victim bully limit
	resource_agent memory heuristic
	group parent
	if [ -n "$(v1_root memory)" ]; then
		limit=memory.limit_in_bytes
		has_limit() { echo $((48 << 20)) >"$(v1_root memory)/$parent/$limit"; }
	else
		limit=memory.max
		has_limit()
		{
			echo +memory >"$v2/cgroup.subtree_control" && echo +memory >"$v2/$parent/cgroup.subtree_control" &&
				echo $((48 << 20)) >"$v2/$parent/$limit"
		}
	fi
	has_limit || skip "no limits of memory"
	group victim "$parent"
	group bully "$parent"
	file small 24
	file large 128
	work "$victim" cat "$disk/small"
	work "$bully" cat "$disk/large"
	work "$bully" cat "$disk/large"
	# Tasks that wait at once are counted one by one here and once in pressure: two of them alone make it a half.
	agrees memory heuristic "$victim" "$bully" 0.2
	jq -e --arg l "$limit $((48 << 20))" --arg o "/$parent" \
		'.victims[0].parts | map(select(.kind == "neighbour"))[0] | .limit == $l and .owner == $o and .allocated_pages > 100' \
		"$tmp/blame" >/dev/null || fail "no evidence: $(cat "$tmp/blame")"
	probe_is mem attached || fail "the probe is not attached"
	kill "${workers[@]}"
	poll 20 probe_is mem loaded || fail "the probe stays attached: $(get /status | jq -c .probes)"
}

without_the_probes_only_pressure_is_told()
{
	local victim
	find_roots
	trap end_of_test EXIT
	disk=$(mktemp -d /var/tmp/lnx-func-XXXXXX) || fail "no folder"
	export LINNIX_STALL_MODE=psi-only
	start_agent
	group victim
	file small 64
	work "$victim" dd if="$disk/small" of=/dev/null bs=4k iflag=direct
	told() { ask "$victim" io 10s; }
	poll 20 told || fail "no pressure is told"
	[ "$(field method)" = psi-only ] || fail "method $(field method)"
	jq -e '.victims[0] | (.parts | length == 1) and .parts[0].kind == "other" and (.notes | index("stall.mode is psi-only"))' "$tmp/blame" >/dev/null ||
		fail "somebody is blamed: $(cat "$tmp/blame")"
	get /status | jq -e '.tiers.io == "psi-only" and .tiers.memory == "psi-only"' >/dev/null || fail "tiers: $(get /status | jq -c .tiers)"
	curl -sS -D - -o /dev/null "$url/blame?resource=io" | grep -qi '^x-linnix-degraded:.*io: no culprit' || fail "the header does not say so"
}

run disk_readers_are_blamed_by_a_model limit_of_memory_is_blamed_by_a_heuristic without_the_probes_only_pressure_is_told
