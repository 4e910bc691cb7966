#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Real containers of real runtimes in cgroups as Kubernetes makes them: every event of theirs carries the id of the container
# and the uid of the pod. No registry: the root is a static busybox.
# TIMEOUT: 240

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"

# A root of its own for this test, and a pod of its own.
make_root()
{
	need_root
	need busybox
	root=$tmp/root
	mkdir -p "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/tmp" "$root/etc"
	cp "$(command -v busybox)" "$root/bin/busybox"
	ldd "$root/bin/busybox" >/dev/null 2>&1 && skip "busybox is not static"
	ln -s busybox "$root/bin/sh"
	# of a path that nobody else runs
	mkdir "$root/lnx"
	ln -s ../bin/busybox "$root/lnx/true"
	uid=$(cat /proc/sys/kernel/random/uuid)
	pod=/kubepods-lnx-$$/kubepods/besteffort/pod$uid
}

# A tree of its own in every hierarchy, so that nothing of it stays.
drop_pod()
{
	local d
	for d in "/sys/fs/cgroup/kubepods-lnx-$$" /sys/fs/cgroup/*/"kubepods-lnx-$$"; do
		[ ! -d "$d" ] || find "$d" -depth -type d -exec rmdir {} + 2>/dev/null
	done
}

new_id() { tr -d - </proc/sys/kernel/random/uuid | sed 's/.*/&&/'; }

# The events of container $1 that tell of program $2, as "type cgroup_id".
events_of()
{
	get "/events?type=proc.exec,proc.exit&limit=10000" | jq -r --arg c "$1" '.[] | select(.container_id == $c) | "\(.type) \(.cgroup_id)"'
}

# Both ends of the life of container $1, and its pod.
is_told()
{
	local found
	found=$(events_of "$1")
	grep -q proc.exec <<<"$found" && grep -q proc.exit <<<"$found" || return 1
	get "/events?type=workload.update&limit=10000" | jq -e --arg c "$1" --arg u "$uid" \
		'any(.workload_container_id == $c and .pod_uid == $u)' >/dev/null
}

# A bundle for runc; $1: the program's words as JSON.
make_bundle()
{
	(cd "$tmp" && runc spec) || fail "runc spec"
	jq --arg r "$root" --argjson args "$1" '.process.args = $args | .process.terminal = false | .process.rlimits = [] |
		.root.path = $r | .root.readonly = true | del(.linux.resources) | .linux.namespaces |= map(select(.type != "network")) |
		.linux.cgroupsPath = "PATH"' "$tmp/config.json" >"$tmp/config.in" || fail "config.json"
}

# run_one ID: a container of that id in our pod.
run_one()
{
	sed "s,\"PATH\",\"$pod/$1\"," "$tmp/config.in" >"$tmp/config.json"
	runc --root "$tmp/runc" run --bundle "$tmp" "$1" >>"$tmp/runc.log" 2>&1 </dev/null
}

try_runc() { run_one "$1" || skip "runc cannot run here: $(tail -1 "$tmp/runc.log")"; }

# At least 100 containers in a row; those of `true` live for some milliseconds.
short_containers_of_runc_are_all_told_apart()
{
	local id n
	make_root
	need runc
	trap 'finish; drop_pod' EXIT
	make_bundle '["/lnx/true"]'
	start_agent
	try_runc "$(new_id)"
	for n in $(seq 100); do
		id=$(new_id)
		echo "$id" >>"$tmp/ids"
		run_one "$id" || fail "container $n: $(tail -2 "$tmp/runc.log")"
	done
	poll 20 is_told "$id" || fail "the last one: $(events_of "$id")"
	get "/events?type=proc.exec&limit=10000" >"$tmp/execs"
	# an exec of true in each, none without a container, none in another one's cgroup
	while read -r id; do
		jq -e --arg c "$id" --arg u "$uid" '[.[] | select(.container_id == $c and .pod_uid == $u and .filename == "/lnx/true")] | length == 1' "$tmp/execs" >/dev/null ||
			fail "$id: $(jq -c --arg c "$id" '[.[] | select(.container_id == $c)]' "$tmp/execs")"
	done <"$tmp/ids"
	jq -e '[.[] | select(.filename == "/lnx/true" and .comm == "true" and .container_id == "")] | length == 0' "$tmp/execs" >/dev/null ||
		fail "untagged: $(jq -c '[.[] | select(.filename == "/lnx/true" and .container_id == "")]' "$tmp/execs")"
	# one cgroup, one container
	jq -e '[.[] | select(.container_id != "") | {cgroup_id, container_id}] | unique | group_by(.cgroup_id) | all(length == 1)' "$tmp/execs" \
		>/dev/null || fail "two containers in one cgroup"
	# from the exec to the end less than 20 ms: the end is told of the same container
	get "/events?type=proc.exit&limit=10000" >"$tmp/exits"
	jq -rn --slurpfile x "$tmp/execs" --slurpfile e "$tmp/exits" 'def ns: (.ts[0:19] + "Z" | fromdate) * 1000000000 + (.ts[20:29] | tonumber);
		($e[0] | map(select(.comm == "true")) | INDEX("\(.pid) \(.start_ns)")) as $gone |
		$x[0][] | select(.filename == "/lnx/true") | . as $b | $gone["\(.pid) \(.start_ns)"] | select(. != null) |
		"\((ns - ($b | ns)) / 1000000) \($b.container_id) \(.container_id)"' >"$tmp/lives"
	awk '$2 != $3 { print; bad = 1 } END { exit bad }' "$tmp/lives" >"$tmp/wrong" || fail "the end is told of another: $(head -3 "$tmp/wrong")"
	[ "$(awk '$1 < 20' "$tmp/lives" | wc -l)" -ge 10 ] || fail "none lived under 20 ms: $(sort -n "$tmp/lives" | head -3)"
	awk '$1 < 20 { n++ } END { print "# lived under 20 ms: " n " of " NR }' "$tmp/lives"
	jq -r '[.[] | select(.filename == "/lnx/true")] | length' "$tmp/execs" | sed 's/^/# execs of true: /'
}

# Two containers of one pod on one CPU: each stalls the other, and the edge says which is which.
stalls_of_containers_name_both()
{
	make_root
	need runc
	need taskset
	make_bundle '["/bin/sh", "-c", "while :; do :; done"]'
	start_agent
	a=$(new_id) b=$(new_id) # not local: the trap still needs them
	trap 'runc --root "$tmp/runc" delete -f "$a"; runc --root "$tmp/runc" delete -f "$b"; finish; drop_pod' EXIT
	for id in "$a" "$b"; do
		sed "s,\"PATH\",\"$pod/$id\"," "$tmp/config.in" >"$tmp/config.json"
		taskset -c 0 runc --root "$tmp/runc" run --detach --bundle "$tmp" "$id" >>"$tmp/runc.log" 2>&1 </dev/null ||
			skip "runc cannot run here: $(tail -1 "$tmp/runc.log")"
	done
	curl -sN "$url/stream?type=stall.edge" >"$tmp/stream" &
	poll 40 has_edge "$a" "$b" || fail "no edge: $(grep -c stall.edge "$tmp/stream") $(tail -c 600 "$tmp/stream")"
	poll 20 has_edge "$b" "$a" || fail "no edge the other way"
	blamed() { get "/blame?since=10s" | jq -e --arg a "$a" --arg b "$b" '[.victims[] | select(.victim.container_id == $a) | .parts[] |
		select(.kind == "sibling" and .culprit.container_id == $b)] | length > 0' >/dev/null; }
	poll 10 blamed || fail "blame: $(get '/blame?since=10s' | head -c 800)"
	stalled() { get '/events?type=stall.window&limit=10000' | jq -e --arg c "$1" --arg u "$uid" 'any(.container_id == $c and .pod_uid == $u and .stalled_ms > 0)' >/dev/null; }
	for id in "$a" "$b"; do
		poll 10 stalled "$id" || fail "no stall of $id: $(get '/events?type=stall.window&limit=5')"
	done
}
has_edge()
{
	# shellcheck disable=SC2016 # the dollars are jq's
	sed -n 's/^data: //p' "$tmp/stream" | jq -e -n --arg v "$1" --arg c "$2" --arg u "$uid" 'any(inputs; .type == "stall.edge" and
		.victim_container_id == $v and .culprit_container_id == $c and .victim_pod_uid == $u and .culprit_pod_uid == $u)' >/dev/null 2>&1
}

