/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Reading a payload: every member must be there, be of its type and in its range; others are not known and refused. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "jcs.h"
#include "receipt.h"
#include "stamp.h"

#define NAME_PREFIX "task:"

struct reader {
	char *why; /* RECEIPT_WHY bytes; "" while all is well */
};

__attribute__((format(printf, 2, 3))) static void refuse(struct reader *rd, const char *fmt, ...)
{
	va_list ap;

	if (*rd->why)
		return; /* the first reason is the one that helps */
	va_start(ap, fmt);
	(void)vsnprintf(rd->why, RECEIPT_WHY, fmt, ap); /* cut is fine: for people */
	va_end(ap);
}

/* Member <key> as an object with exactly <n> members. */
static const json_t *object(struct reader *rd, const json_t *from, const char *key, size_t n)
{
	const json_t *v = json_object_get(from, key);

	if (!json_is_object(v) || json_object_size(v) != n)
		refuse(rd, "%s is not an object of %zu members", key, n);
	return v;
}

static const char *text(struct reader *rd, const json_t *from, const char *key)
{
	const char *v = json_string_value(json_object_get(from, key));

	if (!v)
		refuse(rd, "%s is not a text", key);
	return v ? v : "";
}

static void expect(struct reader *rd, const json_t *from, const char *key, const char *want)
{
	if (strcmp(text(rd, from, key), want) != 0)
		refuse(rd, "%s is not %s", key, want);
}

static void bytes(struct reader *rd, const json_t *from, const char *key, uint8_t *ret, size_t n)
{
	if (hex_parse(text(rd, from, key), ret, n))
		refuse(rd, "%s is not 0x and %zu hex digits", key, 2 * n);
}

/* A hash without 0x in front. */
static void hash(struct reader *rd, const json_t *from, const char *key, uint8_t ret[32])
{
	char prefixed[67];
	const char *v = text(rd, from, key);

	if (strlen(v) != 64) {
		refuse(rd, "%s is not 64 hex digits", key);
		return;
	}
	(void)snprintf(prefixed, sizeof(prefixed), "0x%s", v); /* fits */
	if (hex_parse(prefixed, ret, 32))
		refuse(rd, "%s is not 64 hex digits", key);
}

static void address(struct reader *rd, const json_t *from, const char *key, uint8_t ret[20])
{
	char again[ADDRESS_TEXT];
	const char *v = text(rd, from, key);

	if (address_parse(v, ret)) {
		refuse(rd, "%s is not an address", key);
		return;
	}
	address_format(ret, again);
	if (strcmp(v, again) != 0)
		refuse(rd, "%s is not written with its checksum", key);
}

static void amount(struct reader *rd, const json_t *from, const char *key, struct u256 *ret)
{
	if (u256_parse(text(rd, from, key), ret))
		refuse(rd, "%s is not a decimal number below 2^256", key);
}

static void number(struct reader *rd, const json_t *from, const char *key, uint64_t *ret)
{
	struct u256 v;

	if (u256_parse(text(rd, from, key), &v) || u256_to_u64(&v, ret))
		refuse(rd, "%s is not a decimal number below 2^64", key);
}

/* A JSON number in min..max. */
static int64_t integer(struct reader *rd, const json_t *from, const char *key, int64_t min,
		       int64_t max)
{
	const json_t *v = json_object_get(from, key);
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < min || n > max) {
		refuse(rd, "%s is not a whole number in its range", key);
		return min;
	}
	return n;
}

static void time_of(struct reader *rd, const json_t *from, const char *key, uint64_t *ret)
{
	if (stamp_parse(text(rd, from, key), ret))
		refuse(rd, "%s is not a time in UTC with nanoseconds", key);
}

static void name(struct reader *rd, const json_t *from, const char *key, char *ret, size_t cap)
{
	const json_t *v = json_object_get(from, key);
	size_t n = json_string_length(v);

	if (!json_is_string(v) || n >= cap) {
		refuse(rd, "%s is not a text of at most %zu bytes", key, cap - 1);
		return;
	}
	memcpy(ret, json_string_value(v), n + 1);
}

static uint32_t word(struct reader *rd, const json_t *from, const char *key,
		     const char *const *names)
{
	const char *v = text(rd, from, key);

	for (uint32_t i = 0; names[i]; i++)
		if (!strcmp(v, names[i]))
			return i;
	refuse(rd, "%s is none of the known ones", key);
	return 0;
}

static void read_subject(struct reader *rd, const json_t *all, struct receipt *r)
{
	const json_t *list = json_object_get(all, "subject"), *one = json_array_get(list, 0);
	const char *task = text(rd, one, "name");

	if (json_array_size(list) != 1 || json_object_size(one) != 2)
		refuse(rd, "subject is not one name with a digest");
	hash(rd, object(rd, one, "digest", 1), "sha256", r->output_sha256);
	if (strncmp(task, NAME_PREFIX, strlen(NAME_PREFIX)) != 0 ||
	    hex_parse(task + strlen(NAME_PREFIX), r->task_id, 32))
		refuse(rd, "the subject's name is not that of a task");
}

static void read_task(struct reader *rd, const json_t *o, struct receipt *r)
{
	uint8_t id[32] = { 0 };

	r->chain_id = (uint64_t)integer(rd, o, "chain_id", 1, JCS_INTEGER_MAX);
	address(rd, o, "settlement", r->settlement);
	bytes(rd, o, "task_id", id, 32);
	if (memcmp(id, r->task_id, sizeof(id)) != 0)
		refuse(rd, "subject and task_id differ");
	address(rd, o, "payer", r->payer);
	address(rd, o, "payee", r->payee);
	name(rd, o, "payee_did", r->payee_did, sizeof(r->payee_did));
	address(rd, o, "token", r->token);
	amount(rd, o, "max_amount", &r->max_amount);
	amount(rd, o, "actual_amount", &r->actual_amount);
}

