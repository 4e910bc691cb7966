#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# A real agent with a small CPU budget under a load of switches: it sheds first the detail of processes, then the ledger, says so
# in every answer that it touches, goes on answering, and takes both back when the load is gone.
# TIMEOUT: 180

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/func/lib_cgroups.sh
. "$(dirname "$0")/lib_cgroups.sh"

# 40 millicores: more than the agent needs by itself on a busy machine, less than the ledger of as many switches as fit. An instrumented
# agent needs more, its programs in the kernel do not; and on a slow machine both need more, so it is asked what it needs.
least_millicores=40
[ -z "${LNX_SAN:-}" ] || least_millicores=60

small_budget()
{
	export LINNIX_BUDGET_CPU_PCT=100 LINNIX_BUDGET_CPU_MAX_MILLICORES=$1 LINNIX_BUDGET_BURST=1s LINNIX_STALL_SHED_FOR=1s
}

# costs: what the agent cost in each of the last windows while it was only asked, in millicores.
costs() { get '/events?type=agent.cost&limit=100' | jq '[.[-4:][] | (.user_ns + .bpf_ns) * 1000 / .window_ns | ceil]'; }
some_costs() { costs | jq -e 'length == 4' >/dev/null; }

# An exact agent with three times the budget that it needs while nothing happens but that it is asked.
sparing_agent()
{
	local calm
	small_budget 1000
	prepare
	unset LINNIX_BUDGET_CPU_MAX_MILLICORES
	echo 'budget: { cpu_max_millicores: 1000 }' >"$tmp/linnix.yaml"
	agent_args=(--config "$tmp/linnix.yaml")
	exact_agent
	poll 20 some_costs || fail "no agent.cost: $(get '/events?type=agent.cost')"
	calm=$(costs | jq max)
	small_millicores=$((3 * calm > least_millicores ? 3 * calm : least_millicores))
	echo "$calm millicores when calm, the budget is $small_millicores"
	echo "budget: { cpu_max_millicores: $small_millicores }" >"$tmp/linnix.new"
	mv "$tmp/linnix.new" "$tmp/linnix.yaml"
	kill -HUP "$agent"
	has_budget() { get '/events?type=agent.cost&limit=100' | jq -e --argjson n "$small_millicores" '.[-1] | .budget_ns * 1000 / .window_ns | round == $n' >/dev/null; }
	poll 10 has_budget || fail "the budget is not taken: $(get '/events?type=agent.cost' | tail -1) $(tail -3 "$log")"
	poll 10 level_is 0 || fail "it sheds without a load: $(get /status | jq -c .self)"
}

# Who asks all the time is a load, too.
calmly()
{
	nap 0.5
	"$@"
}
level_is() { [ "$(metric linnix_stall_shed_level)" = "$1" ]; }
level_is_at_least() { [ "$(metric linnix_stall_shed_level)" -ge "$1" ]; }
header_of() { curl -sS -m $((10 * patience)) -o /dev/null -D - "$url$1" | tr -d '\r' | sed -n 's/^X-Linnix-Degraded: //ip'; }
tier() { get /status | jq -r .tiers.cpu; }
is_tier() { [ "$(tier)" = "$1" ]; }
degraded_has() { get /readyz | jq -e --arg t "$1" '[.degraded[] | select(contains($t))] | length > 0' >/dev/null; }

budget_is_kept_and_what_it_took_comes_back()
{
	local load events
	need stress-ng
	sparing_agent
	! header_of '/blame?resource=cpu&since=2s' | grep -q budget || fail "$(header_of /blame)"
	stress-ng -q --switch 2 --timeout 600s &
	load=$!
	poll 30 level_is_at_least 1 || fail "nothing is shed: $(get /status | jq -c .self)"
	poll 30 level_is 2 || fail "the ledger is not shed: $(get /status | jq -c .self)"
	poll 5 is_tier psi-only || fail "the tier is $(tier)"
	degraded_has "stall: budget: the agent is over its CPU budget" || fail "/readyz: $(get /readyz)"
	[ "$(status_of /readyz)" = 200 ] || fail "/readyz is $(status_of /readyz)"
	header_of '/blame?resource=cpu' | grep -q 'over its CPU budget' || fail "/blame: $(header_of '/blame?resource=cpu')"
	header_of /processes | grep -q 'psi_contribution.*over its CPU budget' || fail "/processes: $(header_of /processes)"
	header_of /workloads | grep -q 'over its CPU budget' || fail "/workloads: $(header_of /workloads)"
	get '/processes?limit=1' | jq -e '.[0].psi_contribution == null' >/dev/null || fail "a share that nobody measured"
	noted() { get '/blame?resource=cpu&since=20s' | jq -e '[.victims[].notes[]] | any(. == "over-budget-psi-only")' >/dev/null; }
	poll 5 noted || fail "no note: $(get '/blame?resource=cpu&since=20s')"
	# It is what the budget asked for: the ledger costs nothing any more.
	events=$(get /status | jq '.probes[] | select(.name == "sched") | .runs')
	[ -n "$events" ] || fail "no probe sched"
	level_is 2 || fail "it came back under load"
	[ "$(get /status | jq '.probes[] | select(.name == "sched") | .runs')" = "$events" ] || fail "the ledger counts on"
	kill "$load"
	wait "$load"
	poll 60 calmly level_is 0 || fail "it does not come back: $(get /status | jq -c .self) $(get /readyz)"
	poll 10 is_tier exact || fail "the tier is $(tier)"
	! degraded_has "over its CPU budget" || fail "/readyz: $(get /readyz)"
	# And it measures as before.
	covered() { get '/blame?resource=cpu&since=2s&victim=_node' | jq -e '.victims[0] | .method == "exact" and .coverage_ratio >= 0.9' >/dev/null; }
	poll 15 covered || fail "$(get '/blame?resource=cpu&since=2s&victim=_node')"
	[ "$(metric linnix_stall_sheds_total)" -ge 2 ] || fail "sheds are not counted"
}

cost_is_told()
{
	local n
	need jq
	small_budget 1
	export LINNIX_BUDGET_MEMORY_MB=8
	start_agent
	told() { get '/events?type=agent.cost' | jq -e 'length > 1' >/dev/null; }
	poll 15 told || fail "no agent.cost"
	get '/events?type=agent.cost' | jq -e '.[-1] | .budget_ns > 0.9e6 * .window_ns / 1e9 and .budget_ns < 1.1e6 * .window_ns / 1e9 and .user_ns > 0 and .rss_bytes > 1e6' >/dev/null ||
		fail "$(get '/events?type=agent.cost')"
	get /status | jq -e '.self | .budget_used_ratio > 0 and .budget_memory_mb == 8' >/dev/null || fail "$(get /status | jq -c .self)"
	poll 10 degraded_has "budget: memory: " || fail "$(get /readyz)"
	n=$(metric linnix_budget_used_ratio)
	awk -v n="$n" 'BEGIN { exit !(n > 0) }' || fail "linnix_budget_used_ratio is $n"
}

run budget_is_kept_and_what_it_took_comes_back cost_is_told
