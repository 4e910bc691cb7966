/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Is a receipt good? Every reason why not is collected; what could not be checked is not good either. */
#ifndef LNX_SETTLE_CHECK_H
#define LNX_SETTLE_CHECK_H

#include <stdio.h>

#include "receipt.h"

#define CHECK_REASONS 32
#define CHECK_TEXT    192

/* Exit codes of `linnix receipt verify`. */
#define CHECK_VALID   0
#define CHECK_INVALID 1
#define CHECK_USAGE   2
#define CHECK_UNKNOWN 3 /* something could not be checked */

struct check {
	unsigned n_bad, n_open, n_notes, n_done; /* may be more than are kept */
	char bad[CHECK_REASONS][CHECK_TEXT];
	char open[CHECK_REASONS][CHECK_TEXT];  /* what was not checked */
	char notes[CHECK_REASONS][CHECK_TEXT]; /* what cannot be checked there by anybody */
	char done[CHECK_REASONS][CHECK_TEXT];  /* what was looked at, whatever came of it */
};

void check_bad(struct check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void check_open(struct check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void check_note(struct check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void check_done(struct check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int check_code(const struct check *c);

/* What can be said from the file alone: both signatures, who signed, price, window, gaps. */
void check_receipt(struct check *c, const struct signed_receipt *r, const struct secp *s);

/* Of them what the payload and the EIP-712 signature give: all that stands on the chain. */
void check_payload(struct check *c, const struct signed_receipt *r, const struct secp *s);

/* All leaves, from <f>: root, size, sequence, usage. */
void check_events(struct check *c, const struct signed_receipt *r, FILE *f);

/* What the chain has of the task and of its payee. */
struct check_chain {
	uint64_t chain_id;
	uint8_t settlement[20]; /* that was asked */
	/* getTask and getTaskExt */
	uint8_t payee_did[32], payer[20], token[20], payee[20], receipt_hash[32];
	uint32_t status; /* enum task_status */
	struct u256 max_amount, actual_amount;
	bool has_ext; /* payee and receipt_hash are known */
	/* AgentRegistry: resolve, and the proof of AgentRegistered or AgentRotated */
	bool is_registered, is_revoked, has_proof, is_proof_good;
	bool is_untold; /* the registry could not be asked, which is noted already */
	uint8_t ed25519[32], address[20];
	/* Unix times of the blocks, 0: not known */
	uint64_t created_s, submitted_s;
};

#define CHECK_SKEW_S 120 /* clocks of hosts and blocks may differ by */

void check_chain(struct check *c, const struct signed_receipt *r, const struct check_chain *chain);

/* One leaf that was opened. check_leaf: is it in the tree, in its place, inside of the window, no more than the usage? */
struct opened_leaf {
	uint8_t salt[LEAF_SALT];
	char json[LEAF_LINE];
	size_t n_json;
	struct merkle_path path;
};

#define OPENED_MAX 64 /* at a time */

/* Find leaves and their paths in the events at <f>: <n> of them, zero but for path.index. 0, -ENOENT (fewer leaves), -EBADMSG (a bad
 * line), -EIO. */
int opened_leaves_find(FILE *f, struct opened_leaf *leaves, unsigned n);
void opened_leaf_write(struct lnx_buf *out, const struct opened_leaf *leaf);
/* 0 or -EBADMSG with <why>. */
int opened_leaf_read(const char *text, size_t n, struct opened_leaf *ret, char why[RECEIPT_WHY]);
void check_leaf(struct check *c, const struct signed_receipt *r, const struct opened_leaf *leaf);

#endif
