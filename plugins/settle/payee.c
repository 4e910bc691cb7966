/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Who is to be paid: the address that the key of a did:key signed for, found in the registry before a task is created. A squatter
 * can register the same DID and is never paid; who revoked or rotated is not paid at the old address. */
#include "payee.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "record.h"
#include "task.h"

#define TRIES	10 /* turns in which the registry could not be read */
#define WINDOWS 32 /* in one request: two questions each */

static const uint8_t none[20];

/* The one that was tried least, so that one which cannot be told holds up no other. */
static struct task *next_task(struct settle *s)
{
	struct task *found = NULL;

	if (s->payee.is_in_windows)
		found = task_find(s, s->payee.task);
	if (found && !strcmp(found->phase, PHASE_CHECKING))
		return found; /* what was read of its windows is kept */
	found = NULL;
	for (struct task *t = s->tasks; t; t = t->next)
		if (t->role == TASK_PAYER && !strcmp(t->phase, PHASE_CHECKING) &&
		    (!found || t->payee_tries < found->payee_tries))
			found = t;
	return found;
}

static void refuse(struct settle *s, struct task *t, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void refuse(struct settle *s, struct task *t, const char *fmt, ...)
{
	struct lnx_buf out = { .max = 4096 };
	char why[TASK_ERROR];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, ap); /* cut is fine: for people */
	va_end(ap);
	task_set(s, t, PHASE_FAILED, "%s", why);
	if (!t->is_dry)
		return;
	lnx_buf_str(&out, "{\"would_work\":false");
	lnx_json_kv_str(&out, "error", why);
	lnx_buf_char(&out, '}');
	if (!lnx_buf_error(&out)) {
		free(t->simulation);
		t->simulation = out.data;
		out.data = NULL;
	}
	lnx_buf_done(&out);
}

static void go_on(struct settle *s)
{
	void (*then)(struct settle * s) = s->payee.then;

	rpc_reset(&s->batch);
	then(s);
}

static void accept(struct settle *s, struct task *t, const uint8_t address[20])
{
	memcpy(t->payee, address, 20);
	if (settle_stamp_ms(s) - t->created_ms > SETTLE_AHEAD_MS)
		t->created_ms = settle_stamp_ms(
			s); /* before the chain was seen, by a clock that was behind */
	task_set(s, t, PHASE_ACCEPTED, "%s", "");
	task_queue_create(s, t);
}

/* Is that the record in force, under the DID's own key? */
static int is_current(const struct rpc_call *c, const uint8_t address[20], const uint8_t *key)
{
	struct abi_value v[7];

	return !call_words(c, REGISTRY_RESOLVED, v, 7) && !memcmp(v[1].word.b + 12, address, 20) &&
	       u256_is_zero(&v[6].word) && (!key || !memcmp(v[0].word.b, key, 32));
}

/* The task of this look, when the endpoints agree on what was asked. NULL: the look is over, and the turn goes on with what other
 * tasks need. */
static struct task *agreed(struct settle *s)
{
	struct task *t = task_find(s, s->payee.task);

	if (t && settle_compare(s, s->twin_n)) {
		task_set(s, t, PHASE_CHECKING, "registry: two endpoints do not agree on %s",
			 s->differs);
		t = NULL;
	}
	if (!t)
		go_on(s);
	return t;
}

/* ---- a registry with the compatible functions only: it has no proofs, the payer's word must do */

static void compat_asked(struct settle *s)
{
	struct task *t = agreed(s);
	uint8_t key[32];

	if (!t)
		return;
	if (is_current(&s->batch.calls[0], t->payee, did_parse(t->payee_did, key) ? NULL : key))
		accept(s, t, t->payee);
	else
		refuse(s, t,
		       "registry: the payee's DID is not registered under that address and its own key");
	go_on(s);
}

/* ---- ours */

static void records_asked(struct settle *s)
{
	struct task *t = agreed(s);
	const struct records *r = &s->payee.records;
	unsigned i;
	uint8_t key[32];

	if (!t)
		return;
	if (did_parse(t->payee_did, key)) { /* read before it was asked for */
		go_on(s);
		return;
	}
	for (i = 0; i < r->n; i++)
		if (is_current(&s->batch.calls[i], r->addresses[i], key))
			break;
	if (i < r->n)
		accept(s, t, r->addresses[i]);
	else
		refuse(s, t,
		       "registry: what the payee's key signed is revoked or moved to another address");
	go_on(s);
}

