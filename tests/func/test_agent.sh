#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: it looks only at its own
#
# Life of the agent: start, signals, reload, a full disk, missing or broken BPF objects.
# TIMEOUT: 300

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"

stops_within_5_s_after()
{
	start_agent
	stop_agent "$1"
	[ "$code" -eq 0 ] || fail "exit code $code: $(tail -3 "$log")"
	[ "$stopped_ms" -lt $((5000 * slow)) ] || fail "took $stopped_ms ms"
	[ ! -e "$socket" ] || fail "it left its socket"
	! answers || fail "something still answers"
}
sigterm_stops_it() { stops_within_5_s_after TERM; }
sigint_stops_it() { stops_within_5_s_after INT; }

sigterm_stops_it_with_readers_connected()
{
	no_ledger
	start_agent
	local i
	for ((i = 0; i < 10; i++)); do
		curl -sN "$url/stream" >/dev/null &
	done
	poll 5 has_sse_clients 10 || fail "no readers"
	stop_agent TERM
	[ "$code" -eq 0 ] || fail "exit code $code"
	[ "$stopped_ms" -lt $((5000 * slow)) ] || fail "took $stopped_ms ms"
}
has_sse_clients() { [ "$(metric linnix_sse_clients)" -ge "$1" ]; }

what_is_old_leaves_the_ring()
{
	no_ledger
	LINNIX_BUS_RING_KEEP=1s start_agent
	poll 15 has_forgotten || fail "the ring keeps all: $(get /status | jq -c .events)"
	[ "$(get /status | jq '[.dropped[]] | add')" = 0 ] || fail "that counts as a loss: $(get /status | jq -c .dropped)"
}
has_forgotten() { [ "$(get /status | jq '[.. | .oldest_seq? // empty] | max')" -gt 1 ]; }

killed_it_starts_again()
{
	no_ledger
	start_agent
	stop_agent KILL
	[ "$code" -eq 137 ] || fail "exit code $code"
	[ -S "$socket" ] || fail "no stale socket to start over"
	start_agent
	curl -fsS -m $((2 * patience)) --unix-socket "$socket" http://localhost/healthz >/dev/null || fail "the socket does not answer"
	# It was killed from outside: no plugin is to blame.
	get /plugins | jq -e 'all(.[]; .state != "quarantined")' >/dev/null || fail "$(get /plugins)"
}

address_in_use_is_said()
{
	no_ledger
	start_agent
	local first=$agent first_log=$log
	log=$tmp/second.log
	LINNIX_HTTP_SOCKET=$tmp/other.sock LINNIX_PLUGINS_STATE_FILE=$tmp/other.state spawn_agent
	poll 10 log_has "$LINNIX_HTTP_LISTEN.*in use" || fail "the second one does not say it: $(cat "$log")"
	poll 30 is_gone "$agent" || fail "the second one goes on without an API"
	wait "$agent"
	[ $? -eq 1 ] || fail "the second one ends with another status than 1"
	[[ $(tail -1 "$log") == *" the agent ends: nobody could ask it "* ]] || fail "its last line is not that it ends: $(cat "$log")"
	log_has "prometheus.so: needs the service http/1, whose plugin did not start" || fail "who needs it is not told why: $(cat "$log")"
	log=$first_log
	is_alive "$first" || fail "the first one is gone"
	answers || fail "the first one does not answer"
}

no_config_at_the_default_path_is_fine()
{
	[ ! -e /etc/linnix/linnix.yaml ] || skip "this machine has one"
	prepare
	"$linnixd" >>"$log" 2>&1 &
	agent=$!
	poll 15 agent_is_up || fail "$(cat "$log")"
}

status_is_whole()
{
	start_agent
	get /status | jq -e --arg v "$("$linnixd" --version | awk '{ print $2 }')" '
		.version == $v and (.node | length > 0) and (.boot_id | length == 36) and .schema == 1 and (.kernel | length > 0)
		and (.tiers | has("cpu")) and (.probes | type == "array") and (.plugins | length > 2)
		and (.dropped | to_entries | length >= 4)' >/dev/null || fail "$(get /status)"
	[ "$(get /status | jq -r .boot_id)" = "$(cat /proc/sys/kernel/random/boot_id)" ] || fail "boot_id"
}

reloaded_ok() { [ "$(metric linnix_config_last_reload_successful)" = "$1" ]; }
generation() { get /rules | jq .generation; }
later_generation() { [ "$(generation)" -gt "$1" ]; }

