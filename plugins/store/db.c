/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Opening the database. Whatever is wrong with the file, the agent goes on: a file that cannot be used is kept beside. */
#include "db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUSY_MS 2000 /* `linnix incidents verify` may read meanwhile */

int db_errno(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return -EROFS;
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
		return -EIO;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	case SQLITE_INTERRUPT:
		return -EINTR;
	default:
		return -EINVAL;
	}
}

int db_is_corrupt(int rc)
{
	return rc == -EUCLEAN;
}

int db_exec(sqlite3 *db, const char *sql)
{
	return db_errno(sqlite3_exec(db, sql, NULL, NULL, NULL));
}

int db_run(sqlite3 *db, const char *sql, int n, const int64_t *values)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	for (int i = 0; rc == SQLITE_OK && i < n; i++)
		rc = sqlite3_bind_int64(st, i + 1, values[i]);
	if (rc == SQLITE_OK)
		do
			rc = sqlite3_step(st);
		while (rc == SQLITE_ROW);
	(void)sqlite3_finalize(st); /* the step told */
	return db_errno(rc);
}

int64_t db_int(sqlite3 *db, const char *sql, int64_t def)
{
	sqlite3_stmt *st = NULL;
	int64_t v = def;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW && sqlite3_column_type(st, 0) != SQLITE_NULL)
		v = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st); /* the default stands */
	return v;
}

void db_close(sqlite3 **io_db)
{
	(void)sqlite3_close_v2(*io_db); /* nothing left to do about it */
	*io_db = NULL;
}

static int fail(sqlite3 **io_db, const char *path, int rc, char error[DB_ERROR])
{
	int system = *io_db ? sqlite3_system_errno(*io_db) : 0;

	(void)snprintf(error, DB_ERROR, "%s: %s%s%s", path, /* cut is fine: for people */
		       *io_db ? sqlite3_errmsg(*io_db) : sqlite3_errstr(rc), system ? ": " : "",
		       system ? strerror(system) : "");
	db_close(io_db);
	rc = db_errno(rc);
	return rc ? rc : -EIO;
}

void db_init(void)
{
	/* By default SQLite takes 20 pages for each file and a stock of small blocks for each
	 * connection, used or not. Fails once a database is open: then they are as they are. */
	(void)sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
	(void)sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
}

static int open_file(const char *path, int flags, sqlite3 **ret_db, char error[DB_ERROR])
{
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(
		path, &db,
		flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE, NULL);

	if (rc != SQLITE_OK)
		return fail(&db, path, rc, error);
	(void)sqlite3_busy_timeout(db, BUSY_MS); /* cannot fail */
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	/* the file is small and the memory of a node is not ours: 256 KiB of pages, none mapped */
	rc = sqlite3_exec(db, "PRAGMA cache_size=-256; PRAGMA mmap_size=0; PRAGMA temp_store=FILE",
			  NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return fail(&db, path, rc, error);
	*ret_db = db;
	return 0;
}

int db_open_reader(const char *path, sqlite3 **ret_db, char error[DB_ERROR])
{
	return open_file(path, SQLITE_OPEN_READONLY, ret_db, error);
}

/* "ok", or the first thing that is wrong. 0, -EUCLEAN, -errno. */
static int check(sqlite3 *db, char error[DB_ERROR])
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &st, NULL);
	const char *text;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		text = (const char *)sqlite3_column_text(st, 0);
		rc = text && !strcmp(text, "ok") ? SQLITE_OK : SQLITE_CORRUPT;
		(void)snprintf(error, DB_ERROR, "damaged: %s", text ? text : "?"); /* likewise */
	} else {
		(void)snprintf(error, DB_ERROR, "%s", sqlite3_errmsg(db)); /* likewise */
	}
	(void)sqlite3_finalize(st);
	return db_errno(rc);
}

/* Move <path> and its WAL to "<path>.<why>-<n>". 0 or -errno. */
static int set_aside(const char *path, const char *why, struct db_opened *o)
{
	static const char *const tails[] = { "", "-wal", "-shm" };
	char from[520], to[520];
	struct stat st;
	unsigned n = 1;
	int rc = 0;

	do
		(void)snprintf(o->aside, sizeof(o->aside), "%s.%s-%u", path, why, n);
	while (++n < 1000 && lstat(o->aside, &st) == 0);
	for (unsigned i = 0; i < 3; i++) {
		(void)snprintf(from, sizeof(from), "%s%s", path, tails[i]);
		(void)snprintf(to, sizeof(to), "%s%s", o->aside, tails[i]);
		if (rename(from, to) < 0 && errno != ENOENT && !rc)
			rc = -errno;
	}
	o->is_set_aside = 1;
	return rc;
}

/* The file exists with mode 0600 before SQLite makes it with another one. */
static int make_private(const char *path, char error[DB_ERROR])
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0) {
		int rc = -errno;

		(void)snprintf(error, DB_ERROR, "%s: %s", path, strerror(-rc)); /* likewise */
		return rc;
	}
	(void)close(fd);
	return 0;
}

/* Pragmas, version, check, migration. 0; -EUCLEAN or -ENOTSUP: to be set aside; -errno. */
static int prepare(sqlite3 *db, struct db_opened *o, char why[DB_ERROR])
{
	int64_t version;
	int rc = check(db, why);

	if (rc)
		return rc;
	version = db_int(db, "PRAGMA user_version", -1);
	if (version < 0)
		return -EUCLEAN;
	if (version > DB_VERSION) {
		(void)snprintf(why, DB_ERROR,
			       "made by a newer version (schema %lld, this one knows %d)",
			       (long long)version, DB_VERSION);
		return -ENOTSUP;
	}
	o->from_version = (uint32_t)version;
	if (!version)
		rc = db_exec(db,
			     "PRAGMA auto_vacuum=INCREMENTAL"); /* only before the first table */
	if (!rc)
		rc = db_exec(db,
			     "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
			     "PRAGMA wal_autocheckpoint=256; PRAGMA journal_size_limit=1048576");
	if (!rc)
		rc = db_migrate(db, o->from_version, DB_VERSION);
	if (rc)
		(void)snprintf(why, DB_ERROR, "%s", sqlite3_errmsg(db)); /* likewise */
	return rc;
}

int db_open(const char *path, sqlite3 **ret_db, struct db_opened *o, char error[DB_ERROR])
{
	char why[DB_ERROR] = "";
	sqlite3 *db = NULL;
	int rc;

	memset(o, 0, sizeof(*o));
	for (int turn = 0;; turn++) {
		rc = make_private(path, error);
		if (!rc)
			rc = open_file(path, SQLITE_OPEN_READWRITE, &db, error);
		if (rc && rc != -EUCLEAN)
			return rc;
		if (!rc)
			rc = prepare(db, o, why);
		else
			(void)snprintf(why, sizeof(why), "%s", error);
		if (!rc) {
			*ret_db = db;
			return 0;
		}
		db_close(&db);
		/* -EINVAL: the tables are not those of its version */
		if (turn || (!db_is_corrupt(rc) && rc != -ENOTSUP && rc != -EINVAL))
			break;
		memcpy(o->why, why, sizeof(why));
		rc = set_aside(path, rc == -ENOTSUP ? "newer" : "damaged", o);
		if (rc)
			break;
	}
	(void)snprintf(error, DB_ERROR, "%.100s: %.150s", path, why); /* likewise */
	return rc;
}
