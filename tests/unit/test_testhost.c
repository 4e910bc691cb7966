/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The test host itself: a test that runs on a wrong host proves nothing.
 * LINK: sdk/testhost/testhost.c sdk/testhost/conf.c sdk/testhost/events.c sdk/testhost/json.c
 * LINK: sdk/testhost/loop.c sdk/testhost/probes.c sdk/testhost/says.c sdk/testhost/http.c */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <linnix/ev_alert.h>
#include <linnix/ev_proc.h>
#include <linnix/plugin.h>

#include "sdk/testhost/testhost.h"

struct conf {
	uint64_t every_ns, bytes;
	uint32_t n, on, mode;
	uint32_t pad;
	double f;
	const char *s;
	const char *const *list;
};

struct state {
	const struct lnx_host *host;
	struct lnx_ctx *ctx;
	const struct conf *conf;
	struct lnx_timer *timer;
	struct lnx_fd *fd;
	const struct lnx_event *kept;
	unsigned ticks, events, reads, jobs_run, jobs_done, reloads;
	int last_rc;
	uint64_t last_tick_ns;
	struct lnx_event_meta meta;
};

static const char *const modes[] = { "slow", "fast", NULL };
static const struct lnx_option options[] = {
	{ "every", LNX_OPT_DURATION, offsetof(struct conf, every_ns), "1s", 1e8, 1e10, NULL, 0, 0,
	  "Between ticks." },
	{ "bytes", LNX_OPT_SIZE, offsetof(struct conf, bytes), "64KiB", 0, 0, NULL, 0, 0,
	  "Bytes." },
	{ "n", LNX_OPT_U32, offsetof(struct conf, n), "3", 1, 10, NULL, 0, 0, "A number." },
	{ "on", LNX_OPT_BOOL, offsetof(struct conf, on), "true", 0, 0, NULL, 0, 0, "A switch." },
	{ "mode", LNX_OPT_ENUM, offsetof(struct conf, mode), "slow", 0, 0, modes, 0, 0, "A mode." },
	{ "f", LNX_OPT_F64, offsetof(struct conf, f), "0.5", 0, 0, NULL, 0, 0, "A ratio." },
	{ "s", LNX_OPT_STR, offsetof(struct conf, s), "", 0, 0, NULL, 0, 0, "Words." },
	{ "list", LNX_OPT_LIST, offsetof(struct conf, list), "a,b", 0, 0, NULL, 0, 0, "A list." },
	{ .key = NULL },
};

static void tick(void *arg)
{
	struct state *s = arg;

	s->ticks++;
	s->last_tick_ns = s->host->now_ns(s->ctx);
}

static int p_init(const struct lnx_host *host, struct lnx_ctx *ctx, const void *conf,
		  void **ret_state)
{
	struct state *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->host = host;
	s->ctx = ctx;
	s->conf = conf;
	*ret_state = s;
	return host->provide(ctx, "mine/1", "vtable", s);
}

static int p_start(void *state)
{
	struct state *s = state;

	return s->host->timer_add(s->ctx, s->conf->every_ns, s->conf->every_ns, tick, s, &s->timer);
}

/* Answers a fork with an alert, and keeps the first event. */
static int p_event(void *state, const struct lnx_event *ev)
{
	struct lnx_ev_alert a = { .h = { sizeof(a), LNX_EV_ALERT, sizeof(a), 0, 7, LNX_CPU_NONE } };
	struct state *s = state;

	s->events++;
	if (!s->kept)
		s->kept = s->host->event_ref(s->ctx, ev);
	s->last_rc = s->host->event_meta(s->ctx, ev, &s->meta);
	return ev->pid == 13 ? -EIO : s->host->publish(s->ctx, &a.h);
}

static int p_reload(void *state, const void *conf)
{
	struct state *s = state;

	s->conf = conf;
	s->reloads++;
	return 0;
}

static void p_fini(void *state)
{
	struct state *s = state;

	if (s->kept)
		s->host->event_unref(s->ctx, s->kept);
	free(s);
}

