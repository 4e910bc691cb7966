/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A window of probe "blkio" or "mem" becomes rows. Each victim is brought to the kernel's own pressure figure, up or down:
 * how it is split is a model anyway, and coverage tells what was seen before that. */
#include "demand.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stall.h"

#define SCALE_MAX \
	2.0 /* more than half of the pressure must have been seen to be split; the rest is other */

/* The gates that make one row: those of the cgroups inside a container. */
struct group {
	uint32_t who, first, n;
	uint32_t row;
	uint64_t raw_ns;
};

/* A pod of which several containers, or one of several, waited. The kernel's pressure of its own cgroup tells how long. */
struct pod {
	uint32_t who, row;
	uint32_t first, n;	  /* of its containers, in members */
	uint64_t raw_ns, most_ns; /* of them: the sum, the longest */
};

struct making {
	struct stall *s;
	const struct stall_demand *d;
	const struct stall_res_window *w;
	uint64_t window_ns, now_ns;
	uint32_t *order; /* victims, by who */
	uint32_t *who;	 /* of each victim */
	struct group *groups;
	struct group *members; /* groups that are of a pod, by pod */
	struct pod *pods;
	uint32_t *seen; /* of each name: the last pod it held up, counted from 1 */
	uint32_t n_groups, n_pods;
	uint32_t node; /* its row */
};

static int by_raw(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	return x->raw_ns > y->raw_ns ? -1 : x->raw_ns < y->raw_ns;
}

static int by_who(const void *a, const void *b, void *arg)
{
	const uint32_t *who = arg, x = who[*(const uint32_t *)a], y = who[*(const uint32_t *)b];

	return x < y ? -1 : x > y;
}

/* From now on its tasks count where they are named. */
static void stand_for(struct making *m, uint64_t cgroup_id, uint64_t id)
{
	if (id && id != cgroup_id)
		(void)m->d->maps.update(m->d->maps.arg, STALL_MAP_ALIAS, &cgroup_id,
					&id); /* full: they are added up */
}

static int make_groups(struct making *m)
{
	uint32_t n = m->w->n_victims;

	m->order = calloc(n + 1, sizeof(*m->order));
	m->who = calloc(n + 1, sizeof(*m->who));
	m->groups = calloc(n + 1, sizeof(*m->groups));
	if (!m->order || !m->who || !m->groups)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t id = m->w->victims[i].cgroup_id;

		m->order[i] = i;
		m->who[i] = stall_who_of(m->s, id, m->now_ns);
		if (m->who[i] >= STALL_WHO_FIRST)
			stand_for(m, id, m->s->whos.who[m->who[i]].cgroup_id);
	}
	qsort_r(m->order, n, sizeof(*m->order), by_who, m->who);
	for (uint32_t i = 0; i < n; i++) {
		struct group *g = m->n_groups ? &m->groups[m->n_groups - 1] : NULL;
		uint32_t who = m->who[m->order[i]];

		if (who < STALL_WHO_FIRST)
			continue; /* of what did not fit, who is not known */
		if (!g || g->who != who) {
			g = &m->groups[m->n_groups++];
			*g = (struct group){ .who = who, .first = i };
		}
		g->n++;
		g->raw_ns += m->w->victims[m->order[i]].raw_ns;
	}
	qsort(m->groups, m->n_groups, sizeof(*m->groups), by_raw);
	return 0;
}

static struct stall_psi *psi_of(struct making *m, uint32_t row)
{
	return &m->s->whos.who[m->s->rows[row].who].psi[m->d->resource];
}

/* Rows first: the pressure files are read in the same instant as the gates, before anything slow. */
static int make_rows(struct making *m)
{
	uint32_t method = m->d->resource == LNX_RES_IO ? LNX_METHOD_MODEL : LNX_METHOD_HEURISTIC;
	uint64_t all_ns = 0;

	m->node = m->s->n_rows;
	if (!stall_row_add(m->s, STALL_WHO_NODE, m->d->resource, method))
		return -ENOMEM;
	for (uint32_t i = 0; i < m->n_groups; i++)
		all_ns += m->groups[i].raw_ns;
	stall_row_psi(m->s, &m->s->rows[m->node], all_ns);
	for (uint32_t i = 0; i < m->n_groups; i++) {
		struct group *g = &m->groups[i];
		struct stall_psi *psi;

		g->row = m->s->n_rows;
		if (!stall_row_add(m->s, g->who, m->d->resource, method))
			return -ENOMEM;
		if (g->n > 1)
			m->s->rows[g->row].flags |= STALL_F_SUM;
		psi = psi_of(m, g->row);
		if (i < m->s->conf->psi_reads && psi->unread_ns + g->raw_ns >= STALL_PSI_FROM_NS &&
		    !(psi->is_known && psi->window == m->s->ticks))
			stall_row_psi(m->s, &m->s->rows[g->row], g->raw_ns);
	}
	return 0;
}

