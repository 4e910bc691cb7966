#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Blame of the real agent for real contention, against what the kernel says of the same cgroups: the victim's cpu.pressure
# and the CPU time that the culprit used. Other load on the machine changes neither comparison.
# TIMEOUT: 300

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"

# shellcheck source=tests/func/lib_cgroups.sh
. "$(dirname "$0")/lib_cgroups.sh"

# busy GROUP SECONDS [PROCESSES]: spin on the last CPU, in that group, once all are there (go); all to the same end, by the clock.
busy()
{
	local g=$1 n=${3:-1} i
	[ -p "$tmp/go" ] || mkfifo "$tmp/go"
	for ((i = 0; i < n; i++)); do
		(
			echo "$BASHPID" >"$v2/$g/cgroup.procs"
			[ -z "$cpu_root" ] || echo "$BASHPID" >"$cpu_root/$g/cgroup.procs"
			# shellcheck disable=SC2016 # for the inner shell
			exec taskset -c "$(($(getconf _NPROCESSORS_ONLN) - 1))" bash -c '
				: >"$2/ready.$$"
				read -r _ <"$2/go"
				read -r begin <"$2/begin"
				end=$((begin + $1 * 1000000))
				while [ "${EPOCHREALTIME/./}" -lt "$end" ]; do :; done' busy "$2" "$tmp"
		) &
		spinners+=($!)
	done
}

go()
{
	local fd
	all_ready() { [ "$(find "$tmp" -name 'ready.*' | wc -l)" -eq "${#spinners[@]}" ]; }
	poll 10 all_ready || fail "the busy processes do not start"
	exec {fd}<>"$tmp/go"
	echo "${EPOCHREALTIME/./}" >"$tmp/begin"
	# At once: nobody runs alone for long.
	printf '\n%.0s' "${spinners[@]}" >&"$fd"
	wait "${spinners[@]}"
	exec {fd}<&-
}

psi_ms() { awk '/^some/ { sub("total=", "", $5); printf "%.3f\n", $5 / 1000 }' "$v2/$1/cpu.pressure"; }
used_ms() { awk '/^usage_usec/ { printf "%.3f\n", $2 / 1000 }' "$v2/$1/cpu.stat"; }

# ask GROUP: what the agent says of it, into $tmp/blame.
ask()
{
	get "/blame?since=60s&resource=cpu&victim=$(stat -c %i "$v2/$1")" >"$tmp/blame" || fail "/blame"
	[ "$(jq '.victims | length' "$tmp/blame")" -eq 1 ] || return 1
}

field() { jq -r ".victims[0].$1" "$tmp/blame"; }
# part FILTER: sum of such parts in ms
part() { jq -r "[.victims[0].parts[] | select($1) | .stall_ms] | add // 0" "$tmp/blame"; }

# The kernel counts as used what the hypervisor and interrupts took meanwhile: they are parts of their own here.
slack_ms() { awk -v t="$(part '.kind == "steal" or .kind == "irq"')" 'BEGIN { print 30 + t }'; }

# near WHAT GOT WANT PERCENT SLACK
near()
{
	echo "$1: $2, wanted $3"
	awk -v g="$2" -v w="$3" -v p="$4" -v s="$5" 'BEGIN { d = g - w; if (d < 0) d = -d; t = w * p / 100; if (t < s) t = s; exit !(d <= t) }' ||
		fail "$1 is $2, not $3 within $4 %: $(cat "$tmp/blame")"
}

# Everything that ran is in a closed window of the agent: its figure is the kernel's.
settle()
{
	go
	psi=$(psi_ms "$1")
	settled()
	{
		ask "$1" && awk -v g="$(field stalled_ms)" -v w="$psi" \
			'BEGIN { d = g - w; if (d < 0) d = -d; exit !(d <= w * 0.01) }'
	}
	within $((5 * patience)) settled "$1" || true
	ask "$1" || fail "the victim is not there: $(cat "$tmp/blame")"
}