static const struct lnx_sub subs[] = { { "proc.fork", LNX_STAGE_DETECT, 0 } };
static const char *const needs[] = { "other/1", "maybe/1?", NULL };
static const char *const provides[] = { "mine/1", NULL };
static const struct lnx_plugin plugin = {
	.size = sizeof(plugin),
	.abi_major = LNX_ABI_MAJOR,
	.abi_minor = LNX_ABI_MINOR,
	.name = "mine",
	.version = "1",
	.summary = "for the test",
	.options = options,
	.conf_size = sizeof(struct conf),
	.n_subs = 1,
	.subs = subs,
	.needs = needs,
	.provides = provides,
	.init = p_init,
	.start = p_start,
	.on_event = p_event,
	.reload = p_reload,
	.fini = p_fini,
};

static int setup(void **ret)
{
	struct testhost *t = testhost_new();

	assert_non_null(t);
	assert_int_equal(testhost_provide(t, "other/1", "x", NULL), 0);
	*ret = t;
	return 0;
}

static int teardown(void **ret)
{
	testhost_free(*ret);
	return 0;
}

static struct lnx_ev_proc_fork fork_event(uint32_t pid)
{
	struct lnx_ev_proc_fork e = { .h = { sizeof(e), LNX_EV_PROC_FORK, sizeof(e), 0, pid, 1 } };

	e.child_pid = 99;
	memcpy(e.comm, "a\"b\n", 5);
	return e;
}

static void defaults_and_overrides_are_bound(void **arg)
{
	struct testhost *t = *arg;
	const struct state *s;

	assert_int_equal(testhost_conf(t, "every=250ms"), 0);
	assert_int_equal(testhost_conf(t, "mode=fast"), 0);
	assert_int_equal(testhost_conf(t, "nonsense"), -EINVAL);
	assert_int_equal(testhost_load(t, &plugin), 0);
	s = testhost_state(t);
	assert_int_equal(s->conf->every_ns, 250000000);
	assert_int_equal(s->conf->bytes, 65536);
	assert_int_equal(s->conf->n, 3);
	assert_int_equal(s->conf->on, 1);
	assert_int_equal(s->conf->mode, 1);
	assert_true(s->conf->f > 0.49 && s->conf->f < 0.51);
	assert_string_equal(s->conf->s, "");
	assert_string_equal(s->conf->list[1], "b");
	assert_null(s->conf->list[2]);
	assert_int_equal(testhost_conf(t, "n=10"), 0);
	assert_int_equal(testhost_reload(t), 0);
	assert_int_equal(s->conf->n, 10);
	assert_int_equal(testhost_conf(t, "n=11"), 0);
	assert_int_equal(testhost_reload(t), -EINVAL);
	assert_int_equal(s->conf->n, 10);
	assert_int_equal(s->reloads, 1);
}

static void bad_options_and_missing_services_are_refused(void **arg)
{
	static const char *const bad[] = { "every=1",	"every=11s", "every=1parsec", "n=0",
					   "n=1.5",	"n=x",	     "on=maybe",      "mode=off",
					   "bytes=1kb", "f=nan",     "unknown=1",     "n=" };
	struct testhost *t;
	size_t i;

	(void)arg;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		t = testhost_new();
		assert_non_null(t);
		assert_int_equal(testhost_provide(t, "other/1", "x", NULL), 0);
		assert_int_equal(testhost_conf(t, bad[i]), 0);
		assert_int_equal(testhost_load(t, &plugin), -EINVAL);
		assert_true(strlen(testhost_error(t)) > 0);
		testhost_free(t);
	}
	t = testhost_new();
	assert_int_equal(testhost_load(t, &plugin), -ENOENT);
	assert_string_equal(testhost_error(t), "needs service other/1");
	testhost_free(t);
}

static void timers_fire_in_order_and_at_their_time(void **arg)
{
	struct testhost *t = *arg;
	const struct state *s;

	assert_int_equal(testhost_load(t, &plugin), 0);
	s = testhost_state(t);
	assert_int_equal(testhost_timers(t), 1);
	assert_int_equal(testhost_advance(t, 999999999), 0);
	assert_int_equal(testhost_advance(t, 1), 1);
	assert_int_equal(s->last_tick_ns, TESTHOST_START_NS + 1000000000);
	assert_int_equal(testhost_advance(t, 3500000000), 3);
	assert_int_equal(s->last_tick_ns, TESTHOST_START_NS + 4000000000);
	assert_int_equal(testhost_now(t), TESTHOST_START_NS + 4500000000);
}

