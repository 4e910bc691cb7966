/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The rule engine as the agent sees it: load a set, start it on the bus, tick, tell. */
#include "lua_host.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linnix/plugin.h>

#include "lua_bind.h"
#include "lua_load.h"
#include "lua_parse.h"

#define LNX_LATE_BYTES (1u << 20) /* of alerts that one tick may make */

/* Alerts of a tick wait until it is over: a publish outside of a handler runs at once, and its handlers may be rules. */
static int rules_emit(struct lnx_rules *r, const struct lnx_event *ev)
{
	static const char zero[8];

	if (!r->conf.bus)
		return 0;
	if (!r->is_ticking)
		return lnx_bus_publish(r->conf.bus, ev);
	lnx_buf_add(&r->late, ev, ev->size);
	lnx_buf_add(&r->late, zero, (8 - ev->size % 8) % 8);
	return lnx_buf_error(&r->late);
}

static int rules_want(struct lnx_rules *r, const struct lnx_event_desc *desc, struct lnx_rule *rule,
		      struct lnx_rule_on *on)
{
	struct lnx_rule_route *route = &r->routes[lnx_registry_index(r->conf.registry, desc->type)];
	struct lnx_rule_want *p;

	route->rules = r;
	if (!rule)
		return 0;
	if (!(route->n & (route->n - 1))) {
		p = realloc(route->wants, (route->n ? 2 * route->n : 1) * sizeof(*p));
		if (!p)
			return -ENOMEM;
		route->wants = p;
	}
	route->wants[route->n].rule = rule;
	route->wants[route->n++].on = on;
	return 0;
}

static int rules_route(struct lnx_rules *r)
{
	unsigned i, k;
	int rc = 0;

	/* `host` in any rule needs the facts */
	if (r->n_rules && r->host_desc)
		rc = rules_want(r, r->host_desc, NULL, NULL);
	for (i = 0; i < r->n_rules; i++)
		for (k = 0; rc == 0 && k < r->rules[i]->n_ons; k++)
			rc = rules_want(r, r->rules[i]->ons[k].desc, r->rules[i],
					&r->rules[i]->ons[k]);
	return rc;
}

int lnx_rules_new(const struct lnx_rules_conf *conf, struct lnx_buf *errors,
		  struct lnx_rules **ret_rules)
{
	struct lnx_rules *r = calloc(1, sizeof(*r));
	const char *const *p;
	int rc;

	if (!r)
		return -ENOMEM;
	r->conf = *conf;
	r->emit = rules_emit;
	r->only_file = -1;
	r->late.max = LNX_LATE_BYTES;
	lnx_lua_bind_facts(r);
	rc = lnx_lua_new(conf->memory_max, conf->budget, &r->lua);
	if (rc == 0) {
		r->lua->owner = r;
		rc = lnx_lua_call(r->lua, lnx_lua_bind_open, r, 0, NULL) < 0 ? -ENOMEM : 0;
	}
	for (p = conf->files; rc == 0 && p && *p; p++)
		rc = lnx_load_file(r, *p, errors);
	for (p = conf->files ? NULL : conf->dirs; rc == 0 && p && *p; p++)
		rc = lnx_load_dir(r, *p, errors);
	if (rc == 0)
		rc = rules_route(r);
	if (rc == 0)
		rc = lnx_buf_error(&r->errors_json);
	if (rc < 0) {
		lnx_rules_free(r);
		return -ENOMEM;
	}
	*ret_rules = r;
	return 0;
}

void lnx_rules_free(struct lnx_rules *r)
{
	unsigned i;

	if (!r)
		return;
	for (i = 0; i < LNX_MAX_TYPES; i++) {
		if (r->routes[i].sub)
			lnx_bus_unsubscribe(r->conf.bus, r->routes[i].sub);
		free(r->routes[i].wants);
	}
	if (r->conf.metrics && r->is_started)
		lnx_metrics_del_owner(r->conf.metrics, r);
	for (i = 0; i < r->n_rules; i++)
		lnx_rule_free(r, r->rules[i]);
	for (i = 0; i < r->n_files; i++)
		free(r->files[i].path);
	lnx_lua_free(r->lua);
	lnx_buf_done(&r->errors_json);
	lnx_buf_done(&r->late);
	free(r->rules);
	free(r->files);
	free(r->tests);
	free(r->timers);
	free(r);
}

