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

/* The same question elsewhere gave the same. */
static int agrees(const struct rpc_batch *a, const struct rpc_batch *b)
{
	for (unsigned i = 0; i < b->n; i++)
		if (a->calls[i].is_error != b->calls[i].is_error ||
		    (a->calls[i].result && !json_equal(a->calls[i].result, b->calls[i].result)))
			return 0;
	return 1;
}

static void asked_second(void *arg, int rc)
{
	struct settle *s = arg;

	if (rc < 0 || agrees(&s->batch, &s->second)) {
		/* one that does not answer is left alone for a while; one is then enough */
		s->host->health(s->ctx, "chain-second",
				rc < 0 ? LNX_HEALTH_DEGRADED : LNX_HEALTH_OK,
				rc < 0 ? "only one endpoint answers: its word stands alone" : "");
		s->then(s);
		return;
	}
	s->host->health(s->ctx, "chain-second", LNX_HEALTH_DEGRADED,
			"two endpoints do not agree: nothing is signed meanwhile");
	if (s->plan)
		op_later(s, s->plan, "two endpoints do not agree");
	s->plan = NULL;
	settle_rest(s);
}

static void asked_first(struct settle *s)
{
	int other = rpc_pick(&s->rpc, s->at), rc;

	rpc_reset(&s->second);
	if (other < 0) {
		s->then = s->then_both;
		s->then(s);
		return;
	}
	for (unsigned i = 0; i < s->n_both; i++)
		(void)rpc_add(&s->second, s->batch.calls[i].method, "%s",
			      s->batch.calls[i].params); /* the error sticks */
	s->then = s->then_both;
	rc = rpc_send(&s->rpc, (unsigned)other, &s->second, asked_second, s);
	if (rc < 0)
		asked_second(s, rc);
}

void settle_ask_both(struct settle *s, unsigned n_both, void (*then)(struct settle *s))
{
	s->then_both = then;
	s->n_both = n_both;
	settle_ask(s, asked_first);
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

static void after_first_flush(struct settle *s)
{
	int pick;

	if (s->at >= 0 && s->rpc.endpoints[s->at].is_guarded) {
		after_guard(s);
		return;
	}
	pick = rpc_pick(&s->rpc, -1);
	if (pick < 0) {
		settle_rest(s);
		return;
	}
	s->at = pick;
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
