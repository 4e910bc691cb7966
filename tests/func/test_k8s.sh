#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: it looks only at its own
#
# The agent in a cluster: pods by list and watch from a double that replays a real API server's answers over TLS, joined to
# real cgroups and processes; and what it says when the cluster is not as it should be.
# TIMEOUT: 240

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"

data=tests/data/k8s
bu_uid=c066a0f7-0a01-4065-9e7a-a9306ef153f3
bu_a=39f9534389615d7f7976d186f77546e7cacf4cbdf89c6461c394002afaa89559
static_hash=464dc128715474143259620572d276e2
static_id=6186271a873b1cd2cdd895888f077e1b74ceb118e770ffedd8c2028c62a644d5

# A throw-away authority, and a certificate of it for 127.0.0.1.
make_certs()
{
	need openssl
	local key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
	{
		openssl req -x509 "${key[@]}" -days 2 -subj "/CN=$1" -keyout "$tmp/$1.key" -out "$tmp/$1.crt"
		openssl req "${key[@]}" -subj /CN=kubernetes -keyout "$tmp/api.key" -out "$tmp/api.csr"
		openssl x509 -req -in "$tmp/api.csr" -CA "$tmp/$1.crt" -CAkey "$tmp/$1.key" -CAcreateserial -days 2 \
			-extfile <(echo subjectAltName=IP:127.0.0.1) -out "$tmp/api.crt"
	} 2>"$tmp/certs.log"
	[ -s "$tmp/api.crt" ] || fail "no certificates: $(cat "$tmp/certs.log")"
}

# Without protocols of its own it prefers h2, which it does not speak: our client must not offer that.
protocols=()
start_api()
{
	python3 tests/func/k8s_api.py "$api" "$api_port" "$tmp/api.crt" "$tmp/api.key" "${protocols[@]}" 2>>"$tmp/api.log" &
	api_pid=$!
	poll 20 curl -s -o /dev/null --http1.1 --cacert "$tmp/ca.crt" "https://127.0.0.1:$api_port/" || fail "the API's double: $(cat "$tmp/api.log")"
}

# A cluster with one node, "vm", as it was recorded.
cluster()
{
	need python3
	api=$tmp/api api_port=$(free_port)
	mkdir "$api"
	cp "$data/podlist_1.20.json" "$api/list.json"
	cp "$data/watch_410.txt" "$api"
	echo ok >"$api/mode"
	echo secret >"$api/token"
	echo secret >"$tmp/token"
	make_certs ca
	start_api
	export KUBERNETES_SERVICE_HOST=127.0.0.1 KUBERNETES_SERVICE_PORT=$api_port NODE_NAME=vm \
		LINNIX_K8S_TOKEN_FILE=$tmp/token LINNIX_K8S_CA_FILE=$tmp/ca.crt
}

readyz() { curl -sS -m $((5 * patience)) "$url/readyz"; }
says() { readyz | jq -e --arg t "$1" '(.reasons + .degraded) | any(test($t))' >/dev/null; }
is_synced() { [ "$(metric linnix_k8s_synced)" = 1 ]; }
# Pods are known and nothing is said of them.
is_well() { is_synced && ! says '^k8s: pods'; }
is_watched_twice() { [ "$(grep -c watch "$api/requests")" -ge 2 ]; }
is_asked_twice() { [ "$(grep -c resourceVersion=0 "$api/requests")" -ge 2 ]; }
is_asked_for_the_newest() { grep -v watch "$api/requests" | grep -qv resourceVersion; }
is_above() { [ "$(metric "$1")" -gt "$2" ]; }

v2_root() { awk '$9 == "cgroup2" || $8 == "cgroup2" { print $5; exit }' /proc/self/mountinfo; }

# Become a process in a cgroup of that path below the v2 hierarchy: in a subshell. The folders go when the test ends.
in_cgroup()
{
	local dir
	dir=$(v2_root)$1
	mkdir -p "$dir" || skip "cgroups cannot be made"
	shift
	echo "$BASHPID" >"$dir/cgroup.procs" && exec "$@"
}
drop_cgroups() { find "$(v2_root)/kubepods-lnx-$$" -depth -type d -exec rmdir {} + 2>/dev/null; }

