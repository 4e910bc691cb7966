#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# In the guest: the package on a node whose pid 1 is systemd and whose cgroups are v2 alone. The service as it is shipped, its life
# under systemd, names and quotas of units.
# TIMEOUT: 300

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/../func/lib.sh"
url=http://127.0.0.1:3000
socket=/run/linnix/linnix.sock
linnix=/usr/bin/linnix
units=()

need_guest() { [ -e /etc/systemd/system/linnix-vm.service ] || skip "only in the guest of tests/vm/run.sh"; }
show() { systemctl show -P "$1" linnix.service; }
journal() { journalctl -q --no-pager -u linnix.service; }

end_units()
{
	[ "${#units[@]}" -eq 0 ] || systemctl stop "${units[@]}" 2>/dev/null
	finish
}

# The package as it is; only that an emulated CPU takes longer to check the probes than systemd waits for a start, and more for
# what the agent does than its budget allows.
install_package()
{
	need_guest
	mkdir -p /etc/systemd/system/linnix.service.d
	printf '[Service]\nTimeoutStartSec=%d\nEnvironment=LINNIX_BUDGET_CPU_PCT=100 LINNIX_BUDGET_CPU_MAX_MILLICORES=2000\n' $((90 * slow)) \
		>/etc/systemd/system/linnix.service.d/slow.conf
	dpkg -i build/linnix_*.deb >"$tmp/dpkg" 2>&1 || fail "$(cat "$tmp/dpkg")"
}

# started: the package is installed, its service runs and has its ledger.
started()
{
	trap end_units EXIT
	[ -x "$linnix" ] || install_package
	systemctl start linnix.service || fail "$(journal | tail -20)"
	poll 30 is_exact || fail "tiers: $(get /status | jq -c '.tiers, .probes'); $(journal | tail -20)"
}

# unit NAME ARGUMENT... -- COMMAND...: a transient unit that ends with the test.
unit()
{
	units+=("$1")
	systemd-run -q -u "$@" || fail "systemd-run $1"
}
spin() { unit "$@" /bin/bash -c 'while :; do :; done'; }

the_package_is_a_service_that_is_ready_when_it_answers()
{
	trap end_units EXIT
	install_package
	systemctl start linnix.service || fail "$(journal | tail -20)"
	# Type=notify: from here on it answers.
	answers || fail "it is told ready and does not answer"
	[ "$(show ActiveState)/$(show SubState)" = active/running ] || fail "$(systemctl status linnix.service)"
	[ "$(stat -c %U "/proc/$(show MainPID)")" = linnix ] || fail "it runs as $(stat -c %U "/proc/$(show MainPID)")"
	poll 30 is_exact || fail "tiers: $(get /status | jq -c '.tiers, .probes'); $(journal | tail -20)"
	get /status | jq -e '.tiers == {cpu: "exact", io: "model", memory: "heuristic"}' >/dev/null || fail "$(get /status | jq -c .tiers)"
	[ "$(status_of /readyz)" = 200 ] || fail "$(curl -sS "$url/readyz")"
	! journal | grep -E ' (error|ERROR)[ :]' || fail "the journal has errors"
	"$linnix" doctor >"$tmp/doctor" || fail "$(cat "$tmp/doctor")"
	cat "$tmp/doctor"
	systemctl status linnix.service --no-pager >"$tmp/status" || fail "$(cat "$tmp/status")"
}

selftest_passes_against_the_service()
{
	started
	"$linnix" selftest >"$tmp/selftest" || fail "$(cat "$tmp/selftest")"
	grep -q '^ok .*tier .*exact' "$tmp/selftest" || fail "$(cat "$tmp/selftest")"
	cat "$tmp/selftest"
}

reload_takes_a_change_and_refuses_a_mistake()
{
	local pid before
	started
	pid=$(show MainPID)
	before=$(metric linnix_config_last_reload_success_timestamp_seconds)
	printf 'log:\n  level: debug\n' >>/etc/linnix/linnix.yaml
	systemctl reload linnix.service || fail "reload: $(journal | tail -5)"
	later() { awk -v a="$(metric linnix_config_last_reload_success_timestamp_seconds)" -v b="$before" 'BEGIN { exit !(a > b) }'; }
	poll 10 later || fail "nothing was reloaded: $(journal | tail -5)"
	printf 'log:\n  level: loud\n' >/etc/linnix/linnix.yaml
	systemctl reload linnix.service || fail "reload: $(journal | tail -5)"
	refused() { [ "$(metric linnix_config_last_reload_successful)" = 0 ]; }
	poll 10 refused || fail "a mistake is taken: $(journal | tail -5)"
	journal | grep -q 'linnix.yaml:2:.*loud' || fail "the mistake is not told: $(journal | tail -5)"
	: >/etc/linnix/linnix.yaml
	systemctl reload linnix.service || fail "reload: $(journal | tail -5)"
	[ "$(show MainPID)" = "$pid" ] || fail "it is another process"
	[ "$(show ActiveState)/$(show SubState)" = active/running ] || fail "$(systemctl status linnix.service)"
}

