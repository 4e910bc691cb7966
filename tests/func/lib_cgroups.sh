# shellcheck shell=bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# For functional tests that need cgroups of their own: sourced after lib.sh. A test that makes groups traps EXIT with
# "finish; remove_groups".

v2=
cpu_root=
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
	cpu_root=$(awk '$0 ~ / - cgroup / && $NF ~ /(^|,)cpu(,|$)/ { print $5; exit }' /proc/self/mountinfo)
}

exact_agent()
{
	find_roots
	trap 'finish; remove_groups' EXIT
	start_agent
	is_exact() { [ "$(get /status | jq -r .tiers.cpu)" = exact ]; }
	poll 20 is_exact || skip "this kernel has no exact tier: $(get /status | jq -c .probes)"
}

# group NAME: in v2, and in the v1 hierarchy of the cpu controller if there is one.
group()
{
	local g=linnix-test-$$-$BASHPID-$1
	mkdir "$v2/$g" || skip "no right to make cgroups"
	groups+=("$v2/$g")
	if [ -n "$cpu_root" ]; then
		mkdir "$cpu_root/$g" || skip "no right to make cgroups"
		groups+=("$cpu_root/$g")
	fi
	eval "$1=$g"
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
