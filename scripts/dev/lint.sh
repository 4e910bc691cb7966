#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# The quality gates that need no running, as TAP: lint.sh [CHECK]...
# Without arguments every check runs. A missing tool is a skip that is said, and a failure when
# CI=true. Only files known to git are looked at (all files where there is no git).
# TIMEOUT: 900
# BESIDE: nothing is run

set -u
export LC_ALL=C
build=${LNX_BUILD:-build}
jobs=$(nproc)
n=0 bad=0
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT

files()
{
	if git rev-parse --git-dir >/dev/null 2>&1; then
		git ls-files -- "$@" | while IFS= read -r f; do [ ! -f "$f" ] || printf '%s\n' "$f"; done
	else
		local p args=()
		for p in "$@"; do args+=(-o -path "./$p"); done
		find . -path './build*' -prune -o -path './chain/node_modules' -prune -o -path './.git' -prune -o -type f \( "${args[@]:1}" \) -print | sed 's,^\./,,'
	fi
}

# Report the check named $1: passed when the file $out is empty.
verdict()
{
	n=$((n + 1))
	if [ -s "$out" ]; then
		bad=1
		echo "not ok $n - $1"
		head -100 "$out" | sed 's/^/# /'
	else
		echo "ok $n - $1"
	fi
}

need()
{
	command -v "$1" >/dev/null && return 0
	n=$((n + 1))
	if [ "${CI:-}" = true ]; then
		bad=1
		echo "not ok $n - $2: $1 is not installed"
	else
		echo "ok $n - $2 # SKIP $1 is not installed"
	fi
	return 1
}

