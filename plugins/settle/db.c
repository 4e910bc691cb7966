/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Opening the file of money. A file that is damaged, newer or not ours stays where it is, and nothing is signed. */
#include "db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db_impl.h"

#define BUSY_MS 2000

const char *const op_state_names[] = { "queued",    "signed", "sent",	   "mined",
				       "confirmed", "failed", "abandoned", NULL };

static const char schema[] =
	"CREATE TABLE chain_op(id INTEGER PRIMARY KEY, op_key TEXT UNIQUE NOT NULL, kind INTEGER NOT NULL,"
	" task_id BLOB NOT NULL, to_addr BLOB NOT NULL, data BLOB NOT NULL, not_after_block INTEGER NOT NULL,"
	" state TEXT NOT NULL CHECK(state IN('queued','signed','sent','mined','confirmed','failed','abandoned')),"
	" nonce INTEGER, block INTEGER, block_hash BLOB, tx_hash BLOB, spent_wei TEXT NOT NULL,"
	" last_error TEXT NOT NULL, next_try_ms INTEGER NOT NULL, created_ms INTEGER NOT NULL) STRICT;"
	"CREATE TABLE chain_attempt(op_id INTEGER NOT NULL REFERENCES chain_op(id), n INTEGER NOT NULL,"
	" tx_hash BLOB UNIQUE NOT NULL, raw BLOB NOT NULL, nonce INTEGER NOT NULL, tip INTEGER NOT NULL,"
	" max_fee INTEGER NOT NULL, gas INTEGER NOT NULL, first_sent_ms INTEGER NOT NULL,"
	" last_sent_ms INTEGER NOT NULL, PRIMARY KEY(op_id, n)) STRICT;"
	"CREATE TABLE chain_cursor(id INTEGER PRIMARY KEY CHECK(id = 1), last_block INTEGER NOT NULL) STRICT;"
	"CREATE TABLE task(task_id BLOB PRIMARY KEY, role INTEGER NOT NULL, is_escrow INTEGER NOT NULL,"
	" status INTEGER NOT NULL, is_known INTEGER NOT NULL, name TEXT NOT NULL, phase TEXT NOT NULL,"
	" payee_did TEXT NOT NULL, payee_did32 BLOB NOT NULL, payee BLOB NOT NULL, payer BLOB NOT NULL,"
	" token BLOB NOT NULL, arbiter BLOB NOT NULL, max_amount TEXT NOT NULL, actual_amount TEXT NOT NULL,"
	" deadline_blocks INTEGER NOT NULL, deadline INTEGER NOT NULL, dispute_deadline INTEGER NOT NULL,"
	" receipt_hash BLOB NOT NULL, submit_tx BLOB NOT NULL, reason TEXT NOT NULL,"
	" created_ms INTEGER NOT NULL, changed_ms INTEGER NOT NULL) STRICT;"
	"CREATE INDEX task_age ON task(created_ms);"
	"CREATE TABLE receipt(task_id BLOB PRIMARY KEY, doc TEXT NOT NULL) STRICT;"
	"PRAGMA user_version=1;";

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
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	default:
		return -EIO;
	}
}

void db_close(sqlite3 **io_db)
{
	(void)sqlite3_close_v2(*io_db); /* nothing left to do about it */
	*io_db = NULL;
}

static int exec(sqlite3 *db, const char *sql, char error[DB_ERROR])
{
	int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

	if (rc != SQLITE_OK)
		(void)snprintf(error, DB_ERROR, "%s",
			       sqlite3_errmsg(db)); /* cut is fine: for people */
	return db_errno(rc);
}

/* The first column of the first row as a text, cut. */
static int first_text(sqlite3 *db, const char *sql, char *ret, size_t cap)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
	const char *text = NULL;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		text = (const char *)sqlite3_column_text(st, 0);
	(void)snprintf(ret, cap, "%s", text ? text : sqlite3_errmsg(db)); /* likewise */
	(void)sqlite3_finalize(st);					  /* the step told */
	return db_errno(rc);
}

/* The file exists with mode 0600 before SQLite makes it with another one. */
static int make_private(const char *path, char error[DB_ERROR])
{
	char *slash, folder[512];
	struct stat st;
	int fd;

	if (strlen(path) >= sizeof(folder))
		return -ENAMETOOLONG;
	memcpy(folder, path, strlen(path) + 1);
	slash = strrchr(folder, '/');
	if (slash && slash != folder) {
		*slash = 0;
		(void)mkdir(folder, 0750); /* opening tells */
	}
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || fstat(fd, &st) < 0) {
		int rc = -errno;

		(void)snprintf(error, DB_ERROR, "%s", strerror(-rc)); /* likewise */
		if (fd >= 0)
			(void)close(fd);
		return rc;
	}
	(void)close(fd);
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077)) {
		(void)snprintf(
			error, DB_ERROR,
			"not a plain file of this user that nobody else may use: chmod 600"); /* fits */
		return -EPERM;
	}
	return 0;
}

static int prepare(sqlite3 *db, char error[DB_ERROR])
{
	char text[DB_ERROR];
	int rc = first_text(db, "PRAGMA quick_check(1)", text, sizeof(text));

	if (!rc && strcmp(text, "ok") != 0)
		rc = -EUCLEAN;
	if (rc) {
		(void)snprintf(error, DB_ERROR, "damaged: %.200s", text);
		return rc;
	}
	rc = first_text(db, "PRAGMA user_version", text, sizeof(text));
	if (!rc && strcmp(text, "0") != 0 && strcmp(text, "1") != 0) {
		(void)snprintf(error, DB_ERROR,
			       "made by another version (schema %.20s, this one knows %d)", text,
			       DB_VERSION);
		return -ENOTSUP;
	}
	if (!rc)
		rc = exec(
			db,
			"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
			"PRAGMA wal_autocheckpoint=256; PRAGMA journal_size_limit=1048576",
			error);
	if (!rc && text[0] == '0') {
		rc = exec(db, "BEGIN IMMEDIATE", error);
		if (!rc)
			rc = exec(db, schema, error);
		if (!rc)
			rc = exec(db, "COMMIT", error);
	}
	return rc;
}

int db_open(const char *path, int64_t since_ms, sqlite3 **ret_db, struct db_loaded *ret,
	    char error[DB_ERROR])
{
	char why[DB_ERROR] = "";
	sqlite3 *db = NULL;
	int rc = make_private(path, why);

	memset(ret, 0, sizeof(*ret));
	if (!rc) {
		rc = db_errno(sqlite3_open_v2(path, &db,
					      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
						      SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE,
					      NULL));
		if (rc)
			(void)snprintf(why, sizeof(why), "%s",
				       db ? sqlite3_errmsg(db) : strerror(-rc));
	}
	if (!rc) {
		(void)sqlite3_busy_timeout(db, BUSY_MS); /* cannot fail */
		(void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		(void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
		rc = exec(db, "PRAGMA cache_size=-256; PRAGMA mmap_size=0", why);
	}
	if (!rc)
		rc = prepare(db, why);
	if (!rc)
		rc = db_load(db, since_ms, ret, why);
	if (rc) {
		db_close(&db);
		(void)snprintf(error, DB_ERROR, "%.100s: %.150s", path, why); /* likewise */
		return rc;
	}
	*ret_db = db;
	return 0;
}

void op_free(struct op *op)
{
	if (!op)
		return;
	for (uint32_t i = 0; i < op->n_attempts; i++)
		free(op->attempts[i].raw);
	free(op->data);
	free(op);
}

void task_free(struct task *t)
{
	if (!t)
		return;
	free(t->simulation);
	free(t->receipt);
	free(t);
}