without_a_cluster_it_costs_nothing()
{
	unset KUBERNETES_SERVICE_HOST
	start_agent
	grep -qE 'libcurl|libssl' "/proc/$agent/maps" && fail "libcurl is loaded"
	[ "$(metric linnix_http_client_requests_total)" = 0 ] || fail "something was asked"
	get /plugins | jq -e '[.[] | select(.plugin == "k8s" or .plugin == "http_client") | .state] | length == 2' >/dev/null || fail "not loaded"
	says '^k8s' && fail "it complains: $(readyz)"
	true
}

pods_are_listed_watched_and_joined()
{
	local top="/kubepods-lnx-$$/kubepods"
	need_root
	trap 'finish; drop_cgroups' EXIT
	cluster
	# one before the agent, a static pod's
	in_cgroup "$top/besteffort/pod$static_hash/$static_id" tail -f /dev/null &
	# before the first answer nobody has a name, and that is said
	echo hold >"$api/mode"
	start_agent
	poll 10 says 'the first list of pods has not come yet' || fail "not synced, and ready: $(readyz)"
	[ "$(status_of /readyz)" = 503 ] || fail "ready without names"
	"$linnix" doctor --url "$url" >"$tmp/doctor" 2>&1 && fail "doctor finds nothing"
	grep -q 'the first list of pods has not come yet' "$tmp/doctor" || fail "doctor: $(cat "$tmp/doctor")"
	[ "$(get "/processes?namespace=kube-system" | jq length)" = 0 ] || fail "named before the API told"
	echo ok >"$api/mode"
	poll 20 is_well || fail "not synced: $(readyz; tail -5 "$log")"
	[ "$(metric linnix_k8s_pods)" = 4 ] || fail "$(metric linnix_k8s_pods) pods"
	grep -q 'fieldSelector=spec.nodeName%3Dvm' "$api/requests" || fail "it asks for other nodes, too"
	(in_cgroup "$top/burstable/pod$bu_uid/$bu_a" sh -c 'exec true')
	poll 10 tagged shop bu "$bu_a" || fail "exec: $(get '/events?type=proc.exec&limit=5')"
	poll 10 answer_is "/processes?namespace=kube-system" "length == 1 and .[0].pod_name == \"static1-vm\" and .[0].workload == \"kube-system/static1\" and
		.[0].container_name == \"s\" and .[0].container_id == \"$static_id\"" || fail "processes: $(get '/processes?namespace=kube-system')"
	poll 10 answer_is "/workloads?namespace=shop&by=pod" '.[0] | .pod_name == "bu" and .kind == "pod" and .cpu_request_millicores == 50 and
		.memory_request_bytes == 16777216 and .qos == "burstable"' || fail "workloads: $(get '/workloads?namespace=shop&by=pod')"
	curl -sN "$url/stream?type=proc.exec&namespace=shop" >"$tmp/stream" &
	poll 5 grep -q hello "$tmp/stream" || fail "no stream"
	(in_cgroup "$top/burstable/pod$bu_uid/$bu_a" sh -c 'exec true')
	poll 5 grep -q "\"namespace\":\"shop\",\"container_id\":\"$bu_a\"" "$tmp/stream" || fail "stream: $(cat "$tmp/stream")"
	late_names
}
# answer_is PATH FILTER
answer_is() { get "$1" | jq -e "$2" >/dev/null; }
tagged() { get "/events?type=proc.exec&namespace=$1&limit=50" | jq -e --arg p "$2" --arg c "$3" 'any(.pod_name == $p and .container_id == $c)' >/dev/null; }

# A container that the API tells of after its first process has run and ended.
late_names()
{
	local uid=11111111-2222-3333-4444-555555555555 id
	id=$(printf '%064d' 7)
	(in_cgroup "$top/besteffort/pod$uid/$id" sh -c 'exec true')
	poll 5 untagged "$id" || fail "no exec of it"
	jq -c --arg u "$uid" --arg i "containerd://$id" '{type: "ADDED", object: (.items[1] | .kind = "Pod" | .apiVersion = "v1" | .metadata.uid = $u | .metadata.name = "late" |
		.metadata.resourceVersion = "1000" | .status.containerStatuses[0].containerID = $i)}' "$api/list.json" >>"$api/watch.jsonl"
	poll 10 tagged shop late "$id" || fail "late: $(get '/events?type=proc.exec&limit=3')"
}
untagged() { get "/events?type=proc.exec&limit=50" | jq -e --arg c "$1" 'any(.container_id == $c and .pod_name == "")' >/dev/null; }

