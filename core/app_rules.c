/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The rules of the agent: loaded at the start, and anew when their folders change or somebody asks. A set is built aside, its
 * tests run, and only then takes the place of the one that runs, between two events. */
#include "app_rules.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linnix/plugin.h>

#include "app.h"
#include "dirwatch.h"

#define RULES_DIRS_MAX	  256
#define RULES_WAITERS_MAX 16

/* enum rules_outcome, for the metric */
#define RULES_TAKEN	0
#define RULES_REFUSED	1
#define RULES_UNCHANGED 2
#define RULES_OUTCOMES	3

/* Who waits for the result of a load. */
struct rules_waiter {
	void (*done)(void *arg, int rc);
	void *arg;
	unsigned serial; /* of the first load that began after it asked */
};

struct lnx_app_rules {
	struct lnx_dirwatch *watch;
	unsigned generation;
	unsigned serial;       /* of the newest load that began: what an older one gives is stale */
	struct rules_job *job; /* that runs on a worker; NULL: none */
	bool was_stopped;      /* the last one was, for a newer change: the next one may end */
	bool is_again;	       /* and another one is wanted after it */
	bool is_again_asked;
	bool has_failed;       /* the last load was refused */
	uint64_t good_wall_ns; /* of the last one that was not */
	uint64_t outcomes[RULES_OUTCOMES];
	char refused[512]; /* why; "" */
	struct rules_waiter waiters[RULES_WAITERS_MAX];
	unsigned n_waiters;
};

/* One load: what a worker may touch of it, it owns. */
struct rules_job {
	struct lnx_app *app;
	struct lnx_rules_conf conf;
	char *dirs[RULES_DIRS_MAX + 1];
	unsigned serial;
	bool is_asked, has_hash;
	uint64_t hash;	  /* of the rules that run */
	atomic_bool stop; /* nobody wants it any more */
	struct lnx_buf errors;
	struct lnx_rules *built;
	int rc;
};

static const struct lnx_svc_proc *rules_proc(void *arg, void **ret_self)
{
	const struct lnx_app *app = arg;
	const void *vtable;

	return lnx_services_find(app->services, "proc/1", &vtable, ret_self) == 0 ? vtable : NULL;
}

static const char *const *rules_dirs(const struct lnx_app *app, const char *fallback[2])
{
	const char *const *dirs = app->config->core.rules_dir;

	fallback[0] = app->default_rules;
	fallback[1] = NULL;
	return dirs[0] ? dirs : fallback;
}

static void rules_job_free(struct rules_job *j)
{
	unsigned i;

	if (!j)
		return;
	for (i = 0; j->dirs[i]; i++)
		free(j->dirs[i]);
	lnx_rules_free(j->built);
	lnx_buf_done(&j->errors);
	free(j);
}

static struct rules_job *rules_job_new(struct lnx_app *app, bool is_asked)
{
	struct rules_job *j = calloc(1, sizeof(*j));
	const struct lnx_core_conf *c = &app->config->core;
	const char *fallback[2], *const *dirs = rules_dirs(app, fallback);
	unsigned i;

	if (!j)
		return NULL;
	for (i = 0; i < RULES_DIRS_MAX && dirs[i]; i++) {
		j->dirs[i] = strdup(dirs[i]);
		if (!j->dirs[i]) {
			rules_job_free(j);
			return NULL;
		}
	}
	j->app = app;
	j->is_asked = is_asked;
	j->serial = ++app->rules_load->serial;
	if (app->rules && lnx_rules_errors(app->rules) == 0) {
		j->has_hash = true;
		j->hash = lnx_rules_hash(app->rules);
	}
	j->conf = (struct lnx_rules_conf){
		.dirs = (const char *const *)j->dirs,
		.bus = app->bus,
		.registry = app->registry,
		.metrics = app->metrics,
		.memory_max = c->rules_memory,
		.budget = c->rules_budget,
		.generation = app->rules_load->generation + 1,
		.proc = rules_proc,
		.tags = app->tags,
		.wall_ns = lnx_app_wall_ns,
		.arg = app,
		.stop = &j->stop,
	};
	return j;
}

/* Any thread: a set that is not started touches nothing but its own, the log, and types that are no longer added to. */
static int rules_build(void *arg)
{
	struct rules_job *j = arg;

	j->rc = lnx_rules_new(&j->conf, &j->errors, &j->built);
	if (j->rc < 0)
		return j->rc;
	if (atomic_load(&j->stop))
		j->rc = -ECANCELED;
	else if (lnx_rules_errors(j->built))
		j->rc = -EINVAL;
	else if (!j->is_asked && j->has_hash && lnx_rules_hash(j->built) == j->hash)
		j->rc = -EALREADY;
	else
		j->rc = lnx_rules_vet(j->built, &j->errors);
	return j->rc;
}

