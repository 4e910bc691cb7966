#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Print the folder of an npm package, for tests: npm_pinned.sh PACKAGE VERSION SHA512
# Fetched once without its dependencies, held against the hash (the registry's "integrity" in hexadecimal) and kept in
# build/tools. Exit 77 with a reason when it cannot be had here, 1 when what came is not what was pinned.

set -eu
export LC_ALL=C
cd "$(dirname "$0")/../.."

package=$1 version=$2 sha512=$3
dir=$PWD/build/tools/$(basename "$package")-$version

give_up()
{
	echo "npm_pinned.sh: $*" >&2
	exit 77
}

mkdir -p build/tools
# Two tests may ask at once: the second waits and finds what the first fetched.
exec 9>build/tools/.lock
flock 9
if [ ! -d "$dir" ]; then
	command -v npm >/dev/null || give_up "npm is not installed"
	tmp=$(mktemp -d build/tools/fetch-XXXXXX)
	trap 'rm -rf "$tmp"' EXIT
	npm pack --loglevel=error --fetch-retries=1 --fetch-timeout=120000 --pack-destination "$tmp" "$package@$version" \
		>"$tmp/npm.log" 2>&1 </dev/null ||
		give_up "npm cannot fetch $package@$version: $(grep -m1 -iE 'code|request' "$tmp/npm.log")"
	tgz=$(echo "$tmp"/*.tgz)
	if ! echo "$sha512  $tgz" | sha512sum -c --status; then
		echo "npm_pinned.sh: $package@$version is not what was pinned: $(sha512sum <"$tgz")" >&2
		exit 1
	fi
	tar -xzf "$tgz" -C "$tmp" --no-same-owner package
	mv "$tmp/package" "$dir"
fi
echo "$dir"
