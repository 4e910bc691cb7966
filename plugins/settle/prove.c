/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What was measured becomes a receipt: priced, signed twice, kept, and its submission queued. */
#include <errno.h>
#include <fcntl.h>
#include <linnix/svc_stall.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "collect.h"
#include "op.h"
#include "receipt.h"
#include "task.h"

#define VALID_NS (30 * 86400 * SETTLE_SEC)

/* The host under a name that only this application knows: HMAC of the machine's id. Zeros when it has none. */
static void host_id(uint8_t ret[32])
{
	static const uint8_t app[32] = "linnix telemetry receipt host v1";
	int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint8_t id[64];
	ssize_t n = fd < 0 ? -1 : read(fd, id, sizeof(id));

	memset(ret, 0, 32);
	if (n > 0) {
		crypto_auth_hmacsha256_state st;

		(void)crypto_auth_hmacsha256_init(&st, app,
						  sizeof(app)); /* none of them can fail */
		(void)crypto_auth_hmacsha256_update(&st, id, (unsigned long long)n);
		(void)crypto_auth_hmacsha256_final(&st, ret);
	}
	if (fd >= 0)
		(void)close(fd); /* read only */
}

/* One object file into its line of `sha256sum`. 0 or -errno. */
static int add_object(crypto_hash_sha256_state *all, int fd, const char *name)
{
	crypto_hash_sha256_state one;
	uint8_t buf[16384], hash[32];
	char hex[67], line[160];
	off_t at = 0;
	ssize_t n;

	(void)crypto_hash_sha256_init(&one); /* none of them can fail */
	while ((n = pread(fd, buf, sizeof(buf), at)) > 0) {
		(void)crypto_hash_sha256_update(&one, buf, (unsigned long long)n);
		at += n;
	}
	if (n < 0)
		return -errno;
	(void)crypto_hash_sha256_final(&one, hash);
	hex_format(hash, 32, hex);
	n = snprintf(line, sizeof(line), "%s  %s.bpf.o\n", hex + 2, name);
	if (n >= (ssize_t)sizeof(line))
		return -ENAMETOOLONG;
	(void)crypto_hash_sha256_update(all, (const uint8_t *)line, (unsigned long long)n);
	return 0;
}

/* Of the BPF objects that run now: the hash of what `sha256sum` prints of them, in the order of their names. */
static int bpf_hash(const struct settle *s, uint8_t ret[32])
{
	crypto_hash_sha256_state all;
	const char *name, *last = "", *next;
	int fd, next_fd, n = 0;

	(void)crypto_hash_sha256_init(&all); /* cannot fail */
	do {
		next = NULL;
		next_fd = -1;
		for (uint32_t i = 0; (fd = s->host->probe_object(s->ctx, i, &name)) != -ENOENT;
		     i++) {
			if (fd == -ENODEV)
				continue;
			if (fd < 0)
				return fd;
			if (strcmp(name, last) > 0 && (!next || strcmp(name, next) < 0)) {
				next = name;
				next_fd = fd;
			}
		}
		if (next && add_object(&all, next_fd, next) < 0)
			return -EIO;
		if (next)
			last = next;
		n += next != NULL;
	} while (next);
	(void)crypto_hash_sha256_final(&all, ret);
	return n ? 0 : -ENOENT;
}

static void fill_host(const struct settle *s, struct receipt *r)
{
	const struct lnx_ident *ident = s->host->ident(s->ctx);
	struct utsname un;

	host_id(r->host_id);
	r->has_bpf = bpf_hash(s, r->bpf_sha256) == 0; /* unknown: the receipt does without */
	(void)crypto_hash_sha256(r->boot_id_hash, (const unsigned char *)ident->boot_id,
				 strlen(ident->boot_id)); /* cannot fail */
	(void)snprintf(r->kernel, sizeof(r->kernel), "%s",
		       uname(&un) == 0 ? un.release : "unknown");	  /* cut is fine */
	(void)snprintf(r->agent, sizeof(r->agent), "%s", ident->version); /* likewise */
}

static void fill_task(const struct settle *s, const struct task *t, struct receipt *r)
{
	r->chain_id = s->conf->chain_id;
	memcpy(r->settlement, s->settlement, 20);
	memcpy(r->task_id, t->id, 32);
	memcpy(r->payer, t->payer, 20);
	memcpy(r->payee, t->payee, 20);
	memcpy(r->token, t->token, 20);
	(void)snprintf(r->payee_did, sizeof(r->payee_did), "%.63s", s->did); /* a did:key fits */
	r->max_amount = t->max;
	r->price_model = s->conf->price_model;
	r->unit_price = r->price_model == PRICE_FIXED ? t->max : s->price_unit;
}

