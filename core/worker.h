/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Worker threads: what blocks leaves the loop. */
#ifndef LNX_WORKER_H
#define LNX_WORKER_H

#include <stdint.h>

struct ev_loop;
struct lnx_workers;

#define LNX_WORKER_THREADS 2
#define LNX_WORKER_QUEUE   256

/* Threads start with the first job. 0 or -errno. */
int lnx_workers_new(struct ev_loop *loop, struct lnx_workers **ret_workers);
/* Waits for jobs that run; the rest end with done(-ECANCELED). */
void lnx_workers_free(struct lnx_workers *w);
/* Queue <run> for a thread; <done> runs later on the loop, also on failure. -ENOBUFS: full, counted. */
int lnx_workers_submit(struct lnx_workers *w, const void *owner, int (*run)(void *arg),
		       void (*done)(void *arg, int rc), void *arg);
/* Finish or cancel all jobs of <owner>; their done() has been called on return. */
void lnx_workers_flush(struct lnx_workers *w, const void *owner);
/* Jobs refused because the queue was full. */
uint64_t lnx_workers_refused(const struct lnx_workers *w);

#endif
