/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A recording through an agent without a machine: first its state, which no rule sees, then its events, each after the
 * timers that are due before it. Alerts of the live machine are not played again: the rules make their own. */
#include "replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linnix/ev_alert.h>
#include <linnix/plugin.h>

#include "app.h"
#include "lua_key.h"
#include "offline.h"

#define REPLAY_OPEN_BITS 14

struct replay {
	struct lnx_replay *out;
	uint32_t *open; /* buckets of alerts that fire: place + 1; 0: none */
	struct lnx_app *app;
	struct lnx_rules *rules;
	uint64_t seq; /* of the event that is played; 0: time goes on */
	int rc;
};

static char *replay_text(const struct lnx_event *ev, struct lnx_str s)
{
	char *text = malloc((size_t)s.len + 1);

	/* not strndup: it is inside an event, and need not end with a NUL */
	if (text) {
		memcpy(text, (const char *)ev + s.off,
		       s.len); /* the bus checked that it lies inside */
		text[s.len] = 0;
	}
	return text;
}

static void replay_copy(char *to, size_t cap, const struct lnx_event *ev, struct lnx_str s)
{
	(void)snprintf(to, cap, "%.*s", (int)s.len, (const char *)ev + s.off); /* cut is fine */
}

/* Where the alerts of <rule> and <key> that still fire are linked. */
static uint32_t *replay_bucket(struct replay *r, const char *rule, uint64_t key)
{
	return &r->open[lnx_key_hash(rule, strlen(rule), key) >> (64 - REPLAY_OPEN_BITS)];
}

/* The link to the alert of the same rule and key that still fires, or to the end of its bucket. */
static uint32_t *replay_open(struct replay *r, const struct lnx_ev_alert *a)
{
	char rule[sizeof(r->out->fires->rule)];
	uint32_t *at;

	replay_copy(rule, sizeof(rule), &a->h, a->rule);
	for (at = replay_bucket(r, rule, a->key); *at; at = &r->out->fires[*at - 1].next_open) {
		const struct lnx_replay_fire *f = &r->out->fires[*at - 1];

		if (f->key == a->key && strcmp(f->rule, rule) == 0)
			break;
	}
	return at;
}

static void replay_begin(struct replay *r, const struct lnx_ev_alert *a)
{
	struct lnx_replay *out = r->out;
	struct lnx_replay_fire *f;
	uint32_t *bucket;

	if (out->n == LNX_REPLAY_FIRES) {
		out->left_out++;
		return;
	}
	if (!out->fires || out->n == out->cap) {
		size_t cap = out->cap ? 2 * out->cap : 64;

		f = realloc(out->fires, cap * sizeof(*f));
		if (!f) {
			r->rc = -ENOMEM;
			return;
		}
		out->fires = f;
		out->cap = cap;
	}
	f = &out->fires[out->n];
	memset(f, 0, sizeof(*f));
	replay_copy(f->rule, sizeof(f->rule), &a->h, a->rule);
	replay_copy(f->comm, sizeof(f->comm), &a->h, a->subject_comm);
	f->workload = replay_text(&a->h, a->subject_workload);
	f->say = replay_text(&a->h, a->say);
	f->severity = a->severity;
	f->kind = a->subject_kind;
	f->pid = a->subject_pid;
	f->start_ns = a->subject_start_ns;
	f->cgroup_id = a->subject_cgroup_id;
	f->since_ns = a->since_ns;
	f->fired_ns = a->h.ts_ns;
	f->value = a->value;
	f->threshold = a->threshold;
	f->seq = r->seq;
	f->key = a->key;
	bucket = replay_bucket(r, f->rule, f->key);
	f->next_open = *bucket;
	*bucket = (uint32_t)++out->n;
	if (!f->workload || !f->say)
		r->rc = -ENOMEM;
}

static int replay_on_alert(void *arg, const struct lnx_event *ev)
{
	const struct lnx_ev_alert *a = (const void *)ev;
	struct replay *r = arg;
	uint32_t *at = replay_open(r, a);
	struct lnx_replay_fire *f = *at ? &r->out->fires[*at - 1] : NULL;
	char *say;

	if (a->state == LNX_ALERT_RESOLVED) {
		if (f) {
			f->resolved_ns = ev->ts_ns;
			*at = f->next_open;
		}
		return 0;
	}
	if (!f) {
		replay_begin(r, a);
		return 0;
	}
	/* a rise of severity: the sentence of then tells more */
	f->severity = a->severity > f->severity ? a->severity : f->severity;
	say = replay_text(ev, a->say);
	if (say) {
		free(f->say);
		f->say = say;
	}
	return 0;
}

static int replay_on_disabled(void *arg, const struct lnx_event *ev)
{
	const struct lnx_ev_rule_disabled *d = (const void *)ev;
	struct replay *r = arg;
	char file[256], error[200];

	if (r->out->disabled++)
		return 0;
	replay_copy(file, sizeof(file), ev, d->file);
	replay_copy(error, sizeof(error), ev, d->error);
	(void)snprintf(r->out->disabled_why, sizeof(r->out->disabled_why), "%s:%u: %s", file,
		       d->line, error); /* cut is fine: for people */
	return 0;
}

