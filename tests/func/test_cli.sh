#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: it looks only at its own
#
# The command line against a running agent: what its verbs print, how they end, how they follow.
# TIMEOUT: 200

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"
no_ledger

# ends CODE COMMAND...: output to $tmp/o, messages to $tmp/e.
ends()
{
	local want=$1 rc=0
	shift
	timeout $((30 * patience)) "$@" >"$tmp/o" 2>"$tmp/e" || rc=$?
	[ "$rc" -eq "$want" ] || fail "'$*' ends with $rc, not $want: $(head -3 "$tmp/o") $(head -3 "$tmp/e")"
}

usage_is_2()
{
	ends 2 "$linnix"
	ends 2 "$linnix" frobnicate
	[ ! -s "$tmp/o" ] || fail "messages on stdout"
	ends 2 "$linnix" plugin
	grep -q "did you mean 'plugins'" "$tmp/e" || fail "$(cat "$tmp/e")"
	ends 2 "$linnix" task frobnicate
	grep -q "unknown word 'frobnicate'" "$tmp/e" || fail "$(cat "$tmp/e")"
	ends 2 "$linnix" task run --dry-run
	# before anything is created or run
	ends 2 "$linnix" task create --payee did:key:z --amount 1 --wait soon
	ends 2 "$linnix" task cancel t --wait 2d
	ends 2 "$linnix" task run t --output-sha256 abc -- touch "$tmp/ran"
	grep -q 'output-sha256 wants 64 hex digits' "$tmp/e" || fail "$(cat "$tmp/e")"
	[ ! -e "$tmp/ran" ] || fail "it ran"
	ends 2 "$linnix" task create t --payee did:key:z --amount 1
	grep -q "create wants no 't'" "$tmp/e" || fail "$(cat "$tmp/e")"
	ends 2 "$linnix" plugins --dir /tmp
	ends 2 "$linnix" ps --limt 3
	grep -q "did you mean '--limit'" "$tmp/e" || fail "$(cat "$tmp/e")"
	ends 2 "$linnix" ps --limit many
	ends 2 "$linnix" ps notapid
	ends 2 "$linnix" events word
	ends 2 "$linnix" events -o xml
	ends 2 "$linnix" --url gopher://x ps
	ends 2 "$linnix" events --fields --type proc.frok
	grep -q "did you mean 'proc.fork'" "$tmp/e" || fail "$(cat "$tmp/e")"
}

help_is_on_stdout()
{
	local verb
	ends 0 "$linnix" help
	cp "$tmp/o" "$tmp/help"
	ends 0 "$linnix" --help
	cmp -s "$tmp/o" "$tmp/help" || fail "two helps"
	for verb in ps events rules plugins doctor version; do
		grep -q "^  $verb " "$tmp/help" || fail "$verb is not in help"
		ends 0 "$linnix" "$verb" --help
		grep -q "^usage: linnix $verb" "$tmp/o" || fail "$(cat "$tmp/o")"
		ends 0 "$linnix" help "$verb"
	done
	ends 0 "$linnix" --version
}

nobody_there_is_3()
{
	prepare
	local verb
	for verb in ps 'ps 1' events 'events -f' plugins 'rules list'; do
		# shellcheck disable=SC2086 # words
		ends 3 "$linnix" $verb
		grep -q 'linnix doctor' "$tmp/e" || fail "no hint: $(cat "$tmp/e")"
		[ ! -s "$tmp/o" ] || fail "messages on stdout"
	done
	ends 3 "$linnix" --url "unix:$socket" ps
	ends 0 "$linnix" version
	ends 0 "$linnix" events --fields
}