check_sum() { near "sum of the parts" "$(jq '[.victims[0].parts[].stall_ms] | add' "$tmp/blame")" "$(field stalled_ms)" 0.0001 0.000001; }

bully_is_blamed_for_what_it_ran()
{
	local victim bully spinners=() psi
	exact_agent
	group victim
	group bully
	busy "$victim" 4
	busy "$bully" 4
	# What is told of the last seconds only, meanwhile.
	contributes()
	{
		get '/processes?sort=psi_contribution&limit=1' | jq -e '.[0].psi_contribution > 0' >/dev/null &&
			get '/workloads?limit=1000' | jq -e --arg g "/$bully" 'any(.[]; .cgroup == $g and .caused_ms > 100 and .psi_contribution > 0)' >/dev/null
	}
	poll 15 contributes &
	contributed=$!
	settle "$victim"
	wait "$contributed" || fail "psi_contribution: $(get '/processes?sort=psi_contribution&limit=1') $(get '/workloads?limit=10')"
	near "stalled_ms" "$(field stalled_ms)" "$psi" 5 20
	check_sum
	near "bully's part" "$(part ".culprit.cgroup_id == $(stat -c %i "$v2/$bully")")" "$(used_ms "$bully")" 5 "$(slack_ms)"
	awk -v c="$(field coverage_ratio)" 'BEGIN { exit !(c >= 0.9) }' || fail "coverage $(field coverage_ratio)"
	[ "$(field method)" = exact ] || fail "method $(field method)"
	jq -e --arg g "/$bully" '.victims[0].parts[] | select(.culprit.cgroup == $g) | .processes[0].comm == "bash"' "$tmp/blame" >/dev/null ||
		fail "no process is named: $(cat "$tmp/blame")"
	"$linnix" blame --since 60s --resource cpu --victim "/$victim" >"$tmp/table" || fail "linnix blame"
	grep -q "$victim" "$tmp/table" || fail "$(cat "$tmp/table")"
	grep -q "$bully: bash" "$tmp/table" || fail "$(cat "$tmp/table")"
	"$linnix" blame --watch --count 2 --since 60s --resource cpu --victim "/$victim" --json >"$tmp/watch.json" &
	"$linnix" blame --watch --count 2 --since 60s --resource cpu --victim "/$victim" >"$tmp/watch" || fail "blame --watch"
	wait "$!" || fail "blame --watch --json"
	[ "$(grep -c '^VICTIM' "$tmp/watch")" -eq 2 ] || fail "--watch: $(cat "$tmp/watch")"
	jq -es 'length == 2 and all(.[]; .victims[0].parts | length > 0) and .[0].to != .[1].to' "$tmp/watch.json" >/dev/null ||
		fail "--watch --json: $(cat "$tmp/watch.json")"
}

quota_is_nobody_elses_fault()
{
	local capped idler spinners=() psi limit
	exact_agent
	group capped
	group idler
	if [ -n "$cpu_root" ]; then
		echo 100000 >"$cpu_root/$capped/cpu.cfs_period_us" || skip "no quotas"
		echo 10000 >"$cpu_root/$capped/cpu.cfs_quota_us" || skip "no quotas"
		limit='cpu.cfs_quota_us 10000 100000'
	else
		echo '10000 100000' >"$v2/$capped/cpu.max" 2>/dev/null || skip "no cpu controller"
		limit='cpu.max 10000 100000'
	fi
	busy "$capped" 4
	settle "$capped"
	check_sum
	near "stalled_ms" "$(field stalled_ms)" "$psi" 5 20
	jq -e --arg l "$limit" --arg o "/$capped" '.victims[0].parts[] | select(.kind == "throttled") | .limit == $l and .owner == $o' "$tmp/blame" >/dev/null ||
		fail "the quota is not named: $(cat "$tmp/blame")"
	# While it is throttled nobody is blamed, however busy the machine is. Before that others on its CPU may hold it up.
	awk -v t="$(part '.kind == "throttled"')" -v s="$(field stalled_ms)" 'BEGIN { exit !(t >= 0.5 * s) }' ||
		fail "throttled is only $(part '.kind == "throttled"') of $(field stalled_ms) ms"
	[ "$(part ".culprit.cgroup == \"/$idler\"")" = 0 ] || fail "an idle neighbour is blamed"
}

