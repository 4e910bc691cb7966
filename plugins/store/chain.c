/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Hashes (BLAKE2b) and signatures (Ed25519) of the log. */
#include "chain.h"

#include "db.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define LABEL_ENTRY	 "linnix-log-entry-1"
#define LABEL_BEGIN	 "linnix-log-begin-1"
#define LABEL_CHECKPOINT "linnix-log-checkpoint-1"

static void put_u64(crypto_generichash_state *h, uint64_t v)
{
	unsigned char b[8];

	for (int i = 0; i < 8; i++)
		b[i] = (unsigned char)(v >> (8 * i));
	(void)crypto_generichash_update(h, b, sizeof(b)); /* cannot fail */
}

/* Length first, so that no two texts run into one. */
static void put_text(crypto_generichash_state *h, const void *text, size_t n)
{
	put_u64(h, n);
	(void)crypto_generichash_update(h, text, n); /* likewise */
}

static void begin(crypto_generichash_state *h, const char *label)
{
	(void)crypto_generichash_init(h, NULL, 0, CHAIN_HASH); /* likewise */
	put_text(h, label, strlen(label));
}

struct entry {
	uint64_t seq, ts_ns;
	const char *subject, *what, *doc;
};

static void entry_hash(const unsigned char *prev, const struct entry *e, unsigned char *ret_hash)
{
	crypto_generichash_state h;

	begin(&h, LABEL_ENTRY);
	put_text(&h, prev, CHAIN_HASH);
	put_u64(&h, e->seq);
	put_u64(&h, e->ts_ns);
	put_text(&h, e->subject, strlen(e->subject));
	put_text(&h, e->what, strlen(e->what));
	put_text(&h, e->doc, strlen(e->doc));
	(void)crypto_generichash_final(&h, ret_hash, CHAIN_HASH); /* likewise */
}

/* What a checkpoint signs. */
static void checkpoint_hash(uint64_t seq, uint64_t ts_ns, const unsigned char *hash,
			    unsigned char *ret_hash)
{
	crypto_generichash_state h;

	begin(&h, LABEL_CHECKPOINT);
	put_u64(&h, seq);
	put_u64(&h, ts_ns);
	put_text(&h, hash, CHAIN_HASH);
	(void)crypto_generichash_final(&h, ret_hash, CHAIN_HASH); /* likewise */
}

/* Column <i> if it has exactly <n> bytes, else NULL. */
static const unsigned char *blob(sqlite3_stmt *st, int i, int n)
{
	return sqlite3_column_bytes(st, i) == n ? sqlite3_column_blob(st, i) : NULL;
}

static const char *text(sqlite3_stmt *st, int i)
{
	const char *s = (const char *)sqlite3_column_text(st, i);

	return s ? s : "";
}

/* All of column <i> is what is hashed: a number, not a text that begins with one; a text with nothing behind a NUL. Before it is
 * read otherwise, which may convert it. */
static int is_whole(sqlite3_stmt *st, int i, int type)
{
	return sqlite3_column_type(st, i) == type &&
	       (type != SQLITE_TEXT || strlen(text(st, i)) == (size_t)sqlite3_column_bytes(st, i));
}

/* Hash before the first entry: of a random number made with the file, so that entries of another file do not fit. */
static int chain_begin(sqlite3 *db, struct chain_head *ret)
{
	crypto_generichash_state h;
	sqlite3_stmt *st = NULL;
	const unsigned char *b;
	int rc = sqlite3_prepare_v2(db, "SELECT value FROM meta WHERE name='chain'", -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	b = rc == SQLITE_ROW ? blob(st, 0, 32) : NULL;
	if (b) {
		begin(&h, LABEL_BEGIN);
		put_text(&h, b, 32);
		(void)crypto_generichash_final(&h, ret->hash, CHAIN_HASH); /* likewise */
		ret->seq = 0;
	}
	(void)sqlite3_finalize(st); /* the step told */
	if (b)
		return 0;
	rc = db_errno(rc);
	return rc ? rc : -EUCLEAN;
}

int chain_head(sqlite3 *db, struct chain_head *ret)
{
	static const char *const sql[] = {
		"SELECT seq, hash FROM log ORDER BY seq DESC LIMIT 1",
		"SELECT seq, hash FROM checkpoint ORDER BY seq DESC LIMIT 1",
	};
	int rc = 0;

	if (sodium_init() < 0)
		return -EIO;
	for (unsigned i = 0; i < 2; i++) {
		sqlite3_stmt *st = NULL;
		const unsigned char *b = NULL;

		rc = sqlite3_prepare_v2(db, sql[i], -1, &st, NULL);
		if (rc == SQLITE_OK)
			rc = sqlite3_step(st);
		if (rc == SQLITE_ROW && (b = blob(st, 1, CHAIN_HASH))) {
			ret->seq = (uint64_t)sqlite3_column_int64(st, 0);
			memcpy(ret->hash, b, CHAIN_HASH);
		}
		(void)sqlite3_finalize(st); /* likewise */
		if (rc == SQLITE_ROW)
			return b ? 0 : -EUCLEAN;
		if (rc != SQLITE_DONE)
			return db_errno(rc);
	}
	return chain_begin(db, ret);
}

int chain_append(sqlite3 *db, struct chain_head *io_head, uint64_t ts_ns, const char *subject,
		 const char *what, const char *doc)
{
	struct entry e = { io_head->seq + 1, ts_ns, subject, what, doc };
	unsigned char hash[CHAIN_HASH];
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, "INSERT INTO log VALUES(?,?,?,?,?,?)", -1, &st, NULL);

	entry_hash(io_head->hash, &e, hash);
	if (rc == SQLITE_OK) {
		(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)e.seq);
		(void)sqlite3_bind_int64(st, 2, (sqlite3_int64)ts_ns);
		(void)sqlite3_bind_text(st, 3, subject, -1, SQLITE_STATIC);
		(void)sqlite3_bind_text(st, 4, what, -1, SQLITE_STATIC);
		(void)sqlite3_bind_text(st, 5, doc, -1, SQLITE_STATIC);
		(void)sqlite3_bind_blob(st, 6, hash, CHAIN_HASH, SQLITE_STATIC);
		rc = sqlite3_step(st); /* what was not bound is NULL, and refused */
	}
	(void)sqlite3_finalize(st); /* likewise */
	if (rc != SQLITE_DONE)
		return db_errno(rc);
	io_head->seq = e.seq;
	memcpy(io_head->hash, hash, CHAIN_HASH);
	return 0;
}

