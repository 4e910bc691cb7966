/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The state of each key of each rule, driven by events and by time: idle, pending (true, not for long enough), firing.
 * Time is that of events and of the bus; timers that are due run before an event that is later, so that a recording gives
 * what the live run gave. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linnix/ev_alert.h>
#include <linnix/ev_psi.h>
#include <linnix/ev_tree.h>

#include "lua_bind.h"

static void eval_set_state(struct lnx_key *key, uint8_t state)
{
	struct lnx_rule *rule = key->rule;

	rule->n_pending +=
		(unsigned)(state == LNX_KEY_PENDING) - (unsigned)(key->state == LNX_KEY_PENDING);
	rule->n_firing +=
		(unsigned)(state == LNX_KEY_FIRING) - (unsigned)(key->state == LNX_KEY_FIRING);
	key->state = state;
}

/* A stall is about its culprit: the cgroup, and the process of it that ran most. */
static void eval_culprit(const struct lnx_event *ev, struct lnx_subject *s)
{
	const struct lnx_ev_stall_edge *e = (const void *)ev;
	uint32_t n;

	if (!LNX_EV_HAS(ev, struct lnx_ev_stall_edge, culprit_comm) || !e->culprit_cgroup_id)
		return;
	n = e->culprit_comm.len;
	if (n >= sizeof(s->comm))
		n = sizeof(s->comm) - 1;
	s->kind = LNX_SUBJECT_CGROUP;
	s->cgroup_id = e->culprit_cgroup_id;
	s->pid = ev->pid;
	s->start_ns = e->culprit_start_ns;
	memcpy(s->comm, (const char *)ev + e->culprit_comm.off, n); /* the bus checked it */
}

/* The machine, with the root of the process tree that holds most of its stall. */
static void eval_node_tree(const struct lnx_event *ev, struct lnx_subject *s)
{
	const struct lnx_ev_stall_node *e = (const void *)ev;
	uint32_t n;

	if (!LNX_EV_HAS(ev, struct lnx_ev_stall_node, tree_comm) || !ev->pid)
		return;
	n = e->tree_comm.len;
	if (n >= sizeof(s->comm))
		n = sizeof(s->comm) - 1;
	s->pid = ev->pid;
	s->start_ns = e->tree_start_ns;
	s->cgroup_id = e->tree_cgroup_id;
	memcpy(s->comm, (const char *)ev + e->tree_comm.off, n); /* the bus checked it */
}

/* Of the process whose pid is a part of the key, when the event itself is about another one. */
static void eval_process(struct lnx_rules *r, uint32_t pid, struct lnx_subject *s)
{
	const struct lnx_svc_proc *svc;
	const struct lnx_proc *p;
	void *self = NULL;

	memset(s, 0, sizeof(*s));
	s->kind = LNX_SUBJECT_PROCESS;
	s->pid = pid;
	svc = r->conf.proc ? r->conf.proc(r->conf.arg, &self) : NULL;
	p = svc ? svc->get(self, pid, 0) : NULL;
	if (!p)
		return;
	s->start_ns = p->start_ns;
	s->cgroup_id = p->cgroup_id;
	(void)snprintf(s->comm, sizeof(s->comm), "%.16s", p->comm);
}

/* Part <i> of the key names a tree, container, cgroup or process: that is the subject. False: it names none. */
static bool eval_part(struct lnx_rules *r, const struct lnx_key *key, unsigned i,
		      struct lnx_subject *s)
{
	const struct lnx_rule_on *on = key->on;
	const char *name = on->by[i] ? on->by[i]->name : "";
	struct lnx_value v;

	if (key->rule->by[i] == LNX_BY_TREE) {
		lnx_tree_subject(r, on, r->ev, true, s);
		return true;
	}
	if (key->rule->by[i] == LNX_BY_CONTAINER) {
		lnx_tree_subject(r, on, r->ev, false, s);
		s->kind = LNX_SUBJECT_CGROUP;
		return true;
	}
	v = lnx_lua_bind_value(r, r->ev, on->by[i]);
	if (v.kind == LNX_VAL_U64 && strcmp(name, "cgroup_id") == 0) {
		s->kind = LNX_SUBJECT_CGROUP;
		s->cgroup_id = v.u64;
		return true;
	}
	if (v.kind != LNX_VAL_U64 || !(on->desc->flags & LNX_EVF_PROCESS) ||
	    (strcmp(name, "pid") != 0 && strcmp(name, "ppid") != 0 &&
	     strcmp(name, "child_pid") != 0))
		return false;
	lnx_tree_subject(r, on, r->ev, false, s);
	if (s->pid != v.u64)
		eval_process(r, (uint32_t)v.u64, s);
	return true;
}

