/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* An action up to its approval: asked for, shown, approved (by a person, or after the grace period where the rule is
 * trusted), or not. What follows is in steps.c. */
#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "act.h"

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
			if (!is_waiting(*p) && !(*p)->owed)
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

void enf_idle(struct act *a, uint64_t now)
{
	a->phase = ENF_IDLE;
	a->due_ns = a->until_ns = 0;
	a->over_ns = now;
}

void enf_refuse(struct enforce *s, struct act *a, uint32_t state)
{
	enf_idle(a, s->host->now_ns(s->ctx));
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

int enf_is_auto(const struct enforce *s, const char *rule)
{
	const char *const *r;

	for (r = s->conf->auto_rules; *rule && *r; r++)
		if (fnmatch(*r, rule, 0) == 0)
			return 1;
	return 0;
}

int enf_is_dry(struct enforce *s, struct act *a)
{
	if (!s->conf->dry_run)
		return 0;
	(void)snprintf(a->text, sizeof(a->text), "enforce.dry_run: nothing is done");
	enf_refuse(s, a, LNX_ACTION_DRY_RUN);
	return 1;
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
		enf_refuse(s, a, LNX_ACTION_REFUSED);
		return;
	}
	if (enf_is_dry(s, a))
		return;
	a->is_auto = (uint32_t)enf_is_auto(s, a->rule);
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

void enf_expire(struct enforce *s, struct act *a, const char *why)
{
	(void)snprintf(a->text, sizeof(a->text), "%s", why); /* a short literal */
	enf_idle(a, s->host->now_ns(s->ctx));
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
			enf_expire(s, a, "the alert is over");
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

int enf_is_who(const char *who, char *text, size_t cap)
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

	if (!enf_is_who(who, text, cap))
		return -EINVAL;
	if (a->state != LNX_ACTION_PROPOSED || a->phase != ENF_IDLE)
		return not_waiting(a, text, cap);
	if (enf_is_dry(s, a)) { /* it was not when this was proposed */
		(void)snprintf(text, cap, "refused: %.400s", a->text);
		return -EPERM;
	}
	(void)snprintf(a->by, sizeof(a->by), "%s", who); /* fits */
	rc = check_again(s, a, a->text, sizeof(a->text));
	if (!rc && s->journal < 0) {
		(void)snprintf(a->text, sizeof(a->text), "the journal %.200s is not open",
			       s->conf->journal);
		rc = -EPERM;
	}
	if (!rc && enf_audit(s, a, "action-approved") < 0) {
		(void)snprintf(a->text, sizeof(a->text),
			       "the log of decisions takes no entry now: nothing is done without");
		rc = -EPERM;
	}
	if (rc) {
		(void)snprintf(text, cap, "refused: %.400s", a->text);
		enf_refuse(s, a, LNX_ACTION_REFUSED);
		return -EPERM;
	}
	a->phase = ENF_JOURNALING;
	a->due_ns = s->host->now_ns(s->ctx) + ENF_SLOW;
	rc = journal_begin(s, a);
	if (rc < 0) {
		(void)snprintf(a->text, sizeof(a->text), "the journal cannot be written: %s",
			       strerror(-rc));
		(void)snprintf(text, cap, "%.400s", a->text);
		enf_refuse(s, a, LNX_ACTION_FAILED);
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
	if (!enf_is_who(who, text, cap))
		return -EINVAL;
	if (a->state != LNX_ACTION_PROPOSED || a->phase != ENF_IDLE)
		return not_waiting(a, text, cap);
	(void)snprintf(a->by, sizeof(a->by), "%s", who); /* fits */
	(void)snprintf(a->text, sizeof(a->text), "rejected");
	(void)snprintf(text, cap, "rejected");
	enf_refuse(s, a, LNX_ACTION_REJECTED);
	return 0;
}