static void rearm(void *arg)
{
	struct state *s = arg;

	s->ticks++;
	(void)s->host->timer_set(s->ctx, s->timer, 0, 0);
}

static void timer_that_rearms_itself_at_once_is_an_error(void **arg)
{
	const struct lnx_host *h;
	struct lnx_timer *once;
	struct testhost *t = *arg;
	struct state *s;

	assert_int_equal(testhost_load(t, &plugin), 0);
	h = testhost_host(t);
	s = testhost_state(t);
	assert_int_equal(h->timer_add(testhost_ctx(t), 5, 0, tick, s, &once), 0);
	assert_int_equal(testhost_advance(t, 10), 1);
	assert_int_equal(testhost_advance(t, 10), 0);
	h->timer_del(testhost_ctx(t), s->timer);
	assert_int_equal(testhost_timers(t), 0);
	assert_int_equal(h->timer_add(testhost_ctx(t), 5, 0, rearm, s, &s->timer), 0);
	assert_int_equal(testhost_advance(t, 10), -ELOOP);
	h->timer_stop(testhost_ctx(t), s->timer);
	assert_int_equal(testhost_advance(t, 10), 0);
}

static void events_are_delivered_recorded_and_answered(void **arg)
{
	struct lnx_ev_proc_fork e = fork_event(5);
	struct testhost *t = *arg;
	struct lnx_event_meta meta;
	const struct state *s;

	assert_int_equal(testhost_load(t, &plugin), 0);
	s = testhost_state(t);
	assert_int_equal(testhost_deliver(t, &e.h), 0);
	assert_int_equal(s->events, 1);
	assert_int_equal(s->last_rc, 0);
	assert_int_equal(s->meta.seq, 1);
	assert_int_equal(s->kept->pid, 5);
	assert_int_equal(s->kept->ts_ns, testhost_now(t));
	assert_int_equal(testhost_refs(t), 1);
	assert_int_equal(testhost_count(t, "alert"), 1);
	assert_int_equal(testhost_last(t, "alert")->pid, 7);
	assert_null(testhost_last(t, "proc.exit"));
	assert_int_equal(testhost_event_meta(t, 0, &meta), 0);
	assert_int_equal(meta.seq, 2);
	assert_int_equal(meta.cause_seq, 1);
	assert_int_equal(meta.hops, 1);
	e.h.pid = 13;
	assert_int_equal(testhost_deliver(t, &e.h), -EIO);
	e.h.type = LNX_EV_PROC_EXIT;
	assert_int_equal(testhost_deliver(t, &e.h), -ENOENT);
	e.h.size = 8;
	assert_int_equal(testhost_deliver(t, &e.h), -EINVAL);
	e.h.size = LNX_EVENT_MAX + 1;
	assert_int_equal(testhost_deliver(t, &e.h), -E2BIG);
	testhost_clear(t);
	assert_int_equal(testhost_published(t), 0);
}

static int count_events(void *arg, const struct lnx_event *ev, const struct lnx_event_meta *meta)
{
	uint64_t *last = arg;

	assert_true(meta->seq > *last);
	assert_true(ev->size >= sizeof(*ev));
	*last = meta->seq;
	return 0;
}

static void ring_keeps_the_newest(void **arg)
{
	struct lnx_ev_proc_fork e = fork_event(5);
	struct testhost *t = *arg;
	const struct lnx_host *h;
	uint64_t last = 0, oldest = 0;
	int i;

	assert_int_equal(testhost_load(t, &plugin), 0);
	h = testhost_host(t);
	testhost_ring_limit(t, 1000);
	for (i = 0; i < 50; i++)
		assert_int_equal(testhost_deliver(t, &e.h), 0);
	assert_in_range(h->ring_each(testhost_ctx(t), 0, count_events, &last, &oldest), 1, 20);
	assert_int_equal(last, 100); /* 50 forks, 50 alerts */
	assert_true(oldest > 80);
	last = 0;
	assert_int_equal(h->ring_each(testhost_ctx(t), 99, count_events, &last, NULL), 1);
}

