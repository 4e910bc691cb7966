/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What nodes answer, and what of an endpoint may be seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "call.h"
#include "db.h"
#include "rpc.h"

/* ---- answers */

static int read_two(struct rpc_batch *b, const char *text, size_t n, char why[RPC_TEXT])
{
	rpc_reset(b);
	assert_non_null(rpc_add(b, "eth_chainId", "[]"));
	assert_non_null(rpc_add(b, "eth_call", "[{},\"latest\"]"));
	return rpc_read(b, 7, text, n, why);
}

static int read_text(struct rpc_batch *b, const char *text, char why[RPC_TEXT])
{
	return read_two(b, text, strlen(text), why);
}

static void a_batch_is_read_by_its_ids(void **state)
{
	struct rpc_batch b = { .n = 0 };
	char why[RPC_TEXT];
	uint64_t v = 0;

	(void)state;
	assert_int_equal(
		read_text(
			&b,
			"[{\"jsonrpc\":\"2.0\",\"id\":8,\"error\":{\"code\":3,\"message\":\"no\\u0000\\u001b[2J\","
			"\"data\":\"0x08c379a0\"}},{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"0x7a69\"}]",
			why),
		0);
	assert_int_equal(rpc_u64(&b.calls[0], &v), 0);
	assert_int_equal(v, 31337);
	assert_true(b.calls[1].is_error && b.calls[1].code == 3);
	/* what a stranger wrote moves no terminal */
	assert_string_equal(b.calls[1].text, "no  [2J");
	assert_string_equal(b.calls[1].data, "0x08c379a0");
	assert_true(call_reverted(&b.calls[1]));
	rpc_reset(&b);
}

static void hardhat_has_the_bytes_of_a_revert_one_level_deeper(void **state)
{
	struct rpc_batch b = { .n = 0 };
	char why[RPC_TEXT];

	(void)state;
	assert_int_equal(
		read_text(
			&b,
			"[{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":null},{\"jsonrpc\":\"2.0\",\"id\":8,\"error\":"
			"{\"code\":-32603,\"message\":\"x\",\"data\":{\"data\":\"0xe450d38c\"}}}]",
			why),
		0);
	assert_string_equal(b.calls[1].data, "0xe450d38c");
	rpc_reset(&b);
}

static void what_is_no_answer_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"[",
		"null",
		"{}",
		"[]",
		"\"0x1\"",
		"[{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"0x1\"}]",
		"[{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":1},{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":1}]",
		"[{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":1},{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":1}]",
		"[{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":1},{\"jsonrpc\":\"1.0\",\"id\":8,\"result\":1}]",
		"[{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":1},{\"jsonrpc\":\"2.0\",\"id\":8}]",
		"[{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":1},{\"jsonrpc\":\"2.0\",\"id\":\"8\",\"result\":1}]",
		"[{\"jsonrpc\":\"2.0\",\"id\":7,\"id\":7,\"result\":1},{\"jsonrpc\":\"2.0\",\"id\":8,\"result\":1}]",
		"[{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":1},{\"jsonrpc\":\"2.0\",\"id\":8,\"result\":1,\"error\":1}]",
		"[{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":1},{\"jsonrpc\":\"2.0\",\"id\":-1,\"result\":1}]",
	};
	struct rpc_batch b = { .n = 0 };
	char why[RPC_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		*why = 0;
		assert_int_equal(read_text(&b, bad[i], why), -EPROTO);
		assert_true(*why != 0);
	}
	assert_int_equal(read_two(&b, "\0\0", 2, why), -EPROTO);
	rpc_reset(&b);
}

static void numbers_and_words_are_read_exactly(void **state)
{
	static const char *const bad[] = { "\"0x\"",	     "\"1\"", "\"0x1g\"",
					   "\"0x1\\u0000\"", "1",     "\"0x10000000000000000\"" };
	struct rpc_batch b = { .n = 0 };
	char why[RPC_TEXT], text[128];
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		rpc_reset(&b);
		assert_non_null(rpc_add(&b, "eth_blockNumber", "[]"));
		(void)snprintf(text, sizeof(text), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":%s}",
			       bad[i]);
		assert_int_equal(rpc_read(&b, 1, text, strlen(text), why), 0);
		assert_int_equal(rpc_u64(&b.calls[0], &v), -EPROTO);
	}
	rpc_reset(&b);
}

