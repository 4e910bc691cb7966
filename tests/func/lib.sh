# shellcheck shell=bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# For functional tests: sourced. A test is a function; `run NAME...` runs each in a subshell and speaks TAP. Inside one:
# `fail TEXT` ends it, `skip TEXT` too; every process and file it made is gone afterwards. Nothing waits a fixed time: `poll`
# asks again until a deadline.

set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
export LC_ALL=C.UTF-8 NO_COLOR=1
build=${LNX_BUILD:-build}
case $build in /*) ;; *) build=$PWD/$build ;; esac
linnixd=$build/bin/linnixd
linnix=$build/bin/linnix
# Sanitizers slow the agent down, and LNX_SLOW says how many times slower the machine itself is; deadlines stretch with them.
case ${LNX_SAN:-} in '') slow=1 ;; *) slow=4 ;; esac
slow=$((slow * ${LNX_SLOW:-1}))
# What is only waited for may come late on a machine that others share: a deadline is for what never comes. A promise is not stretched.
patience=$((slow * 4))
unset LINNIX_URL LINNIX_API_TOKEN
for v in "${!LINNIX_@}"; do unset "$v"; done

if [ ! -x "$linnixd" ] || [ ! -x "$linnix" ]; then
	echo "Bail out: no programs in $build/bin"
	exit 1
fi

fail()
{
	printf 'failed: %s\n' "$*" >&9
	exit 1
}

skip()
{
	printf '%s\n' "$*" >"$tmp/skip"
	exit 77
}

need_root() { [ "$(id -u)" -eq 0 ] || skip "needs root"; }
need() { command -v "$1" >/dev/null || skip "needs $1"; }

# jq 1.6 says yes where it was given nothing: with -e that is a no here.
if type -P jq >/dev/null; then
	jq()
	{
		local out rc
		case ${1:-} in
		-e*) ;;
		*)
			command jq "$@"
			return
			;;
		esac
		out=$(command jq "$@")
		rc=$?
		[ -n "$out" ] || [ "$rc" -ne 0 ] || rc=4
		[ -z "$out" ] || printf '%s\n' "$out"
		return "$rc"
	}
fi

now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

# nap SECONDS: without a process of its own. Only inside poll.
nap()
{
	local fd
	exec {fd}<> <(:)
	read -rt "$1" -u "$fd" || true
	exec {fd}<&-
}

# poll SECONDS COMMAND...: again until it succeeds; 1 after the deadline, which is a far one.
poll()
{
	within $(($1 * patience)) "${@:2}"
}

# within SECONDS COMMAND...: the same with just that deadline, for what need not come.
within()
{
	local end
	end=$(($(now_ms) + $1 * 1000))
	shift
	# What it says is of interest only when it never succeeds.
	until "$@" 2>"$tmp/poll.err"; do
		if [ "$(now_ms)" -ge "$end" ]; then
			cat "$tmp/poll.err" >&2
			return 1
		fi
		nap 0.05
	done
}

# The agent has no exact tier: a skip where the kernel cannot, a failure where it can.
not_exact()
{
	! "$linnix" doctor 2>/dev/null | grep -q '^ok tier: exact' || fail "the kernel can, the agent has no exact tier: $*"
	skip "this kernel has no exact tier: $*"
}
is_exact() { [ "$(get /status | jq -r .tiers.cpu)" = exact ]; }
need_exact() { poll 20 is_exact || not_exact "$(get /status | jq -c .probes)"; }

# passes_selftest COMMAND...: the selftest, which measures: what others on the machine disturbed is measured again. Its words of every
# try are in $tmp/selftest.
passes_selftest()
{
	local try
	: >"$tmp/selftest"
	for try in 1 2 3; do
		echo "try $try:" >>"$tmp/selftest"
		! "$@" >>"$tmp/selftest" 2>&1 || return 0
	done
	return 1
}

# A free TCP port, most likely.
# Below the range from which the kernel gives ports to clients: one of them could take it before the agent does.
free_port()
{
	local p
	while p=$((20000 + RANDOM % 12000)); do
		(exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null || {
			echo "$p"
			return
		}
	done
}

is_alive() { kill -0 "$1" 2>/dev/null; }
is_gone() { ! kill -0 "$1" 2>/dev/null; }
answers() { curl -fsS -m $((2 * patience)) "$url/healthz" >/dev/null 2>&1; }

# prepare: choose port, socket and files of an agent; sets $url and $socket. Options of the configuration are environment
# variables, so that the shipped file can be used as it is. How fast a machine is says nothing of what is tested: no agent is to shed
# its ledger for its CPU budget, but in the test of that.
prepare()
{
	port=$(free_port)
	url=http://127.0.0.1:$port
	socket=$tmp/linnix.sock
	log=$tmp/log
	export LINNIX_HTTP_LISTEN=127.0.0.1:$port LINNIX_HTTP_SOCKET=$socket \
		LINNIX_PLUGINS_STATE_FILE=$tmp/plugins.state LINNIX_URL=$url LINNIX_STORE_PATH=$tmp/linnix.db
	export LINNIX_BUDGET_CPU_PCT=${LINNIX_BUDGET_CPU_PCT:-100} LINNIX_BUDGET_CPU_MAX_MILLICORES=${LINNIX_BUDGET_CPU_MAX_MILLICORES:-2000}
	# Nor is a client to be told to wait: its test is in plugins/http.
	export LINNIX_HTTP_WORK_LIMIT=${LINNIX_HTTP_WORK_LIMIT:-0}
}

# no_ledger: for who asks nothing about stalls. Most of a start is the kernel's check of those programs.
no_ledger() { export LINNIX_PROBES_DISABLED=sched,blkio,mem; }

# start_agent: with $agent_args; sets $agent; waits until it answers. $launcher stands before the program.
launcher=()
agent_args=(--config etc/linnix.yaml)
start_agent()
{
	[ -n "${url:-}" ] || prepare
	spawn_agent
	poll 30 agent_is_up || {
		sed 's/^/log: /' "$log" >&2
		fail "the agent does not answer at $url"
	}
}

spawn_agent()
{
	"${launcher[@]+"${launcher[@]}"}" "$linnixd" "${agent_args[@]}" >>"$log" 2>&1 &
	agent=$!
}

agent_is_up()
{
	if is_gone "$agent"; then
		wait "$agent"
		fail "the agent ended with $?: $(tail -20 "$log")"
	fi
	answers
}

# stop_agent SIGNAL: sets $stopped_ms and $code.
# shellcheck disable=SC2034
stop_agent()
{
	local begin
	begin=$(now_ms)
	kill "-$1" "$agent"
	poll 20 is_gone "$agent" || fail "the agent does not end"
	stopped_ms=$(($(now_ms) - begin))
	wait "$agent"
	code=$?
}

# get PATH [CURL ARGUMENT...]: the body; fails on an error status.
get()
{
	local path=$1
	shift
	curl -fsS -m $((10 * patience)) "$@" "$url$path"
}

status_of() { curl -sS -m $((10 * patience)) -o /dev/null -w '%{http_code}' "$url$1"; }

# metric NAME{LABELS}: its value, 0 when it is not there.
metric() { get /metrics | awk -v m="$1" 'BEGIN { v = 0 } { i = length(m); if (substr($0, 1, i + 1) == m " ") v = $2 } END { print v }'; }
sum_metric() { get /metrics | awk -v m="$1" '{ n = $1; sub(/\{.*/, "", n); if (n == m) s += $2 } END { printf "%.0f\n", s }'; }

