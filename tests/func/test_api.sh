#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: it looks only at its own
#
# The API of a running agent: readers who never read, resuming, who may change what, and requests that are not what they
# seem. The details are in plugins/http and plugins/stream.
# TIMEOUT: 300

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"
no_ledger

rss_kib() { awk '/^VmRSS/ { print $2 }' "/proc/$agent/status"; }
readers_are() { [ "$(metric linnix_sse_clients)" = "$1" ]; }
forks_in() { grep -c '^event: proc.fork' "$1"; }
saw_forks() { [ "$(forks_in "$1")" -ge "$2" ]; }

# forks N: processes that end at once.
forks()
{
	local i
	for ((i = 0; i < $1; i++)); do
		(:)
	done
}

two_hundred_readers_who_never_read()
{
	need_root
	need stress-ng
	start_agent
	local fds=() fd i before
	ulimit -n 1024
	curl -sN "$url/stream?type=proc.fork" >"$tmp/good" &
	poll 5 test -s "$tmp/good" || fail "no stream"
	for ((i = 0; i < 200; i++)); do
		exec {fd}<>"/dev/tcp/127.0.0.1/$port" || fail "no connection $i"
		printf 'GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n' >&"$fd"
		fds+=("$fd")
	done
	poll 10 readers_are 201 || fail "$(metric linnix_sse_clients) readers"
	before=$(rss_kib)
	# No more at once than the agent keeps for readers: one who reads must not lag because it got no CPU.
	for i in {1..6}; do
		stress-ng --fork 1 --fork-ops 2500 -q || fail "stress-ng"
		poll 20 saw_forks "$tmp/good" $((i * 2500)) || fail "the one who reads saw $(forks_in "$tmp/good") forks"
	done
	! grep -q '^event: lagged' "$tmp/good" || fail "the one who reads was made to lag"
	[ "$(metric linnix_sse_lagged_total)" -gt 0 ] || fail "nobody lagged"
	[ "$(sum_metric linnix_events_dropped_total)" = 0 ] || fail "events were dropped"
	echo "$before KiB before, $(rss_kib) KiB after"
	# The ring of the core is 8 MiB of that. Sanitizers keep what was freed.
	[ -n "${LNX_SAN:-}" ] || [ $(($(rss_kib) - before)) -lt 32768 ] || fail "grew from $before KiB to $(rss_kib) KiB"
	get /healthz -m 2 >/dev/null || get /healthz -m $((2 * slow)) >/dev/null || fail "healthz takes over 2 s, twice"
	# One of them wakes up: it gets what it was sent, and is told of the gap.
	timeout $((10 * patience)) grep -m1 -A1 '^event: lagged' <&"${fds[7]}" >"$tmp/lagged" || fail "a slow reader was not told"
	grep -qE '^data: \{"missed":[1-9][0-9]*\}' "$tmp/lagged" || fail "$(cat "$tmp/lagged")"
	for fd in "${fds[@]}"; do
		exec {fd}>&-
	done
	poll 20 readers_are 1 || fail "$(metric linnix_sse_clients) readers are left"
}

a_reader_resumes_where_it_was()
{
	need_root
	start_agent
	local last next
	curl -sN "$url/stream?type=proc.fork" >"$tmp/first" &
	local reader=$!
	poll 5 test -s "$tmp/first" || fail "no stream"
	forks 20
	poll 5 saw_forks "$tmp/first" 20 || fail "$(forks_in "$tmp/first") forks"
	kill "$reader"
	wait "$reader"
	last=$(sed -n 's/^id: //p' "$tmp/first" | sed -n 11p)
	next=$(sed -n 's/^id: //p' "$tmp/first" | sed -n 12p)
	forks 5 # nobody reads now, but rules want them
	curl -sN -H "Last-Event-ID: $last" "$url/stream?type=proc.fork" >"$tmp/second" &
	poll 5 saw_forks "$tmp/second" 10 || fail "$(cat "$tmp/second")"
	[ "$(sed -n 's/^id: //p' "$tmp/second" | sed -n 2p)" = "$next" ] || fail "after $last not $next but: $(head -20 "$tmp/second")"
	sed -n 's/^id: //p' "$tmp/second" | sort -nuC || fail "ids do not rise"
	! grep -q lagged "$tmp/second" || fail "it lagged"
}

