/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Records in memory and in the file, what happens to files that cannot be used, migrations, limits. */
#include "test_fixture.h"

#include <dirent.h>
#include <fcntl.h>

#define INC LNX_STORE_INCIDENT

static void a_record_is_there_at_once_and_after_a_restart(void **state)
{
	struct lnx_store_query q = { .size = sizeof(q), .kind = INC };
	struct fix_list l;
	struct fix f = { 0 };

	(void)state;
	fix_open(&f);
	assert_int_equal(fix_put(&f, INC, "a", "p", 5, "{\"x\":1}"), 0);
	assert_string_equal(fix_get(&f, &q, &l), "a{\"x\":1}");
	assert_int_equal(testhost_run_jobs(f.t), 1);
	assert_string_equal(fix_get(&f, &q, &l), "a{\"x\":1}");
	assert_true(testhost_metric(f.t, "linnix_store_written_total", "") == 1);
	assert_true(testhost_metric(f.t, "linnix_store_writable", "") == 1);
	fix_shut(&f);
	fix_open(&f);
	q.parent = "p";
	assert_string_equal(fix_get(&f, &q, &l), "a{\"x\":1}");
	q.parent = "q";
	assert_string_equal(fix_get(&f, &q, &l), "");
	fix_close(&f);
}

static void what_waits_at_the_end_is_written(void **state)
{
	struct lnx_store_query q = { .size = sizeof(q), .kind = INC };
	struct fix_list l;
	struct fix f = { 0 };

	(void)state;
	fix_open(&f);
	assert_int_equal(fix_put(&f, INC, "a", "", 5, "{}"), 0);
	assert_int_equal(fix_put(&f, INC, "b", "", 6, "{}"), 0);
	fix_shut(&f);
	fix_open(&f);
	assert_string_equal(fix_get(&f, &q, &l), "b{} a{}");
	fix_close(&f);
}

static void memory_and_file_are_one_list(void **state)
{
	struct lnx_store_query q = { .size = sizeof(q), .kind = INC };
	struct fix_list l;
	struct fix f = { 0 };

	(void)state;
	fix_open(&f);
	for (uint64_t i = 1; i <= 5; i += 2) {
		char id[2] = { (char)('0' + i), 0 };

		assert_int_equal(fix_put(&f, INC, id, "", i, "{\"f\":1}"), 0);
	}
	while (testhost_run_jobs(f.t))
		;
	assert_int_equal(fix_put(&f, INC, "2", "", 2, "{}"), 0);
	assert_int_equal(fix_put(&f, INC, "6", "", 6, "{}"), 0);
	assert_int_equal(fix_put(&f, INC, "3", "", 3, "{\"new\":1}"), 0);
	assert_int_equal(f.svc->del(f.self, INC, "5"), 0);
	assert_string_equal(fix_get(&f, &q, &l), "6{} 3{\"new\":1} 2{} 1{\"f\":1}");
	q.is_ascending = 1;
	assert_string_equal(fix_get(&f, &q, &l), "1{\"f\":1} 2{} 3{\"new\":1} 6{}");
	q.offset = 1;
	q.limit = 2;
	assert_string_equal(fix_get(&f, &q, &l), "2{} 3{\"new\":1}");
	q.from_ns = 2;
	q.to_ns = 3;
	q.offset = 0;
	assert_string_equal(fix_get(&f, &q, &l), "2{} 3{\"new\":1}");
	/* and the same once all is in the file */
	while (testhost_run_jobs(f.t))
		;
	q = (struct lnx_store_query){ .size = sizeof(q), .kind = INC };
	assert_string_equal(fix_get(&f, &q, &l), "6{} 3{\"new\":1} 2{} 1{\"f\":1}");
	q.id = "3";
	assert_string_equal(fix_get(&f, &q, &l), "3{\"new\":1}");
	fix_close(&f);
}