log_has() { grep -qE -e "$1" "$log"; }

finish()
{
	local p
	# Only children of this subshell. Twice: one may have been stopped.
	for p in $(jobs -p); do
		kill -TERM "$p" 2>/dev/null
	done
	for p in $(jobs -p); do
		within $((5 * slow)) is_gone "$p" || kill -KILL "$p" 2>/dev/null
	done
	wait 2>/dev/null
}

# A function as a test in a subshell of its own. The output is a diagnosis, shown only when it fails.
run()
{
	local n=0 name tmp rc failed=0
	printf '1..%d\n' $#
	for name in "$@"; do
		n=$((n + 1))
		tmp=$(mktemp -d "${TMPDIR:-/tmp}/lnx-func-XXXXXX") || exit 1
		(
			# Others may have to enter: tests run agents as nobody.
			chmod 755 "$tmp"
			trap finish EXIT
			"$name"
		) >"$tmp/out" 2>&1 9>&1 </dev/null
		rc=$?
		if [ "$rc" -eq 77 ] && [ -s "$tmp/skip" ]; then
			printf 'ok %d - %s # SKIP %s\n' "$n" "$name" "$(cat "$tmp/skip")"
		elif [ "$rc" -eq 0 ]; then
			printf 'ok %d - %s\n' "$n" "$name"
		else
			failed=1
			sed 's/^/# /' "$tmp/out"
			printf 'not ok %d - %s\n' "$n" "$name"
		fi
		rm -rf "$tmp"
	done
	exit "$failed"
}