# raw BYTES: on the wire as they are, no client corrects them. Echoes the status.
raw()
{
	local fd
	exec {fd}<>"/dev/tcp/127.0.0.1/$port" || fail "no connection"
	printf %b "$1" >&"$fd"
	timeout $((5 * patience)) head -1 <&"$fd" | tr -d '\r' | cut -d' ' -f2
	exec {fd}>&-
}

requests_that_are_not_what_they_seem()
{
	start_agent
	local big
	big=$(head -c 60000 /dev/zero | tr '\0' a)
	[ "$(raw 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')" = 200 ] || fail "plain"
	[ "$(raw 'GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n')" = 403 ] || fail "forged Host"
	[ "$(raw 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nab')" = 400 ] || fail "body on GET"
	[ "$(raw 'POST /rules/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')" = 400 ] ||
		fail "two lengths"
	[ "$(raw 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: '"$big"'\r\n\r\n')" = 431 ] || fail "large header"
	[ "$(raw 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nno header\r\n\r\n')" = 400 ] || fail "a line that is no header"
	[ -z "$(raw 'nonsense\r\n\r\n')" ] || fail "nonsense is answered"
	[ "$(status_of '/processes?nope=1')" = 400 ] || fail "unknown parameter"
	[ "$(status_of '/stream?type=proc.frk')" = 400 ] || fail "unknown type"
	[ "$(status_of '/nope')" = 404 ] || fail "unknown path"
	[ "$(curl -s -o "$tmp/out" -w '%{http_code}' -X DELETE "$url/status")" = 405 ] || fail "wrong method"
	jq -e '.error.code == "method_not_allowed" and (.error.message | length > 0)' "$tmp/out" >/dev/null || fail "$(cat "$tmp/out")"
	is_alive "$agent" || fail "the agent ended"
}

post() { curl -s -o "$tmp/out" -w '%{http_code}' -X POST -H 'Content-Type: application/json' "$@"; }

changing_needs_a_right()
{
	prepare
	printf 'admin-token-0123456789\n' >"$tmp/admin"
	chmod 600 "$tmp/admin"
	export LINNIX_HTTP_ADMIN_TOKEN_FILE=$tmp/admin
	start_agent
	[ "$(post "$url/rules/reload")" = 403 ] || fail "without a token: $(cat "$tmp/out")"
	[ "$(post -H 'Authorization: Bearer wrong' "$url/rules/reload")" = 403 ] || fail "wrong token"
	[ "$(post -H 'Authorization: Bearer admin-token-0123456789' -H 'Origin: http://evil' "$url/rules/reload")" = 403 ] || fail "other origin"
	[ "$(post -H 'Authorization: Bearer admin-token-0123456789' "$url/rules/reload")" = 200 ] || fail "admin token: $(cat "$tmp/out")"
	[ "$(post --unix-socket "$socket" http://localhost/rules/reload)" = 200 ] || fail "own user on the unix socket: $(cat "$tmp/out")"
	[ "$(stat -c %a "$socket")" = 660 ] || fail "mode of the socket"
}

open_to_others_needs_protection()
{
	prepare
	export LINNIX_HTTP_LISTEN=0.0.0.0:$port
	"$linnixd" --config etc/linnix.yaml >"$log" 2>&1 &
	agent=$!
	poll 15 log_has 'can be reached from other machines' || fail "$(cat "$log")"
	! answers || fail "it listens"
}

metrics_are_clean()
{
	need promtool
	start_agent
	get /metrics >"$tmp/metrics" || fail "no metrics"
	promtool check metrics <"$tmp/metrics" || fail "promtool"
}

run two_hundred_readers_who_never_read a_reader_resumes_where_it_was requests_that_are_not_what_they_seem \
	changing_needs_a_right open_to_others_needs_protection metrics_are_clean
