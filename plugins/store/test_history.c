/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Blame by bucket, minute and hour; the chain of transitions, its checkpoints and its key. */
#include "test_fixture.h"

#include <math.h>
#include <sodium.h>
#include <sys/wait.h>

union stall {
	struct lnx_event h;
	struct lnx_ev_stall_window w;
	struct lnx_ev_stall_edge e;
	char bytes[1024];
};

static void window(struct fix *f, uint64_t at_ns, double stalled, double neighbour, double self)
{
	union stall u = { .w = { .window_ns = SECOND, .cgroup_id = 7 } };

	u.h.size = u.h.fixed = sizeof(u.w);
	u.h.type = LNX_EV_STALL_WINDOW;
	u.h.ts_ns = at_ns;
	u.w.method = LNX_METHOD_EXACT;
	u.w.stalled_ms = u.w.raw_ms = stalled;
	u.w.psi_ms = stalled;
	u.w.full_ms = NAN;
	u.w.confidence = 0.95;
	u.w.neighbour_ms = neighbour;
	u.w.self_ms = self;
	assert_int_equal(testhost_str(&u.h, sizeof(u), &u.w.workload, "shop"), 0);
	assert_int_equal(testhost_str(&u.h, sizeof(u), &u.w.path, "/shop"), 0);
	assert_int_equal(testhost_deliver(f->t, &u.h), 0);
}

static void edge(struct fix *f, uint64_t at_ns, uint64_t culprit, const char *name, double ms)
{
	union stall u = { .e = { .window_ns = SECOND, .victim_cgroup_id = 7 } };

	u.h.size = u.h.fixed = sizeof(u.e);
	u.h.type = LNX_EV_STALL_EDGE;
	u.h.ts_ns = at_ns;
	u.e.kind = LNX_STALL_NEIGHBOUR;
	u.e.culprit_cgroup_id = culprit;
	u.e.stall_ms = u.e.raw_ms = ms;
	assert_int_equal(testhost_str(&u.h, sizeof(u), &u.e.victim, "shop"), 0);
	assert_int_equal(testhost_str(&u.h, sizeof(u), &u.e.culprit, name), 0);
	assert_int_equal(testhost_deliver(f->t, &u.h), 0);
}

struct sums {
	double total, neighbour, self, batch, psi, full;
	uint64_t batch_number, shop_number, from, to;
	int n;
};

static int add(void *arg, const struct lnx_store_blame *b)
{
	struct sums *s = arg;
	double us = (double)b->stall_us;

	if (b->kind == LNX_STORE_BLAME_TOTAL) {
		s->total += us;
		s->psi += b->psi_us == UINT64_MAX ? NAN : (double)b->psi_us;
		s->full += b->full_us == UINT64_MAX ? NAN : (double)b->full_us;
		s->shop_number = b->victim;
		assert_int_equal(b->confidence_permille, 950);
		assert_int_equal(b->method, LNX_METHOD_EXACT);
	} else if (b->kind == LNX_STALL_SELF) {
		s->self += us;
	} else if (b->culprit) {
		s->batch += us;
		s->batch_number = b->culprit;
	} else {
		s->neighbour += us;
	}
	return 0;
}

static void jobs(struct fix *f)
{
	while (testhost_run_jobs(f->t))
		;
}

static void ask(struct fix *f, uint64_t from, uint64_t to, struct sums *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->n = f->svc->blame(f->self, from, to, add, ret, &ret->from, &ret->to);
	assert_true(ret->n >= 0);
}

