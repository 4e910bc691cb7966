/* SPDX-License-Identifier: MIT */
/* The loop of the test host: driven time, timers, descriptors, jobs. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "testhost_priv.h"

/* ---- time */

uint64_t testhost_now(struct testhost *t)
{
	return t->now_ns;
}

void testhost_set_now(struct testhost *t, uint64_t now_ns)
{
	t->now_ns = now_ns;
}

static uint64_t host_now_ns(struct lnx_ctx *ctx)
{
	return ctx->t->now_ns;
}

static uint64_t host_wall_ns(struct lnx_ctx *ctx, uint64_t boot_ns)
{
	return TESTHOST_WALL_NS - TESTHOST_START_NS + boot_ns + (uint64_t)ctx->t->wall_step_ns;
}

void testhost_step_wall(struct testhost *t, int64_t ns)
{
	t->wall_step_ns += ns;
}

static int host_timer_set(struct lnx_ctx *ctx, struct lnx_timer *tm, uint64_t first_ns,
			  uint64_t period_ns)
{
	struct testhost *t = ctx->t;
	int r = th_fault(t, "timer_set");

	if (r)
		return r;
	tm->due_ns = t->now_ns + first_ns;
	tm->period_ns = period_ns;
	tm->order = t->order++;
	tm->is_armed = 1;
	return 0;
}

static int host_timer_add(struct lnx_ctx *ctx, uint64_t first_ns, uint64_t period_ns,
			  void (*cb)(void *arg), void *arg, struct lnx_timer **ret_timer)
{
	struct testhost *t = ctx->t;
	struct lnx_timer *tm;
	int r = th_fault(t, "timer_add");

	if (r)
		return r;
	if (!cb || !ret_timer)
		return -EINVAL;
	tm = calloc(1, sizeof(*tm));
	if (!tm || th_list_add(&t->timers, tm)) {
		free(tm);
		return -ENOMEM;
	}
	tm->cb = cb;
	tm->arg = arg;
	tm->due_ns = t->now_ns + first_ns;
	tm->period_ns = period_ns;
	tm->order = t->order++;
	tm->is_armed = 1;
	*ret_timer = tm;
	return 0;
}

static void host_timer_stop(struct lnx_ctx *ctx, struct lnx_timer *tm)
{
	(void)ctx;
	if (tm)
		tm->is_armed = 0;
}

static void timers_sweep(struct testhost *t)
{
	struct lnx_timer *tm;
	size_t i = 0;

	while (i < t->timers.n) {
		tm = t->timers.item[i];
		if (!tm->is_deleted) {
			i++;
			continue;
		}
		th_list_del(&t->timers, i);
		free(tm);
	}
}

static void host_timer_del(struct lnx_ctx *ctx, struct lnx_timer *tm)
{
	if (!tm)
		return;
	tm->is_armed = 0;
	tm->is_deleted = 1;
	if (!ctx->t->depth)
		timers_sweep(ctx->t);
}

static struct lnx_timer *timer_next(struct testhost *t, uint64_t until_ns)
{
	struct lnx_timer *best = NULL, *tm;
	size_t i;

	for (i = 0; i < t->timers.n; i++) {
		tm = t->timers.item[i];
		if (!tm->is_armed || tm->due_ns > until_ns)
			continue;
		if (!best || tm->due_ns < best->due_ns ||
		    (tm->due_ns == best->due_ns && tm->order < best->order))
			best = tm;
	}
	return best;
}

int testhost_advance(struct testhost *t, uint64_t ns)
{
	uint64_t until = t->now_ns + ns;
	struct lnx_timer *tm;
	unsigned same = 0;
	int fired = 0;

	while ((tm = timer_next(t, until))) {
		if (tm->due_ns > t->now_ns) {
			t->now_ns = tm->due_ns;
			same = 0;
		}
		if (++same > TH_MAX_FIRED)
			return -ELOOP;
		tm->is_armed = tm->period_ns != 0;
		tm->due_ns = t->now_ns + tm->period_ns;
		tm->order = t->order++;
		t->depth++;
		tm->cb(tm->arg);
		t->depth--;
		fired++;
		th_event_drain(t);
		timers_sweep(t);
	}
	t->now_ns = until;
	return fired;
}

unsigned testhost_timers(struct testhost *t)
{
	unsigned n = 0;
	size_t i;

	for (i = 0; i < t->timers.n; i++)
		n += ((const struct lnx_timer *)t->timers.item[i])->is_armed != 0;
	return n;
}

/* ---- descriptors */

static int host_fd_add(struct lnx_ctx *ctx, int fd, uint32_t bits,
		       void (*cb)(void *arg, int fd, uint32_t bits), void *arg,
		       struct lnx_fd **ret_fd)
{
	int r = th_fault(ctx->t, "fd_add");
	struct lnx_fd *f;

	if (r)
		return r;
	if (fd < 0 || !cb || !ret_fd)
		return -EINVAL;
	f = calloc(1, sizeof(*f));
	if (!f || th_list_add(&ctx->t->fds, f)) {
		free(f);
		return -ENOMEM;
	}
	f->fd = fd;
	f->bits = bits;
	f->cb = cb;
	f->arg = arg;
	*ret_fd = f;
	return 0;
}