static void a_full_batch_says_so(void **state)
{
	struct rpc_batch b = { .n = 0 };

	(void)state;
	for (int i = 0; i < RPC_CALLS; i++)
		assert_non_null(rpc_add(&b, "eth_chainId", "[]"));
	assert_null(rpc_add(&b, "eth_chainId", "[]"));
	assert_int_equal(b.error, -ENOSPC);
	rpc_reset(&b);
	assert_int_equal(b.error, 0);
}

/* ---- endpoints */

static void secrets_of_a_url_are_not_shown(void **state)
{
	struct rpc r = { .n = 0 };
	char why[RPC_TEXT];

	(void)state;
	assert_int_equal(
		rpc_endpoint(&r, "https://user:pass@rpc.example:8545/v2/SECRET?key=SECRET", why),
		0);
	assert_string_equal(r.endpoints[0].shown, "https://rpc.example:8545");
	assert_int_equal(rpc_endpoint(&r, "http://127.0.0.1:8545", why), 0);
	assert_int_equal(rpc_endpoint(&r, "http://localhost:8545/x", why), 0);
	assert_int_equal(rpc_endpoint(&r, "http://[::1]:8545", why), 0);
	rpc_done(&r);
}

static void plain_http_to_elsewhere_is_refused(void **state)
{
	static const char *const bad[] = { "http://rpc.example/SECRET",
					   "http://127.0.0.1@rpc.example/SECRET",
					   "http://localhost.rpc.example/SECRET",
					   "http://127.evil.example/SECRET",
					   "http://127.0.0.1.evil.example/SECRET",
					   "http://127.0.0.1x:8545/SECRET",
					   "ftp://127.0.0.1",
					   "http:///x",
					   "" };
	struct rpc r = { .n = 0 };
	char why[RPC_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(rpc_endpoint(&r, bad[i], why), -EINVAL);
		assert_null(strstr(why, "SECRET"));
	}
	r.allow_insecure = 1;
	assert_int_equal(rpc_endpoint(&r, bad[0], why), 0);
	rpc_done(&r);
}

/* ---- the state file */

static struct op an_op(const char *key, uint8_t *data, uint8_t *raw)
{
	struct op op = { .kind = 2, .state = OP_SIGNED, .data = data, .n_data = 4, .nonce = 9 };

	(void)snprintf(op.key, sizeof(op.key), "%s", key);
	op.n_attempts = 1;
	op.attempts[0].raw = raw;
	op.attempts[0].n_raw = 3;
	op.attempts[0].nonce = 9;
	memset(op.attempts[0].hash, (int)strlen(key), 32);
	return op;
}

static void drop_loaded(struct db_loaded *l)
{
	for (struct op *op; (op = l->ops);) {
		l->ops = op->next;
		op_free(op);
	}
	for (struct task *t; (t = l->tasks);) {
		l->tasks = t->next;
		task_free(t);
	}
}

static void nonce_and_bytes_come_back_together(void **state)
{
	char path[] = "/tmp/lnx-settle-XXXXXX", error[DB_ERROR];
	uint8_t data[4] = { 1, 2, 3, 4 }, raw[3] = { 7, 8, 9 };
	struct op op = an_op("create:a", data, raw), twice[2];
	struct task t = { .role = TASK_PAYER, .is_escrow = 1, .has_arbiter = 1, .created_ms = 5 };
	struct db_cursor cursor = { .block = 42, .is_set = 1 };
	struct db_loaded l;
	sqlite3 *db = NULL;

	(void)state;
	assert_true(mkstemp(path) >= 0);
	assert_int_equal(db_open(path, 0, &db, &l, error), 0);
	assert_null(l.ops);
	memset(t.id, 0xab, 32);
	assert_int_equal(db_write(db, &op, 1, &t, 1, &cursor, error), 0);
	assert_true(op.id > 0);
	/* a second operation of that key: nothing of the whole is written */
	twice[0] = an_op("other", data, raw);
	twice[1] = an_op("create:a", data, raw);
	assert_int_equal(db_write(db, twice, 2, NULL, 0, &cursor, error), -EEXIST);
	db_close(&db);
	assert_int_equal(db_open(path, 0, &db, &l, error), 0);
	assert_non_null(l.ops);
	assert_null(l.ops->next);
	assert_string_equal(l.ops->key, "create:a");
	assert_int_equal(l.ops->state, OP_SIGNED);
	assert_int_equal(l.ops->nonce, 9);
	assert_int_equal(l.ops->n_attempts, 1);
	assert_memory_equal(l.ops->attempts[0].raw, raw, 3);
	assert_non_null(l.tasks);
	assert_memory_equal(l.tasks->id, t.id, 32);
	assert_int_equal(l.tasks->is_escrow, 1);
	assert_int_equal(l.tasks->has_arbiter, 1);
	assert_int_equal(l.cursor_block, 42);
	drop_loaded(&l);
	db_close(&db);
	(void)unlink(path);
}

