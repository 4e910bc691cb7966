#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: it looks only at its own
#
# `linnix doctor`: right when all is right, and what is made wrong is named with its fix.

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"

# doctor CODE [ARGUMENT...]: lines to $tmp/o.
doctor()
{
	local want=$1 rc=0
	shift
	"$linnix" doctor "$@" >"$tmp/o" 2>"$tmp/e" || rc=$?
	[ "$rc" -eq "$want" ] || fail "exit code $rc, not $want: $(cat "$tmp/o" "$tmp/e")"
	! grep -qvE '^(ok|warn|FAIL) [a-z]+: .' "$tmp/o" || fail "not a line of a check: $(cat "$tmp/o")"
	! grep -E '^FAIL' "$tmp/o" | grep -qvE ' — fix: |^FAIL ready: ' || fail "no fix: $(cat "$tmp/o")"
}

says() { grep -qE -e "$1" "$tmp/o" || fail "no /$1/ in: $(cat "$tmp/o")"; }

# Roots in which one thing is made wrong.
roots()
{
	mkdir -p "$tmp/proc/pressure" "$tmp/proc/self" "$tmp/sys/kernel/btf"
	cp /proc/pressure/* "$tmp/proc/pressure"
	cp /proc/self/status /proc/self/mountinfo "$tmp/proc/self"
	cp /proc/cmdline "$tmp/proc"
	head -c 100 /sys/kernel/btf/vmlinux >"$tmp/sys/kernel/btf/vmlinux"
	chmod -R u+w "$tmp/proc"
	made=(--proc-root "$tmp/proc" --sys-root "$tmp/sys")
}

all_is_well()
{
	need_root
	start_agent
	doctor 0 --config etc/linnix.yaml
	local name
	for name in kernel btf psi capabilities objects bpf tier iterator config node agent ready probe plugins rules losses; do
		says "^(ok|warn) $name: "
	done
	says '^ok tier: exact'
	says '^ok config: etc/linnix.yaml is valid'
	says '^ok probe: proc attached'
}

# An agent that stands still for as long as 3,000 processes live has no room for them.
losses_are_told()
{
	need_root
	LINNIX_PROBES_RING_SIZE=64KiB start_agent
	kill -STOP "$agent"
	local i
	for ((i = 0; i < 3000; i++)); do (:); done
	kill -CONT "$agent"
	lost() { [ "$(metric 'linnix_events_dropped_total{where="kernel"}')" -gt 0 ]; }
	poll 10 lost || fail "nothing is lost: $(get /metrics | grep dropped)"
	doctor 0
	says '^warn losses: [0-9]+ events lost since the start \(kernel\) — fix: '
}

json()
{
	prepare
	"$linnix" doctor --json >"$tmp/o" 2>/dev/null && fail "no agent, and all is well"
	jq -e 'type == "array" and length > 8 and all(.[]; (.name | length > 0) and (.status | test("^(ok|warn|fail)$")))
		and any(.[]; .name == "agent" and .status == "fail" and (.fix | length > 0))' "$tmp/o" >/dev/null || fail "$(cat "$tmp/o")"
}

agent_is_down()
{
	prepare
	doctor 1
	says '^FAIL agent: not reachable: .* — fix: .*linnixd'
}

no_btf()
{
	prepare
	roots
	rm "$tmp/sys/kernel/btf/vmlinux"
	doctor 1 "${made[@]}"
	says '^FAIL btf: .*CONFIG_DEBUG_INFO_BTF'
	says '^FAIL tier: psi-only'
	echo nonsense >"$tmp/sys/kernel/btf/vmlinux"
	doctor 1 "${made[@]}"
	says '^FAIL btf: .*is not BTF'
}

psi_is_off()
{
	prepare
	roots
	rm -r "$tmp/proc/pressure"
	doctor 1 "${made[@]}"
	says '^FAIL psi: .*psi=1'
	echo 'quiet psi=0' >"$tmp/proc/cmdline"
	doctor 1 "${made[@]}"
	says '^FAIL psi: .*switched off by psi=0'
}

cgroups_of_every_kind()
{
	prepare
	roots
	echo '1 0 8:1 / / rw - ext4 /dev/sda rw' >"$tmp/proc/self/mountinfo"
	doctor 1 "${made[@]}"
	says '^FAIL cgroups: no cgroup v2 is mounted'
	echo '25 0 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw' >"$tmp/proc/self/mountinfo"
	doctor 1 "${made[@]}"
	says '^ok cgroups: v2 at /sys/fs/cgroup$'
	{
		echo '25 0 0:22 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw'
		echo '26 0 0:23 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu'
	} >"$tmp/proc/self/mountinfo"
	doctor 1 "${made[@]}"
	says '^ok cgroups: hybrid: ids and pressure from v2 at /sys/fs/cgroup/unified, limits from 1 v1'
}

capabilities_are_missing()
{
	prepare
	roots
	sed -i 's/^CapEff:.*/CapEff:\t0000000000000000/' "$tmp/proc/self/status"
	doctor 1 "${made[@]}"
	says '^FAIL capabilities: CAP_BPF and CAP_PERFMON missing'
	sed -i 's/^CapEff:.*/CapEff:\t0000008000000000/' "$tmp/proc/self/status"
	doctor 1 "${made[@]}"
	says '^FAIL capabilities: CAP_PERFMON missing'
	sed -i 's/^CapEff:.*/CapEff:\t000000c000000000/' "$tmp/proc/self/status"
	doctor 1 "${made[@]}"
	says '^ok capabilities: '
}