/* What of <raw_ns> stands, and what pressure is left over for other. */
static double scale_of(struct making *m, uint32_t row, uint64_t raw_ns, uint64_t *ret_rest_ns)
{
	const struct stall_row *r = &m->s->rows[row];
	struct stall_psi *psi = psi_of(m, row);
	uint64_t allowed = r->psi_ns;
	double scale;

	*ret_rest_ns = 0;
	if (r->psi_ns == STALL_UNKNOWN) {
		psi->unread_ns = psi->window == m->s->ticks ? 0 : psi->unread_ns + raw_ns;
		return raw_ns > m->window_ns ? (double)m->window_ns / (double)raw_ns : 1;
	}
	allowed -= psi->unread_ns < allowed ? psi->unread_ns : allowed;
	if (allowed > m->window_ns)
		allowed = m->window_ns;
	psi->unread_ns = 0;
	scale = raw_ns ? (double)allowed / (double)raw_ns : 0;
	if (scale > SCALE_MAX)
		scale = SCALE_MAX;
	*ret_rest_ns = allowed - (uint64_t)(scale * (double)raw_ns);
	return scale;
}

static int add_rest(struct making *m, uint32_t row, uint64_t rest_ns)
{
	const struct stall_cell rest = { .culprit = STALL_WHO_NONE,
					 .kind = LNX_STALL_OTHER,
					 .stall_ns = rest_ns };

	return stall_cell_add(m->s, &m->s->rows[row], &rest);
}

/* ---- pods */

static int by_pod(const void *a, const void *b, void *arg)
{
	const struct stall_who *who = arg;
	uint64_t x = who[((const struct group *)a)->who].pod_key,
		 y = who[((const struct group *)b)->who].pod_key;

	return x < y ? -1 : x > y;
}

/* Read the pressure of the pod whose containers are <n> members from <first> on. Its figure while that is not known: their sum. */
static int add_pod(struct making *m, uint32_t first, uint32_t n)
{
	const struct group *g = &m->members[first];
	uint32_t method = m->s->rows[m->node].method,
		 who = stall_set_of_pod(m->s, g->who, n > 1, m->now_ns);
	struct pod *pod = &m->pods[m->n_pods];
	struct stall_psi *psi;

	if (who == STALL_WHO_NONE || m->n_pods >= m->s->conf->psi_reads)
		return 0;
	*pod = (struct pod){ .who = who, .row = m->s->n_rows, .first = first, .n = n };
	for (uint32_t i = 0; i < n; i++) {
		pod->raw_ns += g[i].raw_ns;
		if (g[i].raw_ns > pod->most_ns)
			pod->most_ns = g[i].raw_ns;
	}
	if (!stall_row_add(m->s, who, m->d->resource, method))
		return -ENOMEM;
	psi = psi_of(m, pod->row);
	if (!(psi->is_known && psi->window == m->s->ticks))
		stall_row_psi(m->s, &m->s->rows[pod->row], pod->raw_ns);
	if (m->s->rows[pod->row].psi_ns == STALL_UNKNOWN) {
		psi->unread_ns = psi->window == m->s->ticks ? 0 : psi->unread_ns + pod->raw_ns;
		m->s->n_rows--;
	} else {
		m->n_pods++;
	}
	return 0;
}

