/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test{} blocks: events in virtual time, the rules of the same file, and what must fire. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linnix/ev_action.h>
#include <linnix/ev_alert.h>

#include "lua_load.h"
#include "lua_test_proc.h"
#include "lua_test_run.h"
#include "tags.h"

#define TEST_BUDGET	50  /* times that of a rule's call */
#define TEST_EVENT_WORK 100 /* instructions that an event counts for, beside those of Lua */
#define TEST_RULE_WORK	20  /* and each rule that looks at it */

static const char *const test_severities[] = { "info", "warning", "critical", NULL };

static uint32_t test_root(struct lnx_rules *r, uint32_t pid, uint32_t ppid)
{
	struct test_run *t = r->emit_arg;
	uint32_t *root = &t->roots[pid % TEST_PIDS];

	if (!*root)
		*root = !ppid			     ? pid
			: t->roots[ppid % TEST_PIDS] ? t->roots[ppid % TEST_PIDS]
						     : ppid;
	return *root;
}

static double test_seconds(uint64_t ts_ns)
{
	return (double)(ts_ns - TEST_ZERO_NS) / 1e9;
}

static void test_asked(const struct lnx_rules *r, struct test_fire *f, const struct lnx_event *ev)
{
	const struct lnx_event_desc *desc = lnx_registry_get(r->conf.registry, ev->type);

	f->act = lnx_event_value(ev, lnx_desc_field(desc, "verb")).str; /* lives in the table */
	f->n_asks++;
}

static int test_emit(struct lnx_rules *r, const struct lnx_event *ev)
{
	const struct lnx_ev_alert *a = (const struct lnx_ev_alert *)ev;
	struct test_run *t = r->emit_arg;
	const struct lnx_key *key = r->alerting;
	struct test_fire *f;
	unsigned i;

	if (ev->type == LNX_EV_RULE_DISABLED) {
		const struct lnx_ev_rule_disabled *d = (const struct lnx_ev_rule_disabled *)ev;

		t->n_bad++;
		lnx_buf_printf(t->tap, "# line %u: %.*s\n", d->line, d->error.len,
			       (const char *)ev + d->error.off);
		return 0;
	}
	for (i = t->n_fires; i; i--) {
		f = &t->fires[i - 1];
		if (f->key != key->h1 || f->rule != key->rule || !isnan(f->over_s))
			continue;
		if (ev->type == LNX_EV_ACTION_REQUEST) {
			test_asked(r, f, ev);
			return 0;
		}
		if (a->state == LNX_ALERT_RESOLVED)
			f->over_s = test_seconds(ev->ts_ns);
		else if (a->severity > f->severity)
			f->severity = a->severity;
		return 0;
	}
	if (t->n_fires == TEST_FIRES_MAX || ev->type != LNX_EV_ALERT)
		return -ENOSPC;
	f = &t->fires[t->n_fires++];
	*f = (struct test_fire){ .rule = key->rule };
	f->at_s = test_seconds(ev->ts_ns);
	f->over_s = NAN;
	f->severity = a->severity;
	f->key = key->h1;
	return 0;
}