static const uint8_t *named(const struct task *t)
{
	return memcmp(t->payee, none, 20) != 0 ? t->payee : NULL;
}

/* What is wrong when no record is good. */
static void refuse_records(struct settle *s, struct task *t)
{
	const struct records *r = &s->payee.records;
	const char *of = named(t) ? " under that address" : "";

	if (r->n_wrong)
		refuse(s, t,
		       "registry: the proof of the payee's record%s is not by the key of its DID",
		       of);
	else if (r->n_unproven)
		refuse(s, t,
		       "registry: the payee's record%s has no proof by the key of its DID: whoever registered it could be anybody",
		       of);
	else
		refuse(s, t, "registry: the payee's DID is not registered%s", of);
}

/* All logs were read. */
static void logs_read(struct settle *s, struct task *t)
{
	const struct records *r = &s->payee.records;
	struct abi_value a[2];

	s->payee.is_in_windows = 0;
	if (!r->n) {
		refuse_records(s, t);
		go_on(s);
		return;
	}
	rpc_reset(&s->batch);
	for (unsigned i = 0; i < r->n; i++) {
		abi_set_word(&a[0], t->payee_did32);
		abi_set_address(&a[1], r->addresses[i]);
		(void)call_add(&s->batch, s->registry, REGISTRY_RESOLVE_AS, a,
			       2); /* the error sticks */
	}
	settle_ask_twin(s, r->n, records_asked);
}

static int has_logs(const struct rpc_call *c)
{
	return c && json_is_array(c->result);
}

/* The first call of this request that no endpoint gave logs for; the number of calls: none. */
static unsigned n_given(const struct settle *s)
{
	unsigned i = 0;

	while (i < s->batch.n && (has_logs(&s->batch.calls[i]) || has_logs(settle_second(s, i))))
		i++;
	return i;
}

/* The answers of this request, when it has all of them. What one endpoint hides the other tells: only what is proven counts. 0,
 * -EPROTO (a node that says no, and nothing is read), or 1: it is refused. */
static int take_logs(struct settle *s, struct task *t)
{
	const struct rpc_batch *b = &s->batch;
	struct records *r = &s->payee.records;
	unsigned at = n_given(s), *n = s->payee.n_logs;

	if (at < b->n) {
		task_set(s, t, PHASE_CHECKING, "registry: %s",
			 b->calls[at].is_error ? b->calls[at].text : "the node gives no logs");
		return -EPROTO;
	}
	r->did = t->payee_did;
	r->only = named(t);
	for (unsigned i = 0; i < b->n; i++) {
		const struct rpc_call *second = settle_second(s, i);
		int has_second = second && records_read(r, second, &n[1]) == 0;

		/* one alone, that makes up as many as it likes, refuses nothing */
		if (records_read(r, &b->calls[i], &n[0]) && !has_second) {
			/* the DID was read when the task was accepted */
			refuse(s, t, "registry: over %d records of the payee's DID%s", RECORD_LOGS,
			       named(t) ? "" : ": name its address, too (--payee-address)");
			return 1;
		}
	}
	return 0;
}

/* Less at once. Where not even the first window is given they are too large, else there are too many of them. */
static void ask_less(struct settle *s, struct task *t)
{
	struct payee_look *l = &s->payee;
	int is_first = n_given(s) == 0;

	if (l->span > 1 && (is_first || l->n_windows == 1))
		l->span /= 2;
	else if (l->n_windows > 1)
		l->n_windows /= 2;
	else
		return;
	t->payee_tries = 0; /* it is not the same question again */
	settle_wake(s);
}

static void windows_asked(struct settle *s)
{
	struct payee_look *l = &s->payee;
	struct task *t = task_find(s, l->task);
	int rc = t ? take_logs(s, t) : 1;

	if (rc == -EPROTO) {
		ask_less(s, t);
		go_on(s);
	} else if (rc) {
		l->is_in_windows = 0;
		go_on(s);
	} else if (l->asked_to >= s->head) {
		logs_read(s, t);
	} else {
		l->next = l->asked_to + 1;
		t->payee_tries = 0;
		task_set(s, t, PHASE_CHECKING,
			 "registry: its logs are read window by window (see chain.registry_block)");
		settle_wake(s);
		go_on(s);
	}
}

