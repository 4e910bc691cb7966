/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The turn: look at the chain, write down what changed, decide one thing, write it down, send it. Every turn starts from what
 * the chain and the file say, so it does not matter where the one before was cut off. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "op.h"
#include "payee.h"
#include "task.h"

#define HASTE_NS (20 * SETTLE_MS)
#define IDLE_N	 10 /* times the interval when there is nothing to do */

#define DIFFER_TURNS 4 /* in which two endpoints may differ: one is a block behind */

const char *const chain_state_names[] = { "opening", "connecting", "ready",
					  "refused", "failed",	   NULL };

void settle_set_state(struct settle *s, uint32_t state, const char *fmt, ...)
{
	char why[SETTLE_WHY];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, ap); /* cut is fine: for people */
	va_end(ap);
	if (state == CHAIN_CONNECTING && s->state != CHAIN_READY && s->state != CHAIN_OPENING &&
	    s->state != CHAIN_CONNECTING)
		return; /* what was refused stays so until a guard says yes */
	if (state != s->state || strcmp(why, s->why) != 0) {
		s->host->log(s->ctx,
			     state == CHAIN_FAILED || state == CHAIN_REFUSED ? LNX_ERROR : LNX_INFO,
			     "%s%s%s", chain_state_names[state], *why ? ": " : "", why);
		memcpy(s->why, why, sizeof(why));
	}
	s->state = state;
	if (state == CHAIN_READY)
		s->host->health(s->ctx, "chain", LNX_HEALTH_OK, "");
	else
		s->host->health(s->ctx, "chain",
				state == CHAIN_REFUSED || state == CHAIN_FAILED
					? LNX_HEALTH_LOST
					: LNX_HEALTH_DEGRADED,
				why);
	s->host->metric_set(s->ctx, s->m_refused, state == CHAIN_REFUSED || state == CHAIN_FAILED);
}

/* ---- asking */

void settle_lost(struct settle *s, const char *why)
{
	s->last = s->at;
	s->at = -1;
	if (s->state == CHAIN_READY || s->state == CHAIN_CONNECTING)
		settle_set_state(s, CHAIN_CONNECTING, "%s", why);
	settle_rest(s);
}

static void asked(void *arg, int rc)
{
	struct settle *s = arg;

	if (rc == 0)
		s->then(s);
	else
		settle_lost(s, s->rpc.endpoints[s->at].why);
}

void settle_ask(struct settle *s, void (*then)(struct settle *s))
{
	int rc;

	if (!s->batch.n && !s->batch.error) {
		then(s);
		return;
	}
	s->then = then;
	rc = rpc_send(&s->rpc, (unsigned)s->at, &s->batch, asked, s);
	if (rc < 0)
		settle_lost(s, rc == -ENOSYS ? "libcurl is not there" : strerror(-rc));
}

/* ---- a second opinion */

int settle_is_same(const struct rpc_call *a, const struct rpc_call *b)
{
	return a->is_error == b->is_error && (!a->result || json_equal(a->result, b->result));
}

const struct rpc_call *settle_second(const struct settle *s, unsigned i)
{
	return i < s->second.n ? &s->second.calls[i] : NULL;
}

const char *settle_compare(struct settle *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct rpc_call *other = settle_second(s, i);

		if (other && !settle_is_same(&s->batch.calls[i], other)) {
			s->differs = other->method;
			return other->method;
		}
	}
	return NULL;
}

static void asked_second(void *arg, int rc)
{
	struct settle *s = arg;

	if (rc < 0) {
		/* it is left alone for a while; one is then enough */
		s->host->health(s->ctx, "chain-second", LNX_HEALTH_DEGRADED,
				"only one endpoint answers: its word stands alone");
		rpc_reset(&s->second);
	} else {
		s->is_compared = 1;
		if (s->n_differ < DIFFER_TURNS)
			s->host->health(s->ctx, "chain-second", LNX_HEALTH_OK, "");
	}
	s->then(s);
}

static void asked_first(struct settle *s)
{
	int other = rpc_pick(&s->rpc, s->at), rc;
	const struct rpc_endpoint *e = &s->rpc.endpoints[s->at];

	s->then = s->then_twin;
	/* one that has to pass the guards again does so when the next turn begins */
	if (other < 0 || (e->is_guarded && !s->rpc.endpoints[other].is_guarded)) {
		s->then(s);
		return;
	}
	for (unsigned i = 0; i < s->twin_n; i++)
		(void)rpc_add(&s->second, s->batch.calls[i].method, "%s",
			      s->batch.calls[i].params); /* the error sticks */
	s->twin = other;
	s->rival = other;
	rc = rpc_send(&s->rpc, (unsigned)other, &s->second, asked_second, s);
	if (rc < 0)
		asked_second(s, rc);
}