/* Whom the alert is about, from the event that the rule looks at. Only an alert needs it. */
static void eval_subject(struct lnx_rules *r, struct lnx_key *key)
{
	const struct lnx_rule *rule = key->rule;
	const struct lnx_rule_on *on = key->on;
	struct lnx_subject s = { .kind = LNX_SUBJECT_NODE };
	const struct lnx_event *ev = r->ev;
	unsigned i;

	if (!ev || !on)
		return; /* the event could not be kept: the subject of before stands */
	if (ev->type == LNX_EV_STALL_EDGE)
		eval_culprit(ev, &s);
	else if (ev->type == LNX_EV_STALL_NODE)
		eval_node_tree(ev, &s);
	else if (!rule->n_bys && (on->desc->flags & LNX_EVF_PROCESS) && !rule->has_past)
		lnx_tree_subject(r, on, ev, false, &s);
	for (i = 0; s.kind == LNX_SUBJECT_NODE && !s.pid && i < rule->n_bys; i++)
		if (eval_part(r, key, i, &s))
			break;
	key->subject = s;
}

static void eval_fire(struct lnx_rules *r, struct lnx_key *key)
{
	struct lnx_rule *rule = key->rule;
	uint32_t severity = 0;

	if (key->has_fired && rule->cooldown_ns && r->now_ns - key->fired_ns < rule->cooldown_ns)
		return; /* still pending: it fires when the cooldown is over and the condition holds */
	if (lnx_call_severity(r, rule, &severity) < 0)
		return;
	eval_set_state(key, LNX_KEY_FIRING);
	key->has_fired = true;
	key->fired_ns = r->now_ns;
	key->severity = (uint8_t)severity;
	key->asked_s = 0;
	eval_subject(r, key);
	rule->fires++;
	lnx_alert_emit(r, key, LNX_ALERT_FIRING, severity, true);
}

/* A rise of severity is news; a fall is not. */
static void eval_escalate(struct lnx_rules *r, struct lnx_key *key)
{
	uint32_t severity = 0, before = key->severity;

	if (key->rule->severity == LUA_NOREF || before == LNX_SEV_CRITICAL ||
	    lnx_call_severity(r, key->rule, &severity) < 0 || severity <= before)
		return;
	key->severity = (uint8_t)severity;
	eval_subject(r, key);
	lnx_alert_emit(r, key, LNX_ALERT_FIRING, severity, before == LNX_SEV_INFO);
}

static void eval_resolve(struct lnx_rules *r, struct lnx_key *key)
{
	eval_set_state(key, LNX_KEY_IDLE);
	key->false_ns = 0;
	lnx_alert_emit(r, key, LNX_ALERT_RESOLVED, key->severity, false);
}

void lnx_eval_drop(struct lnx_rules *r, struct lnx_key *key)
{
	r->n_reads = 0;
	if (key->state == LNX_KEY_FIRING)
		eval_resolve(r, key);
	eval_set_state(key, LNX_KEY_IDLE);
}

/* The condition is known at now: move on. */
static void eval_step(struct lnx_rules *r, struct lnx_key *key, bool is_true)
{
	struct lnx_rule *rule = key->rule;
	/* samples come a little early or late */
	uint64_t now = r->now_ns, slack = rule->every_ns / 20, lasting = rule->lasting_ns;

	if (!is_true) {
		if (key->state == LNX_KEY_PENDING)
			eval_set_state(key, LNX_KEY_IDLE);
		if (key->state == LNX_KEY_FIRING && !key->false_ns)
			key->false_ns = now;
		if (key->state == LNX_KEY_FIRING && now + slack >= key->false_ns + rule->keep_ns)
			eval_resolve(r, key);
		return;
	}
	key->false_ns = 0;
	if (key->state == LNX_KEY_FIRING) {
		eval_escalate(r, key);
		if (lnx_alert_is_ask_due(r, key)) {
			eval_subject(r, key);
			lnx_alert_ask(r, key);
		}
		return;
	}
	if (key->state == LNX_KEY_IDLE) {
		key->since_ns = rule->lasting_windows && key->streak ? key->since_ns : now;
		eval_set_state(key, LNX_KEY_PENDING);
	}
	if (now + slack >= key->since_ns + lasting)
		eval_fire(r, key);
}

