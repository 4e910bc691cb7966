#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: it looks only at its own
#
# A plugin is built out of tree with the SDK alone: from a copy of sdk/, and from an installed one.
# TIMEOUT: 300

set -u
build=${LNX_BUILD:-build}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0 bad=0
unset MAKEFLAGS MAKELEVEL MFLAGS

check()
{
	local what=$1
	shift
	n=$((n + 1))
	if "$@" >"$dir/out" 2>&1; then
		echo "ok $n - $what"
	else
		bad=1
		echo "not ok $n - $what"
		tail -20 "$dir/out" | sed 's/^/# /'
	fi
}

cp -r sdk "$dir/sdk"
mkdir "$dir/hello"
cat >"$dir/hello/hello.c" <<'C'
#include <linnix/plugin.h>

static const struct lnx_plugin hello = {
	.size = sizeof(hello),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "hello",
	.version = "1",
	.summary = "says nothing",
};

const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &hello;
}
C
# shellcheck disable=SC2016 # for make to expand
printf 'PLUGIN := hello\ninclude $(LINNIX_SDK)/linnix.mk\n' >"$dir/hello/Makefile"

check "linnix.mk builds a plugin from a copy of sdk/" make -C "$dir/hello" LINNIX_SDK="$dir/sdk"
one_symbol() { [ "$(nm -D --defined-only "$dir/hello/build/hello.so" | awk '{ print $NF }')" = linnix_plugin_v1 ]; }
check "it exports one symbol" one_symbol
make -C "$dir/hello" LINNIX_SDK="$dir/sdk" clean >/dev/null

root=$dir/root
make install DESTDIR="$root" PREFIX=/usr BUILD="$build" SAN="${LNX_SAN:-}" CC="${CC:-gcc}" >"$dir/install" 2>&1
export PKG_CONFIG_LIBDIR=$root/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
mk=$root/usr/share/linnix/linnix.mk
printf 'PLUGIN := hello\ninclude %s\n' "$mk" >"$dir/hello/Makefile"
check "linnix.mk builds a plugin against an installed SDK" make -C "$dir/hello"
installed() { make -C "$dir/hello" install DESTDIR="$dir/there" && find "$dir/there" -name hello.so | grep -q linnix/plugins/hello.so; }
check "its install puts the plugin where the agent looks" installed

echo 'int core_only(void); int f(void); int f(void) { return core_only(); }' >"$dir/hello/bad.c"
refused() { ! make -C "$dir/hello"; }
check "a plugin that needs more than the SDK does not link" refused

echo "1..$n"
exit "$bad"
