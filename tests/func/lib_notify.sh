# shellcheck shell=bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# For functional tests of what is sent to people, and comes back from them: sourced after lib.sh.
# shellcheck disable=SC2034,SC2154

# receiver: a server in $tmp/recv; sets $recv (its URL)
receiver()
{
	need python3
	mkdir -p "$tmp/recv"
	python3 tests/func/notify_server.py "$tmp/recv" &
	poll 20 test -s "$tmp/recv/port" || fail "the receiver does not start"
	recv=http://127.0.0.1:$(cat "$tmp/recv/port")
}

answers_with() { printf '%s\n' "$@" >"$tmp/recv/answers"; }
requests() { cat "$tmp/recv/requests" 2>/dev/null; }
has_requests() { [ "$(requests | wc -l)" -ge "$1" ]; }
bodies() { requests | jq -r .body; }

secret()
{
	printf '%s\n' "$2" >"$tmp/$1"
	chmod 600 "$tmp/$1"
}

# clicked TIMESTAMP FORM [SIGNATURE]: as Slack posts it; prints "BODY STATUS"
clicked()
{
	local mac
	mac=$(printf 'v0:%s:%s' "$1" "$2" | openssl dgst -sha256 -hmac a-secret | sed 's/.* //')
	curl -sS -m $((10 * patience)) -w ' %{http_code}' -H "X-Slack-Request-Timestamp: $1" -H "X-Slack-Signature: v0=${3:-$mac}" \
		-H 'Content-Type: application/x-www-form-urlencoded' --data-binary "$2" "$url/slack/actions" | tr '\n' ' '
}

# form VERB ID [RESPONSE_URL]: what Slack posts for a click on a button of ours
form()
{
	printf 'payload=%s' "$(jq -rn --arg v "$1" --arg id "$2" --arg r "${3:-}" '{type: "block_actions", user: {id: "U024BE7LH", username: "ann"},
		response_url: $r, actions: [{action_id: ("linnix." + $v + ".0"), value: $id}]} | tojson | @uri')"
}