/* ---- checkpoints */

static int hash_of_seq(sqlite3 *db, uint64_t seq, unsigned char *ret_hash)
{
	sqlite3_stmt *st = NULL;
	const unsigned char *b = NULL;
	int rc = sqlite3_prepare_v2(db, "SELECT hash FROM log WHERE seq=?", -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(st, 1, (sqlite3_int64)seq);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW && (b = blob(st, 0, CHAIN_HASH)))
		memcpy(ret_hash, b, CHAIN_HASH);
	(void)sqlite3_finalize(st); /* likewise */
	if (b)
		return 0;
	rc = db_errno(rc);
	return rc ? rc : -ENOENT;
}

int chain_cut(sqlite3 *db, uint64_t seq, uint64_t ts_ns, const char *key_file, char *error,
	      size_t cap)
{
	unsigned char hash[CHAIN_HASH], signs[CHAIN_HASH], key[CHAIN_KEY], sig[CHAIN_SIG],
		secret[crypto_sign_SECRETKEYBYTES];
	const int64_t values[] = { (int64_t)seq };
	sqlite3_stmt *st = NULL;
	int rc = hash_of_seq(db, seq, hash);

	if (!rc)
		rc = chain_key(key_file, 1, key, secret, error, cap);
	if (rc)
		return rc;
	checkpoint_hash(seq, ts_ns, hash, signs);
	(void)crypto_sign_detached(sig, NULL, signs, sizeof(signs), secret); /* cannot fail */
	sodium_memzero(secret, sizeof(secret));
	rc = sqlite3_prepare_v2(db, "INSERT INTO checkpoint VALUES(?,?,?,?,?)", -1, &st, NULL);
	if (rc == SQLITE_OK) {
		(void)sqlite3_bind_int64(st, 1, (sqlite3_int64)seq);
		(void)sqlite3_bind_int64(st, 2, (sqlite3_int64)ts_ns);
		(void)sqlite3_bind_blob(st, 3, hash, CHAIN_HASH, SQLITE_STATIC);
		(void)sqlite3_bind_blob(st, 4, key, CHAIN_KEY, SQLITE_STATIC);
		(void)sqlite3_bind_blob(st, 5, sig, CHAIN_SIG, SQLITE_STATIC);
		rc = sqlite3_step(st); /* likewise */
	}
	(void)sqlite3_finalize(st); /* likewise */
	rc = rc == SQLITE_DONE ? 0 : db_errno(rc);
	if (!rc)
		rc = db_run(db, "DELETE FROM log WHERE seq<=?1", 1, values);
	/* the last one says all that the ones before did */
	if (!rc)
		rc = db_run(db, "DELETE FROM checkpoint WHERE seq<?1", 1, values);
	return rc;
}

/* ---- verify */

__attribute__((format(printf, 3, 4))) static int bad(struct chain_report *r, uint64_t seq,
						     const char *fmt, ...)
{
	va_list ap;

	r->bad_seq = seq;
	va_start(ap, fmt);
	(void)vsnprintf(r->bad, sizeof(r->bad), fmt, ap); /* fits */
	va_end(ap);
	return -EBADMSG;
}