/* Pages of the file that a question took. */
static int pages(struct fix *f, uint64_t offset, const char *want)
{
	struct lnx_store_query q = { .size = sizeof(q), .kind = INC, .offset = offset, .limit = 1 };
	struct store *s = testhost_state(f->t);
	int hits = 0, misses = 0, high;
	struct fix_list l;

	assert_int_equal(sqlite3_db_status(s->reader, SQLITE_DBSTATUS_CACHE_HIT, &hits, &high, 1),
			 0);
	assert_int_equal(
		sqlite3_db_status(s->reader, SQLITE_DBSTATUS_CACHE_MISS, &misses, &high, 1), 0);
	assert_int_equal(strncmp(fix_get(f, &q, &l), want, strlen(want)), 0);
	assert_int_equal(l.n, 1);
	assert_int_equal(sqlite3_db_status(s->reader, SQLITE_DBSTATUS_CACHE_HIT, &hits, &high, 0),
			 0);
	assert_int_equal(
		sqlite3_db_status(s->reader, SQLITE_DBSTATUS_CACHE_MISS, &misses, &high, 0), 0);
	return hits + misses;
}

/* A page far behind costs a walk over what lies before it, not its documents. */
static void documents_that_are_skipped_are_not_read(void **state)
{
	enum { RECORDS = 100, BYTES = 100000 };
	struct lnx_store_query q = { .size = sizeof(q), .kind = INC, .id = "i00" };
	char *doc = malloc(BYTES), id[16];
	struct fix f = { 0 };
	struct fix_list l;

	(void)state;
	assert_non_null(doc);
	memset(doc, ' ', BYTES);
	doc[0] = '{';
	doc[BYTES - 2] = '}';
	doc[BYTES - 1] = 0;
	fix_open(&f);
	for (int i = 0; i < RECORDS; i++) {
		(void)snprintf(id, sizeof(id), "i%02d", i);
		assert_int_equal(fix_put(&f, INC, id, "", (uint64_t)(i + 1) * SECOND, doc), 0);
		if (i % 20 == 19)
			while (testhost_run_jobs(f.t))
				;
	}
	(void)fix_get(&f, &q, &l); /* a reader is open from here on */
	assert_in_range(pages(&f, 0, "i99{"), BYTES / 4096, BYTES / 4096 + 200);
	assert_in_range(pages(&f, RECORDS - 10, "i09{"), BYTES / 4096, BYTES / 4096 + 1000);
	free(doc);
	fix_close(&f);
}

static void states_and_severities_are_asked_for(void **state)
{
	struct lnx_store_query q = { .size = sizeof(q), .kind = INC };
	struct fix_list l;
	struct fix f = { 0 };

	(void)state;
	fix_open(&f);
	for (uint32_t i = 0; i < 4; i++) {
		char id[2] = { (char)('a' + i), 0 };
		struct lnx_store_record r = { .size = sizeof(r),
					      .kind = INC,
					      .id = id,
					      .doc = "{}",
					      .doc_bytes = 2,
					      .ts_ns = i,
					      .state = i % 2,
					      .severity = i / 2 };

		assert_int_equal(f.svc->put(f.self, &r), 0);
	}
	for (int turn = 0; turn < 2; turn++) {
		q.states = 1;
		q.min_severity = 0;
		assert_string_equal(fix_get(&f, &q, &l), "c{} a{}");
		q.min_severity = 1;
		assert_string_equal(fix_get(&f, &q, &l), "c{}");
		q.states = 3;
		assert_string_equal(fix_get(&f, &q, &l), "d{} c{}");
		while (testhost_run_jobs(f.t))
			;
	}
	fix_close(&f);
}

static void bad_records_are_refused(void **state)
{
	struct fix f = { 0 };
	char id[80];

	(void)state;
	fix_open(&f);
	memset(id, 'x', sizeof(id));
	id[79] = 0;
	assert_int_equal(fix_put(&f, 0, "a", "", 1, "{}"), -EINVAL);
	assert_int_equal(fix_put(&f, LNX_STORE_KINDS, "a", "", 1, "{}"), -EINVAL);
	assert_int_equal(fix_put(&f, INC, "", "", 1, "{}"), -EINVAL);
	assert_int_equal(fix_put(&f, INC, id, "", 1, "{}"), -EINVAL);
	assert_int_equal(fix_put(&f, INC, "a", id, 1, "{}"), -EINVAL);
	assert_int_equal(fix_put(&f, INC, "a", "", 1, "[]"), -EINVAL);
	assert_int_equal(fix_put(&f, INC, "a", "", 1, ""), -EINVAL);
	assert_int_equal(fix_put(&f, INC, "a", "", UINT64_MAX, "{}"), -EINVAL);
	assert_int_equal(f.svc->log(f.self, 1, "a", "", "{}"), -EINVAL);
	assert_int_equal(f.svc->log(f.self, 1, "a", "open", "x"), -EINVAL);
	fix_close(&f);
}

