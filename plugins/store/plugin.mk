# SPDX-License-Identifier: AGPL-3.0-or-later
store_LIBS := -lsqlite3 -lsodium