/* TESTHOST_WALL_NS is a multiple of 10 s and lies 20 s into a minute. */
static void blame_is_summed_by_bucket_minute_and_hour(void **state)
{
	struct lnx_store_who who = { .size = sizeof(who) };
	uint64_t wall = TESTHOST_WALL_NS, boot = TESTHOST_START_NS;
	struct fix f = { 0 };
	sqlite3 *db = NULL;
	struct sums s;

	(void)state;
	fix_open(&f);
	for (unsigned i = 1; i <= 100; i++) {
		window(&f, boot + i * SECOND, 500, 400, 100);
		edge(&f, boot + i * SECOND, 9, "batch", 300);
	}
	(void)testhost_advance(f.t, 20 * SECOND);
	jobs(&f);
	ask(&f, wall, wall + 100 * SECOND, &s);
	assert_true(s.total == 100 * 500e3 && s.self == 100 * 100e3 && s.neighbour == 100 * 400e3);
	assert_true(s.batch == 100 * 300e3 && s.psi == s.total && isnan(s.full));
	assert_int_equal(s.from, wall);
	assert_int_equal(s.to, wall + 100 * SECOND);
	ask(&f, wall + 10 * SECOND, wall + 20 * SECOND, &s);
	assert_true(s.total == 10 * 500e3);
	assert_int_equal(f.svc->who(f.self, s.batch_number, &who), 0);
	assert_string_equal(who.workload, "batch");
	assert_int_equal(who.cgroup_id, 9);
	assert_int_equal(f.svc->who(f.self, s.shop_number, &who), 0);
	assert_string_equal(who.workload, "shop");
	assert_string_equal(who.path, "/shop");
	assert_int_equal(f.svc->who(f.self, 12345, &who), -ENOENT);
	/* two hours later it is in minutes and hours, each summing to the same */
	(void)testhost_advance(f.t, 62 * SECOND);
	jobs(&f);
	testhost_set_now(f.t, boot + 7300 * SECOND);
	(void)testhost_advance(f.t, 2 * SECOND);
	jobs(&f);
	ask(&f, wall - 30 * SECOND, wall + 7200 * SECOND, &s);
	assert_true(s.total == 100 * 500e3 && s.batch == 100 * 300e3);
	ask(&f, wall - 3600 * SECOND, wall + 20 * 3600 * SECOND, &s);
	assert_true(s.total == 100 * 500e3 && s.self == 100 * 100e3);
	/* nothing twice where one kind of bucket gives way to another, nothing lost where a minute begins before the question */
	ask(&f, wall - 30 * SECOND, wall + 100 * SECOND, &s);
	assert_true(s.total == 100 * 500e3 && s.batch == 100 * 300e3);
	ask(&f, wall + 10 * SECOND, wall + 60 * SECOND, &s);
	assert_true(s.total == 50 * 500e3);
	ask(&f, wall - 30 * SECOND, wall + 75 * SECOND, &s);
	assert_true(s.total == 70 * 500e3);
	fix_shut(&f);
	assert_int_equal(sqlite3_open(f.path, &db), SQLITE_OK);
	for (unsigned i = 0; i < 3; i++) {
		static const int spans[] = { 10, 60, 3600 };
		char sql[96];

		(void)snprintf(sql, sizeof(sql),
			       "SELECT sum(stall_us) FROM blame WHERE span=%d AND kind=255",
			       spans[i]);
		assert_int_equal(db_int(db, sql, 0), 100 * 500000);
	}
	db_close(&db);
	fix_close(&f);
}

static void fine_buckets_go_and_coarse_ones_answer(void **state)
{
	uint64_t wall = TESTHOST_WALL_NS, boot = TESTHOST_START_NS;
	struct fix f = { 0 };
	struct sums s;

	(void)state;
	fix_dir(&f);
	fix_host(&f);
	fix_conf(&f, "keep_10s", "2m");
	fix_load(&f);
	jobs(&f);
	for (unsigned i = 1; i <= 100; i++)
		window(&f, boot + i * SECOND, 500, 400, 100);
	(void)testhost_advance(f.t, 20 * SECOND);
	jobs(&f);
	(void)testhost_advance(f.t, 62 * SECOND);
	jobs(&f);
	testhost_set_now(f.t, boot + 1000 * SECOND);
	(void)testhost_advance(f.t, 2 * SECOND);
	jobs(&f);
	ask(&f, wall - 60 * SECOND, wall + 900 * SECOND, &s);
	assert_true(s.total == 100 * 500e3);
	fix_close(&f);
}

