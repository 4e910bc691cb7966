#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Tests on a node of pure cgroup v2, with systemd and Debian's own kernel, whatever this machine has: run.sh SUITE=PROGRAM...
# boots a guest under software emulation, with the tree as it is built, and prints what the runner there says. What the
# guest writes is gone afterwards.
# TIMEOUT: 3600

set -eu
cd "$(dirname "$0")/../.."
build=${LNX_BUILD:-build}
dir=$build/vm
command -v qemu-system-x86_64 >/dev/null || {
	echo "needs qemu-system-x86_64: scripts/dev/packages.sh vm"
	exit 77
}
bash tests/vm/image.sh "$dir/image"

[ $# -gt 0 ] || set -- vm=tests/vm/systemd.sh func=tests/func/test_{blame,blame_io,enforce,tiers,privileges}.sh \
	bpf=build/tests/bpf/test_{objects,attach,proc,usage,mem,blkio,sched}
run=$(mktemp -d "$dir/run-XXXXXX")
guest=
clean()
{
	[ -z "$guest" ] || kill "$guest" 2>/dev/null || true
	rm -rf "$run"
}
trap clean EXIT

# The tree: what is needed to run it and its tests, not to build it.
mkdir -p "$run/tree/build"
cp -a scripts etc tests "$run/tree"
mkdir "$run/tree/build/tests"
for part in bin bpf plugins linnix-guardian tests/bpf; do
	cp -a "$build/$part" "$run/tree/build/$part"
done
cp -a "$build"/linnix_*.deb "$run/tree/build" 2>/dev/null || true
mke2fs -q -t ext4 -E root_owner=0:0 -d "$run/tree" "$run/tree.ext4" 256M

disk() { printf 'file=%s,format=raw,if=virtio,snapshot=on' "$1"; }
# Mitigations and tables of five levels cost an emulated CPU much; and its clock is good, whatever the kernel believes of it.
fast="mitigations=off nowatchdog tsc=reliable clocksource=tsc"
qemu-system-x86_64 -nodefaults -no-reboot -display none -machine q35 -cpu max,la57=off -smp 2 -m 2048 \
	-accel tcg,thread=multi,tb-size=512 \
	-kernel "$dir/image/vmlinuz" -initrd "$dir/image/initrd" \
	-append "root=/dev/vda rw console=ttyS0 quiet psi=1 systemd.show_status=0 $fast linnix.tests=$(IFS=, && echo "$*")" \
	-drive "$(disk "$dir/image/root.ext4")" -drive "$(disk "$run/tree.ext4")" \
	-serial "file:$run/console" -serial "file:$run/out" &
guest=$!
touch "$run/out"
tail -n +1 -f --pid="$guest" "$run/out" | tr -d '\r' &
wait "$guest" || true
guest=
wait
[[ $(tail -1 "$run/out") == *' passed, '* ]] || {
	echo "the guest ended early; its console:"
	tail -40 "$run/console"
	exit 1
}
[[ $(tail -1 "$run/out") == *' passed, 0 failed, '* ]]
