#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# What remains where the ledger cannot be: without rights, without BTF, with the v1 hierarchies only. Pressure and the waits that
# the kernel counts per process are shown, the method says so, and nobody is called a culprit.

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"

# Two processes that wait for each other on one CPU.
contend()
{
	need taskset
	taskset -c 0 bash -c 'while :; do :; done' &
	taskset -c 0 bash -c 'while :; do :; done' &
	spinner=$!
}

# No part of any answer names somebody who was not measured.
nobody_is_invented()
{
	get '/blame?since=60s' >"$tmp/blame" || fail "/blame"
	jq -e '[.victims[].parts[] | select(has("culprit"))] == []' "$tmp/blame" >/dev/null || fail "a culprit: $(cat "$tmp/blame")"
	jq -e '.victims | length > 0 and all(.method == "psi-only" and (.parts | all(.kind == "other")))' "$tmp/blame" >/dev/null ||
		fail "$(cat "$tmp/blame")"
	get '/processes?limit=1' | jq -e '.[0] | .psi_contribution == null and .caused_ms == null' >/dev/null || fail "a share that nobody measured"
	curl -sS -D - -o /dev/null "$url/blame" | grep -qi '^x-linnix-degraded: .*no culprit is measured' || fail "the header does not say so"
	get /readyz >"$tmp/ready" || curl -sS "$url/readyz" >"$tmp/ready"
	jq -e '[.reasons[], .degraded[]] | length > 0' "$tmp/ready" >/dev/null || fail "/readyz has no reason"
	[ "$(metric 'linnix_tier{resource="cpu",method="psi-only"}')" = 1 ] || fail "linnix_tier"
}

# Pressure of the node, and the run-queue waits of a process that contends.
pressure_and_waits_are_shown()
{
	node_is_stalled() { get '/blame?since=60s&resource=cpu&victim=_node' | jq -e '.victims[0] | .stalled_ms > 100 and .method == "psi-only" and .psi_ms > 100' >/dev/null; }
	poll 15 node_is_stalled || fail "$(get '/blame?since=60s&resource=cpu&victim=_node')"
	waits() { get "/processes/$spinner" | jq -e '.run_delay_ms > 100' >/dev/null; }
	poll 15 waits || fail "run_delay_ms: $(get "/processes/$spinner")"
}

no_rights_at_all()
{
	need_root
	need setpriv
	need jq
	mkdir -p "$tmp/tree"/{build/bin,etc,scripts} "$tmp/run"
	cp "$linnixd" "$tmp/tree/build/bin"
	cp -r "$build/plugins" "$build/bpf" "$tmp/tree/build"
	cp -r scripts/rules "$tmp/tree/scripts"
	cp etc/linnix.yaml "$tmp/tree/etc"
	chmod -R go+rX,go-w "$tmp/tree"
	chown nobody "$tmp/run"
	prepare
	export LINNIX_HTTP_SOCKET=$tmp/run/linnix.sock LINNIX_PLUGINS_STATE_FILE=$tmp/run/state LINNIX_STORE_PATH=off
	linnixd=$tmp/tree/build/bin/linnixd
	# shellcheck disable=SC2054 # setpriv wants commas
	launcher=(setpriv --reuid nobody --regid "$(id -gn nobody)" --clear-groups --bounding-set "-all${1:+,$1}"
		--inh-caps "-all${1:+,$1}" --ambient-caps "-all${1:+,$1}" --no-new-privs)
	agent_args=(--config "$tmp/tree/etc/linnix.yaml")
	contend
	start_agent
	pressure_and_waits_are_shown
	nobody_is_invented
}

without_rights() { no_rights_at_all ''; }
with_bpf_but_no_perfmon() { no_rights_at_all +bpf; }

# hide COMMAND...: the agent in a mount namespace of its own, after COMMAND.
hidden_agent()
{
	need_root
	need unshare
	need jq
	launcher=(unshare -m sh -c "$1 || exit 1; exec \"\$@\"" hide)
	unshare -m sh -c "$1" || skip "cannot be hidden here"
	contend
	start_agent
}

without_btf()
{
	[ -r /sys/kernel/btf/vmlinux ] || skip "there is none anyway"
	hidden_agent 'mount -t tmpfs none /sys/kernel/btf'
	get /status | jq -e '.probes[] | select(.name == "sched") | .state == "failed" and (.why | test("BTF"))' >/dev/null ||
		fail "$(get /status | jq -c .probes)"
	pressure_and_waits_are_shown
	nobody_is_invented
}

# Stalls have no victim but the node, whose pressure is in /proc.
without_cgroup_v2()
{
	# shellcheck disable=SC2016 # for the inner shell
	hidden_agent 'for d in $(awk "\$0 ~ / - cgroup2 / { print \$5 }" /proc/self/mountinfo); do umount -l $d || exit 1; done'
	waits() { get "/processes/$spinner" | jq -e '.run_delay_ms > 100' >/dev/null; }
	poll 15 waits || fail "run_delay_ms: $(get "/processes/$spinner")"
	stalled() { get '/blame?since=60s&resource=cpu&victim=_node' | jq -e '.victims[0].psi_ms > 100' >/dev/null; }
	poll 15 stalled || fail "$(get '/blame?since=60s&resource=cpu&victim=_node')"
	get /readyz | jq -e '.degraded | any(test("cgroup"))' >/dev/null || fail "/readyz does not say so: $(get /readyz)"
	# What no name is known of has an id, never a made-up name.
	get '/blame?since=60s' | jq -e '[.victims[].parts[].culprit // empty | select(.cgroup != "" and .cgroup != null)] == []' >/dev/null ||
		fail "$(get '/blame?since=60s')"
}

run without_rights with_bpf_but_no_perfmon without_btf without_cgroup_v2
