/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the engine says of itself: GET /rules and metrics. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lua_engine.h"

static const char *const tell_severities[] = { "info", "warning", "critical" };

/* Four bins to each power of two: within a fifth of the truth. */
void lnx_cost_add(struct lnx_rule *rule, uint64_t ns)
{
	unsigned bin = 0;

	if (ns > 3) {
		unsigned e = 63 - (unsigned)__builtin_clzll(ns);

		bin = 4 * e + (unsigned)(ns >> (e - 2) & 3);
	}
	rule->cost[bin < LNX_RULE_COST_BINS ? bin : LNX_RULE_COST_BINS - 1]++;
	rule->timed_ns += ns;
	rule->timed++;
}

/* Upper end of the bin in which the hundredth part begins; 0 when nothing was timed. */
static double tell_p99(const struct lnx_rule *rule)
{
	uint64_t seen = 0;
	unsigned i;

	for (i = 0; i < LNX_RULE_COST_BINS; i++) {
		seen += rule->cost[i];
		if (seen && seen * 100 >= rule->timed * 99)
			return ldexp(1 + (i % 4 + 1) / 4., (int)(i / 4));
	}
	return 0;
}

static double tell_ns_total(const struct lnx_rule *rule)
{
	return rule->timed
		       ? round((double)rule->timed_ns / (double)rule->timed * (double)rule->calls)
		       : 0;
}

static uint64_t tell_memory(const struct lnx_rule *rule)
{
	return sizeof(*rule) + rule->n_keys * rule->key_bytes + rule->text_bytes +
	       (rule->table ? rule->n_buckets * sizeof(void *) + rule->key_bytes : 0);
}

static void tell_recent(const struct lnx_rules *r, const struct lnx_rule *rule, struct lnx_buf *out)
{
	unsigned n = rule->n_recent < LNX_RULE_RECENT ? rule->n_recent : LNX_RULE_RECENT, i;

	lnx_json_key(out, "recent");
	lnx_buf_char(out, '[');
	for (i = 0; i < n; i++) {
		const struct lnx_rule_recent *x =
			&rule->recent[(rule->n_recent - n + i) % LNX_RULE_RECENT];

		lnx_json_next(out);
		lnx_buf_char(out, '{');
		if (r->conf.wall_ns) {
			lnx_json_key(out, "ts");
			lnx_json_ts(out, r->conf.wall_ns(r->conf.arg, x->ts_ns));
		}
		lnx_json_kv_u64(out, "boot_ns", x->ts_ns);
		lnx_json_kv_str(out, "state", x->state ? "resolved" : "firing");
		lnx_json_kv_str(out, "severity", tell_severities[x->severity % 3]);
		lnx_json_kv_str(out, "key", x->key);
		lnx_json_kv_u64(out, "pid", x->pid);
		lnx_json_kv_str(out, "comm", x->comm);
		lnx_json_kv_f64(out, "value", x->value);
		lnx_buf_char(out, '}');
	}
	lnx_buf_char(out, ']');
}

static const char *tell_state(const struct lnx_rule *rule)
{
	return rule->is_disabled ? "disabled"
	       : rule->n_firing	 ? "firing"
	       : rule->n_pending ? "pending"
				 : "idle";
}

static void tell_cost(const struct lnx_rule *rule, struct lnx_buf *out)
{
	lnx_json_kv_u64(out, "events", rule->events);
	lnx_json_kv_u64(out, "evals", rule->evals);
	lnx_json_kv_u64(out, "calls", rule->calls);
	lnx_json_kv_f64(out, "ns_total", tell_ns_total(rule));
	lnx_json_kv_f64(out, "ns_per_call",
			rule->timed ? round((double)rule->timed_ns / (double)rule->timed) : 0);
	lnx_json_kv_f64(out, "ns_p99", tell_p99(rule));
	lnx_json_kv_u64(out, "keys", rule->n_keys);
	lnx_json_kv_u64(out, "keys_max", rule->max_keys);
	lnx_json_kv_u64(out, "keys_evicted", rule->evicted);
	lnx_json_kv_u64(out, "unkeyed", rule->unkeyed);
	lnx_json_kv_u64(out, "memory_bytes", tell_memory(rule));
}

/* The active rule that a shadow stands beside, by its name. */
static void tell_beside(const struct lnx_rules *r, const struct lnx_rule *shadow,
			struct lnx_buf *out)
{
	unsigned i;