static int make_pods(struct making *m)
{
	const struct stall_who *who = m->s->whos.who;
	struct group *g = calloc(m->n_groups + 1, sizeof(*g));
	uint32_t n = 0, k;
	int rc = 0;

	m->members = g;
	m->pods = calloc(m->n_groups + 1, sizeof(*m->pods));
	m->seen = calloc(STALL_WHO_MAX, sizeof(*m->seen));
	if (!g || !m->pods || !m->seen)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->n_groups; i++)
		if (who[m->groups[i].who].pod_key)
			g[n++] = m->groups[i];
	if (n)
		qsort_r(g, n, sizeof(*g), by_pod, m->s->whos.who);
	for (uint32_t i = 0; !rc && i < n; i = k) {
		for (k = i + 1; k < n && who[g[k].who].pod_key == who[g[i].who].pod_key; k++)
			;
		rc = add_pod(m, i, k - i);
	}
	return rc;
}

/* The parts of a container, as those of its pod. What a culprit allocated counts once, however many it held up. */
static int take_parts(struct making *m, const struct pod *pod, uint32_t member, double scale)
{
	uint32_t number = (uint32_t)(pod - m->pods) + 1;
	struct stall_row *row = &m->s->rows[pod->row];
	const struct stall_row *r = &m->s->rows[member];
	int rc = 0;

	row->flags |= r->flags & (STALL_F_OVERFLOW | STALL_F_NO_LIMIT);
	for (uint32_t i = r->first; !rc && i < r->first + r->n; i++) {
		const struct stall_cell from = m->s->cells[i];
		struct stall_cell c = { .stall_ns = (uint64_t)((double)from.raw_ns * scale),
					.raw_ns = from.raw_ns,
					.limit = from.limit };
		uint32_t who = from.culprit < STALL_WHO_MAX ? from.culprit : STALL_WHO_OTHER;

		stall_cell_of(m->s, row, who, &c);
		c.amount = m->seen[who] == number ? 0 : from.amount;
		m->seen[who] = number;
		rc = stall_cell_add(m->s, row, &c);
	}
	return rc;
}

static int fill_pod(struct making *m, const struct pod *pod)
{
	struct stall_row *row = &m->s->rows[pod->row];
	uint64_t unread_ns = psi_of(m, pod->row)->unread_ns, rest_ns;
	double scale = scale_of(m, pod->row, pod->raw_ns, &rest_ns);
	int rc = 0;

	row->first = m->s->n_cells;
	row->flags |= STALL_F_POD;
	/* Its containers tell between which bounds the pod's own waiting was, not how long. */
	row->cover_ns = row->psi_ns;
	if (row->cover_ns < unread_ns + pod->most_ns)
		row->cover_ns = unread_ns + pod->most_ns;
	if (row->cover_ns > unread_ns + pod->raw_ns)
		row->cover_ns = unread_ns + pod->raw_ns;
	for (uint32_t i = pod->first; !rc && i < pod->first + pod->n; i++)
		rc = take_parts(m, pod, m->members[i].row, scale);
	rc = rc ? rc : add_rest(m, pod->row, rest_ns);
	stall_row_sum(m->s, row);
	return rc;
}

/* A wait, or who held it up, found no place, here or in the probe. */
static uint16_t overflow_of(const struct stall_res_window *w)
{
	static const uint8_t full[] = { LNX_RES_N_GATE_FULL,	LNX_RES_N_WAIT_FULL,
					LNX_RES_N_DEV_FULL,	LNX_RES_N_RQ_FULL,
					LNX_RES_N_CULPRIT_FULL, LNX_RES_N_VICTIM_FULL,
					LNX_RES_N_ALLOC_FULL };
	uint64_t n = w->dropped;

	for (uint32_t i = 0; i < sizeof(full); i++)
		n += w->count[full[i]];
	return n ? STALL_F_OVERFLOW : 0;
}

static uint64_t pages_of(const struct making *m, uint64_t cgroup_id)
{
	return m->d->resource == LNX_RES_MEMORY ? stall_mem_pages(&m->s->res->mem_reader, cgroup_id)
						: 0;
}

/* True if a gate of <g> before <member> was held by <culprit>, too. */
static int has_before(const struct making *m, const struct group *g, uint32_t member,
		      uint64_t culprit)
{
	for (uint32_t i = g->first; i < member; i++) {
		const struct stall_res_victim *v = &m->w->victims[m->order[i]];

		for (uint32_t k = v->first; k < v->first + v->n; k++)
			if (m->w->parts[k].culprit == culprit)
				return 1;
	}
	return 0;
}

