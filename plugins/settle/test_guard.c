/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What is looked at before an endpoint is used, and what a start finds: one no, and nothing is signed. */
#include "test_out.h"

#include "keys.h"

#include <fcntl.h>
#include <sodium.h>
#include <unistd.h>

#define CODE	"\"0x60\""
#define NOTHING "\"0x\""
#define WORD(w) "\"0x" w "\""
#define YES	WORD(ONE)
#define NO	WORD(ZEROS)
#define SIX	"0000000000000000000000000000000000000000000000000000000000000006"
#define EXT	WORD(ZEROS ZEROS ZEROS)
#define OTHER	"000000000000000000000000000000000000000000000000000000000000beef"

/* enum: places of the answers */
#define AT_CHAIN      0
#define AT_SETTLEMENT 1
#define AT_REGISTRY   2
#define AT_TOKEN      3
#define AT_SEPARATOR  4
#define AT_DECIMALS   5
#define AT_ADDRESS    6
#define AT_IS_AS      7
#define AT_EXT	      8
#define AT_BOND	      10
#define N_ASKED	      11

/* What a good endpoint answers. */
static void good(const char *ret[N_ASKED + 1])
{
	const char *const all[N_ASKED + 1] = { YES, CODE, CODE, CODE,	 NO,   WORD(SIX),
					       NO,  YES,  EXT,	NOTHING, CODE, NULL };

	memcpy(ret, all, sizeof(all));
	ret[AT_CHAIN] = "\"0x1\"";
}

static int begin(void **state)
{
	if (setup_key(state))
		return -1;
	f.conf.token_decimals = 6;
	f.s.has_bond = 1;
	f.s.state = CHAIN_CONNECTING;
	f.s.at = 0;
	return 0;
}

/* One endpoint, whose answer <at> is that. */
static void ask_guard(int at, const char *text)
{
	const char *told[N_ASKED + 1];

	good(told);
	if (at >= 0)
		told[at] = text;
	f.s.at = 0;
	f.turns = 0;
	guard_begin(&f.s, looked_at);
	assert_int_equal(f.s.batch.n, N_ASKED);
	answer(told);
}

