#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: nothing is measured
#
# The manifests of k8s/: both ways to apply them give the same, every overlay renders, no field is unknown to the API,
# and what they promise about rights, mounts and limits holds. No cluster is needed.
# TIMEOUT: 240

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"

# The API as it is in Kubernetes 1.36, as types with all their fields.
models_pin=(@kubernetes/client-node 2.0.1
	7af260984b6002b118963e833643068cae3522b14afe11306f9956571c74551056c9b4299ef8bed93b40d7d98b8157d11dfa97e728c739b5fa7bd5bb2c46418f)

# Run COMMAND: sets $got, or skips with its reason when what it fetches cannot be had.
fetch()
{
	got=$("$@" 2>"$tmp/fetch.err")
	case $? in
	0) ;;
	77) skip "$(tail -1 "$tmp/fetch.err")" ;;
	*) fail "$(cat "$tmp/fetch.err")" ;;
	esac
}
tools() { fetch scripts/dev/kubectl.sh && kubectl=$got/kubectl helm=$got/helm; }
models()
{
	python3 -c 'import yaml' 2>/dev/null || skip "needs python3-yaml"
	fetch scripts/dev/npm_pinned.sh "${models_pin[@]}" && models=$got/dist/gen/models
}
# Name of each overlay, "base" first.
overlays() { printf '%s\n' base && find k8s/overlays -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort; }
folder_of() { if [ "$1" = base ]; then echo k8s; else echo "k8s/overlays/$1"; fi; }
render() { "$kubectl" kustomize "$(folder_of "$1")" >"$tmp/$1.yaml" || fail "kubectl kustomize: $1"; }
names_in() { "$kubectl" label --local --dry-run=client -o name -f "$1" a=b; }

both_ways_to_apply_give_the_same()
{
	tools
	render base
	names_in k8s/ >"$tmp/files" || fail "kubectl takes no -f k8s/"
	[ "$(head -1 "$tmp/files")" = namespace/linnix ] || fail "not the namespace first: $(head -1 "$tmp/files")"
	diff <(sort "$tmp/files") <(names_in "$tmp/base.yaml" | sort) || fail "-f and -k differ"
	# The content as well: one label more on both, as JSON in the same order.
	local way
	for way in k8s/ "$tmp/base.yaml"; do
		"$kubectl" label --local --dry-run=client -o json -f "$way" a=b |
			jq -S 'if .kind == "List" then .items[] else . end' | jq -s 'sort_by(.kind, .metadata.name)' >"$tmp/$(basename "$way").json"
	done
	cmp "$tmp/k8s.json" "$tmp/base.yaml.json" || fail "-f and -k differ"
	[ "$(jq length "$tmp/k8s.json")" -ge 10 ] || fail "only $(jq length "$tmp/k8s.json") objects"
}

every_overlay_renders_and_the_api_knows_every_field()
{
	tools
	models
	local o n=0
	for o in $(overlays); do
		render "$o"
		tests/func/k8s_schema.py "$models" "$tmp/$o.yaml" || fail "$o"
		n=$((n + 1))
	done
	[ "$n" -ge 7 ] || fail "only $n overlays"
}

every_overlay_keeps_the_promises()
{
	tools
	python3 -c 'import yaml' 2>/dev/null || skip "needs python3-yaml"
	local o
	for o in $(overlays); do
		render "$o"
		tests/func/k8s_policy.py "$o" "$tmp/$o.yaml" || fail "$o"
	done
}

# spoilt SED CHECK...: the base changed by SED must not pass CHECK, and the answer must name $1's word.
spoilt()
{
	local word=$1 edit=$2
	shift 2
	sed "$edit" "$tmp/base.yaml" >"$tmp/spoilt.yaml"
	! cmp -s "$tmp/base.yaml" "$tmp/spoilt.yaml" || fail "nothing changed: $edit"
	if "$@" "$tmp/spoilt.yaml" >"$tmp/answer"; then fail "passed: $edit"; fi
	grep -qF -e "$word" "$tmp/answer" || fail "$edit: no word of '$word': $(cat "$tmp/answer")"
}

the_schema_check_catches()
{
	tools
	models
	render base
	local check=(tests/func/k8s_schema.py "$models")
	spoilt "unknown field 'maxUnavailabl'" 's/maxUnavailable/maxUnavailabl/' "${check[@]}"
	spoilt "boolean is wanted" 's/hostPID: true/hostPID: "true"/' "${check[@]}"
	spoilt "a number is wanted" 's/containerPort: 9464/containerPort: "9464"/' "${check[@]}"
	spoilt "a list is wanted" 's/clusterIP: None/clusterIPs: None/' "${check[@]}"
	spoilt "'selector' is missing" '/^kind: DaemonSet/,/^  template/ { /^  selector:/,/^  template/ { /^  template/!d } }' "${check[@]}"
	spoilt "stands twice" 's/^\( *\)hostPID: true/&\n\1hostPID: true/' "${check[@]}"
	spoilt "no kind 'DaemonSet' of 'apps/v1beta2'" 's,apps/v1$,apps/v1beta2,' "${check[@]}"
}

