/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Timers, fds, jobs and maps of plugins. Each callback runs as its plugin: the crash table knows who. */
#include "host_loop.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <ev.h>
#include <stdlib.h>

#include "app.h"
#include "crash.h"

struct lnx_timer {
	ev_timer w;
	struct lnx_ctx *ctx;
	struct lnx_timer *next;
	void (*cb)(void *arg);
	void *arg;
};

struct lnx_fd {
	ev_io w;
	struct lnx_ctx *ctx;
	struct lnx_fd *next;
	void (*cb)(void *arg, int fd, uint32_t bits);
	void *arg;
};

static void lnx_timer_fired(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct lnx_timer *t = (struct lnx_timer *)(void *)w;
	struct lnx_ctx *c = t->ctx;
	int before = lnx_ctx_enter(c);

	(void)loop;
	(void)revents;
	t->cb(t->arg); /* may delete <t> */
	lnx_ctx_leave(c, before);
}

int lnx_host_timer_set(struct lnx_ctx *c, struct lnx_timer *t, uint64_t first_ns,
		       uint64_t period_ns)
{
	ev_timer_stop(c->app->loop, &t->w);
	ev_now_update(c->app->loop); /* a slow handler before us must not shorten it */
	ev_timer_set(&t->w, (double)first_ns / 1e9, (double)period_ns / 1e9);
	ev_timer_start(c->app->loop, &t->w);
	return 0;
}

int lnx_host_timer_add(struct lnx_ctx *c, uint64_t first_ns, uint64_t period_ns,
		       void (*cb)(void *arg), void *arg, struct lnx_timer **ret_timer)
{
	struct lnx_timer *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	ev_timer_init(&t->w, lnx_timer_fired, 0., 0.);
	t->ctx = c;
	t->cb = cb;
	t->arg = arg;
	t->next = c->timers;
	c->timers = t;
	(void)lnx_host_timer_set(c, t, first_ns, period_ns); /* cannot fail */
	*ret_timer = t;
	return 0;
}

void lnx_host_timer_stop(struct lnx_ctx *c, struct lnx_timer *t)
{
	if (t)
		ev_timer_stop(c->app->loop, &t->w);
}

void lnx_host_timer_del(struct lnx_ctx *c, struct lnx_timer *t)
{
	struct lnx_timer **p = &c->timers;

	while (*p && *p != t)
		p = &(*p)->next;
	if (!t || !*p)
		return;
	*p = t->next;
	ev_timer_stop(c->app->loop, &t->w);
	free(t);
}

static void lnx_fd_ready(struct ev_loop *loop, ev_io *w, int revents)
{
	struct lnx_fd *f = (struct lnx_fd *)(void *)w;
	struct lnx_ctx *c = f->ctx;
	int before = lnx_ctx_enter(c);

	(void)loop;
	f->cb(f->arg, w->fd,
	      (revents & EV_READ ? LNX_FD_READ : 0u) | (revents & EV_WRITE ? LNX_FD_WRITE : 0u));
	lnx_ctx_leave(c, before);
}

static int lnx_ev_bits(uint32_t bits)
{
	return (bits & LNX_FD_READ ? EV_READ : 0) | (bits & LNX_FD_WRITE ? EV_WRITE : 0);
}

int lnx_host_fd_set(struct lnx_ctx *c, struct lnx_fd *f, uint32_t bits)
{
	int fd = f->w.fd;

	ev_io_stop(c->app->loop, &f->w);
	ev_io_set(&f->w, fd, lnx_ev_bits(bits));
	if (bits)
		ev_io_start(c->app->loop, &f->w);
	return 0;
}

int lnx_host_fd_add(struct lnx_ctx *c, int fd, uint32_t bits,
		    void (*cb)(void *arg, int fd, uint32_t bits), void *arg, struct lnx_fd **ret_fd)
{
	struct lnx_fd *f;

	if (fd < 0)
		return -EBADF;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	ev_io_init(&f->w, lnx_fd_ready, fd, 0);
	f->ctx = c;
	f->cb = cb;
	f->arg = arg;
	f->next = c->fds;
	c->fds = f;
	(void)lnx_host_fd_set(c, f, bits); /* cannot fail */
	*ret_fd = f;
	return 0;
}

void lnx_host_fd_del(struct lnx_ctx *c, struct lnx_fd *f)
{
	struct lnx_fd **p = &c->fds;

	while (*p && *p != f)
		p = &(*p)->next;
	if (!f || !*p)
		return;
	*p = f->next;
	ev_io_stop(c->app->loop, &f->w);
	free(f);
}

void lnx_ctx_release_loop(struct lnx_ctx *c)
{
	while (c->timers)
		lnx_host_timer_del(c, c->timers);
	while (c->fds)
		lnx_host_fd_del(c, c->fds);
}

/* A job of a plugin, run and ended as that plugin. */
struct lnx_host_job {
	struct lnx_ctx *ctx;
	int (*run)(void *arg);
	void (*done)(void *arg, int rc);
	void *arg;
};

static int lnx_host_job_run(void *arg)
{
	const struct lnx_host_job *j = arg;
	int rc;

	lnx_crash_thread_run(j->ctx->crash_index);
	rc = j->run(j->arg);
	lnx_crash_thread_run(-1);
	return rc;
}

static void lnx_host_job_done(void *arg, int rc)
{
	struct lnx_host_job *j = arg;
	struct lnx_ctx *c = j->ctx;
	int before = lnx_ctx_enter(c);

	if (j->done)
		j->done(j->arg, rc);
	lnx_ctx_leave(c, before);
	free(j);
}

int lnx_host_submit(struct lnx_ctx *c, int (*run)(void *arg), void (*done)(void *arg, int rc),
		    void *arg)
{
	struct lnx_host_job *j = malloc(sizeof(*j));
	int rc;

	if (!j)
		return -ENOMEM;
	*j = (struct lnx_host_job){ c, run, done, arg };
	rc = lnx_workers_submit(c->app->workers, c, lnx_host_job_run, lnx_host_job_done, j);
	if (rc < 0)
		free(j);
	return rc;
}

int lnx_host_map_lookup(struct lnx_ctx *c, int map_fd, const void *key, void *ret_value)
{
	(void)c;
	return bpf_map_lookup_elem(map_fd, key, ret_value) < 0 ? -errno : 0;
}

int lnx_host_map_update(struct lnx_ctx *c, int map_fd, const void *key, const void *value,
			uint64_t flags)
{
	(void)c;
	return bpf_map_update_elem(map_fd, key, value, flags) < 0 ? -errno : 0;
}

int lnx_host_map_delete(struct lnx_ctx *c, int map_fd, const void *key)
{
	(void)c;
	return bpf_map_delete_elem(map_fd, key) < 0 ? -errno : 0;
}

int lnx_host_map_next(struct lnx_ctx *c, int map_fd, const void *key, void *ret_key)
{
	(void)c;
	return bpf_map_get_next_key(map_fd, key, ret_key) < 0 ? -errno : 0;
}
