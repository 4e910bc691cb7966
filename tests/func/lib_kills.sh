# shellcheck shell=bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# The agent killed with -9 while the store writes, for the suite and for make soak: the file is whole each time, and what was
# answered before is there.
#
# The caller has sourced lib.sh, which sets these.
# shellcheck disable=SC2154

# killed_while_writing ROUNDS: at most 12, there are no more than 128 silences
killed_while_writing()
{
	local n i rounds=$1
	need_root
	for ((n = 1; n <= rounds; n++)); do
		start_agent
		open() { get /metrics | grep -q '^linnix_store_writable 1'; }
		poll 20 open || fail "round $n: $(cat "$log")"
		for ((i = 0; i < 20; i++)); do
			curl -fsS --unix-socket "$socket" -H 'Content-Type: application/json' \
				-d "{\"match\":\"rule=r$n-$i\",\"for\":\"2h\"}" http://localhost/silences >/dev/null || break
		done &
		writer=$!
		some() { [ "$(get /silences | jq length)" -ge $(((n - 1) * 5 + 5)) ]; }
		poll 20 some || fail "round $n: nothing is written"
		kill -9 "$agent"
		wait "$agent" "$writer" 2>/dev/null
		"$linnix" incidents verify --db "$LINNIX_STORE_PATH" >/dev/null || fail "round $n: the log is broken"
	done
	[ -z "$(find "$tmp" -name '*.damaged*')" ] || fail "the file was damaged"
	start_agent
	all() { [ "$(get /silences | jq length)" -ge $((rounds * 5)) ]; }
	poll 20 all || fail "too many are lost: $(get /silences | jq length)"
}
