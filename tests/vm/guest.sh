#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Inside the guest: the tests that the kernel's command line names (linnix.tests=SUITE=PROGRAM,...), by the same runner as
# everywhere.

set -u
export LC_ALL=C.UTF-8 HOME=/root TMPDIR=/tmp LNX_BUILD=build LNX_SLOW=4
IFS=, read -ra tests < <(sed -n 's/.*linnix\.tests=\([^ ]*\).*/\1/p' /proc/cmdline)
printf 'guest: Linux %s, %s CPUs, up %s s, cgroup %s with %s\n' "$(uname -r)" "$(nproc)" "$(cut -d' ' -f1 /proc/uptime)" \
	"$(stat -fc %T /sys/fs/cgroup)" "$(cat /sys/fs/cgroup/cgroup.subtree_control)"
journalctl -q -f -o cat -u linnix.service >/dev/ttyS0 2>&1 &
scripts/dev/run_tests.sh "${tests[@]}"
