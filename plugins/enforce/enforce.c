/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plugin `enforce`: carries out what rules ask for, if it is configured, allowed and approved; measures whether it helped;
 * and takes it back. */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "act.h"

/* What it cannot do is said before anybody counts on it. */
static void tell_health(struct enforce *s, int journal_rc)
{
	char why[256] = "", file[300];
	const char *root = *s->cpu_root ? s->cpu_root : s->v2_root;

	if (journal_rc < 0)
		(void)snprintf(why, sizeof(why),
			       "the journal %.150s cannot be used (%s): nothing is done without "
			       "it, nor what an earlier run left taken back",
			       s->conf->journal, strerror(-journal_rc)); /* fits */
	s->host->health(s->ctx, "journal",
			journal_rc == 0	       ? LNX_HEALTH_OK
			: journal_rc == -EBUSY ? LNX_HEALTH_DEGRADED
					       : LNX_HEALTH_LOST,
			why);
	if (s->conf->dry_run)
		return;						     /* it writes none */
	(void)snprintf(file, sizeof(file), "%s/cgroup.procs", root); /* fits */
	if (eaccess(file, W_OK) < 0)
		(void)snprintf(
			why, sizeof(why),
			"cgroups below %.100s cannot be written (%s): see SAFETY.md for what "
			"the agent needs",
			root, strerror(errno)); /* fits */
	else
		*why = 0;
	s->host->health(s->ctx, "cgroups", *why ? LNX_HEALTH_DEGRADED : LNX_HEALTH_OK, why);
}

/* There is no journal, and as nothing is to be done none is made. */
static int needs_no_journal(const struct enforce *s)
{
	return s->conf->dry_run && s->journal_rc == -ENOENT;
}

/* Once the guardian of an earlier run has ended. Also where nothing is to be done any more: what that run did is undone. */
static void open_journal(struct enforce *s)
{
	int rc;

	if (s->journal >= 0 || needs_no_journal(s))
		return;
	rc = journal_open(s);
	if (rc == 0)
		s->is_recovered = 0;
	if (rc == -ENOENT && s->conf->dry_run) {
		s->journal_rc = rc;
		return;
	}
	if (rc < 0 && rc != -EBUSY && rc != s->journal_rc)
		s->host->log(s->ctx, LNX_ERROR, "the journal %s cannot be used: %s",
			     s->conf->journal, strerror(-rc));
	s->journal_rc = rc;
	tell_health(s, rc);
}

static void tick(void *arg)
{
	struct enforce *s = arg;

	open_journal(s);
	if (!s->is_recovered && s->journal_rc != -EBUSY)
		s->is_recovered = enf_recover(s) == 0;
	enf_tick(s, s->host->now_ns(s->ctx));
}

static const char *const state_labels[] = { "state", NULL };
static const struct lnx_metric_desc m_actions = {
	.name = "linnix_actions_total",
	.help = "Actions that came to a state.",
	.kind = LNX_COUNTER,
	.labels = state_labels,
};
static const struct lnx_metric_desc m_repeated = {
	.name = "linnix_actions_repeated_total",
	.help = "Requests for what was under way, or turned down a moment ago.",
	.kind = LNX_COUNTER,
};
static const struct lnx_metric_desc m_dropped = {
	.name = "linnix_actions_dropped_total",
	.help = "Requests lost because too many actions wait.",
	.kind = LNX_COUNTER,
};
static const struct lnx_metric_desc m_in_force = {
	.name = "linnix_actions_in_force",
	.help = "Actions that are in force.",
	.kind = LNX_GAUGE,
};

static int make_metrics(struct enforce *s)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && i <= LNX_ACTION_MEASURED; i++)
		rc = s->host->metric(s->ctx, &m_actions, &enf_states[i], &s->m_states[i]);
	if (!rc)
		rc = s->host->metric(s->ctx, &m_repeated, NULL, &s->m_repeated);
	if (!rc)
		rc = s->host->metric(s->ctx, &m_dropped, NULL, &s->m_dropped);
	if (!rc)
		rc = s->host->metric(s->ctx, &m_in_force, NULL, &s->m_in_force);
	return rc;
}

static void conf_check(const void *conf, void (*say)(void *arg, const char *key, const char *text),
		       void *arg)
{
	const struct enf_conf *c = conf;
	const char *const *v;
	char why[160];
	unsigned i;

	for (v = c->verbs; *v; v++) {
		for (i = 0; i <= LNX_ACTION_SIGNAL && strcmp(*v, enf_verbs[i]) != 0; i++)
			;
		if (i <= LNX_ACTION_SIGNAL)
			continue;
		(void)snprintf(why, sizeof(why),
			       "'%.60s' is not one of throttle, weight, freeze and signal",
			       *v); /* fits */
		say(arg, "verbs", why);
	}
	if (c->lease_ns > c->max_lease_ns)
		say(arg, "lease", "is longer than max_lease");
}

static int init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		void **ret_state)
{
	struct enforce *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->host = host;
	s->ctx = ctx;
	s->conf = conf;
	s->journal = s->guard.fd = s->guard.pidfd = -1;
	rc = make_metrics(s);
	if (!rc)
		rc = host->provide(ctx, "enforce/1", &enf_service, s);
	if (rc) {
		free(s);
		return rc;
	}
	*ret_state = s;
	return 0;
}

static const void *service(struct enforce *s, const char *name, void **ret_self)
{
	const void *vtable = NULL;

	return s->host->service(s->ctx, name, &vtable, ret_self) == 0 ? vtable : NULL;
}

