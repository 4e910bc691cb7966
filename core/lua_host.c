/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The rule engine as the agent sees it: load a set, start it on the bus, tick, tell. */
#include "lua_host.h"

#include <errno.h>
#include <inttypes.h>
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
		r->lua->stop = conf->stop;
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

void lnx_rules_stop(struct lnx_rules *r)
{
	unsigned i;

	for (i = 0; i < LNX_MAX_TYPES; i++) {
		if (r->routes[i].sub)
			lnx_bus_unsubscribe(r->conf.bus, r->routes[i].sub);
		r->routes[i].sub = NULL;
	}
}

void lnx_rules_free(struct lnx_rules *r)
{
	unsigned i;

	if (!r)
		return;
	lnx_rules_stop(r);
	for (i = 0; i < LNX_MAX_TYPES; i++)
		free(r->routes[i].wants);
	if (r->conf.metrics && r->is_started)
		lnx_metrics_del_owner(r->conf.metrics, r);
	for (i = 0; i < r->n_rules; i++)
		lnx_rule_free(r, r->rules[i]);
	for (i = 0; i < r->n_files; i++) {
		free(r->files[i].path);
		free(r->files[i].ran);
		free(r->files[i].branches);
	}
	lnx_lua_free(r->lua);
	lnx_buf_done(&r->errors_json);
	lnx_buf_done(&r->refused_json);
	lnx_buf_done(&r->late);
	free(r->rules);
	free(r->files);
	free(r->tests);
	free(r->timers);
	free(r);
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
	r->lua->stop = NULL;
	r->is_started = true;
	lnx_rules_metrics(r);
	for (i = 0; rc == 0 && i < lnx_registry_count(r->conf.registry); i++)
		if (r->routes[i].rules)
			rc = lnx_bus_subscribe(r->conf.bus, "rules",
					       lnx_registry_at(r->conf.registry, i)->type,
					       LNX_STAGE_DETECT, 0, lnx_eval_event, &r->routes[i],
					       &r->routes[i].sub);
	return rc;
}

void lnx_rules_flush(struct lnx_rules *r)
{
	size_t at;

	for (at = 0; at < r->late.size;) {
		const struct lnx_event *ev = (const struct lnx_event *)(r->late.data + at);

		at += (ev->size + 7) & ~(size_t)7;
		if (at <= r->late.size && lnx_bus_publish(r->conf.bus, ev) < 0)
			r->alerts_lost++;
	}
	lnx_buf_reset(&r->late);
}

void lnx_rules_tick(struct lnx_rules *r, uint64_t now_ns)
{
	r->is_ticking = true;
	lnx_eval_timers(r, now_ns);
	r->is_ticking = false;
	lnx_rules_flush(r);
}

uint64_t lnx_rules_next_ns(const struct lnx_rules *r)
{
	return r->n_timers ? r->timers[0]->due_ns : UINT64_MAX;
}

uint64_t lnx_rules_hash(const struct lnx_rules *r)
{
	return r->hash;
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

uint64_t lnx_rules_failed(const struct lnx_rules *r, char *why, size_t cap)
{
	char shown[256];
	uint64_t n = 0;
	unsigned i;

	why[0] = 0;
	for (i = 0; i < r->n_rules; i++) {
		const struct lnx_rule *rule = r->rules[i];

		if (rule->failed && !n)
			(void)snprintf(
				why, cap, "%s:%d: %s",
				lnx_lua_printable(r->files[rule->file].path, shown, sizeof(shown)),
				rule->error_line, rule->error); /* cut is fine: for people */
		n += rule->failed;
	}
	return n;
}
