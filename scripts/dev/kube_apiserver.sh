#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Print the path of a kube-apiserver, for soak tests: api=$(scripts/dev/kube_apiserver.sh)
# Debian 12 has the source of Kubernetes 1.20 and packages only its client: the server is built from it once, which takes
# minutes, and kept in build/tools. Exit 77 with a reason when that cannot be done here.

set -eu
export LC_ALL=C
cd "$(dirname "$0")/../.."
tools=$PWD/build/tools
api=$tools/kube-apiserver

give_up()
{
	echo "kube_apiserver.sh: $*" >&2
	exit 77
}

# The package sources of this machine, as sources of source packages.
fetch()
{
	local f apt=(-q -o "Dir::Etc::SourceList=/dev/null" -o "Dir::Etc::SourceParts=$tmp/sources" -o "Dir::State::Lists=$tmp/lists"
		-o "APT::Sandbox::User=root")
	mkdir -p "$tmp/sources" "$tmp/lists/partial"
	for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ ! -e "$f" ] || sed -n 's/^deb /deb-src /p' "$f" >"$tmp/sources/$(basename "$f" .list).list"
	done
	for f in /etc/apt/sources.list.d/*.sources; do
		[ ! -e "$f" ] || sed 's/^Types:.*/Types: deb-src/' "$f" >"$tmp/sources/$(basename "$f")"
	done
	(cd "$tmp" && apt-get "${apt[@]}" update && apt-get "${apt[@]}" source kubernetes) >"$tmp/log" 2>&1 ||
		give_up "Debian's source of Kubernetes cannot be had: $(tail -1 "$tmp/log")"
}

# In a GOPATH, as Debian builds it; what is generated is not in the source.
build()
{
	local dirs
	mkdir -p "$tmp/go/src/k8s.io"
	mv "$tmp"/kubernetes-*/ "$tmp/go/src/k8s.io/kubernetes"
	cd "$tmp/go/src/k8s.io/kubernetes"
	export GOPATH=$tmp/go GO111MODULE=off GOPROXY=off GOCACHE=$tmp/cache CGO_ENABLED=0
	go build -o "$tmp/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
	dirs=$(grep -rl '+k8s:openapi-gen=true' --include='*.go' vendor/k8s.io/ pkg cmd staging/src/k8s.io | xargs -n1 dirname |
		sed -e 's,^staging/src/,,' -e 's,^vendor/,,' -e 's,^\(pkg\|cmd\)/,k8s.io/kubernetes/&,' |
		grep -v 'kube-openapi\|/test\|sample\|code-generator' | sort -u | paste -sd,)
	"$tmp/openapi-gen" -O zz_generated.openapi -p k8s.io/kubernetes/pkg/generated/openapi -i "$dirs" --output-base "$tmp/go/src" \
		-h hack/boilerplate/boilerplate.generatego.txt -r "$tmp/violations"
	go build -ldflags '-s -w' -o "$tmp/kube-apiserver" ./cmd/kube-apiserver
	mv "$tmp/kube-apiserver" "$api"
}

mkdir -p "$tools"
exec 9>"$tools/.lock-kube"
flock 9
if [ ! -x "$api" ]; then
	command -v go >/dev/null || give_up "needs golang-go"
	tmp=$(mktemp -d "$tools/kube-XXXXXX")
	# Go makes its cache unwritable.
	trap 'chmod -R u+w "$tmp"; rm -rf "$tmp"' EXIT
	fetch
	(build) >"$tmp/build.log" 2>&1 || {
		tail -20 "$tmp/build.log" >&2
		exit 1
	}
fi
echo "$api"