own_processes_are_self()
{
	local victim spinners=() psi
	exact_agent
	group victim
	busy "$victim" 3 4
	settle "$victim"
	check_sum
	near "stalled_ms" "$(field stalled_ms)" "$psi" 5 20
	near "self" "$(part '.kind == "self"')" "$(used_ms "$victim")" 5 "$(slack_ms)"
}

# Two containers of one pod wait at the same time: the pod's stall is what the kernel says of the pod, not their sum.
pod_is_a_union_of_its_containers()
{
	local top uid pod a b bully spinners=() from sum=0
	exact_agent
	uid=11111111-2222-3333-4444-$(printf '%012d' $$)
	group top
	pod=$top/kubepods/burstable/pod$uid
	a=$pod/$(printf '%064d' 1) b=$pod/$(printf '%064d' 2)
	below "$top/kubepods" "$top/kubepods/burstable" "$pod" "$a" "$b"
	group bully
	# A first second, in which the agent learns that there are two.
	busy "$a" 1
	busy "$b" 1
	go
	poll 5 ask "$b" || fail "not seen: $(cat "$tmp/blame")"
	from=$(date +%s.%N)
	spinners=()
	rm -f "$tmp"/ready.*
	busy "$a" 3
	busy "$b" 3
	busy "$bully" 3
	contributes()
	{
		get '/workloads?by=pod' | jq -e --arg g "/$pod" --argjson id "$(stat -c %i "$v2/$pod")" \
			'any(.[]; .cgroup == $g and .cgroup_id == $id and .stalled_ms > 500 and .caused_ms > 100 and .psi.cpu_some_pct >= 0)' >/dev/null
	}
	poll 15 contributes &
	contributed=$!
	go
	pod_told()
	{
		get "/blame?from=${from:0:14}&resource=cpu&by=pod&victim=/$pod" >"$tmp/blame" && [ "$(jq '.victims | length' "$tmp/blame")" -eq 1 ] &&
			awk -v s="$(field stalled_ms)" 'BEGIN { exit !(s > 2700) }'
	}
	poll 5 pod_told || fail "one of the three always waits: $(cat "$tmp/blame")"
	# psi_ms is the difference of two reads of the pod's own file, at the windows' ends.
	near "the pod's stalled_ms" "$(field stalled_ms)" "$(field psi_ms)" 5 20
	check_sum
	[ "$(field victim.cgroup)" = "/$pod" ] || fail "its cgroup: $(field victim)"
	[ "$(part '.kind == "sibling"')" = 0 ] || fail "siblings are self when asked by pod"
	[ "$(part '.kind == "self"')" != 0 ] || fail "nothing by itself: $(cat "$tmp/blame")"
	jq -e '.victims[0].notes | index("sum-of-cgroups") | not' "$tmp/blame" >/dev/null || fail "it is a sum: $(cat "$tmp/blame")"
	wait "$contributed" || fail "/workloads?by=pod: $(get '/workloads?by=pod')"
	pod=$(field stalled_ms)
	for g in "$a" "$b"; do
		get "/blame?from=${from:0:14}&resource=cpu&victim=$(stat -c %i "$v2/$g")" >"$tmp/blame" || fail "/blame"
		[ "$(part '.kind == "sibling"')" != 0 ] || fail "no sibling by container: $(cat "$tmp/blame")"
		sum=$(awk -v a="$sum" -v b="$(field stalled_ms)" 'BEGIN { print a + b }')
	done
	awk -v s="$sum" -v p="$pod" 'BEGIN { exit !(s > 1.2 * p) }' || fail "containers $sum ms, the pod $pod ms"
	get "/blame?from=${from:0:14}&resource=cpu&by=workload&victim=/${a%/*}" | jq -e '.victims | length == 1' >/dev/null || fail "by workload"
}

