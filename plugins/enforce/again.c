/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* After a lease: a rule that asked while its action was in force was not heard, and may not ask again for long. If its alert
 * still fires, the action had helped and the victim loses as much as before, the same is proposed once more, with all that a
 * proposal needs: an approval or the grace period, and a place in the hour. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "act.h"

#define LATER (60 * ENF_SEC) /* the hour has no place: look again */

void enf_leased(struct enforce *s, struct act *a)
{
	/* what did not help would not help now, and where nothing was measured nothing says so */
	if (a->state == LNX_ACTION_UNDONE && a->outcome == LNX_OUTCOME_HELPED && a->n_keys)
		a->again_ns = a->over_ns + ENF_SETTLE + s->conf->measure_ns;
}

static int is_as_before(const struct act *a, double now)
{
	return now > a->before * ENF_HELPED_RATIO && now >= ENF_HELPED_MS;
}

/* A request as <of> was one. */
static void ask(struct enforce *s, const struct act *of, double stall)
{
	const struct act old = *of; /* its place may be the one that is taken */
	struct act *a = enf_act_new(s);
	char why[160];

	if (!a)
		return;
	a->verb = old.verb;
	a->signal = old.signal;
	a->value = old.value;
	a->pid = old.pid;
	a->start_ns = old.start_ns;
	a->cgroup_id = old.cgroup_id;
	a->victim_cgroup_id = old.victim_cgroup_id;
	a->lease_ns = old.lease_ns;
	a->n_keys = old.n_keys;
	memcpy(a->keys, old.keys, sizeof(a->keys));
	memcpy(a->incident, old.incident, sizeof(a->incident));
	memcpy(a->rule, old.rule, sizeof(a->rule));
	memcpy(a->workload, old.workload, sizeof(a->workload));
	memcpy(a->namespace_, old.namespace_, sizeof(a->namespace_));
	memcpy(a->comm, old.comm, sizeof(a->comm));
	memcpy(a->reason, old.reason, sizeof(a->reason));
	(void)snprintf(why, sizeof(why),
		       "asked again: %.1f ms a second are lost since the lease of %s ended, %.1f "
		       "before it",
		       stall, old.id, old.before); /* fits */
	enf_take(s, a, why);
}

static void look(struct enforce *s, struct act *a, uint64_t now_ns)
{
	double stall = enf_stall(s, a, s->conf->measure_ns);
	char why[LNX_ENFORCE_TEXT_MAX];

	a->again_ns = 0;
	if (!a->n_keys || isnan(stall) || !is_as_before(a, stall))
		return;
	if (enf_is_over_limit(s, why, sizeof(why)))
		a->again_ns = now_ns + LATER;
	else
		ask(s, a, stall);
}

void enf_ask_again(struct enforce *s, uint64_t now_ns)
{
	struct act *a;

	for (a = s->newest; a; a = a->next)
		if (a->again_ns && now_ns >= a->again_ns)
			break; /* one at a time: the list changes */
	if (a)
		look(s, a, now_ns);
}
