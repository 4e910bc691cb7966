#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# make bench: the figures of the README, each beside its peer or its floor of the same run, to $LNX_BUILD/bench.json.
#
#   BENCH_QUICK=1       fewer rounds: three minutes instead of fifteen
#   BENCH_ROUNDS=N      so many rounds of what parts spawn, ledger and redis compare
#   BENCH_PARTS="a b"   only these: programs spawn exec api blame sse latency idle storm churn ledger redis history
#
# Needs root. Everything it starts listens on loopback, stops by itself and is gone at the end.
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1
tmp=$(mktemp -d /tmp/linnix-bench.XXXXXX) || exit 1
# shellcheck source=tests/bench/lib.sh
. tests/bench/lib.sh
# shellcheck source=tests/bench/ledger.sh
. tests/bench/ledger.sh
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

quick=${BENCH_QUICK:-}
pick() { if [ -n "$quick" ]; then echo "$1"; else echo "$2"; fi; }

# ---- programs that print JSON lines of their own

part_programs()
{
	local p
	for p in bench_bus bench_probe bench_rules bench_receipt; do
		[ -x "$tools/$p" ] || continue
		LNX_BUILD=$build timeout 180 "$tools/$p" | jq -c '
			if .name == "ring_to_subscriber_events_per_s" then . + {target: "value >= 1000000", ok: (.value >= 1000000)}
			elif .name == "rule_unwanted" then . + {target: "value <= 50", ok: (.value <= 50)}
			elif .name == "rule_window" then . + {target: "value <= 150", ok: (.value <= 150)}
			elif .name == "receipt_root_1m_more_kib" then . + {target: "value <= 64", ok: (.value <= 64)}
			elif .name == "rule_lua_call" then . + {target: "value <= 200", ok: (.value <= 200)}
			elif .name == "life_probe_over_empty_pct" then . + {target: "value <= 2", ok: (.value <= 2)} else . end' >>"$figures" ||
			skip_part "$p failed"
	done
	[ ! -x "$tools/bench_replay" ] || timeout 180 "$tools/bench_replay" "$build/plugins" scripts/rules | jq -c '
		if .unit == "million events/s" then . + {target: "value >= 2", ok: (.value >= 2)} else . end' >>"$figures" ||
		skip_part "bench_replay failed"
}

# ---- fork, exec, exit

hold() # PREFIX...: empty programs on the hooks of the probes so named
{
	begin "$tools/bench_hold" "$tools/bench_hold.bpf.o" "$@" >"$tmp/hold"
	poll 10 grep -q ready "$tmp/hold"
}

# What takes part in a comparison. Each leaves the pid of what to stop in $job.
with_nothing() { job=; }
with_empty_proc() { hold proc_; }
with_empty() { hold proc_ sched_; }
with_agent() { agent_start && poll 10 has_ledger; }
with_agent_no_ledger() { agent_start LINNIX_STALL_ENABLED=false LINNIX_PROBES_DISABLED=sched; }
with_runqlat() { with_tool runqlat 100; }
with_runqslower() { with_tool runqslower 10000; }
with_cpudist() { with_tool cpudist 100; }
has_ledger() { [ "$(status .tiers.cpu)" = '"exact"' ]; }
with_tool() { begin "$@" >/dev/null 2>&1; sleep 1; kill -0 "$job" 2>/dev/null; }

