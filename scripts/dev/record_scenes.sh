#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Make the recordings of tests/data/scenes anew: record_scenes.sh [SCENE]...
#
# Real programs under a real agent, each scene alone in a cgroup of its own, on an otherwise quiet machine. Needs root, cgroup v2,
# a pids and a cpu controller, and the packages of `packages.sh dev`. Quiet scenes must stay below `warning`, culprits
# must reach it: tests/func/test_scenes.sh holds every rule to that.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export LC_ALL=C
build=${LNX_BUILD:-build}
out=tests/data/scenes
tmp=$(mktemp -d)
agent='' scene='' groups=() own=() load=()

# NAME SECONDS: of the recording. Quiet ones first.
scenes="make_j2:5 apt_install:12 redis_benchmark:6 jvm_start:7 cron_burst:7
	stress_fork:7 fork_bomb:7 memory_leak:25 crash_loop:25 yes_beside_worker:8"

clean_up()
{
	local g p n
	for p in "${load[@]+"${load[@]}"}" $agent; do kill -KILL "$p" 2>/dev/null || true; done
	for g in "${groups[@]+"${groups[@]}"}"; do
		for ((n = 0; n < 100 && $(wc -l <"$g/cgroup.procs" || echo 0) > 0; n++)); do
			while read -r p; do kill -KILL "$p" 2>/dev/null || true; done <"$g/cgroup.procs"
			sleep 0.05
		done
		rmdir "$g" 2>/dev/null || true
	done
	wait 2>/dev/null || true
	agent='' groups=() own=() load=()
}
trap 'clean_up; rm -rf "$tmp"' EXIT

mount_of() # CONTROLLER of v1, or cgroup2
{
	awk -v c="$1" '{ n = $NF } c == "cgroup2" && / - cgroup2 / { print $5; exit }
		/ - cgroup / && n ~ "(^|,)" c "(,|$)" { print $5; exit }' /proc/self/mountinfo
}

v2=$(mount_of cgroup2)
if [ "$(id -u)" -ne 0 ] || [ -z "$v2" ]; then
	echo "record_scenes: needs root and cgroup v2" >&2
	exit 1
fi

# group MOUNT NAME: made, and gone at the end.
group()
{
	mkdir -p "$1/$2"
	groups+=("$1/$2")
}

# limit CONTROLLER FILE VALUE: of the scene, in v1.
limit()
{
	local at
	at=$(mount_of "$1")
	[ -n "$at" ] || { echo "record_scenes: no controller $1" >&2; exit 1; }
	group "$at" "$scene.service"
	own+=("$at/$scene.service")
	echo "$3" >"$at/$scene.service/$2"
}

run() # COMMAND...: the load of the scene, in its groups
{
	# shellcheck disable=SC2016
	bash -c 'n=$1; for g in "${@:2:n}"; do echo $$ >"$g/cgroup.procs"; done; shift $((n + 1)); exec "$@"' _ \
		"${#own[@]}" "${own[@]}" "$@" >/dev/null 2>&1 || true
}

# ---- quiet ones

