/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Two looks at the gates of a probe make a window: how long each cgroup waited. Gates that nobody uses are given back, and
 * one held open by a task that sleeps no more is made anew. */
#include "res.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PLACES	     (2 * STALL_RES_GATES) /* a power of two */
#define WAITERS_LOOK 20000		   /* entries walked at most, more than the probe keeps */

int stall_gates_init(struct stall_gates *g)
{
	memset(g, 0, sizeof(*g));
	g->gate = calloc(PLACES, sizeof(*g->gate));
	g->victims = calloc(STALL_RES_GATES, sizeof(*g->victims));
	/* what of each victim went to OTHER always has a place */
	g->parts = calloc(STALL_RES_PARTS + STALL_RES_GATES, sizeof(*g->parts));
	if (g->gate && g->victims && g->parts)
		return 0;
	stall_gates_done(g);
	return -ENOMEM;
}

void stall_gates_done(struct stall_gates *g)
{
	free(g->gate);
	free(g->victims);
	free(g->parts);
	memset(g, 0, sizeof(*g));
}

static uint32_t home_of(uint64_t id)
{
	return (uint32_t)((id * 0x9e3779b97f4a7c15ULL) >> 40) & (PLACES - 1);
}

/* Its place, or the free one it would take. */
static struct stall_gate *place_of(struct stall_gates *g, uint64_t id)
{
	uint32_t at = home_of(id);

	while (g->gate[at].cgroup_id && g->gate[at].cgroup_id != id)
		at = (at + 1) & (PLACES - 1);
	return &g->gate[at];
}

/* Take out, and move what would not be found any more. */
static void forget(struct stall_gates *g, struct stall_gate *e)
{
	uint32_t hole = (uint32_t)(e - g->gate), at = hole;

	g->n--;
	for (;;) {
		at = (at + 1) & (PLACES - 1);
		if (!g->gate[at].cgroup_id)
			break;
		if (((at - home_of(g->gate[at].cgroup_id)) & (PLACES - 1)) >=
		    ((at - hole) & (PLACES - 1))) {
			g->gate[hole] = g->gate[at];
			hole = at;
		}
	}
	memset(&g->gate[hole], 0, sizeof(*e));
}

static void look_at(struct stall_gates *g, uint64_t id, const struct lnx_rec_gate *r,
		    uint64_t now_ns)
{
	struct stall_gate *e = place_of(g, id);
	uint64_t total = r->stall_ns, base;

	if (r->n && now_ns > r->since)
		total += now_ns - r->since;
	if (!e->cgroup_id) {
		if (g->n == STALL_RES_GATES) {
			g->w.dropped++;
			return;
		}
		g->n++;
		e->cgroup_id = id;
		e->born = 0;
	}
	/* Of a gate that is older than our knowledge, the past is not this window's. */
	base = e->born == r->born ? e->total_ns : r->born >= g->at_ns && g->at_ns ? 0 : total;
	e->born = r->born;
	e->delta_ns = total > base ? total - base : 0;
	e->total_ns = total > base ? total : base;
	if (e->delta_ns || r->n || !e->used_ns)
		e->used_ns = now_ns;
	e->seen = g->looks;
}

/* Those that waited become victims; gates that are gone or unused go. */
static void sweep(struct stall_gates *g, const struct stall_res_maps *maps, uint64_t now_ns)
{
	for (uint32_t i = 0; i < PLACES; i++) {
		struct stall_gate *e = &g->gate[i];
		struct stall_res_victim *v = &g->victims[g->w.n_victims];

		if (!e->cgroup_id)
			continue;
		if (e->seen == g->looks && e->delta_ns) {
			*v = (struct stall_res_victim){ .cgroup_id = e->cgroup_id,
							.raw_ns = e->delta_ns };
			g->w.n_victims++;
			e->delta_ns = 0;
		}
		if (e->seen == g->looks && e->used_ns + STALL_RES_IDLE_NS > now_ns)
			continue;
		/* A task that begins to wait at this very moment is lost with it: one wait in a minute. */
		if (e->seen == g->looks)
			(void)maps->del(maps->arg, STALL_MAP_GATES, &e->cgroup_id);
		forget(g, e);
		i--; /* another may have moved here */
	}
}

