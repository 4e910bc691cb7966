#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# What the agent says of processes and pressure, held against what the kernel says at the same time.
# TIMEOUT: 300

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"

probe_runs()
{
	get /readyz | jq -e '[.reasons[], .degraded[] | select(test("^probe: proc"))] == []' >/dev/null ||
		skip "the probe does not run here: $(get /readyz)"
}

# A process that holds 64 MiB and then works for a while.
worker()
{
	cat >"$tmp/worker.c" <<-'C'
		#include <stdlib.h>
		#include <string.h>
		#include <sys/prctl.h>
		#include <time.h>
		#include <unistd.h>
		int main(void)
		{
			char *p = malloc(64 << 20);
			memset(p, 1, 64 << 20);
			prctl(PR_SET_NAME, "lnx-worker");
			while (clock() < CLOCKS_PER_SEC)
				p[clock() % (64 << 20)]++;
			for (;;)
				pause();
		}
	C
	${CC:-gcc} -O1 -o "$tmp/worker" "$tmp/worker.c" || fail "no worker"
	"$tmp/worker" &
	worker=$!
	poll 30 worker_rests || fail "the worker works for ever"
}

worker_rests() { awk '$3 == "S" { found = 1 } END { exit !found }' "/proc/$worker/stat" && [ "$(awk '{ print $14 + $15 }' "/proc/$worker/stat")" -ge 90 ]; }

within_2_pct() { awk -v a="$1" -v b="$2" 'BEGIN { d = a > b ? a - b : b - a; exit !(a > 0 && d <= b * 0.02) }'; }

figures_agree_with_proc()
{
	need_root
	start_agent
	probe_runs
	worker
	local p rss want
	# The table is at most a second old, and the worker may have been busy then.
	worker_sleeps() { p=$(get "/processes/$worker") && [ "$(jq -r .state <<<"$p")" = sleeping ]; }
	poll 5 worker_sleeps || fail "state: $p"
	[ "$(jq -r .comm <<<"$p")" = lnx-worker ] || fail "$p"
	rss=$(jq .rss_bytes <<<"$p")
	want=$(($(awk '/^VmRSS:/ { print $2 }' "/proc/$worker/status") * 1024))
	within_2_pct "$rss" "$want" || fail "rss_bytes is $rss, /proc says $want"
	[ "$(jq .ppid <<<"$p")" -eq "$(awk '/^PPid:/ { print $2 }' "/proc/$worker/status")" ] || fail "ppid: $p"
	jq -e '.ancestors | length > 0' <<<"$p" >/dev/null || fail "no ancestors: $p"
	# its end is known at once, and it is kept
	kill -KILL "$worker"
	wait "$worker" 2>/dev/null
	poll 5 worker_is_exited || fail "$(get "/processes/$worker")"
}

worker_is_exited() { get '/processes?state=exited&limit=10000' | jq -e --argjson p "$worker" '.[] | select(.pid == $p)' >/dev/null; }

pids() { local d; for d in /proc/[0-9]*; do echo "${d#/proc/}"; done | sort; }
is_no_zombie() { awk '{ sub(/^.*\) /, ""); exit $1 == "Z" }' "/proc/$1/stat" 2>/dev/null; }

is_not_live() { [ "$(status_of "/processes/$1")" = 404 ]; }

lag_s=3

# is_younger PID SECONDS: or gone.
is_younger() { [ "$(($(ps -o etimes= -p "$1" || echo 0)))" -lt "$2" ]; }

# Those of the kernel that live through the reading of the table must all be in it, and those in the table must have lived
# before or after it.
table_matches()
{
	local before after mine p
	before=$(pids)
	mine=$(get '/processes?limit=10000' | jq '.[].pid' | sort)
	after=$(pids)
	missing=''
	for p in $(comm -23 <(comm -12 <(echo "$before") <(echo "$after")) <(echo "$mine")); do
		! is_no_zombie "$p" || is_younger "$p" "${young_s:-0}" || missing+=" $p"
	done
	ghosts=''
	for p in $(comm -23 <(echo "$mine") <(sort -u <(echo "$before") <(echo "$after"))); do
		poll "$lag_s" is_not_live "$p" || ghosts+=" $p" # its end may still be on the way
	done
	[ -z "$missing$ghosts" ]
}

short_lived_processes_leave_nothing_behind()
{
	need_root
	LINNIX_LOG_LEVEL=debug LINNIX_PROC_REPAIR=1s start_agent
	probe_runs
	local i before
	# Missed twice, and no event three times more: then it is known. What ended between the first look and the attaching of the
	# probe is no ghost of ours.
	refreshes() { sum_metric linnix_process_refreshes_total; }
	refreshed() { [ "$(refreshes)" -ge "$1" ]; }
	poll 10 refreshed 8 || fail "$(get /metrics | grep refreshes)"
	before=$(metric linnix_process_ghosts_total)
	for ((i = 0; i < 3000; i++)); do (:); done
	poll 5 exited_are_shown || fail "$(get /metrics | grep linnix_processes)" # first: they are kept for a minute
	poll 10 table_matches || fail "not in the table: $missing; not in /proc: $ghosts"
	poll 10 refreshed $(($(refreshes) + 6)) || fail "$(get /metrics | grep refreshes)"
	[ "$(metric linnix_process_ghosts_total)" -eq "$before" ] || fail "ghosts without a loss: $(grep 'ended unseen' "$log")"
	[ "$(sum_metric linnix_events_dropped_total)" -eq 0 ] || fail "events were lost"
	[ "$(metric linnix_processes_refused_total)" -eq 0 ] || fail "processes were refused"
}