lua_inc=$(pkg-config --cflags lua5.4 2>/dev/null || echo -I/usr/include/lua5.4)
lua_inc=${lua_inc//-I/-isystem }
# __FILE__ is a string that needs no quotes.
base_flags="-std=c11 -D_GNU_SOURCE -DLNX_VERSION=__FILE__ -Isdk/include"

# The include path of a file is the one it is built with.
flags_of()
{
	case $1 in
	core/* | tests/*) echo "$base_flags -Icore -Isdk/testhost -I. $lua_inc" ;;
	plugins/*/test_* | sdk/testhost/*) echo "$base_flags -Isdk/testhost" ;;
	*) echo "$base_flags" ;;
	esac
}

check_format()
{
	need clang-format clang-format || return
	files '*.c' '*.h' | xargs -r clang-format --dry-run -Werror 2>&1 | grep 'error:' | cut -d: -f1 | uniq -c |
		awk '{ print $2 ": " $1 " places; make format" }' >"$out"
	verdict "clang-format"
}

# What is read before it is written is left to the compilers and clang-tidy, which follow loops.
check_cppcheck()
{
	need cppcheck cppcheck || return
	files 'core/*.c' 'plugins/*.c' 'sdk/*.c' | grep -v '/test_' | xargs -r cppcheck -q -j "$jobs" --enable=warning,performance,portability --inline-suppr --std=c11 \
		--suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches --suppress=unusedStructMember \
		--suppress=uninitvar \
		--template='{file}:{line}: {severity}: {message} [{id}]' -D__linux__ -D_GNU_SOURCE -DLNX_VERSION=__FILE__ \
		--library=scripts/dev/cppcheck.cfg \
		-Isdk/include -Icore 2>&1 | grep -v '^\^\|^ ' >"$out"
	verdict "cppcheck"
}

tidy_one()
{
	local f=$1 log key
	# What was clean stays clean until the file, one of its headers or the configuration changes.
	# shellcheck disable=SC2046
	key=$build/lint/$({ cat .clang-tidy "$f"; clang -E $(flags_of "$f") "$f" 2>/dev/null; } | sha256sum | cut -c1-32)
	[ ! -e "$key" ] || return 0
	# shellcheck disable=SC2046,SC2086
	log=$(clang-tidy --quiet --warnings-as-errors='*' "$f" -- $(flags_of "$f") $limit 2>/dev/null) && {
		: >"$key"
		return 0
	}
	printf '%s\n' "$log" | grep -E ': (warning|error): ' | sed "s,$PWD/,,"
}

check_tidy()
{
	need clang-tidy clang-tidy || return
	export -f tidy_one flags_of
	# The analyzer gives up on a function after so many steps: without this it takes minutes.
	export limit='-Xclang -analyzer-config -Xclang max-nodes=50000'
	export base_flags lua_inc build
	mkdir -p "$build/lint"
	files 'core/*.c' 'plugins/*.c' 'sdk/testhost/*.c' 'sdk/template/c/*.c' | grep -v '/test_' |
		xargs -r -P "$jobs" -I{} bash -c 'tidy_one {}' 2>&1 | sort -u >"$out"
	verdict "clang-tidy"
}

check_luacheck()
{
	need luacheck luacheck || return
	files '*.lua' | grep -v '^tests/data/' | xargs -r luacheck -q --no-color >"$out" 2>&1 && : >"$out"
	verdict "luacheck"
}

check_shellcheck()
{
	need shellcheck shellcheck || return
	{ files '*.sh' '.ci/run' 'etc/deb/p*'; } | xargs -r -n 8 -P "$jobs" shellcheck -x >"$out" 2>&1
	verdict "shellcheck"
}

# The contracts by forge, where chain_tools.sh has brought it: no gate fetches anything.
check_contracts()
{
	local forge
	: >"$out"
	files 'chain/*.js' 'chain/bin/*' 'tests/data/chain/*.mjs' | xargs -r grep -nE '[[:space:]]+$|	|^.{161}' | sed 's/$/   (blanks, 160 columns)/' >>"$out"
	for forge in build/tools/forge-linux-*/bin/forge; do
		[ -x "$forge" ] || break
		(cd chain && "../$forge" fmt --check --color never >/dev/null 2>&1) || echo "chain: cd chain && ../$forge fmt" >>"$out"
		verdict "layout of contracts and their scripts"
		return
	done
	[ ! -s "$out" ] || {
		verdict "layout of contracts and their scripts"
		return
	}
	n=$((n + 1))
	echo "ok $n - layout of contracts # SKIP forge is not there: scripts/dev/chain_tools.sh forge"
}

check_headers()
{
	: >"$out"
	local h
	for h in $(files 'sdk/include/linnix/*.h' 'core/*.h' 'core/cli/*.h' 'sdk/testhost/*.h' 'plugins/*.h'); do
		# shellcheck disable=SC2046
		echo "#include \"$PWD/$h\"" |
			gcc $(flags_of "$h") -I"$(dirname "$h")" -Wall -Wno-unused -fsyntax-only -x c - >>"$out" 2>&1 ||
			echo "$h does not compile alone" >>"$out"
	done
	verdict "each header compiles alone"
}

check_includes()
{
	local libc='assert|ctype|errno|fcntl|inttypes|limits|math|setjmp|stdarg|stdbool|stddef|stdint|stdio|stdlib|string|strings|sys/stat|time|unistd'
	{
		files 'sdk/include/linnix/*.h' | xargs -r grep -nHE '^[ \t]*#[ \t]*include' |
			grep -vE "<(linnix/[a-z0-9_]+|linux/types|($libc))\.h>" | sed 's/$/   (sdk headers: libc, linux\/types.h, linnix\/)/'
		files 'plugins/*.c' 'plugins/*.h' 'sdk/template/*.c' 'sdk/testhost/*.c' |
			xargs -r grep -nHE '^[ \t]*#[ \t]*include[ \t]*"([^"]*/|)\.\.?/' | sed 's/$/   (a plugin does not leave its folder)/'
		files 'plugins/*.c' 'plugins/*.h' | while IFS= read -r f; do
			grep -oE '^[ \t]*#[ \t]*include[ \t]*"[^"]+"' "$f" | sed 's/.*"\(.*\)"/\1/' | while IFS= read -r inc; do
				if [ ! -e "$(dirname "$f")/$inc" ] && [[ $f != */test_* || ! -e sdk/testhost/$inc ]]; then
					echo "$f: \"$inc\" is not in the plugin's folder"
				fi
			done
		done
		files 'core/*.c' 'core/*.h' | xargs -r grep -nHE '#[ \t]*include[ \t]*[<"](microhttpd|curl/|sqlite3|sodium|secp256k1|zstd|[^"]*plugins/)' |
			grep -v -e '^core/cli/[^:]*:[0-9]*:#include <curl/curl.h>' -e '^core/rec_block.c:[0-9]*:#include <zstd.h>' | sed 's/$/   (not a library of core)/'
	} >"$out"
	verdict "include rule"
}

check_banned()
{
	files 'core/*.c' 'core/*.h' 'plugins/*.c' 'plugins/*.h' 'sdk/*.c' 'sdk/*.h' | grep -v '/test_' |
		xargs -r grep -nHwE '(strcpy|strcat|sprintf|vsprintf|strncpy|strncat|strtok|gets|atoi|atol|atoll|atof|alloca|system|sleep|usleep|tmpnam|mktemp|rand|srand) *\(' |
		grep -vE '^[^:]*:[0-9]+:[ \t]*(/?\*|//)' >"$out"
	# Of cmocka: what is no number passes it, and it looks at floats.
	files 'core/*.[ch]' 'plugins/*.[ch]' 'sdk/*.[ch]' 'tests/*.[ch]' | xargs -r grep -nHw assert_float_equal |
		sed 's/$/   (testhost_near)/' >>"$out"
	verdict "banned calls"
}

check_length()
{
	: >"$out"
	local f lines long=
	for f in $(files '*.c' '*.h' '*.lua' '*.sh'); do
		lines=$(wc -l <"$f")
		case $f in
		*.h) [ "$lines" -lt 150 ] || long="$long $f($lines)" ;;
		esac
		[ "$lines" -lt 600 ] || echo "$f: $lines lines, 600 is too many: split by subject" >>"$out"
	done
	[ -z "$long" ] || echo "# note: headers of 150 lines and more:$long"
	verdict "file length"
}