static void a_bucket_of_two_runs_adds_up(void **state)
{
	struct fix f = { 0 };
	struct sums s;

	(void)state;
	for (int i = 0; i < 2; i++) {
		fix_open(&f);
		window(&f, TESTHOST_START_NS + 3 * SECOND, 500, 400, 100);
		fix_shut(&f);
	}
	fix_open(&f);
	ask(&f, TESTHOST_WALL_NS, TESTHOST_WALL_NS + 10 * SECOND, &s);
	assert_true(s.total == 2 * 500e3);
	fix_close(&f);
}

/* A bucket is written by the job that also removes what is old, and only that fails. */
static void what_is_written_is_not_written_again_when_retention_fails(void **state)
{
	struct lnx_store_record old = { .size = sizeof(old),
					.kind = LNX_STORE_INCIDENT,
					.id = "old",
					.ts_ns = SECOND,
					.state = 1,
					.doc = "{}",
					.doc_bytes = 2 };
	struct fix f = { 0 };
	sqlite3 *db = NULL;
	struct sums s;

	(void)state;
	fix_dir(&f);
	fix_host(&f);
	fix_conf(&f, "retention_interval", "13s"); /* the bucket's end, and 3 s */
	fix_load(&f);
	jobs(&f);
	assert_int_equal(f.svc->put(f.self, &old), 0);
	jobs(&f);
	assert_int_equal(sqlite3_open(f.path, &db), SQLITE_OK);
	assert_int_equal(db_exec(db, "CREATE TRIGGER t BEFORE DELETE ON record BEGIN"
				     " SELECT RAISE(ABORT, 'kept'); END"),
			 0);
	db_close(&db);
	window(&f, TESTHOST_START_NS + 3 * SECOND, 500, 400, 100);
	(void)testhost_advance(f.t, 14 * SECOND);
	jobs(&f);
	assert_true(testhost_metric(f.t, "linnix_store_errors_total", "") == 1);
	assert_true(testhost_metric(f.t, "linnix_store_written_total", "") == 2);
	(void)testhost_advance(f.t, 5 * SECOND);
	jobs(&f);
	ask(&f, TESTHOST_WALL_NS, TESTHOST_WALL_NS + 10 * SECOND, &s);
	assert_true(s.total == 500e3);
	fix_close(&f);
}

static void a_full_bucket_is_counted(void **state)
{
	struct fix f = { 0 };

	(void)state;
	fix_open(&f);
	for (uint64_t i = 0; i < STORE_CELLS + 5; i++)
		edge(&f, TESTHOST_START_NS + SECOND, 100 + i, "c", 1);
	assert_true(testhost_metric(f.t, "linnix_store_blame_overflow_total", "") == 5);
	fix_close(&f);
}

/* ---- the chain */

/* Write <n> entries, a second apart, and shut. */
static void chain_of(struct fix *f, int n)
{
	char doc[32];

	fix_open(f);
	for (int i = 1; i <= n; i++) {
		(void)snprintf(doc, sizeof(doc), "{\"n\":%d}", i);
		assert_int_equal(f->svc->log(f->self, (uint64_t)i * SECOND, "I", "open", doc), 0);
	}
	fix_shut(f);
}

static int verify(const struct fix *f, const unsigned char *key, const struct chain_head *anchor,
		  struct chain_report *r)
{
	sqlite3 *db = NULL;
	char error[DB_ERROR];
	int rc;

	assert_int_equal(db_open_reader(f->path, &db, error), 0);
	rc = chain_verify(db, key, anchor, r);
	db_close(&db);
	return rc;
}

static void change(const struct fix *f, const char *sql)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(db_exec(db, sql), 0);
	db_close(&db);
}