sighup_takes_a_good_configuration()
{
	no_ledger
	cp etc/linnix.yaml "$tmp/c.yaml"
	agent_args=(--config "$tmp/c.yaml")
	start_agent
	! log_has 'debug' || fail "debug from the beginning"
	mkdir "$tmp/rules"
	cp scripts/rules/*.lua "$tmp/rules"
	printf 'rule "extra" {\n  every = "1s",\n  when = function(host) return host.cpu > 1000 end,\n}\n' >"$tmp/rules/extra.lua"
	printf 'log: { level: debug }\nrules: { dir: %s }\n' "$tmp/rules" >"$tmp/c.yaml"
	local before
	before=$(generation)
	kill -HUP "$agent"
	poll 5 later_generation "$before" || fail "no new generation of rules: $(get /rules) $(tail -5 "$log")"
	get /rules | jq -e '[.rules[].name] | index("extra") != null and length >= 3' >/dev/null || fail "$(get /rules)"
	poll 5 reloaded_ok 1 || fail "the metric does not say so"
	log_has 'reloaded' || fail "the log does not say so"
}

told() { [ "$(grep -cx "$1" "$tmp/told")" -ge "$2" ]; }

# By datagrams, as sd_notify(3) describes them: at the start, at each reload, twice in each span of the watchdog, at the end.
systemd_is_told_of_its_life()
{
	no_ledger
	need python3
	python3 - "$tmp/notify" >"$tmp/told" <<-'END' &
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind(sys.argv[1])
		while True:
		    print(s.recv(4096).decode(), flush=True)
	END
	poll 5 test -S "$tmp/notify" || fail "nobody listens"
	export NOTIFY_SOCKET=$tmp/notify WATCHDOG_USEC=400000
	start_agent
	poll 10 told READY=1 1 || fail "$(cat "$tmp/told")"
	poll 10 told WATCHDOG=1 3 || fail "the watchdog is not fed: $(cat "$tmp/told")"
	kill -HUP "$agent"
	poll 10 told RELOADING=1 1 || fail "a reload is not told: $(cat "$tmp/told")"
	poll 10 told READY=1 2 || fail "the end of a reload is not told: $(cat "$tmp/told")"
	stop_agent TERM
	poll 5 told STOPPING=1 1 || fail "the end is not told: $(cat "$tmp/told")"
	[ "$(grep -vcxE '(READY|WATCHDOG|RELOADING|STOPPING)=1' "$tmp/told")" = 0 ] || fail "$(cat "$tmp/told")"
}

sighup_keeps_the_old_configuration_when_the_new_is_wrong()
{
	no_ledger
	cp etc/linnix.yaml "$tmp/c.yaml"
	agent_args=(--config "$tmp/c.yaml")
	start_agent
	local pid_before
	pid_before=$(get /status | jq .pid)
	printf 'log: { level: loud }\nnosuch: 1\n' >"$tmp/c.yaml"
	kill -HUP "$agent"
	poll 5 reloaded_ok 0 || fail "the metric does not say so"
	log_has "c\\.yaml:1:[0-9]+: .*loud" || fail "the log does not name the mistake: $(tail -5 "$log")"
	log_has "c\\.yaml:2:" || fail "the log does not name the second mistake"
	[ "$(status_of /system)" = 200 ] || fail "/system does not answer"
	[ "$(get /status | jq .pid)" = "$pid_before" ] || fail "another process"
	curl -sS "$url/readyz" | jq -e '.degraded | map(contains("reload")) | any' >/dev/null || fail "$(curl -sS "$url/readyz")"
	cp etc/linnix.yaml "$tmp/c.yaml"
	kill -HUP "$agent"
	poll 5 reloaded_ok 1 || fail "a good one is not taken after a bad one"
	curl -sS "$url/readyz" | jq -e '.degraded | map(contains("reload")) | any | not' >/dev/null || fail "still degraded"
}

# Half of it would be another configuration: here one of another cluster.
a_file_that_is_written_in_steps_is_read_when_it_is_whole()
{
	no_ledger
	printf 'cluster: { name: here }\n' >"$tmp/c.yaml"
	agent_args=(--config "$tmp/c.yaml")
	start_agent
	for _ in {1..50}; do
		: >"$tmp/c.yaml"
		printf 'cluster: { name: here }\nlog: { level: debug }\n' >"$tmp/c.yaml"
	done
	poll 5 log_has 'configuration reloaded' || fail "not taken: $(tail -5 "$log")"
	! log_has 'cluster.name' || fail "half of it was taken: $(grep cluster "$log" | head -3)"
	printf 'log: { level: debug }\n' >"$tmp/c.yaml"
	poll 5 log_has 'restart: .*cluster.name' || fail "a change is not told: $(tail -5 "$log")"
}

sighup_keeps_the_rules_when_a_new_one_is_broken()
{
	no_ledger
	mkdir "$tmp/rules"
	cp scripts/rules/*.lua "$tmp/rules"
	prepare
	LINNIX_RULES_DIR=$tmp/rules start_agent
	printf 'rule "broken" {\n  when = function(\n' >"$tmp/rules/zz_broken.lua"
	kill -HUP "$agent"
	poll 5 broken_rules_are_told || fail "not told: $(curl -sS "$url/readyz")"
	log_has 'zz_broken\.lua:[0-9]+: ' || fail "the log does not name the place"
	get /rules | jq -e '[.rules[].name] | index("fork-storm") != null' >/dev/null || fail "the good rules are gone: $(get /rules)"
}
broken_rules_are_told() { curl -sS "$url/readyz" | jq -e '.degraded | map(contains("zz_broken.lua")) | any' >/dev/null; }

full_disk_for_the_log()
{
	no_ledger
	prepare
	"$linnixd" --config etc/linnix.yaml --log-level debug >/dev/full 2>&1 &
	agent=$!
	poll 15 answers || fail "it does not answer"
	[ "$(get /status | jq .log_lines_failed)" -gt 0 ] || fail "lost lines are not counted"
	"$linnix" doctor 2>/dev/null | grep -q '^warn losses: [0-9]* log lines could not be written' || fail "doctor does not say it"
	is_alive "$agent" || fail "it is gone"
	stop_agent TERM
	[ "$code" -eq 0 ] || fail "exit code $code"
}

closed_stderr()
{
	no_ledger
	prepare
	"$linnixd" --config etc/linnix.yaml </dev/null >&- 2>&- &
	agent=$!
	poll 15 answers || fail "it does not answer"
	# Nothing of the agent's may have landed on descriptor 1 or 2, where lines of the log go.
	local fd to
	for fd in 1 2; do
		to=$(readlink "/proc/$agent/fd/$fd" || echo none)
		case $to in none | /dev/null) ;; *) fail "descriptor $fd is $to" ;; esac
	done
	stop_agent TERM
	[ "$code" -eq 0 ] || fail "exit code $code"
}

# A copy of the library folder in which the objects can be spoilt.
copy_lib()
{
	no_ledger
	mkdir "$tmp/lib"
	cp -r "$build/plugins" "$build/bpf" "$tmp/lib"
	chmod -R go-w "$tmp/lib"
}

no_probe_but_the_rest()
{
	[ "$(status_of /readyz)" = 503 ] || fail "/readyz is $(status_of /readyz)"
	curl -sS "$url/readyz" | jq -e '.reasons | map(test("proc")) | any' >/dev/null || fail "$(curl -sS "$url/readyz")"
	get /status | jq -e '.probes | map(select(.name == "proc" and .state == "failed" and (.why | length > 0))) | length == 1' \
		>/dev/null || fail "$(get /status | jq -c .probes)"
	"$linnix" doctor >"$tmp/doctor" 2>/dev/null && fail "doctor finds nothing wrong"
	grep -q '^FAIL probe: proc is not attached: ' "$tmp/doctor" || fail "$(cat "$tmp/doctor")"
	poll 5 system_is_known || fail "/system: $(get /system)"
	[ "$(get /processes | jq length)" -gt 0 ] || fail "no processes, although /proc is there"
}

system_is_known() { get /system | jq -e '.cpu_pct != null and .psi.cpu.some.total_us > 0' >/dev/null; }

missing_bpf_object()
{
	need_root
	copy_lib
	rm "$tmp/lib/bpf/proc.bpf.o"
	agent_args=(--config etc/linnix.yaml --lib-dir "$tmp/lib")
	start_agent
	no_probe_but_the_rest
}

corrupted_bpf_object()
{
	need_root
	copy_lib
	head -c 3000 /dev/urandom >"$tmp/lib/bpf/proc.bpf.o"
	agent_args=(--config etc/linnix.yaml --lib-dir "$tmp/lib")
	start_agent
	no_probe_but_the_rest
}

truncated_bpf_object()
{
	need_root
	copy_lib
	truncate -s 2000 "$tmp/lib/bpf/proc.bpf.o"
	agent_args=(--config etc/linnix.yaml --lib-dir "$tmp/lib")
	start_agent
	no_probe_but_the_rest
}

listening_beyond_loopback_needs_a_token()
{
	local rc=0
	LINNIX_HTTP_LISTEN=0.0.0.0:0 LINNIX_HTTP_SOCKET=$tmp/other.sock LINNIX_PLUGINS_STATE_FILE='' \
		timeout $((60 * patience)) "$linnixd" --config /dev/null >"$tmp/beyond.log" 2>&1 || rc=$?
	[ "$rc" -eq 2 ] || fail "status $rc"
	grep -q 'set token_file' "$tmp/beyond.log" || fail "$(cat "$tmp/beyond.log")"
}
run sigterm_stops_it sigint_stops_it sigterm_stops_it_with_readers_connected what_is_old_leaves_the_ring killed_it_starts_again address_in_use_is_said listening_beyond_loopback_needs_a_token \
	no_config_at_the_default_path_is_fine status_is_whole systemd_is_told_of_its_life sighup_takes_a_good_configuration \
	sighup_keeps_the_old_configuration_when_the_new_is_wrong sighup_keeps_the_rules_when_a_new_one_is_broken \
	a_file_that_is_written_in_steps_is_read_when_it_is_whole \
	full_disk_for_the_log closed_stderr missing_bpf_object corrupted_bpf_object truncated_bpf_object
