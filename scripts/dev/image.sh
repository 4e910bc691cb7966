#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Make an OCI image of the build without a Docker daemon and without root: image.sh (called by `make image`), or only put its
# files into a folder: image.sh DIR (`make image-root DESTDIR=DIR`, for k8s/Dockerfile)
#
# What `make install` puts in place, less what is for developers, and the shared libraries that it needs, from this
# machine. Nothing else is in it: no shell, no package manager. The same build gives the same bytes: names are sorted,
# times are SOURCE_DATE_EPOCH (0), owners are root. Prints the digest of its manifest.

set -eu
export LC_ALL=C
umask 022
: "${VERSION:?}" "${BUILD:?}" "${MAKE:=make}"
name=localhost/linnix:$VERSION
archive=$BUILD/linnix-$VERSION.oci.tar
when=$(date -u -d "@${SOURCE_DATE_EPOCH:-0}" +%Y-%m-%dT%H:%M:%SZ)

need()
{
	local tool
	for tool; do
		command -v "$tool" >/dev/null || {
			echo "image: no $tool: apt-get install umoci jq binutils" >&2
			exit 1
		}
	done
}

tmp=$(mktemp -d "$BUILD/image-XXXXXX")
trap 'rm -rf "$tmp"' EXIT
root=$(realpath -m "${1:-$tmp/root}")

fill_root()
{
	local d roots=/etc/ssl/certs/ca-certificates.crt
	"$MAKE" --no-print-directory install DESTDIR="$root" PREFIX=/usr BUILD="$BUILD" >/dev/null
	rm -rf "$root"/usr/{include,lib/pkgconfig,lib/systemd,lib/sysusers.d,share/man,share/linnix}
	strip --strip-unneeded "$root"/usr/bin/* "$root"/usr/lib/linnix/linnix-* "$root"/usr/lib/linnix/plugins/*.so
	for d in bin lib lib64 sbin; do
		mkdir -p "$root/usr/$d"
		ln -s "usr/$d" "$root/$d"
	done
	mkdir -p "$root"/{dev,etc/ssl/certs,etc/linnix/conf.d,opt,proc,run/linnix,sys,var/lib/linnix}
	mkdir -m 1777 "$root/tmp"
	printf 'root:x:0:0:root:/:/usr/sbin/nologin\n' >"$root/etc/passwd"
	printf 'root:x:0:\n' >"$root/etc/group"
	printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$root/etc/nsswitch.conf"
	# For what sends over TLS; the API server of a cluster has its own.
	if [ -e "$roots" ]; then
		cp -L "$roots" "$root$roots"
	else
		echo "image: no $roots: nothing in the image can check a certificate" >&2
	fi
}

# Every shared object that the programs load, with the licence of its package.
add_libraries()
{
	local lib real package
	ldd "$root"/usr/bin/* "$root"/usr/lib/linnix/linnix-* "$root"/usr/lib/linnix/plugins/*.so >"$tmp/ldd"
	if grep -q 'not found' "$tmp/ldd"; then
		grep 'not found' "$tmp/ldd" >&2
		exit 1
	fi
	sed -n -e 's,^\t.*=> \(/[^ ]*\) .*,\1,p' -e 's,^\t\(/[^ ]*\) .*,\1,p' "$tmp/ldd" | sort -u >"$tmp/libraries"
	while IFS= read -r lib; do
		# The same name that the loader looks for, below /usr as the links above have it.
		mkdir -p "$root/usr$(dirname "${lib#/usr}")"
		cp -L "$lib" "$root/usr${lib#/usr}"
		real=$(realpath "$lib")
		package=$(dpkg-query -S "$real" "${real#/usr}" 2>/dev/null | sed -n '1s/:.*//p') || true
		[ -n "$package" ] || continue
		mkdir -p "$root/usr/share/doc/$package"
		cp -L "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/copyright"
	done <"$tmp/libraries"
}

pack()
{
	local oci=$tmp/oci
	tar -C "$root" -cf "$tmp/layer.tar" --sort=name --mtime="$when" --owner=0 --group=0 --numeric-owner --format=gnu .
	umoci init --layout "$oci"
	umoci new --image "$oci:$VERSION"
	umoci raw add-layer --image "$oci:$VERSION" --history.created "$when" --history.created_by "make image" "$tmp/layer.tar"
	umoci config --image "$oci:$VERSION" --no-history --created "$when" --config.entrypoint /usr/bin/linnixd \
		--config.env PATH=/usr/bin --config.exposedports 9464/tcp --config.stopsignal SIGTERM \
		--config.label "org.opencontainers.image.title=linnix" --config.label "org.opencontainers.image.version=$VERSION" \
		--config.label "org.opencontainers.image.licenses=AGPL-3.0-or-later AND (GPL-2.0-only OR MIT)"
	umoci gc --layout "$oci" >/dev/null
	jq -cS --arg name "$name" '.manifests[0].annotations["io.containerd.image.name"] = $name' "$oci/index.json" >"$tmp/index.json"
	mv "$tmp/index.json" "$oci/index.json"
	tar -C "$oci" -cf "$archive" --sort=name --mtime="$when" --owner=0 --group=0 --numeric-owner --format=gnu \
		blobs index.json oci-layout
	jq -r --arg a "$archive" '"\($a) \(.manifests[0].digest)"' "$oci/index.json"
}

need strip
[ $# -gt 0 ] || need umoci jq
fill_root
add_libraries
[ $# -gt 0 ] || pack