static void rules_metrics(struct lnx_rules *r)
{
	static const char *const rule_label[] = { "rule", NULL }, *const hash_label[] = { "hash",
											  NULL };
	static const double bounds[] = { 2e-7, 5e-7, 1e-6, 2e-6, 5e-6, 1e-5, 1e-4, 1e-3, 1e-2 };
	static const struct lnx_metric_desc eval = {
		.name = "linnix_rule_eval_seconds",
		.help = "Cost of one evaluation of a rule, one in 16 measured.",
		.kind = LNX_HISTOGRAM,
		.n_buckets = sizeof(bounds) / sizeof(bounds[0]),
		.labels = rule_label,
		.buckets = bounds
	};
	static const struct lnx_metric_desc evicted = {
		.name = "linnix_rule_keys_evicted_total",
		.help = "Keys of a rule that gave way to newer ones.",
		.kind = LNX_COUNTER,
		.labels = rule_label
	};
	static const struct lnx_metric_desc info = { .name = "linnix_rules_generation_info",
						     .help = "Hash of the rules that run.",
						     .kind = LNX_GAUGE,
						     .labels = hash_label };
	struct lnx_metric *m;
	char hash[20];
	const char *value = hash;
	unsigned i;

	if (!r->conf.metrics)
		return;
	(void)snprintf(hash, sizeof(hash), "%016" PRIx64, r->hash);
	if (lnx_metrics_series(r->conf.metrics, &info, &value, r, &m) == 0)
		lnx_metric_set(m, 1);
	/* a series that does not fit is counted by the registry; the rule runs without */
	for (i = 0; i < r->n_rules; i++) {
		value = r->rules[i]->name;
		(void)lnx_metrics_series(r->conf.metrics, &eval, &value, r, &r->rules[i]->m_eval);
		(void)lnx_metrics_series(r->conf.metrics, &evicted, &value, r,
					 &r->rules[i]->m_evicted);
	}
}

int lnx_rules_start(struct lnx_rules *r)
{
	unsigned i;
	int rc = 0;

	if (!r->conf.bus)
		return -EINVAL;
	if (r->is_started)
		return -EALREADY;
	/* tests have run by now: let go of what they hold */
	for (i = 0; i < r->n_tests; i++) {
		luaL_unref(r->lua->L, LUA_REGISTRYINDEX, r->tests[i].feed);
		luaL_unref(r->lua->L, LUA_REGISTRYINDEX, r->tests[i].fires);
	}
	r->n_tests = 0;
	r->is_started = true;
	rules_metrics(r);
	for (i = 0; rc == 0 && i < lnx_registry_count(r->conf.registry); i++)
		if (r->routes[i].rules)
			rc = lnx_bus_subscribe(r->conf.bus, "rules",
					       lnx_registry_at(r->conf.registry, i)->type,
					       LNX_STAGE_DETECT, 0, lnx_eval_event, &r->routes[i],
					       &r->routes[i].sub);
	return rc;
}

void lnx_rules_tick(struct lnx_rules *r, uint64_t now_ns)
{
	size_t at;

	r->is_ticking = true;
	lnx_eval_timers(r, now_ns);
	r->is_ticking = false;
	for (at = 0; at < r->late.size;) {
		const struct lnx_event *ev = (const struct lnx_event *)(r->late.data + at);

		at += (ev->size + 7) & ~(size_t)7;
		if (at <= r->late.size && lnx_bus_publish(r->conf.bus, ev) < 0)
			r->alerts_lost++;
	}
	lnx_buf_reset(&r->late);
}

uint64_t lnx_rules_next_ns(const struct lnx_rules *r)
{
	return r->n_timers ? r->timers[0]->due_ns : UINT64_MAX;
}

static void rules_json_one(const struct lnx_rules *r, const struct lnx_rule *rule,
			   struct lnx_buf *out)
{
	static const char *const severities[] = { "info", "warning", "critical" };
	double per_call = rule->timed ? (double)rule->timed_ns / (double)rule->timed : 0;
	unsigned i;