static void each_no_refuses_and_a_yes_mends_it(void **state)
{
	static const struct {
		int at;
		const char *text, *why;
	} bad[] = {
		{ AT_CHAIN, "\"0x5\"", "it is chain 5, chain.chain_id is 1" },
		{ AT_CHAIN, "!", "it is chain 0, chain.chain_id is 1" },
		{ AT_SETTLEMENT, NOTHING, "there is no contract at chain.settlement_contract" },
		{ AT_SETTLEMENT, "!", "there is no contract at chain.settlement_contract" },
		{ AT_REGISTRY, NOTHING, "there is no contract at chain.registry_contract" },
		{ AT_TOKEN, "null", "there is no contract at chain.token_address" },
		{ AT_SEPARATOR, YES, "the settlement contract has another DOMAIN_SEPARATOR" },
		{ AT_SEPARATOR, NOTHING, "the settlement contract has another DOMAIN_SEPARATOR" },
		{ AT_DECIMALS, WORD(TWO),
		  "the token has other decimals than chain.token_decimals" },
		{ AT_DECIMALS, "!", "the token has other decimals than chain.token_decimals" },
		{ AT_BOND, NOTHING, "there is no contract at chain.bond_contract" },
		{ AT_IS_AS, "!", "the registry does not answer as it should" },
		{ AT_EXT, "!", "the registry does not answer as it should" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ask_guard(bad[i].at, bad[i].text);
		assert_int_equal(f.s.state, CHAIN_REFUSED);
		if (!strstr(f.s.why, bad[i].why))
			fail_msg("'%s', not '%s'", f.s.why, bad[i].why);
		assert_int_equal(f.turns, 0); /* no step is taken after it */
		assert_int_equal(f.s.at, -1);
		assert_false(f.s.rpc.endpoints[0].is_guarded);
		assert_int_equal(testhost_health(f.t, "chain"), LNX_HEALTH_LOST);
		/* a connection that is lost does not make it good */
		f.s.at = 0;
		settle_lost(&f.s, "gone");
		assert_int_equal(f.s.state, CHAIN_REFUSED);
		ask_guard(-1, NULL);
		assert_int_equal(f.s.state, CHAIN_READY);
		assert_int_equal(f.turns, 1);
		assert_true(f.s.rpc.endpoints[0].is_guarded);
		assert_int_equal(testhost_health(f.t, "chain"), LNX_HEALTH_OK);
	}
}

/* A registry with the compatible functions only has one address of a DID. */
static void an_old_registry_must_have_our_address(void **state)
{
	char ours[80];
	const char *told[N_ASKED + 1];

	(void)state;
	good(told);
	told[AT_IS_AS] = told[AT_EXT] = NOTHING;
	told[AT_ADDRESS] = WORD(OTHER);
	guard_begin(&f.s, looked_at);
	answer(told);
	assert_int_equal(f.s.state, CHAIN_REFUSED);
	assert_non_null(strstr(f.s.why, "the registry has another address for this agent's DID"));
	memcpy(ours, "\"0x000000000000000000000000", 27);
	for (unsigned i = 0; i < 20; i++)
		(void)snprintf(ours + 27 + 2 * (size_t)i, 3, "%02x", f.s.address[i]);
	memcpy(ours + 67, "\"", 2);
	told[AT_ADDRESS] = ours;
	f.s.at = 0;
	guard_begin(&f.s, looked_at);
	answer(told);
	assert_int_equal(f.s.state, CHAIN_READY);
	assert_true(f.s.is_registered && f.s.is_compat);
}

static void one_that_is_not_registered_says_so(void **state)
{
	(void)state;
	f.conf.auto_register = 0;
	ask_guard(AT_IS_AS, NO);
	assert_int_equal(f.s.state, CHAIN_READY);
	assert_false(f.s.is_registered);
	assert_int_equal(testhost_health(f.t, "chain-identity"), LNX_HEALTH_DEGRADED);
	assert_null(f.s.ops);
	ask_guard(-1, NULL);
	assert_int_equal(testhost_health(f.t, "chain-identity"), LNX_HEALTH_OK);
}

/* ---- two endpoints */

static void ask_two(int at, const char *text)
{
	const char *one[N_ASKED + 1], *two[N_ASKED + 1];

	good(one);
	good(two);
	two[at] = text;
	two[AT_EXT + 1] = NULL; /* it is asked that much */
	f.s.rpc.endpoints[0].is_guarded = f.s.rpc.endpoints[1].is_guarded = 0;
	f.s.rpc.endpoints[1].rest_ns = 0;
	f.s.at = 0;
	guard_begin(&f.s, looked_at);
	answer(one);
	answer(two);
}

static void a_second_of_another_chain_is_left_out(void **state)
{
	(void)state;
	second_endpoint();
	ask_two(AT_CHAIN, "\"0x5\"");
	assert_int_equal(f.s.state, CHAIN_READY);
	assert_false(f.s.rpc.endpoints[1].is_guarded);
	assert_true(f.s.rpc.endpoints[1].rest_ns > testhost_now(f.t));
	assert_int_equal(testhost_health(f.t, "chain-second"), LNX_HEALTH_DEGRADED);
	ask_two(AT_CHAIN, "\"0x1\"");
	assert_true(f.s.rpc.endpoints[1].is_guarded);
}

static void two_that_have_other_contracts_sign_nothing(void **state)
{
	static const struct {
		int at;
		const char *text;
	} bad[] = { { AT_SETTLEMENT, "\"0x61\"" },
		    { AT_TOKEN, "\"0x6060\"" },
		    { AT_EXT, NOTHING } };

	(void)state;
	second_endpoint();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		f.turns = 0;
		ask_two(bad[i].at, bad[i].text);
		assert_int_equal(f.s.state, CHAIN_REFUSED);
		assert_non_null(strstr(f.s.why, "two endpoints do not agree on"));
		assert_int_equal(f.turns, 0);
	}
}

/* ---- the way to it */

/* The authorities of the configuration, and plain http only where that was allowed. */
static void each_question_says_whom_to_trust(void **state)
{
	(void)state;
	f.s.rpc.ca_file = "/etc/node.pem";
	ask_guard(-1, NULL);
	assert_string_equal(f.ask.ca_file, "/etc/node.pem");
	assert_false(f.ask.flags & LNX_HTTPC_PLAINTEXT);
	f.s.rpc.allow_insecure = 1;
	ask_guard(-1, NULL);
	assert_true(f.ask.flags & LNX_HTTPC_PLAINTEXT);
}

/* ---- a start */

static char dir[] = "/tmp/lnx-guard-XXXXXX";

/* The file of a lock. */
static void lock_path(const struct settle *s, char ret[128])
{
	char address[43];

	hex_format(s->address, 20, address);
	(void)snprintf(ret, 128, "%s/settle-%llu-%s.lock", dir, (unsigned long long)f.conf.chain_id,
		       address); /* fits */
}