/* Windows that stand one after the other: close those that have ended. Returns whether the chain of true ones broke. */
static bool eval_roll(struct lnx_rules *r, struct lnx_key *key)
{
	struct lnx_rule *rule = key->rule;
	uint64_t w = rule->shortest_ns;
	bool is_broken = false;
	unsigned i;

	if (!key->anchor_ns)
		key->anchor_ns = r->now_ns;
	if (r->now_ns < key->anchor_ns + w)
		return false;
	while (r->now_ns >= key->anchor_ns + w) {
		key->streak = key->is_hit ? key->streak + 1 : 0;
		is_broken = is_broken || !key->is_hit;
		if (!key->is_hit) {
			/* nothing to keep: the next chain begins with what happens now */
			key->anchor_ns = r->now_ns;
			break;
		}
		key->is_hit = false;
		key->anchor_ns += w;
	}
	for (i = 0; i < rule->n_windows; i++)
		if (rule->windows[i].is_tumbling)
			lnx_window_clear(&rule->windows[i], lnx_key_window(key, &rule->windows[i]));
	return is_broken;
}

static void eval_schedule(struct lnx_rules *r, struct lnx_key *key)
{
	struct lnx_rule *rule = key->rule;
	uint64_t due = UINT64_MAX, end;

	if (key->state == LNX_KEY_IDLE || rule->every_ns) {
		/* a chain that began is closed by its next event */
		lnx_timer_set(r, key, UINT64_MAX);
		return;
	}
	if (rule->lasting_windows)
		due = key->anchor_ns + rule->shortest_ns;
	else if (rule->has_past)
		due = key->eval_ns + rule->look_ns;
	if (key->state == LNX_KEY_FIRING && key->false_ns) {
		end = key->false_ns + rule->keep_ns;
		due = end < due ? end : due;
	}
	if (due != UINT64_MAX && due <= r->now_ns)
		due = r->now_ns + 1;
	lnx_timer_set(r, key, due);
}

/* Look at the key at now. <ev> NULL: time made us look. */
static void eval_key(struct lnx_rules *r, struct lnx_rule *rule, struct lnx_key *key,
		     const struct lnx_event *ev)
{
	bool is_true = false;

	r->rule = rule;
	r->key = key;
	r->ev = ev ? ev : key->last;
	key->eval_ns = r->now_ns;
	r->n_reads = 0;
	if (!ev && (rule->lasting_windows || !rule->has_past)) {
		/* a chain only breaks by time, an event is over at once: there is nothing to ask */
		if (key->streak == 0 && !key->is_hit)
			eval_step(r, key, false);
	} else if (lnx_call_when(r, rule, &is_true) == 0) {
		if (is_true && ev && rule->has_past)
			lnx_key_keep(key, ev);
		if (is_true && rule->lasting_windows && !key->is_hit) {
			key->is_hit = true;
			if (key->streak == 0)
				key->since_ns = key->anchor_ns;
		}
		if (rule->lasting_windows)
			is_true = key->state == LNX_KEY_FIRING
					  ? key->is_hit || key->streak
					  : key->is_hit && key->streak + 1 >= rule->lasting_windows;
		eval_step(r, key, is_true);
		if (!rule->has_past && !rule->every_ns && key->state == LNX_KEY_FIRING)
			key->false_ns = r->now_ns;
	}
	eval_schedule(r, key);
	r->rule = NULL;
	r->key = NULL;
	r->ev = NULL;
}

/* A disabled rule lets go of its keys; what fires is resolved. */
static void eval_settle(struct lnx_rules *r, struct lnx_rule *rule)
{
	struct lnx_key *key;

	if (!rule->is_disabled || !rule->table)
		return;
	for (key = rule->newest; key; key = key->older)
		lnx_eval_drop(r, key);
	lnx_keys_done(r, rule);
}

