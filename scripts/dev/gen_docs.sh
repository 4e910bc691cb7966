#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Write the reference pages from the tables of the programs, and the manifests that hold other files: gen_docs.sh [--check]
#
# With --check nothing is written: pages which are old are named, and the exit status is 1.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
linnix=${LNX_BUILD:-build}/bin/linnix
check=no
[ "${1:-}" != --check ] || check=yes
[ -x "$linnix" ] || {
	echo "gen_docs: no $linnix: run make first" >&2
	exit 2
}
new=$(mktemp)
trap 'rm -f "$new"' EXIT
old=0

page()
{
	local file=$1
	shift
	"$@" >"$new"
	if cmp -s "$new" "$file"; then
		return
	fi
	if [ "$check" = yes ]; then
		echo "gen_docs: $file is old: run scripts/dev/gen_docs.sh"
		diff -u "$file" "$new" | head -20 || true
		old=1
	else
		mkdir -p "$(dirname "$file")"
		cat "$new" >"$file"
		echo "wrote $file"
	fi
}

page sdk/EVENTS.md "$linnix" events --fields --markdown
page core/CLI.md "$linnix" help --markdown
page etc/OPTIONS.md "$linnix" plugins --options --markdown
page etc/man/linnix.1 "$linnix" help --man
page k8s/base/30-rules.yaml scripts/dev/k8s_page.sh rules
page k8s/overlays/prometheus-operator/rules.yaml scripts/dev/k8s_page.sh alerts
exit "$old"
