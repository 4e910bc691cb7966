/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The life of an action: asked for, shown, approved (by a person, or after the grace period where the rule is trusted),
 * written to the journal, held by the guardian, done, measured, taken back. */
#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "act.h"

#define SLOW (5 * ENF_SEC) /* journal and guardian answer within this, or it is not done */

struct act *enf_find(struct enforce *s, const char *id, int *ret_rc)
{
	const char *node = s->host->ident(s->ctx)->node, *slash = strrchr(id, '/');
	struct act *a;

	*ret_rc = 0;
	if (slash && (strncmp(id, node, strlen(node)) != 0 || id + strlen(node) != slash)) {
		*ret_rc = -EXDEV;
		return NULL;
	}
	for (a = s->newest; a && strcmp(a->id, slash ? slash + 1 : id) != 0; a = a->next)
		;
	if (!a)
		*ret_rc = strlen(slash ? slash + 1 : id) == UNDO_ID - 1 ? -ENOENT : -EINVAL;
	return a;
}

static int is_waiting(const struct act *a)
{
	return a->state == LNX_ACTION_PROPOSED || a->phase != ENF_IDLE;
}

static uint32_t n_in_force(const struct enforce *s)
{
	const struct act *a;
	uint32_t n = 0;

	for (a = s->newest; a; a = a->next)
		n += a->phase == ENF_IN_FORCE || a->phase == ENF_GUARDING;
	return n;
}

/* Is what it would be done to the same? */
static int is_same_target(const struct act *a, const struct act *b)
{
	if (a->verb != b->verb)
		return 0;
	if (a->verb == LNX_ACTION_SIGNAL)
		return a->pid == b->pid && a->start_ns == b->start_ns && a->signal == b->signal;
	return a->cgroup_id == b->cgroup_id;
}

static void add_key(struct act *a, uint64_t key)
{
	if (a->n_keys < ENF_KEYS)
		a->keys[a->n_keys++] = key;
}

/* It is on its way already, or was turned down a moment ago. */
static int is_repeated(const struct enforce *s, const struct act *a, uint64_t now)
{
	struct act *b;

	for (b = s->newest; b; b = b->next) {
		if (!is_same_target(a, b))
			continue;
		if (is_waiting(b)) {
			if (strcmp(a->rule, b->rule) == 0)
				add_key(b, a->keys[0]);
			return 1;
		}
		if (strcmp(a->rule, b->rule) == 0 && now - b->over_ns < ENF_QUIET &&
		    (b->state == LNX_ACTION_REFUSED || b->state == LNX_ACTION_REJECTED ||
		     b->state == LNX_ACTION_DRY_RUN))
			return 1;
	}
	return 0;
}

/* A place in memory: the oldest that is over goes. */
struct act *enf_act_new(struct enforce *s)
{
	struct act **p, **last = NULL, *a;

	if (s->n == ENF_ACTS) {
		for (p = &s->newest; *p; p = &(*p)->next)
			if (!is_waiting(*p))
				last = p;
		if (!last) {
			s->host->metric_add(s->ctx, s->m_dropped, 1);
			return NULL;
		}
		a = *last;
		*last = a->next;
		enf_act_free(a);
		s->n--;
	}
	return calloc(1, sizeof(*a));
}

static void is_over(struct act *a, uint64_t now)
{
	a->phase = ENF_IDLE;
	a->due_ns = a->until_ns = 0;
	a->over_ns = now;
}

static void refuse(struct enforce *s, struct act *a, uint32_t state)
{
	is_over(a, s->host->now_ns(s->ctx));
	enf_tell(s, a, state);
}

/* ---- requests */

static void copy(char *to, size_t cap, const struct lnx_event *ev, struct lnx_str str)
{
	(void)snprintf(to, cap, "%.*s", str.len, (const char *)ev + str.off); /* cut: for people */
}

struct match {
	struct act *a;
	uint32_t best;
};

