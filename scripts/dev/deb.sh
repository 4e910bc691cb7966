#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Make build/linnix_VERSION_ARCH.deb from an installed tree. Called by `make deb`.

set -eu
build=${BUILD:-build}
version=${VERSION:?}
arch=$(dpkg --print-architecture)
root=$build/deb
multiarch_free_prefix=/usr

rm -rf "$root"
mkdir -p "$root/DEBIAN"
chmod 755 "$root" "$root/DEBIAN"
${MAKE:-make} --no-print-directory install DESTDIR="$root" PREFIX=$multiarch_free_prefix BUILD="$build"

# dpkg-shlibdeps names the packages of the libraries; it wants to see a debian/control.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/debian"
printf 'Source: linnix\n\nPackage: linnix\nArchitecture: any\n' >"$work/debian/control"
mapfile -t elfs < <(find "$PWD/$root/usr/bin" "$PWD/$root"/usr/lib/linnix/linnix-* "$PWD/$root/usr/lib/linnix/plugins" -type f 2>/dev/null)
depends=
if [ "${#elfs[@]}" -gt 0 ]; then
	depends=$(cd "$work" && dpkg-shlibdeps -O --ignore-missing-info "${elfs[@]}" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
fi

size=$(du -sk --exclude=DEBIAN "$root" | cut -f1)
sed -e "s/@VERSION@/$version/" -e "s/@ARCH@/$arch/" -e "s/@SIZE@/$size/" \
	-e "s/@DEPENDS@/${depends:-libc6}/" etc/deb/control.in >"$root/DEBIAN/control"
for f in postinst prerm postrm; do
	[ ! -e "etc/deb/$f" ] || install -m 755 "etc/deb/$f" "$root/DEBIAN/$f"
done
(cd "$root" && find etc -type f -printf '/%p\n' 2>/dev/null | sort) >"$root/DEBIAN/conffiles"
deb=$build/linnix_${version}_$arch.deb
dpkg-deb --root-owner-group --build "$root" "$deb" >/dev/null
echo "$deb"