# How many in a row of the slower runtimes; make soak asks for 100 of each.
in_a_row=${LNX_CONTAINERS:-2}

# What was told of containers, as it was told: to begin before the first.
follow()
{
	curl -sN "$url/stream?type=proc.exec,proc.exit,workload.update" >"$tmp/stream" &
	poll 10 grep -q hello "$tmp/stream" || fail "no stream"
}
of_stream() { sed -n 's/^data: //p' "$tmp/stream" | jq -r --arg u "$uid" "$1"; }
ends_are_told()
{
	sort "$tmp/ids" >"$tmp/sorted"
	# shellcheck disable=SC2016 # $u is jq's
	comm -23 "$tmp/sorted" <(of_stream 'select(.type == "proc.exit" and .comm == "true" and .pod_uid == $u) | .container_id' | sort -u) >"$tmp/missing" &&
		[ ! -s "$tmp/missing" ]
}

# Each container of $tmp/ids had its exec of true, in their order and told as its own, its end, and its pod.
all_are_told_apart()
{
	[ "$(sort -u "$tmp/ids" | wc -l)" -eq "$in_a_row" ] || fail "not $in_a_row containers: $(cat "$tmp/ids")"
	poll 20 ends_are_told || fail "no end of: $(cat "$tmp/missing")"
	! grep -q '^event: lagged' "$tmp/stream" || fail "the stream lagged"
	of_stream 'select(.type == "proc.exec" and .filename == "/lnx/true") | "\(.container_id) \(.pod_uid)"' >"$tmp/told"
	diff <(sed "s/$/ $uid/" "$tmp/ids") "$tmp/told" || fail "untagged, mistagged, or not told"
	# shellcheck disable=SC2016 # $u is jq's
	comm -23 "$tmp/sorted" <(of_stream 'select(.type == "workload.update" and .pod_uid == $u) | .workload_container_id' | sort -u) >"$tmp/missing"
	[ ! -s "$tmp/missing" ] || fail "of no pod: $(cat "$tmp/missing")"
}