	lnx_json_key(out, "beside");
	for (i = 0; i < r->n_rules; i++) {
		const struct lnx_rule *rule = r->rules[i];

		if (rule->is_shadow || strcmp(rule->name, shadow->name) != 0)
			continue;
		lnx_buf_char(out, '{');
		lnx_json_kv_str(out, "file", r->files[rule->file].path);
		lnx_json_kv_u64(out, "line", (uint64_t)rule->line);
		lnx_json_kv_str(out, "state", tell_state(rule));
		lnx_json_kv_u64(out, "fired", rule->fires);
		lnx_json_kv_u64(out, "firing", rule->n_firing);
		tell_recent(r, rule, out);
		lnx_buf_char(out, '}');
		return;
	}
	lnx_buf_str(out, "null");
}

static void tell_rule(const struct lnx_rules *r, const struct lnx_rule *rule, struct lnx_buf *out)
{
	unsigned i;

	lnx_buf_char(out, '{');
	lnx_json_kv_str(out, "name", rule->name);
	lnx_json_kv_str(out, "file", r->files[rule->file].path);
	lnx_json_kv_u64(out, "line", (uint64_t)rule->line);
	lnx_json_kv_str(out, "mode", rule->is_shadow ? "shadow" : "active");
	lnx_json_kv_str(out, "severity",
			rule->severity == LUA_NOREF ? tell_severities[rule->severity_is]
						    : "by function");
	lnx_json_kv_str(out, "state", tell_state(rule));
	lnx_json_key(out, "on");
	lnx_buf_char(out, '[');
	for (i = 0; i < rule->n_ons; i++) {
		lnx_json_next(out);
		lnx_json_str(out, rule->ons[i].desc->name);
	}
	lnx_buf_char(out, ']');
	lnx_json_kv_str(out, "by", rule->by_text);
	lnx_json_kv_u64(out, "ignored", rule->ignored);
	lnx_json_kv_u64(out, "fired", rule->fires);
	lnx_json_kv_u64(out, "pending", rule->n_pending);
	lnx_json_kv_u64(out, "firing", rule->n_firing);
	tell_recent(r, rule, out);
	if (rule->is_shadow)
		tell_beside(r, rule, out);
	if (rule->act.is_set) {
		lnx_json_kv_u64(out, "acts_requested", rule->acts);
		lnx_json_kv_u64(out, "acts_aimless", rule->acts_aimless);
	}
	tell_cost(rule, out);
	lnx_json_kv_u64(out, "failures", rule->failed);
	lnx_json_kv_str(out, "error", rule->error);
	lnx_json_kv_u64(out, "error_line", (uint64_t)rule->error_line);
	lnx_buf_char(out, '}');
}

void lnx_rules_json(const struct lnx_rules *r, struct lnx_buf *out)
{
	const struct lnx_buf *errors;
	unsigned i;

	lnx_buf_char(out, '{');
	lnx_json_kv_u64(out, "generation", r->conf.generation ? r->conf.generation : 1);
	lnx_json_key(out, "hash");
	lnx_buf_printf(out, "\"%016" PRIx64 "\"", r->hash);
	lnx_json_kv_u64(out, "lua_bytes", r->lua->used_bytes);
	lnx_json_kv_u64(out, "lua_max_bytes", r->lua->max_bytes);
	lnx_json_kv_u64(out, "lua_denied", r->denied_before + r->lua->denied);
	lnx_json_kv_bool(out, "timers_short", r->is_timers_short);
	lnx_json_kv_u64(out, "alerts_lost", r->alerts_lost);
	if (r->has_refused) {
		lnx_json_key(out, "refused_hash");
		lnx_buf_printf(out, "\"%016" PRIx64 "\"", r->refused_hash);
	}
	lnx_json_key(out, "errors");
	lnx_buf_char(out, '[');
	errors = r->has_refused ? &r->refused_json : &r->errors_json;
	if (errors->size)
		lnx_buf_add(out, errors->data, errors->size);
	lnx_buf_char(out, ']');
	lnx_json_key(out, "rules");
	lnx_buf_char(out, '[');
	for (i = 0; i < r->n_rules; i++) {
		lnx_json_next(out);
		tell_rule(r, r->rules[i], out);
	}
	lnx_buf_str(out, "]}");
}

/* --- metrics ------------------------------------------------------------------------------------ */