static void a_changed_or_removed_entry_is_found(void **state)
{
	static const struct {
		const char *sql;
		uint64_t bad_seq;
	} cases[] = {
		{ "UPDATE log SET doc='{\"n\":9}' WHERE seq=3", 3 },
		{ "UPDATE log SET ts_ns=ts_ns+1 WHERE seq=2", 2 },
		{ "UPDATE log SET what='close' WHERE seq=4", 4 },
		{ "UPDATE log SET subject='J' WHERE seq=4", 4 },
		{ "UPDATE log SET subject='Io', what='pen' WHERE seq=4", 4 },
		{ "UPDATE log SET hash=zeroblob(32) WHERE seq=5", 5 },
		{ "UPDATE log SET ts_ns=ts_ns||'x' WHERE seq=2", 2 },
		{ "UPDATE log SET doc=doc||char(0)||'x' WHERE seq=2", 2 },
		{ "UPDATE log SET what=what||char(0) WHERE seq=2", 2 },
		{ "UPDATE log SET subject=CAST(subject AS BLOB) WHERE seq=2", 2 },
		{ "DELETE FROM log WHERE seq=3", 4 },
		{ "DELETE FROM log WHERE seq=1", 2 },
		{ "UPDATE log SET seq=7 WHERE seq=5; UPDATE log SET seq=5 WHERE seq=4;"
		  "UPDATE log SET seq=4 WHERE seq=7",
		  4 },
		{ "INSERT INTO log VALUES(6,6,'I','open','{}',zeroblob(32))", 6 },
	};
	struct chain_report r;

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fix f = { 0 };

		chain_of(&f, 5);
		assert_int_equal(verify(&f, NULL, NULL, &r), 0);
		assert_int_equal(r.n_entries, 5);
		change(&f, cases[i].sql);
		assert_int_equal(verify(&f, NULL, NULL, &r), -EBADMSG);
		assert_int_equal(r.bad_seq, cases[i].bad_seq);
		fix_close(&f);
	}
}

static void a_cut_tail_is_seen_with_an_anchor_only(void **state)
{
	struct chain_head anchor;
	struct chain_report r;
	struct fix f = { 0 };

	(void)state;
	chain_of(&f, 5);
	assert_int_equal(verify(&f, NULL, NULL, &r), 0);
	anchor = r.head;
	assert_int_equal(anchor.seq, 5);
	chain_of(&f, 2); /* it goes on */
	assert_int_equal(verify(&f, NULL, &anchor, &r), 0);
	assert_true(r.is_anchored);
	change(&f, "DELETE FROM log WHERE seq>=4");
	assert_int_equal(verify(&f, NULL, NULL, &r), 0);
	assert_int_equal(verify(&f, NULL, &anchor, &r), -EBADMSG);
	assert_non_null(strstr(r.bad, "cut off"));
	chain_of(&f, 5); /* written anew with other entries */
	assert_int_equal(verify(&f, NULL, &anchor, &r), -EBADMSG);
	assert_non_null(strstr(r.bad, "rewritten"));
	fix_close(&f);
}