selftest_passes_as_root()
{
	# Asked as soon as the agent answers: its ledger counts a second later, and the tier is that one.
	find_roots
	start_agent
	passes_selftest "$linnix" selftest || fail "$(cat "$tmp/selftest")"
	cat "$tmp/selftest"
	grep -q '^ok .*tier .*exact' "$tmp/selftest" || fail "the tier is not told"
	passes_selftest "$linnix" selftest --json || fail "$(cat "$tmp/selftest")"
	tail -1 "$tmp/selftest" | jq -e '.ok and .tier == "exact" and (.checks | length >= 5)' >/dev/null || fail "--json: $(cat "$tmp/selftest")"
	[ -z "$(find "$v2" -maxdepth 1 -name 'linnix-selftest-*')" ] || fail "cgroups are left behind"
}

# An agent whose start took long is not young any more when its ledger has not counted yet. Its blame is a lie: the victim's
# figure is the kernel's own, and somebody else is the culprit.
selftest_waits_for_an_attached_ledger_and_believes_no_lie()
{
	find_roots
	need python3
	port=$(free_port)
	python3 - "$port" "$v2" <<-'END' &
		import glob, http.server, json, re, sys
		class Agent(http.server.BaseHTTPRequestHandler):
		    asked = 0
		    def blame(self):
		        lost = glob.glob(sys.argv[2] + "/linnix-selftest-*-victim/cpu.pressure")
		        ms = int(re.search(r"total=(\d+)", open(lost[0]).read()).group(1)) / 1000
		        return {"victims": [{"victim": {"cgroup_id": int(self.path.rpartition("victim=")[2])}, "resource": "cpu", "method": "exact",
		            "stalled_ms": ms, "coverage_ratio": 1.0, "parts": [{"kind": "neighbour", "culprit": {"cgroup_id": 1}, "stall_ms": ms}]}]}
		    def do_GET(self):
		        is_status = self.path.startswith("/status")
		        Agent.asked += is_status
		        body = json.dumps({"uptime_ms": 60000, "probes": [{"name": "sched", "state": "attached"}],
		            "tiers": {"cpu": "exact" if Agent.asked > 3 else "psi-only"}} if is_status else
		            self.blame() if self.path.startswith("/blame") else {}).encode()
		        self.send_response(200)
		        self.send_header("Content-Length", str(len(body)))
		        self.end_headers()
		        self.wfile.write(body)
		    def log_message(self, *args): pass
		http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Agent).serve_forever()
	END
	poll 10 curl -s -o /dev/null "http://127.0.0.1:$port/" || fail "no answer"
	"$linnix" --url "http://127.0.0.1:$port" selftest >"$tmp/out" 2>"$tmp/err"
	[ $? -eq 1 ] || fail "a lie passes: $(cat "$tmp/out" "$tmp/err")"
	grep -q '^ok .*tier .*exact' "$tmp/out" || fail "$(cat "$tmp/out" "$tmp/err")"
	for check in 'ok   stall' 'ok   parts' 'FAIL culprit' 'ok   coverage'; do
		grep -q "^$check " "$tmp/out" || fail "no '$check': $(cat "$tmp/out" "$tmp/err")"
	done
}

selftest_needs_a_right_and_an_agent()
{
	find_roots
	need setpriv
	LINNIX_URL=http://127.0.0.1:1 "$linnix" selftest 2>"$tmp/err"
	[ $? -eq 3 ] || fail "no agent: $(cat "$tmp/err")"
	start_agent
	cp "$linnix" "$tmp/linnix"
	setpriv --reuid nobody --clear-groups --bounding-set -all "$tmp/linnix" --url "$url" selftest >"$tmp/out" 2>"$tmp/err"
	[ $? -eq 1 ] || fail "$(cat "$tmp/out" "$tmp/err")"
	grep -q 'right to make cgroups' "$tmp/err" || fail "$(cat "$tmp/err")"
}