static void json_has_the_fields_of_the_table(void **arg)
{
	struct lnx_ev_proc_fork e = fork_event(5);
	struct lnx_event_meta meta = { 9, 8, 1, 0 };
	struct testhost *t = *arg;
	const struct lnx_host *h;
	char buf[2048];
	int n;

	assert_int_equal(testhost_load(t, &plugin), 0);
	h = testhost_host(t);
	assert_int_equal(testhost_deliver(t, &e.h), 0);
	e.h.ts_ns = TESTHOST_START_NS;
	n = h->event_json(testhost_ctx(t), &e.h, &meta, buf, sizeof(buf));
	assert_int_equal(n, strlen(buf));
	assert_non_null(strstr(buf, "{\"seq\":9,\"ts\":\"2023-11-14T22:13:20.000000000Z\","
				    "\"type\":\"proc.fork\",\"pid\":5,\"cpu\":1,\"cause_seq\":8,"
				    "\"child_pid\":99,"));
	assert_non_null(strstr(buf, "\"comm\":\"a\\\"b\\n\""));
	assert_non_null(strstr(buf, "\"is_kthread\":false"));
	assert_int_equal(h->event_json(testhost_ctx(t), &e.h, &meta, buf, 64), -ENOSPC);
	n = h->event_json(testhost_ctx(t), testhost_last(t, "alert"), NULL, buf, sizeof(buf));
	assert_true(n > 0);
	assert_non_null(strstr(buf, "\"subject\":{\"kind\":\"node\",\"pid\":0,"));
	assert_non_null(strstr(buf, "\"evidence\":null"));
}

static int job_run(void *arg)
{
	((struct state *)arg)->jobs_run++;
	return -EPROTO;
}

static void job_done(void *arg, int rc)
{
	((struct state *)arg)->jobs_done++;
	((struct state *)arg)->last_rc = rc;
}

static void jobs_wait_fail_and_are_bounded(void **arg)
{
	struct testhost *t = *arg;
	const struct lnx_host *h;
	struct state *s;

	assert_int_equal(testhost_load(t, &plugin), 0);
	h = testhost_host(t);
	s = testhost_state(t);
	testhost_jobs_limit(t, 1);
	assert_int_equal(h->submit(testhost_ctx(t), job_run, job_done, s), 0);
	assert_int_equal(h->submit(testhost_ctx(t), job_run, job_done, s), -ENOBUFS);
	assert_int_equal(s->jobs_run, 0);
	assert_int_equal(testhost_run_jobs(t), 1);
	assert_int_equal(s->jobs_done, 1);
	assert_int_equal(s->last_rc, -EPROTO);
	testhost_jobs_inline(t, 1);
	assert_int_equal(h->submit(testhost_ctx(t), job_run, job_done, s), 0);
	assert_int_equal(s->jobs_done, 2);
	testhost_jobs_inline(t, 0);
	testhost_fail(t, "submit", -EAGAIN, 0, 1);
	assert_int_equal(h->submit(testhost_ctx(t), job_run, job_done, s), -EAGAIN);
	assert_int_equal(h->submit(testhost_ctx(t), job_run, job_done, s), 0);
	testhost_unload(
		t); /* the waiting one ends with -ECANCELED before fini frees its argument */
}

static void on_read(void *arg, int fd, uint32_t bits)
{
	struct state *s = arg;
	char c;

	assert_int_equal(bits, LNX_FD_READ);
	assert_int_equal(read(fd, &c, 1), 1);
	s->reads++;
}

static int has_read(void *arg)
{
	return ((const struct state *)arg)->reads > 0;
}