kernel_refuses_bpf()
{
	need_root
	need setpriv
	prepare
	local rc=0
	# A copy that nobody can reach.
	cp "$linnix" "$tmp/linnix"
	setpriv --reuid nobody --clear-groups --bounding-set -all --inh-caps -all "$tmp/linnix" doctor >"$tmp/o" 2>/dev/null || rc=$?
	[ "$rc" -eq 1 ] || fail "exit code $rc"
	says '^FAIL bpf: the kernel refuses'
	says '^FAIL capabilities: '
	says '^FAIL objects: '
}

objects_are_missing_or_broken()
{
	prepare
	mkdir -p "$tmp/lib/bpf"
	doctor 1 --lib-dir "$tmp/lib"
	says '^FAIL objects: .*proc\.bpf\.o.*No such file'
	cp "$build"/bpf/*.o "$tmp/lib/bpf"
	echo text >"$tmp/lib/bpf/proc.bpf.o"
	head -c 5000 "$build/bpf/sched.bpf.o" >"$tmp/lib/bpf/sched.bpf.o"
	rm "$tmp/lib/bpf/mem.bpf.o"
	doctor 1 --lib-dir "$tmp/lib"
	says '^FAIL objects: .*proc\.bpf\.o is not a BPF object'
	says '^FAIL objects: .*sched\.bpf\.o is not a BPF object'
	says '^FAIL objects: .*mem\.bpf\.o: No such file'
	[ "$(grep -c '^FAIL objects' "$tmp/o")" -eq 3 ] || fail "$(cat "$tmp/o")"
}

configuration_is_wrong()
{
	prepare
	printf 'log: { levle: x }\nhtpp: {}\n' >"$tmp/c.yaml"
	doctor 1 --config "$tmp/c.yaml"
	says "^FAIL config: .*c\\.yaml:1:[0-9]+: .*did you mean 'level'"
	says '^FAIL config: .*c\.yaml:2:'
	doctor 1 --config "$tmp/none.yaml"
	says '^FAIL config: .*none\.yaml'
}

rule_is_wrong()
{
	mkdir "$tmp/rules"
	cp scripts/rules/*.lua "$tmp/rules"
	printf 'rule "half" {\n  when = function(\n' >"$tmp/rules/half.lua"
	prepare
	LINNIX_RULES_DIR=$tmp/rules start_agent
	doctor 1
	says '^FAIL rules: .*half\.lua:[0-9]+: '
	[ "$(status_of /readyz)" = 503 ] || fail "/readyz is not 503"
	get /rules | jq -e '[.rules[].name] | index("fork-storm") != null' >/dev/null || fail "the good ones do not run"
}

kubernetes_without_a_node_name()
{
	prepare
	KUBERNETES_SERVICE_HOST=10.0.0.1 doctor 1
	says '^FAIL node: .*NODE_NAME'
	KUBERNETES_SERVICE_HOST=10.0.0.1 NODE_NAME=worker-7 doctor 1
	says '^ok node: NODE_NAME is worker-7'
}

something_else_on_the_port()
{
	need python3
	prepare
	mkdir "$tmp/www"
	python3 -m http.server --bind 127.0.0.1 --directory "$tmp/www" "$port" >/dev/null 2>&1 &
	poll 10 curl -fsS -o /dev/null "$url/" || fail "no other server"
	doctor 1
	says '^FAIL agent: .*answers /healthz with 404'
	local rc=0
	"$linnix" ps >"$tmp/o" 2>"$tmp/e" || rc=$?
	[ "$rc" -eq 1 ] || fail "ps ends with $rc"
	grep -q 'is it a linnix agent' "$tmp/e" || fail "$(cat "$tmp/e")"
}

run all_is_well losses_are_told json agent_is_down no_btf psi_is_off cgroups_of_every_kind capabilities_are_missing kernel_refuses_bpf \
	objects_are_missing_or_broken configuration_is_wrong rule_is_wrong kubernetes_without_a_node_name something_else_on_the_port
