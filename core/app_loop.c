/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The watchers of the loop: time, signals, queues, rules, the watchdog, a changed configuration file. */
#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "app.h"
#include "trim.h"

#define LNX_DRAIN_BUDGET 2048 /* queued events handled in one turn of the loop */
#define LNX_TRIM_S	 5.   /* after the start: plugins and probes have settled */
#define LNX_FORGET_S	 2.   /* between two looks for what is too old for the ring */
#define LNX_FILE_QUIET_S \
	0.2 /* a configuration file that is written in steps is read after the last */

struct lnx_loop {
	struct lnx_app *app;
	ev_check check;
	ev_idle idle; /* runs while queues hold events */
	ev_timer rules, watchdog, trim, forget, file_quiet;
	ev_signal sig_hup, sig_term, sig_int;
	ev_prepare prepare;
	ev_stat file;
	uint64_t rules_armed_ns;
};

static uint64_t lnx_clock_ns(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts); /* both clocks exist on every kernel we run on */
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void lnx_app_touch_time(struct lnx_app *app)
{
	uint64_t boot = lnx_clock_ns(CLOCK_BOOTTIME), wall = lnx_clock_ns(CLOCK_REALTIME);

	app->wall_offset_ns = wall - boot;
	if (app->bus)
		lnx_bus_set_now(app->bus, boot);
	else
		app->start_ns = boot;
}

static void lnx_on_check(struct ev_loop *loop, ev_check *w, int revents)
{
	struct lnx_loop *l = w->data;

	(void)loop;
	(void)revents;
	lnx_app_touch_time(l->app);
}

/* Only there so that the loop does not sleep while queues hold events. */
static void lnx_on_idle(struct ev_loop *loop, ev_idle *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
}

static void lnx_on_queued(void *arg)
{
	struct lnx_loop *l = arg;

	ev_idle_start(l->app->loop, &l->idle);
}

static void lnx_on_rules(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct lnx_loop *l = w->data;

	(void)loop;
	(void)revents;
	l->rules_armed_ns = UINT64_MAX;
	if (l->app->rules)
		lnx_rules_tick(l->app->rules, lnx_bus_now(l->app->bus));
}

/* Before the loop sleeps: queues are drained (not from the idle watcher: a busy ring buffer would starve it), probes follow
 * the wishes of the bus, the rules' next deadline is armed. */
static void lnx_on_prepare(struct ev_loop *loop, ev_prepare *w, int revents)
{
	struct lnx_loop *l = w->data;
	struct lnx_app *app = l->app;
	uint64_t now, next;

	(void)revents;
	if (!lnx_bus_drain(app->bus, LNX_DRAIN_BUDGET))
		ev_idle_stop(loop, &l->idle);
	if (app->wanted_changed && app->probes && !app->is_stopping) {
		app->wanted_changed = false;
		lnx_probes_sync(app->probes);
	}
	next = app->rules ? lnx_rules_next_ns(app->rules) : UINT64_MAX;
	if (next == l->rules_armed_ns)
		return;
	l->rules_armed_ns = next;
	ev_timer_stop(loop, &l->rules);
	if (next == UINT64_MAX)
		return;
	now = lnx_clock_ns(CLOCK_BOOTTIME);
	ev_timer_set(&l->rules, next > now ? (double)(next - now) / 1e9 : 0., 0.);
	ev_timer_start(loop, &l->rules);
}

static void lnx_on_wanted(void *arg)
{
	struct lnx_app *app = arg;

	app->wanted_changed = true;
}

static void lnx_on_stop(struct ev_loop *loop, ev_signal *w, int revents)
{
	struct lnx_loop *l = w->data;

	(void)revents;
	lnx_log(LNX_INFO, "stopping on signal %d", w->signum);
	l->app->is_stopping = true;
	ev_break(loop, EVBREAK_ALL);
}

static void lnx_on_hup(struct ev_loop *loop, ev_signal *w, int revents)
{
	struct lnx_loop *l = w->data;

	(void)revents;
	ev_timer_stop(loop, &l->file_quiet);
	(void)lnx_app_reload(l->app); /* logs and counts its failure */
}

static void lnx_on_file(struct ev_loop *loop, ev_stat *w, int revents)
{
	struct lnx_loop *l = w->data;

	(void)revents;
	ev_timer_again(loop, &l->file_quiet);
}

static void lnx_on_file_quiet(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct lnx_loop *l = w->data;

	(void)revents;
	ev_timer_stop(loop, w);
	ev_stat_stat(loop, &l->file);
	if (l->file.attr.st_nlink)
		(void)lnx_app_reload(l->app); /* logs and counts its failure */
}