containers_of_podman_are_known()
{
	local n
	make_root
	need podman
	need runc
	# A podman whose container cannot be made leaves its store mounted.
	trap 'finish; drop_pod; umount "$tmp/pstore/overlay" 2>/dev/null' EXIT
	start_agent
	follow
	for n in $(seq "$in_a_row"); do
		rm -f "$tmp/cid"
		podman --runtime runc --root "$tmp/pstore" --runroot "$tmp/prun" --cgroup-manager cgroupfs run --rm --ulimit nofile=1024:1024 \
			--ulimit nproc=1000:1000 --network=none --cgroupns=host --pids-limit=-1 --cidfile "$tmp/cid" \
			--cgroup-parent "$pod" --rootfs "$root" /lnx/true >"$tmp/podman.log" 2>&1 </dev/null || {
			[ "$n" -eq 1 ] && skip "podman cannot run here: $(tail -1 "$tmp/podman.log")"
			fail "podman, container $n: $(tail -3 "$tmp/podman.log")"
		}
		(cat "$tmp/cid" && echo) >>"$tmp/ids"
	done
	all_are_told_apart
	# shellcheck disable=SC2016 # $u is jq's
	[ "$(of_stream 'select(.type == "workload.update" and .pod_uid == $u and .workload_container_id != "") | .runtime' | sort -u)" = podman ] || fail "not known as podman's"
}

containers_of_containerd_are_known()
{
	local id n ctr
	make_root
	need containerd
	need ctr
	trap 'finish; drop_pod' EXIT
	start_agent
	containerd --root "$tmp/ctd" --state "$tmp/cts" --address "$tmp/ctd.sock" --log-level error >"$tmp/containerd.log" 2>&1 &
	ctr=(ctr --address "$tmp/ctd.sock" -n k8s.io)
	poll 20 "${ctr[@]}" version >/dev/null || skip "containerd does not start: $(tail -1 "$tmp/containerd.log")"
	follow
	for n in $(seq "$in_a_row"); do
		id=$(new_id)
		"${ctr[@]}" run --rm --net-host --rootfs --cgroup "$pod/$id" "$root" "$id" /lnx/true >"$tmp/ctr.log" 2>&1 </dev/null || {
			[ "$n" -eq 1 ] && skip "ctr cannot run here: $(tail -1 "$tmp/ctr.log")"
			fail "ctr, container $n: $(tail -3 "$tmp/ctr.log")"
		}
		echo "$id" >>"$tmp/ids"
	done
	all_are_told_apart
}

run short_containers_of_runc_are_all_told_apart stalls_of_containers_name_both containers_of_podman_are_known \
	containers_of_containerd_are_known