the_policy_check_catches()
{
	tools
	python3 -c 'import yaml' 2>/dev/null || skip "needs python3-yaml"
	render base
	local check=(tests/func/k8s_policy.py base)
	spoilt "privileged is True" 's/privileged: false/privileged: true/' "${check[@]}"
	spoilt "capabilities" 's/- PERFMON$/- SYS_ADMIN/' "${check[@]}"
	spoilt "does not drop ALL" 's/- ALL$/- NET_RAW/' "${check[@]}"
	spoilt "its root is writable" 's/readOnlyRootFilesystem: true/readOnlyRootFilesystem: false/' "${check[@]}"
	spoilt "RBAC rules" 's/- list$/- "*"/' "${check[@]}"
	spoilt "RBAC rules" 's,- pods$,- nodes/proxy,' "${check[@]}"
	spoilt "hostNetwork" 's/^\( *\)hostPID: true/&\n\1hostNetwork: true/' "${check[@]}"
	spoilt "enableServiceLinks" '/enableServiceLinks/d' "${check[@]}"
	spoilt "type" 's/type: Directory$/type: ""/' "${check[@]}"
	spoilt "readOnly" '/mountPath: .sys.fs.cgroup/,/readOnly/ { /readOnly/d }' "${check[@]}"
	spoilt "hostPaths" 's,path: /sys/fs/cgroup,path: /,' "${check[@]}"
	spoilt "no limit on memory" 's/memory: 256Mi/cpu: 1/' "${check[@]}"
	spoilt "names no version" 's,\(image: localhost/linnix\):.*,\1,' "${check[@]}"
	spoilt "NODE_NAME" 's/fieldPath: spec.nodeName/fieldPath: metadata.name/' "${check[@]}"
	spoilt "readinessProbe" 's,path: /readyz,path: /healthz,' "${check[@]}"
	spoilt "subPath" 's,^\( *\)- mountPath: /etc/linnix/rules.d,&\n\1  subPath: x,' "${check[@]}"
}

# What a user of helm does: wraps the manifests in a chart. Its linter also knows versions of the API that are gone.
helm_takes_the_base_as_a_chart()
{
	tools
	render base
	mkdir -p "$tmp/chart/templates"
	printf 'apiVersion: v2\nname: linnix\nversion: 0.1.0\nicon: file:///icon.svg\n' >"$tmp/chart/Chart.yaml"
	local f
	for f in k8s/[0-9]*.yaml; do
		sed 's/{{/{{ "{{" }}/g' "$f" >"$tmp/chart/templates/$(basename "$f")"
	done
	"$helm" lint --strict "$tmp/chart" || fail "helm lint"
	"$helm" template linnix "$tmp/chart" >"$tmp/chart.yaml" || fail "helm template"
	diff <(names_in "$tmp/chart.yaml" | sort) <(names_in "$tmp/base.yaml" | sort) || fail "the chart has other objects"
}

rules_and_configuration_are_those_of_the_tree()
{
	tools
	render base
	mkdir "$tmp/rules.d"
	"$kubectl" label --local --dry-run=client -o json -f "$tmp/base.yaml" a=b | jq 'if .kind == "List" then .items[] else . end' >"$tmp/all.json"
	local rule
	for rule in $(jq -r 'select(.metadata.name == "linnix-rules") | .data | keys[]' "$tmp/all.json"); do
		jq -j --arg r "$rule" 'select(.metadata.name == "linnix-rules") | .data[$r]' "$tmp/all.json" >"$tmp/rules.d/$rule"
	done
	diff -r scripts/rules "$tmp/rules.d" || fail "other rules than those of scripts/rules: run scripts/dev/gen_docs.sh"
	jq -j 'select(.metadata.name == "linnix-config") | .data["linnix.yaml"]' "$tmp/all.json" >"$tmp/linnix.yaml"
	grep -q ops_listen "$tmp/linnix.yaml" || fail "no ops listener"
	"$linnixd" --config "$tmp/linnix.yaml" --check-config || fail "the agent does not take the configuration"
}

every_manifest_lies_where_both_ways_find_it()
{
	local f
	for f in k8s/base/[0-9]*.yaml; do
		[ "$(readlink "k8s/$(basename "$f")")" = "base/$(basename "$f")" ] || fail "k8s/$(basename "$f") is no link to $f"
	done
	for f in k8s/*.yaml; do
		[ -e "$f" ] || fail "$f leads nowhere"
	done
}

the_image_is_of_this_version()
{
	local version
	version=$("$linnixd" --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -1)
	grep -rhoE 'image: .*' k8s | grep -vE ":${version//./\\.}\$" && fail "the version is $version"
	return 0
}

run both_ways_to_apply_give_the_same every_overlay_renders_and_the_api_knows_every_field every_overlay_keeps_the_promises \
	the_schema_check_catches the_policy_check_catches helm_takes_the_base_as_a_chart rules_and_configuration_are_those_of_the_tree \
	every_manifest_lies_where_both_ways_find_it the_image_is_of_this_version
