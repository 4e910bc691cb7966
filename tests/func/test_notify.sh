#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Incidents brought to receivers: what arrives, what is tried again, what outlives kill -9. An alert of ours is a program with a
# name of ours that starts.
# TIMEOUT: 240
# BESIDE: nothing is timed but that something takes at least so long

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/func/lib_notify.sh
. "$(dirname "$0")/lib_notify.sh"

# alerting: rules of ours alone. lnx-fire-N makes alert fire-N.
alerting()
{
	local n
	need_root
	need jq
	prepare
	mkdir "$tmp/rules" "$tmp/bin"
	for n in 1 2 3; do
		cat >"$tmp/rules/fire$n.lua" <<-END
			rule "fire-$n" {
			  on = "proc.exec",
			  where = { comm = "lnx-fire-$n" },
			  by = "pid",
			  window = { n = "count 1s" },
			  when = function(w) return w.n >= 1 end,
			  keep = "1s",
			  value = "n",
			  severity = "warning",
			  runbook = "https://runbooks.example/fire",
			  say = "{comm} fires <!channel> & more",
			}
		END
		ln -s /bin/true "$tmp/bin/lnx-fire-$n"
	done
	export LINNIX_RULES_DIR=$tmp/rules LINNIX_INCIDENT_QUIET=1s LINNIX_STALL_ENABLED=false
}

fire() { "$tmp/bin/lnx-fire-$1"; }
incident_of() { get /incidents | jq -r --arg r "fire-$1" '[.[] | select(.rule == $r)][0].id // empty'; }
is_told() { bodies | grep -c "incident.$1\"" | grep -qx "$2"; }
saw_exec() { /bin/true && [ "$(metric 'linnix_events_total{type="proc.exec"}')" -gt 0 ]; }
# fires N: once, when programs that start are seen: a second alert would join the incident.
fires()
{
	poll 20 saw_exec || fail "no program is seen: $(get /status | jq -c .probes) $(cat "$log")"
	fire "$1"
	poll 20 has_incident "$1" || fail "no incident: $(cat "$log")"
}

manager()
{
	need prometheus-alertmanager
	am=http://127.0.0.1:$(free_port)
	cat >"$tmp/am.yml" <<-END
		route: {receiver: none}
		receivers: [{name: none}]
	END
	prometheus-alertmanager --config.file="$tmp/am.yml" --storage.path="$tmp/am" --web.listen-address="${am#http://}" \
		--cluster.listen-address= >"$tmp/am.log" 2>&1 &
	poll 30 curl -fsS -o /dev/null "$am/-/ready" || fail "no Alertmanager: $(cat "$tmp/am.log")"
}
am_alerts() { curl -fsS "$am/api/v2/alerts"; }

signed()
{
	python3 - "$tmp/recv/requests" /hook a-key <<-'END'
		import hashlib, hmac, json, sys
		n = 0
		for line in open(sys.argv[1]):
		    r = json.loads(line)
		    if r["path"] != sys.argv[2]:
		        continue
		    t, v1 = (part.split("=", 1)[1] for part in r["headers"]["Linnix-Signature"].split(","))
		    want = hmac.new(sys.argv[3].encode(), f"{t}.{r['body']}".encode(), hashlib.sha256).hexdigest()
		    assert hmac.compare_digest(want, v1), r
		    assert abs(r["time"] - int(t)) < 30, r
		    n += 1
		assert n >= 2, n
	END
}

