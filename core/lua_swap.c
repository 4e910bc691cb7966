/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* From one rule set to the next: what did not change goes on as if nothing had happened. */
#include <stdlib.h>
#include <string.h>

#include "lua_engine.h"

static struct lnx_rule *swap_find(const struct lnx_rules *from, const struct lnx_rules *to,
				  const struct lnx_rule *rule)
{
	unsigned i;

	for (i = 0; i < from->n_rules; i++) {
		struct lnx_rule *old = from->rules[i];

		if (from->files[old->file].hash == to->files[rule->file].hash &&
		    old->is_shadow == rule->is_shadow && strcmp(old->name, rule->name) == 0)
			return old;
	}
	return NULL;
}

/* Keys point to their rule and to one of its event types, and wait in the heap of their engine. */
static void swap_keys(struct lnx_rules *to, struct lnx_rule *rule, struct lnx_rules *from,
		      struct lnx_rule *old)
{
	struct lnx_key *key;
	uint64_t due_ns;

	for (key = old->newest; key; key = key->older) {
		due_ns = key->timer ? key->due_ns : UINT64_MAX;
		lnx_timer_set(from, key, UINT64_MAX);
		key->rule = rule;
		if (key->on)
			key->on = &rule->ons[key->on - old->ons];
		lnx_timer_set(to, key, due_ns);
	}
	rule->table = old->table;
	rule->totals = old->totals;
	rule->newest = old->newest;
	rule->oldest = old->oldest;
	rule->n_keys = old->n_keys;
	rule->text_bytes = old->text_bytes;
	rule->n_pending = old->n_pending;
	rule->n_firing = old->n_firing;
	rule->host_sum = old->host_sum;
	rule->host_weight = old->host_weight;
	rule->host_ns = old->host_ns;
	old->table = NULL;
	old->totals = NULL;
	old->newest = old->oldest = NULL;
	old->n_keys = old->n_pending = old->n_firing = 0;
	old->host_sum = old->host_weight = NULL;
}

static void swap_counters(struct lnx_rules *to, struct lnx_rule *rule, const struct lnx_rule *old)
{
	uint32_t severity;

	/* a series goes with its last owner, and the set before is about to */
	for (severity = 0; severity < sizeof(old->m_alerts) / sizeof(old->m_alerts[0]); severity++)
		if (to->conf.metrics && old->m_alerts[severity])
			(void)lnx_alert_counter(to, rule, severity);
	rule->evals = old->evals;
	rule->calls = old->calls;
	rule->fires = old->fires;
	rule->events = old->events;
	rule->evicted = old->evicted;
	rule->unkeyed = old->unkeyed;
	rule->failed = old->failed;
	memcpy(rule->failures, old->failures, sizeof(rule->failures));
	rule->ignored = old->ignored;
	rule->acts = old->acts;
	rule->acts_aimless = old->acts_aimless;
	rule->timed = old->timed;
	rule->timed_ns = old->timed_ns;
	rule->error_line = old->error_line;
	rule->n_recent = old->n_recent;
	memcpy(rule->error, old->error, sizeof(rule->error));
	memcpy(rule->cost, old->cost, sizeof(rule->cost));
	memcpy(rule->told, old->told, sizeof(rule->told));
	memcpy(rule->recent, old->recent, sizeof(rule->recent));
}

/* What fires in a rule that is no more, or that is another one now, is over. */
static void swap_resolve(struct lnx_rules *from)
{
	struct lnx_key *key;
	unsigned i;

	from->is_ticking = true;
	for (i = 0; i < from->n_rules; i++) {
		for (key = from->rules[i]->newest; key; key = key->older)
			lnx_eval_drop(from, key);
		lnx_keys_done(from, from->rules[i]);
	}
	from->is_ticking = false;
	lnx_rules_flush(from);
}

void lnx_rules_succeed(struct lnx_rules *to, struct lnx_rules *from, bool is_asked)
{
	struct lnx_rule *old;
	unsigned i;

	lnx_rules_stop(from);
	to->now_ns = from->now_ns;
	memcpy(to->host_now, from->host_now, sizeof(to->host_now));
	for (i = 0; i < to->n_rules; i++) {
		struct lnx_rule *rule = to->rules[i];

		old = swap_find(from, to, rule);
		if (!old || (old->is_disabled && is_asked))
			continue;
		swap_keys(to, rule, from, old);
		swap_counters(to, rule, old);
		if (old->is_disabled)
			lnx_call_drop(to, rule);
	}
	swap_resolve(from);
	to->alerts_lost += from->alerts_lost;
	to->denied_before = from->denied_before + from->lua->denied;
}

void lnx_rules_refused(struct lnx_rules *r, const struct lnx_rules *attempt)
{
	lnx_buf_reset(&r->refused_json);
	r->has_refused = attempt != NULL;
	if (!attempt)
		return;
	r->refused_hash = attempt->hash;
	if (attempt->errors_json.size)
		lnx_buf_add(&r->refused_json, attempt->errors_json.data, attempt->errors_json.size);
}
