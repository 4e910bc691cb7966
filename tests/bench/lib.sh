# shellcheck shell=bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# For run.sh: figures, agents, and everything that has to be gone at the end.
#
# run.sh sets $tmp and $part, and reads what is set here.
# shellcheck disable=SC2154,SC2034

export LC_ALL=C
build=${LNX_BUILD:-build}
case $build in /*) ;; *) build=$PWD/$build ;; esac
tools=$build/tests/bench
figures=$tmp/figures
jobs_left=()
cgroup=

# note TEXT: for people, not into the file.
note() { printf '%s\n' "$*" >&2; }

# put NAME VALUE UNIT [peer=NAME] [peer_value=N] [target='value <= N'|'ratio <= N'] [note=TEXT]
put()
{
	local name=$1 value=$2 unit=$3
	shift 3
	jq -nc --arg name "$name" --argjson value "${value:-null}" --arg unit "$unit" --args '
		($ARGS.positional | map(capture("^(?<k>[a-z_]+)=(?<v>.*)$"; "s") | {(.k): .v}) | add // {}) as $o |
		{name: $name, value: $value, unit: $unit} +
		(if $o.peer then {peer: $o.peer} else {} end) +
		(if $o.peer_value then ($o.peer_value | tonumber) as $p |
			{peer_value: $p, ratio: (if $p == 0 or $value == null then null else $value / $p end)} else {} end) +
		(if $o.note then {note: $o.note} else {} end) |
		if $o.target then . as $f | ($o.target / " ") as [$what, $op, $limit] | . + {target: $o.target,
			ok: (($limit | tonumber) as $l | $f[$what] as $v | if $v == null then false
				elif $op == "<=" then $v <= $l else $v >= $l end)} else . end' \
		-- "$@" >>"$figures" || note "bench: cannot note $name"
}

# skip_part WHY: said in the file and in the table, never silent.
skip_part()
{
	note "  skipped: $*"
	jq -nc --arg name "$part" --arg why "$*" '{name: $name, skipped: $why}' >>"$figures"
}

calc() { awk "BEGIN { printf \"%.6g\", $* }"; }
median() { sort -g | awk '{ v[NR] = $1 } END { if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }
has() { command -v "$1" >/dev/null; }

poll()
{
	local end=$(($(now_ms) + $1 * 1000))
	shift
	until "$@" 2>/dev/null; do
		[ "$(now_ms)" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# Below the range from which the kernel gives ports to clients: one of them could take it before the agent does.
free_port()
{
	local p
	while p=$((20000 + RANDOM % 12000)); do
		(exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null || { echo "$p"; return; }
	done
}

# begin COMMAND...: in the background, ended by stop or at the end; sets $job.
begin()
{
	"$@" &
	job=$!
	jobs_left+=("$job")
}

is_gone() { [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }

are_gone()
{
	local p
	for p in "${jobs_left[@]+"${jobs_left[@]}"}"; do is_gone "$p" || return 1; done
}

# stop PID...: asked first, then killed.
stop()
{
	local p
	for p; do
		kill "$p" 2>/dev/null
		poll 10 is_gone "$p" || kill -9 "$p" 2>/dev/null
		wait "$p" 2>/dev/null
	done
}

clean_up()
{
	local p
	# A child that was ended before it forgot our traps has nothing to clean.
	[ "$BASHPID" = $$ ] || return
	for p in "${jobs_left[@]+"${jobs_left[@]}"}"; do
		kill -CONT "$p" 2>/dev/null
		kill "$p" 2>/dev/null
	done
	poll 1 are_gone
	for p in "${jobs_left[@]+"${jobs_left[@]}"}"; do kill -9 "$p" 2>/dev/null; done
	wait 2>/dev/null
	[ -z "$cgroup" ] || poll 10 rmdir "$cgroup"
	rm -rf "$tmp"
}

# agent_start [VARIABLE=VALUE...]: linnixd with every default but its addresses; sets $agent, $port, $url.
agent_start()
{
	port=$(free_port)
	url=http://127.0.0.1:$port
	: >"$tmp/linnix.yaml"
	begin env -u LINNIX_URL LINNIX_HTTP_LISTEN="127.0.0.1:$port" LINNIX_HTTP_SOCKET="$tmp/sock" \
		LINNIX_PLUGINS_STATE_FILE= LINNIX_STORE_PATH="$tmp/linnix.db" "$@" "$build/bin/linnixd" --config "$tmp/linnix.yaml" 2>>"$tmp/agent.log"
	agent=$job
	poll 30 agent_ready || { note "bench: no agent"; tail -5 "$tmp/agent.log" >&2; return 1; }
}

agent_ready() { curl -fs -m 2 "$url/status" | jq -es '.[0].probes | map(select(.name == "proc" and .state == "attached")) | length == 1' >/dev/null; }
status() { curl -fs -m 10 "$url/status" | jq "$1"; }
# lost: events that the agent lost so far, wherever.
lost() { status '[.dropped[]] | add'; }
crossed() { curl -fs -m 10 "$url/metrics" | awk -v n="linnix_events_total{type=\"$1\"}" '$1 == n { printf "%.0f", $2 }'; }
# cpu_us PID: of all its threads.
cpu_us() { cat /proc/"$1"/task/*/schedstat 2>/dev/null | awk '{ n += $1 } END { printf "%.0f", n / 1000 }'; }
rss_kib() { awk '/^VmRSS/ { print $2 }' /proc/"$1"/status; }
switches() { awk '/^ctxt/ { print $2 }' /proc/stat; }
wakeups() { cat /proc/"$1"/task/*/status | awk '/^voluntary_ctxt/ { n += $2 } END { print n }'; }
# are_told TYPE N: have so many crossed the bus or been lost?
are_told() { [ $(($(crossed "$1") + $(lost))) -ge "$2" ]; }
# What only a start needs is done: 1 % of a CPU or less was in use in the last second. settled: "ms us" at its begin
is_settled()
{
	local t0 cpu0 t cpu
	t=$(now_ms) cpu=$(cpu_us "$agent")
	read -r t0 cpu0 <<<"${settled:-0 0}"
	[ $((t - t0)) -ge 1000 ] || return 1
	settled="$t $cpu"
	[ $(((cpu - cpu0) / 10)) -le $((t - t0)) ] && [ "$t0" -ne 0 ]
}
