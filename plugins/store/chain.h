/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The log of transitions: each entry's hash covers the one before. What retention removes is replaced by a checkpoint that
 * is signed with the agent's own key. The end cannot be guarded from within: who keeps a head ("SEQ:HASH") elsewhere can
 * tell whether it is still there. */
#ifndef LNX_STORE_CHAIN_H
#define LNX_STORE_CHAIN_H

#include <linnix/buf.h>
#include <sqlite3.h>
#include <stdint.h>

#define CHAIN_HASH 32
#define CHAIN_KEY  32 /* public key, and the seed of the secret one */
#define CHAIN_SIG  64

struct chain_head {
	uint64_t seq; /* 0: nothing was ever written */
	unsigned char hash[CHAIN_HASH];
};

/* Last entry, else last checkpoint, else the random begin of this chain. 0 or -errno. */
int chain_head(sqlite3 *db, struct chain_head *ret_head);
/* Append within the caller's transaction. Moves *io_head. 0 or -errno. */
int chain_append(sqlite3 *db, struct chain_head *io_head, uint64_t ts_ns, const char *subject,
		 const char *what, const char *doc);
/* Remove entries up to <seq>, leaving a signed checkpoint; the caller's transaction. 0 or -errno. */
int chain_cut(sqlite3 *db, uint64_t seq, uint64_t ts_ns, const char *key_file, char *error,
	      size_t cap);

struct chain_report {
	uint64_t n_entries, n_checkpoints, first_seq;
	struct chain_head head;
	uint64_t bad_seq;	      /* 0: all is well */
	char bad[256];		      /* what is wrong there */
	unsigned char key[CHAIN_KEY]; /* of the last checkpoint */
	uint32_t is_anchored;	      /* the anchor was found in it */
};

/* Walk the whole log. <key> NULL: the checkpoint's own key is believed. <anchor> NULL: none. 0, -EBADMSG (see
 * ret_report->bad) or -errno. */
int chain_verify(sqlite3 *db, const unsigned char *key, const struct chain_head *anchor,
		 struct chain_report *ret_report);

/* Public key of <file>, which is made (mode 0600) if it is not there and <does_make>. Refused when others may read it or own it.
 * 0 or -errno with <error>. <ret_secret> may be NULL; 64 bytes. */
int chain_key(const char *file, int does_make, unsigned char ret_public[CHAIN_KEY],
	      unsigned char *ret_secret, char *error, size_t cap);

#endif
