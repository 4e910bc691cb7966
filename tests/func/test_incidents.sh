#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# From real contention to one incident: stored, explained, closed, and found again after kill -9, a full disk and a damaged
# file. Other load on the machine may make incidents of its own: only those about the groups made here are looked at.
# TIMEOUT: 400

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/func/lib_cgroups.sh
. "$(dirname "$0")/lib_cgroups.sh"
# shellcheck source=tests/func/lib_kills.sh
. "$(dirname "$0")/lib_kills.sh"
spinners=()
hog='' one='' two='' storm='' # set by group

end_all()
{
	[ "${#spinners[@]}" -eq 0 ] || kill -9 "${spinners[@]}" 2>/dev/null
	finish
	remove_groups
}

# What comes now makes load, which ends with the test.
loaded()
{
	find_roots
	trap end_all EXIT
	export LINNIX_INCIDENT_QUIET=4s
}

# in_group GROUP COMMAND...: on the last CPU
in_group()
{
	local g=$1
	shift
	(
		enter "$g" || exit 1
		exec taskset -c "$(($(getconf _NPROCESSORS_ONLN) - 1))" "$@"
	) >/dev/null 2>&1 &
	spinners+=($!)
}

# ours NAME: incidents whose culprit is that group
ours() { get /incidents | jq -c --arg g "$1" '[.[] | select(.culprit.workload == $g)]'; }
is_open() { [ "$(ours "$1" | jq '[.[] | select(.state == "open")] | length')" -ge 1 ]; }
is_closed() { [ "$(ours "$1" | jq '[.[] | select(.state == "closed")] | length')" -ge 1 ]; }
# Every number of the explanation is in the evidence, as a number of its own.
numbers_are_evidence()
{
	jq -r '.explanation | .text' "$1" | sed 's/\[E[0-9]*\]//g' | grep -oE '[0-9]+(\.[0-9]+)?' | sort -u >"$tmp/said"
	jq -r '.evidence' "$1" | grep -oE '[0-9]+(\.[0-9]+)?' | sort -u >"$tmp/known"
	[ -s "$tmp/said" ] || fail "the explanation has no number: $(jq -c .explanation "$1")"
	comm -23 "$tmp/said" "$tmp/known" >"$tmp/invented"
	[ ! -s "$tmp/invented" ] || fail "not in the evidence: $(tr '\n' ' ' <"$tmp/invented"): $(cat "$1")"
	jq -r '.explanation.text' "$1" | grep -oE '\[E[0-9]+\]' | tr -d '[]' | sort -u >"$tmp/cited"
	jq -r '.evidence[].id' "$1" | sort -u >"$tmp/ids"
	[ -z "$(comm -23 "$tmp/cited" "$tmp/ids")" ] || fail "cites what is not there"
}