/* An alert of the live machine: counted, not played. */
static void replay_recorded(struct lnx_replay *out, const struct lnx_event *ev)
{
	const struct lnx_ev_alert *a = (const void *)ev;
	char rule[64];
	unsigned i;

	if (ev->type != LNX_EV_ALERT || a->state != LNX_ALERT_FIRING ||
	    !LNX_EV_HAS(ev, struct lnx_ev_alert, rule))
		return;
	replay_copy(rule, sizeof(rule), ev, a->rule);
	for (i = 0; i < out->n_recorded && strcmp(out->recorded[i].rule, rule) != 0; i++)
		;
	if (i == LNX_REPLAY_RULES)
		return;
	if (i == out->n_recorded) {
		memcpy(out->recorded[i].rule, rule, sizeof(rule));
		out->n_recorded++;
	}
	out->recorded[i].n++;
}

static const struct lnx_svc_proc *replay_proc(void *arg, void **ret_self)
{
	const struct lnx_app *app = arg;
	const void *vtable;

	return lnx_services_find(app->services, "proc/1", &vtable, ret_self) == 0 ? vtable : NULL;
}

static int replay_rules(struct replay *r, const struct lnx_replay_conf *conf,
			struct lnx_buf *errors)
{
	struct lnx_rules_conf rules = { .dirs = conf->dirs,
					.files = conf->files,
					.bus = r->app->bus,
					.registry = r->app->registry,
					.proc = replay_proc,
					.tags = r->app->tags,
					.arg = r->app };
	int rc = lnx_rules_new(&rules, errors, &r->rules);

	if (rc < 0)
		return rc;
	if (lnx_rules_errors(r->rules))
		return -EINVAL;
	r->out->n_rules = lnx_rules_count(r->rules);
	rc = lnx_bus_subscribe(r->app->bus, "replay", LNX_EV_ALERT, LNX_STAGE_EXPORT, 0,
			       replay_on_alert, r, NULL);
	if (rc == 0)
		rc = lnx_bus_subscribe(r->app->bus, "replay", LNX_EV_RULE_DISABLED,
				       LNX_STAGE_EXPORT, 0, replay_on_disabled, r, NULL);
	return rc;
}

static void replay_tick(struct replay *r, uint64_t now_ns)
{
	if (lnx_rules_next_ns(r->rules) > now_ns)
		return;
	r->seq = 0;
	lnx_bus_set_now(r->app->bus, now_ns);
	lnx_rules_tick(r->rules, now_ns);
}

static int replay_events(struct replay *r, struct lnx_rec_reader *reader)
{
	struct lnx_rec_event e;
	bool is_started = false;
	uint64_t now = 0;
	int rc = 0;

	while (rc == 0 && r->rc == 0 && lnx_rec_next(reader, &e)) {
		if (!e.is_state && !is_started) {
			rc = lnx_rules_start(r->rules);
			is_started = true;
		}
		if (e.ev->type == LNX_EV_ALERT || e.ev->type == LNX_EV_RULE_DISABLED) {
			replay_recorded(r->out, e.ev);
			continue;
		}
		if (is_started && e.ev->ts_ns > now) {
			now = e.ev->ts_ns;
			replay_tick(r, now);
		}
		r->seq = e.meta.seq;
		(void)lnx_bus_deliver(r->app->bus, e.ev, e.ev->size); /* the reader checked it */
	}
	if (is_started)
		replay_tick(r, now);
	return rc < 0 ? rc : r->rc;
}

int lnx_replay_run(const struct lnx_replay_conf *conf, struct lnx_buf *errors,
		   struct lnx_replay *ret_replay, struct lnx_err *err)
{
	struct replay r = { .out = ret_replay };
	struct lnx_rec_reader *reader = NULL;
	int rc;

	memset(ret_replay, 0, sizeof(*ret_replay));
	r.open = calloc(1u << REPLAY_OPEN_BITS, sizeof(*r.open));
	rc = r.open ? lnx_offline_new(conf->plugins_dir, &r.app) : -ENOMEM;
	if (rc == 0)
		rc = lnx_rec_open_adopting(conf->data, conf->size, r.app->registry, &reader, err);
	if (rc == 0)
		rc = replay_rules(&r, conf, errors);
	if (rc == 0)
		rc = replay_events(&r, reader);
	if (reader)
		ret_replay->report = *lnx_rec_report(reader);
	if (r.rules)
		ret_replay->failed = lnx_rules_failed(r.rules, ret_replay->failed_why,
						      sizeof(ret_replay->failed_why));
	lnx_rules_free(r.rules);
	lnx_offline_free(r.app);
	lnx_rec_close(reader); /* it describes events that the others knew */
	free(r.open);
	if (rc < 0)
		lnx_replay_done(ret_replay);
	return rc;
}

void lnx_replay_done(struct lnx_replay *r)
{
	size_t i;

	for (i = 0; i < r->n; i++) {
		free(r->fires[i].workload);
		free(r->fires[i].say);
	}
	free(r->fires);
	r->fires = NULL;
	r->n = r->cap = 0;
}
