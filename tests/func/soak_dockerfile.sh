#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# k8s/Dockerfile, built without Docker by buildah on a Debian 12 that debootstrap made: no registry is asked. It gives the
# files of `make image`. Takes minutes and the network of Debian's packages.
# TIMEOUT: 1800

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"

bud() { buildah --root "$tmp/storage" --runroot "$tmp/run" --storage-driver vfs "$@"; }

drop_storage()
{
	bud rm -a >/dev/null 2>&1
	bud rmi -a -f >/dev/null 2>&1
	finish
}

dockerfile_builds_and_gives_the_same_files()
{
	need_root
	need debootstrap
	need buildah
	trap drop_storage EXIT
	debootstrap --variant=minbase bookworm "$tmp/debian" >"$tmp/debootstrap.log" 2>&1 ||
		skip "debootstrap cannot reach Debian: $(tail -1 "$tmp/debootstrap.log")"
	# The mirror of this machine, if it has its own.
	cp /etc/apt/apt.conf.d/* "$tmp/debian/etc/apt/apt.conf.d/" 2>/dev/null
	local base
	base=$(bud from scratch) || fail "buildah from scratch"
	bud add -q "$base" "$tmp/debian" / >/dev/null || fail "buildah add"
	bud commit -q "$base" localhost/debian:12 >/dev/null || fail "buildah commit"
	git ls-files >"$tmp/files" 2>/dev/null || find . -type f >"$tmp/files"
	mkdir "$tmp/tree"
	tar -cf - --exclude='build*' -T "$tmp/files" | tar -xf - -C "$tmp/tree"
	bud bud --isolation chroot --build-arg DEBIAN=localhost/debian:12 -f k8s/Dockerfile -t localhost/linnix:test "$tmp/tree" >"$tmp/bud.log" 2>&1 ||
		fail "buildah bud: $(tail -30 "$tmp/bud.log")"
	local c root
	c=$(bud from localhost/linnix:test) || fail "the image is not there"
	root=$(bud mount "$c") || fail "buildah mount"
	make image-root DESTDIR="$tmp/here" BUILD="${LNX_BUILD:-build}" CC="${CC:-gcc}" >/dev/null || fail "make image-root"
	# Libraries may be of another minor version; names of our own files may not differ.
	diff <(cd "$root" && find usr/bin usr/lib/linnix etc/linnix | sort) <(cd "$tmp/here" && find usr/bin usr/lib/linnix etc/linnix | sort) ||
		fail "other files than those of make image"
	chroot "$root" /usr/bin/linnix version || fail "it does not run"
}

run dockerfile_builds_and_gives_the_same_files