exited_are_shown() { [ "$(metric 'linnix_processes{state="exited"}')" -ge 2900 ]; }

# Without the probe the table comes from /proc.
without_privileges_the_table_comes_from_proc()
{
	need_root
	need setpriv
	chmod 777 "$tmp"
	launcher=(setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all)
	setpriv --reuid=65534 --regid=65534 --clear-groups test -r "$linnixd" || skip "nobody cannot read the build"
	# Read often: on a machine where processes come all the time there is always one that the last read did not see.
	export LINNIX_PROC_REPAIR=1s
	start_agent
	get /readyz 2>/dev/null || true
	curl -sS "$url/readyz" | jq -e '.degraded[] | select(test("proc: usage: .*/proc"))' >/dev/null || fail "$(curl -sS "$url/readyz")"
	lag_s=5 young_s=5 # no events: two repairs
	poll 40 table_matches || fail "not in the table: $missing; not in /proc: $ghosts"
	[ "$(metric 'linnix_process_refreshes_total{source="procfs"}')" -ge 1 ] || fail "it was not read"
	poll 10 system_sample_is_there || fail "/system is not served: $(get /system)"
}

system_sample_is_there() { get /system | jq -e '.cpu_pct != null' >/dev/null; }

pressure_is_that_of_the_kernel()
{
	[ -r /proc/pressure/cpu ] || skip "a kernel without PSI"
	start_agent
	poll 10 system_sample_is_there || fail "$(get /system)"
	local before said after mem want
	before=$(awk '/^some/ { sub(/.*total=/, ""); print }' /proc/pressure/cpu)
	poll 10 is_newer "$before" || fail "psi.cpu.some.total_us stays below $before: $(get /system)"
	said=$(get /system | jq .psi.cpu.some.total_us)
	after=$(awk '/^some/ { sub(/.*total=/, ""); print }' /proc/pressure/cpu)
	[ "$said" -le "$after" ] || fail "total_us is $said, the kernel is at $after"
	get /system | jq -e '.psi.cpu.some.pct >= 0 and .psi.cpu.some.pct <= 100 and .cpu_pct >= 0 and .cpu_pct <= 100' >/dev/null ||
		fail "$(get /system)"
	mem=$(get /system | jq .memory.total_bytes)
	want=$(($(awk '/^MemTotal:/ { print $2 }' /proc/meminfo) * 1024))
	[ "$mem" -eq "$want" ] || fail "memory.total_bytes is $mem, /proc says $want"
}

# The counter may stand still on an idle machine: then it is equal.
is_newer() { [ "$(get /system | jq .psi.cpu.some.total_us)" -ge "$1" ]; }

find_cgroup2() { awk '{ for (i = 1; i < NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") { print $5; exit } }' /proc/self/mountinfo; }

# Three loops in a cgroup of a machine with fewer CPUs than loops: they wait for each other.
pressure_of_a_new_cgroup_is_seen()
{
	need_root
	local root=''
	root=$(find_cgroup2)
	[ -n "$root" ] || skip "no cgroup v2"
	cg=$root/lnx-test-$$
	mkdir "$cg" 2>/dev/null || skip "cannot make a cgroup in $root"
	trap 'echo 1 >"$cg/cgroup.kill"; finish; within 5 rmdir "$cg"' EXIT
	[ -e "$cg/cpu.pressure" ] || skip "cgroups without pressure here"
	start_agent
	curl -sN "$url/stream?type=psi.cgroup" >"$tmp/events" &
	local i
	for ((i = 0; i <= $(nproc); i++)); do
		bash -c 'echo $$ >"$0/cgroup.procs"; while :; do :; done' "$cg" &
	done
	poll 20 cgroup_is_told || fail "$(tail -3 "$tmp/events") $(get /metrics | grep linnix_psi)"
}

cgroup_is_told()
{
	sed -n 's/^data: //p' "$tmp/events" | jq -e --arg p "/${cg##*/}" \
		'select(.path == $p and .cpu_some_pct > 5 and .cpu_some_pct <= 100)' >/dev/null 2>&1
}

interval_is_reloaded()
{
	prepare
	printf 'psi: { interval: 60s }\n' >"$tmp/linnix.yaml"
	agent_args=(--config "$tmp/linnix.yaml")
	start_agent
	printf 'psi: { interval: 250ms }\n' >"$tmp/linnix.yaml"
	kill -HUP "$agent"
	poll 10 many_samples || fail "$(metric 'linnix_events_total{type="host.sample"}') samples"
}

many_samples() { [ "$(metric 'linnix_events_total{type="host.sample"}')" -ge 6 ]; }

run figures_agree_with_proc short_lived_processes_leave_nothing_behind without_privileges_the_table_comes_from_proc \
	pressure_is_that_of_the_kernel pressure_of_a_new_cgroup_is_seen interval_is_reloaded
