/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* An action after its approval: written to the journal, held by the guardian, done, measured, taken back; and what time does
 * to those that wait. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "act.h"

#define RETRY (10 * ENF_SEC) /* what could not be taken back is tried again so often */

static uint32_t n_in_phases(const struct enforce *s, uint32_t phases)
{
	const struct act *a;
	uint32_t n = 0;

	for (a = s->newest; a; a = a->next)
		n += phases >> a->phase & 1;
	return n;
}

/* The guardian has something to hold. */
static int is_guarded(const struct enforce *s)
{
	return n_in_phases(s, 1u << ENF_IN_FORCE | 1u << ENF_GUARDING) > 0;
}

static void fail(struct enforce *s, struct act *a)
{
	s->host->log(s->ctx, LNX_ERROR, "action %s was not done: %s", a->id, a->text);
	guard_forget(s, a);
	journal_end(s, a->id);
	enf_refuse(s, a, LNX_ACTION_FAILED);
	if (!is_guarded(s))
		guard_quit(s);
}

static void do_it(struct enforce *s, struct act *a)
{
	uint64_t now = s->host->now_ns(s->ctx);
	char how[128];

	/* the last look: what was approved a moment ago may have ended since */
	if (s->conf->dry_run) {
		(void)snprintf(a->text, sizeof(a->text), "enforce.dry_run: nothing is done");
		fail(s, a);
		return;
	}
	if (enf_check(s, a, a->text, sizeof(a->text))) {
		fail(s, a);
		return;
	}
	if (enf_apply(a, a->text, sizeof(a->text))) {
		if (enf_undo_now(a, how, sizeof(how))) /* what was written just now */
			enf_is_over(s, a, "linnix: it was done in part", how, 1);
		else
			fail(s, a);
		return;
	}
	s->hourly[s->n_hourly++ % ENF_HOURLY] = enf_wall(s);
	a->applied_ns = now;
	a->phase = a->n_undo ? ENF_IN_FORCE : ENF_IDLE;
	enf_measure_before(s, a, now);
	(void)snprintf(a->text, sizeof(a->text), "done: %.400s", a->plan); /* cut: for people */
	s->host->log(s->ctx, LNX_INFO, "action %s by %s: %s", a->id, a->by, a->plan);
	enf_tell(s, a, LNX_ACTION_APPLIED);
	if (!a->n_undo) {
		a->phase = ENF_IN_FORCE; /* until it is measured */
		journal_end(s, a->id);
	}
}

void enf_journaled(struct enforce *s, struct act *a, int rc)
{
	uint64_t now = s->host->now_ns(s->ctx);

	if (rc < 0 || s->is_stopping) {
		(void)snprintf(a->text, sizeof(a->text), "the journal cannot be written: %s",
			       rc < 0 ? strerror(-rc) : "the agent stops");
		fail(s, a);
		return;
	}
	a->until_ns = now + a->lease_ns;
	if (!a->n_undo) {
		do_it(s, a);
		return;
	}
	for (uint32_t i = 0; i < a->n_undo; i++)
		a->undo[i].deadline_ns = a->until_ns;
	a->phase = ENF_GUARDING;
	rc = guard_add(s, a);
	if (rc < 0) {
		(void)snprintf(a->text, sizeof(a->text),
			       "the guardian that would undo it cannot be started: %s",
			       strerror(-rc));
		fail(s, a);
	}
}

void enf_guarded(struct enforce *s, struct act *a)
{
	do_it(s, a);
}

void enf_is_over(struct enforce *s, struct act *a, const char *who, const char *how, int is_left)
{
	uint64_t now = s->host->now_ns(s->ctx);

	guard_forget(s, a);
	(void)snprintf(a->text, sizeof(a->text), "%.300s (%.150s)", how, who); /* fits */
	if (is_left) { /* its line stays without an end */
		a->phase = ENF_LEFT;
		a->due_ns = now + RETRY;
		a->until_ns = 0;
	} else {
		journal_end(s, a->id);
		enf_idle(a, now);
	}
	enf_tell(s, a, is_left ? LNX_ACTION_FAILED : LNX_ACTION_UNDONE);
	s->host->log(s->ctx, is_left ? LNX_ERROR : LNX_INFO, "action %s: %s", a->id, a->text);
	if (!is_guarded(s))
		guard_quit(s);
}

/* Take back what is in force. True if it could not be; <how> it went. */
static int take_back(struct enforce *s, struct act *a, const char *who, char *how, size_t cap)
{
	int is_left = enf_undo_now(a, how, cap);

	if (is_left && a->phase == ENF_LEFT)
		a->due_ns = s->host->now_ns(s->ctx) + RETRY; /* that is known already */
	else
		enf_is_over(s, a, who, how, is_left);
	return is_left;
}

