/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Blame of 10 s becomes minutes and hours; what is old, or too much, goes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "chain.h"
#include "store.h"

#define SETTLE_S     30	 /* a minute is summed when its last bucket has surely come */
#define TRIM_ROWS    500 /* removed in one transaction */
#define TRIM_TURNS   400
#define VACUUM_PAGES 2000
#define LOG_LEAST    2 /* entries that a cut leaves */

static int64_t min_i64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Sum whole spans of <to> seconds out of spans of <from>; a span is made again from all its parts, so that doing it twice
 * changes nothing. psi and full stay unknown (NULL) where one part is. */
static int rollup(sqlite3 *db, int from, int to, int64_t end_s)
{
	int64_t since = db_int(db,
			       to == 60 ? "SELECT value FROM meta WHERE name='rolled_60'"
					: "SELECT value FROM meta WHERE name='rolled_3600'",
			       0),
		first, until = end_s - end_s % to, values[4];
	int rc;

	first = db_int(db,
		       from == 10 ? "SELECT min(start) FROM blame WHERE span=10"
				  : "SELECT min(start) FROM blame WHERE span=60",
		       -1);
	if (first < 0)
		return 0;
	if (since < first)
		since = first - first % to;
	if (until <= since)
		return 0;
	values[0] = to;
	values[1] = from;
	values[2] = since;
	values[3] = until;
	rc = db_run(
		db,
		"INSERT OR REPLACE INTO blame SELECT ?1, start-start%?1, victim, resource, kind,"
		" culprit, sum(stall_us), sum(raw_us),"
		" CASE WHEN count(psi_us)=count(*) THEN sum(psi_us) END,"
		" CASE WHEN count(full_us)=count(*) THEN sum(full_us) END, min(confidence),"
		" " STORE_METHOD " FROM blame WHERE span=?2 AND start>=?3 AND start<?4"
		" GROUP BY start-start%?1, victim, resource, kind, culprit",
		4, values);
	if (!rc)
		rc = db_run(db,
			    to == 60 ? "INSERT OR REPLACE INTO meta VALUES('rolled_60', ?1)"
				     : "INSERT OR REPLACE INTO meta VALUES('rolled_3600', ?1)",
			    1, values + 3);
	return rc;
}

int store_rollup(sqlite3 *db, uint64_t now_wall_ns)
{
	int64_t now_s = (int64_t)(now_wall_ns / STORE_SEC), end = now_s - SETTLE_S;
	int rc = db_exec(db, "BEGIN IMMEDIATE");

	if (!rc)
		rc = rollup(db, 10, 60, end);
	if (!rc)
		rc = rollup(db, 60, 3600,
			    min_i64(end, db_int(db, "SELECT value FROM meta WHERE name='rolled_60'",
						0)));
	if (!rc)
		return db_exec(db, "COMMIT");
	(void)db_exec(db, "ROLLBACK"); /* the first error counts */
	return rc;
}

static int by_age(const struct store_job *j, sqlite3 *db)
{
	const struct store_conf *c = &j->conf;
	int64_t now_ns = (int64_t)j->now_wall_ns, cut_ns = now_ns - (int64_t)c->keep_ns,
		s10 = (now_ns - (int64_t)c->keep_10s_ns) / (int64_t)STORE_SEC,
		s60 = (now_ns - (int64_t)c->keep_1m_ns) / (int64_t)STORE_SEC,
		s3600 = cut_ns / (int64_t)STORE_SEC;
	int rc = db_exec(db, "BEGIN IMMEDIATE");

	if (!rc)
		rc = db_run(db, "DELETE FROM blame WHERE span=10 AND start<?1", 1, &s10);
	if (!rc)
		rc = db_run(db, "DELETE FROM blame WHERE span=60 AND start<?1", 1, &s60);
	if (!rc)
		rc = db_run(db, "DELETE FROM blame WHERE span=3600 AND start<?1", 1, &s3600);
	if (!rc)
		rc = db_run(db, "DELETE FROM who WHERE seen_ns<?1", 1, &cut_ns);
	/* open incidents and what is still to be told stay; silences go when they are over */
	if (!rc)
		rc = db_run(db,
			    "DELETE FROM record WHERE ts_ns<?1 AND NOT (kind IN (1,5) AND state=0)"
			    " AND NOT (kind=4 AND end_ns>=?1)",
			    1, &cut_ns);
	if (!rc)
		return db_exec(db, "COMMIT");
	(void)db_exec(db, "ROLLBACK"); /* likewise */
	return rc;
}

