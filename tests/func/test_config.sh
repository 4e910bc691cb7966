#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: it looks only at its own
#
# The configuration from outside: what is wrong is said with its place and ends with 2; what is right is in force.

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"

# refuses PATTERN: --check-config of $tmp/c.yaml, and a start with it, end with 2 and say so; quickly.
refuses()
{
	local begin ms code=0 out
	begin=$(now_ms)
	out=$(timeout $((20 * patience)) "$linnixd" --config "$tmp/c.yaml" --check-config 2>&1) || code=$?
	ms=$(($(now_ms) - begin))
	[ "$code" -eq 2 ] || fail "--check-config: exit code $code: $out"
	grep -qE -e "$1" <<<"$out" || fail "no /$1/ in: $out"
	[ "$ms" -lt $((5000 * slow)) ] || fail "took $ms ms"
	code=0
	prepare
	out=$(timeout $((20 * patience)) "$linnixd" --config "$tmp/c.yaml" 2>&1) || code=$?
	[ "$code" -eq 2 ] || fail "start: exit code $code: $out"
	! curl -fsS -m 1 "$url/healthz" 2>/dev/null || fail "it answers"
}

broken()
{
	printf 'http:\n  listen: [1, 2\nlog: x\n' >"$tmp/c.yaml"
	refuses 'c\.yaml:[0-9]+:[0-9]+: '
}
tab_in_indentation()
{
	printf 'log:\n\tlevel: info\n' >"$tmp/c.yaml"
	refuses 'c\.yaml:2:[0-9]+: '
}
huge()
{
	head -c 3000000 /dev/zero | tr '\0' '#' >"$tmp/c.yaml"
	refuses 'large|MiB|bytes|big'
}
nested_lists()
{
	head -c 500000 /dev/zero | tr '\0' '[' >"$tmp/c.yaml"
	refuses 'deep|nest|level'
}
nested_maps()
{
	local i indent=
	for ((i = 0; i < 200; i++)); do
		printf '%sa:\n' "$indent"
		indent+=' '
	done >"$tmp/c.yaml"
	refuses 'deep|nest|level'
}
binary()
{
	head -c 4096 "$linnixd" >"$tmp/c.yaml"
	refuses 'c\.yaml:1:1: control character 0x7f: is this a text file'
	printf 'log:\n  level: \377\n' >"$tmp/c.yaml"
	refuses 'c\.yaml:2:10: byte 0xff is not UTF-8: is this a text file'
}
null_bytes()
{
	printf 'log:\0 level: info\n' >"$tmp/c.yaml"
	refuses 'c\.yaml:1:5: control character 0x00: is this a text file'
}
a_folder()
{
	mkdir "$tmp/c.yaml"
	refuses 'c\.yaml'
}
missing_file()
{
	refuses 'c\.yaml.*[Nn]o such file'
}
unknown_plugin()
{
	printf 'prometeus:\n  enabled: true\n' >"$tmp/c.yaml"
	refuses "c\\.yaml:1:1: .*prometeus.*did you mean 'prometheus'"
	printf 'webhook.:\n  enabled: true\n  url: http://127.0.0.1:1/\n' >"$tmp/c.yaml"
	refuses "c\\.yaml:1:1: section 'webhook\\.': an instance is named with"
}
unknown_key_with_a_suggestion()
{
	printf 'log:\n  levle: info\n' >"$tmp/c.yaml"
	refuses "c\\.yaml:2:[0-9]+: log: unknown key 'levle' \\(did you mean 'level'\\?\\)"
}
aliases_are_refused()
{
	printf 'a: &a [x]\nb: [*a, *a]\n' >"$tmp/c.yaml"
	refuses 'c\.yaml:1'
}