trouble_is_named_and_gets_better()
{
	need jq
	cluster
	echo another >"$api/token"
	# the agent is there before the API
	kill "$api_pid"
	poll 5 is_gone "$api_pid"
	start_agent
	poll 20 says 'did not come.*onnect.*no names yet' || fail "down: $(readyz)"
	start_api
	poll 20 says 'refuses the token \(401\)' || fail "401: $(readyz)"
	[ "$(status_of /readyz)" = 503 ] || fail "ready without names"
	"$linnix" doctor --url "$url" >"$tmp/doctor" 2>&1
	grep -q 'refuses the token' "$tmp/doctor" || fail "doctor: $(cat "$tmp/doctor")"
	echo another >"$tmp/token" # it is read before every request
	poll 20 is_well || fail "a new token is not taken: $(readyz)"
	# the API goes away: what is known stays, and is said to be old
	kill "$api_pid"
	poll 20 says 'may be old' || fail "stale: $(readyz)"
	[ "$(status_of /readyz)" = 200 ] || fail "not ready: $(readyz)"
	[ "$(metric linnix_k8s_pods)" = 4 ] || fail "pods are forgotten"
	start_api
	poll 40 is_well || fail "it does not catch up: $(readyz)"
}

expired_versions_lead_to_a_list()
{
	local lists events
	cluster
	echo gone-watch >"$api/mode"
	start_agent
	poll 20 is_asked_twice || fail "410 as a line: $(cat "$api/requests")"
	poll 20 is_watched_twice || fail "no watch after a list: $(cat "$api/requests")"
	echo gone-list >"$api/mode"
	poll 20 is_asked_for_the_newest || fail "410 as a status: $(cat "$api/requests")"
	echo ok >"$api/mode"
	# an event ends the row of failures: before it a wait is up to 24 s, after it 1.5 s
	events=$(metric linnix_k8s_events_total) # the errors
	later_line 9000
	poll 60 is_above linnix_k8s_events_total "$events" || fail "$(readyz)"
	poll 10 is_well || fail "$(readyz)"
	lists=$(metric linnix_k8s_lists_total)
	# a stream that is cut in the middle of a line: nothing of that line is believed
	echo cut >"$api/mode"
	later_line 9001
	poll 20 is_above linnix_k8s_lists_total "$lists" || fail "cut: $(readyz)"
	[ "$(metric linnix_k8s_events_total)" = $((events + 1)) ] || fail "half a line is believed"
	echo slow >"$api/mode"
	poll 60 is_above linnix_k8s_events_total $((events + 1)) || fail "slow: $(readyz)"
	poll 10 is_well || fail "$(readyz)"
	echo forbidden >"$api/mode"
	poll 20 says '403.*User .linnix. cannot list' || fail "403: $(readyz)"
}

later_line() { sed "s/\"resourceVersion\":\"270\"/\"resourceVersion\":\"$1\"/" "$data/watch_1.20.jsonl" | head -1 >>"$api/watch.jsonl"; }