/* Remove the log up to <seq> but for the last entries, leaving a checkpoint. */
static int cut_log(struct store_job *j, sqlite3 *db, int64_t seq)
{
	int rc;

	seq = min_i64(seq, db_int(db, "SELECT max(seq) FROM log", 0) - LOG_LEAST);
	if (seq <= 0 || seq < db_int(db, "SELECT min(seq) FROM log", 0))
		return 0;
	rc = db_exec(db, "BEGIN IMMEDIATE");
	if (!rc)
		rc = chain_cut(db, (uint64_t)seq, j->now_wall_ns, j->s->key_file, j->key_error,
			       sizeof(j->key_error));
	if (!rc)
		return db_exec(db, "COMMIT");
	(void)db_exec(db, "ROLLBACK"); /* likewise */
	/* without a key nothing is removed from the log; the rest goes on */
	return *j->key_error ? 0 : rc;
}

/* Only what stands before all that is fresh: an entry with an old date among newer ones was written while the clock was wrong. */
static int log_by_age(struct store_job *j, sqlite3 *db, int64_t cut_ns)
{
	char sql[96];
	int64_t fresh;

	(void)snprintf(sql, sizeof(sql), "SELECT min(seq) FROM log WHERE ts_ns>=%lld",
		       (long long)cut_ns); /* fits */
	fresh = db_int(db, sql, INT64_MAX);
	return cut_log(j, db, fresh - 1);
}

static int64_t used_bytes(sqlite3 *db)
{
	return (db_int(db, "PRAGMA page_count", 0) - db_int(db, "PRAGMA freelist_count", 0)) *
	       db_int(db, "PRAGMA page_size", 0);
}

/* The oldest entries, no more of them than must go. */
static int log_by_bytes(struct store_job *j, sqlite3 *db)
{
	int64_t first, was = -1;
	int rc = 0;

	while (!rc && used_bytes(db) > (int64_t)j->conf.max_bytes &&
	       (first = db_int(db, "SELECT min(seq) FROM log", 0)) > was) {
		was = first;
		rc = cut_log(j, db, first + TRIM_ROWS - 1);
	}
	return rc;
}

/* Names that no blame tells of, a hundred times as many in one turn: to find them is a walk over all blame. */
#define TRIM_WHO                                                                      \
	"DELETE FROM who WHERE number IN (SELECT number FROM who WHERE number NOT IN" \
	" (SELECT victim FROM blame UNION SELECT culprit FROM blame) ORDER BY seen_ns LIMIT ?1*100)"

/* Fine blame first, then names without any, then the oldest of what is over, then coarse blame and its names; as long as there
 * is too much. */
static int by_bytes(struct store_job *j, sqlite3 *db)
{
	static const char *const sql[] = {
		"DELETE FROM blame WHERE span=10 AND start<=(SELECT max(start) FROM (SELECT start FROM blame"
		" WHERE span=10 ORDER BY start LIMIT ?1))",
		TRIM_WHO,
		"DELETE FROM record WHERE rowid IN (SELECT rowid FROM record WHERE kind<>4 AND NOT"
		" (kind IN (1,5) AND state=0) ORDER BY ts_ns LIMIT ?1)",
		"DELETE FROM blame WHERE span=60 AND start<=(SELECT max(start) FROM (SELECT start FROM blame"
		" WHERE span=60 ORDER BY start LIMIT ?1))",
		"DELETE FROM blame WHERE span=3600 AND start<=(SELECT max(start) FROM (SELECT start FROM"
		" blame WHERE span=3600 ORDER BY start LIMIT ?1))",
		TRIM_WHO,
	};
	const int64_t rows = TRIM_ROWS;
	int rc = 0;

	for (unsigned i = 0, turn = 0; !rc && i < sizeof(sql) / sizeof(sql[0]) && turn < TRIM_TURNS;
	     turn++) {
		if (used_bytes(db) <= (int64_t)j->conf.max_bytes)
			return 0;
		rc = db_run(db, sql[i], 1, &rows);
		if (sqlite3_changes(db) == 0)
			i++;
		else
			j->removed += (uint64_t)sqlite3_changes(db);
	}
	return rc ? rc : log_by_bytes(j, db);
}

int store_retention(struct store_job *j, sqlite3 *db)
{
	int64_t cut_ns = (int64_t)j->now_wall_ns - (int64_t)j->conf.keep_ns;
	char sql[64];
	int rc = store_rollup(db, j->now_wall_ns);

	if (!rc)
		rc = by_age(j, db);
	if (!rc)
		rc = log_by_age(j, db, cut_ns);
	if (!rc)
		rc = by_bytes(j, db);
	/* give pages back to the disk, a few at a time */
	(void)snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%d)", VACUUM_PAGES); /* fits */
	if (!rc)
		rc = db_exec(db, sql);
	if (!rc)
		rc = db_exec(db, "PRAGMA wal_checkpoint(PASSIVE)");
	j->file_bytes =
		(uint64_t)(db_int(db, "PRAGMA page_count", 0) * db_int(db, "PRAGMA page_size", 0));
	if (rc && !*j->error)
		(void)snprintf(j->error, sizeof(j->error), "%s",
			       sqlite3_errmsg(db)); /* cut is fine */
	return rc;
}