every_receiver_hears_of_opening_and_end()
{
	local id
	alerting
	receiver
	manager
	export LINNIX_INCIDENT_QUIET=4s # so long it stands there, for us to see it
	secret key a-key
	secret url "$recv/slack/T0/B0/x"
	cat >"$tmp/linnix.yaml" <<-END
		webhook: {enabled: true, url: "$recv/hook", secret_file: $tmp/key, token_file: $tmp/key}
		webhook.ce: {enabled: true, url: "$recv/events", format: cloudevents, evidence: false}
		slack: {enabled: true, webhook_url_file: $tmp/url}
		alertmanager: {enabled: true, url: "$am/", resend: 1s}
		journal: {enabled: true}
		notify: {link_url: "https://agent.example"}
		node: {name: node-7}
		cluster: {name: blue}
	END
	agent_args=(--config "$tmp/linnix.yaml")
	start_agent
	fires 1
	id=$(incident_of 1)
	listed() { am_alerts >"$tmp/alerts" && jq -e '.[0].labels' "$tmp/alerts" >/dev/null; }
	poll 20 listed || fail "Alertmanager lists nothing: $(cat "$log")"
	jq -e --arg id "$id" 'length == 1 and (.[0] | (.labels | keys - ["alertname", "severity", "node", "cluster", "namespace", "pod",
		"workload", "culprit_namespace", "culprit_workload"] | length == 0) and .labels.alertname == "fire-1" and
		.labels.severity == "warning" and .labels.node == "node-7" and .labels.cluster == "blue" and
		(.annotations | keys == ["description", "runbook_url", "summary"]) and .status.state == "active" and
		.annotations.runbook_url == "https://runbooks.example/fire" and
		.generatorURL == "https://agent.example/incidents/" + $id)' "$tmp/alerts" >/dev/null || fail "$(cat "$tmp/alerts")"
	# No program of that name starts any more.
	gone() { [ "$(am_alerts | jq length)" -eq 0 ]; }
	poll 20 gone || fail "Alertmanager still lists it: $(am_alerts)"
	all_told() { [ "$(requests | jq -r .path | sort | uniq -c | awk '$1 >= 2' | wc -l)" -eq 3 ]; }
	poll 20 all_told || fail "told: $(requests)"
	signed || fail "signature"
	requests | jq -es --arg id "$id" '[.[] | select(.path == "/hook")] | (.[0].body | fromjson) as $b | (.[1].body | fromjson) as $c |
		.[0].headers["Content-Type"] == "application/json" and .[0].headers.Authorization == "Bearer a-key" and
		$b.schema == 1 and $b.node == "node-7" and $b.cluster == "blue" and ($b.boot_id | length) > 8 and
		$b.events[0].type == "incident.open" and $b.events[0].incident.id == $id and
		$b.events[0].url == "https://agent.example/incidents/" + $id and
		($b.events[0].incident.evidence | length) > 0 and ($b.events[0].incident.explanation.text | length) > 0 and
		.[0].headers["Linnix-Delivery"] == $b.events[0].delivery and
		$c.events[0].type == "incident.close" and $c.events[0].incident.state == "closed" and
		$c.events[0].delivery != $b.events[0].delivery' >/dev/null || fail "webhook: $(requests)"
	requests | jq -es --arg id "$id" '[.[] | select(.path == "/events")] | (.[0].body | fromjson) as $b |
		.[0].headers["Content-Type"] == "application/cloudevents+json" and $b.specversion == "1.0" and
		$b.type == "dev.linnix.incident.open" and $b.source == "/linnix/blue/node-7" and $b.subject == $id and
		($b.id | startswith($id)) and ($b.time | fromdateiso8601? // (sub("\\.[0-9]+Z$"; "Z") | fromdateiso8601)) > 1600000000 and
		$b.data.id == $id and ($b.data | has("evidence") | not)' >/dev/null || fail "CloudEvents: $(requests)"
	[ ! -e "$tmp/recv/refused" ] || fail "Slack would refuse: $(cat "$tmp/recv/refused")"
	requests | jq -es '[.[] | select(.path | startswith("/slack"))] | (.[0].body | fromjson | .blocks | tostring) as $b |
		($b | contains("lnx-fire-1 fires &lt;!channel&gt; &amp; more")) and ($b | contains("node-7"))' >/dev/null || fail "Slack: $(requests)"
	# Lines of JSON on standard output; the log is on the other.
	grep '^{' "$log" | jq -es --arg id "$id" '[.[] | select(.id == $id)] | .[0].type == "incident.open" and .[1].type == "incident.close" and
		.[0].culprit != "" and .[1].closed > .[0].opened' >/dev/null || fail "journal: $(cat "$log")"
	! grep -rq -e a-key -e /slack/T0 "$log" || fail "a secret is in the log"
	both_delivered() { [ "$(metric 'linnix_notify_delivered_total{channel="webhook.ce"}')" -eq 2 ]; }
	poll 10 both_delivered || fail "$(get /metrics | grep notify)"
	[ "$(sum_metric linnix_notify_dropped_total)" = 0 ] || fail "$(get /metrics | grep notify)"
	get /plugins | jq -e '[.[] | select(.plugin == "notify")] | .[0].state == "running"' >/dev/null || fail "$(get /plugins)"
}

failures_are_tried_again()
{
	local tries
	alerting
	receiver
	answers_with 500 429:2 kill hang 200
	export LINNIX_WEBHOOK_ENABLED=true LINNIX_WEBHOOK_URL=$recv/hook LINNIX_WEBHOOK_TIMEOUT=2s LINNIX_INCIDENT_QUIET=60s
	start_agent
	fires 1
	delivered() { [ "$(metric 'linnix_notify_delivered_total{channel="webhook"}')" -eq 1 ]; }
	poll 40 delivered || fail "$(requests) $(cat "$log")"
	tries=$(requests | jq -s length)
	[ "$tries" -eq 5 ] || fail "$tries tries: $(requests)"
	[ "$(metric 'linnix_notify_failures_total{channel="webhook"}')" -eq 4 ] || fail "$(get /metrics | grep notify)"
	requests | jq -es '([.[].headers["Linnix-Delivery"]] | unique | length == 1) and ([.[].body] | unique | length == 1) and
		.[1].time - .[0].time > 0.4 and .[2].time - .[1].time >= 2 and .[3].time - .[2].time > 1.5' >/dev/null || fail "$(requests)"
	log_has 'webhook: the receiver answers 500; it is tried again' || fail "$(cat "$log")"
}

