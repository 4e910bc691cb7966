/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The schema as numbered steps. A step that was released never changes: what comes later is a new one. */
#include "db.h"

#include <errno.h>
#include <stdio.h>

static const char *const steps[DB_VERSION] = {
	/* 1: records by kind and id, blame by bucket, the log of transitions */
	"CREATE TABLE record(kind INTEGER NOT NULL, id TEXT NOT NULL, parent TEXT NOT NULL,"
	" ts_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, state INTEGER NOT NULL,"
	" severity INTEGER NOT NULL, doc TEXT NOT NULL, PRIMARY KEY(kind, id));"
	"CREATE INDEX record_ts ON record(kind, ts_ns);"
	"CREATE INDEX record_parent ON record(kind, parent);"
	"CREATE TABLE who(number INTEGER PRIMARY KEY, cgroup_id INTEGER NOT NULL, workload TEXT NOT NULL,"
	" namespace TEXT NOT NULL, pod_name TEXT NOT NULL, path TEXT NOT NULL, seen_ns INTEGER NOT NULL);"
	"CREATE TABLE blame(span INTEGER NOT NULL, start INTEGER NOT NULL, victim INTEGER NOT NULL,"
	" resource INTEGER NOT NULL, kind INTEGER NOT NULL, culprit INTEGER NOT NULL,"
	" stall_us INTEGER NOT NULL, raw_us INTEGER NOT NULL, psi_us INTEGER, full_us INTEGER,"
	" confidence INTEGER NOT NULL, method INTEGER NOT NULL,"
	" PRIMARY KEY(span, start, victim, resource, kind, culprit)) WITHOUT ROWID;"
	"CREATE TABLE log(seq INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL, subject TEXT NOT NULL,"
	" what TEXT NOT NULL, doc TEXT NOT NULL, hash BLOB NOT NULL);"
	"CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"INSERT INTO meta VALUES('chain', randomblob(32));",
	/* 2: signed checkpoints in place of removed entries; open records and severities without a walk */
	"CREATE TABLE checkpoint(seq INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL, hash BLOB NOT NULL,"
	" key BLOB NOT NULL, signature BLOB NOT NULL);"
	"CREATE INDEX record_state ON record(kind, state, ts_ns);",
};

int db_migrate(sqlite3 *db, uint32_t from, uint32_t to)
{
	char sql[64];
	int rc;

	for (uint32_t v = from; v < to && v < DB_VERSION; v++) {
		(void)snprintf(sql, sizeof(sql), "PRAGMA user_version=%u", v + 1); /* fits */
		rc = db_exec(db, "BEGIN IMMEDIATE");
		if (!rc)
			rc = db_exec(db, steps[v]);
		if (!rc)
			rc = db_exec(db, sql);
		if (!rc)
			rc = db_exec(db, "COMMIT");
		if (rc) {
			(void)db_exec(db, "ROLLBACK"); /* the step's error counts */
			return rc;
		}
	}
	return 0;
}