# Each item of evidence has a question, and the agent answers it with something.
queries_answer()
{
	local query
	jq -r '.evidence[] | .query | sub("^GET "; "")' "$1" >"$tmp/queries"
	[ "$(wc -l <"$tmp/queries")" -eq "$(jq '.evidence | length' "$1")" ] || fail "questions: $(cat "$tmp/queries")"
	while read -r query; do
		case $query in /*) ;; *) fail "'$query' is no question" ;; esac
		get "$query" >"$tmp/answer" || fail "$query is refused"
		jq -e 'length > 0 and (.victims? // [1] | length > 0)' "$tmp/answer" >/dev/null 2>&1 ||
			jq -e 'type == "array" and length > 0' "$tmp/answer" >/dev/null || fail "$query answers $(cat "$tmp/answer")"
	done <"$tmp/queries"
}

a_hog_beside_two_victims_is_one_incident()
{
	local id g
	loaded
	start_agent
	need_exact
	group hog
	group one
	group two
	# The hog has the larger share: what a victim loses to the other is little beside it.
	set_weight "$hog" "$large" 2>/dev/null || skip "no cpu controller"
	for g in "$one" "$two" "$hog" "$hog"; do in_group "$g" bash -c 'while :; do :; done'; done
	poll 30 is_open "$hog" || fail "no incident: $(get /incidents)"
	two_victims() { [ "$(ours "$hog" | jq '.[0].n_victims')" -ge 2 ]; }
	poll 20 two_victims || fail "the second victim is missing: $(ours "$hog")"
	[ "$(ours "$hog" | jq length)" -eq 1 ] || fail "more than one: $(ours "$hog")"
	id=$(ours "$hog" | jq -r '.[0].id')
	get "/incidents/$id" >"$tmp/inc"
	numbers_are_evidence "$tmp/inc"
	queries_answer "$tmp/inc"
	jq -r .explanation.summary "$tmp/inc" | grep -q "$hog.*bash, pid" || fail "the culprit is not named"
	"$linnix" incidents >"$tmp/list" || fail "linnix incidents"
	grep -q "$id.*open.*$hog" "$tmp/list" || fail "$(cat "$tmp/list")"
	"$linnix" incidents explain "$id" >"$tmp/explain" || fail "explain"
	grep -q 'Ruled out' "$tmp/explain" || fail "$(cat "$tmp/explain")"
	"$linnix" incidents show "${id: -8}" | grep -q '^  E1 ' || fail "show by the end of an id"
	"$linnix" incidents --fail-on warning >/dev/null
	[ $? -eq 4 ] || fail "--fail-on does not tell"
	# On a terminal of 80 columns, which "script" makes, a pager shows it; in a file nothing does.
	need script
	PAGER="sed s/^/paged:/" script -qec "stty cols 80; '$linnix' incidents show $id" /dev/null </dev/null >"$tmp/shown" || fail "$(cat "$tmp/shown")"
	grep -q '^paged: *E1 ' "$tmp/shown" || fail "no pager: $(cat "$tmp/shown")"
	PAGER="sed s/^/paged:/" "$linnix" incidents show "$id" >"$tmp/shown"
	grep -q '^  E1 ' "$tmp/shown" || fail "a file is paged: $(cat "$tmp/shown")"
	kill -9 "${spinners[@]}"
	spinners=()
	poll 40 is_closed "$hog" || fail "it does not close: $(ours "$hog")"
	[ "$(ours "$hog" | jq length)" -eq 1 ] || fail "more than one: $(ours "$hog")"
	stop_agent TERM
	LINNIX_STORE_PATH=$tmp/linnix.db "$linnix" incidents verify --json | jq -e '.ok and .entries >= 2' >/dev/null ||
		fail "verify"
	# Blame of before: the next run has it from the file.
	start_agent
	older() { get "/blame?since=5m&resource=cpu&victim=/$one" >"$tmp/blame" && jq -e '.victims | length == 1' "$tmp/blame" >/dev/null; }
	poll 20 older || fail "/blame does not reach back: $(cat "$tmp/blame")"
	jq -e --arg g "$hog" '.victims[0] | (([.parts[].stall_ms] | add) - .stalled_ms | fabs) < 0.001 and .stalled_ms > 500 and
		(.notes | index("from-history-of-the-largest-pairs")) != null and any(.parts[]; .culprit.workload == $g)' "$tmp/blame" >/dev/null ||
		fail "blame of before: $(cat "$tmp/blame")"
}

a_fork_storm_is_one_incident_without_a_network()
{
	local id
	loaded
	need stress-ng
	need unshare
	launcher=(unshare -n)
	prepare
	# No address is up in there: the unix socket is the API.
	export LINNIX_HTTP_LISTEN=off
	spawn_agent
	get() { curl -fsS -m $((20 * patience)) --unix-socket "$socket" "http://localhost$1"; }
	up() { is_alive "$agent" && get /healthz >/dev/null; }
	poll 30 up || fail "$(cat "$log")"
	group storm
	in_group "$storm" stress-ng --fork 4 -t 600 -q
	poll 30 is_open "$storm" || fail "no incident: $(get /incidents)"
	id=$(ours "$storm" | jq -r '.[0].id')
	get "/incidents/$id" >"$tmp/inc"
	numbers_are_evidence "$tmp/inc"
	jq -r '.evidence[] | select(.topic == "tree") | .text' "$tmp/inc" | grep -q stress-ng || fail "the tree is not named: $(cat "$tmp/inc")"
	kill -9 "${spinners[@]}"
	pkill_group() { local p; while read -r p; do kill -9 "$p" 2>/dev/null; done <"$v2/$storm/cgroup.procs"; [ ! -s "$v2/$storm/cgroup.procs" ]; }
	poll 10 pkill_group || fail "the storm does not end"
	spinners=()
	poll 60 is_closed "$storm" || fail "it does not close: $(ours "$storm")"
	[ "$(ours "$storm" | jq length)" -eq 1 ] || fail "more than one: $(ours "$storm")"
}

nothing_is_called_but_what_listens()
{
	need_root
	need strace
	prepare
	# shellcheck disable=SC2054 # strace wants commas
	launcher=(strace -f -qq -e trace=connect,sendto,sendmsg,listen -o "$tmp/trace")
	start_agent
	get /incidents >/dev/null || fail "/incidents"
	get /metrics >/dev/null || fail "/metrics"
	kill -TERM "$(pgrep -P "$agent")"
	poll 20 is_gone "$agent" || fail "it does not end"
	# Answers to its own clients are what sendto and sendmsg are for.
	grep -q 'listen(' "$tmp/trace" || fail "nothing was traced"
	! grep -E 'connect\(' "$tmp/trace" || fail "it connects: $(cat "$tmp/trace")"
	! grep -E 'send(to|msg)\(.*sin6?_addr|send(to|msg)\(.*nl_family' "$tmp/trace" || fail "it sends: $(cat "$tmp/trace")"
}

silences_and_feedback_need_the_right()
{
	need_root
	need setpriv
	local id
	start_agent
	unset LINNIX_URL
	export LINNIX_HTTP_SOCKET=$socket
	"$linnix" --url "$url" silence add --match rule=x --for 2h 2>"$tmp/err"
	[ $? -eq 1 ] || fail "TCP without a token may silence"
	curl -fsS --unix-socket "$socket" -H 'Content-Type: application/json' -d '{"match":"rule=noisy-*","for":"2h","by":"me"}' \
		http://localhost/silences >"$tmp/silence" || fail "POST /silences"
	id=$(jq -r .id "$tmp/silence")
	get /silences | jq -e '.[0].match == "rule=noisy-*" and .[0].by == "me"' >/dev/null || fail "$(get /silences)"
	"$linnix" --url "$url" silence | grep -q 'noisy-\*' || fail "linnix silence"
	for body in '{}' '[]' '{"match":"x","for":"2h"}' '{"match":"rule=x"}' '{"match":"rule=x","for":"2y"}' '{"match":"rule=x","for":"2h","z":1}' nonsense; do
		[ "$(curl -sS -o /dev/null -w '%{http_code}' --unix-socket "$socket" -H 'Content-Type: application/json' -d "$body" http://localhost/silences)" = 400 ] ||
			fail "$body is taken"
	done
	stop_agent TERM
	port=$(free_port)
	export LINNIX_HTTP_LISTEN=127.0.0.1:$port
	url=http://127.0.0.1:$port
	start_agent
	kept() { get /silences | jq -e --arg id "$id" '.[0].id == $id' >/dev/null; }
	poll 10 kept || fail "it is gone after a restart: $(get /silences)"
	curl -fsS --unix-socket "$socket" -H 'Content-Type: application/json' -d '{}' "http://localhost/silences/$id/end" >/dev/null || fail "end"
	[ "$(get /silences)" = '[]' ] || fail "$(get /silences)"
	stop_agent TERM
	sqlite_log=$("$linnix" incidents verify --db "$tmp/linnix.db" --json)
	jq -e '.ok and .entries == 2' <<<"$sqlite_log" >/dev/null || fail "not audited: $sqlite_log"
	[ "$(status_of /incidents 2>/dev/null)" != 200 ] || fail "it still runs"
}

killed_ten_times_while_writing() { killed_while_writing 10; }

a_full_disk_leaves_memory_going()
{
	need_root
	mkdir "$tmp/disk"
	mount -t tmpfs -o size=600k tmpfs "$tmp/disk" || skip "no right to mount"
	trap 'finish_disk' EXIT
	finish_disk()
	{
		[ -z "${agent:-}" ] || kill -9 "$agent" 2>/dev/null
		wait 2>/dev/null
		umount "$tmp/disk"
		finish
	}
	prepare
	export LINNIX_STORE_PATH=$tmp/disk/linnix.db
	start_agent
	writable() { get /metrics | grep -q "^linnix_store_writable $1"; }
	poll 20 writable 1 || fail "$(cat "$log")"
	dd if=/dev/zero of="$tmp/disk/fill" bs=4k 2>/dev/null
	add()
	{
		curl -fsS --unix-socket "$socket" -H 'Content-Type: application/json' -d "{\"match\":\"rule=$1\",\"for\":\"2h\",\"comment\":\"$(printf %0200d 0)\"}" http://localhost/silences >/dev/null
	}
	add a || fail "it takes nothing any more"
	for i in {1..60}; do add "b$i" || fail "it takes nothing any more"; done
	poll 20 writable 0 || fail "no metric says so: $(get /metrics | grep store)"
	get /readyz | jq -e '.ready and any(.degraded[]; test("store"))' >/dev/null || fail "$(get /readyz)"
	get /silences | jq -e 'length == 61' >/dev/null || fail "memory does not go on"
	rm "$tmp/disk/fill"
	poll 40 writable 1 || fail "it does not recover: $(tail -3 "$log")"
	stop_agent TERM
	start_agent
	back() { get /silences | jq -e 'length == 61' >/dev/null; }
	poll 20 back || fail "lost: $(get /silences | jq length)"
}

a_damaged_file_is_set_aside()
{
	start_agent
	stop_agent TERM
	printf 'not a database, whatever its name' >"$tmp/linnix.db"
	start_agent
	aside() { [ -e "$tmp/linnix.db.damaged-1" ] && get /metrics | grep -q '^linnix_store_writable 1'; }
	poll 20 aside || fail "$(cat "$log")"
	[ "$(status_of /incidents)" = 200 ] || fail "/incidents"
	for q in state=x severity=x since=x limit=0 foo=1; do
		[ "$(status_of "/incidents?$q")" = 400 ] || fail "$q is not refused"
	done
	[ "$(status_of /incidents/nobody)" = 404 ] || fail "an unknown id"
	get /incidents/stats | jq -e '.incidents == 0' >/dev/null || fail "stats"
	"$linnix" incidents show xyz 2>/dev/null
	[ $? -eq 2 ] || fail "a bad id"
}

# What is only in memory is asked for in the same words.
without_a_history_file_filters_count_too()
{
	need_root
	need jq
	mkdir "$tmp/rules"
	echo 'rule "tick" { every = "1s", when = function() return true end }
		rule "alarm" { every = "1s", when = function() return true end, severity = "critical" }' >"$tmp/rules/r.lua"
	LINNIX_RULES_DIR=$tmp/rules LINNIX_STORE_ENABLED=false LINNIX_STALL_ENABLED=false start_agent
	get /metrics | grep -qF 'linnix_incidents_total{rule="",severity="critical"} 0' || fail "absent before the first: $(get /metrics | grep incidents_total)"
	has() { [ "$(get "/incidents?$1" | jq length)" = "$2" ]; }
	poll 10 has '' 2 || fail "$(get /incidents)"
	has severity=critical 1 || fail "severity: $(get '/incidents?severity=critical')"
	get '/incidents?severity=critical' | jq -e '.[0].rule == "alarm"' >/dev/null || fail "another one"
	has state=closed 0 || fail "state: $(get '/incidents?state=closed')"
	has 'state=open&since=1h' 2 || fail "since: $(get '/incidents?since=1h')"
	has limit=1 1 || fail "limit: $(get '/incidents?limit=1')"
	has offset=2 0 || fail "offset: $(get '/incidents?offset=2')"
	get /incidents/stats | jq -e '.incidents == 2 and .open == 2 and .by_severity.critical == 1' >/dev/null || fail "$(get /incidents/stats)"
	get /incidents -D "$tmp/head" >/dev/null
	grep -qi '^x-linnix-degraded: history' "$tmp/head" || fail "that there is no history is not said"
	[ "$(status_of '/incidents?colour=red')" = 400 ] || fail "a word that nobody knows is taken"
	[ "$(sum_metric linnix_incidents_total)" = 2 ] || fail "$(get /metrics | grep incidents_total)"
}

run without_a_history_file_filters_count_too a_hog_beside_two_victims_is_one_incident a_fork_storm_is_one_incident_without_a_network nothing_is_called_but_what_listens \
	silences_and_feedback_need_the_right killed_ten_times_while_writing a_full_disk_leaves_memory_going a_damaged_file_is_set_aside