static int start(void *state)
{
	struct enforce *s = state;
	int rc;

	s->proc = service(s, "proc/1", &s->proc_self);
	s->workload = service(s, "workload/1", &s->workload_self);
	s->store = service(s, "store/1", &s->store_self);
	s->stall = service(s, "stall/1", &s->stall_self);
	s->incident = service(s, "incident/1", &s->incident_self);
	s->http = service(s, "http/1", &s->http_self);
	if (!s->proc || !s->workload || !s->store)
		return -ENOENT;
	enf_mounts(s);
	open_journal(s);
	rc = enf_routes(s);
	if (!rc)
		rc = s->host->timer_add(s->ctx, ENF_SEC / 4, ENF_SEC / 4, tick, s, &s->tick);
	return rc;
}

static int on_event(void *state, const struct lnx_event *ev)
{
	switch (ev->type) {
	case LNX_EV_ACTION_REQUEST:
		return enf_request(state, ev);
	case LNX_EV_ALERT:
		return enf_alert(state, ev);
	}
	return -EINVAL;
}

static int reload(void *state, const void *conf)
{
	struct enforce *s = state;

	s->conf = conf;
	if (s->journal >= 0)
		tell_health(s, 0);
	return 0;
}

static void stop(void *state)
{
	struct enforce *s = state;

	s->is_stopping = 1;
	enf_undo_all(s, "linnix: the agent stops");
	for (const struct act *a = s->newest; a; a = a->next)
		if (a->owed)
			s->host->log(s->ctx, LNX_WARN,
				     "action %s: the store did not take what became of it", a->id);
	guard_quit(s);
	if (s->journal >= 0)
		(void)fsync(
			s->journal); /* the ends of what was undone; without them it is found undone */
}

static void fini(void *state)
{
	struct enforce *s = state;
	struct act *a, *next;

	guard_quit(s);
	journal_close(s);
	for (a = s->newest; a; a = next) {
		next = a->next;
		enf_act_free(a);
	}
	free(s);
}

#define OFF(m) offsetof(struct enf_conf, m)
#define R      LNX_OPTF_RELOAD
static const struct lnx_option options[] = {
	{ "dry_run", LNX_OPT_BOOL, OFF(dry_run), "true", 0, 0, NULL, R, 0,
	  "Only say what would be done, in every detail." },
	{ "auto", LNX_OPT_LIST, OFF(auto_rules), "", 0, 0, NULL, R, 0,
	  "Globs of rules whose requests are carried out without an approval, after grace." },
	{ "grace", LNX_OPT_DURATION, OFF(grace_ns), "15s", 0, 3600e9, NULL, R, 0,
	  "How long such a request waits: it can be rejected, and ends with its alert." },
	{ "ask_for", LNX_OPT_DURATION, OFF(ask_for_ns), "10m", 1e9, 86400e9, NULL, R, 0,
	  "How long other requests wait for an approval." },
	{ "lease", LNX_OPT_DURATION, OFF(lease_ns), "5m", 1e9, 86400e9, NULL, R, 0,
	  "After so long an action is taken back, unless its rule says otherwise." },
	{ "max_lease", LNX_OPT_DURATION, OFF(max_lease_ns), "1h", 1e9, 86400e9, NULL, R, 0,
	  "The longest lease that a rule may ask for." },
	{ "max_per_hour", LNX_OPT_U32, OFF(max_per_hour), "6", 1, ENF_HOURLY, NULL, R, 0,
	  "Actions carried out in an hour; more are refused." },
	{ "measure", LNX_OPT_DURATION, OFF(measure_ns), "10s", 3e9, 300e9, NULL, R, 0,
	  "How long the victim's stall is measured before and after an action." },
	{ "verbs", LNX_OPT_LIST, OFF(verbs), "throttle,weight,freeze,signal", 0, 0, NULL, R, 0,
	  "What may be done at all." },
	{ "protect", LNX_OPT_LIST, OFF(protect), "", 0, 0, NULL, R, 0,
	  "Globs of commands, cgroups and their folders that are never touched, beside those that are built in." },
	{ "journal", LNX_OPT_PATH, OFF(journal), "/var/lib/linnix/enforce.journal", 0, 0, NULL, 0,
	  0, "File of what is in force, for a start after a crash." },
	{ "guardian", LNX_OPT_PATH, OFF(guardian), "", 0, 0, NULL, 0, 0,
	  "Program that undoes actions when the agent dies; empty: the one beside the plugins." },
	{ "cgroup_root", LNX_OPT_PATH, OFF(cgroup_root), "", 0, 0, NULL, 0, 0,
	  "Where cgroup2 is mounted; empty: found in the mount table." },
	{ .key = NULL },
};

static const struct lnx_sub subs[] = {
	{ "action.request", LNX_STAGE_EXPORT, 64 },
	{ "alert", LNX_STAGE_EXPORT, 256 },
};
static const char *const needs[] = { "proc/1",	    "workload/1", "store/1", "stall/1?",
				     "incident/1?", "http/1?",	  NULL };
static const char *const provides[] = { "enforce/1", NULL };

static const struct lnx_plugin enforce_plugin = {
	.size = sizeof(enforce_plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "enforce",
	.version = "1.0",
	.summary = "carries out what rules ask for, if allowed, and takes it back",
	.options = options,
	.conf_size = sizeof(struct enf_conf),
	.n_subs = sizeof(subs) / sizeof(subs[0]),
	.subs = subs,
	.needs = needs,
	.provides = provides,
	.init = init,
	.start = start,
	.on_event = on_event,
	.reload = reload,
	.stop = stop,
	.fini = fini,
	.flags = LNX_PLUGINF_OFF,
	.keep_caps = 1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_KILL,
	.check = conf_check,
};

LNX_EXPORT const struct lnx_plugin *linnix_plugin_v1(void)
{
	return &enforce_plugin;
}