void lnx_eval_timers(struct lnx_rules *r, uint64_t now_ns)
{
	while (r->n_timers && r->timers[0]->due_ns <= now_ns) {
		struct lnx_key *key = r->timers[0];
		struct lnx_rule *rule = key->rule;

		if (r->lua->total_max) {
			/* in a test a long time may pass at once */
			r->lua->total += LNX_EVAL_TIMER_WORK;
			if (lnx_lua_is_over(r->lua))
				return;
		}
		if (key->due_ns > r->now_ns)
			r->now_ns = key->due_ns;
		lnx_timer_set(r, key, UINT64_MAX);
		/* the call of another may have disabled it: its keys are let go */
		if (!rule->is_disabled) {
			if (rule->lasting_windows && eval_roll(r, key) &&
			    key->state == LNX_KEY_PENDING)
				eval_set_state(key, LNX_KEY_IDLE);
			eval_key(r, rule, key, NULL);
		}
		eval_settle(r, rule);
	}
	if (now_ns > r->now_ns)
		r->now_ns = now_ns;
}

/* --- events ------------------------------------------------------------------------------------- */

static void eval_feed(struct lnx_rules *r, struct lnx_rule *rule, const struct lnx_rule_on *on,
		      struct lnx_key *key, const struct lnx_event *ev)
{
	struct lnx_value v;
	uint64_t hash = 0;
	double d = 0;
	unsigned i;

	for (i = 0; i < rule->n_windows; i++) {
		const struct lnx_rule_feed *f = &on->feeds[i];
		const struct lnx_window *w = &rule->windows[i];

		if (!f->is_wanted || (f->n_where && !lnx_filter_match(r, f->where, f->n_where, ev)))
			continue;
		if (f->of) {
			v = lnx_lua_bind_value(r, ev, f->of);
			if (v.kind == LNX_VAL_NONE)
				continue;
			d = lnx_value_number(&v);
			if (w->fn == LNX_WIN_DISTINCT)
				hash = v.kind == LNX_VAL_STR
					       ? lnx_key_hash(v.str, v.size, 0)
					       : lnx_key_hash(&v.u64, sizeof(v.u64), 0);
		}
		lnx_window_add(w, lnx_key_window(key, w), r->now_ns, d, hash);
		if (w->fn == LNX_WIN_SHARE)
			lnx_window_add(w, (char *)rule->totals + w->offset, r->now_ns, d, hash);
	}
	for (i = 0; i < rule->n_series; i++) {
		const struct lnx_rule_feed *f = &on->feeds[LNX_RULE_WINDOWS + i];

		if (!f->is_wanted || (f->n_where && !lnx_filter_match(r, f->where, f->n_where, ev)))
			continue;
		v = lnx_lua_bind_value(r, ev, f->of);
		lnx_series_add(&rule->series[i], lnx_key_series(key, &rule->series[i]), r->now_ns,
			       lnx_value_number(&v));
	}
}

/* A key that fires is looked at once in a while: its windows go on counting. */
static bool eval_can_wait(const struct lnx_rules *r, const struct lnx_rule *rule,
			  const struct lnx_key *key)
{
	if (rule->lasting_windows)
		return key->is_hit &&
		       (key->state == LNX_KEY_FIRING || key->streak + 1 < rule->lasting_windows);
	return key->state == LNX_KEY_FIRING && rule->has_past && !rule->every_ns &&
	       !key->false_ns && r->now_ns < key->eval_ns + rule->look_ns;
}

/* Facts of the machine; a longer `every` sees their mean over it. */
static bool eval_host(struct lnx_rules *r, struct lnx_rule *rule, uint64_t window_ns)
{
	double w = window_ns ? (double)window_ns : 1e9;
	unsigned i;

	r->host = r->host_now;
	if (rule->every_ns <= (uint64_t)w + rule->every_ns / 20)
		return true;
	if (!rule->host_sum) {
		rule->host_sum = calloc(LNX_HOST_FACTS, sizeof(double));
		rule->host_weight = calloc(LNX_HOST_FACTS, sizeof(double));
		if (!rule->host_sum || !rule->host_weight)
			return true; /* the last second is better than nothing */
	}
	rule->host_ns += (uint64_t)w;
	for (i = 0; i < r->n_facts; i++)
		if (!isnan(r->host_now[i])) {
			rule->host_sum[i] += w * r->host_now[i];
			rule->host_weight[i] += w;
		}
	if (rule->host_ns + rule->every_ns / 20 < rule->every_ns)
		return false;
	for (i = 0; i < r->n_facts; i++)
		r->host_view[i] = r->facts[i].is_mean ? rule->host_sum[i] / rule->host_weight[i]
						      : r->host_now[i];
	memset(rule->host_sum, 0, LNX_HOST_FACTS * sizeof(double));
	memset(rule->host_weight, 0, LNX_HOST_FACTS * sizeof(double));
	rule->host_ns = 0;
	r->host = r->host_view;
	return true;
}

