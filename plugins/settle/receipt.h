/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A receipt: who claims to have done what work for which task, signed twice over the same bytes. Those bytes are public: nothing
 * of the host stands in them but hashes, the kernel's release and figures. */
#ifndef LNX_SETTLE_RECEIPT_H
#define LNX_SETTLE_RECEIPT_H

#include <jansson.h>
#include <linnix/buf.h>
#include <stdbool.h>

#include "did.h"
#include "dsse.h"
#include "leaf.h"
#include "secp.h"
#include "u256.h"

#define RECEIPT_TYPE	      "application/vnd.in-toto+json"
#define RECEIPT_PREDICATE     "https://linnix.dev/telemetry-receipt/v1"
#define RECEIPT_GAPS	      64
#define RECEIPT_NAME	      68	  /* a hash as text, a kernel's release */
#define RECEIPT_PAYLOAD_BYTES (32u << 10) /* calldata has to be paid for */
#define RECEIPT_FILE_BYTES    (64u << 10)
#define RECEIPT_WHY	      192

/* enum price_model: how the amount follows from the usage; never more than the task's maximum */
#define PRICE_FIXED 0 /* the unit price */
#define PRICE_CPU   1 /* the unit price for each CPU second, rounded down */
extern const char *const price_model_names[];

/* enum attestation */
#define ATTEST_NONE	0
#define ATTEST_OBSERVED 1
#define ATTEST_ENFORCED 2
extern const char *const attestation_names[];

struct receipt_gap {
	uint64_t first, last; /* numbers of events that were lost */
};

struct receipt {
	/* the task, as the contract has it */
	uint64_t chain_id;
	uint8_t settlement[20], task_id[32], payer[20], payee[20], token[20];
	char payee_did[DID_TEXT];
	struct u256 max_amount, actual_amount;
	/* where it ran */
	uint8_t output_sha256[32]; /* of what was made */
	uint8_t host_id[32], boot_id_hash[32], bpf_sha256[32];
	bool has_bpf; /* bpf_sha256 is known */
	char kernel[RECEIPT_NAME], agent[RECEIPT_NAME];
	/* when: Unix time and CLOCK_BOOTTIME */
	uint64_t start_ns, end_ns, start_boot_ns, end_boot_ns;
	/* the leaves */
	uint8_t root[MERKLE_HASH];
	uint64_t size, seq_first, seq_last, dropped;
	struct receipt_gap gaps[RECEIPT_GAPS];
	unsigned n_gaps;
	struct usage usage;
	uint32_t price_model; /* enum price_model */
	struct u256 unit_price;
	uint32_t attestation; /* enum attestation */
	bool is_degraded;     /* a probe was missing or shed */
	uint8_t previous[32]; /* hash of the receipt before; zeros: the first */
	uint8_t nonce[32];
	uint64_t issued_ns, not_after_ns; /* Unix time */
};

/* Number <seq> is missing; numbers come in order. 0, or -ENOSPC: there are too many gaps. */
int receipt_gap_add(struct receipt_gap gaps[RECEIPT_GAPS], unsigned *io_n, uint64_t seq);

/* What the price formula gives for that usage, at most the maximum. 0 or -ERANGE. */
int receipt_price(const struct receipt *r, struct u256 *ret);

/* Append the payload: canonical JSON. 0, -EINVAL (a figure over 2^53, a name that is no UTF-8), -ENOMEM, -ENOSPC. */
int receipt_write(struct lnx_buf *out, const struct receipt *r);
/* Read a payload, strictly. 0 or -EBADMSG with <why>. */
int receipt_read(const char *payload, size_t n, struct receipt *ret, char why[RECEIPT_WHY]);

/* A receipt with its signatures. */
struct signed_receipt {
	struct receipt r;
	uint8_t *payload; /* owned: the bytes that are signed */
	size_t n_payload;
	uint8_t hash[32]; /* keccak256 of them, which stands on the chain */
	uint8_t dsse[DSSE_SIGNATURE];
	uint8_t eip712[SECP_SIGNATURE];
};

/* Write and sign. 0, -EINVAL (also: the key is no key), -ENOMEM, -ENOSPC. Free with signed_receipt_done. */
int receipt_sign(const struct receipt *r, const uint8_t ed25519_secret[DSSE_SECRET],
		 const struct secp *s, const uint8_t key[SECP_KEY], struct signed_receipt *ret);
void signed_receipt_done(struct signed_receipt *r);

/* The file: a DSSE envelope with the EIP-712 signature beside it. Errors stick in <out>. */
void signed_receipt_write(struct lnx_buf *out, const struct signed_receipt *r);
/* Read a file. The signatures are not checked. 0, -ENOMEM, or -EBADMSG with <why>. */
int signed_receipt_read(const char *text, size_t n, struct signed_receipt *ret,
			char why[RECEIPT_WHY]);

#endif