/* Names in the folder that begin with <prefix>. */
static int files(const struct fix *f, const char *prefix)
{
	DIR *d = opendir(f->dir);
	const struct dirent *e;
	int n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		n += !strncmp(e->d_name, prefix, strlen(prefix)) && !strstr(e->d_name, "-wal") &&
		     !strstr(e->d_name, "-shm");
	(void)closedir(d);
	return n;
}

static void a_database_of_version_1_is_brought_up(void **state)
{
	struct lnx_store_query q = { .size = sizeof(q), .kind = INC };
	struct fix_list l;
	struct fix f = { 0 };
	sqlite3 *db = NULL;

	(void)state;
	for (uint32_t from = 0; from < DB_VERSION; from++) {
		fix_dir(&f);
		assert_int_equal(sqlite3_open(f.path, &db), SQLITE_OK);
		assert_int_equal(db_migrate(db, 0, from), 0);
		if (from)
			assert_int_equal(
				db_exec(db, "INSERT INTO record VALUES(1,'old','',7,0,1,2,'{}')"),
				0);
		db_close(&db);
		fix_open(&f);
		assert_string_equal(fix_get(&f, &q, &l), from ? "old{}" : "");
		assert_int_equal(testhost_log_has(f.t, "schema"), from ? 1 : 0);
		assert_int_equal(files(&f, "linnix.db"), 1);
		assert_int_equal(f.svc->log(f.self, 1, "old", "open", "{}"), 0);
		fix_shut(&f);
		assert_int_equal(sqlite3_open(f.path, &db), SQLITE_OK);
		assert_int_equal(db_int(db, "PRAGMA user_version", 0), DB_VERSION);
		assert_int_equal(db_int(db, "SELECT count(*) FROM log", 0), 1);
		assert_int_equal(db_int(db, "SELECT count(*) FROM checkpoint", -1), 0);
		db_close(&db);
		fix_close(&f);
	}
}

static void a_newer_database_is_set_aside(void **state)
{
	struct fix f = { 0 };
	sqlite3 *db = NULL;

	(void)state;
	fix_dir(&f);
	assert_int_equal(sqlite3_open(f.path, &db), SQLITE_OK);
	assert_int_equal(db_exec(db, "CREATE TABLE future(x); PRAGMA user_version=99"), 0);
	db_close(&db);
	fix_open(&f);
	assert_true(testhost_log_has(f.t, "newer version (schema 99"));
	assert_int_equal(files(&f, "linnix.db.newer-1"), 1);
	assert_int_equal(testhost_health(f.t, "history"), LNX_HEALTH_DEGRADED);
	assert_int_equal(fix_put(&f, INC, "a", "", 1, "{}"), 0);
	assert_int_equal(testhost_run_jobs(f.t), 1);
	assert_true(testhost_metric(f.t, "linnix_store_writable", "") == 1);
	fix_close(&f);
}

/* Write <n> bytes of 0xa5 at <at>. */
static void damage(const struct fix *f, off_t at, size_t n)
{
	char bytes[4096];
	int fd = open(f->path, O_WRONLY);

	memset(bytes, 0xa5, sizeof(bytes));
	assert_true(fd >= 0 && n <= sizeof(bytes));
	assert_int_equal(pwrite(fd, bytes, n, at), (ssize_t)n);
	assert_int_equal(close(fd), 0);
}

