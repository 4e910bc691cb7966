#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# What the contracts and tests against a chain need, from npm: the versions of chain/package-lock.json, in chain/node_modules.
#
#   chain_tools.sh anvil|forge|node_modules   install once, then print the path
#   chain_tools.sh hardhat                    the same, with Hardhat, which only the demo needs (many packages)
#   chain_tools.sh deploy URL FILE            compile if need be, deploy to the node at URL, addresses as JSON to FILE
#
# Exit 77 with a reason when it cannot be had here, 1 when something failed.

set -eu
export LC_ALL=C
cd "$(dirname "$0")/../.."
chain=$PWD/chain
modules=$chain/node_modules

give_up()
{
	echo "chain_tools.sh: $*" >&2
	exit 77
}

usage()
{
	sed -n '5,7s/^# \{0,1\}//p' scripts/dev/chain_tools.sh >&2
	exit 2
}

case $(uname -m) in
x86_64) arch=amd64 ;;
aarch64) arch=arm64 ;;
*) arch= ;;
esac

# install SET: packages are only added, so that who runs meanwhile loses nothing. The stamp names the lock file they are of.
install()
{
	local stamp omit=(--omit=dev)
	stamp=$(sha256sum <chain/package-lock.json | cut -c1-16)
	[ ! -e "$modules/.all-$stamp" ] || return 0
	[ "$1" != all ] || omit=()
	[ ! -e "$modules/.$1-$stamp" ] || return 0
	command -v npm >/dev/null || give_up "npm is not installed"
	# npm says at length what is wrong; one line of it is the reason.
	if ! (cd chain && npm install "${omit[@]+"${omit[@]}"}" --no-save --loglevel=error --fetch-retries=1 --fetch-timeout=120000) \
		>build/chain/npm.log 2>&1 </dev/null; then
		! grep -qE 'EINTEGRITY' build/chain/npm.log || {
			cat build/chain/npm.log >&2
			exit 1
		}
		give_up "npm cannot install the packages of chain/: $(grep -m1 -iE 'code|request' build/chain/npm.log)"
	fi
	: >"$modules/.$1-$stamp"
}

[ $# -ge 1 ] || usage
mkdir -p build/chain
# Two tests may ask at once: the second waits and finds what the first fetched.
exec 9>build/chain/.lock
flock 9
case $1 in
anvil | forge)
	[ -n "$arch" ] || give_up "$1 of npm is for x86_64 and aarch64, this is $(uname -m)"
	install base
	path=$modules/@foundry-rs/$1-linux-$arch/bin/$1
	[ -x "$path" ] || give_up "npm did not bring $1 for $(uname -m)"
	echo "$path"
	;;
node_modules)
	install base
	echo "$modules"
	;;
hardhat)
	install all
	echo "$modules/.bin/hardhat"
	;;
deploy)
	[ $# -eq 3 ] || usage
	install base
	# One compiles, the others find it. The node may be slow: deploying holds no lock.
	node chain/scripts/build.js >/dev/null
	exec 9>&-
	CHAIN_RPC_URL=$2 CHAIN_DEPLOY_OUT=$3 node chain/scripts/deploy.js
	;;
*) usage ;;
esac
