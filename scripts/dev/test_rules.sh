#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
#
# The tests that are written inside the shipped rules.
exec "${LNX_BUILD:-build}/bin/linnix" rules test scripts/rules