check_spdx()
{
	: >"$out"
	local f want
	for f in $(files '*.c' '*.h' '*.lua' '*.sh' '*.mk' '*.py' '*.js' '*.mjs' '*.ts' '*.sol' GNUmakefile .ci/run); do
		case $f in
		bpf/*) want='GPL-2.0-only OR MIT' ;;
		sdk/*) want='MIT' ;;
		tests/data/*) continue ;;
		*) want= ;;
		esac
		if ! head -3 "$f" | grep -q "SPDX-License-Identifier: ${want:-[A-Z]}"; then
			echo "$f: no line SPDX-License-Identifier: ${want:-AGPL-3.0-or-later} among the first three" >>"$out"
		fi
	done
	verdict "SPDX line"
}

check_notes()
{
	# The words are written in two parts so that this file passes its own check.
	files '*' | grep -vE '^(LICENSE|tests/data/|core/STYLE.md)' |
		xargs -r grep -nIwE "TO""DO|FIX""ME|X""XX" >"$out"
	verdict "no notes to self"
}

check_exports()
{
	need nm "exports" || return
	: >"$out"
	local so got
	case $build in
	*asan | *tsan | *cov)
		n=$((n + 1))
		echo "ok $n - plugins export one symbol # SKIP an instrumented build exports more"
		return
		;;
	esac
	for so in "$build"/plugins/*.so; do
		[ -e "$so" ] || continue
		# An object left over from a plugin that is gone is not ours to judge.
		[ -d "plugins/$(basename "$so" .so)" ] || continue
		got=$(nm -D --defined-only "$so" | awk '{ print $NF }' | sort | tr '\n' ' ')
		[ "$got" = "linnix_plugin_v1 " ] || echo "$so exports: ${got:-nothing}" >>"$out"
	done
	verdict "plugins export one symbol"
}

check_readme()
{
	: >"$out"
	local f lines
	for f in core bpf sdk scripts etc k8s chain tests plugins; do
		[ -n "$(files "$f/*")" ] || continue
		if [ ! -e "$f/README.md" ]; then
			echo "$f has no README.md" >>"$out"
			continue
		fi
		lines=$(wc -l <"$f/README.md")
		[ "$f" = sdk ] || [ "$lines" -le 40 ] || echo "$f/README.md: $lines lines, 40 are allowed" >>"$out"
	done
	for f in $(files 'plugins/*/plugin.mk'); do
		[ -e "$(dirname "$f")/README.md" ] || echo "$(dirname "$f") has no README.md" >>"$out"
	done
	for f in $(files 'core/*.c'); do
		grep -qE "\`(main\.c|$(basename "$f" .c))\`" core/ARCHITECTURE.md || echo "core/ARCHITECTURE.md does not say what $f is for" >>"$out"
	done
	for f in $(files 'core/adr/*.md'); do
		[ "$(wc -l <"$f")" -le 40 ] || echo "$f: over 40 lines" >>"$out"
	done
	verdict "each folder has its README, each core file its line"
}

all="format cppcheck tidy luacheck shellcheck contracts headers includes banned length spdx notes exports readme"
# shellcheck disable=SC2086
[ $# -gt 0 ] || set -- $all
for c in "$@"; do
	if ! declare -F "check_$c" >/dev/null; then
		echo "lint.sh: no check named $c; there are: $all" >&2
		exit 2
	fi
	start=$SECONDS
	"check_$c"
	[ $((SECONDS - start)) -lt 20 ] || echo "# $c took $((SECONDS - start)) s"
done
echo "1..$n"
exit "$bad"