	lnx_buf_char(out, '{');
	lnx_json_kv_str(out, "name", rule->name);
	lnx_json_kv_str(out, "file", r->files[rule->file].path);
	lnx_json_kv_u64(out, "line", (uint64_t)rule->line);
	lnx_json_kv_str(out, "severity",
			rule->severity == LUA_NOREF ? severities[rule->severity_is]
						    : "by function");
	lnx_json_kv_str(out, "state",
			rule->is_disabled ? "disabled"
			: rule->n_firing  ? "firing"
			: rule->n_pending ? "pending"
					  : "idle");
	lnx_json_key(out, "on");
	lnx_buf_char(out, '[');
	for (i = 0; i < rule->n_ons; i++) {
		lnx_json_next(out);
		lnx_json_str(out, rule->ons[i].desc->name);
	}
	lnx_buf_char(out, ']');
	lnx_json_kv_str(out, "by", rule->by_name);
	lnx_json_kv_u64(out, "events", rule->events);
	lnx_json_kv_u64(out, "evals", rule->evals);
	lnx_json_kv_u64(out, "fired", rule->fires);
	lnx_json_kv_u64(out, "pending", rule->n_pending);
	lnx_json_kv_u64(out, "firing", rule->n_firing);
	lnx_json_kv_u64(out, "failures", rule->failed);
	lnx_json_kv_u64(out, "keys", rule->n_keys);
	lnx_json_kv_u64(out, "keys_max", rule->max_keys);
	lnx_json_kv_u64(out, "keys_evicted", rule->evicted);
	lnx_json_kv_u64(out, "unkeyed", rule->unkeyed);
	lnx_json_kv_u64(
		out, "memory_bytes",
		sizeof(*rule) + rule->n_keys * rule->key_bytes +
			(rule->table ? rule->n_buckets * sizeof(void *) + rule->key_bytes : 0));
	lnx_json_kv_f64(out, "ns_total", round(per_call * (double)rule->evals));
	lnx_json_kv_f64(out, "ns_per_eval", round(per_call));
	lnx_json_kv_str(out, "error", rule->error);
	lnx_json_kv_u64(out, "error_line", (uint64_t)rule->error_line);
	lnx_buf_char(out, '}');
}

void lnx_rules_json(const struct lnx_rules *r, struct lnx_buf *out)
{
	unsigned i;

	lnx_buf_char(out, '{');
	lnx_json_kv_u64(out, "generation", r->conf.generation ? r->conf.generation : 1);
	lnx_json_key(out, "hash");
	lnx_buf_printf(out, "\"%016" PRIx64 "\"", r->hash);
	lnx_json_kv_u64(out, "lua_bytes", r->lua->used_bytes);
	lnx_json_kv_u64(out, "lua_max_bytes", r->lua->max_bytes);
	lnx_json_kv_u64(out, "alerts_lost", r->alerts_lost);
	lnx_json_key(out, "errors");
	lnx_buf_char(out, '[');
	if (r->errors_json.size)
		lnx_buf_add(out, r->errors_json.data, r->errors_json.size);
	lnx_buf_char(out, ']');
	lnx_json_key(out, "rules");
	lnx_buf_char(out, '[');
	for (i = 0; i < r->n_rules; i++) {
		lnx_json_next(out);
		rules_json_one(r, r->rules[i], out);
	}
	lnx_buf_str(out, "]}");
}

unsigned lnx_rules_count(const struct lnx_rules *r)
{
	return r->n_rules;
}

unsigned lnx_rules_errors(const struct lnx_rules *r)
{
	return r->n_errors;
}

const char *lnx_rules_disabled(const struct lnx_rules *r, unsigned *ret_n)
{
	const char *first = NULL;
	unsigned i, n = 0;

	for (i = 0; i < r->n_rules; i++) {
		if (!r->rules[i]->is_disabled)
			continue;
		first = first ? first : r->rules[i]->name;
		n++;
	}
	*ret_n = n;
	return first;
}