what_is_missing_is_named()
{
	local bad
	for bad in ftp://api 10.0.0.1:6443 https:// http://10.0.0.1:8001 "http://[fd00::1]:80"; do
		printf 'k8s:\n  api_url: "%s"\n' "$bad" >"$tmp/bad.yaml"
		"$linnixd" --config "$tmp/bad.yaml" --check-config >"$tmp/out" 2>&1 && fail "taken: $bad"
		grep -q 'bad.yaml:2:3: k8s.api_url: .*https://' "$tmp/out" || fail "$bad: $(cat "$tmp/out")"
	done
	for bad in https://api:6443 http://127.0.0.1:8001 http://localhost:8001 "http://[::1]:80" ""; do
		printf 'k8s:\n  api_url: "%s"\n' "$bad" >"$tmp/good.yaml"
		"$linnixd" --config "$tmp/good.yaml" --check-config >"$tmp/out" 2>&1 || fail "$bad: $(cat "$tmp/out")"
	done
	cluster
	unset NODE_NAME
	start_agent
	says 'NODE_NAME is not set' || fail "$(readyz)"
	"$linnix" doctor --url "$url" 2>&1 | grep -q 'NODE_NAME' || fail "doctor does not name it"
	stop_agent TERM
	export NODE_NAME=vm LINNIX_K8S_TOKEN_FILE=$tmp/nothing
	start_agent
	poll 10 says 'token .* cannot be read' || fail "$(readyz)"
	stop_agent TERM
	# a server whose certificate is of another authority
	export LINNIX_K8S_TOKEN_FILE=$tmp/token
	make_certs other
	export LINNIX_K8S_CA_FILE=$tmp/other.crt
	start_agent
	poll 10 says 'did not come.*certificate' || fail "$(readyz)"
	[ "$(metric linnix_k8s_synced)" = 0 ] || fail "it believes anybody"
	stop_agent TERM
	# one of the right authority, but of another name
	export LINNIX_K8S_CA_FILE=$tmp/ca.crt LINNIX_K8S_API_URL=https://localhost:$api_port
	make_certs ca
	kill "$api_pid"
	poll 5 is_gone "$api_pid"
	start_api
	start_agent
	poll 10 says 'did not come.*(name|match)' || fail "$(readyz)"
	[ "$(metric linnix_k8s_synced)" = 0 ] || fail "it believes another"
}

# A pod of shop and one of kube-system on one CPU: each is found by its namespace, and the other by whom it stalls. The first is to
# be left alone: it is seen, but nobody is told.
stalls_are_found_by_either_namespace_and_the_ignored_are_left_alone()
{
	local top="/kubepods-lnx-$$/kubepods" path
	need_root
	need taskset
	trap 'finish; drop_cgroups' EXIT
	cluster
	jq '(.items[] | select(.metadata.name == "bu") | .metadata.annotations) |= . + {"linnix.dev/ignore": "true"}' "$data/podlist_1.20.json" >"$api/list.json"
	mkdir "$tmp/rules"
	cat >"$tmp/rules/r.lua" <<-'END'
		rule "stalls" {
		  on = "stall.edge", where = { kind = "neighbour", culprit_namespace = { "shop", "kube-system" } }, by = "pair",
		  window = "count 5s", when = function(w) return w.count > 0 end,
		}
		rule "spins" { on = "proc.exec", where = { comm = "lnx-spin" }, by = "cgroup_id" }
	END
	LINNIX_RULES_DIR=$tmp/rules start_agent
	need_exact
	poll 20 is_well || fail "not synced: $(readyz)"
	cp "$(type -P bash)" "$tmp/lnx-spin"
	for path in "burstable/pod$bu_uid/$bu_a" "besteffort/pod$static_hash/$static_id"; do
		in_cgroup "$top/$path" taskset -c 0 "$tmp/lnx-spin" -c 'while :; do :; done' &
	done
	edges() { get "/events?type=stall.edge&limit=1000&$1" | jq -e "$2" >/dev/null; }
	poll 30 edges victim_namespace=shop 'any(.culprit_namespace == "kube-system")' || fail "edges: $(get '/events?type=stall.edge&limit=5')"
	edges victim_namespace=shop 'all(.[]; .victim_namespace == "shop")' || fail "edges of other victims"
	poll 10 edges namespace=kube-system 'length > 0 and all(.[]; .victim_namespace == "kube-system" or .culprit_namespace == "kube-system")' || fail "edges of others"
	edges namespace=nobody 'length == 0' || fail "edges of nobody"
	poll 10 blame_has "resource=cpu&namespace=shop" 'length == 1 and .[0].victim.pod_name == "bu" and any(.[0].parts[]; .culprit.namespace == "kube-system")' ||
		fail "$(get '/blame?namespace=shop')"
	poll 10 blame_has "resource=cpu&victim_namespace=kube-system" 'length == 1 and .[0].victim.pod_name == "static1-vm"' || fail "$(get '/blame?victim_namespace=kube-system')"
	blame_has victim_namespace=nobody 'length == 0' || fail "$(get '/blame?victim_namespace=nobody')"
	poll 10 answer_is '/workloads?victim_namespace=shop' 'any(.pod_name == "static1-vm") and all(.[]; .pod_name != "be" and .pod_name != "gu")' ||
		fail "$(get '/workloads?victim_namespace=shop')"
	[ "$(get '/workloads?victim_namespace=nobody' | jq length)" = 0 ] || fail "$(get '/workloads?victim_namespace=nobody')"
	# processes: the culprits wherever they run; its own, whoever contributes most first
	of_culprits() { get '/processes?victim_namespace=shop' | jq -e 'any(.pod_name == "static1-vm" and .comm == "lnx-spin" and .caused_ms > 0) and all(.[]; .pod_name != "bu")' >/dev/null; }
	poll 10 of_culprits || fail "$(get '/processes?victim_namespace=shop')"
	[ "$(get '/processes?victim_namespace=nobody' | jq length)" = 0 ] || fail "$(get '/processes?victim_namespace=nobody')"
	poll 10 answer_is '/processes?namespace=shop&sort=psi_contribution' 'length > 0 and all(.[]; .namespace == "shop") and .[0].comm == "lnx-spin" and
		.[0].psi_contribution > 0 and ([.[].psi_contribution] | . == (sort | reverse))' || fail "$(get '/processes?namespace=shop&sort=psi_contribution')"
	# seen, but not told of: neither as culprit nor as victim
	get '/workloads?namespace=shop' | jq -e 'any(.pod_name == "bu" and .ignored)' >/dev/null || fail "$(get '/workloads?namespace=shop')"
	ignored() { get /rules | jq -e --arg r "$1" '.rules[] | select(.name == $r) | .ignored >= 1' >/dev/null; }
	poll 10 ignored stalls || fail "$(get /rules | jq -c '.rules[]')"
	poll 10 ignored spins || fail "$(get /rules | jq -c '.rules[]')"
	alerted() { get '/events?type=alert&limit=100' | jq -e "$1" >/dev/null; }
	poll 10 alerted 'any(.rule == "spins" and .pod_name == "static1-vm")' || fail "the other one is not told: $(get '/events?type=alert')"
	alerted 'all(.[]; .pod_name != "bu" and .victim_namespace != "shop")' || fail "$(get '/events?type=alert')"
}
blame_has() { get "/blame?since=10s&$1" | jq -e ".victims | $2" >/dev/null; }

