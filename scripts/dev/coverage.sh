#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# Run tests of a SAN=cov build and hold line coverage against a floor: coverage.sh SUITE=PROGRAM...
# Tests, third-party headers and the test host are not counted.

set -eu
build=${LNX_BUILD:-build-cov}
floor=${COVERAGE_FLOOR:-60}
find "$build" -name '*.gcda' -delete
bad=0
scripts/dev/run_tests.sh "$@" || bad=1
lcov --quiet --capture --directory "$build" --base-directory . --no-external --output-file "$build/all.info"
lcov --quiet --remove "$build/all.info" '*/tests/*' '*/test_*' '*/testhost/*' --output-file "$build/coverage.info"
lcov --list "$build/coverage.info"
if command -v genhtml >/dev/null; then
	genhtml --quiet --output-directory "$build/coverage" "$build/coverage.info"
	echo "pages: $build/coverage/index.html"
fi
pct=$(lcov --summary "$build/coverage.info" 2>&1 | sed -n 's/^ *lines\.*: *\([0-9]*\).*/\1/p')
echo "lines: $pct %, floor $floor %"
[ "$pct" -ge "$floor" ] && [ "$bad" -eq 0 ]
