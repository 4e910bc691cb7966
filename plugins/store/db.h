/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The file: opened, checked, brought to the present schema, kept small. Any thread, one at a time. */
#ifndef LNX_STORE_DB_H
#define LNX_STORE_DB_H

#include <sqlite3.h>
#include <stdint.h>

#define DB_VERSION 2 /* of the schema, kept in user_version */
#define DB_ERROR   256

/* What became of the file at open. */
struct db_opened {
	uint32_t from_version; /* 0: made new */
	uint32_t is_set_aside; /* the old one was moved */
	char aside[512];       /* where to */
	char why[DB_ERROR];
};

/* SQLite with little memory of its own; once, before the first open. */
void db_init(void);
/* Open for writing: made with mode 0600 if it is not there; a file that is damaged or newer than this program is moved aside
 * and a new one begun. 0 or -errno with <error>. */
int db_open(const char *path, sqlite3 **ret_db, struct db_opened *ret_opened, char error[DB_ERROR]);
/* Open for reading only. <flags> of sqlite3_open_v2 besides. */
int db_open_reader(const char *path, sqlite3 **ret_db, char error[DB_ERROR]);
void db_close(sqlite3 **io_db);

/* Statements without rows. <rc> of SQLite to -errno. */
int db_exec(sqlite3 *db, const char *sql);
int db_errno(int rc);
/* True if the file itself is broken. */
int db_is_corrupt(int rc);
/* The first column of the first row, <def> if there is none. */
int64_t db_int(sqlite3 *db, const char *sql, int64_t def);
/* Statement with up to four numbers bound. 0 or -errno. */
int db_run(sqlite3 *db, const char *sql, int n, const int64_t *values);

/* Bring the schema from <from> to <to> (tests stop at earlier ones). 0 or -errno. */
int db_migrate(sqlite3 *db, uint32_t from, uint32_t to);

#endif
