#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# From a fresh clone to a running agent, or to a tested tree.
#
#   ./quickstart.sh          install what is missing, build, start the agent, make a scene on this
#                            machine, print who did what; then go on until Ctrl-C
#   ./quickstart.sh --once   the same, and stop after the scene: exit 0 if it was seen, 1 if not
#   ./quickstart.sh test     install what is missing, build, run every test (make check)
#   ./quickstart.sh bench    install what is missing, build, run the benchmarks (make bench)

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

HEALTHY_WITHIN=120 # s, from the start of the agent: the kernel checks its programs
SEEN_WITHIN=20    # s, from the start of the scene; the agent promises 4
BLAMED_WITHIN=30  # s, from the start of the contention
once=no
[ -t 1 ] || once=yes

tmp=
sudo=()
pids=()      # ours, started without sudo
cgroups=()   # ours, made for the scenes
agent_pid=
new_policy=no

say() { printf '\n== %s\n' "$*"; }
die()
{
	printf 'quickstart: %s\n' "$*" >&2
	exit 1
}

cleanup()
{
	local rc=$? p
	trap - EXIT INT TERM
	for p in "${pids[@]+"${pids[@]}"}"; do
		kill "$p" 2>/dev/null || true
	done
	if [ -n "$agent_pid" ]; then
		"${sudo[@]}" kill -TERM "$agent_pid" 2>/dev/null || true
		# It promises to stop within 5 s.
		(nap 6 && "${sudo[@]}" kill -KILL "$agent_pid") 2>/dev/null &
		p=$!
		wait "$agent_pid" 2>/dev/null || true
		kill "$p" 2>/dev/null || true
	fi
	wait 2>/dev/null || true
	for p in "${cgroups[@]+"${cgroups[@]}"}"; do
		"${sudo[@]}" rmdir "$p" 2>/dev/null || true
	done
	[ "$new_policy" = no ] || "${sudo[@]}" rm -f /usr/sbin/policy-rc.d
	[ -z "$tmp" ] || rm -rf "$tmp"
	exit "$rc"
}

# Wait $1 seconds without starting a process.
nap() { read -rt "$1" -u "$nap_fd" || true; }
exec {nap_fd}<> <(:)

now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

become_root()
{
	[ "$(id -u)" -ne 0 ] || return 0
	command -v sudo >/dev/null || return 1
	sudo -v || return 1
	sudo=(sudo)
}

missing_packages()
{
	local want have
	want=$(scripts/dev/packages.sh "$1")
	# A package that is provided under another name (pkg-config by pkgconf) counts.
	# shellcheck disable=SC2016,SC2086
	have=$(dpkg-query -W -f '${db:Status-Status} ${Package}, ${Provides}\n' 2>/dev/null |
		sed -n 's/^installed //p' | tr ',' '\n' | sed 's/^ *//; s/[ :(].*//' | sort -u)
	comm -23 <(printf '%s\n' "$want") <(printf '%s\n' "$have")
}

install_packages()
{
	local list
	if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
		die "this installs with apt-get, and there is none here. Install what stands for these
Debian 12 packages yourself, then run make:
$(scripts/dev/packages.sh "$1" | tr '\n' ' ')"
	fi
	list=$(missing_packages "$1")
	[ -n "$list" ] || return 0
	say "installing: $(echo "$list" | tr '\n' ' ')"
	become_root || die "installing packages needs root or sudo; missing: $(echo "$list" | tr '\n' ' ')"
	local env=(env DEBIAN_FRONTEND=noninteractive LC_ALL=C)
	"${sudo[@]}" "${env[@]}" apt-get update -qq ||
		die "apt-get update failed: is there a network, and are the package sources right?"
	# No service is to be started because its package was installed.
	if [ ! -e /usr/sbin/policy-rc.d ]; then
		new_policy=yes
		printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee /usr/sbin/policy-rc.d >/dev/null
		"${sudo[@]}" chmod 755 /usr/sbin/policy-rc.d
	fi
	# shellcheck disable=SC2086
	"${sudo[@]}" "${env[@]}" apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 $list >"$tmp/apt.log" 2>&1 || {
		tail -30 "$tmp/apt.log" >&2
		die "apt-get install failed: is there a network, and are the package sources right?"
	}
	if [ "$new_policy" = yes ]; then
		"${sudo[@]}" rm -f /usr/sbin/policy-rc.d
		new_policy=no
	fi
}

build()
{
	say "building"
	make -j"$(nproc)"
}