make_j2()
{
	local i
	mkdir "$tmp/src"
	for i in {1..400}; do echo "#include <stdio.h>
int f$i(int x) { return printf(\"%d\", x + $i); }" >"$tmp/src/f$i.c"; done
	echo "all: $(printf 'f%d.o ' {1..400})" >"$tmp/src/Makefile"
	run timeout 4 make -C "$tmp/src" -j2
}

apt_install() { run apt-get -o DPkg::Lock::Timeout=60 install --reinstall -y --no-install-recommends bc file less tree; }

redis_benchmark()
{
	run bash -c 'redis-server --port 27391 --save "" --appendonly no & p=$!
		until redis-cli -p 27391 ping; do :; done
		timeout 4 redis-benchmark -p 27391 -t set,get,lpush -n 100000000 -c 20; kill $p'
}

jvm_start()
{
	cat >"$tmp/Cold.java" <<-'END'
		import java.util.*;
		public class Cold {
		  public static void main(String[] a) throws Exception {
		    List<byte[]> heap = new ArrayList<>();
		    List<Thread> threads = new ArrayList<>();
		    for (int i = 0; i < 24; i++) heap.add(new byte[8 << 20]);
		    for (int i = 0; i < 60; i++) { Thread t = new Thread(() -> { long s = 0; for (int k = 0; k < 3000000; k++) s += k * s; }); t.start(); threads.add(t); }
		    for (Thread t : threads) t.join();
		    Thread.sleep(2000);
		  }
		}
	END
	run java -Xms256m -Xmx512m "$tmp/Cold.java"
}

# Jobs of the same minute, as cron starts them: each a shell with a few commands.
cron_burst()
{
	run bash -c 'for minute in 1 2; do for job in {1..12}; do
		sh -c "sleep 0.1; date; find /usr/share/doc -maxdepth 1 -name \"z*\" | sort | wc -l; sleep 0.5" & done; wait; sleep 1.5; done'
}

# ---- culprits

# At full speed it would be 10,000 processes a second: a tenth of a CPU is enough of a storm.
stress_fork()
{
	limit cpu cpu.cfs_quota_us 4000
	run timeout 6 stress-ng --fork 2 --timeout 6
}

# Forks do not end by themselves: the limit does. A tenth of a CPU, or it would be over within a second.
fork_bomb()
{
	limit pids pids.max 500
	limit cpu cpu.cfs_quota_us 10000
	run timeout -s KILL 5 bash -c 'b() { b | b & }; b; sleep 5'
}

memory_leak() { run timeout 23 python3 -c 'import time
kept = []
while True:
  kept.append(bytearray(8 << 20)); time.sleep(0.3)'; }

# A container that is started again and again, each time in a cgroup of its own, and fails at once.
crash_loop()
{
	local c end=$((SECONDS + 22))
	c=$v2/docker-$(printf '5ce%.0s' {1..21})5.scope
	while [ $SECONDS -lt "$end" ]; do
		mkdir "$c"
		# shellcheck disable=SC2016
		bash -c 'echo $$ >"$0/cgroup.procs"; exec sh -c "sleep 0.1; exit 3"' "$c" || true
		rmdir "$c"
		sleep 0.25
	done
}

yes_beside_worker()
{
	group "$v2" worker.service
	bash -c 'echo $$ >"$0/cgroup.procs"; exec taskset -c 0 timeout 7 bash -c "while :; do :; done"' "${groups[-1]}" &
	load+=($!)
	run taskset -c 0 timeout 7 bash -c 'yes & exec yes'
}

# ---- one after the other

stalled_us() { sed -n 's/^some .*total=//p' /proc/pressure/cpu; }

# Others would be in the recording, and rules are right to name them.
wait_for_quiet()
{
	local n before
	for ((n = 0; n < 30; n++)); do
		before=$(stalled_us)
		sleep 1
		if [ $(($(stalled_us) - before)) -lt 30000 ]; then return; fi
	done
	echo "record_scenes: the machine is not quiet: $scene may show others" >&2
}

answers() { curl -fs -m 2 "http://127.0.0.1:$port/status" | jq -e '.probes | map(select(.name == "proc" and .state == "attached")) | length == 1' >/dev/null; }

record() # SCENE SECONDS
{
	local n rec
	scene=$1
	port=$((20000 + RANDOM % 12000))
	LINNIX_HTTP_LISTEN=127.0.0.1:$port LINNIX_HTTP_SOCKET=$tmp/sock LINNIX_PLUGINS_STATE_FILE='' \
		LINNIX_NODE_NAME=scene LINNIX_WORKLOAD_USAGE=1s "$build/bin/linnixd" --config etc/linnix.yaml 2>"$tmp/log" &
	agent=$!
	for ((n = 0; n < 200; n++)); do if answers; then break; fi; sleep 0.1; done
	answers || { cat "$tmp/log" >&2; exit 1; }
	group "$v2" "$scene.service"
	own=("$v2/$scene.service")
	wait_for_quiet
	"$build/bin/linnix" --url "http://127.0.0.1:$port" record --for "$2s" -o "$out/$scene.lxr" &
	rec=$!
	for ((n = 0; n < 100; n++)); do if [ -s "$out/$scene.lxr" ]; then break; fi; sleep 0.05; done
	"$scene"
	wait "$rec"
	clean_up
}

mkdir -p "$out"
for one in $scenes; do
	case " ${*:-all} " in *" all "* | *" ${one%:*} "*) record "${one%:*}" "${one#*:}" ;; esac
done
ls -l "$out"