static void ask_windows(struct settle *s, const struct task *t)
{
	struct payee_look *l = &s->payee;
	uint64_t from = l->next;

	rpc_reset(&s->batch);
	for (unsigned i = 0; i < l->n_windows && from <= s->head; i++) {
		l->asked_to = s->head - from < l->span ? s->head : from + l->span - 1;
		records_ask(&s->batch, s->registry, t->payee_did32, named(t), from, l->asked_to);
		from = l->asked_to + 1;
	}
	settle_ask_twin(s, s->batch.n, windows_asked);
}

static void logs_asked(struct settle *s)
{
	struct payee_look *l = &s->payee;
	struct task *t = task_find(s, l->task);
	int rc = t ? take_logs(s, t) : 1;

	if (rc == -EPROTO && s->conf->registry_block < s->head) {
		l->is_in_windows = 1;
		l->n_windows = WINDOWS;
		l->span = s->conf->log_range;
		l->next = s->conf->registry_block;
		ask_windows(s, t);
	} else if (rc) {
		go_on(s);
	} else {
		logs_read(s, t);
	}
}

/* A DID of another kind carries no key: the payer has to say which address it means, and the contract holds it to that. */
static void named_asked(struct settle *s)
{
	struct task *t = agreed(s);

	if (!t)
		return;
	if (is_current(&s->batch.calls[0], t->payee, NULL))
		accept(s, t, t->payee);
	else
		refuse(s, t, "registry: the payee's DID is not registered under that address");
	go_on(s);
}

void payee_forget(struct settle *s, const uint8_t task[32])
{
	if (memcmp(s->payee.task, task, 32) != 0)
		return;
	memset(s->payee.task, 0, 32); /* no task's: an answer that is under way finds none */
	s->payee.is_in_windows = 0;
}

void payee_begin(struct settle *s, void (*then)(struct settle *s))
{
	struct task *t = s->state == CHAIN_READY ? next_task(s) : NULL;
	struct abi_value a[2];
	uint8_t key[32];

	s->payee.then = then;
	if (t && t->payee_tries++ == TRIES) {
		refuse(s, t, "%s", *t->reason ? t->reason : "registry: it cannot be read");
		s->payee.is_in_windows = 0;
		t = NULL;
	}
	if (!t) {
		then(s);
		return;
	}
	if (s->payee.is_in_windows && !memcmp(s->payee.task, t->id, 32)) {
		ask_windows(s, t);
		return;
	}
	s->payee =
		(struct payee_look){ .records = { .chain_id = s->conf->chain_id }, .then = then };
	memcpy(s->payee.task, t->id, 32);
	memcpy(s->payee.records.registry, s->registry, 20);
	rpc_reset(&s->batch);
	abi_set_word(&a[0], t->payee_did32);
	abi_set_address(&a[1], t->payee);
	if (s->is_compat) {
		(void)call_add(&s->batch, s->registry, REGISTRY_RESOLVE, a, 1);
		settle_ask_twin(s, 1, compat_asked);
	} else if (did_parse(t->payee_did, key)) {
		(void)call_add(&s->batch, s->registry, REGISTRY_RESOLVE_AS, a, 2);
		settle_ask_twin(s, 1, named_asked);
	} else {
		records_ask(&s->batch, s->registry, t->payee_did32, named(t), 0, 0);
		settle_ask_twin(s, s->batch.n, logs_asked);
	}
}

int payee_check(const struct settle *s, const struct task_ask *ask, char why[TASK_ERROR])
{
	uint8_t key[32];

	if (memcmp(ask->payee, none, 20) != 0 || (!s->is_compat && !did_parse(ask->payee_did, key)))
		return 0;
	(void)snprintf(why, TASK_ERROR, "%s: name the payee's address, too (--payee-address)",
		       s->is_compat ? "this registry has no proofs"
		       : !strncmp(ask->payee_did, "did:key:", 8)
			       ? "payee is no did:key of an Ed25519 key (z6Mk and so on)"
			       : "only a did:key proves its address"); /* fits */
	return -EINVAL;
}