# What tests of settlement need, once: none of them then waits for the network. Without it they are skipped, and say so.
fetch_npm()
{
	local tool
	say "packages of npm for the tests against a chain"
	for tool in anvil forge hardhat; do
		scripts/dev/chain_tools.sh "$tool" || echo "tests that need $tool will be skipped"
	done
}

port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

start_agent()
{
	# History of a trial run ends with it.
	local port=3000 env=("LINNIX_STORE_PATH=$tmp/linnix.db")
	if port_taken "$port"; then
		while port_taken "$port"; do
			port=$((port + 1))
			[ "$port" -lt 3050 ] || die "no free port between 3000 and 3050"
		done
		echo "port 3000 is in use: taking $port"
		# Another agent may be running: keep away from its socket too.
		env+=("LINNIX_HTTP_LISTEN=127.0.0.1:$port" "LINNIX_HTTP_SOCKET=$tmp/linnix.sock")
	fi
	url=http://127.0.0.1:$port
	become_root || echo "neither root nor sudo: the agent cannot load its probes and will see little"
	say "starting build/bin/linnixd, API on $url"
	"${sudo[@]}" env "${env[@]}" build/bin/linnixd --config etc/linnix.yaml >"$tmp/linnixd.log" 2>&1 &
	agent_pid=$!
	local until
	until=$(($(now_ms) + HEALTHY_WITHIN * 1000))
	until curl -fsS -m 5 "$url/healthz" >/dev/null 2>&1; do
		kill -0 "$agent_pid" 2>/dev/null || {
			agent_pid=
			agent_failed "the agent ended"
		}
		[ "$(now_ms)" -lt "$until" ] || agent_failed "no answer from $url/healthz within $HEALTHY_WITHIN s"
		nap 0.1
	done
	curl -sS -m 10 "$url/readyz" | jq -r '
		if .ready then "ready" else "not ready: " + ((.reasons // []) | map(tostring) | join("; ")) end,
		((.degraded // [])[] | "degraded: " + (if type == "object" then tojson else tostring end))' || true
}

agent_failed()
{
	echo "$1; its log ends with:" >&2
	tail -30 "$tmp/linnixd.log" >&2
	die "the agent did not come up"
}

follow_alerts()
{
	curl -sSN "$url/stream?type=alert" >"$tmp/alerts" 2>"$tmp/curl.err" &
	pids+=($!)
	local i
	for ((i = 0; i < 100; i++)); do
		[ ! -s "$tmp/alerts" ] || return 0
		nap 0.1
	done
}

# The v2 hierarchy, empty without one.
cgroup_root() { awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts; }

# Make cgroup $1 and move process $2 there. Fails without the right to.
move_to_cgroup()
{
	local root
	root=$(cgroup_root)
	[ -n "$root" ] && "${sudo[@]}" mkdir "$root/$1" 2>/dev/null || return 1
	cgroups+=("$root/$1")
	echo "$2" | "${sudo[@]}" tee "$root/$1/cgroup.procs" >/dev/null 2>&1
}

# Process $1 and its ancestors as a JSON array: an alert names the top of a tree within its cgroup.
ancestors()
{
	local p=$1 all=
	while [ -n "$p" ] && [ "$p" -gt 0 ]; do
		all="$all,$p"
		p=$(awk '$1 == "PPid:" { print $2 }' "/proc/$p/status" 2>/dev/null)
	done
	echo "[${all#,}]"
}

# The scene. scene_start makes something real happen and sets scene_pid; scene_seen prints what the
# agent said about it and succeeds once it said so.
fork_storm()
{
	printf 'demo-forkstorm' >/proc/self/comm 2>/dev/null || true
	nap 0.3 # time to be moved to a cgroup
	local end=$((SECONDS + SEEN_WITHIN + 2))
	while [ "$SECONDS" -lt "$end" ]; do
		(:) & # a child that never calls exec
		nap 0.02
	done
	wait
}

scene_start()
{
	say "the scene: a shell that forks about 40 children a second, none of which calls exec"
	fork_storm &
	scene_pid=$!
	pids+=("$scene_pid")
	if move_to_cgroup "linnix-quickstart-$$" "$scene_pid"; then
		scene_tree="[$scene_pid]"
	else
		scene_tree=$(ancestors "$scene_pid")
	fi
}

scene_seen()
{
	local line
	line=$(sed -n 's/^data: //p' "$tmp/alerts" | jq -Rrc --argjson tree "$scene_tree" 'fromjson? |
		select(.rule == "fork-storm" and .state == "firing" and (.subject.pid as $p | $tree | index($p)))
		| "\(.severity) \(.rule): \(.say)  [value \(.value), threshold \(.threshold)]"' |
		head -1)
	[ -n "$line" ] || return 1
	printf '%s\n' "$line"
}

spin()
{
	taskset -pc 0 "$BASHPID" >/dev/null 2>&1 || true
	while :; do :; done
}

# Two processes spin on one CPU, each in a cgroup of its own: who stalled whom, and by how much?
contention()
{
	local victim="linnix-quickstart-$$-victim" bully="linnix-quickstart-$$-bully" line until p
	local spinners=()
	say "the scene: 'bully' and 'victim' spin on one CPU, each in a cgroup of its own"
	for p in "$victim" "$bully"; do
		spin &
		spinners+=($!)
		pids+=($!)
		if ! move_to_cgroup "$p" $!; then
			echo "no right to make cgroups: this scene needs root and a mounted cgroup2" >&2
			kill "${spinners[@]}"
			return 1
		fi
	done
	until=$(($(now_ms) + BLAMED_WITHIN * 1000))
	nap 3
	until line=$(blame "$victim" "$bully"); do
		if [ "$(now_ms)" -ge "$until" ]; then
			echo "the agent did not blame the bully within $BLAMED_WITHIN s; /blame says:" >&2
			curl -sS -m 10 "$url/blame?victim=$victim&since=5s" >&2 || true
			kill "${spinners[@]}"
			return 1
		fi
		nap 0.2
	done
	kill "${spinners[@]}"
	printf '%s\n' "$line"
}

# One line on what $2 did to $1 in the last seconds; fails until it is known.
blame()
{
	curl -fsS -m 10 "$url/blame?victim=$1&resource=cpu&since=3s" | jq -re --arg bully "$2" '
		.victims[0] as $v | $v.parts[] | select(.kind == "neighbour" and .culprit.workload == $bully)
		| "bully stalled victim for \(.stall_ms | round) ms (\(.share_ratio * 100 | round) % of the \($v.stalled_ms | round) ms it lost;"
		+ " measured: \($v.method), ledger and kernel agree to \(($v.coverage_ratio // 0) * 1000 | round | . / 10) %;"
		+ " the kernel\u0027s own figure in cpu.pressure: \($v.psi_ms | round) ms)"' 2>/dev/null
}

show()
{
	install_packages run
	build
	start_agent
	follow_alerts
	local start until
	start=$(now_ms)
	until=$((start + SEEN_WITHIN * 1000))
	scene_start
	until scene_seen; do
		if [ "$(now_ms)" -ge "$until" ]; then
			echo "the agent said nothing about pid $scene_pid within $SEEN_WITHIN s; what it did say:" >&2
			tail -5 "$tmp/alerts" >&2
			tail -15 "$tmp/linnixd.log" >&2
			kill "$scene_pid" 2>/dev/null || true
			return 1
		fi
		nap 0.05
	done
	printf 'seen %d ms after it began\n' $(($(now_ms) - start))
	kill "$scene_pid" 2>/dev/null || true
	contention || return 1
	[ "$once" = no ] || return 0

	say "running; Ctrl-C stops. In another terminal:"
	cat <<-TEXT
		  build/bin/linnix${url:+ --url $url} blame --watch
		  build/bin/linnix${url:+ --url $url} ps
		  curl -s $url/processes?limit=5 | jq .
		  curl -sN $url/stream
	TEXT
	echo "alerts:"
	trap 'exit 0' INT
	local line fd
	exec {fd}<"$tmp/alerts"
	while IFS= read -r -u "$fd" line; do :; done # the scene's own has been shown
	while kill -0 "$agent_pid" 2>/dev/null; do
		while IFS= read -r -u "$fd" line; do
			[[ $line != data:*'"rule"'* ]] || printf '%s\n' "${line#data: }"
		done
		nap 0.5
	done
	agent_pid=
	agent_failed "the agent ended"
}

usage() { sed -n '3,10s/^# \{0,1\}//p' quickstart.sh; }

trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
tmp=$(mktemp -d)
case ${1:-} in
"") show ;;
--once)
	once=yes
	show
	;;
test)
	install_packages test
	build
	fetch_npm
	make -j"$(nproc)" check
	;;
bench)
	install_packages bench
	build
	make bench
	;;
-h | --help) usage ;;
*)
	usage >&2
	exit 2
	;;
esac