another_runs() { [ "$(show ActiveState)" = active ] && [ "$(show MainPID)" != "$1" ] && answers; }

killed_or_hung_it_is_started_again()
{
	local pid
	started
	pid=$(show MainPID)
	kill -9 "$pid"
	poll 15 another_runs "$pid" || fail "$(systemctl status linnix.service)"
	poll 30 is_exact || fail "tiers: $(get /status | jq -c .tiers)"
	# Stopped it feeds no watchdog: systemd ends it after WatchdogSec.
	pid=$(show MainPID)
	[ "$(show WatchdogUSec)" = 30s ] || fail "WatchdogUSec is $(show WatchdogUSec)"
	kill -STOP "$pid"
	poll 30 another_runs "$pid" || fail "$(systemctl status linnix.service)"
	journal | grep -q 'Watchdog timeout' || fail "$(journal | tail -10)"
	[ "$(show NRestarts)" -ge 2 ] || fail "NRestarts is $(show NRestarts)"
}

# named CGROUP FILTER: /workloads has it, with this.
named() { get '/workloads?limit=10000' | jq -e --arg c "$1" "any(.[]; .cgroup == \$c and ($2))" >/dev/null; }

units_sessions_and_pods_have_names()
{
	local id uid=0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0 pods
	started
	id=$(printf '%064x' 3735928559)
	pods=kubepods-burstable-pod${uid//-/_}.slice
	unit payments.service -- /bin/sleep 1000
	unit worker@7.service -- /bin/sleep 1000
	units+=("cri-containerd-$id.scope" session-7.scope "$pods")
	systemd-run -q --scope --unit="cri-containerd-$id" --slice="$pods" -- /bin/sleep 1000 &
	systemd-run -q --scope --unit=session-7 --slice=user-1000.slice -- /bin/sleep 1000 &
	poll 10 named /system.slice/payments.service '.workload == "payments.service" and .kind == "unit"' || fail "$(get '/workloads?cgroup=payments')"
	poll 10 named '/system.slice/system-worker.slice/worker@7.service' '.workload | test("^worker(@)?.service$")' || fail "$(get '/workloads?cgroup=worker')"
	poll 10 named /user.slice/user-1000.slice/session-7.scope '.kind == "session"' || fail "$(get '/workloads?cgroup=session-7')"
	poll 10 named "/kubepods.slice/kubepods-burstable.slice/$pods/cri-containerd-$id.scope" \
		".kind == \"container\" and .container_id == \"$id\" and .pod_uid == \"$uid\" and .qos == \"burstable\" and (.runtime | test(\"containerd\"))" ||
		fail "$(get '/workloads?cgroup=cri-containerd')"
	poll 10 named /system.slice/linnix.service '.workload == "linnix.service"' || fail "$(get '/workloads?cgroup=linnix')"
}

# throttled VICTIM OWNER LIMIT: by it nearly all the time, and no neighbour is blamed.
throttled()
{
	local s
	get "/blame?since=60s&resource=cpu&victim=$1" >"$tmp/blame" || return
	s=$(jq '.victims[0].stalled_ms // 0' "$tmp/blame")
	jq -e --arg o "$2" --arg l "$3" --argjson s "$s" '$s > 2000 and (.victims[0].parts |
		([.[] | select(.kind == "throttled" and .owner == $o and .limit == $l) | .stall_ms] | add // 0) >= 0.95 * $s and
		all(.[]; (.kind != "neighbour" and .kind != "sibling") or .stall_ms < 0.02 * $s))' "$tmp/blame" >/dev/null
}

quotas_of_units_and_slices_are_named()
{
	started
	spin lnxown.service -p CPUQuota=5%
	poll 20 throttled /system.slice/lnxown.service /system.slice/lnxown.service 'cpu.max 5000 100000' || fail "own: $(cat "$tmp/blame")"
	systemctl stop lnxown.service
	systemctl set-property --runtime lnxcap.slice CPUQuota=5%
	units+=(lnxcap.slice)
	spin lnxunder.service --slice=lnxcap.slice
	poll 20 throttled /lnxcap.slice/lnxunder.service /lnxcap.slice 'cpu.max 5000 100000' || fail "slice: $(cat "$tmp/blame")"
}

stop_is_clean()
{
	started
	systemctl stop linnix.service || fail "stop: $(journal | tail)"
	[ "$(show Result)/$(show ExecMainStatus)" = success/0 ] || fail "$(systemctl status linnix.service)"
	[ ! -e "$socket" ] || fail "the socket stays"
	dpkg -r linnix >"$tmp/dpkg" 2>&1 || fail "$(cat "$tmp/dpkg")"
	! systemctl cat linnix.service >/dev/null 2>&1 || fail "the unit stays"
}

run the_package_is_a_service_that_is_ready_when_it_answers selftest_passes_against_the_service units_sessions_and_pods_have_names \
	quotas_of_units_and_slices_are_named reload_takes_a_change_and_refuses_a_mistake killed_or_hung_it_is_started_again stop_is_clean
