/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The memory heuristic, from two looks at the pages that probe "mem" counted. */
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int stall_mem_init(struct stall_mem *m, uint32_t n_cpus)
{
	memset(m, 0, sizeof(*m));
	m->n_cpus = n_cpus;
	m->alloc = calloc(STALL_RES_GATES, sizeof(*m->alloc));
	m->values = calloc(n_cpus + 1, sizeof(*m->values));
	if (m->alloc && m->values && stall_gates_init(&m->gates) == 0)
		return 0;
	stall_mem_done(m);
	return -ENOMEM;
}

void stall_mem_done(struct stall_mem *m)
{
	free(m->alloc);
	free(m->values);
	stall_gates_done(&m->gates);
	memset(m, 0, sizeof(*m));
}

void stall_mem_reset(struct stall_mem *m, const struct stall_res_maps *maps)
{
	uint64_t id;
	uint32_t n = 0;

	while (n++ < 2 * STALL_RES_GATES && !maps->next(maps->arg, STALL_MAP_ALLOCS, NULL, &id) &&
	       !maps->del(maps->arg, STALL_MAP_ALLOCS, &id))
		;
	memset(m->alloc, 0, STALL_RES_GATES * sizeof(*m->alloc));
	m->n_alloc = 0;
	stall_gates_reset(&m->gates, maps);
}

static int by_id(const void *a, const void *b)
{
	const struct stall_mem_alloc *x = a, *y = b;

	return x->cgroup_id < y->cgroup_id ? -1 : x->cgroup_id > y->cgroup_id;
}

uint64_t stall_mem_pages(const struct stall_mem *m, uint64_t cgroup_id)
{
	const struct stall_mem_alloc key = { .cgroup_id = cgroup_id }, *a;

	a = m->n_alloc ? bsearch(&key, m->alloc, m->n_alloc, sizeof(*a), by_id) : NULL;
	return a ? a->delta : 0;
}

static void look_at(struct stall_mem *m, uint32_t n_sorted, uint64_t id, uint64_t pages,
		    uint64_t now_ns)
{
	struct stall_mem_alloc key = { .cgroup_id = id }, *a;

	a = bsearch(&key, m->alloc, n_sorted, sizeof(*a), by_id);
	if (!a) {
		if (m->n_alloc == STALL_RES_GATES) {
			m->gates.w.dropped++;
			return;
		}
		a = &m->alloc[m->n_alloc++];
		*a = (struct stall_mem_alloc){ .cgroup_id = id, .used_ns = now_ns };
	}
	a->delta = pages > a->pages ? pages - a->pages : 0;
	a->pages = pages;
	if (a->delta)
		a->used_ns = now_ns;
	a->seen = m->gates.looks;
}

static void read_allocs(struct stall_mem *m, const struct stall_res_maps *maps, uint64_t now_ns)
{
	uint32_t n_sorted = m->n_alloc, n = 0, out = 0;
	uint64_t id, next;
	int rc = maps->next(maps->arg, STALL_MAP_ALLOCS, NULL, &next);

	while (!rc && n++ < 2 * STALL_RES_GATES) {
		uint64_t pages = 0;

		id = next;
		rc = maps->next(maps->arg, STALL_MAP_ALLOCS, &id, &next);
		if (!id || maps->lookup(maps->arg, STALL_MAP_ALLOCS, &id, m->values) < 0)
			continue;
		for (uint32_t i = 0; i < m->n_cpus; i++)
			pages += m->values[i];
		look_at(m, n_sorted, id, pages, now_ns);
	}
	for (uint32_t i = 0; i < m->n_alloc; i++) {
		struct stall_mem_alloc *a = &m->alloc[i];

		if (a->seen == m->gates.looks && a->used_ns + STALL_RES_IDLE_NS > now_ns) {
			m->alloc[out++] = *a;
			continue;
		}
		if (a->seen == m->gates.looks) /* one that allocates right now loses these pages */
			(void)maps->del(maps->arg, STALL_MAP_ALLOCS, &a->cgroup_id);
	}
	m->n_alloc = out;
	if (out)
		qsort(m->alloc, out, sizeof(*m->alloc), by_id);
}

static void split(struct stall_mem *m, const struct stall_mem_scope *scope,
		  struct stall_res_victim *v)
{
	int level = scope->contended(scope->arg, v->cgroup_id);
	double pages = 0;

	for (uint32_t i = 0; level >= 0 && i < m->n_alloc; i++)
		if (m->alloc[i].delta && scope->is_below(scope->arg, m->alloc[i].cgroup_id, level))
			pages += (double)m->alloc[i].delta;
	for (uint32_t i = 0; pages > 0 && i < m->n_alloc; i++)
		if (m->alloc[i].delta && scope->is_below(scope->arg, m->alloc[i].cgroup_id, level))
			stall_gates_part(
				&m->gates, v, m->alloc[i].cgroup_id,
				(uint64_t)((double)v->raw_ns * (double)m->alloc[i].delta / pages));
	stall_gates_close(&m->gates, v);
}

void stall_mem_read(struct stall_mem *m, const struct stall_res_maps *maps,
		    const struct stall_mem_scope *scope, uint64_t now_ns,
		    struct stall_res_window *ret_w)
{
	stall_gates_read(&m->gates, maps, now_ns);
	read_allocs(m, maps, now_ns);
	for (uint32_t i = 0; i < m->gates.w.n_victims; i++)
		split(m, scope, &m->gates.victims[i]);
	*ret_w = m->gates.w;
}