static void lnx_on_watchdog(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
	lnx_notify("WATCHDOG=1");
}

static void lnx_on_trim(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
	lnx_trim();
}

static void lnx_on_forget(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct lnx_app *app = w->data;
	uint64_t keep = app->config->core.bus_ring_keep, now = lnx_clock_ns(CLOCK_BOOTTIME);

	(void)loop;
	(void)revents;
	if (keep && now > keep)
		(void)lnx_bus_forget(app->bus, now - keep);
}

static void lnx_loop_signal(struct lnx_loop *l, ev_signal *w,
			    void (*cb)(struct ev_loop *, ev_signal *, int), int sig)
{
	ev_signal_init(w, cb, sig);
	w->data = l;
	ev_signal_start(l->app->loop, w);
	ev_unref(l->app->loop);
}

int lnx_app_loop_start(struct lnx_app *app)
{
	struct lnx_loop *l = calloc(1, sizeof(*l));
	double watchdog_s = (double)lnx_notify_watchdog_ns() / 2e9;

	if (!l)
		return -ENOMEM;
	app->turn = l;
	l->app = app;
	l->rules_armed_ns = UINT64_MAX;
	(void)signal(SIGPIPE, SIG_IGN); /* writes say EPIPE instead */
	ev_check_init(&l->check, lnx_on_check);
	ev_set_priority(&l->check, EV_MAXPRI);
	l->check.data = l;
	ev_check_start(app->loop, &l->check);
	ev_prepare_init(&l->prepare, lnx_on_prepare);
	l->prepare.data = l;
	ev_prepare_start(app->loop, &l->prepare);
	ev_idle_init(&l->idle, lnx_on_idle);
	l->idle.data = l;
	ev_timer_init(&l->rules, lnx_on_rules, 0., 0.);
	l->rules.data = l;
	ev_timer_init(&l->watchdog, lnx_on_watchdog, watchdog_s, watchdog_s);
	if (watchdog_s > 0)
		ev_timer_start(app->loop, &l->watchdog);
	ev_timer_init(&l->trim, lnx_on_trim, LNX_TRIM_S, 0.);
	ev_timer_start(app->loop, &l->trim);
	ev_timer_init(&l->forget, lnx_on_forget, LNX_FORGET_S, LNX_FORGET_S);
	l->forget.data = app;
	ev_timer_start(app->loop, &l->forget);
	ev_timer_init(&l->file_quiet, lnx_on_file_quiet, 0., LNX_FILE_QUIET_S);
	l->file_quiet.data = l;
	lnx_loop_signal(l, &l->sig_hup, lnx_on_hup, SIGHUP);
	lnx_loop_signal(l, &l->sig_term, lnx_on_stop, SIGTERM);
	lnx_loop_signal(l, &l->sig_int, lnx_on_stop, SIGINT);
	ev_stat_init(&l->file, lnx_on_file, app->config_path, 0.);
	l->file.data = l;
	ev_stat_start(app->loop, &l->file);
	ev_unref(app->loop);
	lnx_bus_on_queued(app->bus, lnx_on_queued, l);
	lnx_bus_on_wanted(app->bus, lnx_on_wanted, app);
	app->wanted_changed = true;
	return lnx_app_cost_start(app);
}

void lnx_app_loop_stop(struct lnx_app *app)
{
	struct lnx_loop *l = app->turn;

	if (!l)
		return;
	lnx_app_cost_stop(app);
	lnx_bus_on_queued(app->bus, NULL, NULL);
	lnx_bus_on_wanted(app->bus, NULL, NULL);
	ev_ref(app->loop);
	ev_stat_stop(app->loop, &l->file);
	ev_ref(app->loop);
	ev_signal_stop(app->loop, &l->sig_hup);
	ev_ref(app->loop);
	ev_signal_stop(app->loop, &l->sig_term);
	ev_ref(app->loop);
	ev_signal_stop(app->loop, &l->sig_int);
	ev_check_stop(app->loop, &l->check);
	ev_prepare_stop(app->loop, &l->prepare);
	ev_idle_stop(app->loop, &l->idle);
	ev_timer_stop(app->loop, &l->rules);
	ev_timer_stop(app->loop, &l->watchdog);
	ev_timer_stop(app->loop, &l->trim);
	ev_timer_stop(app->loop, &l->forget);
	ev_timer_stop(app->loop, &l->file_quiet);
	free(l);
	app->turn = NULL;
}