# measure FIGURE ROUND WITH VALUE: one row of what compare() compares
measure() { [ -n "$4" ] && printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" >>"$tmp/rows"; }

# compare FIGURE WITH BASE: "ratio spread pairs" of WITH over BASE, paired by rounds: their median, and the median distance from it.
compare()
{
	awk -F '\t' -v f="$1" -v w="$2" -v b="$3" '$1 == f && $3 == w { x[$2] = $4 } $1 == f && $3 == b { y[$2] = $4 }
		END { for (r in x) if (y[r] > 0) print x[r] / y[r] }' "$tmp/rows" >"$tmp/ratios"
	local mid
	mid=$(median <"$tmp/ratios")
	echo "$mid $(awk -v m="$mid" '{ d = $1 - m; print d < 0 ? -d : d }' "$tmp/ratios" | median) $(wc -l <"$tmp/ratios")"
}
middle() { awk -F '\t' -v f="$1" -v w="$2" '$1 == f && $3 == w { print $4 }' "$tmp/rows" | median; }

# put_compared NAME FIGURE UNIT WITH BASE [TARGET]: the value is the median; the ratio that of the pairs. error: of that median, were
# they spread normally: 1.4826 * 1.2533 of the spread, over the root of their number. unsure: it is within the target, and twice its
# error reaches beyond.
put_compared()
{
	local v p mid spread pairs
	v=$(middle "$2" "$4")
	p=$(middle "$2" "$5")
	read -r mid spread pairs < <(compare "$2" "$4" "$5")
	if [ -z "$v" ] || [ -z "$p" ]; then part=$1 skip_part "no figures"; return; fi
	jq -nc --arg name "$1" --arg unit "$3" --arg peer "$5" --arg target "${6:-}" --argjson v "$v" --argjson p "$p" --argjson r "$mid" \
		--argjson s "$spread" --argjson n "$pairs" '{name: $name, value: $v, unit: $unit, peer: $peer, peer_value: $p, ratio: $r, spread: $s,
		pairs: $n, error: (1.86 * $s / ($n | sqrt) * 1e4 | round / 1e4)} |
		. + if $target == "" then {} else ($target | tonumber) as $t | {target: ("ratio <= " + $target), ok: ($r <= $t),
			unsure: ($r <= $t and $r + 2 * .error > $t)} end +
		if $s > 0.02 then {noisy: true} else {} end' >>"$figures"
}

part_spawn()
{
	local round with rounds chunks wall cpu
	rounds=${BENCH_ROUNDS:-$(pick 3 15)}
	chunks=$(pick 5 9)
	: >"$tmp/rows"
	for round in $(seq "$rounds"); do
		# in another order each time: what the one before left behind is nobody's
		for with in $(shuf -e nothing empty_proc empty agent_no_ledger agent); do
			"with_$with" || { skip_part "cannot run with $with"; return; }
			# a chunk lasts longer than the agent's longest pause between two looks, 64 ms
			read -r wall cpu < <("$tools/bench_load" spawn 1000 "$chunks" "$tmp/nop")
			measure cpu "$round" "$with" "$cpu"
			measure wall "$round" "$with" "$wall"
			[ -z "$job" ] || stop "$job"
		done
	done
	put_compared life_cpu_empty_programs cpu us empty_proc nothing
	put_compared life_cpu_empty_programs_of_ledger cpu us empty nothing
	put_compared life_cpu_agent_without_ledger cpu us agent_no_ledger empty_proc 1.02
	put_compared life_cpu_agent cpu us agent empty 1.02
	put_compared life_wall_agent_without_ledger wall us agent_no_ledger empty_proc
	put_compared life_wall_agent wall us agent empty
}

# ---- execs without loss, against execsnoop

exec_linnix() # MS: "per_s lost us_of_agent_per_exec"
{
	local before lost_before cpu n ms
	before=$(crossed proc.exec)
	lost_before=$(lost)
	cpu=$(cpu_us "$agent")
	read -r n ms < <("$tools/bench_load" execs "$1" "$cpus" "$tmp/nop")
	cpu=$(($(cpu_us "$agent") - cpu))
	poll 3 are_told proc.exec $((before + lost_before + n))
	# Others run programs too: at least ours must have crossed, and nothing been lost.
	awk -v n="$n" -v ms="$ms" -v seen=$(($(crossed proc.exec) - before)) -v lost=$(($(lost) - lost_before)) -v cpu="$cpu" '
		BEGIN { if (seen < n && n - seen > lost) lost = n - seen; print (n - (lost < n ? lost : n)) / ms * 1000, lost, cpu / n }'
}