static int fill_row(struct making *m, const struct group *g)
{
	struct stall_row *row = &m->s->rows[g->row];
	uint64_t rest_ns;
	double scale = scale_of(m, g->row, g->raw_ns, &rest_ns);
	int rc = 0;

	row->first = m->s->n_cells;
	row->flags |= overflow_of(m->w);
	for (uint32_t i = g->first; i < g->first + g->n; i++) {
		const struct stall_res_victim *v = &m->w->victims[m->order[i]];
		uint16_t limit = m->d->resource == LNX_RES_MEMORY
					 ? stall_scope_limit(&m->s->res->scope, v->cgroup_id)
					 : 0;

		for (uint32_t k = v->first; !rc && k < v->first + v->n; k++) {
			const struct stall_res_part *p = &m->w->parts[k];
			struct stall_cell c = { .stall_ns = (uint64_t)((double)p->ns * scale),
						.raw_ns = p->ns };
			uint32_t who = p->culprit == STALL_RES_OTHER
					       ? STALL_WHO_OTHER
					       : stall_who_of(m->s, p->culprit, m->now_ns);

			stall_cell_of(m->s, row, who, &c);
			if (c.kind != LNX_STALL_OTHER) {
				if (!has_before(m, g, i, p->culprit))
					c.amount = pages_of(m, p->culprit);
				c.limit = limit;
			}
			rc = stall_cell_add(m->s, row, &c);
		}
	}
	rc = rc ? rc : add_rest(m, g->row, rest_ns);
	stall_row_sum(m->s, row);
	return rc;
}

/* What each did to the machine: the sum over its victims, never above the machine's own pressure. */
static int fill_node(struct making *m)
{
	struct stall_row *node = &m->s->rows[m->node];
	uint64_t *stall = calloc(2 * STALL_WHO_MAX, sizeof(*stall)), *raw, sum = 0, rest;
	double scale;
	int rc = 0;

	if (!stall)
		return -ENOMEM;
	raw = stall + STALL_WHO_MAX;
	for (uint32_t i = 0; i < m->n_groups; i++) {
		const struct stall_row *r = &m->s->rows[m->groups[i].row];

		for (uint32_t k = r->first; k < r->first + r->n; k++) {
			const struct stall_cell *c = &m->s->cells[k];
			uint32_t who = c->culprit < STALL_WHO_MAX ? c->culprit : STALL_WHO_OTHER;

			stall[who] += c->stall_ns;
			raw[who] += c->raw_ns;
			sum += c->stall_ns;
		}
	}
	scale = scale_of(m, m->node, sum, &rest);
	if (scale > 1) {
		rest += (uint64_t)((scale - 1) * (double)sum);
		scale = 1;
	}
	node->first = m->s->n_cells;
	node->flags |= STALL_F_SUM | overflow_of(m->w);
	for (uint32_t i = STALL_WHO_OTHER; !rc && i < m->s->whos.n; i++) {
		struct stall_cell c = { .stall_ns = (uint64_t)((double)stall[i] * scale),
					.raw_ns = raw[i] };

		if (!c.stall_ns && !c.raw_ns)
			continue;
		stall_cell_of(m->s, node, i, &c);
		rc = stall_cell_add(m->s, node, &c);
	}
	rc = rc ? rc : add_rest(m, m->node, rest);
	stall_row_sum(m->s, node);
	free(stall);
	return rc;
}

int stall_res_rows(struct stall *s, const struct stall_demand *d, const struct stall_res_window *w,
		   uint64_t window_ns, uint64_t now_ns)
{
	struct making m = { .s = s, .d = d, .w = w, .window_ns = window_ns, .now_ns = now_ns };
	int rc = make_groups(&m);

	rc = rc ? rc : make_rows(&m);
	rc = rc ? rc : make_pods(&m);
	for (uint32_t i = 0; !rc && i < m.n_groups; i++)
		rc = fill_row(&m, &m.groups[i]);
	for (uint32_t i = 0; !rc && i < m.n_pods; i++)
		rc = fill_pod(&m, &m.pods[i]);
	rc = rc ? rc : fill_node(&m);
	free(m.order);
	free(m.who);
	free(m.groups);
	free(m.members);
	free(m.pods);
	free(m.seen);
	return rc;
}
