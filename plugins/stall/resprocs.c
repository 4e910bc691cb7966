/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Which processes of a culprit sent the requests or allocated the pages of a window: from map "procs" of probes "blkio" and
 * "mem". What kernel threads did for a cgroup, and what is beyond the largest, has pid 0: it is named nowhere. */
#include "demand.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stall.h"

#define NAMED_MAX 64 /* processes of one window and resource */

static int by_key(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct lnx_rec_res_key));
}

static int by_delta(const void *a, const void *b)
{
	const struct stall_res_proc *x = a, *y = b;

	return x->delta > y->delta ? -1 : x->delta < y->delta;
}

int stall_res_procs_reset(struct stall_demand *d)
{
	struct lnx_rec_res_key key;
	uint32_t n = 0;

	if (d->fd[STALL_MAP_PROCS] < 0)
		return 0;
	if (!d->procs)
		d->procs = calloc(LNX_RES_PROCS, sizeof(*d->procs));
	if (!d->procs)
		return -ENOMEM;
	while (n++ < 2 * LNX_RES_PROCS && !d->maps.next(d->maps.arg, STALL_MAP_PROCS, NULL, &key) &&
	       !d->maps.del(d->maps.arg, STALL_MAP_PROCS, &key))
		;
	d->n_procs = 0;
	return 0;
}

static void look_at(struct stall_demand *d, uint32_t n_sorted, const struct lnx_rec_res_key *key,
		    const struct lnx_rec_res_proc *v, uint64_t now_ns)
{
	struct stall_res_proc *p =
		bsearch(key, d->procs, n_sorted, sizeof(*p), by_key); /* key is its first member */

	if (!p) {
		if (d->n_procs == LNX_RES_PROCS)
			return; /* cannot be: the map has no more */
		p = &d->procs[d->n_procs++];
		*p = (struct stall_res_proc){ .key = *key };
	}
	p->delta = v->amount > p->v.amount ? v->amount - p->v.amount : 0;
	p->v = *v;
	p->looks = d->looks;
	if (p->delta)
		p->used_ns = now_ns;
}

static void look(struct stall_demand *d, uint64_t now_ns)
{
	struct lnx_rec_res_key key, next;
	uint32_t n_sorted = d->n_procs, n = 0, out = 0;
	int rc = d->maps.next(d->maps.arg, STALL_MAP_PROCS, NULL, &next);

	d->looks++;
	while (!rc && n++ < 2 * LNX_RES_PROCS) {
		struct lnx_rec_res_proc v;

		key = next;
		rc = d->maps.next(d->maps.arg, STALL_MAP_PROCS, &key, &next);
		if (!d->maps.lookup(d->maps.arg, STALL_MAP_PROCS, &key, &v))
			look_at(d, n_sorted, &key, &v, now_ns);
	}
	for (uint32_t i = 0; i < d->n_procs; i++) {
		const struct stall_res_proc *p = &d->procs[i];

		if (p->looks == d->looks && p->used_ns + STALL_RES_IDLE_NS > now_ns)
			d->procs[out++] = *p;
		else if (p->looks == d->looks) /* what it does right now is lost */
			(void)d->maps.del(d->maps.arg, STALL_MAP_PROCS, &p->key);
	}
	d->n_procs = out;
}

static int task_of(struct stall *s, const struct stall_demand *d, const struct stall_res_proc *p,
		   uint32_t is_named, uint64_t now_ns)
{
	uint64_t id = p->key.id;
	struct stall_task *t;

	if (id & LNX_IO_V1)
		id = stall_scope_translate(&s->res->scope, id & ~LNX_IO_V1, p->v.hint);
	t = stall_task_add(s);
	if (!t)
		return -ENOMEM;
	t->who = id ? stall_who_of(s, id, now_ns) : STALL_WHO_OTHER;
	t->amount[d->resource == LNX_RES_IO] = p->delta;
	if (!is_named || !p->key.tgid)
		return 0;
	t->pid = p->key.tgid;
	t->start_ns = p->v.start_ns;
	memcpy(t->comm, p->v.comm, sizeof(t->comm));
	t->comm[sizeof(t->comm) - 1] = 0;
	return 0;
}

int stall_res_procs_tasks(struct stall *s, struct stall_demand *d, uint64_t now_ns)
{
	int rc = 0;

	if (!d->procs)
		return 0;
	look(d, now_ns);
	if (d->n_procs)
		qsort(d->procs, d->n_procs, sizeof(*d->procs), by_delta);
	for (uint32_t i = 0; !rc && i < d->n_procs && d->procs[i].delta; i++)
		rc = task_of(s, d, &d->procs[i], i < NAMED_MAX && !stall_shed_flags(s), now_ns);
	if (d->n_procs)
		qsort(d->procs, d->n_procs, sizeof(*d->procs), by_key);
	return rc;
}
