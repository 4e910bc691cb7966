#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: nothing is measured
#
# make install, make deb and the unit: what lands where, and how exposed the service is.
# TIMEOUT: 300

set -u
build=${LNX_BUILD:-build}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0 bad=0
unset MAKEFLAGS MAKELEVEL MFLAGS
# The same build, or make would build it anew.
same=(BUILD="$build" SAN="${LNX_SAN:-}" CC="${CC:-gcc}")

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
skip()
{
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}

root=$dir/root
check "make install fills an empty folder" make install DESTDIR="$root" PREFIX=/usr "${same[@]}"

has_all()
{
	local f miss=0
	for f in "$build"/bin/*; do [ ! -e "$f" ] || [ -x "$root/usr/bin/$(basename "$f")" ] || miss=1; done
	for f in "$build"/bpf/*.bpf.o; do [ ! -e "$f" ] || [ -e "$root/usr/lib/linnix/bpf/$(basename "$f")" ] || miss=1; done
	[ -x "$root/usr/lib/linnix/linnix-guardian" ] || miss=1
	for f in plugins/*/plugin.mk; do
		[ ! -e "$f" ] || [ -e "$root/usr/lib/linnix/plugins/$(basename "$(dirname "$f")").so" ] || miss=1
	done
	for f in scripts/rules/*.lua; do [ ! -e "$f" ] || [ -e "$root/etc/linnix/rules.d/$(basename "$f")" ] || miss=1; done
	for f in sdk/include/linnix/*.h; do [ -e "$root/usr/include/linnix/$(basename "$f")" ] || miss=1; done
	[ -e "$root/usr/share/linnix/grafana/linnix.json" ] && [ -e "$root/usr/share/linnix/prometheus/linnix.rules.yml" ] || miss=1
	[ ! -e etc/linnix.yaml ] || [ -e "$root/etc/linnix/linnix.yaml" ] || miss=1
	return "$miss"
}
check "programs, plugins, probes, rules, headers and configuration are in place" has_all

no_paths() { ! grep -rlI -e "$PWD" -e '@[A-Z]*@' "$root"; }
check "no text file names the source tree or keeps a placeholder" no_paths

not_writable() { [ -z "$(find "$root/usr" "$root/etc" ! -type l -perm /022)" ]; }
check "nothing installed is writable by group or others" not_writable

keeps_config()
{
	local conf
	conf=$(find "$root/etc/linnix" -type f | head -1)
	[ -n "$conf" ] || return 0
	echo "# mine" >"$conf"
	make install DESTDIR="$root" PREFIX=/usr "${same[@]}" && grep -qx '# mine' "$conf" && [ -e "$conf.new" ]
}
check "a changed configuration file is kept, the new one lies beside it" keeps_config

pc() { [ "$(PKG_CONFIG_LIBDIR="$root/usr/lib/pkgconfig" pkg-config --variable=pluginsdir linnix)" = /usr/lib/linnix/plugins ]; }
check "pkg-config knows where plugins go" pc

if command -v systemd-analyze >/dev/null; then
	exposure()
	{
		local level
		level=$(systemd-analyze security --offline=true --no-pager "$root/usr/lib/systemd/system/linnix.service" | tee "$dir/sec" |
			sed -n 's/.*exposure level for linnix.service: \([0-9.]*\).*/\1/p')
		echo "exposure: ${level:-unknown}"
		tail -3 "$dir/sec"
		awk -v l="${level:-10}" 'BEGIN { exit !(l <= 3.0) }'
	}
	check "the unit's exposure is at most 3.0" exposure
	known() { ! systemd-analyze verify "$root/usr/lib/systemd/system/linnix.service" 2>&1 | grep -iE 'unknown|failed to parse|ignoring'; }
	check "systemd knows every line of the unit" known
else
	skip "the unit's exposure is at most 3.0" "systemd-analyze is not installed"
fi

if [ -n "${LNX_SAN:-}" ]; then
	skip "make deb" "not from an instrumented build"
else
	deb()
	{
		make deb "${same[@]}" || return 1
		local file
		file=$(ls "$build"/linnix_*.deb)
		dpkg-deb -f "$file" Package Version Architecture Depends
		dpkg-deb -c "$file" | awk '$2 != "root/root" { print; bad = 1 } END { exit bad }'
	}
	check "make deb packs a tree that root owns" deb
fi

echo "1..$n"
exit "$bad"