ps_shows_processes()
{
	start_agent
	ends 0 "$linnix" ps --limit 5
	[ "$(wc -l <"$tmp/o")" -eq 6 ] || fail "$(cat "$tmp/o")"
	head -1 "$tmp/o" | grep -q '^ *PID .*CPU%.*RSS.*COMM' || fail "$(cat "$tmp/o")"
	ends 0 "$linnix" ps --limit 5 --no-headers
	[ "$(wc -l <"$tmp/o")" -eq 5 ] || fail "$(cat "$tmp/o")"
	ends 0 "$linnix" ps --json --limit 7 --sort rss_bytes
	jq -e 'type == "array" and length == 7 and ([.[].rss_bytes] | . == (sort | reverse))' "$tmp/o" >/dev/null || fail "$(cat "$tmp/o")"
	ends 0 "$linnix" -o json ps "$agent"
	jq -e --argjson pid "$agent" '.pid == $pid and .comm == "linnixd"' "$tmp/o" >/dev/null || fail "$(cat "$tmp/o")"
	ends 0 "$linnix" ps "$agent"
	grep -q '^comm *linnixd' "$tmp/o" || fail "$(cat "$tmp/o")"
	ends 0 "$linnix" ps --comm linnixd --json
	jq -e --argjson pid "$agent" 'any(.[]; .pid == $pid) and all(.[]; .comm == "linnixd")' "$tmp/o" >/dev/null || fail "$(cat "$tmp/o")"
	ends 1 "$linnix" ps 4194300
	ends 1 "$linnix" ps --sort beauty
	grep -qi 'sort' "$tmp/e" || fail "$(cat "$tmp/e")"
	ends 0 "$linnix" --url "unix:$socket" ps --limit 1
	"$linnix" ps >/dev/full 2>"$tmp/e" && fail "a full disk is no success"
	grep -q 'No space' "$tmp/e" || fail "$(cat "$tmp/e")"
}

events_are_lines_or_json()
{
	need_root
	start_agent
	(:)
	"$BASH" -c : 2>/dev/null
	ends 0 "$linnix" events --type proc.exec,proc.fork --limit 3
	[ "$(wc -l <"$tmp/o")" -le 3 ] || fail "$(cat "$tmp/o")"
	ends 0 "$linnix" events --json --limit 3
	jq -e 'type == "array" and length == 3 and all(.[]; has("seq") and has("ts") and has("type"))' "$tmp/o" >/dev/null || fail "$(cat "$tmp/o")"
	ends 1 "$linnix" events --type no.such
	grep -q 'no\.such' "$tmp/e" || fail "$(cat "$tmp/e")"
	"$linnix" events -f --json --type host.sample --count 2 >"$tmp/o" 2>"$tmp/e" || fail "$(cat "$tmp/e")"
	[ "$(wc -l <"$tmp/o")" -eq 2 ] || fail "$(cat "$tmp/o")"
	jq -es 'length == 2 and all(.[]; .type == "host.sample")' "$tmp/o" >/dev/null || fail "$(cat "$tmp/o")"
	ends 0 "$linnix" events -f --type host.sample --count 1
	grep -qE '^[0-9:.]{12} host\.sample .*cpu_pct=' "$tmp/o" || fail "$(cat "$tmp/o")"
	ends 1 "$linnix" events -f --type no.such
}

lines_at_least() { [ "$(wc -l <"$2")" -ge "$1" ]; }

follow_survives_a_restart()
{
	start_agent
	"$linnix" events -f --json --type host.sample >"$tmp/o" 2>"$tmp/e" &
	local reader=$!
	poll 10 lines_at_least 2 "$tmp/o" || fail "$(cat "$tmp/e")"
	stop_agent KILL
	poll 5 grep -q 'trying again' "$tmp/e" || fail "it does not say so"
	local before
	before=$(wc -l <"$tmp/o")
	start_agent
	poll 15 lines_at_least $((before + 2)) "$tmp/o" || fail "it did not come back: $(cat "$tmp/e")"
	grep -q 'started anew' "$tmp/e" || fail "it does not say that it is another run: $(cat "$tmp/e")"
	jq -es 'length > 2 and all(.[]; .type == "host.sample")' "$tmp/o" >/dev/null || fail "not JSON lines"
	is_alive "$reader" || fail "it ended"
	kill "$reader"
}

follow_has_no_gap_after_a_short_break()
{
	need_root
	start_agent
	# A relay that breaks the first connection after some lines would need a program; the agent's own ring does: resume by hand.
	"$linnix" events -f --json --type host.sample --count 2 >"$tmp/o" 2>"$tmp/e" || fail "$(cat "$tmp/e")"
	local last
	last=$(tail -1 "$tmp/o" | jq .seq)
	ahead() { [ "$(get "/events?type=host.sample&since_seq=$last" | jq length)" -ge 2 ]; }
	poll 10 ahead || fail "no further samples"
	curl -sN -H "Last-Event-ID: $last" "$url/stream?type=host.sample" >"$tmp/resumed" &
	resumed() { [ "$(grep -c '^$' "$tmp/resumed")" -ge 3 ]; } # hello, and two samples whole
	poll 10 resumed || fail "$(cat "$tmp/resumed")"
	[ "$(sed -n 's/^data: //p' "$tmp/resumed" | head -3 | jq -s --argjson last "$last" 'map(select(.type == "host.sample")) | .[0].seq > $last and length >= 2')" = true ] ||
		fail "$(cat "$tmp/resumed")"
	! grep -q '^event: lagged' "$tmp/resumed" || fail "a gap although all is kept"
}

