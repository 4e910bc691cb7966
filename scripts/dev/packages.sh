#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# The Debian packages each thing needs, one a line: packages.sh build|run|test|bench|dev|vm|guest
# The only list: quickstart.sh installs from it.

# shellcheck disable=SC2086 # the lists are meant to be split
set -eu

build="build-essential clang llvm pkg-config libbpf-dev libelf-dev zlib1g-dev libev-dev liblua5.4-dev
	libyaml-dev libmicrohttpd-dev libjansson-dev libcurl4-openssl-dev libsqlite3-dev libzstd-dev
	libsodium-dev libsecp256k1-dev libncurses-dev"
run="curl jq procps"
# Sanitizer runtimes of gcc come with gcc; setpriv and setarch with util-linux. npm fetches kubectl (kubectl.sh)
# and what the contracts need (chain_tools.sh), and brings node.
test="libcmocka-dev prometheus prometheus-alertmanager git man-db clang-format clang-tidy cppcheck shellcheck lua-check abigail-tools stress-ng
	libcap2-bin bsdutils strace gdb iproute2 psmisc python3 lua5.4 systemd npm ca-certificates python3-yaml umoci containerd runc busybox-static openssl podman conmon"
bench="nginx-light libbpf-tools linux-perf redis-server redis-tools stress-ng python3"
# make coverage, make fuzz; make soak builds a kube-apiserver and k8s/Dockerfile; record_scenes.sh runs redis and java.
dev="lcov libclang-rt-14-dev golang-go etcd-server debootstrap buildah redis-server
	default-jdk-headless"
# make vm, and what the Debian of its guest holds: a kernel, systemd, the libraries of what is built here, tools of the tests.
vm="qemu-system-x86 debootstrap e2fsprogs"
guest="linux-image-amd64 systemd systemd-sysv udev dbus busybox kmod iproute2 procps psmisc curl jq strace stress-ng python3 libcap2-bin
	libev4 libbpf1 libelf1 liblua5.4-0 libyaml-0-2 libmicrohttpd12 libjansson4 libcurl4 libsqlite3-0 libzstd1 libsodium23 libsecp256k1-1
	libncursesw6 libcmocka0 openssl"

case ${1:-} in
build) set -- $build ;;
run) set -- $build $run ;;
test) set -- $build $run $test ;;
bench) set -- $build $run $bench ;;
dev) set -- $build $run $test $bench $dev $vm ;;
vm) set -- $build $run $test $vm ;;
guest) set -- $guest ;;
*)
	echo "usage: packages.sh build|run|test|bench|dev|vm|guest" >&2
	exit 2
	;;
esac
printf '%s\n' "$@" | sort -u