/* Anybody can offer any number of tasks: a start does not read them all for a month. */
static void offers_that_came_to_nothing_are_not_read_again(void **state)
{
	static struct task tasks[1003];
	char path[] = "/tmp/lnx-settle-XXXXXX", error[DB_ERROR];
	struct db_cursor cursor = { .block = 0 };
	struct db_loaded l;
	sqlite3 *db = NULL;
	unsigned n = 0, kept = 0;

	(void)state;
	assert_true(mkstemp(path) >= 0);
	assert_int_equal(db_open(path, 0, &db, &l, error), 0);
	for (unsigned i = 0; i < 1003; i++) {
		tasks[i].role = TASK_PAYEE;
		tasks[i].status = i % 2 ? 6 : 7; /* cancelled, expired */
		tasks[i].created_ms = 1000 + i;
		tasks[i].id[0] = (uint8_t)(i >> 8);
		tasks[i].id[1] = (uint8_t)i;
	}
	tasks[0].receipt = (char *)(uintptr_t) "{}"; /* we worked for it */
	tasks[0].receipt_is_dirty = 1;
	tasks[1].role = TASK_PAYER;
	assert_int_equal(db_write(db, NULL, 0, tasks, 1003, &cursor, error), 0);
	db_close(&db);
	assert_int_equal(db_open(path, 0, &db, &l, error), 0);
	for (const struct task *t = l.tasks; t; t = t->next) {
		n++;
		kept += t->created_ms < 1003;
	}
	assert_int_equal(n, 1002);
	assert_int_equal(kept, 2);
	drop_loaded(&l);
	db_close(&db);
	(void)unlink(path);
}

static void a_file_that_others_may_read_is_refused(void **state)
{
	char path[] = "/tmp/lnx-settle-XXXXXX", link_path[64], error[DB_ERROR];
	struct db_loaded l;
	sqlite3 *db = NULL;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_int_equal(db_open(path, 0, &db, &l, error), -EPERM);
	assert_null(db);
	assert_int_equal(fchmod(fd, 0600), 0);
	(void)snprintf(link_path, sizeof(link_path), "%s.link", path);
	assert_int_equal(symlink(path, link_path), 0);
	assert_int_equal(db_open(link_path, 0, &db, &l, error), -ELOOP);
	(void)unlink(link_path);
	assert_int_equal(
		write(fd,
		      "not a database at all, but long enough to be looked at as one...........................................",
		      100),
		100);
	assert_int_equal(db_open(path, 0, &db, &l, error), -EUCLEAN);
	assert_null(db);
	(void)close(fd);
	(void)unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_batch_is_read_by_its_ids),
		cmocka_unit_test(hardhat_has_the_bytes_of_a_revert_one_level_deeper),
		cmocka_unit_test(what_is_no_answer_is_refused),
		cmocka_unit_test(numbers_and_words_are_read_exactly),
		cmocka_unit_test(a_full_batch_says_so),
		cmocka_unit_test(secrets_of_a_url_are_not_shown),
		cmocka_unit_test(plain_http_to_elsewhere_is_refused),
		cmocka_unit_test(nonce_and_bytes_come_back_together),
		cmocka_unit_test(offers_that_came_to_nothing_are_not_read_again),
		cmocka_unit_test(a_file_that_others_may_read_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