/* The checkpoint is where the walk begins. */
static int verify_checkpoint(sqlite3 *db, const unsigned char *key, struct chain_head *io_at,
			     struct chain_report *r)
{
	unsigned char signs[CHAIN_HASH];
	const unsigned char *hash, *own, *sig;
	sqlite3_stmt *st = NULL;
	uint64_t seq;
	int is_good,
		rc = sqlite3_prepare_v2(
			db,
			"SELECT seq, ts_ns, hash, key, signature FROM checkpoint ORDER BY seq DESC LIMIT 1",
			-1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		is_good = is_whole(st, 1, SQLITE_INTEGER);
		seq = (uint64_t)sqlite3_column_int64(st, 0);
		hash = blob(st, 2, CHAIN_HASH);
		own = blob(st, 3, CHAIN_KEY);
		sig = blob(st, 4, CHAIN_SIG);
		rc = SQLITE_DONE;
		r->n_checkpoints = 1;
		if (hash && own && sig) {
			checkpoint_hash(seq, (uint64_t)sqlite3_column_int64(st, 1), hash, signs);
			memcpy(r->key, own, CHAIN_KEY);
			memcpy(io_at->hash, hash, CHAIN_HASH);
			io_at->seq = seq;
		}
		if (!hash || !own || !sig || !is_good ||
		    crypto_sign_verify_detached(sig, signs, sizeof(signs), own) != 0) {
			(void)sqlite3_finalize(st);
			return bad(r, seq, "the checkpoint's signature is not good");
		}
		if (key && memcmp(key, own, CHAIN_KEY) != 0) {
			(void)sqlite3_finalize(st);
			return bad(r, seq, "the checkpoint is signed with another key");
		}
	}
	(void)sqlite3_finalize(st); /* likewise */
	return rc == SQLITE_DONE ? 0 : db_errno(rc);
}

static int verify_entry(sqlite3_stmt *st, struct chain_head *io_at, struct chain_report *r)
{
	int is_good = is_whole(st, 1, SQLITE_INTEGER) && is_whole(st, 2, SQLITE_TEXT) &&
		      is_whole(st, 3, SQLITE_TEXT) && is_whole(st, 4, SQLITE_TEXT);
	struct entry e = { (uint64_t)sqlite3_column_int64(st, 0),
			   (uint64_t)sqlite3_column_int64(st, 1), text(st, 2), text(st, 3),
			   text(st, 4) };
	const unsigned char *hash = blob(st, 5, CHAIN_HASH);
	unsigned char want[CHAIN_HASH];

	if (e.seq <= io_at->seq)
		return bad(r, e.seq, "retention removed it, and it is there");
	if (e.seq != io_at->seq + 1)
		return bad(r, e.seq, "%llu entries are missing before it",
			   (unsigned long long)(e.seq - io_at->seq - 1));
	entry_hash(io_at->hash, &e, want);
	if (!is_good || !hash || memcmp(hash, want, CHAIN_HASH) != 0)
		return bad(r, e.seq, "it was changed, or the one before it was");
	memcpy(io_at->hash, want, CHAIN_HASH);
	io_at->seq = e.seq;
	return 0;
}

static int is_at(const struct chain_head *anchor, const struct chain_head *at)
{
	return anchor && anchor->seq == at->seq && !memcmp(anchor->hash, at->hash, CHAIN_HASH);
}

int chain_verify(sqlite3 *db, const unsigned char *key, const struct chain_head *anchor,
		 struct chain_report *r)
{
	sqlite3_stmt *st = NULL;
	struct chain_head at;
	int rc, step;

	memset(r, 0, sizeof(*r));
	if (sodium_init() < 0)
		return -EIO;
	rc = chain_begin(db, &at);
	if (!rc)
		rc = verify_checkpoint(db, key, &at, r);
	if (rc)
		return rc;
	r->first_seq = at.seq + 1;
	r->is_anchored = (uint32_t)is_at(anchor, &at);
	if (sqlite3_prepare_v2(db,
			       "SELECT seq, ts_ns, subject, what, doc, hash FROM log ORDER BY seq",
			       -1, &st, NULL) != SQLITE_OK)
		return db_errno(sqlite3_errcode(db));
	while ((step = sqlite3_step(st)) == SQLITE_ROW && !rc) {
		rc = verify_entry(st, &at, r);
		r->n_entries += !rc;
		r->is_anchored |= (uint32_t)(!rc && is_at(anchor, &at));
	}
	(void)sqlite3_finalize(st); /* likewise */
	r->head = at;
	if (!rc && step != SQLITE_DONE)
		rc = db_errno(step);
	if (!rc && anchor && !r->is_anchored) {
		if (anchor->seq < at.seq && anchor->seq < r->first_seq)
			return bad(r, anchor->seq, "the anchor is older than what is kept");
		return bad(r, anchor->seq,
			   anchor->seq > at.seq
				   ? "the end of the log was cut off: the anchor is beyond it"
				   : "the anchor does not fit: the log was rewritten");
	}
	return rc;
}
