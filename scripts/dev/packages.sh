#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# The Debian packages each thing needs, one a line: packages.sh build|run|test|bench|dev
# The only list: quickstart.sh installs from it.

# shellcheck disable=SC2086 # the lists are meant to be split
set -eu

build="build-essential clang llvm pkg-config libbpf-dev libelf-dev zlib1g-dev libev-dev liblua5.4-dev
	libyaml-dev libmicrohttpd-dev libjansson-dev libcurl4-openssl-dev libsqlite3-dev libzstd-dev
	libsodium-dev libsecp256k1-dev libncurses-dev"
run="curl jq procps"
# Sanitizer runtimes of gcc come with gcc; setpriv and setarch with util-linux. npm fetches kubectl (kubectl.sh)
# and what the contracts need (chain_tools.sh), and brings node.
test="libcmocka-dev prometheus prometheus-alertmanager git clang-format clang-tidy cppcheck shellcheck lua-check abigail-tools stress-ng
	libcap2-bin strace gdb iproute2 psmisc python3 lua5.4 systemd npm ca-certificates python3-yaml umoci containerd runc busybox-static openssl podman conmon"
bench="nginx-light libbpf-tools linux-perf redis-server redis-tools stress-ng python3"
# make coverage, make fuzz; make soak builds a kube-apiserver and k8s/Dockerfile; record_scenes.sh runs redis and java.
dev="lcov libclang-rt-14-dev golang-go etcd-server debootstrap buildah redis-server
	default-jdk-headless"

case ${1:-} in
build) set -- $build ;;
run) set -- $build $run ;;
test) set -- $build $run $test ;;
bench) set -- $build $run $bench ;;
dev) set -- $build $run $test $bench $dev ;;
*)
	echo "usage: packages.sh build|run|test|bench|dev" >&2
	exit 2
	;;
esac
printf '%s\n' "$@" | sort -u