# A line comes once its exec is done: those that were lost never do.
are_printed() { [ "$(grep -c '^nop ' "$tmp/snoop")" -ge "$1" ]; }
exec_snoop()
{
	local n ms snoop seen cpu
	# libbpf of that age looks for tracefs below debugfs only.
	begin unshare -m --propagation private sh -c '[ -d /sys/kernel/debug/tracing ] || mount -t debugfs none /sys/kernel/debug
		exec stdbuf -oL execsnoop' >"$tmp/snoop" 2>"$tmp/snoop.err"
	snoop=$job
	poll 10 grep -q PCOMM "$tmp/snoop" || { tail -1 "$tmp/snoop.err" >&2; return 1; }
	cpu=$(cpu_us "$snoop")
	read -r n ms < <("$tools/bench_load" execs "$1" "$cpus" "$tmp/nop")
	cpu=$(($(cpu_us "$snoop") - cpu))
	poll 3 are_printed "$n"
	stop "$snoop"
	seen=$(grep -c '^nop ' "$tmp/snoop")
	awk -v n="$n" -v ms="$ms" -v seen="$seen" -v cpu="$cpu" 'BEGIN { print seen / ms * 1000, n - seen, cpu / n }'
}

part_exec()
{
	local ms rounds round a=() b=()
	has execsnoop || { skip_part "no execsnoop (libbpf-tools)"; return; }
	ms=$(pick 1500 3000)
	rounds=$(pick 1 3)
	: >"$tmp/rows"
	for round in $(seq "$rounds"); do
		agent_start || return
		read -ra a < <(exec_linnix "$ms")
		stop "$agent"
		read -ra b < <(exec_snoop "$ms")
		[ ${#a[@]} -eq 3 ] || { skip_part "no figures of ours"; return; }
		[ ${#b[@]} -eq 3 ] || { skip_part "execsnoop gave no figures"; return; }
		measure rate "$round" linnix "${a[0]}"
		measure rate "$round" execsnoop "${b[0]}"
		measure lost "$round" linnix "${a[1]}"
		measure lost "$round" execsnoop "${b[1]}"
		measure cpu "$round" linnix "${a[2]}"
		measure cpu "$round" execsnoop "${b[2]}"
	done
	put_compared execs_captured rate 1/s linnix execsnoop
	put execs_lost "$(middle lost linnix)" execs peer=execsnoop peer_value="$(middle lost execsnoop)" 'target=value <= 0'
	put_compared exec_agent_cpu cpu us linnix execsnoop
}

# ---- API

cgroup_make()
{
	local root
	root=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[ -n "$root" ] && mkdir "$root/linnix-bench-$$" && cgroup=$root/linnix-bench-$$
}

# In a cgroup of their own, which cgroup.kill ends.
sleepers()
{
	mkfifo "$tmp/asleep"
	# shellcheck disable=SC2016
	begin bash -c 'echo $$ >"$1/cgroup.procs" && exec "$2" sleepers "$3" <"$4"' - "$cgroup" "$tools/bench_load" "$1" "$tmp/asleep" >"$tmp/sleepers"
	sleeper=$job
	exec 7>"$tmp/asleep"
	poll 60 grep -q ready "$tmp/sleepers"
}

nginx_start() # serves $tmp/www on $nginx_port; sets $nginx
{
	nginx_port=$(free_port)
	cat >"$tmp/nginx.conf" <<-END
		daemon off;
		master_process off;
		pid $tmp/nginx.pid;
		error_log $tmp/nginx.err;
		events { }
		http {
			access_log off;
			sendfile on;
			keepalive_requests 1000000;
			client_body_temp_path $tmp/ngx; proxy_temp_path $tmp/ngx; fastcgi_temp_path $tmp/ngx;
			uwsgi_temp_path $tmp/ngx; scgi_temp_path $tmp/ngx;
			server { listen 127.0.0.1:$nginx_port; root $tmp/www; }
		}
	END
	begin nginx -p "$tmp" -c "$tmp/nginx.conf" 2>>"$tmp/nginx.err"
	nginx=$job
	poll 10 curl -fs -o /dev/null "http://127.0.0.1:$nginx_port/100"
}

# api_ask LIMIT ROUNDS REQUESTS
api_ask()
{
	local out
	out=$("$tools/bench_http" "$2" "$3" "$port" "/processes?limit=$1" "$agent" "$nginx_port" "/$1" "$nginx") || return 1
	for f in cpu p50 p99; do
		put "api_processes_$1_${f}" "$(jq -s ".[0].${f}_us" <<<"$out")" us peer=nginx peer_value="$(jq -s ".[1].${f}_us" <<<"$out")" \
			note="$(jq -s '.[0].body_bytes' <<<"$out") bytes; nginx: $(jq -s '.[1].body_bytes' <<<"$out")"
	done
}

part_api()
{
	local n
	has nginx || { skip_part "no nginx"; return; }
	cgroup_make || { skip_part "no cgroup2"; return; }
	sleepers 5000 || { skip_part "cannot make 5,000 processes"; return; }
	agent_start LINNIX_HTTP_RATE_LIMIT=0 LINNIX_HTTP_WORK_LIMIT=0 || return
	mkdir -p "$tmp/www" "$tmp/ngx"
	chmod 755 "$tmp" "$tmp/www"
	for n in 100 5000; do curl -fs "$url/processes?limit=$n" -o "$tmp/www/$n"; done
	n=$(jq length "$tmp/www/5000")
	[ "$n" = 5000 ] || note "  /processes?limit=5000 told $n"
	if nginx_start; then
		api_ask 100 "$(pick 5 9)" "$(pick 50 100)" || skip_part "no answers"
		api_ask 5000 "$(pick 3 9)" "$(pick 5 12)" || skip_part "no answers"
		stop "$nginx"
	else
		skip_part "nginx does not start"
	fi
	put rss_with_5000_processes "$(calc "$(rss_kib "$agent") / 1024")" MiB
	stop "$agent"
	exec 7>&-
	stop "$sleeper"
	poll 20 rmdir "$cgroup" && cgroup=
}

# ---- /blame of many

# One process in each of <n> cgroups, in batches: each waits for a CPU at least at its first run.
crowd()
{
	local i k batch=()
	mkdir $(seq -f "$cgroup/w%g" "$1") || return 1
	for ((i = 1; i <= $1; i++)); do
		(echo "$BASHPID" >"$cgroup/w$i/cgroup.procs"; for ((k = 0; k < 6000; k++)); do :; done) &
		batch+=($!)
		[ $((i % 50)) -ne 0 ] || { wait "${batch[@]}"; batch=(); }
	done
}
blamed() { curl -fs -m 10 "$url/blame?since=60s&resource=cpu&limit=10000" -o "$tmp/blame" && [ "$(jq '.victims | length' "$tmp/blame")" -ge "$1" ]; }

part_blame()
{
	local n=2000 i
	cgroup_make || { skip_part "no cgroup2"; return; }
	agent_start LINNIX_HTTP_RATE_LIMIT=0 LINNIX_HTTP_WORK_LIMIT=0 || return
	crowd "$n" || skip_part "cannot make $n cgroups"
	poll 10 blamed $((n * 9 / 10)) || note "  /blame tells $(jq '.victims | length' "$tmp/blame")"
	for ((i = 0; i < $(pick 9 31); i++)); do
		curl -fs -m 10 -o /dev/null -w '%{time_total}\n' "$url/blame?since=60s&resource=cpu&limit=10000"
	done >"$tmp/blame.s"
	put blame_of_2000 "$(calc "$(median <"$tmp/blame.s") * 1000")" ms \
		note="median; $(jq '.victims | length' "$tmp/blame") victims, $(stat -c %s "$tmp/blame") bytes; slowest $(calc "$(sort -g "$tmp/blame.s" | tail -1) * 1000") ms"
	stop "$agent"
	rmdir $(seq -f "$cgroup/w%g" "$n")
	poll 20 rmdir "$cgroup" && cgroup=
}

# ---- streams

part_sse()
{
	local out f
	agent_start || return
	out=$("$tools/bench_sse" fan "$port" "$agent" 800 200 "$(pick 50 100)" "$(pick 3000 10000)") || { skip_part "no readers"; stop "$agent"; return; }
	f() { jq ".$1" <<<"$out"; }
	put sse_800_readers_delivered "$(f delivered_ratio)" ratio 'target=value >= 1' \
		note="beside 200 that never read; $(f forks) forks, fewest frames of a reader $(f least)"
	put sse_cpu_per_frame "$(f cpu_us_per_frame)" us
	put sse_cpu_of_agent "$(calc "100 * $(f cpu_ms) / $(f ms)")" "% of a CPU" note="$(calc "$(f frames) / $(f ms) * 1000") frames/s"
	put sse_rss_1000_connections "$(f rss_mib)" MiB peer=before peer_value="$(f rss_before_mib)"
	put sse_lost_by_agent "$(lost)" events 'target=value <= 0'
	stop "$agent"
}

part_latency()
{
	local out
	agent_start || return
	if out=$("$tools/bench_sse" latency "$port" "$(pick 300 1500)"); then
		put fork_to_sse_p50 "$(jq .p50_ms <<<"$out")" ms
		put fork_to_sse_p99 "$(jq .p99_ms <<<"$out")" ms 'target=value <= 20' note="$(jq -r '"\(.count) forks, \(.lost) not told, longest \(.max_ms) ms"' <<<"$out")"
	else
		skip_part "no frames"
	fi
	stop "$agent"
}

# ---- idle

part_idle()
{
	local s cpu0 bpf0 sw0 wk0 t0 cpu bpf t sw
	s=$(pick 10 60)
	agent_start || return
	settled=
	poll 20 is_settled
	cpu0=$(cpu_us "$agent") bpf0=$(status .self.bpf_cpu_ms) sw0=$(switches) wk0=$(wakeups "$agent") t0=$(now_ms)
	sleep "$s"
	t=$(($(now_ms) - t0)) sw=$(($(switches) - sw0))
	cpu=$(calc "($(cpu_us "$agent") - $cpu0) / 10 / $t")
	put idle_wakeups "$(calc "($(wakeups "$agent") - $wk0) / $t * 1000")" 1/s
	put idle_rss "$(calc "$(rss_kib "$agent") / 1024")" MiB 'target=value <= 9.536' note='10 MB'
	bpf=$(calc "100 * ($(status .self.bpf_cpu_ms) - $bpf0) / $t")
	put idle_cpu_user_space "$cpu" "% of a CPU"
	put idle_cpu_bpf "$bpf" "% of a CPU" note="$(status -r '[.probes[] | "\(.name) \(if .runs > 0 then .run_ms / .runs * 1e6 | floor else 0 end) ns/run"] | join(", ")')"
	put idle_cpu "$(calc "$cpu + $bpf")" "% of a CPU" 'target=value <= 0.3' \
		note="$(calc "$sw / $t * 1000") switches/s on the machine; the target is for up to 2,000"
	stop "$agent"
}

# ---- loss in a storm of forks

part_storm()
{
	local ops before seen gone ms
	has stress-ng || { skip_part "no stress-ng"; return; }
	ops=$(pick 10000 50000)
	agent_start || return
	before=$(crossed proc.fork) gone=$(lost) ms=$(now_ms)
	timeout 120 stress-ng --fork 2 --fork-ops "$ops" -q >/dev/null 2>&1
	ms=$(($(now_ms) - ms))
	poll 5 are_told proc.fork $((before + gone + ops))
	seen=$(($(crossed proc.fork) - before)) gone=$(($(lost) - gone))
	put storm_forks_seen "$seen" forks "target=value >= $ops" note="$(calc "$seen / $ms * 1000") forks/s"
	put storm_events_lost "$gone" events 'target=value <= 0'
	put storm_rss "$(calc "$(rss_kib "$agent") / 1024")" MiB
	stop "$agent"
}

# ---- cgroups that come and go

# cgroup_churn FROM TO: made and removed, one after the other, in batches
cgroup_churn()
{
	local n
	for ((n = $1; n < $2; n += 100)); do
		mkdir $(seq -f "$cgroup/pod00000000-0000-0000-0000-%012g" "$n" $((n + 99))) &&
			rmdir $(seq -f "$cgroup/pod00000000-0000-0000-0000-%012g" "$n" $((n + 99))) || return 1
	done
}
series() { curl -fs -m 10 "$url/metrics" | grep -vc '^#'; }
told_gone() { [ "$(crossed cgroup.gone)" -ge "$1" ]; }

part_churn()
{
	local total before after s_before s_after
	total=$(pick 10000 18000)
	# a small ring of past events and 4,096 remembered cgroups are full before the first look
	if ! agent_start LINNIX_BUS_RING_SIZE=1MiB || ! cgroup_make; then
		skip_part "no agent or no cgroup"
		return
	fi
	if ! cgroup_churn 0 8000 || ! poll 60 told_gone 8000; then
		skip_part "cgroups are not told of"
		return
	fi
	before=$(rss_kib "$agent") s_before=$(series)
	cgroup_churn 8000 "$total" && poll 60 told_gone "$total"
	after=$(rss_kib "$agent") s_after=$(series)
	rmdir "$cgroup" && cgroup=
	put churn_rss_growth $((after - before)) KiB note="$((total - 8000)) cgroups after the first 8,000, which fill what is remembered" 'target=value <= 1024'
	put churn_series_growth $((s_after - s_before)) series note='pairs of blame of the machine itself, at most budget.series' 'target=value <= 150'
	stop "$agent"
}

# ---- incidents: from the alert to the disk and to a receiver; inserts; a start with many kept

bench_rules() # DIR N: N rules, one for each program of its own
{
	local i
	mkdir -p "$1/bin" "$1/rules"
	for ((i = 0; i < $2; i++)); do
		ln -s "$tmp/nop" "$1/bin/lnx-bench-$i"
		printf 'rule "bench-%d" {\n  on = "proc.exec", where = { comm = "lnx-bench-%d" }, by = "pid",\n  window = { n = "count 1s" },
  when = function(w) return w.n >= 1 end, keep = "60s", value = "n", severity = "warning", say = "{comm} ran",\n}\n' "$i" "$i" >"$1/rules/b$i.lua"
	done
}

part_told() # the four figures of bench_notify.py
{
	local n dir=$tmp/told receiver s50 s99 d50 d99 got
	n=$(pick 40 100)
	mkdir "$dir"
	bench_rules "$dir" "$n"
	begin python3 tests/bench/bench_notify.py "$tmp/told.db" "$dir" "$n" >"$dir/out"
	receiver=$job
	poll 20 test -s "$dir/port" || { skip_part "no receiver"; return; }
	agent_start LINNIX_STORE_PATH="$tmp/told.db" LINNIX_RULES_DIR="$dir/rules" LINNIX_WEBHOOK_ENABLED=true LINNIX_WEBHOOK_RATE=0 LINNIX_WEBHOOK_GROUP=0s \
		LINNIX_WEBHOOK_URL="http://127.0.0.1:$(cat "$dir/port")/" || { skip_part "no agent"; return; }
	poll 20 test -s "$tmp/told.db"
	settled=
	poll 20 is_settled
	: >"$dir/go"
	poll 120 is_gone "$receiver"
	read -r s50 s99 d50 d99 got <"$dir/out"
	[ -n "${got:-}" ] || { skip_part "$(tail -1 "$tmp/agent.log")"; stop "$agent"; return; }
	put alert_to_stored_p50 "$s50" ms note="$got incidents with their evidence, read back from the file by another process"
	put alert_to_stored_p99 "$s99" ms
	put alert_to_webhook_p50 "$d50" ms note="rate and group 0; the receiver is Python"
	put alert_to_webhook_p99 "$d99" ms
	stop "$agent"
}

has_history() { curl -fs -m 5 -D "$tmp/heads" "$url/incidents?limit=1" >"$tmp/first" && ! grep -qi '^X-Linnix-Degraded' "$tmp/heads"; }

start_with() # FILE: sets $took_ms, the time until /incidents answers out of it
{
	local begun
	took_ms=
	port=$(free_port)
	url=http://127.0.0.1:$port
	: >"$tmp/linnix.yaml"
	begun=$(now_ms)
	begin env -u LINNIX_URL LINNIX_HTTP_LISTEN="127.0.0.1:$port" LINNIX_HTTP_SOCKET="$tmp/sock" LINNIX_PLUGINS_STATE_FILE= LINNIX_STORE_MAX_SIZE=16GiB \
		LINNIX_STORE_PATH="$1" "$build/bin/linnixd" --config "$tmp/linnix.yaml" 2>>"$tmp/agent.log"
	agent=$job
	poll 60 has_history && took_ms=$(($(now_ms) - begun))
}

part_start()
{
	local n empty full kept
	n=$(pick 10000 100000)
	"$tools/bench_store" fill "$tmp/full.db" "$n" || { skip_part "no history"; return; }
	start_with "$tmp/empty.db"
	empty=$took_ms
	stop "$agent"
	start_with "$tmp/full.db"
	full=$took_ms
	kept=$(curl -fs -m 20 "$url/incidents?limit=1&offset=$((n - 1))" | jq length)
	stop "$agent"
	[ "$kept" = 1 ] || { skip_part "the file lost incidents: $(tail -3 "$tmp/agent.log")"; return; }
	put start_with_incidents "$full" ms peer="an empty file" peer_value="$empty" note="$n incidents of 1,000 bytes kept; until /incidents answers out of the file"
}

part_history()
{
	part_told
	mkdir -p "$tmp/inserts"
	"$tools/bench_store" insert "$tmp/inserts" "$(pick 10000 30000)" >>"$figures" || skip_part "bench_store failed"
	part_start
}

# ---- all of it

table()
{
	jq -r 'def n: if . == null then "-" elif . == 0 then "0" elif (. | fabs) >= 1000 then (. | round | tostring)
			elif (. | fabs) >= 10 then (. * 10 | round / 10 | tostring) else (. * 1000 | round / 1000 | tostring) end;
		.figures[] | if .skipped then [.name, "skipped: " + .skipped, "", "", "", "", ""] else
		[.name, (.value | n), .unit, (if .peer then .peer + (if .peer_value then " " + (.peer_value | n) else "" end) else "" end),
		(if has("ratio") then (.ratio | n) + (if .spread then " +-" + (.spread | n) else "" end) else "" end),
		(.target // ""), (if .ok == null then "" elif .ok then "ok" else "MISSED" end) + (if .unsure then " unsure" else "" end) + (if .noisy then " noisy" else "" end)] end | @tsv' "$build/bench.json" |
		column -t -s $'\t' -N figure,value,unit,peer,ratio,target,'' 2>/dev/null
	jq -r '.figures[] | select(.note) | "  \(.name): \(.note)"' "$build/bench.json"
}

if [ "$(id -u)" -ne 0 ]; then
	note "bench: needs root"
	exit 77
fi
cpus=$(nproc)
[ "$cpus" -lt 2 ] && note "bench: one CPU: loads and agent share it"
: >"$figures"
${CC:-gcc} -O2 -static -nostdlib -o "$tmp/nop" tests/bench/nop/nop.c || exit 1
started=$(now_ms)
for part in ${BENCH_PARTS:-idle programs spawn exec api blame sse latency storm churn ledger redis history}; do
	note "bench: $part"
	"part_$part"
done
jq -s --arg cpu "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" --arg kernel "$(uname -r)" --argjson cpus "$cpus" \
	--arg load "$(cut -d ' ' -f 1-3 /proc/loadavg)" --arg quick "$quick" --argjson took_s $((($(now_ms) - started) / 1000)) \
	'{machine: {cpu: $cpu, cpus: $cpus, kernel: $kernel, load: $load}, quick: ($quick != ""), took_s: $took_s, figures: .}' \
	"$figures" >"$build/bench.json"
jq -r '"\(.machine.cpus) x \(.machine.cpu), Linux \(.machine.kernel), load \(.machine.load); \(.took_s) s" + (if .quick then ", quick" else "" end)' "$build/bench.json"
table
echo "written to ${build#"$PWD"/}/bench.json; missed: $(jq '[.figures[] | select(.ok == false)] | length' "$build/bench.json"), skipped: $(jq '[.figures[] | select(.skipped)] | length' "$build/bench.json")"