/* The incident that it belongs to: of the same culprit, and best of the same victim. */
static int match_incident(void *arg, const struct lnx_incident *inc)
{
	struct match *m = arg;
	struct act *a = m->a;
	uint32_t fits = 0;

	if (!inc->is_open)
		return 0;
	if (a->cgroup_id && inc->culprit_cgroup_id == a->cgroup_id)
		fits = 2;
	else if (a->pid && inc->culprit_pid == a->pid && inc->culprit_start_ns == a->start_ns)
		fits = 1;
	if (fits && a->victim_cgroup_id && inc->victim_cgroup_id == a->victim_cgroup_id)
		fits += 2;
	if (fits <= m->best)
		return 0;
	m->best = fits;
	(void)snprintf(a->incident, sizeof(a->incident), "%s", inc->id); /* fits */
	return 0;
}

static void find_incident(struct enforce *s, struct act *a)
{
	struct lnx_incident inc = { .size = sizeof(inc) };
	struct lnx_workload w = { .size = sizeof(w) };
	struct match m = { .a = a };

	if (s->incident && !*a->incident)
		(void)s->incident->each(s->incident_self, match_incident, &m);
	if (!a->victim_cgroup_id && s->incident && *a->incident &&
	    s->incident->get(s->incident_self, a->incident, &inc) == 0)
		a->victim_cgroup_id = inc.victim_cgroup_id;
	if (a->victim_cgroup_id && s->workload->get(s->workload_self, a->victim_cgroup_id, &w) == 0)
		(void)snprintf(a->victim, sizeof(a->victim), "%.63s%s%.120s", w.namespace_,
			       *w.namespace_ ? "/" : "", w.workload); /* fits */
	if (a->victim_cgroup_id && !*a->victim)
		(void)snprintf(a->victim, sizeof(a->victim), "the victim"); /* fits */
}

static void read_request(struct enforce *s, struct act *a, const struct lnx_event *ev)
{
	const struct lnx_ev_action_request *q = (const struct lnx_ev_action_request *)ev;

	a->verb = q->verb;
	a->signal = q->signal;
	a->value = q->value;
	a->pid = ev->pid;
	a->start_ns = q->start_ns;
	a->cgroup_id = q->cgroup_id;
	if (LNX_EV_HAS(ev, struct lnx_ev_action_request, victim_cgroup_id))
		a->victim_cgroup_id = q->victim_cgroup_id;
	if (LNX_EV_HAS(ev, struct lnx_ev_action_request, alert_key))
		add_key(a, q->alert_key);
	a->lease_ns = q->lease_ns ? q->lease_ns : s->conf->lease_ns;
	if (a->lease_ns > s->conf->max_lease_ns)
		a->lease_ns = s->conf->max_lease_ns;
	copy(a->incident, sizeof(a->incident), ev, q->incident);
	copy(a->rule, sizeof(a->rule), ev, q->rule);
	copy(a->workload, sizeof(a->workload), ev, q->workload);
	copy(a->namespace_, sizeof(a->namespace_), ev, q->namespace_);
	copy(a->comm, sizeof(a->comm), ev, q->comm);
	copy(a->reason, sizeof(a->reason), ev, q->reason);
}

static int is_sane(const struct lnx_ev_action_request *q)
{
	switch (q->verb) {
	case LNX_ACTION_THROTTLE:
		return q->value >= 1 && q->value <= 100000;
	case LNX_ACTION_WEIGHT:
		return q->value >= 1 && q->value <= 10000;
	case LNX_ACTION_FREEZE:
		return 1;
	case LNX_ACTION_SIGNAL:
		return q->signal >= 1 && q->signal < 32;
	}
	return 0;
}

static int is_auto(const struct enforce *s, const char *rule)
{
	const char *const *r;

	for (r = s->conf->auto_rules; *rule && *r; r++)
		if (fnmatch(*r, rule, 0) == 0)
			return 1;
	return 0;
}