static void tell_figure(struct lnx_rules *r, struct lnx_rule *rule, unsigned i, const char *label)
{
	static const char *const rule_label[] = { "rule", NULL };
	static const struct lnx_metric_desc descs[LNX_RULE_FIGURES] = {
		{ .name = "linnix_rule_calls_total",
		  .help = "Calls of a rule's functions.",
		  .kind = LNX_COUNTER,
		  .labels = rule_label },
		{ .name = "linnix_rule_seconds_total",
		  .help = "Time in a rule's functions, from one call in 17.",
		  .kind = LNX_COUNTER,
		  .labels = rule_label },
		{ .name = "linnix_rule_keys",
		  .help = "Keys that a rule follows.",
		  .kind = LNX_GAUGE,
		  .labels = rule_label },
		{ .name = "linnix_rule_memory_bytes",
		  .help = "Memory of a rule and its keys, without Lua.",
		  .kind = LNX_GAUGE,
		  .labels = rule_label },
		{ .name = "linnix_rule_keys_evicted_total",
		  .help = "Keys of a rule that gave way to newer ones.",
		  .kind = LNX_COUNTER,
		  .labels = rule_label },
		{ .name = "linnix_rule_p99_seconds",
		  .help = "99 of 100 calls of a rule's functions take no longer, of one call in 17.",
		  .kind = LNX_GAUGE,
		  .labels = rule_label },
	};

	/* a series that does not fit is counted by the registry; the rule runs without */
	(void)lnx_metrics_series(r->conf.metrics, &descs[i], &label, r, &rule->m_figures[i]);
}

void lnx_rules_collect(const struct lnx_rules *r)
{
	unsigned i, k;

	if (r->m_lost)
		lnx_metric_set(r->m_lost, (double)r->alerts_lost);
	if (r->m_denied)
		lnx_metric_set(r->m_denied, (double)(r->denied_before + r->lua->denied));
	for (i = 0; r->conf.metrics && i < r->n_rules; i++) {
		struct lnx_rule *rule = r->rules[i];
		const double now[LNX_RULE_FIGURES] = {
			(double)rule->calls,	   tell_ns_total(rule) / 1e9, rule->n_keys,
			(double)tell_memory(rule), (double)rule->evicted,     tell_p99(rule) / 1e9
		};

		for (k = 0; k < LNX_RULE_FIGURES; k++)
			if (!rule->m_figures[k])
				;
			else if (k == 2 || k == 3 || k == 5)
				lnx_metric_set(rule->m_figures[k], now[k]);
			else if (now[k] > rule->told[k]) {
				/* a rule of before may have counted in the same series */
				lnx_metric_add(rule->m_figures[k], now[k] - rule->told[k]);
				rule->told[k] = now[k];
			}
	}
}

void lnx_rules_metrics(struct lnx_rules *r)
{
	static const char *const hash_label[] = { "hash", NULL };
	static const double bounds[] = { 2e-7, 5e-7, 1e-6, 2e-6, 5e-6, 1e-5, 1e-4, 1e-3, 1e-2 };
	static const struct lnx_metric_desc eval = {
		.name = "linnix_rule_eval_seconds",
		.help = "Cost of one evaluation, of all rules; one in 17 of each measured.",
		.kind = LNX_HISTOGRAM,
		.n_buckets = sizeof(bounds) / sizeof(bounds[0]),
		.buckets = bounds
	};
	static const struct lnx_metric_desc info = { .name = "linnix_rules_generation_info",
						     .help = "Hash of the rules that run.",
						     .kind = LNX_GAUGE,
						     .labels = hash_label };
	static const struct lnx_metric_desc lost = {
		.name = "linnix_rules_alerts_lost_total",
		.help = "Alerts of rules that the bus did not take.",
		.kind = LNX_COUNTER
	};
	static const struct lnx_metric_desc denied = {
		.name = "linnix_rules_lua_denied_total",
		.help = "Allocations of rules that their memory cap refused.",
		.kind = LNX_COUNTER
	};
	char text[LNX_RULE_NAME + 16];
	const char *value = text;
	struct lnx_metric *m;
	unsigned i, k;

	if (!r->conf.metrics)
		return;
	(void)snprintf(text, sizeof(text), "%016" PRIx64, r->hash);
	if (lnx_metrics_series(r->conf.metrics, &info, &value, r, &m) == 0)
		lnx_metric_set(m, 1);
	/* a series that does not fit is counted by the registry; GET /rules tells it too */
	(void)lnx_metrics_series(r->conf.metrics, &lost, NULL, r, &r->m_lost);
	(void)lnx_metrics_series(r->conf.metrics, &denied, NULL, r, &r->m_denied);
	for (i = 0; i < r->n_rules; i++) {
		struct lnx_rule *rule = r->rules[i];

		/* a shadow may have the name of an active rule */
		(void)snprintf(text, sizeof(text), "%s%s", rule->name,
			       rule->is_shadow ? " (shadow)" : "");
		/* one for all of them: a dozen series for each rule would be more than all else */
		(void)lnx_metrics_series(r->conf.metrics, &eval, NULL, r, &rule->m_eval);
		for (k = 0; k < LNX_RULE_FIGURES; k++)
			tell_figure(r, rule, k, text);
	}
}