nothing_is_lost_by_kill_9()
{
	local id port
	alerting
	need jq
	port=$(free_port)
	export LINNIX_WEBHOOK_ENABLED=true LINNIX_WEBHOOK_URL=http://127.0.0.1:$port/hook LINNIX_INCIDENT_QUIET=2s LINNIX_WEBHOOK_RATE=0
	# Nobody listens: it is queued, and not delivered.
	start_agent
	fires 1
	id=$(incident_of 1)
	queued() { [ "$(metric 'linnix_notify_waiting{channel="webhook"}')" -ge 1 ] && [ "$(metric linnix_store_waiting)" = 0 ]; }
	poll 20 queued || fail "$(get /metrics | grep -e notify -e store)"
	kill -9 "$agent"
	wait "$agent" 2>/dev/null
	need python3
	mkdir "$tmp/recv"
	# The first answer breaks: taken or not, nobody knows. Killed again, then.
	answers_with hang 200
	python3 tests/func/notify_server.py "$tmp/recv" "$port" &
	poll 20 test -s "$tmp/recv/port" || fail "the receiver does not start"
	start_agent
	poll 30 has_requests 1 || fail "not delivered after the restart: $(cat "$log")"
	kill -9 "$agent"
	wait "$agent" 2>/dev/null
	start_agent
	poll 30 is_told close 1 || fail "$(requests) $(cat "$log")"
	requests | jq -es --arg id "$id" '[.[] | {d: .headers["Linnix-Delivery"], e: (.body | fromjson | .events[0])}] |
		all(.[]; .e.incident.id == $id) and .[0].e.type == "incident.open" and .[0].d == .[1].d and
		([.[1:][].d] | (unique | length) == length) and .[-1].e.type == "incident.close"' >/dev/null || fail "$(requests)"
	quiet() { [ "$(metric 'linnix_notify_waiting{channel="webhook"}')" -eq 0 ]; }
	poll 10 quiet || fail "$(get /metrics | grep notify)"
}

without_configuration_nothing_loads()
{
	need jq
	need_root
	start_agent
	get /plugins | jq -e '[.[] | select(.plugin as $p | ["slack", "webhook", "alertmanager", "journal", "notify"] | index($p))] |
		length == 5 and all(.[]; .state == "off" and .subscriptions == [])' >/dev/null || fail "$(get /plugins)"
	! grep -q libcurl "/proc/$agent/maps" || fail "libcurl is loaded"
	! get /metrics | grep -q '^linnix_notify' || fail "there are metrics of it"
}

mistakes_are_told()
{
	local row file
	need jq
	need_root
	prepare
	printf 'https://hooks.example/SECRET\n' >"$tmp/open"
	chmod 644 "$tmp/open"
	printf 'two\nlines\n' >"$tmp/lines"
	: >"$tmp/empty"
	chmod 600 "$tmp/lines" "$tmp/empty"
	cat >"$tmp/linnix.yaml" <<-END
		slack: {enabled: true, webhook_url_file: $tmp/open}
		slack.gone: {enabled: true, webhook_url_file: $tmp/nowhere}
		webhook.key: {enabled: true, url: "http://127.0.0.1:1/", secret_file: $tmp/lines}
		alertmanager: {enabled: true, url: "http://127.0.0.1:1/", token_file: $tmp/empty}
	END
	agent_args=(--config "$tmp/linnix.yaml")
	start_agent
	for row in "slack: .*/open is open to everyone: chmod o-rw" "slack.gone: .*/nowhere: No such file" \
		"webhook.key: .*/lines must hold one line" "alertmanager: .*/empty must hold one line"; do
		log_has "$row" || fail "$row: $(cat "$log")"
	done
	! log_has SECRET || fail "the secret is in the log"
	[ "$(status_of /readyz)" = 503 ] || fail "a lost notifier is not told: $(get /readyz)"
	# What the file alone tells is told with its place, and by --check-config as by the start.
	file=$tmp/bad.yaml
	cat >"$file" <<-END
		slack.none: {enabled: true}
		webhook: {enabled: true}
		webhook.ftp: {enabled: true, url: "ftp://127.0.0.1/"}
		alertmanager: {enabled: true, url: here}
		journal: {enabled: true, socket: here}
		notify: {link_url: agent}
		enforce: {enabled: true, verbs: [kill], lease: 2h}
		triage: {llm: {endpoint: "http://127.0.0.1:1/v1?x"}}
	END
	! "$linnixd" --config "$file" --check-config >"$tmp/bad.out" 2>&1 || fail "it is taken"
	for row in "slack.none.webhook_url_file: is needed" "webhook.url: either url or url_file is needed" \
		"bad.yaml:3:.*: webhook.ftp.url: 'ftp:.*must be http" "bad.yaml:4:.*: alertmanager.url: 'here' must be http" \
		"bad.yaml:5:.*: journal.socket: 'here' must be a path" "bad.yaml:6:.*: notify.link_url: 'agent' must be http" \
		"bad.yaml:7:.*: enforce.verbs: 'kill' is not one of" "bad.yaml:7:.*: enforce.lease: is longer than max_lease" \
		"bad.yaml:8:.*: triage.llm.endpoint: .*up to /v1" "triage.llm.model: is needed"; do
		grep -q "$row" "$tmp/bad.out" || fail "$row: $(cat "$tmp/bad.out")"
	done
	# The start itself says no, too; what only the machine tells did not stop it above.
	"$linnixd" --config "$file" >"$tmp/bad.out" 2>&1
	[ $? -eq 2 ] || fail "it starts: $(cat "$tmp/bad.out")"
	printf 'webhook:\n  enabled: true\n  urll: x\n' >"$file"
	"$linnixd" --config "$file" --check-config 2>&1 | grep -q "bad.yaml:3:3: webhook: unknown key 'urll' (did you mean 'url'?)" ||
		fail "$("$linnixd" --config "$file" --check-config 2>&1)"
}

