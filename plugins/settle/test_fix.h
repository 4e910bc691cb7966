/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A good receipt with its events, for the tests of this folder that make it bad. */
#ifndef LNX_SETTLE_TEST_FIX_H
#define LNX_SETTLE_TEST_FIX_H

#include "test_vectors.h"

#include <sodium.h>
#include <stdio.h>

#include "check.h"
#include "contract.h"

#define N_LEAVES 21
#define LOST	 8 /* number of the event that was lost */
#define SECOND	 1000000000ull

static struct secp *curve;
static uint8_t ed_public[32], ed_secret[64], key[32] = { 0x42, 1 }, task_secret[32] = { 3 };

struct fix {
	struct receipt r;
	struct signed_receipt s;
	struct lnx_buf events; /* the file */
};

static inline void add_leaf(struct fix *f, struct merkle *m, uint64_t seq)
{
	struct leaf l = { .type = "proc.exec",
			  .comm = "work",
			  .seq = seq,
			  .pid = 100,
			  .start_ns = 1000,
			  .ts_boot_ns = 1000 + seq,
			  .cpu_ns = SECOND,
			  .read_bytes = 7,
			  .has_net_tx = true, /* as the first receipts had it */
			  .rss_peak_kib = 10 * seq };
	uint8_t salt[LEAF_SALT], hash[32];
	struct lnx_buf json = { 0 };

	if (seq == N_LEAVES + 1) {
		memcpy(l.type, "proc.exit", sizeof("proc.exit"));
		l.is_main = 1;
		l.exit_code = 3;
	}
	leaf_write(&json, &l);
	leaf_salt(task_secret, m->n, salt);
	leaf_hash(salt, json.data, json.size, hash);
	merkle_add(m, hash);
	leaf_put_line(&f->events, salt, json.data, json.size);
	usage_add(&f->r.usage, &l);
	lnx_buf_done(&json);
}

/* Unsigned: 21 leaves, numbers 1 to 22 without the 8. */
static inline void fix_prepare(struct fix *f)
{
	struct merkle m;

	memset(f, 0, sizeof(*f));
	f->r = (struct receipt){
		.chain_id = 31337,
		.settlement = { 1 },
		.task_id = { 2 },
		.payer = { 3 },
		.token = { 4 },
		.kernel = "6.1.0",
		.agent = "0.1.0",
		.start_ns = 100 * SECOND,
		.end_ns = 130 * SECOND,
		.start_boot_ns = 1000,
		.end_boot_ns = 2000,
		.seq_first = 1,
		.seq_last = N_LEAVES + 1,
		.dropped = 1,
		.gaps = { { LOST, LOST } },
		.n_gaps = 1,
		.price_model = PRICE_CPU,
		.attestation = ATTEST_OBSERVED,
		.is_degraded = true,
		.issued_ns = 131 * SECOND,
		.not_after_ns = 5000 * SECOND,
		.size = N_LEAVES,
		.usage = { .has_stall = true },
	};
	did_format(ed_public, f->r.payee_did);
	assert_int_equal(secp_address(curve, key, f->r.payee), 0);
	merkle_init(&m, NULL, 0);
	for (uint64_t seq = 1; seq <= N_LEAVES + 1; seq++)
		if (seq != LOST)
			add_leaf(f, &m, seq);
	merkle_root(&m, f->r.root);
	u256_from_u64(5000000, &f->r.max_amount);
	u256_from_u64(1500, &f->r.unit_price);
	u256_from_u64(1500 * N_LEAVES, &f->r.actual_amount);
}

static inline void fix_sign(struct fix *f)
{
	signed_receipt_done(&f->s);
	assert_int_equal(receipt_sign(&f->r, ed_secret, curve, key, &f->s), 0);
}

static inline void fix_make(struct fix *f)
{
	fix_prepare(f);
	fix_sign(f);
}

static inline void fix_done(struct fix *f)
{
	signed_receipt_done(&f->s);
	lnx_buf_done(&f->events);
}

/* Everything that the file and its events tell. */
static inline struct check *look(struct fix *f)
{
	static struct check c;
	FILE *events = f->events.size ? fmemopen(f->events.data, f->events.size, "r")
				      : fopen("/dev/null", "re");

	c = (struct check){ .n_bad = 0 };
	assert_non_null(events);
	check_receipt(&c, &f->s, curve);
	check_events(&c, &f->s, events);
	(void)fclose(events);
	return &c;
}

static inline void expect(struct fix *f, const char *reason)
{
	struct check *c = look(f);

	for (unsigned i = 0; i < c->n_bad && i < CHECK_REASONS; i++)
		if (!strcmp(c->bad[i], reason))
			return;
	for (unsigned i = 0; i < c->n_bad && i < CHECK_REASONS; i++)
		print_message("have: %s\n", c->bad[i]);
	fail_msg("no reason: %s", reason);
}

/* What the chain says of the good one. */
static inline struct check_chain chain_of(const struct fix *f)
{
	struct check_chain c = { .chain_id = f->r.chain_id,
				 .status = TASK_SUBMITTED,
				 .has_ext = true,
				 .is_registered = true,
				 .has_proof = true,
				 .is_proof_good = true,
				 .created_s = 90,
				 .submitted_s = 140,
				 .max_amount = f->r.max_amount,
				 .actual_amount = f->r.actual_amount };

	memcpy(c.settlement, f->r.settlement, 20);
	memcpy(c.payer, f->r.payer, 20);
	memcpy(c.payee, f->r.payee, 20);
	memcpy(c.token, f->r.token, 20);
	memcpy(c.address, f->r.payee, 20);
	memcpy(c.ed25519, ed_public, 32);
	memcpy(c.receipt_hash, f->s.hash, 32);
	did_hash(f->r.payee_did, c.payee_did);
	return c;
}

static inline int fix_open(void)
{
	uint8_t seed[32] = { 8 };
	char why[200];

	return secp_open(&curve, why, sizeof(why)) ||
	       crypto_sign_seed_keypair(ed_public, ed_secret, seed);
}

#endif
