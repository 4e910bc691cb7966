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
	for c in "${controllers[@]}"; do [ -z "$(v1_root "$c")" ] || v1_roots+=("$(v1_root "$c")"); done
}

# v1_root CONTROLLER: where it is mounted, nothing if it is of v2.
v1_root() { awk -v c="$1" '$0 ~ / - cgroup / && $NF ~ "(^|,)" c "(,|$)" { print $5; exit }' /proc/self/mountinfo; }

exact_agent()
{
	find_roots
	trap 'finish; remove_groups' EXIT
	start_agent
	is_exact() { [ "$(get /status | jq -r .tiers.cpu)" = exact ]; }
	poll 20 is_exact || not_exact "$(get /status | jq -c .probes)"
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