# llm_says NUMBER TEXT: incident NUMBER, explained after the model answered with TEXT in its one sentence
llm_says()
{
	printf '{"summary": {"text": "%s", "evidence": ["%s"]}, "facts": []}' "$2" "${3:-@E1@}" >"$tmp/recv/llm"
	fires "$1"
}
has_incident() { [ -n "$(incident_of "$1")" ]; }
llm_told() { [ "$(metric "linnix_triage_llm_total{result=\"$1\"}")" -ge "$2" ]; }

a_model_is_believed_only_in_what_is_evidence()
{
	alerting
	receiver
	secret key sk-KEY
	export LINNIX_TRIAGE_LLM_ENDPOINT=$recv/v1 LINNIX_TRIAGE_LLM_MODEL=tiny LINNIX_TRIAGE_LLM_API_KEY_FILE=$tmp/key \
		LINNIX_TRIAGE_LLM_TIMEOUT=2s LINNIX_INCIDENT_QUIET=60s LINNIX_HTTP_SOCKET=$socket
	answers_with hang 200
	start_agent
	fires 1
	poll 20 llm_told timeout 1 || fail "$(get /metrics | grep llm)"
	llm_says 2 "The figure was @NUMBER@."
	poll 20 llm_told accepted 1 || fail "$(get /metrics | grep llm) $(cat "$log") $(requests)"
	requests | jq -es '.[0].path == "/v1/chat/completions" and .[0].headers.Authorization == "Bearer sk-KEY" and
		(.[0].body | fromjson | .model == "tiny" and .response_format.type == "json_schema")' >/dev/null || fail "$(requests)"
	"$linnix" incidents explain "$(incident_of 2)" >"$tmp/explain" || fail "explain"
	grep -q 'Written by the model tiny' "$tmp/explain" || fail "$(cat "$tmp/explain")"
	# A number out of nowhere.
	llm_says 3 "It was 123456.7 ms."
	poll 20 llm_told unknown_number 1 || fail "$(get /metrics | grep llm)"
	"$linnix" incidents explain "$(incident_of 3)" | grep -q 'Written by linnix, from the evidence alone' || fail "who wrote it is not told"
	get "/incidents/$(incident_of 3)" | jq -e '.explanation.source == "deterministic"' >/dev/null || fail "an invented number stands"
	! log_has sk-KEY || fail "the key is in the log"
	# A name may turn out to be another machine, whatever it looks like.
	stop_agent TERM
	need unshare
	printf '192.0.2.7 localhost.example\n' >"$tmp/hosts"
	# shellcheck disable=SC2016 # for the inner shell
	launcher=(unshare -m bash -c 'mount --bind "$0" /etc/hosts && exec "$@"' "$tmp/hosts")
	LINNIX_TRIAGE_LLM_ENDPOINT=http://localhost.example:${recv##*:}/v1 LINNIX_STORE_PATH=$tmp/other.db start_agent
	fires 1
	poll 20 llm_told failed 1 || fail "$(get /metrics | grep llm)"
	log_has 'llm: failed: only addresses of this machine are allowed' || fail "$(tail -5 "$log")"
}

run a_model_is_believed_only_in_what_is_evidence every_receiver_hears_of_opening_and_end failures_are_tried_again nothing_is_lost_by_kill_9 without_configuration_nothing_loads \
	mistakes_are_told