static int host_fd_set(struct lnx_ctx *ctx, struct lnx_fd *f, uint32_t bits)
{
	int r = th_fault(ctx->t, "fd_set");

	if (!r)
		f->bits = bits;
	return r;
}

static void fds_sweep(struct testhost *t)
{
	struct lnx_fd *f;
	size_t i = 0;

	while (i < t->fds.n) {
		f = t->fds.item[i];
		if (!f->is_deleted) {
			i++;
			continue;
		}
		th_list_del(&t->fds, i);
		free(f);
	}
}

static void host_fd_del(struct lnx_ctx *ctx, struct lnx_fd *f)
{
	if (!f)
		return;
	f->bits = 0;
	f->is_deleted = 1;
	if (!ctx->t->depth)
		fds_sweep(ctx->t);
}

static int fds_dispatch(struct testhost *t, const struct pollfd *p, size_t n)
{
	struct lnx_fd *f;
	uint32_t bits;
	int called = 0;
	size_t i;

	t->depth++;
	for (i = 0; i < n; i++) {
		f = t->fds.item[i];
		bits = (p[i].revents & (POLLIN | POLLHUP | POLLERR) ? LNX_FD_READ : 0u) |
		       (p[i].revents & (POLLOUT | POLLERR) ? LNX_FD_WRITE : 0u);
		bits &= f->bits;
		if (f->is_deleted || !bits)
			continue;
		f->cb(f->arg, f->fd, bits);
		called++;
	}
	t->depth--;
	th_event_drain(t);
	fds_sweep(t);
	timers_sweep(t);
	return called;
}

int testhost_poll(struct testhost *t, int timeout_ms)
{
	size_t i, n = t->fds.n;
	struct pollfd *p = calloc(n ? n : 1, sizeof(*p));
	const struct lnx_fd *f;
	int r;

	if (!p)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		f = t->fds.item[i];
		p[i].fd = f->bits ? f->fd : -1;
		p[i].events = (short)((f->bits & LNX_FD_READ ? POLLIN : 0) |
				      (f->bits & LNX_FD_WRITE ? POLLOUT : 0));
	}
	r = poll(p, n, timeout_ms);
	if (r < 0)
		r = errno == EINTR ? 0 : -errno;
	else
		r = fds_dispatch(t, p, n);
	free(p);
	if (r >= 0)
		testhost_run_jobs(t);
	return r;
}

static uint64_t real_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int testhost_run_until(struct testhost *t, int (*is_done)(void *arg), void *arg, int limit_ms)
{
	uint64_t start = real_ns(), last = start, now;
	int r;

	while (!is_done(arg)) {
		r = testhost_poll(t, 5);
		if (r < 0)
			return r;
		now = real_ns();
		r = testhost_advance(t, now - last);
		if (r < 0)
			return r;
		last = now;
		if (now - start > (uint64_t)limit_ms * 1000000u)
			return is_done(arg) ? 0 : -ETIMEDOUT;
	}
	return 0;
}

unsigned testhost_fds(struct testhost *t)
{
	return (unsigned)t->fds.n;
}

/* ---- jobs */

void testhost_jobs_inline(struct testhost *t, int is_inline)
{
	t->jobs_inline = is_inline;
}

void testhost_jobs_limit(struct testhost *t, unsigned limit)
{
	t->jobs_limit = limit;
}

static int host_submit(struct lnx_ctx *ctx, int (*run)(void *arg), void (*done)(void *arg, int rc),
		       void *arg)
{
	struct testhost *t = ctx->t;
	struct th_job *j;
	int r = th_fault(t, "submit");

	if (r)
		return r;
	if (!run)
		return -EINVAL;
	if (t->jobs_inline) {
		r = run(arg);
		if (done)
			done(arg, r);
		return 0;
	}
	if (t->jobs.n >= t->jobs_limit)
		return -ENOBUFS;
	j = calloc(1, sizeof(*j));
	if (!j || th_list_add(&t->jobs, j)) {
		free(j);
		return -ENOMEM;
	}
	j->run = run;
	j->done = done;
	j->arg = arg;
	return 0;
}

int testhost_run_jobs(struct testhost *t)
{
	struct th_job *j;
	int n = 0, r;

	while (t->jobs.n) {
		j = t->jobs.item[0];
		th_list_del(&t->jobs, 0);
		r = j->run(j->arg);
		t->depth++;
		if (j->done)
			j->done(j->arg, r);
		t->depth--;
		free(j);
		n++;
		th_event_drain(t);
	}
	return n;
}

void th_loop_cancel(struct testhost *t)
{
	struct th_job *j;

	while (t->jobs.n) {
		j = t->jobs.item[0];
		th_list_del(&t->jobs, 0);
		if (j->done)
			j->done(j->arg, -ECANCELED);
		free(j);
	}
}

void th_loop_host(struct lnx_host *h)
{
	h->now_ns = host_now_ns;
	h->wall_ns = host_wall_ns;
	h->timer_add = host_timer_add;
	h->timer_set = host_timer_set;
	h->timer_stop = host_timer_stop;
	h->timer_del = host_timer_del;
	h->fd_add = host_fd_add;
	h->fd_set = host_fd_set;
	h->fd_del = host_fd_del;
	h->submit = host_submit;
}

void th_loop_done(struct testhost *t)
{
	th_list_done(&t->timers, free);
	th_list_done(&t->fds, free);
	th_list_done(&t->jobs, free);
}
