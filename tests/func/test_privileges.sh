#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: it looks only at its own
#
# With two capabilities, and with none: the agent starts, does what it can, and says what is missing.

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"

# as_nobody CAPABILITIES: the launcher of the agent. Files of the build must be readable for all, so they are copied.
as_nobody()
{
	need_root
	need setpriv
	mkdir -p "$tmp/tree"/{build/bin,etc,scripts} "$tmp/run"
	cp "$linnixd" "$linnix" "$tmp/tree/build/bin"
	cp -r "$build/plugins" "$build/bpf" "$tmp/tree/build"
	cp -r scripts/rules "$tmp/tree/scripts"
	cp etc/linnix.yaml "$tmp/tree/etc"
	chmod -R go+rX,go-w "$tmp/tree"
	chown nobody "$tmp/run"
	prepare
	export LINNIX_HTTP_SOCKET=$tmp/run/linnix.sock LINNIX_PLUGINS_STATE_FILE=$tmp/run/state
	socket=$LINNIX_HTTP_SOCKET
	linnixd=$tmp/tree/build/bin/linnixd
	linnix=$tmp/tree/build/bin/linnix
	local group
	group=$(id -gn nobody)
	launcher=(setpriv --reuid nobody --regid "$group" --clear-groups --bounding-set "-all${1:+,$1}"
		--inh-caps "-all${1:+,$1}" --ambient-caps "-all${1:+,$1}" --no-new-privs)
}

two_capabilities_are_enough()
{
	as_nobody +bpf,+perfmon
	agent_args=(--config "$tmp/tree/etc/linnix.yaml")
	start_agent
	[ "$(stat -c %U "/proc/$agent")" != root ] || fail "it runs as root"
	local caps
	caps=$(awk '/^CapEff/ { print $2 }' "/proc/$agent/status")
	# Bits 38 and 39; it may have dropped them by now.
	[ $((0x$caps & ~(1 << 38 | 1 << 39))) -eq 0 ] || fail "it has more: $caps"
	get /status | jq -e '.probes | map(select(.name == "proc")) | .[0].state == "attached"' >/dev/null ||
		fail "$(get /status | jq -c .probes) $(cat "$log")"
	local before
	before=$(metric 'linnix_events_total{type="proc.fork"}')
	forked() { (:) && [ "$(metric 'linnix_events_total{type="proc.fork"}')" -gt "$before" ]; }
	poll 5 forked || fail "no forks are seen"
	curl -sS "$url/readyz" >"$tmp/ready"
	echo "readyz: $(cat "$tmp/ready")"
	# What it lacks is said: in the log, by /readyz, by doctor. What no function needs is nothing to warn of.
	log_has 'without CAP_SYS_RESOURCE' || fail "the log does not say what is missing: $(cat "$log")"
	jq -e '.degraded | any(contains("CAP_DAC_READ_SEARCH")) and all(contains("CAP_SYS_") | not)' "$tmp/ready" >/dev/null || fail "$(cat "$tmp/ready")"
	"${launcher[@]}" "$linnix" doctor >"$tmp/doctor" 2>/dev/null || fail "doctor: $(cat "$tmp/doctor")"
	grep -q '^warn degraded: .*CAP_DAC_READ_SEARCH' "$tmp/doctor" || fail "$(cat "$tmp/doctor")"
	grep -q '^ok without: CAP_SYS_RESOURCE' "$tmp/doctor" || fail "$(cat "$tmp/doctor")"
	"$linnix" events --limit 5 >"$tmp/events" || fail "events"
	[ -s "$tmp/events" ] || fail "no events"
	stop_agent TERM
	[ "$code" -eq 0 ] || fail "exit code $code"
}

# As in the DaemonSet: root's files are its own, so that right is not missed. It works whole, and complains of nothing.
root_with_two_capabilities_reads_its_own_files()
{
	need_root
	need setpriv
	prepare
	# shellcheck disable=SC2054 # setpriv wants commas
	launcher=(setpriv --bounding-set -all,+bpf,+perfmon --no-new-privs)
	start_agent
	get /readyz >"$tmp/ready"
	jq -e '.ready and (.degraded | all(contains("CAP_") | not))' "$tmp/ready" >/dev/null || fail "$(cat "$tmp/ready")"
	! grep -E '"?(WARN|warn|error)"?.*CAP_' "$log" || fail "it complains"
	get /status | jq -e '[.without[].capability] == ["CAP_SYS_PTRACE", "CAP_SYS_RESOURCE"] and all(.without[]; .lost != "")' >/dev/null ||
		fail "$(get /status | jq -c .without)"
	get /status | jq -e '.probes | map(select(.name == "proc")) | .[0].state == "attached"' >/dev/null || fail "$(get /status | jq -c .probes)"
	stop_agent TERM
}

without_any_it_still_starts()
{
	as_nobody ''
	agent_args=(--config "$tmp/tree/etc/linnix.yaml")
	start_agent
	[ "$(status_of /healthz)" = 200 ] || fail "/healthz"
	[ "$(status_of /readyz)" = 503 ] || fail "/readyz is $(status_of /readyz)"
	curl -sS "$url/readyz" | jq -e '.ready == false and (.reasons | length > 0) and (.reasons | map(test("CAP_BPF|privilege|root")) | any)' \
		>/dev/null || fail "$(curl -sS "$url/readyz")"
	sampled() { get /system | jq -e '.psi.cpu.some.total_us > 0 and .cpu_pct >= 0 and .psi.memory.full.total_us >= 0' >/dev/null; }
	poll 5 sampled || fail "/system: $(get /system)"
	log_has 'CAP_BPF' || fail "the log does not say what to do: $(cat "$log")"
	[ "$(get '/processes?limit=5' | jq length)" -eq 5 ] || fail "no processes, although /proc is readable"
	local out rc=0
	out=$("${launcher[@]}" "$linnix" doctor) || rc=$?
	[ "$rc" -eq 1 ] || fail "doctor: $rc"
	grep -q '^FAIL capabilities: CAP_BPF and CAP_PERFMON missing' <<<"$out" || fail "$out"
	grep -q '^FAIL ready: ' <<<"$out" || fail "$out"
	stop_agent TERM
	[ "$code" -eq 0 ] || fail "exit code $code"
}

run two_capabilities_are_enough root_with_two_capabilities_reads_its_own_files without_any_it_still_starts
