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

# Packages of one static program each; they ask for a Node.js that Debian 12 does not have, so npm is not asked to install them.
pins='
anvil x86_64 f979928726c46b17c2aebd0e514670604cb63a7619b79a471fd4f306d2efdfe56b2b43bf00db8d49511a86a3612879605fb191279f77f37a1f361c644562184e
anvil aarch64 ca41c998538674147cfbdb2638a066f596430820a42d072d88738075d2ef998c7d98f7810cc7eaea33f9d61298b0ee4c1bc0a53cb4a559ef89a625cf8e85e005
forge x86_64 fc741d7724da9d53892a0be296666b7fc54e7fb9a1bf0ad66f9f56ef7c395b97e55fb6faccd87d091ea1299cc9c224518b94b193f24e14460878ab10c7b4deaa
forge aarch64 8edfba1fc0161dab8ff243fe9a230a2643230ba5021e6e8d4633b90fee5c6b8d7aa3a88918f51136cf8d95bd165a76f581a0a3eec5d466aa711fbdd46fe6015a'

program()
{
	local pin dir arch=amd64
	[ "$(uname -m)" = x86_64 ] || arch=arm64
	pin=$(awk -v p="$1" -v m="$(uname -m)" '$1 == p && $2 == m { print $3 }' <<<"$pins")
	[ -n "$pin" ] || give_up "$1 of npm is for x86_64 and aarch64, this is $(uname -m)"
	dir=$(scripts/dev/npm_pinned.sh "@foundry-rs/$1-linux-$arch" 1.7.1 "$pin") || exit
	echo "$dir/bin/$1"
}

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
	# Hardhat brings its native parts for every system there is: 140 MB that nothing here can run.
	[ "$1" != all ] || find "$modules/@nomicfoundation" -maxdepth 1 -name '*-*-*' ! -name '*-linux-*' -exec rm -rf {} +
	: >"$modules/.$1-$stamp"
}

[ $# -ge 1 ] || usage
mkdir -p build/chain
# Two tests may ask at once: the second waits and finds what the first fetched.
exec 9>build/chain/.lock
flock 9
case $1 in
anvil | forge)
	# forge compiles with the packages' solc and sources.
	[ "$1" = anvil ] || install base
	program "$1"
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
