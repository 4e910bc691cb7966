/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* How fast the store takes incidents, against SQLite alone with the same schema, documents and transactions.
 *
 *   bench_store insert DIR N      two lines of figures
 *   bench_store fill PATH N       a history file with N closed incidents
 *
 * LINK: plugins/store/bucket.c plugins/store/chain.c plugins/store/command.c plugins/store/db.c plugins/store/key.c plugins/store/queue.c plugins/store/read.c plugins/store/rollup.c plugins/store/schema.c plugins/store/store.c plugins/store/write.c sdk/testhost/conf.c sdk/testhost/events.c sdk/testhost/http.c sdk/testhost/json.c sdk/testhost/loop.c sdk/testhost/probes.c sdk/testhost/says.c sdk/testhost/testhost.c -lsqlite3 -lsodium -lm */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "testhost.h"
#include <linnix/svc_store.h>

#include "plugins/store/db.h"

#define BATCH	    2000 /* of one transaction, as the store's */
#define DOC_BYTES   6000 /* an incident with its evidence */
#define SMALL_BYTES 1000

static double now_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail */
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* <i> of <n> incidents, one a second until now: retention leaves them. */
static uint64_t opened_ns(unsigned i, unsigned n)
{
	return ((uint64_t)time(NULL) - n + i) * 1000000000ULL;
}

static void make_id(char id[27], unsigned i)
{
	(void)snprintf(id, 27, "01HZ%022u", i); /* fits */
}

static char *make_doc(size_t bytes, size_t *ret_n)
{
	char *doc = malloc(bytes + 64);
	size_t n;

	if (!doc)
		exit(1);
	n = (size_t)sprintf(doc, "{\"cause\":\"contention\",\"text\":\"");
	while (n < bytes)
		n += (size_t)sprintf(doc + n, "evidence %zu ", n);
	n += (size_t)sprintf(doc + n, "\"}");
	*ret_n = n;
	return doc;
}

static void die(const char *what)
{
	fprintf(stderr, "bench_store: %s\n", what);
	exit(1);
}

/* Seconds for <n> closed incidents through the service, all of them on disk at the end. */
static double through_store(const char *path, unsigned n, size_t doc_bytes)
{
	struct testhost *t = testhost_new();
	const struct lnx_svc_store *svc;
	char option[512], id[27];
	struct lnx_store_record r = { .size = sizeof(r), .kind = LNX_STORE_INCIDENT };
	size_t bytes;
	char *doc = make_doc(doc_bytes, &bytes);
	double begin;
	void *self;

	(void)snprintf(option, sizeof(option), "path=%s", path);
	if (!t || testhost_conf(t, option) || testhost_conf(t, "max_size=16GiB") ||
	    testhost_load(t, linnix_plugin_v1()))
		die("no store");
	svc = testhost_service(t, "store/1", &self);
	(void)testhost_run_jobs(t); /* opens the file */
	r.id = id;
	r.parent = "0123456789abcdef";
	r.doc = doc;
	r.doc_bytes = bytes;
	r.state = 1;
	r.severity = 1;
	begin = now_s();
	for (unsigned i = 0; i < n; i++) {
		int rc;

		make_id(id, i);
		r.ts_ns = opened_ns(i, n);
		r.end_ns = r.ts_ns + 60000000000ULL;
		while ((rc = svc->put(self, &r)) == -ENOBUFS) /* the worker's turn */
			if (testhost_run_jobs(t) <= 0)
				die("the store does not write");
		if (rc)
			die("an incident was refused");
	}
	while (testhost_metric(t, "linnix_store_waiting", "") > 0 && testhost_run_jobs(t) > 0)
		;
	begin = now_s() - begin;
	testhost_free(t);
	free(doc);
	return begin;
}

static double through_sqlite(const char *path, unsigned n)
{
	static const char sql[] =
		"INSERT OR REPLACE INTO record(kind,id,parent,ts_ns,end_ns,state,severity,doc)"
		" VALUES(1,?1,'0123456789abcdef',?2,?3,1,1,?4)";
	struct db_opened opened = { 0 };
	char error[DB_ERROR], id[27];
	sqlite3_stmt *st = NULL;
	sqlite3 *db = NULL;
	size_t bytes;
	char *doc = make_doc(DOC_BYTES, &bytes);
	double begin;

	if (db_open(path, &db, &opened, error) || sqlite3_prepare_v2(db, sql, -1, &st, NULL))
		die("no database");
	begin = now_s();
	for (unsigned i = 0; i < n; i++) {
		if (i % BATCH == 0 && db_exec(db, "BEGIN IMMEDIATE"))
			die("no transaction");
		make_id(id, i);
		(void)sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
		(void)sqlite3_bind_int64(st, 2, (sqlite3_int64)opened_ns(i, n));
		(void)sqlite3_bind_int64(st, 3, (sqlite3_int64)opened_ns(i, n) + 60000000000);
		(void)sqlite3_bind_text(st, 4, doc, (int)bytes, SQLITE_STATIC);
		if (sqlite3_step(st) != SQLITE_DONE)
			die("no insert");
		(void)sqlite3_reset(st);
		if ((i % BATCH == BATCH - 1 || i == n - 1) && db_exec(db, "COMMIT"))
			die("no commit");
	}
	begin = now_s() - begin;
	(void)sqlite3_finalize(st);
	db_close(&db);
	free(doc);
	return begin;
}

int main(int argc, char **argv)
{
	unsigned n = argc == 4 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
	double ours, alone;
	char path[512];

	if (!n || (strcmp(argv[1], "insert") != 0 && strcmp(argv[1], "fill") != 0)) {
		fprintf(stderr, "usage: bench_store insert DIR N | fill PATH N\n");
		return 2;
	}
	if (!strcmp(argv[1], "fill")) {
		(void)through_store(argv[2], n, SMALL_BYTES);
		return 0;
	}
	(void)snprintf(path, sizeof(path), "%s/alone.db", argv[2]);
	alone = through_sqlite(path, n);
	(void)snprintf(path, sizeof(path), "%s/store.db", argv[2]);
	ours = through_store(path, n, DOC_BYTES);
	printf("{\"name\":\"store_inserts\",\"value\":%.6g,\"unit\":\"incidents/s\",\"peer\":\"SQLite alone\",\"peer_value\":%.6g,"
	       "\"ratio\":%.4g,\"note\":\"%u incidents of %d bytes, all of it on disk\"}\n",
	       n / ours, n / alone, alone / ours, n, DOC_BYTES);
	return 0;
}
