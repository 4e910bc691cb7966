/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What is wrong with a receipt, from its file and from what the chain says. */
#include "check.h"

#include <stdarg.h>
#include <string.h>

#include "contract.h"
#include "eip712.h"
#include "jcs.h"

#define SECOND_NS 1000000000u

__attribute__((format(printf, 3, 0))) static void note(char list[CHECK_REASONS][CHECK_TEXT],
						       unsigned *io_n, const char *fmt, va_list ap)
{
	if (*io_n < CHECK_REASONS)
		(void)vsnprintf(list[*io_n], CHECK_TEXT, fmt, ap); /* cut is fine: for people */
	++*io_n;
}

void check_bad(struct check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(c->bad, &c->n_bad, fmt, ap);
	va_end(ap);
}

void check_open(struct check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(c->open, &c->n_open, fmt, ap);
	va_end(ap);
}

void check_note(struct check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(c->notes, &c->n_notes, fmt, ap);
	va_end(ap);
}

void check_done(struct check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(c->done, &c->n_done, fmt, ap);
	va_end(ap);
}

int check_code(const struct check *c)
{
	return c->n_bad ? CHECK_INVALID : c->n_open ? CHECK_UNKNOWN : CHECK_VALID;
}

static void check_signer(struct check *c, const struct signed_receipt *r, const struct secp *s)
{
	struct eip712_domain domain = { .name = CONTRACT_NAME,
					.version = CONTRACT_VERSION,
					.chain_id = r->r.chain_id };
	uint8_t separator[32], digest[32], signer[SECP_ADDRESS];
	char text[ADDRESS_TEXT];
	const char *why;

	memcpy(domain.contract, r->r.settlement, sizeof(domain.contract));
	eip712_separator(&domain, separator);
	eip712_receipt(separator, r->r.task_id, &r->r.actual_amount, r->hash, digest);
	if (secp_recover(s, digest, r->eip712, sizeof(r->eip712), signer, &why)) {
		check_bad(c, "EIP-712: %s", why);
	} else if (memcmp(signer, r->r.payee, sizeof(signer)) != 0) {
		address_format(signer, text);
		check_bad(c, "EIP-712: signed by %s and not by the payee", text);
	}
}

static void check_dsse(struct check *c, const struct signed_receipt *r)
{
	uint8_t key[DSSE_PUBLIC];

	if (did_parse(r->r.payee_did, key))
		check_bad(c, "payee_did is not a did:key of Ed25519");
	else if (dsse_check(key, RECEIPT_TYPE, r->payload, r->n_payload, r->dsse))
		check_bad(c, "DSSE: not signed by the key of payee_did");
}

static void check_price(struct check *c, const struct receipt *r)
{
	char want[U256_DECIMAL], have[U256_DECIMAL];
	struct u256 price;

	if (u256_cmp(&r->actual_amount, &r->max_amount) > 0)
		check_bad(c, "actual_amount is over max_amount");
	if (receipt_price(r, &price)) {
		check_bad(c, "the price of that usage is over 2^256");
	} else if (u256_cmp(&price, &r->actual_amount) != 0) {
		u256_format(&price, want);
		u256_format(&r->actual_amount, have);
		check_bad(c, "price: the usage costs %s, actual_amount is %s", want, have);
	}
}

/* Gaps in order, inside of the sequence, and no more than were dropped. */
static void check_gaps(struct check *c, const struct receipt *r)
{
	uint64_t missing = 0, last = r->seq_first;

	for (unsigned i = 0; i < r->n_gaps; i++) {
		const struct receipt_gap *g = &r->gaps[i];

		if (g->first > g->last || g->first < last || g->last > r->seq_last ||
		    r->seq_last > JCS_INTEGER_MAX) {
			check_bad(c, "gaps: number %u is out of order", i);
			return;
		}
		last = g->last + 1;
		missing += g->last - g->first + 1;
	}
	if (missing > r->dropped)
		check_bad(c, "gaps: more events are missing than were dropped");
	if (r->size ? r->seq_last < r->seq_first ||
			      r->seq_last - r->seq_first != r->size + missing - 1
		    : r->n_gaps > 0)
		check_bad(c, "events: size, sequence and gaps do not add up");
}

/* Without an event nothing was used, nothing is paid, and what was lost is owned up to. */
static void check_claims(struct check *c, const struct receipt *r)
{
	const struct usage *u = &r->usage;
	uint8_t root[MERKLE_HASH];
	struct merkle none;

	if (r->dropped && !r->is_degraded)
		check_bad(c, "attestation: events were dropped, and degraded is false");
	if (r->size)
		return;
	merkle_init(&none, NULL, 0);
	merkle_root(&none, root);
	if (memcmp(root, r->root, sizeof(root)) != 0)
		check_bad(c, "events: there is none, and the root is not that of an empty tree");
	if (u->cpu_ns || u->rss_peak_kib || u->read_bytes || u->write_bytes || u->execs ||
	    u->stall_ns || u->has_net_tx || u->has_exit)
		check_bad(c, "usage: it says what no event bears out: there is none");
	if (!u256_is_zero(&r->actual_amount))
		check_bad(c, "price: it asks for money, and there is no event that anything ran");
}