/* The stall of a cgroup of its own, where the ledger runs; without one nobody knows. */
static bool is_stall_known(const struct settle *s, const struct collector *c)
{
	const struct lnx_svc_stall *stall;
	const void *vtable;
	void *self;

	if (!c->n_cgroups || s->host->service(s->ctx, "stall/1", &vtable, &self) < 0)
		return false;
	stall = vtable;
	return stall->method(self, LNX_RES_CPU) == LNX_METHOD_EXACT;
}

static void fill_measured(const struct settle *s, const struct collector *c, struct receipt *r)
{
	struct core_look look = { .dropped = c->dropped };
	uint64_t end_ns = c->last_ns > c->end_ns ? c->last_ns : c->end_ns;
	size_t n;

	(void)collect_core(s, &look); /* no answer: nothing more is known to be lost */
	r->start_boot_ns = c->begin_ns;
	r->end_boot_ns = end_ns;
	r->start_ns = c->begin_wall_ns;
	r->end_ns = s->host->wall_ns(s->ctx, end_ns);
	merkle_root(&c->tree, r->root);
	r->size = c->tree.n;
	r->seq_first = c->seq ? 1 : 0;
	r->seq_last = c->seq;
	r->dropped = look.dropped > c->dropped ? look.dropped - c->dropped : 0;
	r->dropped += c->n_lost;
	memcpy(r->gaps, c->gaps, sizeof(r->gaps));
	r->n_gaps = c->n_gaps;
	r->usage = c->usage;
	r->usage.has_stall = is_stall_known(s, c);
	r->attestation = ATTEST_OBSERVED;
	r->is_degraded = c->is_degraded || c->spool_lost || r->dropped;
	(void)sodium_hex2bin(r->output_sha256, 32, c->output_sha256, strlen(c->output_sha256), NULL,
			     &n, NULL); /* checked; empty gives zeros */
}

/* The last receipt that was made here, as a chain of them. */
static void previous(const struct settle *s, const struct task *t, uint8_t ret[32])
{
	int64_t newest = 0;

	for (const struct task *o = s->tasks; o; o = o->next)
		if (o != t && o->role == TASK_PAYEE && o->has_receipt && o->changed_ms >= newest) {
			newest = o->changed_ms;
			memcpy(ret, o->receipt_hash, 32);
		}
}

static int keep(struct settle *s, struct task *t, const struct signed_receipt *sr,
		char why[TASK_ERROR])
{
	struct lnx_buf file = { .max = 2 * RECEIPT_FILE_BYTES };
	struct abi_value a[4];
	struct op *op;

	signed_receipt_write(&file, sr);
	if (lnx_buf_error(&file)) {
		lnx_buf_done(&file);
		(void)snprintf(why, TASK_ERROR, "out of memory");
		return -ENOMEM;
	}
	abi_set_word(&a[0], t->id);
	abi_set_word(&a[1], sr->r.actual_amount.b);
	abi_set_bytes(&a[2], sr->payload, sr->n_payload);
	abi_set_bytes(&a[3], sr->eip712, sizeof(sr->eip712));
	op = op_queue(s, OP_SUBMIT, t->id, "", s->settlement, SETTLEMENT_SUBMIT, a, 4);
	if (!op) {
		lnx_buf_done(&file);
		(void)snprintf(why, TASK_ERROR, "there is no room for its submission");
		return -ENOBUFS;
	}
	op->not_after_block = t->deadline;
	free(t->receipt);
	t->receipt = file.data; /* taken */
	t->has_receipt = 1;
	t->receipt_is_dirty = 1;
	memcpy(t->receipt_hash, sr->hash, 32);
	t->actual = sr->r.actual_amount;
	return 0;
}

int prove(struct settle *s, struct collector *c, struct task *t, char why[TASK_ERROR])
{
	struct receipt r = { .chain_id = 0 };
	struct signed_receipt sr = { .payload = NULL };
	int rc;

	fill_task(s, t, &r);
	fill_host(s, &r);
	fill_measured(s, c, &r);
	previous(s, t, r.previous);
	randombytes_buf(r.nonce, sizeof(r.nonce));
	r.issued_ns = s->host->wall_ns(s->ctx, s->host->now_ns(s->ctx));
	r.not_after_ns = r.issued_ns + VALID_NS;
	rc = receipt_price(&r, &r.actual_amount);
	if (!rc)
		rc = receipt_sign(&r, s->identity->secret->ed25519, s->secp, s->key, &sr);
	if (rc) {
		(void)snprintf(why, TASK_ERROR, "%s", strerror(-rc));
		return rc;
	}
	rc = keep(s, t, &sr, why);
	signed_receipt_done(&sr);
	if (!rc)
		task_set(s, t, PHASE_PROVEN, "%s", "");
	return rc;
}
