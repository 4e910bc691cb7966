# shellcheck shell=bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# For run.sh: parts ledger and redis, what the ledger costs those that it watches.
#
# run.sh sets $tmp, $tools, $cpus and $part, and defines what is called here.
# shellcheck disable=SC2154

# ledger_round ROUND WITH: all loads once; every figure is a time, so that less is better
ledger_round()
{
	local cpu n
	n=$(pick 10000 40000)
	# CPU time of the load: what the programs on its way take is on its account, and neighbours are not.
	read -r _ cpu < <("$tools/bench_load" pipe "$n")
	measure pipe "$1" "$2" "$cpu"
	read -r _ cpu < <("$tools/bench_load" spawn 300 "$(pick 1 3)" "$tmp/nop")
	measure spawn "$1" "$2" "$cpu"
	if has perf; then
		cpu=$(TIMEFORMAT='%U %S'; { time perf bench -f simple sched messaging -g 2 -l "$(pick 300 1000)" >/dev/null 2>&1; } 2>&1)
		[ -z "$cpu" ] || measure messaging "$1" "$2" "$(calc "${cpu/ / + }")"
	fi
}

# Sets $all: what is compared, with the tools that are here.
ledger_all()
{
	local tool
	all=(nothing empty agent)
	for tool in runqlat runqslower cpudist; do
		if has "$tool"; then all+=("$tool"); else part=$tool skip_part "not installed"; fi
	done
}

part_ledger()
{
	local round with all load unit
	ledger_own
	ledger_all
	: >"$tmp/rows"
	for round in $(seq "${BENCH_ROUNDS:-$(pick 2 9)}"); do
		for with in $(shuf -e "${all[@]}"); do
			"with_$with" || { part=ledger_$with skip_part "cannot run it"; continue; }
			ledger_round "$round" "$with"
			if [ "$with" = agent ]; then status '.probes[] | select(.name == "sched" and .runs > 0) | .run_ms / .runs * 1e6' >>"$tmp/own"; fi
			[ -z "$job" ] || stop "$job"
		done
	done
	for load in "pipe ns" "messaging s" "spawn us"; do
		unit=${load#* } load=${load% *}
		for with in "${all[@]:1}"; do put_compared "ledger_${load}_$with" "$load" "$unit" "$with" nothing; done
	done
	ledger_targets
}

ledger_own() # of a round trip over pipes, and of fork, exec and exit
{
	local life
	for life in "" "$tmp/nop"; do
		env ${life:+BENCH_LIFE="$life"} BENCH_LOADS="$(pick 2 7)" "$tools/bench_sched" "$tools/bench_hold.bpf.o" "$build/bpf/sched.bpf.o" | jq -c '
			(if .spread then . + {error: (1.86 * .spread / (.loads | sqrt)), note: "loaded anew, its median distance from that: \(.spread)"} else . end) |
			if .name == "ledger_pipe_own_over_floor" then . + {target: "value <= 0.6", ok: (.value <= 0.6),
				unsure: (.value <= 0.6 and .value + 2 * (.error // 0) > 0.6)} else . end' >>"$figures" ||
			part=ledger_own skip_part "bench_sched failed"
	done
}

ledger_targets()
{
	local ours theirs floor
	[ -s "$tmp/own" ] && put ledger_own_cost "$(median <"$tmp/own")" ns/event note="as the programs time themselves, one run in 1,024"
	read -r ours _ < <(compare pipe agent nothing)
	read -r floor _ < <(compare pipe empty nothing)
	put ledger_pipe_loss_agent "$(calc "100 * ($ours - 1)")" % peer=empty peer_value="$(calc "100 * ($floor - 1)")"
	read -r theirs _ < <(compare pipe runqlat nothing)
	[ -z "$theirs" ] || put ledger_pipe_loss_against_runqlat "$(calc "100 * ($ours - 1)")" % peer=runqlat \
		peer_value="$(calc "100 * ($theirs - 1)")" 'target=ratio <= 0.3333'
}

# ---- throughput of redis beside a neighbour, which must lose less than 1 %: many pairs, or one of them tells nothing

redis_start() # beside a neighbour that burns the same CPU
{
	redis_port=$(free_port)
	begin taskset -c 0 redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no --dir "$tmp" >/dev/null
	redis=$job
	poll 10 redis-cli -p "$redis_port" ping >/dev/null || return 1
	begin "$tools/bench_load" spin 0
	spinner=$job
	kill -STOP "$spinner"
}

redis_round() # ROUND WITH
{
	local rate
	kill -CONT "$spinner"
	rate=$(taskset -c "$((cpus > 1))" redis-benchmark -p "$redis_port" -t get -n "$(pick 20000 100000)" -c 10 --csv 2>/dev/null | awk -F '"' '$2 == "GET" { print $4 }')
	kill -STOP "$spinner"
	[ -z "$rate" ] || measure redis "$1" "$2" "$(calc "1e6 / $rate")"
}

part_redis()
{
	local round with all each
	ledger_all
	each=("${all[@]}")
	if ! has redis-server || ! redis_start; then skip_part "no redis-server"; return; fi
	: >"$tmp/rows"
	for round in $(seq "${BENCH_ROUNDS:-$(pick 2 25)}"); do
		[ "$round" -le 9 ] || each=(nothing agent)
		for with in $(shuf -e "${each[@]}"); do
			"with_$with" || { part=redis_$with skip_part "cannot run it"; continue; }
			redis_round "$round" "$with"
			[ -z "$job" ] || stop "$job"
		done
	done
	stop "$redis" "$spinner"
	for with in "${all[@]:1}"; do
		put_compared "redis_$with" redis us "$with" nothing "$([ "$with" != agent ] || echo 1.0101)"
	done
}