static void check_window(struct check *c, const struct receipt *r)
{
	if (r->end_ns < r->start_ns || r->end_boot_ns < r->start_boot_ns)
		check_bad(c, "window: it ends before it begins");
	if (r->issued_ns + (uint64_t)CHECK_SKEW_S * SECOND_NS < r->end_ns)
		check_bad(c, "window: issued before the end of the work");
	if (r->not_after_ns < r->issued_ns)
		check_bad(c, "window: not_after is before issued_at");
}

void check_payload(struct check *c, const struct signed_receipt *r, const struct secp *s)
{
	check_signer(c, r, s);
	check_price(c, &r->r);
	check_gaps(c, &r->r);
	check_claims(c, &r->r);
	check_window(c, &r->r);
}

void check_receipt(struct check *c, const struct signed_receipt *r, const struct secp *s)
{
	check_dsse(c, r);
	check_payload(c, r, s);
	check_done(c, "the file: both signatures and who signed, price, window, gaps");
}

static int differs(const uint8_t *a, const uint8_t *b, size_t n)
{
	return memcmp(a, b, n) != 0;
}

static void check_payee(struct check *c, const struct receipt *r, const struct check_chain *chain)
{
	uint8_t did[32], key[DSSE_PUBLIC];

	did_hash(r->payee_did, did);
	if (differs(did, chain->payee_did, sizeof(did)))
		check_bad(c, "chain: the task is for another DID");
	if (chain->is_untold)
		return;
	if (!chain->is_registered) {
		check_bad(c, "registry: payee_did is not registered");
		return;
	}
	if (chain->is_revoked)
		check_bad(c, "registry: payee_did is revoked");
	if (differs(chain->address, r->payee, sizeof(r->payee)))
		check_bad(c, "registry: payee_did has another address");
	if (did_parse(r->payee_did, key) || differs(key, chain->ed25519, sizeof(key)))
		check_bad(c, "registry: payee_did has another Ed25519 key");
	if (!chain->has_proof)
		check_open(c, "registry: no proof that binds address and Ed25519 key was found");
	else if (!chain->is_proof_good)
		check_bad(c, "registry: the proof that binds address and Ed25519 key is wrong");
}

static int has_receipt(const struct check_chain *chain)
{
	return chain->status != TASK_CREATED && chain->status != TASK_CANCELLED &&
	       chain->status != TASK_EXPIRED;
}

static void check_times(struct check *c, const struct receipt *r, const struct check_chain *chain)
{
	if (chain->created_s && r->start_ns / SECOND_NS + CHECK_SKEW_S < chain->created_s)
		check_bad(c, "window: it begins before the task was created");
	if (chain->submitted_s && r->end_ns / SECOND_NS > chain->submitted_s + CHECK_SKEW_S)
		check_bad(c, "window: it ends after the receipt was submitted");
	if (chain->submitted_s && r->not_after_ns / SECOND_NS + CHECK_SKEW_S < chain->submitted_s)
		check_bad(c, "not_after: it was submitted too late");
	if (!chain->created_s)
		check_open(c, "chain: when the task was created is not known");
	if (!chain->submitted_s && has_receipt(chain))
		check_open(c, "chain: when the receipt was submitted is not known");
}

void check_chain(struct check *c, const struct signed_receipt *r, const struct check_chain *chain)
{
	const struct receipt *p = &r->r;

	if (chain->chain_id != p->chain_id)
		check_bad(c, "chain: this is chain %llu, the receipt is for %llu",
			  (unsigned long long)chain->chain_id, (unsigned long long)p->chain_id);
	if (differs(chain->settlement, p->settlement, sizeof(p->settlement)))
		check_bad(c, "chain: the receipt is for another contract");
	if (chain->status == TASK_NONE) {
		check_bad(c, "chain: the contract knows no such task");
		return;
	}
	if (differs(chain->payer, p->payer, sizeof(p->payer)))
		check_bad(c, "chain: the task has another payer");
	if (differs(chain->token, p->token, sizeof(p->token)))
		check_bad(c, "chain: the task is paid in another token");
	if (u256_cmp(&chain->max_amount, &p->max_amount) != 0)
		check_bad(c, "chain: the task has another maximum");
	if (has_receipt(chain)) {
		if (u256_cmp(&chain->actual_amount, &p->actual_amount) != 0)
			check_bad(c, "chain: another amount was submitted");
		if (chain->has_ext && differs(chain->receipt_hash, r->hash, sizeof(r->hash)))
			check_bad(c, "chain: another receipt was submitted");
	}
	if (chain->has_ext && differs(chain->payee, p->payee, sizeof(p->payee)))
		check_bad(c, "chain: the task pays another address");
	check_payee(c, p, chain);
	check_times(c, p, chain);
	check_done(c, "chain: the task, its payee, their times");
}
