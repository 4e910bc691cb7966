/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A bounded list of jobs and two threads; results come back through ev_async. */
#include "worker.h"

#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "crash.h"

struct lnx_job {
	struct lnx_job *next;
	const void *owner;
	int (*run)(void *arg);
	void (*done)(void *arg, int rc);
	void *arg;
	int rc;
};

struct lnx_workers {
	struct ev_loop *loop;
	ev_async wake;
	pthread_mutex_t lock; /* guards everything below but refused */
	pthread_cond_t todo_cond, idle_cond;
	struct lnx_job *todo, **todo_end, *finished, **finished_end;
	const void *running
		[LNX_WORKER_THREADS]; /* owner of the job that a thread runs, NULL when idle */
	unsigned n_todo;
	bool is_stopping;
	unsigned n_threads; /* loop thread only */
	pthread_t threads[LNX_WORKER_THREADS];
	uint64_t refused;
};

struct lnx_worker_arg {
	struct lnx_workers *w;
	unsigned index;
};

static void *lnx_worker_main(void *p)
{
	struct lnx_worker_arg a = *(struct lnx_worker_arg *)p;
	struct lnx_workers *w = a.w;
	struct lnx_crash_stack stack;

	free(p);
	lnx_crash_thread_begin(&stack);
	(void)pthread_mutex_lock(&w->lock); /* cannot fail: a plain mutex of ours */
	for (;;) {
		struct lnx_job *j = w->todo;

		if (!j) {
			if (w->is_stopping)
				break;
			(void)pthread_cond_wait(&w->todo_cond, &w->lock);
			continue;
		}
		w->todo = j->next;
		if (!w->todo)
			w->todo_end = &w->todo;
		w->n_todo--;
		w->running[a.index] = j->owner;
		(void)pthread_mutex_unlock(&w->lock);
		j->rc = j->run(j->arg);
		(void)pthread_mutex_lock(&w->lock);
		w->running[a.index] = NULL;
		j->next = NULL;
		*w->finished_end = j;
		w->finished_end = &j->next;
		(void)pthread_cond_broadcast(&w->idle_cond);
		ev_async_send(w->loop, &w->wake);
	}
	(void)pthread_mutex_unlock(&w->lock);
	lnx_crash_thread_end(&stack);
	return NULL;
}

static void lnx_workers_reap(struct lnx_workers *w)
{
	struct lnx_job *j, *next;

	(void)pthread_mutex_lock(&w->lock);
	j = w->finished;
	w->finished = NULL;
	w->finished_end = &w->finished;
	(void)pthread_mutex_unlock(&w->lock);
	for (; j; j = next) {
		next = j->next;
		if (j->done)
			j->done(j->arg, j->rc);
		free(j);
	}
}

static void lnx_workers_on_wake(struct ev_loop *loop, ev_async *a, int revents)
{
	(void)loop;
	(void)revents;
	lnx_workers_reap(a->data);
}

int lnx_workers_new(struct ev_loop *loop, struct lnx_workers **ret_workers)
{
	struct lnx_workers *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->loop = loop;
	w->todo_end = &w->todo;
	w->finished_end = &w->finished;
	(void)pthread_mutex_init(&w->lock, NULL); /* default attributes: cannot fail on Linux */
	(void)pthread_cond_init(&w->todo_cond, NULL);
	(void)pthread_cond_init(&w->idle_cond, NULL);
	ev_async_init(&w->wake, lnx_workers_on_wake);
	w->wake.data = w;
	ev_async_start(loop, &w->wake);
	ev_unref(loop);
	*ret_workers = w;
	return 0;
}

/* Move the jobs of <owner> (NULL: all) that no thread has taken to the finished list. */
static void lnx_workers_cancel(struct lnx_workers *w, const void *owner)
{
	struct lnx_job **p = &w->todo, *j;

	while ((j = *p)) {
		if (owner && j->owner != owner) {
			p = &j->next;
			continue;
		}
		*p = j->next;
		w->n_todo--;
		j->rc = -ECANCELED;
		j->next = NULL;
		*w->finished_end = j;
		w->finished_end = &j->next;
	}
	w->todo_end = p;
}

static bool lnx_workers_runs(const struct lnx_workers *w, const void *owner)
{
	unsigned i;

	for (i = 0; i < LNX_WORKER_THREADS; i++)
		if (w->running[i] && (!owner || w->running[i] == owner))
			return true;
	return false;
}

void lnx_workers_flush(struct lnx_workers *w, const void *owner)
{
	(void)pthread_mutex_lock(&w->lock);
	lnx_workers_cancel(w, owner);
	while (lnx_workers_runs(w, owner))
		(void)pthread_cond_wait(&w->idle_cond, &w->lock);
	(void)pthread_mutex_unlock(&w->lock);
	lnx_workers_reap(w);
}

void lnx_workers_free(struct lnx_workers *w)
{
	unsigned i;

	if (!w)
		return;
	lnx_workers_flush(w, NULL);
	(void)pthread_mutex_lock(&w->lock);
	w->is_stopping = true;
	(void)pthread_cond_broadcast(&w->todo_cond);
	(void)pthread_mutex_unlock(&w->lock);
	for (i = 0; i < w->n_threads; i++)
		(void)pthread_join(w->threads[i], NULL);
	ev_ref(w->loop);
	ev_async_stop(w->loop, &w->wake);
	(void)pthread_mutex_destroy(&w->lock);
	(void)pthread_cond_destroy(&w->todo_cond);
	(void)pthread_cond_destroy(&w->idle_cond);
	free(w);
}

/* Threads take no signals but those of their own crashes: the others are the loop's. */
static int lnx_workers_spawn(struct lnx_workers *w)
{
	sigset_t all, old;

	sigfillset(&all);
	lnx_crash_unblock(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	while (w->n_threads < LNX_WORKER_THREADS) {
		struct lnx_worker_arg *a = malloc(sizeof(*a));

		if (!a)
			break;
		a->w = w;
		a->index = w->n_threads;
		if (pthread_create(&w->threads[w->n_threads], NULL, lnx_worker_main, a) != 0) {
			free(a);
			break;
		}
		w->n_threads++;
	}
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return w->n_threads ? 0 : -EAGAIN;
}

int lnx_workers_submit(struct lnx_workers *w, const void *owner, int (*run)(void *arg),
		       void (*done)(void *arg, int rc), void *arg)
{
	struct lnx_job *j;
	int rc = 0;

	if (w->n_threads == 0) {
		rc = lnx_workers_spawn(w);
		if (rc < 0)
			return rc;
	}
	j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	j->owner = owner;
	j->run = run;
	j->done = done;
	j->arg = arg;
	(void)pthread_mutex_lock(&w->lock);
	if (w->n_todo >= LNX_WORKER_QUEUE) {
		rc = -ENOBUFS;
	} else {
		*w->todo_end = j;
		w->todo_end = &j->next;
		w->n_todo++;
		(void)pthread_cond_signal(&w->todo_cond);
	}
	(void)pthread_mutex_unlock(&w->lock);
	if (rc < 0) {
		w->refused++;
		free(j);
	}
	return rc;
}

uint64_t lnx_workers_refused(const struct lnx_workers *w)
{
	return w->refused;
}
