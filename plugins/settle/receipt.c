/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The payload of a receipt: an in-toto statement in canonical JSON. */
#include "receipt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "jcs.h"
#include "stamp.h"

#define STATEMENT   "https://in-toto.io/Statement/v1"
#define TREE	    "sha256-rfc9162"
#define SECOND_NS   1000000000u
#define NAME_PREFIX "task:"

const char *const price_model_names[] = { "fixed", "cpu_ns", NULL };
const char *const attestation_names[] = { "none", "observed", "enforced", NULL };

int receipt_gap_add(struct receipt_gap gaps[RECEIPT_GAPS], unsigned *io_n, uint64_t seq)
{
	if (*io_n && gaps[*io_n - 1].last + 1 == seq) {
		gaps[*io_n - 1].last = seq;
		return 0;
	}
	if (*io_n == RECEIPT_GAPS)
		return -ENOSPC;
	gaps[(*io_n)++] = (struct receipt_gap){ seq, seq };
	return 0;
}

int receipt_price(const struct receipt *r, struct u256 *ret)
{
	struct u256 v = r->unit_price;
	int rc = 0;

	if (r->price_model == PRICE_CPU) {
		rc = u256_mul_u64(&v, r->usage.cpu_ns, &v);
		rc = rc ? rc : u256_div_u64(&v, SECOND_NS, &v, NULL);
	}
	if (!rc)
		*ret = u256_cmp(&v, &r->max_amount) > 0 ? r->max_amount : v;
	return rc;
}

/* ---- writing: jansson takes what is given and says at the end whether all of it was there */

static json_t *hex(const uint8_t *bytes, size_t n)
{
	char text[67];

	hex_format(bytes, n, text);
	return json_string(text);
}

static json_t *bare_hex(const uint8_t *bytes, size_t n)
{
	char text[67];

	hex_format(bytes, n, text);
	return json_string(text + 2);
}

static json_t *address(const uint8_t bytes[20])
{
	char text[ADDRESS_TEXT];

	address_format(bytes, text);
	return json_string(text);
}

static json_t *number(uint64_t v)
{
	return json_sprintf("%" PRIu64, v);
}

static json_t *amount(const struct u256 *v)
{
	char text[U256_DECIMAL];

	u256_format(v, text);
	return json_string(text);
}

static json_t *time_of(uint64_t ns)
{
	char text[STAMP_TEXT];

	stamp_format(ns, text);
	return json_string(text);
}

static json_t *task_json(const struct receipt *r)
{
	return json_pack("{s:I,s:o,s:o,s:o,s:o,s:s,s:o,s:o,s:o}", "chain_id",
			 (json_int_t)r->chain_id, "settlement", address(r->settlement), "task_id",
			 hex(r->task_id, 32), "payer", address(r->payer), "payee",
			 address(r->payee), "payee_did", r->payee_did, "token", address(r->token),
			 "max_amount", amount(&r->max_amount), "actual_amount",
			 amount(&r->actual_amount));
}

static json_t *events_json(const struct receipt *r)
{
	json_t *gaps = json_array();

	for (unsigned i = 0; i < r->n_gaps; i++)
		(void)json_array_append_new(gaps, json_pack("[o,o]", number(r->gaps[i].first),
							    number(r->gaps[i].last)));
	if (json_array_size(gaps) != r->n_gaps) {
		json_decref(gaps);
		return NULL;
	}
	return json_pack("{s:s,s:o,s:I,s:o,s:o,s:o,s:o}", "alg", TREE, "root",
			 hex(r->root, sizeof(r->root)), "size", (json_int_t)r->size, "seq_first",
			 number(r->seq_first), "seq_last", number(r->seq_last), "dropped",
			 number(r->dropped), "gaps", gaps);
}

static json_t *known(bool is_known, uint64_t v)
{
	return is_known ? number(v) : json_null();
}

static json_t *usage_json(const struct usage *u)
{
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "cpu_ns", number(u->cpu_ns),
			 "rss_peak_kib", number(u->rss_peak_kib), "io_read_bytes",
			 number(u->read_bytes), "io_write_bytes", number(u->write_bytes),
			 "net_tx_bytes", known(u->has_net_tx, u->net_tx_bytes), "execs",
			 number(u->execs), "stall_ns", known(u->has_stall, u->stall_ns),
			 "exit_code", u->has_exit ? json_integer(u->exit_code) : json_null());
}

static json_t *predicate_json(const struct receipt *r)
{
	json_t *host = json_pack("{s:o,s:o,s:s,s:s,s:o*}", "host_id", bare_hex(r->host_id, 32),
				 "boot_id_hash", bare_hex(r->boot_id_hash, 32), "kernel", r->kernel,
				 "agent", r->agent, "bpf_sha256",
				 r->has_bpf ? bare_hex(r->bpf_sha256, 32) : NULL);
	json_t *window = json_pack("{s:o,s:o,s:o,s:o}", "start", time_of(r->start_ns), "end",
				   time_of(r->end_ns), "boot_start_ns", number(r->start_boot_ns),
				   "boot_end_ns", number(r->end_boot_ns));
	json_t *price = json_pack("{s:s,s:o,s:s}", "model", price_model_names[r->price_model],
				  "unit_price", amount(&r->unit_price), "rounding", "floor");
	json_t *attestation = json_pack("{s:s,s:b}", "mode", attestation_names[r->attestation],
					"degraded", r->is_degraded);

	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "task", task_json(r),
			 "host", host, "window", window, "events", events_json(r), "usage",
			 usage_json(&r->usage), "price", price, "attestation", attestation,
			 "prev_receipt", hex(r->previous, 32), "nonce", hex(r->nonce, 32),
			 "issued_at", time_of(r->issued_ns), "not_after", time_of(r->not_after_ns));
}

static int is_sane(const struct receipt *r)
{
	return r->n_gaps <= RECEIPT_GAPS && r->price_model <= PRICE_CPU &&
	       r->attestation <= ATTEST_ENFORCED && r->size <= JCS_INTEGER_MAX &&
	       r->chain_id <= JCS_INTEGER_MAX;
}

int receipt_write(struct lnx_buf *out, const struct receipt *r)
{
	char name[sizeof(NAME_PREFIX) + 66] = NAME_PREFIX;
	json_t *all;
	int rc;

	if (!is_sane(r))
		return -EINVAL;
	hex_format(r->task_id, 32, name + sizeof(NAME_PREFIX) - 1);
	all = json_pack("{s:s,s:s,s:[{s:s,s:{s:o}}],s:o}", "_type", STATEMENT, "predicateType",
			RECEIPT_PREDICATE, "subject", "name", name, "digest", "sha256",
			bare_hex(r->output_sha256, 32), "predicate", predicate_json(r));
	if (!all)
		return -EINVAL;
	rc = jcs_write(out, all);
	json_decref(all);
	if (!rc && out->size > RECEIPT_PAYLOAD_BYTES)
		rc = -ENOSPC;
	return rc;
}