static void retention_leaves_a_signed_checkpoint(void **state)
{
	unsigned char key[CHAIN_KEY], other[CHAIN_KEY] = { 1 };
	char file[128], error[DB_ERROR];
	struct chain_report r;
	struct fix f = { 0 };
	struct stat st;

	(void)state;
	chain_of(&f, 6); /* of 1970: over its age */
	fix_open(&f);
	(void)testhost_advance(f.t, 62 * SECOND);
	jobs(&f);
	assert_int_not_equal(testhost_health(f.t, "log"), LNX_HEALTH_DEGRADED);
	fix_shut(&f);
	(void)snprintf(file, sizeof(file), "%s.key", f.path);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(chain_key(file, 0, key, NULL, error, sizeof(error)), 0);
	assert_int_equal(verify(&f, key, NULL, &r), 0);
	assert_int_equal(r.n_checkpoints, 1);
	assert_int_equal(r.first_seq, 5);
	assert_int_equal(r.n_entries, 2);
	assert_memory_equal(r.key, key, CHAIN_KEY);
	assert_int_equal(verify(&f, other, NULL, &r), -EBADMSG);
	/* the log goes on behind it */
	chain_of(&f, 1);
	assert_int_equal(verify(&f, key, NULL, &r), 0);
	assert_int_equal(r.head.seq, 7);
	change(&f,
	       "INSERT INTO log SELECT 3, ts_ns, subject, what, doc, hash FROM log WHERE seq=5");
	assert_int_equal(verify(&f, NULL, NULL, &r), -EBADMSG);
	assert_int_equal(r.bad_seq, 3);
	assert_string_equal(r.bad, "retention removed it, and it is there");
	change(&f, "DELETE FROM log WHERE seq=3; UPDATE checkpoint SET ts_ns=ts_ns||' x'");
	assert_int_equal(verify(&f, NULL, NULL, &r), -EBADMSG);
	change(&f,
	       "UPDATE checkpoint SET ts_ns=CAST(ts_ns AS INTEGER); UPDATE checkpoint SET hash=zeroblob(32)");
	assert_int_equal(verify(&f, NULL, NULL, &r), -EBADMSG);
	assert_string_equal(r.bad, "the checkpoint's signature is not good");
	change(&f, "UPDATE checkpoint SET ts_ns=ts_ns+1");
	assert_int_equal(verify(&f, NULL, NULL, &r), -EBADMSG);
	change(&f, "DELETE FROM checkpoint");
	assert_int_equal(verify(&f, NULL, NULL, &r), -EBADMSG);
	fix_close(&f);
}

/* Write an entry for each of <ages> (seconds before now), let retention work, and tell what is left. */
static void age(const uint64_t *ages, unsigned n, const char *max_size, struct chain_report *r)
{
	struct fix f = { 0 };
	char doc[1024];

	memset(doc, ' ', sizeof(doc));
	doc[0] = '{';
	doc[sizeof(doc) - 2] = '}';
	doc[sizeof(doc) - 1] = 0;
	fix_dir(&f);
	fix_host(&f);
	fix_conf(&f, "max_size", max_size);
	fix_load(&f);
	jobs(&f);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(
			f.svc->log(f.self, TESTHOST_WALL_NS - ages[i] * SECOND, "I", "open", doc),
			0);
	jobs(&f);
	(void)testhost_advance(f.t, 62 * SECOND);
	jobs(&f);
	fix_shut(&f);
	assert_int_equal(verify(&f, NULL, NULL, r), 0);
	assert_int_equal(r->head.seq, n);
	fix_close(&f);
}

/* A machine that boots before it knows the time writes entries of long ago. */
static void a_wrong_date_takes_no_fresh_entry_with_it(void **state)
{
	enum { DAY = 86400, LONG_AGO = 19600 * DAY };
	static const uint64_t clock[] = { 5, 4, LONG_AGO, 3, 2, 1 },
			      old[] = { 40 * DAY, 39 * DAY, 5, LONG_AGO, 40 * DAY, 3, 2 },
			      all[] = { 40 * DAY, 5, 39 * DAY, 38 * DAY, 37 * DAY };
	struct chain_report r;

	(void)state;
	age(clock, 6, "64MiB", &r);
	assert_int_equal(r.n_checkpoints, 0);
	assert_int_equal(r.n_entries, 6);
	age(old, 7, "64MiB", &r);
	assert_int_equal(r.first_seq, 3);
	age(all, 5, "64MiB", &r);
	assert_int_equal(r.first_seq, 2);
}

static void a_log_that_is_too_large_loses_what_must_go(void **state)
{
	enum { ENTRIES = 1200 };
	static uint64_t ages[ENTRIES];
	struct chain_report r;

	(void)state;
	for (unsigned i = 0; i < ENTRIES; i++)
		ages[i] = ENTRIES - i;
	age(ages, ENTRIES, "1MiB", &r); /* 1.2 MB and more */
	assert_int_equal(r.n_checkpoints, 1);
	assert_int_equal(r.n_entries, ENTRIES - 500);
}

