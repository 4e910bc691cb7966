/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Did it help? The victim's stall in the time before the action and in as long after it, as the ledger measured it. Without
 * a victim: what all others lost to the culprit. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "act.h"

#define FEW	 (3 * ENF_SEC) /* so much is enough to see that it got much worse */
#define ASKED_AT (3 * ENF_SEC) /* a rule sees it for about so long before it asks */

/* Helped: a fifth less, and that is 10 ms/s at least. Worse: a fifth more and 20 ms/s. Much worse is twice that. */
#define WORSE_RATIO 1.2
#define WORSE_MS    20

double enf_stall(struct enforce *s, const struct act *a, uint64_t window_ns)
{
	struct lnx_stall_share share = { .size = sizeof(share) };
	uint64_t whose = a->victim_cgroup_id ? a->victim_cgroup_id : a->cgroup_id;
	double ms;
	int rc;

	if (!s->stall || !whose || window_ns < ENF_SEC)
		return NAN;
	rc = s->stall->workload(s->stall_self, LNX_RES_CPU, whose, window_ns, &share);
	if (rc < 0 && rc != -ENOENT)
		return NAN;
	ms = a->victim_cgroup_id ? share.stalled_ms : share.caused_ms;
	return ms * 1e9 / (double)window_ns;
}

void enf_measure_before(struct enforce *s, struct act *a, uint64_t now_ns)
{
	uint64_t window = now_ns - a->asked_ns + ASKED_AT;

	/* not further back than it has been so */
	a->before = enf_stall(s, a, window < s->conf->measure_ns ? window : s->conf->measure_ns);
	a->after = NAN;
	a->is_measured = isnan(a->before);
}

static uint32_t outcome_of(const struct act *a)
{
	if (a->after <= a->before * ENF_HELPED_RATIO && a->before - a->after >= ENF_HELPED_MS)
		return LNX_OUTCOME_HELPED;
	if (a->after >= a->before * WORSE_RATIO && a->after - a->before >= WORSE_MS)
		return LNX_OUTCOME_WORSE;
	return LNX_OUTCOME_NO_CHANGE;
}

static void add_evidence(struct enforce *s, const struct act *a, const char *undone,
			 const char *sentence)
{
	const char *whose = a->victim_cgroup_id ? a->victim : a->workload;
	const struct lnx_fact texts[] = {
		{ .name = "action", .text = a->id },
		{ .name = "verb", .text = enf_verbs[a->verb] },
		{ .name = "target", .text = a->workload },
		{ .name = "outcome", .text = enf_outcomes[a->outcome] },
		{ .name = "before_ms_per_s", .unit = "ms", .value = a->before },
		{ .name = "after_ms_per_s", .unit = "ms", .value = a->after },
		{ .name = "undone", .text = undone },
	};
	uint32_t n = sizeof(texts) / sizeof(texts[0]) - !*undone; /* the last, then */
	struct lnx_fact facts[sizeof(texts) / sizeof(texts[0])];
	char query[64];
	int rc;

	if (!s->incident || !*a->incident)
		return;
	for (uint32_t i = 0; i < n; i++) {
		facts[i] = texts[i];
		facts[i].size = sizeof(facts[i]);
		facts[i].topic = "outcome";
		facts[i].subject = whose;
		if (!facts[i].unit)
			facts[i].unit = "";
	}
	(void)snprintf(query, sizeof(query), "GET /actions/%s", a->id); /* fits */
	rc = s->incident->add_evidence(s->incident_self, a->incident, facts, n, sentence, query);
	if (rc < 0)
		s->host->log(s->ctx, LNX_WARN, "incident %s: the outcome of %s is not added: %s",
			     a->incident, a->id, strerror(-rc));
}

static const char *sufferer(const struct act *a)
{
	return a->victim_cgroup_id ? a->victim : "what others lost to it";
}

/* Is nobody there any more? The stall of who has ended is none, which is no help. */
static int has_ended(struct enforce *s, uint64_t cgroup_id)
{
	struct lnx_workload w = { .size = sizeof(w) };
	char file[1024], text[256];
	const char *at;

	if (s->workload->get(s->workload_self, cgroup_id, &w) < 0 || w.gone_ns)
		return 1;
	if (snprintf(file, sizeof(file), "%s%s/cgroup.events", s->v2_root, w.path) >=
		    (int)sizeof(file) ||
	    undo_read(AT_FDCWD, file, text, sizeof(text)) < 0)
		return 0; /* the root has none */
	at = strstr(text, "populated ");
	return at && at[strlen("populated ")] == '0';
}

/* Why before and after are not to be compared: whose stall was measured has ended, or did who caused it, by itself. */
static const char *why_none(struct enforce *s, const struct act *a)
{
	if (a->victim_cgroup_id && has_ended(s, a->victim_cgroup_id))
		return "the victim has ended";
	/* a signal is meant to end it */
	if ((a->verb != LNX_ACTION_SIGNAL || a->signal == SIGSTOP) && a->cgroup_id &&
	    has_ended(s, a->cgroup_id))
		return "the culprit has ended by itself";
	return NULL;
}

static void tell_none(struct enforce *s, struct act *a, const char *why)
{
	a->is_measured = 1;
	a->after = NAN;
	(void)snprintf(a->text, sizeof(a->text),
		       "none: %s: %s lost %.1f ms a second before (%s to %.100s)", why, sufferer(a),
		       a->before, enf_verbs[a->verb], a->workload); /* cut: for people */
	add_evidence(s, a, "", a->text);
	enf_tell(s, a, LNX_ACTION_MEASURED);
}

void enf_measure(struct enforce *s, struct act *a, uint64_t now_ns)
{
	uint64_t since = a->applied_ns + ENF_SETTLE, window = s->conf->measure_ns;
	char undone[128] = "";
	const char *why;
	int is_left = 0, is_bad, is_final;

	if (a->is_measured || a->phase != ENF_IN_FORCE || now_ns < since + FEW)
		return;
	is_final = now_ns >= since + window;
	if (!is_final)
		window = now_ns - since;
	why = why_none(s, a);
	if (why) {
		tell_none(s, a, why);
		return;
	}
	a->after = enf_stall(s, a, window);
	if (isnan(a->after)) {
		a->is_measured = is_final;
		return;
	}
	a->outcome = outcome_of(a);
	is_bad = a->outcome == LNX_OUTCOME_WORSE;
	if (!is_final && !(is_bad && a->after >= a->before * (2 * WORSE_RATIO - 1) &&
			   a->after - a->before >= 2 * WORSE_MS)) {
		a->outcome = LNX_OUTCOME_NONE; /* not yet to be told */
		return;
	}
	a->is_measured = 1;
	(void)snprintf(a->text, sizeof(a->text),
		       "%s: %s lost %.1f ms a second before and %.1f after (%s to %.100s)",
		       enf_outcomes[a->outcome], sufferer(a), a->before, a->after,
		       enf_verbs[a->verb], a->workload); /* cut: for people */
	if (is_bad)
		is_left = enf_undo_now(a, undone, sizeof(undone));
	add_evidence(s, a, undone, a->text);
	enf_tell(s, a, LNX_ACTION_MEASURED);
	if (!is_bad)
		return;
	s->host->log(s->ctx, LNX_WARN, "action %s made it worse (%.1f to %.1f ms/s): undone", a->id,
		     a->before, a->after);
	enf_is_over(s, a, "linnix: it got worse", undone, is_left);
}
