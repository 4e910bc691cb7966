# SPDX-License-Identifier: AGPL-3.0-or-later
# libsecp256k1 is opened with the first key: linked, every agent would load it.
settle_LIBS := -lsqlite3 -lsodium -ljansson -ldl