int enf_undo(struct enforce *s, struct act *a, const char *who, char *text, size_t cap)
{
	char how[128];
	int is_left;

	if (!enf_is_who(who, text, cap))
		return -EINVAL;
	if ((a->phase != ENF_IN_FORCE && a->phase != ENF_LEFT) || !a->n_undo) {
		(void)snprintf(text, cap, "it is not in force: it is %s", enf_states[a->state]);
		return -EALREADY;
	}
	is_left = take_back(s, a, who, how, sizeof(how));
	(void)snprintf(text, cap, "%s", how); /* fits */
	return is_left ? -EIO : 0;
}

void enf_undo_all(struct enforce *s, const char *why)
{
	char how[128];
	struct act *a;

	for (a = s->newest; a; a = a->next) {
		if (a->phase == ENF_JOURNALING || a->phase == ENF_GUARDING) {
			(void)snprintf(a->text, sizeof(a->text), "%s", why); /* a short literal */
			fail(s, a);
		} else if ((a->phase == ENF_IN_FORCE || a->phase == ENF_LEFT) && a->n_undo) {
			(void)take_back(s, a, why, how, sizeof(how)); /* told, and in the journal */
		}
	}
}

/* ---- time */

/* The configuration may have changed since it was proposed: what is trusted no more waits for an approval. */
static int is_still_meant(struct enforce *s, struct act *a, uint64_t now)
{
	if (a->state != LNX_ACTION_PROPOSED || a->phase != ENF_IDLE)
		return 1;
	if (enf_is_dry(s, a))
		return 0;
	if (!a->is_auto || enf_is_auto(s, a->rule))
		return 1;
	a->is_auto = 0;
	a->due_ns = a->asked_ns + s->conf->ask_for_ns;
	(void)snprintf(a->text, sizeof(a->text),
		       "waits %.0f s for an approval: enforce.auto no longer names its rule",
		       a->due_ns > now ? (double)(a->due_ns - now) / 1e9 : 0.0); /* fits */
	enf_tell(s, a, LNX_ACTION_PROPOSED);
	return 0;
}

static void tick_in_force(struct enforce *s, struct act *a, uint64_t now)
{
	char text[LNX_ENFORCE_TEXT_MAX];

	enf_measure(s, a, now);
	if (a->phase == ENF_IN_FORCE && !a->n_undo && a->is_measured)
		enf_idle(a, now);
	else if (a->phase == ENF_IN_FORCE && a->n_undo && now >= a->until_ns + ENF_SLOW &&
		 !enf_undo(s, a, "linnix: the lease is over", text, sizeof(text)))
		enf_leased(s, a); /* the guardian was silent */
}

static void tick_one(struct enforce *s, struct act *a, uint64_t now)
{
	char who[LNX_ENFORCE_WHO_MAX], text[LNX_ENFORCE_TEXT_MAX];

	enf_settle(s, a);
	if (a->phase == ENF_IN_FORCE) {
		tick_in_force(s, a, now);
		return;
	}
	if (!is_still_meant(s, a, now) || !a->due_ns || now < a->due_ns)
		return;
	if (a->phase == ENF_LEFT) {
		(void)take_back(s, a, "linnix: tried again", text, sizeof(text)); /* told */
	} else if (a->phase != ENF_IDLE) {
		(void)snprintf(a->text, sizeof(a->text), "the %s does not answer",
			       a->phase == ENF_GUARDING ? "guardian" : "journal");
		fail(s, a);
	} else if (a->state == LNX_ACTION_PROPOSED && a->is_auto) {
		(void)snprintf(who, sizeof(who), "auto (rule %.63s)", a->rule); /* fits */
		(void)enf_approve(s, a, who, text,
				  sizeof(text)); /* a refusal is told by its event */
	} else if (a->state == LNX_ACTION_PROPOSED) {
		enf_expire(s, a, "nobody approved it in time");
	}
}

/* What is in force though it should not be. */
static void tell_left(struct enforce *s)
{
	uint32_t n = n_in_phases(s, 1u << ENF_LEFT) + s->n_left;
	char why[96] = "";

	if (n == s->n_told_left)
		return;
	s->n_told_left = n;
	if (n)
		(void)snprintf(why, sizeof(why),
			       "%u action%s could not be taken back: it is tried again", n,
			       n == 1 ? "" : "s"); /* fits */
	s->host->health(s->ctx, "undo", n ? LNX_HEALTH_LOST : LNX_HEALTH_OK, why);
}

void enf_tick(struct enforce *s, uint64_t now_ns)
{
	struct act *a;

	for (a = s->newest; a; a = a->next)
		tick_one(s, a, now_ns);
	enf_ask_again(s, now_ns);
	if (s->n_left && now_ns >= s->retry_ns) {
		s->retry_ns = now_ns + RETRY;
		journal_retry(s);
	}
	tell_left(s);
	s->host->metric_set(
		s->ctx, s->m_in_force,
		n_in_phases(s, 1u << ENF_IN_FORCE | 1u << ENF_GUARDING | 1u << ENF_LEFT));
	if (n_in_phases(s, 1u << ENF_IDLE) == s->n)
		journal_trim(s);
}