void enf_take(struct enforce *s, struct act *a, const char *why)
{
	uint64_t now = s->host->now_ns(s->ctx);
	int rc;

	a->before = a->after = NAN;
	a->asked_ns = now;
	a->asked_wall_ns = s->host->wall_ns(s->ctx, now);
	s->store->ulid(s->store_self, a->asked_wall_ns, a->id);
	rc = enf_target(s, a, a->text, sizeof(a->text));
	if (is_repeated(s, a, now)) {
		s->host->metric_add(s->ctx, s->m_repeated, 1);
		enf_act_free(a);
		return;
	}
	a->next = s->newest;
	s->newest = a;
	s->n++;
	find_incident(s, a);
	if (!rc)
		rc = enf_check(s, a, a->text, sizeof(a->text));
	if (!rc)
		rc = enf_plan(s, a, a->text, sizeof(a->text));
	if (rc) {
		refuse(s, a, LNX_ACTION_REFUSED);
		return;
	}
	if (s->conf->dry_run) {
		(void)snprintf(a->text, sizeof(a->text), "enforce.dry_run: nothing is done");
		refuse(s, a, LNX_ACTION_DRY_RUN);
		return;
	}
	a->is_auto = (uint32_t)is_auto(s, a->rule);
	a->due_ns = now + (a->is_auto ? s->conf->grace_ns : s->conf->ask_for_ns);
	(void)snprintf(a->text, sizeof(a->text),
		       a->is_auto ? "done in %.0f s unless it is rejected or the alert is over%s%s"
				  : "waits %.0f s for an approval%s%s",
		       (double)(a->due_ns - now) / 1e9, *why ? "; " : "", why); /* fits */
	enf_tell(s, a, LNX_ACTION_PROPOSED);
}

int enf_request(struct enforce *s, const struct lnx_event *ev)
{
	struct act *a;

	if (!LNX_EV_HAS(ev, struct lnx_ev_action_request, reason) ||
	    !is_sane((const struct lnx_ev_action_request *)ev))
		return -EINVAL;
	a = enf_act_new(s);
	if (!a)
		return -ENOBUFS;
	read_request(s, a, ev);
	enf_take(s, a, "");
	return 0;
}

/* ---- what ends a proposal by itself */

static void expire(struct enforce *s, struct act *a, const char *why)
{
	(void)snprintf(a->text, sizeof(a->text), "%s", why); /* a short literal */
	is_over(a, s->host->now_ns(s->ctx));
	enf_tell(s, a, LNX_ACTION_EXPIRED);
}

int enf_alert(struct enforce *s, const struct lnx_event *ev)
{
	const struct lnx_ev_alert *e = (const struct lnx_ev_alert *)ev;
	struct act *a;
	char rule[64];
	uint32_t i, n;

	if (!LNX_EV_HAS(ev, struct lnx_ev_alert, rule))
		return -EINVAL;
	if (e->state != LNX_ALERT_RESOLVED)
		return 0;
	copy(rule, sizeof(rule), ev, e->rule);
	for (a = s->newest; a; a = a->next) {
		if (strcmp(a->rule, rule) != 0)
			continue;
		for (i = n = 0; i < a->n_keys; i++)
			if (a->keys[i] != e->key)
				a->keys[n++] = a->keys[i];
		if (n != a->n_keys && n == 0 && a->state == LNX_ACTION_PROPOSED &&
		    a->phase == ENF_IDLE)
			expire(s, a, "the alert is over");
		a->n_keys = n;
	}
	return 0;
}

/* ---- approval */

int enf_is_over_limit(struct enforce *s, char *why, size_t cap)
{
	uint64_t wall = enf_wall(s);
	const struct act *a;
	uint32_t i, n = 0;

	for (i = 0; i < s->n_hourly && i < ENF_HOURLY; i++)
		n += s->hourly[i] + 3600 * ENF_SEC > wall;
	for (a = s->newest; a; a = a->next) /* those that are about to be done */
		n += a->phase == ENF_JOURNALING || a->phase == ENF_GUARDING;
	if (n < s->conf->max_per_hour)
		return 0;
	(void)snprintf(why, cap,
		       "%u actions were done or begun in the last hour, no more than %u are "
		       "(enforce.max_per_hour)",
		       n, s->conf->max_per_hour);
	return -EPERM;
}