static void a_key_that_others_may_read_signs_nothing(void **state)
{
	unsigned char key[CHAIN_KEY];
	char file[128], error[DB_ERROR];
	struct chain_report r;
	struct fix f = { 0 };

	(void)state;
	chain_of(&f, 6);
	(void)snprintf(file, sizeof(file), "%s.key", f.path);
	assert_int_equal(chain_key(file, 0, key, NULL, error, sizeof(error)), -ENOENT);
	assert_int_equal(chain_key(file, 1, key, NULL, error, sizeof(error)), 0);
	assert_int_equal(chmod(file, 0640), 0);
	assert_int_equal(chain_key(file, 1, key, NULL, error, sizeof(error)), -EPERM);
	fix_open(&f);
	(void)testhost_advance(f.t, 62 * SECOND);
	jobs(&f);
	assert_int_equal(testhost_health(f.t, "log"), LNX_HEALTH_DEGRADED);
	assert_non_null(strstr(testhost_health_why(f.t, "log"), "chmod 600"));
	assert_true(testhost_metric(f.t, "linnix_store_writable", "") == 1);
	fix_shut(&f);
	assert_int_equal(verify(&f, NULL, NULL, &r), 0);
	assert_int_equal(r.n_entries, 6);
	assert_int_equal(truncate(file, 10), 0);
	assert_int_equal(chmod(file, 0600), 0);
	assert_int_equal(chain_key(file, 1, key, NULL, error, sizeof(error)), -EINVAL);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(symlink("/etc/passwd", file), 0);
	assert_int_equal(chain_key(file, 1, key, NULL, error, sizeof(error)), -ELOOP);
	fix_close(&f);
}

/* Run the verb in a child; its exit code. */
static int verb(char *const *argv, int argc)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
			_exit(99);
		_exit(linnix_plugin_v1()->commands[0].run(argc, (char **)(uintptr_t)argv));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void the_verb_reads_its_words(void **state)
{
	struct chain_report r;
	struct fix f = { 0 };
	char anchor[100], hash[65];
	char *db[] = { "incidents", "verify", "--db", f.path, NULL, NULL, NULL };

	(void)state;
	chain_of(&f, 3);
	assert_int_equal(verb(db, 4), 0);
	assert_int_equal(verify(&f, NULL, NULL, &r), 0);
	(void)sodium_bin2hex(hash, sizeof(hash), r.head.hash, 32);
	(void)snprintf(anchor, sizeof(anchor), "3:%s", hash);
	db[4] = "--anchor";
	db[5] = anchor;
	assert_int_equal(verb(db, 6), 0);
	anchor[2] = anchor[2] == '0' ? '1' : '0';
	assert_int_equal(verb(db, 6), 1);
	db[5] = "3";
	assert_int_equal(verb(db, 6), 2);
	db[4] = "--key";
	assert_int_equal(verb(db, 6), 2);
	db[4] = "word";
	assert_int_equal(verb(db, 5), 2);
	db[3] = "/nonexistent/linnix.db";
	assert_int_equal(verb(db, 4), 1);
	assert_int_equal(verb(db, 1), 2);
	fix_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blame_is_summed_by_bucket_minute_and_hour),
		cmocka_unit_test(fine_buckets_go_and_coarse_ones_answer),
		cmocka_unit_test(a_bucket_of_two_runs_adds_up),
		cmocka_unit_test(what_is_written_is_not_written_again_when_retention_fails),
		cmocka_unit_test(a_full_bucket_is_counted),
		cmocka_unit_test(a_changed_or_removed_entry_is_found),
		cmocka_unit_test(a_cut_tail_is_seen_with_an_anchor_only),
		cmocka_unit_test(retention_leaves_a_signed_checkpoint),
		cmocka_unit_test(a_wrong_date_takes_no_fresh_entry_with_it),
		cmocka_unit_test(a_log_that_is_too_large_loses_what_must_go),
		cmocka_unit_test(a_key_that_others_may_read_signs_nothing),
		cmocka_unit_test(the_verb_reads_its_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