# Who names an authority trusts no other: neither the agent nor the command line, though the system does.
named_authorities_replace_the_systems()
{
	local certs=/etc/ssl/certs
	need_root
	[ -d "$certs" ] || skip "needs $certs"
	cluster
	mkdir "$tmp/certs"
	cp "$tmp/ca.crt" "$tmp/certs/$(openssl x509 -noout -subject_hash -in "$tmp/ca.crt").0"
	make_certs other
	cp "$tmp/other.crt" "$tmp/certs/ca-certificates.crt"
	# shellcheck disable=SC2016
	launcher=(unshare -m sh -c 'mount --bind "$0" /etc/ssl/certs && exec "$@"' "$tmp/certs")
	"${launcher[@]}" curl -sS -o "$tmp/out" --http1.1 "https://127.0.0.1:$api_port/" 2>"$tmp/err" || skip "the system's path is not looked at: $(cat "$tmp/err")"
	"${launcher[@]}" "$linnix" --url "https://127.0.0.1:$api_port" --ca-file "$tmp/other.crt" ps >"$tmp/out" 2>&1 && fail "linnix: $(cat "$tmp/out")"
	grep -q certificate "$tmp/out" || fail "linnix believes the system: $(cat "$tmp/out")"
	export LINNIX_K8S_CA_FILE=$tmp/other.crt
	start_agent
	poll 20 says 'did not come.*certificate' || fail "$(readyz)"
	[ "$(metric linnix_k8s_synced)" = 0 ] || fail "it believes the system"
}