static void a_damaged_file_is_set_aside(void **state)
{
	/* the head, and a page in the middle */
	static const off_t places[] = { 0, 3 * 4096 };
	struct lnx_store_query q = { .size = sizeof(q), .kind = INC };
	struct fix_list l;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct fix f = { 0 };

		fix_open(&f);
		assert_int_equal(fix_put(&f, INC, "a", "", 1, "{}"), 0);
		fix_shut(&f);
		damage(&f, places[i], 4096);
		fix_open(&f);
		assert_int_equal(files(&f, "linnix.db.damaged-1"), 1);
		assert_string_equal(fix_get(&f, &q, &l), "");
		assert_int_equal(fix_put(&f, INC, "b", "", 1, "{}"), 0);
		fix_shut(&f);
		fix_open(&f);
		assert_string_equal(fix_get(&f, &q, &l), "b{}");
		fix_close(&f);
	}
}

static void without_a_folder_memory_goes_on_until_there_is_one(void **state)
{
	struct lnx_store_query q = { .size = sizeof(q), .kind = INC };
	struct fix_list l = { 0 };
	struct fix f = { 0 };
	char dir[80];
	const char *why;

	(void)state;
	fix_dir(&f);
	(void)snprintf(dir, sizeof(dir), "%s/a", f.dir);
	(void)snprintf(f.path, sizeof(f.path), "%s/b/linnix.db", dir);
	fix_open(&f);
	assert_int_equal(testhost_health(f.t, "store"), LNX_HEALTH_DEGRADED);
	why = strstr(testhost_health_why(f.t, "store"), "No such file");
	assert_non_null(why);
	assert_null(strstr(why + 1, "No such file")); /* said once */
	assert_true(testhost_metric(f.t, "linnix_store_writable", "") == 0);
	assert_int_equal(fix_put(&f, INC, "a", "", 1, "{}"), 0);
	assert_int_equal(f.svc->each(f.self, &q, fix_add, &l), -EIO);
	assert_string_equal(l.text, "a{}");
	assert_int_equal(mkdir(dir, 0700), 0);
	(void)snprintf(dir, sizeof(dir), "%s/a/b", f.dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	(void)testhost_advance(f.t, 3 * SECOND);
	while (testhost_run_jobs(f.t))
		;
	assert_int_equal(testhost_health(f.t, "store"), LNX_HEALTH_OK);
	assert_true(testhost_metric(f.t, "linnix_store_errors_total", "") >= 1);
	assert_string_equal(fix_get(&f, &q, &l), "a{}");
	fix_close(&f);
}

static void memory_for_what_waits_is_bounded(void **state)
{
	struct lnx_store_query q = { .size = sizeof(q), .kind = INC, .limit = 10000 };
	struct fix_list l = { 0 };
	struct fix f = { 0 };
	char doc[4000], id[16];
	int rc = 0, kept = -1;

	(void)state;
	fix_dir(&f);
	(void)snprintf(f.path, sizeof(f.path), "%s/a/b/linnix.db", f.dir);
	fix_host(&f);
	fix_conf(&f, "memory", "64KiB");
	fix_load(&f);
	(void)testhost_run_jobs(f.t);
	memset(doc, ' ', sizeof(doc));
	doc[0] = '{';
	doc[sizeof(doc) - 2] = '}';
	doc[sizeof(doc) - 1] = 0;
	for (int i = 0; i < 100 && !rc; i++, kept++) {
		(void)snprintf(id, sizeof(id), "%d", i);
		rc = fix_put(&f, INC, id, "", (uint64_t)i, doc);
	}
	assert_int_equal(rc, -ENOBUFS);
	assert_true(testhost_metric(f.t, "linnix_store_dropped_total", "") == 1);
	/* a newer one takes the place of the older */
	assert_int_equal(fix_put(&f, INC, "3", "", 3, "{}"), 0);
	assert_int_equal(f.svc->each(f.self, &q, fix_add, &l), -EIO);
	assert_true(kept > 10);
	assert_int_equal(l.n, kept);
	fix_close(&f);
}

static void off_means_memory_only(void **state)
{
	struct lnx_store_query q = { .size = sizeof(q), .kind = INC };
	struct fix_list l = { 0 };
	struct fix f = { 0 };

	(void)state;
	fix_dir(&f);
	(void)snprintf(f.path, sizeof(f.path), "off");
	fix_open(&f);
	assert_int_equal(fix_put(&f, INC, "a", "", 1, "{}"), 0);
	assert_int_equal(testhost_run_jobs(f.t), 0);
	assert_string_equal(fix_get(&f, &q, &l), "a{}");
	assert_int_equal(testhost_health(f.t, "store"), LNX_HEALTH_DEGRADED);
	fix_close(&f);
}

static void ulids_rise(void **state)
{
	char a[27], b[27], c[27];
	struct fix f = { 0 };

	(void)state;
	fix_open(&f);
	f.svc->ulid(f.self, 1700000000000000000ULL, a);
	f.svc->ulid(f.self, 1700000000000000000ULL, b);
	f.svc->ulid(f.self, 1700000000001000000ULL, c);
	assert_int_equal(strlen(a), 26);
	assert_memory_equal(a, "01HF7YAT00", 10);
	assert_true(strcmp(a, b) < 0 && strcmp(b, c) < 0);
	fix_close(&f);
}

static void what_is_old_or_too_much_goes(void **state)
{
	struct lnx_store_query q = { .size = sizeof(q), .kind = INC, .limit = 10000 };
	uint64_t now = TESTHOST_WALL_NS, old = now - 40ULL * 86400 * SECOND;
	struct fix_list l;
	struct fix f = { 0 };
	char doc[1000], id[16];

	(void)state;
	fix_dir(&f);
	fix_host(&f);
	fix_conf(&f, "max_size", "256KiB");
	fix_load(&f);
	while (testhost_run_jobs(f.t))
		;
	assert_int_equal(fix_put(&f, INC, "open", "", old, "{}"), 0);
	assert_int_equal(fix_put(&f, LNX_STORE_DELIVERY, "untold", "", old, "{}"), 0);
	for (int i = 0; i < 2; i++) {
		struct lnx_store_record r = { .size = sizeof(r),
					      .kind = INC,
					      .state = 1,
					      .doc = "{}",
					      .doc_bytes = 2,
					      .id = i ? "new" : "old",
					      .ts_ns = i ? now : old };

		assert_int_equal(f.svc->put(f.self, &r), 0);
	}
	while (testhost_run_jobs(f.t))
		;
	(void)testhost_advance(f.t, 62 * SECOND);
	while (testhost_run_jobs(f.t))
		;
	assert_string_equal(fix_get(&f, &q, &l), "new{} open{}");
	memset(doc, ' ', sizeof(doc));
	doc[0] = '{';
	doc[sizeof(doc) - 2] = '}';
	doc[sizeof(doc) - 1] = 0;
	for (int i = 0; i < 1000; i++) {
		struct lnx_store_record r = { .size = sizeof(r),
					      .kind = INC,
					      .state = 1,
					      .doc = doc,
					      .doc_bytes = strlen(doc),
					      .id = id,
					      .ts_ns = now - (uint64_t)i * SECOND };

		(void)snprintf(id, sizeof(id), "x%d", i);
		assert_int_equal(f.svc->put(f.self, &r), 0);
	}
	while (testhost_run_jobs(f.t))
		;
	for (int i = 0; i < 2; i++) {
		(void)testhost_advance(f.t, 62 * SECOND);
		while (testhost_run_jobs(f.t))
			;
	}
	assert_true(testhost_metric(f.t, "linnix_store_bytes", "") <= 400000);
	q.id = "x999";
	assert_string_equal(fix_get(&f, &q, &l), "");
	q.id = "open";
	assert_string_equal(fix_get(&f, &q, &l), "open{}");
	q.kind = LNX_STORE_DELIVERY;
	q.id = "untold";
	assert_string_equal(fix_get(&f, &q, &l), "untold{}");
	fix_close(&f);
}

static void names_that_nothing_tells_of_go_before_records(void **state)
{
	struct lnx_store_query q = { .size = sizeof(q), .kind = INC };
	struct lnx_store_record r = { .size = sizeof(r),
				      .kind = INC,
				      .id = "new",
				      .ts_ns = TESTHOST_WALL_NS,
				      .state = 1,
				      .doc = "{}",
				      .doc_bytes = 2 };
	struct fix_list l;
	struct fix f = { 0 };
	sqlite3 *db = NULL;

	(void)state;
	fix_dir(&f);
	fix_host(&f);
	fix_conf(&f, "max_size", "256KiB");
	fix_load(&f);
	while (testhost_run_jobs(f.t))
		;
	assert_int_equal(f.svc->put(f.self, &r), 0);
	while (testhost_run_jobs(f.t))
		;
	assert_int_equal(sqlite3_open(f.path, &db), SQLITE_OK);
	assert_int_equal(
		db_exec(db,
			"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT 3000)"
			" INSERT INTO who SELECT i, i, 'shop', 'prod', 'pod',"
			" printf('/%0300d', i), 4000000000000000000 FROM n"),
		0);
	assert_int_equal(db_exec(db, "INSERT INTO blame VALUES(3600, 2000000000, 7, 0, 255, 8,"
				     " 1, 1, NULL, NULL, 1000, 1)"),
			 0);
	(void)testhost_advance(f.t, 62 * SECOND);
	while (testhost_run_jobs(f.t))
		;
	assert_string_equal(fix_get(&f, &q, &l), "new{}");
	assert_int_equal(db_int(db, "SELECT count(*) FROM who", 0), 2);
	assert_int_equal(db_int(db, "SELECT count(*) FROM who WHERE number IN (7, 8)", 0), 2);
	assert_int_equal(db_int(db, "SELECT count(*) FROM blame", 0), 1);
	db_close(&db);
	fix_close(&f);
}

static void a_job_keeps_the_options_that_it_began_with(void **state)
{
	struct lnx_store_query q = { .size = sizeof(q), .kind = INC };
	struct fix_list l;
	struct fix f = { 0 };

	(void)state;
	fix_open(&f);
	for (int i = 0; i < 2; i++) {
		struct lnx_store_record r = { .size = sizeof(r),
					      .kind = INC,
					      .id = i ? "b" : "a",
					      .ts_ns = TESTHOST_WALL_NS -
						       5ULL * 86400 * SECOND * (unsigned)(i + 1),
					      .state = 1,
					      .doc = "{}",
					      .doc_bytes = 2 };

		assert_int_equal(f.svc->put(f.self, &r), 0);
	}
	while (testhost_run_jobs(f.t))
		;
	(void)testhost_advance(f.t, 61 * SECOND); /* begins one, that has not run yet */
	fix_conf(&f, "keep", "7d");
	assert_int_equal(testhost_reload(f.t), 0);
	assert_int_equal(testhost_run_jobs(f.t), 1);
	assert_string_equal(fix_get(&f, &q, &l), "a{} b{}");
	(void)testhost_advance(f.t, 61 * SECOND);
	assert_int_equal(testhost_run_jobs(f.t), 1);
	assert_string_equal(fix_get(&f, &q, &l), "a{}");
	fix_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_there_at_once_and_after_a_restart),
		cmocka_unit_test(what_waits_at_the_end_is_written),
		cmocka_unit_test(memory_and_file_are_one_list),
		cmocka_unit_test(documents_that_are_skipped_are_not_read),
		cmocka_unit_test(states_and_severities_are_asked_for),
		cmocka_unit_test(bad_records_are_refused),
		cmocka_unit_test(a_database_of_version_1_is_brought_up),
		cmocka_unit_test(a_newer_database_is_set_aside),
		cmocka_unit_test(a_damaged_file_is_set_aside),
		cmocka_unit_test(without_a_folder_memory_goes_on_until_there_is_one),
		cmocka_unit_test(memory_for_what_waits_is_bounded),
		cmocka_unit_test(off_means_memory_only),
		cmocka_unit_test(ulids_rise),
		cmocka_unit_test(what_is_old_or_too_much_goes),
		cmocka_unit_test(names_that_nothing_tells_of_go_before_records),
		cmocka_unit_test(a_job_keeps_the_options_that_it_began_with),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