static void check_stuck(struct stall_gates *g, const struct stall_res_maps *maps, uint64_t now_ns)
{
	struct lnx_rec_waiting t;
	uint32_t tid, next, n = 0;
	int rc;

	if (!maps->sleeps || g->checked_ns + STALL_RES_STUCK_NS > now_ns)
		return;
	g->checked_ns = now_ns;
	rc = maps->next(maps->arg, STALL_MAP_WAITING, NULL, &next);
	while (!rc && n++ < WAITERS_LOOK) {
		tid = next;
		rc = maps->next(maps->arg, STALL_MAP_WAITING, &tid, &next);
		if (maps->lookup(maps->arg, STALL_MAP_WAITING, &tid, &t) < 0 ||
		    t.since + STALL_RES_STUCK_NS > now_ns || maps->sleeps(maps->arg, tid))
			continue;
		(void)maps->del(maps->arg, STALL_MAP_WAITING, &tid); /* gone is fine */
		/* How many hold it open is not known any more: it begins anew with the next wait. */
		(void)maps->del(maps->arg, STALL_MAP_GATES, &t.cgroup_id);
		g->w.repaired++;
	}
}

static void read_counts(struct stall_gates *g, const struct stall_res_maps *maps)
{
	struct lnx_rec_counts c;
	uint32_t zero = 0;

	if (maps->lookup(maps->arg, STALL_MAP_COUNTS, &zero, &c) < 0)
		return;
	for (uint32_t i = 0; i < LNX_RES_COUNTS; i++) {
		g->w.count[i] = g->at_ns && c.n[i] > g->count[i] ? c.n[i] - g->count[i] : 0;
		g->count[i] = c.n[i];
	}
}

void stall_gates_read(struct stall_gates *g, const struct stall_res_maps *maps, uint64_t now_ns)
{
	struct lnx_rec_gate r;
	uint64_t id, next;
	uint32_t n = 0;
	int rc;

	memset(&g->w, 0, sizeof(g->w));
	g->w.from_ns = g->at_ns ? g->at_ns : now_ns;
	g->w.to_ns = now_ns;
	g->w.victims = g->victims;
	g->w.parts = g->parts;
	g->looks++;
	check_stuck(g, maps, now_ns);
	rc = maps->next(maps->arg, STALL_MAP_GATES, NULL, &next);
	while (!rc && n++ < PLACES) {
		id = next;
		rc = maps->next(maps->arg, STALL_MAP_GATES, &id, &next);
		if (maps->lookup(maps->arg, STALL_MAP_GATES, &id, &r) == 0)
			look_at(g, id, &r, now_ns);
	}
	sweep(g, maps, now_ns);
	read_counts(g, maps);
	g->at_ns = now_ns;
}

void stall_gates_part(struct stall_gates *g, struct stall_res_victim *v, uint64_t culprit,
		      uint64_t ns)
{
	if (!ns)
		return;
	if (!v->n)
		v->first = g->w.n_parts;
	for (uint32_t i = v->first; i < v->first + v->n; i++)
		if (g->parts[i].culprit == culprit) {
			g->parts[i].ns += ns;
			return;
		}
	if (g->w.n_parts >= STALL_RES_PARTS && culprit != STALL_RES_OTHER) {
		g->w.dropped++;
		return;
	}
	g->parts[g->w.n_parts++] = (struct stall_res_part){ culprit, ns };
	v->n++;
}

void stall_gates_close(struct stall_gates *g, struct stall_res_victim *v)
{
	uint64_t sum = 0, left = v->raw_ns;

	for (uint32_t i = v->first; i < v->first + v->n; i++)
		sum += g->parts[i].ns;
	if (sum > v->raw_ns) {
		for (uint32_t i = v->first; i < v->first + v->n; i++) {
			uint64_t ns = (uint64_t)((double)g->parts[i].ns * (double)v->raw_ns /
						 (double)sum);

			ns = ns < left ? ns : left;
			left -= i + 1 < v->first + v->n ? ns : 0;
			g->parts[i].ns = i + 1 < v->first + v->n ? ns : left;
		}
	} else if (sum < v->raw_ns) {
		stall_gates_part(g, v, STALL_RES_OTHER, v->raw_ns - sum);
	}
}

static void clear_map(const struct stall_res_maps *maps, uint32_t map, uint32_t limit)
{
	uint64_t key = 0;

	while (limit-- && !maps->next(maps->arg, map, NULL, &key) &&
	       !maps->del(maps->arg, map, &key))
		;
}

void stall_gates_reset(struct stall_gates *g, const struct stall_res_maps *maps)
{
	clear_map(maps, STALL_MAP_WAITING, WAITERS_LOOK);
	clear_map(maps, STALL_MAP_GATES, PLACES);
	memset(g->gate, 0, PLACES * sizeof(*g->gate));
	g->n = 0;
	g->at_ns = 0;
}
