#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# A minute of a workload that is busy and alone: nobody is blamed for it, and no rule says anything at warning or above. Needs a
# machine that does nothing else.
# TIMEOUT: 180

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/func/lib_cgroups.sh
. "$(dirname "$0")/lib_cgroups.sh"
busy='' # set by group

minute_ms=60000
# What daemons and the agent itself may take from it, of which a rule's threshold is the tenfold.
daemons_ms_per_s=10

stalled_us() { awk '/^some/ { sub("total=", "", $5); print $5 }' /proc/pressure/cpu; }

# Others hold each other up for less than 2 % of a while.
quiet_machine()
{
	local from until=$(($(now_ms) + 3000))
	from=$(stalled_us)
	past() { nap 1; [ "$(now_ms)" -ge "$until" ]; }
	poll 10 past
	[ $(($(stalled_us) - from)) -le 60000 ]
}

loud_alerts() { get '/events?type=alert&limit=10000' | jq -c '.[] | select(.severity != "info" and .state == "firing")'; }

busy_and_alone_is_a_quiet_minute()
{
	local over_at ran share
	[ "$(nproc)" -ge 2 ] || skip "there is no CPU for the test itself"
	exact_agent
	# What looks is not what is looked at: the test has the other CPU. The agent goes where it likes.
	taskset -cp 0 "$BASHPID" >/dev/null
	poll 30 quiet_machine || skip "this machine is busy: $(head -1 /proc/pressure/cpu)"
	group busy
	(
		enter "$busy" || exit 1
		exec taskset -c 1 bash -c 'while :; do :; done'
	) &
	over_at=$(($(now_ms) + minute_ms))
	# Looked at once a second: more would be a storm of processes itself.
	over() { nap 1; [ "$(now_ms)" -ge "$over_at" ] || [ -n "$(loud_alerts)" ]; }
	poll $((minute_ms / 1000 + 30)) over || fail "the agent does not answer"
	[ -z "$(loud_alerts)" ] || fail "$(loud_alerts)"
	ran=$(awk '/^usage_usec/ { print int($2 / 1000) }' "$v2/$busy/cpu.stat")
	[ "$ran" -ge $((minute_ms * 9 / 10)) ] || skip "this machine is busy: it ran for $ran ms of $minute_ms"
	get "/blame?since=60s&victim=$(stat -c %i "$v2/$busy")" >"$tmp/blame" || fail "/blame"
	share=$(jq '[.victims[].parts[] | select(.kind == "neighbour" or .kind == "sibling") | .stall_ms] | max // 0' "$tmp/blame")
	echo "the largest neighbour: $share ms in $minute_ms ms"
	jq -ne "$share <= $minute_ms * $daemons_ms_per_s / 1000" >/dev/null || fail "somebody is blamed: $(cat "$tmp/blame")"
	get /incidents | jq -e 'all(.[]; .severity == "info")' >/dev/null || fail "$(get /incidents)"
}

run busy_and_alone_is_a_quiet_minute
