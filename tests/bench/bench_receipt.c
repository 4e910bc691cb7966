/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Receipts: signed and checked in a second, the root over 1,000,000 events with what memory it takes more than over 10,000. One JSON
 * line a figure; times are CPU time, the median of 3 rounds.
 * LINK: plugins/settle/receipt.c plugins/settle/receipt_read.c plugins/settle/receipt_file.c plugins/settle/check.c plugins/settle/leaf.c plugins/settle/merkle.c plugins/settle/jcs.c plugins/settle/dsse.c plugins/settle/did.c plugins/settle/stamp.c plugins/settle/secp.c plugins/settle/eip712.c plugins/settle/keccak.c plugins/settle/u256.c -lsodium -ldl */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "../../plugins/settle/check.h"

#define ROUNDS	 3
#define RECEIPTS 400
#define SECOND	 1000000000ull
#define FEW	 10000u
#define MANY	 1000000u

static struct secp *curve;
static uint8_t ed_public[32], ed_secret[64], key[32] = { 0x42, 1 };

static double now_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static long peak_kib(void)
{
	struct rusage u;

	(void)getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v)
{
	qsort(v, ROUNDS, sizeof(*v), by_value);
	return v[ROUNDS / 2];
}

static void fail(const char *what)
{
	fprintf(stderr, "bench_receipt: %s\n", what);
	exit(1);
}

static struct receipt facts(void)
{
	struct receipt r = { .chain_id = 84532,
			     .settlement = { 1 },
			     .task_id = { 2 },
			     .kernel = "6.1.0-18-amd64",
			     .agent = "0.1.0",
			     .start_ns = 100 * SECOND,
			     .end_ns = 130 * SECOND,
			     .end_boot_ns = 9,
			     .seq_first = 1,
			     .seq_last = 1000,
			     .size = 1000,
			     .price_model = PRICE_CPU,
			     .issued_ns = 131 * SECOND,
			     .not_after_ns = 5000 * SECOND };

	r.usage.cpu_ns = 12 * SECOND;
	did_format(ed_public, r.payee_did);
	if (secp_address(curve, key, r.payee))
		fail("no key");
	u256_from_u64(5000000, &r.max_amount);
	u256_from_u64(1500, &r.unit_price);
	u256_from_u64(12 * 1500, &r.actual_amount);
	return r;
}

/* Times of one receipt: written and signed twice, and read and checked. */
static void receipts(double *ret_sign_s, double *ret_check_s)
{
	struct receipt r = facts();
	struct signed_receipt s = { .payload = NULL }, back;
	struct lnx_buf file = { 0 };
	struct check c = { .n_bad = 0 };
	char why[RECEIPT_WHY];
	double begin = now_s();

	for (unsigned i = 0; i < RECEIPTS; i++) {
		r.nonce[0] = (uint8_t)i;
		signed_receipt_done(&s);
		if (receipt_sign(&r, ed_secret, curve, key, &s))
			fail("not signed");
	}
	*ret_sign_s = (now_s() - begin) / RECEIPTS;
	signed_receipt_write(&file, &s);
	begin = now_s();
	for (unsigned i = 0; i < RECEIPTS; i++) {
		if (signed_receipt_read(file.data, file.size, &back, why))
			fail(why);
		check_receipt(&c, &back, curve);
		signed_receipt_done(&back);
	}
	*ret_check_s = (now_s() - begin) / RECEIPTS;
	if (check_code(&c) != CHECK_VALID)
		fail(c.bad[0]);
	signed_receipt_done(&s);
	lnx_buf_done(&file);
}

/* Events become leaves and a root, as the agent does while a task runs. */
static double tree(unsigned n)
{
	struct leaf l = { .type = "proc.exec", .comm = "work", .cgroup_id = 4242, .ppid = 1 };
	static const char args[] = "cc -O2 -g -Wall -c work.c -o work.o";
	uint8_t secret[LEAF_SECRET] = { 1 }, salt[LEAF_SALT], hash[MERKLE_HASH];
	struct lnx_buf json = { 0 };
	double begin = now_s();
	struct merkle m;

	merkle_init(&m, NULL, 0);
	for (unsigned i = 0; i < n; i++) {
		l.seq = i + 1;
		l.pid = i;
		l.ts_boot_ns = i * 1000ull;
		leaf_set_args(&l, LEAF_ARGS_FULL, args, sizeof(args) - 1, false);
		lnx_buf_reset(&json);
		leaf_write(&json, &l);
		leaf_salt(secret, i, salt);
		leaf_hash(salt, json.data, json.size, hash);
		merkle_add(&m, hash);
	}
	merkle_root(&m, hash);
	if (lnx_buf_error(&json) || m.n != n)
		fail("no tree");
	lnx_buf_done(&json);
	return now_s() - begin;
}

int main(void)
{
	double sign[ROUNDS], check[ROUNDS], root[ROUNDS];
	uint8_t seed[32] = { 8 };
	char why[200];
	long few;

	if (secp_open(&curve, why, sizeof(why)) ||
	    crypto_sign_seed_keypair(ed_public, ed_secret, seed))
		fail("no library");
	for (unsigned i = 0; i < ROUNDS; i++)
		receipts(&sign[i], &check[i]);
	(void)tree(FEW);
	few = peak_kib();
	for (unsigned i = 0; i < ROUNDS; i++)
		root[i] = tree(MANY);
	printf("{\"name\":\"receipts_signed_per_s\",\"value\":%.0f,\"unit\":\"1/s\",\"note\":\"payload, DSSE Ed25519 and EIP-712 secp256k1\"}\n",
	       1 / median(sign));
	printf("{\"name\":\"receipt_verify_us\",\"value\":%.1f,\"unit\":\"us\",\"note\":\"one file read, both signatures, price, window\"}\n",
	       median(check) * 1e6);
	printf("{\"name\":\"receipt_root_1m_s\",\"value\":%.3f,\"unit\":\"s\",\"note\":\"1,000,000 events to salted leaves and a root\"}\n",
	       median(root));
	printf("{\"name\":\"receipt_root_1m_more_kib\",\"value\":%ld,\"unit\":\"KiB\",\"note\":\"peak memory over that of 10,000 events\"}\n",
	       peak_kib() - few);
	secp_close(curve);
	return 0;
}