selftest_passes_for_an_agent_with_two_capabilities()
{
	find_roots
	need setpriv
	mkdir -p "$tmp/tree"/{build/bin,etc,scripts} "$tmp/run"
	cp "$linnixd" "$tmp/tree/build/bin"
	cp -r "$build/plugins" "$build/bpf" "$tmp/tree/build"
	cp -r scripts/rules "$tmp/tree/scripts"
	cp etc/linnix.yaml "$tmp/tree/etc"
	chmod -R go+rX,go-w "$tmp/tree"
	chown nobody "$tmp/run"
	prepare
	export LINNIX_HTTP_SOCKET=$tmp/run/linnix.sock LINNIX_PLUGINS_STATE_FILE=$tmp/run/state
	linnixd=$tmp/tree/build/bin/linnixd
	# shellcheck disable=SC2054 # setpriv wants commas
	launcher=(setpriv --reuid nobody --regid "$(id -gn nobody)" --clear-groups --bounding-set -all,+bpf,+perfmon
		--inh-caps -all,+bpf,+perfmon --ambient-caps -all,+bpf,+perfmon --no-new-privs)
	agent_args=(--config "$tmp/tree/etc/linnix.yaml")
	start_agent
	poll 20 is_exact || fail "not exact: $(get /status | jq -c .probes)"
	passes_selftest "$linnix" selftest || fail "$(cat "$tmp/selftest")"
	cat "$tmp/selftest"
}

without_the_ledger_nobody_is_blamed()
{
	local victim bully spinners=() psi
	find_roots
	trap 'finish; remove_groups' EXIT
	export LINNIX_STALL_MODE=psi-only
	start_agent
	group victim
	group bully
	busy "$victim" 3
	busy "$bully" 3
	settle "$victim"
	[ "$(field method)" = psi-only ] || fail "method $(field method)"
	jq -e '.victims[0].parts | length == 1 and .[0].kind == "other" and (.[0] | has("culprit") | not)' "$tmp/blame" >/dev/null ||
		fail "somebody is blamed: $(cat "$tmp/blame")"
	near "stalled_ms" "$(field stalled_ms)" "$psi" 10 50
	get "/processes?limit=1" | jq -e '.[0].psi_contribution == null' >/dev/null || fail "psi_contribution is not null"
	curl -sS -D - -o /dev/null "$url/blame" | grep -qi '^x-linnix-degraded:.*psi-only' || fail "the header does not say so"
}

bad_questions_are_refused_by_name()
{
	local q
	need jq
	start_agent
	for q in since=x since=0s since=-1s by=planet resource=disk from=yesterday to=12:00 foo=1 limit=0 limit=x victim= culprit=; do
		[ "$(status_of "/blame?$q")" = 400 ] || fail "$q is not refused"
		curl -sS "$url/blame?$q" | jq -r .error.message | grep -qw "${q%%=*}" || fail "$q is not named"
	done
	for q in since=10s since=500ms since=1h by=pod by=workload by=process by=container resource=io from=1 "to=2030-01-01T00:00:00Z" victim=_node; do
		[ "$(status_of "/blame?$q")" = 200 ] || fail "$q is refused"
	done
}

run bully_is_blamed_for_what_it_ran quota_is_nobody_elses_fault own_processes_are_self pod_is_a_union_of_its_containers selftest_passes_as_root \
	selftest_waits_for_an_attached_ledger_and_believes_no_lie selftest_needs_a_right_and_an_agent selftest_passes_for_an_agent_with_two_capabilities \
	without_the_ledger_nobody_is_blamed bad_questions_are_refused_by_name