static void read_gaps(struct reader *rd, const json_t *o, struct receipt *r)
{
	const json_t *list = json_object_get(o, "gaps"), *one;
	struct u256 first, last;
	const char *a, *b;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > RECEIPT_GAPS) {
		refuse(rd, "gaps is not a list of at most %d", RECEIPT_GAPS);
		return;
	}
	json_array_foreach(list, i, one)
	{
		a = json_string_value(json_array_get(one, 0));
		b = json_string_value(json_array_get(one, 1));
		if (json_array_size(one) != 2 || !a || !b || u256_parse(a, &first) ||
		    u256_parse(b, &last) || u256_to_u64(&first, &r->gaps[i].first) ||
		    u256_to_u64(&last, &r->gaps[i].last))
			refuse(rd, "a gap is not two numbers");
	}
	r->n_gaps = (unsigned)json_array_size(list);
}

static void read_events(struct reader *rd, const json_t *o, struct receipt *r)
{
	expect(rd, o, "alg", "sha256-rfc9162");
	bytes(rd, o, "root", r->root, sizeof(r->root));
	r->size = (uint64_t)integer(rd, o, "size", 0, JCS_INTEGER_MAX);
	number(rd, o, "seq_first", &r->seq_first);
	number(rd, o, "seq_last", &r->seq_last);
	number(rd, o, "dropped", &r->dropped);
	read_gaps(rd, o, r);
}

/* As number, or null for what was not known. */
static void known(struct reader *rd, const json_t *from, const char *key, bool *ret_has,
		  uint64_t *ret)
{
	*ret_has = !json_is_null(json_object_get(from, key));
	if (*ret_has)
		number(rd, from, key, ret);
}

static void read_usage(struct reader *rd, const json_t *o, struct usage *u)
{
	number(rd, o, "cpu_ns", &u->cpu_ns);
	number(rd, o, "rss_peak_kib", &u->rss_peak_kib);
	number(rd, o, "io_read_bytes", &u->read_bytes);
	number(rd, o, "io_write_bytes", &u->write_bytes);
	known(rd, o, "net_tx_bytes", &u->has_net_tx, &u->net_tx_bytes);
	number(rd, o, "execs", &u->execs);
	known(rd, o, "stall_ns", &u->has_stall, &u->stall_ns);
	u->has_exit = !json_is_null(json_object_get(o, "exit_code"));
	if (u->has_exit)
		u->exit_code = (int32_t)integer(rd, o, "exit_code", INT32_MIN, INT32_MAX);
}

static void read_host(struct reader *rd, const json_t *o, struct receipt *r)
{
	hash(rd, o, "host_id", r->host_id);
	hash(rd, o, "boot_id_hash", r->boot_id_hash);
	r->has_bpf = json_object_get(o, "bpf_sha256") != NULL;
	if (r->has_bpf)
		hash(rd, o, "bpf_sha256", r->bpf_sha256);
	name(rd, o, "kernel", r->kernel, sizeof(r->kernel));
	name(rd, o, "agent", r->agent, sizeof(r->agent));
}

static void read_predicate(struct reader *rd, const json_t *o, struct receipt *r)
{
	const json_t *window = object(rd, o, "window", 4), *price = object(rd, o, "price", 3);
	const json_t *attestation = object(rd, o, "attestation", 2);
	const json_t *host = json_object_get(o, "host");

	read_task(rd, object(rd, o, "task", 9), r);
	read_host(rd, object(rd, o, "host", json_object_get(host, "bpf_sha256") ? 5 : 4), r);
	time_of(rd, window, "start", &r->start_ns);
	time_of(rd, window, "end", &r->end_ns);
	number(rd, window, "boot_start_ns", &r->start_boot_ns);
	number(rd, window, "boot_end_ns", &r->end_boot_ns);
	read_events(rd, object(rd, o, "events", 7), r);
	read_usage(rd, object(rd, o, "usage", 8), &r->usage);
	r->price_model = word(rd, price, "model", price_model_names);
	amount(rd, price, "unit_price", &r->unit_price);
	expect(rd, price, "rounding", "floor");
	r->attestation = word(rd, attestation, "mode", attestation_names);
	if (!json_is_boolean(json_object_get(attestation, "degraded")))
		refuse(rd, "degraded is not true or false");
	r->is_degraded = json_is_true(json_object_get(attestation, "degraded"));
	bytes(rd, o, "prev_receipt", r->previous, 32);
	bytes(rd, o, "nonce", r->nonce, 32);
	time_of(rd, o, "issued_at", &r->issued_ns);
	time_of(rd, o, "not_after", &r->not_after_ns);
}

int receipt_read(const char *payload, size_t n, struct receipt *ret, char why[RECEIPT_WHY])
{
	struct receipt r = { .size = 0 };
	struct reader rd = { .why = why };
	char text_why[JCS_WHY];
	json_t *all;

	if (jcs_read_canonical(payload, n, RECEIPT_PAYLOAD_BYTES, &all, text_why)) {
		(void)snprintf(why, RECEIPT_WHY, "payload: %s", text_why); /* fits */
		return -EBADMSG;
	}
	*why = 0;
	if (json_object_size(all) != 4)
		refuse(&rd, "the payload has not four members");
	expect(&rd, all, "_type", "https://in-toto.io/Statement/v1");
	expect(&rd, all, "predicateType", RECEIPT_PREDICATE);
	read_subject(&rd, all, &r);
	read_predicate(&rd, object(&rd, all, "predicate", 11), &r);
	json_decref(all);
	if (*why)
		return -EBADMSG;
	*ret = r;
	return 0;
}
