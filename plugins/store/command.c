/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* `linnix incidents verify`: the log of transitions, read from the file itself. Needs no agent. */
#include <errno.h>
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain.h"
#include "store.h"

#define DEFAULT_DB "/var/lib/linnix/linnix.db"

/* Exit codes of the command line. */
#define EXIT_BAD   1
#define EXIT_USAGE 2

struct asked {
	const char *db;
	unsigned char key[CHAIN_KEY];
	struct chain_head head;
	int has_key, has_anchor, is_json;
};

static int hex(const char *text, size_t n, unsigned char *ret)
{
	size_t bin = 0;

	return strlen(text) == 2 * n && !sodium_hex2bin(ret, n, text, 2 * n, NULL, &bin, NULL) &&
			       bin == n
		       ? 0
		       : -EINVAL;
}

static int usage(const char *what)
{
	fprintf(stderr,
		"linnix: incidents verify: %s\n"
		"usage: linnix incidents verify [--db FILE] [--key HEX] [--anchor SEQ:HASH] [--json]\n",
		what);
	return EXIT_USAGE;
}

/* 0 or an exit code. */
static int parse(int argc, char **argv, struct asked *a)
{
	static const struct option longs[] = { { "db", required_argument, NULL, 'd' },
					       { "key", required_argument, NULL, 'k' },
					       { "anchor", required_argument, NULL, 'a' },
					       { "json", no_argument, NULL, 'j' },
					       { NULL, 0, NULL, 0 } };
	const char *env = getenv("LINNIX_STORE_PATH");
	char *end;
	int c;

	a->db = env && *env ? env : DEFAULT_DB;
	optind = 2; /* after "incidents verify" */
	opterr = 0;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'd') {
			a->db = optarg;
		} else if (c == 'k') {
			a->has_key = 1;
			if (hex(optarg, CHAIN_KEY, a->key))
				return usage("--key is 64 hex digits");
		} else if (c == 'a') {
			a->has_anchor = 1;
			a->head.seq = strtoull(optarg, &end, 10);
			if (end == optarg || *end != ':' || hex(end + 1, CHAIN_HASH, a->head.hash))
				return usage("--anchor is SEQ:HASH as an earlier run printed it");
		} else if (c == 'j') {
			a->is_json = 1;
		} else {
			return usage("unknown option");
		}
	}
	return optind < argc ? usage("unexpected word") : 0;
}

static void hex_of(const unsigned char *bytes, size_t n, char *ret)
{
	(void)sodium_bin2hex(ret, 2 * n + 1, bytes, n); /* fits */
}

static void print_json(const struct chain_report *r, int is_good)
{
	char head[2 * CHAIN_HASH + 1], key[2 * CHAIN_KEY + 1], anchor[sizeof(head) + 24];
	struct lnx_buf out = { 0 };

	hex_of(r->head.hash, CHAIN_HASH, head);
	hex_of(r->key, CHAIN_KEY, key);
	(void)snprintf(anchor, sizeof(anchor), "%llu:%s", (unsigned long long)r->head.seq,
		       head); /* fits */
	lnx_buf_char(&out, '{');
	lnx_json_kv_bool(&out, "ok", is_good);
	lnx_json_kv_u64(&out, "entries", r->n_entries);
	lnx_json_kv_u64(&out, "first_seq", r->first_seq);
	lnx_json_kv_u64(&out, "checkpoints", r->n_checkpoints);
	if (r->n_checkpoints)
		lnx_json_kv_str(&out, "key", key);
	if (is_good)
		lnx_json_kv_str(&out, "anchor", anchor);
	if (!is_good) {
		lnx_json_kv_u64(&out, "bad_seq", r->bad_seq);
		lnx_json_kv_str(&out, "bad", r->bad);
	}
	lnx_buf_char(&out, '}');
	puts(lnx_buf_error(&out) ? "{}" : out.data);
	lnx_buf_done(&out);
}

static void print_text(const struct chain_report *r, const struct asked *a)
{
	char head[2 * CHAIN_HASH + 1], key[2 * CHAIN_KEY + 1];

	hex_of(r->head.hash, CHAIN_HASH, head);
	printf("%llu entries, none changed and none missing", (unsigned long long)r->n_entries);
	if (r->n_checkpoints) {
		hex_of(r->key, CHAIN_KEY, key);
		printf("; those before %llu were removed by retention, signed by key %s%s",
		       (unsigned long long)r->first_seq, key,
		       a->has_key ? "" : " (as the file says: give --key to be sure)");
	}
	printf("\nanchor %llu:%s\n", (unsigned long long)r->head.seq, head);
	if (!a->has_anchor)
		puts("Entries cut off at the end cannot be seen from within: keep this anchor elsewhere, and give it back with --anchor.");
	else
		puts("The anchor is in the log: nothing up to it was cut off.");
}

static int verify(int argc, char **argv)
{
	struct asked a = { 0 };
	struct chain_report r = { 0 };
	char error[DB_ERROR];
	sqlite3 *db = NULL;
	int64_t version;
	int rc;

	if (sodium_init() < 0)
		return EXIT_BAD;
	rc = parse(argc, argv, &a);
	if (rc)
		return rc;
	if (db_open_reader(a.db, &db, error)) {
		fprintf(stderr, "linnix: incidents verify: %s\n", error);
		return EXIT_BAD;
	}
	version = db_int(db, "PRAGMA user_version", 0);
	if (version < DB_VERSION || version > DB_VERSION) {
		fprintf(stderr,
			"linnix: incidents verify: %s: schema %lld, this program knows %d\n", a.db,
			(long long)version, DB_VERSION);
		db_close(&db);
		return EXIT_BAD;
	}
	rc = chain_verify(db, a.has_key ? a.key : NULL, a.has_anchor ? &a.head : NULL, &r);
	db_close(&db);
	if (rc && rc != -EBADMSG) {
		fprintf(stderr, "linnix: incidents verify: %s: %s\n", a.db, strerror(-rc));
		return EXIT_BAD;
	}
	if (a.is_json)
		print_json(&r, !rc);
	else if (!rc)
		print_text(&r, &a);
	else
		fprintf(stderr, "linnix: incidents verify: entry %llu: %s\n",
			(unsigned long long)r.bad_seq, r.bad);
	return rc ? EXIT_BAD : 0;
}

static int incidents(int argc, char **argv)
{
	if (argc >= 2 && !strcmp(argv[1], "verify"))
		return verify(argc, argv);
	return usage("expected verify");
}

const struct lnx_command store_commands[] = {
	{ "incidents", "verify [--db FILE] [--key HEX] [--anchor SEQ:HASH] [--json]",
	  "Check that no entry of the log of incidents was changed or removed", incidents },
	{ NULL, NULL, NULL, NULL },
};