static int test_order(const void *a, const void *b)
{
	const struct test_event *x = a, *y = b;

	if (x->ts_ns != y->ts_ns)
		return x->ts_ns < y->ts_ns ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void test_play(struct test_run *t)
{
	struct lnx_rules *r = t->r;
	unsigned i;

	if (!t->n_events)
		return;
	qsort(t->events, t->n_events, sizeof(*t->events), test_order);
	for (i = 0; i < t->n_events; i++) {
		const struct test_event *e = &t->events[i];
		struct lnx_rule_route *route = NULL;
		const struct lnx_event *ev = NULL;

		if (e->at != SIZE_MAX) {
			ev = (const struct lnx_event *)(t->bytes.data + e->at);
			lnx_tags_event(t->tags, ev);
			lnx_test_procs_event(t->procs, ev);
			route = &r->routes[lnx_registry_index(r->conf.registry, ev->type)];
		}
		/* an event that no rule wants lets time pass */
		if (route && route->rules)
			(void)lnx_eval_event(route, ev);
		else
			lnx_eval_timers(r, e->ts_ns);
		r->lua->total += TEST_EVENT_WORK + (route ? route->n * TEST_RULE_WORK : 0);
		if (lnx_lua_is_over(r->lua))
			return;
	}
}

static void test_bad(struct test_run *t, const char *what, const struct test_fire *f)
{
	t->n_bad++;
	lnx_buf_printf(t->tap, "# %s: %s at %.3f s, %s\n", what, f->rule->name, f->at_s,
		       test_severities[f->severity]);
}

/* Entry <i> of `fires`, on top of the stack, against fire <i>. */
static void test_match(lua_State *L, struct test_run *t, unsigned i)
{
	static const char *const fields[] = { "rule", "at",   "severity", "resolved",
					      "act",  "asks", NULL };
	const struct test_fire *f = i < t->n_fires ? &t->fires[i] : NULL;
	const char *rule = "", *severity = NULL, *act = NULL, *key;
	double at = NAN, over = NAN, asks = NAN;

	luaL_checktype(L, -1, LUA_TTABLE);
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
		key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
		if (strcmp(key, "rule") == 0)
			rule = luaL_checkstring(L, -1);
		else if (strcmp(key, "severity") == 0)
			severity = luaL_checkstring(L, -1);
		else if (strcmp(key, "act") == 0)
			act = luaL_checkstring(L, -1);
		else if (strcmp(key, "asks") == 0)
			asks = luaL_checknumber(L, -1);
		else if (strcmp(key, "at") == 0)
			at = luaL_checknumber(L, -1);
		else if (strcmp(key, "resolved") == 0)
			over = luaL_checknumber(L, -1);
		else
			(void)lnx_lua_unknown(L, "field of fires", key, lnx_suggest(key, fields));
	}
	if (!f) {
		t->n_bad++;
		lnx_buf_printf(t->tap, "# expected and did not fire: %s at %g s\n", rule, at);
		return;
	}
	/* a second covers the sample that shows it */
	if ((*rule && strcmp(rule, f->rule->name) != 0) ||
	    !(isnan(at) || (f->at_s >= at && f->at_s < at + 1)) ||
	    (severity && strcmp(severity, test_severities[f->severity]) != 0)) {
		test_bad(t, "fired otherwise than expected", f);
		lnx_buf_printf(t->tap, "#   expected: %s at %g s%s%s\n", rule, at,
			       severity ? ", " : "", severity ? severity : "");
	}
	if (act && strcmp(act, f->act ? f->act : "") != 0) {
		t->n_bad++;
		lnx_buf_printf(t->tap, "# %s: asked for %s, expected %s\n", f->rule->name,
			       f->act ? f->act : "nothing", act);
	}
	if (!isnan(asks) && asks != f->n_asks) {
		t->n_bad++;
		lnx_buf_printf(t->tap, "# %s: asked %u times, expected %g\n", f->rule->name,
			       f->n_asks, asks);
	}
	if (!isnan(over) && !(f->over_s >= over && f->over_s < over + 1)) {
		t->n_bad++;
		lnx_buf_printf(t->tap, "# %s: resolved at %.3f s, expected %g s\n", f->rule->name,
			       f->over_s, over);
	}
}

static int test_compare(lua_State *L)
{
	struct test_run *t = lua_touserdata(L, 1);
	unsigned i, n;

	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, t->test->fires);
	n = (unsigned)lua_rawlen(L, -1);
	for (i = 0; i < n; i++) {
		(void)lua_rawgeti(L, -1, i + 1);
		test_match(L, t, i);
		lua_pop(L, 1);
	}
	for (; i < t->n_fires; i++)
		test_bad(t, "fired and was not expected", &t->fires[i]);
	return 0;
}

static void test_error(struct test_run *t, const struct lnx_err *err)
{
	char shown[256];

	t->n_bad++;
	lnx_buf_printf(t->tap, "# %s:%d: %s\n",
		       lnx_lua_printable(t->r->files[t->test->file].path, shown, sizeof(shown)),
		       err->line ? err->line : t->test->line, err->msg);
}

/* The work of all tests is used up, as a call said or, when none did, as it is said here. */
static void test_over(struct test_run *t, const char *how)
{
	struct lnx_err err = { .line = 0 };

	if (t->n_bad)
		return;
	(void)lnx_err_set(&err, 0, "%s what all tests together may take: %llu instructions", how,
			  (unsigned long long)t->r->lua->total_max);
	test_error(t, &err);
}

static void test_one(struct test_run *t)
{
	struct lnx_rules *r = t->r;
	struct lnx_err err = { .line = 0 };
	unsigned i;

	if (lnx_lua_is_over(r->lua)) {
		test_over(t, "is not run: those before it used up");
		return;
	}
	lnx_eval_reset(r);
	r->only_file = (int)t->test->file;
	if (lnx_lua_call(r->lua, lnx_test_feed, t, r->lua->budget * TEST_BUDGET, &err) < 0) {
		test_error(t, &err);
		return;
	}
	test_play(t);
	for (i = 0; i < r->n_rules; i++)
		if (r->rules[i]->file == t->test->file && r->rules[i]->failed) {
			(void)lnx_err_set(&err, 0, "%s", r->rules[i]->error);
			err.line = r->rules[i]->error_line;
			test_error(t, &err);
		}
	if (lnx_lua_is_over(r->lua))
		test_over(t, "used up");
	else if (lnx_lua_call(r->lua, test_compare, t, 0, &err) < 0)
		test_error(t, &err);
}

static void test_report(const struct test_run *t, struct lnx_buf *tap, unsigned n)
{
	char shown[256];

	lnx_buf_printf(tap, "%sok %u - %s: %s\n", t->n_bad ? "not " : "", n,
		       lnx_lua_printable(t->r->files[t->test->file].path, shown, sizeof(shown)),
		       t->test->name);
	if (t->tap->size)
		lnx_buf_add(tap, t->tap->data, t->tap->size);
}