static void descriptors_are_polled(void **arg)
{
	struct testhost *t = *arg;
	const struct lnx_host *h;
	struct state *s;
	int fds[2];

	assert_int_equal(testhost_load(t, &plugin), 0);
	h = testhost_host(t);
	s = testhost_state(t);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(h->fd_add(testhost_ctx(t), fds[0], LNX_FD_READ, on_read, s, &s->fd), 0);
	assert_int_equal(testhost_fds(t), 1);
	assert_int_equal(testhost_poll(t, 0), 0);
	assert_int_equal(testhost_run_until(t, has_read, s, 10), -ETIMEDOUT);
	assert_int_equal(write(fds[1], "xy", 2), 2);
	assert_int_equal(testhost_run_until(t, has_read, s, 60000), 0);
	assert_int_equal(h->fd_set(testhost_ctx(t), s->fd, 0), 0);
	assert_int_equal(testhost_poll(t, 0), 0);
	h->fd_del(testhost_ctx(t), s->fd);
	assert_int_equal(testhost_fds(t), 0);
	close(fds[0]);
	close(fds[1]);
}

static void what_it_says_is_readable(void **arg)
{
	static const char *const labels[] = { "a", "b", NULL };
	static const char *const v1[] = { "1", "2" }, *const v2[] = { "1", "3" };
	static const struct lnx_metric_desc good = { "x_total", "help", LNX_COUNTER, 0,
						     labels,	NULL,	1,	     0 };
	static const struct lnx_metric_desc bad = { "x", "help", LNX_COUNTER, 0, NULL, NULL, 0, 0 };
	struct lnx_metric *m, *again;
	struct testhost *t = *arg;
	const struct lnx_host *h;
	void *self = NULL;

	assert_int_equal(testhost_load(t, &plugin), 0);
	h = testhost_host(t);
	assert_int_equal(h->metric(testhost_ctx(t), &bad, NULL, &m), -EINVAL);
	assert_int_equal(h->metric(testhost_ctx(t), &good, v1, &m), 0);
	assert_int_equal(h->metric(testhost_ctx(t), &good, v1, &again), 0);
	assert_ptr_equal(m, again);
	assert_int_equal(h->metric(testhost_ctx(t), &good, v2, &again), -ENOSPC);
	h->metric_add(testhost_ctx(t), m, 2.5);
	assert_true(testhost_metric(t, "x_total", "b=2,a=1") > 2.4);
	assert_true(isnan(testhost_metric(t, "x_total", "a=1")));
	assert_true(isnan(testhost_metric(t, "y_total", "")));
	assert_int_equal(testhost_metric_series(t, "x_total"), 1);
	assert_int_equal(testhost_health(t, "f"), -ENOENT);
	h->health(testhost_ctx(t), "f", LNX_HEALTH_LOST, "why");
	assert_int_equal(testhost_health(t, "f"), LNX_HEALTH_LOST);
	assert_string_equal(testhost_health_why(t, "f"), "why");
	h->log(testhost_ctx(t), LNX_WARN, "n=%d", 5);
	assert_string_equal(testhost_log(t, 0), "warn: n=5");
	assert_true(testhost_log_has(t, "n=5"));
	assert_false(testhost_log_has(t, "n=6"));
	assert_string_equal((const char *)testhost_service(t, "mine/1", &self), "vtable");
	assert_ptr_equal(self, testhost_state(t));
	assert_int_equal(testhost_conf_other(t, "probes.args=full"), 0);
	assert_string_equal(h->conf_get(testhost_ctx(t), "probes.args"), "full");
	assert_null(h->conf_get(testhost_ctx(t), "probes.other"));
	assert_int_equal(h->wanted(testhost_ctx(t), "proc.fork"), 1);
	assert_int_equal(h->wanted(testhost_ctx(t), "proc.usage"), 0);
	assert_int_equal(testhost_set_wanted(t, "proc.usage", 2), 0);
	assert_int_equal(h->wanted(testhost_ctx(t), "proc.usage"), 2);
}

static void sum_record(void *arg, const void *record)
{
	*(uint64_t *)arg += *(const uint32_t *)record;
}