all_errors_at_once()
{
	printf 'log:\n  level: loud\n  format: prose\nbudget:\n  cpu_pct: many\n  series: 1\nnosuch: {}\n' >"$tmp/c.yaml"
	local out code=0
	out=$("$linnixd" --config "$tmp/c.yaml" --check-config 2>&1) || code=$?
	[ "$code" -eq 2 ] || fail "exit code $code"
	local line
	for line in 2 3 5 6 7; do
		grep -q "c\\.yaml:$line:" <<<"$out" || fail "nothing about line $line in: $out"
	done
	# Of the tables and of the plugins, each once.
	printf 'store:\n  keep: 1s\nslack:\n  enabled: true\nhttp:\n  listen: 0.0.0.0:1\n  ops_listen: [1]\nalertmanager:\n  enabled: true\n  url: "https://am/ x"\n' >"$tmp/c.yaml"
	code=0
	out=$("$linnixd" --config "$tmp/c.yaml" --check-config 2>&1) || code=$?
	[ "$code" -eq 2 ] || fail "exit code $code"
	for line in 2:3:.store.keep: 3:1:.slack.webhook_url_file: 6:3:.http.listen: 7:3:.http.ops_listen: 10:3:.alertmanager.url:; do
		[ "$(grep -c "c\\.yaml:$line" <<<"$out")" -eq 1 ] || fail "$line is not there once: $out"
	done
	# A value that is quoted cannot forge a line.
	printf 'alertmanager: { enabled: true, url: "here\\nc.yaml:1:1: forged" }\n' >"$tmp/c.yaml"
	refuses 'c\.yaml:1:[0-9]*: alertmanager\.url: .here\?c\.yaml:1:1: forged'
}

toml_gets_a_hint()
{
	printf '[log]\nlevel = "info"\n' >"$tmp/c.toml"
	local out code=0
	out=$("$linnixd" --config "$tmp/c.toml" --check-config 2>&1) || code=$?
	[ "$code" -eq 2 ] || fail "exit code $code"
	grep -q TOML <<<"$out" || fail "$out"
}

right_one_is_accepted()
{
	printf 'log:\n  level: debug\nbudget: { cpu_pct: 2.5 }\n' >"$tmp/c.yaml"
	"$linnixd" --config "$tmp/c.yaml" --check-config || fail "exit code $?"
	: >"$tmp/c.yaml"
	"$linnixd" --config "$tmp/c.yaml" --check-config || fail "an empty file: exit code $?"
}

# value SECTION KEY: its line of --dump-config.
value() { awk -v s="$1:" -v k="  $2:" '/^[a-z]/ { on = $1 == s } on && index($0, k) == 1' "$tmp/dump"; }

flag_beats_environment_beats_file_beats_default()
{
	printf 'log:\n  level: warn\n  format: json\nbudget:\n  series: 200\n' >"$tmp/c.yaml"
	LINNIX_LOG_LEVEL=error LINNIX_BUDGET_SERIES=150 "$linnixd" --config "$tmp/c.yaml" --log-level debug --dump-config \
		>"$tmp/dump" || fail "exit code $?"
	value log level | grep -q debug || fail "the flag does not win: $(value log level)"
	value budget series | grep -q 150 || fail "the environment does not win: $(value budget series)"
	value log format | grep -q json || fail "the file does not win: $(value log format)"
	value budget memory_mb | grep -q 64 || fail "no default: $(value budget memory_mb)"
	[ "$(value log level)" != "$(value log format)" ] || fail "no origins"
}

dump_tells_origins()
{
	printf 'log:\n  format: json\n' >"$tmp/c.yaml"
	LINNIX_BUDGET_SERIES=150 "$linnixd" --config "$tmp/c.yaml" --dump-config >"$tmp/dump" || fail "exit code $?"
	value log format | grep -qE '#.*(file|c\.yaml)' || fail "$(value log format)"
	value budget series | grep -qE '#.*(env|LINNIX_BUDGET_SERIES)' || fail "$(value budget series)"
	value log level | grep -qE '#.*default' || fail "$(value log level)"
	# What is dumped is a configuration again.
	"$linnixd" --config "$tmp/dump" --check-config || fail "the dump is not valid"
}

