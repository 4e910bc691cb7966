/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the files of the database share. */
#ifndef LNX_SETTLE_DB_IMPL_H
#define LNX_SETTLE_DB_IMPL_H

#include "db.h"

int db_errno(int rc);
/* Rows that are not over, and tasks made since <since_ms>. */
int db_load(sqlite3 *db, int64_t since_ms, struct db_loaded *ret, char error[DB_ERROR]);

#endif
