#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# The alerts of etc/prometheus and the board of etc/grafana: the alerts as promtool judges them, and every query against
# a real Prometheus that scrapes a real agent which sees a real contention.
# TIMEOUT: 180

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"

alerts_fire_when_they_should()
{
	need promtool
	promtool check rules etc/prometheus/linnix.rules.yml || fail "promtool check rules"
	promtool test rules tests/data/prometheus/linnix.rules.test.yml || fail "promtool test rules"
}

start_prometheus()
{
	prom_port=$(free_port)
	prom=http://127.0.0.1:$prom_port
	cat >"$tmp/prometheus.yml" <<-END
		global: { scrape_interval: 1s, evaluation_interval: 1s }
		rule_files: [$PWD/etc/prometheus/linnix.rules.yml]
		scrape_configs:
		  - job_name: linnix
		    static_configs: [{ targets: ["127.0.0.1:$ops_port"] }]
	END
	prometheus --config.file="$tmp/prometheus.yml" --storage.tsdb.path="$tmp/tsdb" --web.listen-address="127.0.0.1:$prom_port" \
		--log.level=warn >"$tmp/prometheus.log" 2>&1 &
	is_up() { curl -fsS -m $((2 * patience)) "$prom/-/ready" >/dev/null 2>&1; }
	poll 20 is_up || fail "prometheus: $(cat "$tmp/prometheus.log")"
}

# value QUERY: of its first series, or nothing.
value() { curl -fsS -m $((10 * patience)) --data-urlencode "query=$1" "$prom/api/v1/query" | jq -r '.data.result[0].value[1] // empty'; }
over() { awk -v v="$(value "$1")" -v least="$2" 'BEGIN { exit !(v != "" && v > least) }'; }

groups=()
remove_groups()
{
	local g n
	finish
	for g in "${groups[@]+"${groups[@]}"}"; do
		for ((n = 0; n < 100; n++)); do
			rmdir "$g" 2>/dev/null && break
			nap 0.05
		done
	done
}

# spin GROUP: in a cgroup of that name on the last CPU, until the test ends.
spin()
{
	mkdir "$v2/$1" || skip "no right to make cgroups"
	groups+=("$v2/$1")
	(
		echo "$BASHPID" >"$v2/$1/cgroup.procs"
		exec taskset -c "$(($(getconf _NPROCESSORS_ONLN) - 1))" bash -c 'while :; do :; done'
	) &
}

every_query_of_the_board_gives_data()
{
	local victim=linnix-board-victim-$$ culprit=linnix-board-culprit-$$ ops_port pair
	need_root
	need prometheus
	need jq
	need taskset
	v2=$(awk '$0 ~ / - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
	if [ -z "$v2" ] || [ ! -r /proc/pressure/cpu ]; then skip "no cgroup v2, or no PSI"; fi
	trap remove_groups EXIT
	ops_port=$(free_port)
	export LINNIX_HTTP_OPS_LISTEN=127.0.0.1:$ops_port
	start_agent
	need_exact
	start_prometheus
	spin "$victim"
	spin "$culprit"
	pair="rate(linnix_blame_stall_seconds_total{culprit_kind=\"neighbour\", victim_workload=\"$victim\", culprit_workload=\"$culprit\"}[5s])"
	poll 40 over "$pair" 0.1 || fail "Prometheus sees no blame: $(get /metrics | grep -F linnix-board)"
	tests/func/board_queries.py etc/grafana/linnix.json "$prom" "$victim" || fail "etc/grafana/linnix.json"
	# What the board would show of it: the victim suffers, the culprit causes most of that.
	poll 10 over "sum(rate(linnix_workload_stall_seconds_total{victim_workload=\"$victim\", resource=\"cpu\", kind=\"some\"}[5s]))" 0.1 ||
		fail "the victim does not suffer"
	# The alerts as this Prometheus has them: each is evaluated without an error, and an agent that is there is not down.
	evaluated() { curl -fsS "$prom/api/v1/rules" >"$tmp/rules" && jq -e '[.data.groups[].rules[] | select(.health == "ok")] | length >= 5' "$tmp/rules" >/dev/null; }
	poll 10 evaluated || fail "alerts: $(cat "$tmp/rules")"
	jq -e '.data.groups[].rules[] | select(.name == "AgentDown") | .state == "inactive"' "$tmp/rules" >/dev/null || fail "AgentDown: $(cat "$tmp/rules")"
}

run alerts_fire_when_they_should every_query_of_the_board_gives_data