static void rules_refuse(struct lnx_app *app, const struct rules_job *j)
{
	struct lnx_app_rules *x = app->rules_load;

	x->outcomes[RULES_REFUSED]++;
	x->has_failed = true;
	(void)snprintf(x->refused, sizeof(x->refused), "%s",
		       j->errors.size ? j->errors.data : strerror(-j->rc)); /* cut is fine */
	if (app->rules)
		lnx_rules_refused(app->rules, j->built);
	lnx_log(LNX_ERROR, "rules: not taken, those of before run on");
}

static void rules_accept(struct lnx_app *app, unsigned outcome)
{
	struct lnx_app_rules *x = app->rules_load;

	x->outcomes[outcome]++;
	x->has_failed = false;
	x->good_wall_ns = app->wall_offset_ns + lnx_bus_now(app->bus);
	x->refused[0] = 0;
	if (app->rules)
		lnx_rules_refused(app->rules, NULL);
}

/* A line of the log for each; GET /rules has them, too. The last newline becomes the end of the text. */
static void rules_tell_errors(struct lnx_buf *errors)
{
	const char *at, *end;

	if (!errors->size)
		return;
	errors->data[errors->size - 1] = 0;
	for (at = errors->data; at; at = end ? end + 1 : NULL) {
		end = strchr(at, '\n');
		lnx_log(LNX_ERROR, "rules: %.*s", end ? (int)(end - at) : (int)strlen(at), at);
	}
}

/* On the loop, between two events. Takes what the job built. */
static int rules_take(struct rules_job *j)
{
	struct lnx_app *app = j->app;
	struct lnx_app_rules *x = app->rules_load;

	rules_tell_errors(&j->errors);
	if (j->rc == -EALREADY) {
		rules_accept(app, RULES_UNCHANGED);
		return 0;
	}
	if (j->rc == 0)
		j->rc = lnx_rules_start(j->built);
	if (j->rc < 0) {
		rules_refuse(app, j);
		return j->rc;
	}
	if (app->rules)
		lnx_rules_succeed(j->built, app->rules, j->is_asked);
	lnx_rules_free(app->rules);
	app->rules = j->built;
	j->built = NULL;
	x->generation++;
	rules_accept(app, RULES_TAKEN);
	lnx_log(LNX_INFO, "rules: generation %u, %u loaded", x->generation,
		lnx_rules_count(app->rules));
	return 0;
}

int lnx_app_rules_first(struct lnx_app *app)
{
	struct rules_job *j;
	int rc;

	app->rules_load = calloc(1, sizeof(*app->rules_load));
	j = app->rules_load ? rules_job_new(app, true) : NULL;
	if (!j)
		return -ENOMEM;
	rc = lnx_rules_new(&j->conf, &j->errors, &app->rules);
	rules_tell_errors(&j->errors);
	if (rc < 0) {
		(void)snprintf(app->rules_load->refused, sizeof(app->rules_load->refused), "%s",
			       strerror(-rc));
	} else {
		app->rules_load->generation = 1;
		app->rules_load->good_wall_ns = app->wall_offset_ns + lnx_bus_now(app->bus);
		lnx_log(LNX_INFO, "rules: %u loaded", lnx_rules_count(app->rules));
	}
	rules_job_free(j);
	return rc;
}

/* Those who asked before load <serial> began learn how it ended. */
static void rules_tell(struct lnx_app_rules *x, unsigned serial, int rc)
{
	struct rules_waiter told[RULES_WAITERS_MAX];
	unsigned i, n = 0, left = 0;

	for (i = 0; i < x->n_waiters; i++) {
		if (x->waiters[i].serial <= serial)
			told[n++] = x->waiters[i];
		else
			x->waiters[left++] = x->waiters[i];
	}
	x->n_waiters = left;
	for (i = 0; i < n; i++)
		told[i].done(told[i].arg, rc);
}