# The double is known to speak the protocol because the real client understands it.
kubectl_understands_the_double()
{
	local bin
	bin=$(scripts/dev/kubectl.sh 2>"$tmp/npm") || skip "no kubectl: $(tail -1 "$tmp/npm")"
	protocols=(http/1.1)
	cluster
	export HOME=$tmp KUBECONFIG=$tmp/none
	kubectl=("$bin/kubectl" --server "https://127.0.0.1:$api_port" --certificate-authority "$tmp/ca.crt" --token secret)
	"${kubectl[@]}" get pods -A --field-selector spec.nodeName=vm -o json >"$tmp/out" 2>"$tmp/err" || fail "list: $(cat "$tmp/err")"
	[ "$(jq -r '[.items[].metadata.name] | join(" ")' "$tmp/out")" = "static1-vm be bu gu" ] || fail "list: $(head -c 300 "$tmp/out")"
	"${kubectl[@]}" get pods -A -o name --watch >"$tmp/watch" 2>"$tmp/err" &
	poll 20 grep -q pod/gu "$tmp/watch" || fail "watch: $(cat "$tmp/err")"
	jq -c '{type: "ADDED", object: (.items[1] | .kind = "Pod" | .apiVersion = "v1" | .metadata.name = "later" | .metadata.uid = "u" | .metadata.resourceVersion = "2000")}' \
		"$api/list.json" >>"$api/watch.jsonl"
	poll 20 grep -q pod/later "$tmp/watch" || fail "watch: $(cat "$tmp/watch" "$tmp/err")"
	kubectl=("${kubectl[@]/secret/wrong}")
	"${kubectl[@]}" get pods -A >"$tmp/out" 2>&1 && fail "a wrong token is taken"
	grep -qiE 'unauthorized|logged in' "$tmp/out" || fail "401: $(cat "$tmp/out")"
}

rules_see_the_namespace()
{
	cat >"$tmp/ns.lua" <<-'END'
		rule "in-shop" {
		  on = "proc.exec", where = { namespace = "shop", pod_name = { glob = "b*" } }, by = "namespace",
		  window = { n = "count 10s" }, severity = "warning",
		  when = function(w, _, ev) return w.n >= 2 and ev.container_id == "abc" and ev.namespace == "shop" end,
		}
		local function who(t, s, id, ns, cid)
		  t.event(s, "workload.update", { cgroup_id = id, workload_namespace = ns, workload_pod_name = "bu", workload_container_id = cid })
		end
		test "only that namespace counts" {
		  feed = function(t)
		    who(t, 0, 7, "shop", "abc")
		    who(t, 0, 8, "prod", "def")
		    for s = 1, 3 do t.event(s, "proc.exec", { cgroup_id = 8, pid = 40 + s }) end
		    t.event(5, "proc.exec", { cgroup_id = 7, pid = 50 })
		    t.event(6, "proc.exec", { cgroup_id = 7, pid = 51 })
		    t.event(7, "proc.exec", { cgroup_id = 9, pid = 51 })
		  end,
		  fires = { { rule = "in-shop", at = 6 } },
		}
	END
	"$linnix" rules test "$tmp/ns.lua" >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	sed 's/namespace = "shop", pod/namespaze = "shop", pod/' "$tmp/ns.lua" >"$tmp/bad.lua"
	"$linnix" rules check "$tmp/bad.lua" >"$tmp/out" 2>&1 && fail "an unknown field is taken"
	grep -q "namespaze" "$tmp/out" || fail "$(cat "$tmp/out")"
}

paths_are_parsed_without_an_agent()
{
	printf '%s\n' "0::/../../kubepods-besteffort-pod3247378f_d008_462a_adfa_9877086ebea2.slice" /init.scope >"$tmp/paths"
	"$linnix" workloads parse <"$tmp/paths" >"$tmp/out" || fail "stdin"
	printf '%s\t-\t-\tbesteffort\n-\t-\t-\t-\n' 3247378f-d008-462a-adfa-9877086ebea2 | cmp - "$tmp/out" || fail "$(cat "$tmp/out")"
	[ "$("$linnix" workloads parse "/libpod_parent/libpod-$bu_a")" = "-	$bu_a	podman	-" ] || fail "argument"
	nm -u "$build/obj/plugins/workload/parse.o" >"$tmp/calls" || fail "no object of the parser"
	! grep -wE 'malloc|calloc|realloc|strn?dup|v?asprintf|getline' "$tmp/calls" || fail "the parser allocates"
}

run without_a_cluster_it_costs_nothing pods_are_listed_watched_and_joined trouble_is_named_and_gets_better \
	expired_versions_lead_to_a_list what_is_missing_is_named \
	stalls_are_found_by_either_namespace_and_the_ignored_are_left_alone named_authorities_replace_the_systems kubectl_understands_the_double rules_see_the_namespace \
	paths_are_parsed_without_an_agent
