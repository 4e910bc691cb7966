#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# The manifests on a real API server with etcd: what it says of every field, and what the service account may do there.
# Takes minutes the first time: the server is built from Debian's source.
# TIMEOUT: 3600

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"

fetch()
{
	got=$("$1" 2>"$tmp/fetch.err") && return
	[ $? -ne 77 ] || skip "$(tail -1 "$tmp/fetch.err")"
	fail "$(cat "$tmp/fetch.err")"
}

start_server()
{
	local a b c api
	need etcd
	need openssl
	fetch scripts/dev/kubectl.sh
	kubectl=$got/kubectl
	fetch scripts/dev/kube_apiserver.sh
	api=$got
	a=$(free_port) b=$(free_port) c=$(free_port)
	openssl genrsa -out "$tmp/sa.key" 2048 2>/dev/null
	openssl rsa -in "$tmp/sa.key" -pubout -out "$tmp/sa.pub" 2>/dev/null
	echo "soak,admin,1,system:masters" >"$tmp/tokens"
	etcd --data-dir "$tmp/etcd" --listen-client-urls "http://127.0.0.1:$a" --advertise-client-urls "http://127.0.0.1:$a" \
		--listen-peer-urls "http://127.0.0.1:$b" --initial-advertise-peer-urls "http://127.0.0.1:$b" \
		--initial-cluster "default=http://127.0.0.1:$b" >"$tmp/etcd.log" 2>&1 &
	"$api" --etcd-servers "http://127.0.0.1:$a" --bind-address 127.0.0.1 --secure-port "$c" --cert-dir "$tmp/certs" \
		--service-account-key-file "$tmp/sa.pub" --service-account-signing-key-file "$tmp/sa.key" \
		--service-account-issuer https://kubernetes.default.svc --token-auth-file "$tmp/tokens" --authorization-mode RBAC \
		--service-cluster-ip-range 10.96.0.0/16 --allow-privileged=true >"$tmp/api.log" 2>&1 &
	k=("$kubectl" --kubeconfig /dev/null --server "https://127.0.0.1:$c" --token soak --insecure-skip-tls-verify)
	is_ready() { "${k[@]}" get --raw /readyz >/dev/null 2>&1; }
	poll 60 is_ready || fail "the API server: $(tail -5 "$tmp/api.log") $(tail -5 "$tmp/etcd.log")"
}

both_ways_are_taken_and_the_second_changes_nothing()
{
	local o
	start_server
	"${k[@]}" apply --validate=strict -f k8s/ >"$tmp/out" 2>&1 || fail "-f k8s/: $(cat "$tmp/out")"
	[ "$(grep -c ' created$' "$tmp/out")" -ge 10 ] || fail "-f k8s/: $(cat "$tmp/out")"
	"${k[@]}" apply --validate=strict -k k8s/ >"$tmp/out" 2>&1 || fail "-k k8s/: $(cat "$tmp/out")"
	! grep -vE ' unchanged$|version difference' "$tmp/out" || fail "-k differs from -f"
	# What the server does not know has its own definition in the cluster: everything else of the overlay is taken.
	for o in k8s/overlays/*/; do
		"$kubectl" kustomize "$o" >"$tmp/overlay.yaml" || fail "$o"
		"${k[@]}" apply --dry-run=server --validate=strict -f "$tmp/overlay.yaml" >"$tmp/out" 2>&1
		! grep -vE ' (unchanged|configured) \(server dry run\)$|version difference|ensure CRDs|no matches for kind "(PodMonitor|PrometheusRule|SecurityContextConstraints)"' "$tmp/out" ||
			fail "$o"
	done
	sed 's/maxUnavailable/maxUnavailabl/' k8s/base/50-daemonset.yaml >"$tmp/wrong.yaml"
	! "${k[@]}" apply --dry-run=server --validate=strict -f "$tmp/wrong.yaml" 2>/dev/null || fail "it takes an unknown field"
}

may() { "${k[@]}" auth can-i "$@" -A --as system:serviceaccount:linnix:linnix-agent 2>/dev/null; }

the_agent_may_read_pods_and_nothing_else()
{
	local what
	start_server
	"${k[@]}" apply -f k8s/ >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	for what in get list watch; do
		[ "$(may "$what" pods)" = yes ] || fail "it may not $what pods"
	done
	for what in "create pods" "delete pods" "create pods --subresource exec" "get pods --subresource log" "list configmaps" "get secrets" \
		"list nodes" "get nodes --subresource proxy"; do
		# shellcheck disable=SC2086 # several words
		[ "$(may $what)" = no ] || fail "it may $what"
	done
}

run both_ways_are_taken_and_the_second_changes_nothing the_agent_may_read_pods_and_nothing_else