static void rules_on_built(void *arg, int rc)
{
	struct rules_job *j = arg;
	struct lnx_app *app = j->app;
	struct lnx_app_rules *x = app->rules_load;
	unsigned serial = j->serial;

	x->job = NULL;
	x->was_stopped = rc == -ECANCELED && x->is_again;
	if (rc == -ECANCELED || app->is_stopping)
		rc = -ECANCELED;
	else if (serial == x->serial)
		rc = rules_take(j); /* it logs and counts */
	else
		rc = x->has_failed ? -EINVAL : 0; /* a later one was faster */
	rules_job_free(j);
	if (!x->was_stopped) /* else they learn what comes of the next one */
		rules_tell(x, serial, rc);
	if (x->is_again && !app->is_stopping) {
		x->is_again = false;
		lnx_app_rules_reload_later(app, x->is_again_asked);
	}
}

void lnx_app_rules_reload_later(struct lnx_app *app, bool is_asked)
{
	struct lnx_app_rules *x = app->rules_load;
	struct rules_job *j;

	if (x->job) {
		x->is_again_asked = is_asked || (x->is_again && x->is_again_asked);
		x->is_again = true;
		if (!x->was_stopped) { /* what it reads is of yesterday; but not each time, or none ever ends */
			x->is_again_asked |= x->job->is_asked;
			atomic_store(&x->job->stop, true);
		}
		return;
	}
	j = rules_job_new(app, is_asked);
	if (!j || lnx_workers_submit(app->workers, x, rules_build, rules_on_built, j) < 0) {
		lnx_log(LNX_ERROR, "rules: no room for a reload");
		rules_job_free(j);
		rules_tell(x, UINT_MAX, -ENOBUFS);
		return;
	}
	x->job = j;
}

int lnx_app_rules_reload_for(struct lnx_app *app, void (*done)(void *arg, int rc), void *arg)
{
	struct lnx_app_rules *x = app->rules_load;

	if (!x || x->n_waiters == RULES_WAITERS_MAX)
		return -EBUSY;
	x->waiters[x->n_waiters++] = (struct rules_waiter){ done, arg, x->serial + 1 };
	lnx_app_rules_reload_later(app, true);
	return 0;
}

static void rules_on_change(void *arg)
{
	lnx_app_rules_reload_later(arg, false);
}

void lnx_app_rules_watch(struct lnx_app *app)
{
	struct lnx_app_rules *x = app->rules_load;
	const char *fallback[2], *const *dirs = rules_dirs(app, fallback);

	if (x->watch && lnx_dirwatch_is(x->watch, dirs))
		return;
	lnx_dirwatch_free(x->watch);
	x->watch = NULL;
	if (lnx_dirwatch_new(app->loop, dirs, rules_on_change, app, &x->watch) < 0)
		lnx_log(LNX_ERROR, "rules: their folders are not watched: not enough memory");
}

void lnx_app_rules_unwatch(struct lnx_app *app)
{
	struct lnx_app_rules *x = app->rules_load;

	if (!x)
		return;
	lnx_dirwatch_free(x->watch);
	x->watch = NULL;
	x->is_again = false;
	if (x->job)
		atomic_store(&x->job->stop, true);
	if (app->workers)
		lnx_workers_flush(app->workers, x);
	rules_tell(x, UINT_MAX, -ECANCELED);
}

void lnx_app_rules_done(struct lnx_app *app)
{
	lnx_app_rules_unwatch(app);
	lnx_rules_free(app->rules);
	app->rules = NULL;
	free(app->rules_load);
	app->rules_load = NULL;
}

const char *lnx_app_rules_refused(const struct lnx_app *app)
{
	return app->rules_load ? app->rules_load->refused : "";
}

void lnx_app_rules_collect(struct lnx_app *app)
{
	static const char *const labels[] = { "result", NULL };
	static const char *const results[RULES_OUTCOMES] = { "taken", "refused", "unchanged" };
	const struct lnx_app_rules *x = app->rules_load;
	unsigned i;

	if (!x)
		return;
	if (app->rules)
		lnx_rules_collect(app->rules);
	for (i = 0; i < RULES_OUTCOMES; i++)
		lnx_put(app, "linnix_rules_reloads_total", "Reloads of the rules, by result.",
			LNX_COUNTER, labels, &results[i], (double)x->outcomes[i]);
	lnx_put(app, "linnix_rules_last_reload_successful",
		"0 if the last reload of the rules was refused.", LNX_GAUGE, NULL, NULL,
		!x->has_failed);
	lnx_put(app, "linnix_rules_last_reload_success_timestamp_seconds",
		"Unix time of the last load of the rules that was not refused.", LNX_GAUGE, NULL,
		NULL, (double)x->good_wall_ns / 1e9);
	lnx_put(app, "linnix_rules_generation", "Generation of the rules that run.", LNX_GAUGE,
		NULL, NULL, x->generation);
}