/* Is <ev> one of those that make the rule look? A longer `every` looks at its last sample. */
static bool eval_is_due(struct lnx_rules *r, struct lnx_rule *rule, const struct lnx_rule_on *on,
			const struct lnx_event *ev)
{
	if (!on->is_trigger)
		return false;
	if (!rule->every_ns)
		return true;
	return eval_host(r, rule,
			 LNX_EV_HAS(ev, struct lnx_ev_host_sample, window_ns)
				 ? ((const struct lnx_ev_host_sample *)ev)->window_ns
				 : 0);
}

static void eval_want(struct lnx_rules *r, struct lnx_rule *rule, struct lnx_rule_on *on,
		      const struct lnx_event *ev)
{
	struct lnx_key *key;
	bool is_wanted = true, is_due;

	if (on->n_where && !lnx_filter_match(r, on->where, on->n_where, ev) && !r->rehearsal)
		return;
	rule->events++;
	is_due = eval_is_due(r, rule, on, ev);
	if (!is_due && !rule->has_past)
		return;
	if (is_due && rule->where != LUA_NOREF) {
		r->rule = rule;
		r->ev = ev;
		if (lnx_call_where(r, rule, &is_wanted) < 0 || !is_wanted)
			goto out;
	}
	key = lnx_by_key(r, rule, on, ev);
	if (!key)
		goto out;
	if (rule->lasting_windows && eval_roll(r, key) && key->state == LNX_KEY_PENDING)
		eval_set_state(key, LNX_KEY_IDLE);
	if (rule->has_past)
		eval_feed(r, rule, on, key, ev);
	if (is_due && !eval_can_wait(r, rule, key)) {
		key->on = on;
		eval_key(r, rule, key, ev);
	}
out:
	r->rule = NULL;
	r->ev = NULL;
	r->host = r->host_now;
	eval_settle(r, rule);
}

static void eval_host_now(struct lnx_rules *r, const struct lnx_event *ev)
{
	struct lnx_value v;
	unsigned i;

	for (i = 0; i < r->n_facts; i++) {
		v = lnx_event_value(ev, r->facts[i].field);
		r->host_now[i] = lnx_value_number(&v);
	}
}

int lnx_eval_event(void *arg, const struct lnx_event *ev)
{
	struct lnx_rule_route *route = arg;
	struct lnx_rules *r = route->rules;
	unsigned i;

	lnx_eval_timers(r, ev->ts_ns);
	r->has_tree = false;
	if (r->host_desc && ev->type == r->host_desc->type)
		eval_host_now(r, ev);
	for (i = 0; i < route->n; i++) {
		struct lnx_rule *rule = route->wants[i].rule;

		if (r->only_file >= 0 && rule->file != (unsigned)r->only_file)
			continue;
		if (rule->is_disabled)
			eval_settle(r, rule); /* the call of another did it */
		else
			eval_want(r, rule, route->wants[i].on, ev);
	}
	return 0;
}

void lnx_eval_reset(struct lnx_rules *r)
{
	unsigned i;

	for (i = 0; i < r->n_rules; i++) {
		struct lnx_rule *rule = r->rules[i];

		lnx_keys_done(r, rule);
		free(rule->host_sum);
		free(rule->host_weight);
		rule->host_sum = rule->host_weight = NULL;
		rule->host_ns = 0;
		rule->events = rule->evals = rule->calls = rule->fires = 0;
		rule->evicted = rule->unkeyed = rule->timed = rule->timed_ns = 0;
		memset(rule->cost, 0, sizeof(rule->cost));
		memset(rule->failures, 0, sizeof(rule->failures));
		rule->failed = rule->n_recent = 0;
		rule->acts = rule->acts_aimless = rule->ignored = 0;
	}
	for (i = 0; i < r->n_facts; i++)
		r->host_now[i] = NAN;
	r->now_ns = 0;
}
