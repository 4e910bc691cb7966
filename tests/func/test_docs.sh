#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# BESIDE: it looks only at its own
#
# The reference pages are those of the programs.

# shellcheck source=tests/func/lib.sh
. "$(dirname "$0")/lib.sh"

pages_are_those_of_the_tables() { scripts/dev/gen_docs.sh --check; }

man_page_of_the_agent_has_every_option()
{
	local option options
	options=$("$linnixd" --help | grep -oE '(^|[ ,])--[a-z-]+' | tr -d ' ,' | sort -u)
	[ "$(wc -w <<<"$options")" -ge 8 ] || fail "only these options in --help: $options"
	for option in $options; do
		sed 's/\\-/-/g' etc/man/linnixd.8 | grep -qF -e "$option" || fail "$option is not in etc/man/linnixd.8"
	done
}

every_key_in_force_is_in_the_options_page()
{
	local section='' line key n=0
	while IFS= read -r line; do
		case $line in
		[a-z]*:*) section=${line%%:*} ;;
		'  '[a-z]*)
			key=${line#  }
			key=${key%%:*}
			[ "$key" != enabled ] || continue
			n=$((n + 1))
			sed -n "/^## $section\$/,/^## /p" etc/OPTIONS.md | grep -qE "^\| .${key}(\.|\`)" ||
				fail "$section.$key is in --dump-config and not in etc/OPTIONS.md"
			;;
		esac
	done < <("$linnixd" --config /dev/null --dump-config 2>/dev/null)
	[ "$n" -ge 15 ] || fail "only $n keys in --dump-config"
}

shipped_configuration_is_valid()
{
	"$linnixd" --config etc/linnix.yaml --check-config || fail "exit code $?"
}

man_pages_are_clean()
{
	command -v man >/dev/null || skip "no man"
	local page out
	for page in etc/man/*.[0-9]; do
		out=$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
		[ -z "$out" ] || fail "$page: $out"
	done
}

# block HEADING LANGUAGE: the first such block below it in README.md.
block() { awk -v h="## $1" -v f="\`\`\`$2" '$0 == h { on = 1 } on && $0 == "```" { exit } in_it; on && $0 == f { in_it = 1 }' README.md; }

# Beside the shipped ones: a second rule of the same name would be refused.
rule_of_the_readme_is_sound()
{
	block 'Add a rule' lua >"$tmp/readme.lua"
	grep -q '^rule ' "$tmp/readme.lua" || fail "no rule in README.md"
	"$linnix" rules check "$tmp/readme.lua" scripts/rules/*.lua || fail "it is not sound"
}

# In the tree, word by word.
plugin_of_the_readme_builds()
{
	need "${CC:-gcc}"
	unset MAKEFLAGS MAKELEVEL MFLAGS
	mkdir "$tmp/tree"
	cp -r sdk "$tmp/tree"
	rm -rf "$tmp/tree/sdk/template/c/build"
	block 'Write a plugin' sh >"$tmp/commands"
	grep -q make "$tmp/commands" || fail "no commands in README.md"
	(cd "$tmp/tree" && CC="${CC:-gcc}" bash -e "$tmp/commands") || fail "it does not build"
	[ -e "$tmp/tree/my_plugin/build/crashes.so" ] || fail "no build/crashes.so"
}

run pages_are_those_of_the_tables man_page_of_the_agent_has_every_option every_key_in_force_is_in_the_options_page \
	shipped_configuration_is_valid man_pages_are_clean rule_of_the_readme_is_sound plugin_of_the_readme_builds
