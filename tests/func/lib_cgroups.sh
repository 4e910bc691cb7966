# shellcheck shell=bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# For functional tests that need cgroups of their own: sourced after lib.sh. A test that makes groups traps EXIT with
# "finish; remove_groups".

v2=
cpu_root=
controllers=(cpu) # those in whose v1 hierarchies, where there are any, groups are made, too
v1_roots=()
groups=()

find_roots()
{
	need_root
	need jq
	need taskset
	v2=$(awk '$0 ~ / - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
	[ -n "$v2" ] || skip "no cgroup v2"
	[ -r "$v2/cgroup.controllers" ] || skip "no cgroup v2"
	[ -r /proc/pressure/cpu ] || skip "no PSI"
	# shellcheck disable=SC2034 # for the tests
	cpu_root=$(v1_root cpu)
	local c
	for c in "${controllers[@]}"; do
		[ -z "$(v1_root "$c")" ] || v1_roots+=("$(v1_root "$c")")
		# One that v2 has, groups are to have as well.
		! grep -qw "$c" "$v2/cgroup.controllers" || echo "+$c" >"$v2/cgroup.subtree_control" || skip "no right to enable $c"
	done
}

# v1_root CONTROLLER: where it is mounted, nothing if it is of v2.
v1_root() { awk -v c="$1" '$0 ~ / - cgroup / && $NF ~ "(^|,)" c "(,|$)" { print $5; exit }' /proc/self/mountinfo; }

# CPU quota and weight of a group, in whichever hierarchy has the controller.
# shellcheck disable=SC2034 # for the tests
if [ -n "$(v1_root cpu)" ]; then
	quota() { cat "$cpu_root/$1/cpu.cfs_quota_us"; }
	set_quota() { echo "$2" >"$cpu_root/$1/cpu.cfs_quota_us"; }
	weight() { cat "$cpu_root/$1/cpu.shares"; }
	set_weight() { echo "$2" >"$cpu_root/$1/cpu.shares"; }
	no_quota=-1 usual_weight=1024 quota_30=30000 weight_10=102 weight_50=512 large=16384
else
	quota() { cat "$v2/$1/cpu.max"; }
	set_quota() { echo "$2 100000" >"$v2/$1/cpu.max"; }
	weight() { cat "$v2/$1/cpu.weight"; }
	set_weight() { echo "$2" >"$v2/$1/cpu.weight"; }
	no_quota="max 100000" usual_weight=100 quota_30="30000 100000" weight_10=10 weight_50=50 large=10000
fi
has_quota() { [ "$(quota "$1")" = "$2" ]; }
has_weight() { [ "$(weight "$1")" = "$2" ]; }

exact_agent()
{
	find_roots
	trap 'finish; remove_groups' EXIT
	start_agent
	need_exact
}

# group NAME [PARENT]: in v2, and in the v1 hierarchies of the controllers.
group()
{
	local g=${2:+$2/}linnix-test-$$-$BASHPID-$1 r
	for r in "$v2" "${v1_roots[@]+"${v1_roots[@]}"}"; do
		mkdir -p "$r/$g" || skip "no right to make cgroups"
		groups=("$r/$g" "${groups[@]+"${groups[@]}"}") # children go first
	done
	eval "$1=$g"
}

# below GROUP...: below one that was made, parents first.
below()
{
	local g r
	for g in "$@"; do
		for r in "$v2" "${v1_roots[@]+"${v1_roots[@]}"}"; do
			mkdir "$r/$g" || skip "no right to make cgroups"
			groups=("$r/$g" "${groups[@]+"${groups[@]}"}")
		done
	done
}

# enter GROUP: this shell.
enter()
{
	local r
	for r in "$v2" "${v1_roots[@]+"${v1_roots[@]}"}"; do echo "$BASHPID" >"$r/$1/cgroup.procs" || return 1; done
}

remove_groups()
{
	local g n
	for g in "${groups[@]+"${groups[@]}"}"; do
		# Not poll: at this point its folder is gone.
		for ((n = 0; n < 100; n++)); do
			rmdir "$g" 2>/dev/null && break
			[ -d "$g" ] || break
			nap 0.05
		done
	done
}