static void maps_and_iterators_are_fakes(void **arg)
{
	static const uint32_t records[] = { 1, 2, 3 };
	struct testhost *t = *arg;
	const struct lnx_host *h;
	uint64_t v = 7, got = 0, sum = 0;
	uint32_t k = 1, next = 0;
	int fd;

	assert_int_equal(testhost_load(t, &plugin), 0);
	h = testhost_host(t);
	assert_int_equal(h->probe_map(testhost_ctx(t), "p", "m"), -ENOENT);
	fd = testhost_map(t, "p", "m", 4, 8);
	assert_int_equal(h->probe_map(testhost_ctx(t), "p", "m"), fd);
	assert_int_equal(h->map_lookup(testhost_ctx(t), fd, &k, &got), -ENOENT);
	assert_int_equal(h->map_update(testhost_ctx(t), fd, &k, &v, 0), 0);
	assert_int_equal(h->map_update(testhost_ctx(t), fd, &k, &v, 1), -EEXIST);
	assert_int_equal(h->map_lookup(testhost_ctx(t), fd, &k, &got), 0);
	assert_int_equal(got, 7);
	assert_int_equal(h->map_next(testhost_ctx(t), fd, NULL, &next), 0);
	assert_int_equal(next, 1);
	assert_int_equal(h->map_next(testhost_ctx(t), fd, &k, &next), -ENOENT);
	assert_int_equal(h->map_delete(testhost_ctx(t), fd, &k), 0);
	assert_int_equal(h->map_next(testhost_ctx(t), fd, NULL, &next), -ENOENT);
	assert_int_equal(h->map_lookup(testhost_ctx(t), 3, &k, &got), -EBADF);
	assert_int_equal(testhost_probe_error(t, "p", -ENODEV), 0);
	assert_int_equal(h->probe_map(testhost_ctx(t), "p", "m"), -ENODEV);
	assert_int_equal(h->probe_iter(testhost_ctx(t), "p", "i", 4, sum_record, &sum), -ENOENT);
	assert_int_equal(testhost_iter(t, "p", "i", records, 3, 4), 0);
	assert_int_equal(h->probe_iter(testhost_ctx(t), "p", "i", 4, sum_record, &sum), 3);
	assert_int_equal(sum, 6);
	assert_int_equal(h->probe_iter(testhost_ctx(t), "p", "i", 8, sum_record, &sum), -EINVAL);
	assert_int_equal(testhost_iter(t, "p", "i", NULL, -EPERM, 4), 0);
	assert_int_equal(h->probe_iter(testhost_ctx(t), "p", "i", 4, sum_record, &sum), -EPERM);
	assert_int_equal(testhost_iter_runs(t, "p", "i"), 3);
}

static void whole_vtable_is_there(void **arg)
{
	const struct lnx_host *h = testhost_host(*arg);
	const void *const *fn = (const void *const *)(const void *)&h->log;
	size_t i, n = (sizeof(*h) - offsetof(struct lnx_host, log)) / sizeof(void *);

	assert_int_equal(h->size, sizeof(*h));
	for (i = 0; i < n; i++)
		assert_non_null(fn[i]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* A figure that is not there is near nothing. */
static void figures_are_near_or_not(void **state)
{
	(void)state;
	assert_true(testhost_near(5, 5, 0));
	assert_true(testhost_near(-INFINITY, -INFINITY, 0));
	assert_true(testhost_near(1.5, 1, 0.5));
	assert_true(testhost_near(0.5, 1, 0.5));
	assert_false(testhost_near(1.5 + 1e-12, 1, 0.5));
	assert_false(testhost_near(5 + 1e-12, 5, 0));
	assert_false(testhost_near(NAN, 5, 0));
	assert_false(testhost_near(5, NAN, 0));
	assert_false(testhost_near(NAN, NAN, 1e9));
	assert_false(testhost_near(INFINITY, 1, 1e9));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(defaults_and_overrides_are_bound),
		TEST(bad_options_and_missing_services_are_refused),
		TEST(timers_fire_in_order_and_at_their_time),
		TEST(timer_that_rearms_itself_at_once_is_an_error),
		TEST(events_are_delivered_recorded_and_answered),
		TEST(ring_keeps_the_newest),
		TEST(json_has_the_fields_of_the_table),
		TEST(jobs_wait_fail_and_are_bounded),
		TEST(descriptors_are_polled),
		TEST(what_it_says_is_readable),
		TEST(maps_and_iterators_are_fakes),
		TEST(whole_vtable_is_there),
		cmocka_unit_test(figures_are_near_or_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