void settle_ask_twin(struct settle *s, unsigned n, void (*then)(struct settle *s))
{
	rpc_reset(&s->second);
	s->twin = -1;
	s->twin_n = n;
	s->then_twin = then;
	settle_ask(s, n ? asked_first : then);
}

/* What had to wait at the one is tried at the other without delay: its time may be short. */
static void change_places(struct settle *s)
{
	s->at = s->rival;
	for (struct op *op = s->ops; op; op = op->next)
		if (op->state == OP_QUEUED)
			op_hurry(op);
}

/* Two that differ for longer than one can be behind: nobody knows which is right, so they change places, and what only protects
 * is tried through each. */
static void weigh(struct settle *s)
{
	char text[RPC_TEXT];

	if (!s->differs && s->is_compared)
		s->n_differ = 0;
	if (s->differs && ++s->n_differ >= DIFFER_TURNS) {
		(void)snprintf(
			text, sizeof(text),
			"two endpoints do not agree on %s: nothing that pays is signed meanwhile",
			s->differs); /* fits */
		s->host->health(s->ctx, "chain-second", LNX_HEALTH_DEGRADED, text);
		if (s->n_differ % DIFFER_TURNS == 0 && s->at >= 0)
			change_places(s);
	}
	s->differs = NULL;
	s->is_compared = 0;
}

/* ---- the turn */

void settle_wake(struct settle *s)
{
	s->is_hasty = 1;
	if (!s->busy && s->timer && !s->is_stopping)
		(void)s->host->timer_set(s->ctx, s->timer, HASTE_NS, 0); /* a timer that is there */
}

static uint64_t pause_ns(const struct settle *s)
{
	if (s->is_hasty)
		return HASTE_NS;
	for (const struct op *op = s->ops; op; op = op->next)
		if (op->state < OP_CONFIRMED)
			return s->conf->poll_ns;
	for (const struct task *t = s->tasks; t; t = t->next)
		if (!task_is_final(t))
			return s->conf->poll_ns;
	return s->state == CHAIN_READY ? s->conf->poll_ns * IDLE_N : s->conf->poll_ns;
}

void settle_rest(struct settle *s)
{
	weigh(s);
	s->busy = 0;
	s->plan = NULL;
	rpc_reset(&s->batch);
	rpc_reset(&s->second);
	op_sweep(s);
	task_sweep(s);
	if (!s->is_stopping)
		(void)s->host->timer_set(s->ctx, s->timer, pause_ns(s), 0); /* likewise */
}

static void after_send(struct settle *s)
{
	settle_flush(s, settle_rest);
}

static void turn_send(struct settle *s)
{
	send_begin(s, after_send);
}

static void after_plan(struct settle *s)
{
	settle_flush(s, turn_send);
}

static void turn_plan(struct settle *s)
{
	plan_begin(s, after_plan);
}

static void after_payee(struct settle *s)
{
	settle_flush(s, turn_plan);
}

static void after_proof(struct settle *s)
{
	payee_begin(s, after_payee);
}

static void after_watch(struct settle *s)
{
	proof_begin(s, after_proof);
}

static void after_look(struct settle *s)
{
	watch_begin(s, after_watch);
}

static void after_guard(struct settle *s)
{
	look_begin(s, after_look);
}

/* The one in use passed the guards, and so did the other that would be asked besides. */
static int is_pair_guarded(const struct settle *s)
{
	int other = rpc_pick(&s->rpc, s->at);

	return s->rpc.endpoints[s->at].is_guarded &&
	       (other < 0 || s->rpc.endpoints[other].is_guarded);
}

static void after_first_flush(struct settle *s)
{
	if (s->at >= 0 && is_pair_guarded(s)) {
		after_guard(s);
		return;
	}
	if (s->at < 0) /* the next behind the one that failed; else any */
		s->at = rpc_pick(&s->rpc, s->last);
	if (s->at < 0)
		s->at = rpc_pick(&s->rpc, -1);
	if (s->at < 0) {
		settle_rest(s);
		return;
	}
	s->rpc.endpoints[s->at].is_guarded = 0; /* both are asked at once */
	guard_begin(s, after_guard);
}

void settle_turn(struct settle *s)
{
	if (s->busy || s->job || s->is_stopping || s->state == CHAIN_OPENING)
		return;
	s->is_hasty = 0;
	s->busy = 1;
	if (s->state == CHAIN_FAILED) {
		settle_rest(s);
		return;
	}
	settle_flush(s, after_first_flush);
}