unknown_variable_only_warns()
{
	local out
	out=$(LINNIX_PORT=tcp://10.0.0.1:1 LINNIX_NO_SUCH_THING=1 "$linnixd" --config /dev/null --check-config 2>&1) ||
		fail "exit code $?: $out"
	grep -q LINNIX_NO_SUCH_THING <<<"$out" || fail "no warning: $out"
}

bad_variable_is_named()
{
	local out code=0
	out=$(LINNIX_LOG_LEVEL=loud "$linnixd" --config /dev/null --check-config 2>&1) || code=$?
	[ "$code" -eq 2 ] || fail "exit code $code: $out"
	grep -q LINNIX_LOG_LEVEL <<<"$out" || fail "$out"
}

explain_tells_who_wants_what()
{
	local out
	out=$("$linnixd" --config etc/linnix.yaml --explain) || fail "exit code $?"
	grep -q 'proc\.fork' <<<"$out" || fail "$out"
	grep -qi 'probe' <<<"$out" || fail "$out"
}

explain_opens_nothing_beside_a_running_agent()
{
	local out
	start_agent
	out=$("$linnixd" --config etc/linnix.yaml --explain 2>&1) || fail "exit code $?: $out"
	! grep -q 'listen' <<<"$out" || fail "it listens: $out"
	[ "$(curl -fsS -m $((5 * patience)) --unix-socket "$socket" http://localhost/healthz -o /dev/null -w '%{http_code}')" = 200 ] ||
		fail "the socket of the agent is gone"
	answers || fail "the agent does not answer any more"
}

usage()
{
	local out code word
	out=$("$linnixd" --version) || fail "--version: exit code $?"
	grep -qE '^linnixd [0-9]+\.[0-9]+\.[0-9]+' <<<"$out" || fail "$out"
	out=$("$linnixd" --help) || fail "--help: exit code $?"
	for word in --config --check-config --dump-config --explain --lib-dir --log-level --log-format --version; do
		grep -qF -e "$word" <<<"$out" || fail "$word is not in --help"
	done
	for word in --no-such-option word '--log-level=loud' '--log-format xml' --config; do
		code=0
		# shellcheck disable=SC2086 # two words
		out=$(timeout $((10 * patience)) "$linnixd" $word --check-config 2>&1) || code=$?
		[ "$code" -eq 2 ] || fail "$word: exit code $code: $out"
	done
}

# An option table knows types and ranges; what a plugin alone knows is checked as well.
what_a_plugin_says_of_its_section()
{
	local out code=0
	printf 'http:\n  ops_listen: "9464"\n  listen: 0.0.0.0:3000\n  tls_key_file: /nowhere\n' >"$tmp/c.yaml"
	out=$("$linnixd" --config "$tmp/c.yaml" --check-config 2>&1) || code=$?
	[ "$code" -eq 2 ] || fail "exit code $code: $out"
	grep -qE "c\.yaml:2:3: http\.ops_listen: '9464' is not ADDRESS:PORT" <<<"$out" || fail "$out"
	grep -qE 'c\.yaml:3:3: http\.listen: 0\.0\.0\.0:3000 can be reached from other machines: set token_file' <<<"$out" || fail "$out"
	grep -qE 'c\.yaml:4:3: http\.tls_key_file: TLS needs both' <<<"$out" || fail "$out"
	refuses 'http\.ops_listen: '
	code=0
	out=$(LINNIX_HTTP_LISTEN="[::]:3000" "$linnixd" --config /dev/null --check-config 2>&1) || code=$?
	[ "$code" -eq 2 ] || fail "exit code $code: $out"
	grep -q '^environment: http.listen: ' <<<"$out" || fail "$out"
	printf 'http:\n  enabled: false\n  ops_listen: "9464"\n' >"$tmp/c.yaml"
	"$linnixd" --config "$tmp/c.yaml" --check-config || fail "what is off was checked"
	# What is missing has no place but its section's.
	printf 'log: {}\nslack:\n  enabled: true\n' >"$tmp/c.yaml"
	refuses 'c\.yaml:2:1: slack\.webhook_url_file: is needed'
}

unknown_probe_is_not_left_running()
{
	local out code=0
	printf 'probes:\n  disabled: [blkio, prco]\n' >"$tmp/c.yaml"
	refuses "c\\.yaml:2:3: probes\\.disabled: there is no probe 'prco' \\(did you mean 'proc'\\?\\)"
	out=$(LINNIX_PROBES_DISABLED=blkio,nosuch "$linnixd" --config /dev/null --check-config 2>&1) || code=$?
	[ "$code" -eq 2 ] || fail "exit code $code: $out"
	grep -q "^environment: probes.disabled: there is no probe 'nosuch'$" <<<"$out" || fail "$out"
	printf 'probes: { disabled: [sched, proc, cgroup, blkio, mem] }\n' >"$tmp/c.yaml"
	"$linnixd" --config "$tmp/c.yaml" --check-config || fail "the probes that there are"
}

run broken tab_in_indentation huge nested_lists nested_maps binary null_bytes a_folder missing_file unknown_plugin \
	unknown_key_with_a_suggestion aliases_are_refused all_errors_at_once toml_gets_a_hint right_one_is_accepted \
	flag_beats_environment_beats_file_beats_default dump_tells_origins unknown_variable_only_warns bad_variable_is_named \
	what_a_plugin_says_of_its_section unknown_probe_is_not_left_running explain_tells_who_wants_what explain_opens_nothing_beside_a_running_agent usage