/* What a test replaces in the engine. */
struct test_before {
	int (*emit)(struct lnx_rules *r, const struct lnx_event *ev);
	const struct lnx_svc_proc *(*proc)(void *arg, void **ret_self);
	const struct lnx_tags *tags;
	void *arg;
};

static const struct lnx_svc_proc *test_procs(void *arg, void **ret_self)
{
	const struct test_run *t = arg;

	*ret_self = t->procs;
	return lnx_test_procs_service();
}

/* The machine that the tests run on must not be seen by them. */
static struct test_before test_enter(struct test_run *t)
{
	struct lnx_rules *r = t->r;
	struct test_before before = { r->emit, r->conf.proc, r->conf.tags, r->conf.arg };

	r->emit = test_emit;
	r->emit_arg = t;
	r->test_root = test_root;
	r->conf.proc = test_procs;
	r->conf.arg = t;
	return before;
}

static void test_leave(struct lnx_rules *r, const struct test_before *before)
{
	/* the reset resolves nothing: no alert leaves a test */
	lnx_eval_reset(r);
	r->emit = before->emit;
	r->emit_arg = NULL;
	r->test_root = NULL;
	r->conf.proc = before->proc;
	r->conf.tags = before->tags;
	r->conf.arg = before->arg;
	r->only_file = -1;
}

/* Run test <i>. Returns whether it failed, or -ENOMEM. */
static int test_run(struct test_run *t, unsigned i)
{
	t->test = &t->r->tests[i];
	t->n_events = t->n_fires = t->n_bad = 0;
	t->next_pid = 1000;
	memset(t->roots, 0, TEST_PIDS * sizeof(*t->roots));
	lnx_buf_reset(&t->bytes);
	lnx_buf_reset(t->tap);
	t->tags = lnx_tags_new();
	t->procs = t->tags ? lnx_test_procs_new() : NULL;
	if (t->procs) {
		t->r->conf.tags = t->tags;
		test_one(t);
		t->r->conf.tags = NULL;
	}
	lnx_test_procs_free(t->procs);
	lnx_tags_free(t->tags);
	return t->procs ? t->n_bad != 0 : -ENOMEM;
}

/* A test that failed as an error of its file: its name and what it noted first. */
static void test_to_error(const struct test_run *t, struct lnx_buf *errors)
{
	const char *note = t->tap->size > 2 ? t->tap->data + 2 : "";
	struct lnx_err err;

	(void)lnx_err_set(&err, 0, "test '%s' fails: %.*s", t->test->name, (int)strcspn(note, "\n"),
			  note);
	err.line = t->test->line;
	t->r->n_errors++;
	lnx_load_error(t->r, errors, t->r->files[t->test->file].path, &err);
}

void lnx_test_bound(struct lnx_rules *r)
{
	r->lua->total = 0;
	r->lua->total_max = r->conf.test_work ? r->conf.test_work : LNX_RULES_TEST_WORK;
}

/* All tests, to <tap> or, those that fail, to <errors>, which tells nothing of those that then are not run. Returns failures or
 * -errno. */
static int test_all(struct lnx_rules *r, struct lnx_buf *tap, struct lnx_buf *errors)
{
	struct lnx_buf notes = { .max = 1 << 20 };
	struct test_run *t = calloc(1, sizeof(*t));
	struct test_before before;
	int failures = 0, rc = 0;
	unsigned i;

	if (r->is_started || !t) {
		free(t);
		return r->is_started ? -EBUSY : -ENOMEM;
	}
	t->roots = calloc(TEST_PIDS, sizeof(*t->roots));
	t->r = r;
	t->tap = &notes;
	t->bytes.max = TEST_BYTES_MAX;
	before = test_enter(t);
	lnx_test_bound(r);
	for (i = 0; t->roots && rc >= 0 && i < r->n_tests; i++) {
		if (!tap && lnx_lua_is_over(r->lua))
			break;
		rc = test_run(t, i);
		failures += rc > 0;
		if (tap)
			test_report(t, tap, i + 1);
		else if (rc > 0)
			test_to_error(t, errors);
	}
	test_leave(r, &before);
	r->lua->total_max = 0;
	if (!t->roots || rc < 0)
		failures = -ENOMEM;
	lnx_buf_done(&t->bytes);
	lnx_buf_done(&notes);
	free(t->events);
	free(t->roots);
	free(t);
	return failures;
}

int lnx_rules_test(struct lnx_rules *r, struct lnx_buf *tap, unsigned *ret_tests)
{
	int failures;

	lnx_cover_begin(r);
	failures = test_all(r, tap, NULL);
	lnx_cover_end(r, tap);
	lnx_buf_printf(tap, "1..%u\n", r->n_tests);
	*ret_tests = r->n_tests;
	return failures;
}

int lnx_rules_vet(struct lnx_rules *r, struct lnx_buf *errors)
{
	int rc = test_all(r, NULL, errors);

	if (r->conf.stop && atomic_load(r->conf.stop))
		return -ECANCELED;
	if (rc == 0)
		rc = lnx_buf_error(&r->errors_json);
	return rc > 0 ? -EINVAL : rc;
}
