#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# The machine of tests/vm, as files in a folder: image.sh DIR. Debian of the release that runs here, with its own kernel and
# systemd: a node of pure cgroup v2. Made once, in minutes, from Debian's packages; again when this script or the list of
# packages changes. Ends with 77 and a reason where that cannot be.

set -eu
cd "$(dirname "$0")/../.."
dir=$1
# The last line of the output is the reason.
skip()
{
	echo "$*"
	exit 77
}

[ "$(id -u)" -eq 0 ] || skip "needs root"
for tool in debootstrap mke2fs; do
	command -v "$tool" >/dev/null || skip "needs $tool"
done
want=$( (cat "$0" tests/vm/linnix-vm.service && scripts/dev/packages.sh guest) | sha256sum)
[ "$(cat "$dir/made" 2>/dev/null)" != "$want" ] || exit 0

root=$dir/root
rm -rf "$dir"
mkdir -p "$root"
# shellcheck source=/dev/null
. /etc/os-release
# shellcheck disable=SC2016 # for apt-get
site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' "Codename: $VERSION_CODENAME" | head -1)
packages=$(scripts/dev/packages.sh guest | paste -sd,)
debootstrap --variant=minbase --include="$packages" "$VERSION_CODENAME" "$root" ${site:+"$site"} >"$dir/log" 2>&1 ||
	skip "debootstrap cannot reach Debian: $(tail -1 "$dir/log")"

# A small start: only what the root needs.
sed -i 's/^MODULES=.*/MODULES=list/' "$root/etc/initramfs-tools/initramfs.conf"
printf '%s\n' virtio_pci virtio_blk ext4 crc32c_generic >>"$root/etc/initramfs-tools/modules"
chroot "$root" update-initramfs -u >>"$dir/log" 2>&1
cp "$root"/boot/vmlinuz-* "$dir/vmlinuz"
cp "$root"/boot/initrd.img-* "$dir/initrd"

echo linnix-vm >"$root/etc/hostname"
install -D -m 644 tests/vm/linnix-vm.service "$root/etc/systemd/system/linnix-vm.service"
chroot "$root" systemctl -q enable linnix-vm.service
chroot "$root" systemctl -q mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
	fstrim.timer getty@tty1.service serial-getty@ttyS0.service systemd-timesyncd.service
# Controllers for what lies at the top beside this slice, as on a node where any unit has a weight.
mkdir -p "$root/etc/systemd/system/system.slice.d"
printf '[Slice]\nCPUWeight=100\nIOWeight=100\nMemoryAccounting=yes\n' >"$root/etc/systemd/system/system.slice.d/controllers.conf"
rm -rf "$root"/var/cache/apt "$root"/var/lib/apt/lists "$root"/usr/share/{doc,locale,man}
mke2fs -q -t ext4 -E root_owner=0:0 -d "$root" "$dir/root.ext4" 2G
rm -rf "$root"
printf '%s\n' "$want" >"$dir/made"
