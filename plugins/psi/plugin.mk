# SPDX-License-Identifier: AGPL-3.0-or-later
psi_LIBS := -lm