agent_tells_of_itself()
{
	start_agent
	ends 0 "$linnix" plugins
	grep -qE '^http +[0-9.]+ +running' "$tmp/o" || fail "$(cat "$tmp/o")"
	ends 0 "$linnix" plugins --json
	jq -e 'map(.instance) | contains(["http", "proc", "psi", "stream"])' "$tmp/o" >/dev/null || fail "$(cat "$tmp/o")"
	ends 0 "$linnix" rules list
	grep -q '^fork-storm ' "$tmp/o" || fail "$(cat "$tmp/o")"
	ends 0 "$linnix" version
	grep -q 'agent  [0-9]' "$tmp/o" || fail "$(cat "$tmp/o")"
	ends 0 "$linnix" version --json
	jq -e '.version == .agent' "$tmp/o" >/dev/null || fail "$(cat "$tmp/o")"
	# enforcement is off
	ends 1 "$linnix" actions
	grep -q "does not run there: see 'linnix plugins'" "$tmp/e" || fail "$(cat "$tmp/e")"
}

token_is_asked_and_sent()
{
	prepare
	printf 'open-sesame-1\n' >"$tmp/token"
	chmod 600 "$tmp/token"
	export LINNIX_HTTP_TOKEN_FILE=$tmp/token
	start_agent
	ends 1 "$linnix" ps
	grep -q 'token' "$tmp/e" || fail "$(cat "$tmp/e")"
	ends 0 "$linnix" --token-file "$tmp/token" ps
	LINNIX_API_TOKEN=open-sesame-1 ends 0 "$linnix" ps
	LINNIX_API_TOKEN=wrong ends 1 "$linnix" ps
	ends 1 "$linnix" --token-file "$tmp/nothing" ps
	# a name that only begins like this machine is another one
	ends 3 "$linnix" --url http://127.0.0.1.invalid:1 --token-file "$tmp/token" ps
	grep -q 'the token goes to .* unencrypted' "$tmp/e" || fail "$(cat "$tmp/e")"
	ends 3 "$linnix" --url http://127.0.0.1:1 --token-file "$tmp/token" ps
	! grep -q 'unencrypted' "$tmp/e" || fail "$(cat "$tmp/e")"
}

rules_are_checked_without_an_agent()
{
	ends 0 "$linnix" rules check scripts/rules/*.lua
	ends 0 "$linnix" rules test scripts/rules
	printf 'rule "x" {\n  every = "1s",\n  whne = function(host) return true end,\n}\n' >"$tmp/x.lua"
	ends 2 "$linnix" rules check "$tmp/x.lua"
	cat "$tmp/o" "$tmp/e" | grep -qE 'x\.lua:[0-9]+: .*whne.*when' || fail "$(cat "$tmp/o" "$tmp/e")"
	ends 2 "$linnix" rules
	ends 2 "$linnix" rules burn
}

no_colour_but_on_a_terminal()
{
	need script
	start_agent
	ends 1 "$linnix" doctor --config /nonexistent
	! grep -q $'\033' "$tmp/o" || fail "colours in a file"
	NO_COLOR='' TERM=xterm script -qec "$linnix doctor --config /nonexistent" /dev/null >"$tmp/o" 2>&1
	grep -q $'\033\[3[123]m' "$tmp/o" || fail "no colours on a terminal"
	NO_COLOR=1 TERM=xterm script -qec "$linnix doctor --config /nonexistent" /dev/null >"$tmp/o" 2>&1
	! grep -q $'\033\[3' "$tmp/o" || fail "colours although NO_COLOR is set"
	COLUMNS=60 TERM=xterm script -qec "$linnix ps 2>/dev/null" /dev/null >"$tmp/o" 2>&1
	awk '{ sub(/\r$/, "") } length($0) > 60 { exit 1 }' "$tmp/o" || fail "lines longer than the terminal: $(cat "$tmp/o")"
}

run usage_is_2 help_is_on_stdout nobody_there_is_3 ps_shows_processes events_are_lines_or_json follow_survives_a_restart \
	follow_has_no_gap_after_a_short_break agent_tells_of_itself token_is_asked_and_sent rules_are_checked_without_an_agent \
	no_colour_but_on_a_terminal