static int check_again(struct enforce *s, struct act *a, char *why, size_t cap)
{
	const struct act *b;
	int rc = enf_check(s, a, why, cap);

	if (!rc)
		rc = enf_plan(s, a, why, cap);
	if (!rc)
		rc = enf_is_over_limit(s, why, cap);
	for (b = s->newest; !rc && b; b = b->next) {
		if (b == a || b->phase == ENF_IDLE || !is_same_target(a, b))
			continue;
		(void)snprintf(why, cap, "action %s does that already", b->id);
		rc = -EPERM;
	}
	return rc;
}

static int is_who(const char *who, char *text, size_t cap)
{
	if (*who && strlen(who) < LNX_ENFORCE_WHO_MAX)
		return 1;
	(void)snprintf(text, cap, "who decides is not told, or in more than %d bytes",
		       LNX_ENFORCE_WHO_MAX - 1);
	return 0;
}

static int not_waiting(const struct act *a, char *text, size_t cap)
{
	(void)snprintf(text, cap, "it no longer waits: it is %s%s%s", enf_states[a->state],
		       *a->by ? " by " : "", a->by);
	return -EALREADY;
}

int enf_approve(struct enforce *s, struct act *a, const char *who, char *text, size_t cap)
{
	int rc;

	if (!is_who(who, text, cap))
		return -EINVAL;
	if (a->state != LNX_ACTION_PROPOSED || a->phase != ENF_IDLE)
		return not_waiting(a, text, cap);
	(void)snprintf(a->by, sizeof(a->by), "%s", who); /* fits */
	rc = check_again(s, a, a->text, sizeof(a->text));
	if (!rc && s->journal < 0) {
		(void)snprintf(a->text, sizeof(a->text), "the journal %.200s is not open",
			       s->conf->journal);
		rc = -EPERM;
	}
	if (rc) {
		(void)snprintf(text, cap, "refused: %.400s", a->text);
		refuse(s, a, LNX_ACTION_REFUSED);
		return -EPERM;
	}
	a->phase = ENF_JOURNALING;
	a->due_ns = s->host->now_ns(s->ctx) + SLOW;
	rc = journal_begin(s, a);
	if (rc < 0) {
		(void)snprintf(a->text, sizeof(a->text), "the journal cannot be written: %s",
			       strerror(-rc));
		(void)snprintf(text, cap, "%.400s", a->text);
		refuse(s, a, LNX_ACTION_FAILED);
		return -ENOBUFS;
	}
	(void)snprintf(text, cap, "approved: %.400s", a->plan); /* cut: for people */
	return 0;
}

int enf_dry(struct enforce *s, struct act *a, char *text, size_t cap)
{
	if (a->state != LNX_ACTION_PROPOSED || a->phase != ENF_IDLE)
		return not_waiting(a, text, cap);
	if (check_again(s, a, text, cap))
		return -EPERM;
	(void)snprintf(text, cap, "would %.480s", a->plan); /* cut: for people */
	return 0;
}

int enf_reject(struct enforce *s, struct act *a, const char *who, char *text, size_t cap)
{
	if (!is_who(who, text, cap))
		return -EINVAL;
	if (a->state != LNX_ACTION_PROPOSED || a->phase != ENF_IDLE)
		return not_waiting(a, text, cap);
	(void)snprintf(a->by, sizeof(a->by), "%s", who); /* fits */
	(void)snprintf(a->text, sizeof(a->text), "rejected");
	(void)snprintf(text, cap, "rejected");
	refuse(s, a, LNX_ACTION_REJECTED);
	return 0;
}

/* ---- the steps */