static void one_key_signs_in_one_agent(void **state)
{
	struct settle other = { .lock_fd = -1 };
	char why[SETTLE_WHY] = "", path[128], theirs[128];

	(void)state;
	f.conf.lock_dir = dir;
	other.conf = &f.conf;
	memcpy(other.address, f.s.address, 20);
	assert_int_equal(keys_lock(&f.s, why), 0);
	assert_int_equal(keys_lock(&other, why), -EBUSY);
	assert_non_null(strstr(why, "another agent signs with the key of 0x"));
	(void)close(other.lock_fd);
	other.address[0] ^= 1; /* another key has a lane of its own */
	assert_int_equal(keys_lock(&other, why), 0);
	(void)close(other.lock_fd);
	lock_path(&other, theirs);
	other.address[0] ^= 1;
	(void)close(f.s.lock_fd); /* it ended */
	assert_int_equal(keys_lock(&other, why), 0);
	(void)close(other.lock_fd);
	/* nor is a lock what somebody put there */
	lock_path(&f.s, path);
	(void)unlink(path);
	assert_int_equal(symlink(theirs, path), 0);
	assert_int_equal(keys_lock(&other, why), -ELOOP);
	assert_non_null(strstr(why, "see chain.lock_dir"));
	(void)unlink(path);
	(void)unlink(theirs);
}

/* A state file with what a killed agent left. */
static void a_start_goes_on_with_what_was_signed(void **state)
{
	struct op *op = add_out(0), *done = add_out(5), *next;
	struct db_cursor cursor = { .block = 77, .is_set = 1 };
	struct db_loaded l;
	char path[64], error[DB_ERROR] = "";
	sqlite3 *db = NULL;
	uint8_t hash[32];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/settle.db", dir); /* fits */
	assert_int_equal(db_open(path, 0, &db, &l, error), 0);
	memcpy(hash, op->attempts[0].hash, 32);
	op->next = NULL;
	op->nonce = 3;
	done->state = OP_CONFIRMED;
	assert_int_equal(db_write(db, op, 1, NULL, 0, &cursor, error), 0);
	assert_int_equal(db_write(db, done, 1, NULL, 0, &cursor, error), 0);
	db_close(&db);
	f.s.ops = NULL;
	f.s.n_ops = 0;
	f.s.state = CHAIN_OPENING;
	f.s.state_path = path;
	testhost_jobs_inline(f.t, 1);
	assert_int_equal(settle_open(&f.s), 0);
	assert_int_equal(f.s.state, CHAIN_CONNECTING);
	assert_int_equal(f.s.n_ops, 2);
	assert_int_equal(f.s.log_block, 77);
	assert_int_equal(f.s.nonce_floor, 6); /* above what was mined */
	next = f.s.ops;
	assert_int_equal(next->state, OP_SENT);
	assert_memory_equal(next->attempts[0].hash, hash, 32); /* the same bytes are sent again */
	assert_true(next->attempts[0].first_sent_ns > 0);
	db_close(&f.s.db);
	free(op->attempts[0].raw);
	free(done->attempts[0].raw);
	(void)unlink(path);
}

static void a_start_with_a_damaged_file_signs_nothing(void **state)
{
	static const char text[] = "this was a state file before somebody wrote to its disk";
	char path[64], read_back[sizeof(text)] = "";
	int fd;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/settle.db", dir); /* fits */
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
	f.s.state = CHAIN_OPENING;
	f.s.state_path = path;
	testhost_jobs_inline(f.t, 1);
	assert_int_equal(settle_open(&f.s), 0);
	assert_int_equal(f.s.state, CHAIN_FAILED);
	assert_non_null(strstr(f.s.why, "nothing is signed"));
	assert_null(f.s.db);
	/* not moved aside, not mended */
	assert_int_equal(pread(fd, read_back, sizeof(read_back), 0), sizeof(text));
	assert_string_equal(read_back, text);
	(void)close(fd);
	(void)unlink(path);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, teardown_key)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(each_no_refuses_and_a_yes_mends_it),
		CASE(an_old_registry_must_have_our_address),
		CASE(one_that_is_not_registered_says_so),
		CASE(a_second_of_another_chain_is_left_out),
		CASE(two_that_have_other_contracts_sign_nothing),
		CASE(each_question_says_whom_to_trust),
		CASE(one_key_signs_in_one_agent),
		CASE(a_start_goes_on_with_what_was_signed),
		CASE(a_start_with_a_damaged_file_signs_nothing),
	};
	int rc;

	if (sodium_init() < 0 || !mkdtemp(dir))
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	(void)rmdir(dir);
	return rc;
}