static void fail(struct enforce *s, struct act *a)
{
	s->host->log(s->ctx, LNX_ERROR, "action %s was not done: %s", a->id, a->text);
	guard_forget(s, a);
	journal_end(s, a->id);
	refuse(s, a, LNX_ACTION_FAILED);
	if (!n_in_force(s))
		guard_quit(s);
}

static void do_it(struct enforce *s, struct act *a)
{
	uint64_t now = s->host->now_ns(s->ctx);

	/* the last look: what was approved a moment ago may have ended since */
	if (enf_check(s, a, a->text, sizeof(a->text)) ||
	    enf_apply(s, a, a->text, sizeof(a->text))) {
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
	guard_forget(s, a);
	if (is_left)
		s->n_left++; /* its line stays without an end */
	else
		journal_end(s, a->id);
	(void)snprintf(a->text, sizeof(a->text), "%.300s (%.150s)", how, who); /* fits */
	is_over(a, s->host->now_ns(s->ctx));
	enf_tell(s, a, is_left ? LNX_ACTION_FAILED : LNX_ACTION_UNDONE);
	s->host->log(s->ctx, is_left ? LNX_ERROR : LNX_INFO, "action %s: %s", a->id, a->text);
	if (!n_in_force(s))
		guard_quit(s);
}

int enf_undo(struct enforce *s, struct act *a, const char *who, char *text, size_t cap)
{
	char how[128];
	int is_left;

	if (!is_who(who, text, cap))
		return -EINVAL;
	if (a->phase != ENF_IN_FORCE || !a->n_undo) {
		(void)snprintf(text, cap, "it is not in force: it is %s", enf_states[a->state]);
		return -EALREADY;
	}
	is_left = enf_undo_now(a, how, sizeof(how));
	(void)snprintf(text, cap, "%s", how); /* fits */
	enf_is_over(s, a, who, how, is_left);
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
		} else if (a->phase == ENF_IN_FORCE && a->n_undo) {
			int is_left = enf_undo_now(a, how, sizeof(how));

			enf_is_over(s, a, why, how, is_left);
		}
	}
}

/* ---- time */

static void tick_one(struct enforce *s, struct act *a, uint64_t now)
{
	char who[LNX_ENFORCE_WHO_MAX], text[LNX_ENFORCE_TEXT_MAX];

	if (a->phase == ENF_IN_FORCE) {
		enf_measure(s, a, now);
		if (a->phase == ENF_IN_FORCE && !a->n_undo && a->is_measured)
			is_over(a, now);
		else if (a->phase == ENF_IN_FORCE && a->n_undo && now >= a->until_ns + SLOW &&
			 !enf_undo(s, a, "linnix: the lease is over", text, sizeof(text)))
			enf_leased(s, a); /* the guardian was silent */
		return;
	}
	if (!a->due_ns || now < a->due_ns)
		return;
	if (a->phase != ENF_IDLE) {
		(void)snprintf(a->text, sizeof(a->text), "the %s does not answer",
			       a->phase == ENF_GUARDING ? "guardian" : "journal");
		fail(s, a);
	} else if (a->state == LNX_ACTION_PROPOSED && a->is_auto) {
		(void)snprintf(who, sizeof(who), "auto (rule %.63s)", a->rule); /* fits */
		(void)enf_approve(s, a, who, text,
				  sizeof(text)); /* a refusal is told by its event */
	} else if (a->state == LNX_ACTION_PROPOSED) {
		expire(s, a, "nobody approved it in time");
	}
}

void enf_tick(struct enforce *s, uint64_t now_ns)
{
	struct act *a;

	for (a = s->newest; a; a = a->next)
		tick_one(s, a, now_ns);
	enf_ask_again(s, now_ns);
	s->host->metric_set(s->ctx, s->m_in_force, n_in_force(s));
	for (a = s->newest; a && a->phase == ENF_IDLE; a = a->next)
		;
	if (!a)
		journal_trim(s);
}
